"""One explained product: the facts, gathered without computing it."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import hadamard as H

from . import ask, gradients, indices, machine, notes, spellings

_C = H._C


@dataclass
class Repeat:
    """An operand that is read several times along an index instead of being copied."""

    operand: str
    index: str
    dim: int  # in the result, counted from the left
    old: int  # its size there: 1, or 0 where it has no such dimension
    new: int

    def __str__(self):
        return f"{self.operand}, dim {self.dim}, {self.old or 1} → {self.new}"


@dataclass
class Explanation:
    """What `explain()` found. Printing it shows all of it; the attributes are for programs.

    op, equation: the op's name, and its indices as einsum writes them
    operands: with name, shape, dtype, labels; indices: with letter, size, role, states
    fits, error: whether it can be computed, else the exception that it raises
    shape, dtype, why_dtype: of the result
    repeated, expanded_bytes: what is read again and again, and the memory that real copies of it would take
    multiply_adds, bytes, intensity: the work, the memory touched once, and their ratio
    plans, route, why: how the core computes it; sum_dtype, order: how sums are kept
    expected, measured: seconds (measured where asked for)
    gradients, spellings, warnings: the gradient by each operand, the same in other words, and what to look at twice
    """

    op: str
    request: Any
    operands: list
    equation: str = ""
    indices: list = field(default_factory=list)
    alignment: Any = None
    fits: bool = True
    error: Exception | None = None
    shape: tuple | None = None
    dtype: Any = None
    why_dtype: str = ""
    repeated: list = field(default_factory=list)
    expanded_bytes: int = 0
    multiply_adds: int = 0
    bytes: int = 0
    plans: list = field(default_factory=list)
    route: str = ""
    why: str = ""
    sum_dtype: Any = None
    order: str = ""
    gradients: list = field(default_factory=list)
    spellings: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    measured: float | None = None
    values: Any = None  # the result's numbers, where the operands are small tensors

    @property
    def intensity(self) -> float:
        """Multiply-adds for each byte that is touched."""
        return self.multiply_adds / self.bytes if self.bytes else 0.0

    @property
    def expected(self) -> float:
        """Seconds at the machine's limits of arithmetic and memory, and the time of a call. Probes them once."""
        return machine.expected(self)

    @property
    def bound(self) -> str:
        """What limits it: "arithmetic", "memory" or "the call"."""
        return machine.bound(self)

    def text(self, color=False, times=True) -> str:
        """What printing shows; times=False leaves out what depends on the machine."""
        from . import text

        return text.render(self, color, times)

    def __str__(self):
        from . import text

        return text.plain(text.render(self, text.terminal(), width=text.columns()))

    __repr__ = __str__

    def svg(self) -> str:
        """A picture: grids of cells, the indices in their colours, what is repeated hatched."""
        from . import svg

        return svg.picture(self)

    def plot(self, file=None):
        """The picture in a browser window, or written to `file` (.svg, or .html with the words beside it)."""
        from . import html

        return html.plot(self, file)

    def _repr_html_(self) -> str:
        from . import html

        return html.fragment(self)

    def _repr_svg_(self) -> None:
        return None  # the HTML has the picture in it


