"""A file that appears whole or not at all."""

import contextlib
import os


@contextlib.contextmanager
def whole_file(path):
    """A file to write to that takes its place at `path` only when it is complete."""
    target = os.path.realpath(path)
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        raise RuntimeError(f"Parent directory {os.path.dirname(path) or parent} does not exist.")
    if os.path.isdir(target):
        raise IsADirectoryError(21, "Is a directory", path)
    if os.path.exists(target) and not os.path.isfile(target):  # a pipe, a device
        with open(target, "wb") as file:
            yield file
        return
    beside = f"{target}.{os.getpid():x}{int.from_bytes(os.urandom(4), 'little'):x}.tmp"
    file = open(beside, "xb")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(beside, os.stat(target).st_mode & 0o7777)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
