// What has raced, put in order; compiled once without special flags (csrc/select.hpp says why).
#pragma once
#include <cstdint>

namespace gumbelfast {

// Scores ascend as integers; the lower column goes first among equals.
struct Scored {
  int64_t score, column;
};

inline constexpr int64_t no_score = INT64_MIN;

// Brings the first k of n to the front, in any order.
void keep_first(Scored* scored, int64_t n, int64_t k);

void order_scored(Scored* scored, int64_t n);

}  // namespace gumbelfast
