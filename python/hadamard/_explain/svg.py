"""An explanation as a picture: a grid of cells for each operand and the result, a colour for each role of an index."""

from html import escape

from . import indices
from .ask import has_addend
from .text import heading, show, window_at

INK, PALE, LINE = "#1f2933", "#52606d", "#9aa5b1"
ROLE = {"batch": "#2563eb", "row": "#15803d", "column": "#a21caf", "summed": "#c2410c", "averaged": "#c2410c"}
CELL, MARK, HATCH = "#eef2f6", "#fdba74", "#0e7490"
SANS = "font-family='system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif'"
MONO = "font-family='ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace'"
GAP = None  # a place in an axis that stands for the cells left out


def text(x, y, words, size=13, fill=INK, anchor="middle", weight="normal", font=SANS, extra="") -> str:
    """One line of text; (x, y) is on its base line."""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' {font} font-size='{size}' fill='{fill}' text-anchor='{anchor}' "
        f"font-weight='{weight}' {extra}>{escape(str(words))}</text>"
    )


def _axis(n, most=6):
    """The positions that are drawn of n."""
    return list(range(n)) if n <= most else [*range(most - 2), GAP, n - 1]


class Block:
    """One grid: rows and columns by letter (or none), what lies behind it, and which cells are marked."""

    def __init__(self, name, rows, columns, behind, sizes, roles):
        self.name, self.rows, self.columns, self.behind = name, rows, columns, behind
        self.sizes, self.roles = sizes, roles
        self.hatched = lambda at: False  # cells that are there only by repetition
        self.marked = lambda at: False  # cells that make the marked one of the result
        self.value = lambda at: ""
        self.back_hatched = False
        self.note = ""
        self.cell = 26
        self.row_places = _axis(sizes.get(rows, 1))
        self.column_places = _axis(sizes.get(columns, 1))
        self.outside = lambda at: False  # padding

    @property
    def layers(self):
        """How many layers are drawn for what lies behind."""
        count = 1
        for letter in self.behind:
            count *= self.sizes[letter]
        return min(3, max(count, 1))

    @property
    def shift(self):
        return 9 * (self.layers - 1)

    @property
    def margin(self):
        """Room for the label of the rows."""
        return max(44, 7.4 * len(self._label(self.rows)) + 8) if self.rows else 6

    def width(self):
        """With its labels."""
        return max(len(self.column_places) * self.cell + self.shift + self.margin + 8, 9 * len(self.name) + 20)

    def height(self):
        """With its labels."""
        return len(self.row_places) * self.cell + self.shift

    def _label(self, letter):
        return f"{letter} = {self.sizes[letter]}"

    def draw(self, x, y) -> list:
        """Elements, with the top left corner of the front layer's labels at (x, y) - the cells begin further right."""
        out = []
        left = round(x + self.margin)
        top = y + self.shift
        wide, high = len(self.column_places) * self.cell, len(self.row_places) * self.cell
        for layer in range(self.layers - 1, 0, -1):
            dx, dy = 9 * layer, -9 * layer
            fill = "url(#hatch)" if self.back_hatched else CELL
            out.append(
                f"<rect x='{left + dx}' y='{top + dy}' width='{wide}' height='{high}' fill='white' stroke='{LINE}'/>"
                f"<rect x='{left + dx}' y='{top + dy}' width='{wide}' height='{high}' fill='{fill}' stroke='{LINE}' "
                f"stroke-dasharray='{'3 2' if self.back_hatched else 'none'}'/>"
            )
        out.append(f"<rect x='{left}' y='{top}' width='{wide}' height='{high}' fill='white'/>")
        for r, row in enumerate(self.row_places):
            for c, column in enumerate(self.column_places):
                out += self._cell(left + c * self.cell, top + r * self.cell, row, column)
        out.append(
            f"<rect x='{left}' y='{top}' width='{wide}' height='{high}' fill='none' "
            f"stroke='{PALE}' stroke-width='1.4'/>"
        )
        if self.columns:
            above = 16 if self.hatched({self.rows: 0, self.columns: self.sizes[self.columns] - 1}) else 8
            out.append(
                text(
                    left + wide / 2 + self.shift,
                    y - above,
                    self._label(self.columns),
                    12,
                    self.roles[self.columns],
                    font=MONO,
                )
            )
        if self.rows:
            out.append(
                text(left - 7, top + high / 2 + 4, self._label(self.rows), 12, self.roles[self.rows], "end", font=MONO)
            )
        if self.behind:
            first = top + high / 2 - self.shift - 7 * (len(self.behind) - 1)
            for n, c in enumerate(self.behind):
                out.append(
                    text(
                        left + wide + self.shift + 4,
                        first + 15 * n,
                        self._label(c),
                        12,
                        self.roles[c],
                        "start",
                        font=MONO,
                    )
                )
        out.append(text(left + wide / 2, top + high + 20, self.name, 14, INK, weight="600"))
        if self.note:
            out.append(text(left + wide / 2, top + high + 36, self.note, 11, HATCH))
        return out + self._arrows(left, top)

    def _cell(self, x, y, row, column):
        s = self.cell
        if row is GAP or column is GAP:
            dots = "⋮" if row is GAP and column is not GAP else "⋯" if row is not GAP else "⋱"
            return [
                f"<rect x='{x}' y='{y}' width='{s}' height='{s}' fill='white'/>",
                text(x + s / 2, y + s / 2 + 5, dots, 13, LINE),
            ]
        at = {self.rows: row, self.columns: column}
        out = []
        fill, dash = CELL, ""
        if self.marked(at):
            fill = MARK
        out.append(f"<rect x='{x}' y='{y}' width='{s}' height='{s}' fill='{fill}' stroke='{LINE}' stroke-width='0.8'/>")
        if self.hatched(at) or self.outside(at):
            dash = "stroke-dasharray='3 2'"
            pattern = "hatch" if self.hatched(at) else "blank"
            out.append(
                f"<rect x='{x}' y='{y}' width='{s}' height='{s}' fill='url(#{pattern})' stroke='{LINE}' {dash}/>"
            )
        value = self.value(at)
        if value != "":
            color = LINE if self.outside(at) else HATCH if self.hatched(at) else INK
            lift = 2 if self.marked(at) else 0
            out.append(
                text(x + s / 2 - lift, y + s / 2 + 4 - lift, value, 11 if len(value) < 5 else 9, color, font=MONO)
            )
        return out

    def _arrows(self, left, top):
        """Along the marked cells that are added up, and from what is stored to what is repeated."""
        s, out = self.cell, []

        def centre(r, c):
            return left + c * s + s / 2, top + r * s + s / 2

        places = [
            (r, c)
            for r, row in enumerate(self.row_places)
            for c, column in enumerate(self.column_places)
            if row is not GAP and column is not GAP
        ]
        at = lambda r, c: {self.rows: self.row_places[r], self.columns: self.column_places[c]}  # noqa: E731
        marked = [p for p in places if self.marked(at(*p))]
        straight = len({r for r, _ in marked}) == 1 or len({c for _, c in marked}) == 1
        summed = any(self.roles.get(c) == ROLE["summed"] for c in (self.rows, self.columns))
        if len(marked) > 1 and straight and summed:
            (x0, y0), (x1, y1) = centre(*marked[0]), centre(*marked[-1])
            off = s / 2 - 4
            if y0 == y1:
                out.append(f"<path d='M{x0 - off:.0f} {y0 + off:.0f} H{x1 + off - 2:.0f}' stroke='{ROLE['summed']}' "
                           "stroke-width='1.8' fill='none' marker-end='url(#tip)'/>")  # fmt: skip
            else:
                out.append(f"<path d='M{x0 + off:.0f} {y0 - off:.0f} V{y1 + off - 2:.0f}' stroke='{ROLE['summed']}' "
                           "stroke-width='1.8' fill='none' marker-end='url(#tip)'/>")  # fmt: skip
        hatched = [p for p in places if self.hatched(at(*p))]
        if hatched:
            rows, columns = len(self.row_places) - 1, len(self.column_places) - 1
            if self.hatched(at(rows, 0)):
                x = left + (columns + 1) * s + 8
                y0, y1 = top + 4, top + (rows + 1) * s - 4
                out.append(f"<path d='M{x} {y0} V{y1}' stroke='{HATCH}' stroke-width='1.6' marker-end='url(#again)'/>")
            if self.hatched(at(0, columns)):
                y = top - 4
                right = left + (columns + 1) * s - 4
                out.append(f"<path d='M{left + 4} {y} H{right}' stroke='{HATCH}' stroke-width='1.6' "
                           "marker-end='url(#again)'/>")  # fmt: skip
        return out


