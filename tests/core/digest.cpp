// Called with a backend and a number of threads, writes what every kernel returns for fixed inputs: "name size\n" and
// the bytes, case after case; without arguments the names of the backends. tests/core/test_digest.py hashes the cases
// and compares them with the committed table, here and under emulation.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "../../csrc/run.hpp"

using namespace gumbelfast;

namespace {

struct Type {
  DType dtype;
  const char* name;
  size_t size, work_size;
};
constexpr Type types[] = {
    {DType::f32, "f32", 4, 4}, {DType::f64, "f64", 8, 8}, {DType::f16, "f16", 2, 4}, {DType::bf16, "bf16", 2, 4}};
constexpr Key key{0x243F6A88, 0x85A308D3};  // digits of pi
Workers workers{1, {}};

using Bytes = std::vector<unsigned char>;

void put(const std::string& name, const void* data, size_t size) {
  std::printf("%s %zu\n", name.c_str(), size);
  std::fwrite(data, 1, size, stdout);
}

void put(const std::string& name, const Bytes& bytes) { put(name, bytes.data(), bytes.size()); }

// Logits in about (-4, 4), exact in their type, from the words themselves: no library function is asked.
Bytes logits(const Backend& backend, const Type& type, int64_t count, uint64_t block) {
  std::vector<uint32_t> words(static_cast<size_t>(count + 3) / 4 * 4);
  backend.philox(key, 9, block, static_cast<int64_t>(words.size()) / 4, words.data());
  Bytes out(static_cast<size_t>(count) * type.size);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const uint32_t w = words[i];
    const double wide = static_cast<double>(static_cast<int32_t>(w & 0xFFFFFF00)) * 0x1p-29;
    const float single = static_cast<float>(wide);
    const uint16_t f16 = static_cast<uint16_t>((w & 0x8FFF) | 0x3000),
                   bf16 = static_cast<uint16_t>((w & 0x80FF) | 0x3F00);
    const void* from = type.dtype == DType::f64   ? static_cast<const void*>(&wide)
                       : type.dtype == DType::f32 ? static_cast<const void*>(&single)
                       : type.dtype == DType::f16 ? static_cast<const void*>(&f16)
                                                  : static_cast<const void*>(&bf16);
    std::memcpy(out.data() + i * type.size, from, type.size);
  }
  return out;
}

// What one kernel of the list returns for one type, by its family of arguments.
void cases(const Backend&, const std::string& name, const Kernels<NoiseArgs>& kernels, const Type& type) {
  const int64_t count = 20011;
  Bytes out(static_cast<size_t>(count) * type.size);
  run(kernels, type.dtype, {out.data(), 0, 1, key, 13}, count, workers);
  put(name + "/" + type.name, out);
  run(kernels, type.dtype, {out.data(), 0.5, 2.25, key, (uint64_t{1} << 62) - 20011}, count, workers);
  put(name + "-loc-scale/" + type.name, out);
}

void cases(const Backend& backend, const std::string& name, const Kernels<SelectArgs>& kernels, const Type& type) {
  const bool several = name == "gumbel-top-k";
  const std::string prefix = several ? "top-k" : name;
  const struct {
    int64_t rows, cols, k;
  } shapes[] = {{61, 10, 3}, {17, 300, 17}, {5, 5000, 40}, {2, 70001, 300}};
  std::vector<uint64_t> seeds(64), keys(64), offsets(64);
  for (size_t i = 0; i < 64; ++i) seeds[i] = i * 0x9E3779B97F4A7C15, offsets[i] = 1000 * i + 7;
  backend.row_keys(seeds.data(), 64, keys.data());
  for (const auto& [rows, cols, most] : shapes) {
    const int64_t k = several ? most : 1;
    const Bytes x = logits(backend, type, rows * cols, 1);
    std::vector<uint8_t> mask(static_cast<size_t>(rows * cols));
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 5 != 0;
    for (const bool special : {false, true}) {
      const Logits in{x.data(), rows, cols, cols, special ? mask.data() : nullptr, true, {special ? 1 / 0.7 : 1.0}};
      const Address at{key, 99, static_cast<uint64_t>(cols), special ? keys.data() : nullptr,
                       special ? offsets.data() : nullptr};
      std::vector<int64_t> index(static_cast<size_t>(rows * k));
      std::vector<double> value(index.size()), rest(index.size());
      const std::string tag =
          std::string("/") + type.name + "/" + std::to_string(cols) + (special ? "-masked-seeds-temperature" : "");
      run(kernels, type.dtype, {in, at, k, index.data(), value.data(), rest.data()}, rows, workers);
      put(prefix + "-index" + tag, index.data(), index.size() * 8);
      put(prefix + "-value" + tag, value.data(), value.size() * 8);
      put(prefix + "-rest" + tag, rest.data(), rest.size() * 8);
    }
  }
}

