"""Who is asked before every op: strict(), explain() of a fused function and vmap, each of which hands on to the next.

The core knows one hook. These come and go in any order, in any thread, so they are lined up here. strict() sees the
samples of a vmap, as the function that runs there does.
"""

import threading

from . import _C

STRICT, FUSED, VMAP = range(3)
_hooks: list = [None, None, None]
_lock = threading.Lock()


def watch(place, hook):
    """From now on `hook(op, *args, **kwargs)` is asked at its place; None: nobody is."""
    with _lock:
        _hooks[place] = hook
        _tell()


def settle():
    """Before and after Tensor's operators are replaced in Python: the core knows its own, and takes them up again."""
    with _lock:
        _tell()


def _tell():
    _C._watch(next((h for h in _hooks if h is not None), None))


def hand_on(place, op, *args, **kwargs):
    """The op, as those behind `place` would have it."""
    for hook in _hooks[place + 1 :]:
        if hook is not None:
            return hook(op, *args, **kwargs)
    return _C._unwatched(op, *args, **kwargs)
