// Random tensors: torch's checks and overloads around the streams of random.h.
#include "random.h"

#include <cmath>
#include <limits>

#include "ops/all.h"
#include "ops/gamma.h"

namespace hadamard {
namespace ops {
namespace {

Elements elements(const Tensor &t) {
  HD_CHECK(t.dim() <= max_dims, runtime, "tensors of more than %d dimensions are not supported", max_dims);
  return {t.dtype(), t.raw(), int(t.dim()), t.shape().begin(), t.strides().begin()};
}

void expect(bool supported, const char *kernel, const Tensor &t) {
  HD_CHECK(supported, not_implemented, "\"%s\" not implemented for '%s'", kernel, info(t.dtype()).scalar);
}

// Runs draw() unless there is nothing to draw, and writes down that self was overwritten: nothing flows back.
template <class Draw> void overwrite(const Tensor &self, const char *node, const Draw &draw) {
  if (self.numel() && !self.is_meta()) {
    LongWork unlocked(self.numel());
    draw();
  }
  self.bump();
  if (!needs_grad(self)) return;
  auto *n = new FormulaNode(node, {}, [](const Backward &b) -> TensorList {
    return {zeros(b.grad().shape(), b.grad().dtype(), b.grad().device())};
  });
  Ref<Node> holder = Ref<Node>::adopt(n);
  connect(*n, &self, 1);
  rebase_history(self, holder);
}

// y was drawn with x as parameter: it counts as differentiable, with gradient zero.
Tensor constant_in(const Tensor &y, const char *node, std::initializer_list<Keep> inputs) {
  std::vector<std::pair<Dims, DType>> like;
  for (auto &in : inputs) like.emplace_back(in.t.shape(), in.t.dtype());
  return record(y, node, inputs, {}, [like](const Backward &b) -> TensorList {
    TensorList r;
    for (auto &[shape, t] : like) r.push_back(zeros(shape, t, b.grad().device()));
    return r;
  });
}

// ---------------------------------------------------------------------------------------------------- in place

// The names of C++ that torch prints.
const char *c_name(DType t) {
  static constexpr const char *names[] = {"bool",  "unsigned char", "signed char",         "short int",
                                          "int",   "long int",      "c10::Half",           "c10::BFloat16",
                                          "float", "double",        "c10::complex<float>", "c10::complex<double>"};
  return names[int(t)];
}
int digits(DType t) { return t == DType::F16 ? 11 : t == DType::BF16 ? 8 : t == DType::F32 ? 24 : 53; }
double largest(DType t) {
  return t == DType::F16    ? 65504
         : t == DType::BF16 ? 0x1.fep127
         : t == DType::F32  ? double(std::numeric_limits<float>::max())
                            : std::numeric_limits<double>::max();
}
int64_t lowest_integer(DType t) {
  return t == DType::I8    ? INT8_MIN
         : t == DType::I16 ? INT16_MIN
         : t == DType::I32 ? INT32_MIN
         : t == DType::I64 ? INT64_MIN
                           : 0;
}
int64_t largest_integer(DType t) {
  return t == DType::Bool  ? 1
         : t == DType::U8  ? UINT8_MAX
         : t == DType::I8  ? INT8_MAX
         : t == DType::I16 ? INT16_MAX
         : t == DType::I32 ? INT32_MAX
                           : INT64_MAX;
}
// An integer after a journey through a floating dtype.
int64_t rounded(int64_t x, DType t) {
  char bytes[8];
  store(bytes, t, Scalar(double(t == DType::F64 ? double(x) : double(float(x)))));
  return load(bytes, t).to_int();
}

void draw_uniform(const Tensor &self, double from, double to, Generator *g) {
  DType t = real_of(self.dtype());
  expect(dtype_in(t, floats), "check_uniform_bounds", self);
  double max = largest(t);
  HD_CHECK(from >= -max && from <= max, runtime, "from is out of bounds for %s", c_name(t));
  HD_CHECK(to >= -max && to <= max, runtime, "to is out of bounds for %s", c_name(t));
  HD_CHECK(from <= to, runtime, "uniform_ expects to return a [from, to) range, but found from=%g > to=%g", from, to);
  HD_CHECK(to - from <= max, runtime,
           "uniform_ expects to-from <= std::numeric_limits<%s>::max(), but found to=%g and from=%g which result in "
           "to-from to exceed the limit",
           info(t).scalar, to, from);
  overwrite(self, "UniformBackward0", [&] { fill_uniform(*g, elements(self), from, to); });
}

void check_std(double std) { HD_CHECK(std >= 0, runtime, "normal expects std >= 0.0, but found std %g", std); }

void draw_normal(const Tensor &self, double mean, double std, Generator *g) {
  check_std(std);
  expect(dtype_in(self.dtype(), floats | complexes) || !self.numel(), "normal_kernel_cpu", self);
  overwrite(self, "NormalBackward0", [&] { fill_normal(*g, elements(self), mean, std); });
}

// [from, to); without `to`, up to the largest the dtype holds.
void draw_integers(const Tensor &self, int64_t from, std::optional<int64_t> to, Generator *g) {
  DType t = self.dtype();
  bool real = dtype_in(t, floats);
  if (!to && from == INT64_MIN) {
    expect(!self.is_complex() && t != DType::F16 && t != DType::Bool, "random_full_64_bits_range_kernel_cpu", self);
    HD_CHECK(real || t == DType::I64, runtime,
             "random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16");
    return overwrite(self, "RandomBackward0", [&] { fill_integers_64(*g, elements(self)); });
  }
  if (to)
    HD_CHECK(from < *to, runtime, "random_ expects 'from' to be less than 'to', but got from=%ld >= to=%ld", long(from),
             long(*to));
  HD_CHECK(!self.is_complex(), runtime, "%s handles only integral, floating-point and boolean types",
           to ? "check_random_bounds" : "random_from_to_impl");
  // In a floating dtype both ends move inwards, to the nearest numbers that it holds.
  auto magnitude = [](int64_t x) { return 63 - __builtin_clzll(uint64_t(x < 0 ? -(x + 1) : x) | 1); };
  auto step = [&](int64_t x) { return int64_t(1) << std::max(0, magnitude(x) - digits(t) + 1); };
  if (real && from < INT64_MAX && rounded(from + 1, t) < from) from = rounded(from + 1, t) + step(from + 1);
  int64_t last; // the largest number to be drawn
  if (!to) {
    last = real ? int64_t(1) << digits(t) : largest_integer(t);
    if (real)
      HD_CHECK(from < last, runtime,
               "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got "
               "from=%ld > to_inc=%ld",
               long(from), long(last));
  } else {
    if (real && rounded(*to - 1, t) >= *to) *to = rounded(*to - 1, t) - step(*to - 1);
    if (real)
      HD_CHECK(
          from < *to, runtime,
          "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from=%ld >= to=%ld",
          long(from), long(*to));
    last = *to - 1;
  }
  auto check = [&](const char *name, int64_t x) {
    bool fits = real ? std::fabs(double(x)) <= largest(t) : x >= lowest_integer(t) && x <= largest_integer(t);
    HD_CHECK(fits, runtime, "%s is out of bounds for %s", name, c_name(t));
    if (real && (x < -(int64_t(1) << digits(t)) || x > int64_t(1) << digits(t)))
      warn(text("%s is out of bounds [-(2^%d), 2^%d]. Due to precision limitations %s can support discrete uniform "
                "distribution only within this range. This warning will become an error in version 1.7 release, please "
                "fix the code in advance",
                name, digits(t), digits(t), c_name(t)));
  };
  check("from", from);
  check("to - 1", last);
  uint64_t range = uint64_t(last) - uint64_t(from) + 1;
  overwrite(self, "RandomBackward0", [&] { fill_integers(*g, elements(self), from, range); });
}

Tensor uniform_(const Tensor &self, double from, double to, Generator *g) {
  check_inplace(self);
  draw_uniform(self, from, to, g);
  return self;
}
Tensor normal_(const Tensor &self, double mean, double std, Generator *g) {
  check_inplace(self);
  draw_normal(self, mean, std, g);
  return self;
}
Tensor random_(const Tensor &self, Generator *g) {
  check_inplace(self);
  expect(!self.is_complex(), "random_kernel_cpu", self);
  overwrite(self, "RandomBackward2", [&] { fill_integers(*g, elements(self)); });
  return self;
}
Tensor random_to_(const Tensor &self, int64_t to, Generator *g) {
  check_inplace(self);
  draw_integers(self, 0, to, g);
  return self;
}
Tensor random_from_to_(const Tensor &self, int64_t from, std::optional<int64_t> to, Generator *g) {
  check_inplace(self);
  draw_integers(self, from, to, g);
  return self;
}
Tensor exponential_(const Tensor &self, double lambda, Generator *g) {
  check_inplace(self);
  HD_CHECK(lambda > 0, runtime, "exponential_ expects lambda > 0.0, but found lambda=%g", lambda);
  HD_CHECK(self.is_float(), runtime,
           "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
           "specified %s",
           info(self.dtype()).scalar);
  overwrite(self, "ExponentialBackward0", [&] { fill_exponential(*g, elements(self), lambda); });
  return self;
}
Tensor log_normal_(const Tensor &self, double mean, double std, Generator *g) {
  check_inplace(self);
  HD_CHECK(std > 0, runtime, "log_normal_ expects std > 0.0, but found std=%g", std);
  expect(self.is_float(), "log_normal_cpu", self);
  overwrite(self, "LogNormalBackward0", [&] { fill_log_normal(*g, elements(self), mean, std); });
  return self;
}
Tensor cauchy_(const Tensor &self, double median, double sigma, Generator *g) {
  check_inplace(self);
  HD_CHECK(sigma > 0, runtime, "cauchy_ expects sigma > 0.0, but found sigma=%g", sigma);
  HD_CHECK(self.is_float(), runtime,
           "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
           "specified %s",
           c_name(self.dtype()));
  overwrite(self, "CauchyBackward0", [&] { fill_cauchy(*g, elements(self), median, sigma); });
  return self;
}
Tensor geometric_(const Tensor &self, double p, Generator *g) {
  check_inplace(self);
  HD_CHECK(p > 0 && p < 1, runtime, "geometric_ expects p to be in (0, 1), but got p=%g", p);
  expect(dtype_in(self.dtype(), reals), "geometric_cpu", self);
  overwrite(self, "GeometricBackward0", [&] { fill_geometric(*g, elements(self), p); });
  return self;
}

void draw_bernoulli(const Tensor &self, double p, Generator *g) {
  HD_CHECK(p >= 0 && p <= 1, runtime, "bernoulli_ expects p to be in [0, 1], but got p=%g", p);
  expect(!self.is_complex(), "bernoulli_scalar_cpu_", self);
  overwrite(self, "BernoulliBackward2", [&] { fill_bernoulli(*g, elements(self), p); });
}
void draw_bernoulli(const Tensor &self, const Tensor &p, Generator *g) {
  expect(!self.is_complex(), "bernoulli_tensor_cpu_self_", self);
  expect(p.is_float(), "bernoulli_tensor_cpu_p_", p);
  Tensor probability = expand(detach(p), self.shape());
  overwrite(self, "BernoulliBackward1", [&] {
    HD_CHECK(
        fill_bernoulli(*g, elements(self), elements(probability)), runtime,
        "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be improved?  If so, "
        "please report an enhancement request to PyTorch.)");
  });
}
Tensor bernoulli_(const Tensor &self, double p, Generator *g) {
  check_inplace(self);
  draw_bernoulli(self, p, g);
  return self;
}
Tensor bernoulli_tensor_(const Tensor &self, const Tensor &p, Generator *g) {
  check_inplace(self);
  draw_bernoulli(self, p, g);
  return self;
}

// ---------------------------------------------------------------------------------------------------- new tensors

// Where a result goes: into out=, resized without a warning, or into new memory.
Tensor place(const std::optional<Tensor> &out, const Dims &size, std::optional<DType> dtype, DType usual,
             std::optional<Device> device) {
  if (!out || !*out) return empty(size, dtype.value_or(usual), device.value_or(Device{}));
  HD_CHECK(!dtype || *dtype == out->dtype(), runtime, "dtype %s does not match dtype of out parameter (%s)",
           info(*dtype).scalar, info(out->dtype()).scalar);
  check_inplace(*out);
  resize(*out, size);
  return *out;
}
Tensor finish(const Tensor &y, bool requires_grad) {
  HD_CHECK(!requires_grad || differentiable(y), runtime,
           "Only Tensors of floating point and complex dtype can require gradients");
  if (requires_grad) set_requires_grad(y, true);
  return y;
}

Tensor rand(const Dims &size, Generator *g, const std::optional<Tensor> &out, std::optional<DType> dtype, Ignored,
            std::optional<Device> device, Ignored, bool requires_grad) {
  Tensor y = place(out, size, dtype, default_dtype(), device);
  draw_uniform(y, 0, 1, g);
  return finish(y, requires_grad);
}
Tensor randn(const Dims &size, Generator *g, const std::optional<Tensor> &out, std::optional<DType> dtype, Ignored,
             std::optional<Device> device, Ignored, bool requires_grad) {
  Tensor y = place(out, size, dtype, default_dtype(), device);
  draw_normal(y, 0, 1, g);
  return finish(y, requires_grad);
}
Tensor randint(int64_t low, int64_t high, const Dims &size, Generator *g, const std::optional<Tensor> &out,
               std::optional<DType> dtype, Ignored, std::optional<Device> device, Ignored, bool requires_grad) {
  Tensor y = place(out, size, dtype, DType::I64, device);
  draw_integers(y, low, high, g);
  return finish(y, requires_grad);
}
Tensor randint_below(int64_t high, const Dims &size, Generator *g, const std::optional<Tensor> &out,
                     std::optional<DType> dtype, Ignored layout, std::optional<Device> device, Ignored pinned,
                     bool requires_grad) {
  return randint(0, high, size, g, out, dtype, layout, device, pinned, requires_grad);
}
Tensor randperm(int64_t n, Generator *g, const std::optional<Tensor> &out, std::optional<DType> dtype, Ignored,
                std::optional<Device> device, Ignored, bool requires_grad) {
  HD_CHECK(n >= 0, runtime, "Trying to create tensor with negative dimension %ld: [%ld]", long(n), long(n));
  DType t = out && *out ? out->dtype() : dtype.value_or(DType::I64);
  HD_CHECK(dtype_in(t, reals), not_implemented, "\"randperm\" not implemented for '%s'", info(t).scalar);
  if (dtype_in(t, floats))
    HD_CHECK(n <= (int64_t(1) << digits(t)) + 1, runtime, "n cannot be greater than %ld for %s type.",
             (1L << digits(t)) + 1, info(t).scalar);
  else
    HD_CHECK(n <= largest_integer(t), runtime, "value cannot be converted to type %s_t without overflow", info(t).name);
  Tensor y = place(out, {n}, dtype, DType::I64, device);
  overwrite(y, "RandpermBackward0", [&] { fill_permutation(*g, elements(y)); });
  return finish(y, requires_grad);
}

Tensor rand_like(const Tensor &x, Generator *g, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                 Ignored, bool requires_grad, std::optional<Format> format) {
  Tensor y = like(x, dtype, device, format);
  draw_uniform(y, 0, 1, g);
  return finish(y, requires_grad);
}
Tensor randn_like(const Tensor &x, Generator *g, std::optional<DType> dtype, Ignored, std::optional<Device> device,
                  Ignored, bool requires_grad, std::optional<Format> format) {
  Tensor y = like(x, dtype, device, format);
  draw_normal(y, 0, 1, g);
  return finish(y, requires_grad);
}
Tensor randint_like(const Tensor &x, int64_t low, int64_t high, Generator *g, std::optional<DType> dtype, Ignored,
                    std::optional<Device> device, Ignored, bool requires_grad, std::optional<Format> format) {
  Tensor y = like(x, dtype, device, format);
  draw_integers(y, low, high, g);
  return finish(y, requires_grad);
}
Tensor randint_like_below(const Tensor &x, int64_t high, Generator *g, std::optional<DType> dtype, Ignored layout,
                          std::optional<Device> device, Ignored pinned, bool requires_grad,
                          std::optional<Format> format) {
  return randint_like(x, 0, high, g, dtype, layout, device, pinned, requires_grad, format);
}

void check_std(const Tensor &std) {
  HD_CHECK(!std.is_complex(), runtime, "normal expects standard deviation to be non-complex");
  HD_CHECK(!std.numel() || std.is_meta() || item(amin(detach(std), {}, false)).re >= 0, runtime,
           "normal expects all elements of std >= 0.0");
}
Tensor normal_tensors(const Tensor &mean, const Tensor &std, Generator *g, const std::optional<Tensor> &out) {
  check_std(std);
  Broadcast b = broadcast(mean.shape(), std.shape());
  if (b.clash >= 0) add(detach(mean), detach(std)); // throws in torch's words
  Tensor y = place(out, b.shape, {}, mean.dtype(), mean.device());
  {
    NoGrad no;
    draw_normal(y, 0, 1, g);
    apply_inplace(mul, y, std);
    apply_inplace(add, y, mean);
  }
  return constant_in(y, "NormalBackward3", {mean, std});
}
Tensor normal_mean(const Tensor &mean, double std, Generator *g, const std::optional<Tensor> &out) {
  check_std(std);
  Tensor y = place(out, mean.shape(), {}, mean.dtype(), mean.device());
  {
    NoGrad no;
    draw_normal(y, 0, std, g);
    apply_inplace(add, y, mean);
  }
  return constant_in(y, "NormalBackward1", {mean});
}
Tensor normal_std(double mean, const Tensor &std, Generator *g, const std::optional<Tensor> &out) {
  check_std(std);
  Tensor y = place(out, std.shape(), {}, std.dtype(), std.device());
  {
    NoGrad no;
    draw_normal(y, 0, 1, g);
    apply_inplace(mul, y, std);
    apply_inplace(add, y, Scalar(mean));
  }
  return constant_in(y, "NormalBackward2", {std});
}
Tensor normal(double mean, double std, const Dims &size, Generator *g, const std::optional<Tensor> &out,
              std::optional<DType> dtype, Ignored, std::optional<Device> device, Ignored, bool requires_grad) {
  Tensor y = place(out, size, dtype, default_dtype(), device);
  draw_normal(y, mean, std, g);
  return finish(y, requires_grad);
}

Tensor bernoulli(const Tensor &p, Generator *g, const std::optional<Tensor> &out) {
  Tensor y = place(out, p.shape(), {}, p.dtype(), p.device());
  {
    NoGrad no;
    draw_bernoulli(y, p, g);
  }
  return constant_in(y, "BernoulliBackward0", {p});
}
Tensor bernoulli_number(const Tensor &x, double p, Generator *g) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  draw_bernoulli(y, p, g);
  return constant_in(y, "BernoulliBackward2", {x});
}
Tensor poisson(const Tensor &rate, Generator *g) {
  expect(rate.is_float(), "poisson_cpu", rate);
  Tensor y = empty(rate.shape(), rate.dtype(), rate.device());
  overwrite(y, "PoissonBackward0", [&] {
    HD_CHECK(fill_poisson(*g, elements(y), elements(rate)), runtime,
             "invalid Poisson rate, expected rate to be non-negative");
  });
  return constant_in(y, "PoissonBackward0", {rate});
}
Tensor standard_gamma(const Tensor &alpha, Generator *g) {
  expect(alpha.is_float(), "gamma_cpu", alpha);
  Tensor y = empty(alpha.shape(), alpha.dtype(), alpha.device());
  overwrite(y, "GammaBackward0", [&] { fill_gamma(*g, elements(y), elements(alpha)); });
  return y;
}

Tensor multinomial(const Tensor &p, int64_t n, bool replacement, Generator *g, const std::optional<Tensor> &out) {
  HD_CHECK(p.dim() == 1 || p.dim() == 2, runtime, "prob_dist must be 1 or 2 dim");
  HD_CHECK(p.is_float(), runtime, "multinomial only supports floating-point dtypes for input, got: %s",
           info(p.dtype()).scalar);
  if (out && *out)
    HD_CHECK(out->dtype() == DType::I64, runtime, "multinomial expects Long tensor out, got: %s",
             info(out->dtype()).scalar);
  HD_CHECK(n > 0, runtime, "cannot sample n_sample <= 0 samples");
  HD_CHECK(replacement || n <= p.size(-1), runtime,
           "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
  HD_CHECK(p.size(-1) <= 1 << 24, runtime, "number of categories cannot exceed 2^24");
  Tensor y = place(out, p.dim() == 1 ? Dims{n} : Dims{p.size(0), n}, {}, DType::I64, p.device());
  if (!y.numel() || y.is_meta()) return y;
  LongWork unlocked(p.numel());
  bool one_draw = replacement && n > 1;
  Categories state;
  if (one_draw) {
    state = fill_multinomial(*g, elements(y), elements(p));
  } else if ((state = check_categories(elements(p))) == Categories::fine) {
    Tensor q = empty_like(p);
    fill_exponential(*g, elements(q), 1);
    fill_largest(elements(y), elements(p), elements(q));
  }
  y.bump();
  HD_CHECK(state != Categories::no_sum, runtime, "invalid multinomial distribution (sum of probabilities <= 0)");
  HD_CHECK(state == Categories::fine || one_draw, runtime,
           "probability tensor contains either `inf`, `nan` or element < 0");
  HD_CHECK(state == Categories::fine, runtime, "invalid multinomial distribution (encountering probability entry %s)",
           state == Categories::negative ? "< 0" : "= infinity or NaN");
  return y;
}

// ---------------------------------------------------------------------------------------------------- dropout

enum class Noise : uint8_t { plain, feature, alpha, feature_alpha };

template <Noise kind> Tensor drop(const Tensor &x, double p, bool train, bool inplace) {
  constexpr bool alpha = kind == Noise::alpha || kind == Noise::feature_alpha;
  constexpr bool feature = kind == Noise::feature || kind == Noise::feature_alpha;
  HD_CHECK(p >= 0 && p <= 1, runtime, "dropout probability has to be between 0 and 1, but got %g", p);
  if (p == 0 || !train || !x.numel()) return x;
  if (inplace) check_inplace(x);
  auto times = [&](const Tensor &by) {
    if (!inplace) return mul(x, by);
    apply_inplace(mul, x, by);
    return x;
  };
  if (p == 1) return times(zeros({}, x.dtype(), x.device()));
  expect(!x.is_complex(), "bernoulli_scalar_cpu_", x);
  HD_CHECK(x.is_float(), runtime, "result type Float can't be cast to the desired output type %s",
           alpha && x.dtype() == DType::Bool ? "Long" : info(x.dtype()).scalar);
  HD_CHECK(!feature || x.dim() >= 2, runtime, "Feature dropout requires at least 2 dimensions in the input");
  Tensor noise, shift;
  if (feature) {
    Dims shape(x.shape().size(), 1);
    shape[0] = x.size(0);
    shape[1] = x.size(1);
    noise = empty(shape, x.dtype(), x.device());
  } else {
    noise = empty_like(x);
  }
  // What is kept is scaled in the dtype's arithmetic, as if the noise were divided by 1 - p.
  double keep = 1 - p, yes = alpha ? 1 : x.dtype() == DType::F64 ? 1 / keep : double(1 / float(keep));
  if (!x.is_meta()) {
    LongWork unlocked(noise.numel());
    fill_bernoulli(default_generator(), elements(noise), keep, yes);
  }
  if constexpr (alpha) {
    NoGrad no;
    constexpr double saturated = 1.7580993408473766; // minus the limit of selu
    double a = 1 / std::sqrt((saturated * saturated * p + 1) * keep);
    shift = noise + -1.0;
    apply_inplace(mul, shift, Scalar(saturated * a));
    apply_inplace(add, shift, Scalar(saturated * a * p));
    apply_inplace(mul, noise, Scalar(a));
  }
  Tensor y = times(noise);
  if constexpr (alpha) apply_inplace(add, y, shift);
  return y;
}
template <Noise kind> Tensor dropout(const Tensor &x, double p, bool train) { return drop<kind>(x, p, train, false); }
template <Noise kind> Tensor dropout_(const Tensor &x, double p, bool train) { return drop<kind>(x, p, train, true); }

} // namespace
} // namespace ops

const OpTable &random_ops() {
  using namespace ops;
#define MADE "generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False"
#define LIKE                                                                                                           \
  "generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None"
  static const OpTable t = {
      def<rand>("rand", "size, *, " MADE, function),
      def<randn>("randn", "size, *, " MADE, function),
      def<randint>("randint", "low, high, size, *, " MADE, function),
      def<randint_below>("randint", "high, size, *, " MADE, function),
      def<randperm>("randperm", "n, *, " MADE, function),
      def<rand_like>("rand_like", "input, *, " LIKE, function),
      def<randn_like>("randn_like", "input, *, " LIKE, function),
      def<randint_like>("randint_like", "input, low, high, *, " LIKE, function),
      def<randint_like_below>("randint_like", "input, high, *, " LIKE, function),
      def<normal_tensors>("normal", "mean, std, *, generator=None, out=None", function),
      def<normal_mean>("normal", "mean, std=1.0, *, generator=None, out=None", function),
      def<normal_std>("normal", "mean, std, *, generator=None, out=None", function),
      def<normal>("normal", "mean, std, size, *, " MADE, function),
      def<bernoulli>("bernoulli", "input, *, generator=None, out=None"),
      def<bernoulli_number>("bernoulli", "input, p, *, generator=None"),
      def<poisson>("poisson", "input, generator=None", function),
      def<standard_gamma>("_draw_gamma", "input, generator=None", function),
      def<standard_gamma_slope>("_gamma_slope", "alpha, x", function),
      def<dirichlet_slope>("_dirichlet_slope", "x, alpha, total", function),
      def<binomial>("_draw_binomial", "count, prob, generator=None", function),
      def<multinomial>("multinomial", "input, num_samples, replacement=False, *, generator=None, out=None"),
      def<uniform_>("uniform_", "input, from=0.0, to=1.0, *, generator=None", method),
      def<normal_>("normal_", "input, mean=0.0, std=1.0, *, generator=None", method),
      def<random_>("random_", "input, *, generator=None", method),
      def<random_to_>("random_", "input, to, *, generator=None", method),
      def<random_from_to_>("random_", "input, from, to, *, generator=None", method),
      def<exponential_>("exponential_", "input, lambd=1.0, *, generator=None", method),
      def<log_normal_>("log_normal_", "input, mean=1.0, std=2.0, *, generator=None", method),
      def<cauchy_>("cauchy_", "input, median=0.0, sigma=1.0, *, generator=None", method),
      def<geometric_>("geometric_", "input, p, *, generator=None", method),
      def<bernoulli_tensor_>("bernoulli_", "input, p, *, generator=None", method),
      def<bernoulli_>("bernoulli_", "input, p=0.5, *, generator=None", method),
      def<dropout<Noise::plain>>("dropout", "input, p, train", function),
      def<dropout_<Noise::plain>>("dropout_", "input, p, train", function),
      def<dropout<Noise::feature>>("feature_dropout", "input, p, train", function),
      def<dropout_<Noise::feature>>("feature_dropout_", "input, p, train", function),
      def<dropout<Noise::alpha>>("alpha_dropout", "input, p, train", function),
      def<dropout_<Noise::alpha>>("alpha_dropout_", "input, p, train", function),
      def<dropout<Noise::feature_alpha>>("feature_alpha_dropout", "input, p, train", function),
      def<dropout_<Noise::feature_alpha>>("feature_alpha_dropout_", "input, p, train", function),
  };
#undef MADE
#undef LIKE
  return t;
}

} // namespace hadamard
