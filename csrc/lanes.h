// Sixteen float lanes on whatever registers the compile target has.
//
// `WideRegister` doubles a register until there are sixteen lanes, which `Float16` and `Mask16` wrap. Sixteen is one 4x4-pixel
// block, and one row of sixteen Gaussians.
#pragma once

#include "registers.h"

namespace splatmem::SPLATMEM_ISA {

// Two vectors side by side; every operation works on both halves.
template <class T>
struct Pair {
    T lo, hi;
};
template <class T>
struct WideRegister : Pair<T> {
    static constexpr int width = 2 * T::width;
    using Mask = Pair<typename T::Mask>;
    static LANES_INLINE WideRegister load(const float* p) { return {{T::load(p), T::load(p + T::width)}}; }
    static LANES_INLINE WideRegister broadcast(float x) { return {{T::broadcast(x), T::broadcast(x)}}; }
    static LANES_INLINE WideRegister gather(const float* base, const int32_t* index, int stride) {
        return {{T::gather(base, index, stride), T::gather(base, index + T::width, stride)}};
    }
    template <int k>
    static LANES_INLINE WideRegister of_triples(const float* p) {
        return {{T::template of_triples<k>(p), T::template of_triples<k>(p + 3 * T::width)}};
    }
};
#define LANES_UNARY(name)                                                    \
    template <class T>                                                       \
    LANES_INLINE WideRegister<T> name(WideRegister<T> a) {                   \
        return {{name(a.lo), name(a.hi)}};                                   \
    }
#define LANES_BINARY(name)                                                   \
    template <class T>                                                       \
    LANES_INLINE WideRegister<T> name(WideRegister<T> a, WideRegister<T> b) { \
        return {{name(a.lo, b.lo), name(a.hi, b.hi)}};                       \
    }
#define LANES_TERNARY(name)                                                                      \
    template <class T>                                                                           \
    LANES_INLINE WideRegister<T> name(WideRegister<T> a, WideRegister<T> b, WideRegister<T> c) { \
        return {{name(a.lo, b.lo, c.lo), name(a.hi, b.hi, c.hi)}};                               \
    }
#define LANES_COMPARE(name)                                                                          \
    template <class T>                                                                               \
    LANES_INLINE typename WideRegister<T>::Mask name(WideRegister<T> a, WideRegister<T> b) {         \
        return {name(a.lo, b.lo), name(a.hi, b.hi)};                                                 \
    }
#define LANES_MASKS(name)                                 \
    template <class M>                                    \
    LANES_INLINE Pair<M> name(Pair<M> a, Pair<M> b) {     \
        return {name(a.lo, b.lo), name(a.hi, b.hi)};      \
    }
LANES_UNARY(sqrt) LANES_UNARY(floor) LANES_UNARY(power_floor) LANES_UNARY(negate) LANES_UNARY(reciprocal)
LANES_UNARY(exponent) LANES_UNARY(mantissa)
LANES_BINARY(add) LANES_BINARY(sub) LANES_BINARY(mul) LANES_BINARY(div) LANES_BINARY(min) LANES_BINARY(max)
LANES_BINARY(times_power_of_two) LANES_BINARY(power_fraction) LANES_BINARY(bits_of_both)
LANES_TERNARY(fma) LANES_TERNARY(fnma)
LANES_COMPARE(less) LANES_COMPARE(less_equal)
LANES_MASKS(both) LANES_MASKS(either) LANES_MASKS(without)
#undef LANES_UNARY
#undef LANES_BINARY
#undef LANES_TERNARY
#undef LANES_COMPARE
#undef LANES_MASKS
template <class T>
LANES_INLINE void store(float* p, WideRegister<T> a) {
    store(p, a.lo);
    store(p + T::width, a.hi);
}
template <class T>
LANES_INLINE WideRegister<T> select(typename WideRegister<T>::Mask m, WideRegister<T> a, WideRegister<T> b) {
    return {{select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)}};
}
template <class T>
LANES_INLINE WideRegister<T> zero_unless(typename WideRegister<T>::Mask m, WideRegister<T> a) {
    return {{zero_unless(m.lo, a.lo), zero_unless(m.hi, a.hi)}};
}
template <class T>
LANES_INLINE WideRegister<T> negative_where(typename WideRegister<T>::Mask m, WideRegister<T> a) {
    return {{negative_where(m.lo, a.lo), negative_where(m.hi, a.hi)}};
}
template <class T>
LANES_INLINE bool all_negative(WideRegister<T> a) {
    return all_negative(bits_of_both(a.lo, a.hi));
}

