"""dot does not broadcast, not even one number."""

import torch

for m, n in ((2, 1), (1, 3), (3, 4), (0, 1)):
    try:
        torch.dot(torch.ones(m), torch.ones(n))
    except RuntimeError as error:
        line = str(error).splitlines()[0]
        assert line.startswith(f"inconsistent tensor size, expected tensor [{m}] and src [{n}]"), line
        assert line.endswith(f"but got {m} and {n} elements respectively"), line
    else:
        raise AssertionError((m, n))
