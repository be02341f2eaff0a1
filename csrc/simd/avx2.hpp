// The SIMD vocabulary on AVX2, FMA and F16C: two ymm registers per 64-byte block. Meanings stand in scalar.hpp.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace gumbelfast {
namespace {
namespace simd {

#define GF_OP inline __attribute__((always_inline))
#define GF_STEP __attribute__((always_inline))  // of a lambda within a loop
#define GF_PHILOX_STEP

struct F32 {
  using Scalar = float;
  static constexpr int lanes = 16;
  __m256 a, b;
};
struct F64 {
  using Scalar = double;
  static constexpr int lanes = 8;
  __m256d a, b;
};
struct U32 {
  static constexpr int lanes = 16;
  __m256i a, b;
};
struct U64 {
  static constexpr int lanes = 8;
  __m256i a, b;
};
// Lanes of all ones or all zeros.
struct M32 {
  __m256 a, b;
};
struct M64 {
  __m256d a, b;
};

constexpr int registers = 16;

GF_OP F32 set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
GF_OP F64 set(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
GF_OP U32 set(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x)), _mm256_set1_epi32(static_cast<int>(x))}; }
GF_OP U64 set(uint64_t x) {
  return {_mm256_set1_epi64x(static_cast<long long>(x)), _mm256_set1_epi64x(static_cast<long long>(x))};
}
GF_OP U32 iota32() {
  return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
GF_OP U64 iota64() { return {_mm256_setr_epi64x(0, 1, 2, 3), _mm256_setr_epi64x(4, 5, 6, 7)}; }

GF_OP __m256i load_bits(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
GF_OP void store_bits(void* p, __m256i a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a); }
GF_OP __m128i load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
GF_OP F32 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
GF_OP F64 load(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
GF_OP U32 load(const uint32_t* p) { return {load_bits(p), load_bits(p + 8)}; }
GF_OP U64 load(const uint64_t* p) { return {load_bits(p), load_bits(p + 4)}; }
GF_OP F32 load_f16(const uint16_t* p) { return {_mm256_cvtph_ps(load_half(p)), _mm256_cvtph_ps(load_half(p + 8))}; }
GF_OP __m256 from_bf16(__m128i a) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16)); }
GF_OP F32 load_bf16(const uint16_t* p) { return {from_bf16(load_half(p)), from_bf16(load_half(p + 8))}; }
GF_OP void store(float* p, F32 x) { _mm256_storeu_ps(p, x.a), _mm256_storeu_ps(p + 8, x.b); }
GF_OP void store(double* p, F64 x) { _mm256_storeu_pd(p, x.a), _mm256_storeu_pd(p + 4, x.b); }
GF_OP void store(uint32_t* p, U32 x) { store_bits(p, x.a), store_bits(p + 8, x.b); }
GF_OP void store(uint64_t* p, U64 x) { store_bits(p, x.a), store_bits(p + 4, x.b); }
GF_OP void store_f16(uint16_t* p, F32 x) {
  const __m128i a = _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m128i b = _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  store_bits(p, _mm256_set_m128i(b, a));
}
GF_OP void store_low16(uint16_t* p, U32 x) {
  const __m256i low = _mm256_set1_epi32(0xffff);
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(x.a, low), _mm256_and_si256(x.b, low));
  store_bits(p, _mm256_permute4x64_epi64(packed, 0xD8));
}
GF_OP void store_past_cache(void* to, const void* line) {
  auto* out = static_cast<__m256i*>(to);
  const auto* in = static_cast<const __m256i*>(line);
  _mm256_stream_si256(out, _mm256_load_si256(in)), _mm256_stream_si256(out + 1, _mm256_load_si256(in + 1));
}
GF_OP void fence_stores() { _mm_sfence(); }

GF_OP __m256 nonzero8(const uint8_t* p) {
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(wide, _mm256_setzero_si256()));
}
GF_OP M32 load_mask32(const uint8_t* p) { return {nonzero8(p), nonzero8(p + 8)}; }
GF_OP M64 load_mask64(const uint8_t* p) {
  const __m256i wide = _mm256_castps_si256(nonzero8(p));
  return {_mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(wide))),
          _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(wide, 1)))};
}
// Lanes below n of a register whose first lane has number `from`.
GF_OP __m256i first8(int n, int from) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - from), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
GF_OP __m256i first4(int n, int from) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - from), _mm256_setr_epi64x(0, 1, 2, 3));
}
GF_OP F32 load_first(const float* p, int n, F32 rest) {
  const __m256i a = first8(n, 0), b = first8(n, 8);
  return {_mm256_blendv_ps(rest.a, _mm256_maskload_ps(p, a), _mm256_castsi256_ps(a)),
          _mm256_blendv_ps(rest.b, _mm256_maskload_ps(p + 8, b), _mm256_castsi256_ps(b))};
}
GF_OP F64 load_first(const double* p, int n, F64 rest) {
  const __m256i a = first4(n, 0), b = first4(n, 4);
  return {_mm256_blendv_pd(rest.a, _mm256_maskload_pd(p, a), _mm256_castsi256_pd(a)),
          _mm256_blendv_pd(rest.b, _mm256_maskload_pd(p + 4, b), _mm256_castsi256_pd(b))};
}
GF_OP void store_first(float* p, int n, F32 x) {
  _mm256_maskstore_ps(p, first8(n, 0), x.a), _mm256_maskstore_ps(p + 8, first8(n, 8), x.b);
}
GF_OP void store_first(double* p, int n, F64 x) {
  _mm256_maskstore_pd(p, first4(n, 0), x.a), _mm256_maskstore_pd(p + 4, first4(n, 4), x.b);
}

