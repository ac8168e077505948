"""The lines below a strict() error: the operands, what happens to them, and edits that were tried."""

from math import prod

from ._explain.ask import SYMBOL_OF
from ._explain.notes import each_other
from ._strict_checks import LOSSES
from .errors.catalogue import page
from .errors.mends import Mend
from .errors.text import show, table


def _code(op, *names):
    symbol = SYMBOL_OF.get(op)
    if symbol and len(names) == 2:
        return f"{names[0]} {symbol} {names[1]}"
    return f"{'F' if op in LOSSES else 'torch'}.{op}({', '.join(names)})"


@page("strict_broadcast")
@page("strict_outer")
def _(f):
    a, b = f.args[:2]
    wide = tuple(f.raw["strict"]["wide"])
    pairs = f"each is repeated along the other: {prod(a.shape)} and {prod(b.shape)} numbers give {prod(wide)}, every pair"
    mends = []
    for x, y, shape in each_other((a.name, a.shape), (b.name, b.shape)):
        of, code = (a.name, x) if x != a.name else (b.name, y)
        mends.append((Mend(code, of=of, then=_code(f.op, a.name, b.name), gives=f.op not in LOSSES), shape))
    lines = table(f.args[:2]) + [pairs]
    want = {None if f.op in LOSSES else shape for _, shape in mends}
    lines += f.tries(f.args[:2], *[m for m, _ in mends], limit=2) if want else []
    asked = Mend(f"{a.name}.expand({', '.join(map(str, wide))})", of=a.name, then=_code(f.op, a.name, b.name), gives=False,
                 note="where every pair is meant")  # fmt: skip
    if f.op not in LOSSES:
        more = f.tries(f.args[:2], asked)
        lines += [("or  " if len(mends) else "try ") + m[4:] for m in more]
    kind = f.kind.removeprefix("strict_")
    return [*lines, f'or  with strict(allow="{kind}"): around it']


@page("strict_size1")
def _(f):
    facts = f.raw["strict"]
    (n, d), (m, e) = facts["one"], facts["many"]
    one, many = f.args[n], f.args[m]
    size = many.shape[e]
    lines = table(f.args)
    lines.append(
        f"the one number of {one.label} meets all {size} of {many.label}: nothing is multiplied along the index, "
        f"{many.name} is only summed"
    )
    mends = [f"try {many.name}.sum({e}, keepdim=True), the same said aloud"]
    equation = facts["equation"]
    if equation:
        letter = equation.replace(" ", "").split("->")[0].split(",")[n][d]
        others = [i for i, k in enumerate(one.shape) if k == size and i != d]
        term = equation.replace(" ", "").split("->")[0].split(",")[n]
        for i in others:
            mends.append(f"or  another equation, if {letter} is meant to run along dim {i} of {one.name} ({term[i]}), which has {size}")
    return [*lines, *mends, 'or  with strict(allow="size1"): around it']


@page("strict_promotion")
def _(f):
    lines = table(f.args)
    import hadamard

    whole = [a for a in f.args if a.shape]
    made = [hadamard.empty(0, dtype=getattr(hadamard, a.dtype)) for a in whole[:2]]
    result = str(hadamard.result_type(*made)).rpartition(".")[2]
    lost = [a for a in whole if a.dtype != result]
    lines.append(f"the result has {result}; {' and '.join(a.label for a in lost)} {'is' if len(lost) == 1 else 'are'} converted on each call")
    if "float64" in (a.dtype for a in whole):
        lines.append("float64 is NumPy's own dtype: torch.from_numpy(x).float() leaves it where the data comes in")
    a, b = (lost[0], next(x for x in whole if x is not lost[0])) if len(whole) > 1 else (whole[0], whole[0])
    mends = [Mend(f"{a.name}.to({b.name}.dtype)", of=a.name, then=_code(f.op, "a", "b"), gives=False, note=b.dtype)]
    if b.dtype == result and b.dtype == "float64":
        mends.insert(0, Mend(f"{b.name}.to({a.name}.dtype)", of=b.name, then=_code(f.op, "a", "b"), gives=False, note=a.dtype))
    tried = f.tries(f.args, *mends)
    return [*lines, *tried, 'or  with strict(allow="promotion"): around it']


@page("strict_overflow")
def _(f):
    facts = f.raw["strict"]
    bits, dtype = facts["bits"], facts["dtype"]
    low, high = (0, 2**bits - 1) if dtype == "uint8" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    lines = [*table(f.args), f"{dtype} has {bits} bits: {low} to {high}"]
    wide = "long" if bits < 64 else "double"
    if f.op in ("einsum", "tensordot") or len(f.args) < 2:
        return [*lines, f"try .{wide}() on {'the operands' if len(f.args) > 1 else f.args[0].written or 'it'} before", 'or  with strict(allow="overflow"): around it']
    return [*lines, f"try {_code(f.op, *[f'{a.written or a.name}.{wide}()' for a in f.args])}", 'or  with strict(allow="overflow"): around it']


_CAUSES = {
    "div": "a division by 0",
    "log": "the logarithm of 0 or less",
    "log2": "the logarithm of 0 or less",
    "log10": "the logarithm of 0 or less",
    "log1p": "the logarithm of 0 or less",
    "sqrt": "the root of a negative number",
    "rsqrt": "the root of 0 or less",
    "exp": "an exponential beyond the range of the dtype",
    "reciprocal": "a division by 0",
    "pow": "a power beyond the range, or a root of a negative number",
}
_CURES = {
    "div": "a / (b + 1e-8), or where(b != 0, a / b, 0)",
    "log": "torch.log(x.clamp(min=1e-12)), or log_softmax and logsigmoid, which never meet log(0)",
    "sqrt": "torch.sqrt(x.clamp(min=0))",
    "exp": "x - x.max() before it, or logsumexp and softmax, which do that",
}


@page("strict_nonfinite")
def _(f):
    facts = f.raw["strict"]
    lines = table(f.args)
    at = ", ".join(map(str, facts["where"]))
    here = f"the first is at [{at}]" if at else ""
    cause = _CAUSES.get(f.op)
    if cause:
        here = f"{cause}; {here}" if here else cause
    elif any(a.dtype == "float16" for a in f.args):
        here = f"float16 ends at 65504; {here}" if here else "float16 ends at 65504"
    if here:
        lines.append(here)
    cure = _CURES.get(f.op) or ("x.float() before it, or bfloat16" if any(a.dtype == "float16" for a in f.args) else "")
    return [*lines, *([f"try {cure}"] if cure else []), ("or  " if cure else "try ") + 'with strict(allow="nonfinite"): around it']
