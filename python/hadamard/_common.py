"""What several modules of functions need: torch's word for a dtype, out=, and results with named parts."""

import sys

from ._C import Tensor, _write_out

_SCALARS = {
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "bool": "Bool",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
}


def scalar_name(dtype):
    """The word for a dtype in torch's messages: "Float" for float32."""
    return _SCALARS[repr(dtype)[6:]]


def expect_tensor(name, word, place, value):
    """TypeError where an argument is no tensor, in torch's words."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{word}' (position {place}) must be Tensor, not {type(value).__name__}")


def expect_tensors(name, tensors):
    """TypeError where the first argument is no list of tensors, in torch's words."""
    if not isinstance(tensors, (list, tuple)):
        kind = type(tensors).__name__
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {kind}")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")


def into(out, y):
    """y, or `out` with y's shape and values where there is one; of a tuple y each, into the entries of `out`.

    RuntimeError where y has a gradient or its dtype does not go into that of `out`.
    """
    if out is None:
        return y
    code, module = sys._getframe(1).f_code, sys._getframe(1).f_globals["__name__"].split(".")[1]
    op = f"{module}_{code.co_name}" if module in ("fft", "linalg", "special") else code.co_name
    if isinstance(y, tuple):
        return type(y)([_write_out(op, o, v) for o, v in zip(out, y, strict=True)])
    return _write_out(op, out, y)


named_results: dict[str, type] = {}


def named(name, fields):
    """A class of tuples with named entries that print as the results of max and sort do."""

    def show(self):
        from hadamard._tensor_str import named_tuple_repr

        return named_tuple_repr(self)

    def entry(i):
        return property(lambda self: self[i])

    def new(cls, *values):
        if len(values) == 1 and isinstance(values[0], (tuple, list)):
            values = values[0]
        return tuple.__new__(cls, values)

    def reduce(self):
        from hadamard.return_types import _reduce

        return _reduce(self)

    body = {f: entry(i) for i, f in enumerate(fields)}
    body |= {"__slots__": (), "__match_args__": tuple(fields), "__module__": "torch.return_types"}
    body |= {"__new__": new, "__repr__": show, "__reduce__": reduce}
    named_results[name] = made = type(name, (tuple,), body)
    return made
