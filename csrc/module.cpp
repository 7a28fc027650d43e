// Python bindings. Tensors come in through DLPack, as float32, contiguous and on the CPU; nothing of torch is linked.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "dispatch.h"
#include "pictures_module.h"
#include "rasterizer.h"
#include "threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <int kDims>
using In = nb::ndarray<const float, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <class T, int kDims>
using Outs = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <int kDims>
using Out = Outs<float, kDims>;

void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("splatmem kernels: wrong shape of ") + what);
}

using Rows = nb::ndarray<nb::ro, nb::ndim<3>, nb::c_contig, nb::device::cpu>;  // of any type

splatmem::Scalar scalar_of(nb::dlpack::dtype type) {
    using Code = nb::dlpack::dtype_code;
    if (type == nb::dtype<float>()) return splatmem::Scalar::float32;
    if (type == nb::dlpack::dtype{static_cast<uint8_t>(Code::Float), 16, 1}) return splatmem::Scalar::float16;
    if (type == nb::dlpack::dtype{static_cast<uint8_t>(Code::Bfloat), 16, 1}) return splatmem::Scalar::bfloat16;
    throw std::invalid_argument("splatmem kernels: colors must be float32, float16 or bfloat16");
}

// Tensors of a scene. Colours and harmonics have a view axis of length one if all views share them.
struct SceneTensors {
    In<2> means, quats, scales;
    In<1> opacities;
    std::optional<Rows> colors;
    std::optional<In<4>> harmonics;
    int degree;

    void check() const {
        const size_t n = means.shape(0);
        expect(means.shape(1) == 3, "means");
        expect(quats.shape(0) == n && quats.shape(1) == 4, "quats");
        expect(scales.shape(0) == n && scales.shape(1) == 3, "scales");
        expect(opacities.shape(0) == n, "opacities");
        expect(!colors || colors->shape(1) == n, "colors");
        expect(n < (size_t{1} << 29), "means: at most 2^29 Gaussians");
        if (colors) scalar_of(colors->dtype());
        if (!harmonics) return;
        expect(harmonics->shape(1) == n && harmonics->shape(3) == 3, "harmonics");
        expect(degree >= 0 && degree <= 3 && static_cast<size_t>((degree + 1) * (degree + 1)) <= harmonics->shape(2), "degree");
    }

    // As one view sees it.
    splatmem::Scene of_view(size_t view) const {
        splatmem::Scene scene{};
        scene.means = means.data();
        scene.quats = quats.data();
        scene.scales = scales.data();
        scene.opacities = opacities.data();
        scene.count = static_cast<int64_t>(means.shape(0));
        scene.degree = degree;
        if (harmonics) {
            const size_t row = harmonics->shape(1) * harmonics->shape(2) * 3;
            scene.harmonics = harmonics->data() + row * std::min(view, harmonics->shape(0) - 1);
            scene.bands = static_cast<int>(harmonics->shape(2));
        }
        if (colors) {
            const size_t row = colors->shape(1) * colors->shape(2) * colors->itemsize();
            scene.colors = static_cast<const char*>(colors->data()) + row * std::min(view, colors->shape(0) - 1);
            scene.colors_type = scalar_of(colors->dtype());
            scene.channels = static_cast<int>(colors->shape(2));
        }
        return scene;
    }
};

// Where the gradients of a scene's tensors go, in their shapes and all in float32.
struct GradientTensors {
    std::optional<Out<2>> means, quats, scales;
    std::optional<Out<1>> opacities;
    std::optional<Out<3>> colors;
    std::optional<Out<4>> harmonics;
    std::optional<Out<3>> viewmats;
    std::optional<Out<2>> centers;

