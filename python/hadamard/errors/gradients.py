"""Pages on autograd: what cut the graph, what was overwritten, what was used twice, and the line that did it."""

import ast
import re

from . import cuts, source
from .catalogue import FLOATS, page
from .mends import Mend, written
from .text import Arg, pointed, table

_CUTS = {
    "no_grad": ("this ran under no_grad(), so nothing was recorded", "this line outside of the no_grad() block"),
    "switched": ("nothing is recorded from here on", "torch.set_grad_enabled(True) before computing the loss"),
    "inference": ("this ran under inference_mode()", "this line outside of the block, or under no_grad()"),
    "detach": ("detach() and .data cut off what came before", "leave it out on the way to the loss"),
    "argmax": ("an index has no derivative", "the values or softmax instead, and argmax only to count what is right"),
    "comparison": (
        "a comparison has no derivative",
        "a smooth loss (F.cross_entropy, F.mse_loss); compare only to count",
    ),
    "integer": ("whole numbers have no derivative", "floating dtypes on the way to the loss"),
    "number": (
        "numbers have no history: item(), numpy() and tensor(…) drop it",
        "stay with tensors on the way to the loss",
    ),
}


@page("scalar_backward", "grad can be implicitly created only for scalar outputs")
def _(f):
    x = f.args[0] if f.args else Arg("y", (2,))
    if f.args:
        x = x.named("y")
    name = written(x.name, [x])
    return table([x] if f.args else []) + f.tries(
        [x],
        f"{name}.sum().backward() or {name}.mean().backward()",
        f"{name}.backward(torch.ones_like({name})), which is the same as the sum",
    )


@page("grad_input", "One of the differentiated Tensors does not require grad")
def _(f):
    names = []
    node = source.call_node(f.frame)[0] if f.frame is not None else None
    if isinstance(node, ast.Call):
        given = next(
            (k.value for k in node.keywords if k.arg == "inputs"), node.args[1] if len(node.args) > 1 else None
        )
        parts = given.elts if isinstance(given, (ast.Tuple, ast.List)) else [given] if given is not None else []
        for part in parts:
            if getattr(source.look_up(part, f.frame), "requires_grad", True) is False:
                names.append(ast.unparse(part))
    told = [f"{', '.join(names)} does not require grad"] if names else []
    x = names[0] if names else "x"
    return told + f.tries([], f"{x}.requires_grad_() before computing with it", f"{x} = {x}.detach().requires_grad_()")


@page("no_grad", "does not require grad and does not have a grad_fn", "does not require grad")
def _(f):
    lines = table(f.args[:1])
    found = None
    if f.frame is not None:
        try:
            found = cuts.find(f.frame)
        except Exception:
            found = None
    if isinstance(found, cuts.Cut):
        f.raw["cut"] = {"kind": found.kind, "file": found.file, "line": found.line}
        note, mend = _CUTS[found.kind]
        where = pointed(found.text, found.begin or 0, found.end or len(found.text.rstrip()), note, found.line)
        if found.file != f.frame.f_code.co_filename:
            lines.append(f"in {found.file.rpartition('/')[2]}")
        better = cuts.without(found.text, found)
        return lines + where + f.tries([], better or mend)
    if isinstance(found, tuple):
        names = found[1]
        if any(name.startswith("the parameters of ") for name in names):
            model = names[0].removeprefix("the parameters of ")
            return [*lines, f"no parameter of {model} requires grad: they are frozen"] + f.tries(
                [], f"{model}.requires_grad_()", "requires_grad_() on the layers that are to learn"
            )
        listed = ", ".join(dict.fromkeys(names))
        lines.append(f"it was computed from {listed}, and nothing of that requires grad")
        return lines + f.tries(
            [], f"{names[0]}.requires_grad_() before computing", "nn.Parameter(…) for what is learned"
        )
    if f.args and f.args[0].dtype not in (*FLOATS, "complex64", "complex128"):
        return lines + ["whole numbers have no derivative"] + f.tries([], _CUTS["integer"][1])
    lines.append(
        "no tensor that it was computed from requires grad, or no_grad(), detach(), item() or numpy() cut it off"
    )
    return lines + f.tries([], "requires_grad=True on the inputs, before computing")


@page("grad_dtype", "can require gradients")
def _(f):
    x = f.args[0] if f.args else Arg("x", (2,), "int64")
    return table(f.args[:1]) + f.tries(
        [x], Mend(f"{x.name}.float().requires_grad_()", gives=False), "tensor([1., 2.]), floats from the start"
    )


