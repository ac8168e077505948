"""save and load: torch's zip format, written as torch writes it and read without ever running code from the file.

A checkpoint is a zip of stored (not compressed) records: data.pkl, a pickle in which every storage is a reference, and
one record data/<key> per storage. load() reads the pickle with a machine of its own that can build tensors, parameters
and plain containers; whatever else a file asks for is refused by name. add_safe_globals() and safe_globals() permit
classes of one's own. Files of torch before 1.6 (a row of pickles) and *.safetensors are read too.
"""

import contextlib
import ctypes
import functools
import io
import mmap as _mmap
import os
import pickle
import struct
import sys
import types
import warnings
import zipfile
import zlib
from collections import Counter, OrderedDict
from pickle import UnpicklingError

import hadamard as H

from . import _C

__all__ = ["save", "load", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "safe_globals"]

DEFAULT_PROTOCOL = 2
_ALIGNMENT = 64
_LIMIT32 = 0xFFFFFFFF

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
_SAFETENSORS_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}


def _dtype_name(dtype):
    return str(dtype).rpartition(".")[2]


# ---------------------------------------------------------------------------------------------------------- storages


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
    if need > storage.nbytes() or offset < 0 or min(size, default=0) < 0 or min(stride, default=0) < 0:
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


# ------------------------------------------------------------------------------------ pickle, copy and deepcopy


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


# ------------------------------------------------------------------------------------------------------------ saving


class _Global:
    """Stands for a name of torch in a pickle."""

    __slots__ = ("module", "name", "__name__")

    def __init__(self, module, name):
        self.module, self.name, self.__name__ = module, name, name

    def __call__(self, *args):
        raise TypeError(f"{self.module}.{self.name} is only a name")


class _Reference:
    """A storage with a dtype, as torch's pickles refer to it."""

    __slots__ = ("storage", "dtype")

    def __init__(self, storage, dtype):
        self.storage, self.dtype = storage, dtype


@functools.cache
def _global(module, name):
    return _Global(module, name)


class _Pickler(pickle._Pickler):
    """Writes what torch's own pickler writes for the same objects."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol=protocol)
        self.keys = {}  # address of a storage → key
        self.storages = {}  # key → storage
        self.dtypes = {}

    def persistent_id(self, obj):
        if type(obj) is not _Reference:
            return None
        storage, name = obj.storage, _dtype_name(obj.dtype)
        address = storage.data_ptr() if storage.nbytes() else None
        if address and self.dtypes.setdefault(address, name) != name:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
        key = self.keys.setdefault(address or ("empty", id(storage)), str(len(self.keys)))
        self.storages[key] = storage
        return "storage", _global("torch", _STORAGE_NAMES[name]), key, "cpu", storage.nbytes() // obj.dtype.itemsize

    def reducer_override(self, obj):
        kind = type(obj)
        if kind is str or kind is int or kind is tuple or kind is dict:
            return NotImplemented
        if kind is _Global:
            return obj.name
        if isinstance(obj, H.Tensor):
            return self.reduce_tensor(obj)
        if kind is H.dtype:
            return _dtype_name(obj)
        if kind is H.Size:
            return H.Size, (tuple(obj),)
        if kind is H.device:
            return H.device, (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def reduce_tensor(self, x):
        state = x.__dict__
        if isinstance(x, H.nn.Parameter):
            data = x.detach().as_subclass(H.Tensor)
            args = data, x.requires_grad, OrderedDict()
            if state:
                return _global("torch._utils", "_rebuild_parameter_with_state"), (*args, state)
            return _global("torch._utils", "_rebuild_parameter"), args
        if x.device.type == "meta":
            rebuild = _global("torch._utils", "_rebuild_meta_tensor_no_storage")
            args = x.dtype, tuple(x.shape), tuple(x.stride()), x.requires_grad
        else:
            rebuild = _global("torch._utils", "_rebuild_tensor_v2")
            place = x.storage_offset(), tuple(x.shape), tuple(x.stride())
            args = _Reference(_storage_of(x), x.dtype), *place, x.requires_grad, OrderedDict()
        if type(x) is not H.Tensor or state:
            return _global("torch._tensor", "_rebuild_from_type_v2"), (rebuild, type(x), args, state)
        return rebuild, args

    def save_global(self, obj, name=None):
        if type(obj) is _Global:
            module, name = obj.module, obj.name
        elif obj is H.Tensor:
            module, name = "torch", "Tensor"
        elif obj is H.nn.Parameter:
            module, name = "torch.nn.parameter", "Parameter"
        elif type(obj) is H.dtype or obj is H.Size or obj is H.device:
            module, name = "torch", name or obj.__name__
        elif getattr(obj, "__module__", None) and (obj.__module__ + ".").startswith("hadamard."):
            module, name = "torch" + obj.__module__[8:], obj.__qualname__
        else:
            return super().save_global(obj, name)
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, types.FunctionType: save_global}  # type: ignore[dict-item]


class _ZipWriter:
    """Stored records, each beginning at a multiple of 64 bytes, laid out to the byte as torch's writer does."""

    def __init__(self, write, name):
        self.write_bytes, self.name, self.at, self.records = write, name, 0, []

    def put(self, data):
        self.write_bytes(data)
        self.at += len(data)

    def record(self, name, data):
        name = f"{self.name}/{name}".encode()
        start, size = self.at, len(data)
        large, far = size >= _LIMIT32, start >= _LIMIT32
        extra = b""
        if large or far:
            fields = (struct.pack("<QQ", size, size) if large else b"") + (struct.pack("<Q", start) if far else b"")
            extra = struct.pack("<HH", 1, len(fields)) + fields
        begin = start + 30 + len(name) + len(extra) + 4
        padding = -begin % _ALIGNMENT
        local = b"FB" + struct.pack("<H", padding) + b"Z" * padding
        # The sum of the data follows it, so that a stream need not be able to seek.
        flags = 0x808 if size else 0x800
        self.put(struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, flags, 0, 0, 0, 0, 0, 0, len(name), len(extra + local)))
        self.put(name + extra + local)
        if size:
            self.put(data)
        crc = zlib.crc32(data)
        if size:
            self.put(struct.pack("<IIQQ" if large or far else "<IIII", 0x08074B50, crc, size, size))
        self.records.append((name, start, size, crc))

    def close(self):
        directory = self.at
        for name, start, size, crc in self.records:
            fields = (struct.pack("<QQ", size, size) if size >= _LIMIT32 else b"") + (
                struct.pack("<Q", start) if start >= _LIMIT32 else b""
            )
            extra = struct.pack("<HH", 1, len(fields)) + fields if fields else b""
            flags = 0x808 if size else 0x800
            shown = min(size, _LIMIT32)
            self.put(
                struct.pack(
                    "<IHHHHHHIIIHHHHHII",
                    0x02014B50,
                    0,
                    0,
                    flags,
                    0,
                    0,
                    0,
                    crc,
                    shown,
                    shown,
                    len(name),
                    len(extra),
                    0,
                    0,
                    0,
                    0,
                    min(start, _LIMIT32),
                )
                + name
                + extra
            )
        size, count = self.at - directory, len(self.records)
        end = self.at
        self.put(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 798, 45, 0, 0, count, count, size, directory))
        self.put(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        few = min(count, 0xFFFF)
        self.put(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, few, few, min(size, _LIMIT32), min(directory, _LIMIT32), 0))


