"""Special functions under the names of torch.special: error functions, gamma functions, orthogonal polynomials.

Each takes a tensor and gives one of its shape; integers become the default floating dtype. All have gradients.
"""

import math

import hadamard as H
from hadamard import _C
from hadamard._bessel import *  # noqa: F403
from hadamard._common import into, scalar_name
from hadamard._incomplete_gamma import gammainc, gammaincc  # noqa: F401

# The same functions under their names here.
digamma = psi = _C.digamma
erf = _C.erf
erfc = _C.erfc
erfinv = _C.erfinv
exp2 = _C.exp2
expit = _C.sigmoid
expm1 = _C.expm1
gammaln = _C.lgamma
log1p = _C.log1p
log_softmax = _C.log_softmax
logsumexp = _C.logsumexp
round = _C.round
sinc = _C.sinc
softmax = _C.softmax
xlogy = _C.xlogy


def _floating(x, kernel=None, half=True):
    """x, integers as the default floating dtype; refused where torch has no `kernel` for its dtype."""
    x = x if x.is_floating_point() or x.is_complex() else x.to(H.get_default_dtype())
    if kernel and (x.is_complex() or not half and x.dtype in (H.float16, H.bfloat16)):
        raise NotImplementedError(f"\"{kernel}_cpu\" not implemented for '{scalar_name(x.dtype)}'")
    return x


def _two(name, a, b):
    """Two operands of which one may be a number."""
    if not isinstance(a, H.Tensor) and not isinstance(b, H.Tensor):
        kinds = f"{type(a).__name__}, {type(b).__name__}"
        raise TypeError(
            f"special_{name}() received an invalid combination of arguments - got ({kinds}), but expected one of:"
            " (Tensor, Tensor), (Tensor, Number), (Number, Tensor)".replace(": ", ":\n")
        )
    return (x if isinstance(x, H.Tensor) else H.tensor(x) for x in (a, b))


def entr(input, *, out=None):
    """-x · log(x), 0 at 0, -inf below.

    >>> import hadamard as H
    >>> H.special.entr(H.tensor([0.0, 1.0, -1.0]))
    tensor([0., -0., -inf])
    """
    x = _floating(input, "entr")
    inside = H.where(x > 0, x, 1.0)
    y = H.where(x > 0, -inside * inside.log(), H.where(x == 0, x, -math.inf))
    return into(out, H.where(x != x, x, y))


def logit(input, eps=None, *, out=None):
    """log(x / (1 - x)); with `eps`, x is first brought into [eps, 1 - eps].

    >>> import hadamard as H
    >>> H.special.logit(H.tensor([0.5]))
    tensor([0.])
    """
    x = _floating(input, "logit")
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return into(out, (x / (1 - x)).log())


def xlog1py(input, other, *, out=None):
    """x · log(1 + y), 0 where x is 0 (unless y is NaN)."""
    x, y = (_floating(t, "xlog1py") for t in _two("xlog1py", input, other))
    zero = (x == 0) & (y == y)
    return into(out, H.where(zero, 0.0, x * H.where(zero, 0.0, y).log1p()))


def ndtr(input, *, out=None):
    """The distribution function of the normal distribution: ½ erfc(-x / √2)."""
    return into(out, 0.5 * (_floating(input, "erf_vml") * -math.sqrt(0.5)).erfc())


def ndtri(input, *, out=None):
    """The inverse of `ndtr`."""
    p = _floating(input, "ndtri", half=False)
    x = (2 * p - 1).erfinv() * math.sqrt(2)
    # 2 p - 1 has lost what p had near 0: one step of Newton's method brings it back.
    ends = x.isinf() | (x != x)
    inside = H.where(ends, 0.0, x)
    density = (-0.5 * inside * inside).exp() / math.sqrt(2 * math.pi)
    return into(out, H.where(ends, x, inside - (ndtr(inside) - p) / density))


def erfcx(input, *, out=None):
    """exp(x²) · erfc(x), which does not underflow.

    >>> import hadamard as H
    >>> H.special.erfcx(H.tensor([0.0, 10.0]))
    tensor([1.0000, 0.0561])
    """
    x = _floating(input, "erfcx", half=False)
    large = x > 4
    near = H.where(large, 1.0, x)
    far = H.where(large, x, 4.0)
    # Laplace's continued fraction; 40 terms are exact to double precision from 4 on.
    f = far
    for k in range(40, 0, -1):
        f = far + (k / 2) / f
    return into(out, H.where(large, 1 / (f * math.sqrt(math.pi)), (near * near).exp() * near.erfc()))


