"""Methods of Tensor that are written in Python. Imported once, for what it does to the class."""

from . import _C
from ._C import Tensor

Tensor.__name__ = "Tensor"  # Python's own messages then leave the module out, as with torch


def _method(f):
    setattr(Tensor, f.__name__, f)
    f.__qualname__ = "Tensor." + f.__name__
    return f


def _backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        targets = ()
    else:
        targets = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        if not targets:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    given = () if gradient is None else (gradient,)
    _C._run_backward((self,), given, targets, bool(keep), bool(create_graph), True, True)


_C._set_backward(_backward)


class RemovableHandle:
    """What registering a hook returns: remove() takes the hook off. Also a context manager."""

    def __init__(self, remove):
        self._remove = remove

    def remove(self):
        """Takes the hook off; a second call does nothing."""
        remove, self._remove = self._remove, None
        if remove:
            remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


@_method
def register_hook(self, hook):
    """Calls hook(grad) when this tensor's gradient is known; what it returns, unless None, takes its place."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    number = _C._add_hook(self, hook, False)
    return RemovableHandle(lambda: _C._remove_hook(self, number))


@_method
def register_post_accumulate_grad_hook(self, hook):
    """Calls hook(tensor) after .grad of this leaf was added up."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    number = _C._add_hook(self, hook, True)
    return RemovableHandle(lambda: _C._remove_hook(self, number))


def _node_hook(register):
    def method(self, fn):
        number = getattr(self, register)(fn)
        return RemovableHandle(lambda: self._remove_hook(number))

    return method


_C.Node.register_hook = _node_hook("_register_hook")
_C.Node.register_prehook = _node_hook("_register_prehook")


@_method
def to(self, *args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=None):
    """This tensor with another dtype or device: to(dtype), to(device, dtype=None), to(other). Itself where it fits."""
    args = list(args)
    if args and isinstance(args[0], Tensor):
        other = args.pop(0)
        device, dtype = other.device, other.dtype
    elif args and isinstance(args[0], (str, _C.device, int)) and not isinstance(args[0], bool):
        device = args.pop(0)
        if isinstance(device, int):
            device = f"cuda:{device}"
        if args and (args[0] is None or isinstance(args[0], _C.dtype)):
            dtype = args.pop(0)
    elif args and (isinstance(args[0], _C.dtype) or args[0] in (float, int, bool, complex)):
        dtype = args.pop(0)
    elif args and args[0] is None:
        args.pop(0)
        if args and isinstance(args[0], _C.dtype):
            dtype = args.pop(0)
    elif args:
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({type(args[0]).__name__}), but "
            f"expected one of:\n"
            " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False, "
            "*, torch.memory_format memory_format = None)\n"
            " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format "
            "memory_format = None)\n"
            " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, "
            "torch.memory_format memory_format = None)\n"
        )
    if args:
        non_blocking, *args = args
    if args:
        copy, *args = args
    if dtype is not None and not isinstance(dtype, _C.dtype) and dtype not in (float, int, bool, complex):
        raise TypeError(f"to(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")
    return _C._to(self, dtype, device, bool(copy), memory_format)


@_method
def cpu(self, memory_format=None):
    """This tensor on the CPU."""
    return _C._to(self, None, "cpu", False, memory_format)


@_method
def cuda(self, device=None, non_blocking=False, memory_format=None):
    """AssertionError: Hadamard has no CUDA device yet."""
    return _C._to(self, None, "cuda", False, memory_format)


@_method
def type(self, dtype=None, non_blocking=False):
    """The name of the type, "torch.FloatTensor"; with a dtype or such a name, this tensor converted."""
    from ._creation import _LEGACY

    name = repr(self.dtype)[6:]
    if dtype is None:
        legacy = _LEGACY.get(name) or {"complex64": "ComplexFloatTensor", "complex128": "ComplexDoubleTensor"}[name]
        return f"torch.{legacy}"
    if isinstance(dtype, str):
        word = dtype.rpartition(".")[2]
        for kind, legacy in _LEGACY.items():
            if legacy == word:
                return _C._to(self, getattr(_C, kind), None, False)
        raise ValueError(f"invalid type: '{dtype}'")
    return _C._to(self, getattr(dtype, "dtype", dtype), None, False)


