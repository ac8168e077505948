"""Kernels of several steps, and short ways through the core, against the same written out in float64."""

import math

import hadamard as H
import numpy as np
import pytest

F = H.nn.functional


@pytest.fixture
def threads():
    """Sets the number of threads; the test ends with the number it began with."""
    before = H.get_num_threads()
    yield H.set_num_threads
    H.set_num_threads(before)


def random(*shape, seed=0, scale=1.0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape) * scale


def tensor(x, dtype=H.float32, grad=False):
    return H.tensor(x, dtype=dtype).requires_grad_(grad)


def close(ours, truth, dtype=H.float32, factor=1.0):
    tolerance = factor * (2e-6 if dtype == H.float32 else 1e-14)
    ours = ours.detach().double().numpy()
    scale = np.abs(truth).max(initial=1e-30)
    assert ours.shape == truth.shape
    np.testing.assert_allclose(ours / scale, truth / scale, rtol=0, atol=tolerance)


def softmax64(x):
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---- softmax in rows


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 8), (2, 31), (4, 33), (2, 3, 100), (2, 1025), (1, 5000)])
def test_softmax_rows(shape, dtype):
    x, g = random(*shape, scale=4), random(*shape, seed=1)
    for name, truth, gradient in (
        ("softmax", softmax64(x), lambda y: y * (g - (g * y).sum(-1, keepdims=True))),
        ("log_softmax", np.log(softmax64(x)), lambda y: g - np.exp(y) * g.sum(-1, keepdims=True)),
    ):
        a = tensor(x, dtype, grad=True)
        y = getattr(H, name)(a, -1)
        y.backward(tensor(g, dtype))
        close(y, truth, dtype)
        close(a.grad, gradient(truth), dtype, 4)


def test_softmax_of_views_and_infinities():
    x = random(9, 14)
    close(H.softmax(tensor(x).t(), -1), softmax64(x.T))
    close(H.softmax(tensor(x)[::2, 1::3], -1), softmax64(x[::2, 1::3]))
    inf = math.inf
    assert H.softmax(H.tensor([-inf, 0.0, -inf]), -1).tolist() == [0, 1, 0]
    for row in ([-inf] * 9, [1.0] * 8 + [inf], [0.0] * 8 + [math.nan]):
        assert H.softmax(H.tensor(row), -1).isnan().all()


def test_softmax_has_second_derivatives():
    x = tensor(random(3, 5), H.float64, grad=True)
    for f in (H.softmax, H.log_softmax):
        assert H.autograd.gradcheck(lambda a, f=f: f(a, -1), x)
        assert H.autograd.gradgradcheck(lambda a, f=f: f(a, -1), x)


# ---- attention


def attention64(q, k, v, mask=None, causal=False, g=None):
    """The result, and the gradients of q, k and v where g is given."""
    scale = 1 / math.sqrt(q.shape[-1])
    s = q @ np.swapaxes(k, -1, -2) * scale
    if causal:
        mask = np.tril(np.ones(s.shape[-2:], bool))
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isinf(top), 0, top))
    total = e.sum(-1, keepdims=True)
    p = np.where(total == 0, 0, e / np.where(total == 0, 1, total))
    y = p @ v
    if g is None:
        return y
    gp = g @ np.swapaxes(v, -1, -2)
    gs = p * (gp - (gp * p).sum(-1, keepdims=True)) * scale
    return y, gs @ k, np.swapaxes(gs, -1, -2) @ q, np.swapaxes(p, -1, -2) @ g


SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 3, 5, 4, 6),
    (1, 64, 256, 16, 16),
    (3, 65, 257, 7, 9),
    (2, 130, 30, 8, 8),
    (1, 70, 600, 33, 5),
]


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("kind", ["plain", "causal", "bool", "added", "rows hidden"])
@pytest.mark.parametrize("heads,rows,columns,depth,width", SHAPES)
def test_attention(heads, rows, columns, depth, width, kind, dtype):
    q, k, v = random(2, heads, rows, depth), random(2, heads, columns, depth, seed=1), random(2, heads, columns, width)
    g = random(2, heads, rows, width, seed=2)
    mask = None
    if kind == "bool":
        mask = random(heads, rows, columns, seed=3) > 0
    elif kind == "added":
        mask = random(1, 1, rows, columns, seed=3).astype("f4").astype("f8")
    elif kind == "rows hidden":
        mask = np.ones((rows, columns), bool)
        mask[::2] = False
    given = None if mask is None else H.tensor(mask) if mask.dtype == bool else tensor(mask, dtype)
    a, b, c = (tensor(x, dtype, grad=True) for x in (q, k, v))
    y = F.scaled_dot_product_attention(a, b, c, given, is_causal=kind == "causal")
    y.backward(tensor(g, dtype))
    truth = attention64(q, k, v, mask, kind == "causal", g)
    for ours, theirs in zip((y, a.grad, b.grad, c.grad), truth, strict=True):
        close(ours, theirs, dtype, 8)