def build(request, measure=False) -> Explanation:
    """Explain one request; a product that does not fit becomes an explanation of its error."""
    e = Explanation(request.op, request, request.operands)
    call = caller(request)
    given = [x.meta() for x in request.operands]
    try:
        y = _C._record_plans(lambda: _quiet(call, given), e.plans)
    except Exception as error:
        e.fits, e.error = False, error
        try:
            e.alignment = indices.align(request)
        except indices.Clash:
            pass
        return e
    if isinstance(y, H.Tensor):
        e.shape, e.dtype = tuple(y.shape), y.dtype
    e.multiply_adds = round(sum(p["multiply_adds"] for p in e.plans))
    try:
        e.alignment = indices.align(request)
    except indices.Clash:
        e.alignment = None
    ask.rename(request, "" if e.alignment is None else [i.letter for i in e.alignment.indices])
    e.bytes = sum(x.bytes for x in e.operands)
    if e.shape is not None:
        e.bytes += prod(e.shape) * ask.itemsize(e.dtype)
    if e.alignment is not None:
        _lined_up(e, request)
    _route(e)
    if request.op == "einsum" and len(request.operands) > 2:
        _steps(e, request)
    try:
        _values(e, call)
    except Exception as error:  # what only numbers show, as an integer division by 0
        e.fits, e.error = False, error
        return e
    e.gradients = gradients.of(e, call)
    e.spellings = spellings.of(e)
    e.warnings = notes.of(e)
    if measure:
        e.measured = machine.measure(call, [_real(x) for x in request.operands])
    return e


def caller(request):
    """The op of a request as a function of its operands."""
    name, kwargs = request.op, request.kwargs
    if request.function is not None:

        def call(*operands):
            args = list(request.args)
            for at, x in zip(request.positions, operands, strict=True):
                args[at] = x
            return request.function(*args, **kwargs)

        return call
    if name == "einsum":
        return lambda *operands: H.einsum(request.equation, *operands)
    function = getattr(H, name, None) or getattr(H.nn.functional, name)
    if name in ask.SYMBOL_OF:  # numbers may come first
        import operator

        at = {"mul": "mul", "div": "truediv", "remainder": "mod", "bitwise_and": "and_", "bitwise_or": "or_"}
        at["bitwise_xor"] = "xor"
        function = getattr(operator, at.get(name, "floordiv" if name == "floor_divide" else name))
    return (lambda *operands: function(*operands, **kwargs)) if kwargs else function


def _quiet(call, given):
    from warnings import catch_warnings, simplefilter

    with catch_warnings(), H.no_grad():
        simplefilter("ignore")
        return call(*given)


def _real(x):
    """The operand with data: its own, or zeros of its layout."""
    if x.number is not None:
        return x.number
    if x.tensor is not None and not x.tensor.is_meta:
        return x.tensor.detach()
    y = H.empty_strided(x.shape, x.stride, dtype=x.dtype) if x.stride else H.empty(x.shape, dtype=x.dtype)
    return y.zero_()


def _lined_up(e, request):
    e.equation, e.indices = e.alignment.equation, e.alignment.indices
    shown = [i for i in e.indices if i.kept or e.alignment.kind == "elementwise"]
    for at, x in enumerate(e.operands):
        if x.number is not None:
            continue
        wide = prod(x.shape)
        for index in e.indices:
            if index.size != 1 and index.states[at] == "repeated":
                dim = shown.index(index) if index in shown else -1
                e.repeated.append(Repeat(x.name, index.letter, dim, 1 if index.letter in x.labels else 0, index.size))
                wide *= index.size
        if wide != prod(x.shape):
            e.expanded_bytes += wide * ask.itemsize(x.dtype)
    e.why_dtype = _why_dtype(e)
    if e.alignment.kind == "elementwise":
        e.multiply_adds = prod(i.size for i in e.indices)
    elif not e.plans and e.shape is not None:
        many = len(e.operands) - 1
        # What is summed in one operand alone is summed before.
        e.multiply_adds = prod(i.size for i in e.indices if i.kept or i.states.count("absent") < many)


def _route(e):
    if not e.plans:
        if e.alignment is not None:
            e.route = "element-wise loop"
            again = list(dict.fromkeys(r.operand for r in e.repeated))
            e.why = "nothing is summed, one pass over the result"
            if again:
                e.why += f", in which {' and '.join(again)} {'is' if len(again) == 1 else 'are'} read with step 0"
        return
    first = max(e.plans, key=lambda p: p["multiply_adds"])
    e.route, e.why, e.sum_dtype, e.order = first["route"], first["why"], first["sum_dtype"], first["order"]


