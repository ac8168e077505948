// Pooling: the largest or the average element of windows over the last one to three dimensions.
#include <limits>
#include <memory>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard {
namespace ops {
namespace {

// One dimension: which elements each window holds (begin, begin + step … below end), and how many it counts as.
struct Axis {
  int64_t in = 1, step = 1;
  std::vector<int64_t> begin{0}, end{1}, count{1};
  int64_t out() const { return int64_t(begin.size()); }
};
struct Plan {
  Axis axis[3]; // leading ones are trivial
  int dims;
  int64_t divisor = 0; // of an average, where it is not the window's count
  int64_t in_plane() const { return axis[0].in * axis[1].in * axis[2].in; }
  int64_t out_plane() const { return axis[0].out() * axis[1].out() * axis[2].out(); }
  int64_t count(int64_t i, int64_t j, int64_t k) const {
    return divisor ? divisor : axis[0].count[size_t(i)] * axis[1].count[size_t(j)] * axis[2].count[size_t(k)];
  }
  Dims shape(const Tensor &x, bool of_result) const { // the shape of x with its last dimensions put in
    Dims s(x.shape().begin(), x.shape().end() - dims);
    for (int d = 3 - dims; d < 3; ++d) s.push_back(of_result ? axis[d].out() : axis[d].in);
    return s;
  }
};
using Windows = std::shared_ptr<const Plan>;

int64_t divide_down(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

int64_t output_size(int64_t in, int64_t k, int64_t stride, int64_t pad, int64_t dilation, bool ceil_mode) {
  int64_t n = divide_down(in + 2 * pad - dilation * (k - 1) - 1 + (ceil_mode ? stride - 1 : 0), stride) + 1;
  if (ceil_mode && (n - 1) * stride >= in + pad) --n; // a window must not begin in the padding after the end
  return n;
}

Dims per_dim(const Dims &v, int dims, const char *op, const char *name) {
  static const char *const words[] = {"", "one int", "two ints", "three ints"};
  HD_CHECK(v.size() == 1 || int(v.size()) == dims, runtime, "%s: %s must either be a single int, or a tuple of %s", op,
           name, words[dims]);
  return v.size() == 1 ? Dims(size_t(dims), v[0]) : v;
}

Windows windows(const Tensor &x, int dims, const char *op, const Dims &kernel_size, const OptDims &stride_,
                const Dims &padding, const Dims &dilation_, bool ceil_mode, bool count_padding) {
  Dims kernel = per_dim(kernel_size, dims, op, "kernel_size"), pad = per_dim(padding, dims, op, "padding"),
       dilation = per_dim(dilation_, dims, op, "dilation"), stride = kernel;
  if (stride_ && !stride_->empty()) {
    HD_CHECK(stride_->size() == 1 || int(stride_->size()) == dims, runtime,
             "%s: stride must either be omitted, a single int, or a tuple of %s", op,
             dims == 1   ? "one int"
             : dims == 2 ? "two ints"
                         : "three ints");
    stride = per_dim(*stride_, dims, op, "stride");
  }
  HD_CHECK(x.dim() == dims + 1 || x.dim() == dims + 2, runtime,
           "non-empty %dD or %dD (batch mode) tensor expected for input", dims + 1, dims + 2);
  auto plan = std::make_shared<Plan>();
  plan->dims = dims;
  Dims out;
  for (int d = 0; d < dims; ++d) {
    HD_CHECK(stride[d] != 0, runtime, "stride should not be zero");
    HD_CHECK(kernel[d] > 0, runtime, "kernel size should be greater than zero, but got %ld", long(kernel[d]));
    HD_CHECK(stride[d] > 0, runtime, "stride should be greater than zero, but got %ld", long(stride[d]));
    HD_CHECK(dilation[d] > 0, runtime, "dilation should be greater than zero, but got dilationH: %ld dilationW: %ld",
             long(dilation[dims > 1 ? dims - 2 : 0]), long(dilation[dims - 1]));
    HD_CHECK(pad[d] >= 0, runtime, "pad must be non-negative, but got pad: %ld", long(pad[d]));
    HD_CHECK(pad[d] <= ((kernel[d] - 1) * dilation[d] + 1) / 2, runtime,
             "pad should be at most half of effective kernel size, but got pad=%ld, kernel_size=%ld and dilation=%ld",
             long(pad[d]), long(kernel[d]), long(dilation[d]));
  }
  for (int64_t d = x.dim() - dims - 1; d < x.dim(); ++d)
    HD_CHECK(x.shape()[d] || dims < 3, runtime,
             "%s(): Expected input's non-batch dimensions to have positive length, but input has a shape of %s and "
             "non-batch dimension 0 has length zero!",
             op == std::string("max_pool3d") ? "max_pool3d_with_indices_out_cpu_template" : op,
             brackets(x.shape()).c_str());
  for (int64_t d = x.dim() - dims - 1; d < x.dim(); ++d)
    HD_CHECK(x.shape()[d], runtime,
             "Expected %dD or %dD (batch mode) tensor with optional 0 dim batch size for input, but got:%s", dims + 1,
             dims + 2, brackets(x.shape()).c_str());
  bool fits = true;
  for (int d = 0; d < dims; ++d) {
    out.push_back(output_size(x.size(d - dims), kernel[d], stride[d], pad[d], dilation[d], ceil_mode));
    fits &= out[d] >= 1;
  }
  if (!fits) {
    std::string given = std::to_string(x.size(-dims - 1)), got = given;
    for (int d = 0; d < dims; ++d) {
      given += "x" + std::to_string(x.size(d - dims));
      got += "x" + std::to_string(std::max<int64_t>(0, out[d]));
    }
    throw Error(Raises::runtime,
                "Given input size: (" + given + "). Calculated output size: (" + got + "). Output size is too small",
                "pool")
        .arg("input", x);
  }
  for (int d = 0; d < dims; ++d) {
    Axis &a = plan->axis[3 - dims + d];
    a.in = x.size(d - dims);
    a.step = dilation[d];
    a.begin.clear(), a.end.clear(), a.count.clear();
    for (int64_t i = 0; i < out[d]; ++i) {
      int64_t from = i * stride[d] - pad[d], to = from + (kernel[d] - 1) * dilation[d] + 1;
      int64_t padded = std::min(to, a.in + pad[d]) - from;
      while (from < 0) from += dilation[d];
      to = std::min(to, a.in);
      a.begin.push_back(from);
      a.end.push_back(to);
      a.count.push_back(count_padding ? padded : to - from);
    }
  }
  return plan;
}

// Windows that share the input out evenly: the i-th begins at floor(i in / out) and ends at ceil((i + 1) in / out).
Windows adaptive(const Tensor &x, int dims, const char *op, const Dims &output_size, bool max) {
  Dims size = output_size.size() == 1 ? Dims(size_t(dims), output_size[0]) : output_size;
  HD_CHECK(int(size.size()) == dims, runtime, "%s%s: %soutput_size%s must be %d", op, max ? "()" : "",
           max ? "internal error: " : "", max ? ".size()" : "", dims);
  HD_CHECK(x.dim() == dims + 1 || x.dim() == dims + 2, runtime, "%s(): Expected %dD or %dD tensor, but got%s %s", op,
           dims + 1, dims + 2, max ? ":" : "", brackets(x.shape()).c_str());
  for (int64_t d = x.dim() - dims; d < x.dim(); ++d)
    HD_CHECK(x.shape()[d], runtime,
             "%s(): Expected input to have non-zero size for non-batch dimensions, but input has sizes %s with "
             "dimension %ld being empty",
             op, brackets(x.shape()).c_str(), long(d));
  auto plan = std::make_shared<Plan>();
  plan->dims = dims;
  for (int64_t n : size)
    if (n > 1 << 20) empty(size, x.dtype(), x.device()); // what has no room must fail before it is planned
  for (int d = 0; d < dims; ++d) {
    std::string sizes = brackets(size); // in three dimensions torch has no space before the last
    if (dims == 3) sizes.erase(sizes.rfind(' '), 1);
    HD_CHECK(size[d] >= 0, runtime, "%s: elements of output_size must be greater than or equal to 0 but received {%s}",
             op, sizes.substr(1, sizes.size() - 2).c_str());
    Axis &a = plan->axis[3 - dims + d];
    a.in = x.size(d - dims);
    a.begin.clear(), a.end.clear(), a.count.clear();
    for (int64_t i = 0; i < size[d]; ++i) {
      a.begin.push_back(i * a.in / size[d]);
      a.end.push_back(((i + 1) * a.in + size[d] - 1) / size[d]);
      a.count.push_back(a.end.back() - a.begin.back());
    }
  }
  return plan;
}

// Calls f(plane) for every plane of the leading dimensions, on several threads where it pays.
template <class F> void each_plane(int64_t planes, int64_t work, F f) {
  LongWork unlocked(planes * work);
  parallel_for(planes, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, work)), [&](long begin, long end) {
    for (long p = begin; p < end; ++p) f(p);
  });
}
int64_t planes_of(const Tensor &x, int dims) {
  int64_t n = 1;
  for (int64_t d = 0; d < x.dim() - dims; ++d) n *= x.shape()[d];
  return n;
}

// torch has kernels of their own for tensors whose channels lie last.
const char *channels_last(const Tensor &x) { return suggested(x) == Format::contiguous ? "" : "_channels_last"; }

// ---- the largest

// Neighbouring windows of full width, each as far from the one before.
struct Stretch {
  int64_t from = 0, to = 0, stride = 1, width = 0;
};
Stretch stretch_of(const Axis &c) {
  Stretch s;
  auto width = [&](int64_t k) { return c.end[size_t(k)] - c.begin[size_t(k)]; };
  for (int64_t k = 0; k < c.out(); ++k) s.width = std::max(s.width, width(k));
  while (s.from < c.out() && width(s.from) < s.width) ++s.from;
  for (s.to = s.from + 1; s.to < c.out() && width(s.to) == s.width; ++s.to) {
    int64_t step = c.begin[size_t(s.to)] - c.begin[size_t(s.to) - 1];
    if (s.to == s.from + 1) s.stride = step;
    else if (step != s.stride) break;
  }
  return s;
}
// Takes one element of each of n windows into account; compiled to vectors for each stride.
template <int stride, class T>
void raise_by(T *__restrict top, int32_t *__restrict best, const T *__restrict x, int32_t at, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    const T value = x[k * stride];
    const bool more = (value > top[k]) | (value != value);
    top[k] = more ? value : top[k];
    best[k] = more ? at + int32_t(k) * stride : best[k];
  }
}
template <class T> void raise(int64_t stride, T *top, int32_t *best, const T *x, int32_t at, int64_t n) {
  if (stride == 1) raise_by<1>(top, best, x, at, n);
  else if (stride == 2) raise_by<2>(top, best, x, at, n);
  else raise_by<3>(top, best, x, at, n);
}

