// Gradual underflow without an operation that underflows. A lifted number is 2**lift times the one that it stands for.
// Numbers of a format are multiples of its least subnormal number; adding lifted_least to what is smaller than that
// rounds to such multiples, and the sum's bits above those of lifted_least are the subnormal number itself.
// Included by elementary.hpp.
#pragma once

namespace gumbelfast {
namespace {

template <class V>
GF_OP auto sign_bit() {
  using Word = typename Format<V>::Word;
  return simd::set(static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1)));
}
template <class V>
GF_OP V magnitude(V x) {
  using Word = typename Format<V>::Word;
  return simd::as_float(simd::as_bits(x) & simd::set(static_cast<Word>(~Word{0} >> 1)));
}
// What 2**lift adds to the bits of a number.
template <class V>
GF_OP auto lift_word() {
  using Word = typename Format<V>::Word;
  return simd::set(static_cast<Word>(Word{Format<V>::lift} << Format<V>::mantissa));
}
template <class X, class Y>
GF_OP auto sign_of_product(X x, Y y) {
  // A sum, since bits above the highest are lost.
  const auto sign = sign_bit<X>();
  return (simd::as_bits(x) & sign) + (simd::as_bits(y) & sign);
}
template <class V>
GF_OP V with_sign(V x, auto sign) {
  return simd::as_float(simd::as_bits(x) | sign);
}

// lifted * factor of two numbers >= 0, as `sum - lifted_least` and by itself: the former where the product is less.
template <class V>
struct Product {
  decltype(V{} > V{}) small;
  V sum, large;

  template <class L, class F>
  GF_OP Product(L lifted, F factor) {
    const auto least = simd::set(Format<V>::lifted_least);
    sum = simd::fma(lifted, factor, least);
    small = least + least > sum;
    // Where the sum was rounded up to twice the least number, the product may be a bit less than that.
    large = simd::max(least, simd::select(small, simd::set(typename V::Scalar{0}), lifted) * factor);
  }
};

// lifted * factor / 2**lift for numbers >= 0, rounded once.
template <class L, class F>
GF_OP auto drop_product(L lifted, F factor) {
  using V = decltype(lifted * factor);
  const auto least = simd::set(Format<V>::lifted_least);
  const Product<V> p(lifted, factor);
  const auto word = simd::as_bits(p.sum) - simd::as_bits(least);
  return simd::select(p.small, simd::as_float(word), p.large * simd::set(Format<V>::dropped_one));
}
// The same where both the lifted number and the product are normal or zero. The bits of the result, and 2**lift, are
// either those of a subnormal one, which are less than the others where the result is normal, or those of the product,
// which are less where it is not.
template <class L, class F>
GF_OP auto drop_normal_product(L lifted, F factor) {
  using V = decltype(lifted * factor);
  using T = typename V::Scalar;
  const V halved = simd::fma(lifted, factor, simd::set(Format<V>::lifted_least)) * simd::set(T{0.5});
  return simd::as_float(simd::as_bits(simd::max(halved, lifted * factor)) - lift_word<V>());
}
// The same for numbers of any sign.
template <class L, class F>
GF_OP auto drop_signed_product(L lifted, F factor) {
  return with_sign(drop_product(magnitude(lifted), magnitude(factor)), sign_of_product(lifted, factor));
}

// lifted * factor, lifted still, rounded as if it had been dropped.
template <class L, class F>
GF_OP auto lifted_product(L lifted, F factor) {
  using V = decltype(lifted * factor);
  const Product<V> p(magnitude(lifted), magnitude(factor));
  const V product = simd::select(p.small, p.sum - simd::set(Format<V>::lifted_least), p.large);
  return with_sign(product, sign_of_product(lifted, factor));
}

// A lifted number >= 0 rounded as if it had been dropped.
template <class V>
GF_OP V round_lifted(V x) {
  const auto least = simd::set(Format<V>::lifted_least);
  return simd::select(least > x, (x + least) - least, x);
}

// 2**lift x for |x| < 2**60 (double: 2**500). A subnormal number's bits are those that a normal number has behind its
// leading one.
template <class V>
GF_OP V lifted(V x) {
  using F = Format<V>;
  const auto up = lift_word<V>();
  const V size = simd::as_float(simd::as_bits(magnitude(x)) + up);
  const V fraction = size - simd::as_float(up);
  return with_sign(simd::select(simd::set(F::lifted_least) > size, fraction + fraction, size),
                   simd::as_bits(x) & sign_bit<V>());
}

// The same for 0 <= x: the line that takes subnormal numbers to theirs lies above the normal ones.
template <class V>
GF_OP V lifted_probability(V x) {
  using T = typename V::Scalar;
  const V size = simd::as_float(simd::as_bits(x) + lift_word<V>());
  return simd::min(size, simd::fma(size, simd::set(T{2}), simd::set(-Format<V>::lifted_least)));
}

// A lifted number as it is, with zero in place of what is subnormal then.
template <class V>
GF_OP V dropped(V x) {
  using F = Format<V>;
  const V size = magnitude(x);
  const V rest = simd::select(simd::set(F::lifted_least) > size, simd::set(typename V::Scalar{0}), size);
  return with_sign(rest * simd::set(F::dropped_one), simd::as_bits(x) & sign_bit<V>());
}

}  // namespace
}  // namespace gumbelfast
