// What XLA's buffers hold, and what is said of logits that a kernel refused.
#pragma once
#include <xla/ffi/api/ffi.h>

#include <cstdint>
#include <string>

namespace gumbelfast {

using Dims = xla::ffi::AnyBuffer::Dimensions;

int64_t product(Dims dims);

// A number of a buffer of floats.
double widened(const xla::ffi::AnyBuffer& a, int64_t i);

// Says why a kernel refused the logits, in the words of gumbelfast/_engine/checks.py. A row needs `least` finite
// entries; the last axis came from `axis` places before.
xla::ffi::Error refusal(const xla::ffi::AnyBuffer& x, int64_t axis, int64_t least);

// The same of the weights of a choice, one row for each example that vmap has put in front; `distinct`: how many draws
// without replacement, 0 for such with it.
xla::ffi::Error refusal_of_p(const xla::ffi::AnyBuffer& p, int64_t distinct);

// A row as gumbelfast/_engine/checks.py names it: its number where there is one axis of rows, else its place.
std::string row_name(Dims rows, int64_t row);

}  // namespace gumbelfast
