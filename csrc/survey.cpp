// Beside the picture, from the same weights (composite_forward.cpp): the median depth of every pixel, and what every Gaussian
// contributes to the picture.
//
// The median depth is that of the last Gaussian drawn while the transmittance is above 1/2 (Huang et al. 2024, "2D Gaussian
// Splatting", as gsplat has it). The contribution of a Gaussian is the sum of its weights over the pixels, each pixel with a
// weight of its own. Every (Gaussian, tile) pair has a slot for its part, so no two threads meet and the order of sums is fixed.
#include "blocks.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

template <int kTile, int kStride>
class SurveyTile : Tile<kTile, kStride> {
    using Base = Tile<kTile, kStride>;
    using Base::inside_, Base::kSlots, Base::transmittance_, Base::view_;

  public:
    SurveyTile(const ViewState& view, int tile, const float* pixel_weights) : Base(view, tile) {
        for_each_pixel([&](int i, size_t pixel, bool inside) {
            transmittance_[i] = inside ? 1.f : -1.f;
            medians_[i] = 0.f;
            weights_[i] = inside && pixel_weights ? pixel_weights[pixel] : 1.f;
        });
    }

    // Writes what each pair contributes to its slot.
    void composite(uint32_t begin, uint32_t end, float* slots) {
        this->for_each_pair(begin, end, [&](const Record& r, uint64_t blocks, uint32_t pair) {
            const float depth = view_.depths.data()[view_.pair_records.data()[pair]];
            Float16 sum = 0.f;
            const uint64_t stopped = this->blend(r, blocks, [&](int i, const Blend& blend, Float16 before) {
                sum = fma(blend.weight, load(weights_ + i), sum);
                store(medians_ + i, select(blend.drawn & (before > 0.5f), depth, load(medians_ + i)));
            });
            alignas(64) float lanes[16];
            store(lanes, sum);
            float total = 0.f;
            for (const float lane : lanes) total += lane;
            slots[view_.pair_slots.data()[pair]] = total;
            return stopped;
        });
    }

    void write_medians(float* out) const {
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
    alignas(64) float weights_[kSlots * 16];
};

template <int kTile, int kStride>
void survey_tiles(const ViewState& view, const Survey& survey, float* slots, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        SurveyTile<kTile, kStride> tile(view, index, survey.pixel_weights);
        tile.composite(starts[index], starts[index + 1], slots);
        if (survey.median_depth) tile.write_medians(survey.median_depth);
    });
}

}  // namespace

void survey(const ViewState& view, const Survey& survey, Scratch& scratch, int threads) {
    float* slots = scratch.slots.reserve(view.pairs);
    std::memset(slots, 0, view.pairs * sizeof(float));
    if (view.tile == 16) {
        survey_tiles<16, 32>(view, survey, slots, threads);
    } else if (view.stride == 16) {
        survey_tiles<32, 16>(view, survey, slots, threads);
    } else {
        survey_tiles<32, 32>(view, survey, slots, threads);
    }
    if (survey.contributions == nullptr) return;
    std::memset(survey.contributions, 0, survey.gaussians * sizeof(float));
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            const float* slot = slots + chunk.first_pair + view.pair_offsets.data()[at];
            float sum = 0.f;
            for (uint32_t pair = 0; pair < view.boxes.data()[at].area(); pair++) sum += slot[pair];
            survey.contributions[view.gaussian_ids.data()[at]] = sum;
        }
    });
}

}  // namespace splatmem::SPLATMEM_ISA
