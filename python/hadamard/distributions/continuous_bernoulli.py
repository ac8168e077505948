"""The Bernoulli density normalised over the whole of [0, 1]."""

import math

import hadamard as H

from . import constraints
from .distribution import Distribution
from .utils import FromProbsOrLogits, broadcast_all, lazy_property, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(FromProbsOrLogits, Distribution):
    """C(λ) λ^x (1 - λ)^(1 - x) for x in [0, 1], λ = `probs`, or `logits` = log(λ / (1 - λ)).

    log C = log(2 artanh(1 - 2λ) / (1 - 2λ)). Within `lims`, about λ = ½, where that is 0 / 0, the first terms of the
    series in λ - ½ stand for it. (Loaiza-Ganem and Cunningham, The continuous Bernoulli, 2019.)

    >>> ContinuousBernoulli(probs=0.5).log_prob(H.tensor(0.3))
    tensor(0.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _binary = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        if probs is not None and logits is None:
            (probs,) = broadcast_all(probs)
            if validate_args is not None and not constraints.unit_interval.check(probs).all():
                raise ValueError("The parameter probs has invalid values")
            probs = _inside(probs)
        self._lims = lims
        self._take_one(probs, logits, validate_args)

    @lazy_property
    def probs(self):
        """λ."""
        return _inside(logits_to_probs(self.logits, is_binary=True))

    def expand(self, batch_shape, _instance=None):
        new = super().expand(batch_shape)
        new._lims = self._lims
        return new

    def _parts(self):
        """Where the formulas are used; λ there, lims[0] elsewhere; λ - ½."""
        far = (self.probs <= self._lims[0]) | (self.probs > self._lims[1])
        return far, H.where(far, self.probs, self._lims[0]), self.probs - 0.5

    def _log_norm(self):
        far, p, x = self._parts()
        odds = H.log1p(-p) - H.log(p)
        return H.where(far, H.log(odds / (1 - 2 * p)), math.log(2.0) + (4 / 3 + 104 / 45 * x**2) * x**2)

    @property
    def mean(self):
        far, p, x = self._parts()
        exact = p / (2 * p - 1) + 1 / (H.log1p(-p) - H.log(p))
        return H.where(far, exact, 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self):
        far, p, x = self._parts()
        exact = p * (p - 1) / (1 - 2 * p) ** 2 + 1 / (H.log1p(-p) - H.log(p)) ** 2
        return H.where(far, exact, 1 / 12 - (1 / 15 - 128 / 945 * x**2) * x**2)

    def rsample(self, sample_shape=()):
        return self.icdf(H.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype))

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        loss = H.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._log_norm() - loss

    def cdf(self, value):
        self._validate_sample(value)
        far, p, _ = self._parts()
        exact = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        return H.where(far, exact, value).clamp(0, 1).masked_fill(value <= 0, 0).masked_fill(value >= 1, 1)

    def icdf(self, value):
        far, p, _ = self._parts()
        rest = H.log1p(-p)
        return H.where(far, (H.log1p(value * (2 * p - 1) - p) - rest) / (H.log(p) - rest), value)

    def entropy(self):
        zero, one = H.log1p(-self.probs), H.log(self.probs)
        return self.mean * (zero - one) - self._log_norm() - zero


def _inside(probs):
    eps = H.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)
