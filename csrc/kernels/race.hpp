// A race of weights: the largest w / E of a row, in order, without a logarithm (docs/stream.md, "Races of weights"). A
// tile is opened only where its largest weight over its smallest exponential may be among them.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The scores fl(w / E) as integers that ascend as they do, their exponents unbounded: the bits of a double, but for a
// signed exponent of 12 bits. What has no weight has none.
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

// The upper halves of scores: enough to rule out tiles, and half the memory. Those of a score that reaches another
// reach that one's.
GF_OP void store_uppers(int32_t* upper, U64 low, U64 high) {
  store(reinterpret_cast<uint32_t*>(upper), simd::narrow(simd::shr<32>(low), simd::shr<32>(high)));
}
// Places for as many again may be overwritten.
GF_OP void store_uppers(int32_t* upper, F64 weight, F64 exponential) {
  const U64 score = scores_of(weight, exponential);
  store_uppers(upper, score, score);
}
GF_OP void store_uppers(int32_t* upper, F32 weight, F32 exponential) {
  store_uppers(upper, scores_of(simd::widen_low(weight), simd::widen_low(exponential)),
               scores_of(simd::widen_high(weight), simd::widen_high(exponential)));
}

// What a race has met among its weights. A sum that is finite has neither NaN nor an infinity among its terms.
template <class V>
struct MetWeights {
  using T = typename V::Scalar;
  V least = set(T{0}), sum = set(T{0});
  GF_OP void see(V x) {
    least = simd::min(least, x);
    sum = sum + x;
  }
  template <class S>
  bool refuses(const Row<S, false>& row, int64_t begin, int64_t end) const {
    if (simd::lane_max(set(T{0}) - least) > 0) return true;
    if (is_finite(simd::lane_sum(sum))) [[likely]]
      return false;
    V nan_or_infinite = set(T{0});
    for_blocks<V>(end - begin, [&](int64_t j, int n) {
      const V x = load_block(row.x + begin + j, n, set(T{0}));
      nan_or_infinite = nan_or_infinite + (x - x);
    });
    return !(simd::lane_sum(nan_or_infinite) == 0);
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
                      MetWeights<V>& met, int32_t* bound, int32_t* known) {
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
    store_uppers(bound + part, simd::max_of_each(most), minimum);
    store_uppers(known + part, load(at_place), minimum);
  }
}

// The bounds of a group by the row's tops (args.hpp), without a look at its weights. A tile is one of their parts, or
// lies in two.
template <class T, class V = VectorOf<T>>
GF_OP void bound_group(const T* tops, int64_t column, const Heads<T>& heads, int32_t* bound) {
  const int64_t shift = column & (tile_size - 1);
  const T* const top = tops + group_tiles + (column - shift) / tile_size;
  for (int i = 0; i < group_tiles; i += V::lanes) {
    const V most = shift ? simd::max(load(top + i), load(top + i + 1)) : load(top + i);
    store_uppers(bound + i, most, load(heads.minimum + i));
  }
}

GF_OP uint64_t word_of(int64_t score) { return static_cast<uint64_t>(score); }
GF_OP uint32_t word_of(int32_t upper) { return static_cast<uint32_t>(upper); }
GF_OP U64 load_scores(const int64_t* score) { return load(reinterpret_cast<const uint64_t*>(score)); }
GF_OP U32 load_scores(const int32_t* upper) { return load(reinterpret_cast<const uint32_t*>(upper)); }
GF_OP void store_scores(int64_t* score, U64 v) { store(reinterpret_cast<uint64_t*>(score), v); }
GF_OP void store_scores(int32_t* upper, U32 v) { store(reinterpret_cast<uint32_t*>(upper), v); }
GF_OP void compress(int64_t* to, M64 chosen, U64 v) { simd::compress(reinterpret_cast<uint64_t*>(to), chosen, v); }
GF_OP void compress(int32_t* to, M32 chosen, U32 v) { simd::compress(reinterpret_cast<uint32_t*>(to), chosen, v); }
GF_OP auto lanes_of(const int64_t*, uint32_t chosen) { return simd::lane_mask(chosen, F64{}); }
GF_OP auto lanes_of(const int32_t*, uint32_t chosen) { return simd::lane_mask(chosen, F32{}); }

