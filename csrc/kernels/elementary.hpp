// log and exp on blocks. Tables and polynomials come from tables.hpp; tests state the worst errors beside the names.
// No step has a subnormal operand or result, whatever the argument: on Intel's cores it would cost 150 cycles
// (docs/performance.md, "Kinds of data").
#pragma once
#include "../simd/several.hpp"
#include "tables.hpp"

namespace gumbelfast {
namespace {

template <class V>
struct Format;
template <>
struct Format<simd::F32> {
  using Word = uint32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr Word half = 0x3F000000;
  static constexpr float least = 0x1p-126f;  // normal number
  static constexpr float below_one = 0x1.fffffep-1f;
  static constexpr float round_magic = 0x1.8p23f;
  static constexpr float negligible = 0x1p-30f;  // 1 + x is 1, and x (1 + x) is x, from here down
  static constexpr float ample = 0x1p-37f;       // 2**-25 of it has a square that is normal
  static constexpr float exp_underflow = -104;   // exp is 0 from here down
  static constexpr float exp_least = -87;        // exp is normal from here up
  static constexpr float exp_most = 88;          // exp(x) is 2**n (1 + tail) with a normal 2**n up to here
  // Lifted numbers are 2**lift times what they stand for, and normal where that is subnormal.
  static constexpr int lift = 65;
  static constexpr float lifted_one = 0x1p65f, dropped_one = 0x1p-65f;
  static constexpr float lifted_least = 0x1p-61f,
                         lifted_grain = 0x1p-84f;  // of the least normal, and subnormal, number
};
template <>
struct Format<simd::F64> {
  using Word = uint64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr Word half = 0x3FE0000000000000;
  static constexpr double least = 0x1p-1022;
  static constexpr double below_one = 0x1.fffffffffffffp-1;
  static constexpr double round_magic = 0x1.8p52;
  static constexpr double negligible = 0x1p-60;
  static constexpr double ample = 0x1p-450;
  static constexpr double exp_underflow = -746;
  static constexpr double exp_least = -708;
  static constexpr double exp_most = 709;
  static constexpr int lift = 513;
  static constexpr double lifted_one = 0x1p513, dropped_one = 0x1p-513;
  static constexpr double lifted_least = 0x1p-509, lifted_grain = 0x1p-561;
};

template <class V, int n>
struct Format<simd::Several<V, n>> : Format<V> {};

}  // namespace
}  // namespace gumbelfast

#include "lifted.hpp"

