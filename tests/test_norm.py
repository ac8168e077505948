"""Normalisation, losses and pooling by their native names: statistics, edge cases, errors and names of nodes."""

import math

import numpy as np
import pytest
from harness import H, torch, values_of

F = H.nn.functional


def close(got, want, tolerance=1e-10):
    np.testing.assert_allclose(values_of(got), np.asarray(want), rtol=tolerance, atol=tolerance)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# Normalisation


def test_running_statistics():
    a = normal(6, 3, 4) * 2 + 5
    mean, var = H.zeros(3, dtype=H.float64), H.ones(3, dtype=H.float64)
    versions = mean._version, var._version
    y = H.batch_norm(H.from_numpy(a), None, None, mean, var, True, 0.25, 1e-5, False)
    m, v = a.mean((0, 2)), a.var((0, 2))
    close(y, (a - m[:, None]) / np.sqrt(v + 1e-5)[:, None])
    close(mean, 0.25 * m)
    close(var, 0.75 + 0.25 * a.var((0, 2), ddof=1))
    assert mean._version > versions[0] and var._version > versions[1]
    y = H.batch_norm(H.from_numpy(a), None, None, mean, var, False, 0.25, 1e-5, False)
    m, v = values_of(mean), values_of(var)
    close(y, (a - m[:, None]) / np.sqrt(v + 1e-5)[:, None])


def test_native_results():
    a = normal(4, 6)
    y, mean, rstd = H.native_layer_norm(H.from_numpy(a), (6,), None, None, 1e-5)
    close(mean, a.mean(1, keepdims=True))
    close(rstd, 1 / np.sqrt(a.var(1, keepdims=True) + 1e-5))
    y, mean, rstd = H.native_batch_norm(H.from_numpy(a), None, None, None, None, True, 0.1, 1e-5)
    close(mean, a.mean(0))
    close(rstd, 1 / np.sqrt(a.var(0) + 1e-5))


def test_instance_norm():
    a = normal(2, 3, 5)
    mean, var = H.zeros(3, dtype=H.float64), H.ones(3, dtype=H.float64)
    y = H.instance_norm(H.from_numpy(a), None, None, mean, var, True, 0.5, 1e-5, False)
    close(y, (a - a.mean(2, keepdims=True)) / np.sqrt(a.var(2, keepdims=True) + 1e-5))
    close(mean, 0.5 * a.mean(2).mean(0))
    close(var, 0.5 + 0.5 * a.var(2, ddof=1).mean(0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(dtype):
    a = H.tensor(normal(8, 64) * 10 + 100, dtype=H.float32).to(getattr(H, dtype))
    got = H.layer_norm(a, (64,))
    want = H.layer_norm(a.float(), (64,)).to(a.dtype)
    assert got.dtype == a.dtype and got.tolist() == want.tolist()
    assert H.layer_norm(a, (64,), H.ones(64)).dtype == a.dtype
    assert H.softmax(a, 1).tolist() == H.softmax(a.float(), 1).to(a.dtype).tolist()


def test_layer_norm_with_float64_difference():
    # One result far below the others: the mean must be taken away before squaring.
    x = H.tensor([[1e6, 1e6 + 1, 1e6 + 2]], dtype=H.float64)
    close(H.layer_norm(x, (3,), eps=0.0), [[-math.sqrt(1.5), 0, math.sqrt(1.5)]], 1e-8)


# The kernels, beside NumPy in float64

LAYOUTS = {
    "rows": (lambda x, w, b: H.layer_norm(x, (x.shape[-1],), w, b), lambda x: x.shape[-1:], (-1,), True),
    "rms": (lambda x, w, b: F.rms_norm(x, (x.shape[-1],), w, 1e-5), lambda x: x.shape[-1:], (-1,), False),
    "batch": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), lambda x: (1, x.shape[1], 1), (0, 2), True),
    "groups": (lambda x, w, b: F.group_norm(x, 2, w, b), lambda x: (1, x.shape[1], 1), (2, 3), True),
}


