// Normalisation by mean and variance, and norms: lengths of vectors and distances between them.
#include <cmath>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/distance.h"
#include "ops/reduce.h"

namespace hadamard {
namespace ops {
namespace {

using OptTensor = std::optional<Tensor>;
Tensor value_or_none(const OptTensor &t) { return t ? *t : Tensor(); }

// ---- normalisation

// The input as planes of n neighbouring elements, for the kernels: `parts` planes, each part_step planes after the one
// before, make a set that has one mean and one variance; sets begin set_step planes apart.
struct Planes {
  int64_t n = 0, sets = 0, set_step = 1, parts = 1, part_step = 1;
  int64_t channels = 0; // weight and bias have one entry for each, in turn; 0: one for each element of a plane
  int64_t plane(int64_t set, int64_t part) const { return set * set_step + part * part_step; }
  int64_t count() const { return parts * n; }
};
constexpr int64_t least_plane = 8; // shorter ones are better taken op by op, all channels at once

// Over which elements a mean and a variance are taken, and how weight and bias lie on the input.
struct Grouping {
  Dims stats;          // the input's shape, seen so that whole dimensions are averaged over
  Mask mask;           // these
  Dims affine;         // the shape in which weight and bias broadcast against the input
  Planes planes{};     // the same for the kernels; n = 0 where they do not fit
  bool centred = true; // the mean is taken off
};

Mask all_but(int64_t kept, int64_t ndim) {
  Mask m(size_t(ndim), true);
  if (kept < ndim) m[kept] = false;
  return m;
}

void check_parameter(const Tensor &p, const Tensor &x) {
  if (!p || p.dtype() == x.dtype()) return;
  bool small = x.dtype() == DType::F16 || x.dtype() == DType::BF16;
  HD_CHECK(small && p.dtype() == DType::F32, runtime, "mixed dtype (CPU): expect parameter to have scalar type of %s",
           "Float");
}

// The dtype in which torch hands statistics out: float32 only where parameters of it meet a narrower input.
DType statistics(const Tensor &x, const Tensor &weight, const Tensor &bias) {
  return weight ? weight.dtype() : bias ? bias.dtype() : x.dtype();
}

Tensor mean_over(const Tensor &x, const Mask &mask) { return mean(x, dims_of(mask), true, std::nullopt); }
Tensor sum_over(const Tensor &x, const Dims &to) { return sum_to(x, to); }

// What the kernels read and write, contiguous; weight and bias may be missing.
template <class T> struct Normaliser {
  Planes planes;
  bool centred;
  const T *x, *weight, *bias;
  T *mean, *rstd; // one for each set

  const NormOf<T> &kernels() const { return of<T>(*level().fused).norm; }
  Stretch<T> stretch(int64_t plane, T m) const {
    Stretch<T> s{};
    s.x = x + plane * planes.n;
    s.n = planes.n;
    s.mean = m;
    if (!planes.channels) s.weight = weight, s.bias = bias;
    return s;
  }
  T weight_of(int64_t plane) const { return weight && planes.channels ? weight[plane % planes.channels] : T(1); }
  T bias_of(int64_t plane) const { return bias && planes.channels ? bias[plane % planes.channels] : T(0); }
  int64_t grain() const { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, planes.count())); }

  void forward(T *y, T *var, double eps) const {
    const auto &k = kernels();
    parallel_for(planes.sets, grain(), [&](long begin, long end) {
      for (long s = begin; s < end; ++s) {
        Moment all;
        const int64_t joined = planes.part_step == 1 ? planes.parts : 1;
        for (int64_t p = 0; p < planes.parts; p += joined) {
          const T *at = x + planes.plane(s, p) * planes.n;
          if (centred) k.moments(at, planes.n * joined, all);
          else all.squares += k.squares(at, planes.n * joined);
        }
        const T m = T(all.mean);
        const double square = all.squares / double(planes.count());
        const T r = T(1 / std::sqrt(square + eps));
        mean[s] = m;
        rstd[s] = r;
        if (var) var[s] = T(square);
        for (int64_t p = 0; p < planes.parts; ++p) {
          const int64_t plane = planes.plane(s, p);
          Stretch<T> part = stretch(plane, m);
          part.y = y + plane * planes.n;
          part.scale = r * weight_of(plane);
          part.shift = bias_of(plane);
          k.forward(part);
        }
      }
    });
  }