// Ids that no order has, in a space of 2**44.
std::vector<uint64_t> scattered(const Backend& backend, int64_t count) {
  std::vector<uint32_t> words(static_cast<size_t>(count + 3) / 4 * 4);
  backend.philox(key, 9, 77, static_cast<int64_t>(words.size()) / 4, words.data());
  std::vector<uint64_t> ids(static_cast<size_t>(count));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint64_t>(words[i]) << i % 13;
  return ids;
}

void cases(const Backend& backend, const std::string& name, const Kernels<NoiseAtArgs>& kernels, const Type& type) {
  const int64_t rows = 3, cols = 6667;
  const std::vector<uint64_t> ids = scattered(backend, rows * cols), keys = {1, 2, ~uint64_t{0}},
                              offsets = {5, 0, 1 << 9};
  Bytes out(ids.size() * type.size);
  run(kernels, type.dtype,
      {{ids.data(), nullptr, rows, cols, rows * cols}, {key, 99, 1 << 9, nullptr, nullptr}, out.data()}, rows * cols,
      workers);
  put(name + "/" + type.name, out);
  run(kernels, type.dtype,
      {{ids.data(), nullptr, rows, cols, rows * cols}, {key, 0, 0, keys.data(), offsets.data()}, out.data()},
      rows * cols, workers);
  put(name + "-keys/" + type.name, out);
}

void cases(const Backend& backend, const std::string& name, const Kernels<SelectAtArgs>& kernels, const Type& type) {
  const std::vector<int64_t> bounds = {0, 10, 10, 11, 300, 317, 1400, 4000};  // one row has nothing to draw
  const int64_t rows = static_cast<int64_t>(bounds.size()) - 1, size = bounds.back(),
                k = name == "gumbel-max-at" ? 1 : 17;
  const std::vector<uint64_t> ids = scattered(backend, size), keys(static_cast<size_t>(2 * rows), 7);
  const Bytes x = logits(backend, type, size, 1);
  for (const bool keyed : {false, true}) {
    std::vector<int64_t> index(static_cast<size_t>(2 * rows * k));
    std::vector<double> value(index.size());
    const SelectAtArgs args{{ids.data(), bounds.data(), rows, 0, size},
                            x.data(),
                            {keyed ? 1 / 0.7 : 1.0},
                            {key, 99, uint64_t{1} << 44, keyed ? keys.data() : nullptr, nullptr},
                            k,
                            index.data(),
                            value.data()};
    run(kernels, type.dtype, args, 2 * rows, workers);
    const std::string tag = std::string(keyed ? "-keys-temperature/" : "/") + type.name;
    put(name + "-index" + tag, index.data(), index.size() * 8);
    put(name + "-value" + tag, value.data(), value.size() * 8);
  }
}

// Weights of all sizes, some of them zero, from the words that logits are made of.
void cases(const Backend& backend, const std::string& name, const Kernels<RaceArgs>& kernels, const Type& type) {
  const struct {
    int64_t rows, cols, k;
  } shapes[] = {{61, 10, 1}, {61, 10, 3}, {17, 300, 17}, {5, 5000, 1}, {5, 5000, 40}, {2, 70001, 1}, {2, 70001, 3000}};
  std::vector<uint64_t> seeds(64), keys(64), offsets(64);
  for (size_t i = 0; i < 64; ++i) seeds[i] = i * 0x9E3779B97F4A7C15, offsets[i] = 1000 * i + 7;
  backend.row_keys(seeds.data(), 64, keys.data());
  for (const auto& [rows, cols, k] : shapes) {
    Bytes x = logits(backend, type, rows * cols, 1);
    for (size_t i = 0; i < x.size() / type.size; ++i) {
      x[(i + 1) * type.size - 1] &= 0x7f;
      if (i % 7 == 3) std::memset(x.data() + i * type.size, 0, type.size);
    }
    for (const bool keyed : {false, true}) {
      std::vector<int64_t> index(static_cast<size_t>(rows * k));
      std::vector<double> value(index.size());
      const Address at{key, 99, static_cast<uint64_t>(cols), keyed ? keys.data() : nullptr,
                       keyed ? offsets.data() : nullptr};
      run(kernels, type.dtype, RaceArgs{{x.data(), rows, cols, cols}, at, k, index.data(), value.data()}, rows,
          workers);
      const std::string tag = type.name + ("/" + std::to_string(cols)) + "/" + std::to_string(k);
      put(name + (keyed ? "-seeds/" : "/") + tag, index.data(), index.size() * 8);
      if (!keyed) put(name + "-value/" + tag, value.data(), value.size() * 8);
    }
  }
}

