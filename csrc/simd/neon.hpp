// The SIMD vocabulary on AArch64 NEON: four q registers per 64-byte block. Meanings stand in scalar.hpp.
#pragma once
#include <arm_neon.h>

#include <cstdint>

namespace gumbelfast {
namespace {
namespace simd {

#define GF_OP inline __attribute__((always_inline))
#define GF_STEP __attribute__((always_inline))  // of a lambda within a loop
#define GF_PHILOX_STEP

template <class T, class Q, int n>
struct Block {
  using Scalar = T;
  static constexpr int lanes = n;
  Q v[4];
};
using F32 = Block<float, float32x4_t, 16>;
using F64 = Block<double, float64x2_t, 8>;
using U32 = Block<uint32_t, uint32x4_t, 16>;
using U64 = Block<uint64_t, uint64x2_t, 8>;
// Lanes of all ones or all zeros.
struct M32 {
  uint32x4_t v[4];
};
struct M64 {
  uint64x2_t v[4];
};

template <class V, class F>
GF_OP V each(F f) { return {{f(0), f(1), f(2), f(3)}}; }

constexpr int registers = 16;

GF_OP F32 set(float x) { return each<F32>([=](int) { return vdupq_n_f32(x); }); }
GF_OP F64 set(double x) { return each<F64>([=](int) { return vdupq_n_f64(x); }); }
GF_OP U32 set(uint32_t x) { return each<U32>([=](int) { return vdupq_n_u32(x); }); }
GF_OP U64 set(uint64_t x) { return each<U64>([=](int) { return vdupq_n_u64(x); }); }

GF_OP F32 load(const float* p) { return each<F32>([=](int i) { return vld1q_f32(p + 4 * i); }); }
GF_OP F64 load(const double* p) { return each<F64>([=](int i) { return vld1q_f64(p + 2 * i); }); }
GF_OP U32 load(const uint32_t* p) { return each<U32>([=](int i) { return vld1q_u32(p + 4 * i); }); }
GF_OP U64 load(const uint64_t* p) { return each<U64>([=](int i) { return vld1q_u64(p + 2 * i); }); }
GF_OP F32 load_f16(const uint16_t* p) {
  return each<F32>([=](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
GF_OP F32 load_bf16(const uint16_t* p) {
  return each<F32>([=](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
GF_OP void store(float* p, F32 a) { for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]); }
GF_OP void store(double* p, F64 a) { for (int i = 0; i < 4; ++i) vst1q_f64(p + 2 * i, a.v[i]); }
GF_OP void store(uint32_t* p, U32 a) { for (int i = 0; i < 4; ++i) vst1q_u32(p + 4 * i, a.v[i]); }
GF_OP void store(uint64_t* p, U64 a) { for (int i = 0; i < 4; ++i) vst1q_u64(p + 2 * i, a.v[i]); }
GF_OP void store_f16(uint16_t* p, F32 a) {
  for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}
GF_OP void store_low16(uint16_t* p, U32 a) { for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vmovn_u32(a.v[i])); }
GF_OP void store_past_cache(void* to, const void* line) { __builtin_memcpy(to, line, 64); }
GF_OP void fence_stores() {}
GF_OP M32 load_mask32(const uint8_t* p) {
  return each<M32>([=](int i) {
    const uint32x4_t wide = {p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]};
    return vtstq_u32(wide, wide);
  });
}
GF_OP M64 load_mask64(const uint8_t* p) {
  return each<M64>([=](int i) {
    const uint64x2_t wide = {p[2 * i], p[2 * i + 1]};
    return vtstq_u64(wide, wide);
  });
}
template <class V>
GF_OP V load_first(const typename V::Scalar* p, int n, V rest) {
  typename V::Scalar lanes[V::lanes];
  store(lanes, rest);
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class V>
GF_OP void store_first(typename V::Scalar* p, int n, V a) {
  typename V::Scalar lanes[V::lanes];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
GF_OP U32 iota32() {
  const uint32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(lanes);
}
GF_OP U64 iota64() {
  const uint64_t lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  return load(lanes);
}

#define GF_EACH(R, op, x, y) each<R>([&](int i) { return op(x.v[i], y.v[i]); })
GF_OP F32 operator+(F32 a, F32 b) { return GF_EACH(F32, vaddq_f32, a, b); }
GF_OP F64 operator+(F64 a, F64 b) { return GF_EACH(F64, vaddq_f64, a, b); }
GF_OP F32 operator-(F32 a, F32 b) { return GF_EACH(F32, vsubq_f32, a, b); }
GF_OP F64 operator-(F64 a, F64 b) { return GF_EACH(F64, vsubq_f64, a, b); }
GF_OP F32 operator*(F32 a, F32 b) { return GF_EACH(F32, vmulq_f32, a, b); }
GF_OP F64 operator*(F64 a, F64 b) { return GF_EACH(F64, vmulq_f64, a, b); }
GF_OP F64 operator/(F64 a, F64 b) { return GF_EACH(F64, vdivq_f64, a, b); }
GF_OP F32 fma(F32 a, F32 b, F32 c) { return each<F32>([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); }); }
GF_OP F64 fma(F64 a, F64 b, F64 c) { return each<F64>([&](int i) { return vfmaq_f64(c.v[i], a.v[i], b.v[i]); }); }

GF_OP M32 operator>(F32 a, F32 b) { return GF_EACH(M32, vcgtq_f32, a, b); }
GF_OP M64 operator>(F64 a, F64 b) { return GF_EACH(M64, vcgtq_f64, a, b); }
GF_OP M32 operator>=(F32 a, F32 b) { return GF_EACH(M32, vcgeq_f32, a, b); }
GF_OP M64 operator>=(F64 a, F64 b) { return GF_EACH(M64, vcgeq_f64, a, b); }
GF_OP M32 operator==(F32 a, F32 b) { return GF_EACH(M32, vceqq_f32, a, b); }
GF_OP M64 operator==(F64 a, F64 b) { return GF_EACH(M64, vceqq_f64, a, b); }
GF_OP M32 unordered(F32 a, F32 b) {
  return each<M32>([&](int i) {
    return vmvnq_u32(vandq_u32(vceqq_f32(a.v[i], a.v[i]), vceqq_f32(b.v[i], b.v[i])));
  });
}
GF_OP M64 unordered(F64 a, F64 b) {
  return each<M64>([&](int i) {
    const uint64x2_t ordered = vandq_u64(vceqq_f64(a.v[i], a.v[i]), vceqq_f64(b.v[i], b.v[i]));
    return vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(ordered)));
  });
}
GF_OP M32 operator==(U32 a, U32 b) { return GF_EACH(M32, vceqq_u32, a, b); }
GF_OP M64 operator==(U64 a, U64 b) { return GF_EACH(M64, vceqq_u64, a, b); }
GF_OP M32 signed_above(U32 a, U32 b) {
  return each<M32>([&](int i) { return vcgtq_s32(vreinterpretq_s32_u32(a.v[i]), vreinterpretq_s32_u32(b.v[i])); });
}
GF_OP M64 signed_above(U64 a, U64 b) {
  return each<M64>([&](int i) { return vcgtq_s64(vreinterpretq_s64_u64(a.v[i]), vreinterpretq_s64_u64(b.v[i])); });
}
GF_OP M32 operator|(M32 a, M32 b) { return GF_EACH(M32, vorrq_u32, a, b); }
GF_OP M64 operator|(M64 a, M64 b) { return GF_EACH(M64, vorrq_u64, a, b); }
GF_OP uint32_t bits(M32 m) {
  const uint32x4_t weight = {1, 2, 4, 8};
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out |= vaddvq_u32(vandq_u32(m.v[i], weight)) << 4 * i;
  return out;
}
GF_OP uint32_t bits(M64 m) {
  const uint64x2_t weight = {1, 2};
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out |= static_cast<uint32_t>(vaddvq_u64(vandq_u64(m.v[i], weight))) << 2 * i;
  return out;
}
GF_OP bool any(M32 m) { return vmaxvq_u32(vorrq_u32(vorrq_u32(m.v[0], m.v[1]), vorrq_u32(m.v[2], m.v[3]))); }
GF_OP bool any(M64 m) {
  const uint64x2_t all = vorrq_u64(vorrq_u64(m.v[0], m.v[1]), vorrq_u64(m.v[2], m.v[3]));
  return vmaxvq_u32(vreinterpretq_u32_u64(all));
}
GF_OP M32 lane_mask(uint32_t lanes, F32) {
  return each<M32>([=](int i) {
    const uint32x4_t bit = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(lanes >> 4 * i), bit);
  });
}
GF_OP M64 lane_mask(uint32_t lanes, F64) {
  return each<M64>([=](int i) {
    const uint64x2_t bit = {1, 2};
    return vtstq_u64(vdupq_n_u64(lanes >> 2 * i), bit);
  });
}
#define GF_SELECT(R, op, m, x, y) each<R>([&](int i) { return op(m.v[i], x.v[i], y.v[i]); })
GF_OP F32 select(M32 m, F32 a, F32 b) { return GF_SELECT(F32, vbslq_f32, m, a, b); }
GF_OP F64 select(M64 m, F64 a, F64 b) { return GF_SELECT(F64, vbslq_f64, m, a, b); }
GF_OP U32 select(M32 m, U32 a, U32 b) { return GF_SELECT(U32, vbslq_u32, m, a, b); }
GF_OP U64 select(M64 m, U64 a, U64 b) { return GF_SELECT(U64, vbslq_u64, m, a, b); }
// NEON's own maximum returns NaN where either is NaN; the vocabulary returns the second.
GF_OP F32 max(F32 a, F32 b) { return select(a > b, a, b); }
GF_OP F64 max(F64 a, F64 b) { return select(a > b, a, b); }
GF_OP F32 min(F32 a, F32 b) { return select(b > a, a, b); }
GF_OP F64 min(F64 a, F64 b) { return select(b > a, a, b); }

GF_OP U32 as_bits(F32 a) { return each<U32>([&](int i) { return vreinterpretq_u32_f32(a.v[i]); }); }
GF_OP U64 as_bits(F64 a) { return each<U64>([&](int i) { return vreinterpretq_u64_f64(a.v[i]); }); }
GF_OP F32 as_float(U32 a) { return each<F32>([&](int i) { return vreinterpretq_f32_u32(a.v[i]); }); }
GF_OP F64 as_float(U64 a) { return each<F64>([&](int i) { return vreinterpretq_f64_u64(a.v[i]); }); }
GF_OP U32 operator+(U32 a, U32 b) { return GF_EACH(U32, vaddq_u32, a, b); }
GF_OP U64 operator+(U64 a, U64 b) { return GF_EACH(U64, vaddq_u64, a, b); }
GF_OP U32 operator-(U32 a, U32 b) { return GF_EACH(U32, vsubq_u32, a, b); }
GF_OP U64 operator-(U64 a, U64 b) { return GF_EACH(U64, vsubq_u64, a, b); }
GF_OP U32 operator&(U32 a, U32 b) { return GF_EACH(U32, vandq_u32, a, b); }
GF_OP U64 operator&(U64 a, U64 b) { return GF_EACH(U64, vandq_u64, a, b); }
GF_OP U32 operator|(U32 a, U32 b) { return GF_EACH(U32, vorrq_u32, a, b); }
GF_OP U64 operator|(U64 a, U64 b) { return GF_EACH(U64, vorrq_u64, a, b); }
GF_OP U32 min(U32 a, U32 b) { return GF_EACH(U32, vminq_u32, a, b); }
GF_OP U64 operator^(U64 a, U64 b) { return GF_EACH(U64, veorq_u64, a, b); }
GF_OP U64 xor3(U64 a, U64 b, U64 c) { return a ^ b ^ c; }
template <int n>
GF_OP U32 shl(U32 a) { return each<U32>([&](int i) { return vshlq_n_u32(a.v[i], n); }); }
template <int n>
GF_OP U64 shl(U64 a) { return each<U64>([&](int i) { return vshlq_n_u64(a.v[i], n); }); }
template <int n>
GF_OP U32 shr(U32 a) { return each<U32>([&](int i) { return vshrq_n_u32(a.v[i], n); }); }
template <int n>
GF_OP U64 shr(U64 a) { return each<U64>([&](int i) { return vshrq_n_u64(a.v[i], n); }); }
GF_OP U32 shl(U32 a, U32 places) {
  return each<U32>([&](int i) { return vshlq_u32(a.v[i], vreinterpretq_s32_u32(places.v[i])); });
}
GF_OP U64 shl(U64 a, U64 places) {
  return each<U64>([&](int i) { return vshlq_u64(a.v[i], vreinterpretq_s64_u64(places.v[i])); });
}
GF_OP U32 leading_zeros(U32 a) { return each<U32>([&](int i) { return vclzq_u32(a.v[i]); }); }
GF_OP U64 leading_zeros(U64 a) {
  return each<U64>([&](int i) {
    return vshrq_n_u64(vreinterpretq_u64_u32(vclzq_u32(vreinterpretq_u32_u64(a.v[i]))), 32);
  });
}
template <int n>
GF_OP U32 sar(U32 a) {
  return each<U32>([&](int i) { return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a.v[i]), n)); });
}
template <int n>
GF_OP U64 sar(U64 a) {
  return each<U64>([&](int i) { return vreinterpretq_u64_s64(vshrq_n_s64(vreinterpretq_s64_u64(a.v[i]), n)); });
}
GF_OP U64 mul_low32(U64 a, U64 b) {
  return each<U64>([&](int i) { return vmull_u32(vmovn_u64(a.v[i]), vmovn_u64(b.v[i])); });
}