template <class T, int width>
struct Widened {
    using type = typename Widened<WideRegister<T>, 2 * width>::type;
};
template <class T>
struct Widened<T, 16> {
    using type = T;
};
using Lanes = Widened<Register, Register::width>::type;

// ---- what the kernels use ----------------------------------------------------------------------------------------------

struct Mask16 {
    Lanes::Mask v;
};
struct Float16 {
    Lanes v;
    Float16() = default;
    LANES_INLINE Float16(Lanes lanes) : v(lanes) {}
    LANES_INLINE Float16(float x) : v(Lanes::broadcast(x)) {}
};

LANES_INLINE Float16 load(const float* p) { return Lanes::load(p); }
LANES_INLINE void store(float* p, Float16 a) { store(p, a.v); }
LANES_INLINE Float16 gather(const float* base, const int32_t* index, int stride) {
    return Lanes::gather(base, index, stride);
}
// Component k of sixteen rows of three floats, one after the other.
template <int k>
LANES_INLINE Float16 of_triples(const float* p) {
    return Lanes::of_triples<k>(p);
}
LANES_INLINE Float16 operator+(Float16 a, Float16 b) { return add(a.v, b.v); }
LANES_INLINE Float16 operator-(Float16 a, Float16 b) { return sub(a.v, b.v); }
LANES_INLINE Float16 operator*(Float16 a, Float16 b) { return mul(a.v, b.v); }
LANES_INLINE Float16 operator/(Float16 a, Float16 b) { return div(a.v, b.v); }
LANES_INLINE Float16 operator-(Float16 a) { return negate(a.v); }
LANES_INLINE Float16 fma(Float16 a, Float16 b, Float16 c) { return fma(a.v, b.v, c.v); }    // a b + c
LANES_INLINE Float16 fnma(Float16 a, Float16 b, Float16 c) { return fnma(a.v, b.v, c.v); }  // c - a b
LANES_INLINE Float16 min(Float16 a, Float16 b) { return min(a.v, b.v); }  // b if either is NaN
LANES_INLINE Float16 max(Float16 a, Float16 b) { return max(a.v, b.v); }
LANES_INLINE Float16 abs(Float16 a) { return max(a, -a); }
LANES_INLINE Float16 clamp(Float16 a, Float16 low, Float16 high) { return min(max(a, low), high); }
LANES_INLINE Float16 sqrt(Float16 a) { return sqrt(a.v); }
LANES_INLINE Float16 floor(Float16 a) { return floor(a.v); }
LANES_INLINE Float16 ceil(Float16 a) { return -floor(-a); }
LANES_INLINE Float16 reciprocal(Float16 a) { return reciprocal(a.v); }  // to about 23 bits
LANES_INLINE Mask16 operator<=(Float16 a, Float16 b) { return {less_equal(a.v, b.v)}; }
LANES_INLINE Mask16 operator>=(Float16 a, Float16 b) { return b <= a; }
LANES_INLINE Mask16 operator<(Float16 a, Float16 b) { return {less(a.v, b.v)}; }
LANES_INLINE Mask16 operator>(Float16 a, Float16 b) { return b < a; }
LANES_INLINE Mask16 operator&(Mask16 a, Mask16 b) { return {both(a.v, b.v)}; }
LANES_INLINE Mask16 without(Mask16 a, Mask16 b) { return {without(a.v, b.v)}; }
LANES_INLINE Float16 select(Mask16 m, Float16 a, Float16 b) { return select(m.v, a.v, b.v); }
LANES_INLINE Float16 zero_unless(Mask16 m, Float16 a) { return zero_unless(m.v, a.v); }
LANES_INLINE Float16 negative_where(Mask16 m, Float16 a) { return negative_where(m.v, a.v); }  // -|a| there, a elsewhere
LANES_INLINE bool all_negative(Float16 a) { return all_negative(a.v); }

