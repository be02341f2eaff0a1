// Whether logits would be refused, for calls that must write nothing then.
#pragma once

namespace gumbelfast {
namespace {

// Of some raw logits: bad ones, and -inf.
template <class V>
struct Exceptions {
  Met<V> met;
  decltype(V{} > V{}) lowest = V{} > V{};

  GF_OP void see(V a, V b) {
    met.nan = met.nan | simd::unordered(a, b);
    lowest = lowest | (minus_infinity<V>() >= a) | (minus_infinity<V>() >= b);
    met.largest = simd::max(met.largest, simd::max(a, b));
  }
  template <class S>
  GF_OP void see(const Row<S, false>& row, int64_t cols) {
    constexpr int together = 4;
    int64_t j = 0;
    for (; j + together * V::lanes <= cols; j += together * V::lanes) {
      Exceptions some[together / 2];
#pragma GCC unroll 2
      for (int i = 0; i < together / 2; ++i)
        some[i].see(row.block(j + 2 * i * V::lanes), row.block(j + (2 * i + 1) * V::lanes));
      met.nan = met.nan | some[0].met.nan | some[1].met.nan;
      lowest = lowest | some[0].lowest | some[1].lowest;
      met.largest = simd::max(met.largest, simd::max(some[0].met.largest, some[1].met.largest));
    }
    for (; j < cols; j += V::lanes) {
      const int n = static_cast<int>(cols - j < V::lanes ? cols - j : V::lanes);
      const V x = load_block(row.x + j, n, set(typename V::Scalar{0}));
      see(x, x);
    }
  }
};

// NaN, +inf, or a row without a finite logit among the rows. They are looked at one by one only where some
// logit is -inf.
template <class S>
Result refuses(const LookArgs& args, const Span& span) {
  using V = VectorOf<S>;
  const Logits& logits = args.logits;
  constexpr int64_t chunk = 4096;  // elements that stay in the first-level cache
  const int64_t cols = logits.cols, batch = cols < chunk ? chunk / cols : 1;
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < batch ? span.end - i : batch;
    const bool together = logits.stride == cols;
    Exceptions<V> seen;
    for (int64_t r = i; r < i + count; r += together ? count : 1)
      seen.see(Row<S, false>(logits, r), together ? count * cols : cols);
    if (seen.met.refused()) return refused;
    if (!bits(seen.lowest)) continue;
    for (int64_t r = i; r < i + count; ++r) {
      const Row<S, false> row(logits, r);
      uint32_t finite = 0;
      for_blocks<V>(cols, [&](int64_t j, int n) { finite |= bits(row.block(j, n) > minus_infinity<V>()); });
      if (!finite) return refused;
    }
  }
  return {};
}

}  // namespace
}  // namespace gumbelfast
