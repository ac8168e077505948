"""What torch has kernels for: other dtypes are refused in its words."""

import hadamard as H
from hadamard._common import scalar_name


def require(x, kernel, half=True, also=()):
    """Raises NotImplementedError unless x is real and floating (float16 and bfloat16: if `half`), or in `also`."""
    taken = (H.float32, H.float64) + ((H.float16, H.bfloat16) if half else ()) + also
    if x.dtype not in taken:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(x.dtype)}'")