std::tuple<Tensor, Tensor> largest(const char *node, const char *op, const Tensor &x, const Windows &plan,
                                   bool floats_only = false) {
  HD_CHECK(x.is_float() || (!floats_only && dtype_in(x.dtype(), integers)), not_implemented,
           "\"%s%s\" not implemented for '%s'", op, channels_last(x), info(x.dtype()).scalar);
  Dims shape = plan->shape(x, true);
  Tensor y = empty(shape, x.dtype(), x.device()), at = empty(shape, DType::I64, x.device());
  int64_t planes = planes_of(x, plan->dims);
  if (!x.is_meta()) {
    Tensor from;
    {
      NoGrad no;
      from = contiguous(x);
    }
    visit(x.dtype(), [&]<class T>(Type<T>) {
      if constexpr (is_real_element<T> && !std::is_same_v<T, bool>) {
        const Axis &a = plan->axis[0], &b = plan->axis[1], &c = plan->axis[2];
        constexpr bool plain = std::is_same_v<T, decltype(wide(T()))>;
        const Stretch s = stretch_of(c);
        const bool together =
            plain && s.to - s.from > 1 && s.stride >= 1 && s.stride <= 3 && plan->in_plane() < 1 << 30;
        each_plane(planes, plan->in_plane(), [&](int64_t p) {
          const T *in = from.data<T>() + p * plan->in_plane();
          T *out = y.data<T>() + p * plan->out_plane();
          int64_t *index = at.data<int64_t>() + p * plan->out_plane();
          std::vector<int32_t> places(together ? size_t(s.to - s.from) : 0);
          for (int64_t i = 0; i < a.out(); ++i)
            for (int64_t j = 0; j < b.out(); ++j, out += c.out(), index += c.out()) {
              auto each = [&](int64_t k, auto f) { // the places of a window's elements
                for (int64_t u = a.begin[i]; u < a.end[i]; u += a.step)
                  for (int64_t v = b.begin[j]; v < b.end[j]; v += b.step)
                    for (int64_t w = c.begin[k]; w < c.end[k]; w += c.step) f((u * b.in + v) * c.in + w);
              };
              for (int64_t k = 0; k < c.out(); ++k) {
                int64_t best = (a.begin[i] * b.in + b.begin[j]) * c.in + c.begin[k];
                if constexpr (plain)
                  if (together && k == s.from) {
                    const int64_t n = s.to - s.from;
                    for (int64_t q = 0; q < n; ++q)
                      out[k + q] = in[best + q * s.stride], places[q] = int32_t(best + q * s.stride);
                    each(k,
                         [&](int64_t here) { raise(s.stride, out + k, places.data(), in + here, int32_t(here), n); });
                    for (int64_t q = 0; q < n; ++q) index[k + q] = places[q];
                    k = s.to - 1;
                    continue;
                  }
                auto top = wide(in[best]);
                bool found = false;
                each(k, [&](int64_t here) {
                  auto value = wide(in[here]);
                  if (!found || value > top || value != value) top = value, best = here, found = true;
                });
                out[k] = in[best];
                index[k] = best;
              }
            }
        });
      }
    });
  }
  if (Format f = suggested(x); f != Format::contiguous) {
    NoGrad no;
    y = contiguous(y, f);
    at = contiguous(at, f);
  }
  Dims in_shape = x.shape();
  int dims = plan->dims;
  record(y, node, {x}, {Keep{at}}, [in_shape, dims](const Backward &b) -> TensorList {
    Dims flat(in_shape.begin(), in_shape.end() - dims), plane = flat;
    int64_t size = 1, n = 1;
    for (int d = 0; d < dims; ++d) size *= in_shape[in_shape.size() - size_t(dims) + d];
    Tensor at = b.saved(0), g = b.grad();
    for (int d = 0; d < dims; ++d) n *= at.size(d - dims);
    plane.push_back(size);
    flat.push_back(n);
    Tensor gx = scatter_add(zeros(plane, g.dtype(), g.device()), -1, reshape(at, flat), reshape(g, flat));
    return {reshape(gx, in_shape)};
  });
  return {y, at};
}

