"""vmap against the op on one sample after the other: every op of the table, every way its tensors may be batched."""

import itertools
import operator

import numpy as np
import pytest
from harness import OURS, H, flat, make, torch
from samples import OPS

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.skipif(not OURS, reason="against our own ops")]
BATCH = 3


def variants(arr):
    """The numbers of a sample, and the same in other places: three samples that differ."""
    base = arr.base
    return [base, np.flip(base).copy() if base.ndim else base, np.roll(base, 1)]


def ways(n):
    """Which of n tensors are batched: each alone, and all."""
    every = [tuple(i == k for i in range(n)) for k in range(min(n, 3))]
    return every if n == 1 else [*every, (True,) * n]


def calls(op, dtype, limit=8):
    for sample in itertools.islice(op.calls(dtype), limit):
        arrays = sample.arrays()
        if arrays and all(a.layout != "e" for a in arrays):
            yield sample, arrays


def run(f, sample, tensors):
    queue = iter(tensors)
    args, kwargs = sample.map(lambda a: next(queue))
    return f(*args, **kwargs)


def one_by_one(f, sample, rows):
    """The results for every sample, stacked; None where the op refuses one or their shapes differ."""
    results = []
    for row in rows:
        try:
            results.append(flat(run(f, sample, row)))
        except (RuntimeError, ValueError, IndexError):
            return None
    if any(not isinstance(y, H.Tensor) for r in results for y in r):
        return None
    if any(len({tuple(y.shape) for y in column}) > 1 for column in zip(*results, strict=True)):
        return None
    return [H.stack(list(column)) for column in zip(*results, strict=True)]


# These draw numbers, or answer with what is no tensor, or with a shape that depends on the numbers.
SKIPPED = ("nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount", "equal", "allclose")


@pytest.mark.parametrize("op", [op for op in OPS if "float64" in op.dtypes], ids=lambda op: op.id)
def test_like_one_by_one(op):
    f, tried = op.function(H), 0
    for sample, arrays in calls(op, "float64"):
        plain = [[make(H, base, a.dtype) for base in variants(a)] for a in arrays]
        for way in ways(len(arrays)):
            rows = [
                [a.view(p[k if b else 0]) for a, p, b in zip(arrays, plain, way, strict=True)] for k in range(BATCH)
            ]
            want = one_by_one(f, sample, rows)
            if want is None:  # a matrix that lost what it must have; its copies keep it
                rows = [rows[0]] * BATCH
                want = one_by_one(f, sample, rows)
            if want is None:
                continue
            given = [H.stack([row[i] for row in rows]) if b else rows[0][i] for i, b in enumerate(way)]
            dims = tuple(0 if b else None for b in way)
            got = flat(H.vmap(lambda *tensors, s=sample: tuple(flat(run(f, s, tensors))), in_dims=dims)(*given))
            note = f"{op.id}({sample}) batched: {way}"
            assert len(got) == len(want), note
            for y, z in zip(got, want, strict=True):
                assert y.shape == z.shape and y.dtype == z.dtype, f"{note}: {y.shape} {y.dtype}, {z.shape} {z.dtype}"
                assert type(y) is H.Tensor, note
                np.testing.assert_allclose(
                    y.detach().numpy(), z.detach().numpy(), rtol=1e-9, atol=1e-10, err_msg=note, equal_nan=True
                )
            tried += 1
    if not tried:
        pytest.skip("no sample has tensors for a result")


def both(program, *shapes, seed=0):
    """A program of a library and tensors: its results with ours and with torch's."""
    if torch is None:
        pytest.skip("compares with torch")
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=s) for s in shapes]
    got, want = (program(lib, *[lib.tensor(a) for a in arrays]) for lib in (H, torch))
    for y, z in zip(flat(got), flat(want), strict=True):
        assert tuple(y.shape) == tuple(z.shape) and repr(y.dtype) == repr(z.dtype)
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)


def network(lib, x, w1, b1, w2):
    return lib.nn.functional.linear((lib.nn.functional.linear(x, w1, b1)).tanh(), w2)


