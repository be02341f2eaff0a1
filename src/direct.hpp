// Plain calls in one compiled step. A step states no rule of its own: what it cannot take for granted it declines, and
// the Python function that it stands for does all of it, errors included.
#pragma once

#include <Python.h>

#include <array>
#include <utility>
#include <vector>

#include "../csrc/run.hpp"

namespace gumbelfast {

// The parameters that steps know, by the names that they have in Python; a call with any other is declined.
enum class Name : size_t {
  self,
  logits,
  x,
  a,
  loc,
  scale,
  size,
  replace,
  k,
  p,
  tau,
  hard,
  axis,
  temperature,
  top_k,
  top_p,
  min_p,
  temperature_last,
  min_tokens_to_keep,
  top_n_sigma,
  typical_p,
  epsilon_cutoff,
  eta_cutoff,
  mask,
  rng,
  seeds,
  positions,
  out
};
inline constexpr std::array names{"self",
                                  "logits",
                                  "x",
                                  "a",
                                  "loc",
                                  "scale",
                                  "size",
                                  "replace",
                                  "k",
                                  "p",
                                  "tau",
                                  "hard",
                                  "axis",
                                  "temperature",
                                  "top_k",
                                  "top_p",
                                  "min_p",
                                  "temperature_last",
                                  "min_tokens_to_keep",
                                  "top_n_sigma",
                                  "typical_p",
                                  "epsilon_cutoff",
                                  "eta_cutoff",
                                  "mask",
                                  "rng",
                                  "seeds",
                                  "positions",
                                  "out"};

// What a call gives, borrowed; null for what it leaves out.
struct Given {
  std::array<PyObject*, names.size()> values{};
  PyObject*& operator[](Name name) { return values[static_cast<size_t>(name)]; }
  PyObject* operator[](Name name) const { return values[static_cast<size_t>(name)]; }
};

struct Step {
  const char* function;
  size_t positional;  // so many of the parameters may come without their names
  std::vector<Name> parameters;
  PyObject* (*run)(const Given&);  // a new reference; null if it declines, or with an error set
};

// The step for a function of that name; null with an error set if there is none.
const Step* find_step(const char* function);

// What steps take for granted: the variable that holds the active backend, the Python objects of backends, our
// generator's type, the modules that hold the shared one and the number of threads, and the type of a top-k. Until then
// all steps decline.
struct Known {
  PyObject* active;
  std::vector<std::pair<PyObject*, const Backend*>> backends;
  PyObject* generator;
  PyObject* random;
  PyObject* thread_count;
  PyObject* top_k;
};
inline Known known{};

// A callable that tries the step and calls the function for what it declines; null with an error set.
PyObject* make_direct(PyObject* function, const Step&);

}  // namespace gumbelfast
