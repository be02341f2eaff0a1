// What steps read: arrays, numbers, seeds and generators as most calls bring them. Everything else is declined.
#pragma once

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include "direct.hpp"

#include <numpy/arrayobject.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "noise_source.hpp"
#include "seed_words.hpp"

namespace gumbelfast {
namespace {

constexpr int64_t brief = 4096;  // elements: as in arrays.hpp, what is done by one thread that keeps the GIL
constexpr int64_t any_size = std::numeric_limits<int64_t>::max();
constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();
const Workers alone{};

// Names of attributes, made once.
PyObject* name_of(const char* text) {
  PyObject* const made = PyUnicode_InternFromString(text);
  if (!made) throw std::bad_alloc();
  return made;
}

// A reference that is given up at the end of its block.
class Reference {
 public:
  explicit Reference(PyObject* owned = nullptr) : object(owned) {}
  ~Reference() { Py_XDECREF(object); }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;
  PyObject* get() const { return object; }
  void* data() const { return PyArray_DATA(reinterpret_cast<PyArrayObject*>(object)); }
  PyObject* release() { return std::exchange(object, nullptr); }
  void reset(PyObject* owned) { Py_XDECREF(std::exchange(object, owned)); }
  explicit operator bool() const { return object; }

 private:
  PyObject* object;
};

bool declined() {
  PyErr_Clear();
  return false;
}

bool is_left_out(PyObject* given) { return !given || given == Py_None; }

// An exact array that lies as kernels want it.
PyArrayObject* lying_array(PyObject* given) {
  if (!given || !PyArray_CheckExact(given)) return nullptr;
  auto* const array = reinterpret_cast<PyArrayObject*>(given);
  constexpr int wanted = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
  return (PyArray_FLAGS(array) & wanted) == wanted ? array : nullptr;
}

// Such an array of one of these types; byte order and the like are the type object's.
PyArrayObject* plain_array(PyObject* given, std::initializer_list<int> types) {
  PyArrayObject* const array = lying_array(given);
  if (!array) return nullptr;
  for (const int type : types) {
    PyArray_Descr* const own = PyArray_DescrFromType(type);
    Py_DECREF(own);  // the types that are built in live for ever
    if (PyArray_DESCR(array) == own) return array;
  }
  return nullptr;
}

// ml_dtypes' bfloat16, or its bare bits, by which doors to other frameworks hand it over: see `dtype_of` of arrays.hpp.
bool is_bfloat16(PyArrayObject* array, bool by_bits) {
  const PyArray_Descr* const type = PyArray_DESCR(array);
  if (PyArray_ITEMSIZE(array) != 2 || !PyArray_ISNOTSWAPPED(array)) return false;
  if (by_bits && type->type_num == NPY_VOID) return !PyArray_HASFIELDS(array);
  return type->type_num >= NPY_USERDEF && std::string_view(type->typeobj->tp_name).ends_with("bfloat16");
}

// Logits and the like, with their rows along the last axis.
struct Rows {
  PyArrayObject* array;
  DType dtype;
  int64_t count, cols;

  bool read(PyObject* given, int64_t largest = brief) {
    array = plain_array(given, {NPY_FLOAT, NPY_DOUBLE});
    if (!array) return false;
    return read_shape(PyArray_TYPE(array) == NPY_FLOAT ? DType::f32 : DType::f64, largest);
  }
  // Of any of the four types.
  bool read_any(PyObject* given, bool by_bits) {
    if (read(given, any_size)) return true;
    if ((array = plain_array(given, {NPY_HALF}))) return read_shape(DType::f16, any_size);
    array = lying_array(given);
    return array && is_bfloat16(array, by_bits) && read_shape(DType::bf16, any_size);
  }
  const void* data() const { return PyArray_DATA(array); }
  int batch_ndim() const { return PyArray_NDIM(array) - 1; }
  bool is_batch(PyArrayObject* other) const {
    return PyArray_NDIM(other) == batch_ndim() &&
           PyArray_CompareLists(PyArray_DIMS(other), PyArray_DIMS(array), batch_ndim());
  }
  int type() const { return PyArray_TYPE(array); }
  PyObject* like(int ndim, int type) const { return PyArray_SimpleNew(ndim, PyArray_DIMS(array), type); }
  // An array of their shape and type to write to: theirs itself, or one that shares no memory with it.
  PyArrayObject* target(PyObject* given) const {
    PyArrayObject* const out = plain_array(given, {type()});
    if (!out || !PyArray_ISWRITEABLE(out) || PyArray_NDIM(out) != PyArray_NDIM(array) ||
        !PyArray_CompareLists(PyArray_DIMS(out), PyArray_DIMS(array), PyArray_NDIM(array)))
      return nullptr;
    const auto begin = [](PyArrayObject* a) { return reinterpret_cast<uintptr_t>(PyArray_DATA(a)); };
    const auto size = static_cast<uintptr_t>(PyArray_NBYTES(array));
    const bool apart = begin(out) >= begin(array) + size || begin(array) >= begin(out) + size;
    return apart || out == array ? out : nullptr;
  }