def _values(e, call):
    """The numbers themselves where they are few enough to be shown."""
    tensors = [x for x in e.operands if x.number is None]
    if e.shape is None or any(x.tensor is None or x.tensor.is_meta or prod(x.shape) > 100 for x in tensors):
        return
    if prod(e.shape) <= 400:
        y = _quiet(call, [_real(x) for x in e.operands])
        e.values = y if isinstance(y, H.Tensor) else None


def _name(dtype):
    return str(dtype).rpartition(".")[2]


def _why_dtype(e) -> str:
    names = [_name(x.dtype) for x in e.operands]
    result = _name(e.dtype)
    if e.op in ("eq", "ne", "lt", "le", "gt", "ge") or e.op.startswith("logical"):
        return "comparisons and logic give bool"
    whole = [x for x in e.operands if x.number is None and x.shape]
    if len(set(names)) == 1 and names[0] == result:
        return f"that of {'both' if len(names) == 2 else 'all'} operands"
    if e.alignment.kind != "elementwise":
        return "sums of integers are int64" if e.op == "einsum" else ""
    if not any(c in "fc" for c in (n[0] for n in names)) and result.startswith("float"):
        return f"{ask.SYMBOL_OF.get(e.op, e.op)} of integers gives the default dtype"
    weak = [x for x in e.operands if x.number is not None]
    if weak and whole and _name(whole[0].dtype) == result:
        return f"that of {whole[0].name}: a number has no width of its own"
    if weak and whole:
        return (
            f"{whole[0].name} is {_name(whole[0].dtype)}, and {weak[0].number!r} is of a higher kind: the default dtype"
        )
    small = [x for x in e.operands if x.number is None and not x.shape]
    if small and whole and _name(whole[0].dtype) == result:
        return f"that of {whole[0].name}: {small[0].name} has no dimensions, so only its kind would count"
    winners = [x for x in e.operands if _name(x.dtype) == result]
    if winners:
        loser = next(x for x in e.operands if _name(x.dtype) != result)
        kinds = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
        kind = {n: kinds[n[0]] if n != "bfloat16" else 2 for n in names}
        higher = kind[result] > kind[_name(loser.dtype)]
        reason = "is of a higher kind" if higher else "is the wider"
        return f"that of {winners[0].name}, which {reason}: {loser.name} is converted from {_name(loser.dtype)}"
    return f"neither {' nor '.join(dict.fromkeys(names))} holds the other: {result} holds both"


def _steps(e, request):
    """An einsum of three or more operands is a path of pairs."""
    from hadamard._products import _path

    left, _, _ = e.equation.partition("->")
    terms = left.split(",")
    result = e.alignment.result
    parts = [(x.name, x.labels, x) for x in e.operands]
    flat = _path(request.equation, [x.meta() for x in e.operands])
    in_order = not flat
    pairs = list(zip(flat[::2], flat[1::2], strict=True)) or [(0, 1)] * (len(terms) - 1)
    sizes = {i.letter: i.size for i in e.indices}
    for i, j in pairs:
        (na, la, a), (nb, lb, b) = parts[min(i, j)], parts[max(i, j)]
        rest = [p for at, p in enumerate(parts) if at not in (i, j)]
        needed = result + "".join(p[1] for p in rest)
        out = result if not rest else "".join(dict.fromkeys(c for c in la + lb if c in needed))
        step = ask.Request(
            "einsum",
            [ask.Operand(n, x.shape, x.dtype, x.stride) for n, x in ((na, a), (nb, b))],
            equation=f"{la},{lb}->{out}",
        )
        explained = build(step)
        e.steps.append(explained)
        made = (f"({na}·{nb})", out, ask.Operand("", tuple(sizes[c] for c in out), e.dtype))
        parts = [made, *rest] if in_order else [*rest, made]
    e.multiply_adds = sum(s.multiply_adds for s in e.steps)
