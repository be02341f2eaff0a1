// Lazy Gumbel-top-k (Vieira 2014; Kool et al. 2019): the k largest of logits * scale + g, in order.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The candidates of a row. Whatever falls below `reach` has k better ones.
template <class T>
struct Candidates {
  explicit Candidates(int64_t size) : k(size), capacity(2 * size + tile_size) {
    entries = new Entry<T>[static_cast<uint64_t>(capacity)];
    values = new T[static_cast<uint64_t>(size + piece_tiles)];
  }
  ~Candidates() {
    delete[] entries;
    delete[] values;
  }
  Candidates(const Candidates&) = delete;
  Candidates& operator=(const Candidates&) = delete;

  void clear() {
    count = 0;
    reach = -static_cast<T>(__builtin_inff());
  }
  // Drops all but the k largest.
  void shrink() {
    if (count <= k) return;
    keep_largest(entries, count, k);
    count = k;
  }
  // The k-th best of what is held and of values known to occur in the next piece: all are distinct elements.
  void raise(const Piece<T>& piece) {
    shrink();
    int64_t n = 0;
    for (int64_t i = 0; i < count; ++i) values[n++] = entries[i].value;
    for (int i = 0; i < piece.count; ++i)
      if (piece.known[i] >= reach) values[n++] = piece.known[i];
    if (n < k) return;
    const T least = kth_largest(values, n, k);
    if (least > reach) reach = least;
  }
  template <class V>
  GF_OP void take(V value, int64_t column) {
    const uint32_t finite = bits(value > minus_infinity<V>());
    for (uint32_t at = bits(value >= set(reach)) & finite; at; at &= at - 1) {
      const int lane = __builtin_ctz(at);
      T lanes[V::lanes];
      store(lanes, value);
      entries[count++] = {lanes[lane], column + lane};
    }
  }
  void make_room() {
    if (count + tile_size <= capacity) return;
    shrink();
    T least = entries[0].value;
    for (int64_t i = 1; i < count; ++i) least = entries[i].value < least ? entries[i].value : least;
    if (least > reach) reach = least;
  }

  int64_t k, capacity, count = 0;
  T reach;
  Entry<T>* entries;
  T* values;
};

template <class S, bool masked>
int64_t top_k_row(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, VectorOf<S> scale,
                  Piece<WorkOf<S>>& piece, Candidates<WorkOf<S>>& best) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end);
  Met<V> met;
  best.clear();
  for (uint64_t tile = tiles.begin; tile < tiles.end;) {
    tile = scan_piece(row, noise, begin, end, scale, tile, tiles.end, piece, met);
    best.raise(piece);
    for (int at = 0; at < piece.count; at += V::lanes) {
      const V bound = load(piece.bound + at);
      const uint32_t finite = bits(bound > minus_infinity<V>());
      for (uint32_t open = bits(bound >= set(best.reach)) & finite; open; open &= open - 1) {
        const int i = at + __builtin_ctz(open);
        best.make_room();
        V value[tile_blocks<V>];
        const int64_t column = open_tile(row, noise, begin, end, scale, piece, i, value);
#pragma GCC unroll 4
        for (int b = 0; b < tile_blocks<V>; ++b) best.take(value[b], column + b * V::lanes);
        ++opened;
      }
    }
  }
  best.shrink();
  sort_entries(best.entries, best.count);
  return met.refused() ? refused : opened;
}

template <class S, bool masked>
int64_t top_k_rows(const Logits& logits, const Address& address, const Span& span, int64_t k, int64_t* index,
                   WorkOf<S>* perturbed) {
  using T = WorkOf<S>;
  const VectorOf<S> scale = set(static_cast<T>(logits.scale));
  Candidates<T> best(k);
  Piece<T> piece;
  int64_t opened = 0;
  for (int64_t i = span.row_begin; i < span.row_end; ++i) {
    const int64_t tiles = top_k_row(Row<S, masked>(logits, i), RowNoise(address, i), span.col_begin, span.col_end,
                                    scale, piece, best);
    if (tiles == refused) return refused;
    opened += tiles;
    for (int64_t j = 0; j < k; ++j) {
      *index++ = j < best.count ? best.entries[j].index : -1;
      *perturbed++ = j < best.count ? best.entries[j].value : -static_cast<T>(__builtin_inff());
    }
  }
  return opened;
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
