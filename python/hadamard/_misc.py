"""Small names of the torch namespace: layouts, questions about objects, and settings that change nothing here."""

from ._C import Tensor, device

__all__ = [
    "layout",
    "memory_format",
    "is_tensor",
    "is_storage",
    "OutOfMemoryError",
    "typename",
    "is_deterministic_algorithms_enabled",
    "use_deterministic_algorithms",
    "set_default_device",
    "get_default_device",
    "compile",
    "get_num_interop_threads",
    "set_num_interop_threads",
    "set_float32_matmul_precision",
    "get_float32_matmul_precision",
    "strided",
    "contiguous_format",
    "preserve_format",
    "channels_last",
    "channels_last_3d",
    "are_deterministic_algorithms_enabled",
]


class layout:
    """How elements lie in memory; only strided tensors exist here."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"torch.{self._name}"


class memory_format(layout):
    """The order of strides that clone(), contiguous(), to() and the like give their result."""

    def __init__(self, name, number):
        super().__init__(name)
        self._memory_format = number  # as the core counts them


strided = layout("strided")
preserve_format = memory_format("preserve_format", 0)
contiguous_format = memory_format("contiguous_format", 1)
channels_last = memory_format("channels_last", 2)
channels_last_3d = memory_format("channels_last_3d", 3)


def is_tensor(obj, /):
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


class OutOfMemoryError(RuntimeError):
    """A GPU's memory is full: never raised here, for programs that catch it."""


OutOfMemoryError.__module__ = "torch"


def is_storage(obj):
    """Whether obj is an UntypedStorage or TypedStorage."""
    return type(obj).__name__ in ("UntypedStorage", "TypedStorage")


def typename(obj):
    """The name of obj's type, as "torch.FloatTensor" for a tensor."""
    if isinstance(obj, Tensor):
        return obj.type()
    return f"{type(obj).__module__}.{type(obj).__qualname__}"


def is_deterministic_algorithms_enabled():
    """True: the order of every summation is fixed by the shapes alone."""
    return True


are_deterministic_algorithms_enabled = is_deterministic_algorithms_enabled


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Accepted for torch's sake: results here are always deterministic."""


def set_default_device(d):
    """Only "cpu" can be the default device."""
    if d is not None and device(d).type != "cpu":
        raise RuntimeError(f"Hadamard has no device {d!r} to make the default")


def get_default_device():
    """The device of new tensors: cpu."""
    return device("cpu")


def compile(model=None, **options):
    """Returns the model as it is: nothing is compiled here. Also a decorator."""
    return model if model is not None else lambda f: f


def get_num_interop_threads():
    """1: ops run one after another."""
    return 1


def set_num_interop_threads(n):
    """Accepted for torch's sake: ops run one after another."""


def set_float32_matmul_precision(precision):
    """Accepted for torch's sake, and remembered: float32 products are always computed in float32."""
    if precision in ("highest", "high", "medium"):
        _matmul_precision[0] = precision
    else:
        from .errors import warn

        warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the currentsetFloat32MatmulPrecision call has "
            "no effect."
        )


_matmul_precision = ["highest"]


def get_float32_matmul_precision():
    """What was set last, "highest" at first. Float32 products are computed in float32 whatever it says."""
    return _matmul_precision[0]
