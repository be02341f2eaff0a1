// Lazy Gumbel-top-k (Vieira 2014; Kool et al. 2019): the k largest of logits * scale + g, in order.
#pragma once
#include "../select.hpp"

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

// The k-th largest of n values without NaN, 1 <= k <= n, by bisection over the floats between the extremes: every step
// is a count, which needs no order and no branch. A block behind the values is overwritten.
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
  while (high - 1 > low) {
    const Integer middle = (low & high) + ((low ^ high) >> 1);  // the mean, without overflow
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

// The candidates of a row, in the order of their columns. Whatever falls below `reach` has k better ones.
template <class T>
struct Candidates {
  using V = VectorOf<T>;
  using Word = typename UnitOf<T>::Type;
  static constexpr int64_t batch = group_tiles * tile_size;  // the most that one opening adds

  explicit Candidates(int64_t size) : k(size), capacity(2 * size + 2 * batch) {
    const auto room = static_cast<uint64_t>(capacity + V::lanes);
    value = new T[room];
    column = new Word[room];
    pool = new T[static_cast<uint64_t>(k + piece_tiles + V::lanes)];
  }
  ~Candidates() {
    delete[] value;
    delete[] column;
    delete[] pool;
  }
  Candidates(const Candidates&) = delete;
  Candidates& operator=(const Candidates&) = delete;

  void clear() {
    count = 0;
    reach = -static_cast<T>(__builtin_inff());
  }
  // Drops all but the k largest; among equals the first stay.
  void shrink() {
    if (count <= k) return;
    reach = kth_largest(value, count, k);
    const V least = set(reach);
    int64_t above = 0, kept = 0;
    for (int64_t i = 0; i < count; i += V::lanes) above += __builtin_popcount(bits(load(value + i) > least));
    int64_t equal = k - above;
    for (int64_t i = 0; i < count; i += V::lanes) {
      const V v = load(value + i);
      const auto word = load(column + i);
      uint32_t same = bits(v == least);
      for (; __builtin_popcount(same) > equal; same &= ~(1u << (31 - __builtin_clz(same)))) {
      }
      equal -= __builtin_popcount(same);
      const uint32_t chosen = bits(v > least) | same;
      simd::compress(value + kept, simd::lane_mask(chosen, v), v);
      simd::compress(column + kept, simd::lane_mask(chosen, v), word);
      kept += __builtin_popcount(chosen);
    }
    count = k;
  }
  // The k-th best of what is held and of values known to occur in the next piece: all are distinct elements.
  void raise(const Piece<T>& piece) {
    shrink();
    int64_t n = count;
    __builtin_memcpy(pool, value, static_cast<uint64_t>(count) * sizeof(T));
    for (int i = 0; i < piece.count; i += V::lanes) {
      const V known = load(piece.known + i);
      const auto useful = known > set(reach);
      simd::compress(pool + n, useful, known);
      n += __builtin_popcount(bits(useful));
    }
    if (n < k) return;
    const T least = kth_largest(pool, n, k);
    if (least > reach) reach = least;
  }
  GF_OP void take(V v, int64_t at) {
    const uint32_t chosen = bits(v >= set(reach)) & bits(v > minus_infinity<V>());
    simd::compress(value + count, simd::lane_mask(chosen, v), v);
    simd::compress(column + count, simd::lane_mask(chosen, v), set(static_cast<Word>(at)) + iota(v));
    count += __builtin_popcount(chosen);
  }
  void make_room() {
    if (count + batch > capacity) shrink();
  }

  int64_t k, capacity, count = 0;
  T reach;
  T* value;
  Word* column;
  T* pool;
};

template <class S, bool masked>
int64_t top_k_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                  VectorOf<S> scale, HeadCache<WorkOf<S>>& cache, Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  Piece<WorkOf<S>> piece;
  Met<V> met;
  best.clear();
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = scan_piece(row, noise, begin, end, scale, tile, tiles, cache, piece, met);
    best.raise(piece);
    Opener<S, masked> opener{row, noise, begin, end, scale, piece};
    auto open = [&] {
      opened += opener.count;
      best.make_room();
      opener.open([&](const V(&value)[tile_blocks<V>], int64_t column) {
#pragma GCC unroll 4
        for (int b = 0; b < tile_blocks<V>; ++b) best.take(value[b], column - begin + b * V::lanes);
      });
    };
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      const uint32_t finite = bits(bound > minus_infinity<V>());
      for (uint32_t pick = bits(bound >= set(best.reach)) & finite; pick; pick &= pick - 1) {
        opener.pick(at + __builtin_ctz(pick));
        if (opener.full()) open();
      }
    }
    if (opener.count) open();
  }
  return met.refused() ? refused : opened;
}

// A short row: all of it is a candidate.
template <class S, bool masked>
bool top_k_filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, VectorOf<S> scale, const WorkOf<S>* gumbel,
                      Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  Met<V> met;
  best.clear();
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    met.see(x);
    best.take(perturb(x, scale, load_block(gumbel + j, n, set(WorkOf<S>{0}))), j);
  });
  return !met.refused();
}

template <class S, bool masked>
int64_t top_k_rows(const Logits& logits, const Address& address, const Span& span, int64_t k, int64_t* index,
                   WorkOf<S>* perturbed) {
  using T = WorkOf<S>;
  const VectorOf<S> scale = set(static_cast<T>(logits.scale));
  const int64_t begin = span.col_begin, end = span.col_end, cols = end - begin;
  Candidates<T> best(k);
  HeadCache<T> cache;
  NoiseBatch<T> noise(address, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.row_begin; i < span.row_end; ++i) {
    const Row<S, masked> row(logits, i);
    if (cols > short_row) {
      const int64_t ahead = is_flat(address, cols) ? (span.row_end - 1 - i) * cols : 0;
      const int64_t tiles = top_k_row(row, RowNoise(address, i), begin, end, ahead, scale, cache, best);
      if (tiles == refused) return refused;
      opened += tiles;
    } else if (!top_k_filled_row(row, begin, end, scale, noise.row(i, opened), best)) {
      return refused;
    }
    best.shrink();
    sort_descending(best.value, best.column, best.count);
    lacks |= best.count < k;
    for (int64_t j = 0; j < k; ++j) {
      *index++ = j < best.count ? span.col_begin + static_cast<int64_t>(best.column[j]) : -1;
      *perturbed++ = j < best.count ? best.value[j] : -static_cast<T>(__builtin_inff());
    }
  }
  return lacks ? lacking(opened) : opened;
}

template <class S>
int64_t gumbel_top_k(const Logits& logits, const Address& address, const Span& span, int64_t k, int64_t* index,
                     void* perturbed) {
  WorkOf<S>* value = static_cast<WorkOf<S>*>(perturbed);
  return logits.mask ? top_k_rows<S, true>(logits, address, span, k, index, value)
                     : top_k_rows<S, false>(logits, address, span, k, index, value);
}

}  // namespace
}  // namespace gumbelfast
