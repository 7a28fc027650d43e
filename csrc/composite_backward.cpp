// Stage 4: gradients of compositing, from front to back and without anything stored per pixel by the forward pass.
//
// With v the image's gradient, u the alpha's, T_i the transmittance before Gaussian i and w_i its weight,
//
//   dL/dalpha_i = T_i (v . c_i) - R_i / (1 - alpha_i),   R_i = sum_{j > i} w_j (v . c_j) + T_end (v . background - u).
//
// R starts at v . image - T_end u, for the image holds all the sums and the background, and each Gaussian takes off its own
// w_i (v . c_i): one scalar per pixel, whatever the number of channels. With G = dL/dalpha_i alpha_i, which is the gradient of
// the exponent, a pair (Gaussian, tile) is summed up by the six moments G, G dx, G dy, G dx^2, G dx dy, G dy^2 and by the
// channels' gradients w_i v. Each pair writes them to a slot of its own; no two threads meet. The absolute gradients of AbsGS
// (Ye et al. 2024) are sums of |G Q d| over the pixels, and cannot be had from moments.
#include "blocks.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

template <int kChannels, bool kAbsolute>
class BackwardTile : Tile<tile_size(kChannels), record_stride(kChannels)> {
    using Base = Tile<tile_size(kChannels), record_stride(kChannels)>;
    using Base::inside_, Base::kSlots, Base::left_, Base::top_, Base::transmittance_, Base::view_;
    static constexpr int kSums = slot_stride(kChannels);

  public:
    BackwardTile(const ViewState& view, int tile, const ChannelGroup& group, const ImageIn& in) : Base(view, tile) {
        for_each_block(inside_, [&](int block) { read_block(block, group, in); });
    }

    void composite(uint32_t begin, uint32_t end, float* slots, uint8_t* slot_used) {
        this->for_each_pair(begin, end, [&](const Record& r, uint64_t blocks, uint32_t pair) LANES_INLINED {
            const uint32_t slot = view_.pair_slots.data()[pair];
            float* sums = slots + static_cast<size_t>(slot) * kSums;
            __builtin_prefetch(sums, 1);
            const uint64_t stopped = add(r, blocks, sums);
            slot_used[slot] = 1;
            return stopped;
        });
    }

  private:
    LANES_INLINE void read_block(int block, const ChannelGroup& group, const ImageIn& in) {
        const int x0 = this->column_of(block, 0), y0 = this->row_of(block, 0), i = block * 16;
        const int width = view_.camera.width;
        // Pixels from the block's first. Those outside the image have stopped before they begin, so any will do for them.
        alignas(64) int32_t offset[16];
        alignas(64) float transmittance[16];
        for (int lane = 0; lane < 16; lane++) {
            const bool inside = this->is_inside(this->column_of(block, lane), this->row_of(block, lane));
            offset[lane] = inside ? lane / 4 * width + lane % 4 : 0;
            transmittance[lane] = inside ? 1.f : -1.f;
        }
        const size_t pixel = this->pixel_at(x0, y0), first = pixel * group.image_channels + group.first;
        Float16 rest = 0.f;
        if (in.grad_alpha) rest = (gather(in.alpha + pixel, offset, 1) - 1.f) * gather(in.grad_alpha + pixel, offset, 1);
        for (int c = 0; c < kChannels; c++) {
            Float16 grad = 0.f;
            if (c < group.used) {
                grad = gather(in.grad_image + first + c, offset, group.image_channels);
                rest = fma(grad, gather(in.image + first + c, offset, group.image_channels), rest);
            }
            store(grad_[c] + i, grad);
        }
        store(rest_ + i, rest);
        store(transmittance_ + i, load(transmittance));
    }

