"""Operands of two dtypes, or on two devices: the error names both."""

import torch

try:
    torch.dot(torch.ones(3), torch.ones(3, dtype=torch.float64))
except RuntimeError as error:
    line = str(error).splitlines()[0]
    assert line == "dot : expected both vectors to have same dtype, but found Float and Double", line
else:
    raise AssertionError("no error")
try:
    torch.dot(torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool))
except NotImplementedError as error:
    assert str(error).startswith("\"dot\" not implemented for 'Bool'"), error
else:
    raise AssertionError("no error")
if torch.__name__ == "hadamard":
    try:
        torch.dot(torch.ones(3), torch.ones(3, device="meta"))
    except RuntimeError as error:
        assert "cpu" in str(error) and "meta" in str(error), error
    else:
        raise AssertionError("no error")
