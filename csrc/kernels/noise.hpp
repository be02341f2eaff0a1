// From bits to noise: the smallest exponential of a tile first, then the others above it (see docs/stream.md).
#pragma once

namespace gumbelfast {
namespace {

constexpr int tile_size = 32;
constexpr int group_tiles = 16;  // tiles whose heads come from one vector of Philox blocks

template <class V>
constexpr int tile_blocks = tile_size / V::lanes;

GF_OP uint64_t tile_of(uint64_t element) { return element / tile_size; }

// The smallest exponential of a tile, the Gumbel that it becomes (the largest of the tile), and its place among the 32.
template <class T>
struct Head {
  T minimum, top;
  uint32_t place;
};
template <class T>
struct Heads {
  alignas(64) T minimum[group_tiles];
  alignas(64) T top[group_tiles];
  alignas(64) uint32_t place[group_tiles];
  Head<T> operator[](uint64_t i) const { return {minimum[i], top[i], place[i]}; }
};

template <int n>
struct Fixed {
  static constexpr int value = n;
};

// 1 - V = (s + 1/2) / 2**59 with s = not (H >> 5), read as a signed number: near 0 and near 1 alike no bit is lost.
template <class V>
GF_OP void store_minima(V s, typename V::Scalar* minimum, typename V::Scalar* top) {
  using T = typename V::Scalar;
  const V m = minus_log_unit(set(T{0}), fma(s, set(T(0x1p-59)), set(T(0x1p-60)))) * set(T(0x1p-5));
  store(minimum, m);
  store(top, minus_log(m));
}
GF_OP void store_minima(U64 low, U64 high, Heads<float>& heads) {
  store_minima(simd::narrow(simd::signed_float(low), simd::signed_float(high)), heads.minimum, heads.top);
}
GF_OP void store_minima(U64 low, U64 high, Heads<double>& heads) {
  store_minima(simd::signed_float(low), heads.minimum, heads.top);
  store_minima(simd::signed_float(high), heads.minimum + 8, heads.top + 8);
}

// Step(count, i) for i = 0, 4, 8, ... with count = 4, then one by one: four Philox streams keep the multipliers busy.
template <class Step>
GF_OP void by_fours(int count, Step step) {
  int i = 0;
  for (; i + 4 <= count; i += 4) step(Fixed<4>(), i);
  for (; i < count; ++i) step(Fixed<1>(), i);
}

// The heads of `count` groups from `group` on.
template <class T>
void draw_heads(Key key, uint64_t group, int count, Heads<T>* heads) {
  by_fours(count, [&](auto n, int from) {
    Counter at[n.value];
    Words words[n.value];
    for (int i = 0; i < n.value; ++i) at[i] = {domain_head, 8 * (group + static_cast<uint64_t>(from + i))};
    philox8(key, at, words);
    for (int i = 0; i < n.value; ++i) {
      const U64 low = simd::as_pairs(words[i].low), high = simd::as_pairs(words[i].high);
      const U64 ones = set(~uint64_t{0}), place = set(uint64_t{31});
      store_minima(simd::sar<5>(low ^ ones), simd::sar<5>(high ^ ones), heads[from + i]);
      store(heads[from + i].place, simd::narrow(low & place, high & place));
    }
  });
}

// The random bits of a tile's elements, 32 an element, or 64 with the extension below the word.
GF_OP void draw_units(Key key, const uint64_t* tile, int count, uint32_t* unit) {
  by_fours(count, [&](auto n, int from) {
    Counter at[n.value];
    Words words[n.value];
    for (int i = 0; i < n.value; ++i) at[i] = {domain_word, 8 * tile[from + i]};
    philox8(key, at, words);
    for (int i = 0; i < n.value; ++i) {
      store(unit + (from + i) * tile_size, words[i].low);
      store(unit + (from + i) * tile_size + 16, words[i].high);
    }
  });
}
GF_OP void store_joined(uint64_t* unit, U32 word, U32 extension) {
  store(unit, simd::shl<32>(simd::widen_low(word)) | simd::widen_low(extension));
  store(unit + 8, simd::shl<32>(simd::widen_high(word)) | simd::widen_high(extension));
}
GF_OP void draw_units(Key key, const uint64_t* tile, int count, uint64_t* unit) {
  for (int i = 0; i < count; i += 2, unit += 2 * tile_size) {
    const uint64_t block = 8 * tile[i], next = 8 * tile[i + 1 < count ? i + 1 : i];
    Words words[4];
    philox8(key, {{domain_word, block}, {domain_extension, block}, {domain_word, next}, {domain_extension, next}},
            words);
    store_joined(unit, words[0].low, words[1].low);
    store_joined(unit + 16, words[0].high, words[1].high);
    if (i + 1 == count) return;
    store_joined(unit + tile_size, words[2].low, words[3].low);
    store_joined(unit + tile_size + 16, words[2].high, words[3].high);
  }
}
template <class T>
struct UnitOf;
template <>
struct UnitOf<float> {
  using Type = uint32_t;
};
template <>
struct UnitOf<double> {
  using Type = uint64_t;
};

// Signed units, f = u or u - 1 (see minus_log_unit): the conversion keeps relative accuracy at both ends.
GF_OP F32 unit_float(U32 unit) { return fma(simd::signed_float(unit), set(0x1p-32f), set(0x1p-33f)); }
GF_OP F64 unit_float(U64 unit) { return fma(simd::signed_float(unit), set(0x1p-64), set(0x1p-65)); }

// A float word below 2**16 wants its extension: such lanes are found here and repaired after the tile is done.
GF_OP M32 is_short(U32 word) { return simd::shr<16>(word) == set(uint32_t{0}); }
GF_OP M64 is_short(U64) { return M64{}; }

// The float noise of such lanes: u = (word * 2**32 + extension + 1/2) / 2**64, below 2**-16.
[[gnu::noinline, gnu::cold]] inline void repair(Key key, uint64_t tile, float minimum, const uint32_t* word,
                                                float* gumbel) {
  for (uint64_t p = 0; p < tile_size; ++p) {
    if (word[p] >> 16) continue;
    const Block4 extension = philox_block(key, {domain_extension, 8 * tile + p % 16 / 2});
    const uint64_t unit = static_cast<uint64_t>(word[p]) << 32 | extension.word[2 * (p / 16) + p % 2];
    const F32 u = set(static_cast<float>((static_cast<double>(unit) + 0.5) * 0x1p-64));
    store_first(gumbel + p, 1, minus_log(minus_log_unit(set(minimum), u)));
  }
}
inline void repair(Key, uint64_t, double, const uint64_t*, double*) {}

// The Gumbels of up to group_tiles tiles, given their heads: bits first, logarithms after, so that each loop's steps
// are short and independent.
template <class T>
void draw_tiles(Key key, const uint64_t* tile, const Head<T>* head, int count, T* gumbel) {
  using V = VectorOf<T>;
  alignas(64) typename UnitOf<T>::Type unit[group_tiles * tile_size];
  draw_units(key, tile, count, unit);
  for (int i = 0; i < count; ++i, gumbel += tile_size) {
    const V least = set(head[i].minimum);
    auto any_short = is_short(load(unit + i * tile_size));
#pragma GCC unroll 4
    for (int j = 0; j < tile_size; j += V::lanes) {
      const auto u = load(unit + i * tile_size + j);
      any_short = any_short | is_short(u);
      store(gumbel + j, minus_log(minus_log_unit(least, unit_float(u))));
    }
    if (bits(any_short)) [[unlikely]]
      repair(key, tile[i], head[i].minimum, unit + i * tile_size, gumbel);
    gumbel[head[i].place] = head[i].top;
  }
}

// The Gumbels of elements [first, last) of one group of tiles.
template <class T>
T* fill_group(Key key, uint64_t first, uint64_t last, const Heads<T>& heads, T* out) {
  uint64_t tile[group_tiles];
  Head<T> head[group_tiles];
  for (uint64_t i = 0; i < group_tiles; ++i) {
    tile[i] = tile_of(first) / group_tiles * group_tiles + i;
    head[i] = heads[i];
  }
  for (uint64_t e = first; e < last;) {
    const uint64_t i = tile_of(e) % group_tiles, whole = e % tile_size ? 0 : (last - e) / tile_size;
    if (whole) {
      draw_tiles(key, tile + i, head + i, static_cast<int>(whole), out);
      out += whole * tile_size;
      e += whole * tile_size;
    } else {
      alignas(64) T part[tile_size];
      draw_tiles(key, tile + i, head + i, 1, part);
      do *out++ = part[e++ % tile_size];
      while (e < last && e % tile_size);
    }
  }
  return out;
}

// The Gumbels of elements [first, first + count).
template <class T>
void fill_gumbel(Key key, uint64_t first, int64_t count, T* out) {
  constexpr uint64_t group_size = group_tiles * tile_size;
  const uint64_t last = first + static_cast<uint64_t>(count);
  Heads<T> heads[4];
  while (first < last) {
    const uint64_t group = first / group_size, left = (last - 1) / group_size - group + 1;
    const int groups = left < 4 ? static_cast<int>(left) : 4;
    draw_heads(key, group, groups, heads);
    for (int i = 0; i < groups; ++i) {
      const uint64_t end = (first / group_size + 1) * group_size;
      out = fill_group(key, first, end < last ? end : last, heads[i], out);
      first = end;
    }
  }
}

constexpr int64_t noise_chunk = 1024;  // elements of noise that pass through the first-level cache at a time

// Where a row's noise lies: column j is element first + j.
struct RowNoise {
  Key key;
  uint64_t first;
  RowNoise(const Address& a, int64_t row)
      : key(a.seeds ? row_key(a.seeds[row]) : a.key),
        first(a.offsets ? a.offsets[row] : a.offset + static_cast<uint64_t>(row) * a.row_stride) {}
};

// Rows that follow each other in the noise of one key, nothing between them.
GF_OP bool is_flat(const Address& a, int64_t cols) {
  return !a.seeds && !a.offsets && a.row_stride == static_cast<uint64_t>(cols);
}

// How many rows a chunk of noise serves: several where they are short and follow each other in the array of noise.
GF_OP int64_t flat_batch(const Address& a, int64_t cols) {
  return is_flat(a, cols) && cols < noise_chunk ? noise_chunk / cols : 1;
}

// Where a chunk that starts at column j ends: between groups of tiles, so that no head is drawn twice.
GF_OP int64_t chunk_end(uint64_t first, int64_t j, int64_t cols) {
  const uint64_t within = (first + static_cast<uint64_t>(j)) % (tile_size * group_tiles);
  const int64_t end = j + noise_chunk - static_cast<int64_t>(within);
  return end < cols ? end : cols;
}

// loc + scale * g into elements [begin, end) of the output.
template <class S>
void gumbel(const GumbelArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  S* out = static_cast<S*>(args.out);
  if constexpr (sizeof(S) == sizeof(T)) {
    if (args.loc == 0 && args.scale == 1)
      return fill_gumbel(args.key, args.offset + static_cast<uint64_t>(begin), end - begin, out + begin);
  }
  const V loc = set(static_cast<T>(args.loc)), scale = set(static_cast<T>(args.scale));
  alignas(64) T noise[noise_chunk];
  for (int64_t count; begin < end; begin += count) {
    count = end - begin < noise_chunk ? end - begin : noise_chunk;
    fill_gumbel(args.key, args.offset + static_cast<uint64_t>(begin), count, noise);
    for_blocks<V>(count, [&](int64_t j, int n) { store_block(out + begin + j, n, load(noise + j) * scale + loc); });
  }
}

}  // namespace
}  // namespace gumbelfast
