#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>

#include "fp_environment.hpp"
#include "pool.hpp"

namespace gumbelfast {
namespace {

constexpr double worth_a_thread = 50e3;  // nanoseconds of work; to wake a thread takes 10 to 50 thousand
constexpr double block_cost = 2e6;       // nanoseconds between two looks at `interrupted`
constexpr double least_block = 10e3;     // nanoseconds that are worth a visit to the counter
constexpr auto ask_every = std::chrono::milliseconds(50);

}  // namespace

bool parallel_for(int64_t items, double cost, const Workers& workers,
                  const std::function<void(int64_t, int64_t)>& body) {
  if (items <= 0) return true;
  const double total = static_cast<double>(items) * cost;
  const int threads = static_cast<int>(
      std::min({static_cast<double>(workers.threads), static_cast<double>(items), total / worth_a_thread + 1}));
  if (threads <= 1 && total <= block_cost) {
    const FpEnvironment guard;
    body(0, items);
    return true;
  }
  const int64_t most = static_cast<int64_t>(block_cost / cost) + 1;
  const int64_t least = static_cast<int64_t>(least_block / cost) + 1;

  std::atomic<int64_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;
  std::mutex failing;
  bool interrupted = false;
  auto work = [&](bool caller) {
    const FpEnvironment guard;
    auto asked = std::chrono::steady_clock::now();
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        // A share of what is left, so that the last blocks are small and all end together.
        int64_t begin = next.load(std::memory_order_relaxed), end = 0;
        do {
          if (begin >= items) return;
          const int64_t share = (items - begin) / (2 * threads);
          end = std::min(begin + std::max(least, std::min(share, most)), items);
        } while (!next.compare_exchange_weak(begin, end));
        body(begin, end);
        if (!caller || !workers.interrupted) continue;
        const auto now = std::chrono::steady_clock::now();
        if (now - asked < ask_every) continue;
        asked = now;
        if (workers.interrupted()) interrupted = stop = true;
      }
    } catch (...) {
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
  };
  if (threads > 1)
    run_with_helpers(threads - 1, work);
  else
    work(true);
  if (failure) std::rethrow_exception(failure);
  return !interrupted;
}

}  // namespace gumbelfast
