// Stage 5: sums the slots of each Gaussian's pairs, in their fixed order, and takes the sums back through the projection.
//
// Gaussians are collected in rows of sixteen and each row is taken back at once (ewa_backward.h, harmonics.h). Chunks are
// disjoint in the scene, so threads never meet.
#include "ewa_backward.h"
#include "harmonics.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

constexpr int kMaxSums = 32;

// Up to sixteen visible Gaussians.
struct Row {
    int count = 0;
    alignas(64) int32_t index[16] = {};  // in the scene
    alignas(64) float geometry[5][16] = {};

    LANES_INLINE void add(const Record& r, uint32_t gaussian) {
        geometry[0][count] = r.power_xx * (-2.f / kLog2E);
        geometry[1][count] = r.power_xy * (-1.f / kLog2E);
        geometry[2][count] = r.power_yy * (-2.f / kLog2E);
        geometry[3][count] = r.opacity;
        geometry[4][count] = r.narrowing;
        index[count++] = static_cast<int32_t>(gaussian);
    }
    // Repeats the last Gaussian in the lanes that are left over.
    LANES_INLINE void fill() {
        for (int lane = count; lane < 16; lane++) index[lane] = index[count - 1];
    }
    LANES_INLINE Conic conic() const {
        const Symmetric2 q{load(geometry[0]), load(geometry[1]), load(geometry[2])};
        return {q, load(geometry[4]) * q.xx * q.xx};  // narrowing is det(Q) / Q.xx^2
    }
    LANES_INLINE Float16 opacity() const { return load(geometry[3]); }
};

LANES_INLINE void add_to_rows(const Row& row, const Float16* values, int columns, float* rows) {
    alignas(64) float out[4][16];
    for (int k = 0; k < columns; k++) store(out[k], values[k]);
    for (int lane = 0; lane < row.count; lane++) {
        float* to = rows + static_cast<size_t>(row.index[lane]) * columns;
        for (int k = 0; k < columns; k++) to[k] += out[k][lane];
    }
}

// From projected Gaussians to the scene.
LANES_INLINE void take_back_projection(
    const Row& row, const ProjectedGradient& g, const Projector& projector, const Scene& scene, const SceneGradients& to) {
    const Ewa ewa(projector, scene, row.index);
    const EwaGradient grad = take_back(ewa, projector, row.conic(), g);
    const Float16 opacity = grad.log_opacity / row.opacity();
    add_to_rows(row, grad.mean, 3, to.means);
    add_to_rows(row, grad.quat, 4, to.quats);
    add_to_rows(row, grad.scale, 3, to.scales);
    add_to_rows(row, &opacity, 1, to.opacities);
}

// From the colours seen to the coefficients, and through the direction to the means.
LANES_INLINE void take_back_harmonics(
    const Row& row, const float (*rgb)[16], const Camera& camera, const Scene& scene, const SceneGradients& to) {
    SeenHarmonics seen;
    seen.look(camera, scene, row.index);
    const int bands = harmonic_bands(scene.degree);
    alignas(64) float weights[kMaxBands][16];
    for (int lane = 0; lane < row.count; lane++) {
        const size_t at = static_cast<size_t>(row.index[lane]) * scene.bands * 3;
        const float grad[3] = {rgb[0][lane], rgb[1][lane], rgb[2][lane]};
        if (to.harmonics)
            for (int k = 0; k < bands; k++)
                for (int c = 0; c < 3; c++) to.harmonics[at + 3 * k + c] += seen.basis[k][lane] * grad[c];
        if (scene.degree == 0) continue;
        const float* sh = scene.harmonics + at;
        for (int k = 0; k < bands; k++)
            weights[k][lane] = sh[3 * k] * grad[0] + sh[3 * k + 1] * grad[1] + sh[3 * k + 2] * grad[2];
    }
    if (scene.degree == 0) return;
    for (int k = 0; k < bands; k++)
        for (int lane = row.count; lane < 16; lane++) weights[k][lane] = 0.f;
    // d = v / |v|: dL/dv = (dL/dd - d (d . dL/dd)) / |v|.
    const ViewDirection direction(camera, scene, row.index);
    const Vec3 d = direction.d, g = harmonic_gradient(scene.degree, d, weights);
    const Float16 along = d.x * g.x + d.y * g.y + d.z * g.z;
    const Float16 mean[3] = {
        (g.x - along * d.x) * direction.inv_distance,
        (g.y - along * d.y) * direction.inv_distance,
        (g.z - along * d.z) * direction.inv_distance,
    };
    add_to_rows(row, mean, 3, to.means);
}

