#include "run.hpp"

#include "alias.hpp"
#include "select.hpp"
#include "weights.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace gumbelfast {
namespace {

// Nanoseconds an element is reckoned at, as in args.hpp.
constexpr double alias_cost = 5, sum_cost = 0.6, table_cost = 4;

constexpr int64_t span_columns = int64_t{1} << 22;  // the longest part of a row that is scanned without a look around
constexpr int64_t least_span = int64_t{1} << 16;    // the shortest that is worth a part of its own

// How many parts a row is cut into: long rows for the sake of interruption, few rows for the sake of threads.
int64_t parts_of_row(int64_t rows, int64_t cols, int threads) {
  const int64_t for_time = (cols + span_columns - 1) / span_columns;
  const int64_t for_threads = std::min<int64_t>((threads + rows - 1) / rows, cols / least_span);
  return std::max<int64_t>({1, for_time, for_threads});
}

// What a row draws, k entries of each of its parts; empty places hold index -1 and stay last.
struct Found {
  std::vector<int64_t> index;
  std::vector<double> value, rest;

  explicit Found(int64_t size) : index(static_cast<size_t>(size), -1), value(index.size()), rest(index.size()) {}
  // Entries from `at` on, every `apart` of them, merged into k places of args from `out` on.
  void merge(int64_t at, int64_t parts, int64_t apart, const SelectArgs& args, int64_t out) const {
    constexpr Drawn nothing{-std::numeric_limits<double>::infinity(), 0, ~uint64_t{0}};
    std::vector<Drawn> drawn;
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t j = 0; j < args.k; ++j)
        if (const auto i = static_cast<size_t>(at + part * apart + j); index[i] >= 0)
          drawn.push_back({value[i], rest[i], static_cast<uint64_t>(index[i])});
    const auto count = static_cast<int64_t>(drawn.size());
    order_drawn(drawn.data(), count, args.k);
    for (int64_t j = 0; j < args.k; ++j) {
      const Drawn& found = j < count ? drawn[static_cast<size_t>(j)] : nothing;
      args.index[out + j] = static_cast<int64_t>(found.id);
      args.perturbed[out + j] = found.value;
      if (args.rest) args.rest[out + j] = found.tie;
    }
  }
};

// call(part, span) for each of so many parts of each row; false if it was interrupted.
template <class Call>
bool for_parts(int64_t rows, int64_t cols, int64_t parts, double row_cost, const Workers& workers, Call call) {
  const int64_t width = (cols + parts - 1) / parts;
  const double cost = row_cost / static_cast<double>(parts);
  return parallel_for(rows * parts, cost, workers, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / parts, part = i % parts, from = part * width, to = std::min(from + width, cols);
      if (from < to) call(part, Span{row, row + 1, from, to});
    }
  });
}

// Each row in `parts` calls of the kernel.
Result run_in_parts(Kernel<SelectArgs> kernel, SelectArgs args, int64_t rows, int64_t parts, const Workers& workers) {
  const int64_t k = args.k, cols = args.logits.cols, all = rows * k;
  Found found(parts * all);
  Tally tally;
  const bool completed = for_parts(rows, cols, parts, args.plan().cost, workers, [&](int64_t part, const Span& span) {
    SelectArgs mine = args;
    mine.index = found.index.data() + part * all;
    mine.perturbed = found.value.data() + part * all;
    mine.rest = found.rest.data() + part * all;
    tally.add(kernel(mine, span));
  });
  const Result result = tally.result(completed);
  if (result.outcome == Outcome::refused || result.outcome == Outcome::interrupted) return result;
  std::vector<double> own(args.perturbed ? 0 : static_cast<size_t>(all));
  if (!args.perturbed) args.perturbed = own.data();
  bool lack = false;  // a part may lack what the row has
  for (int64_t row = 0; row < rows; ++row) {
    found.merge(row * k, parts, all, args, row * k);
    // Of values that overflow in several parts, only the whole row tells the order.
    for (int64_t i = row * k; i < (row + 1) * k; ++i)
      if (args.index[i] >= 0 && std::isinf(args.perturbed[i])) {
        tally.add(kernel(args, {row, row + 1, 0, cols}));
        break;
      }
    lack = lack || args.index[(row + 1) * k - 1] < 0;
  }
  return {lack ? Outcome::lacking : Outcome::done, result.opened};
}

