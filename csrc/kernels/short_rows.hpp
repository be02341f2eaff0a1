// Rows of a few blocks, taken in panels of as many as a block has lanes: what is asked of each becomes lanes of one
// block.
#pragma once

namespace gumbelfast {
namespace {

// Plain C++ gains nothing, and each number of blocks costs its compiler a while.
constexpr int short_blocks = simd::registers < 16 ? 1 : 4;

template <class S>
GF_OP bool is_short(int64_t cols) {
  return cols <= short_blocks * VectorOf<S>::lanes;
}

// step(i, n) for the n rows from row i on.
template <class S, class Step>
GF_OP void for_panels(int64_t begin, int64_t end, Step step) {
  constexpr int rows = VectorOf<S>::lanes;
  for (int64_t i = begin; i < end; i += rows) step(i, static_cast<int>(end - i < rows ? end - i : rows));
}

// step(blocks) with the number of blocks of a row.
template <class V, class Step>
GF_OP auto with_blocks(int64_t cols, Step step) {
  if constexpr (short_blocks > 1) {
    if (cols > 3 * V::lanes) return step(Fixed<4>());
    if (cols > 2 * V::lanes) return step(Fixed<3>());
    if (cols > V::lanes) return step(Fixed<2>());
  }
  return step(Fixed<1>());
}

// The blocks of a short row.
template <int blocks, class S, class V>
GF_OP void load_row(const S* x, int64_t cols, V rest, V (&v)[blocks]) {
#pragma GCC unroll 4
  for (int b = 0; b + 1 < blocks; ++b) v[b] = load(x + b * V::lanes);
  const int before = (blocks - 1) * V::lanes;
  v[blocks - 1] = load_block(x + before, static_cast<int>(cols) - before, rest);
}
template <int blocks, class S, class V>
GF_OP void store_row(S* out, int64_t cols, const V (&v)[blocks]) {
#pragma GCC unroll 4
  for (int b = 0; b + 1 < blocks; ++b) store(out + b * V::lanes, v[b]);
  const int before = (blocks - 1) * V::lanes;
  store_block(out + before, static_cast<int>(cols) - before, v[blocks - 1]);
}

// n rows that follow each other, each made by step(r, blocks). Where `apart`, none reads what others are written to;
// then whole blocks are stored, and what they take too much the next rows write over.
template <class V, int blocks, class S, class Step>
GF_OP void write_rows(S* out, int64_t cols, int n, bool apart, Step step) {
  constexpr int64_t width = blocks * V::lanes;
  for (int r = 0; r < n; ++r) {
    V v[blocks];
    step(r, v);
    const bool whole = apart && r * cols + width <= n * cols;
    store_row(out + r * cols, whole ? width : cols, v);
  }
}

// What the lanes of a row's blocks add up to, in the order of `row_sum`.
template <int blocks, class V>
GF_OP V sum_of_blocks(const V (&v)[blocks]) {
  if constexpr (blocks == 1)
    return v[0];
  else if constexpr (blocks == 2)
    return v[0] + v[1];
  else if constexpr (blocks == 3)
    return (v[0] + v[1]) + v[2];
  else
    return (v[0] + v[1]) + (v[2] + v[3]);
}

// A function of each row, of which all are at hand in the end; places without a row repeat the first.
template <class V, class F>
GF_OP void each_row(int n, V (&value)[V::lanes], F f) {
  for (int r = 0; r < n; ++r) value[r] = f(r);
  for (int r = n; r < V::lanes; ++r) value[r] = value[0];
}

}  // namespace
}  // namespace gumbelfast
