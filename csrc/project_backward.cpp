// Stage 5: sums the slots of each Gaussian's pairs, in their fixed order, and takes the sums back through the projection.
//
// With d = pixel - mean2d, the conic Q = Sigma'^-1, the exponent -1/2 d^T Q d and the second moments M = sum G d d^T,
//
//   dL/dopacity = sum G / opacity,  dL/dmean2d = Q sum G d,  dL/dSigma' = 1/2 Q M Q,  dL/dU = 2 (dL/dSigma') U,
//
// and U = J W R S leads on to the scales, the rotation, and through J to the mean (ewa.h has the symbols). For 2x2 matrices
// Q M Q = tr(Q M) Q - adj(M) det(Q) (Cayley-Hamilton), which keeps its digits for Gaussians that are long and thin in the
// image: the product of three matrices cancels in the entries along their length.
#include "ewa.h"
#include "threads.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

constexpr int kMaxSums = 32;

// Gradients of sixteen Gaussians, lane by lane.
struct GradientLanes {
    Float16 mean[3], quat[4], scale[3], opacity;
};

struct Symmetric2 {
    Float16 xx, xy, yy;
};

LANES_INLINE Symmetric2 covariance_gradient(const Symmetric2& q, Float16 det_q, const Symmetric2& m) {
    const Float16 trace = q.xx * m.xx + 2.f * (q.xy * m.xy) + q.yy * m.yy;
    return {
        0.5f * (trace * q.xx - det_q * m.yy),
        0.5f * (trace * q.xy + det_q * m.xy),
        0.5f * (trace * q.yy - det_q * m.xx),
    };
}

// dL/dq of a unit quaternion from dL/dR, then through the normalisation.
LANES_INLINE void quaternion_gradient(const Ewa& e, const Float16* r, Float16* grad) {
    const Float16 w = e.qw, x = e.qx, y = e.qy, z = e.qz;
    const Float16 gw = 2.f * (x * (r[7] - r[5]) + y * (r[2] - r[6]) + z * (r[3] - r[1]));
    const Float16 gx = 2.f * (y * (r[3] + r[1]) + z * (r[6] + r[2]) + w * (r[7] - r[5]) - 2.f * x * (r[4] + r[8]));
    const Float16 gy = 2.f * (x * (r[3] + r[1]) + z * (r[7] + r[5]) + w * (r[2] - r[6]) - 2.f * y * (r[0] + r[8]));
    const Float16 gz = 2.f * (x * (r[6] + r[2]) + y * (r[7] + r[5]) + w * (r[3] - r[1]) - 2.f * z * (r[0] + r[4]));
    const Float16 along = gw * w + gx * x + gy * y + gz * z;
    grad[0] = (gw - along * w) * e.inv_norm;
    grad[1] = (gx - along * x) * e.inv_norm;
    grad[2] = (gy - along * y) * e.inv_norm;
    grad[3] = (gz - along * z) * e.inv_norm;
}

LANES_INLINE void mean_gradient(
    const Ewa& e, const Projector& projector, Float16 grad_x2d, Float16 grad_y2d, const Float16* grad_jw,
    Float16 grad_depth, Float16* grad) {
    const Camera& c = projector.camera;
    const float* w = c.rotation;
    const auto dot = [&](const Float16* row, const float* axis) {
        return row[0] * axis[0] + row[1] * axis[1] + row[2] * axis[2];
    };
    const Float16 grad_j00 = dot(grad_jw, w), grad_j02 = dot(grad_jw, w + 6);
    const Float16 grad_j11 = dot(grad_jw + 3, w + 3), grad_j12 = dot(grad_jw + 3, w + 6);

    // J: j00 = fx / z, j02 = -fx slope_x / z with slope_x = x / z unless clamped; likewise y.
    const Float16 ratio_x = e.t.x * e.inv_z, ratio_y = e.t.y * e.inv_z;
    const Mask16 free_x = (ratio_x >= projector.left) & (ratio_x <= projector.right);
    const Mask16 free_y = (ratio_y >= projector.top) & (ratio_y <= projector.bottom);
    const Float16 via_x = e.j00 * e.inv_z * grad_j02, via_y = e.j11 * e.inv_z * grad_j12;
    const Float16 tx = e.j00 * grad_x2d - zero_unless(free_x, via_x);
    const Float16 ty = e.j11 * grad_y2d - zero_unless(free_y, via_y);
    const Float16 from_mean2d = e.j00 * ratio_x * grad_x2d + e.j11 * ratio_y * grad_y2d;
    const Float16 from_j = e.j00 * grad_j00 + e.j11 * grad_j11;
    const Float16 tz = grad_depth - from_mean2d - e.inv_z * from_j + e.slope_x * via_x + e.slope_y * via_y +
                       zero_unless(free_x, e.slope_x * via_x) + zero_unless(free_y, e.slope_y * via_y);
    for (int k = 0; k < 3; k++) grad[k] = w[k] * tx + w[3 + k] * ty + w[6 + k] * tz;
}

