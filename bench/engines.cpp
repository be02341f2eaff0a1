// What two engines that serve language models do on CPUs, stated anew for the bench from a description of their
// methods:
//
// - draw_by_blocks: the categorical sampler of vLLM's CPU backend (2026). One scan for the maxima of blocks of 32;
// blocks
//   grouped by powers of two below the largest logit; tokens proposed from that envelope and accepted exactly.
// - draw_by_chain: llama.cpp's chain of samplers. Candidates of 12 bytes; top-n-sigma, top-k by a heap or by buckets,
//   typical-p, top-p, min-p, and a draw by cumulative sums.
//
// Both are faster here than there where that changes no result: the temperature is folded into passes that are made
// anyway, bfloat16 is read in place, buffers are kept, and the generator is a hash of seed and position.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

extern "C" {

// As in with_engines.py. A filter is off at 0 (top_k, min_p, top_n_sigma) or 1 (top_p, typical_p).
struct Settings {
  double temperature;
  double top_n_sigma;
  double typical_p;
  double top_p;
  double min_p;
  int64_t top_k;
  int64_t temperature_last;
};
}

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLog2 = 0.693147180559945309417;

// SplitMix64 (Steele, Lea and Flood 2014), begun at a hash of seed and position.
class Bits {
 public:
  Bits(uint64_t seed, uint64_t position) : state_(seed) { state_ = next() ^ position; }

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // 53 bits in [0, 1).
  double uniform() { return double(next() >> 11) * 0x1p-53; }

  // True with probability p, exactly: a uniform number with 53 bits behind its leading one, however small it is.
  bool happens(double p) {
    int exponent = 0;
    uint64_t word = next();
    while (word == 0) {
      if (exponent -= 64; exponent < -1100) return false;
      word = next();
    }
    const int lead = __builtin_clzll(word);
    return std::ldexp(double((next() >> 12) | (uint64_t(1) << 52)), exponent - lead - 53) < p;
  }

  // Uniform below `end`.
  unsigned __int128 below(unsigned __int128 end) {
    const uint64_t high = uint64_t((end - 1) >> 64), low = uint64_t(end - 1);
    const uint64_t high_mask = high ? ~uint64_t(0) >> __builtin_clzll(high) : 0;
    const uint64_t low_mask = high ? ~uint64_t(0) : low ? ~uint64_t(0) >> __builtin_clzll(low) : 0;
    for (;;) {
      unsigned __int128 value = next() & low_mask;
      if (high) value |= static_cast<unsigned __int128>(next() & high_mask) << 64;
      if (value < end) return value;
    }
  }

 private:
  uint64_t state_;
};

constexpr int kLanes = 16;
constexpr int kBlock = 2 * kLanes;
using Lanes = float __attribute__((vector_size(4 * kLanes)));
using Words = uint32_t __attribute__((vector_size(4 * kLanes)));
using Halves = uint16_t __attribute__((vector_size(2 * kLanes)));

struct Float32 {
  using Type = float;
  static float one(float x) { return x; }
  static Lanes lanes(const float* x) {
    Lanes found;
    std::memcpy(&found, x, sizeof found);
    return found;
  }
};

struct Bfloat16 {
  using Type = uint16_t;
  static float one(uint16_t x) {
    const uint32_t word = uint32_t(x) << 16;
    float found;
    std::memcpy(&found, &word, sizeof found);
    return found;
  }
  static Lanes lanes(const uint16_t* x) {
    Halves halves;
    std::memcpy(&halves, x, sizeof halves);
    return (Lanes)(__builtin_convertvector(halves, Words) << 16);
  }
};

Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

