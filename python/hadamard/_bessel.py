"""Bessel functions of the first and second kind and modified ones, of orders 0 and 1; computed in float64.

Each takes a tensor and gives one of its shape; integers become the default floating dtype. As in torch, no gradients.
"""

import math

import hadamard as H
from hadamard._common import into, scalar_name

__all__ = (
    "bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 "
    "scaled_modified_bessel_k1"
).split()

_EULER = 0.57721566490153286061
_FAR = 25.0  # from here on the asymptotic series of J and Y have double precision


def _bessel(name, formula, about):
    def function(input, *, out=None):
        x = input if input.is_floating_point() or input.is_complex() else input.to(H.get_default_dtype())
        if x.dtype not in (H.float32, H.float64):
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(x.dtype)}'")
        with H.no_grad():
            return into(out, formula(x.detach().double()).to(x.dtype))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = about
    return function


def _hankel(order, x):
    """J = P cos w - Q sin w and Y = P sin w + Q cos w for x from _FAR on (DLMF 10.17.3)."""
    mu = 4.0 * order * order
    p, q, term = H.ones_like(x), H.zeros_like(x), H.ones_like(x)
    for k in range(1, 25):
        term = term * (mu - (2 * k - 1) ** 2) / (k * 8 * x)
        sign = -1.0 if k % 4 in (2, 3) else 1.0
        if k % 2:
            q = q + sign * term
        else:
            p = p + sign * term
    w = x - (order / 2 + 0.25) * math.pi
    size = (2 / (math.pi * x)).sqrt()
    return size * (p * w.cos() - q * w.sin()), size * (p * w.sin() + q * w.cos())


def _integrals(x, orders):
    """J of these integer orders for |x| < _FAR: ∫ cos(nθ - x sin θ) dθ / π, by the trapezoidal rule, which converges
    geometrically for a periodic function (DLMF 10.9.2)."""
    points = 80 + 2 * max(orders)
    theta = (H.arange(points, dtype=H.float64) + 0.5) * (2 * math.pi / points)
    inside = x.unsqueeze(-1) * theta.sin()
    even, odd = inside.cos(), inside.sin()
    turned = {n: (n * theta).sin() if n % 2 else (n * theta).cos() for n in orders}
    return [((odd if n % 2 else even) * turned[n]).mean(-1) for n in orders]


def _first(order):
    def j(x):
        size = x.abs()
        far = size >= _FAR
        near = _integrals(H.where(far, 1.0, x), [order])[0]
        away = _hankel(order, H.where(far, size, _FAR))[0]
        return H.where(far, away * x.sign() if order else away, H.where(x != x, x, near))

    return j


def _second(order):
    """Neumann's series in J of even orders near 0 (DLMF 10.8.1 and its derivative)."""

    def y(x):
        far = x >= _FAR
        near = H.where((x > 0) & ~far, x, 1.0)
        js = _integrals(near, range(64))
        log = (near / 2).log() + _EULER
        if order == 0:
            total = sum((-1) ** k / k * js[2 * k] for k in range(1, 31))
            value = 2 / math.pi * (log * js[0] - 2 * total)
        else:
            total = sum((-1) ** k / k * (js[2 * k - 1] - js[2 * k + 1]) for k in range(1, 31))
            value = 2 / math.pi * (log * js[1] - js[0] / near + total)
        value = H.where(far, _hankel(order, H.where(far, x, _FAR))[1], value)
        return H.where(x > 0, value, H.where(x == 0, -math.inf, math.nan))

    return y


