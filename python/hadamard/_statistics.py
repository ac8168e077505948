"""Histograms, finite differences, the parts of floating-point numbers, distances, and places of fixed number."""

import hadamard as H

from . import _C
from ._common import into, named, scalar_name

__all__ = (
    "frexp gradient histogram histogramdd is_inference is_same_size narrow_copy nonzero_static pdist segment_reduce"
).split()

_Frexp = named("frexp", ["mantissa", "exponent"])
_Histogram = named("histogram", ["hist", "bin_edges"])
_HistogramDD = named("histogramdd", ["hist", "bin_edges"])


class Frexp(H.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        import numpy

        wide = x.detach().float() if x.dtype in (H.float16, H.bfloat16) else x.detach()
        mantissa, exponent = numpy.frexp(wide.contiguous().numpy())
        exponent = H.from_numpy(numpy.asarray(exponent, dtype=numpy.int32))
        ctx.mark_non_differentiable(exponent)
        ctx.save_for_backward(exponent)
        return H.from_numpy(numpy.asarray(mantissa)).to(x.dtype), exponent

    @staticmethod
    def backward(ctx, g, _):
        (exponent,) = ctx.saved_tensors
        return g / _C.pow(H.tensor(2.0, dtype=g.dtype), exponent)


def frexp(input, *, out=None):
    """(mantissa, exponent) with input = mantissa · 2^exponent and ½ <= |mantissa| < 1; the exponent is int32.

    RuntimeError for integers. Gradients flow through the mantissa.

    >>> import hadamard as H
    >>> H.frexp(H.tensor([1.0, -3.5])).mantissa
    tensor([ 0.5000, -0.8750])
    """
    if not input.is_floating_point():
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return into(out, _Frexp(*Frexp.apply(input)))


def _slope(x, d, step, edge_order):
    """The derivative along dimension d by second-order differences; step is a number or coordinates."""
    n = x.size(d)

    def part(start, length):
        return x.narrow(d, start, length)

    if not isinstance(step, H.Tensor):
        inner = (part(2, n - 2) - part(0, n - 2)) / (2 * step)
        if edge_order == 1:
            ends = [(part(1, 1) - part(0, 1)) / step, (part(n - 1, 1) - part(n - 2, 1)) / step]
        else:
            ends = [
                (-3 * part(0, 1) + 4 * part(1, 1) - part(2, 1)) / (2 * step),
                (3 * part(n - 1, 1) - 4 * part(n - 2, 1) + part(n - 3, 1)) / (2 * step),
            ]
        return _C.cat([ends[0], inner, ends[1]], d)
    shape = [1] * x.dim()
    shape[d] = n - 1
    gaps = (step[1:] - step[:-1]).reshape(shape)

    def three(h, k, at):  # the weights of f(-h), f(0), f(k) in the derivative at one of the three
        if at == "left":
            return -(2 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k))
        if at == "right":
            return k / (h * (h + k)), -(h + k) / (h * k), (h + 2 * k) / (k * (h + k))
        return -k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))

    def weighed(start, length, at):
        h, k = gaps.narrow(d, start, length), gaps.narrow(d, start + 1, length)
        return sum(w * part(start + i, length) for i, w in enumerate(three(h, k, at)))

    if edge_order == 1:
        first = (part(1, 1) - part(0, 1)) / gaps.narrow(d, 0, 1)
        last = (part(n - 1, 1) - part(n - 2, 1)) / gaps.narrow(d, n - 2, 1)
    else:
        first, last = weighed(0, 1, "left"), weighed(n - 3, 1, "right")
    middle = [weighed(0, n - 2, "middle")] if n > 2 else []
    return _C.cat([first, *middle, last], d)


