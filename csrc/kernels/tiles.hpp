// Tiles of noise: the smallest exponential of each first, then the others above it (see docs/stream.md).
//
//             32 elements, in blocks of 64 bytes             head
//   tile 0    | e0    e1    ...              ...    e31  |   M0   I0   \
//   tile 1    | e32   e33   ...              ...    e63  |   M1   I1    |  a group: 16 heads, 64 bits each,
//    ...                                                      ...       |  from one call of philox8
//   tile 15   | e480  e481  ...              ...    e511 |   M15  I15  /
//
// A head tells the smallest exponential M of its tile and the place I where it lies: what all noise of the tile is
// bounded by. The tile itself costs 32 words more: each other element is M plus an exponential of its own. Lazy kernels
// draw all heads of a row, and open the few tiles that may hold what they look for.
#pragma once

namespace gumbelfast {
namespace {

constexpr int tile_size = 32;
constexpr int group_tiles = 16;  // tiles whose heads come from one vector of Philox blocks

template <class V>
constexpr int tile_blocks = tile_size / V::lanes;

GF_OP uint64_t tile_of(uint64_t element) { return element / tile_size; }

// What the noise of an element is: its exponential E, or -log(E).
enum class Law { exponential, gumbel };

// The smallest exponential of a tile, the noise that it becomes (of Gumbels the largest of the tile), and its place.
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
// The minima of which exponentials are made: unlike their logarithms these show every ulp of E, so what a float of s
// drops is not lost.
GF_OP F64 fine_minima(U64 s) {
  const U64 tail = s & set(uint64_t{0xFFFF});
  const F64 high = simd::signed_float(s ^ tail) * set(0x1p-59);
  const F64 low = fma(simd::signed_float(tail), set(0x1p-59), set(0x1p-60));
  const F64 f = high + low;
  return minus_log_unit_fine(f, (high - f) + low) * set(0x1p-5);
}
template <Law law>
GF_OP void store_minima(U64 low, U64 high, Heads<float>& heads) {
  if constexpr (law == Law::exponential) {
    const F32 m = simd::narrow(fine_minima(low), fine_minima(high));
    store(heads.minimum, m);
    store(heads.top, m);
  } else {
    store_minima(simd::narrow(simd::signed_float(low), simd::signed_float(high)), heads.minimum, heads.top);
  }
}
template <Law law>
GF_OP void store_minima(U64 low, U64 high, Heads<double>& heads) {
  if constexpr (law == Law::exponential) {
    const F64 m[] = {fine_minima(low), fine_minima(high)};
    for (int i = 0; i < 2; ++i) {
      store(heads.minimum + 8 * i, m[i]);
      store(heads.top + 8 * i, m[i]);
    }
  } else {
    store_minima(simd::signed_float(low), heads.minimum, heads.top);
    store_minima(simd::signed_float(high), heads.minimum + 8, heads.top + 8);
  }
}

// Step(n, i) for i = 0 to count in steps of n. Philox streams side by side keep the multipliers busy, as many as the
// registers hold.
template <class Step>
GF_OP void side_by_side(int count, Step step) {
  constexpr int many = simd::registers / 5 > 2 ? simd::registers / 5 : 2;
  int i = 0;
  for (; i + many <= count; i += many) step(Fixed<many>(), i);
  if constexpr (many > 4)
    for (; i + 4 <= count; i += 4) step(Fixed<4>(), i);
  for (; i < count; ++i) step(Fixed<1>(), i);
}

// give(i, bits) for i = 0 to count: the random bits of the heads of group `group` + i.
template <class Give>
GF_OP void draw_head_bits(Key key, uint64_t group, int count, Give give) {
  side_by_side(count, [&](auto n, int from) {
    Counter at[n.value];
    Words words[n.value];
    for (int i = 0; i < n.value; ++i) at[i] = {domain_head, 8 * (group + static_cast<uint64_t>(from + i))};
    philox8(key, at, words);
    for (int i = 0; i < n.value; ++i) give(from + i, words[i]);
  });
}
template <Law law = Law::gumbel, class T>
GF_OP void heads_of(const Words& words, Heads<T>& heads) {
  const U64 low = simd::as_pairs(words.low), high = simd::as_pairs(words.high);
  const U64 ones = set(~uint64_t{0}), place = set(uint64_t{31});
  store_minima<law>(simd::sar<5>(low ^ ones), simd::sar<5>(high ^ ones), heads);
  store(heads.place, simd::narrow(low & place, high & place));
}
// The heads of `count` groups from `group` on.
template <Law law = Law::gumbel, class T>
void draw_heads(Key key, uint64_t group, int count, Heads<T>* heads) {
  draw_head_bits(key, group, count, [&](int i, const Words& words) { heads_of<law>(words, heads[i]); });
}

// The random bits of a tile's elements, 32 an element, or 64 with the extension below the word.
GF_OP void draw_units(Key key, const uint64_t* tile, int count, uint32_t* unit) {
  side_by_side(count, [&](auto n, int from) {
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
GF_OP void draw_units(Key key, const uint64_t* tile, int count, uint64_t* unit, uint32_t high = domain_word,
                      uint32_t low = domain_extension) {
  for (int i = 0; i < count; i += 2, unit += 2 * tile_size) {
    const uint64_t block = 8 * tile[i], next = 8 * tile[i + 1 < count ? i + 1 : i];
    Words words[4];
    philox8(key, {{high, block}, {low, block}, {high, next}, {low, next}}, words);
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

// A float word below 2**16 wants its extension: whether there is one is asked once for many tiles.
GF_OP void see_short(U32& least, U32 word) { least = simd::min(least, word); }
GF_OP void see_short(U64&, U64) {}
GF_OP bool has_short(U32 least) { return bits(simd::shr<16>(least) == set(uint32_t{0})); }
GF_OP bool has_short(U64) { return false; }

template <Law law, class V>
GF_OP V noise_of(V exponential) {
  if constexpr (law == Law::exponential)
    return exponential;
  else
    return minus_log(exponential);
}

// The float noise of such words of a tile: u = (word * 2**32 + extension + 1/2) / 2**64, below 2**-16.
template <Law law>
[[gnu::noinline, gnu::cold]] void repair(Key key, uint64_t tile, float minimum, const uint32_t* word, float* noise) {
  for (uint64_t p = 0; p < tile_size; ++p) {
    if (word[p] >> 16) continue;
    const Block4 extension = philox_block(key, {domain_extension, 8 * tile + p % 16 / 2});
    const uint64_t unit = static_cast<uint64_t>(word[p]) << 32 | extension.word[2 * (p / 16) + p % 2];
    const F32 u = set(static_cast<float>((static_cast<double>(unit) + 0.5) * 0x1p-64));
    store_first(noise + p, 1, noise_of<law>(minus_log_unit < law == Law::exponential > (set(minimum), u)));
  }
}
template <Law law>
inline void repair(Key, uint64_t, double, const uint64_t*, double*) {}

// The noise of up to group_tiles tiles, given their heads, in two or three passes: bits, exponentials, their
// logarithms. Each pass takes independent blocks side by side; a longer chain of steps would leave the pipes waiting.
template <Law law = Law::gumbel, class T>
void draw_tiles(Key key, const uint64_t* tile, const Head<T>* head, int count, T* noise) {
  using V = VectorOf<T>;
  using Word = typename UnitOf<T>::Type;
  const int blocks = count * tile_blocks<V>;
  alignas(64) Word unit[group_tiles * tile_size];
  alignas(64) T exponential[group_tiles * tile_size];
  draw_units(key, tile, count, unit);
  auto least_word = set(~Word{0});
  for (int b = 0; b < blocks; b += abreast) {
    simd::Several<V, abreast> u, minimum;
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i) {
      const auto word = load(unit + (b + i) * V::lanes);
      see_short(least_word, word);
      u.block[i] = unit_float(word);
      minimum.block[i] = set(head[(b + i < blocks ? b + i : b) / tile_blocks<V>].minimum);
    }
    const auto e = minus_log_unit < law == Law::exponential > (minimum, u);
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i) store(exponential + (b + i) * V::lanes, e.block[i]);
  }
  for (int b = 0; b < blocks; b += abreast) {
    simd::Several<V, abreast> e;
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i) e.block[i] = load(exponential + (b + i) * V::lanes);
    const auto n = noise_of<law>(e);
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i)
      if (b + i < blocks) store(noise + (b + i) * V::lanes, n.block[i]);
  }
  if (has_short(least_word)) [[unlikely]]
    for (int i = 0; i < count; ++i)
      repair<law>(key, tile[i], head[i].minimum, unit + i * tile_size, noise + i * tile_size);
  for (int i = 0; i < count; ++i) noise[i * tile_size + static_cast<int>(head[i].place)] = head[i].top;
}

}  // namespace
}  // namespace gumbelfast