LANES_INLINE unsigned mask_bits(RegisterMask m) { return bits(m); }
template <class M>
LANES_INLINE unsigned mask_bits(Pair<M> m) {
    return mask_bits(m.lo) | mask_bits(m.hi) << (sizeof(m) / sizeof(RegisterMask) / 2 * Register::width);
}
LANES_INLINE unsigned bits(Mask16 m) { return mask_bits(m.v); }

LANES_INLINE bool any_lane(RegisterMask m) { return bits(m) != 0; }
template <class M>
LANES_INLINE bool any_lane(Pair<M> m) {
    return any_lane(either(m.lo, m.hi));
}
LANES_INLINE bool any(Mask16 m) { return any_lane(m.v); }

// 2^x for x < 127: its floor n, and a polynomial of 2^f on 0 <= f <= 1 with a relative error of at most 3e-6 and none at the
// fraction of log2(1/255), where it decides on which side of kMinAlpha an alpha lies. Zero, or at most 2^-125, below x = -126.
LANES_INLINE Float16 exp2(Float16 x) {
    const Float16 n = power_floor(x.v), f = power_fraction(x.v, n.v);
    Float16 p = fma(f, 1.3454298984e-2f, 5.2183560715e-2f);
    p = fma(p, f, 2.4132116109e-1f);
    p = fma(p, f, 6.9303474783e-1f);
    p = fma(p, f, 1.0000006006f);
    return times_power_of_two(p.v, n.v);
}

// log2 of positive normal numbers to float precision: of the mantissa m, moved to sqrt(1/2) < m <= sqrt(2), it is a series in
// t = (m - 1) / (m + 1).
LANES_INLINE Float16 log2(Float16 x) {
    const Float16 mantissa_x = mantissa(x.v), exponent_x = exponent(x.v);
    const Mask16 high = mantissa_x > 1.41421356f;
    const Float16 m = select(high, mantissa_x * 0.5f, mantissa_x), e = select(high, exponent_x + 1.f, exponent_x);
    const Float16 t = (m - 1.f) * reciprocal(m + 1.f), tt = t * t;
    constexpr float kFirst = 2.8853900818f;  // 2 / ln 2
    Float16 p = fma(tt, kFirst / 9.f, kFirst / 7.f);
    p = fma(p, tt, kFirst / 5.f);
    p = fma(p, tt, kFirst / 3.f);
    p = fma(p, tt, kFirst);
    return fma(p, t, e);
}

LANES_INLINE Register folded(Register a) { return a; }
template <class T>
LANES_INLINE Register folded(WideRegister<T> a) {
    return folded(add(a.lo, a.hi));
}
// Writes the sum of all lanes of a[i] to out[i], for i < 16.
LANES_INLINE void store_sums(float* out, const Float16* a) {
    for (int part = 0; part < 16; part += Register::width) {
        Register sums[Register::width];
        for (int i = 0; i < Register::width; i++) sums[i] = folded(a[part + i].v);
        store(out + part, sum_each(sums));
    }
}

LANES_INLINE Register part_of(Register a, int) { return a; }
template <class T>
LANES_INLINE Register part_of(WideRegister<T> a, int part) {
    constexpr int half = T::width / Register::width;
    return part < half ? part_of(a.lo, part) : part_of(a.hi, part - half);
}
// Writes lane i of a[k] to out[i][k], for i, k < 16.
LANES_INLINE void store_transposed(float (*out)[16], const Float16* a) {
    constexpr int width = Register::width;
    for (int rows = 0; rows < 16; rows += width)
        for (int columns = 0; columns < 16; columns += width) {
            Register square[width];
            for (int k = 0; k < width; k++) square[k] = part_of(a[columns + k].v, rows / width);
            transpose(square);
            for (int i = 0; i < width; i++) store(out[rows + i] + columns, square[i]);
        }
}

}  // namespace splatmem::SPLATMEM_ISA