def test_attention_reads_any_strides():
    q, k, v = random(2, 70, 3, 8), random(2, 8, 3, 300), random(2, 3, 300, 8)
    y = F.scaled_dot_product_attention(tensor(q).transpose(1, 2), tensor(k).permute(0, 2, 3, 1), tensor(v)[..., 1::2])
    close(y, attention64(q.swapaxes(1, 2), k.transpose(0, 2, 3, 1), v[..., 1::2]), factor=4)


def test_attention_stores_no_scores():
    x = H.randn(1, 1, 4096, 8, requires_grad=True)
    H.empty_cache()
    H.reset_peak_memory_stats()
    before = H.memory_stats()["allocated_bytes.peak"]
    F.scaled_dot_product_attention(x, x, x).sum().backward()
    assert H.memory_stats()["allocated_bytes.peak"] - before < 4096 * 4096


@pytest.mark.parametrize("causal", [False, True])
def test_attention_gradients_of_gradients(causal):
    q, k, v = (tensor(random(1, n, 3, seed=n), H.float64, grad=True) for n in (4, 5, 5))
    f = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert H.autograd.gradcheck(f, (q, k, v))
    assert H.autograd.gradgradcheck(f, (q, k, v))


# ---- optimisers


def train(optimizer, native, dtype, **options):
    H.manual_seed(0)
    params = [H.nn.Parameter(tensor(random(*shape), dtype)) for shape in ((3, 5), (17,), (2, 3, 11), (1,))]
    params.append(H.nn.Parameter(tensor(random(4, 6), dtype).t()))
    opt = optimizer(params, **options)
    for step in range(4):
        for i, p in enumerate(params):
            g = tensor(random(*p.shape, seed=10 * step + i), dtype)
            if native:
                p.grad = H.empty_like(p).copy_(g)
            else:
                p.grad = H.empty_strided(p.shape, [3 * s for s in p.stride()], dtype=dtype).copy_(g)
        opt.step()
    return params, opt


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize(
    "name,options",
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
        ("Adam", {"lr": 0.1}),
        ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
        ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "maximize": True}),
        ("AdamW", {"lr": 0.1, "weight_decay": 0.1}),
    ],
)
def test_step_in_one_call(name, options, dtype):
    """Gradients with gaps in memory are not taken by the native step: the same numbers must come op by op."""
    optimizer = getattr(H.optim, name)
    (ours, a), (plain, b) = train(optimizer, True, dtype, **options), train(optimizer, False, dtype, **options)
    for p, q in zip(ours, plain, strict=True):
        close(p, q.detach().double().numpy(), dtype, 2)
        for key, value in b.state[q].items():
            close(a.state[p][key], value.double().numpy(), dtype, 2)
        assert p._version == 4  # one write a step


