"""Functions made of others, imported when first asked for."""

from . import _C

__all__ = ["cartesian_prod", "column_stack", "dstack", "hstack", "polar", "positive", "row_stack", "vstack"]


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


def _some(tensors, name):
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")


def hstack(tensors, *, out=None):
    """Tensors side by side: joined along dim 1, or along dim 0 where they have one dimension.

    >>> import hadamard as H
    >>> H.hstack([H.tensor([1, 2]), H.tensor([3])])
    tensor([1, 2, 3])
    """
    _some(tensors, "hstack")
    parts = [t.reshape(1) if t.dim() == 0 else t for t in tensors]
    return _C.cat(parts, 0 if parts and parts[0].dim() == 1 else 1, out=out)


def vstack(tensors, *, out=None):
    """Tensors below each other: joined along dim 0, those of fewer than two dimensions as rows.

    >>> import hadamard as H
    >>> H.vstack([H.tensor([1, 2]), H.tensor([3, 4])]).tolist()
    [[1, 2], [3, 4]]
    """
    _some(tensors, "vstack")
    return _C.cat([t.reshape(1, -1) if t.dim() < 2 else t for t in tensors], 0, out=out)


row_stack = vstack


def dstack(tensors, *, out=None):
    """Tensors behind each other: joined along dim 2, made 3-d by dimensions of size 1 first.

    >>> import hadamard as H
    >>> H.dstack([H.tensor([1, 2]), H.tensor([3, 4])]).tolist()
    [[[1, 3], [2, 4]]]
    """
    _some(tensors, "dstack")
    parts = [t.reshape(1, -1, 1) if t.dim() < 2 else t.unsqueeze(2) if t.dim() == 2 else t for t in tensors]
    return _C.cat(parts, 2, out=out)


def column_stack(tensors, *, out=None):
    """Tensors side by side, those of fewer than two dimensions as columns.

    >>> import hadamard as H
    >>> H.column_stack([H.tensor([1, 2]), H.tensor([3, 4])]).tolist()
    [[1, 3], [2, 4]]
    """
    _some(tensors, "column_stack")
    return _C.cat([t.reshape(-1, 1) if t.dim() < 2 else t for t in tensors], 1, out=out)


def positive(input):
    """The tensor itself, as +x gives it. RuntimeError for bool.

    >>> import hadamard as H
    >>> H.positive(H.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype == _C.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def polar(abs, angle, *, out=None):
    """Complex numbers of absolute value `abs` and of `angle` in radians, both of one floating dtype. Gradients flow.

    RuntimeError for other dtypes.

    >>> import hadamard as H
    >>> H.polar(H.tensor([1.0, 2.0]), H.tensor([0.0, H.pi / 2])).imag
    tensor([0., 2.])
    """
    kinds = {_C.float16: "Half", _C.float32: "Float", _C.float64: "Double"}
    if abs.dtype not in kinds or angle.dtype not in kinds:
        given = " and ".join(x.type().rpartition(".")[2].removesuffix("Tensor") for x in (abs, angle))
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {given}")
    if abs.dtype is not angle.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {kinds[abs.dtype]} but got scalar type {kinds[angle.dtype]} for second "
            "argument"
        )
    return _C.complex(abs * _C.cos(angle), abs * _C.sin(angle), out=out)
