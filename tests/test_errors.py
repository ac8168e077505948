"""Every error message: PyTorch's type and first line, then our lines, kept in errors.expected.

`python tests/test_errors.py` writes that file anew; read the difference before committing it.
"""

import sys
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
torch.addmm(r(4), r(2, 3), torch.empty(3, 4, device='meta'))  # ours: torch returns memory that was never written
"""


def cases():
    for line in CASES.strip().splitlines():
        code, _, note = line.partition("  # ")
        yield code, note.startswith("ours")


def message(code, module):
    """The type and the text of what `code` raises; "no error: …" where it raises nothing."""
    module.manual_seed(0)
    names = {"torch": module, "F": module.nn.functional, "r": module.rand}
    try:
        exec(code, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def render():
    parts = [f">>> {code}\n{message(code, H)}\n" for code, _ in cases()]
    return "\n".join(parts)


def golden():
    blocks = GOLDEN.read_text().split("\n>>> ")
    blocks[0] = blocks[0].removeprefix(">>> ")
    return {code: text.rstrip("\n") for code, _, text in (block.partition("\n") for block in blocks)}


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("code", [code for code, _ in cases()])
def test_golden(code):
    assert message(code, H) == golden()[code], "if this is meant: python tests/test_errors.py"


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


def fits(code, **tensors):
    """Runs a mend and returns the shape that it gives."""
    return tuple(eval(code, {**tensors, "einsum": H.einsum}).shape)


@pytest.mark.skipif(not OURS, reason="the messages are Hadamard's")
@pytest.mark.parametrize("a", [(2, 3), (3,), (3, 2), (2, 3, 4), (4, 3, 2), (6,), (2, 1, 3), (5, 2, 3)], ids=str)
@pytest.mark.parametrize("b", [(2,), (2, 3), (3, 2), (4,), (4, 3), (3, 4, 2), (3, 5), (2, 2)], ids=str)
def test_mends_work(a, b):
    """Every mend that a broadcast or matmul error shows runs, and gives the shape that it says."""
    import operator

    for op in (operator.mul, operator.matmul):
        x, y = H.rand(*a), H.rand(*b)
        try:
            op(x, y)
            continue
        except RuntimeError as error:
            lines = str(error).splitlines()[1:]
        mends = [line.strip()[4:].split(": the result is ") for line in lines if line.strip()[:4] in ("try ", "or  ")]
        # The arguments are listed first, in the names that the mends use.
        names = [line.split()[0] for line in lines if len(line.split()) > 1 and line.split()[1].startswith("(")][:2]
        for code, result in mends:
            code = code.split(", which")[0].split(" or ")[-1]
            shape = tuple(int(n) for n in result.split(")")[0].strip("( ").split(",") if n.strip())
            tensors = dict(zip(names, (x, y), strict=True))
            if "@" in code or "*" in code or "einsum" in code:
                assert fits(code, **tensors) == shape, code
            else:
                name = code.split(".")[0].split("[")[0]
                tensors[name] = eval(code, dict(tensors))
                assert tuple(op(*tensors.values()).shape) == shape, code


def test_explain_never_raises():
    if not OURS:
        return
    from hadamard._errors import _PAGES, explain

    assert explain({}) == explain({"kind": "no such page"}) == ""
    for kind in _PAGES:
        for args in ((), [("a", (), "float32", "cpu")], [("a", (2,), "float32", "cpu")] * 3, "nonsense", None):
            assert isinstance(explain({"kind": kind, "op": kind, "args": args, "dim": 0, "line": "["}), str)


if __name__ == "__main__":
    GOLDEN.write_text(render())
    print(f"wrote {GOLDEN}")
