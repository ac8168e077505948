"""Derivatives in one pass: beside the same derivatives composed of ops, and beside float64."""

import re
from pathlib import Path

import numpy as np
import pytest
from harness import H

SOURCE = Path(__file__).parents[1] / "src" / "ops" / "elementwise.h"
LISTED = re.findall(
    r"X\((\w+), ([abc])\)", SOURCE.read_text().partition("#define ELEMENTWISE_SLOPES")[2].partition("\n\n")[0]
)
F = H.nn.functional

# What is differentiated, and the numbers that it is differentiated at.
CALLS = {
    "div": lambda x: 1.5 / x,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "threshold": lambda x: F.threshold(x, 0.25, 9.0),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.75),
    "relu6": lambda x: F.relu6(4 * x),
    "hardsigmoid": lambda x: F.hardsigmoid(4 * x),
    "hardswish": lambda x: F.hardswish(4 * x),
    "hardshrink": lambda x: F.hardshrink(x, 0.3),
    "softshrink": lambda x: F.softshrink(x, 0.3),
    "elu": lambda x: F.elu(x, 0.7),
    "softplus": lambda x: F.softplus(x, 3.0, 2.0),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "logsigmoid": F.logsigmoid,
}
BETWEEN = {
    name: (0.05, 0.95) for name in ("reciprocal", "sqrt", "rsqrt", "log2", "log10", "logit", "asin", "acos", "atanh")
} | {"acosh": (1.1, 3.0), "div": (0.3, 2.0), "log1p": (-0.9, 2.0)}


def other(x):
    """The second operand of maximum and minimum: equal to the first here and there."""
    return H.where(H.arange(x.numel()).reshape(x.shape) % 3 == 0, x.detach(), x.detach().flip(0))


def call(name, operand, x):
    if (name, operand) == ("leaky_relu", "b"):
        return F.prelu(other(x).reshape(1, -1), x).reshape(-1)
    if name in ("maximum", "minimum"):
        return getattr(H, name)(*((x, other(x)) if operand == "a" else (other(x), x)))
    return CALLS.get(name, getattr(H, name, None))(x)


def gradient(name, operand, x, g, compose):
    x = x.detach().requires_grad_()
    (r,) = H.autograd.grad(call(name, operand, x), x, g, create_graph=compose)
    return r.detach()


def operands(name, n, dtype):
    low, high = BETWEEN.get(name, (-2.0, 2.0))
    rng = np.random.default_rng(n)
    x = rng.random(n) * (high - low) + low
    return H.tensor(x, dtype=dtype), H.tensor(rng.random(n) * 2 - 1, dtype=dtype)


def test_the_list():
    assert len(LISTED) > 40 and len(set(LISTED)) == len(LISTED)


@pytest.mark.parametrize("dtype", [H.float32, H.float64], ids=["f32", "f64"])
@pytest.mark.parametrize(("name", "operand"), LISTED)
def test_one_pass(name, operand, dtype):
    """Rounding may differ from the composed one where a product and a sum became one, and not by more."""
    few = 16 * H.finfo(dtype).eps
    for n in 1, 3, 8, 33, 1000:
        x, g = operands(name, n, dtype)
        once, composed = (gradient(name, operand, x, g, compose) for compose in (False, True))
        assert once.dtype == dtype
        assert ((once - composed).abs() <= few * (composed.abs() + g.abs())).all(), n
        exact = gradient(name, operand, x.double(), g.double(), True)
        assert ((once.double() - exact).abs() <= 2 * few * (exact.abs() + g.abs())).all(), n


