"""The lines below an error's first line: what arrived, what was expected, and mends that were checked to fit.

The core raises with torch's type and first line and calls explain(facts) for the rest. Facts are
    kind   which page of the catalogue below, where the words of the first line do not say it more exactly
    op     the op that was called, "mul"
    args   [(name, shape, dtype, device), …] as they arrived
    dim    the dimension that clashes, or -1
    line   the first line
A page is one function, marked with its kind, that returns lines. Shapes in a mend are computed by the functions below,
and a mend whose shapes do not fit is not shown.
"""

from itertools import combinations, permutations
from math import prod

_PAGES: dict = {}
_SIGNS: list = []  # (words of the first line, kind)


def explain(facts: dict) -> str:
    """The lines to print below the first one, "" where there is nothing to add. Never raises.

    >>> from hadamard._errors import explain
    >>> args = [("input", (2, 3), "float32", "cpu"), ("other", (2,), "float32", "cpu")]
    >>> print(explain({"kind": "broadcast", "op": "mul", "args": args}))
      a  (2, 3)   float32
      b     (2,)  float32
             ^  3 and 2 are not equal, and neither is 1
      try b.unsqueeze(1) or b[:, None], which is (2, 1): the result is (2, 3)
    """
    try:
        f = _Facts(facts)
        kind = next((kind for words, kind in _SIGNS if words in f.line), f.kind)
        page = _PAGES.get(kind)
        return "\n".join("  " + line for line in page(f)) if page else ""
    except Exception:
        # An explanation that fails must not hide the error it explains.
        return ""


def error(exception, line, kind="", op="", **tensors) -> Exception:
    """An exception with our lines and the facts, for Python code: raise error(ValueError, "…", input=x, target=y)."""
    args = [(name, tuple(t.shape), str(t.dtype), str(t.device)) for name, t in tensors.items()]
    facts = {"kind": kind, "op": op, "line": line, "args": args, "dim": -1}
    help = explain(facts)
    made = exception(f"{line}\n{help}" if help else line)
    made.hadamard = facts
    return made


class _Arg:
    def __init__(self, name, shape, dtype="", device="cpu"):
        self.name = name
        self.shape = tuple(shape)
        self.dtype = str(dtype).rpartition(".")[2]
        self.device = str(device)

    def named(self, name):
        return _Arg(name, self.shape, self.dtype, self.device)


class _Facts:
    def __init__(self, facts):
        self.kind = facts.get("kind") or ""
        self.op = facts.get("op") or ""
        self.line = facts.get("line") or ""
        self.dim = facts.get("dim", -1)
        self.args = [_Arg(*arg) for arg in facts.get("args") or ()]


def _page(kind, *signs):
    def add(function):
        _PAGES[kind] = function
        _SIGNS.extend((words, kind) for words in signs)
        return function

    return add


# ---- shapes: None where they do not fit


def _broadcast(*shapes):
    rank = max(map(len, shapes))
    sizes = []
    for column in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True):
        wide = {size for size in column if size != 1}
        if len(wide) > 1:
            return None
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)


def _matmul(a, b):
    if not a or not b:
        return None
    row, column = len(a) == 1, len(b) == 1
    a, b = (1, *a) if row else a, (*b, 1) if column else b
    batch = _broadcast(a[:-2], b[:-2])
    if batch is None or a[-1] != b[-2]:
        return None
    return batch + (() if row else a[-2:-1]) + (() if column else b[-1:])


def _swap(shape, i=-1, j=-2):
    if len(shape) < 2:
        return None
    swapped = list(shape)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    return tuple(swapped)


def _flat(shape):
    return (shape[0], prod(shape[1:])) if len(shape) > 2 else None


# ---- text


def _show(shape):
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def _table(args, marks=None, note=""):
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
    name_width = max((len(a.name) for a in args), default=0)
    text_width = max((len(text) for text, _ in rows), default=0)
    devices = len({a.device for a in args}) > 1
    lines = []
    for i, (a, (text, ends)) in enumerate(zip(args, rows, strict=True)):
        what = [a.name.ljust(name_width), text.ljust(text_width), a.dtype, a.device if devices else ""]
        lines.append("  ".join(what).rstrip())
        if i in marks and ends:
            lines.append(" " * (name_width + ends[marks[i]]) + "^" + (f"  {note}" if i == max(marks) else ""))
    return lines


