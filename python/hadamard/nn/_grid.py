"""Images sampled at places given by a grid, and the grids of affine maps."""

import warnings
from itertools import product

import hadamard as H
from hadamard import _C

from ._kernels import require
from ._resize import _taps_cubic

_DEFAULT = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


def affine_grid(theta, size, align_corners=None):
    """The places that the affine maps `theta` (N, 2, 3) give to the pixels of images (N, C, H, W): (N, H, W, 2), or of
    (N, 3, 4) for (N, C, D, H, W). Places run from -1 to 1, x first."""
    if align_corners is None:
        warnings.warn(_DEFAULT, stacklevel=2)
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = list(size)
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{H.Size(size)}."
        )
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {H.Size(size)}. Got "
            f"{theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {H.Size(size)}")
    spatial = size[2:]
    places = []
    for i, length in enumerate(reversed(spatial)):
        steps = H.linspace(-1, 1, length, dtype=theta.dtype, device=theta.device)
        if length == 1:
            steps = H.zeros(1, dtype=theta.dtype, device=theta.device)
        elif not align_corners:
            steps = steps * (length - 1) / length
        shape = [1] * n
        shape[n - 1 - i] = length
        places.append(steps.view(shape).expand(spatial))
    places.append(H.ones(spatial, dtype=theta.dtype, device=theta.device))
    base = H.stack(places, -1).view(1, -1, n + 1)
    return _C._named((base @ theta.transpose(1, 2)).view(size[0], *spatial, n), "AffineGridGeneratorBackward0")


def _reflect(x, low, high):
    if low == high:
        return x * 0
    span = high - low
    x = (x - low).abs()
    flips = (x / span).floor()
    rest = x - flips * span
    return H.where(flips % 2 == 0, rest + low, high - rest)


def _inside(x, length, padding_mode, align_corners):
    # Places outside the image moved to where their values come from.
    if padding_mode == "reflection":
        x = _reflect(x, 0.0, length - 1.0) if align_corners else _reflect(x, -0.5, length - 0.5)
    return x if padding_mode == "zeros" else x.clamp(0, length - 1)


def _taps(x, length, mode, padding_mode, align_corners):
    """Pairs of index and weight along one dimension; the weight of what lies outside is zero."""
    x = ((x + 1) / 2 * (length - 1)) if align_corners else ((x + 1) * length - 1) / 2
    if mode == "bicubic":
        low = x.floor().detach()
        weights = [weight for _, weight in _taps_cubic(x, length)]
        at = [_inside(low + k - 1, length, padding_mode, align_corners) for k in range(4)]
    else:
        x = _inside(x, length, padding_mode, align_corners)
        if mode == "nearest":
            # The weight is 1; its gradient, zero, keeps the grid in the graph.
            at, weights = [x.detach().round()], [x * 0 + 1]
        else:
            low = x.floor().detach()
            at, weights = [low, low + 1], [low + 1 - x, x - low]
    taps = []
    for place, weight in zip(at, weights, strict=True):
        there = (place >= 0) & (place <= length - 1)
        taps.append((place.clamp(0, length - 1).long(), weight * there))
    return taps


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The values of images (N, C, H, W) at the places of a grid (N, h, w, 2): (N, C, h, w), or of (N, C, D, H, W) at
    those of (N, d, h, w, 3). A place (-1, -1) is the upper left corner, x comes first.

    `mode` is "bilinear", "nearest" or "bicubic" (2-D only); outside are zeros, the border or a reflection.

    >>> import hadamard as H
    >>> image = H.arange(4.0).view(1, 1, 2, 2)
    >>> F.grid_sample(image, H.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[1.5000]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    require(input, "grid_sampler_2d_cpu_kernel_impl" if input.dim() == 4 else "grid_sampler3d_cpu")
    if align_corners is None:
        warnings.warn(_DEFAULT, stacklevel=2)
        align_corners = False
    n = input.dim() - 2
    if n not in (2, 3) or grid.dim() != input.dim():
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.size(0) != grid.size(0):
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.size(-1) != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if mode == "bicubic" and n == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    batch, channels = input.shape[:2]
    spatial = input.shape[2:]
    flat = input.reshape(batch, channels, -1)
    places = grid.reshape(batch, -1, n)
    # The grid names the last dimension first.
    per_dim = [
        _taps(places[..., n - 1 - d], length, mode, padding_mode, align_corners) for d, length in enumerate(spatial)
    ]
    total = None
    for combination in product(*per_dim):
        index = weight = None
        for (at, w), length in zip(combination, spatial, strict=True):
            index = at if index is None else index * length + at
            weight = w if weight is None else weight * w
        value = flat.gather(2, index.unsqueeze(1).expand(-1, channels, -1)) * weight.unsqueeze(1)
        total = value if total is None else total + value
    return _C._named(total.view(batch, channels, *grid.shape[1:-1]), f"GridSampler{n}DBackward0")
