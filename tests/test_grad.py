"""First and second gradients of every op: finite differences in float64 and complex128, and torch's own."""

import math

import numpy as np
import pytest
from harness import OURS, H, differences, dtype_name, flat, kind, make, torch, values_of
from samples import OPS, Arr

pytestmark = pytest.mark.filterwarnings("ignore")
STEP = 1e-6
DIFFERENTIABLE = [op for op in OPS if op.grad]
# torch has no second derivative of these; ours has one of every op.
FIRST_ONLY = () if OURS else ("F.hardsigmoid", "cdist")
WIDE = [
    pytest.param(op, d, id=f"{op.id}-{d}")
    for op in DIFFERENTIABLE
    for d in ("float64", "complex128")
    if d in op.dtypes and kind(d) in op.grad
]


def inner(a, b):
    """Re <a, b> summed over lists of arrays: what a gradient promises about a step."""
    return sum(float(np.sum(np.conj(x) * y).real) for x, y in zip(a, b, strict=True))


class Point:
    """An op on one sample as a function of the stored numbers of its differentiable arguments."""

    def __init__(self, op, sample):
        self.op, self.sample = op, sample
        self.inputs = [a for a in sample.arrays() if a.grad]
        self.bases = [a.base for a in self.inputs]

    def leaves(self, module, bases, grad=True):
        return [make(module, b, a.dtype).requires_grad_(grad) for a, b in zip(self.inputs, bases, strict=True)]

    def outputs(self, module, leaves):
        """The floating outputs of the op with these leaves in the places of its arguments."""
        queue = iter(leaves)
        args, kwargs = self.sample.map(lambda a: a.view(next(queue)) if a.grad else a.to(module))
        results = flat(self.op.function(module)(*args, **kwargs))
        return [y for y in results if hasattr(y, "dtype") and kind(dtype_name(y)) in "hfc"]

    def values(self, bases):
        return [values_of(y) for y in self.outputs(H, self.leaves(H, bases, grad=False))]

    def gradient(self, module, leaves, weights, create_graph=False):
        """J^H weights, one per leaf; zeros where the op does not depend on it."""
        ys = self.outputs(module, leaves)
        pairs = [(y, make(module, w, dtype_name(y))) for y, w in zip(ys, weights, strict=True) if y.requires_grad]
        assert pairs, f"{self.op.id}({self.sample}): no output requires grad"
        got = module.autograd.grad(
            [y for y, _ in pairs], leaves, [w for _, w in pairs], create_graph=create_graph, allow_unused=True
        )
        return [module.zeros_like(x) if g is None else g for x, g in zip(leaves, got, strict=True)]


def points(op, dtype):
    for sample in op.calls(dtype):
        point = Point(op, sample)
        if point.inputs:
            yield point


def direction(rng, arrays, dtype):
    values = [
        rng.uniform(-1, 1, a.shape) + (1j * rng.uniform(-1, 1, a.shape) if kind(dtype) == "c" else 0) for a in arrays
    ]
    return [v.astype(np.complex128 if np.iscomplexobj(a) else np.float64) for v, a in zip(values, arrays, strict=True)]


def stepped(bases, v, h):
    return [b + h * d for b, d in zip(bases, v, strict=True)]


def assert_slope(analytic, numeric, sizes, note):
    """Central differences in float64 are good to about 1e-9 of the largest number that enters."""
    size = 1 + sum(float(np.abs(s).sum()) for s in sizes)
    assert math.isfinite(analytic), f"{note}: {analytic}"
    assert abs(analytic - numeric) <= 1e-7 * size + 1e-5 * abs(numeric), f"{note}: {analytic} instead of {numeric}"


@pytest.mark.parametrize("op, dtype", WIDE)
def test_first(op, dtype):
    rng = np.random.default_rng(1)
    for point in points(op, dtype):
        values = point.values(point.bases)
        weights, v = direction(rng, values, dtype), direction(rng, point.bases, dtype)
        grads = point.gradient(H, point.leaves(H, point.bases), weights)
        for g, leaf in zip(grads, point.bases, strict=True):
            assert tuple(g.shape) == leaf.shape and dtype_name(g) == dtype
        ahead, behind = (point.values(stepped(point.bases, v, h)) for h in (STEP, -STEP))
        numeric = (inner(weights, ahead) - inner(weights, behind)) / (2 * STEP)
        assert_slope(inner([values_of(g) for g in grads], v), numeric, values, f"{op.id}({point.sample})")


