/* Tokens from logits for programs in C, and for languages that call it. docs/cpp.md tells how to build with it. */
#ifndef GUMBELFAST_H
#define GUMBELFAST_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one row asks for. All zeros but for `seed` is the largest logit: there are no defaults in C. */
typedef struct {
  uint64_t seed;
  uint64_t position;  /* where in the noise of `seed`; below 2**62 / cols, with cols rounded up to a multiple of 32 */
  double temperature; /* 0: the largest logit */
  int64_t top_k;      /* 0 or -1: all */
  double top_p;       /* 1: all; 0: the best one */
  double min_p;       /* 0: all */
} gumbelfast_request;

/* One token for each of `rows` requests, from as many rows of `cols` logits that lie one behind the other. Returns 0,
   or 1 where an argument is at fault; no token is written then, and `error`, unless null, holds the reason, cut to
   `error_size` bytes with the zero at its end. */
int gumbelfast_sample_tokens(const float* logits, int64_t rows, int64_t cols, const gumbelfast_request* requests,
                             int threads, int64_t* tokens, char* error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
