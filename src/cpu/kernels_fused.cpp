// The kernels of fused.h. A row is summed in the same order wherever it lies: lanes first, blocks in double.
#include "fused.h"

#include "level.h"
#include "math.h"

namespace hadamard::LEVEL {

void depthwise(const Plane<float> &), depthwise(const Plane<double> &);
void depthwise_sums(const Plane<float> &, double *), depthwise_sums(const Plane<double> &, double *);
void copy_rows(float *, long, const float *, long, long, long),
    copy_rows(double *, long, const double *, long, long, long);

namespace {

constexpr long block = 1024; // elements summed in T before the sum is widened

template <class T> constexpr int lanes = width / int(sizeof(T));
template <class T> using Lane = Lanes<T, lanes<T>>;

// Bits set in the first n lanes.
template <class T> HD_INLINE auto first_of(long n) {
  using I = Int<T>;
  return [&]<int... i>(Sequence<i...>) {
    return Vector<I, lanes<T>>(Vector<I, lanes<T>>{I(i)...} < (I(n) - Vector<I, lanes<T>>{}));
  }(Indices<lanes<T>>{});
}
template <class T> HD_INLINE Lane<T> part(const T *p, long n, T fill) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vector<T, 16>)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), __mmask16((1u << n) - 1), p);
  else return (Vector<T, 8>)_mm512_mask_loadu_pd(_mm512_set1_pd(fill), __mmask8((1u << n) - 1), p);
#elif defined(__AVX2__)
  constexpr int N = lanes<T>;
  auto there = first_of<T>(n);
  Vector<T, N> v;
  if constexpr (sizeof(T) == 4) v = (Vector<T, N>)_mm256_maskload_ps(p, (__m256i)there);
  else v = (Vector<T, N>)_mm256_maskload_pd(p, (__m256i)there);
  return Lane<T>(Vector<T, N>(there ? v : fill - Vector<T, N>{}));
#else
  T all[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) all[i] = i < n ? p[i] : fill;
  return load<T, lanes<T>>(all);
#endif
}
template <class T> HD_INLINE void put_part(T *p, Lane<T> v, long n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v.v);
  else _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v.v);
#else // not vmaskmov: a masked store is microcoded on several machines
  T all[lanes<T>];
  store<T, lanes<T>>(all, v);
  int i = 0;
  if constexpr (lanes<T> > 4)
    if (n & 4) __builtin_memcpy(p, all, 4 * sizeof(T)), i = 4;
  if (n & 2) __builtin_memcpy(p + i, all + i, 2 * sizeof(T)), i += 2;
  if (n & 1) p[i] = all[i];
#endif
}
// f(i, load, store) for every vector of n elements; the last may be short: what is missing reads as `fill`.
template <class T, class F> HD_INLINE void vectors(long n, T fill, const F &f) {
  constexpr int N = lanes<T>;
  long i = 0;
  for (; i + N <= n; i += N) f(i, [](const T *p) { return load<T, N>(p); }, [](T *p, Lane<T> v) { store<T, N>(p, v); });
  if (long left = n - i; left > 0)
    f(
        i, [left, fill](const T *p) { return part<T>(p, left, fill); },
        [left](T *p, Lane<T> v) { put_part<T>(p, v, left); });
}

template <class T> HD_INLINE Lane<T> larger(Lane<T> a, Lane<T> b) { return where((a > b) | (a != a), a, b); }
template <class T> HD_INLINE T largest(Lane<T> v) {
  T m = v.v[0];
  for (int i = 1; i < lanes<T>; ++i) m = v.v[i] > m || v.v[i] != v.v[i] ? v.v[i] : m;
  return m;
}
template <class T> HD_INLINE T total(Lane<T> v) {
  for (int half = lanes<T> / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) v.v[i] += v.v[i + half];
  return v.v[0];
}

template <class T> T row_largest(const T *x, long n) {
  constexpr int N = lanes<T>;
  const T lowest = -math::infinity<T>;
  Lane<T> m[4] = {Lane<T>(lowest), Lane<T>(lowest), Lane<T>(lowest), Lane<T>(lowest)};
  long i = 0;
  for (; i + 4 * N <= n; i += 4 * N)
    for (int u = 0; u < 4; ++u) m[u] = larger<T>(load<T, N>(x + i + u * N), m[u]);
  vectors<T>(n - i, lowest, [&](long j, auto get, auto) { m[0] = larger<T>(get(x + i + j), m[0]); });
  return largest<T>(larger<T>(larger<T>(m[0], m[1]), larger<T>(m[2], m[3])));
}
// The sum of term(i, load, store) over a row; term is 0 on what is missing at the end.
template <class T, class F> HD_INLINE double row_sum(long n, T fill, const F &term) {
  double sum = 0;
  for (long from = 0; from < n; from += block) {
    long count = n - from < block ? n - from : block;
    Lane<T> s(T(0));
    vectors<T>(count, fill, [&](long i, auto get, auto put) { s = s + term(from + i, get, put); });
    sum += double(total<T>(s));
  }
  return sum;
}

