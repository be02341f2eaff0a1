// Inputs of float64 functions, which are too many to take them all: hard cases, and any number drawn over a domain.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace probe {

inline uint64_t bits_of(double x) { return std::bit_cast<uint64_t>(x); }

// The bit patterns first to last; those from near to far are drawn more densely. Words have neither.
struct Domain {
  uint64_t first, last;
  double near = 0, far = 0;
};

// Number i of SplitMix64 (Steele, Lea and Flood 2014), from state 0.
inline uint64_t mixed(uint64_t i) {
  uint64_t z = (i + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

// Half of the words are uniform; the others have up to 63 leading zeros or ones. A third of the floats is uniform over
// the bit patterns of the domain, a third over those from near to far, so that all binades are alike, and a third over
// the numbers from 0 to far.
inline uint64_t drawn(const Domain& d, uint64_t i) {
  const uint64_t z = mixed(i);
  if (d.far == 0) return i % 2 ? z >> (i / 4 % 64) ^ -(i / 2 % 2) : z;
  if (i % 3 == 2) return bits_of((static_cast<double>(z >> 12) + 0.5) * 0x1p-52 * d.far);
  const uint64_t first = i % 3 ? bits_of(d.near) : d.first, last = i % 3 ? bits_of(d.far) : d.last;
  return first + static_cast<uint64_t>(static_cast<unsigned __int128>(last - first + 1) * z >> 64);
}

// Thirty-two numbers of every binade, powers of two, 3/4 and the neighbours of 1 among them; where the
// reductions of other logarithms have their ends; multiples of log(2) and the points half-way, where exp's has them.
inline std::vector<double> hard_points() {
  std::vector<double> points = {std::sqrt(0.5), std::sqrt(2.0), 745, 746};
  for (int k = -1074; k < 1024; ++k)
    for (int j = 0; j < 32; ++j) points.push_back(std::ldexp(1 + j / 32.0, k));
  for (int n = 0; n < 2 * 1080; ++n) points.push_back(n / 2.0 * std::numbers::ln2);
  return points;
}

// The patterns within 8 of such points, of words also their complements; the domain's ends.
inline std::vector<uint64_t> hard_cases(const Domain& d) {
  constexpr uint64_t sign = uint64_t{1} << 63;
  std::vector<uint64_t> cases = {d.first, d.last};
  const auto add = [&](uint64_t pattern) {
    if (d.first <= pattern && pattern <= d.last) cases.push_back(pattern);
  };
  for (const double x : hard_points()) {
    if (d.far == 0 && !(0x1p-64 <= x && x < 1)) continue;
    const uint64_t middle = d.far == 0 ? static_cast<uint64_t>(x * 0x1p64) : bits_of(x) | (d.first & sign);
    for (uint64_t i = 0; i <= 16; ++i) {
      add(middle + i - 8);
      if (d.far == 0) add(~(middle + i - 8));
    }
  }
  std::sort(cases.begin(), cases.end());
  cases.erase(std::unique(cases.begin(), cases.end()), cases.end());
  return cases;
}

}  // namespace probe
