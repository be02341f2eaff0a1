// Filters of token sampling, and what they leave of a row: a cut. All but typical sampling keep the first of the logits
// in descending order, the lower column first among equals; that one keeps what lies between two logits. So all of them
// together leave a stretch of that order. What decides is exact sums of weights (GridSum), in one order of stages:
// top-k, top-p, min-p, top-n-sigma, typical, epsilon, eta, each of what the one before it left.
#pragma once

namespace gumbelfast {
namespace {

// The filters of one row.
template <class T>
struct Filters {
  int64_t top_k, least;
  double top_p, min_p, sigmas, typical_p, epsilon, eta;
  T scale;

  template <class Args>
  Filters(const Args& args, int64_t i)
      : top_k(args.top_k && args.top_k[i] < args.logits.cols ? args.top_k[i] : 0),
        least(args.more.least ? args.more.least[i] : 0),
        top_p(args.top_p ? args.top_p[i] : 1),
        min_p(args.min_p ? args.min_p[i] : 0),
        sigmas(args.more.sigmas ? args.more.sigmas[i] : 0),
        typical_p(args.more.typical_p ? args.more.typical_p[i] : 1),
        epsilon(args.more.epsilon ? args.more.epsilon[i] : 0),
        eta(args.more.eta ? args.more.eta[i] : 0),
        scale(static_cast<T>(args.more.scale ? args.more.scale[i] : args.scale[i])) {
    if (top_k > 0 && top_k < least) top_k = least < args.logits.cols ? least : 0;
  }
  // Whether anything is asked but top-k.
  bool beyond_top_k() const { return top_p < 1 || min_p > 0 || sigmas > 0 || typical_p < 1 || epsilon > 0 || eta > 0; }
  // Whether a stage must know all that an earlier one leaves, so that asking about one token does not do.
  bool at_once() const { return epsilon > 0 || eta > 0 || (typical_p < 1 && (top_p < 1 || least > 1)); }
};

template <class T>
constexpr T lowest = -static_cast<T>(__builtin_inff());

GF_OP double log_of_share(double p) {
  constexpr double smallest_normal = 0x1p-1022;
  return log_scalar(p > smallest_normal ? p : smallest_normal);
}

// The least value up to `most` for which `holds`: it holds for all above one that it holds for, and for the most.
// By bisection in the order of floats.
template <class T, class Holds>
T least_value(T most, Holds holds) {
  auto low = ordered(lowest<T>), high = ordered(most);
  while (high - 1 > low) {
    const auto middle = (low & high) + ((low ^ high) >> 1);
    (holds(from_ordered(middle)) ? high : low) = middle;
  }
  return from_ordered(high);
}

template <class T>
T limit_of(double log_p) {
  return log_p < 0 ? static_cast<T>(log_p) : T{0};
}
// The least x with fl(fl(x - most) * scale) >= limit. With such a scale no product of another x rounds to zero.
template <class T>
T threshold_of(T most, T scale, T limit) {
  if (limit == 0 && scale > T(0.5)) return most;
  return least_value(most, [&](T x) { return (x - most) * scale >= limit; });
}

// Of two cuts with the same upper end.
template <class T>
bool leaves_less(const Cut<T>& a, const Cut<T>& b) {
  return a.least > b.least || (a.least == b.least && a.last < b.last);
}
template <class T>
Cut<T> narrower(const Cut<T>& a, const Cut<T>& b) {
  return leaves_less(a, b) ? a : b;
}
template <class T>
Cut<T> wider(const Cut<T>& a, const Cut<T>& b) {
  return leaves_less(a, b) ? b : a;
}

// The standard deviation of the finite logits of a row, in double: two passes in one order of addition. Half a block
// has a sum of its own.
template <class S, bool masked>
double deviation(const Row<S, masked>& row, int64_t cols) {
  using V = VectorOf<S>;
  const auto add_up = [&](auto term) {
    F64 sum[2] = {set(0.0), set(0.0)};
    const auto add = [&](F64 x, uint32_t there, F64& to) {
      to = to + select(simd::lane_mask(there, x), term(x), set(0.0));
    };
    for_blocks<V>(cols, [&](int64_t j, int n) {
      const V x = row.block(j, n);
      const uint32_t there = bits(x > minus_infinity<V>());
      if constexpr (V::lanes == F64::lanes) {
        add(x, there, sum[0]);
      } else {
        add(simd::widen_low(x), there & 0xFF, sum[0]);
        add(simd::widen_high(x), there >> 8, sum[1]);
      }
    });
    return simd::lane_sum(sum[0] + sum[1]);
  };
  const double count = add_up([](F64) { return set(1.0); }), mean = add_up([](F64 x) { return x; }) / count;
  const auto square = [&](F64 x) {
    const F64 d = x - set(mean);
    return d * d;
  };
  return __builtin_sqrt(add_up(square) / count);
}

// Top-n-sigma (Tang et al. 2024). Where deviations overflow, nothing is filtered.
template <class S, bool masked, class T>
T sigma_threshold(const Row<S, masked>& row, int64_t cols, double sigmas, T most) {
  if (!(sigmas > 0)) return lowest<T>;
  const T least = static_cast<T>(static_cast<double>(most) - sigmas * deviation(row, cols));
  return least > lowest<T> ? least : lowest<T>;
}

// What a cut leaves of a row weighs, and the sum of its weights times their distances (most - x) * scale; both as
// integers. With W the first and D the second, the mean of (x - most) * scale is -D / W, and the entropy log W + D / W.
struct Weighed {
  uint64_t mass, moment;
  double mean() const { return -(static_cast<double>(moment) / static_cast<double>(mass)); }
};

template <bool moments = true, class R, class T, class V = VectorOf<T>>
Weighed weigh(const R& row, int64_t n, const Cut<T>& cut, T most, T scale, double unit) {
  GridSum<V> mass(unit), moment(unit);
  const auto add = [&](auto x, auto chosen) {
    const auto d = max(set(Format<V>::exp_least), (x - set(most)) * set(scale));
    const auto w = select(chosen, exp_normal(d), set(T{0}));
    mass.add(w);
    if constexpr (moments) moment.add(w * (set(T{0}) - d));
  };
  if (cut.last >= n - 1 && !(cut.upper < -lowest<T>)) {
    for_places<V>(n, [&](auto at) {
      const auto x = blocks_of(row, at);
      add(x, x >= set(cut.least));
    });
  } else {
    for_blocks<V>(n, [&](int64_t j, int lanes) {
      const V x = row.block(j, lanes);
      add(x, simd::lane_mask(cut.of(x, j), x));
    });
  }
  return {mass.whole(), moment.whole()};
}

// What the cut leaves of a row, as a list with a block of -inf behind it; how many there are.
template <class R, class T, class V = VectorOf<T>>
int64_t gather(const R& row, int64_t n, const Cut<T>& cut, T* list) {
  int64_t left = 0;
  for_blocks<V>(n, [&](int64_t j, int lanes) {
    const V x = row.block(j, lanes);
    const uint32_t chosen = cut.of(x, j) & bits(x > minus_infinity<V>());
    simd::compress(list + left, simd::lane_mask(chosen, x), x);
    left += __builtin_popcount(chosen);
  });
  store(list + left, minus_infinity<V>());
  return left;
}

// The exact sum of weights of the chosen values of a list, and how many they are. chosen(-inf) must be false.
template <class T>
struct MassOf {
  using V = VectorOf<T>;
  T most, scale;
  double unit;

