"""Functions made of others against PyTorch and NumPy."""

import warnings

import numpy as np
import pytest
from harness import H, torch

rng = np.random.default_rng(0)
needs_torch = pytest.mark.skipif(torch is None, reason="compared with PyTorch")


def test_whole_numbers():
    for dtype in ("int64", "int32", "uint8"):
        low = 0 if dtype == "uint8" else -50
        a, b = (rng.integers(low, 50, (2, 40)).astype(dtype) for _ in range(2))
        for name in ("gcd", "lcm"):
            got = getattr(H, name)(H.from_numpy(a), H.from_numpy(b))
            assert str(got.dtype) == f"torch.{dtype}"
            assert (got.numpy() == getattr(np, name)(a, b)).all()
    assert (H.gcd(H.arange(6).view(2, 3), H.tensor(4)).numpy() == np.gcd(np.arange(6).reshape(2, 3), 4)).all()
    with pytest.raises(NotImplementedError, match="\"gcd_cpu\" not implemented for 'Float'"):
        H.gcd(H.ones(2), H.ones(2))


def tensors(m):
    return [m.arange(float(n)) + 1 for n in (4, 6)], m.arange(24.0).view(2, 3, 4), m.tensor([3, 1, 2])


CALLS = [
    lambda m, v, x, i: m.block_diag(x[0], v[0], i[0].to(m.float32), x[1]),
    lambda m, v, x, i: m.block_diag(),
    lambda m, v, x, i: m.hsplit(v[0], 2),
    lambda m, v, x, i: m.hsplit(x, [1, 2]),
    lambda m, v, x, i: m.vsplit(x, 2),
    lambda m, v, x, i: m.dsplit(x, [1, 3]),
    lambda m, v, x, i: m.ldexp(v[0], m.tensor([1, -2, 0, 3])),
    lambda m, v, x, i: m.cumulative_trapezoid(x),
    lambda m, v, x, i: m.cumulative_trapezoid(x, dx=0.5, dim=1),
    lambda m, v, x, i: m.cumulative_trapezoid(x, v[0] ** 2),
    lambda m, v, x, i: m.cumulative_trapezoid(x, x**2, dim=0),
    lambda m, v, x, i: m.unravel_index(i + 20, (2, 3, 4)),
    lambda m, v, x, i: m.unravel_index(i, 7),
    lambda m, v, x, i: m.vander(v[0]),
    lambda m, v, x, i: m.vander(i, 4, increasing=True),
    lambda m, v, x, i: m.block_diag(x),
    lambda m, v, x, i: m.hsplit(v[0], 3),
    lambda m, v, x, i: m.vsplit(v[0], 2),
    lambda m, v, x, i: m.dsplit(x[0], 2),
    lambda m, v, x, i: m.hsplit(i[0], 1),
    lambda m, v, x, i: m.unravel_index(v[0], (4,)),
    lambda m, v, x, i: m.vander(x),
    lambda m, v, x, i: m.gcd(v[0], v[0]),
]


@needs_torch
@pytest.mark.parametrize("i", range(len(CALLS)))
def test_as_torch(i):
    try:
        want = CALLS[i](torch, *tensors(torch))
    except Exception as error:
        with pytest.raises(type(error)) as ours:
            CALLS[i](H, *tensors(H))
        assert str(ours.value).splitlines()[0] == str(error).splitlines()[0]
        return
    got = CALLS[i](H, *tensors(H))
    pairs = zip(got, want, strict=True) if isinstance(want, (tuple, list)) else [(got, want)]
    for mine, theirs in pairs:
        assert str(mine.dtype) == str(theirs.dtype) and tuple(mine.shape) == tuple(theirs.shape)
        assert np.allclose(mine.numpy(), theirs.numpy(), rtol=1e-6)


def test_gradients():
    x = H.randn(3, 4, dtype=H.float64, requires_grad=True)
    for f in (
        lambda x: H.block_diag(x, x[0]),
        lambda x: H.hsplit(x, 2)[1],
        lambda x: H.ldexp(x, H.tensor([1, 2, 3, 4])),
        lambda x: H.cumulative_trapezoid(x, x**2),
        lambda x: H.vander(x[0], 3),
    ):
        assert H.autograd.gradcheck(f, (x,))


OUT = {
    "linalg.det": (lambda lib, x, out: lib.linalg.det(x, out=out), ()),
    "linalg.inv": (lambda lib, x, out: lib.linalg.inv(x, out=out), (3, 3)),
    "fft.fft": (lambda lib, x, out: lib.fft.fft(x, out=out), (3, 3)),
    "special.erfcx": (lambda lib, x, out: lib.special.erfcx(x, out=out), (3, 3)),
    "gcd": (lambda lib, x, out: lib.gcd(x.long(), x.long(), out=out), (3, 3)),
}


@needs_torch
@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("kind", ["fits", "empty", "shape", "dtype", "grad"])
def test_out_of_what_python_computes_has_torchs_rules(name, kind):
    f, shape = OUT[name]

    def outcome(lib):
        x = lib.tensor([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
        dtype = lib.complex64 if name == "fft.fft" else lib.int64 if name == "gcd" else lib.float32
        if kind == "grad":
            x.requires_grad_()
        if kind == "dtype":
            dtype = lib.bool
        out = lib.empty({"empty": (0,), "shape": (2, 2)}.get(kind, shape), dtype=dtype)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                y = f(lib, x, out)
            except RuntimeError as e:
                return (
                    str(e).splitlines()[0].partition("():")[2]
                )  # torch names the kernel; of a dtype each kernel has its own words
        return y is out, out.tolist(), [str(w.message).partition(" (Triggered")[0] for w in caught]

    ours, theirs = outcome(H), outcome(torch)
    if isinstance(theirs, tuple):
        assert ours[0] == theirs[0] and ours[2] == theirs[2]
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
    else:
        assert ours == theirs
