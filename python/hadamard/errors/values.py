"""Pages on dtypes, devices, indices, views, writing in place, and conversions."""

import ast
from math import prod

from . import source
from .catalogue import FLOATS, page
from .mends import Mend, written
from .products import _broadcast
from .text import Arg, show, table


@page("out_dtype", "Expected out tensor to have dtype", "does not match input dtype")
def _(f):
    out = next((a for a in f.args if a.name == "out"), None)
    lines = [*table(f.args), "out= must have the dtype of the result; without it, one is made"]
    others = [a for a in f.args if a is not out and a.dtype]
    if out is not None and others:
        lines += f.tries(f.args, Mend(f"out.to(torch.{others[0].dtype})", gives=False))
    return lines


@page("dtype", "to have the same dtype", "must have the same dtype", "expected scalar type", "to have same dtype")
def _(f):
    args = [a for a in f.args if a.dtype]
    kinds = {a.dtype for a in args}
    if [a.name for a in args] == ["x", "mat2"]:
        args[0].name = "mat1"
    lines = table(args)
    if len(kinds) < 2:
        return lines
    mends = []
    whole = [a for a in args if a.dtype not in FLOATS and "complex" not in a.dtype]
    target = next((a for a in args if a.dtype == "float32"), next((a for a in args if a not in whole), args[0]))
    weight = next((a for a in args if a.name in ("weight", "bias", "running_mean")), None)
    if weight is not None and weight not in whole:
        target = weight  # the layer stays as it is, the data follows
    for a in args:
        if a.dtype != target.dtype:
            note = f"{target.dtype}, as {written(target.name, [target])}"
            mends.append(Mend(f"{a.name}.to({target.name}.dtype)", gives=False, note=note))
    double = next((a for a in args if a.dtype == "float64"), None)
    if double and target.dtype != "float64":
        if not whole and len(args) == 2:
            note = "if the digits of float64 are wanted"
            mends.append(Mend(f"{target.name}.double()", gives=False, note=note))
        lines.append("float64 is NumPy's own dtype: from_numpy(x) keeps it, from_numpy(x).float() does not")
    return lines + f.tries(args, *mends)


@page("unsupported_dtype", "not implemented for '", "with two bool tensors", "on a bool tensor is not supported")
def _(f):
    dtype = f.line.rpartition("for '")[2].rstrip("'")
    lines = table(f.args)
    x = f.args[0].name if f.args else "x"
    if dtype == "Bool" or "bool tensor" in f.line:
        logic = "& and | for logic" if len(f.args) != 1 else "~ for logic"
        return lines + f.tries(
            f.args or [Arg("x", (2,), "bool")], Mend(f"{x}.long()", gives=False, note="to count"), logic
        )
    if dtype in ("Byte", "Char", "Short", "Int", "Long"):
        return lines + f.tries(f.args or [Arg("x", (2,), "int64")], Mend(f"{x}.float()", gives=False))
    if dtype in ("Half", "BFloat16"):
        return lines + f.tries(f.args or [Arg("x", (2,))], Mend(f"{x}.float()", gives=False))
    if dtype.startswith("Complex"):
        return [*lines, "complex numbers have no order and no sign"] + f.tries(
            f.args or [Arg("x", (2,), "complex64")], Mend(f"{x}.abs()", gives=False), Mend(f"{x}.real", gives=False)
        )
    return lines


@page("device", "is not on the expected device", "Expected all tensors to be on the same device")
def _(f):
    lines = table(f.args)
    real = next((a for a in f.args if a.device != "meta"), None)
    for a in f.args:
        if real and a.device != real.device:
            if a.device == "meta":
                return [
                    *lines,
                    f"{written(a.name, [a])} is on meta: it has a shape, and no values to compute with",
                    *f.tries([a], f"torch.zeros_like({written(a.name, [a])}, device='{real.device}') to have values"),
                ]
            return lines + f.tries([a], f"{written(a.name, [a])}.to('{real.device}')")
    return lines


@page("cuda", "Torch not compiled with CUDA enabled")
def _(f):
    return [
        "Hadamard has no CUDA device yet: tensors live on cpu or meta",
        'try device = "cuda" if torch.cuda.is_available() else "cpu"',
    ]