// Refusals leave no bytes.
void cases(const Backend&, const std::string&, const Kernels<LookArgs>&, const Type&) {}

void cases(const Backend& backend, const std::string& name, const Kernels<ConditionalArgs>& kernels, const Type& type) {
  const struct {
    int64_t rows, cols;
  } shapes[] = {{61, 10}, {17, 300}, {3, 9001}};
  for (const auto& [rows, cols] : shapes) {
    const Bytes x = logits(backend, type, rows * cols, 1);
    std::vector<int64_t> index;
    std::vector<double> bound;
    for (int64_t i = 0; i < rows; ++i) {
      index.push_back(i * 7 % cols);
      bound.push_back(0.25 * static_cast<double>(i) - 3);
    }
    const struct {
      const char* name;
      const double* bound;
      const int64_t* index;
    } knowns[] = {
        {"index", nullptr, index.data()}, {"value", bound.data(), index.data()}, {"upper", bound.data(), nullptr}};
    for (const auto& known : knowns) {
      Bytes z(static_cast<size_t>(rows * cols) * type.work_size);
      const ConditionalArgs args{{x.data(), rows, cols, cols},
                                 {key, 5, static_cast<uint64_t>(cols), nullptr, nullptr},
                                 known.bound,
                                 known.index,
                                 z.data()};
      run(kernels, type.dtype, args, rows, workers);
      put(name + "-" + known.name + "/" + type.name + "/" + std::to_string(cols), z);
    }
  }
}

// Every row has filters of its own; equal logits at the edges are frequent in the half types.
struct TokenCase {
  int64_t rows, cols;
  Bytes x;
  std::vector<double> scale, top_p, min_p, seen, sigmas, typical, epsilon, eta;
  std::vector<int64_t> top_k, least;

  TokenCase(const Backend& backend, const Type& type, int64_t r, int64_t c)
      : rows(r), cols(c), x(logits(backend, type, r * c, 1)) {
    for (int64_t i = 0; i < rows; ++i) {
      scale.push_back(i % 7 == 6 ? 0 : 1 + 0.25 * static_cast<double>(i % 5));
      top_k.push_back(i % 2 * (1 + cols / (2 + i)));
      top_p.push_back(i % 3 ? 0.3 * static_cast<double>(i % 4) + 0.05 : 1);
      min_p.push_back(i % 4 == 1 ? 0.125 : 0);
      seen.push_back(1 + 0.5 * static_cast<double>(i % 2));
      least.push_back(i % 5 == 2 ? 4 : 0);
      sigmas.push_back(i % 6 == 3 ? 1.5 : 0);
      typical.push_back(i % 3 == 0 ? 0.2 + 0.1 * static_cast<double>(i % 6) : 1);
      epsilon.push_back(i % 4 == 2 ? 0.004 : 0);
      eta.push_back(i % 5 == 4 ? 0.02 : 0);
    }
  }
  MoreFilters more() const {
    return {seen.data(), least.data(), sigmas.data(), typical.data(), epsilon.data(), eta.data()};
  }
  std::string name(const std::string& of, const Type& type) const {
    return of + "/" + type.name + "/" + std::to_string(cols);
  }
};

template <class Run>
void token_cases(const Backend& backend, const Type& type, Run run_case) {
  const struct {
    int64_t rows, cols;
  } shapes[] = {{61, 10}, {17, 300}, {15, 5000}, {9, 70001}};
  for (const auto& [rows, cols] : shapes) run_case(TokenCase(backend, type, rows, cols));
}

