#include "alias.hpp"

#include <algorithm>

namespace gumbelfast {
namespace {

constexpr uint64_t end_bound = ~uint64_t{0};  // stands for 2**64

// How many of the 2**64 uniforms belong to each category, if none has all; columns from `cols` on have none.
struct Weights {
  const uint64_t* bounds;
  int64_t cols;
  uint64_t operator[](int64_t j) const {
    const uint64_t before = j ? bounds[std::min(j, cols) - 1] : 0;
    return before == end_bound ? 0 : bounds[j] - before + (bounds[j] == end_bound);
  }
};

}  // namespace

void bounds_of(const double* weights, int64_t cols, uint64_t* bounds) {
  double total = 0, sum = 0;
  for (int64_t j = 0; j < cols; ++j) total += weights[j];
  for (int64_t j = 0; j < cols; ++j) {
    sum += weights[j];
    const double reached = sum / total, scaled = reached * 0x1p64;
    if (reached >= 1) {
      bounds[j] = end_bound;
      continue;
    }
    const auto below = static_cast<uint64_t>(scaled);
    bounds[j] = below + (static_cast<double>(below) < scaled);  // the ceiling
  }
}

// Walker (1977) with the linear construction of Vose (1991), in integers and without his two stacks: columns that lack
// uniforms are filled in order from the first category with too many, and what such a category has left when it falls
// below a column's worth is filled at once from the next.
void alias_table(const uint64_t* bounds, int64_t cols, int bits, uint64_t* table) {
  const int64_t size = int64_t{1} << bits, last = std::find(bounds, bounds + cols, end_bound) - bounds;
  if (last == 0 || bounds[last - 1] == 0) {
    std::fill_n(table, size, static_cast<uint64_t>(last));
    return;
  }
  const Weights weights{bounds, cols};
  const uint64_t column = uint64_t{1} << (64 - bits);
  int64_t giver = 0;
  const auto seek_giver = [&] {
    while (giver < size && weights[giver] <= column) ++giver;
    return giver < size ? weights[giver] : 0;
  };
  uint64_t left = seek_giver();
  for (int64_t j = 0; j < size; ++j) {
    uint64_t own = weights[j];
    if (own == column) table[j] = static_cast<uint64_t>(j);
    if (own >= column) continue;
    for (int64_t c = j;;) {
      table[c] = own << bits | static_cast<uint64_t>(giver);
      left -= column - own;
      if (left >= column) break;
      own = left;
      c = giver++;
      left = seek_giver();
    }
  }
  if (giver < size) table[giver] = static_cast<uint64_t>(giver);  // it has a column's worth left
}

}  // namespace gumbelfast
