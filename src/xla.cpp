// What a compiled JAX program calls: no Python and no GIL. Shapes and dtypes were settled by gumbelfast/jax when it traced.
#include "xla.hpp"

#include <xla/ffi/api/ffi.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <string>
#include <string_view>

#include "../csrc/gumbelfast.hpp"

namespace gf = gumbelfast;
namespace ffi = xla::ffi;

namespace {

using ffi::AnyBuffer, ffi::Error;
using Out = ffi::Result<AnyBuffer>;
using Dims = AnyBuffer::Dimensions;

int64_t product(Dims dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

Dims after(Dims dims, size_t axes) { return dims.last(dims.size() - axes); }

gf::DType dtype_of(const AnyBuffer& a) {
  const ffi::DataType type = a.element_type();
  return type == ffi::F64    ? gf::DType::f64
         : type == ffi::F16  ? gf::DType::f16
         : type == ffi::BF16 ? gf::DType::bf16
                             : gf::DType::f32;
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
    return {item(x, in(x, example), product(own)), product(own.first(own.size() - 1)), own.back(), nullptr, false,
            scale};
  }
};

struct Core {
  const gf::Backend* backend;
  int threads;

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

// call(core) with the backend of that name; what it throws comes out as an error of XLA's.
template <class Call>
Error with_core(std::string_view name, int64_t threads, Call call) {
  static const std::vector<const gf::Backend*> usable = gf::usable_backends();
  const auto found = std::find_if(usable.begin(), usable.end(), [&](const auto* b) { return b->name == name; });
  if (found == usable.end()) return Error::InvalidArgument("no usable backend '" + std::string(name) + "'");
  try {
    return call(Core{*found, static_cast<int>(threads)});
  } catch (const std::exception& error) {
    return Error::Internal(error.what());
  }
}

// A number of a buffer; of the half types no more than whether it is finite, and else what it is.
double widened(const AnyBuffer& a, int64_t i) {
  const auto bits16 = [&] { return static_cast<const uint16_t*>(a.untyped_data())[i]; };
  switch (a.element_type()) {
    case ffi::F64:
      return static_cast<const double*>(a.untyped_data())[i];
    case ffi::F32:
      return static_cast<const float*>(a.untyped_data())[i];
    default: {
      const uint16_t exponent = a.element_type() == ffi::F16 ? 0x7C00 : 0x7F80;
      if ((bits16() & exponent) != exponent) return 0;
      if (bits16() & 0x7FFF & ~exponent) return std::numeric_limits<double>::quiet_NaN();
      return bits16() & 0x8000 ? -HUGE_VAL : HUGE_VAL;
    }
  }
}

// The place of a flat index, written as Python writes it; the last axis came from `axis` places before.
std::string place(Dims dims, int64_t flat, int64_t axis) {
  std::vector<int64_t> index;
  for (size_t a = dims.size(); a-- > 0; flat /= dims[a]) index.insert(index.begin(), flat % dims[a]);
  std::rotate(index.end() - 1 - axis, index.end() - 1, index.end());
  std::string text;
  for (const int64_t i : index) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "(" + text + (index.size() == 1 ? ",)" : ")");
}

// Says why a kernel refused the logits, in the words of gumbelfast/_validate.py. A row needs `least` finite entries.
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
    const std::string name =
        dims.size() <= 2 ? std::to_string(row) : place(dims.first(dims.size() - 1), row, 0);
    if (least == 1) return Error::InvalidArgument("row " + name + " has no finite logit");
    return Error::InvalidArgument("k=" + std::to_string(least) + " exceeds the " + std::to_string(finite) +
                                  " allowed entries of row " + name);
  }
  return Error::InvalidArgument("logits overflow when divided by tau");
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
  return with_core(backend, threads, [&](const Core& core) {
    const Examples examples{keys.dimensions().first(keys.dimensions().size() - 1)};
    const int64_t each = product(after(out->dimensions(), examples.lead.size()));
    const auto& table = exponential ? core.backend->exponential : core.backend->gumbel;
    core.each(examples.count(), each, [&](int64_t i, const gf::Workers& workers) {
      return gf::fill(table[static_cast<int>(dtype_of(*out))],
                      {item(*out, i, each), 0, 1, examples.key(keys, i), 0}, each, workers);
    });
    return Error::Success();
  });
}

