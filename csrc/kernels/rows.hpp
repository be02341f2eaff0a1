// Storage types, and blocks of a row loaded from them and stored to them.
#pragma once
#include "../simd/several.hpp"

namespace gumbelfast {
namespace {

using simd::F32, simd::F64, simd::U32, simd::U64, simd::M32, simd::M64;
using simd::set, simd::fma, simd::select, simd::bits, simd::load, simd::store, simd::load_first, simd::store_first;

struct Half {
  uint16_t word;
};
struct BFloat {
  uint16_t word;
};

// What a storage type is computed in, and its minus infinity.
template <class S>
struct Storage;
template <>
struct Storage<float> {
  using Vector = F32;
  static constexpr float minus_infinity = -__builtin_inff();
};
template <>
struct Storage<double> {
  using Vector = F64;
  static constexpr double minus_infinity = -__builtin_inf();
};
template <>
struct Storage<Half> {
  using Vector = F32;
  static constexpr Half minus_infinity{0xFC00};
};
template <>
struct Storage<BFloat> {
  using Vector = F32;
  static constexpr BFloat minus_infinity{0xFF80};
};
template <int n>
struct Fixed {
  static constexpr int value = n;
};

// Whether a type has numbers where those of its working type are subnormal.
template <class S>
constexpr bool reaches_subnormal = true;
template <>
constexpr bool reaches_subnormal<Half> = false;
template <class S>
using VectorOf = typename Storage<S>::Vector;
template <class S>
using WorkOf = typename VectorOf<S>::Scalar;

template <class V>
GF_OP V minus_infinity() {
  return set(-static_cast<typename V::Scalar>(__builtin_inff()));
}

GF_OP F32 load(const Half* p) { return simd::load_f16(&p->word); }
GF_OP F32 load(const BFloat* p) { return simd::load_bf16(&p->word); }
GF_OP void store(Half* p, F32 a) { simd::store_f16(&p->word, a); }
// To nearest even by an integer sum; a NaN keeps its upper payload and becomes quiet.
GF_OP void store(BFloat* p, F32 a) {
  const U32 word = simd::as_bits(a);
  const U32 even = simd::shr<16>(word) & set(uint32_t{1});
  const U32 rounded = simd::shr<16>(word + set(uint32_t{0x7FFF}) + even);
  const auto nan = simd::signed_above(word & set(uint32_t{0x7FFFFFFF}), set(uint32_t{0x7F800000}));
  simd::store_low16(&p->word, select(nan, simd::shr<16>(word) | set(uint32_t{0x40}), rounded));
}
template <class S>
  requires(sizeof(S) == 2)
GF_OP F32 load_first(const S* p, int n, F32 rest) {
  float lanes[16];
  S padded[16] = {};
  for (int i = 0; i < n; ++i) padded[i] = p[i];
  store(lanes, load(padded));
  return load_first(lanes, n, rest);
}
template <class S>
  requires(sizeof(S) == 2)
GF_OP void store_first(S* p, int n, F32 a) {
  S lanes[16];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

GF_OP U32 iota(F32) { return simd::iota32(); }
GF_OP U64 iota(F64) { return simd::iota64(); }
GF_OP M32 load_mask(const uint8_t* p, F32) { return simd::load_mask32(p); }
GF_OP M64 load_mask(const uint8_t* p, F64) { return simd::load_mask64(p); }

template <class V>
GF_OP auto first_lanes(int n) {
  return simd::lane_mask((1u << n) - 1, V{});
}

// Calls step(j, n) for each block of columns [0, cols): n lanes from column j, n = lanes but for the last.
template <class V, class Step>
GF_OP void for_blocks(int64_t cols, Step step) {
  int64_t j = 0;
  for (; j + V::lanes <= cols; j += V::lanes) step(j, V::lanes);
  if (j < cols) step(j, static_cast<int>(cols - j));
}
template <class V, class S>
GF_OP V load_block(const S* p, int n, V rest) {
  return n == V::lanes ? load(p) : load_first(p, n, rest);
}
template <class V, class S>
GF_OP void store_block(S* p, int n, V a) {
  n == V::lanes ? store(p, a) : store_first(p, n, a);
}

// Places of a row: some whole blocks, taken through every step side by side, or the first lanes of one.
constexpr int abreast = simd::registers / 8;
template <int n>
struct Blocks {
  int64_t column;
};
struct PartOfBlock {
  int64_t column;
  int lanes;
};
template <class V, class S, int n>
GF_OP simd::Several<V, n> load_at(const S* p, Blocks<n> at, V) {
  simd::Several<V, n> out;
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) out.block[i] = load(p + at.column + i * V::lanes);
  return out;
}
template <class V, class S>
GF_OP V load_at(const S* p, PartOfBlock at, V rest) {
  return load_block(p + at.column, at.lanes, rest);
}
template <class V, class S, int n>
GF_OP void store_at(S* p, Blocks<n> at, const simd::Several<V, n>& a) {
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) store(p + at.column + i * V::lanes, a.block[i]);
}
template <class V, class S>
GF_OP void store_at(S* p, PartOfBlock at, V a) {
  store_block(p + at.column, at.lanes, a);
}
// Calls step(at) for places that make up columns [j, cols).
template <class V, class Step>
GF_OP void for_places(int64_t cols, Step step, int64_t j = 0) {
  for (; j + abreast * V::lanes <= cols; j += abreast * V::lanes) step(Blocks<abreast>{j});
  for (; j < cols; j += V::lanes) step(PartOfBlock{j, static_cast<int>(cols - j < V::lanes ? cols - j : V::lanes)});
}

// Stores value(at) for places that make up columns [0, cols); whole lines go past the cache where that is asked for.
template <class V, class S, class Value>
GF_OP void write_places(S* out, int64_t cols, bool past_cache, Value value) {
  const auto put = [&](auto at) GF_STEP { store_at(out, at, value(at)); };
  int64_t j = 0;
  if (past_cache) {
    constexpr int64_t line = 64 / sizeof(S), blocks = abreast > 1 ? abreast : 2, step = blocks * V::lanes;
    const int64_t ahead = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(out) / sizeof(S)) & (line - 1);
    j = ahead < cols ? ahead : cols;
    for_places<V>(j, put);
    for (; j + step <= cols; j += step) {
      alignas(64) S lines[step];
      store_at(lines, Blocks<blocks>{0}, value(Blocks<blocks>{j}));
      for (int64_t i = 0; i < step; i += line) simd::store_past_cache(out + j + i, lines + i);
    }
  }
  for_places<V>(cols, put, j);
}