def _tries(*mends, limit=3):
    """The mends that fit, as lines: each is (code, result shape or None) or (code, result, what it means)."""
    lines, seen = [], set()
    for code, result, *meaning in mends:
        if result is None or code in seen:
            continue
        seen.add(code)
        gives = f": the result is {_show(result) if result else 'a number'}" if isinstance(result, tuple) else ""
        lines.append(("try " if not lines else "or  ") + code + gives + "".join(f", {m}" for m in meaning))
    return lines[:limit]


def _new_axes(small, big):
    """Every way to put new axes of size 1 into `small` so that its sizes meet equal ones of `big`: (index, shape)."""
    for kept in combinations(range(len(big)), len(small)):
        if all(big[column] == size for column, size in zip(kept, small, strict=True)):
            shape = tuple(size if i in kept else 1 for i, size in enumerate(big))
            first = kept[0] if kept else len(big)
            # Axes in front come by broadcasting.
            index = [":" if i in kept else "None" for i in range(len(big))][first:]
            yield index, shape[first:]


def _shape_mends(a, b):
    """Edits of a or b after which they broadcast to the shape of the larger one."""
    mends = []
    small, big = (b, a) if len(b.shape) <= len(a.shape) else (a, b)
    if small.shape and len(small.shape) < len(big.shape):
        for index, shape in _new_axes(small.shape, big.shape):
            code = f"{small.name}[{', '.join(index)}]"
            if index.count("None") == 1:
                code = f"{small.name}.unsqueeze({index.index('None')}) or {code}"
            mends.append((f"{code}, which is {_show(shape)}", _broadcast(big.shape, shape)))
    elif len(a.shape) == len(b.shape):
        if len(b.shape) >= 2 and _swap(b.shape) == a.shape:
            mends.append((f"{b.name}.{'T' if len(b.shape) == 2 else 'mT'}", a.shape))
        elif 2 < len(b.shape) <= 5 and sorted(a.shape) == sorted(b.shape):
            for order in permutations(range(len(b.shape))):
                if tuple(b.shape[i] for i in order) == a.shape:
                    mends.append((f"{b.name}.permute{order}", a.shape))
                    break
    if prod(a.shape) == prod(b.shape) and len(a.shape) != len(b.shape):
        code = "(" + ", ".join(map(str, big.shape)) + ")" if len(big.shape) > 1 else "(-1)"
        mends.append((f"{small.name}.reshape{code}", big.shape))
    return mends


def _einsum(a, b):
    """einsum(…) that sums the first axis of matrix b against an axis of a that has its size, and the result's shape."""
    if len(b.shape) != 2 or not 2 < len(a.shape) < 8:
        return "", None
    letters = "ijklmnopq"[: len(a.shape) + 1]
    left, new = letters[:-1], letters[-1]
    for axis in reversed(range(len(a.shape))):
        if a.shape[axis] == b.shape[0]:
            out = left.replace(left[axis], new)
            shape = (*a.shape[:axis], b.shape[1], *a.shape[axis + 1 :])
            return f"einsum('{left},{left[axis]}{new}->{out}', {a.name}, {b.name})", shape
    return "", None


# ---- the catalogue


