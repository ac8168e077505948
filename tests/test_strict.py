"""strict() and trace_broadcasts(): what they see, what they let pass, and that they cost nothing when off."""

import io
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from harness import OURS, H

pytestmark = pytest.mark.skipif(not OURS, reason="PyTorch has no strict()")
F = H.nn.functional


def ints(*values, dtype="uint8"):
    return H.tensor(list(values), dtype=getattr(H, dtype))


# name: (kind or None, call)
CASES = {
    "column minus row": ("broadcast", lambda: H.ones(3, 1) - H.ones(3)),
    "row minus column": ("broadcast", lambda: H.ones(3) - H.ones(3, 1)),
    "a function": ("broadcast", lambda: H.mul(H.ones(3, 1), H.ones(4))),
    "a method": ("broadcast", lambda: H.ones(3, 1).mul(H.ones(4))),
    "an array": ("broadcast", lambda: H.ones(3, 1) * np.ones(4, "float32")),
    "an array first": ("broadcast", lambda: np.ones(4, "float32") * H.ones(3, 1)),
    "a parameter": ("broadcast", lambda: H.nn.Parameter(H.ones(3, 1)) * H.ones(4)),
    "a comparison": ("broadcast", lambda: H.ones(3, 1) == H.ones(3)),
    "by name": ("broadcast", lambda: H.eq(H.ones(3, 1), H.ones(3))),
    "mse": ("broadcast", lambda: F.mse_loss(H.ones(8, 1), H.ones(8))),
    "mse module": ("broadcast", lambda: H.nn.MSELoss()(H.ones(8, 1), H.ones(8))),
    "l1": ("broadcast", lambda: F.l1_loss(H.ones(8, 1), H.ones(8))),
    "huber": ("broadcast", lambda: F.huber_loss(H.ones(8), H.ones(8, 1))),
    "where": ("broadcast", lambda: H.where(H.ones(3, 1) > 0, H.ones(3), H.ones(3))),
    "pow": ("broadcast", lambda: H.ones(3, 1) ** H.ones(3)),
    "floor division": ("broadcast", lambda: H.ones(3, 1) // H.ones(3)),
    "outer by hand": ("outer", lambda: H.ones(3)[:, None] * H.ones(4)[None, :]),
    "three dimensions": ("outer", lambda: H.ones(2, 1, 3) + H.ones(1, 4, 3)),
    "a size of 1": ("size1", lambda: H.einsum("ijk,kl->ijl", H.ones(4, 3, 1), H.ones(3, 2))),
    "a size of 1, tensordot": ("size1", lambda: H.tensordot(H.ones(4, 1), H.ones(3, 2), dims=1)),
    "a size of 1 behind an ellipsis": ("size1", lambda: H.einsum("...k,kl->...l", H.ones(2, 4, 1), H.ones(3, 2))),
    "joined": ("promotion", lambda: H.cat([H.ones(3), H.ones(3, dtype=H.float64)])),
    "stacked": ("promotion", lambda: H.stack([H.ones(3), H.arange(3)])),
    "float64 data": ("promotion", lambda: H.ones(3) * H.ones(3, dtype=H.float64)),
    "float64 array": ("promotion", lambda: H.ones(3) * np.ones(3)),
    "integers and floats": ("promotion", lambda: H.ones(3) + H.arange(3)),
    "two integers": ("promotion", lambda: ints(1, 2) * ints(1, 2, dtype="int8")),
    "a loss of two dtypes": ("promotion", lambda: F.mse_loss(H.ones(3), H.ones(3, dtype=H.float64))),
    "wrapped product": ("overflow", lambda: ints(200, 200) * ints(2, 2)),
    "wrapped by a number": ("overflow", lambda: ints(200, 200) * 2),
    "wrapped difference": ("overflow", lambda: ints(1, 2) - ints(2, 2)),
    "wrapped dot": ("overflow", lambda: H.dot(ints(200, 200), ints(2, 2))),
    "wrapped matmul": ("overflow", lambda: ints(100, 100, dtype="int8").reshape(1, 2) @ ints(2, 2, dtype="int8")),
    "wrapped int64": ("overflow", lambda: H.tensor([2**62]) * H.tensor([4])),
    "wrapped einsum": ("overflow", lambda: H.einsum("i,i->i", ints(200), ints(2))),
    "division by zero": ("nonfinite", lambda: H.ones(2) / H.zeros(2)),
    "zero by zero": ("nonfinite", lambda: H.zeros(2) / H.zeros(2)),
    "log of zero": ("nonfinite", lambda: H.zeros(2).log()),
    "exp": ("nonfinite", lambda: H.exp(H.tensor([1000.0]))),
    "half": ("nonfinite", lambda: H.full((2,), 300.0, dtype=H.float16) * H.full((2,), 300.0, dtype=H.float16)),
    "half product": (
        "nonfinite",
        lambda: H.full((1, 2), 300.0, dtype=H.float16) @ H.full((2, 1), 300.0, dtype=H.float16),
    ),
    "cast": ("nonfinite", lambda: H.full((2,), 1e6).half()),
    # What passes.
    "a bias": (None, lambda: H.ones(4, 3) + H.ones(3)),
    "a column": (None, lambda: H.ones(4, 3) * H.ones(4, 1)),
    "a number": (None, lambda: H.ones(4, 1) * 2.5),
    "one element": (None, lambda: H.ones(4, 1) * H.ones(1)),
    "0-d": (None, lambda: H.ones(4, 1) * H.tensor(2.0, dtype=H.float64)),
    "equal": (None, lambda: H.ones(3, 1) - H.ones(3, 1)),
    "an outer product": (None, lambda: H.outer(H.ones(3), H.ones(4))),
    "expand": (None, lambda: H.ones(3, 1).expand(3, 3) - H.ones(3)),
    "a batch times a matrix": (None, lambda: H.ones(5, 2, 3) @ H.ones(3, 4)),
    "an ellipsis": (None, lambda: H.einsum("...ik,kl->...il", H.ones(2, 4, 3), H.ones(3, 2))),
    "joined alike": (None, lambda: H.cat([H.ones(3), H.ones(3)])),
    "a mask": (None, lambda: H.ones(3) * (H.ones(3) > 0)),
    "exact integers": (None, lambda: ints(100, 2) * ints(2, 2)),
    "sums that come back": (None, lambda: H.dot(ints(100, -100, dtype="int8"), ints(2, 2, dtype="int8"))),
    "einsum of ones": (None, lambda: H.einsum("ik,kj->ij", H.ones(2, 1), H.ones(1, 2))),
    "infinity on purpose": (None, lambda: H.zeros(2).masked_fill(H.ones(2) > 0, float("-inf"))),
    "infinity goes on": (None, lambda: H.full((2,), float("inf")) * 2),
    "not initialised": (None, lambda: H.empty(1000)),
    "a comparison of dtypes": (None, lambda: H.ones(3) == H.ones(3, dtype=H.float64)),
    "shapes that clash": (None, lambda: pytest.raises(RuntimeError, lambda: H.ones(3) * H.ones(4))),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("kind, call", CASES.values(), ids=CASES)
def test_kinds(kind, call):
    if kind is None:
        with H.strict():
            call()
        return
    with H.strict(), pytest.raises(H.StrictError) as caught:
        call()
    error = caught.value
    assert error.kind == kind and isinstance(error, RuntimeError)
    assert f'strict(allow="{kind}")' in str(error)
    assert error.hadamard["args"]
    with H.strict(allow=kind):
        want = call()
    with H.strict(allow=H.strict.kinds):
        call()
    with H.strict(warn=kind), pytest.warns(H.StrictWarning) as told:
        assert str(call()) == str(want)
    assert any(w.filename == __file__ for w in told if w.category is H.StrictWarning)
    assert str(call()) == str(want)  # and off, it is what it ever was


def test_in_place():
    x = ints(200, 200)
    with H.strict(), pytest.raises(H.StrictError, match="400 became 144"):
        x *= 2
    y = H.ones(2)
    with H.strict(), pytest.raises(H.StrictError, match="infinite"):
        y /= H.zeros(2)
    z = H.full((2,), float("inf"))
    with H.strict():
        z *= 2


def test_the_operands_are_named_and_the_mends_fit():
    prediction, target = H.ones(3, 1), H.ones(3)
    with H.strict(), pytest.raises(H.StrictError) as caught:
        prediction - target
    text = str(caught.value)
    assert text.startswith("sub: (3, 1) and (3,) expand against each other, to (3, 3)\n")
    assert "a = prediction  (3, 1)" in text and "b = target" in text
    codes = [m["code"] for m in caught.value.hadamard["mends"]]
    assert "prediction.squeeze(-1)" in codes and "target.unsqueeze(-1)" in codes
    for code in codes:
        name = code.partition(".")[0]
        names = {"prediction": prediction, "target": target}
        names[name] = eval(code, dict(names))
        with H.strict():
            names["prediction"] - names["target"]


def test_gradients_that_are_not_finite():
    x = H.zeros(2, requires_grad=True)
    with H.strict(), pytest.raises(H.StrictError, match="SqrtBackward0 made a gradient with 2 infinite of 2 numbers"):
        x.sqrt().sum().backward()
    with H.strict(), pytest.raises(H.StrictError, match="PowBackward0"):
        H.autograd.grad((x**0.5).sum(), x)
    y = H.zeros(2, requires_grad=True)
    with H.strict(allow="nonfinite"):
        y.sqrt().sum().backward()
    assert y.grad.isinf().all()
    z = H.ones(2, requires_grad=True)
    with H.strict():
        (z * z).sum().backward()
    assert z.grad.tolist() == [2, 2]
    # The first that went wrong is named, not those behind it.
    w = H.zeros(2, requires_grad=True)
    with H.strict(), pytest.raises(H.StrictError, match="SqrtBackward0"):
        ((w * 3).sqrt() * 2 + 1).sum().backward()
    assert H._C._run_backward.__name__ == "_run_backward"
    (z * z).sum().backward()


def test_p8_the_trap():
    a, w = H.ones(20, 10, 1), H.ones(10, 20)
    assert H.einsum("ijk,kl->ijl", a, w).shape == (20, 10, 20)
    with H.strict(), pytest.raises(H.StrictError, match="index k has size 1 in a and 10 in b"):
        H.einsum("ijk,kl->ijl", a, w)


def test_p11_the_column():
    with H.strict(), pytest.raises(H.StrictError, match="expand against each other"):
        H.ones(3, 1) - H.ones(3)


def test_decorator_and_nesting():
    @H.strict()
    def careful():
        return H.ones(3, 1) * H.ones(3)

    with pytest.raises(H.StrictError):
        careful()

    @H.strict()
    def steps():
        yield 1
        yield H.ones(3, 1) * H.ones(3)

    made = steps()
    assert next(made) == 1
    assert (H.ones(3, 1) * H.ones(3)).shape == (3, 3)  # between the steps it is off
    with pytest.raises(H.StrictError):
        next(made)
    with H.strict():
        with H.strict(allow="broadcast"):
            H.ones(3, 1) * H.ones(3)
        with pytest.raises(H.StrictError):
            H.ones(3, 1) * H.ones(3)
    H.ones(3, 1) * H.ones(3)


def test_other_threads_are_left_alone():
    shapes = []
    with H.strict():
        thread = threading.Thread(target=lambda: shapes.append((H.ones(3, 1) * H.ones(3)).shape))
        thread.start()
        thread.join()
    assert shapes == [(3, 3)]


def test_unknown_kinds():
    with pytest.raises(ValueError, match="the kinds are broadcast, outer"):
        H.strict(allow="broadcasts")


def test_training_passes():
    """Modules, losses, optimisers and their gradients contain nothing that strict() objects to."""
    H.manual_seed(0)
    nn = H.nn
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 3),
    )  # fmt: skip
    attention = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    lstm = nn.LSTM(3, 4, batch_first=True)
    parameters = [*model.parameters(), *attention.parameters(), *lstm.parameters()]
    x, target = H.randn(4, 1, 8, 8), H.tensor([0, 1, 2, 0])
    with H.strict():
        for kind in (H.optim.SGD, H.optim.Adam, H.optim.AdamW, H.optim.RMSprop):
            optimizer = kind(parameters, lr=1e-3)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), target) + attention(H.randn(2, 5, 8)).square().mean()
            loss = loss + lstm(H.randn(2, 5, 3))[0].abs().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        print(model, loss, x[0, 0, :2])


