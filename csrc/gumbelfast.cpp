#include "gumbelfast.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "diagnose.hpp"
#include "gumbelfast.h"
#include "run.hpp"

namespace gumbelfast {
namespace {

constexpr uint64_t last_element = uint64_t{1} << 62;
constexpr double smallest_share = 1e-300;  // keeps the best, as every share does that is below its probability

template <class T>
void require(bool holds, const char* what, T got, const std::string& where = "") {
  if (holds) return;
  std::ostringstream text;
  text << what << ", got " << got << where;
  throw std::invalid_argument(text.str());
}

// Of all rows, an array for each setting, as kernels take them.
struct Settings {
  std::vector<uint64_t> seeds, offsets;
  std::vector<double> scale, top_p, min_p;
  std::vector<int64_t> top_k;
  bool by_count = false, by_share = false, by_least = false;

  Settings(std::span<const TokenRequest> requests, uint64_t cols) {
    const uint64_t width = (cols + 31) / 32 * 32;
    for (size_t row = 0; row < requests.size(); ++row) add(requests[row], width, " in row " + std::to_string(row));
  }

 private:
  void add(const TokenRequest& asked, uint64_t width, const std::string& where) {
    constexpr double largest = std::numeric_limits<float>::max(), smallest = std::numeric_limits<float>::min();
    const double inverse = asked.temperature > 0 ? 1 / asked.temperature : 0;
    require(asked.position < last_element / width, "position must be below 2**62 / cols", asked.position, where);
    require(asked.temperature >= 0 && std::isfinite(asked.temperature), "temperature must be finite and >= 0",
            asked.temperature, where);
    require(inverse <= largest, "temperature must be 0 or have a finite reciprocal", asked.temperature, where);
    require(asked.top_k >= -1, "top_k must be >= 0, or -1 for no filter", asked.top_k, where);
    require(asked.top_p >= 0 && asked.top_p <= 1, "top_p must lie in [0, 1]", asked.top_p, where);
    require(asked.min_p >= 0 && asked.min_p <= 1, "min_p must lie in [0, 1]", asked.min_p, where);
    seeds.push_back(asked.seed);
    offsets.push_back(asked.position * width);
    scale.push_back(asked.temperature > 0 ? std::max(inverse, smallest) : 0);
    top_k.push_back(asked.top_k);
    top_p.push_back(std::max(asked.top_p, smallest_share));
    min_p.push_back(asked.min_p);
    by_count = by_count || asked.top_k > 0;
    by_share = by_share || asked.top_p < 1;
    by_least = by_least || asked.min_p > 0;
  }
};

void require_different_noise(std::span<const TokenRequest> requests) {
  std::vector<std::pair<uint64_t, uint64_t>> noise;
  for (const TokenRequest& asked : requests) noise.emplace_back(asked.seed, asked.position);
  std::sort(noise.begin(), noise.end());
  const auto twice = std::adjacent_find(noise.begin(), noise.end());
  require(twice == noise.end(), "rows must differ in seed or position", twice == noise.end() ? 0 : twice->first,
          " twice");
}

}  // namespace

void sample_tokens(std::span<const float> logits, std::span<const TokenRequest> requests, std::span<int64_t> tokens,
                   int threads) {
  const size_t rows = requests.size();
  require(tokens.size() == rows, "tokens must have one place a request", tokens.size());
  require(rows ? logits.size() && logits.size() % rows == 0 : logits.empty(),
          "logits must be as many for each request, and not none", logits.size());
  require(threads > 0, "threads must be > 0", threads);
  if (!rows) return;
  const auto count = static_cast<int64_t>(rows), cols = static_cast<int64_t>(logits.size() / rows);
  const Settings settings(requests, static_cast<uint64_t>(cols));
  require_different_noise(requests);

  const Backend& backend = *usable_backends().front();
  std::vector<uint64_t> keys(rows);
  std::vector<int64_t> drawn(rows);
  backend.row_keys(settings.seeds.data(), count, keys.data());
  const TokenArgs args{{logits.data(), count, cols, cols},
                       {{0, 0}, 0, 0, keys.data(), settings.offsets.data()},
                       settings.scale.data(),
                       settings.by_count ? settings.top_k.data() : nullptr,
                       settings.by_share ? settings.top_p.data() : nullptr,
                       settings.by_least ? settings.min_p.data() : nullptr,
                       drawn.data()};
  if (run(backend.sample_tokens, DType::f32, args, count, {threads, {}}).outcome != Outcome::done) {
    const int64_t shape[] = {count, cols};
    throw std::invalid_argument(words_of(diagnose(DType::f32, args.logits, 0), shape, 0, 0, "", ""));
  }
  std::copy(drawn.begin(), drawn.end(), tokens.begin());
}

}  // namespace gumbelfast

int gumbelfast_sample_tokens(const float* logits, int64_t rows, int64_t cols, const gumbelfast_request* requests,
                             int threads, int64_t* tokens, char* error, size_t error_size) {
  using namespace gumbelfast;
  try {
    require(rows >= 0, "rows must be >= 0", rows);
    require(cols > 0, "cols must be > 0", cols);
    std::vector<TokenRequest> asked;
    for (int64_t row = 0; row < rows; ++row) {
      const gumbelfast_request& given = requests[row];
      asked.push_back({given.seed, given.position, given.temperature, given.top_k, given.top_p, given.min_p});
    }
    const auto count = static_cast<size_t>(rows);
    sample_tokens({logits, count * static_cast<size_t>(cols)}, asked, {tokens, count}, threads);
  } catch (const std::exception& failure) {
    if (error) std::snprintf(error, error_size, "%s", failure.what());
    return 1;
  }
  return 0;
}