def _write(obj, write, name, protocol):
    body = io.BytesIO()
    pickler = _Pickler(body, protocol)
    pickler.dump(obj)
    # From here on nothing can fail but the writing itself.
    out = _ZipWriter(write, name)
    out.record("data.pkl", body.getvalue())
    out.record(".format_version", b"1")
    out.record(".storage_alignment", str(_ALIGNMENT).encode())
    out.record("byteorder", sys.byteorder.encode())
    for key, storage in pickler.storages.items():
        out.record(f"data/{key}", storage._buffer())
    out.record("version", b"3\n")
    sums = zlib.crc32(b"".join(struct.pack("<I", crc) for *_, crc in out.records))
    names = zlib.crc32(b"".join(name for name, *_ in out.records))
    out.record(".data/serialization_id", f"{names:020d}{sums:020d}".encode())
    out.close()


@contextlib.contextmanager
def _whole_file(path):
    """A file to write to that takes its place at `path` only when it is complete."""
    target = os.path.realpath(path)
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        raise RuntimeError(f"Parent directory {os.path.dirname(path) or parent} does not exist.")
    if os.path.isdir(target):
        raise IsADirectoryError(21, "Is a directory", path)
    if os.path.exists(target) and not os.path.isfile(target):  # a pipe, a device
        with open(target, "wb") as file:
            yield file
        return
    beside = f"{target}.{os.getpid():x}{int.from_bytes(os.urandom(4), 'little'):x}.tmp"
    file = open(beside, "xb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(beside, os.stat(target).st_mode & 0o7777)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def save(
    obj,
    f,
    pickle_module=None,
    pickle_protocol=DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization=True,
    _disable_byteorder_record=False,
):
    """Writes `obj` (tensors, containers of them, state_dicts, …) to a path or a file in PyTorch's format.

    Tensors that share memory go on sharing it after load(). A file at a path is replaced only when the new one is
    complete. A path that ends in .safetensors takes a dict of tensors and is written by the safetensors library.
    RuntimeError where the directory does not exist; pickle's errors for what cannot be pickled.

    >>> import hadamard as H, io
    >>> f = io.BytesIO()
    >>> H.save({"w": H.arange(3)}, f)
    >>> _ = f.seek(0)
    >>> H.load(f)
    {'w': tensor([0, 1, 2])}
    """
    if pickle_protocol < 2:
        raise ValueError(f"pickle_protocol must be 2 or more, but got {pickle_protocol}")
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if path.endswith(".safetensors"):
            return _save_safetensors(obj, path)
        stem = os.path.splitext(os.path.basename(path))[0] or "archive"
        with _whole_file(path) as file:
            _write(obj, file.write, stem, pickle_protocol)
        return None
    if not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    if isinstance(f, io.TextIOBase):
        raise TypeError(f"{f!r} is opened for text: open it with mode 'wb' to save to it")
    _write(obj, f.write, "archive", pickle_protocol)
    if hasattr(f, "flush"):
        f.flush()
    return None


# ------------------------------------------------------------------------------------------------- the safe globals

_permitted: dict = {}
_blocked_modules = ("sys", "os", "posix", "nt", "subprocess", "shutil", "builtins", "importlib")


def _permitted_name(entry):
    if isinstance(entry, tuple):
        if len(entry) != 2:
            raise ValueError(
                f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(entry)}"
            )
        if type(entry[1]) is not str:
            raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(entry[1])}")
        return entry[1], entry[0]
    return f"{entry.__module__}.{entry.__qualname__}", entry


def add_safe_globals(safe_globals):
    """Permits load() to build objects of these classes (or (class, "full.name") pairs) and to call these functions."""
    _permitted.update(_permitted_name(entry) for entry in safe_globals)


