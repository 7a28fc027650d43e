// Stage 2: lists, for every tile, the Gaussians that touch it from front to back.
//
// A stable counting sort by tile reads the Gaussians in the scene's order, from end to end; then each tile's pairs, a few
// thousand, are sorted by depth inside the cache. 3DGS sorts all (tile, depth) keys at once, and sorting the Gaussians by depth
// first visits them at random: both are slower here. Everything is stable, so the result does not depend on the number of
// threads: ties in depth keep the scene's order.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "threads.h"
#include "view.h"

namespace splatmem {
namespace {

constexpr int kDigitBits = 9, kDigits = 1 << kDigitBits, kMaxPasses = 4;  // 36 bits hold any depth
constexpr uint32_t kFew = 48;  // up to so many pairs an insertion sort is faster
constexpr int64_t kMaxPairs = int64_t{1} << 31;

// A (Gaussian, tile) pair on its way to its place in the tile's list.
struct DepthPair {
    uint32_t depth;  // bit pattern, ordered as the positive floats are
    uint32_t record;
    DepthPair() = default;
    DepthPair(uint32_t depth, uint32_t record, uint32_t) : depth(depth), record(record) {}
};
struct SlottedPair : DepthPair {
    uint32_t slot;
    SlottedPair() = default;
    SlottedPair(uint32_t depth, uint32_t record, uint32_t slot) : DepthPair(depth, record, slot), slot(slot) {}
};

// Running sums over the chunks.
void sum_chunks(ViewState& view) {
    uint32_t visible = 0;
    int64_t pairs = 0;
    for (int k = 0; k < view.chunk_count; k++) {
        Chunk& chunk = view.chunks.data()[k];
        chunk.first_visible = visible;
        chunk.first_pair = static_cast<uint32_t>(pairs);
        visible += chunk.visible;
        pairs += chunk.pairs;
        if (pairs > kMaxPairs) throw std::length_error("more than 2^31 (Gaussian, tile) pairs: render a smaller image or scene");
    }
    view.visible = visible;
    view.pairs = pairs;
}

// The first chunk of a part, when the chunks are divided into parts of about as many pairs.
int first_chunk(const ViewState& view, int part, int parts) {
    const Chunk* chunks = view.chunks.data();
    if (part == parts) return view.chunk_count;
    const uint32_t begin = static_cast<uint32_t>(view.pairs * part / parts);
    const auto before = [](const Chunk& chunk, uint32_t pair) { return chunk.first_pair < pair; };
    return static_cast<int>(std::lower_bound(chunks, chunks + view.chunk_count, begin, before) - chunks);
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

// Calls visit(record, box) for what is visible of a part's chunks, in the scene's order.
template <class Visit>
inline void for_each_visible(const ViewState& view, int part, int parts, Visit visit) {
    for (int k = first_chunk(view, part, parts), end = first_chunk(view, part + 1, parts); k < end; k++) {
        const uint32_t first = static_cast<uint32_t>(k) * kChunk;
        for (uint32_t i = 0; i < view.chunks.data()[k].visible; i++) visit(first + i, view.boxes.data()[first + i]);
    }
}

// Fills view.tile_starts and puts the pairs into the places of their tiles, in the scene's order.
template <class Pair>
void bin(ViewState& view, Buffer<Pair>& pairs, int threads) {
    // Counts per tile for each part of the chunks. The parts' rows lie cache lines apart, and each ends with the dummy tile,
    // whose pairs go to a place of the part's own behind the real ones.
    const uint32_t tiles = static_cast<uint32_t>(view.tiles_x) * view.tiles_y;
    const size_t row = (tiles + 1 + 31) / 16 * 16;
    Buffer<uint32_t> tile_counts;
    uint32_t* counts = tile_counts.reserve(row * threads);
    parallel_for(threads, threads, [&](int part) {
        uint32_t* count = counts + row * part;
        std::fill(count, count + tiles + 1, 0u);
        for_each_visible(view, part, threads, [&](uint32_t, TileBox box) {
            for_each_tile(box, view.tiles_x, tiles, [&](uint32_t tile, uint32_t) { count[tile]++; });
        });
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
        counts[row * part + tiles] = static_cast<uint32_t>(view.pairs) + kDummyRoom * (1 + part);

    Pair* out = pairs.reserve(view.pairs + kDummyRoom * (threads + 2));
    parallel_for(threads, threads, [&](int part) {
        uint32_t* next = counts + row * part;
        for_each_visible(view, part, threads, [&](uint32_t record, TileBox box) {
            uint32_t depth;
            std::memcpy(&depth, view.depths.data() + record, 4);
            const uint32_t slot = view.chunks.data()[record / kChunk].first_pair + view.pair_offsets.data()[record];
            for_each_tile(box, view.tiles_x, tiles, [&](uint32_t tile, uint32_t k) {
                const uint32_t at = next[tile];
                next[tile] = at + (tile != tiles);
                out[at] = Pair(depth, record, slot + k);
            });
        });
    });
}

template <class Pair>
void insertion_sort(Pair* pairs, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        const Pair pair = pairs[i];
        uint32_t at = i;
        for (; at > 0 && pairs[at - 1].depth > pair.depth; at--) pairs[at] = pairs[at - 1];
        pairs[at] = pair;
    }
}

// Stable least-significant-digit radix sort by depth; returns whichever of the arrays holds the result. Only the bits in which
// the depths of a tile can differ are sorted by.
template <class Pair>
Pair* radix_sort(Pair* pairs, Pair* swap, uint32_t count) {
    uint32_t low = pairs[0].depth, high = low;
    for (uint32_t i = 1; i < count; i++) {
        low = std::min(low, pairs[i].depth);
        high = std::max(high, pairs[i].depth);
    }
    int passes = 0;
    while (passes < kMaxPasses && static_cast<uint64_t>(high - low) >> (passes * kDigitBits)) passes++;
    const auto digit = [=](const Pair& pair, int pass) {
        return static_cast<uint32_t>(static_cast<uint64_t>(pair.depth - low) >> (pass * kDigitBits)) & (kDigits - 1);
    };
    uint32_t histogram[kMaxPasses][kDigits];
    std::memset(histogram, 0, passes * sizeof histogram[0]);
    for (uint32_t i = 0; i < count; i++)
        for (int pass = 0; pass < passes; pass++) histogram[pass][digit(pairs[i], pass)]++;
    for (int pass = 0; pass < passes; pass++) {
        uint32_t* next = histogram[pass];
        uint32_t sum = 0;
        for (int d = 0; d < kDigits; d++) sum += std::exchange(next[d], sum);
        for (uint32_t i = 0; i < count; i++) swap[next[digit(pairs[i], pass)]++] = pairs[i];
        std::swap(pairs, swap);
    }
    return pairs;
}

// The slot of the first pair of the first visible Gaussian from `gaussian` on; the number of pairs if there is none.
uint32_t first_slot_of(const ViewState& view, int64_t gaussian) {
    const int64_t k = gaussian / kChunk;
    if (k >= view.chunk_count) return static_cast<uint32_t>(view.pairs);
    const Chunk& chunk = view.chunks.data()[k];
    const uint32_t* ids = view.gaussian_ids.data() + k * kChunk;
    const uint32_t i = std::lower_bound(ids, ids + chunk.visible, static_cast<uint32_t>(gaussian)) - ids;
    return chunk.first_pair + (i < chunk.visible ? view.pair_offsets.data()[k * kChunk + i] : static_cast<uint32_t>(chunk.pairs));
}

// How many pairs of a tile's list there are up to the last one of the chosen Gaussians.
uint32_t up_to_chosen(const ViewState& view, const SlottedPair* pairs, uint32_t count) {
    while (count > 0 && !(pairs[count - 1].slot >= view.first_slot && pairs[count - 1].slot < view.last_slot)) count--;
    return count;
}

// Sorts a tile's pairs, unless nobody looks at their order, and writes them to its list; returns where they lie then, until the
// next call of the thread.
template <class Pair>
const Pair* list_tile(ViewState& view, Pair* pairs, uint32_t begin, uint32_t end, bool in_order) {
    static thread_local Buffer<Pair> swap;
    const uint32_t count = end - begin;
    if (in_order && count <= kFew) {
        insertion_sort(pairs, count);
    } else if (in_order) {
        pairs = radix_sort(pairs, swap.reserve(count), count);
    }
    for (uint32_t i = 0; i < count; i++) {
        view.pair_records.data()[begin + i] = pairs[i].record;
        if constexpr (std::is_same_v<Pair, SlottedPair>) view.pair_slots.data()[begin + i] = pairs[i].slot;
    }
    return pairs;
}

template <class Pair>
void bin_and_sort(ViewState& view, int threads, bool choosing) {
    Buffer<Pair> pairs;
    bin(view, pairs, threads);
    uint32_t* pair_records = view.pair_records.reserve(view.pairs + kPairsAhead);
    const int tiles = view.tiles_x * view.tiles_y;
    uint32_t* ends = choosing ? view.tile_ends.reserve(tiles) : nullptr;
    const uint32_t* starts = view.tile_starts.data();
    parallel_for(tiles, threads, [&](int tile) {
        const uint32_t begin = starts[tile], end = starts[tile + 1];
        Pair* own = pairs.data() + begin;
        if constexpr (std::is_same_v<Pair, SlottedPair>) {
            if (choosing) {
                const bool some = up_to_chosen(view, own, end - begin) > 0;
                const Pair* sorted = list_tile(view, own, begin, end, some);
                ends[tile] = begin + (some ? up_to_chosen(view, sorted, end - begin) : 0);
                return;
            }
        }
        list_tile(view, own, begin, end, true);
    });
    std::fill(pair_records + view.pairs, pair_records + view.pairs + kPairsAhead, view.pairs ? pair_records[0] : 0u);
}

}  // namespace

// `with_slots`: whether view.pair_slots is filled too, for which the pairs are half as large again while they are sorted.
void sort_and_bin(ViewState& view, bool with_slots, int threads, const GaussianRange* chosen) {
    sum_chunks(view);
    if (!with_slots) return bin_and_sort<DepthPair>(view, threads, false);
    if (chosen) {
        view.first_slot = first_slot_of(view, chosen->first);
        view.last_slot = first_slot_of(view, chosen->last);
    }
    view.pair_slots.reserve(view.pairs);
    bin_and_sort<SlottedPair>(view, threads, chosen != nullptr);
}

}  // namespace splatmem
