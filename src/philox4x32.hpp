// Philox4x32-10 as a sequence of words (Salmon, Moraes, Dror and Shaw 2011), in portable C++: what the kernels have is
// compiled once per instruction set, private to each, and serves whole tiles.
#pragma once

#include <atomic>
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

// The next element of the addressable noise. A lock of its own would cost more than a small call's noise.
struct NoisePlace {
  static constexpr uint64_t last = uint64_t{1} << 62, tile = 32;

  std::atomic<uint64_t> next{0};

  uint64_t get() const { return next.load(); }
  void set(uint64_t element) { next.store(element); }
  // Takes elements from the next tile on; `end` is where they end. False if they do not fit: nothing moves.
  bool reserve(uint64_t elements, uint64_t& before, uint64_t& end) {
    before = next.load();
    do {
      const uint64_t first = (before + tile - 1) / tile * tile;
      if (elements > last - first) return false;
      end = first + elements;
    } while (!next.compare_exchange_weak(before, end));
    return true;
  }
  // Only where nobody has moved since: others' elements stay theirs.
  void put_back(uint64_t before, uint64_t end) { next.compare_exchange_strong(end, before); }
};

}  // namespace gumbelfast