def get_safe_globals():
    """The classes and functions that were permitted."""
    return list(_permitted.values())


def clear_safe_globals():
    """Takes back every permission."""
    _permitted.clear()


class safe_globals:
    """`with safe_globals([Class]):` permits load() to build objects of Class inside the block.

    >>> import hadamard as H, io
    >>> from argparse import Namespace
    >>> f = io.BytesIO()
    >>> H.save(Namespace(lr=0.1), f)
    >>> _ = f.seek(0)
    >>> with H.serialization.safe_globals([Namespace]):
    ...     H.load(f)
    Namespace(lr=0.1)
    """

    def __init__(self, safe_globals):
        self.safe_globals = safe_globals

    def __enter__(self):
        self.before = dict(_permitted)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc):
        _permitted.clear()
        _permitted.update(self.before)


# ------------------------------------------------------------------------------------------------ the pickle machine


class _StorageType:
    """What a name such as FloatStorage in a pickle stands for: a dtype, or None for bytes without one."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype


class _Typed:
    """A storage as the pickle knows it: with the dtype it was saved under."""

    __slots__ = ("storage", "dtype")

    def __init__(self, storage, dtype):
        self.storage, self.dtype = storage, dtype


def _expect(condition, what):
    if not condition:
        raise UnpicklingError(what)


def _ints(values):
    return isinstance(values, (tuple, list)) and all(type(n) is int and -(1 << 63) <= n < 1 << 63 for n in values)


class _Builders:
    """Everything a file may ask for by name. Arguments come from the file and are checked here."""

    @staticmethod
    def tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
        _expect(type(storage) is _Typed, "a tensor without a storage")
        return _Builders.strided(storage, storage.dtype or H.uint8, offset, size, stride, requires_grad, metadata)

    @staticmethod
    def tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
        _expect(type(storage) is _Typed and type(dtype) is H.dtype, "a tensor without a storage or dtype")
        return _Builders.strided(storage, dtype, offset, size, stride, requires_grad, metadata)

    @staticmethod
    def strided(storage, dtype, offset, size, stride, requires_grad, metadata):
        _expect(_ints([offset]) and _ints(size) and _ints(stride), "a tensor whose shape is no list of integers")
        _expect(len(size) == len(stride) <= 64, "a tensor whose shape and strides do not go together")
        if error := _out_of_bounds(storage.storage, dtype, offset, size, stride):
            raise RuntimeError(error)
        x = _tensor_over(storage.storage, dtype, offset, size, stride)
        if isinstance(metadata, dict) and metadata.get("conj"):
            x = x.conj().resolve_conj() if hasattr(x, "resolve_conj") else x.conj()
        if isinstance(metadata, dict) and metadata.get("neg"):
            x = -x
        return x.requires_grad_() if requires_grad else x

    @staticmethod
    def meta_tensor(dtype, size, stride, requires_grad=False):
        _expect(type(dtype) is H.dtype and _ints(size) and _ints(stride), "a tensor whose shape is no list of integers")
        x = H.empty_strided(size, stride, dtype=dtype, device="meta")
        return x.requires_grad_() if requires_grad else x

    @staticmethod
    def parameter(data=None, requires_grad=True, hooks=None, state=None):
        _expect(isinstance(data, H.Tensor), "a parameter without a tensor")
        x = H.nn.Parameter(data, bool(requires_grad))
        return _Builders.with_state(x, state)

    @staticmethod
    def from_type(build, cls, args, state):
        _expect(
            isinstance(build, _Call) and build in (_Builders.CALLS["tensor"], _Builders.CALLS["meta"]),
            "a tensor made by an unknown function",
        )
        _expect(isinstance(args, tuple), "a tensor made of no arguments")
        x = build(*args)
        known = _class_behind(cls)
        _expect(isinstance(known, type) and issubclass(known, H.Tensor), "a tensor of an unknown class")
        return _Builders.with_state(x if known is H.Tensor else x.as_subclass(known), state)

    @staticmethod
    def with_state(x, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        for name, value in (state or {}).items():
            _expect(type(name) is str and not name.startswith("__"), "an attribute with a name that is none")
            setattr(x, name, value)
        return x

    @staticmethod
    def ordered(items=()):
        return OrderedDict(_pairs(items))

    @staticmethod
    def counter(items=()):
        return Counter(dict(_pairs(items)))

    @staticmethod
    def size(items=()):
        _expect(_ints(items), "a Size that is no list of integers")
        return H.Size(items)

    @staticmethod
    def device(kind="cpu", index=None):
        _expect(type(kind) is str and (index is None or type(index) is int), "a device without a name")
        return H.device(kind if index is None else f"{kind}:{index}")

    @staticmethod
    def encode(text, encoding="latin1"):
        _expect(type(text) is str and encoding in ("latin1", "latin-1", "utf-8", "ascii"), "bytes in no known encoding")
        return text.encode(encoding)

    @staticmethod
    def bytearray(data=b"", encoding="latin1"):
        return bytearray(data) if type(data) is bytes else bytearray(_Builders.encode(data, encoding))

    @staticmethod
    def set(items=()):
        _expect(isinstance(items, (list, tuple, set)), "a set of no items")
        return {_key(x) for x in items}

    @staticmethod
    def frozenset(items=()):
        return frozenset(_Builders.set(items))

    @staticmethod
    def complex(re=0.0, im=0.0):
        _expect(type(re) in (int, float) and type(im) in (int, float), "a complex number of no numbers")
        return complex(re, im)

    @staticmethod
    def layout(name="torch.strided"):
        _expect(name == "torch.strided", f"layout {name!r}, which Hadamard does not have")
        return H.strided


class _Call:
    """A builder as the machine holds it: it can be called, and nothing in the file can change it."""

    __slots__ = ("build", "behind")

    def __init__(self, build, behind=None):
        object.__setattr__(self, "build", build)
        object.__setattr__(self, "behind", behind)

    def __setattr__(self, name, value):
        raise UnpicklingError("Can only build Tensor, Parameter, OrderedDict")

    def __call__(self, *args):
        return self.build(*args)


def _class_behind(cls):
    return cls.behind if isinstance(cls, _Call) else cls if _is_permitted(cls) else None


def _pairs(items):
    items = list(items.items()) if isinstance(items, dict) else items
    _expect(isinstance(items, (list, tuple)), "a dict of no pairs")
    for pair in items:
        _expect(isinstance(pair, (list, tuple)) and len(pair) == 2, "a dict of no pairs")
    return [(_key(k), v) for k, v in items]


def _key(key, depth=0):
    """A key of a dict or an element of a set; hashing tuples nested without end would overflow the stack."""
    if type(key) in (tuple, frozenset):
        _expect(depth < 50, "a key that is nested too deeply")
        for part in key:
            _key(part, depth + 1)
    return key


@functools.cache
def _globals():
    calls = _Builders.CALLS = {
        "tensor": _Call(_Builders.tensor),
        "meta": _Call(_Builders.meta_tensor),
        "parameter": _Call(_Builders.parameter, H.nn.Parameter),
        "ordered": _Call(_Builders.ordered),
    }
    table = {
        "collections.OrderedDict": calls["ordered"],
        "collections.Counter": _Call(_Builders.counter),
        "torch.Size": _Call(_Builders.size),
        "torch.device": _Call(_Builders.device),
        "torch.Tensor": _Call(_refuse_call("torch.Tensor"), H.Tensor),
        "torch._tensor.Tensor": _Call(_refuse_call("torch.Tensor"), H.Tensor),
        "torch.nn.parameter.Parameter": calls["parameter"],
        "torch.serialization._get_layout": _Call(_Builders.layout),
        "_codecs.encode": _Call(_Builders.encode),
        "builtins.bytearray": _Call(_Builders.bytearray),
        "builtins.set": _Call(_Builders.set),
        "builtins.frozenset": _Call(_Builders.frozenset),
        "builtins.complex": _Call(_Builders.complex),
        "torch._utils._rebuild_tensor": calls["tensor"],
        "torch._utils._rebuild_tensor_v2": calls["tensor"],
        "torch._utils._rebuild_tensor_v3": _Call(_Builders.tensor_v3),
        "torch._utils._rebuild_parameter": calls["parameter"],
        "torch._utils._rebuild_parameter_with_state": calls["parameter"],
        "torch._utils._rebuild_meta_tensor_no_storage": calls["meta"],
        "torch._tensor._rebuild_from_type_v2": _Call(_Builders.from_type),
        "torch.storage.UntypedStorage": _StorageType(None),
        "torch.UntypedStorage": _StorageType(None),
    }
    for name, storage in _STORAGE_NAMES.items():
        dtype = getattr(H, name)
        table[f"torch.{name}"] = dtype
        table[f"torch.{storage}"] = table[f"torch.storage.{storage}"] = _StorageType(dtype)
    return table


def _refuse_call(name):
    def refuse(*args):
        raise UnpicklingError(f"Trying to call reduce for unrecognized function {name}")

    return refuse


# Names of Python 2, which pickles of protocol 2 use.
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class _Machine:
    """Executes a pickle: containers, numbers and strings, and the builders of _globals()."""

    def __init__(self, read, persistent_load, encoding, weights_only):
        self.read_bytes, self.persistent_load = read, persistent_load
        self.encoding, self.weights_only = encoding, weights_only
        self.stack, self.marks, self.memo = [], [], {}

    def read(self, n):
        data = self.read_bytes(n)
        if len(data) < n:
            raise EOFError("Ran out of input")
        return data

    def line(self):
        line = bytearray()
        while (c := self.read(1)) != b"\n":
            line += c
            _expect(len(line) < 4096, "a name without end")
        return line.decode()

    def run(self):
        while (code := self.read(1)) != pickle.STOP:
            op = _OPS.get(code[0])
            if op is None:
                raise UnpicklingError(f"Unsupported operand {code[0]}")
            op(self)
        return self.pop()

    def number(self, format):
        return struct.unpack(format, self.read(struct.calcsize(format)))[0]

    def push(self, x):
        self.stack.append(x)

    def pop(self):
        if not self.stack:
            raise UnpicklingError("unexpected MARK found")
        return self.stack.pop()

    def top(self):
        if not self.stack:
            raise UnpicklingError("unexpected MARK found")
        return self.stack[-1]

    def pop_mark(self):
        if not self.marks:
            raise UnpicklingError("could not find MARK")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def text(self, data):
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    def find(self, module, name):
        module = _OLD_MODULES.get(module, module)
        full = f"{module}.{name}"
        if (found := _globals().get(full)) is not None:
            return found
        if module.partition(".")[0] in _blocked_modules and module != "builtins":
            raise UnpicklingError(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        if full in _permitted:
            return _permitted[full]
        ours = "hadamard" + full[5:] if full.startswith("torch.") else full
        if ours in _permitted:
            return _permitted[ours]
        if not self.weights_only and full.startswith("torch.nn."):
            if (module_class := _nn_class(module, name)) is not None:
                return module_class
        if full.startswith("torch.") and full.count(".") == 1 and name.startswith(("float", "int", "uint", "q", "b")):
            raise UnpicklingError(f"Hadamard has no dtype {full}")
        full = full.removeprefix("builtins.")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {full} was not an allowed global by default. "
            f"Please use `torch.serialization.add_safe_globals([{full}])` or the "
            f"`torch.serialization.safe_globals([{full}])` context manager to allowlist this global "
            "if you trust this class/function."
        )

    def call(self, function, args):
        _expect(type(args) is tuple, "a call without arguments")
        if isinstance(function, _Call) or _is_permitted(function):
            return function(*args)
        raise UnpicklingError(f"Trying to call reduce for unrecognized function {function}")

    def new(self, cls, args, keywords=None):
        _expect(type(args) is tuple, "an object without arguments")
        if isinstance(cls, _Call):
            return cls(*args)
        if isinstance(cls, type) and (_is_permitted(cls) or _is_nn_class(cls)):
            return cls.__new__(cls, *args, **(keywords or {}))
        raise UnpicklingError(
            f"Can only create new object for nn.Parameter or classes allowlisted via `add_safe_globals` but got {cls}"
        )

    def build(self, x, state):
        kind = type(x)
        if kind is OrderedDict and isinstance(state, dict):
            x.__dict__.update((k, v) for k, v in state.items() if type(k) is str)
        elif kind is H.nn.Parameter or kind is H.Tensor:
            _Builders.with_state(x, state)
        elif _is_permitted(kind) or _is_nn_class(kind):
            if hasattr(x, "__setstate__"):
                x.__setstate__(state)
            else:
                state, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                x.__dict__.update(state or {})
                for name, value in (slots or {}).items():
                    setattr(x, name, value)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted "
                f"via `add_safe_globals`, but got {kind}"
            )

    def set_items(self, items):
        target = self.top()
        kinds = dict, OrderedDict, Counter
        _expect(
            type(target) in kinds,
            f"Can only SETITEMS for dict, collections.OrderedDict, collections.Counter, but got {type(target)}",
        )
        _expect(len(items) % 2 == 0, "a key without a value")
        for i in range(0, len(items), 2):
            target[_key(items[i])] = items[i + 1]

    def extend(self, items):
        target = self.top()
        if type(target) is set:
            target.update(_key(x) for x in items)
            return
        _expect(type(target) is list, f"Can only extend lists, but got {type(target)}")
        target.extend(items)

    def persistent(self, reference):
        _expect(type(reference) is tuple, f"persistent_load id must be tuple or int, but got {type(reference)}")
        self.stack.append(self.persistent_load(reference))


def _is_permitted(x):
    return any(x is allowed for allowed in _permitted.values())


def _nn_class(module, name):
    """A class of hadamard.nn that is a Module, by the name torch has for it; building one runs no code of the file."""
    import importlib.util

    ours = "hadamard" + module[5:]
    with contextlib.suppress(ImportError, AttributeError, ValueError):
        found = getattr(importlib.import_module(ours), name)
        if _is_nn_class(found):
            return found
    return None


def _is_nn_class(cls):
    return isinstance(cls, type) and issubclass(cls, H.nn.Module) and cls.__module__.startswith("hadamard.nn.")


def _operations():
    from pickle import decode_long

    def constant(make):
        return lambda m: m.push(make())

    def number(format):
        return lambda m: m.push(m.number(format))

    def sized(format, make):
        return lambda m: m.push(make(m, m.read(m.number(format))))

    def last(n):
        def op(m):
            _expect(len(m.stack) >= n, "unexpected MARK found")
            m.stack[-n:] = [tuple(m.stack[-n:])]

        return op

    def unicode(m, data):
        return str(data, "utf-8", "surrogatepass")

    def get(format):
        def op(m):
            i = m.number(format)
            _expect(i in m.memo, f"Memo value not found at index {i}")
            m.push(m.memo[i])

        return op

    def put(format):
        def op(m):
            m.memo[m.number(format)] = m.top()

        return op

    def memoize(m):
        m.memo[len(m.memo)] = m.top()

    def mark(m):
        m.marks.append(m.stack)
        m.stack = []

    def pop(m):
        m.stack.pop() if m.stack else m.pop_mark()

    def reduce(m):
        args = m.pop()
        m.push(m.call(m.pop(), args))

    def new(m):
        args = m.pop()
        m.push(m.new(m.pop(), args))

    def new_ex(m):
        keywords, args = m.pop(), m.pop()
        _expect(type(keywords) is dict, "an object without arguments")
        m.push(m.new(m.pop(), args, keywords))

    def build(m):
        state = m.pop()
        m.build(m.top(), state)

    def append(m):
        m.extend([m.pop()])

    def set_item(m):
        value, key = m.pop(), m.pop()
        m.set_items([key, value])

    def stack_global(m):
        name, module = m.pop(), m.pop()
        _expect(type(name) is str and type(module) is str, "STACK_GLOBAL requires str")
        m.push(m.find(module, name))

    def protocol(m):
        _expect(m.number("<B") <= 5, "unsupported pickle protocol")

    def frozen(m):
        m.push(frozenset(_key(x) for x in m.pop_mark()))

    ops = {
        "PROTO": protocol,
        "FRAME": lambda m: m.read(8),
        "MARK": mark,
        "POP": pop,
        "POP_MARK": lambda m: m.pop_mark(),
        "DUP": lambda m: m.push(m.top()),
        "NONE": constant(lambda: None),
        "NEWTRUE": constant(lambda: True),
        "NEWFALSE": constant(lambda: False),
        "EMPTY_TUPLE": constant(tuple),
        "EMPTY_LIST": constant(list),
        "EMPTY_DICT": constant(dict),
        "EMPTY_SET": constant(set),
        "BININT": number("<i"),
        "BININT1": number("<B"),
        "BININT2": number("<H"),
        "BINFLOAT": number(">d"),
        "LONG1": sized("<B", lambda m, data: decode_long(data)),
        "LONG4": sized("<I", lambda m, data: decode_long(data)),
        "BINUNICODE": sized("<I", unicode),
        "SHORT_BINUNICODE": sized("<B", unicode),
        "BINUNICODE8": sized("<Q", unicode),
        "BINSTRING": sized("<I", lambda m, data: m.text(data)),
        "SHORT_BINSTRING": sized("<B", lambda m, data: m.text(data)),
        "BINBYTES": sized("<I", lambda m, data: bytes(data)),
        "SHORT_BINBYTES": sized("<B", lambda m, data: bytes(data)),
        "BINBYTES8": sized("<Q", lambda m, data: bytes(data)),
        "BYTEARRAY8": sized("<Q", lambda m, data: bytearray(data)),
        "TUPLE": lambda m: m.push(tuple(m.pop_mark())),
        "TUPLE1": last(1),
        "TUPLE2": last(2),
        "TUPLE3": last(3),
        "LIST": lambda m: m.push(m.pop_mark()),
        "DICT": lambda m: m.push(dict(zip(*[iter([_key(x) for x in m.pop_mark()])] * 2, strict=True))),
        "FROZENSET": frozen,
        "APPEND": append,
        "APPENDS": lambda m: m.extend(m.pop_mark()),
        "ADDITEMS": lambda m: m.extend(m.pop_mark()),
        "SETITEM": set_item,
        "SETITEMS": lambda m: m.set_items(m.pop_mark()),
        "GLOBAL": lambda m: m.push(m.find(m.line(), m.line())),
        "STACK_GLOBAL": stack_global,
        "REDUCE": reduce,
        "NEWOBJ": new,
        "NEWOBJ_EX": new_ex,
        "BUILD": build,
        "BINPERSID": lambda m: m.persistent(m.pop()),
        "BINGET": get("<B"),
        "LONG_BINGET": get("<I"),
        "BINPUT": put("<B"),
        "LONG_BINPUT": put("<I"),
        "MEMOIZE": memoize,
    }
    return {getattr(pickle, name)[0]: op for name, op in ops.items()}


_OPS = _operations()


def _unpickle(read, persistent_load, encoding, weights_only):
    try:
        return _Machine(read, persistent_load, encoding, weights_only).run()
    except UnpicklingError as e:
        raise UnpicklingError(_refusal(str(e), weights_only)) from None
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error) as e:
        raise UnpicklingError(_refusal(f"{type(e).__name__}: {e}", weights_only)) from e


def _refusal(reason, weights_only):
    name = reason.partition("GLOBAL ")[2].partition(" ")[0] if "was not an allowed global" in reason else ""
    lines = ["Weights only load failed. " + (reason if name else f"WeightsUnpickler error: {reason}")]
    if name:
        lines.append(
            f"  The file asks for {name}. Hadamard never runs code from a file, with weights_only=False neither:"
        )
        lines.append("  it builds tensors, parameters and plain containers, and the classes you permit.")
        lines.append(f"  try torch.serialization.add_safe_globals([{name}]) before load, or save a state_dict instead")
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------- loading


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


_DAMAGED = (
    "This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint "
    "file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the "
    "file was modified after saving."
)


class _ZipReader:
    def __init__(self, file):
        self.file = file
        try:
            self.zip = zipfile.ZipFile(file)
            self.end = file.seek(0, 2)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error) as e:
            raise RuntimeError(
                f"PytorchStreamReader failed reading zip archive: failed finding central directory. {_DAMAGED}"
            ) from e
        records = self.zip.infolist()
        name = records[0].filename.partition("/")[0] + "/" if records else ""
        self.records = {r.filename[len(name) :]: r for r in records if r.filename.startswith(name)}

    def __contains__(self, name):
        return name in self.records

    def find(self, name):
        if name not in self.records:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found. {_DAMAGED}")
        return self.records[name]

    def size(self, name):
        """How many bytes a record has; more than the file can hold is refused before memory is asked for."""
        record = self.find(name)
        if record.compress_type:
            if record.file_size > 1100 * record.compress_size + 100:  # deflate saves no more
                raise self.failed(name, "it cannot be as large as it claims to be")
        else:
            self.place(name)
        return record.file_size

    def failed(self, name, why):
        return RuntimeError(f"PytorchStreamReader failed reading file {name}: {why}. {_DAMAGED}")

    def place(self, name):
        """Where a stored record's bytes begin."""
        record = self.find(name)
        self.file.seek(record.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise self.failed(name, "invalid header or archive is corrupted")
        start = record.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if record.compress_type or record.flag_bits & 1 or start + record.file_size > self.end:
            raise self.failed(name, "it is compressed, encrypted, or cut short")
        return start

    def read(self, name, limit=1 << 31):
        record = self.find(name)
        if self.size(name) > limit:
            raise self.failed(name, "it is too large")
        try:
            return self.zip.read(record)
        except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError, zlib.error, struct.error) as e:
            raise self.failed(name, str(e)) from e

    def read_into(self, name, storage):
        record = self.find(name)
        if record.compress_type:  # somebody packed the file again
            data = self.read(name, limit=storage.nbytes())
            storage._buffer()[:] = data
            return
        self.file.seek(self.place(name))
        buffer = storage._buffer()
        done = 0
        while done < len(buffer):
            n = _read_into(self.file, buffer[done:])
            if not n:
                raise self.failed(name, "it is cut short")
            done += n
        if zlib.crc32(buffer) != record.CRC:
            raise self.failed(name, "its checksum is wrong, so bytes of it were changed")


