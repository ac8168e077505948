"""explain(fused, x): the passes of a fused function, what they move, and what stayed outside; found by running it."""

import inspect
import threading
from dataclasses import dataclass, field

import hadamard as H
from hadamard._watchers import FUSED, hand_on, watch
from hadamard.utils._pytree import tree_leaves

from .notes import show
from .text import Pen, count, dtype_name, memory, plain, seconds, terminal, times

_C = H._C
_OTHERS = "a reduction joins a pass over the last dimensions of a contiguous tensor; over all as sum, any or all"
_REDUCTIONS = frozenset("sum mean amax amin prod all any argmax argmin var std max min norm".split())


@dataclass
class FusedStep:
    """One op of a pass: `of` are the names of what it takes, `kept` whether its result goes to memory."""

    name: str
    op: str
    of: tuple
    dtype: object
    kept: bool

    def __str__(self):
        op = dtype_name(self.dtype) if self.op == "to" else self.op
        return f"{self.name} = {op}({', '.join(self.of)})"


@dataclass
class FusedPass:
    """Ops that went over memory together.

    shape: of what they go over; tile: elements at a time; tiles: their number; slots: results that a tile has room for
    bytes_read, bytes_written: of memory; bytes_alone: what the ops would move one by one
    ended_by: what needed a number, so that the pass ran
    """

    shape: tuple
    tile: int
    tiles: int
    slots: int
    steps: list
    bytes_read: int
    bytes_written: int
    bytes_alone: int
    ended_by: str
    backward: bool = False


