// The SIMD vocabulary in plain C++, and its definition: every other header returns these bits.
// A block is 64 bytes, 16 lanes of 32 bits or 8 of 64, whatever the width of a register.
#pragma once
#include <cstdint>

namespace gumbelfast {
namespace {
namespace simd {

#define GF_OP inline
#define GF_STEP
#define GF_PHILOX_STEP

template <class T, int n>
struct Block {
  using Scalar = T;
  static constexpr int lanes = n;
  T v[n];
};
using F32 = Block<float, 16>;
using F64 = Block<double, 8>;
using U32 = Block<uint32_t, 16>;
using U64 = Block<uint64_t, 8>;
template <int n>
struct Mask {
  uint32_t v;
};
using M32 = Mask<16>;
using M64 = Mask<8>;

template <class V, class F>
GF_OP V each(F f) {
  V out;
#pragma GCC unroll 1  // sixteen copies of every step would take a compiler minutes
  for (int i = 0; i < V::lanes; ++i) out.v[i] = f(i);
  return out;
}
template <int n, class F>
GF_OP Mask<n> test(F f) {
  Mask<n> out{0};
#pragma GCC unroll 1
  for (int i = 0; i < n; ++i) out.v |= static_cast<uint32_t>(f(i)) << i;
  return out;
}

constexpr int registers = 8;  // a measure of how many blocks may be taken side by side

GF_OP F32 set(float x) { return each<F32>([=](int) { return x; }); }
GF_OP F64 set(double x) { return each<F64>([=](int) { return x; }); }
GF_OP U32 set(uint32_t x) { return each<U32>([=](int) { return x; }); }
GF_OP U64 set(uint64_t x) { return each<U64>([=](int) { return x; }); }
GF_OP U32 iota32() { return each<U32>([](int i) { return static_cast<uint32_t>(i); }); }
GF_OP U64 iota64() { return each<U64>([](int i) { return static_cast<uint64_t>(i); }); }

// IEEE half to float: exact. Subnormal halves become normal floats by one subtraction.
GF_OP float from_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, body = h & 0x7fffu;
  uint32_t word;
  if (body >= 0x7c00u) {
    word = 0x7f800000u | body << 13 | (body > 0x7c00u ? 0x400000u : 0u);
  } else if (body >= 0x0400u) {
    word = (body + (112u << 10)) << 13;
  } else {
    word = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, 0x38800000u | body << 13) - 0x1p-14f);
  }
  return __builtin_bit_cast(float, word | sign);
}
// Float to IEEE half, to nearest even; a NaN keeps its upper payload and becomes quiet, as the hardware does.
GF_OP uint16_t to_f16(float x) {
  const uint32_t word = __builtin_bit_cast(uint32_t, x), sign = word >> 16 & 0x8000u, body = word & 0x7fffffffu;
  uint32_t half;
  if (body > 0x7f800000u) {
    half = 0x7e00u | (body >> 13 & 0x3ffu);
  } else if (body >= 0x477ff000u) {
    half = 0x7c00u;
  } else if (body >= 0x38800000u) {
    half = (body + 0xfffu + (body >> 13 & 1u) - (112u << 23)) >> 13;
  } else {
    half = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, body) + 0.5f) - 0x3f000000u;
  }
  return static_cast<uint16_t>(half | sign);
}

template <class T>
GF_OP Block<T, 64 / sizeof(T)> load(const T* p) {
  Block<T, 64 / sizeof(T)> out;
  __builtin_memcpy(out.v, p, sizeof out.v);
  return out;
}
GF_OP F32 load_f16(const uint16_t* p) { return each<F32>([=](int i) { return from_f16(p[i]); }); }
GF_OP F32 load_bf16(const uint16_t* p) {
  return each<F32>([=](int i) { return __builtin_bit_cast(float, static_cast<uint32_t>(p[i]) << 16); });
}
template <class T, int n>
GF_OP void store(T* p, Block<T, n> a) { __builtin_memcpy(p, a.v, sizeof a.v); }
GF_OP void store_f16(uint16_t* p, F32 a) { for (int i = 0; i < 16; ++i) p[i] = to_f16(a.v[i]); }
// The low halves of sixteen words.
GF_OP void store_low16(uint16_t* p, U32 a) { for (int i = 0; i < 16; ++i) p[i] = static_cast<uint16_t>(a.v[i]); }
// A line of 64 bytes, to a multiple of 64, past the cache where there is a way; it is seen by others after the fence.
GF_OP void store_past_cache(void* to, const void* line) { __builtin_memcpy(to, line, 64); }
GF_OP void fence_stores() {}
// One byte a lane, true where it is not zero.
GF_OP M32 load_mask32(const uint8_t* p) { return test<16>([=](int i) { return p[i] != 0; }); }
GF_OP M64 load_mask64(const uint8_t* p) { return test<8>([=](int i) { return p[i] != 0; }); }
// The first n lanes from memory, no byte beyond them touched; the others from `rest`.
template <class T, int lanes>
GF_OP Block<T, lanes> load_first(const T* p, int n, Block<T, lanes> rest) {
  for (int i = 0; i < n; ++i) rest.v[i] = p[i];
  return rest;
}
template <class T, int lanes>
GF_OP void store_first(T* p, int n, Block<T, lanes> a) { for (int i = 0; i < n; ++i) p[i] = a.v[i]; }

