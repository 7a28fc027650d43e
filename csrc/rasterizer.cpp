#include "rasterizer.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace splatmem {
namespace {

constexpr int kGroupChannels = 16;
constexpr size_t kPooledViews = 4;

// Drawing is parallel inside, so views are drawn one after the other; the lock also guards the memory below.
std::mutex drawing;

std::vector<std::unique_ptr<ViewState>>& pool() {
    static auto* views = new std::vector<std::unique_ptr<ViewState>>();  // outlives whatever Python still holds at exit
    return *views;
}

Scratch& scratch() {
    static auto* memory = new Scratch();
    return *memory;
}

// Channels [first, ...) of the image. Groups after the first share its records and tiles, so they use its stride.
ChannelGroup channel_group(int first, int image_channels, int depth_channel) {
    ChannelGroup group{first, std::min(kGroupChannels, image_channels - first), kGroupChannels, depth_channel, image_channels};
    for (int padded : {8, 4, 3, 1})
        if (group.used <= padded && (image_channels <= 4 || padded == 8)) group.padded = padded;
    return group;
}

void refill_channels(ViewState& view, const Scene& scene, const ChannelGroup& group, int threads) {
    parallel_for(view.chunk_count, threads, [&](int k) {
        for (uint32_t i = 0; i < view.chunks.data()[k].visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            const size_t gaussian = view.gaussian_ids.data()[at];
            fill_channels(
                view.records.data() + at * view.stride, group, scene.colors + gaussian * scene.channels,
                view.depths.data()[at]);
        }
    });
}

void reserve_projection(ViewState& view, int64_t count) {
    view.chunk_count = static_cast<int>((count + kChunk - 1) / kChunk);
    view.chunks.reserve(view.chunk_count);
    view.records.reserve(count * view.stride + 64);
    view.depths.reserve(count);
    view.gaussian_ids.reserve(count);
    view.boxes.reserve(count);
    view.pair_offsets.reserve(count);
}

}  // namespace

DrawnView::DrawnView(const Camera& camera, const Scene& scene, const ImageOut& out, const RenderSettings& settings)
    : image_channels_(scene.channels + settings.with_depth), depth_channel_(settings.with_depth ? scene.channels : -1) {
    std::lock_guard lock(drawing);
    if (pool().empty()) pool().push_back(std::make_unique<ViewState>());
    state_ = std::move(pool().back());
    pool().pop_back();

    ViewState& view = *state_;
    view.camera = camera;
    view.first_group = channel_group(0, image_channels_, depth_channel_);
    view.stride = record_stride(view.first_group.padded);
    view.tile = tile_size(view.first_group.padded);
    view.tiles_x = (camera.width + view.tile - 1) / view.tile;
    view.tiles_y = (camera.height + view.tile - 1) / view.tile;
    reserve_projection(view, scene.count);
    kernels().project(view, scene, settings.threads);
    sort_and_bin(view, scratch(), settings.threads);
    for (int first = 0; first == 0 || first < image_channels_; first += kGroupChannels) {
        const ChannelGroup group = channel_group(first, image_channels_, depth_channel_);
        if (first > 0) refill_channels(view, scene, group, settings.threads);
        kernels().composite_forward(
            view, group, {out.image, first == 0 ? out.alpha : nullptr, out.background}, settings.threads);
    }
}

DrawnView::~DrawnView() {
    std::lock_guard lock(drawing);
    if (pool().size() < kPooledViews) pool().push_back(std::move(state_));
}

void DrawnView::backward(const Scene& scene, const ImageIn& in, const SceneGradients& gradients, int threads) const {
    std::lock_guard lock(drawing);
    ViewState& view = *state_;
    for (int first = 0; first == 0 || first < image_channels_; first += kGroupChannels) {
        const ChannelGroup group = channel_group(first, image_channels_, depth_channel_);
        if (image_channels_ > kGroupChannels) refill_channels(view, scene, group, threads);
        scratch().slots.reserve(view.pairs * slot_stride(group.padded) + 64);
        std::memset(scratch().slot_used.reserve(view.pairs + 64), 0, view.pairs);
        const ImageIn part{in.image, in.alpha, in.grad_image, first == 0 ? in.grad_alpha : nullptr};
        kernels().composite_backward(view, group, part, scratch(), threads);
        kernels().project_backward(view, group, scratch(), scene, gradients, threads);
    }
}

void clear_gradients(const Scene& scene, const SceneGradients& gradients, int threads) {
    std::lock_guard lock(drawing);
    const int chunks = static_cast<int>((scene.count + kChunk - 1) / kChunk);
    parallel_for(chunks, threads, [&](int k) {
        const int64_t begin = static_cast<int64_t>(k) * kChunk, end = std::min<int64_t>(begin + kChunk, scene.count);
        const auto clear = [&](float* rows, int64_t columns) { std::fill(rows + begin * columns, rows + end * columns, 0.f); };
        clear(gradients.means, 3);
        clear(gradients.quats, 4);
        clear(gradients.scales, 3);
        clear(gradients.opacities, 1);
        clear(gradients.colors, scene.channels);
    });
}

}  // namespace splatmem
