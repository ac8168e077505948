"""torch.autograd.variable: Variable by its older address."""

from . import Variable

__all__ = ["Variable"]
