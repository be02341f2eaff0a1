// Top-p (Holtzman et al. 2020) as a question about one logit: do those before it weigh less than p of all?
#pragma once

namespace gumbelfast {
namespace {

// What filters leave: values above `least`, and those equal to it up to position `last`, as far as none is above
// `upper`.
template <class T>
struct Cut {
  T least;
  int64_t last;
  T upper = static_cast<T>(__builtin_inff());

  bool has(T value, int64_t place) const {
    return value <= upper && (value > least || (value == least && place <= last));
  }
  // Which lanes stay of a block that starts at position j.
  template <class V>
  GF_OP uint32_t of(V v, int64_t j) const {
    const int64_t equal = last - j + 1;
    const uint32_t may = equal >= V::lanes ? ~uint32_t{0} : equal > 0 ? (uint32_t{1} << equal) - 1 : 0;
    return (bits(v > set(least)) | (bits(v == set(least)) & may)) & bits(set(upper) >= v);
  }
};

// Weights count as integers, rint(w * 2**b): sums of them are exact, so that the order of adding is nobody's concern.
// b is the most that keeps all columns together below 2**62 and a weight within the mantissa.
GF_OP double grid_unit(int64_t cols) {
  const int length = 64 - __builtin_clzll(static_cast<uint64_t>(cols)), b = 62 - length < 50 ? 62 - length : 50;
  return static_cast<double>(uint64_t{1} << b);
}
constexpr double grid_magic = 0x1.8p52;  // what is added to it is rounded to an integer, found in the low bits
GF_OP U64 on_grid(F64 w, F64 unit) { return simd::as_bits(fma(w, unit, set(grid_magic))); }
// A float's word, 29 bits up, as a double: exact for what is normal; zero becomes too little to count.
GF_OP F64 wide(U64 word) { return simd::as_float(word + set(uint64_t{1023 - 127} << 52)); }

// The exact sum of the weights exp((x - most) * scale). What the grid does not show is kept away from subnormal
// numbers.
template <class V>
struct GridSum {
  F64 unit;
  U64 sum = set(uint64_t{0});
  uint64_t lanes = 0;

  explicit GridSum(double u) : unit(set(u)) {}
  template <class X>
  GF_OP static X weight(X distance, V scale) {
    return exp_normal(max(set(Format<V>::exp_least), distance * scale));
  }
  GF_OP void add(F64 w) {
    sum = sum + on_grid(w, unit);
    lanes += F64::lanes;
  }
  GF_OP void add(F32 w) {
    const U64 pair = simd::as_pairs(simd::as_bits(w));
    sum = sum + on_grid(wide(simd::shr<3>(simd::shl<32>(pair))), unit) +
          on_grid(wide(simd::shl<29>(simd::shr<32>(pair))), unit);
    lanes += F32::lanes;
  }
  template <int n>
  GF_OP void add(const simd::Several<V, n>& w) {
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) add(w.block[i]);
  }
  GF_OP void end_piece() {}
  uint64_t whole() const {
    uint64_t lane[U64::lanes], all = 0;
    store(lane, sum);
    for (const uint64_t one : lane) all += one;
    return all - lanes * __builtin_bit_cast(uint64_t, grid_magic);
  }
  double total() const { return static_cast<double>(whole()); }
};

// 2**t for t in [-120, 0], to 2**-13.7 of itself: the polynomial of least relative error for |r| <= 1/2.
template <class V>
GF_OP V quick_exp2(V t) {
  using F = Format<V>;
  using T = typename V::Scalar;
  constexpr T c[] = {T(0x1.fff6928cp-1), T(0x1.62f31a98p-1), T(0x1.f0de199cp-3), T(0x1.c3f76048p-5)};
  const V shifted = t + set(F::round_magic);
  const V r = t - (shifted - set(F::round_magic));
  return simd::as_float(simd::as_bits(polynomial(r, c)) + simd::shl<F::mantissa>(simd::as_bits(shifted)));
}

// The same in the working type, in double from piece to piece. Errors of the sum's own size: 2**-13.7 by the
// polynomial, 2**-16 by exponents of up to 120 that are rounded, 2**-15.9 by 256 additions and a fold.
template <class V>
struct QuickSum {
  static constexpr double error = 0x1p-12;
  V sum[abreast] = {};
  double sum_of_pieces = 0;

  template <class X>
  GF_OP static X weight(X distance, V scale) {
    return quick_exp2(max(set(typename V::Scalar{-120}), distance * scale));
  }
  GF_OP void add(V w) { sum[0] = sum[0] + w; }
  GF_OP void add(const simd::Several<V, abreast>& w) {
#pragma GCC unroll 4
    for (int i = 0; i < abreast; ++i) sum[i] = sum[i] + w.block[i];
  }
  GF_OP void end_piece() {
#pragma GCC unroll 4
    for (V& one : sum) {
      sum_of_pieces += static_cast<double>(simd::lane_sum(one));
      one = set(typename V::Scalar{0});
    }
  }
  double total() const { return sum_of_pieces; }
};

template <class S, bool masked, class V = VectorOf<S>, int n>
GF_OP simd::Several<V, n> blocks_of(const Row<S, masked>& row, Blocks<n> at) {
  simd::Several<V, n> out;
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) out.block[i] = row.block(at.column + i * V::lanes);
  return out;
}
template <class S, bool masked>
GF_OP VectorOf<S> blocks_of(const Row<S, masked>& row, PartOfBlock at) {
  return row.block(at.column, at.lanes);
}

