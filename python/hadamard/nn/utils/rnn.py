"""Sequences of different lengths in one tensor."""

from collections import namedtuple

import hadamard as H
from hadamard import _C

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "unpack_sequence",
]


class PackedSequence(namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])):
    """The steps of sequences, longest first, one after the other: at step t, `batch_sizes[t]` of them go on."""

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """The same with `data` moved or converted."""
        return PackedSequence(
            self.data.to(*args, **kwargs), self.batch_sizes, self.sorted_indices, self.unsorted_indices
        )


def invert_permutation(permutation):
    """The permutation that undoes `permutation`; None for None."""
    if permutation is None:
        return None
    inverse = H.empty_like(permutation)
    return inverse.scatter_(0, permutation, H.arange(permutation.numel(), device=permutation.device))


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack (L, N, …) whose sequences have `lengths`; with `enforce_sorted` those must not increase."""
    lengths = H.as_tensor(lengths, dtype=H.int64)
    if enforce_sorted:
        order = None
    else:
        lengths, order = lengths.sort(descending=True)
        input = input.index_select(0 if batch_first else 1, order.to(input.device))
    if batch_first:
        input = input.transpose(0, 1)
    sizes = lengths.tolist()
    if len(sizes) != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={input.size(1)})"
        )
    if any(a < b for a, b in zip(sizes, sizes[1:], strict=False)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if not sizes or sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    batch_sizes = [sum(n > t for n in sizes) for t in range(sizes[0])]
    data = H.cat([input[t, :n] for t, n in enumerate(batch_sizes)])
    return PackedSequence(data, H.tensor(batch_sizes), order)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """The opposite of `pack_padded_sequence`: the padded tensor and the lengths."""
    sizes = sequence.batch_sizes.tolist()
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    rows = list(sequence.data.split(sizes))
    shape = sequence.data.shape[1:]
    blank = sequence.data.new_full((sizes[0], *shape), padding_value)
    full = [row if n == sizes[0] else H.cat([row, blank[n:]]) for row, n in zip(rows, sizes, strict=True)]
    padded = _C._named(H.stack(full + [blank] * (steps - len(sizes))), "CopySlices")
    lengths = H.tensor([sum(n > i for n in sizes) for i in range(sizes[0])])
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices.cpu()]
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences (Lᵢ, …) stacked into (max L, N, …), or (N, max L, …), with `padding_value` after, or before, them.

    >>> import hadamard as H
    >>> H.nn.utils.rnn.pad_sequence([H.ones(1), H.ones(3)], batch_first=True)
    tensor([[1., 0., 0.],
            [1., 1., 1.]])
    """
    sequences = list(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side should be 'left' or 'right', got {padding_side}")
    longest = max(s.size(0) for s in sequences)
    rows = []
    for s in sequences:
        blank = s.new_full((longest - s.size(0), *s.shape[1:]), padding_value)
        rows.append(s if s.size(0) == longest else H.cat([blank, s] if padding_side == "left" else [s, blank]))
    return H.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The opposite of `pad_sequence`: a list of sequences."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """Pack a list of sequences (Lᵢ, …)."""
    lengths = H.as_tensor([s.size(0) for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The opposite of `pack_sequence`: a list of sequences."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
