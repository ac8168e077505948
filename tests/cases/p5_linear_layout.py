"""Linear keeps its weight (out, in), and the product reads it transposed in place."""

import torch
import torch.nn as nn

layer = nn.Linear(3, 5)
state = layer.state_dict()
assert list(state) == ["weight", "bias"] and state["weight"].shape == (5, 3) and state["bias"].shape == (5,)
transposed = layer.weight.t()
assert transposed.data_ptr() == layer.weight.data_ptr() and transposed.stride() == (1, 3)
x = torch.randn(4, 3)
assert torch.allclose(layer(x), x @ transposed + layer.bias, atol=1e-6)
