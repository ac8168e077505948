// The caching allocator: blocks aligned to 64 bytes, reused, huge pages from 2 MiB, bounded.
#pragma once
#include <cstddef>
#include <cstdint>

namespace hadamard {

// Thread-local variables that every call reads: at a fixed distance from the thread's pointer.
#if defined(__ELF__)
#define HD_INITIAL_EXEC __attribute__((tls_model("initial-exec")))
#else
#define HD_INITIAL_EXEC
#endif

namespace detail {
constexpr size_t small_limit = 4096, small_step = 64;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_small = false; // every block from the system, so that the sanitizer sees its end
#else
constexpr bool keeps_small = true;
#endif
struct Free {
  Free *next;
};
// Small blocks that wait, by size; each thread has its own.
struct SmallLists {
  Free *head[small_limit / small_step + 1];
  uint32_t count[small_limit / small_step + 1];
};
extern constinit thread_local SmallLists *small HD_INITIAL_EXEC; // nullptr before the first and after the last use
void *allocate_slowly(size_t bytes);
void release_slowly(void *p, size_t bytes) noexcept;
constexpr uint32_t small_keep = 256;
} // namespace detail

// Throws Error(memory); never returns nullptr.
inline void *allocate(size_t bytes) {
  using namespace detail;
  if (keeps_small && bytes <= small_limit && small) {
    size_t c = (bytes + small_step - 1) / small_step;
    if (Free *f = small->head[c]) {
      small->head[c] = f->next;
      --small->count[c];
      return f;
    }
  }
  return allocate_slowly(bytes);
}
// bytes as asked for
inline void release(void *p, size_t bytes) noexcept {
  using namespace detail;
  if (keeps_small && bytes <= small_limit && small && p) {
    size_t c = (bytes + small_step - 1) / small_step;
    if (small->count[c] < small_keep) {
      auto *f = static_cast<Free *>(p);
      f->next = small->head[c];
      small->head[c] = f;
      ++small->count[c];
      return;
    }
  }
  release_slowly(p, bytes);
}
void empty_cache();
struct MemoryStats {
  int64_t allocated, peak, reserved, cached;
};
MemoryStats memory_stats();
void reset_peak_memory_stats();

} // namespace hadamard
