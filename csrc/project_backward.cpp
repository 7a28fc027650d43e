// Stage 5: sums the slots of each Gaussian's pairs, in their fixed order, and takes the sums back through the projection.
//
// Gaussians are collected in rows of sixteen and each row is taken back at once (ewa_backward.h, harmonics.h). Chunks are
// disjoint in the scene, so threads never meet.
#include "ewa_backward.h"
#include "harmonics.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

constexpr int kMaxSums = 32;

// Up to sixteen visible Gaussians.
struct Row {
    int count = 0;
    alignas(64) int32_t index[16] = {};  // in the scene
    uint32_t place[16] = {};             // among the visible
    alignas(64) float geometry[5][16] = {};

    LANES_INLINE void add(const Record& r, uint32_t gaussian, uint32_t visible) {
        place[count] = visible;
        geometry[0][count] = r.conic_xx();
        geometry[1][count] = r.conic_xy();
        geometry[2][count] = r.conic_yy();
        geometry[3][count] = r.opacity;
        geometry[4][count] = r.conic_det();
        index[count++] = static_cast<int32_t>(gaussian);
    }
    // Repeats the last Gaussian in the lanes that are left over.
    LANES_INLINE void fill() {
        for (int lane = count; lane < 16; lane++) index[lane] = index[count - 1];
    }
    LANES_INLINE Conic conic() const {
        return {{load(geometry[0]), load(geometry[1]), load(geometry[2])}, load(geometry[4])};
    }
    LANES_INLINE Float16 opacity() const { return load(geometry[3]); }
    LANES_INLINE Mask16 present() const {
        alignas(64) static constexpr float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        return load(lanes) < static_cast<float>(count);
    }
};

// Gradients to the camera, summed over rows.
class CameraSums {
  public:
    CameraSums() {
        for (Float16& sum : sums_) sum = 0.f;
    }

    // J W holds W, and so do the camera coordinates t = W X + b.
    LANES_INLINE void add(const Row& row, const Ewa& e, const EwaGradient& grad, const Scene& scene) {
        const Mask16 present = row.present();
        const Float16 t[3] = {grad.t.x, grad.t.y, grad.t.z};
        for (int k = 0; k < 3; k++) {
            const Float16 x = gather(scene.means + k, row.index, 3);
            const Float16 via_j[3] = {
                e.j00 * grad.jw[k], e.j11 * grad.jw[3 + k], e.j02 * grad.jw[k] + e.j12 * grad.jw[3 + k]};
            for (int i = 0; i < 3; i++) add(3 * i + k, present, fma(t[i], x, via_j[i]));
            add(9 + k, present, t[k]);
        }
    }
    LANES_INLINE void subtract_center(const Row& row, const Float16* grad) {
        for (int k = 0; k < 3; k++) add(12 + k, row.present(), -grad[k]);
    }
    void add_to(float* sums) const {
        alignas(64) float totals[kCameraSums];
        store_sums(totals, sums_);
        for (int k = 0; k < kCameraSums; k++) sums[k] += totals[k];
    }

  private:
    LANES_INLINE void add(int k, Mask16 present, Float16 value) { sums_[k] = sums_[k] + zero_unless(present, value); }

    Float16 sums_[kCameraSums];
};

LANES_INLINE void add_to_rows(const Row& row, const Float16* values, int columns, float* rows) {
    alignas(64) float out[4][16];
    for (int k = 0; k < columns; k++) store(out[k], values[k]);
    for (int lane = 0; lane < row.count; lane++) {
        float* to = rows + static_cast<size_t>(row.index[lane]) * columns;
        for (int k = 0; k < columns; k++) to[k] += out[k][lane];
    }
}

// From projected Gaussians to the scene and the camera.
LANES_INLINE void take_back_projection(
    const Row& row, const ProjectedGradient& g, const Projector& projector, const Scene& scene, const Gradients& to,
    CameraSums& camera) {
    const Ewa ewa(projector, scene, row.index);
    const EwaGradient grad = take_back(ewa, projector, row.conic(), row.opacity(), g);
    add_to_rows(row, grad.mean, 3, to.means);
    add_to_rows(row, grad.quat, 4, to.quats);
    add_to_rows(row, grad.scale, 3, to.scales);
    add_to_rows(row, &grad.opacity, 1, to.opacities);
    if (to.camera_sums) camera.add(row, ewa, grad, scene);
}

