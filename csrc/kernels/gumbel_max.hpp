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

// One row whose tiles are opened only where their bound reaches a value known to occur.
template <class S, bool masked>
int64_t lazy_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, VectorOf<S> scale,
                 Piece<WorkOf<S>>& piece, Best<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end);
  Met<V> met;
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = scan_piece(row, noise, begin, end, scale, tile, tiles.end, piece, met);
    V known = set(best.value);
    for (int at = 0; at < piece.count; at += V::lanes) known = simd::max(known, load(piece.known + at));
    WorkOf<S> reach = simd::lane_max(known);
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      for (uint32_t open = bits(bound >= set(reach)); open; open &= open - 1) {
        const int i = at + __builtin_ctz(open);
        if (!(piece.bound[i] >= reach) || !(piece.bound[i] > best.value)) continue;
        V value[tile_blocks<V>];
        const int64_t column = open_tile(row, noise, begin, end, scale, piece, i, value);
        take_best(value, column, best);
        if (best.value > reach) reach = best.value;
        ++opened;
      }
    }
  }
  return met.refused() ? refused : opened;
}

constexpr int64_t short_row = 256;  // up to here a row is filled and scanned

// The argmax of a row whose noise is at hand.
template <class S, bool masked>
GF_OP void filled_row(const Row<S, masked>& row, int64_t begin, int64_t end, VectorOf<S> scale, const WorkOf<S>* gumbel,
                      Met<VectorOf<S>>& met, Best<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    const V x = row.block(begin + j, n);
    met.nan = met.nan | simd::unordered(x, x);
    met.largest = simd::max(met.largest, x);
    const V value[1] = {perturb(x, scale, load_block(gumbel + j, n, set(WorkOf<S>{0})))};
    take_best(value, begin + j, best);
  });
}

template <class S, bool masked>
int64_t gumbel_max_rows(const Logits& logits, const Address& address, const Span& span, int64_t* index,
                        WorkOf<S>* perturbed) {
  using T = WorkOf<S>;
  const VectorOf<S> scale = set(static_cast<T>(logits.scale));
  const int64_t begin = span.col_begin, end = span.col_end, cols = end - begin;
  const int64_t batch = flat_batch(address, cols);
  Piece<T> piece;
  alignas(64) T noise[noise_chunk];
  int64_t opened = 0;
  for (int64_t i = span.row_begin; i < span.row_end; ++i) {
    const Row<S, masked> row(logits, i);
    const RowNoise at(address, i);
    Best<T> best;
    if (cols > short_row) {
      const int64_t tiles = lazy_row(row, at, begin, end, scale, piece, best);
      if (tiles == refused) return refused;
      opened += tiles;
    } else {
      const int64_t step = (i - span.row_begin) % batch, left = span.row_end - i;
      if (step == 0) {
        const int64_t count = (left < batch ? left : batch) * cols;
        fill_gumbel(at.key, at.first + static_cast<uint64_t>(begin), count, noise);
        opened += (count + tile_size - 1) / tile_size;
      }
      Met<VectorOf<S>> met;
      filled_row(row, begin, end, scale, noise + step * cols, met, best);
      if (met.refused()) return refused;
    }
    *index++ = best.index;
    if (perturbed) *perturbed++ = best.value;
  }
  return opened;
}

template <class S>
int64_t gumbel_max(const Logits& logits, const Address& address, const Span& span, int64_t* index, void* perturbed) {
  WorkOf<S>* value = static_cast<WorkOf<S>*>(perturbed);
  return logits.mask ? gumbel_max_rows<S, true>(logits, address, span, index, value)
                     : gumbel_max_rows<S, false>(logits, address, span, index, value);
}

}  // namespace
}  // namespace gumbelfast
