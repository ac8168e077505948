"""A dot product of whole numbers stays whole, and has no dimensions."""

import torch

y = torch.dot(torch.tensor([1, 2, 3]), torch.tensor([11, 21, 19]))
assert y.item() == 110 and y.dtype == torch.int64 and y.shape == () and y.dim() == 0
assert str(y) == "tensor(110)"