LANES_INLINE GradientLanes project_backward_lanes(
    const Ewa& e, const Projector& projector, const Symmetric2& conic, Float16 det_conic, Float16 opacity,
    const Float16* moments, Float16 grad_depth) {
    GradientLanes out;
    out.opacity = moments[0] / opacity;
    const Float16 grad_x2d = conic.xx * moments[1] + conic.xy * moments[2];
    const Float16 grad_y2d = conic.xy * moments[1] + conic.yy * moments[2];
    const Symmetric2 cov = covariance_gradient(conic, det_conic, {moments[3], moments[4], moments[5]});

    Float16 grad_jwr[6];
    for (int k = 0; k < 3; k++) {
        const Float16 u0 = 2.f * (cov.xx * e.u[k] + cov.xy * e.u[3 + k]);
        const Float16 u1 = 2.f * (cov.xy * e.u[k] + cov.yy * e.u[3 + k]);
        out.scale[k] = u0 * e.jwr[k] + u1 * e.jwr[3 + k];
        grad_jwr[k] = u0 * e.scale[k];
        grad_jwr[3 + k] = u1 * e.scale[k];
    }
    Float16 grad_rotation[9], grad_jw[6];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            grad_rotation[3 * i + k] = e.jw[i] * grad_jwr[k] + e.jw[3 + i] * grad_jwr[3 + k];
    for (int row = 0; row < 6; row += 3)
        for (int i = 0; i < 3; i++)
            grad_jw[row + i] = grad_jwr[row] * e.rotation[3 * i] + grad_jwr[row + 1] * e.rotation[3 * i + 1] +
                               grad_jwr[row + 2] * e.rotation[3 * i + 2];
    quaternion_gradient(e, grad_rotation, out.quat);
    mean_gradient(e, projector, grad_x2d, grad_y2d, grad_jw, grad_depth, out.mean);
    return out;
}

// Collects Gaussians until there are sixteen, then takes them back together.
class Row {
  public:
    Row(const Projector& projector, const ChannelGroup& group, const Scene& scene, const SceneGradients& gradients)
        : projector_(projector), group_(group), scene_(scene), gradients_(gradients) {}

    void add(const Record& r, uint32_t gaussian, const float* sums) {
        for (int k = 0; k < kMoments + group_.used; k++) sums_[k][count_] = sums[k];
        geometry_[0][count_] = r.power_xx * (-2.f / kLog2E);
        geometry_[1][count_] = r.power_xy * (-1.f / kLog2E);
        geometry_[2][count_] = r.power_yy * (-2.f / kLog2E);
        geometry_[3][count_] = r.opacity;
        geometry_[4][count_] = r.narrowing;
        index_[count_] = static_cast<int32_t>(gaussian);
        if (++count_ == 16) flush();
    }

    void flush() {
        if (count_ == 0) return;
        for (int lane = count_; lane < 16; lane++) index_[lane] = index_[count_ - 1];
        const Ewa ewa(projector_, scene_, index_);
        const Symmetric2 conic{load(geometry_[0]), load(geometry_[1]), load(geometry_[2])};
        const Float16 det_conic = load(geometry_[4]) * conic.xx * conic.xx;  // narrowing is det(Q) / Q.xx^2
        Float16 moments[kMoments];
        for (int k = 0; k < kMoments; k++) moments[k] = load(sums_[k]);
        const int depth = group_.depth_channel - group_.first;
        const bool has_depth = depth >= 0 && depth < group_.used;
        const GradientLanes lanes = project_backward_lanes(
            ewa, projector_, conic, det_conic, load(geometry_[3]), moments,
            has_depth ? load(sums_[kMoments + depth]) : Float16(0.f));
        scatter(lanes, has_depth ? group_.used - 1 : group_.used);
        count_ = 0;
    }

  private:
    // The depth, where there is one, is the last channel of its group.
    void scatter(const GradientLanes& lanes, int colors) {
        alignas(64) float out[11][16];
        for (int k = 0; k < 3; k++) store(out[k], lanes.mean[k]);
        for (int k = 0; k < 4; k++) store(out[3 + k], lanes.quat[k]);
        for (int k = 0; k < 3; k++) store(out[7 + k], lanes.scale[k]);
        store(out[10], lanes.opacity);
        for (int lane = 0; lane < count_; lane++) {
            const size_t i = static_cast<size_t>(index_[lane]);
            for (int k = 0; k < 3; k++) gradients_.means[3 * i + k] += out[k][lane];
            for (int k = 0; k < 4; k++) gradients_.quats[4 * i + k] += out[3 + k][lane];
            for (int k = 0; k < 3; k++) gradients_.scales[3 * i + k] += out[7 + k][lane];
            gradients_.opacities[i] += out[10][lane];
            float* color = gradients_.colors + i * scene_.channels + group_.first;
            for (int c = 0; c < colors; c++) color[c] += sums_[kMoments + c][lane];
        }
    }

    const Projector& projector_;
    const ChannelGroup& group_;
    const Scene& scene_;
    const SceneGradients& gradients_;
    int count_ = 0;
    alignas(64) float sums_[kMaxSums][16] = {};
    alignas(64) float geometry_[5][16] = {};
    alignas(64) int32_t index_[16] = {};
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

template <int kSums>
void reduce(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const SceneGradients& gradients, int threads) {
    const Projector projector(view.camera);
    parallel_for(view.chunk_count, threads, [&](int k) {
        const Chunk& chunk = view.chunks.data()[k];
        Row row(projector, group, scene, gradients);
        alignas(64) float sums[kMaxSums];
        for (uint32_t i = 0; i < chunk.visible; i++) {
            const size_t at = static_cast<size_t>(k) * kChunk + i;
            const uint32_t begin = chunk.first_pair + view.pair_offsets.data()[at];
            const uint32_t end = begin + view.boxes.data()[at].area();
            if (sum_slots<kSums>(scratch, begin, end, sums)) row.add(view.record(at), view.gaussian_ids.data()[at], sums);
        }
        row.flush();
    });
}

}  // namespace

// Adds to the gradients. Chunks are disjoint in the scene, so threads never meet.
void project_backward(
    const ViewState& view, const ChannelGroup& group, const Scratch& scratch, const Scene& scene,
    const SceneGradients& gradients, int threads) {
    if (slot_stride(group.padded) == 16) return reduce<16>(view, group, scratch, scene, gradients, threads);
    return reduce<32>(view, group, scratch, scene, gradients, threads);
}

}  // namespace splatmem::SPLATMEM_ISA
