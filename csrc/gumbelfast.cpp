#include "gumbelfast.hpp"

#include "alias.hpp"
#include "weights.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

namespace gumbelfast {
namespace {

// Nanoseconds an element is reckoned at when work is split: a guess that no result depends on.
constexpr double fill_cost = 0.5, scan_cost = 0.15, softmax_cost = 0.25, backward_cost = 0.15, draw_cost = 1,
                 alias_cost = 5, sum_cost = 0.6, table_cost = 4, filter_cost = 0.5, edge_cost = 0.15, look_cost = 0.05;

constexpr int64_t span_columns = int64_t{1} << 22;  // the longest part of a row that is scanned without a look around
constexpr int64_t least_span = int64_t{1} << 16;    // the shortest that is worth a part of its own

int index_of(DType dtype) { return static_cast<int>(dtype); }

// Adds up what the calls of one scan report; the worst outcome stays.
class Tally {
 public:
  void add(int64_t tiles) {
    if (tiles == refused)
      refusal = true;
    else if (tiles < 0)
      lack = true;
    opened += tiles >= 0 ? tiles : tiles == refused ? 0 : lacking(tiles);
  }
  Result result(bool completed) const {
    const Outcome outcome = refusal ? Outcome::refused : lack ? Outcome::lacking : Outcome::done;
    return {completed ? outcome : Outcome::interrupted, opened};
  }

 private:
  std::atomic<int64_t> opened{0};
  std::atomic<bool> refusal{false}, lack{false};
};

// How many parts a row is cut into: long rows for the sake of interruption, few rows for the sake of threads.
int64_t parts_of_row(int64_t rows, int64_t cols, int threads) {
  const int64_t for_time = (cols + span_columns - 1) / span_columns;
  const int64_t for_threads = std::min<int64_t>((threads + rows - 1) / rows, cols / least_span);
  return std::max<int64_t>({1, for_time, for_threads});
}

// Merges `parts` runs of k entries each into one of k; empty places hold index -1 and stay last.
void merge_parts(int64_t parts, int64_t k, const Drawn& in, const Drawn& out) {
  std::vector<std::tuple<double, double, int64_t>> entries;  // values negated, so that the natural order is the wanted one
  for (int64_t i = 0; i < parts * k; ++i)
    if (in.index[i] >= 0) entries.emplace_back(-in.perturbed[i], -in.rest[i], in.index[i]);
  const int64_t count = std::min<int64_t>(k, static_cast<int64_t>(entries.size()));
  std::partial_sort(entries.begin(), entries.begin() + count, entries.end());
  for (int64_t j = 0; j < k; ++j) {
    const auto [value, rest, index] = j < count ? entries[static_cast<size_t>(j)]
                                                : std::tuple{std::numeric_limits<double>::infinity(), 0.0, int64_t{-1}};
    out.index[j] = index;
    out.perturbed[j] = -value;
  }
}

// What is drawn, from place n on.
Drawn from_place(const Drawn& drawn, int64_t n) {
  return {drawn.index + n, drawn.perturbed ? drawn.perturbed + n : nullptr, drawn.rest ? drawn.rest + n : nullptr};
}

// scan(span, drawn) over all rows, whole or in parts.
template <class Scan>
Result scan_rows(const Logits& logits, int64_t rows, int64_t k, double cost, int64_t* index, double* perturbed,
                 const Workers& workers, Scan scan) {
  Tally tally;
  const Drawn drawn{index, perturbed};
  const int64_t cols = logits.cols, parts = rows ? parts_of_row(rows, cols, workers.threads) : 1;
  if (parts == 1) {
    const bool completed =
        parallel_for(rows, static_cast<double>(cols) * cost, workers, [&](int64_t begin, int64_t end) {
          tally.add(scan(Span{begin, end, 0, cols}, from_place(drawn, begin * k)));
        });
    return tally.result(completed);
  }
  const int64_t width = (cols + parts - 1) / parts;
  std::vector<int64_t> part_index(static_cast<size_t>(rows * parts * k), -1);
  std::vector<double> part_value(part_index.size()), part_rest(part_index.size()), merged(static_cast<size_t>(k));
  const Drawn of_parts{part_index.data(), part_value.data(), part_rest.data()};
  const bool completed =
      parallel_for(rows * parts, static_cast<double>(width) * cost, workers, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t row = i / parts, from = i % parts * width, to = std::min(from + width, cols);
          if (from < to) tally.add(scan(Span{row, row + 1, from, to}, from_place(of_parts, i * k)));
        }
      });
  const Result result = tally.result(completed);
  if (result.outcome == Outcome::refused || result.outcome == Outcome::interrupted) return result;
  // A part may lack what the row has.
  bool lack = false;
  for (int64_t row = 0; row < rows; ++row) {
    const Drawn places{index + row * k, merged.data()};
    merge_parts(parts, k, from_place(of_parts, row * parts * k), places);
    // Of values that overflow in several parts, only the whole row tells the order.
    for (int64_t j = 0; j < k; ++j)
      if (places.index[j] >= 0 && std::isinf(merged[static_cast<size_t>(j)])) {
        tally.add(scan(Span{row, row + 1, 0, cols}, places));
        break;
      }
    if (perturbed) std::copy(merged.begin(), merged.end(), perturbed + row * k);
    lack = lack || places.index[k - 1] < 0;
  }
  return {lack ? Outcome::lacking : Outcome::done, result.opened};
}

