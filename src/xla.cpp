// What a compiled JAX program calls: no Python and no GIL. Shapes and dtypes were settled by gumbelfast/jax when it
// traced.
#include "xla.hpp"

#include "xla_refusal.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../csrc/gumbelfast.hpp"

namespace gf = gumbelfast;
namespace ffi = xla::ffi;

using gf::Dims, gf::product, gf::refusal, gf::widened;

namespace {

using ffi::AnyBuffer, ffi::Error;
using Out = ffi::Result<AnyBuffer>;

Dims after(Dims dims, size_t axes) { return dims.last(dims.size() - axes); }

gf::DType dtype_of(const AnyBuffer& a) {
  switch (a.element_type()) {
    case ffi::F16:
      return gf::DType::f16;
    case ffi::BF16:
      return gf::DType::bf16;
    case ffi::F32:
      return gf::DType::f32;
    case ffi::F64:
      return gf::DType::f64;
    default:
      std::ostringstream text;
      text << "expected F16, BF16, F32 or F64, got " << a.element_type();
      throw std::invalid_argument(text.str());
  }
}

// Item n of a buffer, each of `elements` elements.
void* item(const AnyBuffer& a, int64_t n, int64_t elements) {
  return static_cast<char*>(a.untyped_data()) + n * elements * static_cast<int64_t>(ByteWidth(a.element_type()));
}

// The axes that vmap has put in front, `lead` of them: in an operand each is 1 or as long as in the result.
struct Examples {
  Dims lead;

  int64_t count() const { return product(lead); }

  // Which of an operand's own examples serves one of the result.
  int64_t in(const AnyBuffer& operand, int64_t example) const {
    const Dims dims = operand.dimensions();
    int64_t at = 0, step = 1;
    for (size_t a = lead.size(); a-- > 0; example /= lead[a]) {
      if (dims[a] > 1) at += example % lead[a] * step;
      step *= dims[a];
    }
    return at;
  }

  // A key is the number whose high word comes first, as jax.random.key(seed) lays a seed out.
  gf::Key key(const AnyBuffer& keys, int64_t example) const {
    const auto* words = static_cast<const uint32_t*>(item(keys, in(keys, example), 2));
    return {words[1], words[0]};
  }

  gf::Logits logits(const AnyBuffer& x, int64_t example, double scale) const {
    const Dims own = after(x.dimensions(), lead.size());
    return {.data = item(x, in(x, example), product(own)),
            .rows = product(own.first(own.size() - 1)),
            .cols = own.back(),
            .stride = own.back(),
            .scale = {scale}};
  }
};

struct Core {
  const gf::Backend* backend;
  int threads;
  gf::DType dtype;

  // call(example, workers) for all of them; many share the threads, a single one gets them for itself.
  template <class Call>
  bool each(int64_t examples, int64_t elements, Call call) const {
    constexpr double nanoseconds = 0.25;  // an element: a guess that no result depends on
    std::atomic<bool> good{true};
    const gf::Workers inner{examples > 1 ? 1 : threads, {}};
    const double cost = 100 + nanoseconds * static_cast<double>(elements);
    gf::parallel_for(examples, cost, {threads, {}}, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        if (call(i, inner).outcome != gf::Outcome::done) good = false;
    });
    return good;
  }
};

// call(core) with the backend of that name, for buffers of floats, the first of which has the dtype of the kernel; what
// is thrown comes out as an error of XLA's.
template <class Call>
Error with_core(std::string_view name, int64_t threads, std::initializer_list<AnyBuffer> floats, Call call) {
  static const std::vector<const gf::Backend*> usable = gf::usable_backends();
  const auto found = std::find_if(usable.begin(), usable.end(), [&](const auto* b) { return b->name == name; });
  if (found == usable.end()) return Error::InvalidArgument("no usable backend '" + std::string(name) + "'");
  try {
    for (const AnyBuffer& each : floats) dtype_of(each);
    return call(Core{*found, static_cast<int>(threads), dtype_of(*floats.begin())});
  } catch (const std::invalid_argument& error) {
    return Error::InvalidArgument(error.what());
  } catch (const std::exception& error) {
    return Error::Internal(error.what());
  }
}

// draw(index) for `count` indices of an output of 32 or 64 bits, from `first` on.
template <class Draw>
gf::Result draw_indices(const AnyBuffer& out, int64_t first, int64_t count, Draw draw) {
  if (out.element_type() == ffi::S64) return draw(static_cast<int64_t*>(out.untyped_data()) + first);
  std::vector<int64_t> wide(static_cast<size_t>(count));
  const gf::Result result = draw(wide.data());
  std::transform(wide.begin(), wide.end(), static_cast<int32_t*>(out.untyped_data()) + first,
                 [](int64_t i) { return static_cast<int32_t>(i); });
  return result;
}

Error noise(AnyBuffer keys, Out out, std::string_view backend, int64_t threads, bool exponential) {
  return with_core(backend, threads, {*out}, [&](const Core& core) {
    const Examples examples{keys.dimensions().first(keys.dimensions().size() - 1)};
    const int64_t each = product(after(out->dimensions(), examples.lead.size()));
    const auto& table = exponential ? core.backend->exponential : core.backend->gumbel;
    core.each(examples.count(), each, [&](int64_t i, const gf::Workers& workers) {
      return gf::fill(table[static_cast<int>(core.dtype)], {item(*out, i, each), 0, 1, examples.key(keys, i), 0}, each,
                      workers);
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
        const gf::Address address{examples.key(keys, i), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
        return gf::gumbel_max(*core.backend, core.dtype, examples.logits(x, i, 1), address, rows, at, nullptr, workers);
      });
    });
    return good ? Error::Success() : refusal(x, axis, 1);
  });
}

