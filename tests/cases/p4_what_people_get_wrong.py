"""Parameters beside arrays and other dtypes: what is clear works, what is not names its cause."""

import numpy as np
import torch
import torch.nn as nn

p = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
array = np.array([[5.0, 6.0], [7.0, 8.0]], dtype=np.float32)
ours = torch.__name__ == "hadamard"


def error_of(f):
    try:
        f()
    except (RuntimeError, TypeError) as error:
        return str(error)
    raise AssertionError("no error")


if ours:
    for y in (p * array, array * p, p + array, array + p, p @ array, array @ p):
        assert isinstance(y, torch.Tensor) and y.requires_grad and y.dtype == torch.float32, type(y)
    assert (p * array).tolist() == [[5, 12], [21, 32]] == (array * p).tolist()
    assert (p @ array).tolist() == [[19, 22], [43, 50]]
    assert (array @ p).tolist() == [[23, 34], [31, 46]]
    (array * p).sum().backward()
    assert p.grad.tolist() == array.tolist()

for other, name in (
    (torch.ones(2, 2, dtype=torch.float64), "double"),
    (torch.ones(2, 2, dtype=torch.int64), "long int"),
):
    text = error_of(lambda: p @ other)
    assert text.startswith("expected m1 and m2 to have the same dtype, but got: float != " + name), text
    if ours:
        assert ".to(" in text or ".float()" in text, text


def double_it():
    q = nn.Parameter(torch.ones(2))
    q *= 2


text = error_of(double_it)
assert text.startswith("a leaf Variable that requires grad is being used in an in-place operation."), text
if ours:
    assert "no_grad" in text, text
with torch.no_grad():
    p *= 2
assert p.tolist() == [[2, 4], [6, 8]]

if ours:
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = torch.tensor([p[0, 0], p[1, 1]])
    assert not made.requires_grad and made.tolist() == [2, 8]
    assert any("stack" in str(w.message) for w in caught), [str(w.message) for w in caught]
assert torch.stack([p[0, 0], p[1, 1]]).requires_grad
