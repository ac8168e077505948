"""*.safetensors files, through their library."""

import ctypes

import hadamard as H

from .atomic import whole_file
from .storages import _dtype_name, _located, _storage_from, _tensor_over

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
    with whole_file(path) as file:
        file.write(data)
