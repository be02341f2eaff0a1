// Lazy Gumbel-max: the argmax of logits * scale + g, at about the price of a maximum (docs/stream.md tells how).
#pragma once

namespace gumbelfast {
namespace {

template <class T>
struct Best {
  T value = -static_cast<T>(__builtin_inff());
  int64_t index = -1;
};

// Takes the largest of the values if it beats the best so far; equal values keep the lower index.
template <class V, int n>
GF_OP void take_best(const V (&value)[n], int64_t column, Best<typename V::Scalar>& best) {
  V most = value[0];
#pragma GCC unroll 4
  for (int i = 1; i < n; ++i) most = simd::max(most, value[i]);
  const auto largest = simd::lane_max(most);
  if (!(largest > best.value)) return;
  best.value = largest;
  for (int i = n - 1; i >= 0; --i) {
    const uint32_t at = bits(value[i] == set(largest));
    if (at) best.index = column + i * V::lanes + __builtin_ctz(at);
  }
}

// The first of the largest logits of columns [begin, end); -1 and -inf where all are -inf.
template <class S, bool masked, class V = VectorOf<S>>
Best<WorkOf<S>> largest_logit(const Row<S, masked>& row, int64_t begin, int64_t end, Met<V>& met) {
  for_blocks<V>(end - begin, [&](int64_t j, int n) { met.see(row.block(begin + j, n)); });
  const Best<WorkOf<S>> none, best{simd::lane_max(met.largest), begin};
  if (!(best.value > none.value)) return none;
  for (int64_t j = begin; j < end; j += V::lanes) {
    const int n = static_cast<int>(end - j < V::lanes ? end - j : V::lanes);
    if (const uint32_t at = bits(row.block(j, n) == set(best.value))) return {best.value, j + __builtin_ctz(at)};
  }
  return none;
}

// Where the largest perturbed value overflows, it is that of the largest logit: the noise is far below its last bit.
template <class S, bool masked>
GF_OP void settle_overflow(const Row<S, masked>& row, int64_t begin, int64_t end, WorkOf<S> scale,
                           Best<WorkOf<S>>& best) {
  if (is_finite(best.value)) [[likely]]
    return;
  Met<VectorOf<S>> met;
  best = largest_logit(row, begin, end, met);
  best.value *= scale;
}

// One row whose tiles are opened only where their bound reaches a value known to occur; returns how many were.
template <class S, bool masked>
int64_t lazy_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, int64_t ahead,
                 VectorOf<S> scale, Lazy<WorkOf<S>>& lazy, Met<VectorOf<S>>& met, Best<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  Piece<WorkOf<S>>& piece = lazy.piece;
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = lazy.by_groups ? scan_groups(row, noise, begin, end, scale, tile, tiles, lazy, met, best.value)
                          : scan_piece(row, noise, begin, end, scale, tile, tiles, piece, met);
    V known = set(best.value);
    for (int at = 0; at < piece.count; at += V::lanes) known = simd::max(known, load(piece.known + at));
    WorkOf<S> reach = simd::lane_max(known);
    Opener<S, masked> opener{row, noise, begin, end, scale, piece};
    auto open = [&] {
      opened += opener.count;
      opener.open([&](const V(&value)[tile_blocks<V>], int64_t column) { take_best(value, column, best); });
      if (best.value > reach) reach = best.value;
    };
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      for (uint32_t pick = bits(bound >= set(reach)); pick; pick &= pick - 1) {
        const int i = at + __builtin_ctz(pick);
        if (!(piece.bound[i] >= reach) || !(piece.bound[i] > best.value)) continue;
        opener.pick(i);
        if (opener.full()) open();
      }
    }
    if (opener.count) open();
  }
  return opened;
}

// The noise of short rows: that of several, where they follow each other.
template <class T>
struct NoiseBatch {
  NoiseBatch(const Address& a, const Span& s)
      : address(a), span(s), cols(s.col_end - s.col_begin), rows(flat_batch(a, cols)) {}
  // The noise of row i; `opened` grows by the tiles that had to be drawn for it.
  const T* row(int64_t i, int64_t& opened) {
    const int64_t step = (i - span.begin) % rows, left = span.end - i;
    if (step == 0) {
      const int64_t count = (left < rows ? left : rows) * cols;
      const RowNoise at(address, i);
      fill_noise(at.key, at.first + static_cast<uint64_t>(span.col_begin), count, noise);
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

// The argmax of a row whose noise is at hand: each lane keeps its best and where it was met.
template <class S, bool masked>
GF_OP Best<WorkOf<S>> filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, VectorOf<S> scale,
                                 const WorkOf<S>* gumbel, Met<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  using Word = typename Format<V>::Word;
  V most = minus_infinity<V>();
  auto at = set(Word{0});
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    met.see(x);
    const V value = perturb(x, scale, load_block(gumbel + j, n, set(WorkOf<S>{0})));
    const auto better = value > most;
    most = select(better, value, most);
    at = select(better, set(static_cast<Word>(j)), at);
  });
  Best<WorkOf<S>> best{simd::lane_max(most), -1};
  if (!(best.value > -static_cast<WorkOf<S>>(__builtin_inff()))) return best;
  Word start[V::lanes];
  store(start, at);
  best.index = end;
  for (uint32_t lanes = bits(most == set(best.value)); lanes; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    const int64_t index = begin + static_cast<int64_t>(start[lane]) + lane;
    best.index = index < best.index ? index : best.index;
  }
  return best;
}

