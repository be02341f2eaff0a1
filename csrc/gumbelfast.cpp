#include "gumbelfast.hpp"

#include <cmath>
#include <cstdio>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "gumbelfast.h"

namespace gumbelfast {
namespace {

template <class T>
void require(bool holds, const char* what, T got) {
  if (holds) return;
  std::ostringstream text;
  text << what << ", got " << got;
  throw std::invalid_argument(text.str());
}

}  // namespace

void sample_tokens(const TokenRequest& given, int64_t* tokens) {
  const int64_t rows = given.rows, cols = given.cols, reserved = (cols + 31) / 32 * 32;
  require(rows >= 0, "rows must be >= 0", rows);
  require(cols > 0, "cols must be > 0", cols);
  const double scale = given.temperature == 0 ? 0 : 1 / given.temperature;
  require(given.temperature >= 0 && std::isfinite(given.temperature) && std::isfinite(scale),
          "temperature must be finite and >= 0", given.temperature);
  require(given.top_k >= 0, "top_k must be >= 0", given.top_k);
  require(given.top_p > 0 && given.top_p <= 1, "top_p must lie in (0, 1]", given.top_p);
  require(given.min_p >= 0 && given.min_p <= 1, "min_p must lie in [0, 1]", given.min_p);
  require(given.threads > 0, "threads must be > 0", given.threads);
  if (rows == 0) return;
  const auto count = static_cast<size_t>(rows);
  std::vector<uint64_t> keys(count), offsets(count);
  const uint64_t elements = uint64_t{1} << 62, row = static_cast<uint64_t>(reserved);
  for (size_t i = 0; given.positions && i < count; ++i) {
    require(given.positions[i] < elements / row, "positions must leave rows below element 2**62", given.positions[i]);
    offsets[i] = given.positions[i] * row;
  }
  const std::vector<double> scales(count, scale), top_p(count, given.top_p), min_p(count, given.min_p);
  const std::vector<int64_t> top_k(count, given.top_k);
  const Backend& backend = *usable_backends().front();
  backend.row_keys(given.seeds, rows, keys.data());
  const TokenArgs args{{given.logits, rows, cols, cols},
                       {{0, 0}, 0, 0, keys.data(), offsets.data()},
                       scales.data(),
                       given.top_k ? top_k.data() : nullptr,
                       given.top_p < 1 ? top_p.data() : nullptr,
                       given.min_p > 0 ? min_p.data() : nullptr,
                       tokens};
  const Result result = run(backend.sample_tokens, DType::f32, args, rows, {given.threads, {}});
  if (result.outcome == Outcome::done) return;
  const int64_t shape[] = {rows, cols};
  const Diagnosis found = diagnose(DType::f32, args.logits, 1);
  throw std::invalid_argument(words_of(found, shape, 1, 1, "", ""));
}

}  // namespace gumbelfast

int gumbelfast_sample_tokens(const float* logits, int64_t rows, int64_t cols, const uint64_t* seeds,
                             const uint64_t* positions, double temperature, int64_t top_k, double top_p, double min_p,
                             int threads, int64_t* tokens, char* error, size_t error_size) {
  try {
    gumbelfast::sample_tokens(
        {logits, rows, cols, seeds, positions, temperature, top_k, top_p, min_p, threads}, tokens);
  } catch (const std::exception& failure) {
    if (error) std::snprintf(error, error_size, "%s", failure.what());
    return 1;
  }
  return 0;
}