  // The gradient for x, where gx is given. Sets are taken in groups of a fixed size, so that sums over them do not
  // depend on the threads: where weight and bias have one entry for each element, weight_sums and bias_sums get a row
  // for each group, else two numbers for each plane.
  static constexpr int64_t group = 64;
  int64_t groups() const { return (planes.sets + group - 1) / group; }
  void backward(const T *g, T *gx, T *weight_sums, T *bias_sums, double *plane_sums) const {
    const auto &k = kernels();
    const int64_t n = planes.n, at_once = planes.channels ? 1 : group;
    const int64_t pieces = (planes.sets + at_once - 1) / at_once;
    parallel_for(pieces, planes.channels ? grain() : 1, [&](long begin, long end) {
      for (int64_t s = begin * at_once; s < std::min<int64_t>(planes.sets, end * at_once); ++s) {
        const T r = rstd[s];
        double a = 0, b = 0;
        for (int64_t p = 0; p < planes.parts; ++p) {
          const int64_t plane = planes.plane(s, p);
          Stretch<T> part = stretch(plane, mean[s]);
          part.g = g + plane * n;
          part.scale = r;
          if (weight_sums) part.weight_sums = weight_sums + s / group * n;
          if (bias_sums) part.bias_sums = bias_sums + s / group * n;
          double first, second;
          k.sums(part, first, second);
          second *= double(r);
          if (plane_sums) plane_sums[2 * plane] = first, plane_sums[2 * plane + 1] = second;
          a += first * double(weight_of(plane));
          b += second * double(weight_of(plane));
        }
        if (!gx) continue;
        const double count = double(planes.count());
        for (int64_t p = 0; p < planes.parts; ++p) {
          const int64_t plane = planes.plane(s, p);
          Stretch<T> part = stretch(plane, mean[s]);
          part.g = g + plane * n;
          part.y = gx + plane * n;
          part.scale = r;
          part.factor = weight_of(plane);
          part.shift = centred ? T(a / count) : T(0);
          part.slope = T(b / count * double(r));
          k.backward(part);
        }
      }
    });
  }
};

// Calls f(Normaliser<float or double>) on contiguous tensors of that dtype.
template <class F>
void with_planes(const Grouping &g, const Tensor &x, const Tensor &weight, const Tensor &bias, const Tensor &mean,
                 const Tensor &rstd, F f) {
  LongWork unlocked(x.numel());
  auto go = [&]<class T>(Type<T>) {
    auto place = [](const Tensor &t) { return t ? t.data<T>() : nullptr; };
    f(Normaliser<T>{g.planes, g.centred, place(x), place(weight), place(bias), mean.data<T>(), rstd.data<T>()});
  };
  if (x.dtype() == DType::F64) go(Type<double>{});
  else go(Type<float>{});
}
Tensor packed(const Tensor &t) { return t ? contiguous(widened(t)) : t; }

struct Normalised {
  Tensor y, mean, var, rstd; // all but y with the averaged dimensions kept as 1; no var of rows
};

// The gradients of x, weight and bias from the kernels.
TensorList kernel_gradients(const Grouping &g, const Tensor &grad, const Tensor &x, const Tensor &weight,
                            const Tensor &mean, const Tensor &rstd, const bool (&wants)[3]) {
  Tensor up = contiguous(grad), gx, gw, gb, sums;
  int64_t rows = 0, channels = g.planes.channels;
  with_planes(g, x, weight, {}, mean, rstd, [&](const auto &n) {
    using T = std::remove_pointer_t<decltype(n.mean)>;
    rows = n.groups();
    if (wants[0]) gx = empty(x.shape(), x.dtype());
    if (wants[1] && !channels) gw = zeros(Dims{rows, g.planes.n}, x.dtype());
    if (wants[2] && !channels) gb = zeros(Dims{rows, g.planes.n}, x.dtype());
    if ((wants[1] || wants[2]) && channels)
      sums = empty(Dims{g.planes.sets * g.planes.parts / channels, channels, 2}, DType::F64);
    auto place = [](const Tensor &t) { return t ? t.template data<T>() : nullptr; };
    n.backward(up.data<T>(), place(gx), place(gw), place(gb), sums ? sums.data<double>() : nullptr);
  });
  if (sums) {
    Tensor all = sum(sums, Dims{0}, false, std::nullopt);
    if (wants[1]) gw = select(all, 1, 1);
    if (wants[2]) gb = select(all, 1, 0);
  } else {
    if (gw) gw = sum(gw, Dims{0}, false, std::nullopt);
    if (gb) gb = sum(gb, Dims{0}, false, std::nullopt);
  }
  return {gx, gw, gb};
}

// y = (x - mean) / sqrt(var + eps) * weight + bias, recorded as one op.
Normalised normalise(const char *node, const Tensor &x, const Tensor &weight, const Tensor &bias, Grouping g,
                     double eps, std::optional<DType> result = {}) {
  Normalised r;
  if (x.is_meta() || !x.numel()) g.planes.n = 0;
  const DType as = result ? *result : x.dtype();
  if (g.planes.n) {
    NoGrad no;
    Tensor from = packed(x), y = empty(x.shape(), from.dtype());
    Dims kept = g.stats;
    for (size_t d = 0; d < kept.size(); ++d)
      if (g.mask[d]) kept[d] = 1;
    r.mean = empty(kept, from.dtype());
    r.rstd = empty(kept, from.dtype());
    if (g.planes.channels) r.var = empty(kept, from.dtype());
    Tensor w = packed(weight), b = packed(bias);
    with_planes(g, from, w, b, r.mean, r.rstd, [&](const auto &n) {
      using T = std::remove_pointer_t<decltype(n.mean)>;
      n.forward(y.data<T>(), r.var ? r.var.data<T>() : nullptr, eps);
    });
    r.y = to(y, as);
  } else {
    NoGrad no;
    Tensor xs = reshape(widened(x), g.stats), w, b;
    if (g.centred) {
      Moments m = moments(xs, g.mask, 0);
      r.mean = m.mean;
      r.var = m.var;
    } else {
      r.var = mean_over(xs * xs, g.mask);
      r.mean = r.var * 0.0;
    }
    r.rstd = rsqrt(r.var + eps);
    if (weight) w = reshape(widened(weight), g.affine);
    if (bias) b = reshape(widened(bias), g.affine);
    Tensor y;
    if (g.stats == x.shape() && g.affine.size() == g.stats.size()) { // all that x meets is small
      Tensor scale = w ? r.rstd * w : r.rstd, shift = -(r.mean * scale);
      y = addcmul(b ? shift + b : shift, xs, scale);
    } else {
      y = reshape((xs - r.mean) * r.rstd, x.shape());
      if (w && b) y = addcmul(b, y, w);
      else if (w) y = y * w;
      else if (b) y = y + b;
    }
    r.y = to(y, as);
  }
  Dims shape = x.shape(), w_shape = weight ? weight.shape() : Dims{}, b_shape = bias ? bias.shape() : Dims{};
  DType dtype = x.dtype(), w_dtype = weight ? weight.dtype() : dtype, b_dtype = bias ? bias.dtype() : dtype;
  record(r.y, node, {x, weight, bias}, {Keep{x}, Keep{weight}, Keep{r.mean}, Keep{r.rstd}},
         [=](const Backward &b) -> TensorList {
           TensorList r(3);
           Tensor grad = widened(b.grad());
           if (g.planes.n && !grad_enabled() && !grad.is_meta()) {
             r = kernel_gradients(g, grad, packed(b.saved(0)), packed(b.saved(1)), b.saved(2), b.saved(3),
                                  {b.wants(0), b.wants(1), b.wants(2)});
             if (r[0]) r[0] = to(r[0], dtype);
             if (r[1]) r[1] = to(reshape(r[1], w_shape), w_dtype);
             if (r[2]) r[2] = to(reshape(r[2], b_shape), b_dtype);
             return r;
           }
           if (b.wants(2)) r[2] = to(reshape(sum_over(grad, g.affine), b_shape), b_dtype);
           if (!b.wants(0) && !b.wants(1)) return r;
           Tensor xs = reshape(widened(b.saved(0)), g.stats), w = b.saved(1), mean = b.saved(2), rstd = b.saved(3);
           if (grad_enabled()) { // a gradient of this gradient must see how they depend on x
             Tensor d = xs;
             if (g.centred) mean = mean_over(xs, g.mask), d = xs - mean;
             rstd = rsqrt(mean_over(d * d, g.mask) + eps);
           }
           Tensor unit = (g.centred ? xs - mean : xs) * rstd;
           if (b.wants(1)) r[1] = to(reshape(sum_over(grad * reshape(unit, shape), g.affine), w_shape), w_dtype);
           if (b.wants(0)) {
             Tensor gw = reshape(w ? grad * reshape(widened(w), g.affine) : grad, g.stats);
             Tensor least = gw - unit * mean_over(gw * unit, g.mask);
             if (g.centred) least = least - mean_over(gw, g.mask);
             r[0] = to(reshape(rstd * least, shape), dtype);
           }
           return r;
         });
  return r;
}

Grouping trailing(const Tensor &x, const Dims &normalized, const Tensor &weight, const Tensor &bias) {
  HD_CHECK(!normalized.empty(), runtime,
           "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
           "normalized_shape = %s",
           brackets(normalized).c_str());
  std::string shape = brackets(normalized);
  HD_CHECK(
      !weight || weight.shape() == normalized, runtime,
      "Expected weight to be of same shape as normalized_shape, but got weight of shape %s and normalized_shape = %s",
      brackets(weight ? weight.shape() : Dims{}).c_str(), shape.c_str());
  HD_CHECK(!bias || bias.shape() == normalized, runtime,
           "Expected bias to be of same shape as normalized_shape, but got bias of shape %s and normalized_shape = %s",
           brackets(bias ? bias.shape() : Dims{}).c_str(), shape.c_str());
  int64_t lead = x.dim() - int64_t(normalized.size());
  bool fits = lead >= 0;
  for (size_t d = 0; fits && d < normalized.size(); ++d) fits = x.shape()[size_t(lead) + d] == normalized[d];
  if (!fits) {
    std::string inner = shape.substr(1);
    throw Error(Raises::runtime,
                text("Given normalized_shape=%s, expected input with shape [*, %s, but got input of size%s",
                     shape.c_str(), inner.c_str(), brackets(x.shape()).c_str()),
                "norm")
        .arg("input", x);
  }
  Grouping g{x.shape(), Mask(size_t(x.dim()), false), normalized};
  for (int64_t d = lead; d < x.dim(); ++d) g.mask[size_t(d)] = true;
  g.planes.n = numel(normalized);
  g.planes.sets = g.planes.n ? x.numel() / g.planes.n : 0;
  return g;
}

std::tuple<Tensor, Tensor, Tensor> native_layer_norm(const Tensor &x, const Dims &normalized_shape,
                                                     const OptTensor &weight, const OptTensor &bias, double eps) {
  Tensor w = value_or_none(weight), b = value_or_none(bias);
  Grouping g = trailing(x, normalized_shape, w, b);
  HD_CHECK(x.is_float(), not_implemented, "\"LayerNormKernelImpl\" not implemented for '%s'", info(x.dtype()).scalar);
  check_parameter(w, x);
  check_parameter(b, x);
  Normalised r = normalise("NativeLayerNormBackward0", x, w, b, g, eps);
  NoGrad no;
  DType t = statistics(x, w, b);
  return {r.y, to(r.mean, t), to(r.rstd, t)};
}

Tensor layer_norm(const Tensor &x, const Dims &normalized_shape, const OptTensor &weight, const OptTensor &bias,
                  double eps, Ignored) {
  return std::get<0>(native_layer_norm(x, normalized_shape, weight, bias, eps));
}

Tensor group_norm(const Tensor &x, int64_t groups, const OptTensor &weight, const OptTensor &bias, double eps,
                  Ignored) {
  Tensor w = value_or_none(weight), b = value_or_none(bias);
  int64_t n = x.size(0), c = x.size(1);
  HD_CHECK(groups > 0, runtime, "Expected num groups to be greater than 0, got %ld", long(groups));
  HD_CHECK(c % groups == 0, runtime,
           "Expected number of channels in input to be divisible by num_groups, but got input of shape %s and "
           "num_groups=%ld",
           brackets(x.shape()).c_str(), long(groups));
  for (auto [p, name] : {std::pair{w, "weight"}, std::pair{b, "bias"}})
    HD_CHECK(!p || (p.dim() == 1 && p.numel() == c), runtime,
             "Expected %s to be a vector of size equal to the number of channels in input, but got %s of shape %s and "
             "input of shape %s",
             name, name, brackets(p ? p.shape() : Dims{}).c_str(), brackets(x.shape()).c_str());
  HD_CHECK(x.is_float(), not_implemented, "\"GroupNormKernelImpl\" not implemented for '%s'", info(x.dtype()).scalar);
  check_parameter(w, x);
  check_parameter(b, x);
  int64_t inner = 1;
  for (int64_t d = 2; d < x.dim(); ++d) inner *= x.shape()[d];
  Dims affine(size_t(x.dim() - 1), 1);
  affine[0] = c;
  Grouping g{Dims{n, groups, c / groups * inner}, Mask{false, false, true}, affine};
  if (x.is_contiguous() && inner >= least_plane) g.planes = {inner, n * groups, c / groups, c / groups, 1, c};
  return normalise("NativeGroupNormBackward0", x, w, b, g, eps).y;
}

// With the running statistics: they are constants.
Tensor normalise_by(const Tensor &x, const Tensor &weight, const Tensor &bias, const Tensor &running_mean,
                    const Tensor &running_var, const Dims &channels, double eps) {
  Tensor mean, rstd, y;
  {
    NoGrad no;
    mean = reshape(widened(running_mean), channels);
    rstd = rsqrt(reshape(widened(running_var), channels) + eps);
    Tensor scale = weight ? rstd * reshape(widened(weight), channels) : rstd;
    Tensor shift = -(mean * scale);
    if (bias) shift = shift + reshape(widened(bias), channels);
    y = to(addcmul(shift, widened(x), scale), x.dtype());
  }
  DType dtype = x.dtype(), w_dtype = weight ? weight.dtype() : dtype, b_dtype = bias ? bias.dtype() : dtype;
  return record(y, "NativeBatchNormBackward0", {x, weight, bias}, {Keep{x}, Keep{weight}, Keep{mean}, Keep{rstd}},
                [=](const Backward &b) -> TensorList {
                  TensorList r(3);
                  Tensor grad = widened(b.grad()), w = b.saved(1), mean = b.saved(2), rstd = b.saved(3);
                  Dims flat{channels.size() > 1 ? channels[1] : channels[0]};
                  if (b.wants(0)) r[0] = to(grad * (w ? rstd * reshape(widened(w), channels) : rstd), dtype);
                  if (b.wants(1)) {
                    Tensor unit = (widened(b.saved(0)) - mean) * rstd;
                    r[1] = to(reshape(sum_over(grad * unit, channels), flat), w_dtype);
                  }
                  if (b.wants(2)) r[2] = to(reshape(sum_over(grad, channels), flat), b_dtype);
                  return r;
                });
}

// running = (1 - momentum) * running + momentum * now, in place and without history.
void move_towards(const Tensor &running, const Tensor &now, double momentum) {
  if (running.is_meta()) return;
  Tensor next = running * (1 - momentum) + reshape(now, running.shape()) * momentum;
  copy_data(running, next);
  running.bump();
}

std::tuple<Tensor, Tensor, Tensor> native_batch_norm(const Tensor &x, const OptTensor &weight, const OptTensor &bias,
                                                     const OptTensor &running_mean, const OptTensor &running_var,
                                                     bool training, double momentum, double eps) {
  Tensor w = value_or_none(weight), b = value_or_none(bias), rm = value_or_none(running_mean),
         rv = value_or_none(running_var);
  int64_t c = x.size(1);
  HD_CHECK(training || (rm && rv), runtime, "%s must be defined in evaluation mode",
           rm ? "running_var" : "running_mean");
  for (auto [p, name] :
       {std::pair{rm, "running_mean"}, std::pair{rv, "running_var"}, std::pair{w, "weight"}, std::pair{b, "bias"}})
    HD_CHECK(!p || p.numel() == c, runtime, "%s should contain %ld elements not %ld", name, long(c),
             long(p ? p.numel() : 0));
  refuse_grad(rm, "native_batch_norm", "running_mean");
  refuse_grad(rv, "native_batch_norm", "running_var");
  HD_CHECK(x.is_float(), not_implemented, "\"batch_norm\" not implemented for '%s'", info(x.dtype()).scalar);
  check_parameter(w, x);
  check_parameter(b, x);
  Dims channels(size_t(x.dim()), 1);
  channels[1] = c;
  if (!training) {
    Tensor none = empty(Dims{0}, statistics(x, w, b), x.device());
    return {normalise_by(x, w, b, rm, rv, channels, eps), none, none};
  }
  Grouping g{x.shape(), all_but(1, x.dim()), channels};
  int64_t samples = x.size(0), inner = x.numel() / std::max<int64_t>(1, samples * c);
  if (x.is_contiguous() && inner >= least_plane) g.planes = {inner, c, 1, samples, c, c};
  Normalised r = normalise("NativeBatchNormBackward0", x, w, b, g, eps);
  NoGrad no;
  Tensor mean = reshape(r.mean, Dims{c}), rstd = reshape(r.rstd, Dims{c});
  if (rm) move_towards(rm, mean, momentum);
  if (rv) {
    double n = c ? double(x.numel() / c) : 0;
    move_towards(rv, r.var * (n / (n - 1)), momentum);
  }
  return {r.y, to(mean, statistics(x, w, b)), to(rstd, statistics(x, w, b))};
}

Tensor batch_norm(const Tensor &x, const OptTensor &weight, const OptTensor &bias, const OptTensor &running_mean,
                  const OptTensor &running_var, bool training, double momentum, double eps, Ignored) {
  if (x.dim() == 1 && !x.numel()) return clone(x);
  return std::get<0>(native_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps));
}

