// New tensors, conversions, and in-place writes of whole tensors.
#include <cmath>

#include "ops/all.h"

namespace hadamard {
namespace ops {

Tensor arange(const Scalar &start, const Scalar &end, const Scalar &step, DType t) {
  HD_CHECK(!step.is_zero(), runtime, "step must be nonzero");
  HD_CHECK(std::isfinite(start.re) && std::isfinite(end.re), runtime, "unsupported range: %g -> %g", start.re, end.re);
  HD_CHECK((step.re > 0) == (end.re >= start.re) || end.re == start.re, runtime,
           "upper bound and lower bound inconsistent with step sign");
  bool whole = start.kind <= Scalar::integer && end.kind <= Scalar::integer && step.kind <= Scalar::integer;
  // Integers are stepped through as integers, whatever the bounds were; int64 counts with them, the others without.
  bool integer = dtype_in(t, integers | boolean);
  int64_t from = start.to_int(), by = step.to_int();
  HD_CHECK(!integer || by, runtime, "step must be nonzero");
  double span = std::ceil((end.re - start.re) / step.re);
  HD_CHECK(span >= 0 && span < 9.2e18, runtime, "invalid size, possible overflow?");
  int64_t n = whole || t == DType::I64 ? (end.to_int() - from + by - (by > 0 ? 1 : -1)) / by : int64_t(span);
  Tensor y = empty({n}, t);
  for (int64_t i = 0; i < n; ++i)
    store(y.raw() + i * y.itemsize(), t, integer ? Scalar(from + i * by) : Scalar(start.re + double(i) * step.re));
  return y;
}

namespace {
bool is_last(Format f) { return f == Format::channels_last || f == Format::channels_last_3d; }
size_t rank(Format f) { return f == Format::channels_last ? 4 : 5; }

Dims format_strides(const Dims &shape, Format f) {
  if (!is_last(f)) return contiguous_strides(shape);
  HD_CHECK(shape.size() == rank(f), runtime, "required rank %zu tensor to use channels_last%s format", rank(f),
           f == Format::channels_last ? "" : "_3d");
  Dims r(shape.size(), 1);
  int64_t step = shape[1];
  for (size_t d = shape.size() - 1; d > 1; --d) {
    r[d] = step;
    step = next_stride(step, shape[d]);
  }
  r[0] = step;
  return r;
}
Tensor laid_out(const Dims &shape, Format f, DType t, Device d) {
  numel(shape);
  return is_last(f) ? empty_strided(shape, format_strides(shape, f), t, d) : empty(shape, t, d);
}
} // namespace

bool is_contiguous(const Tensor &x, Format f) {
  if (!is_last(f)) return x.is_contiguous();
  if (size_t(x.dim()) != rank(f)) return false;
  Dims strides = format_strides(x.shape(), f);
  for (int64_t d = 0; d < x.dim(); ++d)
    if (x.shape()[d] != 1 && x.strides()[d] != strides[d]) return false;
  return true;
}
Format suggested(const Tensor &x) {
  Format f = x.dim() == 4 ? Format::channels_last : Format::channels_last_3d;
  if (size_t(x.dim()) != rank(f) || x.strides()[1] == 0) return Format::contiguous;
  int64_t least = 0;
  for (int64_t k = 0; k < x.dim(); ++k) { // from the channels over the last dimension to the first
    int64_t d = k == 0 ? 1 : k + 1 == x.dim() ? 0 : x.dim() - k, step = x.strides()[d];
    if (x.shape()[d] == 0 || step < least || (d == 0 && least == x.strides()[1])) return Format::contiguous;
    least = next_stride(step, x.shape()[d]);
  }
  return f;
}
Tensor like(const Tensor &x, std::optional<DType> dtype, std::optional<Device> device, std::optional<Format> format) {
  DType t = dtype.value_or(x.dtype());
  Device d = device.value_or(x.device());
  if (format && *format != Format::preserve) return laid_out(x.shape(), *format, t, d);
  if (d == x.device()) return empty_like(x, t);
  return is_dense(x.shape(), x.strides()) ? empty_strided(x.shape(), x.strides(), t, d) : empty(x.shape(), t, d);
}
Tensor clone(const Tensor &x, Format format) {
  Tensor y = like(x, std::nullopt, std::nullopt, format);
  copy_data(y, x);
  return record(y, "CloneBackward0", {x}, {}, [](const Backward &b) -> TensorList { return {b.grad()}; });
}
Tensor contiguous(const Tensor &x, Format format) {
  if (is_contiguous(x, format)) return x;
  HD_CHECK(format != Format::preserve, runtime, "preserve memory format is unsupported by the contiguous operator");
  return clone(x, format);
}
Tensor to(const Tensor &x, std::optional<DType> dtype, std::optional<Device> device, bool copy,
          std::optional<Format> format) {
  Tensor y = to(to(x, dtype.value_or(x.dtype())), device.value_or(x.device()));
  Format f = format.value_or(Format::preserve);
  if (y.is(x) ? copy || (f != Format::preserve && suggested(x) != f) : f != Format::preserve && !is_contiguous(y, f))
    return clone(y, f);
  return y;
}

namespace {

// What every factory takes besides a shape.
Tensor finish(Tensor t, bool requires_grad) {
  HD_CHECK(!requires_grad || differentiable(t), runtime,
           "Only Tensors of floating point and complex dtype can require gradients");
  if (requires_grad) set_requires_grad(t, true);
  return t;
}
DType or_default(std::optional<DType> t) { return t ? *t : default_dtype(); }

Tensor empty_op(const Dims &size, std::optional<DType> dtype, Ignored, std::optional<Device> device, bool requires_grad,
                Ignored, std::optional<Format> format) {
  return finish(laid_out(size, format.value_or(Format::contiguous), or_default(dtype), device.value_or(Device{})),
                requires_grad);
}
Tensor zeros_op(const Dims &size, std::optional<DType> dtype, Ignored, std::optional<Device> device, bool requires_grad,
                Ignored) {
  for (int64_t s : size) HD_CHECK(s >= 0, runtime, "zeros: Dimension size must be non-negative.");
  return finish(zeros(size, or_default(dtype), device.value_or(Device{})), requires_grad);
}
Tensor ones_op(const Dims &size, std::optional<DType> dtype, Ignored, std::optional<Device> device, bool requires_grad,
               Ignored) {
  return finish(full(size, Scalar(1), or_default(dtype), device.value_or(Device{})), requires_grad);
}
DType dtype_of_number(const Scalar &v) {
  switch (v.kind) {
  case Scalar::boolean: return DType::Bool;
  case Scalar::integer: return DType::I64;
  case Scalar::floating: return default_dtype();
  default: return complex_of(default_dtype());
  }
}
Tensor full_op(const Dims &size, const Operand &fill_value, std::optional<DType> dtype, Ignored,
               std::optional<Device> device, bool requires_grad, Ignored) {
  Scalar v = item(fill_value.t);
  return finish(full(size, v,
                     dtype                   ? *dtype
                     : fill_value.t->wrapped ? dtype_of_number(v)
                                             : fill_value.t.dtype(),
                     device.value_or(Device{})),
                requires_grad);
}

Tensor empty_like_op(const Tensor &x, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                     bool requires_grad, Ignored, std::optional<Format> format) {
  return finish(like(x, dtype, device, format), requires_grad);
}
Tensor full_like_with(const Tensor &x, const Scalar &v, std::optional<DType> dtype, std::optional<Device> device,
                      bool requires_grad, std::optional<Format> format) {
  Tensor y = like(x, dtype, device, format);
  fill_data(y, v);
  return finish(y, requires_grad);
}
Tensor zeros_like_op(const Tensor &x, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                     bool requires_grad, Ignored, std::optional<Format> format) {
  return full_like_with(x, Scalar(0), dtype, device, requires_grad, format);
}
Tensor ones_like_op(const Tensor &x, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                    bool requires_grad, Ignored, std::optional<Format> format) {
  return full_like_with(x, Scalar(1), dtype, device, requires_grad, format);
}
Tensor full_like_op(const Tensor &x, const Operand &fill_value, std::optional<DType> dtype, Ignored,
                    std::optional<Device> device, bool requires_grad, Ignored, std::optional<Format> format) {
  return full_like_with(x, item(fill_value.t), dtype, device, requires_grad, format);
}
Tensor new_zeros(const Tensor &x, const Dims &size, std::optional<DType> dtype, std::optional<Device> device,
                 bool requires_grad, Ignored, Ignored) {
  return finish(zeros(size, dtype.value_or(x.dtype()), device.value_or(x.device())), requires_grad);
}
Tensor new_ones(const Tensor &x, const Dims &size, std::optional<DType> dtype, std::optional<Device> device,
                bool requires_grad, Ignored, Ignored) {
  return finish(full(size, Scalar(1), dtype.value_or(x.dtype()), device.value_or(x.device())), requires_grad);
}
Tensor new_empty(const Tensor &x, const Dims &size, std::optional<DType> dtype, std::optional<Device> device,
                 bool requires_grad, Ignored, Ignored) {
  return finish(empty(size, dtype.value_or(x.dtype()), device.value_or(x.device())), requires_grad);
}
Tensor new_full(const Tensor &x, const Dims &size, const Operand &fill_value, std::optional<DType> dtype,
                std::optional<Device> device, bool requires_grad, Ignored, Ignored) {
  return finish(full(size, item(fill_value.t), dtype.value_or(x.dtype()), device.value_or(x.device())), requires_grad);
}
Tensor empty_strided_op(const Dims &size, const Dims &stride, std::optional<DType> dtype, Ignored,
                        std::optional<Device> device, bool requires_grad, Ignored) {
  HD_CHECK(size.size() == stride.size(), runtime,
           "dimensionality of sizes (%zu) must match dimensionality of strides (%zu)", size.size(), stride.size());
  return finish(empty_strided(size, stride, or_default(dtype), device.value_or(Device{})), requires_grad);
}

Tensor arange_with(const Scalar &start, const Scalar &end, const Scalar &step, std::optional<DType> dtype,
                   std::optional<Device> device, bool requires_grad) {
  bool whole = start.kind <= Scalar::integer && end.kind <= Scalar::integer && step.kind <= Scalar::integer;
  Tensor y = arange(start, end, step, dtype ? *dtype : whole ? DType::I64 : default_dtype());
  return finish(device ? to(y, *device) : y, requires_grad);
}
Tensor arange_end(const Scalar &end, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                  bool requires_grad, Ignored) {
  return arange_with(Scalar(0), end, Scalar(1), dtype, device, requires_grad);
}
Tensor arange_op(const Scalar &start, const Scalar &end, const Scalar &step, std::optional<DType> dtype, Ignored,
                 std::optional<Device> device, bool requires_grad, Ignored) {
  return arange_with(start, end, step, dtype, device, requires_grad);
}
Tensor range_op(const Scalar &start, const Scalar &end, const Scalar &step, std::optional<DType> dtype, Ignored,
                std::optional<Device> device, bool requires_grad, Ignored) {
  HD_CHECK(!step.is_zero(), runtime, "step must be nonzero");
  int64_t n = int64_t(std::floor((end.re - start.re) / step.re)) + 1;
  HD_CHECK(n >= 0, runtime, "upper bound and lower bound inconsistent with step sign");
  DType t = or_default(dtype);
  Tensor y = empty({n}, t);
  for (int64_t i = 0; i < n; ++i) store(y.raw() + i * y.itemsize(), t, Scalar(start.re + double(i) * step.re));
  return finish(device ? to(y, *device) : y, requires_grad);
}

Scalar as(const Scalar &s, DType t) { // rounded to the numbers of t
  alignas(16) char bytes[16];
  store(bytes, t, s);
  return load(bytes, t);
}
void check_ends(const char *op, const Tensor &start, const Tensor &end, int64_t steps) {
  HD_CHECK(!start.dim() && !end.dim(), runtime,
           "%s only supports 0-dimensional start and end tensors, but got start with %ld dimension(s) and end with %ld "
           "dimension(s).",
           op, long(start.dim()), long(end.dim()));
  HD_CHECK(steps >= 0, runtime, "number of steps must be non-negative");
}
// From both ends towards the middle, in the dtype's own arithmetic: torch's values.
Tensor linspace_op(const Operand &start, const Operand &end, int64_t steps, std::optional<DType> dtype, Ignored,
                   std::optional<Device> device, bool requires_grad, Ignored) {
  check_ends("linspace", start, end, steps);
  Scalar a = item(start.t), b = item(end.t);
  DType t = dtype                                                      ? *dtype
            : a.kind == Scalar::complex_ || b.kind == Scalar::complex_ ? complex_of(default_dtype())
                                                                       : default_dtype();
  Tensor y = empty({steps}, t);
  auto set = [&](int64_t i, const Scalar &v) { store(y.raw() + i * y.itemsize(), t, v); };
  if (t == DType::F32) { // rounded once, as torch's compiler has it: the middle of (-a, a) is not always 0
    float from = float(a.re), to = float(b.re), step = (to - from) / float(steps - 1);
    for (int64_t i = 0; i < steps; ++i)
      set(i,
          Scalar(double(i < steps / 2 ? std::fma(step, float(i), from) : std::fma(-step, float(steps - i - 1), to))));
  } else if (t == DType::F64) {
    double step = (b.re - a.re) / double(steps - 1);
    for (int64_t i = 0; i < steps; ++i)
      set(i, Scalar(i < steps / 2 ? std::fma(step, double(i), a.re) : std::fma(-step, double(steps - i - 1), b.re)));
  } else if (dtype_in(t, integers)) {
    double from = as(a, t).re, to = as(b, t).re, step = (to - from) / double(steps - 1);
    for (int64_t i = 0; i < steps; ++i)
      set(i, Scalar(int64_t(i < steps / 2 ? from + step * double(i) : to - step * double(steps - i - 1))));
  } else {
    std::complex<double> from(a.re, a.im), to(b.re, b.im), step = (to - from) / double(steps - 1);
    for (int64_t i = 0; i < steps; ++i)
      set(i, Scalar(i < steps / 2 ? from + step * double(i) : to - step * double(steps - i - 1)));
  }
  if (steps == 1) set(0, a);
  return finish(device ? to(y, *device) : y, requires_grad);
}
Tensor logspace_op(const Operand &start, const Operand &end, int64_t steps, double base, std::optional<DType> dtype,
                   Ignored, std::optional<Device> device, bool requires_grad, Ignored) {
  check_ends("logspace", start, end, steps);
  DType t = or_default(dtype);
  double a = as(item(start.t), t).re, b = as(item(end.t), t).re, span = b - a;
  if (dtype_in(t, floats)) span = as(Scalar(span), t).re;
  double step = span / double(steps - 1);
  Tensor y = empty({steps}, t);
  for (int64_t i = 0; i < steps; ++i)
    store(y.raw() + i * y.itemsize(), t,
          Scalar(std::pow(base, steps == 1      ? item(start.t).re
                                : i < steps / 2 ? a + step * double(i)
                                                : b - step * double(steps - i - 1))));
  return finish(device ? to(y, *device) : y, requires_grad);
}
Tensor eye_op(int64_t n, std::optional<int64_t> m, std::optional<DType> dtype, Ignored, std::optional<Device> device,
              bool requires_grad, Ignored) {
  HD_CHECK(n >= 0, runtime, "n must be greater or equal to 0, got %ld", long(n));
  HD_CHECK(!m || *m >= 0, runtime, "m must be greater or equal to 0, got %ld", long(*m));
  Tensor y = zeros({n, m.value_or(n)}, or_default(dtype), device.value_or(Device{}));
  fill_data(diagonal(y, 0, 0, 1), Scalar(1));
  return finish(y, requires_grad);
}

// ---- conversions
Tensor type_as(const Tensor &x, const Tensor &other) { return to(to(x, other.dtype()), other.device()); }
template <DType t> Tensor cast(const Tensor &x, std::optional<Format> format) {
  return to(x, t, std::nullopt, false, format);
}

// ---- whole tensors in place
Tensor copy_op(const Tensor &self, const Operand &src, bool) {
  copy_(self, src.t.device() == self.device() ? src.t : to(src.t, self.device()));
  return self;
}
Tensor fill_op(const Tensor &self, const Operand &value) {
  fill_(self, value.t);
  return self;
}
Tensor zero_op(const Tensor &self) {
  zero_(self);
  return self;
}
Tensor detach_inplace(const Tensor &self) {
  HD_CHECK(!self->base, runtime,
           "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
           "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
           "detach_() cannot be called on these gradients. To fix this error, please refer to the "
           "Optimizer.zero_grad() function in torch/optim/optimizer.py as a solution.");
  set_fn(self, nullptr, 0);
  self->asks_grad = false;
  if (self->meta) self->meta->retains_grad = false;
  return self;
}
Tensor resize_op(const Tensor &self, const Dims &size, std::optional<Format> format) {
  HD_CHECK(!self.requires_grad(), runtime, "cannot resize variables that require grad");
  HD_CHECK(format != Format::preserve, runtime, "Unsupported memory formatPreserve");
  if (format) set_geometry(self, size, format_strides(size, *format), self->offset);
  else resize(self, size);
  return self;
}
Tensor resize_as_op(const Tensor &self, const Tensor &the_template, std::optional<Format> format) {
  HD_CHECK(!self.requires_grad(), runtime, "cannot resize variables that require grad");
  resize(self, the_template.shape());
  if (!format) return self;
  Format f = *format == Format::preserve ? suggested(the_template) : *format;
  set_geometry(self, self.shape(), format_strides(self.shape(), f), self->offset);
  return self;
}
Tensor set_op(const Tensor &self, const Tensor &source) {
  HD_CHECK(self.dtype() == source.dtype(), runtime, "Could not set tensor of type %s to a tensor of type %s",
           info(source.dtype()).name, info(self.dtype()).name);
  self->storage = source->storage;
  set_geometry(self, source.shape(), source.strides(), source->offset);
  return self;
}
// self becomes a view of what it was, and its history goes on from the view's.
template <class F> Tensor become(const Tensor &self, F view_of) {
  check_inplace(self);
  Tensor v = view_of(self);
  Ref<Node> fn(grad_enabled() && v.requires_grad() && !self->base ? grad_fn(v) : nullptr);
  set_geometry(self, v.shape(), v.strides(), v->offset);
  if (fn) rebase_history(self, fn);
  else if (self->base) self->grad_version = self.version() - 1; // made anew from the base
  return self;
}
Tensor unsqueeze_(const Tensor &self, int64_t dim) {
  return become(self, [&](const Tensor &x) { return unsqueeze(x, dim); });
}
Tensor squeeze_(const Tensor &self) {
  return become(self, [](const Tensor &x) { return squeeze(x, std::nullopt); });
}
Tensor squeeze_dims_(const Tensor &self, const Dims &dims) {
  return become(self, [&](const Tensor &x) { return squeeze(x, dims); });
}
Tensor transpose_(const Tensor &self, int64_t dim0, int64_t dim1) {
  return become(self, [&](const Tensor &x) { return transpose(x, dim0, dim1); });
}
Tensor as_strided_(const Tensor &self, const Dims &size, const Dims &stride, std::optional<int64_t> offset) {
  return become(self, [&](const Tensor &x) { return as_strided(x, size, stride, offset); });
}
Tensor t_(const Tensor &self) {
  HD_CHECK(self.dim() <= 2, runtime, "t_() expects a tensor with <= 2 dimensions, but self is %ldD", long(self.dim()));
  return self.dim() == 2 ? transpose_(self, 0, 1) : self;
}

// ---- questions
bool equal(const Tensor &x, const Tensor &other) {
  NoGrad no;
  const Tensor pair[] = {x, other};
  common_device(pair, 2, "equal");
  if (!(x.shape() == other.shape())) return false;
  if (x.is_meta()) throw Error(Raises::not_implemented, "equal cannot be called on meta tensors");
  return !item(all(x == other, std::nullopt, false)).is_zero();
}
DType result_type_op(const Operand &tensor1, const Operand &tensor2) {
  const Tensor in[] = {tensor1.t, tensor2.t};
  return result_type(in, 2);
}
DType promote_types(DType type1, DType type2) { return promote(type1, type2); }
bool can_cast_op(DType from_, DType to_) { return can_cast(from_, to_); }
Dims broadcast_pair(const Dims &a, const Dims &b) {
  Broadcast r = broadcast(a, b);
  HD_CHECK(r.clash < 0, runtime, "Shape mismatch: objects cannot be broadcast to a single shape");
  return r.shape;
}
int64_t numel_op(const Tensor &x) { return x.numel(); }
bool is_nonzero(const Tensor &x) {
  HD_CHECK(x.numel() != 0, runtime, "Boolean value of Tensor with no values is ambiguous");
  HD_CHECK(x.numel() == 1, runtime, "Boolean value of Tensor with more than one value is ambiguous");
  return !item(x).is_zero();
}
bool is_floating_point(const Tensor &x) { return x.is_float(); }
bool is_complex_op(const Tensor &x) { return x.is_complex(); }
bool is_same_size(const Tensor &x, const Tensor &other) { return x.shape() == other.shape(); }
bool is_signed(const Tensor &x) { return x.dtype() != DType::Bool && x.dtype() != DType::U8; }
} // namespace
} // namespace ops

const OpTable &create_ops() {
  using namespace ops;
  static const OpTable t = {
      def<empty_op>("empty",
                    "size, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, "
                    "memory_format=None, out=None",
                    function),
      def<zeros_op>("zeros",
                    "size, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
                    function),
      def<ones_op>("ones",
                   "size, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
                   function),
      def<full_op>(
          "full",
          "size, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
          function),
      def<empty_like_op>(
          "empty_like",
          "input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None",
          function),
      def<zeros_like_op>(
          "zeros_like",
          "input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None",
          function),
      def<ones_like_op>(
          "ones_like",
          "input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None",
          function),
      def<full_like_op>("full_like",
                        "input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, "
                        "pin_memory=False, memory_format=None",
                        function),
      def<new_zeros>("new_zeros",
                     "input, size, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False",
                     method),
      def<new_ones>("new_ones",
                    "input, size, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False",
                    method),
      def<new_empty>("new_empty",
                     "input, size, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False",
                     method),
      def<new_full>(
          "new_full",
          "input, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False",
          method),
      def<empty_strided_op>(
          "empty_strided",
          "size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False", function),
      def<arange_end>("arange",
                      "end, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
                      function),
      def<arange_op>("arange",
                     "start, end, step=1, *, dtype=None, layout=None, device=None, requires_grad=False, "
                     "pin_memory=False, out=None",
                     function),
      def<range_op>("range",
                    "start, end, step=1, *, dtype=None, layout=None, device=None, requires_grad=False, "
                    "pin_memory=False, out=None",
                    function),
      def<linspace_op>(
          "linspace",
          "start, end, steps, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
          function),
      def<logspace_op>("logspace",
                       "start, end, steps, base=10.0, *, dtype=None, layout=None, device=None, requires_grad=False, "
                       "pin_memory=False, out=None",
                       function),
      def<eye_op>("eye",
                  "n, m=None, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None",
                  function),
      def<type_as>("type_as", "input, other", method),
      def<cast<DType::F32>>("float", "input, memory_format=None", method),
      def<cast<DType::F64>>("double", "input, memory_format=None", method),
      def<cast<DType::F16>>("half", "input, memory_format=None", method),
      def<cast<DType::BF16>>("bfloat16", "input, memory_format=None", method),
      def<cast<DType::I64>>("long", "input, memory_format=None", method),
      def<cast<DType::I32>>("int", "input, memory_format=None", method),
      def<cast<DType::I16>>("short", "input, memory_format=None", method),
      def<cast<DType::I8>>("char", "input, memory_format=None", method),
      def<cast<DType::U8>>("byte", "input, memory_format=None", method),
      def<cast<DType::Bool>>("bool", "input, memory_format=None", method),
      def<cast<DType::C64>>("cfloat", "input, memory_format=None", method),
      def<cast<DType::C128>>("cdouble", "input, memory_format=None", method),
      def<copy_op>("copy_", "input, other, non_blocking=False", method),
      def<fill_op>("fill_", "input, value", method),
      def<zero_op>("zero_", "input", both),
      def<detach_inplace>("detach_", "input", method),
      def<resize_op>("resize_", "input, size, *, memory_format=None", method),
      def<resize_as_op>("resize_as_", "input, the_template, *, memory_format=None"),
      def<set_op>("set_", "input, source", method),
      def<unsqueeze_>("unsqueeze_", "input, dim", method),
      def<squeeze_>("squeeze_", "input", method),
      def<squeeze_dims_>("squeeze_", "input, dim", method),
      def<as_strided_>("as_strided_", "input, size, stride, storage_offset=None", method),
      def<transpose_>("transpose_", "input, dim0, dim1", method),
      def<transpose_>("swapaxes_", "input, axis0, axis1", method),
      def<transpose_>("swapdims_", "input, dim0, dim1", method),
      def<t_>("t_", "input", method),
      def<equal>("equal", "input, other"),
      def<result_type_op>("result_type", "tensor1, tensor2", function),
      def<promote_types>("promote_types", "type1, type2", function),
      def<can_cast_op>("can_cast", "from_, to", function),
      def<broadcast_pair>("_broadcast_pair", "a, b", function),
      def<numel_op>("numel", "input"),
      def<is_nonzero>("is_nonzero", "input"),
      def<is_floating_point>("is_floating_point", "input"),
      def<is_complex_op>("is_complex", "input"),
      def<is_same_size>("is_same_size", "input, other", method),
      def<is_signed>("is_signed", "input"),
  };
  return t;
}

} // namespace hadamard