// A 1-d op by its 2-d one: with a dimension of 1 in between.
Tensor lifted(const Tensor &x) { return unsqueeze(x, -2); }
Tensor lowered(const Tensor &y) { return squeeze(y, Dims{-2}); }

int64_t single(const Dims &v, const char *op, const char *name) {
  HD_CHECK(v.size() == 1, runtime, "%s() argument '%s' should contain one int (got %zu)", op, name, v.size());
  return v[0];
}
std::tuple<Tensor, Tensor> max_pool1d_with_indices(const Tensor &x, const Dims &kernel_size, const OptDims &stride,
                                                   const Dims &padding, const Dims &dilation, bool ceil_mode) {
  HD_CHECK(
      x.dim() == 2 || x.dim() == 3, runtime,
      "Expected 2 to 3 dimensions, but got %ld-dimensional tensor for argument #1 'self' (while checking arguments "
      "for max_pool1d)",
      long(x.dim()));
  int64_t k = single(kernel_size, "max_pool1d", "kernel_size"), p = single(padding, "max_pool1d", "padding"),
          d = single(dilation, "max_pool1d", "dilation");
  int64_t s = stride && !stride->empty() ? single(*stride, "max_pool1d", "stride") : k;
  Tensor up = lifted(x);
  auto [y, at] =
      largest("MaxPool2DWithIndicesBackward0", "max_pool2d", up,
              windows(up, 2, "max_pool1d", Dims{1, k}, Dims{1, s}, Dims{0, p}, Dims{1, d}, ceil_mode, false));
  return {lowered(y), lowered(at)};
}
std::tuple<Tensor, Tensor> max_pool2d_with_indices(const Tensor &x, const Dims &kernel_size, const OptDims &stride,
                                                   const Dims &padding, const Dims &dilation, bool ceil_mode) {
  return largest("MaxPool2DWithIndicesBackward0", "max_pool2d", x,
                 windows(x, 2, "max_pool2d", kernel_size, stride, padding, dilation, ceil_mode, false));
}
std::tuple<Tensor, Tensor> max_pool3d_with_indices(const Tensor &x, const Dims &kernel_size, const OptDims &stride,
                                                   const Dims &padding, const Dims &dilation, bool ceil_mode) {
  return largest("MaxPool3DWithIndicesBackward0", "max_pool3d", x,
                 windows(x, 3, "max_pool3d", kernel_size, stride, padding, dilation, ceil_mode, false));
}
#define HD_MAX_POOL(op)                                                                                                \
  Tensor op(const Tensor &x, const Dims &kernel_size, const OptDims &stride, const Dims &padding,                      \
            const Dims &dilation, bool ceil_mode) {                                                                    \
    return std::get<0>(op##_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode));                       \
  }
Tensor max_pool1d(const Tensor &x, const Dims &kernel_size, const OptDims &stride, const Dims &padding,
                  const Dims &dilation, bool ceil_mode) {
  bool full = true;
  for (int64_t i = x.dim() - 2; i < x.dim(); ++i) full &= i >= 0 && x.shape()[i];
  HD_CHECK((x.dim() == 2 || x.dim() == 3) && full, runtime,
           "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:%s",
           brackets(x.shape()).c_str());
  int64_t k = per_dim(kernel_size, 1, "max_pool1d", "kernel_size")[0],
          p = per_dim(padding, 1, "max_pool1d", "padding")[0], d = per_dim(dilation, 1, "max_pool1d", "dilation")[0];
  int64_t s = stride && !stride->empty() ? per_dim(*stride, 1, "max_pool1d", "stride")[0] : k;
  HD_CHECK(k > 0, runtime, "max_pool1d() kernel_size must be greater than zero, but got %ld", long(k));
  HD_CHECK(s > 0, runtime, "max_pool1d() stride must be greater than zero, but got %ld", long(s));
  HD_CHECK(p >= 0, runtime, "max_pool1d() padding must be non-negative, but got %ld", long(p));
  HD_CHECK(p <= k / 2, runtime,
           "max_pool1d() padding should be at most half of kernel size, but got padding=%ld and kernel_size=%ld",
           long(p), long(k));
  HD_CHECK(d > 0, runtime, "max_pool1d() dilation must be greater than zero, but got %ld", long(d));
  int64_t n = output_size(x.size(-1), k, s, p, d, ceil_mode);
  HD_CHECK(n > 0, runtime, "max_pool1d() Invalid computed output size: %ld", long(n));
  if (!needs_grad(x))
    HD_CHECK(x.is_float(), not_implemented, "\"max_pool1d_impl\" not implemented for '%s'", info(x.dtype()).scalar);
  return std::get<0>(max_pool1d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode));
}
HD_MAX_POOL(max_pool2d)
HD_MAX_POOL(max_pool3d)
#undef HD_MAX_POOL

