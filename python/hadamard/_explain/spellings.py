"""The same product in other words: torch, NumPy, einsum. Every one of them is run by the tests."""

from . import ask, gradients, indices

_NUMPY = {
    "mul": "multiply",
    "add": "add",
    "sub": "subtract",
    "div": "divide",
    "remainder": "mod",
    "pow": "power",
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "atan2": "arctan2",
}


def of(e) -> dict:
    """{"torch": [code, …], "numpy": […], "einsum": equation}; code names the operands as they are shown."""
    if e.alignment is None:
        return {}
    if e.alignment.kind == "elementwise":
        said = _elementwise(e)
    elif e.alignment.kind == "convolution":
        said = _convolution(e)
    elif e.alignment.kind == "transposed":
        said = _transposed(e)
    else:
        said = _product(e)
    return {key: value for key, value in said.items() if value}


def _names(e):
    return [x.name if x.number is None else repr(x.number) for x in e.operands]


def _elementwise(e):
    names = _names(e)
    both = ", ".join(names[:2])
    if e.op in ask.LOSSES:
        a, b = names
        spelled = {"mse_loss": f"(({a} - {b}) ** 2).mean()", "l1_loss": f"({a} - {b}).abs().mean()"}
        usual = e.request.kwargs.get("reduction", "mean") == "mean"
        return {
            "torch": [f"F.{e.op}({both})", spelled.get(e.op)] if usual and e.op in spelled else [],
            "numpy": [spelled[e.op].replace(f"({a} - {b}).abs()", f"np.abs({a} - {b})")]
            if usual and e.op in spelled
            else [],
        }
    symbol = ask.SYMBOL_OF.get(e.op)
    torch = [f"{names[0]} {symbol} {names[1]}"] if symbol else []
    tensors = all(x.number is None for x in e.operands)
    if tensors or e.operands[0].number is None:
        torch.append(f"torch.{e.op}({both})")
    numpy = [f"{names[0]} {symbol} {names[1]}"] if symbol else [f"np.{_NUMPY.get(e.op, e.op)}({both})"]
    said = {"torch": torch, "numpy": numpy}
    if e.op == "mul" and tensors and len({x.dtype for x in e.operands}) == 1:
        said["einsum"] = [f'torch.einsum("{e.equation}", {both})']
    return said


def _einsum(e, module):
    names = ", ".join(_names(e)[: 2 if ask.has_addend(e.request) else None])
    return f'{module}.einsum("{e.equation}", {names})'


def _product(e):
    names = _names(e)
    a, b = (names + [""])[:2]
    ranks = [len(x.shape) for x in e.operands]
    torch, numpy = [], []
    spelled = _einsum(e, "torch")
    if e.op == "linear":
        t = "T" if ranks[1] > 1 else ""
        code = f"{a} @ {b}.{t}" if t else f"{a} @ {b}"
        if len(names) == 3:
            code, spelled = f"{code} + {names[2]}", f"{spelled} + {names[2]}"
        torch = [f"F.linear({', '.join(names)})", code]
        numpy = [code]
    elif e.op in ask.ADDED:
        added, scale = (e.request.kwargs.get(k, 1) for k in ("beta", "alpha"))
        c = names[2] if added == 1 else f"{added!r} * {names[2]}"
        by = "" if scale == 1 else f"{scale!r} * "
        said = "".join(f", {k}={v!r}" for k, v in e.request.kwargs.items() if k in ("beta", "alpha"))
        code = f"{c} + {by}({a} @ {b})" if by else f"{c} + {a} @ {b}"
        torch, numpy = [f"torch.{e.op}({names[2]}, {a}, {b}{said})", code], [code]
        spelled = f"{c} + {by}{spelled}"
    elif e.op == "einsum":
        spelled = ""
        torch = [_einsum(e, "torch")]
        if len(names) == 2:
            torch += _as_matmul(e)
        numpy = [_einsum(e, "np")]
    elif e.op == "tensordot":
        dims = e.request.kwargs.get("dims", 2)
        torch, numpy = [f"torch.tensordot({a}, {b}, dims={dims})"], [f"np.tensordot({a}, {b}, axes={dims})"]
    elif e.op == "outer":
        torch, numpy = [f"torch.outer({a}, {b})", f"{a}[:, None] * {b}"], [f"np.outer({a}, {b})"]
    elif e.op == "inner":
        torch, numpy = [f"torch.inner({a}, {b})"], [f"np.inner({a}, {b})"]
    elif e.op == "vdot":
        torch, numpy, spelled = [f"torch.vdot({a}, {b})"], [f"np.vdot({a}, {b})"], ""
    elif ranks == [1, 1]:
        torch, numpy = [f"torch.dot({a}, {b})", f"{a} @ {b}", f"({a} * {b}).sum()"], [f"{a} @ {b}", f"np.dot({a}, {b})"]
    else:
        torch = [f"{a} @ {b}"]
        if e.op != "matmul":
            torch.append(f"torch.{e.op}({a}, {b})")
        else:
            torch.append(f"torch.matmul({a}, {b})")
        numpy = [f"{a} @ {b}"]
    return {"torch": torch, "numpy": numpy, "einsum": [spelled] if spelled else []}


