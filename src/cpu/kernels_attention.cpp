// What attention does with a tile of scores between its products. A query's scores lie below each other, so that every
// lane has its own query and nothing is summed across lanes.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {

void transpose_rows(float *, long, const float *, long, long, long, long, float),
    transpose_rows(double *, long, const double *, long, long, long, long, double);

namespace {

constexpr long line = 64; // bytes of the cache
template <class T> constexpr int in_line = width < line ? int(line / width) : 1;

// e^x for x up to little more than 0, and 0 where that is no normal number: beside a sum of at least 1.
template <class T> HD_INLINE Lane<T> exp_below(Lane<T> x) {
  const Lane<T> least(sizeof(T) == 4 ? T(-88) : T(-709));
  Lane<T> m;
  auto n = math::exp_parts(Lane<T>(where(x < least, least, x)), m);
  return (m + 1) * math::power_of_2(n);
}
template <class T> HD_INLINE Lane<T> get(const T *p) { return load<T, lanes<T>>(p); }
template <class T> HD_INLINE void put(T *p, Lane<T> v) { store<T, lanes<T>>(p, v); }

template <class T> void update(const Scores<T> &t) {
  constexpr int N = lanes<T>, L = in_line<T>, U = 4; // sums of every U-th key
  for (long i = 0; i < t.n; i += N * L) {
    Lane<T> m[L], shift[L], sum[U][L];
#pragma GCC unroll 4
    for (int v = 0; v < L; ++v) m[v] = get<T>(t.largest + i + v * N);
    T *s = t.s + i;
    // NaN is passed over here: its exponential is NaN again, and so is the sum.
    for (long j = 0; j < t.keys; ++j, s += t.stride)
#pragma GCC unroll 4
      for (int v = 0; v < L; ++v) {
        Lane<T> x = get<T>(s + v * N);
        m[v] = where(x > m[v], x, m[v]);
      }
#pragma GCC unroll 4
    for (int v = 0; v < L; ++v) { // one that has seen nothing but -inf so far stays at zero
      shift[v] = where(m[v] == -math::infinity<T>, Lane<T>(T(0)), m[v]);
      for (int u = 0; u < U; ++u) sum[u][v] = Lane<T>(T(0));
    }
    s = t.s + i;
    long j = 0;
    auto step = [&](int u) {
#pragma GCC unroll 4
      for (int v = 0; v < L; ++v) {
        Lane<T> e = exp_below<T>(get<T>(s + v * N) - shift[v]);
        put<T>(s + v * N, e);
        sum[u][v] = sum[u][v] + e;
      }
      s += t.stride;
    };
    for (; j + U <= t.keys; j += U)
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) step(u);
    for (int u = 0; j < t.keys; ++j, ++u) step(u);
#pragma GCC unroll 4
    for (int v = 0; v < L; ++v) {
      const long at = i + v * N;
      Lane<T> shrink = exp_below<T>(get<T>(t.largest + at) - shift[v]);
      put<T>(t.shrink + at, shrink);
      put<T>(t.sum + at, get<T>(t.sum + at) * shrink + ((sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v])));
      put<T>(t.largest + at, m[v]);
    }
  }
}
template <class T, class M, class Number, class F>
HD_INLINE void mask(const Scores<T> &t, const ScoreMask<T> &o, long queries, const Number &number, const F &f) {
  const M *m = (const M *)o.at;
  if (o.query == 0) { // one for all queries
    for (long j = 0; j < t.keys; ++j) {
      const T x = number(m[j * o.key]);
      T *s = t.s + j * t.stride;
      for (long i = 0; i < queries; ++i) s[i] = f(s[i], x);
    }
    return;
  }
  T *turned = o.room + mask_strip * t.keys;
  for (long i0 = 0; i0 < queries; i0 += mask_strip) {
    const long count = queries - i0 < mask_strip ? queries - i0 : mask_strip;
    for (long i = 0; i < count; ++i) {
      const M *from = m + (i0 + i) * o.query;
      T *to = o.room + i * t.keys;
      if (o.key == 1)
        for (long j = 0; j < t.keys; ++j) to[j] = number(from[j]);
      else
        for (long j = 0; j < t.keys; ++j) to[j] = number(from[j * o.key]);
    }
    transpose_rows(turned, mask_strip, o.room, t.keys, count, t.keys, mask_strip, T(1));
    const T *from = turned;
    T *s = t.s + i0; // a whole strip of scores is there
    for (long j = 0; j < t.keys; ++j, s += t.stride, from += mask_strip)
      for (long i = 0; i < mask_strip; ++i) s[i] = f(s[i], from[i]);
  }
}
template <class T> void mask_tile(const Scores<T> &t, const ScoreMask<T> &o, long queries) {
  constexpr T hidden = -math::infinity<T>;
  if (o.truth)
    mask<T, unsigned char>(
        t, o, queries, [](unsigned char m) { return m ? T(0) : hidden; },
        [](T x, T m) { return m == hidden ? hidden : x; });
  else mask<T, T>(t, o, queries, [](T m) { return m; }, [](T x, T m) { return x + m; });
}
template <class T> void finish(const Scores<T> &t, T *logs) {
  vectors<T>(t.n, T(1), [&](long i, auto get, auto put) {
    Lane<T> sum = get((const T *)t.sum + i), m = get((const T *)t.largest + i);
    put(logs + i, where(sum == 0, Lane<T>(math::infinity<T>), m + math::log(sum)));
    put(t.shrink + i, where(sum == 0, Lane<T>(T(0)), 1 / sum));
  });
}
template <class T> void gradients(T *s, T *dp, const T *of_query, const T *delta, long keys, long n, long stride) {
  constexpr int N = lanes<T>;
  for (long j = 0; j < keys; ++j, s += stride, dp += stride)
    for (long i = 0; i < n; i += N) {
      Lane<T> p = exp_below<T>(get<T>(s + i) - get<T>(of_query + i));
      put<T>(s + i, p);
      put<T>(dp + i, p * (get<T>(dp + i) - get<T>(delta + i)));
    }
}
template <class T> void dots(T *sums, const T *a, long a_row, const T *b, long b_row, long rows, long n) {
  for (long i = 0; i < rows; ++i, a += a_row, b += b_row)
    sums[i] = T(row_sum<T>(n, T(0), [&](long j, auto get, auto) { return get(a + j) * get(b + j); }));
}
template <class T> void scale(T *y, long stride, const T *factor, long rows, long n) {
  for (long r = 0; r < rows; ++r, y += stride) {
    const Lane<T> by(factor[r]);
    vectors<T>(n, T(0), [&](long i, auto get, auto put) { put(y + i, get((const T *)y + i) * by); });
  }
}

} // namespace