// Every sample is a batch of its own: batch_norm of one sample with the channels of all.
Tensor instance_norm(const Tensor &x, const OptTensor &weight, const OptTensor &bias, const OptTensor &running_mean,
                     const OptTensor &running_var, bool use_input_stats, double momentum, double eps, Ignored) {
  HD_CHECK(use_input_stats || (running_mean && running_var), runtime,
           "Expected running_mean and running_var to be defined when use_input_stats is false");
  int64_t n = x.size(0), c = x.size(1);
  Dims shape = x.shape();
  shape[0] = 1;
  shape[1] = n * c;
  auto repeated = [&](const OptTensor &t) -> OptTensor {
    if (!t) return t;
    return reshape(expand(*t, Dims{n, t->numel()}), Dims{n * t->numel()});
  };
  OptTensor rm = repeated(running_mean), rv = repeated(running_var);
  Tensor y = batch_norm(view(contiguous(x), shape), repeated(weight), repeated(bias), rm, rv, use_input_stats, momentum,
                        eps, {});
  if (use_input_stats) {
    NoGrad no;
    for (auto [running, now] : {std::pair{running_mean, rm}, std::pair{running_var, rv}})
      if (running) {
        copy_data(*running, mean(view(*now, Dims{n, c}), Dims{0}, false, std::nullopt));
        running->bump();
      }
  }
  return view(y, x.shape());
}

