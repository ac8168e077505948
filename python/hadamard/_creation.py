"""Tensors from data: tensor, as_tensor, from_numpy, DLPack, the old typed constructors, and small grids."""

from . import _C
from ._C import Tensor
from ._common import expect_tensors

__all__ = [
    "as_tensor",
    "asarray",
    "broadcast_shapes",
    "frombuffer",
    "from_numpy",
    "from_dlpack",
    "tensor",
    "scalar_tensor",
    "broadcast_tensors",
    "meshgrid",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "split",
    "set_default_tensor_type",
]


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor with a copy of `data`: a number, nested sequences, an array or a tensor.

    The dtype follows from the data (Python floats: the default dtype; ints: int64; bools: bool). ValueError where
    the sequences are ragged.

    >>> import hadamard as H
    >>> H.tensor([[1, 2], [3, 4]], dtype=H.float32)
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, Tensor):
        import warnings

        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    result = _C._from_data(data, dtype, device, False)
    if requires_grad:
        if not (result.is_floating_point() or result.is_complex()):
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        result.requires_grad_()
    return result


def as_tensor(data, dtype=None, device=None):
    """`data` as a tensor, sharing memory with a tensor or NumPy array where dtype and device allow."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    return _C._from_data(data, dtype, device, True)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """`obj` as a tensor; copy=True always copies, copy=False raises ValueError where it would have to."""
    shares = isinstance(obj, Tensor) or hasattr(obj, "__array_interface__") or hasattr(obj, "__dlpack__")
    result = _C._from_data(obj, dtype, device, not copy)
    if copy is False and (not shares or (isinstance(obj, Tensor) and result is not obj)):
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    result = result.detach() if result.requires_grad and not requires_grad else result
    return result.requires_grad_() if requires_grad else result


def scalar_tensor(s, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A 0-d tensor of the default dtype unless another is given."""
    return tensor(s, dtype=dtype or _C.get_default_dtype(), device=device, requires_grad=requires_grad)


def from_numpy(ndarray):
    """A tensor on the memory of a NumPy array: writes to one are seen in the other. TypeError for other objects."""
    if type(ndarray).__module__ != "numpy" or not hasattr(ndarray, "ndim") or not hasattr(ndarray, "ctypes"):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return _C._from_buffer(ndarray)


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A 1-d tensor on the memory of any buffer (bytes, bytearray, array, mmap)."""
    size = dtype.itemsize
    view = memoryview(buffer).cast("B")
    if len(view) == 0:
        raise ValueError(f"both buffer length ({len(view)}) and count ({count}) must not be 0")
    if offset < 0 or offset >= len(view):
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({len(view)} "
            f"bytes) minus 1"
        )
    if count == 0:
        raise ValueError(f"both buffer length ({len(view)}) and count ({count}) must not be 0")
    if count < 0:
        if (len(view) - offset) % size:
            raise ValueError(
                f"buffer length ({len(view) - offset} bytes) after offset ({offset} bytes) must be a multiple of "
                f"element size ({size})"
            )
        count = (len(view) - offset) // size
    if offset + count * size > len(view):
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({len(view)} bytes)"
        )
    result = _C._from_buffer(view[offset : offset + count * size]).view(dtype)
    return result.requires_grad_() if requires_grad else result


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of another library's array, by DLPack."""
    from .utils import dlpack

    return dlpack.from_dlpack(ext_tensor, device=device, copy=copy)


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes broadcast to.

    >>> import hadamard as H
    >>> H.broadcast_shapes((2, 1), (3,), 1)
    torch.Size([2, 3])
    """
    result = ()
    for shape in shapes:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(size < 0 for size in shape):
            raise RuntimeError(f"Trying to create tensor with negative dimension ({min(shape)}): {shape}")
        result = _C._broadcast_pair(result, shape)
    from ._size import Size

    return Size(result)


def broadcast_tensors(*tensors):
    """The tensors expanded to their common shape, as a tuple of views.

    >>> import hadamard as torch
    >>> [tuple(t.shape) for t in torch.broadcast_tensors(torch.ones(2, 1), torch.ones(3))]
    [(2, 3), (2, 3)]
    """
    return tuple(_C.broadcast_tensors(tensors))


def meshgrid(*tensors, indexing=None):
    """Coordinate grids of 1-d tensors; indexing "ij" (the default, with a warning) or "xy"."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    expect_tensors("meshgrid", tensors)
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=2
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t.dim() > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
    if len({t.dtype for t in tensors}) > 1:
        raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    flat = [t.reshape(-1) for t in tensors]
    if indexing == "xy" and len(flat) > 1:
        flat[0], flat[1] = flat[1], flat[0]
    n = len(flat)
    shape = tuple(t.numel() for t in flat)
    grids = [t.view(*(-1 if k == d else 1 for k in range(n))).expand(shape) for d, t in enumerate(flat)]
    if indexing == "xy" and n > 1:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def _at_least(tensors, n, widen):
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
        return tuple(widen(t) if t.dim() < n else t for t in tensors)
    wide = tuple(widen(t) if t.dim() < n else t for t in tensors)
    return wide[0] if len(wide) == 1 else wide


def atleast_1d(*tensors):
    """Each tensor with at least one dimension."""
    return _at_least(tensors, 1, lambda t: t.reshape(1))


def atleast_2d(*tensors):
    """Each tensor with at least two dimensions."""
    return _at_least(tensors, 2, lambda t: t.reshape(1, 1) if t.dim() == 0 else t.unsqueeze(0))


def atleast_3d(*tensors):
    """Each tensor with at least three dimensions."""

    def widen(t):
        return t.reshape(1, 1, 1) if t.dim() == 0 else t.unsqueeze(0).unsqueeze(-1) if t.dim() == 1 else t.unsqueeze(-1)

    return _at_least(tensors, 3, widen)


def split(tensor, split_size_or_sections, dim=0):
    """Views of pieces along `dim`: of one size, or of the sizes in a list."""
    return tensor.split(split_size_or_sections, dim)


def set_default_tensor_type(t):
    """Sets the default dtype by an old type name, such as "torch.DoubleTensor"."""
    name = t if isinstance(t, str) else t.__name__
    for kind, legacy in _LEGACY.items():
        if name.rpartition(".")[2] == legacy:
            return _C.set_default_dtype(getattr(_C, kind))
    raise TypeError(f"invalid type object: {name}")


_LEGACY = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "bfloat16": "BFloat16Tensor",
    "uint8": "ByteTensor",
    "int8": "CharTensor",
    "int16": "ShortTensor",
    "int32": "IntTensor",
    "int64": "LongTensor",
    "bool": "BoolTensor",
}


class _LegacyType(type(Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, obj):
        return isinstance(obj, Tensor) and obj.dtype is cls.dtype and obj.device.type == "cpu"

    def __call__(cls, *args):
        if len(args) == 1 and not isinstance(args[0], int):
            return _C._from_data(args[0], cls.dtype, None, False)
        return _C.empty(args if args else (0,), dtype=cls.dtype)


for _kind, _legacy in _LEGACY.items():
    globals()[_legacy] = _LegacyType(
        _legacy,
        (),
        {"dtype": getattr(_C, _kind), "__module__": "torch", "__doc__": f"The old constructor of {_kind} tensors."},
    )
    __all__.append(_legacy)
