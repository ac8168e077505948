"""torch.testing: assert_close passes and fails where PyTorch's does, in its words; make_tensor draws its numbers."""

import itertools
from math import inf, nan

import numpy as np
import pytest
from harness import H, torch

needs_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch (extra: oracle)")

THINGS = {
    "1": lambda m: 1,
    "2": lambda m: 2,
    "1.5": lambda m: 1.5,
    "nan": lambda m: nan,
    "1+2j": lambda m: 1 + 2j,
    "True": lambda m: True,
    "None": lambda m: None,
    "text": lambda m: "abc",
    "0-d": lambda m: m.tensor(1.0),
    "0-d int": lambda m: m.tensor(2),
    "floats": lambda m: m.tensor([1.0, 2.0]),
    "other floats": lambda m: m.tensor([1.0, 2.5]),
    "doubles": lambda m: m.tensor([1.0, 2.0], dtype=m.float64),
    "halves": lambda m: m.tensor([1.0, 2.0], dtype=m.float16),
    "close halves": lambda m: m.tensor([1.001, 2.0], dtype=m.float16),
    "ints": lambda m: m.tensor([1, 2]),
    "matrix": lambda m: m.tensor([[1.0, 2.0], [4.0, nan]]),
    "other matrix": lambda m: m.tensor([[1.0, 5.0], [inf, 0]]),
    "bools": lambda m: m.tensor([True, False]),
    "other bools": lambda m: m.tensor([True, True]),
    "bytes": lambda m: m.tensor([200, 3], dtype=m.uint8),
    "other bytes": lambda m: m.tensor([3, 200], dtype=m.uint8),
    "complex": lambda m: m.tensor([1 + 2j, 3]),
    "other complex": lambda m: m.tensor([1 + 2j, 4]),
    "empty": lambda m: m.empty(0),
    "meta": lambda m: m.ones(2, device="meta"),
    "array": lambda m: np.array([1.0, 2.0]),
    "other array": lambda m: np.array([1.0, 3.0]),
    "list": lambda m: [1, 2],
    "longer list": lambda m: [1, 2, 3],
    "mixed list": lambda m: [1, m.tensor(2.0)],
    "tuple": lambda m: (1, 2.0),
    "dict": lambda m: {"a": 1, "b": [1, 2]},
    "other dict": lambda m: {"a": 1, "b": [1, 3]},
    "other keys": lambda m: {"c": 1},
}
OPTIONS = [{}, {"equal_nan": True}, {"rtol": 0, "atol": 0}, {"check_dtype": False}, {"rtol": 0.5, "atol": 0.1}]


def outcome(module, a, b, options):
    try:
        module.testing.assert_close(THINGS[a](module), THINGS[b](module), **options)
        return "passes"
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("hadamard.", "torch.").replace("torch._C.", "torch.")


@needs_torch
@pytest.mark.parametrize("a", THINGS)
def test_assert_close_as_torch(a):
    for b, options in itertools.product(THINGS, OPTIONS):
        theirs = outcome(torch, a, b, options)
        if "Originating a NumberPair" in theirs:
            continue  # torch fails on a bool against another number and says so
        assert outcome(H, a, b, options) == theirs, (b, options)


def test_message():
    close = H.testing.assert_close
    close([H.ones(2), {"a": 1.0}], [H.ones(2), {"a": 1.0}])
    with pytest.raises(AssertionError, match=r"Greatest absolute difference: 1\.0 at index \(1,\)"):
        close(H.ones(2), H.tensor([1.0, 2.0]))
    with pytest.raises(AssertionError, match=r"The failure occurred for item \[1\]\['a'\]"):
        close([1, {"a": 1}], [1, {"a": 2}])
    with pytest.raises(AssertionError, match="^mine$"):
        close(1, 2, msg="mine")
    with pytest.raises(AssertionError, match="(?s)^Scalars are not equal.*, he said$"):
        close(1, 2, msg=lambda text: text + ", he said")
    with pytest.raises(ValueError, match="no atol"):
        close(1, 1, rtol=1)


MAKE = [
    {},
    {"low": -3, "high": 4},
    {"noncontiguous": True},
    {"exclude_zero": True},
    {"low": 5, "high": 2},
    {"low": nan},
    {"low": -1e40, "high": 1e40},
    {"requires_grad": True},
]


@needs_torch
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64", "float16", "bfloat16", "float32", "complex64"])
@pytest.mark.parametrize("options", MAKE, ids=str)
def test_make_tensor_as_torch(dtype, options):
    def made(module):
        module.manual_seed(0)
        try:
            t = module.testing.make_tensor(3, 4, dtype=getattr(module, dtype), device="cpu", **options)
            return repr(t), t.stride()
        except Exception as error:
            return repr(error)

    assert made(H) == made(torch)
