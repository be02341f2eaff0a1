// The relaxed k largest: k softmaxes, each of what the ones before left. gumbelfast/reference/relaxed_top_k.py is the
// formula.
#pragma once

namespace gumbelfast {
namespace {

// One softmax p of alpha * scale: the largest entry, and what the others make up together.
template <class T>
struct RelaxedStep {
  using V = VectorOf<T>;
  const LaneRows<T>& alpha;
  V scale, largest, place, second, total, log_sum, log_rest;
  T least;  // from exp of this down, shares are 0

  RelaxedStep(const LaneRows<T>& a, int64_t cols, V s, T l) : alpha(a), scale(s), least(l) {
    const V none = minus_infinity<V>(), zero = set(T{0}), one = set(T{1});
    largest = none, place = zero;
    V next = none;
    for (int64_t j = 0; j < cols; ++j) {
      const V v = alpha[j];
      const auto better = v > largest;
      next = select(better, largest, simd::max(v, next));
      place = select(better, set(static_cast<T>(j)), place);
      largest = select(better, v, largest);
    }
    second = (next - largest) * scale;
    second = select(second > none, second, zero);
    total = zero;
    for (int64_t j = 0; j < cols; ++j) total = total + share(j);
    const V log_total = select(total > zero, zero - minus_log(simd::max(total, one)), none);
    log_rest = log_total + second;
    // log(1 + odds), from the larger of both.
    const V above = simd::max(log_rest, zero), below = simd::min(log_rest, zero);
    log_sum = above + log1p_unit(exp_above(least, below - above));
  }
  GF_OP auto is_largest(int64_t j) const { return place == set(static_cast<T>(j)); }
  GF_OP V exponent(int64_t j) const { return (alpha[j] - largest) * scale; }
  // Of the others, relative to the second largest.
  GF_OP V share(int64_t j) const {
    return select(is_largest(j), set(T{0}), exp_above(least, simd::min(set(T{0}), exponent(j) - second)));
  }
  GF_OP V p(int64_t j) const { return exp_above(least, exponent(j) - log_sum); }
  // log(1 - p).
  GF_OP V loss(int64_t j, V p) const {
    const V rest = simd::max(set(T{1}) - p, set(T{0.5}));
    return select(is_largest(j), log_rest - log_sum, set(T{0}) - minus_log(rest));
  }
};

template <class T>
Result relaxed_top_k(const RelaxedTopKArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const int64_t cols = args.cols;
  const LaneRows<T> alpha(cols), sum(cols);
  for_lanes<V>(span, [&](int64_t first, int n) {
    alpha.fill(args.x, first, cols, n);
    const V scale = scales_of<T>(args.scale, first, n);
    for (int64_t j = 0; j < cols; ++j) sum.put(j, set(T{0}));
    for (int64_t k = 0; k < args.steps; ++k) {
      const RelaxedStep<T> step(alpha, cols, scale, whole_range<T>);
      for (int64_t j = 0; j < cols; ++j) {
        const V p = step.p(j);
        sum.put(j, sum[j] + p);
        alpha.put(j, alpha[j] + step.loss(j, p));
      }
    }
    sum.read(args.out, first, cols, n);
  });
  return {};
}

template <class T>
Result relaxed_top_k_backward(const RelaxedTopKArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const int64_t cols = args.cols, steps = args.steps;
  // `kept`: what every step began with. `above`: the gradient with respect to what a step leaves.
  const LaneRows<T> alpha(cols), kept(cols * steps), above(cols), taken(cols), odds(cols);
  const LaneGradients<T> grad(cols);
  for_lanes<V>(span, [&](int64_t first, int n) {
    alpha.fill(args.x, first, cols, n);
    const V power = grad.fill(args.grad, first, cols, n);
    const V scale = scales_of<T>(args.scale, first, n), zero = set(T{0}), one = set(T{1});
    for (int64_t j = 0; j < cols; ++j) above.put(j, zero);
    for (int64_t k = 0; k < steps; ++k) {
      for (int64_t j = 0; j < cols; ++j) kept.put(k * cols + j, alpha[j]);
      const RelaxedStep<T> step(alpha, cols, scale, multiplied_range<T>);
      for (int64_t j = 0; j < cols; ++j) alpha.put(j, alpha[j] + step.loss(j, step.p(j)));
    }
    for (int64_t k = steps - 1; k >= 0; --k) {
      for (int64_t j = 0; j < cols; ++j) alpha.put(j, kept[k * cols + j]);
      const RelaxedStep<T> step(alpha, cols, scale, multiplied_range<T>);
      V inner = zero, others = zero, told = zero;
      for (int64_t j = 0; j < cols; ++j) {
        const V p = step.p(j), a = above[j];
        const auto top = step.is_largest(j);
        const V odd = swept(select(top, zero, a * (p * reciprocal(simd::max(one - p, set(T{0.5}))))));
        taken.put(j, p);
        odds.put(j, odd);
        inner = inner + grad[j] * p;
        others = others + odd;
        told = select(top, a * p, told);
      }
      inner = swept(inner);
      const V rest = swept(swept(told) * reciprocal(simd::max(step.total, one)));
      for (int64_t j = 0; j < cols; ++j) {
        const V a = above[j], own = swept(((grad[j] - inner) - a) + (others - odds[j]));
        above.put(j, swept(fma(scale, swept(fma(rest, step.share(j), taken[j] * own)), a)));
      }
    }
    for (int64_t j = 0; j < cols; ++j) above.put(j, above[j] * power);
    above.read(args.out, first, cols, n);
  });
  return {};
}

}  // namespace
}  // namespace gumbelfast