std::tuple<Tensor, Tensor> adaptive_max_pool1d(const Tensor &x, const Dims &output_size) {
  HD_CHECK(x.dim() == 2 || x.dim() == 3, runtime, "adaptive_max_pool1d(): Expected 2D or 3D tensor, but got: %s",
           brackets(x.shape()).c_str());
  Tensor up = lifted(x);
  auto [y, at] = largest(
      "AdaptiveMaxPool2DBackward0", "adaptive_max_pool2d", up,
      adaptive(up, 2, "adaptive_max_pool1d", Dims{1, single(output_size, "adaptive_max_pool1d", "output_size")}, true),
      true);
  return {lowered(y), lowered(at)};
}
std::tuple<Tensor, Tensor> adaptive_max_pool2d(const Tensor &x, const Dims &output_size) {
  return largest("AdaptiveMaxPool2DBackward0", "adaptive_max_pool2d", x,
                 adaptive(x, 2, "adaptive_max_pool2d", output_size, true), true);
}
std::tuple<Tensor, Tensor> adaptive_max_pool3d(const Tensor &x, const Dims &output_size) {
  return largest("AdaptiveMaxPool3DBackward0", "adaptive_max_pool3d_cpu", x,
                 adaptive(x, 3, "adaptive_max_pool3d", output_size, true), true);
}

