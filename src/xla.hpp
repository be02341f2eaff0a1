// Handlers for XLA's foreign function interface, by the name that JAX knows them under.
#pragma once
#include <utility>
#include <vector>

namespace gumbelfast {

std::vector<std::pair<const char*, void*>> xla_handlers();

}  // namespace gumbelfast