@_page("broadcast", "must match the size of tensor b")
def _(f):
    args = f.args
    if len(args) == 2:
        args = [args[0].named("a"), args[1].named("b")]
    if f.op in ("matmul", "__matmul__", "bmm", "baddbmm") and len(args) == 2:
        return _batches_clash(*args)
    rank = max(len(a.shape) for a in args)
    for column in range(-1, -rank - 1, -1):
        sizes = {a.shape[column] for a in args if len(a.shape) >= -column} - {1}
        if len(sizes) > 1:
            break
    else:
        return []
    clash = [a for a in args if len(a.shape) >= -column and a.shape[column] != 1]
    a, b = clash[0], next(c for c in clash if c.shape[column] != clash[0].shape[column])
    one, two = a.shape[column], b.shape[column]
    lines = _table(args, {len(args) - 1: column}, f"{one} and {two} are not equal, and neither is 1")
    mends = _shape_mends(a, b)
    if len(args) > 2:
        others = [c.shape for c in args if c is not a and c is not b]
        mends = [(code, shape and _broadcast(shape, *others)) for code, shape in mends]
    else:
        mends.append((f"{a.name} @ {b.name}", _matmul(a.shape, b.shape), "the matrix product"))
        if len(a.shape) == len(b.shape) == 1:
            mends.append((f"{a.name}[:, None]", (one, two), "every pair"))
    return lines + _tries(*mends)


def _batches_clash(a, b):
    rank = max(len(a.shape), len(b.shape))
    for column in range(-3, -rank - 1, -1):
        sizes = {x.shape[column] for x in (a, b) if len(x.shape) >= -column} - {1}
        if len(sizes) > 1:
            break
    else:
        return []
    lines = _table([a, b], {1: column}, f"batch of {a.shape[column]} against batch of {b.shape[column]}")
    swapped = _swap(b.shape, -3, -2), _swap(b.shape, -3, -1)
    wide = (*a.shape[:-2], 1, *a.shape[-2:])
    return lines + _tries(
        ("a @ b.transpose(-3, -2)", _matmul(a.shape, swapped[0])),
        ("a @ b.transpose(-3, -1)", _matmul(a.shape, swapped[1])),
        ("a.unsqueeze(-3) @ b", _matmul(wide, b.shape), "every a with every b"),
    )


