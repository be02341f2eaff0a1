// From NumPy's arrays to what the core takes, and from its outcome to Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <bit>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "../csrc/run.hpp"

namespace py = pybind11;
namespace gf = gumbelfast;

namespace {

using MaybeArray = std::optional<py::array>;

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

gf::DType dtype_of(const py::array& a) {
  const py::dtype type = a.dtype();
  const auto size = a.itemsize();
  const bool builtin = type.num() < 256;  // NPY_USERDEF
  if (builtin && type.kind() == 'f') {
    if (size == 4) return gf::DType::f32;
    if (size == 8) return gf::DType::f64;
    if (size == 2) return gf::DType::f16;
  }
  // ml_dtypes' bfloat16, whose kind differs between its versions, or its bare bits, from where ml_dtypes may be
  // missing.
  const bool bits = builtin && type.kind() == 'V' && !type.has_fields();
  const auto name = [&] { return type.attr("type").attr("__name__").cast<std::string>(); };
  if (size == 2 && (bits || (!builtin && name() == "bfloat16"))) return gf::DType::bf16;
  throw std::invalid_argument("dtype is none of the four: " + name());
}

const void* data_of(const py::array& a) {
  require((a.flags() & py::array::c_style) != 0, "array is not C-contiguous");
  return a.data();
}

void* mutable_data_of(py::array& a) {
  require(a.writeable() && (a.flags() & py::array::c_style) != 0, "output is not a writeable C-contiguous array");
  return a.mutable_data();
}

void* mutable_data_of(MaybeArray& a) { return a ? mutable_data_of(*a) : nullptr; }

int64_t* indices_of(py::array& index) {
  require(index.itemsize() == 8, "indices have 64 bits");
  return static_cast<int64_t*>(mutable_data_of(index));
}

double* values_of(py::array& a, int64_t count) {
  require(a.itemsize() == 8 && a.size() == count, "results do not fit");
  return static_cast<double*>(mutable_data_of(a));
}

double* values_of(MaybeArray& a, int64_t count) { return a ? values_of(*a, count) : nullptr; }

int64_t columns_of(const py::array& a) {
  require(a.ndim() > 0, "array has no axis");
  return a.shape(a.ndim() - 1);
}

// None, or an array of that many entries of this type.
template <class T>
const T* one_a_row(const py::handle& given, int64_t rows) {
  if (given.is_none()) return nullptr;
  require(py::isinstance<py::array>(given), "need an array");
  const auto a = py::reinterpret_borrow<py::array>(given);
  // An array that was pickled has a dtype of its own.
  const py::dtype found = a.dtype(), wanted = py::dtype::of<T>();
  require((found.is(wanted) || found.equal(wanted)) && a.size() == rows, "need one entry per row, of the right type");
  return static_cast<const T*>(data_of(a));
}

gf::Key key_of(uint64_t key) { return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}; }

// Rows of an array that only its last axis must hold without gaps.
struct Rows {
  const void* data;
  int64_t count, cols, stride;
};

Rows rows_of(const py::array& a) {
  const int64_t cols = columns_of(a), count = cols ? a.size() / cols : 0;
  Rows rows{a.data(), count, cols, cols};
  if (a.flags() & py::array::c_style || count == 0) return rows;
  const int64_t size = a.itemsize();
  require(cols == 1 || a.strides(a.ndim() - 1) == size, "columns do not follow each other");
  int64_t inner = 0, extent = 1;  // the bytes from row to row, and how many rows the axes so far hold
  for (int64_t axis = a.ndim() - 1; axis-- > 0;) {
    if (a.shape(axis) == 1) continue;
    if (extent == 1) inner = a.strides(axis);
    require(a.strides(axis) == inner * extent, "rows do not lie at equal distances");
    extent *= a.shape(axis);
  }
  require(inner >= 0 && inner % size == 0, "rows do not lie at distances of whole elements");
  rows.stride = inner / size;
  return rows;
}

// A number, or an array with one per row.
gf::Scale scale_of(const py::handle& scale, int64_t rows) {
  if (PyFloat_Check(scale.ptr())) return {PyFloat_AS_DOUBLE(scale.ptr())};
  require(!scale.is_none(), "scale is neither a float nor an array");
  return {0, one_a_row<double>(scale, rows)};
}

// The entries of tables of 2**bits words a row, and that number of bits, at least 1.
std::pair<const uint64_t*, int> table_of(const py::array& table, int64_t rows) {
  const auto size = static_cast<uint64_t>(columns_of(table));
  require(size > 1 && std::has_single_bit(size) && table.itemsize() == 8 &&
              table.size() == rows * static_cast<int64_t>(size),
          "table does not fit");
  return {static_cast<const uint64_t*>(data_of(table)), std::countr_zero(size)};
}

gf::Workers workers_of(int threads) {
  return {threads, [] {
            const py::gil_scoped_acquire gil;
            return PyErr_CheckSignals() != 0;
          }};
}

constexpr int64_t brief = 4096;  // elements: a few microseconds, in which no other thread would get going

constexpr int64_t status_refused = -1, status_lacking = -2;

// Runs a call of the core, without the GIL unless it is brief, and returns its status: the tiles that it opened, or one
// of these two. A pending KeyboardInterrupt comes out as itself.
template <class Call>
int64_t status_of(int64_t elements, Call call) {
  std::optional<py::gil_scoped_release> release;
  if (elements > brief) release.emplace();
  const gf::Result result = call();
  release.reset();
  switch (result.outcome) {
    case gf::Outcome::interrupted:
      throw py::error_already_set();
    case gf::Outcome::refused:
      return status_refused;
    case gf::Outcome::lacking:
      return status_lacking;
    case gf::Outcome::done:
      break;
  }
  return result.opened;
}

}  // namespace