# ---- blocks of an explanation


def _number(x):
    if isinstance(x, bool):
        return "T" if x else "F"
    if isinstance(x, complex):
        return "…"
    words = f"{x:.3g}" if isinstance(x, float) else str(x)
    return words.replace("e+0", "e").replace("e-0", "e-") if len(words) <= 8 else "…"


def _values(block, tensor, letters, e):
    """Lets a block show the numbers of a tensor; what lies behind the front layer is not seen."""
    numbers = tensor.detach().tolist()
    own = tensor.shape

    def value(at):
        x = numbers
        for d, c in enumerate(letters):
            i = at.get(c, 0)
            x = x[0 if own[d] == 1 else i]
        return _number(x)

    block.value = value
    block.cell = 34


def _split(letters, vertical=False):
    """(rows, columns, behind) of some letters."""
    if not letters:
        return "", "", ""
    if len(letters) == 1:
        return (letters, "", "") if vertical else ("", letters, "")
    return letters[-2], letters[-1], letters[:-2]


def _blocks(e):
    sizes = {i.letter: i.size for i in e.indices}
    roles = {i.letter: ROLE[i.role] for i in e.indices}
    result = e.alignment.result
    chosen = {c: (1 if sizes[c] > 1 else 0) if c in result[-2:] else 0 for c in result}
    blocks = []
    if e.alignment.kind == "elementwise":
        letters = "".join(i.letter for i in e.indices)
        chosen = {c: min(1, sizes[c] - 1) if c in letters[-2:] else 0 for c in letters}
        for at, x in enumerate(e.operands):
            block = Block(x.name, *_split(letters), sizes, roles)
            again = {i.letter for i in e.indices if i.states[at] == "repeated" and i.size != 1}
            if x.number is not None:
                block = Block(repr(x.number), "", "", "", sizes, roles)
                block.value = lambda at, n=x.number: _number(n)
                blocks.append(block)
                continue
            block.hatched = lambda at, again=again: any(at.get(c) for c in again)
            block.back_hatched = bool(again & set(block.behind))
            block.marked = lambda at: not result or all(n == chosen[c] for c, n in at.items() if c)
            if again:
                block.note = f"{show(x.shape)}, repeated"
            else:
                block.note = show(x.shape)
            if e.values is not None and x.tensor is not None:
                _values(block, x.tensor, x.labels, e)
            blocks.append(block)
        kept = result if result else ""
    else:
        for at, x in enumerate(e.operands):
            own = "".join(dict.fromkeys(x.labels))
            lacks = "".join(
                i.letter for i in e.indices if i.states[at] == "repeated" and i.letter not in own and i.size > 1
            )
            vertical = len(own) == 1 and (own == result[-2:-1] or (at == 1 and own not in result))
            block = Block(x.name, *_split(own, vertical), sizes, roles)
            again = {i.letter for i in e.indices if i.states[at] == "repeated" and i.letter in own and i.size != 1}
            block.hatched = lambda at, again=again: any(at.get(c) for c in again)
            if lacks:
                block.behind = lacks + block.behind
                block.back_hatched = True
            block.back_hatched = block.back_hatched or bool(again & set(block.behind))
            block.marked = lambda at: all(n == chosen.get(c, n) for c, n in at.items() if c)
            block.note = show(x.shape) + (", repeated" if lacks or again else "")
            if e.values is not None and x.tensor is not None:
                _values(block, x.tensor, x.labels, e)
            blocks.append(block)
        kept = result
    vertical = len(kept) == 1 and any(i.letter == kept and i.role == "row" for i in e.indices) and e.op != "outer"
    y = Block("result", *_split(kept, vertical), sizes, roles)
    y.marked = lambda at: all(n == chosen.get(c, n) for c, n in at.items() if c)
    y.note = show(e.shape)
    if e.values is not None:
        _values(y, e.values, kept, e)
    return [*blocks, y]


