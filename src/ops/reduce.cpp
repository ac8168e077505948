// Reductions: over any set of dimensions, with keepdim, in one pass over the strides as they are.
#include <algorithm>

#include "cpu/threads.h"
#include "ops/reduce.h"

namespace hadamard {
namespace ops {

Dims reduced_shape(const Tensor &x, const Mask &mask, bool keepdim) {
  Dims r;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (!mask[d]) r.push_back(x.shape()[d]);
    else if (keepdim) r.push_back(1);
  }
  return r;
}

Tensor restore(const Tensor &g, const Dims &shape, const Mask &mask, bool keepdim) {
  if (keepdim || shape.empty()) return g;
  Dims with;
  for (size_t d = 0; d < shape.size(); ++d) with.push_back(mask[d] ? 1 : shape[d]);
  return reshape(g, with);
}

Tensor fold(Fold f, const Tensor &x, const Mask &mask, bool keepdim, DType result, const char *name) {
  Tensor y = empty(reduced_shape(x, mask, keepdim), result, x.device());
  if (x.is_meta()) return y;
  Reduce reduce = level().reduce[int(f)][int(x.dtype())][int(result)];
  HD_CHECK(reduce, not_implemented, "\"%s_cpu\" not implemented for '%s'", name, info(x.dtype()).scalar);
  if (!y.numel()) return y;
  Reduction r;
  r.out = y.raw();
  r.in = x.raw();
  r.kept = r.reduced = 0;
  long size = x.itemsize(), step = y.itemsize();
  SmallVec<int64_t, 8> out_strides(size_t(x.dim()), 0);
  for (int64_t d = x.dim(); d-- > 0;)
    if (!mask[d]) {
      out_strides[d] = step;
      step *= x.shape()[d];
    }
  SmallVec<int, 8> order;
  for (int d = 0; d < x.dim(); ++d) order.push_back(d);
  if (f != Fold::argmax && f != Fold::argmin) // an index counts in logical order
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return x.strides()[a] > x.strides()[b]; });
  for (int d : order) {
    long n = x.shape()[d], stride = x.strides()[d] * size;
    if (n == 1) continue;
    if (mask[d]) {
      int k = r.reduced;
      if (k && r.reduced_stride[k - 1] == n * stride) {
        r.reduced_shape[k - 1] *= n;
        r.reduced_stride[k - 1] = stride;
      } else {
        r.reduced_shape[k] = n;
        r.reduced_stride[k] = stride;
        ++r.reduced;
      }
    } else {
      int k = r.kept;
      if (k && r.in_stride[k - 1] == n * stride && r.out_stride[k - 1] == n * out_strides[d]) {
        r.kept_shape[k - 1] *= n;
        r.in_stride[k - 1] = stride;
        r.out_stride[k - 1] = out_strides[d];
      } else {
        r.kept_shape[k] = n;
        r.in_stride[k] = stride;
        r.out_stride[k] = out_strides[d];
        ++r.kept;
      }
    }
  }
  LongWork unlocked(x.numel());
  // Threads take parts of the longest kept dimension; the order of summation within a result never changes.
  int split = -1;
  for (int d = 0; d < r.kept; ++d)
    if (split < 0 || r.kept_shape[d] > r.kept_shape[split]) split = d;
  if (split < 0 || x.numel() < 65536 || num_threads() == 1) {
    reduce(r);
    return y;
  }
  long n = r.kept_shape[split], per = std::max<long>(1, x.numel() / n), unit = std::min<long>(n, 16);
  parallel_for((n + unit - 1) / unit, std::max<long>(1, 32768 / (per * unit)), [&](long begin, long end) {
    Reduction part = r;
    long from = begin * unit, to = std::min(end * unit, n);
    part.kept_shape[split] = to - from;
    part.in += from * r.in_stride[split];
    part.out += from * r.out_stride[split];
    reduce(part);
  });
  return y;
}