// To projected Gaussians, for someone else to take back.
LANES_INLINE void store_projected(const Row& row, const ProjectedGradient& g, const ProjectedGradients& to) {
    alignas(64) float out[7][16];
    store(out[0], g.x);
    store(out[1], g.y);
    store(out[2], g.depth);
    store(out[3], -0.5f * g.moments.xx);  // dL/dQ = -1/2 M, and Q.xy stands for two entries
    store(out[4], -g.moments.xy);
    store(out[5], -0.5f * g.moments.yy);
    store(out[6], g.log_opacity / row.opacity());
    for (int lane = 0; lane < row.count; lane++) {
        const size_t i = row.place[lane];
        for (int k = 0; k < 2; k++) to.means2d[2 * i + k] += out[k][lane];
        to.depths[i] += out[2][lane];
        for (int k = 0; k < 3; k++) to.conics[3 * i + k] += out[3 + k][lane];
        to.opacities[i] += out[6][lane];
    }
}

LANES_INLINE ProjectedGradient load_projected(const Row& row, const ProjectedGradients& from) {
    alignas(64) float in[7][16] = {};
    for (int lane = 0; lane < row.count; lane++) {
        const size_t i = row.place[lane];
        for (int k = 0; k < 2; k++) in[k][lane] = from.means2d[2 * i + k];
        in[2][lane] = from.depths[i];
        for (int k = 0; k < 3; k++) in[3 + k][lane] = from.conics[3 * i + k];
        in[6][lane] = from.opacities[i];
    }
    return {
        load(in[0]),
        load(in[1]),
        {-2.f * load(in[3]), -load(in[4]), -2.f * load(in[5])},
        load(in[6]) * row.opacity(),
        load(in[2]),
    };
}

// From the colours seen to the coefficients, and through the direction to the means.
LANES_INLINE void take_back_harmonics(
    const Row& row, const float (*rgb)[16], const Camera& camera, const Scene& scene, const Gradients& to, CameraSums& sums) {
    SeenHarmonics seen;
    seen.look(camera, scene, row.index);
    const int bands = harmonic_bands(scene.degree);
    alignas(64) float weights[kMaxBands][16];
    for (int lane = 0; lane < row.count; lane++) {
        const size_t at = static_cast<size_t>(row.index[lane]) * scene.bands * 3;
        const float grad[3] = {rgb[0][lane], rgb[1][lane], rgb[2][lane]};
        if (to.harmonics)
            for (int k = 0; k < bands; k++)
                for (int c = 0; c < 3; c++) to.harmonics[at + 3 * k + c] += seen.basis[k][lane] * grad[c];
        if (scene.degree == 0) continue;
        const float* sh = scene.harmonics + at;
        for (int k = 0; k < bands; k++)
            weights[k][lane] = sh[3 * k] * grad[0] + sh[3 * k + 1] * grad[1] + sh[3 * k + 2] * grad[2];
    }
    if (scene.degree == 0) return;
    for (int k = 0; k < bands; k++)
        for (int lane = row.count; lane < 16; lane++) weights[k][lane] = 0.f;
    // d = v / |v|: dL/dv = (dL/dd - d (d . dL/dd)) / |v|.
    const ViewDirection direction(camera, scene, row.index);
    const Vec3 d = direction.d, g = harmonic_gradient(scene.degree, d, weights);
    const Float16 along = d.x * g.x + d.y * g.y + d.z * g.z;
    const Float16 mean[3] = {
        (g.x - along * d.x) * direction.inv_distance,
        (g.y - along * d.y) * direction.inv_distance,
        (g.z - along * d.z) * direction.inv_distance,
    };
    add_to_rows(row, mean, 3, to.means);
    if (to.camera_sums) sums.subtract_center(row, mean);
}

// Collects sums over a Gaussian's pairs until there are sixteen, then takes them back together.
class PairSums {
  public:
    PairSums(const Projector& projector, const ChannelGroup& group, const Scene& scene, const Gradients& gradients)
        : projector_(projector), group_(group), scene_(scene), gradients_(gradients) {}

    void add(const Record& r, uint32_t gaussian, uint32_t visible, const float* sums) {
        for (int k = 0; k < kMoments + group_.used; k++) sums_[k][row_.count] = sums[k];
        if (group_.first == 0)  // what the clamp of the harmonics holds at zero gets no gradient
            for (int c = 0; c < scene_.harmonic_channels(); c++)
                if (__builtin_signbit(r.channels()[c])) sums_[kMoments + c][row_.count] = 0.f;
        if (gradients_.projected && gradients_.projected->absolute_means2d)
            for (int k = 0; k < 2; k++)
                gradients_.projected->absolute_means2d[2 * size_t{visible} + k] += sums[kMoments + group_.padded + k];
        row_.add(r, gaussian, visible);
        if (row_.count == 16) flush();
    }

    void flush() {
        if (row_.count == 0) return;
        row_.fill();
        const ProjectedGradient g = projected_gradient();
        if (gradients_.projected) {
            store_projected(row_, g, *gradients_.projected);
        } else {
            take_back_projection(row_, g, projector_, scene_, gradients_, camera_);
        }
        const int harmonics = group_.first == 0 ? scene_.harmonic_channels() : 0;
        if (harmonics) take_back_harmonics(row_, sums_ + kMoments, projector_.camera, scene_, gradients_, camera_);
        if (gradients_.colors) take_back_colors(harmonics);
        row_.count = 0;
    }

