"""What Hadamard adds to the cases that must come out right, a test for each; cases/ has what is as in PyTorch."""

import numpy as np
import pytest
from harness import OURS, H

pytestmark = [
    pytest.mark.skipif(not OURS, reason="these answers are Hadamard's own"),
    pytest.mark.filterwarnings("ignore"),
]


def refused(function, *args, error=RuntimeError):
    """(first line, the lines below it) of what a call raises."""
    with pytest.raises(error) as caught:
        function(*args)
    first, *rest = str(caught.value).splitlines()
    return first, rest


def test_e2_which_operand_was_repeated():
    a = H.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [str(r) for r in H.explain(a, "*", H.tensor([5.0, 6.0])).repeated] == ["b, dim 0, 1 → 2"]
    assert [str(r) for r in H.explain(a, "*", H.tensor([[5.0, 6.0]])).repeated] == ["b, dim 0, 1 → 2"]
    assert [str(r) for r in H.explain(a, "*", H.tensor([[5.0], [6.0]])).repeated] == ["b, dim 1, 1 → 2"]


def test_e3_shapes_aligned_marked_and_mended():
    a, b = H.ones(2, 3), H.ones(2)
    first, rest = refused(lambda: a * b)
    assert first == "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1"
    shapes, other, mark = rest[0], rest[1], rest[2]
    assert shapes.index("3)") == mark.index("^") and other.index("2,") == mark.index("^")
    assert "b.unsqueeze(1) or b[:, None]" in rest[3]
    assert (a * b.unsqueeze(1)).shape == (a * b[:, None]).shape == (2, 3)


def test_e6_a_list_is_refused_and_a_tensor_offered():
    first, rest = refused(lambda: H.tensor([2]) * [1, 2], error=TypeError)
    assert "Tensor" in first and "list" in first
    assert any("torch.tensor([1, 2])" in line for line in rest)


def test_d2_what_else_than_dot():
    x = H.ones(2, 2)
    _, rest = refused(lambda: H.dot(x, x))
    said = "\n".join(rest)
    assert "(x * x).sum()" in said and "x.reshape(-1)" in said and "x @ x" in said
    _, rest = refused(lambda: H.ones(2, 3).t().view(-1))
    assert any("reshape" in line for line in rest)


def test_d6_the_width_of_the_sum():
    a, b = H.tensor([200, 200], dtype=H.uint8), H.tensor([2, 2], dtype=H.uint8)
    assert H.dot(a, b).item() == 32
    assert "8 bits" in str(H.explain(a, "dot", b)) and "800 became 32" in str(H.explain(a, "dot", b))


def test_p4_causes_and_cures():
    p, array = H.nn.Parameter(H.ones(2, 2)), np.ones((2, 2), "float32")
    for product in (p * array, p @ array, array * p, array @ p):
        assert isinstance(product, H.Tensor) and product.requires_grad
    for other in (H.ones(2, 2, dtype=H.float64), H.ones(2, 2, dtype=H.int64)):
        _, rest = refused(lambda other=other: p @ other)
        assert any("other.to(p.dtype)" in line for line in rest), rest
        assert (p @ other.to(p.dtype)).shape == (2, 2)

    def in_place():
        nonlocal p
        p *= 2

    first, rest = refused(in_place)
    assert first == "a leaf Variable that requires grad is being used in an in-place operation."
    assert any("no_grad" in line for line in rest) and any("y = p * 2" in line for line in rest)

    def detached():
        w = H.nn.Parameter(H.ones(2, 2))
        y = H.tensor([w[0, 0], w[1, 1]])
        y.sum().backward()

    _, rest = refused(detached)
    assert any("try y = H.stack([w[0, 0], w[1, 1]])" in line for line in rest), rest


def test_p7_the_einsum_is_named():
    a, w = H.ones(200, 100, 1), H.ones(100, 200)
    _, rest = refused(lambda: a @ w)
    assert any("einsum('ijk,jl->ilk', a, w): the result is (200, 200, 1)" in line for line in rest), rest


def test_p8_the_trap():
    a, w = H.ones(200, 100, 1), H.ones(100, 200)
    assert H.einsum("ijk,kl->ijl", a, w).shape == (200, 100, 200)
    assert [x.kind for x in H.explain("ijk,kl->ijl", a, w).warnings] == ["size1"]
    with H.strict():
        first, _ = refused(H.einsum, "ijk,kl->ijl", a, w)
    assert "size 1" in first


def test_p11_and_p12_silent_columns():
    column, row = H.ones(3, 1), H.ones(3)
    assert (column - row).shape == (3, 3)
    assert [x.kind for x in H.explain(column, "-", row).warnings] == ["broadcast"]
    with H.strict():
        refused(lambda: column - row)
    assert [x.kind for x in H.explain(H.ones(3, 2), "+", column).warnings] == ["column"]


def test_l2_why_it_does_not_learn():
    class Net(H.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = H.nn.Parameter(H.rand(30, 20)), H.nn.Parameter(H.rand(20, 1))

        def forward(self, x):
            h = H.bmm(x.unsqueeze(1), self.first.expand(len(x), -1, -1))
            return H.sigmoid(H.bmm(h, self.second.expand(len(x), -1, -1)).flatten())

    H.manual_seed(0)
    x = H.rand(256, 30)
    y = (x[:, :15].sum(1) > x[:, 15:].sum(1)).float()
    found = H.diagnose(Net(), x, y, loss=H.nn.functional.binary_cross_entropy)
    assert found[0].kind == "saturated" and "sigmoid" in found[0].where
    said = str(found[0].lines())
    assert "256 of 256" in said and "its input goes from" in said and "gradients of first, second are exactly 0" in said
    assert "BCEWithLogitsLoss" in said and "xavier_uniform_" in said and "BatchNorm1d(1)" in said
