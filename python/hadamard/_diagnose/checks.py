"""The checks of a diagnosis: each is a function that reads the record and gives findings.

Thresholds are chosen so that ordinary models at the start, in the middle and at the end of training pass.
"""

from math import isfinite

import hadamard as H
from hadamard import Tensor

from ..errors.source import describe
from .findings import Finding
from .record import rms

CHECKS: list = []


def check(function):
    CHECKS.append(function)
    return function


def percent(part, whole):
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "0"


def number(x):
    return f"{x:.3g}"


# ---- what stops it


@check
def raises(r):
    if r.error is None:
        return
    lines = str(r.error).splitlines() or [type(r.error).__name__]
    where = {"forward": "forward pass", "loss": "loss", "backward": "backward pass"}[r.failed_in]
    mends = [line.strip()[4:] for line in lines[1:] if line.strip()[:4] in ("try ", "or  ")]
    evidence = [line.removeprefix("  ") for line in lines[1:] if line.strip()[:4] not in ("try ", "or  ")]
    kind = "target" if r.failed_in == "loss" else r.failed_in
    yield Finding(kind, "error", where, lines[0], evidence, mends)


@check
def not_finite(r):
    bad = [i for i, a in enumerate(r.args) if isinstance(a, Tensor) and a.is_floating_point() and not _finite(a)]
    if bad:
        a = r.args[bad[0]]
        wrong = int((~H.isfinite(a)).sum())
        mend = "torch.nan_to_num(x), or leaving those samples out"
        yield Finding(
            "input not finite", "error", "input", f"{percent(wrong, a.numel())} values are NaN or infinite", (), [mend]
        )
        return
    spoilt = [name for name, p in r.model.named_parameters() if p.is_floating_point() and not _finite(p)]
    if spoilt:
        listed = ", ".join(spoilt[:4]) + (" …" if len(spoilt) > 4 else "")
        mends = ["a model made anew: these values do not come back", "a smaller learning rate, clip_grad_norm_"]
        yield Finding(
            "parameters not finite", "error", "", f"parameters hold NaN or infinity already: {listed}", (), mends
        )
        return
    if r.value is None or isfinite(r.value):
        grads = [r.names[id(p)] for p in r.model.parameters() if p.grad is not None and not _finite(p.grad)]
        if grads and r.error is None:
            yield _bad_gradient(r, grads)
        return
    for op in r.trace.ops:
        outs = [t for t in op.outputs if t.is_floating_point() and t.numel() and not t.is_meta]
        if any(not _finite(t) for t in outs) and all(_finite(t) for t in op.inputs if t.is_floating_point()):
            if op.name.rstrip("_") in ("masked_fill", "full", "full_like", "new_full", "where", "tensor"):
                continue  # -inf on purpose, as in a mask of attention
            yield _first_not_finite(op)
            return
    yield Finding(
        "loss not finite", "error", "loss", f"the loss is {r.value}", (), ["clip_grad_norm_", "a smaller learning rate"]
    )


def _first_not_finite(op):
    out = next(t for t in op.outputs if not _finite(t))
    wrong = int((~H.isfinite(out)).sum())
    evidence = [f"{percent(wrong, out.numel())} results are NaN or infinite"]
    for t in op.inputs[:2]:
        if t.is_floating_point() and t.numel():
            low, high = float(t.min()), float(t.max())
            zeros = int((t == 0).sum())
            told = f", {zeros} zeros" if zeros else ""
            evidence.append(f"its input {tuple(t.shape)} goes from {number(low)} to {number(high)}{told}")
    evidence.append(op.line)
    mends = {
        "log": [
            "torch.log(x.clamp(min=1e-8))",
            "F.log_softmax, F.cross_entropy or BCEWithLogitsLoss, which have the log in them",
        ],
        "log2": ["torch.log2(x.clamp(min=1e-8))"],
        "div": ["x / (y + 1e-8), or x / y.clamp(min=1e-8)"],
        "sqrt": ["torch.sqrt(x.clamp(min=0) + 1e-12)"],
        "rsqrt": ["torch.rsqrt(x + 1e-8)"],
        "pow": ["x.clamp(min=1e-8) ** p"],
        "exp": ["torch.logsumexp, softmax or softplus, which do not overflow", "exp(x - x.max())"],
        "acos": ["torch.acos(x.clamp(-1 + 1e-7, 1 - 1e-7))"],
    }.get(op.name.rstrip("_"), ["scaled inputs, smaller weights, a smaller learning rate"])
    return Finding("loss not finite", "error", op.label, "the first op whose result is not finite", evidence, mends)


