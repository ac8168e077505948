// The random streams of torch's CPU, drawn into plain (strided) buffers.
//
// For the same seed every stream equals torch 2.13's on x86-64 with AVX2, bit for bit; tests/test_random.py compares
// them. Where torch runs other code it differs from itself, and so from us: without AVX2 its normals of 16 and more
// float32, float16 and bfloat16 elements come from libm (measured: 39 % of the float32 ones differ, by 2e-6 at most),
// and its cauchy_ is not fused (2e-12 of the value). The double functions (log1p, sin, cos, exp, tan, ...) are the
// system's libm, as torch's are. The multiplications and additions that torch's compiler fused are written out as fma,
// and this file is compiled with -ffp-contract=off so that there are no others and every machine draws the same
// numbers.
#include "random.h"

#include "cpu/threads.h"
#include "patient_lock.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "half.h"

namespace hadamard {

// ------------------------------------------------------------------------------------------- walking over a buffer
namespace {

constexpr int max_walk_dims = 65; // the most a tensor has, and one for the parts of complex numbers
using Lock = PatientLock;

// The dimensions of y, those of size 1 dropped, innermost in memory first, merged where they run on. A second array of
// the same shape is walked along.
struct Walk {
  int ndim = 0;
  bool empty = false;
  int64_t shape[max_walk_dims], stride[max_walk_dims], other[max_walk_dims];

  explicit Walk(const Elements &y, const Elements *second = nullptr) {
    for (int d = y.ndim - 1; d >= 0; --d) {
      if (y.shape[d] == 0) empty = true;
      if (y.shape[d] <= 1) continue;
      int at = ndim++;
      for (; at > 0 && stride[at - 1] > y.stride[d]; --at) {
        shape[at] = shape[at - 1];
        stride[at] = stride[at - 1];
        other[at] = other[at - 1];
      }
      shape[at] = y.shape[d];
      stride[at] = y.stride[d];
      other[at] = second ? second->stride[d] : 0;
    }
    int kept = 0;
    for (int d = 1; d < ndim; ++d) {
      bool run_on = stride[d] == stride[kept] * shape[kept] && (!second || other[d] == other[kept] * shape[kept]);
      if (run_on) {
        shape[kept] *= shape[d];
      } else {
        ++kept;
        shape[kept] = shape[d];
        stride[kept] = stride[d];
        other[kept] = other[d];
      }
    }
    if (ndim == 0) {
      shape[0] = 1;
      stride[0] = other[0] = 0;
    }
    ndim = kept + 1;
  }

