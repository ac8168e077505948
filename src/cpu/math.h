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
  if constexpr (two<bytes, N>) return any(m.low | m.high);
  else {
#if defined(__SSE2__)
    if constexpr (bytes * N == 16) return __builtin_ia32_pmovmskb128((Vector<char, 16>)m.v) != 0;
#endif
#if defined(__AVX2__)
    if constexpr (bytes * N == 32) return __builtin_ia32_pmovmskb256((Vector<char, 32>)m.v) != 0;
#endif
#if defined(__AVX512F__)
    if constexpr (bytes * N == 64) return _mm512_test_epi64_mask((__m512i)m.v, (__m512i)m.v) != 0;
#endif
    if constexpr (bytes * N % 8) {
      bool r = false;
      for (int i = 0; i < N; ++i) r |= m.v[i] != 0;
      return r;
    } else {
      int64_t word[bytes * N / 8], r = 0;
      __builtin_memcpy(word, &m.v, sizeof word);
      for (int64_t w : word) r |= w;
      return r;
    }
  }
}
template <int bytes, int N> HD_INLINE bool all(Mask<bytes, N> m) {
  if constexpr (two<bytes, N>) return all(m.low & m.high);
  else {
#if defined(__AVX2__)
    if constexpr (bytes * N == 32) return __builtin_ia32_pmovmskb256((Vector<char, 32>)m.v) == -1;
#endif
    return !any(!m);
  }
}
// The greater, the lesser; b where either is NaN. Compilers see the one instruction only where no operand is constant.
#define MINMAX(name, o, i)                                                                                             \
  template <class T, int N> HD_INLINE Lanes<T, N> name(Lanes<T, N> a, Lanes<T, N> b) {                                 \
    if constexpr (is_two<Lanes<T, N>>) return {name(a.low, b.low), name(a.high, b.high)};                              \
    else MINMAX_X86(i)                                                                                                 \
    return where(a o b, a, b);                                                                                         \
  }
#if defined(__AVX2__) && !defined(__AVX512F__)
#define MINMAX_X86(i)                                                                                                  \
  if constexpr (same<T, float> && N == 8) return __builtin_ia32_##i##ps256(a.v, b.v);                                  \
  else if constexpr (same<T, double> && N == 4) return __builtin_ia32_##i##pd256(a.v, b.v);                            \
  else
#elif defined(__SSE2__) && !defined(__AVX512F__)
#define MINMAX_X86(i)                                                                                                  \
  if constexpr (same<T, float> && N == 4) return __builtin_ia32_##i##ps(a.v, b.v);                                     \
  else if constexpr (same<T, double> && N == 2) return __builtin_ia32_##i##pd(a.v, b.v);                               \
  else
#else
#define MINMAX_X86(i)
#endif
MINMAX(greater, >, max)
MINMAX(lesser, <, min)
#undef MINMAX
#undef MINMAX_X86