@_page("expand", "The expanded size of the tensor")
def _(f):
    sizes = [tuple(map(int, part.split("]")[0].split(", "))) for part in f.line.split("[")[1:] if part[0] != "]"]
    if len(sizes) != 2:
        return []
    target, shape = sizes
    if f.op in ("linear", "addmm", "baddbmm", "addmv") and len(f.args) == 3:
        bias = next(a for a in f.args if a.shape == shape)
        return [*_table(f.args), f"{bias.name} is added to the result, {_show(target)}: its sizes are those, or 1"]
    a, b = _Arg("target", target), _Arg("tensor", shape, *(x.dtype for x in f.args[:1]))
    bad = [i for i in range(-1, -len(shape) - 1, -1) if len(target) < -i or shape[i] not in (1, target[i])]
    if not bad or len(shape) > len(target):
        return _table([a, b])
    lines = _table([a, b], {1: bad[0]}, "only a size of 1 can be repeated by expand")
    mends = []
    for index, new in _new_axes(shape, target) if len(shape) < len(target) else ():
        mends.append((f"tensor[{', '.join(index)}]", target if _broadcast(new, target) == target else None))
    whole = (1,) * (len(target) - len(shape)) + shape
    if all(n and t % n == 0 for t, n in zip(target, whole, strict=True)):
        times = ", ".join(str(t // n) for t, n in zip(target, whole, strict=True))
        mends.append((f"tensor.repeat({times})", target, "which copies"))
    return lines + _tries(*mends)


@_page("matmul", "shapes cannot be multiplied")
def _(f):
    if f.op == "linear" and len(f.args) >= 2:
        return _linear(f.args[0], f.args[1])
    named = [x for x in f.args if x.name in ("mat1", "mat2")]
    pair = named if len(named) == 2 else f.args[-2:] if f.op in ("addmm", "addmv", "addmm_") else f.args[:2]
    if len(pair) < 2:
        return []
    a, b = pair[0].named("mat1"), pair[1].named("mat2")
    if not a.shape or not b.shape:
        return []
    row = -2 if len(b.shape) > 1 else -1
    lines = _table([a, b], {0: -1, 1: row}, f"summed over: {a.shape[-1]} in mat1, {b.shape[row]} in mat2")
    a_t, b_t = ("mat1.T" if len(a.shape) == 2 else "mat1.mT"), ("mat2.T" if len(b.shape) == 2 else "mat2.mT")
    at, bt = _swap(a.shape), _swap(b.shape)
    flat = _flat(a.shape)
    return lines + _tries(
        _einsum(a, b),
        ("mat1.flatten(1) @ mat2", flat and _matmul(flat, b.shape)),
        (f"mat1 @ {b_t}", bt and _matmul(a.shape, bt)),
        (f"{a_t} @ mat2", at and _matmul(at, b.shape)),
        (f"{a_t} @ {b_t}", at and bt and _matmul(at, bt)),
        ("mat2 @ mat1", _matmul(b.shape, a.shape)),
        ("mat1 * mat2", _broadcast(a.shape, b.shape), "element by element"),
    )


def _linear(x, w):
    x, w = x.named("input"), w.named("weight")
    lines = _table([x, w], {0: -1, 1: -1}, f"input ends in {x.shape[-1]}; weight (out, in) wants {w.shape[-1]}")
    out, features = w.shape[0], w.shape[-1]
    wt = _swap(w.shape)
    flat = _flat(x.shape)
    mends = [("input.flatten(1)", flat and _matmul(flat, wt))]
    mends.append(("weight.T", _matmul(x.shape, w.shape), "if weight is stored (in, out)"))
    for axis in range(len(x.shape) - 1):
        if x.shape[axis] == features:
            moved = (*x.shape[:axis], *x.shape[axis + 1 :], features)
            code = "input.T" if len(x.shape) == 2 else f"input.movedim({axis}, -1)"
            mends.append((code, _matmul(moved, wt)))
    mends.append((f"a layer made for this input, Linear({x.shape[-1]}, {out})", (*x.shape[:-1], out)))
    return lines + _tries(*mends)


@_page("bmm", "batch2 must be a 3D tensor", "batch1 must be a 3D tensor", "first two dimensions of batch2")
def _(f):
    pair = f.args[-2:]
    if len(pair) < 2:
        return []
    a, b = pair[0].named("batch1"), pair[1].named("batch2")
    if len(a.shape) != 3 or len(b.shape) != 3:
        shared = ("with one matrix for the whole batch, which is not copied",)
        meaning = shared if {len(a.shape), len(b.shape)} == {2, 3} else ()
        return [*_table([a, b]), "bmm wants (batch, n, k) and (batch, k, m)"] + _tries(
            ("batch1 @ batch2 or matmul(batch1, batch2)", _matmul(a.shape, b.shape), *meaning)
        )
    if a.shape[0] != b.shape[0]:
        lines = _table([a, b], {1: -3}, f"batch of {a.shape[0]} against batch of {b.shape[0]}")
    else:
        lines = _table([a, b], {0: -1, 1: -2}, f"summed over: {a.shape[-1]} in batch1, {b.shape[-2]} in batch2")
    at, bt = _swap(a.shape), _swap(b.shape)

    def bmm(x, y):
        return _matmul(x, y) if x[0] == y[0] else None

    return lines + _tries(
        ("bmm(batch1, batch2.mT)", bmm(a.shape, bt)),
        ("bmm(batch1.mT, batch2)", bmm(at, b.shape)),
        ("batch1 @ batch2", _matmul(a.shape, b.shape), "which repeats the batch of one"),
    )


@_page("dot", "1D tensors expected, but got", "inconsistent tensor size, expected tensor")
def _(f):
    if len(f.args) < 2:
        return []
    a, b = f.args[0].named("a"), f.args[1].named("b")
    lines = _table([a, b])
    if len(a.shape) == len(b.shape) == 1:
        lines.append(f"dot does not broadcast: {a.shape[0]} and {b.shape[0]} elements have no sum of products")
        return lines + _tries(("(a * b).sum()", _broadcast(a.shape, b.shape) and True, "which repeats the one"))
    product = _matmul(a.shape, b.shape)
    same = prod(a.shape) == prod(b.shape)
    return lines + _tries(
        ("(a * b).sum()", () if a.shape == b.shape else None, "the sum of all products"),
        ("a.reshape(-1).dot(b.reshape(-1))", () if same else None, "the sum of all products"),
        ("a @ b", product, "the matrix product"),
        ("(a * b).sum(-1)", a.shape[:-1] if a.shape == b.shape else None, "row by row"),
    )


@_page("mv", "size mismatch, got input")
def _(f):
    pair = f.args[-2:]
    if len(pair) < 2:
        return []
    m, v = pair[0].named("mat"), pair[1].named("vec")
    lines = _table([m, v], {0: -1, 1: -1}, f"summed over: {m.shape[-1]} in mat, {v.shape[-1]} in vec")
    return lines + _tries(("mat.T.mv(vec) or vec @ mat", _matmul(v.shape, m.shape)))


@_page("matmul_scalar", "both arguments to matmul need to be at least 1D")
def _(f):
    a, b = f.args[0].named("a"), f.args[1].named("b")
    return _table([a, b]) + _tries(("a * b", _broadcast(a.shape, b.shape), "a number scales"))


@_page("rank", "must be a matrix", "vector + matrix @ vector expected", "must be a vector")
def _(f):
    shapes = [a.shape for a in f.args[-2:]]
    lines = _table(f.args)
    if len(shapes) == 2:
        a, b = (x.name for x in f.args[-2:])
        lines += _tries((f"{a} @ {b}", _matmul(*shapes)), (f"{b} @ {a}", _matmul(*reversed(shapes))))
    return lines


_FLOATS = ("float16", "bfloat16", "float32", "float64")


@_page("out_dtype", "Expected out tensor to have dtype", "does not match input dtype")
def _(f):
    return [*_table(f.args), "out= must have the dtype of the result; without it, one is made"]


@_page("dtype", "to have the same dtype", "must have the same dtype", "expected scalar type", "to have same dtype")
def _(f):
    args = [a for a in f.args if a.dtype]
    kinds = {a.dtype for a in args}
    lines = _table(args)
    if len(kinds) < 2:
        return lines
    mends = []
    whole = [a for a in args if a.dtype not in _FLOATS and "complex" not in a.dtype]
    target = next((a for a in args if a.dtype == "float32"), next((a for a in args if a not in whole), args[0]))
    for a in args:
        if a.dtype != target.dtype:
            mends.append((f"{a.name}.to({target.name}.dtype): {target.dtype}, as {target.name}", True))
    double = next((a for a in args if a.dtype == "float64"), None)
    if double and target.dtype != "float64":
        if not whole and len(args) == 2:
            mends.append((f"{target.name}.double(), if the digits of float64 are wanted", True))
        lines.append("float64 is NumPy's own dtype: from_numpy(x) keeps it, from_numpy(x).float() does not")
    return lines + _tries(*mends)


@_page("unsupported_dtype", "not implemented for '")
def _(f):
    dtype = f.line.rpartition("for '")[2].rstrip("'")
    lines = _table(f.args)
    if dtype == "Bool":
        return lines + _tries(("x.long() to count", True), ("& and | for logic", True))
    if dtype in ("Byte", "Char", "Short", "Int", "Long"):
        return lines + _tries(("x.float()", True))
    return lines


@_page("device", "is not on the expected device", "Expected all tensors to be on the same device")
def _(f):
    lines = _table(f.args)
    real = next((a for a in f.args if a.device != "meta"), None)
    for a in f.args:
        if real and a.device != real.device:
            if a.device == "meta":
                return [*lines, f"{a.name} is on meta: it has a shape, and no values to compute with"]
            return lines + _tries((f"{a.name}.to('{real.device}')", True))
    return lines


@_page("inplace_shape", "doesn't match the broadcast shape")
def _(f):
    lines = _table(f.args)
    if len(f.args) >= 2:
        a, b = f.args[:2]
        op = f.op.rstrip("_") or "op"
        wide = _broadcast(*(x.shape for x in f.args))
        lines.append("an in-place op keeps the shape of the tensor that it writes to")
        lines += _tries((f"{a.name} = {a.name}.{op}({b.name})", wide))
    return lines


@_page("inplace_dtype", "can't be cast to the desired output type")
def _(f):
    lines = _table(f.args)
    lines.append("an in-place op, and out=, keep the dtype of the tensor that is written to")
    return lines + _tries(("x = x * y instead of x *= y", True), ("x = x.float() before it", True))


@_page("scalar_backward", "grad can be implicitly created only for scalar outputs")
def _(f):
    return _table(f.args[:1]) + _tries(
        ("y.sum().backward() or y.mean().backward()", True),
        ("y.backward(torch.ones_like(y)), which is the same as the sum", True),
    )


_CUTS = {
    "no_grad": ("it was computed under no_grad()", "compute it outside of that block"),
    "inference": ("it was computed under inference_mode()", "compute it outside of that block, or use no_grad()"),
    "detach": ("detach() or .data cut it off", "leave them out on the way to the loss"),
    "argmax": ("an index, as of argmax, has no derivative", "use the values, or softmax, on the way to the loss"),
    "comparison": ("a comparison has no derivative", "use a smooth loss; compare only to count what is right"),
    "integer": ("integers have no derivative", "keep floating dtypes on the way to the loss"),
    "number": ("item(), numpy() and tensor(…) keep values without history", "stay with tensors on the way to the loss"),
}


@_page("no_grad", "does not require grad and does not have a grad_fn", "does not require grad")
def _(f):
    cut = _CUTS.get(f.op)
    if cut:
        return [cut[0], "try " + cut[1]]
    lines = _table(f.args[:1])
    if f.args and f.args[0].dtype not in (*_FLOATS, "complex64", "complex128"):
        return [*lines, _CUTS["integer"][0], "try " + _CUTS["integer"][1]]
    return [
        *lines,
        "no tensor that it was computed from requires grad, or no_grad(), detach(), item() or numpy() cut it off",
        "try requires_grad=True on the inputs, before computing",
    ]


@_page("grad_dtype", "can require gradients")
def _(f):
    return _table(f.args[:1]) + _tries(
        ("x.float().requires_grad_()", True), ("tensor([1., 2.]), floats from the start", True)
    )


@_page("view", "view size is not compatible with input tensor's size and stride")
def _(f):
    return [
        *_table(f.args[:1]),
        "its elements are not in order in memory (after transpose, permute, expand or a step)",
        "try reshape(…) instead of view(…), which copies where it must",
    ]


@_page("reshape", "is invalid for input of size")
def _(f):
    inside = f.line.split("'")[1].strip("[]") if "'" in f.line else ""
    asked = [int(n) for n in inside.split(", ")] if inside else []
    count = int(f.line.rsplit(" ", 1)[1]) if f.line.rsplit(" ", 1)[-1].isdigit() else None
    lines = _table(f.args[:1])
    if count is None or not asked:
        return lines
    known = prod(n for n in asked if n != -1)
    lines.append(
        f"{_show(asked)} has {known} elements" + (" times -1" if -1 in asked else "") + f", the tensor {count}"
    )
    mends = []
    for i, size in enumerate(asked):
        rest = prod(n for j, n in enumerate(asked) if j != i and n != -1)
        if -1 not in asked and rest and size and count % rest == 0:
            new = tuple(-1 if j == i else n for j, n in enumerate(asked))
            mends.append((f"reshape({', '.join(map(str, new))})", tuple(count // rest if n == -1 else n for n in new)))
    return lines + _tries(*mends)


@_page("item", "cannot be converted to Scalar", "only one element tensors can be converted")
def _(f):
    return _table(f.args[:1]) + _tries(
        ("x.tolist() for all of them", True), ("x.sum(), x.mean() or x[i] for one number", True)
    )


@_page("bool", "Boolean value of Tensor with")
def _(f):
    return _table(f.args[:1]) + _tries(
        ("x.any() or x.all()", True),
        ("a & b, a | b, ~a instead of and, or, not", True),
        ("x is None, x.numel() == 0", True),
    )


@_page("einsum", "einsum(): subscript")
def _(f):
    words = f.line.split()
    letter = words[words.index("subscript") + 1] if "subscript" in words else ""
    lines = _table(f.args)
    if letter:
        lines.append(f"{letter} is one index, so it has one size in every operand")
    return lines


@_page("tensordot", "contracted dimensions need to match")
def _(f):
    lines = _table(f.args[:2])
    if len(f.args) < 2:
        return lines
    a, b = f.args[:2]
    pairs = [(i, j) for i in reversed(range(len(a.shape))) for j in range(len(b.shape)) if a.shape[i] == b.shape[j]]
    mends = []
    for i, j in pairs[:2]:
        shape = (*a.shape[:i], *a.shape[i + 1 :], *b.shape[:j], *b.shape[j + 1 :])
        mends.append((f"tensordot({a.name}, {b.name}, dims=([{i}], [{j}]))", shape))
    return lines + _tries(*mends)


@_page("conv_channels", "Given groups=")
def _(f):
    if len(f.args) < 2:
        return []
    x, w = f.args[0].named("input"), f.args[1].named("weight")
    rank = len(w.shape)
    lines = _table([x, w])
    lines.append(f"input is (N, channels, …), weight (out, channels / groups, …): {w.shape[1]} channels are expected")
    mends = []
    if len(x.shape) == rank and x.shape[-1] == w.shape[1] and rank > 2:
        order = (0, rank - 1, *range(1, rank - 1))
        mends.append((f"input.permute{order}", True, "for images stored (N, height, width, channels)"))
    if len(x.shape) == rank:
        kernel = w.shape[2] if len(set(w.shape[2:])) == 1 else tuple(w.shape[2:])
        mends.append((f"a layer made for this input, Conv{rank - 2}d({x.shape[1]}, {w.shape[0]}, {kernel})", True))
    return lines + _tries(*mends)


@_page("cat", "Sizes of tensors must match except in dimension")
def _(f):
    lines = _table(f.args)
    if len(f.args) == 2 and len(f.args[0].shape) == len(f.args[1].shape):
        a, b = f.args
        for axis in range(len(a.shape)):
            if a.shape[:axis] + a.shape[axis + 1 :] == b.shape[:axis] + b.shape[axis + 1 :]:
                shape = (*a.shape[:axis], a.shape[axis] + b.shape[axis], *a.shape[axis + 1 :])
                lines += _tries((f"cat(…, dim={axis})", shape))
    return lines


@_page("dim", "Dimension out of range", "Dimension specified as")
def _(f):
    lines = _table(f.args[:1])
    if f.args:
        rank = len(f.args[0].shape)
        lines.append(
            f"it has {rank} dimension{'' if rank == 1 else 's'}"
            + (f": 0 to {rank - 1}, or -1 for the last" if rank else "")
        )
    return lines


@_page("index", "is out of bounds for dimension", "index out of range")
def _(f):
    words = f.line.split()
    lines = _table(f.args)
    if "size" in words and words[-1].isdigit():
        size = int(words[-1])
        lines.append(f"valid are 0 to {size - 1}, and from the end -1 to -{size}" if size else "it has no elements")
    elif f.op == "embedding" and f.args and f.args[0].shape:
        lines.append(f"the table has {f.args[0].shape[0]} rows, so indices are 0 to {f.args[0].shape[0] - 1}")
    return lines


@_page("memory", "tried to allocate", "can't allocate memory")
def _(f):
    numbers = [int(word) for word in f.line.replace(".", " ").split() if word.isdigit()]
    size = max(numbers, default=0)
    lines = _table(f.args)
    if size:
        lines.append(f"that is {size / 2**30:,.1f} GiB for one tensor")
    return lines


@_page("loss_size", "that is different to the input size", "must be the same as input size")
def _(f):
    if len(f.args) < 2:
        return []
    a, b = f.args[0], f.args[1]
    lines = _table([a, b])
    mends = []
    if len(b.shape) == len(a.shape) + 1 and b.shape[-1] == 1 and b.shape[:-1] == a.shape:
        mends.append((f"{b.name}.squeeze(-1)", a.shape))
    if len(a.shape) == len(b.shape) + 1 and a.shape[-1] == 1 and a.shape[:-1] == b.shape:
        mends.append((f"{a.name}.squeeze(-1)", b.shape))
    if prod(a.shape) == prod(b.shape):
        mends.append((f"{b.name}.reshape({', '.join(map(str, a.shape))})", a.shape))
    return lines + _tries(*mends)


@_page("stack", "stack expects each tensor to be equal size")
def _(f):
    lines = _table(f.args)
    return [*lines, "stack makes a new axis; cat(…, dim=…) joins along one that is there, and that one may differ"]


@_page("target", "Target ")
def _(f):
    words = f.line.split()
    scores = next((a for a in f.args if len(a.shape) >= 1), None)
    classes = (scores.shape[1] if len(scores.shape) > 1 else scores.shape[0]) if scores else None
    lines = _table(f.args)
    if classes:
        lines.append(f"there are {classes} scores for each sample, so classes are 0 to {classes - 1}")
        if len(words) > 1 and words[1] == str(classes):
            lines.append(f"try target - 1 if classes are counted from 1, or a last layer with {classes + 1} outputs")
    return lines


@_page("list_operand")
def _(f):
    symbol = f.line.partition("for ")[2].partition(":")[0]
    lines = ["torch would repeat the list here, as Python does with [1] * 2"] if symbol == "*" else []
    written = f.args[0].name if f.args and len(f.args[0].name) < 60 else "[…]"
    return [*lines, f"try x {symbol or '*'} torch.tensor({written})"]


# Pages that say the same whatever arrived.
_ADVICE = {
    ("leaf", "a leaf Variable that requires grad", "a view of a leaf Variable that requires grad"): [
        "backward() gives gradients to leaves: a leaf that was overwritten would have none",
        "try with no_grad(): around the write, to change a parameter by hand",
        "or  y = p * 2 instead of p *= 2, to compute with it",
    ],
    ("overlap", "refers to a single memory location"): [
        "expand() repeats an element without storing it twice, so writing to one writes to all",
        "try x.clone() first, or x.repeat(…) instead of x.expand(…)",
    ],
    ("inplace_saved", "has been modified by an inplace operation"): [
        "backward needs the value from before that write",
        "try y = y + 1 instead of y += 1 (or add instead of add_, relu(inplace=False))",
        "or  y = y.clone() before the write",
    ],
    ("released", "Trying to backward through the graph a second time"): [
        "try loss.backward(retain_graph=True), if the same graph is meant to be used again",
        "or  state = state.detach(), where a value is carried from one step of training to the next",
        "or  one backward() of the sum, loss1 + loss2, where two losses share a part",
    ],
    ("backward_shape", "Mismatch in shape: grad_output"): [
        "the gradient given to backward has one number for each of the output's",
        "try torch.ones_like(y)",
    ],
    ("unused", "appears to not have been used in the graph"): [
        "the outputs do not depend on that input, or depend on a copy of it (clone, to, float made before)",
    ],
    ("numpy_grad", "Can't call numpy() on Tensor that requires grad"): [
        "NumPy would lose the history that backward needs; detach() says that this is meant",
    ],
    ("number_operand", "unsupported operand type(s) for @: 'Tensor' and"): [
        "@ is the product of matrices and vectors; a number scales",
        "try x * number",
    ],
    ("out_grad", "functions with out=... arguments don't support automatic differentiation"): [
        "writing into out= leaves no history for backward",
        "try y = op(…) without out=, or no_grad() around it, or detach() on the inputs",
    ],
    ("ragged", "expected sequence of length"): [
        "the lists at one depth have different lengths, and a tensor has one size for each dimension",
        "try [torch.tensor(row) for row in rows], or fill the short rows up first",
    ],
    ("optimizer_empty", "optimizer got an empty parameter list"): [
        "model.parameters() finds Parameters and Modules that are attributes of the module",
        "try self.layers = nn.ModuleList([…]) for layers in a plain list, nn.Parameter(…) for a plain tensor",
        "or  list(model.parameters()), if a generator was used up before",
    ],
}
for (_kind, *_words), _lines in _ADVICE.items():
    _page(_kind, *_words)(lambda f, lines=_lines: lines)
