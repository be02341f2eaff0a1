// The noise of elements that are named one by one: of each its own blocks, a block a lane (docs/stream.md, "Noise at
// ids"). All steps behind the bits are those of whole tiles, so the bytes are the same.
#pragma once

namespace gumbelfast {
namespace {

// Keys that differ from lane to lane, or one for all.
template <bool keyed>
struct LaneKeys {
  U64 k0, k1;
  explicit LaneKeys(Key key) : k0(set(uint64_t{key.k0})), k1(set(uint64_t{key.k1})) {}
  explicit LaneKeys(const uint64_t* keys) : k0(load(keys)), k1(simd::shr<32>(load(keys))) {}
};

// Blocks of any numbers, one per lane: `low` and `high` are words 0 and 1 of their counters. Word i of the block of
// stream s is the low half of out[s][i].
template <int n>
GF_OP void philox_lanes(const U64 (&key0)[n], const U64 (&key1)[n], const U64 (&low)[n], const U64 (&high)[n],
                        U64 (&out)[n][4]) {
  using simd::set, simd::shr, simd::xor3, simd::mul_low32;
  const U64 m0 = set(uint64_t{philox_m0}), m1 = set(uint64_t{philox_m1});
  U64 c0[n], c1[n], c2[n], c3[n];
#pragma GCC unroll 6
  for (int i = 0; i < n; ++i) {  // round 0: counter words 2 and 3 are zero
    const U64 p0 = mul_low32(m0, low[i]);
    c0[i] = high[i] ^ key0[i];
    c1[i] = set(uint64_t{0});
    c2[i] = shr<32>(p0) ^ key1[i];
    c3[i] = p0;
  }
#pragma GCC unroll 9
  for (int round = 1; round < philox_rounds; ++round) {
    const U64 w0 = set(uint64_t{static_cast<uint32_t>(round) * philox_w0}),
              w1 = set(uint64_t{static_cast<uint32_t>(round) * philox_w1});
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) {
      const U64 p0 = mul_low32(m0, c0[i]), p1 = mul_low32(m1, c2[i]);
      c0[i] = xor3(shr<32>(p1), c1[i], key0[i] + w0);
      c2[i] = xor3(shr<32>(p0), c3[i], key1[i] + w1);
      c1[i] = p1;
      c3[i] = p0;
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < n; ++i) {
    out[i][0] = c0[i];
    out[i][1] = c1[i];
    out[i][2] = c2[i];
    out[i][3] = c3[i];
  }
}

// Where the bits of eight elements lie.
struct ElementBits {
  U64 head, word;               // numbers of blocks
  M64 head_second, odd, upper;  // which words of them: words 2 and 3 of the head's, the second of two, the upper two
  U64 place;

