"""An explanation as text: indices in columns, then the facts, one to a line."""

import os
import sys
from textwrap import wrap

from . import ask
from .notes import show

_COLORS = {"batch": "34", "row": "32", "column": "35", "summed": "33", "averaged": "33", "repeated": "36"}
_ASCII = {
    "↻": "~",
    "·": ".",
    "Σ": "S",
    "│": "|",
    "└": "`-",
    "→": "->",
    "×": "x",
    "⌄": "v",
    "µ": "u",
    "…": "...",
    "−": "-",
}
WIDTH = 110


class Pen:
    """Writes with or without colour."""

    def __init__(self, color, width=WIDTH):
        self.color = color
        self.width = width

    def role(self, text, role):
        return self.code(text, _COLORS.get(role, "0"))

    def code(self, text, code):
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text.strip() else text

    def bold(self, text):
        return self.code(text, "1")

    def dim(self, text):
        return self.code(text, "2")


def terminal() -> bool:
    """Whether what is printed goes where colours are seen."""
    tty = bool(getattr(sys.stdout, "isatty", bool)())
    return tty and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """How wide what is printed may be."""
    from shutil import get_terminal_size

    return max(60, min(WIDTH, get_terminal_size((WIDTH, 24)).columns)) if terminal() else WIDTH


