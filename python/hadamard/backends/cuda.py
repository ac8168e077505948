"""torch.backends.cuda: not there; its switches can be set, as scripts do, and change nothing."""


class _Matmul:
    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = False
    allow_bf16_reduced_precision_reduction = False


matmul = _Matmul()


def is_built():
    """False."""
    return False