namespace gumbelfast {
namespace {

// x = 2**k * m with m in [0.5, 1), and c near m from a table: 1/(2**k c) and -log(c).
template <class V>
struct Reduced {
  V exponent, reciprocal, minus_log;
};

template <class V>
GF_OP Reduced<V> reduce(V x) {
  using F = Format<V>;
  using T = Tables<typename V::Scalar>;
  const auto above = simd::as_bits(x) - simd::set(F::half);
  const auto exponent = above & simd::set(static_cast<typename F::Word>(~typename F::Word{0} << F::mantissa));
  const auto bucket = simd::shr<F::mantissa - 4>(above);
  const auto reciprocal = simd::as_bits(simd::lookup(T::reciprocal, bucket)) - exponent;
  return {simd::signed_float(simd::sar<F::mantissa>(above)), simd::as_float(reciprocal),
          simd::lookup(T::minus_log, bucket)};
}

// sum of c[i] * x**i, by Horner's rule.
template <class V, int n>
GF_OP V polynomial(V x, const typename V::Scalar (&c)[n]) {
  V sum = simd::fma(x, simd::set(c[n - 1]), simd::set(c[n - 2]));
#pragma GCC unroll 16
  for (int i = n - 3; i >= 0; --i) sum = simd::fma(sum, x, simd::set(c[i]));
  return sum;
}

// log(1 + r) for |r| <= 1/31, r * r being at hand; fine: with no error to speak of beside that of rounding.
template <bool fine = false, class V>
GF_OP V log1p_small(V r, V square) {
  using T = Tables<typename V::Scalar>;
  if constexpr (fine)
    return simd::fma(square, polynomial(r, T::log_q_fine), r);
  else
    return simd::fma(square, polynomial(r, T::log_q), r);
}
template <bool fine = false, class V>
GF_OP V log1p_small(V r) {
  return log1p_small<fine>(r, r * r);
}

// -log(x) for positive normal x below 2**126 (float; double: 2**1022), where the reciprocal is normal too.
template <class V>
GF_OP V minus_log(V x) {
  using T = Tables<typename V::Scalar>;
  const Reduced<V> c = reduce(x);
  const V r = simd::fma(x, c.reciprocal, simd::set(typename V::Scalar{-1}));
  return simd::fma(c.exponent, simd::set(-T::ln2), c.minus_log - log1p_small(r));
}

// u in (0, 1), given as f = u where u < 1/2 and f = u - 1 above, as 2**k c (1 + r): relative accuracy lasts up to u
// = 1.
template <class V>
struct ReducedUnit : Reduced<V> {
  V r;
};
template <class V>
GF_OP ReducedUnit<V> reduce_unit(V f) {
  // Rounded down from one, so that u never falls into the bucket above one.
  const Reduced<V> c = reduce(f + simd::if_negative(f, simd::set(Format<V>::below_one)));
  return {c, simd::fma(f, c.reciprocal, simd::if_negative(f, c.reciprocal) + simd::set(typename V::Scalar{-1}))};
}

// a - log(u), of such an f. Small terms are added first: where u >= 1/2 the only rounding above the size of r is the
// last one.
template <bool fine = false, class A, class V>
GF_OP V minus_log_unit(A a, V f) {
  const ReducedUnit<V> u = reduce_unit(f);
  return simd::fma(u.exponent, simd::set(-Tables<typename V::Scalar>::ln2), u.minus_log + (a - log1p_small<fine>(u.r)));
}

// -log(u) for f + rest in place of f, where rest is less than an ulp.
template <class V>
GF_OP V minus_log_unit_fine(V f, V rest) {
  const ReducedUnit<V> u = reduce_unit(f);
  const V log = simd::fma(rest, u.reciprocal, log1p_small<true>(u.r));
  return simd::fma(u.exponent, simd::set(-Tables<typename V::Scalar>::ln2), u.minus_log - log);
}

// 2**lift exp(x), for x where this and its power of two are normal; NaN gives NaN.
template <int lift, class V>
GF_OP V exp_of(V x) {
  using F = Format<V>;
  using T = Tables<typename V::Scalar>;
  // Its last bits are those of a power's exponent: added to n they give 2**(n + lift).
  const auto magic = simd::set(F::round_magic + F::bias + lift);
  const V shifted = simd::fma(x, simd::set(T::log2_e), magic), n = shifted - magic;
  const V r = simd::fma(n, simd::set(-T::ln2_low), simd::fma(n, simd::set(-T::ln2_high), x));
  const V tail = simd::fma(r * r, polynomial(r, T::exp_q), r);
  const V power = simd::as_float(simd::shl<F::mantissa>(simd::as_bits(shifted)));
  return simd::fma(tail, power, power);
}

// The same for x in [exp_least, 0], where r * r may not be negligible.
template <int lift = 0, class V>
GF_OP V exp_normal(V x) {
  return exp_of<lift>(simd::min(simd::set(-Format<V>::negligible), x));
}

// exp(x) for x <= 0, lifted and unrounded: what is subnormal has all its bits still.
template <class V>
GF_OP V exp_unrounded(V x) {
  return exp_normal<Format<V>::lift>(simd::max(simd::set(Format<V>::exp_underflow), x));
}

// exp(x) for x <= 0, gradual underflow included; NaN gives NaN.
template <class V>
GF_OP V exp_nonpositive(V x) {
  return drop_product(exp_unrounded(x), simd::set(typename V::Scalar{1}));
}

// log(1 + e) for e in [0, 1]: to 2 ulp of itself, however small e is.
template <class V>
GF_OP V log1p_unit(V e) {
  using Scalar = typename V::Scalar;
  using T = Tables<Scalar>;
  const V one = simd::set(Scalar{1}), none = simd::set(Scalar{0});
  const Reduced<V> c = reduce(e + one);
  // What needs no reduction gets none: the table's first entry would drown it.
  const auto small = simd::set(Scalar{1} / 32) > e;
  const V factor = simd::select(small, one, c.reciprocal), exponent = simd::select(small, none, c.exponent);
  const V r = simd::fma(e, factor, factor - one);
  const V log = log1p_small<true>(r, simd::select(simd::set(Format<V>::negligible) > e, none, r) * r);
  const V base = exponent * simd::set(T::ln2_high) - simd::select(small, none, c.minus_log);
  return base + simd::fma(exponent, simd::set(T::ln2_low), log);
}

}  // namespace
}  // namespace gumbelfast
