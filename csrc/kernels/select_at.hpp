// Gumbel-max and top-k over columns that are named by ids in a larger space, in rows of any lengths. A first look at
// the perturbed values finds which may be drawn; these are then put in order: by their values, and equal ones by their
// ids. Rows without ids are those of gumbel_max and gumbel_top_k.
#pragma once
#include "../select.hpp"

namespace gumbelfast {
namespace {

// The largest perturbed value of each lane in a first look at some entries of a row.
template <class S, class V = VectorOf<S>>
GF_OP V look_at_entries(const S* x, int64_t count, V scale, const WorkOf<S>* noise, Met<V>& met) {
  V most = minus_infinity<V>();
  for_blocks<V>(count, [&](int64_t j, int n) {
    const V logit = load_block(x + j, n, minus_infinity<V>());
    met.see(logit);
    most = simd::max(most, perturb(logit, scale, load_block(noise + j, n, set(WorkOf<S>{0}))));
  });
  return most;
}

// What may be drawn where a first look sees `top` as the value to reach: all, where such a look would not do.
template <class T>
GF_OP T reach_below(T top, const RowScale<T>& scale) {
  return scale.coarse() || !is_finite(top) ? Storage<T>::minus_infinity : below(top);
}

// take(what is drawn, its entry) for the entries whose first look reaches a value. Values that overflow are told apart
// by their logits.
template <class S, class Take, class V = VectorOf<S>>
GF_OP void each_reaching(const S* x, const WorkOf<S>* noise, int64_t count, const RowScale<WorkOf<S>>& scale,
                         WorkOf<S> reach, Take take) {
  for_blocks<V>(count, [&](int64_t j, int n) {
    const V logit = load_block(x + j, n, minus_infinity<V>());
    const V look = perturb(logit, set(scale.working), load_block(noise + j, n, set(WorkOf<S>{0})));
    uint32_t chosen = bits(look >= set(reach)) & bits(logit > minus_infinity<V>());
    if (!chosen) return;
    WorkOf<S> logits[V::lanes];
    store(logits, logit);
    for (; chosen; chosen &= chosen - 1) {
      const int lane = __builtin_ctz(chosen);
      const Value value = value_of(logits[lane], scale.exact, noise[j + lane]);
      take(Drawn{value.sum, is_finite(value.sum) ? value.rest : static_cast<double>(logits[lane]), 0}, j + lane);
    }
  });
}

// Calls row(i, from, to, noise) for all entries of each row of the span, in parts of up to the capacity of
// `NamedElements`; short rows get their noise together.
template <class T, class Row>
void for_rows_at(const SelectAtArgs& args, const Span& span, Row row) {
  const Entries& entries = args.entries;
  alignas(64) T noise[NamedElements::capacity + elements_abreast];
  NamedElements named;
  for (int64_t i = span.begin; i < span.end;) {
    named.count = 0;
    int64_t last = i;
    for (; last < span.end && named.has_room(end_of_entries(entries, last) - first_entry(entries, last)); ++last)
      named.add(entries, args.noise, last, first_entry(entries, last), end_of_entries(entries, last));
    if (last > i) {
      named.draw(args.noise, noise);
      for (T* at = noise; i < last; ++i) {
        row(i, first_entry(entries, i), end_of_entries(entries, i), at);
        at += end_of_entries(entries, i) - first_entry(entries, i);
      }
      continue;
    }
    for (int64_t from = first_entry(entries, i), to; from < end_of_entries(entries, i); from = to) {
      to = from + NamedElements::capacity < end_of_entries(entries, i) ? from + NamedElements::capacity
                                                                       : end_of_entries(entries, i);
      named.count = 0;
      named.add(entries, args.noise, i, from, to);
      named.draw(args.noise, noise);
      row(i, from, to, noise);
    }
    ++i;
  }
}

// call(i, row, noise of it, columns, scale) for the rows of entries without ids, whose places stand for them. An empty
// row has nothing to draw.
template <class S, class Call>
void for_whole_rows(const SelectAtArgs& args, const Span& span, Call call) {
  const Entries& entries = args.entries;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const int64_t from = first_entry(entries, i), cols = end_of_entries(entries, i) - from;
    const Row<S, false> row({static_cast<const S*>(args.logits) + from, 1, cols, cols}, 0);
    call(i, row, RowNoise(args.noise, i), cols, row_scale<WorkOf<S>>(args.scale, i % entries.rows));
  }
}

constexpr Drawn nothing_drawn{-__builtin_inf(), -__builtin_inf(), ~uint64_t{0}};

template <class S>
Result max_of_whole_rows(const SelectAtArgs& args, const Span& span) {
  using T = WorkOf<S>;
  Met<VectorOf<S>> met;
  Lazy<T> lazy(args.entries.longest);
  bool lacks = false;
  int64_t opened = 0;
  for_whole_rows<S>(args, span,
                    [&](int64_t i, const auto& row, const RowNoise& noise, int64_t cols, const auto& scale) {
                      Best best;
                      if (cols > short_row) {
                        opened += lazy_row(row, noise, 0, cols, 0, scale, lazy, met, best);
                      } else if (cols > 0) {
                        alignas(64) T gumbel[short_row];
                        fill_noise(noise.key, noise.first, cols, gumbel);
                        best = filled_row(row, 0, cols, scale, gumbel, met);
                        ++opened;
                      }
                      if (!met.refused()) settle_overflow(row, 0, cols, scale.exact, best);
                      lacks |= best.index < 0;
                      args.index[i] = best.index;
                      if (args.perturbed) args.perturbed[i] = best.value.sum;
                    });
  if (met.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_max_at(const SelectAtArgs& args, const Span& span) {
  if (!args.entries.ids) return max_of_whole_rows<S>(args, span);
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const Entries& entries = args.entries;
  const S* logits = static_cast<const S*>(args.logits);
  Met<V> met;
  bool lacks = false;
  int64_t opened = 0;
  Drawn best = nothing_drawn;
  for_rows_at<T>(args, span, [&](int64_t i, int64_t from, int64_t to, T* noise) {
    const RowScale<T> scale = row_scale<T>(args.scale, i % entries.rows);
    const T most = simd::lane_max(look_at_entries(logits + from, to - from, set(scale.working), noise, met));
    each_reaching(logits + from, noise, to - from, scale, reach_below(most, scale), [&](Drawn found, int64_t j) {
      found.id = entries.ids[from + j];
      if (precedes(found, best)) best = found;
    });
    opened += to - from;
    if (to < end_of_entries(entries, i)) return;
    const bool lacking = best.id == nothing_drawn.id;
    lacks |= lacking;
    args.index[i] = lacking ? -1 : static_cast<int64_t>(best.id);
    if (args.perturbed) args.perturbed[i] = best.value;
    best = nothing_drawn;
  });
  if (met.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

// Memory for the longest row met so far: its noise, a first look at its perturbed values, and what may be drawn.
template <class T>
struct RoomAt {
  ~RoomAt() { free(); }
  void reserve(int64_t wanted) {
    if (wanted <= capacity) return;
    free();
    capacity = 2 * wanted;
    const auto room = static_cast<uint64_t>(capacity + 2 * VectorOf<T>::lanes);
    noise = new T[room];
    pool = new T[room];
    drawn = new Drawn[room];
  }
  int64_t capacity = -1;
  T *noise = nullptr, *pool = nullptr;
  Drawn* drawn = nullptr;

 private:
  void free() {
    delete[] noise;
    delete[] pool;
    delete[] drawn;
  }
};

// The k-th largest of what a first look sees of a row, or -inf where it has no more than k or some overflow.
template <class S, class T = WorkOf<S>>
T kth_look(const S* x, const T* noise, int64_t count, int64_t k, T scale, T* pool) {
  using V = VectorOf<S>;
  int64_t n = 0;
  for_blocks<V>(count, [&](int64_t j, int lanes) {
    const V logit = load_block(x + j, lanes, minus_infinity<V>());
    const V look = perturb(logit, set(scale), load_block(noise + j, lanes, set(T{0})));
    const auto chosen = look > minus_infinity<V>();
    simd::compress(pool + n, chosen, look);
    n += __builtin_popcount(bits(chosen));
  });
  return n <= k ? Storage<T>::minus_infinity : kth_largest(pool, n, k);
}

template <class S>
Result top_k_of_whole_rows(const SelectAtArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const int64_t k = args.k;
  const SelectArgs out{{}, args.noise, k, args.index, args.perturbed};
  Piece<T> piece(args.entries.longest > short_row ? piece_for(k) : 0);
  Candidates<T> best(k, piece.capacity);
  bool lacks = false, refuses = false;
  int64_t opened = 0;
  for_whole_rows<S>(args, span,
                    [&](int64_t i, const auto& row, const RowNoise& noise, int64_t cols, const auto& scale) {
                      if (cols == 0) {
                        best.clear();
                        lacks |= !best.write(0, i * k, out);
                        return;
                      }
                      alignas(64) T gumbel[short_row];
                      if (cols <= short_row) fill_noise(noise.key, noise.first, cols, gumbel);
                      const Result found = draw_top_k(row, noise, 0, cols, 0, scale, gumbel, piece, best, i * k, out);
                      refuses |= found.outcome == Outcome::refused;
                      lacks |= found.outcome == Outcome::lacking;
                      opened += found.opened + (cols <= short_row);
                    });
  if (refuses) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

template <class S>
Result gumbel_top_k_at(const SelectAtArgs& args, const Span& span) {
  if (!args.entries.ids) return top_k_of_whole_rows<S>(args, span);
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  const Entries& entries = args.entries;
  const S* logits = static_cast<const S*>(args.logits);
  const int64_t k = args.k;
  RoomAt<T> room;
  Met<V> met;
  bool lacks = false;
  int64_t opened = 0;
  for_rows_at<T>(args, span, [&](int64_t i, int64_t from, int64_t to, T* noise) {
    const int64_t begin = first_entry(entries, i), count = end_of_entries(entries, i) - begin;
    room.reserve(count);
    const RowScale<T> scale = row_scale<T>(args.scale, i % entries.rows);
    look_at_entries(logits + from, to - from, set(scale.working), noise, met);
    if (to > from) __builtin_memcpy(room.noise + (from - begin), noise, static_cast<uint64_t>(to - from) * sizeof(T));
    opened += to - from;
    if (to < end_of_entries(entries, i)) return;
    int64_t n = 0;
    const T top = kth_look(logits + begin, room.noise, count, k, scale.working, room.pool);
    each_reaching(logits + begin, room.noise, count, scale, reach_below(top, scale), [&](Drawn found, int64_t j) {
      found.id = entries.ids[begin + j];
      room.drawn[n++] = found;
    });
    order_drawn(room.drawn, n, k);
    lacks |= n < k;
    int64_t* const index = args.index + i * k;
    double* const perturbed = args.perturbed + i * k;
    for (int64_t j = 0; j < k; ++j) {
      index[j] = j < n ? static_cast<int64_t>(room.drawn[j].id) : -1;
      perturbed[j] = j < n ? room.drawn[j].value : -__builtin_inf();
    }
  });
  if (met.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

}  // namespace
}  // namespace gumbelfast