void cases(const Backend& backend, const std::string& name, const Kernels<TokenArgs>& kernels, const Type& type) {
  for (const bool further : {false, true})
    token_cases(backend, type, [&](const TokenCase& with) {
      std::vector<int64_t> index(static_cast<size_t>(with.rows));
      std::vector<double> masses(static_cast<size_t>(with.rows * token_mass_fields));
      const TokenArgs args{{with.x.data(), with.rows, with.cols, with.cols},
                           {key, 99, static_cast<uint64_t>(with.cols), nullptr, nullptr},
                           with.scale.data(),
                           with.top_k.data(),
                           with.top_p.data(),
                           with.min_p.data(),
                           index.data(),
                           further ? with.more() : MoreFilters{},
                           further ? masses.data() : nullptr};
      run(kernels, type.dtype, args, with.rows, workers);
      put(with.name(further ? name + "-further" : name, type), index.data(), index.size() * 8);
      if (further) put(with.name(name + "-masses", type), masses.data(), masses.size() * 8);
    });
}

void cases(const Backend& backend, const std::string& name, const Kernels<TokenEdgeArgs>& kernels, const Type& type) {
  token_cases(backend, type, [&](const TokenCase& with) {
    std::vector<double> edges(static_cast<size_t>(with.rows * token_edge_fields));
    const TokenEdgeArgs args{{with.x.data(), with.rows, with.cols, with.cols},
                             with.scale.data(),
                             with.top_k.data(),
                             with.top_p.data(),
                             with.min_p.data(),
                             edges.data(),
                             with.more()};
    run(kernels, type.dtype, args, with.rows, workers);
    put(with.name(name, type), edges.data(), edges.size() * 8);
  });
}

constexpr struct {
  int64_t rows, cols;
} soft_shapes[] = {{61, 10}, {17, 300}, {3, 9001}};

// Stores past the cache change no byte, whether rows begin on its lines or elsewhere.
template <class Args>
void check_past_cache(const std::string& name, const Kernels<Args>& kernels, const Type& type, Args args, int64_t rows,
                      const Bytes& wanted) {
  args.past_cache = true;
  for (const size_t start : {size_t{0}, type.size * 3}) {
    Bytes found(start + wanted.size());
    args.out = found.data() + start;
    kernels.of[static_cast<int>(type.dtype)](args, {0, rows});
    if (std::memcmp(args.out, wanted.data(), wanted.size()))
      throw std::runtime_error(name + " of " + type.name + ": other bytes past the cache");
  }
}

void cases(const Backend& backend, const std::string& name, const Kernels<SoftmaxArgs>& kernels, const Type& type) {
  const bool reduced = name == "logsumexp";
  for (const auto& [rows, cols] : soft_shapes) {
    const Bytes x = logits(backend, type, rows * cols, 1);
    Bytes y(reduced ? static_cast<size_t>(rows) * type.size : x.size());
    const SoftmaxArgs args{x.data(), cols, cols, {reduced ? 1 : 1.25}, y.data()};
    run(kernels, type.dtype, args, rows, workers);
    put(name + "/" + type.name + "/" + std::to_string(cols), y);
    check_past_cache(name, kernels, type, args, rows, y);
  }
}

void cases(const Backend& backend, const std::string& name, const Kernels<SoftmaxBackwardArgs>& kernels,
           const Type& type) {
  const auto& forward = name == "softmax-backward" ? backend.softmax : backend.log_softmax;
  for (const auto& [rows, cols] : soft_shapes) {
    const Bytes x = logits(backend, type, rows * cols, 1), grad = logits(backend, type, rows * cols, 1 << 20);
    Bytes y(x.size()), out(x.size());
    run(forward, type.dtype, {x.data(), cols, cols, {1.25}, y.data()}, rows, workers);
    const SoftmaxBackwardArgs args{grad.data(), y.data(), cols, cols, cols, {1.25}, out.data()};
    run(kernels, type.dtype, args, rows, workers);
    put(name + "/" + type.name + "/" + std::to_string(cols), out);
    check_past_cache(name, kernels, type, args, rows, out);
  }
}

void cases(const Backend& backend, const std::string& name, const Kernels<GumbelSoftmaxArgs>& kernels,
           const Type& type) {
  for (const auto& [rows, cols] : soft_shapes) {
    const Bytes x = logits(backend, type, rows * cols, 1);
    Bytes soft(x.size()), hard(x.size());
    // A small tau drives most results below the smallest normal number.
    for (const int inverse_tau : {2, 30}) {
      const GumbelSoftmaxArgs args{{x.data(), rows, cols, cols, nullptr, false, {static_cast<double>(inverse_tau)}},
                                   {key, 5, static_cast<uint64_t>(cols), nullptr, nullptr},
                                   soft.data(),
                                   hard.data()};
      run(kernels, type.dtype, args, rows, workers);
      const std::string tag =
          std::string("/") + type.name + "/" + std::to_string(cols) + "/" + std::to_string(inverse_tau);
      put(name + "-soft" + tag, soft);
      put(name + "-hard" + tag, hard);
    }
  }
}

