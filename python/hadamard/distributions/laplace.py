"""The Laplace distribution."""

import hadamard as H

from . import constraints
from .distribution import Distribution

__all__ = ["Laplace"]


class Laplace(Distribution):
    """exp(-|x - loc| / scale) / (2 scale).

    >>> Laplace(0.0, 1.0).log_prob(H.tensor(1.0))
    tensor(-1.6931)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self._take(validate_args, loc=loc, scale=scale)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return 2 * self.scale.pow(2)

    @property
    def stddev(self):
        return 2**0.5 * self.scale

    def rsample(self, sample_shape=()):
        shape, dtype = self._extended_shape(sample_shape), self.loc.dtype
        u = H.empty(shape, dtype=dtype).uniform_(H.finfo(dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * H.log1p(-u.abs())

    def log_prob(self, value):
        self._validate_sample(value)
        return -H.log(2 * self.scale) - H.abs(value - self.loc) / self.scale

    def cdf(self, value):
        self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * H.expm1(-away.abs() / self.scale)

    def icdf(self, value):
        term = value - 0.5
        return self.loc - self.scale * term.sign() * H.log1p(-2 * term.abs())

    def entropy(self):
        return 1 + H.log(2 * self.scale)