@pytest.mark.parametrize("op, dtype", [p for p in WIDE if p.values[0].id not in FIRST_ONLY])
def test_second(op, dtype):
    rng = np.random.default_rng(2)
    for point in points(op, dtype):
        note = f"{op.id}({point.sample})"
        weights = direction(rng, point.values(point.bases), dtype)
        u, v = direction(rng, point.bases, dtype), direction(rng, point.bases, dtype)
        leaves = point.leaves(H, point.bases)
        grads = point.gradient(H, leaves, weights, create_graph=True)
        tied = [(g, make(H, d, dtype)) for g, d in zip(grads, u, strict=True) if g.requires_grad]
        analytic = 0.0
        if tied:
            second = H.autograd.grad([g for g, _ in tied], leaves, [d for _, d in tied], allow_unused=True)
            analytic = (
                inner(*zip(*((values_of(s), d) for s, d in zip(second, v, strict=True) if s is not None), strict=True))
                if any(s is not None for s in second)
                else 0.0
            )
        slopes = []
        for h in (STEP, -STEP):
            moved = point.gradient(H, point.leaves(H, stepped(point.bases, v, h)), weights)
            slopes.append([values_of(g) for g in moved])
        numeric = (inner(u, slopes[0]) - inner(u, slopes[1])) / (2 * STEP)
        assert_slope(analytic, numeric, slopes[0], note)


@pytest.mark.skipif(torch is None or not OURS, reason="compares with torch")
@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=repr)
def test_same_as_torch(op):
    """The same gradients as torch in every differentiable dtype, to a few hundred ulp of the largest."""
    rng = np.random.default_rng(3)
    for dtype in op.dtypes:
        if kind(dtype) not in op.grad:
            continue
        eps = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "complex64": 2**-23}.get(dtype, 2**-52)
        for point in points(op, dtype):
            note = f"{op.id}({point.sample}) {dtype}"
            ys = point.outputs(H, point.leaves(H, point.bases))
            weights = [np.round(w * 8) / 8 for w in direction(rng, [values_of(y) for y in ys], dtype)]
            got, want = (point.gradient(m, point.leaves(m, point.bases), weights) for m in (H, torch))
            for g, w in zip(got, want, strict=True):
                assert dtype_name(g) == dtype_name(w), f"{note}: {g.dtype}"
                assert tuple(g.shape) == tuple(w.shape), note
                a, b = values_of(g), values_of(w)
                size = 1 + np.abs(b[np.isfinite(b)]).max(initial=0)
                close = (
                    (a == b)
                    | ((a != a) & (b != b))
                    | (np.abs(a - b) <= (16 if kind(dtype) == "h" else 512) * eps * size)
                )
                assert close.all(), f"{note}: {a[~close][:3]} instead of {b[~close][:3]}"


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if "float64" in op.dtypes], ids=repr)
def test_gradcheck(op):
    """The library's own gradcheck and gradgradcheck agree on a small sample of every op."""
    usable = [p for p in points(op, "float64") if 0 < sum(b.size for b in p.bases) <= 40]
    for point in usable[:1]:
        f = lambda *leaves, point=point: tuple(point.outputs(H, leaves))
        assert H.autograd.gradcheck(f, point.leaves(H, point.bases))
        if op.id not in FIRST_ONLY and sum(b.size for b in point.bases) <= 20:
            assert H.autograd.gradgradcheck(f, point.leaves(H, point.bases))


def test_gradcheck_notices():
    class Wrong(H.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = H.tensor([1.0, 2.0], dtype=H.float64, requires_grad=True)
    assert H.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False) is False
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        H.autograd.gradcheck(Wrong.apply, (x,))


