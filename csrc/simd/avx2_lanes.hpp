// The second half of the vocabulary on AVX2: conversions and whatever crosses lanes. Included by avx2.hpp.
#pragma once

namespace gumbelfast {
namespace {
namespace simd {

GF_OP F32 signed_float(U32 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
// The upper 24 bits are a float exactly, whose exponent tells.
GF_OP U32 leading_zeros(U32 x) { return set(uint32_t{127 + 23}) - shr<23>(as_bits(signed_float(shr<8>(x)))); }
GF_OP U64 leading_zeros(U64 x) {
  const U32 zeros = leading_zeros(U32{x.a, x.b});
  return shr<32>(U64{zeros.a, zeros.b});
}
// x = high * 2**32 + low: each half becomes an exact double by its exponent's bits; the one inexact step is the last sum.
GF_OP __m256d signed_double(__m256i x) {
  const __m256i low = _mm256_blend_epi32(_mm256_set1_epi64x(0x4330000000000000), x, 0x55);
  const __m256i high = _mm256_xor_si256(_mm256_srli_epi64(x, 32), _mm256_set1_epi64x(0x4530000080000000));
  const __m256d exact = _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x1.00000801p+84));
  return _mm256_add_pd(exact, _mm256_castsi256_pd(low));
}
GF_OP F64 signed_float(U64 x) { return {signed_double(x.a), signed_double(x.b)}; }
GF_OP F64 widen(__m256 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
GF_OP F64 widen_low(F32 x) { return widen(x.a); }
GF_OP F64 widen_high(F32 x) { return widen(x.b); }
GF_OP F32 narrow(F64 x, F64 y) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(x.b), _mm256_cvtpd_ps(x.a)),
          _mm256_set_m128(_mm256_cvtpd_ps(y.b), _mm256_cvtpd_ps(y.a))};
}
GF_OP __m256i even_words(__m256i x, __m256i y) {
  const __m256 picked = _mm256_shuffle_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y), 0x88);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(picked), 0xD8);
}
GF_OP U32 narrow(U64 x, U64 y) { return {even_words(x.a, x.b), even_words(y.a, y.b)}; }
GF_OP U32 join_low32(U64 x, U64 y) {
  const U64 high = shl<32>(y);
  return {_mm256_blend_epi32(x.a, high.a, 0xAA), _mm256_blend_epi32(x.b, high.b, 0xAA)};
}
GF_OP U64 as_pairs(U32 x) { return {x.a, x.b}; }
GF_OP U64 pair(__m256i x, __m256i y) {
  const __m256i even = _mm256_unpacklo_epi32(x, y), odd = _mm256_unpackhi_epi32(x, y);
  return {_mm256_permute2x128_si256(even, odd, 0x20), _mm256_permute2x128_si256(even, odd, 0x31)};
}
GF_OP U64 pair_low(U32 x, U32 y) { return pair(x.a, y.a); }
GF_OP U64 pair_high(U32 x, U32 y) { return pair(x.b, y.b); }

GF_OP __m256 take_lanes(F32 x, F32 y, __m256i number) {
  const __m256 in_second = _mm256_castsi256_ps(_mm256_slli_epi32(number, 28));
  const __m256 of_y = _mm256_castsi256_ps(_mm256_slli_epi32(number, 27));
  const auto from = [&](F32 z) {
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(z.a, number), _mm256_permutevar8x32_ps(z.b, number), in_second);
  };
  return _mm256_blendv_ps(from(x), from(y), of_y);
}
GF_OP F32 take_lanes(F32 x, F32 y, U32 number) { return {take_lanes(x, y, number.a), take_lanes(x, y, number.b)}; }
constexpr int few_columns = 3;

// Which of eight lanes a mask chooses, one a byte, the first in the low one.
struct ChosenLanes {
  uint64_t of[256];
  constexpr ChosenLanes() : of{} {
    for (uint32_t m = 0; m < 256; ++m)
      for (uint32_t i = 0, k = 0; i < 8; ++i)
        if (m >> i & 1) of[m] |= static_cast<uint64_t>(i) << 8 * k++;
  }
};
constexpr ChosenLanes chosen_lanes;
GF_OP __m256 compress8(__m256 x, uint32_t m) {
  const __m128i order = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&chosen_lanes.of[m]));
  return _mm256_permutevar8x32_ps(x, _mm256_cvtepu8_epi32(order));
}
GF_OP void compress(float* p, M32 m, F32 x) {
  const uint32_t all = bits(m), low = all & 255;
  _mm256_storeu_ps(p, compress8(x.a, low));
  _mm256_storeu_ps(p + __builtin_popcount(low), compress8(x.b, all >> 8));
}
GF_OP void compress(uint32_t* p, M32 m, U32 x) { compress(reinterpret_cast<float*>(p), m, as_float(x)); }

