// One instruction set's table of maps. Compiled once per backend with that backend's flags; GUMBELFAST_VOCABULARY is
// its header, GUMBELFAST_PROBE the name of the table.
#include "../../csrc/backend.hpp"
#include GUMBELFAST_VOCABULARY
#include "../../csrc/kernels/philox.hpp"
#include "../../csrc/kernels/elementary.hpp"
#include "../../csrc/kernels/rows.hpp"
#include "../../csrc/kernels/tiles.hpp"
#include "probe.hpp"

namespace gumbelfast {
namespace {

template <class In, class Out, class F>
void each_block(const void* in, void* out, int64_t count, F f) {
  constexpr int lanes = 64 / sizeof(In);
  for (int64_t i = 0; i < count; i += lanes)
    simd::store(static_cast<Out*>(out) + i, f(simd::load(static_cast<const In*>(in) + i)));
}

void map_minus_log(const void* in, void* out, int64_t count) {
  each_block<float, float>(in, out, count, [](F32 x) { return minus_log(x); });
}
void map_minus_log64(const void* in, void* out, int64_t count) {
  each_block<double, double>(in, out, count, [](F64 x) { return minus_log(x); });
}
void map_exp(const void* in, void* out, int64_t count) {
  each_block<float, float>(in, out, count, [](F32 x) { return exp_nonpositive(x); });
}
void map_exp64(const void* in, void* out, int64_t count) {
  each_block<double, double>(in, out, count, [](F64 x) { return exp_nonpositive(x); });
}
void map_log1p(const void* in, void* out, int64_t count) {
  each_block<float, float>(in, out, count, [](F32 x) { return log1p_unit(x); });
}
void map_log1p64(const void* in, void* out, int64_t count) {
  each_block<double, double>(in, out, count, [](F64 x) { return log1p_unit(x); });
}

// X of words that are not short: what `draw_tiles` adds to a minimum of zero.
void map_word(const void* in, void* out, int64_t count) {
  each_block<uint32_t, float>(in, out, count, [](U32 w) {
    simd::Several<F32, 1> zeros, y;
    read_words<1>({w}, zeros, y);
    return exponential(set(0.0f), zeros, y).block[0];
  });
}
// X of a word and its extension: as `repair` has it where the word is short, and in float32.
template <class T>
void map_extended(const void* in, void* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    double lanes[F64::lanes];
    store(lanes, exponential_of(0, static_cast<const uint64_t*>(in)[i]));
    static_cast<T*>(out)[i] = static_cast<T>(lanes[0]);
  }
}
// The noise of 16 words and extensions whose minima are given.
template <Law law>
void noise_of_words(const uint64_t* unit, const double* minimum, double* noise) {
  uint32_t word[U32::lanes], extension[U32::lanes];
  for (int i = 0; i < U32::lanes; ++i) {
    word[i] = static_cast<uint32_t>(unit[i] >> 32);
    extension[i] = static_cast<uint32_t>(unit[i]);
  }
  simd::Several<F64, 2> zeros, y;
  read_words<1>({simd::load(word)}, {simd::load(extension)}, zeros, y);
  const simd::Several<F64, 2> least = {{load(minimum), load(minimum + F64::lanes)}};
  const auto found = noise_of<law>(exponential(least, zeros, y));
  for (int i = 0; i < 2; ++i) store(noise + i * F64::lanes, found.block[i]);
  for (int i = 0; i < U32::lanes; ++i)
    if (word[i] >> short_bits == 0) store_first(noise + i, 1, noise_of<law>(exponential_of(minimum[i], unit[i])));
}
void map_word64(const void* in, void* out, int64_t count) {
  const double none[U32::lanes] = {};
  for (int64_t i = 0; i < count; i += U32::lanes)
    noise_of_words<Law::exponential>(static_cast<const uint64_t*>(in) + i, none, static_cast<double*>(out) + i);
}

GF_OP U64 not_shifted(U64 head) { return simd::sar<5>(head ^ set(~uint64_t{0})); }

// Heads as `draw_heads` makes them: the minimum, or the noise that becomes of it.
template <bool top, class T>
void map_head(const void* in, void* out, int64_t count) {
  for (int64_t i = 0; i < count; i += group_tiles) {
    const auto* word = static_cast<const uint64_t*>(in) + i;
    Heads<T> heads;
    store_minima<Law::gumbel>(not_shifted(simd::load(word)), not_shifted(simd::load(word + 8)), heads);
    __builtin_memcpy(static_cast<T*>(out) + i, top ? heads.top : heads.minimum, sizeof heads.top);
  }
}

// The noise of an element whose head is its word with the halves swapped.
template <Law law>
void map_noise64(const void* in, void* out, int64_t count) {
  const auto head = [](U64 word) { return not_shifted(simd::shl<32>(word) | simd::shr<32>(word)); };
  for (int64_t i = 0; i < count; i += group_tiles) {
    const auto* word = static_cast<const uint64_t*>(in) + i;
    Heads<double> heads;
    store_minima<law>(head(simd::load(word)), head(simd::load(word + 8)), heads);
    noise_of_words<law>(word, heads.minimum, static_cast<double*>(out) + i);
  }
}

}  // namespace
}  // namespace gumbelfast

#define GUMBELFAST_TEXT_OF(name) #name
#define GUMBELFAST_TEXT(name) GUMBELFAST_TEXT_OF(name)

namespace probe {

using namespace gumbelfast;

extern const Probe GUMBELFAST_PROBE;
const Probe GUMBELFAST_PROBE = {
    GUMBELFAST_TEXT(GUMBELFAST_PROBE),
    {
        {"minus-log", 4, 4, map_minus_log},
        {"exp", 4, 4, map_exp},
        {"log1p", 4, 4, map_log1p},
        {"word", 4, 4, map_word},
        {"extended", 8, 4, map_extended<float>},
        {"head", 8, 4, map_head<false, float>},
        {"top", 8, 4, map_head<true, float>},
        {"minus-log64", 8, 8, map_minus_log64},
        {"log1p64", 8, 8, map_log1p64},
        {"exp64", 8, 8, map_exp64},
        {"word64", 8, 8, map_word64},
        {"gumbel64", 8, 8, map_noise64<Law::gumbel>},
        {"exponential64", 8, 8, map_noise64<Law::exponential>},
        {"head64", 8, 8, map_head<false, double>},
        {"top64", 8, 8, map_head<true, double>},
    },
};

}  // namespace probe
