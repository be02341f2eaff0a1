// sweep float32 STRIDE BACKEND...  every STRIDE-th float32 input of each elementary function, in lines of
//                                  "map backend inputs worst-ulp worst-input digest"
// sweep float64 COUNT BACKEND...   the same of COUNT float64 inputs drawn from its domain
// sweep map BACKEND MAP            values of standard input to standard output
// tests/battery/test_sweep.py and test_cdf.py say what must come out.
#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "probe.hpp"

namespace probe {

extern const Probe scalar;
#if defined(__x86_64__)
extern const Probe avx2, avx512;
constexpr const Probe* probes[] = {&avx512, &avx2, &scalar};
#elif defined(__aarch64__)
extern const Probe neon;
constexpr const Probe* probes[] = {&neon, &scalar};
#else
constexpr const Probe* probes[] = {&scalar};
#endif

namespace {

template <class Float>
struct Format;
// What the C library returns in `Exact` is right to one of its ulp: 2**-29 and 2**-11 of those counted here.
template <>
struct Format<float> {
  using Word = uint32_t;
  using Exact = double;
};
template <>
struct Format<double> {
  using Word = uint64_t;
  using Exact = long double;
};
template <class Float>
using Word = typename Format<Float>::Word;
template <class Float>
using Exact = typename Format<Float>::Exact;

// `input` gives the words of the domain one by one; `least` is the exponent of the smallest result whose ulp counts.
template <class Float>
struct Sweep {
  const char* map;
  Word<Float> (*input)(uint64_t i);
  int least;
  Exact<Float> (*exact)(Word<Float> word);
};
struct Whole : Sweep<float> {
  uint64_t inputs;
};

double float_of(uint32_t word) { return std::bit_cast<float>(word); }
long double float_of(uint64_t word) { return std::bit_cast<double>(word); }

template <uint32_t first>
uint32_t from(uint64_t i) {
  return static_cast<uint32_t>(first + i);
}
double log_unit(uint32_t w) { return -std::log((w + 0.5) * 0x1p-32); }

constexpr Whole all[] = {
    {{"minus-log", from<0x00800000>, 0, [](uint32_t w) { return -std::log(float_of(w)); }}, 0x7DFFFFFF + 1},
    {{"exp", from<0x80000000>, -126, [](uint32_t w) { return std::exp(float_of(w)); }}, 0x7F800000 + 1},
    {{"log1p", from<0>, -126, [](uint32_t w) { return std::log1p(float_of(w)); }}, 0x3F800000 + 1},
    {{"word", from<0>, -126, log_unit}, uint64_t{1} << 32},
    {{"word-fine", from<0>, -126, log_unit}, uint64_t{1} << 32},
};

// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
uint64_t mixed(uint64_t i) {
  i = (i + 1) * 0x9E3779B97F4A7C15;
  i = (i ^ i >> 30) * 0xBF58476D1CE4E5B9;
  i = (i ^ i >> 27) * 0x94D049BB133111EB;
  return i ^ i >> 31;
}

// Bit patterns from that of `low` to that of `high`: every binade is as likely.
uint64_t between(double low, double high, uint64_t i) {
  const auto first = std::bit_cast<uint64_t>(low), last = std::bit_cast<uint64_t>(high);
  return first + static_cast<uint64_t>(static_cast<unsigned __int128>(mixed(i)) * (last - first + 1) >> 64);
}
uint64_t below(double end, uint64_t i) { return std::bit_cast<uint64_t>(end * (double(mixed(i) >> 11) * 0x1p-53)); }
uint64_t word(uint64_t i) { return i & 1 ? mixed(i) : mixed(i) >> (i / 2 & 63); }

// With 64 bits of mantissa w + 1/2 is exact below 2**63, and so is its complement above.
long double log_unit(uint64_t w) {
  const auto half = [](uint64_t n) { return (static_cast<long double>(n) + 0.5L) * 0x1p-64L; };
  return w >> 63 ? -std::log1p(-half(~w)) : -std::log(half(w));
}

// By turns from all binades and from where results are of the size of their arguments.
constexpr Sweep<double> drawn[] = {
    {"minus-log64",
     [](uint64_t i) { return i & 1 ? between(0x1p-1022, 0x1.fffffffffffffp1021, i) : between(0.5, 2, i); }, 0,
     [](uint64_t w) { return -std::log(float_of(w)); }},
    {"exp64", [](uint64_t i) { return i & 1 ? between(-0x1p-60, -746, i) : below(-746, i); }, -1022,
     [](uint64_t w) { return std::exp(float_of(w)); }},
    {"log1p64", [](uint64_t i) { return i & 1 ? between(0x1p-60, 1, i) : below(1, i); }, -1022,
     [](uint64_t w) { return std::log1p(float_of(w)); }},
    {"word64", word, -1022, log_unit},
    {"word64-fine", word, -1022, log_unit},
};

double ulps(float found, double wanted, int least) {
  const int exponent = static_cast<int>(std::bit_cast<uint64_t>(wanted) >> 52 & 0x7FF) - 1023;
  const auto per_ulp = static_cast<uint64_t>(1023 + 23 - (exponent < least ? least : exponent));
  const double error = std::fabs(found - wanted) * std::bit_cast<double>(per_ulp << 52);
  return error >= 0 ? error : INFINITY;
}
double ulps(double found, long double wanted, int least) {
  const int exponent = std::max(std::ilogb(wanted), least);
  const auto error = static_cast<double>(std::scalbn(std::fabs(found - wanted), 52 - exponent));
  return error >= 0 ? error : INFINITY;
}

template <class Float>
struct Findings {
  double worst = -1;
  Word<Float> input = 0;
  uint64_t digest = 0xCBF29CE484222325;

