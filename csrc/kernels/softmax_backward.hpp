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
  bool past_cache;
  BackwardRow(const SoftmaxBackwardArgs& args, int64_t i)
      : grad_row(static_cast<const S*>(args.grad) + i * args.grad_stride),
        y_row(static_cast<const S*>(args.y) + i * args.y_stride),
        out(static_cast<S*>(args.out) + i * args.cols),
        scale(set(scale_of<WorkOf<S>>(args.scale, i))),
        past_cache(args.past_cache && !is_short<S>(args.cols)) {}
  GF_OP auto grad(auto at) const { return load_at<V>(grad_row, at, set(WorkOf<S>{0})); }
  GF_OP auto y(auto at) const { return load_at<V>(y_row, at, set(WorkOf<S>{0})); }
};

// Two numbers that reach this have a product that is normal.
template <class T>
constexpr T tiny = sizeof(T) == 4 ? T(0x1p-62) : T(0x1p-510);
template <class T>
constexpr T ulp_of_one = sizeof(T) == 4 ? T(0x1p-24) : T(0x1p-53);  // below one
// Beyond this a number is no probability, and is not lifted.
template <class T>
constexpr T largest_y = 4;
// Numbers below this, four of them at a time, can be multiplied while one is lifted.
template <class T>
constexpr T moderate = sizeof(T) == 4 ? T(0x1p28) : T(0x1p250);

template <class X>
using WordOf = typename Format<X>::Word;

template <int n>
constexpr int blocks_of(Blocks<n>) {
  return n;
}
constexpr int blocks_of(PartOfBlock) { return 1; }

// Whether |x| lies in (0, limit), asked of integers: comparisons of subnormal numbers cost as much as other operations.
template <class T>
GF_OP bool is_below(T x, T limit) {
  using Word = WordOf<VectorOf<T>>;
  const Word size = __builtin_bit_cast(Word, x) & static_cast<Word>(~Word{0}) >> 1;
  return size - 1 < __builtin_bit_cast(Word, limit) - 1;
}
template <class T>
GF_OP bool is_moderate(T x) {
  return x < moderate<T> && x > -moderate<T>;
}
// Whether a lane is as large as that, or NaN.
template <class X, class T = typename X::Scalar>
GF_OP bool has_large(X x, T limit = moderate<T>) {
  return simd::any(simd::signed_above(simd::as_bits(magnitude(x)), set(__builtin_bit_cast(WordOf<X>, limit))));
}
// Which lanes lie in (0, tiny): as integers, where zero counts as the largest.
template <class X>
GF_OP auto is_tiny(X y) {
  using Word = WordOf<X>;
  constexpr Word largest = static_cast<Word>(~Word{0}) >> 1;
  constexpr Word limit = static_cast<Word>(__builtin_bit_cast(Word, tiny<typename X::Scalar>) + largest);
  return simd::signed_above(set(limit), simd::as_bits(y) + set(largest));
}
template <class X>
GF_OP bool has_tiny(X y) {
  return simd::any(is_tiny(y));
}
// Likewise, and true for zero and for negative numbers: it takes half the steps.
template <class X>
GF_OP auto is_low(X y) {
  constexpr WordOf<X> limit = __builtin_bit_cast(WordOf<X>, tiny<typename X::Scalar>);
  return simd::signed_above(set(limit), simd::as_bits(y));
}

// The sum of grad * y, lifted, of products that may be subnormal; NaN if a number is no probability or a gradient is
// too large for that.
template <class S>
[[gnu::noinline]] double lifted_dot(const BackwardRow<S>& row, int64_t cols) {
  using V = VectorOf<S>;
  const auto one = set(Format<V>::lifted_one);
  return row_sum<V>(
      cols,
      [&](auto at) GF_STEP {
        const auto grad = row.grad(at), y = row.y(at);
        return has_tiny(y) ? lifted_product(lifted(y), grad) : grad * y * one;
      },
      [&](auto at) GF_STEP { return has_large(row.grad(at)) || has_large(row.y(at), largest_y<WorkOf<S>>); });
}