    void check(const SceneTensors& scene, bool through_projection) const {
        const auto as_large = [](const auto& gradient, const auto& tensor) { return gradient && gradient->size() == tensor.size(); };
        if (through_projection || (scene.harmonics && scene.degree > 0)) expect(as_large(means, scene.means), "gradient of means");
        if (through_projection) {
            expect(as_large(quats, scene.quats), "gradient of quats");
            expect(as_large(scales, scene.scales), "gradient of scales");
            expect(as_large(opacities, scene.opacities), "gradient of opacities");
        }
        expect(!colors || (scene.colors && as_large(colors, *scene.colors)), "gradient of colors");
        expect(!harmonics || (scene.harmonics && as_large(harmonics, *scene.harmonics)), "gradient of harmonics");
        expect(viewmats.has_value() == centers.has_value(), "gradients of viewmats and centers: both or none");
        if (!viewmats) return;
        expect(viewmats->shape(1) == 4 && viewmats->shape(2) == 4, "gradient of viewmats");
        expect(centers->shape(0) == viewmats->shape(0) && centers->shape(1) == 3, "gradient of centers");
    }

    // `first`: whether this is the first view that adds to them, so that they need not be cleared before.
    splatmem::Gradients of_view(size_t view, bool first) const {
        splatmem::Gradients to{};
        const auto all = [](const auto& tensor) { return tensor ? tensor->data() : nullptr; };
        const auto row = [&](const auto& tensor) {
            return tensor ? tensor->data() + tensor->size() / tensor->shape(0) * std::min(view, tensor->shape(0) - 1) : nullptr;
        };
        to.means = all(means);
        to.quats = all(quats);
        to.scales = all(scales);
        to.opacities = all(opacities);
        to.colors = row(colors);
        to.harmonics = row(harmonics);
        to.viewmat = row(viewmats);
        to.center = row(centers);
        to.overwrite = first;
        to.overwrite_colors = first || (colors && colors->shape(0) > 1);
        to.overwrite_harmonics = first || (harmonics && harmonics->shape(0) > 1);
        return to;
    }
};

// Gradients to the visible Gaussians of one view, in the scene's order.
struct ProjectedTensors {
    Out<2> means2d;
    Out<1> depths;
    Out<2> conics;
    Out<1> opacities;
    std::optional<Out<2>> absolute_means2d;

    splatmem::ProjectedGradients check(const splatmem::DrawnView& drawn) const {
        const size_t rows = drawn.state().visible;
        expect(means2d.shape(0) == rows && means2d.shape(1) == 2, "gradient of means2d");
        expect(conics.shape(0) == rows && conics.shape(1) == 3, "gradient of conics");
        expect(depths.shape(0) == rows && opacities.shape(0) == rows, "gradient of depths or projected opacities");
        expect(!absolute_means2d || absolute_means2d->size() == 2 * rows, "absolute gradient of means2d");
        return {means2d.data(), depths.data(), conics.data(), opacities.data(), absolute_means2d ? absolute_means2d->data() : nullptr};
    }
};

splatmem::Camera camera_of(const float* viewmat, const float* k, const float* center, int width, int height) {
    splatmem::Camera camera{};
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++) camera.rotation[3 * row + column] = viewmat[4 * row + column];
        camera.translation[row] = viewmat[4 * row + 3];
        camera.center[row] = center[row];
    }
    camera.fx = k[0];
    camera.cx = k[2];
    camera.fy = k[4];
    camera.cy = k[5];
    camera.height = height;
    camera.width = width;
    return camera;
}

constexpr size_t kViewsThatShareBoxes = 4;  // boxes around the chunks cost as much as a view without them

using Drawn = std::unique_ptr<splatmem::DrawnView>;

