// softmax, log_softmax and logsumexp, row by row.
// NaN and infinities propagate as the formulas say; nothing is refused.
#pragma once

namespace gumbelfast {
namespace {

// Sums are taken over pieces of this many elements in the working type, with four blocks of partial sums in a fixed
// order; the sums of pieces add up in double. So the result depends on nothing but the row.
constexpr int64_t sum_piece = 4096;

// The sum of term(at) over the row; lanes behind the row must be zero.
template <class V, class Term>
GF_OP double row_sum(int64_t cols, Term term) {
  constexpr int sums = 4;
  const V zero = set(typename V::Scalar{0});
  double total = 0;
  for (int64_t start = 0; start < cols; start += sum_piece) {
    const int64_t end = cols - start < sum_piece ? cols : start + sum_piece;
    V sum[sums] = {zero, zero, zero, zero};
    int64_t j = start;
    for (; j + sums * V::lanes <= end; j += sums * V::lanes)
#pragma GCC unroll 4
      for (int i = 0; i < sums; i += abreast) {
        const auto e = term(Blocks<abreast>{j + i * V::lanes});
#pragma GCC unroll 4
        for (int b = 0; b < abreast; ++b) sum[i + b] = sum[i + b] + e.block[b];
      }
    for (int i = 0; j < end; j += V::lanes, ++i)
      sum[i] = sum[i] + term(PartOfBlock{j, static_cast<int>(end - j < V::lanes ? end - j : V::lanes)});
    total += simd::lane_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
  return total;
}

template <class S, class V = VectorOf<S>>
GF_OP WorkOf<S> row_max(const S* x, int64_t cols) {
  V most[4] = {minus_infinity<V>(), minus_infinity<V>(), minus_infinity<V>(), minus_infinity<V>()};
  int64_t j = 0;
  for (; j + 4 * V::lanes <= cols; j += 4 * V::lanes)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) most[i] = simd::max(most[i], load(x + j + i * V::lanes));
  for_blocks<V>(cols - j, [&](int64_t tail, int n) {
    most[0] = simd::max(most[0], load_block(x + j + tail, n, minus_infinity<V>()));
  });
  // Adding zero makes -0 and +0 one maximum.
  return simd::lane_max(simd::max(simd::max(most[0], most[1]), simd::max(most[2], most[3]))) + WorkOf<S>{0};
}

template <class V>
constexpr typename V::Scalar not_a_number() {
  return static_cast<typename V::Scalar>(__builtin_nanf(""));
}

// log of a positive double, by the same code on every backend.
GF_OP double log_scalar(double x) {
  double lanes[F64::lanes];
  store(lanes, minus_log(set(x)));
  return -lanes[0];
}

// Lanes behind the end of a row become zero.
template <class V, int n>
GF_OP auto inside(const simd::Several<V, n>& e, Blocks<n>) {
  return e;
}
template <class V>
GF_OP V inside(V e, PartOfBlock at) {
  return select(simd::lane_mask((1u << at.lanes) - 1, e), e, set(typename V::Scalar{0}));
}

// Exponents from here up have results that are normal, and so are these over the sum of as many.
template <class T>
GF_OP T normal_exponent(int64_t cols) {
  constexpr double log_2 = 0.6932;
  const int length = 64 - __builtin_clzll(static_cast<uint64_t>(cols));
  return static_cast<T>(Format<VectorOf<T>>::exp_least + log_2 * length);
}

// exp(x) for x <= 0, lifted; small: it may be subnormal, or nothing.
template <class X>
GF_OP X lifted_exp(X x, bool small) {
  return small ? round_lifted(exp_unrounded(x)) : exp_normal<Format<X>::lift>(x);
}

// Row maximum and the sum of exp((x - max) * scale), which lies in [1, cols] unless it is NaN: then the row holds a NaN
// or +inf, or nothing but -inf.
template <class S, class V = VectorOf<S>>
struct Normaliser {
  V most, scale, normal;
  bool small = false;  // some of what is left of the row may be subnormal, or nothing
  double sum;