// A lifted sum in the working type, rounded as if it had been dropped.
GF_OP float round_sum(double lifted, float) {
  constexpr double magic = 0x1.8p52 * Format<F32>::lifted_grain;
  const bool small = lifted < Format<F32>::lifted_least && -lifted < Format<F32>::lifted_least;
  return static_cast<float>(small ? lifted + magic - magic : lifted);
}
GF_OP double round_sum(double lifted, double) { return lifted; }

// A row of which some y are tiny, and the sum lifted.
template <class S>
[[gnu::noinline]] void softmax_backward_tiny(const BackwardRow<S>& row, int64_t cols, WorkOf<S> dot, bool scaled) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const V lifted_sum = set(dot), sum = dropped(lifted_sum), close = set(Format<V>::dropped_one), zero = set(T{0});
  // Then a difference from the sum may be subnormal too.
  const bool close_sum = is_below(dot, T{1});
  write_places<V>(row.out, cols, row.past_cache, [&](auto at) GF_STEP {
    const auto grad = row.grad(at), y = row.y(at);
    if (!close_sum && !has_tiny(y)) return y * row.scale * (grad - sum);
    auto left = lifted(y), right = grad - sum;
    if (scaled) left = lifted_product(left, row.scale);
    if (close_sum) {
      const auto both = close > magnitude(grad);
      right = select(both, dropped(left), right);
      left = select(both, lifted(select(both, grad, zero)) - lifted_sum, left);
    }
    return drop_signed_product(left, right);
  });
}

// scale * y * (grad - sum), given that sum.
template <class S>
GF_OP void softmax_backward_given(const BackwardRow<S>& row, int64_t cols, double dot) {
  using V = VectorOf<S>;
  const V sum = set(static_cast<WorkOf<S>>(dot));
  write_places<V>(row.out, cols, row.past_cache,
                  [&](auto at) GF_STEP { return row.y(at) * row.scale * (row.grad(at) - sum); });
}

// Nothing but zero differs by less from a sum, or scale, of this size and more, so that its products with lifted
// numbers are normal.
template <class V>
constexpr auto level = Format<V>::least / (Format<V>::lifted_grain * ulp_of_one<typename V::Scalar>);

// A row of probabilities, some of them tiny, and moderate gradients, with a sum and a scale from `level` up.
template <class S, bool scaled>
[[gnu::noinline]] void softmax_backward_probable(const BackwardRow<S>& row, int64_t cols, WorkOf<S> dot) {
  using V = VectorOf<S>;
  const V sum = set(dot), least = set(Format<V>::lifted_least);
  write_places<V>(row.out, cols, row.past_cache, [&](auto at) GF_STEP {
    const auto y = row.y(at), right = row.grad(at) - sum;
    auto left = lifted_probability(y);
    if constexpr (scaled) {
      const auto product = left * row.scale;
      left = select(least > product, fma(left, row.scale, least) - least, product);
    }
    return with_sign(drop_normal_product(left, magnitude(right)), simd::as_bits(right) & sign_bit<V>());
  });
}

