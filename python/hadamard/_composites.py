"""Functions made of others, imported when first asked for."""

from math import prod

from . import _C
from ._common import expect_tensor, expect_tensors, into, scalar_name

__all__ = (
    "block_diag cartesian_prod column_stack cumulative_trapezoid dsplit dstack gcd hsplit hstack lcm ldexp polar "
    "positive row_stack unravel_index vander vsplit vstack"
).split()


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
    expect_tensors(name, tensors)
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
    expect_tensor("polar", "abs", 1, abs)
    expect_tensor("polar", "angle", 2, angle)
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


def block_diag(*tensors):
    """Matrices along the diagonal of a larger one, zeros elsewhere; numbers and vectors count as rows.

    >>> import hadamard as H
    >>> H.block_diag(H.tensor([[1, 2]]), H.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    for i, t in enumerate(tensors):
        if t.dim() > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.dim()} dimensions"
            )
    blocks = [t.reshape(1, -1) if t.dim() < 2 else t for t in tensors] or [_C.empty(1, 0)]
    width = sum(b.size(1) for b in blocks)
    rows, left = [], 0
    for b in blocks:
        right = width - left - b.size(1)
        zeros = [_C.zeros(b.size(0), n, dtype=b.dtype, device=b.device) for n in (left, right)]
        rows.append(_C.cat([zeros[0], b, zeros[1]], 1))
        left += b.size(1)
    return _C._named(_C.cat(rows, 0), "BlockDiagBackward0")


def _splitter(name, least, dim):
    def split(input, indices_or_sections):
        if input.dim() < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{input.dim()} dimensions!"
            )
        if not isinstance(indices_or_sections, (int, tuple, list)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, "
                f"{type(indices_or_sections).__name__}), but expected one of:\n"
                " * (Tensor input, int sections)\n * (Tensor input, tuple of ints indices)\n"
            )
        along = 0 if name == "hsplit" and input.dim() == 1 else dim
        if isinstance(indices_or_sections, int):
            n, size = indices_or_sections, input.size(along)
            if n <= 0 or size % n:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {along}, but the size of the dimension {size} is "
                    f"not divisible by the split_size {n}!"
                )
        return _C.tensor_split(input, indices_or_sections, along)

    split.__name__ = split.__qualname__ = name
    return split


hsplit = _splitter("hsplit", 1, 1)
hsplit.__doc__ = """Parts side by side: along dim 1, or dim 0 of a vector; a number of equal parts, or where to cut.

    >>> import hadamard as H
    >>> H.hsplit(H.tensor([1, 2, 3, 4]), 2)
    (tensor([1, 2]), tensor([3, 4]))
    """
vsplit = _splitter("vsplit", 2, 0)
vsplit.__doc__ = """Parts below each other, along dim 0.

    >>> import hadamard as H
    >>> H.vsplit(H.tensor([[1, 2], [3, 4]]), 2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
dsplit = _splitter("dsplit", 3, 2)
dsplit.__doc__ = """Parts behind each other, along dim 2.

    >>> import hadamard as H
    >>> [t.shape for t in H.dsplit(H.ones(1, 2, 4), [1])]
    [torch.Size([1, 2, 1]), torch.Size([1, 2, 3])]
    """


def _whole(name, a, b):
    expect_tensor(name, "input", 1, a)
    expect_tensor(name, "other", 2, b)
    t = _C.result_type(a, b)
    if t.is_floating_point or t.is_complex or t == _C.bool:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(t)}'")
    return a.to(t), b.to(t)


def gcd(input, other, *, out=None):
    """The greatest common divisor of integers, element by element, never negative. Euclid's algorithm.

    >>> import hadamard as H
    >>> H.gcd(H.tensor([12, 0, -4]), H.tensor([18, 5, 6]))
    tensor([6, 5, 2])
    """
    a, b = _C.broadcast_tensors(*_whole("gcd", input, other))
    a, b = a.abs(), b.abs()
    while b.any():
        left = b != 0
        divisor = _C.where(left, b, 1)
        a, b = _C.where(left, b, a), _C.where(left, _C.remainder(a, divisor), 0)
    return into(out, a.clone())


def lcm(input, other, *, out=None):
    """The least common multiple of integers, element by element, never negative; 0 where one is 0.

    >>> import hadamard as H
    >>> H.lcm(H.tensor([4, 0]), H.tensor([6, 5]))
    tensor([12,  0])
    """
    a, b = _whole("lcm", input, other)
    g = gcd(a, b)
    return into(out, (_C.floor_divide(a, _C.where(g == 0, 1, g)) * b).abs())


def ldexp(input, other, *, out=None):
    """input · 2^other. Gradients flow to both.

    >>> import hadamard as H
    >>> H.ldexp(H.tensor([1.0, 3.0]), H.tensor([1, 2]))
    tensor([ 2., 12.])
    """
    expect_tensor("ldexp", "input", 1, input)
    expect_tensor("ldexp", "other", 2, other)
    return _C.mul(input, _C.pow(2.0, other), out=out)


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """Running integrals along `dim` by the trapezoidal rule, one fewer than the values; x or dx says how far apart.

    >>> import hadamard as H
    >>> H.cumulative_trapezoid(H.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    if x is not None and dx is not None:
        raise TypeError("cumulative_trapezoid() received an invalid combination of arguments: x or dx, not both")
    n = y.size(dim)
    means = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2
    if x is None:
        return means.cumsum(dim) * (1 if dx is None else dx)
    along = 0 if x.dim() == 1 else dim
    steps = x.narrow(along, 1, x.size(along) - 1) - x.narrow(along, 0, x.size(along) - 1)
    if x.dim() == 1:
        shape = [1] * y.dim()
        shape[dim] = n - 1
        steps = steps.reshape(shape)
    return (means * steps).cumsum(dim)


def unravel_index(indices, shape):
    """Flat positions in a tensor of `shape` as one tensor of coordinates for each of its dimensions.

    >>> import hadamard as H
    >>> H.unravel_index(H.tensor([4, 1]), (2, 3))
    (tensor([1, 0]), tensor([1, 1]))
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == _C.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    from ._creation import tensor

    steps = [prod(max(n, 1) for n in shape[i + 1 :]) for i in range(len(shape))]
    sizes = tensor([max(n, 1) for n in shape], dtype=_C.int64)
    places = _C.floor_divide(indices.unsqueeze(-1), tensor(steps, dtype=_C.int64))
    return _C.remainder(places, sizes).unbind(-1)


def vander(x, N=None, increasing=False):
    """The Vandermonde matrix of a vector: its powers N - 1 … 0 as columns, or 0 … N - 1.

    >>> import hadamard as H
    >>> H.vander(H.tensor([2, 3])).tolist()
    [[2, 1], [3, 1]]
    """
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    powers = _C.arange(x.numel() if N is None else N)
    return x.unsqueeze(1) ** (powers if increasing else powers.flip(0))
