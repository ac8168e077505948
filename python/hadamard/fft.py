"""torch.fft: discrete Fourier transforms, computed by NumPy's and differentiated here.

The transform of n numbers x is X[k] = Σ_j x[j] exp(-2πi jk / n) (Cooley and Tukey, 1965). `norm` says where the factor
1/n goes: "backward" (the default) to the inverse, "forward" to the transform, "ortho" half to each.
"""

import hadamard as H
from hadamard import _C
from hadamard._common import into, scalar_name
from hadamard.autograd import Function

__all__ = (
    "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftfreq rfftfreq fftshift ifftshift"
).split()

_OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _computed(name, x, size, dtype, dim, norm):
    """What numpy.fft calls `name` of x along dim, which has `size` numbers of dtype then."""
    import numpy as np

    array, f = x.detach().numpy(), getattr(np.fft, name)
    n = (size,) if name == "irfft" else ()
    if np.__version__ < "2":  # computes in double, has no out=
        return H.from_numpy(np.ascontiguousarray(f(array, *n, axis=dim, norm=norm))).to(dtype)
    shape = list(x.shape)
    shape[dim] = size
    y = _C.empty(shape, dtype=dtype)
    f(array, *n, axis=dim, norm=norm, out=y.numpy())
    return y


class _Transform(Function):
    """Along one dimension, of complex numbers, as many out as in. Its adjoint is the other direction."""

    @staticmethod
    def forward(ctx, x, dim, inverse, norm):
        ctx.rest = dim, inverse, norm
        return _computed("ifft" if inverse else "fft", x, x.size(dim), x.dtype, dim, norm)

    @staticmethod
    def backward(ctx, g):
        dim, inverse, norm = ctx.rest
        return _Transform.apply(g, dim, not inverse, _OTHER[norm]), None, None, None


