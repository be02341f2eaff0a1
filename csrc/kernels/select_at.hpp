// Gumbel-max and top-k over columns that are named by ids in a larger space, in rows of any lengths. A first look at
// the perturbed values finds which may be drawn; these are then put in order: by their values, and equal ones by their
// ids.
#pragma once
#include "../drawn.hpp"

namespace gumbelfast {
namespace {

// What is drawn where a perturbed value and its logit meet: values that overflow are told apart by their logits.
template <class T>
GF_OP Drawn drawn_of(T value, T logit, uint64_t id) {
  return {static_cast<double>(value), is_finite(value) ? 0 : static_cast<double>(logit), id};
}

// The perturbed values of some entries of a row, written over their noise; returns the largest of each lane.
template <class S, class V = VectorOf<S>>
GF_OP V perturb_entries(const S* x, int64_t count, V scale, WorkOf<S>* noise, Met<V>& met) {
  V most = minus_infinity<V>();
  for_blocks<V>(count, [&](int64_t j, int n) {
    const V logit = load_block(x + j, n, minus_infinity<V>());
    met.see(logit);
    const V value = perturb(logit, scale, load_block(noise + j, n, set(WorkOf<S>{0})));
    store_block(noise + j, n, value);
    most = simd::max(most, value);
  });
  return most;
}

// take(lane's entry) for the values of a row that reach some value and are not those of logits of -inf.
template <class S, class Take, class V = VectorOf<S>>
GF_OP void each_reaching(const S* x, const WorkOf<S>* value, int64_t count, WorkOf<S> reach, Take take) {
  for_blocks<V>(count, [&](int64_t j, int n) {
    const V v = load_block(value + j, n, minus_infinity<V>());
    uint32_t chosen = bits(v >= set(reach));
    if (!chosen) return;
    const V logit = load_block(x + j, n, minus_infinity<V>());
    for (chosen &= bits(logit > minus_infinity<V>()); chosen; chosen &= chosen - 1) {
      const int lane = __builtin_ctz(chosen);
      WorkOf<S> logits[V::lanes];
      store(logits, logit);
      take(drawn_of(value[j + lane], logits[lane], 0), j + lane);
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

template <class S>
Result gumbel_max_at(const SelectAtArgs& args, const Span& span) {
  using V = VectorOf<S>;
  using T = WorkOf<S>;
  constexpr Drawn none{static_cast<double>(Storage<T>::minus_infinity), -__builtin_inf(), ~uint64_t{0}};
  const Entries& entries = args.entries;
  const S* logits = static_cast<const S*>(args.logits);
  Met<V> met;
  bool lacks = false;
  int64_t opened = 0;
  Drawn best = none;
  for_rows_at<T>(args, span, [&](int64_t i, int64_t from, int64_t to, T* noise) {
    const V scale = set(scale_of<T>(args.scale, i % entries.rows));
    const T most = simd::lane_max(perturb_entries(logits + from, to - from, scale, noise, met));
    each_reaching(logits + from, noise, to - from, most, [&](Drawn found, int64_t j) {
      found.id = entries.ids[from + j];
      if (precedes(found, best)) best = found;
    });
    opened += to - from;
    if (to < end_of_entries(entries, i)) return;
    const bool lacking = best.id == none.id;
    lacks |= lacking;
    args.index[i] = lacking ? -1 : static_cast<int64_t>(best.id);
    if (args.perturbed) static_cast<T*>(args.perturbed)[i] = static_cast<T>(best.value);
    best = none;
  });
  if (met.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

// Memory for the longest row met so far: its perturbed values, those that no infinity hides, and what may be drawn.
template <class T>
struct RoomAt {
  ~RoomAt() { free(); }
  void reserve(int64_t wanted) {
    if (wanted <= capacity) return;
    free();
    capacity = 2 * wanted;
    const auto room = static_cast<uint64_t>(capacity + 2 * VectorOf<T>::lanes);
    value = new T[room];
    pool = new T[room];
    drawn = new Drawn[room];
  }
  int64_t capacity = -1;
  T *value = nullptr, *pool = nullptr;
  Drawn* drawn = nullptr;

 private:
  void free() {
    delete[] value;
    delete[] pool;
    delete[] drawn;
  }
};

// The k-th largest of the values of a row, or -inf where it has no more than k or some overflow.
template <class T>
T reach_of(const T* value, int64_t count, int64_t k, T* pool) {
  using V = VectorOf<T>;
  int64_t n = 0;
  bool overflow = false;
  for_blocks<V>(count, [&](int64_t j, int lanes) {
    const V v = load_block(value + j, lanes, minus_infinity<V>());
    const auto chosen = v > minus_infinity<V>();
    overflow |= bits(v == set(-Storage<T>::minus_infinity)) != 0;
    simd::compress(pool + n, chosen, v);
    n += __builtin_popcount(bits(chosen));
  });
  return overflow || n <= k ? Storage<T>::minus_infinity : kth_largest(pool, n, k);
}

template <class S>
Result gumbel_top_k_at(const SelectAtArgs& args, const Span& span) {
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
    perturb_entries(logits + from, to - from, set(scale_of<T>(args.scale, i % entries.rows)), noise, met);
    if (to > from) __builtin_memcpy(room.value + (from - begin), noise, static_cast<uint64_t>(to - from) * sizeof(T));
    opened += to - from;
    if (to < end_of_entries(entries, i)) return;
    int64_t n = 0;
    each_reaching(logits + begin, room.value, count, reach_of(room.value, count, k, room.pool),
                  [&](Drawn found, int64_t j) {
                    found.id = entries.ids[begin + j];
                    room.drawn[n++] = found;
                  });
    order_drawn(room.drawn, n, k);
    lacks |= n < k;
    int64_t* const index = args.index + i * k;
    T* const perturbed = static_cast<T*>(args.perturbed) + i * k;
    for (int64_t j = 0; j < k; ++j) {
      index[j] = j < n ? static_cast<int64_t>(room.drawn[j].id) : -1;
      perturbed[j] = j < n ? static_cast<T>(room.drawn[j].value) : Storage<T>::minus_infinity;
    }
  });
  if (met.refused()) return refused;
  return {lacks ? Outcome::lacking : Outcome::done, opened};
}

}  // namespace
}  // namespace gumbelfast