// Collects sums over a Gaussian's pairs until there are sixteen, then takes them back together.
class PairSums {
  public:
    PairSums(const Projector& projector, const ChannelGroup& group, const Scene& scene, const SceneGradients& gradients)
        : projector_(projector), group_(group), scene_(scene), gradients_(gradients) {}

    void add(const Record& r, uint32_t gaussian, const float* sums) {
        for (int k = 0; k < kMoments + group_.used; k++) sums_[k][row_.count] = sums[k];
        if (group_.first == 0)  // what the clamp of the harmonics holds at zero gets no gradient
            for (int c = 0; c < scene_.harmonic_channels(); c++)
                if (__builtin_signbit(r.channels()[c])) sums_[kMoments + c][row_.count] = 0.f;
        row_.add(r, gaussian);
        if (row_.count == 16) flush();
    }

    void flush() {
        if (row_.count == 0) return;
        row_.fill();
        take_back_projection(row_, projected_gradient(), projector_, scene_, gradients_);
        const int harmonics = group_.first == 0 ? scene_.harmonic_channels() : 0;
        if (harmonics) take_back_harmonics(row_, sums_ + kMoments, projector_.camera, scene_, gradients_);
        if (gradients_.colors) take_back_colors(harmonics);
        row_.count = 0;
    }

  private:
    LANES_INLINE ProjectedGradient projected_gradient() const {
        const Symmetric2 q = row_.conic().q;
        const Float16 x = load(sums_[1]), y = load(sums_[2]);
        return {
            q.xx * x + q.xy * y,
            q.xy * x + q.yy * y,
            {load(sums_[3]), load(sums_[4]), load(sums_[5])},
            load(sums_[0]),
            group_.has_depth() ? load(sums_[kMoments + group_.used - 1]) : Float16(0.f),
        };
    }

    void take_back_colors(int harmonics) {
        const int first = group_.first - scene_.harmonic_channels(), end = group_.used - group_.has_depth();
        for (int lane = 0; lane < row_.count; lane++) {
            float* color = gradients_.colors + static_cast<int64_t>(row_.index[lane]) * scene_.channels + first;
            for (int c = harmonics; c < end; c++) color[c] += sums_[kMoments + c][lane];
        }
    }

    const Projector& projector_;
    const ChannelGroup& group_;
    const Scene& scene_;
    const SceneGradients& gradients_;
    Row row_;
    alignas(64) float sums_[kMaxSums][16] = {};
};

// Sums the used slots [begin, end); false if there is none.
template <int kSums>
LANES_INLINE bool sum_slots(const Scratch& scratch, uint32_t begin, uint32_t end, float* sums) {
    const float* slots = scratch.slots.data();
    const uint8_t* used = scratch.slot_used.data();
    Float16 low = 0.f, high = 0.f;
    bool any = false;
    for (uint32_t slot = begin; slot < end; slot++) {
        if (!used[slot]) continue;
        any = true;
        const float* values = slots + static_cast<size_t>(slot) * kSums;
        low = low + load(values);
        if (kSums > 16) high = high + load(values + 16);
    }
    store(sums, low);
    if (kSums > 16) store(sums + 16, high);
    return any;
}

template <int kSums>
void reduce(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const SceneGradients& gradients, int threads) {
    const Projector projector(view.camera);
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        PairSums row(projector, group, scene, gradients);
        alignas(64) float sums[kMaxSums];
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            const uint32_t begin = chunk.first_pair + view.pair_offsets.data()[at];
            const uint32_t end = begin + view.boxes.data()[at].area();
            if (sum_slots<kSums>(scratch, begin, end, sums)) row.add(view.record(at), view.gaussian_ids.data()[at], sums);
        }
        row.flush();
    });
}

}  // namespace

void project_backward(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const SceneGradients& gradients, int threads) {
    if (slot_stride(group.padded) == 16) return reduce<16>(view, group, scratch, scene, gradients, threads);
    return reduce<32>(view, group, scratch, scene, gradients, threads);
}

}  // namespace splatmem::SPLATMEM_ISA
