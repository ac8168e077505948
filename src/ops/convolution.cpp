// Convolutions as contractions over strided windows: the patches are never stored. Forward, gradient by the input and
// gradient by the weights are three ops, each of whose gradients are the other two. Those of one and two dimensions in
// float32 and float64 have kernels of their own; the contraction is then what explain() sees.
#include <algorithm>
#include <numeric>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/depthwise.h"
#include "ops/product.h"

namespace hadamard::ops {
namespace {

Tensor conjugate(const Tensor &x) { return x.is_complex() ? Tensor(conj(x)) : x; }

// x with zeros around its spatial dimensions; x itself where there is nothing to add. Negative: crops.
Tensor padded(const Tensor &x, const Dims &low, const Dims &high) {
  bool any = false;
  for (size_t d = 0; d < low.size(); ++d) any |= low[d] || high[d];
  if (!any) return x;
  Dims shape = x.shape(), from = x.shape();
  int64_t offset = 0, source = 0;
  for (size_t d = 0; d < low.size(); ++d) {
    shape[d + 2] += low[d] + high[d];
    from[d + 2] += std::min<int64_t>(low[d], 0) + std::min<int64_t>(high[d], 0);
  }
  Tensor y = zeros(shape, x.dtype(), x.device());
  for (size_t d = 0; d < low.size(); ++d) {
    offset += std::max<int64_t>(low[d], 0) * y.strides()[d + 2];
    source += std::max<int64_t>(-low[d], 0) * x.strides()[d + 2];
  }
  if (numel(from))
    copy_data(alias(y, from, y.strides(), y->offset + offset), alias(x, from, x.strides(), x->offset + source));
  return y;
}

// A convolution of one or two dimensions that the kernels read through windows.
struct Scene {
  const Tensor &x, &w, &y, &bias;
  int64_t at_w, at_y, groups, in, out; // channels of a group
  int64_t w_group, w_out, w_in;
  struct Dim {
    int64_t size, taps, step, apart, low, x_size, x, w, y; // strides of x, w and y last
  };
  SmallVec<Dim, 2> dims;

