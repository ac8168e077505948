"""autocast and GradScaler: which ops compute in which dtype, and when a step is skipped, as in torch."""

import doctest
import warnings

import numpy as np
import pytest
from harness import OURS, H


def oracle():
    return pytest.importorskip("torch")


OPS = {
    "mm": lambda lib, F, x, h: lib.mm(x, x),
    "@": lambda lib, F, x, h: x @ x,
    "method": lambda lib, F, x, h: x.matmul(h),
    "bmm": lambda lib, F, x, h: lib.bmm(x[None], x[None]),
    "addmm": lambda lib, F, x, h: lib.addmm(x, h, x),
    "baddbmm": lambda lib, F, x, h: lib.baddbmm(x[None], x[None], x[None]),
    "mv": lambda lib, F, x, h: lib.mv(x, x[0]),
    "dot": lambda lib, F, x, h: lib.dot(x[0], x[0]),
    "outer": lambda lib, F, x, h: lib.outer(x[0], x[0]),
    "inner": lambda lib, F, x, h: lib.inner(x, x),
    "einsum": lambda lib, F, x, h: lib.einsum("ij,jk->ik", x, x),
    "tensordot": lambda lib, F, x, h: lib.tensordot(x, x, 1),
    "kron": lambda lib, F, x, h: lib.kron(x, x),
    "linear": lambda lib, F, x, h: F.linear(x, x, x[0]),
    "bilinear": lambda lib, F, x, h: F.bilinear(x, x, x[None]),
    "conv1d": lambda lib, F, x, h: F.conv1d(x[None], x[None]),
    "attention": lambda lib, F, x, h: F.scaled_dot_product_attention(x, x, x),
    "float64": lambda lib, F, x, h: x.double() @ x.double(),
    "mixed": lambda lib, F, x, h: x @ h,
    "in place": lambda lib, F, x, h: x.clone().addmm_(x, x),
    "add": lambda lib, F, x, h: h + h,
    "softmax": lambda lib, F, x, h: F.softmax(h, 1),
    "layer_norm": lambda lib, F, x, h: F.layer_norm(h, (3,)),
    "sum": lambda lib, F, x, h: h.sum(),
    "prod": lambda lib, F, x, h: h.prod(),
    "trace": lambda lib, F, x, h: h.trace(),
    "cdist": lambda lib, F, x, h: lib.cdist(h, h),
    "cat": lambda lib, F, x, h: lib.cat([x, h]),
    "mse_loss": lambda lib, F, x, h: F.mse_loss(h, x),
    "l1_loss": lambda lib, F, x, h: F.l1_loss(h, h),
    "huber_loss": lambda lib, F, x, h: F.huber_loss(h, h),
    "smooth_l1_loss": lambda lib, F, x, h: F.smooth_l1_loss(h, h),
    "cross_entropy": lambda lib, F, x, h: F.cross_entropy(h, lib.tensor([0, 1, 2])),
    "nll_loss": lambda lib, F, x, h: F.nll_loss(h, lib.tensor([0, 1, 2])),
    "kl_div": lambda lib, F, x, h: F.kl_div(h, h, reduction="batchmean"),
    "bce": lambda lib, F, x, h: F.binary_cross_entropy(h.sigmoid(), h.sigmoid()),
    "bce_logits": lambda lib, F, x, h: F.binary_cross_entropy_with_logits(h, h),
    "MultiheadAttention": lambda lib, F, x, h: lib.nn.MultiheadAttention(3, 1)(x, x, x)[0],
}


def under(lib, name, dtype):
    lib.manual_seed(0)
    x = lib.randn(3, 3)
    with lib.autocast("cpu", dtype=getattr(lib, dtype)):
        return OPS[name](lib, lib.nn.functional, x, x.bfloat16())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", OPS)
def test_dtypes_are_torchs(name, dtype):
    torch = oracle()
    if dtype == "float16" and name in ("mixed", "method", "addmm"):
        pytest.skip("bfloat16 by float16")
    a, b = under(H, name, dtype), under(torch, name, dtype)
    assert str(a.dtype) == str(b.dtype)
    np.testing.assert_allclose(a.double().detach().numpy(), b.double().detach().numpy(), rtol=0.05, atol=0.05)


