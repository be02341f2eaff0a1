// Which kernels meet subnormal numbers though neither their data nor their results are any. On Intel's cores each
// vector operation with a subnormal operand or result costs 150 cycles; on every x86 processor it sets a flag of MXCSR,
// which nothing but the program clears. Writes one line for each kernel, type, backend and kind of data that sets one:
// "backend kernel/type columns kind flags", and at last how many cases ran. Memory that a kernel has not written holds
// subnormal numbers here: what it reads of them shows as well.
#include <xmmintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "../../csrc/backend.hpp"
#include "../../csrc/dispatch.hpp"

using namespace gumbelfast;

namespace {

constexpr uint32_t subnormal_word = 1;  // of a float, and two of them of a double

void poison(void* p, size_t size) {
  for (size_t i = 0; i + 4 <= size; i += 4) std::memcpy(static_cast<char*>(p) + i, &subnormal_word, 4);
}

[[gnu::noinline]] void poison_stack() {
  volatile uint32_t room[1 << 16];
  for (volatile uint32_t& word : room) word = subnormal_word;
}

}  // namespace

void* operator new(size_t size) {
  void* const p = std::malloc(size ? size : 1);
  if (!p) throw std::bad_alloc();
  poison(p, size);
  return p;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }

namespace {

struct Type {
  DType dtype;
  const char* name;
  size_t size;
};
constexpr Type types[] = {
    {DType::f32, "f32", 4}, {DType::f64, "f64", 8}, {DType::f16, "f16", 2}, {DType::bf16, "bf16", 2}};
constexpr Key key{0x243F6A88, 0x85A308D3};

using Bytes = std::vector<unsigned char>;

// Arrays end where rows may not be read beyond, so a block of zeros follows: no subnormal is data.
struct Array {
  Bytes bytes;
  explicit Array(size_t size) : bytes(size, 0) {}
  void* data() { return bytes.data(); }
};

uint16_t half_of(double x) {
  if (std::isinf(x)) return x < 0 ? 0xFC00 : 0x7C00;
  const double size = std::fmin(std::fabs(x), 65504);
  const uint16_t sign = x < 0 ? 0x8000 : 0;
  if (size < 0x1p-14) return sign;
  const int exponent = std::ilogb(size);
  return static_cast<uint16_t>(sign | (exponent + 15) << 10 |
                               static_cast<int>((std::ldexp(size, -exponent) - 1) * 1024));
}

Array as_type(const Type& type, const std::vector<double>& x) {
  Array out(x.size() * type.size);
  for (size_t i = 0; i < x.size(); ++i) {
    const float single = static_cast<float>(x[i]);
    uint32_t word;
    std::memcpy(&word, &single, 4);
    const uint16_t f16 = half_of(x[i]), bf16 = static_cast<uint16_t>(word >> 16);
    const void* from = type.dtype == DType::f64   ? static_cast<const void*>(&x[i])
                       : type.dtype == DType::f32 ? static_cast<const void*>(&single)
                       : type.dtype == DType::f16 ? static_cast<const void*>(&f16)
                                                  : static_cast<const void*>(&bf16);
    std::memcpy(out.bytes.data() + i * type.size, from, type.size);
  }
  return out;
}

// N(0, 1) by the polar method of Marsaglia, from words of the backend's own Philox.
std::vector<double> normals(const Backend& backend, size_t count, uint64_t block) {
  std::vector<double> out;
  while (out.size() < count) {
    uint32_t w[4];
    backend.philox(key, 9, block++, 1, w);
    const double u = (static_cast<double>(w[0]) + 0.5) * 0x1p-31 - 1,
                 v = (static_cast<double>(w[1]) + 0.5) * 0x1p-31 - 1;
    const double s = u * u + v * v;
    if (s >= 1) continue;
    out.push_back(u * std::sqrt(-2 * std::log(s) / s));
    out.push_back(v * std::sqrt(-2 * std::log(s) / s));
  }
  out.resize(count);
  return out;
}

struct Kind {
  const char* name;
  double factor, scale;
  bool half_masked, one_left;
};
constexpr Kind kinds[] = {
    {"plain", 1, 1, false, false},           {"half -inf", 1, 1, true, false},
    {"all but one -inf", 1, 1, false, true}, {"times 40", 40, 1, false, false},
    {"times 1e4", 1e4, 1, false, false},     {"tau 1e-3", 1, 1e3, false, false},
    {"times 1e-20", 1e-20, 1, false, false}, {"zeros", 0, 1, false, false},
};

struct Tally {
  std::string backend;
  int64_t cases = 0, found = 0;

