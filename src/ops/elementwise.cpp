// The element-wise ops as Python sees them: signatures, in-place forms, aliases. The formulas are in elementwise.h.
#include <cmath>

#include "ops/all.h"
#include "ops/product.h"

namespace hadamard {

int op_index(const char *name) {
  static constexpr const char *names[] = {
#define X(op) ops::op.name,
      ELEMENTWISE(X)
#undef X
  };
  for (int i = 0; i < int(sizeof names / sizeof *names); ++i)
    if (std::strcmp(names[i], name) == 0) return i;
  return -1;
}

namespace ops {
namespace {

// `a` itself, where torch's kernel of this name takes its dtype.
const Tensor &taken(const Tensor &a, Set dtypes, const char *kernel) {
  if (!dtype_in(a.dtype(), dtypes))
    throw Error(Raises::not_implemented, text("\"%s\" not implemented for '%s'", kernel, info(a.dtype()).scalar),
                "dtype")
        .arg("input", a);
  return a;
}

// ---- the three forms of an op: new result, out=, in place
template <const auto &op, class... T> Tensor call(const Tensor &out, const Tensor &a, const T &...b) {
  if (!out) return op(a, b...);
  apply_out(op, out, a, b...);
  return out;
}
template <const auto &op> Tensor unary_op(const Tensor &a, const Tensor &out) { return call<op>(out, a); }
template <const auto &op> Tensor unary_in(const Tensor &a) {
  apply_inplace(op, a);
  return a;
}
constexpr char elu_kernel[] = "elu_cpu", log_sigmoid_kernel[] = "log_sigmoid_cpu";
template <const auto &op, const char *kernel> Tensor unary_of(const Tensor &a, const Tensor &out) {
  return call<op>(out, taken(a, op.dtypes, kernel));
}
template <const auto &op, const char *kernel> Tensor unary_of_in(const Tensor &a) {
  return unary_in<op>(taken(a, op.dtypes, kernel));
}
template <const auto &op> Tensor binary_op(const Tensor &a, const Operand &b, const Tensor &out) {
  return call<op>(out, a, b.t);
}
// For ops whose second operand torch takes as a tensor only.
template <const auto &op> Tensor tensors_op(const Tensor &a, const Tensor &b, const Tensor &out) {
  return call<op>(out, a, b);
}
template <const auto &op> Tensor tensors_in(const Tensor &a, const Tensor &b) {
  apply_inplace(op, a, b);
  return a;
}
template <const auto &op> Tensor binary_in(const Tensor &a, const Operand &b) {
  apply_inplace(op, a, b.t);
  return a;
}
template <const auto &op> Tensor ternary_op(const Tensor &a, const Operand &b, const Operand &c, const Tensor &out) {
  return call<op>(out, a, b.t, c.t);
}
template <const auto &op> Tensor ternary_in(const Tensor &a, const Operand &b, const Operand &c) {
  apply_inplace(op, a, b.t, c.t);
  return a;
}

// Of two operands one has to be a tensor.
void refuse_numbers(const char *op, const Tensor &a, const Tensor &b) {
  if (!a->wrapped || !b->wrapped) return;
  auto kind = [](const Tensor &t) {
    return dtype_in(t.dtype(), complexes) ? "complex"
           : dtype_in(t.dtype(), floats)  ? "float"
           : t.dtype() == DType::Bool     ? "bool"
                                          : "int";
  };
  throw Error(Raises::type,
              text("%s() received an invalid combination of arguments - got (%s, %s), but expected one of:\n"
                   " * (Tensor input, Tensor other)\n * (Tensor input, Number other)\n",
                   op, kind(a), kind(b)),
              "arguments")
      .in(op);
}
Tensor square_op(const Tensor &a, const Tensor &out) {
  return a.dtype() == DType::Bool ? call<pow>(out, a, number(Scalar(2))) : call<square>(out, a);
}
Tensor abs_in(const Tensor &a) {
  HD_CHECK(!a.is_complex(), runtime, "In-place abs is not supported for complex tensors.");
  return unary_in<abs>(a);
}

// Integers have no infinity to answer x / 0 with.
void check_divisor(const Tensor &a, const Tensor &b) {
  const Tensor pair[] = {a, b};
  if (!dtype_in(result_type(pair, 2), integers | boolean) || b.is_meta()) return;
  NoGrad no;
  bool zero = b.numel() == 1 ? item(b).is_zero() : b.numel() && item(all(b, std::nullopt, false)).is_zero();
  if (zero && a.numel()) throw Error(Raises::runtime, "ZeroDivisionError", "zero_division").arg("other", b);
}
template <const auto &op> Tensor divide_op(const Operand &a, const Operand &b, const Tensor &out) {
  refuse_numbers(op.name, a.t, b.t);
  check_divisor(a.t, b.t);
  return call<op>(out, a.t, b.t);
}
template <const auto &op> Tensor divide_first(const Tensor &a, const Operand &b, const Tensor &out) {
  return divide_op<op>({a}, b, out);
}
template <const auto &op> Tensor divide_in(const Tensor &a, const Operand &b) {
  check_divisor(a, b.t);
  apply_inplace(op, a, b.t);
  return a;
}
// Division by the mode's name; its node has a name of its own.
template <class F, class Floor, class Trunc>
Tensor divided(const std::optional<std::string> &mode, F plain, Floor floor_, Trunc trunc_) {
  if (!mode) return plain();
  HD_CHECK(*mode == "floor" || *mode == "trunc", runtime,
           "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '%s'", mode->c_str());
  Tensor y = *mode == "floor" ? floor_() : trunc_();
  return named(y, "DivBackward2");
}
Tensor div_mode(const Tensor &a, const Operand &b, const std::optional<std::string> &rounding_mode, const Tensor &out) {
  return divided(
      rounding_mode, [&] { return call<div>(out, a, b.t); }, [&] { return divide_op<floor_divide>({a}, b, out); },
      [&] { return divide_op<trunc_divide>({a}, b, out); });
}
Tensor div_mode_in(const Tensor &a, const Operand &b, const std::optional<std::string> &rounding_mode) {
  return divided(
      rounding_mode, [&] { return binary_in<div>(a, b); }, [&] { return divide_in<floor_divide>(a, b); },
      [&] { return divide_in<trunc_divide>(a, b); });
}

// ---- add and sub with alpha
void check_alpha(const Tensor &a, const Tensor &b, const Scalar &alpha) {
  if (alpha.kind == Scalar::integer && alpha.i == 1) return;
  const Tensor pair[] = {a, b};
  DType t = result_type(pair, 2);
  HD_CHECK(alpha.kind != Scalar::boolean || t == DType::Bool, runtime,
           "Boolean alpha only supported for Boolean results.");
  HD_CHECK(alpha.kind <= Scalar::integer || dtype_in(t, floats | complexes), runtime,
           "For integral input tensors, argument alpha must not be a floating point number.");
}
bool is_one(const Scalar &s) { return s.im == 0 && (s.kind <= Scalar::integer ? s.i == 1 : s.re == 1); }
Scalar negated(const Scalar &s) {
  return s.kind == Scalar::complex_   ? Scalar(-std::complex<double>(s.re, s.im))
         : s.kind == Scalar::floating ? Scalar(-s.re)
                                      : Scalar(-s.i);
}
bool are_bool(const Tensor &a, const Tensor &b) { return a.dtype() == DType::Bool && b.dtype() == DType::Bool; }
Tensor add_op(const Operand &a, const Operand &b, const Scalar &alpha, const Tensor &out) {
  check_alpha(a.t, b.t, alpha);
  if (is_one(alpha)) return call<add>(out, a.t, b.t);
  if (are_bool(a.t, b.t)) return call<add>(out, a.t, b.t & number(Scalar(!alpha.is_zero())));
  return call<add_scaled>(out, a.t, b.t, alpha);
}
Tensor add_in(const Tensor &a, const Operand &b, const Scalar &alpha) {
  check_alpha(a, b.t, alpha);
  if (is_one(alpha)) return binary_in<add>(a, b);
  if (are_bool(a, b.t)) return binary_in<add>(a, {b.t & number(Scalar(!alpha.is_zero()))});
  apply_inplace(add_scaled, a, b.t, alpha);
  return a;
}
Tensor sub_op(const Operand &a, const Operand &b, const Scalar &alpha, const Tensor &out) {
  const Tensor pair[] = {a.t, b.t};
  check_minus(pair);
  check_alpha(a.t, b.t, alpha);
  if (is_one(alpha)) return call<sub>(out, a.t, b.t);
  return named(call<add_scaled>(out, a.t, b.t, negated(alpha)), "SubBackward0");
}
Tensor sub_in(const Tensor &a, const Operand &b, const Scalar &alpha) {
  const Tensor pair[] = {a, b.t};
  check_minus(pair);
  check_alpha(a, b.t, alpha);
  if (is_one(alpha)) return binary_in<sub>(a, b);
  apply_inplace(add_scaled, a, b.t, negated(alpha));
  return named(a, "SubBackward0");
}
Tensor rsub_op(const Tensor &a, const Operand &b, const Scalar &alpha) {
  return named(sub_op({b.t}, {a}, alpha, {}), "RsubBackward1");
}

Tensor addcmul_op(const Tensor &a, const Tensor &b, const Tensor &c, const Scalar &value) {
  return is_one(value) || (are_bool(a, b) && c.dtype() == DType::Bool) ? addcmul(a, b, c)
                                                                       : addcmul(a, mul(b, number(value)), c);
}
Tensor addcdiv_op(const Tensor &a, const Tensor &b, const Tensor &c, const Scalar &value) {
  bool whole = dtype_in(b.dtype(), integers | boolean) && dtype_in(c.dtype(), integers | boolean);
  return is_one(value) || whole ? addcdiv(a, b, c) : addcdiv(a, mul(b, number(value)), c);
}

// ---- powers
void check_power(const Tensor &a, const Tensor &b) {
  if (b->wrapped && dtype_in(a.dtype(), integers) && dtype_in(b.dtype(), integers) && item(b).i < 0)
    throw Error(Raises::runtime, "Integers to negative integer powers are not allowed.", "pow");
}
// A number as exponent: no logarithm, no question whether it is 0, and some are products and roots, as in torch.
Tensor power_of(const Tensor &a, const Scalar &e) {
  if (e.kind == Scalar::complex_ || (e.kind != Scalar::integer && dtype_in(a.dtype(), integers)))
    return pow(a, number(e));
  if (e.re == 2) return a * a;
  if (e.re == 1) return clone(a);
  if (dtype_in(a.dtype(), set_of(DType::F32) | set_of(DType::F64))) {
    if (e.re == 0.5) return sqrt(a);
    if (e.re == -0.5) return rsqrt(a);
    if (e.re == -1) return reciprocal(a);
    if (e.re == 3 || e.re == -2) {
      Tensor y = a * a;
      if (e.re == 3) apply_inplace(mul, y, a);
      else apply_inplace(reciprocal, y);
      return y;
    }
  }
  return pow(a, number(e));
}
Tensor pow_number(const Tensor &a, const Scalar &e) {
  Tensor y;
  {
    NoGrad no;
    y = power_of(a, e);
  }
  return record(y, "PowBackward0", {a}, {Keep{a}}, [e](const Backward &b) -> TensorList {
    if (e.is_zero()) return {zeros(b.grad().shape(), b.grad().dtype(), b.grad().device())};
    Tensor a = b.saved(0);
    Scalar less = e.kind == Scalar::complex_ ? Scalar(std::complex<double>(e.re - 1, e.im)) : Scalar(e.re - 1);
    Tensor slope = pow_number(a, less) * number(e);
    return {reduce_grad(b.grad() * (slope.is_complex() ? Tensor(conj(slope)) : slope), a.shape(), a.dtype())};
  });
}
Tensor pow_op(const Operand &a, const Operand &b, const Tensor &out) {
  refuse_numbers("pow", a.t, b.t);
  check_power(a.t, b.t);
  if (!out && b.t->wrapped && !a.t->wrapped && a.t.dtype() != DType::Bool && !a.t.is_meta())
    return pow_number(a.t, item(b.t));
  Tensor y = call<pow>(out, a.t, b.t);
  return a.t->wrapped && !out ? named(y, "PowBackward2") : y;
}
Tensor pow_in(const Tensor &a, const Operand &b) {
  check_power(a, b.t);
  return binary_in<pow>(a, b);
}
// log(exp(a) + exp(b)) from the one with the larger real part; equal infinities have no difference.
Tensor logaddexp_op(const Tensor &a, const Tensor &b, const Tensor &out) {
  if (!a.is_complex() && !b.is_complex()) return call<logaddexp>(out, a, b);
  Tensor less = lt(real(a), real(b)), high = where(less, b, a), low = where(less, a, b);
  Tensor level = logical_and(isinf(real(high)), real(high) == real(low));
  Tensor y = log1p(exp(where(level, number(Scalar(0)), low - high))) + high;
  y = where(level, where(real(high) < 0.0, low, log(exp(low) + exp(high))), y);
  return out ? write_out("logaddexp", out, y) : y;
}
DType power_type(const Tensor &a, const Tensor &b) {
  return a.is_complex() || b.is_complex() ? DType::C128 : DType::F64;
}
Tensor float_power_in(const Tensor &a, const Operand &b) {
  DType t = power_type(a, b.t);
  HD_CHECK(a.dtype() == t, runtime,
           "the base given to float_power_ has dtype %s but the operation's result requires dtype %s",
           info(a.dtype()).scalar, info(t).scalar);
  return binary_in<pow>(a, b);
}
Tensor float_power(const Operand &a, const Operand &b) {
  refuse_numbers("float_power", a.t, b.t);
  DType t = power_type(a.t, b.t);
  return pow(to(a.t, t), b.t->wrapped ? b.t : to(b.t, t));
}

// ---- choice and bounds
Tensor where_op(const Tensor &condition, const Operand &input, const Operand &other, const Tensor &out) {
  return call<where>(out, condition, input.t, other.t);
}
template <class F>
Tensor bounded(const Tensor &a, const std::optional<Operand> &min, const std::optional<Operand> &max, F f) {
  HD_CHECK(!a.is_complex(), not_implemented, "clamp is not supported for complex types");
  HD_CHECK(min || max, runtime, "torch.clamp: At least one of 'min' or 'max' must not be None");
  return f(min ? min->t : Tensor(), max ? max->t : Tensor());
}
Tensor clamp_op(const Tensor &a, const std::optional<Operand> &min, const std::optional<Operand> &max,
                const Tensor &out) {
  return bounded(a, min, max, [&](const Tensor &lo, const Tensor &hi) {
    Tensor y = lo && hi ? call<clamp>(out, a, lo, hi) : lo ? call<clamp_min>(out, a, lo) : call<clamp_max>(out, a, hi);
    if (out) return y;
    return named(y,
                 (lo ? lo : hi)->wrapped ? "ClampBackward1" : "ClampBackward0"); // torch's numbering of its overloads
  });
}
Tensor clamp_in(const Tensor &a, const std::optional<Operand> &min, const std::optional<Operand> &max) {
  return bounded(a, min, max, [&](const Tensor &lo, const Tensor &hi) {
    for (const Tensor &bound : {lo, hi}) {
      if (!bound || !bound->wrapped || a.is_float()) continue;
      const Tensor both[] = {a, bound};
      HD_CHECK(result_type(both, 2) == a.dtype(), runtime, "result type %s can't be cast to the desired output type %s",
               info(result_type(both, 2)).scalar, cpp_name(a.dtype()));
    }
    if (lo && hi) apply_inplace(clamp, a, lo, hi);
    else if (lo) apply_inplace(clamp_min, a, lo);
    else apply_inplace(clamp_max, a, hi);
    return a;
  });
}
template <const auto &op> Tensor bound_op(const Tensor &a, const Operand &b, const Tensor &out) {
  HD_CHECK(!a.is_complex() || !b.t->wrapped, not_implemented, "clamp is not supported for complex types");
  return call<op>(out, a, b.t);
}
double largest(DType t) {
  return t == DType::F64    ? 1.7976931348623157e308
         : t == DType::F16  ? 65504
         : t == DType::BF16 ? 3.3895313892515355e38
                            : 3.4028234663852886e38;
}
Tensor nan_to_num_op(const Tensor &a, std::optional<double> nan, std::optional<double> posinf,
                     std::optional<double> neginf) {
  if (!a.is_float()) return clone(a);
  double top = largest(a.dtype());
  Tensor y = nan_to_num(a, number(Scalar(posinf.value_or(top))), number(Scalar(neginf.value_or(-top))));
  return nan ? where(isnan(a), number(Scalar(*nan)), y) : y;
}

// ---- parts of complex numbers: on reals, the tensor itself
Tensor itself(const Tensor &a) { return a; } // conj() has done its work when it returns
Tensor conj_op(const Tensor &a) { return a.is_complex() ? conj(a) : a; }
Tensor isreal(const Tensor &a) {
  return a.is_complex() ? imag(a) == 0.0 : full(a.shape(), Scalar(true), DType::Bool, a.device());
}
Tensor isneginf(const Tensor &a) {
  HD_CHECK(!a.is_complex(), runtime, "isneginf does not support complex inputs.");
  return a.is_float() ? a == -HUGE_VAL : zeros(a.shape(), DType::Bool, a.device());
}
Tensor isposinf(const Tensor &a) {
  HD_CHECK(!a.is_complex(), runtime, "isposinf does not support complex inputs.");
  return a.is_float() ? a == HUGE_VAL : zeros(a.shape(), DType::Bool, a.device());
}
Tensor isclose(const Tensor &a, const Tensor &b, double rtol, double atol, bool equal_nan) {
  HD_CHECK(a.dtype() == b.dtype(), runtime, "%s did not match %s", info(a.dtype()).scalar, info(b.dtype()).scalar);
  HD_CHECK(rtol >= 0, runtime, "rtol must be greater than or equal to zero, but got %g", rtol);
  HD_CHECK(atol >= 0, runtime, "atol must be greater than or equal to zero, but got %g", atol);
  NoGrad no;
  Tensor close = a == b;
  if (equal_nan && (a.is_float() || a.is_complex())) close = close | (isnan(a) & isnan(b));
  if (rtol == 0 && atol == 0) return close;
  bool counted = dtype_in(a.dtype(), integers | boolean);
  Tensor x = counted ? to(a, DType::F64) : a, y = counted ? to(b, DType::F64) : b;
  Tensor difference = abs(x - y);
  return close | (isfinite(difference) & (difference <= abs(y) * rtol + atol));
}
bool allclose(const Tensor &a, const Tensor &b, double rtol, double atol, bool equal_nan) {
  return !item(all(isclose(a, b, rtol, atol, equal_nan), std::nullopt, false)).is_zero();
}

// ---- activations with parameters
Tensor leaky_relu_op(const Tensor &a, const Scalar &negative_slope) {
  return leaky_relu(taken(a, floats, "leaky_relu_cpu"), number(negative_slope));
}
Tensor leaky_relu_in(const Tensor &a, const Scalar &negative_slope) {
  apply_inplace(leaky_relu, taken(a, floats, "leaky_relu_cpu"), negative_slope);
  return a;
}
Tensor elu_op(const Tensor &a, const Scalar &alpha) { return elu(taken(a, floats, elu_kernel), number(alpha)); }
Tensor softplus_op(const Tensor &a, const Scalar &beta, const Scalar &threshold_) {
  return softplus(taken(a, floats, "softplus_cpu"), number(beta), number(threshold_));
}
void check_hardtanh(const Tensor &a) {
  HD_CHECK(a.dtype() != DType::Bool, runtime, "Bool inputs not supported for hardtanh");
  HD_CHECK(!a.is_complex(), not_implemented, "clamp is not supported for complex types");
}
Tensor hardtanh_op(const Tensor &a, const Scalar &min_val, const Scalar &max_val) {
  check_hardtanh(a);
  HD_CHECK(a.dtype() != DType::U8 || (min_val.to_int() >= 0 && max_val.to_int() >= 0), runtime,
           "cannot do hardtanh on an unsigned type with negative limits");
  if (!dtype_in(a.dtype(), integers)) return hardtanh(a, number(min_val), number(max_val));
  return hardtanh(a, number(Scalar(min_val.to_int())), number(Scalar(max_val.to_int())));
}
Tensor relu6_op(const Tensor &a, const Tensor &out) {
  check_hardtanh(a);
  return call<relu6>(out, a);
}
Tensor threshold_op(const Tensor &a, const Scalar &t, const Scalar &value) {
  return threshold(taken(a, reals, "threshold_cpu"), number(t), number(value));
}
Tensor hardshrink_op(const Tensor &a, const Scalar &lambd) {
  return hardshrink(taken(a, floats, "hardshrink_cpu"), number(lambd));
}
Tensor softshrink_op(const Tensor &a, const Scalar &lambd) {
  taken(a, floats, "softshrink_check");
  HD_CHECK(lambd.re >= 0 && lambd.re <= largest(a.dtype()), runtime,
           "lambda must be in range [0, %g] for input dtype %s, but found %g", largest(a.dtype()),
           info(a.dtype()).scalar, lambd.re);
  return softshrink(a, number(lambd));
}
Tensor lerp_op(const Tensor &a, const Operand &b, const Operand &c, const Tensor &out) {
  taken(a, floats | complexes, c.t->wrapped ? "lerp_kernel_scalar" : "lerp_kernel_tensor");
  return call<lerp>(out, a, b.t, c.t);
}
Tensor complex_op(const Tensor &a, const Tensor &b, const Tensor &out) {
  constexpr Set parts = set_of(DType::F32) | set_of(DType::F64);
  HD_CHECK(dtype_in(a.dtype(), parts) && dtype_in(b.dtype(), parts), runtime,
           "Expected both inputs to be Half, Float or Double tensors but got %s and %s", info(a.dtype()).scalar,
           info(b.dtype()).scalar);
  HD_CHECK(a.dtype() == b.dtype(), runtime,
           "Expected object of scalar type %s but got scalar type %s for second argument", info(a.dtype()).scalar,
           info(b.dtype()).scalar);
  DType whole = a.dtype() == DType::F32 ? DType::C64 : DType::C128;
  HD_CHECK(!out || out.dtype() == whole, runtime,
           "Expected object of scalar type %s but got scalar type %s for argument 'out'", info(whole).scalar,
           info(out ? out.dtype() : whole).scalar);
  return call<ops::complex>(out, a, b);
}
Tensor tanhshrink_op(const Tensor &a, const Tensor &out) {
  check_minus({&a, 1});
  return call<tanhshrink>(out, a);
}
Tensor glu(const Tensor &a, int64_t dim) {
  HD_CHECK(a.dim(), runtime, "glu does not support scalars because halving size must be even");
  int64_t d = wrap_dim(dim, a.dim()), n = a.shape()[d];
  HD_CHECK(n % 2 == 0, runtime, "Halving dimension must be even, but dimension %ld is size %ld", long(d), long(n));
  taken(a, floats, "glu_cpu");
  return named(narrow(a, d, 0, n / 2) * sigmoid(narrow(a, d, n / 2, n / 2)), "GluBackward0");
}
Tensor gelu_op(const Tensor &a, const std::string &approximate) {
  taken(a, floats, "GeluKernelImpl");
  if (approximate == "none") return gelu(a);
  HD_CHECK(approximate == "tanh", runtime, "approximate argument must be either none or tanh.");
  return gelu_tanh(a);
}
Tensor prelu(const Tensor &a, const Tensor &weight) {
  HD_CHECK(weight.dim() <= 1, runtime, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = %ld",
           long(weight.dim()));
  HD_CHECK(weight.numel() == 1 || a.dim(), runtime, "Not allow zero-dim input tensor.");
  taken(a, floats, "prelu_cpu");
  HD_CHECK(
      weight.numel() == 1 || (a.dim() > 1 && a.shape()[1] == weight.numel()), runtime,
      "Mismatch of parameter numbers and input channel size. Found parameter numbers = %ld and channel size = %ld.",
      long(weight.numel()), long(a.dim() > 1 ? a.shape()[1] : 1));
  Dims shape(size_t(std::max<int64_t>(a.dim(), 1)), 1);
  if (weight.numel() > 1) shape[1] = weight.numel();
  return named(leaky_relu(a, a.dim() ? reshape(weight, shape) : reshape(weight, {})), "PreluKernelBackward0");
}
Tensor round_decimals(const Tensor &a, int64_t decimals, const Tensor &out) {
  taken(a, floats, decimals ? "round_cpu" : "round_vml_cpu");
  if (decimals == 0) return call<round>(out, a);
  double scale = std::pow(10.0, double(decimals < 0 ? -decimals : decimals));
  Tensor y = decimals > 0 ? round(a * scale) / scale : round(a / scale) * scale;
  return out ? write_out("round", out, y) : y;
}
Tensor round_decimals_in(const Tensor &a, int64_t decimals) {
  assign(a, round_decimals(a.requires_grad() ? clone(a) : a, decimals, {}));
  return a;
}
} // namespace
} // namespace ops

const OpTable &elementwise_ops() {
  using namespace ops;
  static const OpTable t = [] {
    OpTable t;
#define UNARY(op)                                                                                                      \
  t.push_back(def<unary_op<op>>(#op, "input, *, out=None"));                                                           \
  t.push_back(def<unary_in<op>>(#op "_", "input", method));
    UNARY(sign)
    UNARY(sgn)
    UNARY(neg)
    UNARY(round)
    UNARY(reciprocal)
    UNARY(floor)
    UNARY(ceil)
    UNARY(trunc)
    UNARY(frac)
    UNARY(sqrt)
    UNARY(rsqrt)
    UNARY(exp)
    UNARY(exp2)
    UNARY(expm1)
    UNARY(log)
    UNARY(log2)
    UNARY(log10)
    UNARY(log1p)
    UNARY(cos)
    UNARY(sin)
    UNARY(tan)
    UNARY(asin)
    UNARY(acos)
    UNARY(atan)
    UNARY(cosh)
    UNARY(sinh)
    UNARY(tanh)
    UNARY(asinh)
    UNARY(acosh)
    UNARY(atanh)
    UNARY(sinc)
    UNARY(deg2rad)
    UNARY(rad2deg)
    UNARY(erf)
    UNARY(erfc)
    UNARY(erfinv)
    UNARY(digamma)
    UNARY(lgamma)
    UNARY(sigmoid)
    UNARY(relu)
    UNARY(logical_not)
    UNARY(bitwise_not)
#undef UNARY
#define QUESTION(op) t.push_back(def<unary_op<op>>(#op, "input, *, out=None"));
    QUESTION(isnan)
    QUESTION(isinf)
    QUESTION(isfinite)
    QUESTION(signbit)
    QUESTION(angle)
#undef QUESTION
#define BINARY(op)                                                                                                     \
  t.push_back(def<binary_op<op>>(#op, "input, other, *, out=None"));                                                   \
  t.push_back(def<binary_in<op>>(#op "_", "input, other", method));
    BINARY(mul)
    BINARY(eq)
    BINARY(ne)
    BINARY(lt)
    BINARY(le)
    BINARY(gt)
    BINARY(ge)
    BINARY(bitwise_and)
    BINARY(bitwise_or)
    BINARY(bitwise_xor)
    BINARY(bitwise_left_shift)
    BINARY(bitwise_right_shift)
    BINARY(copysign)
#undef BINARY
#define TENSORS(op)                                                                                                    \
  t.push_back(def<tensors_op<op>>(#op, "input, other, *, out=None"));                                                  \
  t.push_back(def<tensors_in<op>>(#op "_", "input, other", method));
    TENSORS(logical_and)
    TENSORS(logical_or)
    TENSORS(logical_xor)
    TENSORS(nextafter)
    TENSORS(atan2)
    TENSORS(hypot)
#undef TENSORS
#define PLAIN(op) t.push_back(def<tensors_op<op>>(#op, "input, other, *, out=None"));
    PLAIN(maximum)
    PLAIN(minimum)
    PLAIN(fmax)
    PLAIN(fmin)
    PLAIN(logaddexp2)
#undef PLAIN
    const OpDef more[] = {
        def<logaddexp_op>("logaddexp", "input, other, *, out=None"),
        def<unary_op<abs>>("abs", "input, *, out=None"),
        def<abs_in>("abs_", "input", method),
        def<square_op>("square", "input, *, out=None"),
        def<unary_in<square>>("square_", "input", method),
        def<add_op>("add", "input, other, *, alpha=1, out=None"),
        def<add_in>("add_", "input, other, *, alpha=1", method),
        def<sub_op>("sub", "input, other, *, alpha=1, out=None"),
        def<sub_in>("sub_", "input, other, *, alpha=1", method),
        def<rsub_op>("rsub", "input, other, *, alpha=1", function),
        def<div_mode>("div", "input, other, *, rounding_mode=None, out=None"),
        def<div_mode_in>("div_", "input, other, *, rounding_mode=None", method),
        def<divide_op<floor_divide>>("floor_divide", "input, other, *, out=None"),
        def<divide_in<floor_divide>>("floor_divide_", "input, other", method),
        def<divide_op<remainder>>("remainder", "input, other, *, out=None"),
        def<divide_in<remainder>>("remainder_", "input, other", method),
        def<divide_first<fmod>>("fmod", "input, other, *, out=None"),
        def<divide_in<fmod>>("fmod_", "input, other", method),
        def<pow_op>("pow", "input, exponent, *, out=None"),
        def<pow_in>("pow_", "input, exponent", method),
        def<float_power>("float_power", "input, exponent, *, out=None"),
        def<float_power_in>("float_power_", "input, exponent", method),
        def<binary_op<xlogy>>("xlogy", "input, other, *, out=None"),
        def<binary_in<xlogy>>("xlogy_", "input, other", method),
        def<tensors_op<heaviside>>("heaviside", "input, values, *, out=None"),
        def<tensors_in<heaviside>>("heaviside_", "input, values", method),
        def<lerp_op>("lerp", "input, end, weight, *, out=None"),
        def<ternary_in<lerp>>("lerp_", "input, end, weight", method),
        def<addcmul_op>("addcmul", "input, tensor1, tensor2, *, value=1, out=None", both | inplace),
        def<addcdiv_op>("addcdiv", "input, tensor1, tensor2, *, value=1, out=None", both | inplace),
        def<where_op>("where", "condition, input, other, *, out=None", function),
        def<clamp_op>("clamp", "input, min=None, max=None, *, out=None"),
        def<clamp_in>("clamp_", "input, min=None, max=None", method),
        def<bound_op<clamp_min>>("clamp_min", "input, min, *, out=None"),
        def<binary_in<clamp_min>>("clamp_min_", "input, min", method),
        def<bound_op<clamp_max>>("clamp_max", "input, max, *, out=None"),
        def<binary_in<clamp_max>>("clamp_max_", "input, max", method),
        def<round_decimals>("round", "input, *, decimals, out=None"),
        def<round_decimals_in>("round_", "input, *, decimals", method),
        def<nan_to_num_op>("nan_to_num", "input, nan=None, posinf=None, neginf=None, *, out=None", both | inplace),
        def<conj_op>("conj", "input"),
        def<conj_op>("conj_physical", "input, *, out=None", both | inplace),
        def<itself>("resolve_conj", "input"),
        def<itself>("resolve_neg", "input"),
        def<real_part>("real", "input", function),
        def<imag_part>("imag", "input", function),
        def<complex_op>("complex", "real, imag, *, out=None", function),
        def<isreal>("isreal", "input"),
        def<isneginf>("isneginf", "input, *, out=None"),
        def<isposinf>("isposinf", "input, *, out=None"),
        def<isclose>("isclose", "input, other, rtol=1e-05, atol=1e-08, equal_nan=False"),
        def<allclose>("allclose", "input, other, rtol=1e-05, atol=1e-08, equal_nan=False"),
        def<leaky_relu_op>("leaky_relu", "input, negative_slope=0.01", function),
        def<leaky_relu_in>("leaky_relu_", "input, negative_slope=0.01", function),
        def<elu_op>("elu", "input, alpha=1.0", function | inplace),
        def<softplus_op>("softplus", "input, beta=1, threshold=20", function),
        def<hardtanh_op>("hardtanh", "input, min_val=-1.0, max_val=1.0", function | inplace),
        def<threshold_op>("threshold", "input, threshold, value", function | inplace),
        def<hardshrink_op>("hardshrink", "input, lambd=0.5"),
        def<softshrink_op>("softshrink", "input, lambd=0.5", function),
        def<gelu_op>("gelu", "input, *, approximate='none'", function),
        def<unary_op<silu>>("silu", "input, *, out=None", function),
        def<unary_in<silu>>("silu_", "input", function),
        def<unary_op<mish>>("mish", "input, *, out=None", function),
        def<relu6_op>("relu6", "input, *, out=None", function),
        def<unary_of<selu, elu_kernel>>("selu", "input, *, out=None", function),
        def<unary_of_in<selu, elu_kernel>>("selu_", "input", function),
        def<unary_op<hardsigmoid>>("hardsigmoid", "input, *, out=None", function),
        def<unary_op<hardswish>>("hardswish", "input, *, out=None", function),
        def<unary_of<logsigmoid, log_sigmoid_kernel>>("log_sigmoid", "input, *, out=None", function),
        def<unary_op<softsign>>("softsign", "input, *, out=None", function),
        def<tanhshrink_op>("tanhshrink", "input, *, out=None", function),
        def<glu>("glu", "input, dim=-1", function),
        def<prelu>("prelu", "input, weight"),
    };
    t.insert(t.end(), std::begin(more), std::end(more));
    // torch's second names
    const char *aliases[][2] = {
        {"absolute", "abs"},  {"negative", "neg"},    {"multiply", "mul"},  {"subtract", "sub"},
        {"divide", "div"},    {"true_divide", "div"}, {"greater", "gt"},    {"greater_equal", "ge"},
        {"less", "lt"},       {"less_equal", "le"},   {"not_equal", "ne"},  {"clip", "clamp"},
        {"fix", "trunc"},     {"arccos", "acos"},     {"arcsin", "asin"},   {"arctan", "atan"},
        {"arctan2", "atan2"}, {"arccosh", "acosh"},   {"arcsinh", "asinh"}, {"arctanh", "atanh"}};
    for (auto &[alias, name] : aliases)
      for (size_t i = 0, n = t.size(); i < n; ++i) {
        if (std::strcmp(t[i].name, name) == 0) {
          t.push_back(t[i]);
          t.back().name = alias;
        } else if (std::strncmp(t[i].name, name, std::strlen(name)) == 0 &&
                   std::strcmp(t[i].name + std::strlen(name), "_") == 0) {
          static std::vector<std::unique_ptr<std::string>> kept;
          kept.push_back(std::make_unique<std::string>(std::string(alias) + "_"));
          t.push_back(t[i]);
          t.back().name = kept.back()->c_str();
        }
      }
    return t;
  }();
  return t;
}

} // namespace hadamard
