// Tiles as compositing sees them: 4x4-pixel blocks, one register of sixteen lanes each. Block b of a tile lies at column b % 8
// and row b / 8 for every tile size, so that a set of blocks is a 64-bit mask.
#pragma once

#include "lanes.h"
#include "view.h"

namespace splatmem::SPLATMEM_ISA {

// One more than the largest block index of a tile.
template <int kTile>
constexpr int kBlockSlots = (kTile / 4 - 1) * 8 + kTile / 4;

// Made by the compiler: code that ran when the library is loaded would run on processors without the instruction set.
struct BlockTables {
    alignas(64) float x[64 * 16]{}, y[64 * 16]{};  // offsets of the blocks' pixels in the tile
    alignas(64) float row_top[16]{};               // first pixel row of block row (lane % 8)
    alignas(64) float side[16]{};  // 1 in lanes 0-7, for the right ends of the rows; -1 in 8-15, for the left ends
    alignas(64) float quarter_side[16]{}, end_offset[16]{}, end_bias[16]{};

    constexpr BlockTables() {
        for (int i = 0; i < 64 * 16; i++) {
            const int block = i / 16, lane = i % 16;
            x[i] = static_cast<float>(block % 8 * 4 + lane % 4);
            y[i] = static_cast<float>(block / 8 * 4 + lane / 4);
        }
        for (int lane = 0; lane < 16; lane++) {
            const bool right = lane < 8;
            row_top[lane] = static_cast<float>(lane % 8 * 4);
            side[lane] = right ? 1.f : -1.f;
            quarter_side[lane] = 0.25f * side[lane];
            end_offset[lane] = right ? 0.f : 0.75f;
            end_bias[lane] = right ? 1.f : 0.f;
        }
    }
};
static constexpr BlockTables kBlockTables;

// Calls visit(block) for every block of a set.
template <class Visit>
LANES_INLINE void for_each_block(uint64_t blocks, Visit visit) {
    for (; blocks; blocks &= blocks - 1) visit(__builtin_ctzll(blocks));
}

// The blocks of a tile that lie at least partly inside the image.
template <int kTile>
uint64_t blocks_in_image(int left, int top, int width, int height) {
    uint64_t blocks = 0;
    for (int y = 0; y < kTile && top + y < height; y += 4)
        for (int x = 0; x < kTile && left + x < width; x += 4) blocks |= uint64_t{1} << (y / 4 * 8 + x / 4);
    return blocks;
}

// Byte r of the result is the set of columns [begin, end) where `ends` holds end in lane r and begin in lane 8 + r.
LANES_INLINE uint64_t column_sets(Float16 ends, unsigned rows) {
    alignas(64) float column[16];
    store(column, ends);
    uint64_t blocks = 0;
    for (; rows; rows &= rows - 1) {
        const int row = __builtin_ctz(rows);
        const int set = (1 << static_cast<int>(column[row])) - (1 << static_cast<int>(column[8 + row]));
        if (set > 0) blocks |= static_cast<uint64_t>(set) << (8 * row);
    }
    return blocks;
}
#if defined(__AVX2__)
LANES_INLINE uint64_t pack_columns(__m256i end, __m256i begin, unsigned rows) {
    const __m256i one = _mm256_set1_epi32(1), row_bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_sub_epi32(_mm256_sllv_epi32(one, end), _mm256_sllv_epi32(one, begin));
    const __m256i chosen = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(rows)), row_bit), row_bit);
    set = _mm256_and_si256(_mm256_max_epi32(set, _mm256_setzero_si256()), chosen);
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(set), _mm256_extracti128_si256(set, 1));
    return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(words, words)));
}
#endif
#if defined(__AVX512F__) && defined(__AVX512DQ__)
LANES_INLINE uint64_t column_sets(Register ends, unsigned rows) {
    const __m512i columns = _mm512_cvttps_epi32(ends.v);
    return pack_columns(_mm512_castsi512_si256(columns), _mm512_extracti32x8_epi32(columns, 1), rows);
}
#elif defined(__AVX2__)
LANES_INLINE uint64_t column_sets(WideRegister<Register> ends, unsigned rows) {
    return pack_columns(_mm256_cvttps_epi32(ends.lo.v), _mm256_cvttps_epi32(ends.hi.v), rows);
}
#endif

