"""hadamard.linalg against NumPy in float64, finite differences, and torch where it is installed."""

import builtins
import math

import numpy as np
import pytest
from harness import H, torch, values_of

rng = np.random.default_rng


def random(*shape, dtype="float64", seed=0):
    x = rng(seed).standard_normal(shape)
    return np.asarray(x + 1j * rng(seed + 1).standard_normal(shape) if "complex" in dtype else x, dtype=dtype)


def positive(*shape, dtype="float64"):
    x = random(*shape, dtype=dtype)
    return x @ np.conj(np.swapaxes(x, -1, -2)) + shape[-1] * np.eye(shape[-1])


def close(got, want, tolerance=1e-10):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


BATCHES = [(3, 3), (2, 4, 4), (2, 1, 3, 3), (0, 3, 3), (1, 1), (0, 0)]
KINDS = ["float64", "complex128"]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", BATCHES)
def test_square(shape, dtype):
    a = positive(*shape, dtype=dtype)
    x = H.from_numpy(a)
    close(values_of(H.linalg.inv(x)), np.linalg.inv(a))
    close(values_of(H.linalg.det(x)), np.linalg.det(a))
    sign, log = np.linalg.slogdet(a)
    result = H.linalg.slogdet(x)
    close(values_of(result.sign), sign)
    close(values_of(result.logabsdet), log)
    close(values_of(H.linalg.cholesky(x)), np.linalg.cholesky(a))
    close(values_of(H.linalg.cholesky(x, upper=True)), np.conj(np.swapaxes(np.linalg.cholesky(a), -1, -2)))
    close(values_of(H.linalg.eigvalsh(x)), np.linalg.eigvalsh(a))
    close(values_of(H.linalg.matrix_power(x, 3)), np.linalg.matrix_power(a, 3))
    close(values_of(H.linalg.matrix_power(x, -2)), np.linalg.inv(a @ a))
    values, vectors = H.linalg.eigh(x)
    close(values_of(vectors * values.unsqueeze(-2) @ vectors.mT.conj()), a)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (2, 3, 3), (2, 5, 2), (0, 3, 2)])
def test_rectangular(shape, dtype):
    a = random(*shape, dtype=dtype)
    x = H.from_numpy(a)
    k = min(shape[-2:])
    Q, R = H.linalg.qr(x)
    assert Q.shape[-1] == R.shape[-2] == k
    close(values_of(Q @ R), a)
    close(values_of(Q.mT.conj() @ Q), np.broadcast_to(np.eye(k), (*shape[:-2], k, k)))
    U, S, Vh = H.linalg.svd(x, full_matrices=False)
    close(values_of(U * S.unsqueeze(-2) @ Vh), a)
    assert H.linalg.svd(x).U.shape[-1] == shape[-2]
    close(values_of(S), np.linalg.svd(a, compute_uv=False))
    close(values_of(H.linalg.svdvals(x)), np.linalg.svd(a, compute_uv=False))
    close(values_of(H.linalg.pinv(x)), np.linalg.pinv(a))
    assert (values_of(H.linalg.matrix_rank(x)) == k).all()


@pytest.mark.parametrize("left", [True, False])
def test_solve(left):
    a, b = random(2, 3, 3), random(3, 4, seed=5)
    x = H.linalg.solve(H.from_numpy(a), H.from_numpy(b if left else b.T.copy()), left=left)
    want = np.linalg.solve(a, b) if left else b.T @ np.linalg.inv(a)
    close(values_of(x), want)


def test_solve_vector():
    a, b = random(2, 3, 3), random(2, 3, seed=5)
    close(values_of(H.linalg.solve(H.from_numpy(a), H.from_numpy(b))), np.linalg.solve(a, b[..., None])[..., 0])
    close(values_of(H.linalg.solve(H.from_numpy(a[0]), H.from_numpy(b[0]))), np.linalg.solve(a[0], b[0]))


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_solve_triangular(upper, left, unit):
    a, b = random(4, 4), random(4, 4, seed=3)
    t = np.triu(a) if upper else np.tril(a)
    if unit:
        np.fill_diagonal(t, 1)
    x = H.linalg.solve_triangular(H.from_numpy(a), H.from_numpy(b), upper=upper, left=left, unitriangular=unit)
    close(values_of(x), np.linalg.solve(t, b) if left else b @ np.linalg.inv(t), 1e-8)


def test_lu():
    a = random(2, 4, 3)
    P, L, U = H.linalg.lu(H.from_numpy(a))
    close(values_of(P @ L @ U), a)
    square, b = random(2, 3, 3), random(2, 3, 2, seed=4)
    LU, pivots = H.linalg.lu_factor(H.from_numpy(square))
    assert pivots.dtype == H.int32
    close(values_of(H.linalg.lu_solve(LU, pivots, H.from_numpy(b))), np.linalg.solve(square, b))
    close(
        values_of(H.linalg.lu_solve(LU, pivots, H.from_numpy(b), adjoint=True)),
        np.linalg.solve(np.swapaxes(square, -1, -2), b),
    )


def test_lstsq():
    a, b = random(5, 3), random(5, 2, seed=2)
    r = H.linalg.lstsq(H.from_numpy(a), H.from_numpy(b), driver="gelsd")
    solution, residuals, rank, values = np.linalg.lstsq(a, b, rcond=None)
    close(values_of(r.solution), solution)
    close(values_of(r.residuals), residuals)
    assert int(r.rank) == rank
    close(values_of(r.singular_values), values)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_matrix_exp(scale):
    a = random(2, 3, 3) * scale
    values, vectors = np.linalg.eig(a)
    want = (vectors * np.exp(values)[:, None, :] @ np.linalg.inv(vectors)).real
    np.testing.assert_allclose(values_of(H.linalg.matrix_exp(H.from_numpy(a))), want, rtol=1e-8)