def _read_into(file, buffer):
    if hasattr(file, "readinto"):
        return file.readinto(buffer)
    data = file.read(len(buffer))
    buffer[: len(data)] = data
    return len(data)


def _swap_bytes(storage, dtype):
    import array

    size = dtype.itemsize // (2 if dtype.is_complex else 1)
    if size > 1:
        items = array.array({2: "H", 4: "I", 8: "Q"}[size], bytes(storage._buffer()))
        items.byteswap()
        storage._buffer()[:] = memoryview(items).cast("B")


def _load_zip(file, path, map_location, weights_only, mmap, encoding):
    archive = _ZipReader(file)
    if "constants.pkl" in archive:
        raise RuntimeError(
            "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``. "
            "Hadamard does not read TorchScript; save the module's state_dict."
        )
    body = archive.read("data.pkl")
    order = archive.read("byteorder", 16).decode("latin1") if "byteorder" in archive else "little"
    if order not in ("little", "big"):
        raise ValueError(f"Unknown endianness type: {order}")
    restore = _located(map_location)
    mapped = None
    if mmap:
        # Private: writing to the tensors does not write to the file.
        mapped = H.frombuffer(_mmap.mmap(file.fileno(), 0, access=_mmap.ACCESS_COPY), dtype=H.uint8)
    known = {}

    def storage_of(reference):
        _expect(len(reference) == 5 and _plain(reference[0]) == "storage", "Only persistent_load of storage is allowed")
        _, kind, key, location, count = reference
        key = _plain(key)
        _expect(
            type(kind) is _StorageType and type(key) is str and type(count) is int and count >= 0,
            "a storage without a key",
        )
        dtype = kind.dtype or H.uint8
        if key in known:
            return _Typed(known[key], dtype)
        name, nbytes = f"data/{key}", count * dtype.itemsize
        size = archive.size(name)
        if size != nbytes:
            raise RuntimeError(
                f"record size ({size} bytes) does not match expected size ({nbytes} bytes = {count} elements * "
                f"{dtype.itemsize} bytes/element) for dtype {_STORAGE_NAMES[_dtype_name(dtype)][:-7]}"
            )
        start = archive.place(name) if not archive.find(name).compress_type else None
        if mapped is not None and start is not None and start % 16 == 0 and order == sys.byteorder:
            storage = _Storage(_C._slice_storage(mapped, start, nbytes))
        else:
            storage = _Storage(H.empty(nbytes, dtype=H.uint8))
            archive.read_into(name, storage)
            if order != sys.byteorder:
                _swap_bytes(storage, dtype)
        known[key] = restore(storage, _plain(location))
        return _Typed(known[key], dtype)

    return _unpickle(io.BytesIO(body).read, storage_of, encoding, weights_only)