// Scores in full, or their upper halves.
template <class Int>
constexpr int score_lanes = 64 / sizeof(Int);
template <class Int>
constexpr Int least_score = sizeof(Int) == 8 ? no_score : no_score >> 32;

// Which lanes reach a score that is not the least of all.
template <class Int>
GF_OP uint32_t reaching(const Int* score, Int least) {
  return bits(simd::signed_above(load_scores(score), set(word_of(static_cast<Int>(least - 1)))));
}

template <class Int>
GF_OP int append(Int* to, const Int* score, uint32_t chosen) {
  compress(to, lanes_of(score, chosen), load_scores(score));
  return __builtin_popcount(chosen);
}

// A score that just k of n reach, or the k-th largest where equal ones leave no such; a block behind is overwritten.
template <class Int>
GF_OP Int kth_score(Int* score, int64_t n, int64_t k) {
  constexpr int step = score_lanes<Int>;
  for (int i = 0; i < step; ++i) score[n + i] = score[0];
  auto most = load_scores(score), least = most;
  for (int64_t i = 0; i < n; i += step) {
    const auto v = load_scores(score + i);
    most = select(simd::signed_above(v, most), v, most);
    least = select(simd::signed_above(least, v), v, least);
  }
  Int low = score[0], high = low, lanes[2 * step];
  store_scores(lanes, most);
  store_scores(lanes + step, least);
  for (const Int one : lanes) {
    low = one < low ? one : low;
    high = one > high ? one : high;
  }
  for (int i = 0; i < step; ++i) score[n + i] = least_score<Int>;
  if (k == 1) return high;
  for (++high; high - 1 > low;) {  // at least k reach `low`, fewer reach `high`
    const Int middle = low + static_cast<Int>((word_of(high) - word_of(low)) / 2);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += step) count += __builtin_popcount(reaching(score + i, middle));
    if (count == k) return middle;
    (count > k ? low : high) = middle;
  }
  return low;
}

// log(w / E) of scores. Where no normal double has such an exponent, it is moved by so many octaves.
GF_OP F64 logs_of(U64 score) {
  constexpr double octaves = 1024;
  constexpr uint64_t one = uint64_t{1023} << 52, shift = uint64_t{1024} << 52;
  const auto high = simd::signed_above(score, set((uint64_t{1024} << 52) - 1));
  const auto low = simd::signed_above(set(~(uint64_t{1022} << 52) + 1), score);
  const U64 near = select(high, score - set(shift), select(low, score + set(shift), score));
  const F64 moved = select(high, set(octaves), select(low, set(-octaves), set(0.0)));
  return moved * set(Coefficients<double>::ln2) - minus_log(simd::as_float(near + set(one)));
}

// The scores of a row that may be among the k largest, in the order of their columns: none but those that reach
// `reach` matter. One block of memory: several large ones would be handed back to the system call by call.
template <class T>
struct Racers {
  static constexpr int64_t batch = group_tiles * tile_size;  // the most that one opening adds

  Racers(int64_t size, int tiles)
      : k(size),
        capacity(2 * size + 2 * batch),
        cache(tiles),
        score(new int64_t[static_cast<uint64_t>(2 * room()) + static_cast<uint64_t>(3 * tiles + room() + 48) / 2]),
        column(score + room()),
        bound(reinterpret_cast<int32_t*>(column + room())),
        known(bound + tiles + 16),
        pool(known + tiles + 16),
        piece(tiles) {}
  ~Racers() { delete[] score; }
  Racers(const Racers&) = delete;
  Racers& operator=(const Racers&) = delete;