    // Takes one Gaussian back through the given blocks; returns those in which every pixel has stopped.
    LANES_INLINE uint64_t add(const Record& r, uint64_t blocks, float* slot) {
        const float* channels = r.channels();
        const Float16 x = r.x - static_cast<float>(left_), y = r.y - static_cast<float>(top_);
        const Float16 conic_xx = r.conic_xx(), conic_xy = r.conic_xy(), conic_yy = r.conic_yy();
        Float16 sums[kSums];
#pragma GCC unroll 32
        for (int k = 0; k < kSums; k++) sums[k] = 0.f;
        const uint64_t stopped = this->blend(r, blocks, [&](int i, const Blend& blend, Float16 before) LANES_INLINED {
            const float* grad = &grad_[0][i];
            Float16 dot = 0.f;  // v . c
#pragma GCC unroll 16
            for (int c = 0; c < kChannels; c++) {
                const Float16 v = load(grad + c * kSlots * 16);
                dot = fma(v, channels[c], dot);
                sums[kMoments + c] = fma(blend.weight, v, sums[kMoments + c]);
            }
            const Float16 behind = fnma(blend.weight, dot, load(rest_ + i));
            store(rest_ + i, behind);
            const Float16 grad_alpha = fnma(behind, reciprocal(Float16(1.f) - blend.alpha), before * dot);
            // A capped alpha does not answer to its Gaussian.
            const Mask16 answers = blend.drawn & (blend.raw_alpha <= kMaxAlpha);
            const Float16 g = zero_unless(answers, blend.raw_alpha * grad_alpha);
            const Float16 dx = load(kBlockTables.x + i) - x, dy = load(kBlockTables.y + i) - y;
            const Float16 gx = g * dx, gy = g * dy;
            sums[0] = sums[0] + g;
            sums[1] = sums[1] + gx;
            sums[2] = sums[2] + gy;
            sums[3] = fma(gx, dx, sums[3]);
            sums[4] = fma(gx, dy, sums[4]);
            sums[5] = fma(gy, dy, sums[5]);
            if (kAbsolute) {
                sums[kMoments + kChannels] = sums[kMoments + kChannels] + abs(fma(conic_xx, gx, conic_xy * gy));
                sums[kMoments + kChannels + 1] = sums[kMoments + kChannels + 1] + abs(fma(conic_xy, gx, conic_yy * gy));
            }
        });
        for (int k = 0; k < kSums; k += 16) store_sums(slot + k, sums + k);
        return stopped;
    }

    alignas(64) float rest_[kSlots * 16];
    alignas(64) float grad_[kChannels][kSlots * 16];
};

template <int kChannels, bool kAbsolute>
void composite(const ViewState& view, const ChannelGroup& group, const ImageIn& in, Scratch& scratch, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        BackwardTile<kChannels, kAbsolute> tile(view, index, group, in);
        tile.composite(starts[index], starts[index + 1], scratch.slots.data(), scratch.slot_used.data());
    });
}

template <bool kAbsolute>
void composite(const ViewState& view, const ChannelGroup& group, const ImageIn& in, Scratch& scratch, int threads) {
    switch (group.padded) {
        case 1: return composite<1, kAbsolute>(view, group, in, scratch, threads);
        case 3: return composite<3, kAbsolute>(view, group, in, scratch, threads);
        case 4: return composite<4, kAbsolute>(view, group, in, scratch, threads);
        case 6: return composite<6, kAbsolute>(view, group, in, scratch, threads);
        case 8: return composite<8, kAbsolute>(view, group, in, scratch, threads);
        default: return composite<16, kAbsolute>(view, group, in, scratch, threads);
    }
}

}  // namespace

// Fills scratch.slots where it marks scratch.slot_used; both reserved before, the marks cleared.
void composite_backward(
    const ViewState& view, const ChannelGroup& group, const ImageIn& in, Scratch& scratch, bool absolute, int threads) {
    if (absolute) return composite<true>(view, group, in, scratch, threads);
    return composite<false>(view, group, in, scratch, threads);
}

}  // namespace splatmem::SPLATMEM_ISA
