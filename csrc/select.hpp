// Selection and sorting for the kernels, compiled once without special flags: the standard algorithms are templates,
// and a copy of them built for a newer CPU must never be the one that the linker keeps.
#pragma once
#include <cstdint>

namespace gumbelfast {

template <class T>
struct Entry {
  T value;
  int64_t index;
};

// The k-th largest of n values, 1 <= k <= n; reorders them.
float kth_largest(float* values, int64_t n, int64_t k);
double kth_largest(double* values, int64_t n, int64_t k);

// Moves the k largest entries to the front, the lower index first among equals; in no order.
void keep_largest(Entry<float>* entries, int64_t n, int64_t k);
void keep_largest(Entry<double>* entries, int64_t n, int64_t k);

// Sorts, the largest first, the lower index first among equals.
void sort_entries(Entry<float>* entries, int64_t n);
void sort_entries(Entry<double>* entries, int64_t n);

}  // namespace gumbelfast
