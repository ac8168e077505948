"""torch.mps: no such device here."""


def is_available():
    """False."""
    return False
