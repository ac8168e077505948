"""A subscript of size 1 against size n is repeated without a word, as torch does."""

import torch

torch.manual_seed(0)
a, w = torch.randn(200, 100, 1), torch.randn(100, 200)
y = torch.einsum("ijk,kl->ijl", a, w)
assert y.shape == (200, 100, 200)
assert torch.allclose(y, a * w.sum(0), atol=1e-4)
