// Token sampling: top-k, top-p and min-p as a threshold on the logits of a row, then Gumbel-max over what is left.
#pragma once

namespace gumbelfast {
namespace {

// Logits that passed a filter so far, in the order of their columns: all of a row, or some with columns beside them.
template <class T>
struct Survivors {
  using V = VectorOf<T>;
  using Word = typename UnitOf<T>::Type;

  explicit Survivors(int64_t cols)
      : room(static_cast<uint64_t>(cols + 2 * V::lanes)),
        value(new T[room]),
        scratch(new T[room]),
        weight(new T[room]),
        tile_most(new T[2 * (room / tile_size + 2 * group_tiles)]),
        column(new Word[room]) {}
  ~Survivors() {
    delete[] value;
    delete[] scratch;
    delete[] weight;
    delete[] tile_most;
    delete[] column;
  }
  Survivors(const Survivors&) = delete;
  Survivors& operator=(const Survivors&) = delete;

  void clear() { n = 0; }
  GF_OP void take(V v, int64_t at, uint32_t chosen) {
    if (!chosen) return;
    simd::compress(value + n, simd::lane_mask(chosen, v), v);
    simd::compress(column + n, simd::lane_mask(chosen, v), set(static_cast<Word>(at)) + iota(v));
    n += __builtin_popcount(chosen);
  }
  // A block of -inf behind the values, which loops over blocks read.
  void pad() { store(value + n, minus_infinity<V>()); }
  T most() const {
    V top = minus_infinity<V>();
    for (int64_t i = 0; i < n; i += V::lanes) top = simd::max(top, load(value + i));
    return simd::lane_max(top) + T{0};
  }
  // What does not pass becomes -inf in its place; the number of those left.
  int64_t keep(const Cut<T>& cut) {
    const V least = set(cut.least);
    int64_t left = 0;
    for (int64_t i = 0; i < n; i += V::lanes) {
      const V v = load(value + i);
      const int64_t equal = cut.last - i + 1;
      const uint32_t may = equal >= V::lanes ? ~uint32_t{0} : equal > 0 ? (uint32_t{1} << equal) - 1 : 0;
      const uint32_t chosen = bits(v > least) | (bits(v == least) & may);
      store(value + i, select(simd::lane_mask(chosen, v), v, minus_infinity<V>()));
      left += __builtin_popcount(chosen);
    }
    return left;
  }
  // All of a row become the few that are left of it.
  void gather() {
    const int64_t cols = n;
    clear();
    for (int64_t i = 0; i < cols; i += V::lanes) {
      const V v = load(value + i);
      take(v, i, bits(v > minus_infinity<V>()));
    }
    pad();
  }

