"""The regularised incomplete gamma functions, computed in float64."""

import math

import hadamard as H
from hadamard import _C
from hadamard._common import expect_tensor, into, scalar_name

__all__ = ["gammainc", "gammaincc"]

_MOST = 100_000  # terms; about six times the root of the first argument are needed


def _factor(a, x):
    # xᵃ e⁻ˣ / Γ(a + 1), by way of log1p where a is large, so that nothing cancels.
    plain = (a * x.log() - x - (a + 1).lgamma()).exp()
    wide = H.where(a > 100, a, 100.0)
    d = (x - wide) / wide
    stirling = 1 / (12 * wide) - 1 / (360 * wide**3) + 1 / (1260 * wide**5)
    close = d.abs() < 0.5
    safe = H.where(close, d, 0.0)
    careful = (wide * (safe.log1p() - safe) - stirling).exp() / (2 * math.pi * wide).sqrt()
    return H.where((a > 100) & close, careful, plain)


def _lower_series(a, x):
    """P(a, x) = xᵃ e⁻ˣ / Γ(a + 1) · Σ xⁿ / ((a + 1) … (a + n)) (DLMF 8.11.4), for x < a + 1."""
    term = total = H.ones_like(x)
    for n in range(1, _MOST):
        term = term * x / (a + n)
        total = total + term
        if bool((term <= total * 1e-17).all()):
            break
    return _factor(a, x) * total


def _upper_fraction(a, x):
    """Q(a, x) by its continued fraction (DLMF 8.9.2), evaluated by Lentz's method, for x >= a + 1."""
    b = x + 1 - a
    c, d = H.full_like(x, 1e300), 1 / b
    h = d
    for n in range(1, _MOST):
        an = -n * (n - a)
        b = b + 2
        d = an * d + b
        d = 1 / H.where(d.abs() < 1e-300, 1e-300, d)
        c = b + an / c
        c = H.where(c.abs() < 1e-300, 1e-300, c)
        step = c * d
        h = h * step
        if bool(((step - 1).abs() < 1e-16).all()):
            break
    return _factor(a, x) * a * h


def _both(a, x, upper):
    ordinary = (a > 0) & (x > 0) & (a < math.inf) & (x < math.inf)
    below = ordinary & (x < a + 1)
    above = ordinary & ~below
    low = _lower_series(H.where(below, a, 1.0), H.where(below, x, 0.5))
    high = _upper_fraction(H.where(above, a, 1.0), H.where(above, x, 3.0))
    y = H.where(below, 1 - low if upper else low, high if upper else 1 - high)
    left, right = (1.0, 0.0) if upper else (0.0, 1.0)
    y = H.where(x == 0, left, y)
    y = H.where(a == 0, right, y)
    y = H.where(x == math.inf, right, y)
    y = H.where(a == math.inf, left, y)
    bad = (a < 0) | (x < 0) | (a == 0) & (x == 0) | (a == math.inf) & (x == math.inf) | (a != a) | (x != x)
    return H.where(bad, math.nan, y)


class Igamma(H.autograd.Function):
    @staticmethod
    def forward(ctx, a, x, upper):
        ctx.save_for_backward(a, x)
        ctx.upper = upper
        wide = _C.broadcast_tensors(a.detach().double(), x.detach().double())
        return _both(*wide, upper).to(_C.result_type(a, x))

    @staticmethod
    def backward(ctx, g):
        a, x = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            name = "igammac" if ctx.upper else "igamma"
            raise NotImplementedError(f"the derivative for '{name}: input' is not implemented.")
        slope = ((a - 1) * x.log() - x - a.lgamma()).exp()
        return None, (g * (-slope if ctx.upper else slope)).sum_to_size(x.shape), None


def _incomplete(name, input, other, out):
    expect_tensor(name, "input", 1, input)
    expect_tensor(name, "other", 2, other)
    dtype = _C.result_type(input, other)
    if not dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(dtype)}'")
    return into(out, Igamma.apply(input, other, name == "igammac"))


def gammainc(input, other, *, out=None):
    """P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a), for a = input > 0 and x = other >= 0. Gradients flow to `other` alone.

    >>> import hadamard as H
    >>> H.special.gammainc(H.tensor([1.0]), H.tensor([1.0]))
    tensor([0.6321])
    """
    return _incomplete("igamma", input, other, out)


def gammaincc(input, other, *, out=None):
    """1 - `gammainc`, accurate where that is close to 1.

    >>> import hadamard as H
    >>> H.special.gammaincc(H.tensor([1.0]), H.tensor([100.0]))
    tensor([3.7835e-44])
    """
    return _incomplete("igammac", input, other, out)
