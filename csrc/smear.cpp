#include "smear.h"

#include <algorithm>
#include <vector>

#include "registers.h"

namespace splatmem {
namespace {

using baseline::Register;
static_assert(Register::width == 4, "a cell is one register");

constexpr float kFullWeight = 0.25f;  // cells of at least this weight keep their own colours

// Cells of a picture at a smaller size, each of a red, a green, a blue and a weight.
struct Cells {
    Cells(int cell_rows, int cell_columns)
        : rows(cell_rows), columns(cell_columns), values(size_t{4} * cell_rows * cell_columns) {}
    float* at(int row, int column) { return values.data() + 4 * (static_cast<size_t>(row) * columns + column); }
    const float* at(int row, int column) const { return const_cast<Cells*>(this)->at(row, column); }

    int rows, columns;
    std::vector<float> values;
};

// A cell with another weight.
Register with_weight(Register cell, float weight) {
    cell.v[3] = weight;
    return cell;
}

// Cells at half the size of a picture: means of colours times their weights, over the mean weight. `weighted(row, column)` is
// a pixel's colour times its weight, and its weight.
template <class Weighted>
Cells halved(int rows, int columns, Weighted weighted) {
    Cells cells((rows + 1) / 2, (columns + 1) / 2);
    for (int row = 0; row < cells.rows; row++) {
        const bool below = 2 * row + 1 < rows;
        for (int column = 0; column < cells.columns; column++) {
            const bool beside = 2 * column + 1 < columns;
            Register left = weighted(2 * row, 2 * column);
            if (below) left = add(left, weighted(2 * row + 1, 2 * column));
            if (beside) {
                Register right = weighted(2 * row, 2 * column + 1);
                if (below) right = add(right, weighted(2 * row + 1, 2 * column + 1));
                left = add(left, right);
            }
            float* cell = cells.at(row, column);
            const Register mean = mul(left, Register::broadcast(1.f / static_cast<float>((1 + below) * (1 + beside))));
            store(cell, with_weight(div(mean, Register::broadcast(std::max(mean.v[3], 1e-8f))), mean.v[3]));
        }
    }
    return cells;
}

// Along one axis of a picture: the cells on either side of each pixel, and how near it is to the second.
struct Between {
    int first, second;
    float share;
};
std::vector<Between> between_cells(int pixels, int cells) {
    std::vector<Between> result(pixels);
    const float scale = static_cast<float>(cells) / static_cast<float>(pixels);
    for (int i = 0; i < pixels; i++) {
        const float place = std::max(0.f, (static_cast<float>(i) + 0.5f) * scale - 0.5f);
        const int first = std::min(static_cast<int>(place), cells - 1);
        result[i] = {first, std::min(first + 1, cells - 1), place - static_cast<float>(first)};
    }
    return result;
}

Register bilinear(const Cells& cells, const Between& row, const Between& column) {
    const auto along = [&](int r) {
        return add(
            mul(Register::broadcast(1.f - column.share), Register::load(cells.at(r, column.first))),
            mul(Register::broadcast(column.share), Register::load(cells.at(r, column.second))));
    };
    return add(mul(Register::broadcast(1.f - row.share), along(row.first)), mul(Register::broadcast(row.share), along(row.second)));
}

// Fills cells of little weight from ever larger ones around them.
void fill(Cells& cells) {
    if (cells.rows == 1 && cells.columns == 1) {
        float* cell = cells.at(0, 0);
        if (!(cell[3] > 0)) std::fill(cell, cell + 3, 0.f);
        return;
    }
    Cells coarse = halved(cells.rows, cells.columns, [&](int row, int column) {
        const Register cell = Register::load(cells.at(row, column));
        return with_weight(mul(cell, Register::broadcast(cell.v[3])), cell.v[3]);
    });
    fill(coarse);
    const auto rows = between_cells(cells.rows, coarse.rows), columns = between_cells(cells.columns, coarse.columns);
    for (int row = 0; row < cells.rows; row++) {
        for (int column = 0; column < cells.columns; column++) {
            float* cell = cells.at(row, column);
            const float weight = cell[3], kept = std::min(1.f, weight / kFullWeight);
            if (kept == 1.f) continue;
            const Register around = bilinear(coarse, rows[row], columns[column]);
            const Register between = mul(Register::broadcast(kept), sub(Register::load(cell), around));
            store(cell, with_weight(add(around, between), weight));
        }
    }
}

}  // namespace

void show(const DrawnPicture& picture, float solid, float* shown) {
    const int height = picture.height, width = picture.width;
    const auto at = [&](int row, int column) { return static_cast<size_t>(row) * width + column; };
    const auto is_solid = [&](size_t pixel) { return picture.known[pixel] && picture.alpha[pixel] >= solid; };
    bool gaps = false;
    for (size_t pixel = 0; pixel < at(height, 0) && !gaps; pixel++) gaps = !is_solid(pixel);
    // Four values are read of every pixel but the last, which has no more than three.
    const auto colour_at = [&](size_t pixel) {
        const float* rgb = picture.rgb + 3 * pixel;
        if (pixel + 1 < at(height, 0)) return Register::load(rgb);
        const float last[4] = {rgb[0], rgb[1], rgb[2], 0};
        return Register::load(last);
    };
    Cells cells = gaps ? halved(height, width, [&](int row, int column) {
        const size_t pixel = at(row, column);
        return is_solid(pixel) ? with_weight(colour_at(pixel), 1.f) : Register::broadcast(0.f);
    }) : Cells(0, 0);
    if (gaps) fill(cells);
    const auto rows = between_cells(height, cells.rows), columns = between_cells(width, cells.columns);
    for (int row = 0; row < height; row++) {
        for (int column = 0; column < width; column++) {
            const size_t pixel = at(row, column);
            const Register rgb = colour_at(pixel);
            const Register behind = is_solid(pixel) ? rgb : bilinear(cells, rows[row], columns[column]);
            const Register through = Register::broadcast(1 - picture.alpha[pixel]);
            const Register colour = picture.known[pixel] ? add(rgb, mul(through, behind)) : behind;
            const Register within = min(max(colour, Register::broadcast(0.f)), Register::broadcast(1.f));
            for (int c = 0; c < 3; c++) shown[3 * pixel + c] = within.v[c];
        }
    }
}

}  // namespace splatmem
