// The thread pool: every task once, nested and concurrent calls, changes of size, forks, sleep and wake.
#include "../../src/cpu/threads.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace hadamard;
#define CHECK(x)                                                                                                       \
  do {                                                                                                                 \
    if (!(x)) {                                                                                                        \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #x);                                                              \
      std::exit(1);                                                                                                    \
    }                                                                                                                  \
  } while (0)

static void every_task_once(long n) {
  std::vector<int> done(size_t(n), 0); // plain ints: two tasks on one of them would be a race
  struct Nested {
    std::vector<int> *done;
  } context{&done};
  parallel(n, [](void *p, long i) { ++(*static_cast<Nested *>(p)->done)[size_t(i)]; }, &context);
  for (int d : done) CHECK(d == 1);
}

int main() {
  set_num_threads(4);
  CHECK(num_threads() == 4);
  for (int i = 0; i < 3000; ++i) every_task_once(i % 40);
  for (int i = 0; i < 30; ++i) { // let them fall asleep
    std::this_thread::sleep_for(std::chrono::microseconds(100 + 40 * i));
    every_task_once(17);
  }
  std::atomic<long> sum{0};
  parallel_for(1000, 1, [&](long b, long e) { // nested
    parallel_for(e - b, 1, [&](long x, long y) { sum += y - x; });
  });
  CHECK(sum == 1000);
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([] {
      for (int i = 0; i < 500; ++i) every_task_once(1 + i % 20);
    });
  for (auto &c : callers) c.join();
  for (int n : {1, 6, 2, 3}) {
    set_num_threads(n);
    for (int i = 0; i < 100; ++i) every_task_once(20);
  }
  try {
    set_num_threads(0);
    CHECK(false);
  } catch (const std::invalid_argument &) {}
  char *p = static_cast<char *>(workspace(4, 100));
  CHECK(reinterpret_cast<unsigned long>(p) % 64 == 0);
  CHECK(workspace(4, 50) == p);
  static_cast<char *>(workspace(4, 5 << 20))[(5 << 20) - 1] = 1;
#ifndef __SANITIZE_THREAD__ // which does not allow new threads after a fork
  for (int i = 0; i < 5; ++i) {
    pid_t child = fork();
    if (child == 0) {
      for (int j = 0; j < 50; ++j) every_task_once(20);
      std::exit(0); // not _exit: exit must not hang
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    every_task_once(20);
  }
#endif
  std::puts("threads: ok");
}
