"""Connectionist temporal classification: the checks around what the core computes."""

import math

import hadamard as H
from hadamard import _C
from hadamard._common import scalar_name

__all__ = ["ctc_loss"]

_WHERE = " (while checking arguments for ctc_loss_allocate_outputs)"


def _checked(log_probs, targets, input_lengths, target_lengths, blank):
    """(input lengths, target lengths, (N, S) padded labels), after torch's complaints."""
    if log_probs.dtype not in (H.float32, H.float64):
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{scalar_name(log_probs.dtype)}'")
    if log_probs.dim() != 3:
        raise RuntimeError(
            f"Expected 3-dimensional tensor, but got {log_probs.dim()}-dimensional tensor for argument #1 'log_probs'"
            + _WHERE
        )
    steps, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    lengths = []
    for name, given in (("input_lengths", input_lengths), ("target_lengths", target_lengths)):
        if isinstance(given, H.Tensor) and (given.is_floating_point() or given.dtype == H.bool):
            raise RuntimeError(f"{name} must be integral")
        values = [int(n) for n in (given.reshape(-1).tolist() if isinstance(given, H.Tensor) else given)]
        if len(values) != batch:
            raise RuntimeError(f"{name} must be of size batch_size")
        lengths.append(values)
    for n in lengths[0]:
        if n < 0:
            raise RuntimeError(f"Expected input_lengths to have value at least 0, but got value {n}" + _WHERE)
        if n > steps:
            raise RuntimeError(f"Expected input_lengths to have value at most {steps}, but got value {n}" + _WHERE)
    for n in lengths[1]:
        if n < 0:
            raise RuntimeError(f"Expected target_lengths to have value at least 0, but got value {n}" + _WHERE)
    targets, longest = targets.detach().long(), max(lengths[1], default=0)
    if targets.dim() == 1:
        if targets.numel() != sum(lengths[1]):
            raise RuntimeError(
                f"Expected tensor to have size {sum(lengths[1])} at dimension 0, but got size {targets.numel()} for "
                "argument #2 'targets'" + _WHERE
            )
        padded = H.full((batch, longest), blank)
        for i, part in enumerate(targets.split(lengths[1])):
            padded[i, : part.numel()] = part
    else:
        if targets.size(0) != batch:
            raise RuntimeError(
                f"Expected tensor to have size {batch} at dimension 0, but got size {targets.size(0)} for argument #2 "
                "'targets'" + _WHERE
            )
        if targets.size(1) < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets.size(1)} for "
                "argument #2 'targets'" + _WHERE
            )
        padded = targets[:, :longest]
    inside = H.arange(longest) < H.tensor(lengths[1]).unsqueeze(1)
    wrong = ((padded < 0) | (padded >= classes)) & inside
    if wrong.any():
        raise IndexError(f"label {padded[wrong][0].item()} of targets is out of range: there are {classes} classes")
    return lengths[0], lengths[1], H.where(inside, padded, blank)


class _CTC(H.autograd.Function):
    @staticmethod
    def forward(ctx, log_probs, zero_infinity, *rest):
        loss, alpha = _C._ctc_loss(log_probs, *rest)
        ctx.save_for_backward(log_probs, loss, alpha)
        ctx.zero_infinity, ctx.rest = zero_infinity, rest
        return loss.masked_fill(loss == math.inf, 0.0) if zero_infinity else loss.clone()

    @staticmethod
    @H.autograd.function.once_differentiable
    def backward(ctx, g):
        log_probs, loss, alpha = ctx.saved_tensors
        gradient = _C._ctc_gradient(g, log_probs, *ctx.rest, loss, alpha, ctx.zero_infinity)
        return (gradient, *[None] * (1 + len(ctx.rest)))


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log of the probability that log_probs (T, N, C) spell the labels, over all alignments.

    targets: (N, S) padded, or all labels one after the other; input_lengths and target_lengths: one number for each
    sequence. log_probs may be (T, C), of one sequence. "mean" divides each loss by its number of labels first. With
    zero_infinity a sequence that is too short for its labels counts as 0.

    >>> import hadamard as H
    >>> log_probs = H.full((3, 1, 2), 0.5).log()
    >>> ctc_loss(log_probs, H.tensor([[1]]), [3], [1], reduction="sum").exp()
    tensor(1.3333)
    """
    single = log_probs.dim() == 2 and targets.dim() == 1
    if single:
        log_probs = log_probs.unsqueeze(1)
    inputs, lengths, labels = _checked(log_probs, targets, input_lengths, target_lengths, blank)
    loss = _CTC.apply(log_probs, zero_infinity, labels, inputs, lengths, blank)
    if reduction == "mean":
        return (loss / H.tensor(lengths, dtype=loss.dtype).clamp(min=1)).mean()
    if reduction == "sum":
        return loss.sum()
    return loss[0] if single else loss
