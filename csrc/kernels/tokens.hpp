// Token sampling: top-k, top-p and min-p as a threshold on the logits of a row, then Gumbel-max over what is left.
#pragma once

namespace gumbelfast {
namespace {

// The least x with fl(fl(x - most) * scale) >= log(min_p), by bisection in the order of floats.
template <class T>
T min_p_threshold(T most, T scale, double min_p) {
  constexpr double smallest_normal = 0x1p-1022;
  const double log_p = log_scalar(min_p > smallest_normal ? min_p : smallest_normal);
  const T limit = log_p < 0 ? static_cast<T>(log_p) : T{0};
  auto low = ordered(-static_cast<T>(__builtin_inff())), high = ordered(most);
  while (high - 1 > low) {
    const auto middle = (low & high) + ((low ^ high) >> 1);
    ((from_ordered(middle) - most) * scale >= limit ? high : low) = middle;
  }
  return from_ordered(high);
}

// The argmax over few survivors: only the tiles that they lie in are drawn.
template <class T>
int64_t draw_survivors(const Survivors<T>& left, const RowNoise& noise, T scale, Best<T>& best) {
  uint64_t tile[group_tiles], group = ~uint64_t{0};
  Head<T> head[group_tiles];
  Heads<T> heads;
  alignas(64) T gumbel[group_tiles * tile_size];
  int64_t opened = 0;
  for (int64_t i = 0, next; i < left.n; i = next) {
    int count = 0;
    for (next = i; next < left.n; ++next) {
      if (!(left.value[next] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t at = tile_of(noise.first + left.column[next]);
      if (count && tile[count - 1] == at) continue;
      if (count == group_tiles) break;
      if (at / group_tiles != group) draw_heads(noise.key, group = at / group_tiles, 1, &heads);
      tile[count] = at;
      head[count++] = heads[at % group_tiles];
    }
    if (!count) break;
    draw_tiles(noise.key, tile, head, count, gumbel);
    opened += count;
    for (int at = 0; i < next; ++i) {
      if (!(left.value[i] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t element = noise.first + left.column[i];
      while (tile[at] != tile_of(element)) ++at;
      const T value = left.value[i] * scale + gumbel[static_cast<uint64_t>(at) * tile_size + element % tile_size];
      if (value > best.value) best = {value, static_cast<int64_t>(left.column[i])};
    }
  }
  if (!is_finite(best.value)) {  // as settle_overflow
    T most = -static_cast<T>(__builtin_inff());
    for (int64_t i = 0; i < left.n; ++i)
      if (left.value[i] > most) {
        most = left.value[i];
        best.index = static_cast<int64_t>(left.column[i]);
      }
  }
  return opened;
}

// The filters of one row.
struct Filters {
  int64_t top_k;
  double top_p, min_p;
  Filters(const TokenArgs& args, int64_t row)
      : top_k(args.top_k && args.top_k[row] < args.logits.cols ? args.top_k[row] : 0),
        top_p(args.top_p ? args.top_p[row] : 1),
        min_p(args.min_p ? args.min_p[row] : 0) {}
  bool any() const { return top_k > 0 || top_p < 1 || min_p > 0; }
};

// Leaves what passes all filters; false for logits that are refused. `few`: they are a list, not the whole row.
template <class S, bool masked>
bool filter_row(const Row<S, masked>& row, int64_t cols, const Filters& filters, WorkOf<S> scale,
                Survivors<WorkOf<S>>& left, bool& few) {
  using T = WorkOf<S>;
  constexpr int64_t worth_gathering = 64;  // columns to a survivor: then to draw its tile beats a scan of the row
  Met<VectorOf<S>> met;
  few = filters.top_k > 0;
  if (few)
    take_top_k(row, cols, filters.top_k, left, met);
  else
    take_all(row, cols, left, met);
  if (met.refused()) return false;
  const T most = simd::lane_max(met.largest) + T{0};
  if (!(most > -static_cast<T>(__builtin_inff()))) return true;
  int64_t count = left.n;
  if (filters.top_p < 1)
    count = left.keep(nucleus(left.value, left.n, most, scale, filters.top_p, cols, left.scratch, left.weight));
  if (filters.min_p > 0) count = left.keep({min_p_threshold(most, scale, filters.min_p), left.n});
  const bool worth = count <= cols / worth_gathering;
  if (worth && !few) left.gather();
  if (!worth && few) left.spread(cols);
  few = worth;
  return true;
}

template <class S, bool masked>
int64_t sample_token_rows(const TokenArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t cols = args.logits.cols;
  const bool long_rows = cols > short_row, flat = is_flat(args.noise, cols);
  Survivors<T> left(args.top_k || args.top_p || args.min_p ? cols : 0);
  Piece<T> piece(long_rows ? piece_tiles : 0);
  const Span span{begin, end, 0, cols};
  NoiseBatch<T> batch(args.noise, span);
  int64_t opened = 0;
  bool lacks = false, refusal = false;
  // A row as it lies, or what a filter left of it in its place.
  auto draw = [&](const auto& row, int64_t i, T scale, const T* gumbel, Best<T>& best) {
    if (long_rows) {
      const int64_t ahead = flat ? (end - 1 - i) * cols : 0;
      const int64_t tiles = lazy_row(row, RowNoise(args.noise, i), 0, cols, ahead, set(scale), piece, best);
      refusal |= tiles == refused;
      opened += tiles;
    } else {
      Met<V> met;
      best = filled_row(row, 0, cols, set(scale), gumbel, met);
      refusal |= met.refused();
    }
    settle_overflow(row, 0, cols, scale, best);
  };
  for (int64_t i = begin; i < end && !refusal; ++i) {
    const Row<S, masked> row(args.logits, i);
    const Filters filters(args, i);
    const T scale = static_cast<T>(args.scale[i]);
    const T* gumbel = long_rows ? nullptr : batch.row(i, opened);
    Best<T> best;
    bool few = false;
    if (scale == 0) {
      Met<V> met;
      best = largest_logit(row, 0, cols, met);
      refusal = met.refused();
    } else if (!filters.any()) {
      draw(row, i, scale, gumbel, best);
    } else if (!filter_row(row, cols, filters, scale, left, few)) {
      refusal = true;
    } else if (few) {
      opened += draw_survivors(left, RowNoise(args.noise, i), scale, best);
    } else {
      draw(Row<T, false>({.data = left.value, .rows = 1, .cols = cols, .stride = cols}, 0), i, scale, gumbel, best);
    }
    lacks |= best.index < 0;
    args.index[i] = best.index;
  }
  if (refusal) return refused;
  return lacks ? lacking(opened) : opened;
}

template <class S>
int64_t sample_tokens(const TokenArgs& args, int64_t begin, int64_t end) {
  return args.logits.mask ? sample_token_rows<S, true>(args, begin, end)
                          : sample_token_rows<S, false>(args, begin, end);
}

}  // namespace
}  // namespace gumbelfast
