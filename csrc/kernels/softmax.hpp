// softmax, log_softmax and logsumexp, row by row; softmax_panels.hpp takes several short ones at a time.
// NaN and infinities propagate as the formulas say; nothing is refused.
#pragma once

namespace gumbelfast {
namespace {

// Sums are taken over pieces of this many elements in the working type, with four blocks of partial sums in a fixed
// order; the sums of pieces add up in double. So the result depends on nothing but the row.
constexpr int64_t sum_piece = 4096;

struct Never {
  constexpr bool operator()(auto) const { return false; }
};

// The sum of term(at) over the row; lanes behind the row must be zero. NaN as soon as stop(at) is true.
template <class V, class Term, class Stop = Never>
GF_OP double row_sum(int64_t cols, Term term, Stop stop = {}) {
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
        const Blocks<abreast> at{j + i * V::lanes};
        if (stop(at)) return __builtin_nan("");
        const auto e = term(at);
#pragma GCC unroll 4
        for (int b = 0; b < abreast; ++b) sum[i + b] = sum[i + b] + e.block[b];
      }
    for (int i = 0; j < end; j += V::lanes, ++i) {
      const PartOfBlock at{j, static_cast<int>(end - j < V::lanes ? end - j : V::lanes)};
      if (stop(at)) return __builtin_nan("");
      sum[i] = sum[i] + term(at);
    }
    total += simd::lane_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
  return total;
}

// The largest and the smallest of what has passed, lane by lane.
template <class V>
struct Range {
  V most = minus_infinity<V>(), least = set(-Storage<typename V::Scalar>::minus_infinity);
  GF_OP void see(V x) {
    most = simd::max(most, x);
    least = simd::min(least, x);
  }
  // Of the first n lanes, the others being -inf.
  GF_OP void see(V x, int n) {
    most = simd::max(most, x);
    least = simd::min(least, n == V::lanes ? x : select(first_lanes<V>(n), x, least));
  }
  GF_OP void see(const Range& other) {
    most = simd::max(most, other.most);
    least = simd::min(least, other.least);
  }
  // Adding zero makes -0 and +0 one maximum.
  GF_OP auto maximum() const { return simd::lane_max(most) + typename V::Scalar{0}; }
};

template <class S, class V = VectorOf<S>>
GF_OP Range<V> row_range(const S* x, int64_t cols) {
  Range<V> range[abreast];
  if (cols < V::lanes) {
    range[0].see(load_first(x, static_cast<int>(cols), minus_infinity<V>()), static_cast<int>(cols));
    return range[0];
  }
  int64_t j = 0;
  for (; j + abreast * V::lanes <= cols; j += abreast * V::lanes)
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i) range[i].see(load(x + j + i * V::lanes));
  for (; j + V::lanes <= cols; j += V::lanes) range[0].see(load(x + j));
  range[0].see(load(x + cols - V::lanes));
#pragma GCC unroll 4
  for (int i = 1; i < abreast; ++i) range[0].see(range[i]);
  return range[0];
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
  return select(first_lanes<V>(at.lanes), e, set(typename V::Scalar{0}));
}

// Exponents from here up have exponentials that are normal, as they are over the sum of as many.
template <class T>
GF_OP T normal_exponent(int64_t cols) {
  constexpr double log_2 = 0.6932;
  const int length = 64 - __builtin_clzll(static_cast<uint64_t>(cols));
  return static_cast<T>(Format<VectorOf<T>>::exp_least + log_2 * length);
}

// Where x - most is not zero, it is 2**-25 of this and more (float; double: 2**-54), so that its square is normal.
template <class V>
GF_OP auto is_near_zero(V scaled_most) {
  return set(Format<V>::ample) > magnitude(scaled_most);
}

// exp(x) for x <= 0, lifted; small: it may be subnormal, or nothing, or x close to zero.
template <bool small, class X>
GF_OP X lifted_exp(X x) {
  if constexpr (small)
    return round_lifted(exp_unrounded(x));
  else
    return exp_of<Format<X>::lift>(x);
}

// Row maximum and the sum of exp((x - max) * scale), which lies in [1, cols] unless it is NaN: then the row holds a NaN
// or +inf, or nothing but -inf.
template <class S, class V = VectorOf<S>>
struct Normaliser {
  V most, scale;
  bool small;  // some probability is subnormal, or some exponent nearly zero
  bool plain;  // no probability is, nor zero
  double sum;

