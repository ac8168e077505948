"""The gradient of a product is a product of the same kind: its code, its cost and its route."""

from dataclasses import dataclass

import hadamard as H

from . import ask, indices

_C = H._C
_WINDOWS = ask.CONVOLUTIONS + ask.TRANSPOSED


@dataclass
class Gradient:
    """The gradient by one operand, as code in g (the gradient that arrives) and the operands' names."""

    name: str
    code: str
    multiply_adds: int = 0
    route: str = ""
    why: str = ""
    question: tuple = ()  # what explain() is asked for the product in it

    def explain(self):
        """The Explanation of the product that makes the gradient, before what was repeated is summed; None without."""
        from . import explanation

        return explanation.build(ask.request(self.question, {})) if self.question else None


def of(e, call) -> list:
    """One Gradient for each floating operand; none where there is no derivative or nothing simple to say."""
    if e.dtype is None or not (e.dtype.is_floating_point or e.dtype.is_complex) or e.alignment is None:
        return []
    result = []
    for at, x in enumerate(e.operands):
        if x.number is not None or not (x.dtype.is_floating_point or x.dtype.is_complex):
            continue
        code = _code(e, at)
        if code is None:
            continue
        gradient = Gradient(f"d{x.name}", code)
        _plan(e, call, at, gradient)
        gradient.question = _question(e, at)
        result.append(gradient)
    return result


def _plan(e, call, at, gradient):
    """The products that backward runs for this operand, found on the meta device."""
    try:
        given = [x.meta() for x in e.operands]
        given[at].requires_grad_()
        y = call(*given)
        if y.grad_fn is None:
            return
        g = H.empty(tuple(y.shape), dtype=y.dtype, device="meta")
        plans: list = []
        _C._record_plans(lambda: y.backward(g), plans)
    except Exception:
        return  # the code says what is computed; what it costs is left out
    if plans:
        first = max(plans, key=lambda p: p["multiply_adds"])
        gradient.route, gradient.why = first["route"], first["why"]
        gradient.multiply_adds = round(sum(p["multiply_adds"] for p in plans))


def _question(e, at):
    """The product in the gradient by one operand, as explain() is asked for it."""
    others = [o for i, o in enumerate(e.operands) if i != at and o.number is None][:1]
    if len(e.operands) != 2 and not ask.has_addend(e.request) or not others or e.op in _WINDOWS:
        return ()
    g, (other,) = ask.Operand("g", e.shape, e.dtype), others
    if e.alignment.kind == "elementwise":
        return (g, "*", other) if e.op == "mul" else ()
    if e.op in ask.ADDED or e.op == "linear" and at == 2:
        return ()
    x = e.operands[at]
    target = "".join(c for c in x.labels if c in e.alignment.result or c in other.labels)
    if any(len(set(o.labels)) != len(o.labels) for o in (x, other)):
        return ()
    return (f"{e.alignment.result},{other.labels}->{target}", g, other)


def _code(e, at):
    if e.alignment.kind == "elementwise":
        return _elementwise(e, at)
    if e.alignment.kind == "convolution":
        return _convolution(e, at)
    if e.alignment.kind == "transposed":
        return _transposed(e, at)
    return _product(e, at)


def _sum(code, x, e, at) -> str:
    """The code, summed over what the operand repeated."""
    rank = len(e.shape) if e.shape else 0
    dims = [d for d, i in enumerate(e.indices) if i.states[at] == "repeated"]
    lead = [d for d in dims if d < rank - len(x.shape)]
    ones = [d - rank for d in dims if d not in lead and e.indices[d].size != 1]
    if not lead and not ones:
        return code
    if code != "g":
        code = f"({code})"
    if ones:
        code += f".sum({ones[0] if len(ones) == 1 else tuple(ones)}, keepdim=True)"
    if lead:
        code += f".sum({lead[0] if len(lead) == 1 else tuple(lead)})"
    return code


