"""The one list of known differences from torch: a test's name (or a pattern of names) and why it is so.

Strict: a test listed here that passes is an error.
"""

import fnmatch


class Pattern(str):
    def matches(self, name):
        return fnmatch.fnmatchcase(name.replace("[", "<").replace("]", ">"), self.replace("[", "<").replace("]", ">"))


_REASONS = {
    # torch's derivative of hardsigmoid multiplies by 1/6 rounded to float32, in float64 too; finite differences side
    # with ours.
    "test_grad.py::test_same_as_torch[F.hardsigmoid]": "torch's constant 1/6 has float32's precision in float64",
    "test_nn.py::test_module_is_torchs[Hardsigmoid]": "the same constant",
    # Keeping it would mean that the core owns the Python object while nobody else does, as torch has it.
    "test_interop.py::test_identity_survives_the_graph": "a leaf that only its graph keeps gets a new Python object",
}
KNOWN = {Pattern(name): reason for name, reason in _REASONS.items()}
