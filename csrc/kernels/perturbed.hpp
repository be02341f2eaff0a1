// Perturbed values, logit * scale + noise, with all that the noise says (docs/stream.md, "From noise to draws"). In the
// working type they serve for a first look only.
#pragma once

namespace gumbelfast {
namespace {

// The sum in double, and the error of its rounding.
struct Value {
  double sum = -__builtin_inf(), rest = 0;
  GF_OP bool operator>(const Value& other) const { return sum > other.sum || (sum == other.sum && rest > other.rest); }
};

struct Values {
  F64 sum, rest;
};
constexpr int value_lanes = F64::lanes;

// The error of sum = a + b (Knuth's two-sum).
template <class D>
GF_OP D error_of_sum(D a, D b, D sum) {
  const D b_part = sum - a;
  return (a - (sum - b_part)) + (b - b_part);
}
template <class T>
GF_OP Value value_of(T logit, double scale, T gumbel) {
  const double product = static_cast<double>(logit) * scale, noise = static_cast<double>(gumbel), sum = product + noise;
  return {sum, error_of_sum(product, noise, sum)};
}
GF_OP Values values_of(F64 logit, F64 scale, F64 gumbel) {
  const F64 product = logit * scale, sum = product + gumbel;
  return {sum, error_of_sum(product, gumbel, sum)};
}

// The perturbed values of a block of logits, eight at a time: take(values, first lane).
template <class Take>
GF_OP void for_values(F64 logit, F64 scale, F64 gumbel, Take take) {
  take(values_of(logit, scale, gumbel), 0);
}
template <class Take>
GF_OP void for_values(F32 logit, F64 scale, F32 gumbel, Take take) {
  take(values_of(simd::widen_low(logit), scale, simd::widen_low(gumbel)), 0);
  take(values_of(simd::widen_high(logit), scale, simd::widen_high(gumbel)), value_lanes);
}

// The same in the working type, for a first look: one rounding for the scale, one for the product, one for the sum.
template <class V>
GF_OP V perturb(V x, V scale, V gumbel) {
  return x * scale + gumbel;
}

// What a first look sees below this, is below the value that it sees as `top`. A double is the sum itself. In float,
// with u = 2**-24, no noise above 46 and a scale that is normal, perturb(x, s, g) = v errs by e <= 2.01 u |x s| + u |v|
// <= 3.1 u (|v| + 47), and two such errors may come between v and top.
GF_OP float below(float top) { return top - (__builtin_fabsf(top) + 64) * 0x1p-21f; }
GF_OP double below(double top) { return top; }
GF_OP F32 below(F32 top) { return top - (magnitude(top) + set(64.0f)) * set(0x1p-21f); }
GF_OP F64 below(F64 top) { return top; }

// The scale of a row: in double, and rounded to the working type.
template <class T>
struct RowScale {
  double exact;
  T working;
  RowScale(double scale) : exact(scale), working(static_cast<T>(scale)) {}
  // A subnormal float has too few bits for a first look.
  bool coarse() const { return sizeof(T) == 4 && working < Format<VectorOf<T>>::least; }
};
template <class T>
GF_OP RowScale<T> row_scale(const Scale& scale, int64_t row) {
  return scale.each ? scale.each[row] : scale.one;
}

// One entry of the result.
GF_OP void put(const SelectArgs& args, int64_t at, int64_t index, const Value& value) {
  args.index[at] = index;
  if (args.perturbed) args.perturbed[at] = value.sum;
  if (args.rest) args.rest[at] = value.rest;
}

}  // namespace
}  // namespace gumbelfast
