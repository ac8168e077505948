"""The gradient of a dot product is the other vector."""

import torch

w = torch.tensor([0.5, -0.2, 1.3], requires_grad=True)
x = torch.tensor([2, 3.5, 1])
y = torch.dot(w, x)
print(y)
assert str(y) == "tensor(1.6000, grad_fn=<DotBackward0>)", y
y.backward()
assert torch.equal(w.grad, x) and x.grad is None