  // row(offset of the first element, offset in the second array) for every innermost row.
  template <class F> void rows(const F &row) const {
    if (empty) return;
    int64_t index[max_walk_dims] = {}, offset = 0, second = 0;
    for (;;) {
      row(offset, second);
      int d = 1;
      for (; d < ndim; ++d) {
        offset += stride[d];
        second += other[d];
        if (++index[d] < shape[d]) break;
        offset -= stride[d] * shape[d];
        second -= other[d] * shape[d];
        index[d] = 0;
      }
      if (d >= ndim) return;
    }
  }
};

bool contiguous(const Elements &y) {
  int64_t expected = 1;
  for (int d = y.ndim - 1; d >= 0; --d) {
    if (y.shape[d] == 1) continue;
    if (y.stride[d] != expected) return false;
    expected *= y.shape[d];
  }
  return true;
}

int64_t count(const Elements &y) {
  int64_t n = 1;
  for (int d = 0; d < y.ndim; ++d) n *= y.shape[d];
  return n;
}

// draw(T *to, n) makes the next n samples; they land in y in the order of memory.
template <class T, class Draw> void fill(const Elements &y, const Draw &draw) {
  Walk walk(y);
  T *data = static_cast<T *>(y.data);
  int64_t n = walk.shape[0], step = walk.stride[0];
  walk.rows([&](int64_t offset, int64_t) {
    if (step == 1 || n == 1) return draw(data + offset, n);
    T part[256];
    for (int64_t i = 0; i < n; i += 256) {
      int64_t m = std::min<int64_t>(256, n - i);
      draw(part, m);
      for (int64_t j = 0; j < m; ++j) data[offset + (i + j) * step] = part[j];
    }
  });
}

// The same with one sample at a time.
template <class T, class Sample> void fill_each(const Elements &y, const Sample &sample) {
  fill<T>(y, [&](T *to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = sample();
  });
}

// y = sample(x) over two arrays of one shape.
template <class T, class X, class Sample> void map(const Elements &y, const Elements &x, const Sample &sample) {
  Walk walk(y, &x);
  T *to = static_cast<T *>(y.data);
  const X *from = static_cast<const X *>(x.data);
  walk.rows([&](int64_t at, int64_t second) {
    for (int64_t i = 0; i < walk.shape[0]; ++i) to[at + i * walk.stride[0]] = sample(from[second + i * walk.other[0]]);
  });
}

// f(y as pairs of real numbers), for complex y.
template <class F> void as_real(const Elements &y, const F &f) {
  int64_t shape[max_walk_dims], stride[max_walk_dims];
  for (int d = 0; d < y.ndim; ++d) {
    shape[d] = y.shape[d];
    stride[d] = y.stride[d] * 2;
  }
  shape[y.ndim] = 2;
  stride[y.ndim] = 1;
  f(Elements{y.dtype == DType::C64 ? DType::F32 : DType::F64, y.data, y.ndim + 1, shape, stride});
}

// ------------------------------------------------------------------------------------------------------ conversions

template <class T> constexpr bool is_small_float = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;
template <class T> constexpr bool is_complex = std::is_same_v<T, c64> || std::is_same_v<T, c128>;
template <class T> constexpr bool is_float = is_small_float<T> || std::is_floating_point_v<T>;
template <class T>
constexpr int digits = std::is_same_v<T, f16>    ? 11
                       : std::is_same_v<T, bf16> ? 8
                                                 : std::numeric_limits<T>::digits;

float widen(bf16 x) { return to_float(x); }
float widen(f16 x) { return to_float(x); }
float widen(float x) { return x; }
double widen(double x) { return x; }

// A real number as T. The small floats go through float, as in torch; integers are truncated, and what does not fit
// becomes what x86's conversion makes of it.
template <class T> T convert(double x) {
  if constexpr (std::is_same_v<T, f16>) {
    return to_f16(float(x));
  } else if constexpr (std::is_same_v<T, bf16>) {
    return to_bf16(float(x));
  } else if constexpr (std::is_floating_point_v<T>) {
    return T(x);
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else {
    using Wide = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
    constexpr double limit = sizeof(T) == 8 ? 0x1p63 : 0x1p31;
    return T(x > -limit - 1 && x < limit ? Wide(x) : std::numeric_limits<Wide>::min());
  }
}
template <class T> T convert_integer(int64_t x) {
  if constexpr (std::is_same_v<T, f16>) return to_f16(float(x));
  else if constexpr (std::is_same_v<T, bf16>) return to_bf16(float(x));
  else if constexpr (std::is_same_v<T, bool>) return x != 0;
  else return T(x);
}

// ---------------------------------------------------------------------------------------------------------- uniform

constexpr int block = 512; // words drawn at a time

HD_INLINE float unit(uint32_t word) { return float(int32_t(word & 0xffffff)) * 0x1p-24f; }
HD_INLINE double unit(uint32_t high, uint32_t low) {
  return double(int64_t((uint64_t(high) << 32 | low) & ((uint64_t(1) << 53) - 1))) * 0x1p-53;
}

// n numbers of [0, 1), computed as torch computes them for float and double.
void units(Generator &g, float *to, int64_t n) {
  uint32_t words[block];
  for (int64_t i = 0; i < n; i += block) {
    int64_t m = std::min<int64_t>(block, n - i);
    g.words(words, m);
    for (int64_t j = 0; j < m; ++j) to[i + j] = unit(words[j]);
  }
}
void units(Generator &g, double *to, int64_t n) {
  uint32_t words[block];
  for (int64_t i = 0; i < n; i += block / 2) {
    int64_t m = std::min<int64_t>(block / 2, n - i);
    g.words(words, 2 * m);
    for (int64_t j = 0; j < m; ++j) to[i + j] = unit(words[2 * j], words[2 * j + 1]);
  }
}

template <class T> void uniform(Generator &g, const Elements &y, double from, double to) {
  using W = std::conditional_t<std::is_same_v<T, double>, double, float>;
  W low = W(from), width = W(to) - low;
  T first = convert<T>(from), end = convert<T>(to);
  // Rounding may reach the open end of the interval.
  auto scale = [&](W x) {
    T v = convert<T>(std::fma(x, width, low));
    return widen(v) == widen(end) ? first : v;
  };
  fill<T>(y, [&](T *to, int64_t n) {
    if constexpr (std::is_same_v<T, W>) {
      units(g, to, n);
      if (low == 0 && width == 1) return;
      for (int64_t i = 0; i < n; ++i) to[i] = scale(to[i]);
    } else {
      W part[block];
      for (int64_t i = 0; i < n; i += block) {
        int64_t m = std::min<int64_t>(block, n - i);
        units(g, part, m);
        for (int64_t j = 0; j < m; ++j) to[i + j] = scale(part[j]);
      }
    }
  });
}

// ----------------------------------------------------------------------------------------------------------- normal

// Cephes' single precision log on (0, 1], and sine and cosine on [0, 2 pi), in the order of operations of torch's AVX2
// build.
HD_INLINE float cephes_log(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  float e = float(int32_t(bits >> 23) - 126), m = std::bit_cast<float>((bits & 0x807fffff) | 0x3f000000);
  bool small = m < 0.707106781186547524f;
  float kept = small ? m : 0.0f;
  e = e - (small ? 1.0f : 0.0f);
  m = m - 1.0f + kept;
  float y = 7.0376836292e-2f;
  y = __builtin_fmaf(y, m, -1.1514610310e-1f);
  y = __builtin_fmaf(y, m, 1.1676998740e-1f);
  y = __builtin_fmaf(y, m, -1.2420140846e-1f);
  y = __builtin_fmaf(y, m, 1.4249322787e-1f);
  y = __builtin_fmaf(y, m, -1.6668057665e-1f);
  y = __builtin_fmaf(y, m, 2.0000714765e-1f);
  y = __builtin_fmaf(y, m, -2.4999993993e-1f);
  y = __builtin_fmaf(y, m, 3.3333331174e-1f);
  float z = m * m;
  y = __builtin_fmaf(y * m, z, e * -2.12194440e-4f);
  y = __builtin_fmaf(z, -0.5f, y);
  return __builtin_fmaf(e, 0.693359375f, m + y);
}
HD_INLINE void cephes_sincos(float x, float &sin, float &cos) {
  int32_t octant = (int32_t(x * 1.27323954473516f) + 1) & ~1; // the nearest multiple of pi/2, in steps of pi/4
  float j = float(octant);
  x = __builtin_fmaf(j, -0.78515625f, x);
  x = __builtin_fmaf(j, -2.4187564849853515625e-4f, x);
  x = __builtin_fmaf(j, -3.77489497744594108e-8f, x);
  float z = x * x;
  float c = 2.443315711809948e-5f;
  c = __builtin_fmaf(c, z, -1.388731625493765e-3f);
  c = __builtin_fmaf(c, z, 4.166664568298827e-2f);
  c = __builtin_fmaf(c * z, z, -(z * 0.5f)) + 1.0f;
  float s = -1.9515295891e-4f;
  s = __builtin_fmaf(s, z, 8.3321608736e-3f);
  s = __builtin_fmaf(s, z, -1.6666654611e-1f);
  s = __builtin_fmaf(s * z, x, x);
  bool swapped = octant & 2;
  uint32_t sin_bits = std::bit_cast<uint32_t>(swapped ? c : s), cos_bits = std::bit_cast<uint32_t>(swapped ? s : c);
  sin = std::bit_cast<float>(sin_bits ^ uint32_t(octant & 4) << 29);
  cos = std::bit_cast<float>(cos_bits ^ uint32_t(~(octant - 2) & 4) << 29);
}

// Box-Muller on 16 numbers of [0, 1), in place: element i and i + 8 make a pair. `sixteens` of them in a row.
HD_INLINE void box_muller_sixteens(float *u, int64_t sixteens, float mean, float std) {
  for (; sixteens > 0; --sixteens, u += 16) {
    for (int i = 0; i < 8; ++i) {
      float radius = __builtin_sqrtf(-2.0f * cephes_log(1.0f - u[i])), sin, cos;
      cephes_sincos(float(2.0f * M_PI) * u[i + 8], sin, cos);
      u[i] = __builtin_fmaf(radius * cos, std, mean);
      u[i + 8] = __builtin_fmaf(radius * sin, std, mean);
    }
  }
}
#ifdef __x86_64__
__attribute__((target("avx2,fma"))) void box_muller_avx2(float *u, int64_t sixteens, float mean, float std) {
  box_muller_sixteens(u, sixteens, mean, std);
}
#endif
void box_muller_any(float *u, int64_t sixteens, float mean, float std) { box_muller_sixteens(u, sixteens, mean, std); }

void box_muller(float *u, int64_t sixteens, float mean, float std) {
#ifdef __x86_64__
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) return box_muller_avx2(u, sixteens, mean, std);
#endif
  box_muller_any(u, sixteens, mean, std);
}
void box_muller(double *u, int64_t sixteens, double mean, double std) {
  for (; sixteens > 0; --sixteens, u += 16) {
    for (int i = 0; i < 8; ++i) {
      double radius = std::sqrt(-2 * std::log(1 - u[i])), angle = 2 * M_PI * u[i + 8];
      u[i] = std::fma(radius * std::cos(angle), std, mean);
      u[i + 8] = std::fma(radius * std::sin(angle), std, mean);
    }
  }
}

// n >= 16 contiguous elements. Where n is no multiple of 16, float and double draw n numbers and transform whole
// sixteens, then redraw the last 16; the small floats draw whole sixteens only.
template <class T> void normal_sixteens(Generator &g, T *y, int64_t n, double mean, double std) {
  using W = std::conditional_t<std::is_same_v<T, double>, double, float>;
  constexpr int part_size = 512;
  W part[part_size];
  auto draw = [&](T *to, int64_t sixteens) {
    for (int64_t i = 0; i < sixteens * 16; i += part_size) {
      int64_t m = std::min<int64_t>(part_size, sixteens * 16 - i);
      W *u = part;
      if constexpr (std::is_same_v<T, W>) u = to + i;
      units(g, u, m);
      box_muller(u, m / 16, W(mean), W(std));
      if constexpr (!std::is_same_v<T, W>)
        for (int64_t j = 0; j < m; ++j) to[i + j] = convert<T>(part[j]);
    }
  };
  draw(y, n / 16);
  if (n % 16 == 0) return;
  if constexpr (std::is_same_v<T, W>) units(g, part, n % 16);
  draw(y + n - 16, 1);
}

// -------------------------------------------------------------------------------------------------------- the others

// Calls f(Type<T>{}) for the dtypes that random numbers are drawn in.
template <class F> void visit_floats(DType t, const F &f) {
  visit(t, [&](auto type) {
    if constexpr (is_float<typename decltype(type)::type>) f(type);
  });
}
template <class F> void visit_reals(DType t, const F &f) {
  visit(t, [&](auto type) {
    if constexpr (!is_complex<typename decltype(type)::type>) f(type);
  });
}

template <class Sample> void fill_floats(Generator &g, const Elements &y, const Sample &sample) {
  Lock lock(g.mutex);
  visit_floats(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    fill_each<T>(y, [&] { return convert<T>(sample()); });
  });
}

// Hoermann's transformed rejection (1993, PTRS); by multiplication below 10.
int64_t poisson(Generator &g, double rate) {
  if (rate == 0) return 0;
  if (rate < 10) {
    double limit = std::exp(-rate), product = g.uniform();
    int64_t k = 0;
    for (; product > limit; ++k) product *= g.uniform();
    return k;
  }
  double log_rate = std::log(rate), b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    double u = g.uniform() - 0.5, v = g.uniform(), us = 0.5 - std::fabs(u);
    double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return convert<int64_t>(k);
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b) <=
        -rate + k * log_rate - std::lgamma(k + 1))
      return convert<int64_t>(k);
  }
}

