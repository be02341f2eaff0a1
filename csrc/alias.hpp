// Alias tables, built once without special flags: walks in order that no vector helps.
#pragma once
#include <cstdint>

namespace gumbelfast {

// The bounds of a row of weights, finite and >= 0, whose sum is > 0 and finite; gumbelfast/_tables.py does the same.
void bounds_of(const double* weights, int64_t cols, uint64_t* bounds);

// The table of one row of bounds, 2**bits >= cols entries (docs/stream.md, "From uniforms to categories").
void alias_table(const uint64_t* bounds, int64_t cols, int bits, uint64_t* table);

}  // namespace gumbelfast
