"""Pooling: what the native functions leave to do."""

import math

from hadamard import _C

from ._kernels import require
from ._resize import like_format
from ._tuples import _ntuple

avg_pool1d = _C.avg_pool1d
avg_pool2d = _C.avg_pool2d
avg_pool3d = _C.avg_pool3d


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, L) or (C, L); with `return_indices` also where in L it is."""
    pool = _C.max_pool1d_with_indices if return_indices else _C.max_pool1d
    return pool(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, H, W) or (C, H, W); with `return_indices` also where in H · W it is.

    >>> import hadamard as H
    >>> F.max_pool2d(H.arange(16.0).view(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    pool = _C.max_pool2d_with_indices if return_indices else _C.max_pool2d
    return pool(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, D, H, W); with `return_indices` also where in D · H · W it is."""
    pool = _C.max_pool3d_with_indices if return_indices else _C.max_pool3d
    return pool(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool1d` with `return_indices`."""
    return _C.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool2d` with `return_indices`."""
    return _C.max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool3d` with `return_indices`."""
    return _C.max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_unpool(input, indices, n, kernel_size, stride, padding, output_size):
    channels_last = n == 2 and input.dim() == 4 and not input.is_contiguous() and input.stride(1) == 1
    kernel_name = "max_unpool3d" if n == 3 else "max_unpool2d_channels_last" if channels_last else "max_unpool2d"
    if input.shape != indices.shape:
        seen = [[*t.shape, 1] if n == 1 else list(t.shape) for t in (input, indices)]
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({seen[0]}) but got indices tensor with "
            f"shape: {seen[1]}"
        )
    require(input, kernel_name)
    many = _ntuple(n)
    kernel, padding = many(kernel_size), many(padding)
    stride = kernel if stride is None else many(stride)
    default = [
        (length - 1) * s + k - 2 * p for length, s, k, p in zip(input.shape[-n:], stride, kernel, padding, strict=True)
    ]
    if output_size is None:
        size = default
    else:
        size = list(output_size)
        if len(size) == n + 2:
            size = size[2:]
        if len(size) != n:
            raise ValueError(
                f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
                f"'{len(size)}'"
            )
        for d in range(n):
            low, high = default[d] - stride[d], default[d] + stride[d]
            if not low < size[d] < high:
                raise ValueError(f'invalid output_size "{size}" (dim {d} must be between {low} and {high})')
    lead = input.shape[:-n]
    flat = input.new_zeros((*lead, math.prod(size)))
    y = flat.scatter(-1, indices.reshape(*lead, -1), input.reshape(*lead, -1)).view(*lead, *size)
    return like_format(y, input)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool1d` found them; the rest is zero."""
    return _max_unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool2d` found them; the rest is zero."""
    return _max_unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool3d` found them; the rest is zero."""
    return _max_unpool(input, indices, 3, kernel_size, stride, padding, output_size)


def _lp_pool(average, input, n, norm_type, kernel_size, stride, ceil_mode):
    mean = average(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    total = mean.sign() * _C.relu(mean.abs()) * math.prod(_ntuple(n)(kernel_size))
    return total.pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, L)."""
    return _lp_pool(avg_pool1d, input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, H, W)."""
    return _lp_pool(avg_pool2d, input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, D, H, W)."""
    return _lp_pool(avg_pool3d, input, 3, norm_type, kernel_size, stride, ceil_mode)


def _sizes(input, n, output_size):
    # None keeps a size.
    if isinstance(output_size, int):
        return output_size
    sizes = _ntuple(n)(output_size)
    if input.dim() < n + 1:
        raise ValueError(f"Input dimension should be at least {n + 1}")
    if len(sizes) != n:
        return list(sizes)
    return [have if want is None else want for want, have in zip(sizes, input.shape[-n:], strict=True)]


adaptive_avg_pool1d = _C.adaptive_avg_pool1d


def adaptive_avg_pool2d(input, output_size):
    """Means over as many windows as `output_size` asks for: (N, C, H, W) to (N, C, *output_size).

    >>> import hadamard as H
    >>> F.adaptive_avg_pool2d(H.ones(1, 3, 5, 7), (2, None)).shape
    torch.Size([1, 3, 2, 7])
    """
    return _C.adaptive_avg_pool2d(input, _sizes(input, 2, output_size))


def adaptive_avg_pool3d(input, output_size):
    """Means over as many windows as `output_size` asks for: (N, C, D, H, W) to (N, C, *output_size)."""
    return _C.adaptive_avg_pool3d(input, _sizes(input, 3, output_size))


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, L) to (N, C, output_size)."""
    values, indices = _C.adaptive_max_pool1d(input, _sizes(input, 1, output_size))
    return (values, indices) if return_indices else values


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, H, W) to (N, C, *output_size)."""
    values, indices = _C.adaptive_max_pool2d(input, _sizes(input, 2, output_size))
    return (values, indices) if return_indices else values


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, D, H, W) to (N, C, *output_size)."""
    values, indices = _C.adaptive_max_pool3d(input, _sizes(input, 3, output_size))
    return (values, indices) if return_indices else values


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool1d` with `return_indices`."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` with `return_indices`."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool3d` with `return_indices`."""
    return adaptive_max_pool3d(input, output_size, True)