def _bad_gradient(r, names):
    function = ""
    try:
        model, _ = r.copies()
        with H.enable_grad(), H.autograd.detect_anomaly():
            r.loss_of(r.call(model, fresh=True)).backward()
    except Exception as error:
        function = str(error).split("'")[1] if str(error).count("'") > 1 else ""
    evidence = [f"the loss is {number(r.value)}, and the gradient of {names[0]} is not finite"]
    mends = {
        "Sqrt": ["torch.sqrt(x + 1e-12): the derivative at 0 is infinite"],
        "LinalgVectorNorm": ["(x * x).sum().add(1e-12).sqrt(): the norm has no derivative at 0"],
        "Pow": ["x.clamp(min=1e-8) ** p"],
    }
    found = next((m for key, m in mends.items() if function.startswith(key)), ["nn.utils.clip_grad_norm_(…, 1.0)"])
    where = function.partition("Backward")[0].lower() + "()" if function else ""
    return Finding("gradient not finite", "error", where, "its derivative is not a number", evidence, found)


def _finite(x):
    return not x.is_floating_point() or x.is_meta or bool(H.isfinite(x.detach()).all())


# ---- shapes and the loss


@check
def broadcast_loss(r):
    for op in r.trace.ops:
        if op.phase != "loss" or len(op.inputs) < 2 or not op.outputs:
            continue
        a, b = op.inputs[:2]
        if a.dim() == 0 or b.dim() == 0 or a.shape == b.shape or min(a.numel(), b.numel()) < 2:
            continue
        both = H.broadcast_shapes(a.shape, b.shape) if _broadcasts(a, b) else None
        if both is None or tuple(both) in (tuple(a.shape), tuple(b.shape)):
            continue
        if op.name.rstrip("_") not in (
            "sub",
            "mul",
            "div",
            "add",
            "mse_loss",
            "l1_loss",
            "smooth_l1_loss",
            "huber_loss",
        ):
            continue
        small = "target.unsqueeze(1)" if a.dim() > b.dim() else "target.squeeze(1)"
        other = "output.squeeze(1)" if a.dim() > b.dim() else "output.unsqueeze(1)"
        evidence = [
            f"{tuple(a.shape)} against {tuple(b.shape)} gives {tuple(both)}: every output meets every target",
            op.line,
        ]
        yield Finding(
            "target", "fault", "loss", "output and target are broadcast against each other", evidence, [small, other]
        )
        return


def _broadcasts(a, b):
    try:
        H.broadcast_shapes(a.shape, b.shape)
    except RuntimeError:
        return False
    return True


# A loss that has the activation in it already: op → (what its input must not come from, the name to use instead).
_WITH_ACTIVATION = {
    "cross_entropy_loss": (("softmax", "sigmoid", "relu"), "F.cross_entropy has the softmax in it", "softmax"),
    "binary_cross_entropy_with_logits": (("sigmoid", "softmax", "relu"), "the loss has the sigmoid in it", "sigmoid"),
}


