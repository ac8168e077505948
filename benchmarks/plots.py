"""Pictures of a result: ratio per row, roofline, gemm by size, cost per element."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from .report import names_of  # noqa: E402

COLOURS = {"hadamard": "#c1272d", "torch": "#ee8822", "numpy": "#3377bb", "jax": "#8844aa", "mlx": "#666666",
           "numexpr": "#44aa77"}  # fmt: skip


def ratios(result, folder):
    """Every row as a bar from 1 to how many times the best peer's time is ours."""
    rows = [found for found in result["rows"] if found.get("ratio")]
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.16 * len(rows)))
    for y, found in enumerate(rows):
        name = min(found["ratio"], key=found["ratio"].get)
        axes.barh(y, found["ratio"][name] - 1, left=1, color=COLOURS[name], alpha=0.35 if found["missed"] else 1)
    axes.set_yticks(range(len(rows)), [found["row"] for found in rows], fontsize=6)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("time of the fastest peer by ours (right of 1: we are faster; pale: below the goal)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in names_of(result)[1:]]
    axes.legend(handles, names_of(result)[1:], fontsize=7)
    return save(figure, folder, "ratios", result)


def roofline(result, folder):
    """Operations per second against operations per byte, under the limits of memory and multiply-adds."""
    limits = result["limits"]
    if not limits:
        return None
    figure, axes = plt.subplots(figsize=(7, 5))
    intensity = [2.0**i for i in range(-5, 12)]
    roof = [min(limits["fma f32"], i * limits["read"]) / 1e9 for i in intensity]
    axes.plot(intensity, roof, color="black", label="limit, float32")
    for name in ("torch", "hadamard"):
        points = [
            (found["work"] / found["moved"], found["work"] / found["median"][name] / 1e9)
            for found in result["rows"]
            if found["work"] and found["moved"] and name in found["median"] and found["median"][name] > 2e-5
        ]
        axes.scatter(*zip(*points, strict=True), s=10, color=COLOURS[name], label=name) if points else None
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlabel("operations per byte of the operands and the result")
    axes.set_ylabel("10⁹ operations a second")
    axes.legend()
    return save(figure, folder, "roofline", result)


def curve(result, folder, group, file, value, label):
    """One line per peer over the sizes of a group."""
    rows = sorted((found for found in result["rows"] if found["group"] == group), key=lambda found: found["x"])
    if len(rows) < 2:
        return None
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name in names_of(result):
        points = [(found["x"], value(found, found["median"][name])) for found in rows if name in found["median"]]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, color=COLOURS[name], label=name)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("size")
    axes.set_ylabel(label)
    if "element" in label:
        axes.set_yscale("log")
    axes.legend()
    return save(figure, folder, file, result)


def save(figure, folder, name, result):
    figure.suptitle(f"{result['machine']['processor']}, threads: {result['threads']}", fontsize=9)
    path = folder / f"{name}-{result['threads']}.png"
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
    return path


def draw(results, folder):
    paths = []
    for result in results:
        paths += [
            ratios(result, folder),
            roofline(result, folder),
            curve(result, folder, "square f32", "gemm", lambda f, t: f["work"] / t / 1e9, "GFLOP/s, float32"),
            curve(result, folder, "a * b", "elements", lambda f, t: t / f["x"] * 1e9, "ns per element of a * b"),
        ]
    return [p for p in paths if p]
