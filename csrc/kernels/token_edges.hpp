// What the filters of token sampling leave of a row, said in four numbers. Each filter keeps the first of the logits in
// descending order, the lower column first among equals; so all of them together do, and an edge says where.
#pragma once

namespace gumbelfast {
namespace {

// Moves a cut to the last and the largest of what it leaves of a row.
template <class R, class T, class V = VectorOf<T>>
void settle_cut(const R& row, int64_t n, Cut<T>& cut) {
  V negated = minus_infinity<V>(), top = minus_infinity<V>();
  for_blocks<V>(n, [&](int64_t j, int lanes) {
    const V x = row.block(j, lanes);
    const auto stays = simd::lane_mask(cut.of(x, j) & bits(x > minus_infinity<V>()), x);
    negated = select(stays, simd::max(negated, set(T{0}) - x), negated);
    top = select(stays, simd::max(top, x), top);
  });
  const T least = T{0} - simd::lane_max(negated);
  int64_t last = -1;
  for_blocks<V>(n, [&](int64_t j, int lanes) {
    const V x = row.block(j, lanes);
    if (const uint32_t equal = bits(x == set(least)) & cut.of(x, j)) last = j + 31 - __builtin_clz(equal);
  });
  cut = {least, last, simd::lane_max(top) + T{0}};
}

template <class S, bool masked>
Result token_edge_rows(const TokenEdgeArgs& args, const Span& span) {
  using T = WorkOf<S>;
  using V = VectorOf<S>;
  const int64_t cols = args.logits.cols;
  const double unit = grid_unit(cols);
  Survivors<T> left(filters(args) ? cols : 0);
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(args.logits, i);
    const Filters<T> asked(args, i);
    Met<V> met;
    const Best best = largest_logit(row, 0, cols, met);
    if (met.refused()) return refused;
    const T most = static_cast<T>(best.value.sum) + T{0};  // not -0
    lacks |= best.index < 0;
    // Of the greedy choice, or of nothing.
    Cut<T> cut{most, best.index, most};
    const auto settle = [&](const auto& from, int64_t n, T floor) {
      cut = {lowest<T>, n};
      if (filters(args)) cut = filter(from, n, asked, most, floor, unit, left.rest);
      settle_cut(from, n, cut);
    };
    if (best.index >= 0 && static_cast<T>(args.scale[i]) != 0) {
      const T floor = sigma_threshold(row, cols, asked.sigmas, most);
      if (asked.top_k > 0) {
        Met<V> again;
        take_top_k(row, cols, asked.top_k, left, again);
        settle(row_of<T>(left.value, left.n), left.n, floor);
        cut.last = static_cast<int64_t>(left.column[cut.last]);
      } else {
        settle(row, cols, floor);
      }
    }
    double* const out = args.edges + i * token_edge_fields;
    out[0] = static_cast<double>(most), out[1] = static_cast<double>(cut.least);
    out[2] = static_cast<double>(cut.last), out[3] = static_cast<double>(cut.upper);
  }
  return {lacks ? Outcome::lacking : Outcome::done};
}

template <class S>
Result token_edges(const TokenEdgeArgs& args, const Span& span) {
  return args.logits.mask ? token_edge_rows<S, true>(args, span) : token_edge_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
