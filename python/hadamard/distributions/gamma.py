"""The gamma distribution and its kin: chi-squared, inverse gamma, and Fisher and Snedecor's F."""

import hadamard as H

from . import constraints
from .distribution import Distribution
from .transformed_distribution import TransformedDistribution
from .transforms import PowerTransform

__all__ = ["Chi2", "FisherSnedecor", "Gamma", "InverseGamma"]


class Gamma(Distribution):
    """rate^c · x^(c - 1) · exp(-rate · x) / Γ(c), c = concentration. rsample has gradients to both parameters.

    >>> Gamma(2.0, 1.0).log_prob(H.tensor(1.0))
    tensor(-1.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support: constraints.Constraint = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        self._take(validate_args, concentration=concentration, rate=rate)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def mode(self):
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self):
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        value = H._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=H.finfo(value.dtype).tiny)
        return value

    def log_prob(self, value):
        value = H.as_tensor(value, dtype=self.rate.dtype)
        self._validate_sample(value)
        c, rate = self.concentration, self.rate
        return H.xlogy(c, rate) + H.xlogy(c - 1, value) - rate * value - H.lgamma(c)

    def cdf(self, value):
        self._validate_sample(value)
        return H.special.gammainc(self.concentration, self.rate * value)

    def entropy(self):
        c = self.concentration
        return c - H.log(self.rate) + H.lgamma(c) + (1.0 - c) * H.digamma(c)

    def expand(self, batch_shape, _instance=None):
        parts = {name: self.__dict__[name].expand(batch_shape) for name in ("concentration", "rate")}
        return self._like(batch_shape, **parts)


class Chi2(Gamma):
    """The sum of squares of df standard normal numbers: Gamma(df / 2, 1 / 2).

    >>> Chi2(3.0).mean
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args=None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self):
        return self.concentration * 2


class InverseGamma(TransformedDistribution):
    """1 / x of x ~ Gamma(concentration, rate).

    >>> InverseGamma(3.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate, validate_args=validate_args)
        inverse = PowerTransform(H.tensor(-1.0, dtype=base.rate.dtype))
        super().__init__(base, inverse, validate_args=validate_args)

    @property
    def concentration(self):
        return self.base_dist.concentration

    @property
    def rate(self):
        return self.base_dist.rate

    @property
    def mean(self):
        return H.where(self.concentration > 1, self.rate / (self.concentration - 1), H.inf)

    @property
    def mode(self):
        return self.rate / (self.concentration + 1)

    @property
    def variance(self):
        c = self.concentration
        return H.where(c > 2, self.rate.square() / ((c - 1).square() * (c - 2)), H.inf)

    def entropy(self):
        c = self.concentration
        return c + self.rate.log() + c.lgamma() - (1 + c) * c.digamma()


class FisherSnedecor(Distribution):
    """(x / df1) / (y / df2) of chi-squared x and y with df1 and df2 degrees of freedom.

    >>> FisherSnedecor(1.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1, df2, validate_args=None):
        self._take(validate_args, df1=df1, df2=df2)

    @property
    def mean(self):
        return H.where(self.df2 > 2, self.df2 / (self.df2 - 2), H.nan)

    @property
    def mode(self):
        return H.where(self.df1 > 2, (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2), H.nan)

    @property
    def variance(self):
        a, b = self.df1, self.df2
        return H.where(b > 4, 2 * b.pow(2) * (a + b - 2) / (a * (b - 2).pow(2) * (b - 4)), H.nan)

    def rsample(self, sample_shape=()):
        x, y = (Gamma(df * 0.5, df, validate_args=False).rsample(sample_shape) for df in (self.df1, self.df2))
        tiny = H.finfo(x.dtype).tiny
        return (x / y.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value):
        self._validate_sample(value)
        a, b, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        constant = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return constant + a * ratio.log() + (a - 1) * H.log(value) - (a + b) * H.log1p(ratio * value)
