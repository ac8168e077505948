// Distances between rows: lanes are rows of the second operand, which comes transposed.
#include "fused.h"

#include "level.h"
#include "rows.h"

namespace hadamard::LEVEL {
namespace {

constexpr long depth = 512; // squares summed before the sum is added to the total

// `rows` rows of a against `vectors` vectors of rows of b; of the last vector only `last` lanes are there.
template <class T, int rows, int vectors>
HD_INLINE void tile(const Distances<T> &d, T *y, const T *a, const T *b, long last) {
  constexpr int N = lanes<T>;
  Lane<T> total[rows][vectors];
  for (auto &row : total)
    for (auto &v : row) v = Lane<T>(T(0));
  for (long from = 0; from < d.width; from += depth) {
    const long end = from + depth < d.width ? from + depth : d.width;
    Lane<T> sum[rows][vectors];
    for (auto &row : sum)
      for (auto &v : row) v = Lane<T>(T(0));
    for (long k = from; k < end; ++k) {
      Lane<T> other[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) other[v] = load<T, N>(b + k * d.b_row + v * N);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        const Lane<T> x(a[r * d.a_row + k]);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) {
          const Lane<T> difference = x - other[v];
          sum[r][v] = sum[r][v] + difference * difference;
        }
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) total[r][v] = total[r][v] + sum[r][v];
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      T *to = y + r * d.y_row + v * N;
      const Lane<T> length = math::sqrt(total[r][v]);
      if (v + 1 < vectors || last == N) store<T, N>(to, length);
      else put_part<T>(to, length, last);
    }
}
template <class T, int vectors> void strip(const Distances<T> &d, long j, long last) {
  long i = 0;
  for (; i + 4 <= d.rows; i += 4) tile<T, 4, vectors>(d, d.y + i * d.y_row + j, d.a + i * d.a_row, d.b + j, last);
  for (; i < d.rows; ++i) tile<T, 1, vectors>(d, d.y + i * d.y_row + j, d.a + i * d.a_row, d.b + j, last);
}
template <class T> void all(const Distances<T> &d) {
  constexpr int N = lanes<T>;
  long j = 0;
  for (; j + 2 * N <= d.others; j += 2 * N) strip<T, 2>(d, j, N);
  for (; j < d.others; j += N) strip<T, 1>(d, j, d.others - j < N ? d.others - j : N);
}

} // namespace

void distances(const Distances<float> &d) { all(d); }
void distances(const Distances<double> &d) { all(d); }

} // namespace hadamard::LEVEL
