// Sinkhorn's normalisation of rows and columns, in the logarithm, and the way back. gumbelfast/reference/sinkhorn.py is
// the formula.
#pragma once

namespace gumbelfast {
namespace {

// Entry k of line i of a square matrix lies at i * line + k * step.
struct Lines {
  int64_t line, step;
  int64_t at(int64_t i, int64_t k) const { return i * line + k * step; }
};

// A matrix in each lane, and what was subtracted from its rows and columns.
template <class T>
struct LaneMatrices {
  using V = VectorOf<T>;
  int64_t size;
  Lines rows, columns;
  LaneRows<T> start, row, column;

  explicit LaneMatrices(int64_t n) : size(n), rows{n, 1}, columns{1, n}, start(n * n), row(n), column(n) {}

  void fill(const SinkhornArgs& args, V scale, int64_t first, int n) const {
    start.fill(args.x, first, size * size, n);
    for (int64_t i = 0; i < size * size; ++i) start.put(i, start[i] * scale);
    for (int64_t i = 0; i < size; ++i) row.put(i, set(T{0})), column.put(i, set(T{0}));
  }
  // Subtracts from each line what makes it sum to 1.
  void normalise(Lines lines, const LaneRows<T>& mine, const LaneRows<T>& across) const {
    for (int64_t i = 0; i < size; ++i) {
      V most = minus_infinity<V>(), sum = set(T{0});
      for (int64_t k = 0; k < size; ++k) most = simd::max(start[lines.at(i, k)] - across[k], most);
      for (int64_t k = 0; k < size; ++k)
        sum = sum + exp_above(whole_range<T>, (start[lines.at(i, k)] - across[k]) - most);
      mine.put(i, most - minus_log(sum));
    }
  }
  void go_round() const {
    normalise(rows, row, column);
    normalise(columns, column, row);
  }
  GF_OP V value(int64_t i, int64_t k, T least) const {
    return exp_above(least, simd::min(set(T{0}), (start[rows.at(i, k)] - row[i]) - column[k]));
  }
};

template <class T>
Result sinkhorn(const SinkhornArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const int64_t size = args.cols;
  const LaneMatrices<T> of(size);
  const LaneRows<T> out(size * size);
  for_lanes<V>(span, [&](int64_t first, int n) {
    of.fill(args, scales_of<T>(args.scale, first, n), first, n);
    for (int64_t t = 0; t < args.steps; ++t) of.go_round();
    for (int64_t i = 0; i < size; ++i)
      for (int64_t k = 0; k < size; ++k) out.put(of.rows.at(i, k), of.value(i, k, whole_range<T>));
    out.read(args.out, first, size * size, n);
  });
  return {};
}

template <class T>
Result sinkhorn_backward(const SinkhornArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const int64_t size = args.cols, cells = size * size;
  const LaneMatrices<T> of(size);
  // What each round subtracted from rows and columns: all that the way back needs.
  const LaneRows<T> rows(size * args.steps), columns(size * args.steps), y(cells);
  const LaneGradients<T> g(cells);
  const auto exponentiate = [&] {
    for (int64_t i = 0; i < size; ++i)
      for (int64_t k = 0; k < size; ++k) y.put(of.rows.at(i, k), of.value(i, k, multiplied_range<T>));
  };
  // Of lines that sum to 1, each entry loses its share of what the line adds up to.
  const auto pull = [&](Lines lines) {
    exponentiate();
    for (int64_t i = 0; i < size; ++i) {
      V sum = set(T{0});
      for (int64_t k = 0; k < size; ++k) sum = sum + g[lines.at(i, k)];
      sum = swept(sum);
      for (int64_t k = 0; k < size; ++k) {
        const int64_t at = lines.at(i, k);
        g.put(at, swept(g[at] - y[at] * sum));
      }
    }
  };
  for_lanes<V>(span, [&](int64_t first, int n) {
    const V scale = scales_of<T>(args.scale, first, n), power = g.fill(args.grad, first, cells, n);
    of.fill(args, scale, first, n);
    for (int64_t t = 0; t < args.steps; ++t) {
      of.go_round();
      for (int64_t i = 0; i < size; ++i) {
        rows.put(t * size + i, of.row[i]);
        columns.put(t * size + i, of.column[i]);
      }
    }
    exponentiate();
    for (int64_t i = 0; i < cells; ++i) g.put(i, swept(g[i] * y[i]));
    for (int64_t t = args.steps - 1; t >= 0; --t) {
      pull(of.columns);
      for (int64_t i = 0; i < size; ++i) of.column.put(i, t ? columns[(t - 1) * size + i] : set(T{0}));
      pull(of.rows);
      for (int64_t i = 0; t && i < size; ++i) of.row.put(i, rows[(t - 1) * size + i]);
    }
    for (int64_t i = 0; i < cells; ++i) g.put(i, (g[i] * scale) * power);
    g.read(args.out, first, cells, n);
  });
  return {};
}

}  // namespace
}  // namespace gumbelfast
