"""hadamard coverage: which torch names it finds in a program, on which lines, and which it calls lacking."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import OURS, torch

pytestmark = pytest.mark.skipif(not OURS, reason="tests Hadamard's own command")
ROOT = Path(__file__).resolve().parent.parent

if OURS:
    from hadamard._coverage import report, uses


def names(source):
    return {use.name.removeprefix("torch."): use.lines for use in uses(source).values()}


def lacking(source):
    return {use.name.removeprefix("torch.") for use in uses(source).values() if use.lacking and not use.guarded}


def test_imports_and_chains():
    assert names("import torch\ntorch.nn.functional.relu(torch.ones(2))") == {"nn.functional.relu": [2], "ones": [2]}
    assert names("import torch.nn.functional as F\nF.relu") == {"nn.functional": [1], "nn.functional.relu": [2]}
    assert names("from torch import nn, optim as o\nnn.Linear\no.SGD\no.SGD") == {
        "nn": [1],
        "optim": [1],
        "nn.Linear": [2],
        "optim.SGD": [3, 4],
    }
    assert names("import torch.nn\ntorch.zeros(1)") == {"nn": [1], "zeros": [2]}
    assert names("import numpy as torch_\ntorch_.nothing\nimport os.path") == {}
    assert names("from torch import nn\nL = nn.Linear\nL(2, 3)")["nn.Linear"] == [2, 3]
    assert names("import torch\ngetattr(torch, 'rand')(2)") == {"rand": [2]}
    assert "exp" in names("from torch import *\nexp(zeros(2))") and "zeros" in names("from torch import *\nzeros(2)")
    assert names("import torch\ndef f(torch):\n  return torch.nothing") == {}


def test_methods_of_tensors():
    """Followed through calls, operators, indices, modules, annotations and self.attributes; else left alone."""
    head = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
    for line in (
        "torch.ones(2).bogus()",
        "x = torch.ones(2)\nx.bogus()",
        "x = F.relu(torch.ones(2)) * 2\n(-x[0]).T.bogus()",
        "for row in torch.eye(3):\n  row.bogus()",
        "y = [v.bogus() for v in torch.eye(3)]",
        "def f(x: torch.Tensor):\n  return x.exp().bogus()",
        "net = nn.Linear(2, 3)\nnet(torch.ones(2)).bogus()",
        "a, b = torch.ones(1), 2\na.bogus()",
        "w = nn.Parameter(torch.ones(2))\n(w if w.dim() else w).bogus()",
        "class N(nn.Module):\n  def __init__(self):\n    self.l = nn.ReLU()\n  def g(self, x):\n    self.l(x).bogus()",
        "(x := torch.ones(2)).bogus()",
    ):
        assert lacking(head + line) == {"Tensor.bogus"}, line
    for line in (
        "x = torch.ones(2)\nx = object()\nx.bogus()",
        "n = torch.ones(2).item()\nn.bogus()",
        "s = torch.ones(2).shape\ns.bogus()",
        "out, state = nn.LSTM(2, 3)(torch.ones(1, 1, 2))\nout.bogus()",
        "class N(nn.Module):\n  def forward(self, x):\n    return x.bogus()",
        "nn.Linear(2, 3).weight.bogus()",
    ):
        assert not lacking(head + line), line


def test_what_is_lacking():
    assert lacking("import torch\ntorch.nn.Linearr(2, 3)\ntorch.nosuch.deeper.name") == {"nn.Linearr", "nosuch"}
    assert lacking("from torch.nosuch import thing") == {"nosuch"}
    assert lacking("import torch\ntorch.backends.cudnn.benchmark = True") == set()
    assert lacking("import torchvision") == {"torchvision"}
    assert lacking("try:\n  from torch import nosuch\nexcept ImportError:\n  nosuch = None") == set()
    assert lacking("import torch\nif torch.cuda.is_available():\n  torch.cuda.nosuch()") == set()
    assert lacking("import torch\nx = torch.cuda.nosuch() if torch.cuda.is_available() else 1") == set()
    assert lacking("import torch\nif hasattr(torch, 'nosuch'):\n  torch.nosuch()") == set()
    assert lacking("import torch\ntry:\n  torch.nosuch\nexcept AttributeError:\n  pass\ntorch.nosuch") == {"nosuch"}


def test_report(tmp_path, capsys):
    (tmp_path / "good.py").write_text("import torch\nx = torch.ones(2)\nx.sum()\nx.sum()\n")
    (tmp_path / "bad.py").write_text("import torch\nprint(torch.nosuch)\n")
    assert report([tmp_path / "good.py"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  torch.Tensor.sum           lines 3, 4",
        "  torch.ones                 line 2",
        "2 torch names used, none lacking",
    ]
    assert report([tmp_path], only_lacking=True) == 1
    out = capsys.readouterr().out
    assert "bad.py\n  torch.nosuch  lacking  line 2\n3 torch names used, 1 lacking\n" in out and "good.py" not in out
    (tmp_path / "worse.py").write_text("import torch\nx = (\n")
    assert report([tmp_path / "worse.py"]) == 2
    assert "worse.py:2: " in capsys.readouterr().err
    assert report([tmp_path / "absent.py"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_command(tmp_path):
    """It reads and does not run."""
    (tmp_path / "s.py").write_text("import torch\nopen('ran', 'w')\ntorch.nosuch()\n")
    env = {**os.environ, "PYTHONPATH": str(Path(sys.modules["hadamard"].__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "hadamard", "coverage", "s.py"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1 and "lacking" in done.stdout and not (tmp_path / "ran").exists(), done.stderr


@pytest.mark.skipif(torch is None, reason="compares with torch")
def test_found_names_are_torchs():
    """Every name found in the programs here exists in torch: the reader makes none up; and none of them is lacking."""
    import importlib

    paths = [*ROOT.glob("examples/*.py"), *ROOT.glob("tests/cases/**/*.py")]
    assert paths
    for path in paths:
        for use in uses(path.read_bytes(), str(path)).values():
            if use.guarded:  # what only one of the two has is asked for first
                continue
            thing = torch
            parts = use.name.split(".")[1:]
            for i, part in enumerate(parts, 1):
                if not hasattr(thing, part):
                    importlib.import_module(".".join(["torch", *parts[:i]]))
                thing = getattr(thing, part)
            assert not use.lacking, (path.name, use.name)
