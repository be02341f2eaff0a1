// Draws from tables: one uniform of 64 bits each, and one or two loads (docs/stream.md, "From uniforms to categories").
#pragma once
#include "../weights.hpp"

namespace gumbelfast {
namespace {

constexpr int draw_tiles_abreast = 16;  // tiles whose uniforms wait in the first-level cache

GF_OP void store_joined(uint64_t* uniform, U32 high, U32 low) {
  store(uniform, simd::pair_low(low, high));
  store(uniform + 8, simd::pair_high(low, high));
}
// The uniforms of the draws of some tiles.
GF_OP void draw_uniforms(Key key, const uint64_t* tile, int count, uint64_t* uniform) {
  for (int i = 0; i < count; i += 2, uniform += 2 * tile_size) {
    const uint64_t block = 8 * tile[i], next = 8 * tile[i + 1 < count ? i + 1 : i];
    Words words[4];
    philox8(key,
            {{domain_draw_high, block}, {domain_draw_low, block}, {domain_draw_high, next}, {domain_draw_low, next}},
            words);
    store_joined(uniform, words[0].low, words[1].low);
    store_joined(uniform + 16, words[0].high, words[1].high);
    if (i + 1 == count) return;
    store_joined(uniform + tile_size, words[2].low, words[3].low);
    store_joined(uniform + tile_size + 16, words[2].high, words[3].high);
  }
}

// take(index, uniforms, how many, row of the first) for uniforms that are doubles made of sequential words.
template <class Take>
GF_OP Result draw_runs_by_words(const DrawArgs& args, const Span& span, Take take) {
  constexpr int64_t together = 512, words_a_block = 4;
  alignas(64) uint32_t word[2 * together + 2 * words_a_block];
  uint64_t uniform[together];
  for (int64_t begin = span.begin, count; begin < span.end; begin += count) {
    count = span.end - begin < together ? span.end - begin : together;
    const int64_t first = args.word + 2 * begin, skip = first % words_a_block;
    const uint64_t block = args.offset + static_cast<uint64_t>(first / words_a_block);
    philox_words(args.key, static_cast<uint32_t>(block >> 60), block & ~uint64_t{0} >> 4,
                 (skip + 2 * count + words_a_block - 1) / words_a_block, word);
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t low = word[skip + 2 * i], high = word[skip + 2 * i + 1];
      uniform[i] = (high << 32 | low) >> 11 << 11;
    }
    take(args.index + begin, uniform, count, 0);
  }
  return {};
}

// take(index, uniforms, how many, row of the first) for runs of the draws of the span.
template <class Take>
GF_OP Result draw_runs(const DrawArgs& args, const Span& span, Take take) {
  if (args.word >= 0) return draw_runs_by_words(args, span, take);
  alignas(64) uint64_t unit[draw_tiles_abreast * tile_size];
  for (int64_t begin = span.begin, count; begin < span.end; begin += count) {
    const uint64_t first = args.offset + static_cast<uint64_t>(begin), skip = first % tile_size;
    const uint64_t wanted = (skip + static_cast<uint64_t>(span.end - begin) + tile_size - 1) / tile_size;
    const int tiles = wanted < draw_tiles_abreast ? static_cast<int>(wanted) : draw_tiles_abreast;
    uint64_t tile[draw_tiles_abreast];
    for (int i = 0; i < tiles; ++i) tile[i] = tile_of(first) + static_cast<uint64_t>(i);
    draw_uniforms(args.key, tile, tiles, unit);
    const int64_t ready = tiles * tile_size - static_cast<int64_t>(skip);
    count = ready < span.end - begin ? ready : span.end - begin;
    take(args.index + begin, unit + skip, count, begin % args.rows);
  }
  return {};
}

// step(row, i) for i of [0, count): one row after the other, from `row` on.
template <class Step>
GF_OP void for_draws(int64_t rows, int64_t row, int64_t count, Step step) {
  if (rows == 1) {
    for (int64_t i = 0; i < count; ++i) step(0, i);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      step(row, i);
      row = row + 1 == rows ? 0 : row + 1;
    }
  }
}

// pick(row, uniform) into index for the draws of the span.
template <class Pick>
GF_OP Result draw_each(const DrawArgs& args, const Span& span, Pick pick) {
  return draw_runs(args, span, [&](int64_t* index, const uint64_t* uniform, int64_t count, int64_t first) {
    for_draws(args.rows, first, count, [&](int64_t row, int64_t i) { index[i] = pick(row, uniform[i]); });
  });
}

