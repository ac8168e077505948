// Every element-wise op: its formula, the dtypes it is computed in, its derivatives. This is the place to add one.
//
// Included inside a namespace of their own by the kernels of each level (where formulas run, on Lanes) and by the host
// (where derivatives run, on Tensors), after op.h and the math:: names; hence no guard and no includes here.
//
// In a formula: where(mask, x, y) instead of ?:, | & ! on masks, math:: for what has no operator, other ops by name.
// An op cannot name itself, nor one further down; derivatives that must go through later::. Derivatives are those of
// the conjugate, as in torch (conj does nothing on real dtypes). An operand without a D has no derivative.

// clang-format off: it takes the * of a formula for a pointer's

namespace later {
template <class A, class B, class C> auto where(const A &a, const B &b, const C &c);
template <class A> auto conj(const A &a);
template <class A> auto imag(const A &a);
template <class A> auto abs(const A &a);
template <class A> auto sin(const A &a);
template <class A> auto sinh(const A &a);
template <class A, class B> auto pow(const A &a, const B &b);
} // namespace later

inline constexpr auto where = ternary("where", FORMULA((auto a, auto b, auto c), math::where(a, b, c)))
    .with_condition()
    .grad(D(b, later::where(a, g, 0.0)), D(c, later::where(a, 0.0, g)));

// --- parts of numbers -----------------------------------------------------------------------------------------------
inline constexpr auto conj = unary("conj", FORMULA((auto a), math::conj(a))).grad(D(a, later::conj(g)));
inline constexpr auto real = unary("real", FORMULA((auto a), math::real(a))).grad(D(a, g));
inline constexpr auto complex = binary("complex", FORMULA((auto a, auto b), math::complex_of(a, b)))
    .on(set_of(DType::F32) | set_of(DType::F64))
    .grad(D(a, real(g)), D(b, later::imag(g)));
inline constexpr auto imag = unary("imag", FORMULA((auto a), math::imag(a)))
    .on(complexes)
    .grad(D(a, complex(g * 0.0, g)));
inline constexpr auto sign = unary("sign", FORMULA((auto a), math::sign(a))).on(reals | boolean).grad(D(a, g * 0.0));
inline constexpr auto sgn = unary("sgn", FORMULA((auto a), math::sgn(a)))
    .grad(D(a, where(a == 0.0, 0.0, (g - y * real(conj(y) * g)) / later::abs(a))));