  // The kernels multiply vectors of filters, which should not be mostly empty.
  static bool takes(const Tensor &x, const Tensor &w, size_t dims, int64_t out) {
    if (dims > 2 || !dtype_in(x.dtype(), set_of(DType::F32) | set_of(DType::F64)) || x.dtype() != w.dtype())
      return false;
    const int64_t lanes = 32 / int64_t(size_of(x.dtype())); // at any level, for all have the same routes
    return (out + lanes - 1) / lanes * lanes * 3 <= out * 4;
  }
  template <class T> Windows<T> windows() const {
    Windows<T> v = {};
    v.x = x.data<T>(), v.w = w.data<T>() + at_w, v.y = y.data<T>() + at_y;
    if (bias) v.bias = bias.data<T>(), v.bias_step = bias.strides()[0];
    v.images = y.shape()[0], v.groups = groups, v.in = in, v.out = out;
    v.x_image = x.strides()[0], v.x_channel = x.strides()[1];
    v.w_group = w_group, v.w_out = w_out, v.w_in = w_in;
    v.y_image = y.strides()[0], v.y_channel = y.strides()[1];
    for (size_t i = 0; i < 2; ++i) {
      const Dim &d = dims[i < dims.size() ? i : 0];
      const bool there = i < dims.size();
      v.x_size[i] = there ? d.x_size : 1, v.y_size[i] = there ? d.size : 1, v.taps[i] = there ? d.taps : 1;
      v.step[i] = there ? d.step : 1, v.apart[i] = there ? d.apart : 1, v.low[i] = there ? d.low : 0;
      v.x_at[i] = d.x, v.w_at[i] = d.w, v.y_at[i] = d.y;
    }
    return v;
  }
  template <class T> void run(bool weights, bool share) const {
    const auto &kernels = of<T>(*level().fused);
    (weights ? kernels.convolve_weights : kernels.convolve)(windows<T>(), share);
  }
};

struct Indices {
  SmallVec<Index, 12> all;
  void add(Role role, int64_t size, int64_t a, int64_t b, int64_t c, int64_t bias = 0) {
    all.push_back({role, size, a, b, c, bias});
  }
  void run(const Tensor &a, int64_t at_a, const Tensor &b, int64_t at_b, const Tensor &c, int64_t at_c,
           const Tensor &bias = {}) const {
    if (c.is_meta() && !plan_hook) return;
    Contraction plan = planned(a, b, c);
    if (plan_hook) plan_hook(plan);
    if (c.is_meta()) return;
    LongWork unlocked(int64_t(plan.multiply_adds() / 16 + plan.bytes() / 8));
    plan.run(a.raw() + at_a * a.itemsize(), b.raw() + at_b * b.itemsize(), c.raw() + at_c * c.itemsize(),
             {false, bias ? bias.raw() : nullptr, Activation::none});
  }
  void run(const Scene &scene, const Tensor &a, const Tensor &b, const Tensor &c, bool weights) const {
    show(a, b, c, "windows", "the filters are packed once, the images read through their windows",
         "in order within a block, then block by block");
    if (c.is_meta()) return;
    double work = 1;
    for (const Index &i : all) work *= double(i.size);
    LongWork unlocked(int64_t(work / 16));
    const bool share = work >= 400000 && num_threads() > 1;
    if (c.dtype() == DType::F64) scene.run<double>(weights, share);
    else scene.run<float>(weights, share);
  }
  // The plan of what other kernels compute.
  void show(const Tensor &a, const Tensor &b, const Tensor &c, const char *route, const char *reason,
            const char *order) const {
    if (!plan_hook) return;
    Contraction plan = planned(a, b, c);
    plan.elsewhere(route, reason, order);
    plan_hook(plan);
  }
  void show_depthwise(const Tensor &a, const Tensor &b, const Tensor &c, const char *order) const {
    show(a, b, c, "depthwise", "every channel is filtered by itself", order);
  }

private:
  Contraction planned(const Tensor &a, const Tensor &b, const Tensor &c) const {
    HD_CHECK(a.dtype() == b.dtype() && b.dtype() == c.dtype(), runtime, "expected scalar type %s but found %s",
             info(a.dtype()).scalar, info(b.dtype()).scalar);
    return {a.dtype(), c.dtype(), all.begin(), int(all.size()), !c.is_meta()};
  }
};

// Images are columns where each has few points, so that the filters are packed once for all of them, and matrices of a
// batch where they fill the kernels by themselves.
Role image_role(int64_t points) { return points < 1024 ? Role::column : Role::batch; }

int64_t out_size(int64_t n, int64_t kernel, const Geometry &g, size_t d) {
  return (n + 2 * g.padding[d] - g.dilation[d] * (kernel - 1) - 1) / g.stride[d] + 1;
}

// y[b, o, p] = sum of w[o, c, r] x[b, c, p * stride + r * dilation - padding]
// `wanted` is the shape of y where there may be room for more windows: as a gradient, of what had output_padding.
Tensor forward(const Tensor &x, const Tensor &w, const Geometry &g, const Tensor &bias, const Dims &wanted) {
  Dims shape{x.shape()[0], w.shape()[0]};
  int64_t points = 1;
  for (size_t d = 0; d < g.dims(); ++d) {
    shape.push_back(wanted.empty() ? out_size(x.shape()[d + 2], w.shape()[d + 2], g, d) : wanted[d + 2]);
    points *= shape[d + 2];
  }
  Tensor y = empty(shape, x.dtype(), x.device());
  if (!y.numel()) return y;
  int64_t out = w.shape()[0] / g.groups, in = w.shape()[1], bs = bias ? bias.strides()[0] : 0;
  const bool alone = is_depthwise(x, w, g), windows = w.numel() && Scene::takes(x, w, g.dims(), out);
  Tensor p = alone || windows ? x : padded(x, g.padding, g.padding);
  const Dims &ws = w.strides(), &xs = p.strides(), &ys = y.strides();
  Scene scene{x, w, y, bias, 0, 0, g.groups, in, out, out * ws[0], ws[0], ws[1], {}};
  Indices i;
  i.add(image_role(points), shape[0], 0, xs[0], ys[0]);
  i.add(Role::batch, g.groups, out * ws[0], in * xs[1], out * ys[1], out * bs);
  i.add(Role::row, out, ws[0], 0, ys[1], bs);
  i.add(Role::summed, in, ws[1], xs[1], 0);
  for (size_t d = 0; d < g.dims(); ++d) {
    i.add(Role::summed, w.shape()[d + 2], ws[d + 2], g.dilation[d] * xs[d + 2], 0);
    i.add(Role::column, shape[d + 2], 0, g.stride[d] * xs[d + 2], ys[d + 2]);
    scene.dims.push_back({shape[d + 2], w.shape()[d + 2], g.stride[d], g.dilation[d], g.padding[d], x.shape()[d + 2],
                          xs[d + 2], ws[d + 2], ys[d + 2]});
  }
  if (alone) {
    i.show_depthwise(w, x, y, "in order of the taps");
    if (!y.is_meta()) depthwise(x, w, g, bias, y);
  } else if (windows) i.run(scene, w, x, y, false);
  else i.run(w, 0, p, 0, y, 0, bias);
  return y;
}

// dw[o, c, r] = sum of gy[b, o, p] x[b, c, p * stride + r * dilation - padding]
Tensor by_weight(const Tensor &gy, const Tensor &x, const Geometry &g, const Dims &shape) {
  Tensor dw = empty(shape, x.dtype(), x.device());
  if (!dw.numel()) return dw;
  int64_t out = shape[0] / g.groups, in = shape[1];
  const bool alone = gy.numel() && is_depthwise(x, dw, g), windows = gy.numel() && Scene::takes(x, gy, g.dims(), out);
  Tensor p = alone || windows ? x : padded(x, g.padding, g.padding);
  const Dims &ws = dw.strides(), &xs = p.strides(), &ys = gy.strides();
  Scene scene{x, dw, gy, {}, 0, 0, g.groups, in, out, out * ws[0], ws[0], ws[1], {}};
  Indices i;
  i.add(Role::batch, g.groups, out * ys[1], in * xs[1], out * ws[0]);
  i.add(Role::row, out, ys[1], 0, ws[0]);
  i.add(Role::column, in, 0, xs[1], ws[1]);
  i.add(Role::summed, gy.shape()[0], ys[0], xs[0], 0);
  for (size_t d = 0; d < g.dims(); ++d) {
    i.add(Role::column, shape[d + 2], 0, g.dilation[d] * xs[d + 2], ws[d + 2]);
    i.add(Role::summed, gy.shape()[d + 2], ys[d + 2], g.stride[d] * xs[d + 2], 0);
    scene.dims.push_back({gy.shape()[d + 2], shape[d + 2], g.stride[d], g.dilation[d], g.padding[d], x.shape()[d + 2],
                          xs[d + 2], ws[d + 2], ys[d + 2]});
  }
  if (alone) {
    i.show_depthwise(gy, x, dw, "in the lanes of vectors, then block by block");
    if (!dw.is_meta()) depthwise_by_weight(gy, x, g, dw);
  } else if (windows) i.run(scene, gy, x, dw, true);
  else i.run(gy, 0, p, 0, dw, 0);
  return dw;
}

// dx[b, c, i] = sum of w[o, c, r] gy[b, o, (i + padding - r * dilation) / stride], over the r for which that is a whole
// number: one plain contraction for each remainder of i by the stride.
Tensor by_input(const Tensor &gy, const Tensor &w, const Geometry &g, const Dims &shape) {
  Tensor dx = empty(shape, gy.dtype(), gy.device());
  if (!dx.numel()) return dx;
  size_t dims = g.dims();
  const bool alone = is_depthwise(gy, w, g);
  if (alone && !dx.is_meta()) depthwise_by_input(gy, w, g, dx);
  if (alone && !plan_hook) return dx;
  struct Class {                // one remainder in one dimension
    int64_t count;              // positions
    int64_t first, step, terms; // r = first + t * step
    int64_t start, back;        // position q reads gy at q + start - t * back
  };
  std::vector<std::vector<Class>> classes(dims);
  Dims low(dims, 0), high(dims, 0);
  bool holes = gy.numel() == 0 || w.numel() == 0;
  for (size_t d = 0; d < dims; ++d) {
    int64_t s = g.stride[d], dil = g.dilation[d], kernel = w.shape()[d + 2], step = s / std::gcd(s, dil);
    for (int64_t rest = 0; rest < s; ++rest) {
      Class c = {(shape[d + 2] - rest + s - 1) / s, 0, step, 0, 0, step * dil / s};
      while (c.first < kernel && (rest + g.padding[d] - c.first * dil) % s) ++c.first;
      if (c.first < kernel) c.terms = (kernel - c.first + step - 1) / step;
      if (shape[d + 2] <= rest) c.count = 0;
      if (!c.terms) holes |= c.count > 0;
      c.start = c.terms ? (rest + g.padding[d] - c.first * dil) / s : 0;
      if (c.terms && c.count) {
        low[d] = std::max(low[d], -(c.start - (c.terms - 1) * c.back));
        high[d] = std::max(high[d], c.count - 1 + c.start - (gy.shape()[d + 2] - 1));
      }
      classes[d].push_back(c);
    }
  }
  if (holes && !alone) fill_data(dx, Scalar(0));
  if (gy.numel() == 0 || w.numel() == 0) return dx;
  int64_t out = w.shape()[0] / g.groups, in = w.shape()[1];
  const bool windows = Scene::takes(gy, w, dims, in);
  Tensor p = alone || windows ? gy : padded(gy, low, high);
  const Dims &ws = w.strides(), &ys = p.strides(), &xs = dx.strides();
  std::vector<size_t> rest(dims, 0);
  for (bool more = true; more;) {
    int64_t points = 1, at_w = 0, at_y = 0, at_x = 0;
    bool any = true;
    for (size_t d = 0; d < dims; ++d) {
      const Class &c = classes[d][rest[d]];
      any &= c.terms > 0 && c.count > 0;
      points *= c.count;
      at_w += c.first * ws[d + 2];
      at_y += (c.start + low[d]) * ys[d + 2];
      at_x += int64_t(rest[d]) * xs[d + 2];
    }
    if (any) {
      Scene scene{gy, w, dx, {}, at_w, at_x, g.groups, out, in, out * ws[0], ws[1], ws[0], {}};
      Indices i;
      i.add(image_role(points), shape[0], 0, ys[0], xs[0]);
      i.add(Role::batch, g.groups, out * ws[0], out * ys[1], in * xs[1]);
      i.add(Role::row, in, ws[1], 0, xs[1]);
      i.add(Role::summed, out, ws[0], ys[1], 0);
      for (size_t d = 0; d < dims; ++d) {
        const Class &c = classes[d][rest[d]];
        i.add(Role::summed, c.terms, c.step * ws[d + 2], -c.back * ys[d + 2], 0);
        i.add(Role::column, c.count, 0, ys[d + 2], g.stride[d] * xs[d + 2]);
        // The last tap reads first: there the windows go up.
        const int64_t reach = (c.terms - 1) * c.back;
        scene.at_w += (c.terms - 1) * c.step * ws[d + 2];
        scene.dims.push_back({c.count, c.terms, 1, c.back, reach - c.start, gy.shape()[d + 2], ys[d + 2],
                              -c.step * ws[d + 2], g.stride[d] * xs[d + 2]});
      }
      if (alone) i.show_depthwise(w, gy, dx, "in order of the taps");
      else if (windows) i.run(scene, w, gy, dx, false);
      else i.run(w, at_w, p, at_y, dx, at_x);
    }
    size_t d = 0;
    for (; d < dims; ++d) {
      if (++rest[d] < classes[d].size()) break;
      rest[d] = 0;
    }
    more = d < dims;
  }
  return dx;
}

enum class Part : uint8_t { forward, by_input, by_weight };

// forward: (x, w), `shape` is empty or y's; by_input: (gy, w), `shape` is x's; by_weight: (gy, x), `shape` is w's.
Tensor convolve(Part part, const Tensor &u, const Tensor &v, const Geometry &g, const Dims &shape, const Tensor &bias) {
  Tensor y;
  {
    NoGrad no;
    if (part == Part::forward) y = forward(u, v, g, bias, shape);
    else if (part == Part::by_input) y = by_input(u, v, g, shape);
    else y = by_weight(u, v, g, shape);
    if (bias && part == Part::by_input) {
      Dims wide{bias.numel()};
      for (size_t d = 0; d < g.dims(); ++d) wide.push_back(1);
      y = y + view(bias, wide);
    }
  }
  Dims shape_u = u.shape(), shape_v = v.shape();
  return record(y, "ConvolutionBackward0", {u, v, bias}, {Keep{u}, Keep{v}}, [=](const Backward &b) -> TensorList {
    TensorList r(3);
    const Tensor &h = b.grad();
    Tensor a = b.wants(1) ? conjugate(b.saved(0)) : Tensor(), c = b.wants(0) ? conjugate(b.saved(1)) : Tensor();
    auto grad = [&](Part p, const Tensor &s, const Tensor &t, const Dims &to) { return convolve(p, s, t, g, to, {}); };
    switch (part) {
    case Part::forward:
      if (b.wants(0)) r[0] = grad(Part::by_input, h, c, shape_u);
      if (b.wants(1)) r[1] = grad(Part::by_weight, h, a, shape_v);
      break;
    case Part::by_input:
      if (b.wants(0)) r[0] = grad(Part::forward, h, c, shape_u);
      if (b.wants(1)) r[1] = grad(Part::by_weight, a, h, shape_v);
      break;
    case Part::by_weight:
      if (b.wants(0)) r[0] = grad(Part::forward, c, h, shape_u);
      if (b.wants(1)) r[1] = grad(Part::by_input, a, h, shape_v);
      break;
    }
    if (b.wants(2)) {
      Dims over{0};
      for (size_t d = 0; d < g.dims(); ++d) over.push_back(int64_t(d) + 2);
      r[2] = sum(h, over, false, h.dtype());
    }
    return r;
  });
}

Dims spread(const Dims &x, size_t dims) { return x.size() == 1 ? Dims(dims, x[0]) : x; }
std::string joined(const Dims &x) {
  std::string s;
  for (size_t i = 0; i < x.size(); ++i) s += (i ? " x " : "") + std::to_string(x[i]);
  return s;
}

void check(const char *op, size_t dims, const Tensor &x, const Tensor &w, const Tensor &bias, Geometry &g,
           bool transposed) {
  HD_CHECK(x.dim() == int64_t(dims) + 1 || x.dim() == int64_t(dims) + 2, runtime,
           "Expected %zuD (unbatched) or %zuD (batched) input to %s, but got input of size: %s", dims + 1, dims + 2, op,
           brackets(x.shape()).c_str());
  for (auto *v : {&g.stride, &g.padding, &g.dilation}) *v = spread(*v, dims);
  HD_CHECK(w.dim() >= 3, runtime, "weight should have at least three dimensions");
  auto size = [&](const char *name, const Dims &v) {
    HD_CHECK(
        int64_t(v.size()) == w.dim() - 2, runtime,
        "expected %s to be a single integer value or a list of %ld values to match the convolution dimensions, but got "
        "%s=%s",
        name, long(w.dim() - 2), name, brackets(v).c_str());
  };
  size("stride", g.stride), size("padding", g.padding), size("dilation", g.dilation);
  for (int64_t v : g.padding) HD_CHECK(v >= 0, runtime, "negative padding is not supported");
  for (int64_t v : g.stride) HD_CHECK(v > 0, runtime, "non-positive stride is not supported");
  bool dilated = false;
  for (int64_t v : g.dilation) {
    HD_CHECK(v > 0, runtime, "dilation should be greater than zero");
    dilated |= v > 1;
  }
  HD_CHECK(g.groups > 0, runtime, "non-positive groups is not supported");
  HD_CHECK(w.shape()[0] >= g.groups, runtime,
           "Given groups=%ld, expected weight to be at least %ld at dimension 0, but got weight of size %s instead",
           long(g.groups), long(g.groups), brackets(w.shape()).c_str());
  HD_CHECK(
      w.shape()[0] % g.groups == 0, runtime,
      "Given groups=%ld, expected weight to be divisible by %ld at dimension 0, but got weight of size [%s] instead",
      long(g.groups), long(g.groups), brackets(w.shape()).c_str());
  int64_t channels = x.shape()[size_t(x.dim()) - dims - 1];
  int64_t wanted = transposed ? w.shape()[0] : w.shape()[1] * g.groups;
  // Unbatched input is shown with its batch of one, as torch does.
  Dims seen = x.shape();
  if (x.dim() == int64_t(dims) + 1) seen.insert(0, 1);
  if (channels != wanted)
    throw product_error(
        op, "conv",
        text("Given %s=%ld, weight of size %s, expected input%s to have %ld channels, but got %ld channels "
             "instead",
             transposed ? "transposed" : "groups", transposed ? 1l : long(g.groups), brackets(w.shape()).c_str(),
             brackets(seen).c_str(), long(wanted), long(channels)),
        "input", x, "weight", w);
  int64_t outputs = transposed ? w.shape()[1] * g.groups : w.shape()[0];
  HD_CHECK(!bias || (bias.dim() == 1 && bias.shape()[0] == outputs), runtime,
           transposed ? "Given transposed=1, weight of size %s, expected bias to be 1-dimensional with %ld elements, "
                        "but got bias of "
                        "size %s instead"
                      : "Given weight of size %s, expected bias to be 1-dimensional with %ld elements, but got bias of "
                        "size %s instead",
           brackets(w.shape()).c_str(), long(outputs), brackets(bias.shape()).c_str());
  if (!transposed) {
    Dims have, need;
    bool small = false;
    for (size_t d = 0; d < dims; ++d) {
      have.push_back(x.shape()[size_t(x.dim()) - dims + d] + 2 * g.padding[d]);
      need.push_back(g.dilation[d] * (w.shape()[d + 2] - 1) + 1);
      small |= have[d] < need[d];
    }
    HD_CHECK(
        !small, runtime,
        "Calculated padded input size per channel: (%s). Kernel size: (%s). Kernel size can't be greater than actual "
        "input size",
        joined(have).c_str(), joined(need).c_str());
  }
  HD_CHECK(x.dtype() == w.dtype(), runtime, "expected scalar type %s but found %s", info(x.dtype()).scalar,
           info(w.dtype()).scalar);
  HD_CHECK(!bias || x.dtype() == bias.dtype(), runtime, "Input type (%s) and bias type (%s) should be the same",
           cpp_name(x.dtype()), cpp_name(bias.dtype()));
  const char *kernel = transposed  ? dims == 3 ? "slow_conv_transpose3d_out_cpu" : "slow_conv_transpose2d_out_cpu"
                       : dilated   ? "slow_conv_dilated<>"
                       : dims == 3 ? "slow_conv3d_cpu"
                                   : "slow_conv2d_cpu";
  check_bool(x, kernel);
  HD_CHECK(!(transposed || dilated) || x.is_meta() || !dtype_in(x.dtype(), integers) || x.dtype() == DType::I64,
           not_implemented, "\"%s\" not implemented for '%s'", kernel, info(x.dtype()).scalar);
  if (bias) {
    const Tensor all[] = {x, w, bias};
    common_device(all, 3, op);
  } else {
    const Tensor all[] = {x, w};
    common_device(all, 2, op);
  }
}

Tensor conv(const char *op, size_t dims, const Tensor &x, const Tensor &w, const Tensor &bias, Geometry g) {
  check(op, dims, x, w, bias, g, false);
  if (x.dim() == int64_t(dims) + 1) return squeeze(convolve(Part::forward, unsqueeze(x, 0), w, g, {}, bias), Dims{0});
  return convolve(Part::forward, x, w, g, {}, bias);
}

Tensor conv_named(const char *op, size_t dims, const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,
                  const std::string &padding, const Dims &dilation, int64_t groups) {
  HD_CHECK(padding == "same" || padding == "valid", runtime, "Invalid padding string: '%s'", padding.c_str());
  Geometry g{spread(stride, dims), Dims(dims, 0), spread(dilation, dims), groups};
  if (padding == "valid" || w.dim() != int64_t(dims) + 2) return conv(op, dims, x, w, bias, g);
  for (int64_t s : g.stride) HD_CHECK(s == 1, runtime, "padding='same' is not supported for strided convolutions");
  // The same on both sides; where the total is odd the end gets one more.
  Dims more(dims, 0), none(dims, 0);
  bool uneven = false;
  for (size_t d = 0; d < dims; ++d) {
    int64_t total = g.dilation[d] * (w.shape()[d + 2] - 1);
    g.padding[d] = total / 2;
    more[d] = total % 2;
    uneven |= total % 2;
  }
  if (!uneven) return conv(op, dims, x, w, bias, g);
  bool single = x.dim() == int64_t(dims) + 1;
  Tensor batch = single ? unsqueeze(x, 0) : x, wide;
  {
    NoGrad no;
    wide = padded(batch, none, more);
  }
  Dims shape = batch.shape();
  record(wide, "ConstantPadNdBackward0", {batch}, {}, [shape](const Backward &b) -> TensorList {
    Tensor r = b.grad();
    for (size_t d = 2; d < shape.size(); ++d) r = narrow(r, int64_t(d), 0, shape[d]);
    return {r};
  });
  Tensor y = conv(op, dims, wide, w, bias, g);
  return single ? squeeze(y, Dims{0}) : y;
}

Tensor conv_transpose(const char *op, size_t dims, const Tensor &x, const Tensor &w, const Tensor &bias, Geometry g,
                      const Dims &output_padding) {
  check(op, dims, x, w, bias, g, true);
  Dims extra = spread(output_padding, dims);
  bool single = x.dim() == int64_t(dims) + 1;
  Tensor batch = single ? unsqueeze(x, 0) : x;
  Dims shape{batch.shape()[0], w.shape()[1] * g.groups};
  for (size_t d = 0; d < dims; ++d) {
    HD_CHECK(extra[d] < std::max(g.stride[d], g.dilation[d]), runtime,
             "output padding must be smaller than either stride or dilation, but got output_padding: %s stride: %s "
             "dilation: "
             "%s",
             brackets(extra).c_str(), brackets(g.stride).c_str(), brackets(g.dilation).c_str());
    shape.push_back((batch.shape()[d + 2] - 1) * g.stride[d] - 2 * g.padding[d] +
                    g.dilation[d] * (w.shape()[d + 2] - 1) + extra[d] + 1);
    HD_CHECK(shape[d + 2] > 0, runtime,
             "Given input size per channel: (%s). Calculated output size per channel: (%ld). Output size is too small",
             joined(Dims(batch.shape().begin() + 2, batch.shape().end())).c_str(), long(shape[d + 2]));
  }
  Tensor y = convolve(Part::by_input, batch, w, g, shape, bias);
  return single ? squeeze(y, Dims{0}) : y;
}
} // namespace

#define HD_CONV(N)                                                                                                     \
  Tensor conv##N##d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,     \
                    const Dims &dilation, int64_t groups) {                                                            \
    return conv("conv" #N "d", N, x, w, bias, {stride, padding, dilation, groups});                                    \
  }                                                                                                                    \
  Tensor conv##N##d_named(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,                    \
                          const std::string &padding, const Dims &dilation, int64_t groups) {                          \
    return conv_named("conv" #N "d", N, x, w, bias, stride, padding, dilation, groups);                                \
  }                                                                                                                    \
  Tensor conv_transpose##N##d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,                \
                              const Dims &padding, const Dims &output_padding, int64_t groups, const Dims &dilation) { \
    return conv_transpose("conv_transpose" #N "d", N, x, w, bias, {stride, padding, dilation, groups},                 \
                          output_padding);                                                                             \
  }
