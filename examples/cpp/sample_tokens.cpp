// Five tokens for each of two requests: those that Python's sample_tokens draws with the same seeds and positions.
#include <array>
#include <cstdio>
#include <gumbelfast/gumbelfast.hpp>
#include <vector>

int main() {
  std::vector<float> logits(2 * 32'000);  // a model's, in earnest
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 7919 % 1009) / 64;
  for (uint64_t step = 0; step < 5; ++step) {
    const std::array<gumbelfast::TokenRequest, 2> requests{{
        {.seed = 11, .position = step, .temperature = 0.8, .top_k = 500, .top_p = 0.9},
        {.seed = 12, .position = step},
    }};
    std::array<int64_t, 2> tokens{};
    gumbelfast::sample_tokens(logits, requests, tokens);
    std::printf("%d %d\n", static_cast<int>(tokens[0]), static_cast<int>(tokens[1]));
  }
}
