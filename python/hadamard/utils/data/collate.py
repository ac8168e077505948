"""Samples put together into batches."""

import sys
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from copy import copy

import hadamard as H
from hadamard import Tensor, errors

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

_MESSAGE = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _numpy():
    # Arrays can only be there if NumPy is.
    return sys.modules.get("numpy")


def _stack(batch, *, collate_fn_map=None):
    return H.stack(list(batch), 0)


def _floats(batch, *, collate_fn_map=None):
    return H.tensor(batch, dtype=H.float64)


def _ints(batch, *, collate_fn_map=None):
    return H.tensor(batch)


def _as_is(batch, *, collate_fn_map=None):
    return batch


default_collate_fn_map = {Tensor: _stack, float: _floats, int: _ints, str: _as_is, bytes: _as_is}


def _arrays(batch, collate_fn_map):
    """The batch of NumPy arrays or scalars; None if they are neither."""
    np = _numpy()
    if np is None:
        return None
    first = batch[0]
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise errors.error(TypeError, _MESSAGE.format(first.dtype))
        return collate([H.as_tensor(item) for item in batch], collate_fn_map=collate_fn_map)
    if isinstance(first, (np.bool_, np.number)):
        return H.as_tensor(batch)
    return None


def collate(batch, *, collate_fn_map=None):
    """`default_collate` with the functions for each type of sample in `collate_fn_map`."""
    first = batch[0]
    kind = type(first)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        for known, function in collate_fn_map.items():
            # A NumPy float64 is a float too, but keeps its own rule.
            if isinstance(first, known) and kind.__module__ != "numpy":
                return function(batch, collate_fn_map=collate_fn_map)
        found = _arrays(batch, collate_fn_map)
        if found is not None:
            return found
    if isinstance(first, Mapping):
        made = {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in first}
        try:
            if isinstance(first, MutableMapping):
                # A mapping of a special kind keeps what else it carries.
                result = copy(first)
                result.update(made)
                return result
            return kind(made)
        except TypeError:
            return made
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)))
    if isinstance(first, Sequence):
        size = len(first)
        if not all(len(item) == size for item in batch):
            raise errors.error(RuntimeError, "each element in list of batch should be of equal size")
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=True)]
        if isinstance(first, tuple):
            return columns
        try:
            if isinstance(first, MutableSequence):
                result = copy(first)
                for i, column in enumerate(columns):
                    result[i] = column
                return result
            return kind(columns)
        except TypeError:
            return columns
    raise errors.error(TypeError, _MESSAGE.format(kind))


def default_collate(batch):
    """A list of samples as one batch: tensors, arrays and numbers are stacked, in tuples, lists and dicts element by
    element; strings stay a list. TypeError for anything else.

    >>> import hadamard as H
    >>> default_collate([(H.ones(2), 0), (H.zeros(2), 1)])
    [tensor([[1., 1.],
            [0., 0.]]), tensor([0, 1])]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def default_convert(data):
    """NumPy arrays and scalars in `data`, at any depth, as tensors; all else as it is."""
    np = _numpy()
    kind = type(data)
    if isinstance(data, Tensor):
        return data
    if np is not None and isinstance(data, (np.ndarray, np.bool_, np.number)):
        if isinstance(data, np.ndarray) and data.dtype.kind in "SUO":
            return data
        return H.as_tensor(data)
    if isinstance(data, Mapping):
        made = {key: default_convert(value) for key, value in data.items()}
        try:
            return kind(made)
        except TypeError:
            return made
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        made = [default_convert(value) for value in data]
        try:
            return kind(made)
        except TypeError:
            return made
    return data
