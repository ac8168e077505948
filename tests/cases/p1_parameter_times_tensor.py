"""A parameter multiplies like any tensor, and learns."""

import torch
import torch.nn as nn

p = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
d = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
y = p * d
assert y.grad_fn.name() == "MulBackward0" and type(y) is torch.Tensor and isinstance(p, torch.Tensor)
y.sum().backward()
assert torch.equal(p.grad, d)
