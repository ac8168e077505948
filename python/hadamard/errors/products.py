"""Pages on products and broadcasting: shapes that do not meet."""

import ast
from itertools import combinations, permutations
from math import prod

from . import source
from .catalogue import page
from .mends import Mend
from .text import Arg, show, table


def _broadcast(*shapes):
    rank = max(map(len, shapes))
    sizes = []
    for column in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True):
        wide = {size for size in column if size != 1}
        if len(wide) > 1:
            return None
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)


def _clash(args):
    """The first column from the right in which sizes differ and are not 1, None where there is none."""
    for column in range(-1, -max(len(a.shape) for a in args) - 1, -1):
        if len({a.shape[column] for a in args if len(a.shape) >= -column} - {1}) > 1:
            return column
    return None


def _new_axes(small, big):
    """Every way to put new axes of size 1 into `small` so that its sizes meet equal ones of `big`: (index, shape)."""
    for kept in combinations(range(len(big)), len(small)):
        if all(big[column] == size for column, size in zip(kept, small, strict=True)):
            first = kept[0] if kept else len(big)
            # Axes in front come by broadcasting.
            yield [":" if i in kept else "None" for i in range(len(big))][first:]


def _shape_mends(a, b, call):
    """Edits of a or b after which they broadcast."""
    mends = []
    small, big = (b, a) if len(b.shape) <= len(a.shape) else (a, b)
    n = small.name
    if small.shape and len(small.shape) < len(big.shape):
        for index in _new_axes(small.shape, big.shape):
            code = f"{n}[{', '.join(index)}]"
            if index.count("None") == 1:
                mends.append(Mend(f"{n}.unsqueeze({index.index('None')})", n, call, also=code))
            else:
                mends.append(Mend(code, n, call, also=f"{n}.reshape{show(_with_ones(index, small.shape))}"))
    elif len(a.shape) == len(b.shape):
        if len(b.shape) >= 2 and (*b.shape[:-2], b.shape[-1], b.shape[-2]) == a.shape:
            mends.append(Mend(f"{b.name}.{'T' if len(b.shape) == 2 else 'mT'}", b.name, call))
        elif 2 < len(b.shape) <= 5 and sorted(a.shape) == sorted(b.shape):
            for order in permutations(range(len(b.shape))):
                if tuple(b.shape[i] for i in order) == a.shape:
                    mends.append(Mend(f"{b.name}.permute{order}", b.name, call))
                    break
    if prod(a.shape) == prod(b.shape) and len(a.shape) != len(b.shape):
        sizes = ", ".join(map(str, big.shape)) if len(big.shape) > 1 else "-1"
        mends.append(Mend(f"{n}.reshape({sizes})", n, call))
    return mends


def _with_ones(index, shape):
    sizes = iter(shape)
    return tuple(1 if i == "None" else next(sizes) for i in index)


def _einsum(a, b):
    """einsum(…) that sums the first axis of matrix b against an axis of a that has its size."""
    if len(b.shape) != 2 or not 2 < len(a.shape) < 8:
        return None
    letters = "ijklmnopq"[: len(a.shape) + 1]
    left, new = letters[:-1], letters[-1]
    for axis in reversed(range(len(a.shape))):
        if a.shape[axis] == b.shape[0]:
            return Mend(f"einsum('{left},{left[axis]}{new}->{left.replace(left[axis], new)}', {a.name}, {b.name})")
    return None


# What the sign in a message of a broadcast is, for the mend to be run as the failing line was.
_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "eq": "==", "ne": "!=", "lt": "<", "gt": ">"}


