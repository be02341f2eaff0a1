// The SIMD vocabulary on AVX-512 (F, CD, DQ, BW, VL): one zmm register per 64-byte block.
// Every simd header defines these types and functions alike; scalar.hpp says what each must return.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace gumbelfast {
namespace {
namespace simd {

#define GF_OP inline __attribute__((always_inline))
#define GF_STEP __attribute__((always_inline))  // of a lambda within a loop
#define GF_PHILOX_STEP GF_STEP  // where registers hold the keys of all rounds, from loop to loop

struct F32 {
  using Scalar = float;
  static constexpr int lanes = 16;
  __m512 v;
};
struct F64 {
  using Scalar = double;
  static constexpr int lanes = 8;
  __m512d v;
};
struct U32 {
  static constexpr int lanes = 16;
  __m512i v;
};
struct U64 {
  static constexpr int lanes = 8;
  __m512i v;
};
struct M32 {
  __mmask16 v;
};
struct M64 {
  __mmask8 v;
};

constexpr int registers = 32;

GF_OP F32 set(float x) { return {_mm512_set1_ps(x)}; }
GF_OP F64 set(double x) { return {_mm512_set1_pd(x)}; }
GF_OP U32 set(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
GF_OP U64 set(uint64_t x) { return {_mm512_set1_epi64(static_cast<long long>(x))}; }
GF_OP U32 iota32() { return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }
GF_OP U64 iota64() { return {_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)}; }

GF_OP F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
GF_OP F64 load(const double* p) { return {_mm512_loadu_pd(p)}; }
GF_OP U32 load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
GF_OP U64 load(const uint64_t* p) { return {_mm512_loadu_si512(p)}; }
GF_OP F32 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
GF_OP F32 load_bf16(const uint16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
GF_OP void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
GF_OP void store(double* p, F64 a) { _mm512_storeu_pd(p, a.v); }
GF_OP void store(uint32_t* p, U32 a) { _mm512_storeu_si512(p, a.v); }
GF_OP void store(uint64_t* p, U64 a) { _mm512_storeu_si512(p, a.v); }
GF_OP void store_f16(uint16_t* p, F32 a) {
  const __m256i half = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), half);
}
GF_OP void store_low16(uint16_t* p, U32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}
GF_OP void store_past_cache(void* to, const void* line) {
  _mm512_stream_si512(static_cast<__m512i*>(to), _mm512_load_si512(line));
}
GF_OP void fence_stores() { _mm_sfence(); }

GF_OP M32 load_mask32(const uint8_t* p) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm_test_epi8_mask(a, a)};
}
GF_OP M64 load_mask64(const uint8_t* p) {
  const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return {static_cast<__mmask8>(_mm_test_epi8_mask(a, a))};
}
GF_OP __mmask16 first16(int n) { return static_cast<__mmask16>((1u << n) - 1); }
GF_OP __mmask8 first8(int n) { return static_cast<__mmask8>((1u << n) - 1); }
GF_OP F32 load_first(const float* p, int n, F32 rest) { return {_mm512_mask_loadu_ps(rest.v, first16(n), p)}; }
GF_OP F64 load_first(const double* p, int n, F64 rest) { return {_mm512_mask_loadu_pd(rest.v, first8(n), p)}; }
GF_OP void store_first(float* p, int n, F32 a) { _mm512_mask_storeu_ps(p, first16(n), a.v); }
GF_OP void store_first(double* p, int n, F64 a) { _mm512_mask_storeu_pd(p, first8(n), a.v); }

GF_OP F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
GF_OP F64 operator+(F64 a, F64 b) { return {_mm512_add_pd(a.v, b.v)}; }
GF_OP F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
GF_OP F64 operator-(F64 a, F64 b) { return {_mm512_sub_pd(a.v, b.v)}; }
GF_OP F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
GF_OP F64 operator*(F64 a, F64 b) { return {_mm512_mul_pd(a.v, b.v)}; }
GF_OP F64 operator/(F64 a, F64 b) { return {_mm512_div_pd(a.v, b.v)}; }
GF_OP F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
GF_OP F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
GF_OP F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
GF_OP F64 max(F64 a, F64 b) { return {_mm512_max_pd(a.v, b.v)}; }
GF_OP F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
GF_OP F64 min(F64 a, F64 b) { return {_mm512_min_pd(a.v, b.v)}; }

