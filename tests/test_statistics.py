"""Histograms, differences, parts of numbers, reflections and low rank: against NumPy and PyTorch."""

import math

import numpy as np
import pytest
from harness import H, torch

needs_torch = pytest.mark.skipif(torch is None, reason="compared with PyTorch")
rng = np.random.default_rng(0)


def test_histogram_is_numpys():
    x, weight = rng.standard_normal(500), rng.random(500)
    for bins, given in ((10, None), (7, (-1.0, 2.0)), (np.array([-2.0, -0.5, 0.0, 3.0]), None)):
        for density in (False, True):
            for w in (None, weight):
                ours = H.histogram(
                    H.tensor(x),
                    H.tensor(bins) if isinstance(bins, np.ndarray) else bins,
                    range=given,
                    weight=None if w is None else H.tensor(w),
                    density=density,
                )
                hist, edges = np.histogram(x, bins, given, density=density, weights=w)
                np.testing.assert_allclose(ours.hist.numpy(), hist)
                np.testing.assert_allclose(ours.bin_edges.numpy(), edges, atol=1e-15)
    assert H.histogram(H.tensor([1.0, 1.0]), 2).hist.tolist() == [0.0, 2.0]
    assert H.histogram(H.tensor([]), 2).bin_edges.tolist() == [0.0, 0.5, 1.0]


def test_histogramdd_is_numpys():
    x = rng.standard_normal((300, 3))
    for density in (False, True):
        hist, edges = np.histogramdd(x, (3, 4, 5), density=density)
        ours = H.histogramdd(H.tensor(x), [3, 4, 5], density=density)
        np.testing.assert_allclose(ours.hist.numpy(), hist)
        assert len(ours.bin_edges) == 3
        for a, b in zip(ours.bin_edges, edges, strict=True):
            np.testing.assert_allclose(a.numpy(), b, atol=1e-15)
    wanted = np.histogramdd(x, 2, [(-1, 1), (0, 1), (0, 2)])[0]
    assert (H.histogramdd(H.tensor(x), 2, range=[-1.0, 1.0, 0.0, 1.0, 0.0, 2.0]).hist.numpy() == wanted).all()


def test_gradient_is_numpys():
    a = rng.standard_normal((5, 6))
    at = np.array([0.0, 0.5, 2.0, 2.5, 4.0]), np.cumsum(rng.random(6))
    for order in (1, 2):
        for ours, theirs in (
            (H.gradient(H.tensor(a), edge_order=order), np.gradient(a, edge_order=order)),
            (H.gradient(H.tensor(a), spacing=0.5, edge_order=order), np.gradient(a, 0.5, edge_order=order)),
            (H.gradient(H.tensor(a), spacing=(2.0, 3.0), edge_order=order), np.gradient(a, 2.0, 3.0, edge_order=order)),
            (
                H.gradient(H.tensor(a), spacing=tuple(map(H.tensor, at)), edge_order=order),
                np.gradient(a, *at, edge_order=order),
            ),
        ):
            for x, y in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(x.numpy(), y, atol=1e-12)
    (last,) = H.gradient(H.tensor(a), dim=-1)
    np.testing.assert_allclose(last.numpy(), np.gradient(a, axis=1), atol=1e-12)
    x = H.tensor(a, requires_grad=True)
    assert H.autograd.gradcheck(lambda x: H.gradient(x, spacing=tuple(map(H.tensor, at)), edge_order=2), x)


def test_frexp():
    x = np.concatenate(
        [rng.standard_normal(50) * 10.0 ** rng.integers(-30, 30, 50), [0.0, -0.0, np.inf, np.nan, 5e-324]]
    )
    mantissa, exponent = H.frexp(H.tensor(x))
    m, e = np.frexp(x)
    assert exponent.dtype == H.int32 and (exponent.numpy() == e).all()
    np.testing.assert_array_equal(mantissa.numpy(), m)
    assert H.frexp(H.tensor([3.0], dtype=H.bfloat16)).mantissa.dtype == H.bfloat16
    x = H.tensor([0.3, 5.0, -9.0], dtype=H.float64, requires_grad=True)
    assert H.autograd.gradcheck(lambda x: H.frexp(x)[0], x) and H.autograd.gradgradcheck(
        lambda x: H.frexp(x)[0] ** 2, x
    )


