// Checks the kernels without Python: for sanitizers, for processors that are emulated, and for other compilers.
//
//   check_kernels                  scenes that are not nice, with every instruction set that the processor has
//   check_kernels --save FILE      writes the pictures and gradients of ordinary scenes
//   check_kernels --compare FILE   compares them with those that another build wrote
//
// Prints what is wrong, and ends with 1 if anything is.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "patches.h"
#include "rasterizer.h"
#include "smear.h"

namespace {

using splatmem::Camera;
using splatmem::CameraModel;
using Floats = std::vector<float>;

int failures = 0;

template <class... Arguments>
void fail(const char* format, Arguments... arguments) {
    std::printf(format, arguments...);
    std::printf("\n");
    failures++;
}

// ---- scenes -------------------------------------------------------------------------------------------------------------

// The same numbers on every machine, but for rounding; so no expression may draw twice, in whichever order.
class Random {
  public:
    explicit Random(unsigned seed) : bits_(seed) {}
    float uniform(float low, float high) { return low + (high - low) * static_cast<float>(bits_() >> 8) * 0x1p-24f; }
    float bell() {  // variance 1
        float sum = 0;
        for (int i = 0; i < 3; i++) sum += uniform(-1, 1);
        return sum;
    }
    unsigned below(unsigned count) { return bits_() % count; }

  private:
    std::mt19937 bits_;
};

struct TestScene {
    std::string name;
    int channels;
    int width, height;
    Floats means, quats, scales, opacities, colors;
    Floats harmonics;
    int degree = 0;
    CameraModel model = CameraModel::pinhole;
    float near_plane = 0.01f, radius_clip = 0, eps2d = 0.3f;
    bool well_conditioned = true;  // instruction sets agree to rounding