// Rotated, a uniform holds the number of its column below and its place in the column above. Entries hold the alias
// below and above it where the alias begins, so that one comparison of whole words decides. A conditional expression
// would become a branch that is mispredicted every other time: 5.1 instead of 1.3 ns per draw.
Result draw_alias(const DrawArgs& args, const Span& span) {
  const int bits = args.bits;
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const uint64_t* table = args.table;
  return draw_each(args, span, [=](int64_t row, uint64_t u) {
    const uint64_t turned = u << bits | u >> (64 - bits);
    const uint64_t entry = table[(static_cast<uint64_t>(row) << bits) + (turned & mask)];
    const uint64_t own = -static_cast<uint64_t>((turned | mask) < entry);
    return static_cast<int64_t>((entry ^ ((entry ^ turned) & own)) & mask);
  });
}

// How many bounds are at most the uniform, counted on from where the guide begins. The bound of the last category that
// can be drawn stands for 2**64 and holds one less; no other is so large, so the largest uniform may count as the one
// before. All of a run look into the guide before any goes on from there, where most need no step or one.
Result draw_inverse(const DrawArgs& args, const Span& span) {
  const int64_t rows = args.rows, cols = args.cols;
  return draw_runs(args, span,
                   [=, bits = args.bits, bounds = args.bounds, guide = args.guide](
                       int64_t* index, const uint64_t* uniform, int64_t count, int64_t first) {
                     for_draws(rows, first, count, [=](int64_t row, int64_t i) {
                       index[i] = guide[(row << bits) + static_cast<int64_t>(uniform[i] >> (64 - bits))];
                       __builtin_prefetch(bounds + row * cols + index[i]);
                     });
                     for_draws(rows, first, count, [=](int64_t row, int64_t i) {
                       const uint64_t* const bound = bounds + row * cols;
                       const uint64_t u = uniform[i] - (uniform[i] == ~uint64_t{0});
                       int64_t j = index[i];
                       j += bound[j] <= u;
                       while (bound[j] <= u) ++j;
                       index[i] = j;
                     });
                   });
}

// floor(below * u / 2**64)
Result draw_integers(const DrawArgs& args, const Span& span) {
  return draw_each(args, span, [below = args.below](int64_t, uint64_t u) {
    return static_cast<int64_t>(static_cast<unsigned __int128>(u) * below >> 64);
  });
}

// Whether a sum belongs to a bound above the uniform: the bound is ceil(2**64 * (sum / total)).
GF_OP bool exceeds(double sum, double total, uint64_t u) {
  const double share = sum / total;
  if (share >= 1) return true;
  const double bound = share * 0x1p64;
  const uint64_t whole = static_cast<uint64_t>(bound);
  return whole > u || (whole == u && bound > static_cast<double>(whole));
}

// The least sum that does. The first guess is off by a few roundings; for a uniform of 0 it is where shares underflow.
GF_OP double least_exceeding(double total, uint64_t u) {
  double sum = u ? static_cast<double>(u) * 0x1p-64 * total : total * 0x1p-1000 * 0x1p-75;
  const auto next = [](double x, int64_t step) {
    return __builtin_bit_cast(double, __builtin_bit_cast(int64_t, x) + step);
  };
  if (exceeds(sum, total, u)) {
    while (exceeds(next(sum, -1), total, u)) sum = next(sum, -1);
  } else {
    do sum = next(sum, 1);
    while (!exceeds(sum, total, u));
  }
  return sum;
}

// What draw_inverse gives for the bounds of these weights, which are added up again from the nearest sum before.
template <class T>
Result draw_weights(const DrawArgs& args, const Span& span) {
  const int64_t cols = args.cols, blocks = sums_of(cols) - 1;
  return draw_each(
      args, span,
      [=, all = static_cast<const T*>(args.weights), stride = args.stride, kept = args.sums](int64_t row, uint64_t u) {
        const double* before = kept + row * (blocks + 1);
        const double wanted = least_exceeding(before[blocks], u);
        for (int64_t n = blocks; n > 1; n -= n / 2)
          if (before[n / 2] < wanted) before += n / 2;
        int64_t j = (before - (kept + row * (blocks + 1))) * weights_a_sum;
        const T* weights = all + row * stride;
        double sum = *before + static_cast<double>(weights[j]);
        while (sum < wanted) sum += static_cast<double>(weights[++j]);
        return j;
      });
}

}  // namespace
}  // namespace gumbelfast
