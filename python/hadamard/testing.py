"""torch.testing: assert_close and make_tensor."""

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, isnan, prod

import hadamard as H

_TOLERANCES = {  # (rtol, atol)
    H.float16: (1e-3, 1e-5),
    H.bfloat16: (1.6e-2, 1e-5),
    H.float32: (1.3e-6, 1e-5),
    H.float64: (1e-7, 1e-7),
    H.complex64: (1.3e-6, 1e-5),
    H.complex128: (1e-7, 1e-7),
}


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
) -> None:
    """AssertionError unless actual and expected are close: |actual - expected| <= atol + rtol * |expected|.

    They are tensors, arrays, numbers, bools, None, or sequences and mappings of them. rtol and atol are given together
    or not at all: then they follow from the dtypes, the looser of the two. Shapes must be equal, and unless the checks
    are off, devices and dtypes. msg replaces the message, or is called with it.

    >>> import hadamard as torch
    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.000001]))
    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    Traceback (most recent call last):
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 0.5 at index (1,) (up to 1e-05 allowed)
    Greatest relative difference: 0.20000000298023224 at index (1,) (up to 1.3e-06 allowed)
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, "
            f"but got no {'rtol' if rtol is None else 'atol'}."
        )
    tolerances = None if rtol is None else (rtol, atol)
    options = (allow_subclasses, tolerances, equal_nan, check_device, check_dtype, check_layout, check_stride)
    # Types and structure are checked everywhere before any value is.
    for a, b, where in list(_pairs(actual, expected, ())):
        text = _difference(a, b, where, *options)
        if text is None:
            continue
        if where:
            text += f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in where)}"
        raise AssertionError(msg(text) if callable(msg) else msg or text)


def _pairs(a, b, where):
    """Every (actual, expected, path) in nested sequences and mappings."""
    __tracebackhide__ = True
    place = f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in where)}" if where else ""
    if _is_sequence(a) and _is_sequence(b):
        if len(a) != len(b):
            raise AssertionError(f"The length of the sequences mismatch: {len(a)} != {len(b)}{place}")
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _pairs(x, y, (*where, i))
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        if set(a) != set(b):
            raise AssertionError(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(set(b) - set(a))}\n"
                f"Additional keys in the actual mapping: {sorted(set(a) - set(b))}{place}"
            )
        for key in sorted(a):
            yield from _pairs(a[key], b[key], (*where, key))
    else:
        yield a, b, where


def _is_sequence(x):
    return isinstance(x, Sequence) and not isinstance(x, str)


def _difference(a, b, where, allow_subclasses, tolerances, equal_nan, device, dtype, layout, stride):
    """The message, or None where the two are close. TypeError where they cannot be compared."""
    if a is None or b is None:
        return None if a is b else f"None mismatch: {a} is not {b}"
    if isinstance(a, bool) and isinstance(b, bool):
        return None if a is b else f"Booleans mismatch: {a} is not {b}"
    numbers = (int, float, complex)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return _number_difference(a, b, tolerances, equal_nan, dtype)
    related = isinstance(a, type(b)) or isinstance(b, type(a))
    if not related or isinstance(a, str) or not allow_subclasses and type(a) is not type(b):
        place = f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in where)}" if where else ""
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.{place}")
    return _tensor_difference(H.as_tensor(a), H.as_tensor(b), tolerances, equal_nan, device, dtype, layout, stride)


def _number_difference(a, b, tolerances, equal_nan, check_type):
    if check_type and type(a) is not type(b):
        return f"The (d)types do not match: {type(a)} != {type(b)}."
    if tolerances is None:
        kinds = {bool: H.bool, int: H.int64, float: H.float64, complex: H.complex128}
        tolerances = _loosest(kinds[type(a)], kinds[type(b)])
    rtol, atol = tolerances
    if a == b or equal_nan and a != a and b != b:
        return None
    difference = abs(a - b)
    if isfinite(difference) and difference <= atol + rtol * abs(b):
        return None
    return _scalar_text(a, b, rtol, atol)


def _tensor_difference(a, b, tolerances, equal_nan, device, dtype, layout, stride):
    def differ(what, x, y):
        return f"The values for attribute '{what}' do not match: {x} != {y}."

    if a.shape != b.shape:
        return differ("shape", a.shape, b.shape)
    if layout and a.layout != b.layout:
        return differ("layout", a.layout, b.layout)
    if stride and a.stride() != b.stride():
        return differ("stride()", a.stride(), b.stride())
    if device and a.device != b.device:
        return differ("device", a.device, b.device)
    if dtype and a.dtype != b.dtype:
        return differ("dtype", a.dtype, b.dtype)

    if "meta" in (a.device.type, b.device.type):
        return None  # no values
    rtol, atol = tolerances or _loosest(a.dtype, b.dtype)
    common = H.promote_types(a.dtype, b.dtype)
    a, b = a.detach().to(device="cpu", dtype=common), b.detach().to(device="cpu", dtype=common)
    close = H.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if close.all():
        return None
    if not a.shape:
        return _scalar_text(a.item(), b.item(), rtol, atol)
    shape, count = a.shape, close.numel()
    wrong = count - int(close.sum())
    a, b, close = a.flatten(), b.flatten(), close.flatten()
    if not (common.is_floating_point or common.is_complex):
        a, b = a.to(H.int64), b.to(H.int64)  # the difference of two uint8 or bool wraps
    absolute = (a - b).abs().masked_fill(close, 0)
    relative = (absolute / b.abs()).masked_fill(close, 0)
    lines = [f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"]
    for name, values, allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
        greatest = int(values.argmax())
        line = f"Greatest {name} difference: {values[greatest].item()} at index {_unravel(greatest, shape)}"
        lines.append(line + _allowed(allowed, rtol, atol))
    return _headline("Tensor-likes", rtol, atol) + "\n".join(lines)


def _scalar_text(a, b, rtol, atol):
    absolute = abs(a - b)
    relative = absolute / abs(b) if b else float("inf")
    return (
        _headline("Scalars", rtol, atol)
        + f"Expected {b} but got {a}.\n"
        + f"Absolute difference: {absolute}{_allowed(atol, rtol, atol)}\n"
        + f"Relative difference: {relative}{_allowed(rtol, rtol, atol)}"
    )


def _headline(what, rtol, atol):
    return f"{what} are not {'close' if rtol or atol else 'equal'}!\n\n"


def _allowed(tolerance, rtol, atol):
    return f" (up to {tolerance} allowed)" if rtol or atol else ""


def _unravel(index, shape):
    place = []
    for size in reversed(shape):
        index, rest = divmod(index, size)
        place.append(rest)
    return tuple(reversed(place))


def _loosest(*dtypes):
    pairs = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
    return max(rtol for rtol, _ in pairs), max(atol for _, atol in pairs)


def make_tensor(
    *shape,
    dtype,
    device,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """A tensor of uniform random numbers in [low, high): by default -9 to 9, integers to 10, uint8 from 0, bool either.

    shape is integers or one sequence of them. noncontiguous gives a tensor with gaps between its elements; exclude_zero
    replaces zeros by one, or by the smallest normal number of a floating dtype. ValueError for bounds that are NaN, in
    the wrong order or out of the dtype's range, and for requires_grad with integers.

    >>> import hadamard as torch
    >>> torch.testing.make_tensor(2, 3, dtype=torch.float64, device="cpu", low=0, high=1).shape
    torch.Size([2, 3])
    """
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        (shape,) = shape
    shape = tuple(shape)
    real = not (dtype.is_floating_point or dtype.is_complex)
    if requires_grad and real:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, "
            f"but got {noncontiguous=} and {memory_format=}"
        )
    low, high = _bounds(dtype, low, high)
    gaps = noncontiguous and prod(shape) > 1
    full = (*shape[:-1], 2 * shape[-1]) if gaps else shape
    if real:
        result = H.randint(low, high, full, device=device, dtype=dtype)
    else:
        result = H.empty(full, device=device, dtype=dtype)
        parts = H.view_as_real(result) if dtype.is_complex else result
        if high - low >= H.finfo(dtype).max:
            # uniform_ wants a range that the dtype can hold.
            parts.uniform_(low / 2, high / 2).mul_(2)
        else:
            parts.uniform_(low, high)
    if gaps:
        result = result[..., 1::2]
    if exclude_zero:
        result[result == 0] = 1 if real else H.finfo(dtype).tiny
    if requires_grad:
        result.requires_grad_()
    return result


def _bounds(dtype, low, high):
    real = not (dtype.is_floating_point or dtype.is_complex)
    if dtype is H.bool:
        least, most, usual = 0, 2, (0, 2)
    elif real:
        # randint cannot draw the largest int64: its upper bound is exclusive and is an int64 itself.
        least, most = H.iinfo(dtype).min, H.iinfo(dtype).max + (dtype is not H.int64)
        usual = (-9, 10)
    else:
        least, most, usual = H.finfo(dtype).min, H.finfo(dtype).max, (-9, 9)
    low, high = (given if given is not None else default for given, default in zip((low, high), usual, strict=True))
    if isnan(low) or isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low > high or low == high and real:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < least or low >= most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), "
            f"but {dtype} only supports [{least}, {most})"
        )
    low, high = (min(max(bound, least), most) for bound in (low, high))
    return (ceil(low), ceil(high)) if real else (low, high)