PROGRAMS = {
    "per-sample gradients": (
        lambda lib, x, w, b, v: lib.vmap(
            lib.func.grad(lambda w, b, v, x: network(lib, x, w, b, v).square().sum(), argnums=(0, 1, 2)),
            in_dims=(None, None, None, 0),
        )(w, b, v, x),
        [(5, 3), (4, 3), (4,), (2, 4)],
    ),
    "per-sample gradients of a classifier": (
        lambda lib, x, w: lib.vmap(
            lib.func.grad(lambda w, x, t: lib.nn.functional.cross_entropy(x[None] @ w, t[None])), in_dims=(None, 0, 0)
        )(w, x, lib.arange(5) % 4),
        [(5, 3), (3, 4)],
    ),
    "per-sample gradients of a convolution": (
        lambda lib, x, w, b: lib.vmap(
            lib.func.grad(
                lambda w, b, x: lib.nn.functional.conv2d(x[None], w, b, stride=2, padding=1).relu().pow(2).mean(),
                (0, 1),
            ),
            in_dims=(None, None, 0),
        )(w, b, x),
        [(4, 2, 7, 6), (3, 2, 3, 3), (3,)],
    ),
    "nested": (
        lambda lib, x, y: lib.vmap(lib.vmap(lambda a, b: (a * b).sum() + a, in_dims=(None, 0)), in_dims=(0, None))(
            x, y
        ),
        [(3, 4), (5, 4)],
    ),
    "nested three times": (
        lambda lib, x: lib.vmap(lib.vmap(lib.vmap(lambda v: v @ v, in_dims=1), in_dims=2, out_dims=1), in_dims=3)(x),
        [(2, 3, 4, 5)],
    ),
    "hessian": (
        lambda lib, x, w: lib.vmap(lib.func.hessian(lambda x: (w @ x).tanh().prod()))(x),
        [(3, 2), (2, 2)],
    ),
    "jacobians": (
        lambda lib, x, w: (
            lib.vmap(lib.func.jacrev(lambda x: (w @ x).sin()))(x),
            lib.vmap(lib.func.jacfwd(lambda x: (w @ x).sin()))(x),
        ),
        [(3, 2), (4, 2)],
    ),
    "gradient of a gradient": (
        lambda lib, x: lib.vmap(lib.func.grad(lib.func.grad(lambda x: (x**3).exp())))(x),
        [(6,)],
    ),
    "vmap of a vjp": (lambda lib, x, s: lib.vmap(lib.func.vjp(lib.sin, x)[1])(s), [(4,), (3, 4)]),
    "vmap of a jvp": (
        lambda lib, x, v: lib.vmap(lambda v: lib.func.jvp(lambda x: x.exp().cumsum(0), (x,), (v,))[1])(v),
        [(4,), (3, 4)],
    ),
    "gradient of a vmap": (
        lambda lib, x, w: lib.func.grad(lambda w: lib.vmap(lambda r: (r @ w).tanh())(x).sum())(w),
        [(5, 3), (3, 2)],
    ),
    "in place": (
        lambda lib, x, y: lib.vmap(lambda a, b: a.clone().mul_(2).add_(b.sum()).clamp_(-1, 1))(x, y),
        [(3, 4), (3, 2)],
    ),
    "written into": (
        lambda lib, x: lib.vmap(lambda a: _written(a))(x),
        [(3, 4)],
    ),
    "0-d samples give way": (
        lambda lib, x, y: lib.vmap(lambda s, v: s * v.float() + 1)(x, y),
        [(3,), (3, 4)],
    ),
    "indices by sample": (
        lambda lib, x, t: lib.vmap(lambda i, r: (r[i], t[i], r[i % 2 : 3] if False else r[1:]))(lib.arange(3), x),
        [(3, 4), (5, 2)],
    ),
    "chunks": (lambda lib, x: lib.vmap(lambda r: r.cumsum(0), chunk_size=2)(x), [(5, 3)]),
    "no batch in the result": (lambda lib, x: lib.vmap(lambda r: lib.ones(2))(x), [(3, 2)]),
    "out_dims": (lambda lib, x: lib.vmap(lambda r: (r, r.sum()), out_dims=(-1, 0))(x), [(3, 2)]),
    "attention": (
        lambda lib, q, k: lib.vmap(
            lambda q, k: lib.nn.functional.scaled_dot_product_attention(q, k, k, is_causal=True)
        )(q, k),
        [(3, 2, 4, 5), (3, 2, 4, 5)],
    ),
    "linalg": (
        lambda lib, x: lib.vmap(lambda m: (lib.linalg.det(m @ m.T), lib.linalg.inv(m), lib.linalg.norm(m), m.trace()))(
            x
        ),
        [(4, 3, 3)],
    ),
    "gradient through linalg": (
        lambda lib, x: lib.vmap(lib.func.grad(lambda m: lib.linalg.solve(m, m.sum(1)).pow(2).sum()))(x),
        [(4, 3, 3)],
    ),
    "losses": (
        lambda lib, x, y: lib.vmap(
            lambda a, b: (
                lib.nn.functional.mse_loss(a, b),
                lib.nn.functional.smooth_l1_loss(a, b, reduction="sum"),
                lib.nn.functional.binary_cross_entropy_with_logits(a, b.sigmoid()),
            )
        )(x, y),
        [(3, 4), (3, 4)],
    ),
    "ensemble": (lambda lib, x: _ensemble(lib, x), [(6, 3)]),
}


