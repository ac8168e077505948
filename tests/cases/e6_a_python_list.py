"""A tensor times a list: torch repeats the list; ours says what is wrong and what to write."""

import torch

a = torch.tensor([2])
if torch.__name__ == "hadamard":
    for product in (lambda: a * [1, 2], lambda: [1, 2] * a, lambda: a * (1, 2)):
        try:
            product()
        except TypeError as error:
            assert "list" in str(error) or "tuple" in str(error), error
            assert "tensor([1, 2])" in str(error) or "tensor((1, 2))" in str(error), error
        else:
            raise AssertionError("no error")
assert (a * torch.tensor([1, 2])).tolist() == [2, 4]
