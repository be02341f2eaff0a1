// Draws from tables, draws without replacement and integers: one uniform or one Gumbel each, whatever the categories.
#include "xla_call.hpp"

#include <cmath>
#include <string_view>
#include <vector>

#include "../csrc/weights.hpp"

namespace gf = gumbelfast;
namespace ffi = xla::ffi;

using ffi::AnyBuffer, ffi::Error;
using gf::after, gf::draw_indices, gf::product, gf::refusal, gf::widened, gf::with_core;
using gf::Core, gf::Examples, gf::Out;

namespace {

// All entries of a buffer of floats.
std::vector<double> wide(const AnyBuffer& a) {
  std::vector<double> numbers(static_cast<size_t>(product(a.dimensions())));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = widened(a, static_cast<int64_t>(i));
  return numbers;
}

// Whether a row of logits can be drawn from: the largest is finite, and none is NaN.
bool usable(const double* row, int64_t cols) {
  double largest = -HUGE_VAL;
  for (int64_t j = 0; j < cols; ++j) {
    if (std::isnan(row[j])) return false;
    largest = std::max(largest, row[j]);
  }
  return std::isfinite(largest);
}

std::string fault_of(const AnyBuffer& p, int64_t distinct) {
  return gf::fault_of_weights(gf::dtype_of(p), p.untyped_data(), gf::shape_of(p.dimensions()), distinct);
}

// Draw n of an example is of row n % rows: axes of draws come before those of rows.
Error alias(AnyBuffer keys, AnyBuffer x, Out index, std::string_view backend, int64_t threads, int64_t axis,
            bool weights) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const gf::Workers all{core.threads, {}};
    const int64_t count = product(after(index->dimensions(), lead)), cols = x.dimensions().back();
    const int64_t rows = product(x.dimensions()) / cols, own = product(after(x.dimensions(), lead)) / cols;
    int bits = 1;
    while (int64_t{1} << bits < cols) ++bits;

    std::vector<double> p = wide(x);
    std::vector<uint64_t> bounds(p.size()), table(static_cast<size_t>(rows << bits));
    if (const std::string fault = weights ? fault_of(x, 0) : ""; !fault.empty()) return gf::error_of(fault);
    for (int64_t row = 0; row < rows && !weights; ++row)
      if (!usable(p.data() + row * cols, cols)) return refusal(x, axis);
    if (!weights) gf::run(core.backend->softmax, gf::DType::f64, {p.data(), cols, cols, {}, p.data()}, rows, all);
    for (int64_t row = 0; row < rows; ++row) gf::bounds_of(p.data() + row * cols, cols, bounds.data() + row * cols);
    gf::alias_tables(bounds.data(), rows, cols, bits, table.data(), all);
    core.each(examples.count(), 4 * count, [&](int64_t i, const gf::Workers& workers) {
      return draw_indices(*index, i * count, count, [&](int64_t* at) {
        const uint64_t* mine = table.data() + (examples.in(x, i) * own << bits);
        const gf::DrawArgs args{
            .table = mine, .rows = own, .cols = cols, .bits = bits, .key = examples.key(keys, i), .index = at};
        return gf::run(core.backend->draw_alias, gf::DType::f64, args, count, workers);
      });
    });
    return Error::Success();
  });
}

// The largest log(p) + g in float64, where equal values are too rare to matter.
Error distinct(AnyBuffer keys, AnyBuffer p, Out index, std::string_view backend, int64_t threads) {
  return with_core(backend, threads, {p}, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t k = index->dimensions().back(), cols = p.dimensions().back();
    if (const std::string fault = fault_of(p, k); !fault.empty()) return gf::error_of(fault);
    std::vector<double> logits = wide(p);
    for (double& v : logits) v = std::log(v);
    core.each(examples.count(), cols, [&](int64_t i, const gf::Workers& workers) {
      std::vector<double> perturbed(static_cast<size_t>(k));
      return draw_indices(*index, i * k, k, [&](int64_t* at) {
        const gf::Logits row{.data = logits.data() + examples.in(p, i) * cols, .rows = 1, .cols = cols, .stride = cols};
        const gf::SelectArgs args{row, examples.address(keys, i, cols), k, at, perturbed.data()};
        return gf::run(core.backend->gumbel_top_k, gf::DType::f64, args, 1, workers);
      });
    });
    return Error::Success();
  });
}

// Integers from 0 to `last`, a number for each example.
Error integers(AnyBuffer keys, AnyBuffer last, Out index, std::string_view backend, int64_t threads) {
  return with_core(backend, threads, {}, [&](const Core& core) {
    const Examples examples{index->dimensions().first(keys.dimensions().size() - 1)};
    const int64_t count = product(after(index->dimensions(), examples.lead.size()));
    const bool is_long = last.element_type() == ffi::S64;
    if (!is_long && last.element_type() != ffi::S32) return Error::InvalidArgument("expected S32 or S64");
    core.each(examples.count(), 8 * count, [&](int64_t i, const gf::Workers& workers) {
      const int64_t from = examples.in(last, i);
      const auto below = 1 + static_cast<uint64_t>(is_long ? static_cast<const int64_t*>(last.untyped_data())[from]
                                                           : static_cast<const int32_t*>(last.untyped_data())[from]);
      return draw_indices(*index, i * count, count, [&](int64_t* at) {
        return gf::run(core.backend->draw_integers, gf::DType::f64,
                       {.below = below, .key = examples.key(keys, i), .index = at}, count, workers);
      });
    });
    return Error::Success();
  });
}

XLA_FFI_DEFINE_HANDLER(
    alias_handler, alias,
    ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<int64_t>("axis").Attr<bool>(
        "weights"));
XLA_FFI_DEFINE_HANDLER(distinct_handler, distinct,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER(integers_handler, integers,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES);

}  // namespace

namespace gumbelfast {

Handlers choice_handlers() {
  return {named("alias", alias_handler), named("distinct", distinct_handler), named("integers", integers_handler)};
}

}  // namespace gumbelfast