def _written(a):
    out = a.new_zeros(3, 4)
    out[1] = a
    out[:, 0] = a[1]
    out[2, 1:] += 1
    return out


def _ensemble(lib, x):
    models = []
    for k in range(3):
        net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.LayerNorm(4), lib.nn.GELU(), lib.nn.Linear(4, 2)).double()
        with lib.no_grad():
            for i, p in enumerate(net.parameters()):
                p.copy_(lib.linspace(-1, 1 + k, p.numel(), dtype=lib.float64).view(p.shape) + i / 7)
        models.append(net)
    params, buffers = lib.func.stack_module_state(models)

    def call(p, b, x):
        return lib.func.functional_call(models[0], (p, b), (x,))

    return lib.vmap(call, in_dims=(0, 0, None))(params, buffers, x), lib.stack([m(x) for m in models])


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_torch(name):
    program, shapes = PROGRAMS[name]
    both(program, *shapes)


REFUSED = {
    "item": lambda lib, x: lib.vmap(lambda r: r * r.sum().item())(x),
    "out_dims None": lambda lib, x: lib.vmap(lambda r: r, out_dims=None)(x),
    "random in place": lambda lib, x: lib.vmap(lambda r: r + lib.zeros(2).normal_(), randomness="different")(x),
    "dropout": lambda lib, x: lib.vmap(lambda r: lib.nn.functional.dropout(r))(x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_torch_does(name):
    if torch is None:
        pytest.skip("compares with torch")
    said = []
    for lib in (H, torch):
        with pytest.raises(Exception) as info:
            REFUSED[name](lib, lib.ones(3, 2, dtype=lib.float64))
        said.append((type(info.value), str(info.value).splitlines()[0].split("  ")[0]))
    assert said[0] == said[1]


def test_refused_in_words_of_ours():
    x = H.ones(3, 2)
    for f, words in {
        lambda r: H.zeros(2).add_(r): r"add_\(self, \*extra_args\) is not possible",
        lambda r: operator.iadd(H.zeros(2), r): r"__iadd__\(self, \*extra_args\) is not possible",
        lambda r: r @ H.ones(5): r"inconsistent tensor size, expected tensor \[2\] and src \[5\]",
        lambda r: r.view(1, 2) @ H.ones(5, 2): r"mat1 and mat2 shapes cannot be multiplied \(1x2 and 5x2\)",
        lambda r: r.sum(3): r"Dimension out of range \(expected to be in range of \[-1, 0\], but got 3\)",
        lambda r: r if r.sum() > 0 else -r: "data-dependent control flow",
        lambda r: r.tolist(): "no memory of its own",
        lambda r: r.sum().backward(): "func.grad inside of vmap",
    }.items():
        with pytest.raises((RuntimeError, IndexError), match=words):
            H.vmap(f)(x)


def test_shapes_that_depend_on_numbers():
    x = H.tensor([[1.0, 0.0], [1.0, 1.0]])
    with pytest.raises(RuntimeError, match="nonzero.*data-dependent shapes"):
        H.vmap(lambda r: r.nonzero())(x)
    assert H.vmap(lambda r: r.nonzero())(x[1:].expand(2, 2)).shape == (2, 2, 1)
    with pytest.raises(RuntimeError, match="out=.*not possible"):
        H.vmap(lambda r: H.exp(r, out=H.empty(2)))(x)
    leaked = []
    H.vmap(lambda r: leaked.append(r) or r)(x)
    with pytest.raises(RuntimeError, match="vmap had ended"):
        H.vmap(lambda r: r + leaked[0])(x)


@pytest.mark.parametrize(
    "draw", ["rand", "randn", "randint", "randperm", "dropout", "bernoulli", "normal_", "rand_like"]
)
def test_random_numbers(draw):
    def f(r):
        return {
            "rand": lambda: H.rand(20),
            "randn": lambda: H.randn(20),
            "randint": lambda: H.randint(0, 1000, (20,)),
            "randperm": lambda: H.randperm(20),
            "dropout": lambda: H.nn.functional.dropout(r + 1),
            "bernoulli": lambda: H.bernoulli(r + 0.5),
            "normal_": lambda: (r + 0).normal_(),
            "rand_like": lambda: H.rand_like(r),
        }[draw]() + 0 * r

    x = H.zeros(3, 20)
    same = H.vmap(f, randomness="same")(x)
    assert H.equal(same[0], same[1]) and H.equal(same[0], same[2])
    different = H.vmap(f, randomness="different")(x)
    assert not H.equal(different[0], different[1]) and not H.equal(different[1], different[2])
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        H.vmap(f)(x)
    nested = H.vmap(lambda a: H.vmap(f, randomness="different")(a), randomness="same")(x.expand(2, 3, 20))
    assert H.equal(nested[0], nested[1]) and not H.equal(nested[0, 0], nested[0, 1])


def test_same_draws_as_torch():
    if torch is None:
        pytest.skip("compares with torch")
    got = []
    for lib in (H, torch):
        lib.manual_seed(3)
        got.append(lib.vmap(lambda r, lib=lib: r + lib.randn(40), randomness="different")(lib.zeros(3, 40)).tolist())
    np.testing.assert_allclose(*got, rtol=1e-6)


def test_the_function_runs_once_and_ops_on_the_whole_batch():
    ran = []

    def f(a, b):
        ran.append(a.shape)
        return (a @ b).relu() * 2

    a, b = H.ones(1000, 4, 5), H.ones(5)
    assert H.vmap(f, in_dims=(0, None))(a, b).shape == (1000, 4) and ran == [(4, 5)]
    y = H.vmap(lambda a: a * 2)(H.ones(3, requires_grad=True))
    assert y.grad_fn is not None and H.is_tensor(y)


def test_strangers_are_left_alone():
    """Ops on plain tensors inside, in other threads, and after an error are as ever."""
    import threading

    results = []

    def f(r):
        thread = threading.Thread(target=lambda: results.append((H.ones(2) + 1).tolist()))
        thread.start()
        thread.join()
        return r + H.ones(2).sum()

    assert H.vmap(f)(H.zeros(3)).tolist() == [2, 2, 2] and results == [[2, 2]]
    with pytest.raises(ZeroDivisionError):
        H.vmap(lambda r: 1 / 0)(H.zeros(3))
    assert type(H.exp(H.zeros(2))) is H.Tensor and H._C._watch(None) is None


class Twice(H.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_functions_of_ones_own():
    x = H.arange(6.0).view(3, 2).requires_grad_()
    y = H.vmap(lambda r: Twice.apply(r).sum())(x)
    y.sum().backward()
    assert y.tolist() == [2, 10, 18] and (x.grad == 2).all()


@pytest.mark.parametrize("op", [op for op in OPS if op.grad and "float64" in op.dtypes], ids=lambda op: op.id)
def test_gradients_like_one_by_one(op):
    """vmap of a gradient, where all that is differentiated is batched, or nothing is but the rest."""
    f, tried = op.function(H), 0
    for sample, arrays in calls(op, "float64", limit=3):
        inputs = [i for i, a in enumerate(arrays) if a.grad]
        if not inputs:
            continue
        plain = [[make(H, base, a.dtype) for base in variants(a)] for a in arrays]
        rows = [[a.view(p[k]) for a, p in zip(arrays, plain, strict=True)] for k in range(BATCH)]

        def loss(*tensors, s=sample):
            results = [y for y in flat(run(f, s, tensors)) if y.is_floating_point() or y.is_complex()]
            return sum((y.abs() * H.linspace(1, 2, y.numel(), dtype=H.float64).view(y.shape)).sum() for y in results)

        gradient = H.func.grad(loss, argnums=tuple(inputs))
        for shared in (False, True):
            if shared and len(inputs) == len(arrays):
                continue
            these = [[r[i] if not shared or i not in inputs else rows[0][i] for i in range(len(r))] for r in rows]
            try:
                want = [gradient(*row) for row in these]
            except (RuntimeError, ValueError, IndexError, TypeError):
                continue
            if not all(H.isfinite(g).all() for grads in want for g in grads):
                continue
            dims = tuple(None if shared and i in inputs else 0 for i in range(len(arrays)))
            given = [these[0][i] if d is None else H.stack([row[i] for row in these]) for i, d in enumerate(dims)]
            got = H.vmap(gradient, in_dims=dims)(*given)
            for y, *z in zip(got, *want, strict=True):
                np.testing.assert_allclose(
                    y.numpy(), H.stack(z).numpy(), rtol=1e-7, atol=1e-9, err_msg=f"{op.id}({sample}) {shared}"
                )
            tried += 1
    if not tried:
        pytest.skip("no sample has a gradient")
