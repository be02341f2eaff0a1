// softmax, log_softmax, logsumexp and their backward passes, row by row.
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

// Row maximum and the sum of exp((x - max) * scale), which lies in [1, cols] unless it is NaN: then the row holds a NaN
// or +inf, or nothing but -inf.
template <class S, class V = VectorOf<S>>
struct Normaliser {
  V most, scale;
  double sum;

  GF_OP Normaliser(const S* x, int64_t cols, V factor)
      : Normaliser(x, cols, factor, row_max(x, cols), [](auto, auto) {}) {}
  // keep(at, e) is given the exponentials; it may write over what they stand for in x.
  template <class Keep>
  GF_OP Normaliser(const S* x, int64_t cols, V factor, WorkOf<S> maximum, Keep keep)
      : most(set(maximum)), scale(factor) {
    // The exponential of -inf is exactly zero, so lanes behind the row add nothing.
    sum = row_sum<V>(cols, [&](auto at) {
      const auto e = exp_nonpositive(exponent(load_at<V>(x, at, minus_infinity<V>())));
      keep(at, e);
      return e;
    });
  }
  template <class X>
  GF_OP X exponent(X x) const {
    return (x - most) * scale;
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

// A row of one block need not leave its register.
template <class S, class Out, class V = VectorOf<S>>
GF_OP void softmax_block(const S* x, int cols, V scale, V maximum, Out* out) {
  const V e = exp_nonpositive((load_block(x, cols, minus_infinity<V>()) - maximum) * scale);
  const double sum = simd::lane_sum(e);
  store_block(out, cols, sum > 0 ? e * set(static_cast<WorkOf<S>>(1 / sum)) : set(not_a_number<V>()));
}

// In place when x is out: every block is read before it is written. Exponentials wait in the output where its type
// holds them exactly, and are computed twice where it does not.
template <class S, class Out>
GF_OP void softmax_row(const S* x, int64_t cols, VectorOf<S> scale, WorkOf<S> maximum, Out* out) {
  using V = VectorOf<S>;
  if (cols <= V::lanes) return softmax_block(x, static_cast<int>(cols), scale, set(maximum), out);
  constexpr bool kept = sizeof(Out) == sizeof(WorkOf<S>);
  const Normaliser<S> norm(x, cols, scale, maximum, [&](auto at, auto e) {
    if constexpr (kept) store_at(out, at, e);
  });
  // A row with NaN or +inf is NaN throughout, of one sign on every backend.
  const V inverse = set(norm.exceptional() ? not_a_number<V>() : static_cast<WorkOf<S>>(1 / norm.sum));
  if (norm.exceptional()) return for_blocks<V>(cols, [&](int64_t j, int n) { store_block(out + j, n, inverse); });
  for_places<V>(cols, [&](auto at) {
    if constexpr (kept)
      store_at(out, at, load_at<V>(out, at, inverse) * inverse);
    else
      store_at(out, at, exp_nonpositive(norm.exponent(load_at<V>(x, at, norm.most))) * inverse);
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

// scale * y * (grad - sum(grad * y))
template <class S>
void softmax_backward(const SoftmaxBackwardArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  for (int64_t i = begin; i < end; ++i) {
    const BackwardRow<S> row(args, i);
    const double dot = row_sum<V>(args.cols, [&](auto at) { return row.grad(at) * row.y(at); });
    const V sum = set(static_cast<WorkOf<S>>(dot));
    for_places<V>(args.cols, [&](auto at) { store_at(row.out, at, row.y(at) * row.scale * (row.grad(at) - sum)); });
  }
}

// scale * (grad - exp(log_y) * sum(grad))
template <class S>
void log_softmax_backward(const SoftmaxBackwardArgs& args, int64_t begin, int64_t end) {
  using V = VectorOf<S>;
  const WorkOf<S> infinity = -Storage<WorkOf<S>>::minus_infinity;
  for (int64_t i = begin; i < end; ++i) {
    const BackwardRow<S> row(args, i);
    const double total = row_sum<V>(args.cols, [&](auto at) { return row.grad(at); });
    const V sum = set(static_cast<WorkOf<S>>(total));
    for_places<V>(args.cols, [&](auto at) {
      // Numbers that are no log-probabilities need no accuracy, but the same bytes from every backend.
      const auto y = row.y(at), e = select(y > set(Format<V>::exp_most), set(infinity), exp_nonpositive(y));
      store_at(row.out, at, row.scale * (row.grad(at) - e * sum));
    });
  }
}

}  // namespace
}  // namespace gumbelfast
