"""The array API standard, version 2025.12 (https://data-apis.org/array-api/2025.12), over Hadamard's own functions.

What `x.__array_namespace__()` returns. Results are `Array`s: tensors that take part in gradients and in every function
of `hadamard`, and whose operators and indexing follow the standard where torch does something else. The standard's
uint16, uint32 and uint64 do not exist here, `fft` neither; `__array_namespace_info__()` says what does.

>>> import hadamard as H
>>> x = H.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> xp = x.__array_namespace__()
>>> xp.mean(x, axis=0)
Array([2., 3.])
>>> xp.linalg.det(x)
Array(-2.)
"""

from math import e, inf, nan, pi

from .._C import (
    bool,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from . import linalg
from ._array import Array
from ._creation import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tril,
    triu,
    zeros,
    zeros_like,
)
from ._dtypes import __array_namespace_info__, astype, can_cast, finfo, iinfo, isdtype, result_type
from ._elementwise import *  # noqa: F403
from ._elementwise import __all__ as _elementwise
from ._reductions import *  # noqa: F403
from ._reductions import __all__ as _reductions
from ._shapes import *  # noqa: F403
from ._shapes import __all__ as _shapes
from .linalg import matmul, matrix_transpose, tensordot, vecdot

__array_api_version__ = "2025.12"
newaxis = None

__all__ = [
    "Array",
    "__array_api_version__",
    "__array_namespace_info__",
    "arange",
    "asarray",
    "astype",
    "bool",
    "can_cast",
    "complex128",
    "complex64",
    "e",
    "empty",
    "empty_like",
    "eye",
    "finfo",
    "float32",
    "float64",
    "from_dlpack",
    "full",
    "full_like",
    "iinfo",
    "inf",
    "int16",
    "int32",
    "int64",
    "int8",
    "isdtype",
    "linalg",
    "linspace",
    "matmul",
    "matrix_transpose",
    "meshgrid",
    "nan",
    "newaxis",
    "ones",
    "ones_like",
    "pi",
    "result_type",
    "tensordot",
    "tril",
    "triu",
    "uint8",
    "vecdot",
    "zeros",
    "zeros_like",
    *_elementwise,
    *_reductions,
    *_shapes,
]