def test_off_is_off():
    """The type's own functions are back: an operator is no slower than before anyone was strict."""
    before = H._C.Tensor.__dict__["__mul__"]
    with H.strict():
        pass
    assert H._C.Tensor.__dict__["__mul__"] is before
    a, p, seen = H.ones(2), H.nn.Parameter(H.ones(2)), []
    H._C._watch(lambda op, *args, **kwargs: (seen.append(op.__name__), H._C._unwatched(op, *args, **kwargs))[1])
    try:
        a * a, 2 * a, p * a, a @ a, a == a, a - 1, H.mul(a, a), a.add(a)
        a += 1
    finally:
        H._C._watch(None)
    names = "__mul__ __rmul__ __mul__ __matmul__ __eq__ __sub__ mul add __iadd__".split()
    assert seen == names
    a * a, p * a, a == a
    a += 1
    assert seen == names


def test_a_subclass_made_meanwhile():
    with H.strict():

        class Mine(H.Tensor):
            pass

        x = H.ones(3, 1).as_subclass(Mine)
        with pytest.raises(H.StrictError):
            x * H.ones(3)
    assert (x * H.ones(3)).shape == (3, 3)


def test_methods_of_operators():
    """a.__mul__(b) is watched as a * b is, also where a subclass calls the one above it."""
    a, b = H.ones(3, 1), H.ones(3)

    class Mine(H.Tensor):
        def __sub__(self, other):
            return super().__sub__(other)

    calls = [
        lambda: a.__mul__(b),
        lambda: a.__radd__(b),
        lambda: H.Tensor.__truediv__(a, b),
        lambda: a.__eq__(b),
        lambda: H.ones(3, 3).__imul__(H.ones(3, 3, dtype=H.float64)),
        lambda: a.as_subclass(Mine) - b,
        lambda: a.as_subclass(Mine) * b,
    ]
    for call in calls:
        with H.strict(), pytest.raises(H.StrictError):
            call()
        call()
    with H.trace_broadcasts(file=io.StringIO()) as trace:
        H.ones(4, 3).__mul__(b)
    assert [f[2:4] for f in trace.found] == [("mul", "b")]

    class Later(H.Tensor):
        pass

    x = a.as_subclass(Later)
    assert x.__mul__(b).shape == (x * b).shape == (b * x).shape == (3, 3) and type(x * b) is Later
    with H.strict(), pytest.raises(H.StrictError):
        x * b


