"""out= is by keyword; another dtype is refused; another size is resized with a warning."""

import warnings

import torch

x, y = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
room = torch.empty(())
assert torch.dot(x, y, out=room) is room and room.item() == 32
try:
    torch.dot(x, y, room)
except TypeError:
    pass
else:
    raise AssertionError("out by position")
try:
    torch.dot(x, y, out=torch.empty((), dtype=torch.int64))
except RuntimeError as error:
    assert str(error).startswith("result dtype Long does not match input dtype Float"), error
else:
    raise AssertionError("another dtype")
wrong = torch.empty(5)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.dot(x, y, out=wrong)
assert wrong.shape == () and wrong.item() == 32
assert any("was resized" in str(w.message) and w.category is UserWarning for w in caught)
