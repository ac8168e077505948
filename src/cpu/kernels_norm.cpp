// The kernels of normalisation: sums over a row or a plane, and one pass over it while it is in cache.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {
namespace {

// A block's mean and the distances from it while it is in the first cache, then put together with those before (Chan,
// Golub and LeVeque, 1979).
template <class T> void moments(const T *x, long n, Moment &all) {
  for (; n > 0; n -= block, x += block) {
    const long many = n < block ? n : block;
    const double count = double(many);
    double sum[1], squares[1];
    row_sums<T>(many, T(0), sum, [x](long i, auto get, auto, auto &s) { s[0] = s[0] + get(x + i); });
    const double mean = sum[0] / count;
    const T centre = T(mean);
    const Lane<T> c(centre);
    row_sums<T>(many, centre, squares, [=](long i, auto get, auto, auto &s) {
      const Lane<T> d = get(x + i) - c;
      s[0] = s[0] + d * d;
    });
    const double off = mean - double(centre), around = squares[0] - off * off * count;
    if (all.count == 0) {
      all = {count, mean, around};
      continue;
    }
    const double step = mean - all.mean, total = all.count + count;
    all.squares += around + step * step * (all.count * count / total);
    all.mean += step * (count / total);
    all.count = total;
  }
}
template <class T> double squares(const T *x, long n) {
  double total[1];
  row_sums<T>(n, T(0), total, [=](long i, auto get, auto, auto &s) {
    const Lane<T> d = get(x + i);
    s[0] = s[0] + d * d;
  });
  return total[0];
}

template <bool is> struct Known {
  static constexpr bool there = is;
};
// f(a, b) with both known to the compiler.
template <class F> HD_INLINE void by_kind(bool a, bool b, const F &f) {
  if (a && b) f(Known<true>{}, Known<true>{});
  else if (a) f(Known<true>{}, Known<false>{});
  else if (b) f(Known<false>{}, Known<true>{});
  else f(Known<false>{}, Known<false>{});
}

template <class T> void forward(const Stretch<T> &p) {
  const Lane<T> mean(p.mean), scale(p.scale), shift(p.shift);
  by_kind(p.weight, p.bias, [&](auto weight, auto bias) {
    vectors<T>(p.n, T(0), [&](long i, auto get, auto put) {
      Lane<T> y = (get(p.x + i) - mean) * scale;
      if constexpr (weight.there) y = y * get(p.weight + i);
      if constexpr (bias.there) y = y + get(p.bias + i);
      else y = y + shift;
      put(p.y + i, y);
    });
  });
}
template <class T> void sums(const Stretch<T> &p, double &first, double &second) {
  const Lane<T> mean(p.mean), scale(p.scale);
  double total[2];
  by_kind(p.weight, p.weight_sums, [&](auto weight, auto wanted) {
    row_sums<T>(p.n, T(0), total, [&](long i, auto get, auto put, auto &s) {
      const Lane<T> g = get(p.g + i), d = get(p.x + i) - mean;
      if constexpr (wanted.there) put(p.weight_sums + i, get((const T *)p.weight_sums + i) + g * (d * scale));
      Lane<T> u = g;
      if constexpr (weight.there) u = g * get(p.weight + i);
      s[0] = s[0] + u;
      s[1] = s[1] + u * d;
    });
  });
  if (p.bias_sums)
    vectors<T>(p.n, T(0), [&](long i, auto get, auto put) {
      put(p.bias_sums + i, get((const T *)p.bias_sums + i) + get(p.g + i));
    });
  first = total[0], second = total[1];
}
template <class T> void backward(const Stretch<T> &p) {
  const Lane<T> mean(p.mean), scale(p.scale), factor(p.factor), shift(p.shift), slope(p.slope);
  by_kind(p.weight, false, [&](auto weight, auto) {
    vectors<T>(p.n, T(0), [&](long i, auto get, auto put) {
      Lane<T> u = get(p.g + i);
      if constexpr (weight.there) u = u * get(p.weight + i);
      else u = u * factor;
      put(p.y + i, (u - shift - (get(p.x + i) - mean) * slope) * scale);
    });
  });
}

} // namespace

#define X(T)                                                                                                           \
  void norm_moments(const T *x, long n, Moment &m) { moments(x, n, m); }                                               \
  double norm_squares(const T *x, long n) { return squares(x, n); }                                                    \
  void norm_forward(const Stretch<T> &p) { forward(p); }                                                               \
  void norm_sums(const Stretch<T> &p, double &first, double &second) { sums(p, first, second); }                       \
  void norm_backward(const Stretch<T> &p) { backward(p); }
X(float)
X(double)
#undef X

} // namespace hadamard::LEVEL