// Draws from tables of weights that are zero here and there.
void cases(const Backend& backend, const std::string& name, const Kernels<DrawArgs>& kernels, const Type& type) {
  if (name == "draw-integers" || (name == "draw-weights" && type.dtype == DType::f32)) return;
  const struct {
    int64_t rows, cols;
    int bits;
  } shapes[] = {{1, 1, 1}, {1, 10, 4}, {3, 300, 9}, {1, 5000, 13}};
  for (const auto& [rows, cols, bits] : shapes) {
    std::vector<uint32_t> words(static_cast<size_t>(rows * cols + 3) / 4 * 4);
    backend.philox(key, 9, 3, static_cast<int64_t>(words.size()) / 4, words.data());
    std::vector<uint64_t> bounds, table(static_cast<size_t>(rows) << bits);
    std::vector<int64_t> guide, index(20011);
    std::vector<double> weights;
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      std::vector<uint64_t> sum(1);
      for (size_t j = 0; j < static_cast<size_t>(cols); ++j)
        sum.push_back(sum.back() + (j % 5 == 1 ? 0 : words[row * static_cast<size_t>(cols) + j] + uint64_t{1}));
      for (size_t j = 1; j < sum.size(); ++j) weights.push_back(static_cast<double>(sum[j] - sum[j - 1]));
      for (size_t j = 1; j < sum.size(); ++j) {
        const double part = static_cast<double>(sum[j]) / static_cast<double>(sum.back());
        bounds.push_back(part >= 1 ? ~uint64_t{0} : static_cast<uint64_t>(std::ceil(part * 0x1p64)));
      }
      int64_t j = 0;
      for (uint64_t g = 0; g >> bits == 0; ++g) {
        while (bounds[row * static_cast<size_t>(cols) + static_cast<size_t>(j)] <= g << (64 - bits)) ++j;
        guide.push_back(j);
      }
    }
    const std::string tag = "/" + std::to_string(cols);
    alias_tables(bounds.data(), rows, cols, bits, table.data(), workers);
    if (name == "draw-alias") put("alias-table" + tag, table.data(), table.size() * 8);
    const DrawArgs args{.table = table.data(),
                        .bounds = bounds.data(),
                        .guide = guide.data(),
                        .weights = weights.data(),
                        .stride = cols,
                        .rows = rows,
                        .cols = cols,
                        .bits = bits,
                        .key = key,
                        .offset = 13,
                        .index = index.data()};
    if (name != "draw-weights") {
      run(kernels, type.dtype, args, static_cast<int64_t>(index.size()), workers);
    } else {
      index.resize(static_cast<size_t>(std::max<int64_t>(rows * cols - 1, 1)));  // more would be drawn from tables
      draw_weights(backend, type.dtype, args, static_cast<int64_t>(index.size()), workers);
    }
    put(name + tag, index.data(), index.size() * 8);
  }
}

// Integers make ties, the others a difference if sums change their order.
template <class T>
void viterbi_cases(const Backend& backend, const std::string& name, const Kernels<ViterbiArgs>& kernels,
                   const Type& type) {
  const struct {
    int64_t rows, nodes, labels;
  } shapes[] = {{61, 9, 2}, {20, 30, 7}, {5, 100, 33}};
  for (const auto& [rows, nodes, labels] : shapes) {
    const int64_t size = nodes * labels, square = labels * labels;
    for (const bool tree : {false, true}) {
      const Bytes x = logits(backend, type, rows * size, 1), w = logits(backend, type, nodes * square, 1 << 20);
      std::vector<T> unary(static_cast<size_t>(rows * size)), pairwise(static_cast<size_t>(nodes * square));
      std::memcpy(unary.data(), x.data(), x.size());
      std::memcpy(pairwise.data(), w.data(), w.size());
      std::vector<int64_t> parents, index(static_cast<size_t>(rows * nodes));
      for (int64_t t = 0; t < nodes; ++t) parents.push_back(tree ? (t == 4 ? -1 : (t + 1) / 2 - 1) : t - 1);
      for (size_t i = 0; tree && i < unary.size(); ++i) unary[i] = i % 11 == 3 ? -INFINITY : std::trunc(unary[i]);
      for (size_t i = 0; tree && i < pairwise.size(); ++i) pairwise[i] = std::trunc(pairwise[i]);
      std::vector<T> score(static_cast<size_t>(rows));
      run(kernels, type.dtype,
          {unary.data(), pairwise.data(), tree, parents.data(), nodes, labels, index.data(), score.data()}, rows,
          workers);
      const std::string tag = std::string(tree ? "-tree/" : "-chain/") + type.name + "/" + std::to_string(labels);
      put(name + tag, index.data(), index.size() * 8);
      put(name + "-score" + tag, score.data(), score.size() * sizeof(T));
    }
  }
}

