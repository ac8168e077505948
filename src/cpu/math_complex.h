// math:: on complex numbers, and on real ones what only formulas for both ask for.
#pragma once
#include "math.h"

namespace hadamard::LEVEL {
namespace {
namespace math {

template <class T, int N> HD_INLINE Lanes<complex<T>, N> conj(Lanes<complex<T>, N> x) { return {x.re, -x.im}; }
template <class T, int N> HD_INLINE Lanes<T, N> conj(Lanes<T, N> x) { return x; }
template <class T, int N> HD_INLINE Lanes<T, N> real(Lanes<complex<T>, N> x) { return x.re; }
template <class T, int N> HD_INLINE Lanes<T, N> real(Lanes<T, N> x) { return x; }
template <class T, int N> HD_INLINE Lanes<T, N> imag(Lanes<complex<T>, N> x) { return x.im; }
template <class T, int N> HD_INLINE Lanes<complex<T>, N> complex_of(Lanes<T, N> re, Lanes<T, N> im) { return {re, im}; }
template <class T, int N> HD_INLINE Lanes<T, N> abs(Lanes<complex<T>, N> x) { return hypot(x.re, x.im); }
template <class T, int N> HD_INLINE Lanes<T, N> angle(Lanes<complex<T>, N> x) { return atan2(x.im, x.re); }
template <class T, int N> HD_INLINE Lanes<T, N> angle(Lanes<T, N> x) {
  return where(x < T(0), T(3.14159265358979323846), where(x == x, 0, x));
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> sgn(Lanes<complex<T>, N> x) {
  auto r = abs(x);
  return where(r == 0, 0, Lanes<complex<T>, N>(x.re / r, x.im / r));
}
template <class T, int N> HD_INLINE Lanes<T, N> sgn(Lanes<T, N> x) { return sign(x); }

template <class T> struct NativeOf {
  using type = _Complex float;
};
template <> struct NativeOf<double> {
  using type = _Complex double;
};
template <class T> using Native = typename NativeOf<T>::type;

template <class T, int N, class F, class... R>
__attribute__((noinline)) Lanes<complex<T>, N> each_complex(F f, Lanes<complex<T>, N> x, R... r) {
  alignas(64) complex<T> a[sizeof...(R) + 1][N];
  store<complex<T>>(a[0], x);
  [&]<int... k>(Sequence<k...>) {
    (store<complex<T>>(a[k + 1], r), ...);
    auto number = [](complex<T> z) {
      Native<T> w;
      __real__ w = z.re;
      __imag__ w = z.im;
      return w;
    };
#pragma GCC unroll 1
    for (int i = 0; i < N; ++i) {
      Native<T> w = f(number(a[0][i]), number(a[k + 1][i])...);
      a[0][i] = {__real__ w, __imag__ w};
    }
  }(Indices<sizeof...(R)>{});
  return load<complex<T>, N>(a[0]);
}
#define CALL1(name)                                                                                                    \
  template <class T, int N> HD_INLINE Lanes<complex<T>, N> name(Lanes<complex<T>, N> x) {                              \
    return each_complex(                                                                                               \
        [](Native<T> a) -> Native<T> {                                                                                 \
          if constexpr (same<T, float>) return __builtin_c##name##f(a);                                                \
          else return __builtin_c##name(a);                                                                            \
        },                                                                                                             \
        x);                                                                                                            \
  }
CALL1(sqrt)
CALL1(exp)
CALL1(log)
CALL1(sin)
CALL1(cos)
CALL1(tan)
CALL1(asin)
CALL1(acos)
CALL1(atan)
CALL1(sinh)
CALL1(cosh)
CALL1(tanh)
CALL1(asinh)
CALL1(acosh)
CALL1(atanh)
#undef CALL1
template <class T, int N> HD_INLINE Lanes<complex<T>, N> pow(Lanes<complex<T>, N> x, Lanes<complex<T>, N> y) {
  return each_complex(
      [](Native<T> a, Native<T> b) -> Native<T> {
        if (b == T(0)) return T(1);
        if (b == T(1)) return a;
        if (b == T(2)) return a * a;
        if constexpr (same<T, float>) return __builtin_cpowf(a, b);
        else return __builtin_cpow(a, b);
      },
      x, y);
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> scaled(Lanes<complex<T>, N> x, double by) {
  return {x.re * by, x.im * by};
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> log2(Lanes<complex<T>, N> x) {
  return scaled(log(x), 1.44269504088896340736);
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> log10(Lanes<complex<T>, N> x) {
  return scaled(log(x), 0.434294481903251827651);
}
// log of 1 + z without cancellation: |1 + z|^2 - 1 is re (2 + re) + im^2.
template <class T, int N> HD_INLINE Lanes<complex<T>, N> log1p(Lanes<complex<T>, N> x) {
  auto small = abs(x.re) < T(0.5);
  auto l = log(Lanes<complex<T>, N>(x.re + 1, x.im));
  auto s = log1p(x.re * (x.re + 2) + x.im * x.im) * T(0.5);
  return {where(small & (abs(x.im) < T(0.5)), s, l.re), l.im};
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> exp2(Lanes<complex<T>, N> x) {
  return exp(scaled(x, 0.693147180559945309417));
}
// e^re cos im - 1 = expm1(re) cos im - 2 sin(im/2)^2.
template <class T, int N> HD_INLINE Lanes<complex<T>, N> expm1(Lanes<complex<T>, N> x) {
  auto h = sin(x.im * T(0.5));
  return {expm1(x.re) * cos(x.im) - 2 * h * h, exp(x.re) * sin(x.im)};
}
template <class T, int N> HD_INLINE Lanes<complex<T>, N> rsqrt(Lanes<complex<T>, N> x) { return 1 / sqrt(x); }
template <class T, int N> HD_INLINE Lanes<complex<T>, N> sigmoid(Lanes<complex<T>, N> x) { return 1 / (1 + exp(-x)); }
template <class T, int N> HD_INLINE Lanes<complex<T>, N> silu(Lanes<complex<T>, N> x) { return x * sigmoid(x); }
template <class T, int N> HD_INLINE Lanes<complex<T>, N> silu_slope(Lanes<complex<T>, N> x) {
  auto s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

} // namespace math
} // namespace
} // namespace hadamard::LEVEL
