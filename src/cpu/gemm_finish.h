// The end of a tile that the micro-kernel cannot write by itself: bias, function, complex and narrow results.
#pragma once
#include "gemm_units.h"

namespace hadamard::LEVEL {
namespace {

// One matrix of the batch.
struct Job {
  const Gemm &g;
  const char *a, *b, *bias;
  char *c;
};

template <class T> HD_INLINE T activate(Activation f, T x) {
  if (f == Activation::relu) return x < T(0) ? T(0) : x;
  if constexpr (is_float<T>) {
    if (f == Activation::tanh) return T(__builtin_tanh(x));
    if (f == Activation::sigmoid) return T(1 / (1 + __builtin_exp(-double(x))));
    if (f == Activation::gelu) return T(0.5 * double(x) * (1 + __builtin_erf(double(x) * 0.70710678118654752440)));
  }
  return x;
}

// What most tiles end with: rows that follow in memory, a bias along them or none, no function or relu.
template <class T>
void finish_vectors(const Job &job, const T *tile, long row, long i0, long rows, long j0, long columns, bool add,
                    bool last) {
  const Gemm &g = job.g;
  constexpr int W = vector_bytes / sizeof(T);
  using V = Vector<T, W>;
  const bool bias = last && job.bias, along = g.bias_n.stride != 0, relu = last && g.activation == Activation::relu;
  for (long i = 0; i < rows; ++i) {
    const T *t = tile + i * row, *b = bias ? (const T *)job.bias + at(g.bias_m, i0 + i) : nullptr;
    T *c = (T *)job.c + at(g.c_m, i0 + i) + j0;
    for (long j = 0; j < columns; j += W) {
      const int n = int(least(W, columns - j));
      auto get = [n](const T *p) { return n == W ? load<V>(p) : load_part<V>(p, n); };
      V x = get(t + j);
      if (add) x += get(c + j);
      if (b) x += along ? get(b + j0 + j) : *b - V{};
      if (relu) x = x < V{} ? V{} : x;
      if (n == W) store(c + j, x);
      else store_part(c + j, x, n);
    }
  }
}

// C[i0.., j0..] = activation(tile + C if `add` + bias if `last`). `row` counts numbers.
using Finish = void (*)(const Job &job, const void *tile, long row, long i0, long rows, long j0, long columns, bool add,
                        bool last);
template <class T, class D>
void finish(const Job &job, const void *tile, long row, long i0, long rows, long j0, long columns, bool add,
            bool last) {
  const Gemm &g = job.g;
  if constexpr (is_float<T> && same<T, D>)
    if (steps(g.c_n, 1) && (!last || ((g.activation == Activation::none || g.activation == Activation::relu) &&
                                      (!job.bias || steps(g.bias_n, 0) || steps(g.bias_n, 1)))))
      return finish_vectors<T>(job, (const T *)tile, row, i0, rows, j0, columns, add, last);
  constexpr int most_columns = 64, parts = is_complex<D> ? 2 : 1;
  for (long i = 0; i < rows; ++i) {
    const T *t = (const T *)tile + i * row;
    D *c = (D *)job.c + at(g.c_m, i0 + i);
    for (long j1 = 0; j1 < columns; j1 += most_columns) {
      T x[parts * most_columns];
      int n = int(least(most_columns, columns - j1));
      long j = j0 + j1;
      for (int q = 0; q < parts * n; ++q) x[q] = t[parts * j1 + q];
      auto plus = [&](const D *p, const Axis &axis) {
        if constexpr (is_complex<D>) {
          if (steps(axis, 1)) {
            const T *v = (const T *)(p + j);
            for (int q = 0; q < 2 * n; ++q) x[q] += v[q];
            return;
          }
          for (int q = 0; q < n; ++q) {
            const D &v = p[at(axis, j + q)];
            x[2 * q] += v.re;
            x[2 * q + 1] += v.im;
          }
        } else if (steps(axis, 1)) {
          for (int q = 0; q < n; ++q) x[q] += widen<T>(p[j + q]);
        } else if (steps(axis, 0)) {
          T v = widen<T>(*p);
          for (int q = 0; q < n; ++q) x[q] += v;
        } else {
          for (int q = 0; q < n; ++q) x[q] += widen<T>(p[at(axis, j + q)]);
        }
      };
      if (add) plus(c, g.c_n);
      if (last && job.bias) plus((const D *)job.bias + at(g.bias_m, i0 + i), g.bias_n);
      if constexpr (!is_complex<D>) {
        if (last && g.activation == Activation::relu) {
          if constexpr (is_float<T>)
            for (int q = 0; q < n; ++q) x[q] = x[q] < T(0) ? T(0) : x[q];
          else if constexpr (D(-1) < D(0))
            for (int q = 0; q < n; ++q) x[q] = D(x[q]) < 0 ? T(0) : x[q];
        } else if (last && g.activation != Activation::none) {
          for (int q = 0; q < n; ++q) x[q] = activate(g.activation, x[q]);
        }
        if (steps(g.c_n, 1))
          for (int q = 0; q < n; ++q) c[j + q] = narrow<D>(x[q]);
        else
          for (int q = 0; q < n; ++q) c[at(g.c_n, j + q)] = narrow<D>(x[q]);
      } else {
        if (steps(g.c_n, 1)) __builtin_memcpy(c + j, x, n * sizeof(D));
        else
          for (int q = 0; q < n; ++q) c[at(g.c_n, j + q)] = D{x[2 * q], x[2 * q + 1]};
      }
    }
  }
}

} // namespace
} // namespace hadamard::LEVEL
