#include "dispatch.hpp"

namespace gumbelfast {

extern const Backend scalar_backend;
#if defined(__x86_64__)
extern const Backend avx2_backend, avx512_backend;
#elif defined(__aarch64__)
extern const Backend neon_backend;
#endif

std::vector<const Backend*> usable_backends() {
  std::vector<const Backend*> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    usable.push_back(&avx512_backend);
  if (avx2) usable.push_back(&avx2_backend);
#elif defined(__aarch64__)
  usable.push_back(&neon_backend);
#endif
  usable.push_back(&scalar_backend);
  return usable;
}

}  // namespace gumbelfast
