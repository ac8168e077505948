"""Times rows: the peers take turns, each round in another order, and medians are compared."""

import gc
import random
import re
import statistics
import time

import numpy as np

from . import limits, peers
from .rows import ROWS

PAST_CACHES = 1 << 25  # bytes from which on the limits of memory apply


def calibrated(run, sample):
    """How many calls fill `sample` seconds."""
    count = 1
    while (took := run(count)) < sample and count < 1 << 24:
        count = max(count * 2, int(count * 0.9 * sample / max(took, 1e-9)))
    return count


def agreement(row, values):
    """The largest difference from the first value, as a part of the largest number in it."""
    names = list(values)
    first = np.asarray(values[names[0]])
    wide = np.complex128 if first.dtype.kind == "c" else np.float64
    first = first.astype(wide)
    scale = float(np.abs(first).max(initial=0)) or 1.0
    worst = 0.0
    for name in names[1:]:
        other = np.asarray(values[name]).astype(wide)
        if other.shape != first.shape:
            raise AssertionError(f"{row.name}: {names[0]} gives shape {first.shape}, {name} gives {other.shape}")
        worst = max(worst, float(np.abs(first - other).max(initial=0)) / scale)
    return worst


def measure(row, libraries, rounds, sample, budget, clock, pause, probe=None):
    """{"seconds": {peer: samples}, ...} of a row; the first entry of `libraries` is ours. Where the goal is a part of
    the machine's multiply-adds, `probe` takes its turn among the peers: "fma", its samples."""
    arrays = {k: make() for k, make in row.arrays.items()}
    runs, values, failed = {}, {}, {}
    for name, peer in libraries.items():
        if not peers.applies(name, row):
            continue
        try:
            run, value = peer.prepare(row, arrays, clock)
            values[name] = value()
            runs[name] = run
        except Exception as e:  # a peer that lacks the op leaves the row; the report says why
            failed[name] = f"{type(e).__name__}: {e}".splitlines()[0][:200]
    found = {"row": row.name, "group": row.group, "x": row.x, "work": row.work, "moved": row.moved, "real": row.real}
    if failed:
        found["failed"] = failed
    if row.check and len(values) > 1:
        found["difference"] = agreement(row, values)
        found["agrees"] = found["difference"] <= row.check
    values.clear()
    counts = {name: calibrated(run, sample) for name, run in runs.items()}
    spent = dict.fromkeys(runs, 0.0)
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order, dice = list(runs), random.Random(row.name)
    gc.collect()
    gc.disable()
    rates = []
    end = time.perf_counter() + budget
    for r in range(rounds):
        dice.shuffle(order)  # nobody always follows the same one, which leaves its mark on caches and clock
        for name in order:
            if spent[name] > budget / 3 and len(samples[name]) >= 3:
                continue  # a slow one is known well enough
            time.sleep(pause)  # for the threads of the one before to go to sleep
            begun = time.perf_counter()
            runs[name](1)
            samples[name].append(runs[name](counts[name]) / counts[name])
            spent[name] += time.perf_counter() - begun
        if probe and "fma" in row.goal:
            rates.append(probe(row.real))
        if time.perf_counter() > end and r >= 4:
            break
    gc.enable()
    return found | {"seconds": samples} | ({"fma": rates} if rates and all(rates) else {})


def judged(found, goal, limit, threads):
    """Adds medians, ratios (peer's median by ours, with the quartiles of the rounds) and what of the goal is missed."""
    medians = {name: statistics.median(s) for name, s in found["seconds"].items()}
    found["median"] = medians
    ours = medians.get("hadamard")
    missed = [f"failed: {found['failed']['hadamard']}"] if "hadamard" in found.get("failed", {}) else []
    if not found.get("agrees", True):
        missed.append(f"results differ by {found['difference']:.1e}")
    if ours:
        rivals = {name: t for name, t in medians.items() if name != "hadamard"}
        found["ratio"] = {name: t / ours for name, t in rivals.items()}
        found["quartiles"] = {}
        for name in rivals:
            each = [a / b for a, b in zip(found["seconds"][name], found["seconds"]["hadamard"], strict=False)]
            quarters = statistics.quantiles(each, n=4)
            found["quartiles"][name] = [quarters[0], quarters[2]]
        most = statistics.median(found["fma"]) if "fma" in found else limit.get(f"fma {found['real']}", float("inf"))
        rates = {"fma": found["work"] / ours / most}
        if found["moved"] >= PAST_CACHES:
            rates |= {kind: found["moved"] / ours / limit.get(kind, float("inf")) for kind in ("copy", "read")}
        found["of limit"] = {kind: rate for kind, rate in rates.items() if rate}
        for kind, wanted in goal.items():
            if kind == "fma" and threads > 1:
                wanted = wanted * 0.89  # 0.80 where one thread should reach 0.90
            if kind == "ns":
                if ours * 1e9 > wanted:
                    missed.append(f"{ours * 1e9:.0f} ns, not {wanted:.0f}")
            elif kind in ("fma", "copy", "read"):
                if kind in found["of limit"] and limit and found["of limit"][kind] < wanted:
                    missed.append(f"{found['of limit'][kind]:.2f} of {kind}, not {wanted:.2f}")
            elif kind == "best" or kind in rivals:
                name = min(rivals, key=lambda k: rivals[k]) if kind == "best" and rivals else kind
                if name in rivals and rivals[name] / ours < wanted:
                    missed.append(f"{rivals[name] / ours:.2f} of {name}, not {wanted:g}")
    return found | {"goal": goal, "missed": missed}


def select(only, threads, quick):
    """The rows to measure with that many threads."""
    pattern = re.compile(only, re.IGNORECASE)
    for row in ROWS:
        if not pattern.search(f"{row.group}: {row.name}") or (threads > 1 and "all" not in row.threads):
            continue
        if quick and (row.work > 4e9 or row.moved > 3e8):
            continue
        yield row


def main(only="", threads=1, rounds=15, quick=False, wanted=peers.ORDER, say=print, clock=time.perf_counter):
    """Everything measured with that many threads, as one dictionary."""
    libraries = peers.installed(threads, wanted)
    limit, probe = limits.measure(threads), limits.probe(threads, clock)
    found = []
    sample, budget = (0.001, 1.0) if quick else (0.004, 6.0)
    pause = 0.002 if threads == 1 else 0.03  # seconds; waiting threads of some peers keep their core that long
    for row in select(only, threads, quick):
        made = measure(row, libraries, 7 if quick else rounds, sample, budget, clock, pause, probe)
        found.append(judged(made, row.goal, limit, threads))
        say(found[-1])
    again = limits.measure(threads)
    limit = {k: min(v, again[k]) if "page" in k else max(v, again[k]) for k, v in limit.items()}
    found = [judged(f, f["goal"], limit, threads) for f in found]
    return {
        "machine": limits.machine(),
        "threads": threads,
        "clock": clock.__name__,
        "limits": limit,
        "versions": {name: str(peer.version) for name, peer in libraries.items()},
        "rows": found,
    }