    size_t count() const { return opacities.size(); }
};

TestScene random_scene(const std::string& name, int count, int channels, int width, int height, unsigned seed) {
    Random random(seed);
    TestScene scene;
    scene.name = name;
    scene.channels = channels;
    scene.width = width;
    scene.height = height;
    for (int i = 0; i < count; i++) {
        const int halvings = 2 + static_cast<int>(random.below(4));
        const float size = std::ldexp(random.uniform(1, 2), -halvings);
        scene.means.insert(scene.means.end(), {random.uniform(-2.5, 2.5), random.uniform(-2, 2), random.uniform(-0.6f, 4.4f)});
        for (int k = 0; k < 4; k++) scene.quats.push_back(random.bell());
        for (int k = 0; k < 3; k++) scene.scales.push_back(size * random.uniform(0.05f, 1));
        scene.opacities.push_back(random.uniform(0.002f, 1));
        for (int c = 0; c < channels; c++) scene.colors.push_back(random.uniform(0, 1));
    }
    return scene;
}

// Four chunks: one before the camera, one beside it, one cut off by the image's border and one behind.
TestScene scene_of_blocks(const std::string& name, CameraModel model) {
    TestScene scene = random_scene(name, 4 * splatmem::kChunk, 1, 60, 40, 12);
    scene.model = model;
    const float across[4] = {0, 40, 3, 0}, along[4] = {1, 0, 1, -40};
    for (size_t i = 0; i < scene.count(); i++) {
        scene.means[3 * i] += across[i / splatmem::kChunk];
        scene.means[3 * i + 2] += along[i / splatmem::kChunk];
        for (int k = 0; k < 3; k++) scene.scales[3 * i + k] *= 0.25f;
    }
    return scene;
}

// The same with a colour of spherical harmonics before the channels.
TestScene with_harmonics(TestScene scene, int degree) {
    Random random(17);
    scene.name += ", harmonics of degree " + std::to_string(degree);
    scene.degree = degree;
    for (size_t i = 0; i < scene.count() * 3 * (degree + 1) * (degree + 1); i++) scene.harmonics.push_back(0.5f * random.bell());
    return scene;
}

TestScene changed(TestScene scene, const std::string& name, const std::function<void(TestScene&, Random&)>& change) {
    Random random(99);
    scene.name = name;
    change(scene, random);
    return scene;
}

std::vector<TestScene> ordinary_scenes() {
    std::vector<TestScene> scenes;
    for (int channels : {1, 3, 4, 7, 16, 20})
        scenes.push_back(
            random_scene(std::to_string(channels) + " channels", 600, channels, 90 + channels, 61 - channels, 7 + channels));
    for (int degree = 0; degree <= 3; degree++)
        scenes.push_back(with_harmonics(random_scene("", 300, degree == 1 ? 15 : 1, 70, 50, 30 + degree), degree));
    scenes.push_back(random_scene("three chunks", 9000, 3, 200, 120, 3));
    scenes.push_back(scene_of_blocks("chunks out of view", CameraModel::pinhole));
    scenes.push_back(scene_of_blocks("chunks out of view, orthographic", CameraModel::ortho));
    scenes.push_back(changed(random_scene("", 900, 3, 64, 48, 4), "opaque", [](TestScene& s, Random&) {
        for (float& o : s.opacities) o = 0.8f + 0.2f * o;
        for (float& x : s.scales) x *= 2.5f;
    }));
    return scenes;
}

std::vector<TestScene> odd_scenes() {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
    std::vector<TestScene> scenes;
    for (const auto& [width, height] : std::vector<std::pair<int, int>>{
             {1, 1}, {1, 70}, {129, 1}, {33, 31}, {4, 4}, {5, 3}, {8192, 9}, {7, 8192}, {32768, 1}}) {
        const std::string size = std::to_string(width) + "x" + std::to_string(height);
        scenes.push_back(random_scene("no Gaussians, " + size, 0, 3, width, height, 0));
        scenes.push_back(random_scene("few Gaussians, " + size, 150, 3, width, height, 5));
    }
    const TestScene base = random_scene("", 300, 3, 70, 50, 6);
    for (int count : {1, 15, 16, 17, 4096, 4097}) {
        const std::string name = std::to_string(count) + " Gaussians";
        scenes.push_back(random_scene(name, count, 3, 40, 30, 8));
    }
    const auto add = [&](const std::string& name, const std::function<void(TestScene&, Random&)>& change, bool exact = false) {
        scenes.push_back(changed(base, name, change));
        scenes.back().well_conditioned = exact;
    };
    const float nasty[] = {0.f, -0.f, 1e-30f, 1e-12f, -1.f, 1e6f, 1e18f, -1e18f, kNan, kInfinity, -kInfinity, 1e-44f};
    const std::pair<const char*, Floats TestScene::*> arrays[] = {
        {"means", &TestScene::means}, {"quats", &TestScene::quats}, {"scales", &TestScene::scales},
        {"opacities", &TestScene::opacities}, {"colors", &TestScene::colors}, {"harmonics", &TestScene::harmonics}};
    for (const auto& [name, array] : arrays)
        add(std::string("damaged ") + name, [&nasty, array = array](TestScene& s, Random& random) {
            if (array == &TestScene::harmonics) s = with_harmonics(s, 3);
            Floats& values = s.*array;
            for (size_t i = 0; i < values.size(); i += 1 + random.below(9)) {
                const float value = nasty[random.below(12)];
                // A finite colour is drawn as it is, however large.
                const bool color = array == &TestScene::colors || array == &TestScene::harmonics;
                if (!color || !std::isfinite(value)) values[i] = value;
            }
        });
    add("all NaN", [&](TestScene& s, Random&) { s.means.assign(s.means.size(), kNan); });
    add("needles", [](TestScene& s, Random&) {
        for (size_t i = 0; i < s.scales.size(); i++) s.scales[i] = i % 3 == 0 ? 30.f : 1e-4f;
    });
    add("huge", [](TestScene& s, Random& random) {
        for (float& x : s.scales) x = random.uniform(1e2, 1e6);
    });
    add("points", [](TestScene& s, Random&) { s.scales.assign(s.scales.size(), 0.f); }, true);
    add("points without low-pass", [](TestScene& s, Random&) {
        s.scales.assign(s.scales.size(), 0.f);
        s.eps2d = 0;
    });
    add("thin without low-pass", [](TestScene& s, Random&) { s.eps2d = 0; });
    add("no rotations", [](TestScene& s, Random&) { s.quats.assign(s.quats.size(), 0.f); }, true);
    add("behind", [](TestScene& s, Random&) {
        for (size_t i = 2; i < s.means.size(); i += 3) s.means[i] = -1 - s.means[i] * s.means[i];
    }, true);
    add("around the near plane", [](TestScene& s, Random& random) {
        for (size_t i = 2; i < s.means.size(); i += 3) s.means[i] = 0.01f + random.uniform(-1e-5f, 1e-5f);
    });
    add("tiny near plane", [](TestScene& s, Random& random) {
        s.near_plane = 1e-20f;
        for (size_t i = 2; i < s.means.size(); i += 3) s.means[i] = random.uniform(0, 1e-18f);
    });
    add("equal depths", [](TestScene& s, Random&) {
        for (size_t i = 2; i < s.means.size(); i += 3) s.means[i] = 2.f;
    }, true);
    add("radius clip", [](TestScene& s, Random&) { s.radius_clip = 5; }, true);
    add("orthographic", [](TestScene& s, Random&) { s.model = CameraModel::ortho; }, true);
    add("orthographic, damaged", [&nasty](TestScene& s, Random& random) {
        s.model = CameraModel::ortho;
        for (size_t i = 0; i < s.means.size(); i += 1 + random.below(9)) s.means[i] = nasty[random.below(12)];
        for (size_t i = 0; i < s.scales.size(); i += 1 + random.below(9)) s.scales[i] = nasty[random.below(12)];
    });
    add("no opacity", [](TestScene& s, Random&) { s.opacities.assign(s.opacities.size(), 0.f); }, true);
    add("more than opaque", [](TestScene& s, Random&) { s.opacities.assign(s.opacities.size(), 30.f); });
    return scenes;
}

// ---- drawing ------------------------------------------------------------------------------------------------------------

struct Result {
    Floats image, alpha, median_depth, contributions, drawn, drawn_alpha, blended, sums, means, quats, scales, opacities, colors, harmonics, viewmat, center;

