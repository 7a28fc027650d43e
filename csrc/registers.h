// The widest float register of the compile target and its operations: AVX-512 (16 lanes), AVX2 (8), and else 4: SSE2, NEON or
// plain vector extensions of GCC and Clang.
//
// Every source that includes this header is compiled once per instruction set, with SPLATMEM_ISA naming the namespace, so no
// code may be shared between them through an inline function of a common namespace (the linker would keep one of them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef SPLATMEM_ISA
#define SPLATMEM_ISA baseline
#endif
#define LANES_INLINE inline __attribute__((always_inline))
#define LANES_INLINED __attribute__((always_inline))  // of a lambda

namespace splatmem::SPLATMEM_ISA {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)

struct RegisterMask {
    __mmask16 v;
};
struct Register {
    static constexpr int width = 16;
    using Mask = RegisterMask;
    __m512 v;
    static LANES_INLINE Register load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static LANES_INLINE Register broadcast(float x) { return {_mm512_set1_ps(x)}; }
    static LANES_INLINE Register gather(const float* base, const int32_t* index, int stride) {
        const __m512i scaled = _mm512_mullo_epi32(_mm512_loadu_si512(index), _mm512_set1_epi32(stride));
        return {_mm512_i32gather_ps(scaled, base, 4)};
    }
    // Component k of sixteen rows of three floats: it lies in every third lane of the three registers at p, never in the same
    // lane of two of them.
    template <int k>
    static LANES_INLINE Register of_triples(const float* p) {
        constexpr __mmask16 kEveryThird[3] = {0x9249, 0x2492, 0x4924};
        __m512 lanes = _mm512_mask_loadu_ps(_mm512_loadu_ps(p), kEveryThird[(k + 2) % 3], p + 16);
        lanes = _mm512_mask_loadu_ps(lanes, kEveryThird[(k + 1) % 3], p + 32);
        const __m512i order = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45);
        return {_mm512_permutexvar_ps(_mm512_add_epi32(order, _mm512_set1_epi32(k)), lanes)};  // lanes modulo 16
    }
};
LANES_INLINE void store(float* p, Register a) { _mm512_storeu_ps(p, a.v); }
LANES_INLINE Register fma(Register a, Register b, Register c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LANES_INLINE Register fnma(Register a, Register b, Register c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
LANES_INLINE Register min(Register a, Register b) { return {_mm512_min_ps(a.v, b.v)}; }
LANES_INLINE Register max(Register a, Register b) { return {_mm512_max_ps(a.v, b.v)}; }
LANES_INLINE Register sqrt(Register a) { return {_mm512_sqrt_ps(a.v)}; }
LANES_INLINE Register floor(Register a) { return {_mm512_roundscale_ps(a.v, 9)}; }
LANES_INLINE Register negate(Register a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.f))}; }
LANES_INLINE Register reciprocal(Register a) {  // 14 bits and one Newton step
    const __m512 r = _mm512_rcp14_ps(a.v);
    return {_mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.f)))};
}
// scalef rounds its power down by itself, and takes any.
LANES_INLINE Register power_floor(Register x) { return x; }
LANES_INLINE Register power_fraction(Register x, Register) { return {_mm512_reduce_ps(x.v, 9)}; }
LANES_INLINE Register times_power_of_two(Register a, Register n) { return {_mm512_scalef_ps(a.v, n.v)}; }
LANES_INLINE Register exponent(Register a) { return {_mm512_getexp_ps(a.v)}; }
LANES_INLINE Register mantissa(Register a) {
    return {_mm512_getmant_ps(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
}
LANES_INLINE RegisterMask less_equal(Register a, Register b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
LANES_INLINE RegisterMask less(Register a, Register b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
LANES_INLINE RegisterMask both(RegisterMask a, RegisterMask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
LANES_INLINE RegisterMask either(RegisterMask a, RegisterMask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
LANES_INLINE RegisterMask without(RegisterMask a, RegisterMask b) { return {static_cast<__mmask16>(a.v & ~b.v)}; }
LANES_INLINE unsigned bits(RegisterMask a) { return a.v; }
LANES_INLINE Register bits_of_both(Register a, Register b) { return {_mm512_and_ps(a.v, b.v)}; }
LANES_INLINE bool all_negative(Register a) { return _mm512_movepi32_mask(_mm512_castps_si512(a.v)) == 0xffff; }
LANES_INLINE Register negative_where(RegisterMask m, Register a) {
    return {_mm512_mask_or_ps(a.v, m.v, a.v, _mm512_set1_ps(-0.f))};
}
LANES_INLINE Register select(RegisterMask m, Register a, Register b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
LANES_INLINE Register zero_unless(RegisterMask m, Register a) { return {_mm512_maskz_mov_ps(m.v, a.v)}; }
// Lane i of the result is the sum of all lanes of a[i].
LANES_INLINE Register sum_each(const Register* a) {
    __m512 two[8], four[4];
    for (int i = 0; i < 8; i++)
        two[i] = _mm512_add_ps(
            _mm512_unpacklo_ps(a[2 * i].v, a[2 * i + 1].v), _mm512_unpackhi_ps(a[2 * i].v, a[2 * i + 1].v));
    for (int i = 0; i < 4; i++) {
        const __m512d x = _mm512_castps_pd(two[2 * i]), y = _mm512_castps_pd(two[2 * i + 1]);
        four[i] = _mm512_add_ps(
            _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }
    const __m512 low = _mm512_add_ps(
        _mm512_shuffle_f32x4(four[0], four[1], 0x88), _mm512_shuffle_f32x4(four[0], four[1], 0xdd));
    const __m512 high = _mm512_add_ps(
        _mm512_shuffle_f32x4(four[2], four[3], 0x88), _mm512_shuffle_f32x4(four[2], four[3], 0xdd));
    return {_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd))};
}
// Exchanges lane i of a[k] with lane k of a[i].
LANES_INLINE void transpose(Register* a) {
    __m512 b[16], c[16];
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i].v, a[i + 1].v);
        b[i + 1] = _mm512_unpackhi_ps(a[i].v, a[i + 1].v);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) {
            const __m512d x = _mm512_castps_pd(b[i + k]), y = _mm512_castps_pd(b[i + k + 2]);
            c[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
            c[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        }
    // c[4 m + r] holds, in its quarter q, the lanes 4 m to 4 m + 3 of row 4 q + r.
    for (int r = 0; r < 4; r++) {
        const __m512 low02 = _mm512_shuffle_f32x4(c[r], c[4 + r], 0x88), low13 = _mm512_shuffle_f32x4(c[r], c[4 + r], 0xdd);
        const __m512 high02 = _mm512_shuffle_f32x4(c[8 + r], c[12 + r], 0x88);
        const __m512 high13 = _mm512_shuffle_f32x4(c[8 + r], c[12 + r], 0xdd);
        a[r].v = _mm512_shuffle_f32x4(low02, high02, 0x88);
        a[8 + r].v = _mm512_shuffle_f32x4(low02, high02, 0xdd);
        a[4 + r].v = _mm512_shuffle_f32x4(low13, high13, 0x88);
        a[12 + r].v = _mm512_shuffle_f32x4(low13, high13, 0xdd);
    }
}

#elif defined(__AVX2__) && defined(__FMA__)

struct RegisterMask {
    __m256 v;
};
struct Register {
    static constexpr int width = 8;
    using Mask = RegisterMask;
    __m256 v;
    static LANES_INLINE Register load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static LANES_INLINE Register broadcast(float x) { return {_mm256_set1_ps(x)}; }
    static LANES_INLINE Register gather(const float* base, const int32_t* index, int stride) {
        const __m256i i = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
        return {_mm256_i32gather_ps(base, _mm256_mullo_epi32(i, _mm256_set1_epi32(stride)), 4)};
    }
    // Component k of eight rows of three floats: it lies in every third lane of the three registers at p, never in the same
    // lane of two of them.
    template <int k>
    static LANES_INLINE Register of_triples(const float* p) {
        constexpr int kEveryThird[3] = {0x49, 0x92, 0x24};
        __m256 lanes = _mm256_blend_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8), kEveryThird[(k + 1) % 3]);
        lanes = _mm256_blend_ps(lanes, _mm256_loadu_ps(p + 16), kEveryThird[(k + 2) % 3]);
        const __m256i order = _mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21);
        return {_mm256_permutevar8x32_ps(lanes, _mm256_add_epi32(order, _mm256_set1_epi32(k)))};  // lanes modulo 8
    }
};
LANES_INLINE void store(float* p, Register a) { _mm256_storeu_ps(p, a.v); }
LANES_INLINE Register fma(Register a, Register b, Register c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
LANES_INLINE Register fnma(Register a, Register b, Register c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
LANES_INLINE Register min(Register a, Register b) { return {_mm256_min_ps(a.v, b.v)}; }
LANES_INLINE Register max(Register a, Register b) { return {_mm256_max_ps(a.v, b.v)}; }
LANES_INLINE Register sqrt(Register a) { return {_mm256_sqrt_ps(a.v)}; }
LANES_INLINE Register floor(Register a) { return {_mm256_floor_ps(a.v)}; }
LANES_INLINE Register negate(Register a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.f))}; }
LANES_INLINE Register reciprocal(Register a) {  // 12 bits and one Newton step
    const __m256 r = _mm256_rcp_ps(a.v);
    return {_mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.f)))};
}
LANES_INLINE Register power_floor(Register x) { return {_mm256_floor_ps(max(x, Register::broadcast(-126.f)).v)}; }
LANES_INLINE Register power_fraction(Register x, Register floor) { return {max(x, Register::broadcast(-126.f)).v - floor.v}; }
LANES_INLINE Register times_power_of_two(Register a, Register n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_mul_ps(a.v, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)))};
}
LANES_INLINE Register exponent(Register a) {
    const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(a.v), 23);
    return {_mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))};
}
LANES_INLINE Register mantissa(Register a) {
    const __m256i fraction = _mm256_and_si256(_mm256_castps_si256(a.v), _mm256_set1_epi32(0x7fffff));
    return {_mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f800000)))};
}
LANES_INLINE RegisterMask less_equal(Register a, Register b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
LANES_INLINE RegisterMask less(Register a, Register b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
LANES_INLINE RegisterMask both(RegisterMask a, RegisterMask b) { return {_mm256_and_ps(a.v, b.v)}; }
LANES_INLINE RegisterMask either(RegisterMask a, RegisterMask b) { return {_mm256_or_ps(a.v, b.v)}; }
LANES_INLINE RegisterMask without(RegisterMask a, RegisterMask b) { return {_mm256_andnot_ps(b.v, a.v)}; }
LANES_INLINE unsigned bits(RegisterMask a) { return static_cast<unsigned>(_mm256_movemask_ps(a.v)); }
LANES_INLINE Register bits_of_both(Register a, Register b) { return {_mm256_and_ps(a.v, b.v)}; }
LANES_INLINE bool all_negative(Register a) { return _mm256_movemask_ps(a.v) == 0xff; }
LANES_INLINE Register negative_where(RegisterMask m, Register a) {
    return {_mm256_or_ps(a.v, _mm256_and_ps(m.v, _mm256_set1_ps(-0.f)))};
}
LANES_INLINE Register select(RegisterMask m, Register a, Register b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }
LANES_INLINE Register zero_unless(RegisterMask m, Register a) { return {_mm256_and_ps(m.v, a.v)}; }
LANES_INLINE Register sum_each(const Register* a) {
    const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(a[0].v, a[1].v), _mm256_hadd_ps(a[2].v, a[3].v));
    const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(a[4].v, a[5].v), _mm256_hadd_ps(a[6].v, a[7].v));
    return {_mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31))};
}
LANES_INLINE void transpose(Register* a) {
    __m256 b[8], c[8];
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i].v, a[i + 1].v);
        b[i + 1] = _mm256_unpackhi_ps(a[i].v, a[i + 1].v);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            c[i + 2 * k] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0x44);
            c[i + 2 * k + 1] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0xee);
        }
    for (int r = 0; r < 4; r++) {
        a[r].v = _mm256_permute2f128_ps(c[r], c[4 + r], 0x20);
        a[4 + r].v = _mm256_permute2f128_ps(c[r], c[4 + r], 0x31);
    }
}