def test_pdist():
    a = rng.standard_normal((6, 3))
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    for p in (0, 1, 2, 3.5, math.inf):
        want = [np.linalg.norm(a[i] - a[j], p) for i, j in pairs]
        np.testing.assert_allclose(H.pdist(H.tensor(a), p).numpy(), want)
    x = H.tensor(a, requires_grad=True)
    assert H.autograd.gradcheck(lambda x: H.pdist(x, 3), x)
    assert H.pdist(H.ones(1, 3)).shape == (0,)


def test_segments():
    x = H.arange(12.0).view(6, 2)
    sizes = H.tensor([2, 0, 3, 1])
    for reduce, f in (("sum", np.sum), ("max", np.max), ("prod", np.prod), ("mean", np.mean), ("min", np.min)):
        y = H.segment_reduce(x, reduce, lengths=sizes).numpy()
        for i, (a, b) in enumerate([(0, 2), (2, 2), (2, 5), (5, 6)]):
            if a < b:
                np.testing.assert_allclose(y[i], f(x.numpy()[a:b], axis=0))
        again = H.segment_reduce(x, reduce, offsets=H.tensor([0, 2, 2, 5, 6])).numpy()
        np.testing.assert_array_equal(again, y)
    with pytest.raises(RuntimeError, match="Either lengths or offsets must be defined"):
        H.segment_reduce(x, "sum")


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("kind", [np.float64, np.complex128])
def test_reflections_are_q(shape, kind):
    a = rng.standard_normal(shape).astype(kind)
    if kind is np.complex128:
        a = a + 1j * rng.standard_normal(shape)
    A = H.tensor(a)
    h, tau = H.geqrf(A)
    m, k = shape[-2], min(shape[-2:])
    eye = H.eye(m, dtype=A.dtype).expand(*shape[:-2], m, m)
    Q = H.ormqr(h, tau, eye)
    np.testing.assert_allclose((Q @ Q.mH).numpy(), eye.numpy(), atol=1e-12)
    np.testing.assert_allclose((Q[..., :k] @ h[..., :k, :].triu()).numpy(), a, atol=1e-12)
    np.testing.assert_allclose(H.ormqr(h, tau, eye, transpose=True).numpy(), Q.mH.numpy(), atol=1e-12)
    np.testing.assert_allclose(H.ormqr(h, tau, eye, left=False).numpy(), Q.numpy(), atol=1e-12)
    right = H.ormqr(h, tau, eye, left=False, transpose=True)
    np.testing.assert_allclose(right.numpy(), Q.mH.numpy(), atol=1e-12)
    if shape[-2] >= shape[-1]:
        np.testing.assert_allclose(H.linalg.householder_product(h, tau).numpy(), Q[..., :k].numpy(), atol=1e-12)
        h, tau = h.detach().requires_grad_(), tau.requires_grad_()
        assert H.autograd.gradcheck(H.linalg.householder_product, (h, tau))


def test_lu_names():
    A = H.tensor(rng.standard_normal((2, 3, 3)))
    LU, pivots = H.lu(A)
    P, L, U = H.lu_unpack(LU, pivots)
    np.testing.assert_allclose((P @ L @ U).numpy(), A.numpy(), atol=1e-12)
    B = H.tensor(rng.standard_normal((2, 3, 2)))
    np.testing.assert_allclose((A @ H.lu_solve(B, LU, pivots)).numpy(), B.numpy(), atol=1e-12)
    with pytest.warns(UserWarning, match="torch.triangular_solve is deprecated"):
        X = H.triangular_solve(B, A, upper=False, transpose=True).solution
    np.testing.assert_allclose((A.tril().mT @ X).numpy(), B.numpy(), atol=1e-12)


def test_lu_of_nothing():
    LU, pivots = H.ones(2, 0, 0), H.ones(2, 0, dtype=H.int32)
    assert H.linalg.lu_solve(LU, pivots, H.ones(2, 0, 3)).shape == (2, 0, 3)
    assert [x.shape for x in H.lu_unpack(LU, pivots)] == [(2, 0, 0)] * 3


def test_low_rank():
    A = H.tensor(rng.standard_normal((9, 3)) @ rng.standard_normal((3, 7)))
    for B in (A, A.mT):
        U, S, V = H.svd_lowrank(B, q=3)
        np.testing.assert_allclose((U * S @ V.mT).numpy(), B.numpy(), atol=1e-10)
    U, S, V = H.pca_lowrank(A, q=3)
    np.testing.assert_allclose((U * S @ V.mT).numpy(), (A - A.mean(0)).numpy(), atol=1e-10)