ORDERS = ["fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norm(order, keepdim):
    a = random(2, 3, 4)
    got = H.linalg.matrix_norm(H.from_numpy(a), order, keepdim=keepdim)
    close(values_of(got), np.linalg.norm(a, order, axis=(-2, -1), keepdims=keepdim))
    got = H.linalg.norm(H.from_numpy(a), order, (2, 0), keepdim)
    close(values_of(got), np.linalg.norm(a, order, axis=(2, 0), keepdims=keepdim))


@pytest.mark.parametrize("order", [None, *ORDERS])
def test_cond(order):
    a = random(3, 3)
    close(values_of(H.linalg.cond(H.from_numpy(a), order)), np.linalg.cond(a, order))


def test_others():
    a = random(2, 3, 6)
    close(values_of(H.linalg.tensorinv(H.from_numpy(a))), np.linalg.tensorinv(a))
    b = random(2, 3, seed=3)
    close(values_of(H.linalg.tensorsolve(H.from_numpy(a), H.from_numpy(b))), np.linalg.tensorsolve(a, b))
    x = np.array([1.0, 2.0, 3.0])
    close(values_of(H.linalg.vander(H.from_numpy(x), 4)), np.vander(x, 4, increasing=True))


# Gradients: a step along a direction changes the result by its product with the gradient, also in the gradient itself.


def spd(x):
    return x @ x.mT.conj() + 3 * H.eye(x.shape[-1], dtype=x.dtype)


def triangle(x):
    return x.tril() + 3 * H.eye(x.shape[-1], dtype=x.dtype)


def projector(v, s):
    # What of the vectors does not depend on their phase.
    return v * s.unsqueeze(-2) @ v.mT.conj()


GRADIENTS = {
    "inv": lambda x: H.linalg.inv(spd(x)),
    "det": lambda x: H.linalg.det(x),
    "slogdet": lambda x: H.linalg.slogdet(x).logabsdet,
    "solve": lambda x: H.linalg.solve(spd(x), x),
    "solve_right": lambda x: H.linalg.solve(spd(x), x, left=False),
    "triangular": lambda x: H.linalg.solve_triangular(triangle(x), x, upper=False),
    "triangular_unit": lambda x: H.linalg.solve_triangular(x * 0.3, x, upper=True, left=False, unitriangular=True),
    "cholesky": lambda x: H.linalg.cholesky(spd(x)),
    "cholesky_upper": lambda x: H.linalg.cholesky(spd(x), upper=True),
    "qr_tall": lambda x: (lambda r: r.Q + r.R.sum())(H.linalg.qr(x[..., :2])),
    "qr_wide": lambda x: (lambda r: r.Q.sum() + r.R)(H.linalg.qr(x[..., :2, :])),
    "eigvalsh": lambda x: H.linalg.eigvalsh(spd(x)),
    "eigh": lambda x: (lambda r: projector(r.eigenvectors, (1 + r.eigenvalues).log()))(H.linalg.eigh(spd(x))),
    "svdvals": lambda x: H.linalg.svdvals(x),
    "svd": lambda x: (lambda r: r.U * r.S.tanh().unsqueeze(-2) @ r.Vh)(H.linalg.svd(x, full_matrices=False)),
    "svd_tall": lambda x: (lambda r: r.U * r.S.tanh().unsqueeze(-2) @ r.Vh)(
        H.linalg.svd(x[..., :2], full_matrices=False)
    ),
    "svd_wide": lambda x: (lambda r: r.U * r.S.tanh().unsqueeze(-2) @ r.Vh)(
        H.linalg.svd(x[..., :2, :], full_matrices=False)
    ),
    "pinv": lambda x: H.linalg.pinv(x),
    "pinv_tall": lambda x: H.linalg.pinv(x[..., :2]),
    "pinv_wide": lambda x: H.linalg.pinv(x[..., :2, :]),
    "lstsq": lambda x: H.linalg.lstsq(x[..., :2], x).solution,
    "eig": lambda x: (
        lambda r: (r.eigenvectors * r.eigenvalues.exp().unsqueeze(-2) @ H.linalg.inv(r.eigenvectors)).real
    )(H.linalg.eig(x)),
    "matrix_power": lambda x: H.linalg.matrix_power(x, 3),
    "matrix_exp": lambda x: H.linalg.matrix_exp(x),
    "lu": lambda x: (lambda r: r.L + r.U)(H.linalg.lu(x)),
    "nuclear": lambda x: H.linalg.matrix_norm(x, "nuc"),
    "cond": lambda x: H.linalg.cond(x, 1),
    "cross": lambda x: H.linalg.cross(x, x.flip(0)),
}
REAL_ONLY = {"eig", "qr_tall", "qr_wide", "lu", "cond"}


def step_of(f, x, direction, h=1e-6):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name, dtype):
    if dtype == "complex128" and name in REAL_ONLY:
        pytest.skip("of real matrices")
    op = GRADIENTS[name]
    a = random(3, 3, dtype=dtype, seed=7) + np.eye(3)
    out = op(H.from_numpy(a))
    w = random(*out.shape, dtype=str(out.dtype).rpartition(".")[2], seed=9)
    d, e = random(3, 3, dtype=dtype, seed=11), random(3, 3, dtype=dtype, seed=13)

    def inner(x, y):
        return float(np.sum(np.conj(x) * y).real)

    def loss(v):
        return inner(w, values_of(op(H.from_numpy(v))))

    def gradient(v, create=False):
        x = H.from_numpy(v).requires_grad_()
        y = op(x)
        (g,) = H.autograd.grad(y, x, H.from_numpy(w), create_graph=create)
        return x, g

    assert inner(values_of(gradient(a)[1]), d) == pytest.approx(step_of(loss, a, d), rel=1e-5, abs=1e-6)
    x, g = gradient(a, create=True)
    (second,) = H.autograd.grad(g, x, H.from_numpy(e))
    numerical = step_of(lambda v: inner(e, values_of(gradient(v)[1])), a, d)
    assert inner(values_of(second), d) == pytest.approx(numerical, rel=1e-4, abs=1e-5)


