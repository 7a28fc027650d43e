// The median depth of every pixel: that of the last Gaussian drawn while the transmittance is above 1/2 (Huang et al. 2024, "2D
// Gaussian Splatting", as gsplat has it).
#include "blocks.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

template <int kTile, int kStride>
class MedianTile : Tile<kTile, kStride> {
    using Base = Tile<kTile, kStride>;
    using Base::inside_, Base::kSlots, Base::transmittance_, Base::view_;

  public:
    MedianTile(const ViewState& view, int tile) : Base(view, tile) {
        for_each_pixel([&](int i, size_t, bool inside) {
            transmittance_[i] = inside ? 1.f : -1.f;
            medians_[i] = 0.f;
        });
    }

    void composite(uint32_t begin, uint32_t end) {
        this->for_each_pair(begin, end, [&](const Record& r, uint64_t blocks, uint32_t pair) {
            const float depth = view_.depths.data()[view_.pair_records.data()[pair]];
            return this->blend(r, blocks, [&](int i, const Blend& blend, Float16 before) {
                store(medians_ + i, select(blend.drawn & (before > 0.5f), depth, load(medians_ + i)));
            });
        });
    }

    void write(float* out) const {
        for_each_pixel([&](int i, size_t pixel, bool inside) {
            if (inside) out[pixel] = medians_[i];
        });
    }

  private:
    template <class Visit>
    void for_each_pixel(Visit visit) const {
        for_each_block(inside_, [&](int block) {
            for (int lane = 0; lane < 16; lane++) {
                const int x = this->column_of(block, lane), y = this->row_of(block, lane);
                visit(block * 16 + lane, this->pixel_at(x, y), this->is_inside(x, y));
            }
        });
    }

    alignas(64) float medians_[kSlots * 16];
};

template <int kTile, int kStride>
void draw_tiles(const ViewState& view, float* depth, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        MedianTile<kTile, kStride> tile(view, index);
        tile.composite(starts[index], starts[index + 1]);
        tile.write(depth);
    });
}

}  // namespace

void median_depth(const ViewState& view, float* depth, int threads) {
    if (view.tile == 16) {
        draw_tiles<16, 32>(view, depth, threads);
    } else if (view.stride == 16) {
        draw_tiles<32, 16>(view, depth, threads);
    } else {
        draw_tiles<32, 32>(view, depth, threads);
    }
}

}  // namespace splatmem::SPLATMEM_ISA
