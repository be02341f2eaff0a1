// Alias tables, built once without special flags: a walk over integers that no vector helps.
#pragma once
#include <cstdint>

namespace gumbelfast {

// The table of one row of bounds, 2**bits >= cols entries (docs/stream.md, "From uniforms to categories").
void alias_table(const uint64_t* bounds, int64_t cols, int bits, uint64_t* table);

}  // namespace gumbelfast
