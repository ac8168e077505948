"""Tells before from after: `python -m benchmarks.compare before.json after.json`.

A row has changed when the middle halves of its two sets of samples lie apart and its median moved by more than the same
row of the peers did: what the peers' times did between the two runs is the machine's doing, not ours.
"""

import argparse
import json
import statistics
from pathlib import Path

from .report import duration


def rows(path):
    return {found["row"]: found["seconds"] for found in json.loads(Path(path).read_text())["rows"]}


def middle(samples):
    """The quartiles of the samples."""
    if len(samples) < 2:
        return samples[0], samples[0], samples[0]
    return tuple(statistics.quantiles(samples, n=4))


def drift(before, after):
    """How much slower the peers of a row became, as a factor (1 where there are none)."""
    names = [name for name in before if name in after and name != "hadamard"]
    found = [statistics.median(after[name]) / statistics.median(before[name]) for name in names]
    return statistics.median(found) if found else 1.0


def changes(before, after, least=0.03):
    """(row, before, after, factor by which ours became faster, the machine accounted for) of rows that changed."""
    out = []
    for name in before:
        old, new = before[name].get("hadamard"), after.get(name, {}).get("hadamard")
        if not old or not new:
            continue
        machine = drift(before[name], after[name])
        low, median, high = (t * machine for t in middle(old))
        low2, median2, high2 = middle(new)
        apart = high2 < low or high < low2
        factor = median / median2
        if apart and abs(factor - 1) > max(least, abs(machine - 1) / 4):
            out.append((name, statistics.median(old), statistics.median(new), factor))
    return out


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args()
    before, after = rows(given.before), rows(given.after)
    found = changes(before, after)
    for name, old, new, factor in sorted(found, key=lambda change: change[3]):
        word = "faster" if factor > 1 else "slower"
        print(f"{name:44} {duration(old):>9} -> {duration(new):>9}  {max(factor, 1 / factor):.2f} times {word}")
    shared = len(set(before) & set(after))
    print(f"{len(found)} of {shared} rows changed by more than their noise")


if __name__ == "__main__":
    main()
