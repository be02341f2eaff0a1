#include "select.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

namespace gumbelfast {
namespace {

// Below the first a comparison sort is faster than the passes over the counts; beyond the second places need more bits.
constexpr int64_t worth_counting = 256, countable = int64_t{1} << 32;

// The upper half of a key that ascends as the values descend; -0 and +0 are equal.
uint64_t descending_key(double value) {
  const uint64_t word = std::bit_cast<uint64_t>(value + 0.0);
  return (word >> 63 ? word : word ^ 0x7FFFFFFFFFFFFFFFu) >> 32;
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

bool scored_precedes(const Scored& a, const Scored& b) {
  return a.score != b.score ? a.score > b.score : a.column < b.column;
}

}  // namespace

void order_drawn(Drawn* drawn, int64_t n, int64_t k) {
  std::partial_sort(drawn, drawn + std::min(n, k), drawn + n, precedes);
}

void keep_first(Scored* scored, int64_t n, int64_t k) {
  if (k < n) std::nth_element(scored, scored + k, scored + n, scored_precedes);
}

void order_scored(Scored* scored, int64_t n) { std::sort(scored, scored + n, scored_precedes); }

void sort_descending(double* value, double* rest, uint64_t* column, int64_t n) {
  const auto size = static_cast<size_t>(n);
  std::vector<Drawn> entries(size);
  if (n < worth_counting || n >= countable) {
    for (size_t i = 0; i < size; ++i) entries[i] = {value[i], rest[i], column[i]};
    std::sort(entries.begin(), entries.end(), precedes);
  } else {
    std::vector<uint64_t> keys(size);
    for (size_t i = 0; i < size; ++i) keys[i] = descending_key(value[i]) << 32 | i;
    counting_sort(keys);
    for (size_t i = 0; i < size; ++i) {
      const uint64_t at = keys[i] & (countable - 1);
      entries[i] = {value[at], rest[at], column[at]};
    }
    for (size_t i = 0, end; i < size; i = end) {
      for (end = i + 1; end < size && keys[end] >> 32 == keys[i] >> 32;) ++end;
      if (end - i > 1)
        std::sort(entries.begin() + static_cast<int64_t>(i), entries.begin() + static_cast<int64_t>(end), precedes);
    }
  }
  for (size_t i = 0; i < size; ++i) {
    value[i] = entries[i].value;
    rest[i] = entries[i].tie;
    column[i] = entries[i].id;
  }
}

}  // namespace gumbelfast