def test_gradients_arrive_in_the_parameters_dtype():
    w, x = H.randn(3, 3, requires_grad=True), H.randn(4, 3)
    with H.autocast("cpu", H.bfloat16):
        loss = (x @ w).float().square().mean()
    loss.backward()
    (want,) = H.autograd.grad((x @ w).square().mean(), w)
    assert w.grad.dtype == H.float32
    np.testing.assert_allclose(w.grad.numpy(), want.numpy(), rtol=0.05, atol=0.05)


def test_blocks_nest_and_end():
    x = H.ones(2, 2)

    @H.autocast("cpu", H.bfloat16)
    def product():
        return x @ x

    with H.autocast("cpu", H.bfloat16):
        assert H.is_autocast_enabled("cpu") and H.get_autocast_dtype("cpu") == H.bfloat16
        with H.autocast("cpu", enabled=False):
            assert (x @ x).dtype == H.float32
        with H.autocast("cpu", H.float16):
            assert (x @ x).dtype == H.float16
        assert (x @ x).dtype == H.bfloat16
    assert (x @ x).dtype == H.float32 and not H.is_autocast_enabled("cpu")
    assert product().dtype == H.bfloat16
    with pytest.raises(ZeroDivisionError), H.autocast("cpu"):
        1 / 0  # noqa: B018
    assert (x @ x).dtype == H.float32


def test_custom_functions():
    class Product(H.autograd.Function):
        @staticmethod
        @H.amp.custom_fwd(device_type="cpu", cast_inputs=H.float32)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            assert not H.is_autocast_enabled("cpu")
            return a @ b

        @staticmethod
        @H.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g @ b.T, a.T @ g

    a = H.ones(2, 2, requires_grad=True)
    with H.autocast("cpu"):
        y = Product.apply(a, H.ones(2, 2, dtype=H.bfloat16))
    assert y.dtype == H.float32
    y.sum().backward()
    assert a.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


WARNINGS = {
    "cuda": lambda lib: lib.autocast("cuda"),
    "float32": lambda lib: lib.autocast("cpu", dtype=lib.float32),
    "scaler": lambda lib: lib.amp.GradScaler(),
}
ERRORS = {
    "device": lambda lib: lib.autocast("foo"),
    "no-string": lambda lib: lib.autocast(lib.bfloat16),
}


def scaled(lib, gradient=1.0, scaler=None):
    """A scaler and an optimiser whose gradient has arrived."""
    w = lib.ones(2, requires_grad=True)
    optimizer = lib.optim.SGD([w], lr=0.1)
    scaler = scaler or lib.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    scaler.scale((w * gradient).sum()).backward()
    return scaler, optimizer, w


@pytest.mark.parametrize("name", WARNINGS)
def test_warning_is_torchs(name):
    said = []
    for lib in (H, oracle()):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNINGS[name](lib)
        said.append([str(w.message) for w in caught])
    assert said[0] == said[1] and said[0]


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    said = []
    for lib in (H, oracle()):
        with pytest.raises((ValueError, RuntimeError)) as info:
            ERRORS[name](lib)
        said.append((type(info.value), str(info.value)))
    assert said[0] == said[1]


def history(lib, gradients):
    scaler, rows = lib.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2), []
    for gradient in gradients:
        _, optimizer, w = scaled(lib, gradient, scaler)
        scaler.step(optimizer)
        scaler.update()
        rows.append((w.detach().tolist(), scaler.get_scale()))
    return rows, scaler.state_dict()


def test_scaler_grows_shrinks_and_skips():
    gradients = [1.0, 1.0, float("inf"), 2.0, float("nan"), 1.0, 1.0, 1.0]
    mine = history(H, gradients)
    assert [scale for _, scale in mine[0]] == [8, 16, 8, 8, 4, 4, 8, 8]
    assert mine[0][2][0] == [1.0, 1.0]
    assert mine == history(oracle(), gradients)


def test_scaler_misuse():
    scaler, optimizer, w = scaled(H)
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called since"):
        scaler.step(optimizer)
    scaler.update()
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()


@pytest.mark.skipif(not OURS, reason="our examples")
@pytest.mark.parametrize("name", ["autocast_mode", "grad_scaler"])
def test_examples(name):
    import importlib

    found = doctest.testmod(importlib.import_module(f"hadamard.amp.{name}"))
    assert found.attempted and not found.failed