# Where a gradient is a convention: values read off torch ------------------------------------------------------------
CONVENTIONS = {
    "abs at 0": (lambda x: x.abs(), [-2.0, 0.0, 3.0], [-1, 0, 1]),
    "relu at 0": (lambda x: x.relu(), [-2.0, 0.0, 3.0], [0, 0, 1]),
    "sign": (lambda x: x.sign(), [-2.0, 0.0, 3.0], [0, 0, 0]),
    "sqrt at 0": (lambda x: x.sqrt(), [0.0, 4.0], [math.inf, 0.25]),
    "clamp at its bounds": (lambda x: x.clamp(0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0], [0, 1, 1, 1, 0]),
    "max shares among ties": (lambda x: x.max(), [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
    "amax shares among ties": (lambda x: x.amax(0), [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
    "max along a dim picks one": (lambda x: x.max(0).values, [1.0, 3.0, 2.0], [0, 1, 0]),
    "maximum halves ties": (
        lambda x: H.maximum(x, H.tensor([1.0, 2.0, 2.0]).to(x.dtype)),
        [1.0, 3.0, 1.0],
        [0.5, 1, 0],
    ),
    "norm of zeros": (lambda x: x.norm(), [0.0, 0.0], [0, 0]),
    "prod with one zero": (lambda x: x.prod(), [2.0, 0.0, 3.0], [0, 6, 0]),
    "prod with two zeros": (lambda x: x.prod(), [2.0, 0.0, 0.0], [0, 0, 0]),
    "cumprod with a zero": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0], [1, 8, 0]),
    "x ** 0 at 0": (lambda x: x**0, [0.0, 2.0], [0, 0]),
    "x ** 1 at 0": (lambda x: x**1, [0.0, 2.0], [1, 1]),
    "x ** 2 at 0": (lambda x: x**2, [0.0, 2.0], [0, 4]),
    "leaky_relu at 0": (lambda x: H.nn.functional.leaky_relu(x, 0.5), [-1.0, 0.0, 1.0], [0.5, 0.5, 1]),
    "elu at 0": (lambda x: H.nn.functional.elu(x), [0.0, 1.0], [1, 1]),
    "hardtanh at its bounds": (lambda x: H.nn.functional.hardtanh(x), [-1.0, 0.5, 1.0], [0, 1, 0]),
    "where keeps NaN out of the branch taken": (lambda x: H.where(x > 0, x, x * 0), [1.0, -1.0], [1, 0]),
    "l1 at 0": (lambda x: H.nn.functional.l1_loss(x, H.zeros_like(x), reduction="sum"), [0.0, 2.0], [0, 1]),
    "std of equal numbers": (lambda x: x.std(unbiased=False), [2.0, 2.0], [0, 0]),
    "floor": (lambda x: x.floor(), [1.5, 2.0], [0, 0]),
    "remainder": (lambda x: x % 2, [1.5, 3.0], [1, 1]),
    "cummax": (lambda x: x.cummax(0).values, [1.0, 3.0, 2.0], [1, 2, 0]),
    "sort": (lambda x: x.sort().values * H.tensor([1.0, 2.0, 3.0]).to(x.dtype), [3.0, 1.0, 2.0], [3, 1, 2]),
    "expand sums": (lambda x: x.expand(4, 2), [1.0, 2.0], [4, 4]),
    "indexing twice": (lambda x: x[[0, 0, 1]], [1.0, 2.0], [2, 1]),
    "median": (lambda x: x.median(), [3.0, 1.0, 2.0], [0, 0, 1]),
}


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conventions(name, dtype):
    f, values, want = CONVENTIONS[name]
    x = make(H, np.array(values), dtype).requires_grad_()
    f(x).sum().backward()
    assert not differences(values_of(x.grad), np.array(want, float), dtype, 4), x.grad


def test_cholesky():
    """Only the lower triangle is read, so the matrix is made symmetric inside."""
    spd = lambda a: H.linalg.cholesky(a @ a.mT + 3 * H.eye(3, dtype=a.dtype))
    a = H.arange(9.0, dtype=H.float64).reshape(3, 3).div(5).requires_grad_()
    assert H.autograd.gradcheck(spd, (a,)) and H.autograd.gradgradcheck(spd, (a,))


def test_gradients_reach_every_kind_of_index():
    x = H.arange(24.0, dtype=H.float64).reshape(2, 3, 4).requires_grad_()
    mask = H.tensor([True, False, True])
    for index in [
        0,
        -1,
        (0, 1),
        (..., 2),
        slice(1, None),
        (slice(None), [0, 2]),
        (None, 1),
        (slice(None), mask),
        ([0, 1], [1, 2], [3, 0]),
        x > 5,
        (1, ..., [0, 0]),
    ]:
        (g,) = H.autograd.grad(x[index].sum() * 2, x)
        want = np.zeros((2, 3, 4))
        plain = (
            tuple(i.numpy() if H.is_tensor(i) else i for i in index)
            if isinstance(index, tuple)
            else (index.detach().numpy() if H.is_tensor(index) else index)
        )
        np.add.at(want, plain, 2)
        assert (g.numpy() == want).all(), index


def test_assignment_routes_gradients():
    x = H.zeros(2, 3, dtype=H.float64, requires_grad=True)
    v = H.ones(3, dtype=H.float64, requires_grad=True)
    y = x * 2
    y[0] = v
    y[:, 1] *= 3
    (y * H.arange(6.0).reshape(2, 3)).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [6, 24, 10]] and v.grad.tolist() == [0, 3, 2]


def test_sample_inputs_are_differentiable():
    """Guards the tests above: every differentiable op has at least one gradient sample."""
    for op in DIFFERENTIABLE:
        assert any(isinstance(a, Arr) for p in points(op, "float64") for a in p.inputs) or "float64" not in op.dtypes, (
            op.id
        )
