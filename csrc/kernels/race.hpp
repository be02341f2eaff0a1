// A race of weights: the largest w / E of a row, in order, without a logarithm (docs/stream.md, "Races of weights"). A
// tile is opened only where its largest weight over its smallest exponential may be among them.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The scores fl(w / E) as integers that ascend as they do, their exponents unbounded: the bits of a double, but for an
// exponent of 12 bits. What has no weight has none.
GF_OP U64 scores_of(F64 weight, F64 exponential) {
  constexpr uint64_t exponents = uint64_t{0x7FF} << 52, one = uint64_t{1023} << 52, lift = uint64_t{64} << 52;
  const auto tiny = set(0x1p-1022) > weight;
  const U64 word = simd::as_bits(select(tiny, weight * set(0x1p64), weight));
  const F64 significand = simd::as_float((word & set(~exponents)) | set(one));
  const U64 quotient = simd::as_bits(significand / exponential), exponent = word & set(exponents);
  const U64 score = quotient + exponent - set(2 * one);
  return select(weight > set(0.0), select(tiny, score - set(lift), score), set(static_cast<uint64_t>(no_score)));
}
GF_OP void store_scores(int64_t* score, F64 weight, F64 exponential) {
  store(reinterpret_cast<uint64_t*>(score), scores_of(weight, exponential));
}
GF_OP void store_scores(int64_t* score, F32 weight, F32 exponential) {
  store_scores(score, simd::widen_low(weight), simd::widen_low(exponential));
  store_scores(score + 8, simd::widen_high(weight), simd::widen_high(exponential));
}

// What a race has met among its weights.
template <class V>
struct MetWeights {
  decltype(V{} > V{}) nan = V{} > V{};
  V largest = set(typename V::Scalar{0}), least = largest;
  GF_OP void see(V x) {
    nan = nan | simd::unordered(x, x);
    largest = simd::max(largest, x);
    least = simd::min(least, x);
  }
  bool refused() const {
    using T = typename V::Scalar;
    return bits(nan) || !(simd::lane_max(largest) < static_cast<T>(__builtin_inff())) ||
           simd::lane_max(set(T{0}) - least) > 0;
  }
};

// The 32 weights of the tile that starts at `column`; zeros where it leaves columns [begin, end).
template <class S>
struct TileWeights {
  const S* at;
  TileWeights(const Row<S, false>& row, int64_t column, int64_t begin, int64_t end) : at(row.x + column) {
    if (column >= begin && column + tile_size <= end) [[likely]]
      return;
    for (int64_t p = 0; p < tile_size; ++p)
      padded[p] = column + p >= begin && column + p < end ? row.x[column + p] : S{};
    at = padded;
  }
  TileWeights(const TileWeights&) = delete;
  TileWeights& operator=(const TileWeights&) = delete;

 private:
  S padded[tile_size];
};

// Of the tiles of one group: a score that none of a tile exceeds, and that of the head's place.
template <class S, class V = VectorOf<S>, class T = WorkOf<S>>
GF_OP void race_group(const Row<S, false>& row, int64_t column, int64_t begin, int64_t end, const Heads<T>& heads,
                      MetWeights<V>& met, int64_t* bound, int64_t* known) {
  for (int part = 0; part < group_tiles; part += V::lanes) {
    V most[V::lanes];
    alignas(64) S at_place[V::lanes];
    for (int q = 0; q < V::lanes; ++q) {
      const int64_t start = column + (part + q) * tile_size;
      if (start + tile_size <= begin || start >= end) {
        most[q] = set(T{0});
        at_place[q] = S{};
        continue;
      }
      const TileWeights<S> weights(row, start, begin, end);
      prefetch_ahead(weights.at);
      at_place[q] = weights.at[heads.place[part + q]];
      V x[tile_blocks<V>];
#pragma GCC unroll 4
      for (int i = 0; i < tile_blocks<V>; ++i) {
        x[i] = load(weights.at + i * V::lanes);
        met.see(x[i]);
      }
      most[q] = x[0];
#pragma GCC unroll 4
      for (int i = 1; i < tile_blocks<V>; ++i) most[q] = simd::max(most[q], x[i]);
    }
    const V minimum = load(heads.minimum + part);
    store_scores(bound + part, simd::max_of_each(most), minimum);
    store_scores(known + part, load(at_place), minimum);
  }
}

// A score that just k of n reach, or the k-th largest where equal ones leave no such; a block behind is overwritten.
GF_OP int64_t kth_score(int64_t* score, int64_t n, int64_t k) {
  int64_t low = score[0], high = score[0];
  for (int64_t i = 1; i < n; ++i) {
    low = score[i] < low ? score[i] : low;
    high = score[i] > high ? score[i] : high;
  }
  for (int i = 0; i < U64::lanes; ++i) score[n + i] = no_score;
  for (++high; high - 1 > low;) {  // at least k reach `low`, fewer reach `high`
    const int64_t middle = low + static_cast<int64_t>((static_cast<uint64_t>(high) - static_cast<uint64_t>(low)) / 2);
    const U64 below = set(static_cast<uint64_t>(middle - 1));
    int64_t reaching = 0;
    for (int64_t i = 0; i < n; i += U64::lanes)
      reaching +=
          __builtin_popcount(bits(simd::signed_above(load(reinterpret_cast<const uint64_t*>(score + i)), below)));
    if (reaching == k) return middle;
    (reaching > k ? low : high) = middle;
  }
  return low;
}

