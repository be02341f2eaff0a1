// softmax and its kin of rows of a few blocks, as many at a time as a block has lanes: one by one, each would wait for
// its maximum, its sum and its reciprocal. The sums fold in the order of `row_sum`, so that a row has the bytes that it
// has alone. Included by softmax.hpp.
#pragma once

namespace gumbelfast {
namespace {

// Some rows of logits: `n` of them from x on, rows [first, first + n) of the call.
template <class S>
struct ShortRows {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const S* x;
  int64_t stride, cols;
  int n;
  const Scale& scale;
  int64_t first;

  GF_OP const S* row(int r) const { return x + r * stride; }
  GF_OP T scale_at(int r) const { return scale_of<T>(scale, first + r); }

  template <int blocks>
  GF_OP V maxima() const {
    V most[V::lanes];
    each_row(n, most, [&](int r) GF_STEP {
      V v[blocks];
      load_row(row(r), cols, minus_infinity<V>(), v);
#pragma GCC unroll 4
      for (int b = 1; b < blocks; ++b) v[0] = simd::max(v[0], v[b]);
      return v[0];
    });
    return simd::max_of_each(most) + set(T{0});
  }
  // The sums of exponentials, lifted; keep(r, blocks) is given those of each row. Whether some may be subnormal.
  template <int blocks, class Keep>
  GF_OP V sums(const T* most, bool& small, Keep keep) const {
    V value[V::lanes];
    const V normal = set(normal_exponent<T>(cols)), zero = set(T{0});
    const auto last = first_lanes<V>(static_cast<int>(cols) - (blocks - 1) * V::lanes);
    each_row(n, value, [&](int r) GF_STEP {
      V v[blocks];
      const V m = set(most[r]), factor = set(scale_at(r));
      load_row(row(r), cols, m, v);
#pragma GCC unroll 4
      for (V& x_block : v) x_block = (x_block - m) * factor;
      V least = v[0];
#pragma GCC unroll 4
      for (int b = 1; b < blocks; ++b) least = simd::min(least, v[b]);
      if (small || simd::any(normal > least)) [[unlikely]] {
        small = true;
#pragma GCC unroll 4
        for (V& e : v) e = lifted_exp<true>(e);
      } else {
#pragma GCC unroll 4
        for (V& e : v) e = lifted_exp<false>(e);
      }
      v[blocks - 1] = select(last, v[blocks - 1], zero);
      keep(r, v);
      return sum_of_blocks(v);
    });
    return simd::sum_of_each(value);
  }
  GF_OP bool near_zero(const T* most) const {
    T factor[V::lanes];
    for (int r = 0; r < V::lanes; ++r) factor[r] = r < n ? scale_at(r) : T{1};
    return simd::any(is_near_zero(load(most) * load(factor)));
  }
};

// op of each number as a double, rounded once.
template <class Op>
GF_OP F32 in_double(F32 x, Op op) {
  return simd::narrow(op(simd::widen_low(x)), op(simd::widen_high(x)));
}
template <class Op>
GF_OP F64 in_double(F64 x, Op op) {
  return op(x);
}
template <class V>
GF_OP V reciprocals(V lifted_sums) {
  const F64 one = set(static_cast<double>(Format<V>::lifted_one));
  return in_double(lifted_sums, [=](F64 x) { return one / x; });
}
template <class V>
GF_OP V logarithms(V lifted_sums) {
  const F64 one = set(1 / static_cast<double>(Format<V>::lifted_one));
  return in_double(lifted_sums, [=](F64 x) { return minus_log(x * one) * set(-1.0); });
}

// step(r) for rows whose sum is NaN.
template <class V, class Step>
GF_OP void for_exceptional(V sums, int n, Step step) {
  const uint32_t plain = bits(sums > set(typename V::Scalar{0}));
  for (uint32_t rows = ~plain & ((1u << n) - 1); rows; rows &= rows - 1) step(__builtin_ctz(rows));
}

// Rows of the result follow each other; x may be out. see(maxima) tells whether to go on.
template <class S, class Out, class See>
GF_OP bool softmax_panel(const ShortRows<S>& rows, Out* out, See see) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  return with_blocks<V>(rows.cols, [&](auto count) {
    constexpr int blocks = count.value, width = blocks * V::lanes;
    alignas(64) T most[V::lanes], inverse[V::lanes], kept[V::lanes * width];
    store(most, rows.template maxima<blocks>());
    if (!see(most)) return false;
    bool small = rows.near_zero(most);
    const V sums = rows.template sums<blocks>(
        most, small, [&](int r, const V(&e)[blocks]) GF_STEP { store_row(kept + r * width, width, e); });
    const V inverses = reciprocals(sums);
    const auto divide = [&](auto is_small) {
      store(inverse, probability_factor<is_small.value>(inverses));
      for (int r = 0; r < rows.n; ++r) {
        V e[blocks];
        load_row(kept + r * width, width, sums, e);
#pragma GCC unroll 4
        for (V& y : e) y = probability<is_small.value, Out>(y, set(inverse[r]));
        store_row(out + r * rows.cols, rows.cols, e);
      }
    };
    small ? divide(Fixed<true>()) : divide(Fixed<false>());
    for_exceptional(sums, rows.n, [&](int r) { fill_nan<V>(out + r * rows.cols, rows.cols); });
    return true;
  });
}

// sums(most, log_sums) of some rows: their maxima, and the logarithms of their sums of exponentials.
template <class S, int blocks>
struct LogSums {
  using V = VectorOf<S>;
  alignas(64) WorkOf<S> most[V::lanes], log_sum[V::lanes];
  V sums;
  GF_OP explicit LogSums(const ShortRows<S>& rows) {
    store(most, rows.template maxima<blocks>());
    bool small = rows.near_zero(most);
    sums = rows.template sums<blocks>(most, small, [](int, const V(&)[blocks]) GF_STEP {});
    store(log_sum, logarithms(sums));
  }
};

template <class S>
GF_OP void log_softmax_panel(const ShortRows<S>& rows, S* out) {
  using V = VectorOf<S>;
  with_blocks<V>(rows.cols, [&](auto count) {
    constexpr int blocks = count.value;
    const LogSums<S, blocks> known(rows);
    for (int r = 0; r < rows.n; ++r) {
      V v[blocks];
      const V most = set(known.most[r]), scale = set(rows.scale_at(r)), log_sum = set(known.log_sum[r]);
      load_row(rows.row(r), rows.cols, most, v);
#pragma GCC unroll 4
      for (V& y : v) y = (y - most) * scale - log_sum;
      if (bits(known.sums > set(WorkOf<S>{0})) >> r & 1) store_row(out + r * rows.cols, rows.cols, v);
    }
    for_exceptional(known.sums, rows.n, [&](int r) {
      log_softmax_row(rows.row(r), rows.cols, set(rows.scale_at(r)), out + r * rows.cols, false);
    });
  });
}

template <class S>
GF_OP void logsumexp_panel(const ShortRows<S>& rows, S* out) {
  using V = VectorOf<S>;
  with_blocks<V>(rows.cols, [&](auto count) {
    const LogSums<S, count.value> known(rows);
    alignas(64) WorkOf<S> scale[V::lanes];
    for (int r = 0; r < V::lanes; ++r) scale[r] = rows.scale_at(r < rows.n ? r : 0);
    store_block(out, rows.n, fma(load(known.most), load(scale), load(known.log_sum)));
    for_exceptional(known.sums, rows.n,
                    [&](int r) { logsumexp_row(rows.row(r), rows.cols, set(rows.scale_at(r)), out + r); });
  });
}

}  // namespace
}  // namespace gumbelfast