Result run_in_parts(Kernel<RaceArgs> kernel, const RaceArgs& args, int64_t rows, int64_t parts,
                    const Workers& workers) {
  struct Arrived {
    Scored at;
    double perturbed;
  };
  const int64_t k = args.k, all = rows * k;
  const auto size = static_cast<size_t>(parts * all);
  std::vector<int64_t> index(size, -1), score(size, no_score);
  std::vector<double> perturbed(args.perturbed ? size : 0);
  std::vector<double> sum(args.sum ? static_cast<size_t>(parts * rows) : 0);
  Tally tally;
  const bool completed =
      for_parts(rows, args.weights.cols, parts, args.plan().cost, workers, [&](int64_t part, const Span& span) {
        RaceArgs mine = args;
        mine.index = index.data() + part * all;
        mine.score = score.data() + part * all;
        mine.perturbed = args.perturbed ? perturbed.data() + part * all : nullptr;
        mine.sum = args.sum ? sum.data() + part * rows : nullptr;
        tally.add(kernel(mine, span));
      });
  const Result result = tally.result(completed);
  if (result.outcome == Outcome::refused || result.outcome == Outcome::interrupted) return result;
  bool lack = false;  // a part may lack what the row has
  const auto before = [](const Arrived& a, const Arrived& b) { return precedes(a.at, b.at); };
  std::vector<Arrived> arrived;
  for (int64_t row = 0; row < rows; ++row) {
    arrived.clear();
    for (int64_t part = 0; part < parts; ++part) {
      const auto from = static_cast<size_t>(part * all + row * k), held = arrived.size();
      for (size_t i = from; i < from + static_cast<size_t>(k) && index[i] >= 0; ++i)
        arrived.push_back({{score[i], index[i]}, args.perturbed ? perturbed[i] : 0});
      std::inplace_merge(arrived.begin(), arrived.begin() + static_cast<int64_t>(held), arrived.end(), before);
      if (arrived.size() > static_cast<size_t>(k)) arrived.resize(static_cast<size_t>(k));
    }
    const auto count = static_cast<int64_t>(arrived.size());
    double least = std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < k; ++j) {
      const auto i = static_cast<size_t>(j);
      const int64_t out = row * k + j;
      args.index[out] = j < count ? arrived[i].at.column : -1;
      if (args.score) args.score[out] = j < count ? arrived[i].at.score : no_score;
      if (!args.perturbed) continue;
      least = j < count ? std::min(least, arrived[i].perturbed) : -std::numeric_limits<double>::infinity();
      args.perturbed[out] = least;
    }
    lack = lack || count < k;
    if (args.sum) {
      args.sum[row] = 0;
      for (int64_t part = 0; part < parts; ++part) args.sum[row] += sum[static_cast<size_t>(part * rows + row)];
    }
  }
  return {lack ? Outcome::lacking : Outcome::done, result.opened};
}

// Whole rows, or parts of long ones, whose work is that of `width` columns.
template <class Args>
Result run_rows(Kernel<Args> kernel, const Args& args, int64_t cols, int64_t width, int64_t rows,
                const Workers& workers) {
  const int64_t parts = rows ? parts_of_row(rows, width, workers.threads) : 1;
  if (parts > 1) return run_in_parts(kernel, args, rows, parts, workers);
  Tally tally;
  const auto body = [&](int64_t begin, int64_t end) { tally.add(kernel(args, {begin, end, 0, cols})); };
  return tally.result(parallel_for(rows, args.plan().cost, workers, std::ref(body)));
}

}  // namespace

Result run(const Kernels<SelectArgs>& kernels, DType dtype, const SelectArgs& args, int64_t rows,
           const Workers& workers) {
  const int64_t cols = args.logits.cols;
  return run_rows(kernels.of[static_cast<int>(dtype)], args, cols, cols, rows, workers);
}

Result run(const Kernels<RaceArgs>& kernels, DType dtype, const RaceArgs& args, int64_t rows, const Workers& workers) {
  const int64_t cols = args.weights.cols, width = args.tops ? cols / 16 : cols;
  return run_rows(kernels.of[static_cast<int>(dtype)], args, cols, width, rows, workers);
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
  std::vector<int64_t> index(static_cast<size_t>(rows));
  SelectArgs best{args.logits, args.noise, 1, index.data(), nullptr};
  best.logits.scale = {};
  Result result = run(backend.gumbel_max, dtype, best, rows, workers);
  if (result.outcome == Outcome::lacking) result.outcome = Outcome::refused;
  if (result.outcome != Outcome::done) return result;
  const int64_t cols = args.logits.cols;
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
  return args.soft ? run(backend.gumbel_softmax, dtype, args, rows, workers)
                   : hard_samples(backend, dtype, args, rows, workers);
}

namespace {

template <class T>
Result draw_weights_of(const Backend& backend, Kernel<DrawArgs> kernel, DrawArgs args, int64_t count,
                       const Workers& workers) {
  const int64_t rows = args.rows, cols = args.cols, each = sums_of(cols);
  const bool many = count >= rows * cols && count > 0;  // then tables pay, which give the same draws
  // So many that most draws need no step from where the guide begins, as long as a cache holds it.
  const int finer = count >= 8 * rows * cols && cols <= 8192 ? 3 : 0;
  const int bits = std::max(static_cast<int>(std::bit_width(static_cast<uint64_t>(cols - 1))), 1) + finer;
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
  if (!completed) return {Outcome::interrupted};
  if (!good) return refused;
  args.sums = sums.data();
  args.bounds = bounds.data();
  args.guide = guide.data();
  args.bits = bits;
  return run(many ? backend.draw_inverse.of[0] : kernel, args, count, workers);
}

}  // namespace

Result draw_weights(const Backend& backend, DType dtype, const DrawArgs& args, int64_t count, const Workers& workers) {
  const Kernel<DrawArgs> kernel = backend.draw_weights.of[static_cast<int>(dtype)];
  return dtype == DType::f64 ? draw_weights_of<double>(backend, kernel, args, count, workers)
                             : draw_weights_of<float>(backend, kernel, args, count, workers);
}

Result alias_tables(const uint64_t* bounds, int64_t rows, int64_t cols, int bits, uint64_t* table,
                    const Workers& workers) {
  const double cost = static_cast<double>(cols) * alias_cost;
  const bool completed = parallel_for(rows, cost, workers, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) alias_table(bounds + row * cols, cols, bits, table + (row << bits));
  });
  return {completed ? Outcome::done : Outcome::interrupted};
}

}  // namespace gumbelfast