  template <class Call>
  void run(const std::string& kernel, const Type& type, int64_t cols, const Kind& kind, bool stores_half, Call call) {
    constexpr uint32_t denormal = 2, underflow = 16;
    // Conversions to float16 flag results that are subnormal there; nobody documents that they cost anything.
    const uint32_t wanted = stores_half ? denormal : denormal | underflow;
    poison_stack();
    _mm_setcsr(_mm_getcsr() & ~0x3Fu);
    call();
    const uint32_t flags = _mm_getcsr() & wanted;
    ++cases;
    if (!flags) return;
    ++found;
    std::printf("%s %s/%s %lld %s:%s%s\n", backend.c_str(), kernel.c_str(), type.name, static_cast<long long>(cols),
                kind.name, flags & denormal ? " denormal" : "", flags & underflow ? " underflow" : "");
  }
};

void run_all(const Backend& backend, Tally& tally, const Type& type, int64_t rows, int64_t cols, const Kind& kind) {
  const size_t count = static_cast<size_t>(rows * cols), t = static_cast<size_t>(type.dtype);
  const bool stores_half = type.dtype == DType::f16;
  std::vector<double> values = normals(backend, count, 1), grads = normals(backend, count, 1 << 20);
  for (size_t i = 0; i < count; ++i) {
    values[i] *= kind.factor;
    const int64_t column = static_cast<int64_t>(i) % cols;
    const bool masked = kind.one_left ? column != cols / 2 : kind.half_masked && grads[i] > 0 && column != cols / 2;
    if (masked) values[i] = -INFINITY;
  }
  Array x = as_type(type, values), grad = as_type(type, grads), y(count * type.size), log_y(count * type.size),
        out(count * 8), hard(count * 8), value(count * 8);
  std::vector<double> perturbed(count);
  std::vector<int64_t> index(count), picked(static_cast<size_t>(rows));
  const Scale scale{kind.scale};
  const Address at{key, 99, static_cast<uint64_t>(cols), nullptr, nullptr};
  const Logits logits{x.data(), rows, cols, cols, nullptr, false, scale};
  const auto run = [&](const char* kernel, bool half, auto call) { tally.run(kernel, type, cols, kind, half, call); };

  const SoftmaxArgs soft_args{x.data(), cols, cols, scale, y.data()};
  run("softmax", stores_half, [&] { backend.softmax.of[t](soft_args, {0, rows}); });
  run("log_softmax", stores_half,
      [&] { backend.log_softmax.of[t]({x.data(), cols, cols, scale, log_y.data()}, {0, rows}); });
  run("logsumexp", stores_half, [&] { backend.logsumexp.of[t]({x.data(), cols, cols, scale, out.data()}, {0, rows}); });
  run("softmax_backward", stores_half,
      [&] { backend.softmax_backward.of[t]({grad.data(), y.data(), cols, cols, cols, scale, out.data()}, {0, rows}); });
  run("log_softmax_backward", stores_half, [&] {
    backend.log_softmax_backward.of[t]({grad.data(), log_y.data(), cols, cols, cols, scale, out.data()}, {0, rows});
  });
  run("gumbel_softmax", stores_half,
      [&] { backend.gumbel_softmax.of[t]({logits, at, y.data(), hard.data()}, {0, rows}); });
  run("refuses", false, [&] { backend.refuses.of[t]({logits}, {0, rows}); });
  run("gumbel_max", false,
      [&] { backend.gumbel_max.of[t]({logits, at, 1, index.data(), perturbed.data()}, {0, rows, 0, cols}); });
  const int64_t k = 1 + cols / 4;
  run("gumbel_top_k", false,
      [&] { backend.gumbel_top_k.of[t]({logits, at, k, index.data(), perturbed.data()}, {0, rows, 0, cols}); });
  std::vector<uint64_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = i * 0x9E3779B9;
  const Entries entries{ids.data(), nullptr, rows, cols, rows * cols, cols};
  run("gumbel_max_at", false, [&] {
    backend.gumbel_max_at.of[t]({entries, x.data(), scale, at, 1, index.data(), perturbed.data()}, {0, rows});
  });
  run("gumbel_top_k_at", false, [&] {
    backend.gumbel_top_k_at.of[t]({entries, x.data(), scale, at, k, index.data(), perturbed.data()}, {0, rows});
  });
  std::vector<double> sizes(count);
  for (size_t i = 0; i < count; ++i) sizes[i] = std::isinf(values[i]) ? 0 : std::fabs(values[i]);
  Array weights = as_type(type, sizes);
  const Logits raced{weights.data(), rows, cols, cols};
  for (const int64_t wanted : {int64_t{1}, k})
    run("race", false,
        [&] { backend.race.of[t]({raced, at, wanted, index.data(), perturbed.data()}, {0, rows, 0, cols}); });
  for (int64_t i = 0; i < rows; ++i) picked[static_cast<size_t>(i)] = cols / 2;
  const std::vector<double> bound(static_cast<size_t>(rows), 1.5);
  const Logits raw{x.data(), rows, cols, cols};
  run("conditional_gumbel index", false,
      [&] { backend.conditional_gumbel.of[t]({raw, at, nullptr, picked.data(), out.data()}, {0, rows}); });
  run("conditional_gumbel bound", false,
      [&] { backend.conditional_gumbel.of[t]({raw, at, bound.data(), nullptr, out.data()}, {0, rows}); });
  const std::vector<double> scales(static_cast<size_t>(rows), kind.scale), top_p(static_cast<size_t>(rows), 0.9),
      min_p(static_cast<size_t>(rows), 0.05);
  const std::vector<int64_t> top_k(static_cast<size_t>(rows), k);
  const std::vector<double> share(static_cast<size_t>(rows), 0.5), cutoff(static_cast<size_t>(rows), 0.01),
      one(static_cast<size_t>(rows), 1);
  const std::vector<int64_t> few_tokens(static_cast<size_t>(rows), 3);
  const struct {
    const char* name;
    const int64_t* top_k;
    const double *top_p, *min_p;
    MoreFilters more;
  } filters[] = {{"sample_tokens", nullptr, nullptr, nullptr, {}},
                 {"sample_tokens top-k", top_k.data(), nullptr, nullptr, {}},
                 {"sample_tokens top-p", nullptr, top_p.data(), nullptr, {}},
                 {"sample_tokens min-p", nullptr, nullptr, min_p.data(), {}},
                 {"sample_tokens top-k top-p", top_k.data(), top_p.data(), nullptr, {}},
                 {"sample_tokens temperature last", nullptr, top_p.data(), nullptr, {.scale = one.data()}},
                 {"sample_tokens least", nullptr, top_p.data(), nullptr, {.least = few_tokens.data()}},
                 {"sample_tokens sigma", nullptr, nullptr, nullptr, {.sigmas = one.data()}},
                 {"sample_tokens typical", nullptr, nullptr, nullptr, {.typical_p = share.data()}},
                 {"sample_tokens epsilon", nullptr, nullptr, nullptr, {.epsilon = cutoff.data()}},
                 {"sample_tokens eta", nullptr, nullptr, nullptr, {.eta = cutoff.data()}}};
  for (const auto& f : filters)
    run(f.name, false, [&] {
      backend.sample_tokens.of[t]({raw, at, scales.data(), f.top_k, f.top_p, f.min_p, index.data(), f.more}, {0, rows});
    });
  if (kind.factor == 1 && !kind.half_masked && !kind.one_left) {
    const NoiseArgs standard{out.data(), 0, 1, key, 13}, scaled{out.data(), 0.5, 2.25, key, 13};
    for (const NoiseArgs& args : {standard, scaled}) {
      run("gumbel", stores_half, [&] { backend.gumbel.of[t](args, {0, rows * cols}); });
      run("exponential", stores_half, [&] { backend.exponential.of[t](args, {0, rows * cols}); });
    }
    const NoiseAtArgs named{entries, at, out.data()};
    run("gumbel_at", stores_half, [&] { backend.gumbel_at.of[t](named, {0, rows * cols}); });
    run("exponential_at", stores_half, [&] { backend.exponential_at.of[t](named, {0, rows * cols}); });
  }
  if (type.size < 4 || cols > 300) return;
  const int64_t few = kind.half_masked || kind.one_left ? 1 : std::min<int64_t>(cols, 5);
  for (const void* g : {static_cast<const void*>(nullptr), static_cast<const void*>(grad.data())}) {
    const auto& relaxed = g ? backend.relaxed_top_k_backward : backend.relaxed_top_k;
    run(g ? "relaxed_top_k_backward" : "relaxed_top_k", false,
        [&] { relaxed.of[t]({{g, x.data(), cols, few, scale, out.data()}}, {0, rows}); });
    const auto& subsets = g ? backend.subset_marginals_backward : backend.subset_marginals;
    run(g ? "subset_marginals_backward" : "subset_marginals", false,
        [&] { subsets.of[t]({g, x.data(), cols, few, out.data(), g ? nullptr : value.data()}, {0, rows}); });
  }
  if (cols > 40) return;
  if (!kind.half_masked && !kind.one_left) {
    const size_t cells = count * static_cast<size_t>(cols);
    std::vector<double> numbers = normals(backend, cells, 9);
    for (double& each : numbers) each *= kind.factor;
    Array matrices = as_type(type, numbers), above = as_type(type, normals(backend, cells, 10)),
          result(cells * type.size);
    for (const void* g : {static_cast<const void*>(nullptr), static_cast<const void*>(above.data())}) {
      const auto& sinkhorn = g ? backend.sinkhorn_backward : backend.sinkhorn;
      run(g ? "sinkhorn_backward" : "sinkhorn", false,
          [&] { sinkhorn.of[t]({{g, matrices.data(), cols, 3, scale, result.data()}}, {0, rows}); });
    }
  }
  const int64_t nodes = 5;
  std::vector<double> unary = normals(backend, static_cast<size_t>(rows * nodes * cols), 7),
                      pairwise = normals(backend, static_cast<size_t>(cols * cols), 8);
  for (size_t i = 0; i < unary.size(); ++i) unary[i] = kind.half_masked && i % 2 ? -INFINITY : unary[i] * kind.factor;
  Array u = as_type(type, unary), w = as_type(type, pairwise);
  const int64_t parents[nodes] = {-1, 0, 1, 1, 3};
  std::vector<int64_t> labels(static_cast<size_t>(rows * nodes));
  run("viterbi", false, [&] {
    backend.viterbi.of[t]({u.data(), w.data(), false, parents, nodes, cols, labels.data(), out.data()}, {0, rows});
  });
}

}  // namespace

int main() {
  Tally tally;
  for (const Backend* backend : usable_backends()) {
    tally.backend = backend->name;
    for (const Type& type : types)
      for (const Kind& kind : kinds) {
        for (int64_t cols = 1; cols <= 40; ++cols) run_all(*backend, tally, type, 19, cols, kind);
        for (const int64_t cols : {48, 64, 65, 100, 300, 1000, 5000}) run_all(*backend, tally, type, 3, cols, kind);
      }
  }
  std::printf("%lld of %lld cases\n", static_cast<long long>(tally.found), static_cast<long long>(tally.cases));
  return 0;
}