 private:
  bool read_shape(DType type, int64_t largest) {
    dtype = type;
    const int64_t size = PyArray_SIZE(array);
    if (PyArray_NDIM(array) == 0 || size == 0 || size > largest) return false;
    cols = PyArray_DIM(array, PyArray_NDIM(array) - 1);
    count = size / cols;
    return true;
  }
};

PyObject* counted(PyArrayObject* array) {
  Py_INCREF(array);
  return reinterpret_cast<PyObject*>(array);
}

// The table of a compiled backend; null for others. They are told apart by their addresses alone.
const Backend* backend_of(PyObject* given) {
  for (const auto& [object, backend] : known.backends)
    if (object == given) return backend;
  return nullptr;
}

const Backend* active_backend() {
  PyObject* value = nullptr;
  if (!known.active || PyContextVar_Get(known.active, nullptr, &value) < 0) return nullptr;
  const Reference held(value);
  return backend_of(value);
}

// A number for which neither it nor its reciprocal is in doubt in float32.
bool reciprocal(PyObject* given, double& inverse) {
  inverse = 1;
  if (!given) return true;
  if (!PyFloat_CheckExact(given)) return false;
  const double value = PyFloat_AS_DOUBLE(given);
  inverse = 1 / value;
  return value > 1e-30 && value < 1e30;
}

// An exact int in [least, last].
bool integer(PyObject* given, int64_t least, int64_t last, int64_t& value) {
  if (!given || !PyLong_CheckExact(given)) return false;
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(given, &overflow);
  return !overflow && value >= least && value <= last;
}

bool unsigned_integer(PyObject* given, uint64_t last, uint64_t& value) {
  if (!PyLong_CheckExact(given)) return false;
  value = PyLong_AsUnsignedLongLong(given);
  if (value == unlimited && PyErr_Occurred()) return declined();
  return value <= last;
}

// call(workers) on so many elements: where they are many, on all threads that a call may use and without the GIL. False
// if it did not come to its end, with an error set if it was interrupted.
template <class Call>
bool run_call(int64_t elements, Call call) {
  if (elements <= brief) return call(alone).outcome == Outcome::done;
  static PyObject* const name = name_of("_num_threads");
  const Reference number(PyObject_GetAttr(known.thread_count, name));
  int64_t threads = 0;
  if (!number || !integer(number.get(), 1, std::numeric_limits<int>::max(), threads)) return declined();
  const Workers all{static_cast<int>(threads), [] {
                      const PyGILState_STATE state = PyGILState_Ensure();
                      const bool pending = PyErr_CheckSignals() != 0;
                      PyGILState_Release(state);
                      return pending;
                    }};
  struct Unlocked {  // has the GIL back whatever is thrown
    PyThreadState* const thread = PyEval_SaveThread();
    ~Unlocked() { PyEval_RestoreThread(thread); }
  };
  Unlocked unlocked;
  return call(all).outcome == Outcome::done;
}

// Ours itself, not a class derived from it.
bool is_generator(PyObject* given) { return given && reinterpret_cast<PyObject*>(Py_TYPE(given)) == known.generator; }

// Elements of noise that no other call gets; they go back unless they are kept.
class Noise {
 public:
  uint64_t key = 0, first = 0;

  ~Noise() {
    if (place) place->put_back(before, end);
  }
  void keep() { place = nullptr; }

  bool take(PyObject* rng, int64_t elements) {
    if (rng && PyLong_CheckExact(rng)) {
      uint64_t seed = 0;
      if (!unsigned_integer(rng, unlimited, seed)) return false;
      key = key_of_seed(seed);
      return true;
    }
    if (!is_left_out(rng)) return take_from(rng, elements);
    static PyObject* const name = name_of("_shared");
    const Reference shared(known.random ? PyObject_GetAttr(known.random, name) : nullptr);
    if (!shared || shared.get() == Py_None) return declined();
    static PyObject* const source = name_of("_source");
    return take_from_source(PyObject_CallMethodNoArgs(shared.get(), source), elements);
  }

  bool take_from(PyObject* generator, int64_t elements) {
    static PyObject* const name = name_of("_source");
    return is_generator(generator) && take_from_source(PyObject_GetAttr(generator, name), elements);
  }

  bool take_from_source(PyObject* owned, int64_t elements) {
    capsule.reset(owned);
    if (!capsule) return declined();
    const auto* source = static_cast<NoiseSource*>(PyCapsule_GetPointer(capsule.get(), NoiseSource::name));
    if (!source) return declined();
    const auto size = static_cast<uint64_t>(elements);
    if (!source->place->reserve(size, before, end)) return false;
    place = source->place;
    key = *source->key;
    first = end - size;
    return true;
  }