@page("leaf", "a leaf Variable that requires grad", "a view of a leaf Variable that requires grad")
def _(f):
    lines = ["backward() gives gradients to leaves: a leaf that was overwritten would have none"]
    node, _ = source.call_node(f.frame) if f.frame is not None and f.frame is f.caller else (None, "")
    statement = _statement(f.frame, f.frame.f_lineno) if node is not None else None
    if isinstance(statement, ast.AugAssign):
        text = ast.unparse(statement)
        target = ast.unparse(statement.target)
        better = ast.unparse(ast.BinOp(statement.target, statement.op, statement.value))
        return lines + f.tries(
            [],
            f"with torch.no_grad(): {text}, to change a parameter by hand",
            f"y = {better} instead of {text}, to compute with it"
            if "[" not in target
            else f"y = {target.partition('[')[0]}.clone() and the write to y",
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
        owner = ast.unparse(node.func.value)
        return lines + f.tries(
            [],
            f"with torch.no_grad(): {ast.unparse(node)}, to change a parameter by hand",
            f"y = {owner}.{node.func.attr[:-1]}({', '.join(map(ast.unparse, node.args))}) to compute with it",
        )
    return lines + f.tries(
        [],
        "with torch.no_grad(): around the write, to change a parameter by hand",
        "y = p * 2 instead of p *= 2, to compute with it",
    )


@page("inplace_views", "is a view and is being modified inplace")
def _(f):
    return ["unbind(), split() and chunk() give views of one tensor; a write to one would change them all"] + f.tries(
        [], "y = part + 1 instead of part += 1", "part = part.clone() before the write"
    )


def _statement(frame, line):
    scope = source.scope_of(frame)
    if scope is None:
        return None
    stack = list(scope.body)
    while stack:
        s = stack.pop()
        if (
            isinstance(s, ast.stmt)
            and not getattr(s, "body", None)
            and scope.line(s) <= line <= s.end_lineno + scope.offset
        ):
            return s
        stack += [n for n in ast.iter_child_nodes(s) if isinstance(n, (ast.stmt, ast.excepthandler))]
    return None


# ---- overwritten


@page("inplace_saved", "has been modified by an inplace operation")
def _(f):
    saved = f.args[0] if f.args else None
    now = re.search(r"is at version (\d+); expected version (\d+)", f.line)
    by = f.op.removesuffix("0").removesuffix("1").removesuffix("2").removesuffix("Backward").lower()
    lines = table([saved.named("saved")] if saved else [])
    keeper = f"{by}() kept this tensor for backward" if by else "backward needs the value from before a write"
    times = int(now[1]) - int(now[2]) if now else 1
    lines.append(keeper + f", and it was written to after that{', ' + str(times) + ' times' if times > 1 else ''}")
    writes = []
    if f.frame is not None:
        try:
            writes = _writes(f.frame, saved, int(now[1]) if now else None)
        except Exception:
            writes = []
    mends = []
    for scope, node, name in writes[:2]:
        line = scope.line(node)
        text = scope.text(line)
        if scope.filename != f.frame.f_code.co_filename:
            lines.append(f"in {scope.filename.rpartition('/')[2]}")
        lines += pointed(text, len(text) - len(text.lstrip()), len(text.rstrip()), f"writes to {name}", line)
        f.raw.setdefault("writes", []).append({"file": scope.filename, "line": line})
        better = _not_in_place(node)
        if better:
            mends.append(better)
        elif isinstance(node, ast.Assign):
            mends.append(f"{name} = {name}.clone() before that line")
    if not writes and f.frame is not None:
        told, better = _other_writes(f)
        lines += told
        mends += better
    if not mends:
        mends = [
            "y = y + 1 instead of y += 1 (or add instead of add_, relu(inplace=False))",
            "y = y.clone() before the write",
        ]
    return lines + f.tries([], *mends)


def _other_writes(f):
    """(lines, mends) for writes that are no expression of the user's: a step of an optimiser, modules made inplace."""
    scope = source.scope_of(f.frame)
    if scope is None:
        return [], []
    if "which is output" not in f.line:  # a leaf
        for node in _calls(scope, "step"):
            if hasattr(source.look_up(node.func.value, f.frame), "param_groups"):
                line = scope.line(node)
                text = scope.text(line)
                told = pointed(text, len(text) - len(text.lstrip()), len(text.rstrip()), "changes the parameters", line)
                return told, ["a new forward pass after step(), or both backward() before it"]
    for module in [m for m in (*f.frame.f_locals.values(), *_globals(f.frame)) if hasattr(m, "_modules")]:
        for path, part in module.named_modules():
            if getattr(part, "inplace", False) is True:
                kind = type(part).__name__
                return [f"{path or kind} ({kind}) of {type(module).__name__} writes in place"], [
                    f"nn.{kind}() instead of nn.{kind}(inplace=True)"
                ]
    return [], []


def _calls(scope, name):
    """The calls of methods of a name in a scope, in the order of the text."""
    nodes = [n for s in scope.body for n in ast.walk(s)]
    found = [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == name]
    return sorted(found, key=lambda n: n.lineno)


def _writes(frame, saved, version):
    """(scope, statement or call, name) of the writes in place that can have been the one, best first."""
    from hadamard import Tensor

    found = []
    depth = 0
    while frame is not None and depth < 4:
        scope = None if source.is_ours(frame) else source.scope_of(frame)
        if scope is not None:
            for node, target in _in_place(scope.body):
                value = source.look_up(target, frame) if target is not None else None
                # What is not known to be a tensor counts in the failing function only, other things never.
                score = 1 if value is None and depth == 0 else 0
                if isinstance(value, Tensor) and saved is not None:
                    same = tuple(value.shape) == saved.shape and str(value.dtype)[6:] == saved.dtype
                    score = 3 if same and value._version == version else 2 if same or value._version == version else 0
                if score:
                    found.append(
                        (score, -scope.line(node), scope, node, ast.unparse(target) if target is not None else "it")
                    )
            modules = [m for m in (*frame.f_locals.values(), *_globals(frame)) if hasattr(m, "_modules")]
            for module in modules[:4]:
                found += [(1.5, 0, *rest) for rest in _writes_of_module(module)]
        frame, depth = frame.f_back, depth + 1
    found.sort(key=lambda item: (-item[0], -item[1]))
    best: dict = {}
    for score, _, scope, node, name in found:
        if score == found[0][0]:
            best.setdefault((scope.filename, scope.line(node)), (scope, node, name))
    return list(best.values())


def _globals(frame):
    return [frame.f_globals[name] for name in frame.f_code.co_names if name in frame.f_globals]


def _writes_of_module(module):
    seen = set()
    for part in module.modules():
        code = getattr(type(part).forward, "__code__", None)
        if code is None or code in seen or source.is_our_class(type(part)):
            continue
        seen.add(code)
        scope = source.scope_of_code(code, type(part).forward.__globals__)
        if scope is not None:
            for node, target in _in_place(scope.body):
                yield scope, node, ast.unparse(target) if target is not None else "it"


def _in_place(body):
    """(node, what it writes to) of every in-place operation."""
    waiting = list(body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue  # not run here
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.AugAssign):
            yield node, node.target.value if isinstance(node.target, ast.Subscript) else node.target
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    yield node, target.value
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "")
            if name.endswith("_") and not name.endswith("__") and name not in ("requires_grad_", "zero_grad_"):
                yield node, node.func.value
            elif not name[:1].isupper() and any(
                k.arg == "inplace" and getattr(k.value, "value", False) is True for k in node.keywords
            ):
                yield node, node.args[0] if node.args else None
            elif out := next((k.value for k in node.keywords if k.arg == "out"), None):
                yield node, out