HD_CONV(1)
HD_CONV(2)
HD_CONV(3)
#undef HD_CONV

// ---- patches as columns, and back

namespace {
struct Patches {
  Dims kernel, dilation, padding, stride, blocks;
  int64_t window = 1, places = 1;
};
std::string pair(const Dims &d) {
  std::string s = "(";
  for (size_t i = 0; i < d.size(); ++i) s += (i ? ", " : "") + std::to_string(d[i]);
  return s + ")";
}
Patches patches(const Dims &image, const Dims &kernel, const Dims &dilation, const Dims &padding, const Dims &stride) {
  Patches p{spread(kernel, 2), spread(dilation, 2), spread(padding, 2), spread(stride, 2), {}};
  auto positive = [](const Dims &d) { return d[0] > 0 && d[1] > 0; };
  HD_CHECK(positive(p.kernel), runtime,
           "kernel size should be greater than zero, but got kernel_height: %ld kernel_width: %ld", long(p.kernel[0]),
           long(p.kernel[1]));
  HD_CHECK(positive(p.dilation), runtime,
           "dilation should be greater than zero, but got dilation_height: %ld dilation_width: %ld",
           long(p.dilation[0]), long(p.dilation[1]));
  HD_CHECK(p.padding[0] >= 0 && p.padding[1] >= 0, runtime,
           "padding should be non-negative, but got pad_height: %ld pad_width: %ld", long(p.padding[0]),
           long(p.padding[1]));
  HD_CHECK(positive(p.stride), runtime,
           "stride should be greater than zero, but got stride_height: %ld stride_width: %ld", long(p.stride[0]),
           long(p.stride[1]));
  for (size_t d = 0; d < 2; ++d) {
    int64_t room = image[d] + 2 * p.padding[d] - p.dilation[d] * (p.kernel[d] - 1) - 1;
    p.blocks.push_back((room >= 0 ? room / p.stride[d] : -((-room + p.stride[d] - 1) / p.stride[d])) + 1);
    p.window *= p.kernel[d];
    p.places *= p.blocks[d];
  }
  return p;
}
// Window position (r, s) of a padded image x (n, c, h, w), for every place.
Tensor position(const Tensor &x, const Patches &p, int64_t r, int64_t s) {
  const Dims &xs = x.strides();
  return alias(x, {x.shape()[0], x.shape()[1], p.blocks[0], p.blocks[1]},
               {xs[0], xs[1], p.stride[0] * xs[2], p.stride[1] * xs[3]},
               x->offset + r * p.dilation[0] * xs[2] + s * p.dilation[1] * xs[3]);
}
} // namespace

