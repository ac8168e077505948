"""Convolutions and their gradients against the same written out tap by tap in float64."""

import itertools

import hadamard as H
import numpy as np
import pytest

F = H.nn.functional


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def reference(x, w, g_of, stride, padding, dilation, groups):
    """The result, and the gradients by x and by w of its sum with g_of(shape)."""
    wide = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    places = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(wide.shape[2:], w.shape[2:], stride, dilation, strict=True)
    ]
    y = np.zeros((len(x), len(w), *places))
    g, dwide, dw = g_of(y.shape), np.zeros_like(wide), np.zeros_like(w)
    each_in, each_out = w.shape[1], len(w) // groups
    for tap in itertools.product(*(range(k) for k in w.shape[2:])):
        window = [
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, places, stride, strict=True)
        ]
        for i in range(groups):
            c, o = slice(i * each_in, (i + 1) * each_in), slice(i * each_out, (i + 1) * each_out)
            here, filters = (slice(None), c, *window), (o, slice(None), *tap)
            y[:, o] += np.einsum("bc...,oc->bo...", wide[here], w[filters])
            dwide[here] += np.einsum("bo...,oc->bc...", g[:, o], w[filters])
            dw[filters] = np.einsum("boi,bci->oc", *(t.reshape(*t.shape[:2], -1) for t in (g[:, o], wide[here])))
    inner = tuple(slice(p, n - p) for p, n in zip(padding, wide.shape[2:], strict=True))
    return y, dwide[(slice(None), slice(None), *inner)], dw, g


def close(ours, truth, dtype, what):
    scale = np.abs(truth).max(initial=1e-30)
    assert tuple(ours.shape) == truth.shape
    tolerance = 1e-5 if dtype == H.float32 else 1e-13
    np.testing.assert_allclose(ours.double().numpy() / scale, truth / scale, rtol=0, atol=tolerance, err_msg=what)


SHAPES = [  # channels of a group, filters of a group, groups, size, taps
    (1, 16, 1, (28, 28), (3, 3)),
    (16, 8, 1, (9, 7), (3, 3)),
    (3, 32, 1, (11, 30), (5, 2)),
    (7, 20, 2, (6, 13), (3, 1)),
    (40, 17, 1, (70, 33), (3, 3)),  # several bands, blocks of the sum and panels
    (8, 40, 3, (5, 5), (1, 1)),
    (300, 24, 1, (4, 3), (1, 1)),
    (64, 48, 1, (40, 41), (1, 1)),  # channels on pages of their own
    (8, 7, 1, (1200,), (9,)),
    (33, 8, 2, (17,), (2,)),
]


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("stride,padding,dilation", [(1, 0, 1), (1, 1, 1), (2, 1, 1), (3, 2, 2), (1, 3, 1), (2, 0, 1)])
@pytest.mark.parametrize("channels,filters,groups,size,taps", SHAPES)
def test_written_out(channels, filters, groups, size, taps, stride, padding, dilation, dtype):
    dims = len(size)
    stride, padding, dilation = (
        (stride, *[1] * (dims - 1))[-dims:] if stride == 3 else (stride,) * dims,
        (*[padding] * (dims - 1), padding and padding - 1),
        (dilation,) * dims,
    )
    x, w = random(2, channels * groups, *size), random(filters * groups, channels, *taps, seed=1)
    if any(n + 2 * p < d * (k - 1) + 1 for n, p, d, k in zip(size, padding, dilation, taps, strict=True)):
        pytest.skip("the window is larger than the image")
    bias = random(filters * groups, seed=2)
    y, dx, dw, g = reference(x, w, lambda s: random(*s, seed=3), stride, padding, dilation, groups)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    convolve = F.conv2d if dims == 2 else F.conv1d
    for turned in (False, True):  # operands that lie the other way round
        a, b, c, gy = (H.tensor(t, dtype=dtype) for t in (x, w, bias, g))
        if turned:
            a, b, gy = (t.transpose(1, -1).contiguous().transpose(1, -1) for t in (a, b, gy))
        for t in (a, b, c):
            t.requires_grad_()
        result = convolve(a, b, c, **options)
        close(result.detach(), y + bias.reshape(-1, *[1] * dims), dtype, "result")
        result.backward(gy)
        close(a.grad, dx, dtype, "by the input")
        close(b.grad, dw, dtype, "by the weights")


@pytest.mark.parametrize("stride", [1, 2])
def test_bits_depend_on_neither_threads_nor_batch(stride):
    before = H.get_num_threads()
    sizes = [((5, 40, 30, 30), (24, 40, 3, 3), 1), ((5, 32, 21, 9), (32, 16, 3, 3), 2), ((5, 8, 900), (16, 8, 5), 1)]
    try:
        for image, filters, groups in sizes:
            x, w = H.tensor(random(*image), dtype=H.float32), H.tensor(random(*filters, seed=1), dtype=H.float32)

            def results(x, w=w, groups=groups):
                a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
                convolve = F.conv2d if x.dim() == 4 else F.conv1d
                y = convolve(a, b, padding=1, groups=groups, stride=stride)
                y.backward(y.detach().cos())
                return y.detach(), a.grad, b.grad

            H.set_num_threads(1)
            alone = results(x)
            for n in (1, 2, 3, 7):
                H.set_num_threads(n)
                assert all(map(H.equal, results(x), alone))
                for i in range(len(x)):
                    y, dx, _ = results(x[i : i + 1])
                    assert H.equal(y[0], alone[0][i]) and H.equal(dx[0], alone[1][i])
    finally:
        H.set_num_threads(before)


def test_nan_goes_no_further_than_its_window():
    x, w = H.tensor(random(2, 16, 12, 10)), H.tensor(random(20, 16, 3, 3, seed=1))
    x[1, 3, 5, 6] = float("nan")
    x, w = x.requires_grad_(), w.requires_grad_()
    y = F.conv2d(x, w, padding=1)
    there = np.zeros((2, 20, 12, 10), bool)
    there[1, :, 4:7, 5:8] = True
    assert np.array_equal(np.isnan(y.detach().numpy()), there)
    g = H.tensor(random(*y.shape))
    g[0, 4, 2, 2] = float("inf")
    dx, dw = H.autograd.grad(y, [x, w], g)
    there = np.zeros(x.shape, bool)
    there[0, :, 1:4, 1:4] = True
    assert np.array_equal(~np.isfinite(dx.numpy()), there)
    there = np.zeros(w.shape, bool)
    there[:, 3] = there[4] = True  # NaN reaches all filters' gradients of its channel
    assert np.array_equal(~np.isfinite(dw.numpy()), there)


def test_explain_says_which_kernels():
    said = {
        "conv2d((2,16,8,8), (16,16,3,3))": "windows",
        "conv1d((2,16,80), (8,16,3))": "windows",
        "conv2d((2,16,8,8), (16,1,3,3), groups=16)": "depthwise",
        "conv3d((2,16,8,8,8), (16,16,3,3,3))": "skinny",
    }
    for call, route in said.items():
        e = H.explain(call)
        assert e.route == route
    e = H.explain("conv2d((2,16,8,8), (16,16,3,3))")
    assert [g.route for g in e.gradients] == ["windows", "windows"]
