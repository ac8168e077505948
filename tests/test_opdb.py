"""torch's own database of operators: every operator that Hadamard has, over the database's samples and errors.

`python tests/test_opdb.py [operator…]` prints what differs, and the share of samples that agree.
"""

import collections
import os
import re
import sys

import pytest
from harness import OURS, torch

if torch is None or not OURS:
    pytest.skip("the database ships with torch", allow_module_level=True)
if __name__ != "__main__" and not os.environ.get("HADAMARD_OPDB"):
    pytest.skip("HADAMARD_OPDB=some runs three samples of each dtype, HADAMARD_OPDB=all all", allow_module_level=True)

import opdb
from opdb_known import KNOWN, ROUNDED

OPERATORS = opdb.operators()
tally = {}


def expected(name, entries):
    """What the list of known differences says of an operator: {(aspect, dtype): reason}."""
    return {
        (aspect, dtype): reason
        for names, aspect, dtypes, reason in entries
        if name in names.split()
        for dtype in dtypes.split()
    }


def differences(op):
    """{(aspect, dtype): the first description} of an operator; its samples and those that agree are counted."""
    found, count, agree = {}, 0, 0
    for dtype, sample, what in opdb.run(op):
        count += 1
        agree += not what
        for aspect, text in what:
            found.setdefault((aspect, dtype), f"{text}\n      {str(sample.summary())[:300]}")
    tally[opdb.title(op)] = count, agree
    return found


@pytest.mark.parametrize("op", OPERATORS, ids=opdb.title)
def test_operator(op):
    name = opdb.title(op)
    known, rounded, found = expected(name, KNOWN), expected(name, ROUNDED), differences(op)
    new = [f"{at[0]}, {at[1]}: {text}" for at, text in found.items() if at not in known and at not in rounded]
    gone = [f"{aspect}, {dtype}: {reason}" for (aspect, dtype), reason in known.items() if (aspect, dtype) not in found]
    assert not new, "differs from torch:\n  " + "\n  ".join(new)
    assert not gone, "no longer differs, take it off tests/opdb_known.py:\n  " + "\n  ".join(gone)


def test_list_names_operators():
    """Every entry of the list is about an operator that is there."""
    titles = {opdb.title(op) for op in OPERATORS}
    assert not {name for names, *_ in KNOWN + ROUNDED for name in names.split()} - titles


def test_share(capsys):
    """At least 99 % of the samples agree in everything; the share is printed."""
    if len(tally) < len(OPERATORS):
        pytest.skip("not every operator was run")
    samples, agree = map(sum, zip(*tally.values(), strict=True))
    with capsys.disabled():
        print(f"\n{len(OPERATORS)} operators, {samples} samples, {agree} ({agree / samples:.3%}) agree")
    assert agree >= 0.99 * samples, f"{agree} of {samples}"


def report(names):
    """Prints a table: samples and agreement of each operator, and what differs."""
    part = os.environ.get("HADAMARD_OPDB_PART")  # "0/2": every second operator, for two processes
    operators = [op for op in OPERATORS if not names or opdb.title(op) in names or op.name in names]
    if part:
        first, step = map(int, part.split("/"))
        operators = operators[first::step]
    aspects = collections.Counter()
    for op in operators:
        lines = collections.defaultdict(list)
        for (aspect, dtype), text in differences(op).items():
            text = text if names else text.partition("\n      Sample")[0]
            plain = re.sub(r"'(Bool|Byte|Char|Short|Int|Long|Half|B?Float(16)?|Double|Complex\w+)'", "'T'", text)
            key = plain if aspect in ("error", "raises", "refuses") else plain.partition(" ")[0]
            lines[aspect, key].append((dtype, text))
        count, agree = tally[opdb.title(op)]
        print(f"{opdb.title(op):48} {count:5} {agree / max(count, 1):7.1%}", flush=True)
        for (aspect, _), items in lines.items():
            aspects[aspect] += 1
            print(f"    {aspect} [{' '.join(dtype for dtype, _ in items)}] {items[0][1]}")
    samples, agree = map(sum, zip(*tally.values(), strict=True))
    print(f"{len(operators)} operators, {samples} samples, {agree / samples:.2%} agree; {dict(aspects)}")


if __name__ == "__main__":
    report(sys.argv[1:])
