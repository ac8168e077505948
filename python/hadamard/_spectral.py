"""Short-time Fourier transforms and the windows for them."""

import math
import warnings

import hadamard as H

from . import _C
from ._common import scalar_name

__all__ = "bartlett_window blackman_window hamming_window hann_window istft kaiser_window stft".split()

_C_NAMES = {"int64": "long int", "int32": "int", "int16": "short int", "int8": "signed char"}
_C_NAMES |= {"uint8": "unsigned char", "bool": "bool"}


def _window(name, formula):
    """A window of `formula(ramp 0 … n - 1, n, **its own)`, computed in its own dtype as torch does it."""

    def window(window_length, periodic=True, *own, dtype=None, device=None, requires_grad=False, **options):
        for ignored in ("layout", "pin_memory"):
            options.pop(ignored, None)
        if not isinstance(window_length, int):
            kind = type(window_length).__name__
            raise TypeError(f"{name}(): argument 'window_length' (position 1) must be int, not {kind}")
        dtype = dtype or H.get_default_dtype()
        if not (dtype.is_floating_point or dtype.is_complex):
            shown = _C_NAMES.get(repr(dtype)[6:], repr(dtype)[6:])
            raise RuntimeError(
                f"{name} expects floating point dtypes, got: TensorOptions(dtype={shown}, device=cpu, layout=Strided "
                "(default), requires_grad=false (default), pinned_memory=false, memory_format=(nullopt))"
            )
        if window_length < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got window_length={window_length}")
        if window_length < 2:
            return _C.ones(window_length, dtype=dtype, device=device).requires_grad_(requires_grad)
        if dtype.is_complex:
            raise NotImplementedError(f"\"arange_cpu\" not implemented for '{scalar_name(dtype)}'")
        n = window_length + periodic
        y = formula(_C.arange(n, dtype=dtype, device=device), n, *own, **options)
        return y.narrow(0, 0, window_length).requires_grad_(requires_grad)

    window.__name__ = window.__qualname__ = name
    return window


def _hamming(ramp, n, alpha=0.54, beta=0.46):
    return ramp.mul_(2 * math.pi / (n - 1)).cos_().mul_(-beta).add_(alpha)


def _hann(ramp, n):
    return _hamming(ramp, n, 0.5, 0.5)


def _blackman(ramp, n):
    ramp.mul_(math.pi / (n - 1))
    return ramp.mul(4).cos_().mul_(0.08) - ramp.mul(2).cos_().mul_(0.5) + 0.42


def _bartlett(ramp, n):
    ramp.mul_(2 / (n - 1))
    half = ((n - 1) >> 1) + 1
    ramp.narrow(0, half, n - half).mul_(-1).add_(2)
    return ramp


def _kaiser(ramp, n, beta=12.0):
    middle = (n - 1) / 2
    bow = beta * (1 - ((ramp - middle) / middle) ** 2).sqrt()
    return H.i0(bow) / H.i0(H.tensor(float(beta), dtype=ramp.dtype))


hamming_window = _window("hamming_window", _hamming)
hamming_window.__doc__ = """alpha - beta cos(2π n / (N - 1)) for n < window_length; N - 1 is window_length
    where `periodic`, else one less.

    >>> import hadamard as H
    >>> H.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
hann_window = _window("hann_window", _hann)
hann_window.__doc__ = """½ - ½ cos(2π n / (N - 1)) for n < window_length; N - 1 is window_length
    where `periodic`, else one less.

    >>> import hadamard as H
    >>> H.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
blackman_window = _window("blackman_window", _blackman)
blackman_window.__doc__ = """0.42 - 0.5 cos(2π n / (N - 1)) + 0.08 cos(4π n / (N - 1)); see `hann_window`.

    >>> import hadamard as H
    >>> H.blackman_window(4)[2]
    tensor(1.)
    """
