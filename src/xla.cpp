// What a compiled JAX program calls: no Python and no GIL. Shapes and dtypes were settled by gumbelfast/jax when it
// traced.
#include "xla.hpp"

#include "xla_call.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace gf = gumbelfast;
namespace ffi = xla::ffi;

using ffi::AnyBuffer, ffi::Error;
using gf::after, gf::draw_indices, gf::item, gf::product, gf::refusal, gf::widened, gf::with_core;
using gf::Core, gf::Examples, gf::Out;

namespace {

Error noise(AnyBuffer keys, Out out, std::string_view backend, int64_t threads, bool exponential) {
  return with_core(backend, threads, {*out}, [&](const Core& core) {
    const Examples examples{keys.dimensions().first(keys.dimensions().size() - 1)};
    const int64_t each = product(after(out->dimensions(), examples.lead.size()));
    const auto& kernels = exponential ? core.backend->exponential : core.backend->gumbel;
    core.each(examples.count(), each, [&](int64_t i, const gf::Workers& workers) {
      return gf::run(kernels, core.dtype, {item(*out, i, each), 0, 1, examples.key(keys, i), 0}, each, workers);
    });
    return Error::Success();
  });
}

Error categorical(AnyBuffer keys, AnyBuffer x, Out index, std::string_view backend, int64_t threads, int64_t axis) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t rows = product(after(index->dimensions(), lead)), cols = x.dimensions().back();
    const bool good = core.each(examples.count(), rows * cols, [&](int64_t i, const gf::Workers& workers) {
      return draw_indices(*index, i * rows, rows, [&](int64_t* at) {
        const gf::SelectArgs args{examples.logits(x, i), examples.address(keys, i, cols), 1, at, nullptr};
        return gf::run(core.backend->gumbel_max, core.dtype, args, rows, workers);
      });
    });
    return good ? Error::Success() : refusal(x, axis);
  });
}

Error top_k(AnyBuffer keys, AnyBuffer x, Out index, Out perturbed, std::string_view backend, int64_t threads,
            int64_t axis) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t k = index->dimensions().back(), cols = x.dimensions().back();
    if (k > cols) return refusal(x, axis, k);  // which a program of symbolic shapes learns when it runs
    const int64_t rows = product(after(index->dimensions(), lead)) / k;
    const bool good = core.each(examples.count(), rows * cols, [&](int64_t i, const gf::Workers& workers) {
      std::vector<double> values(static_cast<size_t>(rows * k));
      const gf::Result drawn = draw_indices(*index, i * rows * k, rows * k, [&](int64_t* at) {
        const gf::SelectArgs args{examples.logits(x, i), examples.address(keys, i, cols), k, at, values.data()};
        return gf::run(core.backend->gumbel_top_k, core.dtype, args, rows, workers);
      });
      // XLA has float64 only where it is asked for: other values are rounded to the working type.
      void* const out = item(*perturbed, i, rows * k);
      if (core.dtype == gf::DType::f64)
        std::copy(values.begin(), values.end(), static_cast<double*>(out));
      else
        std::transform(values.begin(), values.end(), static_cast<float*>(out),
                       [](double v) { return static_cast<float>(v); });
      return drawn;
    });
    return good ? Error::Success() : refusal(x, axis, k);
  });
}

// Numbers of a buffer, `repeats` of each.
std::vector<double> repeated(const AnyBuffer& a, int64_t first, int64_t count, int64_t repeats) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < count * repeats; ++i) numbers.push_back(widened(a, first + i / repeats));
  return numbers;
}

