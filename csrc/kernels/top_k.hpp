// Lazy Gumbel-top-k (Vieira 2014; Kool et al. 2019): the k largest of logits * scale + g, in order.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The candidates of a row, in the order of their columns. Whatever falls below `reach` has k better ones.
template <class T>
struct Candidates {
  using V = VectorOf<T>;
  using Word = typename Format<V>::Word;
  static constexpr int64_t batch = group_tiles * tile_size;  // the most that one opening adds
  static constexpr int64_t few = 384;                        // beyond, a sort is faster than all comparisons

  Candidates(int64_t size, int tiles) : k(size), capacity(2 * size + 2 * batch) {
    const auto room = static_cast<uint64_t>(capacity + V::lanes);
    value = new T[room];
    column = new Word[room];
    pool = new T[static_cast<uint64_t>(k + (tiles > short_row ? tiles : short_row) + V::lanes)];
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
  // The blocks from column `at` on, as far as they reach: most tiles are opened for nothing.
  template <int n>
  GF_OP void take(const V (&v)[n], int64_t at) {
    V most = v[0];
#pragma GCC unroll 4
    for (int b = 1; b < n; ++b) most = simd::max(most, v[b]);
    if (!bits(most >= set(reach))) return;
#pragma GCC unroll 4
    for (int b = 0; b < n; ++b) take(v[b], at + b * V::lanes);
  }
  // From the best of each lane, which are distinct elements.
  void raise(V most) {
    alignas(64) T lanes[2 * V::lanes];
    store(lanes, most);
    if (k <= V::lanes) reach = kth_largest(lanes, V::lanes, k);
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
  // The k best, largest first; places without an element hold -1 and -inf. False if there are such places.
  bool write(int64_t first_column, int64_t* index, T* perturbed) {
    shrink();
    if (count <= few) {
      Word place[few + V::lanes];
      descending_places(value, count, place);
      for (int64_t i = 0; i < count; ++i) {
        index[place[i]] = first_column + static_cast<int64_t>(column[i]);
        perturbed[place[i]] = value[i];
      }
    } else {
      sort_descending(value, column, count);
      for (int64_t i = 0; i < count; ++i) {
        index[i] = first_column + static_cast<int64_t>(column[i]);
        perturbed[i] = value[i];
      }
    }
    for (int64_t i = count; i < k; ++i) {
      index[i] = -1;
      perturbed[i] = -static_cast<T>(__builtin_inff());
    }
    return count == k;
  }

  int64_t k, capacity, count = 0;
  T reach;
  T* value;
  Word* column;
  T* pool;
};

// The first threshold of a row is the k-th best head of its first piece: the larger the piece, the fewer tiles open.
GF_OP int piece_for(int64_t k) {
  constexpr int64_t tiles_each = 32, most = 32768;
  const int64_t tiles = tiles_each * k < most ? tiles_each * k : most;
  return tiles < piece_tiles ? piece_tiles : static_cast<int>(tiles);
}

template <class S, bool masked>
Result top_k_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                 VectorOf<S> scale, Piece<WorkOf<S>>& piece, Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  Met<V> met;
  best.clear();
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = scan_piece(row, noise, begin, end, scale, tile, tiles, piece, met);
    best.raise(piece);
    Opener<S, masked> opener{row, noise, begin, end, scale, piece};
    auto open = [&] {
      opened += opener.count;
      best.make_room();
      opener.open([&](const V(&value)[tile_blocks<V>], int64_t column) { best.take(value, column - begin); });
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
  return {met.refused() ? Outcome::refused : Outcome::done, opened};
}

// A short row is perturbed as a whole.
template <class S, bool masked>
bool top_k_filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, VectorOf<S> scale, const WorkOf<S>* gumbel,
                      Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  Met<V> met;
  best.clear();
  V most = minus_infinity<V>();
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    const V value = perturb(x, scale, load_block(gumbel + j, n, set(WorkOf<S>{0})));
    met.see(x);
    most = simd::max(most, value);
    store(best.pool + j, value);
  });
  best.raise(most);
  for (int64_t j = 0; j < end - begin; j += V::lanes) best.take(load(best.pool + j), j);
  return !met.refused();
}