  // Of lists of scores, with a block behind them.
  int64_t room() const { return capacity + score_lanes<int32_t>; }
  void clear() {
    count = 0;
    reach = no_score + 1;
  }
  // What the upper half of a score must reach.
  int32_t upper_reach() const {
    const auto upper = static_cast<int32_t>(reach >> 32);
    return upper > least_score<int32_t> ? upper : least_score<int32_t> + 1;
  }
  void lift(int64_t least) { reach = least > reach ? least : reach; }
  // The k-th best of what is held and of scores known to occur in the next piece: all are distinct elements.
  void raise(int tiles) {
    shrink();
    int64_t n = 0;
    for (; n < count; ++n) pool[n] = static_cast<int32_t>(score[n] >> 32);
    const int32_t useful = upper_reach();
    for (int i = 0; i < tiles; i += score_lanes<int32_t>) n += append(pool + n, known + i, reaching(known + i, useful));
    if (n >= k) lift(static_cast<int64_t>(kth_score(pool, n, k)) * (int64_t{1} << 32));
  }
  // Drops all but the k largest; among equals the first stay.
  void shrink() {
    if (count <= k) return;
    const int64_t least = kth_score(score, count, k);
    lift(least);
    int64_t equal = k, kept = 0;
    for (int64_t i = 0; i < count; i += U64::lanes) equal -= __builtin_popcount(reaching(score + i, least + 1));
    for (int64_t i = 0; i < count; i += U64::lanes) {
      const uint32_t above = reaching(score + i, least + 1);
      uint32_t same = reaching(score + i, least) & ~above;
      for (; __builtin_popcount(same) > equal; same &= ~(1u << (31 - __builtin_clz(same)))) {
      }
      equal -= __builtin_popcount(same);
      append(column + kept, column + i, above | same);
      kept += append(score + kept, score + i, above | same);
    }
    count = k;
  }
  // A block of scores from column `at` on.
  GF_OP void take(const int64_t* some, int64_t at) {
    const uint32_t chosen = reaching(some, reach);
    if (!chosen) return;
    append(score + count, some, chosen);
    compress(column + count, lanes_of(column, chosen), set(static_cast<uint64_t>(at)) + simd::iota64());
    count += __builtin_popcount(chosen);
  }
  // After some were taken: a single one is never waited for.
  void settle() {
    if (k == 1 || count + batch > capacity) shrink();
  }
  // The k best, largest first; false if there are fewer.
  bool write(int64_t place, const RaceArgs& args) {
    shrink();
    order_scores(score, column, count);
    for (int64_t i = 0; i < k; ++i) args.index[place + i] = i < count ? column[i] : -1;
    if (args.score)
      for (int64_t i = 0; i < k; ++i) args.score[place + i] = i < count ? score[i] : no_score;
    if (args.perturbed) write_perturbed(args.perturbed + place);
    return count == k;
  }

  int64_t k, capacity, count = 0;
  int64_t reach = no_score + 1;
  HeadCache<T, Law::exponential> cache;
  int64_t *score, *column;
  int32_t *bound, *known, *pool;
  int piece;

 private:
  // Logarithms of what is in order. Their last bits need not be, which is undone.
  void write_perturbed(double* perturbed) {
    double least = __builtin_inf();
    for (int64_t i = 0; i < count; i += U64::lanes) {
      double value[U64::lanes];
      for (int64_t behind = count; behind < i + U64::lanes; ++behind) score[behind] = score[i];
      store(value, logs_of(load_scores(score + i)));
      for (int64_t j = i; j < count && j < i + U64::lanes; ++j) {
        least = value[j - i] < least ? value[j - i] : least;
        perturbed[j] = least;
      }
    }
    for (int64_t i = count; i < k; ++i) perturbed[i] = -__builtin_inf();
  }
};

// The groups of a row with tops: what their bits and tops say rules out most of them, so that few heads are computed,
// and few weights read. `slot` tells where in `heads` and in the bounds of the racers a group lies, if it does.
template <class T>
struct TopGroups {
  using V = VectorOf<T>;

  explicit TopGroups(int64_t groups)
      : heads(groups ? new Heads<T>[static_cast<uint64_t>(groups)] : nullptr),
        bound(groups ? new int32_t[2 * static_cast<uint64_t>(groups + 32)] : nullptr),
        slot(bound ? bound + groups + 32 : nullptr) {}
  ~TopGroups() {
    delete[] heads;
    delete[] bound;
  }
  TopGroups(const TopGroups&) = delete;
  TopGroups& operator=(const TopGroups&) = delete;

