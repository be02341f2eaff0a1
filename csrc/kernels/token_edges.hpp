// What the filters of token sampling leave of a row, said in five numbers. Each filter keeps the first of the logits in
// descending order, the lower column first among equals; so all of them together do, and an edge says where.
#pragma once

namespace gumbelfast {
namespace {

// The exact sum of weights of the values above a threshold, of a list that is followed by a block of -inf.
template <class T>
uint64_t mass_above(const T* value, int64_t n, T threshold, T most, T scale, double unit) {
  using V = VectorOf<T>;
  GridSum<V> sum(unit);
  for (int64_t i = 0; i < n; i += V::lanes) {
    const V x = load(value + i);
    sum.add(select(x > set(threshold), GridSum<V>::weight(x - set(most), set(scale)), set(T{0})));
  }
  return sum.whole();
}

// Keeps the values of a list above the threshold, or those that are not; how many.
template <class T>
int64_t keep_side(T* value, int64_t n, T threshold, bool above) {
  using V = VectorOf<T>;
  int64_t left = 0;
  for (int64_t i = 0; i < n; i += V::lanes) {
    const V x = load(value + i);
    const uint32_t higher = bits(x > set(threshold)), there = bits(x > minus_infinity<V>());
    const uint32_t chosen = (above ? higher : ~higher) & there;
    simd::compress(value + left, simd::lane_mask(chosen, x), x);
    left += __builtin_popcount(chosen);
  }
  store(value + left, minus_infinity<V>());
  return left;
}

// Top-p: the least value that has less than `limit` above it, and what is above it. By bisection among the values that
// may still be it: means of values first, then means in the order of floats, which must end. `value` is overwritten.
template <class T>
T nucleus_edge(T* value, int64_t n, T least, T most, T scale, double unit, double limit, uint64_t& above) {
  // Less than the limit lies above `high`, but not above `low`; the list has what lies in between, and `high`.
  auto low = ordered(least) - 1, high = ordered(most);
  above = 0;
  for (int step = 0; high - 1 > low; ++step) {
    auto middle = ordered(from_ordered(low + 1) / 2 + from_ordered(high) / 2);
    if (step >= 16 || middle <= low || middle >= high) middle = (low & high) + ((low ^ high) >> 1);
    const T threshold = from_ordered(middle);
    const uint64_t more = above + mass_above(value, n, threshold, most, scale, unit);
    const bool passes = static_cast<double>(more) < limit;
    if (passes) above = more;
    (passes ? high : low) = middle;
    n = keep_side(value, n, threshold, !passes);
  }
  return from_ordered(high);
}

// The column of the last of equal logits that stay, when each of them weighs `mass`.
template <class S, bool masked, class T = WorkOf<S>>
int64_t last_staying(const Row<S, masked>& row, int64_t cols, T edge, uint64_t above, uint64_t mass, double limit) {
  using V = VectorOf<S>;
  int64_t last = -1;
  for (int64_t j = 0; j < cols; j += V::lanes) {
    const int n = static_cast<int>(cols - j < V::lanes ? cols - j : V::lanes);
    for (uint32_t pick = bits(row.block(j, n) == set(edge)); pick; pick &= pick - 1) {
      if (!(static_cast<double>(above) < limit)) return last;
      above += mass;
      last = j + __builtin_ctz(pick);
    }
  }
  return last;
}

// Adds up the weights of a row and of what the cut leaves of it, and moves the cut to the last of that.
template <class S, bool masked, class T = WorkOf<S>>
void settle_cut(const Row<S, masked>& row, int64_t cols, Cut<T>& cut, T most, T scale, double unit, double& all,
                double& kept) {
  using V = VectorOf<S>;
  const V zero = set(T{0});
  GridSum<V> whole(unit), some(unit);
  V negated = minus_infinity<V>();
  for_blocks<V>(cols, [&](int64_t j, int n) {
    const V x = row.block(j, n), w = GridSum<V>::weight(x - set(most), set(scale));
    const auto stays = simd::lane_mask(cut.of(x, j) & bits(x > minus_infinity<V>()), x);
    whole.add(w);
    some.add(select(stays, w, zero));
    negated = select(stays, simd::max(negated, zero - x), negated);
  });
  all = whole.total();
  kept = some.total();
  const T least = T{0} - simd::lane_max(negated);
  int64_t last = -1;
  for_blocks<V>(cols, [&](int64_t j, int n) {
    const V x = row.block(j, n);
    if (const uint32_t equal = bits(x == set(least)) & cut.of(x, j)) last = j + 31 - __builtin_clz(equal);
  });
  cut = {least, last};
}

template <class S, bool masked>
Result token_edge_rows(const TokenEdgeArgs& args, const Span& span) {
  using T = WorkOf<S>;
  using V = VectorOf<S>;
  const int64_t cols = args.logits.cols;
  const double unit = grid_unit(cols);
  Survivors<T> left(args.top_k || args.top_p ? cols : 0);
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(args.logits, i);
    const int64_t top_k = args.top_k && args.top_k[i] < cols ? args.top_k[i] : 0;
    const double top_p = args.top_p ? args.top_p[i] : 1, min_p = args.min_p ? args.min_p[i] : 0;
    const T scale = static_cast<T>(args.scale[i]);
    double* const out = args.edges + i * token_edge_fields;
    Met<V> met;
    Cut<T> cut{-static_cast<T>(__builtin_inff()), cols};
    const Best best = largest_logit(row, 0, cols, met);
    if (met.refused()) return refused;
    const T most = static_cast<T>(best.value.sum) + T{0};  // not -0
    for (int field = 0; field < token_edge_fields; ++field) out[field] = 0;
    out[0] = out[1] = static_cast<double>(most), out[2] = static_cast<double>(best.index);
    if (best.index < 0) {
      lacks = true;
      continue;
    }
    if (scale == 0) {
      out[3] = out[4] = 1;
      continue;
    }
    const bool by_k = top_k > 0;
    if (by_k) {
      Met<V> again;
      take_top_k(row, cols, top_k, left, again);
      left.n = keep_side(left.value, left.n, -static_cast<T>(__builtin_inff()), true);
      T least = most;
      for (int64_t j = 0; j < left.n; ++j) least = left.value[j] < least ? left.value[j] : least;
      cut.least = least;
    }
    if (top_p < 1) {
      if (!by_k) {
        left.n = 0;
        for_blocks<V>(cols, [&](int64_t j, int n) {
          const V x = row.block(j, n);
          const uint32_t there = bits(x > minus_infinity<V>());
          simd::compress(left.value + left.n, simd::lane_mask(there, x), x);
          left.n += __builtin_popcount(there);
        });
        left.pad();
      }
      const T lowest = -static_cast<T>(__builtin_inff());
      const double limit = top_p * static_cast<double>(mass_above(left.value, left.n, lowest, most, scale, unit));
      T least = most;
      for (int64_t j = 0; j < left.n; ++j) least = left.value[j] < least ? left.value[j] : least;
      uint64_t above;
      cut.least = nucleus_edge(left.value, left.n, least, most, scale, unit, limit, above);
      store(left.value, set(cut.least));
      store(left.value + 1, minus_infinity<V>());
      const uint64_t mass = mass_above(left.value, 1, lowest, most, scale, unit);
      cut.last = last_staying(row, cols, cut.least, above, mass, limit);
    }
    if (min_p > 0) {
      const T least = min_p_threshold(most, scale, min_p_limit<T>(min_p));
      if (least > cut.least) cut = {least, cols};
    }
    settle_cut(row, cols, cut, most, scale, unit, out[4], out[3]);
    out[1] = static_cast<double>(cut.least), out[2] = static_cast<double>(cut.last);
    out[3] /= unit, out[4] /= unit;
  }
  return {lacks ? Outcome::lacking : Outcome::done};
}

template <class S>
Result token_edges(const TokenEdgeArgs& args, const Span& span) {
  return args.logits.mask ? token_edge_rows<S, true>(args, span) : token_edge_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
