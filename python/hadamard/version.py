"""torch.version: of Hadamard itself; under `hadamard run`, of the PyTorch that is followed."""

from . import __version__

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

cuda = hip = xpu = None
debug = False
git_version = "unknown"
