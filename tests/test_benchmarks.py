"""The benchmark's own parts: its table, its verdicts, and telling before from after."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
compare = pytest.importorskip("benchmarks.compare")

from benchmarks import limits, measure, memory, peers, report  # noqa: E402
from benchmarks.rows import ROWS  # noqa: E402


def test_the_table():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) > 150
    for row in ROWS:
        assert set(row.goal) <= {*peers.ORDER, "best", "ns", "fma", "copy", "read"}, row.name
        assert not row.goal.get("fma") or row.work
        assert not {"copy", "read"} & set(row.goal) or row.moved


@pytest.mark.parametrize(
    "group", ["overhead", "memory", "functions", "layers", "batched", "conv2d", "programs", "attention"]
)
def test_rows_run(group):
    """One row of every group, in ours: the line and its operands fit each other."""
    ours = peers.installed(1, ("hadamard", "numpy"))
    row = min((row for row in ROWS if row.group == group), key=lambda row: row.work + row.moved)
    found = measure.measure(row, ours, 2, 1e-6, 1.0, measure.time.perf_counter, pause=0)
    assert "failed" not in found and found["seconds"]["hadamard"]
    assert found.get("agrees", True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory():
    """The weights of the first layer alone, 784 x 512 float32, are 1.5 MiB, and their gradient as much."""
    assert 3 < memory.in_child("hadamard", "MLP 784-512-10, batch 128, SGD") < 60


def found(ours, **others):
    seconds = {"hadamard": ours, **others}
    return {"row": "r", "group": "g", "x": 1, "work": 2e9, "moved": 0, "real": "f32", "seconds": seconds}


def test_verdicts():
    times = found([1.0, 1.1, 0.9], torch=[2.0, 2.2, 1.8], numpy=[1.5, 1.5, 1.5])
    limit = {"fma f32": 4e9}
    assert measure.judged(times, {"torch": 2, "best": 1.5, "fma": 0.5}, limit, 1)["missed"] == []
    missed = measure.judged(times, {"torch": 3, "best": 1.6, "fma": 0.6, "ns": 10}, limit, 1)["missed"]
    assert [m.split(" of ")[0] for m in missed] == ["2.00", "1.50", "0.50", "1000000000 ns, not 10"]
    wrong = measure.judged({**times, "agrees": False, "difference": 1.0}, {}, limit, 1)
    assert wrong["missed"] == ["results differ by 1.0e+00"]


def test_before_and_after():
    steady, noisy = [1.0, 1.01, 0.99, 1.0], [0.5, 1.0, 2.0, 4.0]
    before = {name: {"hadamard": steady, "torch": steady} for name in ("same", "faster", "machine")}
    before["noise"] = {"hadamard": noisy}
    half, double = [t / 2 for t in steady], [t * 2 for t in steady]
    after = {
        "same": {"hadamard": steady, "torch": steady},
        "faster": {"hadamard": half, "torch": steady},
        "machine": {"hadamard": double, "torch": double},
        "noise": {"hadamard": [t * 1.5 for t in noisy]},
    }
    assert [(name, round(factor, 2)) for name, _, _, factor in compare.changes(before, after)] == [("faster", 2.0)]


def test_limits_are_plausible():
    library = limits.load()
    if library is None:
        pytest.skip("no C compiler")
    assert library.fma_f32(10) == 2 * library.fma_f64(10) > 0
    assert library.touch_pages(1 << 20, 0) == 256


def test_from_the_command_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--threads=1",
        "--peers=hadamard,numpy",
        "--only=^overhead: zeros$",
    ]
    done = subprocess.run([*command, f"--out={tmp_path}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "threads-1.json").read_text())
    assert [row["row"] for row in result["rows"]] == ["zeros"]
    assert re.search(r"^zeros +\d", (tmp_path / "threads-1.txt").read_text(), re.M)
    assert report.table(result).startswith(result["machine"]["processor"])