// The sum of grad * y without what is tiny, and whether large numbers lie beside that.
struct PartialDot {
  double sum;
  bool some_large;
  bool probable;  // all y are in [0, 2), and all gradients at most `largest_grad` in size
};
constexpr double largest_grad = 256;
template <class S>
[[gnu::noinline]] PartialDot any_partial_dot(const BackwardRow<S>& row, int64_t cols) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  PartialDot dot{0, false, false};
  dot.sum = row_sum<V>(cols, [&](auto at) GF_STEP {
    const auto grad = row.grad(at), y = row.y(at);
    if (!simd::any(is_low(y))) return grad * y;
    const auto left_out = is_tiny(y);
    dot.some_large |= has_large(grad, static_cast<T>(largest_grad)) || has_large(y, largest_y<T>);
    return grad * select(left_out, set(T{0}), y);
  });
  return dot;
}
template <class S>
[[gnu::noinline]] PartialDot partial_dot(const BackwardRow<S>& row, int64_t cols) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const V zero = set(T{0});
  const auto none = simd::as_bits(zero);
  // Adding squares to one underflows nowhere.
  V squares[abreast];
  decltype(simd::as_bits(zero)) y_bits[abreast];
  for (int b = 0; b < abreast; ++b) squares[b] = set(T{1}), y_bits[b] = none;
  PartialDot dot{0, false, true};
  dot.sum = row_sum<V>(cols, [&](auto at) GF_STEP {
    const auto grad = row.grad(at), y = row.y(at);
    for (int b = 0; b < blocks_of(at); ++b) {
      squares[b] = fma(simd::part(grad, b), simd::part(grad, b), squares[b]);
      y_bits[b] = y_bits[b] | simd::as_bits(simd::part(y, b));
    }
    return grad * select(is_low(y), zero, y);
  });
  for (int b = 1; b < abreast; ++b) {
    squares[0] = simd::max(squares[0], squares[b]);
    y_bits[0] = y_bits[0] | y_bits[b];
  }
  // Numbers in [0, 2) have the two highest bits zero.
  const bool improbable = simd::any(simd::signed_above(simd::shr<8 * sizeof(T) - 2>(y_bits[0]), none));
  if (improbable || simd::any(squares[0] > set(static_cast<T>(largest_grad * largest_grad))))
    return any_partial_dot(row, cols);
  return dot;
}

template <class S>
GF_OP void softmax_backward_row(const BackwardRow<S>& row, int64_t cols, WorkOf<S> scale) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  bool some_tiny = false;
  const double plain = row_sum<V>(
      cols, [&](auto at) GF_STEP { return row.grad(at) * row.y(at); },
      [&](auto at) GF_STEP { return simd::any(is_low(row.y(at))) && (some_tiny = has_tiny(row.y(at))); });
  if (!some_tiny) [[likely]]
    return softmax_backward_given(row, cols, plain);
  const PartialDot dot = partial_dot(row, cols);
  // From here up what was left out of the sum is less than an eighth of its last bit.
  constexpr double enough = 8.0 * largest_grad * double{tiny<T>} / double{ulp_of_one<T>};
  const bool complete = !dot.some_large && __builtin_fabs(dot.sum) >= enough * static_cast<double>(cols);
  const T lifted_sum =
      complete ? static_cast<T>(dot.sum) * Format<V>::lifted_one : round_sum(lifted_dot(row, cols), T{});
  const T sum = lifted_sum * Format<V>::dropped_one;
  if (!(is_moderate(sum) && is_moderate(scale)))
    softmax_backward_given(row, cols, row_sum<V>(cols, [&](auto at) GF_STEP { return row.grad(at) * row.y(at); }));
  else if (!dot.probable || !(sum >= level<V> || -sum >= level<V>) || !(scale >= level<V>))
    softmax_backward_tiny(row, cols, lifted_sum, scale != 1);
  else if (scale == 1)
    softmax_backward_probable<S, false>(row, cols, sum);
  else
    softmax_backward_probable<S, true>(row, cols, sum);
}

// Sums of short rows, of a term of their blocks; a negative zero counts as zero, as it does in `row_sum`.
template <class S, int blocks, class Term>
GF_OP void panel_sums(const SoftmaxBackwardArgs& args, int64_t first, int n, WorkOf<S>* sum, Term term) {
  using V = VectorOf<S>;
  V value[V::lanes];
  const V zero = set(WorkOf<S>{0});
  each_row(n, value, [&](int r) GF_STEP {
    const BackwardRow<S> row(args, first + r);
    V grad[blocks];
    load_row(row.grad_row, args.cols, zero, grad);
    term(r, row, grad);
    return sum_of_blocks(grad) + zero;
  });
  store(sum, simd::sum_of_each(value));
}