def _formula(e):
    names = [x.name if x.number is None else repr(x.number) for x in e.operands]
    result = e.alignment.result

    def place(name, letters):
        return f"{name}[{', '.join(letters)}]" if letters else name

    if e.alignment.kind == "transposed":
        dims = indices.dims_of(e.op)
        places, taps = "zyx"[-dims:], "qrs"[-dims:]
        sizes = {i.letter: i.size for i in e.indices}
        grouped = "g" in sizes
        out, channel = (f"{sizes['o']}·g + o", f"{sizes['c']}·g + c") if grouped else ("o", "c")
        batch = ["n"] if "n" in result else []
        left = place("result", [*batch, out, *(window_at(e, d) for d in range(dims))])
        right = f"{place(names[0], [*batch, channel, *places])} · {place(names[1], [channel, 'o', *taps])}"
        return f"{left} += {right}"
    if e.alignment.kind == "convolution":
        taps = "qrs"[-indices.dims_of(e.op) :]
        sizes = {i.letter: i.size for i in e.indices}
        grouped = "g" in sizes
        out, channel = (f"{sizes['o']}·g + o", f"{sizes['c']}·g + c") if grouped else ("o", "c")
        left = place("result", [out if c == "o" else c for c in result if c != "g"])
        at = [window_at(e, d) for d in range(len(taps))]
        batch = ["n"] if "n" in result else []
        right = f"{place(names[0], [*batch, channel, *at])} · {place(names[1], [out, 'c', *taps])}"
        return f"{left} = Σ over c, {', '.join(taps)} of {right}"
    terms = []
    for at, x in enumerate(e.operands):
        if x.number is not None:
            terms.append(repr(x.number))
            continue
        once = {i.letter for i in e.indices if i.states[at] == "repeated" and i.size != 1}
        terms.append(place(x.name, ["0" if c in once else c for c in x.labels]))
    if e.alignment.kind == "elementwise":
        from .ask import SYMBOL_OF

        symbol = SYMBOL_OF.get(e.op)
        letters = "".join(i.letter for i in e.indices)
        right = f" {symbol} ".join(terms) if symbol else f"{e.op}({', '.join(terms)})"
        if e.op == "mse_loss":
            right = f"({' - '.join(terms)})²"
        if result != letters:
            right = (
                f"mean over {', '.join(letters)} of {right}" if e.indices and e.indices[0].role == "averaged" else right
            )
        return f"{place('result', result)} = {right}"
    summed = [i.letter for i in e.indices if not i.kept]
    right = " · ".join(terms[: 2 if has_addend(e.request) else None]) + (
        f" + {terms[2]}" if has_addend(e.request) else ""
    )
    return f"{place('result', result)} = " + (f"Σ over {', '.join(summed)} of " if summed else "") + right


