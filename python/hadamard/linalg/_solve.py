"""Equations and inverses, by LAPACK."""

import math

import hadamard as H
from hadamard import _C
from hadamard._common import into, named, scalar_name
from hadamard.autograd.function import Function

from ._support import (
    SMALL,
    LinAlgError,
    array_of,
    check_equation,
    check_float,
    check_kernel,
    check_matrix,
    check_square,
    conj_transposed,
    first_failure,
    foreign,
    lapack,
    numpy,
    raise_singular,
    sum_to,
    tensor_of,
    widened,
    zero_pivots,
)

_InvEx = named("linalg_inv_ex", ["inverse", "info"])
_SolveEx = named("linalg_solve_ex", ["result", "info"])


class LinalgInvEx(Function):
    @staticmethod
    def forward(ctx, A):
        if A.shape[-1] <= SMALL:
            X, info = _C._solve_small(A)
            if info.any():
                raise_singular("linalg.inv", info.numpy())
        else:
            X = LinalgInvEx.by_lapack(array_of(A))
        ctx.save_for_backward(X)
        return X

    @staticmethod
    def by_lapack(a):
        np = numpy()
        try:
            return tensor_of(lapack("inv", a))
        except np.linalg.LinAlgError:
            info = zero_pivots(a)
            if not info.any():  # LAPACK found a zero that plain elimination did not
                info = np.ones_like(info)
            raise_singular("linalg.inv", info)

    @staticmethod
    def backward(ctx, g):
        (X,) = ctx.saved_tensors
        Xh = conj_transposed(X)
        return -(Xh @ g @ Xh)


class LinalgSolveEx(Function):
    @staticmethod
    def forward(ctx, A, B):
        if A.shape[-1] <= SMALL:
            batch = H.broadcast_shapes(A.shape[:-2], B.shape[:-2])
            X, info = _C._solve_small(A.expand(*batch, -1, -1), B.expand(*batch, -1, -1))
            singular, info = bool(info.any()), info.numpy()
        else:
            np = numpy()
            try:
                X, singular = tensor_of(lapack("solve", array_of(A), array_of(B))), False
            except np.linalg.LinAlgError:
                singular, info = True, zero_pivots(array_of(A))
        if singular:
            where = first_failure(info)[1] if info.any() else ""
            raise LinAlgError(f"torch.linalg.solve: {where}The solver failed because the input matrix is singular.")
        ctx.save_for_backward(A, X)
        ctx.shapes = A.shape, B.shape
        return X

    @staticmethod
    def backward(ctx, g):
        A, X = ctx.saved_tensors
        gB = solve(conj_transposed(A), g)
        return sum_to(-(gB @ conj_transposed(X)), ctx.shapes[0]), sum_to(gB, ctx.shapes[1])


class LinalgSolveTriangular(Function):
    @staticmethod
    def forward(ctx, A, B, upper, unit):
        X = tensor_of(_substitute(array_of(A), array_of(B), upper, unit))
        ctx.save_for_backward(A, X)
        ctx.upper, ctx.unit, ctx.shapes = upper, unit, (A.shape, B.shape)
        return X

    @staticmethod
    def backward(ctx, g):
        A, X = ctx.saved_tensors
        gB = solve_triangular(conj_transposed(A), g, upper=not ctx.upper, unitriangular=ctx.unit)
        gA = -(gB @ conj_transposed(X))
        gA = gA.triu(int(ctx.unit)) if ctx.upper else gA.tril(-int(ctx.unit))
        return sum_to(gA, ctx.shapes[0]), sum_to(gB, ctx.shapes[1]), None, None


def _substitute(a, b, upper, unit):
    np = numpy()
    n = a.shape[-1]
    a = np.triu(a) if upper else np.tril(a)
    if unit:
        i = np.arange(n)
        a[..., i, i] = 1
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)
    if (diagonal != 0).all():
        return lapack("solve", a, b)
    x = np.broadcast_to(b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])).copy()
    with np.errstate(all="ignore"):
        for k in reversed(range(n)) if upper else range(n):
            x[..., k, :] /= a[..., k, k, None]
            rest = slice(0, k) if upper else slice(k + 1, n)
            x[..., rest, :] -= a[..., rest, k, None] * x[..., k, None, :]
    return x


