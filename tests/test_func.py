"""torch.func: functions made of functions, against torch where it is installed, against formulas always."""

import doctest

import numpy as np
import pytest
from harness import OURS, H

func = H.func


def oracle():
    return pytest.importorskip("torch")


def vectors(lib):
    return (lib.tensor(v, dtype=lib.float64) for v in ([1.0, 2.0, 3.0], [0.5, -1.0, 2.0]))


def through_weights(lib):
    """A gradient inside whose result leads to a tensor outside."""
    x, _ = vectors(lib)
    w = (x + 1).requires_grad_()
    lib.func.grad(lambda x: (w * x**2).sum())(x).sum().backward()
    return w.grad


def ensemble(lib):
    models = [lib.nn.Linear(3, 2).double() for _ in range(3)]
    params, _ = lib.func.stack_module_state(models)
    params = {k: lib.ones_like(v).cumsum(0) for k, v in params.items()}
    call = lib.func.vmap(lambda p, x: lib.func.functional_call(models[0], p, (x,)), in_dims=(0, None))
    return call(params, next(vectors(lib))), list(params)


def same_draws(lib):
    rows = lib.vmap(lambda x: x + lib.rand(2), randomness="same")(lib.zeros(3, 2))
    return (rows == rows[0]).all()


CASES = {
    "grad": lambda lib, f, x, y: f.grad(lambda x: (x.sin() * y).sum())(x),
    "grad-argnums": lambda lib, f, x, y: f.grad(lambda x, y: (x * y**2).sum(), argnums=(0, 1))(x, y),
    "grad-last": lambda lib, f, x, y: f.grad(lambda x, y: (x * y**2).sum(), argnums=-1)(x, y),
    "grad-twice": lambda lib, f, x, y: f.grad(f.grad(lambda x: x.sin()))(x[0]),
    "grad-dict": lambda lib, f, x, y: f.grad_and_value(lambda p: (p["a"] * p["b"]).sum())({"a": x, "b": y}),
    "grad-aux": lambda lib, f, x, y: f.grad(lambda x: ((x**2).sum(), x * 2), has_aux=True)(x),
    "grad-detached": lambda lib, f, x, y: f.grad(lambda x: (x**2).sum())(x).requires_grad,
    "grad-unused": lambda lib, f, x, y: f.grad(lambda x, y: y.sum())(x, y),
    "grad-no_grad": lambda lib, f, x, y: lib.no_grad()(f.grad(lambda x: (x**2).sum()))(x),
    "outside": lambda lib, f, x, y: through_weights(lib),
    "vjp": lambda lib, f, x, y: f.vjp(lambda x, y: (x * y, x.sum()), x, y)[1]((x, y[0])),
    "vjp-value": lambda lib, f, x, y: f.vjp(lambda x, y: {"p": x * y}, x, y)[0],
    "vjp-aux": lambda lib, f, x, y: f.vjp(lambda x: (x * y, x + 1), x, has_aux=True)[2],
    "jvp": lambda lib, f, x, y: f.jvp(lambda x, y: x * y.exp(), (x, y), (y, x)),
    "linearize": lambda lib, f, x, y: f.linearize(lambda x: x.sin(), x)[1](y),
    "jacrev": lambda lib, f, x, y: f.jacrev(lambda x: lib.outer(x, x))(x),
    "jacrev-nest": lambda lib, f, x, y: f.jacrev(lambda x, y: {"p": lib.outer(x, y), "q": x.sum()}, (0, 1))(x, y),
    "jacrev-aux": lambda lib, f, x, y: f.jacrev(lambda x: (x**2, x + 1), has_aux=True)(x),
    "jacfwd": lambda lib, f, x, y: f.jacfwd(lambda x, y: (lib.outer(x, y), x.sum()), argnums=(0, 1))(x, y),
    "hessian": lambda lib, f, x, y: f.hessian(lambda x: (x**3).prod())(x),
    "vmap-grad": lambda lib, f, x, y: f.vmap(f.grad(lambda x: (x**3).sum()))(lib.outer(x, y)),
    "grad-vmap": lambda lib, f, x, y: f.grad(lambda x: f.vmap(lambda r: r @ y)(lib.outer(x, x)).sum())(x),
    "vmap-dims": lambda lib, f, x, y: f.vmap(lambda a, b: a @ b, in_dims=(1, None), out_dims=1)(
        lib.outer(x, y), y.outer(x)
    ),
    "vmap-dict": lambda lib, f, x, y: f.vmap(lambda d: {"s": d["u"].sum(), "m": d["v"] * 2}, ({"u": 0, "v": 1},))(
        {"u": lib.outer(x, y), "v": lib.outer(y, x)}
    ),
    "vmap-out_dims": lambda lib, f, x, y: f.vmap(lambda r: (r, r.sum()), out_dims=(1, 0))(lib.outer(x, y)),
    "vmap-vmap": lambda lib, f, x, y: f.vmap(f.vmap(lib.mul, in_dims=(0, None)), in_dims=(None, 0))(x, y),
    "vmap-same": lambda lib, f, x, y: same_draws(lib),
    "ensemble": lambda lib, f, x, y: ensemble(lib),
}


