// The core as a library: whole calls on whole arrays, split over threads. Python is one of its users.
#pragma once
#include "backend.hpp"
#include "dispatch.hpp"
#include "parallel.hpp"

namespace gumbelfast {

// What a call came to; lacking: it was done, but some row had less to draw than was asked for.
enum class Outcome { done, lacking, refused, interrupted };
struct Result {
  Outcome outcome;
  int64_t opened;  // tiles whose noise was computed
};

// Gumbels and exponentials: `kernel` is the backend's entry for the dtype.
Result fill(NoiseKernel kernel, const NoiseArgs&, int64_t count, const Workers&);

// index: one a row; perturbed: null, or one value a row.
Result gumbel_max(const Backend&, DType, const Logits&, const Address&, int64_t rows, int64_t* index, double* perturbed,
                  const Workers&);

// index and perturbed: k a row.
Result gumbel_top_k(const Backend&, DType, const Logits&, const Address&, int64_t rows, int64_t k, int64_t* index,
                    double* perturbed, const Workers&);

// refused for what gumbel_softmax and conditional_gumbel refuse, after they may have written some rows.
Result refuses(const Backend&, DType, const Logits&, const Workers&);

// Here `soft` may be null as well; nothing is written then before all logits were seen.
Result gumbel_softmax(const Backend&, DType, const GumbelSoftmaxArgs&, int64_t rows, const Workers&);

Result conditional_gumbel(const Backend&, DType, const ConditionalArgs&, int64_t rows, const Workers&);

Result sample_tokens(const Backend&, DType, const TokenArgs&, int64_t rows, const Workers&);

// softmax, log_softmax and logsumexp, and their backward passes: `kernel` is the backend's entry for the dtype.
Result over_rows(RowKernel kernel, const SoftmaxArgs&, int64_t rows, const Workers&);
Result over_rows(BackwardKernel kernel, const SoftmaxBackwardArgs&, int64_t rows, const Workers&);

// The alias tables of `rows` rows of `cols` bounds, 2**bits entries each.
Result alias_tables(const uint64_t* bounds, int64_t rows, int64_t cols, int bits, uint64_t* table, const Workers&);

// draw_alias and draw_inverse: `kernel` is the backend's entry.
Result over_draws(DrawKernel kernel, const DrawArgs&, int64_t count, const Workers&);

// Draws from `args.rows` rows of weights, float32 or float64, whose sums it takes; refused if some row has none.
Result draw_weights(const Backend&, DType, const DrawArgs&, int64_t count, const Workers&);

// The best labelling of each row; float32 and float64 only.
Result viterbi(const Backend&, DType, const ViterbiArgs&, int64_t rows, const Workers&);

}  // namespace gumbelfast
