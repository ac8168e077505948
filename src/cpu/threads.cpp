// The thread pool: workers spin for a while after each job, then sleep.
#include "threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace hadamard {
namespace {

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Cancelled {};
thread_local const std::atomic<bool> *working_for = nullptr; // of a worker: whether its job is cancelled

constexpr auto spin_time = std::chrono::microseconds(50);

// A job is published in `state`: its number, whether it may be entered, and how many workers are inside. Its fields
// change only while it is closed and nobody is inside, so a worker that wakes late finds a closed door, not a new job
// half written.
struct Pool {
  static constexpr uint64_t inside = (uint64_t(1) << 31) - 1, open = uint64_t(1) << 31, number = uint64_t(1) << 32;

  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<long> next{0};
  alignas(64) std::atomic<bool> busy{false};
  std::atomic<int> sleepers{0};
  std::atomic<bool> cancelled{false}; // the caller's poll() has thrown: workers leave the job at theirs
  std::mutex mutex;
  std::condition_variable wake;
  int workers = 0; // threads started; the first `wanted` of them take part
  int wanted = 0;
  long tasks = 0;
  void (*f)(void *, long) = nullptr;
  void *context = nullptr;

  void take() {
    for (long i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      f(context, i);
      poll();
    }
  }

  void work(int id) {
    uint64_t seen = 0;
    auto until = std::chrono::steady_clock::now() + spin_time;
    for (int spins = 0;;) {
      uint64_t s = state.load(std::memory_order_acquire);
      if (s / number != seen) {
        seen = s / number;
        bool entered = false;
        while (s / number == seen && (s & open) && !entered)
          entered = state.compare_exchange_weak(s, s + 1, std::memory_order_acq_rel);
        if (entered) {
          try {
            if (id < wanted) take();
          } catch (const Cancelled &) {}
          state.fetch_sub(1, std::memory_order_release);
        }
        until = std::chrono::steady_clock::now() + spin_time;
        spins = 0;
      } else if (++spins % 64 || std::chrono::steady_clock::now() < until) {
        pause();
      } else {
        std::unique_lock<std::mutex> lock(mutex);
        ++sleepers;
        wake.wait(lock, [&] { return state.load() / number != seen; });
        --sleepers;
      }
    }
  }

  void run(long n, void (*function)(void *, long), void *argument, int threads) {
    wanted = int(std::min<long>(threads, n)) - 1;
    tasks = n;
    f = function;
    context = argument;
    next.store(0, std::memory_order_relaxed);
    cancelled.store(false, std::memory_order_relaxed);
    while (workers < threads - 1) {
      // Detached: nothing waits for a worker at exit, and the pool is never destroyed.
      try {
        std::thread([this, id = workers] {
          working_for = &cancelled;
          work(id);
        }).detach();
      } catch (const std::system_error &) {
        break; // the machine gives no more threads: the caller does the work
      }
      ++workers;
    }
    uint64_t s = state.load(std::memory_order_relaxed);
    state.store((s / number + 1) * number | open); // sequentially consistent, as is the count of sleepers
    if (sleepers.load()) {
      { std::lock_guard<std::mutex> lock(mutex); }
      wake.notify_all();
    }
    struct Close { // also where poll() throws: nobody may be inside when the job's fields go away
      Pool &p;
      int before = std::uncaught_exceptions();
      ~Close() {
        if (std::uncaught_exceptions() > before) {
          p.next.store(p.tasks, std::memory_order_relaxed);
          p.cancelled.store(true, std::memory_order_relaxed);
        }
        p.state.fetch_and(~open, std::memory_order_acq_rel);
        for (int spins = 0; p.state.load(std::memory_order_acquire) & inside;)
          if (++spins % 4096) pause();
          else std::this_thread::yield();
        p.busy.store(false, std::memory_order_release);
      }
    } close{*this};
    take();
  }
};

std::atomic<Pool *> the_pool{nullptr};
std::atomic<int> threads_wanted{0};

// The workers do not survive a fork: the child leaves the old pool as it is and starts another when it needs one.
void in_child() { the_pool.store(nullptr); }

Pool &pool() {
  Pool *p = the_pool.load(std::memory_order_acquire);
  if (p) return *p;
  static const int once = pthread_atfork(nullptr, nullptr, in_child);
  (void)once;
  Pool *fresh = new Pool;
  if (the_pool.compare_exchange_strong(p, fresh)) return *fresh;
  delete fresh;
  return *p;
}

thread_local bool polling = false; // within poll_hook: what runs there must not touch the memory of the work around it

struct Workspace {
  void *data[workspace_slots] = {};
  long size[workspace_slots] = {};
  ~Workspace() {
    for (void *p : data) std::free(p);
  }
};

} // namespace

int num_threads() {
  int n = threads_wanted.load(std::memory_order_relaxed);
  if (n) return n;
  const char *text = std::getenv("HADAMARD_NUM_THREADS");
  n = text ? std::atoi(text) : 0;
  if (n < 1) n = int(std::thread::hardware_concurrency());
  n = std::clamp(n, 1, 4096);
  int unset = 0;
  return threads_wanted.compare_exchange_strong(unset, n) ? n : unset;
}

void set_num_threads(int n) {
  if (n < 1) throw std::invalid_argument("set_num_threads expects a positive integer");
  threads_wanted.store(std::min(n, 4096));
}

void parallel(long tasks, void (*f)(void *, long), void *context) {
  int threads = num_threads();
  if (tasks > 1 && threads > 1) {
    Pool &p = pool();
    if (!p.busy.exchange(true, std::memory_order_acquire)) {
      p.run(tasks, f, context, threads);
      return;
    }
  }
  for (long i = 0; i < tasks; ++i) {
    f(context, i);
    if (tasks > 1) poll();
  }
}

void (*poll_hook)() = nullptr;

void poll() {
  static thread_local std::chrono::steady_clock::time_point next{};
  if (working_for) {
    if (working_for->load(std::memory_order_relaxed)) throw Cancelled{};
    return;
  }
  if (!poll_hook || polling) return;
  auto now = std::chrono::steady_clock::now();
  if (now < next) return;
  next = now + std::chrono::milliseconds(50);
  struct Mark {
    Mark() { polling = true; }
    ~Mark() { polling = false; }
  } mark;
  poll_hook();
}

void *workspace(int slot, long bytes) {
  static thread_local Workspace of_work, of_poll;
  Workspace &w = polling ? of_poll : of_work;
  if (w.size[slot] < bytes) {
    // A fresh page costs more than anything done with it, so large buffers ask for huge ones.
    constexpr long page = 2 << 20;
    long align = bytes >= page ? page : 64;
    long size = (bytes + align - 1) / align * align;
    std::free(w.data[slot]);
    w.data[slot] = nullptr, w.size[slot] = 0;
    if (posix_memalign(&w.data[slot], size_t(align), size_t(size))) throw std::bad_alloc();
    w.size[slot] = size;
#ifdef __linux__
    if (align == page) madvise(w.data[slot], size_t(size), MADV_HUGEPAGE);
#endif
  }
  return w.data[slot];
}

} // namespace hadamard
