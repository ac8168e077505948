"""torch.backends.cpu: what the processor can do."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability():
    """The instruction set in use by torch's names: "AVX512", "AVX2" or "DEFAULT"."""
    from .. import _C

    return {"v4": "AVX512", "v3": "AVX2"}.get(_C._level(), "DEFAULT")
