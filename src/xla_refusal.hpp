// What XLA's buffers hold, and what is said of logits that a kernel refused.
#pragma once
#include <xla/ffi/api/ffi.h>

#include <cstdint>

namespace gumbelfast {

using Dims = xla::ffi::AnyBuffer::Dimensions;

int64_t product(Dims dims);

// A number of a buffer; of the half types no more than whether it is finite, and else what it is.
double widened(const xla::ffi::AnyBuffer& a, int64_t i);

// Says why a kernel refused the logits, in the words of gumbelfast/_engine/checks.py. A row needs `least` finite entries;
// the last axis came from `axis` places before.
xla::ffi::Error refusal(const xla::ffi::AnyBuffer& x, int64_t axis, int64_t least);

}  // namespace gumbelfast
