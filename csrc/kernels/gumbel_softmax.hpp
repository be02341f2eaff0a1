// Gumbel-softmax (Jang, Gu and Poole 2016; Maddison, Mnih and Teh 2016): softmax((logits + g) / tau), soft and hard.
#pragma once

namespace gumbelfast {
namespace {

// What the walk over a row has seen: raw logits, and how far the perturbed ones reach.
template <class V>
struct Perturbed {
  Met<V> met;
  Range<V> range;
};

// Columns [begin, end) of a row: `p` holds the noise and takes (logits - most) + noise.
template <class S, class V = VectorOf<S>>
GF_OP void add_logits(const Row<S, false>& row, int64_t begin, int64_t end, V most, WorkOf<S>* p, Perturbed<V>& seen) {
  for_blocks<V>(end - begin, [&](int64_t j, int n) GF_STEP {
    const V x = row.block(begin + j, n);
    const V sum = (x - most) + load_block(p + begin + j, n, set(WorkOf<S>{0}));
    seen.met.see(x);
    seen.range.see(sum, n);
    store_block(p + begin + j, n, sum);
  });
}
// The largest logit of each row, as often as the row has columns.
template <class S>
GF_OP void repeat_maxima(const ShortRows<S>& rows, WorkOf<S>* most) {
  using V = VectorOf<S>;
  alignas(64) WorkOf<S> largest[V::lanes];
  with_blocks<V>(rows.cols, [&](auto count) { store(largest, rows.template maxima<count.value>()); });
  for (int r = 0; r < rows.n; ++r, most += rows.cols)  // what a store writes too much belongs to the next row
    for (int64_t j = 0; j < rows.cols; j += V::lanes) store(most + j, set(largest[r]));
}

// The largest logit of a row.
template <class S, class V = VectorOf<S>>
GF_OP V largest_of(const S* x, int64_t cols) {
  return set(simd::lane_max(row_range(x, cols).most));
}

// The place of the only value that reaches `least`, or -1 if there are several.
template <class T>
GF_OP int64_t find_only(const T* x, int64_t cols, T least) {
  using V = VectorOf<T>;
  int64_t found = -1;
  for (int64_t j = 0; j < cols; j += V::lanes) {
    const int n = static_cast<int>(cols - j < V::lanes ? cols - j : V::lanes);
    const uint32_t at = bits(load_block(x + j, n, minus_infinity<V>()) >= set(least));
    if (!at) continue;
    if (found >= 0 || at & (at - 1)) return -1;
    found = j + __builtin_ctz(at);
  }
  return found;
}

template <class S>
void one_hot(S* out, int64_t cols, int64_t index) {
  using V = VectorOf<S>;
  for_blocks<V>(cols, [&](int64_t j, int n) { store_block(out + j, n, set(WorkOf<S>{0})); });
  store_first(out + index, 1, set(WorkOf<S>{1}));
}

// The index that `gumbel_max` draws.
template <class S>
[[gnu::noinline, gnu::cold]] int64_t drawn_index(const GumbelSoftmaxArgs& args, int64_t i) {
  Met<VectorOf<S>> met;
  Best best;
  whole_row(Row<S, false>(args.logits, i), RowNoise(args.noise, i), 0, args.logits.cols, 1, met, best);
  return best.index;
}

// The hard result of a row of perturbed logits, if it is asked for; false if none is finite.
template <class S>
GF_OP bool write_hard(const GumbelSoftmaxArgs& args, int64_t i, WorkOf<S> most, const WorkOf<S>* p) {
  const int64_t cols = args.logits.cols;
  if (!(most > Storage<WorkOf<S>>::minus_infinity)) return false;
  if (!args.hard) return true;
  using T = WorkOf<S>;
  constexpr T slack = sizeof(T) == 4 ? 0x1p-21 : 0x1p-50;  // as in `below`
  int64_t index = find_only(p, cols, most - ((most < 0 ? -most : most) + 64) * slack);
  if (index < 0) [[unlikely]]
    index = drawn_index<S>(args, i);
  one_hot(static_cast<S*>(args.hard) + i * cols, cols, index);
  return true;
}

// A row of perturbed logits becomes its results; `p`, which is written over, may be the row of soft itself. Inlined,
// its sums would lie in memory where there are sixteen registers.
template <class S>
[[gnu::noinline]] bool finish_row(const GumbelSoftmaxArgs& args, int64_t i, const Range<VectorOf<S>>& range,
                                  WorkOf<S>* p) {
  const int64_t cols = args.logits.cols;
  if (!write_hard<S>(args, i, range.maximum(), p)) return false;
  softmax_row<true>(p, cols, set(scale_of<WorkOf<S>>(args.logits.scale, i)), range, p,
                    static_cast<S*>(args.soft) + i * cols, goes_past_cache<S>(args.past_cache, cols));
  return true;
}

// Rows that follow each other in x and in p, which holds their noise: each is in the first-level cache until it is
// done.
template <class S>
GF_OP bool finish_rows(const GumbelSoftmaxArgs& args, int64_t begin, int64_t end, Row<S, false> row, WorkOf<S>* p) {
  using T = WorkOf<S>;
  using V = VectorOf<S>;
  const int64_t cols = args.logits.cols;
  if (!is_short<S>(cols)) {
    for (int64_t i = begin; i < end; ++i, row.x += cols, p += cols) {
      Perturbed<V> seen;
      add_logits(row, 0, cols, largest_of(row.x, cols), p, seen);
      if (seen.met.refused() || !finish_row<S>(args, i, seen.range, p)) return false;
    }
    return true;
  }
  alignas(64) T most[noise_chunk + V::lanes];
  const RunOfRows<S> raw{row.x, cols, cols, begin, end, args.logits.scale};
  for (int64_t i = begin; i < end; i += V::lanes) repeat_maxima(raw.panel(i), most + (i - begin) * cols);
  Met<V> met;
  for_blocks<V>((end - begin) * cols, [&](int64_t j, int n) GF_STEP {
    const V x = row.block(j, n), zero = set(T{0});
    met.see(x);
    store_block(p + j, n, (x - load_block(most + j, n, zero)) + load_block(p + j, n, zero));
  });
  if (met.refused()) return false;
  return softmax_panels(RunOfRows<T>{p, cols, cols, begin, end, args.logits.scale},
                        static_cast<S*>(args.soft) + begin * cols, [&](const ShortRows<T>& rows, const T* most) {
                          bool all = true;
                          for (int r = 0; r < rows.n; ++r)
                            all = all && write_hard<S>(args, rows.first + r, most[r], rows.row(r));
                          return all;
                        });
}

template <class S>
Result gumbel_softmax(const GumbelSoftmaxArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t cols = args.logits.cols;
  const int64_t batch = flat_batch(args.noise, cols);
  // Perturbed logits are kept in the result where its type holds them and it does not go past the cache.
  const bool past_cache = goes_past_cache<S>(args.past_cache, cols) && !is_short<S>(cols);
  const ScratchRow<T> scratch(past_cache || sizeof(S) < sizeof(T) ? cols * batch : 0);
  PackedRows<S, noise_chunk> packed;
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < batch ? span.end - i : batch;
    T* const p = scratch.data ? scratch.data : static_cast<T*>(args.soft) + i * cols;
    const RowNoise noise(args.noise, i);
    Row<S, false> row(args.logits, i);
    if (count > 1) {
      row.x = packed.pack(args.logits, i, count);
      fill_noise(noise.key, noise.first, count * cols, p);
      if (!finish_rows<S>(args, i, i + count, row, p)) return refused;
      continue;
    }
    Perturbed<V> seen;
    const V largest = largest_of(row.x, cols);
    for (int64_t j = 0, next; j < cols; j = next) {
      next = chunk_end(noise.first, j, cols);
      fill_noise(noise.key, noise.first + static_cast<uint64_t>(j), next - j, p + j);
      add_logits(row, j, next, largest, p, seen);
    }
    if (seen.met.refused() || !finish_row<S>(args, i, seen.range, p)) return refused;
  }
  if (past_cache) simd::fence_stores();
  return {Outcome::done, ((span.end - span.begin) * cols + tile_size - 1) / tile_size};
}

}  // namespace
}  // namespace gumbelfast
