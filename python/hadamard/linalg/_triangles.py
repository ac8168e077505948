"""Factors that are triangles: Cholesky, LU, QR, and what is solved with them."""

import math
from bisect import bisect_left

import hadamard as H
from hadamard._common import into, named
from hadamard.autograd.function import Function

from ._solve import _substitute, solve_triangular
from ._support import (
    LinAlgError,
    array_of,
    check_equation,
    check_float,
    check_kernel,
    check_matrix,
    check_square,
    conj_transposed,
    eliminate,
    first_failure,
    foreign,
    lapack,
    matrices,
    numpy,
    real_part,
    sum_to,
    tensor_of,
    widened,
)

_CholeskyEx = named("linalg_cholesky_ex", ["L", "info"])
_QR = named("linalg_qr", ["Q", "R"])
_LU = named("linalg_lu", ["P", "L", "U"])
_LUFactor = named("linalg_lu_factor", ["LU", "pivots"])
_LUFactorEx = named("linalg_lu_factor_ex", ["LU", "pivots", "info"])


class LinalgCholeskyEx(Function):
    @staticmethod
    def forward(ctx, A):
        np = numpy()
        a = array_of(A)
        try:
            low = lapack("cholesky", a)
        except np.linalg.LinAlgError:
            info = _first_minor(a)
            order, where = first_failure(info) if info.any() else (1, "")
            raise LinAlgError(
                f"linalg.cholesky: {where}The factorization could not be completed because the input is not "
                f"positive-definite (the leading minor of order {order} is not positive-definite)."
            ) from None
        L = tensor_of(low)
        ctx.save_for_backward(L)
        return L

    @staticmethod
    def backward(ctx, g):
        (L,) = ctx.saved_tensors
        Lh = conj_transposed(L)
        x = (Lh @ g).tril()
        x = solve_triangular(Lh, 0.5 * (x + conj_transposed(x.tril(-1))), upper=True)
        return solve_triangular(L, x, upper=False, left=False)


class CholeskyInverse(Function):
    @staticmethod
    def forward(ctx, L, upper):
        X = _substituted_twice(L, H.eye(L.shape[-1], dtype=L.dtype).expand(L.shape), upper)
        ctx.save_for_backward(L, X)
        ctx.upper = upper
        return X

    @staticmethod
    def backward(ctx, g):
        L, X = ctx.saved_tensors
        if H.is_grad_enabled():
            X = CholeskyInverse.apply(L, ctx.upper)
        x = X @ ((g + conj_transposed(g)) @ X)
        return -(L @ x) if ctx.upper else -(x @ L), None


class CholeskySolve(Function):
    @staticmethod
    def forward(ctx, B, L, upper):
        X = _substituted_twice(L, B, upper)
        ctx.save_for_backward(B, L, X)
        ctx.upper = upper
        return X

    @staticmethod
    def backward(ctx, g):
        B, L, X = ctx.saved_tensors
        if H.is_grad_enabled():
            X = CholeskySolve.apply(B, L, ctx.upper)
        gB = CholeskySolve.apply(g, L, ctx.upper)
        x = gB @ conj_transposed(X)
        x = x + conj_transposed(x)
        return sum_to(gB, B.shape), sum_to(-(L @ x) if ctx.upper else -(x @ L), L.shape), None


class LinalgQr(Function):
    @staticmethod
    def forward(ctx, A, complete):
        q, r = lapack("qr", array_of(A), mode="complete" if complete else "reduced")
        Q, R = tensor_of(q), tensor_of(r)
        ctx.save_for_backward(Q, R)
        ctx.complete = complete
        return Q, R

    @staticmethod
    def backward(ctx, gQ, gR):
        Q, R = ctx.saved_tensors
        if ctx.complete and Q.shape[-2] > R.shape[-1]:
            raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols")
        x = 0
        if gR is not None:
            x = gR @ conj_transposed(R)
        if gQ is not None:
            x = x - conj_transposed(Q) @ gQ
        x = x.triu()
        # Both triangles, the diagonal once and real.
        x = x + conj_transposed(x) - H.diag_embed(real_part(x.diagonal(0, -2, -1))).to(x.dtype)
        x = Q @ x
        if gQ is not None:
            x = x + gQ
        return solve_triangular(conj_transposed(R), x, upper=False, left=False), None


