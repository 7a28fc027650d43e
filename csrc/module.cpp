// Python bindings. Tensors come in through DLPack, as float32, contiguous and on the CPU; nothing of torch is linked.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "rasterizer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <int kDims>
using In = nb::ndarray<const float, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <int kDims>
using Out = nb::ndarray<float, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;

void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("splatmem kernels: wrong shape of ") + what);
}

splatmem::Scene scene_of(const In<2>& means, const In<2>& quats, const In<2>& scales, const In<1>& opacities, const In<2>& colors) {
    const size_t n = means.shape(0);
    expect(means.shape(1) == 3, "means");
    expect(quats.shape(0) == n && quats.shape(1) == 4, "quats");
    expect(scales.shape(0) == n && scales.shape(1) == 3, "scales");
    expect(opacities.shape(0) == n, "opacities");
    expect(colors.shape(0) == n, "colors");
    expect(n < (size_t{1} << 29), "means: at most 2^29 Gaussians");
    return {means.data(), quats.data(), scales.data(), opacities.data(), colors.data(),
            static_cast<int64_t>(n), static_cast<int>(colors.shape(1))};
}

splatmem::Camera camera_of(const In<2>& viewmat, const In<2>& k, const Out<3>& image) {
    expect(viewmat.shape(0) == 4 && viewmat.shape(1) == 4, "viewmat");
    expect(k.shape(0) == 3 && k.shape(1) == 3, "K");
    splatmem::Camera camera{};
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++) camera.rotation[3 * row + column] = viewmat.data()[4 * row + column];
        camera.translation[row] = viewmat.data()[4 * row + 3];
    }
    camera.fx = k.data()[0];
    camera.cx = k.data()[2];
    camera.fy = k.data()[4];
    camera.cy = k.data()[5];
    camera.height = static_cast<int>(image.shape(0));
    camera.width = static_cast<int>(image.shape(1));
    return camera;
}

splatmem::DrawnView* render(
    const In<2>& means, const In<2>& quats, const In<2>& scales, const In<1>& opacities, const In<2>& colors,
    const In<2>& viewmat, const In<2>& k, const std::optional<In<1>>& background, const Out<3>& image, const Out<3>& alpha,
    float near_plane, float far_plane, float radius_clip, float eps2d, bool with_depth, int threads) {
    const splatmem::Scene scene = scene_of(means, quats, scales, opacities, colors);
    splatmem::Camera camera = camera_of(viewmat, k, image);
    camera.near_plane = near_plane;
    camera.far_plane = far_plane;
    camera.radius_clip = radius_clip;
    camera.eps2d = eps2d;
    expect(image.shape(2) == static_cast<size_t>(scene.channels) + with_depth, "image");
    expect(alpha.size() == image.shape(0) * image.shape(1), "alpha");
    expect(!background || background->shape(0) == image.shape(2), "background");
    const splatmem::ImageOut out{image.data(), alpha.data(), background ? background->data() : nullptr};
    nb::gil_scoped_release release;
    return new splatmem::DrawnView(camera, scene, out, splatmem::RenderSettings{with_depth, threads});
}

void backward(
    const splatmem::DrawnView& view, const In<2>& means, const In<2>& quats, const In<2>& scales, const In<1>& opacities,
    const In<2>& colors, const In<3>& image, const In<3>& alpha, const In<3>& grad_image, const In<3>& grad_alpha,
    const Out<2>& grad_means, const Out<2>& grad_quats, const Out<2>& grad_scales, const Out<1>& grad_opacities,
    const Out<2>& grad_colors, bool clear, int threads) {
    const splatmem::Scene scene = scene_of(means, quats, scales, opacities, colors);
    expect(grad_image.size() == image.size() && grad_alpha.size() == alpha.size(), "grad_image or grad_alpha");
    expect(grad_means.size() == means.size() && grad_quats.size() == quats.size(), "grad_means or grad_quats");
    expect(grad_scales.size() == scales.size() && grad_opacities.size() == opacities.size(), "grad_scales or grad_opacities");
    expect(grad_colors.size() == colors.size(), "grad_colors");
    const splatmem::ImageIn in{image.data(), alpha.data(), grad_image.data(), grad_alpha.data()};
    const splatmem::SceneGradients gradients{
        grad_means.data(), grad_quats.data(), grad_scales.data(), grad_opacities.data(), grad_colors.data()};
    nb::gil_scoped_release release;
    if (clear) splatmem::clear_gradients(scene, gradients, threads);
    view.backward(scene, in, gradients, threads);
}