def log_ndtr(input, *, out=None):
    """The logarithm of `ndtr`, accurate also far below 0."""
    x = _floating(input, "log_ndtr", half=False)
    low = x < -1
    below = H.where(low, x, -1.0)
    above = H.where(low, 0.0, x)
    t = below * math.sqrt(0.5)
    return into(out, H.where(low, (erfcx(-t) / 2).log() - t * t, (-0.5 * (above * math.sqrt(0.5)).erfc()).log1p()))


def multigammaln(input, p, *, out=None):
    """The logarithm of the multivariate gamma function of dimension p."""
    if input.dtype == H.bool:
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    a = _floating(input, "arange")
    if not bool((a > (p - 1) / 2).all()):
        raise RuntimeError(f"All elements must be greater than (p-1)/2, but p is {p}")
    y = H.full_like(a, p * (p - 1) / 4 * math.log(math.pi))
    for j in range(p):
        y = y + (a - j / 2).lgamma()
    return into(out, y)


def polygamma(n, input, *, out=None):
    """The n-th derivative of `digamma`."""
    if not isinstance(n, int):
        n, input = input, n
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return into(out, _C.digamma(input))
    x = _floating(input)
    if x.is_complex():
        kernel = "trigamma" if n == 1 else "polygamma"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(x.dtype)}'")
    return into(out, _Polygamma.apply(n, x))


class _Polygamma(H.autograd.Function):
    @staticmethod
    def forward(ctx, n, x):
        ctx.n = n
        ctx.save_for_backward(x)
        wide = x.double()
        if n == 1:
            # ψ'(x) + ψ'(1 - x) = (π / sin(πx))²; at a pole, torch too has what rounding makes of it.
            mirrored = wide < 0.5
            y = zeta(H.tensor(2.0, dtype=H.float64), H.where(mirrored, 1 - wide, wide))
            y = H.where(mirrored, (math.pi / (math.pi * x).sin()).double() ** 2 - y, y)
            y = H.where(wide == 0, math.inf, y)
        else:
            y = (-1) ** (n + 1) * math.factorial(n) * zeta(H.tensor(n + 1.0, dtype=H.float64), wide)
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return None, g * polygamma(ctx.n + 1, x)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def zeta(input, other, *, out=None):
    """The Hurwitz zeta function Σ 1 / (k + q)ˣ for x > 1; q below 0 takes integers x, and is a pole where it is one."""
    x, q = (_floating(t, "zeta", half=False) for t in _two("zeta", input, other))
    # Twelve terms, more to come from below 0, then Euler and Maclaurin's formula for the rest.
    lowest = float(q.detach().min()) if q.numel() and not q.is_meta else 0.0
    terms = 12 + (math.ceil(min(-lowest, 10000.0)) if lowest < 0 else 0)
    y = 0
    for k in range(terms):
        y = y + (q + k) ** -x
    a = q + terms
    power = a**-x
    y = y + power * a / (x - 1) + power / 2
    factor = x
    for i, b in enumerate(_BERNOULLI):
        power = power / a
        y = y + b / math.factorial(2 * i + 2) * factor * power
        power = power / a
        factor = factor * (x + 2 * i + 1) * (x + 2 * i + 2)
    y = H.where((q <= 0) & (x != x.floor()), math.nan, y)
    y = H.where((x == 1) | (q <= 0) & (q == q.floor()), math.inf, y)
    return into(out, H.where(x < 1, math.nan, y))


# Bessel functions of imaginary argument: the series near 0, the asymptotic expansion far from it.

_NEAR = 16.0


def _bessel(x, order, scaled, kernel, half=True):
    given = _floating(x, kernel, half)
    x = given.double()
    small = x.abs() <= _NEAR
    near, far = H.where(small, x, 1.0), H.where(small, _NEAR, x.abs())
    quarter = near * near / 4
    term = H.ones_like(near) if order == 0 else near / 2
    series = term
    for k in range(1, 45):
        term = term * quarter / (k * (k + order))
        series = series + term
    term = H.ones_like(far)
    tail = term
    for k in range(1, 25):
        term = term * -(4 * order * order - (2 * k - 1) ** 2) / (k * 8 * far)
        tail = tail + term
    tail = tail / (far * (2 * math.pi)).sqrt()
    tail = tail * x.sign() if order else tail
    y = H.where(small, series * (-near.abs()).exp(), tail) if scaled else H.where(small, series, tail * far.exp())
    return y.to(given.dtype)