  explicit ElementBits(U64 element) {
    const auto has = [](U64 x, uint64_t bit) { return (x & set(bit)) == set(bit); };
    const U64 tile = simd::shr<5>(element);
    place = element & set(uint64_t{31});
    head = simd::shl<3>(simd::shr<4>(tile)) | (tile & set(uint64_t{7}));
    word = simd::shl<3>(tile) | (simd::shr<1>(place) & set(uint64_t{7}));
    head_second = has(tile, 8);
    odd = has(element, 1);
    upper = has(element, 16);
  }
  U64 head_of(const U64 (&words)[4]) const {
    const U64 low = select(head_second, words[2], words[0]), high = select(head_second, words[3], words[1]);
    return (low & set(uint64_t{0xffffffff})) | simd::shl<32>(high);
  }
  U64 word_of(const U64 (&words)[4]) const {
    return select(upper, select(odd, words[3], words[2]), select(odd, words[1], words[0]));
  }
};

// The exponentials of sixteen elements over the minima of their tiles.
GF_OP void exponentials_of(U32 word, U32, const Heads<float>& heads, simd::Several<F32, 1>& e) {
  simd::Several<F32, 1> zeros, y, minimum;
  const U32 words[1] = {word};
  read_words(words, zeros, y);
  minimum.block[0] = load(heads.minimum);
  e = exponential(minimum, zeros, y);
}
GF_OP void exponentials_of(U32 word, U32 extension, const Heads<double>& heads, simd::Several<F64, 2>& e) {
  simd::Several<F64, 2> zeros, y, minimum;
  const U32 words[1] = {word}, extensions[1] = {extension};
  read_words(words, extensions, zeros, y);
  minimum.block[0] = load(heads.minimum);
  minimum.block[1] = load(heads.minimum + 8);
  e = exponential(minimum, zeros, y);
}

// The noise of one element whose word is short.
template <Law law, class T>
[[gnu::noinline, gnu::cold]] T repaired(Key key, uint64_t element, T minimum, uint32_t word) {
  const uint64_t tile = tile_of(element), p = element % tile_size;
  const Block4 extension = philox_block(key, {domain_extension, 8 * tile + p % 16 / 2});
  const uint64_t unit = static_cast<uint64_t>(word) << 32 | extension.word[2 * (p / 16) + p % 2];
  double lanes[F64::lanes];
  store(lanes, noise_of<law>(exponential_of(static_cast<double>(minimum), unit)));
  return static_cast<T>(lanes[0]);
}

constexpr int elements_abreast = 16;

// The noise of sixteen elements, each under the key at its place if there are `keys`.
template <Law law, bool keyed, class T>
void draw_elements(Key key, const uint64_t* keys, const uint64_t* element, T* noise) {
  using V = VectorOf<T>;
  constexpr int kinds = sizeof(T) == 8 ? 3 : 2, blocks = 16 / V::lanes;
  const U64 low_half = set(uint64_t{0xffffffff});
  const ElementBits at[2] = {ElementBits(load(element)), ElementBits(load(element + 8))};
  U64 key0[2 * kinds], key1[2 * kinds], low[2 * kinds], high[2 * kinds], words[2 * kinds][4];
#pragma GCC unroll 6
  for (int i = 0; i < 2 * kinds; ++i) {
    const int half = i % 2;
    const uint32_t domain = i < 2 ? domain_head : i < 4 ? domain_word : domain_extension;
    const U64 block = i < 2 ? at[half].head : at[half].word;
    low[i] = block & low_half;
    high[i] = simd::shr<32>(block) | set(uint64_t{domain} << 28);
    const LaneKeys<keyed> lanes = [&] {
      if constexpr (keyed)
        return LaneKeys<keyed>(keys + 8 * half);
      else
        return LaneKeys<keyed>(key);
    }();
    key0[i] = lanes.k0;
    key1[i] = lanes.k1;
  }
  philox_lanes(key0, key1, low, high, words);
  const U64 head[2] = {at[0].head_of(words[0]), at[1].head_of(words[1])};
  const U64 ones = set(~uint64_t{0}), thirty_one = set(uint64_t{31});
  Heads<T> heads;
  store_minima<law>(simd::sar<5>(head[0] ^ ones), simd::sar<5>(head[1] ^ ones), heads);
  const U32 word = simd::narrow(at[0].word_of(words[2]), at[1].word_of(words[3]));
  U32 extension = word;
  if constexpr (kinds == 3) extension = simd::narrow(at[0].word_of(words[4]), at[1].word_of(words[5]));
  simd::Several<V, blocks> e;
  exponentials_of(word, extension, heads, e);
  const auto out = noise_of<law>(e);
#pragma GCC unroll 2
  for (int i = 0; i < blocks; ++i) store(noise + i * V::lanes, out.block[i]);
  if (bits(simd::shr<short_bits>(word) == set(uint32_t{0}))) [[unlikely]] {
    uint32_t own[elements_abreast];
    store(own, word);
    for (int i = 0; i < elements_abreast; ++i)
      if (!(own[i] >> short_bits)) {
        const uint64_t k = keyed ? keys[i] : 0;
        noise[i] = repaired<law>(keyed ? Key{static_cast<uint32_t>(k), static_cast<uint32_t>(k >> 32)} : key,
                                 element[i], heads.minimum[i], own[i]);
      }
  }
  for (int half = 0; half < 2; ++half)
    for (uint32_t first = bits((head[half] & thirty_one) == at[half].place); first; first &= first - 1) {
      const int i = 8 * half + __builtin_ctz(first);
      noise[i] = heads.top[i];
    }
}

// Where the entries of a row of the result begin and end.
GF_OP int64_t first_entry(const Entries& entries, int64_t row) {
  const int64_t i = row % entries.rows;
  return entries.bounds ? entries.bounds[i] : i * entries.cols;
}
GF_OP int64_t end_of_entries(const Entries& entries, int64_t row) {
  const int64_t i = row % entries.rows;
  return entries.bounds ? entries.bounds[i + 1] : (i + 1) * entries.cols;
}

// Some entries of several rows, one behind the other: their elements, and keys where each row has its own.
struct NamedElements {
  // Entries [from, to) of a row of the result behind the others.
  void add(const Entries& entries, const Address& address, int64_t row, int64_t from, int64_t to) {
    const RowNoise noise(address, row);
    const uint64_t* ids = entries.ids + from;
    const U64 first = set(noise.first);
    for (int64_t j = 0; j < to - from; j += U64::lanes) {
      const int64_t left = to - from - j;
      if (left >= U64::lanes)
        store(element + count + j, load(ids + j) + first);
      else
        for (int64_t i = 0; i < left; ++i) element[count + j + i] = ids[j + i] + noise.first;
    }
    if (address.keys)
      for (int64_t j = count; j < count + to - from; ++j) key[j] = address.keys[row];
    count += to - from;
  }
  // The noise of all of them; sixteen numbers behind may be overwritten.
  template <Law law = Law::gumbel, class T>
  void draw(const Address& address, T* noise) {
    for (int64_t j = count; j % elements_abreast; ++j) {
      element[j] = element[count - 1];
      key[j] = key[count - 1];
    }
    for (int64_t j = 0; j < count; j += elements_abreast) {
      if (address.keys)
        draw_elements<law, true>(address.key, key + j, element + j, noise + j);
      else
        draw_elements<law, false>(address.key, nullptr, element + j, noise + j);
    }
  }
  bool has_room(int64_t more) const { return count + more <= capacity; }

