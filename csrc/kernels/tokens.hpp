// Token sampling. Top-k leaves a list of logits. Top-p and min-p are asked about the token that is drawn: if one does
// not let it pass, it and all that come behind it are taken away, and another is drawn at the same noise. The argmax
// over what would be left is the first one that passes; with top_p = p it takes 1 + log(1/p) draws in the mean,
// whatever the logits.
#pragma once

namespace gumbelfast {
namespace {

// The argmax over a list of few values with their columns, as a place in the list: only the tiles of these are drawn.
template <class T, class Word>
int64_t draw_listed(const T* value, const Word* column, int64_t n, const RowNoise& noise, double scale, Best& best) {
  uint64_t tile[group_tiles], group = ~uint64_t{0};
  Heads<T> head;
  Heads<T> heads;
  alignas(64) T gumbel[group_tiles * tile_size];
  int64_t opened = 0;
  for (int64_t i = 0, next; i < n; i = next) {
    int count = 0;
    for (next = i; next < n; ++next) {
      if (!(value[next] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t at = tile_of(noise.first + column[next]);
      if (count && tile[count - 1] == at) continue;
      if (count == group_tiles) break;
      if (at / group_tiles != group) draw_heads(noise.key, group = at / group_tiles, 1, &heads);
      tile[count] = at;
      head.set(count++, heads[at % group_tiles]);
    }
    if (!count) break;
    draw_tiles(noise.key, tile, head, 0, count, gumbel);
    opened += count;
    for (int at = 0; i < next; ++i) {
      if (!(value[i] > -static_cast<T>(__builtin_inff()))) continue;
      const uint64_t element = noise.first + column[i];
      while (tile[at] != tile_of(element)) ++at;
      const T noise_of_it = gumbel[static_cast<uint64_t>(at) * tile_size + element % tile_size];
      const Value perturbed = value_of(value[i], scale, noise_of_it);
      if (perturbed > best.value) best = {perturbed, i};
    }
  }
  if (!is_finite(best.value.sum)) {  // as settle_overflow
    T most = -static_cast<T>(__builtin_inff());
    for (int64_t i = 0; i < n; ++i)
      if (value[i] > most) {
        most = value[i];
        best.index = i;
      }
  }
  return opened;
}

// With so many columns to a logit that is left, to draw its tile beats a scan of the row.
constexpr bool worth_a_list(int64_t left, int64_t cols) { return left <= cols / 64; }

// Draws of one call: the argmax of logits * scale + g over a row, or over a list of some of its logits.
template <class T>
struct TokenDraws {
  using V = VectorOf<T>;
  const TokenArgs& args;
  int64_t cols = args.logits.cols;
  Span span;  // with all columns
  bool long_rows = cols > short_row, flat = is_flat(args.noise, cols);
  Lazy<T> lazy;
  NoiseBatch<T> batch;
  int64_t opened = 0;
  // Of the row that `start` names.
  int64_t row = 0;
  RowScale<T> scale{0};
  const T* gumbel = nullptr;
  Met<V> met;

  TokenDraws(const TokenArgs& a, const Span& s)
      : args(a), span{s.begin, s.end, 0, cols}, lazy(cols), batch(a.noise, span) {}
  void start(int64_t i) {
    row = i;
    scale = args.scale[i];
    gumbel = long_rows ? nullptr : batch.row(i, opened);
    met = {};
  }
  T most() const { return simd::lane_max(met.largest) + T{0}; }

  template <class S, bool masked>
  int64_t from_row(const Row<S, masked>& from) {
    Best best;
    if (long_rows) {
      const int64_t ahead = flat ? (span.end - 1 - row) * cols : 0;
      opened += lazy_row(from, RowNoise(args.noise, row), 0, cols, ahead, scale, lazy, met, best);
    } else {
      best = filled_row(from, 0, cols, scale, gumbel, met);
    }
    settle_overflow(from, 0, cols, scale.exact, best);
    return best.index;
  }
  // The place in the list.
  template <class Word>
  int64_t from_list(const T* value, const Word* column, int64_t n) {
    Best best;
    opened += draw_listed(value, column, n, RowNoise(args.noise, row), scale.exact, best);
    return best.index;
  }
};

// Top-p and typical sampling as questions about one logit: whether it stays, given that what may be before it is there.
// The first question is about the whole row.
template <class R, class T>
struct Questions {
  // `row` is all that the filters before these left, but for what is below `floor`.
  Questions(const R& whole, int64_t count, const Filters<T>& filters, T largest, T least, int64_t cols)
      : row(whole), n(count), asked(filters), floor(least), nucleus(largest, filters.scale, filters.top_p, cols) {
    if (asked.typical_p < 1)
      typical = typical_of(row, n, {floor, n}, asked.typical_p, largest, asked.scale, grid_unit(cols));
  }
  // If it does not stay, `cut` is what leaves it out, and nothing that stays.
  template <class Rest>
  bool stays(const Rest& rest, int64_t left, int64_t at, T value, Cut<T>& cut) {
    cut = {value, at - 1};
    if (asked.top_p < 1 && !nucleus.holds(row, n, rest, left, cut)) return false;
    cut = {floor, left};
    if (!(asked.typical_p < 1)) return true;
    const T rank = typical.rank(value);
    if (typical.holds(rest, left, floor, rank)) return true;
    cut = stretch(typical, from_ordered(ordered(rank) - 1), left, cut);
    return false;
  }

 private:
  const R& row;
  int64_t n;
  const Filters<T>& asked;
  T floor;
  Nucleus<T> nucleus;
  Typical<T> typical{};
};

// The token of a row of n values, or of the list in `left` that holds them. `whole` is the row before top-k. `kept`,
// unless it is null, gets the weights of what the filters leave.
template <class S, bool masked, class R, class T>
int64_t draw_passing(const Row<S, masked>& whole, const R& row, int64_t n, bool listed, const Filters<T>& asked,
                     Survivors<T>& left, TokenDraws<T>& draws, double* kept) {
  int64_t at = listed ? draws.from_list(left.value, left.column, n) : draws.from_row(row);
  if (at < 0 || draws.met.refused()) return -1;
  const T most = draws.most();
  const bool was_listed = listed;
  T value = simd::lane_max(row.block(at, 1));
  // A list is in the order of its columns, and so are places in it.
  const auto token = [&](bool in_list) { return in_list ? static_cast<int64_t>(left.column[at]) : at; };
  const auto cut_away = [&](const auto& from, const Cut<T>& cut) {
    const int64_t kept = keep(from, n, cut, left.rest);
    if (!listed && worth_a_list(kept, draws.cols)) {
      n = left.gather_rest(draws.cols);
      listed = true;
    }
  };
  const auto draw_again = [&](const Row<T, false>& rest) {
    at = listed ? draws.from_list(left.rest, left.column, n) : draws.from_row(rest);
    value = simd::lane_max(rest.block(at, 1));
  };

  T floor = sigma_threshold(whole, draws.cols, asked.sigmas, most);
  if (kept ? asked.beyond_top_k() : asked.at_once()) {
    const Cut<T> cut = filter(row, n, asked, most, floor, grid_unit(draws.cols), left.rest);
    if (kept) *kept = sum_cut(row, n, cut, most, draws.scale.working);
    if (!cut.has(value, at)) {
      cut_away(row, cut);
      draw_again(row_of<T>(left.rest, n));
    }
    return token(listed);
  }
  if (kept) *kept = sum_cut(row, n, {lowest<T>, n}, most, draws.scale.working);
  const T limit = asked.min_p > 0 ? limit_of<T>(log_of_share(asked.min_p)) : lowest<T>;
  const bool reaches = value >= floor && (value - most) * asked.scale >= limit;
  const auto raise_floor = [&] {
    const T least = limit > lowest<T> ? threshold_of(most, asked.scale, limit) : floor;
    floor = least > floor ? least : floor;
  };
  if (asked.typical_p < 1) raise_floor();
  Questions<R, T> questions(row, n, asked, most, floor, draws.cols);
  Cut<T> cut{floor, n};
  if (questions.stays(row, n, at, value, cut) && reaches) return token(listed);
  raise_floor();
  Cut<T> base{floor, n}, first{most, -1};
  if (asked.least > 1) {
    first = first_of(row, n, {lowest<T>, n}, asked.least, left.rest);
    if (first.has(value, at)) return token(listed);
    base = wider(base, first);
  }
  cut_away(row, narrower(base, cut));
  for (;;) {
    const Row<T, false> rest = row_of<T>(left.rest, n);
    draw_again(rest);
    if (first.has(value, token(listed && !was_listed)) || questions.stays(rest, n, at, value, cut))
      return token(listed);
    cut_away(rest, cut);
  }
}

template <class S, bool masked>
Result sample_token_rows(const TokenArgs& args, const Span& span) {
  using T = WorkOf<S>;
  const int64_t cols = args.logits.cols;
  Survivors<T> left(filters(args) ? cols : 0);
  TokenDraws<T> draws(args, span);
  bool lacks = false;
  for (int64_t i = span.begin; i < span.end; ++i) {
    const Row<S, masked> row(args.logits, i);
    const Filters<T> asked(args, i);
    int64_t& index = args.index[i];
    draws.start(i);
    double* const masses = args.masses ? args.masses + i * token_mass_fields : nullptr;
    const bool greedy = draws.scale.working == 0, whole = !(asked.top_k > 0 || asked.beyond_top_k());
    double* const kept = masses && !whole ? masses + 1 : nullptr;
    if (greedy) {
      index = largest_logit(row, 0, cols, draws.met).index;
    } else if (asked.top_k > 0) {
      take_top_k(row, cols, asked.top_k, left, draws.met);
      if (draws.met.refused()) return refused;  // what `left` holds is of another row
      const bool listed = worth_a_list(left.n, cols);
      if (!listed) left.spread(cols);
      index = draw_passing(row, row_of<T>(left.value, left.n), left.n, listed, asked, left, draws, kept);
    } else {
      index = draw_passing(row, row, cols, false, asked, left, draws, kept);
    }
    if (masses && index >= 0 && !draws.met.refused()) {
      const T most = draws.most();
      masses[0] = static_cast<double>(most);
      sum_row(row, cols, most, greedy ? T{1} : draws.scale.working, masses[2], masses[3]);
      if (greedy) masses[1] = masses[2] = 1;
      if (!greedy && whole) masses[1] = masses[2];
    }
    if (draws.met.refused()) return refused;
    lacks |= index < 0;
  }
  return {lacks ? Outcome::lacking : Outcome::done, draws.opened};
}

template <class S>
Result sample_tokens(const TokenArgs& args, const Span& span) {
  return args.logits.mask ? sample_token_rows<S, true>(args, span) : sample_token_rows<S, false>(args, span);
}

}  // namespace
}  // namespace gumbelfast
