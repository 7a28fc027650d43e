// The projection's derivative, for sixteen Gaussians (ewa.h has the symbols).
//
// With d = pixel - mean2d, the conic Q = Sigma'^-1 and the exponent -1/2 d^T Q d, a loss reaches the projected Gaussian through
//
//   dL/dmean2d = Q sum G d,  dL/dQ = -1/2 M,  M = sum G d d^T,  dL/dlog(opacity) = sum G,
//
// where G is its gradient to a pixel's exponent (composite_backward.cpp). Then
//
//   dL/dSigma' = 1/2 Q M Q,  dL/dU = 2 (dL/dSigma') U,
//
// and U = J W R S leads on to the scales, the rotation, the camera, and through J to the mean. For 2x2 matrices
// Q M Q = tr(Q M) Q - adj(M) det(Q) (Cayley-Hamilton), which keeps its digits for Gaussians that are long and thin in the
// image: the product of three matrices cancels in the entries along their length.
#pragma once

#include "ewa.h"

namespace splatmem::SPLATMEM_ISA {

struct Symmetric2 {
    Float16 xx, xy, yy;
};

// A projected Gaussian's conic and its determinant.
struct Conic {
    Symmetric2 q;
    Float16 det;
};

// Gradients to projected Gaussians.
struct ProjectedGradient {
    Float16 x, y;         // of the mean, in pixels
    Symmetric2 moments;   // M
    Float16 log_opacity;  // of the opacity's logarithm
    Float16 depth;
};

// Gradients to Gaussians, and what those to the camera are made of.
struct EwaGradient {
    Float16 mean[3], quat[4], scale[3], opacity;
    Vec3 t;         // of the camera coordinates
    Float16 jw[6];  // of J W
};

// dL/dSigma'.
LANES_INLINE Symmetric2 covariance_gradient(const Conic& conic, const Symmetric2& m) {
    const Symmetric2& q = conic.q;
    const Float16 trace = q.xx * m.xx + 2.f * (q.xy * m.xy) + q.yy * m.yy;
    return {
        0.5f * (trace * q.xx - conic.det * m.yy),
        0.5f * (trace * q.xy + conic.det * m.xy),
        0.5f * (trace * q.yy - conic.det * m.xx),
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

// dL/dt, of the camera coordinates.
LANES_INLINE Vec3 camera_gradient(const Ewa& e, const Projector& projector, const ProjectedGradient& g, const Float16* grad_jw) {
    if (projector.camera.model == CameraModel::ortho) return {e.j00 * g.x, e.j11 * g.y, g.depth};
    const float* w = projector.camera.rotation;
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
    const Float16 from_mean2d = e.j00 * ratio_x * g.x + e.j11 * ratio_y * g.y;
    const Float16 from_j = e.j00 * grad_j00 + e.j11 * grad_j11;
    return {
        e.j00 * g.x - zero_unless(free_x, via_x),
        e.j11 * g.y - zero_unless(free_y, via_y),
        g.depth - from_mean2d - e.inv_z * from_j + e.slope_x * via_x + e.slope_y * via_y +
            zero_unless(free_x, e.slope_x * via_x) + zero_unless(free_y, e.slope_y * via_y),
    };
}

// The factor rho that antialiasing multiplies opacities by, rho^2 = det(U U^T) / det(Sigma'): adds its gradient to dL/dSigma',
//
//   dlog(rho^2)/dSigma' = (U U^T)^-1 - Q = ((1 - rho^2) Q - eps det(Q) I) / rho^2,
//
// and returns rho.
LANES_INLINE Float16 take_back_compensation(
    const Ewa& e, float eps, const Conic& conic, Float16 grad_log_opacity, Symmetric2& cov) {
    const Float16 square = e.determinant() * conic.det;
    const Float16 xx = e.u[0] * e.u[0] + e.u[1] * e.u[1] + e.u[2] * e.u[2];
    const Float16 yy = e.u[3] * e.u[3] + e.u[4] * e.u[4] + e.u[5] * e.u[5];
    const Float16 eps_det = eps * conic.det, rest = eps_det * (xx + yy + eps);  // 1 - rho^2 without its cancellation
    const Float16 weight = 0.5f * grad_log_opacity / square;
    cov.xx = cov.xx + weight * (rest * conic.q.xx - eps_det);
    cov.xy = cov.xy + weight * (rest * conic.q.xy);
    cov.yy = cov.yy + weight * (rest * conic.q.yy - eps_det);
    return sqrt(square);
}

// From projected Gaussians with these conics and opacities.
LANES_INLINE EwaGradient take_back(
    const Ewa& e, const Projector& projector, const Conic& conic, Float16 opacity, const ProjectedGradient& g) {
    EwaGradient out;
    Symmetric2 cov = covariance_gradient(conic, g.moments);
    out.opacity = g.log_opacity / opacity;
    if (projector.camera.antialiased)
        out.opacity = out.opacity * take_back_compensation(e, projector.camera.eps2d, conic, g.log_opacity, cov);
    Float16 grad_jwr[6];
    for (int k = 0; k < 3; k++) {
        const Float16 u0 = 2.f * (cov.xx * e.u[k] + cov.xy * e.u[3 + k]);
        const Float16 u1 = 2.f * (cov.xy * e.u[k] + cov.yy * e.u[3 + k]);
        out.scale[k] = u0 * e.jwr[k] + u1 * e.jwr[3 + k];
        grad_jwr[k] = u0 * e.scale[k];
        grad_jwr[3 + k] = u1 * e.scale[k];
    }
    Float16 grad_rotation[9];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            grad_rotation[3 * i + k] = e.jw[i] * grad_jwr[k] + e.jw[3 + i] * grad_jwr[3 + k];
    for (int row = 0; row < 6; row += 3)
        for (int i = 0; i < 3; i++)
            out.jw[row + i] = grad_jwr[row] * e.rotation[3 * i] + grad_jwr[row + 1] * e.rotation[3 * i + 1] +
                              grad_jwr[row + 2] * e.rotation[3 * i + 2];
    quaternion_gradient(e, grad_rotation, out.quat);
    out.t = camera_gradient(e, projector, g, out.jw);
    const float* w = projector.camera.rotation;
    for (int k = 0; k < 3; k++) out.mean[k] = w[k] * out.t.x + w[3 + k] * out.t.y + w[6 + k] * out.t.z;
    return out;
}

}  // namespace splatmem::SPLATMEM_ISA
