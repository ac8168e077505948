"""Thirty-two dot products of 64 numbers, four ways."""

import torch

torch.manual_seed(0)
a, b = torch.randn(32, 64, dtype=torch.float64), torch.randn(32, 64, dtype=torch.float64)
ways = [
    (a * b).sum(1),
    torch.einsum("ij,ij->i", a, b),
    torch.bmm(a.unsqueeze(1), b.unsqueeze(2)).reshape(32),
    torch.linalg.vecdot(a, b),
    torch.stack([torch.dot(x, y) for x, y in zip(a, b)]),
]
for way in ways:
    assert way.shape == (32,) and torch.allclose(way, ways[0], rtol=1e-12, atol=1e-12)