 private:
  Reference capsule;  // which keeps the place
  NoisePlace* place = nullptr;
  uint64_t before = 0, end = 0;
};

Key key_of(uint64_t key) { return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}; }

// A draw of one element of noise for each logit.
struct Draw {
  Rows x;
  const Backend* backend;
  Logits logits{};
  Address address;
  Noise noise;
  std::vector<uint64_t> words;

  bool prepare(const Given& given, PyObject* temperature, int64_t largest = brief) {
    return x.read(given[Name::logits], largest) && reciprocal(temperature, logits.scale.one) && prepare_rows(given);
  }
  // The same once rows and scale are there.
  bool prepare_rows(const Given& given) {
    if (!(backend = active_backend())) return false;
    logits = {.data = x.data(), .rows = x.count, .cols = x.cols, .stride = x.cols, .scale = logits.scale};
    if (!read_mask(given[Name::mask])) return false;
    if (!is_left_out(given[Name::seeds])) return read_seeds(given[Name::seeds], given[Name::positions]);
    if (!is_left_out(given[Name::positions]) || !noise.take(given[Name::rng], x.count * x.cols)) return false;
    address = {key_of(noise.key), noise.first, static_cast<uint64_t>(x.cols), nullptr, nullptr};
    return true;
  }

  template <class Call>
  bool run(Call call) {
    if (!run_call(x.count * x.cols, call)) return false;
    noise.keep();
    return true;
  }

 private:
  bool read_mask(PyObject* given) {
    if (is_left_out(given)) return true;
    PyArrayObject* const mask = plain_array(given, {NPY_BOOL});
    if (!mask) return false;
    const bool whole = PyArray_SAMESHAPE(mask, x.array);
    if (!whole && !(PyArray_NDIM(mask) == 1 && PyArray_DIM(mask, 0) == x.cols)) return false;
    logits.mask = static_cast<const uint8_t*>(PyArray_DATA(mask));
    logits.mask_per_row = PyArray_SIZE(mask) != x.cols;
    return true;
  }

  // One integer per row in [0, last], copied before it is looked at; `for_all`: one may serve all rows.
  bool read_integers(PyObject* given, uint64_t last, bool for_all, uint64_t* out) const {
    if (PyLong_CheckExact(given)) {
      if (!for_all && x.count > 1) return false;
      uint64_t value = 0;
      if (!unsigned_integer(given, last, value)) return false;
      std::fill(out, out + x.count, value);
      return true;
    }
    if (PyList_CheckExact(given)) {
      const Reference entries(PyList_AsTuple(given));  // which no other thread changes
      if (!entries || x.batch_ndim() != 1 || PyTuple_GET_SIZE(entries.get()) != x.count) return false;
      for (int64_t row = 0; row < x.count; ++row)
        if (!unsigned_integer(PyTuple_GET_ITEM(entries.get(), row), last, out[row])) return false;
      return true;
    }
    PyArrayObject* const array = plain_array(given, {NPY_UINT64, NPY_INT64});
    if (!array || !x.is_batch(array)) return false;
    const auto* values = static_cast<const uint64_t*>(PyArray_DATA(array));
    std::copy(values, values + x.count, out);
    if (PyArray_TYPE(array) == NPY_INT64) last = std::min<uint64_t>(last, std::numeric_limits<int64_t>::max());
    return std::all_of(out, out + x.count, [&](uint64_t value) { return value <= last; });
  }

  bool read_seeds(PyObject* seeds, PyObject* positions) {
    const auto rows = static_cast<size_t>(x.count), width = (static_cast<size_t>(x.cols) + 31) / 32 * 32;
    words.resize(3 * rows);
    uint64_t *const given = words.data(), *const keys = given + rows, *const starts = keys + rows;
    if (!read_integers(seeds, unlimited, false, given)) return false;
    if (!is_left_out(positions)) {
      if (!read_integers(positions, NoisePlace::last / width - 1, true, starts)) return false;
      for (size_t row = 0; row < rows; ++row) starts[row] *= width;
    }
    backend->row_keys(given, x.count, keys);
    address = {{}, 0, 0, keys, starts};
    return true;
  }
};

PyObject* scalar(const void* value, int type) {
  PyArray_Descr* const descr = PyArray_DescrFromType(type);
  PyObject* const result = PyArray_Scalar(const_cast<void*>(value), descr, nullptr);
  Py_DECREF(descr);
  return result;
}

// What `write` writes, one entry per row: an array, or a scalar for a single row without axes.
template <class Write>
PyObject* one_a_row(const Rows& x, int type, Write write) {
  if (x.batch_ndim() == 0) {
    alignas(8) char value[8];
    return write(static_cast<void*>(value)) ? scalar(value, type) : nullptr;
  }
  Reference result(x.like(x.batch_ndim(), type));
  return result && write(result.data()) ? result.release() : nullptr;
}

}  // namespace
}  // namespace gumbelfast