def plain(text) -> str:
    """The text in the encoding of the output, which may lack our signs."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        for sign, letters in _ASCII.items():
            text = text.replace(sign, letters)
    return text


# ---- numbers


def count(n) -> str:
    """1234 as 1 234, and what is long as 1.23 million."""
    if n < 10_000_000:
        return f"{round(n):,}".replace(",", " ")
    for size, word in ((1e15, "e15"), (1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if n >= size:
            return f"{n / size:.3g}{word}"
    return str(n)


def memory(n) -> str:
    """Bytes in words: 608 bytes, 3.8 MiB."""
    if n < 10_000:
        return f"{count(n)} byte{'s' if n != 1 else ''}"
    for size, word in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n >= size:
            return f"{n / size:.3g} {word}" if n < 999 * size else f"{n / size:.0f} {word}"
    return str(n)


def seconds(t) -> str:
    """A duration: 850 ns, 12 µs, 3.4 ms."""
    for size, word in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if t >= size:
            return f"{t / size:.3g} {word}" if t < 999 * size else f"{t / size:.0f} {word}"
    return f"{t:.1g} s"


def times(n, word) -> str:
    """3 products, 1 product."""
    return f"{count(n)} {word}{'' if n == 1 else 's'}"


def dtype_name(dtype) -> str:
    """float32 of torch.float32."""
    return str(dtype).rpartition(".")[2]


# ---- the whole


def render(e, color=False, times=True, width=WIDTH) -> str:
    """The explanation as lines, folded to a width where they can be."""
    pen = Pen(color, width)
    if not e.fits:
        return _failed(e, pen)
    lines = [_title(e, pen), ""]
    if e.alignment is not None:
        lines += _table(e, pen) + [""]
    lines += _facts(e, pen, times)
    for step in e.steps:
        lines += ["", *("  " + line for line in _step(step, pen))]
    for warning in e.warnings:
        lines += ["", *_warning(warning, pen)]
    return "\n".join(line.rstrip() for line in lines)


def _operand(x) -> str:
    return repr(x.number) if x.number is not None else f"{x.name} {show(x.shape)}"


def heading(e) -> str:
    """a (2, 3) @ b (3, 4)"""
    symbol = ask.SYMBOL_OF.get(e.op)
    if symbol and len(e.operands) == 2:
        return f" {symbol} ".join(_operand(x) for x in e.operands)
    inside = [f'"{e.request.equation}"'] if e.op == "einsum" else []
    inside += [_operand(x) for x in (e.operands[2:] + e.operands[:2] if e.op in ask.ADDED else e.operands)]
    inside += [f"{k}={v!r}" for k, v in e.request.kwargs.items()]
    return f"{e.op}({', '.join(inside)})"


def _title(e, pen):
    result = f"{show(e.shape) if e.shape else 'a number'} {dtype_name(e.dtype)}" if e.shape is not None else "…"
    fits = len(heading(e)) + len(result) + 5 <= pen.width
    return f"{pen.bold(heading(e))}{'  →  ' if fits else chr(10) + '  →  '}{pen.bold(result)}"


def _failed(e, pen):
    first, *rest = str(e.error).splitlines() or [""]
    lines = [
        f"{pen.bold(heading(e))}  {pen.code('does not fit', '31;1')}",
        "",
        f"  {pen.code(type(e.error).__name__, '31')}: {first}",
    ]
    return "\n".join(lines + ["  " + line for line in rest])


def cell(e, at, index) -> str:
    """What the table shows for an operand along an index."""
    state = e.operands[at].labels and index.states[at] or index.states[at]
    if state == "along":
        return str(index.size)
    if state == "repeated":
        return "↻" if index.size != 1 else "1"
    if state == "window":
        return "⌄"
    return "·"


def _table(e, pen):
    """Operands in rows, indices in columns, and below each index what it is."""
    names = [x.name if x.number is None else repr(x.number) for x in e.operands]
    rows = [[cell(e, at, i) for i in e.indices] for at in range(len(names))]
    result = [str(i.size) if i.kept else "⌄" if i.spread else "Σ" for i in e.indices]
    letters = [i.letter for i in e.indices]
    if not letters:
        return ["  every operand is one number"]
    left = max(len(n) for n in [*names, "result"]) + 3
    widths = [max(len(r[c]) for r in [*rows, result, letters]) for c in range(len(letters))]
    roles = [i.role for i in e.indices]

    def line(name, cells, style=None):
        text = f"  {name:<{left}}"
        for c, (value, width) in enumerate(zip(cells, widths, strict=True)):
            padded = f"{value:>{width}}"
            if value == "↻":
                padded = pen.role(padded, "repeated")
            elif value == "·":
                padded = pen.dim(padded)
            else:
                padded = pen.role(padded, roles[c])
            text += padded + "   "
        return text

    lines = [line("", letters), *(line(n, r) for n, r in zip(names, rows, strict=True)), line("result", result)]
    ends = []
    at = left + 2
    for width in widths:
        ends.append(at + width - 1)
        at += width + 3
    for c in reversed(range(len(letters))):
        text = ""
        for d in range(c):
            text += " " * (ends[d] - _length(text)) + pen.role("│", roles[d])
        text += " " * (ends[c] - _length(text))
        first, *rest = _folded(e, e.indices[c], pen, ends[c] + 2)
        lines += [text + pen.role("└ ", roles[c]) + first, *(text + "  " + line for line in rest)]
    return lines


def _folded(e, index, pen, left):
    """What one index does, in lines that begin in the column `left`."""
    words = legend(e, index)
    if left + len(words) <= pen.width:
        return [legend(e, index, pen)]
    first, *rest = wrap(words, max(pen.width - left, 24), break_long_words=False)
    return [first.replace(index.role, pen.role(index.role, index.role), 1), *rest]


def _length(text):
    """Columns of a text with colours in it."""
    plain, inside = 0, False
    for c in text:
        if c == "\x1b":
            inside = True
        elif inside:
            inside = c != "m"
        else:
            plain += 1
    return plain


def legend(e, index, pen=None) -> str:
    """What one index does, in words."""
    pen = pen or Pen(False)
    names = [x.name if x.number is None else repr(x.number) for x in e.operands]
    repeated = [names[at] for at in index.repeats()]
    word = pen.role(index.role, index.role)
    again = ""
    if repeated:
        verb = "is" if len(repeated) == 1 else "are"
        again = f"{' and '.join(repeated)} {verb} {pen.role('repeated', 'repeated')} {index.size} times"
    if e.alignment.kind in ("convolution", "transposed"):
        return _slides(e, index, word)
    if e.alignment.kind == "elementwise":
        if index.kept:
            return again or "number by number"
        return f"{word} over" + (f"; {again}" if again else "")
    if index.kept and len(names) > 2 and e.op == "einsum":
        return "kept: of " + " and ".join(n for n, s in zip(names, index.states, strict=True) if s != "absent")
    if index.role == "batch":
        return f"{word}: " + (again or "a product for each")
    if index.role in ("row", "column"):
        owner = next(n for n, s in zip(names, index.states, strict=True) if s != "absent")
        return f"{word}: of {owner} alone"
    holders = [n for n, s in zip(names, index.states, strict=True) if s != "absent"]
    if len(holders) == 1:
        return f"{word}: of {holders[0]} alone, before the product"
    return f"{word}: {times(index.size, 'product')} added up" + (f"; {again}" if again else "")


def _slides(e, index, word):
    from .indices import dims_of, geometry

    dims = dims_of(e.op)
    stride = geometry(e.request)[0]
    places, taps = "zyx"[-dims:], "qrs"[-dims:]
    if index.letter in places:
        d = places.index(index.letter)
        step = f" by {stride[d]}" if stride[d] != 1 else ""
        if index.spread:
            return f"{word}: places of the input, each with its window of the result, moved{step or ' by 1'}"
        return f"{word}: places of the window in the input{step and ', moved' + step}"
    if index.letter in taps:
        at = window_at(e, taps.index(index.letter))
        if index.spread:
            return f"{word} where windows overlap: added to the result at {at}"
        return f"{word}: inside the window, the input is read at {at}"
    return {
        "n": f"{word}: images, which share the weight",
        "g": f"{word}: groups, a convolution for each",
        "o": f"{word}: channels of the result, a kernel for each",
        "c": f"{word}: channels of the input",
    }[index.letter]


def window_at(e, d) -> str:
    """2·x + s - 1: where the window of one place reads the input or, transposed, adds to the result."""
    from .indices import dims_of, geometry

    dims = dims_of(e.op)
    stride, padding, dilation, _ = geometry(e.request)
    at = (f"{stride[d]}·" if stride[d] != 1 else "") + "zyx"[-dims:][d]
    at += " + " + (f"{dilation[d]}·" if dilation[d] != 1 else "") + "qrs"[-dims:][d]
    return at + (f" - {padding[d]}" if padding[d] else "")


# ---- facts


def _line(name, text, pen):
    """name  text, folded under itself."""
    first, *rest = wrap(text, pen.width - 13, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"  {pen.dim(f'{name:<9}')}  {first}", *(" " * 13 + r for r in rest)]


def _facts(e, pen, with_times):
    lines = []

    def say(name, text):
        if text:
            lines.extend(_line(name, text, pen))

    for name, text in facts(e, with_times):
        say(name, text)
    label = "gradient"
    width = max((len(f"{g.name} = {g.code}") for g in e.gradients), default=0)
    for g in e.gradients:
        cost = times(g.multiply_adds, "multiply-add") if g.multiply_adds else ""
        text = f"{g.name} = {g.code}"
        if width + 16 + len(cost) <= pen.width:
            text, cost = f"{text:<{width}}   {pen.dim(cost)}", ""
        lines.append(f"  {pen.dim(f'{label:<9}')}  {text}")
        if cost:
            lines.append(" " * 16 + pen.dim(cost))
        label = ""
    label = "the same"
    for key in ("torch", "numpy", "einsum"):
        for code in e.spellings.get(key, []):
            lines.append(f"  {pen.dim(f'{label:<9}')}  {pen.dim(f'{key:<7}')} {code}")
            label = key = ""
    return lines


def facts(e, with_times=True) -> list:
    """[(name, words)] of what is known besides the indices."""
    said = []
    if e.dtype is not None:
        said.append(("dtype", f"{dtype_name(e.dtype)}" + (f": {e.why_dtype}" if e.why_dtype else "")))
    if e.expanded_bytes:
        said.append(("repeated", _repeated(e)))
    said.append(("work", _work(e)))
    if e.sum_dtype is not None:
        depth = max((p["depth"] for p in e.plans), default=0)
        said.append(
            (
                "sums",
                f"of {times(depth, 'product')}, kept in {dtype_name(e.sum_dtype)}, {e.order}; "
                "the same for any number of threads",
            )
        )
    said.append(("route", _route(e)))
    if with_times:
        said.append(("time", _time(e)))
    return said


def _repeated(e):
    names = list(dict.fromkeys(r.operand for r in e.repeated))
    now = sum(x.bytes for x in e.operands if x.name in names)
    parts = []
    for name in names:
        along = [f"{r.new} times along {r.index}" for r in e.repeated if r.operand == name]
        parts.append(f"{name}, {' and '.join(along)}")
    copies = "it lies; a real copy" if len(names) == 1 else "they lie; real copies"
    return f"{'; '.join(parts)}; read where {copies} would take {memory(e.expanded_bytes)} instead of {memory(now)}"


def _work(e):
    word = "multiply-add" if e.plans or e.alignment is None or e.alignment.kind != "elementwise" else "operation"
    text = f"{times(e.multiply_adds, word)}, {memory(e.bytes)} of operands and result"
    return text + (f": {e.intensity:.3g} {word}s a byte" if e.bytes else "")


def _route(e):
    if not e.route:
        return ""
    if len(e.plans) > 1:
        routes = ", ".join(dict.fromkeys(p["route"] for p in e.plans))
        return f"{len(e.plans)} products: {routes}; the largest: {e.why}"
    text = f"{e.route}: {e.why}"
    if e.plans:
        p = e.plans[0]
        size = f"{count(p['rows'])} × {count(p['depth'])} times {count(p['depth'])} × {count(p['columns'])}"
        text += f"; as {times(p['batch'], 'product')} of {size}" if p["batch"] != 1 else f"; as {size}"
        if p["transposed"]:
            text += ", computed as its transpose"
        if p["threads"] > 1:
            text += f", on up to {p['threads']} threads"
    return text


def _time(e):
    expected = e.expected
    text = f"{seconds(expected)} expected at this machine's limit, bound by {e.bound}"
    if e.measured is not None:
        share = expected / e.measured
        text += f"; measured {seconds(e.measured)}" + (f", {share:.0%} of the limit" if share < 1 else "")
    return text


def _step(e, pen):
    return [
        f"{heading(e)}  →  {show(e.shape)}",
        *_line("", f"{times(e.multiply_adds, 'multiply-add')}, {e.route}: {e.why}", pen),
    ]


def _warning(warning, pen):
    first, *rest = wrap(warning.text, pen.width - 11, break_long_words=False, break_on_hyphens=False)
    lines = [f"  {pen.code('look at', '33;1')}  {first}", *(" " * 11 + r for r in rest)]
    for mend in warning.mends:
        first, *rest = wrap(mend, pen.width - 13, break_long_words=False, break_on_hyphens=False)
        lines += [f"           - {first}", *(" " * 13 + r for r in rest)]
    return lines
