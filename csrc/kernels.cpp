// The table of one instruction set's stages; compiled once for each.
#include "lanes.h"
#include "view.h"

#define SPLATMEM_STRING_OF(name) #name
#define SPLATMEM_STRING(name) SPLATMEM_STRING_OF(name)

namespace splatmem::SPLATMEM_ISA {

void box_chunks(const Scene&, ChunkBox*, int);
void project(ViewState&, const Scene&, int);
void composite_forward(const ViewState&, const ChannelGroup&, const ImageOut&, int);
void median_depth(const ViewState&, float*, int);
void weighted_sums(const ViewState&, const WeightedSums&, Scratch&, int);
void composite_backward(const ViewState&, const ChannelGroup&, const ImageIn&, Scratch&, bool, int);
void project_backward(const ViewState&, const ChannelGroup&, const Scratch&, const Scene&, const Gradients&, int);
void projected_backward(const ViewState&, const ProjectedGradients&, const Scene&, const Gradients&, int);

extern const Kernels kernels;
const Kernels kernels{SPLATMEM_STRING(SPLATMEM_ISA), box_chunks, project, composite_forward, median_depth, weighted_sums,
                      composite_backward, project_backward, projected_backward};

}  // namespace splatmem::SPLATMEM_ISA