// Panels of short rows: sums(first, n, sum, turn), and finish(first, n, sum, turn) after those of the next panel, which
// do not wait for them. Turns are 0 and 1.
template <class S, class Sums, class Finish>
GF_OP void for_panel_sums(const Span& span, Sums sums, Finish finish) {
  constexpr int lanes = VectorOf<S>::lanes;
  alignas(64) WorkOf<S> sum[2][lanes];
  const auto rows_at = [&](int64_t first) {
    return static_cast<int>(span.end - first < lanes ? span.end - first : lanes);
  };
  int turn = 0;
  if (span.begin < span.end) sums(span.begin, rows_at(span.begin), sum[0], 0);
  for (int64_t i = span.begin; i < span.end; i += lanes, turn = 1 - turn) {
    if (const int64_t next = i + lanes; next < span.end) sums(next, rows_at(next), sum[1 - turn], 1 - turn);
    finish(i, rows_at(i), sum[turn], turn);
  }
}

// scale * y * (grad - sum(grad * y))
template <class S>
Result softmax_backward(const SoftmaxBackwardArgs& args, const Span& span) {
  using V = VectorOf<S>;
  const int64_t cols = args.cols;
  const auto alone = [&](int64_t i) {
    softmax_backward_row(BackwardRow<S>(args, i), cols, scale_of<WorkOf<S>>(args.scale, i));
  };
  if (!is_short<S>(cols)) {
    for (int64_t i = span.begin; i < span.end; ++i) alone(i);
    if (args.past_cache) simd::fence_stores();
    return {};
  }
  with_blocks<V>(cols, [&](auto count) {
    constexpr int blocks = count.value;
    uint32_t tiny_rows[2];
    for_panel_sums<S>(
        span,
        [&](int64_t first, int n, WorkOf<S>* dot, int turn) GF_STEP {
          tiny_rows[turn] = 0;
          panel_sums<S, blocks>(args, first, n, dot, [&](int r, const BackwardRow<S>& row, V(&grad)[blocks]) GF_STEP {
            V y[blocks];
            load_row(row.y_row, cols, set(WorkOf<S>{1}), y);
            auto low = is_low(y[0]);
#pragma GCC unroll 4
            for (int b = 1; b < blocks; ++b) low = low | is_low(y[b]);
            if (simd::any(low)) [[unlikely]] {
              bool some_tiny = false;
              for (const V& block : y) some_tiny |= has_tiny(block);
              if (some_tiny) {
                tiny_rows[turn] |= 1u << r;
                return;
              }
            }
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) grad[b] = grad[b] * y[b];
          });
        },
        [&](int64_t first, int n, const WorkOf<S>* dot, int turn) GF_STEP {
          for (int r = 0; r < n; ++r) {
            if (tiny_rows[turn] >> r & 1) [[unlikely]] {
              alone(first + r);
              continue;
            }
            const BackwardRow<S> row(args, first + r);
            V grad[blocks], y[blocks];
            load_row(row.grad_row, cols, set(WorkOf<S>{0}), grad);
            load_row(row.y_row, cols, set(WorkOf<S>{0}), y);
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) y[b] = y[b] * row.scale * (grad[b] - set(dot[r]));
            store_row(row.out, cols, y);
          }
        });
  });
  return {};
}

// scale * (grad - exp(y) * sum) at a place where the product may be subnormal. Of log-probabilities and what is less
// than `moderate` all is normal while it is lifted.
template <class S, class At>
[[gnu::noinline]] auto log_softmax_backward_tiny(const BackwardRow<S>& row, At at, WorkOf<S> one_sum, bool is_plain) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const V sum = set(one_sum), zero = set(T{0});
  const auto grad = row.grad(at), y = row.y(at);
  if (is_plain && !simd::any((y > zero) | simd::unordered(y, y)) && !has_large(grad)) {
    const auto difference = lifted(grad) - lifted_product(round_lifted(exp_unrounded(y)), sum);
    return drop_signed_product(difference, row.scale);
  }
  const auto above =
      select(y > set(Format<V>::exp_most), set(-Storage<T>::minus_infinity), exp_of<0>(simd::max(zero, y)));
  const auto e = select(y > zero, above, exp_nonpositive(y));
  return row.scale * (grad - e * sum);
}

// As integers, numbers from zero up, NaN and what is low are above all others. From -43 down (float; double: -354) the
// product with the sum may be subnormal; if the sum is tiny, everywhere.
template <class T>
constexpr auto halfway = __builtin_bit_cast(WordOf<VectorOf<T>>, static_cast<T>(Format<VectorOf<T>>::exp_least / 2));