class _ArrayInterface:
    # NumPy makes an array on this and keeps it, and so the memory, alive.
    __slots__ = ("__array_interface__", "_tensor")


_TYPESTR = {
    "bool": "|b1",
    "uint8": "|u1",
    "int8": "|i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "complex64": "<c8",
    "complex128": "<c16",
}


@_method
def numpy(self, *, force=False):
    """A NumPy array on the same memory. RuntimeError where this tensor requires grad: use detach().numpy()."""
    t = self
    if force:
        t = t.detach().cpu()
    if t.requires_grad:
        from .errors import error

        raise error(
            RuntimeError, "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.", x=t
        )
    name = repr(t.dtype)[6:]
    if t.is_meta:
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )
    if name == "bfloat16":
        raise TypeError("Got unsupported ScalarType BFloat16")
    import numpy

    size = t.itemsize
    if t.numel() == 0:
        return numpy.empty(tuple(t.shape), _TYPESTR[name])
    handle = _ArrayInterface()
    handle._tensor = t
    handle.__array_interface__ = {
        "shape": tuple(t.shape),
        "typestr": _TYPESTR[name],
        "data": (t.data_ptr(), False),
        "strides": tuple(s * size for s in t.stride()),
        "version": 3,
    }
    return numpy.asarray(handle)


@_method
def __array__(self, dtype=None, copy=None):
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


@_method
def __array_ufunc__(self, ufunc, method, *inputs, **options):
    from . import _numpy

    return _numpy.ufunc(ufunc, method, inputs, options)


@_method
def __array_function__(self, func, types, args, kwargs):
    from . import _numpy

    return _numpy.function(func, args, kwargs)


@_method
def __iter__(self):
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


@_method
def __reversed__(self):
    return self if self.dim() == 0 else self.flip(0)


@_method
def __contains__(self, element):
    if isinstance(element, (Tensor, int, float, complex, bool)):
        return bool((element == self).any())
    raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {element.__class__}.")


@_method
def __format__(self, spec):
    if self.dim() == 0 and not self.is_meta and self.__class__ is Tensor:
        return format(self.item(), spec)
    return object.__format__(self, spec)


@_method
def __complex__(self):
    return complex(self.item())


@_method
def __round__(self, ndigits=None):
    return self.round() if ndigits is None else self.round(decimals=ndigits)


@_method
def split(self, split_size, dim=0):
    """Views of pieces along `dim`: of one size, or of the sizes in a list."""
    return _C.split(self, split_size, dim)


@_method
def __deepcopy__(self, memo):
    from .serialization.storages import _deepcopy_tensor

    return _deepcopy_tensor(self, memo)


@_method
def __reduce_ex__(self, protocol):
    from .serialization.storages import _reduce_tensor

    return _reduce_tensor(self)


@_method
def untyped_storage(self):
    """The bytes that this tensor's views share: data_ptr(), nbytes(), device."""
    from .serialization.storages import _storage_of

    return _storage_of(self)


@_method
def storage(self):
    """The numbers that this tensor's views share, in the order of the memory. Deprecated: use `untyped_storage`."""
    from .errors import warn
    from .storage import TypedStorage

    if not _told_of_storage:
        _told_of_storage.append(True)
        warn(
            "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage "
            "class. This should only matter to you if you are using storages directly.  To access UntypedStorage "
            "directly, use tensor.untyped_storage() instead of tensor.storage()"
        )
    return TypedStorage(self)


_told_of_storage: list = []


@_method
def __setstate__(self, state):
    self.__dict__.update(state)


@_method
def is_shared(self):
    """Whether other processes see this tensor's memory: after share_memory_(), or in a process it was sent to."""
    from sys import modules

    sharing = modules.get(__package__ + "._sharing")
    return sharing is not None and sharing.is_shared(self)


