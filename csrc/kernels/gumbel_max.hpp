// Lazy Gumbel-max: the argmax of logits * scale + g, at about the price of a maximum (docs/stream.md tells how).
#pragma once

namespace gumbelfast {
namespace {

struct Best {
  Value value;
  int64_t index = -1;
};

// Takes the largest of eight values if it beats the best so far; equal values keep the lower index.
GF_OP void take_best(const Values& value, int64_t column, Best& best) {
  const double largest = simd::lane_max(value.sum);
  if (!(largest >= best.value.sum)) return;
  alignas(64) double rest[value_lanes];
  store(rest, value.rest);
  for (uint32_t left = bits(value.sum == set(largest)); left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    const Value one{largest, rest[lane]};
    if (one > best.value) best = {one, column + lane};
  }
}

// The first of the largest logits of columns [begin, end); -1 and -inf where all are -inf.
template <class S, bool masked, class V = VectorOf<S>>
Best largest_logit(const Row<S, masked>& row, int64_t begin, int64_t end, Met<V>& met) {
  for_blocks<V>(end - begin, [&](int64_t j, int n) { met.see(row.block(begin + j, n)); });
  const auto most = simd::lane_max(met.largest);
  if (!(most > Storage<WorkOf<S>>::minus_infinity)) return {};
  for (int64_t j = begin; j < end; j += V::lanes) {
    const int n = static_cast<int>(end - j < V::lanes ? end - j : V::lanes);
    if (const uint32_t at = bits(row.block(j, n) == set(most)))
      return {{static_cast<double>(most), 0}, j + __builtin_ctz(at)};
  }
  return {};
}

// Where the largest perturbed value overflows, it is that of the largest logit: the noise is far below its last bit.
template <class S, bool masked>
GF_OP void settle_overflow(const Row<S, masked>& row, int64_t begin, int64_t end, double scale, Best& best) {
  if (is_finite(best.value.sum)) [[likely]]
    return;
  Met<VectorOf<S>> met;
  best = largest_logit(row, begin, end, met);
  best.value.sum *= scale;
}

// take(eight perturbed values, their first column) for all of a row, where a first look would not do; returns its
// tiles.
template <class S, bool masked, class Take>
GF_OP int64_t each_perturbed(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, double scale,
                             Met<VectorOf<S>>& met, Take take) {
  using V = VectorOf<S>;
  alignas(64) WorkOf<S> gumbel[noise_chunk];
  for (int64_t from = begin, to; from < end; from = to) {
    to = chunk_end(noise.first, from, end);
    fill_noise(noise.key, noise.first + static_cast<uint64_t>(from), to - from, gumbel);
    for_blocks<V>(to - from, [&](int64_t j, int n) {
      const V x = row.block(from + j, n);
      met.see(x);
      for_values(x, set(scale), load_block(gumbel + j, n, set(WorkOf<S>{0})),
                 [&](const Values& value, int lane) { take(value, from + j + lane); });
    });
  }
  return (end - begin + tile_size - 1) / tile_size;
}

template <class S, bool masked>
[[gnu::noinline, gnu::cold]] int64_t whole_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin,
                                               int64_t end, double scale, Met<VectorOf<S>>& met, Best& best) {
  return each_perturbed(row, noise, begin, end, scale, met,
                        [&](const Values& value, int64_t column) { take_best(value, column, best); });
}

// Whether a first look has overflowed: what is known to an infinity, or all bounds to -inf.
template <class T, class V>
[[gnu::noinline, gnu::cold]] bool overflows(const Piece<T>& piece, T known, const Met<V>& met) {
  if (known > 0) return true;
  for (int i = 0; i < piece.count; ++i)
    if (piece.bound[i] > Storage<T>::minus_infinity) return false;
  return simd::lane_max(met.largest) > Storage<T>::minus_infinity;
}

// One row whose tiles are opened only where their bound reaches a value known to occur; returns how many were.
template <class S, bool masked>
int64_t lazy_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                 const RowScale<WorkOf<S>>& row_scale, Lazy<WorkOf<S>>& lazy, Met<VectorOf<S>>& met, Best& best) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  if (row_scale.coarse()) [[unlikely]]
    return whole_row(row, noise, begin, end, row_scale.exact, met, best);
  const V scale = set(row_scale.working);
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  Piece<WorkOf<S>>& piece = lazy.piece;
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    const T so_far = static_cast<T>(best.value.sum);
    tile = lazy.by_groups ? scan_groups(row, noise, begin, end, scale, tile, tiles, lazy, met, below(so_far))
                          : scan_piece(row, noise, begin, end, scale, tile, tiles, piece, met);
    V known = set(so_far);
    for (int at = 0; at < piece.count; at += V::lanes) known = simd::max(known, load(piece.known + at));
    T top = simd::lane_max(known), reach = below(top);
    if (!is_finite(top) && overflows(piece, top, met)) [[unlikely]] {
      best = {};
      return whole_row(row, noise, begin, end, row_scale.exact, met, best);
    }
    Opener<S, masked> opener{row, noise, begin, end, row_scale.exact, piece};
    auto open = [&] {
      opened += opener.count;
      opener.open([&](const Values& value, int64_t column) { take_best(value, column, best); });
      const T found = static_cast<T>(best.value.sum);
      if (found > top) reach = below(top = is_finite(found) ? found : largest_finite<T>);
    };
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      for (uint32_t pick = bits(bound >= set(reach)) & bits(bound > minus_infinity<V>()); pick; pick &= pick - 1) {
        const int i = at + __builtin_ctz(pick);
        if (!(piece.bound[i] >= reach)) continue;
        opener.pick(i);
        if (opener.full()) open();
      }
    }
    if (opener.count) open();
  }
  return opened;
}

