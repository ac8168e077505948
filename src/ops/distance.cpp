// Euclidean distances: a row against all others at a time, in a fixed order whatever the number of threads.
#include "ops/distance.h"

#include <cmath>

#include "call.h"
#include "cpu/threads.h"

namespace hadamard::ops {
namespace {

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
  int64_t others = b.size(-2), width = a.size(-1);
  if (!y.numel()) return;
  auto run = [&]<class T>(Type<T>) {
    T *to = y.data<T>();
    const T *p = a.data<T>(), *q = b.data<T>();
    for_rows(a, b, [&](int64_t i, int64_t first) {
      for (int64_t j = 0; j < others; ++j) to[i * others + j] = length(p + i * width, q + (first + j) * width, width);
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
