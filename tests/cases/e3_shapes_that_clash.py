"""(2, 3) times (2,): torch's first line; ours shows both shapes and an edit that works."""

import torch

a, b = torch.ones(2, 3), torch.ones(2)
try:
    a * b
except RuntimeError as error:
    lines = str(error).splitlines()
else:
    raise AssertionError("no error")
assert lines[0] == "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1"
if torch.__name__ == "hadamard":
    # Right-aligned: the two last sizes end in one column, and the mark stands under it.
    first, second, mark = lines[1:4]
    assert first.index("3)") == second.index("2,") == mark.index("^"), lines
    mend = "\n".join(lines[4:])
    assert "b.unsqueeze(1)" in mend and "b[:, None]" in mend
    assert (a * b.unsqueeze(1)).shape == (2, 3) == (a * b[:, None]).shape