// A row in memory that is small enough to stay in the cache, for what would else wait in a result that goes past it.
constexpr int64_t cached_row = int64_t{1} << 20;  // bytes
template <class T>
struct ScratchRow {
  explicit ScratchRow(int64_t cols) : data(cols ? new T[static_cast<uint64_t>(cols)] : nullptr) {}
  ~ScratchRow() { delete[] data; }
  ScratchRow(const ScratchRow&) = delete;
  ScratchRow& operator=(const ScratchRow&) = delete;
  T* data;
};
template <class S>
GF_OP bool goes_past_cache(bool past_cache, int64_t cols) {
  return past_cache && cols * static_cast<int64_t>(sizeof(WorkOf<S>)) <= cached_row;
}

// One number in the working type.
GF_OP float work_value(float x) { return x; }
GF_OP double work_value(double x) { return x; }
template <class S>
  requires(sizeof(S) == 2)
GF_OP float work_value(S x) {
  float lanes[16];
  const S padded[16] = {x};
  store(lanes, load(padded));
  return lanes[0];
}

template <class T>
constexpr T largest_finite = sizeof(T) == 4 ? static_cast<T>(0x1.fffffep127) : static_cast<T>(0x1.fffffffffffffp1023);
template <class T>
GF_OP bool is_finite(T x) {
  return x - x == 0;
}

// The scale of a row of the data, in the working type.
template <class T>
GF_OP T scale_of(const Scale& scale, int64_t row) {
  return static_cast<T>(scale.each ? scale.each[row] : scale.one);
}

// A row of logits under its mask: what is masked reads as -inf, whatever lies there.
template <class S, bool masked>
struct Row {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const S* x;
  const uint8_t* mask;
  int64_t first, last;  // columns that may be read, the neighbouring rows' included

  Row(const Logits& logits, int64_t row) {
    const int64_t i = row % logits.rows;
    x = static_cast<const S*>(logits.data) + i * logits.stride;
    first = -i * logits.stride;
    last = first + (logits.rows - 1) * logits.stride + logits.cols;
    mask = masked ? logits.mask + (logits.mask_per_row ? i * logits.cols : 0) : nullptr;
  }
  GF_OP V block(int64_t j) const {
    const V v = load(x + j);
    if constexpr (masked) return select(load_mask(mask + j, v), v, minus_infinity<V>());
    return v;
  }
  // The first n lanes of a block; the others read as -inf, and memory behind them is not touched.
  GF_OP V block(int64_t j, int n) const {
    if (n == V::lanes) return block(j);
    const V v = load_first(x + j, n, minus_infinity<V>());
    if constexpr (!masked) return v;
    uint8_t padded[16] = {};
    for (int i = 0; i < n; ++i) padded[i] = mask[j + i];
    return select(load_mask(padded, v), v, minus_infinity<V>());
  }
  GF_OP S element(int64_t j) const { return !masked || mask[j] ? x[j] : Storage<S>::minus_infinity; }
};

// Some rows as if they followed each other: as they lie, or copied where they lie apart.
template <class S, int64_t capacity>
struct PackedRows {
  const S* pack(const Logits& logits, int64_t row, int64_t count) {
    const int64_t cols = logits.cols, stride = logits.stride;
    const S* from = static_cast<const S*>(logits.data) + row * stride;
    if (stride == cols) return from;
    // Copies of fixed size are a few moves; what they take too much the next row writes over.
    const S* const end = from + (logits.rows - 1 - row) * stride + cols;
    for (S* to = copy; count--; to += cols, from += stride) {
      int64_t j = 0;
      for (; j < cols && from + j + chunk <= end; j += chunk) __builtin_memcpy(to + j, from + j, chunk * sizeof(S));
      if (j < cols) __builtin_memcpy(to + j, from + j, static_cast<uint64_t>(cols - j) * sizeof(S));
    }
    return copy;
  }

 private:
  static constexpr int64_t chunk = 16;
  alignas(64) S copy[capacity + chunk];
};

}  // namespace
}  // namespace gumbelfast
