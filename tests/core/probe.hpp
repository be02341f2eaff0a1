// The kernels' elementary functions, opened to tests: arrays in, arrays out, per instruction set.
#pragma once
#include <cstdint>

namespace probe {

// `run` maps `count` inputs, a multiple of 16, each on its own.
struct Map {
  const char* name;
  int in_size, out_size;
  void (*run)(const void* in, void* out, int64_t count);
};
inline constexpr int map_count = 15;
inline constexpr int64_t step = 16;

struct Probe {
  const char* name;
  Map maps[map_count];
};

}  // namespace probe
