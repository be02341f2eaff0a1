// What the handlers share: the backend of a call, the examples that vmap has put in front, keys, indices of 32 bits.
#pragma once
#include "xla_refusal.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../csrc/run.hpp"

#define GF_ATTRIBUTES .Attr<std::string_view>("backend").Attr<int64_t>("threads")

namespace gumbelfast {

using Out = xla::ffi::Result<xla::ffi::AnyBuffer>;

inline Dims after(Dims dims, size_t axes) { return dims.last(dims.size() - axes); }

// Item n of a buffer, each of `elements` elements.
inline void* item(const xla::ffi::AnyBuffer& a, int64_t n, int64_t elements) {
  return static_cast<char*>(a.untyped_data()) + n * elements * static_cast<int64_t>(ByteWidth(a.element_type()));
}

// The axes that vmap has put in front, `lead` of them: in an operand each is 1 or as long as in the result.
struct Examples {
  Dims lead;

  int64_t count() const { return product(lead); }

  // Which of an operand's own examples serves one of the result.
  int64_t in(const xla::ffi::AnyBuffer& operand, int64_t example) const {
    const Dims dims = operand.dimensions();
    int64_t at = 0, step = 1;
    for (size_t a = lead.size(); a-- > 0; example /= lead[a]) {
      if (dims[a] > 1) at += example % lead[a] * step;
      step *= dims[a];
    }
    return at;
  }

  // A key is the number whose high word comes first, as jax.random.key(seed) lays a seed out.
  Key key(const xla::ffi::AnyBuffer& keys, int64_t example) const {
    const auto* words = static_cast<const uint32_t*>(item(keys, in(keys, example), 2));
    return {words[1], words[0]};
  }

  // The noise of the key from element 0 on.
  Address address(const xla::ffi::AnyBuffer& keys, int64_t example, int64_t cols) const {
    return {key(keys, example), 0, static_cast<uint64_t>(cols), nullptr, nullptr};
  }

  // The rows of an example.
  Logits logits(const xla::ffi::AnyBuffer& x, int64_t example) const {
    const Dims own = after(x.dimensions(), lead.size());
    return {.data = item(x, in(x, example), product(own)),
            .rows = product(own.first(own.size() - 1)),
            .cols = own.back(),
            .stride = own.back()};
  }
};

struct Core {
  const Backend* backend;
  int threads;
  DType dtype;

  // call(example, workers) for all of them; many share the threads, a single one gets them for itself.
  template <class Call>
  bool each(int64_t examples, int64_t elements, Call call) const {
    constexpr double nanoseconds = 0.25;  // an element: a guess that no result depends on
    std::atomic<bool> good{true};
    const Workers inner{examples > 1 ? 1 : threads, {}};
    const double cost = 100 + nanoseconds * static_cast<double>(elements);
    parallel_for(examples, cost, {threads, {}}, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        if (call(i, inner).outcome != Outcome::done) good = false;
    });
    return good;
  }
};

// call(core) with the backend of that name, for buffers of floats, the first of which has the dtype of the kernel; what
// is thrown comes out as an error of XLA's. A program exported on another machine may name a backend that this one does
// not have: all return the same bytes.
template <class Call>
xla::ffi::Error with_core(std::string_view name, int64_t threads, std::initializer_list<xla::ffi::AnyBuffer> floats,
                          Call call) {
  using xla::ffi::Error;
  static const std::vector<const Backend*> usable = usable_backends();
  const auto named = std::find_if(usable.begin(), usable.end(), [&](const auto* b) { return b->name == name; });
  const Backend* const backend = named == usable.end() ? usable.front() : *named;
  try {
    for (const xla::ffi::AnyBuffer& each : floats) dtype_of(each);
    return call(Core{backend, static_cast<int>(threads), floats.size() ? dtype_of(*floats.begin()) : DType::f32});
  } catch (const std::invalid_argument& error) {
    return Error::InvalidArgument(error.what());
  } catch (const std::exception& error) {
    return Error::Internal(error.what());
  }
}

// draw(index) for `count` indices of an output of 32 or 64 bits, from `first` on.
template <class Draw>
Result draw_indices(const xla::ffi::AnyBuffer& out, int64_t first, int64_t count, Draw draw) {
  if (out.element_type() == xla::ffi::S64) return draw(static_cast<int64_t*>(out.untyped_data()) + first);
  std::vector<int64_t> wide(static_cast<size_t>(count));
  const Result result = draw(wide.data());
  std::transform(wide.begin(), wide.end(), static_cast<int32_t*>(out.untyped_data()) + first,
                 [](int64_t i) { return static_cast<int32_t>(i); });
  return result;
}

using Handlers = std::vector<std::pair<const char*, void*>>;

inline std::pair<const char*, void*> named(const char* name, XLA_FFI_Handler* handler) {
  return {name, reinterpret_cast<void*>(handler)};
}

// Those of src/xla_choice.cpp.
Handlers choice_handlers();

}  // namespace gumbelfast