Tensor rms_norm(const Tensor &x, const Dims &normalized_shape, const OptTensor &weight, std::optional<double> eps) {
  Tensor w = value_or_none(weight);
  Grouping g = trailing(x, normalized_shape, w, {});
  HD_CHECK(x.is_float() || x.is_complex(), not_implemented, "\"rms_norm\" not implemented for '%s'",
           info(x.dtype()).scalar);
  DType wide = real_of(compute_of(x.dtype()));
  double least = eps ? *eps : wide == DType::F64 ? 0x1p-52 : 0x1p-23;
  DType result = w ? promote(x.dtype(), w.dtype()) : x.dtype();
  if (!x.is_complex() && (!w || w.is_float())) {
    g.centred = false;
    const bool narrow = result != compute_of(result);
    return normalise(narrow ? "ToCopyBackward0" : "MulBackward0", x, w, {}, g, least, result).y;
  }
  Tensor v = widened(x);
  Tensor y = v * rsqrt(mean_over(v * v, g.mask) + least);
  if (w) y = y * w;
  return to(y, result);
}

// ---- norms

bool infinite(double p) { return std::isinf(p); }

std::string order_text(double p) { return infinite(p) ? (p < 0 ? "-inf" : "inf") : text("%g", p); }

// The length of x by |.|^p over the dimensions of `mask`, which stay as 1; x real or complex, not narrow; no history.
Tensor length(const Tensor &x, double p, const Mask &mask) {
  Dims dims = dims_of(mask);
  if (p == 0) return to(sum(x != 0.0, dims, true, std::nullopt), real_of(x.dtype()));
  Tensor a = x.is_complex() || p != 2 ? abs(x) : x;
  if (x.dim() == 0) return abs(x);
  if (p == 1) return sum(a, dims, true, std::nullopt);
  if (p == 2) return sqrt(fold(Fold::sumsq, a, mask, true, a.dtype(), "norm"));
  if (infinite(p)) return p > 0 ? amax(a, dims, true) : amin(a, dims, true);
  return pow(sum(pow(a, Scalar(p)), dims, true, std::nullopt), Scalar(1 / p));
}

