#include "weights.hpp"

#include <algorithm>
#include <cmath>

namespace gumbelfast {

template <class T>
bool sum_weights(const T* weights, int64_t cols, double* sums) {
  double sum = 0;
  bool good = true;
  for (int64_t j = 0; j < cols;) {
    *sums++ = sum;
    for (const int64_t end = std::min(j + weights_a_sum, cols); j < end; ++j) {
      good &= weights[j] >= 0;
      sum += static_cast<double>(weights[j]);
    }
  }
  *sums = sum;
  return good && sum > 0 && std::isfinite(sum);
}

template bool sum_weights(const float*, int64_t, double*);
template bool sum_weights(const double*, int64_t, double*);

template <class T>
void bounds_of(const T* weights, int64_t cols, uint64_t* bounds) {
  double total = 0, sum = 0;
  for (int64_t j = 0; j < cols; ++j) total += static_cast<double>(weights[j]);
  for (int64_t j = 0; j < cols; ++j) {
    sum += static_cast<double>(weights[j]);
    const double share = sum / total;
    bounds[j] = share < 1 ? static_cast<uint64_t>(std::ceil(share * 0x1p64)) : ~uint64_t{0};
  }
}

template void bounds_of(const float*, int64_t, uint64_t*);
template void bounds_of(const double*, int64_t, uint64_t*);

void guide_of(const uint64_t* bounds, int bits, int64_t* guide) {
  for (int64_t j = 0, g = 0; g >> bits == 0; ++g) {
    while (bounds[j] <= static_cast<uint64_t>(g) << (64 - bits)) ++j;
    guide[g] = j;
  }
}

}  // namespace gumbelfast