inline constexpr auto abs = unary("abs", FORMULA((auto a), math::abs(a))).on(numbers).grad(D(a, g * sgn(a)));
inline constexpr auto angle = unary("angle", FORMULA((auto a), math::angle(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, complex(g * 0.0, g) * (sgn(a) / abs(a))));
inline constexpr auto isnan = unary("isnan", FORMULA((auto a), math::isnan(a)));
inline constexpr auto isinf = unary("isinf", FORMULA((auto a), math::isinf(a)));
inline constexpr auto isfinite = unary("isfinite", FORMULA((auto a), math::isfinite(a)));
inline constexpr auto signbit = unary("signbit", FORMULA((auto a), math::signbit(a))).on(reals | boolean);
inline constexpr auto nan_to_num = ternary("nan_to_num", FORMULA((auto a, auto b, auto c), math::nan_to_num(a, b, c)))
    .on(reals | boolean)
    .grad(D(a, where(isfinite(a), g, 0.0)));

// --- truth ----------------------------------------------------------------------------------------------------------
inline constexpr auto eq = binary("eq", FORMULA((auto a, auto b), a == b));
inline constexpr auto ne = binary("ne", FORMULA((auto a, auto b), a != b));
inline constexpr auto lt = binary("lt", FORMULA((auto a, auto b), a < b)).on(reals | boolean);
inline constexpr auto le = binary("le", FORMULA((auto a, auto b), a <= b)).on(reals | boolean);
inline constexpr auto gt = binary("gt", FORMULA((auto a, auto b), a > b)).on(reals | boolean);
inline constexpr auto ge = binary("ge", FORMULA((auto a, auto b), a >= b)).on(reals | boolean);
inline constexpr auto logical_and = binary("logical_and", FORMULA((auto a, auto b), math::truth(a) & math::truth(b)));
inline constexpr auto logical_or = binary("logical_or", FORMULA((auto a, auto b), math::truth(a) | math::truth(b)));
inline constexpr auto logical_xor = binary("logical_xor", FORMULA((auto a, auto b), math::truth(a) ^ math::truth(b)));
inline constexpr auto logical_not = unary("logical_not", FORMULA((auto a), !math::truth(a)));

// --- bits -----------------------------------------------------------------------------------------------------------
inline constexpr auto bitwise_and = binary("bitwise_and", FORMULA((auto a, auto b), a & b)).on(integers | boolean);
inline constexpr auto bitwise_or = binary("bitwise_or", FORMULA((auto a, auto b), a | b)).on(integers | boolean);
inline constexpr auto bitwise_xor = binary("bitwise_xor", FORMULA((auto a, auto b), a ^ b)).on(integers | boolean);
inline constexpr auto bitwise_not = unary("bitwise_not", FORMULA((auto a), ~a)).on(integers | boolean);
inline constexpr auto bitwise_left_shift =
    binary("bitwise_left_shift", FORMULA((auto a, auto b), math::shift_left(a, b))).on(integers);
inline constexpr auto bitwise_right_shift =
    binary("bitwise_right_shift", FORMULA((auto a, auto b), math::shift_right(a, b))).on(integers);

// --- arithmetic -----------------------------------------------------------------------------------------------------
inline constexpr auto add = binary("add", FORMULA((auto a, auto b), a + b)).grad(D(a, g), D(b, g));
inline constexpr auto sub = binary("sub", FORMULA((auto a, auto b), a - b)).on(numbers).grad(D(a, g), D(b, -g));
inline constexpr auto mul = binary("mul", FORMULA((auto a, auto b), a * b)).grad(D(a, g * conj(b)), D(b, g * conj(a)));
inline constexpr auto div = binary("div", FORMULA((auto a, auto b), a / b))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(b)), D(b, -g * conj(a / b / b)));
inline constexpr auto neg = unary("neg", FORMULA((auto a), -a)).on(numbers).grad(D(a, -g));
inline constexpr auto square = unary("square", FORMULA((auto a), a * a)).on(numbers).grad(D(a, g * conj(a) * 2.0));
inline constexpr auto reciprocal = unary("reciprocal", FORMULA((auto a), 1 / a))
    .on(floats | complexes).to_float()
    .grad(D(a, -g * conj(y * y)));
inline constexpr auto floor = unary("floor", FORMULA((auto a), math::floor(a))).on(reals).grad(D(a, g * 0.0));
inline constexpr auto ceil = unary("ceil", FORMULA((auto a), math::ceil(a))).on(reals).grad(D(a, g * 0.0));
inline constexpr auto trunc = unary("trunc", FORMULA((auto a), math::trunc(a))).on(reals).grad(D(a, g * 0.0));
inline constexpr auto round = unary("round", FORMULA((auto a), math::rint(a))).on(reals).grad(D(a, g * 0.0));
inline constexpr auto frac = unary("frac", FORMULA((auto a), a - math::trunc(a))).on(floats).grad(D(a, g));
inline constexpr auto floor_divide = binary("floor_divide", FORMULA((auto a, auto b), math::floor_divide(a, b)))
    .on(reals)
    .grad(D(a, g * 0.0), D(b, g * 0.0));
inline constexpr auto trunc_divide = binary("trunc_divide", FORMULA((auto a, auto b), math::trunc_divide(a, b)))
    .on(reals)
    .grad(D(a, g * 0.0), D(b, g * 0.0));
inline constexpr auto remainder = binary("remainder", FORMULA((auto a, auto b), math::remainder(a, b)))
    .on(reals)
    .grad(D(a, g), D(b, -g * floor_divide(a, b)));