template <class T, int n>
GF_OP Block<T, n> operator+(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] + b.v[i]; });
}
template <class T, int n>
GF_OP Block<T, n> operator-(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] - b.v[i]; });
}
template <class T, int n>
GF_OP Block<T, n> operator*(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] * b.v[i]; });
}
GF_OP F64 operator/(F64 a, F64 b) { return each<F64>([&](int i) { return a.v[i] / b.v[i]; }); }
GF_OP F32 fma(F32 a, F32 b, F32 c) { return each<F32>([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); }); }
GF_OP F64 fma(F64 a, F64 b, F64 c) { return each<F64>([&](int i) { return __builtin_fma(a.v[i], b.v[i], c.v[i]); }); }
// b where either is NaN and where both are zeros.
template <class T, int n>
GF_OP Block<T, n> max(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
// Likewise; only floats of 32 and 64 bits and words of 32 have a minimum.
template <class T, int n>
GF_OP Block<T, n> min(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}

template <class T, int n>
GF_OP Mask<n> operator>(Block<T, n> a, Block<T, n> b) { return test<n>([&](int i) { return a.v[i] > b.v[i]; }); }
template <class T, int n>
GF_OP Mask<n> operator>=(Block<T, n> a, Block<T, n> b) { return test<n>([&](int i) { return a.v[i] >= b.v[i]; }); }
template <class T, int n>
GF_OP Mask<n> operator==(Block<T, n> a, Block<T, n> b) { return test<n>([&](int i) { return a.v[i] == b.v[i]; }); }
template <class T, int n>
GF_OP Mask<n> unordered(Block<T, n> a, Block<T, n> b) {
  return test<n>([&](int i) { return a.v[i] != a.v[i] || b.v[i] != b.v[i]; });
}
// As two's complement.
GF_OP M32 signed_above(U32 a, U32 b) {
  return test<16>([&](int i) { return static_cast<int32_t>(a.v[i]) > static_cast<int32_t>(b.v[i]); });
}
GF_OP M64 signed_above(U64 a, U64 b) {
  return test<8>([&](int i) { return static_cast<int64_t>(a.v[i]) > static_cast<int64_t>(b.v[i]); });
}
template <int n>
GF_OP Mask<n> operator|(Mask<n> a, Mask<n> b) { return {a.v | b.v}; }
template <int n>
GF_OP uint32_t bits(Mask<n> m) { return m.v; }
template <int n>
GF_OP bool any(Mask<n> m) { return m.v; }
template <class V>
GF_OP V select(Mask<V::lanes> m, V a, V b) {
  return each<V>([&](int i) { return m.v >> i & 1 ? a.v[i] : b.v[i]; });
}

// Lane i is bit i.
GF_OP M32 lane_mask(uint32_t lanes, F32) { return {lanes & 0xffff}; }
GF_OP M64 lane_mask(uint32_t lanes, F64) { return {lanes & 0xff}; }

GF_OP U32 as_bits(F32 a) { return __builtin_bit_cast(U32, a); }
GF_OP U64 as_bits(F64 a) { return __builtin_bit_cast(U64, a); }
GF_OP F32 as_float(U32 a) { return __builtin_bit_cast(F32, a); }
GF_OP F64 as_float(U64 a) { return __builtin_bit_cast(F64, a); }
template <class T, int n>
GF_OP Block<T, n> operator&(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] & b.v[i]; });
}
template <class T, int n>
GF_OP Block<T, n> operator|(Block<T, n> a, Block<T, n> b) {
  return each<Block<T, n>>([&](int i) { return a.v[i] | b.v[i]; });
}
GF_OP U64 operator^(U64 a, U64 b) { return each<U64>([&](int i) { return a.v[i] ^ b.v[i]; }); }
GF_OP U64 xor3(U64 a, U64 b, U64 c) { return each<U64>([&](int i) { return a.v[i] ^ b.v[i] ^ c.v[i]; }); }
template <int n, class V>
GF_OP V shl(V a) { return each<V>([&](int i) { return a.v[i] << n; }); }
template <int n, class V>
GF_OP V shr(V a) { return each<V>([&](int i) { return a.v[i] >> n; }); }
// By as many places as the other block says; zero where these are no fewer than the bits.
template <class T, int n>
GF_OP Block<T, n> shl(Block<T, n> a, Block<T, n> places) {
  return each<Block<T, n>>([&](int i) { return places.v[i] < 8 * sizeof(T) ? a.v[i] << places.v[i] : T{0}; });
}
// Of words from 2**8 up, and of 64 bits from 2**40 up.
GF_OP U32 leading_zeros(U32 a) {
  return each<U32>([&](int i) { return a.v[i] ? static_cast<uint32_t>(__builtin_clz(a.v[i])) : 32; });
}
GF_OP U64 leading_zeros(U64 a) {
  return each<U64>([&](int i) { return a.v[i] ? static_cast<uint64_t>(__builtin_clzll(a.v[i])) : 64; });
}
template <int n>
GF_OP U32 sar(U32 a) {
  return each<U32>([&](int i) { return static_cast<uint32_t>(static_cast<int32_t>(a.v[i]) >> n); });
}
template <int n>
GF_OP U64 sar(U64 a) {
  return each<U64>([&](int i) { return static_cast<uint64_t>(static_cast<int64_t>(a.v[i]) >> n); });
}
// The full product of the low 32 bits of each lane.
GF_OP U64 mul_low32(U64 a, U64 b) {
  return each<U64>([&](int i) { return (a.v[i] & 0xffffffffu) * (b.v[i] & 0xffffffffu); });
}

