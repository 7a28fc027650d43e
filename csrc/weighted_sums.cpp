// Sums of a picture's values for every Gaussian, each value times the weight with which the Gaussian is blended there
// (composite_forward.cpp): what compositing transposes to. Of a picture of ones it is what the Gaussian contributes.
//
// Every (Gaussian, tile) pair has a slot for its part, so no two threads meet and the order of sums is fixed.
#include <algorithm>

#include "blocks.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

template <int kTile, int kStride, int kChannels>
class SummingTile : Tile<kTile, kStride> {
    using Base = Tile<kTile, kStride>;
    using Base::inside_, Base::kSlots, Base::transmittance_, Base::view_;

  public:
    SummingTile(const ViewState& view, int tile, const float* picture) : Base(view, tile) {
        for_each_block(inside_, [&](int block) {
            for (int lane = 0; lane < 16; lane++) {
                const int x = this->column_of(block, lane), y = this->row_of(block, lane), i = block * 16 + lane;
                const bool inside = this->is_inside(x, y);
                transmittance_[i] = inside ? 1.f : -1.f;
                for (int c = 0; c < kChannels; c++)
                    values_[c][i] = !inside ? 0.f : picture ? picture[this->pixel_at(x, y) * kChannels + c] : 1.f;
            }
        });
    }

    // Writes the sums of each pair whose slot lies in [first, last) to sums[slot - first].
    void composite(uint32_t begin, uint32_t end, uint32_t first, uint32_t last, float* sums) {
        this->for_each_pair(begin, end, [&](const Record& r, uint64_t blocks, uint32_t pair) LANES_INLINED {
            const uint32_t slot = view_.pair_slots.data()[pair];
            if (slot < first || slot >= last) return this->blend(r, blocks, [](int, const Blend&, Float16) LANES_INLINED {});
            Float16 sum[kChannels];
            for (Float16& channel : sum) channel = 0.f;
            const uint64_t stopped = this->blend(r, blocks, [&](int i, const Blend& blend, Float16) LANES_INLINED {
                for (int c = 0; c < kChannels; c++) sum[c] = fma(blend.weight, load(values_[c] + i), sum[c]);
            });
            float* out = sums + static_cast<size_t>(slot - first) * kChannels;
            for (int c = 0; c < kChannels; c++) {
                alignas(64) float lanes[16];
                store(lanes, sum[c]);
                float total = 0.f;
                for (const float lane : lanes) total += lane;
                out[c] = total;
            }
            return stopped;
        });
    }

  private:
    alignas(64) float values_[kChannels][kSlots * 16];
};

template <int kTile, int kStride, int kChannels>
void sum_tiles(const ViewState& view, const float* picture, uint32_t first, uint32_t last, float* sums, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        const uint32_t begin = starts[index], end = view.end_of(index);
        if (begin == end) return;
        SummingTile<kTile, kStride, kChannels> tile(view, index, picture);
        tile.composite(begin, end, first, last, sums);
    });
}

template <int kChannels>
void sums_of(const ViewState& view, const WeightedSums& wanted, Scratch& scratch, int threads) {
    const bool all = view.tile_ends.data() == nullptr;
    const uint32_t first = all ? 0 : view.first_slot, last = all ? static_cast<uint32_t>(view.pairs) : view.last_slot;
    const size_t count = static_cast<size_t>(last - first) * kChannels;
    float* slots = scratch.slots.reserve(count);
    std::fill(slots, slots + count, 0.f);
    if (view.tile == 16) {
        sum_tiles<16, 32, kChannels>(view, wanted.picture, first, last, slots, threads);
    } else if (view.stride == 16) {
        sum_tiles<32, 16, kChannels>(view, wanted.picture, first, last, slots, threads);
    } else {
        sum_tiles<32, 32, kChannels>(view, wanted.picture, first, last, slots, threads);
    }
    const auto [begin, end] = wanted.range;
    std::fill(wanted.sums, wanted.sums + static_cast<size_t>(end - begin) * kChannels, 0.f);
    const int first_chunk = static_cast<int>(begin / kChunk);
    parallel_for(chunks_of(end) - first_chunk, threads, [&, begin = begin, end = end](int i) {
        const size_t k = static_cast<size_t>(first_chunk + i);
        const Chunk& chunk = view.chunks.data()[k];
        for (uint32_t seen = 0; seen < chunk.visible; seen++) {
            const size_t at = k * kChunk + seen;
            const int64_t gaussian = view.gaussian_ids.data()[at];
            if (gaussian < begin || gaussian >= end) continue;
            const float* slot = slots + static_cast<size_t>(chunk.first_pair + view.pair_offsets.data()[at] - first) * kChannels;
            float* sum = wanted.sums + (gaussian - begin) * kChannels;
            for (uint32_t pair = 0; pair < view.boxes.data()[at].area(); pair++)
                for (int c = 0; c < kChannels; c++) sum[c] += slot[pair * kChannels + c];
        }
    });
}

}  // namespace

void weighted_sums(const ViewState& view, const WeightedSums& wanted, Scratch& scratch, int threads) {
    if (wanted.channels == 1) return sums_of<1>(view, wanted, scratch, threads);
    sums_of<3>(view, wanted, scratch, threads);
}

}  // namespace splatmem::SPLATMEM_ISA
