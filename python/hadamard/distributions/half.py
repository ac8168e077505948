"""The absolute values of symmetric distributions around 0."""

import math

import hadamard as H

from . import constraints
from .heavy_tailed import Cauchy
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__ = ["HalfCauchy", "HalfNormal"]


class _Half(TransformedDistribution):
    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _whole: type

    def __init__(self, scale, validate_args=None):
        super().__init__(self._whole(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    @property
    def scale(self):
        return self.base_dist.scale

    @property
    def mode(self):
        return H.zeros_like(self.scale)

    def log_prob(self, value):
        self._validate_sample(value)
        return H.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -H.inf)

    def cdf(self, value):
        self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value):
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self):
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Half):
    """|x| of x ~ Normal(0, scale).

    >>> HalfNormal(1.0).mean
    tensor(0.7979)
    """

    _whole = Normal

    @property
    def mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self):
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(_Half):
    """|x| of x ~ Cauchy(0, scale).

    >>> HalfCauchy(1.0).cdf(H.tensor(1.0))
    tensor(0.5000)
    """

    _whole = Cauchy

    @property
    def mean(self):
        return H.full(self._extended_shape(), H.inf, dtype=self.scale.dtype)

    @property
    def variance(self):
        return self.base_dist.variance