def _elementwise(e, at):
    a, b = (x.name if x.number is None else repr(x.number) for x in e.operands[:2])
    complex_ = e.dtype.is_complex
    conj = ".conj()" if complex_ else ""
    if complex_ and e.op in ("div", "pow"):
        return None
    x = e.operands[at]
    if e.dtype != x.dtype:
        return None
    left = {"add": "g", "sub": "g", "mul": f"g * {b}{conj}", "div": f"g / {b}", "pow": f"g * {b} * {a} ** ({b} - 1)"}
    right = {
        "add": "g",
        "sub": "-g",
        "mul": f"g * {a}{conj}",
        "div": f"-g * {a} / {b} ** 2",
        "pow": f"g * {a} ** {b} * torch.log({a})",
    }
    if e.op == "mse_loss" and e.request.kwargs.get("reduction", "mean") == "mean":
        if any(i.repeats() for i in e.indices):
            return None
        return f"g * 2 * ({a} - {b}) / {e.multiply_adds}" if at == 0 else f"g * 2 * ({b} - {a}) / {e.multiply_adds}"
    code = (left, right)[at].get(e.op)
    return None if code is None else _sum(code, x, e, at)


def _product(e, at):
    operands = e.operands
    x = operands[at]
    result = e.alignment.result
    if e.op == "linear" and at == 2:
        rows = len(e.shape) - 1
        return "g" if rows == 0 else f"g.sum({0 if rows == 1 else tuple(range(rows))})"
    if any(len(set(o.labels)) != len(o.labels) for o in operands):
        return None  # diagonals
    if e.op in ask.ADDED and at == 2:
        return _scaled(e, "beta", _added(e, x))
    others = [o for i, o in enumerate(operands) if i != at and not (i == 2 and ask.has_addend(e.request))]
    simple = _simple(e, at, others[0]) if len(others) == 1 else None
    if simple:
        return _scaled(e, "alpha", simple)
    sizes = dict(zip(x.labels, x.shape, strict=True))
    whole = {i.letter: i.size for i in e.indices}
    known = result + "".join(o.labels for o in others)
    target = "".join(c for c in x.labels if c in known and sizes[c] == whole[c])
    names = ", ".join(o.name + (".conj()" if o.dtype.is_complex else "") for o in others)
    terms = ",".join([result, *(o.labels for o in others)])
    code = f'torch.einsum("{terms}->{target}", g, {names})'
    for d, c in enumerate(x.labels):
        if c not in target:
            code += f".unsqueeze({d})"
    # A letter that only this operand has, or that the others repeat: all along it have the same gradient.
    along = {c for o in others for c, n in zip(o.labels, o.shape, strict=True) if n == whole[c]} | set(result)
    if any(c not in along and sizes[c] != 1 for c in x.labels):
        code += f".expand({', '.join(map(str, x.shape))})"
    return code


def _added(e, x):
    """The gradient of what is added to a product: summed over what was repeated."""
    rank = len(e.shape)
    lead = list(range(rank - len(x.shape)))
    ones = [d - len(x.shape) for d, n in enumerate(x.shape) if n != e.shape[rank - len(x.shape) + d]]
    code = "g"
    if ones:
        code += f".sum({ones[0] if len(ones) == 1 else tuple(ones)}, keepdim=True)"
    if lead:
        code += f".sum({lead[0] if len(lead) == 1 else tuple(lead)})"
    return code


def _scaled(e, key, code):
    """The code times alpha or beta, where an op has them."""
    factor = e.request.kwargs.get(key, 1) if e.op in ask.ADDED else 1
    if factor == 1:
        return code
    return f"{factor!r} * ({code})" if " " in code.partition("(")[0] else f"{factor!r} * {code}"


