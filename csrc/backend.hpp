// The whole surface of the core: one table of kernels per instruction set.
#pragma once
#include "args.hpp"

namespace gumbelfast {

// Does the items of the span. Kernels keep no state and start no threads.
template <class Args>
using Kernel = Result (*)(const Args&, const Span&);

// A kernel for each dtype; null for those that it is not made for. One that knows no dtype stands at all of them.
template <class Args>
struct Kernels {
  Kernel<Args> of[dtype_count];
};

struct Backend {
  const char* name;
  void (*philox)(Key, uint32_t domain, uint64_t block, int64_t count, uint32_t* out);
  // The keys of rows, from seeds given one per row.
  void (*row_keys)(const uint64_t* seeds, int64_t count, uint64_t* keys);
#define GF_KERNEL(name, Args, types) Kernels<Args> name;
#include "kernels.def"
#undef GF_KERNEL
};

}  // namespace gumbelfast
