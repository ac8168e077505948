"""How the indices of a product line up: a letter for each, its role, and which operand repeats along it."""

from dataclasses import dataclass

from . import ask

_PAIRED = "ijklmnopqrstuvwxyz"
_BATCH = "nhlmopqrstuvwxyz"  # neither the names of operands nor i, j, k


@dataclass
class Index:
    """One index: role is batch, row, column, summed or averaged; states name what each operand does along it: "along",
    "repeated" (size 1 or missing, read again and again), "absent", or "window" (slides, as in a convolution). What is
    spread is summed where windows of the result overlap, as in a transposed convolution."""

    letter: str
    size: int
    role: str
    states: tuple
    kept: bool
    spread: bool = False

    def repeats(self) -> list:
        """Positions of the operands that repeat along it."""
        return [i for i, state in enumerate(self.states) if state == "repeated" and self.size != 1]


@dataclass
class Alignment:
    """The indices of a product in the order in which they are shown, and the letters of its result."""

    indices: list
    result: str
    kind: str  # "elementwise", "product", "convolution", "transposed"
    equation: str  # as einsum spells it


class Clash(Exception):
    """The operands do not fit, so that their indices cannot be lined up."""


def align(request) -> Alignment | None:
    """The alignment of a request; None where it is not one product. Clash where operands do not fit."""
    op, operands = request.op, request.operands
    if op in ask.ELEMENTWISE:
        return _elementwise(request)
    if op in ask.CONVOLUTIONS:
        return _convolution(request)
    if op in ask.TRANSPOSED:
        return _transposed(request)
    if op not in ask.PRODUCTS:
        return None
    shapes = [x.shape for x in operands]
    labels, result, shared = _product_labels(request, shapes)
    for x, letters in zip(operands, labels, strict=True):
        if len(letters) != len(x.shape):
            raise Clash
        x.labels = letters
    return _lined_up(request, result, shared)


def _product_labels(request, shapes):
    """Letters of each operand, letters of the result, and the batch letters that operands may lack and repeat along."""
    op = request.op
    ranks = [len(s) for s in shapes]
    if op == "einsum":
        return (*_einsum(request.equation, ranks), "")
    if op == "tensordot":
        return (*_tensordot(request.kwargs.get("dims", 2), ranks), "")
    if op in ("dot", "vdot"):
        return ["k", "k"], "", ""
    if op == "outer":
        return ["i", "j"], "ij", ""
    if op == "mv":
        return ["ik", "k"], "i", ""
    if op == "mm":
        return ["ik", "kj"], "ij", ""
    if op == "bmm":
        return ["nik", "nkj"], "nij", ""
    if op == "inner":
        if 0 in ranks:
            raise Clash
        rows, columns = _BATCH[: ranks[0] - 1], _PAIRED[: ranks[1] - 1].upper()
        if ranks == [2, 2]:
            rows, columns = "i", "j"
        return [rows + "k", columns + "k"], rows + columns, ""
    if op == "linear":
        if 0 in ranks:
            raise Clash
        rows = (_BATCH[: ranks[0] - 2] + "i") if ranks[0] > 1 else ""
        columns = "j" if ranks[1] > 1 else ""
        return [rows + "k", columns + "k", *[("" if len(s) == 0 else columns) for s in shapes[2:]]], rows + columns, ""
    if op in ask.ADDED:
        a, b, result = {"addmv": ("ik", "k", "i"), "addmm": ("ik", "kj", "ij"), "baddbmm": ("nik", "nkj", "nij")}[op]
        if ranks[2] > len(result):
            raise Clash
        return [a, b, result[len(result) - ranks[2] :]], result, ""
    # matmul
    if 0 in ranks:
        raise Clash
    batch = _BATCH[: max(0, *(n - 2 for n in ranks))]
    of = [batch[len(batch) - (n - 2) :] if n > 2 else "" for n in ranks]
    a = "k" if ranks[0] == 1 else of[0] + "ik"
    b = "k" if ranks[1] == 1 else of[1] + "kj"
    return [a, b], batch + ("i" if ranks[0] > 1 else "") + ("j" if ranks[1] > 1 else ""), batch