class LinalgLu(Function):
    @staticmethod
    def forward(ctx, A):
        p, low, up, _, _ = _lu_arrays(array_of(A))
        P, L, U = tensor_of(p), tensor_of(low), tensor_of(up)
        ctx.save_for_backward(P, L, U)
        ctx.mark_non_differentiable(P)
        return P, L, U

    @staticmethod
    def backward(ctx, gP, gL, gU):
        P, L, U = ctx.saved_tensors
        k = U.shape[-2] if U.shape[-2] < U.shape[-1] else L.shape[-1]
        L1, L2, U1, U2 = L[..., :k, :], L[..., k:, :], U[..., :k], U[..., k:]
        # What is right of the square in U is L⁻¹ times columns of PᵀA, what is below it in L is rows times U⁻¹.
        x, right, below = 0, None, None
        if gL is not None:
            x = (conj_transposed(L1) @ gL[..., :k, :]).tril(-1)
            if L2.shape[-2]:
                x = x - (conj_transposed(L2) @ gL[..., k:, :]).triu()
                below = solve_triangular(conj_transposed(U1), gL[..., k:, :], upper=False, left=False)
        if gU is not None:
            x = x + (gU[..., :k] @ conj_transposed(U1)).triu()
            if U2.shape[-1]:
                x = x - (gU[..., k:] @ conj_transposed(U2)).tril(-1)
                right = solve_triangular(conj_transposed(L1), gU[..., k:], upper=True, unitriangular=True)
        x = solve_triangular(conj_transposed(U1), x, upper=False, left=False)
        x = solve_triangular(conj_transposed(L1), x, upper=True, unitriangular=True)
        if L2.shape[-2]:
            x = H.cat([x, H.zeros_like(L2) if below is None else below], -2)
        if U2.shape[-1]:
            x = H.cat([x, H.zeros_like(U2) if right is None else right], -1)
        return P @ x


def _substituted_twice(L, B, upper):
    # (L Lᴴ)⁻¹ B, or (Lᴴ L)⁻¹ B of an upper L, without history.
    low = conj_transposed(L) if upper else L
    x = _substitute(array_of(low), array_of(B), False, False)
    return tensor_of(_substitute(array_of(conj_transposed(low)), x, True, False))


def _fails(m):
    try:
        return not numpy().isfinite(lapack("cholesky", m)).all()
    except numpy().linalg.LinAlgError:
        return True


def _first_minor(a):
    # The order of the first leading minor that is not positive, 0 where there is none; all larger ones fail with it.
    info = []
    for m in matrices(a):
        orders = range(1, m.shape[-1] + 1)
        order = bisect_left(orders, True, key=lambda k, m=m: _fails(m[:k, :k])) + 1
        info.append(order if order in orders else 0)
    return numpy().array(info, dtype="int32").reshape(a.shape[:-2])


def cholesky(input, *, upper=False, out=None):
    """The lower triangular L with L Lᴴ = A, of which only the lower triangle is read (`upper`: U with Uᴴ U = A).

    LinAlgError where A is not positive definite.

    >>> import hadamard as H
    >>> H.linalg.cholesky(H.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    check_square(input, "linalg.cholesky")
    check_float(input, "linalg.cholesky", "cholesky_cpu")
    if foreign(input):
        return into(out, widened(cholesky, input))
    if upper:
        return into(out, conj_transposed(LinalgCholeskyEx.apply(conj_transposed(input))))
    return into(out, LinalgCholeskyEx.apply(input))


def cholesky_ex(input, *, upper=False, check_errors=False, out=None):
    """`cholesky` and, instead of an error, the order of the first minor that is not positive (int32; 0: none)."""
    check_square(input, "linalg.cholesky")
    check_float(input, "linalg.cholesky", "cholesky_cpu")
    if foreign(input):
        return into(out, widened(cholesky_ex, input))
    info = _first_minor(array_of(conj_transposed(input) if upper else input))
    if not info.any() or check_errors:
        return into(out, _CholeskyEx(cholesky(input, upper=upper), tensor_of(info)))
    bad = tensor_of(info != 0)[..., None, None]
    triangle = input.triu() if upper else input.tril()
    L = cholesky(H.where(bad, H.eye(input.shape[-1], dtype=input.dtype), input), upper=upper)
    return into(out, _CholeskyEx(H.where(bad, triangle, L), tensor_of(info)))


def qr(A, mode="reduced", *, out=None):
    """Q with orthonormal columns and triangular R with Q R = A; `mode` "reduced", "complete" or "r" (only R).

    >>> import hadamard as H
    >>> A = H.randn(4, 3)
    >>> Q, R = H.linalg.qr(A)
    >>> H.allclose(Q @ R, A, atol=1e-5)
    True
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    check_matrix(A, "linalg.qr")
    check_float(A, "linalg.qr", "geqrf_cpu")
    if foreign(A):
        return into(out, widened(lambda a: qr(a, mode), A))
    m, n = A.shape[-2:]
    if m < n:  # the first m columns are decomposed, the others seen in their basis
        Q, R = LinalgQr.apply(A[..., :m], True)
        R = H.cat([R, conj_transposed(Q) @ A[..., m:]], -1)
    else:
        Q, R = LinalgQr.apply(A, mode == "complete")
    if mode == "r":
        Q = A.new_empty(0)
    return into(out, _QR(Q, R))


