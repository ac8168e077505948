"""Small helpers of the layers: numbers repeated into tuples, paddings in reverse."""


def _ntuple(n):
    def parse(x):
        if isinstance(x, (tuple, list)) or (hasattr(x, "__iter__") and not isinstance(x, str)):
            return tuple(x)
        return (x,) * n

    return parse


_single = _ntuple(1)
_pair = _ntuple(2)
_triple = _ntuple(3)
_quadruple = _ntuple(4)


def _reverse_repeat_tuple(t, n):
    """(a, b) with n = 2 becomes (b, b, a, a), the order that `pad` takes."""
    return tuple(x for x in reversed(t) for _ in range(n))
