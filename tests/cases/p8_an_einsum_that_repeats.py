"""A subscript of size 1 against size n is repeated without a word, as torch does."""

import torch

torch.manual_seed(0)
a, w = torch.randn(200, 100, 1), torch.randn(100, 200)
y = torch.einsum("ijk,kl->ijl", a, w)
assert y.shape == (200, 100, 200)
assert torch.allclose(y, a * w.sum(0), atol=1e-4)

if hasattr(torch, "explain"):
    assert [w.kind for w in torch.explain("ijk,kl->ijl", a, w).warnings] == ["size1"]
    try:
        with torch.strict():
            torch.einsum("ijk,kl->ijl", a, w)
    except torch.StrictError as error:
        assert error.kind == "size1" and "has size 1 in a and 100 in" in str(error)
    else:
        raise AssertionError("strict() let it pass")
