// sweep STRIDE BACKEND...           every STRIDE-th float32 input of each elementary function, in lines of
//                                   "map backend inputs worst-ulp worst-input digest"
// sweep drawn MAP COUNT BACKEND...  the same of a float64 function: hard cases, and COUNT inputs drawn over its domain
// sweep map BACKEND MAP             values of standard input to standard output
// tests/battery/test_sweep.py and test_cdf.py say what must come out.
#include <bit>
#include <cfloat>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <vector>

#include "inputs64.hpp"
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

template <class T>
struct Result;
template <>
struct Result<float> {
  using Bits = uint32_t;
  using Exact = double;
  static constexpr int mantissa = 23;
};
template <>
struct Result<double> {
  using Bits = uint64_t;
  using Exact = long double;
  static constexpr int mantissa = 52;
};
template <class T>
using Bits = typename Result<T>::Bits;
template <class T>
using Exact = typename Result<T>::Exact;

// The inputs of a map; `least` is the exponent of the smallest result whose ulp counts.
template <class T>
struct Sweep {
  const char* map;
  Domain domain;
  int least;
  Exact<T> (*exact)(Bits<T> input);
};

double float_of(uint32_t word) { return std::bit_cast<float>(word); }

constexpr int subnormal = -126, subnormal64 = -1022;
// The logarithm of a double is right to one of its ulp: 2**-29 of those counted here.
constexpr Sweep<float> sweeps[] = {
    {"minus-log", {0x00800000, 0x7E7FFFFF}, 0, [](uint32_t w) { return -std::log(float_of(w)); }},
    {"exp", {0x80000000, 0xFF800000}, subnormal, [](uint32_t w) { return std::exp(float_of(w)); }},
    {"log1p", {0, 0x3F800000}, subnormal, [](uint32_t w) { return std::log1p(float_of(w)); }},
    {"word",
     {0x00020000, 0xFFFFFFFF},
     subnormal,
     [](uint32_t w) {
       const uint32_t digits = w << std::countl_zero(w) << 1 >> 9;
       return std::countl_zero(w) * std::numbers::ln2 - std::log1p(-(digits + 0.5) * 0x1p-24);
     }},
};

// x87's long double has 11 bits more, and glibc's functions are right to 3 of its ulp. Elsewhere no error is measured.
constexpr bool measured64 = LDBL_MANT_DIG == 64;

long double double_of(uint64_t word) { return std::bit_cast<double>(word); }

// As docs/stream.md has them.
long double of_word(uint64_t w) {
  const int zeros = std::countl_zero(w);
  const uint64_t digits = w ? w << zeros << 1 >> 12 : 0;
  return zeros * std::numbers::ln2_v<long double> - std::log1p(-(digits + 0.5L) * 0x1p-53L);
}
long double of_head(uint64_t h) {
  const bool upper = h >> 63;
  const uint64_t z = upper ? ~h >> 5 : (h >> 5) + 1;
  const double c = (static_cast<double>(z) + (upper ? 0.5 : -0.5)) * 0x1p-59;
  return -(upper ? std::log(static_cast<long double>(c)) : std::log1p(-static_cast<long double>(c))) / 32;
}
// The exponential of an element whose head is its word with the halves swapped.
long double of_both(uint64_t w) { return of_head(w << 32 | w >> 32) + of_word(w); }

constexpr Domain all_words = {0, ~uint64_t{0}};
constexpr Sweep<double> sweeps64[] = {
    {"minus-log64",
     {uint64_t{1} << 52, 0x7FCFFFFFFFFFFFFF, 0x1p-66, 64},
     0,
     [](uint64_t w) { return -std::log(double_of(w)); }},
    {"exp64",
     {0x8000000000000000, 0xFFF0000000000000, -0x1p-55, -746},
     subnormal64,
     [](uint64_t w) { return std::exp(double_of(w)); }},
    {"log1p64", {0, 0x3FF0000000000000, 0x1p-55, 1}, subnormal64, [](uint64_t w) { return std::log1p(double_of(w)); }},
    {"word64", all_words, subnormal64, of_word},
    {"gumbel64", all_words, 0, [](uint64_t w) { return -std::log(of_both(w)); }},
    {"exponential64", all_words, subnormal64, of_both},
};

