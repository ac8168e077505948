"""Linear algebra and special functions under their older names, outside linalg and special."""

import warnings

import hadamard as H

from . import linalg
from ._common import into, named
from .linalg._householder import geqrf, ormqr, pca_lowrank, svd_lowrank
from .linalg._support import check_kernel, check_matrix, check_square, conj_transposed, foreign
from .linalg._triangles import CholeskyInverse, CholeskySolve
from .special import gammainc as igamma
from .special import gammaincc as igammac
from .special import i0, logit, polygamma
from .special import multigammaln as mvlgamma

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "eig",
    "geqrf",
    "igamma",
    "igammac",
    "lstsq",
    "lu",
    "lu_unpack",
    "matrix_rank",
    "orgqr",
    "ormqr",
    "pca_lowrank",
    "solve",
    "svd_lowrank",
    "symeig",
    "triangular_solve",
    "frobenius_norm",
    "i0",
    "inverse",
    "logdet",
    "logit",
    "lu_solve",
    "matrix_exp",
    "matrix_power",
    "mvlgamma",
    "nuclear_norm",
    "pinverse",
    "polygamma",
    "qr",
    "slogdet",
    "svd",
]

det = linalg.det
inverse = linalg.inv
logdet = linalg.logdet
matrix_exp = linalg.matrix_exp
matrix_power = linalg.matrix_power
orgqr = linalg.householder_product

_Slogdet = named("slogdet", ["sign", "logabsdet"])
_QR = named("qr", ["Q", "R"])
_LUInfo = named("_lu_with_info", ["LU", "pivots", "info"])
_LUUnpack = named("lu_unpack", ["P", "L", "U"])
_TriangularSolve = named("triangular_solve", ["solution", "cloned_coefficient"])
_SVD = named("svd", ["U", "S", "V"])


def slogdet(input):
    """`linalg.slogdet`."""
    return _Slogdet(*linalg.slogdet(input))


def pinverse(input, rcond=1e-15):
    """`linalg.pinv` that counts singular values up to rcond · σ_max as 0."""
    return linalg.pinv(input, rtol=rcond)


def cholesky(input, upper=False, *, out=None):
    """`linalg.cholesky`, which is to be preferred."""
    warnings.warn(
        "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a future PyTorch "
        "release.\nL = torch.cholesky(A)\nshould be replaced with\nL = torch.linalg.cholesky(A)\nand\nU = "
        "torch.cholesky(A, upper=True)\nshould be replaced with\nU = torch.linalg.cholesky(A).mH\nThis transform will "
        "produce equivalent results for all valid (symmetric positive definite) inputs.",
        stacklevel=2,
    )
    check_square(input, "cholesky")
    check_kernel(input, "cholesky_cpu")
    if foreign(input):  # only empty ones have come so far
        return into(out, input.clone())
    return linalg.cholesky(input, upper=upper, out=out)


def qr(input, some=True, *, out=None):
    """`linalg.qr`, which is to be preferred; complete where `some` is false."""
    warnings.warn(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future PyTorch release.\nThe "
        "boolean parameter 'some' has been replaced with a string parameter 'mode'.\nQ, R = torch.qr(A, some)\nshould "
        "be replaced with\nQ, R = torch.linalg.qr(A, 'reduced' if some else 'complete')",
        stacklevel=2,
    )
    return into(out, _QR(*linalg.qr(input, "reduced" if some else "complete")))


def svd(input, some=True, compute_uv=True, *, out=None):
    """U, S and V with U diag(S) Vᴴ = A; `linalg.svd` is to be preferred."""
    if not compute_uv:
        m, n = input.shape[-2:]
        S = linalg.svdvals(input)
        return into(out, _SVD(input.new_zeros(*input.shape[:-1], m), S, input.new_zeros(*input.shape[:-2], n, n)))
    U, S, Vh = linalg.svd(input, full_matrices=not some)
    return into(out, _SVD(U, S, conj_transposed(Vh)))


def cholesky_solve(input, L, upper=False, *, out=None):
    """X with A X = B for B = `input` and A = L Lᴴ (Lᴴ L where `upper`)."""
    check_matrix(input, "cholesky_solve", "b")
    check_square(L, "cholesky_solve")
    check_kernel(input, "cholesky_solve_cpu", empty=False)
    return into(out, CholeskySolve.apply(input, L, upper))


def cholesky_inverse(L, upper=False, *, out=None):
    """The inverse of L Lᴴ (Lᴴ L where `upper`)."""
    check_square(L, "cholesky_inverse")
    check_kernel(L, "cholesky_inverse_out_cpu", empty=False)
    return into(out, CholeskyInverse.apply(L, upper))


