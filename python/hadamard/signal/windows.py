"""Windows of M samples, symmetric unless sym is False, as tensors of float32 or float64."""

import math
from functools import wraps
from inspect import Signature, signature

import hadamard as H

__all__ = (
    "bartlett blackman cosine exponential gaussian general_cosine general_hamming hamming hann kaiser nuttall".split()
)


# Those that torch makes of its general_cosine, under whose name they are refused.
_COSINES = ("general_hamming", "hamming", "hann", "nuttall")


def _window(function):
    """Adds the checks and the arguments that all windows have around `function(M, sym, line, **its own)`."""
    name = "general_cosine" if function.__name__ in _COSINES else function.__name__

    @wraps(function)
    def window(M, *, sym=True, dtype=None, layout=H.strided, device=None, requires_grad=False, **own):
        dtype = dtype or H.get_default_dtype()
        if M < 0:
            raise ValueError(f"{name} requires non-negative window length, got M={M}")
        if layout is not H.strided:
            raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
        if dtype not in (H.float32, H.float64):
            raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
        y = function(M, sym, lambda a, b: H.linspace(a, b, M, dtype=dtype, device=device), **own)
        return y.requires_grad_(requires_grad)

    own, all_have = (list(signature(f, follow_wrapped=False).parameters.values()) for f in (function, window))
    own = [p.replace(kind=p.KEYWORD_ONLY) for p in own[3:]]
    window.__signature__ = Signature([all_have[0], *own, *all_have[1:-1]])
    return window


def _period(M, sym):
    return max(M - 1 if sym else M, 1)


@_window
def exponential(M, sym, line, center=None, tau=1.0):
    """exp(-|n - center| / tau); a center of one's own needs sym=False.

    >>> exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2
    return (-line(-center / tau, (M - 1 - center) / tau).abs()).exp()


@_window
def cosine(M, sym, line):
    """sin(π (n + ½) / M).

    >>> cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    step = math.pi / max(M + 1 if not sym and M > 1 else M, 1)
    return line(0.5 * step, (M - 0.5) * step).sin()


@_window
def gaussian(M, sym, line, std=1.0):
    """exp(-½ ((n - middle) / std)²).

    >>> gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    start, step = -(M if not sym and M > 1 else M - 1) / 2, 1 / (std * math.sqrt(2))
    return (-(line(start * step, (start + M - 1) * step) ** 2)).exp()


@_window
def kaiser(M, sym, line, beta=12.0):
    """I₀(√(beta² - k²)) / I₀(beta), k from -beta to beta.

    >>> kaiser(3)
    tensor([5.2773e-05, 1.0000e+00, 5.2773e-05])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M == 1:
        return line(1, 1)
    k = line(-beta, min(beta, -beta + (M - 1) * 2 * beta / _period(M, sym)))
    return H.i0((beta * beta - k**2).sqrt()) / H.i0(H.tensor(float(beta), dtype=k.dtype))


@_window
def bartlett(M, sym, line):
    """A triangle from 0 to 1 and back.

    >>> bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    if M == 1:
        return line(1, 1)
    return 1 - line(-1, -1 + (M - 1) * 2 / _period(M, sym) if M else -1).abs()


def _cosines(M, sym, line, a):
    if M == 1:
        return line(1, 1)
    k = line(0, (M - 1) * 2 * math.pi / _period(M, sym) if M else 0)
    i = H.arange(len(a), dtype=k.dtype)
    signed = H.tensor([(-1) ** n * weight for n, weight in enumerate(a)], dtype=k.dtype)
    return (signed.unsqueeze(-1) * (i.unsqueeze(-1) * k).cos()).sum(0)


@_window
def general_cosine(M, sym, line, *, a):
    """Σ (-1)ᵏ a_k cos(2π k n / (M - 1)).

    >>> general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    if M and not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if M and not a:
        raise ValueError("Coefficients cannot be empty")
    return _cosines(M, sym, line, a)


@_window
def general_hamming(M, sym, line, alpha=0.54):
    """alpha - (1 - alpha) cos(2π n / (M - 1)).

    >>> general_hamming(3, alpha=0.6)
    tensor([0.2000, 1.0000, 0.2000])
    """
    return _cosines(M, sym, line, [alpha, 1 - alpha])


@_window
def hamming(M, sym, line):
    """`general_hamming` with alpha 0.54.

    >>> hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _cosines(M, sym, line, [0.54, 0.46])


@_window
def hann(M, sym, line):
    """`general_hamming` with alpha 0.5.

    >>> hann(4, sym=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _cosines(M, sym, line, [0.5, 0.5])


@_window
def blackman(M, sym, line):
    """0.42 - 0.5 cos(2π n / (M - 1)) + 0.08 cos(4π n / (M - 1)).

    >>> blackman(5).round(decimals=4)
    tensor([-0.0000,  0.3400,  1.0000,  0.3400, -0.0000])
    """
    return _cosines(M, sym, line, [0.42, 0.5, 0.08])


@_window
def nuttall(M, sym, line):
    """Nuttall's four cosines.

    >>> nuttall(3)
    tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])
    """
    return _cosines(M, sym, line, [0.3635819, 0.4891775, 0.1365995, 0.0106411])