def test_gradient_of_det_of_singular():
    x = H.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], dtype=H.float64, requires_grad=True)
    H.linalg.det(x).backward()
    cofactors = [[4.0, 4.0, -4.0], [-2.0, -2.0, 2.0], [0.0, 0.0, 0.0]]
    close(values_of(x.grad), cofactors, 1e-9)


ERRORS = {
    "inv singular": ("LinAlgError", lambda T: T.linalg.inv(T.zeros(2, 2))),
    "inv singular in a batch": ("LinAlgError", lambda T: T.linalg.inv(T.stack([T.eye(2), T.zeros(2, 2)]))),
    "inv of a rectangle": ("RuntimeError", lambda T: T.linalg.inv(T.zeros(2, 3))),
    "inv of a vector": ("RuntimeError", lambda T: T.linalg.inv(T.zeros(2))),
    "inv of integers": ("RuntimeError", lambda T: T.linalg.inv(T.ones(2, 2, dtype=T.int64))),
    "inv of halves": ("RuntimeError", lambda T: T.linalg.inv(T.ones(2, 2, dtype=T.float16))),
    "det of halves": ("NotImplementedError", lambda T: T.linalg.det(T.ones(2, 2, dtype=T.float16))),
    "solve singular": ("LinAlgError", lambda T: T.linalg.solve(T.zeros(2, 2), T.ones(2))),
    "solve singular in a batch": ("LinAlgError", lambda T: T.linalg.solve(T.zeros(3, 2, 2), T.ones(3, 2))),
    "solve shapes": ("RuntimeError", lambda T: T.linalg.solve(T.eye(2), T.ones(3, 1))),
    "solve dtypes": ("RuntimeError", lambda T: T.linalg.solve(T.eye(2), T.ones(2, dtype=T.float64))),
    "cholesky": ("LinAlgError", lambda T: T.linalg.cholesky(-T.eye(2))),
    "cholesky second minor": ("LinAlgError", lambda T: T.linalg.cholesky(T.tensor([[2.0, 1.0], [5.0, 3.0]]))),
    "qr mode": ("RuntimeError", lambda T: T.linalg.qr(T.eye(2), mode="foo")),
    "svd of NaN": ("LinAlgError", lambda T: T.linalg.svd(T.full((2, 2), math.nan))),
    "eigh triangle": ("RuntimeError", lambda T: T.linalg.eigh(T.eye(2), UPLO="X")),
    "eigh of integers": ("NotImplementedError", lambda T: T.linalg.eigh(T.ones(2, 2, dtype=T.int64))),
    "lstsq driver": ("RuntimeError", lambda T: T.linalg.lstsq(T.eye(2), T.eye(2), driver="foo")),
    "norm order": ("RuntimeError", lambda T: T.linalg.matrix_norm(T.eye(2), 3)),
    "norm dims": ("RuntimeError", lambda T: T.linalg.matrix_norm(T.eye(2), "fro", dim=(0, 0))),
    "norm needs dim": ("RuntimeError", lambda T: T.linalg.norm(T.zeros(2, 2, 2), 2)),
    "cond order": ("RuntimeError", lambda T: T.linalg.cond(T.eye(2), 3)),
    "power": ("TypeError", lambda T: T.linalg.matrix_power(T.eye(2), 0.5)),
    "rank of a vector": ("RuntimeError", lambda T: T.linalg.matrix_rank(T.ones(2))),
    "triangular": ("RuntimeError", lambda T: T.linalg.solve_triangular(T.eye(2), T.ones(3, 1), upper=True)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    kind, call = ERRORS[name]
    expected = H.linalg.LinAlgError if kind == "LinAlgError" else getattr(builtins, kind)
    with pytest.raises(expected) as got:
        call(H)
    if torch is not None:
        with pytest.raises(Exception) as want:
            call(torch)
        assert str(got.value).split("\n")[0] == str(want.value).split("\n")[0]
        assert type(got.value).__name__ == type(want.value).__name__


def test_named_results():
    r = H.linalg.qr(H.eye(2))
    assert isinstance(r, tuple) and r.Q is r[0] and r.R is r[1]
    assert repr(r).startswith("torch.return_types.linalg_qr(\nQ=tensor(")
    assert [type(H.linalg.inv_ex(H.eye(2))).__name__, type(H.linalg.eig(H.eye(2))).__name__] == [
        "linalg_inv_ex",
        "linalg_eig",
    ]


def test_info_instead_of_errors():
    batch = H.stack([H.eye(2), H.zeros(2, 2)])
    assert H.linalg.inv_ex(batch).info.tolist() == [0, 1]
    assert H.linalg.inv_ex(batch).inverse[0].tolist() == [[1, 0], [0, 1]]
    assert H.linalg.cholesky_ex(batch).info.tolist() == [0, 1]
    assert H.linalg.solve_ex(batch, H.ones(2, 2, 1)).info.tolist() == [0, 1]
    with pytest.raises(H.linalg.LinAlgError):
        H.linalg.inv_ex(batch, check_errors=True)


def test_out():
    out = H.empty(2, 2)
    assert H.linalg.inv(2 * H.eye(2), out=out) is out
    assert out.tolist() == [[0.5, 0], [0, 0.5]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 9])
def test_small_matrices_of_any_layout(n, dtype):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((5, 3, n, n)), rng.standard_normal((5, 3, n, 2))
    if "complex" in dtype:
        a, b = a + 1j * rng.standard_normal(a.shape), b + 1j * rng.standard_normal(b.shape)
    A, B = H.from_numpy(a.astype(dtype)), H.from_numpy(b.astype(dtype))
    close = {"rtol": 2e-3, "atol": 2e-3} if dtype in ("float32", "complex64") else {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(H.linalg.inv(A).numpy(), np.linalg.inv(a), **close)
    np.testing.assert_allclose(H.linalg.inv(A.mT).numpy(), np.linalg.inv(a.swapaxes(-1, -2)), **close)
    np.testing.assert_allclose(H.linalg.det(A).numpy(), np.linalg.det(a), **close)
    np.testing.assert_allclose(H.linalg.solve(A, B).numpy(), np.linalg.solve(a, b), **close)
    np.testing.assert_allclose(H.linalg.solve(A[::2], B[0]).numpy(), np.linalg.solve(a[::2], b[0]), **close)
    np.testing.assert_allclose(H.linalg.solve(A[1, 1], B).numpy(), np.linalg.solve(a[1, 1], b), **close)


def test_small_singular_matrices():
    A = H.eye(3, dtype=H.float64).repeat(4, 1, 1)
    A[2] = 0
    A[3, 1] = A[3, 0]
    assert H.linalg.inv_ex(A).info.tolist() == [0, 0, 1, 2]
    assert H.linalg.inv_ex(A).inverse.isnan().any(-1).any(-1).tolist() == [False, False, True, True]
    assert H.linalg.det(A).tolist() == [1, 1, 0, 0]
    for f in (H.linalg.inv, lambda a: H.linalg.solve(a, a)):
        with pytest.raises(H.linalg.LinAlgError, match="Batch element 2"):
            f(A)


def test_small_matrices_whatever_the_threads():
    a = H.randn(3000, 3, 3)
    before, results = H.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            H.set_num_threads(threads)
            results.append([t.tolist() for t in (H.linalg.inv(a), H.linalg.det(a), H.linalg.solve(a, a[:, :, :1]))])
    finally:
        H.set_num_threads(before)
    assert results[0] == results[1] == results[2]
