// Sums over subsets of k items, and marginals, by elementary symmetric polynomials in the logarithm: O(cols k).
// gumbelfast/reference/k_subsets.py is the formula.
#pragma once

namespace gumbelfast {
namespace {

// A logarithm, and how fast it changes along a direction.
template <class V>
struct Moving {
  V log, rate;
};

// exp(least - most) of two logarithms, 0 where both are -inf.
template <class V>
GF_OP V ratio(V most, V least, typename V::Scalar range) {
  const V none = minus_infinity<V>();
  return exp_above(range, select(least > none, least - most, none));
}

template <class V>
GF_OP V log_add(V a, V b) {
  const V most = simd::max(a, b);
  return most + log1p_unit(ratio(most, simd::min(a, b), whole_range<typename V::Scalar>));
}
template <class V>
GF_OP Moving<V> log_add(Moving<V> a, Moving<V> b) {
  using T = typename V::Scalar;
  const auto second = b.log > a.log;
  const V most = select(second, b.log, a.log), least = select(second, a.log, b.log);
  const V e = ratio(most, least, multiplied_range<T>);
  const V rate = fma(e, select(second, a.rate, b.rate), select(second, b.rate, a.rate));
  return {most + log1p_unit(e), swept(rate * reciprocal(set(T{1}) + e))};
}

template <class V>
GF_OP V times(V a, V b) {
  return a + b;
}
template <class V>
GF_OP V over(V a, V b) {
  return a - b;
}
template <class V>
GF_OP Moving<V> times(Moving<V> a, Moving<V> b) {
  return {a.log + b.log, swept(a.rate + b.rate)};
}
template <class V>
GF_OP Moving<V> over(Moving<V> a, Moving<V> b) {
  return {a.log - b.log, swept(a.rate - b.rate)};
}

// Columns of logarithms, and of moving ones.
template <class T>
struct LogColumns {
  using Number = VectorOf<T>;
  LaneRows<T> log;

  explicit LogColumns(int64_t columns) : log(columns) {}
  GF_OP Number operator[](int64_t j) const { return log[j]; }
  GF_OP void put(int64_t j, Number v) const { log.put(j, v); }
  static GF_OP Number constant(VectorOf<T> v) { return v; }
};
template <class T>
struct MovingColumns {
  using Number = Moving<VectorOf<T>>;
  LaneRows<T> log;
  LaneGradients<T> rate;

  explicit MovingColumns(int64_t columns) : log(columns), rate(columns) {}
  GF_OP Number operator[](int64_t j) const { return {log[j], rate[j]}; }
  GF_OP void put(int64_t j, Number v) const { log.put(j, v.log), rate.put(j, v.rate); }
  static GF_OP Number constant(VectorOf<T> v) { return {v, set(T{0})}; }
};

// The polynomials of the items before each, those of the items behind one, and the logarithm of each marginal.
template <class T, template <class> class Columns>
struct SubsetSums {
  using V = VectorOf<T>;
  using Number = typename Columns<T>::Number;
  int64_t cols, k, width;
  Columns<T> x, before, behind;

  SubsetSums(int64_t c, int64_t most)
      : cols(c), k(most), width(most + 1), x(c), before((c + 1) * width), behind(width) {}

  void clear(const Columns<T>& polynomials) const {
    for (int64_t j = 0; j < width; ++j) polynomials.put(j, Columns<T>::constant(j ? minus_infinity<V>() : set(T{0})));
  }
  // log e_k of all items.
  Number whole() const {
    clear(before);
    for (int64_t i = 0; i < cols; ++i) {
      const int64_t from = i * width, to = from + width;
      before.put(to, before[from]);
      for (int64_t j = 1; j < width; ++j)
        before.put(to + j, log_add(before[from + j], times(before[from + j - 1], x[i])));
    }
    return before[cols * width + k];
  }
  // Calls step(i, log p) from the last item to the first.
  template <class Step>
  GF_OP void for_items(Number whole, Step step) const {
    clear(behind);
    for (int64_t i = cols - 1; i >= 0; --i) {
      Number sum = Columns<T>::constant(minus_infinity<V>());
      for (int64_t j = 0; j < k; ++j) sum = log_add(sum, times(before[i * width + j], behind[k - 1 - j]));
      step(i, over(times(sum, x[i]), whole));
      for (int64_t j = k; j > 0; --j) behind.put(j, log_add(behind[j], times(behind[j - 1], x[i])));
    }
  }
};

template <class T>
Result subset_marginals(const SubsetArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const SubsetSums<T, LogColumns> sums(args.cols, args.k);
  const LaneRows<T> out(args.cols), log_sum(1);
  for_lanes<V>(span, [&](int64_t first, int n) {
    sums.x.log.fill(args.x, first, args.cols, n);
    const V whole = sums.whole();
    log_sum.put(0, whole);
    log_sum.read(args.log_sum, first, 1, n);
    if (!args.out) return;
    sums.for_items(whole,
                   [&](int64_t i, V log_p) { out.put(i, exp_above(whole_range<T>, simd::min(set(T{0}), log_p))); });
    out.read(args.out, first, args.cols, n);
  });
  return {};
}

// The Jacobian of the marginals is symmetric: their gradient is how fast they change along it.
template <class T>
Result subset_marginals_backward(const SubsetArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const SubsetSums<T, MovingColumns> sums(args.cols, args.k);
  const LaneRows<T> out(args.cols);
  for_lanes<V>(span, [&](int64_t first, int n) {
    sums.x.log.fill(args.x, first, args.cols, n);
    const V power = sums.x.rate.fill(args.grad, first, args.cols, n);
    sums.for_items(sums.whole(), [&](int64_t i, Moving<V> p) {
      const V share = exp_above(multiplied_range<T>, simd::min(set(T{0}), p.log));
      out.put(i, swept(share * p.rate) * power);
    });
    out.read(args.out, first, args.cols, n);
  });
  return {};
}

}  // namespace
}  // namespace gumbelfast