GF_OP M32 operator>(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
GF_OP M64 operator>(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)}; }
GF_OP M32 operator>=(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
GF_OP M64 operator>=(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GE_OQ)}; }
GF_OP M32 operator==(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
GF_OP M64 operator==(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
GF_OP M32 unordered(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q)}; }
GF_OP M64 unordered(F64 a, F64 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_UNORD_Q)}; }
GF_OP M32 operator==(U32 a, U32 b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
GF_OP M64 operator==(U64 a, U64 b) { return {_mm512_cmpeq_epi64_mask(a.v, b.v)}; }
GF_OP M32 signed_above(U32 a, U32 b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
GF_OP M64 signed_above(U64 a, U64 b) { return {_mm512_cmpgt_epi64_mask(a.v, b.v)}; }
GF_OP M32 operator|(M32 a, M32 b) { return {static_cast<__mmask16>(a.v | b.v)}; }
GF_OP M64 operator|(M64 a, M64 b) { return {static_cast<__mmask8>(a.v | b.v)}; }
GF_OP uint32_t bits(M32 m) { return m.v; }
GF_OP uint32_t bits(M64 m) { return m.v; }
GF_OP bool any(M32 m) { return m.v; }
GF_OP bool any(M64 m) { return m.v; }
GF_OP M32 lane_mask(uint32_t lanes, F32) { return {static_cast<__mmask16>(lanes)}; }
GF_OP M64 lane_mask(uint32_t lanes, F64) { return {static_cast<__mmask8>(lanes)}; }
GF_OP F32 select(M32 m, F32 a, F32 b) { return {_mm512_mask_mov_ps(b.v, m.v, a.v)}; }
GF_OP F64 select(M64 m, F64 a, F64 b) { return {_mm512_mask_mov_pd(b.v, m.v, a.v)}; }
GF_OP U32 select(M32 m, U32 a, U32 b) { return {_mm512_mask_mov_epi32(b.v, m.v, a.v)}; }
GF_OP U64 select(M64 m, U64 a, U64 b) { return {_mm512_mask_mov_epi64(b.v, m.v, a.v)}; }

GF_OP U32 as_bits(F32 a) { return {_mm512_castps_si512(a.v)}; }
GF_OP U64 as_bits(F64 a) { return {_mm512_castpd_si512(a.v)}; }
GF_OP F32 as_float(U32 a) { return {_mm512_castsi512_ps(a.v)}; }
GF_OP F64 as_float(U64 a) { return {_mm512_castsi512_pd(a.v)}; }
GF_OP U32 operator+(U32 a, U32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
GF_OP U64 operator+(U64 a, U64 b) { return {_mm512_add_epi64(a.v, b.v)}; }
GF_OP U32 operator-(U32 a, U32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
GF_OP U64 operator-(U64 a, U64 b) { return {_mm512_sub_epi64(a.v, b.v)}; }
GF_OP U32 operator&(U32 a, U32 b) { return {_mm512_and_si512(a.v, b.v)}; }
GF_OP U64 operator&(U64 a, U64 b) { return {_mm512_and_si512(a.v, b.v)}; }
GF_OP U32 operator|(U32 a, U32 b) { return {_mm512_or_si512(a.v, b.v)}; }
GF_OP U64 operator|(U64 a, U64 b) { return {_mm512_or_si512(a.v, b.v)}; }
GF_OP U64 operator^(U64 a, U64 b) { return {_mm512_xor_si512(a.v, b.v)}; }
GF_OP U64 xor3(U64 a, U64 b, U64 c) { return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0x96)}; }
template <int n>
GF_OP U32 shl(U32 a) { return {_mm512_slli_epi32(a.v, n)}; }
template <int n>
GF_OP U64 shl(U64 a) { return {_mm512_slli_epi64(a.v, n)}; }
template <int n>
GF_OP U32 shr(U32 a) { return {_mm512_srli_epi32(a.v, n)}; }
template <int n>
GF_OP U64 shr(U64 a) { return {_mm512_srli_epi64(a.v, n)}; }
GF_OP U32 shl(U32 a, U32 places) { return {_mm512_sllv_epi32(a.v, places.v)}; }
GF_OP U64 shl(U64 a, U64 places) { return {_mm512_sllv_epi64(a.v, places.v)}; }
template <int n>
GF_OP U32 sar(U32 a) { return {_mm512_srai_epi32(a.v, n)}; }
template <int n>
GF_OP U64 sar(U64 a) { return {_mm512_srai_epi64(a.v, n)}; }
GF_OP U64 mul_low32(U64 a, U64 b) { return {_mm512_mul_epu32(a.v, b.v)}; }
GF_OP U32 min(U32 a, U32 b) { return {_mm512_min_epu32(a.v, b.v)}; }

GF_OP F32 fraction(F32 a) { return {_mm512_getmant_ps(a.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src)}; }
GF_OP F64 fraction(F64 a) { return {_mm512_getmant_pd(a.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src)}; }
// A quarter of an octave on: 3/4 becomes 1 in the bits.
GF_OP F32 octave(F32 a) { return {_mm512_getexp_ps(as_float(as_bits(a) + set(uint32_t{1} << 22)).v)}; }
GF_OP F64 octave(F64 a) { return {_mm512_getexp_pd(as_float(as_bits(a) + set(uint64_t{1} << 51)).v)}; }
// Conversions that cut: what is left are the digits behind the first one.
GF_OP void split(U32 word, F32& zeros, F32& part) {
  const __m512 cut = _mm512_cvt_roundepu32_ps(word.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  zeros = set(31.0f) - F32{_mm512_getexp_ps(cut)};
  part = {_mm512_getmant_ps(cut, _MM_MANT_NORM_p5_1, _MM_MANT_SIGN_src)};
}
GF_OP void split(U64 word, F64& zeros, F64& part) {
  const __m512d cut = _mm512_cvt_roundepu64_pd(word.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  zeros = set(63.0) - F64{_mm512_getexp_pd(cut)};
  part = {_mm512_getmant_pd(cut, _MM_MANT_NORM_p5_1, _MM_MANT_SIGN_src)};
}
GF_OP F32 signed_float(U32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
GF_OP F64 signed_float(U64 a) { return {_mm512_cvtepi64_pd(a.v)}; }
GF_OP F64 widen_low(F32 a) { return {_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))}; }
GF_OP F64 widen_high(F32 a) { return {_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))}; }
GF_OP F32 narrow(F64 a, F64 b) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(a.v)), _mm512_cvtpd_ps(b.v), 1)};
}
GF_OP U32 narrow(U64 a, U64 b) {
  return {_mm512_inserti32x8(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(a.v)), _mm512_cvtepi64_epi32(b.v), 1)};
}
GF_OP U32 join_low32(U64 a, U64 b) { return {_mm512_mask_shuffle_epi32(a.v, 0xAAAA, b.v, _MM_PERM_CCAA)}; }
GF_OP U64 as_pairs(U32 a) { return {a.v}; }
GF_OP void compress(float* p, M32 m, F32 a) { _mm512_storeu_ps(p, _mm512_maskz_compress_ps(m.v, a.v)); }
GF_OP void compress(double* p, M64 m, F64 a) { _mm512_storeu_pd(p, _mm512_maskz_compress_pd(m.v, a.v)); }
GF_OP void compress(uint32_t* p, M32 m, U32 a) { _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.v, a.v)); }
GF_OP void compress(uint64_t* p, M64 m, U64 a) { _mm512_storeu_si512(p, _mm512_maskz_compress_epi64(m.v, a.v)); }
GF_OP U64 pair_low(U32 a, U32 b) {
  const U32 order = {_mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)};
  return {_mm512_permutex2var_epi32(a.v, order.v, b.v)};
}
GF_OP U64 pair_high(U32 a, U32 b) {
  const U32 order = {_mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)};
  return {_mm512_permutex2var_epi32(a.v, order.v, b.v)};
}