// Memory for the rows of a call.
template <class T>
struct RaceRoom {
  RaceRoom(int64_t size, int tiles)
      : k(size),
        capacity(2 * size + 2 * batch),
        cache(tiles),
        bound(new int64_t[2 * static_cast<uint64_t>(tiles)]),
        known(bound + tiles),
        pool(new int64_t[static_cast<uint64_t>(capacity + tiles + U64::lanes)]),
        best(new Scored[static_cast<uint64_t>(capacity)]),
        piece(tiles) {}
  ~RaceRoom() {
    delete[] bound;
    delete[] pool;
    delete[] best;
  }
  RaceRoom(const RaceRoom&) = delete;
  RaceRoom& operator=(const RaceRoom&) = delete;

  void clear() {
    count = 0;
    reach = no_score;
  }
  // The k-th best of what is held and of scores known to occur in the next piece: all are distinct elements.
  void raise(int tiles) {
    if (k == 1) {
      for (int i = 0; i < tiles; ++i) reach = known[i] > reach ? known[i] : reach;
      return;
    }
    if (count > k) shrink();
    int64_t n = 0;
    for (int64_t i = 0; i < count; ++i) pool[n++] = best[i].score;
    for (int i = 0; i < tiles; ++i) {
      pool[n] = known[i];
      n += known[i] > reach;
    }
    if (n < k) return;
    const int64_t least = kth_score(pool, n, k);
    reach = least > reach ? least : reach;
  }
  void shrink() {
    keep_first(best, count, k);
    count = count < k ? count : k;
    if (count < k) return;
    int64_t least = best[0].score;
    for (int64_t i = 1; i < k; ++i) least = best[i].score < least ? best[i].score : least;
    reach = least > reach ? least : reach;
  }
  // Some scores whose first column is `column`.
  GF_OP void take(const int64_t* score, int64_t n, int64_t column) {
    for (int64_t i = 0; i < n; ++i) {
      if (score[i] < reach || score[i] == no_score) continue;
      best[count++] = {score[i], column + i};
      if (k == 1) reach = score[i];
    }
  }
  void make_room() {
    if (count + batch > capacity) shrink();
  }
  bool write(int64_t* index) {
    if (count > k) shrink();
    order_scored(best, count);
    for (int64_t i = 0; i < k; ++i) index[i] = i < count ? best[i].column : -1;
    return count == k;
  }

  static constexpr int64_t batch = group_tiles * tile_size;  // the most that one opening adds
  int64_t k, capacity, count = 0;
  int64_t reach = no_score;
  HeadCache<T> cache;
  int64_t *bound, *known, *pool;
  Scored* best;
  int piece;
};

template <class S>
int64_t race_row(const Row<S, false>& row, const RowNoise& noise, int64_t cols, RaceRoom<WorkOf<S>>& room,
                 MetWeights<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, 0, cols, 0);
  for (uint64_t group = tiles.begin / group_tiles; group < tiles.last_group;) {
    const uint64_t left = tiles.last_group - group, most = static_cast<uint64_t>(room.piece / group_tiles);
    const int groups = static_cast<int>(left < most ? left : most);
    const Heads<T>* heads = room.cache.get(noise.key, group, groups, tiles.last_group);
    for (int i = 0; i < groups; ++i) {
      const uint64_t first = (group + static_cast<uint64_t>(i)) * group_tiles;
      race_group(row, static_cast<int64_t>(first * tile_size - noise.first), 0, cols, heads[i], met,
                 room.bound + i * group_tiles, room.known + i * group_tiles);
    }
    room.raise(groups * group_tiles);
    uint64_t tile[group_tiles];
    Heads<T> head;
    int picked = 0;
    const auto open = [&] {
      alignas(64) T exponentials[group_tiles * tile_size];
      alignas(64) int64_t score[tile_size];
      room.make_room();
      draw_tiles<Law::exponential>(noise.key, tile, head, 0, picked, exponentials);
      for (int i = 0; i < picked; ++i) {
        const int64_t column = static_cast<int64_t>(tile[i] * tile_size - noise.first);
        const TileWeights<S> weights(row, column, 0, cols);
        for (int at = 0; at < tile_size; at += V::lanes)
          store_scores(score + at, load(weights.at + at), load(exponentials + i * tile_size + at));
        room.take(score, tile_size, column);
      }
      opened += picked;
      picked = 0;
    };
    for (int i = 0; i < groups * group_tiles; ++i) {
      if (room.bound[i] < room.reach || room.bound[i] == no_score) continue;
      tile[picked] = group * group_tiles + static_cast<uint64_t>(i);
      Head<T> one = heads[i / group_tiles][static_cast<uint64_t>(i % group_tiles)];
      one.top = one.minimum;  // as an exponential
      head.set(picked, one);
      if (++picked == group_tiles) open();
    }
    if (picked) open();
    group += static_cast<uint64_t>(groups);
  }
  return opened;
}

template <class S>
Result race(const RaceArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t k = args.k, cols = args.weights.cols;
  RaceRoom<T> room(k, cols > short_row ? piece_for(k) : group_tiles);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, false> row(args.weights, i);
    const RowNoise noise(args.noise, i);
    MetWeights<V> met;
    room.clear();
    if (cols > short_row) {
      opened += race_row(row, noise, cols, room, met);
    } else {
      alignas(64) T exponentials[short_row + V::lanes];
      int64_t score[V::lanes];
      fill_noise<Law::exponential>(noise.key, noise.first, cols, exponentials);
      for_blocks<V>(cols, [&](int64_t j, int n) {
        const V weight = load_block(row.x + j, n, set(T{0}));
        met.see(weight);
        store_scores(score, weight, load_block(exponentials + j, n, set(T{1})));
        room.take(score, n, j);
      });
      ++opened;
    }
    if (met.refused()) return refused;
    lacks |= !room.write(args.index + i * k);
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

}  // namespace
}  // namespace gumbelfast
