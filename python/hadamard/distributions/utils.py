"""Parameters as tensors of one shape, and the two ways to give probabilities."""

import hadamard as H

__all__ = ["broadcast_all", "logits_to_probs", "probs_to_logits"]


def broadcast_all(*values):
    """The values as tensors of one shape; numbers take the dtype of the tensors among them.

    >>> [x.shape for x in broadcast_all(1.0, H.zeros(2, 3))]
    [torch.Size([2, 3]), torch.Size([2, 3])]
    """
    if not all(isinstance(v, (H.Tensor, int, float)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    tensors = [v for v in values if isinstance(v, H.Tensor)]
    dtype = tensors[0].dtype if tensors else H.get_default_dtype()
    return H.broadcast_tensors(*(v if isinstance(v, H.Tensor) else H.tensor(v, dtype=dtype) for v in values))


def logits_to_probs(logits, is_binary=False):
    """Probabilities of log-odds (is_binary), or of unnormalised logarithms along the last dimension."""
    return H.sigmoid(logits) if is_binary else H.softmax(logits, dim=-1)


def probs_to_logits(probs, is_binary=False):
    """The reverse, of probabilities kept away from 0 and 1 by one epsilon."""
    eps = H.finfo(probs.dtype).eps
    kept = probs.clamp(min=eps, max=1 - eps)
    return H.log(kept) - H.log1p(-kept) if is_binary else H.log(kept)


class lazy_property:
    """A property computed when it is first asked for, then kept."""

    def __init__(self, function):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with H.enable_grad():
            value = self.function(instance)
        instance.__dict__[self.name] = value
        return value


class FromProbsOrLogits:
    """The attributes probs and logits of a distribution that was given one of the two."""

    _binary = False

    def _take_one(self, probs, logits, validate_args, **others):
        """Keeps the one that was given, and other parameters of its shape."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        given = {"probs": probs} if probs is not None else {"logits": logits}
        self._take(validate_args, **given, **others)

    @property
    def _param(self):
        return self.__dict__["probs" if "probs" in self.__dict__ else "logits"]

    @property
    def param_shape(self):
        return self._param.size()

    @lazy_property
    def logits(self):
        """Log-odds, or normalised log-probabilities."""
        return probs_to_logits(self.probs, self._binary)

    @lazy_property
    def probs(self):
        """Probabilities."""
        return logits_to_probs(self.logits, self._binary)


def only_one(error, **given):
    """(name, value) of the argument that is not None; `error` where there are none or several."""
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise error(f"Exactly one of {' or '.join(given)} may be specified.")
    return found[0]