template <class T>
nb::object array(size_t rows, size_t columns, T** data) {
    *data = new T[rows * columns];
    nb::capsule owner(*data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    const size_t shape[2] = {rows, columns};
    return nb::cast(nb::ndarray<nb::numpy, T>(*data, columns == 1 ? 1 : 2, shape, owner));
}

// The visible Gaussians in the scene's order, with gsplat's names and its integer radii.
nb::dict projected(const splatmem::DrawnView& drawn) {
    const splatmem::ViewState& view = drawn.state();
    int64_t* ids;
    int32_t* radii;
    float *means2d, *depths, *conics, *opacities;
    nb::dict result;
    result["gaussian_ids"] = array(view.visible, 1, &ids);
    result["radii"] = array(view.visible, 2, &radii);
    result["means2d"] = array(view.visible, 2, &means2d);
    result["depths"] = array(view.visible, 1, &depths);
    result["conics"] = array(view.visible, 3, &conics);
    result["opacities"] = array(view.visible, 1, &opacities);
    size_t out = 0;
    for (int k = 0; k < view.chunk_count; k++)
        for (uint32_t i = 0; i < view.chunks.data()[k].visible; i++, out++) {
            const size_t at = static_cast<size_t>(k) * splatmem::kChunk + i;
            const splatmem::Record& r = view.record(at);
            const float xx = r.power_xx * (-2.f / splatmem::kLog2E), xy = r.power_xy * (-1.f / splatmem::kLog2E);
            const float yy = r.power_yy * (-2.f / splatmem::kLog2E);
            const float bound = 2.f * std::log(r.opacity / splatmem::kMinAlpha);
            const float extent = std::fmin(splatmem::kMaxExtent, std::sqrt(std::fmax(bound, 0.f)));
            const double det = static_cast<double>(xx) * yy - static_cast<double>(xy) * xy;
            ids[out] = view.gaussian_ids.data()[at];
            opacities[out] = r.opacity;
            radii[2 * out] = static_cast<int32_t>(std::ceil(extent * std::sqrt(yy / det)));
            radii[2 * out + 1] = static_cast<int32_t>(std::ceil(extent * std::sqrt(xx / det)));
            means2d[2 * out] = r.x + 0.5f;
            means2d[2 * out + 1] = r.y + 0.5f;
            depths[out] = view.depths.data()[at];
            conics[3 * out] = xx;
            conics[3 * out + 1] = xy;
            conics[3 * out + 2] = yy;
        }
    return result;
}

}  // namespace

NB_MODULE(_kernels, m) {
    m.doc() = "Compiled CPU kernels of splatmem.render; use splatmem.render.rasterization instead.";
    nb::set_leak_warnings(false);  // views that are alive when the interpreter ends are no leak
    m.def("render", &render, "means"_a, "quats"_a, "scales"_a, "opacities"_a, "colors"_a, "viewmat"_a, "K"_a,
          "background"_a.none(), "image"_a, "alpha"_a, nb::kw_only(), "near_plane"_a, "far_plane"_a, "radius_clip"_a,
          "eps2d"_a, "with_depth"_a, "threads"_a, nb::rv_policy::take_ownership,
          "Draws one view into `image` and `alpha` and returns what its backward pass needs.");
    nb::class_<splatmem::DrawnView>(m, "DrawnView", "A drawn view, kept for its backward pass.")
        .def("backward", &backward, "means"_a, "quats"_a, "scales"_a, "opacities"_a, "colors"_a, "image"_a, "alpha"_a,
             "grad_image"_a, "grad_alpha"_a, "grad_means"_a, "grad_quats"_a, "grad_scales"_a, "grad_opacities"_a,
             "grad_colors"_a, nb::kw_only(), "clear"_a, "threads"_a,
             "Adds to the gradients, after setting them to zero if `clear`.")
        .def("projected", &projected, "The visible Gaussians' ids, radii, means2d, depths, conics, opacities as NumPy arrays.");
    m.def("instruction_sets", &splatmem::instruction_sets, "Those compiled in that this processor has, best first.");
    m.def("instruction_set", [] { return std::string(splatmem::kernels().name); }, "The one in use.");
    m.def("use_instruction_set", &splatmem::use_instruction_set, "name"_a, "Chooses one, for tests and benchmarks.");
}
