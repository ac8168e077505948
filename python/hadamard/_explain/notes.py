"""What to look at twice: things that compute without a word and are often not what was meant."""

from dataclasses import dataclass, field
from math import prod

import hadamard as H

from . import ask


@dataclass
class Warning:
    """One thing to look at: its kind (strict() knows most of them by the same names), words, and edits that fit."""

    kind: str
    text: str
    mends: list = field(default_factory=list)

    def __str__(self):
        return "\n".join([self.text, *self.mends])


def of(e) -> list:
    """The warnings of an explained product, the most serious first."""
    if e.alignment is None:
        return []
    found = []
    for look in (_each_other, _size_one, _promotion, _column_bias, _overflow, _half, _square, _nothing):
        found += look(e)
    return found


def show(shape) -> str:
    """(2, 3) as Python writes it."""
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def squeezed(shape, name):
    """(code, shape) without the first dimension of size 1 from the right; None where there is none."""
    for d in range(len(shape) - 1, -1, -1):
        if shape[d] == 1:
            return f"{name}.squeeze({d - len(shape)})", (*shape[:d], *shape[d + 1 :])
    return None


def fits(a, b):
    """The broadcast shape of two shapes, or None."""
    rank = max(len(a), len(b))
    sizes = []
    for x, y in zip((1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b), strict=True):
        if x != y and 1 not in (x, y):
            return None
        sizes.append(y if x == 1 else x)
    return tuple(sizes)


def each_other(a, b) -> list:
    """[(code of a, code of b, result shape)] that pair the numbers of two (name, shape) which expand against each
    other: by one dimension of size 1 less, or one more."""
    mends = []
    for (name, shape), (_, other), first in ((a, b, True), (b, a, False)):
        small = squeezed(shape, name)
        if small and fits(small[1], other) in (small[1], tuple(other)):
            mends.append((small[0], b[0], small[1]) if first else (a[0], small[0], small[1]))
    for (name, shape), (_, other), first in ((a, b, True), (b, a, False)):
        wide = (*shape, 1)
        if len(wide) == len(other) and fits(wide, other) in (wide, tuple(other)):
            code = f"{name}.unsqueeze(-1)"
            mends.append((code, b[0], fits(wide, other)) if first else (a[0], code, fits(wide, other)))
    return mends


def _each_other(e):
    if e.alignment.kind != "elementwise":
        return []
    a, b = e.operands[:2]
    if a.number is not None or b.number is not None:
        return []
    if not all(any(i.size != 1 and i.states[at] == "repeated" for i in e.indices) for at in (0, 1)):
        return []
    if prod(a.shape) <= 1 or prod(b.shape) <= 1:
        return []
    wide = fits(a.shape, b.shape)
    if wide is None:
        return []
    what = "every pair, where number by number may be meant" if len(a.shape) != len(b.shape) else "every pair"
    sizes = f"{prod(a.shape)} and {prod(b.shape)} numbers give {prod(wide)}"
    text = f"each operand is repeated along the other: {sizes}, {what}"
    mends = [
        f"number by number: {written(e.op, e.equation, [x, y])}, on {show(result)}"
        for x, y, result in each_other((a.name, a.shape), (b.name, b.shape))
    ][:2]
    if len(a.shape) != len(b.shape) and e.op not in ask.LOSSES:
        short = a if len(a.shape) < len(b.shape) else b
        index = ", ".join(["None"] * abs(len(a.shape) - len(b.shape)) + [":"] * len(short.shape))
        mends.append(f"every pair, said aloud: {short.name}[{index}]")
    return [Warning("broadcast" if len(a.shape) != len(b.shape) else "outer", text, mends)]


def _size_one(e):
    if e.alignment.kind != "product":
        return []
    found = []
    for i in e.indices:
        if i.kept or not i.repeats():
            continue
        for at in i.repeats():
            x = e.operands[at]
            if i.letter not in x.labels:
                continue
            others = [o for n, o in enumerate(e.operands) if n != at and i.letter in o.labels]
            y = others[0]
            text = (
                f"{i.letter} is summed, with size 1 in {x.name} and {i.size} in {y.name}: the one number of {x.name} "
                f"meets all {i.size}, so {y.name} is only summed over {i.letter}"
            )
            mends = []
            if prod(y.shape):
                mends.append(f"the same, said aloud: {y.name}.sum({y.labels.index(i.letter)}, keepdim=True)")
            other = [
                f"{c} of {x.name}" for c, n in zip(x.labels, x.shape, strict=True) if n == i.size and c != i.letter
            ]
            if other:
                where = " or ".join(other)
                mends.append(f"if {i.letter} was meant to stand for {where}, which has {i.size}, write it there")
            found.append(Warning("size1", text, mends))
    return found


def _promotion(e):
    """float64 from NumPy, mostly."""
    whole = [x for x in e.operands if x.number is None and x.shape and x.dtype != H.bool]
    if e.alignment.kind != "elementwise" or len({x.dtype for x in whole}) < 2 or e.dtype == H.bool:
        return []
    lost = [x for x in whole if x.dtype != e.dtype]
    if e.dtype != H.float64 or not lost[0].dtype.is_floating_point:
        return []
    wide = next(x for x in whole if x.dtype == H.float64)
    text = f"{lost[0].name} is converted to float64, which {wide.name} has, as data from NumPy mostly do"
    return [
        Warning(
            "promotion", text, [f"{wide.name}.to({lost[0].name}.dtype), where the digits of float64 are not wanted"]
        )
    ]


