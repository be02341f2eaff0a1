// Tokens from logits for programs in C++. docs/cpp.md tells how to build with it, and how to call other kernels.
#pragma once
#include <cstdint>
#include <span>

namespace gumbelfast {

// What one row asks for.
struct TokenRequest {
  uint64_t seed = 0;
  uint64_t position = 0;   // where in the noise of `seed`; below 2**62 / cols, with cols rounded up to a multiple of 32
  double temperature = 1;  // 0: the largest logit
  int64_t top_k = 0;       // 0 or -1: all
  double top_p = 1;        // 1: all; 0: the best one
  double min_p = 0;        // 0: all
};

// One token for each request, from as many rows of logits that lie one behind the other: those that Python's
// gumbelfast.sample_tokens draws with the same seeds and positions. Throws std::invalid_argument, which quotes the
// value and the row, before any token is written.
void sample_tokens(std::span<const float> logits, std::span<const TokenRequest> requests, std::span<int64_t> tokens,
                   int threads = 1);

}  // namespace gumbelfast