Tensor im2col(const Tensor &x, const Dims &kernel, const Dims &dilation, const Dims &padding, const Dims &stride) {
  HD_CHECK(x.dim() > 2, index, "Dimension out of range (expected to be in range of [-%ld, %ld], but got 2)",
           long(std::max<int64_t>(x.dim(), 1)), long(std::max<int64_t>(x.dim(), 1) - 1));
  HD_CHECK(x.dim() == 3 || x.dim() == 4, runtime,
           "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
           "but got: "
           "%s",
           brackets(x.shape()).c_str());
  Dims image{x.shape()[x.dim() - 2], x.shape()[x.dim() - 1]};
  Patches p = patches(image, kernel, dilation, padding, stride);
  HD_CHECK(p.blocks[0] > 0 && p.blocks[1] > 0, runtime,
           "Given input with spatial size %s, kernel_size=%s, dilation=%s, padding=%s, calculated shape of the array "
           "of sliding "
           "blocks as %s, but its components must be at least one.",
           pair(image).c_str(), pair(p.kernel).c_str(), pair(p.dilation).c_str(), pair(p.padding).c_str(),
           pair(p.blocks).c_str());
  HD_CHECK(x.is_meta() || !dtype_in(x.dtype(), integers), not_implemented,
           "\"im2col_out_cpu\" not implemented for '%s'", info(x.dtype()).scalar);
  bool single = x.dim() == 3;
  Dims shape{single ? 1 : x.shape()[0], x.shape()[x.dim() - 3] * p.window, p.places};
  Tensor y = empty(shape, x.dtype(), x.device());
  if (!y.is_meta() && y.numel()) {
    NoGrad no;
    Tensor wide = padded(single ? alias(x, {1, x.shape()[0], image[0], image[1]},
                                        {x.numel(), x.strides()[0], x.strides()[1], x.strides()[2]}, x->offset)
                                : x,
                         p.padding, p.padding);
    int64_t channels = x.shape()[x.dim() - 3];
    for (int64_t r = 0; r < p.kernel[0]; ++r)
      for (int64_t s = 0; s < p.kernel[1]; ++s)
        copy_data(alias(y, {shape[0], channels, p.blocks[0], p.blocks[1]},
                        {channels * p.window * p.places, p.window * p.places, p.blocks[1], 1},
                        y->offset + (r * p.kernel[1] + s) * p.places),
                  position(wide, p, r, s));
  }
  if (single) y = alias(y, {shape[1], shape[2]}, {shape[2], 1}, y->offset);
  return record(y, "Im2ColBackward0", {x}, {}, [=](const Backward &b) -> TensorList {
    return {col2im(b.grad(), image, p.kernel, p.dilation, p.padding, p.stride)};
  });
}

