"""A weight matrix times a plain vector; the column is needed only for an outer product."""

import torch

w = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
x = torch.tensor([1.0, 2.0, 3.0])
y = w @ x
assert y.shape == (3,) and torch.allclose(y, torch.tensor([1.4, 3.2, 5.0]))
column = x.unsqueeze(1)
assert torch.allclose((w @ column).squeeze(1), y)
assert torch.equal(column @ y.unsqueeze(0), torch.outer(x, y))
assert (column - y).shape == (3, 3)

if hasattr(torch, "explain"):
    assert [w.kind for w in torch.explain(column, "-", y).warnings] == ["broadcast"]
    try:
        with torch.strict():
            column - y
    except torch.StrictError as error:
        assert error.kind == "broadcast" and "column.squeeze(-1)" in str(error)
    else:
        raise AssertionError("strict() let it pass")
