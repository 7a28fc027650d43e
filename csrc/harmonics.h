// Colour that depends on the direction it is seen from: real spherical harmonics of degree 0 to 3, sixteen directions at a time.
//
// A Gaussian at X with coefficients sh_k shows a camera at C the colour max(0, 1/2 + sum_k Y_k(d) sh_k), d = (X - C) / |X - C|.
// Formulas of Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013); constants, signs and clamp of 3DGS and gsplat.
#pragma once

#include "ewa.h"
#include "lanes.h"
#include "view.h"

namespace splatmem::SPLATMEM_ISA {

constexpr int kMaxBands = 16;
constexpr float kY0 = 0.28209479177387814f, kY1 = 0.48860251190292f;
constexpr float kY2[4] = {1.092548430592079f, 0.9461746957575601f, 0.3153915652525201f, 0.5462742152960395f};
constexpr float kY3[5] = {
    0.5900435899266435f, 2.890611442640554f, 0.4570457994644658f, 0.3731763325901154f, 1.445305721320277f};

constexpr int harmonic_bands(int degree) { return (degree + 1) * (degree + 1); }

// Unit vectors from the camera to the Gaussians index[0..15], and one over their distances.
struct ViewDirection {
    Vec3 d;
    Float16 inv_distance;

    LANES_INLINE ViewDirection(const Camera& camera, const Scene& scene, const int32_t* index) {
        d = triples(scene.means, index);
        d.x = d.x - camera.center[0];
        d.y = d.y - camera.center[1];
        d.z = d.z - camera.center[2];
        inv_distance = Float16(1.f) / sqrt(max(fma(d.x, d.x, fma(d.y, d.y, d.z * d.z)), 1e-30f));
        d.x = d.x * inv_distance;
        d.y = d.y * inv_distance;
        d.z = d.z * inv_distance;
    }
};

// Stores Y_k of the sixteen directions to basis[k].
LANES_INLINE void harmonic_basis(int degree, const Vec3& d, float (*basis)[16]) {
    store(basis[0], kY0);
    if (degree < 1) return;
    const Float16 x = d.x, y = d.y, z = d.z;
    store(basis[1], -kY1 * y);
    store(basis[2], kY1 * z);
    store(basis[3], -kY1 * x);
    if (degree < 2) return;
    const Float16 xx = x * x, yy = y * y, zz = z * z;
    store(basis[4], kY2[0] * (x * y));
    store(basis[5], -kY2[0] * (y * z));
    store(basis[6], kY2[1] * zz - kY2[2]);
    store(basis[7], -kY2[0] * (x * z));
    store(basis[8], kY2[3] * (xx - yy));
    if (degree < 3) return;
    const Float16 ring = 5.f * zz - 1.f;
    store(basis[9], -kY3[0] * (y * (3.f * xx - yy)));
    store(basis[10], kY3[1] * (x * y * z));
    store(basis[11], -kY3[2] * (y * ring));
    store(basis[12], kY3[3] * (z * (5.f * zz - 3.f)));
    store(basis[13], -kY3[2] * (x * ring));
    store(basis[14], kY3[4] * (z * (xx - yy)));
    store(basis[15], -kY3[0] * (x * (xx - 3.f * yy)));
}

// sum_k weights[k] dY_k/dd, of the polynomials: only its part across d has a meaning.
LANES_INLINE Vec3 harmonic_gradient(int degree, const Vec3& d, const float (*weights)[16]) {
    const auto w = [&](int k) { return load(weights[k]); };
    Vec3 grad{0.f, 0.f, 0.f};
    if (degree < 1) return grad;
    const Float16 x = d.x, y = d.y, z = d.z;
    grad.x = -kY1 * w(3);
    grad.y = -kY1 * w(1);
    grad.z = kY1 * w(2);
    if (degree < 2) return grad;
    grad.x = grad.x + kY2[0] * (y * w(4) - z * w(7)) + (2.f * kY2[3]) * (x * w(8));
    grad.y = grad.y + kY2[0] * (x * w(4) - z * w(5)) - (2.f * kY2[3]) * (y * w(8));
    grad.z = grad.z - kY2[0] * (y * w(5) + x * w(7)) + (2.f * kY2[1]) * (z * w(6));
    if (degree < 3) return grad;
    const Float16 xy = x * y, xz = x * z, yz = y * z, zz = z * z, ring = 5.f * zz - 1.f, difference = x * x - y * y;
    grad.x = grad.x - (6.f * kY3[0]) * (xy * w(9)) + kY3[1] * (yz * w(10)) - kY3[2] * (ring * w(13)) +
             (2.f * kY3[4]) * (xz * w(14)) - (3.f * kY3[0]) * (difference * w(15));
    grad.y = grad.y - (3.f * kY3[0]) * (difference * w(9)) + kY3[1] * (xz * w(10)) - kY3[2] * (ring * w(11)) -
             (2.f * kY3[4]) * (yz * w(14)) + (6.f * kY3[0]) * (xy * w(15));
    grad.z = grad.z + kY3[1] * (xy * w(10)) - (10.f * kY3[2]) * (yz * w(11) + xz * w(13)) +
             (3.f * kY3[3]) * (ring * w(12)) + kY3[4] * (difference * w(14));
    return grad;
}

// A channel that the clamp holds at zero is -0, so that its gradient can tell; minus infinity becomes NaN, and the Gaussian is
// not drawn.
LANES_INLINE float clamped_color(float sum) { return sum < 0.f ? sum * 0.f : sum; }
LANES_INLINE Float16 clamped_color(Float16 sum) { return select(sum < 0.f, sum * 0.f, sum); }

// The colours of sixteen Gaussians that have no harmonics but the constant one.
LANES_INLINE Vec3 constant_colors(const Scene& scene, const int32_t* index) {
    const Vec3 sh = triples(scene.harmonics, index);
    const auto color = [](Float16 x) { return clamped_color(fma(kY0, x, 0.5f)); };
    return {color(sh.x), color(sh.y), color(sh.z)};
}

// The basis that sixteen Gaussians are seen with.
struct SeenHarmonics {
    alignas(64) float basis[kMaxBands][16];

    LANES_INLINE void look(const Camera& camera, const Scene& scene, const int32_t* index) {
        const Vec3 any{0.f, 0.f, 0.f};
        harmonic_basis(scene.degree, scene.degree > 0 ? ViewDirection(camera, scene, index).d : any, basis);
    }

    // The colour of one of them.
    LANES_INLINE void color(const Scene& scene, int lane, size_t gaussian, float* rgb) const {
        const float* sh = scene.harmonics + gaussian * scene.bands * 3;
        float sum[3] = {0.5f, 0.5f, 0.5f};
        for (int k = 0; k < harmonic_bands(scene.degree); k++)
            for (int c = 0; c < 3; c++) sum[c] += basis[k][lane] * sh[3 * k + c];
        for (int c = 0; c < 3; c++) rgb[c] = clamped_color(sum[c]);
    }
};

}  // namespace splatmem::SPLATMEM_ISA