Error categorical(AnyBuffer keys, AnyBuffer x, Out index, std::string_view backend, int64_t threads, int64_t axis) {
  return with_core(backend, threads, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t rows = product(after(index->dimensions(), lead)), cols = x.dimensions().back();
    const bool good = core.each(examples.count(), rows * cols, [&](int64_t i, const gf::Workers& workers) {
      return draw_indices(*index, i * rows, rows, [&](int64_t* at) {
        const gf::Address address{examples.key(keys, i), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
        return gf::gumbel_max(*core.backend, dtype_of(x), examples.logits(x, i, 1), address, rows, at, nullptr,
                              workers);
      });
    });
    return good ? Error::Success() : refusal(x, axis, 1);
  });
}

Error top_k(AnyBuffer keys, AnyBuffer x, Out index, Out perturbed, std::string_view backend, int64_t threads,
            int64_t axis) {
  return with_core(backend, threads, [&](const Core& core) {
    const size_t lead = keys.dimensions().size() - 1;
    const Examples examples{index->dimensions().first(lead)};
    const int64_t k = index->dimensions().back(), cols = x.dimensions().back();
    const int64_t rows = product(after(index->dimensions(), lead)) / k;
    const bool good = core.each(examples.count(), rows * cols, [&](int64_t i, const gf::Workers& workers) {
      return draw_indices(*index, i * rows * k, rows * k, [&](int64_t* at) {
        const gf::Address address{examples.key(keys, i), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
        return gf::gumbel_top_k(*core.backend, dtype_of(x), examples.logits(x, i, 1), address, rows, k, at,
                                item(*perturbed, i, rows * k), workers);
      });
    });
    return good ? Error::Success() : refusal(x, axis, k);
  });
}

// One result, soft or hard, or both, the hard one first.
Error gumbel_softmax(AnyBuffer keys, AnyBuffer x, AnyBuffer inv_tau, ffi::RemainingRets out, std::string_view backend,
                     int64_t threads, int64_t axis, bool hard) {
  return with_core(backend, threads, [&](const Core& core) {
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
      return gf::gumbel_softmax(*core.backend, dtype_of(x), {logits, address, soft, one_hot}, logits.rows, workers);
    });
    return good ? Error::Success() : refusal(x, axis, 1);
  });
}

Error softmax(AnyBuffer x, Out out, std::string_view backend, int64_t threads, bool log) {
  return with_core(backend, threads, [&](const Core& core) {
    const int64_t cols = x.dimensions().back();
    const auto& table = log ? core.backend->log_softmax : core.backend->softmax;
    gf::over_rows(table[static_cast<int>(dtype_of(x))], {x.untyped_data(), cols, 1, out->untyped_data()},
                  product(x.dimensions()) / cols, {core.threads, {}});
    return Error::Success();
  });
}

#define GF_ATTRIBUTES .Attr<std::string_view>("backend").Attr<int64_t>("threads")

XLA_FFI_DEFINE_HANDLER(noise_handler, noise,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<bool>("exponential"));
XLA_FFI_DEFINE_HANDLER(
    categorical_handler, categorical,
    ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<int64_t>("axis"));
XLA_FFI_DEFINE_HANDLER(top_k_handler, top_k,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Ret<AnyBuffer>().Ret<AnyBuffer>()
                           GF_ATTRIBUTES.Attr<int64_t>("axis"));
XLA_FFI_DEFINE_HANDLER(
    gumbel_softmax_handler, gumbel_softmax,
    ffi::Ffi::Bind().Arg<AnyBuffer>().Arg<AnyBuffer>().Arg<AnyBuffer>().RemainingRets() GF_ATTRIBUTES
        .Attr<int64_t>("axis")
        .Attr<bool>("hard"));
XLA_FFI_DEFINE_HANDLER(softmax_handler, softmax,
                       ffi::Ffi::Bind().Arg<AnyBuffer>().Ret<AnyBuffer>() GF_ATTRIBUTES.Attr<bool>("log"));

#undef GF_ATTRIBUTES

}  // namespace

namespace gumbelfast {

std::vector<std::pair<const char*, void*>> xla_handlers() {
  const auto entry = [](const char* name, XLA_FFI_Handler* handler) {
    return std::pair{name, reinterpret_cast<void*>(handler)};
  };
  return {entry("noise", noise_handler), entry("categorical", categorical_handler),
          entry("gumbel_top_k", top_k_handler), entry("gumbel_softmax", gumbel_softmax_handler),
          entry("softmax", softmax_handler)};
}

}  // namespace gumbelfast