# ---- depthwise convolution, products of two matrices


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize(
    "stride,padding,dilation", [(1, 0, 1), (1, 1, 1), (2, 1, 1), (1, (2, 1), (2, 1)), ((2, 1), 1, 1), (3, (4, 2), 2)]
)
@pytest.mark.parametrize(
    "size,kernel,multiplier",
    [((5, 5), (3, 3), 1), ((9, 40), (3, 2), 2), ((7, 33), (1, 3), 1), ((9, 12), (5, 5), 1), ((300, 270), (3, 3), 1)],
)
def test_depthwise(size, kernel, multiplier, stride, padding, dilation, dtype):
    """The same as every channel by itself."""
    x, w = random(2, 3, *size), random(3 * multiplier, 1, *kernel, seed=1)
    bias = random(3 * multiplier, seed=2)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    a, b, c = (tensor(t, dtype, grad=True) for t in (x, w, bias))
    y = F.conv2d(a, b, c, groups=3, **options)
    g = tensor(random(*y.shape, seed=3), dtype)
    y.backward(g)
    a2, b2, c2 = (tensor(t, H.float64, grad=True) for t in (x, w, bias))
    m = multiplier
    parts = [F.conv2d(a2[:, i : i + 1], b2[m * i : m * i + m], c2[m * i : m * i + m], **options) for i in range(3)]
    H.cat(parts, 1).backward(g.double())
    close(y, H.cat(parts, 1).detach().numpy(), dtype)
    for ours, plain in ((a, a2), (b, b2), (c, c2)):
        close(ours.grad, plain.grad.numpy(), dtype, 4)


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.int32, H.complex64])
@pytest.mark.parametrize(
    "m,k,n", [(1, 1, 1), (4, 4, 4), (3, 5, 7), (1, 6, 9), (8, 3, 1), (17, 19, 23), (2, 0, 3), (0, 2, 3)]
)
def test_products_of_any_strides(m, k, n, dtype):
    def make(rows, columns, seed):
        x = np.round(random(2 * rows + 1, 3 * columns + 1, seed=seed) * 4)
        return x + 1j * x[::-1] if dtype == H.complex64 else x

    x, y = make(m, k, 1), make(k, n, 2)
    for view_a in (lambda t: t[:m, :k], lambda t: t[1 : 2 * m : 2, 1 : 3 * k : 3]):
        for view_b in (lambda t: t[:k, :n], lambda t: t[1 : 2 * k : 2, 1 : 3 * n : 3]):
            a, b = view_a(tensor(x, dtype)), view_b(tensor(y, dtype))
            truth = view_a(x) @ view_b(y)
            for ours in (a @ b, (b.t() @ a.t()).t(), H.einsum("ij,jk->ki", a, b).t(), F.linear(a, b.t())):
                assert np.array_equal(ours.numpy(), truth.astype(ours.numpy().dtype))
            bias = tensor(y[0, :n], dtype)
            assert np.array_equal(F.linear(a, b.t(), bias).numpy(), (truth + y[0, :n]).astype(bias.numpy().dtype))
            column = tensor(x[0, :1], dtype)
            sums = H.addmm(column, a, b)
            assert np.array_equal(sums.numpy(), (truth + x[0, :1]).astype(sums.numpy().dtype))
    if k:
        assert np.array_equal((tensor(x, dtype)[0, :k] @ tensor(y, dtype)[:k, 0]).numpy(), x[0, :k] @ y[:k, 0])


def test_resolve_conj_changes_nothing():
    x = H.tensor([1 + 2j])
    assert x.conj().resolve_conj().tolist() == [1 - 2j]


# ---- the same bits for any number of threads


def test_bits_do_not_depend_on_threads(threads):
    x = [H.tensor(random(4, 3, 130, 16, seed=s), dtype=H.float32) for s in range(3)]
    image, filters = H.tensor(random(4, 8, 40, 40), dtype=H.float32), H.tensor(random(8, 1, 3, 3), dtype=H.float32)

    def results():
        q, k, v = (t.clone().requires_grad_() for t in x)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.backward(x[0])
        rows = H.softmax(x[0].reshape(-1, 130), -1)
        return [y, q.grad, k.grad, v.grad, rows, F.conv2d(image, filters, padding=1, groups=8)]

    threads(1)
    alone = results()
    for n in (2, 3):
        threads(n)
        for a, b in zip(alone, results(), strict=True):
            assert H.equal(a.detach(), b.detach())


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.int64])
@pytest.mark.parametrize("m,k,n", [(16, 9000, 16), (3, 20000, 5), (7, 4001, 17)])
def test_long_sums_do_not_depend_on_threads(m, k, n, dtype, threads):
    """Few rows and columns: the blocks of the sum are what the threads share."""
    x, w, bias = (np.round(random(*shape, seed=i) * 99) / 8 for i, shape in enumerate(((m, k), (n, k), (n,))))
    x, w, bias = (np.round(t) if dtype == H.int64 else t for t in (x, w, bias))
    a, b, c = (tensor(t, dtype) for t in (x, w, bias))
    threads(1)
    alone = a @ b.t(), F.linear(a, b, c), H.einsum("mk,nk->nm", a, b)
    close(alone[1], x @ w.T + bias, dtype, 64)
    for count in (2, 3):
        threads(count)
        for y, one in zip((a @ b.t(), F.linear(a, b, c), H.einsum("mk,nk->nm", a, b)), alone, strict=True):
            assert H.equal(y, one)