  template <class Chosen>
  uint64_t operator()(const T* list, int64_t n, Chosen chosen) const {
    GridSum<V> sum(unit);
    for (int64_t i = 0; i < n; i += V::lanes) {
      const V x = load(list + i);
      sum.add(select(chosen(x), GridSum<V>::weight(x - set(most), set(scale)), set(T{0})));
    }
    return sum.whole();
  }
};
template <class T>
struct CountOf {
  template <class Chosen>
  uint64_t operator()(const T* list, int64_t n, Chosen chosen) const {
    using V = VectorOf<T>;
    uint64_t count = 0;
    for (int64_t i = 0; i < n; i += V::lanes)
      count += static_cast<uint64_t>(__builtin_popcount(bits(chosen(load(list + i)))));
    return count;
  }
};

// Keeps the values of a list that are chosen, or those that are not; how many.
template <class T, class Chosen>
int64_t keep_side(T* list, int64_t n, Chosen chosen, bool wanted) {
  using V = VectorOf<T>;
  int64_t left = 0;
  for (int64_t i = 0; i < n; i += V::lanes) {
    const V x = load(list + i);
    const uint32_t these = bits(chosen(x)), there = bits(x > minus_infinity<V>());
    const uint32_t stay = (wanted ? these : ~these) & there;
    simd::compress(list + left, simd::lane_mask(stay, x), x);
    left += __builtin_popcount(stay);
  }
  store(list + left, minus_infinity<V>());
  return left;
}

// Between two numbers in the order of floats: the mean of their values, or in that order. In place of a subnormal
// number, which takes long to compare, zero or a number next to these, if one lies between.
template <class T, class Integer = decltype(ordered(T{}))>
Integer middle_of(Integer low, Integer high, bool by_value) {
  constexpr auto least = __builtin_bit_cast(Integer, Format<VectorOf<T>>::least);
  const auto tiny = [](Integer i) { return -1 - least < i && i < least; };
  Integer middle = low;
  if (by_value && !tiny(low + 1) && !tiny(high)) middle = ordered(from_ordered(low + 1) / 2 + from_ordered(high) / 2);
  if (middle <= low || middle >= high) middle = (low & high) + ((low ^ high) >> 1);
  const Integer others[] = {0, least, -1 - least};
  if (tiny(middle))
    for (const Integer other : others)
      if (low < other && other < high) return other;
  return middle;
}

// The least rank of those in a list up to which they measure `limit` or more, the highest where all measure less; and
// what lies below it. By bisection among those that may still be it: means of ranks first, then means in the order of
// floats, which must end. The list is overwritten; the rank of -inf is +inf.
template <class T, class Rank, class Measure>
T share_edge(T* list, int64_t n, Rank rank, Measure measure, double limit, uint64_t& below) {
  using V = VectorOf<T>;
  V negated = minus_infinity<V>(), highest = minus_infinity<V>();
  for (int64_t i = 0; i < n; i += V::lanes) {
    const V x = load(list + i), r = rank(x);
    negated = simd::max(negated, set(T{0}) - r);
    highest = simd::max(highest, select(x > minus_infinity<V>(), r, highest));
  }
  // Less than the limit lies up to `low`, but not up to `high`; the list has what lies in between, and `high`.
  auto low = ordered(-simd::lane_max(negated)) - 1, high = ordered(simd::lane_max(highest));
  below = 0;
  for (int step = 0; high - 1 > low; ++step) {
    const auto middle = middle_of<T>(low, high, step < 16);
    const V threshold = set(from_ordered(middle));
    const auto chosen = [&](V x) { return threshold >= rank(x); };
    const uint64_t more = below + measure(list, n, chosen);
    const bool reaches = !(static_cast<double>(more) < limit);
    if (!reaches) below = more;
    (reaches ? high : low) = middle;
    n = keep_side(list, n, chosen, reaches);
  }
  return from_ordered(high);
}

struct Descending {
  template <class V>
  GF_OP V operator()(V x) const {
    return set(typename V::Scalar{0}) - x;
  }
};

// The place of the last of equal values that stay while less than `limit` is before them, each of them measuring `one`.
template <class R, class T, class V = VectorOf<T>>
int64_t last_staying(const R& row, int64_t n, T edge, uint64_t before, uint64_t one, double limit) {
  int64_t last = -1;
  for (int64_t j = 0; j < n; j += V::lanes) {
    const int lanes = static_cast<int>(n - j < V::lanes ? n - j : V::lanes);
    for (uint32_t pick = bits(row.block(j, lanes) == set(edge)); pick; pick &= pick - 1) {
      if (!(static_cast<double>(before) < limit)) return last;
      before += one;
      last = j + __builtin_ctz(pick);
    }
  }
  return last;
}

// The first of what a cut leaves, so many of them.
template <class R, class T>
Cut<T> first_of(const R& row, int64_t n, const Cut<T>& cut, int64_t count, T* scratch) {
  const int64_t left = gather(row, n, cut, scratch);
  if (left <= count) return cut;
  uint64_t before;
  const auto limit = static_cast<double>(count);
  const T edge = T{0} - share_edge(scratch, left, Descending{}, CountOf<T>{}, limit, before);
  return {edge, last_staying(row, n, edge, before, 1, limit), cut.upper};
}

template <class R, class T>
Cut<T> top_p_of(const R& row, int64_t n, const Cut<T>& cut, double p, const MassOf<T>& mass, T* scratch) {
  using V = VectorOf<T>;
  const auto all = static_cast<double>(weigh<false>(row, n, cut, mass.most, mass.scale, mass.unit).mass);
  const double limit = p * all, rest = (1 - p) * all / 2, count = static_cast<double>(n);
  // Logits that weigh less than rest / n do not weigh the rest together, whatever the grid makes of each: the edge is
  // above them.
  Cut<T> some{lowest<T>, n, cut.upper};
  if (rest > 4 * count && 1 - p > 0x1p-40)
    some.least = threshold_of(mass.most, mass.scale, limit_of<T>(log_scalar(rest / count / mass.unit)));
  uint64_t before;
  const int64_t left = gather(row, n, narrower(cut, some), scratch);
  const T edge = T{0} - share_edge(scratch, left, Descending{}, mass, limit, before);
  store(scratch, set(edge));
  const uint64_t one = mass(scratch, 1, [](V x) { return simd::lane_mask(1, x); });
  return {edge, last_staying(row, n, edge, before, one, limit), cut.upper};
}

// What lies within a rank: a stretch of the order of logits.
template <class T>
Cut<T> stretch(const Typical<T>& typical, T rank, int64_t n, const Cut<T>& within) {
  const T most = typical.most;
  const auto s = [&](T x) { return (x - most) * typical.scale - typical.mean; };
  Cut<T> cut{least_value(most, [&](T x) { return s(x) >= -rank; }), n};
  if (s(most) > rank) cut.upper = from_ordered(ordered(least_value(most, [&](T x) { return s(x) > rank; })) - 1);
  if (cut.least > within.least) return cut;
  return {within.least, within.last, cut.upper};
}

template <class R, class T>
Typical<T> typical_of(const R& row, int64_t n, const Cut<T>& cut, double p, T most, T scale, double unit) {
  const Weighed all = weigh(row, n, cut, most, scale, unit);
  return {most, scale, static_cast<T>(all.mean()), p, unit, static_cast<double>(all.mass)};
}

template <class R, class T>
Cut<T> typical_cut(const R& row, int64_t n, const Cut<T>& cut, const Filters<T>& asked, T most, double unit,
                   T* scratch) {
  const Typical<T> typical = typical_of(row, n, cut, asked.typical_p, most, asked.scale, unit);
  const auto rank = [&](VectorOf<T> x) { return typical.rank(x); };
  uint64_t below;
  const MassOf<T> mass{most, asked.scale, unit};
  T edge = share_edge(scratch, gather(row, n, cut, scratch), rank, mass, typical.p * typical.all, below);
  if (asked.least > 1) {
    const auto count = static_cast<double>(asked.least);
    const T other = share_edge(scratch, gather(row, n, cut, scratch), rank, CountOf<T>{}, count, below);
    edge = other > edge ? other : edge;
  }
  return stretch(typical, edge, n, cut);
}

// The largest of what a cut leaves.
template <class R, class T, class V = VectorOf<T>>
T largest_left(const R& row, int64_t n, const Cut<T>& cut, T most) {
  if (!(cut.upper < most)) return most;
  V top = minus_infinity<V>();
  for_blocks<V>(n, [&](int64_t j, int lanes) {
    const V x = row.block(j, lanes);
    top = simd::max(top, select(simd::lane_mask(cut.of(x, j), x), x, minus_infinity<V>()));
  });
  return simd::lane_max(top) + T{0};
}

// Sums over a row of the terms of each block, in the order of `row_sum`.
template <class V, int count, class Terms>
GF_OP void row_sums(int64_t cols, Terms terms, double (&total)[count]) {
  constexpr int sums = 4;
  for (double& one : total) one = 0;
  for (int64_t start = 0; start < cols; start += sum_piece) {
    const int64_t end = cols - start < sum_piece ? cols : start + sum_piece;
    V sum[count][sums] = {};
    const auto add = [&](int i, int64_t j, int lanes) {
      V term[count];
      terms(j, lanes, term);
#pragma GCC unroll 4
      for (int c = 0; c < count; ++c) sum[c][i] = sum[c][i] + term[c];
    };
    int64_t j = start;
    for (; j + sums * V::lanes <= end; j += sums * V::lanes)
#pragma GCC unroll 4
      for (int i = 0; i < sums; ++i) add(i, j + i * V::lanes, V::lanes);
    for (int i = 0; j < end; j += V::lanes, ++i) add(i, j, static_cast<int>(end - j < V::lanes ? end - j : V::lanes));
    for (int c = 0; c < count; ++c) total[c] += simd::lane_sum((sum[c][0] + sum[c][1]) + (sum[c][2] + sum[c][3]));
  }
}

template <class V, class T>
GF_OP V weight_of(V x, T most, T scale) {
  return exp_normal(simd::max(set(Format<V>::exp_least), (x - set(most)) * set(scale)));
}

// The weights of all of a row: at the scale, and at 1.
template <class R, class T, class V = VectorOf<T>>
void sum_row(const R& row, int64_t cols, T most, T scale, double& all, double& plain) {
  const auto x = [&](int64_t j, int lanes) { return row.block(j, lanes); };
  if (scale == 1) {
    double sum[1];
    row_sums<V>(cols, [&](int64_t j, int lanes, V* term) { term[0] = weight_of(x(j, lanes), most, scale); }, sum);
    all = plain = sum[0];
    return;
  }
  double sums[2];
  const auto terms = [&](int64_t j, int lanes, V* term) {
    const V v = x(j, lanes);
    term[0] = weight_of(v, most, scale);
    term[1] = weight_of(v, most, T{1});
  };
  row_sums<V>(cols, terms, sums);
  all = sums[0], plain = sums[1];
}

// The weights of what a cut leaves.
template <class R, class T, class V = VectorOf<T>>
double sum_cut(const R& row, int64_t n, const Cut<T>& cut, T most, T scale) {
  double sum[1];
  const auto terms = [&](int64_t j, int lanes, V* term) {
    const V x = row.block(j, lanes);
    const uint32_t chosen = cut.of(x, j);
    term[0] = set(T{0});
    if (chosen) term[0] = select(simd::lane_mask(chosen, x), weight_of(x, most, scale), term[0]);
  };
  row_sums<V>(n, terms, sum);
  return sum[0];
}

// What all filters leave of what top-k left, a row of n values. `floor` is the threshold of top-n-sigma.
template <class R, class T>
Cut<T> filter(const R& row, int64_t n, const Filters<T>& asked, T most, T floor, double unit, T* scratch) {
  Cut<T> cut{lowest<T>, n}, first = cut;
  T top = most;
  const auto look_first = [&] {
    if (asked.least > 1) first = first_of(row, n, cut, asked.least, scratch);
  };
  const auto narrow = [&](const Cut<T>& to) { cut = narrower(cut, asked.least > 1 ? wider(to, first) : to); };
  // The largest stay, whatever the threshold.
  const auto narrow_to = [&](T least) { narrow({least < top ? least : top, n, cut.upper}); };
  look_first();
  if (asked.top_p < 1) narrow(top_p_of(row, n, cut, asked.top_p, {most, asked.scale, unit}, scratch));
  if (asked.min_p > 0) narrow_to(threshold_of(most, asked.scale, limit_of<T>(log_of_share(asked.min_p))));
  if (floor > lowest<T>) narrow_to(floor);
  if (asked.typical_p < 1) {
    cut = typical_cut(row, n, cut, asked, most, unit, scratch);
    top = largest_left(row, n, cut, most);
    look_first();
  }
  if (asked.epsilon > 0) {
    const double mass = static_cast<double>(weigh<false>(row, n, cut, most, asked.scale, unit).mass) / unit;
    narrow_to(threshold_of(most, asked.scale, limit_of<T>(log_of_share(asked.epsilon) + log_scalar(mass))));
  }
  if (asked.eta > 0) {
    // min(eta, sqrt(eta) exp(-H)) of all that is left (Hewitt, Manning and Liang 2022).
    const Weighed all = weigh(row, n, cut, most, asked.scale, unit);
    const double log_eta = log_of_share(asked.eta), mass = static_cast<double>(all.mass) / unit;
    const double plain = log_eta + log_scalar(mass), by_entropy = log_eta / 2 + all.mean();
    narrow_to(threshold_of(most, asked.scale, limit_of<T>(plain < by_entropy ? plain : by_entropy)));
  }
  return cut;
}

}  // namespace
}  // namespace gumbelfast
