"""Tensor products with autograd, in PyTorch's own words: `import hadamard as torch`.

>>> import hadamard as H
>>> a, b = H.tensor([[1.0, 2.0], [3.0, 4.0]]), H.tensor([5.0, 6.0])
>>> a * b
tensor([[ 5., 12.],
        [15., 24.]])
"""

from importlib import import_module as _import_module
from math import e, inf, nan, pi  # noqa: F401
from os import environ as _environ

from . import _C
from ._C import *  # noqa: F403
from ._C import Generator, Tensor, default_generator, device, dtype  # noqa: F401
from ._size import Size

_C._set_size_type(Size)
globals().update({_name: getattr(_C, _name) for _name in _C._functions if not _name.startswith("_")})

from . import (  # noqa: E402
    _neighbours,
    _pickling,  # noqa: F401  (how dtypes, devices and sizes are pickled)
    _tensor,  # noqa: F401  (gives Tensor its Python methods)
    random,  # noqa: F401  (gives Generator its Python methods)
)
from ._creation import *  # noqa: E402, F403
from ._misc import *  # noqa: E402, F403
from ._modes import (  # noqa: E402, F401
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from ._size import finfo, iinfo  # noqa: E402, F401

_neighbours.meet()
__version__ = "0.1.0"

newaxis = None

# Submodules and what is not needed at start: imported when first asked for.
_MODULES = frozenset(
    "autograd nn optim utils linalg special testing random serialization cuda backends func fft distributed "
    "errors hub jit onnx mps xpu cpu version types return_types amp overrides multiprocessing "
    "distributions compiler profiler array_api accelerator signal storage".split()
)
_LATE = {
    "save": "serialization",
    "load": "serialization",
    "manual_seed": "random",
    "seed": "random",
    "initial_seed": "random",
    "get_rng_state": "random",
    "set_rng_state": "random",
    "set_printoptions": "_tensor_str",
    "vmap": "func",
    "autocast": "amp",
    "GradScaler": "amp",
    "is_autocast_enabled": "amp",
    "get_autocast_dtype": "amp",
    "set_autocast_enabled": "amp",
    "set_autocast_dtype": "amp",
    "explain": "_explain",
    "strict": "_strict",
    "trace_broadcasts": "_strict",
    "StrictError": "_strict",
    "StrictWarning": "_strict",
    "diagnose": "_diagnose",
    "TypedStorage": "storage",
    "UntypedStorage": "storage",
    "fuse": "_fuse",
}


def __getattr__(name):
    if name in _LATE:
        value = getattr(_import_module("." + _LATE[name], __name__), name)
    elif name in _MODULES:
        try:
            return _import_module("." + name, __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module 'torch' has no attribute '{name}'") from None
    else:
        for source in ("_composites", "_products", "_algebra", "_spectral", "_statistics", "_names", "_draws"):
            try:
                module = _import_module("." + source, __name__)
            except ModuleNotFoundError:
                continue
            if name in getattr(module, "__all__", ()):
                value = getattr(module, name)
                break
        else:
            raise AttributeError(f"module 'torch' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_MODULES, *_LATE})


if _environ.get("HADAMARD_STRICT", "0") != "0":
    _import_module("._strict", __name__).switch_on(_environ["HADAMARD_STRICT"] == "warn")
