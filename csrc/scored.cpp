#include "scored.hpp"

#include <algorithm>

namespace gumbelfast {
namespace {

bool precedes(const Scored& a, const Scored& b) { return a.score != b.score ? a.score > b.score : a.column < b.column; }

}  // namespace

void keep_first(Scored* scored, int64_t n, int64_t k) {
  if (k < n) std::nth_element(scored, scored + k, scored + n, precedes);
}

void order_scored(Scored* scored, int64_t n) { std::sort(scored, scored + n, precedes); }

}  // namespace gumbelfast
