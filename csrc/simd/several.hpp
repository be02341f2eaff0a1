// Several blocks taken through every step side by side. A chain of steps waits for each of its results; the schedulers
// of a CPU do not see far enough ahead to fill the gaps, so chains that do not depend on each other alternate in the code.
#pragma once

namespace gumbelfast {
namespace {
namespace simd {

template <class V, int n>
struct Several {
  V block[n];
};
template <int n>
struct Several<F32, n> {
  using Scalar = float;
  F32 block[n];
};
template <int n>
struct Several<F64, n> {
  using Scalar = double;
  F64 block[n];
};

template <class A>
constexpr int count_of = 0;
template <class V, int n>
constexpr int count_of<Several<V, n>> = n;

template <class V>
GF_OP V part(V a, int) {
  return a;
}
template <class V, int n>
GF_OP V part(const Several<V, n>& a, int i) {
  return a.block[i];
}

// op for each block; an argument that is a single block serves all.
template <class Op, class A, class... B>
GF_OP auto side_by_side(Op op, const A& a, const B&... b) {
  constexpr int counts[] = {count_of<A>, count_of<B>...};
  constexpr int n = [&] {
    int most = 0;
    for (const int c : counts) most = c > most ? c : most;
    return most;
  }();
  Several<decltype(op(part(a, 0), part(b, 0)...)), n> out;
#pragma GCC unroll 8
  for (int i = 0; i < n; ++i) out.block[i] = op(part(a, i), part(b, i)...);
  return out;
}

template <class... A>
concept Interleaved = ((count_of<A> > 0) || ...);

#define GF_SEVERAL_OPERATOR(op) \
  template <class A, class B> \
    requires Interleaved<A, B> \
  GF_OP auto operator op(const A& a, const B& b) { \
    return side_by_side([](auto x, auto y) { return x op y; }, a, b); \
  }
GF_SEVERAL_OPERATOR(+)
GF_SEVERAL_OPERATOR(-)
GF_SEVERAL_OPERATOR(*)
GF_SEVERAL_OPERATOR(&)
GF_SEVERAL_OPERATOR(|)
GF_SEVERAL_OPERATOR(>)
GF_SEVERAL_OPERATOR(>=)
GF_SEVERAL_OPERATOR(==)
#undef GF_SEVERAL_OPERATOR

#define GF_SEVERAL_FUNCTION(name) \
  template <class... A> \
    requires Interleaved<A...> \
  GF_OP auto name(const A&... a) { \
    return side_by_side([](auto... x) { return name(x...); }, a...); \
  }
GF_SEVERAL_FUNCTION(fma)
GF_SEVERAL_FUNCTION(max)
GF_SEVERAL_FUNCTION(min)
GF_SEVERAL_FUNCTION(select)
GF_SEVERAL_FUNCTION(as_bits)
GF_SEVERAL_FUNCTION(as_float)
GF_SEVERAL_FUNCTION(signed_float)
GF_SEVERAL_FUNCTION(signed_above)
GF_SEVERAL_FUNCTION(octave)
GF_SEVERAL_FUNCTION(fraction)
GF_SEVERAL_FUNCTION(unordered)
#undef GF_SEVERAL_FUNCTION

template <int bits, class V, int n>
GF_OP Several<V, n> shr(const Several<V, n>& a) {
  return side_by_side([](V x) { return shr<bits>(x); }, a);
}
template <int bits, class V, int n>
GF_OP Several<V, n> shl(const Several<V, n>& a) {
  return side_by_side([](V x) { return shl<bits>(x); }, a);
}
template <int bits, class V, int n>
GF_OP Several<V, n> sar(const Several<V, n>& a) {
  return side_by_side([](V x) { return sar<bits>(x); }, a);
}
// Whether a lane of any block is set.
template <class M, int n>
GF_OP bool any(const Several<M, n>& a) {
  M all = a.block[0];
#pragma GCC unroll 8
  for (int i = 1; i < n; ++i) all = all | a.block[i];
  return any(all);
}

}  // namespace simd
}  // namespace
}  // namespace gumbelfast