// The noise of short rows: that of several, where they follow each other.
template <class T, Law law = Law::gumbel>
struct NoiseBatch {
  NoiseBatch(const Address& a, const Span& s)
      : address(a), span(s), cols(s.col_end - s.col_begin), rows(flat_batch(a, cols)) {}
  // The noise of row i; `opened` grows by the tiles that had to be drawn for it.
  const T* row(int64_t i, int64_t& opened) {
    const int64_t step = (i - span.begin) % rows, left = span.end - i;
    if (step == 0) {
      const int64_t count = (left < rows ? left : rows) * cols;
      const RowNoise at(address, i);
      fill_noise<law>(at.key, at.first + static_cast<uint64_t>(span.col_begin), count, noise);
      opened += (count + tile_size - 1) / tile_size;
    }
    return noise + step * cols;
  }

 private:
  const Address& address;
  const Span& span;
  int64_t cols, rows;
  alignas(64) T noise[noise_chunk];
};

// The argmax of a row whose noise is at hand: each lane keeps its two best and where it met the better one. A first
// look that leaves several to choose from is followed by another.
template <class S, bool masked>
GF_OP Best filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, const RowScale<WorkOf<S>>& scale,
                      const WorkOf<S>* gumbel, Met<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  using Word = typename Format<V>::Word;
  V most = minus_infinity<V>(), second = minus_infinity<V>();
  auto at = set(Word{0});
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    met.see(x);
    const V value = perturb(x, set(scale.working), load_block(gumbel + j, n, set(T{0})));
    const auto better = value > most;
    second = simd::max(second, simd::min(value, most));
    most = select(better, value, most);
    at = select(better, set(static_cast<Word>(j)), at);
  });
  const T top = simd::lane_max(most);
  const V reach = set(below(top));
  const uint32_t lanes = bits(most >= reach);
  if (!lanes || lanes & (lanes - 1) || bits(second >= reach) || scale.coarse()) [[unlikely]] {
    Best best;
    for_blocks<V>(end - begin, [&](int64_t j, int n) {
      for_values(row.block(begin + j, n), set(scale.exact), load_block(gumbel + j, n, set(T{0})),
                 [&](const Values& value, int lane) { take_best(value, begin + j + lane, best); });
    });
    return best;
  }
  Word start[V::lanes];
  store(start, at);
  const int lane = __builtin_ctz(lanes);
  const int64_t j = static_cast<int64_t>(start[lane]) + lane;
  return {value_of(work_value(row.element(begin + j)), scale.exact, gumbel[j]), begin + j};
}

