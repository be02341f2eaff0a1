// Phase zero of lazy sampling on long rows: what the bits of the heads alone say about each group of tiles. For nearly
// all groups that is enough, so that their heads are never computed.
#pragma once

namespace gumbelfast {
namespace {

// How near the smallest of a group's 16 head words is to zero, its upper 24 bits taken from 2**24 - 1: lane by lane, so
// that the largest lane is the answer.
GF_OP F32 nearness(U64 low, U64 high, F32) {
  return simd::signed_float(simd::narrow(simd::shr<40>(low), simd::shr<40>(high)));
}
GF_OP F64 nearness(U64 low, U64 high, F64) {
  return max(simd::signed_float(simd::shr<40>(low)), simd::signed_float(simd::shr<40>(high)));
}

// Of each of a block of groups from `g` on, the upper 24 bits h of its smallest head word: H >= h * 2**40.
template <class V>
GF_OP V smallest_heads(const Words* bits_of, int g, int count) {
  const U64 ones = set(~uint64_t{0});
  V near[V::lanes];
#pragma GCC unroll 16
  for (int q = 0; q < V::lanes; ++q) {
    const Words& words = bits_of[g + q < count ? g + q : count - 1];
    near[q] = nearness(simd::as_pairs(words.low) ^ ones, simd::as_pairs(words.high) ^ ones, V{});
  }
  return set(static_cast<typename V::Scalar>(0x1p24 - 1)) - simd::max_of_each(near);
}

// Groups of a piece of a row: bits of their heads, a bound on their noise, and one on their perturbed values.
template <class T>
struct Groups {
  using V = VectorOf<T>;
  static constexpr int capacity = piece_tiles / group_tiles;

  explicit Groups(bool wanted)
      : bits_of(wanted ? new Words[capacity] : nullptr), heads(wanted ? new Heads<T>[capacity] : nullptr) {}
  ~Groups() {
    delete[] bits_of;
    delete[] heads;
  }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // The words of a group are H >= h * 2**40, and its noise at most log(32) - log(h / 2**24), since the smallest
  // exponential of a tile is -log(1 - H / 2**64) / 32 >= H / 2**69. Where h = 0 it may have any value, all below 73.
  void draw(Key wanted, uint64_t group, int count) {
    if (wanted.k0 == key.k0 && wanted.k1 == key.k1 && group == first && count <= held) return;
    key = wanted;
    first = group;
    held = count;
    draw_head_bits(key, group, count, [&](int i, const Words& words) { bits_of[i] = words; });
    const V log32 = set(T(3.46573591) + 4 * top_slack<V>);  // rounded up
    for (int g = 0; g < count; g += V::lanes) {
      const V h = smallest_heads<V>(bits_of, g, count);
      store(top + g, minus_log(simd::max(h * set(T(0x1p-24)), set(T(0x1p-100)))) + log32);
    }
  }

  Words* bits_of;
  Heads<T>* heads;  // of the groups that are looked into
  alignas(64) T top[capacity];
  alignas(64) T bound[capacity];