def _einsum(equation, ranks):
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise Clash
    used = set(left + right)
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in used]
    extra = max((n - len(t.replace("...", "")) for t, n in zip(terms, ranks, strict=True) if "..." in t), default=0)
    if extra < 0 or extra > len(spare):
        raise Clash
    dots = "".join(spare[:extra])

    def filled(term, rank):
        count = rank - len(term.replace("...", ""))
        return term.replace("...", dots[extra - count :] if count > 0 else "")

    labels = [filled(t, n) for t, n in zip(terms, ranks, strict=True)]
    if arrow:
        result = right.replace("...", dots)
    else:
        result = dots + "".join(sorted(c for c in set(left) - set(".,") if left.count(c) == 1))
    if any("." in t for t in labels) or any(c not in "".join(labels) for c in result):
        raise Clash
    return labels, result


def _tensordot(dims, ranks):
    try:
        if isinstance(dims, int):
            pairs = list(zip(range(ranks[0] - dims, ranks[0]), range(dims), strict=True))
        else:
            a, b = ([d] if isinstance(d, int) else list(d) for d in dims)
            pairs = [(x % ranks[0], y % ranks[1]) for x, y in zip(a, b, strict=True)]
    except (TypeError, ValueError, ZeroDivisionError):
        raise Clash from None
    first = _PAIRED[: ranks[0]]
    rest = iter(_PAIRED[ranks[0] :])
    summed = {y: first[x] for x, y in pairs if 0 <= x < ranks[0]}
    second = "".join(summed[d] if d in summed else next(rest) for d in range(ranks[1]))
    return [first, second], "".join(c for c in first + second if (c in first) != (c in second))


def _lined_up(request, result, shared):
    operands = request.operands
    order = list(dict.fromkeys([*shared, *"".join(x.labels for x in operands)]))
    indices = []
    for letter in order:
        sizes = [x.shape[x.labels.index(letter)] for x in operands if letter in x.labels]
        for x in operands:  # a letter twice in one operand is its diagonal
            sizes += [n for c, n in zip(x.labels, x.shape, strict=True) if c == letter]
        wide = {n for n in sizes if n != 1}
        exact = request.op in ("dot", "vdot", "mv", "mm", "bmm", *ask.ADDED) or (
            letter not in shared and request.op in ("matmul", "linear", "inner")
        )
        if ask.has_addend(request):  # which may repeat along all of them
            factors, added = (
                {n for x in some for c, n in zip(x.labels, x.shape, strict=True) if c == letter}
                for some in (operands[:2], operands[2:])
            )
            if len(factors) > 1 or added - factors - {1}:
                raise Clash
            wide = factors
        elif len(wide) > 1 or (exact and len(set(sizes)) > 1):
            raise Clash
        size = wide.pop() if wide else 1
        states = []
        for x in operands:
            if letter not in x.labels:
                states.append("repeated" if letter in shared else "absent")
            else:
                states.append("along" if x.shape[x.labels.index(letter)] == size else "repeated")
        holders = [i for i, x in enumerate(operands[:2]) if letter in x.labels]
        if letter not in result:
            role = "summed"
        elif letter in shared or len(holders) > 1 or len(operands) > 2 and request.op == "einsum":
            role = "batch"
        else:
            role = "row" if holders == [0] else "column"
        indices.append(Index(letter, size, role, tuple(states), letter in result))
    text = ",".join(x.labels for x in operands[: 2 if ask.has_addend(request) else None]) + "->" + result
    return Alignment(indices, result, "product", text)


def _elementwise(request):
    operands = request.operands
    rank = max(len(x.shape) for x in operands)
    letters = _PAIRED[:rank]
    reduced = request.op in ask.LOSSES and request.kwargs.get("reduction", "mean") != "none"
    role = {"mean": "averaged", "sum": "summed"}[request.kwargs.get("reduction", "mean")] if reduced else "batch"
    indices = []
    for x in operands:
        x.labels = letters[rank - len(x.shape) :]
    for at, letter in enumerate(letters):
        sizes = [x.shape[at - rank] if len(x.shape) >= rank - at else 1 for x in operands]
        wide = {n for n in sizes if n != 1}
        if len(wide) > 1:
            raise Clash
        size = wide.pop() if wide else 1
        states = [
            "absent" if x.number is not None else "along" if n == size and letter in x.labels else "repeated"
            for n, x in zip(sizes, operands, strict=True)
        ]
        indices.append(Index(letter, size, role, tuple(states), not reduced))
    text = ",".join(x.labels for x in operands) + "->" + ("" if reduced else letters)
    return Alignment(indices, "" if reduced else letters, "elementwise", text)


