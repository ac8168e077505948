"""torch.cuda.amp: the older names of torch.amp for a GPU."""

from .. import _C
from .. import amp as _amp
from ..errors import warn

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def _deprecated(name):
    warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cuda', args...)` instead.",
        FutureWarning,
    )


class autocast(_amp.autocast):
    """torch.autocast("cuda", …)."""

    def __init__(self, enabled=True, dtype=_C.float16, cache_enabled=True):
        _deprecated("autocast")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(_amp.GradScaler):
    """torch.amp.GradScaler("cuda", …)."""

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        _deprecated("GradScaler")
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd=None, **kwargs):
    """torch.amp.custom_fwd for the device "cuda"."""
    return _amp.custom_fwd(fwd, device_type="cuda", **kwargs)


def custom_bwd(bwd):
    """torch.amp.custom_bwd for the device "cuda"."""
    return _amp.custom_bwd(bwd, device_type="cuda")
