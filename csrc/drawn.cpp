#include "drawn.hpp"

#include <algorithm>

namespace gumbelfast {

void order_drawn(Drawn* drawn, int64_t n, int64_t k) {
  std::partial_sort(drawn, drawn + std::min(n, k), drawn + n, precedes);
}

}  // namespace gumbelfast
