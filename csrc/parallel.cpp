#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "fp_environment.hpp"

namespace gumbelfast {
namespace {

constexpr double worth_a_thread = 100e3;  // nanoseconds of work; starting a thread takes 20 to 100 thousand
constexpr double block_cost = 2e6;        // nanoseconds between two looks at `interrupted`
constexpr int blocks_per_thread = 16;     // so that a slow thread does not keep the others waiting
constexpr double least_block = 10e3;      // nanoseconds that are worth a visit to the counter
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
  const int64_t by_time = static_cast<int64_t>(block_cost / cost) + 1;
  const int64_t by_share =
      std::max(items / (static_cast<int64_t>(threads) * blocks_per_thread), static_cast<int64_t>(least_block / cost)) +
      1;
  const int64_t block = threads > 1 ? std::min(by_time, by_share) : by_time;

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
        const int64_t begin = next.fetch_add(block);
        if (begin >= items) return;
        body(begin, std::min(begin + block, items));
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
  std::vector<std::thread> others;
  try {
    others.reserve(static_cast<size_t>(threads - 1));
    while (static_cast<int>(others.size()) < threads - 1) others.emplace_back(work, false);
  } catch (const std::system_error&) {
    // No more threads to be had.
  }
  work(true);
  for (std::thread& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
  return !interrupted;
}

}  // namespace gumbelfast
