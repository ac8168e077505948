// Products of a matrix with a vector and of two vectors, bound by reading.
#pragma once
#include "gemm_finish.h"

namespace hadamard::LEVEL {
namespace {

template <class T, int N> HD_INLINE T total(Vector<T, N> v) {
  for (int half = N / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  return v[0];
}
// R rows of S, k contiguous, times one vector in compute type: sums[r] (complex: re, im). Each row is summed in the
// same order whatever R. Blocks are added up in `Sum`.
constexpr long dot_block = 4096;
template <class T> struct WideOf {
  using type = T;
};
template <> struct WideOf<float> {
  using type = double;
};
template <class T> using Sum = typename WideOf<T>::type;
template <class T, class S, int R> HD_INLINE void dots(const S *const *rows, const T *v, long n, Sum<T> *sums) {
  constexpr int W = vector_bytes / sizeof(T), parts = is_complex<S> ? 2 : 1, U = 2;
  using V = Vector<T, W>;
  using Part = typename If<is_complex<S>, T, S>::type;
  long reals = n * parts, i = 0;
  V s[R][U] = {}, t[R][U] = {};
  for (; i + U * W <= reals; i += U * W)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      V x = load<V>(v + i + u * W);
      V y = is_complex<S> ? swap_pairs<T, W>(x, typename Counted<W>::type{}) : x;
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        V m = widen_vector<T, Part, W>((const Part *)rows[r] + i + u * W);
        s[r][u] += m * x;
        if constexpr (is_complex<S>) t[r][u] += m * y;
      }
    }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    const Part *m = (const Part *)rows[r];
    if constexpr (is_complex<S>) {
      V one = s[r][0] + s[r][1];
      T re = 0, im = total<T, W>(t[r][0] + t[r][1]);
      for (int l = 0; l < W; l += 2) re += one[l] - one[l + 1];
      for (long q = i; q < reals; q += 2) {
        re += m[q] * v[q] - m[q + 1] * v[q + 1];
        im += m[q] * v[q + 1] + m[q + 1] * v[q];
      }
      sums[2 * r] += re;
      sums[2 * r + 1] += im;
    } else {
      T sum = total<T, W>(s[r][0] + s[r][1]);
      for (long q = i; q < reals; ++q) sum += widen<T>(m[q]) * v[q];
      sums[r] += sum;
    }
  }
}

// A matrix (rows r, summed k) times a vector. `finish` sees the result as one row.
struct Vectors {
  const char *matrix, *vector;
  Axis r, k, v;
  long rows, depth;
};
HD_INLINE Vectors vectors_of(const Job &job) {
  const Gemm &g = job.g;
  if (g.n == 1) return {job.a, job.b, g.a_m, g.a_k, g.b_k, g.m, g.k};
  return {job.b, job.a, g.b_n, g.b_k, g.a_k, g.n, g.k};
}
// Numbers of C from `i0` on to `finish`, whichever of m and n they run along.
template <class T, class D> void finish_row(const Job &job, const T *row, long i0, long n) {
  if (job.g.n == 1 && job.g.m > 1) {
    Gemm g = job.g;
    Axis c = g.c_m, bias = g.bias_m;
    g.c_m = g.c_n, g.c_n = c, g.bias_m = g.bias_n, g.bias_n = bias;
    finish<T, D>({g, job.a, job.b, job.bias, job.c}, row, 0, 0, 1, i0, n, g.accumulate, true);
  } else {
    finish<T, D>(job, row, 0, 0, 1, i0, n, job.g.accumulate, true);
  }
}

using Gemv = void (*)(const Job &job, long begin, long end);
// Rows contiguous along k: a dot product each, four at a time.
template <class T, class S, class D> void gemv_dots(const Job &job, long begin, long end) {
  constexpr int parts = is_complex<S> ? 2 : 1, chunk = 32;
  Vectors p = vectors_of(job);
  const S *matrix = (const S *)p.matrix;
  T *room = (T *)workspace(2, dot_block * parts * long(sizeof(T)));
  for (long r0 = begin; r0 < end; r0 += chunk) {
    long n = least(chunk, end - r0);
    Sum<T> sums[chunk * parts] = {};
    for (long k = 0; k < p.depth; k += dot_block) {
      long depth = least(dot_block, p.depth - k);
      const T *v = lift<T, S>(room, (const S *)p.vector, p.v, k, depth);
      const S *rows[4];
      long r = 0;
      for (; r + 4 <= n; r += 4) {
        for (int q = 0; q < 4; ++q) rows[q] = matrix + at(p.r, r0 + r + q) + k;
        dots<T, S, 4>(rows, v, depth, sums + r * parts);
      }
      for (; r < n; ++r) {
        rows[0] = matrix + at(p.r, r0 + r) + k;
        dots<T, S, 1>(rows, v, depth, sums + r * parts);
      }
    }
    T out[parts * chunk];
    for (long i = 0; i < n * parts; ++i) out[i] = T(sums[i]);
    finish_row<T, D>(job, out, r0, n);
  }
}
// The products of two runs of n numbers are added to sums (complex: re, im). Eight vectors are summed at once, of a
// whole block from two places in each run: one alone does not keep memory busy, and eight in all are too many.
template <int parts> constexpr long run_block = 8192 / parts;
template <class T, int parts> void dot_run(const T *a, const T *b, long n, Sum<T> *sums) {
  constexpr int W = vector_bytes / sizeof(T), U = 8 / parts;
  using V = Vector<T, W>;
  const long reals = n * parts;
  V s[U] = {}, t[U] = {};
  auto add = [&](int u, V x, V y) {
    s[u] += x * y;
    if constexpr (parts == 2) t[u] += x * swap_pairs<T, W>(y, typename Counted<W>::type{});
  };
  long i = 0;
  if (n == run_block<parts>) {
    constexpr long half = run_block<parts> * parts / 2, each = U / 2;
    for (; i < half; i += each * W)
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        const long at = i + u / each * half + u % each * W;
        add(u, load<V>(a + at), load<V>(b + at));
      }
    i = reals;
  }
  for (; i + U * W <= reals; i += U * W)
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) add(u, load<V>(a + i + u * W), load<V>(b + i + u * W));
  if (i < reals) {
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u, i += W) {
      if (i + W > reals) {
        if (i < reals) add(u, load_part<V>(a + i, int(reals - i)), load_part<V>(b + i, int(reals - i)));
        break;
      }
      add(u, load<V>(a + i), load<V>(b + i));
    }
  }
  for (int half = U / 2; half; half /= 2)
