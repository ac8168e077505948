"""One of several classes."""

import hadamard as H

from . import constraints
from .distribution import Distribution
from .utils import FromProbsOrLogits

__all__ = ["Categorical"]


class Categorical(FromProbsOrLogits, Distribution):
    """Class i with probability probs[..., i] (normalised along the last dimension), or by unnormalised `logits`.

    >>> Categorical(H.tensor([1.0, 3.0])).log_prob(H.tensor(1))
    tensor(-0.2877)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        if probs is not None:
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        self._num_events = self._param.size()[-1]
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @property
    def support(self):
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self):
        return H.full(self._extended_shape(), H.nan, dtype=self.probs.dtype)

    variance = mean

    @property
    def mode(self):
        return self.probs.argmax(dim=-1)

    def expand(self, batch_shape, _instance=None):
        shape = H.Size((*batch_shape, self._num_events))
        given = {name: self.__dict__[name].expand(shape) for name in ("probs", "logits") if name in self.__dict__}
        return self._like(batch_shape, _num_events=self._num_events, **given)

    def sample(self, sample_shape=()):
        n = H.Size(sample_shape).numel()
        draws = H.multinomial(self.probs.detach().reshape(-1, self._num_events), n, True).T
        return draws.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        value, table = H.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return table.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        logits = H.clamp(self.logits, min=H.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        values = H.arange(self._num_events).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class OverCategorical(Distribution):
    """What a distribution of vectors with an entry for each class shares: the Categorical that draws the class."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    _kept: tuple[str, ...] = ()  # what expand() takes along

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape[-1:]
        super().__init__(self._categorical.batch_shape, shape, validate_args=validate_args)

    @property
    def probs(self):
        return self._categorical.probs

    @property
    def logits(self):
        return self._categorical.logits

    @property
    def param_shape(self):
        return self._categorical.param_shape

    def expand(self, batch_shape, _instance=None):
        kept = {name: getattr(self, name) for name in self._kept}
        return self._like(batch_shape, _categorical=self._categorical.expand(H.Size(batch_shape)), **kept)