  GF_OP Normaliser(const S* x, int64_t cols, V factor)
      : Normaliser(x, cols, factor, row_range(x, cols), [](auto, auto) GF_STEP {}) {}
  // keep(at, e) is given the exponentials, lifted; it may write over what they stand for in x.
  template <class Keep>
  GF_OP Normaliser(const S* x, int64_t cols, V factor, const Range<V>& range, Keep keep)
      : most(set(range.maximum())), scale(factor), small(simd::any(is_near_zero(most * scale))) {
    const auto normal = set(normal_exponent<WorkOf<S>>(cols));
    plain = !small && !simd::any(normal > exponent(range.least));
    const double lifted_sum = plain ? add_plain(x, cols, keep) : add_others(x, cols, normal, keep);
    sum = lifted_sum * (1 / static_cast<double>(Format<V>::lifted_one));
  }
  template <class X>
  GF_OP X exponent(X x) const {
    return (x - most) * scale;
  }
  bool exceptional() const { return !(sum > 0); }

 private:
  template <class Keep>
  GF_OP double add_plain(const S* x, int64_t cols, Keep keep) const {
    return row_sum<V>(cols, [&](auto at) GF_STEP {
      const auto e = lifted_exp<false>(exponent(load_at<V>(x, at, most)));
      keep(at, e);
      return inside(e, at);
    });
  }
  // What vanishes, as half of a masked row does, needs no rounding; `small` tells of the first place with anything
  // else.
  template <class Keep>
  GF_OP double add_others(const S* x, int64_t cols, V normal, Keep keep) {
    const V underflow = set(Format<V>::exp_underflow), zero = set(WorkOf<S>{0});
    return row_sum<V>(cols, [&](auto at) GF_STEP {
      auto e = exponent(load_at<V>(x, at, most));
      if (!small) {
        const auto gone = underflow >= e;
        const auto left = select(gone, zero, e);
        if (!simd::any(normal > left)) {
          e = select(gone, zero, lifted_exp<false>(left));
          keep(at, e);
          return inside(e, at);
        }
        small = true;
      }
      e = lifted_exp<true>(e);
      keep(at, e);
      return inside(e, at);
    });
  }
};

// logsumexp of a row whose sum is NaN: NaN, or the infinity that is its maximum.
template <class S, class V = VectorOf<S>>
[[gnu::cold, gnu::noinline]] typename V::Scalar exceptional_logsumexp(const S* x, int64_t cols) {
  Met<V> met;
  for_blocks<V>(cols, [&](int64_t j, int n) { met.see(load_block(x + j, n, minus_infinity<V>())); });
  return bits(met.nan) ? not_a_number<V>() : simd::lane_max(met.largest);
}

// Exponentials, lifted, become probabilities by such a factor, made of the reciprocal of their sum. Of a float that is
// subnormal nothing is left in float16.
template <bool small, class V>
GF_OP V probability_factor(V inverse) {
  return small ? inverse : inverse * set(Format<V>::dropped_one);
}
template <bool small, class S, class X>
GF_OP X probability(X e, VectorOf<S> factor) {
  using F = Format<X>;
  if constexpr (!small) {
    return e * factor;
  } else if constexpr (!reaches_subnormal<S>) {
    const X p = e * factor;
    return select(set(F::lifted_least) > p, set(typename X::Scalar{0}), p) * set(F::dropped_one);
  } else {
    return drop_normal_product(e, factor);
  }
}

// A row with NaN or +inf is NaN throughout, of one sign on every backend.
template <class V, class Out>
[[gnu::cold, gnu::noinline]] void fill_nan(Out* out, int64_t cols) {
  for_blocks<V>(cols, [&](int64_t j, int n) { store_block(out + j, n, set(not_a_number<V>())); });
}

// In place when x, or `kept`, is out: every block is read before it is written. Exponentials wait in `kept`, or are
// computed twice where that is null.
template <bool keeps, class S, class Out>
GF_OP void softmax_row(const S* x, int64_t cols, VectorOf<S> scale, const Range<VectorOf<S>>& range, WorkOf<S>* kept,
                       Out* out, bool past_cache) {
  using V = VectorOf<S>;
  const Normaliser<S> norm(x, cols, scale, range, [&](auto at, auto e) GF_STEP {
    if constexpr (keeps) store_at(kept, at, e);
  });
  if (norm.exceptional()) return fill_nan<V>(out, cols);
  const V inverse = set(static_cast<WorkOf<S>>(1 / norm.sum));
  const auto divide = [&](auto small) {
    const V factor = probability_factor<small.value>(inverse);
    write_places<V>(out, cols, past_cache, [&](auto at) GF_STEP {
      if constexpr (keeps)
        return probability<small.value, Out>(load_at<V>(kept, at, set(WorkOf<S>{0})), factor);
      else
        return probability<small.value, Out>(lifted_exp<small.value>(norm.exponent(load_at<V>(x, at, norm.most))),
                                             factor);
    });
  };
  (keeps ? norm.small : !norm.plain) ? divide(Fixed<true>()) : divide(Fixed<false>());
}