float largest(Lanes x) {
  x = larger(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  x = larger(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  x = larger(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  return std::max(x[0], x[1]);
}

constexpr int kTail = 64;  // the last bucket that holds blocks; those of -inf alone lie behind it

struct Scratch {
  std::vector<float> maxima;
  std::vector<uint8_t> buckets;
  std::vector<uint32_t> order;
};

// -1 for a row with NaN, +inf or nothing to draw.
template <class Kind>
int64_t draw_row_by_blocks(const typename Kind::Type* x, int64_t columns, double scale, Bits bits) {
  thread_local Scratch scratch;
  const int64_t whole = columns / kBlock, blocks = (columns + kBlock - 1) / kBlock;
  scratch.maxima.resize(blocks);
  scratch.buckets.resize(blocks);
  scratch.order.resize(blocks);
  float* maxima = scratch.maxima.data();
  Words nan = {};
  for (int64_t b = 0; b < whole; ++b) {
    const Lanes first = Kind::lanes(x + b * kBlock), second = Kind::lanes(x + b * kBlock + kLanes);
    nan |= (Words)((first != first) | (second != second));
    maxima[b] = largest(larger(first, second));
  }
  bool bad = false;
  for (int i = 0; i < kLanes; ++i) bad |= nan[i] != 0;
  if (whole < blocks) {
    float most = -kInfinity;
    for (int64_t i = whole * kBlock; i < columns; ++i) {
      bad |= std::isnan(Kind::one(x[i]));
      most = std::max(most, Kind::one(x[i]));
    }
    maxima[whole] = most;
  }
  Lanes best = Lanes{} - float(kInfinity);
  int64_t b = 0;
  for (; b + kLanes <= blocks; b += kLanes) best = larger(best, Float32::lanes(maxima + b));
  float most = largest(best);
  for (; b < blocks; ++b) most = std::max(most, maxima[b]);
  if (bad || !std::isfinite(most)) return -1;

  // Slightly too small, so that 2^-bucket is never below the largest weight of a block.
  const double steps = scale / kLog2 * (1 - 0x1p-48), top = most;
  for (int64_t i = 0; i < blocks; ++i) {
    const double below = (top - double(maxima[i])) * steps;
    scratch.buckets[i] = below < kTail ? uint8_t(int(below)) : below < kInfinity ? kTail : kTail + 1;
  }
  std::array<uint32_t, kTail + 2> counts{};
  for (int64_t i = 0; i < blocks; ++i) ++counts[scratch.buckets[i]];
  std::array<uint32_t, kTail + 2> begins{};
  std::array<unsigned __int128, kTail + 1> sums{};
  unsigned __int128 mass = 0;
  for (int k = 0; k <= kTail; ++k) {
    begins[k + 1] = begins[k] + counts[k];
    mass += static_cast<unsigned __int128>(counts[k]) << (kTail - k);
    sums[k] = mass;
  }
  auto places = begins;
  for (int64_t i = 0; i < blocks; ++i) scratch.order[places[scratch.buckets[i]]++] = uint32_t(i);

  for (;;) {
    const auto proposal = bits.below(mass);
    const int k = int(std::upper_bound(sums.begin(), sums.end(), proposal) - sums.begin());
    const uint32_t place = uint32_t((proposal - (k ? sums[k - 1] : 0)) >> (kTail - k));
    const int64_t index = int64_t(scratch.order[begins[k] + place]) * kBlock + int64_t(bits.next() >> 59);
    if (index >= columns) continue;
    const double below = (top - double(Kind::one(x[index]))) * scale;
    if (below < kInfinity && bits.happens(std::exp(std::min(0.0, k * kLog2 - below)))) return index;
  }
}

struct Candidate {
  int32_t id;
  float logit;
  float p;
};

bool comes_first(const Candidate& a, const Candidate& b) { return a.logit > b.logit; }

constexpr int kBuckets = 128;

// The k best of `from`, in order, followed by what else lay in their buckets. Buckets divide [-10, 10].
void sort_by_buckets(const std::vector<Candidate>& from, size_t k, std::vector<Candidate>& into) {
  thread_local std::vector<uint8_t> bucket_of;
  bucket_of.resize(from.size());
  std::array<size_t, kBuckets> counts{}, place{};
  for (size_t i = 0; i < from.size(); ++i) {
    const float scaled = from[i].logit * (kBuckets / 20.0F) + kBuckets / 2;
    bucket_of[i] = uint8_t(std::max(0.0F, std::min(kBuckets - 1.0F, scaled)));
    ++counts[bucket_of[i]];
  }
  size_t taken = 0;
  int last = kBuckets;
  while (last > 0 && taken < k) {
    place[--last] = taken;
    taken += counts[last];
  }
  into.resize(taken);
  for (size_t i = 0; i < from.size(); ++i) {
    if (bucket_of[i] >= last) into[place[bucket_of[i]]++] = from[i];
  }
  auto begin = into.begin();
  for (int bucket = kBuckets - 1; bucket > last; --bucket) {
    std::sort(begin, begin + counts[bucket], comes_first);
    begin += counts[bucket];
  }
  std::partial_sort(begin, into.begin() + k, into.end(), comes_first);
}

class Chain {
 public:
  template <class Kind>
  int64_t draw(const typename Kind::Type* x, int64_t columns, const Settings& settings, Bits bits) {
    const float scale = settings.temperature_last ? 1.0F : float(1 / settings.temperature);
    row_.resize(columns);
    for (int64_t i = 0; i < columns; ++i) row_[i] = {int32_t(i), Kind::one(x[i]) * scale, 0};
    sorted_ = false;
    if (settings.top_n_sigma > 0) keep_near(float(settings.top_n_sigma));
    if (settings.top_k > 0) keep_best(std::min(size_t(settings.top_k), row_.size()));
    if (settings.typical_p < 1) keep_typical(float(settings.typical_p));
    if (settings.top_p < 1) keep_nucleus(float(settings.top_p));
    if (settings.min_p > 0) keep_probable(float(settings.min_p));
    if (settings.temperature_last) {
      for (auto& each : row_) each.logit /= float(settings.temperature);
    }
    return row_[weigh_and_draw(bits)].id;
  }

 private:
  float best() const {
    float most = row_[0].logit;
    if (!sorted_) {
      for (const auto& each : row_) most = std::max(most, each.logit);
    }
    return most;
  }

  void keep_at_least(float limit) {
    size_t kept = 0;
    for (const auto& each : row_) {
      if (each.logit >= limit) row_[kept++] = each;
    }
    row_.resize(kept);
  }

  void keep_near(float sigmas) {
    double sum = 0, squares = 0;
    for (const auto& each : row_) sum += each.logit;
    const double mean = sum / double(row_.size());
    for (const auto& each : row_) squares += (each.logit - mean) * (each.logit - mean);
    keep_at_least(best() - sigmas * float(std::sqrt(squares / double(row_.size()))));
  }

  void keep_probable(float p) { keep_at_least(best() + std::log(p)); }

  void keep_best(size_t k) {
    if (!sorted_ && k <= 128) {
      std::partial_sort(row_.begin(), row_.begin() + k, row_.end(), comes_first);
    } else if (!sorted_) {
      sort_by_buckets(row_, k, other_);
      row_.swap(other_);
    }
    row_.resize(k);
    sorted_ = true;
  }

  void weigh() {
    const float most = best();
    float sum = 0;
    for (auto& each : row_) sum += each.p = std::exp(each.logit - most);
    for (auto& each : row_) each.p /= sum;
  }

  void keep_typical(float p) {
    keep_best(row_.size());
    weigh();
    float entropy = 0;
    for (const auto& each : row_) entropy -= each.p > 0 ? each.p * std::log(each.p) : 0;
    scores_.resize(row_.size());
    order_.resize(row_.size());
    for (size_t i = 0; i < row_.size(); ++i) {
      scores_[i] = std::fabs(-std::log(row_[i].p) - entropy);
      order_[i] = uint32_t(i);
    }
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) { return scores_[a] < scores_[b]; });
    other_.clear();
    float sum = 0;
    for (size_t i = 0; i < order_.size() && sum <= p; ++i) {
      other_.push_back(row_[order_[i]]);
      sum += row_[order_[i]].p;
    }
    row_.swap(other_);
    sorted_ = false;
  }

  // Of a row of more than 1024, 256 are sorted first, and all of it where these do not weigh enough.
  void keep_nucleus(float p) {
    weigh();
    size_t ready = row_.size();
    if (!sorted_ && row_.size() > 1024) {
      ready = 256;
      sort_by_buckets(row_, ready, other_);
    } else {
      keep_best(row_.size());
      other_ = row_;
    }
    float sum = 0;
    size_t kept = 0;
    while (kept < row_.size() && sum < p) {
      if (kept == ready) {
        ready = row_.size();
        sort_by_buckets(row_, ready, other_);
      }
      sum += other_[kept++].p;
    }
    row_.swap(other_);
    row_.resize(kept);
    sorted_ = true;
  }

  size_t weigh_and_draw(Bits bits) {
    const float most = best();
    double sum = 0;
    for (auto& each : row_) sum += each.p = std::exp(each.logit - most);
    const double target = sum * bits.uniform();
    double running = 0;
    for (size_t i = 0; i < row_.size(); ++i) {
      if ((running += row_[i].p) > target) return i;
    }
    return row_.size() - 1;
  }

  std::vector<Candidate> row_, other_;
  std::vector<float> scores_;
  std::vector<uint32_t> order_;
  bool sorted_ = false;
};

template <class Draw>
void draw_rows(int64_t rows, const uint64_t* seeds, uint64_t position, int threads, int64_t* tokens, const Draw& draw) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && rows > 1)
  for (int64_t i = 0; i < rows; ++i) tokens[i] = draw(i, Bits(seeds[i], position));
}

}  // namespace

extern "C" {

void draw_by_blocks(const void* logits, int bfloat16, int64_t rows, int64_t columns, const Settings* settings,
                    const uint64_t* seeds, uint64_t position, int threads, int64_t* tokens) {
  const double scale = 1 / settings->temperature;
  draw_rows(rows, seeds, position, threads, tokens, [&](int64_t i, Bits bits) {
    return bfloat16
               ? draw_row_by_blocks<Bfloat16>(static_cast<const uint16_t*>(logits) + i * columns, columns, scale, bits)
               : draw_row_by_blocks<Float32>(static_cast<const float*>(logits) + i * columns, columns, scale, bits);
  });
}

void draw_by_chain(const void* logits, int bfloat16, int64_t rows, int64_t columns, const Settings* settings,
                   const uint64_t* seeds, uint64_t position, int threads, int64_t* tokens) {
  draw_rows(rows, seeds, position, threads, tokens, [&](int64_t i, Bits bits) {
    thread_local Chain chain;
    return bfloat16 ? chain.draw<Bfloat16>(static_cast<const uint16_t*>(logits) + i * columns, columns, *settings, bits)
                    : chain.draw<Float32>(static_cast<const float*>(logits) + i * columns, columns, *settings, bits);
  });
}
}
