// Token sampling. Top-k leaves a list of logits. Top-p and min-p are asked about the token that is drawn: if one does
// not let it pass, it and all that come behind it are taken away, and another is drawn at the same noise. The argmax
// over what would be left is the first one that passes; with top_p = p it takes 1 + log(1/p) draws in the mean,
// whatever the logits.
#pragma once

namespace gumbelfast {
namespace {

template <class T>
T min_p_limit(double min_p) {
  constexpr double smallest_normal = 0x1p-1022;
  const double log_p = log_scalar(min_p > smallest_normal ? min_p : smallest_normal);
  return log_p < 0 ? static_cast<T>(log_p) : T{0};
}

// The least x with fl(fl(x - most) * scale) >= limit, by bisection in the order of floats.
template <class T>
T min_p_threshold(T most, T scale, T limit) {
  auto low = ordered(-static_cast<T>(__builtin_inff())), high = ordered(most);
  while (high - 1 > low) {
    const auto middle = (low & high) + ((low ^ high) >> 1);
    ((from_ordered(middle) - most) * scale >= limit ? high : low) = middle;
  }
  return from_ordered(high);
}

// The argmax over a list of few values with their columns, as a place in the list: only the tiles of these are drawn.
template <class T, class Word>
int64_t draw_listed(const T* value, const Word* column, int64_t n, const RowNoise& noise, double scale, Best& best) {
  uint64_t tile[group_tiles], group = ~uint64_t{0};
  Heads<T> head;
  Heads<T> heads;
  alignas(64) T gumbel[group_tiles * tile_size];
  int64_t opened = 0;
  for (int64_t i = 0, next; i < n; i = next) {
    int count = 0;
    for (next = i; next < n; ++next) {
      if (!(value[next] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t at = tile_of(noise.first + column[next]);
      if (count && tile[count - 1] == at) continue;
      if (count == group_tiles) break;
      if (at / group_tiles != group) draw_heads(noise.key, group = at / group_tiles, 1, &heads);
      tile[count] = at;
      head.set(count++, heads[at % group_tiles]);
    }
    if (!count) break;
    draw_tiles(noise.key, tile, head, 0, count, gumbel);
    opened += count;
    for (int at = 0; i < next; ++i) {
      if (!(value[i] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t element = noise.first + column[i];
      while (tile[at] != tile_of(element)) ++at;
      const T noise_of_it = gumbel[static_cast<uint64_t>(at) * tile_size + element % tile_size];
      const Value perturbed = value_of(value[i], scale, noise_of_it);
      if (perturbed > best.value) best = {perturbed, i};
    }
  }
  if (!is_finite(best.value.sum)) {  // as settle_overflow
    T most = -static_cast<T>(__builtin_inff());
    for (int64_t i = 0; i < n; ++i)
      if (value[i] > most) {
        most = value[i];
        best.index = i;
      }
  }
  return opened;
}

// With so many columns to a logit that is left, to draw its tile beats a scan of the row.
constexpr bool worth_a_list(int64_t left, int64_t cols) { return left <= cols / 64; }

// The filters of one row.
struct Filters {
  int64_t top_k;
  double top_p, min_p;
  Filters(const TokenArgs& args, int64_t row)
      : top_k(args.top_k && args.top_k[row] < args.logits.cols ? args.top_k[row] : 0),
        top_p(args.top_p ? args.top_p[row] : 1),
        min_p(args.min_p ? args.min_p[row] : 0) {}
};

// Draws of one call: the argmax of logits * scale + g over a row, or over a list of some of its logits.
template <class T>
struct TokenDraws {
  using V = VectorOf<T>;
  const TokenArgs& args;
  int64_t cols = args.logits.cols;
  Span span;  // with all columns
  bool long_rows = cols > short_row, flat = is_flat(args.noise, cols);
  Lazy<T> lazy;
  NoiseBatch<T> batch;
  int64_t opened = 0;
  // Of the row that `start` names.
  int64_t row = 0;
  RowScale<T> scale{0};
  const T* gumbel = nullptr;
  Met<V> met;

  TokenDraws(const TokenArgs& a, const Span& s)
      : args(a), span{s.begin, s.end, 0, cols}, lazy(cols), batch(a.noise, span) {}
  void start(int64_t i) {
    row = i;
    scale = args.scale[i];
    gumbel = long_rows ? nullptr : batch.row(i, opened);
    met = {};
  }
  T most() const { return simd::lane_max(met.largest) + T{0}; }

  template <class S, bool masked>
  int64_t from_row(const Row<S, masked>& from) {
    Best best;
    if (long_rows) {
      const int64_t ahead = flat ? (span.end - 1 - row) * cols : 0;
      opened += lazy_row(from, RowNoise(args.noise, row), 0, cols, ahead, scale, lazy, met, best);
    } else {
      best = filled_row(from, 0, cols, scale, gumbel, met);
    }
    settle_overflow(from, 0, cols, scale.exact, best);
    return best.index;
  }
  // The place in the list.
  template <class Word>
  int64_t from_list(const T* value, const Word* column, int64_t n) {
    Best best;
    opened += draw_listed(value, column, n, RowNoise(args.noise, row), scale.exact, best);
    return best.index;
  }
};

// The token of a row of n values, or of the list in `left` that holds them.
template <class R, class T>
int64_t draw_passing(const R& row, int64_t n, bool listed, const Filters& filters, Survivors<T>& left,
                     TokenDraws<T>& draws) {
  int64_t at = listed ? draws.from_list(left.value, left.column, n) : draws.from_row(row);
  if (at < 0 || draws.met.refused()) return -1;
  const T most = draws.most(), limit = min_p_limit<T>(filters.min_p);
  Nucleus<T> nucleus(most, draws.scale.working, filters.top_p, draws.cols);
  Cut<T> cut{};
  const int64_t whole = n;
  auto passes = [&](const auto& rest) {
    const T value = simd::lane_max(rest.block(at, 1));
    cut = {value, at - 1};
    if (filters.top_p < 1 && !nucleus.holds(row, whole, rest, n, cut)) return false;
    if (!(filters.min_p > 0) || (value - most) * draws.scale.working >= limit) return true;
    cut = {min_p_threshold(most, draws.scale.working, limit), n};
    return false;
  };
  if (!passes(row)) {
    int64_t kept = keep(row, n, cut, left.rest);
    for (;;) {
      if (!listed && worth_a_list(kept, draws.cols)) {
        n = left.gather_rest(draws.cols);
        listed = true;
      }
      const Row<T, false> rest = row_of<T>(left.rest, n);
      at = listed ? draws.from_list(left.rest, left.column, n) : draws.from_row(rest);
      if (passes(rest)) break;
      kept = keep(rest, n, cut, left.rest);
    }
  }
  return listed ? static_cast<int64_t>(left.column[at]) : at;
}

template <class S, bool masked>
Result sample_token_rows(const TokenArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const int64_t cols = args.logits.cols;
  Survivors<T> left(args.top_k || args.top_p || args.min_p ? cols : 0);
  TokenDraws<T> draws(args, span);
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(args.logits, i);
    const Filters filters(args, i);
    int64_t& index = args.index[i];
    draws.start(i);
    if (draws.scale.working == 0) {
      index = largest_logit(row, 0, cols, draws.met).index;
    } else if (filters.top_k > 0) {
      take_top_k(row, cols, filters.top_k, left, draws.met);
      if (draws.met.refused()) return refused;  // what `left` holds is of another row
      const bool listed = worth_a_list(left.n, cols);
      if (!listed) left.spread(cols);
      index = draw_passing(row_of<T>(left.value, left.n), left.n, listed, filters, left, draws);
    } else {
      index = draw_passing(row, cols, false, filters, left, draws);
    }
    if (draws.met.refused()) return refused;
    lacks |= index < 0;
  }
  return {lacks ? Outcome::lacking : Outcome::done, draws.opened};
}

template <class S>
Result sample_tokens(const TokenArgs& args, const Span& span) {
  return args.logits.mask ? sample_token_rows<S, true>(args, span) : sample_token_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
