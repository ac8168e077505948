"""Windows and short-time Fourier transforms: against PyTorch, and against their definitions in NumPy."""

import numpy as np
import pytest
from harness import H, torch

needs_torch = pytest.mark.skipif(torch is None, reason="compared with PyTorch")
W = H.signal.windows
TOP = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]
rng = np.random.default_rng(0)


@pytest.mark.parametrize("name", W.__all__)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 9])
def test_windows(name, n):
    for sym in (True, False):
        for dtype in ("float32", "float64"):
            own = {"a": [0.3, 0.2, 0.4]} if name == "general_cosine" else {}
            w = getattr(W, name)(n, sym=sym, dtype=getattr(H, dtype), **own)
            assert w.shape == (n,) and str(w.dtype) == f"torch.{dtype}"
            if n > 2:  # symmetric, or one sample short of it
                half = w.numpy() if sym else w.numpy()[1:]
                if name != "cosine" or sym:
                    np.testing.assert_allclose(half, half[::-1], atol=1e-6)
            if torch is not None:
                own |= {"sym": sym, "dtype": getattr(torch, dtype)}
                want = getattr(torch.signal.windows, name)(n, **own).numpy()
                np.testing.assert_allclose(w.numpy(), want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", TOP)
def test_top_level_windows(name):
    for n in (0, 1, 2, 7, 8):
        for periodic in (True, False):
            w = getattr(H, name)(n, periodic, dtype=H.float64).numpy()
            if n > 1:
                own = {"beta": 12.0} if name == "kaiser_window" else {}
                other = getattr(W, name.removesuffix("_window"))(n, sym=not periodic, dtype=H.float64, **own)
                np.testing.assert_allclose(w, other.numpy(), atol=1e-12)
            if torch is not None:
                want = getattr(torch, name)(n, periodic, dtype=torch.float64).numpy()
                np.testing.assert_allclose(w, want, atol=1e-14)
    assert getattr(H, name)(4, requires_grad=True).requires_grad


SIGNALS = {
    "vector": lambda lib, a: lib.tensor(a[0]),
    "batch": lambda lib, a: lib.tensor(a),
    "complex": lambda lib, a: lib.complex(lib.tensor(a), lib.tensor(a[::-1].copy())),
}
OPTIONS = [
    {"n_fft": 8},
    {"n_fft": 8, "hop_length": 3},
    {"n_fft": 8, "win_length": 5, "window": "hann"},
    {"n_fft": 9, "window": "hamming", "normalized": True},
    {"n_fft": 8, "center": False},
    {"n_fft": 8, "pad_mode": "constant"},
    {"n_fft": 8, "onesided": False},
    {"n_fft": 8, "win_length": 4, "center": False, "align_to_window": True},
]


def options(lib, given):
    given = dict(given)
    if "window" in given:
        length = given.get("win_length", given["n_fft"])
        given["window"] = getattr(lib, given["window"] + "_window")(length, dtype=lib.float64)
    return given


@pytest.mark.filterwarnings("ignore:A window was not provided")
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("i", range(len(OPTIONS)))
def test_stft_and_back(signal, i):
    a = rng.standard_normal((2, 40))
    x = SIGNALS[signal](H, a)
    given = options(H, OPTIONS[i])
    if signal == "complex":
        given["onesided"] = False
    s = H.stft(x, return_complex=True, **given)
    if torch is not None:
        theirs = options(torch, OPTIONS[i]) | ({"onesided": False} if signal == "complex" else {})
        want = torch.stft(SIGNALS[signal](torch, a), return_complex=True, **theirs)
        np.testing.assert_allclose(s.numpy(), want.numpy(), atol=1e-12)
        assert s.stride() == want.stride() or i == 7
    if given.get("center") is False:
        return
    given.pop("pad_mode", None)
    back = H.istft(s, return_complex=signal == "complex", length=40, **given)
    np.testing.assert_allclose(back.numpy(), x.numpy(), atol=1e-12)


def test_one_piece_is_the_transform():
    x = rng.standard_normal(16)
    window = np.hanning(17)[:-1]
    s = H.stft(H.tensor(x), 16, window=H.hann_window(16, dtype=H.float64), center=False, return_complex=True)
    np.testing.assert_allclose(s.numpy()[:, 0], np.fft.rfft(x * window), atol=1e-12)


def test_gradients():
    x = H.tensor(rng.standard_normal(12), requires_grad=True)
    window = H.hann_window(4, dtype=H.float64).requires_grad_()
    constant = window.detach().clone()

    def there(x, window):
        return H.view_as_real(H.stft(x, 4, window=window, return_complex=True).contiguous())

    def again(x, window):
        return H.istft(H.stft(x, 4, window=constant, return_complex=True), 4, window=window)

    for f in (there, again):
        assert H.autograd.gradcheck(f, (x, window))
        assert H.autograd.gradgradcheck(f, (x, window))


WRONG = [
    lambda m: m.hann_window(-1),
    lambda m: m.hann_window(3, dtype=m.int64),
    lambda m: m.hann_window(2.5),
    lambda m: m.signal.windows.hann(-1),
    lambda m: m.signal.windows.kaiser(3, beta=-1),
    lambda m: m.signal.windows.gaussian(3, std=0),
    lambda m: m.signal.windows.exponential(3, center=1),
    lambda m: m.signal.windows.general_cosine(3, a=[]),
    lambda m: m.signal.windows.bartlett(3, dtype=m.float16),
    lambda m: m.stft(m.ones(20), 8),
    lambda m: m.stft(m.ones(2, 3, 20), 8, return_complex=True),
    lambda m: m.stft(m.ones(20).long(), 8, return_complex=True),
    lambda m: m.stft(m.ones(20), 80, return_complex=True, center=False),
    lambda m: m.stft(m.ones(20), 8, hop_length=0, return_complex=True),
    lambda m: m.stft(m.ones(20), 8, win_length=9, return_complex=True),
    lambda m: m.stft(m.ones(20), 8, window=m.ones(7), return_complex=True),
    lambda m: m.stft(m.ones(20) + 0j, 8, onesided=True),
    lambda m: m.stft(m.ones(20), 8, align_to_window=True, return_complex=True),
    lambda m: m.istft(m.ones(2, 5, 11), 8),
    lambda m: m.istft(m.ones(2, 5, 11) + 0j, 8, window=m.zeros(8)),
    lambda m: m.istft(m.ones(2, 5, 11) + 0j, 8, window=m.zeros(7)),
    lambda m: m.istft(m.ones(2, 5, 11) + 0j, 8, hop_length=9),
    lambda m: m.istft(m.ones(2, 5, 11) + 0j, 8, return_complex=True),
    lambda m: m.istft(m.ones(2, 5, 0) + 0j, 8),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors_are_torchs(i):
    with pytest.raises((RuntimeError, ValueError, TypeError)) as ours:
        WRONG[i](H)
    if torch is not None:
        with pytest.raises((RuntimeError, ValueError, TypeError)) as theirs:
            WRONG[i](torch)
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value).split("\n")[0] == str(theirs.value).split("\n")[0]
