"""Continuous distributions near discrete ones, whose samples have gradients; and mixtures."""

import hadamard as H

from . import constraints
from .categorical import Categorical, OverCategorical
from .distribution import Distribution
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform, SigmoidTransform
from .utils import FromProbsOrLogits, broadcast_all

__all__ = ["LogitRelaxedBernoulli", "MixtureSameFamily", "RelaxedBernoulli", "RelaxedOneHotCategorical"]


def _inside(probs):
    eps = H.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


class LogitRelaxedBernoulli(FromProbsOrLogits, Distribution):
    """The log-odds of `RelaxedBernoulli`."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True
    _binary = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        self._take_one(probs, logits, validate_args)

    def expand(self, batch_shape, _instance=None):
        new = super().expand(batch_shape)
        new.temperature = self.temperature
        return new

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        probs = _inside(self.probs.expand(shape))
        u = _inside(H.rand(shape, dtype=probs.dtype))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        away = logits - value.mul(self.temperature)
        return self.temperature.log() + away - 2 * away.exp().log1p()


class _Relaxed(TransformedDistribution):
    has_rsample = True

    @property
    def temperature(self):
        return self.base_dist.temperature

    @property
    def logits(self):
        return self.base_dist.logits

    @property
    def probs(self):
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """Numbers between 0 and 1, near either as the temperature goes to 0 (Maddison and others 2017).

    >>> RelaxedBernoulli(H.tensor(1.0), probs=H.tensor(0.5)).log_prob(H.tensor(0.5))
    tensor(0.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)


class _ExpRelaxedCategorical(OverCategorical):
    support = constraints.real_vector
    has_rsample = True
    _kept = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape=()):
        u = _inside(H.rand(self._extended_shape(sample_shape), dtype=self.logits.dtype))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value):
        self._validate_sample(value)
        k = self.event_shape[-1]
        logits, value = broadcast_all(self.logits, value)
        scale = H.full_like(self.temperature, float(k)).lgamma() + (k - 1) * self.temperature.log()
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(_Relaxed):
    """Vectors of sum 1, near those with a single 1 as the temperature goes to 0 (Jang and others 2017).

    >>> RelaxedOneHotCategorical(H.tensor(0.5), probs=H.tensor([0.3, 0.7])).event_shape
    torch.Size([2])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(_ExpRelaxedCategorical(temperature, probs, logits), ExpTransform(), validate_args)


class MixtureSameFamily(Distribution):
    """One of several components, the last batch dimension of `component_distribution`, chosen by a Categorical.

    >>> from .normal import Normal
    >>> MixtureSameFamily(Categorical(H.ones(2)), Normal(H.tensor([-1.0, 1.0]), 1.0)).mean
    tensor(0.)
    """

    arg_constraints: dict = {}

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        mixture, component = mixture_distribution, component_distribution
        if not isinstance(mixture, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component, Distribution):
            raise ValueError("The Component distribution need to be an instance of torch.distributions.Distribution")
        chosen, parts = mixture.batch_shape, component.batch_shape[:-1]
        for a, b in zip(reversed(chosen), reversed(parts), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({chosen}) is not compatible with "
                    f"`component_distribution.batch_shape`({parts})"
                )
        km, kc = mixture.logits.shape[-1], component.batch_shape[-1]
        if km != kc:
            raise ValueError(
                f"`mixture_distribution component` ({km}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({kc})"
            )
        self.mixture_distribution, self.component_distribution = mixture, component
        super().__init__(parts, component.event_shape, validate_args=validate_args)

    @property
    def support(self):
        return constraints.MixtureSameFamilyConstraint(self.component_distribution.support)

    def _weights(self):
        probs = self.mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * len(self.event_shape))

    @property
    def mean(self):
        return (self._weights() * self.component_distribution.mean).sum(-1 - len(self.event_shape))

    @property
    def variance(self):
        dim, weights, parts = -1 - len(self.event_shape), self._weights(), self.component_distribution
        inner = (weights * parts.variance).sum(dim)
        return inner + (weights * (parts.mean - self.mean.unsqueeze(dim)).pow(2)).sum(dim)

    def expand(self, batch_shape, _instance=None):
        shape = H.Size(batch_shape)
        parts = self.component_distribution.expand((*shape, self.component_distribution.batch_shape[-1]))
        mixture = self.mixture_distribution.expand(shape)
        return self._like(shape, component_distribution=parts, mixture_distribution=mixture)

    def cdf(self, value):
        each = self.component_distribution.cdf(value.unsqueeze(-1 - len(self.event_shape)))
        return (each * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - len(self.event_shape)))
        return H.logsumexp(each + H.log_softmax(self.mixture_distribution.logits, -1), -1)

    def sample(self, sample_shape=()):
        with H.no_grad():
            dim, event = len(sample_shape) + len(self.batch_shape), len(self.event_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            chosen = chosen.reshape(chosen.shape + (1,) * (event + 1))
            chosen = chosen.expand((*chosen.shape[: chosen.dim() - event], *self.event_shape))
            return drawn.gather(dim, chosen).squeeze(dim)

    def __repr__(self):
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