def _plain(text):
    return text.decode("ascii") if isinstance(text, bytes) else text


_MAGIC = 0x1950A86A20F9469CFC6C


def _load_old(file, map_location, weights_only, encoding):
    """Files of torch before 1.6: a row of pickles, then the storages one after the other."""

    def no_storages(reference):
        raise UnpicklingError("Only persistent_load of storage is allowed")

    def part(persistent_load=no_storages):
        return _unpickle(file.read, persistent_load, encoding, weights_only)

    begin = file.read(1)
    if not begin:
        raise EOFError("Ran out of input: the file is empty")
    file.seek(-1, 1)
    if begin != b"\x80":
        raise UnpicklingError(
            "Weights only load failed. WeightsUnpickler error: the file does not begin like one that torch.save wrote"
        )
    if part() != _MAGIC:
        raise RuntimeError("Invalid magic number; corrupt file?")
    if (version := part()) != 1001:
        raise RuntimeError(f"Invalid protocol version: {version}")
    if isinstance(about := part(), dict) and not about.get("little_endian", True):
        raise RuntimeError("Hadamard does not read files of this old format that were written on a big-endian machine")
    here = file.tell()
    end = file.seek(0, 2)
    file.seek(here)
    restore, roots, counts = _located(map_location), {}, {}

    def storage_of(reference):
        _expect(len(reference) == 6 and _plain(reference[0]) == "storage", "Only persistent_load of storage is allowed")
        _, kind, key, location, count, view = reference
        key = _plain(key)
        _expect(type(kind) is _StorageType and type(key) is str and type(count) is int, "a storage without a key")
        dtype = kind.dtype or H.uint8
        if key not in roots:
            _expect(0 <= count <= (end - here) // dtype.itemsize, "a storage that is larger than the file")
            roots[key] = _Storage(H.empty(count * dtype.itemsize, dtype=H.uint8))
            counts[key] = dtype
            location = _plain(location)
            if restore(_Storage(H.empty(0, dtype=H.uint8)), location).device.type != "cpu":
                raise RuntimeError("files of this old format can only be loaded to the cpu")
        storage = roots[key]
        if view is not None:
            _expect(type(view) is tuple and len(view) == 3 and _ints(view[1:]), "a view of nothing")
            _, offset, n = view
            if error := _out_of_bounds(storage, dtype, offset, (n,), (1,)):
                raise RuntimeError(error)
            storage = _Storage(_C._slice_storage(storage._bytes, offset * dtype.itemsize, n * dtype.itemsize))
        return _Typed(storage, dtype)

    result = part(storage_of)
    keys = part()
    _expect(isinstance(keys, list), "no list of storages")
    for key in map(_plain, keys):
        _expect(key in roots, f"storage key {key!r} not found in deserialized_objects")
        buffer = roots[key]._buffer()
        count = file.read(8)
        if len(count) < 8 or struct.unpack("<q", count)[0] * counts[key].itemsize != len(buffer):
            raise RuntimeError(f"storage has wrong byte size: the file's storage {key} is damaged or cut short")
        done = 0
        while done < len(buffer):
            n = _read_into(file, buffer[done:])
            if not n:
                raise RuntimeError(
                    f"unexpected EOF, expected {len(buffer) - done} more bytes. The file might be corrupted."
                )
            done += n
    return result


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """Reads what save() or PyTorch's save wrote, from a path or a file that can seek.

    Never runs code from the file: tensors, parameters and plain containers are built, other classes are refused with an
    UnpicklingError that names them, unless add_safe_globals() permits them; weights_only=False permits the modules of
    hadamard.nn besides. map_location: a device, its name, a dict of names, or a function of (storage, location).
    mmap=True maps the file instead of reading it (a path only; the file must stay as it is while the tensors live).
    FileNotFoundError, RuntimeError for a damaged file, EOFError for an empty one.

    >>> import hadamard as H, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.pt")
    >>> H.save([H.ones(2)], path)
    >>> H.load(path, map_location="cpu")
    [tensor([1., 1.])]
    """
    weights_only = True if weights_only is None else bool(weights_only)
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if pickle_load_args and weights_only:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    encoding = pickle_load_args.get("encoding", "utf-8")
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if path.endswith(".safetensors"):
            return _load_safetensors(path, map_location)
        with open(path, "rb") as file:
            return _load_file(file, path, map_location, weights_only, mmap, encoding)
    for method in ("seek", "tell", "read"):
        if not hasattr(f, method):
            raise AttributeError(
                f"{type(f).__name__!r} object has no attribute {method!r}. You can only torch.load from a file that is "
                "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
            )
    if isinstance(f, io.TextIOBase):
        raise TypeError(f"{f!r} is opened for text: open it with mode 'rb' to load from it")
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    return _load_file(f, None, map_location, weights_only, False, encoding)


def _load_file(file, path, map_location, weights_only, mmap, encoding):
    at = file.tell()
    begin = file.read(4)
    file.seek(at)
    if begin == b"PK\3\4":
        return _load_zip(file, path, map_location, weights_only, mmap, encoding)
    if mmap:
        raise RuntimeError(
            "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), "
            "please torch.save your checkpoint with this option in order to use mmap."
        )
    return _load_old(file, map_location, weights_only, encoding)


# ------------------------------------------------------------------------------------------------------- safetensors


def _safetensors(verb):
    try:
        import safetensors
    except ImportError as e:
        raise RuntimeError(
            f"Attempting to {verb} a safetensors file but safetensors is not installed. "
            "Please install safetensors with: pip install safetensors"
        ) from e
    return safetensors


def _load_safetensors(path, map_location):
    if map_location is not None and not isinstance(map_location, (str, bytes, H.device)):
        kind = "dict" if isinstance(map_location, dict) else "callable"
        raise RuntimeError(
            f"Loading safetensors file with {kind} map_location is not supported. "
            "Use a device string or torch.device instead."
        )
    library = _safetensors("load")
    with open(path, "rb") as file:
        data = file.read()
    try:
        entries = library.deserialize(data)
    except library.SafetensorError as e:
        raise RuntimeError(f"{path} is no safetensors file, or a damaged one: {e}") from e
    restore, tensors = _located(map_location), {}
    for name, entry in entries:
        if entry["dtype"] not in _SAFETENSORS_NAMES:
            raise RuntimeError(f"Hadamard has no dtype {entry['dtype']}, which tensor {name!r} of {path} has")
        dtype = getattr(H, _SAFETENSORS_NAMES[entry["dtype"]])
        size, stride, step = entry["shape"], [], 1
        for n in reversed(size):
            stride.insert(0, step)
            step *= max(n, 1)
        tensors[name] = _tensor_over(restore(_storage_from(entry["data"]), "cpu"), dtype, 0, size, stride)
    return tensors


def _save_safetensors(obj, path):
    if not isinstance(obj, dict) or not all(type(k) is str and isinstance(v, H.Tensor) for k, v in obj.items()):
        raise TypeError(f"a .safetensors file holds a dict of str to Tensor, but got {type(obj).__name__}: {path}")
    library = _safetensors("save")
    kept, entries = [], {}
    for name, x in obj.items():
        x = x.detach().contiguous()
        nbytes = x.numel() * x.dtype.itemsize
        kept.append(x)
        if hasattr(library, "TensorSpec"):
            entries[name] = library.TensorSpec(
                dtype=_dtype_name(x.dtype), shape=list(x.shape), data_ptr=x.data_ptr(), data_len=nbytes
            )
        else:
            data = ctypes.string_at(x.data_ptr(), nbytes) if nbytes else b""
            entries[name] = {"dtype": _dtype_name(x.dtype), "shape": list(x.shape), "data": data}
    data = library.serialize(entries, {"format": "pt"})
    with _whole_file(path) as file:
        file.write(data)
