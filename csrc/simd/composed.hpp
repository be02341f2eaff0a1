// What AVX-512 does in one instruction, composed of the other operations. Included by the vocabularies that lack it.
#pragma once

namespace gumbelfast {
namespace {
namespace simd {

// a * 2**n for an integral n in [-1100, 0], in two factors, so that only the last product can round.
GF_OP F32 power_of_two(F32 n) { return as_float(shl<23>(as_bits(n + set(0x1.8p23f + 127)))); }
GF_OP F64 power_of_two(F64 n) { return as_float(shl<52>(as_bits(n + set(0x1.8p52 + 1023)))); }
GF_OP F32 scale_by_power(F32 a, F32 n) {
  const F32 m = max(n, set(-100.0f));
  return a * power_of_two(m) * power_of_two(n - m);
}
GF_OP F64 scale_by_power(F64 a, F64 n) {
  const F64 m = max(n, set(-1000.0));
  return a * power_of_two(m) * power_of_two(n - m);
}

// The chosen lanes, one after the other; up to a block from p on may be overwritten.
template <class T, class V, class M>
GF_OP void compress(T* p, M m, V a) {
  T lanes[V::lanes];
  store(lanes, a);
  for (uint32_t left = bits(m); left; left &= left - 1) *p++ = lanes[__builtin_ctz(left)];
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
