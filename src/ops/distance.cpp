// Euclidean distances: a row against all others at a time, in a fixed order whatever the number of threads.
#include "ops/distance.h"

#include <cmath>

#include "call.h"
#include "cpu/fused.h"
#include "cpu/threads.h"

namespace hadamard::ops {
namespace {

constexpr int64_t few = 16; // rows are not worth turning for fewer; a multiple of every vector's lanes

template <class T> T length(const T *a, const T *b, int64_t n) {
  constexpr int lanes = 8;
  T sum[lanes] = {};
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes)
    for (int l = 0; l < lanes; ++l) {
      T d = a[k + l] - b[k + l];
      sum[l] += d * d;
    }
  for (int l = 0; k < n; ++k, ++l) {
    T d = a[k] - b[k];
    sum[l] += d * d;
  }
  return std::sqrt(((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7])));
}

// f(row of the result, row of a, the rows of b), each as its number.
template <class F> void for_rows(const Tensor &a, const Tensor &b, const F &f) {
  int64_t rows = a.size(-2), others = b.size(-2), width = a.size(-1), batches = numel(a.shape()) / (rows * width);
  LongWork unlocked(batches * rows * others * width);
  parallel_for(batches * rows, std::max<int64_t>(1, 16384 / (others * width + 1)), [&](long begin, long end) {
    for (int64_t i = begin; i < end; ++i) f(i, i / rows * others);
  });
}
} // namespace

void euclidean(const Tensor &y, const Tensor &a, const Tensor &b) {
  int64_t rows = a.size(-2), others = b.size(-2), width = a.size(-1);
  if (!y.numel()) return;
  auto run = [&]<class T>(Type<T>) {
    T *to = y.data<T>();
    const T *p = a.data<T>(), *q = b.data<T>();
    if (others < few) {
      for_rows(a, b, [&](int64_t i, int64_t first) {
        for (int64_t j = 0; j < others; ++j) to[i * others + j] = length(p + i * width, q + (first + j) * width, width);
      });
      return;
    }
    const auto &kernels = of<T>(*level().fused);
    const int64_t padded = (others + few - 1) / few * few;
    const int64_t batches = y.numel() / (rows * others), work = others * width;
    LongWork unlocked(y.numel() * width);
    parallel_for(batches, std::max<int64_t>(1, 16384 / (rows * work)), [&](long from, long end) {
      Tensor turned = empty(Dims{width, padded}, y.dtype());
      T *columns = turned.data<T>();
      for (long batch = from; batch < end; ++batch) {
        const T *left = p + batch * rows * width;
        T *result = to + batch * rows * others;
        kernels.transpose_rows(columns, padded, q + batch * work, width, others, width, padded, T(1));
        parallel_for(rows, std::max<int64_t>(4, 16384 / work), [&](long first, long last) {
          kernels.distances({result + first * others, left + first * width, columns, last - first, others, width,
                             others, width, padded});
        });
      }
    });
  };
  if (y.dtype() == DType::F64) run(Type<double>{});
  else run(Type<float>{});
}

Tensor weighted_differences(const Tensor &w, const Tensor &a, const Tensor &b) {
  Tensor y = zeros(a.shape(), a.dtype());
  int64_t rows = a.size(-2), others = b.size(-2), width = a.size(-1);
  if (!y.numel() || !others) return y;
  int64_t step = w.stride(-1), row_step = w.stride(-2);
  auto run = [&]<class T>(Type<T>) {
    T *to = y.data<T>();
    const T *p = a.data<T>(), *q = b.data<T>(), *weights = w.data<T>();
    for_rows(a, b, [&](int64_t i, int64_t first) {
      T *sum = to + i * width;
      const T *from = p + i * width, *factor = weights + i / rows * (rows * others) + i % rows * row_step;
      for (int64_t j = 0; j < others; ++j) {
        const T f = factor[j * step], *other = q + (first + j) * width;
        for (int64_t k = 0; k < width; ++k) sum[k] += f * (from[k] - other[k]);
      }
    });
  };
  if (y.dtype() == DType::F64) run(Type<double>{});
  else run(Type<float>{});
  return y;
}

} // namespace hadamard::ops
