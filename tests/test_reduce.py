"""Reductions beyond sum and mean: edge cases, errors and names, against NumPy and, where installed, torch."""

import math
import warnings

import numpy as np
import pytest
from harness import H, torch, values_of

nan, inf = math.nan, math.inf


def close(got, want, tolerance=1e-12):
    np.testing.assert_allclose(values_of(got), np.asarray(want), rtol=tolerance, atol=tolerance)


def gradient(f, values):
    x = H.tensor(values, dtype=H.float64, requires_grad=True)
    (g,) = H.autograd.grad(f(x), x, create_graph=True)
    return x, g


# prod: the gradient of an element is the product of the others, also where that cannot be got by division.


@pytest.mark.parametrize("values", [[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0], [5.0], []])
@pytest.mark.parametrize("dim", [None, 0])
def test_gradient_of_prod(values, dim):
    x, g = gradient(lambda x: x.prod() if dim is None else x.prod(dim), values)
    n = len(values)
    close(g, [np.prod([values[j] for j in range(n) if j != i]) for i in range(n)])
    if n > 1:
        (second,) = H.autograd.grad(g.sum(), x)
        want = [
            sum(np.prod([values[k] for k in range(n) if k not in (i, j)]) for j in range(n) if j != i) for i in range(n)
        ]
        close(second, want)


def test_gradient_of_prod_of_rows():
    a = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [4.0, 5.0, 6.0]])
    x, g = gradient(lambda x: x.prod(1, keepdim=True).sum(), a.tolist())
    close(g, [[0, 3, 0], [0, 0, 0], [30, 24, 20]])


# Variance


@pytest.mark.parametrize("shape, dim", [((4,), None), ((3, 4), 0), ((3, 4), (0, 1)), ((2, 3, 4), (0, 2)), ((2, 3), ())])
@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_var_with_correction(shape, dim, correction):
    a = np.random.default_rng(0).standard_normal(shape)
    axis = None if dim == () else dim
    want = np.var(a, axis=axis, ddof=correction, keepdims=True)
    x = H.from_numpy(a)
    close(x.var(dim=dim, correction=correction, keepdim=True), want)
    close(x.std(dim=dim, correction=correction, keepdim=True), np.sqrt(want))
    var, mean = H.var_mean(x, dim=dim, correction=correction, keepdim=True)
    close(var, want)
    close(mean, a.mean(axis=axis, keepdims=True))


def test_var_call_forms():
    x = H.tensor([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]])
    biased = float(x.var(correction=0))
    assert float(x.var(False)) == float(x.var(unbiased=False)) == biased
    assert x.var(0, False).tolist() == x.var(0, unbiased=False).tolist() == x.var(dim=0, correction=0).tolist()
    assert x.var(0, True, True).shape == x.var(0, keepdim=True).shape == (1, 3)
    assert H.std_mean(x, 1)[0].shape == (2,)


def test_var_of_far_numbers():
    x = H.tensor([1e8, 1e8 + 1, 1e8 + 2], dtype=H.float64)
    assert float(x.var()) == pytest.approx(1.0)


def test_var_of_too_few():
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        assert math.isnan(H.tensor(1.0).var())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert H.ones(2, 2).var(0, correction=5).tolist() != [0, 0]


def test_std_of_equal_numbers_has_no_gradient():
    x, g = gradient(lambda x: x.std(), [2.0, 2.0, 2.0])
    assert g.tolist() == [0, 0, 0]


def test_gradient_by_way_of_the_mean():
    x = H.tensor([1.0, 2.0, 6.0], dtype=H.float64, requires_grad=True)
    var, mean = H.var_mean(x)
    (2 * mean + var).backward()
    close(x.grad, 2 / 3 + (np.array([1.0, 2, 6]) - 3))


# NaN


