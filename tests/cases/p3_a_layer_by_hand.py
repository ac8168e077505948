"""A module that keeps its own weight and bias and calls linear."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside))
        self.bias = nn.Parameter(torch.zeros(outside))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


layer, x = Layer(3, 4), torch.tensor([[1.0, 2.0, 3.0]])
y = layer(x)
assert y.shape == (1, 4) and y.grad_fn.name() == "AddmmBackward0"
y.sum().backward()
assert torch.equal(layer.bias.grad, torch.ones(4))
for row in layer.weight.grad:
    assert torch.equal(row, x[0])
assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