// The gradient of length(): g and y with the reduced dimensions kept as 1.
Tensor length_gradient(const Tensor &g, const Tensor &x, const Tensor &y, double p, const Mask &mask) {
  Tensor safe = where(y == 0.0, Scalar(1.0), y); // where the length is 0 the gradient is taken to be 0
  Tensor kept = where(y == 0.0, Scalar(0.0), g);
  if (p == 0) return expand(g * 0.0, x.shape());
  if (p == 1) return g * sgn(x);
  if (p == 2) return kept * (x / safe);
  if (infinite(p)) {
    Tensor a = abs(x), here = logical_or(a == y, isnan(a));
    Tensor ties = x.dim() ? sum(here, dims_of(mask), true, std::nullopt) : here;
    return sgn(x) * (g / ties * here);
  }
  if (p < 1) return sgn(x) * where(x == 0.0, Scalar(0.0), pow(abs(x), Scalar(p - 1))) * (g * pow(y, Scalar(1 - p)));
  Tensor scale = kept / pow(safe, Scalar(p - 1));
  if (p < 2) return sgn(x) * pow(abs(x), Scalar(p - 1)) * scale;
  return x * pow(abs(x), Scalar(p - 2)) * scale;
}

Tensor norm_of(const char *node, const Tensor &input, double p, const OptDims &dims, bool keepdim,
               std::optional<DType> dtype) {
  HD_CHECK(input.is_float() || input.is_complex(), runtime,
           "linalg.vector_norm: Expected a floating point or complex tensor as input. Got %s",
           info(input.dtype()).scalar);
  if (dtype) {
    HD_CHECK(dtype_in(*dtype, floats | complexes), runtime,
             "linalg.vector_norm: dtype should be floating point or complex, but got %s", info(*dtype).scalar);
    HD_CHECK(dtype_in(*dtype, complexes) == input.is_complex(), runtime,
             "linalg.vector_norm: dtype should be %s for %s inputs, but got %s",
             input.is_complex() ? "complex" : "real", input.is_complex() ? "complex" : "real", info(*dtype).scalar);
    HD_CHECK(promote(*dtype, input.dtype()) == *dtype, runtime,
             "linalg.vector_norm: the dtype of the input (%s) should be convertible without narrowing to the specified "
             "dtype (%s)",
             info(input.dtype()).scalar, info(*dtype).scalar);
  }
  Tensor x = dtype ? to(input, *dtype) : input;
  Mask mask = dim_mask(dims, x.dim());
  if (!x.numel() && (p < 0 || infinite(p))) {
    HD_CHECK(dims && !dims->empty(), runtime,
             "linalg.vector_norm cannot compute the %s norm on an empty tensor because the operation does not have an "
             "identity",
             order_text(p).c_str());
    for (int64_t d = 0; d < x.dim(); ++d)
      HD_CHECK(!mask[d] || x.shape()[d], runtime,
               "linalg.vector_norm cannot compute the %s norm on the dimension %ldbecause this dimension is empty and "
               "the operation does not have an identity",
               order_text(p).c_str(), long(d));
  }
  Tensor y;
  {
    NoGrad no;
    y = to(length(widened(x), p, mask), real_of(x.dtype()));
    if (!keepdim) y = reshape(y, reduced_shape(x, mask, false));
  }
  Dims shape = x.shape();
  return record(y, node, {x}, {Keep{x}, result(y)}, [=](const Backward &b) -> TensorList {
    if (p == 0) return {Tensor()}; // a count does not move
    Tensor x = b.saved(0), g = widened(restore(b.grad(), shape, mask, keepdim)),
           y = widened(restore(b.saved(1), shape, mask, keepdim));
    return {to(length_gradient(g, widened(x), y, p, mask), x.dtype())};
  });
}

