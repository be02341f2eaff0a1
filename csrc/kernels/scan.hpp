// Phase one of lazy sampling: what the heads alone say about each tile of a row.
#pragma once

namespace gumbelfast {
namespace {

// Rows are walked in pieces of this many tiles, so that what is kept of them stays in the first-level cache.
constexpr int piece_tiles = 1024;

// The law's perturbed value: one rounding for the product, one for the sum.
template <class V>
GF_OP V perturb(V x, V scale, V gumbel) { return x * scale + gumbel; }

// minus_log need not be monotone to the last bit; this is above four ulp of any Gumbel (|g| < 64).
template <class V>
constexpr typename V::Scalar top_slack = sizeof(typename V::Scalar) == 4 ? 0x1p-16 : 0x1p-45;

// The 32 logits of the tile that starts at `column`, as far as they belong to columns [begin, end); -inf elsewhere.
template <class S, bool masked, class V = VectorOf<S>>
GF_OP void load_tile(const Row<S, masked>& row, int64_t column, V (&x)[tile_blocks<V>]) {
#pragma GCC unroll 4
  for (int i = 0; i < tile_blocks<V>; ++i) x[i] = row.block(column + i * V::lanes);
}
template <class S, bool masked, class V = VectorOf<S>>
GF_OP void load_tile(const Row<S, masked>& row, int64_t column, int64_t begin, int64_t end, V (&x)[tile_blocks<V>]) {
  if (column >= begin && column + tile_size <= end) [[likely]] return load_tile(row, column, x);
  alignas(64) S padded[tile_size];
  for (int p = 0; p < tile_size; ++p) padded[p] = Storage<S>::minus_infinity;
  for (int64_t j = column < begin ? begin : column; j < end && j < column + tile_size; ++j)
    padded[j - column] = row.element(j);
  for (int i = 0; i < tile_blocks<V>; ++i) x[i] = load(padded + i * V::lanes);
}

// Consecutive tiles of a row from a multiple of group_tiles on. `bound` is above every perturbed value of the tile,
// `known` is one of them, the value at the head's place; both are -inf for a tile outside the row.
template <class T>
struct Piece {
  uint64_t first;
  int count;
  alignas(64) T bound[piece_tiles];
  alignas(64) T known[piece_tiles];
  Heads<T> heads[piece_tiles / group_tiles];
};

// What a scan has met among the raw logits.
template <class V>
struct Met {
  decltype(V{} > V{}) nan = V{} > V{};
  V largest = minus_infinity<V>();
  bool refused() const {
    return bits(nan) || !(simd::lane_max(largest) < static_cast<typename V::Scalar>(__builtin_inff()));
  }
};

// One group of tiles whose first tile starts at `column`; whole: every column belongs to the row.
template <bool whole, class S, bool masked, class V = VectorOf<S>, class T = WorkOf<S>>
GF_OP void scan_group(const Row<S, masked>& row, int64_t column, int64_t begin, int64_t end, V scale,
                      const Heads<T>& heads, Met<V>& met, T* bound, T* known) {
#pragma GCC unroll 2
  for (int part = 0; part < group_tiles; part += V::lanes) {
    V most[V::lanes];
    alignas(64) S at_place[V::lanes];
#pragma GCC unroll 16
    for (int q = 0; q < V::lanes; ++q) {
      const int64_t start = column + (part + q) * tile_size, j = start + heads.place[part + q];
      V x[tile_blocks<V>];
      if constexpr (whole)
        load_tile(row, start, x);
      else
        load_tile(row, start, begin, end, x);
      at_place[q] = whole || (j >= begin && j < end) ? row.element(j) : Storage<S>::minus_infinity;
      most[q] = x[0];
      met.nan = met.nan | simd::unordered(x[0], x[1]);
      if constexpr (tile_blocks<V> == 4) met.nan = met.nan | simd::unordered(x[2], x[3]);
#pragma GCC unroll 4
      for (int i = 1; i < tile_blocks<V>; ++i) most[q] = simd::max(most[q], x[i]);
    }
    const V tile_most = simd::max_of_each(most), top = load(heads.top + part);
    met.largest = simd::max(met.largest, tile_most);
    store(bound + part, perturb(tile_most, scale, top + set(top_slack<V>)));
    store(known + part, perturb(load(at_place), scale, top));
  }
}

// Fills the piece from `tile` on; returns the first tile that it does not hold.
template <class S, bool masked>
uint64_t scan_piece(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, VectorOf<S> scale,
                    uint64_t tile, uint64_t tile_end, Piece<WorkOf<S>>& piece, Met<VectorOf<S>>& met) {
  const uint64_t first = tile / group_tiles * group_tiles;
  piece.first = first;
  piece.count = static_cast<int>(tile_end - first < piece_tiles ? tile_end - first : piece_tiles);
  for (int at = 0; at < piece.count; at += group_tiles) {
    Heads<WorkOf<S>>& heads = piece.heads[at / group_tiles];
    const uint64_t group_first = first + static_cast<uint64_t>(at);
    draw_heads(noise.key, group_first / group_tiles, heads);
    const int64_t column = static_cast<int64_t>(group_first * tile_size - noise.first);
    if (column >= begin && column + group_tiles * tile_size <= end)
      scan_group<true>(row, column, begin, end, scale, heads, met, piece.bound + at, piece.known + at);
    else
      scan_group<false>(row, column, begin, end, scale, heads, met, piece.bound + at, piece.known + at);
  }
  return first + static_cast<uint64_t>(piece.count);
}

// The perturbed values of one tile of the piece; returns the column of its first lane.
template <class S, bool masked, class V = VectorOf<S>>
GF_OP int64_t open_tile(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, V scale,
                        const Piece<WorkOf<S>>& piece, int at, V (&value)[tile_blocks<V>]) {
  const uint64_t tile = piece.first + static_cast<uint64_t>(at);
  const int64_t column = static_cast<int64_t>(tile * tile_size - noise.first);
  alignas(64) WorkOf<S> gumbel[tile_size];
  tile_gumbel(noise.key, tile, piece.heads[at / group_tiles][static_cast<uint64_t>(at % group_tiles)], gumbel);
  load_tile(row, column, begin, end, value);
#pragma GCC unroll 4
  for (int i = 0; i < tile_blocks<V>; ++i) value[i] = perturb(value[i], scale, load(gumbel + i * V::lanes));
  return column;
}

// The tiles that hold columns [begin, end).
struct TileRange {
  uint64_t begin, end;
  TileRange(const RowNoise& noise, int64_t from, int64_t to)
      : begin(tile_of(noise.first + static_cast<uint64_t>(from))),
        end(tile_of(noise.first + static_cast<uint64_t>(to) - 1) + 1) {}
};

}  // namespace
}  // namespace gumbelfast
