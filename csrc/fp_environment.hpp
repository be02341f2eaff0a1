// Kernels count on rounding to nearest and on subnormal numbers, whatever the host program has set.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace gumbelfast {

// The default floating point control word while it lives, the host's own afterwards.
class FpEnvironment {
 public:
  FpEnvironment() : saved(get()) {
    if (saved != wanted) put(wanted);
  }
  ~FpEnvironment() {
    if (saved != wanted) put(saved);
  }
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint32_t wanted = 0x1F80;  // all exceptions masked, to nearest, neither FTZ nor DAZ
  static uint32_t get() { return _mm_getcsr() & ~0x3Fu; }
  static void put(uint32_t word) { _mm_setcsr(word); }
  uint32_t saved;
#else
  static constexpr uint64_t wanted = 0;
  static uint64_t get() {
    uint64_t word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void put(uint64_t word) { asm volatile("msr fpcr, %0" : : "r"(word)); }
  uint64_t saved;
#endif
};

}  // namespace gumbelfast
