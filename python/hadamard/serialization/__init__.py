"""save and load: torch's zip format, written as torch writes it and read without ever running code from the file.

A checkpoint is a zip of stored (not compressed) records: data.pkl, a pickle in which every storage is a reference, and
one record data/<key> per storage. load() reads the pickle with a machine of its own that can build tensors, parameters
and plain containers; whatever else a file asks for is refused by name. add_safe_globals() and safe_globals() permit
classes of one's own. Files of torch before 1.6 (a row of pickles) and *.safetensors are read too.
"""

from .reading import load
from .safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .writing import DEFAULT_PROTOCOL, save

__all__ = [
    "DEFAULT_PROTOCOL",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "safe_globals",
    "save",
]