def pairs(x):
    return x.unsqueeze(1) - x


def strictly(function):
    def inside(x):
        with H.strict():
            return function(x)

    return inside


@pytest.mark.parametrize(
    "kind, function, x",
    [
        ("broadcast", pairs, [[1.0, 2.0, 3.0]]),
        ("nonfinite", lambda x: x / x, [[1.0, 0.0], [2.0, 3.0]]),
        ("overflow", lambda x: x * x * 1000000, [[1, 2], [30, 4000000000]]),
        ("promotion", lambda x: x + H.ones(3, dtype=H.float64), [[1.0, 2.0, 3.0]]),
        (None, lambda x: (x * 2) @ x, [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_vmap(kind, function, x):
    """The samples of a vmap are looked at as a single one would be, whether it or strict() came first."""
    x = H.tensor(x)
    with H._strict.aside():
        want = H.stack([function(row) for row in x])
    watched = H.vmap(strictly(function)), strictly(H.vmap(function)), H.vmap(strictly(H.vmap(lambda y: y * 1)))
    for run in watched[:2]:
        if kind is None:
            assert H.equal(run(x), want)
        else:
            with pytest.raises(H.StrictError) as caught:
                run(x)
            assert caught.value.kind == kind
        # Nobody is left behind, and vmap works as before.
        assert H.allclose(H.vmap(function)(x), want, equal_nan=True)
    assert H.equal(watched[2](x), x)
    assert H.ones(3, 1).sub(H.ones(3)).shape == (3, 3)


def test_other_threads_are_strict_while_a_vmap_runs():
    from threading import Event, Thread

    inside, done = Event(), Event()

    def function(x):
        inside.set()
        done.wait(10)
        return x * 2

    thread = Thread(target=lambda: H.vmap(function)(H.ones(2, 3)))
    thread.start()
    inside.wait(10)
    try:
        with H.strict(), pytest.raises(H.StrictError):
            H.ones(3, 1) * H.ones(3)
    finally:
        done.set()
        thread.join()
    with H.strict(), pytest.raises(H.StrictError):
        H.ones(3, 1) * H.ones(3)


def test_trace_broadcasts():
    out = io.StringIO()
    with H.trace_broadcasts(out) as trace:
        for _ in range(3):
            y = H.ones(4, 3) * H.ones(3)
        y = y + H.ones(4, 1)
        y @ H.ones(3, 2)
        H.ones(5, 4, 3) @ H.ones(3, 2)
        y * 2 + H.tensor(1.0) + H.ones(4, 3)
    lines = out.getvalue().splitlines()
    assert [(f[2], f[3], f[4], f[5]) for f in trace.found] == [
        ("mul", "b", (3,), (4, 3)),
        ("add", "b", (4, 1), (4, 3)),
        ("matmul", "b", (3, 2), (5, 3, 2)),
    ]
    assert len(lines) == 3
    assert "test_strict.py:" in lines[0] and "mul repeats b, (3,), 4 times along dim 0, to (4, 3)" in lines[0]
    assert lines[0].endswith("y = H.ones(4, 3) * H.ones(3)")
    assert all(f[0] == __file__ for f in trace.found)


def test_trace_and_strict_together():
    out = io.StringIO()
    with H.trace_broadcasts(out), H.strict(), pytest.raises(H.StrictError):
        H.ones(3, 1) * H.ones(3)
    assert len(out.getvalue().splitlines()) == 2


SCRIPT = """
import torch
prediction, target = torch.ones(3, 1), torch.ones(3)
loss = ((prediction - target) ** 2).mean()
print("done")
"""


def python(*args, cwd, **env):
    paths = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, env={**os.environ, "PYTHONPATH": paths, **env}, capture_output=True, text=True
    )


def test_run_strict(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = python("-m", "hadamard", "run", "--strict", "script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "hadamard.StrictError: sub: (3, 1) and (3,) expand against each other, to (3, 3)" in done.stderr
    assert "script.py" in done.stderr and "a = prediction" in done.stderr
    assert python("-m", "hadamard", "run", "script.py", cwd=tmp_path).stdout == "done\n"


def test_environment(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.replace("import torch", "import hadamard as torch"))
    done = python("script.py", cwd=tmp_path, HADAMARD_STRICT="1")
    assert done.returncode == 1 and "expand against each other" in done.stderr
    done = python("script.py", cwd=tmp_path, HADAMARD_STRICT="warn")
    assert done.returncode == 0 and "StrictWarning: sub: (3, 1)" in done.stderr and "script.py:4" in done.stderr
    assert python("script.py", cwd=tmp_path, HADAMARD_STRICT="0").stdout == "done\n"


def test_warnings_say_it_once_per_line():
    with warnings.catch_warnings(record=True) as told, H.strict(warn=True):
        warnings.simplefilter("default")
        for _ in range(3):
            H.ones(3, 1) * H.ones(3)
    assert len(told) == 1
