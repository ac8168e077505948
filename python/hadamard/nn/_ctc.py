"""Connectionist temporal classification: the sum over alignments, forwards for the loss and backwards for its gradient.

Graves et al., "Connectionist Temporal Classification" (ICML 2006), in logarithms. The labels stand between blanks:
_ a _ b _. One step of the recursion serves all sequences of a batch at once.
"""

import math

import hadamard as H
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


def _log_sum(*terms):
    # logsumexp of a row of -inf is -inf here, and never nan.
    return H.logsumexp(H.stack(terms), 0)


def _shifted(x, by):
    """x[:, s - by] at s, with -inf from outside."""
    gone = H.full((x.size(0), min(abs(by), x.size(1))), -math.inf, dtype=x.dtype)
    return H.cat([gone, x[:, :-by]], 1) if by > 0 else H.cat([x[:, -by:], gone], 1)


class _CTC(H.autograd.Function):
    @staticmethod
    def forward(ctx, log_probs, labels, input_lengths, target_lengths, blank, zero_infinity):
        steps, batch, _ = log_probs.shape
        states = 2 * labels.size(1) + 1
        path = H.full((batch, states), blank)
        path[:, 1::2] = labels
        # From the label before the last one to this label directly, unless they are the same or this is a blank.
        same = path[:, 2:] == path[:, :-2] if states > 2 else path[:, :0].bool()
        stay = H.cat([H.ones(batch, min(2, states), dtype=H.bool), same], 1)
        emitted = log_probs.gather(2, path.expand(steps, batch, states))
        last = 2 * H.tensor(target_lengths).unsqueeze(1)
        state = H.arange(states)
        alpha = H.full((steps, batch, states), -math.inf, dtype=log_probs.dtype)
        if steps:
            alpha[0] = emitted[0].masked_fill((state > 1) | (state > last), -math.inf)
        for t in range(1, steps):
            before = alpha[t - 1]
            skip = _shifted(before, 2).masked_fill(stay, -math.inf)
            alpha[t] = (_log_sum(before, _shifted(before, 1), skip) + emitted[t]).masked_fill(state > last, -math.inf)
        n = H.tensor(input_lengths)
        ends = alpha.new_full((batch, states), -math.inf)
        if steps:
            ends = alpha.gather(0, (n - 1).clamp(min=0).view(1, batch, 1).expand(1, batch, states))[0]
        ends = ends.masked_fill((state != last) & (state != last - 1), -math.inf)
        loss = -H.logsumexp(ends, 1)
        loss = H.where(n == 0, H.where(last.squeeze(1) == 0, 0.0, math.inf).to(loss.dtype), loss)
        ctx.save_for_backward(log_probs, alpha, path, emitted, stay, last, n, loss)
        ctx.zero_infinity = zero_infinity
        return loss.masked_fill(loss == math.inf, 0.0) if zero_infinity else loss

    @staticmethod
    @H.autograd.function.once_differentiable
    def backward(ctx, g):
        log_probs, alpha, path, emitted, stay, last, n, loss = ctx.saved_tensors
        steps, batch, states = alpha.shape
        state = H.arange(states)
        # The gradient counts on log_probs being a log_softmax, as torch's does: exp(log_probs) is its share.
        gradient = log_probs.exp()
        after = alpha.new_full((batch, states), -math.inf)
        inside = (state <= last) & (state >= last - 1)
        for t in range(steps - 1, -1, -1):
            skip = _shifted(after.masked_fill(stay, -math.inf), -2)
            beta = _log_sum(after, _shifted(after, -1), skip) + emitted[t]
            first = emitted[t].masked_fill(~inside, -math.inf)
            beta = H.where((n - 1 == t).unsqueeze(1), first, beta).masked_fill(state > last, -math.inf)
            both = (alpha[t] + beta + loss.unsqueeze(1) - emitted[t]).masked_fill(alpha[t] == -math.inf, -math.inf)
            # exp(alpha + beta) / (probability · exp(-loss)), summed over the states of one class
            share = both.exp()
            gradient[t].scatter_add_(1, path, -share)
            after = beta
        unused = H.arange(steps).unsqueeze(1) >= n
        gradient = gradient * g.unsqueeze(1)
        impossible = (loss == math.inf).view(1, -1, 1)
        gradient = gradient.masked_fill(impossible, 0.0 if ctx.zero_infinity else math.nan)
        return gradient.masked_fill(unused.unsqueeze(2), 0.0), None, None, None, None, None


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
    loss = _CTC.apply(log_probs, labels, inputs, lengths, blank, zero_infinity)
    if reduction == "mean":
        return (loss / H.tensor(lengths, dtype=loss.dtype).clamp(min=1)).mean()
    if reduction == "sum":
        return loss.sum()
    return loss[0] if single else loss