@pytest.mark.parametrize(
    ("name", "operand"), [("tanh", "a"), ("div", "b"), ("elu", "a"), ("maximum", "b"), ("hardtanh", "a")]
)
def test_any_layout(name, operand):
    """Transposed, with gaps, shifted by one element, and a gradient that repeats one number: the same bits."""
    x, g = operands(name, 35, H.float32)
    x, g = x.reshape(5, 7), g.reshape(5, 7)
    plain = gradient(name, operand, x, g, False)
    if name != "maximum":  # whose other operand here depends on the layout
        assert gradient(name, operand, x.t(), g.t(), False).equal(plain.t())
    wide = H.zeros(5, 15)
    wide[:, 1::2] = x
    assert gradient(name, operand, wide[:, 1::2], g, False).equal(plain)
    shifted = H.zeros(36)[1:].reshape(5, 7)
    shifted.copy_(x)
    assert gradient(name, operand, shifted, g, False).equal(plain)
    same = H.full((1, 1), 0.75).expand(5, 7)
    assert gradient(name, operand, x, same, False).equal(gradient(name, operand, x, same.contiguous(), False))


def test_special_values():
    """NaN, infinities and signed zeros as composed."""
    x = H.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, 3e38, 88.8, -103.0])
    g = H.ones(9)
    for name, operand in LISTED:
        if name in ("maximum", "minimum"):
            continue
        once, composed = (gradient(name, operand, x, g, compose).numpy() for compose in (False, True))
        np.testing.assert_allclose(once, composed, rtol=1e-5, atol=1e-37, err_msg=name)


def test_numbers_and_mixed_dtypes():
    """What one pass cannot do is composed: another dtype of the saved, a 0-d operand, half precision."""
    x = H.tensor([0.5, -0.25], dtype=H.float16, requires_grad=True)
    H.tanh(x).sum().backward()
    assert x.grad.dtype == H.float16 and abs(x.grad[0].item() - (1 - np.tanh(0.5) ** 2)) < 1e-3
    a, b = H.tensor([2.0, 4.0], dtype=H.float64), H.tensor(2.0, requires_grad=True)
    (a / b).sum().backward()
    assert b.grad.item() == -1.5 and b.grad.dtype == H.float32
    z = H.tensor([1 + 2j], requires_grad=True)
    (z.tanh().abs() ** 2).sum().backward()
    assert z.grad.dtype == H.complex64


def test_a_gradient_that_others_hold_stays():
    """The result goes into the incoming gradient's memory only where nobody else looks at it."""
    x = H.linspace(-2, 2, 64, dtype=H.float64).requires_grad_()

    def layers():
        a = x.tanh()
        b = a.sigmoid()
        return a, b, F.silu(b) + b.relu()

    g = H.linspace(1, 2, 64, dtype=H.float64)
    a, b, y = layers()
    expected = [t.detach() for t in H.autograd.grad(y, (b, a, x), g, create_graph=True)]
    assert all(t.abs().min() > 0 for t in expected)

    def same(got):
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-13)

    same((*expected[:2], *H.autograd.grad(layers()[2], x, g)))
    a, b, y = layers()
    same(H.autograd.grad(y, (b, a, x), g))  # asked for by name
    a, b, y = layers()
    a.retain_grad(), b.retain_grad()
    y.backward(g)
    same((b.grad, a.grad, x.grad))
    x.grad = None
    a, b, y = layers()
    seen = {}
    a.register_hook(lambda t: seen.__setitem__("a", t))  # keeps it and changes nothing
    b.register_hook(lambda t: seen.__setitem__("b", t))
    y.backward(g)
    same((seen["b"], seen["a"], x.grad))
    assert g.equal(H.linspace(1, 2, 64, dtype=H.float64))


@pytest.mark.parametrize("exponent", [0.5, -0.5, -1, -2, 1, 2, 3, 2.5, -3])
@pytest.mark.parametrize("dtype", [H.float32, H.float64], ids=["f32", "f64"])
def test_a_number_as_exponent(exponent, dtype):
    x = H.linspace(0.3, 3, 41, dtype=dtype).requires_grad_()
    before = x.detach().clone()
    y = x**exponent
    y.sum().backward()
    wide = before.double().numpy()
    few = 4 * H.finfo(dtype).eps
    np.testing.assert_allclose(y.detach().numpy(), wide**exponent, rtol=few)
    np.testing.assert_allclose(x.grad.numpy(), exponent * wide ** (exponent - 1.0), rtol=few)
    assert x.detach().equal(before) and y.grad_fn.name() == "PowBackward0"
