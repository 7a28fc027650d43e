// Stage 2: sorts the visible Gaussians by depth and lists, for every tile, those that touch it from front to back.
//
// One sort of Gaussians and a stable counting sort of pairs replace the sort of (tile, depth) keys of 3DGS. Everything is
// stable, so the result does not depend on the number of threads: ties in depth keep the scene's order.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "threads.h"
#include "view.h"

namespace splatmem {
namespace {

constexpr int kMaxDigitBits = 13;
constexpr int64_t kMaxPairs = int64_t{1} << 31;
constexpr int kPrefetchAhead = 24;

int64_t share(int64_t count, int part, int parts) { return count * part / parts; }

// Running sums over the chunks; returns the range of depth bits.
std::pair<uint32_t, uint32_t> sum_chunks(ViewState& view) {
    uint32_t visible = 0, low = ~0u, high = 0;
    int64_t pairs = 0;
    for (int k = 0; k < view.chunk_count; k++) {
        Chunk& chunk = view.chunks.data()[k];
        chunk.first_visible = visible;
        chunk.first_pair = static_cast<uint32_t>(pairs);
        visible += chunk.visible;
        pairs += chunk.pairs;
        if (pairs > kMaxPairs) throw std::length_error("more than 2^31 (Gaussian, tile) pairs: render a smaller image or scene");
        low = std::min(low, chunk.min_depth);
        high = std::max(high, chunk.max_depth);
    }
    view.visible = visible;
    view.pairs = pairs;
    return {low, high};
}

// Keys hold the depth's bits, less the smallest, above the record's index. Depths are positive, so their bits sort as they do.
void make_keys(const ViewState& view, uint32_t min_depth, uint64_t* keys, int threads) {
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        uint64_t* out = keys + chunk.first_visible;
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const uint32_t record = static_cast<uint32_t>(k) * kChunk + i;
            uint32_t depth;
            std::memcpy(&depth, view.depths.data() + record, 4);
            out[i] = static_cast<uint64_t>(depth - min_depth) << 32 | record;
        }
    });
}

// Stable least-significant-digit radix sort on bits 32 to 32 + bit_count; returns whichever of the arrays holds the result.
uint64_t* radix_sort(uint64_t* keys, uint64_t* swap, int64_t count, int bit_count, Buffer<uint32_t>& buffer, int threads) {
    const int passes = (bit_count + kMaxDigitBits - 1) / kMaxDigitBits;
    for (int pass = 0, shift = 32; pass < passes; pass++) {
        const int digit_bits = (bit_count + passes - 1) / passes, digits = 1 << digit_bits;
        uint32_t* histogram = buffer.reserve(static_cast<size_t>(threads) * digits);
        const auto digit = [=](uint64_t key) { return static_cast<uint32_t>(key >> shift) & (digits - 1); };
        parallel_for(threads, threads, [&](int part) {
            uint32_t* own = histogram + static_cast<size_t>(part) * digits;
            std::fill(own, own + digits, 0u);
            for (int64_t i = share(count, part, threads), end = share(count, part + 1, threads); i < end; i++)
                own[digit(keys[i])]++;
        });
        uint32_t sum = 0;
        for (int d = 0; d < digits; d++)
            for (int part = 0; part < threads; part++)
                sum += std::exchange(histogram[static_cast<size_t>(part) * digits + d], sum);
        parallel_for(threads, threads, [&](int part) {
            uint32_t* next = histogram + static_cast<size_t>(part) * digits;
            for (int64_t i = share(count, part, threads), end = share(count, part + 1, threads); i < end; i++)
                swap[next[digit(keys[i])]++] = keys[i];
        });
        std::swap(keys, swap);
        shift += digit_bits;
    }
    return keys;
}

