"""The one list of known differences from torch: a test's name (or a pattern of names) and why it is so.

Strict: a test listed here that passes is an error.
"""

import fnmatch


class Pattern(str):
    def matches(self, name):
        return fnmatch.fnmatchcase(name.replace("[", "<").replace("]", ">"), self.replace("[", "<").replace("]", ">"))


# Ops that take dtypes which torch refuses: integers compute in float32, and so on.
_TAKEN = {
    "isposinf": "complex64 complex128",
    "isneginf": "complex64 complex128",
    "sub:alpha": "bool",
    "F.leaky_relu": "bool uint8 int8 int16 int32 int64",
    "F.elu": "bool uint8 int8 int16 int32 int64",
    "F.hardtanh": "bool uint8",
    "F.glu": "bool uint8 int8 int16 int32 int64 complex64 complex128",
    "F.tanhshrink": "bool",
    "F.hardshrink": "bool uint8 int8 int16 int32 int64",
    "F.softshrink": "bool uint8 int8 int16 int32 int64",
    "F.threshold": "bool",
    "cdist": "float16 bfloat16",
    "trapezoid": "bool",
    "trapz": "bool",
}
_REASONS = {
    **{
        f"test_ops.py::test_refuses_dtype[{op}-{dtype}]": "computed here, refused by torch"
        for op, dtypes in _TAKEN.items()
        for dtype in dtypes.split()
    },
    **{
        f"test_ops.py::test_special_numbers[tanh-{dtype}]": "tanh(-0.0) is 0.0, not -0.0"
        for dtype in ("float16", "bfloat16", "float32")
    },
    "test_ops.py::test_special_numbers[F.silu-float32]": "denormal results are off by up to 2 %",
    **{
        f"test_grad.py::{test}": "div with rounding_mode has no (zero) gradient: its result does not require grad"
        for test in (
            "test_first[div:rounded-float64]",
            "test_second[div:rounded-float64]",
            "test_same_as_torch[div:rounded]",
        )
    },
    # torch's derivative of hardsigmoid multiplies by 1/6 rounded to float32, in float64 too; finite differences side
    # with ours.
    "test_grad.py::test_same_as_torch[F.hardsigmoid]": "torch's constant 1/6 has float32's precision in float64",
    "test_nn.py::test_module_is_torchs[Hardsigmoid]": "the same constant",
    # Keeping it would mean that the core owns the Python object while nobody else does, as torch has it.
    "test_interop.py::test_identity_survives_the_graph": "a leaf that only its graph keeps gets a new Python object",
}
KNOWN = {Pattern(name): reason for name, reason in _REASONS.items()}
