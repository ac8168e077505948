// Reductions: over any set of dimensions, with keepdim, in one pass over the strides as they are.
#include <algorithm>
#include <cmath>

#include "cpu/threads.h"
#include "ops/fuse.h"
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

namespace {
// The dimensions of a reduction to a result without gaps, whose elements have `step` bytes.
void lay_out(Reduction &r, Fold f, const Tensor &x, const Mask &mask, long step) {
  r.kept = r.reduced = 0;
  long size = x.itemsize();
  SmallVec<int64_t, 8> out_strides(size_t(x.dim()), 0);
  for (int64_t d = x.dim(); d-- > 0;)
    if (!mask[d]) {
      out_strides[d] = step;
      step *= x.shape()[d];
    }
  SmallVec<int, 8> order;
  for (int d = 0; d < x.dim(); ++d) order.push_back(d);
  if (f != Fold::argmax && f != Fold::argmin && !x.is_contiguous()) // an index counts in logical order
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
}
} // namespace

Tensor fold(Fold f, const Tensor &x, const Mask &mask, bool keepdim, DType result, const char *name) {
  Dims shape = reduced_shape(x, mask, keepdim);
  int last = 0; // reduced dimensions, where they are the last
  while (last < x.dim() && mask[x.dim() - 1 - last]) ++last;
  if (last && modes.fusing && last == std::count(mask.begin(), mask.end(), true))
    if (Tensor y = put_off_fold(name, f, x, last, shape, result)) return y;
  Tensor y = empty(shape, result, x.device());
  if (x.is_meta()) return y;
  Reduce reduce = level().reduce[int(f)][int(x.dtype())][int(result)];
  HD_CHECK(reduce, not_implemented, "\"%s_cpu\" not implemented for '%s'", name, info(x.dtype()).scalar);
  if (!y.numel()) return y;
  Reduction r;
  r.out = y.raw();
  r.in = x.raw();
  if (last == x.dim() && x.is_contiguous()) { // all of it is one row
    r.kept = 0, r.reduced = 1;
    r.reduced_shape[0] = x.numel(), r.reduced_stride[0] = x.itemsize();
  } else {
    lay_out(r, f, x, mask, y.itemsize());
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
  if (!needs_grad(x)) return y;
  Dims shape = x.shape();
  DType source = x.dtype();
  record(y, !dims || dims->empty() ? "SumBackward0" : "SumBackward1", {x}, {}, [=](const Backward &b) -> TensorList {
    const Tensor &g = b.grad();
    Tensor all = g.dim() == 0 && !grad_enabled() ? alias(g, shape, Dims(shape.size(), 0), g->offset) // one number
                                                 : expand(restore(g, shape, mask, keepdim), shape);
    return {all.dtype() == source ? std::move(all) : to(all, source)};
  });
  return y;
}

Tensor mean(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype) {
  HD_CHECK(
      dtype || x.is_float() || x.is_complex(), runtime,
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
  HD_CHECK(named || std::strncmp(name, "arg", 3) != 0, index,
           "%s(): Expected reduction dim to be specified for input.numel() == 0.", name);
  HD_CHECK(named, runtime,
           "%s(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
           "'dim' argument.",
           name);
  for (int64_t d = 0; d < x.dim(); ++d)
    HD_CHECK(!mask[d] || x.shape()[d], index, "%s(): Expected reduction dim %ld to have non-zero size.", name, long(d));
}

template <Fold f>
Tensor extreme(const Tensor &x, const OptDims &dims, bool keepdim, const char *name, const char *kernel,
               const char *node) {
  HD_CHECK(!x.is_complex(), not_implemented, "\"%s\" not implemented for '%s'", kernel, info(x.dtype()).scalar);
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
  return extreme<Fold::max>(x, dims, keepdim, "amax", "max_values_cpu", "AmaxBackward0");
}
Tensor amin(const Tensor &x, const OptDims &dims, bool keepdim) {
  return extreme<Fold::min>(x, dims, keepdim, "amin", "min_values_cpu", "AminBackward0");
}

namespace {
Tensor max_all(const Tensor &x) { return extreme<Fold::max>(x, {}, false, "max", "max_all", "MaxBackward1"); }
Tensor min_all(const Tensor &x) { return extreme<Fold::min>(x, {}, false, "min", "min_all", "MinBackward1"); }
Tensor max_other(const Tensor &x, const Tensor &other) { return maximum(x, other); }
Tensor min_other(const Tensor &x, const Tensor &other) { return minimum(x, other); }

template <Fold f> Tensor arg_extreme(const Tensor &x, std::optional<int64_t> dim, bool keepdim, const char *name) {
  HD_CHECK(!x.is_complex(), runtime, "%s(): does not support complex input", name);
  HD_CHECK(x.dtype() != DType::Bool, runtime, "%s(): does not support bool input", name);
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
  HD_CHECK(!x.is_complex(), runtime, "max(): does not support complex input");
  return with_index<Fold::argmax>(x, dim, keepdim, "max", "MaxBackward0");
}
std::tuple<Tensor, Tensor> min_dim(const Tensor &x, int64_t dim, bool keepdim) {
  HD_CHECK(!x.is_complex(), runtime, "min(): does not support complex input");
  return with_index<Fold::argmin>(x, dim, keepdim, "min", "MinBackward0");
}
} // namespace

// ---- variance

Moments moments(const Tensor &x, const Mask &mask, double correction) {
  double n = double(count(x, mask));
  DType t = x.dtype();
  Moments m;
  m.mean = fold(Fold::sum, x, mask, true, t, "var") / n;
  m.var = fold(Fold::sumsq, x - m.mean, mask, true, real_of(t), "var") / std::max(0.0, n - correction);
  return m;
}

namespace {
enum class Spread { var, std };

std::tuple<Tensor, Tensor> spread(const Tensor &x, const OptDims &dims, double correction, bool keepdim,
                                  const char *name, const char *node, Spread what, bool with_mean) {
  HD_CHECK(x.is_float() || x.is_complex(), runtime, "%s only support floating point and complex dtypes",
           with_mean ? name : "std and var");
  Mask mask = dim_mask(dims, x.dim());
  double n = double(count(x, mask));
  if (n - correction <= 0)
    warn(std::string(name) + "(): degrees of freedom is <= 0. Correction should be strictly less than the reduction "
                             "factor (input numel divided by output numel).");
  Tensor y, mean;
  {
    NoGrad no;
    Moments m = moments(widened(x), mask, correction);
    Dims shape = reduced_shape(x, mask, keepdim);
    y = reshape(to(what == Spread::std ? sqrt(m.var) : m.var, real_of(x.dtype())), shape);
    if (with_mean) mean = reshape(to(m.mean, x.dtype()), shape);
  }
  Dims shape = x.shape();
  DType dtype = x.dtype();
  record_many({y, mean}, node, {x}, {Keep{x}, result(y)}, [=](const Backward &b) -> TensorList {
    Tensor g;
    if (b.grad(0)) {
      Tensor x = widened(b.saved(0)), gv = widened(restore(b.grad(0), shape, mask, keepdim));
      if (what == Spread::std) { // no gradient where nothing deviates
        Tensor s = widened(restore(b.saved(1), shape, mask, keepdim)), still = s == 0.0;
        gv = where(still, Scalar(0.0), gv) / where(still, Scalar(1.0), s * 2.0);
      }
      Tensor centre = x.dim() ? ops::mean(x, dims_of(mask), true, std::nullopt) : x;
      g = gv * (x - centre) * (2.0 / std::max(0.0, n - correction));
    }
    if (b.wants(0) && b.grads.size() > 1 && b.grad(1))
      g = add_grads(g, expand(widened(restore(b.grad(1), shape, mask, keepdim)), shape) / n);
    return {g ? to(g, dtype) : g};
  });
  return {y, mean};
}

double correction_of(const std::optional<Scalar> &c) { return c ? c->re : 1; }
#define HD_SPREAD(op, what, node)                                                                                      \
  Tensor op(const Tensor &x, const OptDims &dim, const std::optional<Scalar> &correction, bool keepdim) {              \
    return std::get<0>(spread(x, dim, correction_of(correction), keepdim, #op, node, what, false));                    \
  }                                                                                                                    \
  Tensor op##_whole(const Tensor &x, bool unbiased) {                                                                  \
    return std::get<0>(spread(x, std::nullopt, unbiased, false, #op, node, what, false));                              \
  }                                                                                                                    \
  Tensor op##_dims(const Tensor &x, const OptDims &dim, bool unbiased, bool keepdim) {                                 \
    return std::get<0>(spread(x, dim, unbiased, keepdim, #op, node, what, false));                                     \
  }
#define HD_SPREAD_MEAN(op, what, node)                                                                                 \
  std::tuple<Tensor, Tensor> op(const Tensor &x, const OptDims &dim, const std::optional<Scalar> &correction,          \
                                bool keepdim) {                                                                        \
    return spread(x, dim, correction_of(correction), keepdim, #op, node, what, true);                                  \
  }                                                                                                                    \
  std::tuple<Tensor, Tensor> op##_whole(const Tensor &x, bool unbiased) {                                              \
    return spread(x, std::nullopt, unbiased, false, #op, node, what, true);                                            \
  }                                                                                                                    \
  std::tuple<Tensor, Tensor> op##_dims(const Tensor &x, const OptDims &dim, bool unbiased, bool keepdim) {             \
    return spread(x, dim, unbiased, keepdim, #op, node, what, true);                                                   \
  }
HD_SPREAD(var, Spread::var, "VarBackward0")
HD_SPREAD(std, Spread::std, "StdBackward0")
HD_SPREAD_MEAN(var_mean, Spread::var, "VarMeanBackward0")
HD_SPREAD_MEAN(std_mean, Spread::std, "StdMeanBackward0")
#undef HD_SPREAD
#undef HD_SPREAD_MEAN

// ---- products

// For every element along dim the product of all the others, which is right where some of them are 0.
Tensor product_of_others(const Tensor &x, int64_t dim) {
  int64_t n = x.size(dim);
  Dims one_shape = x.shape();
  one_shape[dim] = 1;
  Tensor one = full(one_shape, Scalar(1), x.dtype(), x.device());
  auto before = [&](const Tensor &v) { // the product of all in front, by doubling
    Tensor p = cat({one, narrow(v, dim, 0, n - 1)}, dim);
    for (int64_t step = 1; step < n; step *= 2)
      p = cat({narrow(p, dim, 0, step), narrow(p, dim, step, n - step) * narrow(p, dim, 0, n - step)}, dim);
    return p;
  };
  return before(x) * flip(before(flip(x, Dims{dim})), Dims{dim});
}

Tensor prod_gradient(const Tensor &g, const Tensor &x, const Tensor &y, int64_t dim) {
  bool zeros = false;
  {
    NoGrad no;
    zeros = !x.is_meta() && !item(any(x == 0.0, std::nullopt, false)).is_zero();
  }
  return g * conj(zeros ? product_of_others(x, dim) : y / x);
}

DType prod_dtype(const Tensor &x, std::optional<DType> dtype) {
  return dtype ? *dtype : dtype_in(x.dtype(), integers | boolean) ? DType::I64 : x.dtype();
}
Tensor product(const Tensor &x, const Mask &mask, bool keepdim, DType result) {
  NoGrad no;
  bool direct = x.dtype() == result || (result == DType::I64 && dtype_in(x.dtype(), integers | boolean));
  return fold(Fold::prod, direct ? x : to(x, result), mask, keepdim, result, "prod");
}

Tensor prod(const Tensor &x, std::optional<DType> dtype) {
  DType source = x.dtype();
  Tensor y = product(x, dim_mask(std::nullopt, x.dim()), false, prod_dtype(x, dtype));
  return record(y, "ProdBackward0", {x}, {Keep{x}, result(y)}, [source](const Backward &b) -> TensorList {
    Tensor x = b.saved(0), g = widened(b.grad()), flat = reshape(to(x, g.dtype()), Dims{x.numel()});
    return {to(reshape(prod_gradient(g, flat, widened(b.saved(1)), 0), x.shape()), source)};
  });
}
Tensor prod_dim(const Tensor &x, int64_t dim, bool keepdim, std::optional<DType> dtype) {
  int64_t d = wrap_dim(dim, x.dim());
  Mask mask = dim_mask(Dims{d}, x.dim());
  Tensor y = product(x, mask, keepdim, prod_dtype(x, dtype));
  DType source = x.dtype();
  return record(y, "ProdBackward1", {x}, {Keep{x}, result(y)}, [=](const Backward &b) -> TensorList {
    Tensor x = b.saved(0);
    const Dims &shape = x.shape();
    if (shape.empty()) return {to(b.grad(), source)};
    Tensor g = widened(restore(b.grad(), shape, mask, keepdim)), y = widened(restore(b.saved(1), shape, mask, keepdim));
    return {to(prod_gradient(g, to(x, g.dtype()), y, d), source)};
  });
}

// ---- sums that pass over NaN

Tensor nansum(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype) {
  HD_CHECK(!x.is_complex(), runtime, "nansum on CPU does not support complex inputs");
  if (!x.is_float()) return sum(x, dims, keepdim, dtype);
  Mask mask = dim_mask(dims, x.dim());
  Tensor y;
  {
    NoGrad no;
    y = sum(where(isnan(x), Scalar(0.0), x), dims, keepdim, dtype);
  }
  Dims shape = x.shape();
  DType source = x.dtype();
  return record(y, "NansumBackward0", {x}, {Keep{x}}, [=](const Backward &b) -> TensorList {
    return {to(where(isnan(b.saved(0)), Scalar(0.0), restore(b.grad(), shape, mask, keepdim)), source)};
  });
}
Tensor nanmean(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype) {
  HD_CHECK(x.is_float() || x.is_complex(), runtime,
           "nanmean(): expected input to have floating point or complex dtype but got %s", info(x.dtype()).scalar);
  Tensor total = nansum(x, dims, keepdim, dtype);
  return total / sum(logical_not(isnan(x)), dims, keepdim, std::nullopt);
}

std::tuple<Tensor, Tensor> aminmax(const Tensor &x, std::optional<int64_t> dim, bool keepdim) {
  HD_CHECK(!x.is_complex() || x.dim(), runtime, "aminmax not implemented for %s", info(x.dtype()).scalar);
  HD_CHECK(!x.is_complex(), not_implemented, "\"aminmax_cpu\" not implemented for '%s'", info(x.dtype()).scalar);
  HD_CHECK(dim || x.numel(), runtime,
           "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.");
  OptDims dims;
  if (dim) dims = Dims{wrap_dim(*dim, x.dim())};
  Mask mask = dim_mask(dims, x.dim());
  if (dim)
    HD_CHECK(!x.dim() || x.size(*dim), index, "aminmax: Expected reduction dim %ld to have non-zero size.", long(*dim));
  Tensor low = fold(Fold::min, x, mask, keepdim, x.dtype(), "aminmax"),
         high = fold(Fold::max, x, mask, keepdim, x.dtype(), "aminmax");
  Dims shape = x.shape();
  record_many({low, high}, "AminmaxBackward0", {x}, {Keep{x}, result(low, 0), result(high, 1)},
              [=](const Backward &b) -> TensorList {
                Tensor x = b.saved(0), total;
                for (size_t i = 0; i < 2; ++i)
                  if (b.grad(i)) {
                    Tensor here = x == restore(b.saved(i + 1), shape, mask, keepdim);
                    Tensor ties = shape.empty() ? here : sum(here, dims_of(mask), true, std::nullopt);
                    total = add_grads(total, restore(b.grad(i), shape, mask, keepdim) * here / ties);
                  }
                return {total};
              });
  return {low, high};
}

// ---- quantiles

// Positions along the last dimension of a contiguous x in ascending order, NaN last; how many are not NaN.
template <class T> void ascending(const T *row, int64_t n, int64_t *at, int64_t *sound) {
  for (int64_t i = 0; i < n; ++i) at[i] = i;
  std::stable_sort(at, at + n,
                   [row](int64_t a, int64_t b) { return row[a] < row[b] || (row[b] != row[b] && row[a] == row[a]); });
  *sound = n;
  while (*sound > 0 && row[at[*sound - 1]] != row[at[*sound - 1]]) --*sound;
}

Tensor quantile_of(const Tensor &input, const Tensor &q, std::optional<int64_t> dim, bool keepdim,
                   const std::string &interpolation, bool skip_nan) {
  const char *op = skip_nan ? "nanquantile" : "quantile";
  HD_CHECK(input.numel(), runtime, "%s() input tensor must be non-empty", op);
  HD_CHECK(input.dtype() == DType::F32 || input.dtype() == DType::F64, runtime,
           "quantile() input tensor must be either float or double dtype");
  HD_CHECK(q.dim() <= 1, runtime, "%s() q must be a scalar or 1D tensor", op);
  HD_CHECK(q.dtype() == input.dtype(), runtime, "%s() q tensor must be same dtype as the input tensor", op);
  enum { linear, lower, higher, midpoint, nearest } way = linear;
  if (interpolation == "lower") way = lower;
  else if (interpolation == "higher") way = higher;
  else if (interpolation == "midpoint") way = midpoint;
  else if (interpolation == "nearest") way = nearest;
  else
    HD_CHECK(interpolation == "linear", runtime,
             "%s() interpolation must be one of linear, lower, higher, midpoint or nearest, but got %s", op,
             interpolation.c_str());
  // The dimension goes last: one row of x per result.
  Tensor x = input;
  Dims shape; // of one quantile
  if (keepdim) shape = Dims(size_t(input.dim()), 1);
  int64_t n = input.numel();
  if (dim && input.dim()) {
    int64_t d = wrap_dim(*dim, input.dim());
    Dims order;
    for (int64_t k = 0; k < input.dim(); ++k)
      if (k != d) order.push_back(k);
    order.push_back(d);
    x = permute(input, order);
    n = input.size(d);
    shape = input.shape();
    if (keepdim) shape[d] = 1;
    else shape.erase(d);
  }
  int64_t rows = input.numel() / n, count = q.numel();
  x = reshape(x, Dims{rows, n});
  Tensor below = empty(Dims{rows, count}, DType::I64), above = empty(Dims{rows, count}, DType::I64);
  Tensor weight = empty(Dims{rows, count}, x.dtype()), slope = empty(Dims{rows, 1}, x.dtype()); // of rank by q
  {
    NoGrad no;
    Tensor flat = contiguous(x), levels = contiguous(q);
    auto go = [&]<class T>(Type<T>) {
      std::vector<int64_t> at(size_t(n) + 1);
      const T *values = flat.data<T>(), *wanted = levels.data<T>();
      for (int64_t k = 0; k < count; ++k)
        HD_CHECK(wanted[k] >= 0 && wanted[k] <= 1, runtime, "%s() q values must be in the range [0, 1]", op);
      for (int64_t r = 0; r < rows; ++r) {
        int64_t sound;
        ascending(values + r * n, n, at.data(), &sound);
        T span = T((skip_nan ? std::max<int64_t>(sound, 1) : n) - 1);
        bool spoiled = !skip_nan && sound < n; // by a NaN, which is the last
        slope.data<T>()[r] = spoiled ? T(0) : span;
        for (int64_t k = 0; k < count; ++k) {
          T rank = spoiled ? T(n - 1) : wanted[k] * span;
          if (way == lower) rank = std::floor(rank);
          if (way == higher) rank = std::ceil(rank);
          if (way == nearest) rank = std::nearbyint(rank);
          int64_t i = r * count + k, under = int64_t(rank), over = int64_t(std::ceil(rank));
          below.data<int64_t>()[i] = at[size_t(under)];
          above.data<int64_t>()[i] = at[size_t(over)];
          weight.data<T>()[i] = way == midpoint ? T(0.5) : rank - T(under);
        }
      }
    };
    if (x.dtype() == DType::F32) go(Type<float>{});
    else go(Type<double>{});
  }
  if (way == linear)
    record(weight, "MulBackward0", {q}, {}, [slope, shape = q.shape()](const Backward &b) -> TensorList {
      Tensor by_rank = masked_fill(b.grad() * slope, slope == 0, number(Scalar(0))); // NaN stays where it is
      return {reshape(sum(by_rank, Dims{0}, false, std::nullopt), shape)};
    });
  Tensor y = gather(x, 1, below);
  if (way == linear || way == midpoint) y = lerp(y, gather(x, 1, above), weight);
  Dims full = shape;
  if (q.dim()) full.insert(0, count);
  return reshape(q.dim() ? transpose(y, 0, 1) : y, full);
}
Tensor as_level(const Scalar &q, const Tensor &x, const char *op) {
  HD_CHECK(q.re >= 0 && q.re <= 1, runtime, "%s() q must be in the range [0, 1] but got %g", op, q.re);
  return scalar(q, x.is_float() ? x.dtype() : DType::F32);
}
Tensor quantile(const Tensor &x, const Tensor &q, std::optional<int64_t> dim, bool keepdim,
                const std::string &interpolation) {
  return quantile_of(x, q, dim, keepdim, interpolation, false);
}
Tensor quantile_number(const Tensor &x, const Scalar &q, std::optional<int64_t> dim, bool keepdim,
                       const std::string &interpolation) {
  return quantile_of(x, as_level(q, x, "quantile"), dim, keepdim, interpolation, false);
}
Tensor nanquantile(const Tensor &x, const Tensor &q, std::optional<int64_t> dim, bool keepdim,
                   const std::string &interpolation) {
  return quantile_of(x, q, dim, keepdim, interpolation, true);
}
Tensor nanquantile_number(const Tensor &x, const Scalar &q, std::optional<int64_t> dim, bool keepdim,
                          const std::string &interpolation) {
  return quantile_of(x, as_level(q, x, "nanquantile"), dim, keepdim, interpolation, true);
}

// ---- matrices of observations

Tensor cov(const Tensor &input, int64_t correction, const std::optional<Tensor> &fweights,
           const std::optional<Tensor> &aweights) {
  HD_CHECK(input.dim() <= 2, runtime,
           "cov(): expected input to have two or fewer dimensions but got an input with %ld dimensions",
           long(input.dim()));
  HD_CHECK(input.dtype() != DType::Bool, runtime, "cov(): bool dtype is not supported for input");
  Tensor x = input.dim() < 2 ? view(contiguous(input), Dims{1, input.numel()}) : input, w;
  int64_t n = x.size(1);
  auto check = [&](const Tensor &t, const char *name, bool floating) {
    HD_CHECK(t.dim() <= 1, runtime, "cov(): expected %s to have one or fewer dimensions but got %s with %ld dimensions",
             name, name, long(t.dim()));
    HD_CHECK(floating ? t.is_float() : dtype_in(t.dtype(), integers), runtime,
             "cov(): expected %s to have %s dtype but got %s with %s dtype", name,
             floating ? "floating point" : "integral", name, info(t.dtype()).scalar);
    HD_CHECK(t.numel() == n, runtime,
             "cov(): expected %s to have the same numel as there are observations in the input but got %ld != %ld",
             name, long(t.numel()), long(n));
    NoGrad no;
    HD_CHECK(!n || item(any(t < 0.0, std::nullopt, false)).is_zero(), runtime, "cov(): %s cannot be negative", name);
  };
  if (fweights) {
    check(*fweights, "fweights", false);
    w = *fweights;
  }
  if (aweights) {
    check(*aweights, "aweights", true);
    w = w ? w * *aweights : *aweights;
  }
  auto total = [](const Tensor &t) { return sum(t, std::nullopt, false, std::nullopt); };
  HD_CHECK(!w || item(total(w) == 0.0).is_zero(), runtime, "cov(): weights sum to zero, can't be normalized");
  Tensor mean_of =
      w ? sum(x * w, Dims{1}, true, std::nullopt) / total(w) : sum(x, Dims{1}, true, std::nullopt) / double(n);
  Tensor norm;
  if (w && aweights && correction) {
    Tensor scaled = fweights ? *aweights * *fweights * *aweights : *aweights * *aweights;
    norm = total(w) - double(correction) * total(fweights ? w * *aweights : scaled) / total(w);
  } else if (w) {
    norm = total(w) - correction;
  } else {
    norm = scalar(Scalar(n - correction), DType::I64);
  }
  if (item(norm).re <= 0)
    warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.");
  norm = clamp_min(norm, Scalar(0));
  Tensor d = x - mean_of;
  Tensor c = matmul(d, conj(transpose(w ? d * w : d, 0, 1))) / norm;
  return squeeze(c, std::nullopt);
}

Tensor corrcoef(const Tensor &x) {
  HD_CHECK(x.dim() <= 2, runtime,
           "corrcoef(): expected input to have two or fewer dimensions but got an input with %ld dimensions",
           long(x.dim()));
  Tensor c = cov(x, 1, std::nullopt, std::nullopt);
  if (c.dim() == 0) return c / c;
  Tensor d = diagonal(c, 0, 0, 1);
  Tensor s = sqrt(d.is_complex() ? real(d) : d);
  c = c / unsqueeze(s, -1) / unsqueeze(s, 0);
  if (!c.is_complex()) return clamp(c, Scalar(-1.0), Scalar(1.0));
  return complex(clamp(real(c), Scalar(-1.0), Scalar(1.0)), clamp(imag(c), Scalar(-1.0), Scalar(1.0)));
}

Tensor trace(const Tensor &x) {
  HD_CHECK(x.dim() == 2, runtime, "trace: expected a matrix, but got tensor with dim %ld", long(x.dim()));
  HD_CHECK(x.dtype() != DType::Bool, not_implemented, "\"trace\" not implemented for 'Bool'");
  Tensor y;
  {
    NoGrad no;
    y = sum(diagonal(x, 0, 0, 1), std::nullopt, false, std::nullopt);
  }
  Dims shape = x.shape();
  return record(y, "TraceBackward0", {x}, {}, [shape](const Backward &b) -> TensorList {
    DType t = DType::I64;
    Tensor row = arange(Scalar(0), Scalar(shape[0]), Scalar(1), t),
           col = arange(Scalar(0), Scalar(shape[1]), Scalar(1), t);
    return {where(unsqueeze(row, 1) == col, expand(b.grad(), shape), Scalar(0.0))};
  });
}

Tensor sum_to_size(const Tensor &x, const Dims &size) {
  Broadcast b = broadcast(size, x.shape());
  HD_CHECK(b.clash < 0 && b.shape == x.shape(), runtime, "size {%s} is not expandable to size {%s}.",
           brackets(size).c_str(), brackets(x.shape()).c_str());
  return sum_to(dtype_in(x.dtype(), integers | boolean) && !(x.shape() == size) ? to(x, DType::I64) : x, size);
}

// ---- the vector product

Tensor cross_along(const Tensor &a, const Tensor &b, int64_t dim, const char *op) {
  HD_CHECK(a.dim() == b.dim(), runtime, "%s: inputs must have the same number of dimensions.", op);
  HD_CHECK(a.size(dim) == 3 && b.size(dim) == 3, runtime,
           "linalg.cross: inputs dimension %ld must have length 3. Got %ld and %ld", long(dim), long(a.size(dim)),
           long(b.size(dim)));
  HD_CHECK(a.dtype() == b.dtype(), runtime, "expected scalar type %s but found %s", info(a.dtype()).scalar,
           info(b.dtype()).scalar);
  HD_CHECK(a.dtype() != DType::Bool, not_implemented, "\"cross\" not implemented for 'Bool'");
  int64_t d = wrap_dim(dim, a.dim());
  Tensor y;
  {
    NoGrad no;
    auto turned = [d](const Tensor &t, int64_t by) { // component i becomes component i + by
      return cat({narrow(t, d, by, 3 - by), narrow(t, d, 0, by)}, d);
    };
    y = turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1);
  }
  Dims a_shape = a.shape(), b_shape = b.shape();
  return record(y, "LinalgCrossBackward0", {a, b}, {Keep{a}, Keep{b}}, [=](const Backward &k) -> TensorList {
    TensorList r(2);
    Tensor g = k.grad();
    auto with = [&](const Tensor &t) { return expand(conj(t), g.shape()); };
    if (k.wants(0)) r[0] = sum_to(cross_along(with(k.saved(1)), g, d, "linalg.cross"), a_shape);
    if (k.wants(1)) r[1] = sum_to(cross_along(g, with(k.saved(0)), d, "linalg.cross"), b_shape);
    return r;
  });
}
Tensor linalg_cross(const Tensor &a, const Tensor &b, int64_t dim) { return cross_along(a, b, dim, "linalg.cross"); }
Tensor cross(const Tensor &a, const Tensor &b, std::optional<int64_t> dim) {
  if (dim) return cross_along(a, b, *dim, "linalg.cross");
  for (int64_t d = 0; d < a.dim(); ++d)
    if (a.size(d) == 3 && d < b.dim() && b.size(d) == 3) {
      warn("Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or "
           "simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in "
           "a future release.");
      return cross_along(a, b, d, "cross");
    }
  throw Error(Raises::runtime, "no dimension of size 3 in input");
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
      def<prod>("prod", "input, *, dtype=None"),
      def<prod_dim>("prod", "input, dim, keepdim=False, *, dtype=None, out=None"),
      def<nansum>("nansum", "input, dim=None, keepdim=False, *, dtype=None, out=None"),
      def<nanmean>("nanmean", "input, dim=None, keepdim=False, *, dtype=None, out=None"),
      def<aminmax>("aminmax", "input, *, dim=None, keepdim=False, out=None -> (min, max)"),
      def<quantile>("quantile", "input, q, dim=None, keepdim=False, *, interpolation='linear', out=None"),
      def<quantile_number>("quantile", "input, q, dim=None, keepdim=False, *, interpolation='linear', out=None"),
      def<nanquantile>("nanquantile", "input, q, dim=None, keepdim=False, *, interpolation='linear', out=None"),
      def<nanquantile_number>("nanquantile", "input, q, dim=None, keepdim=False, *, interpolation='linear', out=None"),
      def<cov>("cov", "input, *, correction=1, fweights=None, aweights=None"),
      def<corrcoef>("corrcoef", "input"),
      def<trace>("trace", "input"),
      def<sum_to_size>("sum_to_size", "input, size", method),
      def<linalg_cross>("linalg_cross", "input, other, *, dim=-1, out=None", function),
      def<cross>("cross", "input, other, dim=None, *, out=None"),
      def<var_whole>("var", "input, unbiased"),
      def<var_dims>("var", "input, dim, unbiased, keepdim=False, *, out=None"),
      def<var>("var", "input, dim=None, *, correction=1, keepdim=False, out=None"),
      def<std_whole>("std", "input, unbiased"),
      def<std_dims>("std", "input, dim, unbiased, keepdim=False, *, out=None"),
      def<std>("std", "input, dim=None, *, correction=1, keepdim=False, out=None"),
      def<var_mean_whole>("var_mean", "input, unbiased", function),
      def<var_mean_dims>("var_mean", "input, dim, unbiased, keepdim=False", function),
      def<var_mean>("var_mean", "input, dim=None, *, correction=1, keepdim=False", function),
      def<std_mean_whole>("std_mean", "input, unbiased", function),
      def<std_mean_dims>("std_mean", "input, dim, unbiased, keepdim=False", function),
      def<std_mean>("std_mean", "input, dim=None, *, correction=1, keepdim=False", function),
  };
  return t;
}

} // namespace hadamard
