#include "select.hpp"

#include <algorithm>
#include <functional>

namespace gumbelfast {
namespace {

template <class T>
bool before(const Entry<T>& a, const Entry<T>& b) {
  return a.value != b.value ? a.value > b.value : a.index < b.index;
}

template <class T>
T kth(T* values, int64_t n, int64_t k) {
  std::nth_element(values, values + k - 1, values + n, std::greater<T>());
  return values[k - 1];
}

template <class T>
void keep(Entry<T>* entries, int64_t n, int64_t k) {
  if (k < n) std::nth_element(entries, entries + k, entries + n, before<T>);
}

}  // namespace

float kth_largest(float* values, int64_t n, int64_t k) { return kth(values, n, k); }
double kth_largest(double* values, int64_t n, int64_t k) { return kth(values, n, k); }
void keep_largest(Entry<float>* entries, int64_t n, int64_t k) { keep(entries, n, k); }
void keep_largest(Entry<double>* entries, int64_t n, int64_t k) { keep(entries, n, k); }
void sort_entries(Entry<float>* entries, int64_t n) { std::sort(entries, entries + n, before<float>); }
void sort_entries(Entry<double>* entries, int64_t n) { std::sort(entries, entries + n, before<double>); }

}  // namespace gumbelfast