// The blocks that a Gaussian's ellipse reaches, exactly, for a mean at (x, y) in the tile: for every row of blocks, the
// rightmost and the leftmost column that the ellipse attains within the row's four lines of pixels.
template <int kTile>
LANES_INLINE uint64_t blocks_reached(const Record& r, float x, float y) {
    constexpr int kRows = kTile / 4;
    const BlockTables& tables = kBlockTables;
    const Float16 side = load(tables.side);
    const Float16 top = load(tables.row_top) - y, bottom = top + 3.f;
    const Float16 dy = clamp(side * r.tilt, top, bottom);  // where in the row the ellipse is widest
    const Float16 half_chord = sqrt(max(fnma(r.narrowing * dy, dy, r.reach), 0.f));
    const Float16 end = fma(side, half_chord, fma(r.slope, dy, x));
    const unsigned rows = bits((bottom >= -r.half_height) & (top <= r.half_height)) & ((1u << kRows) - 1);
    // Right: the last block that begins at or before the end, plus one. Left: the first whose last pixel is at or after it.
    const Float16 column =
        fma(side, floor(fma(end, load(tables.quarter_side), load(tables.end_offset))), load(tables.end_bias));
    return column_sets(clamp(column, 0.f, static_cast<float>(kRows)).v, rows);
}

// A tile's list of pairs, taken in batches whose block masks are found together: the records' cache misses overlap.
constexpr uint32_t kBatch = 8;

struct Batch {
    const Record* record[kBatch];
    uint64_t blocks[kBatch];
};

template <int kTile, int kStride>
LANES_INLINE void load_batch(
    Batch& batch, const ViewState& view, uint32_t begin, uint32_t end, float left, float top, uint64_t alive) {
    const float* records = view.records.data();
    const uint32_t* pairs = view.pair_records.data();
    for (uint32_t pair = begin; pair < end; pair++) {
        const float* ahead = records + static_cast<size_t>(pairs[pair + kPairsAhead]) * kStride;
        for (int line = 0; line < kStride; line += 16) __builtin_prefetch(ahead + line);
        const Record& r = *reinterpret_cast<const Record*>(records + static_cast<size_t>(pairs[pair]) * kStride);
        batch.record[pair - begin] = &r;
        batch.blocks[pair - begin] = blocks_reached<kTile>(r, r.x - left, r.y - top) & alive;
    }
}

// The logarithm of a Gaussian's alpha in the pixels of a tile, at (x, y) from the tile's first: a constant less two squares,
//
//   log2 alpha = log2_opacity - (across_x x + across_y y + across_0)^2 - (along_y y + along_0)^2.
struct Falloff {
    Float16 across_x, across_y, across_0, along_y, along_0, log2_opacity;

    // (x, y): the mean.
    LANES_INLINE Falloff(const Record& r, float x, float y)
        : across_x(r.root_xx),
          across_y(r.root_xy),
          across_0(-(r.root_xx * x + r.root_xy * y)),
          along_y(r.root_yy),
          along_0(-(r.root_yy * y)),
          log2_opacity(r.log2_opacity) {}

    LANES_INLINE Float16 alpha(int block) const {
        const Float16 x = load(kBlockTables.x + block * 16), y = load(kBlockTables.y + block * 16);
        const Float16 across = fma(across_x, x, fma(across_y, y, across_0)), along = fma(along_y, y, along_0);
        return exp2(fnma(across, across, fnma(along, along, log2_opacity)));
    }
};