// Where the largest value of each of n short rows that follow each other lies; a block behind them may be read. Returns
// which rows leave several to choose from, or none.
template <int blocks, class T>
GF_OP uint32_t pick_panel(const T* value, int64_t cols, int n, int64_t* place) {
  using V = VectorOf<T>;
  const auto last = first_lanes<V>(static_cast<int>(cols) - (blocks - 1) * V::lanes);
  const auto load_values = [&](int r, V(&v)[blocks]) GF_STEP {
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) v[b] = load(value + r * cols + b * V::lanes);
    v[blocks - 1] = select(last, v[blocks - 1], minus_infinity<V>());
  };
  V most[V::lanes];
  each_row(n, most, [&](int r) GF_STEP {
    V v[blocks];
    load_values(r, v);
#pragma GCC unroll 4
    for (int b = 1; b < blocks; ++b) v[0] = simd::max(v[0], v[b]);
    return v[0];
  });
  const V largest = simd::max_of_each(most);
  alignas(64) T reach[V::lanes];
  store(reach, below(largest));
  uint32_t unclear = bits(largest >= set(-Storage<T>::minus_infinity));  // by logits that are refused, or an overflow
  for (int r = 0; r < n; ++r) {
    V v[blocks];
    load_values(r, v);
    uint64_t at = 0;
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) at |= static_cast<uint64_t>(bits(v[b] >= set(reach[r]))) << b * V::lanes;
    place[r] = __builtin_ctzll(at | uint64_t{1} << 63);
    unclear |= static_cast<uint32_t>(!at || at & (at - 1)) << r;
  }
  return unclear;
}

// The same for as many rows of few columns as a block has lanes: transposed, so that each row is a lane. number[j][b]
// takes what block b holds of column j.
template <int cols>
[[gnu::noinline]] uint32_t pick_few(const float* value, const uint32_t (*number)[F32::lanes], int64_t* place) {
  F32 column[cols];
#pragma GCC unroll 10
  for (int j = 0; j < cols; ++j) column[j] = load(value);
#pragma GCC unroll 10
  for (int b = 0; b < cols; ++b) {
    const F32 block = load(value + b * F32::lanes);
#pragma GCC unroll 10
    for (int j = 0; j < cols; ++j) column[j] = simd::take_lanes(column[j], block, load(number[j * cols + b]));
  }
  F32 most = column[0], second = minus_infinity<F32>();
  U32 at = set(uint32_t{0});
#pragma GCC unroll 10
  for (int j = 1; j < cols; ++j) {
    second = simd::max(second, simd::min(column[j], most));
    at = select(column[j] > most, set(static_cast<uint32_t>(j)), at);
    most = simd::max(column[j], most);
  }
  const U32 none = set(uint32_t{0});
  auto* const to = reinterpret_cast<uint64_t*>(place);
  store(to, simd::pair_low(at, none));
  store(to + U64::lanes, simd::pair_high(at, none));
  const F32 reach = below(most);
  return bits(second >= reach) | (bits(most >= reach) ^ 0xffff);
}

// Which of these serves a number of columns, from two to `few_columns`.
template <int cols = 2>
auto picker_of_few(int64_t columns) {
  if constexpr (cols < simd::few_columns)
    if (columns != cols) return picker_of_few<cols + 1>(columns);
  return pick_few<cols>;
}

struct LanesOfColumns {
  alignas(64) uint32_t number[simd::few_columns * simd::few_columns][F32::lanes];
  explicit LanesOfColumns(int64_t cols) {
    for (int64_t j = 0; j < cols; ++j)
      for (int64_t b = 0; b < cols; ++b)
        for (int64_t r = 0; r < F32::lanes; ++r) {
          const int64_t lane = r * cols + j - b * F32::lanes;
          const bool here = lane >= 0 && lane < F32::lanes;
          number[j * cols + b][r] = static_cast<uint32_t>(here ? F32::lanes + lane : r);
        }
  }
};

// The best of a short row whose noise is at hand, among some columns.
template <class S, bool masked>
GF_OP Best best_of(const Row<S, masked>& row, uint64_t candidates, double scale, const WorkOf<S>* gumbel) {
  Best best;
  for (; candidates; candidates &= candidates - 1) {
    const int64_t j = __builtin_ctzll(candidates);
    const Value one = value_of(work_value(row.element(j)), scale, gumbel[j]);
    if (one > best.value) best = {one, j};
  }
  return best;
}

