"""A batch of any size times one matrix."""

import torch

torch.manual_seed(0)
w = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
for batch in (10, 1, 0):
    x = torch.randn(batch, 2, 3, dtype=torch.float64)
    y = x @ w
    assert y.shape == (batch, 2, 4)
    assert torch.allclose(y, torch.bmm(x, w.expand(batch, 3, 4)), atol=1e-12)
    (g,) = torch.autograd.grad(y.sum(), w)
    want = torch.zeros(3, 4, dtype=torch.float64)
    for one in x:
        want += one.sum(0)[:, None]
    assert g.shape == (3, 4) and torch.allclose(g, want, atol=1e-12)
try:
    torch.bmm(torch.ones(10, 2, 3), torch.ones(3, 4))
except RuntimeError as error:
    assert str(error).startswith("batch2 must be a 3D tensor")
    assert "matmul" in str(error) or torch.__name__ != "hadamard", error
else:
    raise AssertionError("no error")
