"""The cases that must come out right: each program in cases/ runs by its two ways onto Hadamard."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import OURS, H

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))
NAMES = [path.stem for path in CASES]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("path", CASES, ids=NAMES)
def test_import_as_torch(path):
    """With `import hadamard as torch` in the place of `import torch`, and submodules reached from it."""
    source = path.read_text()
    for old, new in {
        "import torch\n": f"import {H.__name__} as torch\n",
        "import torch.nn as nn\n": "nn = torch.nn\n",
        "import torch.nn.functional as F\n": "F = torch.nn.functional\n",
        "from torch.nn import functional as F\n": "from torch.nn import functional as F\n".replace("torch", H.__name__),
    }.items():
        source = source.replace(old, new)
    exec(compile(source, path, "exec"), {"__name__": "__main__"})


@pytest.mark.skipif(not OURS, reason="about our own command")
@pytest.mark.parametrize("path", CASES, ids=NAMES)
def test_hadamard_run(path, tmp_path):
    """Unedited, by `hadamard run`."""
    paths = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    done = subprocess.run(
        [sys.executable, "-m", "hadamard", "run", str(path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
