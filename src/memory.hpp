// Arrays over memory that somebody else owns (memory.cpp).
#pragma once

#include <Python.h>

namespace gumbelfast {

// False with an error set.
bool add_memory_functions(PyObject* module);

}  // namespace gumbelfast
