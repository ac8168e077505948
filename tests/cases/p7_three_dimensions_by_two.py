"""(200, 100, 1) by (100, 200) to (200, 200, 1), three ways."""

import torch

torch.manual_seed(0)
a, w = torch.randn(200, 100, 1, dtype=torch.float64), torch.randn(100, 200, dtype=torch.float64)
by_tensordot = torch.tensordot(a, w, dims=([1], [0])).swapaxes(1, 2)
by_einsum = torch.einsum("ijk,jl->ilk", a, w)
by_slice = (a[:, :, 0] @ w).unsqueeze(2)
for y in (by_tensordot, by_einsum, by_slice):
    assert y.shape == (200, 200, 1) and torch.allclose(y, by_slice, atol=1e-11)
try:
    a @ w
except RuntimeError as error:
    assert str(error).splitlines()[0] == "mat1 and mat2 shapes cannot be multiplied (20000x1 and 100x200)", error
    assert "ijk,jl->ilk" in str(error) or torch.__name__ != "hadamard", error
else:
    raise AssertionError("no error")
