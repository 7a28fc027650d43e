// Stage 3: composites each tile's Gaussians from front to back (Kerbl et al. 2023):
//
//   weight_i = alpha_i prod_{j < i} (1 - alpha_j),  image = sum_i weight_i channels_i + T background,  alpha = 1 - T,
//
// with T the transmittance that is left. Work goes block by block, and only to the blocks that a Gaussian reaches.
#include "blocks.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

template <int kChannels>
class ForwardTile : Tile<tile_size(kChannels), record_stride(kChannels)> {
    using Base = Tile<tile_size(kChannels), record_stride(kChannels)>;
    using Base::inside_, Base::kSlots, Base::transmittance_;

  public:
    ForwardTile(const ViewState& view, int tile) : Base(view, tile) {
        for_each_block(inside_, [&](int block) {
            store(transmittance_ + block * 16, 1.f);
            for (int c = 0; c < kChannels; c++) store(sums_[c] + block * 16, 0.f);
        });
    }

    void composite(uint32_t begin, uint32_t end) {
        this->for_each_pair(begin, end, [&](const Record& r, uint64_t blocks, uint32_t) LANES_INLINED {
            const float* channels = r.channels();
            return this->blend(r, blocks, [&](int i, const Blend& blend, Float16) LANES_INLINED {
                float* sums = &sums_[0][i];
#pragma GCC unroll 16
                for (int c = 0; c < kChannels; c++)
                    store(sums + c * kSlots * 16, fma(blend.weight, channels[c], load(sums + c * kSlots * 16)));
            });
        });
    }

    void write(const ChannelGroup& group, const ImageOut& out) const {
        for_each_block(inside_, [&](int block) {
            const int i = block * 16;
            const Float16 left_over = abs(load(transmittance_ + i));
            Float16 channels[16];
            for (int c = 0; c < 16; c++) channels[c] = c < kChannels ? load(sums_[c < kChannels ? c : 0] + i) : Float16(0.f);
            if (out.background)
                for (int c = 0; c < group.used; c++) channels[c] = fma(left_over, out.background[group.first + c], channels[c]);
            alignas(64) float pixels[16][16], alpha[16];
            store_transposed(pixels, channels);
            store(alpha, Float16(1.f) - left_over);
            write_block(block, group, out, pixels, alpha);
        });
    }

  private:
    LANES_INLINE void write_block(
        int block, const ChannelGroup& group, const ImageOut& out, const float (*pixels)[16], const float* alpha) const {
        for (int lane = 0; lane < 16; lane++) {
            const int x = this->column_of(block, lane), y = this->row_of(block, lane);
            if (!this->is_inside(x, y)) continue;
            const size_t pixel = this->pixel_at(x, y);
            float* image = out.image + pixel * group.image_channels + group.first;
            if (group.used == kChannels) {  // of a length that the compiler knows
                std::memcpy(image, pixels[lane], kChannels * sizeof(float));
            } else {
                for (int c = 0; c < group.used; c++) image[c] = pixels[lane][c];
            }
            if (out.alpha) out.alpha[pixel] = alpha[lane];
        }
    }

    alignas(64) float sums_[kChannels][kSlots * 16];
};

template <int kChannels>
void composite(const ViewState& view, const ChannelGroup& group, const ImageOut& out, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        ForwardTile<kChannels> tile(view, index);
        tile.composite(starts[index], view.end_of(index));
        tile.write(group, out);
    });
}

}  // namespace

void composite_forward(const ViewState& view, const ChannelGroup& group, const ImageOut& out, int threads) {
    switch (group.padded) {
        case 1: return composite<1>(view, group, out, threads);
        case 3: return composite<3>(view, group, out, threads);
        case 4: return composite<4>(view, group, out, threads);
        case 6: return composite<6>(view, group, out, threads);
        case 8: return composite<8>(view, group, out, threads);
        default: return composite<16>(view, group, out, threads);
    }
}

}  // namespace splatmem::SPLATMEM_ISA
