#include "pool.hpp"

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace gumbelfast {
namespace {

// Threads that are made meanwhile leave signals to the program's own. Windows has none of these, and no fork.
#ifdef _WIN32
struct WithoutSignals {
  ~WithoutSignals() {}
};
#else
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }

 private:
  sigset_t before;
};
#endif

class Pool {
 public:
  void run(int others, const std::function<void(bool)>& work) {
    const std::unique_lock calling(busy, std::try_to_lock);
    if (!calling) return work(true);
    grow(others);
    {
      const std::lock_guard lock(mutex);
      job = &work;
      seats = others;
    }
    for (int i = 0; i < others; ++i) wake.notify_one();
    work(true);
    std::unique_lock lock(mutex);
    seats = 0;
    left.wait(lock, [this] { return inside == 0; });
  }

 private:
  // Where the system refuses a thread, those that there are do the work.
  void grow(int wanted) {
    if (size >= wanted) return;
    const WithoutSignals guard;
    try {
      for (; size < wanted; ++size) std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
    }
  }
  void help() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return seats > 0; });
      --seats;
      ++inside;
      const auto* mine = job;
      lock.unlock();
      (*mine)(false);
      lock.lock();
      if (--inside == 0) left.notify_one();
    }
  }

  std::mutex busy, mutex;
  std::condition_variable wake, left;
  const std::function<void(bool)>* job = nullptr;
  int size = 0, seats = 0, inside = 0;
};

// Never destroyed: its threads may outlive every static object. A child has none of its parent's threads, and the locks
// as they were; it starts anew.
std::atomic<Pool*> current{nullptr};
#ifndef _WIN32
const int at_fork = pthread_atfork(nullptr, nullptr, [] { current = nullptr; });
#endif

}  // namespace

void run_with_helpers(int others, const std::function<void(bool)>& work) {
  Pool* pool = current;
  if (!pool) {
    Pool* fresh = new Pool;
    pool = current.compare_exchange_strong(pool, fresh) ? fresh : (delete fresh, pool);
  }
  pool->run(others, work);
}

}  // namespace gumbelfast
