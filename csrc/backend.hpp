// The whole surface of the core: one table of kernels per instruction set, and the arguments that they take.
#pragma once
#include <cstdint>

namespace gumbelfast {

// float16 and bfloat16 are converted on load and store and computed in float32.
enum class DType : int { f32, f64, f16, bf16 };
inline constexpr int dtype_count = 4;

struct Key {
  uint32_t k0, k1;
};

// Where the noise of a matrix lies: row i, column j is element `offset + i * row_stride + j` under `key`.
// offsets[i], where given, replaces the first two terms; keys[i] replaces the key.
struct Address {
  Key key;
  uint64_t offset;
  uint64_t row_stride;
  const uint64_t* keys;
  const uint64_t* offsets;
};

// 1/temperature, rounded to the working type by the kernel: one number, or one a row of the data.
struct Scale {
  double one = 1;
  const double* each = nullptr;
};

// Row i of a result reads row i % rows of the data, so that n draws a row need no copies.
struct Logits {
  const void* data;
  int64_t rows;
  int64_t cols;
  int64_t stride;                 // elements from one row to the next, >= 0; what lies between two rows may be read
  const uint8_t* mask = nullptr;  // one byte an element: nonzero is allowed
  bool mask_per_row = false;      // false: one row of mask serves all
  Scale scale = {};
};

// The rows and columns of the result that one call of a kernel works on.
struct Span {
  int64_t row_begin, row_end;
  int64_t col_begin, col_end;
};

// What is drawn, place by place of the rows of a span: the column; the perturbed value in double, which may be null, as may
// the error of its rounding (docs/stream.md), which only logits in double have.
struct Drawn {
  int64_t* index;
  double* perturbed = nullptr;
  double* rest = nullptr;
};

// Noise n goes out as loc + scale * n.
struct NoiseArgs {
  void* out;
  double loc, scale;
  Key key;
  uint64_t offset;
};

struct GumbelSoftmaxArgs {
  Logits logits;  // scale is 1/tau here
  Address noise;
  void* soft;
  void* hard;  // may be null
};

// One entry a row, either may be null. index: the largest perturbed logit; bound: its value, or drawn if null. Without
// an index nothing is known but that all are at most `bound`.
struct ConditionalArgs {
  Logits logits;  // its scale and mask are not used
  Address noise;
  const double* bound;
  const int64_t* index;
  void* out;  // of the working type
};

// One entry a row. What is null filters nothing; for a row, top_k < 1 or >= cols, top_p >= 1, min_p <= 0 do so as well.
struct TokenArgs {
  Logits logits;  // its scale is not used
  Address noise;
  const double* scale;  // 1/temperature; 0: the largest logit itself
  const int64_t* top_k;
  const double* top_p;
  const double* min_p;
  int64_t* index;
};

// Rows of the inputs lie their strides apart, in elements; those of the output follow each other.
struct SoftmaxArgs {
  const void* x;
  int64_t cols;
  int64_t stride;
  Scale scale;
  void* out;
};

struct SoftmaxBackwardArgs {
  const void* grad;
  const void* y;
  int64_t cols;
  int64_t grad_stride;
  int64_t y_stride;
  Scale scale;
  void* out;
};

// Draws from tables (docs/stream.md, "From uniforms to categories"): draw n takes the table of row n % rows.
struct DrawArgs {
  const uint64_t* table = nullptr;   // alias: 2**bits entries a row
  const uint64_t* bounds = nullptr;  // inverse: cols bounds a row
  const int64_t* guide = nullptr;    // inverse: 2**bits first categories a row
  const void* weights = nullptr;     // weights: cols a row, `stride` from one row to the next
  int64_t stride = 0;
  const double* sums = nullptr;  // weights: what sum_weights keeps of each row
  int64_t rows;
  int64_t cols;
  int bits = 0;
  Key key;
  uint64_t offset = 0;
  int64_t* index = nullptr;
};

// Node t has parent parents[t] < t, or -1. The edge between them is matrix t - 1 of `pairwise`, or its only one:
// labels * labels entries, the parent's label first.
struct ViterbiArgs {
  const void* unary;  // nodes * labels a row
  const void* pairwise;
  bool pairwise_per_edge;
  const int64_t* parents;
  int64_t nodes;
  int64_t labels;
  int64_t* index;  // nodes a row
  void* score;     // one a row
};

// Each kernel does rows (or elements) [begin, end). Kernels keep no state and start no threads.
using RowKernel = void (*)(const SoftmaxArgs&, int64_t begin, int64_t end);
using BackwardKernel = void (*)(const SoftmaxBackwardArgs&, int64_t begin, int64_t end);
using DrawKernel = void (*)(const DrawArgs&, int64_t begin, int64_t end);
using NoiseKernel = void (*)(const NoiseArgs&, int64_t begin, int64_t end);

// Scans return how many tiles had their noise computed: `tiles`, or `lacking(tiles)` if some row had less to draw than
// was asked for, or `refused` for NaN or +inf (gumbel_softmax, conditional_gumbel: for a row without a finite logit as
// well). A perturbed value that overflows is infinite, and its index the right one.
inline constexpr int64_t refused = -1;
// static: an inline function would be shared between instruction sets by the linker.
static constexpr int64_t lacking(int64_t tiles) { return -2 - tiles; }

struct Backend {
  const char* name;
  void (*philox)(Key, uint32_t domain, uint64_t block, int64_t count, uint32_t* out);
  // The keys of rows, from seeds given one a row.
  void (*row_keys)(const uint64_t* seeds, int64_t count, uint64_t* keys);
  NoiseKernel gumbel[dtype_count];
  NoiseKernel exponential[dtype_count];
  // One place a row of the span.
  int64_t (*gumbel_max[dtype_count])(const Logits&, const Address&, const Span&, const Drawn&);
  // k places a row, largest first; those without an element hold -1 and -inf.
  int64_t (*gumbel_top_k[dtype_count])(const Logits&, const Address&, const Span&, int64_t k, const Drawn&);
  // Whether gumbel_softmax and conditional_gumbel would refuse these rows of the data.
  bool (*refuses[dtype_count])(const Logits&, int64_t begin, int64_t end);
  int64_t (*gumbel_softmax[dtype_count])(const GumbelSoftmaxArgs&, int64_t begin, int64_t end);
  int64_t (*conditional_gumbel[dtype_count])(const ConditionalArgs&, int64_t begin, int64_t end);
  int64_t (*sample_tokens[dtype_count])(const TokenArgs&, int64_t begin, int64_t end);
  RowKernel softmax[dtype_count];
  RowKernel log_softmax[dtype_count];
  RowKernel logsumexp[dtype_count];
  BackwardKernel softmax_backward[dtype_count];
  BackwardKernel log_softmax_backward[dtype_count];
  DrawKernel draw_alias;
  DrawKernel draw_inverse;
  DrawKernel draw_weights[2];  // float32 and float64 only
  // float32 and float64 only. `lacking` if all labellings of some row score -inf; refused for NaN and +inf.
  int64_t (*viterbi[2])(const ViterbiArgs&, int64_t begin, int64_t end);
};

}  // namespace gumbelfast
