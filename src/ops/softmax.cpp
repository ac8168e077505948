// softmax, log_softmax and logsumexp: shifted by the largest value, so that nothing overflows.
#include "ops/reduce.h"

namespace hadamard {
namespace ops {
namespace {

void check_softmax(const Tensor &x, int64_t dim, const char *name) {
  HD_CHECK(x.is_float(), not_implemented, "\"%s%s_kernel_impl\" not implemented for '%s'", name,
           dim + 1 >= x.dim() ? "_lastdim" : "", info(x.dtype()).scalar);
}

// x minus its largest along dim; without history.
Tensor shifted(const Tensor &x, int64_t dim) { return x.numel() ? x - amax(x, Dims{dim}, true) : x; }

Tensor softmax_of(const Tensor &x, int64_t dim) {
  Tensor e = exp(shifted(widened(x), dim));
  return to(e / sum(e, Dims{dim}, true, std::nullopt), x.dtype());
}
Tensor log_softmax_of(const Tensor &x, int64_t dim) {
  Tensor s = shifted(widened(x), dim);
  return to(s - log(sum(exp(s), Dims{dim}, true, std::nullopt)), x.dtype());
}
} // namespace

Tensor softmax(const Tensor &input, int64_t dim, std::optional<DType> dtype) {
  Tensor x = dtype ? to(input, *dtype) : input;
  int64_t d = wrap_dim(dim, x.dim());
  check_softmax(x, d, "softmax");
  Tensor y;
  {
    NoGrad no;
    y = softmax_of(x, d);
  }
  return record(y, "SoftmaxBackward0", {x}, {result(y)}, [d](const Backward &b) -> TensorList {
    Tensor y = widened(b.saved(0)), gy = widened(b.grad()) * y;
    return {to(gy - y * sum(gy, Dims{d}, true, std::nullopt), b.grad().dtype())};
  });
}

Tensor log_softmax(const Tensor &input, int64_t dim, std::optional<DType> dtype) {
  Tensor x = dtype ? to(input, *dtype) : input;
  int64_t d = wrap_dim(dim, x.dim());
  check_softmax(x, d, "log_softmax");
  Tensor y;
  {
    NoGrad no;
    y = log_softmax_of(x, d);
  }
  return record(y, "LogSoftmaxBackward0", {x}, {result(y)}, [d](const Backward &b) -> TensorList {
    Tensor g = widened(b.grad());
    return {to(g - exp(widened(b.saved(0))) * sum(g, Dims{d}, true, std::nullopt), b.grad().dtype())};
  });
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
