"""How facts and shapes are written: aligned tables with the clash marked, and colour in a terminal."""


class Arg:
    """One argument as it arrived: its role in the op, shape, dtype, device, and how the user's line spells it."""

    def __init__(self, name, shape, dtype="", device="cpu", written=""):
        self.name = name
        self.shape = tuple(shape)
        self.dtype = str(dtype).rpartition(".")[2]
        self.device = str(device)
        self.written = written

    def named(self, name):
        return Arg(name, self.shape, self.dtype, self.device, self.written)

    @property
    def label(self):
        return f"{self.name} = {self.written}" if self.written and self.written != self.name else self.name


def show(shape):
    """(3,), (2, 3), ()."""
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def table(args, marks=None, note=""):
    """One line an argument, sizes in columns from the right; marks: argument's position → its column (-1 is the last)
    to mark with ^ on a line below; the note follows the last mark."""
    args = list(args)
    marks = marks or {}
    rank = max((len(a.shape) for a in args), default=0)
    cells = [[""] * (rank - len(a.shape)) + [str(n) for n in a.shape] for a in args]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = []
    for sizes in cells:
        text, ends = "", []
        for n, width in zip(sizes, widths, strict=True):
            begun = text.strip() != ""
            text += f", {n:>{width}}" if begun else f"({n}".rjust(width + 2) if n else " " * (width + 2)
            ends.append(len(text))
        one = sum(n != "" for n in sizes) == 1
        rows.append(((text + (",)" if one else ")"))[1:] if text.strip() else "()".rjust(len(text)), ends))
    name_width = max((len(a.label) for a in args), default=0)
    text_width = max((len(text) for text, _ in rows), default=0)
    devices = len({a.device for a in args}) > 1
    lines = []
    for i, (a, (text, ends)) in enumerate(zip(args, rows, strict=True)):
        what = [a.label.ljust(name_width), text.ljust(text_width), a.dtype, a.device if devices else ""]
        lines.append("  ".join(what).rstrip())
        if i in marks and ends:
            lines.append(" " * (name_width + ends[marks[i]]) + "^" + (f"  {note}" if i == max(marks) else ""))
    return lines


def pointed(text, begin, end, note, line=0):
    """A line of the user's source with a part of it underlined, and a note below: "line 7: y = x.detach()"."""
    text = text.rstrip("\n")
    indent = len(text) - len(text.lstrip())
    head = f"line {line}: " if line else ""
    begin, end = max(begin - indent, 0), max(end - indent, 1)
    text = text.strip()
    if len(text) > 100:
        return [head + text[:99] + "…", " " * len(head) + note]
    return [head + text, " " * (len(head) + begin) + "^" * max(min(end, len(text)) - begin, 1) + f"  {note}"]


_RED, _GREEN, _BOLD, _PLAIN = "\033[31m", "\033[32m", "\033[1m", "\033[0m"


def in_colour(stream):
    """Whether a stream is a terminal that wants colours."""
    import os

    quiet = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return getattr(stream, "isatty", bool)() and not quiet


def coloured(message):
    """The message with its first line bold, the marks red and the mends green, for a terminal."""
    first, *rest = message.split("\n")
    return "\n".join([f"{_BOLD}{first}{_PLAIN}", *map(_coloured_line, rest)])


def _coloured_line(line):
    text = line.lstrip()
    margin = line[: len(line) - len(text)]
    if text.startswith("^"):
        return f"{_RED}{line}{_PLAIN}"
    if margin and text.startswith(("try ", "or  ")):
        return f"{margin}{_GREEN}{text[:3]}{_PLAIN} {_BOLD}{text[4:]}{_PLAIN}"
    return line
