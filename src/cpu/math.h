// What formulas name through math::, on Lanes: the functions that have no operator.
#pragma once
#include "simd.h"

extern "C" double lgamma_r(double, int *); // lgamma itself writes a global

namespace hadamard::LEVEL {
namespace {
namespace math {

template <class T> constexpr T infinity = __builtin_inf();
template <class T> constexpr T nan = __builtin_nan("");

template <int bytes, int N> HD_INLINE bool any(Mask<bytes, N> m) {
  if constexpr (bytes * N == 8) return bits<int64_t>(Lanes<IntOf<bytes>, N>(m.v)).v[0];
  else if constexpr (bytes * N < 8) {
    bool r = false;
    for (int i = 0; i < N; ++i) r |= m.v[i] != 0;
    return r;
  } else {
    auto w = (Vector<int64_t, bytes * N / 8>)m.v;
    int64_t r = 0;
    for (int i = 0; i < bytes * N / 8; ++i) r |= w[i];
    return r;
  }
}

// A loop over lanes that is one instruction where there is one (with -fno-math-errno -fno-trapping-math).
#define INSTRUCTION(name)                                                                                              \
  template <class T, int N> HD_INLINE Lanes<T, N> name(Lanes<T, N> x) {                                                \
    if constexpr (floating<T>)                                                                                         \
      for (int i = 0; i < N; ++i) {                                                                                    \
        if constexpr (same<T, float>) x.v[i] = __builtin_##name##f(x.v[i]);                                            \
        else x.v[i] = __builtin_##name(x.v[i]);                                                                        \
      }                                                                                                                \
    return x;                                                                                                          \
  }
INSTRUCTION(sqrt)
INSTRUCTION(floor)
INSTRUCTION(ceil)
INSTRUCTION(trunc)
INSTRUCTION(rint)
#undef INSTRUCTION

// f(x[i], ...) lane by lane, not unrolled: a call costs more than the loop.
template <class L, class F, class... R> __attribute__((noinline)) L each(F f, L x, R... r) {
  using T = typename L::Element;
  alignas(64) T a[sizeof...(R) + 1][L::lanes];
  put(a[0], x.v);
  [&]<int... k>(Sequence<k...>) {
    (put(a[k + 1], r.v), ...);
#pragma GCC unroll 1
    for (int i = 0; i < L::lanes; ++i) a[0][i] = f(a[0][i], a[k + 1][i]...);
  }(Indices<sizeof...(R)>{});
  return raw<T, L::lanes>(a[0]);
}
#define CALL1(name)                                                                                                    \
  template <class T, int N> HD_INLINE Lanes<T, N> name(Lanes<T, N> x) {                                                \
    return each(                                                                                                       \
        [](T a) -> T {                                                                                                 \
          if constexpr (same<T, float>) return __builtin_##name##f(a);                                                 \
          else return __builtin_##name(a);                                                                             \
        },                                                                                                             \
        x);                                                                                                            \
  }
#define CALL2(name)                                                                                                    \
  template <class T, int N> HD_INLINE Lanes<T, N> name(Lanes<T, N> x, Lanes<T, N> y) {                                 \
    return each(                                                                                                       \
        [](T a, T b) -> T {                                                                                            \
          if constexpr (same<T, float>) return __builtin_##name##f(a, b);                                              \
          else return __builtin_##name(a, b);                                                                          \
        },                                                                                                             \
        x, y);                                                                                                         \
  }
CALL1(exp) CALL1(exp2) CALL1(expm1) CALL1(log) CALL1(log1p) CALL1(log2) CALL1(log10)
CALL1(sin) CALL1(cos) CALL1(tan) CALL1(asin) CALL1(acos) CALL1(atan)
CALL1(sinh) CALL1(cosh) CALL1(tanh) CALL1(asinh) CALL1(acosh) CALL1(atanh)
CALL1(erf) CALL1(erfc)
CALL2(atan2) CALL2(hypot) CALL2(nextafter)
#undef CALL1
#undef CALL2

template <class T, int N> HD_INLINE Lanes<T, N> abs(Lanes<T, N> x) {
  using I = Int<T>;
  if constexpr (floating<T>) return bits<T>(bits<I>(x) & I(~(I(1) << (sizeof(I) * 8 - 1))));
  else if constexpr (is_signed<T>) return where(x < 0, -x, x);
  else return x;
}
template <class T, int N> HD_INLINE Lanes<T, N> copysign(Lanes<T, N> x, Lanes<T, N> y) {
  constexpr Int<T> sign = Int<T>(1) << (sizeof(T) * 8 - 1);
  return bits<T>((bits<Int<T>>(x) & Int<T>(~sign)) | (bits<Int<T>>(y) & sign));
}
template <class T, int N> HD_INLINE auto signbit(Lanes<T, N> x) {
  if constexpr (floating<T>) return bits<Int<T>>(x) < 0;
  else return x < T(0);
}
template <class T, int N> HD_INLINE auto isnan(Lanes<T, N> x) { return x != x; }
template <class T, int N> HD_INLINE auto isinf(Lanes<T, N> x) {
  if constexpr (floating<T>) return abs(x) == infinity<T>;
  else if constexpr (is_complex<T>) return isinf(x.re) | isinf(x.im);
  else return x != x;
}
template <class T, int N> HD_INLINE auto isfinite(Lanes<T, N> x) {
  if constexpr (floating<T>) return abs(x) < infinity<T>;
  else if constexpr (is_complex<T>) return isfinite(x.re) & isfinite(x.im);
  else return x == x;
}
template <class T, int N> HD_INLINE Lanes<T, N> sign(Lanes<T, N> x) {
  if constexpr (same<T, bool>) return x;
  else if constexpr (is_signed<T>) return where(x > 0, 1, where(x < 0, T(-1), Lanes<T, N>(0))); // 0 for NaN
  else return where(x > T(0), 1, x);
}
template <class T, int N> HD_INLINE Lanes<T, N> step(Lanes<T, N> x) {
  return where(x > T(0), Lanes<T, N>(1), Lanes<T, N>(0));
}
template <class T, int N> HD_INLINE Lanes<T, N> nan_to_num(Lanes<T, N> x, Lanes<T, N> top, Lanes<T, N> bottom) {
  if constexpr (floating<T>)
    return where(x == infinity<T>, top, where(x == -infinity<T>, bottom, where(x == x, x, 0)));
  else return x;
}
template <int bytes, int N> HD_INLINE auto truth(Mask<bytes, N> m) { return m; }
template <class T, int N> HD_INLINE auto truth(Lanes<T, N> x) {
  if constexpr (same<T, bool>) return x != false;
  else return x != T(0);
}
template <class T, int N> HD_INLINE auto truth(Lanes<complex<T>, N> x) { return (x.re != 0) | (x.im != 0); }
template <class T, int N> HD_INLINE Lanes<T, N> rsqrt(Lanes<T, N> x) { return 1 / sqrt(x); }
template <class M, class A, class B> HD_INLINE auto where(const M &m, const A &a, const B &b) {
  return LEVEL::where(m, a, b);
}

// --- division -------------------------------------------------------------------------------------------------------
// Integer division neither traps nor is undefined: by 0 it gives 0 (the host has refused it), the lowest number by -1
// wraps.
template <class T, int N> HD_INLINE Lanes<T, N> trunc_divide(Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (floating<T>) return trunc(a / b);
  else
    return each([](T p, T q) -> T { return q == 0 ? T(0) : is_signed<T> && q == T(-1) ? T(-p) : T(p / q); }, a, b);
}
template <class T, int N> HD_INLINE Lanes<T, N> fmod(Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (floating<T>)
    return each(
        [](T p, T q) -> T {
          if constexpr (same<T, float>) return __builtin_fmodf(p, q);
          else return __builtin_fmod(p, q);
        },
        a, b);
  else return a - trunc_divide(a, b) * b;
}
// With the sign of the divisor, as in Python.
template <class T, int N> HD_INLINE Lanes<T, N> remainder(Lanes<T, N> a, Lanes<T, N> b) {
  auto r = fmod(a, b);
  if constexpr (is_signed<T>) return where((r != 0) & ((r < 0) ^ (b < 0)), r + b, r);
  else return r;
}
template <class T, int N> HD_INLINE Lanes<T, N> floor_divide(Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (floating<T>) {
    auto r = fmod(a, b), q = (a - r) / b;
    q = where((r != 0) & ((b < 0) ^ (r < 0)), q - 1, q);
    auto f = floor(q);
    f = where(q - f > T(0.5), f + 1, f);
    return where(b == 0, a / b, where(q == 0, copysign(Lanes<T, N>(0), a / b), f));
  } else {
    auto q = trunc_divide(a, b);
    if constexpr (is_signed<T>) {
      auto r = a - q * b;
      return where((b != 0) & (r != 0) & ((r < 0) ^ (b < 0)), q - 1, q);
    } else return q;
  }
}

// --- bits -----------------------------------------------------------------------------------------------------------
// A shift by less than 0 or by the whole width gives what shifting bit by bit would.
template <class T, int N> HD_INLINE Lanes<T, N> shift_left(Lanes<T, N> a, Lanes<T, N> b) {
  auto out = bits<UInt<T>>(b) >= UInt<T>(sizeof(T) * 8);
  return where(out, 0, a << where(out, 0, b));
}
template <class T, int N> HD_INLINE Lanes<T, N> shift_right(Lanes<T, N> a, Lanes<T, N> b) {
  constexpr T all = sizeof(T) * 8 - 1;
  auto out = bits<UInt<T>>(b) >= UInt<T>(sizeof(T) * 8);
  if constexpr (is_signed<T>) return a >> where(out, all, b);
  else return where(out, 0, a >> where(out, 0, b));
}

// --- powers, gamma, inverse error function: a call per lane ---------------------------------------------------------
template <class T, int N> HD_INLINE Lanes<T, N> pow(Lanes<T, N> x, Lanes<T, N> y) {
  if constexpr (floating<T>)
    return each(
        [](T a, T b) -> T {
          if constexpr (same<T, float>) return __builtin_powf(a, b);
          else return __builtin_pow(a, b);
        },
        x, y);
  else { // squaring; a negative exponent leaves 1 and -1 alone and makes 0 of the rest
    Lanes<T, N> r(1), e = y;
    auto negative = e < T(0);
    auto below = where(x == T(1), 1, where(x == T(-1), where((y & 1) == T(0), 1, x), 0));
    e = where(negative, 0, e);
    while (any(e != T(0))) {
      r = where((e & 1) != T(0), r * x, r);
      x = x * x;
      e = e >> 1;
    }
    if constexpr (is_signed<T>) return where(negative, below, r);
    else return r;
  }
}
template <class T, int N> HD_INLINE Lanes<T, N> lgamma(Lanes<T, N> x) {
  return each(
      [](T a) -> T {
        int sign;
        return lgamma_r(a, &sign);
      },
      x);
}
// Upwards by recurrence to 10, then the asymptotic series; negative numbers by reflection.
inline double digamma_of(double x) {
  if (x == 0) return __builtin_copysign(infinity<double>, -x);
  double r = 0;
  if (x < 0) {
    if (x == __builtin_trunc(x)) return nan<double>;
    double f = x - __builtin_floor(x);
    r = -3.14159265358979323846 / __builtin_tan(3.14159265358979323846 * f);
    x = 1 - x;
  }
  for (; x < 10; ++x) r -= 1 / x;
  double z = 1 / (x * x);
  if (x > 1e17) z = 0;
  double s = z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * (691. / 32760 - z / 12))))));
  return r + __builtin_log(x) - 0.5 / x - s;
}
template <class T, int N> HD_INLINE Lanes<T, N> digamma(Lanes<T, N> x) {
  return each([](T a) -> T { return digamma_of(a); }, x);
}
inline double trigamma_of(double x) {
  double r = 0, sign = 1;
  if (x < 0.5) {
    double s = __builtin_sin(3.14159265358979323846 * x);
    r = -3.14159265358979323846 * 3.14159265358979323846 / (s * s);
    x = 1 - x;
    sign = -1;
  }
  double t = 0;
  for (; x < 10; ++x) t += 1 / (x * x);
  double z = 1 / (x * x);
  t += 1 / x + z / 2 + z / x * (1. / 6 - z * (1. / 30 - z * (1. / 42 - z * (1. / 30 - z * (5. / 66)))));
  return sign * (r + t);
}
template <class T, int N> HD_INLINE Lanes<T, N> trigamma(Lanes<T, N> x) {
  return each([](T a) -> T { return trigamma_of(a); }, x);
}
// A first guess (from log of 1 - x^2), then Halley's steps on erfc, where 1 - |x| is exact near 1.
inline double erfinv_of(double x) {
  double a = __builtin_fabs(x);
  if (!(a < 1)) return a == 1 ? __builtin_copysign(infinity<double>, x) : nan<double>;
  if (a < 1e-9) return x * 0.886226925452758013649;
  double l = __builtin_log1p(-a * a), t = 4.33074675088385 + l / 2;
  double y = __builtin_sqrt(__builtin_sqrt(t * t - l / 0.147) - t);
  for (int i = 0; i < 3; ++i) {
    double e = a < 0.5 ? __builtin_erf(y) - a : (1 - a) - __builtin_erfc(y);
    double d = e * 0.886226925452758013649 * __builtin_exp(y * y);
    y -= d / (1 + y * d);
  }
  return __builtin_copysign(y, x);
}
template <class T, int N> HD_INLINE Lanes<T, N> erfinv(Lanes<T, N> x) {
  return each([](T a) -> T { return erfinv_of(a); }, x);
}
// Through exp of what is not positive: no overflow, and small results keep their digits.
template <class T, int N> HD_INLINE Lanes<T, N> sigmoid(Lanes<T, N> x) {
  auto e = exp(-abs(x));
  return where(x < 0, e, 1) / (1 + e);
}