  void add(Word<Float> word, Float found, Exact<Float> wanted, int least) {
    const double error = ulps(found, wanted, least);
    if (error > worst) worst = error, input = word;
    digest = (digest ^ std::bit_cast<Word<Float>>(found)) * 0x100000001B3;  // FNV-1a, by words
  }
};

const Probe* probe_of(const char* name) {
  for (const Probe* probe : probes)
    if (!std::strcmp(probe->name, name)) return probe;
  std::fprintf(stderr, "no backend %s\n", name);
  std::exit(2);
}

const Map& map_of(const Probe& probe, const char* name) {
  for (const Map& map : probe.maps)
    if (!std::strcmp(map.name, name)) return map;
  std::fprintf(stderr, "no map %s\n", name);
  std::exit(2);
}

template <class Float>
void run(const Sweep<Float>& sweep, uint64_t inputs, uint64_t stride, const std::vector<const Probe*>& wanted) {
  constexpr int piece = 4096;
  static_assert(piece % step == 0);
  Word<Float> words[piece];
  Exact<Float> exact[piece];
  Float found[piece];
  std::vector<Findings<Float>> findings(wanted.size());
  for (uint64_t done = 0; done < inputs; done += piece) {
    const int count = static_cast<int>(inputs - done < piece ? inputs - done : piece);
    for (int i = 0; i < piece; ++i)
      words[i] = sweep.input((i < count ? done + static_cast<uint64_t>(i) : done) * stride);
    for (int i = 0; i < count; ++i) exact[i] = sweep.exact(words[i]);
    for (size_t b = 0; b < wanted.size(); ++b) {
      map_of(*wanted[b], sweep.map).run(words, found, piece);
      for (int i = 0; i < count; ++i) findings[b].add(words[i], found[i], exact[i], sweep.least);
    }
  }
  for (size_t b = 0; b < wanted.size(); ++b)
    std::printf("%s %s %" PRIu64 " %.4f %0*" PRIx64 " %016" PRIx64 "\n", sweep.map, wanted[b]->name, inputs,
                findings[b].worst, static_cast<int>(2 * sizeof(Float)), uint64_t{findings[b].input},
                findings[b].digest);
  std::fflush(stdout);
}

void filter(const Map& map) {
  constexpr size_t piece = 4096;
  std::vector<unsigned char> in(piece * static_cast<size_t>(map.in_size)),
      out(piece * static_cast<size_t>(map.out_size));
  while (const size_t count = std::fread(in.data(), static_cast<size_t>(map.in_size), piece, stdin)) {
    map.run(in.data(), out.data(), piece);
    std::fwrite(out.data(), static_cast<size_t>(map.out_size), count, stdout);
  }
}

}  // namespace
}  // namespace probe

int main(int argc, char** argv) {
  using namespace probe;
  if (argc == 4 && !std::strcmp(argv[1], "map")) {
    filter(map_of(*probe_of(argv[2]), argv[3]));
    return 0;
  }
  const uint64_t number = argc > 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (number == 0) return 2;
  std::vector<const Probe*> wanted;
  for (int i = 3; i < argc; ++i) wanted.push_back(probe_of(argv[i]));
  if (!std::strcmp(argv[1], "float64"))
    for (const auto& sweep : drawn) run(sweep, number, 1, wanted);
  else
    for (const Whole& sweep : all) run<float>(sweep, (sweep.inputs - 1) / number + 1, number, wanted);
  return 0;
}