  static constexpr int64_t capacity = 1024;
  int64_t count = 0;
  alignas(64) uint64_t element[capacity + elements_abreast], key[capacity + elements_abreast];
};

template <Law law, class S>
Result gathered_noise(const NoiseAtArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  S* out = static_cast<S*>(args.out);
  const int64_t cols = args.entries.cols;
  alignas(64) T noise[NamedElements::capacity + elements_abreast];
  NamedElements named;
  for (int64_t begin = span.begin, end; begin < span.end; begin = end) {
    end = begin + NamedElements::capacity < span.end ? begin + NamedElements::capacity : span.end;
    named.count = 0;
    for (int64_t from = begin, to; from < end; from = to) {
      const int64_t row = from / cols, last = (row + 1) * cols;
      to = last < end ? last : end;
      named.add(args.entries, args.noise, row, from, to);
    }
    named.draw<law>(args.noise, noise);
    for_blocks<V>(end - begin, [&](int64_t j, int n) { store_block(out + begin + j, n, load(noise + j)); });
  }
  return {Outcome::done, span.end - span.begin};
}

template <class S>
Result gumbel_at(const NoiseAtArgs& args, const Span& span) {
  return gathered_noise<Law::gumbel, S>(args, span);
}
template <class S>
Result exponential_at(const NoiseAtArgs& args, const Span& span) {
  return gathered_noise<Law::exponential, S>(args, span);
}

}  // namespace
}  // namespace gumbelfast