// One result, soft or hard, or both, the hard one first. 1/tau is one number, or one per row.
Error gumbel_softmax(AnyBuffer keys, AnyBuffer x, AnyBuffer inv_tau, ffi::RemainingRets out, std::string_view backend,
                     int64_t threads, int64_t axis, bool hard) {
  return with_core(backend, threads, {x, inv_tau}, [&](const Core& core) {
    const AnyBuffer first = **out.get<AnyBuffer>(0), last = **out.get<AnyBuffer>(out.size() - 1);
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{first.dimensions().first(lead)};
    const int64_t each = product(after(first.dimensions(), lead)), cols = x.dimensions().back();
    const gf::Dims own = after(inv_tau.dimensions(), lead);
    const std::string fault =
        gf::fault_of_inverses(gf::dtype_of(inv_tau), inv_tau.untyped_data(), gf::shape_of(inv_tau.dimensions()));
    if (!fault.empty()) return gf::error_of(fault);
    const bool good = core.each(examples.count(), 4 * each, [&](int64_t i, const gf::Workers& workers) {
      const std::vector<double> scales = repeated(inv_tau, examples.in(inv_tau, i) * product(own), product(own), 1);
      gf::Logits logits = examples.logits(x, i);
      logits.scale = own.size() ? gf::Scale{1, scales.data()} : gf::Scale{scales[0]};
      void* soft = hard && out.size() == 1 ? nullptr : item(last, i, each);
      void* one_hot = hard ? item(first, i, each) : nullptr;
      return gf::gumbel_softmax(*core.backend, core.dtype, {logits, examples.address(keys, i, cols), soft, one_hot},
                                logits.rows, workers);
    });
    return good ? Error::Success() : refusal(x, axis);
  });
}

// softmax, log_softmax or logsumexp.
Error softmax(AnyBuffer x, Out out, std::string_view backend, int64_t threads, std::string_view kernel) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const int64_t cols = x.dimensions().back();
    const auto& kernels = kernel == "softmax"       ? core.backend->softmax
                          : kernel == "log_softmax" ? core.backend->log_softmax
                                                    : core.backend->logsumexp;
    gf::run(kernels, core.dtype, {x.untyped_data(), cols, cols, {}, out->untyped_data()},
            product(x.dimensions()) / cols, {core.threads, {}});
    return Error::Success();
  });
}

// The leading rows take the first scale, and so on: vmap may have given each example one of its own.
Error softmax_backward(AnyBuffer grad, AnyBuffer y, AnyBuffer scale, Out out, std::string_view backend,
                       int64_t threads) {
  return with_core(backend, threads, {y, grad, scale}, [&](const Core& core) {
    if (grad.element_type() != y.element_type()) return Error::InvalidArgument("grad and y differ in dtype");
    const int64_t scales = product(scale.dimensions()), cols = y.dimensions().back();
    const int64_t rows = product(y.dimensions()) / cols;
    const std::vector<double> each = repeated(scale, 0, scales, scales > 1 ? rows / scales : scales);
    gf::run(core.backend->softmax_backward, core.dtype,
            {.grad = grad.untyped_data(),
             .y = y.untyped_data(),
             .cols = cols,
             .grad_stride = cols,
             .y_stride = cols,
             .scale = scales > 1 ? gf::Scale{1, each.data()} : gf::Scale{scales ? each[0] : 1},
             .out = out->untyped_data()},
            rows, {core.threads, {}});
    return Error::Success();
  });
}

XLA_FFI_DEFINE_HANDLER(noise_handler, noise,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<bool>("exponential"));
XLA_FFI_DEFINE_HANDLER(categorical_handler, categorical,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>()
                           GF_ATTRIBUTES.Attr<int64_t>("axis"));
XLA_FFI_DEFINE_HANDLER(
    top_k_handler, top_k,
    ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>().Ret<AnyBuffer>()
        GF_ATTRIBUTES.Attr<int64_t>("axis"));
XLA_FFI_DEFINE_HANDLER(gumbel_softmax_handler, gumbel_softmax,
                       ffi::Ffi::Bind()
                           .Arg<AnyBuffer>()
                           .Arg<AnyBuffer>()
                           .Arg<AnyBuffer>()
                           .RemainingRets() GF_ATTRIBUTES.Attr<int64_t>("axis")
                           .Attr<bool>("hard"));
XLA_FFI_DEFINE_HANDLER(softmax_handler, softmax,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Ret<AnyBuffer>()
                           GF_ATTRIBUTES.Attr<std::string_view>("kernel"));
XLA_FFI_DEFINE_HANDLER(softmax_backward_handler, softmax_backward,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>()
                           GF_ATTRIBUTES);

}  // namespace

namespace gumbelfast {

std::vector<std::pair<const char*, void*>> xla_handlers() {
  Handlers all = {named("noise", noise_handler),        named("categorical", categorical_handler),
                  named("gumbel_top_k", top_k_handler), named("gumbel_softmax", gumbel_softmax_handler),
                  named("softmax", softmax_handler),    named("softmax_backward", softmax_backward_handler)};
  for (const auto& each : choice_handlers()) all.push_back(each);
  return all;
}

}  // namespace gumbelfast