#pragma GCC unroll 4
    for (int u = 0; u < half; ++u) s[u] += s[u + half], t[u] += t[u + half];
  if constexpr (parts == 2) {
    T re = 0;
    for (int l = 0; l < W; l += 2) re += s[0][l] - s[0][l + 1];
    sums[0] += re;
    sums[1] += total<T, W>(t[0]);
  } else {
    sums[0] += total<T, W>(s[0]);
  }
}
// One row, any strides.
template <class T, class S, class D> void dot(const Job &job, long, long) {
  const Gemm &g = job.g;
  constexpr int parts = is_complex<S> ? 2 : 1;
  const bool in_place = sizeof(S) == sizeof(T) * parts && steps(g.a_k, 1) && steps(g.b_k, 1);
  constexpr long block = run_block<parts>;
  T *room = in_place ? nullptr : (T *)workspace(2, 2 * block * parts * long(sizeof(T)));
  Sum<T> sums[parts] = {};
  for (long k = 0; k < g.k; k += block) {
    const long depth = least(block, g.k - k);
    const T *a = lift<T, S>(room, (const S *)job.a, g.a_k, k, depth);
    const T *b = lift<T, S>(room + block * parts, (const S *)job.b, g.b_k, k, depth);
    dot_run<T, parts>(a, b, depth, sums);
  }
  T out[parts];
  for (int i = 0; i < parts; ++i) out[i] = T(sums[i]);
  finish<T, D>(job, out, 0, 0, 1, 0, 1, g.accumulate, true);
}
// Columns contiguous along the result: y += v[k] * column k, four at a time, over a stretch of y that stays in cache.
template <class T, class S, class D> void gemv_sums(const Job &job, long begin, long end) {
  constexpr int W = vector_bytes / sizeof(T), parts = is_complex<S> ? 2 : 1, block = 256;
  constexpr long chunk = 8192 / (sizeof(T) * parts);
  using V = Vector<T, W>;
  using Part = typename If<is_complex<S>, T, S>::type;
  Vectors p = vectors_of(job);
  T room[block * parts];
  alignas(64) T y[2][parts][chunk * parts]; // the sum of a block, the sum of all
  for (long r0 = begin; r0 < end; r0 += chunk) {
    long n = least(chunk, end - r0) * parts;
    const Part *matrix = (const Part *)((const S *)p.matrix + at(p.r, r0));
    for (long k0 = 0; k0 == 0 || k0 < p.depth; k0 += block) {
      long depth = least(block, p.depth - k0);
      const T *v = lift<T, S>(room, (const S *)p.vector, p.v, k0, depth);
      for (int q = 0; q < parts; ++q)
        for (long i = 0; i < n; ++i) y[0][q][i] = 0;
      auto add = [&](auto count, long k) {
        constexpr int U = decltype(count)::value;
        const Part *m[U];
        V f[U][parts];
        for (int u = 0; u < U; ++u) {
          m[u] = matrix + at(p.k, k0 + k + u) * parts;
          for (int q = 0; q < parts; ++q) f[u][q] = v[(k + u) * parts + q] - V{};
        }
        long i = 0;
        for (; i + W <= n; i += W)
#pragma GCC unroll 2
          for (int q = 0; q < parts; ++q) {
            V s = load<V>(y[0][q] + i);
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u) s += widen_vector<T, Part, W>(m[u] + i) * f[u][q];
            store(y[0][q] + i, s);
          }
        for (; i < n; ++i)
          for (int q = 0; q < parts; ++q)
            for (int u = 0; u < U; ++u) y[0][q][i] += widen<T>(m[u][i]) * v[(k + u) * parts + q];
      };
      long k = 0;
      for (; k + 8 <= depth; k += 8) add(Constant<8>{}, k);
      for (; k < depth; ++k) add(Constant<1>{}, k);
      for (int q = 0; q < parts; ++q)
        for (long i = 0; i < n; ++i) y[1][q][i] = k0 ? y[1][q][i] + y[0][q][i] : y[0][q][i];
    }
    if constexpr (is_complex<S>) {
      T *u = y[1][0], *w = y[1][1];
      for (long i = 0; i < n; i += W) store(u + i, add_subtract<T, W>(load<V>(u + i), load<V>(w + i)));
    }
    finish_row<T, D>(job, y[1][0], r0, n / parts);
  }
}

} // namespace
} // namespace hadamard::LEVEL
