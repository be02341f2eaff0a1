#include "../backend.hpp"
#include "../simd/neon.hpp"

#define GUMBELFAST_BACKEND_NAME neon
#include "table.hpp"