def same(a, b):
    if isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for u, v in zip(a, b, strict=True):
            same(u, v)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif hasattr(a, "detach"):
        assert tuple(a.shape) == tuple(b.shape) and a.requires_grad == b.requires_grad
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)
    else:
        assert a == b


@pytest.mark.parametrize("name", CASES)
def test_result_is_torchs(name):
    torch = oracle()
    mine, theirs = (CASES[name](lib, lib.func, *vectors(lib)) for lib in (H, torch))
    same(mine, theirs)


ERRORS = {
    "random": lambda lib: lib.func.vmap(lambda x: x + lib.rand(2))(lib.ones(3, 2)),
    "no-scalar": lambda lib: lib.func.grad(lambda x: x * 2)(lib.ones(3)),
    "no-tensor": lambda lib: lib.func.grad(lambda x: 3)(lib.ones(3)),
    "argnums": lambda lib: lib.func.grad(lambda x: x.sum(), argnums=2)(lib.ones(3)),
    "sizes": lambda lib: lib.func.vmap(lib.add)(lib.ones(3), lib.ones(2)),
    "vmap-returns": lambda lib: lib.func.vmap(lambda x: 3)(lib.ones(3)),
    "vmap-dims": lambda lib: lib.func.vmap(lambda x: x, in_dims=2)(lib.ones(3)),
    "vmap-number": lambda lib: lib.func.vmap(lambda x: x)(3),
    "randomness": lambda lib: lib.func.vmap(lambda x: x, randomness="maybe")(lib.ones(3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    torch = oracle()
    said = []
    for lib in (H, torch):
        with pytest.raises(Exception) as info:
            ERRORS[name](lib)
        said.append((type(info.value), str(info.value).splitlines()[0]))
    assert said[0] == said[1]


def test_by_formula():
    x = H.tensor([0.3, 0.7], dtype=H.float64)
    same(func.grad(lambda x: (x**3).sum())(x), 3 * x**2)
    same(func.hessian(lambda x: (x**3).sum())(x), H.diag(6 * x))
    matrix = H.arange(6.0, dtype=H.float64).view(3, 2)
    same(func.jacfwd(lambda x: matrix @ x)(x), matrix)
    same(func.jacrev(lambda x: matrix @ x)(x), matrix)
    same(func.vmap(lambda row: row @ x)(matrix), matrix @ x)


def test_random_numbers_differ():
    rows = func.vmap(lambda x: x + H.rand(2), randomness="different")(H.zeros(3, 2))
    assert (rows[0] != rows[1]).any()


@pytest.mark.skipif(not OURS, reason="our examples")
def test_examples():
    from hadamard.utils import _pytree

    for module in (func, _pytree):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed
