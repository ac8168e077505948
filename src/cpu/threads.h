// The thread pool that all kernels share, and the memory they work in.
#pragma once

namespace hadamard {

int num_threads();           // HADAMARD_NUM_THREADS, or the machine's cores
void set_num_threads(int n); // throws std::invalid_argument below 1

// Long work calls this now and then. What the host hooks in is called every 50 ms at most, and may throw to end the
// work.
void poll();
extern void (*poll_hook)();

// Runs f(context, i) for i in [0, tasks) on the pool and the caller; returns when all are done. f must not throw but
// by poll(), which is also called between tasks: then all leave the job at their next poll().
// Nested calls and calls from several Python threads at once are safe: a pool that is busy runs the tasks on the
// caller.
void parallel(long tasks, void (*f)(void *context, long i), void *context);

// At least `bytes` of memory for this thread alone, aligned to 64 bytes; what a slot held is lost when it grows.
constexpr int workspace_slots = 8; // 0 to 3 belong to gemm
void *workspace(int slot, long bytes);

// f(begin, end) over [0, n) in pieces of at least `grain`.
template <class F> void parallel_for(long n, long grain, const F &f) {
  long pieces = n / (grain < 1 ? 1 : grain), most = num_threads();
  // Of long work each thread gets several pieces, so that poll() is reached in between.
  if (pieces > 256 * most) most *= 16;
  if (pieces > most) pieces = most;
  if (pieces <= 1) {
    if (n > 0) f(0L, n);
    return;
  }
  struct Work {
    const F *f;
    long n, pieces;
  } work{&f, n, pieces};
  parallel(
      pieces,
      [](void *p, long i) {
        auto &w = *static_cast<Work *>(p);
        (*w.f)(w.n *i / w.pieces, w.n * (i + 1) / w.pieces);
      },
      &work);
}

} // namespace hadamard