def _as_matmul(e):
    """An einsum of two that is a plain product of matrices, where one sees it: without moving an index."""
    a, b = e.operands
    if any(i.repeats() for i in e.indices) or any(len(set(x.labels)) != len(x.labels) for x in e.operands):
        return []
    if len(a.labels) < 1 or len(b.labels) < 1:
        return []
    result = e.alignment.result
    summed = [i.letter for i in e.indices if not i.kept]
    if not summed and a.labels == b.labels == result:
        return [f"{a.name} * {b.name}"]
    if len(summed) != 1 or a.labels[-1] != summed[0] or e.multiply_adds == 0:
        return []
    k = summed[0]
    batch, rows = a.labels[:-2], a.labels[-2:-1]
    if b.labels == k and result == a.labels[:-1]:
        return [f"{a.name} @ {b.name}"]
    for columns in b.labels:
        if columns == k or columns in a.labels:
            continue
        if result == batch + rows + columns:
            if b.labels in (batch + k + columns, k + columns):
                return [f"{a.name} @ {b.name}"]
            if b.labels in (batch + columns + k, columns + k):
                return [f"{a.name} @ {b.name}.{'T' if len(b.labels) == 2 else 'mT'}"]
    return []


def _convolution(e):
    x, w = e.operands[:2]
    dims = indices.dims_of(e.op)
    kwargs = "".join(f", {k}={v!r}" for k, v in e.request.kwargs.items())
    names = _names(e)
    torch = [f"F.{e.op}({', '.join(names)}{kwargs})"]
    said = {"torch": torch, "numpy": [], "einsum": []}
    stride, padding, dilation, groups = indices.geometry(e.request)
    if groups != 1 or any(d != 1 for d in dilation) or len(x.shape) != dims + 2 or len(names) > 2:
        return said
    places, taps = "zyx"[-dims:], "qrs"[-dims:]
    equation = f"nc{places}{taps},oc{taps}->no{places}"
    source, array = x.name, x.name
    if any(padding):
        both = ", ".join(f"{p}, {p}" for p in reversed(padding))
        source = f"F.pad({x.name}, ({both}))"
        array = f"np.pad({x.name}, ((0, 0), (0, 0), {', '.join(f'({p}, {p})' for p in padding)}))"
    for d, (k, s) in enumerate(zip(w.shape[2:], stride, strict=True)):
        source += f".unfold({d + 2}, {k}, {s})"
    said["einsum"] = [f'torch.einsum("{equation}", {source}, {w.name})']
    steps = "" if set(stride) == {1} else "[:, :, " + ", ".join(f"::{s}" for s in stride) + "]"
    axes, kernel = tuple(range(2, dims + 2)), tuple(w.shape[2:])
    view = f"np.lib.stride_tricks.sliding_window_view({array}, {kernel}, {axes})"
    said["numpy"] = [f'np.einsum("{equation}", {view}{steps}, {w.name})']
    return said


def _transposed(e):
    """Spread and added up; with a stride of 1 also a convolution with the kernel turned around."""
    x, w = e.operands[:2]
    dims = indices.dims_of(e.op)
    kwargs = "".join(f", {k}={v!r}" for k, v in e.request.kwargs.items())
    names = _names(e)
    said = {"torch": [f"F.{e.op}({', '.join(names)}{kwargs})"], "numpy": [], "einsum": []}
    stride, padding, dilation, groups = indices.geometry(e.request)
    if groups != 1 or len(x.shape) != dims + 2 or len(names) > 2:
        return said
    kernel = tuple(w.shape[2:])
    around = [d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    extra = indices.numbers(e.request.kwargs.get("output_padding", 0), dims)
    if set(stride) == {1} and min(around) >= 0 and not any(extra):
        axes = tuple(range(2, dims + 2))
        flipped = f"{w.name}.flip({', '.join(map(str, axes))}).transpose(0, 1)"
        given = gradients.said(padding=around, dilation=dilation)
        said["torch"].append(f"F.conv{dims}d({x.name}, {flipped}{given})")
        if set(dilation) == {1}:
            places, taps = "zyx"[-dims:], "qrs"[-dims:]
            array = f"np.pad({x.name}, ((0, 0), (0, 0), {', '.join(f'({p}, {p})' for p in around)}))"
            view = f"np.lib.stride_tricks.sliding_window_view({array}, {kernel}, {axes})"
            turned = f"{w.name}[:, :{', ::-1' * dims}]"
            said["numpy"] = [f'np.einsum("nc{places}{taps},co{taps}->no{places}", {view}, {turned})']
    if dims == 2 and all(x < s for x, s in zip(extra, stride, strict=True)):
        given = gradients.said(dilation=dilation, padding=padding, stride=stride)
        windows = f'torch.einsum("ncyx,cors->norsyx", {x.name}, {w.name}).flatten(1, 3).flatten(2)'
        said["einsum"] = [f"F.fold({windows}, {tuple(e.shape[2:])}, {kernel}{given})"]
    return said
