// Tiles of noise: the smallest exponential of each first, then the others above it (see docs/stream.md).
//
//             32 elements, in blocks of 64 bytes             head
//   tile 0    | e0    e1    ...              ...    e31  |   M0   I0    |
//   tile 1    | e32   e33   ...              ...    e63  |   M1   I1    |  a group: 16 heads, 64 bits each,
//    ...                                                      ...       |  from one call of philox8
//   tile 15   | e480  e481  ...              ...    e511 |   M15  I15   |
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

template <Law law, class V>
GF_OP V noise_of(V exponential) {
  if constexpr (law == Law::exponential)
    return exponential;
  else
    return minus_log(exponential);
}

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
  void set(int i, const Head<T>& head) {
    minimum[i] = head.minimum;
    top[i] = head.top;
    place[i] = head.place;
  }
};

// From c = -V where V < 1/2 and c = 1 - V elsewhere, so that no bit is lost near either end. In the latter case c is
// 2**-k (1 - y).
template <Law law, class V>
GF_OP void store_minima(V c, typename V::Scalar* minimum, typename V::Scalar* top) {
  using T = typename V::Scalar;
  using F = Format<V>;
  const V none = set(T{0});
  const auto word = simd::as_bits(c);
  const V significand = simd::as_float((word & set((typename F::Word{1} << F::mantissa) - 1)) | set(F::half));
  const V zeros = simd::signed_float(set(static_cast<typename F::Word>(F::bias - 1)) - simd::shr<F::mantissa>(word));
  const auto lower = none > c;
  const V y = select(lower, none - c, set(T{1}) - significand);
  const V m = exponential(select(lower, none, zeros), y) * set(T(0x1p-5));
  store(minimum, m);
  store(top, noise_of<law>(m));
}
// From s = not H >> 5, read as signed numbers: c = (s + 1/2) / 2**59.
template <Law law>
GF_OP void store_minima(U64 low, U64 high, Heads<double>& heads) {
  const auto unit = [](U64 s) { return fma(simd::signed_float(s), set(0x1p-59), set(0x1p-60)); };
  store_minima<law>(unit(low), heads.minimum, heads.top);
  store_minima<law>(unit(high), heads.minimum + 8, heads.top + 8);
}
template <Law law>
GF_OP void store_minima(U64 low, U64 high, Heads<float>& heads) {
  const auto unit = [](U64 s) { return fma(simd::signed_float(s), set(0x1p-59), set(0x1p-60)); };
  store_minima<law>(simd::narrow(unit(low), unit(high)), heads.minimum, heads.top);
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
  side_by_side(count, [&](auto n, int from) GF_PHILOX_STEP {
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

// One word of 32 bits for each element of some tiles.
GF_OP void draw_words(Key key, uint32_t domain, const uint64_t* tile, int count, uint32_t* word) {
  side_by_side(count, [&](auto n, int from) GF_PHILOX_STEP {
    Counter at[n.value];
    Words words[n.value];
    for (int i = 0; i < n.value; ++i) at[i] = {domain, 8 * tile[from + i]};
    philox8(key, at, words);
    for (int i = 0; i < n.value; ++i) {
      store(word + (from + i) * tile_size, words[i].low);
      store(word + (from + i) * tile_size + 16, words[i].high);
    }
  });
}

// Words from here up have zeros and digits enough for a float; what is below wants its extension in both types.
constexpr int short_bits = 17;

// The leading zeros k of words, and y = m / 2: the digits behind the first one, and behind them 1/2.
GF_OP F32 half_digits(F32 part) { return part - set(0.5f - 0x1p-25f); }
GF_OP F64 half_digits(F64 part) { return part - set(0.5 - 0x1p-54); }
template <int n>
GF_OP void read_words(const U32 (&word)[n], simd::Several<F32, n>& zeros, simd::Several<F32, n>& y) {
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) {
    F32 part;
    simd::split(word[i], zeros.block[i], part);
    y.block[i] = half_digits(part);
  }
}
template <int n>
GF_OP void read_words(const U32 (&word)[n], const U32 (&extension)[n], simd::Several<F64, 2 * n>& zeros,
                      simd::Several<F64, 2 * n>& y) {
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) {
    F64 low, high;
    simd::split(simd::pair_low(extension[i], word[i]), zeros.block[2 * i], low);
    simd::split(simd::pair_high(extension[i], word[i]), zeros.block[2 * i + 1], high);
    y.block[2 * i] = half_digits(low);
    y.block[2 * i + 1] = half_digits(high);
  }
}

// minimum + X of a word and its extension, in every lane: where all 64 bits are zeros, there are no digits.
GF_OP F64 exponential_of(double minimum, uint64_t unit) {
  const int zeros = unit ? __builtin_clzll(unit) : 64;
  const uint64_t digits = unit ? unit << zeros : uint64_t{1} << 63;
  const F64 part = simd::as_float(set((digits >> 11) + (uint64_t{1021} << 52)));
  return exponential(set(minimum), set(static_cast<double>(zeros)), half_digits(part));
}

// The noise of short words of a tile.
template <Law law, class T>
[[gnu::noinline, gnu::cold]] void repair(Key key, uint64_t tile, T minimum, const uint32_t* word, T* noise) {
  for (uint64_t p = 0; p < tile_size; ++p) {
    if (word[p] >> short_bits) continue;
    const Block4 extension = philox_block(key, {domain_extension, 8 * tile + p % 16 / 2});
    const uint64_t unit = static_cast<uint64_t>(word[p]) << 32 | extension.word[2 * (p / 16) + p % 2];
    double lanes[F64::lanes];
    store(lanes, noise_of<law>(exponential_of(static_cast<double>(minimum), unit)));
    noise[p] = static_cast<T>(lanes[0]);
  }
}

// Blocks taken side by side: a polynomial is two chains already, and more than the registers hold would be spilled.
constexpr int tiles_abreast = simd::registers / 16 > 1 ? simd::registers / 16 : 1;
constexpr int logs_abreast = tiles_abreast > 1 ? 2 * tiles_abreast : 1;

// step(n, at) for at = 0 to count in steps of n: of `many` while there are as many, then of `few`.
template <int many, int few, class Step>
GF_OP void in_steps(int count, Step step) {
  int at = 0;
  for (; at + many <= count; at += many) step(Fixed<many>(), at);
  if constexpr (few < many)
    for (; at < count; at += few) step(Fixed<few>(), at);
}

// The noise of up to group_tiles tiles, given their heads from number `first` on, in three passes: bits, exponentials,
// their logarithms. Each takes independent blocks side by side; a longer chain of steps would leave the pipes waiting.
template <Law law = Law::gumbel, class T>
void draw_tiles(Key key, const uint64_t* tile, const Heads<T>& heads, uint64_t first, int count, T* noise) {
  using V = VectorOf<T>;
  constexpr int n = tiles_abreast, blocks = n * U32::lanes / V::lanes;
  static_assert(tile_size % (n * U32::lanes) == 0);
  const int elements = count * tile_size;
  const T* const minima = heads.minimum + first;
  alignas(64) uint32_t word[group_tiles * tile_size], extension[sizeof(T) == 4 ? 1 : group_tiles * tile_size];
  alignas(64) T exponentials[group_tiles * tile_size];
  draw_words(key, domain_word, tile, count, word);
  if constexpr (sizeof(T) == 8) draw_words(key, domain_extension, tile, count, extension);
  U32 least = set(~uint32_t{0});
  for (int at = 0; at < elements; at += n * U32::lanes) {
    U32 words[n];
    simd::Several<V, blocks> zeros, y, minimum;
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) {
      words[i] = load(word + at + i * U32::lanes);
      least = simd::min(least, words[i]);
    }
    if constexpr (sizeof(T) == 8) {
      U32 extensions[n];
#pragma GCC unroll 4
      for (int i = 0; i < n; ++i) extensions[i] = load(extension + at + i * U32::lanes);
      read_words(words, extensions, zeros, y);
    } else {
      read_words(words, zeros, y);
    }
#pragma GCC unroll 4
    for (int i = 0; i < blocks; ++i) minimum.block[i] = set(minima[(at + i * V::lanes) / tile_size]);
    const auto e = exponential(minimum, zeros, y);
#pragma GCC unroll 4
    for (int i = 0; i < blocks; ++i) store(exponentials + at + i * V::lanes, e.block[i]);
  }
  in_steps<logs_abreast, tiles_abreast>(elements / V::lanes, [&](auto abreast, int at) GF_STEP {
    simd::Several<V, abreast.value> e;
#pragma GCC unroll 4
    for (int i = 0; i < abreast.value; ++i) e.block[i] = load(exponentials + (at + i) * V::lanes);
    const auto out = noise_of<law>(e);
#pragma GCC unroll 4
    for (int i = 0; i < abreast.value; ++i) store(noise + (at + i) * V::lanes, out.block[i]);
  });
  if (bits(simd::shr<short_bits>(least) == set(uint32_t{0}))) [[unlikely]]
    for (int i = 0; i < count; ++i) repair<law>(key, tile[i], minima[i], word + i * tile_size, noise + i * tile_size);
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i)
    noise[i * tile_size + heads.place[first + i]] = heads.top[first + i];
}

}  // namespace
}  // namespace gumbelfast
