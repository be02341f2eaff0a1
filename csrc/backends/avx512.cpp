#include "../backend.hpp"
#include "../simd/avx512.hpp"

#define GUMBELFAST_BACKEND_NAME avx512
#include "table.hpp"
