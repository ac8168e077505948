// Waiting for a mutex without keeping the host's other threads waiting.
#pragma once
#include <mutex>

namespace hadamard {

extern bool (*release_host_lock)();
extern void (*acquire_host_lock)();

// Who holds the mutex may want the host's lock (to look at signals, say), so who waits for it gives that lock away. A
// thread that holds the mutex already goes on: what runs between its steps is part of its work.
class PatientLock {
  static inline thread_local std::mutex *mine = nullptr;
  std::mutex *outer_ = mine, *locked_;

public:
  explicit PatientLock(std::mutex &m) : locked_(mine == &m ? nullptr : &m) {
    if (!locked_) return;
    if (!m.try_lock()) {
      bool held = release_host_lock && release_host_lock();
      m.lock();
      if (held) acquire_host_lock();
    }
    mine = &m;
  }
  ~PatientLock() {
    if (!locked_) return;
    mine = outer_;
    locked_->unlock();
  }
  PatientLock(const PatientLock &) = delete;
};

} // namespace hadamard