// How many ulp of a result of this value one is.
template <class T>
Exact<T> per_ulp(Exact<T> wanted, int least) {
  const int exponent = wanted == 0 ? least : std::max(std::ilogb(wanted), least);
  const double power = std::bit_cast<double>(static_cast<uint64_t>(1023 - exponent) << 52);
  return static_cast<Exact<T>>(power) * (uint64_t{1} << Result<T>::mantissa);
}

struct Findings {
  double worst = -1;
  uint64_t input = 0;
  uint64_t digest = 0xCBF29CE484222325;

  void see(uint64_t word, double error) {
    if (!(error >= 0)) error = INFINITY;
    if (error > worst) worst = error, input = word;
  }
  void add(uint32_t found) { digest = (digest ^ found) * 0x100000001B3; }  // FNV-1a, by words
  void add(float found) { add(std::bit_cast<uint32_t>(found)); }
  void add(double found) {
    add(static_cast<uint32_t>(bits_of(found)));
    add(static_cast<uint32_t>(bits_of(found) >> 32));
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

// input(i) for i below `inputs`.
template <class T, class Input>
void run(const Sweep<T>& sweep, uint64_t inputs, const std::vector<const Probe*>& wanted, Input input) {
  constexpr bool measured = sizeof(T) == 4 || measured64;
  constexpr int piece = 4096;
  static_assert(piece % step == 0);
  Bits<T> words[piece];
  Exact<T> exact[piece], scale[piece];
  T found[piece];
  std::vector<Findings> findings(wanted.size());
  for (uint64_t done = 0; done < inputs; done += piece) {
    const int count = static_cast<int>(std::min<uint64_t>(inputs - done, piece));
    for (int i = 0; i < piece; ++i)
      words[i] = static_cast<Bits<T>>(input(i < count ? done + static_cast<uint64_t>(i) : done));
    for (int i = 0; i < count && measured; ++i) {
      exact[i] = sweep.exact(words[i]);
      scale[i] = per_ulp<T>(exact[i], sweep.least);
    }
    for (size_t b = 0; b < wanted.size(); ++b) {
      map_of(*wanted[b], sweep.map).run(words, found, piece);
      for (int i = 0; i < count; ++i) {
        findings[b].add(found[i]);
        if (measured) findings[b].see(words[i], static_cast<double>(std::fabs(found[i] - exact[i]) * scale[i]));
      }
    }
  }
  for (size_t b = 0; b < wanted.size(); ++b)
    std::printf("%s %s %" PRIu64 " %.4f %0*" PRIx64 " %016" PRIx64 "\n", sweep.map, wanted[b]->name, inputs,
                findings[b].worst, static_cast<int>(2 * sizeof(T)), findings[b].input, findings[b].digest);
  std::fflush(stdout);
}

void run_all(uint64_t stride, const std::vector<const Probe*>& wanted) {
  for (const Sweep<float>& sweep : sweeps) {
    const Domain& d = sweep.domain;
    run(sweep, (d.last - d.first) / stride + 1, wanted, [&](uint64_t i) { return d.first + i * stride; });
  }
}

void run_drawn(const char* map, uint64_t count, const std::vector<const Probe*>& wanted) {
  for (const Sweep<double>& sweep : sweeps64) {
    if (std::strcmp(sweep.map, map)) continue;
    const std::vector<uint64_t> hard = hard_cases(sweep.domain);
    run(sweep, hard.size() + count, wanted,
        [&](uint64_t i) { return i < hard.size() ? hard[i] : drawn(sweep.domain, i - hard.size()); });
  }
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
  const bool drawn = argc > 4 && !std::strcmp(argv[1], "drawn");
  const uint64_t number = argc > 2 ? std::strtoull(argv[drawn ? 3 : 1], nullptr, 10) : 0;
  if (number == 0) return 2;
  std::vector<const Probe*> wanted;
  for (int i = drawn ? 4 : 2; i < argc; ++i) wanted.push_back(probe_of(argv[i]));
  if (drawn)
    run_drawn(argv[2], number, wanted);
  else
    run_all(number, wanted);
  return 0;
}