def _inner(y, n, dim, factor):
    """y, the first half of a spectrum of n, times `factor` but where it has no mirror image: at 0 and in the middle."""
    factors = [1.0] + [factor] * ((n - 1) // 2) + [1.0] * (n % 2 == 0)
    shape = [1] * y.dim()
    shape[dim] = len(factors)
    return y * H.tensor(factors, dtype=y.real.dtype).reshape(shape)


class _Half(Function):
    """Of n real numbers, the first n // 2 + 1 of their transform."""

    @staticmethod
    def forward(ctx, x, dim, inverse, norm):
        n = x.size(dim)
        ctx.rest = n, dim, inverse, norm
        dtype = H.complex128 if x.dtype == H.float64 else H.complex64
        y = _computed("rfft", x, n // 2 + 1, dtype, dim, _OTHER[norm] if inverse else norm)
        return y.conj() if inverse else y

    @staticmethod
    def backward(ctx, g):
        n, dim, inverse, norm = ctx.rest
        return _Whole.apply(_inner(g, n, dim, 0.5), n, dim, not inverse, _OTHER[norm]), None, None, None


class _Whole(Function):
    """The n real numbers whose transform begins with x and goes on with what mirrors it."""

    @staticmethod
    def forward(ctx, x, n, dim, inverse, norm):
        ctx.rest = n, dim, inverse, norm
        if not inverse:
            x, norm = x.conj(), _OTHER[norm]
        return _computed("irfft", x, n, x.real.dtype, dim, norm)

    @staticmethod
    def backward(ctx, g):
        n, dim, inverse, norm = ctx.rest
        return _inner(_Half.apply(g, dim, not inverse, _OTHER[norm]), n, dim, 2.0), None, None, None, None


def _complex(x):
    if x.is_complex():
        return x
    if x.dtype in (H.float16, H.bfloat16):
        raise RuntimeError(f"Unsupported dtype {scalar_name(x.dtype)}")
    return x.to(H.complex128 if x.dtype == H.float64 or _wide(x) else H.complex64)


def _wide(x):
    return not x.is_floating_point() and H.get_default_dtype() == H.float64


def _norm(norm):
    norm = "backward" if norm is None else norm
    if norm not in _OTHER:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm


def _resize(x, n, dim):
    """x cut off, or filled up with zeros, to n along dim."""
    if n is None:
        n = x.size(dim)
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    size = x.size(dim)
    if n < size:
        return x.narrow(dim, 0, n)
    if n > size:
        shape = list(x.shape)
        shape[dim] = n - size
        return _C.cat([x, _C.zeros(shape, dtype=x.dtype)], dim)
    return x


def _check_real(name, x, word="real"):
    if x.is_complex():
        raise RuntimeError(f"{name} expects a {word} input tensor, but got {scalar_name(x.dtype)}")


def _one(x, n, dim, norm, inverse):
    y = _Transform.apply(_resize(_complex(x), n, dim), dim % x.dim(), inverse, _norm(norm))
    return _C._named(y, f"Fft{'C' if x.is_complex() else 'R'}2CBackward0")


def _half(x, n, dim, norm, inverse):
    if x.dtype in (H.float16, H.bfloat16):
        raise RuntimeError(f"Unsupported dtype {scalar_name(x.dtype)}")
    if not x.is_floating_point():
        x = x.to(H.float64 if _wide(x) else H.float32)
    y = _Half.apply(_resize(x, n, dim), dim % x.dim(), inverse, _norm(norm))
    return _C._named(y, "FftR2CBackward0")


def _whole(x, n, dim, norm, inverse):
    n = 2 * (x.size(dim) - 1) if n is None else n
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    y = _Whole.apply(_resize(_complex(x), n // 2 + 1, dim), n, dim % x.dim(), inverse, _norm(norm))
    return _C._named(y, "FftC2RBackward0")


def fft(input, n=None, dim=-1, norm=None, *, out=None):
    """The transform along `dim`: complex, of `input`'s shape but for n there; real input is taken as complex.

    >>> import hadamard as H
    >>> H.fft.fft(H.tensor([1.0, 0.0, 0.0, 0.0])).real
    tensor([1., 1., 1., 1.])
    """
    return into(out, _one(input, n, dim, norm, False))


def ifft(input, n=None, dim=-1, norm=None, *, out=None):
    """The inverse of fft().

    >>> import hadamard as H
    >>> H.fft.ifft(H.fft.fft(H.tensor([1.0, 2.0]))).real
    tensor([1., 2.])
    """
    return into(out, _one(input, n, dim, norm, True))


def rfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The first n // 2 + 1 numbers of the transform of a real tensor; the rest are their conjugates.

    >>> import hadamard as H
    >>> H.fft.rfft(H.ones(4)).real
    tensor([4., 0., 0.])
    """
    _check_real("rfft", input)
    return into(out, _half(input, n, dim, norm, False))


def irfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The real tensor whose rfft() is `input`; n (by default 2 (size - 1)) says how long it was.

    >>> import hadamard as H
    >>> H.fft.irfft(H.fft.rfft(H.tensor([1.0, 2.0, 3.0])), n=3)
    tensor([1., 2., 3.])
    """
    return into(out, _whole(input, n, dim, norm, True))


def hfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The real transform of a signal whose second half is the conjugate of its first.

    >>> import hadamard as H
    >>> H.fft.hfft(H.tensor([1.0, 0.0]))
    tensor([1., 1.])
    """
    return into(out, _whole(input, n, dim, norm, False))


def ihfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The inverse of hfft(): of a real tensor, the first n // 2 + 1 numbers.

    >>> import hadamard as H
    >>> H.fft.ihfft(H.ones(2)).real
    tensor([1., 0.])
    """
    _check_real("ihfft", input)
    return into(out, _half(input, n, dim, norm, True))


def _dims(x, s, dim):
    if dim is None:
        dim = range(x.dim()) if s is None else range(x.dim() - len(s), x.dim())
    dim, s = ((v,) if isinstance(v, int) else v for v in (dim, s))
    dim = [d % x.dim() if -x.dim() <= d < x.dim() else d for d in dim]
    for d in dim:
        x.size(d)  # out of range: IndexError
    if len({*dim}) != len(dim):
        raise RuntimeError("FFT dims must be unique")
    if s is not None and len(s) != len(dim):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    return dim, [None if s is None or n == -1 else n for n in (s or dim)]


def _many(x, s, dim, norm, one):
    dims, sizes = _dims(x, s, dim)
    for d, n in zip(dims, sizes, strict=True):
        x = one(x, n, d, norm)
    return x


def fftn(input, s=None, dim=None, norm=None, *, out=None):
    """fft() along each of `dim` (all, or the last len(s)).

    >>> import hadamard as H
    >>> H.fft.fftn(H.ones(2, 2)).real
    tensor([[4., 0.],
            [0., 0.]])
    """
    return into(out, _many(_complex(input), s, dim, norm, fft))


def ifftn(input, s=None, dim=None, norm=None, *, out=None):
    """The inverse of fftn().

    >>> import hadamard as H
    >>> H.fft.ifftn(H.ones(2, 2)).real
    tensor([[1., 0.],
            [0., 0.]])
    """
    return into(out, _many(_complex(input), s, dim, norm, ifft))


def rfftn(input, s=None, dim=None, norm=None, *, out=None):
    """rfft() along the last of `dim`, fft() along the others.

    >>> import hadamard as H
    >>> H.fft.rfftn(H.ones(2, 2)).shape
    torch.Size([2, 2])
    """
    _check_real("rfftn", input, "real-valued")
    dims, sizes = _dims(input, s, dim)
    y = rfft(input, sizes[-1], dims[-1], norm)
    for d, n in zip(dims[:-1], sizes[:-1], strict=True):
        y = fft(y, n, d, norm)
    return into(out, y)


def irfftn(input, s=None, dim=None, norm=None, *, out=None):
    """The inverse of rfftn(); the last size is by default 2 (size - 1).

    >>> import hadamard as H
    >>> H.fft.irfftn(H.fft.rfftn(H.ones(2, 4)))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    dims, sizes = _dims(input, s, dim)
    y = _complex(input)
    for d, n in zip(dims[:-1], sizes[:-1], strict=True):
        y = ifft(y, n, d, norm)
    return into(out, irfft(y, sizes[-1], dims[-1], norm))


def fft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """fftn() along the last two dimensions.

    >>> import hadamard as H
    >>> H.fft.fft2(H.ones(2, 2)).real.sum()
    tensor(4.)
    """
    return fftn(input, s, dim, norm, out=out)


def ifft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """ifftn() along the last two dimensions.

    >>> import hadamard as H
    >>> H.fft.ifft2(H.ones(2, 2)).real.sum()
    tensor(1.)
    """
    return ifftn(input, s, dim, norm, out=out)


def rfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """rfftn() along the last two dimensions.

    >>> import hadamard as H
    >>> H.fft.rfft2(H.ones(4, 4)).shape
    torch.Size([4, 3])
    """
    return rfftn(input, s, dim, norm, out=out)


def irfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """irfftn() along the last two dimensions.

    >>> import hadamard as H
    >>> H.fft.irfft2(H.ones(4, 3)).shape
    torch.Size([4, 4])
    """
    return irfftn(input, s, dim, norm, out=out)


def fftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False):
    """The frequencies of fft()'s n results, in cycles per unit, for samples `d` apart.

    >>> import hadamard as H
    >>> H.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    k = _C.cat([_C.arange(0, (n + 1) // 2), _C.arange(-(n // 2), 0)])
    return (k.to(dtype or H.get_default_dtype()) / (n * d)).to(device or "cpu").requires_grad_(requires_grad)


def rfftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False):
    """The frequencies of rfft()'s results.

    >>> import hadamard as H
    >>> H.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    k = _C.arange(0, n // 2 + 1).to(dtype or H.get_default_dtype())
    return (k / (n * d)).to(device or "cpu").requires_grad_(requires_grad)


def _shift(x, dim, sign):
    dims = list(range(x.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return _C.roll(x, [x.size(d) // 2 if sign > 0 else (x.size(d) + 1) // 2 for d in dims], dims)


def fftshift(input, dim=None):
    """Frequency 0 in the middle.

    >>> import hadamard as H
    >>> H.fft.fftshift(H.arange(4))
    tensor([2, 3, 0, 1])
    """
    return _shift(input, dim, 1)


def ifftshift(input, dim=None):
    """The inverse of fftshift().

    >>> import hadamard as H
    >>> H.fft.ifftshift(H.arange(3))
    tensor([1, 2, 0])
    """
    return _shift(input, dim, -1)