def written_out(kind, x, w, b, g):
    """The result and the gradients for x, w and b."""
    _, _, axes, centred = LAYOUTS[kind]
    grouped = (lambda a: a.reshape(a.shape[0], 2, a.shape[1] // 2, -1)) if kind == "groups" else lambda a: a
    v = grouped(x)
    d = v - v.mean(axes, keepdims=True) if centred else v
    rstd = 1 / np.sqrt((d * d).mean(axes, keepdims=True) + 1e-5)
    unit = d * rstd
    gw = grouped(g * w)
    gx = gw - unit * (gw * unit).mean(axes, keepdims=True)
    if centred:
        gx = gx - gw.mean(axes, keepdims=True)
    unit = unit.reshape(x.shape)
    others = tuple(i for i in range(x.ndim) if np.broadcast_shapes(w.shape, (1,) * x.ndim)[i] == 1)
    total = lambda a: a.sum(others, keepdims=True).reshape(w.shape)  # noqa: E731
    return unit * w + b, (rstd * gx).reshape(x.shape), total(g * unit), total(g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("shape", [(70, 6, 5), (3, 6, 8), (5, 4, 17), (130, 2, 33), (2, 4, 1031), (1, 6, 5003)])
def test_normalisation_of_any_size(kind, shape, dtype):
    function, affine, _, centred = LAYOUTS[kind]
    x, g = normal(*shape) * 3 + 40, normal(*shape, seed=1)
    w, b = normal(*affine(x), seed=2), normal(*affine(x), seed=3) * centred
    t = [H.tensor(v, dtype=getattr(H, dtype), requires_grad=True) for v in (x, w.reshape(-1), b.reshape(-1))]
    wanted = written_out(
        kind, *(values_of(v.detach().double()).reshape(n.shape) for v, n in zip(t, (x, w, b), strict=True)), g
    )
    y = function(*t)
    y.backward(H.tensor(g, dtype=y.dtype))
    for got, want in zip((y.detach(), *(v.grad for v in t)), wanted, strict=True):
        if got is not None:  # rms_norm has no bias
            scale = max(1.0, np.abs(want).max())
            close(got.double() / scale, want.reshape(got.shape) / scale, 2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("kind", ["rows", "batch", "groups"])
def test_normalisation_far_from_zero(kind):
    # Far away from zero only the mean's own rounding is lost, which is half of 1/1024 here.
    function, affine, _, _ = LAYOUTS[kind]
    x = H.tensor(normal(12, 4, 700) + 1e4, dtype=H.float32)
    w = np.ones(affine(x))
    wanted = written_out(kind, values_of(x.double()), w, w * 0, values_of(x.double()) * 0)[0]
    got = function(x, None, None)
    assert np.abs(values_of(got.double()) - wanted).max() < 0.002


@pytest.mark.parametrize("kind", LAYOUTS)
def test_normalisation_whatever_the_threads(kind):
    function, affine, _, _ = LAYOUTS[kind]
    x = H.tensor(normal(66, 8, 900), dtype=H.float32)

    def all_of():
        n = int(np.prod(affine(x)))
        t = [x.clone().requires_grad_(), H.linspace(1, 2, n).requires_grad_(), H.zeros(n).requires_grad_()]
        y = function(*t)
        y.backward(x)
        return [y.detach(), *(v.grad for v in t if v.grad is not None)]

    threads = H.get_num_threads()
    try:
        H.set_num_threads(1)
        one = all_of()
        H.set_num_threads(4)
        assert all(H.equal(a, b) for a, b in zip(one, all_of(), strict=True))
    finally:
        H.set_num_threads(threads)


def test_second_gradients_of_rms_norm():
    x, w = (H.tensor(normal(*s), requires_grad=True) for s in ((3, 9), (9,)))
    assert H.autograd.gradgradcheck(lambda x, w: F.rms_norm(x, (9,), w), (x, w))


# Losses


def test_cross_entropy_of_all_ignored():
    x = H.zeros(2, 3, requires_grad=True)
    y = F.cross_entropy(x, H.tensor([-100, -100]))
    assert math.isnan(y)
    assert F.cross_entropy(x, H.tensor([-100, -100]), reduction="sum").item() == 0


def test_nll_loss_of_images():
    a, t = normal(2, 3, 4, 5), np.random.default_rng(1).integers(0, 3, (2, 4, 5))
    w = np.array([0.5, 1.0, 2.0])
    x = H.tensor(a, requires_grad=True)
    y = F.nll_loss(x, H.from_numpy(t), H.from_numpy(w))
    picked = np.take_along_axis(a, t[:, None], 1)[:, 0]
    close(y, -(w[t] * picked).sum() / w[t].sum())
    (g,) = H.autograd.grad(y, x)
    want = np.zeros_like(a)
    np.put_along_axis(want, t[:, None], -(w[t] / w[t].sum())[:, None], 1)
    close(g, want)


def test_logits_do_not_overflow():
    x = H.tensor([1000.0, -1000.0], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(x, H.tensor([0.0, 1.0]), reduction="sum")
    assert y.item() == 2000
    y.backward()
    assert x.grad.tolist() == [1, -1]


def test_probabilities_of_zero_and_one():
    x = H.tensor([0.0, 1.0], requires_grad=True)
    assert F.binary_cross_entropy(x, H.tensor([0.0, 1.0]), reduction="none").tolist() == [0, 0]
    assert F.binary_cross_entropy(x, H.tensor([1.0, 0.0]), reduction="none").tolist() == [100, 100]


CALLS = {
    "class out of range": lambda T, F: F.nll_loss(T.zeros(2, 3), T.tensor([0, 5])),
    "number of targets": lambda T, F: F.cross_entropy(T.zeros(2, 3), T.tensor([0, 1, 2])),
    "dtype of targets": lambda T, F: F.cross_entropy(T.zeros(2, 3), T.tensor([0, 1], dtype=T.int32)),
    "floating targets": lambda T, F: F.cross_entropy(T.zeros(2, 3), T.tensor([0.0, 1.0])),
    "number of weights": lambda T, F: F.nll_loss(T.zeros(2, 3), T.tensor([0, 1]), T.ones(2)),
    "dtype of weights": lambda T, F: F.nll_loss(T.zeros(2, 3), T.tensor([0, 1]), T.ones(3, dtype=T.float64)),
    "targets of images": lambda T, F: F.cross_entropy(T.zeros(2, 3, 4, 5), T.zeros(2, 4, 6, dtype=T.int64)),
    "targets of lines": lambda T, F: F.cross_entropy(T.zeros(2, 3, 4), T.zeros(2, 5, dtype=T.int64)),
    "logits of integers": lambda T, F: F.cross_entropy(T.zeros(2, 3, dtype=T.int64), T.tensor([0, 1])),
    "integer probabilities": lambda T, F: F.cross_entropy(T.zeros(2, 3), T.zeros(2, 3, dtype=T.int64)),
    "label smoothing": lambda T, F: F.cross_entropy(T.zeros(2, 3), T.tensor([0, 1]), label_smoothing=1.5),
    "scalar logits": lambda T, F: F.nll_loss(T.zeros(()), T.tensor(0)),
    "mse of integers": lambda T, F: F.mse_loss(T.arange(3), T.arange(3)),
    "huber delta": lambda T, F: F.huber_loss(T.zeros(3), T.zeros(3), delta=0.0),
    "smooth l1 beta": lambda T, F: F.smooth_l1_loss(T.zeros(3), T.zeros(3), beta=-1.0),
    "probability above 1": lambda T, F: F.binary_cross_entropy(T.tensor([1.5]), T.tensor([1.0])),
    "target above 1": lambda T, F: F.binary_cross_entropy(T.tensor([0.5]), T.tensor([2.0])),
    "dtype of target": lambda T, F: F.binary_cross_entropy(T.tensor([0.5]), T.tensor([1.0], dtype=T.float64)),
    "weight with gradient": lambda T, F: F.nll_loss(T.zeros(2, 3), T.tensor([0, 1]), T.ones(3, requires_grad=True)),
    "pos_weight with gradient": lambda T, F: F.binary_cross_entropy_with_logits(
        T.zeros(3), T.zeros(3), pos_weight=T.ones(3, requires_grad=True)
    ),
    "running mean with gradient": lambda T, F: F.batch_norm(
        T.zeros(4, 3), T.zeros(3, requires_grad=True), T.ones(3), training=True
    ),
    "kl of integers": lambda T, F: F.kl_div(T.arange(3), T.arange(3), reduction="sum"),
    "normalized_shape": lambda T, F: F.layer_norm(T.zeros(2, 3), (4,)),
    "empty normalized_shape": lambda T, F: F.layer_norm(T.zeros(2, 3), ()),
    "weight of layer_norm": lambda T, F: F.layer_norm(T.zeros(2, 3), (3,), T.ones(4)),
    "bias of layer_norm": lambda T, F: F.layer_norm(T.zeros(2, 3), (3,), None, T.ones(4)),
    "layer_norm of integers": lambda T, F: F.layer_norm(T.arange(3), (3,)),
    "mixed layer_norm": lambda T, F: F.layer_norm(T.zeros(2, 3), (3,), T.ones(3, dtype=T.float64)),
    "running mean": lambda T, F: F.batch_norm(T.zeros(4, 3), T.zeros(2), T.ones(3)),
    "weight of batch_norm": lambda T, F: F.batch_norm(T.zeros(4, 3), T.zeros(3), T.ones(3), T.ones(2)),
    "groups": lambda T, F: F.group_norm(T.zeros(2, 3, 4, 5), 2),
    "weight of group_norm": lambda T, F: F.group_norm(T.zeros(2, 4, 5), 2, T.ones(3)),
    "pool of a matrix": lambda T, F: F.max_pool2d(T.zeros(2, 3), 2),
    "pool too large": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5), 7),
    "pool padding": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5), 2, padding=2),
    "pool negative padding": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5), 2, padding=-1),
    "pool stride": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5), 2, stride=0),
    "pool of three": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5), (2, 2, 2)),
    "pool of bool": lambda T, F: F.max_pool2d(T.zeros(2, 3, 4, 5, dtype=T.bool), 2),
    "pool of nothing": lambda T, F: F.max_pool2d(T.zeros(1, 0, 4, 4), 2),
    "pool 1d of 4d": lambda T, F: F.max_pool1d(T.zeros(2, 3, 4, 5), 2),
    "pool 1d padding": lambda T, F: F.max_pool1d(T.zeros(2, 3, 4), 2, padding=2),
    "average divisor": lambda T, F: F.avg_pool2d(T.zeros(2, 3, 4, 5), 2, divisor_override=0),
    "average of int32": lambda T, F: F.avg_pool2d(T.zeros(1, 3, 4, dtype=T.int32), 2),
    "adaptive size": lambda T, F: F.adaptive_avg_pool2d(T.zeros(2, 3, 4, 5), (2, -1)),
    "adaptive of a matrix": lambda T, F: F.adaptive_avg_pool2d(T.zeros(2, 3), 2),
    "adaptive max of a matrix": lambda T, F: F.adaptive_max_pool2d(T.zeros(2, 3), 2),
    "adaptive of integers": lambda T, F: F.adaptive_avg_pool2d(T.zeros(1, 3, 4, dtype=T.int64), 2),
}


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", CALLS)
def test_errors(name):
    with pytest.raises(Exception) as want:
        CALLS[name](torch, torch.nn.functional)
    with pytest.raises(Exception) as got:
        CALLS[name](H, F)
    assert type(got.value).__name__ == type(want.value).__name__
    assert str(got.value).split("\n")[0] == str(want.value).split("\n")[0]


