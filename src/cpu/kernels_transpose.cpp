// Matrices transposed, a square of vectors at a time.
#include "fused.h"
#include "gemm_pack.h"

namespace hadamard::LEVEL {
namespace {

template <class T>
void transposed(T *to, long to_row, const T *from, long from_row, long rows, long n, long padded, T factor) {
  constexpr int W = vector_bytes / int(sizeof(T));
  using V = Vector<T, W>;
  long i = 0;
  for (; i + W <= rows; i += W) {
    long j = 0;
    for (; j + W <= n; j += W) {
      V v[W];
#pragma GCC unroll 16
      for (int r = 0; r < W; ++r) v[r] = load<V>(from + (i + r) * from_row + j) * factor;
      transpose<T, W>(v);
#pragma GCC unroll 16
      for (int r = 0; r < W; ++r) store(to + (j + r) * to_row + i, v[r]);
    }
    for (; j < n; ++j)
      for (int r = 0; r < W; ++r) to[j * to_row + i + r] = from[(i + r) * from_row + j] * factor;
  }
  for (long j = 0; j < n; ++j)
    for (long r = i; r < padded; ++r) to[j * to_row + r] = r < rows ? from[r * from_row + j] * factor : T(0);
}

} // namespace

void transpose_rows(float *to, long to_row, const float *from, long from_row, long rows, long n, long padded,
                    float factor) {
  transposed(to, to_row, from, from_row, rows, n, padded, factor);
}
void transpose_rows(double *to, long to_row, const double *from, long from_row, long rows, long n, long padded,
                    double factor) {
  transposed(to, to_row, from, from_row, rows, n, padded, factor);
}

} // namespace hadamard::LEVEL
