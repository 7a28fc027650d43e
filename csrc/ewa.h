// The projection of sixteen 3D Gaussians (Zwicker et al. 2001, "EWA Volume Splatting"), shared by its forward and backward.
//
// A Gaussian with rotation R (of the quaternion q) and scales s has covariance Sigma = R S S R^T. With camera coordinates
// t = W X + b and J the Jacobian of the pinhole projection at t, its 2D covariance is J W Sigma W^T J^T = U U^T with the 2x3
// matrix U = J W R S. As in 3DGS, t is clamped in J to 15 % beyond the image, where the linearisation goes astray. An
// orthographic camera is the same with 1 / z = 1 and slopes of zero.
#pragma once

#include "lanes.h"
#include "view.h"

namespace splatmem::SPLATMEM_ISA {

// A camera as the lanes need it.
struct Projector {
    const Camera& camera;
    float left, right, top, bottom;  // bounds of t.x / t.z and t.y / t.z in J

    LANES_INLINE explicit Projector(const Camera& c) : camera(c) {
        if (c.model == CameraModel::ortho) {
            left = right = top = bottom = 0.f;
            return;
        }
        const float margin_x = 0.15f * c.width / c.fx, margin_y = 0.15f * c.height / c.fy;
        left = -c.cx / c.fx - margin_x;
        right = (c.width - c.cx) / c.fx + margin_x;
        top = -c.cy / c.fy - margin_y;
        bottom = (c.height - c.cy) / c.fy + margin_y;
    }
};

struct Vec3 {
    Float16 x, y, z;
};

// Rows index[0..15] of three floats. The index ascends, but for its last one, which may fill the lanes left over. Sixteen
// neighbours, the rule where most is in view, need no gather.
LANES_INLINE Vec3 triples(const float* rows, const int32_t* index) {
    if (index[15] - index[0] == 15 && index[15] != index[14]) {
        const float* p = rows + 3 * static_cast<ptrdiff_t>(index[0]);
        return {of_triples<0>(p), of_triples<1>(p), of_triples<2>(p)};
    }
    return {gather(rows, index, 3), gather(rows + 1, index, 3), gather(rows + 2, index, 3)};
}

LANES_INLINE Vec3 to_camera(const Camera& c, const Vec3& p) {
    const float *r = c.rotation, *t = c.translation;
    return {
        fma(r[0], p.x, fma(r[1], p.y, fma(r[2], p.z, t[0]))),
        fma(r[3], p.x, fma(r[4], p.y, fma(r[5], p.z, t[1]))),
        fma(r[6], p.x, fma(r[7], p.y, fma(r[8], p.z, t[2]))),
    };
}

// 1 / z, or 1 of an orthographic camera.
LANES_INLINE Float16 inverse_depth(const Camera& c, Float16 z) {
    return c.model == CameraModel::ortho ? Float16(1.f) : Float16(1.f) / z;
}

struct Ewa {
    Vec3 t;                      // camera coordinates
    Float16 inv_z;
    Float16 slope_x, slope_y;    // t.x / t.z and t.y / t.z, clamped
    Float16 qw, qx, qy, qz;      // unit quaternion
    Float16 inv_norm;            // 1 / |q|, or 0 for a zero quaternion, which counts as no rotation
    Float16 scale[3];
    Float16 rotation[9];         // R
    Float16 j00, j02, j11, j12;  // J; its other entries are zero
    Float16 jw[6];               // J W, 2x3
    Float16 jwr[6];              // J W R
    Float16 u[6];                // J W R S

    // Gaussians index[0..15] of the scene.
    LANES_INLINE Ewa(const Projector& projector, const Scene& scene, const int32_t* index) {
        const Camera& c = projector.camera;
        t = to_camera(c, triples(scene.means, index));
        rotate(gather(scene.quats, index, 4), gather(scene.quats + 1, index, 4), gather(scene.quats + 2, index, 4),
               gather(scene.quats + 3, index, 4));
        const Vec3 scales = triples(scene.scales, index);
        scale[0] = scales.x;
        scale[1] = scales.y;
        scale[2] = scales.z;

        inv_z = inverse_depth(c, t.z);
        slope_x = clamp(t.x * inv_z, projector.left, projector.right);
        slope_y = clamp(t.y * inv_z, projector.top, projector.bottom);
        j00 = c.fx * inv_z;
        j02 = -(j00 * slope_x);
        j11 = c.fy * inv_z;
        j12 = -(j11 * slope_y);
        const float* w = c.rotation;
        for (int k = 0; k < 3; k++) {
            jw[k] = fma(j00, w[k], j02 * w[6 + k]);
            jw[3 + k] = fma(j11, w[3 + k], j12 * w[6 + k]);
        }
        for (int row = 0; row < 6; row += 3)
            for (int k = 0; k < 3; k++) {
                jwr[row + k] = fma(jw[row], rotation[k], fma(jw[row + 1], rotation[3 + k], jw[row + 2] * rotation[6 + k]));
                u[row + k] = jwr[row + k] * scale[k];
            }
    }

    // det(U U^T) as the sum of U's squared 2x2 minors (Cauchy-Binet), which does not cancel for thin Gaussians as
    // xx yy - xy^2 does.
    LANES_INLINE Float16 determinant() const {
        const Float16 m0 = u[0] * u[4] - u[1] * u[3], m1 = u[0] * u[5] - u[2] * u[3], m2 = u[1] * u[5] - u[2] * u[4];
        return fma(m0, m0, fma(m1, m1, m2 * m2));
    }

  private:
    LANES_INLINE void rotate(Float16 w, Float16 x, Float16 y, Float16 z) {
        const Float16 square = fma(w, w, fma(x, x, fma(y, y, z * z)));
        const Mask16 zero = square <= 1e-24f;  // which NaN is not
        inv_norm = select(zero, 0.f, Float16(1.f) / sqrt(max(square, 1e-24f)));
        qw = select(zero, 1.f, w * inv_norm);
        qx = x * inv_norm;
        qy = y * inv_norm;
        qz = z * inv_norm;
        rotation[0] = fnma(2.f, fma(qy, qy, qz * qz), 1.f);
        rotation[1] = 2.f * (qx * qy - qw * qz);
        rotation[2] = 2.f * (qx * qz + qw * qy);
        rotation[3] = 2.f * (qx * qy + qw * qz);
        rotation[4] = fnma(2.f, fma(qx, qx, qz * qz), 1.f);
        rotation[5] = 2.f * (qy * qz - qw * qx);
        rotation[6] = 2.f * (qx * qz - qw * qy);
        rotation[7] = 2.f * (qy * qz + qw * qx);
        rotation[8] = fnma(2.f, fma(qx, qx, qy * qy), 1.f);
    }
};

}  // namespace splatmem::SPLATMEM_ISA
