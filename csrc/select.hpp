// Sorting for the kernels, compiled once without special flags: the standard algorithms are templates, and a copy of
// them built for a newer CPU must never be the one that the linker keeps.
#pragma once
#include <cstdint>

namespace gumbelfast {

// Sorts values with their columns, the largest value first, the lower column first among equals.
void sort_descending(float* value, uint32_t* column, int64_t n);
// With rests, where they are given, these go along and decide among equal values.
void sort_descending(double* value, uint64_t* column, int64_t n, double* rest = nullptr);

}  // namespace gumbelfast
