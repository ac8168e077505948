"""torch.backends.cudnn: not there; its switches can be set, as scripts do, and change nothing."""

from contextlib import contextmanager

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available():
    """False."""
    return False


def version():
    """None: there is no cuDNN."""
    return None


@contextmanager
def flags(**switches):
    """Sets the switches within the block."""
    before = {name: globals()[name] for name in switches}
    globals().update(switches)
    try:
        yield
    finally:
        globals().update(before)
