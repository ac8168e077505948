"""Statistics, searching, sorting and sets of the array API standard."""

from collections import namedtuple

from .. import _C
from ._array import plain, promoted, standard

__all__ = (
    "all any argmax argmin argsort count_nonzero cumulative_prod cumulative_sum diff isin max mean min nonzero prod "
    "searchsorted sort std sum unique_all unique_counts unique_inverse unique_values var where"
).split()


def _dims(x, axis):
    # All dimensions where no axis is given; torch reads an empty tuple the other way round.
    if axis is None:
        return tuple(range(x.dim()))
    return axis if isinstance(axis, tuple) else (axis,)


def _folded(f, x, axis, keepdims):
    # An op that takes one dimension, or all, over several: they become one.
    dims = sorted(d % x.dim() for d in _dims(x, axis))
    rest = [d for d in range(x.dim()) if d not in dims]
    folded = x.permute(rest + dims).reshape([x.shape[d] for d in rest] + [-1 if x.numel() else _length(x, dims)])
    out = f(folded)
    return out.reshape([1 if d in dims else n for d, n in enumerate(x.shape)]) if keepdims else out


def _length(x, dims):
    n = 1
    for d in dims:
        n *= x.shape[d]
    return n


@standard
def sum(x, /, *, axis=None, dtype=None, keepdims=False):
    """Sums; small integers and booleans as int64."""
    dims = _dims(x, axis)
    if not dims:
        return x.to(dtype or (x.dtype if x.is_floating_point() or x.is_complex() else _C.int64), copy=True)
    return _C.sum(x, dims, keepdims, dtype=dtype)


@standard
def prod(x, /, *, axis=None, dtype=None, keepdims=False):
    """Products; small integers and booleans as int64."""
    return _folded(lambda y: _C.prod(y, -1, dtype=dtype), x, axis, keepdims)


@standard
def mean(x, /, *, axis=None, keepdims=False):
    """Means."""
    dims = _dims(x, axis)
    return _C.mean(x, dims, keepdims) if dims else x.clone()


@standard
def var(x, /, *, axis=None, correction=0.0, keepdims=False):
    """Variances: sums of squared deviations divided by the count less `correction`."""
    return _folded(lambda y: _C.var(y, -1, correction=correction), x, axis, keepdims)


@standard
def std(x, /, *, axis=None, correction=0.0, keepdims=False):
    """Standard deviations."""
    return _folded(lambda y: _C.std(y, -1, correction=correction), x, axis, keepdims)


@standard
def max(x, /, *, axis=None, keepdims=False):
    """The largest elements."""
    dims = _dims(x, axis)
    return _C.amax(x, dims, keepdims) if dims else x.clone()


@standard
def min(x, /, *, axis=None, keepdims=False):
    """The smallest elements."""
    dims = _dims(x, axis)
    return _C.amin(x, dims, keepdims) if dims else x.clone()


@standard
def all(x, /, *, axis=None, keepdims=False):
    """Whether all elements are true."""
    dims = _dims(x, axis)
    return _C.all(x.to(_C.bool), dims, keepdims) if dims else x.to(_C.bool, copy=True)


@standard
def any(x, /, *, axis=None, keepdims=False):
    """Whether any element is true."""
    dims = _dims(x, axis)
    return _C.any(x.to(_C.bool), dims, keepdims) if dims else x.to(_C.bool, copy=True)


@standard
def count_nonzero(x, /, *, axis=None, keepdims=False):
    """How many elements are not zero."""
    dims = _dims(x, axis)
    true = x != 0
    return _C.sum(true, dims, keepdims) if dims else true.to(_C.int64)


def _cumulative(f, initial):
    def cumulative(x, axis, dtype, include_initial):
        if axis is None:
            if x.dim() > 1:
                raise ValueError(f"axis is needed for an array of {x.dim()} dimensions")
            axis = 0
        if x.dim() == 0:
            x = x[None]
        out = f(x, axis, dtype=dtype)
        if include_initial:
            first = list(out.shape)
            first[axis] = 1
            out = _C.cat([_C.full(first, initial, dtype=out.dtype, device=out.device), out], axis)
        return out

    return cumulative


_sums, _products = _cumulative(_C.cumsum, 0), _cumulative(_C.cumprod, 1)


