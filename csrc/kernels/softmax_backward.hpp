// The backward passes of softmax and log_softmax, row by row. Numbers near the bottom of the range, and what becomes of
// them, take ways of their own, so that plain ones need not pay for them.
#pragma once

namespace gumbelfast {
namespace {

// Rows of the two inputs and the output of a backward pass.
template <class S>
struct BackwardRow {
  using V = VectorOf<S>;
  const S *grad_row, *y_row;
  S* out;
  V scale;
  BackwardRow(const SoftmaxBackwardArgs& args, int64_t i)
      : grad_row(static_cast<const S*>(args.grad) + i * args.grad_stride),
        y_row(static_cast<const S*>(args.y) + i * args.y_stride),
        out(static_cast<S*>(args.out) + i * args.cols),
        scale(set(scale_of<WorkOf<S>>(args.scale, i))) {}
  GF_OP auto grad(auto at) const { return load_at<V>(grad_row, at, set(WorkOf<S>{0})); }
  GF_OP auto y(auto at) const { return load_at<V>(y_row, at, set(WorkOf<S>{0})); }
};

// Two numbers that reach this have a product that is normal.
template <class T>
constexpr T tiny = sizeof(T) == 4 ? T(0x1p-62) : T(0x1p-510);
// The difference of two lifted numbers below this is below one, so that it can be multiplied by any factor.
template <class T>
constexpr T close_to_zero = Format<VectorOf<T>>::dropped_one / 2;

// Whether |x| lies in (0, limit), asked of integers: comparisons of subnormal numbers cost as much as other operations.
template <class T>
GF_OP bool is_below(T x, T limit) {
  using Word = typename Format<VectorOf<T>>::Word;
  const Word size = __builtin_bit_cast(Word, x) & static_cast<Word>(~Word{0}) >> 1;
  return size - 1 < __builtin_bit_cast(Word, limit) - 1;
}

// Whether a lane lies in (0, tiny): as integers, where zero counts as the largest.
template <class X>
GF_OP bool has_tiny(X y) {
  using Word = typename Format<X>::Word;
  constexpr Word largest = static_cast<Word>(~Word{0}) >> 1;
  constexpr Word limit = static_cast<Word>(__builtin_bit_cast(Word, tiny<typename X::Scalar>) + largest);
  return simd::any(simd::signed_above(set(limit), simd::as_bits(y) + set(largest)));
}

// A lifted number as it is, with zero in place of what is subnormal.
template <class X>
GF_OP X dropped(X x) {
  using F = Format<X>;
  const auto least = set(F::lifted_least), zero = set(typename X::Scalar{0});
  const X size = magnitude(x);
  return with_sign(select(least > size, zero, size) * set(F::dropped_one), simd::as_bits(x) & sign_bit<X>());
}

// The sum of grad * y, of products that may be subnormal; lifted.
template <class S>
[[gnu::noinline]] double lifted_dot(const BackwardRow<S>& row, int64_t cols) {
  using V = VectorOf<S>;
  const auto one = set(Format<V>::lifted_one);
  return row_sum<V>(cols, [&](auto at) {
    const auto grad = row.grad(at), y = row.y(at);
    return has_tiny(y) ? lifted_product(lifted(y), grad) : grad * y * one;
  });
}

// A lifted sum in the working type, rounded as if it had been dropped.
GF_OP float round_sum(double lifted, float) {
  constexpr double magic = 0x1.8p52 * Format<F32>::lifted_grain;
  const bool small = lifted < Format<F32>::lifted_least && -lifted < Format<F32>::lifted_least;
  return static_cast<float>(small ? lifted + magic - magic : lifted);
}
GF_OP double round_sum(double lifted, double) { return lifted; }

// A row of which some y is tiny.
template <class S>
[[gnu::noinline]] void softmax_backward_tiny(const BackwardRow<S>& row, int64_t cols, WorkOf<S> dot) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const V zero = set(T{0}), one = set(T{1}), close = set(close_to_zero<T>), lifted_sum = set(dot), sum = dropped(set(dot));
  // Then a difference from the sum may be subnormal too.
  const bool close_sum = is_below(dot, T{0.5});
  for_blocks<V>(cols, [&](int64_t j, int n) {
    const PartOfBlock at{j, n};
    const V grad = row.grad(at), y = row.y(at);
    if (!close_sum && !has_tiny(y)) return store_at(row.out, at, y * row.scale * (grad - sum));
    const V lifted_y = lifted(y);
    const auto small_y = one > magnitude(lifted_y);
    const V product = lifted_product(select(small_y, lifted_y, zero), row.scale);
    const V factor = select(small_y, dropped(product), select(small_y, zero, y) * row.scale);
    V left = select(small_y, product, one), right = grad - sum;
    auto small = one > magnitude(left);
    if (close_sum) {
      const auto close_grad = close > magnitude(grad);
      left = select(close_grad, lifted(select(close_grad, grad, zero)) - lifted_sum, left);
      right = select(close_grad, factor, select(close_grad, zero, grad) - sum);
      small = small | close_grad;
    }
    const V plain = select(small, zero, factor) * select(small, zero, right);
    store_at(row.out, at, select(small, drop_signed_product(left, right), plain));
  });
}

// scale * y * (grad - sum(grad * y))
template <class S>
void softmax_backward(const SoftmaxBackwardArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  for (int64_t i = begin; i < end; ++i) {
    const BackwardRow<S> row(args, i);
    bool some_tiny = false;
    double dot = row_sum<V>(args.cols, [&](auto at) {
      const auto grad = row.grad(at), y = row.y(at);
      some_tiny = some_tiny || has_tiny(y);
      return some_tiny ? grad : grad * y;
    });
    if (some_tiny) [[unlikely]] {
      const T lifted_sum = round_sum(lifted_dot(row, args.cols), T{});
      if (is_finite(lifted_sum) && is_finite(scale_of<T>(args.scale, i))) {
        softmax_backward_tiny(row, args.cols, lifted_sum);
        continue;
      }
      // Lifted, a number may overflow that by itself does not.
      dot = row_sum<V>(args.cols, [&](auto at) { return row.grad(at) * row.y(at); });
    }
    const V sum = set(static_cast<T>(dot));
    for_places<V>(args.cols, [&](auto at) { store_at(row.out, at, row.y(at) * row.scale * (row.grad(at) - sum)); });
  }
}

// scale * (grad - exp(y) * sum) for lanes where the product, or all of it, may be subnormal: those where y is at most
// `limit`.
template <class X, class V>
GF_OP X log_softmax_backward_tiny(X grad, X y, V sum, V scale, bool subnormal_sum, typename V::Scalar limit) {
  using T = typename V::Scalar;
  using F = Format<V>;
  const V zero = set(T{0}), close = set(close_to_zero<T>), one = set(T{1});
  const auto low = set(limit) >= y;
  const X e = exp_of<0>(simd::max(set(F::exp_least), y));
  const X above = select(y > set(F::exp_most), set(-Storage<T>::minus_infinity), e);
  const X lifted_e = round_lifted(exp_unrounded(y));
  const X lifted_p = subnormal_sum ? lifted_product(e, lifted(sum)) : lifted_product(lifted_e, sum);
  const X p = select(low, dropped(lifted_p), select(low, zero, above) * flushed(sum));
  // A subnormal product changes nothing in what is not close to zero.
  const X size = select(set(T{0.5}) > magnitude(lifted_p), magnitude(grad), one);
  const auto small = close > select(low, size, one);
  const X difference = lifted(select(small, grad, zero)) - lifted_p;
  return select(small, drop_signed_product(difference, scale), scale * (grad - p));
}

// scale * (grad - exp(log_y) * sum(grad))
template <class S>
void log_softmax_backward(const SoftmaxBackwardArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const T infinity = -Storage<T>::minus_infinity;
  for (int64_t i = begin; i < end; ++i) {
    const BackwardRow<S> row(args, i);
    const double total = row_sum<V>(args.cols, [&](auto at) { return row.grad(at); });
    const T one_sum = static_cast<T>(total);
    const V sum = set(one_sum);
    // From here down the product with the sum may be subnormal; NaN, which is above nothing, if that is no concern.
    const T limit = is_below(one_sum, tiny<T>) ? T{0} : Format<V>::exp_least / 2;
    const T from = is_finite(one_sum) && is_finite(scale_of<T>(args.scale, i)) ? limit : not_a_number<V>();
    const bool subnormal_sum = is_below(one_sum, Format<V>::least);
    for_places<V>(args.cols, [&](auto at) {
      // Numbers that are no log-probabilities need no accuracy, but the same bytes from every backend.
      const auto grad = row.grad(at), y = row.y(at);
      if (simd::any(set(from) >= y)) [[unlikely]]
        return store_at(row.out, at, log_softmax_backward_tiny(grad, y, sum, row.scale, subnormal_sum, limit));
      const auto e = select(y > set(Format<V>::exp_most), set(infinity), exp_of<0>(y));
      store_at(row.out, at, row.scale * (grad - e * sum));
    });
  }
}

}  // namespace
}  // namespace gumbelfast