  // The score that none of each group exceeds: its largest top over the least that a minimum can be, h / 2**29, less
  // what rounding may take from a minimum.
  void bound_all(Key wanted, uint64_t first_group, int groups, const T* tops, int64_t column) {
    key = wanted, group = first_group, count = groups, looked = 0;
    const int64_t shift = column & (tile_size - 1);
    const T* const first = tops + group_tiles + (column - shift) / tile_size;
    for (int g = 0; g < count; g += V::lanes) {
      const int some = count - g < V::lanes ? count - g : V::lanes;
      Words bits_of[V::lanes];
      draw_head_bits(key, group + static_cast<uint64_t>(g), some,
                     [&](int i, const Words& words) { bits_of[i] = words; });
      V most[V::lanes];
      for (int q = 0; q < V::lanes; ++q) {
        const T* const top = first + (q < some ? g + q : g) * group_tiles;
        most[q] = load(top);
        for (int i = V::lanes; i < group_tiles; i += V::lanes) most[q] = simd::max(most[q], load(top + i));
        if (shift) most[q] = simd::max(most[q], load(top + 1 + group_tiles - V::lanes));
      }
      const V least = smallest_heads<V>(bits_of, 0, some) * set(T(0x1p-29 * (1 - 0x1p-18)));
      store_uppers(bound + g, simd::max_of_each(most), simd::max(least, set(T(0x1p-100))));
      for (int q = 0; q < V::lanes; ++q) slot[g + q] = -1;
    }
    for (int i = count; i < count + score_lanes<int32_t>; ++i) bound[i] = least_score<int32_t>;
  }
  // Computes heads and bounds of the groups that may reach a score.
  void look_into(int32_t reach, const T* tops, int64_t column, Racers<T>& racers) {
    for (int at = 0; at < count; at += score_lanes<int32_t>)
      for (uint32_t pick = reaching(bound + at, reach); pick; pick &= pick - 1) {
        const int g = at + __builtin_ctz(pick);
        draw_heads<Law::exponential>(key, group + static_cast<uint64_t>(g), 1, heads + looked);
        bound_group(tops, column + g * group_tiles * tile_size, heads[looked], racers.bound + looked * group_tiles);
        bound[g] = least_score<int32_t>;
        slot[g] = looked++;
      }
  }
  // Looks into the groups, and at the heads' places of the tiles, that promise most, and then into all that may hold
  // what is asked for.
  template <class S>
  void look(const Row<S, false>& row, const T* tops, int64_t column, int64_t begin, int64_t end, Racers<T>& racers) {
    const int64_t enough = 4 * racers.k + 12;
    const auto promising = [&](const int32_t* upper, int n) {
      int64_t some = 0;
      const int32_t least = racers.upper_reach();
      for (int i = 0; i < n; i += score_lanes<int32_t>)
        some += append(racers.pool + some, upper + i, reaching(upper + i, least));
      return some > enough ? kth_score(racers.pool, some, enough) : least;
    };
    look_into(promising(bound, count), tops, column, racers);
    const int tiles = looked * group_tiles;
    const int32_t least = promising(racers.bound, tiles);
    for (int i = 0; i < tiles; ++i) racers.known[i] = least_score<int32_t>;
    for (int g = 0; g < count; ++g)
      for (int i = slot[g] * group_tiles, j = 0; slot[g] >= 0 && j < group_tiles; ++i, ++j) {
        if (racers.bound[i] < least) continue;
        const Head<T> head = heads[slot[g]][static_cast<uint64_t>(j)];
        const int64_t at = column + (g * group_tiles + j) * tile_size + head.place;
        if (at < begin || at >= end) continue;
        int32_t upper[16];
        store_uppers(upper, set(work_value(row.x[at])), set(head.minimum));
        racers.known[i] = upper[0];
      }
    racers.raise(tiles);
    look_into(racers.upper_reach(), tops, column, racers);
  }

  Key key{};
  uint64_t group = 0;
  Heads<T>* heads;
  int32_t *bound, *slot;
  int count = 0, looked = 0;
};

