// Running sums of rows of weights, built once without special flags: additions in order, which no vector helps.
#pragma once
#include <cstdint>

namespace gumbelfast {

inline constexpr int64_t weights_a_sum = 16;  // a draw adds up at most as many

// static: an inline function would be shared between instruction sets by the linker.
static constexpr int64_t sums_of(int64_t cols) { return (cols + weights_a_sum - 1) / weights_a_sum + 1; }

// The sum before each `weights_a_sum` weights of a row, and that of all. False unless weights are >= 0 and their sum is
// positive and finite.
template <class T>
bool sum_weights(const T* weights, int64_t cols, double* sums);

// The bounds of such a row (docs/stream.md, "From uniforms to categories").
template <class T>
void bounds_of(const T* weights, int64_t cols, uint64_t* bounds);

// How many bounds are at most the first of each of 2**bits equal parts of the uniforms, bits >= 1.
void guide_of(const uint64_t* bounds, int bits, int64_t* guide);

}  // namespace gumbelfast