@_method
def share_memory_(self):
    """Moves the storage into memory that processes started later, or sent the tensor by a queue, see and write to.

    Its views go along; NumPy arrays made before do not. Returns the tensor.

    >>> import hadamard as H
    >>> x = H.ones(2)
    >>> x.share_memory_().is_shared(), x
    (True, tensor([1., 1.]))
    """
    from . import _sharing

    _sharing.share(self)
    return self


@_method
def pin_memory(self, device=None):
    """This tensor: there is no device to pin for."""
    return self


@_method
def is_pinned(self, device=None):
    """False."""
    return False


@_method
def get_device(self):
    """-1 on the CPU."""
    return -1


@_method
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
    """A new tensor from data, with this tensor's dtype and device unless others are given."""
    return _C._from_data(data, dtype or self.dtype, device or self.device, False).requires_grad_(requires_grad)


@_method
def new(self, *args):
    """A new tensor of this dtype: new(2, 3) is not initialised, new([…]) holds data."""
    if len(args) == 1 and not isinstance(args[0], int):
        return _C._from_data(args[0], self.dtype, self.device, False)
    return _C.empty(args if args else (0,), dtype=self.dtype, device=self.device)


@_method
def apply_(self, callable):
    """Puts callable(x) in the place of every element x, one by one in Python."""
    flat = [callable(x) for x in self.reshape(-1).tolist()]
    self.copy_(_C._from_data(flat, self.dtype, None, False).view(self.shape))
    return self


@_method
def map_(self, tensor, callable):
    """Puts callable(x, y) in the place of every element x, with y from `tensor`."""
    other = tensor.expand_as(self).reshape(-1).tolist()
    flat = [callable(x, y) for x, y in zip(self.reshape(-1).tolist(), other, strict=False)]
    self.copy_(_C._from_data(flat, self.dtype, None, False).view(self.shape))
    return self


@_method
def is_set_to(self, tensor):
    """Whether both have the same storage, offset, sizes and strides."""
    return (
        self._storage_id() == tensor._storage_id()
        and self.storage_offset() == tensor.storage_offset()
        and self.size() == tensor.size()
        and self.stride() == tensor.stride()
    )


@_method
def dim_order(self):
    """The dimensions from the largest stride to the smallest."""
    return tuple(sorted(range(self.dim()), key=lambda d: -self.stride(d)))


@_method
def sum_to_size(self, *size):
    """Sums the dimensions that broadcasting from `size` would repeat."""
    size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    if not size:
        return self.sum()
    lead = self.dim() - len(size)
    dims = [d for d in range(self.dim()) if d < lead or (size[d - lead] == 1 and self.size(d) != 1)]
    if lead < 0 or any(d >= lead and size[d - lead] not in (1, self.size(d)) for d in range(self.dim())):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(self.shape)}}}.")
    return self.sum(dims, keepdim=True).view(size) if dims else self


def _layout(self):
    import hadamard

    return hadamard.strided


Tensor.layout = property(_layout)
Tensor.is_sparse_csr = False
Tensor.names = property(lambda self: (None,) * self.dim())
Tensor.volatile = False


@_method
def positive(self):
    """This tensor: +x."""
    return +self


@_method
def where(self, condition, other):
    """These elements where `condition` is true, those of `other` elsewhere."""
    return _C.where(condition, self, other)


@_method
def fill_diagonal_(self, fill_value, wrap=False):
    """In place: one number on the main diagonal; with wrap=True again below it in a tall matrix."""
    if self.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.dim() > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    n = min(self.shape)
    places = _C.arange(n)
    if wrap and self.dim() == 2 and self.shape[0] > self.shape[1] + 1:
        rows = _C.arange(self.shape[0])
        rows = rows[rows % (n + 1) < n]
        self[rows, rows % (n + 1)] = fill_value
    else:
        self[(places,) * self.dim()] = fill_value
    return self


@_method
def is_coalesced(self):
    """False: tensors here are never sparse."""
    return False


