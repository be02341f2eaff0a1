// What kernels take and what they return: one struct of arguments for each family of them, with what its work costs.
#pragma once
#include <cstdint>

namespace gumbelfast {

// float16 and bfloat16 are converted on load and store and computed in float32.
enum class DType : int { f32, f64, f16, bf16 };
inline constexpr int dtype_count = 4;

constexpr int64_t size_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

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

// 1/temperature, rounded to the working type by the kernel: one number, or one per row of the data.
struct Scale {
  double one = 1;
  const double* each = nullptr;
};

// Row i of a result reads row i % rows of the data, so that n draws per row need no copies.
struct Logits {
  const void* data;
  int64_t rows;
  int64_t cols;
  int64_t stride;                 // elements from one row to the next, >= 0; what lies between two rows may be read
  const uint8_t* mask = nullptr;  // one byte an element: nonzero is allowed
  bool mask_per_row = false;      // false: one row of mask serves all
  Scale scale = {};
};

// The items of the result that one call of a kernel works on: rows, or elements of noise. Selections take some of the
// columns of each row, all others look at none of these two.
struct Span {
  int64_t begin, end;
  int64_t col_begin = 0, col_end = 0;
};

// lacking: done, but some row had less to draw than was asked for. refused: NaN or +inf among the data (where a family
// says so, a row without a finite logit as well). Kernels are never interrupted, their callers are.
enum class Outcome { done, lacking, refused, interrupted };

struct Result {
  Outcome outcome = Outcome::done;
  int64_t opened = 0;  // tiles whose noise was computed
};
inline constexpr Result refused{Outcome::refused};

// How work is split. No result depends on it.
struct Plan {
  double cost;       // nanoseconds that an item is reckoned at
  int64_t unit = 1;  // items that are not parted
  int64_t lead = 0;  // by how many items the first unit begins before the first item
};

// Nanoseconds an element is reckoned at.
inline constexpr double fill_cost = 0.5, scan_cost = 0.15, softmax_cost = 0.25, backward_cost = 0.15, draw_cost = 1,
                        filter_cost = 0.5, edge_cost = 0.15, look_cost = 0.05, share_cost = 1, gather_cost = 2;

// Groups of tiles: within one no two threads draw the same block of words.
inline constexpr int64_t noise_unit = 512;

// Rows that take a lane each: whole blocks of either type.
inline constexpr int64_t lane_unit = 16;

// Noise n goes out as loc + scale * n; an item is an element.
struct NoiseArgs {
  void* out;
  double loc, scale;
  Key key;
  uint64_t offset;

  Plan plan() const { return {fill_cost, noise_unit, static_cast<int64_t>(offset % noise_unit)}; }
};

// The k largest perturbed logits of each row. index, perturbed and rest hold k entries per row, largest first; places
// without an element hold -1 and -inf. A perturbed value that overflows is infinite, and its index the right one.
struct SelectArgs {
  Logits logits;
  Address noise;
  int64_t k;
  int64_t* index;
  double* perturbed;       // may be null where k is 1
  double* rest = nullptr;  // the error of its rounding (docs/stream.md), zero but for logits in double; may be null

  Plan plan() const { return {static_cast<double>(logits.cols) * (k > 1 ? 2 * scan_cost : scan_cost)}; }
};

// Elements that are named one by one. Entry e of a row of the noise is element `ids[e]` behind the one that the row
// begins with; without ids, which selections may leave out, its place in the row. Row i of a result reads row i % rows:
// entries [bounds[i], bounds[i + 1]), or `cols` of them where that is null.
struct Entries {
  const uint64_t* ids;
  const int64_t* bounds;
  int64_t rows;
  int64_t cols;
  int64_t size;     // of all rows together
  int64_t longest;  // no row has more
};

// An item is an entry.
struct NoiseAtArgs {
  Entries entries;  // bounds are null
  Address noise;
  void* out;

  Plan plan() const { return {gather_cost, noise_unit}; }
};

// As SelectArgs, of the entries of each row: an index is an id, the lower one goes first among equals.
struct SelectAtArgs {
  Entries entries;
  const void* logits;  // one an entry
  Scale scale;
  Address noise;
  int64_t k;
  int64_t* index;
  double* perturbed;  // may be null where k is 1