GF_OP F32 take_lanes(F32 a, F32 b, U32 number) { return {_mm512_permutex2var_ps(a.v, number.v, b.v)}; }
constexpr int few_columns = 10;

GF_OP float lane_max(F32 a) { return _mm512_reduce_max_ps(a.v); }
GF_OP double lane_max(F64 a) { return _mm512_reduce_max_pd(a.v); }
GF_OP float lane_sum(F32 a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
GF_OP double lane_sum(F64 a) {
  const __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
  return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

// Rows i, i + 4, i + 8 and i + 12 side by side; then lanes fold as in lane_sum.
GF_OP __m512 sum_of_four(const F32* a) {
  const __m512 p = _mm512_add_ps(_mm512_shuffle_f32x4(a[0].v, a[4].v, 0x44), _mm512_shuffle_f32x4(a[0].v, a[4].v, 0xEE));
  const __m512 q = _mm512_add_ps(_mm512_shuffle_f32x4(a[8].v, a[12].v, 0x44), _mm512_shuffle_f32x4(a[8].v, a[12].v, 0xEE));
  return _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xDD));
}
GF_OP F32 sum_of_each(const F32 (&a)[16]) {
  __m512 b[4], c[2];
  for (int i = 0; i < 4; ++i) b[i] = sum_of_four(a + i);
  for (int i = 0; i < 2; ++i)
    c[i] = _mm512_add_ps(_mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44), _mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0xEE));
  return {_mm512_add_ps(_mm512_shuffle_ps(c[0], c[1], 0x88), _mm512_shuffle_ps(c[0], c[1], 0xDD))};
}
GF_OP __m512d sum_of_four(const F64* a) {
  const __m512d p = _mm512_add_pd(_mm512_shuffle_f64x2(a[0].v, a[2].v, 0x44), _mm512_shuffle_f64x2(a[0].v, a[2].v, 0xEE));
  const __m512d q = _mm512_add_pd(_mm512_shuffle_f64x2(a[4].v, a[6].v, 0x44), _mm512_shuffle_f64x2(a[4].v, a[6].v, 0xEE));
  return _mm512_add_pd(_mm512_shuffle_f64x2(p, q, 0x88), _mm512_shuffle_f64x2(p, q, 0xDD));
}
GF_OP F64 sum_of_each(const F64 (&a)[8]) {
  const __m512d b = sum_of_four(a), c = sum_of_four(a + 1);
  return {_mm512_add_pd(_mm512_unpacklo_pd(b, c), _mm512_unpackhi_pd(b, c))};
}

