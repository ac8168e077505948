"""Array: a Tensor whose operators, indexing and size are those of the array API standard."""

from functools import wraps

from .. import _C
from .._C import Tensor


class _Count(int):
    """The number of elements, as the standard's `x.size`; called, it is torch's `x.size()` and `x.size(dim)`."""

    def __new__(cls, x):
        self = int.__new__(cls, x.numel())
        self._shape = x.shape
        return self

    def __call__(self, dim=None):
        return self._shape if dim is None else self._shape[dim]


def _backwards(key, shape):
    """key without its negative steps, and the dimensions to flip before it is used; None where there are none."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in parts):
        return None
    flips, dim = [], 0
    for i, part in enumerate(parts):
        if part is None:
            continue
        if part is Ellipsis:
            later = (p for p in parts[i + 1 :] if p is not None)
            dim = len(shape) - sum(p.dim() if isinstance(p, Tensor) and p.dtype is _C.bool else 1 for p in later)
            continue
        if isinstance(part, slice) and part.step is not None and part.step < 0:
            n = shape[dim]
            places = range(n)[part]
            parts[i] = slice(0, 0)
            if places:
                flips.append(dim)
                parts[i] = slice(n - 1 - places[0], n - places[-1], -part.step)
        dim += part.dim() if isinstance(part, Tensor) and part.dtype is _C.bool else 1
    return tuple(parts), flips


class Array(Tensor):
    """A Tensor as the array API standard 2025.12 has it; the namespace `hadamard.array_api` makes and returns these.

    It differs from Tensor where the standard and torch do: dtypes promote without regard to dimensions, slices may
    have negative steps, `size` is the number of elements. Everything else, gradients included, is the same, and
    every function of `hadamard` takes it.

    >>> import hadamard as H
    >>> xp = H.array_api
    >>> x = xp.asarray([1.0, 2.0, 3.0])
    >>> x[::-1] + xp.asarray(0.5, dtype=xp.float64)
    Array([3.5000, 2.5000, 1.5000], dtype=torch.float64)
    >>> x.size
    3
    """

    _tensor_in_files = True  # which PyTorch reads too

    @property
    def size(self):
        """The number of elements."""
        return _Count(self)

    def __getitem__(self, key, /):
        forward = _backwards(key, self.shape)
        if forward is None:
            if isinstance(key, Tensor) and key.dtype is _C.bool and not key.numel() and self.numel():
                # A mask that is empty along a dimension selects nothing, whatever the size there.
                if key.dim() <= self.dim() and all(k in (0, n) for k, n in zip(key.shape, self.shape, strict=False)):
                    return self.new_empty((0, *self.shape[key.dim() :]))
            return Tensor.__getitem__(self, key)
        key, flips = forward
        return Tensor.__getitem__(self.flip(flips) if flips else self, key)

    def __setitem__(self, key, value, /):
        if _backwards(key, self.shape) is None:
            Tensor.__setitem__(self, key, value)
        else:
            places = _C.arange(self.numel()).view(self.shape).as_subclass(Array)[key]
            self.put_(places, _C.broadcast_to(asarray(value, dtype=self.dtype), places.shape))

    def to_device(self, device, /, *, stream=None):
        """This array on a device."""
        return arrays(Tensor.to_device(self, device, stream=stream))

    __hash__ = Tensor.__hash__


Array.__module__ = "hadamard.array_api"


def asarray(value, dtype=None, device=None):
    """value as a tensor that may share its memory."""
    from .._creation import as_tensor

    return as_tensor(value, dtype=dtype, device=device)


def promoted(*values):
    """Tensors of one dtype, by the standard's rules: a Python number takes the dtype of the arrays beside it."""
    tensors = [x for x in values if isinstance(x, Tensor)]
    dtype = tensors[0].dtype if tensors else None
    for x in tensors[1:]:
        if x.dtype is not dtype:
            dtype = _C.promote_types(dtype, x.dtype)
    out = []
    for x in values:
        if isinstance(x, Tensor):
            out.append(x if x.dtype is dtype else x.to(dtype))
        else:
            out.append(_C._from_data(x, _dtype_beside(x, dtype), None, False))
    return out


def _dtype_beside(number, dtype):
    # The standard leaves a number of a higher kind beside an array open: it widens the kind, as torch has it.
    if dtype is None:
        return None
    if isinstance(number, complex) and not dtype.is_complex:
        return dtype.to_complex() if dtype.is_floating_point else _C.complex64
    if isinstance(number, float) and not dtype.is_floating_point and not dtype.is_complex:
        return _C.get_default_dtype()
    if isinstance(number, int) and not isinstance(number, bool) and dtype is _C.bool:
        return _C.int64
    return dtype


def floor_divide(a, b):
    """torch's, but infinite operands give the floor of their quotient and not NaN."""
    y = _C.floor_divide(a, b)
    if not y.is_floating_point():
        return y
    infinite = _C.isinf(a) | _C.isinf(b)
    return _C.where(infinite, _C.floor(a / b), y) if infinite.any() else y


def remainder(a, b):
    """torch's, but a remainder of zero has the sign of the divisor."""
    y = _C.remainder(a, b)
    if not y.is_floating_point():
        return y
    return _C.where(y == 0, _C.copysign(_C.zeros_like(y), b), y)


_OURS = {"__floordiv__": floor_divide, "__mod__": remainder}


def _promoting(name):
    of_tensor = getattr(Tensor, name)
    compute = _OURS.get(name, of_tensor)

    def operator(self, other, /):
        if isinstance(other, Tensor):
            if other.dtype is not self.dtype:
                self, other = promoted(self, other)
        elif compute is not of_tensor:
            if not isinstance(other, (int, float)):
                return NotImplemented
            self, other = promoted(self, other)
        return arrays(compute(self, other))

    operator.__name__ = name
    operator.__qualname__ = "Array." + name
    operator.__doc__ = of_tensor.__doc__
    return operator


def _in_place(name, compute):
    def operator(self, other, /):
        a, b = promoted(self, other)
        return self.copy_(compute(a, b))

    operator.__name__ = name
    operator.__qualname__ = "Array." + name
    return operator


for _name, _compute in ("__ifloordiv__", floor_divide), ("__imod__", remainder):
    setattr(Array, _name, _in_place(_name, _compute))
for _name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
    for _kind in "", "r":
        _dunder = f"__{_kind}{_name}__"
        if hasattr(Tensor, _dunder):
            setattr(Array, _dunder, _promoting(_dunder))
for _name in "eq ne lt le gt ge".split():
    setattr(Array, f"__{_name}__", _promoting(f"__{_name}__"))


def standard(f):
    """f with its results as Arrays."""

    @wraps(f)
    def function(*args, **kwargs):
        return arrays(f(*args, **kwargs))

    return function


def arrays(result):
    """Tensors as Arrays, also inside a tuple."""
    if isinstance(result, Tensor):
        return result if type(result) is Array else result.as_subclass(Array)
    if isinstance(result, tuple):
        parts = [arrays(x) for x in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    return result


def plain(x):
    """An Array as the Tensor it is; anything else as it came."""
    return x.as_subclass(Tensor) if type(x) is Array else x