@page("broadcast", "must match the size of tensor b")
def _(f):
    args = f.args
    if len(args) == 2:
        args = [args[0].named("a"), args[1].named("b")]
    if len(args) < 2:
        return table(args)
    if f.op in ("matmul", "__matmul__", "bmm", "baddbmm", "@") and len(args) == 2:
        return _batches_clash(f, *args)
    column = _clash(args)
    if column is None:
        return table(args)
    clash = [a for a in args if len(a.shape) >= -column and a.shape[column] != 1]
    a, b = clash[0], next(c for c in clash if c.shape[column] != clash[0].shape[column])
    one, two = a.shape[column], b.shape[column]
    lines = table(args, {len(args) - 1: column}, f"{one} and {two} are not equal, and neither is 1")
    call = f"broadcast_tensors({', '.join(x.name for x in args)})"
    mends = _shape_mends(a, b, call)
    direct = f.caller is not None and f.frame is f.caller
    if f.op.endswith("_") or (direct and source.writes_in_place(f.frame)):
        note = "an in-place op keeps the shape of the tensor that it writes to"
        return [*lines, note, *f.tries(args, *(m for m in mends if m.of != args[0].name), want=args[0].shape)]
    if len(args) == 2:
        if f.op not in ("where", "copy_", "masked_fill", "mse_loss", "l1_loss"):
            mends.append(Mend(f"{a.name} @ {b.name}", note="the matrix product"))
        if len(a.shape) == len(b.shape) == 1 and not f.op.endswith("_loss"):
            mends.append(Mend(f"{a.name}[:, None]", a.name, call, note="every pair"))
    return lines + f.tries(args, *mends)


def _batches_clash(f, a, b):
    column = next(
        (
            c
            for c in range(-3, -max(len(a.shape), len(b.shape)) - 1, -1)
            if len({x.shape[c] for x in (a, b) if len(x.shape) >= -c} - {1}) > 1
        ),
        None,
    )
    if column is None:
        return table([a, b])
    lines = table([a, b], {1: column}, f"batch of {a.shape[column]} against batch of {b.shape[column]}")
    return lines + f.tries(
        [a, b],
        Mend("a @ b.transpose(-3, -2)"),
        Mend("a @ b.transpose(-3, -1)"),
        Mend("a.unsqueeze(-3) @ b", note="every a with every b"),
    )