@page("meta_value", "Cannot copy out of meta tensor", "on meta tensors", "meta device type tensor")
def _(f):
    return [*table(f.args[:1]), "a tensor on meta has a shape and a dtype, and no numbers"] + f.tries(
        f.args[:1], "model.to_empty(device='cpu') for modules made on meta, then load_state_dict(…)"
    )


@page("inplace_shape", "doesn't match the broadcast shape")
def _(f):
    lines = table(f.args)
    if len(f.args) >= 2:
        a, b = (arg.named(name) for arg, name in zip(f.args, "xy", strict=False))
        lines = table([a, b])
        op = f.op.rstrip("_=") or "op"
        lines.append("an in-place op keeps the shape of the tensor that it writes to")
        if _broadcast(a.shape, b.shape) is not None:
            sign = {"add": "+", "sub": "-", "mul": "*", "div": "/"}.get(op, op if not op.isidentifier() else "")
            code = f"{a.name} {sign} {b.name}" if sign else f"{a.name}.{op}({b.name})"
            x = written(a.name, [a])
            found = f.tries([a, b], Mend(code))
            lines += [line.replace("try ", f"try {x} = ", 1) for line in found]
    return lines


@page("inplace_dtype", "can't be cast to the desired output type")
def _(f):
    x = f.args[0].named("x") if f.args else Arg("x", (2,), "int64")
    y = f.args[1].named("y") if len(f.args) > 1 else Arg("y", ())
    lines = table([x, y][: len(f.args)])
    lines.append("an in-place op, and out=, keep the dtype of the tensor that is written to")
    name = written(x.name, [x])
    sign = f.op.rstrip("=") if f.op.rstrip("=") in ("+", "-", "*", "/", "**") else "*"
    other = written(y.name, [y]) if len(f.args) > 1 else "y"
    node = source.call_node(f.frame)[0] if f.frame is not None and f.frame is f.caller else None
    if isinstance(node, ast.AugAssign):
        other = ast.unparse(node.value)
    return lines + f.tries(
        [x, y],
        f"{name} = {name} {sign} {other} instead of {name} {sign}= {other}",
        f"{name} = {name}.float() before it",
    )


@page("overlap", "refers to a single memory location")
def _(f):
    x = f.args[0] if f.args else Arg("x", (2,))
    return [
        *table(f.args[:1]),
        "expand() repeats an element without storing it twice, so writing to one writes to all",
    ] + f.tries([x], Mend(f"{x.name}.clone()", gives=False, note="before the write"), "repeat(…) instead of expand(…)")


@page("view", "view size is not compatible with input tensor's size and stride")
def _(f):
    name = written(f.args[0].name, f.args[:1]) if f.args else "x"
    return [
        *table(f.args[:1]),
        "its elements are not in order in memory (after transpose, permute, expand or a step)",
        *f.tries(f.args[:1], f"{name}.reshape(…) instead of {name}.view(…), which copies where it must"),
    ]


@page("reshape", "is invalid for input of size")
def _(f):
    inside = f.line.split("'")[1].strip("[]") if "'" in f.line else ""
    asked = [int(n) for n in inside.split(", ")] if inside else []
    count = int(f.line.rsplit(" ", 1)[1]) if f.line.rsplit(" ", 1)[-1].isdigit() else None
    x = f.args[0] if f.args else None
    lines = table([x]) if x else []
    if count is None or not asked:
        return lines
    known = prod(n for n in asked if n != -1)
    lines.append(f"{show(asked)} has {known} elements" + (" times -1" if -1 in asked else "") + f", the tensor {count}")
    if x is None or prod(x.shape) != count:
        x = Arg("x", (count,))
    op = f.op if f.op in ("view", "reshape") else "reshape"
    mends = []
    # Most likely first: a batch size that was written as a number.
    for i, size in enumerate(asked):
        rest = prod(n for j, n in enumerate(asked) if j != i and n != -1)
        if -1 not in asked and rest and size and count % rest == 0:
            mends.append(Mend(f"{x.name}.{op}({', '.join(str(-1 if j == i else n) for j, n in enumerate(asked))})"))
    if -1 in asked and len(x.shape) > 1:
        mends.append(Mend(f"{x.name}.flatten(1)"))
    return lines + f.tries([x], *mends)