  GF_OP Normaliser(const S* x, int64_t cols, V factor)
      : Normaliser(x, cols, factor, row_max(x, cols), [](auto, auto) {}) {}
  // keep(at, e) is given the exponentials, lifted; it may write over what they stand for in x.
  template <class Keep>
  GF_OP Normaliser(const S* x, int64_t cols, V factor, WorkOf<S> maximum, Keep keep)
      : most(set(maximum)), scale(factor), normal(set(normal_exponent<WorkOf<S>>(cols))) {
    sum = row_sum<V>(cols, [&](auto at) {
      const auto e = exponential(exponent(load_at<V>(x, at, most)));
      keep(at, e);
      return inside(e, at);
    });
    sum *= 1 / static_cast<double>(Format<V>::lifted_one);
  }
  template <class X>
  GF_OP X exponent(X x) const {
    return (x - most) * scale;
  }
  // exp(x), lifted. A row is plain until it meets what is not.
  template <class X>
  GF_OP X exponential(X x) {
    if (!small) small = simd::any(normal > simd::min_of_blocks(x));
    return lifted_exp(x, small);
  }
  bool exceptional() const { return !(sum > 0); }
};

// logsumexp of a row whose sum is NaN: NaN, or the infinity that is its maximum.
template <class S, class V = VectorOf<S>>
[[gnu::cold, gnu::noinline]] typename V::Scalar exceptional_logsumexp(const S* x, int64_t cols) {
  Met<V> met;
  for_blocks<V>(cols, [&](int64_t j, int n) { met.see(load_block(x + j, n, minus_infinity<V>())); });
  return bits(met.nan) ? not_a_number<V>() : simd::lane_max(met.largest);
}

// Rows and columns of a call: what stands before and behind every row kernel below.
template <class S, class RowStep>
GF_OP void for_rows(const SoftmaxArgs& args, int64_t begin, int64_t end, RowStep step) {
  for (int64_t i = begin; i < end; ++i)
    step(static_cast<const S*>(args.x) + i * args.stride, i, set(scale_of<WorkOf<S>>(args.scale, i)));
}

// Exponentials, lifted, become probabilities. Of a float that is subnormal nothing is left in float16.
template <class S, class X>
GF_OP X probability(X e, VectorOf<S> inverse, bool small) {
  using F = Format<X>;
  if (!small) return e * (inverse * set(F::dropped_one));
  if constexpr (!reaches_subnormal<S>) {
    const X p = e * inverse;
    return select(set(F::lifted_least) > p, set(typename X::Scalar{0}), p) * set(F::dropped_one);
  } else {
    return drop_product(e, inverse);
  }
}

// A row of one block need not leave its register.
template <class S, class Out, class V = VectorOf<S>>
GF_OP void softmax_block(const S* x, int cols, V scale, V maximum, Out* out) {
  const V exponent = (load_block(x, cols, maximum) - maximum) * scale;
  const bool small = simd::any(set(normal_exponent<WorkOf<S>>(cols)) > exponent);
  const V e = inside(lifted_exp(exponent, small), PartOfBlock{0, cols});
  const double sum = static_cast<double>(simd::lane_sum(e)) * (1 / static_cast<double>(Format<V>::lifted_one));
  store_block(out, cols, sum > 0 ? probability<Out>(e, set(static_cast<WorkOf<S>>(1 / sum)), small)
                                 : set(not_a_number<V>()));
}

// In place when x is out: every block is read before it is written. Exponentials wait in the output where its type
// holds them exactly, and are computed twice where it does not.
template <class S, class Out>
GF_OP void softmax_row(const S* x, int64_t cols, VectorOf<S> scale, WorkOf<S> maximum, Out* out) {
  using V = VectorOf<S>;
  if (cols <= V::lanes) return softmax_block(x, static_cast<int>(cols), scale, set(maximum), out);
  constexpr bool kept = sizeof(Out) == sizeof(WorkOf<S>);
  Normaliser<S> norm(x, cols, scale, maximum, [&](auto at, auto e) {
    if constexpr (kept) store_at(out, at, e);
  });
  // A row with NaN or +inf is NaN throughout, of one sign on every backend.
  const V inverse = set(norm.exceptional() ? not_a_number<V>() : static_cast<WorkOf<S>>(1 / norm.sum));
  if (norm.exceptional()) return for_blocks<V>(cols, [&](int64_t j, int n) { store_block(out + j, n, inverse); });
  for_places<V>(cols, [&](auto at) {
    if constexpr (kept)
      store_at(out, at, probability<Out>(load_at<V>(out, at, inverse), inverse, norm.small));
    else
      store_at(out, at,
               probability<Out>(lifted_exp(norm.exponent(load_at<V>(x, at, norm.most)), norm.small), inverse,
                                norm.small));
  });
}

template <class S>
void softmax(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  for_rows<S>(args, begin, end, [&](const S* x, int64_t i, VectorOf<S> scale) {
    softmax_row(x, args.cols, scale, row_max(x, args.cols), static_cast<S*>(args.out) + i * args.cols);
  });
}

template <class S>
void log_softmax(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  for_rows<S>(args, begin, end, [&](const S* x, int64_t i, V scale) {
    S* out = static_cast<S*>(args.out) + i * args.cols;
    const Normaliser<S> norm(x, args.cols, scale);
    const bool plain = !norm.exceptional();
    const V log_sum = set(plain ? static_cast<WorkOf<S>>(log_scalar(norm.sum)) : exceptional_logsumexp(x, args.cols));
    for_blocks<V>(args.cols, [&](int64_t j, int n) {
      const V v = load_block(x + j, n, norm.most);
      const V y = (plain ? norm.exponent(v) : v) - log_sum;
      store_block(out + j, n, plain ? y : select(simd::unordered(y, y), set(not_a_number<V>()), y));
    });
  });
}

template <class S>
void logsumexp(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  for_rows<S>(args, begin, end, [&](const S* x, int64_t i, V scale) {
    const Normaliser<S> norm(x, args.cols, scale);
    const V result = norm.exceptional() ? set(exceptional_logsumexp(x, args.cols))
                                        : fma(norm.most, scale, set(static_cast<WorkOf<S>>(log_scalar(norm.sum))));
    store_first(static_cast<S*>(args.out) + i, 1, result);
  });
}

}  // namespace
}  // namespace gumbelfast
