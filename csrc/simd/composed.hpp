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

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