@page("item", "cannot be converted to Scalar", "only one element tensors can be converted")
def _(f):
    x = f.args[0] if f.args else Arg("x", (2,))
    name = written(x.name, [x])
    return table(f.args[:1]) + f.tries(
        [x],
        f"{name}.tolist() for all of them",
        Mend(f"{name}.sum()".replace(name, x.name, 1), also=f"{x.name}.mean()", note="for one number", gives=False),
        Mend(f"{x.name}[0]", note="for the first", gives=False) if len(x.shape) == 1 else None,
    )


@page("bool", "Boolean value of Tensor with")
def _(f):
    x = f.args[0] if f.args else Arg("x", (2,))
    name = written(x.name, [x])
    if prod(x.shape) == 0:
        return table(f.args[:1]) + f.tries([x], f"{name}.numel() == 0 to ask whether it is empty")
    return table(f.args[:1]) + f.tries(
        [x],
        Mend(f"{x.name}.any()", also=f"{x.name}.all()", gives=False),
        "a & b, a | b, ~a instead of and, or, not",
        "x is None, x.numel() == 0",
    )


@page("cat", "Sizes of tensors must match except in dimension", "Tensors must have same number of dimensions")
def _(f):
    lines = table(f.args)
    if len(f.args) == 2:
        a, b = f.args[0].named("a"), f.args[1].named("b")
        lines = table([a, b])
        mends = [
            Mend(f"cat([a, b], dim={axis})")
            for axis in range(len(a.shape))
            if a.shape[:axis] + a.shape[axis + 1 :] == b.shape[:axis] + b.shape[axis + 1 :]
        ]
        if abs(len(a.shape) - len(b.shape)) == 1:
            x = "b" if len(b.shape) < len(a.shape) else "a"
            mends += [Mend(f"{x}.unsqueeze({i})", x, "cat([a, b])") for i in (0, 1)]
        lines += f.tries([a, b], *mends)
    return lines


@page("stack", "stack expects each tensor to be equal size")
def _(f):
    lines = table(f.args)
    if _called_from(f, "collate"):
        lines.append("the samples of a batch have different sizes, and a batch is one tensor")
        return lines + f.tries(
            [],
            "DataLoader(…, collate_fn=…) with nn.utils.rnn.pad_sequence, for sequences",
            "resizing or cropping every sample in the Dataset's __getitem__",
            "batch_size=1, or collate_fn=lambda batch: batch to get a list",
        )
    lines.append("stack makes a new axis; cat(…, dim=…) joins along one that is there, and that one may differ")
    if len(f.args) == 2:
        a, b = f.args[0].named("a"), f.args[1].named("b")
        lines[:2] = table([a, b])
        lines += f.tries([a, b], *(Mend(f"cat([a, b], dim={i})") for i in range(len(a.shape))))
    return lines


def _called_from(f, name):
    frame = f.caller
    for _ in range(12):
        if frame is None:
            return False
        if name in frame.f_code.co_name:
            return True
        frame = frame.f_back
    return False


@page("dim", "Dimension out of range", "Dimension specified as")
def _(f):
    lines = table(f.args[:1])
    if f.args:
        rank = len(f.args[0].shape)
        lines.append(
            f"it has {rank} dimension{'' if rank == 1 else 's'}"
            + (f": 0 to {rank - 1}, or -1 for the last" if rank else "")
        )
        if (
            rank
            and "got " in f.line
            and f.op in ("sum", "mean", "softmax", "argmax", "max", "min", "prod", "log_softmax")
        ):
            x = f.args[0].name
            lines += f.tries(f.args[:1], Mend(f"{x}.{f.op}({rank - 1})", gives=f.op not in ("max", "min")))
    return lines


@page("index", "is out of bounds for dimension", "index out of range", "too many indices")
def _(f):
    words = f.line.split()
    lines = table(f.args)
    if "size" in words and words[-1].isdigit():
        size = int(words[-1])
        lines.append(f"valid are 0 to {size - 1}, and from the end -1 to -{size}" if size else "it has no elements")
        index = words[1] if words[0] == "index" else ""
        if (
            len(f.args) == 1
            and index == str(size)
            and size
            and f.op in ("", "getitem", "select")
            and "dimension 0" in f.line
        ):
            lines += f.tries(f.args[:1], Mend(f"{f.args[0].name}[-1]", note="for the last"))
    elif "embedding" in f.op or "index out of range in self" in f.line:
        weight = next((a for a in f.args if a.name == "weight"), f.args[0] if f.args else None)
        if weight is not None and weight.shape:
            rows = weight.shape[0]
            lines.append(f"the table has {rows} rows, so indices are 0 to {rows - 1}")
            lines += f.tries(
                f.args,
                f"nn.Embedding(num_embeddings, …) with more than {rows}: the largest index + 1",
                f"indices.clamp(max={rows - 1}) for words that are not in the table",
            )
    elif "too many indices" in f.line and f.args:
        rank = len(f.args[0].shape)
        lines.append(f"it has {rank} dimension{'' if rank == 1 else 's'}, and an index for each at most")
    return lines


