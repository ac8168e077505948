// One step of the recursions of connectionist temporal classification: every state from three states of the step
// before.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {
namespace {

// log(e^a + e^b + e^c); of three times -inf that.
template <class T> HD_INLINE Lane<T> log_sum(Lane<T> a, Lane<T> b, Lane<T> c) {
  Lane<T> m = larger<T>(larger<T>(a, b), c);
  m = where(m == -math::infinity<T>, Lane<T>(T(0)), m);
  return m + math::log(math::exp(a - m) + math::exp(b - m) + math::exp(c - m));
}
template <class T> void step(T *to, const T *a, const T *b, const T *c, const T *skip, const T *emitted, long n) {
  vectors<T>(n, -math::infinity<T>, [&](long i, auto get, auto put) {
    put(to + i, log_sum<T>(get(a + i), get(b + i), get(c + i) + get(skip + i)) + get(emitted + i));
  });
}
template <class T> void share_of(T *to, const T *alpha, const T *beta, const T *emitted, T loss, long n) {
  vectors<T>(n, -math::infinity<T>, [&](long i, auto get, auto put) {
    Lane<T> a = get(alpha + i);
    put(to + i, where(a == -math::infinity<T>, Lane<T>(T(0)), math::exp(a + get(beta + i) + loss - get(emitted + i))));
  });
}

} // namespace

void ctc_step(float *to, const float *a, const float *b, const float *c, const float *skip, const float *emitted,
              long n) {
  step(to, a, b, c, skip, emitted, n);
}
void ctc_step(double *to, const double *a, const double *b, const double *c, const double *skip, const double *emitted,
              long n) {
  step(to, a, b, c, skip, emitted, n);
}
void ctc_share(float *share, const float *alpha, const float *beta, const float *emitted, float loss, long n) {
  share_of(share, alpha, beta, emitted, loss, n);
}
void ctc_share(double *share, const double *alpha, const double *beta, const double *emitted, double loss, long n) {
  share_of(share, alpha, beta, emitted, loss, n);
}

} // namespace hadamard::LEVEL
