// Depthwise convolutions: planes of one channel, every tap a vector of neighbours times a number.
#include "fused.h"
#include "gemm_micro.h"

namespace hadamard::LEVEL {
namespace {

template <class T> constexpr int lanes = vector_bytes / int(sizeof(T));
template <class T> using V = Vector<T, lanes<T>>;

// A strip of the result, `vectors` wide from column j on, `rows` rows at a time from row i on while there are so many;
// returns the next row. Where `fixed` there are so many taps, and the weights stay in registers.
template <class T, int vectors, int rows, int fixed>
__attribute__((noinline)) long strip(const Plane<T> &p, long i, long j, int tail) {
  constexpr int N = lanes<T>;
  V<T> f[fixed + 1];
#pragma GCC unroll 9
  for (int t = 0; t < fixed; ++t) f[t] = p.w[t] - V<T>{};
  const T *x = p.x + i * p.x_row + j;
  T *y = p.y + i * p.y_row + j;
  for (; i + rows <= p.rows; i += rows, x += rows * p.x_row, y += rows * p.y_row) {
    V<T> sum[rows][vectors];
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[r][v] = p.bias - V<T>{};
    if constexpr (fixed) {
#pragma GCC unroll 9
      for (int t = 0; t < fixed; ++t)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[0][v] += load<V<T>>(x + p.at[t] + v * N) * f[t];
    } else {
      const long taps = p.taps, *at = p.at, row = p.x_row;
      const T *w = p.w;
      for (long t = 0; t < taps; ++t) {
        const V<T> weight = w[t] - V<T>{};
        const T *from = x + at[t];
#pragma GCC unroll 2
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
          for (int v = 0; v < vectors; ++v) sum[r][v] += load<V<T>>(from + r * row + v * N) * weight;
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r) {
      T *to = y + r * p.y_row;
#pragma GCC unroll 4
      for (int v = 0; v < vectors - 1; ++v) store(to + v * N, sum[r][v]);
      if (tail) store_part(to + (vectors - 1) * N, sum[r][vectors - 1], tail);
      else store(to + (vectors - 1) * N, sum[r][vectors - 1]);
    }
  }
  return i;
}
template <class T, int vectors> void columns(const Plane<T> &p, long j, int tail) {
  if (p.taps == 9) strip<T, vectors, 1, 9>(p, 0, j, tail);
  else strip<T, vectors, 1, 0>(p, strip<T, vectors, 2, 0>(p, 0, j, tail), j, tail);
}
template <class T> void plane(const Plane<T> &p) {
  constexpr int N = lanes<T>;
  const int tail = int(p.columns % N);
  long left = (p.columns + N - 1) / N, j = 0;
  for (; left > 4; left -= 4, j += 4 * N) columns<T, 4>(p, j, 0);
  if (left == 4) columns<T, 4>(p, j, tail);
  else if (left == 3) columns<T, 3>(p, j, tail);
  else if (left == 2) columns<T, 2>(p, j, tail);
  else if (left == 1) columns<T, 1>(p, j, tail);
}

// `taps` sums from the tap t0 on. What lies past the last column stays in lanes of its own, which are left out.
template <class T, int taps> void some_sums(const Plane<T> &p, long t0, double *sums) {
  constexpr int N = lanes<T>;
  const int tail = int(p.columns % N);
  const long whole = p.columns - tail;
  const long block = most(1, 512 * N / most(N, whole)); // rows summed in T
  for (long begin = 0; begin < p.rows; begin += block) {
    const long end = least(p.rows, begin + block);
    V<T> sum[taps] = {}, ends[taps] = {};
    for (long i = begin; i < end; ++i) {
      const T *from = p.x + i * p.x_row, *y = p.y + i * p.y_row;
      for (long j = 0; j < whole; j += N) {
        const V<T> g = load<V<T>>(y + j);
#pragma GCC unroll 9
        for (int t = 0; t < taps; ++t) sum[t] += g * load<V<T>>(from + j + p.at[t0 + t]);
      }
    }
    if (tail)
      for (long i = begin; i < end; ++i) {
        const T *from = p.x + i * p.x_row + whole, *y = p.y + i * p.y_row + whole;
        const V<T> g = load_part<V<T>>(y, tail);
#pragma GCC unroll 9
        for (int t = 0; t < taps; ++t) ends[t] += g * load<V<T>>(from + p.at[t0 + t]);
      }
    for (int t = 0; t < taps; ++t) {
      double s = 0;
      for (int l = 0; l < N; ++l) s += double(sum[t][l]);
      for (int l = 0; l < tail; ++l) s += double(ends[t][l]);
      sums[t0 + t] += s;
    }
  }
}
template <class T> void all_sums(const Plane<T> &p, double *sums) {
  long t = 0;
  for (; t + 9 <= p.taps; t += 9) some_sums<T, 9>(p, t, sums);
  for (; t + 3 <= p.taps; t += 3) some_sums<T, 3>(p, t, sums);
  for (; t < p.taps; ++t) some_sums<T, 1>(p, t, sums);
}

template <class T> void rows_of(T *to, long to_row, const T *from, long from_row, long rows, long n) {
  constexpr int N = lanes<T>;
  for (long i = 0; i < rows; ++i, to += to_row, from += from_row) {
    long j = 0;
    for (; j + N <= n; j += N) store(to + j, load<V<T>>(from + j));
    if (j == n) continue;
    if (n >= N) store(to + n - N, load<V<T>>(from + n - N));
    else
      for (; j < n; ++j) to[j] = from[j];
  }
}

} // namespace

void depthwise(const Plane<float> &p) { plane(p); }
void depthwise(const Plane<double> &p) { plane(p); }
void depthwise_sums(const Plane<float> &p, double *sums) { all_sums(p, sums); }
void depthwise_sums(const Plane<double> &p, double *sums) { all_sums(p, sums); }
void copy_rows(float *to, long to_row, const float *from, long from_row, long rows, long n) {
  rows_of(to, to_row, from, from_row, rows, n);
}
void copy_rows(double *to, long to_row, const double *from, long from_row, long rows, long n) {
  rows_of(to, to_row, from, from_row, rows, n);
}

} // namespace hadamard::LEVEL
