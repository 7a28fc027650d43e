// What the machine can do at most, and how much of it a scene asks for; compiled and called by roofs.py.
//
// Linked with the rasterizer's own stages, for the instruction set of this processor only, but with a compositing stage that
// counts instead of drawing.
#include <chrono>
#include <cstring>
#include <vector>

#include "blocks.h"
#include "rasterizer.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {

void project(ViewState&, const Scene&, int);

namespace {

struct Work {
    int64_t pairs, blocks, pixels;  // (Gaussian, tile), (Gaussian, 4x4 block), (Gaussian, pixel) that compositing goes through
};
Work counted;

template <int kTile, int kStride>
Work count_tile(const ViewState& view, int tile) {
    constexpr int kSlots = kBlockSlots<kTile>;
    const int left = tile % view.tiles_x * kTile, top = tile / view.tiles_x * kTile;
    alignas(64) float transmittance[kSlots * 16];
    uint64_t alive = blocks_in_image<kTile>(left, top, view.camera.width, view.camera.height);
    for_each_block(alive, [&](int block) { store(transmittance + block * 16, 1.f); });
    Work work{};
    Batch batch;
    for (uint32_t pair = view.tile_starts.data()[tile], end = view.tile_starts.data()[tile + 1]; pair < end && alive;) {
        const uint32_t batch_end = pair + kBatch < end ? pair + kBatch : end;
        load_batch<kTile, kStride>(batch, view, pair, batch_end, static_cast<float>(left), static_cast<float>(top), alive);
        uint64_t stopped = 0;
        for (uint32_t i = 0; i < batch_end - pair; i++) {
            const Record& r = *batch.record[i];
            const Falloff falloff(r, r.x - static_cast<float>(left), r.y - static_cast<float>(top));
            work.pairs++;
            for_each_block(batch.blocks[i], [&](int block) {
                float* before = transmittance + block * 16;
                const Blend blend(falloff, block, load(before));
                store(before, blend.transmittance);
                stopped |= uint64_t{all_negative(blend.transmittance)} << block;
                work.blocks++;
                work.pixels += __builtin_popcount(bits(blend.drawn));
            });
        }
        alive &= ~stopped;
        pair = batch_end;
    }
    return work;
}

void count(const ViewState& view, const ChannelGroup& group, const ImageOut&, int) {
    counted = {};
    for (int tile = 0; tile < view.tiles_x * view.tiles_y; tile++) {
        const Work work =
            group.padded <= 4 ? count_tile<tile_size(4), record_stride(4)>(view, tile)
                              : count_tile<tile_size(8), record_stride(8)>(view, tile);
        counted.pairs += work.pairs;
        counted.blocks += work.blocks;
        counted.pixels += work.pixels;
    }
}

Kernels counting_kernels() {
    Kernels kernels{};
    kernels.name = "counting";
    kernels.project = project;
    kernels.composite_forward = count;
    return kernels;
}

template <class Task>
double seconds(Task task) {
    const auto start = std::chrono::steady_clock::now();
    task();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

volatile float sink;

// Keeps the compiler from leaving out a result of which nothing is made.
void use(Float16 values) {
    alignas(64) float out[16];
    store(out, values);
    for (float value : out) sink = value;
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = counting_kernels();

}  // namespace splatmem::SPLATMEM_ISA

namespace isa = splatmem::SPLATMEM_ISA;

extern "C" {

// Floating-point operations a second, two for each multiply-add: independent chains in twelve registers a thread.
double multiply_add_rate(int threads) {
    constexpr int kChains = 12 * isa::Register::width / 16, kSteps = 1 << 20;
    const double time = isa::seconds([&] {
        splatmem::parallel_for(threads, threads, [&](int) {
            isa::Float16 chain[kChains];
            for (int c = 0; c < kChains; c++) chain[c] = static_cast<float>(c);
            for (int step = 0; step < kSteps; step++)
#pragma GCC unroll 16
                for (int c = 0; c < kChains; c++) chain[c] = isa::fma(chain[c], 0.999f, 0.001f);
            for (int c = 0; c < kChains; c++) isa::use(chain[c]);
        });
    });
    return 2.0 * 16 * kChains * kSteps * threads / time;
}

// Evaluations of the kernels' 2^x a second.
double exp2_rate(int threads) {
    constexpr int kChains = 4, kSteps = 1 << 20;
    const double time = isa::seconds([&] {
        splatmem::parallel_for(threads, threads, [&](int) {
            isa::Float16 chain[kChains];
            for (int c = 0; c < kChains; c++) chain[c] = -0.1f * static_cast<float>(c);
            for (int step = 0; step < kSteps; step++)
#pragma GCC unroll 4
                for (int c = 0; c < kChains; c++) chain[c] = isa::exp2(-chain[c]);
            for (int c = 0; c < kChains; c++) isa::use(chain[c]);
        });
    });
    return 16.0 * kChains * kSteps * threads / time;
}

// Bytes a second that are read, or copied (each byte counts twice), in 64 MB a thread.
double bandwidth(int threads, int copy) {
    constexpr size_t kFloats = 16 << 20;
    std::vector<std::vector<float>> from(threads, std::vector<float>(kFloats, 1.f)), to(threads);
    if (copy)
        for (auto& part : to) part.assign(kFloats, 0.f);
    const double time = isa::seconds([&] {
        splatmem::parallel_for(threads, threads, [&](int i) {
            if (copy) {
                std::memcpy(to[i].data(), from[i].data(), kFloats * sizeof(float));
                return;
            }
            isa::Float16 sums[4] = {0.f, 0.f, 0.f, 0.f};
            for (size_t k = 0; k < kFloats; k += 64)
                for (int part = 0; part < 4; part++) sums[part] = sums[part] + isa::load(from[i].data() + k + 16 * part);
            isa::use((sums[0] + sums[1]) + (sums[2] + sums[3]));
        });
    });
    return static_cast<double>(kFloats * sizeof(float)) * threads * (copy ? 2 : 1) / time;
}

// What compositing has to do for one view of colours [n, channels] and depth.
void count_work(
    const float* means, const float* quats, const float* scales, const float* opacities, const float* colors, int64_t n,
    int channels, const float* viewmat, const float* intrinsics, int width, int height, int threads, int64_t* out) {
    splatmem::Scene scene{};
    scene.means = means;
    scene.quats = quats;
    scene.scales = scales;
    scene.opacities = opacities;
    scene.colors = colors;
    scene.channels = channels;
    scene.count = n;
    splatmem::Camera camera{};
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++) camera.rotation[3 * row + column] = viewmat[4 * row + column];
        camera.translation[row] = viewmat[4 * row + 3];
    }
    camera.fx = intrinsics[0];
    camera.cx = intrinsics[2];
    camera.fy = intrinsics[4];
    camera.cy = intrinsics[5];
    camera.width = width;
    camera.height = height;
    camera.near_plane = 0.01f;
    camera.far_plane = 1e10f;
    camera.eps2d = 0.3f;
    splatmem::RenderSettings settings{};
    settings.with_depth = true;
    settings.threads = threads;
    const splatmem::DrawnView view(camera, scene, splatmem::ImageOut{}, settings);
    out[0] = view.state().visible;
    out[1] = isa::counted.pairs;
    out[2] = isa::counted.blocks;
    out[3] = isa::counted.pixels;
}
}
