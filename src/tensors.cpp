// What the doors to other frameworks ask for: arrays over memory of theirs, and small draws with a key of theirs in one
// step. Such a key cannot be put back, so it is drawn only for logits that no kernel refuses.
#include "direct_arguments.hpp"
#include "tensors.hpp"

namespace gumbelfast {
namespace {

PyObject* view_memory(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !PyTuple_Check(args[2]) || !PyArray_DescrCheck(args[3])) {
    PyErr_SetString(PyExc_TypeError, "need an owner, an address, a shape and a dtype");
    return nullptr;
  }
  void* const data = PyLong_AsVoidPtr(args[1]);
  npy_intp shape[NPY_MAXDIMS];
  const Py_ssize_t ndim = PyTuple_GET_SIZE(args[2]);
  if (!data || ndim > NPY_MAXDIMS) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "there is no such memory");
    return nullptr;
  }
  for (Py_ssize_t i = 0; i < ndim; ++i)
    if ((shape[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(args[2], i))) < 0) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "sizes are not negative");
      return nullptr;
    }
  PyObject* const made = PyArray_NewFromDescr(&PyArray_Type, reinterpret_cast<PyArray_Descr*>(Py_NewRef(args[3])),
                                              static_cast<int>(ndim), shape, nullptr, data, NPY_ARRAY_CARRAY, nullptr);
  if (!made) return nullptr;
  auto* const array = reinterpret_cast<PyArrayObject*>(made);
  PyArray_UpdateFlags(array, NPY_ARRAY_UPDATE_ALL);
  if (PyArray_SetBaseObject(array, Py_NewRef(args[0])) == 0) return made;
  Py_DECREF(made);
  return nullptr;
}

constexpr double ordinary = 1e30;  // above all logits that are looked at here: sums of them with noise are finite

template <class T>
bool all_within(const void* data, int64_t size, double low, double high) {
  const auto* values = static_cast<const T*>(data);
  bool within = true;
  for (int64_t i = 0; i < size; ++i) {
    const double value = values[i];
    within &= value >= low && value <= high;
  }
  return within;
}

PyObject* lies_within(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 3 || !PyFloat_CheckExact(args[1]) || !PyFloat_CheckExact(args[2])) {
    PyErr_SetString(PyExc_TypeError, "need an array and two floats");
    return nullptr;
  }
  Rows x;
  if (!x.read(args[0])) Py_RETURN_FALSE;
  const auto within = x.dtype == DType::f32 ? all_within<float> : all_within<double>;
  return PyBool_FromLong(within(x.data(), x.count * x.cols, PyFloat_AS_DOUBLE(args[1]), PyFloat_AS_DOUBLE(args[2])));
}

// What a row may hold so that no kernel refuses it: entries within bounds, of which there is one, and what stands for
// nothing.
struct Ordinary {
  double low, high, nothing;
};
constexpr Ordinary logits_of_rows{-ordinary, ordinary, -std::numeric_limits<double>::infinity()};
constexpr Ordinary weights_of_rows{std::numeric_limits<double>::denorm_min(), ordinary, 0};

template <class T>
bool holds(const Rows& x, const Ordinary& allowed) {
  const auto* values = static_cast<const T*>(x.data());
  for (int64_t row = 0; row < x.count; ++row, values += x.cols) {
    bool some = false, good = true;
    for (int64_t i = 0; i < x.cols; ++i) {
      const double value = values[i];
      const bool within = value >= allowed.low && value <= allowed.high;
      some |= within;
      good &= within || value == allowed.nothing;
    }
    if (!some || !good) return false;
  }
  return true;
}

// A draw from logits or weights with a key that `draw` leaves in `word`, an array of one number of 64 bits.
struct KeyedDraw {
  Rows x;
  const Backend* backend;
  Address address;

