"""torch.xpu: no such device here."""

__all__ = ["device_count", "is_available"]


def is_available():
    """False."""
    return False


def device_count():
    """0."""
    return 0
