"""torch.compiler: nothing is compiled here, so that every function is left as it is."""

from ._misc import compile

__all__ = ["allow_in_graph", "compile", "disable", "is_compiling", "is_dynamo_compiling", "reset"]


def is_compiling():
    """False."""
    return False


is_dynamo_compiling = is_compiling


def disable(fn=None, recursive=True, *, reason=None):
    """`fn` as it is; also a decorator."""
    return fn if fn is not None else lambda f: f


def allow_in_graph(fn):
    """`fn` as it is."""
    return fn


def reset():
    """Does nothing."""
