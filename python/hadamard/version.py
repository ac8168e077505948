"""torch.version: of Hadamard itself."""

cuda = hip = None
debug = False
git_version = "unknown"
