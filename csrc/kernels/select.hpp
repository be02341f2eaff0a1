// Selecting and ordering among values at hand, without branches on their order.
#pragma once

namespace gumbelfast {
namespace {

// Integers that ascend as floats do.
GF_OP int32_t ordered(float x) {
  const int32_t i = __builtin_bit_cast(int32_t, x);
  return i < 0 ? i ^ 0x7FFFFFFF : i;
}
GF_OP int64_t ordered(double x) {
  const int64_t i = __builtin_bit_cast(int64_t, x);
  return i < 0 ? i ^ 0x7FFFFFFFFFFFFFFF : i;
}
GF_OP float from_ordered(int32_t i) { return __builtin_bit_cast(float, i < 0 ? i ^ 0x7FFFFFFF : i); }
GF_OP double from_ordered(int64_t i) { return __builtin_bit_cast(double, i < 0 ? i ^ 0x7FFFFFFFFFFFFFFF : i); }

// The k-th largest of n finite values, 1 <= k <= n, by bisection: every step is a count, which needs no order and no
// branch. Means of values come first, since they mostly meet a gap between two of them in a few steps; then means in
// the order of floats, which must end. A block behind the values is overwritten.
template <class T>
T kth_largest(T* values, int64_t n, int64_t k) {
  using V = VectorOf<T>;
  using Integer = decltype(ordered(T{}));
  store(values + n, set(values[0]));
  const V zero = set(T{0});
  V most = minus_infinity<V>(), negated = minus_infinity<V>();
  for (int64_t i = 0; i < n; i += V::lanes) {
    most = simd::max(most, load(values + i));
    negated = simd::max(negated, zero - load(values + i));
  }
  store(values + n, minus_infinity<V>());
  // Invariant: at least k values reach `low`, fewer reach `high`.
  Integer low = ordered(-simd::lane_max(negated)), high = ordered(simd::lane_max(most) + T{0}) + 1;
  for (int step = 0; high - 1 > low; ++step) {
    Integer middle = ordered(from_ordered(low) / 2 + from_ordered(high - 1) / 2);
    if (step >= 16 || middle <= low) middle = (low & high) + ((low ^ high) >> 1);  // the mean, without overflow
    const V threshold = set(from_ordered(middle));
    int64_t reaching = 0;
    for (int64_t i = 0; i < n; i += V::lanes) reaching += __builtin_popcount(bits(load(values + i) >= threshold));
    if (reaching == k) {
      V least = minus_infinity<V>();
      for (int64_t i = 0; i < n; i += V::lanes) {
        const V v = load(values + i);
        least = select(v >= threshold, simd::max(zero - v, least), least);
      }
      return -simd::lane_max(least);
    }
    (reaching > k ? low : high) = middle;
  }
  return from_ordered(low);
}

// The place of each of n values in descending order, equal ones in their own order; a block behind the values and the
// places is overwritten. Every value is compared with every other: for a few hundred that beats a sort.
template <class T, class Word>
void descending_places(T* values, int64_t n, Word* place) {
  using V = VectorOf<T>;
  store(values + n, minus_infinity<V>());
  for (int64_t i = 0; i < n; i += V::lanes) {
    const V mine = load(values + i);
    auto before = set(Word{0});
    auto count = [&](auto better) { before = select(better, before + set(Word{1}), before); };
    const int64_t behind = i + V::lanes < n ? i + V::lanes : n;
    for (int64_t j = 0; j < i; ++j) count(set(values[j]) >= mine);
    for (int64_t j = i; j < behind; ++j) {
      const uint32_t later = ~uint32_t{1} << (j - i);
      const V other = set(values[j]);
      count(simd::lane_mask(bits(other > mine) | (bits(other == mine) & later), mine));
    }
    for (int64_t j = behind; j < n; ++j) count(set(values[j]) > mine);
    store(place + i, before);
  }
}

}  // namespace
}  // namespace gumbelfast
