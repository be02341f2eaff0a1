#include "../backend.hpp"
#include "../simd/scalar.hpp"

#define GUMBELFAST_BACKEND_NAME scalar
#include "table.hpp"
