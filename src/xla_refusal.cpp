#include "xla_refusal.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace ffi = xla::ffi;
using ffi::AnyBuffer, ffi::Error;

namespace gumbelfast {
namespace {

// The place of a flat index, written as Python writes it; the last axis came from `axis` places before.
std::string place(Dims dims, int64_t flat, int64_t axis) {
  std::vector<int64_t> index;
  for (size_t a = dims.size(); a-- > 0; flat /= dims[a]) index.insert(index.begin(), flat % dims[a]);
  std::rotate(index.end() - 1 - axis, index.end() - 1, index.end());
  std::string text;
  for (const int64_t i : index) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "(" + text + (index.size() == 1 ? ",)" : ")");
}

}  // namespace

int64_t product(Dims dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

double widened(const AnyBuffer& a, int64_t i) {
  const auto bits16 = [&] { return uint32_t{static_cast<const uint16_t*>(a.untyped_data())[i]}; };
  switch (a.element_type()) {
    case ffi::F64:
      return static_cast<const double*>(a.untyped_data())[i];
    case ffi::F32:
      return static_cast<const float*>(a.untyped_data())[i];
    case ffi::BF16:
      return std::bit_cast<float>(bits16() << 16);
    default: {
      const uint32_t exponent = bits16() >> 10 & 31, fraction = bits16() & 1023;
      const double size = exponent == 31 ? (fraction ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL)
                          : exponent     ? std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25)
                                         : std::ldexp(fraction, -24);
      return bits16() & 0x8000 ? -size : size;
    }
  }
}

std::string row_name(Dims rows, int64_t row) { return rows.size() <= 1 ? std::to_string(row) : place(rows, row, 0); }

Error refusal(const AnyBuffer& x, int64_t axis, int64_t least) {
  const Dims dims = x.dimensions();
  const int64_t cols = dims.back(), count = product(dims);
  for (const bool nan : {true, false})
    for (int64_t i = 0; i < count; ++i)
      if (const double v = widened(x, i); nan ? std::isnan(v) : v == HUGE_VAL)
        return Error::InvalidArgument(std::string("logits contain ") + (nan ? "NaN" : "+inf") + " at index " +
                                      place(dims, i, axis));
  for (int64_t row = 0; row < count / cols; ++row) {
    int64_t finite = 0;
    for (int64_t j = 0; j < cols; ++j) finite += std::isfinite(widened(x, row * cols + j));
    if (finite >= least) continue;
    const std::string name = row_name(dims.first(dims.size() - 1), row);
    if (least == 1) return Error::InvalidArgument("row " + name + " has no finite logit");
    return Error::InvalidArgument("k=" + std::to_string(least) + " exceeds the " + std::to_string(finite) +
                                  " allowed entries of row " + name);
  }
  return Error::InvalidArgument("logits overflow when divided by tau");
}

Error refusal_of_p(const AnyBuffer& p, int64_t distinct) {
  const Dims dims = p.dimensions();
  const int64_t count = product(dims), cols = dims.back();
  std::ostringstream text;
  for (int64_t i = 0; i < count; ++i)
    if (const double v = widened(p, i); !(v >= 0 && v < HUGE_VAL)) {
      text << "p must be finite and >= 0, got " << v << " at index " << place(dims, i, 0);
      return Error::InvalidArgument(text.str());
    }
  for (int64_t row = 0; row < count / cols; ++row) {
    int64_t positive = 0;
    double sum = 0;
    for (int64_t j = 0; j < cols; ++j) {
      const double v = widened(p, row * cols + j);
      positive += v > 0;
      sum += v;
    }
    if (distinct ? positive >= distinct : sum > 0 && sum < HUGE_VAL) continue;
    if (distinct)
      text << distinct << " draws without replacement exceed the " << positive << " positive entries of p";
    else
      text << "p sums to " << sum;
    if (dims.size() > 1) text << " in row " << row_name(dims.first(dims.size() - 1), row);
    break;
  }
  return Error::InvalidArgument(text.str());
}

}  // namespace gumbelfast