  Plan plan() const {
    const double rows = static_cast<double>(entries.rows ? entries.rows : 1);
    return {(static_cast<double>(entries.size) / rows + 4) * 2 * gather_cost};
  }
};

// The places of the k largest w / E of each row into index, largest first; -1 where nothing has any weight left.
// refused: a negative weight, NaN or an infinity, but for weights with tops, which were found good before.
struct RaceArgs {
  Logits weights;  // their scale and mask are not used
  Address noise;
  int64_t k;
  int64_t* index;
  double* perturbed = nullptr;  // log(w / E), never above the one before; -inf where nothing is left; may be null
  int64_t* score = nullptr;     // the same as csrc/select.hpp compares them; may be null
  double* sum = nullptr;        // of each row without tops, in the working type, in no certain order; may be null
  // The largest weight of each 32 columns in the working type, the 16 before the row and the 16 behind it zeros,
  // rows `tops_stride` apart; may be null. It changes no result.
  const void* tops = nullptr;
  int64_t tops_stride = 0;

  Plan plan() const { return {static_cast<double>(weights.cols) * (k > 1 ? 2 * scan_cost : scan_cost)}; }
};

// Rows without a finite logit are refused as well, here and in the next two.
struct LookArgs {
  Logits logits;  // its scale and mask are not used

  Plan plan() const { return {static_cast<double>(logits.cols) * look_cost}; }
};

struct GumbelSoftmaxArgs {
  Logits logits;  // scale is 1/tau here, the mask is not used
  Address noise;
  void* soft;
  void* hard;               // may be null
  bool past_cache = false;  // whether stores of `soft` may go past the cache: `run` decides

  void* result() const { return soft; }
  int64_t result_cols() const { return logits.cols; }
  Plan plan() const { return {static_cast<double>(logits.cols) * (fill_cost + softmax_cost)}; }
};

// One entry per row, either may be null. index: the largest perturbed logit; bound: its value, or drawn if null.
// Without an index nothing is known but that all are at most `bound`.
struct ConditionalArgs {
  Logits logits;  // its scale and mask are not used
  Address noise;
  const double* bound;
  const int64_t* index;
  void* out;  // of the working type

  Plan plan() const { return {static_cast<double>(logits.cols) * (fill_cost + 2 * softmax_cost)}; }
};

// Filters of token sampling behind top-k, top-p and min-p, one entry per row. What is null filters nothing; for a row,
// sigmas, epsilon, eta <= 0 and typical_p >= 1 do so as well.
struct MoreFilters {
  const double* scale = nullptr;   // 1/temperature of the probabilities that filters see; null: that of the draw
  const int64_t* least = nullptr;  // so many tokens at least are left by each filter
  const double* sigmas = nullptr;
  const double* typical_p = nullptr;
  const double* epsilon = nullptr;
  const double* eta = nullptr;
};

// static: kernels call it too, and an inline function would be shared between instruction sets by the linker.
static inline bool filters_more(const MoreFilters& more) {
  return more.sigmas || more.typical_p || more.epsilon || more.eta;
}
template <class Args>
static inline bool filters(const Args& args) {
  return args.top_k || args.top_p || args.min_p || filters_more(args.more);
}

// One entry per row. What is null filters nothing; for a row, top_k < 1 or >= cols, top_p >= 1, min_p <= 0 do so as
// well. masses: of each row that a token is drawn of, its largest logit, and sums of weights: exp((x - largest) *
// scale) of what stays and of all, exp(x - largest) of all.
inline constexpr int token_mass_fields = 4;
struct TokenArgs {
  Logits logits;  // its scale is not used
  Address noise;
  const double* scale;  // 1/temperature; 0: the largest logit itself
  const int64_t* top_k;
  const double* top_p;
  const double* min_p;
  int64_t* index;
  MoreFilters more = {};
  double* masses = nullptr;  // may be null

  Plan plan() const {
    const double drawn = filters(*this) ? filter_cost + scan_cost : scan_cost, summed = masses ? filter_cost : 0;
    return {static_cast<double>(logits.cols) * (drawn + summed)};
  }
};

// What the filters leave of each row, as four numbers: its largest logit, the least logit that stays, the last column
// in which a logit equal to that stays, and the largest that stays.
inline constexpr int token_edge_fields = 4;
struct TokenEdgeArgs {
  Logits logits;  // its scale is not used
  const double* scale;
  const int64_t* top_k;
  const double* top_p;
  const double* min_p;
  double* edges;
  MoreFilters more = {};

