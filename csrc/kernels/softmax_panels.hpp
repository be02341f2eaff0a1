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
  // The sums of exponentials, lifted; keep(r, blocks) is given those of each row, and may be given the last row again.
  // Whether some may be subnormal.
  template <int blocks, class Keep>
  GF_OP V sums(const T* most, bool& small, Keep keep) const {
    constexpr int together = blocks < abreast ? abreast / blocks : 1;  // rows side by side
    V value[V::lanes];
    const V normal = set(normal_exponent<T>(cols)), zero = set(T{0}), one_scale = set(scale_of<T>(scale, first));
    const auto last = first_lanes<V>(static_cast<int>(cols) - (blocks - 1) * V::lanes);
    for (int from = 0; from < n; from += together) {
      simd::Several<V, together * blocks> x;
#pragma GCC unroll 4
      for (int i = 0; i < together; ++i) {
        const int r = from + i < n ? from + i : n - 1;
        const V m = set(most[r]), factor = scale.each ? set(scale_at(r)) : one_scale;
        V v[blocks];
        load_row(row(r), cols, m, v);
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) x.block[i * blocks + b] = (v[b] - m) * factor;
      }
      V least = normal;  // and not NaN, which would hide the other rows
#pragma GCC unroll 4
      for (int b = 0; b < together * blocks; ++b) least = simd::min(x.block[b], least);
      if (small || simd::any(normal > least)) [[unlikely]] {
        small = true;
        for (V& e : x.block) e = lifted_exp<true>(e);
      } else if constexpr (together * blocks <= abreast) {
        x = lifted_exp<false>(x);
      } else {
#pragma GCC unroll 4
        for (V& e : x.block) e = lifted_exp<false>(e);
      }
#pragma GCC unroll 4
      for (int i = 0; i < together; ++i) {
        V v[blocks];
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) v[b] = x.block[i * blocks + b];
        v[blocks - 1] = select(last, v[blocks - 1], zero);
        keep(from + i, v);
        value[from + i] = sum_of_blocks(v);
      }
    }
    for (int r = n; r < V::lanes; ++r) value[r] = value[0];
    return simd::sum_of_each(value);
  }
  GF_OP bool near_zero(const T* most) const {
    T factor[V::lanes];
    for (int r = 0; r < V::lanes; ++r) factor[r] = r < n ? scale_at(r) : T{1};
    return simd::any(is_near_zero(load(most) * load(factor)));
  }
};

// Rows [begin, end) of a call, the first of them at x.
template <class S>
struct RunOfRows {
  const S* x;
  int64_t stride, cols, begin, end;
  const Scale& scale;

  GF_OP ShortRows<S> panel(int64_t i) const {
    constexpr int rows = VectorOf<S>::lanes;
    return {x + (i - begin) * stride, stride, cols, static_cast<int>(end - i < rows ? end - i : rows), scale, i};
  }
};

// Panels of a run: sums(rows, most) makes what finish(rows, most, sums) needs of their maxima. In between the next
// panel's maxima are taken, as long as its see(rows, most) agrees: they do not wait for what the sums do.
template <int blocks, class S, class See, class Sums, class Finish>
GF_OP bool for_maxima(const RunOfRows<S>& run, See see, Sums sums, Finish finish) {
  using V = VectorOf<S>;
  alignas(64) WorkOf<S> maxima[2][V::lanes];
  const auto look = [&](int64_t i, WorkOf<S>* most) GF_STEP {
    const ShortRows<S> rows = run.panel(i);
    store(most, rows.template maxima<blocks>());
    return see(rows, most);
  };
  if (!look(run.begin, maxima[0])) return false;
  int now = 0;
  for (int64_t i = run.begin; i < run.end; i += V::lanes, now = 1 - now) {
    const ShortRows<S> rows = run.panel(i);
    const auto known = sums(rows, maxima[now]);
    if (i + V::lanes < run.end && !look(i + V::lanes, maxima[1 - now])) return false;
    finish(rows, maxima[now], known);
  }
  return true;
}

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

