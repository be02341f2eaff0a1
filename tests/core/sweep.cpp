// sweep STRIDE BACKEND...      every STRIDE-th float32 input of each elementary function, in lines of
//                              "map backend inputs worst-ulp worst-input digest"
// sweep map BACKEND MAP        values of standard input to standard output
// tests/battery/test_sweep.py and test_cdf.py say what must come out.
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

double float_of(uint32_t word) { return std::bit_cast<float>(word); }

// The inputs of a map are the words first to last; `least` is the exponent of the smallest result whose ulp counts.
struct Sweep {
  const char* map;
  uint64_t first, last;
  int least;
  double (*exact)(uint32_t word);
};

constexpr int subnormal = -126;
// The logarithm of a double is right to one of its ulp: 2**-29 of those counted here.
constexpr Sweep sweeps[] = {
    {"minus-log", 0x00800000, 0x7E7FFFFF, 0, [](uint32_t w) { return -std::log(float_of(w)); }},
    {"exp", 0x80000000, 0xFF800000, subnormal, [](uint32_t w) { return std::exp(float_of(w)); }},
    {"log1p", 0, 0x3F800000, subnormal, [](uint32_t w) { return std::log1p(float_of(w)); }},
    {"word", 0, 0xFFFFFFFF, subnormal, [](uint32_t w) { return -std::log((w + 0.5) * 0x1p-32); }},
    {"word-fine", 0, 0xFFFFFFFF, subnormal, [](uint32_t w) { return -std::log((w + 0.5) * 0x1p-32); }},
};

double ulps(float found, double wanted, int least) {
  const int exponent = static_cast<int>(std::bit_cast<uint64_t>(wanted) >> 52 & 0x7FF) - 1023;
  const auto per_ulp = static_cast<uint64_t>(1023 + 23 - (exponent < least ? least : exponent));
  const double error = std::fabs(found - wanted) * std::bit_cast<double>(per_ulp << 52);
  return error >= 0 ? error : INFINITY;
}

struct Findings {
  double worst = -1;
  uint32_t input = 0;
  uint64_t digest = 0xCBF29CE484222325;

  void add(uint32_t word, float found, double wanted, int least) {
    const double error = ulps(found, wanted, least);
    if (error > worst) worst = error, input = word;
    digest = (digest ^ std::bit_cast<uint32_t>(found)) * 0x100000001B3;  // FNV-1a, by words
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

void run(const Sweep& sweep, uint64_t stride, const std::vector<const Probe*>& wanted) {
  constexpr int piece = 4096;
  static_assert(piece % step == 0);
  uint32_t words[piece];
  double exact[piece];
  float found[piece];
  std::vector<Findings> findings(wanted.size());
  const uint64_t inputs = (sweep.last - sweep.first) / stride + 1;
  for (uint64_t done = 0; done < inputs; done += piece) {
    const int count = static_cast<int>(inputs - done < piece ? inputs - done : piece);
    for (int i = 0; i < piece; ++i)
      words[i] = static_cast<uint32_t>(sweep.first + (i < count ? done + static_cast<uint64_t>(i) : done) * stride);
    for (int i = 0; i < count; ++i) exact[i] = sweep.exact(words[i]);
    for (size_t b = 0; b < wanted.size(); ++b) {
      map_of(*wanted[b], sweep.map).run(words, found, piece);
      for (int i = 0; i < count; ++i) findings[b].add(words[i], found[i], exact[i], sweep.least);
    }
  }
  for (size_t b = 0; b < wanted.size(); ++b)
    std::printf("%s %s %" PRIu64 " %.4f %08" PRIx32 " %016" PRIx64 "\n", sweep.map, wanted[b]->name, inputs,
                findings[b].worst, findings[b].input, findings[b].digest);
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
  const uint64_t stride = argc > 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (stride == 0) return 2;
  std::vector<const Probe*> wanted;
  for (int i = 2; i < argc; ++i) wanted.push_back(probe_of(argv[i]));
  for (const Sweep& sweep : sweeps) run(sweep, stride, wanted);
  return 0;
}
