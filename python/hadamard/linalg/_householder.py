"""Reflections: the form in which LAPACK leaves Q, and products with it. The random projections that end in QR."""

import hadamard as H
from hadamard._common import into, named, scalar_name

from ._support import array_of, check_kernel, conj_transposed, lapack, tensor_of

_Geqrf = named("geqrf", ["a", "tau"])


def geqrf(input, *, out=None):
    """(a, tau) of (…, m, n): R above the diagonal of a, below it and in tau the reflections whose product is Q.

    >>> import hadamard as H
    >>> A = H.tensor([[3.0, 1.0], [4.0, 2.0]])
    >>> a, tau = H.geqrf(A)
    >>> H.allclose(H.linalg.householder_product(a, tau) @ a.triu(), A, atol=1e-5)
    True
    """
    if input.dim() < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    check_kernel(input, "geqrf_cpu", empty=False)
    h, tau = lapack("qr", array_of(input), mode="raw")
    return into(out, _Geqrf(tensor_of(h).mT, tensor_of(tau)))


def _check_reflections(name, input, tau, other=None):
    if input.dim() < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if other is None:
        if input.size(-2) < input.size(-1):
            raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
        if input.size(-1) < tau.size(-1):
            raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    for word, t in (("tau", tau), ("other", other)):
        if t is not None and t.dtype is not input.dtype:
            raise RuntimeError(
                f"{name}: {word} dtype {scalar_name(t.dtype)} does not match input dtype {scalar_name(input.dtype)}"
            )


def _reflected(input, tau, x, order):
    """(I - τ v vᴴ) x for each reflection in turn; v has its 1 on the diagonal of input."""
    m = input.size(-2)
    for i in order:
        v = H.cat([H.ones_like(input[..., :1, i]), input[..., i + 1 :, i]], -1).unsqueeze(-1)
        rest = x[..., i:m, :]
        rest = rest - tau[..., i, None, None] * v @ (conj_transposed(v) @ rest)
        x = H.cat([x[..., :i, :], rest], -2)
    return x


def householder_product(input, tau, *, out=None):
    """The first n columns of the product of the reflections I - τ v vᴴ that (…, m, n) and tau hold. Gradients flow.

    >>> import hadamard as H
    >>> H.linalg.householder_product(H.tensor([[1.0], [1.0]]), H.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    _check_reflections("torch.linalg.householder_product", input, tau)
    check_kernel(input, "orgqr_cpu", empty=False)
    m, n = input.shape[-2:]
    if input.numel() == 0:
        return into(out, input.clone())
    eye = H.eye(m, n, dtype=input.dtype).expand(*input.shape[:-2], m, n)
    return into(out, _reflected(input, tau, eye, reversed(range(tau.size(-1)))))


def ormqr(input, tau, other, left=True, transpose=False, *, out=None):
    """Q · other for the full m × m product Q of the reflections in `input` and `tau`; other · Q where `left` is false;
    Qᴴ for Q where `transpose`. Gradients flow.

    >>> import hadamard as H
    >>> H.ormqr(H.tensor([[1.0], [1.0]]), H.tensor([1.0]), H.eye(2))
    tensor([[ 0., -1.],
            [-1.,  0.]])
    """
    name = "torch.ormqr"
    _check_reflections(name, input, tau, other)
    side = -2 if left else -1
    if tau.size(-1) > other.size(side):
        raise RuntimeError(f"{name}: other.shape[{side}] must be greater than or equal to tau.shape[-1]")
    if other.size(side) != input.size(-2):
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if tau.size(-1) != min(other.size(side), input.size(-1)):
        raise RuntimeError(f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])")
    check_kernel(input, "ormqr_cpu", empty=False)
    order = range(tau.size(-1))
    x = other if left else conj_transposed(other)
    adjoint = transpose == left
    y = _reflected(input, tau.conj() if adjoint else tau, x, order if adjoint else reversed(order))
    y = y if left else conj_transposed(y)
    return into(out, y.mT.contiguous().mT)  # by columns, as LAPACK leaves it


def svd_lowrank(A, q=6, niter=2, M=None):
    """U, S and V of the best approximation of rank q to A - M, from random vectors and `niter` steps of iteration.

    Halko, Martinsson and Tropp 2009, algorithm 5.1. Draws as torch does.

    >>> import hadamard as H
    >>> A = H.outer(H.arange(4.0), H.arange(3.0))
    >>> U, S, V = H.svd_lowrank(A, q=1)
    >>> H.allclose(U * S @ V.mT, A, atol=1e-5)
    True
    """
    q = 6 if q is None else q
    B = A if M is None else A - M
    wide = A.size(-2) < A.size(-1)
    B = conj_transposed(B) if wide else B
    dtype = A.dtype if A.is_complex() or A.is_floating_point() else H.get_default_dtype()
    Q = H.linalg.qr(B @ H.randn(B.size(-1), q, dtype=dtype)).Q
    for _ in range(2 if niter is None else niter):
        Q = H.linalg.qr(conj_transposed(B) @ Q).Q
        Q = H.linalg.qr(B @ Q).Q
    U, S, Vh = H.linalg.svd(conj_transposed(Q) @ B, full_matrices=False)
    U, V = Q @ U, conj_transposed(Vh)
    return (V, S, U) if wide else (U, S, V)


def pca_lowrank(A, q=None, center=True, niter=2):
    """The first q (6) principal components of rows: `svd_lowrank` of A with the mean of each column taken off.

    >>> import hadamard as H
    >>> U, S, V = H.pca_lowrank(H.tensor([[0.0, 0.0], [2.0, 2.0]]), q=1)
    >>> S
    tensor([2.])
    """
    least = min(A.shape[-2:])
    if q is None:
        q = min(6, least)
    elif not 0 <= q <= least:
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={least}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