// scale * (grad - exp(y) * sum), given that sum.
template <class S>
GF_OP void log_softmax_backward_row(const BackwardRow<S>& row, int64_t cols, WorkOf<S> scale, double total) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const T one_sum = static_cast<T>(total);
  const V sum = set(one_sum);
  using Word = WordOf<V>;
  constexpr Word least = ~(~Word{0} >> 1);
  const auto ordinary = set(is_below(one_sum, tiny<T>) ? least : halfway<T>);
  const bool is_plain = is_moderate(one_sum) && is_moderate(scale);
  // exp(y) below 2**-63 (double: 2**-510) times the sum is nothing beside a gradient of this size.
  const V low = set(static_cast<T>(Format<V>::exp_least / 2)), zero = set(T{0}),
          infinity = set(-Storage<T>::minus_infinity);
  const bool may_vanish = is_plain && !is_below(one_sum, tiny<T>);
  const auto beside =
      set(__builtin_bit_cast(Word, may_vanish ? (one_sum < 0 ? -one_sum : one_sum) * T(0x1p-36) : T{0}));
  write_places<V>(row.out, cols, row.past_cache, [&](auto at) GF_STEP {
    const auto y = load_at<V>(row.y_row, at, set(T{-1}));
    const auto grad = row.grad(at);
    if (!simd::any(simd::signed_above(simd::as_bits(y), ordinary))) [[likely]]
      return row.scale * (grad - exp_of<0>(y) * sum);
    const auto vanishing = low > y;
    const auto size = select(set(Format<V>::exp_underflow) >= y, infinity, magnitude(grad));
    const auto lacking = simd::signed_above(beside, simd::as_bits(select(vanishing, size, infinity)));
    if (!may_vanish || simd::any((y > zero) | simd::unordered(y, y) | lacking))
      return log_softmax_backward_tiny(row, at, one_sum, is_plain);
    return row.scale * (grad - select(vanishing, zero, exp_of<0>(simd::max(y, low))) * sum);
  });
}

// scale * (grad - exp(y) * sum(grad))
template <class S>
Result log_softmax_backward(const SoftmaxBackwardArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const int64_t cols = args.cols;
  const auto given = [&](const BackwardRow<S>& row, int64_t i, double total) {
    log_softmax_backward_row(row, cols, scale_of<WorkOf<S>>(args.scale, i), total);
  };
  if (!is_short<S>(cols)) {
    for (int64_t i = span.begin; i < span.end; ++i) {
      const BackwardRow<S> row(args, i);
      given(row, i, row_sum<V>(cols, [&](auto at) GF_STEP { return row.grad(at); }));
    }
    if (args.past_cache) simd::fence_stores();
    return {};
  }
  with_blocks<V>(cols, [&](auto count) {
    constexpr int blocks = count.value;
    for_panel_sums<S>(
        span,
        [&](int64_t first, int n, T* total, int)
            GF_STEP { panel_sums<S, blocks>(args, first, n, total, [](int, const auto&, auto&) GF_STEP {}); },
        [&](int64_t first, int n, const T* total, int) GF_STEP {
          for (int r = 0; r < n; ++r) {
            const BackwardRow<S> row(args, first + r);
            V grad[blocks], y[blocks];
            load_row(row.grad_row, cols, set(T{0}), grad);
            load_row(row.y_row, cols, set(T{-1}), y);
            const auto extraordinary = [](V each)
                                           GF_STEP { return simd::signed_above(simd::as_bits(each), set(halfway<T>)); };
            auto some = extraordinary(y[0]);
#pragma GCC unroll 4
            for (int b = 1; b < blocks; ++b) some = some | extraordinary(y[b]);
            if (is_below(total[r], tiny<T>) || simd::any(some)) [[unlikely]] {
              given(row, first + r, static_cast<double>(total[r]));
              continue;
            }
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) y[b] = row.scale * (grad[b] - exp_of<0>(y[b]) * set(total[r]));
            store_row(row.out, cols, y);
          }
        });
  });
  return {};
}

}  // namespace
}  // namespace gumbelfast
