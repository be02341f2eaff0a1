// Which backends this CPU can run.
#pragma once
#include <vector>

#include "backend.hpp"

namespace gumbelfast {

// Best first; never empty, since `scalar` runs anywhere.
std::vector<const Backend*> usable_backends();

}  // namespace gumbelfast