double order(const Scalar &p) {
  HD_CHECK(p.kind != Scalar::complex_, runtime,
           "linalg.vector_norm: Expected a non-complex scalar as the order of norm.");
  return p.re;
}

Tensor vector_norm(const Tensor &x, const Scalar &ord, const OptDims &dim, bool keepdim, std::optional<DType> dtype) {
  return norm_of("LinalgVectorNormBackward0", x, order(ord), dim, keepdim, dtype);
}

Tensor norm(const Tensor &x, const std::optional<Scalar> &p, const OptDims &dim, bool keepdim,
            std::optional<DType> dtype) {
  return norm_of("LinalgVectorNormBackward0", x, p ? order(*p) : 2, dim, keepdim, dtype);
}
Tensor norm_by_name(const Tensor &x, const std::string &p, const OptDims &dim, bool keepdim,
                    std::optional<DType> dtype) {
  size_t n = dim ? dim->size() : size_t(x.dim());
  if (p == "fro" && (!dim || n <= 2)) return norm_of("LinalgVectorNormBackward0", x, 2, dim, keepdim, dtype);
  HD_CHECK(p == "fro" || p == "nuc", runtime, "linalg.matrix_norm: Order %s not supported.", p.c_str());
  std::string dims;
  for (size_t d = 0; d < n; ++d) dims += (d ? " " : "") + std::to_string(dim ? (*dim)[d] : int64_t(d));
  HD_CHECK(n == 2, runtime, "linalg.matrix_norm: dim must be a 2-tuple. Got %s", dims.c_str());
  throw Error(Raises::not_implemented, "the nuclear norm needs singular values: use linalg.matrix_norm");
}

