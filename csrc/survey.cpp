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

template <int kTile>
class SurveyTile {
    static constexpr int kSlots = kBlockSlots<kTile>;

  public:
    SurveyTile(const ViewState& view, int tile, const float* pixel_weights)
        : view_(view),
          left_(tile % view.tiles_x * kTile),
          top_(tile / view.tiles_x * kTile),
          inside_(blocks_in_image<kTile>(left_, top_, view.camera.width, view.camera.height)) {
        for_each_pixel([&](int i, size_t pixel, bool inside) {
            transmittance_[i] = inside ? 1.f : -1.f;
            medians_[i] = 0.f;
            weights_[i] = inside && pixel_weights ? pixel_weights[pixel] : 1.f;
        });
    }

    template <int kStride>
    void composite(uint32_t begin, uint32_t end, float* slots) {
        uint64_t alive = inside_;
        Batch batch;
        const float left = static_cast<float>(left_), top = static_cast<float>(top_);
        while (begin < end && alive) {
            const uint32_t batch_end = begin + kBatch < end ? begin + kBatch : end;
            load_batch<kTile, kStride>(batch, view_, begin, batch_end, left, top, alive);
            uint64_t stopped = 0;
            for (uint32_t i = 0; i < batch_end - begin; i++) {
                if (!batch.blocks[i]) continue;
                const float depth = view_.depths.data()[view_.pair_records.data()[begin + i]];
                stopped |= add(*batch.record[i], batch.blocks[i], depth, slots + view_.pair_slots.data()[begin + i]);
            }
            alive &= ~stopped;
            begin = batch_end;
        }
    }

    void write_medians(float* out) const {
        for_each_pixel([&](int i, size_t pixel, bool inside) {
            if (inside) out[pixel] = medians_[i];
        });
    }

  private:
    template <class Visit>
    void for_each_pixel(Visit visit) const {
        const int width = view_.camera.width, height = view_.camera.height;
        for_each_block(inside_, [&](int block) {
            for (int lane = 0; lane < 16; lane++) {
                const int x = left_ + block % 8 * 4 + lane % 4, y = top_ + block / 8 * 4 + lane / 4;
                visit(block * 16 + lane, static_cast<size_t>(y) * width + x, x < width && y < height);
            }
        });
    }

    // Adds one Gaussian to the given blocks and writes its contribution; returns those in which every pixel has stopped.
    LANES_INLINE uint64_t add(const Record& r, uint64_t blocks, float depth, float* contribution) {
        const Float16 x = r.x - static_cast<float>(left_), y = r.y - static_cast<float>(top_);
        uint64_t stopped = 0;
        Float16 sum = 0.f;
        for_each_block(blocks, [&](int block) {
            float* transmittance = transmittance_ + block * 16;
            float* median = medians_ + block * 16;
            const Float16 before = load(transmittance);
            const Blend blend(r, x, y, block, before);
            sum = fma(blend.weight, load(weights_ + block * 16), sum);
            store(median, select(blend.drawn & (before > 0.5f), depth, load(median)));
            store(transmittance, blend.transmittance);
            stopped |= uint64_t{all_negative(blend.transmittance)} << block;
        });
        alignas(64) float lanes[16];
        store(lanes, sum);
        float total = 0.f;
        for (const float lane : lanes) total += lane;
        *contribution = total;
        return stopped;
    }

    const ViewState& view_;
    const int left_, top_;
    const uint64_t inside_;
    alignas(64) float transmittance_[kSlots * 16];
    alignas(64) float medians_[kSlots * 16];
    alignas(64) float weights_[kSlots * 16];
};

template <int kTile, int kStride>
void survey_tiles(const ViewState& view, const Survey& survey, float* slots, int threads) {
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(view.tiles_x * view.tiles_y, threads, [&](int index) {
        SurveyTile<kTile> tile(view, index, survey.pixel_weights);
        tile.template composite<kStride>(starts[index], starts[index + 1], slots);
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