#define GF_BOTH(R, op, x, y) R{op(x.a, y.a), op(x.b, y.b)}
GF_OP F32 operator+(F32 x, F32 y) { return GF_BOTH(F32, _mm256_add_ps, x, y); }
GF_OP F64 operator+(F64 x, F64 y) { return GF_BOTH(F64, _mm256_add_pd, x, y); }
GF_OP F32 operator-(F32 x, F32 y) { return GF_BOTH(F32, _mm256_sub_ps, x, y); }
GF_OP F64 operator-(F64 x, F64 y) { return GF_BOTH(F64, _mm256_sub_pd, x, y); }
GF_OP F32 operator*(F32 x, F32 y) { return GF_BOTH(F32, _mm256_mul_ps, x, y); }
GF_OP F64 operator*(F64 x, F64 y) { return GF_BOTH(F64, _mm256_mul_pd, x, y); }
GF_OP F64 operator/(F64 x, F64 y) { return GF_BOTH(F64, _mm256_div_pd, x, y); }
GF_OP F32 fma(F32 x, F32 y, F32 z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
GF_OP F64 fma(F64 x, F64 y, F64 z) { return {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)}; }
GF_OP F32 max(F32 x, F32 y) { return GF_BOTH(F32, _mm256_max_ps, x, y); }
GF_OP F64 max(F64 x, F64 y) { return GF_BOTH(F64, _mm256_max_pd, x, y); }
GF_OP F32 min(F32 x, F32 y) { return GF_BOTH(F32, _mm256_min_ps, x, y); }
GF_OP F64 min(F64 x, F64 y) { return GF_BOTH(F64, _mm256_min_pd, x, y); }

GF_OP M32 operator>(F32 x, F32 y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ)};
}
GF_OP M64 operator>(F64 x, F64 y) {
  return {_mm256_cmp_pd(x.a, y.a, _CMP_GT_OQ), _mm256_cmp_pd(x.b, y.b, _CMP_GT_OQ)};
}
GF_OP M32 operator>=(F32 x, F32 y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_GE_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_GE_OQ)};
}
GF_OP M64 operator>=(F64 x, F64 y) {
  return {_mm256_cmp_pd(x.a, y.a, _CMP_GE_OQ), _mm256_cmp_pd(x.b, y.b, _CMP_GE_OQ)};
}
GF_OP M32 operator==(F32 x, F32 y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_EQ_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_EQ_OQ)};
}
GF_OP M64 operator==(F64 x, F64 y) {
  return {_mm256_cmp_pd(x.a, y.a, _CMP_EQ_OQ), _mm256_cmp_pd(x.b, y.b, _CMP_EQ_OQ)};
}
GF_OP M32 unordered(F32 x, F32 y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_UNORD_Q), _mm256_cmp_ps(x.b, y.b, _CMP_UNORD_Q)};
}
GF_OP M64 unordered(F64 x, F64 y) {
  return {_mm256_cmp_pd(x.a, y.a, _CMP_UNORD_Q), _mm256_cmp_pd(x.b, y.b, _CMP_UNORD_Q)};
}
GF_OP M32 operator==(U32 x, U32 y) {
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(x.a, y.a)), _mm256_castsi256_ps(_mm256_cmpeq_epi32(x.b, y.b))};
}
GF_OP M64 operator==(U64 x, U64 y) {
  return {_mm256_castsi256_pd(_mm256_cmpeq_epi64(x.a, y.a)), _mm256_castsi256_pd(_mm256_cmpeq_epi64(x.b, y.b))};
}
GF_OP M32 signed_above(U32 x, U32 y) {
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(x.a, y.a)), _mm256_castsi256_ps(_mm256_cmpgt_epi32(x.b, y.b))};
}
GF_OP M64 signed_above(U64 x, U64 y) {
  return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(x.a, y.a)), _mm256_castsi256_pd(_mm256_cmpgt_epi64(x.b, y.b))};
}
GF_OP M32 operator|(M32 x, M32 y) { return GF_BOTH(M32, _mm256_or_ps, x, y); }
GF_OP M64 operator|(M64 x, M64 y) { return GF_BOTH(M64, _mm256_or_pd, x, y); }
GF_OP uint32_t bits(M32 m) {
  return static_cast<uint32_t>(_mm256_movemask_ps(m.a)) | static_cast<uint32_t>(_mm256_movemask_ps(m.b)) << 8;
}
GF_OP uint32_t bits(M64 m) {
  return static_cast<uint32_t>(_mm256_movemask_pd(m.a)) | static_cast<uint32_t>(_mm256_movemask_pd(m.b)) << 4;
}
GF_OP bool any(M32 m) { return _mm256_movemask_ps(_mm256_or_ps(m.a, m.b)); }
GF_OP bool any(M64 m) { return _mm256_movemask_pd(_mm256_or_pd(m.a, m.b)); }
GF_OP __m256i lanes8(uint32_t lanes) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(lanes)), bit), bit);
}
GF_OP __m256i lanes4(uint32_t lanes) {
  const __m256i bit = _mm256_setr_epi64x(1, 2, 4, 8);
  return _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(lanes), bit), bit);
}
GF_OP M32 lane_mask(uint32_t lanes, F32) {
  return {_mm256_castsi256_ps(lanes8(lanes)), _mm256_castsi256_ps(lanes8(lanes >> 8))};
}
GF_OP M64 lane_mask(uint32_t lanes, F64) {
  return {_mm256_castsi256_pd(lanes4(lanes)), _mm256_castsi256_pd(lanes4(lanes >> 4))};
}
GF_OP F32 select(M32 m, F32 x, F32 y) { return {_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b)}; }
GF_OP F64 select(M64 m, F64 x, F64 y) { return {_mm256_blendv_pd(y.a, x.a, m.a), _mm256_blendv_pd(y.b, x.b, m.b)}; }