// Marsaglia and Tsang (2000), alpha below 1 boosted. A is the dtype in which torch keeps alpha.
template <class A> double gamma(Generator &g, A alpha) {
  double scale = 1;
  if (alpha < 1) {
    if (alpha == 0) return 0;
    scale = std::pow(1 - g.uniform(), double(A(1) / alpha));
    alpha += 1;
  }
  double d = alpha - A(1.0f / 3.0f), c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x, y;
    do {
      x = g.normal(0, 1);
      y = 1 + c * x;
    } while (y <= 0);
    double v = y * y * y, u = 1 - g.uniform(), xx = x * x;
    if (u < 1 - double(0.0331f) * xx * xx || std::log(u) < 0.5 * xx + d * (1 - v + std::log(v))) return scale * d * v;
  }
}

// word % divisor for a divisor fixed beforehand (Lemire, Kaser, Kurz 2019).
struct Remainder {
  uint64_t divisor, inverse;
  explicit Remainder(uint32_t d) : divisor(d), inverse(~uint64_t(0) / d + 1) {}
  uint32_t operator()(uint32_t word) const { return uint32_t((unsigned __int128)(inverse * word) * divisor >> 64); }
};

} // namespace

void fill_uniform(Generator &g, const Elements &y, double from, double to) {
  if (dtype_in(y.dtype, complexes)) return as_real(y, [&](const Elements &pairs) { fill_uniform(g, pairs, from, to); });
  Lock lock(g.mutex);
  visit_floats(y.dtype, [&](auto type) { uniform<typename decltype(type)::type>(g, y, from, to); });
}