def inv(A, *, out=None):
    """The inverse of square matrices (…, n, n). LinAlgError where one is singular.

    >>> import hadamard as H
    >>> H.linalg.inv(H.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_square(A, "linalg.inv")
    check_float(A, "linalg.inv")
    return into(out, LinalgInvEx.apply(A))


def inv_ex(A, *, check_errors=False, out=None):
    """`inv` and, instead of an error, the number of the first zero pivot (int32; 0 where there is none)."""
    check_square(A, "linalg.inv")
    check_float(A, "linalg.inv")
    info = zero_pivots(array_of(A))
    if info.any():
        if check_errors:
            raise_singular("linalg.inv_ex", info)
        bad = tensor_of(info != 0)[..., None, None]
        eye = H.eye(A.shape[-1], dtype=A.dtype)
        x = H.where(bad, A.new_full((), float("nan")), inv(H.where(bad, eye, A)))
        return into(out, _InvEx(x, tensor_of(info)))
    return into(out, _InvEx(inv(A), tensor_of(info)))


def solve(A, B, *, left=True, out=None):
    """X with A X = B, or X A = B where `left` is false; A is (…, n, n), B (…, n, k) or vectors (…, n).

    >>> import hadamard as H
    >>> H.linalg.solve(H.tensor([[2.0, 0.0], [0.0, 4.0]]), H.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    name = "linalg.solve"
    check_float(A, name, "lu_cpu")
    check_square(A, name)
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {scalar_name(A.dtype)} and B of "
            f"type {scalar_name(B.dtype)} instead"
        )
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. In this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    b = B.unsqueeze(-1) if vector else B
    check_equation(name, A, b, left)
    if foreign(A):
        return into(out, widened(lambda a, b: solve(a, b, left=left), A, B))
    if left:
        x = LinalgSolveEx.apply(A, b)
    else:
        x = LinalgSolveEx.apply(A.mT, b.mT).mT
    return into(out, x.squeeze(-1) if vector else x)


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """`solve` and, instead of an error, the number of the first zero pivot (int32; 0 where there is none)."""
    check_square(A, "linalg.solve")
    check_float(A, "linalg.solve", "lu_cpu")
    if foreign(A):
        return into(out, widened(lambda a, b: solve_ex(a, b, left=left), A, B))
    info = zero_pivots(array_of(A))
    if not info.any() or check_errors:
        return into(out, _SolveEx(solve(A, B, left=left), tensor_of(info)))
    bad = tensor_of(info != 0)
    x = solve(H.where(bad[..., None, None], H.eye(A.shape[-1], dtype=A.dtype), A), B, left=left)
    bad = bad.reshape(bad.shape + (1,) * (x.dim() - bad.dim()))
    return into(out, _SolveEx(H.where(bad, x.new_full((), float("nan")), x), tensor_of(info)))


def solve_triangular(input, B, *, upper, left=True, unitriangular=False, out=None):
    """`solve` for triangular A, of which only that triangle is read."""
    name = "linalg.solve_triangular"
    A = input
    check_square(A, name)
    check_matrix(B, name, "B")
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {scalar_name(A.dtype)} and B of "
            f"type {scalar_name(B.dtype)} instead"
        )
    check_equation(name, A, B, left)
    check_kernel(A, "triangular_solve_cpu", empty=False)
    if left:
        return into(out, LinalgSolveTriangular.apply(A, B, upper, unitriangular))
    return into(out, LinalgSolveTriangular.apply(A.mT, B.mT, not upper, unitriangular).mT)


def tensorinv(input, ind=2, *, out=None):
    """The inverse of A seen as a matrix from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    head, tail = input.shape[:ind], input.shape[ind:]
    rows, cols = math.prod(head), math.prod(tail)
    if rows != cols:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{cols} != {rows}"
        )
    return into(out, inv(input.reshape(rows, cols)).reshape(*tail, *head))


def tensorsolve(input, other, dims=None, *, out=None):
    """X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first."""
    A = input
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(-len(dims), 0)))
    shape = A.shape[other.dim() :]
    size = math.prod(shape)
    if size != other.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {size} != {other.numel()}"
        )
    return into(out, solve(A.reshape(size, size), other.reshape(-1)).reshape(shape))