GF_OP U32 as_bits(F32 x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
GF_OP U64 as_bits(F64 x) { return {_mm256_castpd_si256(x.a), _mm256_castpd_si256(x.b)}; }
GF_OP F32 as_float(U32 x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
GF_OP F64 as_float(U64 x) { return {_mm256_castsi256_pd(x.a), _mm256_castsi256_pd(x.b)}; }
GF_OP U32 select(M32 m, U32 x, U32 y) { return as_bits(select(m, as_float(x), as_float(y))); }
GF_OP U64 select(M64 m, U64 x, U64 y) { return as_bits(select(m, as_float(x), as_float(y))); }
GF_OP U32 operator+(U32 x, U32 y) { return GF_BOTH(U32, _mm256_add_epi32, x, y); }
GF_OP U64 operator+(U64 x, U64 y) { return GF_BOTH(U64, _mm256_add_epi64, x, y); }
GF_OP U32 operator-(U32 x, U32 y) { return GF_BOTH(U32, _mm256_sub_epi32, x, y); }
GF_OP U64 operator-(U64 x, U64 y) { return GF_BOTH(U64, _mm256_sub_epi64, x, y); }
GF_OP U32 operator&(U32 x, U32 y) { return GF_BOTH(U32, _mm256_and_si256, x, y); }
GF_OP U64 operator&(U64 x, U64 y) { return GF_BOTH(U64, _mm256_and_si256, x, y); }
GF_OP U32 operator|(U32 x, U32 y) { return GF_BOTH(U32, _mm256_or_si256, x, y); }
GF_OP U64 operator|(U64 x, U64 y) { return GF_BOTH(U64, _mm256_or_si256, x, y); }
GF_OP U64 operator^(U64 x, U64 y) { return GF_BOTH(U64, _mm256_xor_si256, x, y); }
GF_OP U64 xor3(U64 x, U64 y, U64 z) { return x ^ y ^ z; }
template <int n>
GF_OP U32 shl(U32 x) { return {_mm256_slli_epi32(x.a, n), _mm256_slli_epi32(x.b, n)}; }
template <int n>
GF_OP U64 shl(U64 x) { return {_mm256_slli_epi64(x.a, n), _mm256_slli_epi64(x.b, n)}; }
template <int n>
GF_OP U32 shr(U32 x) { return {_mm256_srli_epi32(x.a, n), _mm256_srli_epi32(x.b, n)}; }
template <int n>
GF_OP U64 shr(U64 x) { return {_mm256_srli_epi64(x.a, n), _mm256_srli_epi64(x.b, n)}; }
GF_OP U32 shl(U32 x, U32 places) { return GF_BOTH(U32, _mm256_sllv_epi32, x, places); }
GF_OP U64 shl(U64 x, U64 places) { return GF_BOTH(U64, _mm256_sllv_epi64, x, places); }
template <int n>
GF_OP U32 sar(U32 x) { return {_mm256_srai_epi32(x.a, n), _mm256_srai_epi32(x.b, n)}; }
// AVX2 has no arithmetic shift of 64-bit lanes: a logical one, and the sign spread over the upper bits.
template <int n>
GF_OP U64 sar(U64 x) {
  const U64 sign = {_mm256_cmpgt_epi64(_mm256_setzero_si256(), x.a), _mm256_cmpgt_epi64(_mm256_setzero_si256(), x.b)};
  return shr<n>(x) | shl<64 - n>(sign);
}
GF_OP U32 min(U32 x, U32 y) { return GF_BOTH(U32, _mm256_min_epu32, x, y); }
GF_OP U64 mul_low32(U64 x, U64 y) { return GF_BOTH(U64, _mm256_mul_epu32, x, y); }

}  // namespace simd
}  // namespace
}  // namespace gumbelfast

#include "avx2_lanes.hpp"
#include "composed.hpp"