// ---- averages

Tensor average(const char *node, const Tensor &x, const Windows &plan);

// The gradient of average(): every element gets its share of the windows it is in. Their gradients are each other.
Tensor share_out(const char *node, const Tensor &g, const Windows &plan) {
  Tensor gw = to(g, compute_of(g.dtype()));
  Tensor y = zeros(plan->shape(g, false), gw.dtype(), g.device());
  if (!g.is_meta()) {
    Tensor from;
    {
      NoGrad no;
      from = contiguous(gw);
    }
    auto run = [&]<class T>(Type<T>) {
      const Axis &a = plan->axis[0], &b = plan->axis[1], &c = plan->axis[2];
      each_plane(planes_of(g, plan->dims), plan->in_plane(), [&](int64_t p) {
        const T *in = from.data<T>() + p * plan->out_plane();
        T *out = y.data<T>() + p * plan->in_plane();
        for (int64_t i = 0; i < a.out(); ++i)
          for (int64_t j = 0; j < b.out(); ++j)
            for (int64_t k = 0; k < c.out(); ++k) {
              T part = *in++ / T(plan->count(i, j, k));
              for (int64_t u = a.begin[i]; u < a.end[i]; ++u)
                for (int64_t v = b.begin[j]; v < b.end[j]; ++v)
                  for (int64_t w = c.begin[k]; w < c.end[k]; ++w) out[(u * b.in + v) * c.in + w] += part;
            }
      });
    };
    if (y.dtype() == DType::F64) run(Type<double>{});
    else run(Type<float>{});
  }
  record(y, node, {gw}, {}, [=](const Backward &b) -> TensorList { return {average(node, b.grad(), plan)}; });
  return to(y, g.dtype());
}

