// Phase one of lazy sampling: what the heads alone say about each tile of a row.
#pragma once

namespace gumbelfast {
namespace {

// Rows are walked in pieces of this many tiles or more, so that what is kept of them stays in the cache.
constexpr int piece_tiles = 4096;

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
  if (column >= begin && column + tile_size <= end) [[likely]]
    return load_tile(row, column, x);
  const int64_t from = column < begin ? begin - column : 0, to = end - column < tile_size ? end - column : tile_size;
  const uint64_t inside = from < to ? ((uint64_t{1} << to) - 1) & ~((uint64_t{1} << from) - 1) : 0;
  alignas(64) S padded[tile_size];
  const S* lanes = row.x + column;
  if (masked || column < row.first || column + tile_size > row.last) {
    for (S& lane : padded) lane = Storage<S>::minus_infinity;
    for (int64_t p = from; p < to; ++p) padded[p] = row.element(column + p);
    lanes = padded;
  }
#pragma GCC unroll 4
  for (int i = 0; i < tile_blocks<V>; ++i) {
    const uint32_t chosen = static_cast<uint32_t>(inside >> i * V::lanes);
    x[i] = select(simd::lane_mask(chosen, V{}), load(lanes + i * V::lanes), minus_infinity<V>());
  }
}

// Heads drawn ahead: those of one piece, or of as many short rows as follow each other in the noise.
template <class T, Law law = Law::gumbel>
struct HeadCache {
  explicit HeadCache(int tiles) : capacity(tiles / group_tiles), heads(new Heads<T>[static_cast<uint64_t>(capacity)]) {}
  ~HeadCache() { delete[] heads; }
  HeadCache(const HeadCache&) = delete;
  HeadCache& operator=(const HeadCache&) = delete;
  // The heads of groups [group, group + count); up to group `limit` more will be wanted next.
  const Heads<T>* get(Key wanted, uint64_t group, int count, uint64_t limit) {
    const bool here = wanted.k0 == key.k0 && wanted.k1 == key.k1 && group >= first &&
                      group + static_cast<uint64_t>(count) <= first + static_cast<uint64_t>(held);
    if (!here) {
      key = wanted;
      first = group;
      held = limit - group < static_cast<uint64_t>(capacity) ? static_cast<int>(limit - group) : capacity;
      draw_heads<law>(key, group, held, heads);
    }
    return heads + (group - first);
  }