def _signs(e, count):
    from .ask import SYMBOL_OF

    symbol = SYMBOL_OF.get(
        e.op,
        "∗" if e.alignment.kind in ("convolution", "transposed") else "·" if e.alignment.kind == "product" else ",",
    )
    signs = [symbol] * (count - 2) + ["="]
    if has_addend(e.request):
        signs[1] = "+"
    return signs


def _letters(e, dims):
    """Roles, letters of places and taps, sizes, and the letters that lead: what both pictures of convolutions say."""
    roles = {i.letter: ROLE[i.role] for i in e.indices}
    sizes = {i.letter: i.size for i in e.indices}
    group = "g" if "g" in sizes else ""
    lead = ("n" if "n" in sizes and sizes["n"] > 1 else "") + group
    return roles, "zyx"[-dims:], "qrs"[-dims:], sizes, group, lead


def _padded_axis(n, p):
    inside = _axis(n, 9)
    return [*range(-p, 0), *inside, *range(n, n + p)] if p <= 2 else inside


def _window(places, chosen, w, stride, padding, dilation):
    """Where the kernel lies for the chosen place, in each dimension."""
    window = {}
    for d, (c, letter) in enumerate(zip(places, "DHW"[-len(places) :], strict=True)):
        first = chosen[c] * stride[d] - padding[d]
        window[letter] = {first + dilation[d] * t for t in range(w.shape[d + 2])}
    return window


