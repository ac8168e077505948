"""Storages, the bytes that views share, and how tensors over them are pickled and copied."""

import ctypes
import pickle

import hadamard as H

from .. import _C

# torch's names of the storages of each dtype
_STORAGE_NAMES = {
    "bool": "BoolStorage",
    "uint8": "ByteStorage",
    "int8": "CharStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}


def _dtype_name(dtype):
    return str(dtype).rpartition(".")[2]


class _Storage:
    """The bytes that views share. What map_location functions receive, and what pickles refer to."""

    __slots__ = ("_bytes", "__weakref__")
    is_cuda = False

    def __init__(self, data):
        self._bytes = data  # the whole storage as a uint8 tensor

    def nbytes(self):
        return self._bytes.numel()

    size = __len__ = nbytes

    def data_ptr(self):
        return self._bytes.data_ptr()

    @property
    def device(self):
        return self._bytes.device

    def cpu(self):
        return self

    def untyped(self):
        return self

    def __getitem__(self, index):
        return self._bytes[index].item()

    def tolist(self):
        return self._bytes.tolist()

    def __repr__(self):
        lines = "\n ".join(str(value) for value in self.tolist())
        return f" {lines}\n[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"

    def _buffer(self):
        """The bytes as a writable memoryview, which keeps the storage alive."""
        n = self.nbytes()
        if not n:
            return memoryview(bytearray())
        view = (ctypes.c_char * n).from_address(self.data_ptr())
        view.storage = self
        return memoryview(view).cast("B")

    def __reduce_ex__(self, protocol):
        data = self._buffer()
        return _storage_from, (pickle.PickleBuffer(data) if protocol >= 5 else bytes(data),)

    def __deepcopy__(self, memo):
        return _Storage(self._bytes.clone())


_Storage.__module__, _Storage.__qualname__, _Storage.__name__ = "torch.storage", "UntypedStorage", "UntypedStorage"


def _storage_from(data):
    data = memoryview(data)
    storage = _Storage(H.empty(data.nbytes, dtype=H.uint8))
    storage._buffer()[:] = data.cast("B")
    return storage


# Tensors that share memory are given one _Storage while any of them is being pickled or copied.
_live: dict = {}


def _storage_of(x):
    import weakref

    data = _C._storage_bytes(x)
    key = data.data_ptr()
    if not key or not data.numel():
        return _Storage(data)
    known = _live.get(key)
    storage = known() if known else None
    if storage is None or storage.nbytes() != data.numel():
        storage = _Storage(data)
        _live[key] = weakref.ref(storage, lambda ref: _live.pop(key, None) if _live.get(key) is ref else None)
    return storage


def _out_of_bounds(storage, dtype, offset, size, stride):
    item = dtype.itemsize
    need = item * (offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))) if 0 not in size else 0
    if (
        max(need, offset * item) > storage.nbytes()
        or offset < 0
        or min(size, default=0) < 0
        or min(stride, default=0) < 0
    ):
        return (
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize {item} "
            f"requiring a storage size of {need} are out of bounds for storage of size {storage.nbytes()}"
        )
    return None


def _tensor_over(storage, dtype, offset, size, stride, requires_grad=False):
    if storage.device.type == "meta":
        x = H.empty_strided(size, stride, dtype=dtype, device="meta")
    else:
        x = _C._tensor_over(storage._bytes, dtype, list(size), list(stride), offset)
    return x.requires_grad_() if requires_grad else x


def _located(map_location):
    """(storage, location) → the storage where it is wanted."""

    def restore(storage, location):
        kind = str(location).partition(":")[0]
        if kind == "cpu":
            return storage
        if kind == "meta":
            return _Storage(H.empty(storage.nbytes(), dtype=H.uint8, device="meta"))
        if kind == "cuda":
            raise RuntimeError(
                "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. "
                "If you are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') "
                "to map your storages to the CPU."
            )
        raise RuntimeError(
            f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {location})"
        )

    if map_location is None:
        return restore
    if isinstance(map_location, dict):
        return lambda storage, location: restore(storage, map_location.get(location, location))
    if isinstance(map_location, (str, bytes, H.device)):
        name = map_location.decode() if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, location: restore(storage, name)

    def ask(storage, location):
        result = map_location(storage, location)
        if result is None:
            return restore(storage, location)
        if not isinstance(result, _Storage):
            raise TypeError(f"map_location should return a storage or None, but returned {type(result).__name__}")
        return result

    return ask


# Pickle, copy and deepcopy


def _rebuild_tensor(cls, storage, dtype, offset, size, stride, requires_grad, state=None):
    return _dressed(_tensor_over(storage, dtype, offset, size, stride), cls, requires_grad, state)


def _rebuild_meta(cls, dtype, size, stride, requires_grad, state=None):
    return _dressed(H.empty_strided(size, stride, dtype=dtype, device="meta"), cls, requires_grad, state)


def _dressed(x, cls, requires_grad, state):
    if cls is not None and cls is not H.Tensor:
        x = x.as_subclass(cls)
    if requires_grad != x.requires_grad:
        x.requires_grad_(requires_grad)
    for name, value in (state or {}).items():
        setattr(x, name, value)
    return x


def _reduce_tensor(x):
    """What Tensor.__reduce_ex__ returns: views that are pickled together go on sharing their memory."""
    cls = None if type(x) is H.Tensor else type(x)
    about = x.requires_grad, x.__dict__ or None
    if x.device.type == "meta":
        return _rebuild_meta, (cls, x.dtype, tuple(x.shape), tuple(x.stride()), *about)
    place = x.storage_offset(), tuple(x.shape), tuple(x.stride())
    return _rebuild_tensor, (cls, _storage_of(x), x.dtype, *place, *about)


def _deepcopy_tensor(x, memo):
    """What Tensor.__deepcopy__ returns: views that are copied together go on sharing their memory."""
    import copy

    if id(x) in memo:
        return memo[id(x)]
    if x.requires_grad and not x.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
            "see https://github.com/pytorch/pytorch/pull/103001"
        )
    with H.no_grad():
        if x.device.type == "meta":
            y = H.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")
        else:
            storage = copy.deepcopy(_storage_of(x), memo)
            y = _tensor_over(storage, x.dtype, x.storage_offset(), tuple(x.shape), tuple(x.stride()))
    y = _dressed(y, type(x), x.requires_grad, None)
    memo[id(x)] = y
    if x.grad is not None:
        y.grad = copy.deepcopy(x.grad, memo)
    for name, value in x.__dict__.items():
        setattr(y, name, copy.deepcopy(value, memo))
    return y