// Two's complement integers to floats, rounded once.
GF_OP F32 signed_float(U32 a) {
  return each<F32>([&](int i) { return static_cast<float>(static_cast<int32_t>(a.v[i])); });
}
GF_OP F64 signed_float(U64 a) {
  return each<F64>([&](int i) { return static_cast<double>(static_cast<int64_t>(a.v[i])); });
}
GF_OP F64 widen_low(F32 a) { return each<F64>([&](int i) { return static_cast<double>(a.v[i]); }); }
GF_OP F64 widen_high(F32 a) { return each<F64>([&](int i) { return static_cast<double>(a.v[8 + i]); }); }
GF_OP F32 narrow(F64 a, F64 b) {
  return each<F32>([&](int i) { return static_cast<float>(i < 8 ? a.v[i] : b.v[i - 8]); });
}
GF_OP U32 narrow(U64 a, U64 b) {
  return each<U32>([&](int i) { return static_cast<uint32_t>(i < 8 ? a.v[i] : b.v[i - 8]); });
}
// The low words of a and b, alternating: a0 b0 a1 b1 ...
GF_OP U32 join_low32(U64 a, U64 b) {
  return each<U32>([&](int i) { return static_cast<uint32_t>(i % 2 ? b.v[i / 2] : a.v[i / 2]); });
}
// Neighbouring words as one lane, the first in the low half.
GF_OP U64 as_pairs(U32 a) {
  return each<U64>([&](int i) { return a.v[2 * i] | static_cast<uint64_t>(a.v[2 * i + 1]) << 32; });
}
// Words of a in the low halves, words of b in the high ones: of the first eight, and of the others.
GF_OP U64 pair_from(int first, U32 a, U32 b) {
  return each<U64>([&](int i) { return a.v[first + i] | static_cast<uint64_t>(b.v[first + i]) << 32; });
}
GF_OP U64 pair_low(U32 a, U32 b) { return pair_from(0, a, b); }
GF_OP U64 pair_high(U32 a, U32 b) { return pair_from(8, a, b); }
// Lanes of a and b side by side, each by its number.
GF_OP F32 take_lanes(F32 a, F32 b, U32 number) {
  return each<F32>([&](int i) { return number.v[i] < 16 ? a.v[number.v[i]] : b.v[number.v[i] - 16]; });
}
constexpr int few_columns = 4;  // up to so many columns rows are transposed by it

template <class T, int n>
GF_OP T lane_max(Block<T, n> a) {
  for (int half = n / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
  return a.v[0];
}
// Lane i takes lane i + half, for half = n/2 ... 1: the one order of addition that every backend keeps.
template <class T, int n>
GF_OP T lane_sum(Block<T, n> a) {
  for (int half = n / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  return a.v[0];
}
// Lane i of the result is the sum of the lanes of a[i].
template <class T, int n>
GF_OP Block<T, n> sum_of_each(const Block<T, n> (&a)[n]) {
  return each<Block<T, n>>([&](int i) { return lane_sum(a[i]); });
}
// Lane i of the result is the largest lane of a[i].
template <class T, int n>
GF_OP Block<T, n> max_of_each(const Block<T, n> (&a)[n]) {
  return each<Block<T, n>>([&](int i) { return lane_max(a[i]); });
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast

#include "composed.hpp"
