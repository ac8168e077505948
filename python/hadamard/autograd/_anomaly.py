"""Anomaly mode: where each op was called, and the warning that says so before the error of a NaN."""

import sys
from traceback import format_list

from ..errors import warn
from ..errors.source import is_ours


def note():
    """The user's frames, the innermost last: (file, line, function, None)."""
    frame, calls = sys._getframe(1), []
    while frame is not None:
        if not is_ours(frame):
            calls.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None))
        frame = frame.f_back
    return calls[::-1]


def tell(name, calls):
    """Warns that a node's gradient is NaN; `calls` is what note() said when the node was recorded, or None."""
    if calls is None:
        where = "No forward pass information available. Enable detect anomaly during forward pass for more information."
    else:
        where = "Traceback of forward call that caused the error:\n" + "".join(format_list(calls))
    warn(f"Error detected in {name}. {where}")