@check
def activation_twice(r):
    for op in r.trace.ops:
        if not op.inputs:
            continue
        before = r.trace.maker(op.inputs[0])
        if before is None:
            continue
        name = before.name.rstrip("_")
        if op.name in _WITH_ACTIVATION:
            wrong, says, has = _WITH_ACTIVATION[op.name]
            if name not in wrong or _logits_on_purpose(op, r):
                continue
            kept = "scores above and below zero" if name == "relu" else "the scores themselves"
            evidence = [f"{op.name.removesuffix('_loss')}() gets the result of {before.label}", before.line]
            if name != "relu":
                low, high = float(op.inputs[0].min()), float(op.inputs[0].max())
                evidence.append(
                    f"the loss sees scores of {number(low)} … {number(high)}: it cannot fall far, gradients are small"
                )
            mends = [f"no {name} at the end of the model: {says}, and wants {kept}"]
            if name == has:
                mends.append(f"{name} only where probabilities are read, after the loss")
            yield Finding(
                "activation twice", "fault", before.label, f"{name} before a loss that wants scores", evidence, mends
            )
            return
        if op.name.startswith("nll_loss") and name in ("softmax", "linear", "addmm"):
            says = "nll_loss wants logarithms of probabilities"
            mends = ["F.cross_entropy on the scores", "log_softmax instead of softmax"]
            yield Finding("activation twice", "fault", before.label, says, [before.line], mends)
            return


def _logits_on_purpose(op, r):
    # relu before cross entropy in a hidden place is not the loss's input.
    return op.phase != "loss" and op is not r.trace.ops[-1]


# ---- activations

# op → (|slope| below which an output counts as saturated is where |input| is above this, the range in words)
_SATURATES = {
    "sigmoid": (7.0, "float32 sigmoid is exactly 1 from 16.6 on"),
    "tanh": (4.0, "float32 tanh is exactly 1 from 9.01 on"),
}


@check
def saturated(r):
    last = r.trace.maker(_first(r.out)) if _first(r.out) is not None else None
    for op in r.trace.ops:
        name = op.name.rstrip("_")
        if name not in _SATURATES or op.phase != "model" or not op.inputs or op.name.endswith("_"):
            continue
        limit, words = _SATURATES[name]
        x = op.inputs[0].detach()
        far = int((x.abs() > limit).sum())
        if not x.numel() or far < 0.8 * x.numel() or (op is last and _right(r, op)):
            continue
        before = r.trace.maker(op.inputs[0])
        evidence = [
            f"{percent(far, x.numel())} outputs lie where its slope is nearly 0",
            f"its input goes from {number(float(x.min()))} to {number(float(x.max()))}; {words}",
            f"gradients of {_zero_gradients(r)} are exactly 0" if _zero_gradients(r) else "",
            op.line,
        ]
        mends = []
        if op is last and name == "sigmoid":
            mends.append("BCEWithLogitsLoss on what goes into the sigmoid, which does not saturate")
        mends.append("nn.init.xavier_uniform_(weight): the inputs of the activation are too large")
        features = x.shape[1] if x.dim() > 1 else 1
        mends.append(f"nn.BatchNorm{'2' if x.dim() == 4 else '1'}d({features}) before the {name}")
        scale = _scale(r)
        if scale > 3:
            mends.append("(x - x.mean(0)) / x.std(0): standardised inputs")
        where = op.label + (f" after {before.path} ({describe(before.module)})" if before and before.path else "")
        yield Finding("saturated", "fault", where, f"{name} is saturated", evidence, mends)


def _first(out):
    if isinstance(out, (tuple, list)):
        return next((o for o in out if isinstance(o, Tensor)), None)
    return out if isinstance(out, Tensor) else None


def _right(r, op):
    """Whether a saturated output is one that is right: then nothing is left to learn."""
    if not isinstance(r.y, Tensor) or not op.outputs or r.y.numel() != op.outputs[0].numel():
        return False
    wrong = (op.outputs[0].detach().reshape(-1) - r.y.reshape(-1).to(op.outputs[0].dtype)).abs().mean()
    return float(wrong) < 0.25


