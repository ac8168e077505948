"""torch.backends: switches of libraries that are not used here; setting one changes nothing."""

from . import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "xnnpack"]


class _Backend:
    enabled = False

    def is_available(self):
        """False: products are computed by Hadamard's own kernels."""
        return False


mkl, mkldnn, openmp, xnnpack = (_Backend() for _ in range(4))
