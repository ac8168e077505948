// mt19937 generators: torch's states, and the words and normals that they give.
#include "cpu/threads.h"
#include "random.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <pthread.h>
#include <random>

namespace hadamard {

void Generator::manual_seed(uint64_t seed) {
  seed_ = seed;
  state_[0] = uint32_t(seed);
  for (int i = 1; i < size; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + uint32_t(i);
  left_ = 1;
  next_ = 0;
  has_normal_ = false;
  normal_ = 0;
}

uint64_t Generator::seed() {
  std::random_device system;
  uint64_t high = system(), low = system();
  manual_seed(high << 32 | low);
  return seed_;
}

void Generator::refill() {
  static thread_local unsigned refills = 0;
  if (++refills % 256 == 0) poll(); // before anything changes
  auto twist = [](uint32_t u, uint32_t v) {
    return (((u & 0x80000000u) | (v & 0x7fffffffu)) >> 1) ^ (-(v & 1u) & 0x9908b0dfu);
  };
  uint32_t *s = state_;
  for (int i = 0; i < size - shift; ++i) s[i] = s[i + shift] ^ twist(s[i], s[i + 1]);
  for (int i = size - shift; i < size - 1; ++i) s[i] = s[i + shift - size] ^ twist(s[i], s[i + 1]);
  s[size - 1] = s[shift - 1] ^ twist(s[size - 1], s[0]);
  next_ = 0;
}

void Generator::words(uint32_t *to, int64_t n) {
  while (n > 0) {
    if (left_ == 1) {
      refill();
      left_ = size + 1; // less one for each word, the first included
    }
    int m = int(std::min<int64_t>(n, left_ - 1));
    const uint32_t *from = state_ + next_;
    for (int i = 0; i < m; ++i) to[i] = temper(from[i]);
    left_ -= m;
    next_ += m;
    to += m;
    n -= m;
  }
}

double Generator::normal(double mean, double std) {
  double x;
  if (has_normal_) {
    x = normal_;
    has_normal_ = false;
  } else {
    double turn = uniform(), radius = std::sqrt(-2.0 * std::log1p(-uniform())), angle = 2.0 * M_PI * turn;
    normal_ = radius * std::sin(angle);
    has_normal_ = true;
    x = radius * std::cos(angle);
  }
  return std::fma(x, std, mean);
}

namespace {
// The bytes of torch.get_rng_state(): the state of the first torch, words widened to 64 bits, and a float normal that
// only other devices keep.
struct State {
  uint64_t seed;
  int32_t left, seeded;
  uint64_t next, words[624];
  double normal_x, normal, normal_rho;
  int32_t has_normal;
  int32_t : 32;
  float float_normal;
  bool has_float_normal;
};
static_assert(sizeof(State) == Generator::state_bytes);
} // namespace

void Generator::get_state(void *bytes) const {
  std::memset(bytes, 0, sizeof(State)); // padding included: equal states are equal bytes
  State s{};
  s.seed = seed_;
  s.left = left_;
  s.seeded = 1;
  s.next = uint64_t(next_);
  std::copy(state_, state_ + size, s.words);
  s.has_normal = has_normal_;
  s.normal = has_normal_ ? normal_ : 0;
  std::memcpy(bytes, &s, offsetof(State, has_float_normal));
}

bool Generator::set_state(const void *bytes) {
  State s;
  std::memcpy(&s, bytes, offsetof(State, has_float_normal));
  // More unread words than stand after `next` would be read past the end.
  if (!s.seeded || s.left < 1 || s.left > size || s.next > uint64_t(size) || s.left - 1 > size - int(s.next))
    return false;
  seed_ = s.seed;
  left_ = s.left;
  next_ = int(s.next);
  for (int i = 0; i < size; ++i) state_[i] = uint32_t(s.words[i]);
  has_normal_ = s.has_normal;
  normal_ = s.normal;
  return true;
}

void Generator::copy_state(const Generator &other) {
  seed_ = other.seed_;
  left_ = other.left_;
  next_ = other.next_;
  has_normal_ = other.has_normal_;
  normal_ = other.normal_;
  std::copy(other.state_, other.state_ + size, state_);
}

Generator &default_generator() {
  static Generator *g = [] {
    auto *made = new Generator; // never destroyed: threads may still draw at exit
    made->seed();
    // A thread that was drawing at a fork is not in the child.
    pthread_atfork(nullptr, nullptr, [] { new (&default_generator().mutex) std::mutex; });
    return made;
  }();
  return *g;
}

} // namespace hadamard
