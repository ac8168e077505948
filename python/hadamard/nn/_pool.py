"""Pooling of any number of dimensions, through strided views of the input's windows."""

import math

import hadamard as H

from ._resize import pad
from ._tuples import _ntuple


def _brackets(shape):
    return "[" + ", ".join(str(n) for n in shape) + "]"


class _Plan:
    """Where the windows of a pooling over the last `n` dimensions lie."""

    def __init__(self, input, n, kernel, stride, padding, dilation, ceil_mode):
        many = _ntuple(n)
        self.n = n
        self.kernel = many(kernel)
        self.stride = self.kernel if stride is None or stride == () or stride == [] else many(stride)
        self.padding = many(padding)
        self.dilation = many(dilation)
        self.reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        self.input_size = list(input.shape[-n:])
        if any(s == 0 for s in self.stride):
            raise RuntimeError("stride should not be zero")
        if any(k <= 0 for k in self.kernel):
            raise RuntimeError("kernel size should be greater than zero, but got " + str(self.kernel))
        for p, k, d, reach in zip(self.padding, self.kernel, self.dilation, self.reach, strict=True):
            if p < 0:
                raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
            if p > reach // 2:
                raise RuntimeError(
                    f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                    f"dilation={d}"
                )
        self.size = []
        for length, p, reach, s in zip(self.input_size, self.padding, self.reach, self.stride, strict=True):
            room = length + 2 * p - reach
            out = (-(-room // s) if ceil_mode else room // s) + 1
            # A window that begins in the padding after the end has nothing in it.
            if ceil_mode and (out - 1) * s >= length + p:
                out -= 1
            self.size.append(out)
        if any(out < 1 for out in self.size):
            channels = input.shape[-n - 1] if input.dim() > n else 1
            given = "x".join(str(v) for v in (channels, *self.input_size))
            got = "x".join(str(max(v, 0)) for v in (channels, *self.size))
            raise RuntimeError(
                f"Given input size: ({given}). Calculated output size: ({got}). Output size is too small"
            )

    def padded(self, input, value):
        """`input` with so much padding that every window lies inside."""
        amounts = []
        for length, p, reach, s, out in zip(
            self.input_size, self.padding, self.reach, self.stride, self.size, strict=True
        ):
            amounts.append((p, max(0, (out - 1) * s + reach - length - p)))
        if not any(a or b for a, b in amounts):
            return input
        return pad(input, [v for pair in reversed(amounts) for v in pair], value=value)

    def windows(self, input, value):
        """A view of shape (…, *size, *kernel) of the padded input."""
        x = self.padded(input, value)
        first = x.dim() - self.n
        for i in range(self.n):
            x = x.unfold(first + i, self.reach[i], self.stride[i])
            if self.dilation[i] != 1:
                x = x[..., :: self.dilation[i]]
        # Padding at the end may leave room for one window more than there should be.
        for i in range(self.n):
            x = x.narrow(first + i, 0, self.size[i])
        return x

    def counts(self, like, with_padding):
        """How many elements each window holds, of shape `size`."""
        total = None
        for i in range(self.n):
            length, p, k, s = self.input_size[i], self.padding[i], self.kernel[i], self.stride[i]
            row = []
            for o in range(self.size[i]):
                start = o * s - p
                stop = min(start + k, length + p)
                row.append(stop - start if with_padding else min(stop, length) - max(start, 0))
            part = like.new_tensor(row).view(-1, *(1,) * (self.n - 1 - i))
            total = part if total is None else total * part
        return total


def _check_dims(name, input, n):
    if n == 1:
        if input.dim() not in (2, 3):
            raise RuntimeError(
                f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
                f"{_brackets(input.shape)}"
            )
    elif input.dim() not in (n + 1, n + 2):
        raise RuntimeError(f"non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input")


def _max_pool(name, input, n, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    _check_dims(name, input, n)
    plan = _Plan(input, n, kernel_size, stride, padding, dilation, ceil_mode)
    lowest = -math.inf if input.is_floating_point() else H.iinfo(input.dtype).min
    # flatten copies the windows; of equal values max takes the first, which then gets the gradient.
    values, best = plan.windows(input, lowest).flatten(-n).max(-1)
    if not return_indices:
        return values
    index = None
    for i in range(n):
        inside = math.prod(plan.kernel[i + 1 :])
        offset = (best // inside % plan.kernel[i]) * plan.dilation[i]
        starts = H.arange(plan.size[i], device=input.device) * plan.stride[i] - plan.padding[i]
        at = offset + starts.view(-1, *(1,) * (n - 1 - i))
        index = at if index is None else index * plan.input_size[i] + at
    return values, index


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, L) or (C, L); with `return_indices` also where in L it is."""
    return _max_pool("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, H, W) or (C, H, W); with `return_indices` also where in H · W it is.

    >>> import hadamard as H
    >>> F.max_pool2d(H.arange(16.0).view(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max_pool("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, D, H, W); with `return_indices` also where in D · H · W it is."""
    return _max_pool("max_pool3d", input, 3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool1d` with `return_indices`."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool2d` with `return_indices`."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """`max_pool3d` with `return_indices`."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def _max_unpool(input, indices, n, kernel_size, stride, padding, output_size):
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
    return flat.scatter(-1, indices.reshape(*lead, -1), input.reshape(*lead, -1)).view(*lead, *size)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool1d` found them; the rest is zero."""
    return _max_unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool2d` found them; the rest is zero."""
    return _max_unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts pooled values back where `max_pool3d` found them; the rest is zero."""
    return _max_unpool(input, indices, 3, kernel_size, stride, padding, output_size)


def _avg_pool(name, input, n, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    _check_dims(name, input, n)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    plan = _Plan(input, n, kernel_size, stride, padding, 1, ceil_mode)
    windows = plan.windows(input, 0.0)
    dims = tuple(range(-n, 0))
    if divisor_override is None and not ceil_mode and (count_include_pad or not any(plan.padding)):
        return windows.mean(dims)
    total = windows.sum(dims)
    return total / (divisor_override or plan.counts(input, count_include_pad))


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window of (N, C, L) or (C, L)."""
    return _avg_pool("avg_pool1d", input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    >>> import hadamard as H
    >>> F.avg_pool2d(H.arange(16.0).view(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _avg_pool(
        "avg_pool2d", input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""
    return _avg_pool(
        "avg_pool3d", input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(input, n, norm_type, kernel_size, stride, ceil_mode):
    plan = _Plan(input, n, kernel_size, stride, 0, 1, ceil_mode)
    total = plan.windows(input, 0.0).pow(norm_type).sum(tuple(range(-n, 0)))
    if ceil_mode:
        # Torch takes the mean over what a window holds times its full size.
        total = total / plan.counts(input, True) * math.prod(plan.kernel)
    return (total.sign() * total.abs().relu()).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, L)."""
    return _lp_pool(input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, H, W)."""
    return _lp_pool(input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of xᵖ) to the power 1 / p of each window of (N, C, D, H, W)."""
    return _lp_pool(input, 3, norm_type, kernel_size, stride, ceil_mode)


def _bins(length, count):
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _adaptive_sizes(name, input, n, output_size):
    if input.dim() not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got {_brackets(input.shape)}")
    sizes = _ntuple(n)(output_size)
    return [have if want is None else want for want, have in zip(sizes, input.shape[-n:], strict=True)]


def _adaptive(name, input, n, output_size, reduce):
    # Bins are rectangles, and both mean and maximum may be taken one dimension after the other.
    sizes = _adaptive_sizes(name, input, n, output_size)
    first = input.dim() - n
    for i, count in enumerate(sizes):
        dim = first + i
        length = input.shape[dim]
        if count == length:
            continue
        if count and length % count == 0:
            input = reduce(input.unflatten(dim, (count, length // count)), dim + 1)
        else:
            parts = [reduce(input.narrow(dim, a, b - a), dim) for a, b in _bins(length, count)]
            input = H.stack(parts, dim) if parts else input.narrow(dim, 0, 0)
    return input


def _mean(x, dim):
    return x.mean(dim)


def adaptive_avg_pool1d(input, output_size):
    """Means over as many windows as `output_size` asks for: (N, C, L) to (N, C, output_size)."""
    return _adaptive("adaptive_avg_pool1d", input, 1, output_size, _mean)


def adaptive_avg_pool2d(input, output_size):
    """Means over as many windows as `output_size` asks for: (N, C, H, W) to (N, C, *output_size).

    >>> import hadamard as H
    >>> F.adaptive_avg_pool2d(H.ones(1, 3, 5, 7), (2, None)).shape
    torch.Size([1, 3, 2, 7])
    """
    return _adaptive("adaptive_avg_pool2d", input, 2, output_size, _mean)


def adaptive_avg_pool3d(input, output_size):
    """Means over as many windows as `output_size` asks for: (N, C, D, H, W) to (N, C, *output_size)."""
    return _adaptive("adaptive_avg_pool3d", input, 3, output_size, _mean)


def _adaptive_max(name, input, n, output_size, return_indices):
    if not return_indices:
        return _adaptive(name, input, n, output_size, lambda x, dim: x.max(dim).values)
    sizes = _adaptive_sizes(name, input, n, output_size)
    full = list(input.shape[-n:])
    places = H.arange(math.prod(full), device=input.device).view(full)
    values, found = [], []
    ranges = [_bins(length, count) for length, count in zip(full, sizes, strict=True)]
    for cell in _cells(ranges):
        box = tuple(slice(a, b) for a, b in cell)
        best, at = input[(..., *box)].flatten(-n).max(-1)
        values.append(best)
        found.append(places[box].flatten()[at])
    lead = input.shape[:-n]
    return (
        H.stack(values, -1).view(*lead, *sizes),
        H.stack(found, -1).view(*lead, *sizes),
    )


def _cells(ranges):
    if not ranges:
        yield ()
        return
    for first in ranges[0]:
        for rest in _cells(ranges[1:]):
            yield (first, *rest)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, L) to (N, C, output_size)."""
    return _adaptive_max("adaptive_max_pool1d", input, 1, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, H, W) to (N, C, *output_size)."""
    return _adaptive_max("adaptive_max_pool2d", input, 2, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Maxima over as many windows as `output_size` asks for: (N, C, D, H, W) to (N, C, *output_size)."""
    return _adaptive_max("adaptive_max_pool3d", input, 3, output_size, return_indices)
