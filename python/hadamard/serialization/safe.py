"""The classes and functions of one's own that load() may use."""

_permitted: dict = {}
_blocked_modules = ("sys", "os", "posix", "nt", "subprocess", "shutil", "builtins", "importlib")


def _permitted_name(entry):
    if isinstance(entry, tuple):
        if len(entry) != 2:
            raise ValueError(
                f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(entry)}"
            )
        if type(entry[1]) is not str:
            raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(entry[1])}")
        return entry[1], entry[0]
    return f"{entry.__module__}.{entry.__qualname__}", entry


def add_safe_globals(safe_globals):
    """Permits load() to build objects of these classes (or (class, "full.name") pairs) and to call these functions."""
    _permitted.update(_permitted_name(entry) for entry in safe_globals)


def get_safe_globals():
    """The classes and functions that were permitted."""
    return list(_permitted.values())


def clear_safe_globals():
    """Takes back every permission."""
    _permitted.clear()


class safe_globals:
    """`with safe_globals([Class]):` permits load() to build objects of Class inside the block.

    >>> import hadamard as H, io
    >>> from argparse import Namespace
    >>> f = io.BytesIO()
    >>> H.save(Namespace(lr=0.1), f)
    >>> _ = f.seek(0)
    >>> with H.serialization.safe_globals([Namespace]):
    ...     H.load(f)
    Namespace(lr=0.1)
    """

    def __init__(self, safe_globals):
        self.safe_globals = safe_globals

    def __enter__(self):
        self.before = dict(_permitted)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc):
        _permitted.clear()
        _permitted.update(self.before)