Tensor col2im(const Tensor &x, const Dims &output, const Dims &kernel, const Dims &dilation, const Dims &padding,
              const Dims &stride) {
  HD_CHECK(x.dim() == 2 || x.dim() == 3, runtime,
           "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
           "input, but "
           "got: %s",
           brackets(x.shape()).c_str());
  Dims image = spread(output, 2);
  Patches p = patches(image, kernel, dilation, padding, stride);
  bool single = x.dim() == 2;
  int64_t rows = x.shape()[x.dim() - 2], columns = x.shape()[x.dim() - 1], batch = single ? 1 : x.shape()[0];
  HD_CHECK(rows % p.window == 0, runtime,
           "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
           "input.size(1)=%ld and "
           "kernel_size=%s.",
           long(rows), pair(p.kernel).c_str());
  HD_CHECK(columns == p.places && p.blocks[0] > 0 && p.blocks[1] > 0, runtime,
           "Given output_size=%s, kernel_size=%s, dilation=%s, padding=%s, stride=%s, expected size of input's "
           "dimension 2 to "
           "match the calculated number of sliding blocks %ld * %ld = %ld, but got input.size(2)=%ld.",
           pair(image).c_str(), pair(p.kernel).c_str(), pair(p.dilation).c_str(), pair(p.padding).c_str(),
           pair(p.stride).c_str(), long(p.blocks[0]), long(p.blocks[1]), long(p.places), long(columns));
  HD_CHECK(x.is_meta() || !dtype_in(x.dtype(), integers), not_implemented,
           "\"col2im_out_cpu\" not implemented for '%s'", info(x.dtype()).scalar);
  int64_t channels = rows / p.window;
  Dims wide{batch, channels, image[0] + 2 * p.padding[0], image[1] + 2 * p.padding[1]};
  Tensor y;
  {
    NoGrad no;
    Tensor sum = zeros(wide, x.dtype(), x.device());
    if (!sum.is_meta() && x.numel()) {
      Dims xs{single ? 0 : x.strides()[0], x.strides()[x.dim() - 2], x.strides()[x.dim() - 1]};
      for (int64_t r = 0; r < p.kernel[0]; ++r)
        for (int64_t s = 0; s < p.kernel[1]; ++s) {
          Tensor to = position(sum, p, r, s);
          Tensor from = alias(x, to.shape(), {xs[0], p.window * xs[1], p.blocks[1] * xs[2], xs[2]},
                              x->offset + (r * p.kernel[1] + s) * xs[1]);
          const Tensor both[] = {to, from};
          run_inplace(about(add), both, 2);
        }
    }
    Dims crop{-p.padding[0], -p.padding[1]};
    y = padded(sum, crop, crop);
    if (single)
      y = alias(y, {channels, image[0], image[1]}, {y.strides()[1], y.strides()[2], y.strides()[3]}, y->offset);
  }
  return record(y, "Col2ImBackward0", {x}, {}, [=](const Backward &b) -> TensorList {
    return {im2col(b.grad(), p.kernel, p.dilation, p.padding, p.stride)};
  });
}

} // namespace hadamard::ops
