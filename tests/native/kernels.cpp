// Tests a level's kernels against scalar references: every op and dtype, layouts, casts, reductions, scans.
// ./kernels [level]
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cpu/level.h"
#include "cpu/math_names.h"
#include "op.h"

namespace hadamard {
namespace ops {
#include "ops/elementwise.h"
}
} // namespace hadamard
using namespace hadamard;

namespace {

using Real = long double;
using Complex = std::complex<long double>;
const Real nan_ = std::nanl(""), inf_ = HUGE_VALL;
long failures = 0, checks = 0;
std::map<std::string, int> told;
const Level *L;

void fail(const std::string &what, const std::string &detail) {
  ++failures;
  if (told[what]++ < 4) printf("FAIL [%s] %s: %s\n", L->name, what.c_str(), detail.c_str());
}
template <class... T> std::string text(const char *f, T... t) {
  char b[300];
  snprintf(b, sizeof b, f, t...);
  return b;
}

// --- stored values --------------------------------------------------------------------------------------------------
float half_value(uint16_t h) {
  int e = h >> 10 & 31, m = h & 1023;
  float f = e == 31 ? (m ? NAN : INFINITY) : e ? std::ldexp(float(1024 + m), e - 25) : std::ldexp(float(m), -24);
  return h >> 15 ? -f : f;
}
uint16_t half_bits(float x) {
  if (x != x) return 0x7e00;
  uint16_t s = std::signbit(x) ? 0x8000 : 0;
  x = std::fabs(x);
  if (x == 0) return s;
  if (x >= 65520) return s | 0x7c00;
  int e;
  std::frexp(x, &e);
  e = std::max(e - 11, -24);
  auto m = uint32_t(std::nearbyint(std::ldexp(x, -e))); // exact scaling, ties to even
  if (e == -24) return s | uint16_t(m);
  if (m == 2048) m = 1024, ++e;
  return s | uint16_t((e + 25) << 10 | (m & 1023));
}
float bfloat_value(uint16_t b) {
  uint32_t u = uint32_t(b) << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
uint16_t bfloat_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if (x != x) return 0x7fc0;
  return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
template <class T> struct Stored {
  static Complex get(const char *p) {
    T t;
    memcpy(&t, p, sizeof t);
    return Complex(Real(t), 0);
  }
  static void set(char *p, Complex z) {
    T t = T(z.real());
    memcpy(p, &t, sizeof t);
  }
};
template <> struct Stored<f16> {
  static Complex get(const char *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return half_value(h);
  }
  static void set(char *p, Complex z) {
    uint16_t h = half_bits(float(z.real()));
    memcpy(p, &h, 2);
  }
};
template <> struct Stored<bf16> {
  static Complex get(const char *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return bfloat_value(h);
  }
  static void set(char *p, Complex z) {
    uint16_t h = bfloat_bits(float(z.real()));
    memcpy(p, &h, 2);
  }
};
template <class R> struct Stored<complex<R>> {
  static Complex get(const char *p) {
    R t[2];
    memcpy(t, p, sizeof t);
    return Complex(t[0], t[1]);
  }
  static void set(char *p, Complex z) {
    R t[2] = {R(z.real()), R(z.imag())};
    memcpy(p, t, sizeof t);
  }
};
Complex get(DType t, const char *p) {
  return visit(t, [&]<class T>(Type<T>) { return Stored<T>::get(p); });
}
void set(DType t, char *p, Complex z) {
  visit(t, [&]<class T>(Type<T>) { Stored<T>::set(p, z); });
}
int64_t get_int(DType t, const char *p) {
  return visit(t, [&]<class T>(Type<T>) -> int64_t {
    if constexpr (dtype_in(dtype_of<T>, integers | boolean)) {
      T x;
      memcpy(&x, p, sizeof x);
      return int64_t(x);
    } else return 0;
  });
}
void set_int(DType t, char *p, int64_t v) {
  visit(t, [&]<class T>(Type<T>) {
    if constexpr (dtype_in(dtype_of<T>, integers | boolean)) {
      T x = T(v);
      memcpy(p, &x, sizeof x);
    }
  });
}
// The distance between neighbours around x.
Real ulp(DType t, Real x) {
  const int digits = t == DType::F16 ? 11 : t == DType::BF16 ? 8 : t == DType::F32 || t == DType::C64 ? 24 : 53;
  const int least = t == DType::F16                       ? -24
                    : t == DType::F64 || t == DType::C128 ? -1074
                    : t == DType::BF16                    ? -133
                                                          : -149;
  if (x == 0) return std::ldexp(Real(1), least);
  int e;
  std::frexp(std::fabs(x), &e);
  return std::ldexp(Real(1), std::max(e - digits, least));
}
Real largest(DType t) {
  switch (t) {
  case DType::F16: return 65504;
  case DType::BF16: return 3.38953138925153547590e38L;
  case DType::F64:
  case DType::C128: return 1.79769313486231570815e308L;
  default: return 3.40282346638528859812e38L;
  }
}
bool close(DType t, Real got, Real want, Real ulps, Real scale = 0) {
  if (want != want) return got != got;
  if (got == want) return true;
  if (std::isinf(want) || std::fabs(want) > largest(t) * (1 + 1e-3L))
    return std::isinf(got) ? (got > 0) == (want > 0)
                           : std::fabs(got) > largest(t) * (1 - 1e-3L) && (got > 0) == (want > 0);
  if (got != got) return false;
  if (std::isinf(got)) return std::fabs(want) > largest(t) * (1 - 1e-3L);
  return std::fabs(got - want) <= ulps * ulp(t, std::max(std::fabs(want), scale));
}

// --- references -----------------------------------------------------------------------------------------------------
struct Reference {
  std::function<Real(Real, Real, Real)> real;
  std::function<int64_t(int64_t, int64_t, int64_t)> integer;
  std::function<Complex(Complex, Complex, Complex)> complex_;
  double ulps = 4; // float32 and float64; narrower dtypes are within 1
};
std::map<std::string, Reference> references;
const Real pi = 3.14159265358979323846264338327950288L;

Real digamma(Real x) {
  if (x == 0) return -std::copysign(inf_, x);
  if (x > -1 && x < 0) return digamma(x + 1) - 1 / x;
  if (x < 0) {
    if (x == std::floor(x)) return nan_;
    Real f = x - std::floor(x);
    return digamma(1 - x) - pi / std::tan(pi * f);
  }
  Real r = 0;
  for (; x < 30; ++x) r -= 1 / x;
  Real z = 1 / (x * x);
  return r + std::log(x) - 0.5L / x - z / 12 + z * z / 120 - z * z * z / 252 + z * z * z * z / 240;
}
Real trigamma(Real x) {
  if (x > -1 && x < 0) return trigamma(x + 1) + 1 / (x * x);
  if (x <= 0) {
    if (x == std::floor(x)) return inf_; // the lowest number too
    Real s = std::sin(pi * (x - std::floor(x)));
    return -trigamma(1 - x) + pi * pi / (s * s);
  }
  Real r = 0;
  for (; x < 30; ++x) r += 1 / (x * x);
  Real z = 1 / (x * x);
  return r + 1 / x + z / 2 + z / x * (1 / 6.L - z * (1 / 30.L - z * (1 / 42.L - z / 30)));
}
Real erfinv(Real x) {
  if (std::fabs(x) == 1) return x * inf_;
  if (!(std::fabs(x) < 1)) return nan_;
  Real lo = 0, hi = 12, a = std::fabs(x);
  if (a < 1e-12L) return x * std::sqrt(pi) / 2;
  for (int i = 0; i < 100; ++i) {
    Real m = (lo + hi) / 2;
    bool less = a < 0.5L ? std::erf(m) < a : std::erfc(m) > 1 - a;
    (less ? lo : hi) = m;
  }
  return std::copysign((lo + hi) / 2, x);
}
Real gelu(Real x) { return x == -inf_ ? nan_ : x * 0.5L * std::erfc(-x / std::sqrt(2.L)); }
Real sigmoid(Real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
Real gelu_tanh_slope(Real x) {
  const Real k = 2 * std::sqrt(2 / 3.14159265358979323846264338327950288L), u = k * (x + 0.044715L * x * x * x);
  return sigmoid(u) * (1 + x * k * (1 + 3 * 0.044715L * x * x) * sigmoid(-u));
}
Real max_(Real a, Real b) { return a != a || b != b ? nan_ : a > b ? a : b; }
Real min_(Real a, Real b) { return a != a || b != b ? nan_ : a < b ? a : b; }
Real remainder_(Real a, Real b) {
  Real r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return int64_t(-uint64_t(a));
  int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
int64_t trunc_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? int64_t(-uint64_t(a)) : a / b; }
int64_t int_pow(int64_t a, int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  uint64_t r = 1, x = uint64_t(a);
  for (; b; b >>= 1, x *= x)
    if (b & 1) r *= x;
  return int64_t(r);
}

// clang-format off
void fill_references() {
  auto &r = references;
#define REAL(name, e, ...) r[#name] = {[](Real a, Real b, Real c) -> Real { (void)a, (void)b, (void)c; return e; }, nullptr, nullptr __VA_OPT__(,) __VA_ARGS__};
#define INT(name, e) r[#name].integer = [](int64_t a, int64_t b, int64_t c) -> int64_t { (void)a, (void)b, (void)c; return e; };
#define COMPLEX(name, e) r[#name].complex_ = [](Complex a, Complex b, Complex c) -> Complex { (void)a, (void)b, (void)c; return e; };
#define BOTH(name, e, ...) REAL(name, e, __VA_ARGS__) COMPLEX(name, e)
#define ALL(name, e, ...) REAL(name, e, __VA_ARGS__) COMPLEX(name, e) INT(name, e)
#define REALINT(name, e, ...) REAL(name, e, __VA_ARGS__) INT(name, e)
  ALL(where, (a != decltype(a)(0) ? b : c))
  BOTH(eq, Real(a == b)) INT(eq, a == b) BOTH(ne, Real(a != b)) INT(ne, a != b)
  REALINT(lt, a < b) REALINT(le, a <= b) REALINT(gt, a > b) REALINT(ge, a >= b)
  BOTH(logical_and, Real((a != Real(0)) && (b != Real(0)))) INT(logical_and, a && b)
  BOTH(logical_or, Real((a != Real(0)) || (b != Real(0)))) INT(logical_or, a || b)
  BOTH(logical_xor, Real((a != Real(0)) != (b != Real(0)))) INT(logical_xor, !a != !b)
  BOTH(logical_not, Real(a == Real(0))) INT(logical_not, !a)
  INT(bitwise_and, a & b) INT(bitwise_or, a | b) INT(bitwise_xor, a ^ b) INT(bitwise_not, ~a)
  REAL(conj, a) COMPLEX(conj, std::conj(a)) INT(conj, a)
  REAL(real, a) COMPLEX(real, a.real()) INT(real, a)
  COMPLEX(imag, a.imag())
  REALINT(sign, (a > 0) - (a < 0))
  REAL(sgn, (a > 0) - (a < 0)) INT(sgn, (a > 0) - (a < 0)) COMPLEX(sgn, a == Real(0) ? a : a / std::abs(a))
  BOTH(abs, std::abs(a)) INT(abs, a < 0 ? int64_t(-uint64_t(a)) : a)
  REAL(angle, a != a ? a : a < 0 ? pi : 0) COMPLEX(angle, std::arg(a))
  REAL(isnan, a != a) INT(isnan, 0 * a) COMPLEX(isnan, Real(a != a))
  REAL(isinf, std::isinf(a)) INT(isinf, 0 * a) COMPLEX(isinf, Real(std::isinf(a.real()) || std::isinf(a.imag())))
  REAL(isfinite, std::isfinite(a)) INT(isfinite, 1 + 0 * a)
  COMPLEX(isfinite, Real(std::isfinite(a.real()) && std::isfinite(a.imag())))
  REAL(signbit, std::signbit(a)) INT(signbit, a < 0)
  REAL(nan_to_num, a != a ? 0 : a == inf_ ? b : a == -inf_ ? c : a) INT(nan_to_num, a)
  ALL(add, a + b) ALL(sub, a - b) REAL(mul, a * b) COMPLEX(mul, a * b) INT(mul, int64_t(uint64_t(a) * uint64_t(b)))
  BOTH(div, a / b) ALL(neg, -a) REAL(square, a * a) COMPLEX(square, a * a) INT(square, int64_t(uint64_t(a) * uint64_t(a)))
  BOTH(reciprocal, Real(1) / a)
  REAL(floor, std::floor(a)) REAL(ceil, std::ceil(a)) REAL(trunc, std::trunc(a)) REAL(round, std::nearbyint(a))
  INT(floor, a) INT(ceil, a) INT(trunc, a) INT(round, a)
  REAL(frac, a - std::trunc(a))
  REAL(trunc_divide, std::trunc(a / b)) REAL(floor_divide, b == 0 ? a / b : (a - remainder_(a, b)) / b)
  REAL(remainder, remainder_(a, b)) INT(floor_divide, floor_div(a, b)) INT(trunc_divide, trunc_div(a, b))
  INT(remainder, b == 0 ? a : int64_t(uint64_t(a) - uint64_t(floor_div(a, b)) * uint64_t(b)))
  REAL(fmod, std::fmod(a, b)) INT(fmod, b == 0 ? a : int64_t(uint64_t(a) - uint64_t(trunc_div(a, b)) * uint64_t(b)))
  BOTH(add_scaled, a + c * b) INT(add_scaled, int64_t(uint64_t(a) + uint64_t(b) * uint64_t(c)))
  BOTH(addcmul, a + c * b) INT(addcmul, int64_t(uint64_t(a) + uint64_t(b) * uint64_t(c)))
  BOTH(addcdiv, a + b / c) BOTH(lerp, std::abs(c) < 0.5L ? a + c * (b - a) : b - (b - a) * (Real(1) - c), 8)
  REAL(maximum, max_(a, b)) REAL(minimum, min_(a, b)) REAL(clamp_min, max_(a, b)) REAL(clamp_max, min_(a, b))
  INT(maximum, std::max(a, b)) INT(minimum, std::min(a, b)) INT(clamp_min, std::max(a, b)) INT(clamp_max, std::min(a, b))
  REAL(fmax, std::fmax(a, b)) REAL(fmin, std::fmin(a, b)) INT(fmax, std::max(a, b)) INT(fmin, std::min(a, b))
  REAL(clamp, min_(max_(a, b), c)) INT(clamp, std::min(std::max(a, b), c))
  REAL(copysign, std::copysign(a, b)) REALINT(heaviside, a == 0 ? b : a > 0)
  BOTH(sqrt, std::sqrt(a)) BOTH(rsqrt, Real(1) / std::sqrt(a)) BOTH(exp, std::exp(a), 2.5)
  REAL(exp2, std::exp2(a), 2.5) COMPLEX(exp2, std::exp(a * std::log(Real(2)))) REAL(expm1, std::expm1(a), 2.5)
  COMPLEX(expm1, std::exp(a) - Real(1)) BOTH(log, std::log(a), 2.5) REAL(log2, std::log2(a), 2.5)
  COMPLEX(log2, std::log(a) / std::log(Real(2))) BOTH(log10, std::log10(a), 2.5) REAL(log1p, std::log1p(a), 2.5)
  COMPLEX(log1p, std::log(a + Real(1)))
  REAL(pow, std::pow(a, b)) COMPLEX(pow, std::pow(a, b)) INT(pow, int_pow(a, b))
  REAL(hypot, std::hypot(a, b)) REAL(xlogy, b != b ? b : a == 0 ? 0 : a * std::log(b))
  REAL(logaddexp, a == b && std::isinf(a) ? a : max_(a, b) + std::log1p(std::exp(-std::fabs(a - b))))
  REAL(logaddexp2, a == b && std::isinf(a) ? a : max_(a, b) + std::log1p(std::exp2(-std::fabs(a - b))) / std::log(2.L))
  BOTH(cos, std::cos(a)) BOTH(sin, std::sin(a)) BOTH(tan, std::tan(a)) BOTH(asin, std::asin(a)) BOTH(acos, std::acos(a))
  BOTH(atan, std::atan(a)) REAL(atan2, std::atan2(a, b)) BOTH(cosh, std::cosh(a)) BOTH(sinh, std::sinh(a))
  BOTH(tanh, std::tanh(a), 2.5) BOTH(asinh, std::asinh(a)) BOTH(acosh, std::acosh(a)) BOTH(atanh, std::atanh(a))
  REAL(deg2rad, a * (pi / 180)) REAL(rad2deg, a * (180 / pi))
  REAL(erf, std::erf(a), 2.5) REAL(erfc, std::erfc(a), 4) REAL(erfinv, erfinv(a)) REAL(trigamma, trigamma(a), 16)
  REAL(digamma, digamma(a), 32) REAL(lgamma, std::lgamma(a), 16)
  REAL(sigmoid, sigmoid(a), 2.5) COMPLEX(sigmoid, Real(1) / (Real(1) + std::exp(-a)))
  REAL(logit, std::log(a / (1 - a)), 8) REAL(logsigmoid, std::min(a, Real(0)) - std::log1p(std::exp(-std::fabs(a))))
  REALINT(relu, a <= 0 ? 0 : a) REAL(leaky_relu, a > 0 ? a : a * b) REALINT(threshold, a <= b ? c : a)
  REAL(hardtanh, min_(max_(a, b), c)) INT(hardtanh, std::min(std::max(a, b), c))
  REAL(relu6, min_(max_(a, 0), 6)) INT(relu6, std::min<int64_t>(std::max<int64_t>(a, 0), 6))
  REAL(hardsigmoid, min_(max_(a + 3, 0), 6) / 6, 8) REAL(hardswish, a * min_(max_(a + 3, 0), 6) / 6, 8)
  REAL(hardshrink, a >= -b && a <= b ? 0 : a) REAL(softshrink, a > b ? a - b : a < -b ? a + b : a * 0)
  REAL(elu, a > 0 ? a : b * std::expm1(a))
  REAL(selu, a > 0 ? a * 1.0507009873554804934193349852946L : 1.0507009873554804934193349852946L * 1.6732632423543772848170429916717L * std::expm1(a))
  REAL(silu, a == -inf_ ? nan_ : a * sigmoid(a)) COMPLEX(silu, a / (Real(1) + std::exp(-a)))
  REAL(silu_slope, sigmoid(a) * (1 + a * sigmoid(-a)), 8) COMPLEX(silu_slope, (Real(1) + a / (Real(1) + std::exp(a))) / (Real(1) + std::exp(-a)))
  REAL(softplus, a * b > c ? a : std::log1p(std::exp(a * b)) / b)
  REAL(mish, a == -inf_ ? nan_ : a * std::tanh(a > 20 ? a : std::log1p(std::exp(a))), 6)
  REAL(gelu, gelu(a), 8) REAL(gelu_slope, std::isinf(a) ? nan_ : std::erfc(-a / std::sqrt(2.L)) / 2 + a * std::exp(-a * a / 2) / std::sqrt(2 * pi), 16)
  REAL(gelu_tanh, a == -inf_ ? nan_ : a * sigmoid(std::sqrt(2 / pi) * 2 * (a + 0.044715L * a * a * a)), 16)
  REAL(gelu_tanh_slope, gelu_tanh_slope(a), 16)
  BOTH(tanhshrink, a - std::tanh(a)) BOTH(sinc, a == Real(0) ? Real(1) : std::sin(a * pi) / (a * pi), 16)
  REAL(softsign, a / (1 + std::fabs(a)))
#undef REAL
#undef INT
#undef COMPLEX
}
// clang-format on
// Compared by the size of what they cancel: ulps of the larger of the operands.
bool cancels(const std::string &op) {
  for (const char *n : {"add", "sub", "add_scaled", "addcmul", "addcdiv", "lerp", "frac", "logaddexp", "logaddexp2",
                        "remainder", "lgamma", "digamma", "softshrink", "logit", "gelu_slope", "silu_slope",
                        "gelu_tanh", "gelu_tanh_slope", "tanhshrink"})
    if (op == n) return true;
  return false;
}

// --- inputs ---------------------------------------------------------------------------------------------------------
std::mt19937_64 rng(1);
Real random_real() {
  static std::normal_distribution<double> normal;
  switch (rng() % 8) {
  case 0: return std::ldexp(normal(rng), int(rng() % 40) - 20);
  case 1: return Real(int(rng() % 21) - 10);
  case 2: return std::uniform_real_distribution<double>(-1, 1)(rng);
  case 3: return normal(rng) * 10;
  default: return normal(rng);
  }
}
std::vector<Real> special_reals() {
  return {0.0L,    -0.0L,   1,      -1,    0.5L, -0.5L, 2,     -2,       3,         1e-8L, -1e-8L, 1e-40L,
          -1e-40L, 3e38L,   -3e38L, 88,    -88,  90,    -90,   -104,     104,       700,   -700,   20.5L,
          -20.5L,  5e-324L, inf_,   -inf_, nan_, 1e5L,  1e-3L, 0.99999L, -0.99999L, 2.5L,  3.5L,   -2.5L};
}
std::vector<char> inputs(DType t, long n, int which) {
  const long size = size_of(t);
  std::vector<char> v(size_t(n * size) + 64);
  auto special = special_reals();
  for (long i = 0; i < n; ++i) {
    char *p = v.data() + i * size;
    if (dtype_in(t, boolean)) set_int(t, p, rng() & 1);
    else if (dtype_in(t, integers)) {
      const int64_t low = rng() % 4 ? int64_t(rng() % 23) - 11 : int64_t(rng());
      static const int64_t edge[] = {0, 1, -1, INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, -128, 127, 255, 7};
      set_int(t, p, i % 3 == which ? edge[rng() % 11] : low);
    } else {
      auto one = [&] {
        // Special values are met with ordinary ones and with each other.
        return rng() % 5 == 0 ? special[rng() % special.size()] : random_real();
      };
      set(t, p, Complex(one(), dtype_in(t, complexes) ? one() : 0));
    }
  }
  return v;
}

// --- element-wise ---------------------------------------------------------------------------------------------------
// One element, alone.
void single(const Loop &loop, char *out, const char *const *in) {
  Grid g;
  g.ndim = 1;
  g.shape[0] = 1;
  g.data[0] = out;
  g.stride[0][0] = loop.size[0];
  for (int k = 1; k < loop.operands; ++k) g.data[k] = const_cast<char *>(in[k - 1]), g.stride[0][k] = loop.size[k];
  L->map(loop, g);
}

template <class O> void test_values(const O &op, DType t) {
  const Loop &loop = L->elementwise[ops::find_op<O>()][int(t)];
  const std::string name = std::string(op.name) + " " + info(t).name;
  if (bool(loop.vectors) != dtype_in(t, op.dtypes)) return fail(name, "is not there, or should not be");
  if (!loop.vectors) return;
  auto found = references.find(op.name);
  if (found == references.end()) {
    ++told[std::string("no reference: ") + op.name];
    return;
  }
  const Reference &ref = found->second;
  constexpr long n = 3000;
  DType in_type[3] = {op.condition ? DType::Bool : t, t, t};
  std::vector<char> in[3];
  for (int k = 0; k < O::arity; ++k) in[k] = inputs(in_type[k], n, k);
  std::vector<char> out(n * 16);
  Grid g;
  g.ndim = 1;
  g.shape[0] = n;
  g.data[0] = out.data();
  g.stride[0][0] = loop.size[0];
  for (int k = 1; k < loop.operands; ++k) g.data[k] = in[k - 1].data(), g.stride[0][k] = loop.size[k];
  L->map(loop, g);
  for (long i = 0; i < n; ++i) {
    ++checks;
    const char *p = out.data() + i * loop.size[0];
    Complex v[3];
    int64_t w[3] = {};
    for (int k = 0; k < O::arity; ++k) {
      const char *q = in[k].data() + i * loop.size[k + 1];
      v[k] = get(in_type[k], q), w[k] = get_int(in_type[k], q);
    }
    auto where_ = [&] {
      return text("(%Lg%+Lgi, %Lg%+Lgi, %Lg%+Lgi)", v[0].real(), v[0].imag(), v[1].real(), v[1].imag(), v[2].real(),
                  v[2].imag());
    };
    if (dtype_in(t, integers | boolean)) {
      if (!ref.integer) return fail(name, "no integer reference");
      char want[8] = {};
      int64_t e = ref.integer(w[0], w[1], w[2]);
      if (t == DType::Bool && (!strcmp(op.name, "bitwise_not"))) e = !w[0];
      set_int(loop.result, want, e);
      if (memcmp(want, p, loop.size[0]))
        fail(name, where_() + text(" gave %ld, not %ld", long(get_int(loop.result, p)), long(e)));
    } else if (dtype_in(t, complexes)) {
      if (!ref.complex_) return fail(name, "no complex reference");
      bool tame = true; // special complex values are torch's business, and tested there
      for (int k = 0; k < O::arity; ++k)
        for (Real x : {v[k].real(), v[k].imag()})
          tame &= std::isfinite(x) && (x == 0 || (std::fabs(x) > 1e-4L && std::fabs(x) < 30));
      const Complex want = ref.complex_(v[0], v[1], v[2]), got = get(loop.result, p);
      if (loop.result == DType::Bool) {
        if (got.real() != want.real()) fail(name, where_() + text(" gave %Lg", got.real()));
        continue;
      }
      if (!tame || !(std::abs(want) < 1e20L)) continue;
      Real scale = std::abs(want) * (strcmp(op.name, "sinc") ? 1 : 2); // where the rounding of pi a counts
      for (int k = 0; k < O::arity; ++k)
        scale = std::max(scale, !strcmp(op.name, "pow") ? 8 * std::abs(want)
                                : O::arity > 1 || !strcmp(op.name, "expm1") || !strcmp(op.name, "tanhshrink") ||
                                        !strcmp(op.name, "sinc") || !strcmp(op.name, "sigmoid") ||
                                        !strcmp(op.name, "silu_slope")
                                    ? std::abs(v[k])
                                    : 0);
      if (!close(loop.result, got.real(), want.real(), 64, scale) ||
          !close(loop.result, got.imag(), want.imag(), 64, scale)) {
        // on a branch cut either side will do
        if (std::abs(std::imag(v[0])) == 0 || std::abs(std::real(v[0])) == 0) continue;
        fail(name, where_() + text(" gave %Lg%+Lgi, not %Lg%+Lgi", got.real(), got.imag(), want.real(), want.imag()));
      }
    } else {
      if (!ref.real) return fail(name, "no real reference");
      const Real want = ref.real(v[0].real(), v[1].real(), v[2].real()), got = get(loop.result, p).real();
      Real scale = 0;
      if (cancels(op.name))
        for (int k = 0; k < O::arity; ++k)
          if (std::isfinite(v[k].real())) scale = std::max(scale, std::fabs(v[k].real()));
      if (!strcmp(op.name, "addcmul") || !strcmp(op.name, "add_scaled"))
        scale = std::max(scale, std::fabs(v[1].real() * v[2].real()));
      if (!strcmp(op.name, "addcdiv")) scale = std::max(scale, std::fabs(v[1].real() / v[2].real()));
      if (!strcmp(op.name, "sinc")) {
        scale = 4;
        if (std::fabs(v[0].real()) * pi > largest(t == DType::F64 ? t : DType::F32)) continue; // as torch
      }
      // A quotient next to a whole number may be rounded to it first, as in torch.
      if (!strcmp(op.name, "trunc_divide") || !strcmp(op.name, "floor_divide")) {
        const Real q = v[0].real() / v[1].real();
        if (std::fabs(q - std::nearbyint(q)) <= 2 * ulp(t, q) || !(std::fabs(q) < 1e6L)) continue;
      }
      if (!strncmp(op.name, "add", 3) && scale > largest(t == DType::F64 ? t : DType::F32)) continue;
      if (!strcmp(op.name, "addcdiv") && std::fabs(v[1].real() / v[2].real()) > largest(DType::F32)) continue;
      if (!strcmp(op.name, "lerp") && scale * (1 + std::fabs(v[2].real())) > largest(DType::F32)) continue;
      if (!std::isfinite(scale) ||
          (!strcmp(op.name, "softplus") && !(std::fabs(v[0].real() * v[1].real()) < largest(DType::F32))))
        continue;
      if (!strcmp(op.name, "gelu_tanh_slope") && std::fabs(v[0].real()) > 1e18L) continue; // infinity times 0, as torch
      const bool narrow = t == DType::F16 || t == DType::BF16;
      // Where a small result comes from a large exponent the argument's own rounding counts.
      Real ulps = ref.ulps;
      for (const char *tail : {"gelu", "gelu_slope", "gelu_tanh", "gelu_tanh_slope", "softplus", "mish"})
        if (!strcmp(op.name, tail)) ulps += 2 * v[0].real() * v[0].real() + 4 * std::fabs(v[0].real() * v[1].real());
      if (std::isinf(got) && !strcmp(op.name, "softplus") && std::fabs(v[0].real() * v[1].real()) > 80)
        continue; // as torch
      if (!close(loop.result, got, want, narrow ? 1 : ulps, scale))
        fail(name,
             where_() + text(" gave %.18Lg, not %.18Lg (%.2Lf ulp)", got, want, (got - want) / ulp(loop.result, want)));
    }
  }
}

// A layout must give, bit for bit, what each element gives alone.
template <class O> void test_layouts(const O &op, DType t) {
  const Loop &loop = L->elementwise[ops::find_op<O>()][int(t)];
  if (!loop.vectors) return;
  const std::string name = std::string(op.name) + " " + info(t).name;
  constexpr int cases = 10;
  struct Case {
    std::vector<long> shape;
    int kind;
  };
  std::vector<Case> all = {{{1}, 0},     {{3}, 0},      {{67}, 0},      {{67}, 1},       {{67}, 2},     {{41, 3}, 0},
                           {{5, 77}, 3}, {{37, 21}, 4}, {{3, 4, 5}, 1}, {{2, 3, 33}, 5}, {{600, 2}, 4}, {{7, 40}, 6}};
  (void)cases;
  for (auto &c : all) {
    long n = 1;
    for (long s : c.shape) n *= s;
    const int nd = int(c.shape.size());
    Grid g;
    g.ndim = nd;
    std::vector<char> data[4];
    std::vector<char *> base(4);
    for (int k = 0; k < loop.operands; ++k) {
      const DType kt = k == 0 ? loop.result : op.condition && k == 1 ? DType::Bool : t;
      const long size = loop.size[k];
      data[k] = inputs(kt, n * 4 + 8, k);
      base[k] = data[k].data();
      // dense, or one of: spread out, reversed, an operand repeated along a dimension, transposed, odd outer strides
      long step = c.kind == 1 ? 2 : 1;
      std::vector<long> stride(nd);
      if (c.kind == 4 && k % 2) { // transposed
        for (int d = 0; d < nd; ++d) stride[d] = size * step, step *= c.shape[d];
      } else
        for (int d = nd - 1; d >= 0; --d) stride[d] = size * step, step *= c.shape[d];
      if (c.kind == 2 && k != 1) base[k] += (n - 1) * size, stride[0] = -size;
      if (c.kind == 3 && k == 2) stride[0] = 0;
      if (c.kind == 3 && k == 1) stride[nd - 1] = 0;
      if (c.kind == 5 && k)
        for (int d = 0; d < nd; ++d) stride[d] = d == 1 ? size : 0;
      if (c.kind == 6 && k) stride[0] += size * 3;
      g.data[k] = base[k];
      g.shape[0] = 0;
      for (int d = 0; d < nd; ++d) g.stride[d][k] = stride[d];
    }
    for (int d = 0; d < nd; ++d) g.shape[d] = c.shape[d];
    std::vector<char> want(n * 16), before = data[0];
    std::vector<long> at(n);
    for (long i = 0; i < n; ++i) {
      const char *in[3];
      long rest = i, off[4] = {};
      for (int d = nd - 1; d >= 0; --d) {
        for (int k = 0; k < loop.operands; ++k) off[k] += rest % c.shape[d] * g.stride[d][k];
        rest /= c.shape[d];
      }
      for (int k = 1; k < loop.operands; ++k) in[k - 1] = base[k] + off[k];
      at[i] = base[0] + off[0] - data[0].data();
      single(loop, want.data() + i * loop.size[0], in);
    }
    std::vector<char> expect = before;
    for (long i = 0; i < n; ++i) memcpy(expect.data() + at[i], want.data() + i * loop.size[0], loop.size[0]);
    L->map(loop, g);
    ++checks;
    if (expect != data[0]) {
      size_t bad = 0;
      while (expect[bad] == data[0][bad]) ++bad;
      fail(name, text("layout %d of %d dims: byte %zu differs from the element alone", c.kind, nd, bad));
    }
    // in place of the first operand that has the result's size and dtype
    if (c.kind == 0 || c.kind == 1) {
      const int k = op.condition ? 2 : 1;
      if (loop.result != t || loop.operands <= k) continue;
      Grid h = g;
      h.data[0] = h.data[k];
      L->map(loop, h);
      for (long i = 0; i < n; ++i)
        if (memcmp(data[k].data() + at[i], want.data() + i * loop.size[0], loop.size[0])) {
          fail(name, "in place");
          break;
        }
    }
  }
}

// --- casts ----------------------------------------------------------------------------------------------------------
void test_casts() {
  for (int from = 0; from < dtype_count; ++from)
    for (int to = 0; to < dtype_count; ++to) {
      const DType f = DType(from), t = DType(to);
      const Loop &loop = L->cast[from][to];
      const std::string name = std::string("cast ") + info(f).name + " to " + info(t).name;
      if (!loop.vectors || loop.result != t || loop.copy != (f == t)) {
        fail(name, "row");
        continue;
      }
      constexpr long n = 2000;
      auto in = inputs(f, n, 1);
      std::vector<char> out(n * 16);
      Grid g;
      g.ndim = 1, g.shape[0] = n;
      g.data[0] = out.data(), g.data[1] = in.data();
      g.stride[0][0] = size_of(t), g.stride[0][1] = size_of(f);
      L->map(loop, g);
      for (long i = 0; i < n; ++i) {
        ++checks;
        const char *p = in.data() + i * size_of(f), *q = out.data() + i * size_of(t);
        char want[16] = {};
        const Complex z = get(f, p);
        if (f == t) memcpy(want, p, size_of(t));
        else if (t == DType::Bool) set_int(t, want, z != Complex(0));
        else if (dtype_in(t, integers)) {
          if (dtype_in(f, integers | boolean)) set_int(t, want, get_int(f, p));
          else {
            if (!(std::fabs(z.real()) <
                  (t == DType::I64 || (t == DType::U8 && size_of(f) >= 8) ? 9e18L : 2147483648.L)))
              continue; // undefined
            set_int(t, want, int64_t(z.real()));
          }
        } else if (dtype_in(f, integers)) { // one rounding, except through float32
          if (t == DType::F16 || t == DType::BF16) set(t, want, float(get_int(f, p)));
          else set(t, want, Complex(get_int(f, p)));
        } else if (t == DType::F16 || t == DType::BF16) set(t, want, float(z.real()));
        else set(t, want, z);
        const Complex w = get(t, want), o = get(t, q);
        if (w != w ? o == o : memcmp(want, q, size_of(t)))
          fail(name, text("%Lg%+Lgi gave %Lg%+Lgi, not %Lg%+Lgi", z.real(), z.imag(), o.real(), o.imag(), w.real(),
                          w.imag()));
      }
    }
  // every float16 and bfloat16, there and back
  for (DType h : {DType::F16, DType::BF16}) {
    std::vector<uint16_t> in(65536), out(65536);
    std::vector<float> f(65536);
    for (int i = 0; i < 65536; ++i) in[i] = uint16_t(i);
    auto go = [&](DType from, DType to, void *a, void *b) {
      Grid g;
      g.ndim = 1, g.shape[0] = 65536, g.data[0] = (char *)b, g.data[1] = (char *)a;
      g.stride[0][0] = size_of(to), g.stride[0][1] = size_of(from);
      L->map(L->cast[int(from)][int(to)], g);
    };
    go(h, DType::F32, in.data(), f.data());
    go(DType::F32, h, f.data(), out.data());
    for (int i = 0; i < 65536; ++i) {
      ++checks;
      const float w = h == DType::F16 ? half_value(in[i]) : bfloat_value(in[i]);
      if (w != w ? f[i] == f[i] : w != f[i] || in[i] != out[i]) fail(info(h).name, text("%d there and back", i));
    }
  }
}

// --- reductions -----------------------------------------------------------------------------------------------------
void test_reductions() {
  const char *names[] = {"sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "sumsq"};
  struct Case {
    std::vector<long> shape;
    std::vector<int> reduced;
    int kind; // 0 dense, 1 spread out, 2 transposed
  };
  std::vector<Case> cases = {{{1}, {0}, 0},       {{5}, {0}, 0},       {{1000}, {0}, 0},        {{20011}, {0}, 0},
                             {{1000}, {0}, 1},    {{7, 3}, {1}, 0},    {{3, 100}, {1}, 0},      {{300, 3}, {0}, 0},
                             {{300, 67}, {0}, 0}, {{67, 300}, {1}, 2}, {{5, 6, 7}, {0, 2}, 0},  {{5, 6, 7}, {1}, 1},
                             {{40, 33}, {0}, 1},  {{4, 300}, {0}, 0},  {{2, 3, 40}, {0, 1}, 0}, {{0, 3}, {0}, 0}};
  for (int f = 0; f < fold_count; ++f)
    for (int it = 0; it < dtype_count; ++it)
      for (int ot = 0; ot < dtype_count; ++ot) {
        const Reduce reduce = L->reduce[f][it][ot];
        if (!reduce) continue;
        const DType in_t = DType(it), out_t = DType(ot);
        const Fold fold = Fold(f);
        const std::string name = std::string(names[f]) + " " + info(in_t).name + " to " + info(out_t).name;
        for (auto &c : cases) {
          const int nd = int(c.shape.size());
          long n = 1;
          for (long s : c.shape) n *= s;
          const bool empty = n == 0;
          if (empty && fold != Fold::sum && fold != Fold::prod && fold != Fold::any && fold != Fold::all) continue;
          const long size = size_of(in_t), out_size = size_of(out_t);
          auto in = inputs(in_t, n * 2 + 8, 0);
          if (dtype_in(in_t, floats | complexes)) // finite, and near 1 for products
            for (long i = 0; i < n * 2 + 8; ++i) {
              Real x = fold == Fold::prod ? 1 + 0.02L * std::tanh(random_real())
                                          : std::tanh(random_real()) + (fold == Fold::sum ? 1 : 0);
              if ((fold == Fold::max || fold == Fold::argmin) && n == 1000 && i == 500) x = nan_;
              if ((fold == Fold::any || fold == Fold::all) && rng() % 2) x = 0;
              set(in_t, in.data() + i * size, Complex(x, dtype_in(in_t, complexes) ? x / 8 : 0));
            }
          std::vector<long> stride(nd);
          long step = c.kind == 1 ? 2 : 1;
          if (c.kind == 2)
            for (int d = 0; d < nd; ++d) stride[d] = step * size, step *= c.shape[d];
          else
            for (int d = nd - 1; d >= 0; --d) stride[d] = step * size, step *= c.shape[d];
          Reduction r;
          r.kept = r.reduced = 0;
          std::vector<bool> is(nd);
          for (int d : c.reduced) is[d] = true;
          long outs = 1;
          for (int d = 0; d < nd; ++d)
            if (!is[d]) outs *= c.shape[d];
          long ostep = out_size * outs;
          std::vector<long> ostride(nd);
          for (int d = 0; d < nd; ++d) {
            if (is[d]) r.reduced_shape[r.reduced] = c.shape[d], r.reduced_stride[r.reduced++] = stride[d];
            else {
              ostep /= c.shape[d];
              r.kept_shape[r.kept] = c.shape[d], r.in_stride[r.kept] = stride[d], ostride[d] = ostep;
              r.out_stride[r.kept++] = ostep;
            }
          }
          std::vector<char> out(outs * 16 + 16);
          r.in = in.data(), r.out = out.data();
          reduce(r);
          // the reference
          std::vector<Complex> total(outs, fold == Fold::prod || fold == Fold::all ? 1 : 0);
          std::vector<int64_t> itotal(outs, fold == Fold::prod || fold == Fold::all ? 1 : 0), index(outs, -1),
              seen(outs);
          std::vector<Real> size_of_terms(outs);
          for (long i = 0; i < n; ++i) {
            long rest = i, off = 0, o = 0;
            for (int d = nd - 1; d >= 0; --d) {
              const long k = rest % c.shape[d];
              rest /= c.shape[d];
              off += k * stride[d];
              if (!is[d]) o += k * ostride[d];
            }
            o /= out_size;
            const char *p = in.data() + off;
            const Complex z = get(in_t, p);
            const int64_t w = get_int(in_t, p);
            size_of_terms[o] += std::abs(z);
            switch (fold) {
            case Fold::sum: total[o] += z, itotal[o] = int64_t(uint64_t(itotal[o]) + uint64_t(w)); break;
            case Fold::prod: total[o] *= z, itotal[o] = int64_t(uint64_t(itotal[o]) * uint64_t(w)); break;
            case Fold::sumsq: total[o] += std::norm(z); break;
            case Fold::any: itotal[o] |= z != Complex(0); break;
            case Fold::all: itotal[o] &= z != Complex(0); break;
            default: {
              const bool most = fold == Fold::max || fold == Fold::argmax;
              const Real x = z.real(), b = total[o].real();
              const bool isint = !dtype_in(in_t, floats);
              const bool better =
                  isint ? (most ? w > itotal[o] : w < itotal[o]) : (most ? x > b : x < b) || (x != x && b == b);
              if (index[o] < 0 || better) total[o] = z, itotal[o] = w, index[o] = seen[o];
            }
            }
            ++seen[o];
          }
          for (long o = 0; o < outs; ++o) {
            ++checks;
            const char *p = out.data() + o * out_size;
            const bool arg = fold == Fold::argmax || fold == Fold::argmin;
            if (arg || dtype_in(out_t, integers | boolean)) {
              char want[8];
              set_int(out_t, want, arg ? index[o] : itotal[o]);
              if (memcmp(want, p, out_size))
                fail(name, text("case %d: %ld, not %ld", int(&c - cases.data()), long(get_int(out_t, p)),
                                long(get_int(out_t, want))));
              continue;
            }
            const Complex got = get(out_t, p), want = total[o];
            const DType lanes = size_of(in_t) == 2 || in_t == DType::C64 ? DType::F32 : in_t;
            Real tolerance = fold == Fold::max || fold == Fold::min
                                 ? 0
                                 : 0.51L * ulp(out_t, std::abs(want)) + 4 * ulp(lanes, size_of_terms[o]);
            if (fold == Fold::prod) tolerance = (1 + n) * ulp(out_t, std::abs(want));
            if (std::abs(want) > largest(out_t)) continue;
            if (want != want ? got == got : !(std::abs(got - want) <= tolerance))
              fail(name, text("case %d: %.12Lg%+.9Lgi, not %.12Lg%+.9Lgi", int(&c - cases.data()), got.real(),
                              got.imag(), want.real(), want.imag()));
          }
        }
      }
  // 2^24 numbers
  constexpr long n = 1 << 24;
  std::vector<float> x(n);
  std::uniform_real_distribution<float> u(0, 1);
  double exact = 0;
  for (auto &v : x) v = u(rng), exact += v;
  double sum;
  Reduction r;
  r.kept = 0, r.reduced = 1, r.reduced_shape[0] = n, r.reduced_stride[0] = 4, r.in = (char *)x.data(),
  r.out = (char *)&sum;
  L->reduce[int(Fold::sum)][int(DType::F32)][int(DType::F64)](r);
  printf("[%s] sum of 2^24 float32: relative error %.2e\n", L->name, std::fabs(sum - exact) / exact);
  if (std::fabs(sum - exact) > 1e-8 * exact) fail("sum", "2^24 numbers");
}

// --- scans ----------------------------------------------------------------------------------------------------------
void test_scans() {
  const char *names[] = {"cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"};
  for (int s = 0; s < scan_count; ++s)
    for (int it = 0; it < dtype_count; ++it) {
      const ScanLine line = L->scan[s][it];
      if (!line) continue;
      const DType t = DType(it);
      const std::string name = std::string(names[s]) + " " + info(t).name;
      constexpr long n = 50;
      const long size = size_of(t);
      auto in = inputs(t, n * 2, 0);
      if (dtype_in(t, floats | complexes) && s != 4)
        for (long i = 0; i < n * 2; ++i)
          set(t, in.data() + i * size,
              Complex(s == 1 ? 1 + 0.1L * std::tanh(random_real()) : std::tanh(random_real()), 0));
      if (s >= 2 && s < 4 && dtype_in(t, floats)) set(t, in.data() + 60 * size, nan_);
      if (s == 4)
        for (long i = 0; i < n * 2; ++i) set(t, in.data() + i * size, std::tanh(random_real()) * 5);
      std::vector<char> out(n * 16 * 3);
      std::vector<int64_t> index(n);
      line(out.data(), 3 * size, index.data(), 8, in.data(), 2 * size, n);
      Complex total = s == 1 ? 1 : 0;
      int64_t w = s == 1, at = 0;
      for (long i = 0; i < n; ++i) {
        ++checks;
        const char *p = in.data() + i * 2 * size, *q = out.data() + i * 3 * size;
        const Complex z = get(t, p);
        const int64_t v = get_int(t, p);
        if (s == 0) total += z, w = int64_t(uint64_t(w) + uint64_t(v));
        else if (s == 1) total *= z, w = int64_t(uint64_t(w) * uint64_t(v));
        else if (s == 4) total = i ? std::log(std::exp(total) + std::exp(z)) : z;
        else {
          const bool isint = !dtype_in(t, floats);
          const bool wins =
              isint ? (s == 2 ? v >= w : v <= w)
                    : z != z || (total == total && (s == 2 ? z.real() >= total.real() : z.real() <= total.real()));
          if (i == 0 || wins) total = z, w = v, at = i;
          if (index[i] != at) fail(name, text("index %ld: %ld, not %ld", i, long(index[i]), long(at)));
        }
        if (dtype_in(t, integers | boolean)) {
          char want[8];
          set_int(t, want, w);
          if (memcmp(want, q, size)) fail(name, "value");
        } else {
          const Complex got = get(t, q);
          if (total != total ? got == got : std::abs(got - total) > 4 * ulp(t, std::max(Real(4), std::abs(total))))
            fail(name, text("%ld: %Lg, not %Lg", i, got.real(), total.real()));
        }
      }
    }
}

void test_level(const Level &level) {
  L = &level;
#define X(op)                                                                                                          \
  for (int t = 0; t < dtype_count; ++t) test_values(ops::op, DType(t)), test_layouts(ops::op, DType(t));
  ELEMENTWISE(X)
#undef X
  test_casts();
  test_reductions();
  test_scans();
}

} // namespace

int main(int argc, char **argv) {
  fill_references();
  printf("levels of this machine: %s\n", available_levels());
  for (const char *name : {"v2", "v3", "v4", "neon"})
    if (argc < 2 || !strcmp(argv[1], name))
      if (const Level *l = find_level(name)) {
        rng.seed(1);
        test_level(*l);
      }
  for (auto &[what, times] : told)
    if (what.rfind("no reference", 0) == 0) printf("%s\n", what.c_str());
    else if (times > 4) printf("%s: %d failures\n", what.c_str(), times);
  printf("%ld checks, %ld failures\n", checks, failures);
  return failures != 0;
}
