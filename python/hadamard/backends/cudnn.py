"""torch.backends.cudnn: not there; its switches can be set, as scripts do, and change nothing."""

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False
benchmark_limit = 10


def is_available():
    """False."""
    return False


def version():
    """None: there is no cuDNN."""
    return None
