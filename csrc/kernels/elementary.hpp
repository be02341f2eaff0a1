// log and exp on blocks. Polynomials come from coefficients.hpp; tests state the worst errors beside the names.
// No step has a subnormal operand or result, whatever the argument: on Intel's cores it would cost 150 cycles
// (docs/performance.md, "Kinds of data").
#pragma once
#include "../simd/several.hpp"
#include "coefficients.hpp"

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

// sum of c[i] * x**i, by Horner's rule.
template <class V, int n>
GF_OP V polynomial(V x, const typename V::Scalar (&c)[n]) {
  V sum = simd::fma(x, simd::set(c[n - 1]), simd::set(c[n - 2]));
#pragma GCC unroll 16
  for (int i = n - 3; i >= 0; --i) sum = simd::fma(sum, x, simd::set(c[i]));
  return sum;
}

// The same with the square at hand: even and odd terms are two chains of half the length, at no more operations.
template <class V, int n>
GF_OP V polynomial(V x, V square, const typename V::Scalar (&c)[n]) {
  V sum[2] = {simd::fma(square, simd::set(c[n - 1]), simd::set(c[n - 3])),
              simd::fma(square, simd::set(c[n - 2]), simd::set(c[n - 4]))};
#pragma GCC unroll 32
  for (int i = n - 5; i >= 0; --i) {
    V& own = sum[(n - 1 - i) % 2];
    own = simd::fma(own, square, simd::set(c[i]));
  }
  return simd::fma(sum[n % 2], x, sum[(n - 1) % 2]);
}

// minimum + zeros log(2) - log(1 - y) for y in [0, 1/2], 0 <= zeros <= 64, minimum >= 0. Small terms are added first.
template <class A, class V>
GF_OP V exponential(A minimum, V zeros, V y) {
  using C = Coefficients<typename V::Scalar>;
  const V square = y * y;
  return simd::fma(zeros, simd::set(C::ln2), simd::fma(square, polynomial(y, square, C::excess), minimum) + y);
}
// The same of a minimum of zero, with one rounding less.
template <class V>
GF_OP V exponential(V zeros, V y) {
  using C = Coefficients<typename V::Scalar>;
  const V square = y * y;
  return simd::fma(zeros, simd::set(C::ln2), simd::fma(square, polynomial(y, square, C::excess), y));
}

// -log(1 - t) for t in [-1/2, 1/4], t * t being at hand.
template <class V>
GF_OP V minus_log_near_one(V t, V square) {
  return simd::fma(square, polynomial(t, square, Coefficients<typename V::Scalar>::log), t);
}

// -log(x) for positive normal x.
template <class V>
GF_OP V minus_log(V x) {
  using T = typename V::Scalar;
  const V t = simd::set(T{1}) - simd::fraction(x);
  return simd::fma(simd::octave(x), simd::set(-Coefficients<T>::ln2), minus_log_near_one(t, t * t));
}

// 2**lift exp(x), for x where this and its power of two are normal; NaN gives NaN.
template <int lift, class V>
GF_OP V exp_of(V x) {
  using F = Format<V>;
  using T = Coefficients<typename V::Scalar>;
  // Its last bits are those of a power's exponent: added to n they give 2**(n + lift).
  const auto magic = simd::set(F::round_magic + F::bias + lift);
  const V shifted = simd::fma(x, simd::set(T::log2_e), magic), n = shifted - magic;
  const V r = simd::fma(n, simd::set(-T::ln2_low), simd::fma(n, simd::set(-T::ln2_high), x));
  const V tail = simd::fma(r * r, polynomial(r, T::exp), r);
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
  using T = typename V::Scalar;
  const V none = simd::set(T{0}), half = simd::set(T{0.5});
  // 1 + e is 1 - t, or 2 (1 - t): either t is exact.
  const auto upper = e >= half;
  const V t = simd::select(upper, simd::fma(e, simd::set(T{-0.5}), half), none - e);
  const V square = simd::select(simd::set(Format<V>::negligible) > e, none, t) * t;
  return simd::select(upper, simd::set(Coefficients<T>::ln2), none) - minus_log_near_one(t, square);
}

}  // namespace
}  // namespace gumbelfast
