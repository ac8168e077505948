"""Draws with parameters of their own for each element: binomial counts, and gamma and Dirichlet variables with
gradients (Figurnov, Mohamed and Mnih 2018). The numbers are torch's for the same seed."""

import hadamard as H

from . import _C
from ._common import scalar_name

__all__ = ["_sample_dirichlet", "_standard_gamma", "binomial"]


def _wide(*tensors):
    return [t.detach().double().contiguous() for t in _C.broadcast_tensors(*tensors)]


def binomial(count, prob, generator=None):
    """How many of `count` trials succeed, each with probability `prob`; both floating, of shapes that broadcast.

    ValueError for integers. Nothing flows back.

    >>> import hadamard as H
    >>> H.binomial(H.tensor([3.0, 3.0]), H.tensor([0.0, 1.0]))
    tensor([0., 3.])
    """
    for name, t in (("count", count), ("prob", prob)):
        if not t.is_floating_point():
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {scalar_name(t.dtype)}")
    n, p = _wide(count, prob)
    return _C._draw_binomial(n, p, generator or _C.default_generator).to(count.dtype)


class StandardGamma(H.autograd.Function):
    @staticmethod
    def forward(ctx, alpha, generator):
        x = _C._draw_gamma(alpha.detach(), generator or _C.default_generator)
        ctx.save_for_backward(alpha, x)
        return x

    @staticmethod
    @H.autograd.function.once_differentiable
    def backward(ctx, g):
        alpha, x = ctx.saved_tensors
        return g * _C._gamma_slope(*_wide(alpha, x)).to(g.dtype), None


def _standard_gamma(alpha, generator=None):
    """Draws from Gamma(alpha, 1), with gradients to alpha."""
    return StandardGamma.apply(alpha, generator)


class Dirichlet(H.autograd.Function):
    @staticmethod
    def forward(ctx, concentration, generator):
        dtype = concentration.dtype
        drawn = _C._draw_gamma(concentration.detach().double().contiguous(), generator or _C.default_generator)
        x = (drawn / drawn.sum(-1, keepdim=True)).to(dtype)
        x = x.clamp(H.finfo(dtype).tiny, 1 - H.finfo(dtype).eps / 2)
        ctx.save_for_backward(x, concentration)
        return x

    @staticmethod
    @H.autograd.function.once_differentiable
    def backward(ctx, g):
        x, alpha = ctx.saved_tensors
        slope = _C._dirichlet_slope(*_wide(x, alpha, alpha.sum(-1, keepdim=True))).to(g.dtype)
        return slope * (g - (x * g).sum(-1, keepdim=True)), None


def _sample_dirichlet(concentration, generator=None):
    """Draws from Dirichlet(concentration), over the last dimension, with gradients."""
    return Dirichlet.apply(concentration, generator)