def _removed(name, instead, more=""):
    def function(*args, **kwargs):
        raise RuntimeError(
            f"This function was deprecated since version 1.9 and is now removed.{more}\n\ntorch.{name} should be "
            f"replaced with torch.linalg.{instead}, whose arguments and results differ."
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"RuntimeError: torch removed it in favour of `linalg.{instead}`."
    return function


_REPLACED = " `torch.{0}` is deprecated in favor of `torch.linalg.{0}`."
eig = _removed(
    "eig",
    "eig",
    " `torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real tensors mimicking "
    "complex tensors.",
)
lstsq = _removed("lstsq", "lstsq", _REPLACED.format("lstsq"))
matrix_rank = _removed("matrix_rank", "matrix_rank")
solve = _removed(
    "solve",
    "solve",
    _REPLACED.format("solve")
    + " `torch.linalg.solve` has its arguments reversed and does not return the LU factorization.",
)
symeig = _removed(
    "symeig",
    "eigh",
    " The default behavior has changed from using the upper triangular portion of the matrix by default to using the "
    "lower triangular portion.",
)


def lu_solve(b, LU_data, LU_pivots, *, out=None):
    """`linalg.lu_solve`."""
    return linalg.lu_solve(LU_data, LU_pivots, b, out=out)


def nuclear_norm(input, dim=(-2, -1), keepdim=False, *, out=None):
    """The sum of the singular values."""
    return linalg.matrix_norm(input, "nuc", dim, keepdim, out=out)


def frobenius_norm(input, dim=(), keepdim=False, *, out=None):
    """The root of the sum of the squared absolute values."""
    return into(out, linalg.vector_norm(input, 2, dim, keepdim))


def lu(A, pivot=True, get_infos=False, out=None):
    """(LU, pivots) of `linalg.lu_factor`, and the first zero pivots where `get_infos`."""
    LU, pivots, info = linalg.lu_factor_ex(A, pivot=pivot)
    return into(out, _LUInfo(LU, pivots, info) if get_infos else (LU, pivots))


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """P, L and U with P L U = A, from the results of `linalg.lu_factor`; empty where they are not asked for.

    >>> import hadamard as H
    >>> A = H.tensor([[0.0, 2.0], [1.0, 3.0]])
    >>> P, L, U = H.lu_unpack(*H.linalg.lu_factor(A))
    >>> H.equal(P @ L @ U, A)
    True
    """
    if LU_data.dim() < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(LU_data.shape)} instead"
        )
    if unpack_pivots and LU_pivots.dtype != H.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this "
            "function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    P = L = U = LU_data.new_empty(0)
    if unpack_data:
        L = LU_data[..., :k].tril(-1) + H.eye(m, k, dtype=LU_data.dtype)
        U = LU_data[..., :k, :].triu()
    if unpack_pivots:
        if LU_pivots.numel() and not bool(((LU_pivots >= 1) & (LU_pivots <= m)).all()):
            raise RuntimeError(
                "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the "
                "result of lu_factor?"
            )
        P = linalg._triangles.permutation(LU_pivots, m, LU_data.dtype)
    return into(out, _LUUnpack(P, L, U))


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """(X, A) with A X = b, or Aᵀ X = b where `transpose`; `linalg.solve_triangular` is to be preferred.

    >>> import hadamard as H
    >>> H.triangular_solve(H.tensor([[2.0], [4.0]]), H.tensor([[1.0, 0.0], [0.0, 2.0]])).solution
    tensor([[2.],
            [2.]])
    """
    warnings.warn(
        "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangularand will be removed in a future "
        "PyTorch release.\ntorch.linalg.solve_triangular has its arguments reversed and does not return a copy of one "
        "of the inputs.\nX = torch.triangular_solve(B, A).solution\nshould be replaced with\nX = "
        "torch.linalg.solve_triangular(A, B).",
        stacklevel=2,
    )
    for word, t in (("b", b), ("A", A)):
        if t.dim() < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {word} to have at least 2 dimensions, but it has {t.dim()} "
                "dimensions instead"
            )
    if A.size(-1) != A.size(-2):
        raise RuntimeError(f"A must be batches of square matrices, but they are {A.size(-2)} by {A.size(-1)} matrices")
    if A.size(-1) != b.size(-2):
        raise RuntimeError(
            f"Incompatible matrix sizes for triangular_solve: each A matrix is {A.size(-1)} by {A.size(-1)} but each b "
            f"matrix is {b.size(-2)} by {b.size(-1)}"
        )
    check_kernel(b, "triangular_solve_cpu", empty=False)
    coefficient = A.mT if transpose else A
    x = linalg.solve_triangular(coefficient, b, upper=upper != transpose, unitriangular=unitriangular)
    by_columns = [t.mT.contiguous().mT for t in (x, A)]
    return into(out, _TriangularSolve(*by_columns))