NAMES = {
    "rms_norm": lambda T, F, x: F.rms_norm(x, (5,)),
    "mse": lambda T, F, x: F.mse_loss(x, 2 * x),
    "l1": lambda T, F, x: F.l1_loss(x, 2 * x),
    "smooth l1": lambda T, F, x: F.smooth_l1_loss(x, 2 * x),
    "huber": lambda T, F, x: F.huber_loss(x, 2 * x),
    "bce": lambda T, F, x: F.binary_cross_entropy(x.sigmoid(), x.detach().sigmoid()),
    "bce with logits": lambda T, F, x: F.binary_cross_entropy_with_logits(x, x.detach().sigmoid()),
    "nll": lambda T, F, x: F.nll_loss(x[0, 0], T.tensor([0, 1, 2, 0])),
    "nll of images": lambda T, F, x: F.nll_loss(x, T.zeros(2, 4, 5, dtype=T.int64)),
    "nll of lines": lambda T, F, x: F.nll_loss(x[..., 0], T.zeros(2, 4, dtype=T.int64)),
    "cross entropy": lambda T, F, x: F.cross_entropy(x[0, 0], T.tensor([0, 1, 2, 0])),
    "max_pool1d": lambda T, F, x: F.max_pool1d(x[0], 2),
    "max_pool2d": lambda T, F, x: F.max_pool2d(x, 2),
    "max_pool3d": lambda T, F, x: F.max_pool3d(x, 2),
    "avg_pool1d": lambda T, F, x: F.avg_pool1d(x[0], 2),
    "avg_pool2d": lambda T, F, x: F.avg_pool2d(x, 2),
    "avg_pool3d": lambda T, F, x: F.avg_pool3d(x, 2),
    "adaptive_avg_pool1d": lambda T, F, x: F.adaptive_avg_pool1d(x[0], 2),
    "adaptive_avg_pool2d": lambda T, F, x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_avg_pool2d to one": lambda T, F, x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool2d": lambda T, F, x: F.adaptive_max_pool2d(x, 2),
}


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_nodes(name):
    values = normal(2, 3, 4, 5)

    def node(T):
        return NAMES[name](T, T.nn.functional, T.tensor(values, requires_grad=True)).grad_fn.name()

    assert node(H) == node(torch)