GF_OP F32 signed_float(U32 a) {
  return each<F32>([&](int i) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a.v[i])); });
}
GF_OP F64 signed_float(U64 a) {
  return each<F64>([&](int i) { return vcvtq_f64_s64(vreinterpretq_s64_u64(a.v[i])); });
}
GF_OP F64 widen2(float32x4_t a, float32x4_t b) {
  return {{vcvt_f64_f32(vget_low_f32(a)), vcvt_high_f64_f32(a), vcvt_f64_f32(vget_low_f32(b)), vcvt_high_f64_f32(b)}};
}
GF_OP F64 widen_low(F32 a) { return widen2(a.v[0], a.v[1]); }
GF_OP F64 widen_high(F32 a) { return widen2(a.v[2], a.v[3]); }
GF_OP float32x4_t narrow2(float64x2_t a, float64x2_t b) { return vcvt_high_f32_f64(vcvt_f32_f64(a), b); }
GF_OP F32 narrow(F64 a, F64 b) {
  return {{narrow2(a.v[0], a.v[1]), narrow2(a.v[2], a.v[3]), narrow2(b.v[0], b.v[1]), narrow2(b.v[2], b.v[3])}};
}
GF_OP uint32x4_t narrow2(uint64x2_t a, uint64x2_t b) { return vcombine_u32(vmovn_u64(a), vmovn_u64(b)); }
GF_OP U32 narrow(U64 a, U64 b) {
  return {{narrow2(a.v[0], a.v[1]), narrow2(a.v[2], a.v[3]), narrow2(b.v[0], b.v[1]), narrow2(b.v[2], b.v[3])}};
}
GF_OP U32 join_low32(U64 a, U64 b) {
  return each<U32>([&](int i) { return vtrn1q_u32(vreinterpretq_u32_u64(a.v[i]), vreinterpretq_u32_u64(b.v[i])); });
}
GF_OP U64 as_pairs(U32 a) { return each<U64>([&](int i) { return vreinterpretq_u64_u32(a.v[i]); }); }
GF_OP U64 pair_from(int first, U32 a, U32 b) {
  return each<U64>([&](int i) {
    const uint32x4_t x = a.v[first + i / 2], y = b.v[first + i / 2];
    return vreinterpretq_u64_u32(i % 2 ? vzip2q_u32(x, y) : vzip1q_u32(x, y));
  });
}
GF_OP U64 pair_low(U32 a, U32 b) { return pair_from(0, a, b); }
GF_OP U64 pair_high(U32 a, U32 b) { return pair_from(2, a, b); }

