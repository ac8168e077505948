"""torch's second names: in-place functions, copies of views, losses and recurrent cells outside torch.nn."""

from . import _C, nn
from ._common import into

F = nn.functional

# Methods that torch has as functions, too.
_INPLACE = (
    "abs_ acos_ acosh_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_ asinh_ atan_ atanh_ ceil_ "
    "clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ "
    "frac_ gcd_ i0_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ "
    "rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_ resize_as_ get_device is_conj is_neg"
).split()
# Views that torch can also copy.
_COPIES = (
    "alias as_strided detach diagonal expand permute select slice squeeze t transpose unfold unsqueeze view "
    "view_as_complex view_as_real"
).split()
_MANY_COPIES = "split split_with_sizes unbind".split()
# Functions of torch.nn.functional under the same name and with the same arguments.
_FUNCTIONAL = ("celu_ channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle rrelu_").split()
_ENUM_LOSSES = (
    "cosine_embedding_loss ctc_loss hinge_embedding_loss margin_ranking_loss poisson_nll_loss triplet_margin_loss"
).split()
_REDUCTIONS = ("none", "mean", "sum")


def _method(name):
    def function(input, *args, **kwargs):
        return getattr(input, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`input.{name}(…)`."
    return function


def _laid_out(t):
    return t.clone() if t.is_contiguous() else t.contiguous()


def _copied(name, many=False):
    def function(input, *args, out=None, **kwargs):
        view = _VIEWS.get(name) or getattr(_C.Tensor, name)
        y = view(input, *args, **kwargs)
        if not many:
            return into(out, _laid_out(y))
        copies = into(out, tuple(_laid_out(t) for t in y))
        return copies if out is None else None

    function.__name__ = function.__qualname__ = name + "_copy"
    function.__doc__ = f"`{name}`, copied."
    return function


def _slice(input, dim=0, start=None, end=None, step=1):
    return input[(slice(None),) * (dim % input.dim()) + (slice(start, end, step),)]


_VIEWS = {"alias": lambda input: input.view_as(input), "slice": _slice}


def _enumerated(name):
    """A loss whose `reduction` may be a number: 0 none, 1 mean, 2 sum."""

    def loss(*args, reduction=1, **kwargs):
        word = reduction if isinstance(reduction, str) else _REDUCTIONS[reduction]
        return getattr(F, name)(*args, reduction=word, **kwargs)

    loss.__name__ = loss.__qualname__ = name
    loss.__doc__ = f"`nn.functional.{name}`, with `reduction` as a number: 0 for none, 1 for the mean, 2 for the sum."
    return loss


_made = {name: _method(name) for name in _INPLACE}
_made |= {name + "_copy": _copied(name) for name in _COPIES}
_made |= {name + "_copy": _copied(name, many=True) for name in _MANY_COPIES}
_made |= {name: getattr(F, name) for name in _FUNCTIONAL}
_made |= {name: _enumerated(name) for name in _ENUM_LOSSES}
globals().update(_made)


def celu(input, alpha=1.0):
    """`nn.functional.celu`.

    >>> import hadamard as H
    >>> H.celu(H.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return F.celu(input, alpha)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`nn.functional.rrelu`.

    >>> import hadamard as H
    >>> H.rrelu(H.tensor([-1.0, 2.0]), 0.25, 0.25)
    tensor([-0.2500,  2.0000])
    """
    return F.rrelu(input, lower, upper, training)


def constant_pad_nd(input, pad, value=0):
    """`nn.functional.pad` with a constant.

    >>> import hadamard as H
    >>> H.constant_pad_nd(H.tensor([1, 2]), (1, 1), 9)
    tensor([9, 1, 2, 9])
    """
    return F.pad(input, pad, value=value)


def affine_grid_generator(theta, size, align_corners):
    """`nn.functional.affine_grid`."""
    return F.affine_grid(theta, size, align_corners)


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """`nn.functional.grid_sample`, its modes as numbers: bilinear, nearest, bicubic; zeros, border, reflection."""
    mode = ("bilinear", "nearest", "bicubic")[interpolation_mode]
    return F.grid_sample(input, grid, mode, ("zeros", "border", "reflection")[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def norm_except_dim(v, pow=2, dim=0):
    """The norm over all dimensions but `dim`, which stay with size 1; dim=-1: over all.

    >>> import hadamard as H
    >>> H.norm_except_dim(H.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5.],
            [1.]])
    """
    if dim == -1:
        return v.norm(pow)
    others = [d for d in range(v.dim()) if d != dim % v.dim()]
    return _C.linalg_vector_norm(v, pow, others, True)


def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of input whose `as_strided(size, stride, storage_offset)` is src. Gradients flow to both.

    >>> import hadamard as H
    >>> H.as_strided_scatter(H.zeros(4), H.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    y = input.clone()
    y.as_strided(size, stride, storage_offset).copy_(src)
    return y


def empty_permuted(
    size, physical_layout, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=None
):
    """An uninitialised tensor whose dimensions lie in memory in the order `physical_layout`, the outermost first.

    >>> import hadamard as H
    >>> H.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
    (12, 1, 3)
    """
    order = list(physical_layout)
    if len(order) != len(size):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(size)} is not equal to len(physical_layout) = {len(order)}"
        )
    for i, d in enumerate(order):
        if not 0 <= d < len(order):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(order) - 1}, but got {d} at index {i}).  "
                "NB: negative dims not currently supported; file an issue if you want it."
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    y = _C.empty([size[d] for d in order], dtype=dtype, device=device)
    return y.permute([order.index(d) for d in range(len(order))]).requires_grad_(requires_grad)


