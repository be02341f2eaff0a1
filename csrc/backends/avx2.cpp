#include "../backend.hpp"
#include "../simd/avx2.hpp"

#define GUMBELFAST_BACKEND_NAME avx2
#include "table.hpp"
