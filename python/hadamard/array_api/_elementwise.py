"""Element-wise functions of the array API standard."""

from .. import _C
from .._C import Tensor
from . import _array
from ._array import promoted, standard

__all__ = "clip conj expm1 floor_divide imag positive real remainder round sign square tanh".split()

# The standard's name and, where it differs, ours.
_UNARY = {
    name: theirs or name
    for name, _, theirs in (
        entry.partition("=")
        for entry in (
            "abs acos acosh asin asinh atan atanh cos cosh exp floor ceil trunc isfinite isinf isnan log "
            "log1p log2 log10 logical_not negative=neg reciprocal signbit sin sinh sqrt tan bitwise_invert=bitwise_not"
        ).split()
    )
}
_BINARY = {
    name: theirs or name
    for name, _, theirs in (
        entry.partition("=")
        for entry in (
            "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide=div "
            "equal=eq greater=gt greater_equal=ge hypot less=lt less_equal=le logaddexp logical_and "
            "logical_or logical_xor maximum minimum multiply=mul nextafter not_equal=ne pow subtract=sub"
        ).split()
    )
}


def _named(function, name, doc):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return standard(function)


def _unary(name, ours):
    f = getattr(_C, ours)

    def function(x, /):
        return f(x)

    return _named(function, name, f"`hadamard.{ours}`, element by element.")


def _binary(name, ours):
    f = getattr(_C, ours)

    def function(x1, x2, /):
        return f(*promoted(x1, x2))

    return _named(function, name, f"`hadamard.{ours}`, element by element, on the promoted dtype.")


for _name, _ours in _UNARY.items():
    globals()[_name] = _unary(_name, _ours)
for _name, _ours in _BINARY.items():
    globals()[_name] = _binary(_name, _ours)
__all__ += [*_UNARY, *_BINARY]


@standard
def positive(x, /):
    """x itself."""
    return x.clone()


@standard
def square(x, /):
    """x times x."""
    return x * x


@standard
def sign(x, /):
    """-1, 0 or 1; for complex numbers x / |x|; NaN of NaN."""
    y = _C.sgn(x)
    return _C.where(x != x, x, y) if x.is_floating_point() or x.is_complex() else y


@standard
def floor_divide(x1, x2, /):
    """The floor of the quotient."""
    return _array.floor_divide(*promoted(x1, x2))


@standard
def remainder(x1, x2, /):
    """What is left of x1 after whole multiples of x2, with the sign of x2."""
    return _array.remainder(*promoted(x1, x2))


@standard
def expm1(x, /):
    """exp(x) - 1, exact near zero."""
    y = _C.expm1(x)
    if not x.is_complex():
        return y
    y = _C.complex(y.real + 0.0, y.imag)  # +0 where the real part is -0
    if bool(_C.isfinite(x).all()):
        return y
    # C99's limits where a part is not finite: the modulus decides first, an angle of zero stays one.
    a, b = x.real, x.imag
    wild = ~_C.isfinite(b)
    re = _C.where(a == float("inf"), a, _C.where(a == -float("inf"), -_C.ones_like(a), y.real))
    im = _C.where(b == 0, b, _C.where(a == -float("inf"), _C.zeros_like(b), y.imag))
    turned = (a == float("inf")) & ~wild & (b != 0)
    re = _C.where(turned, a * _C.cos(b), re)
    im = _C.where(turned, a * _C.sin(b), im)
    return _C.complex(re, im)


@standard
def tanh(x, /):
    """The hyperbolic tangent."""
    y = _C.tanh(x)
    if not x.is_complex() or bool(_C.isfinite(x.real).all()):
        return y
    far = _C.isinf(x.real) & _C.isfinite(x.imag)
    return _C.complex(y.real, _C.where(far, _C.copysign(_C.zeros_like(x.imag), x.imag), y.imag))


@standard
def round(x, /):
    """The nearest integers, halves to the even one; of complex numbers both parts."""
    return _C.complex(_C.round(x.real), _C.round(x.imag)) if x.is_complex() else _C.round(x)


@standard
def conj(x, /):
    """The complex conjugate."""
    return _C.conj(x)


@standard
def real(x, /):
    """The real part."""
    return x.real


@standard
def imag(x, /):
    """The imaginary part; zeros of real numbers."""
    return x.imag if x.is_complex() else _C.zeros_like(x)


@standard
def clip(x, /, min=None, max=None):
    """x within bounds: arrays, which take part in promotion, or numbers; NaN where any of them is."""
    bounds = [b for b in (min, max) if b is not None]
    if any(isinstance(b, Tensor) for b in bounds):
        x, *bounds = promoted(x, *bounds)
        if min is not None:
            x = _C.maximum(x, bounds[0])
        return x if max is None else _C.minimum(x, bounds[-1])
    return _within(x, min, max)


def _within(x, min, max):
    # Numbers beyond x's dtype bound nothing, or everything; float bounds of integers are met by integers.
    if x.is_floating_point() or x.dtype is _C.bool:
        lo, hi = min, max
    else:
        from math import ceil, floor

        from .._size import iinfo

        info = iinfo(x.dtype)

        def whole(b, rounded, nothing):
            if b is None or b == nothing:
                return None
            b = rounded(b) if abs_finite(b) else (info.max if b > 0 else info.min)
            return info.min if b < info.min else info.max if b > info.max else b

        def abs_finite(b):
            return b == b and b not in (float("inf"), float("-inf"))

        lo, hi = whole(min, ceil, float("-inf")), whole(max, floor, float("inf"))
    if lo is None and hi is None:
        return x.clone()
    return _C.clamp(x, lo, hi)
