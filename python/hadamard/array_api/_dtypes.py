"""Dtypes of the array API standard: conversions, promotion, limits, and what this namespace has."""

from .. import _C, _size
from .._C import Tensor
from ._array import standard

_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8",),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]
_HALVES = ("float16", "bfloat16")  # not of the standard, but of its kind


@standard
def astype(x, dtype, /, *, copy=True, device=None):
    """x converted; a copy even where nothing changes, unless copy=False."""
    return x.to(dtype=dtype, device=device, copy=copy)


def can_cast(from_, to, /):
    """Whether promotion leads from one dtype (or an array's) to the other."""
    from_ = from_.dtype if isinstance(from_, Tensor) else from_
    return _C.promote_types(from_, to) is to


def isdtype(dtype, kind):
    """Whether dtype is of a kind: another dtype, a word such as "real floating", or one of a tuple of these."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, _C.dtype):
        return dtype is kind
    if kind not in _KINDS:
        raise ValueError(f"isdtype: {kind!r} is not a kind; the kinds are {', '.join(map(repr, _KINDS))}")
    name = repr(dtype)[6:]
    return name in _KINDS[kind] or (name in _HALVES and kind in ("real floating", "numeric"))


def result_type(*arrays_and_dtypes):
    """The dtype that arrays, dtypes and Python numbers promote to; numbers count only by their kind."""
    dtypes = [x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes]
    strong = [d for d in dtypes if isinstance(d, _C.dtype)]
    if not strong:
        raise ValueError("result_type: at least one array or dtype is needed")
    out = strong[0]
    for d in strong[1:]:
        out = _C.promote_types(out, d)
    for number in dtypes:
        if not isinstance(number, _C.dtype):
            out = _C.result_type(_C.empty((1,), dtype=out), number)
    return out


class finfo:
    """Limits of the floating dtype of an array, or of a dtype: bits, eps, max, min, smallest_normal, dtype."""

    def __init__(self, type, /):
        info = _size.finfo(type.dtype if isinstance(type, Tensor) else type)
        self.bits, self.eps, self.max, self.min = info.bits, info.eps, info.max, info.min
        self.smallest_normal = info.smallest_normal
        self.dtype = getattr(_C, info.dtype)

    def __repr__(self):
        return f"finfo(bits={self.bits}, eps={self.eps:g}, max={self.max:g}, dtype={self.dtype})"


class iinfo:
    """Limits of the integer dtype of an array, or of a dtype: bits, max, min, dtype."""

    def __init__(self, type, /):
        info = _size.iinfo(type.dtype if isinstance(type, Tensor) else type)
        self.bits, self.max, self.min = info.bits, info.max, info.min
        self.dtype = getattr(_C, info.dtype)

    def __repr__(self):
        return f"iinfo(bits={self.bits}, min={self.min}, max={self.max}, dtype={self.dtype})"


class _Info:
    # What __array_namespace_info__() returns.
    def capabilities(self):
        """What is possible: masks as indices, shapes that depend on data, any number of dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self):
        """The CPU."""
        return _C.device("cpu")

    def devices(self):
        """The devices: the CPU."""
        return (_C.device("cpu"),)

    def default_dtypes(self, *, device=None):
        """The dtypes of what is made without one."""
        real = _C.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": real.to_complex(),
            "integral": _C.int64,
            "indexing": _C.int64,
        }

    def dtypes(self, *, device=None, kind=None):
        """The standard's dtypes that exist here, by name, of one kind or of several."""
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        for k in kinds:
            if k not in _KINDS:
                raise ValueError(f"dtypes: {k!r} is not a kind; the kinds are {', '.join(map(repr, _KINDS))}")
        return {name: getattr(_C, name) for k in kinds for name in _KINDS[k]}


def __array_namespace_info__():
    """What this namespace has: devices, dtypes, defaults, capabilities."""
    return _Info()