std::vector<Drawn> draw(
    const SceneTensors& tensors, const In<3>& viewmats, const In<3>& ks, const In<2>& centers,
    const std::optional<In<2>>& backgrounds, const Out<4>& images, const Out<4>& alphas,
    const std::optional<Out<3>>& median_depths, const std::optional<In<3>>& pixel_weights,
    const std::optional<Out<2>>& contributions, float near_plane, float far_plane,
    float radius_clip, float eps2d, bool antialiased, bool ortho, bool with_back, bool with_depth, bool keep, bool differentiable,
    int threads) {
    const size_t views = viewmats.shape(0), channels = images.shape(3), pixels = images.shape(1) * images.shape(2);
    expect(viewmats.shape(1) == 4 && viewmats.shape(2) == 4, "viewmats");
    expect(ks.shape(0) == views && ks.shape(1) == 3 && ks.shape(2) == 3, "Ks");
    expect(centers.shape(0) == views && centers.shape(1) == 3, "centers");
    const splatmem::Scene first = tensors.of_view(0);
    const size_t expected = static_cast<size_t>(first.harmonic_channels() + first.channels + with_back + with_depth);
    expect(images.shape(0) == views && channels == expected, "images");
    expect(alphas.size() == views * pixels, "alphas");
    expect(!backgrounds || (backgrounds->shape(0) == views && backgrounds->shape(1) == channels), "backgrounds");
    expect(!median_depths || median_depths->size() == views * pixels, "median_depths");
    expect(!pixel_weights || pixel_weights->size() == views * pixels, "pixel_weights");
    expect(!contributions || contributions->size() == views * tensors.means.shape(0), "contributions");
    std::vector<Drawn> drawn(keep ? views : 0);
    nb::gil_scoped_release release;
    std::vector<splatmem::ChunkBox> boxes;
    if (views >= kViewsThatShareBoxes && first.count > 0) {
        boxes.resize(splatmem::chunks_of(first.count));
        splatmem::kernels().box_chunks(first, boxes.data(), threads);
    }
    const auto draw_view = [&](size_t i, int view_threads) {
        splatmem::Camera camera = camera_of(
            viewmats.data() + 16 * i, ks.data() + 9 * i, centers.data() + 3 * i, static_cast<int>(images.shape(2)),
            static_cast<int>(images.shape(1)));
        camera.near_plane = near_plane;
        camera.far_plane = far_plane;
        camera.radius_clip = radius_clip;
        camera.eps2d = eps2d;
        camera.antialiased = antialiased;
        camera.model = ortho ? splatmem::CameraModel::ortho : splatmem::CameraModel::pinhole;
        const splatmem::ImageOut out{
            images.data() + i * pixels * channels, alphas.data() + i * pixels,
            backgrounds ? backgrounds->data() + i * channels : nullptr};
        splatmem::Scene scene = tensors.of_view(i);
        scene.boxes = boxes.empty() ? nullptr : boxes.data();
        Drawn view = std::make_unique<splatmem::DrawnView>(
            camera, scene, out, splatmem::RenderSettings{with_back, with_depth, differentiable || contributions, view_threads});
        const auto row = [i](const auto& all, size_t length) { return all ? all->data() + i * length : nullptr; };
        if (median_depths) view->median_depth(row(median_depths, pixels), view_threads);
        if (contributions)
            view->weighted_sums(
                {row(pixel_weights, pixels), 1, {0, first.count}, row(contributions, first.count)}, view_threads);
        if (keep) drawn[i] = std::move(view);
    };
    // As many views as go round are drawn each on a thread of its own, which never waits for the others; the rest on all.
    const size_t apart = threads > 1 ? views / threads * threads : 0;
    splatmem::parallel_for(static_cast<int>(apart), threads, [&](int i) { draw_view(i, 1); });
    for (size_t i = apart; i < views; i++) draw_view(i, threads);
    return drawn;
}

void backward(
    const splatmem::DrawnView& drawn, const SceneTensors& tensors, size_t view, const In<3>& image, const In<3>& alpha,
    const In<3>& grad_image, const In<3>& grad_alpha, const GradientTensors& gradients,
    const std::optional<ProjectedTensors>& projected, bool first, int threads) {
    expect(drawn.state().pair_slots.data() != nullptr, "the drawing: it is not differentiable");
    gradients.check(tensors, !projected);
    expect(grad_image.size() == image.size() && grad_alpha.size() == alpha.size(), "grad_image or grad_alpha");
    const splatmem::ImageIn in{image.data(), alpha.data(), grad_image.data(), grad_alpha.data()};
    const splatmem::Scene scene = tensors.of_view(view);
    splatmem::Gradients to = gradients.of_view(view, first);
    splatmem::ProjectedGradients stop{};
    if (projected) {
        stop = projected->check(drawn);
        to.projected = &stop;
    }
    nb::gil_scoped_release release;
    drawn.backward(scene, in, to, threads);
}