def test_nansum_nanmean():
    x = H.tensor([[1.0, nan, 3.0], [nan, nan, nan]], requires_grad=True)
    assert x.nansum().item() == 4
    assert x.nansum(1).tolist() == [4, 0]
    assert x.nanmean().item() == 2
    assert math.isnan(x.nanmean(1)[1])
    (g,) = H.autograd.grad(x.nansum(), x)
    assert g.tolist() == [[1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("way", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_quantile(way, dim):
    a = np.random.default_rng(1).standard_normal((4, 5))
    x, q = H.from_numpy(a), np.array([0.0, 0.13, 0.5, 0.61, 1.0])
    close(H.quantile(x, H.from_numpy(q), dim, interpolation=way), np.quantile(a, q, axis=dim, method=way))
    want = np.quantile(a, 0.3, axis=dim, method=way, keepdims=True)
    close(H.quantile(x, 0.3, dim, keepdim=True, interpolation=way), want)
    a[1, 2] = nan
    x = H.from_numpy(a)
    close(H.nanquantile(x, 0.3, dim, interpolation=way), np.nanquantile(a, 0.3, axis=dim, method=way))
    close(H.quantile(x, 0.3, dim, interpolation=way), np.quantile(a, 0.3, axis=dim, method=way))


def test_gradient_of_quantile():
    x, g = gradient(lambda x: H.quantile(x, 0.4), [3.0, 1.0, 2.0, 5.0])
    close(g, [0, 0, 0, 0] + np.array([0.2, 0, 0.8, 0]))


# Matrices of observations


@pytest.mark.parametrize("shape", [(3, 7), (7,)])
def test_cov(shape):
    a = np.random.default_rng(2).standard_normal(shape)
    x = H.from_numpy(a)
    close(H.cov(x), np.cov(a))
    close(H.cov(x, correction=0), np.cov(a, ddof=0))
    f, w = np.array([1, 2, 3, 1, 1, 2, 1]), np.linspace(0.5, 1, 7)
    close(H.cov(x, fweights=H.from_numpy(f), aweights=H.from_numpy(w)), np.cov(a, fweights=f, aweights=w))
    close(H.cov(x, aweights=H.from_numpy(w)), np.cov(a, aweights=w))
    close(H.corrcoef(x), np.corrcoef(a))


def test_trace_and_sum_to_size():
    x = H.arange(6.0).reshape(2, 3).requires_grad_()
    assert x.trace().item() == 4
    (g,) = H.autograd.grad(x.trace(), x)
    assert g.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert x.sum_to_size(1, 3).tolist() == [[3, 5, 7]]
    assert x.sum_to_size(3).tolist() == [3, 5, 7]


# Errors and names, as torch's

CALLS = {
    "softmax of integers": lambda T: T.softmax(T.arange(3), 0),
    "log_softmax of integers": lambda T: T.log_softmax(T.arange(6).reshape(2, 3), 0),
    "softmax dim": lambda T: T.softmax(T.ones(2, 3), 2),
    "var of integers": lambda T: T.var(T.arange(3)),
    "prod dim": lambda T: T.prod(T.ones(2, 3), 2),
    "nansum complex": lambda T: T.nansum(T.ones(2, dtype=T.complex64)),
    "nanmean integers": lambda T: T.nanmean(T.arange(3)),
    "aminmax empty": lambda T: T.aminmax(T.zeros(0, 3)),
    "aminmax empty dim": lambda T: T.aminmax(T.zeros(0, 3), dim=0),
    "aminmax complex": lambda T: T.aminmax(T.ones(2, dtype=T.complex64)),
    "quantile empty": lambda T: T.quantile(T.zeros(0), 0.5),
    "quantile integers": lambda T: T.quantile(T.arange(3), 0.5),
    "quantile q": lambda T: T.quantile(T.ones(3), 1.5),
    "quantile q tensor": lambda T: T.quantile(T.ones(3), T.tensor([1.5])),
    "quantile q dtype": lambda T: T.quantile(T.ones(3), T.tensor(0.5, dtype=T.float64)),
    "quantile q dims": lambda T: T.quantile(T.ones(3), T.tensor([[0.5]])),
    "quantile way": lambda T: T.quantile(T.ones(3), 0.5, interpolation="foo"),
    "cov bool": lambda T: T.cov(T.ones(2, 3, dtype=T.bool)),
    "cov dims": lambda T: T.cov(T.ones(2, 3, 4)),
    "cov weights": lambda T: T.cov(T.ones(2, 3), fweights=T.ones(3)),
    "cov weights number": lambda T: T.cov(T.ones(2, 3), fweights=T.ones(2, dtype=T.int64)),
    "trace dims": lambda T: T.trace(T.ones(2, 3, 4)),
    "trace bool": lambda T: T.trace(T.ones(2, 3, dtype=T.bool)),
    "sum_to_size": lambda T: T.ones(2, 3).sum_to_size(2, 4),
    "cross": lambda T: T.linalg.cross(T.ones(2, 3), T.ones(2, 3), dim=0),
    "cross dtypes": lambda T: T.linalg.cross(T.ones(3), T.arange(3)),
    "norm integers": lambda T: T.norm(T.arange(3)),
    "norm empty": lambda T: T.norm(T.zeros(0, 3), inf),
    "norm empty dim": lambda T: T.norm(T.zeros(0, 3), inf, 0),
    "norm dtype": lambda T: T.linalg.vector_norm(T.ones(3), dtype=T.float16),
    "norm complex dtype": lambda T: T.linalg.vector_norm(T.ones(3), dtype=T.complex64),
    "norm name": lambda T: T.norm(T.ones(2, 3), "foo"),
    "norm three dims": lambda T: T.norm(T.ones(2, 3, 4), "fro", dim=(0, 1, 2)),
    "dist integers": lambda T: T.dist(T.arange(3), T.arange(3)),
    "cdist columns": lambda T: T.cdist(T.ones(2, 3), T.ones(2, 2)),
    "cdist dims": lambda T: T.cdist(T.ones(2, 3), T.ones(3)),
    "cdist p": lambda T: T.cdist(T.ones(2, 3), T.ones(2, 3), -1.0),
    "cosine of integers": lambda T: T.cosine_similarity(T.ones(2, 3, dtype=T.int64), T.ones(2, 3, dtype=T.int64)),
    "renorm p": lambda T: T.renorm(T.ones(2, 3), -1, 0, 1.0),
    "renorm dims": lambda T: T.renorm(T.ones(3), 1, 0, 1.0),
}


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", CALLS)
def test_errors(name):
    with pytest.raises(Exception) as want:
        CALLS[name](torch)
    with pytest.raises(Exception) as got:
        CALLS[name](H)
    assert type(got.value).__name__ == type(want.value).__name__
    assert str(got.value).split("\n")[0] == str(want.value).split("\n")[0]


NAMES = {
    "softmax": lambda T, x: x.softmax(1),
    "log_softmax": lambda T, x: x.log_softmax(1),
    "logsumexp": lambda T, x: x.logsumexp(1),
    "var": lambda T, x: x.var(0),
    "std": lambda T, x: x.std(),
    "var_mean": lambda T, x: T.var_mean(x)[1],
    "std_mean": lambda T, x: T.std_mean(x)[0],
    "prod": lambda T, x: x.prod(),
    "prod of a dimension": lambda T, x: x.prod(0),
    "nansum": lambda T, x: x.nansum(),
    "aminmax": lambda T, x: T.aminmax(x)[0],
    "trace": lambda T, x: x.trace(),
    "cross": lambda T, x: T.linalg.cross(x, x),
    "norm": lambda T, x: x.norm(),
    "vector_norm": lambda T, x: T.linalg.vector_norm(x, 3),
    "dist": lambda T, x: T.dist(x, 2 * x),
    "cdist": lambda T, x: T.cdist(x, x),
    "cosine_similarity": lambda T, x: T.cosine_similarity(x, x),
    "pairwise_distance": lambda T, x: T.pairwise_distance(x, x),
    "layer_norm": lambda T, x: T.layer_norm(x, (3,)),
    "batch_norm": lambda T, x: T.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
    "group_norm": lambda T, x: T.group_norm(x, 3),
    "rms_norm": lambda T, x: T.rms_norm(x, (3,)),
    "instance_norm": lambda T, x: T.instance_norm(x[..., None], None, None, None, None, True, 0.1, 1e-5, False),
}


@pytest.mark.skipif(torch is None, reason="torch is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_nodes(name):
    def node(T):
        return NAMES[name](T, T.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 9.0]], requires_grad=True)).grad_fn.name()

    assert node(H) == node(torch)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, inf, -inf, -1])