def _lu_arrays(a):
    np = numpy()
    m, n = a.shape[-2:]
    k = min(m, n)
    P, L, U, pivots, info = [], [], [], [], []
    for x in matrices(a):
        x = x.copy()
        rows, swaps, first = eliminate(x)
        p = np.zeros((m, m), a.dtype)
        p[rows, np.arange(m)] = 1
        P.append(p)
        L.append(np.tril(x[:, :k], -1) + np.eye(m, k, dtype=a.dtype))
        U.append(np.triu(x[:k]))
        pivots.append(swaps)
        info.append(first)
    batch = a.shape[:-2]

    def joined(parts, *shape, dtype=a.dtype):
        return np.array(parts, dtype=dtype).reshape((*batch, *shape))

    return (
        joined(P, m, m),
        joined(L, m, k),
        joined(U, k, n),
        joined(pivots, k, dtype=np.int32),
        joined(info, dtype=np.int32),
    )


def lu(A, *, pivot=True, out=None):
    """P, L and U with P L U = A: a permutation, a lower triangle with ones on the diagonal, an upper triangle."""
    check_matrix(A, "linalg.lu")
    check_kernel(A, "lu_cpu")
    if foreign(A):
        return into(out, widened(lambda a: lu(a, pivot=pivot), A))
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return into(out, _LU(*LinalgLu.apply(A)))


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """L below and U from the diagonal in one matrix, the rows that were swapped (from 1), the first zero pivot."""
    check_matrix(A, "torch.linalg.lu_factor_ex")
    check_kernel(A, "lu_cpu")
    if foreign(A):
        return into(out, widened(lu_factor_ex, A))
    _, L, U = lu(A, pivot=pivot)
    _, _, _, pivots, info = _lu_arrays(array_of(A))
    if check_errors and info.any():
        number, where = first_failure(info)
        raise LinAlgError(
            f"torch.linalg.lu_factor_ex: {where}U[{number},{number}] is zero and using it on lu_solve would result in "
            "a division by zero. If you still want to perform the factorization, consider calling "
            "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )
    m, n = A.shape[-2:]
    low = L.tril(-1)
    if n > m:
        low = H.cat([low, low.new_zeros(*low.shape[:-1], n - m)], -1)
    elif m > n:
        U = H.cat([U, U.new_zeros(*U.shape[:-2], m - n, n)], -2)
    return into(out, _LUFactorEx(low + U, tensor_of(pivots), tensor_of(info)))


def lu_factor(A, *, pivot=True, out=None):
    """`lu_factor_ex` that raises LinAlgError where a pivot is zero: (LU, pivots)."""
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    zeros = array_of(info)
    if zeros.any():
        number, where = first_failure(zeros)
        raise LinAlgError(
            f"torch.linalg.lu_factor: {where}U[{number},{number}] is zero and using it on lu_solve would result in a "
            "division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) "
            "or linalg.lu_factor_ex(A, pivot)"
        )
    return into(out, _LUFactor(LU, pivots))


def permutation(pivots, n, dtype):
    """The matrix P of the swaps of rows (…, k), counted from 1, that a factorisation of (…, n, m) reports."""
    np = numpy()
    swaps = array_of(pivots).reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    orders = np.tile(np.arange(n), (swaps.shape[0], 1))
    for order, swap in zip(orders, swaps, strict=True):
        for k, p in enumerate(swap):
            order[[k, p - 1]] = order[[p - 1, k]]
    P = np.zeros((len(orders), n, n), np.float32)
    P[np.arange(len(orders))[:, None], orders, np.arange(n)] = 1
    return tensor_of(P.reshape(*pivots.shape[:-1], n, n)).to(dtype)


def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """X with A X = B (X A = B where `left` is false; Aᴴ for A where `adjoint`), from the results of `lu_factor`."""
    name = "torch.linalg.lu_solve"
    check_float(LU if B.numel() else B, name, "linalg.lu_solve_cpu")
    if foreign(LU):
        return into(out, widened(lambda a, p, b: lu_solve(a, p, b, left=left, adjoint=adjoint), LU, pivots, B))
    name = "linalg.lu_solve"
    check_square(LU, name, "LU")
    check_matrix(B, name, "B")
    check_equation(name, LU, B, left)
    if not left:
        return into(out, conj_transposed(lu_solve(LU, pivots, conj_transposed(B), adjoint=not adjoint)))
    n = LU.shape[-1]
    P = permutation(pivots, n, LU.dtype)
    if adjoint:
        x = solve_triangular(conj_transposed(LU), B, upper=False)
        return into(out, P @ solve_triangular(conj_transposed(LU), x, upper=True, unitriangular=True))
    x = solve_triangular(LU, P.mT @ B, upper=False, unitriangular=True)
    return into(out, solve_triangular(LU, x, upper=True))
