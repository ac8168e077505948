// The names that formulas take from math::, for the host, which never runs a formula but must find them.
#pragma once

namespace hadamard::math {
struct Never {};
#define X(name) template <class = Never> void name(Never);
X(where)
X(truth)
X(conj)
X(real)
X(imag)
X(complex_of) X(sign) X(sgn) X(abs) X(angle) X(isnan) X(isinf) X(isfinite) X(signbit) X(nan_to_num) X(step)
    X(shift_left) X(shift_right) X(floor) X(ceil) X(trunc) X(rint) X(floor_divide) X(trunc_divide) X(remainder) X(fmod)
        X(copysign) X(nextafter) X(sqrt) X(rsqrt) X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(pow)
            X(hypot) X(cos) X(sin) X(tan) X(asin) X(acos) X(atan) X(atan2) X(cosh) X(sinh) X(tanh) X(asinh) X(acosh)
                X(atanh) X(erf) X(erfc) X(erfinv) X(trigamma) X(digamma) X(lgamma) X(sigmoid) X(gelu)
#undef X
} // namespace hadamard::math
