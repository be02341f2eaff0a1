#include "xla_refusal.hpp"

#include <sstream>
#include <stdexcept>

namespace ffi = xla::ffi;
using ffi::AnyBuffer, ffi::Error;

namespace gumbelfast {

int64_t product(Dims dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

DType dtype_of(const AnyBuffer& a) {
  switch (a.element_type()) {
    case ffi::F16:
      return DType::f16;
    case ffi::BF16:
      return DType::bf16;
    case ffi::F32:
      return DType::f32;
    case ffi::F64:
      return DType::f64;
    default:
      std::ostringstream text;
      text << "expected F16, BF16, F32 or F64, got " << a.element_type();
      throw std::invalid_argument(text.str());
  }
}

double widened(const AnyBuffer& a, int64_t i) { return widened(dtype_of(a), a.untyped_data(), i); }

Error refusal(const AnyBuffer& x, int64_t axis, int64_t wanted) {
  const int64_t cols = x.dimensions().back();
  const Logits rows{.data = x.untyped_data(), .rows = product(x.dimensions()) / cols, .cols = cols, .stride = cols};
  return error_of(words_of(diagnose(dtype_of(x), rows, wanted), shape_of(x.dimensions()), axis, wanted, "", ""));
}

Error error_of(const std::string& fault) { return fault.empty() ? Error::Success() : Error::InvalidArgument(fault); }

}  // namespace gumbelfast
