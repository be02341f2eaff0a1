// Splitting work over threads.
#pragma once
#include <cstdint>
#include <functional>

namespace gumbelfast {

// Asked now and then on the caller's thread; true abandons the call.
using Interrupted = std::function<bool()>;

struct Workers {
  int threads = 1;          // at most so many, the caller included
  Interrupted interrupted;  // may be empty
};

// Calls body(begin, end) over [0, items) in blocks, on as many threads as the work is worth; `cost` is the nanoseconds
// that an item is expected to take. Returns false if the call was interrupted; rethrows what a body throws.
bool parallel_for(int64_t items, double cost, const Workers& workers,
                  const std::function<void(int64_t begin, int64_t end)>& body);

}  // namespace gumbelfast