Result plain(bool completed) { return {completed ? Outcome::done : Outcome::interrupted, 0}; }

// body(begin, end) over elements [0, count) from `offset` on. Threads meet between groups of tiles, so that none draws
// a block of words that another has drawn.
template <class Body>
Result over_elements(uint64_t offset, int64_t count, double cost, const Workers& workers, Body body) {
  constexpr int64_t unit = 512;
  const int64_t lead = static_cast<int64_t>(offset % unit);
  return plain(parallel_for((lead + count + unit - 1) / unit, unit * cost, workers, [&](int64_t begin, int64_t end) {
    body(std::max<int64_t>(0, begin * unit - lead), std::min(count, end * unit - lead));
  }));
}

}  // namespace

Result fill(NoiseKernel kernel, const NoiseArgs& args, int64_t count, const Workers& workers) {
  return over_elements(args.offset, count, fill_cost, workers,
                       [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

Result gumbel_max(const Backend& backend, DType dtype, const Logits& logits, const Address& address, int64_t rows,
                  int64_t* index, double* perturbed, const Workers& workers) {
  return scan_rows(logits, rows, 1, scan_cost, index, perturbed, workers, [&](const Span& span, const Drawn& drawn) {
    return backend.gumbel_max[index_of(dtype)](logits, address, span, drawn);
  });
}

Result gumbel_top_k(const Backend& backend, DType dtype, const Logits& logits, const Address& address, int64_t rows,
                    int64_t k, int64_t* index, double* perturbed, const Workers& workers) {
  return scan_rows(logits, rows, k, 2 * scan_cost, index, perturbed, workers, [&](const Span& span, const Drawn& drawn) {
    return backend.gumbel_top_k[index_of(dtype)](logits, address, span, k, drawn);
  });
}

Result refuses(const Backend& backend, DType dtype, const Logits& logits, const Workers& workers) {
  Tally tally;
  const double cost = static_cast<double>(logits.cols) * look_cost;
  const bool completed = parallel_for(logits.rows, cost, workers, [&](int64_t begin, int64_t end) {
    if (backend.refuses[index_of(dtype)](logits, begin, end)) tally.add(refused);
  });
  return tally.result(completed);
}

namespace {

// Rows of zeros with a one at each index.
template <class Word>
void one_hot(Word* out, Word one, int64_t cols, const int64_t* index, int64_t begin, int64_t end) {
  std::fill(out + begin * cols, out + end * cols, Word{0});
  for (int64_t i = begin; i < end; ++i) out[i * cols + index[i]] = one;
}

// Hard samples alone need no softmax: the lazy argmax finds them.
Result hard_samples(const Backend& backend, DType dtype, const GumbelSoftmaxArgs& args, int64_t rows,
                    const Workers& workers) {
  Logits logits = args.logits;
  logits.scale = {};
  std::vector<int64_t> index(static_cast<size_t>(rows));
  Result result = gumbel_max(backend, dtype, logits, args.noise, rows, index.data(), nullptr, workers);
  if (result.outcome == Outcome::lacking) result.outcome = Outcome::refused;
  if (result.outcome != Outcome::done) return result;
  const int64_t cols = logits.cols;
  const double cost = static_cast<double>(cols) * look_cost;
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    switch (dtype) {
      case DType::f32:
        return one_hot(static_cast<float*>(args.hard), 1.0f, cols, index.data(), begin, end);
      case DType::f64:
        return one_hot(static_cast<double*>(args.hard), 1.0, cols, index.data(), begin, end);
      case DType::f16:
        return one_hot(static_cast<uint16_t*>(args.hard), uint16_t{0x3C00}, cols, index.data(), begin, end);
      case DType::bf16:
        return one_hot(static_cast<uint16_t*>(args.hard), uint16_t{0x3F80}, cols, index.data(), begin, end);
    }
  });
  if (!completed) result.outcome = Outcome::interrupted;
  return result;
}

}  // namespace

Result gumbel_softmax(const Backend& backend, DType dtype, const GumbelSoftmaxArgs& args, int64_t rows,
                      const Workers& workers) {
  if (!args.soft) return hard_samples(backend, dtype, args, rows, workers);
  Tally tally;
  const double cost = static_cast<double>(args.logits.cols) * (fill_cost + softmax_cost);
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    tally.add(backend.gumbel_softmax[index_of(dtype)](args, begin, end));
  });
  return tally.result(completed);
}