def _column_bias(e):
    """(N, M) + (N, 1): a column, where a bias is a row."""
    if e.op not in ("add", "sub"):
        return []
    for x, y in (e.operands[:2], e.operands[1::-1]):
        column = len(x.shape) == len(y.shape) == 2 and x.shape[1] == 1 < y.shape[1] and x.shape[0] == y.shape[0] > 1
        if column and x.number is None:
            text = (
                f"{x.name} is a column: each of its {x.shape[0]} numbers goes to a whole row of {y.name}; "
                f"a bias has one number for each column"
            )
            return [Warning("column", text, [f"a bias for {y.name} has the shape ({y.shape[1]},)"])]
    return []


_BITS = {"uint8": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64}


def wrapped(call, y, operands):
    """(which numbers of the integer result y wrapped, what they should be), by computing it again in float64."""
    with H.no_grad():
        exact = call(*[x.to(H.float64) if isinstance(x, H.Tensor) else float(x) for x in operands])
        # What wrapped is off by a multiple of 2^bits; float64 is not, whatever it rounds.
        return (exact - y.to(H.float64)).abs() > 2.0 ** (8 * ask.itemsize(y.dtype) - 1), exact


def _overflow(e):
    name = str(e.dtype).rpartition(".")[2]
    if name not in _BITS or e.op not in ("mul", "add", "sub", *ask.PRODUCTS, *ask.CONVOLUTIONS, *ask.TRANSPOSED):
        return []
    if any(x.number is not None for x in e.operands):
        return []
    bits = _BITS[name]
    low, high = (0, 2**bits - 1) if name == "uint8" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    wide = [f"{x.name}.long()" for x in e.operands] if bits < 64 else [f"{x.name}.double()" for x in e.operands]
    mend = f"compute in more: {written(e.op, e.equation, wide)}"
    if e.values is not None:
        from .explanation import caller

        bad, exact = wrapped(caller(e.request), e.values, [x.tensor for x in e.operands])
        if not bad.any():
            return []
        what = "sums" if e.plans else "results"
        example = f"{int(exact[bad][0])} became {e.values[bad][0].item()}"
        share = f"{int(bad.sum())} of {prod(e.shape)} {what} wrapped: " if e.shape else ""
        text = f"{share}{example}, because {what} are kept in the {bits} bits of {name}, {low} to {high}"
        return [Warning("overflow", text, [mend])]
    if bits > 16:
        return []
    kept = f"the sum is kept in the {bits} bits of {name}" if e.plans else f"the result has the {bits} bits of {name}"
    return [Warning("overflow", f"{kept}: what leaves {low:,} to {high:,} wraps around".replace(",", " "), [mend])]


def written(op, equation, names) -> str:
    """The op as code, of these operands."""
    symbol = ask.SYMBOL_OF.get(op)
    if symbol and len(names) == 2:
        return f"{names[0]} {symbol} {names[1]}"
    if op == "einsum":
        return f'einsum("{equation}", {", ".join(names)})'
    return f"{op}({', '.join(names)})"


def _half(e):
    if e.dtype not in (H.float16, H.bfloat16):
        return []
    found = []
    if e.values is not None and not bool(H.isfinite(e.values.float()).all()):
        names = [f"{x.name}.float()" for x in e.operands]
        inputs = all(x.tensor is None or bool(H.isfinite(x.tensor.float()).all()) for x in e.operands)
        if inputs:
            text = f"a result is beyond {H.finfo(e.dtype).max:g}, the largest of {str(e.dtype)[6:]}, and became inf"
            return [Warning("nonfinite", text, [f"compute in more: {written(e.op, e.equation, names)}"])]
    if e.dtype == H.float16 and e.plans:
        depth = max(p["depth"] for p in e.plans)
        limit = (65504 / max(depth, 1)) ** 0.5
        text = (
            f"sums are kept in float32, but a result beyond 65504 becomes inf: with {depth} terms, "
            f"numbers of about {limit:.3g} are enough"
        )
        found.append(Warning("float16", text, ["scale one operand before, or bfloat16, which reaches 3.4e38"]))
    return found


def _square(e):
    """A matrix whose transpose would fit as well."""
    if e.op not in ("matmul", "mm", "linear") or len(e.operands) < 2:
        return []
    w = e.operands[1]
    if len(w.shape) != 2 or w.shape[0] != w.shape[1] or w.shape[0] == 1:
        return []
    if e.op != "linear" and e.operands[0].shape == w.shape:
        return []  # two square matrices: neither is more of a weight than the other
    written = f"{w.name} is used as (out, in)" if e.op == "linear" else f"{w.name} is used as (in, out)"
    other = f"{e.operands[0].name} @ {w.name}" if e.op == "linear" else f"{e.operands[0].name} @ {w.name}.T"
    return [
        Warning(
            "square",
            f"{w.name} is square, so its transpose fits as well, and no error would tell: {written}",
            [f"the other one: {other}" + ("" if e.op == "linear" else ", as a Linear layer stores its weight")],
        )
    ]


def _nothing(e):
    if e.alignment.kind != "product" or e.shape is None or not prod(e.shape):
        return []
    empty = [i.letter for i in e.indices if not i.kept and i.size == 0]
    return [Warning("empty", f"{empty[0]} has size 0: every sum is empty, and 0", [])] if empty else []
