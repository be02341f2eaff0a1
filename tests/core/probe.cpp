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

// -log(U) of an element whose tile has a minimum of zero: what `draw_tiles` adds to the minimum.
template <bool fine>
void map_word(const void* in, void* out, int64_t count) {
  each_block<uint32_t, float>(in, out, count, [](U32 w) { return minus_log_unit<fine>(set(0.0f), unit_float(w)); });
}
template <bool fine>
void map_word64(const void* in, void* out, int64_t count) {
  each_block<uint64_t, double>(in, out, count, [](U64 w) { return minus_log_unit<fine>(set(0.0), unit_float(w)); });
}
// The same of float words below 2**16 with their extension, as `repair` has it.
template <bool fine>
void map_extended(const void* in, void* out, int64_t count) {
  const auto* unit = static_cast<const uint64_t*>(in);
  for (int64_t i = 0; i < count; ++i) {
    const F32 u = set(static_cast<float>((static_cast<double>(unit[i]) + 0.5) * 0x1p-64));
    simd::store_first(static_cast<float*>(out) + i, 1, minus_log_unit<fine>(set(0.0f), u));
  }
}

// Heads as `draw_heads` makes them: the minimum, or the noise that becomes of it.
template <Law law, bool top, class T>
void map_head(const void* in, void* out, int64_t count) {
  const U64 ones = set(~uint64_t{0});
  for (int64_t i = 0; i < count; i += group_tiles) {
    const auto* word = static_cast<const uint64_t*>(in) + i;
    Heads<T> heads;
    store_minima<law>(simd::sar<5>(simd::load(word) ^ ones), simd::sar<5>(simd::load(word + 8) ^ ones), heads);
    __builtin_memcpy(static_cast<T*>(out) + i, top ? heads.top : heads.minimum, sizeof heads.top);
  }
}

// The noise of an element whose head is its word with the halves swapped.
template <Law law>
void map_noise64(const void* in, void* out, int64_t count) {
  each_block<uint64_t, double>(in, out, count, [](U64 word) {
    const U64 s = simd::sar<5>((simd::shl<32>(word) | simd::shr<32>(word)) ^ set(~uint64_t{0}));
    double minimum[8], top[8];
    if constexpr (law == Law::exponential)
      store(minimum, fine_minima(s));
    else
      store_minima(simd::signed_float(s), minimum, top);
    return noise_of<law>(minus_log_unit < law == Law::exponential > (load(minimum), unit_float(word)));
  });
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
        {"word", 4, 4, map_word<false>},
        {"word-fine", 4, 4, map_word<true>},
        {"extended", 8, 4, map_extended<false>},
        {"extended-fine", 8, 4, map_extended<true>},
        {"head", 8, 4, map_head<Law::gumbel, false, float>},
        {"head-fine", 8, 4, map_head<Law::exponential, false, float>},
        {"top", 8, 4, map_head<Law::gumbel, true, float>},
        {"minus-log64", 8, 8, map_minus_log64},
        {"log1p64", 8, 8, map_log1p64},
        {"exp64", 8, 8, map_exp64},
        {"word64", 8, 8, map_word64<false>},
        {"word64-fine", 8, 8, map_word64<true>},
        {"gumbel64", 8, 8, map_noise64<Law::gumbel>},
        {"exponential64", 8, 8, map_noise64<Law::exponential>},
        {"head64", 8, 8, map_head<Law::gumbel, false, double>},
        {"head64-fine", 8, 8, map_head<Law::exponential, false, double>},
        {"top64", 8, 8, map_head<Law::gumbel, true, double>},
    },
};

}  // namespace probe
