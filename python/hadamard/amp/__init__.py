"""torch.amp: products in bfloat16 or float16 within a block, and the scaling of losses that float16 needs."""

from .autocast_mode import (
    autocast,
    custom_bwd,
    custom_fwd,
    get_autocast_dtype,  # noqa: F401  (these four are of the torch namespace)
    is_autocast_available,
    is_autocast_enabled,  # noqa: F401
    set_autocast_dtype,  # noqa: F401
    set_autocast_enabled,  # noqa: F401
)
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
