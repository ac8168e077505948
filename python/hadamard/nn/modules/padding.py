"""Padding as layers."""

from .. import functional as F
from .._tuples import _ntuple
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    _dims = 0
    _mode = "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Adds `value` to both ends of the last dimension: `padding` is one number or (left, right)."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Adds `value` around the last two dimensions: `padding` is one number or (left, right, top, bottom).

    >>> import hadamard as H
    >>> H.nn.ConstantPad2d(1, 7.0)(H.zeros(1, 1, 1))
    tensor([[[7., 7., 7.],
             [7., 0., 7.],
             [7., 7., 7.]]])
    """

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Adds `value` around the last three dimensions."""

    _dims = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """Adds zeros to both ends of the last dimension."""

    _dims = 1


class ZeroPad2d(_ZeroPadNd):
    """Adds zeros around the last two dimensions."""

    _dims = 2


class ZeroPad3d(_ZeroPadNd):
    """Adds zeros around the last three dimensions."""

    _dims = 3


class ReflectionPad1d(_PadNd):
    """Adds the mirror image, without the edge, to both ends of the last dimension."""

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Adds the mirror image, without the edge, around the last two dimensions."""

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Adds the mirror image, without the edge, around the last three dimensions."""

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Repeats the edge at both ends of the last dimension."""

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Repeats the edge around the last two dimensions."""

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Repeats the edge around the last three dimensions."""

    _dims = 3
    _mode = "replicate"


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def forward(self, input):
        n = self._dims
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Continues the last dimension at both ends as if it were a ring."""

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """Continues the last two dimensions as if they were rings."""

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """Continues the last three dimensions as if they were rings."""

    _dims = 3
