// Arrays over memory that somebody else owns, and a look at what small ones hold: what other libraries' tensors need.
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include "memory.hpp"

#include <numpy/arrayobject.h>

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

template <class T>
bool all_within(const void* data, npy_intp size, double low, double high) {
  const auto* values = static_cast<const T*>(data);
  bool within = true;
  for (npy_intp i = 0; i < size; ++i) {
    const double value = values[i];
    within &= value >= low && value <= high;
  }
  return within;
}

PyObject* lies_within(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 3 || !PyArray_CheckExact(args[0]) || !PyFloat_CheckExact(args[1]) || !PyFloat_CheckExact(args[2])) {
    PyErr_SetString(PyExc_TypeError, "need an array and two floats");
    return nullptr;
  }
  auto* const array = reinterpret_cast<PyArrayObject*>(args[0]);
  const double low = PyFloat_AS_DOUBLE(args[1]), high = PyFloat_AS_DOUBLE(args[2]);
  const npy_intp size = PyArray_SIZE(array);
  if (size > 1024 || !PyArray_ISCARRAY_RO(array)) Py_RETURN_FALSE;
  const int type = PyArray_TYPE(array);
  return PyBool_FromLong((type == NPY_FLOAT && all_within<float>(PyArray_DATA(array), size, low, high)) ||
                         (type == NPY_DOUBLE && all_within<double>(PyArray_DATA(array), size, low, high)));
}

PyMethodDef functions[] = {
    {"view_memory", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(view_memory)), METH_FASTCALL, nullptr},
    {"lies_within", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(lies_within)), METH_FASTCALL, nullptr},
    {},
};

}  // namespace

bool add_memory_functions(PyObject* module) {
  return _import_array() == 0 && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace gumbelfast
