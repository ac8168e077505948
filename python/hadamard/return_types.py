"""The classes of results with named parts, such as return_types.max: isinstance() knows them and pickle finds them.

>>> import hadamard as H
>>> isinstance(H.eye(2).max(0), H.return_types.max)
True
"""

from . import _C, _common

_MADE_OF = {  # a call whose result is of the class
    "aminmax": lambda x: _C.aminmax(x),
    "cummax": lambda x: _C.cummax(x, 0),
    "cummin": lambda x: _C.cummin(x, 0),
    "kthvalue": lambda x: _C.kthvalue(x, 1),
    "max": lambda x: _C.max(x, 0),
    "median": lambda x: _C.median(x, 0),
    "min": lambda x: _C.min(x, 0),
    "mode": lambda x: _C.mode(x, 0),
    "nanmedian": lambda x: _C.nanmedian(x, 0),
    "sort": lambda x: _C.sort(x),
    "topk": lambda x: _C.topk(x, 1),
}


def __getattr__(name):
    if name in _MADE_OF:
        globals()[name] = found = type(_MADE_OF[name](_C.zeros(1)))
        return found
    if not name.startswith("_"):
        from . import _algebra, _statistics  # noqa: F401  (they name their results)

        if name in _common.named_results:
            return _common.named_results[name]
    raise AttributeError(f"module 'torch.return_types' has no attribute '{name}'")


def __dir__():
    from . import _algebra, _statistics  # noqa: F401

    return sorted({*_MADE_OF, *_common.named_results})


def _rebuild(name, parts):
    return __getattr__(name)(parts)


def _reduce(result):
    return _rebuild, (type(result).__name__, tuple(result))
