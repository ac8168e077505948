"""Every error message: PyTorch's type and first line, then our lines, kept in errors.expected.

`python tests/test_errors.py` writes that file anew, and the examples of docs/errors.md; read the difference.
"""

import contextlib
import doctest
import io
import linecache
import os
import random
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
from harness import OURS, H, torch

pytestmark = pytest.mark.filterwarnings("ignore")
GOLDEN = Path(__file__).with_name("errors.expected")

# Each case is a line of code in which `torch` is the module under test, and `r` makes random numbers of a shape.
# Where the part after `#` says "ours", torch does something else (or nothing at all) on purpose.
CASES = """
r(2, 3) * r(2)
r(2, 3) + r(3, 2)
r(2, 3) * r(3, 4)
r(4) * r(3)
r(6) - r(2, 3)
r(32, 3, 8, 8) * r(3)
r(32, 3, 8, 8) * r(32, 8, 8, 3)
torch.where(r(2, 3) > 0, r(2), r(3))
r(2, 3).expand(4, 3)
r(2).expand(2, 3)
torch.broadcast_tensors(r(2, 3), r(2))
torch.dot(r(2, 2), r(2, 2))
torch.dot(r(2, 3), r(3, 2))
torch.dot(r(2), r(1))
torch.dot(r(1), r(3))
torch.dot(r(3), r(3).double())
torch.dot(r(3) > 0, r(3) > 0)
torch.mm(r(2, 3), r(4, 5))
torch.mm(r(2, 3), r(4, 3))
r(2, 3) @ r(2, 3)
r(3, 2) @ r(4, 3)
r(200, 100, 1) @ r(100, 200)
r(32, 16, 4, 4) @ r(256, 10)
r(2, 3, 4) @ r(3, 4, 5)
torch.mm(r(3), r(3, 4))
torch.mm(r(2, 3), r(3))
torch.mm(r(2, 3), r(3, 4).double())
torch.mm(r(2, 3), torch.ones(3, 4, dtype=torch.int64))
torch.mm(r(2, 3) > 0, r(3, 4) > 0)
torch.matmul(torch.tensor(1.0), r(3))
r(2, 3) @ 2.0
torch.bmm(r(10, 2, 3), r(3, 4))
torch.bmm(r(2, 3, 4), r(3, 4, 5))
torch.bmm(r(10, 2, 3), r(10, 4, 3))
torch.bmm(r(2, 3, 4), r(2, 4, 5).double())
torch.mv(r(2, 3), r(4))
torch.mv(r(2, 3), r(2))
torch.addmm(r(4), r(2, 3), r(3, 5))
torch.addmm(r(5), r(2, 3), r(4, 5))
torch.addmm(r(5), r(2, 3), r(3, 5).double())
F.linear(r(32, 16, 4, 4), r(10, 256))
F.linear(r(2, 3), r(3, 4))
F.linear(r(2, 3), r(4, 3), r(5))
F.linear(r(2, 3).double(), r(4, 3), r(4))
torch.nn.Linear(4, 2)(r(5, 3))
torch.einsum('ij,jk->ik', r(2, 3), r(4, 5))
torch.tensordot(r(2, 3), r(4, 3), 1)
F.conv2d(r(1, 3, 8, 8), r(4, 2, 3, 3))
F.conv2d(r(1, 8, 8, 3), r(4, 3, 3, 3))
torch.add(torch.ones(3), r(2, 3), out=torch.ones(3, requires_grad=True))
r(3).add_(r(2, 3))
torch.ones(3, dtype=torch.int64).mul_(r(3))
torch.ones(3, requires_grad=True).mul_(2)
torch.ones(3, requires_grad=True)[0].mul_(2)
torch.ones(1).expand(3).add_(1)
(r(3).requires_grad_() * 2).backward()
once = (r(3).requires_grad_() ** 2).sum(); once.backward(); once.backward()
r(3).sum().backward()
x = r(3).requires_grad_(); (x * 2).backward(torch.ones(2))
x = r(3).requires_grad_(); y = x.exp(); y.add_(1); y.sum().backward()
torch.autograd.grad(r(3).sum(), r(3))
x = r(3).requires_grad_(); torch.autograd.grad((x * 2).sum(), r(3).requires_grad_())
torch.mul(r(3).requires_grad_(), 2, out=r(3))
r(3).item()
float(r(3))
bool(r(3))
torch.ones(3, dtype=torch.int64).requires_grad_()
r(2, 3).t().view(-1)
r(2, 3).view(4)
r(4, 6).reshape(4, 5)
r(2, 3).sum(2)
r(2, 3)[2]
r(2, 3)[torch.tensor([0, 2])]
torch.cat([r(2, 3), r(2, 4)])
torch.stack([r(2, 3), r(2, 4)])
r(3) @ torch.empty(3, device='meta')
r(3).requires_grad_().numpy()
torch.nn.MSELoss()(r(8), r(9))
torch.nn.BCELoss()(torch.sigmoid(r(8)), torch.ones(8, 1))
torch.nn.BCEWithLogitsLoss()(r(8), torch.ones(8, 1))
torch.nn.CrossEntropyLoss()(r(8, 3), torch.full((8,), 3))
torch.nn.functional.embedding(torch.tensor([3]), r(3, 2))
torch.optim.SGD([], lr=0.1)
torch.nn.Linear(3, 2).load_state_dict({'weight': r(2, 4)})
torch.empty(2**40)
torch.empty(2**62, 2**62)
torch.ones(3).to('nowhere')
torch.tensor([[1, 2], [3]])
torch.tensor('text')
torch.zeros(2, -3)
torch.arange(0, 3, -1)
torch.linspace(0, 1, -1)
torch.randint(3, 3, (2,))
r(2, 3).permute(0, 0)
r(2, 3).transpose(0, 2)
r(2, 3).gather(1, torch.tensor([[3]]))
torch.tensor([2]) * [1, 2]  # ours: torch returns a list
torch.mm(r(2, 3), r(3, 4), out=r(2, 4).double())
r(3, 4) @ r(5, 4).T.double()
torch.nn.functional.cross_entropy(r(8, 3), torch.zeros(7, dtype=torch.int64))
torch.nn.functional.cross_entropy(r(8, 3), torch.zeros(8))
torch.nn.functional.cross_entropy(r(8, 3), torch.zeros(8, 1, dtype=torch.int64))
torch.nn.functional.cross_entropy(r(8, 5, 3), torch.zeros(8, 5, dtype=torch.int64))
torch.nn.functional.cross_entropy(r(8, 3), torch.zeros(8, 3, dtype=torch.int64))
torch.nn.functional.cross_entropy(r(8, 3), torch.zeros(8, dtype=torch.int32))
torch.nn.functional.cross_entropy(r(8, 1), torch.ones(8, dtype=torch.int64))
torch.nn.functional.binary_cross_entropy(r(8) + 1, r(8))
torch.nn.functional.binary_cross_entropy(r(8), torch.ones(8, dtype=torch.int64))
torch.nn.BCEWithLogitsLoss()(r(8, 3), torch.zeros(8))
torch.nn.BatchNorm1d(3)(r(1, 3))
torch.nn.BatchNorm2d(3)(r(2, 8, 8, 3))
torch.nn.LayerNorm(3)(r(2, 3, 4))
torch.nn.Conv2d(1, 4, 3)(r(8, 28, 28))
torch.nn.Conv2d(1, 4, 3)(r(28, 28))
F.max_pool2d(r(1, 3, 2, 2), 4)
torch.nn.Sequential(torch.nn.Flatten(0), torch.nn.Linear(4, 2))(r(2, 4))
torch.optim.SGD([1.0], lr=0.1)
torch.optim.SGD(torch.ones(3), lr=0.1)
torch.optim.SGD([torch.ones(3, requires_grad=True) * 2], lr=0.1)
p = torch.nn.Parameter(r(3)); torch.optim.SGD([{'params': [p]}, {'params': [p]}], lr=0.1)
torch.nn.Linear(3, 2).load_state_dict({'module.weight': r(2, 3), 'module.bias': r(2)})
torch.nn.Linear(3, 2).load_state_dict({'weight': r(3, 2), 'bias': r(2)})
torch.nn.Linear(3, 2).load_state_dict({'model_state_dict': {}, 'epoch': 3})
torch.nn.Linear(3, 2).load_state_dict({'weight': r(5, 3), 'bias': r(5)})
next(iter(torch.utils.data.DataLoader([r(2), r(3)], batch_size=2)))
next(iter(torch.utils.data.DataLoader([None, None], batch_size=2)))
torch.utils.data.TensorDataset(r(3), r(4))
r(3)[torch.tensor([True, False])]
r(3)[torch.tensor([0.5])]
r(3)[0, 0]
x = r(2, 3); x[:, 0] = r(3)
x = r(2, 3); x[torch.tensor([5])] = 0
x = r(3).requires_grad_(); torch.autograd.grad((x * 2).sum(), r(3))
torch.ones(3, dtype=torch.bool) - torch.ones(3, dtype=torch.bool)
torch.arange(6).view(2, 3).sum(dim=5)
torch.einsum('ij,jk', r(2, 3, 4), r(3, 4))
torch.einsum('ij,jk->ik', r(2, 3), r(2, 3))
r(2, 3).unsqueeze(5)
torch.cat([r(2, 3), r(3)])
x = r(3).requires_grad_(); x.long().sum().backward()
x = r(3).requires_grad_(); x.detach().sum().backward()
torch.nn.Linear(2, 1)(r(3, 2)).detach().sum().backward()
x = r(4).requires_grad_(); a, b = x.unbind(0)[:2]; a += 1
x = r(3).requires_grad_(); y = x * 2; y.requires_grad_(False)
torch.sum(r(3), axes=0)  # ours: torch lists the overloads
torch.addmm(r(4), r(2, 3), torch.empty(3, 4, device='meta'))  # ours: torch returns memory that was never written
"""