@dataclass
class FusedExplanation:
    """What `explain(fused, *args)` found: `passes`, in the order in which they ran, those of the gradients behind; and
    `left_out`, of each other op its name, its result's shape, and why it is in no pass."""

    name: str
    arguments: list
    passes: list = field(default_factory=list)
    left_out: list = field(default_factory=list)
    measured: tuple | None = None  # seconds: fused, and the plain function

    @property
    def bytes(self) -> int:
        """What all passes move."""
        return sum(p.bytes_read + p.bytes_written for p in self.passes)

    @property
    def bytes_alone(self) -> int:
        """What the same ops would move one by one."""
        return sum(p.bytes_alone for p in self.passes)

    def text(self, color=False, times=True) -> str:
        """The page as text."""
        return _render(self, Pen(color), times)

    def __str__(self):
        return plain(self.text(color=terminal()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"{_bars(self)}<pre style='margin:8px 0 0;padding:10px 12px;background:#f6f8fa;color:#1f2933;"
            f"border-radius:8px;line-height:1.35;font-size:12.5px;overflow-x:auto'>{escape(self.text())}</pre>"
        )

    def plot(self, file=None):
        """The page in a browser window, or written to `file` (.html)."""
        from . import html

        return html.write(self._repr_html_(), self.name, file)


def explain_fused(fused, args, kwargs, measure=False) -> FusedExplanation:
    """Runs fused(*args, **kwargs) and, where its results want gradients, those; tells what ran together."""
    function = fused._fuses
    names = _names(function, args, kwargs)
    arguments = [f"{name} {show(x.shape)} {dtype_name(x.dtype)}" for name, x in names if x.dim()]
    e = FusedExplanation(getattr(function, "__name__", type(function).__name__), arguments)
    watch = _Watch(e.passes)
    watch.places.update({_C._place(x): name for name, x in names})
    with watch:
        y = _C._record_passes(lambda: fused(*args, **kwargs), watch.found)
        watch.close("the end of the function")
    e.left_out = watch.left_out
    results = [t for t in tree_leaves(y) if isinstance(t, H.Tensor) and t.requires_grad]
    wanted = [x for _, x in names if x.requires_grad]
    if results and wanted:
        seeds = [H.ones_like(t) for t in results]
        watch.places.update({_C._place(g): "gradient" for g in seeds})
        _C._record_passes(
            lambda: H.autograd.grad(results, wanted, seeds, retain_graph=True, allow_unused=True), watch.found
        )
        watch.close("the end of the gradients, or an op between them", True)
    if measure:
        from . import machine

        e.measured = tuple(machine.measure(lambda *xs, f=f: f(*xs, **kwargs), args) for f in (fused, function))
    return e


def _names(function, args, kwargs):
    """Every tensor among the arguments and a module's parameters, with a name."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        given = {f"argument {i + 1}": x for i, x in enumerate(args)} | kwargs
    named = []
    for name, value in given.items():
        leaves = [x for x in tree_leaves(value) if isinstance(x, H.Tensor)]
        named += [(name if len(leaves) == 1 else f"{name}[{i}]", x) for i, x in enumerate(leaves)]
    if isinstance(function, H.nn.Module):
        named += function.named_parameters()
    return named


class _Watch:
    """While it lasts, the ops of this thread are seen: which of them ended a pass, and which are in none."""

    def __init__(self, passes):
        self.passes, self.left_out = passes, []
        self.found: list = []  # passes that have run, as the core tells them, and were not yet looked at
        self.places: dict = {}  # the names of what lies in memory, by address
        self.thread = threading.get_ident()
        self.steps = 0

    def __enter__(self):
        watch(FUSED, self.hook)

    def __exit__(self, *error):
        watch(FUSED, None)

    def close(self, reason, backward=False):
        """What ran since the last time ran for that."""
        for p in self.found:
            steps: list = []
            for s in p["steps"]:
                self.steps += 1
                of = tuple(self.operand(k, s["numbers"][j], steps, p["read"]) for j, k in enumerate(s["of"]))
                steps.append(FusedStep(f"t{self.steps}", s["op"], of, s["dtype"], bool(s["written"])))
            self.places.update({s["written"]: t.name for s, t in zip(p["steps"], steps, strict=True) if t.kept})
            moved = [round(p[k]) for k in ("bytes_read", "bytes_written", "alone")]
            self.passes.append(
                FusedPass(tuple(p["shape"]), p["tile"], p["tiles"], p["slots"], steps, *moved, reason, backward)
            )
        self.found.clear()

    def operand(self, k, number, steps, read):
        if k >= 0:
            return steps[k].name
        if k == -1:
            return f"{number:g}" if isinstance(number, float) else str(number)
        shape, address = read[-2 - k]
        return self.places.get(address) or f"tensor {show(shape)}"

    def hook(self, op, *args, **kwargs):
        if threading.get_ident() != self.thread:
            return hand_on(FUSED, op, *args, **kwargs)
        self.close("a number that was asked for")
        y = hand_on(FUSED, op, *args, **kwargs)
        name = op.__name__.strip("_")
        self.close(name)
        if isinstance(y, H.Tensor) and not y.is_meta and (place := _C._place(y)) is not None:
            self.leave(name, op.__name__, y, args)
            if not any(y is x for x in args):
                self.places[place] = name
        return y

    def leave(self, name, full, y, args):
        given = [x for x in tree_leaves(args) if isinstance(x, H.Tensor)]
        most = max([y.numel(), *(x.numel() for x in given)])
        writes = full.endswith("_") and not full.startswith("__") or full.startswith("__i")
        if any(y._storage_id() == x._storage_id() for x in given) and not writes:
            return  # a view: nothing is moved
        elif most < 32768:
            why = f"{times(most, 'element')}: fewer than 32 768 do not wait"
        elif writes:
            why = "it writes in place to what others may see"
        else:
            why = _OTHERS if name in _REDUCTIONS else "not element by element"
        self.left_out.append((name, tuple(y.shape), why))


# ---- the page


def _render(e, pen, with_times):
    lines = [pen.bold(f"{e.name}, fused") + (f": {', '.join(e.arguments)}" if e.arguments else "")]
    backward = False
    for i, p in enumerate(e.passes):
        if p.backward and not backward:
            backward = True
            lines += ["", pen.bold("gradients")]
        lines += ["", f"pass {i + 1}: {_tiles(p)}"]
        width = min(60, max(len(str(s)) for s in p.steps))
        for s in p.steps:
            lines.append(f"    {s!s:<{width}}{'   → memory' if s.kept else ''}")
        lines.append(
            f"  {memory(p.bytes_read)} read, {memory(p.bytes_written)} written; one by one {memory(p.bytes_alone)}"
        )
        lines.append(pen.dim(f"  ran for {p.ended_by}"))
    if e.left_out:
        lines += ["", "in no pass"]
        lines += [f"    {name} {show(shape)}: {why}" for name, shape, why in e.left_out]
    lines.append("")
    if e.passes:
        less = e.bytes_alone / max(1, e.bytes)
        lines.append(f"in all {memory(e.bytes)} instead of {memory(e.bytes_alone)}: {less:.2g} times less")
    else:
        lines.append("nothing ran in passes")
    if e.measured and with_times:
        fused, single = e.measured
        lines.append(f"measured {seconds(fused)} fused, {seconds(single)} op by op")
    return "\n".join(x.rstrip() for x in lines)


def _tiles(p):
    text = f"{times(len(p.steps), 'op')} on {show(p.shape)}"
    if p.tiles > 1:
        text += f", {count(p.tiles)} tiles of {count(p.tile)} elements"
        if p.slots:
            text += f" with room for {times(p.slots, 'result')}"
    return text


def _bars(e):
    """What the passes move beside what the ops would move one by one, as two bars."""
    if not e.passes:
        return ""
    rows = [("one by one", e.bytes_alone, "#9aa5b1"), ("fused", e.bytes, "#2563eb")]
    drawn = "".join(
        f"<text x='86' y='{y + 13}' text-anchor='end'>{name}</text>"
        f"<rect x='94' y='{y}' width='{420 * n / e.bytes_alone:.1f}' height='17' rx='3' fill='{color}'/>"
        f"<text x='{100 + 420 * n / e.bytes_alone:.1f}' y='{y + 13}'>{memory(n)}</text>"
        for y, (name, n, color) in zip((4, 27), rows, strict=True)
    )
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 610 50' width='610' height='50' "
        f"font-family='system-ui,sans-serif' font-size='12.5' fill='#1f2933'>{drawn}</svg>"
    )
