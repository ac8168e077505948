"""mul_ writes where it was called; .to copies first when the dtype changes."""

import torch

a = torch.tensor([1.0, 2.0], dtype=torch.float32)
b = torch.tensor([3.0, 4.0], dtype=torch.float64)
copied = a.to(b.dtype)
result = copied.mul_(b)
assert result is copied and result.dtype == torch.float64 and result.tolist() == [3, 8]
assert a.tolist() == [1, 2] and a.dtype == torch.float32
assert a.to(torch.float32) is a
assert a.mul_(b) is a and a.dtype == torch.float32 and a.tolist() == [3, 8]
whole = torch.tensor([1, 2])
try:
    whole.mul_(torch.tensor([1.5, 2.5]))
except RuntimeError as error:
    assert str(error).startswith("result type Float can't be cast to the desired output type Long")
else:
    raise AssertionError("no error")
assert whole.tolist() == [1, 2]
