// Lazy Gumbel-top-k (Vieira 2014; Kool et al. 2019): the k largest of logits * scale + g, in order.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The candidates of a row, in the order of their columns. What a first look sees below `reach` has k better ones.
template <class T>
struct Candidates {
  using V = VectorOf<T>;
  static constexpr int64_t batch = group_tiles * tile_size;  // the most that one opening adds
  static constexpr int64_t few = 384;                        // beyond, a sort is faster than all comparisons

  Candidates(int64_t size, int tiles) : k(size), capacity(2 * size + 2 * batch) {
    const auto room = static_cast<uint64_t>(capacity + V::lanes);
    value = new double[room];
    rest = new double[room];
    ties = new double[room];
    column = new uint64_t[room];
    pool = new T[static_cast<uint64_t>(capacity + (tiles > short_row ? tiles : short_row) + V::lanes)];
  }
  ~Candidates() {
    delete[] value;
    delete[] rest;
    delete[] ties;
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
    const double last = kth_largest(value, count, k);
    lift(static_cast<T>(last));
    const F64 least = set(last);
    int64_t above = 0, kept = 0;
    for (int64_t i = 0; i < count; i += value_lanes) above += __builtin_popcount(bits(load(value + i) > least));
    int64_t equal = k - above;
    keep_largest_rests(last, equal);
    for (int64_t i = 0; i < count; i += value_lanes) {
      const F64 v = load(value + i);
      const U64 places = load(column + i);
      uint32_t same = bits(v == least);
      for (; __builtin_popcount(same) > equal; same &= ~(1u << (31 - __builtin_clz(same)))) {
      }
      equal -= __builtin_popcount(same);
      const auto chosen = simd::lane_mask(bits(v > least) | same, v);
      const F64 error = load(rest + i);
      simd::compress(rest + kept, chosen, error);
      simd::compress(value + kept, chosen, v);
      simd::compress(column + kept, chosen, places);
      kept += __builtin_popcount(bits(chosen));
    }
    count = k;
  }
  // The k-th best of what is held and of values known to occur in the next piece: all are distinct elements.
  void raise(const Piece<T>& piece) {
    shrink();
    int64_t n = 0;
    for (; n < count; ++n) pool[n] = static_cast<T>(value[n]);
    for (int i = 0; i < piece.count; i += V::lanes) {
      const V known = load(piece.known + i);
      const auto useful = known > set(reach);
      simd::compress(pool + n, useful, known);
      n += __builtin_popcount(bits(useful));
    }
    if (n < k) return;
    lift(kth_largest(pool, n, k));
  }
  // k values of a first look are `known` or more; one that has overflowed tells nothing.
  void lift(T known) {
    const T least = below(known);
    if (least > reach) reach = least;
  }
  // From the best of each lane, which are distinct elements.
  void raise(V most) {
    alignas(64) T lanes[2 * V::lanes];
    store(lanes, most);
    if (k <= V::lanes) lift(kth_largest(lanes, V::lanes, k));
  }
  // Eight values from column `at` on, as far as they reach: most tiles are opened for nothing.
  GF_OP void take(const Values& v, int64_t at) {
    const uint32_t chosen = bits(v.sum >= set(static_cast<double>(reach))) & bits(v.sum > minus_infinity<F64>());
    if (!chosen) return;
    const auto lanes = simd::lane_mask(chosen, v.sum);
    simd::compress(value + count, lanes, v.sum);
    simd::compress(rest + count, lanes, v.rest);
    simd::compress(column + count, lanes, set(static_cast<uint64_t>(at)) + simd::iota64());
    count += __builtin_popcount(chosen);
  }
  void make_room() {
    if (count + batch > capacity) shrink();
  }
  // The k best, largest first; places without an element hold -1 and -inf. False if there are such places.
  bool write(int64_t first_column, int64_t first_place, const SelectArgs& args) {
    shrink();
    uint64_t place[few + value_lanes];
    bool placed = count <= few;
    if (placed) {
      descending_places(value, count, place);
      for (int64_t i = 0; i < count; ++i) put(i, first_column, first_place + static_cast<int64_t>(place[i]), args);
      for (int64_t i = first_place + 1; i < first_place + count; ++i)
        placed = placed && args.perturbed[i - 1] != args.perturbed[i];
    }
    if (!placed) {
      sort_descending(value, rest, column, count);
      for (int64_t i = 0; i < count; ++i) put(i, first_column, first_place + i, args);
    }
    for (int64_t i = count; i < k; ++i) gumbelfast::put(args, first_place + i, -1, {});
    return count == k;
  }