def test_gradient_of_norm(p):
    a = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5]])
    w = np.array([1.0, -2.0])
    x = H.tensor(a, requires_grad=True)
    (g,) = H.autograd.grad(H.linalg.vector_norm(x, p, 1), x, H.tensor(w), create_graph=True)
    h = 1e-6
    want = np.zeros_like(a)
    for i in np.ndindex(*a.shape):
        b, c = a.copy(), a.copy()
        b[i] += h
        c[i] -= h
        want[i] = (np.linalg.norm(b, p, axis=1) - np.linalg.norm(c, p, axis=1)) @ w / (2 * h)
    close(g, want, 1e-7)


def test_a_count_of_nonzero_has_no_gradient():
    """As torch has it: not zeros, but none."""
    x = H.tensor([1.0, -2.0, 0.0], requires_grad=True)
    H.linalg.vector_norm(x, 0).backward()
    assert x.grad is None
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        H.autograd.grad(H.linalg.vector_norm(x, 0), x)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, inf])
def test_gradient_of_norm_of_zero(p):
    x = H.zeros(3, dtype=H.float64, requires_grad=True)
    (g,) = H.autograd.grad(H.linalg.vector_norm(x, p), x)
    assert g.tolist() == [0, 0, 0]


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0, inf])
def test_cdist(p):
    a, b = np.random.default_rng(3).standard_normal((2, 4, 3)), np.random.default_rng(4).standard_normal((5, 3))
    d = a[:, :, None] - b[None, None]
    close(H.cdist(H.from_numpy(a), H.from_numpy(b), p), np.linalg.norm(d.reshape(-1, 3), p, axis=1).reshape(2, 4, 5))


def test_logsumexp_of_infinities():
    assert H.tensor([-inf, -inf]).logsumexp(0).item() == -inf
    assert H.tensor([inf, 1.0]).logsumexp(0).item() == inf
    assert H.tensor([1000.0, 1000.0]).logsumexp(0).item() == pytest.approx(1000 + math.log(2))
    assert H.zeros(0, 2).logsumexp(0).tolist() == [-inf, -inf]


def test_quantile_gradient_by_level():
    """A quantile moves with its level along the line between its neighbours; one spoiled by a NaN does not."""
    x = H.tensor([[7.0, 1.0, 3.0], [0.0, float("nan"), 5.0]], dtype=H.float64)
    q = H.tensor([0.25, 0.75], dtype=H.float64, requires_grad=True)
    (slope,) = H.autograd.grad(H.quantile(x, q, dim=1)[:, 0].sum(), q)
    assert slope.tolist() == [4, 8]
    (slope,) = H.autograd.grad(H.quantile(x, q, dim=1)[:, 1].nan_to_num().sum(), q)
    assert slope.tolist() == [0, 0]
    (slope,) = H.autograd.grad(H.nanquantile(x, q, dim=1)[:, 1].sum(), q)
    assert slope.tolist() == [5, 5]