def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """Derivatives of the values of a function, one tensor for each of the dimensions `dim` (all of them).

    spacing: the distance of neighbours (1), one for each dimension, or a tensor of coordinates for each. Inside, the
    differences are of second order; at the ends of order `edge_order`, 1 or 2. Gradients flow.

    >>> import hadamard as H
    >>> H.gradient(H.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    n = input.dim()
    if isinstance(spacing, H.Tensor):
        raise TypeError(
            "gradient() received an invalid combination of arguments - got (Tensor, spacing=Tensor), but expected one "
            "of:\n (Tensor, Number spacing, ...), (Tensor, tuple of Number spacing, ...), (Tensor, tuple of Tensors "
            "spacing, ...)"
        )
    given = dim is not None
    dims = list(range(n)) if not given else [dim] if isinstance(dim, int) else list(dim)
    steps = [1 if spacing is None else spacing] * len(dims) if not isinstance(spacing, (list, tuple)) else list(spacing)
    if len(steps) != len(dims):
        if given:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have "
                f"the same length, but got a spacing argument of length {len(steps)} and a dim argument of length "
                f"{len(dims)}."
            )
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{n}', since dim argument was not given, but got a list of length {len(steps)}"
        )
    if input.dtype == H.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    wrapped = []
    for d in dims:
        if not -n <= d < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
        if d % n in wrapped:
            raise RuntimeError(f"dim {d % n} appears multiple times in the list of dims")
        wrapped.append(d % n)
    for d in wrapped:
        if input.size(d) < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(_slope(input, d, step, edge_order) for d, step in zip(wrapped, steps, strict=True))


_CPP = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}


def _edges(values, bins, low_high, d, name):
    """Edges of `bins` (a number or a tensor of edges) equal bins over the values' range."""
    if isinstance(bins, H.Tensor):
        if bins.dtype is not values.dtype:
            shown = [_CPP.get(repr(t.dtype)[6:], repr(t.dtype)[6:]) for t in (values, bins)]
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{shown[0]} and bins for dimension {d} with dtype {shown[1]}"
            )
        count = bins.numel() - 1
    else:
        count = bins
    if count <= 0:
        raise RuntimeError(f"{name}(): bins must be > 0, but got {max(count, 0)} for dimension {d}")
    if isinstance(bins, H.Tensor):
        return bins.detach().clone()
    if low_high is not None:
        low, high = low_high
    elif values.numel() == 0:
        low, high = 0.0, 1.0
    else:
        low, high = float(values.min()), float(values.max())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"torch.histogramdd: dimension {d}'s range [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(
            f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {d}"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _C.linspace(low, high, count + 1, dtype=values.dtype)


def _counts(points, edges, weight, density):
    """points (n, dimensions) counted in the boxes of `edges`; the last box of each dimension has its upper edge."""
    inside, flat = None, 0
    for d, edge in enumerate(edges):
        x = points[:, d].contiguous()
        size = edge.numel() - 1
        place = _C.searchsorted(edge, x, right=True) - 1
        place = _C.where(x == edge[-1], size - 1, place)
        good = (x >= edge[0]) & (x <= edge[-1])
        inside = good if inside is None else inside & good
        flat = flat * size + place
    shape = [edge.numel() - 1 for edge in edges]
    hist = _C.zeros(H.Size(shape).numel(), dtype=points.dtype)
    weight = _C.ones(points.size(0), dtype=points.dtype) if weight is None else weight.detach().reshape(-1)
    hist = hist.index_add(0, flat[inside], weight[inside].to(hist.dtype)).view(shape)
    if density:
        hist = hist / hist.sum()
        for d, edge in enumerate(edges):
            hist = hist / (edge[1:] - edge[:-1]).view([-1] + [1] * (len(edges) - 1 - d))
    return hist


def _check_histogram(points, bins, shape, weight):
    if not points.is_floating_point():
        kernel = "histogram_cpu" if isinstance(bins, H.Tensor) else "histogramdd"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(points.dtype)}'")
    if points.dtype in (H.float16, H.bfloat16) and not isinstance(bins, H.Tensor):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{scalar_name(points.dtype)}'")
    if weight is not None and tuple(weight.shape) != tuple(shape[:-1]):
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor "
            f"excluding its innermost dimension, but got input with shape {list(shape)} and weight with shape "
            f"{list(weight.shape)}"
        )


