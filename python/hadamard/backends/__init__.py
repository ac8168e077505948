"""torch.backends: switches of libraries that are not used here; setting one changes nothing."""


class _Backend:
    deterministic = True
    benchmark = False
    enabled = False
    allow_tf32 = False

    def is_available(self):
        """False: products are computed by Hadamard's own kernels."""
        return False

    def is_built(self):
        """False."""
        return False


class _Cuda(_Backend):
    matmul = _Backend()


cudnn, mps, mkl, mkldnn, openmp, xnnpack = (_Backend() for _ in range(6))
cuda = _Cuda()