@page("expand", "The expanded size of the tensor")
def _(f):
    sizes = [tuple(map(int, part.split("]")[0].split(", "))) for part in f.line.split("[")[1:] if part[0] != "]"]
    if len(sizes) != 2:
        return table(f.args)
    target, shape = reversed(sizes) if f.line.startswith("expand(") else sizes
    if f.op in ("linear", "addmm", "baddbmm", "addmv") and len(f.args) == 3:
        bias = next(a for a in f.args if a.shape == shape)
        return [*table(f.args), f"{bias.label} is added to the result, {show(target)}: its sizes are those, or 1"]
    if _is_write(f):
        part, value = Arg("part", target), Arg("value", shape)
        bad = next(
            (i for i in range(-1, -len(shape) - 1, -1) if len(target) < -i or shape[i] not in (1, target[i])), -1
        )
        call = f"value.expand{target}"
        return table([part, value], {1: bad}, "the part that is written to has other sizes") + f.tries(
            [part, value],
            Mend("value.squeeze(-1)", "value", call),
            Mend("value[:, None]", "value", call),
            Mend("value.T", "value", call),
        )
    a, b = Arg("target", target), Arg("tensor", shape, *(x.dtype for x in f.args[:1]))
    b.written = f.args[0].written if f.args else ""
    bad = [i for i in range(-1, -len(shape) - 1, -1) if len(target) < -i or shape[i] not in (1, target[i])]
    if not bad or len(shape) > len(target):
        return table([a, b])
    lines = table([a, b], {1: bad[0]}, "only a size of 1 can be repeated by expand")
    mends = []
    for index in _new_axes(shape, target) if len(shape) < len(target) else ():
        mends.append(Mend(f"tensor[{', '.join(index)}]", "tensor", f"tensor.expand{target}"))
    whole = (1,) * (len(target) - len(shape)) + shape
    if all(n and t % n == 0 for t, n in zip(target, whole, strict=True)):
        times = ", ".join(str(t // n) for t, n in zip(target, whole, strict=True))
        mends.append(Mend(f"tensor.repeat({times})", note="which copies"))
    return lines + f.tries([b], *mends)


def _is_write(f):
    """Whether the user's line assigns to x[…]."""
    node = source.call_node(f.frame)[0] if f.frame is not None and f.frame is f.caller else None
    return isinstance(node, ast.Subscript)


@page("matmul", "shapes cannot be multiplied")
def _(f):
    if f.op == "linear" and len(f.args) >= 2:
        return _linear(f, f.args[0], f.args[1])
    named = [x for x in f.args if x.name in ("mat1", "mat2")]
    pair = named if len(named) == 2 else f.args[-2:] if f.op in ("addmm", "addmv", "addmm_") else f.args[:2]
    if len(pair) < 2:
        return table(f.args)
    a, b = pair[0].named("mat1"), pair[1].named("mat2")
    if not a.shape or not b.shape:
        return table([a, b])
    row = -2 if len(b.shape) > 1 else -1
    lines = table([a, b], {0: -1, 1: row}, f"summed over: {a.shape[-1]} in mat1, {b.shape[row]} in mat2")
    a_t, b_t = ("mat1.T" if len(a.shape) == 2 else "mat1.mT"), ("mat2.T" if len(b.shape) == 2 else "mat2.mT")
    return lines + f.tries(
        [a, b],
        _einsum(a, b),
        Mend("mat1.flatten(1) @ mat2") if len(a.shape) > 2 else None,
        Mend(f"mat1 @ {b_t}"),
        Mend(f"{a_t} @ mat2"),
        Mend(f"{a_t} @ {b_t}"),
        Mend("mat2 @ mat1"),
        Mend("mat1 * mat2", note="element by element"),
    )


def _linear(f, x, w):
    x, w = x.named("input"), w.named("weight")
    if not x.shape or not w.shape:
        return table([x, w])
    lines = table([x, w], {0: -1, 1: -1}, f"input ends in {x.shape[-1]}; weight (out, in) wants {w.shape[-1]}")
    out, features = w.shape[0], w.shape[-1]
    call = "F.linear(input, weight)"
    mends = [Mend("input.flatten(1)", "input", call)] if len(x.shape) > 2 else []
    inside = f.module is not None and type(f.module).__name__ == "Linear"
    if not inside:
        mends.append(Mend("weight.T", "weight", call, note="if weight is stored (in, out)"))
    for axis in range(len(x.shape) - 1):
        if x.shape[axis] == features:
            code = "input.T" if len(x.shape) == 2 else f"input.movedim({axis}, -1)"
            mends.append(Mend(code, "input", call))
    name, bracket, _ = (f.raw.get("module") or "").partition(" (")
    left = f"self.{name} = " if inside and bracket and name.isidentifier() else ""
    flat = prod(x.shape[1:])
    if len(x.shape) == 4 and flat != features:  # a picture: what follows convolutions
        shown = f"input.flatten(1) before it, and {left}nn.Linear({flat}, {out})"
        mends.append(_layer(shown, "Linear", f"{flat}, {out}", f"in_features={flat}", "input.flatten(1)"))
    shown = f"{left}nn.Linear({x.shape[-1]}, {out})"
    mends.append(_layer(shown, "Linear", f"{x.shape[-1]}, {out}", f"in_features={x.shape[-1]}, as the input has"))
    return lines + f.tries([x, w], *mends)


def _layer(shown, name, sizes, note, behind="input"):
    """A layer made for the input: shown as it is written, run on meta."""
    return Mend(shown, "", f"nn.{name}({sizes}, device='meta', dtype=input.dtype)({behind})", note=note)


@page("bmm", "batch2 must be a 3D tensor", "batch1 must be a 3D tensor", "first two dimensions of batch2")
def _(f):
    pair = f.args[-2:]
    if len(pair) < 2:
        return table(f.args)
    a, b = pair[0].named("batch1"), pair[1].named("batch2")
    if len(a.shape) != 3 or len(b.shape) != 3:
        shared = {len(a.shape), len(b.shape)} == {2, 3}
        note = "with one matrix for the whole batch, which is not copied" if shared else ""
        return [*table([a, b]), "bmm wants (batch, n, k) and (batch, k, m)"] + f.tries(
            [a, b], Mend("batch1 @ batch2", also="matmul(batch1, batch2)", note=note)
        )
    if a.shape[0] != b.shape[0]:
        lines = table([a, b], {1: -3}, f"batch of {a.shape[0]} against batch of {b.shape[0]}")
    else:
        lines = table([a, b], {0: -1, 1: -2}, f"summed over: {a.shape[-1]} in batch1, {b.shape[-2]} in batch2")
    return lines + f.tries(
        [a, b],
        Mend("bmm(batch1, batch2.mT)"),
        Mend("bmm(batch1.mT, batch2)"),
        Mend("bmm(batch1, batch2.transpose(0, 1))"),
        Mend("batch1 @ batch2", note="which repeats the batch of one"),
        Mend("batch1[:, None] @ batch2", note="every matrix with every other"),
    )


@page("dot", "1D tensors expected, but got", "inconsistent tensor size, expected tensor")
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    a, b = f.args[0].named("a"), f.args[1].named("b")
    lines = table([a, b])
    if len(a.shape) == len(b.shape) == 1:
        lines.append(f"dot does not broadcast: {a.shape[0]} and {b.shape[0]} elements have no sum of products")
        return lines + f.tries([a, b], Mend("(a * b).sum()", note="which repeats the one"))
    same = a.shape == b.shape
    return lines + f.tries(
        [a, b],
        Mend("(a * b).sum()", note="the sum of all products") if same else None,
        Mend("a.reshape(-1).dot(b.reshape(-1))", note="the sum of all products"),
        Mend("a @ b", note="the matrix product"),
        Mend("(a * b).sum(-1)", note="row by row") if same else None,
    )


@page("mv", "size mismatch, got input")
def _(f):
    pair = f.args[-2:]
    if len(pair) < 2:
        return table(f.args)
    m, v = pair[0].named("mat"), pair[1].named("vec")
    lines = table([m, v], {0: -1, 1: -1}, f"summed over: {m.shape[-1]} in mat, {v.shape[-1]} in vec")
    return lines + f.tries([m, v], Mend("mat.T.mv(vec)", also="vec @ mat"), Mend("mat @ vec"))


@page("matmul_scalar", "both arguments to matmul need to be at least 1D")
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    a, b = f.args[0].named("a"), f.args[1].named("b")
    return table([a, b]) + f.tries([a, b], Mend("a * b", note="a number scales"))


@page("number_operand", "unsupported operand type(s) for @")
def _(f):
    lines = table(f.args[:1])
    lines.append("@ is the product of matrices and vectors; a number scales")
    words = f.line.split("'")
    tensor, kind = (f.args[0].name, words[3]) if f.args and len(words) > 4 else ("x", "float")
    number = "2" if kind in ("int", "bool") else "2j" if kind == "complex" else "2.0"
    first = len(words) > 1 and words[1] == "Tensor"
    code = f"{tensor} * {number}" if first else f"{number} * {tensor}"
    found = f.tries(f.args[:1], Mend(code)) if f.args else [f"try {code}"]
    return lines + [line.replace(number, "number", 1) for line in found]


@page("rank", "must be a matrix", "vector + matrix @ vector expected", "must be a vector")
def _(f):
    lines = table(f.args)
    if len(f.args) >= 2:
        a, b = (x.name for x in f.args[-2:])
        lines += f.tries(f.args[-2:], Mend(f"{a} @ {b}"), Mend(f"{b} @ {a}"))
    return lines


@page("einsum", "einsum(): subscript", "einsum()")
def _(f):
    words = f.line.split()
    lines = table(f.args)
    if "subscript" in words:
        letter = words[words.index("subscript") + 1]
        lines.append(f"{letter} is one index, so it has one size in every operand")
    if "number of subscripts" in f.line:
        lines.append("an operand has one letter for each of its dimensions; … stands for any number of them")
    if len(f.args) == 2:
        a, b = f.args
        mends = []
        if len(a.shape) == len(b.shape) == 2:
            mends += [
                Mend(f"einsum('ij,kj->ik', {a.name}, {b.name})"),
                Mend(f"einsum('ji,jk->ik', {a.name}, {b.name})"),
            ]
        mends.append(_einsum(a, b))
        lines += f.tries([a, b], *mends)
    return lines


@page("tensordot", "contracted dimensions need to match")
def _(f):
    lines = table(f.args[:2])
    if len(f.args) < 2:
        return lines
    a, b = f.args[:2]
    pairs = [(i, j) for i in reversed(range(len(a.shape))) for j in range(len(b.shape)) if a.shape[i] == b.shape[j]]
    return lines + f.tries([a, b], *(Mend(f"tensordot({a.name}, {b.name}, dims=([{i}], [{j}]))") for i, j in pairs[:2]))


@page("conv_channels", "Given groups=")
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    x, w = f.args[0].named("input"), f.args[1].named("weight")
    rank = len(w.shape)
    lines = table([x, w])
    dims = next((int(c) for c in f.op if c.isdigit()), rank - 2)
    if rank != dims + 2:
        return [*lines, f"{f.op} wants a weight of {dims + 2} dimensions: (out, channels / groups, …)"]
    if rank < 3 or len(x.shape) not in (rank, rank - 1):
        return lines
    lines.append(f"input is (N, channels, …), weight (out, channels / groups, …): {w.shape[1]} channels are expected")
    mends = []
    call = f"F.conv{rank - 2}d(input, weight)"
    if len(x.shape) == rank and x.shape[-1] == w.shape[1]:
        order = (0, rank - 1, *range(1, rank - 1))
        mends.append(
            Mend(f"input.permute{order}", "input", call, note="for images stored (N, height, width, channels)")
        )
    if len(x.shape) == rank - 1 and w.shape[1] == 1:
        mends.append(Mend("input.unsqueeze(1)", "input", call, note="one channel for each of the batch"))
    if len(x.shape) == rank:
        kernel = w.shape[2] if len(set(w.shape[2:])) == 1 else tuple(w.shape[2:])
        sizes = f"{x.shape[1]}, {w.shape[0]}, {kernel}"
        note = f"in_channels={x.shape[1]}, as the input has"
        mends.append(_layer(f"nn.Conv{rank - 2}d({sizes})", f"Conv{rank - 2}d", sizes, note))
    return lines + f.tries([x, w], *mends)


@page("conv_rank", "D (unbatched) or ", "D (batched) input to conv")
def _(f):
    if not f.args:
        return []
    x = f.args[0].named("input")
    lines = table([x, *f.args[1:2]])
    rank = len(f.args[1].shape) if len(f.args) > 1 else 4
    channels = f.args[1].shape[1] if len(f.args) > 1 and rank > 2 else 1
    dims = next((int(c) for c in f.op if c.isdigit()), rank - 2)
    if rank != dims + 2:
        return [*lines, f"{f.op} wants a weight of {dims + 2} dimensions: (out, channels / groups, …)"]
    lines.append(f"input is (N, {channels} channels, …), {rank} dimensions, or {rank - 1} without the batch")
    if len(f.args) < 2:
        return lines
    w = f.args[1].named("weight")
    call = f"F.conv{rank - 2}d(input, weight)"
    return lines + f.tries(
        [x, w],
        Mend("input.unsqueeze(0)", "input", call, note="a batch of one"),
        Mend("input[None, None]", "input", call, note="a batch of one, of one channel"),
        Mend(f"input.unflatten(1, (1, {x.shape[1]}))", "input", call) if len(x.shape) == rank - 1 else None,
    )
