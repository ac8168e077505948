"""What several modules of functions need: torch's word for a dtype, and out=."""

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


def into(out, y):
    """y, or `out` with y's shape and values where there is one."""
    if out is None:
        return y
    if out.shape != y.shape:
        out.resize_(y.shape)
    return out.copy_(y)
