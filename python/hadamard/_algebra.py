"""Linear algebra and special functions under their older names, outside linalg and special."""

import warnings

from . import linalg
from .linalg._support import check_kernel, check_matrix, check_square, conj_transposed, foreign, named, write
from .linalg._triangles import CholeskyInverse, CholeskySolve
from .special import i0, logit, polygamma
from .special import multigammaln as mvlgamma

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
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

_Slogdet = named("slogdet", ["sign", "logabsdet"])
_QR = named("qr", ["Q", "R"])
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
        return write(out, input.clone())
    return linalg.cholesky(input, upper=upper, out=out)


def qr(input, some=True, *, out=None):
    """`linalg.qr`, which is to be preferred; complete where `some` is false."""
    warnings.warn(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future PyTorch release.\nThe "
        "boolean parameter 'some' has been replaced with a string parameter 'mode'.\nQ, R = torch.qr(A, some)\nshould "
        "be replaced with\nQ, R = torch.linalg.qr(A, 'reduced' if some else 'complete')",
        stacklevel=2,
    )
    return write(out, _QR(*linalg.qr(input, "reduced" if some else "complete")))


def svd(input, some=True, compute_uv=True, *, out=None):
    """U, S and V with U diag(S) Vᴴ = A; `linalg.svd` is to be preferred."""
    if not compute_uv:
        m, n = input.shape[-2:]
        S = linalg.svdvals(input)
        return write(out, _SVD(input.new_zeros(*input.shape[:-1], m), S, input.new_zeros(*input.shape[:-2], n, n)))
    U, S, Vh = linalg.svd(input, full_matrices=not some)
    return write(out, _SVD(U, S, conj_transposed(Vh)))


def cholesky_solve(input, L, upper=False, *, out=None):
    """X with A X = B for B = `input` and A = L Lᴴ (Lᴴ L where `upper`)."""
    check_matrix(input, "cholesky_solve", "b")
    check_square(L, "cholesky_solve")
    check_kernel(input, "cholesky_solve_cpu", empty=False)
    return write(out, CholeskySolve.apply(input, L, upper))


def cholesky_inverse(L, upper=False, *, out=None):
    """The inverse of L Lᴴ (Lᴴ L where `upper`)."""
    check_square(L, "cholesky_inverse")
    check_kernel(L, "cholesky_inverse_out_cpu", empty=False)
    return write(out, CholeskyInverse.apply(L, upper))


def lu_solve(b, LU_data, LU_pivots, *, out=None):
    """`linalg.lu_solve`."""
    return linalg.lu_solve(LU_data, LU_pivots, b, out=out)


def nuclear_norm(input, dim=(-2, -1), keepdim=False, *, out=None):
    """The sum of the singular values."""
    return linalg.matrix_norm(input, "nuc", dim, keepdim, out=out)


def frobenius_norm(input, dim=(), keepdim=False, *, out=None):
    """The root of the sum of the squared absolute values."""
    return write(out, linalg.vector_norm(input, 2, dim, keepdim))