// Short rows that follow each other in the noise: perturbed as one, then picked panel by panel.
template <class S, bool masked>
Result flat_rows(const SelectArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const Logits& logits = args.logits;
  const int64_t cols = logits.cols, batch = rows_of_chunk(cols);
  const uint64_t all = ~uint64_t{0} >> (64 - cols);
  const bool few = sizeof(T) == 4 && cols > 1 && cols <= simd::few_columns;
  const LanesOfColumns lanes_of(few ? cols : 0);
  const auto pick = picker_of_few(cols);
  int64_t opened = 0;
  bool lacks = false;
  auto nan = V{} > V{};
  Met<V> unclear;  // what has been met in rows that are
  PackedRows<S, noise_chunk> packed;
  const V one_scale = set(scale_of<T>(logits.scale, 0));
  alignas(64) T each_scale[noise_chunk + V::lanes];
  alignas(64) T noise[noise_chunk], value[noise_chunk + short_blocks * V::lanes];
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < batch ? span.end - i : batch;
    const int64_t before_wrap = logits.rows - i % logits.rows;
    count = count < before_wrap ? count : before_wrap;
    const RowNoise at(args.noise, i);
    fill_noise(at.key, at.first, count * cols, noise);
    opened += (count * cols + tile_size - 1) / tile_size;
    const int64_t first = i % logits.rows;
    Row<S, masked> rows(logits, first);
    rows.x = packed.pack(logits, first, count);
    bool coarse = row_scale<T>(logits.scale, first).coarse();
    if (logits.scale.each)
      for (int64_t r = 0; r < count; ++r) {  // what a store writes too much belongs to the next row
        coarse |= row_scale<T>(logits.scale, first + r).coarse();
        for (int64_t j = 0; j < cols; j += V::lanes)
          store(each_scale + r * cols + j, set(scale_of<T>(logits.scale, first + r)));
      }
    const auto perturb_block = [&](int64_t j, int n) GF_STEP {
      const V x = rows.block(j, n), gumbel = load_block(noise + j, n, set(T{0}));
      store(value + j, perturb(x, logits.scale.each ? load(each_scale + j) : one_scale, gumbel));
      return x;
    };
    int64_t j = 0;
    for (; j + 2 * V::lanes <= count * cols; j += 2 * V::lanes) {
      const V x = perturb_block(j, V::lanes), y = perturb_block(j + V::lanes, V::lanes);
      nan = nan | simd::unordered(x, y);
    }
    for (; j < count * cols; j += V::lanes) {
      const V x = perturb_block(j, static_cast<int>(count * cols - j < V::lanes ? count * cols - j : V::lanes));
      nan = nan | simd::unordered(x, x);
    }
    for_panels<S>(0, count, [&](int64_t from, int n) GF_STEP {
      const T* const rows_from = value + from * cols;
      int64_t* const place = args.index + i + from;
      uint32_t again = ~uint32_t{0};
      if constexpr (sizeof(T) == 4)
        if (few && n == V::lanes) again = pick(rows_from, lanes_of.number, place);
      if (!few || n < V::lanes)
        again = with_blocks<V>(cols, [&](auto blocks) { return pick_panel<blocks.value>(rows_from, cols, n, place); });
      if (coarse) again = ~uint32_t{0};
      if (!again && !args.perturbed) [[likely]]
        return;
      for (int r = 0; r < n; ++r) {
        const bool clear = !(again >> r & 1);
        if (clear && !args.perturbed) continue;
        const int64_t row = first + from + r;
        const Row<S, masked> own(logits, row);
        const double scale = row_scale<T>(logits.scale, row).exact;
        if (!clear) for_blocks<V>(cols, [&](int64_t j, int lanes) { unclear.see(own.block(j, lanes)); });
        Best best = best_of(own, clear ? uint64_t{1} << place[r] : all, scale, noise + (from + r) * cols);
        settle_overflow(own, 0, cols, scale, best);
        lacks |= best.index < 0;
        put(args, i + from + r, best.index, best.value);
      }
    });
  }
  if (bits(nan) || unclear.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S, bool masked>
Result gumbel_max_rows(const SelectArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const Logits& logits = args.logits;
  const Address& address = args.noise;
  const int64_t begin = span.col_begin, end = span.col_end, cols = end - begin;
  const bool flat = is_flat(address, cols);
  if (is_short<S>(cols) && flat && (!masked || logits.mask_per_row)) return flat_rows<S, masked>(args, span);
  Lazy<T> lazy(cols);
  NoiseBatch<T> noise(address, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(logits, i);
    const RowScale<T> scale = row_scale<T>(logits.scale, i % logits.rows);
    Best best;
    Met<VectorOf<S>> met;
    if (cols > short_row) {
      const int64_t ahead = flat ? (span.end - 1 - i) * cols : 0;
      opened += lazy_row(row, RowNoise(address, i), begin, end, ahead, scale, lazy, met, best);
    } else {
      best = filled_row(row, begin, end, scale, noise.row(i, opened), met);
    }
    if (met.refused()) return refused;
    settle_overflow(row, begin, end, scale.exact, best);
    lacks |= best.index < 0;
    put(args, i, best.index, best.value);
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_max(const SelectArgs& args, const Span& span) {
  return args.logits.mask ? gumbel_max_rows<S, true>(args, span) : gumbel_max_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