    const CameraSums& camera() const { return camera_; }

  private:
    LANES_INLINE ProjectedGradient projected_gradient() const {
        const Symmetric2 q = row_.conic().q;
        const Float16 x = load(sums_[1]), y = load(sums_[2]);
        return {
            q.xx * x + q.xy * y,
            q.xy * x + q.yy * y,
            {load(sums_[3]), load(sums_[4]), load(sums_[5])},
            load(sums_[0]),
            group_.has_depth() ? load(sums_[kMoments + group_.depth_channel - group_.first]) : Float16(0.f),
        };
    }

    void take_back_colors(int harmonics) {
        const int first = group_.first - scene_.harmonic_channels(), end = group_.colors_end();
        for (int lane = 0; lane < row_.count; lane++) {
            float* color = gradients_.colors + static_cast<int64_t>(row_.index[lane]) * scene_.channels + first;
            for (int c = harmonics; c < end; c++) color[c] += sums_[kMoments + c][lane];
        }
    }

    const Projector& projector_;
    const ChannelGroup& group_;
    const Scene& scene_;
    const Gradients& gradients_;
    Row row_;
    CameraSums camera_;
    alignas(64) float sums_[kMaxSums][16] = {};
};

// Sums the used slots [begin, end); false if there is none.
template <int kSums>
LANES_INLINE bool sum_slots(const Scratch& scratch, uint32_t begin, uint32_t end, float* sums) {
    const float* slots = scratch.slots.data();
    const uint8_t* used = scratch.slot_used.data();
    Float16 low = 0.f, high = 0.f;
    bool any = false;
    for (uint32_t slot = begin; slot < end; slot++) {
        if (!used[slot]) continue;
        any = true;
        const float* values = slots + static_cast<size_t>(slot) * kSums;
        low = low + load(values);
        if (kSums > 16) high = high + load(values + 16);
    }
    store(sums, low);
    if (kSums > 16) store(sums + 16, high);
    return any;
}

// Clears a chunk's rows of what is to be overwritten; what is then added to them finds them in the cache.
void clear_rows(const Gradients& to, const Scene& scene, int chunk) {
    const int64_t first = int64_t{chunk} * kChunk, left = scene.count - first, count = left < kChunk ? left : kChunk;
    const auto clear = [&](bool overwrite, float* rows, int columns) {
        if (overwrite && rows) std::memset(rows + first * columns, 0, count * columns * sizeof(float));
    };
    clear(to.overwrite, to.means, 3);
    clear(to.overwrite, to.quats, 4);
    clear(to.overwrite, to.scales, 3);
    clear(to.overwrite, to.opacities, 1);
    clear(to.overwrite_harmonics, to.harmonics, 3 * scene.bands);
    clear(to.overwrite_colors, to.colors, scene.channels);
}

template <int kSums>
void reduce(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const Gradients& gradients, int threads) {
    const Projector projector(view.camera);
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        if (group.first == 0) clear_rows(gradients, scene, k);
        PairSums row(projector, group, scene, gradients);
        alignas(64) float sums[kMaxSums];
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            const uint32_t begin = chunk.first_pair + view.pair_offsets.data()[at];
            const uint32_t end = begin + view.boxes.data()[at].area();
            if (sum_slots<kSums>(scratch, begin, end, sums))
                row.add(view.record(at), view.gaussian_ids.data()[at], chunk.first_visible + i, sums);
        }
        row.flush();
        if (gradients.camera_sums) row.camera().add_to(gradients.camera_sums + size_t{kCameraSums} * k);
    });
}

}  // namespace

// From the slots that composite_backward filled.
void project_backward(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const Gradients& gradients, int threads) {
    if (slot_stride(group.padded) == 16) return reduce<16>(view, group, scratch, scene, gradients, threads);
    return reduce<32>(view, group, scratch, scene, gradients, threads);
}

// From given gradients to the projected Gaussians.
void projected_backward(
    const ViewState& view, const ProjectedGradients& given, const Scene& scene, const Gradients& gradients, int threads) {
    const Projector projector(view.camera);
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        clear_rows(gradients, scene, k);
        Row row;
        CameraSums camera;
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            row.add(view.record(at), view.gaussian_ids.data()[at], chunk.first_visible + i);
            if (row.count < 16 && i + 1 < chunk.visible) continue;
            row.fill();
            take_back_projection(row, load_projected(row, given), projector, scene, gradients, camera);
            row.count = 0;
        }
        if (gradients.camera_sums) camera.add_to(gradients.camera_sums + size_t{kCameraSums} * k);
    });
}

}  // namespace splatmem::SPLATMEM_ISA
