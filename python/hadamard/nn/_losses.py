"""Losses: how far an output is from its target, averaged, summed or for each element."""

import math

import hadamard as H
from hadamard import _C, errors

from . import _ctc, _reduction
from ._kernels import require, scalar_name


def _reduced(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def _weighted(loss, weight, input, reduction):
    # The mean of a weighted loss divides by the sum of the weights.
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else _reduced(loss, reduction)


def _warn_sizes(input, target):
    if not _C._same_size(input, target):
        errors.warn(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size."
        )


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(x - y)², averaged, summed or as it is ("none"); warns when the sizes differ.

    >>> import hadamard as H
    >>> F.mse_loss(H.tensor([1.0, 2.0]), H.tensor([1.0, 4.0]))
    tensor(2.)
    """
    _warn_sizes(input, target)
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if weight is not None:
        return _weighted(_C.mse_loss(input, target, 0), weight, input, reduction)
    return _C.mse_loss(input, target, _reduction.get_enum(reduction))


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|x - y|, averaged, summed or as it is ("none"); warns when the sizes differ."""
    _warn_sizes(input, target)
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if weight is not None:
        return _weighted(_C.l1_loss(input, target, 0), weight, input, reduction)
    return _C.l1_loss(input, target, _reduction.get_enum(reduction))


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """½ d² / beta where d = |x - y| < beta, elsewhere d - ½ beta; warns when the sizes differ."""
    _warn_sizes(input, target)
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    return _C.smooth_l1_loss(input, target, _reduction.get_enum(reduction), beta)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """½ d² where d = |x - y| ≤ delta, elsewhere delta · (d - ½ delta); warns when the sizes differ."""
    _warn_sizes(input, target)
    if weight is not None:
        return _weighted(_C.huber_loss(input, target, 0, delta), weight, input, reduction)
    return _C.huber_loss(input, target, _reduction.get_enum(reduction), delta)


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """-log(softmax(input)) at the class `target`: logits (C,), (N, C) or (N, C, d…), int64 classes of the shape
    without C, or probabilities of the shape of `input`.

    `weight` (C,) weighs the classes, `ignore_index` is a class that counts for nothing.

    >>> import hadamard as H
    >>> F.cross_entropy(H.zeros(2, 4), H.tensor([0, 3]))
    tensor(1.3863)
    """
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    return _C.cross_entropy_loss(input, target, weight, _reduction.get_enum(reduction), ignore_index, label_smoothing)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-input at the class `target`, for log-probabilities of the shapes that `cross_entropy` takes."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    return _C.nll_loss_nd(input, target, weight, _reduction.get_enum(reduction), ignore_index)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(y · log(x) + (1 - y) · log(1 - x)) for probabilities x, with logarithms cut off at -100.

    ValueError when the sizes differ, RuntimeError for values outside [0, 1].
    """
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if target.size() != input.size():
        raise errors.error(
            ValueError,
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is deprecated."
            " Please ensure they have the same size.",
            input=input,
            target=target,
        )
    if weight is not None:
        weight = weight.expand(H.broadcast_shapes(weight.shape, target.shape))
    return _C.binary_cross_entropy(input, target, weight, _reduction.get_enum(reduction))


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """`binary_cross_entropy` of sigmoid(input), computed without saturating; `pos_weight` weighs the ones.

    >>> import hadamard as H
    >>> F.binary_cross_entropy_with_logits(H.zeros(2), H.ones(2))
    tensor(0.6931)
    """
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if target.size() != input.size():
        raise errors.error(
            ValueError,
            f"Target size ({target.size()}) must be the same as input size ({input.size()})",
            input=input,
            target=target,
        )
    return _C.binary_cross_entropy_with_logits(input, target, weight, pos_weight, _reduction.get_enum(reduction))


ctc_loss = _ctc.ctc_loss


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """y · (log(y) - x) for log-probabilities x; `reduction` may also be "batchmean"."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    elif reduction == "mean":
        errors.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
        )
    if reduction == "batchmean":
        loss = _C.kl_div(input, target, 2, log_target=log_target)
        return loss / input.size(0) if input.dim() else loss
    return _C.kl_div(input, target, _reduction.get_enum(reduction), log_target=log_target)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """exp(x) - y · x, or x - y · log(x + eps) if not `log_input`; `full` adds Stirling's term."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not a valid value for reduction")
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduced(loss, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """½ (log(var) + (x - y)² / var), with `var` of the input's shape, without or with 1 as last dimension."""
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * H.ones_like(input)
    elif (var < 0).any():
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = var.unsqueeze(-1)
        elif input.size()[:-1] != var.size()[:-1] or var.size(-1) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    with H.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -y · (x1 - x2) + margin), where y is 1 or -1."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    difference = input1 - input2
    return _reduced((-target * difference + margin).clamp_min(0), reduction)


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where y is 1, max(0, margin - x) where y is -1."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    zero = H.zeros_like(input)
    far = (H.full_like(input, margin) - input).clamp_min(0)
    loss = H.where(target == 1, zero, far) + H.where(target == -1, zero, input)
    return _reduced(loss, reduction)


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos(x1, x2) where y is 1, max(0, cos - margin) where y is -1; x are (N, D) or (D,), y is (N,) or 0-d."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if target.dim() not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    dim = target.dim()
    if input1.dim() != dim + 1 or input2.dim() != dim + 1:
        raise RuntimeError(
            f"{dim}D target tensor expects {dim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.size())} and {list(input2.size())}."
        )
    product = (input1 * input2).sum(dim)
    length1 = (input1 * input1).sum(dim) + 1e-12
    length2 = (input2 * input2).sum(dim) + 1e-12
    cosine = product / (length1 * length2).sqrt()
    zero = H.zeros_like(cosine)
    loss = H.where(target == 1, 1 - cosine, zero) + H.where(target == -1, (cosine - margin).clamp_min(0), zero)
    return _reduced(loss, reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-y · x)), where y is 1 or -1."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    away = -target
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"result type Float can't be cast to the desired output type {scalar_name(input.dtype)}")
    return _C._named(_reduced((input * away).exp().log1p(), reduction), "SoftMarginLossBackward0")


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the classes of `binary_cross_entropy_with_logits`."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    loss = -(target * _C.log_sigmoid(input) + (1 - target) * _C.log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.mean(-1), reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """mean over i ≠ y of max(0, margin - x[y] + x[i])ᵖ for scores (N, C) or (C,) and classes y."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if p != 1 and p != 2:
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    _reduction.get_enum(reduction)
    if input.dim() > 2 or input.dim() and input.shape[-1] == 0:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    batch = input.size(0) if input.dim() == 2 else 1
    if target.dim() > 1 or target.numel() != batch:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size [{batch}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    if weight is not None and weight.numel() != (input.size(-1) if input.dim() else 1):
        raise RuntimeError(f"inconsistent weight size, expected {input.size(-1)} but got {list(weight.shape)}")
    require(input, "multi_margin_loss_cpu_kernel", half=False)
    if target.dtype != H.int64:
        raise RuntimeError(f"expected scalar type Long but found {target.type()[len('torch.') : -len('Tensor')]}")
    x, y = (input.reshape(1, -1), target.reshape(1)) if input.dim() <= 1 else (input, target)
    index = y.unsqueeze(1)
    z = (margin - x.gather(1, index) + x).clamp_min(0)
    if p == 2:
        z = z * z
    if weight is not None:
        z = z * weight[y].unsqueeze(1)
    own = H.zeros_like(x, dtype=H.bool).scatter_(1, index, True)
    loss = z.masked_fill(own, 0).sum(1) / x.size(1)
    loss = _reduced(loss if target.dim() == 1 else loss.squeeze(0), reduction)
    return _C._named(loss, "MultiMarginLossBackward0")


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Hinge loss of every label against every other class; `target` lists the labels of a sample, then -1."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    _reduction.get_enum(reduction)
    if input.dim() > 2 or input.dim() and input.shape[-1] == 0:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    if target.shape != input.shape and not (input.numel() == 1 and target.numel() == 1):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    require(input, "multilabel_margin_loss_forward_out_frame", half=False)
    x, y = (input.reshape(1, -1), target.reshape(1, -1)) if input.dim() <= 1 else (input, target)
    listed = (y >= 0).to(H.int64).cumprod(1).bool()
    index = y.masked_fill(~listed, 0)
    is_label = H.zeros_like(x).scatter_add_(1, index, listed.to(x.dtype)) > 0
    z = (1 - x.gather(1, index).unsqueeze(2) + x.unsqueeze(1)).clamp_min(0)
    counted = listed.unsqueeze(2) & ~is_label.unsqueeze(1)
    loss = z.masked_fill(~counted, 0).sum((1, 2)) / x.size(1)
    loss = _reduced(loss if input.dim() == 2 else loss.squeeze(0), reduction)
    return _C._named(loss, "MultilabelMarginLossBackward0")


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with the p-norm as distance d."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")

    def distance(a, b):
        return _C.pairwise_distance(a, b, p, eps)

    return _triplet(distance, anchor, positive, negative, margin, swap, reduction)


def _triplet(distance, anchor, positive, negative, margin, swap, reduction):
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = H.minimum(far, distance(positive, negative))
    return _reduced((margin + near - far).clamp_min(0), reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with any function as distance, by default `pairwise_distance`."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = _C.pairwise_distance if distance_function is None else distance_function
    return _triplet(distance, anchor, positive, negative, margin, swap, reduction)