# Programs whose source can be read, as a file's can: the messages name the lines and the user's own names.
PROGRAMS = """
images, scale = r(2, 3, 8, 8), r(3)
images * scale

class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(400, 120)
    def forward(self, x):
        return self.fc1(x)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5), Block())
model(r(2, 3, 9, 9))

class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(r(16))
    def forward(self, x):
        return x * self.scale
Scaled()(r(2, 16, 8, 8))

scores, labels = r(8), r(8, 1)
loss = torch.nn.BCEWithLogitsLoss()
loss(scores, labels)

w = r(3).requires_grad_()
y = w * 2
loss = (y.detach() - 1).pow(2).sum()
loss.backward()

model = torch.nn.Linear(4, 3)
with torch.no_grad():
    scores = model(r(5, 4))
scores.sum().backward()

model = torch.nn.Linear(4, 3)
labels = torch.tensor([0, 1, 2, 0, 1])
guess = model(r(5, 4)).argmax(1)
wrong = (guess != labels).float().mean()
wrong.backward()

w = r(3).requires_grad_()
total = 0.0
for i in range(3):
    total += (w[i] * w[i]).item()
torch.tensor(total).backward()

w = r(3).requires_grad_()
rounded = (w * 10).to(torch.int64)
(rounded * 0.1).sum().backward()

class Frozen(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 2)
    def forward(self, x):
        h = self.fc(x).data
        return torch.relu(h)
model = Frozen()
out = model(r(3, 4))
out.mean().backward()

model = torch.nn.Linear(4, 2)
model.requires_grad_(False)
out = model(r(3, 4))
out.mean().backward()

def loss_of(model, x):
    return model(x).detach().mean()
model = torch.nn.Linear(4, 2)
loss = loss_of(model, r(3, 4))
loss.backward()

def step(loss):
    loss.backward()
w = r(3).requires_grad_()
step((w > 0).float().sum())

w = torch.ones(3)
loss = (w * 2).sum()
loss.backward()

w = r(3).requires_grad_()
y = torch.sigmoid(w)
y += 1
y.sum().backward()

w = r(3).requires_grad_()
h = w.exp()
h[0] = 0.0
h.sum().backward()

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 2)
    def forward(self, x):
        h = torch.tanh(self.fc(x))
        h.mul_(2)
        return h
model = Net()
model(r(3, 4)).sum().backward()

w = r(3).requires_grad_()
h = torch.zeros(3)
for i in range(2):
    h = torch.tanh(w * h + w)
    h.sum().backward()

w = r(3).requires_grad_()
w -= 0.1 * w

w = torch.nn.Parameter(r(3))
w.mul_(0.5)

count = torch.arange(3)
count *= 1.5

x = r(4, 4)
x.item()

model = torch.nn.Linear(4, 3)
_, guess = torch.max(model(r(5, 4)), 1)
guess.float().mean().backward()

class Trainer:
    def __init__(self):
        self.model = torch.nn.Linear(4, 3)
    def compute(self):
        with torch.no_grad():
            self.out = self.model(r(5, 4))
        self.loss = self.out.pow(2).mean()
    def step(self):
        self.compute()
        self.loss.backward()
Trainer().step()

class Decorated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
    @torch.no_grad()
    def forward(self, x):
        return self.fc(x)
model = Decorated()
model(r(5, 4)).sum().backward()

class Cutter(torch.nn.Module):
    def forward(self, x):
        return torch.tensor(x.tolist())
model = torch.nn.Sequential(torch.nn.Linear(4, 3), Cutter(), torch.nn.ReLU())
out = model(r(5, 4))
out.mean().backward()

w = r(3).requires_grad_()
torch.set_grad_enabled(False)
try:
    loss = (w * w).sum()
    loss.backward()
finally:
    torch.set_grad_enabled(True)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act = torch.nn.Linear(4, 4), torch.nn.ReLU(inplace=True)
    def forward(self, x):
        h = torch.tanh(self.fc(x))
        return self.act(h) + h
model = Net()
model(r(3, 4)).sum().backward()

w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
loss = (w * w).sum()
loss.backward(retain_graph=True)
optimizer.step()
loss.backward()

h = torch.tanh(r(3).requires_grad_())
loss1, loss2 = h.sum(), (h * h).sum()
loss1.backward()
loss2.backward()

x, y = r(3), r(3).requires_grad_()
torch.autograd.grad((x * y).sum(), [y, x])

p = torch.nn.Parameter(r(2, 2))
diagonal = torch.tensor([p[0, 0], p[1, 1]])
diagonal.sum().backward()

weights = r(3).requires_grad_()
weights.numpy()

table = r(4, 3)
table[:, 0] = r(1, 4).T
"""


