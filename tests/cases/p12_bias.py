"""The bias as a column of ones, as a sum, by addmm and by linear."""

import torch
import torch.nn.functional as F

x = torch.tensor([[2.0, 3.0, 4.0], [4.0, 5.0, 6.0], [8.0, 9.0, 5.0]])
w = torch.tensor([[2.0, 3.0], [5.0, 8.0], [2.0, 3.0]])
b = torch.tensor([0.5, 0.5], requires_grad=True)
want = [[27.5, 42.5], [45.5, 70.5], [71.5, 111.5]]
with_ones = torch.cat([x, torch.ones(3, 1)], 1) @ torch.cat([w, b.detach().unsqueeze(0)], 0)
assert with_ones.tolist() == want
for y in (x @ w + b, torch.addmm(b, x, w), F.linear(x, w.t(), b)):
    assert y.tolist() == want
    b.grad = None
    y.sum().backward()
    assert b.grad.tolist() == [3, 3]
assert (x @ w + torch.ones(3, 1)).shape == (3, 2)

if hasattr(torch, "explain"):
    assert [w.kind for w in torch.explain(x @ w, "+", torch.ones(3, 1)).warnings] == ["column"]
    assert torch.explain(x @ w, "+", b).warnings == []
