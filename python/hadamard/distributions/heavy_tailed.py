"""Distributions of numbers that may lie far off: Student's t, Cauchy's, Pareto's, Gumbel's and Weibull's."""

import math

import hadamard as H

from . import constraints
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Chi2
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, ExpTransform, PowerTransform
from .uniform import Uniform
from .utils import broadcast_all

__all__ = ["Cauchy", "Gumbel", "Pareto", "StudentT", "Weibull"]

_EULER = 0.57721566490153286061


class StudentT(Distribution):
    """loc + scale · x / √(z / df) of a standard normal x and a chi-squared z with df degrees of freedom.

    >>> StudentT(1.0).log_prob(H.tensor(0.0))
    tensor(-1.1447)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self._take(validate_args, df=df, loc=loc, scale=scale)

    @property
    def mean(self):
        return H.where(self.df <= 1, H.nan, self.loc)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        finite = self.scale.pow(2) * self.df / (self.df - 2)
        return H.where(self.df > 2, finite, H.where(self.df > 1, H.inf, H.nan)).to(self.df.dtype)

    def rsample(self, sample_shape=()):
        shape, dtype = self._extended_shape(sample_shape), self.df.dtype
        x = H.normal(H.zeros(shape, dtype=dtype), H.ones(shape, dtype=dtype))
        z = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * x * H.rsqrt(z / self.df)

    def log_prob(self, value):
        self._validate_sample(value)
        y, df = (value - self.loc) / self.scale, self.df
        normaliser = self.scale.log() + 0.5 * df.log() + 0.5 * math.log(math.pi)
        normaliser = normaliser + H.lgamma(0.5 * df) - H.lgamma(0.5 * (df + 1.0))
        return -0.5 * (df + 1.0) * H.log1p(y**2.0 / df) - normaliser

    def entropy(self):
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        beta = H.lgamma(half) + math.lgamma(0.5) - H.lgamma(more)
        return self.scale.log() + more * (H.digamma(more) - H.digamma(half)) + 0.5 * self.df.log() + beta


class Cauchy(Distribution):
    """1 / (π scale (1 + ((x - loc) / scale)²)).

    >>> Cauchy(0.0, 1.0).cdf(H.tensor(1.0))
    tensor(0.7500)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self._take(validate_args, loc=loc, scale=scale)

    @property
    def mean(self):
        return H.full(self._extended_shape(), H.nan, dtype=self.loc.dtype)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        return H.full(self._extended_shape(), H.inf, dtype=self.loc.dtype)

    def rsample(self, sample_shape=()):
        return self.loc + H.empty(self._extended_shape(sample_shape), dtype=self.loc.dtype).cauchy_() * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value):
        self._validate_sample(value)
        return H.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value):
        return H.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(TransformedDistribution):
    """The distribution function exp(-exp(-(x - loc) / scale)): what the greatest of many numbers tends to.

    >>> Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        about = H.finfo(self.loc.dtype)
        low, high = H.full_like(self.loc, about.tiny), H.full_like(self.loc, 1 - about.eps)
        parts = [
            ExpTransform().inv,
            AffineTransform(0, -H.ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(self.loc, -self.scale),
        ]
        super().__init__(Uniform(low, high, validate_args=validate_args), parts, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc + self.scale * _EULER

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self):
        return self.stddev.pow(2)

    def log_prob(self, value):
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def entropy(self):
        return self.scale.log() + (1 + _EULER)


class Weibull(TransformedDistribution):
    """The distribution function 1 - exp(-(x / scale)^concentration) of x >= 0.

    >>> Weibull(1.0, 1.0).mean
    tensor(1.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(H.ones_like(self.scale), validate_args=validate_args)
        parts = [PowerTransform(self.concentration.reciprocal()), AffineTransform(0, self.scale)]
        super().__init__(base, parts, validate_args=validate_args)

    def _log_moment(self, n):
        return H.lgamma(1 + n * self.concentration.reciprocal())

    @property
    def mean(self):
        return self.scale * H.exp(self._log_moment(1))

    @property
    def mode(self):
        c = self.concentration
        return self.scale * ((c - 1) / c) ** c.reciprocal()

    @property
    def variance(self):
        return self.scale.pow(2) * (H.exp(self._log_moment(2)) - H.exp(2 * self._log_moment(1)))

    def entropy(self):
        inverse = self.concentration.reciprocal()
        return _EULER * (1 - inverse) + H.log(self.scale * inverse) + 1


class Pareto(TransformedDistribution):
    """A density alpha scale^alpha / x^(alpha + 1) of x >= scale.

    >>> Pareto(1.0, 2.0).mean
    tensor(2.)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}
    has_rsample = True

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(0, self.scale)], validate_args=validate_args)

    @property
    def support(self):
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self):
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self):
        return self.scale

    @property
    def variance(self):
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self):
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())
