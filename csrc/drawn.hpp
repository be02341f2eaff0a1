// What a row has drawn, put in order; compiled once without special flags (csrc/select.hpp says why).
#pragma once
#include <cstdint>

namespace gumbelfast {

// A perturbed value, what decides among equal ones before their ids do, and whose it is.
struct Drawn {
  double value, tie;
  uint64_t id;
};

// Whether a goes before b.
static inline bool precedes(const Drawn& a, const Drawn& b) {
  if (a.value != b.value) return a.value > b.value;
  return a.tie != b.tie ? a.tie > b.tie : a.id < b.id;
}

// Brings the first k of n into their order.
void order_drawn(Drawn* drawn, int64_t n, int64_t k);

}  // namespace gumbelfast
