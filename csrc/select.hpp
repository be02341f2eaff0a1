// Sorting for the kernels, compiled once without special flags: the standard algorithms are templates, and a copy of
// them built for a newer CPU must never be the one that the linker keeps.
#pragma once
#include <cstdint>

namespace gumbelfast {

// Sorts values with the errors of their rounding and their columns: the largest value first, of equal ones the one with
// the largest rest, then the one with the lowest column.
void sort_descending(double* value, double* rest, uint64_t* column, int64_t n);

}  // namespace gumbelfast