def _zero_gradients(r):
    zero = [r.names[id(p)] for p in r.model.parameters() if p.grad is not None and not bool((p.grad != 0).any())]
    return ", ".join(zero[:6]) + (f" and {len(zero) - 6} more" if len(zero) > 6 else "")


def _scale(r):
    x = r.args[0] if r.args else None
    return rms(x) if isinstance(x, Tensor) and x.is_floating_point() else 0.0


@check
def dead(r):
    for op in r.trace.ops:
        if op.name.rstrip("_") not in ("relu", "relu6", "threshold") or op.phase != "model" or not op.outputs:
            continue
        y = op.outputs[0].detach()
        if y.dim() < 2 or y.shape[0] < 8:
            continue
        before = r.trace.maker(op.inputs[0])
        conv = before is not None and ("conv" in before.name or "batch_norm" in before.name)
        axis = 1 if y.dim() == 2 or y.dim() == 4 or conv else y.dim() - 1
        units = y.movedim(axis, 0).reshape(y.shape[axis], -1)
        silent = int((units == 0).all(1).sum())
        if silent < 0.6 * units.shape[0] or units.shape[0] < 2:
            continue
        x = op.inputs[0].detach() if not op.name.endswith("_") else None
        evidence = [
            f"{percent(silent, units.shape[0])} units are 0 for all {y.shape[0]} samples, and get no gradient",
            f"their inputs reach from {number(float(x.min()))} to {number(float(x.max()))}" if x is not None else "",
            op.line,
        ]
        mends = [
            "nn.LeakyReLU or nn.GELU, which have a slope below 0",
            "a smaller learning rate: one large step can do this",
        ]
        if before is not None and before.module is not None and getattr(before.module, "bias", None) is not None:
            bias = before.module.bias
            if isinstance(bias, Tensor) and float(bias.detach().mean()) < -1:
                mends.insert(
                    0, f"nn.init.zeros_({before.path}.bias): it is {number(float(bias.detach().mean()))} on average"
                )
        where = op.label + (f" after {before.path} ({describe(before.module)})" if before and before.path else "")
        yield Finding(
            "dead units", "fault" if silent == units.shape[0] else "warning", where, "units are dead", evidence, mends
        )


# ---- gradients


@check
def gradient_flow(r):
    if r.error is not None or r.value is None or not isfinite(r.value):
        return
    layers = []
    for name, p in r.weights():
        if p.grad is not None:
            grad = p.grad[p.grad != 0] if p.grad.numel() > 1 else p.grad
            layers.append((name, rms(grad) if grad.numel() else 0.0, rms(p)))
    if not layers:
        return
    if all(g == 0 for _, g, _ in layers):
        if r.value != 0 or r.stands_in:
            evidence = "the gradient at its output is exactly 0" if r.value == 0 else f"the loss is {number(r.value)}"
            yield Finding(
                "no gradient arrives",
                "fault",
                "",
                "every gradient is exactly 0",
                [evidence],
                ["a loss that depends on the outputs", "H.explain and the ops between the last layer and the loss"],
            )
        return
    largest = max(layers, key=lambda row: row[1])
    first = layers[0]
    if len(layers) >= 4 and first[1] < 1e-4 * largest[1] and _falls(layers):
        yield Finding(
            "vanishing gradients",
            "fault",
            first[0],
            "gradients vanish on the way to the first layers",
            _flow(layers),
            [
                "nn.ReLU instead of sigmoid or tanh",
                "nn.BatchNorm1d or nn.LayerNorm between the layers",
                "x + layer(x), a residual connection",
            ],
        )
    sizes = [g / w if w else 0.0 for _, g, w in layers]
    worst = max(range(len(layers)), key=lambda i: sizes[i])
    if sizes[worst] > 1e3:
        name, g, w = layers[worst]
        yield Finding(
            "exploding gradients",
            "fault",
            name,
            f"its gradient is {number(sizes[worst])} times its size",
            _flow(layers),
            [
                "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
                "smaller initial weights (nn.init.xavier_uniform_)",
                "scaled inputs and targets: (x - x.mean(0)) / x.std(0)",
            ],
        )