# ---- convolutions of images whose rows are no multiples of a panel


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("size,stride,padding", [((28, 28), 1, 1), ((14, 14), 1, 1), ((9, 7), 1, 0), ((11, 13), 2, 1)])
@pytest.mark.parametrize("channels,filters", [(1, 16), (5, 7)])
def test_convolution(size, stride, padding, channels, filters, dtype):
    x, w, bias = random(3, channels, *size), random(filters, channels, 3, 3), random(filters)
    wide = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    truth = np.einsum("bcyxrs,ocrs->boyx", windows, w) + bias[:, None, None]
    g = random(*truth.shape, seed=1)
    a, b, c = tensor(x, dtype, grad=True), tensor(w, dtype, grad=True), tensor(bias, dtype, grad=True)
    y = F.conv2d(a, b, c, stride=stride, padding=padding)
    y.backward(tensor(g, dtype))
    by_input = np.zeros_like(wide)
    for r in range(3):
        for s in range(3):
            part = by_input[:, :, r:, s:][:, :, : stride * g.shape[2] : stride, : stride * g.shape[3] : stride]
            part += np.einsum("boyx,oc->bcyx", g, w[:, :, r, s])
    inner = slice(padding, -padding or None)
    close(y, truth, dtype, 4)
    close(a.grad, by_input[:, :, inner, inner], dtype, 4)
    close(b.grad, np.einsum("bcyxrs,boyx->ocrs", windows, g), dtype, 8)
    close(c.grad, g.sum((0, 2, 3)), dtype, 8)


def test_convolution_bits_do_not_depend_on_the_batch(threads):
    """Nor on the threads; several blocks of the sum, images that end inside a panel."""
    x, w = random(6, 48, 14, 14), random(20, 48, 3, 3, seed=1)
    g = random(6, 20, 14, 14, seed=2)

    def results(part):
        a, b = tensor(x[part], H.float32, grad=True), tensor(w, H.float32, grad=True)
        y = F.conv2d(a, b, padding=1)
        y.backward(tensor(g[part], H.float32))
        return y.detach(), a.grad

    threads(1)
    y, by_input = results(slice(6))
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(2, 3))
    close(y, np.einsum("bcyxrs,ocrs->boyx", windows, w, optimize=True), H.float32, 8)
    for n in (1, 2, 3):
        threads(n)
        for i in range(6):
            one, its_input = results(slice(i, i + 1))
            assert H.equal(one[0], y[i]) and H.equal(its_input[0], by_input[i])
        assert H.equal(results(slice(6))[0], y)


# ---- max pooling


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.int32])
@pytest.mark.parametrize(
    "kernel,stride,padding,dilation",
    [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (2, 3, 0, 1), (3, 4, 1, 1), ((1, 5), (2, 1), (0, 2), 1)],
)
@pytest.mark.parametrize("size", [(9, 23), (6, 5)])
def test_max_pool(size, kernel, stride, padding, dilation, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, 3, *size)).astype("f8")  # with many equals
    if dtype != H.int32:
        x[0, 0, 0, 0], x[0, 1, 3, 2], x[1, 2, -1, -1] = math.nan, math.nan, -math.inf
        x[1, 1] = -math.inf
    y, at = F.max_pool2d(H.tensor(x, dtype=dtype), kernel, stride, padding, dilation, return_indices=True)
    k, s, p, d = (v if isinstance(v, tuple) else (v, v) for v in (kernel, stride, padding, dilation))
    for index in np.ndindex(*y.shape):
        best = None
        for r in range(k[0]):
            for c in range(k[1]):
                i, j = index[2] * s[0] - p[0] + r * d[0], index[3] * s[1] - p[1] + c * d[1]
                if 0 <= i < size[0] and 0 <= j < size[1]:
                    value = x[index[:2] + (i, j)]
                    if best is None or value > best[0] or value != value:
                        best = value, i * size[1] + j
        np.testing.assert_equal((float(y[index]), int(at[index])), (float(best[0]), best[1]))


