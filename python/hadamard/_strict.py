"""strict(): what computes without a word and is rarely meant becomes an error; trace_broadcasts() logs repetitions.

Off, none of this exists: the core calls its ops directly. On, every op and operator is handed to _watched() first.
"""

import os
import sys
import threading
from contextlib import contextmanager

from . import _C, _watchers
from ._modes import _Switch
from ._strict_checks import KINDS, OUTER, after, before, name_of, repetitions, tensors_of, watch_gradients

_lock = threading.Lock()
_local = threading.local()
_users = 0  # blocks and switches that watch
_everywhere = None  # the settings of the switch for the whole program


class StrictError(RuntimeError):
    """What strict() refuses; `kind` is the name that strict(allow=…) knows it by."""

    kind = ""


class StrictWarning(UserWarning):
    """The same as a warning."""


StrictError.__module__ = StrictWarning.__module__ = __name__.rpartition(".")[0]


class _Settings:
    def __init__(self, allow=(), warn=()):
        self.allow = _names("allow", allow)
        self.warn = _names("warn", warn)


def _names(argument, given):
    if given is True:
        return frozenset(KINDS)
    names = frozenset([given] if isinstance(given, str) else given or ())
    unknown = sorted(names - set(KINDS))
    if unknown:
        raise ValueError(f"strict({argument}=…): there is no kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
    return names


class strict(_Switch):
    """Inside, what is computed without a word and is rarely meant raises StrictError, a RuntimeError.

    The kinds, each of which can be allowed by name, and what they stand for:

    - `broadcast`: operands of different rank that expand against each other, as (N, 1) and (N,) to (N, N)
    - `outer`: the same for operands of equal rank, as (N, 1) and (1, M)
    - `size1`: an index of einsum or tensordot that is summed with size 1 in one operand and n in the other
    - `promotion`: operands with dimensions and of different dtypes, one of which is converted (bool is not counted)
    - `overflow`: integers that leave the range of their dtype and wrap around
    - `nonfinite`: an infinity or NaN that is made of finite numbers

    `allow` names kinds that pass, `warn` those that warn (StrictWarning) instead; True stands for all of them. The
    innermost strict() counts. A block and a decorated function concern the thread that runs them; for a whole program
    there are `hadamard run --strict` and HADAMARD_STRICT=1 (or =warn). Errors show the operands and edits that fit.

    >>> import hadamard as H
    >>> prediction, target = H.ones(3, 1), H.ones(3)
    >>> with H.strict():
    ...     prediction - target
    Traceback (most recent call last):
    hadamard.StrictError: sub: (3, 1) and (3,) expand against each other, to (3, 3)
    ...
    >>> with H.strict(allow="broadcast"):
    ...     (prediction - target).shape
    torch.Size([3, 3])
    """

    kinds = tuple(KINDS)

    def __init__(self, *, allow=(), warn=()):
        self._settings = _Settings(allow, warn)

    def __enter__(self):
        _watch(+1)
        _stack().append(self._settings)

    def __exit__(self, *_):
        _stack().pop()
        _watch(-1)

    def _copy(self):
        made = type(self)()
        made._settings = self._settings
        return made


class trace_broadcasts(_Switch):
    """Inside, every implicit repetition of an operand is logged with its source line, once each.

    Lines go to `file` (sys.stderr unless given), and to `.found` as (file, line, op, operand, shape, result shape).
    Numbers and tensors of one element are not counted.

    >>> import hadamard as H, sys
    >>> with H.trace_broadcasts(file=sys.stdout) as trace:
    ...     y = H.ones(4, 3) * H.ones(3)
    <...>:2: mul repeats b, (3,), 4 times along dim 0, to (4, 3)    y = H.ones(4, 3) * H.ones(3)
    >>> len(trace.found)
    1
    """

    def __init__(self, file=None):
        self._file = file
        self.found: list = []
        self._seen: set = set()

    def __enter__(self):
        _watch(+1)
        _stack().append(self)
        return self

    def __exit__(self, *_):
        _stack().remove(self)
        _watch(-1)

    def _copy(self):
        return self

    def note(self, name, operands, frame):
        """Logs what one op repeats."""
        for operand, shape, dims, result in repetitions(name, operands):
            where = (frame.f_code.co_filename, frame.f_lineno, name, operand)
            if where in self._seen:
                continue
            self._seen.add(where)
            self.found.append((*where[:3], operand, shape, result))
            times = " and ".join(f"{n} times along dim {d}" for d, n in dims)
            file = os.path.relpath(where[0]) if os.path.isabs(where[0]) else where[0]
            text = f"{file}:{where[1]}: {name} repeats {operand}, {_show(shape)}, {times}, to {_show(result)}"
            import linecache

            line = linecache.getline(where[0], where[1], frame.f_globals).strip()
            print(text + (f"    {line}" if line else ""), file=self._file or sys.stderr)


def switch_on(warn=False) -> None:
    """strict() for every thread, until the process ends."""
    global _everywhere
    if _everywhere is None:
        _watch(+1)
    _everywhere = _Settings(warn=bool(warn))
    os.environ["HADAMARD_STRICT"] = "warn" if warn else "1"  # for processes that start from this one


def _show(shape):
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def _stack() -> list:
    if not hasattr(_local, "stack"):
        _local.stack = []
        _local.inside = False
    return _local.stack


@contextmanager
def aside():
    """Inside, this thread is not watched: for what explains and prints."""
    _stack()
    was, _local.inside = _local.inside, True
    try:
        yield
    finally:
        _local.inside = was


def _watch(change):
    global _users
    with _lock:
        before, _users = _users, _users + change
        if (before > 0) != (_users > 0):
            _watchers.watch(_watchers.STRICT, _watched if _users else None)
            if "__init_subclass__" not in vars(_C.Tensor):  # once, as _watch_methods()
                _C.Tensor.__init_subclass__ = classmethod(_new_class)
                _C._watch_methods()
            _C._run_backward = _watched_backward if _users else _run_backward
            _C._watch_backward(_users > 0)


def _new_class(cls, **kwargs):
    """A subclass of Tensor begins with Tensor's own operators."""
    super(_C.Tensor, cls).__init_subclass__(**kwargs)
    with _lock:
        _watchers.watch(_watchers.STRICT, _watched if _users else None)


_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NUMPY, _BETWEEN = _OURS + "_numpy.py", (_OURS + "_vmap.py", _OURS + "_watchers.py")


def _watched(op, *args, **kwargs):
    """Stands in the place of every op while anyone watches."""
    stack = _stack()
    if _local.inside or not (stack or _everywhere):
        return _watchers.hand_on(_watchers.STRICT, op, *args, **kwargs)
    _local.inside = True
    try:
        frame = sys._getframe(1)
        call = _Call(op, args, kwargs, frame)
        settings = next((s for s in reversed(stack) if isinstance(s, _Settings)), _everywhere)
        for tracer in stack:
            if isinstance(tracer, trace_broadcasts) and not call.internal:
                tracer.note(call.name, call.tensors, call.user)
        if settings is None:
            return call.run()
        for problem in before(call):
            _report(settings, call, *problem)
        result = call.run()
        for problem in after(call, result):
            _report(settings, call, *problem)
        return result
    finally:
        _local.inside = False


_run_backward = _C._run_backward


def _watched_backward(tensors, given, *rest):
    """Stands in the place of a backward pass: every node of the graph is asked what it made of finite gradients."""
    stack = _stack()
    settings = next((s for s in reversed(stack) if isinstance(s, _Settings)), _everywhere)
    if _local.inside or settings is None or "nonfinite" in settings.allow:
        return _run_backward(tensors, given, *rest)
    found: list = []
    handles = watch_gradients(tensors, found)
    try:
        result = _run_backward(tensors, given, *rest)
    finally:
        for handle in handles:
            handle.remove()
    with aside():
        for line, gradients in found[:1]:
            call = _Call(_run_backward, (), {}, sys._getframe(1))
            call.name = "backward"
            _report(settings, call, "nonfinite", line, gradients, {"where": ()})
    return result


class _Call:
    """One call of an op: its name as users write it, its tensors, and whether the library itself makes it."""

    def __init__(self, op, args, kwargs, frame):
        self.op, self.args, self.kwargs = op, args, kwargs
        self.name = name_of(op.__name__)
        self.tensors = tensors_of(self.name, op.__name__, args, kwargs)
        user = frame
        while user.f_back is not None and user.f_code.co_filename.startswith((_OURS, "<frozen")):
            user = user.f_back
        self.user = user
        # What a module or a loss computes inside is its own affair; its arguments are the user's, and so is what
        # NumPy's operators and those of vmap's samples hand on.
        while frame.f_back is not None and frame.f_code.co_filename in _BETWEEN:
            frame = frame.f_back
        file = frame.f_code.co_filename
        self.internal = file.startswith(_OURS) and file != _NUMPY and self.name not in OUTER
        self.memory: dict = {}

    def run(self):
        return _watchers.hand_on(_watchers.STRICT, self.op, *self.args, **self.kwargs)


def _report(settings, call, kind, line, args, facts):
    if kind in settings.allow:
        return
    from . import _strict_pages, errors  # noqa: F401  (the pages join the catalogue)

    raw = {"kind": f"strict_{kind}", "op": call.name, "line": line, "args": args, "dim": -1, "strict": facts}
    said = errors.explain(raw)
    text = f"{line}\n{said}" if said else line
    if kind in settings.warn:
        errors.warn(text, StrictWarning)
        return
    error = StrictError(text)
    error.kind = kind
    error.hadamard = raw  # type: ignore[attr-defined]
    raise error
