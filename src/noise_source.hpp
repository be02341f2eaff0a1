// How compiled code gets at the noise of a generator that lives in another module: by a capsule.
#pragma once

#include <Python.h>

#include "philox4x32.hpp"

namespace gumbelfast {

// Where a generator's key and its place in the noise lie; both belong to the generator.
struct NoiseSource {
  static constexpr const char* name = "gumbelfast.NoiseSource";

  PyObject* owner;
  const uint64_t* key;
  NoisePlace* place;
};

// A capsule that keeps its owner; null with an error set.
inline PyObject* make_source(PyObject* owner, const uint64_t* key, NoisePlace* place) {
  auto* const source = new NoiseSource{owner, key, place};
  PyObject* const made = PyCapsule_New(source, NoiseSource::name, [](PyObject* capsule) {
    auto* const held = static_cast<NoiseSource*>(PyCapsule_GetPointer(capsule, NoiseSource::name));
    Py_DECREF(held->owner);
    delete held;
  });
  if (made)
    Py_INCREF(owner);
  else
    delete source;
  return made;
}

}  // namespace gumbelfast