void fill_normal(Generator &g, const Elements &y, double mean, double std) {
  if (dtype_in(y.dtype, complexes)) // the variance is shared by the real and the imaginary part
    return as_real(y, [&](const Elements &pairs) { fill_normal(g, pairs, mean, std / std::sqrt(2.0)); });
  int64_t n = count(y);
  if (n < 16 || !contiguous(y)) return fill_floats(g, y, [&] { return g.normal(mean, std); });
  Lock lock(g.mutex);
  visit_floats(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    normal_sixteens(g, static_cast<T *>(y.data), n, mean, std);
  });
}

void fill_exponential(Generator &g, const Elements &y, double lambda) {
  fill_floats(g, y, [&, factor = -1.0 / lambda] { return factor * std::log1p(-g.uniform()); });
}

void fill_log_normal(Generator &g, const Elements &y, double mean, double std) {
  fill_floats(g, y, [&] { return std::exp(g.normal(mean, std)); });
}

void fill_cauchy(Generator &g, const Elements &y, double median, double sigma) {
  fill_floats(g, y, [&] { return std::fma(sigma, std::tan(M_PI * (g.uniform() - 0.5)), median); });
}

void fill_geometric(Generator &g, const Elements &y, double p) {
  Lock lock(g.mutex);
  double log_q = std::log1p(-p);
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    fill_each<T>(y, [&] { return convert<T>(std::ceil(std::log(g.uniform()) / log_q)); });
  });
}

