"""torch.autocast: within the block products compute in a lower dtype, losses in float32; the core casts."""

import warnings
from functools import wraps

from .. import _C

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_KNOWN = frozenset(
    "cpu cuda ipu xpu mkldnn opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia "
    "privateuseone".split()
)


def _check(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _KNOWN:
        raise RuntimeError(
            "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, "
            "vulkan, mps, meta, hpu, mtia, privateuseone device type at start of device string: " + device_type
        )


def is_autocast_available(device_type):
    """Whether autocast does anything on such a device."""
    _check(device_type)
    return device_type in ("cpu", "cuda", "xpu", "mps", "mtia", "hpu", "maia", "xla", "privateuseone", "ipu")


def is_autocast_enabled(device_type=None):
    """Whether ops on the CPU are being cast; without a device the question is about CUDA, as in torch."""
    return device_type == "cpu" and _C._get_autocast()[0]


def set_autocast_enabled(device_type, enabled=None):
    """Switches casting on or off for ops on the CPU; other devices are not there."""
    if enabled is not None and device_type == "cpu":
        _C._set_autocast(bool(enabled), _C._get_autocast()[1])


def get_autocast_dtype(device_type):
    """The dtype that autocast computes in on the device."""
    _check(device_type)
    return _C._get_autocast()[1] if device_type == "cpu" else _C.float16


def set_autocast_dtype(device_type, dtype):
    """Sets the dtype that autocast computes in on the CPU."""
    if device_type == "cpu":
        _C._set_autocast(_C._get_autocast()[0], dtype)


class autocast:
    """Within the block, or the decorated function, products of floating tensors on the CPU compute in `dtype`.

    mm, matmul, linear, convolutions and the like take their operands as `dtype` (bfloat16 unless given; float16 is the
    other one), losses and a few others as float32; the remaining ops compute in the dtypes that arrive. float64 stays.
    For a device that is not there ("cuda") nothing is cast, with a warning.

    >>> import hadamard as H
    >>> x = H.ones(2, 2)
    >>> with autocast("cpu"):
    ...     (x @ x).dtype, (x + x).dtype
    (torch.bfloat16, torch.float32)
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        _check(device_type)
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and device_type == "cpu" and self.fast_dtype not in (_C.bfloat16, _C.float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\nCPU Autocast only "
                "supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        if device_type == "cuda":
            if enabled:
                warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        self._enabled = bool(enabled)
        self._before: list = []

    def __enter__(self):
        self._before.append(_C._get_autocast())
        if self.device == "cpu":
            _C._set_autocast(self._enabled, self.fast_dtype if self._enabled else self._before[-1][1])
        return self

    def __exit__(self, *_):
        _C._set_autocast(*self._before.pop())

    def __call__(self, func):
        @wraps(func)
        def inside(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return inside


def _cast(value, device_type, dtype):
    if isinstance(value, _C.Tensor):
        fits = value.is_floating_point() and value.device.type == device_type and value.dtype != _C.float64
        return value.to(dtype) if fits else value
    if isinstance(value, dict):
        return {key: _cast(item, device_type, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, device_type, dtype) for item in value)
    return value


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorator of an autograd Function's forward: with cast_inputs its tensors are cast and autocast is off inside."""
    _check(device_type)
    if fwd is None:
        return lambda f: custom_fwd(f, device_type=device_type, cast_inputs=cast_inputs)

    @wraps(fwd)
    def decorated(*args, **kwargs):
        args[0]._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if not on or cast_inputs is None:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd=None, *, device_type):
    """Decorator of an autograd Function's backward: it runs with the autocast state of its forward (see custom_fwd)."""
    _check(device_type)
    if bwd is None:
        return lambda f: custom_bwd(f, device_type=device_type)

    @wraps(bwd)
    def decorated(*args, **kwargs):
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorated
