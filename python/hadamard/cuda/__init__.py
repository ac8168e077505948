"""torch.cuda, for scripts that ask whether there is a GPU: there is none here yet, and every answer says so."""

from importlib import import_module

__all__ = [
    "Event",
    "Stream",
    "amp",
    "current_device",
    "current_stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "initial_seed",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "nvtx",
    "reset_max_memory_allocated",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "stream",
    "synchronize",
]


def __getattr__(name):
    if name in ("amp", "nvtx"):
        return import_module("." + name, __name__)
    if name == "OutOfMemoryError":
        from .. import OutOfMemoryError

        return OutOfMemoryError
    raise AttributeError(f"module 'torch.cuda' has no attribute '{name}'")


def is_available():
    """False: tensors live on the CPU."""
    return False


def is_initialized():
    """False."""
    return False


def is_bf16_supported(including_emulation=True):
    """False."""
    return False


def device_count():
    """0."""
    return 0


def _none(*args, **kwargs):
    raise AssertionError(
        "Torch not compiled with CUDA enabled\n  Hadamard has no CUDA device yet: ask cuda.is_available() first"
    )


current_device = get_device_name = get_device_properties = get_device_capability = set_device = init = _none
current_stream = default_stream = mem_get_info = get_rng_state = initial_seed = ipc_collect = _none


class Stream:
    """Made on a GPU only: RuntimeError."""

    def __new__(cls, *args, **kwargs):
        raise RuntimeError(f"torch.cuda.{cls.__name__} requires CUDA support")


class Event(Stream):
    """Made on a GPU only: RuntimeError."""


class device:
    """Within the block, the GPU of this number would be the current one; None and numbers below 0 ask for nothing."""

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            _none()

    def __exit__(self, *_):
        return False


class device_of(device):
    """Within the block, the GPU that holds the tensor would be the current one: for a tensor on the CPU, nothing."""

    def __init__(self, obj):
        super().__init__(None)


class stream:
    """Within the block, work would go to the stream; None asks for nothing."""

    def __init__(self, stream):
        pass

    def __enter__(self):
        pass

    def __exit__(self, *_):
        return False


def synchronize(device=None):
    """Returns at once: ops on the CPU are done when they return."""


def empty_cache():
    """Does nothing: there is no GPU memory."""


def manual_seed(seed):
    """Does nothing: there is no GPU stream of random numbers."""


manual_seed_all = set_rng_state = set_rng_state_all = manual_seed


def seed():
    """Does nothing: there is no GPU stream of random numbers."""


seed_all = seed


def get_rng_state_all():
    """[]: one state for each GPU."""
    return []


def memory_allocated(device=None):
    """0 bytes of GPU memory."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_cached = max_memory_cached = memory_allocated


def memory_stats(device=None):
    """{}: there is no GPU memory."""
    return {}


def reset_peak_memory_stats(device=None):
    """Does nothing: there is no GPU memory."""


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