// The first of the largest values of n short rows that follow each other; a block behind them may be read.
template <int blocks, class T>
GF_OP void pick_panel(const T* value, int64_t cols, int n, Best<T>* best) {
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
  alignas(64) T top[V::lanes];
  store(top, simd::max_of_each(most));
  for (int r = 0; r < n; ++r) {
    V v[blocks];
    load_values(r, v);
    uint64_t at = 0;
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) at |= static_cast<uint64_t>(bits(v[b] == set(top[r]))) << b * V::lanes;
    const int64_t j = at ? __builtin_ctzll(at) : 0;
    best[r] = {value[r * cols + j], j};
  }
}

// The same of one row.
template <class T>
GF_OP Best<T> pick_one(const T* value, int64_t cols) {
  Best<T> best;
  for (int64_t j = 0; j < cols; ++j) {
    const bool better = value[j] > best.value;
    best.value = better ? value[j] : best.value;
    best.index = better ? j : best.index;
  }
  return best;
}

// Short rows that follow each other in the noise: perturbed as one, then picked panel by panel.
template <class S, bool masked>
Result flat_rows(const SelectArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const Logits& logits = args.logits;
  const int64_t cols = logits.cols, batch = noise_chunk / cols;
  int64_t* index = args.index + span.begin;
  T* perturbed = args.perturbed ? static_cast<T*>(args.perturbed) + span.begin : nullptr;
  int64_t opened = 0;
  bool lacks = false;
  Met<V> met;
  PackedRows<S, noise_chunk> packed;
  const V one_scale = set(scale_of<T>(logits.scale, 0));
  alignas(64) T each_scale[noise_chunk + V::lanes];
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < batch ? span.end - i : batch;
    const int64_t before_wrap = logits.rows - i % logits.rows;
    count = count < before_wrap ? count : before_wrap;
    alignas(64) T value[noise_chunk + short_blocks * V::lanes];
    const RowNoise at(args.noise, i);
    fill_noise(at.key, at.first, count * cols, value);
    opened += (count * cols + tile_size - 1) / tile_size;
    const int64_t first = i % logits.rows;
    Row<S, masked> rows(logits, first);
    rows.x = packed.pack(logits, first, count);
    if (logits.scale.each)
      for (int64_t r = 0; r < count; ++r)  // what a store writes too much belongs to the next row
        for (int64_t j = 0; j < cols; j += V::lanes)
          store(each_scale + r * cols + j, set(scale_of<T>(logits.scale, first + r)));
    for_blocks<V>(count * cols, [&](int64_t j, int n) {
      const V x = rows.block(j, n);
      met.see(x);
      const V noise = load_block(value + j, n, set(T{0}));
      store(value + j, perturb(x, logits.scale.each ? load(each_scale + j) : one_scale, noise));
    });
    for_panels<S>(0, count, [&](int64_t from, int n) {
      Best<T> best[V::lanes];
      const T* const rows_from = value + from * cols;
      if (cols <= tiny_row)
        for (int r = 0; r < n; ++r) best[r] = pick_one(rows_from + r * cols, cols);
      else
        with_blocks<V>(cols, [&](auto blocks) { pick_panel<blocks.value>(rows_from, cols, n, best); });
      for (int r = 0; r < n; ++r) {
        const int64_t row = first + from + r;
        if (!is_finite(best[r].value)) [[unlikely]]  // most rows need no Row of their own
          settle_overflow(Row<S, masked>(logits, row), 0, cols, scale_of<T>(logits.scale, row), best[r]);
        lacks |= best[r].index < 0;
        *index++ = best[r].index;
        if (perturbed) *perturbed++ = best[r].value;
      }
    });
  }
  if (met.refused()) return refused;
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
  int64_t* index = args.index + span.begin;
  T* perturbed = args.perturbed ? static_cast<T*>(args.perturbed) + span.begin : nullptr;
  Lazy<T> lazy(cols);
  NoiseBatch<T> noise(address, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(logits, i);
    const T scale = scale_of<T>(logits.scale, i % logits.rows);
    Best<T> best;
    Met<VectorOf<S>> met;
    if (cols > short_row) {
      const int64_t ahead = flat ? (span.end - 1 - i) * cols : 0;
      opened += lazy_row(row, RowNoise(address, i), begin, end, ahead, set(scale), lazy, met, best);
    } else {
      best = filled_row(row, begin, end, set(scale), noise.row(i, opened), met);
    }
    if (met.refused()) return refused;
    settle_overflow(row, begin, end, scale, best);
    lacks |= best.index < 0;
    *index++ = best.index;
    if (perturbed) *perturbed++ = best.value;
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_max(const SelectArgs& args, const Span& span) {
  return args.logits.mask ? gumbel_max_rows<S, true>(args, span) : gumbel_max_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