void projected_backward(
    const splatmem::DrawnView& drawn, const SceneTensors& tensors, size_t view, const ProjectedTensors& projected,
    const GradientTensors& gradients, bool first, int threads) {
    gradients.check(tensors, true);
    const splatmem::ProjectedGradients from = projected.check(drawn);
    const splatmem::Scene scene = tensors.of_view(view);
    const splatmem::Gradients to = gradients.of_view(view, first);
    nb::gil_scoped_release release;
    drawn.backward(scene, from, to, threads);
}

// Scene and camera of what BlendingWeights are of, one view of gsplat's default settings.
std::unique_ptr<splatmem::BlendingWeights> blending_weights(
    const SceneTensors& tensors, const In<2>& viewmat, const In<2>& k, int width, int height, int64_t first, int64_t last,
    int channels, const std::optional<Out<3>>& image, const std::optional<Out<2>>& alpha, float near_plane, float far_plane,
    float eps2d, int threads) {
    expect(viewmat.shape(0) == 4 && viewmat.shape(1) == 4, "viewmat");
    expect(k.shape(0) == 3 && k.shape(1) == 3, "K");
    expect(channels == 1 || channels == 3, "the values: 1 or 3 channels");
    expect(image.has_value() == alpha.has_value() && image.has_value() == tensors.colors.has_value(), "the image, alpha or colours");
    expect(!tensors.harmonics && (!image || tensors.colors->shape(2) == static_cast<size_t>(channels)), "the scene's colours");
    const splatmem::Scene scene = tensors.of_view(0);
    const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
    expect(!image || (image->size() == pixels * static_cast<size_t>(channels) && alpha->size() == pixels), "the image or alpha");
    expect(0 <= first && first <= last && last <= scene.count, "the range of Gaussians");
    const float center[3] = {};
    splatmem::Camera camera = camera_of(viewmat.data(), k.data(), center, width, height);
    camera.near_plane = near_plane;
    camera.far_plane = far_plane;
    camera.eps2d = eps2d;
    const splatmem::ImageOut drawn{image ? image->data() : nullptr, alpha ? alpha->data() : nullptr, nullptr};
    nb::gil_scoped_release release;
    return std::make_unique<splatmem::BlendingWeights>(
        camera, scene, splatmem::GaussianRange{first, last}, channels, threads, image ? &drawn : nullptr);
}

void expect_fit(const splatmem::BlendingWeights& weights, size_t values, std::optional<size_t> picture) {
    const splatmem::Camera& camera = weights.state().camera;
    const size_t channels = static_cast<size_t>(weights.channels);
    expect(values == static_cast<size_t>(weights.range.last - weights.range.first) * channels, "the Gaussians' values");
    expect(!picture || *picture == static_cast<size_t>(camera.width) * static_cast<size_t>(camera.height) * channels, "the picture");
}

void blend(splatmem::BlendingWeights& weights, const In<2>& values, const Out<3>& picture, int threads) {
    expect_fit(weights, values.size(), picture.size());
    nb::gil_scoped_release release;
    weights.blend(values.data(), picture.data(), threads);
}

void sum(const splatmem::BlendingWeights& weights, const std::optional<In<3>>& picture, const Out<2>& sums, int threads) {
    expect_fit(weights, sums.size(), picture ? std::optional<size_t>(picture->size()) : std::nullopt);
    nb::gil_scoped_release release;
    weights.sum(picture ? picture->data() : nullptr, sums.data(), threads);
}

// An array of recycled memory, not cleared.
nb::ndarray<nb::numpy, float> empty(const std::vector<size_t>& shape) {
    size_t count = 1;
    for (const size_t side : shape) count *= side;
    void* memory = splatmem::acquire_memory(count * sizeof(float));
    const nb::capsule owner(memory, splatmem::release_memory);
    return {memory, shape.size(), shape.data(), owner};
}