Error top_k(AnyBuffer keys, AnyBuffer x, Out index, Out perturbed, std::string_view backend, int64_t threads,
            int64_t axis) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t k = index->dimensions().back(), cols = x.dimensions().back();
    const int64_t rows = product(after(index->dimensions(), lead)) / k;
    const bool good = core.each(examples.count(), rows * cols, [&](int64_t i, const gf::Workers& workers) {
      return draw_indices(*index, i * rows * k, rows * k, [&](int64_t* at) {
        const gf::Address address{examples.key(keys, i), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
        return gf::gumbel_top_k(*core.backend, core.dtype, examples.logits(x, i, 1), address, rows, k, at,
                                item(*perturbed, i, rows * k), workers);
      });
    });
    return good ? Error::Success() : refusal(x, axis, k);
  });
}

// One result, soft or hard, or both, the hard one first.
Error gumbel_softmax(AnyBuffer keys, AnyBuffer x, AnyBuffer inv_tau, ffi::RemainingRets out, std::string_view backend,
                     int64_t threads, int64_t axis, bool hard) {
  return with_core(backend, threads, {x, inv_tau}, [&](const Core& core) {
    const AnyBuffer first = **out.get<AnyBuffer>(0), last = **out.get<AnyBuffer>(out.size() - 1);
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{first.dimensions().first(lead)};
    const int64_t each = product(after(first.dimensions(), lead)), cols = x.dimensions().back();
    for (int64_t i = 0; i < product(inv_tau.dimensions()); ++i)
      if (const double inverse = widened(inv_tau, i); !(inverse > 0 && std::isfinite(inverse)))
        return Error::InvalidArgument("tau must be finite and > 0, and 1/tau as well, got 1/tau = " +
                                      std::to_string(inverse));
    const bool good = core.each(examples.count(), 4 * each, [&](int64_t i, const gf::Workers& workers) {
      const gf::Logits logits = examples.logits(x, i, widened(inv_tau, examples.in(inv_tau, i)));
      const gf::Address address{examples.key(keys, i), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
      void* soft = hard && out.size() == 1 ? nullptr : item(last, i, each);
      void* one_hot = hard ? item(first, i, each) : nullptr;
      return gf::gumbel_softmax(*core.backend, core.dtype, {logits, address, soft, one_hot}, logits.rows, workers);
    });
    return good ? Error::Success() : refusal(x, axis, 1);
  });
}

Error softmax(AnyBuffer x, Out out, std::string_view backend, int64_t threads, bool log) {
  return with_core(backend, threads, {x}, [&](const Core& core) {
    const int64_t cols = x.dimensions().back();
    const auto& table = log ? core.backend->log_softmax : core.backend->softmax;
    gf::over_rows(table[static_cast<int>(core.dtype)], {x.untyped_data(), cols, cols, {}, out->untyped_data()},
                  product(x.dimensions()) / cols, {core.threads, {}});
    return Error::Success();
  });
}

// The leading rows take the first scale, and so on: vmap may have given each example one of its own.
Error softmax_backward(AnyBuffer grad, AnyBuffer y, AnyBuffer scale, Out out, std::string_view backend,
                       int64_t threads) {
  return with_core(backend, threads, {y, grad, scale}, [&](const Core& core) {
    if (grad.element_type() != y.element_type()) return Error::InvalidArgument("grad and y differ in dtype");
    const int64_t examples = product(scale.dimensions()), cols = y.dimensions().back();
    const int64_t each = product(y.dimensions()) / std::max<int64_t>(examples, 1);
    const auto kernel = core.backend->softmax_backward[static_cast<int>(core.dtype)];
    core.each(examples, each, [&](int64_t i, const gf::Workers& workers) {
      return gf::over_rows(kernel,
                           {.grad = item(grad, i, each),
                            .y = item(y, i, each),
                            .cols = cols,
                            .grad_stride = cols,
                            .y_stride = cols,
                            .scale = {widened(scale, i)},
                            .out = item(*out, i, each)},
                           each / cols, workers);
    });
    return Error::Success();
  });
}

#define GF_ATTRIBUTES .Attr<std::string_view>("backend").Attr<int64_t>("threads")

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
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<bool>("log"));
XLA_FFI_DEFINE_HANDLER(softmax_backward_handler, softmax_backward,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>()
                           GF_ATTRIBUTES);

#undef GF_ATTRIBUTES

}  // namespace

namespace gumbelfast {

std::vector<std::pair<const char*, void*>> xla_handlers() {
  const auto entry = [](const char* name, XLA_FFI_Handler* handler) {
    return std::pair{name, reinterpret_cast<void*>(handler)};
  };
  return {entry("noise", noise_handler),        entry("categorical", categorical_handler),
          entry("gumbel_top_k", top_k_handler), entry("gumbel_softmax", gumbel_softmax_handler),
          entry("softmax", softmax_handler),    entry("softmax_backward", softmax_backward_handler)};
}

}  // namespace gumbelfast
