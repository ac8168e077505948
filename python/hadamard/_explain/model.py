"""explain(model, x): a table of layers, found by running a copy of the model on the meta device: shapes, no numbers."""

import copy
from dataclasses import dataclass, field
from math import prod
from typing import Any

import hadamard as H

from . import ask
from .notes import show
from .text import WIDTH, Pen, count, memory, plain, seconds, terminal, times

_C = H._C


@dataclass
class Layer:
    """One call of one module: its path, class, shapes, own parameters, and the products that it ran itself."""

    path: str
    kind: str
    depth: int
    inputs: tuple = ()
    output: Any = None
    parameters: int = 0
    trained: int = 0
    multiply_adds: int = 0
    bytes: int = 0  # of the result
    route: str = ""
    why: str = ""
    leaf: bool = True
    shared: bool = False  # its parameters were counted before
    plans: list = field(default_factory=list)


@dataclass
class ModelExplanation:
    """What `explain(model, x)` found: `layers`, and their sums; `fits` and `error` as of a single product.

    parameters, trained: how many numbers, and how many of them want gradients
    multiply_adds: of the products in one forward pass; backward_multiply_adds: of those that its gradients take, None
    where they could not be had
    bytes: of the results that the layers hand on; parameter_bytes: of the parameters
    """

    name: str
    layers: list
    shape: Any = None
    fits: bool = True
    error: Exception | None = None
    failed: str = ""
    parameters: int = 0
    trained: int = 0
    parameter_bytes: int = 0
    multiply_adds: int = 0
    backward_multiply_adds: int | None = None
    bytes: int = 0
    measured: float | None = None

    def text(self, color=False, times=True) -> str:
        """The table as text."""
        return _render(self, color, times)

    def __str__(self):
        return plain(self.text(color=terminal()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html(self)

    def plot(self, file=None):
        """The table in a browser window, or written to `file` (.html)."""
        from . import html

        return html.write(self._repr_html_(), self.name, file)


def explain_model(model, inputs, kwargs, measure=False) -> ModelExplanation:
    """The table of a model's layers for these inputs (tensors, or shapes), without running it on numbers."""
    e = ModelExplanation(type(model).__name__, [])
    e.parameters = sum(p.numel() for p in model.parameters())
    e.trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    e.parameter_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    trace = _Trace(e)
    try:
        double = _on_meta(model)
        given, named = [_meta(x) for x in inputs], {k: _meta(x) for k, x in kwargs.items()}
        trace.attach(double)
        with H.enable_grad():
            y = _C._record_plans(lambda: double(*given, **named), trace.plans)
    except Exception as error:
        e.fits, e.error, e.failed = False, error, trace.path()
        return e
    e.shape = _shapes(y)
    e.multiply_adds = round(sum(p["multiply_adds"] for p in trace.plans))
    e.bytes = sum(layer.bytes for layer in e.layers)
    e.backward_multiply_adds = _backward(y)
    if measure:
        from . import machine

        real = [_real(x) for x in inputs]
        e.measured = machine.measure(lambda *xs: model(*xs, **kwargs), real)
    return e


def _on_meta(model):
    """A copy of the model whose parameters and buffers have shapes and no data: nothing of them is copied."""
    memo = {}
    for tensor in (*model.parameters(), *model.buffers()):
        ghost = H.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta")
        if isinstance(tensor, H.nn.Parameter):
            ghost = H.nn.Parameter(ghost, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = ghost
    return copy.deepcopy(model, memo)


def _meta(x):
    if isinstance(x, H.Tensor):
        ghost = H.empty_strided(tuple(x.shape), x.stride(), dtype=x.dtype, device="meta")
        return ghost.requires_grad_() if x.requires_grad else ghost
    if isinstance(x, tuple) and x and all(isinstance(n, int) for n in x):
        return H.empty(x, device="meta")
    return x


def _real(x):
    return H.zeros(x) if isinstance(x, tuple) and x and all(isinstance(n, int) for n in x) else x


def _shapes(y):
    if isinstance(y, H.Tensor):
        return tuple(y.shape)
    if isinstance(y, (tuple, list)):
        return tuple(_shapes(x) for x in y)
    if isinstance(y, dict):
        return {k: _shapes(x) for k, x in y.items()}
    return None


def _tensors(y):
    if isinstance(y, H.Tensor):
        return [y]
    if isinstance(y, dict):
        y = list(y.values())
    return [t for x in y for t in _tensors(x)] if isinstance(y, (tuple, list)) else []


def _backward(y):
    try:
        ends = [t for t in _tensors(y) if t.requires_grad]
        if not ends:
            return None
        grads = [H.empty(tuple(t.shape), dtype=t.dtype, device="meta") for t in ends]
        plans: list = []
        _C._record_plans(lambda: H.autograd.backward(ends, grads), plans)
    except Exception:
        return None  # an op without shapes for its gradient; the forward pass has been explained
    return round(sum(p["multiply_adds"] for p in plans))


class _Trace:
    """Hooks that note every call of every module, and the plans made while it was the innermost one."""

    def __init__(self, e):
        self.e = e
        self.plans: list = []  # filled by the core while the model runs
        self.taken = 0
        self.stack: list = []
        self.names: dict = {}
        self.seen: set = set()

    def attach(self, model):
        """Hooks on every module of the copy."""
        for name, module in model.named_modules():
            self.names[module] = name
            module.register_forward_pre_hook(self.enter)
            module.register_forward_hook(self.leave)

    def path(self) -> str:
        """Of the module that is running."""
        return self.stack[-1].path if self.stack else ""

    def take(self):
        """Gives the plans made since the last time to the module that is running."""
        if self.stack:
            self.stack[-1].plans += self.plans[self.taken :]
        self.taken = len(self.plans)

    def enter(self, module, args):
        self.take()
        path = self.names[module]
        layer = Layer(path, type(module).__name__, len(self.stack))
        layer.inputs = tuple(_shapes(x) for x in args if isinstance(x, H.Tensor))
        own = list(module.parameters(recurse=False))
        fresh = [p for p in own if id(p) not in self.seen]
        layer.shared = bool(own) and not fresh
        self.seen.update(id(p) for p in own)
        layer.parameters = sum(p.numel() for p in fresh)
        layer.trained = sum(p.numel() for p in fresh if p.requires_grad)
        layer.leaf = not any(True for _ in module.children())
        self.e.layers.append(layer)
        self.stack.append(layer)

    def leave(self, module, args, result):
        self.take()
        layer = self.stack.pop()
        layer.output = _shapes(result)
        layer.multiply_adds = round(sum(p["multiply_adds"] for p in layer.plans))
        if layer.leaf or layer.parameters or layer.plans:
            layer.bytes = sum(prod(t.shape) * ask.itemsize(t.dtype) for t in _tensors(result))
        if layer.plans:
            first = max(layer.plans, key=lambda p: p["multiply_adds"])
            layer.route, layer.why = first["route"], first["why"]


# ---- text


_HEAD = ("layer", "class", "result", "parameters", "multiply-adds", "memory", "route")


def _rows(e):
    """One row for each call that does something itself; containers that only call others stand as headings."""
    rows = []
    for layer in e.layers:
        name = "  " * layer.depth + (layer.path.rpartition(".")[2] or e.name)
        working = layer.leaf or layer.parameters or layer.plans
        again = "again" if layer.shared else ""
        rows.append(
            (
                name,
                layer.kind if layer.path else "",
                _shape_words(layer.output) if layer.output is not None else "",
                (again or (count(layer.parameters) if layer.parameters else "")) if working else "",
                count(layer.multiply_adds) if layer.multiply_adds else "",
                memory(layer.bytes) if working and layer.output is not None else "",
                layer.route + (f" ×{len(layer.plans)}" if len(layer.plans) > 1 else ""),
            )
        )
    return rows


def _shape_words(shape) -> str:
    if isinstance(shape, dict):
        return "{" + ", ".join(map(str, shape)) + "}"
    if isinstance(shape, tuple) and any(isinstance(x, tuple) for x in shape):
        return ", ".join(_shape_words(x) for x in shape if x is not None)
    return show(shape) if shape is not None else ""


def _render(e, color, with_times=True):
    pen = Pen(color)
    rows = _rows(e)
    widths = [max(len(row[c]) for row in [_HEAD, *rows]) for c in range(len(_HEAD))]
    right = (3, 4, 5)

    def line(cells):
        return "  ".join(
            f"{x:>{w}}" if c in right else f"{x:<{w}}" for c, (x, w) in enumerate(zip(cells, widths, strict=True))
        )

    lines = [pen.bold(line(_HEAD).rstrip()), pen.dim("─" * min(sum(widths) + 12, WIDTH))]
    for layer, row in zip(e.layers, rows, strict=True):
        words = line(row).rstrip()
        lines.append(words if layer.leaf or layer.plans or layer.parameters else pen.dim(words))
    lines.append(pen.dim("─" * min(sum(widths) + 12, WIDTH)))
    if not e.fits:
        where = f"in {e.failed}" if e.failed else f"in {e.name}"
        first, *rest = str(e.error).splitlines() or [""]
        lines[-1] = ""
        lines.append(f"{pen.code(where + ' it does not fit', '31;1')}")
        lines += [f"  {type(e.error).__name__}: {first}", *("  " + r for r in rest)]
        return "\n".join(lines)
    frozen = f", {count(e.trained)} of them trained" if e.trained != e.parameters else ""
    backward = ""
    if e.backward_multiply_adds is not None:
        backward = f", {count(e.backward_multiply_adds)} backward"
    lines.append(f"{times(e.parameters, 'parameter')}{frozen}: {memory(e.parameter_bytes)}")
    products = f"{times(e.multiply_adds, 'multiply-add')} of products forward{backward}"
    lines.append(f"{products}; element-wise ops are not counted")
    lines.append(f"{memory(e.bytes)} of results between layers, kept until backward where gradients are wanted")
    if e.measured is not None and with_times:
        lines.append(
            f"measured {seconds(e.measured)}: {e.multiply_adds / e.measured / 1e9:.3g} billion multiply-adds a second"
        )
    return "\n".join(x.rstrip() for x in lines)


def _html(e):
    from html import escape

    if not e.fits:
        from .html import boxed

        return f"<div>{boxed(_render(e, False))}</div>"
    right = (3, 4, 5)
    cell = "padding:2px 10px;white-space:pre;"

    def row(cells, tag, extra=""):
        return (
            "<tr>"
            + "".join(
                f"<{tag} style='{cell}{extra}text-align:{'right' if c in right else 'left'}'>{escape(x)}</{tag}>"
                for c, x in enumerate(cells)
            )
            + "</tr>"
        )

    body = "".join(row(r, "td") for r in _rows(e))
    sums = "<br>".join(escape(x) for x in _render(e, False).splitlines()[len(e.layers) + 3 :])
    return (
        "<div style='overflow-x:auto'>"
        "<table style='border-collapse:collapse;font-size:13px;font-family:ui-monospace,monospace'>"
        f"{row(_HEAD, 'th', 'border-bottom:1px solid #9aa5b1;')}{body}</table>"
        f"<p style='font-size:13px;margin:8px 10px'>{sums}</p></div>"
    )