 private:
  Key key{};
  uint64_t first = 0;
  int capacity, held = 0;
  Heads<T>* heads;
};

// Consecutive tiles of a row from a multiple of group_tiles on, in the working type. `bound` is above every perturbed
// value of the tile, `known` is one of them, the value at the head's place; both are -inf for a tile outside the row.
template <class T>
struct Piece {
  // Room for a number of tiles, a multiple of group_tiles, and for as many heads if it is to draw them.
  explicit Piece(int tiles, bool draws_heads = true)
      : cache(draws_heads ? tiles : 0), capacity(tiles), bound(new T[2 * static_cast<uint64_t>(tiles)]) {
    known = bound + tiles;
  }
  ~Piece() { delete[] bound; }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  HeadCache<T> cache;
  const Heads<T>* heads = nullptr;
  uint64_t first = 0;
  int capacity, count = 0;
  T *bound, *known;
};

// What a scan has met among the raw logits.
template <class V>
struct Met {
  decltype(V{} > V{}) nan = V{} > V{};
  V largest = minus_infinity<V>();
  GF_OP void see(V x) {
    nan = nan | simd::unordered(x, x);
    largest = simd::max(largest, x);
  }
  bool refused() const {
    return bits(nan) || !(simd::lane_max(largest) < static_cast<typename V::Scalar>(__builtin_inff()));
  }
};

// The cache lines of a tile.
template <class S>
GF_OP void prefetch(const S* p, uintptr_t bytes_ahead = 0) {
  constexpr uintptr_t line = 64;
  const uintptr_t at = reinterpret_cast<uintptr_t>(p) + bytes_ahead;
#pragma GCC unroll 4
  for (uintptr_t i = 0; i < tile_size * sizeof(S); i += line) __builtin_prefetch(reinterpret_cast<const void*>(at + i));
}
// Of one some way ahead: the hardware loses the trail between rows and pages.
template <class S>
GF_OP void prefetch_ahead(const S* p) {
  prefetch(p, 8192);
}

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
      if (!whole && (start + tile_size <= begin || start >= end)) {
        most[q] = minus_infinity<V>();
        at_place[q] = Storage<S>::minus_infinity;
        continue;
      }
      V x[tile_blocks<V>];
      prefetch_ahead(row.x + start);
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

// The tiles that hold columns [begin, end), and the group behind the last one that the call will want.
struct TileRange {
  uint64_t begin, end, last_group;
  TileRange(const RowNoise& noise, int64_t from, int64_t to, int64_t columns_ahead)
      : begin(tile_of(noise.first + static_cast<uint64_t>(from))),
        end(tile_of(noise.first + static_cast<uint64_t>(to) - 1) + 1),
        last_group(tile_of(noise.first + static_cast<uint64_t>(to + columns_ahead) - 1) / group_tiles + 1) {}
};

// Fills the piece from `tile` on; returns the first tile that it does not hold.
template <class S, bool masked>
uint64_t scan_piece(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, VectorOf<S> scale,
                    uint64_t tile, const TileRange& tiles, Piece<WorkOf<S>>& piece, Met<VectorOf<S>>& met) {
  const uint64_t group = tile / group_tiles, first = group * group_tiles;
  const auto capacity = static_cast<uint64_t>(piece.capacity);
  piece.first = first;
  piece.count = static_cast<int>(tiles.end - first < capacity ? tiles.end - first : capacity);
  const int groups = (piece.count + group_tiles - 1) / group_tiles;
  piece.heads = piece.cache.get(noise.key, group, groups, tiles.last_group);
  for (int i = 0; i < groups; ++i) {
    const int at = i * group_tiles;
    const int64_t column = static_cast<int64_t>((first + static_cast<uint64_t>(at)) * tile_size - noise.first);
    if (column >= begin && column + group_tiles * tile_size <= end)
      scan_group<true>(row, column, begin, end, scale, piece.heads[i], met, piece.bound + at, piece.known + at);
    else
      scan_group<false>(row, column, begin, end, scale, piece.heads[i], met, piece.bound + at, piece.known + at);
  }
  return first + static_cast<uint64_t>(piece.count);
}

// Tiles of a piece picked to be opened, a few at a time: alone, each would wait for its own chain of steps.
template <class S, bool masked>
struct Opener {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const Row<S, masked>& row;
  const RowNoise& noise;
  int64_t begin, end;
  double scale;
  const Piece<T>& piece;
  int count = 0;
  uint64_t tile[group_tiles] = {};
  Heads<T> head = {};

  void pick(int at) {
    tile[count] = piece.first + static_cast<uint64_t>(at);
    head.set(count++, piece.heads[at / group_tiles][static_cast<uint64_t>(at % group_tiles)]);
  }
  bool full() const { return count == group_tiles; }

  // take(eight perturbed values, column of the first) for all of each picked tile, in order.
  template <class Take>
  GF_OP void open(Take take) {
    alignas(64) T gumbel[group_tiles * tile_size];
    draw_tiles(noise.key, tile, head, 0, count, gumbel);
    for (int i = 0; i < count; ++i) {
      const int64_t column = static_cast<int64_t>(tile[i] * tile_size - noise.first);
      V x[tile_blocks<V>];
      load_tile(row, column, begin, end, x);
#pragma GCC unroll 4
      for (int b = 0; b < tile_blocks<V>; ++b)
        for_values(x[b], set(scale), load(gumbel + i * tile_size + b * V::lanes),
                   [&](const Values& value, int lane) { take(value, column + b * V::lanes + lane); });
    }
    count = 0;
  }
};

}  // namespace
}  // namespace gumbelfast
