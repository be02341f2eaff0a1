/* The core for programs in C, and for what can call them. Link the library by a C++ compiler. */
#ifndef GUMBELFAST_H
#define GUMBELFAST_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One token a row, as TokenRequest of gumbelfast.hpp has it; `positions` may be null. Returns 0, or 1 where the input is
   at fault: then `error`, unless null, holds the first `error_size` bytes of why, a zero at the end included. */
int gumbelfast_sample_tokens(const float* logits, int64_t rows, int64_t cols, const uint64_t* seeds,
                             const uint64_t* positions, double temperature, int64_t top_k, double top_p, double min_p,
                             int threads, int64_t* tokens, char* error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
