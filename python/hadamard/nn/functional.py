"""The functions behind the layers: activations, losses, products with weights, pooling, padding, attention."""

import math
import warnings

import hadamard as H
from hadamard import _C, errors

from . import _attention, _grid, _losses, _pool, _resize
from ._kernels import require, scalar_name
from ._tuples import _pair

# Products with weights

linear = _C.linear
bilinear = _C.bilinear
conv1d = _C.conv1d
conv2d = _C.conv2d
conv3d = _C.conv3d
conv_transpose1d = _C.conv_transpose1d
conv_transpose2d = _C.conv_transpose2d
conv_transpose3d = _C.conv_transpose3d
one_hot = _C.one_hot


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The patches of (N, C, H, W) as columns: (N, C · K · K, number of patches).

    >>> import hadamard as H
    >>> F.unfold(H.ones(1, 3, 4, 4), 2).shape
    torch.Size([1, 12, 9])
    """
    return _C.im2col(input, _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride))


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The opposite of `unfold`: columns (N, C · K · K, L) summed where they overlap into (N, C, *output_size)."""
    return _C.col2im(input, _pair(output_size), _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride))


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of `weight` at the indices `input`: shape (*input.shape, weight.size(1)).

    The row `padding_idx` gets no gradient; with `max_norm` the rows used are first scaled down to that norm, in
    place. IndexError for an index outside.

    >>> import hadamard as H
    >>> F.embedding(H.tensor([2, 0]), H.eye(3))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        if padding_idx >= weight.size(0) or padding_idx < -weight.size(0):
            raise AssertionError("Padding_idx must be within num_embeddings")
        if padding_idx < 0:
            padding_idx += weight.size(0)
    if max_norm is not None:
        if not weight.is_floating_point() and not weight.is_complex():
            raise RuntimeError(
                "norm(): input dtype should be either floating point or complex. "
                f"Got {scalar_name(weight.dtype)} instead."
            )
        with H.no_grad():
            used = input.reshape(-1).unique()
            rows = weight.detach()[used]
            norms = rows.norm(norm_type, dim=1, keepdim=True)
            weight.detach()[used] = H.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
    return _C.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Sums, means or maxima over bags of rows of `weight`: a bag is a row of a 2-D `input`, or in a 1-D one
    what lies between two of `offsets`."""
    if weight.dim() != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if not weight.is_floating_point() and max_norm is None:
        kind = {H.bool: "CPUBoolType", H.complex64: "CPUComplexFloatType", H.complex128: "CPUComplexDoubleType"}.get(
            weight.dtype, weight.type()
        )
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, "
            f"Float, Double; but got {kind} instead (while checking arguments for embedding_bag)"
        )
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        bounds = [i * input.size(1) for i in range(input.size(0) + 1)]
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        bounds = offsets.tolist()
        if not include_last_offset:
            bounds.append(input.numel())
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    rows = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    keep = None
    if padding_idx is not None:
        keep = input != (padding_idx % weight.size(0))
    n = max(len(bounds) - 1, 0)
    if mode == "max":
        bags = []
        for start, stop in zip(bounds, bounds[1:], strict=False):
            bag = rows[start:stop]
            if keep is not None:
                bag = bag[keep[start:stop]]
            bags.append(bag.max(0).values if bag.size(0) else rows.new_zeros(weight.size(1)))
        y = H.stack(bags) if bags else rows.new_zeros(0, weight.size(1))
    else:
        lengths = H.tensor([stop - start for start, stop in zip(bounds, bounds[1:], strict=False)], dtype=H.int64)
        bag = H.arange(n).repeat_interleave(lengths)
        rows = rows[bounds[0] : bounds[-1]] if n else rows[:0]
        if keep is not None:
            keep = keep[bounds[0] : bounds[-1]]
            rows, bag = rows[keep], bag[keep]
        y = rows.new_zeros(n, weight.size(1)).index_add(0, bag, rows)
        if mode == "mean":
            y = y / H.bincount(bag, minlength=n).clamp(min=1).unsqueeze(1)
    return _C._named(y, "EmbeddingBagBackward0")


# Activations. In place, the result is computed from a copy: gradients need the values that are written over.

gelu = _C.gelu
sigmoid = _C.sigmoid
tanh = _C.tanh
logsigmoid = _C.log_sigmoid
hardshrink = _C.hardshrink
softshrink = _C.softshrink
softplus = _C.softplus
prelu = _C.prelu


def relu(input, inplace=False):
    """max(x, 0).

    >>> import hadamard as H
    >>> F.relu(H.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else _C.relu(input)


def relu_(input):
    """`relu` in place."""
    return input.relu_()


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, elsewhere `value`."""
    if inplace:
        return input.copy_(_C.threshold(input.clone(), threshold, value))
    return _C.threshold(input, threshold, value)


def threshold_(input, threshold, value):
    """`threshold` in place."""
    return input.copy_(_C.threshold(input.clone(), threshold, value))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x cut off at `min_val` and `max_val`."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        return input.copy_(_C.hardtanh(input.clone(), min_val, max_val))
    return _C.hardtanh(input, min_val, max_val)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    if inplace:
        return input.copy_(_C.relu6(input.clone()))
    return _C.relu6(input)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, elsewhere alpha · (exp(x) - 1)."""
    if inplace:
        return input.copy_(_C.elu(input.clone(), alpha))
    return _C.elu(input, alpha)


def elu_(input, alpha=1.0):
    """`elu` in place."""
    return elu(input, alpha, inplace=True)


def selu(input, inplace=False):
    """scale · elu(x, alpha) with the two constants of Klambauer et al., 2017."""
    if inplace:
        return input.copy_(_C.selu(input.clone()))
    return _C.selu(input)


def selu_(input):
    """`selu` in place."""
    return selu(input, inplace=True)


def celu(input, alpha=1.0, inplace=False):
    """max(x, 0) + min(0, alpha · (exp(x / alpha) - 1))."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    require(input, "elu_cpu")
    x = input.clone() if inplace else input
    # Cut off first: an infinity in the branch not taken would make its gradient NaN.
    y = _C._named(H.where(x > 0, x, alpha * (x.clamp_max(0) / alpha).expm1()), "CeluBackward0")
    return input.copy_(y) if inplace else y


def celu_(input, alpha=1.0):
    """`celu` in place."""
    return celu(input, alpha, inplace=True)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, elsewhere negative_slope · x."""
    if inplace:
        return input.copy_(_C.leaky_relu(input.clone(), negative_slope))
    return _C.leaky_relu(input, negative_slope)


def leaky_relu_(input, negative_slope=0.01):
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """leaky_relu with slopes drawn from U(lower, upper) in training, their mean otherwise."""
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if training:
        require(input, "rrelu_with_noise_out_cpu", also=(H.bfloat16,), half=False)
        # One draw, in double precision, for each element that needs one: torch's stream.
        falls = input.detach() <= 0
        drawn = H.empty(int(falls.sum()), dtype=H.float64).uniform_(lower, upper)
        y = input * H.ones_like(input.detach()).masked_scatter_(falls, drawn.to(input.dtype))
    else:
        y = _C.leaky_relu(input.clone() if inplace else input, (lower + upper) / 2)
    _C._named(y, "RreluWithNoiseBackward0")
    return input.copy_(y) if inplace else y


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    if inplace:
        return input.copy_(_C.silu(input.clone()))
    return _C.silu(input)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    if inplace:
        return input.copy_(_C.mish(input.clone()))
    return _C.mish(input)


def hardsigmoid(input, inplace=False):
    """relu6(x + 3) / 6."""
    if inplace:
        return input.copy_(_C.hardsigmoid(input.clone()))
    return _C.hardsigmoid(input)


def hardswish(input, inplace=False):
    """x · relu6(x + 3) / 6."""
    if inplace:
        return input.copy_(_C.hardswish(input.clone()))
    return _C.hardswish(input)


def tanhshrink(input):
    """x - tanh(x)."""
    return _C.tanhshrink(input)


def softsign(input):
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def glu(input, dim=-1):
    """The first half of `dim` times the sigmoid of the second."""
    return _C.glu(input, dim)


def _implicit_dim(name, ndim, stacklevel):
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """exp(x) / sum(exp(x)) along `dim`; with `dtype` the input is converted first.

    >>> import hadamard as H
    >>> F.softmax(H.zeros(2, 2), dim=1)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    if dim is None:
        dim = _implicit_dim("softmax", input.dim(), _stacklevel)
    return _C.softmax(input, dim) if dtype is None else _C.softmax(input, dim, dtype=dtype)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """softmax(-x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmin", input.dim(), _stacklevel)
    return _C.softmax(-input, dim) if dtype is None else _C.softmax(-input, dim, dtype=dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """log(softmax(x)) along `dim`, computed without overflow."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input.dim(), _stacklevel)
    return _C.log_softmax(input, dim) if dtype is None else _C.log_softmax(input, dim, dtype=dtype)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample from the Gumbel-softmax distribution; with `hard` one-hot forward and soft backward."""
    if eps != 1e-10:
        errors.warn("`eps` parameter is deprecated and has no effect.")
    noise = -H.empty_like(logits).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True).indices
    return H.zeros_like(logits).scatter_(dim, index, 1.0) - soft.detach() + soft


# Dropout


def _check_p(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, each element becomes zero with probability `p`, the others grow by 1 / (1 - p).

    >>> import hadamard as H
    >>> F.dropout(H.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if inplace:
        return input.copy_(_C.dropout(input.clone(), p, training))
    return _C.dropout(input, p, training)


def _channels(input, p, training, inplace):
    _check_p(p)
    return (_C.feature_dropout_ if inplace else _C.feature_dropout)(input, p, training)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps the mean and variance of self-normalising networks (Klambauer et al., 2017)."""
    _check_p(p)
    return (_C.alpha_dropout_ if inplace else _C.alpha_dropout)(input, p, training)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels."""
    _check_p(p)
    return (_C.feature_alpha_dropout_ if inplace else _C.feature_alpha_dropout)(input, p, training)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    _check_p(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension (i.e. 2D or 3D inputs)."
        )
    if input.dim() == 2:
        y = _channels(input.unsqueeze(0), p, training, inplace)
        return input if inplace else y.squeeze(0)
    return _channels(input, p, training, inplace)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of (N, C, H, W); a 3-D input is taken as (N, C, L), with a warning."""
    _check_p(p)
    if input.dim() not in (3, 4):
        errors.warn(
            f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated and will result in an "
            "error in a future release. To retain the behavior and silence this warning, please use dropout instead. "
            "Note that dropout2d exists to provide channel-wise dropout on inputs with 2 spatial dimensions, a channel "
            "dimension, and an optional batch dimension (i.e. 3D or 4D inputs).",
        )
    if input.dim() == 3:
        errors.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
            "the 1D channel-wise dropout behavior, please switch to using dropout1d instead.",
        )
    return _channels(input, p, training, inplace)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check_p(p)
    if input.dim() not in (4, 5):
        errors.warn(
            f"dropout3d: Received a {input.dim()}-D input to dropout3d, which is deprecated and will result in an "
            "error in a future release. To retain the behavior and silence this warning, please use dropout instead. "
            "Note that dropout3d exists to provide channel-wise dropout on inputs with 3 spatial dimensions, a channel "
            "dimension, and an optional batch dimension (i.e. 4D or 5D inputs).",
        )
    if input.dim() == 4:
        y = _channels(input.unsqueeze(0), p, training, inplace)
        return input if inplace else y.squeeze(0)
    return _channels(input, p, training, inplace)


# Normalisation


def _check_more_than_one_value(size):
    values = size[0] * math.prod(size[2:])
    if values == 1:
        raise errors.error(ValueError, f"Expected more than 1 value per channel when training, got input size {size}")


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias over all dimensions but 1, where the channels are.

    In training the batch's own mean and variance are used, and the running ones, if given, move towards them by
    `momentum`, in place; otherwise the running ones are used.
    """
    if training:
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
        _check_more_than_one_value(input.size())
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return _C.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    """`batch_norm` of each sample by itself: the statistics are over the dimensions from 2 on."""
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.size()}")
    return _C.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, False)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(var + eps) · weight + bias over the last dimensions, which are `normalized_shape`.

    >>> import hadamard as H
    >>> F.layer_norm(H.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    return _C.layer_norm(input, normalized_shape, weight, bias, eps, False)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean(x²) + eps) · weight over the last dimensions, which are `normalized_shape`.

    `eps` is by default the smallest step of the dtype from 1.
    """
    return _C.rms_norm(input, normalized_shape, weight, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """`layer_norm` of each sample and each of `num_groups` groups of channels; weight and bias are per channel."""
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    batch, channels = input.shape[:2]
    _check_more_than_one_value([batch * channels // num_groups, num_groups, *input.shape[2:]])
    return _C.group_norm(input, num_groups, weight, bias, eps, False)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha · mean of x² over `size` neighbouring channels) ** beta."""
    dim = input.dim()
    if dim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality                          input (got {dim} dimensions)")
    if input.numel() == 0:
        return input
    squares = input * input
    require(squares, "avg_pool2d" if dim == 3 else "avg_pool3d_out_frame", half=dim == 3, also=(H.int64,))
    if squares.dtype == H.int64:  # the mean is rounded toward zero, as the pool of integers is
        padded = pad(squares, (*(0, 0) * (dim - 2), size // 2, (size - 1) // 2))
        return input / (padded.unfold(1, size, 1).sum(-1).div(size, rounding_mode="trunc") * alpha + k) ** beta
    padded = pad(squares, (*(0, 0) * (dim - 2), size // 2, (size - 1) // 2))
    mean = padded.unfold(1, size, 1).mean(-1)
    return input / (mean * alpha + k) ** beta


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """x / max(norm(x, p), eps) along `dim`.

    >>> import hadamard as H
    >>> F.normalize(H.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return H.div(input, length, out=out) if out is not None else input / length


# Losses

mse_loss = _losses.mse_loss
l1_loss = _losses.l1_loss
smooth_l1_loss = _losses.smooth_l1_loss
huber_loss = _losses.huber_loss
cross_entropy = _losses.cross_entropy
nll_loss = _losses.nll_loss
binary_cross_entropy = _losses.binary_cross_entropy
binary_cross_entropy_with_logits = _losses.binary_cross_entropy_with_logits
ctc_loss = _losses.ctc_loss
kl_div = _losses.kl_div
poisson_nll_loss = _losses.poisson_nll_loss
gaussian_nll_loss = _losses.gaussian_nll_loss
margin_ranking_loss = _losses.margin_ranking_loss
hinge_embedding_loss = _losses.hinge_embedding_loss
cosine_embedding_loss = _losses.cosine_embedding_loss
soft_margin_loss = _losses.soft_margin_loss
multilabel_soft_margin_loss = _losses.multilabel_soft_margin_loss
multi_margin_loss = _losses.multi_margin_loss
multilabel_margin_loss = _losses.multilabel_margin_loss
triplet_margin_loss = _losses.triplet_margin_loss
triplet_margin_with_distance_loss = _losses.triplet_margin_with_distance_loss

# Distances


cosine_similarity = _C.cosine_similarity
pairwise_distance = _C.pairwise_distance


pdist = H.pdist


# Pooling

avg_pool1d = _pool.avg_pool1d
avg_pool2d = _pool.avg_pool2d
avg_pool3d = _pool.avg_pool3d
max_pool1d = _pool.max_pool1d
max_pool2d = _pool.max_pool2d
max_pool3d = _pool.max_pool3d
fractional_max_pool2d = _pool.fractional_max_pool2d
fractional_max_pool2d_with_indices = _pool.fractional_max_pool2d_with_indices
fractional_max_pool3d = _pool.fractional_max_pool3d
fractional_max_pool3d_with_indices = _pool.fractional_max_pool3d_with_indices
max_pool1d_with_indices = _pool.max_pool1d_with_indices
max_pool2d_with_indices = _pool.max_pool2d_with_indices
max_pool3d_with_indices = _pool.max_pool3d_with_indices
max_unpool1d = _pool.max_unpool1d
max_unpool2d = _pool.max_unpool2d
max_unpool3d = _pool.max_unpool3d
lp_pool1d = _pool.lp_pool1d
lp_pool2d = _pool.lp_pool2d
lp_pool3d = _pool.lp_pool3d
adaptive_avg_pool1d = _pool.adaptive_avg_pool1d
adaptive_avg_pool2d = _pool.adaptive_avg_pool2d
adaptive_avg_pool3d = _pool.adaptive_avg_pool3d
adaptive_max_pool1d = _pool.adaptive_max_pool1d
adaptive_max_pool1d_with_indices = _pool.adaptive_max_pool1d_with_indices
adaptive_max_pool2d = _pool.adaptive_max_pool2d
adaptive_max_pool2d_with_indices = _pool.adaptive_max_pool2d_with_indices
adaptive_max_pool3d = _pool.adaptive_max_pool3d
adaptive_max_pool3d_with_indices = _pool.adaptive_max_pool3d_with_indices

# Padding and size

pad = _resize.pad
interpolate = _resize.interpolate
upsample = _resize.upsample
upsample_nearest = _resize.upsample_nearest
upsample_bilinear = _resize.upsample_bilinear
affine_grid = _grid.affine_grid
grid_sample = _grid.grid_sample
pixel_shuffle = _resize.pixel_shuffle
pixel_unshuffle = _resize.pixel_unshuffle
channel_shuffle = _resize.channel_shuffle
native_channel_shuffle = _resize.channel_shuffle

# Attention

scaled_dot_product_attention = _attention.scaled_dot_product_attention
multi_head_attention_forward = _attention.multi_head_attention_forward
