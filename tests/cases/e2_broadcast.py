"""A row, a row matrix and a column matrix, each against a square matrix."""

import torch

a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
for row in (torch.tensor([5.0, 6.0]), torch.tensor([[5.0, 6.0]])):
    assert (a * row).tolist() == [[5, 12], [15, 24]]
    assert (row * a).tolist() == [[5, 12], [15, 24]]
assert (a * torch.tensor([[5.0], [6.0]])).tolist() == [[5, 10], [18, 24]]

if hasattr(torch, "explain"):
    for other, said in (
        ([5.0, 6.0], "b, dim 0, 1 → 2"),
        ([[5.0, 6.0]], "b, dim 0, 1 → 2"),
        ([[5.0], [6.0]], "b, dim 1, 1 → 2"),
    ):
        assert [str(r) for r in torch.explain(a, "*", torch.tensor(other)).repeated] == [said]
