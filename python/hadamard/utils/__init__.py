"""Helpers around tensors: datasets and loaders under `data`, removable hooks, DLPack, checkpoints."""

from importlib import import_module as _import_module

_MODULES = frozenset(["checkpoint", "data", "dlpack", "hooks"])

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name):
    # nn needs the hooks and nothing else: the rest is imported when it is asked for.
    if name in _MODULES:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_MODULES})
