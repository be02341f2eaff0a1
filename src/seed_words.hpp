// The first words of numpy.random.SeedSequence for an integer: M. E. O'Neill's seed_seq alternative (2015), with the
// constants of NumPy, whose results do not change between its versions.
#pragma once

#include <array>
#include <cstdint>

namespace gumbelfast {

// SeedSequence(seed).generate_state(2, uint32), the first word low.
inline uint64_t key_of_seed(uint64_t seed) {
  const auto fold = [](uint32_t x) { return x ^ x >> 16; };
  uint32_t constant = 0x43b0d7e5;
  const auto hash = [&](uint32_t x) {
    x ^= constant;
    constant *= 0x931e8875;
    return fold(x * constant);
  };
  std::array<uint32_t, 4> pool;
  for (size_t i = 0; i < 4; ++i) pool[i] = hash(i < 2 ? static_cast<uint32_t>(seed >> 32 * i) : 0);
  for (size_t from = 0; from < 4; ++from)
    for (size_t to = 0; to < 4; ++to)
      if (from != to) pool[to] = fold(0xca01f9ddu * pool[to] - 0x4973f715u * hash(pool[from]));

  constant = 0x8b51f9dd;
  const auto word = [&](uint32_t x) {
    x ^= constant;
    constant *= 0x58f38ded;
    return fold(x * constant);
  };
  const uint32_t low = word(pool[0]);
  return low | static_cast<uint64_t>(word(pool[1])) << 32;
}

}  // namespace gumbelfast