template <class T> void softmax(T *y, const T *x, long rows, long n, bool log) {
  for (long r = 0; r < rows; ++r, x += n, y += n) {
    const T m = row_largest(x, n);
    const Lane<T> shift(m);
    // Beyond the end: exp(-inf - m) = 0.
    if (log) {
      double sum =
          row_sum<T>(n, -math::infinity<T>, [&](long i, auto get, auto) { return math::exp(get(x + i) - shift); });
      const Lane<T> rest(T(__builtin_log(sum)));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get(x + i) - shift - rest); });
    } else {
      double sum = row_sum<T>(n, -math::infinity<T>, [&](long i, auto get, auto put) {
        Lane<T> e = math::exp(get(x + i) - shift);
        put(y + i, e);
        return e;
      });
      const Lane<T> by(T(1 / sum));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get((const T *)y + i) * by); });
    }
  }
}
template <class T> void softmax_backward(T *gx, const T *g, const T *y, long rows, long n, bool log) {
  for (long r = 0; r < rows; ++r, gx += n, g += n, y += n) {
    if (log) {
      const Lane<T> sum(T(row_sum<T>(n, T(0), [&](long i, auto get, auto) { return get(g + i); })));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(gx + i, get(g + i) - math::exp(get(y + i)) * sum); });
    } else {
      const Lane<T> sum(T(row_sum<T>(n, T(0), [&](long i, auto get, auto) { return get(g + i) * get(y + i); })));
      vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(gx + i, (get(g + i) - sum) * get(y + i)); });
    }
  }
}

// ---- attention

// e^x for x <= 0, and 0 where that is no normal number: beside a sum of at least 1.
template <class T> HD_INLINE Lane<T> exp_below(Lane<T> x) {
  const Lane<T> least(sizeof(T) == 4 ? T(-88) : T(-709));
  Lane<T> m;
  auto n = math::exp_parts(Lane<T>(where(x < least, least, x)), m);
  return (m + 1) * math::power_of_2(n);
}
template <class T> void update_scores(const Scores<T> &t) {
  for (long r = 0; r < t.rows; ++r) {
    T *s = t.s + r * t.stride;
    T before = t.largest[r], m = row_largest((const T *)s, t.n);
    m = m > before || m != m ? m : before;
    // A row that has seen nothing but -inf so far stays at zero.
    const T shift = m == -math::infinity<T> ? T(0) : m;
    double sum = row_sum<T>(t.n, -math::infinity<T>, [&](long i, auto get, auto put) {
      Lane<T> e = exp_below<T>(get((const T *)s + i) - Lane<T>(shift));
      put(s + i, e);
      return e;
    });
    T shrink = T(__builtin_exp(double(before) - double(shift)));
    t.shrink[r] = shrink;
    t.sum[r] = T(double(t.sum[r]) * double(shrink) + sum);
    t.largest[r] = m;
  }
}
template <class T> void score_gradients(T *s, T *dp, const T *of_row, const T *delta, long rows, long n, long stride) {
  for (long r = 0; r < rows; ++r, s += stride, dp += stride) {
    const Lane<T> shift(of_row[r]), less(delta[r]);
    vectors<T>(n, T(0), [&](long i, auto get, auto put) {
      Lane<T> p = math::exp(get((const T *)s + i) - shift);
      put(s + i, p);
      put(dp + i, p * (get((const T *)dp + i) - less));
    });
  }
}
template <class T> void scale_rows(T *y, long stride, const T *factor, long rows, long n) {
  for (long r = 0; r < rows; ++r, y += stride) {
    const Lane<T> by(factor[r]);
    vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get((const T *)y + i) * by); });
  }
}

// ---- optimisers: the operations and their order are those of the optimisers written out in Python

template <class T> void adam(const Update<T> &u) {
  const Lane<T> decay(u.decay), shrink(u.shrink), rate(u.rate), beta2(u.beta2), eps(u.eps), root(u.root),
      weight(u.weight), square(u.square);
  vectors<T>(u.n, T(0), [&](long i, auto get, auto put) {
    Lane<T> p = get((const T *)u.p + i), g = get(u.g + i);
    if (u.negate) g = -g;
    if (u.shrink != T(1)) p = p * shrink;
    if (u.decay != T(0)) g = g + decay * p;
    Lane<T> m = get((const T *)u.first + i), v = get((const T *)u.second + i);
    m = m + weight * (g - m);
    v = v * beta2 + square * g * g;
    put(u.first + i, m);
    put(u.second + i, v);
    if (u.largest) {
      v = larger<T>(get((const T *)u.largest + i), v);
      put(u.largest + i, v);
    }
    put(u.p + i, p - rate * m / (math::sqrt(v) / root + eps));
  });
}
template <class T> void sgd(const Update<T> &u) {
  const Lane<T> decay(u.decay), rate(u.rate), momentum(u.beta1), weight(u.weight);
  vectors<T>(u.n, T(0), [&](long i, auto get, auto put) {
    Lane<T> p = get((const T *)u.p + i), g = get(u.g + i);
    if (u.negate) g = -g;
    if (u.decay != T(0)) g = g + decay * p;
    if (u.first) {
      Lane<T> v = u.fresh ? g : get((const T *)u.first + i) * momentum + weight * g;
      put(u.first + i, v);
      g = u.nesterov ? g + momentum * v : v;
    }
    put(u.p + i, p - rate * g);
  });
}

template <class T>
constexpr FusedOf<T> kernels = {
    softmax<T>, softmax_backward<T>, update_scores<T>, score_gradients<T>, scale_rows<T>, adam<T>,
    sgd<T>,     depthwise,           depthwise_sums,   copy_rows};

} // namespace

extern constinit const Fused fused = {kernels<float>, kernels<double>};

} // namespace hadamard::LEVEL