// Rows of the result follow each other; x may be out. see(rows, maxima) tells whether to go on.
template <class S, class Out, class See>
GF_OP bool softmax_panels(const RunOfRows<S>& run, Out* out, See see) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t cols = run.cols;
  return with_blocks<V>(cols, [&](auto count) {
    constexpr int blocks = count.value, width = blocks * V::lanes;
    struct Known {
      V sums;
      bool small;
    };
    alignas(64) T inverse[V::lanes], kept[V::lanes * width];
    return for_maxima<blocks>(
        run, see,
        [&](const ShortRows<S>& rows, const T* most) GF_STEP {
          Known known;
          known.small = rows.near_zero(most);
          known.sums = rows.template sums<blocks>(
              most, known.small, [&](int r, const V(&e)[blocks]) GF_STEP { store_row(kept + r * width, width, e); });
          const V inverses = reciprocals(known.sums);
          store(inverse, known.small ? probability_factor<true>(inverses) : probability_factor<false>(inverses));
          return known;
        },
        [&](const ShortRows<S>& rows, const T*, const Known& known) GF_STEP {
          Out* const to = out + (rows.first - run.begin) * cols;
          const auto divide = [&](auto is_small) {
            write_rows<V, blocks>(to, cols, rows.n, true, [&](int r, V(&e)[blocks]) GF_STEP {
              load_row(kept + r * width, width, known.sums, e);
#pragma GCC unroll 4
              for (V& y : e) y = probability<is_small.value, Out>(y, set(inverse[r]));
            });
          };
          known.small ? divide(Fixed<true>()) : divide(Fixed<false>());
          for_exceptional(known.sums, rows.n, [&](int r) { fill_nan<V>(to + r * cols, cols); });
        });
  });
}

// The sums of some rows and their logarithms.
template <class S, int blocks>
struct LogSums {
  using V = VectorOf<S>;
  alignas(64) WorkOf<S> log_sum[V::lanes];
  V sums;
  GF_OP LogSums(const ShortRows<S>& rows, const WorkOf<S>* most) {
    bool small = rows.near_zero(most);
    sums = rows.template sums<blocks>(most, small, [](int, const V(&)[blocks]) GF_STEP {});
    store(log_sum, logarithms(sums));
  }
};
template <class S, class Finish>
GF_OP void for_log_sums(const RunOfRows<S>& run, Finish finish) {
  using T = WorkOf<S>;
  with_blocks<VectorOf<S>>(run.cols, [&](auto count) {
    for_maxima<count.value>(
        run, [](const ShortRows<S>&, const T*) { return true; },
        [&](const ShortRows<S>& rows, const T* most) GF_STEP { return LogSums<S, count.value>(rows, most); }, finish);
  });
}

template <class S>
GF_OP void log_softmax_panels(const RunOfRows<S>& run, S* out) {
  using V = VectorOf<S>;
  const int64_t cols = run.cols;
  for_log_sums(
      run, [&]<int blocks>(const ShortRows<S>& rows, const WorkOf<S>* most, const LogSums<S, blocks>& known) GF_STEP {
        S* const to = out + (rows.first - run.begin) * cols;
        // Rows with NaN or infinities come after the others; in place those must not be written over until then.
        const auto step = [&](int r, V(&v)[blocks]) GF_STEP {
          const V m = set(most[r]), scale = set(rows.scale_at(r)), log_sum = set(known.log_sum[r]);
          load_row(rows.row(r), cols, m, v);
#pragma GCC unroll 4
          for (V& y : v) y = (y - m) * scale - log_sum;
        };
        const uint32_t plain = bits(known.sums > set(WorkOf<S>{0})), all = (1u << rows.n) - 1;
        const bool apart = static_cast<const void*>(to) != static_cast<const void*>(rows.x);
        if ((plain & all) == all) [[likely]]
          return write_rows<V, blocks>(to, cols, rows.n, apart, step);
        for (int r = 0; r < rows.n; ++r) {
          V v[blocks];
          step(r, v);
          if (plain >> r & 1) store_row(to + r * cols, cols, v);
        }
        for_exceptional(known.sums, rows.n, [&](int r) {
          log_softmax_row(rows.row(r), cols, set(rows.scale_at(r)), to + r * cols, false);
        });
      });
}

template <class S>
GF_OP void logsumexp_panels(const RunOfRows<S>& run, S* out) {
  using V = VectorOf<S>;
  for_log_sums(
      run, [&]<int blocks>(const ShortRows<S>& rows, const WorkOf<S>* most, const LogSums<S, blocks>& known) GF_STEP {
        S* const to = out + (rows.first - run.begin);
        alignas(64) WorkOf<S> scale[V::lanes];
        for (int r = 0; r < V::lanes; ++r) scale[r] = rows.scale_at(r < rows.n ? r : 0);
        store_block(to, rows.n, fma(load(most), load(scale), load(known.log_sum)));
        for_exceptional(known.sums, rows.n,
                        [&](int r) { logsumexp_row(rows.row(r), rows.cols, set(rows.scale_at(r)), to + r); });
      });
}

}  // namespace
}  // namespace gumbelfast
