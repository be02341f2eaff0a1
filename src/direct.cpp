// The callable that stands for a Python function: one call by vectorcall, to a step or to the function.
#include "direct.hpp"

#include <cstddef>
#include <new>
#include <structmember.h>

namespace gumbelfast {
namespace {

struct Direct {
  PyObject_HEAD;
  vectorcallfunc call;
  PyObject* function;
  const Step* step;
  PyObject* dict;
  PyObject* weakrefs;
};

Direct* direct_of(PyObject* self) { return reinterpret_cast<Direct*>(self); }

// Names in calls are interned, as these are: one that is not found by its address is left to Python.
PyObject* interned[names.size()];

bool sort_arguments(const Step& step, PyObject* const* args, size_t count, PyObject* keywords, Given& given) {
  if (count > step.positional) return false;
  for (size_t i = 0; i < count; ++i) given[step.parameters[i]] = args[i];
  const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(keywords, i);
    bool found = false;
    for (const Name parameter : step.parameters)
      if (interned[static_cast<size_t>(parameter)] == name) {
        found = !given[parameter];
        given[parameter] = args[count + static_cast<size_t>(i)];
        break;
      }
    if (!found) return false;
  }
  return true;
}

PyObject* call(PyObject* self, PyObject* const* args, size_t flags, PyObject* keywords) {
  const Direct* direct = direct_of(self);
  Given given;
  if (sort_arguments(*direct->step, args, static_cast<size_t>(PyVectorcall_NARGS(flags)), keywords, given)) {
    try {
      PyObject* const result = direct->step->run(given);
      if (result || PyErr_Occurred()) return result;
    } catch (const std::bad_alloc&) {
      return PyErr_NoMemory();
    }
  }
  return PyObject_Vectorcall(direct->function, args, flags, keywords);
}

PyObject* bind(PyObject* self, PyObject* instance, PyObject*) {
  return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
}

PyObject* represent(PyObject* self) { return PyObject_Repr(direct_of(self)->function); }

// Pickled by name, as functions are.
PyObject* reduce(PyObject* self, PyObject*) {
  return PyObject_GetAttrString(direct_of(self)->function, "__qualname__");
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(direct_of(self)->function);
  Py_VISIT(direct_of(self)->dict);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(direct_of(self)->dict);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (direct_of(self)->weakrefs) PyObject_ClearWeakRefs(self);
  clear(self);
  Py_CLEAR(direct_of(self)->function);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Direct, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Direct, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Direct, weakrefs), READONLY, nullptr},
    {},
};
PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef attributes[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr}, {}};

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

PyType_Slot slots[] = {
    {Py_tp_call, slot(PyVectorcall_Call)},
    {Py_tp_descr_get, slot(bind)},
    {Py_tp_repr, slot(represent)},
    {Py_tp_traverse, slot(traverse)},
    {Py_tp_clear, slot(clear)},
    {Py_tp_dealloc, slot(dealloc)},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {0, nullptr},
};
PyType_Spec spec{"gumbelfast._core.Direct", sizeof(Direct), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
                     Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                 slots};

}  // namespace

PyObject* make_direct(PyObject* function, const Step& step) {
  static PyObject* const type = PyType_FromSpec(&spec);
  if (!type) return nullptr;
  for (size_t i = 0; i < names.size(); ++i)
    if (!interned[i] && !(interned[i] = PyUnicode_InternFromString(names[i]))) return nullptr;
  PyObject* const self = reinterpret_cast<PyTypeObject*>(type)->tp_alloc(reinterpret_cast<PyTypeObject*>(type), 0);
  if (!self) return nullptr;
  direct_of(self)->call = call;
  direct_of(self)->function = Py_NewRef(function);
  direct_of(self)->step = &step;
  return self;
}

}  // namespace gumbelfast
