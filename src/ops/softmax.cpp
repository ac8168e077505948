// softmax, log_softmax and logsumexp: shifted by the largest value, so that nothing overflows.
#include <algorithm>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/reduce.h"

namespace hadamard {
namespace ops {
namespace {

void check_softmax(const Tensor &x, int64_t dim, const char *name) {
  HD_CHECK(x.is_float() || !x.numel(), not_implemented, "\"%s%s_kernel_impl\" not implemented for '%s'", name,
           dim + 1 >= x.dim() ? "_lastdim" : "", info(x.dtype()).scalar);
}

// x minus its largest along dim; without history.
Tensor shifted(const Tensor &x, int64_t dim) { return x.numel() ? x - amax(x, Dims{dim}, true) : x; }

// Along the last dimension a kernel does it all in one pass over each row; along others, step by step.
bool in_rows(const Tensor &x, int64_t dim) { return x.numel() && !x.is_meta() && x.dim() && dim == x.dim() - 1; }

// f(kernels, T(), first row, rows) for pieces of the rows of n elements.
template <class F> void for_rows(const Tensor &x, const F &f) {
  int64_t n = x.shape().back(), rows = x.numel() / n;
  LongWork unlocked(x.numel() * 4);
  parallel_for(rows, std::max<int64_t>(1, 8192 / n), [&](long begin, long end) {
    if (x.dtype() == DType::F64) f(level().fused->real, double(), begin, end - begin);
    else f(level().fused->single, float(), begin, end - begin);
  });
}

Tensor softmax_of(const Tensor &x, int64_t dim, bool log) {
  Tensor w = widened(x), y;
  if (in_rows(x, dim)) {
    w = contiguous(w);
    y = empty(w.shape(), w.dtype());
    int64_t n = w.shape().back();
    for_rows(w, [&](const auto &kernels, auto t, long first, long rows) {
      using T = decltype(t);
      kernels.softmax(y.data<T>() + first * n, w.data<T>() + first * n, rows, n, log);
    });
  } else if (log) {
    Tensor s = shifted(w, dim);
    y = s - ops::log(sum(exp(s), Dims{dim}, true, std::nullopt));
  } else {
    Tensor e = exp(shifted(w, dim));
    y = e / sum(e, Dims{dim}, true, std::nullopt);
  }
  return to(y, x.dtype());
}
// The gradient for x; written in ops where it is to have gradients itself.
Tensor softmax_gradient(const Tensor &grad, const Tensor &result, int64_t dim, bool log) {
  Tensor g = widened(grad), y = widened(result), gx;
  if (in_rows(y, dim) && !grad_enabled()) {
    g = contiguous(g), y = contiguous(y);
    gx = empty(y.shape(), y.dtype());
    int64_t n = y.shape().back();
    for_rows(y, [&](const auto &kernels, auto t, long first, long rows) {
      using T = decltype(t);
      kernels.softmax_backward(gx.data<T>() + first * n, g.data<T>() + first * n, y.data<T>() + first * n, rows, n,
                               log);
    });
  } else if (log) {
    gx = g - exp(y) * sum(g, Dims{dim}, true, std::nullopt);
  } else {
    Tensor gy = g * y;
    gx = gy - y * sum(gy, Dims{dim}, true, std::nullopt);
  }
  return to(gx, grad.dtype());
}
} // namespace

Tensor softmax(const Tensor &input, int64_t dim, std::optional<DType> dtype) {
  Tensor x = dtype ? to(input, *dtype) : input;
  int64_t d = wrap_dim(dim, x.dim());
  check_softmax(x, d, "softmax");
  Tensor y;
  {
    NoGrad no;
    y = softmax_of(x, d, false);
  }
  return record(y, "SoftmaxBackward0", {x}, {result(y)},
                [d](const Backward &b) -> TensorList { return {softmax_gradient(b.grad(), b.saved(0), d, false)}; });
}

Tensor log_softmax(const Tensor &input, int64_t dim, std::optional<DType> dtype) {
  Tensor x = dtype ? to(input, *dtype) : input;
  int64_t d = wrap_dim(dim, x.dim());
  check_softmax(x, d, "log_softmax");
  Tensor y;
  {
    NoGrad no;
    y = softmax_of(x, d, true);
  }
  return record(y, "LogSoftmaxBackward0", {x}, {result(y)},
                [d](const Backward &b) -> TensorList { return {softmax_gradient(b.grad(), b.saved(0), d, true)}; });
}

Tensor logsumexp(const Tensor &input, const Dims &dims, bool keepdim) {
  Tensor x = dtype_in(input.dtype(), integers | boolean) ? to(input, default_dtype()) : input;
  Mask mask = dim_mask(dims, x.dim());
  Tensor y;
  {
    NoGrad no;
    Tensor w = widened(x);
    if (x.numel()) {
      Tensor largest = amax(w.is_complex() ? real(w) : w, dims, true);
      largest = where(isinf(largest), Scalar(0.0), largest); // inf - inf would be NaN
      y = log(sum(exp(w - largest), dims, true, std::nullopt)) + largest;
      if (!keepdim) y = reshape(y, reduced_shape(x, mask, false));
    } else {
      y = log(sum(exp(w), dims, keepdim, std::nullopt));
    }
    y = to(y, x.dtype());
  }
  Dims shape = x.shape();
  return record(y, "LogsumexpBackward0", {x}, {Keep{x}, result(y)}, [=](const Backward &b) -> TensorList {
    Tensor y = widened(restore(b.saved(1), shape, mask, keepdim)), g = widened(restore(b.grad(), shape, mask, keepdim));
    return {to(g * conj(exp(widened(b.saved(0)) - y)), b.grad().dtype())};
  });
}

namespace {
Tensor softmin(const Tensor &x, int64_t dim, std::optional<DType> dtype) { return softmax(-x, dim, dtype); }
} // namespace
} // namespace ops

const OpTable &softmax_ops() {
  using namespace ops;
  static const OpTable t = {
      def<softmax>("softmax", "input, dim, dtype=None, *, out=None"),
      def<log_softmax>("log_softmax", "input, dim, dtype=None, *, out=None"),
      def<softmin>("softmin", "input, dim, dtype=None", function),
      def<logsumexp>("logsumexp", "input, dim, keepdim=False, *, out=None"),
  };
  return t;
}

} // namespace hadamard