  Plan plan() const {
    return {static_cast<double>(logits.cols) * (top_p || filters_more(more) ? 4 * filter_cost : filter_cost)};
  }
};

// Rows of the inputs lie their strides apart, in elements; those of the output follow each other.
struct SoftmaxArgs {
  const void* x;
  int64_t cols;
  int64_t stride;
  Scale scale;
  void* out;
  bool past_cache = false;

  void* result() const { return out; }
  int64_t result_cols() const { return cols; }
  Plan plan() const { return {static_cast<double>(cols) * softmax_cost}; }
};

struct SoftmaxBackwardArgs {
  const void* grad;
  const void* y;
  int64_t cols;
  int64_t grad_stride;
  int64_t y_stride;
  Scale scale;
  void* out;
  bool past_cache = false;

  void* result() const { return out; }
  int64_t result_cols() const { return cols; }
  Plan plan() const { return {static_cast<double>(cols) * backward_cost}; }
};

// Draws of one uniform each (docs/stream.md, "From uniforms to categories"): draw n takes the table of row n % rows.
struct DrawArgs {
  const uint64_t* table = nullptr;   // alias: 2**bits entries per row
  const uint64_t* bounds = nullptr;  // inverse: cols bounds a row
  const int64_t* guide = nullptr;    // inverse: 2**bits first categories a row
  const void* weights = nullptr;     // weights: cols a row, `stride` from one row to the next
  int64_t stride = 0;
  const double* sums = nullptr;  // weights: what sum_weights keeps of each row
  uint64_t below = 0;            // integers: the number that all are below
  int64_t rows = 1;
  int64_t cols = 0;
  int bits = 0;
  Key key;
  uint64_t offset = 0;
  int word = -1;  // from 0 on: uniforms are doubles as NumPy makes them, of two words each from this one of block
                  // `offset` on, which is the lower half of a counter here
  int64_t* index = nullptr;

  Plan plan() const { return {draw_cost, noise_unit, static_cast<int64_t>(offset % noise_unit)}; }
};

// Node t has parent parents[t] < t, or -1. The edge between them is matrix t - 1 of `pairwise`, or its only one:
// labels * labels entries, the parent's label first. lacking: all labellings of some row score -inf.
struct ViterbiArgs {
  const void* unary;  // nodes * labels a row
  const void* pairwise;
  bool pairwise_per_edge;
  const int64_t* parents;
  int64_t nodes;
  int64_t labels;
  int64_t* index;  // nodes a row
  void* score;     // one per row

  Plan plan() const { return {static_cast<double>(nodes * labels * (labels + 4)) * edge_cost, lane_unit}; }
};

// Steps that follow each other on each row, or square matrix, of `cols` columns; all arrays without gaps.
struct IteratedArgs {
  const void* grad;  // of the backward passes alone
  const void* x;
  int64_t cols;
  int64_t steps;
  Scale scale;  // 1/tau
  void* out;

  Plan plan_of(int64_t elements) const {
    return {static_cast<double>(elements) * static_cast<double>(steps) * (grad ? 3 : 1) * share_cost, lane_unit};
  }
};

// k softmaxes of rows with at least k finite entries.
struct RelaxedTopKArgs : IteratedArgs {
  int64_t elements() const { return cols; }
  Plan plan() const { return plan_of(elements()); }
};

// Rounds over the rows and columns of finite matrices.
struct SinkhornArgs : IteratedArgs {
  int64_t elements() const { return cols * cols; }
  Plan plan() const { return plan_of(elements()); }
};

// Subsets of k items of rows with at least k finite entries; all arrays without gaps.
struct SubsetArgs {
  const void* grad;  // of the backward pass alone
  const void* x;
  int64_t cols;
  int64_t k;
  void* out;      // may be null in the forward pass
  void* log_sum;  // one per row; of the forward pass alone

  Plan plan() const {
    return {static_cast<double>(cols) * static_cast<double>(k + 1) * (grad ? 6 : 3) * share_cost, lane_unit};
  }
};

}  // namespace gumbelfast
