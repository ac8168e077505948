"""repr of a tensor is PyTorch's, to the character."""

import importlib.util
import math
from pathlib import Path

import hadamard
import pytest
from hadamard import _tensor_str
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch") if importlib.util.find_spec("torch") else None
needs_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch (extra: oracle)")

FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTS = ["uint8", "int8", "int16", "int32", "int64"]
COMPLEX = ["complex64", "complex128"]
