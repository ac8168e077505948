"""The command line: what a newcomer types, in processes of their own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import OURS

pytestmark = pytest.mark.skipif(not OURS, reason="tests Hadamard's own command")
ROOT = Path(__file__).resolve().parent.parent


def hadamard(*args, cwd, env=None):
    """Run `hadamard args…` in a new process."""
    full = {**os.environ, **(env or {})}
    if "PYTHONPATH" in full:
        full["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in full["PYTHONPATH"].split(os.pathsep))
    command = [sys.executable, "-m", "hadamard", *map(str, args)]
    return subprocess.run(command, cwd=cwd, env=full, capture_output=True, text=True, timeout=300)


@pytest.fixture
def run(tmp_path):
    """run(source, *args): the finished process of `hadamard run script.py args…`."""

    def go(source, *args, env=None):
        (tmp_path / "script.py").write_text(source)
        return hadamard("run", "script.py", *args, cwd=tmp_path, env=env)

    return go


def test_types_say_torch(run):
    done = run("""
import io, pickle
import torch
from torch import nn, optim
model = nn.Sequential(nn.Linear(2, 2))
optimizer = optim.Adam(model.parameters())
print(type(model), type(model[0].weight), type(optimizer), type(torch.Generator()))
print(type(torch.utils.data.DataLoader([1])), type(torch.distributions.Normal(0, 1)))  # imported later
print(pickle.loads(pickle.dumps(model)))
file = io.BytesIO()
torch.save(model, file)
file.seek(0)
print(torch.load(file, weights_only=False))
""")
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout
        == """\
<class 'torch.nn.modules.container.Sequential'> <class 'torch.nn.parameter.Parameter'> <class 'torch.optim.adam.Adam'> \
<class 'torch._C.Generator'>
<class 'torch.utils.data.dataloader.DataLoader'> <class 'torch.distributions.normal.Normal'>
Sequential(
  (0): Linear(in_features=2, out_features=2, bias=True)
)
Sequential(
  (0): Linear(in_features=2, out_features=2, bias=True)
)
"""
    )


def test_version_is_that_of_torch(run, tmp_path):
    """Scripts ask for it to know what there is; Hadamard says its own on its own command line."""
    done = run("""
import torch
from torch.torch_version import TorchVersion
print(torch.__version__, torch.version.__version__)
numbers = tuple(int(n) for n in torch.__version__.split("+")[0].split(".")[:2])
assert numbers >= (2, 13) and isinstance(torch.__version__, str)
assert torch.__version__ > "2.9.1" and torch.__version__ >= (1, 10) and torch.__version__ == "2.13"
assert not torch.__version__ < "2.13.0" and TorchVersion("2.0.0+cu118") == "2.0" != TorchVersion("2.0.1")
assert TorchVersion("2.1.0a0") < TorchVersion("2.1.0rc1") < "2.1.0" and TorchVersion("2.0").startswith("2")
assert torch.__version__ != None and torch.__version__ != "nightly"
assert {torch.__version__: 1}[torch.__version__] == 1
""")
    assert done.returncode == 0 and done.stdout == "2.13.0 2.13.0\n", done.stderr
    missing = run("import torch\ntorch.frobnicate").stderr.splitlines()[-1]
    assert missing.endswith(f"is not in Hadamard {hadamard('--version', cwd=tmp_path).stdout.split()[1]}.")


def test_torch_is_hadamard(run):
    done = run("""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import nn as nn2, optim
from torch.optim import Adam
from torch.utils.data import DataLoader
import torch.utils.data
import hadamard
import hadamard.nn.functional

assert torch is hadamard is sys.modules["torch"]
assert nn is nn2 is hadamard.nn is sys.modules["torch.nn"] is torch.nn
assert F is hadamard.nn.functional is sys.modules["torch.nn.functional"]
assert sys.modules["torch.utils.data"] is hadamard.utils.data is torch.utils.data
assert hadamard.nn.__name__ == hadamard.nn.__spec__.name == "hadamard.nn"
assert hadamard.__spec__.name == "hadamard"
print(torch.tensor([[1.0, 2], [3, 4]]) @ torch.eye(2))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tensor([[1., 2.],\n        [3., 4.]])\n"