def _falls(layers):
    """Whether gradients shrink towards the first layer over several layers, not in one step only."""
    from itertools import pairwise

    steps = [a[1] < b[1] for a, b in pairwise(layers)]
    return sum(steps) >= 0.6 * len(steps)


def _flow(layers):
    shown = layers if len(layers) <= 7 else [*layers[:3], None, *layers[-3:]]
    width = max(len(row[0]) for row in shown if row)
    return [
        f"{row[0]:<{width}}  gradient {row[1]:.1e}, weight {row[2]:.1e}" if row else f"{'…':<{width}}" for row in shown
    ]


@check
def symmetric(r):
    for name, p in r.model.named_parameters():
        if p.dim() < 2 or p.shape[0] < 2 or not p.requires_grad or p.numel() < 4:
            continue
        rows = p.detach().reshape(p.shape[0], -1)
        if not bool((rows == rows[:1]).all()):
            continue
        if p.grad is not None:
            grads = p.grad.reshape(p.shape[0], -1)
            if bool((grads != grads[:1]).any()):
                continue  # the first step tells them apart, as for a last layer of zeros
        if id(p) not in r.used():
            continue
        yield Finding(
            "symmetric weights",
            "fault",
            name,
            f"its {p.shape[0]} units have the same weights",
            [
                f"all are {number(float(rows[0, 0]))} and get the same gradient, so they stay one unit in effect"
                if bool((rows == rows[:1, :1]).all())
                else "they get the same gradient too, so they stay the same: one unit in effect"
            ],
            [f"nn.init.kaiming_uniform_({name})", "the layer's own initialisation, without a constant over it"],
        )


# ---- parameters and the optimiser


@check
def without_gradient(r):
    if r.error is not None:
        return
    used = r.used()
    missing = [(name, p) for name, p in r.model.named_parameters() if p.grad is None]
    frozen = [name for name, p in missing if not p.requires_grad]
    total = len(list(r.model.parameters()))
    if total and len(frozen) == total:
        yield Finding("all frozen", "fault", "", "no parameter requires grad", (), ["model.requires_grad_()"])
        return
    unused = [(name, p) for name, p in missing if p.requires_grad and id(p) not in used]
    if unused:
        names = [name for name, _ in unused]
        whole = _modules_of(r.model, names)
        listed = ", ".join(whole[:5]) + (f" and {len(whole) - 5} more" if len(whole) > 5 else "")
        level = "warning" if len(names) < total else "fault"
        mends = [f"using {whole[0]} in forward(), or leaving it out of __init__"]
        yield Finding(
            "unused parameters",
            level,
            listed,
            "forward() never uses this",
            [f"{len(names)} parameters without a gradient"],
            mends,
        )
    cut = [(name, p) for name, p in missing if p.requires_grad and id(p) in used]
    if cut:
        op = _cut(r, cut)
        names = [name for name, _ in cut]
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        evidence = [f"without a gradient: {listed}"]
        mends = ["leaving out detach(), .data, item() and no_grad() between these layers and the loss"]
        if op is not None:
            evidence += [f"the graph is cut at {op.label}", op.line]
        yield Finding("detached parameters", "fault", names[0], "used, but cut off from the loss", evidence, mends)


def _modules_of(model, names):
    """The parameters' names, a whole module's at once."""
    names = set(names)
    told: list = []
    for path, module in model.named_modules():
        inside = {f"{path}.{name}" if path else name for name, _ in module.named_parameters()}
        if inside and inside <= names and path and not any(path.startswith(t + ".") for t in told):
            told.append(path)
    return told + sorted(n for n in names if not any(n.startswith(t + ".") for t in told))


