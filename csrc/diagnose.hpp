// Why rows were refused, found after the fact and worded once for all who call kernels.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "args.hpp"

namespace gumbelfast {

// Sizes of the axes of an array, the one that kernels sample along last.
using Shape = std::span<const int64_t>;

// A number of an array.
double widened(DType, const void* data, int64_t i);

// nan, infinite: at (row, column). empty: a row without a finite logit. few: a row of `count` finite ones, which is
// less than was asked for. overflow: what is left, where the logits themselves are good.
enum class Fault { nan, infinite, empty, few, overflow };

struct Diagnosis {
  Fault fault;
  int64_t row = 0, column = 0, count = 0;
};

// The first NaN among what the mask allows, else the first +inf, else the first row of fewer than `wanted` finite
// logits; of none, where `wanted` is 0.
Diagnosis diagnose(DType, const Logits&, int64_t wanted);

// `what` names the entries of which there are too few, `owner` whom the place belongs to; either may be empty. The last
// axis came from `axis` places before.
std::string words_of(const Diagnosis&, Shape, int64_t axis, int64_t wanted, const std::string& what,
                     const std::string& owner);

// Why rows of weights, the last axis, cannot be drawn from: `distinct` draws without replacement, or with it if 0.
// Empty if they can.
std::string fault_of_weights(DType, const void* weights, Shape, int64_t distinct);

// Why reciprocals of temperatures, one or one per row, are none; empty if they are.
std::string fault_of_inverses(DType, const void* inverses, Shape);

}  // namespace gumbelfast
