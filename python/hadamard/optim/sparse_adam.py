"""SparseAdam, for scripts that name it: gradients are never sparse here."""

from .optimizer import _check_adam, _Stepper

__all__ = ["SparseAdam"]


class SparseAdam(_Stepper):
    """Adam for sparse gradients. There are none here, and for dense ones step() raises, as torch's does: use Adam.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.ones(2))
    >>> p.sum().backward()
    >>> H.optim.SparseAdam([p]).step()
    Traceback (most recent call last):
    RuntimeError: SparseAdam does not support dense gradients, please consider Adam instead
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        _check_adam(lr, betas, eps, 0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _new_state(self, param, group):
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
