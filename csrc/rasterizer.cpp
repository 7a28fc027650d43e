#include "rasterizer.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "dispatch.h"
#include "threads.h"

namespace splatmem {
namespace {

// Runs a stage and adds the seconds that it took.
template <class Stage>
void timed(double& seconds, Stage stage) {
    const auto start = std::chrono::steady_clock::now();
    stage();
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void refill_channels(ViewState& view, const Scene& scene, const ChannelGroup& group, int threads) {
    parallel_for(view.chunk_count, threads, [&](int k) {
        for (uint32_t i = 0; i < view.chunks.data()[k].visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            fill_channels(
                view.records.data() + at * view.stride, group, scene, view.gaussian_ids.data()[at], view.seen.data()[at]);
        }
    });
}

// Lays out a view's tiles and makes room for its projection.
void begin(ViewState& view, const Camera& camera, const Scene& scene, const ChannelGroup& first_group) {
    view.camera = camera;
    view.first_group = first_group;
    view.stride = record_stride(first_group.padded);
    view.tile = tile_size(first_group.padded);
    view.tiles_x = (camera.width + view.tile - 1) / view.tile;
    view.tiles_y = (camera.height + view.tile - 1) / view.tile;
    const int64_t count = scene.count;
    view.chunk_count = chunks_of(count);
    view.chunks.reserve(view.chunk_count);
    view.records.reserve(count * view.stride + 64);
    view.depths.reserve(count);
    view.gaussian_ids.reserve(count);
    view.boxes.reserve(count);
    view.pair_offsets.reserve(count);
    if (view.first_group.image_channels > kGroupChannels) view.seen.reserve(count);
}

// Makes room for what the chunks have for the camera, where that is wanted.
Gradients with_camera_sums(Gradients gradients, Scratch& scratch, int chunks) {
    if (gradients.viewmat == nullptr) return gradients;
    const size_t count = static_cast<size_t>(chunks) * kCameraSums;
    gradients.camera_sums = scratch.camera_sums.reserve(count);
    std::fill(gradients.camera_sums, gradients.camera_sums + count, 0.f);
    return gradients;
}

// In the chunks' order, so that the result does not depend on the threads.
void add_camera_sums(const Gradients& gradients, int chunks) {
    if (gradients.viewmat == nullptr) return;
    double total[kCameraSums] = {};
    for (int k = 0; k < chunks; k++)
        for (int i = 0; i < kCameraSums; i++) total[i] += gradients.camera_sums[static_cast<size_t>(k) * kCameraSums + i];
    for (int row = 0; row < 3; row++) {
        for (int k = 0; k < 3; k++) gradients.viewmat[4 * row + k] += static_cast<float>(total[3 * row + k]);
        gradients.viewmat[4 * row + 3] += static_cast<float>(total[9 + row]);
        gradients.center[row] += static_cast<float>(total[12 + row]);
    }
}

}  // namespace

DrawnView::DrawnView(const Camera& camera, const Scene& scene, const ImageOut& out, const RenderSettings& settings)
    : image_channels_(scene.harmonic_channels() + scene.channels + settings.with_back + settings.with_depth),
      back_channel_(settings.with_back ? image_channels_ - 1 - settings.with_depth : -1),
      depth_channel_(settings.with_depth ? image_channels_ - 1 : -1) {
    ViewState& view = *state_;
    begin(view, camera, scene, channel_group(0));
    timed(seconds_.project, [&] { kernels().project(view, scene, settings.threads); });
    timed(seconds_.sort_and_bin, [&] { sort_and_bin(view, settings.with_slots, settings.threads); });
    for (int first = 0; first == 0 || first < image_channels_; first += kGroupChannels) {
        const ChannelGroup group = channel_group(first);
        if (first > 0) refill_channels(view, scene, group, settings.threads);
        const ImageOut part{out.image, first == 0 ? out.alpha : nullptr, out.background};
        timed(seconds_.composite_forward, [&] { kernels().composite_forward(view, group, part, settings.threads); });
    }
}

// Channels [first, ...) of the image. Groups after the first share its records and tiles, so they use its stride.
ChannelGroup DrawnView::channel_group(int first) const {
    const int used = std::min(kGroupChannels, image_channels_ - first);
    ChannelGroup group{first, used, kGroupChannels, back_channel_, depth_channel_, image_channels_};
    for (int padded : {8, 6, 4, 3, 1})
        if (used <= padded && image_channels_ <= kGroupChannels) group.padded = padded;
    return group;
}

void DrawnView::median_depth(float* depth, int threads) const { kernels().median_depth(*state_, depth, threads); }

void DrawnView::weighted_sums(const WeightedSums& wanted, int threads) const {
    Scratch scratch;
    kernels().weighted_sums(*state_, wanted, scratch, threads);
}

void DrawnView::backward(const Scene& scene, const ImageIn& in, const Gradients& gradients, int threads) const {
    ViewState& view = *state_;
    Scratch scratch;
    seconds_.composite_backward = seconds_.project_backward = 0;
    const Gradients to = with_camera_sums(gradients, scratch, view.chunk_count);
    const bool absolute = gradients.projected && gradients.projected->absolute_means2d;
    for (int first = 0; first == 0 || first < image_channels_; first += kGroupChannels) {
        const ChannelGroup group = channel_group(first);
        if (image_channels_ > kGroupChannels) refill_channels(view, scene, group, threads);
        scratch.slots.reserve(view.pairs * slot_stride(group.padded) + 64);
        std::memset(scratch.slot_used.reserve(view.pairs + 64), 0, view.pairs);
        const ImageIn part{in.image, in.alpha, in.grad_image, first == 0 ? in.grad_alpha : nullptr};
        timed(seconds_.composite_backward, [&] {
            kernels().composite_backward(view, group, part, scratch, absolute, threads);
        });
        timed(seconds_.project_backward, [&] { kernels().project_backward(view, group, scratch, scene, to, threads); });
    }
    add_camera_sums(to, view.chunk_count);
}

void DrawnView::backward(
    const Scene& scene, const ProjectedGradients& projected, const Gradients& gradients, int threads) const {
    Scratch scratch;
    const Gradients to = with_camera_sums(gradients, scratch, state_->chunk_count);
    kernels().projected_backward(*state_, projected, scene, to, threads);
    add_camera_sums(to, state_->chunk_count);
}

BlendingWeights::BlendingWeights(
    const Camera& camera, const Scene& scene, const GaussianRange& range, int channels, int threads, const ImageOut* drawn)
    : range(range), channels(channels) {
    // If nothing is drawn, no channel is used: the records begin with zeros, which stay where nothing is blended.
    const ChannelGroup group{0, drawn ? channels : 0, channels, -1, -1, channels};
    begin(state_, camera, scene, group);
    kernels().project(state_, scene, threads);
    sort_and_bin(state_, true, threads, &range);
    if (drawn == nullptr) return;
    state_.whole_tiles = true;
    kernels().composite_forward(state_, group, *drawn, threads);
    state_.whole_tiles = false;
    clear_channels(threads);
}

void BlendingWeights::clear_channels(int threads) {
    parallel_for(state_.chunk_count, threads, [&](int k) {
        for (uint32_t seen = 0; seen < state_.chunks.data()[k].visible; seen++) {
            float* channel = state_.records.data() + (static_cast<size_t>(k) * kChunk + seen) * state_.stride + kRecordGeometry;
            std::fill(channel, channel + channels, 0.f);
        }
    });
}

void BlendingWeights::blend(const float* values, float* picture, int threads) {
    const int first_chunk = static_cast<int>(range.first / kChunk), last_chunk = chunks_of(range.last);
    parallel_for(last_chunk - first_chunk, threads, [&](int i) {
        const int k = first_chunk + i;
        for (uint32_t seen = 0; seen < state_.chunks.data()[k].visible; seen++) {
            const size_t at = static_cast<size_t>(k) * kChunk + seen;
            const int64_t gaussian = state_.gaussian_ids.data()[at];
            if (gaussian < range.first || gaussian >= range.last) continue;
            const float* from = values + (gaussian - range.first) * channels;
            float* to = state_.records.data() + at * state_.stride + kRecordGeometry;
            for (int c = 0; c < channels; c++) to[c] = from[c];
        }
    });
    const ChannelGroup group{0, channels, channels, -1, -1, channels};
    kernels().composite_forward(state_, group, ImageOut{picture, nullptr, nullptr}, threads);
}

void BlendingWeights::sum(const float* picture, float* sums, int threads) const {
    Scratch scratch;
    kernels().weighted_sums(state_, WeightedSums{picture, channels, range, sums}, scratch, threads);
}

}  // namespace splatmem