 private:
  Key key{};
  uint64_t first = 0;
  int held = 0;
};

// The largest logits, lane by lane, of the group that starts at `column`.
template <bool whole, class S, bool masked, class V = VectorOf<S>>
GF_OP V group_most(const Row<S, masked>& row, int64_t column, int64_t begin, int64_t end, Met<V>& met) {
  V most[2] = {minus_infinity<V>(), minus_infinity<V>()};
  auto nan = met.nan;
#pragma GCC unroll 4
  for (int64_t start = column; start < column + group_tiles * tile_size; start += tile_size) {
    if (!whole && (start + tile_size <= begin || start >= end)) continue;
    V x[tile_blocks<V>];
    prefetch_ahead(row.x + start);
    if constexpr (whole)
      load_tile(row, start, x);
    else
      load_tile(row, start, begin, end, x);
#pragma GCC unroll 2
    for (int i = 0; i < tile_blocks<V>; i += 2) {
      nan = nan | simd::unordered(x[i], x[i + 1]);
      most[0] = simd::max(most[0], x[i]);
      most[1] = simd::max(most[1], x[i + 1]);
    }
  }
  met.nan = nan;
  return simd::max(most[0], most[1]);
}

// Up to so many columns a row is filled and scanned. On AVX-512 the ways cross at about 450.
constexpr int64_t short_row = 448;

// What lazy sampling keeps of a piece of a row.
template <class T>
struct Lazy {
  explicit Lazy(int64_t cols)
      : by_groups(cols >= grouped_row), piece(cols > short_row ? piece_tiles : 0, !by_groups), groups(by_groups) {}
  // Shorter rows have their heads drawn together with those of the next, and most of them looked at.
  static constexpr int64_t grouped_row = 48 * group_tiles * tile_size;
  bool by_groups;
  Piece<T> piece;
  Groups<T> groups;
};

// Fills the piece from `tile` on as `scan_piece` does, but with -inf for groups where nothing can be that reaches
// `least` and what is known from other groups. Returns the first tile that the piece does not hold.
template <class S, bool masked>
uint64_t scan_groups(const Row<S, masked>& row, const RowNoise& noise, int64_t begin, int64_t end, VectorOf<S> scale,
                     uint64_t tile, const TileRange& tiles, Lazy<WorkOf<S>>& lazy, Met<VectorOf<S>>& met,
                     WorkOf<S> least) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  Groups<T>& groups = lazy.groups;
  Piece<T>& piece = lazy.piece;
  const uint64_t group = tile / group_tiles, behind = (tiles.end - 1) / group_tiles + 1;
  const int count = behind - group < groups.capacity ? static_cast<int>(behind - group) : groups.capacity;
  auto column_of = [&](int g) {
    return static_cast<int64_t>((group + static_cast<uint64_t>(g)) * group_tiles * tile_size - noise.first);
  };
  auto is_whole = [&](int g) { return column_of(g) >= begin && column_of(g) + group_tiles * tile_size <= end; };
  groups.draw(noise.key, group, count);
  V top_bound = minus_infinity<V>();
  Met<V> here;
  for (int g = 0; g < count; g += V::lanes) {
    V most[V::lanes];
    for (int q = 0; q < V::lanes; ++q)
      most[q] = g + q >= count    ? minus_infinity<V>()
                : is_whole(g + q) ? group_most<true>(row, column_of(g + q), begin, end, here)
                                  : group_most<false>(row, column_of(g + q), begin, end, here);
    const V of_each = simd::max_of_each(most), bound = perturb(of_each, scale, load(groups.top + g));
    here.largest = simd::max(here.largest, of_each);
    top_bound = simd::max(top_bound, bound);
    store(groups.bound + g, bound);
  }

  met.nan = met.nan | here.nan;
  met.largest = simd::max(met.largest, here.largest);
  for (int at = 0; at < count * group_tiles; at += V::lanes) {
    store(piece.bound + at, minus_infinity<V>());
    store(piece.known + at, minus_infinity<V>());
  }
  V known = minus_infinity<V>();
  bool seen[Groups<T>::capacity] = {};
  auto look_into = [&](T reach) {
    for (int at = 0; at < count; at += V::lanes)
      for (uint32_t pick = bits(load(groups.bound + at) >= set(reach)); pick; pick &= pick - 1) {
        const int g = at + __builtin_ctz(pick), first_tile = g * group_tiles;
        if (seen[g] || !(groups.bound[g] >= least)) continue;
        seen[g] = true;
        heads_of(groups.bits_of[g], groups.heads[g]);
        T *bound = piece.bound + first_tile, *at_heads = piece.known + first_tile;
        if (is_whole(g))
          scan_group<true>(row, column_of(g), begin, end, scale, groups.heads[g], met, bound, at_heads);
        else
          scan_group<false>(row, column_of(g), begin, end, scale, groups.heads[g], met, bound, at_heads);
        for (int i = 0; i < group_tiles; i += V::lanes) known = simd::max(known, load(at_heads + i));
      }
  };
  // Those that promise most come first: what occurs in them rules out most others.
  constexpr T promising = 2;
  look_into(simd::lane_max(top_bound) - promising);
  look_into(below(simd::lane_max(known)));
  piece.first = group * group_tiles;
  piece.count = count * group_tiles;
  piece.heads = groups.heads;
  return piece.first + static_cast<uint64_t>(piece.count);
}

}  // namespace
}  // namespace gumbelfast