inline constexpr auto fmod = binary("fmod", FORMULA((auto a, auto b), math::fmod(a, b)))
    .on(reals)
    .grad(D(a, g), D(b, -g * trunc_divide(a, b)));
inline constexpr auto add_scaled = ternary("add_scaled", FORMULA((auto a, auto b, auto c), a + c * b))
    .on(numbers)
    .grad(D(a, g), D(b, g * conj(c)), D(c, g * conj(b)));
inline constexpr auto addcmul = ternary("addcmul", FORMULA((auto a, auto b, auto c), a + b * c))
    .on(numbers)
    .grad(D(a, g), D(b, g * conj(c)), D(c, g * conj(b)));
inline constexpr auto addcdiv = ternary("addcdiv", FORMULA((auto a, auto b, auto c), a + b / c))
    .on(floats | complexes)
    .grad(D(a, g), D(b, g / conj(c)), D(c, -g * conj(b / c / c)));
inline constexpr auto lerp =
    ternary("lerp", FORMULA((auto a, auto b, auto c),
                            where(math::abs(c) < 0.5, a + c * (b - a), b - (b - a) * (1 - c))))
        .on(floats | complexes)
        .grad(D(a, g * (1.0 - conj(c))), D(b, g * conj(c)), D(c, g * conj(b - a)));

// --- order ----------------------------------------------------------------------------------------------------------
// NaN wins in maximum, minimum and clamp, loses in fmax and fmin. At a tie maximum and minimum halve the gradient.
inline constexpr auto maximum = binary("maximum", FORMULA((auto a, auto b), where((a > b) | (a != a), a, b)))
    .on(reals | boolean)
    .grad(D(a, where(a == b, g * 0.5, where(a < b, 0.0, g))), D(b, where(a == b, g * 0.5, where(b < a, 0.0, g))));
inline constexpr auto minimum = binary("minimum", FORMULA((auto a, auto b), where((a < b) | (a != a), a, b)))
    .on(reals | boolean)
    .grad(D(a, where(a == b, g * 0.5, where(a > b, 0.0, g))), D(b, where(a == b, g * 0.5, where(b > a, 0.0, g))));
inline constexpr auto fmax = binary("fmax", FORMULA((auto a, auto b), where((a >= b) | (b != b), a, b)))
    .on(reals | boolean)
    .grad(D(a, where(logical_or(a >= b, isnan(b)), g, 0.0)), D(b, where(logical_or(a >= b, isnan(b)), 0.0, g)));
inline constexpr auto fmin = binary("fmin", FORMULA((auto a, auto b), where((a <= b) | (b != b), a, b)))
    .on(reals | boolean)
    .grad(D(a, where(logical_or(a <= b, isnan(b)), g, 0.0)), D(b, where(logical_or(a <= b, isnan(b)), 0.0, g)));
inline constexpr auto clamp_min = binary("clamp_min", FORMULA((auto a, auto b), maximum(a, b)))
    .on(reals | boolean)
    .grad(D(a, where(a >= b, g, 0.0)), D(b, where(a < b, g, 0.0)));
inline constexpr auto clamp_max = binary("clamp_max", FORMULA((auto a, auto b), minimum(a, b)))
    .on(reals | boolean)
    .grad(D(a, where(a <= b, g, 0.0)), D(b, where(a > b, g, 0.0)));
inline constexpr auto clamp = ternary("clamp", FORMULA((auto a, auto b, auto c), minimum(maximum(a, b), c)))
    .on(reals)
    .grad(D(a, where(logical_and(a >= b, a <= c), g, 0.0)), D(b, where(logical_and(a < b, b < c), g, 0.0)),
          D(c, where(logical_or(a > c, c < b), g, 0.0)));
inline constexpr auto copysign = binary("copysign", FORMULA((auto a, auto b), math::copysign(a, b)))
    .on(floats).to_float()
    .grad(D(a, where(a == 0.0, 0.0, g * (y / a))), D(b, g * 0.0));
