// What XLA's buffers hold, and what is said of those that cannot be drawn from (csrc/diagnose.hpp).
#pragma once
#include <xla/ffi/api/ffi.h>

#include <cstdint>
#include <string>

#include "../csrc/diagnose.hpp"

namespace gumbelfast {

using Dims = xla::ffi::AnyBuffer::Dimensions;

int64_t product(Dims dims);

// Of a buffer of floats; throws for another.
DType dtype_of(const xla::ffi::AnyBuffer& a);

// A number of a buffer of floats.
double widened(const xla::ffi::AnyBuffer& a, int64_t i);

inline Shape shape_of(Dims dims) { return {dims.begin(), dims.size()}; }

// Why a kernel refused the logits, or found less than `wanted` in some row, or nothing if that is 0. The last axis came
// from `axis` places before.
xla::ffi::Error refusal(const xla::ffi::AnyBuffer& x, int64_t axis, int64_t wanted = 0);

// Success for an empty fault.
xla::ffi::Error error_of(const std::string& fault);

}  // namespace gumbelfast
