// What filters leave of a row of logits, and top-k, the first of them.
#pragma once

namespace gumbelfast {
namespace {

template <class T>
Row<T, false> row_of(const T* x, int64_t n) {
  return Row<T, false>({.data = x, .rows = 1, .cols = n, .stride = n}, 0);
}

// The values of a row, which may lie in `out` themselves, with -inf for what the cut takes away, and a block of -inf
// behind them; how many are left.
template <class S, bool masked>
int64_t keep(const Row<S, masked>& row, int64_t n, const Cut<WorkOf<S>>& cut, WorkOf<S>* out) {
  using V = VectorOf<S>;
  int64_t left = 0;
  for_blocks<V>(n, [&](int64_t j, int lanes) {
    const V v = row.block(j, lanes);
    const uint32_t chosen = cut.of(v, j) & bits(v > minus_infinity<V>());
    store(out + j, select(simd::lane_mask(chosen, v), v, minus_infinity<V>()));
    left += __builtin_popcount(chosen);
  });
  store(out + n, minus_infinity<V>());
  return left;
}

// Logits that passed a filter: the list that top-k leaves, in the order of its columns, or all of a row; and `rest`,
// what is left of either.
template <class T>
struct Survivors {
  using V = VectorOf<T>;
  using Word = typename Format<V>::Word;

  // One block of memory for all arrays: several large ones would be handed back to the system call by call.
  explicit Survivors(int64_t cols)
      : room(static_cast<uint64_t>(cols + 2 * V::lanes)),
        tiles(room / tile_size + 2 * group_tiles),
        memory(new unsigned char[(2 * room + 2 * tiles) * sizeof(T) + room * sizeof(Word)]),
        value(reinterpret_cast<T*>(memory)),
        rest(value + room),
        tile_most(rest + room),
        column(reinterpret_cast<Word*>(tile_most + 2 * tiles)) {}
  ~Survivors() { delete[] memory; }
  Survivors(const Survivors&) = delete;
  Survivors& operator=(const Survivors&) = delete;

  void clear() { n = 0; }
  GF_OP void take(V v, int64_t at, uint32_t chosen) { n += append(value + n, column + n, v, at, chosen); }
  // A block of -inf behind the values, which loops over blocks read.
  void pad() { store(value + n, minus_infinity<V>()); }
  // The list becomes the whole row.
  void spread(int64_t cols) {
    for (int64_t i = 0; i < cols; i += V::lanes) store(rest + i, minus_infinity<V>());
    for (int64_t i = 0; i < n; ++i) rest[column[i]] = value[i];
    T* const other = value;
    value = rest;
    rest = other;
    n = cols;
    pad();
  }
  // The other way about for the rest; how many there are.
  int64_t gather_rest(int64_t cols) {
    int64_t count = 0;
    for (int64_t i = 0; i < cols; i += V::lanes) {
      const V v = load(rest + i);
      count += append(rest + count, column + count, v, i, bits(v > minus_infinity<V>()));
    }
    store(rest + count, minus_infinity<V>());
    return count;
  }

  uint64_t room, tiles;
  unsigned char* memory;
  T *value, *rest, *tile_most;
  Word* column;
  int64_t n = 0;

 private:
  GF_OP static int append(T* to, Word* to_column, V v, int64_t at, uint32_t chosen) {
    if (!chosen) return 0;
    simd::compress(to, simd::lane_mask(chosen, v), v);
    simd::compress(to_column, simd::lane_mask(chosen, v), set(static_cast<Word>(at)) + iota(v));
    return __builtin_popcount(chosen);
  }
};

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
void take_top_k(const Row<S, masked>& row, int64_t cols, int64_t k, Survivors<WorkOf<S>>& left, Met<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t tiles = tile_maxima(row, cols, left.tile_most, met);
  left.clear();  // of the last row, whose columns a refused one must not be spread by
  if (met.refused()) return;
  T* finite = left.tile_most + tiles;
  int64_t count = 0;
  for (int64_t i = 0; i < tiles; i += V::lanes) {
    const V v = load(left.tile_most + i);
    const auto chosen = v > minus_infinity<V>();
    simd::compress(finite + count, chosen, v);
    count += __builtin_popcount(bits(chosen));
  }
  const T reach = count >= k ? kth_largest(finite, count, k) : -static_cast<T>(__builtin_inff());
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
  if (left.n > k) keep(row_of(left.value, left.n), left.n, {kth_largest(left.value, left.n, k), left.n}, left.value);
}

}  // namespace
}  // namespace gumbelfast