def _third(order, scaled):
    """The power series up to 1 (DLMF 10.31.1-2), then ∫ exp(-x cosh t) cosh(order t) dt by the trapezoidal rule in
    steps that suit the width of the peak (DLMF 10.32.9)."""

    def k(x):
        small = H.where((x > 0) & (x <= 1), x, 1.0)
        quarter, term, harmonic = small * small / 4, H.ones_like(x), 0.0
        log = (small / 2).log()
        i, other = H.zeros_like(x), H.zeros_like(x)
        for n in range(15):
            if order == 0:
                i, other = i + term, other + term * (harmonic - _EULER)
            else:
                i, other = i + term, other + term * (2 * harmonic + 1 / (n + 1) - 2 * _EULER) / 2
            harmonic += 1 / (n + 1)
            term = term * quarter / ((n + 1) * (n + 1 + order))
        series = other - log * i if order == 0 else 1 / small + small / 2 * (log * i - other)
        large = H.where((x > 1) & (x < math.inf), x, 1.0)
        # cosh t - 1 = 2 sinh²(t / 2) = 40 / x at the end.
        end = 2 * (20 / large).sqrt().asinh()
        t = end.unsqueeze(-1) * (H.arange(65, dtype=H.float64) / 64)
        values = (-2 * large.unsqueeze(-1) * (t / 2).sinh() ** 2).exp() * (t.cosh() if order else 1.0)
        integral = end / 64 * (values.sum(-1) - values[..., 0] / 2)
        if scaled:
            value = H.where(x <= 1, series * small.exp(), integral)
        else:
            value = H.where(x <= 1, series, integral * (-large).exp())
        value = H.where(x == math.inf, 0.0, value)
        return H.where(x > 0, value, H.where(x == 0, math.inf, math.nan))

    return k


bessel_j0 = _bessel(
    "bessel_j0",
    _first(0),
    """The Bessel function of the first kind of order 0.

    >>> import hadamard as H
    >>> H.special.bessel_j0(H.tensor([0.0, 1.0, 30.0]))
    tensor([ 1.0000,  0.7652, -0.0864])
    """,
)
bessel_j1 = _bessel(
    "bessel_j1",
    _first(1),
    """The Bessel function of the first kind of order 1.

    >>> import hadamard as H
    >>> H.special.bessel_j1(H.tensor([0.0, 1.0, -30.0]))
    tensor([0.0000, 0.4401, 0.1188])
    """,
)
bessel_y0 = _bessel(
    "bessel_y0",
    _second(0),
    """The Bessel function of the second kind of order 0; NaN below 0.

    >>> import hadamard as H
    >>> H.special.bessel_y0(H.tensor([0.0, 1.0]))
    tensor([  -inf, 0.0883])
    """,
)
bessel_y1 = _bessel(
    "bessel_y1",
    _second(1),
    """The Bessel function of the second kind of order 1; NaN below 0.

    >>> import hadamard as H
    >>> H.special.bessel_y1(H.tensor([1.0]))
    tensor([-0.7812])
    """,
)
modified_bessel_k0 = _bessel(
    "modified_bessel_k0",
    _third(0, False),
    """The modified Bessel function of the second
    kind of order 0; NaN below 0.

    >>> import hadamard as H
    >>> H.special.modified_bessel_k0(H.tensor([1.0]))
    tensor([0.4210])
    """,
)
modified_bessel_k1 = _bessel(
    "modified_bessel_k1",
    _third(1, False),
    """The modified Bessel function of the second
    kind of order 1; NaN below 0.

    >>> import hadamard as H
    >>> H.special.modified_bessel_k1(H.tensor([1.0]))
    tensor([0.6019])
    """,
)
scaled_modified_bessel_k0 = _bessel(
    "scaled_modified_bessel_k0",
    _third(0, True),
    """`modified_bessel_k0` times exp(x).

    >>> import hadamard as H
    >>> H.special.scaled_modified_bessel_k0(H.tensor([1000.0]))
    tensor([0.0396])
    """,
)
scaled_modified_bessel_k1 = _bessel(
    "scaled_modified_bessel_k1",
    _third(1, True),
    """`modified_bessel_k1` times exp(x).

    >>> import hadamard as H
    >>> H.special.scaled_modified_bessel_k1(H.tensor([1000.0]))
    tensor([0.0396])
    """,
)