Result conditional_gumbel(const Backend& backend, DType dtype, const ConditionalArgs& args, int64_t rows,
                          const Workers& workers) {
  Tally tally;
  const double cost = static_cast<double>(args.logits.cols) * (fill_cost + 2 * softmax_cost);
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    tally.add(backend.conditional_gumbel[index_of(dtype)](args, begin, end));
  });
  return tally.result(completed);
}

Result sample_tokens(const Backend& backend, DType dtype, const TokenArgs& args, int64_t rows, const Workers& workers) {
  Tally tally;
  const bool filtered = args.top_k || args.top_p || args.min_p;
  const double cost = static_cast<double>(args.logits.cols) * (filtered ? filter_cost + scan_cost : scan_cost);
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    tally.add(backend.sample_tokens[index_of(dtype)](args, begin, end));
  });
  return tally.result(completed);
}

Result over_rows(RowKernel kernel, const SoftmaxArgs& args, int64_t rows, const Workers& workers) {
  const double cost = static_cast<double>(args.cols) * softmax_cost;
  return plain(parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) { kernel(args, begin, end); }));
}

Result over_rows(BackwardKernel kernel, const SoftmaxBackwardArgs& args, int64_t rows, const Workers& workers) {
  const double cost = static_cast<double>(args.cols) * backward_cost;
  return plain(parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) { kernel(args, begin, end); }));
}

Result alias_tables(const uint64_t* bounds, int64_t rows, int64_t cols, int bits, uint64_t* table,
                    const Workers& workers) {
  const double cost = static_cast<double>(cols) * alias_cost;
  return plain(parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) alias_table(bounds + row * cols, cols, bits, table + (row << bits));
  }));
}

Result over_draws(DrawKernel kernel, const DrawArgs& args, int64_t count, const Workers& workers) {
  return over_elements(args.offset, count, draw_cost, workers,
                       [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
}

template <class T>
Result draw_weights(const Backend& backend, DrawKernel kernel, DrawArgs args, int64_t count, const Workers& workers) {
  const int64_t rows = args.rows, cols = args.cols, each = sums_of(cols);
  const bool many = count >= rows * cols && count > 0;  // then tables pay, which give the same draws
  const int bits = std::max(static_cast<int>(std::bit_width(static_cast<uint64_t>(cols - 1))), 1);
  std::vector<double> sums(static_cast<size_t>(rows * each));
  std::vector<uint64_t> bounds(static_cast<size_t>(many ? rows * cols : 0));
  std::vector<int64_t> guide(static_cast<size_t>(many ? rows << bits : 0));
  std::atomic<bool> good{true};
  const double cost = static_cast<double>(cols) * (many ? table_cost : sum_cost);
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* weights = static_cast<const T*>(args.weights) + row * args.stride;
      double* own = sums.data() + row * each;
      if (!sum_weights(weights, cols, own)) {
        good = false;
      } else if (many) {
        bounds_of(weights, cols, bounds.data() + row * cols);
        guide_of(bounds.data() + row * cols, bits, guide.data() + (row << bits));
      }
    }
  });
  if (!completed) return {Outcome::interrupted, 0};
  if (!good) return {Outcome::refused, 0};
  args.sums = sums.data();
  args.bounds = bounds.data();
  args.guide = guide.data();
  args.bits = bits;
  return over_draws(many ? backend.draw_inverse : kernel, args, count, workers);
}

Result draw_weights(const Backend& backend, DType dtype, const DrawArgs& args, int64_t count, const Workers& workers) {
  const DrawKernel kernel = backend.draw_weights[index_of(dtype)];
  return dtype == DType::f64 ? draw_weights<double>(backend, kernel, args, count, workers)
                             : draw_weights<float>(backend, kernel, args, count, workers);
}

Result viterbi(const Backend& backend, DType dtype, const ViterbiArgs& args, int64_t rows, const Workers& workers) {
  Tally tally;
  constexpr int64_t together = 16;  // rows: whole blocks of either type
  const double cost = static_cast<double>(together * args.nodes * args.labels * (args.labels + 4)) * edge_cost;
  const bool completed = parallel_for((rows + together - 1) / together, cost, workers, [&](int64_t begin, int64_t end) {
    tally.add(backend.viterbi[index_of(dtype)](args, begin * together, std::min(end * together, rows)));
  });
  return tally.result(completed);
}

}  // namespace gumbelfast
