#include "select.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>
#include <utility>
#include <vector>

namespace gumbelfast {
namespace {

constexpr int64_t worth_counting = 256;  // below this a comparison sort is faster than the passes over the counts

// Unsigned keys that ascend as the values descend; -0 and +0 are equal.
uint32_t descending_key(float value) {
  const uint32_t word = std::bit_cast<uint32_t>(value + 0.0f);
  return word >> 31 ? word : word ^ 0x7FFFFFFFu;
}

// Sorts by the upper 32 bits, stably: three passes over 11 bits each.
void counting_sort(std::vector<uint64_t>& keys) {
  std::vector<uint64_t> other(keys.size());
  for (const int shift : {32, 43, 54}) {
    std::array<uint32_t, 2048> start{};
    for (const uint64_t key : keys) ++start[key >> shift & 2047];
    uint32_t sum = 0;
    for (uint32_t& s : start) sum += std::exchange(s, sum);
    for (const uint64_t key : keys) other[start[key >> shift & 2047]++] = key;
    keys.swap(other);
  }
}

}  // namespace

void sort_descending(float* value, uint32_t* column, int64_t n) {
  std::vector<uint64_t> keys(static_cast<size_t>(n));
  bool by_column = true;
  for (int64_t i = 0; i < n; ++i) {
    keys[static_cast<size_t>(i)] = static_cast<uint64_t>(descending_key(value[i])) << 32 | column[i];
    by_column = by_column && (i == 0 || column[i] > column[i - 1]);
  }
  if (by_column && n >= worth_counting)
    counting_sort(keys);
  else
    std::sort(keys.begin(), keys.end());
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t key = keys[static_cast<size_t>(i)];
    const uint32_t word = static_cast<uint32_t>(key >> 32);
    value[i] = std::bit_cast<float>(word >> 31 ? word : word ^ 0x7FFFFFFFu);
    column[i] = static_cast<uint32_t>(key);
  }
}

void sort_descending(double* value, uint64_t* column, int64_t n, double* rest) {
  std::vector<std::tuple<double, double, uint64_t>> entries(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) entries[static_cast<size_t>(i)] = {-value[i], rest ? -rest[i] : 0, column[i]};
  std::sort(entries.begin(), entries.end());
  for (int64_t i = 0; i < n; ++i) {
    const auto& [negated, negated_rest, place] = entries[static_cast<size_t>(i)];
    value[i] = -negated;
    if (rest) rest[i] = -negated_rest;
    column[i] = place;
  }
}

}  // namespace gumbelfast
