"""Distributions of counts in repeated trials."""

import hadamard as H

from . import constraints
from .categorical import OverCategorical
from .distribution import Distribution
from .gamma import Gamma
from .utils import FromProbsOrLogits, broadcast_all

__all__ = ["Binomial", "Geometric", "Multinomial", "NegativeBinomial"]


class Geometric(FromProbsOrLogits, Distribution):
    """The failures before the first success: (1 - probs)^k · probs.

    >>> Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer
    _binary = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._take_one(probs, logits, validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            value = self.probs
            raise ValueError(
                f"Expected parameter probs ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                f"{self!r} to be positive but found invalid values:\n{value[value <= 0]}"
            )

    @property
    def mean(self):
        return 1.0 / self.probs - 1.0

    @property
    def mode(self):
        return H.zeros_like(self.probs)

    @property
    def variance(self):
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape=()):
        with H.no_grad():
            u = H.empty(self._extended_shape(sample_shape), dtype=self.probs.dtype)
            u.uniform_(H.finfo(u.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        return value * (-H.where((probs == 1) & (value == 0), 0.0, probs)).log1p() + probs.log()

    def entropy(self):
        bits = H.nn.functional.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return bits / self.probs


class Binomial(FromProbsOrLogits, Distribution):
    """The successes in total_count trials, each with probability `probs`, or log-odds `logits`.

    >>> Binomial(4, probs=0.5).log_prob(H.tensor(2.0)).exp()
    tensor(0.3750)
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _binary = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if isinstance(total_count, H.Tensor):
            given = probs if probs is not None else logits
            total_count = total_count.type_as(given) if isinstance(given, H.Tensor) else total_count
        self._take_one(probs, logits, validate_args, total_count=total_count)

    @property
    def support(self):
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def mode(self):
        return H.minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with H.no_grad():
            return H.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value):
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        ways = H.lgamma(n + 1) - H.lgamma(value + 1) - H.lgamma(n - value + 1)
        return value * logits + ways - n * (logits.clamp(min=0) + H.log1p(H.exp(-logits.abs())))

    def entropy(self):
        if not (self.total_count == self.total_count.max()).all():
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log = self.log_prob(self.enumerate_support(False))
        return -(H.exp(log) * log).sum(0)

    def enumerate_support(self, expand=True):
        n = int(self.total_count.max())
        if not self.total_count.min() == n:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = H.arange(1 + n, dtype=self._param.dtype).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class NegativeBinomial(FromProbsOrLogits, Distribution):
    """The successes, each with probability `probs`, before total_count failures.

    >>> NegativeBinomial(2.0, probs=0.5).mean
    tensor(2.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _binary = True

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        self._take_one(probs, logits, validate_args, total_count=total_count)
        self.total_count = self.total_count.type_as(self._param)

    @property
    def mean(self):
        return self.total_count * H.exp(self.logits)

    @property
    def mode(self):
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self):
        return self.mean / H.sigmoid(-self.logits)

    def sample(self, sample_shape=()):
        with H.no_grad():
            rates = Gamma(self.total_count, H.exp(-self.logits), validate_args=False)
            return H.poisson(rates.sample(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        n, sigmoid = self.total_count, H.nn.functional.logsigmoid
        ways = H.lgamma(n + value) - H.lgamma(1.0 + value) - H.lgamma(n)
        ways = ways.masked_fill(n + value == 0.0, 0.0)
        return n * sigmoid(-self.logits) + value * sigmoid(self.logits) + ways


class Multinomial(OverCategorical):
    """How often each class comes in total_count draws from Categorical(probs), as a vector.

    >>> Multinomial(2, H.tensor([0.5, 0.5])).log_prob(H.tensor([1.0, 1.0])).exp()
    tensor(0.5000)
    """

    _kept = ("total_count",)

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)

    @property
    def support(self):
        return constraints.multinomial(self.total_count)

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = H.zeros(self._extended_shape(sample_shape), dtype=drawn.dtype)
        return counts.scatter_add_(-1, drawn, H.ones_like(drawn)).type_as(self.probs)

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = H.where((value == 0) & (logits == -H.inf), 0.0, logits)
        return H.lgamma(value.sum(-1) + 1) - H.lgamma(value + 1).sum(-1) + (logits * value).sum(-1)

    def entropy(self):
        n = H.tensor(float(self.total_count), dtype=self.probs.dtype)
        binomial = Binomial(self.total_count, probs=self.probs)
        support = binomial.enumerate_support(expand=False)[1:]
        expected = (H.exp(binomial.log_prob(support)) * H.lgamma(support + 1)).sum([0, -1])
        return n * self._categorical.entropy() - H.lgamma(n + 1) + expected