GF_OP F32 max_of_each(const F32 (&a)[16]) {
  __m512 b[8], c[4], d[2];
  for (int i = 0; i < 8; ++i)
    b[i] = _mm512_max_ps(_mm512_unpacklo_ps(a[2 * i].v, a[2 * i + 1].v), _mm512_unpackhi_ps(a[2 * i].v, a[2 * i + 1].v));
  for (int i = 0; i < 4; ++i)
    c[i] = _mm512_max_ps(_mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44), _mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0xEE));
  for (int i = 0; i < 2; ++i)
    d[i] = _mm512_max_ps(_mm512_shuffle_f32x4(c[2 * i], c[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(c[2 * i], c[2 * i + 1], 0xDD));
  return {_mm512_max_ps(_mm512_shuffle_f32x4(d[0], d[1], 0x88), _mm512_shuffle_f32x4(d[0], d[1], 0xDD))};
}
GF_OP F64 max_of_each(const F64 (&a)[8]) {
  __m512d b[4], c[2];
  for (int i = 0; i < 4; ++i)
    b[i] = _mm512_max_pd(_mm512_unpacklo_pd(a[2 * i].v, a[2 * i + 1].v), _mm512_unpackhi_pd(a[2 * i].v, a[2 * i + 1].v));
  for (int i = 0; i < 2; ++i)
    c[i] = _mm512_max_pd(_mm512_shuffle_f64x2(b[2 * i], b[2 * i + 1], 0x88),
                         _mm512_shuffle_f64x2(b[2 * i], b[2 * i + 1], 0xDD));
  return {_mm512_max_pd(_mm512_shuffle_f64x2(c[0], c[1], 0x88), _mm512_shuffle_f64x2(c[0], c[1], 0xDD))};
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