int64_t count(const Tensor &x, const Mask &mask) {
  int64_t n = 1;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (mask[d]) n *= x.shape()[d];
  return n;
}
Dims dims_of(const Mask &mask) {
  Dims r;
  for (size_t d = 0; d < mask.size(); ++d)
    if (mask[d]) r.push_back(int64_t(d));
  return r;
}

Tensor sum(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype) {
  Mask mask = dim_mask(dims, x.dim());
  bool counts = dtype_in(x.dtype(), integers | boolean);
  DType result = dtype ? *dtype : counts ? DType::I64 : x.dtype();
  Tensor y;
  {
    NoGrad no;
    bool direct = x.dtype() == result || (result == DType::I64 && counts);
    y = fold(Fold::sum, direct ? x : to(x, result), mask, keepdim, result, "sum");
  }
  Dims shape = x.shape();
  DType source = x.dtype();
  return record(y, !dims || dims->empty() ? "SumBackward0" : "SumBackward1", {x}, {},
                [=](const Backward &b) -> TensorList {
                  return {to(expand(restore(b.grad(), shape, mask, keepdim), shape), source)};
                });
}

Tensor mean(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype) {
  HD_CHECK(dtype || x.is_float() || x.is_complex(), runtime,
           "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: %s",
           info(x.dtype()).scalar);
  Mask mask = dim_mask(dims, x.dim());
  double n = double(count(x, mask));
  Tensor y;
  {
    NoGrad no;
    y = sum(x, dims, keepdim, dtype) / n;
  }
  Dims shape = x.shape();
  DType source = x.dtype();
  return record(y, !dims || dims->empty() ? "MeanBackward0" : "MeanBackward1", {x}, {},
                [=](const Backward &b) -> TensorList {
                  return {to(expand(restore(b.grad(), shape, mask, keepdim), shape) / n, source)};
                });
}

Tensor any(const Tensor &x, const OptDims &dims, bool keepdim) {
  Tensor y = fold(Fold::any, x, dim_mask(dims, x.dim()), keepdim, DType::Bool, "any");
  return x.dtype() == DType::U8 ? to(y, DType::U8) : y;
}
Tensor all(const Tensor &x, const OptDims &dims, bool keepdim) {
  Tensor y = fold(Fold::all, x, dim_mask(dims, x.dim()), keepdim, DType::Bool, "all");
  return x.dtype() == DType::U8 ? to(y, DType::U8) : y;
}

namespace {
void check_empty(const Tensor &x, const Mask &mask, bool named, const char *name) {
  if (x.numel()) return;
  HD_CHECK(named, runtime,
           "%s(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
           "'dim' argument.",
           name);
  for (int64_t d = 0; d < x.dim(); ++d)
    HD_CHECK(!mask[d] || x.shape()[d], index, "%s(): Expected reduction dim %ld to have non-zero size.", name, long(d));
}

template <Fold f> Tensor extreme(const Tensor &x, const OptDims &dims, bool keepdim, const char *name, const char *node) {
  Mask mask = dim_mask(dims, x.dim());
  check_empty(x, mask, dims && !dims->empty(), name);
  Tensor y = fold(f, x, mask, keepdim, x.dtype(), name);
  Dims shape = x.shape();
  return record(y, node, {x}, {Keep{x}, result(y)}, [=](const Backward &b) -> TensorList {
    Tensor here = b.saved(0) == restore(b.saved(1), shape, mask, keepdim); // ties share the gradient
    Tensor ties = shape.empty() ? here : sum(here, dims_of(mask), true, std::nullopt);
    return {restore(b.grad(), shape, mask, keepdim) * here / ties};
  });
}
} // namespace

Tensor amax(const Tensor &x, const OptDims &dims, bool keepdim) {
  return extreme<Fold::max>(x, dims, keepdim, "amax", "AmaxBackward0");
}
Tensor amin(const Tensor &x, const OptDims &dims, bool keepdim) {
  return extreme<Fold::min>(x, dims, keepdim, "amin", "AminBackward0");
}

