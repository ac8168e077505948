"""torch.cuda, for scripts that ask whether there is a GPU: there is none here yet, and every answer says so."""

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "set_device",
    "synchronize",
]


def is_available():
    """False: tensors live on the CPU."""
    return False


def is_initialized():
    """False."""
    return False


def device_count():
    """0."""
    return 0


def _none(*args, **kwargs):
    raise RuntimeError("Hadamard has no CUDA device yet: ask cuda.is_available() first")


current_device = get_device_name = get_device_properties = get_device_capability = set_device = _none


def synchronize(device=None):
    """Returns at once: ops on the CPU are done when they return."""


def empty_cache():
    """Does nothing: there is no GPU memory."""


def manual_seed(seed):
    """Does nothing: there is no GPU stream of random numbers."""


manual_seed_all = manual_seed


def memory_allocated(device=None):
    """0 bytes of GPU memory."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device=None):
    """Does nothing: there is no GPU memory."""
