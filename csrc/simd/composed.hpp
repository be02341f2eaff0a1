// What AVX-512 does in one instruction, composed of the other operations. Included by the vocabularies that lack it.
#pragma once

namespace gumbelfast {
namespace {
namespace simd {

// The chosen lanes, one after the other; up to a block from p on may be overwritten.
template <class T, class V, class M>
GF_OP void compress(T* p, M m, V a) {
  T lanes[V::lanes];
  store(lanes, a);
  for (uint32_t left = bits(m); left; left &= left - 1) *p++ = lanes[__builtin_ctz(left)];
}

// A word is 2**(bits - zeros) * part, part in [1/2, 1), of which as many digits are kept as a float has: of words from
// 2**8 up, and of 64 bits from 2**40 up. Few zeros become a double by the bits of 2**52.
GF_OP void split(U32 word, F32& zeros, F32& part) {
  const U32 k = leading_zeros(word);
  zeros = signed_float(k);
  part = as_float(shr<8>(shl(word, k)) + set(uint32_t{125} << 23));
}
GF_OP void split(U64 word, F64& zeros, F64& part) {
  const U64 k = leading_zeros(word);
  zeros = as_float(k | set(uint64_t{0x433} << 52)) - set(0x1p52);
  part = as_float(shr<11>(shl(word, k)) + set(uint64_t{1021} << 52));
}

// A positive normal number is 2**octave * fraction, fraction in [3/4, 3/2): subtracting the bits of 3/4 leaves the
// octave in the upper bits. Doubles get it by the bits of 2**52 in place of a conversion, which AVX2 lacks.
GF_OP F32 octave(F32 x) { return signed_float(sar<23>(as_bits(x) - set(uint32_t{0x3F400000}))); }
GF_OP F64 octave(F64 x) {
  const U64 biased = shr<52>(as_bits(x) + set(uint64_t{1} << 51));
  return as_float(biased | set(uint64_t{0x433} << 52)) - set(0x1p52 + 1023);
}
GF_OP F32 fraction(F32 x) {
  const U32 word = as_bits(x), above = word - set(uint32_t{0x3F400000});
  return as_float(word - (above & set(uint32_t{0xFF800000})));
}
GF_OP F64 fraction(F64 x) {
  const U64 word = as_bits(x), above = word - set(uint64_t{0x3FE8000000000000});
  return as_float(word - (above & set(uint64_t{0xFFF0000000000000})));
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