void fill_integers(Generator &g, const Elements &y) {
  Lock lock(g.mutex);
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    constexpr uint64_t end = is_float<T> ? (uint64_t(1) << digits<T>)+1 : uint64_t(1) << std::min(63, digits<T>);
    fill_each<T>(y, [&] {
      uint64_t word = std::is_same_v<T, double> || std::is_same_v<T, int64_t> ? g.word64() : g.word();
      return convert_integer<T>(int64_t(word % end));
    });
  });
}

void fill_integers(Generator &g, const Elements &y, int64_t from, uint64_t range) {
  Lock lock(g.mutex);
  auto shifted = [&](uint64_t x) { return int64_t(x + uint64_t(from)); };
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if (range >= uint64_t(1) << 28) // a remainder of one word would be skewed
      return fill_each<T>(y, [&] { return convert_integer<T>(shifted(g.word64() % range)); });
    Remainder remainder{uint32_t(range)};
    fill<T>(y, [&](T *to, int64_t n) {
      uint32_t words[block];
      for (int64_t i = 0; i < n; i += block) {
        int64_t m = std::min<int64_t>(block, n - i);
        g.words(words, m);
        for (int64_t j = 0; j < m; ++j) to[i + j] = convert_integer<T>(shifted(remainder(words[j])));
      }
    });
  });
}

