// mt19937 generators, and the random streams of torch's CPU drawn into plain (strided) buffers.
#pragma once
#include "dtype.h"
#include <cstddef>
#include <mutex>

namespace hadamard {

// A stream of random words with torch's state: the words, the place in them, and half of a Box-Muller pair.
// Everything below the mutex is to be called with the mutex held; the fill_ functions lock it themselves.
class Generator {
public:
  static constexpr uint64_t default_seed = 67280421310721; // torch's, for a generator that was never seeded
  static constexpr size_t state_bytes = 5056;              // the size of torch.get_rng_state()

  explicit Generator(uint64_t seed = default_seed) { manual_seed(seed); }

  mutable std::mutex mutex;
  void manual_seed(uint64_t seed);
  uint64_t seed(); // seeds with, and returns, 64 bits from the system
  uint64_t initial_seed() const { return seed_; }
  void get_state(void *bytes) const;       // writes state_bytes
  bool set_state(const void *bytes);       // reads state_bytes; false and unchanged where they are no state
  void copy_state(const Generator &other); // both mutexes held

  void words(uint32_t *to, int64_t n);
  uint32_t word() {
    if (--left_ == 0) {
      refill();
      left_ = size;
    }
    return temper(state_[next_++]);
  }
  uint64_t word64() { // the first word is the high one
    uint64_t high = word();
    return high << 32 | word();
  }
  double uniform() { return int64_t(word64() & ((uint64_t(1) << 53) - 1)) * 0x1p-53; } // [0, 1)
  double normal(double mean, double std);

private:
  static constexpr int size = 624, shift = 397;
  static HD_INLINE uint32_t temper(uint32_t y) {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }
  void refill();
  uint64_t seed_;
  int left_, next_; // left_ - 1 unread words stand at state_[next_] and after
  bool has_normal_;
  double normal_; // the second of a pair, kept for the next call
  uint32_t state_[size];
};

Generator &default_generator();

// A strided array: shape and strides (in elements) outermost first.
struct Elements {
  DType dtype;
  void *data;
  int ndim;
  const int64_t *shape, *stride;
};

// In-place draws. Elements are visited as torch visits them: in the order of memory. No two indices may share an
// element. Arguments are expected to have been checked. Complex arrays are filled as pairs of real numbers.
void fill_uniform(Generator &, const Elements &y, double from, double to); // floats, complex
void fill_normal(Generator &, const Elements &y, double mean, double std); // floats, complex
void fill_exponential(Generator &, const Elements &y, double lambda);      // floats
void fill_log_normal(Generator &, const Elements &y, double mean, double std);
void fill_cauchy(Generator &, const Elements &y, double median, double sigma);
void fill_geometric(Generator &, const Elements &y, double p);                    // integers, floats
void fill_integers(Generator &, const Elements &y);                               // [0, max], [0, 2^digits] for floats
void fill_integers(Generator &, const Elements &y, int64_t from, uint64_t range); // [from, from + range), range > 0
void fill_integers_64(Generator &, const Elements &y);                            // all of int64; I64, F64, F32, BF16
void fill_bernoulli(Generator &, const Elements &y, double p, double yes = 1);    // 0 or yes
// One probability (floats) or rate for each element of y, same shape, stride 0 allowed. False: one is out of range
// (not in [0, 1]; negative), and nothing was drawn.
bool fill_bernoulli(Generator &, const Elements &y, const Elements &p);
bool fill_poisson(Generator &, const Elements &y, const Elements &rate);
void fill_gamma(Generator &, const Elements &y, const Elements &alpha); // standard gamma; y and alpha of one dtype
void fill_permutation(Generator &, const Elements &y);                  // 1-d; 0 … n-1

enum class Categories : uint8_t { fine, negative, not_finite, no_sum };
// p: (rows, categories) or (categories), floats. index: I64 (rows, samples) or (samples).
Categories check_categories(const Elements &p);
Categories fill_multinomial(Generator &, const Elements &index, const Elements &p); // with replacement
// Without replacement: the largest of p / q, where q was drawn by fill_exponential(…, 1) and has p's dtype and shape.
void fill_largest(const Elements &index, const Elements &p, const Elements &q);

} // namespace hadamard