Tensor dist(const Tensor &a, const Tensor &b, const Scalar &p) {
  const Tensor both[] = {a, b};
  DType t = result_type(both, 2);
  if (t == DType::Bool) check_minus(both);
  HD_CHECK(dtype_in(t, floats | complexes), runtime,
           "norm(): input dtype should be either floating point or complex. Got %s instead.", info(t).scalar);
  double ord = order(p);
  Tensor y;
  {
    NoGrad no;
    Tensor d = a - b;
    y = norm_of("", d, ord, std::nullopt, false, std::nullopt);
  }
  Dims a_shape = a.shape(), b_shape = b.shape();
  DType a_dtype = a.dtype(), b_dtype = b.dtype();
  return record(y, "DistBackward0", {a, b}, {Keep{a}, Keep{b}, result(y)}, [=](const Backward &k) -> TensorList {
    Tensor d = widened(k.saved(0) - k.saved(1));
    Tensor g = length_gradient(widened(k.grad()), d, widened(k.saved(2)), ord, Mask(size_t(d.dim()), true));
    TensorList r(2);
    if (k.wants(0)) r[0] = reduce_grad(g, a_shape, a_dtype);
    if (k.wants(1)) r[1] = reduce_grad(-g, b_shape, b_dtype);
    return r;
  });
}

Tensor cdist(const Tensor &a, const Tensor &b, double p, Ignored) {
  for (DType t : {DType::F16, DType::BF16})
    HD_CHECK((a.dtype() != t && b.dtype() != t) || !a.numel() || !b.numel(), not_implemented,
             "\"cdist\" not implemented for '%s'", info(t).scalar);
  HD_CHECK(a.is_float(), runtime, "cdist only supports floating-point dtypes, X1 got: %s", info(a.dtype()).scalar);
  HD_CHECK(b.is_float(), runtime, "cdist only supports floating-point dtypes, X2 got: %s", info(b.dtype()).scalar);
  HD_CHECK(a.dim() >= 2, runtime, "cdist only supports at least 2D tensors, X1 got: %ldD", long(a.dim()));
  HD_CHECK(b.dim() >= 2, runtime, "cdist only supports at least 2D tensors, X2 got: %ldD", long(b.dim()));
  HD_CHECK(a.size(-1) == b.size(-1), runtime, "X1 and X2 must have the same number of columns. X1: %ld X2: %ld",
           long(a.size(-1)), long(b.size(-1)));
  HD_CHECK(p >= 0, runtime, "cdist only supports non-negative p values");
  HD_CHECK(a.dtype() == b.dtype(), runtime, "expected scalar type %s but found %s", info(a.dtype()).scalar,
           info(b.dtype()).scalar);
  auto difference = [](const Tensor &a, const Tensor &b) {
    return unsqueeze(widened(a), -2) - unsqueeze(widened(b), -3);
  };
  auto last = [](const Tensor &d) {
    Mask m(size_t(d.dim()), false);
    m.back() = true;
    return m;
  };
  auto batch = [](const Tensor &x) { return Dims(x.shape().begin(), x.shape().end() - 2); };
  bool direct = p == 2 && dtype_in(a.dtype(), set_of(DType::F32) | set_of(DType::F64)) && !a.is_meta() &&
                !b.is_meta() && batch(a) == batch(b) && a.size(-1);
  Tensor y;
  {
    NoGrad no;
    if (direct) {
      Dims shape(batch(a));
      shape.push_back(a.size(-2)), shape.push_back(b.size(-2));
      euclidean(y = empty(shape, a.dtype()), contiguous(a), contiguous(b));
    } else {
      Tensor d = difference(a, b);
      Dims shape(d.shape());
      shape.pop_back();
      y = a.size(-1) ? to(reshape(length(d, p, last(d)), shape), a.dtype()) : zeros(shape, a.dtype(), a.device());
    }
  }
  Dims a_shape = a.shape(), b_shape = b.shape();
  DType dtype = a.dtype();
  return record(y, "CdistBackward0", {a, b}, {Keep{a}, Keep{b}, result(y)}, [=](const Backward &k) -> TensorList {
    TensorList r(2);
    if (direct && !grad_enabled()) {
      Tensor a = contiguous(k.saved(0)), b = contiguous(k.saved(1)), y = k.saved(2);
      Tensor w = contiguous(where(y == 0.0, Scalar(0.0), k.grad() / y));
      if (k.wants(0)) r[0] = weighted_differences(w, a, b);
      if (k.wants(1)) r[1] = weighted_differences(transpose(w, -2, -1), b, a);
      return r;
    }
    Tensor d = difference(k.saved(0), k.saved(1));
    Tensor g = length_gradient(unsqueeze(widened(k.grad()), -1), d, unsqueeze(widened(k.saved(2)), -1), p, last(d));
    auto total = [&](int64_t over, const Dims &shape) {
      return reduce_grad(sum(g, Dims{over}, false, std::nullopt), shape, dtype);
    };
    if (k.wants(0)) r[0] = total(-2, a_shape);
    if (k.wants(1)) r[1] = total(-3, b_shape);
    if (r[1]) r[1] = -r[1];
    return r;
  });
}

