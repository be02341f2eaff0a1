// What the system tells of memory.
#pragma once
#include <cstdint>

namespace gumbelfast {

// Whether a result of so many bytes is written faster past the cache. A large one is, by measurement, unless nobody has
// touched its memory yet: the system then clears each page as it is first written, and leaves it in the cache.
bool gains_past_cache(void* result, int64_t size);

}  // namespace gumbelfast