def i0(input, *, out=None):
    """The modified Bessel function of the first kind of order 0.

    >>> import hadamard as H
    >>> H.special.i0(H.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return into(out, _bessel(input, 0, False, "i0_vml"))


def i0e(input, *, out=None):
    """`i0` times exp(-|x|)."""
    return into(out, _bessel(input, 0, True, "i0e"))


def i1(input, *, out=None):
    """The modified Bessel function of the first kind of order 1."""
    return into(out, _bessel(input, 1, False, "i1"))


def i1e(input, *, out=None):
    """`i1` times exp(-|x|)."""
    return into(out, _bessel(input, 1, True, "i1e"))


def modified_bessel_i0(input, *, out=None):
    """`i0`, of single and double precision only."""
    return into(out, _bessel(input, 0, False, "modified_bessel_i0", half=False))


def modified_bessel_i1(input, *, out=None):
    """`i1`, under its other name."""
    return into(out, _bessel(input, 1, False, "modified_bessel_i1", half=False))


def spherical_bessel_j0(input, *, out=None):
    """sin(x) / x, 1 at 0."""
    return into(out, (_floating(input, "spherical_bessel_j0", half=False) / math.pi).sinc())


# Orthogonal polynomials, by their recurrences


def _polynomial(name, input, n, first, step, out, shifted=False):
    # The n-th polynomial, from p0 = 1, p1 = first(x) and p = step(k, x, p_k, p_(k-1)); n may be a tensor.
    x, degree = _two(name, input, n)
    x = _floating(x, name, half=False)
    _floating(degree, name, half=False)
    if shifted:
        x = 2 * x - 1
    several = isinstance(n, H.Tensor)
    top = int(n.max()) if several and n.numel() else 0 if several else int(n)
    y = H.zeros_like(x + n) if several else None
    last, p = None, H.ones_like(x)
    for k in range(top + 1):
        if k:
            last, p = p, first(x) if k == 1 else step(k - 1, x, p, last)
        if several:
            y = H.where(n.trunc() == k if n.is_floating_point() else n == k, p, y)
    return into(out, y if several else p if top >= 0 else H.zeros_like(x))


def chebyshev_polynomial_t(input, n, *, out=None):
    """Chebyshev's polynomial of the first kind: cos(n · arccos(x)).

    >>> import hadamard as H
    >>> H.special.chebyshev_polynomial_t(H.tensor([0.5]), 2)
    tensor([-0.5000])
    """
    return _polynomial("chebyshev_polynomial_t", input, n, lambda x: x, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_u(input, n, *, out=None):
    """Chebyshev's polynomial of the second kind."""
    return _polynomial("chebyshev_polynomial_u", input, n, lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_v(input, n, *, out=None):
    """Chebyshev's polynomial of the third kind."""
    return _polynomial("chebyshev_polynomial_v", input, n, lambda x: 2 * x - 1, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_w(input, n, *, out=None):
    """Chebyshev's polynomial of the fourth kind."""
    return _polynomial("chebyshev_polynomial_w", input, n, lambda x: 2 * x + 1, lambda k, x, p, q: 2 * x * p - q, out)


def _shifted(name, first):
    def shifted(input, n, *, out=None):
        return _polynomial(name, input, n, first, lambda k, x, p, q: 2 * x * p - q, out, shifted=True)

    shifted.__name__ = shifted.__qualname__ = name
    shifted.__doc__ = f"`{name[8:]}` of 2 x - 1."
    return shifted


shifted_chebyshev_polynomial_t = _shifted("shifted_chebyshev_polynomial_t", lambda x: x)
shifted_chebyshev_polynomial_u = _shifted("shifted_chebyshev_polynomial_u", lambda x: 2 * x)
shifted_chebyshev_polynomial_v = _shifted("shifted_chebyshev_polynomial_v", lambda x: 2 * x - 1)
shifted_chebyshev_polynomial_w = _shifted("shifted_chebyshev_polynomial_w", lambda x: 2 * x + 1)


def hermite_polynomial_h(input, n, *, out=None):
    """The physicists' Hermite polynomial."""
    return _polynomial("hermite_polynomial_h", input, n, lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - 2 * k * q, out)


def hermite_polynomial_he(input, n, *, out=None):
    """The probabilists' Hermite polynomial."""
    return _polynomial("hermite_polynomial_he", input, n, lambda x: x, lambda k, x, p, q: x * p - k * q, out)


def laguerre_polynomial_l(input, n, *, out=None):
    """Laguerre's polynomial."""
    return _polynomial(
        "laguerre_polynomial_l",
        input,
        n,
        lambda x: 1 - x,
        lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1),
        out,
    )


def legendre_polynomial_p(input, n, *, out=None):
    """Legendre's polynomial."""
    return _polynomial(
        "legendre_polynomial_p", input, n, lambda x: x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1), out
    )
