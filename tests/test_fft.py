"""torch.fft against PyTorch, NumPy and finite differences."""

import numpy as np
import pytest
from harness import H, torch

SHAPES = [(6,), (7,), (3, 4, 5)]
ONE = "fft ifft rfft irfft hfft ihfft".split()
MANY = "fftn ifftn rfftn irfftn fft2 ifft2 rfft2 irfft2".split()


def sample(name, shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    real = name in ("rfft", "ihfft", "rfftn", "rfft2")
    return x if real else x + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("n", [None, 4, 5, 9])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_one_dimension(name, n, norm):
    for shape in SHAPES:
        x = sample(name, shape)
        for dim in {0, -1}:
            want = getattr(np.fft, name)(x, n, dim, norm)
            got = getattr(H.fft, name)(H.from_numpy(x), n, dim, norm)
            assert got.shape == want.shape and np.allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MANY)
def test_many_dimensions(name):
    x = sample(name, (3, 4, 5))
    for s in (None, (4, 6)):
        dim = (-2, -1) if s or name.endswith("2") else None
        want = getattr(np.fft, name)(x, s, dim or range(3))
        got = getattr(H.fft, name)(H.from_numpy(x), s, dim) if dim else getattr(H.fft, name)(H.from_numpy(x))
        assert got.shape == want.shape and np.allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ONE + MANY)
def test_gradients(name):
    x = H.from_numpy(sample(name, (3, 4))).requires_grad_()
    f = getattr(H.fft, name)
    assert H.autograd.gradcheck(f, (x,))
    assert H.autograd.gradgradcheck(f, (x,))
    if name == "irfft":
        assert H.autograd.gradcheck(lambda x: f(x, 5, 0, "ortho"), (x,))


@pytest.mark.skipif(torch is None, reason="compared with PyTorch")
def test_as_torch():
    for make in (lambda m: m.arange(5), lambda m: m.arange(5.0), lambda m: m.arange(5.0, dtype=m.float64)):
        assert str(H.fft.fft(make(H)).dtype) == str(torch.fft.fft(make(torch)).dtype)
        assert str(H.fft.rfft(make(H)).dtype) == str(torch.fft.rfft(make(torch)).dtype)
    for call in (
        lambda m: m.fft.fft(m.ones(3), 0),
        lambda m: m.fft.fft(m.ones(3), norm="both"),
        lambda m: m.fft.fftn(m.ones(3, 3), dim=(0, 0)),
        lambda m: m.fft.fftn(m.ones(3, 3), s=(1, 2), dim=(0,)),
        lambda m: m.fft.rfft(m.ones(3) + 0j),
        lambda m: m.fft.fft(m.ones(3), dim=2),
    ):
        with pytest.raises((RuntimeError, IndexError)) as theirs:
            call(torch)
        with pytest.raises(type(theirs.value)) as ours:
            call(H)
        assert str(ours.value).splitlines()[0].split(" (")[0] in str(theirs.value)
    for name in ("fftfreq", "rfftfreq"):
        for n in (1, 4, 5):
            assert np.allclose(getattr(H.fft, name)(n, 0.5).numpy(), getattr(torch.fft, name)(n, 0.5).numpy())


def test_shift():
    for shape in ((5,), (4,), (3, 4)):
        x = np.arange(np.prod(shape)).reshape(shape)
        for dim in (None, 0, (-1,)):
            for name in ("fftshift", "ifftshift"):
                want = getattr(np.fft, name)(x, dim)
                assert (getattr(H.fft, name)(H.from_numpy(x), dim).numpy() == want).all()
