"""torch.version: of Hadamard itself."""

from . import __version__

cuda = hip = None
debug = False
git_version = "unknown"