CALLS = [
    lambda m, x: m.histogram(x.long(), 3),
    lambda m, x: m.histogram(x, 0),
    lambda m, x: m.histogram(x, 3, range=(3.0, 1.0)),
    lambda m, x: m.histogram(x, 3, weight=x[:1]),
    lambda m, x: m.histogram(m.tensor([1.0, math.nan]), 2),
    lambda m, x: m.histogram(x, m.tensor([1.0]).double()),
    lambda m, x: m.histogramdd(x.view(2, 3), [2]),
    lambda m, x: m.histogramdd(x, [2]),
    lambda m, x: m.gradient(x[:1]),
    lambda m, x: m.gradient(x, edge_order=3),
    lambda m, x: m.gradient(x.view(2, 3), dim=(0, 0)),
    lambda m, x: m.gradient(x.view(2, 3), spacing=[1.0, 2.0, 3.0]),
    lambda m, x: m.gradient(x, dim=1),
    lambda m, x: m.frexp(x.long()),
    lambda m, x: m.pdist(x),
    lambda m, x: m.pdist(x.view(2, 3), p=-1),
    lambda m, x: m.nonzero_static(x, size=-1),
    lambda m, x: m.geqrf(x),
    lambda m, x: m.linalg.householder_product(x.view(3, 2), x[:3]),
    lambda m, x: m.linalg.householder_product(x.view(2, 3), x[:2]),
    lambda m, x: m.linalg.householder_product(x.view(3, 2), x[:2].double()),
    lambda m, x: m.ormqr(x.view(3, 2), x[:2], m.eye(2)),
    lambda m, x: m.lu_unpack(x.view(2, 3), m.tensor([1, 2])),
    lambda m, x: m.triangular_solve(x, m.eye(3)),
    lambda m, x: m.triangular_solve(x.view(3, 2), m.eye(2)),
    lambda m, x: m.pca_lowrank(x.view(2, 3), q=3),
    lambda m, x: m.eig(x, x),
    lambda m, x: m.lstsq(x, x),
    lambda m, x: m.matrix_rank(x, x),
    lambda m, x: m.solve(x, x),
    lambda m, x: m.symeig(x, x),
    lambda m, x: m.nonzero_static(x, size=8),
    lambda m, x: m.as_strided_scatter(x, m.zeros(2), (2,), (2,)),
    lambda m, x: m.constant_pad_nd(x, (1, 1), 2),
    lambda m, x: m.norm_except_dim(x.view(2, 3)),
    lambda m, x: m.lstm_cell(x.view(2, 3), (m.ones(2, 1), m.ones(2, 1)), m.ones(4, 3), m.ones(4, 1))[1],
    lambda m, x: m.gru_cell(x.view(2, 3), m.ones(2, 1), m.ones(3, 3), m.ones(3, 1), m.ones(3), m.ones(3)),
    lambda m, x: m.triplet_margin_loss(x.view(2, 3), x.view(2, 3) + 1, x.view(2, 3) - 2, reduction=2),
    lambda m, x: m.celu(-x, 2.0),
    lambda m, x: m.relu_(x - 2),
    lambda m, x: m.slice_copy(x, 0, 1, None, 2),
    lambda m, x: m.stack(m.split_copy(x, 2)),
    lambda m, x: x.ldexp_(m.tensor(2)),
    lambda m, x: x.igamma_(m.tensor(2.0)),
    lambda m, x: x.long().gcd_(m.tensor(4)),
]


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("i", range(len(CALLS)))
def test_as_torch(i):
    def call(m):
        try:
            return CALLS[i](m, m.arange(6.0))
        except Exception as e:  # noqa: BLE001
            return type(e).__name__, str(e).split("\n")[0]

    want, got = call(torch), call(H)
    if isinstance(want, tuple):
        assert got == want
    else:
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)
        assert str(got.dtype) == str(want.dtype)


def test_every_view_has_a_copy():
    x = H.arange(6.0).view(2, 3)
    for name, args in (("t", ()), ("permute", ((1, 0),)), ("expand", ((2, 3),)), ("view", (3, 2)), ("select", (0, 1))):
        y = getattr(H, name + "_copy")(x, *args)
        assert (y == getattr(x, name)(*args)).all()
        assert y.data_ptr() != x.data_ptr() and y.is_contiguous()
    a, b = H.unbind_copy(x)
    a.zero_()
    assert x[0, 1] == 1