void cases(const Backend& backend, const std::string& name, const Kernels<ViterbiArgs>& kernels, const Type& type) {
  (type.dtype == DType::f64 ? viterbi_cases<double> : viterbi_cases<float>)(backend, name, kernels, type);
}

// Rows, columns and steps of what takes a lane a row; a block is sixteen rows of float32, eight of float64.
constexpr struct {
  int64_t rows, cols, steps;
} lane_shapes[] = {{61, 10, 3}, {17, 33, 12}, {3, 40, 2}};

template <class Args>
void iterated_cases(const Backend& backend, const std::string& name, const Kernels<Args>& kernels, const Type& type) {
  const bool back = name.ends_with("-backward");
  for (const auto& [rows, cols, steps] : lane_shapes) {
    // A small tau drives most shares to 0.
    for (const int inverse_tau : {2, 30}) {
      Args args{{nullptr, nullptr, cols, steps, {static_cast<double>(inverse_tau)}, nullptr}};
      const Bytes x = logits(backend, type, rows * args.elements(), 1),
                  grad = logits(backend, type, rows * args.elements(), 1 << 20);
      Bytes out(x.size());
      args.grad = back ? grad.data() : nullptr;
      args.x = x.data();
      args.out = out.data();
      run(kernels, type.dtype, args, rows, workers);
      put(name + "/" + type.name + "/" + std::to_string(cols) + "/" + std::to_string(inverse_tau), out);
    }
  }
}

void cases(const Backend& backend, const std::string& name, const Kernels<RelaxedTopKArgs>& kernels, const Type& type) {
  iterated_cases(backend, name, kernels, type);
}

void cases(const Backend& backend, const std::string& name, const Kernels<SinkhornArgs>& kernels, const Type& type) {
  iterated_cases(backend, name, kernels, type);
}

void cases(const Backend& backend, const std::string& name, const Kernels<SubsetArgs>& kernels, const Type& type) {
  const bool back = name.ends_with("-backward");
  for (const auto& [rows, cols, k] : lane_shapes) {
    const Bytes x = logits(backend, type, rows * cols, 1), grad = logits(backend, type, rows * cols, 1 << 20);
    Bytes out(x.size()), log_sum(static_cast<size_t>(rows) * type.size);
    run(kernels, type.dtype, {back ? grad.data() : nullptr, x.data(), cols, k, out.data(), log_sum.data()}, rows,
        workers);
    const std::string tag = std::string("/") + type.name + "/" + std::to_string(cols);
    put(name + tag, out);
    if (!back) put(name + "-log-sum" + tag, log_sum);
  }
}

template <class Args>
void walk(const Backend& backend, std::string name, const Kernels<Args>& kernels, int type_count) {
  std::replace(name.begin(), name.end(), '_', '-');
  for (int t = 0; t < type_count; ++t) cases(backend, name, kernels, types[t]);
}

void walk_kernels(const Backend& backend) {
#define GF_FLOATS 4
#define GF_WIDE 2
#define GF_WORDS 1
#define GF_KERNEL(name, Args, types) walk(backend, #name, backend.name, types);
#include "../../csrc/kernels.def"
}

}  // namespace

int main(int argc, char** argv) {
#ifdef _WIN32
  _setmode(_fileno(stdout), _O_BINARY);
#endif
  for (const Backend* backend : usable_backends()) {
    if (argc < 2) {
      std::puts(backend->name);
    } else if (argc == 3 && !std::strcmp(backend->name, argv[1])) {
      workers.threads = std::atoi(argv[2]);
      walk_kernels(*backend);
      return 0;
    }
  }
  return argc < 2 ? 0 : 1;
}
