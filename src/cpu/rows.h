// Rows of numbers in vectors, for the kernels of fused.h: short ends, largest, sums. A row is summed in the same order
// wherever it lies: lanes first, blocks in double.
#pragma once
#include "math.h"

namespace hadamard::LEVEL {
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
// v in its first n lanes, 0 in the others.
template <class T> HD_INLINE Lane<T> first_lanes(Lane<T> v, long n) {
  return n < lanes<T> ? Lane<T>(Vector<T, lanes<T>>(first_of<T>(n) ? v.v : Vector<T, lanes<T>>{})) : v;
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
// f of all lanes: of the two halves, then of their halves.
template <class T, int half = lanes<T> / 2, class F> HD_INLINE T across(Lane<T> v, const F &f) {
  if constexpr (half == 0) return v.v[0];
  else
    return [&]<int... i>(Sequence<i...>) {
      const Lane<T> other = Vector<T, lanes<T>>(shuffle<T, lanes<T>, (i + half) % lanes<T>...>(v.v, v.v));
      return across<T, half / 2>(f(v, other), f);
    }(Indices<lanes<T>>{});
}
template <class T> HD_INLINE T largest(Lane<T> v) {
  return across<T>(v, [](Lane<T> a, Lane<T> b) { return larger<T>(a, b); });
}
template <class T> HD_INLINE T total(Lane<T> v) {
  return across<T>(v, [](Lane<T> a, Lane<T> b) { return a + b; });
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

// K sums at once, in four chains: term(i, load, store, s) adds to s; it adds nothing where a row ended and reads as
// `fill`.
template <class T, int K, class F> HD_INLINE void row_sums(long n, T fill, double (&sum)[K], const F &term) {
  constexpr int N = lanes<T>, chains = 4;
  for (double &s : sum) s = 0;
  for (long from = 0; from < n; from += block) {
    const long count = n - from < block ? n - from : block;
    Lane<T> s[chains][K];
    for (auto &chain : s)
      for (auto &k : chain) k = Lane<T>(T(0));
    long i = 0;
    for (; i + chains * N <= count; i += chains * N)
#pragma GCC unroll 4
      for (int u = 0; u < chains; ++u)
        term(
            from + i + u * N, [](const T *p) { return load<T, N>(p); }, [](T *p, Lane<T> v) { store<T, N>(p, v); },
            s[u]);
    vectors<T>(count - i, fill, [&](long j, auto get, auto put) { term(from + i + j, get, put, s[0]); });
    for (int k = 0; k < K; ++k) sum[k] += double(total<T>((s[0][k] + s[1][k]) + (s[2][k] + s[3][k])));
  }
}

} // namespace
} // namespace hadamard::LEVEL
