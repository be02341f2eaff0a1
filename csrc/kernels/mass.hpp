// The nucleus of a row (top-p; Holtzman et al. 2020) without a sort: a bisection on values, each step a sum of weights.
#pragma once

namespace gumbelfast {
namespace {

// What a filter leaves: values above `least`, and those equal to it up to position `last`.
template <class T>
struct Cut {
  T least;
  int64_t last;
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

struct MassSum {
  F64 unit;
  U64 sum = set(uint64_t{0});
  uint64_t lanes = 0;

  explicit MassSum(double u) : unit(set(u)) {}
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
  template <class V, int n>
  GF_OP void add(const simd::Several<V, n>& w) {
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) add(w.block[i]);
  }
  uint64_t total() const {
    uint64_t lane[U64::lanes], all = 0;
    store(lane, sum);
    for (const uint64_t one : lane) all += one;
    return all - lanes * __builtin_bit_cast(uint64_t, grid_magic);
  }
};

// Values of a row that are still to be told apart, with their weights; behind them lies a block of -inf.
template <class T>
struct Weighed {
  using V = VectorOf<T>;
  T* value;
  T* weight;
  int64_t n;
  uint64_t mass;  // of all when they were collected

  uint64_t above(T least, double unit) const {
    MassSum sum(unit);
    for (int64_t i = 0; i < n; i += V::lanes)
      sum.add(select(load(value + i) > set(least), load(weight + i), set(T{0})));
    return sum.total();
  }
  // Drops what is not in (low, high].
  void narrow(T low, T high) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += V::lanes) {
      const V v = load(value + i), w = load(weight + i);
      const auto chosen = simd::lane_mask(bits(v > set(low)) & ~bits(v > set(high)), v);
      simd::compress(value + kept, chosen, v);
      simd::compress(weight + kept, chosen, w);
      kept += __builtin_popcount(bits(chosen));
    }
    store(value + kept, minus_infinity<V>());
    n = kept;
  }
};

// In descending order, the lower position first among equals, a value stays while those before it weigh less than
// p of all: weights are exp((x - most) * scale). `room` and `weight` hold n entries and two blocks.
template <class T>
Cut<T> nucleus(const T* value, int64_t n, T most, T scale, double p, int64_t cols, T* room, T* weight) {
  using V = VectorOf<T>;
  const double unit = grid_unit(cols);
  auto weigh = [&](auto at, const T* x) {
    // Below all that counts, a weight need not be right, but normal.
    const auto exponent = (load_at<V>(x, at, minus_infinity<V>()) - set(most)) * set(scale);
    return exp_normal(simd::max(set(Format<V>::exp_least), exponent));
  };
  MassSum all(unit);
  for_places<V>(n, [&](auto at) { all.add(weigh(at, value)); });
  const double sum = static_cast<double>(all.total()), wanted = p * sum;

  // What is lighter than this weighs less than 1 - p together and so is out; the sum of the others confirms it.
  const double light = (1 - p) * sum / (2 * static_cast<double>(cols) * unit);
  T least = most + static_cast<T>(log_scalar(light)) / scale;
  auto above_least = [&] {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += V::lanes) {
      const V v = load(value + i);
      const auto chosen = v > set(least);
      simd::compress(room + kept, chosen, v);
      kept += __builtin_popcount(bits(chosen));
    }
    store(room + kept, minus_infinity<V>());
    MassSum mass(unit);
    for_places<V>(kept, [&](auto at) {
      const auto e = weigh(at, room);
      store_at(weight, at, e);
      mass.add(e);
    });
    return Weighed<T>{room, weight, kept, mass.total()};
  };
  Weighed<T> rest = above_least();
  if (!(static_cast<double>(rest.mass) >= wanted)) {
    least = -static_cast<T>(__builtin_inff());
    rest = above_least();
  }
  uint64_t before = 0;  // what weighs above `high`: less than wanted; above `low` it is enough
  auto low = ordered(least), high = ordered(most);
  for (int step = 0; high - 1 > low && rest.n > 1; ++step) {
    // Most of the mass lies near the maximum, so that the edge is rather further down than in the middle.
    const T share = step == 0 ? T{0.25} : T{0.5};
    auto middle = ordered(from_ordered(low) * (1 - share) + from_ordered(high) * share);
    if (step > 16 || !(middle > low && middle < high)) middle = (low & high) + ((low ^ high) >> 1);
    const T threshold = from_ordered(middle);
    const uint64_t more = rest.above(threshold, unit);
    if (static_cast<double>(before + more) >= wanted) {
      low = middle;
    } else {
      high = middle;
      before += more;
    }
    rest.narrow(from_ordered(low), from_ordered(high));
  }
  // Now all of the rest are equal: so many of them stay as reach what is wanted.
  least = rest.value[0];
  MassSum one(unit);
  one.add(select(simd::lane_mask(1, V{}), load(rest.weight), set(T{0})));
  const uint64_t each = one.total();
  int64_t stay = 1;
  while (stay < rest.n && static_cast<double>(before + static_cast<uint64_t>(stay) * each) < wanted) ++stay;
  if (stay == rest.n) return {least, n};
  int64_t last = -1;
  while (stay) stay -= value[++last] == least;
  return {least, last};
}

}  // namespace
}  // namespace gumbelfast
