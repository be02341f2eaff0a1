// What the doors to other frameworks ask of compiled code (tensors.cpp).
#pragma once

#include <Python.h>

namespace gumbelfast {

// False with an error set.
bool add_tensor_functions(PyObject* module);

}  // namespace gumbelfast