def test_the_script_sees_what_python_would_show_it(run, tmp_path):
    (tmp_path / "beside.py").write_text("value = 5\n")
    show = (
        "import json, sys, beside\n"
        "main = sys.modules['__main__'].__file__\n"
        "print(json.dumps([__name__, __file__, sys.argv, sys.path[0], __spec__, __package__, main]))\n"
    )
    done = run(show, "--lr", "1e-3", "--help", "--", "-m", "x")
    args = ["--lr", "1e-3", "--help", "--", "-m", "x"]
    plain = subprocess.run(
        [sys.executable, "script.py", *args], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == json.loads(plain.stdout)


def test_module(tmp_path):
    package = tmp_path / "trainer"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text("import torch\nsize = torch.ones(3).numel()\n")
    (package / "__main__.py").write_text("import sys\nfrom .net import size\nprint(size, sys.argv[1:], __name__)\n")
    for name in ("trainer", "trainer.__main__"):
        done = hadamard("run", "-m", name, "--lr", "3", cwd=tmp_path)
        assert (done.stdout, done.returncode) == ("3 ['--lr', '3'] __main__\n", 0), done.stderr
    done = hadamard("run", "-m", "trainerr", cwd=tmp_path)
    assert done.returncode == 2 and "no module named 'trainerr'" in done.stderr


@pytest.mark.parametrize(
    "line, missing",
    [
        ("import torch.no_such_module", "torch.no_such_module"),
        ("from torch.no_such_module import x", "torch.no_such_module"),
        ("from torch import no_such_name", "torch.no_such_name"),
        ("from torch.nn import NoSuchLayer", "torch.nn.NoSuchLayer"),
        ("import torch; torch.no_such_op(3)", "torch.no_such_op"),
        ("import torch.nn.functional as F; F.no_such_op(3)", "torch.nn.functional.no_such_op"),
        ("import torch; torch.ones(3).no_such_method()", "torch.Tensor.no_such_method"),
    ],
)
def test_missing_names(run, line, missing):
    done = run(f"import sys\n\n{line}\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n"), done.stderr
    assert 'script.py", line 3, in <module>' in done.stderr
    assert "_run.py" not in done.stderr
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith(f"{missing}, asked for in script.py, line 3, is not in Hadamard "), done.stderr


def test_missing_names_can_be_caught(run):
    done = run("try:\n    import torch.no_such_module\nexcept ImportError as e:\n    print(e.name)\n")
    assert (done.stdout, done.returncode) == ("torch.no_such_module\n", 0)


@pytest.mark.parametrize(
    "source, code, in_stderr",
    [
        ("def f():\n    1 / 0\nf()\n", 1, "in f\n    1 / 0"),
        ("raise SystemExit(7)\n", 7, ""),
        ("import sys; sys.exit('bye')\n", 1, "bye"),
        ("import sys; sys.exit()\n", 0, ""),
        ("x = = 1\n", 1, "SyntaxError"),
        ("raise KeyboardInterrupt\n", 130, "KeyboardInterrupt"),
        ("assert False, 'no'\n", 1, "AssertionError: no"),
    ],
)
def test_how_it_ends(run, source, code, in_stderr):
    done = run(source)
    assert done.returncode == code
    assert in_stderr in done.stderr
    assert "_run.py" not in done.stderr and "runpy" not in done.stderr and "cli.py" not in done.stderr
    assert "is not in Hadamard" not in done.stderr


def test_traceback_is_pythons(run, tmp_path):
    done = run("def f():\n    return {}['x']\ntry:\n    f()\nexcept KeyError as e:\n    raise ValueError('v') from e\n")
    plain = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True)
    assert done.stderr == plain.stderr


def test_own_excepthook(run):
    done = run("import sys\nsys.excepthook = lambda t, e, tb: print('mine', t.__name__)\n1 / 0\n")
    assert (done.stdout, done.returncode) == ("mine ZeroDivisionError\n", 1)


def test_no_such_file(tmp_path):
    done = hadamard("run", "nowhere.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"hadamard run: nowhere.py: there is no such file (looked in {tmp_path})\n"
    done = hadamard("run", tmp_path, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_child_processes_get_it_too(run):
    done = run("""
import multiprocessing

def work(queue):
    import torch, hadamard
    queue.put((torch is hadamard, torch.ones(3).sum().item()))

if __name__ == "__main__":
    import torch
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=work, args=(queue,))
        child.start()
        print(method, *queue.get(timeout=100))
        child.join()
""")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
    assert all(line.endswith(" True 3.0") for line in done.stdout.splitlines()), done.stdout


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs a real torch to step aside")
def test_installed_torch_is_not_touched(run):
    done = run(
        "import sys, torch, torch.nn, torch.utils.data\nprint([m for m in sys.modules if m.startswith('torch._')])\n"
    )
    assert done.stdout == "[]\n", done.stderr


def test_hook_refuses_to_replace_torch(run):
    done = run(
        "import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\n"
        "from hadamard._run import install\ninstall()\n"
    )
    assert "PyTorch is already imported" in done.stderr


def test_version_and_info(tmp_path):
    import hadamard as H

    assert hadamard("--version", cwd=tmp_path).stdout == f"hadamard {H.__version__}\n"
    done = hadamard("info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert rows["hadamard"] == H.__version__
    assert {"level", "threads", "memory", "dtypes", "packages"} <= set(rows)
    assert "bfloat16" in rows["dtypes"]
    assert hadamard(cwd=tmp_path).returncode == 2
    assert hadamard("--help", cwd=tmp_path).returncode == 0


def accuracy(output):
    (line,) = (line for line in output.splitlines() if line.startswith("test accuracy"))
    return float(line.split()[2].rstrip("%"))


def test_digits(tmp_path):
    picture = tmp_path / "digits.png"
    plot = ["--plot", picture] if importlib.util.find_spec("matplotlib") else []
    done = hadamard("run", ROOT / "examples" / "digits.py", *plot, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert accuracy(done.stdout) >= 97
    assert "\ntime " in done.stdout
    if plot:
        assert picture.read_bytes().startswith(b"\x89PNG")
    if importlib.util.find_spec("torch"):
        theirs = subprocess.run(
            [sys.executable, ROOT / "examples" / "digits.py"], capture_output=True, text=True, check=True
        )
        assert abs(accuracy(done.stdout) - accuracy(theirs.stdout)) <= 1
