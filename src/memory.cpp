// The caching allocator. Small blocks wait in a list per thread, larger ones in lists shared by all threads.
#include "memory.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "error.h"

namespace hadamard {
namespace {

using detail::Free, detail::SmallLists, detail::small_limit, detail::small_step;
constexpr size_t huge = size_t(2) << 20;
constexpr size_t cache_limit = size_t(1) << 30; // what all waiting large blocks may hold together

// A thread's lists of small blocks, from its first small block to its end; what its last destructors release after
// them goes to the system.
struct SmallOwner {
  SmallLists lists = {};
  SmallOwner() { detail::small = &lists; }
  ~SmallOwner() {
    detail::small = nullptr;
    for (Free *f : lists.head)
      while (f) {
        Free *next = f->next;
        std::free(f);
        f = next;
      }
  }
};

// Large blocks: four classes per power of two, so that a block wastes at most a fifth.
constexpr int classes = 4 * 48;
struct LargeLists {
  std::mutex lock;
  Free *head[classes] = {};
  size_t cached = 0;
};
LargeLists &large() { // never destroyed: tensors may outlive static destruction
  static LargeLists *l = [] {
    // A child forked while another thread is at the lists must find them whole and unlocked.
    pthread_atfork([] { large().lock.lock(); }, [] { large().lock.unlock(); }, [] { large().lock.unlock(); });
    return new LargeLists;
  }();
  return *l;
}
std::atomic<int64_t> allocated{0}, peak{0}, reserved{0};

int class_of(size_t bytes, size_t &rounded) {
  int log = 63 - __builtin_clzll(bytes);
  size_t quarter = size_t(1) << (log - 2);
  size_t steps = (bytes + quarter - 1) / quarter; // 4 … 8
  rounded = steps * quarter;
  return log * 4 + int(steps - 4);
}

size_t size_of(int c) { return (size_t(1) << (c / 4 - 2)) * size_t(c % 4 + 4); }

void *fresh(size_t bytes) {
  size_t align = bytes >= huge ? huge : 64;
  size_t whole = (bytes + align - 1) / align * align;
  void *p = whole < bytes ? nullptr : std::aligned_alloc(align, whole);
#ifdef __linux__
  // A last page that is mostly not asked for stays a row of small ones.
  if (p && bytes >= huge) madvise(p, whole - bytes > bytes / 8 ? bytes / huge * huge : whole, MADV_HUGEPAGE);
#endif
  return p;
}

void count(int64_t bytes) {
  int64_t now = allocated.fetch_add(bytes, std::memory_order_relaxed) + bytes,
          top = peak.load(std::memory_order_relaxed);
  while (now > top && !peak.compare_exchange_weak(top, now, std::memory_order_relaxed)) {}
}

[[noreturn]] void throw_no_memory(size_t bytes) {
  throw Error(
      Raises::runtime,
      text("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
           "to allocate %zu bytes. Error code 12 (Cannot allocate memory)",
           bytes),
      "memory");
}

} // namespace

constinit thread_local SmallLists *detail::small = nullptr;

#ifdef __SANITIZE_ADDRESS__
// Every block is its own, and ends where it ends, so that the sanitizer sees each step beyond it.
void *detail::allocate_slowly(size_t bytes) {
  void *p;
  if (bytes < size_t(1) << 46 && posix_memalign(&p, 64, bytes) == 0) return p;
  throw_no_memory(bytes);
}
void detail::release_slowly(void *p, size_t) noexcept { std::free(p); }
#else
void *detail::allocate_slowly(size_t bytes) {
  if (bytes <= small_limit) {
    if (!small) static thread_local SmallOwner owner;
    size_t c = (bytes + small_step - 1) / small_step;
    if (void *p = std::aligned_alloc(64, c ? c * small_step : small_step)) return p;
  } else if (bytes < size_t(1) << 46) {
    size_t rounded;
    int c = class_of(bytes, rounded);
    {
      auto &l = large();
      std::lock_guard guard(l.lock);
      if (Free *f = l.head[c]) {
        l.head[c] = f->next;
        l.cached -= rounded;
        count(int64_t(rounded));
        return f;
      }
    }
    void *p = fresh(rounded);
    if (!p) {
      empty_cache();
      p = fresh(rounded);
    }
    if (p) {
      reserved.fetch_add(int64_t(rounded), std::memory_order_relaxed);
      count(int64_t(rounded));
      return p;
    }
  }
  throw_no_memory(bytes);
}

void detail::release_slowly(void *p, size_t bytes) noexcept {
  if (!p) return;
  if (bytes <= small_limit) return std::free(p);
  size_t rounded;
  int c = class_of(bytes, rounded);
  allocated.fetch_sub(int64_t(rounded), std::memory_order_relaxed);
  auto &l = large();
  Free *gone = nullptr; // what has to make room
  size_t freed = 0;
  {
    std::lock_guard guard(l.lock);
    // This block was used last: it stays, and the largest of the others go.
    for (int k = classes - 1; k >= 0 && rounded <= cache_limit && l.cached + rounded > cache_limit; --k)
      while (l.head[k] && l.cached + rounded > cache_limit) {
        Free *f = l.head[k];
        l.head[k] = f->next;
        f->next = gone;
        gone = f;
        l.cached -= size_of(k);
        freed += size_of(k);
      }
    auto *f = static_cast<Free *>(p);
    Free *&head = rounded <= cache_limit ? l.head[c] : gone;
    f->next = head;
    head = f;
    (rounded <= cache_limit ? l.cached : freed) += rounded;
  }
  reserved.fetch_sub(int64_t(freed), std::memory_order_relaxed);
  while (gone) {
    Free *next = gone->next;
    std::free(gone);
    gone = next;
  }
}
#endif

void empty_cache() {
  auto &l = large();
  std::lock_guard guard(l.lock);
  for (auto &h : l.head)
    while (h) {
      Free *f = h;
      h = f->next;
      std::free(f);
    }
  reserved.fetch_sub(int64_t(l.cached), std::memory_order_relaxed);
  l.cached = 0;
}

MemoryStats memory_stats() { return {allocated, peak, reserved, int64_t(large().cached)}; }
void reset_peak_memory_stats() { peak = allocated.load(); }

} // namespace hadamard