  int64_t k, capacity, count = 0;
  T reach;
  double *value, *rest, *ties;
  uint64_t* column;
  T* pool;

 private:
  void put(int64_t i, int64_t first_column, int64_t place, const SelectArgs& args) const {
    gumbelfast::put(args, place, first_column + static_cast<int64_t>(column[i]), {value[i], rest[i]});
  }
  // Of the values that equal the last one, all but the first `wanted` with the largest rests become -inf.
  void keep_largest_rests(double last, int64_t wanted) {
    int64_t equals = 0, above = 0;
    for (int64_t i = 0; i < count; ++i)
      if (value[i] == last) ties[equals++] = rest[i];
    if (equals <= wanted) return;
    const double least = kth_largest(ties, equals, wanted);
    for (int64_t i = 0; i < equals; ++i) above += ties[i] > least;
    for (int64_t i = 0, spare = wanted - above; i < count; ++i)
      if (value[i] == last && !(rest[i] > least) && (rest[i] < least || spare-- <= 0)) value[i] = -__builtin_inf();
  }
};

// The first threshold of a row is the k-th best head of its first piece: the larger the piece, the fewer tiles open.
GF_OP int piece_for(int64_t k) {
  constexpr int64_t tiles_each = 32, most = 32768;
  const int64_t tiles = tiles_each * k < most ? tiles_each * k : most;
  return tiles < piece_tiles ? piece_tiles : static_cast<int>(tiles);
}

template <class S, bool masked>
Result top_k_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                 const RowScale<WorkOf<S>>& row_scale, Piece<WorkOf<S>>& piece, Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  const V scale = set(row_scale.working);
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  Met<V> met;
  best.clear();
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = scan_piece(row, noise, begin, end, scale, tile, tiles, piece, met);
    best.raise(piece);
    Opener<S, masked> opener{row, noise, begin, end, row_scale.exact, piece};
    auto open = [&] {
      opened += opener.count;
      best.make_room();
      opener.open([&](const Values& value, int64_t column) { best.take(value, column - begin); });
    };
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      for (uint32_t pick = bits(bound >= set(best.reach)) & bits(bound > minus_infinity<V>()); pick; pick &= pick - 1) {
        opener.pick(at + __builtin_ctz(pick));
        if (opener.full()) open();
      }
    }
    if (opener.count) open();
  }
  return {met.refused() ? Outcome::refused : Outcome::done, opened};
}

template <class S, bool masked>
[[gnu::noinline, gnu::cold]] Result top_k_whole_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin,
                                                    int64_t end, double scale, Candidates<WorkOf<S>>& best) {
  Met<VectorOf<S>> met;
  best.clear();
  const auto take = [&](const Values& value, int64_t column) {
    best.make_room();
    best.take(value, column - begin);
  };
  const int64_t opened = each_perturbed(row, noise, begin, end, scale, met, take);
  return {met.refused() ? Outcome::refused : Outcome::done, opened};
}

// A short row is perturbed as a whole.
template <class S, bool masked>
bool top_k_filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, const RowScale<WorkOf<S>>& scale,
                      const WorkOf<S>* gumbel, Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  Met<V> met;
  best.clear();
  V most = minus_infinity<V>();
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    const V value = perturb(x, set(scale.working), load_block(gumbel + j, n, set(WorkOf<S>{0})));
    met.see(x);
    most = simd::max(most, value);
    store(best.pool + j, value);
  });
  if (!scale.coarse()) best.raise(most);
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    if (!bits(load(best.pool + j) >= set(best.reach))) return;
    for_values(row.block(begin + j, n), set(scale.exact), load_block(gumbel + j, n, set(WorkOf<S>{0})),
               [&](const Values& value, int lane) { best.take(value, j + lane); });
  });
  return !met.refused();
}

// The columns of finite logits in double whose product with the scale is this infinity, the largest logits first.
struct Overflowed {
  explicit Overflowed(int64_t cols)
      : value(new double[static_cast<uint64_t>(cols + value_lanes)]),
        rest(new double[static_cast<uint64_t>(cols + value_lanes)]()),
        column(new uint64_t[static_cast<uint64_t>(cols + value_lanes)]) {}
  ~Overflowed() {
    delete[] value;
    delete[] rest;
    delete[] column;
  }
  Overflowed(const Overflowed&) = delete;
  Overflowed& operator=(const Overflowed&) = delete;

