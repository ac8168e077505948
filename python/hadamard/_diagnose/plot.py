"""The picture of a diagnosis: gradient flow and activation histograms, layer by layer."""

import hadamard as H

from .record import rms

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#3b6fb6", "#e08a2e", "#4a9d5b", "#c8403a", "#8a8f98"
_MOST = 24  # layers that are drawn


def figure(diagnosis, path=None):
    """See Diagnosis.plot."""
    from matplotlib.figure import Figure

    record = diagnosis.record
    weights = [(name, p) for name, p in record.weights() if p.grad is not None][-_MOST:]
    layers = activations(record)[-_MOST:]
    rows = max(len(weights), len(layers), 3)
    picture = Figure(figsize=(11, 1.6 + 0.42 * rows), layout="constrained")
    verdict = (
        "healthy"
        if diagnosis.healthy
        else ", ".join(dict.fromkeys(f.kind for f in diagnosis.findings if f.level != "note"))
    )
    picture.suptitle(f"{diagnosis.name}: {verdict}", x=0.01, ha="left", fontsize=12, fontweight="bold")
    left, right = picture.subplots(1, 2)
    _flow(left, weights, getattr(record, "moved", {}))
    _histograms(right, layers)
    if path is not None:
        picture.savefig(path, dpi=120)
    return picture


def activations(record):
    """(label, values) of what each layer with parameters and each activation gave, in order."""
    layers = []
    for op in record.trace.ops:
        name = op.name.rstrip("_")
        own = any(id(t) in record.names for t in op.inputs) and name not in ("sub", "add", "getitem")
        if op.phase != "model" or not op.outputs or not (own or name in _ACTIVATIONS):
            continue
        out = op.outputs[0].detach()
        if not out.is_floating_point() or not out.numel():
            continue
        values = out.reshape(-1)
        if values.numel() > 20000:
            values = values[:: values.numel() // 20000]
        values = values[H.isfinite(values)].double()
        label = f"{op.path} {name}" if op.path else name
        layers.append((label, values.numpy(), float((values == 0).double().mean()) if values.numel() else 0.0))
    return layers


_ACTIVATIONS = {"relu", "sigmoid", "tanh", "gelu", "silu", "softmax", "leaky_relu", "elu", "softplus", "relu6", "selu"}


def _flow(axes, weights, moved):
    axes.set_title("root mean square of each layer's", fontsize=9, loc="left")
    names = [name for name, _ in weights]
    places = list(range(len(names)))
    sizes = [rms(p) for _, p in weights]
    grads = [rms(p.grad) for _, p in weights]
    steps = [(moved[n] * size, i) for i, (n, size) in enumerate(zip(names, sizes, strict=True)) if moved.get(n, 0) > 0]
    shown = [v for v in (*sizes, *grads, *(s for s, _ in steps)) if v > 0 and v < float("inf")]
    low = min(shown, default=1e-6) / 3
    for place, grad in zip(places, grads, strict=True):
        if grad > 0:
            axes.plot([low, grad], [place, place], color=_BLUE, lw=7, solid_capstyle="butt", alpha=0.85, zorder=2)
        else:
            axes.text(low * 1.1, place, "gradient 0", color=_RED, va="center", fontsize=8)
    axes.plot(sizes, places, "o", color=_ORANGE, ms=6, label="weight", zorder=3)
    if steps:
        axes.plot(
            [s for s, _ in steps], [i for _, i in steps], "|", color=_GREEN, ms=13, mew=2.5, label="one step", zorder=4
        )
    axes.plot([], [], color=_BLUE, lw=7, label="gradient")
    axes.set_xscale("log")
    axes.set_xlim(low, max(shown, default=1.0) * 5)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(names) - 0.5 if names else 0.5, -0.5)
    axes.grid(axis="x", color=_GREY, alpha=0.25, lw=0.6)
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.02, 0.985), ncols=3, frameon=False, borderaxespad=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _histograms(axes, layers):
    import numpy

    axes.set_title("values that each layer gives (their range beside them)", fontsize=9, loc="left")
    axes.set_xlim(0, 1.34)
    axes.set_ylim(len(layers) - 0.3 if layers else 1, -0.7)
    axes.set_yticks(range(len(layers)), [label for label, _, _ in layers], fontsize=8)
    axes.set_xticks([])
    for place, (label, values, zeros) in enumerate(layers):
        if not len(values):
            axes.text(0.02, place, "not finite", color=_RED, va="center", fontsize=8)
            continue
        low, high = float(values.min()), float(values.max())
        if 0.01 < zeros < 1:
            values = values[values != 0]  # told beside it, and they would dwarf the rest
        name = label.rpartition(" ")[2]
        limits = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0)}.get(name, (low, high))
        if limits[0] == limits[1]:
            limits = (limits[0] - 0.5, limits[1] + 0.5)
        counts, edges = numpy.histogram(values, bins=48, range=limits)
        heights = 0.8 * counts / max(counts.max(), 1)
        ends = counts[0] + counts[-1]
        bad = (name in ("sigmoid", "tanh") and ends > 0.8 * counts.sum()) or (name == "relu" and zeros > 0.95)
        steps = (edges - limits[0]) / (limits[1] - limits[0])
        axes.stairs(
            place - heights + 0.35, steps, baseline=place + 0.35, fill=True, color=_RED if bad else _BLUE, alpha=0.85
        )
        axes.plot([0, 1], [place + 0.35] * 2, color=_GREY, lw=0.6)
        told = f"{low:.3g} … {high:.3g}" + (f", {100 * zeros:.0f} % are 0" if zeros > 0.01 else "")
        axes.text(1.02, place + 0.2, told, fontsize=7, color="#444444")
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