Tensor average(const char *node, const Tensor &x, const Windows &plan) {
  Tensor y = empty(plan->shape(x, true), x.dtype(), x.device());
  if (!x.is_meta()) {
    Tensor from;
    {
      NoGrad no;
      from = contiguous(x);
    }
    auto run = [&]<class T>(Type<T>) {
      const Axis &a = plan->axis[0], &b = plan->axis[1], &c = plan->axis[2];
      each_plane(planes_of(x, plan->dims), plan->in_plane(), [&](int64_t p) {
        const T *in = from.data<T>() + p * plan->in_plane();
        T *out = y.data<T>() + p * plan->out_plane();
        for (int64_t i = 0; i < a.out(); ++i)
          for (int64_t j = 0; j < b.out(); ++j)
            for (int64_t k = 0; k < c.out(); ++k) {
              Wide<T> total = 0;
              for (int64_t u = a.begin[i]; u < a.end[i]; ++u)
                for (int64_t v = b.begin[j]; v < b.end[j]; ++v)
                  for (int64_t w = c.begin[k]; w < c.end[k]; ++w) total += wide(in[(u * b.in + v) * c.in + w]);
              *out++ = hadamard::narrow<T>(total / Wide<T>(plan->count(i, j, k)));
            }
      });
    };
    visit(x.dtype(), [&]<class T>(Type<T> t) {
      if constexpr (std::is_same_v<T, int64_t> || std::is_floating_point_v<Wide<T>>) run(t);
    });
  }
  if (Format f = suggested(x); f == Format::channels_last) {
    NoGrad no;
    y = contiguous(y, f);
  }
  return record(y, node, {x}, {}, [=](const Backward &b) -> TensorList { return {share_out(node, b.grad(), plan)}; });
}

