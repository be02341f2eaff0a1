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

template <class T>
GF_OP void draw_heads(Key key, uint64_t group, Heads<T>& heads) {
  const Words words = philox8(key, domain_head, 8 * group);
  const U64 low = simd::as_pairs(words.low), high = simd::as_pairs(words.high);
  const U64 ones = set(~uint64_t{0}), place = set(uint64_t{31});
  store_minima(simd::sar<5>(low ^ ones), simd::sar<5>(high ^ ones), heads);
  store(heads.place, simd::narrow(low & place, high & place));
}

// Words of a tile as signed units, f = u or u - 1 (see minus_log_unit). A float word below 2**16 wants its extension:
// such lanes are reported and repaired afterwards.
GF_OP uint32_t tile_units(Key key, uint64_t tile, F32 (&f)[2]) {
  const Words words = philox8(key, domain_word, 8 * tile);
  const U32 zero = set(uint32_t{0});
  f[0] = fma(simd::signed_float(words.low), set(0x1p-32f), set(0x1p-33f));
  f[1] = fma(simd::signed_float(words.high), set(0x1p-32f), set(0x1p-33f));
  const M32 short_low = simd::shr<16>(words.low) == zero, short_high = simd::shr<16>(words.high) == zero;
  if (!bits(short_low | short_high)) [[likely]] return 0;
  return bits(short_low) | bits(short_high) << 16;
}
GF_OP uint32_t tile_units(Key key, uint64_t tile, F64 (&f)[4]) {
  const Words w = philox8(key, domain_word, 8 * tile), x = philox8(key, domain_extension, 8 * tile);
  const U64 units[4] = {simd::shl<32>(simd::widen_low(w.low)) | simd::widen_low(x.low),
                        simd::shl<32>(simd::widen_high(w.low)) | simd::widen_high(x.low),
                        simd::shl<32>(simd::widen_low(w.high)) | simd::widen_low(x.high),
                        simd::shl<32>(simd::widen_high(w.high)) | simd::widen_high(x.high)};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) f[i] = fma(simd::signed_float(units[i]), set(0x1p-64), set(0x1p-65));
  return 0;
}

// The float noise of lanes whose word was short: u = (word * 2**32 + extension + 1/2) / 2**64, below 2**-16.
[[gnu::noinline, gnu::cold]] inline void repair(Key key, uint64_t tile, float minimum, uint32_t lanes, float* gumbel) {
  for (; lanes; lanes &= lanes - 1) {
    const int p = __builtin_ctz(lanes), i = 2 * (p / 16) + p % 2;
    const uint64_t block = 8 * tile + static_cast<uint64_t>(p % 16) / 2;
    const uint64_t unit = static_cast<uint64_t>(philox_block(key, domain_word, block).word[i]) << 32 |
                          philox_block(key, domain_extension, block).word[i];
    const F32 u = set(static_cast<float>((static_cast<double>(unit) + 0.5) * 0x1p-64));
    store_first(gumbel + p, 1, minus_log(minus_log_unit(set(minimum), u)));
  }
}
inline void repair(Key, uint64_t, double, uint32_t, double*) {}

// The 32 Gumbels of a tile, given its head.
template <class T>
GF_OP void tile_gumbel(Key key, uint64_t tile, Head<T> head, T* gumbel) {
  using V = VectorOf<T>;
  V f[tile_blocks<V>];
  const uint32_t short_lanes = tile_units(key, tile, f);
  const V least = set(head.minimum);
#pragma GCC unroll 4
  for (int i = 0; i < tile_blocks<V>; ++i)
    store(gumbel + i * V::lanes, minus_log(minus_log_unit(least, f[i])));
  if (short_lanes) [[unlikely]] repair(key, tile, head.minimum, short_lanes, gumbel);
  gumbel[head.place] = head.top;
}

// The Gumbels of elements [first, first + count).
template <class T>
void fill_gumbel(Key key, uint64_t first, int64_t count, T* out) {
  Heads<T> heads;
  const uint64_t last = first + static_cast<uint64_t>(count);
  uint64_t group = ~uint64_t{0};
  for (uint64_t e = first; e < last;) {
    const uint64_t tile = tile_of(e), begin = tile * tile_size;
    if (tile / group_tiles != group) draw_heads(key, group = tile / group_tiles, heads);
    const uint64_t i = tile % group_tiles;
    if (e == begin && begin + tile_size <= last) {
      tile_gumbel(key, tile, heads[i], out);
      out += tile_size;
      e += tile_size;
      continue;
    }
    alignas(64) T whole[tile_size];
    tile_gumbel(key, tile, heads[i], whole);
    for (; e < last && e < begin + tile_size; ++e) *out++ = whole[e - begin];
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

// How many rows a chunk of noise serves: several where they are short and follow each other in the array of noise.
GF_OP int64_t flat_batch(const Address& a, int64_t cols) {
  const bool flat = !a.seeds && !a.offsets && a.row_stride == static_cast<uint64_t>(cols);
  return flat && cols < noise_chunk ? noise_chunk / cols : 1;
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
