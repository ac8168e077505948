"""The element-wise product of two matrices, its three spellings, and the matrix product beside it."""

import torch

a = torch.tensor([[1, 2], [3, 4]], dtype=torch.float32)
b = torch.tensor([[5, 6], [7, 8]], dtype=torch.float32)
for product in (a * b, torch.mul(a, b), torch.multiply(a, b), a.mul(b), a.multiply(b)):
    assert str(product) == "tensor([[ 5., 12.],\n        [21., 32.]])", product
    assert product.dtype == torch.float32
assert (a @ b).tolist() == [[19, 22], [43, 50]]
print(a * b)
