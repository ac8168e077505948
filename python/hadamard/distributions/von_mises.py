"""The normal distribution's relative on the circle."""

import math

import hadamard as H

from . import constraints
from .distribution import Distribution

__all__ = ["VonMises"]


class VonMises(Distribution):
    """exp(concentration · cos(x - loc)) / (2π I₀(concentration)), for angles x.

    The mean and the variance are the circular ones. Samples are drawn in float64 by rejection from a wrapped Cauchy
    distribution (Best and Fisher, Efficient simulation of the von Mises distribution, 1979).

    >>> VonMises(H.tensor(0.0), H.tensor(1.0)).log_prob(H.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc, concentration, validate_args=None):
        self._take(validate_args, loc=loc, concentration=concentration)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return 1 - H.special.i1e(self.concentration) / H.special.i0e(self.concentration)

    def log_prob(self, value):
        self._validate_sample(value)
        k = self.concentration
        # I₀(k) = exp(k) i0e(k)
        return k * H.cos(value - self.loc) - math.log(2 * math.pi) - k - H.log(H.special.i0e(k))

    def sample(self, sample_shape=()):
        with H.no_grad():
            loc, k = self.loc.double(), self.concentration.double()
            tau = 1 + (1 + 4 * k**2).sqrt()
            rho = (tau - (2 * tau).sqrt()) / (2 * k)
            r = H.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))
            x = H.zeros(self._extended_shape(sample_shape), dtype=H.float64)
            done = H.zeros_like(x, dtype=H.bool)
            while not done.all():
                u, v, side = H.rand((3, *x.shape), dtype=H.float64)
                z = H.cos(math.pi * u)
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accept = (c * (2 - c) - v > 0) | ((c / v).log() + 1 - c >= 0)
                x = H.where(accept, (side - 0.5).sign() * f.acos(), x)
                done = done | accept
            return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)