// The visible Gaussians in the scene's order, with gsplat's names and its integer radii.
void projected(
    const splatmem::DrawnView& drawn, const Outs<int64_t, 1>& gaussian_ids, const Outs<int32_t, 2>& radii, const Out<2>& means2d,
    const Out<1>& depths, const Out<2>& conics, const Out<1>& opacities, int threads) {
    const splatmem::ViewState& view = drawn.state();
    const size_t rows = view.visible;
    expect(gaussian_ids.shape(0) == rows && depths.shape(0) == rows && opacities.shape(0) == rows, "projected Gaussians");
    expect(radii.size() == 2 * rows && means2d.size() == 2 * rows && conics.size() == 3 * rows, "projected Gaussians");
    nb::gil_scoped_release release;
    splatmem::parallel_for(view.chunk_count, threads, [&](int k) {
        const splatmem::Chunk& chunk = view.chunks.data()[k];
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * splatmem::kChunk + i, out = chunk.first_visible + i;
            const splatmem::Record& r = view.record(at);
            const float xx = r.conic_xx(), xy = r.conic_xy(), yy = r.conic_yy(), det = r.conic_det();
            const float bound = 2.f * std::log(r.opacity / splatmem::kMinAlpha);
            const float extent = std::fmin(splatmem::kMaxExtent, std::sqrt(std::fmax(bound, 0.f)));
            gaussian_ids.data()[out] = view.gaussian_ids.data()[at];
            opacities.data()[out] = r.opacity;
            radii.data()[2 * out] = static_cast<int32_t>(std::ceil(extent * std::sqrt(yy / det)));
            radii.data()[2 * out + 1] = static_cast<int32_t>(std::ceil(extent * std::sqrt(xx / det)));
            means2d.data()[2 * out] = r.x + 0.5f;
            means2d.data()[2 * out + 1] = r.y + 0.5f;
            depths.data()[out] = view.depths.data()[at];
            conics.data()[3 * out] = xx;
            conics.data()[3 * out + 1] = xy;
            conics.data()[3 * out + 2] = yy;
        }
    });
}

nb::dict statistics(const splatmem::DrawnView& view) {
    const splatmem::StageSeconds& seconds = view.stage_seconds();
    nb::dict result;
    result["visible"] = view.state().visible;
    result["pairs"] = view.state().pairs;
    result["project"] = seconds.project;
    result["sort_and_bin"] = seconds.sort_and_bin;
    result["composite_forward"] = seconds.composite_forward;
    result["composite_backward"] = seconds.composite_backward;
    result["project_backward"] = seconds.project_backward;
    return result;
}

}  // namespace