def dims_of(op) -> int:
    """2 of conv2d and of conv_transpose2d."""
    return int(op[-2])


def numbers(value, dims) -> tuple:
    """stride=2 or stride=(2, 1) as one number for each dimension."""
    value = tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims
    return value if len(value) == dims else value * dims


def geometry(request):
    """stride, padding, dilation as tuples, and groups, of a convolution; Clash where they make no sense."""
    dims = dims_of(request.op)
    kwargs = request.kwargs
    kernel = request.operands[1].shape[2:]
    stride, dilation = numbers(kwargs.get("stride", 1), dims), numbers(kwargs.get("dilation", 1), dims)
    padding = kwargs.get("padding", 0)
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(t % 2 for t in total):
            raise Clash
        padding = [t // 2 for t in total]
    return stride, numbers(padding, dims), dilation, kwargs.get("groups", 1)


def _convolution(request):
    dims = dims_of(request.op)
    x, w = request.operands[:2]
    if len(w.shape) != dims + 2 or len(x.shape) not in (dims + 1, dims + 2):
        raise Clash
    batched = len(x.shape) == dims + 2
    stride, padding, dilation, groups = geometry(request)
    if x.shape[-dims - 1] != w.shape[1] * groups or w.shape[0] % groups:
        raise Clash
    places, taps = "zyx"[-dims:], "qrs"[-dims:]
    bias = ["absent"] * (len(request.operands) - 2)
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[-dims:], padding, dilation, w.shape[2:], stride, strict=True)
    ]
    if any(n <= 0 for n in sizes):
        raise Clash
    indices = [Index("n", x.shape[0], "column", ("along", "absent", *bias), True)] if batched else []
    if groups > 1:
        indices.append(Index("g", groups, "batch", ("along", "along", *bias), True))
    indices.append(Index("o", w.shape[0] // groups, "row", ("absent", "along", *["along" for _ in bias]), True))
    indices += [Index(c, n, "column", ("window", "absent", *bias), True) for c, n in zip(places, sizes, strict=True)]
    indices.append(Index("c", w.shape[1], "summed", ("along", "along", *bias), False))
    indices += [
        Index(c, n, "summed", ("window", "along", *bias), False) for c, n in zip(taps, w.shape[2:], strict=True)
    ]
    g = "g" if groups > 1 else ""
    x.labels = ("n" if batched else "") + g + "c" + places
    w.labels = g + "oc" + taps
    result = ("n" if batched else "") + g + "o" + places
    seen = ("n" if batched else "") + g + "c" + "".join(a + b for a, b in zip(places, taps, strict=True))
    return Alignment(indices, result, "convolution", f"{seen},{w.labels}->{result}")


def _transposed(request):
    """Every number of the input, times the kernel, is added to a window of the result."""
    dims = dims_of(request.op)
    x, w = request.operands[:2]
    if len(w.shape) != dims + 2 or len(x.shape) not in (dims + 1, dims + 2):
        raise Clash
    batched = len(x.shape) == dims + 2
    groups = request.kwargs.get("groups", 1)
    if x.shape[-dims - 1] != w.shape[0] or w.shape[0] % groups:
        raise Clash
    places, taps = "zyx"[-dims:], "qrs"[-dims:]
    bias = ["absent"] * (len(request.operands) - 2)
    indices = [Index("n", x.shape[0], "column", ("along", "absent", *bias), True)] if batched else []
    if groups > 1:
        indices.append(Index("g", groups, "batch", ("along", "along", *bias), True))
    indices.append(Index("o", w.shape[1], "row", ("absent", "along", *["along" for _ in bias]), True))
    indices.append(Index("c", w.shape[0] // groups, "summed", ("along", "along", *bias), False))
    for letters, sizes, states in (
        (places, x.shape[-dims:], ("along", "absent")),
        (taps, w.shape[2:], ("absent", "along")),
    ):
        for c, n in zip(letters, sizes, strict=True):
            indices.append(Index(c, n, "summed", (*states, *bias), False, spread=True))
    g = "g" if groups > 1 else ""
    x.labels = ("n" if batched else "") + g + "c" + places
    w.labels = g + "co" + taps
    result = ("n" if batched else "") + g + "o"
    seen = result + "".join(a + b for a, b in zip(places, taps, strict=True))
    return Alignment(indices, result, "transposed", f"{x.labels},{w.labels}->{seen}")