#else

using Floats4 = float __attribute__((vector_size(16)));
using Ints4 = int32_t __attribute__((vector_size(16)));
#if defined(__clang__) || __GNUC__ >= 12
#define LANES_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LANES_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Ints4{__VA_ARGS__})
#endif

struct RegisterMask {
    Ints4 v;
};
struct Register {
    static constexpr int width = 4;
    using Mask = RegisterMask;
    Floats4 v;
    static LANES_INLINE Register load(const float* p) {
        Register r;
        std::memcpy(&r.v, p, 16);
        return r;
    }
    static LANES_INLINE Register broadcast(float x) { return {Floats4{x, x, x, x}}; }
    static LANES_INLINE Register gather(const float* base, const int32_t* index, int stride) {
        const auto at = [=](int lane) { return base[static_cast<ptrdiff_t>(index[lane]) * stride]; };
        return {Floats4{at(0), at(1), at(2), at(3)}};
    }
    // Component k of four rows of three floats.
    template <int k>
    static LANES_INLINE Register of_triples(const float* p) {
        return {Floats4{p[k], p[k + 3], p[k + 6], p[k + 9]}};
    }
};
LANES_INLINE void store(float* p, Register a) { std::memcpy(p, &a.v, 16); }
LANES_INLINE RegisterMask less_equal(Register a, Register b) { return {a.v <= b.v}; }
LANES_INLINE RegisterMask less(Register a, Register b) { return {a.v < b.v}; }
LANES_INLINE RegisterMask both(RegisterMask a, RegisterMask b) { return {a.v & b.v}; }
LANES_INLINE RegisterMask either(RegisterMask a, RegisterMask b) { return {a.v | b.v}; }
LANES_INLINE RegisterMask without(RegisterMask a, RegisterMask b) { return {a.v & ~b.v}; }
LANES_INLINE Register zero_unless(RegisterMask m, Register a) { return {(Floats4)(m.v & (Ints4)a.v)}; }
LANES_INLINE Register select(RegisterMask m, Register a, Register b) {
    return {(Floats4)((m.v & (Ints4)a.v) | (~m.v & (Ints4)b.v))};
}
LANES_INLINE Register negate(Register a) { return {-a.v}; }
LANES_INLINE Register reciprocal(Register a) { return {1.f / a.v}; }
#if defined(__SSE2__)
LANES_INLINE Register fma(Register a, Register b, Register c) { return {a.v * b.v + c.v}; }
LANES_INLINE Register fnma(Register a, Register b, Register c) { return {c.v - a.v * b.v}; }
LANES_INLINE Register min(Register a, Register b) { return {_mm_min_ps(a.v, b.v)}; }
LANES_INLINE Register max(Register a, Register b) { return {_mm_max_ps(a.v, b.v)}; }
LANES_INLINE Register sqrt(Register a) { return {_mm_sqrt_ps(a.v)}; }
LANES_INLINE unsigned bits(RegisterMask a) { return static_cast<unsigned>(_mm_movemask_ps((__m128)a.v)); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
LANES_INLINE Register fma(Register a, Register b, Register c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
LANES_INLINE Register fnma(Register a, Register b, Register c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
LANES_INLINE Register min(Register a, Register b) { return select(less(a, b), a, b); }  // b if either is NaN, as on x86
LANES_INLINE Register max(Register a, Register b) { return select(less(b, a), a, b); }
LANES_INLINE Register sqrt(Register a) { return {vsqrtq_f32(a.v)}; }
LANES_INLINE unsigned bits(RegisterMask a) { return vaddvq_u32((uint32x4_t)(a.v & Ints4{1, 2, 4, 8})); }
#else
LANES_INLINE Register fma(Register a, Register b, Register c) { return {a.v * b.v + c.v}; }
LANES_INLINE Register fnma(Register a, Register b, Register c) { return {c.v - a.v * b.v}; }
LANES_INLINE Register min(Register a, Register b) { return select(less(a, b), a, b); }
LANES_INLINE Register max(Register a, Register b) { return select(less(b, a), a, b); }
LANES_INLINE Register sqrt(Register a) {
    return {Floats4{__builtin_sqrtf(a.v[0]), __builtin_sqrtf(a.v[1]), __builtin_sqrtf(a.v[2]), __builtin_sqrtf(a.v[3])}};
}
LANES_INLINE unsigned bits(RegisterMask a) {
    const Ints4 b = a.v & Ints4{1, 2, 4, 8};
    return static_cast<unsigned>(b[0] | b[1] | b[2] | b[3]);
}
#endif
// Adding and taking off 1.5 * 2^23 leaves the nearest integer, for magnitudes up to 2^22; of x - 1/2 the floor of x or, for an
// integer, perhaps one less: a fraction of one.
LANES_INLINE Register power_floor(Register x) {
    const Floats4 clamped = max(x, Register::broadcast(-126.f)).v;
    return {(clamped - 0.5f + 12582912.f) - 12582912.f};
}
LANES_INLINE Register power_fraction(Register x, Register floor) { return {max(x, Register::broadcast(-126.f)).v - floor.v}; }
LANES_INLINE Register bits_of_both(Register a, Register b) { return {(Floats4)((Ints4)a.v & (Ints4)b.v)}; }
LANES_INLINE bool all_negative(Register a) { return bits(RegisterMask{(Ints4)a.v >> 31}) == 15; }
LANES_INLINE Register negative_where(RegisterMask m, Register a) {
    return {(Floats4)((Ints4)a.v | (m.v & (Ints4)Floats4{-0.f, -0.f, -0.f, -0.f}))};
}
LANES_INLINE Register floor(Register a) {
    const Floats4 whole = __builtin_convertvector(__builtin_convertvector(a.v, Ints4), Floats4);
    const Floats4 lowered = whole - (Floats4)((whole > a.v) & (Ints4)Floats4{1.f, 1.f, 1.f, 1.f});
    const Ints4 small = ((Ints4)a.v & 0x7fffffff) < 0x4b000000;  // below 2^23 there may be a fraction
    return select({small}, {lowered}, a);
}
LANES_INLINE Register times_power_of_two(Register a, Register n) {
    return {a.v * (Floats4)((__builtin_convertvector(n.v, Ints4) + 127) << 23)};
}
LANES_INLINE Register exponent(Register a) {
    return {__builtin_convertvector(((Ints4)a.v >> 23) - 127, Floats4)};
}
LANES_INLINE Register mantissa(Register a) { return {(Floats4)(((Ints4)a.v & 0x7fffff) | 0x3f800000)}; }
LANES_INLINE Register sum_each(const Register* a) {
    const Floats4 low01 = LANES_SHUFFLE(a[0].v, a[1].v, 0, 4, 1, 5);
    const Floats4 high01 = LANES_SHUFFLE(a[0].v, a[1].v, 2, 6, 3, 7);
    const Floats4 low23 = LANES_SHUFFLE(a[2].v, a[3].v, 0, 4, 1, 5);
    const Floats4 high23 = LANES_SHUFFLE(a[2].v, a[3].v, 2, 6, 3, 7);
    const Floats4 sum01 = low01 + high01, sum23 = low23 + high23;
    return {LANES_SHUFFLE(sum01, sum23, 0, 1, 4, 5) + LANES_SHUFFLE(sum01, sum23, 2, 3, 6, 7)};
}
LANES_INLINE void transpose(Register* a) {
    const Floats4 low01 = LANES_SHUFFLE(a[0].v, a[1].v, 0, 4, 1, 5), high01 = LANES_SHUFFLE(a[0].v, a[1].v, 2, 6, 3, 7);
    const Floats4 low23 = LANES_SHUFFLE(a[2].v, a[3].v, 0, 4, 1, 5), high23 = LANES_SHUFFLE(a[2].v, a[3].v, 2, 6, 3, 7);
    a[0].v = LANES_SHUFFLE(low01, low23, 0, 1, 4, 5);
    a[1].v = LANES_SHUFFLE(low01, low23, 2, 3, 6, 7);
    a[2].v = LANES_SHUFFLE(high01, high23, 0, 1, 4, 5);
    a[3].v = LANES_SHUFFLE(high01, high23, 2, 3, 6, 7);
}
#undef LANES_SHUFFLE

#endif

// GCC and Clang know these operators for every vector type.
LANES_INLINE Register add(Register a, Register b) { return {a.v + b.v}; }
LANES_INLINE Register sub(Register a, Register b) { return {a.v - b.v}; }
LANES_INLINE Register mul(Register a, Register b) { return {a.v * b.v}; }
LANES_INLINE Register div(Register a, Register b) { return {a.v / b.v}; }

}  // namespace splatmem::SPLATMEM_ISA
