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

// A key that ascends as the values descend; -0 and +0 are equal.
uint64_t key_of(const Drawn& drawn) {
  const uint64_t word = std::bit_cast<uint64_t>(drawn.value + 0.0);
  return word >> 63 ? word : word ^ 0x7FFFFFFFFFFFFFFFu;
}
uint64_t key_of(const Scored& scored) { return static_cast<uint64_t>(scored.score) ^ 0x7FFFFFFFFFFFFFFFu; }

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

// Sorts n entries, of which at(i) is the i-th, and hands them to put(i, entry) in their order.
template <class At, class Put>
void sort_entries(int64_t n, At at, Put put) {
  const auto size = static_cast<size_t>(n);
  using Entry = decltype(at(size));
  const auto before = [](const Entry& a, const Entry& b) { return precedes(a, b); };
  std::vector<Entry> entries(size);
  if (n < worth_counting || n >= countable) {
    for (size_t i = 0; i < size; ++i) entries[i] = at(i);
    std::sort(entries.begin(), entries.end(), before);
  } else {
    std::vector<uint64_t> keys(size);
    for (size_t i = 0; i < size; ++i) keys[i] = (key_of(at(i)) >> 32) << 32 | i;
    counting_sort(keys);
    for (size_t i = 0; i < size; ++i) entries[i] = at(keys[i] & (countable - 1));
    for (size_t i = 0, end; i < size; i = end) {
      for (end = i + 1; end < size && keys[end] >> 32 == keys[i] >> 32;) ++end;
      if (end - i > 1)
        std::sort(entries.begin() + static_cast<int64_t>(i), entries.begin() + static_cast<int64_t>(end), before);
    }
  }
  for (size_t i = 0; i < size; ++i) put(i, entries[i]);
}

}  // namespace

void order_drawn(Drawn* drawn, int64_t n, int64_t k) {
  std::partial_sort(drawn, drawn + std::min(n, k), drawn + n,
                    [](const Drawn& a, const Drawn& b) { return precedes(a, b); });
}

void sort_descending(double* value, double* rest, uint64_t* column, int64_t n) {
  sort_entries(
      n, [&](size_t i) { return Drawn{value[i], rest[i], column[i]}; },
      [&](size_t i, const Drawn& drawn) {
        value[i] = drawn.value;
        rest[i] = drawn.tie;
        column[i] = drawn.id;
      });
}

void order_scores(int64_t* score, int64_t* column, int64_t n) {
  sort_entries(
      n, [&](size_t i) { return Scored{score[i], column[i]}; },
      [&](size_t i, const Scored& scored) {
        score[i] = scored.score;
        column[i] = scored.column;
      });
}

}  // namespace gumbelfast
