"""Functions made of others, imported when first asked for."""

from . import _C

__all__ = ["cartesian_prod"]


def cartesian_prod(*tensors):
    """Every choice of one element from each 1-d tensor, as rows: shape (product of the lengths, number of tensors).

    A single tensor comes back as it is. RuntimeError for anything but 1-d tensors. Gradients flow.

    >>> import hadamard as H
    >>> H.cartesian_prod(H.tensor([1, 2]), H.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tensors[0]
    return _C._cartesian_prod(tuple(tensors))