def _pieces(x, sizes, dim):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(x.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=True))


def unsafe_chunk(input, chunks, dim=0):
    """`chunk`, whose pieces may be written to in place.

    >>> import hadamard as H
    >>> H.unsafe_chunk(H.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _pieces(input, [t.size(dim) for t in _C.chunk(input, chunks, dim)], dim)


def unsafe_split(tensor, split_size, dim=0):
    """`split`, whose pieces may be written to in place.

    >>> import hadamard as H
    >>> H.unsafe_split(H.arange(3), 2)
    (tensor([0, 1]), tensor([2]))
    """
    return _pieces(tensor, [t.size(dim) for t in _C.split(tensor, split_size, dim)], dim)


unsafe_split_with_sizes = unsafe_split


def conv_tbc(input, weight, bias, pad=0):
    """A 1-d convolution of (time, batch, channels) by (kernel, channels in, channels out) and a bias.

    >>> import hadamard as H
    >>> H.conv_tbc(H.ones(5, 2, 3), H.ones(2, 3, 4), H.zeros(4)).shape
    torch.Size([4, 2, 4])
    """
    return F.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


def _cell(kind):
    def cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        from .nn.modules.rnn import _STEPS

        state = tuple(hx) if kind == "LSTM" else (hx,)
        y = _STEPS[kind](_C.linear(input, w_ih, b_ih), state, w_hh, b_hh)
        return y if kind == "LSTM" else y[0]

    cell.__name__ = cell.__qualname__ = kind.lower() + "_cell"
    cell.__doc__ = f"One step of {'an' if kind[0] in 'LR' else 'a'} {kind}: the next state, from input and state."
    return cell


lstm_cell, gru_cell, rnn_tanh_cell, rnn_relu_cell = (_cell(kind) for kind in ("LSTM", "GRU", "RNN_TANH", "RNN_RELU"))


def set_flush_denormal(mode):
    """False: numbers below the normal range are always computed with."""
    return False


__all__ = (
    sorted(_made)
    + (
        "affine_grid_generator as_strided_scatter celu constant_pad_nd conv_tbc empty_permuted grid_sampler "
        "grid_sampler_2d grid_sampler_3d gru_cell lstm_cell norm_except_dim rnn_relu_cell rnn_tanh_cell rrelu "
        "set_flush_denormal unsafe_chunk unsafe_split unsafe_split_with_sizes"
    ).split()
)