// What one Gaussian does to one block, before colours. A pixel that has stopped keeps the negative of its last transmittance.
struct Blend {
    Float16 raw_alpha;      // opacity times falloff
    Float16 alpha;          // capped
    Mask16 drawn;           // pixels that receive the Gaussian
    Float16 weight;         // alpha times transmittance where drawn, else 0
    Float16 transmittance;  // afterwards

    LANES_INLINE Blend(const Falloff& falloff, int block, Float16 before) {
        raw_alpha = falloff.alpha(block);
        alpha = min(raw_alpha, kMaxAlpha);
        const Mask16 reached = alpha >= kMinAlpha;
        const Float16 after = fnma(alpha, before, before);  // negative if the pixel has stopped
        drawn = reached & (after > kMinTransmittance);
        weight = zero_unless(drawn, alpha * before);
        transmittance = select(drawn, after, negative_where(reached, before));
    }
};

// One tile of an image while its Gaussians are blended from front to back: what the stages that do so share.
template <int kTile, int kStride>
class Tile {
  protected:
    static constexpr int kSlots = kBlockSlots<kTile>;

    // Leaves the transmittance of the blocks `inside_` to be set.
    Tile(const ViewState& view, int tile)
        : view_(view),
          left_(tile % view.tiles_x * kTile),
          top_(tile / view.tiles_x * kTile),
          inside_(blocks_in_image<kTile>(left_, top_, view.camera.width, view.camera.height)) {}

    // Calls add(record, blocks, pair) for the pairs [begin, end) of which something reaches blocks where a pixel is left; it
    // returns those where none is. They are left out from the next batch on, so that no Gaussian waits for the one before it.
    template <class Add>
    LANES_INLINE void for_each_pair(uint32_t begin, uint32_t end, Add add) {
        uint64_t alive = inside_;
        Batch batch;
        while (begin < end && alive) {
            const uint32_t batch_end = begin + kBatch < end ? begin + kBatch : end;
            load_batch<kTile, kStride>(
                batch, view_, begin, batch_end, static_cast<float>(left_), static_cast<float>(top_), alive);
            uint64_t stopped = 0;
            for (uint32_t i = 0; i < batch_end - begin; i++)
                if (batch.blocks[i]) stopped |= add(*batch.record[i], batch.blocks[i], begin + i);
            alive &= ~stopped;
            begin = batch_end;
        }
    }

    // Blends a Gaussian into blocks, calling visit(i, blend, before) for each, whose pixels lie at i, with their transmittance
    // before; returns the blocks in which every pixel has stopped.
    template <class Visit>
    LANES_INLINE uint64_t blend(const Record& r, uint64_t blocks, Visit visit) {
        const Falloff falloff(r, r.x - static_cast<float>(left_), r.y - static_cast<float>(top_));
        uint64_t stopped = 0;
        for_each_block(blocks, [&](int block) {
            float* transmittance = transmittance_ + block * 16;
            const Float16 before = load(transmittance);
            const Blend blend(falloff, block, before);
            visit(block * 16, blend, before);
            store(transmittance, blend.transmittance);
            stopped |= uint64_t{all_negative(blend.transmittance)} << block;
        });
        return stopped;
    }

    // Where lane `lane` of a block lies in the image.
    int column_of(int block, int lane) const { return left_ + block % 8 * 4 + lane % 4; }
    int row_of(int block, int lane) const { return top_ + block / 8 * 4 + lane / 4; }
    bool is_inside(int x, int y) const { return x < view_.camera.width && y < view_.camera.height; }
    size_t pixel_at(int x, int y) const { return static_cast<size_t>(y) * view_.camera.width + x; }

    const ViewState& view_;
    const int left_, top_;
    const uint64_t inside_;  // blocks
    alignas(64) float transmittance_[kSlots * 16];
};

}  // namespace splatmem::SPLATMEM_ISA
