"""The lines below a strict() error: the operands, what happens to them, and edits that were tried."""

from math import prod

from ._explain.ask import SYMBOL_OF
from ._explain.notes import each_other
from ._strict_checks import JOINS, LOSSES
from .errors.catalogue import page
from .errors.mends import Mend
from .errors.text import table


def _code(op, *names):
    symbol = SYMBOL_OF.get(op)
    if op in JOINS:
        return f"torch.{op}([{', '.join(names)}])"
    if symbol and len(names) == 2:
        return f"{names[0]} {symbol} {names[1]}"
    return f"{'F' if op in LOSSES else 'torch'}.{op}({', '.join(names)})"


def _allowed(kind, first=False) -> str:
    return f'{"try" if first else "or "} with strict(allow="{kind}"): around it'


@page("strict_broadcast")
@page("strict_outer")
def _(f):
    a, b = f.args[:2]
    wide = tuple(f.raw["strict"]["wide"])
    call, loss = _code(f.op, a.name, b.name), f.op in LOSSES
    mends = []
    for x, y, _shape in each_other((a.name, a.shape), (b.name, b.shape)):
        of, code = (a.name, x) if x != a.name else (b.name, y)
        mends.append(Mend(code, of=of, then=call, gives=not loss))
    del mends[2:]
    if not loss:
        sizes = ", ".join(map(str, wide))
        mends.append(
            Mend(f"{a.name}.expand({sizes})", of=a.name, then=call, gives=False, note="if every pair is meant")
        )
    sizes = f"{prod(a.shape)} and {prod(b.shape)} numbers give {prod(wide)}"
    lines = [*table(f.args[:2]), f"each is repeated along the other: {sizes}, every pair"]
    return [*lines, *f.tries(f.args[:2], *mends), _allowed(f.kind.removeprefix("strict_"), not mends)]


@page("strict_size1")
def _(f):
    facts = f.raw["strict"]
    (n, d), (m, e) = facts["one"], facts["many"]
    one, many = f.args[n], f.args[m]
    size = many.shape[e]
    lines = table(f.args)
    lines.append(
        f"the one number of {one.label} meets all {size} of {many.label}, which is only summed along that index"
    )
    lines.append(f"try {many.written or many.name}.sum({e}, keepdim=True), the same said aloud")
    if facts["equation"] and "." not in facts["equation"]:
        term = facts["equation"].replace(" ", "").split("->")[0].split(",")[n]
        for i, k in enumerate(one.shape):
            if k == size and i != d:
                lines.append(
                    f"or  another equation, if {term[i]} of {one.label}, which has {size}, is meant to be summed"
                )
    return [*lines, _allowed("size1")]


@page("strict_promotion")
def _(f):
    import hadamard

    whole = [a for a in f.args if a.shape]
    made = [hadamard.empty(1, dtype=getattr(hadamard, a.dtype), device="meta") for a in whole[:2]]
    result = str(hadamard.result_type(*made)).rpartition(".")[2]
    lost = [a for a in whole if a.dtype != result]
    verb = "is" if len(lost) == 1 else "are"
    lines = [
        *table(f.args),
        f"the result has {result}; {' and '.join(a.label for a in lost)} {verb} converted each time",
    ]
    if "float64" in (a.dtype for a in whole):
        lines.append("float64 is NumPy's own dtype: torch.from_numpy(x).float() leaves it where the data comes in")
    names = [a.name for a in f.args]
    a = lost[0]
    b = next(x for x in whole if x is not a)
    call = _code(f.op, *names)
    mends = [Mend(f"{a.name}.to({b.name}.dtype)", of=a.name, then=call, gives=False, note=b.dtype)]
    if b.dtype == "float64":
        mends.insert(0, Mend(f"{b.name}.to({a.name}.dtype)", of=b.name, then=call, gives=False, note=a.dtype))
    tried = f.tries(f.args, *mends)
    return [*lines, *tried, _allowed("promotion", not tried)]


@page("strict_overflow")
def _(f):
    facts = f.raw["strict"]
    bits, dtype = facts["bits"], facts["dtype"]
    low, high = (0, 2**bits - 1) if dtype == "uint8" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    wide = "long()" if bits < 64 else "double()"
    names = [f"{a.written or a.name}.{wide}" for a in f.args]
    code = f".{wide} on the operands" if f.op in ("einsum", "tensordot") else _code(f.op, *names)
    if len(names) == 1:
        code = names[0] + " in its place"
    return [*table(f.args), f"{dtype} has {bits} bits: {low} to {high}", f"try {code}", _allowed("overflow")]


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
_SLOPES = {
    "sqrt": "the slope of sqrt at 0 is infinite: sqrt(x + 1e-12) has a finite one",
    "norm": "the slope of a norm at 0: (x * x).sum() has one",
    "linalgvectornorm": "the slope of a norm at 0: (x * x).sum() has one",
    "log": "the slope of log at 0 is infinite",
    "pow": "the slope of a root at 0 is infinite",
    "div": "a division by 0, also where where(…) leaves its result out: mend the divisor, where(b == 0, 1, b)",
}
_CURES = {
    "div": "dividing by {}.where({} != 0, 1), which is never 0, or by {} + 1e-8",
    "log": "torch.log({}.clamp(min=1e-12)), or log_softmax and logsigmoid, which never meet log(0)",
    "sqrt": "torch.sqrt({}.clamp(min=0))",
    "exp": "{} - {}.max() before it, or logsumexp and softmax, which do that",
}


@page("strict_nonfinite")
def _(f):
    half = any(a.dtype == "float16" for a in f.args)
    if f.op == "backward":
        for a in f.args:
            a.name, a.written = "gradient", ""  # none of the user's tensors
        node = f.line.removeprefix("backward: ").partition("Backward")[0].lower()
        slope = _SLOPES.get(node)
        return [*table(f.args), *([slope] if slope else []), _allowed("nonfinite", True)]
    at = ", ".join(map(str, f.raw["strict"]["where"]))
    cause = _CAUSES.get(f.op, "float16 ends at 65504" if half else "")
    told = "; ".join(words for words in (cause, f"the first is at [{at}]" if at else "") if words)
    last = f.args[-1].written or f.args[-1].name
    cure = (_CURES.get(f.op) or ("{}.float() before it, or bfloat16" if half else "")).replace("{}", last)
    lines = [*table(f.args), *([told] if told else []), *([f"try {cure}"] if cure else [])]
    return [*lines, _allowed("nonfinite", not cure)]
