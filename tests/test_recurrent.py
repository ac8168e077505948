"""Layers of recurrent networks as one op, against NumPy in float64, finite differences and the layer step by step."""

import hadamard as H
import numpy as np
import pytest
from hadamard import _C, nn

KINDS = [("LSTM", {}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"})]
NAMES = ["LSTM", "GRU", "RNN", "RNN relu"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(kind, options, x, weights, h, c, reverse=False):
    """The layer's equations in NumPy: all h, in the places of their inputs, and the last h and c."""
    w_ih, w_hh, *bias = weights
    b_ih, b_hh = bias if bias else (0.0, 0.0)
    y = np.empty((*x.shape[:2], w_hh.shape[1]))
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        a, b = x[t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if kind == "LSTM":
            i, f, g, o = np.split(a + b, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif kind == "GRU":
            (ar, az, an), (br, bz, bn) = np.split(a, 3, -1), np.split(b, 3, -1)
            z = sigmoid(az + bz)
            h = (1 - z) * np.tanh(an + sigmoid(ar + br) * bn) + z * h
        else:
            h = np.maximum(a + b, 0) if options else np.tanh(a + b)
        y[t] = h
    return y, h, c


def layer(kind, options, *sizes, dtype=H.float64, **more):
    H.manual_seed(0)
    return getattr(nn, kind)(*sizes, dtype=dtype, **options, **more)


def numbers(*shape, dtype=H.float64, grad=False):
    rng = np.random.default_rng(sum(shape))
    return H.tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=grad)


def flat(out):
    y, last = out
    return (y, *last) if isinstance(last, tuple) else (y, last)


def step_by_step(monkeypatch):
    monkeypatch.setattr(_C, "_recurrent", lambda *args: None)


@pytest.mark.parametrize("kind,options", KINDS, ids=NAMES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("steps,batch,inputs,units", [(1, 1, 1, 1), (4, 3, 5, 7), (3, 13, 2, 80)])
@pytest.mark.parametrize("dtype,limit", [(H.float64, 1e-13), (H.float32, 3e-6)])
def test_values(kind, options, reverse, bias, steps, batch, inputs, units, dtype, limit):
    m = layer(kind, options, inputs, units, dtype=dtype, bias=bias)
    x, h, c = numbers(steps, batch, inputs, dtype=dtype), numbers(batch, units), numbers(batch, units + 1)[:, 1:]
    states = [h.to(dtype), c.to(dtype)][: 2 if kind == "LSTM" else 1]
    cell = ["LSTM", "GRU", "RNN", "RNN relu"].index(kind + " relu" * bool(options))
    got = _C._recurrent(x, states, m.all_weights[0], cell, reverse)
    weights = [w.detach().double().numpy() for w in m.all_weights[0]]
    want = reference(
        kind, options, x.double().numpy(), weights, *(s.double().numpy() for s in (h.to(dtype), c.to(dtype))), reverse
    )
    assert len(got) == len(states) + 1
    for ours, theirs in zip(got, want, strict=False):
        assert ours.dtype == dtype and np.abs(ours.detach().double().numpy() - theirs).max() < limit


@pytest.mark.parametrize("kind,options", KINDS, ids=NAMES)
@pytest.mark.parametrize("more", [{}, {"bidirectional": True}, {"num_layers": 2, "bias": False}], ids=str)
def test_gradients(kind, options, more, monkeypatch):
    """Of all operands, with gradients for the results and the last states."""

    def run():
        m = layer(kind, options, 5, 7, batch_first=True, **more)
        x = numbers(3, 4, 5, grad=True)
        count = m.num_layers * (2 if m.bidirectional else 1)
        hx = [numbers(count, 3, 7, grad=True) for _ in range(2 if kind == "LSTM" else 1)]
        out = flat(m(x, tuple(hx) if kind == "LSTM" else hx[0]))
        sum((y * numbers(*y.shape)).sum() for y in out).backward()
        return [*out, x.grad, *(h.grad for h in hx), *(p.grad for p in m.parameters())]

    whole = run()
    step_by_step(monkeypatch)
    for ours, theirs in zip(whole, run(), strict=True):
        assert (ours - theirs).abs().max() < 1e-12


@pytest.mark.parametrize("kind,options", KINDS[:3], ids=NAMES[:3])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_gradients(kind, options, reverse):
    m = layer(kind, options, 2, 2)
    states = [numbers(2, 2, grad=True) for _ in range(2 if kind == "LSTM" else 1)]
    cell = NAMES.index(kind)

    def run(x, *rest):
        return tuple(_C._recurrent(x, list(rest[: len(states)]), list(rest[len(states) :]), cell, reverse))

    operands = (numbers(2, 2, 2, grad=True), *states, *m.all_weights[0])
    assert H.autograd.gradcheck(run, operands)
    assert H.autograd.gradgradcheck(run, operands)


def test_only_some_results_have_gradients():
    m = layer("LSTM", {}, 3, 4)
    x = numbers(5, 2, 3, grad=True)
    _, (_, c) = m(x)
    (by_c,) = H.autograd.grad(c.sum(), x)
    eps = 1e-6
    with H.no_grad():
        d = H.zeros_like(x)
        d[2, 1, 0] = eps
        slope = (m(x + d)[1][1].sum() - m(x - d)[1][1].sum()) / (2 * eps)
    assert abs(by_c[2, 1, 0] - slope) < 1e-8
    frozen = layer("GRU", {}, 3, 4).requires_grad_(False)
    frozen.weight_hh_l0.requires_grad_()
    frozen(x.detach())[0].sum().backward()
    assert frozen.weight_hh_l0.grad is not None and frozen.weight_ih_l0.grad is None


@pytest.mark.parametrize("kind,options", KINDS, ids=NAMES)
def test_same_bits_in_any_batch_and_with_any_number_of_threads(kind, options):
    m = layer(kind, options, 33, 150, dtype=H.float32)
    x = numbers(6, 31, 33, dtype=H.float32)
    before = H.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            H.set_num_threads(threads)
            results.append([p.clone() for p in flat(m(x))])
        H.set_num_threads(1)
        with H.no_grad():
            part = m.forward(x[:, 7:20])[0]
    finally:
        H.set_num_threads(before)
    for other in results[1:]:
        assert all(H.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert H.equal(part, results[0][0][:, 7:20])


def test_what_it_does_not_compute_is_composed():
    x = H.ones(2, 3, 4)
    m = nn.LSTM(4, 5)
    half, meta = m.to(H.bfloat16), nn.LSTM(4, 5, device="meta")
    assert half(x.bfloat16())[0].dtype == H.bfloat16
    assert meta(x.to("meta"))[0].shape == (2, 3, 5)
    assert nn.LSTM(4, 5, proj_size=2)(x)[0].shape == (2, 3, 2)
    assert nn.GRU(4, 5)(x[:, :0])[0].shape == (2, 0, 5)
    m = nn.GRU(4, 5)
    with H.autocast("cpu", dtype=H.bfloat16):
        assert m(x)[0].shape == (2, 3, 5)
    m = nn.RNN(4, 5)
    single = H.func.vmap(lambda x: m(x)[0])(H.stack([x, 2 * x]))
    assert H.allclose(single[1], m(2 * x)[0])
    fused = H.fuse(lambda x: m(x)[0] * 2)(x)
    assert H.allclose(fused, m(x)[0] * 2)
