// The best labelling of trees by dynamic programming, leaves first: one tree in each lane.
#pragma once

namespace gumbelfast {
namespace {

// Per node and label one block. It holds what the node and those below it score; once the parent was told, the label
// that is best below each label of the parent, as a number of the working type.
template <class T>
struct Lattice {
  using V = VectorOf<T>;
  const ViterbiArgs& args;
  int64_t width;  // elements of a node
  T* block;
  T* copy;

  explicit Lattice(const ViterbiArgs& a)
      : args(a), width(a.labels * V::lanes), block(new T[static_cast<uint64_t>((a.nodes + 1) * width)]) {
    copy = block + a.nodes * width;
  }
  ~Lattice() { delete[] block; }
  Lattice(const Lattice&) = delete;

  T* node(int64_t t) const { return block + t * width; }

  // Lane i takes row i of n; lanes without a row hold zeros.
  void fill(const T* unary, int n) const {
    const int64_t size = args.nodes * args.labels;
    for (int64_t at = 0; at < size; ++at)
      for (int i = 0; i < V::lanes; ++i) block[at * V::lanes + i] = i < n ? unary[i * size + at] : T{0};
  }

  // The lanes in which a score of the node is NaN or +inf.
  uint32_t faults(int64_t t) const {
    uint32_t found = 0;
    const V infinity = set(static_cast<T>(__builtin_inff()));
    for (int64_t j = 0; j < width; j += V::lanes) {
      const V score = load(node(t) + j);
      found |= bits(simd::unordered(score, score) | (score == infinity));
    }
    return found;
  }

  // Adds the best of pairwise[i, j] + score[j] to what the parent scores with label i, for `count` labels from `first`
  // on, and notes that j, the lowest among equals.
  template <int count>
  GF_OP void tell(const T* pairwise, const T* score, T* parent, T* best_label, int64_t first) const {
    V best[count], label[count];
    const T* row[count];
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      row[k] = pairwise + (first + k) * args.labels;
      best[k] = set(row[k][0]) + load(score);
      label[k] = set(T{0});
    }
    for (int64_t j = 1; j < args.labels; ++j) {
      const V below = load(score + j * V::lanes), number = set(static_cast<T>(j));
#pragma GCC unroll 4
      for (int k = 0; k < count; ++k) {
        const V candidate = set(row[k][j]) + below;
        const auto better = candidate > best[k];
        best[k] = select(better, candidate, best[k]);
        label[k] = select(better, number, label[k]);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      const int64_t at = (first + k) * V::lanes;
      store(parent + at, load(parent + at) + best[k]);
      store(best_label + at, label[k]);
    }
  }
  void tell_parent(int64_t t, int64_t parent) const {
    const T* pairwise =
        static_cast<const T*>(args.pairwise) + (args.pairwise_per_edge ? (t - 1) * args.labels * args.labels : 0);
    for (int64_t j = 0; j < width; j += V::lanes) store(copy + j, load(node(t) + j));
    int64_t i = 0;
    for (; i + abreast <= args.labels; i += abreast) tell<abreast>(pairwise, copy, node(parent), node(t), i);
    for (; i + 2 <= args.labels; i += 2) tell<2>(pairwise, copy, node(parent), node(t), i);
    for (; i < args.labels; ++i) tell<1>(pairwise, copy, node(parent), node(t), i);
  }

  // The score of a root; its best label goes to the node's first block.
  V settle(int64_t root) const {
    V best = load(node(root)), label = set(T{0});
    for (int64_t j = 1; j < args.labels; ++j) {
      const V score = load(node(root) + j * V::lanes);
      const auto better = score > best;
      best = select(better, score, best);
      label = select(better, set(static_cast<T>(j)), label);
    }
    store(node(root), label);
    return best;
  }

  // Labels of the first n lanes, parents before children.
  void read(int n, int64_t* labels) const {
    for (int64_t t = 0; t < args.nodes; ++t) {
      const int64_t parent = args.parents[t];
      for (int i = 0; i < n; ++i) {
        int64_t* row = labels + i * args.nodes;
        row[t] = static_cast<int64_t>(node(t)[(parent < 0 ? 0 : row[parent] * V::lanes) + i]);
      }
    }
  }
};

template <class T>
Result viterbi(const ViterbiArgs& args, const Span& span) {
  using V = VectorOf<T>;
  const Lattice<T> lattice(args);
  const int64_t size = args.nodes * args.labels;
  bool lack = false;
  for (int64_t row = span.begin; row < span.end; row += V::lanes) {
    const int n = static_cast<int>(span.end - row < V::lanes ? span.end - row : V::lanes);
    const uint32_t rows = (1u << n) - 1;
    lattice.fill(static_cast<const T*>(args.unary) + row * size, n);
    V total = set(T{0});
    uint32_t faults = 0;
    for (int64_t t = args.nodes - 1; t >= 0; --t) {
      faults |= lattice.faults(t);
      if (args.parents[t] >= 0)
        lattice.tell_parent(t, args.parents[t]);
      else
        total = total + lattice.settle(t);
    }
    faults |= bits(total == set(static_cast<T>(__builtin_inff())));
    if (faults & rows) return refused;
    lack = lack || (bits(total == minus_infinity<V>()) & rows);
    lattice.read(n, args.index + row * args.nodes);
    store_block(static_cast<T*>(args.score) + row, n, total);
  }
  return {lack ? Outcome::lacking : Outcome::done};
}

}  // namespace
}  // namespace gumbelfast