// A loop over lanes that is one instruction where there is one (with -fno-math-errno -fno-trapping-math).
#define INSTRUCTION(name)                                                                                              \
  template <class T, int N> HD_INLINE Lanes<T, N> name(Lanes<T, N> x) {                                                \
    if constexpr (is_two<Lanes<T, N>>) return {name(x.low), name(x.high)};                                             \
    else if constexpr (floating<T>)                                                                                    \
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
  if constexpr (is_two<L>) return {each(f, x.low, r.low...), each(f, x.high, r.high...)};
  else {
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
namespace slow { // a call per lane
CALL1(exp)
CALL1(expm1)
CALL1(log) CALL1(log1p) CALL1(log2) CALL1(log10) CALL1(sin) CALL1(cos) CALL1(tanh) CALL1(erf) CALL1(erfc) CALL2(hypot)
} // namespace slow
CALL1(exp2)
CALL1(tan)
CALL1(asin)
CALL1(acos)
CALL1(atan)
CALL1(sinh)
CALL1(cosh)
CALL1(asinh)
CALL1(acosh)
CALL1(atanh)
CALL2(atan2)
CALL2(nextafter)
#undef CALL1
#undef CALL2

template <class T, int N> HD_INLINE Lanes<T, N> abs(Lanes<T, N> x) {
  using I = Int<T>;
  if constexpr (floating<T>) return bits<T>(bits<I>(x) & I(~(I(1) << (sizeof(I) * 8 - 1))));
  else if constexpr (is_signed<T>) return where(x < 0, -x, x);
  else return x;
}
template <class T> constexpr Int<T> sign_bit = Int<T>(1) << (sizeof(T) * 8 - 1);
// y negative where x is, for a y that has no sign, or that one
template <class T, int N> HD_INLINE Lanes<T, N> with_sign(Lanes<T, N> y, Lanes<T, N> x) {
  return bits<T>(bits<Int<T>>(y) | (bits<Int<T>>(x) & sign_bit<T>));
}
template <class T, int N> HD_INLINE Lanes<T, N> copysign(Lanes<T, N> x, Lanes<T, N> y) {
  return with_sign(bits<T>(bits<Int<T>>(x) & Int<T>(~sign_bit<T>)), y);
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
  if constexpr (floating<T>) return where(x == infinity<T>, top, where(x == -infinity<T>, bottom, where(x == x, x, 0)));
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

// --- polynomials ----------------------------------------------------------------------------------------------------
// Minimax on the reduced range, coefficients rounded to float32 one after the other. The bounds are those of all
// float32 inputs, measured by tests/native/ulp.cpp.
template <class L, class... C> HD_INLINE L polynomial(L x, double c, C... rest) {
  if constexpr (sizeof...(C) == 0) return L(c);
  else return polynomial(x, rest...) * x + L(c);
}
// a * b + c with one rounding. Only where `fused`.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif
template <class T, int N> HD_INLINE Lanes<T, N> fma(Lanes<T, N> a, Lanes<T, N> b, Lanes<T, N> c) {
  if constexpr (is_two<Lanes<T, N>>) return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)};
  else
    for (int i = 0; i < N; ++i) {
      if constexpr (same<T, float>) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
      else c.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
    }
  return c;
}
// x * y - p exactly, where p is x * y rounded.
template <int N> HD_INLINE Lanes<float, N> product_rest(Lanes<float, N> x, Lanes<float, N> y, Lanes<float, N> p) {
  if constexpr (fused) return fma(x, y, -p);
  auto xh = bits<float>(bits<int32_t>(x) & ~0xfff), xl = x - xh;
  auto yh = bits<float>(bits<int32_t>(y) & ~0xfff), yl = y - yh;
  return ((xh * yh - p) + (xh * yl + xl * yh)) + xl * yl;
}
template <class T, int N> HD_INLINE Lanes<T, N> clamped(Lanes<T, N> x, T low, T high) { // NaN passes
  return lesser(Lanes<T, N>(high), greater(Lanes<T, N>(low), x));
}
template <class T> constexpr int mantissa = same<T, float> ? 23 : 52;                  // bits
template <class T> constexpr T rounds_to_whole = same<T, float> ? 0x1.8p23 : 0x1.8p52; // the sum with it has no others
// Of n only what an exponent holds counts, so that the bits of n + rounds_to_whole will do.
template <int N> HD_INLINE Lanes<float, N> power_of_2(Lanes<int32_t, N> n) { return bits<float>((n + 127) << 23); }
template <int N> HD_INLINE Lanes<double, N> power_of_2(Lanes<int64_t, N> n) { return bits<double>((n + 1023) << 52); }
// A whole number below 2^51 as an integer, without the conversion that AVX2 lacks.
template <int N> HD_INLINE Lanes<int32_t, N> to_int(Lanes<float, N> n) { return cast<int32_t>(n); }
template <int N> HD_INLINE Lanes<int64_t, N> to_int(Lanes<double, N> n) {
  return bits<int64_t>(n + 0x1.8p52) - bits<int64_t>(Lanes<double, N>(0x1.8p52));
}
template <int N> HD_INLINE Lanes<double, N> to_double(Lanes<int64_t, N> n) { // |n| < 2^51
  return bits<double>(n + bits<int64_t>(Lanes<double, N>(0x1.8p52))) - 0x1.8p52;
}

// The same for sums that end in the exponent of 2^n.
template <class T> constexpr T rounds_to_exponent = rounds_to_whole<T> + (same<T, float> ? 127 : 1023);
template <class T, int N> HD_INLINE Lanes<T, N> power_of_sum(Lanes<T, N> sum) {
  return bits<T>(bits<Int<T>>(sum) << mantissa<T>);
}

template <class T> constexpr T ln2_high = same<T, float> ? 0x1.62e4p-1 : 0x1.62e42fee00000p-1;
template <class T> constexpr T ln2_low = same<T, float> ? 0x1.7f7d1cp-20 : 0x1.a39ef35793c76p-33;
// x = n ln 2 + r, |r| <= ln 2 / 2; the result is n + rounds_to_whole.
template <class T, int N> HD_INLINE Lanes<T, N> reduce_exp(Lanes<T, N> x, Lanes<T, N> &r) {
  auto shifted = x * 1.44269504088896340736 + rounds_to_whole<T>, n = shifted - rounds_to_whole<T>;
  r = (x - n * ln2_high<T>)-n * ln2_low<T>;
  return shifted;
}
// e^r - 1 for the reduced r.
template <int N> HD_INLINE Lanes<float, N> expm1_reduced(Lanes<float, N> r) {
  return r * r * polynomial(r, 0.5, 0x1.555554p-3, 0x1.5554f8p-5, 0x1.1112dcp-7, 0x1.6d3a2ep-10, 0x1.9e6ad4p-13) + r;
}
template <int N> HD_INLINE Lanes<double, N> expm1_reduced(Lanes<double, N> r) { // Taylor: the next term is 4e-18
  return r * r *
             polynomial(r, 1 / 2., 1 / 6., 1 / 24., 1 / 120., 1 / 720., 1 / 5040., 1 / 40320., 1 / 362880.,
                        1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800.) +
         r;
}
// e^r for the reduced r, and what it is more than 1.
template <int N> HD_INLINE Lanes<float, N> exp_rest(Lanes<float, N> r) {
  auto p = polynomial(r, 0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558aap-5, 0x1.12396ep-7, 0x1.6a5258p-10);
  return fused ? r * (r * p + 1) : r * r * p + r;
}
template <int N> HD_INLINE Lanes<double, N> exp_rest(Lanes<double, N> r) { return expm1_reduced(r); }
template <class T, int N> HD_INLINE Lanes<T, N> exp_reduced(Lanes<T, N> r) { return exp_rest(r) + 1; }
// e^x = 2^n (1 + m), for x not much beyond what has a result; returns n in the low bits.
template <class T, int N> HD_INLINE Lanes<Int<T>, N> exp_parts(Lanes<T, N> x, Lanes<T, N> &m) {
  Lanes<T, N> r;
  auto n = bits<Int<T>>(reduce_exp(x, r));
  m = exp_rest(r);
  return n;
}
// x 2^n in two steps: the ends need more than one exponent holds.
template <class T, int N> HD_INLINE Lanes<T, N> scale(Lanes<T, N> x, Lanes<Int<T>, N> n) {
  auto h = bits<Int<T>>(bits<UInt<T>>(n) >> 1);
  return x * power_of_2(h) * power_of_2(n - h);
}
// Functions through exp have a short way for vectors all of whose lanes are near 0, and one for any. A lane's result is
// the same bits in both.
template <class T> constexpr T near = same<T, float> ? 86 : 700;
template <class T, int N> HD_INLINE bool all_near(Lanes<T, N> x, T end = near<T>) {
  if constexpr (is_two<Lanes<T, N>>) return all(x.low * x.low + x.high * x.high <= end * end); // not only then
  else return all(abs(x) <= end);
}
template <class T, int N> HD_INLINE Lanes<T, N> exp_near(Lanes<T, N> x) {
  Lanes<T, N> r;
  auto n = bits<Int<T>>(reduce_exp(x, r));
  return bits<T>(bits<Int<T>>(exp_reduced(r)) + (n << mantissa<T>)); // far from the ends of the range
}
// e^x + 1
template <class T, int N> HD_INLINE Lanes<T, N> exp_near_and_1(Lanes<T, N> x) {
  auto sum = x * 1.44269504088896340736 + rounds_to_exponent<T>, n = sum - rounds_to_exponent<T>;
  return exp_reduced((x - n * ln2_high<T>)-n * ln2_low<T>) * power_of_sum(sum) + 1;
}
template <class T, int N> HD_INLINE Lanes<T, N> exp_any(Lanes<T, N> x) {
  constexpr bool single = same<T, float>;
  Lanes<T, N> r;
  auto n = bits<Int<T>>(reduce_exp(clamped<T>(x, single ? -104 : -746, single ? 89 : 710), r));
  return scale(exp_reduced(r), n);
}
template <class T, int N> HD_INLINE Lanes<T, N> exp(Lanes<T, N> x) {
  if (all_near(x)) [[likely]]
    return exp_near(x);
  return exp_any(x);
}
// e^x (f + lost) for a factor near 1, without an intermediate underflow; |x| < 110.
template <int N> HD_INLINE Lanes<float, N> exp_times(Lanes<float, N> x, Lanes<float, N> f, Lanes<float, N> lost) {
  Lanes<float, N> m;
  auto n = exp_parts(x, m);
  return scale((m * (f + lost) + lost) + f, n);
}
template <class T, int N> HD_INLINE Lanes<T, N> expm1(Lanes<T, N> x) {
  constexpr bool single = same<T, float>;
  Lanes<T, N> r;
  auto n = reduce_exp(clamped<T>(x, single ? -20 : -40, single ? 89 : 710), r);
  auto high = n > rounds_to_whole<T> + (single ? 127 : 1023); // 2^n alone would overflow
  auto s = power_of_2(bits<Int<T>>(where(high, n - 1, n)));
  auto y = s * expm1_reduced(r) + (s - 1);
  return where(x == 0, x, where(high, y * 2, y));
}

// x = 2^e (1 + f), f between sqrt(1/2) - 1 and sqrt(2) - 1; x positive and not denormal.
template <int N> HD_INLINE Lanes<float, N> reduce_log(Lanes<float, N> x, Lanes<float, N> &e) {
  auto i = (bits<int32_t>(x) - 0x3f3504f3) >> 23;
  e = cast<float>(i);
  return bits<float>(bits<int32_t>(x) - (i << 23)) - 1;
}
template <int N> HD_INLINE Lanes<double, N> reduce_log(Lanes<double, N> x, Lanes<double, N> &e) {
  auto u = bits<uint64_t>(x) - 0x3fe6a09e667f3bcdu; // shifted as unsigned: AVX2 has no signed shift of 64 bits
  auto i = bits<int64_t>((u + 0x8000000000000000u) >> 52) - 2048;
  e = to_double(i);
  return bits<double>(bits<int64_t>(x) - (i << 52)) - 1;
}
// log(1 + f) - f, small where f is.
template <int N> HD_INLINE Lanes<float, N> log1p_rest(Lanes<float, N> f) {
  auto s = f * f;
  auto p = polynomial(f, 0x1.555548p-2, -0x1.000006p-2, 0x1.99a476p-3, -0x1.555c44p-3, 0x1.233ba2p-3, -0x1.fc28cap-4,
                      0x1.e6c00ap-4, -0x1.de01dcp-4, 0x1.14733ep-4);
  return s * (f * p) - s * 0.5;
}
template <int N> HD_INLINE Lanes<double, N> log1p_rest(Lanes<double, N> f) { // 2 atanh(f / (2 + f)), as a Taylor series
  auto s = f / (f + 2), z = s * s, h = f * f * 0.5;
  auto r =
      z * polynomial(z, 2 / 3., 2 / 5., 2 / 7., 2 / 9., 2 / 11., 2 / 13., 2 / 15., 2 / 17., 2 / 19., 2 / 21., 2 / 23.);
  return s * (h + r) - h;
}
template <class T> constexpr T least_normal = same<T, float> ? 0x1p-126 : 0x1p-1022;

// scale(f, rest, e) is the logarithm of 2^e (1 + f), log(1 + f) = f + rest.
template <class T, int N, class F> HD_INLINE Lanes<T, N> log_with(Lanes<T, N> x, F scale) {
  Lanes<T, N> e;
  if (all((x >= least_normal<T>)&(x < infinity<T>))) [[likely]] {
    auto f = reduce_log(x, e);
    return scale(f, log1p_rest(f), e);
  }
  auto tiny = x < least_normal<T>;
  auto f = reduce_log(where(tiny, x * T(0x1p54), x), e);
  e = where(tiny, e - 54, e);
  auto y = scale(f, log1p_rest(f), e);
  y = where(x == infinity<T>, x, y);
  return where(x > 0, y, where(x == 0, -infinity<T>, Lanes<T, N>(nan<T>)));
}
template <class T, int N> HD_INLINE Lanes<T, N> log(Lanes<T, N> x) {
  return log_with(x, [](auto f, auto rest, auto e) { return e * ln2_high<T> + (f + (rest + e * ln2_low<T>)); });
}
template <int N> HD_INLINE Lanes<float, N> log2(Lanes<float, N> x) {
  return log_with(x, [](auto f, auto rest, auto e) {
    auto l = f + rest;
    return e + (l * 0x1.715476p+0 + l * 0x1.4ae0bep-26);
  });
}
template <int N> HD_INLINE Lanes<float, N> log10(Lanes<float, N> x) {
  return log_with(x, [](auto f, auto rest, auto e) {
    auto l = f + rest;
    return e * 0x1.344p-2 + (l * 0x1.bcb7b2p-2 + e * 0x1.3509f8p-18);
  });
}
template <int N> HD_INLINE Lanes<double, N> log2(Lanes<double, N> x) { return slow::log2(x); }
template <int N> HD_INLINE Lanes<double, N> log10(Lanes<double, N> x) { return slow::log10(x); }
template <class T, int N> HD_INLINE Lanes<T, N> log1p(Lanes<T, N> x) {
  auto u = x + 1;
  auto lost = where(x > 1, 1 - (u - x), x - (u - 1)); // what rounding took from 1 + x
  Lanes<T, N> e;
  auto f = reduce_log(u, e);
  f = f + where(x > T(0x1p60), 0, lost * power_of_2(-to_int(e)));
  auto y = e * ln2_high<T> + (f + (log1p_rest(f) + e * ln2_low<T>));
  y = where((x == 0) | (x == infinity<T>), x, y);
  return where(x > -1, y, where(x == -1, -infinity<T>, Lanes<T, N>(nan<T>)));
}

// (e^2r - 1) / 2 for |r| <= ln 2 / 4.
template <int N> HD_INLINE Lanes<float, N> half_expm1_twice(Lanes<float, N> r) {
  return r * r * polynomial(r, 1, 0x1.555554p-1, 0x1.5554f8p-2, 0x1.1112dcp-3, 0x1.6d3a2ep-5, 0x1.9e6ad4p-7) + r;
}
template <int N> HD_INLINE Lanes<double, N> half_expm1_twice(Lanes<double, N> r) { return expm1_reduced(r + r) * 0.5; }
// m / (m + 1) for m = (e^2|x| - 1) / 2. That ln 2 is rounded shows only where the result does not change with m.
template <class T, int N> HD_INLINE Lanes<T, N> tanh(Lanes<T, N> x) {
  auto t = lesser(Lanes<T, N>(same<T, float> ? 10 : 20), abs(x));
  auto sum = t * 2.88539008177792681472 + rounds_to_exponent<T>, n = sum - rounds_to_exponent<T>;
  auto r = fused ? t - n * 0.34657359027997265471 : (t - n * (ln2_high<T> / 2)) - n * (ln2_low<T> / 2);
  auto s = power_of_sum(sum), m = s * half_expm1_twice(r) + (s * 0.5 - 0.5);
  return with_sign(m / (m + 1), x);
}

// c + x * p, and what a rounding too many took from it; with fma there is none.
template <int N>
HD_INLINE Lanes<float, N> last_term(Lanes<float, N> x, Lanes<float, N> p, float c, Lanes<float, N> &lost) {
  auto y = x * p + c;
  lost = fused ? Lanes<float, N>(0) : x * p - (y - c);
  return y;
}
// For |x| below 0.92, where s is x^2.
template <int N> HD_INLINE Lanes<float, N> erf_small(Lanes<float, N> x, Lanes<float, N> s) {
  return x * polynomial(s, 0x1.06eba8p-3, -0x1.812740p-2, 0x1.ce2d64p-4, -0x1.b8011ap-6, 0x1.544a1ap-8, -0x1.a60a2cp-11,
                        0x1.4f674ap-14) +
         x;
}
template <int N> HD_INLINE Lanes<float, N> erf(Lanes<float, N> x) { // else 1 - e^p(x)
  auto t = lesser(Lanes<float, N>(4), abs(x));
  Lanes<float, N> lost;
  auto p = last_term(t,
                     polynomial(t, -0x1.45b64cp-1, -0x1.aa1a22p-4, 0x1.5938ecp-6, -0x1.b2233ap-10, -0x1.321ccap-11,
                                0x1.f2fea0p-13, -0x1.3af202p-15, 0x1.3cf448p-19),
                     -0x1.20e258p+0, lost);
  auto large = fused ? 1 - exp_near(t * p) : 1 - exp_times(t * p, Lanes<float, N>(1), t * lost);
  return where(t >= 0.921875, copysign(large, x), erf_small(x, x * x));
}
template <int N> HD_INLINE Lanes<double, N> erf(Lanes<double, N> x) { return slow::erf(x); }

// (a + a_lost) / (d + d_lost) (1 - error), as a sum of two.
template <int N>
HD_INLINE Lanes<float, N> quotient(Lanes<float, N> a, Lanes<float, N> a_lost, Lanes<float, N> d, Lanes<float, N> d_lost,
                                   Lanes<float, N> error, Lanes<float, N> &lost) {
  auto inverse = 1 / d, y = fused ? a * inverse : a / d;
  auto rest = fused ? fma(-y, d, a) + a_lost : a_lost;
  lost = (rest - y * (d_lost + error * d)) * inverse;
  return y;
}
template <int N> HD_INLINE Lanes<float, N> erfc(Lanes<float, N> x) {
  auto t = clamped<float>(abs(x), 0, 10.25), s = t * t, q = (t - 2) / (t + 2), d = t * 2 + 1;
  Lanes<float, N> p_lost, lost; // p is (2 t + 1) e^(t^2) erfc(t)
  auto p = last_term(q,
                     polynomial(q, -0x1.7bf606p-4, -0x1.54080cp-3, 0x1.4ffbeap-3, -0x1.bc1086p-5, -0x1.080dfap-7,
                                0x1.1b0f98p-7, 0x1.585fbap-10, -0x1.43d4bep-10, -0x1.a6632ep-12),
                     0x1.46e80ep+0, p_lost);
  auto f = quotient<N>(p, p_lost, d, where(t < 0.5, t * 2 - (d - 1), 1 - (d - t * 2)), product_rest(t, t, s), lost);
  auto r = exp_times(-s, f, lost);
  return where(t < 0.5, 1 - erf_small(x, s), where(x < 0, 2 - r, r));
}
template <int N> HD_INLINE Lanes<double, N> erfc(Lanes<double, N> x) { return slow::erfc(x); }
// x times the normal distribution function, with all digits in the lower tail too.
template <int N> HD_INLINE Lanes<float, N> gelu(Lanes<float, N> x) {
  auto with = [&](Lanes<float, N> t, auto below) {
    auto s = t * t, q = (t - 2.98125f) / (t + 2.98125f);
    // t e^(t^2 / 2) times the distribution function of -t
    Lanes<float, N> lost;
    auto f = last_term(q,
                       polynomial(q, 0x1.c5a504p-4, -0x1.1f1098p-3, 0x1.74252ep-4, -0x1.ca4af8p-6, -0x1.1c213cp-9,
                                  0x1.0251acp-8, 0x1.623508p-15, -0x1.249008p-11),
                       0x1.74efcep-2, lost);
    // s = r - 2 n ln 2; n (2 ln2_high) has no rounding
    auto sum = s * -0.72134752044448170368 + rounds_to_exponent<float>, n = sum - rounds_to_exponent<float>;
    auto r = n * (2 * ln2_high<float>);
    if constexpr (fused) r = fma(t, t, r) + n * (2 * ln2_low<float>);
    else r = ((s + r) + n * (2 * ln2_low<float>)) + product_rest(t, t, s);
    auto m = exp_rest(r * -0.5);
    auto large = below(fused ? m * f + f : (m * f + lost) + f, sum);
    auto small =
        x * (x * polynomial(s, 0x1.988450p-2, -0x1.10573ap-4, 0x1.469dc6p-7, -0x1.3300eep-10, 0x1.916614p-14) + 0.5);
    return where(t < 0.875f, small, large);
  };
  auto positive = greater(Lanes<float, N>(0), x);
  if (all_near(x, 12.5f)) [[likely]]
    return with(abs(x), [&](auto f, auto sum) { return positive - f * power_of_sum(sum); });
  auto y = with(lesser(Lanes<float, N>(14.5), abs(x)),
                [&](auto f, auto sum) { return with_sign(positive - scale(f, bits<int32_t>(sum) - 127), x); });
  return where(x == -infinity<float>, nan<float>, y); // as in torch
}
template <int N> HD_INLINE Lanes<double, N> gelu(Lanes<double, N> x) {
  return x * 0.5 * erfc(x * -0.70710678118654752440);
}
// Its derivative: the normal distribution function and x times its density.
template <int N> HD_INLINE Lanes<float, N> gelu_slope(Lanes<float, N> x) {
  auto t = lesser(Lanes<float, N>(14.5), abs(x));
  // e^(t^2 / 2) times the distribution function of -t, as a fraction
  auto above = polynomial(t, 0.5, 0x1.c04d74p-2, 0x1.7673eep-3, 0x1.4bb536p-5, 0x1.0c3cbep-8);
  auto below = polynomial(t, 1, 0x1.ac68e8p+0, 0x1.336f0cp+0, 0x1.dfa874p-2, 0x1.9fc2c4p-4, 0x1.502e7ep-7);
  auto lower = (above / below - t * 0.39894228040143267794) * exp(t * t * -0.5);
  return where(abs(x) == infinity<float>, nan<float>, where(x < 0, lower, 1 - lower)); // as in torch
}
template <int N> HD_INLINE Lanes<double, N> gelu_slope(Lanes<double, N> x) {
  return erfc(x * -0.70710678118654752440) * 0.5 + x * exp(x * x * -0.5) * 0.39894228040143267794;
}

// Quadrants of pi/2, which is subtracted in three parts; beyond 1e5 a call per lane.
template <int N> HD_INLINE Lanes<float, N> sine(Lanes<float, N> x, Lanes<float, N> n, Lanes<int32_t, N> quadrant) {
  auto r = fma(n, Lanes<float, N>(-0x1.921fb6p+0), x);
  r = fma(n, Lanes<float, N>(0x1.777a5cp-25), r);
  r = fma(n, Lanes<float, N>(0x1.ee59dap-50), r);
  auto s = r * r;
  auto sin = r * s * polynomial(s, -0x1.555556p-3, 0x1.111176p-7, -0x1.a05bbap-13, 0x1.7cd82ep-19) + r;
  auto cos = s * s * polynomial(s, 0x1.555556p-5, -0x1.6c1762p-10, 0x1.a075e8p-16, -0x1.37242cp-22) + (1 - s * 0.5);
  auto y = where((quadrant & 1) == 0, sin, cos);
  return bits<float>(bits<int32_t>(y) ^ ((quadrant & 2) << 30));
}
template <int N> HD_INLINE Lanes<float, N> sin(Lanes<float, N> x) {
  if constexpr (!fused) return slow::sin(x);
  auto far = !(abs(x) <= 1e5);
  auto n = rint(x * 0.63661977236758134308);
  auto y = where(x == 0, x, sine(x, n, cast<int32_t>(n)));
  return any(far) ? where(far, slow::sin(x), y) : y;
}
template <int N> HD_INLINE Lanes<float, N> cos(Lanes<float, N> x) {
  if constexpr (!fused) return slow::cos(x);
  auto far = !(abs(x) <= 1e5);
  auto n = rint(x * 0.63661977236758134308);
  auto y = sine(x, n, cast<int32_t>(n) + 1);
  return any(far) ? where(far, slow::cos(x), y) : y;
}
template <int N> HD_INLINE Lanes<double, N> sin(Lanes<double, N> x) { return slow::sin(x); }
template <int N> HD_INLINE Lanes<double, N> cos(Lanes<double, N> x) { return slow::cos(x); }

// --- division -------------------------------------------------------------------------------------------------------
// Integer division neither traps nor is undefined: by 0 it gives 0 (the host has refused it), the lowest number by -1
// wraps.
template <class T, int N> HD_INLINE Lanes<T, N> trunc_divide(Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (floating<T>) return trunc(a / b);
  else return each([](T p, T q) -> T { return q == 0 ? T(0) : is_signed<T> && q == T(-1) ? T(-p) : T(p / q); }, a, b);
}
template <class T, int N> HD_INLINE Lanes<T, N> slow_fmod(Lanes<T, N> a, Lanes<T, N> b) {
  return each(
      [](T p, T q) -> T {
        if constexpr (same<T, float>) return __builtin_fmodf(p, q);
        else return __builtin_fmod(p, q);
      },
      a, b);
}
template <class T, int N> HD_INLINE Lanes<T, N> fmod(Lanes<T, N> a, Lanes<T, N> b) {
  if constexpr (!floating<T>) return a - trunc_divide(a, b) * b;
  else if constexpr (!fused) return slow_fmod(a, b);
  else { // exact while the quotient has few digits; rounding may have made it one too large
    auto q = trunc(a / b), r = fma(-q, b, a);
    r = where((r != 0) & ((r < 0) ^ (a < 0)), where((b < 0) ^ (a < 0), r - b, r + b), r);
    r = where(r == 0, copysign(r, a), r);
    auto hard = !((abs(q) < (same<T, float> ? 0x1p22 : 0x1p51)) & (r == r) & (abs(a) > least_normal<T> * 0x1p25f));
    return any(hard) ? where(hard, slow_fmod(a, b), r) : r;
  }
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

template <int N> HD_INLINE Lanes<float, N> hypot(Lanes<float, N> x, Lanes<float, N> y) {
  auto p = cast<double>(x), q = cast<double>(y);
  auto r = cast<float>(sqrt(p * p + q * q));
  return where(isinf(x) | isinf(y), infinity<float>, r);
}
template <int N> HD_INLINE Lanes<double, N> hypot(Lanes<double, N> x, Lanes<double, N> y) { return slow::hypot(x, y); }

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
// Upwards by recurrence to 10, then the asymptotic series; below -10 by reflection first.
inline double digamma_of(double x) {
  constexpr double pi = 3.14159265358979323846;
  if (x == 0) return __builtin_copysign(infinity<double>, -x);
  if (x <= 0 && x == __builtin_rint(x)) return nan<double>;
  double r = 0;
  if (x < -10) {
    r = -pi / __builtin_tan(pi * (x - __builtin_rint(x)));
    x = 1 - x;
  }
  for (; x < 10; ++x) r -= 1 / x;
  double z = x > 1e17 ? 0 : 1 / (x * x);
  double s =
      z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * (691. / 32760 - z / 12))))));
  return r + __builtin_log(x) - 0.5 / x - s;
}
template <class T, int N> HD_INLINE Lanes<T, N> digamma(Lanes<T, N> x) {
  return each([](T a) -> T { return digamma_of(a); }, x);
}
inline double trigamma_of(double x) {
  constexpr double pi = 3.14159265358979323846;
  if (x <= 0 && x == __builtin_rint(x)) return infinity<double>;
  double r = 0, sign = 1;
  if (x < -10) {
    double s = __builtin_sin(pi * (x - __builtin_rint(x)));
    r = pi * pi / (s * s);
    x = 1 - x;
    sign = -1;
  }
  double t = 0;
  for (; x < 10; ++x) t += 1 / (x * x);
  double z = 1 / (x * x);
  t += 1 / x + z / 2 +
       z / x *
           (1. / 6 - z * (1. / 30 - z * (1. / 42 - z * (1. / 30 - z * (5. / 66 - z * (691. / 2730 - z * (7. / 6)))))));
  return r + sign * t;
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
// Small results are e^x, which keeps its digits where e^-x has none.
template <class T, int N> HD_INLINE Lanes<T, N> sigmoid(Lanes<T, N> x) {
  if (all_near(x)) [[likely]]
    return 1 / exp_near_and_1(-x);
  auto low = x < -near<T>;
  auto e = exp_any(where(low, x, -x));
  return where(low, e, 1 / (1 + e));
}
// Small results in one product, which keeps its digits where e^x has lost them.
template <class T, int N> HD_INLINE Lanes<T, N> silu(Lanes<T, N> x) {
  if (all_near(x)) [[likely]]
    return x / exp_near_and_1(-x);
  auto t = greater(Lanes<T, N>(same<T, float> ? -112 : -756), x);
  Lanes<T, N> m;
  auto n = exp_parts(lesser(Lanes<T, N>(-near<T>), t), m);
  auto y = where(x < -near<T>, scale(m * t + t, n), x / (1 + exp_any(-x)));
  return where(x == -infinity<T>, nan<T>, y); // as in torch
}

// The derivatives of x sigmoid(u) for u = x and for what gelu's tanh form has, a cubic.
template <class T, int N> HD_INLINE Lanes<T, N> sigmoid_slope(Lanes<T, N> x, Lanes<T, N> u, Lanes<T, N> du) {
  auto e = exp(-abs(u)), high = 1 / (1 + e), low = e * high;
  auto negative = u < 0;
  return where(negative, low, high) * (1 + x * (du * where(negative, high, low)));
}
template <class T, int N> HD_INLINE Lanes<T, N> silu_slope(Lanes<T, N> x) { return sigmoid_slope<T, N>(x, x, 1); }
template <class T, int N> HD_INLINE Lanes<T, N> gelu_tanh_slope(Lanes<T, N> x) {
  auto s = x * x;
  return sigmoid_slope<T, N>(x, x * (1.5957691216057307117 + 0.07135481627260025 * s),
                             1.5957691216057307117 + 0.21406444881780075 * s);
}

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