def cases():
    for line in CASES.strip().splitlines():
        code, _, note = line.partition("  # ")
        yield code, note.startswith("ours")
    for program in PROGRAMS.strip().split("\n\n"):
        yield program, False


def message(code, module):
    """The type and the text of what `code` raises; "no error: …" where it raises nothing."""
    module.manual_seed(0)
    names = {"torch": module, "F": module.nn.functional, "r": module.rand, "__name__": "case"}
    if "\n" in code:
        linecache.cache["<case>"] = (len(code), None, code.splitlines(keepends=True), "<case>")
    else:
        linecache.cache.pop("<case>", None)
    try:
        exec(compile(code, "<case>", "exec"), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def render():
    parts = [f">>> {key(code)}\n{message(code, H)}\n" for code, _ in cases()]
    return "\n".join(parts)


def key(code):
    return code.replace("\n", "\n... ")


def golden():
    blocks = GOLDEN.read_text().split("\n>>> ")
    blocks[0] = blocks[0].removeprefix(">>> ")
    found = {}
    for block in blocks:
        lines = block.split("\n")
        n = next(i for i, line in enumerate(lines) if i and not line.startswith("... "))
        found["\n".join(lines[:n])] = "\n".join(lines[n:]).rstrip("\n")
    return found


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("code", [code for code, _ in cases()])
def test_golden(code):
    assert message(code, H) == golden()[key(code)], "if this is meant: python tests/test_errors.py"


@pytest.mark.skipif(not OURS or torch is None, reason="compares with PyTorch (extra: oracle)")
@pytest.mark.parametrize("code", [code for code, ours in cases() if not ours])
def test_first_line_is_torchs(code):
    theirs = message(code, torch)
    assert theirs != "no error", "torch does not raise here: mark the case as ours"
    assert message(code, H).splitlines()[0] == theirs.splitlines()[0]


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_facts_are_on_the_exception():
    with pytest.raises(RuntimeError) as caught:
        H.ones(2, 3) * H.ones(2)
    facts = caught.value.hadamard
    assert facts["kind"] == "broadcast" and facts["op"] == "mul"
    assert [tuple(arg[1]) for arg in facts["args"]] == [(2, 3), (2,)]


OPS = """
x * y
x @ y
x += y
torch.where(x > 0, x, y)
torch.mm(x, y)
torch.bmm(x, y)
torch.mv(x, y)
torch.dot(x, y)
torch.addmm(torch.ones(1), x, y)
torch.tensordot(x, y, 1)
torch.cat([x, y])
torch.stack([x, y])
torch.einsum('ij,jk->ik', x, y)
F.linear(x, y)
F.conv1d(x, y)
F.conv2d(x, y)
F.layer_norm(x, y.shape[-1:])
F.binary_cross_entropy_with_logits(x, y)
F.cross_entropy(x, y.long().clamp(0, 0))
"""


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("op", OPS.strip().splitlines())
def test_mends_work(op):
    """Every mend that an error shows with its result runs on real tensors, and gives the shape that it says."""
    linecache.cache["<op>"] = (1, None, [op + "\n"], "<op>")
    call = compile(op, "<op>", "exec")
    draw = random.Random(op)
    shown = 0
    for _ in range(150):
        # Few sizes, so that many nearly fit.
        shapes = [tuple(draw.choice((1, 2, 3, 4, 6)) for _ in range(draw.choice((1, 2, 2, 3, 3, 4)))) for _ in range(2)]
        if draw.random() < 0.3:
            shapes[1] = tuple(reversed(shapes[0]))
        names = {"torch": H, "F": H.nn.functional, "nn": H.nn, "einsum": H.einsum, "x": H.rand(*shapes[0])}
        names |= {"y": H.rand(*shapes[1]), "tensordot": H.tensordot, "bmm": H.bmm, "matmul": H.matmul, "cat": H.cat}
        try:
            exec(call, dict(names))
            continue
        except Exception as error:
            facts, text = getattr(error, "hadamard", {}), str(error)
        for mend in facts.get("mends", ()):
            code = mend["code"]
            if mend["result"] is None or "nn." in code:
                continue  # advice, or a layer to be made
            shown += 1
            assert code in text
            # Where the line does not say which is which, a mend has the names of the table.
            given = {name: names["x"] for name in ("x", "a", "mat1", "input")}
            given |= {name: names["y"] for name in ("y", "b", "mat2", "weight")} | {"target": names["y"].long()}
            result = eval(code, {**names, **given})
            if "instead_of" in mend:
                changed = {**names, **given, mend["instead_of"]: result}
                if mend["instead_of"] in ("x", "y") and "entropy" not in op:
                    exec(call, changed)
            elif isinstance(result, H.Tensor):
                assert tuple(result.shape) == mend["result"], (shapes, mend)
    assert shown > 0


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_explain_never_raises():
    from hadamard.errors import catalogue, explain, gradients, products, training, values  # noqa: F401

    assert explain({}) == explain({"kind": "no such page"}) == ""
    for kind in catalogue.PAGES:
        for args in ((), [("a", (), "float32", "cpu")], [("a", (2,), "float32", "cpu")] * 3, "nonsense", None):
            for line in ("[", "", "a 'b", "got 2"):
                assert isinstance(explain({"kind": kind, "op": kind, "args": args, "dim": 0, "line": line}), str)


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("program", PROGRAMS.strip().split("\n\n"), ids=lambda p: p.splitlines()[-1])
def test_takes_under_ten_milliseconds(program, monkeypatch):
    from hadamard.errors import catalogue

    took = []
    lines = catalogue.lines

    def timed(facts, caller):
        begun = time.process_time()
        found = lines(facts, caller)
        took.append(time.process_time() - begun)
        return found

    monkeypatch.setattr(catalogue, "lines", timed)
    for _ in range(4):
        message(program, H)
    assert took and min(took) < 0.01


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_causes_without_columns(monkeypatch):
    """Python 3.10 keeps lines without columns: the cause and its line are found all the same."""
    from hadamard.errors import source

    monkeypatch.setattr(source, "_positions", lambda frame: None)
    for program in PROGRAMS.strip().split("\n\n"):
        wanted = golden()[key(program)]
        line = re.search(r"\n  (line \d+: .*)\n", wanted)
        if line and "step(" not in program:  # an argument is followed to the call by its columns
            assert line[1] in message(program, H)


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_facts_for_tools():
    layer = H.nn.Sequential(H.nn.Linear(3, 2))
    with pytest.raises(RuntimeError) as caught:
        layer(H.ones(5, 4))
    facts = caught.value.hadamard
    assert facts["module"] == "0 (Linear 3→2) of Sequential"
    assert facts["at"][0] == __file__ and facts["mends"][0]["result"] == (5, 2)


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_warnings_point_at_the_user():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        H.nn.MSELoss()(H.ones(8), H.ones(8, 1))
        H.add(H.ones(3), H.ones(3), out=H.ones(2))
    assert [w.filename for w in caught] == [__file__] * 2


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_colour_in_a_terminal(tmp_path):
    """Marks and mends are coloured where stderr is a terminal, and only there."""
    pty = pytest.importorskip("pty")
    program = tmp_path / "program.py"
    program.write_text("import hadamard as H\nH.ones(2, 3) * H.ones(2)\n")
    plain = subprocess.run([sys.executable, program], capture_output=True, text=True).stderr
    assert "\033" not in plain and "try b.unsqueeze(1)" in plain
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    subprocess.run([sys.executable, program], stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 4096):
            said += block
    except OSError:
        pass
    os.close(ours)
    assert b"\033[32mtry\033[0m" in said and b"\033[31m" in said


# Messages of PyTorch, and a part of what is to be said to each.
MESSAGES = Path(__file__).with_name("torch_messages.txt").read_text()


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("row", MESSAGES.strip().splitlines(), ids=lambda row: row[:50])
def test_explains_pasted_messages(row):
    text, _, wanted = row.partition(" =>")
    traceback = (
        f'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    y = f(x)\nRuntimeError: {text}\n'
    )
    for pasted in (text, f"RuntimeError: {text}", traceback):
        said = H.errors.explain_message(pasted)
        assert said.splitlines()[:1] == ([text] if said else []), said
        assert wanted.strip() in "\n".join(said.splitlines()[1:])


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
def test_explains_a_pasted_state_dict():
    text = """RuntimeError: Error(s) in loading state_dict for Net:
	Missing key(s) in state_dict: "fc.weight", "fc.bias".
	Unexpected key(s) in state_dict: "module.fc.weight", "module.fc.bias"."""
    assert "key.removeprefix('module.')" in H.errors.explain_message(text)
    assert H.errors.explain_message("nothing that is known") == ""


def write_page(page):
    """Run the examples of a page and write down what they say."""
    names: dict = {"__name__": "__main__"}

    def block(match):
        parts = []
        for example in doctest.DocTestParser().parse(match[1]):
            if isinstance(example, str):
                parts.append(example)
                continue
            lines = example.source.splitlines()
            parts.append("\n".join((">>> " if i == 0 else "... ") + line for i, line in enumerate(lines)) + "\n")
            file = f"<example {len(linecache.cache)}>"
            linecache.cache[file] = (1, None, example.source.splitlines(keepends=True), file)
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said):
                    exec(compile(example.source, file, "single"), names)
            except Exception as error:
                said.write(f"Traceback (most recent call last):\n{type(error).__name__}: {error}\n")
            parts.append(said.getvalue())
        return "```python\n" + "".join(parts) + "```"

    page.write_text(re.sub(r"```python\n((?:.*\n)*?)```", block, page.read_text()))


if __name__ == "__main__":
    GOLDEN.write_text(render())
    for name in ("errors.md", "diagnose.md"):
        write_page(Path(__file__).parent.parent / "docs" / name)
    print(f"wrote {GOLDEN}, docs/errors.md and docs/diagnose.md")