void fill_integers_64(Generator &g, const Elements &y) {
  Lock lock(g.mutex);
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    fill_each<T>(y, [&] { return convert_integer<T>(int64_t(g.word64())); });
  });
}

void fill_bernoulli(Generator &g, const Elements &y, double p, double yes) {
  Lock lock(g.mutex);
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const T answers[2] = {convert<T>(0), convert<T>(yes)};
    fill<T>(y, [&](T *to, int64_t n) {
      uint32_t words[block];
      for (int64_t i = 0; i < n; i += block / 2) {
        int64_t m = std::min<int64_t>(block / 2, n - i);
        g.words(words, 2 * m);
        for (int64_t j = 0; j < m; ++j) to[i + j] = answers[unit(words[2 * j], words[2 * j + 1]) < p];
      }
    });
  });
}

bool fill_bernoulli(Generator &g, const Elements &y, const Elements &p) {
  Lock lock(g.mutex);
  bool valid = true;
  visit_floats(p.dtype, [&](auto type) {
    using P = typename decltype(type)::type;
    Walk walk(p);
    walk.rows([&](int64_t at, int64_t) {
      const P *row = static_cast<const P *>(p.data) + at;
      for (int64_t i = 0; i < walk.shape[0]; ++i) {
        auto v = widen(row[i * walk.stride[0]]);
        valid = valid && v >= 0 && v <= 1;
      }
    });
    if (!valid) return;
    visit_reals(y.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      map<T, P>(y, p, [&](P v) {
        if constexpr (std::is_same_v<P, double>) return convert_integer<T>(g.uniform() < v);
        else return convert_integer<T>(unit(g.word()) < widen(v));
      });
    });
  });
  return valid;
}

bool fill_poisson(Generator &g, const Elements &y, const Elements &rate) {
  Lock lock(g.mutex);
  bool valid = true;
  visit_floats(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    map<T, T>(y, rate, [&](T v) {
      if (!(widen(v) >= 0)) valid = false;
      return v;
    });
    if (valid) map<T, T>(y, rate, [&](T v) { return convert_integer<T>(poisson(g, widen(v))); });
  });
  return valid;
}

void fill_gamma(Generator &g, const Elements &y, const Elements &alpha) {
  Lock lock(g.mutex);
  visit_floats(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    map<T, T>(y, alpha, [&](T v) {
      using W = decltype(widen(v));
      return convert<T>(std::max<W>(std::numeric_limits<W>::min(), W(gamma(g, widen(v)))));
    });
  });
}

void fill_permutation(Generator &g, const Elements &y) {
  Lock lock(g.mutex);
  visit_reals(y.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    int64_t n = y.shape[0], step = y.stride[0];
    T *to = static_cast<T *>(y.data);
    if (n < std::numeric_limits<uint32_t>::max() / 20) {
      for (int64_t i = 0; i < n; ++i) to[i * step] = convert_integer<T>(i);
      for (int64_t i = 0; i < n - 1; ++i) std::swap(to[i * step], to[(i + g.word() % uint32_t(n - i)) * step]);
      return;
    }
    for (int64_t i = 0; i < n; ++i) { // a remainder of one word would be skewed
      int64_t j = int64_t(g.word64() % uint64_t(i + 1));
      to[i * step] = convert_integer<T>(i);
      to[i * step] = to[j * step];
      to[j * step] = convert_integer<T>(i);
    }
  });
}

