// Five tokens for each of two requests, at positions 0 to 4 of their seeds; prints what Python's sample_tokens draws.
#include <cstdio>
#include <gumbelfast/gumbelfast.hpp>
#include <vector>

int main() {
  const int64_t rows = 2, cols = 32'000;
  std::vector<float> logits(rows * cols);
  for (int64_t i = 0; i < rows * cols; ++i) logits[i] = static_cast<float>(i * 7919 % 1009) / 64;
  const uint64_t seeds[] = {11, 12};
  for (uint64_t step = 0; step < 5; ++step) {
    const uint64_t positions[] = {step, step};
    gumbelfast::TokenRequest request{logits.data(), rows, cols, seeds, positions};
    request.temperature = 0.8;
    request.top_k = 500;
    request.top_p = 0.9;
    int64_t tokens[rows];
    gumbelfast::sample_tokens(request, tokens);
    std::printf("%lld %lld\n", static_cast<long long>(tokens[0]), static_cast<long long>(tokens[1]));
  }
}