template <class S, class V = VectorOf<S>>
GF_OP void log_softmax_row(const S* x, int64_t cols, V scale, S* out, bool past_cache) {
  const Normaliser<S> norm(x, cols, scale);
  const bool plain = !norm.exceptional();
  const V log_sum = set(plain ? static_cast<WorkOf<S>>(log_scalar(norm.sum)) : exceptional_logsumexp(x, cols));
  if (plain) [[likely]]
    return write_places<V>(out, cols, past_cache,
                           [&](auto at) GF_STEP { return norm.exponent(load_at<V>(x, at, norm.most)) - log_sum; });
  for_blocks<V>(cols, [&](int64_t j, int n) {
    const V y = load_block(x + j, n, norm.most) - log_sum;
    store_block(out + j, n, select(simd::unordered(y, y), set(not_a_number<V>()), y));
  });
}

template <class S, class V = VectorOf<S>>
GF_OP void logsumexp_row(const S* x, int64_t cols, V scale, S* out) {
  const Normaliser<S> norm(x, cols, scale);
  const V result = norm.exceptional() ? set(exceptional_logsumexp(x, cols))
                                      : fma(norm.most, scale, set(static_cast<WorkOf<S>>(log_scalar(norm.sum))));
  store_first(out, 1, result);
}

}  // namespace
}  // namespace gumbelfast

#include "softmax_panels.hpp"

namespace gumbelfast {
namespace {

// Rows of a call, several at a time where they are short; step(row, i, scale) for one, panels(rows) for all of them.
template <class S, class RowStep, class PanelsStep>
GF_OP Result for_rows(const SoftmaxArgs& args, const Span& span, RowStep step, PanelsStep panels) {
  const S* const x = static_cast<const S*>(args.x);
  if (is_short<S>(args.cols))
    panels(RunOfRows<S>{x + span.begin * args.stride, args.stride, args.cols, span.begin, span.end, args.scale});
  else
    for (int64_t i = span.begin; i < span.end; ++i)
      step(x + i * args.stride, i, set(scale_of<WorkOf<S>>(args.scale, i)));
  return {};
}

template <class S>
Result softmax(const SoftmaxArgs& args, const Span& span) {
  using T = WorkOf<S>;
  S* const out = static_cast<S*>(args.out);
  const bool past_cache = goes_past_cache<S>(args.past_cache, args.cols);
  const ScratchRow<T> scratch(past_cache ? args.cols : 0);
  const Result result = for_rows<S>(
      args, span,
      [&](const S* x, int64_t i, VectorOf<S> scale) {
        const Range<VectorOf<S>> range = row_range(x, args.cols);
        S* const to = out + i * args.cols;
        if (past_cache)
          softmax_row<true>(x, args.cols, scale, range, scratch.data, to, true);
        else if constexpr (sizeof(S) == sizeof(T))
          softmax_row<true>(x, args.cols, scale, range, to, to, false);
        else
          softmax_row<false>(x, args.cols, scale, range, static_cast<T*>(nullptr), to, false);
      },
      [&](const RunOfRows<S>& rows) {
        softmax_panels(rows, out + span.begin * args.cols, [](const ShortRows<S>&, const T*) { return true; });
      });
  if (past_cache) simd::fence_stores();
  return result;
}

template <class S>
Result log_softmax(const SoftmaxArgs& args, const Span& span) {
  S* const out = static_cast<S*>(args.out);
  const Result result = for_rows<S>(
      args, span,
      [&](const S* x, int64_t i, VectorOf<S> scale) {
        log_softmax_row(x, args.cols, scale, out + i * args.cols, args.past_cache);
      },
      [&](const RunOfRows<S>& rows) { log_softmax_panels(rows, out + span.begin * args.cols); });
  if (args.past_cache) simd::fence_stores();
  return result;
}

template <class S>
Result logsumexp(const SoftmaxArgs& args, const Span& span) {
  S* const out = static_cast<S*>(args.out);
  return for_rows<S>(
      args, span, [&](const S* x, int64_t i, VectorOf<S> scale) { logsumexp_row(x, args.cols, scale, out + i); },
      [&](const RunOfRows<S>& rows) { logsumexp_panels(rows, out + span.begin); });
}

}  // namespace
}  // namespace gumbelfast