namespace {
Tensor max_all(const Tensor &x) { return extreme<Fold::max>(x, {}, false, "max", "MaxBackward1"); }
Tensor min_all(const Tensor &x) { return extreme<Fold::min>(x, {}, false, "min", "MinBackward1"); }
Tensor max_other(const Tensor &x, const Tensor &other) { return maximum(x, other); }
Tensor min_other(const Tensor &x, const Tensor &other) { return minimum(x, other); }

template <Fold f> Tensor arg_extreme(const Tensor &x, std::optional<int64_t> dim, bool keepdim, const char *name) {
  HD_CHECK(!x.is_complex() && x.dtype() != DType::Bool, not_implemented, "\"%s_cpu\" not implemented for '%s'", name,
           info(x.dtype()).scalar);
  OptDims dims;
  if (dim) dims = Dims{*dim};
  Mask mask = dim_mask(dims, x.dim());
  check_empty(x, mask, bool(dim), name);
  return fold(f, x, mask, keepdim, DType::I64, name);
}
Tensor argmax(const Tensor &x, std::optional<int64_t> dim, bool keepdim) {
  return arg_extreme<Fold::argmax>(x, dim, keepdim, "argmax");
}
Tensor argmin(const Tensor &x, std::optional<int64_t> dim, bool keepdim) {
  return arg_extreme<Fold::argmin>(x, dim, keepdim, "argmin");
}

template <Fold f>
std::tuple<Tensor, Tensor> with_index(const Tensor &x, int64_t dim, bool keepdim, const char *name, const char *node) {
  int64_t d = wrap_dim(dim, x.dim());
  Mask mask = dim_mask(Dims{d}, x.dim());
  check_empty(x, mask, true, name);
  Tensor at, y;
  {
    NoGrad no;
    at = fold(f, x.dtype() == DType::Bool ? to(x, DType::U8) : x, mask, true, DType::I64, name);
    y = x.dim() ? gather(x, d, at) : clone(x);
    if (!keepdim && x.dim()) {
      at = clone(squeeze(at, Dims{d}));
      y = clone(squeeze(y, Dims{d}));
    }
  }
  Dims shape = x.shape();
  record(y, node, {x}, {Keep{at}}, [=](const Backward &b) -> TensorList {
    if (shape.empty()) return {b.grad()};
    Tensor g = restore(b.grad(), shape, mask, keepdim), i = restore(b.saved(0), shape, mask, keepdim);
    return {scatter_add(zeros(shape, g.dtype(), g.device()), d, i, g)};
  });
  return {y, at};
}
std::tuple<Tensor, Tensor> max_dim(const Tensor &x, int64_t dim, bool keepdim) {
  return with_index<Fold::argmax>(x, dim, keepdim, "max", "MaxBackward0");
}
std::tuple<Tensor, Tensor> min_dim(const Tensor &x, int64_t dim, bool keepdim) {
  return with_index<Fold::argmin>(x, dim, keepdim, "min", "MinBackward0");
}
} // namespace
} // namespace ops

const OpTable &reduce_ops() {
  using namespace ops;
  static const OpTable t = {
      def<sum>("sum", "input, dim=None, keepdim=False, *, dtype=None, out=None"),
      def<mean>("mean", "input, dim=None, keepdim=False, *, dtype=None, out=None"),
      def<any>("any", "input, dim=None, keepdim=False, *, out=None"),
      def<all>("all", "input, dim=None, keepdim=False, *, out=None"),
      def<amax>("amax", "input, dim=(), keepdim=False, *, out=None"),
      def<amin>("amin", "input, dim=(), keepdim=False, *, out=None"),
      def<max_all>("max", "input"),
      def<max_dim>("max", "input, dim, keepdim=False, *, out=None -> (values, indices)"),
      def<max_other>("max", "input, other, *, out=None"),
      def<min_all>("min", "input"),
      def<min_dim>("min", "input, dim, keepdim=False, *, out=None -> (values, indices)"),
      def<min_other>("min", "input, other, *, out=None"),
      def<argmax>("argmax", "input, dim=None, keepdim=False, *, out=None"),
      def<argmin>("argmin", "input, dim=None, keepdim=False, *, out=None"),
  };
  return t;
}

} // namespace hadamard
