"""Every spelling of the matrix product is the same operation with the same gradient."""

import torch
import torch.nn as nn
import torch.nn.functional as F

p, d = nn.Parameter(torch.arange(6.0).reshape(2, 3)), torch.arange(12.0).reshape(3, 4) - 5
for product in (
    lambda: p @ d,
    lambda: torch.mm(p, d),
    lambda: torch.matmul(p, d),
    lambda: p.mm(d),
    lambda: F.linear(p, d.t()),
):
    y = product()
    assert y.grad_fn.name() == "MmBackward0", y.grad_fn
    p.grad = None
    y.sum().backward()
    for row in p.grad:
        assert torch.equal(row, d.sum(1))