  bool read(PyObject* kernels, PyObject* array, const Ordinary& allowed) {
    if (!x.read(array) || !(backend = backend_of(kernels))) return false;
    return x.dtype == DType::f32 ? holds<float>(x, allowed) : holds<double>(x, allowed);
  }
  bool take_key(PyObject* draw, PyObject* word) {
    PyArrayObject* const array = plain_array(word, {NPY_UINT64});
    if (!array || PyArray_SIZE(array) != 1) {
      PyErr_SetString(PyExc_TypeError, "need an array of one uint64");
      return false;
    }
    const Reference drawn(PyObject_CallNoArgs(draw));
    if (!drawn) return false;
    address = {key_of(*static_cast<const uint64_t*>(PyArray_DATA(array))), 0, static_cast<uint64_t>(x.cols), nullptr,
               nullptr};
    return true;
  }
  Logits rows(double scale = 1) const {
    return {.data = x.data(), .rows = x.count, .cols = x.cols, .stride = x.cols, .scale = {scale}};
  }
};

// None for logits that changed after they were looked at.
PyObject* result_of(const Result& call, Reference& made) {
  return call.outcome == Outcome::done ? made.release() : Py_NewRef(Py_None);
}

// One index a row, by call(draw, index).
template <class Call>
PyObject* draw_indices(PyObject* const* args, Py_ssize_t count, const Ordinary& allowed, Call call) {
  if (count != 5) {
    PyErr_SetString(PyExc_TypeError, "need a backend, logits or weights, keepdims, draw and word");
    return nullptr;
  }
  KeyedDraw draw;
  if (!draw.read(args[0], args[1], allowed)) Py_RETURN_NONE;
  const int ndim = PyArray_NDIM(draw.x.array);
  npy_intp shape[NPY_MAXDIMS];
  std::copy_n(PyArray_DIMS(draw.x.array), ndim, shape);
  shape[ndim - 1] = 1;
  Reference index(PyArray_SimpleNew(args[2] == Py_True ? ndim : ndim - 1, shape, NPY_INT64));
  if (!index || !draw.take_key(args[3], args[4])) return nullptr;
  return result_of(call(draw, static_cast<int64_t*>(index.data())), index);
}

PyObject* choose_keyed(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return draw_indices(args, count, logits_of_rows, [](const KeyedDraw& draw, int64_t* index) {
    const SelectArgs best{draw.rows(), draw.address, 1, index, nullptr};
    return run(draw.backend->gumbel_max, draw.x.dtype, best, draw.x.count, alone);
  });
}

PyObject* race_keyed(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return draw_indices(args, count, weights_of_rows, [](const KeyedDraw& draw, int64_t* index) {
    const RaceArgs first{draw.rows(), draw.address, 1, index};
    return run(draw.backend->race, draw.x.dtype, first, draw.x.count, alone);
  });
}

PyObject* relax_keyed(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 6) {
    PyErr_SetString(PyExc_TypeError, "need a backend, logits, inv_tau, hard, draw and word");
    return nullptr;
  }
  KeyedDraw draw;
  if (!PyFloat_CheckExact(args[2]) || !draw.read(args[0], args[1], logits_of_rows)) Py_RETURN_NONE;
  Reference result(draw.x.like(PyArray_NDIM(draw.x.array), draw.x.type()));
  if (!result || !draw.take_key(args[4], args[5])) return nullptr;
  const bool hard = args[3] == Py_True;
  const GumbelSoftmaxArgs all{draw.rows(PyFloat_AS_DOUBLE(args[2])), draw.address, hard ? nullptr : result.data(),
                              hard ? result.data() : nullptr};
  return result_of(gumbel_softmax(*draw.backend, draw.x.dtype, all, draw.x.count, alone), result);
}

template <class F>
PyCFunction slot(F* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyMethodDef functions[] = {
    {"view_memory", slot(view_memory), METH_FASTCALL, nullptr},
    {"lies_within", slot(lies_within), METH_FASTCALL, nullptr},
    {"choose_keyed", slot(choose_keyed), METH_FASTCALL, nullptr},
    {"race_keyed", slot(race_keyed), METH_FASTCALL, nullptr},
    {"relax_keyed", slot(relax_keyed), METH_FASTCALL, nullptr},
    {},
};

}  // namespace

bool add_tensor_functions(PyObject* module) {
  return _import_array() == 0 && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace gumbelfast
