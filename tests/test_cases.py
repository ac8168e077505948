"""The cases that must come out right: each program in cases/ runs by its two ways onto Hadamard.

What a program prints is compared with what it prints on torch, where that is installed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import OURS, H, torch

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))
NAMES = [path.stem for path in CASES]
pytestmark = pytest.mark.filterwarnings("ignore")


def run(command, folder):
    paths = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},  # threads that wait by spinning starve others
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", CASES, ids=NAMES)
def test_import_as_torch(path, tmp_path):
    """With `import hadamard as torch` in the place of `import torch`, and its modules in the place of torch's."""
    source = re.sub(r"^import torch$", f"import {H.__name__} as torch", path.read_text(), flags=re.M)
    script = tmp_path / path.name
    script.write_text(re.sub(r"^(from|import) torch\b", rf"\1 {H.__name__}", source, flags=re.M))
    run([str(script)], tmp_path)


@pytest.mark.skipif(not OURS, reason="about our own command")
@pytest.mark.parametrize("path", CASES, ids=NAMES)
def test_hadamard_run(path, tmp_path):
    """Unedited, by `hadamard run`; what it prints is what it prints on torch, to three digits."""
    printed = run(["-m", "hadamard", "run", str(path)], tmp_path)
    if printed and torch is not None:
        expected = run([str(path)], tmp_path)
        for mine, theirs in zip(printed.splitlines(), expected.splitlines(), strict=True):
            assert same_line(mine, theirs), f"{mine!r} instead of {theirs!r}"


NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")


def same_line(mine, theirs):
    pairs = zip(NUMBER.findall(mine), NUMBER.findall(theirs), strict=False)
    near = all(abs(float(a) - float(b)) <= 2e-3 * max(1, abs(float(b))) for a, b in pairs)
    # Columns shift where a number has a minus or a digit more.
    return near and NUMBER.sub("#", mine).split() == NUMBER.sub("#", theirs).split()