Tensor cosine_similarity(const Tensor &a, const Tensor &b, int64_t dim, double eps) {
  const Tensor both[] = {a, b};
  DType t = result_type(both, 2);
  HD_CHECK(dtype_in(t, floats), runtime, "expected common dtype to be floating point, yet common dtype is %s",
           info(t).scalar);
  Dims shape = broadcast(a.shape(), b.shape()).shape;
  auto unit = [&](const Tensor &v) {
    Tensor x = expand(to(v, t), shape);
    Tensor n = clone(norm_of("LinalgVectorNormBackward0", x, 2, Dims{dim}, true, std::nullopt));
    {
      NoGrad no; // the lower bound is not part of the function that is differentiated
      copy_data(n, clamp_min(n, Scalar(eps)));
    }
    return x / n;
  };
  return sum(unit(a) * unit(b), Dims{dim}, false, std::nullopt);
}

Tensor pairwise_distance(const Tensor &a, const Tensor &b, double p, double eps, bool keepdim) {
  return norm_of("NormBackward1", a - b + eps, p, Dims{std::max(a.dim(), b.dim()) - 1}, keepdim, std::nullopt);
}

// Slices along dim whose norm exceeds maxnorm are shortened to it.
Tensor renorm(const Tensor &x, const Scalar &p, int64_t dim, const Scalar &maxnorm) {
  HD_CHECK(order(p) > 0, runtime, "renorm: non-positive-norm not supported");
  HD_CHECK(maxnorm.re >= 0, runtime, "renorm: expected maxnorm to be >= 0 but got %g", maxnorm.re);
  HD_CHECK(x.dim() > 1, runtime, "renorm: input needs at least 2 dimensions, got %ld dimensions", long(x.dim()));
  Dims dims = dims_of(all_but(wrap_dim(dim, x.dim()), x.dim()));
  Tensor n = norm_of("LinalgVectorNormBackward0", x, order(p), dims, true, std::nullopt);
  return named(x * where(n > maxnorm.re, maxnorm.re / (n + 1e-7), Scalar(1.0)), "RenormBackward0");
}
} // namespace
} // namespace ops

const OpTable &norm_ops() {
  using namespace ops;
  static const OpTable t = {
      def<layer_norm>("layer_norm", "input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True",
                      function),
      def<native_layer_norm>("native_layer_norm", "input, normalized_shape, weight, bias, eps", function),
      def<group_norm>("group_norm", "input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True",
                      function),
      def<batch_norm>("batch_norm",
                      "input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled",
                      function),
      def<native_batch_norm>("native_batch_norm",
                             "input, weight, bias, running_mean, running_var, training, momentum, eps", function),
      def<instance_norm>(
          "instance_norm",
          "input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled", function),
      def<rms_norm>("rms_norm", "input, normalized_shape, weight=None, eps=None", function),
      def<norm_by_name>("norm", "input, p='fro', dim=None, keepdim=False, dtype=None, *, out=None"),
      def<norm>("norm", "input, p=2, dim=None, keepdim=False, dtype=None, *, out=None"),
      def<vector_norm>("linalg_vector_norm", "input, ord=2, dim=None, keepdim=False, *, dtype=None, out=None",
                       function),
      def<dist>("dist", "input, other, p=2"),
      def<cdist>("cdist", "x1, x2, p=2.0, compute_mode=None", function),
      def<cosine_similarity>("cosine_similarity", "x1, x2, dim=1, eps=1e-08", function),
      def<pairwise_distance>("pairwise_distance", "x1, x2, p=2.0, eps=1e-06, keepdim=False", function),
      def<renorm>("renorm", "input, p, dim, maxnorm, *, out=None", both | inplace),
  };
  return t;
}

} // namespace hadamard
