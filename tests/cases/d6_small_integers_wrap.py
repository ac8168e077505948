"""Sums of small integers are kept in the operands' own width."""

import torch

a, b = torch.tensor([200, 200], dtype=torch.uint8), torch.tensor([2, 2], dtype=torch.uint8)
y = torch.dot(a, b)
assert y.item() == 32 and y.dtype == torch.uint8
assert (a * b).tolist() == [144, 144]
assert torch.dot(a.long(), b.long()).item() == 800

if hasattr(torch, "explain"):
    e = torch.explain(a, "dot", b)
    assert e.sum_dtype == torch.uint8 and "800 became 32" in str(e) and "8 bits of uint8" in str(e)