def _convolution(e):
    """The input with its padding, a window on it, the kernel, and the result."""
    dims = indices.dims_of(e.op)
    x, w = e.operands[:2]
    stride, padding, dilation, _ = indices.geometry(e.request)
    roles, places, taps, sizes, group, lead = _letters(e, dims)
    seen = {"H": x.shape[-2] if dims > 1 else 1, "W": x.shape[-1], "D": x.shape[-3] if dims > 2 else 1}
    given = Block(x.name, "H" if dims > 1 else "", "W", lead + "c" + ("D" if dims > 2 else ""), {**sizes, **seen},
                  {**roles, "H": PALE, "W": PALE, "D": PALE})  # fmt: skip

    given.column_places = _padded_axis(seen["W"], padding[-1])
    if dims > 1:
        given.row_places = _padded_axis(seen["H"], padding[-2])
    chosen = {
        c: 1 if sizes[c] > 1 and stride[-1] + dilation[-1] * (w.shape[-1] - 1) - padding[-1] < 7 else 0 for c in places
    }
    window = _window(places, chosen, w, stride, padding, dilation)
    given.marked = lambda at: all(n in window[c] for c, n in at.items() if c)
    given.outside = lambda at: any(not 0 <= n < seen[c] for c, n in at.items() if c)
    given.value = lambda at: "0" if given.outside(at) else ""
    given.cell = 22
    given.note = show(x.shape) + (
        f", with {padding[0] if len(set(padding)) == 1 else padding} of zeros around" if any(padding) else ""
    )
    kernel = Block(
        w.name, taps[-2] if dims > 1 else "", taps[-1], group + "o" + "c" + (taps[0] if dims > 2 else ""), sizes, roles
    )
    kernel.marked = lambda at: True
    kernel.cell = 22
    kernel.note = show(w.shape)
    y = Block(
        "result",
        places[-2] if dims > 1 else "",
        "x",
        lead + "o" + (places[0] if dims > 2 else ""),
        sizes,
        roles,
    )
    y.row_places, y.column_places = _axis(sizes.get(y.rows, 1), 9), _axis(sizes["x"], 9)
    y.marked = lambda at: all(chosen[c] == n for c, n in at.items() if c)
    y.cell = 22
    y.note = show(e.shape)
    return [given, kernel, y]


def _transposed(e):
    """One number of the input, the kernel, and the window of the result that they are added to."""
    dims = indices.dims_of(e.op)
    x, w = e.operands[:2]
    stride, padding, dilation, _ = indices.geometry(e.request)
    roles, places, taps, sizes, group, lead = _letters(e, dims)
    chosen = {
        c: 1 if n > 1 and s + d * (k - 1) - p < 7 else 0
        for c, n, s, d, k, p in zip(places, x.shape[-dims:], stride, dilation, w.shape[2:], padding, strict=True)
    }
    given = Block(
        x.name, places[-2] if dims > 1 else "", "x", lead + "c" + (places[0] if dims > 2 else ""), sizes, roles
    )
    given.row_places, given.column_places = _axis(sizes.get(given.rows, 1), 9), _axis(sizes["x"], 9)
    given.marked = lambda at: all(chosen[c] == n for c, n in at.items() if c)
    given.note = show(x.shape)
    kernel = Block(
        w.name, taps[-2] if dims > 1 else "", taps[-1], group + "c" + "o" + (taps[0] if dims > 2 else ""), sizes, roles
    )
    kernel.marked = lambda at: True
    kernel.note = show(w.shape)
    made = dict(zip("DHW"[-dims:], e.shape[-dims:], strict=True))
    y = Block("result", "H" if dims > 1 else "", "W", lead + "o" + ("D" if dims > 2 else ""), {**sizes, **made},
              {**roles, **dict.fromkeys("DHW", PALE)})  # fmt: skip

    window = _window(places, chosen, w, stride, padding, dilation)
    y.column_places = _padded_axis(made["W"], padding[-1])
    if dims > 1:
        y.row_places = _padded_axis(made["H"], padding[-2])
    y.marked = lambda at: all(n in window[c] for c, n in at.items() if c)
    y.outside = lambda at: any(not 0 <= n < made[c] for c, n in at.items() if c)
    cut = padding[0] if len(set(padding)) == 1 else padding
    y.note = show(e.shape) + (f", and {cut} around that is cut off" if any(padding) else "")
    for block in (given, kernel, y):
        block.cell = 22
    return [given, kernel, y]