def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges): how many elements, or how much `weight`, lie in each bin.

    bins: a number of equal bins over `range` (by default from the least element to the greatest), or their edges as a
    sorted tensor. `density` divides by the total and by the widths. No gradients.

    >>> import hadamard as H
    >>> H.histogram(H.tensor([1.0, 2.0, 1.0]), bins=4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    points = input.detach().reshape(-1, 1)
    weight = None if weight is None else weight.reshape(-1)
    _check_histogram(points, bins, points.shape, weight)
    edge = _edges(points, bins, range, 0, "torch.histogram")
    return into(out, _Histogram(_counts(points, [edge], weight, density), edge))


def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """`histogram` of points (…, N) in N dimensions: (hist of N dimensions, a tuple of N edges).

    bins: a number, one for each dimension, or a tensor of edges for each; range: low and high of each, in one list.

    >>> import hadamard as H
    >>> H.histogramdd(H.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), bins=[2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    if input.dim() < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    n = input.size(-1)
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if len(bins) != n:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    if range is not None and len(range) != 2 * n:
        raise RuntimeError(
            f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} elements, but got "
            f"{len(range)}"
        )
    _check_histogram(input, bins[0] if bins else None, input.shape, weight)
    points = input.detach().reshape(-1, n)
    edges = [
        _edges(points[:, d], b, None if range is None else range[2 * d : 2 * d + 2], d, "torch.histogramdd")
        for d, b in enumerate(bins)
    ]
    return _HistogramDD(_counts(points, edges, weight, density), tuple(edges))


def pdist(input, p=2.0):
    """The p-norm distances of all pairs of rows of (n, m), each pair once: (n (n - 1) / 2,). Gradients flow.

    >>> import hadamard as H
    >>> H.pdist(H.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if input.size(0) > 1 and input.dtype in (H.float16, H.bfloat16):
        raise NotImplementedError(f"\"pdist\" not implemented for '{scalar_name(input.dtype)}'")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    i, j = _C.triu_indices(input.size(0), input.size(0), 1)
    return _C.linalg_vector_norm(input[i] - input[j], p, -1)


def nonzero_static(input, *, size, fill_value=-1, out=None):
    """`nonzero` with exactly `size` rows: cut off, or filled up with `fill_value`.

    >>> import hadamard as H
    >>> H.nonzero_static(H.tensor([0, 5, 7]), size=3).tolist()
    [[1], [2], [-1]]
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = _C.nonzero(input)[:size]
    rest = _C.full((size - found.size(0), input.dim()), fill_value, dtype=H.int64)
    return into(out, _C.cat([found, rest]))


def is_same_size(input, other):
    """Whether two tensors have the same shape.

    >>> import hadamard as H
    >>> H.is_same_size(H.ones(2), H.zeros(2))
    True
    """
    return input.shape == other.shape


def is_inference(input):
    """Whether the tensor was made in inference mode.

    >>> import hadamard as H
    >>> H.is_inference(H.ones(2))
    False
    """
    return input.is_inference()


def narrow_copy(input, dim, start, length, *, out=None):
    """`narrow`, copied.

    >>> import hadamard as H
    >>> H.narrow_copy(H.arange(4), 0, 1, 2)
    tensor([1, 2])
    """
    return into(out, _C.narrow(input, dim, start, length).clone())


def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """ "sum", "mean", "max", "min" or "prod" of stretches of dimension 0, of these `lengths` or between `offsets`.

    Empty stretches give `initial`, or what the reduction starts from. Gradients flow.

    >>> import hadamard as H
    >>> H.segment_reduce(H.arange(6.0), "sum", lengths=H.tensor([2, 4]))
    tensor([ 1., 14.])
    """
    if axis != 0:
        raise RuntimeError("Currently only dim=0 is supported! segment_reduce is not implemented along other axes here")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    start = {"sum": 0.0, "mean": float("nan"), "max": -float("inf"), "min": float("inf"), "prod": 1.0}
    if reduce not in start:
        raise RuntimeError(f"reduce argument must be either max, min, mean, sum or prod, got {reduce}.")
    sizes = (lengths if lengths is not None else offsets[1:] - offsets[:-1]).tolist()
    if not unsafe and (any(n < 0 for n in sizes) or lengths is not None and sum(sizes) != data.size(0)):
        raise RuntimeError(
            "lengths contains negative value!"
            if any(n < 0 for n in sizes)
            else "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
            "!unsafe."
        )
    parts = []
    for part in _C.split(data[: sum(sizes)], sizes):
        if part.size(0) == 0:
            parts.append(_C.full(part.shape[1:], start[reduce] if initial is None else initial, dtype=data.dtype))
            continue
        if reduce in ("max", "min"):
            y = part.amax(0) if reduce == "max" else part.amin(0)
            extreme = _C.maximum if reduce == "max" else _C.minimum
            parts.append(y if initial is None else extreme(y, H.tensor(initial, dtype=data.dtype)))
        elif reduce == "prod":
            parts.append(part.prod(0) * (1.0 if initial is None else initial))
        else:
            total = part.sum(0) + (0.0 if initial is None else initial)
            parts.append(total / part.size(0) if reduce == "mean" else total)
    return _C.stack(parts)