def _cut(r, cut):
    """The first op that used the parameters (or what came of them) and gave something without history."""
    live = {id(p) for _, p in cut}
    for op in r.trace.ops:
        if any(id(t) in live for t in op.inputs):
            for t in op.outputs:
                if not t.requires_grad:
                    if any(i.requires_grad for i in op.inputs if id(i) in live):
                        return op
                else:
                    live.add(id(t))
    return None


@check
def not_registered(r):
    known = {id(p) for p in r.model.parameters()} | {id(a) for a in r.inputs}
    lost: list = []
    for op in r.trace.ops:
        for t in op.inputs:
            if t.requires_grad and t.is_leaf and id(t) not in known and op.phase == "model":
                known.add(id(t))
                lost.append((t, op))
    hidden = list(_hidden_modules(r.model))
    for path, container, count in hidden:
        kind = "nn.ModuleList" if container is list else "nn.ModuleDict" if container is dict else "nn.ModuleList"
        yield Finding(
            "not registered",
            "fault",
            path,
            f"{count} modules in a plain {container.__name__}, which the model does not see",
            ["model.parameters() leaves them out: they are not trained, moved or saved"],
            [f"self.{path.rpartition('.')[2]} = {kind}({'{…}' if container is dict else '[…]'})"],
        )
    if lost and not hidden:
        t, op = lost[0]
        name = next((key for m in r.model.modules() for key, v in vars(m).items() if v is t), "")
        yield Finding(
            "not registered",
            "fault",
            name or f"a tensor {tuple(t.shape)}",
            "requires grad, but is no parameter of the model",
            [f"used by {op.label}; model.parameters() leaves it out", op.line],
            [f"self.{name or 'w'} = nn.Parameter(…)"],
        )


def _hidden_modules(model):
    registered = {id(m) for m in model.modules()}
    for path, module in model.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") or not isinstance(value, (list, tuple, dict)):
                continue
            items = value.values() if isinstance(value, dict) else value
            inside = [m for m in items if isinstance(m, H.nn.Module) and id(m) not in registered]
            if any(True for m in inside for _ in m.parameters()):
                yield (f"{path}.{key}" if path else key), type(value), len(inside)


@check
def optimizer_parameters(r):
    if r.given_optimizer is None:
        return
    held = {id(p) for group in r.given_optimizer.param_groups for p in group["params"]}
    mine = dict(r.given.named_parameters())
    left_out = [name for name, p in mine.items() if p.requires_grad and id(p) not in held]
    ours = {id(p) for p in mine.values()}
    strange = [p for group in r.given_optimizer.param_groups for p in group["params"] if id(p) not in ours]
    frozen = [name for name, p in mine.items() if not p.requires_grad and id(p) in held]
    if mine and len(left_out) == len(mine) and strange:
        yield Finding(
            "not in the optimiser",
            "fault",
            "",
            "the optimiser holds parameters of another model",
            [f"none of the {len(mine)} parameters of this model are in it"],
            ["the optimiser made after the model, from model.parameters()"],
        )
    elif left_out:
        whole = _modules_of(r.given, left_out)
        listed = ", ".join(whole[:5]) + (f" and {len(whole) - 5} more" if len(whole) > 5 else "")
        mends = ["Optimizer(model.parameters(), …), made after the last layer was added"]
        mends.append("requires_grad_(False) on what is not meant to learn")
        yield Finding("not in the optimiser", "fault", listed, "requires grad, but no step changes it", (), mends)
    if frozen:
        whole = _modules_of(r.given, frozen)
        yield Finding(
            "frozen in the optimiser",
            "warning",
            ", ".join(whole[:5]),
            "in the optimiser, but does not require grad",
            (),
            ["requires_grad_() if it is to learn", "[p for p in model.parameters() if p.requires_grad]"],
        )


