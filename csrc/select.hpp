// Sorting for the kernels, compiled once without special flags: the standard algorithms are templates, and a copy of
// them built for a newer CPU must never be the one that the linker keeps.
#pragma once
#include <cstdint>

namespace gumbelfast {

// A perturbed value, what decides among equal ones before their places do, and whose it is: a column, or an id.
struct Drawn {
  double value, tie;
  uint64_t id;
};

// Whether a goes before b. static: an inline function would be shared between instruction sets by the linker.
static inline bool precedes(const Drawn& a, const Drawn& b) {
  if (a.value != b.value) return a.value > b.value;
  return a.tie != b.tie ? a.tie > b.tie : a.id < b.id;
}

// Brings the first k of n into their order.
void order_drawn(Drawn* drawn, int64_t n, int64_t k);

// All of them, in three arrays: values, the errors of their rounding, columns.
void sort_descending(double* value, double* rest, uint64_t* column, int64_t n);

// What has raced. Scores ascend as integers; the lower column goes first among equals.
struct Scored {
  int64_t score, column;
};

inline constexpr int64_t no_score = INT64_MIN;

static inline bool precedes(const Scored& a, const Scored& b) {
  return a.score != b.score ? a.score > b.score : a.column < b.column;
}

// All of them, in two arrays.
void order_scores(int64_t* score, int64_t* column, int64_t n);

}  // namespace gumbelfast
