"""save(): a pickle and the storages it refers to, in a zip laid out to the byte as torch lays it out."""

import functools
import io
import os
import pickle
import struct
import sys
import types
import zlib
from collections import OrderedDict

import hadamard as H

from .atomic import whole_file
from .storages import _STORAGE_NAMES, _dtype_name, _storage_of
from .tensorfile import _save_safetensors

DEFAULT_PROTOCOL = 2
_ALIGNMENT = 64
_LIMIT32 = 0xFFFFFFFF


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
        if state or not (type(x) is H.Tensor or getattr(type(x), "_tensor_in_files", False)):
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
        with whole_file(path) as file:
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
