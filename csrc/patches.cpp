#include "patches.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "registers.h"
#include "threads.h"

namespace splatmem {
namespace {

using baseline::Register;

constexpr int64_t kPart = 256;  // patches or pixels of a task

struct Place {
    int64_t row, column;
    bool operator!=(const Place& other) const { return row != other.row || column != other.column; }
};

Place place_of(const int64_t* rows, int64_t number) { return {rows[2 * number], rows[2 * number + 1]}; }

template <class Visit>
void for_each(int64_t count, int threads, Visit visit) {
    parallel_for(static_cast<int>((count + kPart - 1) / kPart), threads, [&](int part) {
        const int64_t end = std::min(count, (part + 1) * kPart);
        for (int64_t number = part * kPart; number < end; number++) visit(number);
    });
}

float sum_of(Register sums) {
    float lanes[Register::width], total = 0;
    store(lanes, sums);
    for (const float lane : lanes) total += lane;
    return total;
}

class Search {
  public:
    Search(const PatchPicture& picture, const PatchField& field, const PatchPlaces& places)
        : picture_(picture), field_(field), places_(places), row_(3 * (picture.width + 2 * picture.radius)) {}

    bool may_take(int64_t patch, Place place) const {
        if (place.row < 0 || place.row >= picture_.height || place.column < 0 || place.column >= picture_.width) return false;
        const int64_t list = places_.list[at(place)], wanted = places_.wanted[patch];
        return wanted > 0 ? list == wanted : list >= 0;
    }

    // What it costs to make a patch of another one; of costs that are not below `limit`, perhaps only a part.
    float cost(int64_t patch, Place place, float limit) const {
        const Place middle = place_of(field_.middles, patch);
        const float depth = std::min(1.f, std::fabs(places_.log_depth[at(place)] - places_.log_depth[at(middle)]));
        const float rows = static_cast<float>(place.row - middle.row), columns = static_cast<float>(place.column - middle.column);
        const float far = places_.depth_weight * depth, away = places_.way_weight * std::sqrt(rows * rows + columns * columns);
        return colour_difference(middle, place, limit - far * far - away * away) + far * far + away * away;
    }

  private:
    int64_t at(Place place) const { return place.row * picture_.width + place.column; }

    // Mean squared difference of two patches' colours; if a part of the rows has as much as `limit`, that.
    float colour_difference(Place one, Place other, float limit) const {
        const int side = 2 * picture_.radius + 1, values = 3 * side;
        const float* a = picture_.rgb + one.row * row_ + 3 * one.column;  // patches begin a margin before their middles
        const float* b = picture_.rgb + other.row * row_ + 3 * other.column;
        const float count = static_cast<float>(values * side);
        Register sums = Register::broadcast(0.f);
        float rest = 0;
        for (int row = 0; row < side; row++, a += row_, b += row_) {
            int k = 0;
            for (; k + Register::width <= values; k += Register::width) {
                const Register difference = sub(Register::load(a + k), Register::load(b + k));
                sums = fma(difference, difference, sums);
            }
            for (; k < values; k++) rest += (a[k] - b[k]) * (a[k] - b[k]);
            if (row % 2 == 1 && (sum_of(sums) + rest) / count >= limit) break;
        }
        return (sum_of(sums) + rest) / count;
    }

    const PatchPicture& picture_;
    const PatchField& field_;
    const PatchPlaces& places_;
    const int64_t row_;
};

}  // namespace

void search_patches(
    const PatchPicture& picture, const PatchField& field, const PatchPlaces& places, const int64_t* steps, int64_t tries,
    int64_t* match, float* cost, int threads) {
    const Search search(picture, field, places);
    std::vector<int64_t> before(match, match + 2 * field.count);
    for_each(field.count, threads, [&](int64_t patch) {
        cost[patch] = search.cost(patch, place_of(match, patch), HUGE_VALF);
    });
    // `suggest` tells from the matches before this step what a patch tries.
    const auto improve = [&](auto suggest) {
        std::copy(match, match + 2 * field.count, before.begin());
        for_each(field.count, threads, [&](int64_t patch) {
            const Place now = place_of(before.data(), patch), place = suggest(patch, now);
            if (!(place != now) || !search.may_take(patch, place)) return;
            const float tried = search.cost(patch, place, cost[patch]);
            if (tried >= cost[patch]) return;
            cost[patch] = tried;
            match[2 * patch] = place.row;
            match[2 * patch + 1] = place.column;
        });
    };
    for (const int64_t jump : {4, 1}) {
        for (const auto& [down, right] : {Place{0, jump}, Place{0, -jump}, Place{jump, 0}, Place{-jump, 0}}) {
            improve([&, down = down, right = right](int64_t patch, Place now) {
                const Place middle = place_of(field.middles, patch);
                const int64_t row = std::clamp<int64_t>(middle.row + down, 0, picture.height - 1);
                const int64_t column = std::clamp<int64_t>(middle.column + right, 0, picture.width - 1);
                const int64_t beside = field.index[row * picture.width + column];
                if (beside < 0) return now;
                const Place found = place_of(before.data(), beside), from = place_of(field.middles, beside);
                return Place{middle.row + found.row - from.row, middle.column + found.column - from.column};
            });
        }
    }
    for (int64_t number = 0; number < tries; number++, steps += 2 * field.count) {
        improve([&](int64_t patch, Place now) {
            const Place step = place_of(steps, patch);
            return Place{now.row + step.row, now.column + step.column};
        });
    }
}

void vote_of_patches(
    const PatchPicture& picture, const PatchField& field, const int64_t* match, const float* weight, const int64_t* surface,
    float foreign, const int64_t* wanted, int64_t pixels, float* colours, int threads) {
    const int64_t margin = picture.radius, row_length = 3 * (picture.width + 2 * margin);
    for_each(pixels, threads, [&](int64_t number) {
        const Place pixel = place_of(wanted, number);
        const int64_t own = surface[pixel.row * picture.width + pixel.column];
        float total[3] = {0, 0, 0}, shares = 0;
        for (int64_t down = -margin; down <= margin; down++) {
            const int64_t row = pixel.row - down;
            if (row < 0 || row >= picture.height) continue;
            for (int64_t right = -margin; right <= margin; right++) {
                const int64_t column = pixel.column - right;
                if (column < 0 || column >= picture.width) continue;
                const int64_t patch = field.index[row * picture.width + column];
                if (patch < 0) continue;
                const Place source{match[2 * patch] + down, match[2 * patch + 1] + right};
                const int64_t inside_row = std::clamp<int64_t>(source.row, 0, picture.height - 1);
                const int64_t inside_column = std::clamp<int64_t>(source.column, 0, picture.width - 1);
                const bool alike = surface[inside_row * picture.width + inside_column] == own;
                const float vote = alike ? weight[patch] : foreign * weight[patch];
                const float* colour = picture.rgb + (source.row + margin) * row_length + 3 * (source.column + margin);
                for (int c = 0; c < 3; c++) total[c] += vote * colour[c];
                shares += vote;
            }
        }
        for (int c = 0; c < 3; c++) colours[3 * number + c] = total[c] / std::max(shares, 1e-9f);
    });
}

}  // namespace splatmem