template <class S, class T = WorkOf<S>>
int64_t race_row(const Row<S, false>& row, const T* tops, const RowNoise& noise, int64_t begin, int64_t end,
                 int64_t ahead, Racers<T>& racers, TopGroups<T>& of_tops, MetWeights<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  int64_t opened = 0;
  const TileRange tiles(noise, begin, end, ahead);
  const uint64_t behind = (tiles.end - 1) / group_tiles + 1;
  for (uint64_t group = tiles.begin / group_tiles; group < behind;) {
    const uint64_t left = behind - group, most = static_cast<uint64_t>(racers.piece / group_tiles);
    const int groups = static_cast<int>(left < most ? left : most);
    const auto column = static_cast<int64_t>(group * group_tiles * tile_size - noise.first);
    const Heads<T>* heads = of_tops.heads;
    if (tops) {
      of_tops.bound_all(noise.key, group, groups, tops, column);
      of_tops.look(row, tops, column, begin, end, racers);
    } else {
      heads = racers.cache.get(noise.key, group, groups, tiles.last_group);
      for (int g = 0, i = 0; g < groups; ++g, i += group_tiles)
        race_group(row, column + i * tile_size, begin, end, heads[g], met, racers.bound + i, racers.known + i);
      racers.raise(groups * group_tiles);
    }
    uint64_t tile[group_tiles];
    Heads<T> head;
    int picked = 0;
    const auto open = [&] {
      alignas(64) T exponentials[group_tiles * tile_size];
      alignas(64) int64_t score[V::lanes];
      draw_tiles<Law::exponential>(noise.key, tile, head, 0, picked, exponentials);
      for (int i = 0; i < picked; ++i) {
        const int64_t start = static_cast<int64_t>(tile[i] * tile_size - noise.first);
        const TileWeights<S> weights(row, start, begin, end);
        for (int at = 0; at < tile_size; at += V::lanes) {
          store_scores(score, load(weights.at + at), load(exponentials + i * tile_size + at));
          for (int lane = 0; lane < V::lanes; lane += U64::lanes) racers.take(score + lane, start + at + lane);
        }
      }
      racers.settle();
      opened += picked;
      picked = 0;
    };
    for (int g = 0; g < groups; ++g) {
      const int slot = tops ? of_tops.slot[g] : g;
      if (slot < 0) continue;
      const int32_t* const bound = racers.bound + slot * group_tiles;
      for (uint32_t pick = reaching(bound, racers.upper_reach()); pick; pick &= pick - 1) {
        const auto i = static_cast<uint64_t>(__builtin_ctz(pick));
        if (bound[i] < racers.upper_reach()) continue;
        tile[picked] = (group + static_cast<uint64_t>(g)) * group_tiles + i;
        head.set(picked, heads[slot][i]);
        if (tops) prefetch(row.x + static_cast<int64_t>(tile[picked] * tile_size - noise.first));
        if (++picked == group_tiles) open();
      }
    }
    if (picked) open();
    group += static_cast<uint64_t>(groups);
  }
  return opened;
}

// A short row, whose noise is at hand, is scored as a whole.
template <class S, class T = WorkOf<S>>
void race_filled_row(const Row<S, false>& row, int64_t begin, int64_t end, const T* exponentials, Racers<T>& racers,
                     MetWeights<VectorOf<S>>& met) {
  using V = VectorOf<S>;
  for_blocks<V>(end - begin, [&](int64_t j, int n) {
    alignas(64) int64_t score[V::lanes];
    const V weight = load_block(row.x + begin + j, n, set(T{0}));
    met.see(weight);
    store_scores(score, weight, load_block(exponentials + j, n, set(T{1})));
    for (int lane = 0; lane < V::lanes; lane += U64::lanes) racers.take(score + lane, begin + j + lane);
    racers.settle();
  });
}

template <class S>
Result race(const RaceArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const int64_t k = args.k, begin = span.col_begin, end = span.col_end, cols = end - begin;
  const bool flat = is_flat(args.noise, cols);
  const bool is_long = cols > short_row, has_tops = is_long && args.tops;
  const int64_t groups = cols / (group_tiles * tile_size) + 2;  // in which a row may lie
  Racers<T> racers(k, has_tops ? static_cast<int>(groups) * group_tiles : is_long ? piece_for(k) : group_tiles);
  TopGroups<T> of_tops(has_tops ? groups : 0);
  NoiseBatch<T, Law::exponential> batch(args.noise, span);
  int64_t opened = 0;
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, false> row(args.weights, i);
    MetWeights<VectorOf<S>> met;
    racers.clear();
    if (is_long) {
      const T* const tops =
          args.tops ? static_cast<const T*>(args.tops) + i % args.weights.rows * args.tops_stride : nullptr;
      const int64_t ahead = flat ? (span.end - 1 - i) * cols : 0;
      opened += race_row(row, tops, RowNoise(args.noise, i), begin, end, ahead, racers, of_tops, met);
    } else {
      race_filled_row(row, begin, end, batch.row(i, opened), racers, met);
    }
    if (met.refuses(row, begin, end)) return refused;
    if (args.sum) args.sum[i] = static_cast<double>(simd::lane_sum(met.sum));
    lacks |= !racers.write(i * k, args);
  }
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

}  // namespace
}  // namespace gumbelfast
