"""The lines below an error's first line: what arrived, what was expected, and mends that were tried before being shown.

The core raises with torch's type and first line and calls explain(facts) for the rest. Facts are
    kind   which page of the catalogue, where the words of the first line do not say it more exactly
    op     the op that was called, "mul"
    args   [(name, shape, dtype, device), …] as they arrived
    dim    the dimension that clashes, or -1
    line   the first line
and explain adds, for tools,
    module the place in the model, "encoder.fc1 (Linear 400→120) of Net"
    at     (file, line) of the user's call
    mends  [{"code", "result"}, …]
A page is one function, marked with its kind, that returns lines: products.py, values.py, gradients.py, training.py.
All of this is loaded when the first error is explained.
"""

import sys
from _thread import _local

_thread = _local()  # busy: a message is being made


def explain(facts: dict) -> str:
    """The lines to print below the first one, "" where there is nothing to add. Never raises.

    >>> from hadamard.errors import explain
    >>> args = [("input", (2, 3), "float32", "cpu"), ("other", (2,), "float32", "cpu")]
    >>> print(explain({"kind": "broadcast", "op": "mul", "args": args}))
      a  (2, 3)   float32
      b     (2,)  float32
             ^  3 and 2 are not equal, and neither is 1
      try b.unsqueeze(1) or b[:, None], which is (2, 1): the result is (2, 3)
    """
    from . import catalogue

    lines = _quietly(catalogue.lines, facts, sys._getframe(1))
    if lines:
        _colour_in_terminal()
    return "\n".join("  " + line for line in lines)


def _quietly(page, *args):
    """The lines of a page, [] where it fails: that must not hide the error that it explains."""
    if getattr(_thread, "busy", False):  # a mend that is tried fails in its turn: nobody reads that message
        return []
    _thread.busy = True
    try:
        return page(*args)
    except Exception:
        return []
    finally:
        _thread.busy = False


def explain_message(text: str) -> str:
    """What a message of PyTorch's means and what mends it: the text of an error, with or without its traceback.

    Shapes and dtypes are read out of the message. "" where the message is not known.

    >>> from hadamard.errors import explain_message
    >>> print(explain_message("RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x400 and 120x400)"))
    mat1 and mat2 shapes cannot be multiplied (32x400 and 120x400)
      mat1  (32,  400)
                  ^
      mat2  (120, 400)
             ^  summed over: 400 in mat1, 120 in mat2
      try mat1 @ mat2.T: the result is (32, 120)
    """
    from .messages import explain

    return explain(text)


def error(exception, line, kind="", op="", **tensors) -> Exception:
    """An exception with our lines and the facts, for Python code: raise error(ValueError, "…", input=x, target=y)."""
    args = [
        (name, tuple(t.shape), str(t.dtype).rpartition(".")[2], str(t.device))
        for name, t in tensors.items()
        if t is not None
    ]
    facts = {"kind": kind, "op": op, "line": line, "args": args, "dim": -1}
    help = explain(facts)
    made = exception(f"{line}\n{help}" if help else line)
    made.hadamard = facts
    return made


def warn(message: str, category=UserWarning) -> None:
    """warnings.warn at the innermost line that is not this package's."""
    import warnings

    from .source import is_ours

    level, frame = 1, sys._getframe()
    while is_ours(frame) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _colour_in_terminal():
    """From the first explained error on, uncaught ones are printed in colour, if that is a terminal's wish."""
    from .text import in_colour

    if sys.excepthook is sys.__excepthook__ and in_colour(sys.stderr):
        sys.excepthook = _print_coloured


def _print_coloured(kind, value, traceback):
    from .text import coloured

    changed = []
    seen = value
    while seen is not None and all(seen is not other for other, _ in changed):
        changed.append((seen, seen.args))
        if hasattr(seen, "hadamard") and len(seen.args) == 1 and isinstance(seen.args[0], str):
            seen.args = (coloured(seen.args[0]),)
        seen = seen.__cause__ or seen.__context__
    try:
        sys.__excepthook__(kind, value, traceback)
    finally:
        for one, args in changed:
            one.args = args