void check_average(const Tensor &x, const char *op, bool whole) {
  HD_CHECK(x.is_float() || (whole && x.dtype() == DType::I64), not_implemented, "\"%s%s\" not implemented for '%s'", op,
           suggested(x) == Format::channels_last ? "_channels_last" : "", info(x.dtype()).scalar);
}

Tensor avg_pool(const char *node, const char *op, int dims, const Tensor &x, const Dims &kernel_size,
                const OptDims &stride, const Dims &padding, bool ceil_mode, bool count_include_pad,
                std::optional<int64_t> divisor_override) {
  HD_CHECK(!divisor_override || *divisor_override, runtime, "divisor must be not zero");
  check_average(x, dims == 3 ? "avg_pool3d_out_frame" : op, true);
  HD_CHECK(dims == 2 || (x.dtype() != DType::F16 && x.dtype() != DType::BF16), not_implemented,
           "\"avg_pool3d_out_frame\" not implemented for '%s'", info(x.dtype()).scalar);
  Windows w = windows(x, dims, op, kernel_size, stride, padding, Dims{1}, ceil_mode, count_include_pad);
  if (divisor_override) {
    auto fixed = std::make_shared<Plan>(*w);
    fixed->divisor = *divisor_override;
    w = fixed;
  }
  return average(node, x, w);
}
Tensor avg_pool2d(const Tensor &x, const Dims &kernel_size, const OptDims &stride, const Dims &padding, bool ceil_mode,
                  bool count_include_pad, std::optional<int64_t> divisor_override) {
  return avg_pool("AvgPool2DBackward0", "avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad,
                  divisor_override);
}
Tensor avg_pool3d(const Tensor &x, const Dims &kernel_size, const OptDims &stride, const Dims &padding, bool ceil_mode,
                  bool count_include_pad, std::optional<int64_t> divisor_override) {
  return avg_pool("AvgPool3DBackward0", "avg_pool3d", 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad,
                  divisor_override);
}
Tensor avg_pool1d(const Tensor &x, const Dims &kernel_size, const OptDims &stride, const Dims &padding, bool ceil_mode,
                  bool count_include_pad) {
  HD_CHECK(
      x.dim() == 2 || x.dim() == 3, runtime,
      "Expected 2 to 3 dimensions, but got %ld-dimensional tensor for argument #1 'self' (while checking arguments "
      "for avg_pool1d)",
      long(x.dim()));
  auto in_2d = [](const Dims &v, int64_t other) { return Dims{other, v[0]}; };
  Dims k = per_dim(kernel_size, 1, "avg_pool1d", "kernel_size"), p = per_dim(padding, 1, "avg_pool1d", "padding");
  OptDims s;
  if (stride && !stride->empty()) s = in_2d(per_dim(*stride, 1, "avg_pool1d", "stride"), 1);
  return lowered(avg_pool2d(lifted(x), in_2d(k, 1), s, in_2d(p, 0), ceil_mode, count_include_pad, std::nullopt));
}