// --- complex numbers ------------------------------------------------------------------------------------------------
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
        [](Native<T> a) -> Native<T> {                                                                               \
          if constexpr (same<T, float>) return __builtin_c##name##f(a);                                                \
          else return __builtin_c##name(a);                                                                            \
        },                                                                                                             \
        x);                                                                                                            \
  }
CALL1(sqrt) CALL1(exp) CALL1(log) CALL1(sin) CALL1(cos) CALL1(tan) CALL1(asin) CALL1(acos) CALL1(atan)
CALL1(sinh) CALL1(cosh) CALL1(tanh) CALL1(asinh) CALL1(acosh) CALL1(atanh)
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

} // namespace math

// An op called in a formula: its formula, on the same lanes. Literals take the first operand's type.
template <class L, class X> HD_INLINE auto like(const X &x) {
  if constexpr (arithmetic<X>) return L(x);
  else return x;
}
template <class O, class T, int N, class... R> HD_INLINE auto apply(const O &op, const Lanes<T, N> &x, const R &...r) {
  return op.forward(x, like<Lanes<T, N>>(r)...);
}
template <class O, int bytes, int N, class... R>
HD_INLINE auto apply(const O &op, const Mask<bytes, N> &x, const R &...r) {
  return op.forward(x, r...);
}

} // namespace
} // namespace hadamard::LEVEL