void update_scores(const Scores<float> &t) { update(t); }
void update_scores(const Scores<double> &t) { update(t); }
void mask_scores(const Scores<float> &t, const ScoreMask<float> &m, long queries) { mask_tile(t, m, queries); }
void mask_scores(const Scores<double> &t, const ScoreMask<double> &m, long queries) { mask_tile(t, m, queries); }
void finish_scores(const Scores<float> &t, float *logs) { finish(t, logs); }
void finish_scores(const Scores<double> &t, double *logs) { finish(t, logs); }
void score_gradients(float *s, float *dp, const float *of_query, const float *delta, long keys, long n, long stride) {
  gradients(s, dp, of_query, delta, keys, n, stride);
}
void score_gradients(double *s, double *dp, const double *of_query, const double *delta, long keys, long n,
                     long stride) {
  gradients(s, dp, of_query, delta, keys, n, stride);
}
void row_dots(float *sums, const float *a, long a_row, const float *b, long b_row, long rows, long n) {
  dots(sums, a, a_row, b, b_row, rows, n);
}
void row_dots(double *sums, const double *a, long a_row, const double *b, long b_row, long rows, long n) {
  dots(sums, a, a_row, b, b_row, rows, n);
}
void scale_rows(float *y, long stride, const float *factor, long rows, long n) { scale(y, stride, factor, rows, n); }
void scale_rows(double *y, long stride, const double *factor, long rows, long n) { scale(y, stride, factor, rows, n); }

} // namespace hadamard::LEVEL