Tensor adaptive_avg(const char *node, const char *op, int dims, const Tensor &x, const Dims &size) {
  Windows w = adaptive(x, dims, op, size, false);
  bool one = true;
  for (int64_t n : size) one &= n == 1;
  if (!one) {
    if (x.numel() || dims == 3) check_average(x, dims == 3 ? "adaptive_avg_pool3d_cpu" : op, false);
    return average(node, x, w);
  }
  Dims last;
  for (int d = dims; d > 0; --d) last.push_back(-d);
  return mean(x, last, true, std::nullopt);
}
Tensor adaptive_avg_pool2d(const Tensor &x, const Dims &output_size) {
  return adaptive_avg("AdaptiveAvgPool2DBackward0", "adaptive_avg_pool2d", 2, x, output_size);
}
Tensor adaptive_avg_pool3d(const Tensor &x, const Dims &output_size) {
  return adaptive_avg("AdaptiveAvgPool3DBackward0", "adaptive_avg_pool3d", 3, x, output_size);
}
Tensor adaptive_avg_pool1d(const Tensor &x, const Dims &output_size) {
  HD_CHECK(
      x.dim() == 2 || x.dim() == 3, runtime,
      "Expected 2 to 3 dimensions, but got %ld-dimensional tensor for argument #1 'self' (while checking arguments "
      "for adaptive_avg_pool1d)",
      long(x.dim()));
  return lowered(adaptive_avg_pool2d(lifted(x), Dims{1, single(output_size, "adaptive_avg_pool1d", "output_size")}));
}
} // namespace
} // namespace ops

const OpTable &pool_ops() {
  using namespace ops;
#define HD_POOL "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False"
#define HD_AVERAGE "input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True"
  static const OpTable t = {
      def<max_pool1d>("max_pool1d", HD_POOL, function),
      def<max_pool2d>("max_pool2d", HD_POOL, function),
      def<max_pool3d>("max_pool3d", HD_POOL, function),
      def<max_pool1d_with_indices>("max_pool1d_with_indices", HD_POOL, function),
      def<max_pool2d_with_indices>("max_pool2d_with_indices", HD_POOL, function),
      def<max_pool3d_with_indices>("max_pool3d_with_indices", HD_POOL, function),
      def<adaptive_max_pool1d>("adaptive_max_pool1d", "input, output_size", function),
      def<adaptive_max_pool2d>("adaptive_max_pool2d", "input, output_size", function),
      def<adaptive_max_pool3d>("adaptive_max_pool3d", "input, output_size", function),
      def<avg_pool1d>("avg_pool1d", HD_AVERAGE, function),
      def<avg_pool2d>("avg_pool2d", HD_AVERAGE ", divisor_override=None", function),
      def<avg_pool3d>("avg_pool3d", HD_AVERAGE ", divisor_override=None", function),
      def<adaptive_avg_pool1d>("adaptive_avg_pool1d", "input, output_size", function),
      def<adaptive_avg_pool2d>("adaptive_avg_pool2d", "input, output_size", function),
      def<adaptive_avg_pool3d>("adaptive_avg_pool3d", "input, output_size", function),
  };
#undef HD_POOL
#undef HD_AVERAGE
  return t;
}

} // namespace hadamard