// By tables of bytes: numbers beyond one give zero, or what was there before.
GF_OP uint8x16x4_t as_table(F32 a) {
  return {vreinterpretq_u8_f32(a.v[0]), vreinterpretq_u8_f32(a.v[1]), vreinterpretq_u8_f32(a.v[2]),
          vreinterpretq_u8_f32(a.v[3])};
}
GF_OP F32 take_lanes(F32 a, F32 b, U32 number) {
  return each<F32>([&](int i) {
    const uint8x16_t byte =
        vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), number.v[i], 0x04040404));
    const uint8x16_t of_a = vqtbl4q_u8(as_table(a), byte);
    return vreinterpretq_f32_u8(vqtbx4q_u8(of_a, as_table(b), vsubq_u8(byte, vdupq_n_u8(64))));
  });
}
constexpr int few_columns = 5;

GF_OP float lane_max(F32 a) {
  return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}
GF_OP double lane_max(F64 a) {
  return vmaxvq_f64(vmaxq_f64(vmaxq_f64(a.v[0], a.v[1]), vmaxq_f64(a.v[2], a.v[3])));
}
GF_OP float lane_sum(F32 a) {
  const float32x4_t q = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t d = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
}
GF_OP double lane_sum(F64 a) {
  const float64x2_t q = vaddq_f64(vaddq_f64(a.v[0], a.v[2]), vaddq_f64(a.v[1], a.v[3]));
  return vgetq_lane_f64(q, 0) + vgetq_lane_f64(q, 1);
}
template <class V>
GF_OP V sum_of_each(const V (&a)[V::lanes]) {
  typename V::Scalar out[V::lanes];
  for (int i = 0; i < V::lanes; ++i) out[i] = lane_sum(a[i]);
  return load(out);
}
GF_OP F32 max_of_each(const F32 (&a)[16]) {
  float out[16];
  for (int i = 0; i < 16; ++i) out[i] = lane_max(a[i]);
  return load(out);
}
GF_OP F64 max_of_each(const F64 (&a)[8]) {
  double out[8];
  for (int i = 0; i < 8; ++i) out[i] = lane_max(a[i]);
  return load(out);
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast

#include "composed.hpp"
