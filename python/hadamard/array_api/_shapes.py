"""Manipulation and indexing functions of the array API standard."""

from .. import _C
from .._C import Tensor
from .._size import Size
from ._array import promoted, standard

__all__ = (
    "broadcast_arrays broadcast_shapes broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll "
    "squeeze stack take take_along_axis tile unstack"
).split()


def _axes(axis, ndim):
    """axis, one or several, as numbers from 0; IndexError beyond the dimensions, ValueError where one is repeated."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise IndexError(f"axis {a} is out of bounds for an array of {ndim} dimensions")
    axes = [a % ndim for a in axes]
    if len(set(axes)) != len(axes):
        raise ValueError(f"an axis is repeated: {axis}")
    return axes


def broadcast_shapes(*shapes):
    """The shape that arrays of these shapes broadcast to; None stands for an unknown size.

    ValueError where they do not fit.
    """
    ndim = max(map(len, shapes), default=0)
    out = [1] * ndim
    for shape in shapes:
        for i, n in enumerate(shape, ndim - len(shape)):
            if n == 1 or out[i] == n:
                continue
            if out[i] == 1 or (out[i] is None and n is not None):
                out[i] = n
            elif n is not None:
                raise ValueError(f"shapes {', '.join(map(str, map(tuple, shapes)))} do not broadcast")
    return tuple(out)


@standard
def broadcast_to(x, /, shape):
    """A view of x repeated to a shape."""
    return _C.broadcast_to(x, shape)


@standard
def broadcast_arrays(*arrays):
    """Views of the arrays, repeated to one shape."""
    return tuple(_C.broadcast_tensors(*arrays)) if arrays else ()


@standard
def concat(arrays, /, *, axis=0):
    """The arrays one after the other along an axis; flattened first where it is None."""
    arrays = promoted(*arrays)
    if axis is None:
        arrays, axis = [x.reshape(-1) for x in arrays], 0
    _axes(axis, arrays[0].dim())
    return _C.cat(arrays, axis)


@standard
def stack(arrays, /, *, axis=0):
    """The arrays side by side along a new axis."""
    return _C.stack(promoted(*arrays), axis)


@standard
def unstack(x, /, *, axis=0):
    """The slices along an axis."""
    return tuple(_C.unbind(x, axis))


@standard
def expand_dims(x, /, axis):
    """x with axes of size 1 at the given places of the result."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in sorted(_axes(axes, x.dim() + len(axes))):
        x = _C.unsqueeze(x, a)
    return x


@standard
def squeeze(x, /, axis):
    """x without the given axes. ValueError where one has another size than 1."""
    axes = _axes(axis, x.dim())
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} has size {x.shape[a]}, not 1")
    return _C.squeeze(x, axes) if axes else x


@standard
def flip(x, /, *, axis=None):
    """x reversed along axes, all where None."""
    return _C.flip(x, tuple(range(x.dim())) if axis is None else _axes(axis, x.dim()))


@standard
def moveaxis(x, source, destination, /):
    """x with axes moved."""
    return _C.movedim(x, source, destination)


@standard
def permute_dims(x, /, axes):
    """x with its axes in another order."""
    return _C.permute(x, axes)


@standard
def reshape(x, /, shape, *, copy=None):
    """x in another shape. ValueError where copy=False and one is needed."""
    if copy:
        return _C.reshape(x.clone(memory_format=None), shape)
    out = _C.reshape(x, shape)
    if copy is False and x.numel() and out.data_ptr() != x.data_ptr():
        raise ValueError(f"reshape: shape {tuple(x.shape)} with strides {x.stride()} needs a copy")
    return out


@standard
def roll(x, /, shift, *, axis=None):
    """x with its elements moved around an axis."""
    if isinstance(shift, tuple) and axis is not None and not isinstance(axis, tuple):
        shift = sum(shift)
    if isinstance(axis, tuple) and not isinstance(shift, tuple):
        shift = (shift,) * len(axis)
    return _C.roll(x, shift, () if axis is None else axis)


@standard
def repeat(x, repeats, /, *, axis=None):
    """Each element repeated, in a row."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    if isinstance(repeats, Tensor):
        repeats = repeats.to(_C.int64)
        if repeats.numel() == 1:
            repeats = int(repeats)
    return _C.repeat_interleave(x, repeats, axis)


@standard
def tile(x, repetitions, /):
    """x repeated as a block along each axis."""
    return _C.tile(x, Size(repetitions))


@standard
def take(x, indices, /, *, axis=None):
    """The slices of x at indices along an axis; negative ones count from the end."""
    if axis is None:
        if x.dim() > 1:
            raise ValueError(f"take: axis is needed for an array of {x.dim()} dimensions")
        axis = 0
    (axis,) = _axes(axis, x.dim())
    return x[(slice(None),) * axis + (indices.to(_C.int64),)]


@standard
def take_along_axis(x, indices, /, *, axis=-1):
    """Elements of x at indices along an axis, with the other axes broadcast."""
    (axis,) = _axes(axis, x.dim())
    indices = indices.to(_C.int64)
    return _C.take_along_dim(x, _C.where(indices < 0, indices + x.shape[axis], indices), axis)