def _fractional(n, name, input, kernel_size, output_size, output_ratio, samples):
    """Windows of fixed size at places that a random number shifts: Graham, "Fractional Max-Pooling"."""
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    many, sizes = _ntuple(n), input.shape[-n:]
    kernel = many(kernel_size)
    if output_size is None:
        if isinstance(output_ratio, tuple) and len(output_ratio) > n:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        output_size = tuple(int(s * r) for s, r in zip(sizes, many(output_ratio), strict=True))
    output = many(output_size)
    batched = input.dim() == n + 2
    x = input if batched else input.unsqueeze(0)
    for s, o, k, which in zip(sizes, output, kernel, ("time", "height", "width")[3 - n :], strict=True):
        if o + k - 1 > s:
            raise RuntimeError(f"{name}(): pool {which} {k} too large relative to input {which} {s}")
    if samples is None:
        samples = _C.rand(x.size(0), x.size(1), n, dtype=x.dtype)
    if not input.numel():
        empty = input.reshape((*input.shape[:-n], *output))
        return empty, empty.long()
    require(input, f"{name}_out_frame")
    # In two dimensions torch takes the first number for the last one.
    order = range(n) if n == 3 else reversed(range(n))
    where = None
    for d, i in enumerate(order):
        u = samples[..., i].unsqueeze(-1)
        o, s, k = output[d], sizes[d], kernel[d]
        steps = _C.arange(o, dtype=x.dtype)
        if o > 1:
            alpha = (s - k) / (o - 1)
            start = ((steps + u) * alpha).long() - (u * alpha).long()
            start[..., -1] = s - k
        else:
            start = _C.full((*u.shape[:-1], 1), s - k)
        place = start.unsqueeze(-1) + _C.arange(k)  # (N, C, outputs, kernel)
        for _ in range(d):
            place = place.unsqueeze(2).unsqueeze(-2)
        if where is None:
            where = place
        else:
            where = where.unsqueeze(2 + d).unsqueeze(-1) * s + place
    flat = x.flatten(2)
    windows = where.flatten(2 + n).flatten(2, 1 + n)  # (N, C, all outputs, all of the kernel)
    seen = flat.unsqueeze(2).expand(*windows.shape[:3], -1).gather(3, windows)
    best = seen.argmax(3, keepdim=True)
    indices = windows.gather(3, best).squeeze(3)
    result = flat.gather(2, indices).view(*x.shape[:2], *output), indices.view(*x.shape[:2], *output)
    return result if batched else tuple(t.squeeze(0) for t in result)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` with where in H · W each maximum is."""
    return _fractional(2, "fractional_max_pool2d", input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Maxima of windows at random places, as many as output_size, or output_ratio times the size, asks for.

    >>> import hadamard as H
    >>> F.fractional_max_pool2d(H.rand(1, 2, 9, 9), 2, output_ratio=0.5).shape
    torch.Size([1, 2, 4, 4])
    """
    both = fractional_max_pool2d_with_indices(
        input, kernel_size, output_size, output_ratio, _random_samples=_random_samples
    )
    return both if return_indices else both[0]


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool3d` with where in D · H · W each maximum is."""
    return _fractional(3, "fractional_max_pool3d", input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` of (N, C, D, H, W)."""
    both = fractional_max_pool3d_with_indices(
        input, kernel_size, output_size, output_ratio, _random_samples=_random_samples
    )
    return both if return_indices else both[0]
