// Arrays of noise: any run of elements, and where the rows of a call lie among them.
#pragma once

namespace gumbelfast {
namespace {

// The noise of elements [first, last) of one group of tiles.
template <Law law, class T>
T* fill_group(Key key, uint64_t first, uint64_t last, const Heads<T>& heads, T* out) {
  uint64_t tile[group_tiles];
  for (uint64_t i = 0; i < group_tiles; ++i) tile[i] = tile_of(first) / group_tiles * group_tiles + i;
  for (uint64_t e = first; e < last;) {
    const uint64_t i = tile_of(e) % group_tiles, whole = e % tile_size ? 0 : (last - e) / tile_size;
    if (whole) {
      draw_tiles<law>(key, tile + i, heads, i, static_cast<int>(whole), out);
      out += whole * tile_size;
      e += whole * tile_size;
    } else {
      alignas(64) T part[tile_size];
      draw_tiles<law>(key, tile + i, heads, i, 1, part);
      do *out++ = part[e++ % tile_size];
      while (e < last && e % tile_size);
    }
  }
  return out;
}

// The noise of elements [first, first + count).
template <Law law = Law::gumbel, class T>
void fill_noise(Key key, uint64_t first, int64_t count, T* out) {
  constexpr uint64_t group_size = group_tiles * tile_size, groups_ahead = 6;  // as many as Philox takes side by side
  const uint64_t last = first + static_cast<uint64_t>(count);
  Heads<T> heads[groups_ahead];
  while (first < last) {
    const uint64_t group = first / group_size, left = (last - 1) / group_size - group + 1;
    const int groups = static_cast<int>(left < groups_ahead ? left : groups_ahead);
    draw_heads<law>(key, group, groups, heads);
    for (int i = 0; i < groups; ++i) {
      const uint64_t end = (first / group_size + 1) * group_size;
      out = fill_group<law>(key, first, end < last ? end : last, heads[i], out);
      first = end;
    }
  }
}

constexpr int64_t noise_chunk = 3072;  // elements of noise that pass through the first-level cache at a time

// Where a row's noise lies: column j is element first + j.
struct RowNoise {
  Key key;
  uint64_t first;
  RowNoise(const Address& a, int64_t row)
      : key(a.keys ? Key{static_cast<uint32_t>(a.keys[row]), static_cast<uint32_t>(a.keys[row] >> 32)} : a.key),
        first(a.offsets ? a.offsets[row] : a.offset + static_cast<uint64_t>(row) * a.row_stride) {}
};

// Rows that follow each other in the noise of one key, nothing between them.
GF_OP bool is_flat(const Address& a, int64_t cols) {
  return !a.keys && !a.offsets && a.row_stride == static_cast<uint64_t>(cols);
}

// How many rows share a chunk: as many as make up whole groups of tiles, or else whole tiles, or else as many as fit,
// so that the next chunk draws nothing again.
GF_OP int64_t rows_of_chunk(int64_t cols) {
  const int64_t most = noise_chunk / cols, divisor = cols & -cols;  // the power of two that divides both
  for (int64_t whole = group_tiles * tile_size; whole >= tile_size; whole = whole > tile_size ? tile_size : 0)
    if (const int64_t rows = whole > divisor ? whole / divisor : 1; rows <= most) return most / rows * rows;
  return most;
}

// How many rows a chunk of noise serves: several where they are short and follow each other in the array of noise.
GF_OP int64_t flat_batch(const Address& a, int64_t cols) {
  return is_flat(a, cols) && cols < noise_chunk ? rows_of_chunk(cols) : 1;
}

// Where a chunk that starts at column j ends: between groups of tiles, so that no head is drawn twice.
GF_OP int64_t chunk_end(uint64_t first, int64_t j, int64_t cols) {
  const uint64_t within = (first + static_cast<uint64_t>(j)) % (tile_size * group_tiles);
  const int64_t end = j + noise_chunk - static_cast<int64_t>(within);
  return end < cols ? end : cols;
}

// loc + scale * noise into the elements of the span.
template <Law law, class S>
Result scaled_noise(const NoiseArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  S* out = static_cast<S*>(args.out);
  if constexpr (sizeof(S) == sizeof(T)) {
    if (args.loc == 0 && args.scale == 1) {
      fill_noise<law>(args.key, args.offset + static_cast<uint64_t>(span.begin), span.end - span.begin,
                      out + span.begin);
      return {};
    }
  }
  const V loc = set(static_cast<T>(args.loc)), scale = set(static_cast<T>(args.scale));
  alignas(64) T noise[noise_chunk];
  for (int64_t i = span.begin, count; i < span.end; i += count) {
    count = span.end - i < noise_chunk ? span.end - i : noise_chunk;
    fill_noise<law>(args.key, args.offset + static_cast<uint64_t>(i), count, noise);
    for_blocks<V>(count,
                  [&](int64_t j, int n) { store_block(out + i + j, n, load_block(noise + j, n, loc) * scale + loc); });
  }
  return {};
}

template <class S>
Result gumbel(const NoiseArgs& args, const Span& span) {
  return scaled_noise<Law::gumbel, S>(args, span);
}
template <class S>
Result exponential(const NoiseArgs& args, const Span& span) {
  return scaled_noise<Law::exponential, S>(args, span);
}

}  // namespace
}  // namespace gumbelfast
