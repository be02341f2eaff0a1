// Rows in lanes: column j of V::lanes rows is block j, so that what is asked of a row is asked of all by operations on
// blocks alone, without a sum across lanes.
#pragma once

namespace gumbelfast {
namespace {

// Memory for some columns.
template <class T>
struct LaneRows {
  using V = VectorOf<T>;
  T* block;

  explicit LaneRows(int64_t columns) : block(new T[static_cast<uint64_t>(columns) * V::lanes]) {}
  ~LaneRows() { delete[] block; }
  LaneRows(const LaneRows&) = delete;

  GF_OP T* at(int64_t j) const { return block + j * V::lanes; }
  GF_OP V operator[](int64_t j) const { return load(at(j)); }
  GF_OP void put(int64_t j, V v) const { store(at(j), v); }

  // Lane i takes row i of n; lanes without a row repeat the last.
  void fill(const void* rows, int64_t first, int64_t columns, int n) const {
    const T* from = static_cast<const T*>(rows) + first * columns;
    for (int64_t j = 0; j < columns; ++j)
      for (int i = 0; i < V::lanes; ++i) at(j)[i] = from[(i < n ? i : n - 1) * columns + j];
  }
  void read(void* rows, int64_t first, int64_t columns, int n) const {
    T* to = static_cast<T*>(rows) + first * columns;
    for (int64_t j = 0; j < columns; ++j)
      for (int i = 0; i < n; ++i) to[i * columns + j] = at(j)[i];
  }
};

// Calls step(first, n) for the rows of a span, n of V::lanes at a time.
template <class V, class Step>
GF_OP void for_lanes(const Span& span, Step step) {
  for (int64_t first = span.begin; first < span.end; first += V::lanes)
    step(first, static_cast<int>(span.end - first < V::lanes ? span.end - first : V::lanes));
}

// 1/temperature of each of n rows.
template <class T>
GF_OP VectorOf<T> scales_of(const Scale& scale, int64_t first, int n) {
  T lanes[VectorOf<T>::lanes];
  for (int i = 0; i < VectorOf<T>::lanes; ++i) lanes[i] = scale_of<T>(scale, first + (i < n ? i : n - 1));
  return load(lanes);
}

template <class V>
GF_OP V reciprocal(V x) {
  typename V::Scalar lanes[V::lanes];
  store(lanes, x);
  for (auto& each : lanes) each = 1 / each;
  return load(lanes);
}

// exp(x) for x <= 0, and 0 from `least` down; NaN stays.
template <class V>
GF_OP V exp_above(typename V::Scalar least, V x) {
  return select(set(least) >= x, set(typename V::Scalar{0}), exp_normal(simd::max(set(least), x)));
}
template <class T>
constexpr T whole_range = Format<VectorOf<T>>::exp_least;
// Down to `tiny`: what a gradient is multiplied by.
template <class T>
constexpr T multiplied_range = sizeof(T) == 4 ? T(-42) : T(-353);

// 0 in place of numbers whose products might be subnormal; NaN stays.
template <class V>
GF_OP V swept(V x) {
  using T = typename V::Scalar;
  return select(set(tiny<T>) > magnitude(x), set(T{0}), x);
}

// Gradients in lanes, each row divided by the power of two that its largest reaches. What is left below `tiny` then
// counts as 0 on the whole way back.
template <class T>
struct LaneGradients : LaneRows<T> {
  using V = VectorOf<T>;
  using LaneRows<T>::LaneRows;

  // The powers.
  V fill(const void* rows, int64_t first, int64_t columns, int n) const {
    LaneRows<T>::fill(rows, first, columns, n);
    V most = set(T{0});
    for (int64_t j = 0; j < columns; ++j) most = simd::max(magnitude((*this)[j]), most);
    // Of powers in this range, both they and what they are divided by are normal.
    constexpr T range = sizeof(T) == 4 ? T(0x1p100) : T(0x1p1000);
    using Word = typename Format<V>::Word;
    constexpr Word exponent = static_cast<Word>(~Word{0} >> 1 >> Format<V>::mantissa << Format<V>::mantissa);
    const V within = simd::min(simd::max(most, set(1 / range)), set(range));
    const V power = select(most > set(T{0}), simd::as_float(simd::as_bits(within) & set(exponent)), set(T{1}));
    const V inverse = reciprocal(power);
    for (int64_t j = 0; j < columns; ++j) this->put(j, swept((*this)[j] * inverse));
    return power;
  }
};

}  // namespace
}  // namespace gumbelfast
