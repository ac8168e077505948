"""The module under test, the oracle beside it, and how tensors are made and compared."""

import importlib
import os

import numpy as np

# HADAMARD_TEST_MODULE=torch runs the tests themselves against the library they describe.
H = importlib.import_module(os.environ.get("HADAMARD_TEST_MODULE", "hadamard"))
OURS = H.__name__ == "hadamard"

torch = None
if os.environ.get("HADAMARD_TEST_ORACLE", "1") != "0":
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        pass

DTYPES = {
    "b": ("bool",),
    "u": ("uint8",),
    "i": ("int8", "int16", "int32", "int64"),
    "h": ("float16", "bfloat16"),
    "f": ("float32", "float64"),
    "c": ("complex64", "complex128"),
}
ALL_DTYPES = tuple(name for group in DTYPES.values() for name in group)
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
TINY = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 5e-324}
REAL = {"complex64": "float32", "complex128": "float64"}


def kind(dtype):
    """The letter of DTYPES that a dtype name belongs to."""
    return next(letter for letter, names in DTYPES.items() if dtype in names)


def wide(dtype):
    """The NumPy dtype in which references are computed."""
    return {"b": np.bool_, "u": np.int64, "i": np.int64, "h": np.float64, "f": np.float64, "c": np.complex128}[
        kind(dtype)
    ]


def quantise(values, dtype):
    """`values` rounded to what `dtype` can hold, in the wide dtype; integers wrap, as C's do."""
    values = np.asarray(values)
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            wide_values = values.astype(np.float64)
            single = wide_values.astype(np.float32)
            # Rounding to float32 first must not create a tie that was none: round to odd, then to nearest even.
            bits = np.atleast_1d(single).view(np.uint32).copy()
            exact = np.atleast_1d(single).astype(np.float64)
            inexact = (exact != np.atleast_1d(wide_values)) & np.isfinite(exact)
            toward_zero = inexact & (np.abs(exact) > np.abs(np.atleast_1d(wide_values)))
            bits[toward_zero] -= 1
            bits[inexact] |= 1
            nan = np.isnan(np.atleast_1d(wide_values))
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
            result = rounded.astype(np.uint32).view(np.float32).astype(np.float64)
            result[nan] = np.nan
            return result.reshape(values.shape)
        if kind(dtype) in "bui" and values.dtype.kind in "fc":
            return values.real.astype(np.int64).astype(dtype).astype(wide(dtype))
        return values.astype(dtype).astype(wide(dtype))


def make(module, values, dtype):
    """A contiguous tensor of `module` holding `values` (a NumPy array of exactly representable numbers)."""
    native = np.array(values, dtype="float32" if dtype == "bfloat16" else dtype, order="C")
    x = module.from_numpy(native)
    return x.to(module.bfloat16) if dtype == "bfloat16" else x


def dtype_name(x):
    return str(x.dtype).rpartition(".")[2]


def values_of(x):
    """A tensor's numbers as a NumPy array in the wide dtype."""
    letter = kind(dtype_name(x))
    if letter == "h":
        x = x.float()
    x = x.detach()
    if not isinstance(x, H.Tensor) or not OURS:
        # torch's lazy forms have no NumPy view.
        x = torch.zeros_like(x) + 0 if x._is_zerotensor() else x.resolve_neg().resolve_conj()
    return np.array(x.numpy()).astype(wide(dtype_name(x)))


def flat(result):
    """Every tensor of a result that may be a tensor, a tuple or a list; other values pass unchanged."""
    if isinstance(result, (tuple, list)) and type(result).__name__ != "Size":
        return [leaf for part in result for leaf in flat(part)]
    return [result]


def differences(got, want, dtype, ulp=0, scale=None):
    """Where `got` is further than `ulp` units in the last place of `dtype` from `want`; '' when nowhere.

    The unit is taken at the larger of |want| and `scale`: for a sum, the sum of absolute values, since no
    order of summation can promise more.
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return f"shape {got.shape} instead of {want.shape}"
    if got.size == 0:
        return ""
    want = quantise(want, dtype)
    real = REAL.get(dtype, dtype)
    with np.errstate(all="ignore"):
        same = (got == want) | ((got != got) & (want != want))
        if ulp and real in EPS:
            size = np.abs(want)
            if scale is not None:
                size = np.maximum(size, np.abs(scale))
            near = np.abs(got - want) <= ulp * (EPS[real] * size + TINY[real])
            same = same | (near & np.isfinite(np.abs(want)) & np.isfinite(np.abs(got)))
    if same.all():
        return ""
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    g, w = got[where], want[where]
    extra = f", {abs(g - w) / (EPS[real] * abs(w)):.1f} ulp" if real in EPS and w and np.isfinite(abs(w)) else ""
    return f"{(~same).sum()} of {got.size} differ; first at {where}: {g!r} instead of {w!r}{extra}"


def assert_same(got, want, ulp=0, scale=None, note=""):
    """Two tensors (of either module): same dtype, shape and values up to `ulp`."""
    assert dtype_name(got) == dtype_name(want), f"{note}: dtype {got.dtype} instead of {want.dtype}"
    assert tuple(got.shape) == tuple(want.shape), f"{note}: shape {tuple(got.shape)} instead of {tuple(want.shape)}"
    wrong = differences(values_of(got), values_of(want), dtype_name(got), ulp, scale)
    assert not wrong, f"{note}: {wrong}"