@check
def gradients_left(r):
    """Gradients of many steps added up, found on the model as it was given."""
    now = {name: p.grad for name, p in r.model.named_parameters() if p.grad is not None}
    before = {name: p.grad for name, p in r.given.named_parameters() if p.grad is not None}
    both = [name for name in before if name in now and now[name].numel()]
    if not both or r.error is not None:
        return
    added = max(before[name]._version for name in both)
    big = sum(float((before[n].double() ** 2).sum()) for n in both) ** 0.5
    small = sum(float((now[n].double() ** 2).sum()) for n in both) ** 0.5
    if added >= 2 and big > 4 * small > 0:
        yield Finding(
            "zero_grad",
            "fault",
            "",
            "gradients of many steps are added up",
            [f"those that the model holds are {number(big / small)} times this batch's, added to {added} times"],
            ["optimizer.zero_grad() before each backward()"],
        )


@check
def learning_rate(r):
    if len(r.steps) < 2 or not isfinite(r.steps[0]):
        return
    first, last = r.steps[0], r.steps[-1]
    moved = sorted(getattr(r, "moved", {}).values())
    median = moved[len(moved) // 2] if moved else 0.0
    rates = sorted({float(group["lr"]) for group in r.given_optimizer.param_groups})
    rate = ", ".join(number(x) for x in rates)
    told = f"{len(r.steps) - 1} steps at lr={rate} take the loss of this batch from {first:.4g} to {last:.4g}"
    size = f"the first step changes a weight by {number(100 * median)} % of its size, in the median layer"
    if not isfinite(last) or (last > 2 * abs(first) + 1e-3 and median > 0.03):
        for factor in (0.1, 0.01, 0.001, 1e-4):
            other = r.steps_with(factor)
            if len(other) > 1 and isfinite(other[-1]) and other[-1] < first:
                mend = f"lr={number(rates[-1] * factor)}: the same steps take it to {other[-1]:.4g}"
                yield Finding("learning rate", "fault", "", "the learning rate is too large", [told, size], [mend])
                return
        return
    gain = (first - last) / abs(first) if first else 0.0
    if 0 <= median < 1e-5 and abs(gain) < 1e-3 and first > 1e-6:
        for factor in (1e7, 1e6, 1e5, 1e4, 1e3, 100.0):
            other = r.steps_with(factor)
            if (
                len(other) > 1
                and isfinite(other[-1])
                and first - other[-1] > max(0.02 * abs(first), 20 * (first - last))
            ):
                mend = f"lr={number(rates[-1] * factor)}: the same steps take it to {other[-1]:.4g}"
                yield Finding("learning rate", "warning", "", "the learning rate is too small", [told, size], [mend])
                return


# ---- data and modes


@check
def unscaled(r):
    x = r.args[0] if r.args else None
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.numel() < 8 or not _finite(x):
        return
    first = next((op for op in r.trace.ops if any(t is r.inputs[0] for t in op.inputs)), None)
    if first is not None and "norm" in first.name:
        return
    x = x.detach().double()
    spread, centre = float(x.std()), float(x.mean().abs())
    low, high = float(x.min()), float(x.max())
    evidence = [f"its values go from {number(low)} to {number(high)}, with a spread of {number(spread)}"]
    mend = "(x - x.mean(0)) / x.std(0), with the mean and spread of the training set"
    mends = ["x / 255" if 0 <= low and 100 < high <= 255 else mend, "a BatchNorm or LayerNorm as the first layer"]
    if spread > 20 or (centre > 20 and centre > 5 * spread):
        yield Finding(
            "unscaled inputs", "warning", "input", "large for the weights that a layer starts with", evidence, mends
        )
    elif x.dim() == 2 and x.shape[0] > 8 and x.shape[1] > 1:
        columns = x.std(0)
        columns = columns[columns > 0]
        if columns.numel() > 1 and float(columns.max()) > 1000 * float(columns.min()) and float(columns.max()) > 5:
            told = f"spreads of its features go from {number(float(columns.min()))} to {number(float(columns.max()))}"
            yield Finding("unscaled inputs", "warning", "input", "features of very different sizes", [told], [mend])


@check
def wrong_mode(r):
    norms = [(name, m) for name, m in r.given.named_modules() if type(m).__name__.startswith("BatchNorm")]
    drops = [name for name, m in r.given.named_modules() if "Dropout" in type(m).__name__ and getattr(m, "p", 0)]
    if not r.given.training and r.given_optimizer is not None and (norms or drops):
        what = " and ".join(
            filter(None, ["batch norm keeps its statistics" if norms else "", "dropout is off" if drops else ""])
        )
        evidence = [f"{what}; training needs the other mode"]
        yield Finding(
            "mode",
            "warning",
            "",
            "the model is in eval mode, and an optimiser is to train it",
            evidence,
            ["model.train()"],
        )
    elif not r.given.training and norms:
        fresh = [name for name, m in norms if m.num_batches_tracked is not None and int(m.num_batches_tracked) == 0]
        if fresh and len(fresh) == len(norms):
            says = "batch norm is in eval mode, and has seen no batch yet"
            yield Finding(
                "mode",
                "warning",
                fresh[0],
                says,
                ["it uses the mean 0 and the variance 1 that it started with"],
                ["model.train()"],
            )


@check
def no_signal(r):
    """Labels that neither a linear probe nor the nearest neighbour can tell better than the most frequent label."""
    x, y = (r.args[0] if r.args else None), r.y
    if not isinstance(x, Tensor) or not isinstance(y, Tensor) or not x.is_floating_point() or not _finite(x):
        return
    if y.dim() != 1 or y.shape[0] != x.shape[0] or x.shape[0] < 96:
        return
    n = min(x.shape[0], 512)
    y = y[:n].detach()
    classes, labels = H.unique(y, return_inverse=True)
    if len(classes) < 2 or len(classes) > min(n // 8, 100) or (y.is_floating_point() and len(classes) > 20):
        return
    x = x[:n].detach().reshape(n, -1).double()
    spread = x.std(0)
    x = (x - x.mean(0)) / H.where(spread > 0, spread, H.ones_like(spread))
    counts = H.bincount(labels)
    chance = int(counts.max()) / n
    if chance > 0.9:
        return
    linear, near = _probe(x, labels, len(classes)), _neighbour(x, labels)
    bound = chance + 2.0 * (chance * (1 - chance) / n) ** 0.5
    if max(linear, near) > bound:
        return
    evidence = [
        f"a linear probe is right for {100 * linear:.0f} %, the nearest neighbour for {100 * near:.0f} %; "
        f"always the same answer for {100 * chance:.0f} %",
    ]
    mends = [
        "looking at a few pairs of x and y: are they shuffled or sorted apart?",
        "labels of the same samples, in the same order",
    ]
    # With more features than samples a probe that finds nothing proves little.
    level = "warning" if 2 * x.shape[1] <= n else "note"
    yield Finding("no signal", level, "labels", "nothing in the inputs tells them", evidence, mends)


def _probe(x, labels, classes):
    """Accuracy of ridge regression to one-hot labels, on the half that it was not fitted to (both ways)."""
    n = x.shape[0]
    target = H.nn.functional.one_hot(labels, classes).double()
    right = 0
    odd = H.arange(n) % 2 == 1
    for held in (odd, ~odd):
        a, b = x[~held], target[~held]
        centre = b.mean(0)
        kernel = a @ a.T
        kernel = kernel + float(kernel.diagonal().mean()) * 0.1 * H.eye(a.shape[0], dtype=H.float64)
        weights = H.linalg.solve(kernel, b - centre)
        guess = (x[held] @ a.T) @ weights + centre
        right += int((guess.argmax(1) == labels[held]).sum())
    return right / n


def _neighbour(x, labels):
    """Accuracy of the nearest other sample's label."""
    squares = (x * x).sum(1)
    distance = squares[:, None] + squares[None, :] - 2 * (x @ x.T)
    distance = distance + H.eye(x.shape[0], dtype=H.float64) * (float(distance.max()) + 1)
    return int((labels[distance.argmin(1)] == labels).sum()) / x.shape[0]