def _not_in_place(node):
    """The same without the write: y = y + 1 for y += 1; "" where there is none."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, (ast.Name, ast.Attribute)):
        return f"{ast.unparse(node.target)} = {ast.unparse(ast.BinOp(node.target, node.op, node.value))}"
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "").endswith("_"):
        owner = ast.unparse(node.func.value)
        arguments = ", ".join(map(ast.unparse, node.args))
        if node.func.attr in ("zero_", "fill_", "copy_"):
            return ""
        return f"{owner} = {owner}.{node.func.attr[:-1]}({arguments})"
    if isinstance(node, ast.Call) and any(k.arg == "inplace" for k in node.keywords):
        call = ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "inplace"])
        return ast.unparse(call)
    return ""


# ---- used twice


@page("released", "Trying to backward through the graph a second time")
def _(f):
    lines: list = []
    carried: list = []
    if f.frame is not None:
        try:
            carried = _carried(f.frame)
        except Exception:
            carried = []
    for line, name, text in carried[:1]:
        lines += pointed(text, 0, len(text), f"{name} comes from the step before, with its graph", line)
    first = [f"{carried[0][1]} = {carried[0][1]}.detach() at the start of each step"] if carried else []
    if not carried and f.frame is not None:
        told, first = _before(f.frame)
        lines += told
    return lines + f.tries(
        [],
        *first,
        "loss.backward(retain_graph=True), if the same graph is meant to be used again",
        *([] if first else ["state = state.detach(), where a value is carried from one step of training to the next"]),
        *([] if first else ["one backward() of the sum, loss1 + loss2, where two losses share a part"]),
    )


def _before(frame):
    """(lines, mends) where another backward() above has freed the graph."""
    scope = source.scope_of(frame)
    calls = [n for n in _calls(scope, "backward") if not n.keywords] if scope is not None else []
    here = next((n for n in calls if scope.line(n) == frame.f_lineno), None)
    above = [n for n in calls if scope.line(n) < frame.f_lineno]
    if here is None or not above:
        return [], []
    text = scope.text(scope.line(above[-1]))
    told = pointed(
        text, len(text) - len(text.lstrip()), len(text.rstrip()), "freed what it went through", scope.line(above[-1])
    )
    one, two = ast.unparse(above[-1].func.value), ast.unparse(here.func.value)
    return told, [f"({one} + {two}).backward() in place of the two" if one != two else f"one {one}.backward()"]


def _carried(frame):
    """(line, name, text) of what a loop computes from its own value of the step before."""
    scope = source.scope_of(frame)
    found = []
    for line, name, value, _, loops in scope.defs if scope else ():
        if not loops or not any(
            ast.unparse(n) == name for n in ast.walk(value) if isinstance(n, (ast.Name, ast.Attribute))
        ):
            continue
        now = source.look_up(ast.parse(name, mode="eval").body, frame)
        states = now if isinstance(now, tuple) else (now,)
        fresh = scope.before(name, line)
        if fresh is not None and fresh[4] == loops:
            continue  # made anew in each step
        if any(getattr(s, "grad_fn", None) is not None for s in states):
            found.append((line, name, scope.text(line)))
    return found


@page("backward_shape", "Mismatch in shape: grad_output")
def _(f):
    lines = table(f.args[:2])
    lines.append("the gradient given to backward has one number for each of the output's")
    if len(f.args) == 2:
        lines += f.tries(f.args[1:2], f"torch.ones_like({written('output', [f.args[1]])})")
    return lines or f.tries([], "torch.ones_like(y)")


@page("unused", "appears to not have been used in the graph")
def _(f):
    return [
        "the outputs do not depend on that input, or depend on a copy of it (clone, to, float made before)"
    ] + f.tries(
        [],
        "autograd.grad(…, allow_unused=True), which gives None for it",
        "the very tensor that was computed with, as input",
    )


@page("out_grad", "functions with out=... arguments don't support automatic differentiation")
def _(f):
    return [*table(f.args), "writing into out= leaves no history for backward"] + f.tries(
        [], "y = op(…) without out=, or no_grad() around it, or detach() on the inputs"
    )


@page("inference_saved", "Inference tensors cannot be saved for backward", "Inplace update to inference tensor")
def _(f):
    return [*table(f.args), "a tensor made under inference_mode() never takes part in a graph"] + f.tries(
        [], "x.clone() outside of the block", "no_grad() instead of inference_mode() where it is made"
    )


@page("non_leaf_flag", "you can only change requires_grad flags of leaf variables")
def _(f):
    return f.tries(
        [], "x.detach() for a tensor that is not differentiated", "no_grad() around what is not to be recorded"
    )


@page("nan", "returned nan values in its")
def _(f):
    function = f.line.split("'")[1] if "'" in f.line else ""
    op = re.sub(r"Backward\d*$", "", function).lower()
    hints = {
        "sqrt": ["torch.sqrt(x + 1e-12): its derivative at 0 is infinite"],
        "log": ["torch.log(x.clamp(min=1e-12)): log(0) is -inf"],
        "div": ["x / (y + 1e-12): 0 / 0 is NaN"],
        "pow": ["x.clamp(min=1e-12) ** p: its derivative at 0 is infinite for p < 1"],
        "norm": ["x.norm() + 1e-12 is no cure: use (x * x).sum().add(1e-12).sqrt()"],
        "linalgvectornorm": ["(x * x).sum().add(1e-12).sqrt(): the norm has no derivative at 0"],
    }
    return [f"{op}() is the op whose derivative is not a number"] + f.tries([], *hints.get(op, []))
