"""Distributions of probabilities: Dirichlet's of whole vectors, beta and Kumaraswamy's of single ones."""

import hadamard as H

from . import constraints
from .distribution import Distribution
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform, StickBreakingTransform
from .uniform import Uniform
from .utils import broadcast_all

__all__ = ["Beta", "Dirichlet", "Kumaraswamy", "LogisticNormal"]

_EULER = 0.57721566490153286061


class Dirichlet(Distribution):
    """Of vectors x of sum 1, with a density in proportion to Π x_i^(c_i - 1), c = concentration (…, n).

    >>> Dirichlet(H.tensor([1.0, 1.0, 1.0])).log_prob(H.tensor([0.2, 0.3, 0.5]))
    tensor(0.6931)
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self):
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        corner = H.nn.functional.one_hot(mode.argmax(-1), mode.shape[-1]).to(mode)
        return H.where((self.concentration < 1).all(-1, True), corner, mode)

    @property
    def variance(self):
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def expand(self, batch_shape, _instance=None):
        return self._like(batch_shape, concentration=self.concentration.expand((*batch_shape, *self.event_shape)))

    def rsample(self, sample_shape=()):
        return H._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._validate_sample(value)
        c = self.concentration
        return H.xlogy(c - 1.0, value).sum(-1) + H.lgamma(c.sum(-1)) - H.lgamma(c).sum(-1)

    def entropy(self):
        c, k = self.concentration, self.concentration.size(-1)
        total = c.sum(-1)
        normaliser = H.lgamma(c).sum(-1) - H.lgamma(total)
        return normaliser - (k - total) * H.digamma(total) - ((c - 1.0) * H.digamma(c)).sum(-1)


class Beta(Distribution):
    """A density in proportion to x^(concentration1 - 1) · (1 - x)^(concentration0 - 1) for 0 <= x <= 1.

    >>> Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        both = H.stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args=validate_args)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    @property
    def concentration1(self):
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self):
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self):
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self):
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self):
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def expand(self, batch_shape, _instance=None):
        return self._like(batch_shape, _dirichlet=self._dirichlet.expand(H.Size(batch_shape)))

    def rsample(self, sample_shape=()):
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value):
        self._validate_sample(value)
        return self._dirichlet.log_prob(H.stack([value, 1.0 - value], -1))

    def entropy(self):
        return self._dirichlet.entropy()


class LogisticNormal(TransformedDistribution):
    """Vectors of sum 1 that `StickBreakingTransform` makes of independent normal numbers, one fewer.

    >>> LogisticNormal(H.zeros(2), H.ones(2)).event_shape
    torch.Size([3])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale, validate_args=validate_args)
        base = base if base.batch_shape else base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self):
        return self.base_dist.base_dist.loc

    @property
    def scale(self):
        return self.base_dist.base_dist.scale


class Kumaraswamy(TransformedDistribution):
    """A density a b x^(a - 1) (1 - x^a)^(b - 1), a = concentration1 and b = concentration0.

    >>> Kumaraswamy(1.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(H.zeros_like(self.concentration0), H.ones_like(self.concentration0), validate_args=validate_args)
        parts = [
            PowerTransform(self.concentration0.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]
        super().__init__(base, parts, validate_args=validate_args)

    def _moment(self, n):
        a, b = self.concentration1, self.concentration0
        return b * H.exp(H.lgamma(1 + n / a) + H.lgamma(b) - H.lgamma(1 + n / a + b))

    @property
    def mean(self):
        return self._moment(1)

    @property
    def mode(self):
        a, b = self.concentration1, self.concentration0
        log = a.reciprocal() * (-a).log1p() - (-a * b).log1p()
        return H.where((a < 1) | (b < 1), H.nan, log).exp()

    @property
    def variance(self):
        return self._moment(2) - self.mean.pow(2)

    def entropy(self):
        a, b = self.concentration1, self.concentration0
        harmonic = H.digamma(b + 1) + _EULER
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - H.log(a) - H.log(b)