_DEFINITIONS = (
    f"<defs><pattern id='hatch' width='6' height='6' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'>"
    f"<line x1='0' y1='0' x2='0' y2='6' stroke='{HATCH}' stroke-width='1.3' stroke-opacity='0.55'/></pattern>"
    f"<pattern id='blank' width='6' height='6' patternUnits='userSpaceOnUse'>"
    "<rect width='6' height='6' fill='white' fill-opacity='0.75'/></pattern>"
    + "".join(
        f"<marker id='{name}' viewBox='0 0 8 8' refX='6' refY='4' markerWidth='6' markerHeight='6' orient='auto'>"
        f"<path d='M0 0 L8 4 L0 8 z' fill='{color}'/></marker>"
        for name, color in (("tip", ROLE["summed"]), ("again", HATCH))
    )
    + "</defs>"
)


def picture(e) -> str:
    """The SVG. What has no alignment (an error, several products) gets its words alone."""
    if not e.fits or e.alignment is None or e.shape is None or any(i.size == 0 for i in e.indices):
        return _words(e)
    blocks = {"convolution": _convolution, "transposed": _transposed}.get(e.alignment.kind, _blocks)(e)
    signs = _signs(e, len(blocks))
    title = f"{heading(e)}  →  {show(e.shape) if e.shape else 'a number'} {str(e.dtype)[6:]}"
    high = max(b.height() for b in blocks)
    x, parts, top = 18, [], 72
    for n, block in enumerate(blocks):
        room = block.width() + (7.5 * max(len(block._label(c)) for c in block.behind) if block.behind else 0)
        parts += block.draw(x, top + (high - block.height()) / 2)
        x += room + 14
        if n < len(signs):
            parts.append(text(x + 4, top + high / 2 + 7, signs[n], 20, PALE))
            x += 30
    formula = _formula(e)
    y = top + high + 66
    legend, end = _legend(e, 18, y + 24)
    width = max(x + 10, 8.6 * len(title) + 36, 8 * len(formula) + 36, end)
    height = y + 40
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
            f"viewBox='0 0 {width:.0f} {height:.0f}' role='img'>",
            f"<title>{escape(title)}</title>",
            _DEFINITIONS,
            f"<rect width='{width:.0f}' height='{height:.0f}' rx='8' fill='white'/>",
            text(18, 28, title, 15, INK, "start", "600"),
            *parts,
            text(18, y, formula, 13, INK, "start", font=MONO),
            *legend,
            "</svg>",
        ]
    )


def _legend(e, x, y):
    out = []
    words = {"batch": "in all", "row": "row", "column": "column", "summed": "summed", "averaged": "averaged"}
    if e.op == "einsum" and len(e.operands) > 2:
        words["batch"] = "kept"
    kinds = dict.fromkeys(i.role for i in e.indices)
    for role in kinds:
        letters = ", ".join(i.letter for i in e.indices if i.role == role)
        said = f"{letters}: {words[role]}"
        out.append(text(x, y, said, 12, ROLE[role], "start"))
        x += 7 * len(said) + 18
    if e.repeated:
        out.append(f"<rect x='{x}' y='{y - 10}' width='12' height='12' fill='url(#hatch)' stroke='{LINE}'/>")
        out.append(text(x + 18, y, "repeated, not stored", 12, HATCH, "start"))
        x += 156
    out.append(f"<rect x='{x}' y='{y - 10}' width='12' height='12' fill='{MARK}' stroke='{LINE}'/>")
    words = "one number of the result, and what makes it"
    if e.alignment.kind == "transposed":
        words = "one number of the input, and the window that it adds to"
    out.append(text(x + 18, y, words, 12, PALE, "start"))
    return out, x + 18 + 7 * len(words)


def _words(e):
    lines = e.text(times=False).splitlines()
    width, height = max(map(len, lines)) * 7.9 + 36, len(lines) * 18 + 30
    rows = [
        text(18, 28 + 18 * n, line, 13, INK, "start", font=MONO, extra="xml:space='preserve'")
        for n, line in enumerate(lines)
    ]
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
            f"viewBox='0 0 {width:.0f} {height:.0f}' role='img'>",
            f"<title>{escape(heading(e))}</title>",
            f"<rect width='{width:.0f}' height='{height:.0f}' rx='8' fill='white'/>",
            *rows,
            "</svg>",
        ]
    )
