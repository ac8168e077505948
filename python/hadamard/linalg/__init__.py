"""Linear algebra: norms, decompositions, solutions of equations, for batches of matrices.

Decompositions are LAPACK's, by way of NumPy, which is imported when the first of them is called. All have gradients,
and gradients of gradients.
"""

from ._householder import householder_product
from ._products import (
    cond,
    cross,
    diagonal,
    matmul,
    matrix_exp,
    matrix_norm,
    matrix_power,
    multi_dot,
    norm,
    vander,
    vecdot,
    vector_norm,
)
from ._solve import inv, inv_ex, solve, solve_ex, solve_triangular, tensorinv, tensorsolve
from ._spectra import det, eig, eigh, eigvals, eigvalsh, logdet, lstsq, matrix_rank, pinv, slogdet, svd, svdvals
from ._support import LinAlgError
from ._triangles import cholesky, cholesky_ex, lu, lu_factor, lu_factor_ex, lu_solve, qr

__all__ = [
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "LinAlgError",
    "logdet",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