@_method
def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    from .utils import dlpack

    return dlpack.to_dlpack(self, max_version=max_version, dl_device=dl_device, copy=copy)


@_method
def __dlpack_device__(self):
    if self.is_meta:
        raise ValueError("Unknown device type meta for Dlpack")
    return (1, 0)


@_method
def __array_namespace__(self, /, *, api_version=None):
    """The array API standard's namespace, `hadamard.array_api`. ValueError for a version that it does not follow."""
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12"):
        raise ValueError(f"array API version {api_version!r} is not known; 2025.12 is followed")
    from . import array_api

    return array_api


@_method
def to_device(self, device, /, *, stream=None):
    """This tensor on a device, as the array API standard words it; the CPU has no streams."""
    if stream is not None:
        raise ValueError(f"stream must be None, not {stream!r}")
    return _C._to(self, None, device, False)


def _late(name):
    # A method whose function is imported when it is first called.
    def method(self, *args, **kwargs):
        import hadamard

        return getattr(hadamard, name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


for _name in (
    "as_strided_scatter cholesky cholesky_inverse cholesky_solve det dsplit frexp gcd geqrf histogram hsplit i0 igamma "
    "igammac inverse istft lcm ldexp logdet logit lu_solve matrix_exp matrix_power mvlgamma narrow_copy "
    "nonzero_static orgqr ormqr pinverse polygamma qr slogdet stft svd triangular_solve unsafe_chunk unsafe_split "
    "unsafe_split_with_sizes vsplit"
).split():
    setattr(Tensor, _name, _late(_name))


def _late_in_place(name):
    # What the derivative reads must not be what is written to.
    def method(self, *args):
        before = self.clone() if self.requires_grad and _C.is_grad_enabled() else self
        return self._assign(getattr(before, name)(*args))

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"`{name}` in place."
    return method


for _name in "gcd i0 igamma igammac lcm logit polygamma".split():
    setattr(Tensor, _name + "_", _late_in_place(_name))


@_method
def mvlgamma_(self, p):
    """In place: the logarithm of the multivariate gamma function of dimension p."""
    if not self.is_floating_point():
        from ._common import scalar_name

        raise RuntimeError(
            f"mvlgamma: result type {scalar_name(self.dtype)} can't be cast to the desired output type Float"
        )
    before = self.clone() if self.requires_grad and _C.is_grad_enabled() else self
    return self._assign(before.mvlgamma(p))


@_method
def ldexp_(self, other):
    """In place: this tensor times 2^other."""
    if not (self.is_floating_point() or self.is_complex()):
        from ._common import scalar_name

        raise RuntimeError(f"ldexp can't be cast to the desired output type {scalar_name(self.dtype)}")
    return self.mul_(_C.pow(2.0, other))


@_method
def lu(self, pivot=True, get_infos=False):
    """`torch.lu`, as a plain tuple."""
    import hadamard

    return tuple(hadamard.lu(self, pivot, get_infos))


@_method
def is_conj(self):
    """False: conjugates are computed at once."""
    return False


@_method
def is_neg(self):
    """False: negatives are computed at once."""
    return False


@_method
def resize(self, *size):
    """The elements in another shape of the same number: torch's older name for `reshape`."""
    return self.reshape(*size)


@_method
def resize_as(self, tensor):
    """`resize` to the shape of a tensor."""
    return self.reshape(tensor.shape)


@_method
def new_empty_strided(self, size, stride, dtype=None, device=None, requires_grad=False):
    """An uninitialised tensor of these sizes and strides, with this tensor's dtype and device unless others are given.

    >>> import hadamard as H
    >>> H.ones(2).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    y = _C.empty_strided(size, stride, dtype=dtype or self.dtype, device=device or self.device)
    return y.requires_grad_(requires_grad)


@_method
def to_dense(self, dtype=None, *, masked_grad=None):
    """This tensor, which is dense already; of another dtype where one is given."""
    return self if dtype is None else self.to(dtype)


@_method
def record_stream(self, stream):
    """Accepted for torch's sake: there are no streams."""
