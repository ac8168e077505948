// Many small matrices at once: equations, inverses and determinants by elimination with partial pivoting, each matrix
// in the order of LAPACK's getrf and getrs. Large ones are LAPACK's business.
#include <complex>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard {
namespace ops {
namespace {

constexpr int largest = 8;

template <class T> auto magnitude(T x) { return std::abs(x); }
template <class T> T magnitude(std::complex<T> x) { return std::abs(x.real()) + std::abs(x.imag()); } // as LAPACK

// LU in place; `swap` is the row that each row changed places with. Returns 1 + the first zero pivot, or 0.
template <int N, class T> int32_t factorize(T *a, int *swap, int size) {
  const int n = N ? N : size;
  int32_t zero = 0;
  for (int k = 0; k < n; ++k) {
    int p = k;
    for (int i = k + 1; i < n; ++i)
      if (magnitude(a[i * n + k]) > magnitude(a[p * n + k])) p = i;
    swap[k] = p;
    if (a[p * n + k] == T(0)) {
      if (!zero) zero = k + 1;
      continue;
    }
    for (int j = 0; p != k && j < n; ++j) std::swap(a[k * n + j], a[p * n + j]);
    T pivot = T(1) / a[k * n + k];
    for (int i = k + 1; i < n; ++i) {
      T factor = a[i * n + k] *= pivot;
      for (int j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return zero;
}
// x, of `columns` columns, becomes A⁻¹ x.
template <int N, class T> void substitute(const T *a, const int *swap, int size, T *x, int64_t columns) {
  const int n = N ? N : size;
  auto subtract = [&](int from, int of) {
    T factor = a[from * n + of];
    for (int64_t c = 0; c < columns; ++c) x[from * columns + c] -= factor * x[of * columns + c];
  };
  for (int k = 0; k < n; ++k)
    for (int64_t c = 0; swap[k] != k && c < columns; ++c) std::swap(x[k * columns + c], x[swap[k] * columns + c]);
  for (int k = 0; k < n; ++k)
    for (int i = k + 1; i < n; ++i) subtract(i, k);
  for (int k = n; k-- > 0;) {
    T pivot = a[k * n + k];
    for (int64_t c = 0; c < columns; ++c) x[k * columns + c] /= pivot;
    for (int i = 0; i < k; ++i) subtract(i, k);
  }
}

// f(N) with the size as a constant, where it is a common one; 0: any.
template <class F> void with_size(int64_t n, const F &f) {
  if (n == 2) f(std::integral_constant<int, 2>{});
  else if (n == 3) f(std::integral_constant<int, 3>{});
  else if (n == 4) f(std::integral_constant<int, 4>{});
  else f(std::integral_constant<int, 0>{});
}
// f(Type<T>, the matrices, their size as a constant) for matrices that are small, square, and of a dtype of LAPACK's.
template <class F> void with_matrices(const Tensor &a, const F &f) {
  HD_CHECK(a.dim() >= 2 && a.size(-1) == a.size(-2) && a.size(-1) <= largest, runtime,
           "expected square matrices of at most %d rows, got %s", largest, brackets(a.shape()).c_str());
  HD_CHECK(dtype_in(a.dtype(), set_of(DType::F32) | set_of(DType::F64) | complexes), runtime,
           "expected float32, float64 or complex matrices, got %s", info(a.dtype()).name);
  visit(a.dtype(), [&]<class T>(Type<T>) {
    if constexpr (std::is_floating_point_v<T> || !is_real_element<T>)
      with_size(a.size(-1), [&](auto n) { f(Type<Wide<T>>{}, n); });
  });
}
Dims batch_of(const Tensor &a) {
  Dims shape(a.shape());
  shape.pop_back(), shape.pop_back();
  return shape;
}
// f(number of the matrix, the factors of it or of its transpose, its swaps, 1 + its first zero pivot)
template <int N, class T, class F> void for_factors(const Tensor &a, bool transposed, int64_t work, const F &f) {
  const int n = N ? N : int(a.size(-1));
  int64_t count = numel(batch_of(a));
  const T *from = a.data<T>();
  LongWork unlocked(count * work);
  parallel_for(count, 1 + 16384 / (work + 1), [&](long begin, long end) {
    T lu[largest * largest];
    int swap[largest];
    for (int64_t m = begin; m < end; ++m) {
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) lu[transposed ? j * n + i : i * n + j] = from[(m * n + i) * n + j];
      int32_t zero = factorize<N>(lu, swap, n);
      f(m, lu, swap, zero);
    }
  });
}

// X with A X = B, or A⁻¹ without B, and 1 + the first zero pivot of each matrix (0 where there is none: only there X
// is worth something). A is (…, n, n), n ≤ 8, B (…, n, k).
Tensors solve_small(const Tensor &a_, const std::optional<Tensor> &b) {
  NoGrad no;
  Tensor a = contiguous(a_), x, zeros_at = empty(batch_of(a), DType::I32);
  if (b) {
    HD_CHECK(b->dtype() == a.dtype() && b->dim() == a.dim() && batch_of(*b) == batch_of(a) && b->size(-2) == a.size(-1),
             runtime, "expected right sides for %s, got %s", describe(a).c_str(), describe(*b).c_str());
    x = empty(b->shape(), a.dtype());
    copy_data(x, *b);
  } else x = empty(a.shape(), a.dtype());
  int64_t columns = x.size(-1), rows = a.size(-1);
  with_matrices(a, [&]<class T, int N>(Type<T>, std::integral_constant<int, N>) {
    T *to = x.data<T>();
    auto *zero_at = zeros_at.data<int32_t>();
    for_factors<N, T>(a, false, rows * rows * (rows + columns),
                      [&](int64_t m, const T *lu, const int *swap, int32_t zero) {
                        T *mine = to + m * rows * columns;
                        for (int64_t i = 0; !b && i < rows * rows; ++i) mine[i] = T(i % (rows + 1) == 0);
                        zero_at[m] = zero;
                        substitute<N>(lu, swap, int(rows), mine, !b && N ? N : columns);
                      });
  });
  return {x, zeros_at};
}

// The determinants of A (…, n, n), n ≤ 8: those of the transposed matrices, which torch too factorizes where A is
// contiguous.
Tensor det_small(const Tensor &a_) {
  NoGrad no;
  Tensor a = contiguous(a_), y = empty(batch_of(a), a.dtype());
  bool transposed = a_.is_contiguous();
  int64_t rows = a.size(-1);
  with_matrices(a, [&]<class T, int N>(Type<T>, std::integral_constant<int, N>) {
    T *to = y.data<T>();
    for_factors<N, T>(a, transposed, rows * rows * rows, [&](int64_t m, const T *lu, const int *swap, int32_t) {
      T product = 1;
      for (int64_t k = 0; k < rows; ++k) product *= swap[k] == k ? lu[k * (rows + 1)] : -lu[k * (rows + 1)];
      to[m] = product;
    });
  });
  return y;
}
} // namespace
} // namespace ops

const OpTable &solve_ops() {
  using namespace ops;
  static const OpTable t = {
      def<solve_small>("_solve_small", "a, b=None", function),
      def<det_small>("_det_small", "a", function),
  };
  return t;
}

} // namespace hadamard
