"""torch.types: names for annotations."""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

from . import _C
from ._size import Size

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number: TypeAlias = int | float | bool
Device: TypeAlias = _C.device | str | int | None
FileLike: TypeAlias = str | os.PathLike | Any
Storage: TypeAlias = Any
_bool, _int, _float, _complex = bool, int, float, complex
_TensorOrTensors: TypeAlias = _C.Tensor | Sequence[_C.Tensor]
_dtype, _device, _size = _C.dtype, _C.device, Size | list[int] | tuple[int, ...]
