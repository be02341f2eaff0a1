// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
#pragma once

namespace gumbelfast {
namespace {

constexpr uint32_t philox_m0 = 0xD2511F53, philox_m1 = 0xCD9E8D57;  // multipliers
constexpr uint32_t philox_w0 = 0x9E3779B9, philox_w1 = 0xBB67AE85;  // key increments
constexpr int philox_rounds = 10;

// Domains of the stream law: what a block's words are used for.
enum Domain : uint32_t {
  domain_word = 0,
  domain_extension = 1,
  domain_head = 2,
  domain_draw_high = 3,
  domain_draw_low = 4
};

struct Block4 {
  uint32_t word[4];
};

inline Block4 philox_block(Key key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  for (int round = 0; round < philox_rounds; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(philox_m0) * c0, p1 = static_cast<uint64_t>(philox_m1) * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key.k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key.k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    key.k0 += philox_w0;
    key.k1 += philox_w1;
  }
  return {{c0, c1, c2, c3}};
}

// A block of the law: which words it holds, and its number.
struct Counter {
  uint32_t domain;
  uint64_t block;
  uint32_t low() const { return static_cast<uint32_t>(block); }
  uint32_t high() const { return static_cast<uint32_t>(block >> 32) | domain << 28; }
};

inline Block4 philox_block(Key key, Counter at) { return philox_block(key, at.low(), at.high(), 0, 0); }

// A row's own key: words 0 and 1 at counter (seed, 1) under key 0.
inline Key row_key(uint64_t seed) {
  const Block4 b = philox_block(Key{0, 0}, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 1);
  return {b.word[0], b.word[1]};
}
inline void row_keys(const uint64_t* seeds, int64_t count, uint64_t* keys) {
  for (int64_t i = 0; i < count; ++i) {
    const Key key = row_key(seeds[i]);
    keys[i] = static_cast<uint64_t>(key.k1) << 32 | key.k0;
  }
}

// Words 0 and 1 of eight blocks, joined, and words 2 and 3 likewise.
struct Words {
  simd::U32 low, high;
};

// Eight blocks from each counter on (their numbers are multiples of 8), one per 64-bit lane; several counters at once,
// since one alone waits on its own products. Only the low half of a lane is kept clean where it is multiplied or given
// out; above it lies whatever the products left. Counter words 2 and 3 are zero, so round one needs one product and
// half of round two is uniform.
template <int n>
GF_OP void philox8(Key key, const Counter (&at)[n], Words (&out)[n]) {
  using simd::set, simd::shr, simd::U64, simd::xor3, simd::mul_low32;
  const U64 m0 = set(uint64_t{philox_m0}), m1 = set(uint64_t{philox_m1});
  auto key0 = [&](int round) { return key.k0 + static_cast<uint32_t>(round) * philox_w0; };
  auto key1 = [&](int round) { return key.k1 + static_cast<uint32_t>(round) * philox_w1; };

  U64 c0[n], c1[n], c2[n], c3[n];
#pragma GCC unroll 6
  for (int i = 0; i < n; ++i) {
    const U64 p = mul_low32(m0, set(uint64_t{at[i].low()}) + simd::iota64());
    const uint64_t same = static_cast<uint64_t>(philox_m0) * (at[i].high() ^ key0(0));
    const U64 q = mul_low32(m1, shr<32>(p) ^ set(uint64_t{key1(0)}));
    c0[i] = shr<32>(q) ^ set(uint64_t{key0(1)});
    c1[i] = q;
    c2[i] = p ^ set(same >> 32 ^ key1(1));
    c3[i] = set(same);
  }
#pragma GCC unroll 8
  for (int round = 2; round < philox_rounds; ++round) {
    const U64 k0 = set(uint64_t{key0(round)}), k1 = set(uint64_t{key1(round)});
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) {
      const U64 p0 = mul_low32(m0, c0[i]), p1 = mul_low32(m1, c2[i]);
      c0[i] = xor3(shr<32>(p1), c1[i], k0);
      c2[i] = xor3(shr<32>(p0), c3[i], k1);
      c1[i] = p1;
      c3[i] = p0;
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < n; ++i) out[i] = {simd::join_low32(c0[i], c1[i]), simd::join_low32(c2[i], c3[i])};
}
GF_OP Words philox8(Key key, Counter at) {
  Words out[1];
  philox8(key, {at}, out);
  return out[0];
}

// Blocks [block, block + count) in order, four words each.
inline void philox_words(Key key, uint32_t domain, uint64_t block, int64_t count, uint32_t* out) {
  for (const uint64_t end = block + static_cast<uint64_t>(count); block < end;) {
    const uint64_t first = block & ~uint64_t{7};
    const Words words = philox8(key, {domain, first});
    uint32_t low[16], high[16];
    simd::store(low, words.low);
    simd::store(high, words.high);
    for (; block < end && block < first + 8; ++block, out += 4) {
      const uint64_t i = 2 * (block - first);
      out[0] = low[i], out[1] = low[i + 1], out[2] = high[i], out[3] = high[i + 1];
    }
  }
}

}  // namespace
}  // namespace gumbelfast
