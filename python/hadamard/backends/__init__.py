"""torch.backends: switches of libraries that are not used here; setting one changes nothing."""

from . import cpu, cuda, cudnn, mps

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum", "xnnpack"]


class _Backend:
    # What scripts read before they set it, as it stands in torch on a CPU.
    def __init__(self, available, **switches):
        self._available = available
        self.__dict__.update(switches)

    def is_available(self):
        """As torch answers on a CPU, though products are computed by Hadamard's own kernels."""
        return self._available


mkl, openmp = _Backend(True), _Backend(True)
mkldnn = _Backend(True, enabled=True, deterministic=False)
xnnpack = _Backend(False, enabled=False)
opt_einsum = _Backend(False, enabled=True, strategy="auto")