// The columns of finite logits whose product with the scale is this infinity, the largest logits first.
template <class T>
struct Overflowed {
  using V = VectorOf<T>;
  using Word = typename Format<V>::Word;
  explicit Overflowed(int64_t cols)
      : value(new T[static_cast<uint64_t>(cols + V::lanes)]),
        column(new Word[static_cast<uint64_t>(cols + V::lanes)]) {}
  ~Overflowed() {
    delete[] value;
    delete[] column;
  }
  Overflowed(const Overflowed&) = delete;
  Overflowed& operator=(const Overflowed&) = delete;

  template <class S, bool masked>
  void find(const Row<S, masked>& row, int64_t begin, int64_t end, T scale, T infinity) {
    n = 0;
    for_blocks<V>(end - begin, [&](int64_t j, int lanes) {
      const V x = row.block(begin + j, lanes);
      const uint32_t chosen = bits(x * set(scale) == set(infinity)) & bits(x > minus_infinity<V>());
      simd::compress(value + n, simd::lane_mask(chosen, x), x);
      simd::compress(column + n, simd::lane_mask(chosen, x), set(static_cast<Word>(j)) + iota(x));
      n += __builtin_popcount(chosen);
    });
    sort_descending(value, column, n);
  }

  T* value;
  Word* column;
  int64_t n = 0;
};

// Puts what overflowed where it belongs among k places that `Candidates::write` filled: in front of the finite values
// or behind them, in the order of the logits. True if all places are taken.
template <class S, bool masked>
bool settle_overflows(const Row<S, masked>& row, int64_t begin, int64_t end, WorkOf<S> scale, int64_t k, int64_t* index,
                      WorkOf<S>* perturbed) {
  using T = WorkOf<S>;
  const T infinity = static_cast<T>(__builtin_inff());
  Overflowed<T> overflowed(end - begin);
  int64_t at = 0;
  const auto place = [&](T value) {
    overflowed.find(row, begin, end, scale, value);
    for (int64_t i = 0; i < overflowed.n && at < k; ++i, ++at) {
      index[at] = begin + static_cast<int64_t>(overflowed.column[i]);
      perturbed[at] = value;
    }
  };
  place(infinity);
  while (at < k && index[at] >= 0) ++at;
  place(-infinity);
  return at == k;
}

template <class S, bool masked>
Result top_k_rows(const SelectArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const Logits& logits = args.logits;
  const Address& address = args.noise;
  const int64_t k = args.k, begin = span.col_begin, end = span.col_end, cols = end - begin;
  int64_t* index = args.index + span.begin * k;
  T* perturbed = static_cast<T*>(args.perturbed) + span.begin * k;
  Piece<T> piece(cols > short_row ? piece_for(k) : 0);
  Candidates<T> best(k, piece.capacity);
  NoiseBatch<T> noise(address, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(logits, i);
    const T scale = scale_of<T>(logits.scale, i % logits.rows);
    if (cols > short_row) {
      const int64_t ahead = is_flat(address, cols) ? (span.end - 1 - i) * cols : 0;
      const Result found = top_k_row(row, RowNoise(address, i), begin, end, ahead, set(scale), piece, best);
      if (found.outcome == Outcome::refused) return refused;
      opened += found.opened;
    } else if (!top_k_filled_row(row, begin, end, set(scale), noise.row(i, opened), best)) {
      return refused;
    }
    bool whole = best.write(begin, index, perturbed);
    if (!whole || !is_finite(perturbed[0])) [[unlikely]]
      whole = settle_overflows(row, begin, end, scale, k, index, perturbed);
    lacks |= !whole;
    index += k;
    perturbed += k;
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_top_k(const SelectArgs& args, const Span& span) {
  return args.logits.mask ? top_k_rows<S, true>(args, span) : top_k_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