NB_MODULE(_kernels, m) {
    m.doc() = "Compiled CPU kernels of splatmem.render; use splatmem.render.rasterization instead.";
    m.attr("interface") = 9;  // to be raised with every change of these bindings; splatmem/render/extension.py has the same
    nb::set_leak_warnings(false);  // views that are alive when the interpreter ends are no leak
    nb::class_<SceneTensors>(m, "Scene", "Activated parameters; colours and harmonics have a view axis of length one if shared.")
        .def(
            "__init__",
            [](SceneTensors* self, In<2> means, In<2> quats, In<2> scales, In<1> opacities, std::optional<Rows> colors,
               std::optional<In<4>> harmonics, int degree) {
                const SceneTensors tensors{means, quats, scales, opacities, colors, harmonics, degree};
                tensors.check();
                new (self) SceneTensors(tensors);
            },
            "means"_a, "quats"_a, "scales"_a, "opacities"_a, "colors"_a.none(), "harmonics"_a.none(), "degree"_a);
    nb::class_<GradientTensors>(m, "Gradients", "Tensors for the gradients of a Scene; None for those that are not wanted.")
        .def(
            nb::init<
                std::optional<Out<2>>, std::optional<Out<2>>, std::optional<Out<2>>, std::optional<Out<1>>,
                std::optional<Out<3>>, std::optional<Out<4>>, std::optional<Out<3>>, std::optional<Out<2>>>(),
            "means"_a.none(), "quats"_a.none(), "scales"_a.none(), "opacities"_a.none(), "colors"_a.none(),
            "harmonics"_a.none(), "viewmats"_a.none(), "centers"_a.none());
    nb::class_<ProjectedTensors>(m, "ProjectedGradients", "Tensors for the gradients of a view's projected Gaussians.")
        .def(
            nb::init<Out<2>, Out<1>, Out<2>, Out<1>, std::optional<Out<2>>>(), "means2d"_a, "depths"_a, "conics"_a,
            "opacities"_a, "absolute_means2d"_a.none());
    m.def("empty", &empty, "shape"_a, "A float32 array of memory that is used again and again; not cleared.");
    m.def("most_memory", [] { return splatmem::memory_use().most_lent; },
          "Bytes that drawings and their images held together at most since `forget_most_memory`.");
    m.def("forget_most_memory", &splatmem::forget_most_lent);
    m.def("draw", &draw, "scene"_a, "viewmats"_a, "Ks"_a, "centers"_a, "backgrounds"_a.none(), "images"_a, "alphas"_a,
          nb::kw_only(), "median_depths"_a.none(), "pixel_weights"_a.none(), "contributions"_a.none(), "near_plane"_a,
          "far_plane"_a, "radius_clip"_a, "eps2d"_a, "antialiased"_a, "ortho"_a, "with_back"_a, "with_depth"_a, "keep"_a,
          "differentiable"_a, "threads"_a,
          "Draws the views into `images` and `alphas`. Returns them if they are to be kept: for their backward passes if they are "
          "differentiable, and for what they show of the projection.");
    nb::class_<splatmem::DrawnView>(m, "DrawnView", "A drawn view, kept for its backward pass.")
        .def("backward", &backward, "scene"_a, "view"_a, "image"_a, "alpha"_a, "grad_image"_a, "grad_alpha"_a, "gradients"_a,
             "projected"_a.none(), nb::kw_only(), "first"_a, "threads"_a,
             "Adds to the gradients, or overwrites them if this is the first view; those with a view axis, in row `view`. If "
             "`projected` is given, those through the projection are added to that instead.")
        .def("projected_backward", &projected_backward, "scene"_a, "view"_a, "projected"_a, "gradients"_a, nb::kw_only(),
             "first"_a, "threads"_a, "Adds to the gradients those through the projection, or overwrites them with those.")
        .def_prop_ro("visible", [](const splatmem::DrawnView& view) { return view.state().visible; }, "Visible Gaussians.")
        .def("projected", &projected, "gaussian_ids"_a, "radii"_a, "means2d"_a, "depths"_a, "conics"_a, "opacities"_a,
             nb::kw_only(), "threads"_a, "Writes the visible Gaussians, as gsplat shows them, into a row each.")
        .def("statistics", &statistics, "Numbers of visible Gaussians and (Gaussian, tile) pairs; seconds by stage.");
    nb::class_<splatmem::BlendingWeights>(
        m, "BlendingWeights", "The weights with which a range of Gaussians is blended into a view, as a linear map.")
        .def("blend", &blend, "values"_a, "picture"_a, nb::kw_only(), "threads"_a, "Blends the Gaussians' values into a picture.")
        .def("sum", &sum, "picture"_a.none(), "sums"_a, nb::kw_only(), "threads"_a,
             "Sums, for each Gaussian, the picture's values times its weights there; without a picture, its weights.");
    m.def("blending_weights", &blending_weights, "scene"_a, "viewmat"_a, "K"_a, "width"_a, "height"_a, "first"_a, "last"_a,
          "channels"_a, nb::kw_only(), "image"_a.none(), "alpha"_a.none(), "near_plane"_a, "far_plane"_a, "eps2d"_a, "threads"_a,
          "If the scene has colours, `image` and `alpha` get what it shows in the tiles in which some of the range lie.");
    splatmem::bind_pictures(m);
    m.def("instruction_sets", &splatmem::instruction_sets, "Those compiled in that this processor has, best first.");
    m.def("instruction_set", [] { return std::string(splatmem::kernels().name); }, "The one in use.");
    m.def("use_instruction_set", &splatmem::use_instruction_set, "name"_a, "Chooses one, for tests and benchmarks.");
}
