"""torch.Size, finfo and iinfo."""

from operator import index as _index

from ._C import dtype, get_default_dtype


class Size(tuple):
    """The sizes of a tensor's dimensions: a tuple that prints as torch.Size([2, 3])."""

    __slots__ = ()

    def __new__(cls, sizes=()):
        sizes = tuple(sizes)
        try:
            return tuple.__new__(cls, map(_index, sizes))
        except TypeError:
            for i, size in enumerate(sizes):
                if not hasattr(size, "__index__"):
                    kind = type(size).__name__
                    raise TypeError(f"torch.Size() takes an iterable of 'int' (item {i} is '{kind}')") from None
            raise

    def numel(self):
        """The product of the sizes."""
        n = 1
        for size in self:
            n *= size
        return n

    def __repr__(self):
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, at):
        part = tuple.__getitem__(self, at)
        return Size(part) if isinstance(at, slice) else part

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other))) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __reduce__(self):
        return Size, (tuple(self),)


Size.__module__ = "torch"

# bits, eps, max, smallest normal, digits of resolution
_FLOATS = {
    "float16": (16, 2.0**-10, 65504.0, 2.0**-14, 1e-3),
    "bfloat16": (16, 2.0**-7, 3.3895313892515355e38, 2.0**-126, 1e-2),
    "float32": (32, 2.0**-23, 3.4028234663852886e38, 2.0**-126, 1e-6),
    "float64": (64, 2.0**-52, 1.7976931348623157e308, 2.0**-1022, 1e-15),
}
_FLOATS["complex64"], _FLOATS["complex128"] = _FLOATS["float32"], _FLOATS["float64"]


class finfo:
    """Limits of a floating dtype: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, type=None):
        type = get_default_dtype() if type is None else type
        name = repr(type)[6:]
        if not isinstance(type, dtype) or name not in _FLOATS:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{name}'")
        self.bits, self.eps, self.max, self.tiny, self.resolution = _FLOATS[name]
        self.smallest_normal, self.min = self.tiny, -self.max
        self.dtype = {"complex64": "float32", "complex128": "float64"}.get(name, name)

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, max, min."""

    def __init__(self, type):
        name = repr(type)[6:]
        if not isinstance(type, dtype) or not name.lstrip("u").startswith("int"):
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{name}'")
        self.bits = type.itemsize * 8
        signed = not name.startswith("u")
        self.max = 2 ** (self.bits - signed) - 1
        self.min = -(2 ** (self.bits - 1)) if signed else 0
        self.dtype = name

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
