// The core as a library: whole calls on whole arrays, split over threads. Python is one of its users.
#pragma once
#include <algorithm>
#include <atomic>
#include <functional>

#include "backend.hpp"
#include "dispatch.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace gumbelfast {

// Adds up what the parts of a call report; the worst outcome stays.
class Tally {
 public:
  void add(const Result& part) {
    if (part.outcome != Outcome::done) (part.outcome == Outcome::refused ? refusal : lack) = true;
    if (part.opened) opened += part.opened;
  }
  Result result(bool completed) const {
    const Outcome outcome = refusal ? Outcome::refused : lack ? Outcome::lacking : Outcome::done;
    return {completed ? outcome : Outcome::interrupted, opened};
  }

 private:
  std::atomic<int64_t> opened{0};
  std::atomic<bool> refusal{false}, lack{false};
};

// The kernel on all items, as its arguments plan it. A function handed over by reference needs no memory of its own.
template <class Args>
Result run(Kernel<Args> kernel, const Args& args, int64_t items, const Workers& workers) {
  const Plan plan = args.plan();
  const int64_t units = (plan.lead + items + plan.unit - 1) / plan.unit;
  Tally tally;
  const auto body = [&](int64_t begin, int64_t end) {
    tally.add(kernel(
        args, {std::max<int64_t>(0, begin * plan.unit - plan.lead), std::min(items, end * plan.unit - plan.lead)}));
  };
  return tally.result(parallel_for(units, static_cast<double>(plan.unit) * plan.cost, workers, std::ref(body)));
}

template <class Args>
Result run(const Kernels<Args>& kernels, DType dtype, const Args& args, int64_t items, const Workers& workers) {
  const Kernel<Args> kernel = kernels.of[static_cast<int>(dtype)];
  if constexpr (requires { args.past_cache; }) {
    Args own = args;
    own.past_cache = gains_past_cache(args.result(), items * args.result_cols() * size_of(dtype));
    return run(kernel, own, items, workers);
  }
  return run(kernel, args, items, workers);
}

// gumbel_max, gumbel_top_k and race: long rows are done in parts.
Result run(const Kernels<SelectArgs>&, DType, const SelectArgs&, int64_t rows, const Workers&);
Result run(const Kernels<RaceArgs>&, DType, const RaceArgs&, int64_t rows, const Workers&);

// Here `soft` may be null as well; nothing is written then before all logits were seen.
Result gumbel_softmax(const Backend&, DType, const GumbelSoftmaxArgs&, int64_t rows, const Workers&);

// Draws from `args.rows` rows of weights, float32 or float64, whose sums it takes; refused if some row has none.
Result draw_weights(const Backend&, DType, const DrawArgs&, int64_t count, const Workers&);

// The alias tables of `rows` rows of `cols` bounds, 2**bits entries each.
Result alias_tables(const uint64_t* bounds, int64_t rows, int64_t cols, int bits, uint64_t* table, const Workers&);

}  // namespace gumbelfast