bartlett_window = _window("bartlett_window", _bartlett)
bartlett_window.__doc__ = """1 - |2 n / (N - 1) - 1| for n < window_length; see `hann_window`.

    >>> import hadamard as H
    >>> H.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
kaiser_window = _window("kaiser_window", _kaiser)
kaiser_window.__doc__ = """I₀(beta √(1 - (2 n / (N - 1) - 1)²)) / I₀(beta) for n < window_length; see `hann_window`.

    >>> import hadamard as H
    >>> H.kaiser_window(3, False, beta=1.0)
    tensor([0.7898, 1.0000, 0.7898])
    """


def _padded(window, win_length, n_fft):
    left = (n_fft - win_length) // 2
    return H.nn.functional.pad(window, (left, n_fft - win_length - left)) if win_length < n_fft else window


def _shown(window):
    return "None" if window is None else f"{window.type()}{{{list(window.shape)}}}"


def _flag(value):
    return "None" if value is None else int(value)


def stft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=None,
    return_complex=None,
    align_to_window=None,
):
    """Fourier transforms of pieces of n_fft samples, hop_length (n_fft // 4) apart: (…, frequencies, pieces), complex.

    The signal is (n,) or (batch, n); `window` weighs win_length samples, zeros around them; `center` first pads the
    signal by n_fft // 2 on both ends. onesided (the default of real signals) leaves out frequencies above the middle.
    RuntimeError where sizes do not fit or return_complex is not given for a real signal.

    >>> import hadamard as H
    >>> H.stft(H.ones(16), 4, window=H.hann_window(4), return_complex=True).shape
    torch.Size([3, 17])
    """
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. "
            "Other windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral "
            "leakage.To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        shape = (1,) * (3 - input.dim()) + tuple(input.shape)
        padded = H.nn.functional.pad(input.reshape(shape), (n_fft // 2, n_fft // 2), pad_mode)
        input = padded.view(padded.shape[3 - input.dim() :])
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    complex_ = input.is_complex() or window is not None and window.is_complex()
    if return_complex is None and not complex_:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release."
        )

    def refuse(reason):
        raise RuntimeError(
            f"stft({input.type()}{list(input.shape)}, n_fft={n_fft}, hop_length={hop}, win_length={width}, "
            f"window={_shown(window)}, normalized={int(normalized)}, onesided={_flag(onesided)}, "
            f"return_complex={_flag(return_complex)}, align_to_window={_flag(align_to_window)}) {reason}"
        )

    if not (input.is_floating_point() or input.is_complex()):
        refuse(": expected a tensor of floating point or complex values")
    if input.dim() not in (1, 2):
        refuse(": expected a 1D or 2D tensor")
    x = input if input.dim() == 2 else input.unsqueeze(0)
    n = x.size(1)
    if align_to_window:
        if not 0 < width <= n:
            refuse(f": expected 0 < win_length < {n}, but got win_length={width}")
    elif not 0 < n_fft <= n:
        refuse(f": expected 0 < n_fft < {n}, but got n_fft={n_fft}")
    if hop <= 0:
        refuse(f": expected hop_length > 0, but got hop_length={hop}")
    if not 0 < width <= n_fft:
        refuse(f": expected 0 < win_length <= n_fft, but got win_length={width}")
    if window is not None and tuple(window.shape) != (width,):
        refuse(
            f": expected a 1D window tensor of size equal to win_length={width}, but got window with size "
            f"{list(window.shape)}"
        )
    if window is None and width < n_fft:
        window = _C.ones(width, dtype=x.dtype)
    if align_to_window:
        left = (n_fft - width) // 2
        x = H.nn.functional.pad(x, (left, n_fft - width - left))
    pieces = x.unfold(1, n_fft, hop)
    if window is not None:
        pieces = pieces * _padded(window, width, n_fft)
    half = not complex_ if onesided is None else onesided
    if half and pieces.is_complex():
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    transform = H.fft.rfft if half else H.fft.fft
    y = transform(pieces, norm="ortho" if normalized else None).contiguous().mT
    y = y.squeeze(0) if input.dim() == 1 else y
    if return_complex is False and not complex_:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex "
            "tensors for all inputs, and return_complex=False will raise an error.\nNote: you can still call "
            "torch.view_as_real on the complex output to recover the old return format.",
            stacklevel=2,
        )
    return y if return_complex or return_complex is None else _C.view_as_real(y.contiguous())


def _overlapped(pieces, hop):
    """The sum of pieces (batch, count, n), each hop after the one before: (batch, n + hop (count - 1))."""
    batch, count, n = pieces.shape
    steps = -(-n // hop)
    if steps * hop > n:
        pieces = H.nn.functional.pad(pieces, (0, steps * hop - n))
    pieces = pieces.reshape(batch, count, steps, hop)
    total = _C.zeros(batch, count + steps - 1, hop, dtype=pieces.dtype)
    for k in range(steps):
        total.narrow(1, k, count).add_(pieces.select(2, k))
    return total.reshape(batch, -1).narrow(1, 0, n + hop * (count - 1))


def istft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    normalized=False,
    onesided=None,
    length=None,
    return_complex=False,
):
    """The signal of which `stft` with the same arguments gives `input`: (n,) or (batch, n), `length` samples of it.

    RuntimeError where sizes do not fit, or where the windows leave out a sample.

    >>> import hadamard as H
    >>> x, window = H.arange(8.0), H.hann_window(4)
    >>> y = H.istft(H.stft(x, 4, window=window, return_complex=True), 4, window=window)
    >>> H.allclose(x, y, atol=1e-5)
    True
    """
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied.Please provide the same window used by "
            "stft to make the inversion lossless.To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )

    def refuse(reason):
        kind = input.type().rpartition(".")[2].removesuffix("Tensor")
        raise RuntimeError(
            f"istft(CPU{kind}Type{list(input.shape)}, n_fft={n_fft}, hop_length={hop}, win_length={width}, "
            f"window={_shown(window)}, center={int(center)}, normalized={int(normalized)}, onesided={_flag(onesided)}, "
            f"length={length}, return_complex={int(return_complex)}) {reason}"
        )

    if input.numel() == 0:
        refuse(": input tensor cannot be empty.")
    if input.dim() not in (2, 3):
        refuse(f": expected a tensor with 2 or 3 dimensions, but got {input.dim()}")
    complex_window = window is not None and window.is_complex()
    half = input.size(-2) != n_fft if onesided is None else onesided
    if half and n_fft // 2 + 1 != input.size(-2):
        refuse(
            ": expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when "
            f"onesided=True, but got {input.size(-2)}"
        )
    if not half and n_fft != input.size(-2):
        refuse(
            ": expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when "
            f"onesided=False, but got {input.size(-2)}"
        )
    if not 0 < hop <= width:
        refuse(": expected 0 < hop_length <= win_length")
    if not 0 < width <= n_fft:
        refuse(": expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (width,):
        refuse(": Invalid window shape. window has to be 1D and length of `win_length`")
    if return_complex and half or not return_complex and complex_window:
        raise RuntimeError(
            "Cannot have onesided output if window or input is complex"
            if return_complex
            else "Complex windows are incompatible with return_complex=False"
        )
    real = input.real.dtype
    window = _padded(_C.ones(width, dtype=real) if window is None else window, width, n_fft)
    x = (input if input.dim() == 3 else input.unsqueeze(0)).mT
    norm = "ortho" if normalized else None
    if return_complex:
        pieces = H.fft.ifft(x, norm=norm)
    else:
        pieces = H.fft.irfft(x if half else x[..., : n_fft // 2 + 1], n_fft, norm=norm)
    count = pieces.size(1)
    y = _overlapped(pieces * window, hop)
    weight = _overlapped((window * window).expand(1, count, n_fft), hop)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else y.size(1) - start
    y, weight = y[:, start:end], weight[:, start:end]
    least = float(weight.detach().abs().min()) if weight.numel() else 1.0
    if least < 1e-11:
        refuse(f"window overlap add min: {int(least < 1e-11)}")
    y = y / weight
    if length is not None and y.size(1) < length:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings.",
            stacklevel=2,
        )
        y = H.nn.functional.pad(y, (0, length - y.size(1)))
    return y.squeeze(0) if input.dim() == 2 else y
