"""load(): torch's zip format, its older row of pickles, and where storages go."""

import io
import mmap as _mmap
import os
import struct
import sys
import warnings
import zipfile
import zlib
from pickle import UnpicklingError

import hadamard as H

from .. import _C
from .machine import _expect, _ints, _StorageType, _Typed, _unpickle
from .storages import _STORAGE_NAMES, _dtype_name, _located, _out_of_bounds, _Storage
from .tensorfile import _load_safetensors

_DAMAGED = (
    "This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint "
    "file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the "
    "file was modified after saving."
)


class _ZipReader:
    def __init__(self, file):
        self.file, self.taken = file, 0
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
        if not 0 <= record.header_offset < self.end:
            raise self.failed(name, "invalid header or archive is corrupted")
        self.file.seek(record.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise self.failed(name, "invalid header or archive is corrupted")
        start = record.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if record.compress_type or record.flag_bits & 1 or start + record.file_size > self.end:
            raise self.failed(name, "it is compressed, encrypted, or cut short")
        return start

    def take(self, name):
        """Counts the bytes of a record: records that lie over each other would take more memory than the file has."""
        self.taken += self.find(name).compress_size
        if self.taken > self.end:
            raise self.failed(name, "records overlap")

    def read(self, name, limit=1 << 31):
        record = self.find(name)
        self.take(name)
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
        self.take(name)
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
    # No pickle is packed to a hundredth of its size.
    body = archive.read("data.pkl", min(1 << 31, 100 * archive.find("data.pkl").compress_size + (1 << 16)))
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
        location = _plain(location)
        _expect(
            type(kind) is _StorageType and type(key) is str and type(count) is int and 0 <= count < 1 << 62,
            "a storage without a key",
        )
        _expect(type(location) is str, "a storage without a location")
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
        known[key] = restore(storage, location)
        return _Typed(known[key], dtype)

    return _unpickle(io.BytesIO(body).read, storage_of, encoding, weights_only)


def _plain(text):
    return text.decode("ascii") if isinstance(text, bytes) else text


_MAGIC = 0x1950A86A20F9469CFC6C


def _load_old(file, map_location, weights_only, encoding):
    """Files of torch before 1.6: a row of pickles, then the storages one after the other."""

    def no_storages(reference):
        raise UnpicklingError("Only persistent_load of storage is allowed")

    here = file.tell()
    end = file.seek(0, 2)
    file.seek(here)

    def read(n):  # a file asked for more than it has may set that much memory aside
        if n > 1 << 16 and n > end - file.tell():
            raise EOFError("Ran out of input")
        return file.read(n)

    def part(persistent_load=no_storages):
        return _unpickle(read, persistent_load, encoding, weights_only)

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
    version = part()
    if version != 1001:
        raise RuntimeError(f"Invalid protocol version: {version if type(version) is int else type(version).__name__}")
    if isinstance(about := part(), dict) and not about.get("little_endian", True):
        raise RuntimeError("Hadamard does not read files of this old format that were written on a big-endian machine")
    restore, roots, counts = _located(map_location), {}, {}

    room = end - here

    def storage_of(reference):
        nonlocal room
        _expect(len(reference) == 6 and _plain(reference[0]) == "storage", "Only persistent_load of storage is allowed")
        _, kind, key, location, count, view = reference
        key, location = _plain(key), _plain(location)
        _expect(type(kind) is _StorageType and type(key) is str and type(count) is int, "a storage without a key")
        _expect(type(location) is str, "a storage without a location")
        dtype = kind.dtype or H.uint8
        if key not in roots:
            _expect(0 <= count <= room // dtype.itemsize, "a storage that is larger than the file")
            room -= count * dtype.itemsize
            roots[key] = _Storage(H.empty(count * dtype.itemsize, dtype=H.uint8))
            counts[key] = dtype
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
        _expect(type(key) is str and len(key) < 1000, "a storage without a key")
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
