"""The programs under examples/: they run unedited, teach what they say, and print the numbers that torch prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import OURS, H, torch

pytestmark = pytest.mark.skipif(not OURS, reason="runs Hadamard's own command")
ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = {
    "linear_regression": [],
    "one_at_a_time": [],
    "saturated": [],
    "char_transformer": ["--steps", "100"],
    "pretrained": [],
}


def run(command, name, args, cwd):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    env["PYTHONPATH"] = str(Path(H.__file__).parent.parent) if OURS and "hadamard" in command else ""
    done = subprocess.run(
        [sys.executable, *command, str(EXAMPLES / f"{name}.py"), *args],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """output(name): what an example prints under `hadamard run`."""
    said = {}

    def of(name):
        if name not in said:
            folder = tmp_path_factory.mktemp(name)
            said[name] = run(["-m", "hadamard", "run"], name, PROGRAMS[name], folder)
            assert not list(folder.iterdir()), "an example leaves files where it runs"
        return said[name]

    return of


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


def after(text, word):
    """The numbers after a word, over all lines."""
    return [float(x) for x in re.findall(rf"{re.escape(word)}\D*?(-?\d+\.?\d*)", text)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_prints_the_same(name, output, tmp_path):
    """The losses and accuracies of every step that is printed, to 1e-4."""
    mine = output(name)
    if torch is None:
        pytest.skip("compares with torch")
    theirs = run([], name, PROGRAMS[name], tmp_path)
    if name == "char_transformer":  # what it writes hangs on the last bit of a chance
        mine, theirs = mine.partition("\n\n")[0], theirs.partition("\n\n")[0]
    got, want = numbers(mine), numbers(theirs)
    assert len(got) == len(want) > 0
    assert got == pytest.approx(want, rel=1e-3, abs=2e-4)
    assert re.sub(r"-?\d+\.\d+", "#", mine) == re.sub(r"-?\d+\.\d+", "#", theirs)


def test_linear_regression_finds_the_weights(output):
    made, learned, exact = (numbers(line) for line in output("linear_regression").splitlines()[-3:])
    assert learned == pytest.approx(exact, abs=2e-4) and learned == pytest.approx(made, abs=0.05)


def test_one_at_a_time_learns(output):
    assert after(output("one_at_a_time"), "accuracy")[-1] > 0.9


def test_saturated_and_its_cures(output):
    stuck, *cured = output("saturated").splitlines()
    assert "256/256" in stuck and "largest gradient 0.0" in stuck
    before, *_, behind, _ = numbers(stuck)
    assert before == behind
    assert len(cured) == 4
    for line in cured:
        first, last = numbers(line)
        assert last < 0.5 * first, line


def test_transformer_learns_and_writes(output):
    text = output("char_transformer")
    losses = after(text, ": loss")
    assert losses[0] > 4 and losses[-1] < 2.6
    written = text.split("\n\n", 1)[1]
    assert written.startswith("Shall I compare thee") and len(written) > 200


def test_pretrained_reads(output):
    text = output("pretrained")
    assert "<All keys matched successfully>" in text and after(text, "accuracy")[0] > 0.98


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_says_what_one_learns(path):
    first = path.read_text().partition("\n")[0]
    assert first.startswith('"""') and len(first) > 40
    assert "hadamard" not in re.sub(r"(?s)^\"\"\".*?\"\"\"", "", path.read_text()), "an ordinary torch program"
