// The tuples that travel from Python to the kernels as one thing each: where noise lies, and logits with what belongs
// to them (gumbelfast/_core.pyi). The arrays stay the caller's.
#pragma once
#include "arrays.hpp"

namespace {

// (key, offset, row_stride, keys, offsets)
struct GivenAddress {
  gf::Address place;
  py::handle keys, offsets;

  gf::Address of(int64_t rows) const {
    gf::Address whole = place;
    whole.keys = one_a_row<uint64_t>(keys, rows);
    whole.offsets = one_a_row<uint64_t>(offsets, rows);
    return whole;
  }
};

// (array, mask, scale)
struct GivenLogits {
  gf::Logits rows;
  gf::DType dtype;
  int64_t size;

  bool has_size_of(const py::array& other) const { return other.size() == size; }
  bool fits(const py::array& other) const { return has_size_of(other) && other.itemsize() == gf::size_of(dtype); }
  // Of the working type, `count` entries.
  bool fits_work(const py::array& other, int64_t count) const {
    return other.size() == count && other.itemsize() == (dtype == gf::DType::f64 ? 8 : 4);
  }
};

bool has_entries(const py::handle& given, Py_ssize_t count) {
  return PyTuple_Check(given.ptr()) && PyTuple_GET_SIZE(given.ptr()) == count;
}

py::handle entry(const py::handle& tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple.ptr(), i); }

bool read_word(const py::handle& given, uint64_t& word) {
  if (!PyLong_Check(given.ptr())) return false;
  word = PyLong_AsUnsignedLongLong(given.ptr());
  if (word != ~uint64_t{0} || !PyErr_Occurred()) return true;
  PyErr_Clear();
  return false;
}

}  // namespace

namespace pybind11::detail {

template <>
struct type_caster<GivenAddress> {
  PYBIND11_TYPE_CASTER(GivenAddress, const_name("Address"));
  bool load(handle given, bool) {
    uint64_t key = 0;
    if (!has_entries(given, 5) || !read_word(entry(given, 0), key) || !read_word(entry(given, 1), value.place.offset) ||
        !read_word(entry(given, 2), value.place.row_stride))
      return false;
    value.place.key = key_of(key);
    value.keys = entry(given, 3);
    value.offsets = entry(given, 4);
    return true;
  }
};

template <>
struct type_caster<GivenLogits> {
  PYBIND11_TYPE_CASTER(GivenLogits, const_name("Logits"));
  bool load(handle given, bool) {
    if (!has_entries(given, 3) || !isinstance<array>(entry(given, 0))) return false;
    const auto x = reinterpret_borrow<array>(entry(given, 0));
    const Rows rows = rows_of(x);
    require(rows.cols > 0, "rows have no columns");
    value.rows = {.data = rows.data,
                  .rows = rows.count,
                  .cols = rows.cols,
                  .stride = rows.stride,
                  .scale = scale_of(entry(given, 2), rows.count)};
    value.dtype = dtype_of(x);
    value.size = x.size();
    if (entry(given, 1).is_none()) return true;
    if (!isinstance<array>(entry(given, 1))) return false;
    const auto mask = reinterpret_borrow<array>(entry(given, 1));
    require(mask.itemsize() == 1 && (mask.size() == rows.cols || mask.size() == x.size()), "mask does not fit");
    value.rows.mask = static_cast<const uint8_t*>(data_of(mask));
    value.rows.mask_per_row = mask.size() != rows.cols;
    return true;
  }
};

}  // namespace pybind11::detail