  uint64_t room;
  T *value, *scratch, *weight, *tile_most;
  Word* column;
  int64_t n = 0;
};

template <class S, bool masked>
void take_all(const Row<S, masked>& row, int64_t cols, Survivors<WorkOf<S>>& left, Met<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  for_blocks<V>(cols, [&](int64_t j, int n) {
    const V x = row.block(j, n);
    met.see(x);
    store(left.value + j, x);
  });
  left.n = cols;
  left.pad();
}

// The largest logit of each 32 columns, -inf for such beyond the row; how many there are.
template <class S, bool masked>
int64_t tile_maxima(const Row<S, masked>& row, int64_t cols, WorkOf<S>* most, Met<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  int64_t tile = 0;
  for (; tile * tile_size < cols; tile += V::lanes) {
    V top[V::lanes];
#pragma GCC unroll 16
    for (int q = 0; q < V::lanes; ++q) {
      const int64_t start = (tile + q) * tile_size;
      top[q] = minus_infinity<V>();
      if (start + tile_size <= cols) [[likely]] {
        prefetch_ahead(row.x + start);
        V x[tile_blocks<V>];
        load_tile(row, start, x);
#pragma GCC unroll 4
        for (int b = 0; b < tile_blocks<V>; b += 2) {
          met.nan = met.nan | simd::unordered(x[b], x[b + 1]);
          top[q] = simd::max(top[q], simd::max(x[b], x[b + 1]));
        }
      } else if (start < cols) {
        for_blocks<V>(cols - start, [&](int64_t j, int n) {
          const V x = row.block(start + j, n);
          met.nan = met.nan | simd::unordered(x, x);
          top[q] = simd::max(top[q], x);
        });
      }
    }
    const V each = simd::max_of_each(top);
    met.largest = simd::max(met.largest, each);
    store(most + tile, each);
  }
  return tile;
}

// Takes the logits that reach the k-th largest; all that are finite where there are fewer. The k-th largest of the
// maxima of tiles is a first threshold: as many logits reach it.
template <class S, bool masked>
bool take_top_k(const Row<S, masked>& row, int64_t cols, int64_t k, Survivors<WorkOf<S>>& left) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  Met<V> met;
  const int64_t tiles = tile_maxima(row, cols, left.tile_most, met);
  if (met.refused()) return false;
  T* finite = left.tile_most + tiles;
  int64_t count = 0;
  for (int64_t i = 0; i < tiles; i += V::lanes) {
    const V v = load(left.tile_most + i);
    const auto chosen = v > minus_infinity<V>();
    simd::compress(finite + count, chosen, v);
    count += __builtin_popcount(bits(chosen));
  }
  const T reach = count >= k ? kth_largest(finite, count, k) : -static_cast<T>(__builtin_inff());
  left.clear();
  for (int64_t i = 0; i < tiles; i += V::lanes)
    for (uint32_t pick = bits(load(left.tile_most + i) >= set(reach)); pick; pick &= pick - 1) {
      const int64_t start = (i + __builtin_ctz(pick)) * tile_size;
      const int64_t width = cols - start < tile_size ? cols - start : tile_size;
      for_blocks<V>(width > 0 ? width : 0, [&](int64_t j, int n) {
        const V v = row.block(start + j, n);
        left.take(v, start + j, bits(v >= set(reach)) & bits(v > minus_infinity<V>()));
      });
    }
  left.pad();
  if (left.n > k) left.keep({kth_largest(left.value, left.n, k), left.n});
  return true;
}

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
  few = filters.top_k > 0;
  if (few) {
    if (!take_top_k(row, cols, filters.top_k, left)) return false;
  } else {
    Met<VectorOf<S>> met;
    take_all(row, cols, left, met);
    if (met.refused()) return false;
  }
  const T most = left.most();
  if (!(most > -static_cast<T>(__builtin_inff()))) return true;
  int64_t count = left.n;
  if (filters.top_p < 1)
    count = left.keep(nucleus(left.value, left.n, most, scale, filters.top_p, cols, left.scratch, left.weight));
  if (filters.min_p > 0) count = left.keep({min_p_threshold(most, scale, filters.min_p), left.n});
  if (!few && count <= cols / worth_gathering) {
    left.gather();
    few = true;
  }
  return true;
}

// The first of the largest logits.
template <class S, bool masked>
bool greedy_row(const Row<S, masked>& row, int64_t cols, int64_t& index) {
  using V = VectorOf<S>;
  Met<V> met;
  for_blocks<V>(cols, [&](int64_t j, int n) { met.see(row.block(j, n)); });
  if (met.refused()) return false;
  index = -1;
  const auto most = simd::lane_max(met.largest);
  for (int64_t j = 0; j < cols && bits(set(most) > minus_infinity<V>()); j += V::lanes) {
    const int n = static_cast<int>(cols - j < V::lanes ? cols - j : V::lanes);
    const uint32_t at = bits(row.block(j, n) == set(most));
    if (!at) continue;
    index = j + __builtin_ctz(at);
    break;
  }
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
  };
  for (int64_t i = begin; i < end && !refusal; ++i) {
    const Row<S, masked> row(args.logits, i);
    const Filters filters(args, i);
    const T scale = static_cast<T>(args.scale[i]);
    const T* gumbel = long_rows ? nullptr : batch.row(i, opened);
    Best<T> best;
    bool few = false;
    if (scale == 0) {
      refusal = !greedy_row(row, cols, best.index);
    } else if (!filters.any()) {
      draw(row, i, scale, gumbel, best);
    } else if (!filter_row(row, cols, filters, scale, left, few)) {
      refusal = true;
    } else if (few) {
      opened += draw_survivors(left, RowNoise(args.noise, i), scale, best);
    } else {
      draw(Row<T, false>({left.value, 1, cols, nullptr, false, 1}, 0), i, scale, gumbel, best);
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