// Calls visit(tile, i) for the tiles of a box in row order, i counting them. Most boxes are at most 2x2: those make four calls
// without a branch, the absent ones with the tile `dummy` and whatever i.
template <class Visit>
inline void for_each_tile(TileBox box, int tiles_x, uint32_t dummy, Visit visit) {
    const uint32_t first = box.y0 * static_cast<uint32_t>(tiles_x) + box.x0;
    if (box.x1 - box.x0 <= 2 && box.y1 - box.y0 <= 2) {
        const bool wide = box.x1 - box.x0 == 2, high = box.y1 - box.y0 == 2;
        visit(first, 0u);
        visit(wide ? first + 1 : dummy, 1u);
        visit(high ? first + tiles_x : dummy, 1u + wide);
        visit(wide && high ? first + tiles_x + 1 : dummy, 3u);
        return;
    }
    uint32_t i = 0;
    for (uint32_t y = box.y0; y < box.y1; y++)
        for (uint32_t x = box.x0; x < box.x1; x++) visit(y * tiles_x + x, i++);
}

}  // namespace

void sort_and_bin(ViewState& view, Scratch& scratch, int threads) {
    const auto [min_depth, max_depth] = sum_chunks(view);
    const int64_t visible = view.visible, pairs = view.pairs;
    const uint32_t tiles = static_cast<uint32_t>(view.tiles_x) * view.tiles_y;

    uint64_t* keys = scratch.keys.reserve(visible + 1);
    make_keys(view, min_depth, keys, threads);
    int bit_count = 1;
    while (visible && bit_count < 32 && (max_depth - min_depth) >> bit_count) bit_count++;
    keys = radix_sort(keys, scratch.keys_swap.reserve(visible + 1), visible, bit_count, scratch.histogram, threads);

    // Counts per tile for each part of the sorted Gaussians. The parts' rows lie cache lines apart, and each ends with the
    // dummy tile, whose pairs go to a place of the part's own behind the real ones.
    const size_t row = (tiles + 1 + 31) / 16 * 16;
    uint32_t* counts = scratch.tile_counts.reserve(row * threads);
    TileBox* boxes = scratch.sorted_boxes.reserve(visible + 1);
    uint32_t* slots = scratch.sorted_slots.reserve(visible + 1);
    parallel_for(threads, threads, [&](int part) {
        uint32_t* count = counts + row * part;
        std::fill(count, count + tiles + 1, 0u);
        for (int64_t i = share(visible, part, threads), end = share(visible, part + 1, threads); i < end; i++) {
            if (i + kPrefetchAhead < visible) {
                const uint32_t ahead = static_cast<uint32_t>(keys[i + kPrefetchAhead]);
                __builtin_prefetch(view.boxes.data() + ahead);
                __builtin_prefetch(view.pair_offsets.data() + ahead);
            }
            const uint32_t record = static_cast<uint32_t>(keys[i]);
            boxes[i] = view.boxes.data()[record];
            slots[i] = view.chunks.data()[record / kChunk].first_pair + view.pair_offsets.data()[record];
            for_each_tile(boxes[i], view.tiles_x, tiles, [&](uint32_t tile, uint32_t) { count[tile]++; });
        }
    });

    uint32_t* starts = view.tile_starts.reserve(tiles + 1);
    uint32_t sum = 0;
    for (uint32_t tile = 0; tile < tiles; tile++) {
        starts[tile] = sum;
        for (int part = 0; part < threads; part++) sum += std::exchange(counts[row * part + tile], sum);
    }
    starts[tiles] = sum;
    constexpr int kDummyRoom = 64;
    for (int part = 0; part < threads; part++)
        counts[row * part + tiles] = static_cast<uint32_t>(pairs) + kDummyRoom * (1 + part);

    uint32_t* pair_records = view.pair_records.reserve(pairs + kDummyRoom * (threads + 2));
    uint32_t* pair_slots = view.pair_slots.reserve(pairs + kDummyRoom * (threads + 2));
    parallel_for(threads, threads, [&](int part) {
        uint32_t* next = counts + row * part;
        for (int64_t i = share(visible, part, threads), end = share(visible, part + 1, threads); i < end; i++) {
            const uint32_t record = static_cast<uint32_t>(keys[i]), slot = slots[i];
            for_each_tile(boxes[i], view.tiles_x, tiles, [&](uint32_t tile, uint32_t k) {
                const uint32_t at = next[tile];
                next[tile] = at + (tile != tiles);
                pair_records[at] = record;
                pair_slots[at] = slot + k;
            });
        }
    });
    // Compositing looks ahead of the list's end.
    std::fill(pair_records + pairs, pair_records + pairs + kDummyRoom, pairs ? pair_records[0] : 0u);
}

}  // namespace splatmem
