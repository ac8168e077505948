"""Special functions under the names of torch.special: error functions, gamma functions, orthogonal polynomials.

Each takes a tensor and gives one of its shape; integers become the default floating dtype. All have gradients.
"""

import math

import hadamard as H
from hadamard import _C

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


def _floating(x):
    return x if x.is_floating_point() or x.is_complex() else x.to(H.get_default_dtype())


def _put(y, out):
    if out is None:
        return y
    if out.shape != y.shape:
        out.resize_(y.shape)
    return out.copy_(y)


def entr(input, *, out=None):
    """-x · log(x), 0 at 0, -inf below.

    >>> import hadamard as H
    >>> H.special.entr(H.tensor([0.0, 1.0, -1.0]))
    tensor([0., -0., -inf])
    """
    x = _floating(input)
    inside = H.where(x > 0, x, 1.0)
    y = H.where(x > 0, -inside * inside.log(), H.where(x == 0, 0.0, -math.inf))
    return _put(H.where(x != x, x, y), out)


def logit(input, eps=None, *, out=None):
    """log(x / (1 - x)); with `eps`, x is first brought into [eps, 1 - eps].

    >>> import hadamard as H
    >>> H.special.logit(H.tensor([0.5]))
    tensor([0.])
    """
    x = _floating(input)
    if x.is_complex():
        kind = {"complex64": "ComplexFloat", "complex128": "ComplexDouble"}[str(x.dtype).rpartition(".")[2]]
        raise NotImplementedError(f"\"logit_cpu\" not implemented for '{kind}'")
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return _put((x / (1 - x)).log(), out)


def xlog1py(input, other, *, out=None):
    """x · log(1 + y), 0 where x is 0 (unless y is NaN)."""
    x = _floating(input if isinstance(input, H.Tensor) else H.tensor(input))
    y = _floating(other if isinstance(other, H.Tensor) else H.tensor(other))
    zero = (x == 0) & (y == y)
    return _put(H.where(zero, 0.0, x * H.where(zero, 0.0, y).log1p()), out)


def ndtr(input, *, out=None):
    """The distribution function of the normal distribution: ½ erfc(-x / √2)."""
    return _put(0.5 * (_floating(input) * -math.sqrt(0.5)).erfc(), out)


def ndtri(input, *, out=None):
    """The inverse of `ndtr`."""
    p = _floating(input)
    x = (2 * p - 1).erfinv() * math.sqrt(2)
    # 2 p - 1 has lost what p had near 0: one step of Newton's method brings it back.
    ends = x.isinf() | (x != x)
    inside = H.where(ends, 0.0, x)
    density = (-0.5 * inside * inside).exp() / math.sqrt(2 * math.pi)
    return _put(H.where(ends, x, inside - (ndtr(inside) - p) / density), out)


def erfcx(input, *, out=None):
    """exp(x²) · erfc(x), which does not underflow.

    >>> import hadamard as H
    >>> H.special.erfcx(H.tensor([0.0, 10.0]))
    tensor([1.0000, 0.0561])
    """
    x = _floating(input)
    large = x > 4
    near = H.where(large, 1.0, x)
    far = H.where(large, x, 4.0)
    # Laplace's continued fraction; 40 terms are exact to double precision from 4 on.
    f = far
    for k in range(40, 0, -1):
        f = far + (k / 2) / f
    return _put(H.where(large, 1 / (f * math.sqrt(math.pi)), (near * near).exp() * near.erfc()), out)


def log_ndtr(input, *, out=None):
    """The logarithm of `ndtr`, accurate also far below 0."""
    x = _floating(input)
    low = x < -1
    below = H.where(low, x, -1.0)
    above = H.where(low, 0.0, x)
    t = below * math.sqrt(0.5)
    return _put(H.where(low, (erfcx(-t) / 2).log() - t * t, (-0.5 * (above * math.sqrt(0.5)).erfc()).log1p()), out)


def multigammaln(input, p, *, out=None):
    """The logarithm of the multivariate gamma function of dimension p."""
    a = _floating(input)
    if not bool((a > (p - 1) / 2).all()):
        raise RuntimeError(f"All elements must be greater than (p-1)/2, but p is {p}")
    y = H.full_like(a, p * (p - 1) / 4 * math.log(math.pi))
    for j in range(p):
        y = y + (a - j / 2).lgamma()
    return _put(y, out)


def polygamma(n, input, *, out=None):
    """The n-th derivative of `digamma`."""
    if not isinstance(n, int):
        n, input = input, n
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    x = _floating(input)
    if n == 0:
        return _put(x.digamma(), out)
    return _put((-1) ** (n + 1) * math.factorial(n) * zeta(H.full((), n + 1, dtype=x.dtype), x), out)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def zeta(input, other, *, out=None):
    """The Hurwitz zeta function Σ 1 / (k + q)ˣ for x > 1 and q > 0."""
    x = _floating(input if isinstance(input, H.Tensor) else H.tensor(input))
    q = _floating(other if isinstance(other, H.Tensor) else H.tensor(other))
    # Twelve terms, then Euler and Maclaurin's formula for the rest.
    y = 0
    for k in range(12):
        y = y + (q + k) ** -x
    a = q + 12
    power = a**-x
    y = y + power * a / (x - 1) + power / 2
    factor = x
    for i, b in enumerate(_BERNOULLI):
        power = power / a
        y = y + b / math.factorial(2 * i + 2) * factor * power
        power = power / a
        factor = factor * (x + 2 * i + 1) * (x + 2 * i + 2)
    y = H.where(x == 1, math.inf, y)
    return _put(H.where((x < 1) | (q <= 0), math.nan, y), out)