GF_OP float lane_max(F32 x) {
  const __m256 h = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}
GF_OP double lane_max(F64 x) {
  const __m256d h = _mm256_max_pd(x.a, x.b);
  const __m128d q = _mm_max_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
  return _mm_cvtsd_f64(_mm_max_sd(q, _mm_unpackhi_pd(q, q)));
}
GF_OP float lane_sum(F32 x) {
  const __m256 h = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
GF_OP double lane_sum(F64 x) {
  const __m256d h = _mm256_add_pd(x.a, x.b);
  const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
  return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

// Lanes fold as in lane_sum.
GF_OP __m256 sum_of_eight(const F32* x) {
  __m256 a[4], b[2];
  for (int i = 0; i < 4; ++i) {
    const __m256 p = _mm256_add_ps(x[i].a, x[i].b), q = _mm256_add_ps(x[i + 4].a, x[i + 4].b);
    a[i] = _mm256_add_ps(_mm256_permute2f128_ps(p, q, 0x20), _mm256_permute2f128_ps(p, q, 0x31));
  }
  for (int i = 0; i < 2; ++i)
    b[i] = _mm256_add_ps(_mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44), _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xEE));
  return _mm256_add_ps(_mm256_shuffle_ps(b[0], b[1], 0x88), _mm256_shuffle_ps(b[0], b[1], 0xDD));
}
GF_OP F32 sum_of_each(const F32 (&x)[16]) { return {sum_of_eight(x), sum_of_eight(x + 8)}; }
GF_OP __m256d sum_of_four(const F64* x) {
  __m256d a[2];
  for (int i = 0; i < 2; ++i) {
    const __m256d p = _mm256_add_pd(x[i].a, x[i].b), q = _mm256_add_pd(x[i + 2].a, x[i + 2].b);
    a[i] = _mm256_add_pd(_mm256_permute2f128_pd(p, q, 0x20), _mm256_permute2f128_pd(p, q, 0x31));
  }
  return _mm256_add_pd(_mm256_unpacklo_pd(a[0], a[1]), _mm256_unpackhi_pd(a[0], a[1]));
}
GF_OP F64 sum_of_each(const F64 (&x)[8]) { return {sum_of_four(x), sum_of_four(x + 4)}; }

GF_OP __m256 max_of_eight(const __m256 (&a)[8]) {
  __m256 b[4], c[2];
  for (int i = 0; i < 4; ++i)
    b[i] = _mm256_max_ps(_mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]), _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]));
  for (int i = 0; i < 2; ++i)
    c[i] = _mm256_max_ps(_mm256_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44), _mm256_shuffle_ps(b[2 * i], b[2 * i + 1], 0xEE));
  return _mm256_max_ps(_mm256_permute2f128_ps(c[0], c[1], 0x20), _mm256_permute2f128_ps(c[0], c[1], 0x31));
}
GF_OP F32 max_of_each(const F32 (&a)[16]) {
  __m256 low[8], high[8];
  for (int i = 0; i < 8; ++i) {
    low[i] = _mm256_max_ps(a[i].a, a[i].b);
    high[i] = _mm256_max_ps(a[8 + i].a, a[8 + i].b);
  }
  return {max_of_eight(low), max_of_eight(high)};
}
GF_OP __m256d max_of_four(F64 w, F64 x, F64 y, F64 z) {
  const __m256d p = _mm256_max_pd(w.a, w.b), q = _mm256_max_pd(x.a, x.b);
  const __m256d r = _mm256_max_pd(y.a, y.b), s = _mm256_max_pd(z.a, z.b);
  const __m256d u = _mm256_max_pd(_mm256_unpacklo_pd(p, q), _mm256_unpackhi_pd(p, q));
  const __m256d v = _mm256_max_pd(_mm256_unpacklo_pd(r, s), _mm256_unpackhi_pd(r, s));
  return _mm256_max_pd(_mm256_permute2f128_pd(u, v, 0x20), _mm256_permute2f128_pd(u, v, 0x31));
}
GF_OP F64 max_of_each(const F64 (&a)[8]) {
  return {max_of_four(a[0], a[1], a[2], a[3]), max_of_four(a[4], a[5], a[6], a[7])};
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