@standard
def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running sums, from zero where include_initial."""
    return _sums(x, axis, dtype, include_initial)


@standard
def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """Running products, from one where include_initial."""
    return _products(x, axis, dtype, include_initial)


@standard
def diff(x, /, *, axis=-1, n=1, prepend=None, append=None):
    """Differences of neighbours, n times."""
    parts = promoted(*[p for p in (prepend, x, append) if p is not None])
    return _C.diff(_C.cat(parts, axis) if len(parts) > 1 else x, n, axis)


# Searching ---------------------------------------------------------------------------------------------------------
@standard
def argmax(x, /, *, axis=None, keepdims=False):
    """The place of the largest element."""
    return _arg(_C.argmax, x, axis, keepdims)


@standard
def argmin(x, /, *, axis=None, keepdims=False):
    """The place of the smallest element."""
    return _arg(_C.argmin, x, axis, keepdims)


def _arg(f, x, axis, keepdims):
    if x.dtype is _C.bool:
        x = x.to(_C.uint8)
    if axis is None:
        out = f(x)
        return out.reshape((1,) * x.dim()) if keepdims else out
    return f(x, axis, keepdims)


@standard
def nonzero(x, /):
    """The places of elements that are not zero: one array of indices for each dimension."""
    if x.dim() == 0:
        raise ValueError("nonzero: an array of no dimensions has no places")
    return tuple(_C.nonzero(x, as_tuple=True))


@standard
def searchsorted(x1, x2, /, *, side="left", sorter=None):
    """Where the elements of x2 belong in the sorted x1."""
    x1, x2 = promoted(x1, x2)
    return _C.searchsorted(x1.contiguous(), x2.contiguous(), right=side == "right", sorter=sorter)


@standard
def where(condition, x1, x2, /):
    """x1 where the condition is true, x2 elsewhere."""
    x1, x2 = promoted(x1, x2)
    return _C.where(condition, x1, x2)


# Sorting -----------------------------------------------------------------------------------------------------------
@standard
def sort(x, /, *, axis=-1, descending=False, stable=True):
    """x sorted along an axis."""
    return _C.sort(x, stable=stable, dim=axis, descending=descending)[0]


@standard
def argsort(x, /, *, axis=-1, descending=False, stable=True):
    """The indices that sort x along an axis."""
    return _C.argsort(x, stable=stable, dim=axis, descending=descending)


# Sets --------------------------------------------------------------------------------------------------------------
unique_all_result = namedtuple("unique_all_result", "values indices inverse_indices counts")
unique_counts_result = namedtuple("unique_counts_result", "values counts")
unique_inverse_result = namedtuple("unique_inverse_result", "values inverse_indices")


def _unique(x):
    # Sorted, an element begins a group where it differs from the one before it; so each NaN is a group of its own.
    x = plain(x)
    flat = x.reshape(-1)
    if x.is_complex():
        order = _C.argsort(flat.imag, stable=True)
        order = order[_C.argsort(flat.real[order], stable=True)]
    else:
        order = _C.argsort(flat.to(_C.uint8) if x.dtype is _C.bool else flat, stable=True)
    ordered = flat[order]
    first = _C.ones(flat.shape, dtype=_C.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    group = first.cumsum(0) - 1
    inverse = _C.empty_like(order)
    inverse[order] = group
    starts = first.nonzero()[:, 0]
    counts = _C.diff(starts, append=_C.full((1,), flat.numel(), dtype=_C.int64))
    return unique_all_result(ordered[starts], order[starts], inverse.reshape(x.shape), counts)


@standard
def unique_all(x, /):
    """The distinct elements, where each is first, which of them every element is, and how many of each."""
    return _unique(x)


@standard
def unique_counts(x, /):
    """The distinct elements, and how many of each."""
    found = _unique(x)
    return unique_counts_result(found.values, found.counts)


@standard
def unique_inverse(x, /):
    """The distinct elements, and which of them every element is."""
    found = _unique(x)
    return unique_inverse_result(found.values, found.inverse_indices)


@standard
def unique_values(x, /):
    """The distinct elements."""
    return _unique(x).values


@standard
def isin(x1, x2, /, *, invert=False):
    """Which elements of x1 are among those of x2; a NaN never is."""
    x1, x2 = promoted(x1, x2)
    found = (x1[..., None] == x2.reshape(-1)).any(-1)
    return ~found if invert else found
