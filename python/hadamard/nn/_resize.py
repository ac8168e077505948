"""Padding, interpolation and the rearranging of pixels and channels."""

import math
import warnings

import hadamard as H
from hadamard import _C

from ._kernels import require


def _check_constant(input, amounts):
    for i in range(len(amounts) // 2):
        before, after = amounts[2 * i], amounts[2 * i + 1]
        length = input.shape[input.dim() - 1 - i]
        if length + before + after < 0:
            raise RuntimeError(
                f"The input size {length}, plus negative padding {before} and {after} resulted in a negative "
                f"output size, which is invalid. Check dimension {input.dim() - 1 - i} of your input."
            )
        if length - max(0, -after) < max(0, -before):
            raise RuntimeError("narrow(): length must be non-negative.")


def _check_edges(input, amounts, mode):
    n = len(amounts) // 2
    if n > 3 or input.dim() not in (n + 1, n + 2) or len(amounts) % 2:
        raise NotImplementedError(
            f"Padding size {len(amounts)} is not supported for {input.dim()}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if input.dtype == H.bool and mode != "circular":
        require(input, f"{'reflection' if mode == 'reflect' else 'replication'}_pad{n}d")
    shape = list(input.shape)
    for i in range(n):
        dim = input.dim() - 1 - i
        before, after = amounts[2 * i], amounts[2 * i + 1]
        length = input.shape[dim]
        if mode == "reflect" and (before >= length or after >= length):
            raise RuntimeError(
                f"Argument #{4 + 2 * i}: Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({before}, {after}) at dimension {dim} of input {shape}"
            )
        if mode == "circular" and (before > length or after > length):
            raise RuntimeError("Padding value causes wrapping around more than once.")


_EDGES = {"reflect": 1, "replicate": 2, "circular": 3}


def pad(input, pad, mode="constant", value=None):
    """Adds to the ends of the last dimensions: `pad` is (before, after) of the last, then of the one before it, …

    Negative amounts crop. `mode` is "constant" (filled with `value`, 0 by default), "reflect", "replicate" or
    "circular".

    >>> import hadamard as H
    >>> F.pad(H.tensor([[1.0, 2.0, 3.0]]), (1, 2))
    tensor([[0., 1., 2., 3., 0., 0.]])
    """
    amounts = list(pad)
    if len(amounts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(amounts) // 2 > input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(amounts)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        _check_constant(input, amounts)
        if not amounts:
            return _C._named(input.clone(), "ConstantPadNdBackward0")
        return _C._pad(input, amounts, 0, 0.0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _EDGES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    _check_edges(input, amounts, mode)
    return _C._pad(input, amounts, _EDGES[mode], 0)


def _scales(input, size, scale_factor, recompute):
    spatial = input.shape[2:]
    n = len(spatial)
    if size is not None:
        given, size = size, list(size) if isinstance(size, (tuple, list)) else [size] * n
        if len(size) != n:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {list(spatial)} and output size of {given}. Please provide input tensor in (N, C, d1, "
                "d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
            )
        return size, [None] * n
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * n
    if len(factors) != n:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions of {list(spatial)} and scale_factor of shape {factors}. Please provide input tensor in (N, C, "
            "d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
        )
    size = [math.floor(float(length) * f) for length, f in zip(spatial, factors, strict=True)]
    return size, [None] * n if recompute else [float(f) for f in factors]


def _source(out, length, factor, align_corners, like):
    # Where in the input the centre of each output element lies.
    o = H.arange(out, dtype=like.dtype, device=like.device)
    if align_corners:
        return o * ((length - 1) / (out - 1) if out > 1 else 0.0)
    step = length / out if factor is None else 1.0 / factor
    return (o + 0.5) * step - 0.5


def _taps_linear(at, length):
    at = at.clamp(min=0)
    low = at.floor().long().clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    t = at - low
    return [(low, 1 - t), (high, t)]


def _taps_cubic(at, length):
    a = -0.75
    low = at.floor()
    t = at - low

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    base = low.long()
    return [((base + k - 1).clamp(0, length - 1), w) for k, w in enumerate(weights)]


def _along(x, dim, taps):
    shape = [1] * x.dim()
    shape[dim] = -1
    total = None
    for index, weight in taps:
        part = x.index_select(dim, index) * weight.view(shape)
        total = part if total is None else total + part
    return total


def _smoothing(out, length, step, mode, like):
    # (length, out): each output is the mean of the inputs around its centre by a filter as wide as `step` says.
    wide = max(step, 1.0)
    reach = wide * (2 if mode == "bicubic" else 1)
    columns = []
    for o in range(out):
        centre = step * (o + 0.5)
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), length)
        weights = [0.0] * length
        for i in range(first, last):
            weights[i] = _filter(abs((i - centre + 0.5) / wide), mode)
        total = sum(weights)
        columns.append([w / total if total else 0.0 for w in weights])
    return H.tensor(columns, dtype=like.dtype, device=like.device).t()


def _filter(x, mode):
    if mode == "bilinear":
        return max(1.0 - x, 0.0)
    a = -0.5
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


_LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4}


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Resizes the dimensions from 2 on to `size` or by `scale_factor`.

    `mode` is "nearest", "nearest-exact", "linear" (3-D), "bilinear" or "bicubic" (4-D), "trilinear" (5-D) or "area".
    """
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    elif mode in _LINEAR:
        if input.dim() != _LINEAR[mode]:
            raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {_LINEAR[mode]}D input")
    else:
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {input.dim()}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | "
            f"nearest-exact (got {mode})"
        )
    if antialias and not (mode in ("bilinear", "bicubic") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    sizes, factors = _scales(input, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        pools = (_C.adaptive_avg_pool1d, _C.adaptive_avg_pool2d, _C.adaptive_avg_pool3d)
        return pools[len(sizes) - 1](input, sizes)
    if mode.startswith("nearest"):
        # torch's choice between two kernels of its own.
        vectors = input.dim() == 4 and (
            sum(sizes) <= 128 or (input.size(1) > 3 and input.is_contiguous(memory_format=H.channels_last))
        )
        kernel = "upsample_nearest2d_channels_last" if vectors else "compute_indices_weights_nearest"
        require(input, kernel, also=(H.uint8,))
    elif mode == "bilinear" and len(sizes) == 2:
        require(input, "upsample_bilinear2d_channels_last", also=(H.uint8,))
    elif mode == "bicubic":
        require(input, "compute_indices_weights_cubic", also=(H.uint8,))
    else:
        require(input, "compute_indices_weights_linear")
    if input.dtype in (H.float16, H.bfloat16) and not mode.startswith("nearest"):
        y = interpolate(input.float(), size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
        return y.to(input.dtype)
    if input.dtype == H.uint8 and not mode.startswith("nearest"):
        y = interpolate(input.float(), size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
        return (y + 0.5).floor().clamp(0, 255).to(H.uint8)
    x = input
    for i, (out, factor) in enumerate(zip(sizes, factors, strict=True)):
        dim = 2 + i
        length = input.shape[dim]
        if mode.startswith("nearest"):
            step = length / out if factor is None else 1.0 / factor
            shift = 0.5 if mode == "nearest-exact" else 0.0
            index = [min(int((o + shift) * step), length - 1) for o in range(out)]
            if index != list(range(length)):
                x = x.index_select(dim, H.tensor(index, device=input.device))
            continue
        if antialias:
            scale = (length - 1) / (out - 1) if align_corners and out > 1 else length / out
            step = scale if align_corners or factor is None else 1.0 / factor
            x = _C.movedim(_C.movedim(x, dim, -1) @ _smoothing(out, length, step, mode, input), -1, dim)
            continue
        taps = _taps_cubic if mode == "bicubic" else _taps_linear
        x = _along(x, dim, taps(_source(out, length, factor, bool(align_corners), input), length))
    y = like_format(x, input)
    if y is input:
        return y
    kind = "".join(word.capitalize() for word in mode.split("-"))
    return _C._named(y, f"Upsample{kind}{len(sizes)}DBackward0")


def like_format(y, input):
    # y laid out with its channels last where the input is and not also contiguous.
    if not input.is_contiguous() and input.dim() in (4, 5):
        form = H.channels_last if input.dim() == 4 else H.channels_last_3d
        return y.contiguous(memory_format=form if input.is_contiguous(memory_format=form) else H.contiguous_format)
    return y


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Deprecated: use `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """Deprecated: use `interpolate`."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """Deprecated: use `interpolate`."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def pixel_shuffle(input, upscale_factor):
    """(…, C · r², H, W) to (…, C, H · r, W · r)."""
    r = upscale_factor
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}"
        )
    c = channels // (r * r)
    x = input.reshape(math.prod(lead), c, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return _C._named(x.reshape(*lead, c, height * r, width * r), "PixelShuffleBackward0")


def pixel_unshuffle(input, downscale_factor):
    """(…, C, H · r, W · r) to (…, C · r², H, W)."""
    r = downscale_factor
    *lead, c, height, width = input.shape
    for size, which in ((height, "height"), (width, "width")):
        if size % r:
            place = -2 if which == "height" else -1
            raise RuntimeError(
                f"pixel_unshuffle expects {which} to be divisible by downscale_factor, but input.size({place})={size} "
                f"is not divisible by {r}"
            )
    x = input.reshape(math.prod(lead), c, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return _C._named(x.reshape(*lead, c * r * r, height // r, width // r), "PixelUnshuffleBackward0")


def channel_shuffle(input, groups):
    """The channels of (N, C, …) reordered so that each of `groups` contributes in turn."""
    if input.size(1) % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {input.size(1)} channels and {groups} groups."
        )
    x = input.reshape(input.size(0), groups, input.size(1) // groups, *input.shape[2:])
    return _C._named(x.transpose(1, 2).reshape(input.shape), "ChannelShuffleBackward0")
