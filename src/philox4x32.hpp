// Philox4x32-10 as a sequence of words (Salmon, Moraes, Dror and Shaw 2011), in portable C++: what the kernels have is
// compiled once per instruction set, private to each, and serves whole tiles.
#pragma once

#include <cstdint>

namespace gumbelfast {

// The block at counter words (low, high), each of 64 bits, under a key whose low word is k0.
inline void philox4x32_block(uint64_t low, uint64_t high, uint64_t key, uint32_t* out) {
  uint32_t c0 = static_cast<uint32_t>(low), c1 = static_cast<uint32_t>(low >> 32);
  uint32_t c2 = static_cast<uint32_t>(high), c3 = static_cast<uint32_t>(high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0, p1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

struct Philox4x32Words {
  static constexpr int blocks = 16;  // independent of each other, so that a CPU works on several at once

  uint64_t key, low, high;  // (low, high): counter of the first block in the buffer
  int next;                 // place in the buffer of the next word; at its end the buffer is used up
  uint32_t buffer[4 * blocks];

  void start(uint64_t at_low, uint64_t at_high, int word) {
    low = at_low, high = at_high, next = word;
    for (uint64_t i = 0; i < blocks; ++i) philox4x32_block(low + i, high + (low + i < low), key, buffer + 4 * i);
  }
  uint32_t word() {
    if (next == 4 * blocks) start(low + blocks, high + (low + blocks < low), 0);
    return buffer[next++];
  }
  uint64_t two_words() {
    const uint64_t first = word();
    return first | static_cast<uint64_t>(word()) << 32;
  }
};

}  // namespace gumbelfast
