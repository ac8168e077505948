"""Creation functions of the array API standard."""

import operator

from .. import _C
from .._C import Tensor
from .._creation import as_tensor
from .._creation import meshgrid as _meshgrid
from ._array import promoted, standard


@standard
def arange(start, /, stop=None, step=1, *, dtype=None, device=None):
    """The numbers from start up to, without, stop; int64 where all are integers."""
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        dtype = _C.int64 if all(isinstance(x, int) for x in (start, stop, step)) else _C.get_default_dtype()
    if (stop - start) * step <= 0:
        start = stop  # torch refuses bounds that do not agree with the step; here they give nothing
    return _C.arange(start, stop, step, dtype=dtype, device=device)


@standard
def asarray(obj, /, *, dtype=None, device=None, copy=None):
    """obj (tensor, array, buffer, number or nested sequence) as an Array; memory is shared unless copy=True.

    ValueError where copy=False and the dtype, the device or the kind of obj make a copy necessary.
    """
    shares = isinstance(obj, Tensor) or hasattr(obj, "__array_interface__") or _is_buffer(obj)
    if not shares and hasattr(obj, "__dlpack__"):
        obj, shares = from_dlpack(obj), True
    if not shares:
        if copy is False:
            raise ValueError(f"asarray: a {type(obj).__name__} cannot become an array without a copy")
        if isinstance(obj, (list, tuple)) and any(isinstance(x, Tensor) for x in obj):
            obj = _C.stack(promoted(*obj), 0)
        return as_tensor(obj, dtype=dtype, device=device)
    out = as_tensor(obj, dtype=dtype, device=device)
    converted = isinstance(obj, Tensor) and (out.dtype is not obj.dtype or out.device != obj.device)
    converted |= not isinstance(obj, Tensor) and dtype is not None and as_tensor(obj).dtype is not dtype
    if copy is False and converted:
        raise ValueError("asarray: another dtype or device needs a copy")
    return out.clone() if copy and not converted else out


def _is_buffer(obj):
    if isinstance(obj, (bytes, bytearray, str)):
        return False
    try:
        memoryview(obj)
    except (TypeError, BufferError):
        return False
    return True


@standard
def from_dlpack(x, /, *, device=None, copy=None):
    """A tensor on the memory of another library's array."""
    from ..utils.dlpack import from_dlpack

    return from_dlpack(x, device=device, copy=copy)


def _shape(shape):
    return (operator.index(shape),) if hasattr(shape, "__index__") else tuple(shape)


@standard
def empty(shape, *, dtype=None, device=None):
    """An uninitialised array."""
    return _C.empty(_shape(shape), dtype=dtype, device=device)


@standard
def zeros(shape, *, dtype=None, device=None):
    """Zeros."""
    return _C.zeros(_shape(shape), dtype=dtype, device=device)


@standard
def ones(shape, *, dtype=None, device=None):
    """Ones."""
    return _C.ones(_shape(shape), dtype=dtype, device=device)


@standard
def full(shape, fill_value, *, dtype=None, device=None):
    """An array of one number, whose kind gives the dtype."""
    return _C.full(_shape(shape), fill_value, dtype=dtype, device=device)


@standard
def empty_like(x, /, *, dtype=None, device=None):
    """An uninitialised array of x's shape."""
    return _C.empty_like(x, dtype=dtype, device=device)


@standard
def zeros_like(x, /, *, dtype=None, device=None):
    """Zeros of x's shape."""
    return _C.zeros_like(x, dtype=dtype, device=device)


@standard
def ones_like(x, /, *, dtype=None, device=None):
    """Ones of x's shape."""
    return _C.ones_like(x, dtype=dtype, device=device)


@standard
def full_like(x, /, fill_value, *, dtype=None, device=None):
    """An array of one number, of x's shape and dtype."""
    return _C.full_like(x, fill_value, dtype=dtype, device=device)


@standard
def eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None):
    """Ones on the k-th diagonal, zeros elsewhere."""
    n_cols = n_rows if n_cols is None else n_cols
    out = _C.zeros((n_rows, n_cols), dtype=dtype, device=device)
    if -n_rows < k < n_cols:
        out.diagonal(k).fill_(1)
    return out


@standard
def linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True):
    """num evenly spaced numbers from start to stop, with or without the last."""
    if endpoint:
        return _C.linspace(start, stop, num, dtype=dtype, device=device)
    return _C.linspace(start, stop, num + 1, dtype=dtype, device=device)[:num]


@standard
def meshgrid(*arrays, indexing="xy"):
    """Coordinates of a grid: each one-dimensional array repeated along the others."""
    return tuple(_meshgrid(*arrays, indexing=indexing))


@standard
def tril(x, /, *, k=0):
    """x with zeros above its k-th diagonal."""
    return _C.tril(x, k)


@standard
def triu(x, /, *, k=0):
    """x with zeros below its k-th diagonal."""
    return _C.triu(x, k)