# ---- gelu


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
def test_gelu_and_its_gradient(dtype):
    x = np.concatenate([np.linspace(-12, 12, 4001), [-1e4, 1e4, 0.0]])
    phi, density = np.vectorize(lambda v: 0.5 * math.erfc(-v / 2**0.5)), np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    a = tensor(x, dtype, grad=True)
    y = F.gelu(a)
    y.sum().backward()
    close(y, x * phi(x), dtype)
    np.testing.assert_allclose(
        a.grad.double().numpy(), phi(x) + x * density, rtol=0, atol=3e-7 if dtype == H.float32 else 1e-14
    )


def test_gelu_has_second_derivatives():
    x = tensor(random(11, scale=2), H.float64, grad=True)
    assert H.autograd.gradcheck(F.gelu, x) and H.autograd.gradgradcheck(F.gelu, x)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
def test_gradients_of_silu_and_of_gelu_by_tanh(dtype):
    x = np.concatenate([np.linspace(-12, 12, 4001), [-1e4, 1e4, 0.0]])
    for f, u, slope in (
        (F.silu, x, 1),
        (
            lambda a: F.gelu(a, approximate="tanh"),
            2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3),
            2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2),
        ),
    ):
        a = tensor(x, dtype, grad=True)
        y = f(a)
        y.sum().backward()
        close(y, x * sigmoid(u), dtype, 4)
        truth = sigmoid(u) + x * slope * sigmoid(u) * sigmoid(-u)
        np.testing.assert_allclose(a.grad.double().numpy(), truth, rtol=0, atol=2e-6 if dtype == H.float32 else 1e-14)


@pytest.mark.parametrize("f", [F.silu, lambda a: F.gelu(a, approximate="tanh")])
def test_second_derivatives_of_silu_and_of_gelu_by_tanh(f):
    x = tensor(random(11, scale=2), H.float64, grad=True)
    assert H.autograd.gradcheck(f, x) and H.autograd.gradgradcheck(f, x)


def test_silu_of_complex_numbers_has_second_derivatives():
    x = H.tensor(random(5) + 1j * random(5, seed=1)).requires_grad_()
    assert H.autograd.gradcheck(F.silu, x) and H.autograd.gradgradcheck(F.silu, x)


# ---- vectors that hold what needs the long way


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("f", [H.exp, H.sigmoid, H.tanh, H.log, H.log2, F.silu, F.gelu, H.erf, H.expm1])
def test_a_number_does_not_feel_its_neighbours(f, dtype):
    ordinary = tensor(np.abs(random(64, scale=3)) * np.repeat([1, -1], 32), dtype)
    alone = f(ordinary)
    for strange in (math.nan, math.inf, -math.inf, 1e-42, -1e-320, -100.0, 95.0, 1e30, -800.0, 720.0, -13.0, 0.0):
        for place in (0, 3, 17, 63):
            x = ordinary.clone()
            x[place] = strange
            y = f(x)
            keep = [i for i in range(64) if i != place]
            assert y[keep].nan_to_num(7).tolist() == alone[keep].nan_to_num(7).tolist()
            assert y[place].nan_to_num(7).item() == f(x[place].repeat(64))[5].nan_to_num(7).item()


# ---- the cache of blocks


def test_the_last_block_stays():
    H.empty_cache()
    many = [H.empty(1 << 24) for _ in range(15)]
    del many
    last = H.empty(10 << 24)  # together more than the cache holds
    del last
    before = H.memory_stats()["reserved_bytes.current"]
    assert H.memory_stats()["cached_bytes.current"] <= 1 << 30
    again = H.empty(10 << 24)
    assert H.memory_stats()["reserved_bytes.current"] == before and again.numel()
    del again
    H.empty_cache()


