"""dot wants vectors; a transposed matrix cannot be viewed flat. Ours says what to write in both."""

import torch

a = torch.ones(2, 2)
try:
    torch.dot(a, a)
except RuntimeError as error:
    text = str(error)
assert text.splitlines()[0] == "1D tensors expected, but got 2D and 2D tensors"
if torch.__name__ == "hadamard":
    assert "* " in text and ".sum()" in text and ".reshape(-1)" in text and "@" in text, text
assert (a * a).sum() == torch.dot(a.reshape(-1), a.reshape(-1)) == 4

t = torch.arange(6.0).reshape(2, 3).t()
try:
    t.view(-1)
except RuntimeError as error:
    text = str(error)
assert text.startswith("view size is not compatible with input tensor's size and stride")
assert "reshape" in text
assert t.reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]
