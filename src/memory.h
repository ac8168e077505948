// The caching allocator: blocks aligned to 64 bytes, reused, huge pages from 2 MiB, bounded.
#pragma once
#include <cstddef>
#include <cstdint>

namespace hadamard {

void *allocate(size_t bytes);                 // throws Error(memory); never returns nullptr
void release(void *p, size_t bytes) noexcept; // bytes as asked for
void empty_cache();
struct MemoryStats {
  int64_t allocated, peak, reserved, cached;
};
MemoryStats memory_stats();
void reset_peak_memory_stats();

} // namespace hadamard