// ------------------------------------------------------------------------------------------------------- categories

namespace {
struct Rows {
  int64_t rows, columns, row_stride, stride;
  explicit Rows(const Elements &x)
      : rows(x.ndim > 1 ? x.shape[0] : 1), columns(x.shape[x.ndim - 1]), row_stride(x.ndim > 1 ? x.stride[0] : 0),
        stride(x.stride[x.ndim - 1]) {}
};
} // namespace

Categories check_categories(const Elements &p) {
  Rows in(p);
  Categories state = Categories::fine;
  visit_floats(p.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    for (int64_t row = 0; row < in.rows; ++row) {
      const T *from = static_cast<const T *>(p.data) + row * in.row_stride;
      bool any = false;
      for (int64_t i = 0; i < in.columns; ++i) {
        auto v = widen(from[i * in.stride]);
        if (!(v >= 0)) state = Categories::negative;
        else if (!std::isfinite(v)) state = Categories::not_finite;
        else any = any || v > 0;
      }
      if (!any && state == Categories::fine) state = Categories::no_sum;
    }
  });
  return state;
}

Categories fill_multinomial(Generator &g, const Elements &index, const Elements &p) {
  Lock lock(g.mutex);
  Rows in(p), out(index);
  Categories state = Categories::fine;
  visit_floats(p.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using W = decltype(widen(T{}));
    std::vector<W> upto(size_t(in.columns));
    for (int64_t row = 0; row < in.rows; ++row) {
      const T *from = static_cast<const T *>(p.data) + row * in.row_stride;
      W sum = 0;
      for (int64_t i = 0; i < in.columns; ++i) {
        W v = widen(from[i * in.stride]);
        if (!(v >= 0)) return void(state = Categories::negative);
        if (!std::isfinite(v)) return void(state = Categories::not_finite);
        upto[size_t(i)] = sum += v;
      }
      if (!(sum > 0)) return void(state = Categories::no_sum);
      for (W &v : upto) v /= sum;
      upto.back() = 1;
      int64_t *to = static_cast<int64_t *>(index.data) + row * out.row_stride;
      for (int64_t i = 0; i < out.columns; ++i)
        to[i * out.stride] = std::lower_bound(upto.begin(), upto.end(), g.uniform()) - upto.begin();
    }
  });
  return state;
}

void fill_largest(const Elements &index, const Elements &p, const Elements &q) {
  Rows in(p), drawn(q), out(index);
  visit_floats(p.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using W = decltype(widen(T{}));
    using Entry = std::pair<W, int64_t>;
    std::vector<Entry> entries(size_t(in.columns));
    auto larger = [](const Entry &a, const Entry &b) { // NaN is the largest
      return (a.first != a.first && b.first == b.first) || a.first > b.first;
    };
    for (int64_t row = 0; row < in.rows; ++row) {
      const T *a = static_cast<const T *>(p.data) + row * in.row_stride;
      const T *b = static_cast<const T *>(q.data) + row * drawn.row_stride;
      for (int64_t i = 0; i < in.columns; ++i)
        entries[size_t(i)] = {widen(convert<T>(widen(a[i * in.stride]) / widen(b[i * drawn.stride]))), i};
      // The order of equal entries (probability 0) is that of these library functions, as in torch.
      auto end = entries.begin() + out.columns;
      if (out.columns == 1) {
        std::iter_swap(entries.begin(), std::min_element(entries.begin(), entries.end(), larger));
      } else if (out.columns * 64 <= in.columns) {
        std::partial_sort(entries.begin(), end, entries.end(), larger);
      } else {
        std::nth_element(entries.begin(), end - 1, entries.end(), larger);
        std::sort(entries.begin(), end - 1, larger);
      }
      int64_t *to = static_cast<int64_t *>(index.data) + row * out.row_stride;
      for (int64_t i = 0; i < out.columns; ++i) to[i * out.stride] = entries[size_t(i)].second;
    }
  });
}

} // namespace hadamard