@page("mask", "does not match the shape of the indexed tensor", "The shape of the mask")
def _(f):
    lines = table(f.args)
    if len(f.args) == 2:
        a, b = f.args
        lines.append("a mask has the shape of the tensor, or of its first dimensions")
        m = b.name
        lines += f.tries(
            [a, b],
            Mend(f"{m}.squeeze(-1)", m, f"{a.name}.masked_fill({m}, 0)"),
            Mend(f"{m}.T", m, f"{a.name}.masked_fill({m}, 0)"),
        )
    return lines


@page("index_dtype", "tensors used as indices must be", "Expected dtype int64 for index", "index tensor")
def _(f):
    lines = table(f.args)
    index = next((a for a in f.args if a.dtype in FLOATS and ("ind" in a.name)), None)
    if index is None:
        index = next((a for a in f.args[1:] if a.dtype in FLOATS), None)
    if index is not None:
        return lines + f.tries([index], Mend(f"{index.name}.long()", gives=False))
    return lines + f.tries(
        [], "x[index.long()] where the index is a floating tensor", "x[values > 0] to choose by a condition"
    )


@page("memory", "tried to allocate", "can't allocate memory")
def _(f):
    numbers = [int(word) for word in f.line.replace(".", " ").split() if word.isdigit()]
    size = max(numbers, default=0)
    lines = table(f.args)
    if size:
        lines.append(f"that is {size / 2**30:,.1f} GiB for one tensor")
    if len(f.args) > 1:
        shape = _broadcast(*(a.shape for a in f.args))
        if shape and prod(shape) > 4 * max(prod(a.shape) for a in f.args):
            lines.append(f"broadcasting repeats both operands, to {show(shape)}: sizes of 1 that were not meant?")
    return lines


@page("ragged", "expected sequence of length")
def _(f):
    return ["the lists at one depth have different lengths, and a tensor has one size for each dimension"] + f.tries(
        [],
        "[torch.tensor(row) for row in rows], a list of tensors",
        "nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True), which fills them up",
    )


@page("list_operand")
def _(f):
    symbol = f.line.partition("for ")[2].partition(":")[0]
    lines = ["torch would repeat the list here, as Python does with [1] * 2"] if symbol == "*" else []
    given = f.args[0].name if f.args and len(f.args[0].name) < 60 else "[…]"
    return lines + f.tries([], f"x {symbol or '*'} torch.tensor({given})")


@page("numpy_grad", "Can't call numpy() on Tensor that requires grad")
def _(f):
    lines = ["NumPy would lose the history that backward needs; detach() says that this is meant"]
    if f.args:
        lines = [*table(f.args[:1]), *lines]
        lines += f.tries(f.args[:1], f"{written(f.args[0].name, f.args[:1])}.detach().numpy()")
    return lines


@page("arguments", "got an unexpected keyword argument", "received an invalid combination of arguments")
def _(f):
    import re
    from difflib import get_close_matches

    import hadamard

    op = getattr(hadamard, f.op, None) or getattr(hadamard.Tensor, f.op, None)
    known = {
        part.strip(" *").partition("=")[0]
        for signature, _ in getattr(op, "_signatures", ())
        for part in signature.split(",")
    }
    got = f.line.partition(", but expected")[0]
    words = [w for w in re.findall(r"(?:argument '|\b)(\w+)(?:'|=)", got) if w not in known]
    if not words:
        return table(f.args)
    alias = {"axis": "dim", "axes": "dim", "keepdims": "keepdim", "a": "input", "x": "input", "ddof": "correction"}
    close = get_close_matches(words[0], [k for k in known if k], n=2, cutoff=0.55)
    if alias.get(words[0]) in known:
        close = [alias[words[0]]]
    return table(f.args) + f.tries([], *(f"{name}=…" for name in close))
