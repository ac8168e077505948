"""How a tensor is printed: PyTorch's rules, to the character."""

# A tensor is read through detach, shape, dtype, device, tolist and indexing only, so the same code prints any library's
# tensors that have them; the tests print PyTorch's own.

_OPTIONS: dict = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
_PROFILES: dict = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 80},
}
_GAP = object()  # stands for the elements that a summary leaves out


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Set how tensors are printed; what is None stays as it is, except sci_mode, where None means "where it helps".

    precision is the number of digits after the point, threshold the number of elements above which only edgeitems at
    each end of a dimension are shown, linewidth the width of a line in characters. profile is "default", "short" or
    "full" and is applied first.

    >>> import hadamard as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1.12345])
    tensor([1.12])
    >>> torch.set_printoptions(profile="default")
    """
    _OPTIONS.update(_PROFILES.get(profile, {}))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _OPTIONS.update((name, value) for name, value in given.items() if value is not None)
    _OPTIONS["sci_mode"] = sci_mode


def get_printoptions() -> dict:
    """The current options, as a new dict."""
    return dict(_OPTIONS)


class printoptions:
    """Context manager: set_printoptions for the length of a block.

    >>> import hadamard as torch
    >>> from hadamard._tensor_str import printoptions
    >>> with printoptions(precision=2):
    ...     print(torch.tensor([1.12345]))
    tensor([1.12])
    """

    def __init__(self, **options):
        self.options = options

    def __enter__(self):
        self.before = get_printoptions()
        set_printoptions(**self.options)

    def __exit__(self, *exc):
        _OPTIONS.update(self.before)


def tensor_repr(t) -> str:
    """The text of repr(t).

    >>> import hadamard as torch
    >>> torch.tensor([[1.0, 2.5], [float("nan"), 0.0]], dtype=torch.float64)
    tensor([[1.0000, 2.5000],
            [   nan, 0.0000]], dtype=torch.float64)
    """
    kind = type(t).__name__
    plain = kind in ("Tensor", "Parameter")
    prefix = "tensor(" if plain else kind + "("
    values = t.detach()
    shape = tuple(t.shape)
    dtype, default = str(t.dtype), str(_default_dtype())
    numel = 1
    for size in shape:
        numel *= size

    suffixes = []
    if t.device.type != "cpu":
        suffixes.append(f"device='{t.device}'")
    if t.device.type == "meta":
        text = "..."
        suffixes.append(f"size={shape}")
        implied = [default]
    elif numel == 0:
        text = "[]"
        if len(shape) != 1:
            suffixes.append(f"size={shape}")
        implied = [default]
    else:
        text = _body(values, dtype, shape, numel, len(prefix))
        if not _OPTIONS["edgeitems"]:
            suffixes.append(f"size={shape}")
        wide = "torch.complex128" if default == "torch.float64" else "torch.complex64"
        implied = [default, wide, "torch.int64", "torch.bool"]
    if dtype not in implied:
        suffixes.append(f"dtype={dtype}")
    if t.grad_fn is not None:
        suffixes.append(f"grad_fn=<{_node_name(t.grad_fn)}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")

    text = _with_suffixes(prefix + text, suffixes, len(prefix))
    if not plain and any(base.__name__ == "Parameter" for base in type(t).__mro__):
        text = f"Parameter({text})"
    return text


def named_tuple_reduce(self):
    """How a result with named parts is pickled."""
    from .return_types import _reduce

    return _reduce(self)


def named_tuple_repr(t) -> str:
    """The text of the results of max, sort and the like.

    >>> import hadamard as torch
    >>> torch.tensor([1.0, 3.0]).max(0)
    torch.return_types.max(
    values=tensor(3.),
    indices=tensor(1))
    """
    kind = type(t)
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(kind.__match_args__, t, strict=True))
    return f"{kind.__module__}.{kind.__name__}(\n{fields})"


def _default_dtype():
    from . import get_default_dtype

    return get_default_dtype()


def _node_name(node) -> str:
    name = type(node).__name__
    if name in ("Node", "CppFunction"):
        name = node.name().rsplit("::", 1)[-1]
    return name


def _body(values, dtype, shape, numel, indent) -> str:
    summarize = numel > _OPTIONS["threshold"]
    nested = _edges(values, shape) if summarize else values.tolist()
    numbers: list = []
    _flatten(nested, len(shape), numbers)
    if "complex" in dtype:
        real = _Number([z.real for z in numbers], floating=True)
        imag = _Number([z.imag for z in numbers], floating=True)

        def element(z):
            tail = (imag.format(z.imag) + "j").lstrip()
            return real.format(z.real) + ("" if tail[0] == "-" else "+") + tail

        width = real.width + imag.width + 3
    else:
        number = _Number(numbers, floating="float" in dtype)
        element, width = number.format, number.width + 2
    return _lay_out(nested, len(shape), indent, element, width)


def _edges(t, shape):
    """t as nested lists in which the middle of every dimension that is too long is one _GAP."""
    n, edge = shape[0], _OPTIONS["edgeitems"]
    cut = n > 2 * edge
    if len(shape) == 1:
        if not cut:
            return t.tolist()
        return [*t[:edge].tolist(), _GAP, *t[n - edge :].tolist()]
    rest = shape[1:]
    if not cut:
        return [_edges(t[i], rest) for i in range(n)]
    return [*(_edges(t[i], rest) for i in range(edge)), _GAP, *(_edges(t[i], rest) for i in range(n - edge, n))]


def _flatten(nested, depth, out) -> None:
    if depth == 0:
        out.append(nested)
    elif depth == 1:
        out.extend(x for x in nested if x is not _GAP)
    else:
        for x in nested:
            if x is not _GAP:
                _flatten(x, depth - 1, out)


class _Number:
    """One format and one width for all the numbers of a tensor."""

    def __init__(self, numbers, floating):
        self.width = 1
        self.spec = self.dot = ""
        self.text = format if floating else lambda x, spec: str(x)
        if not floating:
            if numbers:
                # Only the ends can be longest, and bool prints as False at most.
                ends = (min(numbers), max(numbers))
                self.width = max(len(str(x)) for x in ends) if type(ends[0]) is int else 5 - all(numbers)
            return
        self.spec, self.dot = ".0f", "."
        finite = [x for x in numbers if x and x - x == 0]
        if not finite:
            return
        precision, sci = _OPTIONS["precision"], _OPTIONS["sci_mode"]
        smallest, largest = min(map(abs, finite)), max(map(abs, finite))
        if sci is None:
            sci = largest / smallest > 1000.0 or largest > 1e8 or smallest < 1e-4
        if sci:
            self.spec, self.dot = f".{precision}e", ""
        elif any(x != x // 1 for x in finite):
            self.spec, self.dot = f".{precision}f", ""
        self.width = max(len(format(x, self.spec)) for x in finite) + len(self.dot)

    def format(self, x) -> str:
        text = self.text(x, self.spec)
        if self.dot and x - x == 0:
            text += "."
        return text.rjust(self.width)


def _lay_out(nested, depth, indent, element, width) -> str:
    if depth == 0:
        return element(nested)
    if depth > 1:
        rows = ("..." if row is _GAP else _lay_out(row, depth - 1, indent + 1, element, width) for row in nested)
        return "[" + ("," + "\n" * (depth - 1) + " " * (indent + 1)).join(rows) + "]"
    if len(nested) == 1 and nested[0] is _GAP:
        return "[...]"
    items = [" ..." if x is _GAP else element(x) for x in nested]
    per_line = max(1, (_OPTIONS["linewidth"] - indent) // width)
    lines = (", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line))
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _with_suffixes(text, suffixes, indent) -> str:
    last = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > _OPTIONS["linewidth"]:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