# Bessel functions of imaginary argument: the series near 0, the asymptotic expansion far from it.

_NEAR = 16.0


def _bessel(x, order, scaled):
    x = _floating(x)
    a = x.abs()
    small = a <= _NEAR
    near, far = H.where(small, a, 1.0), H.where(small, _NEAR, a)
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
    y = H.where(small, series * (-near).exp(), tail) if scaled else H.where(small, series, tail * far.exp())
    return y * x.sign() if order else y


def i0(input, *, out=None):
    """The modified Bessel function of the first kind of order 0.

    >>> import hadamard as H
    >>> H.special.i0(H.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return _put(_bessel(input, 0, False), out)


def i0e(input, *, out=None):
    """`i0` times exp(-|x|)."""
    return _put(_bessel(input, 0, True), out)


def i1(input, *, out=None):
    """The modified Bessel function of the first kind of order 1."""
    return _put(_bessel(input, 1, False), out)


def i1e(input, *, out=None):
    """`i1` times exp(-|x|)."""
    return _put(_bessel(input, 1, True), out)


modified_bessel_i0 = i0
modified_bessel_i1 = i1


def spherical_bessel_j0(input, *, out=None):
    """sin(x) / x, 1 at 0."""
    return _put((_floating(input) / math.pi).sinc(), out)


# Orthogonal polynomials, by their recurrences


def _polynomial(input, n, first, step, out):
    # The n-th polynomial, from p0 = 1, p1 = first(x) and p = step(k, x, p_k, p_(k-1)); n may be a tensor.
    x = _floating(input if isinstance(input, H.Tensor) else H.tensor(input))
    several = isinstance(n, H.Tensor)
    top = int(n.max()) if several and n.numel() else 0 if several else int(n)
    y = H.zeros_like(x + n) if several else None
    last, p = None, H.ones_like(x)
    for k in range(top + 1):
        if k:
            last, p = p, first(x) if k == 1 else step(k - 1, x, p, last)
        if several:
            y = H.where(n.trunc() == k if n.is_floating_point() else n == k, p, y)
    return _put(y if several else p if top >= 0 else H.zeros_like(x), out)


def chebyshev_polynomial_t(input, n, *, out=None):
    """Chebyshev's polynomial of the first kind: cos(n · arccos(x)).

    >>> import hadamard as H
    >>> H.special.chebyshev_polynomial_t(H.tensor([0.5]), 2)
    tensor([-0.5000])
    """
    return _polynomial(input, n, lambda x: x, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_u(input, n, *, out=None):
    """Chebyshev's polynomial of the second kind."""
    return _polynomial(input, n, lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_v(input, n, *, out=None):
    """Chebyshev's polynomial of the third kind."""
    return _polynomial(input, n, lambda x: 2 * x - 1, lambda k, x, p, q: 2 * x * p - q, out)


def chebyshev_polynomial_w(input, n, *, out=None):
    """Chebyshev's polynomial of the fourth kind."""
    return _polynomial(input, n, lambda x: 2 * x + 1, lambda k, x, p, q: 2 * x * p - q, out)


def _shifted(polynomial):
    def shifted(input, n, *, out=None):
        x = input if isinstance(input, H.Tensor) else H.tensor(input)
        return polynomial(2 * x - 1, n, out=out)

    shifted.__name__ = shifted.__qualname__ = "shifted_" + polynomial.__name__
    shifted.__doc__ = f"`{polynomial.__name__}` of 2 x - 1."
    return shifted


shifted_chebyshev_polynomial_t = _shifted(chebyshev_polynomial_t)
shifted_chebyshev_polynomial_u = _shifted(chebyshev_polynomial_u)
shifted_chebyshev_polynomial_v = _shifted(chebyshev_polynomial_v)
shifted_chebyshev_polynomial_w = _shifted(chebyshev_polynomial_w)


def hermite_polynomial_h(input, n, *, out=None):
    """The physicists' Hermite polynomial."""
    return _polynomial(input, n, lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - 2 * k * q, out)


def hermite_polynomial_he(input, n, *, out=None):
    """The probabilists' Hermite polynomial."""
    return _polynomial(input, n, lambda x: x, lambda k, x, p, q: x * p - k * q, out)


def laguerre_polynomial_l(input, n, *, out=None):
    """Laguerre's polynomial."""
    return _polynomial(input, n, lambda x: 1 - x, lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1), out)


def legendre_polynomial_p(input, n, *, out=None):
    """Legendre's polynomial."""
    return _polynomial(input, n, lambda x: x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1), out)