# ---- padding


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("amounts", [(2, 3), (0, 0, 3, 1), (1, 0, 2, 2), (-1, 2, 3, -2), (0, 4, 0, 0, 1, 1), (0, 0)])
def test_padding(mode, amounts):
    n = len(amounts) // 2
    x = np.random.default_rng(n).standard_normal((2, 3, *(6, 7, 33)[-n:]))
    crop = tuple(
        slice(max(0, -a), k - max(0, -b))
        for k, a, b in reversed(list(zip(x.shape[::-1], amounts[::2], amounts[1::2], strict=False)))
    )
    widths = [(0, 0), (0, 0)] + [(max(0, a), max(0, b)) for a, b in zip(amounts[-2::-2], amounts[::-2], strict=True)]
    kept = x[(slice(None), slice(None), *crop)] if mode != "reflect" else x
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    wanted = np.pad(kept, widths, names[mode])
    if mode == "reflect":  # the mirror stands where the input ends, whatever is cut off then
        cut = tuple(
            slice(max(0, -a), k - max(0, -b))
            for k, a, b in zip(wanted.shape[2:], amounts[-2::-2], amounts[::-2], strict=True)
        )
        wanted = wanted[(slice(None), slice(None), *cut)]
    t = H.from_numpy(x).requires_grad_()
    y = H.nn.functional.pad(t, amounts, mode)
    assert np.array_equal(y.detach().numpy(), wanted)
    g = np.random.default_rng(1).standard_normal(wanted.shape)
    (slope,) = H.autograd.grad(y, t, H.from_numpy(g))
    v = np.random.default_rng(2).standard_normal(x.shape)  # the adjoint: <pad(v), g> = <v, slope>
    assert np.isclose(
        (H.nn.functional.pad(H.from_numpy(v), amounts, mode).numpy() * g).sum(), (v * slope.numpy()).sum()
    )
    turned = H.from_numpy(np.ascontiguousarray(x.swapaxes(-1, 1))).swapaxes(-1, 1)
    assert np.array_equal(H.nn.functional.pad(turned, amounts, mode).numpy(), wanted)
    small = t[:1, :1, ..., :5].detach().requires_grad_()
    assert H.autograd.gradgradcheck(lambda t: H.nn.functional.pad(t, amounts, mode), small)


# ---- results larger than a cache


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.float16])
def test_large_results(dtype):
    n = (1 << 24) // dtype.itemsize + 37
    a, b = (H.arange(n) % k for k in (251, 127))
    a, b = a.to(dtype), b.to(dtype)
    truth = a.numpy() + b.numpy() * 2
    assert np.array_equal((a + b * 2).numpy(), truth)
    assert np.array_equal((a[3:] + b[3:] * 2).numpy(), truth[3:])  # not aligned
    kept = a.clone()
    assert np.array_equal(kept.add_(b, alpha=2).numpy(), truth) and not np.array_equal(a.numpy(), truth)
    out = H.empty(n + 1, dtype=dtype)
    H.add(a, b, alpha=2, out=out[1:])
    assert np.array_equal(out[1:].numpy(), truth)


