// The core for programs in C++: tokens by one call, and by run.hpp every kernel. docs/cpp.md tells how to build with it.
#pragma once
#include <cstdint>

#include "diagnose.hpp"
#include "run.hpp"

namespace gumbelfast {

// Rows of float32 logits, each with its own noise: that of `seeds[i]` at `positions[i]`, as in Python.
struct TokenRequest {
  const float* logits;
  int64_t rows, cols;
  const uint64_t* seeds;
  const uint64_t* positions;  // null: all 0; else each below 2**62 / (cols rounded up to 32)
  double temperature = 1;     // 0: the largest logit
  int64_t top_k = 0;          // 0: all
  double top_p = 1;           // 1: all
  double min_p = 0;           // 0: all
  int threads = 1;
};

// One token a row into `tokens`: those that gumbelfast.sample_tokens of Python draws with the same seeds and positions.
// Throws std::invalid_argument that quotes the value and the place, for settings before and for logits after the scan.
void sample_tokens(const TokenRequest&, int64_t* tokens);

}  // namespace gumbelfast