// step(places) for columns [begin, end), and end_piece() behind each piece of them.
template <class V, class Step, class End>
GF_OP void for_pieces(int64_t begin, int64_t end, Step step, End end_piece) {
  for (int64_t start = begin, stop; start < end; start = stop) {
    stop = end - start < sum_piece ? end : start + sum_piece;
    for_places<V>(stop - start, [&](auto at) {
      at.column += start;
      step(at);
    });
    end_piece();
  }
}

// Weights are exp((x - most) * scale). A logit stays while those before it, the larger ones and the equal ones of lower
// position, weigh less than p of all.
template <class T>
struct Nucleus {
  using V = VectorOf<T>;
  T most, scale;
  double p, unit;

  Nucleus(T largest, T s, double share, int64_t cols)
      : most(largest), scale(s), p(share), unit(grid_unit(cols)), grid_error(static_cast<double>(cols) / unit) {}

  // Whether a logit stays, given the cut before it. `row` is all that there is, the first `left` of `rest` hold what is
  // before it; the two are the same at the first question.
  template <class Whole, class Rest>
  bool holds(const Whole& row, int64_t n, const Rest& rest, int64_t left, const Cut<T>& cut) {
    const T octaves = scale * Coefficients<T>::log2_e;
    QuickSum<V> sum, before;
    add(rest, left, octaves, cut, sum, before);
    if (!(quick_all > 0)) quick_all = sum.total();
    const double edge = p * quick_all - before.total(), error = 2 * QuickSum<V>::error * quick_all + grid_error;
    if (edge > error) return true;
    if (edge < -error) return false;
    if (!(all > 0)) {
      GridSum<V> whole(unit), none(unit);
      add(row, n, scale, {most, -1}, whole, none);
      all = whole.total();
    }
    GridSum<V> some(unit), exactly(unit);
    add(rest, left, scale, cut, some, exactly);
    return exactly.total() < p * all;
  }

 private:
  double grid_error;              // of all weights together when they are rounded to the grid
  double quick_all = 0, all = 0;  // of the row, once they are known

  // Adds the weights of a row, and of those of them that the cut leaves.
  template <class R, class Sum>
  void add(const R& row, int64_t n, T factor, const Cut<T>& cut, Sum& all_of_row, Sum& chosen) const {
    auto some = [&](auto at, auto pick) {
      const auto x = blocks_of(row, at);
      const auto w = Sum::weight(x - set(most), set(factor));
      all_of_row.add(w);
      chosen.add(select(pick(x), w, set(T{0})));
    };
    auto end_piece = [&] {
      all_of_row.end_piece();
      chosen.end_piece();
    };
    auto run = [&](int64_t begin, int64_t end, auto pick) {
      for_pieces<V>(begin, end, [&](auto at) { some(at, pick); }, end_piece);
    };
    const int64_t edge = (cut.last + 1) / V::lanes * V::lanes, behind = edge + V::lanes < n ? edge + V::lanes : n;
    run(0, edge, [&](auto x) { return x >= set(cut.least); });
    if (edge < n)
      some(PartOfBlock{edge, static_cast<int>(behind - edge)},
           [&](V x) { return simd::lane_mask(cut.of(x, edge), x); });
    run(behind, n, [&](auto x) { return x > set(cut.least); });
    end_piece();
  }
};

// Typical sampling (Meister et al. 2023) keeps the logits of least |log p + H| until they weigh p of all. With s = (x -
// most) * scale and H = log(sum w) - mean s that is |s - mean s|, the mean being under the probabilities. A logit stays
// while those of lower rank weigh less than p of all.
template <class T>
struct Typical {
  using V = VectorOf<T>;
  T most, scale, mean;
  double p, unit, all;

  template <class X>
  GF_OP X rank(X x) const {
    const X d = (x - set(most)) * set(scale) - set(mean);
    return max(d, set(T{0}) - d);
  }
  GF_OP T rank(T x) const { return simd::lane_max(rank(set(x))); }

  // Whether a logit of this rank stays among those of a row that reach `least`; all of lower rank are there.
  template <class R>
  bool holds(const R& row, int64_t n, T least, T rank) const {
    QuickSum<V> quick;
    add(row, n, scale * Coefficients<T>::log2_e, least, rank, quick);
    const double found = quick.total() * unit, edge = p * all - found;
    const double error = 2 * QuickSum<V>::error * found + static_cast<double>(n);
    if (edge > error) return true;
    if (edge < -error) return false;
    GridSum<V> exactly(unit);
    add(row, n, scale, least, rank, exactly);
    return exactly.total() < p * all;
  }

 private:
  template <class R, class Sum>
  void add(const R& row, int64_t n, T factor, T least, T limit, Sum& sum) const {
    const V zero = set(T{0});
    for_pieces<V>(
        0, n,
        [&](auto at) {
          const auto x = blocks_of(row, at);
          const auto w = select(set(limit) > rank(x), Sum::weight(x - set(most), set(factor)), zero);
          sum.add(select(x >= set(least), w, zero));
        },
        [&] { sum.end_piece(); });
  }
};

}  // namespace
}  // namespace gumbelfast