  template <class Row>
  void find(const Row& row, int64_t begin, int64_t end, double scale, double infinity) {
    n = 0;
    for_blocks<F64>(end - begin, [&](int64_t j, int lanes) {
      const F64 x = row.block(begin + j, lanes);
      const auto chosen = simd::lane_mask(bits(x * set(scale) == set(infinity)) & bits(x > minus_infinity<F64>()), x);
      simd::compress(value + n, chosen, x);
      simd::compress(column + n, chosen, set(static_cast<uint64_t>(j)) + iota(x));
      n += __builtin_popcount(bits(chosen));
    });
    sort_descending(value, rest, column, n);
  }

  double *value, *rest;
  uint64_t* column;
  int64_t n = 0;
};

// Puts what overflowed where it belongs among k places that `Candidates::write` filled: in front of the finite values
// or behind them, in the order of the logits. True if all places are taken.
template <class S, bool masked>
bool settle_overflows(const Row<S, masked>& row, int64_t begin, int64_t end, double scale, int64_t k,
                      int64_t first_place, const SelectArgs& args) {
  if constexpr (sizeof(WorkOf<S>) == 8) {  // products of floats do not overflow in double
    Overflowed overflowed(end - begin);
    int64_t at = 0;
    const auto place = [&](double value) {
      overflowed.find(row, begin, end, scale, value);
      for (int64_t i = 0; i < overflowed.n && at < k; ++i, ++at)
        put(args, first_place + at, begin + static_cast<int64_t>(overflowed.column[i]), {value, 0});
    };
    place(__builtin_inf());
    while (at < k && args.index[first_place + at] >= 0) ++at;
    place(-__builtin_inf());
    return at == k;
  }
  return args.index[first_place + k - 1] >= 0;
}

// The draws of one row into args, k entries from `place` on; `gumbel` is its noise where it is short.
template <class S, bool masked>
Result draw_top_k(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                  const RowScale<WorkOf<S>>& scale, const WorkOf<S>* gumbel, Piece<WorkOf<S>>& piece,
                  Candidates<WorkOf<S>>& best, int64_t place, const SelectArgs& args) {
  using T = WorkOf<S>;
  Result found;
  if (end - begin > short_row) {
    found = scale.coarse() ? top_k_whole_row(row, noise, begin, end, scale.exact, best)
                           : top_k_row(row, noise, begin, end, ahead, scale, piece, best);
    // In a first look at floats, products may have become -inf.
    if (found.outcome == Outcome::done && sizeof(T) == 4 && scale.working > 1 && best.count < best.k)
      found = top_k_whole_row(row, noise, begin, end, scale.exact, best);
    if (found.outcome == Outcome::refused) return refused;
  } else if (!top_k_filled_row(row, begin, end, scale, gumbel, best)) {
    return refused;
  }
  bool whole = best.write(begin, place, args);
  if (!whole || !is_finite(args.perturbed[place])) [[unlikely]]
    whole = settle_overflows(row, begin, end, scale.exact, best.k, place, args);
  return {whole ? Outcome::done : Outcome::lacking, found.opened};
}

template <class S, bool masked>
Result top_k_rows(const SelectArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const Logits& logits = args.logits;
  const Address& address = args.noise;
  const int64_t k = args.k, begin = span.col_begin, end = span.col_end, cols = end - begin;
  const bool is_long = cols > short_row;
  Piece<T> piece(is_long ? piece_for(k) : 0);
  Candidates<T> best(k, piece.capacity);
  NoiseBatch<T> noise(address, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const int64_t ahead = is_long && is_flat(address, cols) ? (span.end - 1 - i) * cols : 0;
    const T* const gumbel = is_long ? nullptr : noise.row(i, opened);
    const Result found = draw_top_k(Row<S, masked>(logits, i), RowNoise(address, i), begin, end, ahead,
                                    row_scale<T>(logits.scale, i % logits.rows), gumbel, piece, best, i * k, args);
    if (found.outcome == Outcome::refused) return refused;
    opened += found.opened;
    lacks |= found.outcome == Outcome::lacking;
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_top_k(const SelectArgs& args, const Span& span) {
  return args.logits.mask ? top_k_rows<S, true>(args, span) : top_k_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
