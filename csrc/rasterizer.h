// Draws a view and takes it back: the stages in order, for any number of channels.
#pragma once

#include <memory>

#include "view.h"

namespace splatmem {

struct RenderSettings {
    bool with_back, with_depth;  // append the backfacing share and the z-depth to the image's channels, in this order
    bool with_slots;             // whether the view is there for weighted sums or for gradients of its image
    int threads;
};

// Wall-clock seconds that a view's stages took; the backward ones in its last backward pass.
struct StageSeconds {
    double project = 0, sort_and_bin = 0, composite_forward = 0, composite_backward = 0, project_backward = 0;
};

class DrawnView {
  public:
    // Draws into image [height, width, channels] and alpha [height, width]; background [channels] may be null.
    DrawnView(const Camera& camera, const Scene& scene, const ImageOut& out, const RenderSettings& settings);
    DrawnView(const DrawnView&) = delete;
    DrawnView& operator=(const DrawnView&) = delete;

    // Into [height, width].
    void median_depth(float* depth, int threads) const;

    void weighted_sums(const WeightedSums& wanted, int threads) const;

    // Adds the gradients of a loss to those of the same scene, from the image and alpha that were drawn and their gradients.
    void backward(const Scene& scene, const ImageIn& in, const Gradients& gradients, int threads) const;

    // The same from gradients to the projected Gaussians.
    void backward(const Scene& scene, const ProjectedGradients& projected, const Gradients& gradients, int threads) const;

    const ViewState& state() const { return *state_; }
    const StageSeconds& stage_seconds() const { return seconds_; }

  private:
    ChannelGroup channel_group(int first) const;

    const std::unique_ptr<ViewState> state_ = std::make_unique<ViewState>();
    int image_channels_, back_channel_, depth_channel_;
    mutable StageSeconds seconds_;
};

// The weights with which some Gaussians of a scene are blended into a view: a linear map from values of theirs to a picture, and
// its transpose. Everything else about the view is found once; only tiles in which some of them lie are looked at.
class BlendingWeights {
  public:
    // The values have 1 or 3 channels. `scene` needs no colours, unless `drawn` is given: its image and alpha get what the scene
    // shows in the tiles in which some of the Gaussians lie, and zeros elsewhere. Then it has colours of as many channels.
    BlendingWeights(
        const Camera& camera, const Scene& scene, const GaussianRange& range, int channels, int threads,
        const ImageOut* drawn = nullptr);
    BlendingWeights(const BlendingWeights&) = delete;
    BlendingWeights& operator=(const BlendingWeights&) = delete;

    // Blends values [last - first, channels] into a picture [height, width, channels].
    void blend(const float* values, float* picture, int threads);

    // Sums [last - first, channels] of a picture's values times each Gaussian's weights.
    void sum(const float* picture, float* sums, int threads) const;

    const ViewState& state() const { return state_; }
    const GaussianRange range;
    const int channels;

  private:
    void clear_channels(int threads);

    ViewState state_;
};

}  // namespace splatmem
