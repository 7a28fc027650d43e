// Python bindings of patches.h and smear.h.
#include "pictures_module.h"

#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

#include "patches.h"
#include "smear.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace splatmem {
namespace {

template <class T, int kDims>
using Tensor = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
using Maps = Tensor<const int64_t, 2>;  // whole numbers, one for each pixel or two a row

void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("splatmem kernels: wrong shape of ") + what);
}

template <class First, class Second>
bool as_large(const First& one, const Second& other) {
    return one.shape(0) == other.shape(0) && one.shape(1) == other.shape(1);
}

PatchPicture picture_of(const Tensor<const float, 3>& rgb, const Maps& index, int radius) {
    expect(radius >= 0 && rgb.shape(2) == 3, "rgb");
    const size_t margin = 2 * static_cast<size_t>(radius);
    expect(rgb.shape(0) == index.shape(0) + margin && rgb.shape(1) == index.shape(1) + margin, "rgb");
    return {rgb.data(), static_cast<int64_t>(index.shape(0)), static_cast<int64_t>(index.shape(1)), radius};
}

PatchField field_of(const Maps& middles, const Maps& index, const Maps& match) {
    expect(middles.shape(1) == 2, "middles");
    expect(as_large(match, middles), "match");
    return {middles.data(), index.data(), static_cast<int64_t>(middles.shape(0))};
}

void search(
    const Tensor<const float, 3>& rgb, const Maps& middles, const Maps& index, const Tensor<const float, 2>& log_depth,
    const Maps& list, const Tensor<const int64_t, 1>& wanted, const Tensor<const int64_t, 3>& steps,
    const Tensor<int64_t, 2>& match, const Tensor<float, 1>& cost, int radius, float depth_weight, float way_weight, int threads) {
    const PatchPicture picture = picture_of(rgb, index, radius);
    const PatchField field = field_of(middles, index, Maps(match));
    expect(as_large(log_depth, index) && as_large(list, index), "log_depth or list");
    expect(wanted.shape(0) == middles.shape(0) && cost.shape(0) == middles.shape(0), "wanted or cost");
    expect(steps.shape(1) == middles.shape(0) && steps.shape(2) == 2, "steps");
    const PatchPlaces places{log_depth.data(), list.data(), wanted.data(), depth_weight, way_weight};
    nb::gil_scoped_release release;
    search_patches(
        picture, field, places, steps.data(), static_cast<int64_t>(steps.shape(0)), match.data(), cost.data(), threads);
}

void vote(
    const Tensor<const float, 3>& rgb, const Maps& middles, const Maps& index, const Maps& match,
    const Tensor<const float, 1>& weight, const Maps& surface, const Maps& wanted, const Tensor<float, 2>& colours, int radius,
    float foreign, int threads) {
    const PatchPicture picture = picture_of(rgb, index, radius);
    const PatchField field = field_of(middles, index, match);
    expect(weight.shape(0) == middles.shape(0), "weight");
    expect(as_large(surface, index), "surface");
    expect(wanted.shape(1) == 2, "wanted");
    expect(colours.shape(0) == wanted.shape(0) && colours.shape(1) == 3, "colours");
    nb::gil_scoped_release release;
    vote_of_patches(
        picture, field, match.data(), weight.data(), surface.data(), foreign, wanted.data(),
        static_cast<int64_t>(wanted.shape(0)), colours.data(), threads);
}

void show_views(
    const Tensor<const float, 4>& rgb, const Tensor<const float, 3>& alpha, const Tensor<const bool, 3>& known,
    const Tensor<float, 4>& shown, float solid, int threads) {
    const size_t height = rgb.shape(1), width = rgb.shape(2), pixels = height * width;
    expect(rgb.shape(3) == 3 && shown.size() == rgb.size(), "rgb or shown");
    expect(alpha.shape(1) == height && alpha.shape(2) == width && 3 * alpha.size() == rgb.size(), "alpha");
    expect(known.shape(1) == height && known.shape(2) == width && known.size() == alpha.size(), "known");
    nb::gil_scoped_release release;
    parallel_for(static_cast<int>(rgb.shape(0)), threads, [&](int view) {
        const size_t first = pixels * view;
        const DrawnPicture picture{
            rgb.data() + 3 * first, alpha.data() + first, known.data() + first, static_cast<int>(height),
            static_cast<int>(width)};
        show(picture, solid, shown.data() + 3 * first);
    });
}

}  // namespace

void bind_pictures(nb::module_& m) {
    m.def("search_patches", &search, "rgb"_a, "middles"_a, "index"_a, "log_depth"_a, "list"_a, "wanted"_a, "steps"_a, "match"_a,
          "cost"_a, nb::kw_only(), "radius"_a, "depth_weight"_a, "way_weight"_a, "threads"_a,
          "Improves `match` and writes `cost`; csrc/patches.h says what the rest is.");
    m.def("vote_of_patches", &vote, "rgb"_a, "middles"_a, "index"_a, "match"_a, "weight"_a, "surface"_a, "wanted"_a, "colours"_a,
          nb::kw_only(), "radius"_a, "foreign"_a, "threads"_a, "Writes `colours`; csrc/patches.h says what the rest is.");
    m.def("show", &show_views, "rgb"_a, "alpha"_a, "known"_a, "shown"_a, nb::kw_only(), "solid"_a, "threads"_a,
          "Writes `shown`, the views with their gaps filled; csrc/smear.h says how.");
}

}  // namespace splatmem