    std::vector<std::pair<const char*, const Floats*>> arrays() const {
        return {{"image", &image}, {"alpha", &alpha}, {"median depth", &median_depth}, {"contributions", &contributions},
                {"the image of some", &drawn}, {"the alpha of some", &drawn_alpha}, {"blended values", &blended}, {"weighted sums", &sums},
                {"gradient of means", &means}, {"gradient of quats", &quats},
                {"gradient of scales", &scales}, {"gradient of opacities", &opacities}, {"gradient of colors", &colors},
                {"gradient of harmonics", &harmonics}, {"gradient of the camera", &viewmat},
                {"gradient of its centre", &center}};
    }
};

// The picture with backness and depth over a background, and the gradients of a loss with weights that look random. `boxed`:
// whether chunks are passed over by their boxes, as those of many views are.
Result draw(const TestScene& s, int threads, bool boxed = false) {
    Camera camera{};
    camera.model = s.model;
    const float tilt[9] = {0.98f, 0.f, 0.199f, 0.02f, 0.995f, -0.0985f, -0.198f, 0.1f, 0.975f};
    std::memcpy(camera.rotation, tilt, sizeof tilt);
    camera.translation[2] = 0.1f;
    for (int k = 0; k < 3; k++) camera.center[k] = -0.1f * tilt[6 + k];
    camera.width = s.width;
    camera.height = s.height;
    const float longer = static_cast<float>(s.width > s.height ? s.width : s.height);
    const float per_unit = s.model == CameraModel::ortho ? 0.2f * longer : longer;
    camera.fx = 0.87f * per_unit;
    camera.fy = 0.91f * per_unit;
    camera.cx = 0.49f * s.width;
    camera.cy = 0.51f * s.height;
    camera.near_plane = s.near_plane;
    camera.far_plane = 1e10f;
    camera.radius_clip = s.radius_clip;
    camera.eps2d = s.eps2d;

    splatmem::Scene scene{};
    scene.means = s.means.data();
    scene.quats = s.quats.data();
    scene.scales = s.scales.data();
    scene.opacities = s.opacities.data();
    scene.harmonics = s.harmonics.data();
    scene.bands = s.harmonics.empty() ? 0 : (s.degree + 1) * (s.degree + 1);
    scene.degree = s.degree;
    scene.colors = s.colors.data();
    scene.channels = s.channels;
    scene.count = static_cast<int64_t>(s.count());
    std::vector<splatmem::ChunkBox> boxes(boxed ? splatmem::chunks_of(scene.count) : 0);
    if (boxed) {
        splatmem::kernels().box_chunks(scene, boxes.data(), threads);
        scene.boxes = boxes.data();
    }

    const size_t channels = scene.harmonic_channels() + s.channels + 2;
    const size_t pixels = static_cast<size_t>(s.width) * s.height, values = pixels * channels;
    const Floats background(channels, 0.25f);
    Result r{Floats(values),           Floats(pixels),             Floats(pixels),            Floats(s.count()),
             Floats(),                 Floats(),                  Floats(),                  Floats(),
             Floats(s.means.size()),   Floats(s.quats.size()),    Floats(s.scales.size()),   Floats(s.opacities.size()),
             Floats(s.colors.size()),  Floats(s.harmonics.size()), Floats(16),               Floats(3)};
    const splatmem::DrawnView view(
        camera, scene, {r.image.data(), r.alpha.data(), background.data()}, splatmem::RenderSettings{true, true, true, threads});

    view.median_depth(r.median_depth.data(), threads);
    view.weighted_sums({r.alpha.data(), 1, {0, scene.count}, r.contributions.data()}, threads);

    // Of a third of the Gaussians, drawn among the others, blended alone and summed up.
    const splatmem::GaussianRange third{scene.count / 3, 2 * scene.count / 3};
    splatmem::Scene uncoloured = scene;
    uncoloured.colors = uncoloured.harmonics = nullptr;
    uncoloured.channels = uncoloured.bands = 0;
    r.blended.resize(3 * pixels);
    r.sums.resize(3 * (third.last - third.first));
    splatmem::BlendingWeights weights(camera, uncoloured, third, 3, threads);
    weights.blend(s.means.data() + 3 * third.first, r.blended.data(), threads);
    weights.sum(r.blended.data(), r.sums.data(), threads);
    if (s.channels == 3 && s.harmonics.empty()) {
        r.drawn.resize(3 * pixels);
        r.drawn_alpha.resize(pixels);
        const splatmem::ImageOut drawn{r.drawn.data(), r.drawn_alpha.data(), nullptr};
        const splatmem::BlendingWeights among(camera, scene, third, 3, threads, &drawn);
    }

    Random random(1);
    Floats grad_image(values), grad_alpha(pixels);
    for (float& g : grad_image) g = random.uniform(-1, 1);
    for (float& g : grad_alpha) g = random.uniform(-1, 1);
    splatmem::Gradients gradients{};
    gradients.means = r.means.data();
    gradients.quats = r.quats.data();
    gradients.scales = r.scales.data();
    gradients.opacities = r.opacities.data();
    gradients.harmonics = r.harmonics.data();
    gradients.colors = r.colors.data();
    gradients.viewmat = r.viewmat.data();
    gradients.center = r.center.data();
    const splatmem::ImageIn loss{r.image.data(), r.alpha.data(), grad_image.data(), grad_alpha.data()};
    view.backward(scene, loss, gradients, threads);
    return r;
}

// ---- checks -------------------------------------------------------------------------------------------------------------

void check_finite(const std::string& what, const Result& result) {
    for (const auto& [name, values] : result.arrays())
        for (float x : *values)
            if (!std::isfinite(x)) {
                fail("%s: %s is not finite", what.c_str(), name);
                break;
            }
    for (float x : result.alpha)
        if (!(x >= 0 && x <= 1)) return fail("%s: alpha is %g", what.c_str(), x);
}

void check_same_bytes(const std::string& what, const Result& a, const Result& b) {
    const auto left = a.arrays(), right = b.arrays();
    for (size_t i = 0; i < left.size(); i++)
        if (!left[i].second->empty() &&
            std::memcmp(left[i].second->data(), right[i].second->data(), left[i].second->size() * sizeof(float)) != 0)
            fail("%s: %s depends on the number of threads or on the chunks' boxes", what.c_str(), left[i].first);
}

// Two processors may round a faint alpha to either side of 1/255, so single pixels may differ a little.
void check_close(const std::string& what, const Result& result, const Result& expected) {
    const auto left = result.arrays(), right = expected.arrays();
    for (size_t i = 0; i < left.size(); i++) {
        double difference = 0, size = 0, largest = 0;
        for (size_t k = 0; k < left[i].second->size(); k++) {
            const double a = (*left[i].second)[k], b = (*right[i].second)[k];
            difference += (a - b) * (a - b);
            size += b * b;
            largest = std::fmax(largest, std::fabs(a - b));
        }
        const bool gradient = i >= 2;
        const double relative = std::sqrt(difference / std::fmax(size, 1e-30));
        if (!(relative <= (gradient ? 1e-3 : 1e-5)) || (!gradient && !(largest <= 0.02)))
            fail("%s: %s differs by %.1e (relative), %.1e (largest)", what.c_str(), left[i].first, relative, largest);
    }
}

void check_everything() {
    std::vector<TestScene> scenes = ordinary_scenes();
    for (TestScene& scene : odd_scenes()) scenes.push_back(std::move(scene));
    for (const TestScene& scene : scenes) {
        std::vector<Result> results;
        for (const std::string& set : splatmem::instruction_sets()) {
            const std::string what = scene.name + ", " + set;
            splatmem::use_instruction_set(set);
            results.push_back(draw(scene, 1));
            check_finite(what, results.back());
            check_same_bytes(what, results.back(), draw(scene, 3, true));
            if (scene.well_conditioned) check_close(what + " and " + splatmem::instruction_sets()[0], results.back(), results[0]);
        }
    }
    std::printf("%zu scenes:", scenes.size());
    for (const std::string& set : splatmem::instruction_sets()) std::printf(" %s", set.c_str());
    std::printf(": %s\n", failures ? "failed" : "all right");
}

// Numbers of pairs beyond 32 bits are told, not wrapped around: 5000 Gaussians that cover the 2^20 tiles of the largest image.
void check_too_many_pairs() {
    Random random(1);
    TestScene s = random_scene("too many pairs", 5000, 1, 32768, 32768, 1);
    for (float& x : s.scales) x = random.uniform(1e3, 1e4);
    for (float& x : s.opacities) x = 1;
    for (size_t i = 0; i < s.means.size(); i++) s.means[i] = i % 3 == 2 ? 2.f : 0.f;
    splatmem::Scene scene{};
    scene.means = s.means.data();
    scene.quats = s.quats.data();
    scene.scales = s.scales.data();
    scene.opacities = s.opacities.data();
    scene.colors = s.colors.data();
    scene.channels = 1;
    scene.count = static_cast<int64_t>(s.count());
    Camera camera{};
    for (int k = 0; k < 3; k++) camera.rotation[4 * k] = 1;
    camera.width = camera.height = 32768;
    camera.fx = camera.fy = camera.cx = camera.cy = 16384;
    camera.near_plane = 0.01f;
    camera.far_plane = 1e10f;
    camera.eps2d = 0.3f;
    try {
        const splatmem::DrawnView view(camera, scene, splatmem::ImageOut{}, splatmem::RenderSettings{false, false, false, 2});
        fail("%s: %lld are taken for possible", s.name.c_str(), static_cast<long long>(view.state().pairs));
    } catch (const std::length_error&) {
    }
}

// Patches whose places reach to the picture's edges, and jumps far beyond them.
void check_patches() {
    constexpr int64_t kHeight = 19, kWidth = 23, kTries = 3;
    constexpr int kRadius = 3;
    Random random(2);
    Floats rgb(3 * (kHeight + 2 * kRadius) * (kWidth + 2 * kRadius)), log_depth(kHeight * kWidth);
    for (float& x : rgb) x = random.uniform(0, 1);
    for (float& x : log_depth) x = random.uniform(-2, 2);
    std::vector<int64_t> middles, wanted, start, steps, index(kHeight * kWidth, -1), list(kHeight * kWidth, 0);
    for (int64_t row = 0; row < kHeight; row++) {
        for (int64_t column = 0; column < kWidth; column++) {
            const int64_t pixel = row * kWidth + column;
            list[pixel] = static_cast<int64_t>(random.below(3)) - 1;
            if (row < 8 || column < 9) continue;
            index[pixel] = static_cast<int64_t>(wanted.size());
            middles.insert(middles.end(), {row, column});
            wanted.push_back(random.below(2));
            start.insert(start.end(), {random.below(kHeight), random.below(kWidth)});
        }
    }
    const int64_t count = static_cast<int64_t>(wanted.size());
    for (int64_t i = 0; i < 2 * kTries * count; i++) steps.push_back(static_cast<int64_t>(random.below(61)) - 30);
    const splatmem::PatchPicture picture{rgb.data(), kHeight, kWidth, kRadius};
    const splatmem::PatchField field{middles.data(), index.data(), count};
    const splatmem::PatchPlaces places{log_depth.data(), list.data(), wanted.data(), 0.4f, 0.01f};
    std::vector<Floats> costs, colours;
    std::vector<std::vector<int64_t>> matches;
    for (const int threads : {1, 3}) {
        matches.push_back(start);
        costs.emplace_back(count);
        colours.emplace_back(3 * count);
        splatmem::search_patches(
            picture, field, places, steps.data(), kTries, matches.back().data(), costs.back().data(), threads);
        splatmem::vote_of_patches(
            picture, field, matches.back().data(), costs.back().data(), list.data(), 0.01f, middles.data(), count,
            colours.back().data(), threads);
    }
    if (matches[0] != matches[1] || costs[0] != costs[1] || colours[0] != colours[1])
        fail("patches: the result depends on the number of threads");
    for (const float x : colours[0])
        if (!(x >= 0 && x <= 1)) return fail("patches: a mean of colours in 0..1 is %g", x);
}

// Pictures of odd sizes with any share of gaps.
void check_smear() {
    Random random(3);
    for (const auto& [height, width] : {std::pair{1, 1}, std::pair{1, 9}, std::pair{7, 1}, std::pair{17, 30}}) {
        for (const float share : {0.f, 0.1f, 0.9f, 1.f}) {
            const size_t pixels = static_cast<size_t>(height) * width;
            Floats rgb(3 * pixels), alpha(pixels), shown(3 * pixels);
            std::vector<char> known(pixels);
            for (float& x : rgb) x = random.uniform(0, 1);
            for (float& x : alpha) x = random.uniform(0.9f, 1);
            for (char& x : known) x = random.uniform(0, 1) < share;
            const splatmem::DrawnPicture picture{
                rgb.data(), alpha.data(), reinterpret_cast<const bool*>(known.data()), height, width};
            splatmem::show(picture, 0.97f, shown.data());
            for (const float x : shown)
                if (!(x >= 0 && x <= 1)) return fail("smear: a colour of a picture of %dx%d is %g", width, height, x);
        }
    }
}

void exchange(const char* path, bool save) {
    std::FILE* file = std::fopen(path, save ? "wb" : "rb");
    if (file == nullptr) throw std::runtime_error(std::string("cannot open ") + path);
    for (const TestScene& scene : ordinary_scenes()) {
        Result result = draw(scene, 1), saved = result;
        for (const auto& [name, values] : saved.arrays()) {
            float* data = const_cast<float*>(values->data());
            const size_t done = save ? std::fwrite(data, sizeof(float), values->size(), file)
                                     : std::fread(data, sizeof(float), values->size(), file);
            if (done != values->size()) throw std::runtime_error(std::string(path) + " is not whole");
        }
        if (!save) check_close(scene.name, result, saved);
    }
    std::fclose(file);
    std::printf("%s: %s\n", splatmem::kernels().name, save ? "saved" : failures ? "differs" : "the same");
}

}  // namespace

int main(int count, char** arguments) {
    const std::string mode = count > 1 ? arguments[1] : "";
    if (count == 3 && (mode == "--save" || mode == "--compare"))
        exchange(arguments[2], mode == "--save");
    else if (count == 1) {
        check_too_many_pairs();
        check_patches();
        check_smear();
        check_everything();
    }
    else
        fail("usage: %s [--save FILE | --compare FILE]", arguments[0]);
    return failures ? 1 : 0;
}