inline constexpr auto nextafter = binary("nextafter", FORMULA((auto a, auto b), math::nextafter(a, b)))
    .on(set_of(DType::F32) | set_of(DType::F64));
inline constexpr auto heaviside =
    binary("heaviside", FORMULA((auto a, auto b), where(a == 0, b, math::step(a)))).on(reals | boolean);

// --- powers, exponentials, logarithms -------------------------------------------------------------------------------
inline constexpr auto sqrt = unary("sqrt", FORMULA((auto a), math::sqrt(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(y * 2.0)));
inline constexpr auto rsqrt = unary("rsqrt", FORMULA((auto a), math::rsqrt(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * -0.5 * conj(y * y * y)));
inline constexpr auto exp = unary("exp", FORMULA((auto a), math::exp(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(y)));
inline constexpr auto exp2 = unary("exp2", FORMULA((auto a), math::exp2(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(y) * 0.69314718055994530942));
inline constexpr auto expm1 = unary("expm1", FORMULA((auto a), math::expm1(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(y + 1.0)));
inline constexpr auto log = unary("log", FORMULA((auto a), math::log(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(a)));
inline constexpr auto log2 = unary("log2", FORMULA((auto a), math::log2(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(a * 0.69314718055994530942)));
inline constexpr auto log10 = unary("log10", FORMULA((auto a), math::log10(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(a * 2.30258509299404568402)));
inline constexpr auto log1p = unary("log1p", FORMULA((auto a), math::log1p(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(a + 1.0)));
// 0 ** 0 is 1 whatever the exponent does, so neither operand has a gradient there.
inline constexpr auto pow = binary("pow", FORMULA((auto a, auto b), math::pow(a, b)))
    .on(numbers)
    .grad(D(a, where(b == 0.0, 0.0, g * conj(b * later::pow(a, b - 1.0)))),
          D(b, where(logical_and(a == 0.0, real(b) >= 0.0), 0.0, g * conj(y * log(a)))));
inline constexpr auto hypot = binary("hypot", FORMULA((auto a, auto b), math::hypot(a, b)))
    .on(floats)
    .grad(D(a, g * (a / y)), D(b, g * (b / y)));
inline constexpr auto xlogy = binary("xlogy", FORMULA((auto a, auto b),
                                                      where(b != b, b, where(a == 0, 0, a * math::log(b)))))
    .on(floats).to_float()
    .grad(D(a, where(logical_and(a == 0.0, b <= 0.0), 0.0, g * log(b))), D(b, g * (a / b)));
inline constexpr auto logaddexp =
    binary("logaddexp", FORMULA((auto a, auto b), where((a == b) & math::isinf(a), a,
                                                        maximum(a, b) + math::log1p(math::exp(-math::abs(a - b))))))
        .on(floats)
        .grad(D(a, g / (1.0 + exp(b - a))), D(b, g / (1.0 + exp(a - b))));
inline constexpr auto logaddexp2 =
    binary("logaddexp2", FORMULA((auto a, auto b),
                                 where((a == b) & math::isinf(a), a,
                                       maximum(a, b) + math::log1p(math::exp2(-math::abs(a - b))) *
                                                           1.44269504088896340736)))
        .on(floats)
        .grad(D(a, g / (1.0 + exp2(b - a))), D(b, g / (1.0 + exp2(a - b))));

// --- angles ---------------------------------------------------------------------------------------------------------
inline constexpr auto cos = unary("cos", FORMULA((auto a), math::cos(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, -g * conj(later::sin(a))));
inline constexpr auto sin = unary("sin", FORMULA((auto a), math::sin(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(cos(a))));
inline constexpr auto tan = unary("tan", FORMULA((auto a), math::tan(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(y * y + 1.0)));
inline constexpr auto asin = unary("asin", FORMULA((auto a), math::asin(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(rsqrt(1.0 - a * a))));
inline constexpr auto acos = unary("acos", FORMULA((auto a), math::acos(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, -g * conj(rsqrt(1.0 - a * a))));
inline constexpr auto atan = unary("atan", FORMULA((auto a), math::atan(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(a * a + 1.0)));
inline constexpr auto atan2 = binary("atan2", FORMULA((auto a, auto b), math::atan2(a, b)))
    .on(floats).to_float()
    .grad(D(a, g * (b / (a * a + b * b))), D(b, -g * (a / (a * a + b * b))));
inline constexpr auto cosh = unary("cosh", FORMULA((auto a), math::cosh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(later::sinh(a))));
inline constexpr auto sinh = unary("sinh", FORMULA((auto a), math::sinh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(cosh(a))));
inline constexpr auto tanh = unary("tanh", FORMULA((auto a), math::tanh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(1.0 - y * y)));
inline constexpr auto asinh = unary("asinh", FORMULA((auto a), math::asinh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(rsqrt(a * a + 1.0))));
inline constexpr auto acosh = unary("acosh", FORMULA((auto a), math::acosh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(rsqrt(a - 1.0) * rsqrt(a + 1.0))));
inline constexpr auto atanh = unary("atanh", FORMULA((auto a), math::atanh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g / conj(1.0 - a * a)));
inline constexpr auto sinc =
    unary("sinc", FORMULA((auto a), where(a == 0, 1, math::sin(a * 3.14159265358979323846) /
                                                         (a * 3.14159265358979323846))))
        .on(floats | complexes).to_float()
        .grad(D(a, where(a == 0.0, 0.0, g * conj((cos(a * 3.14159265358979323846) - y) / a))));
inline constexpr auto deg2rad = unary("deg2rad", FORMULA((auto a), a * 0.017453292519943295769))
    .on(floats).to_float()
    .grad(D(a, g * 0.017453292519943295769));
inline constexpr auto rad2deg = unary("rad2deg", FORMULA((auto a), a * 57.295779513082320877))
    .on(floats).to_float()
    .grad(D(a, g * 57.295779513082320877));

// --- special functions ----------------------------------------------------------------------------------------------
inline constexpr auto erf = unary("erf", FORMULA((auto a), math::erf(a)))
    .on(floats).to_float()
    .grad(D(a, g * (exp(-(a * a)) * 1.12837916709551257390)));
inline constexpr auto erfc = unary("erfc", FORMULA((auto a), math::erfc(a)))
    .on(floats).to_float()
    .grad(D(a, g * (exp(-(a * a)) * -1.12837916709551257390)));
inline constexpr auto erfinv = unary("erfinv", FORMULA((auto a), math::erfinv(a)))
    .on(floats).to_float()
    .grad(D(a, g * (exp(y * y) * 0.88622692545275801365)));
inline constexpr auto trigamma = unary("trigamma", FORMULA((auto a), math::trigamma(a))).on(floats).to_float();
inline constexpr auto digamma = unary("digamma", FORMULA((auto a), math::digamma(a)))
    .on(floats).to_float()
    .grad(D(a, g * trigamma(a)));
inline constexpr auto lgamma = unary("lgamma", FORMULA((auto a), math::lgamma(a)))
    .on(floats).to_float()
    .grad(D(a, g * digamma(a)));

// --- activations ----------------------------------------------------------------------------------------------------
inline constexpr auto sigmoid = unary("sigmoid", FORMULA((auto a), math::sigmoid(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj((1.0 - y) * y)));
inline constexpr auto logit = unary("logit", FORMULA((auto a), math::log(a / (1 - a))))
    .on(floats).to_float()
    .grad(D(a, g / (a * (1.0 - a))));
inline constexpr auto logsigmoid =
    unary("logsigmoid", FORMULA((auto a), minimum(a, 0) - math::log1p(math::exp(-math::abs(a)))))
        .on(floats)
        .grad(D(a, g * sigmoid(-a)));
inline constexpr auto relu = unary("relu", FORMULA((auto a), where(a <= 0, 0, a)))
    .on(reals)
    .grad(D(a, where(y <= 0.0, 0.0, g)));
inline constexpr auto leaky_relu = binary("leaky_relu", FORMULA((auto a, auto b), where(a > 0, a, a * b)))
    .on(floats)
    .grad(D(a, where(a > 0.0, g, g * b)), D(b, where(a > 0.0, 0.0, g * a)));
inline constexpr auto threshold = ternary("threshold", FORMULA((auto a, auto b, auto c), where(a <= b, c, a)))
    .on(reals)
    .grad(D(a, where(a <= b, 0.0, g)));
inline constexpr auto hardtanh = ternary("hardtanh", FORMULA((auto a, auto b, auto c), minimum(maximum(a, b), c)))
    .on(reals)
    .grad(D(a, where(logical_or(a <= b, a >= c), 0.0, g)));
inline constexpr auto relu6 = unary("relu6", FORMULA((auto a), minimum(maximum(a, 0), 6)))
    .on(reals)
    .grad(D(a, where(logical_or(a <= 0.0, a >= 6.0), 0.0, g)));
inline constexpr auto hardsigmoid = unary("hardsigmoid", FORMULA((auto a), minimum(maximum(a + 3, 0), 6) / 6))
    .on(floats)
    .grad(D(a, where(logical_and(a > -3.0, a < 3.0), g * 0.16666666666666666667, 0.0)));
inline constexpr auto hardswish = unary("hardswish", FORMULA((auto a), a * (minimum(maximum(a + 3, 0), 6) / 6)))
    .on(floats)
    .grad(D(a, where(a <= -3.0, 0.0, where(a < 3.0, g * (a * 0.33333333333333333333 + 0.5), g))));
inline constexpr auto hardshrink =
    binary("hardshrink", FORMULA((auto a, auto b), where((a >= -b) & (a <= b), 0, a)))
        .on(floats)
        .grad(D(a, where(logical_and(a >= -b, a <= b), 0.0, g)));
inline constexpr auto softshrink =
    binary("softshrink", FORMULA((auto a, auto b), where(a > b, a - b, where(a < -b, a + b, a * 0))))
        .on(floats)
        .grad(D(a, where(logical_and(a >= -b, a <= b), 0.0, g)));
inline constexpr auto elu = binary("elu", FORMULA((auto a, auto b), where(a > 0, a, b * math::expm1(a))))
    .on(floats)
    .grad(D(a, where(a > 0.0, g, g * b * exp(minimum(a, 0.0)))));
inline constexpr auto selu =
    unary("selu", FORMULA((auto a), where(a > 0, a * 1.0507009873554804934, math::expm1(a) * 1.7580993408473768600)))
        .on(floats)
        .grad(D(a, where(a > 0.0, g * 1.0507009873554804934, g * (exp(minimum(a, 0.0)) * 1.7580993408473768600))));
// Slopes are ops of their own because composed they pass over memory ten times: a tenth of a transformer's step.
inline constexpr auto silu_slope = unary("silu_slope", FORMULA((auto a), math::silu_slope(a)))
    .on(floats | complexes)
    .grad(D(a, g * conj(sigmoid(a) * sigmoid(-a) * (2.0 + a * (1.0 - 2.0 * sigmoid(a))))));
inline constexpr auto silu = unary("silu", FORMULA((auto a), math::silu(a)))
    .on(floats | complexes)
    .grad(D(a, g * conj(silu_slope(a))));
inline constexpr auto softplus =
    ternary("softplus", FORMULA((auto a, auto b, auto c), where(a * b > c, a, math::log1p(math::exp(a * b)) / b)))
        .on(floats)
        .grad(D(a, where(a * b > c, g, g * sigmoid(a * b))));
inline constexpr auto mish =
    unary("mish", FORMULA((auto a), a * math::tanh(where(a > 20, a, math::log1p(math::exp(a))))))
        .on(floats)
        .grad(D(a, g * (tanh(softplus(a, 1.0, 20.0)) +
                        a * sigmoid(a) * (1.0 - square(tanh(softplus(a, 1.0, 20.0)))))));
inline constexpr auto gelu_slope = unary("gelu_slope", FORMULA((auto a), math::gelu_slope(a)))
    .on(floats)
    .grad(D(a, g * (exp(a * a * -0.5) * (2.0 - a * a) * 0.39894228040143267794)));
inline constexpr auto gelu = unary("gelu", FORMULA((auto a), math::gelu(a)))
    .on(floats)
    .grad(D(a, g * gelu_slope(a)));
// With s the sigmoid of u, a cubic: s + a s (1 - s) u'. Its derivative is s (1 - s) (2 u' + a u'' - a u'^2 (2 s - 1)).
inline constexpr auto gelu_tanh_slope = unary("gelu_tanh_slope", FORMULA((auto a), math::gelu_tanh_slope(a)))
    .on(floats)
    .grad(D(a, g * (sigmoid(a * (1.5957691216057307117 + 0.07135481627260025 * (a * a))) *
                    sigmoid(a * (-1.5957691216057307117 - 0.07135481627260025 * (a * a))) *
                    (3.1915382432114614234 + 0.8562577952712030 * (a * a) -
                     a * (square(1.5957691216057307117 + 0.21406444881780075 * (a * a)) *
                          (2.0 * sigmoid(a * (1.5957691216057307117 + 0.07135481627260025 * (a * a))) - 1.0))))));
inline constexpr auto gelu_tanh =
    unary("gelu_tanh", FORMULA((auto a), a * math::sigmoid(a * (1.5957691216057307117 + 0.07135481627260025 * (a * a)))))
        .on(floats)
        .grad(D(a, g * gelu_tanh_slope(a)));
inline constexpr auto softsign = unary("softsign", FORMULA((auto a), a / (1 + math::abs(a))))
    .on(floats).to_float()
    .grad(D(a, g / square(1.0 + abs(a))));
inline constexpr auto tanhshrink = unary("tanhshrink", FORMULA((auto a), a - math::tanh(a)))
    .on(floats | complexes).to_float()
    .grad(D(a, g * conj(square(tanh(a)))));

namespace later {
template <class A, class B, class C> auto where(const A &a, const B &b, const C &c) { return ops::where(a, b, c); }
template <class A> auto conj(const A &a) { return ops::conj(a); }
template <class A> auto imag(const A &a) { return ops::imag(a); }
template <class A> auto abs(const A &a) { return ops::abs(a); }
template <class A> auto sin(const A &a) { return ops::sin(a); }
template <class A> auto sinh(const A &a) { return ops::sinh(a); }
template <class A, class B> auto pow(const A &a, const B &b) { return ops::pow(a, b); }
} // namespace later

// The list. Its groups are compiled apart; the number of an op is its place in ELEMENTWISE.
#define ELEMENTWISE_PARTS(X)                                                                                           \
  X(where) X(conj) X(real) X(complex) X(imag) X(sign) X(sgn) X(abs) X(angle) X(isnan) X(isinf) X(isfinite) X(signbit)  \
  X(nan_to_num) X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(logical_and) X(logical_or) X(logical_xor) X(logical_not)         \
  X(bitwise_and) X(bitwise_or) X(bitwise_xor) X(bitwise_not) X(bitwise_left_shift) X(bitwise_right_shift)
#define ELEMENTWISE_ARITHMETIC(X)                                                                                      \
  X(add) X(sub) X(mul) X(div) X(neg) X(square) X(reciprocal) X(floor) X(ceil) X(trunc) X(round) X(frac)                \
  X(floor_divide) X(trunc_divide) X(remainder) X(fmod) X(add_scaled) X(addcmul) X(addcdiv) X(lerp) X(maximum)          \
  X(minimum) X(fmax) X(fmin) X(clamp_min) X(clamp_max) X(clamp) X(copysign) X(nextafter) X(heaviside)
#define ELEMENTWISE_POWERS(X)                                                                                          \
  X(sqrt) X(rsqrt) X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(pow) X(hypot) X(xlogy) X(logaddexp)      \
  X(logaddexp2)
#define ELEMENTWISE_ANGLES(X)                                                                                          \
  X(cos) X(sin) X(tan) X(asin) X(acos) X(atan) X(atan2) X(cosh) X(sinh) X(tanh) X(asinh) X(acosh) X(atanh) X(sinc)     \
  X(deg2rad) X(rad2deg)
#define ELEMENTWISE_SPECIAL(X)                                                                                         \
  X(erf) X(erfc) X(erfinv) X(trigamma) X(digamma) X(lgamma) X(sigmoid) X(logit) X(logsigmoid) X(relu) X(leaky_relu)    \
  X(threshold) X(hardtanh) X(relu6) X(hardsigmoid) X(hardswish) X(hardshrink) X(softshrink) X(elu) X(selu)             \
  X(silu_slope) X(silu) X(gelu_tanh_slope)                                                                             \
  X(softplus) X(mish) X(gelu_slope) X(gelu) X(gelu_tanh) X(softsign) X(tanhshrink)
#define ELEMENTWISE(X)                                                                                                 \
  ELEMENTWISE_PARTS(X)                                                                                                 \
  ELEMENTWISE_ARITHMETIC(X) ELEMENTWISE_POWERS(X) ELEMENTWISE_ANGLES(X) ELEMENTWISE_SPECIAL(X)

// Derivatives with kernels of their own, made of the same text: one pass over memory where op by op it takes several.
// (op, operand); float32 and float64, and only where nobody asks for gradients of gradients.
#define ELEMENTWISE_SLOPES(X)                                                                                          \
  X(abs, a) X(div, b) X(square, a) X(reciprocal, a) X(maximum, a) X(maximum, b) X(minimum, a) X(minimum, b) X(sqrt, a) \
  X(rsqrt, a) X(exp2, a) X(expm1, a) X(log2, a) X(log10, a) X(log1p, a) X(cos, a) X(sin, a) X(tan, a) X(asin, a)       \
  X(acos, a) X(atan, a) X(cosh, a) X(sinh, a) X(tanh, a) X(asinh, a) X(acosh, a) X(atanh, a) X(erf, a) X(erfc, a)      \
  X(sigmoid, a) X(logit, a) X(logsigmoid, a) X(relu, a) X(leaky_relu, a) X(leaky_relu, b) X(threshold, a)              \
  X(hardtanh, a) X(relu6, a) X(hardsigmoid, a) X(hardswish, a) X(hardshrink, a) X(softshrink, a) X(elu, a) X(selu, a)  \
  X(silu, a) X(softplus, a) X(mish, a) X(gelu, a) X(gelu_tanh, a) X(softsign, a) X(tanhshrink, a)

enum class Elementwise : int {
#define X(op) op##_id,
  ELEMENTWISE(X)
#undef X
      count
};
constexpr int elementwise_count = int(Elementwise::count);
constexpr int slope_count = 0
#define X(op, operand) +1
    ELEMENTWISE_SLOPES(X)
#undef X
    ;

// The row of an op in a level's table, from its type: every op has its own.
template <class O> constexpr int find_op() {
  constexpr bool is[] = {
#define X(op) ::hadamard::same_type<const O, decltype(op)>,
      ELEMENTWISE(X)
#undef X
  };
  for (int i = 0; i < elementwise_count; ++i)
    if (is[i]) return i;
  return -1;
}
// The row of a derivative, after those of the ops; -1 where it has none.
template <class O> constexpr int find_slope(char letter) {
  constexpr struct {
    bool is;
    char letter;
  } rows[] = {
#define X(op, operand) {::hadamard::same_type<const O, decltype(op)>, #operand[0]},
      ELEMENTWISE_SLOPES(X)
#undef X
  };
  for (int i = 0; i < slope_count; ++i)
    if (rows[i].is && rows[i].letter == letter) return elementwise_count + i;
  return -1;
}
template <const auto &op> constexpr int op_id = find_op<::hadamard::bare<decltype(op)>>();