# Pooling

WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (2, 1), "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "dilation": 2, "stride": 1},
]


def by_hand(a, reduce, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Pooling of the last two dimensions, window by window; NaN outside."""
    pair = lambda v: (v, v) if isinstance(v, int) else v
    k, p, d = pair(kernel_size), pair(padding), pair(dilation)
    s = k if stride is None else pair(stride)
    size = []
    for n, kk, ss, pp, dd in zip(a.shape[-2:], k, s, p, d, strict=True):
        room = n + 2 * pp - dd * (kk - 1) - 1
        out = (math.ceil(room / ss) if ceil_mode else room // ss) + 1
        size.append(out - (ceil_mode and (out - 1) * ss >= n + pp))
    wide = np.full((*a.shape[:-2], *(n + 2 * pp + 20 for n, pp in zip(a.shape[-2:], p, strict=True))), np.nan)
    wide[..., p[0] : p[0] + a.shape[-2], p[1] : p[1] + a.shape[-1]] = a
    y = np.empty((*a.shape[:-2], *size))
    for i in range(size[0]):
        for j in range(size[1]):
            rows = i * s[0] + d[0] * np.arange(k[0])
            cols = j * s[1] + d[1] * np.arange(k[1])
            y[..., i, j] = reduce(wide[..., rows[:, None], cols], axis=(-2, -1))
    return y


@pytest.mark.parametrize("how", WINDOWS, ids=str)
def test_pool2d(how):
    a = normal(2, 3, 7, 6)
    y, at = H.max_pool2d_with_indices(H.from_numpy(a), **how)
    want = by_hand(a, np.nanmax, **how)
    close(y, want)
    picked = np.take_along_axis(a.reshape(2, 3, -1), values_of(at).reshape(2, 3, -1), 2)
    assert (picked.reshape(want.shape) == want).all()
    if "dilation" not in how:
        close(F.avg_pool2d(H.from_numpy(a), **how, count_include_pad=False), by_hand(a, np.nanmean, **how))
        close(F.avg_pool2d(H.from_numpy(a), **how, divisor_override=3), by_hand(a, np.nansum, **how) / 3)
        if torch is not None:
            want = torch.nn.functional.avg_pool2d(torch.from_numpy(a), **how)
            close(F.avg_pool2d(H.from_numpy(a), **how), want.numpy())


@pytest.mark.parametrize("size", [1, 2, 3, (2, 5), (7, 1), (9, 8)])
def test_adaptive(size):
    a = normal(2, 7, 6)
    rows, cols = (size, size) if isinstance(size, int) else size
    span = lambda i, n, out: slice(i * n // out, -(-(i + 1) * n // out))
    parts = [[a[:, span(i, 7, rows), span(j, 6, cols)] for j in range(cols)] for i in range(rows)]
    x = H.from_numpy(a)
    mean = np.array([[p.mean((1, 2)) for p in row] for row in parts]).transpose(2, 0, 1)
    top = np.array([[p.max((1, 2)) for p in row] for row in parts]).transpose(2, 0, 1)
    close(F.adaptive_avg_pool2d(x, size), mean)
    close(F.adaptive_max_pool2d(x, size), top)


def test_nan_is_the_largest():
    x = H.tensor([[[1.0, math.nan], [3.0, 2.0]]])
    assert math.isnan(H.max_pool2d(x, 2))


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: H.max_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool3d(x.unsqueeze(0), 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, (2, 4)),
        lambda x: F.adaptive_max_pool2d(x, (2, 4)),
        lambda x: F.max_pool1d(x[0], 2),
    ],
)
def test_gradients_of_pools(pool):
    a, d = normal(2, 3, 5, 6), normal(2, 3, 5, 6, seed=1)
    x = H.tensor(a, requires_grad=True)
    y = pool(x) ** 2
    w = normal(*y.shape, seed=2)
    (g,) = H.autograd.grad(y, x, H.from_numpy(w), create_graph=True)
    f = lambda v: float((values_of(pool(H.from_numpy(v)) ** 2) * w).sum())
    h = 1e-6
    assert float((values_of(g) * d).sum()) == pytest.approx((f(a + h * d) - f(a - h * d)) / (2 * h), rel=1e-5)
    (second,) = H.autograd.grad(g, x, H.from_numpy(d))

    def first(v):
        x = H.tensor(v, requires_grad=True)
        (g,) = H.autograd.grad(pool(x) ** 2, x, H.from_numpy(w))
        return values_of(g)

    np.testing.assert_allclose(values_of(second), (first(a + h * d) - first(a - h * d)) / (2 * h), atol=1e-6)


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 1), (7, 1)),
        ((2, 3, 6, 19), (2, 3, 4, 19)),
        ((0, 3), (4, 3)),
        ((3, 2), (0, 2)),
        ((6, 33), (50, 33)),  # from sixteen rows on, the other way round
        ((3, 5, 3), (3, 19, 3)),
        ((2, 1030), (16, 1030)),
    ],
)
def test_euclidean_distances(shapes, dtype):
    """The way that stores no differences against the definition in float64: values, gradients, their gradients."""
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(s) for s in shapes)
    if a.size and b.size:
        b[..., 0, :] = a[..., 0, :]  # a distance of 0, whose gradient is taken to be 0
    x, y = (H.from_numpy(t).to(dtype).requires_grad_() for t in (a, b))
    d = H.cdist(x, y)
    difference = a[..., :, None, :] - b[..., None, :, :]
    expected = np.sqrt((difference**2).sum(-1))
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == H.float32 else {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(d.detach().numpy(), expected, **close)
    g = rng.standard_normal(expected.shape)
    d.backward(H.from_numpy(g).to(dtype))
    slope = np.where(expected == 0, 0, g / np.where(expected == 0, 1, expected))[..., None] * difference
    np.testing.assert_allclose(x.grad.numpy(), slope.sum(-2), **close)
    np.testing.assert_allclose(y.grad.numpy(), -slope.sum(-3), **close)
    if dtype == H.float64 and 0 < a.size + b.size < 600 and d.numel():
        far = H.from_numpy(b + 3).requires_grad_()
        assert H.autograd.gradcheck(H.cdist, (x, far)) and H.autograd.gradgradcheck(H.cdist, (x, far))


def test_distances_whatever_the_threads():
    a, b = H.randn(300, 37), H.randn(200, 37)
    before, results = H.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            H.set_num_threads(threads)
            x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
            d = H.cdist(x, y)
            d.sum().backward()
            results.append([t.tolist() for t in (d, x.grad, y.grad)])
    finally:
        H.set_num_threads(before)
    assert results[0] == results[1] == results[2]
