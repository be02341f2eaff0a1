#include "diagnose.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

namespace gumbelfast {
namespace {

int64_t size_of(Shape shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

// A place as Python writes it.
std::string tuple_of(const std::vector<int64_t>& place) {
  std::string text;
  for (const int64_t i : place) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "(" + text + (place.size() == 1 ? ",)" : ")");
}

std::string place_of(Shape shape, int64_t flat, int64_t axis) {
  std::vector<int64_t> place(shape.size());
  for (size_t a = shape.size(); a-- > 0; flat /= shape[a]) place[a] = flat % shape[a];
  if (!place.empty()) std::rotate(place.end() - 1 - axis, place.end() - 1, place.end());
  return tuple_of(place);
}

// A row by its number where there is one axis of rows, else by its place.
std::string row_of(Shape rows, int64_t row) { return rows.size() <= 1 ? std::to_string(row) : place_of(rows, row, 0); }

Shape rows_of(Shape shape) { return shape.first(shape.empty() ? 0 : shape.size() - 1); }

// As programs of XLA have always said it.
std::string text_of(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

bool is_weight(double v) { return v >= 0 && v < HUGE_VAL; }

}  // namespace

double widened(DType dtype, const void* data, int64_t i) {
  const auto bits16 = [&] { return uint32_t{static_cast<const uint16_t*>(data)[i]}; };
  switch (dtype) {
    case DType::f64:
      return static_cast<const double*>(data)[i];
    case DType::f32:
      return static_cast<const float*>(data)[i];
    case DType::bf16:
      return std::bit_cast<float>(bits16() << 16);
    case DType::f16:
      break;
  }
  const uint32_t exponent = bits16() >> 10 & 31, fraction = bits16() & 1023;
  const double size = exponent == 31 ? (fraction ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL)
                      : exponent     ? std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25)
                                     : std::ldexp(fraction, -24);
  return bits16() & 0x8000 ? -size : size;
}

Diagnosis diagnose(DType dtype, const Logits& logits, int64_t wanted) {
  const int64_t cols = logits.cols;
  const auto at = [&](int64_t row, int64_t j) {
    const bool allowed = !logits.mask || logits.mask[(logits.mask_per_row ? row * cols : 0) + j];
    return allowed ? widened(dtype, logits.data, row * logits.stride + j) : -HUGE_VAL;
  };
  for (const bool nan : {true, false})
    for (int64_t row = 0; row < logits.rows; ++row)
      for (int64_t j = 0; j < cols; ++j)
        if (const double v = at(row, j); nan ? std::isnan(v) : v == HUGE_VAL)
          return {nan ? Fault::nan : Fault::infinite, row, j};
  for (int64_t row = 0; row < logits.rows; ++row) {
    int64_t finite = 0;
    for (int64_t j = 0; j < cols; ++j) finite += std::isfinite(at(row, j));
    if (finite < std::max<int64_t>(wanted, 1)) return {wanted ? Fault::few : Fault::empty, row, 0, finite};
  }
  return {Fault::overflow};
}

std::string words_of(const Diagnosis& found, Shape shape, int64_t axis, int64_t wanted, const std::string& what,
                     const std::string& owner) {
  const std::string row = "row " + row_of(rows_of(shape), found.row) + owner;
  switch (found.fault) {
    case Fault::nan:
    case Fault::infinite:
      return std::string("logits contain ") + (found.fault == Fault::nan ? "NaN" : "+inf") + " at index " +
             place_of(shape, found.row * (shape.empty() ? 1 : shape.back()) + found.column, axis) + owner;
    case Fault::empty:
      return row + " has no finite logit";
    case Fault::few:
      return "k=" + std::to_string(wanted) + " exceeds the " + std::to_string(found.count) + " " +
             (what.empty() ? "allowed entries" : what) + " of " + row;
    case Fault::overflow:
      break;
  }
  return "logits overflow when divided by tau";
}

std::string fault_of_weights(DType dtype, const void* weights, Shape shape, int64_t distinct) {
  const int64_t count = size_of(shape), cols = shape.back();
  for (int64_t i = 0; i < count; ++i)
    if (const double v = widened(dtype, weights, i); !is_weight(v))
      return "p must be finite and >= 0, got " + text_of(v) + " at index " + place_of(shape, i, 0);
  for (int64_t row = 0; row < count / cols; ++row) {
    int64_t positive = 0;
    double sum = 0;
    for (int64_t j = 0; j < cols; ++j) {
      const double v = widened(dtype, weights, row * cols + j);
      positive += v > 0;
      sum += v;
    }
    if (distinct ? positive >= distinct : sum > 0 && sum < HUGE_VAL) continue;
    const std::string what = distinct ? std::to_string(distinct) + " draws without replacement exceed the " +
                                            std::to_string(positive) + " positive entries of p"
                                      : "p sums to " + text_of(sum);
    return shape.size() > 1 ? what + " in row " + row_of(rows_of(shape), row) : what;
  }
  return "";
}

std::string fault_of_inverses(DType dtype, const void* inverses, Shape shape) {
  for (int64_t i = 0; i < size_of(shape); ++i)
    if (const double inverse = widened(dtype, inverses, i); !(inverse > 0 && std::isfinite(inverse)))
      return "tau must be finite and > 0, and 1/tau as well, got 1/tau = " + text_of(inverse) +
             (shape.empty() ? "" : " in row " + row_of(shape, i));
  return "";
}

}  // namespace gumbelfast