# ---- places of extremes in long rows


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.float16, H.int32, H.int8, H.int64])
@pytest.mark.parametrize("n", [1, 5, 31, 32, 33, 257, 1024, 1100, 5000, 70001])
def test_argmax_of_long_rows_and_columns(n, dtype):
    rng = np.random.default_rng(n)
    x = rng.integers(-50, 50, (7, n)).astype("f8")
    if dtype.is_floating_point:
        x[1, n // 2], x[1, n - 1], x[2] = math.nan, math.nan, -math.inf
        x[3] = math.inf
    t = H.tensor(x, dtype=dtype)
    assert t.argmax(1).tolist() == np.argmax(x, 1).tolist()
    assert t.argmin(1).tolist() == np.argmin(x, 1).tolist()
    for columns in (t.mT.contiguous(), t[:, : n // 40 + 1].mT.contiguous()):
        assert columns.argmax(0).tolist() == np.argmax(columns.double().numpy(), 0).tolist()
        assert columns.argmin(0).tolist() == np.argmin(columns.double().numpy(), 0).tolist()
    wide = H.cat([t[:, : min(n, 300)]] * 40, 1)  # 7 rows of many columns
    assert wide.argmax(0).tolist() == np.argmax(wide.double().numpy(), 0).tolist()
    assert t.max(1).indices.tolist() == np.argmax(x, 1).tolist()
    assert t.argmax().item() == np.argmax(x)


def test_attention_gives_gradients_in_the_places_of_its_operands():
    """q, k and v of one tensor get gradients that are parts of one: nothing is copied to put them together."""
    x = random(2, 7, 3 * 2 * 4)
    results = []
    for apart in (False, True):
        a = tensor(x, H.float64, grad=True)
        q, k, v = a.view(2, 7, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        if apart:
            q, k, v = q * 1, k * 1, v * 1
        y = F.scaled_dot_product_attention(q, k, v)
        assert y.transpose(1, 2).is_contiguous() and y.transpose(1, 2).reshape(2, 7, 8)._base is not None
        (y.transpose(1, 2) ** 2).sum().backward()
        results.append(a.grad)
    assert H.equal(*results)
    a = tensor(x, grad=True)
    q, k, v = (p.view(2, 7, 2, 4).transpose(1, 2) for p in a.chunk(3, -1))
    F.scaled_dot_product_attention(q, k, v).pow(2).sum().backward()
    parts = [p.detach().clone().requires_grad_() for p in (q, k, v)]
    F.scaled_dot_product_attention(*parts).pow(2).sum().backward()
    whole = H.cat([p.grad.transpose(1, 2).reshape(2, 7, 8) for p in parts], -1)
    assert H.allclose(a.grad, whole, atol=1e-6)


@pytest.mark.parametrize("take", [lambda a: a.unbind(1), lambda a: a.chunk(3, 1), lambda a: a.split([1, 1, 3], 1)])
def test_gradients_of_parts_that_lie_side_by_side(take):
    a = tensor(random(4, 5), H.float64, grad=True)
    room = tensor(random(20), H.float64)
    parts = take(a)

    def of(p, order):  # a gradient for each part, views of one room
        grads, at = [None] * len(p), 0
        for i in order:
            grads[i] = room.as_strided(p[i].shape, (5, 1)[: p[i].dim()], at)
            at += p[i].numel() // 4
        return grads

    for order in (range(len(parts)), reversed(range(len(parts)))):
        grads = of(parts, list(order))
        (got,) = H.autograd.grad(parts, a, grads, retain_graph=True)
        join = H.stack if parts[0].dim() == 1 else H.cat
        assert H.equal(got, join([g.clone() for g in grads], 1))


# ---- connectionist temporal classification


def every_alignment(log_probs, labels, blank):
    """-log of the sum over all ways to spell the labels."""
    steps, classes = log_probs.shape
    total = 0.0
    for path in np.ndindex(*[classes] * steps):
        kept = [c for i, c in enumerate(path) if (i == 0 or c != path[i - 1]) and c != blank]
        if kept == list(labels):
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_sums_over_every_alignment(blank):
    x = random(5, 6, 3)
    x -= np.log(np.exp(x).sum(-1, keepdims=True))
    labels = [[], [1], [1, 1], [1, 3 - blank - 1], [1, 1, 1], [1, 1]]
    steps = [5, 0, 3, 5, 5, 2]
    padded = H.tensor([list(a) + [1] * (3 - len(a)) for a in labels])
    want = [every_alignment(x[:n, i], labels[i], blank) for i, n in enumerate(steps)]
    for dtype in (H.float32, H.float64):
        losses = F.ctc_loss(tensor(x, dtype), padded, steps, [len(a) for a in labels], blank, "none")
        np.testing.assert_allclose(losses.numpy(), want, rtol=1e-5 if dtype == H.float32 else 1e-12)
    assert np.isinf(want).sum() == 2  # [1] in no steps, [1, 1] in two


def test_ctc_gradient():
    logits = tensor(random(6, 4, 5), H.float64, grad=True)
    labels = H.tensor([[1, 2, 2], [3, 1, 4], [4, 4, 4], [1, 1, 1]])
    f = lambda x: F.ctc_loss(x.log_softmax(-1), labels, [6, 5, 6, 3], [3, 2, 0, 2], 0, "none")
    assert H.autograd.gradcheck(f, logits)
    x = logits.detach().log_softmax(-1).requires_grad_()
    for zero in (False, True):
        (g,) = H.autograd.grad(F.ctc_loss(x, labels, [6, 5, 6, 2], [3, 2, 0, 3], 0, "sum", zero), x)
        assert (g[:2, 3] == 0).all() if zero else g[:2, 3].isnan().all()
        assert (g[2:, 3] == 0).all() and (g[5:, 1] == 0).all() and g[:, 0].isfinite().all()


def test_ctc_has_the_same_bits_with_any_number_of_threads(threads):
    x, labels = tensor(random(30, 9, 20)).log_softmax(-1).requires_grad_(), H.randint(1, 20, (9, 8))
    got = []
    for n in (1, 2, 3):
        threads(n)
        losses = F.ctc_loss(x, labels, [30] * 9, [8] * 9, reduction="none")
        got.append((losses, *H.autograd.grad(losses.sum(), x)))
    assert all(H.equal(a, b) for other in got[1:] for a, b in zip(got[0], other, strict=True))
