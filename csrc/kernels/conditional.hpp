// Perturbed logits z = x + g under a known maximum or bound. exp(-z) is an exponential, and z <= bound says that it is
// at least exp(-bound). An exponential has no memory: what is above has its law again, and is drawn as if nothing were
// known.
#pragma once

namespace gumbelfast {
namespace {

// low - log(1 + exp(gap)) where low is so close to zero that all of it may be subnormal, for gaps that make the
// logarithm that small.
template <class V>
[[gnu::noinline, gnu::cold]] V truncated_near_zero(V low, V gap) {
  const V difference = lifted(low) - round_lifted(exp_unrounded(gap));
  return drop_signed_product(difference, set(typename V::Scalar{1}));
}

// -log(exp(-bound) + exp(-z)), at most `bound`: the smaller of the two, less at most log(2).
template <class V>
GF_OP V truncated(V z, V bound) {
  using F = Format<V>;
  const auto above = z > bound;
  const V low = select(above, bound, z), high = select(above, z, bound);
  // Where both are -inf their difference is NaN, for which max gives its second argument.
  const V gap = low - high, normal = simd::max(gap, set(F::exp_least));
  const V value = low - log1p_unit(exp_normal(normal));
  // What is subtracted in place of less than a normal number changes nothing else.
  const auto near_zero = set(F::dropped_one) > magnitude(low);
  if (!simd::any(near_zero)) [[likely]]
    return value;
  return select(set(F::exp_least) >= select(near_zero, gap, set(typename V::Scalar{0})),
                truncated_near_zero(low, simd::max(gap, set(F::exp_underflow))), value);
}

// The next number below a finite one.
template <class T>
T next_below(T x) {
  using Word = typename Format<VectorOf<T>>::Word;
  constexpr Word sign = Word{1} << (8 * sizeof(T) - 1);
  const Word word = __builtin_bit_cast(Word, x);
  return __builtin_bit_cast(T, x == 0 ? sign | Word{1} : word & sign ? word + 1 : word - 1);
}

// One row of a call, `out` included.
template <class S>
struct ConditionalRow {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const ConditionalArgs& args;
  int64_t i;
  Row<S, false> x;
  T* out;
  Met<V> met{};

  ConditionalRow(const ConditionalArgs& a, int64_t row)
      : args(a), i(row), x(a.logits, row), out(static_cast<T*>(a.out) + row * a.logits.cols) {}

  // logsumexp(x) + g of the winner, whose noise the largest perturbed logit would have, or what the caller knows.
  template <class Noise>
  T bound(Noise noise_at) const {
    if (args.bound) return static_cast<T>(args.bound[i]);
    const Normaliser<S> norm(x.x, args.logits.cols, set(T{1}));
    if (norm.exceptional()) return static_cast<T>(__builtin_nan(""));
    return simd::lane_max(norm.most) + static_cast<T>(log_scalar(norm.sum)) + noise_at(args.index[i]);
  }
  // Columns [begin, end), whose noise begins at `noise`. A winner stays the only one of its value.
  GF_OP void columns(int64_t begin, int64_t end, const T* noise, T bound) {
    const V top = set(bound), most = set(args.index ? next_below(bound) : bound);
    for_blocks<V>(end - begin, [&](int64_t j, int n) {
      const V logit = x.block(begin + j, n);
      met.see(logit);
      const V z = truncated(logit + load_block(noise + j, n, set(T{0})), top);
      store_block(out + begin + j, n, select(z > most, most, z));
    });
  }
  // False where the logits hold NaN or +inf, or nothing finite.
  bool finish(T bound) {
    if (met.refused() || !(simd::lane_max(met.largest) > -static_cast<T>(__builtin_inff()))) return false;
    if (args.index) out[args.index[i]] = bound;
    return true;
  }
};

template <class S>
Result conditional_gumbel(const ConditionalArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const int64_t cols = args.logits.cols, batch = flat_batch(args.noise, cols);
  alignas(64) T noise[noise_chunk];
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < batch ? span.end - i : batch;
    const RowNoise at(args.noise, i);
    const auto fill = [&](int64_t j, int64_t n, T* to) {
      fill_noise(at.key, at.first + static_cast<uint64_t>(j), n, to);
    };
    if (count > 1) {
      fill(0, count * cols, noise);
      for (int64_t r = 0; r < count; ++r) {
        ConditionalRow<S> row(args, i + r);
        const T bound = row.bound([&](int64_t j) { return noise[r * cols + j]; });
        row.columns(0, cols, noise + r * cols, bound);
        if (!row.finish(bound)) return refused;
      }
      continue;
    }
    ConditionalRow<S> row(args, i);
    const T bound = row.bound([&](int64_t j) {
      fill(j, 1, noise);
      return noise[0];
    });
    for (int64_t j = 0, next; j < cols; j = next) {
      next = chunk_end(at.first, j, cols);
      fill(j, next - j, noise);
      row.columns(j, next, noise, bound);
    }
    if (!row.finish(bound)) return refused;
  }
  return {Outcome::done, ((span.end - span.begin) * cols + tile_size - 1) / tile_size};
}

}  // namespace
}  // namespace gumbelfast
