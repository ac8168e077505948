"""torch.cpu: the questions of torch.cuda, answered for the processor."""

__all__ = ["current_device", "device_count", "is_available", "set_device", "synchronize"]


def is_available():
    """True."""
    return True


def device_count():
    """1."""
    return 1


def current_device():
    """ "cpu"."""
    return "cpu"


def set_device(device):
    """Does nothing: there is one."""


def synchronize(device=None):
    """Returns at once: ops are done when they return."""
