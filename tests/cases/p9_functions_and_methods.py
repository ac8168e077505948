"""A function and the method of its name are one computation."""

import torch

a, b, m = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
assert torch.equal(a.dot(b), torch.dot(a, b)) and torch.equal(a.mul(b), torch.mul(a, b))
for name in ("mm", "matmul", "mul", "add", "sub", "div", "maximum", "outer"):
    x, y = (a, b) if name == "outer" else (m, m.t())
    assert torch.equal(getattr(x, name)(y), getattr(torch, name)(x, y)), name
assert torch.equal(m.mv(a), torch.mv(m, a)) and torch.equal(a.inner(b), torch.inner(a, b))
assert torch.equal(m[None].bmm(m[None]), torch.bmm(m[None], m[None])) and torch.equal(m.kron(m), torch.kron(m, m))