def _simple(e, at, other):
    """The gradients of dot, mv, mm, matmul of matrices and linear as one learns them."""
    if e.dtype.is_complex or any(i.repeats() for i in e.indices if i.repeats() != [2]):
        return None
    ranks = [len(x.shape) for x in e.operands[:2]]
    name = other.name
    if e.op in ("dot", "vdot") or (e.op == "matmul" and ranks == [1, 1]):
        return f"g * {name}"
    if e.op in ("mv", "addmv", "matmul") and ranks == [2, 1]:
        return f"torch.outer(g, {name})" if at == 0 else f"{name}.T @ g"
    if e.op in ("mm", "bmm", "matmul", "addmm", "baddbmm") and min(ranks) >= 2 and ranks[0] == ranks[1]:
        t = "T" if ranks[0] == 2 else "mT"
        return f"g @ {name}.{t}" if at == 0 else f"{name}.{t} @ g"
    if e.op == "linear" and ranks == [2, 2]:
        return f"g @ {name}" if at == 0 else f"g.T @ {name}"
    return None


def said(**given) -> str:
    """The arguments of a convolution that are not the usual ones, as code."""
    usual = {"padding": 0, "output_padding": 0}
    return "".join(
        f", {key}={value[0] if len(set(value)) == 1 else tuple(value)}"
        for key, value in given.items()
        if any(v != usual.get(key, 1) for v in value)
    )


def _cut(have, want):
    """A step that left a rest makes places too many."""
    return "" if tuple(have) == tuple(want) else "[:, :, " + ", ".join(f":{k}" for k in want) + "]"


def _convolution(e, at):
    x, w = e.operands[:2]
    dims = indices.dims_of(e.op)
    if len(x.shape) != dims + 2 or e.dtype.is_complex:
        return None
    try:
        stride, padding, dilation, groups = indices.geometry(e.request)
    except indices.Clash:
        return None
    if at == 2:
        return f"g.sum({(0, *range(2, dims + 2))})"
    if at == 0:
        rest = [
            (n + 2 * p - d * (k - 1) - 1) % s
            for n, p, d, k, s in zip(x.shape[2:], padding, dilation, w.shape[2:], stride, strict=True)
        ]
        given = said(stride=stride, padding=padding, output_padding=rest, groups=(groups,), dilation=dilation)
        return f"F.conv_transpose{dims}d(g, {w.name}{given})"
    a, g = (x.name, "g") if groups == 1 else ("a", "b")
    given = said(stride=dilation, padding=padding, dilation=stride)
    code = f"F.{e.op}({a}.transpose(0, 1), {g}.transpose(0, 1){given}).transpose(0, 1)"
    grown = [
        (n + 2 * p - s * (o - 1) - 1) // d + 1
        for n, p, s, o, d in zip(x.shape[2:], padding, stride, e.shape[2:], dilation, strict=True)
    ]
    code += _cut(grown, w.shape[2:])
    if groups != 1:
        code = f"torch.cat([{code} for a, b in zip({x.name}.chunk({groups}, 1), g.chunk({groups}, 1))])"
    return code


def _transposed(e, at):
    x, w = e.operands[:2]
    dims = indices.dims_of(e.op)
    if len(x.shape) != dims + 2 or e.dtype.is_complex:
        return None
    stride, padding, dilation, groups = indices.geometry(e.request)
    if at == 2:
        return f"g.sum({(0, *range(2, dims + 2))})"
    seen = list(zip(e.shape[2:], padding, dilation, w.shape[2:], stride, x.shape[2:], strict=True))
    if at == 0:
        places = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s, _ in seen]
        given = said(stride=stride, padding=padding, dilation=dilation, groups=(groups,))
        return f"F.conv{dims}d(g, {w.name}{given}){_cut(places, x.shape[2:])}"
    a, g = (x.name, "g") if groups == 1 else ("a", "b")
    given = said(stride=dilation, padding=padding, dilation=stride)
    code = f"F.conv{dims}d({g}.transpose(0, 1), {a}.transpose(0, 1){given}).transpose(0, 1)"
    code += _cut([(n + 2 * p - s * (o - 1) - 1) // d + 1 for n, p, d, _, s, o in seen], w.shape[2:])
    if groups != 1:
        code = f"torch.cat([{code} for a, b in zip({x.name}.chunk({groups}, 1), g.chunk({groups}, 1))])"
    return code
