"""Linear algebra of the array API standard: the `linalg` extension and the products of the main namespace."""

from collections import namedtuple

from .. import _C, _products
from .. import linalg as _linalg
from ._array import plain, promoted, standard

__all__ = (
    "cholesky cross det diagonal eig eigh eigvals eigvalsh inv matmul matrix_norm matrix_power matrix_rank "
    "matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm"
).split()

eig_result = namedtuple("eig_result", "eigenvalues eigenvectors")
eigh_result = namedtuple("eigh_result", "eigenvalues eigenvectors")
qr_result = namedtuple("qr_result", "Q R")
slogdet_result = namedtuple("slogdet_result", "sign logabsdet")
svd_result = namedtuple("svd_result", "U S Vh")


@standard
def matmul(x1, x2, /):
    """Products of matrices, of vectors and of stacks of matrices."""
    return _C.matmul(*promoted(x1, x2))


@standard
def matrix_transpose(x, /):
    """x with its last two axes swapped."""
    return x.mT


@standard
def tensordot(x1, x2, /, *, axes=2):
    """Sums of products over the last `axes` axes of x1 and the first of x2, or over two lists of axes."""
    x1, x2 = promoted(x1, x2)
    if not isinstance(axes, int):
        axes = tuple(list(a) for a in axes)
        for a, b in zip(*axes, strict=True):
            if x1.shape[a] != x2.shape[b]:  # torch would repeat a size of 1
                raise ValueError(f"tensordot: axis {a} of size {x1.shape[a]} and axis {b} of size {x2.shape[b]}")
    return _products.tensordot(x1, x2, axes)


@standard
def vecdot(x1, x2, /, *, axis=-1):
    """Sums of conj(x1) * x2 over an axis, the other axes broadcast."""
    x1, x2 = promoted(x1, x2)
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: sizes {x1.shape[axis]} and {x2.shape[axis]} of axis {axis} differ")
    if x1.is_floating_point() or x1.is_complex():
        return _linalg.vecdot(plain(x1), plain(x2), dim=axis)
    return _C.sum(x1 * x2, axis, dtype=x1.dtype)


@standard
def cholesky(x, /, *, upper=False):
    """The triangular matrix L with x = L Lᴴ; with upper=True, U with x = Uᴴ U."""
    return _linalg.cholesky(plain(x), upper=upper)


@standard
def cross(x1, x2, /, *, axis=-1):
    """The vector product over an axis of size 3."""
    return _C.linalg_cross(*_C.broadcast_tensors(*promoted(x1, x2)), dim=axis)


@standard
def det(x, /):
    """The determinants."""
    return _linalg.det(plain(x))


@standard
def diagonal(x, /, *, offset=0):
    """The diagonals of the matrices, as a view."""
    return _C.diagonal(x, offset, -2, -1)


@standard
def eig(x, /):
    """Eigenvalues and eigenvectors of any matrix: complex."""
    return eig_result(*_linalg.eig(plain(x)))


@standard
def eigvals(x, /):
    """Eigenvalues of any matrix: complex."""
    return _linalg.eigvals(plain(x))


@standard
def eigh(x, /):
    """Eigenvalues, ascending, and eigenvectors of a Hermitian matrix."""
    return eigh_result(*_linalg.eigh(plain(x)))


@standard
def eigvalsh(x, /):
    """Eigenvalues of a Hermitian matrix, ascending."""
    return _linalg.eigvalsh(plain(x))


@standard
def inv(x, /):
    """The inverses."""
    return _linalg.inv(plain(x))


@standard
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """Norms of the matrices: "fro", "nuc", 1, 2, inf and their negatives."""
    return _linalg.matrix_norm(plain(x), ord=ord, keepdim=keepdims)


@standard
def matrix_power(x, n, /):
    """The matrices to an integer power."""
    return _linalg.matrix_power(plain(x), n)


@standard
def matrix_rank(x, /, *, rtol=None):
    """How many singular values are above rtol times the largest."""
    return _linalg.matrix_rank(plain(x), rtol=plain(rtol))


@standard
def outer(x1, x2, /):
    """All products of an element of x1 and one of x2."""
    return _C.outer(*promoted(x1, x2))


@standard
def pinv(x, /, *, rtol=None):
    """The pseudo-inverses."""
    return _linalg.pinv(plain(x), rtol=plain(rtol))


@standard
def qr(x, /, *, mode="reduced"):
    """x = Q R with orthonormal Q and upper triangular R."""
    return qr_result(*_linalg.qr(plain(x), mode))


@standard
def slogdet(x, /):
    """Sign and logarithm of the absolute value of the determinants."""
    return slogdet_result(*_linalg.slogdet(plain(x)))


@standard
def solve(x1, x2, /):
    """The solution of x1 @ y = x2; x2 is one vector if it has one axis, else matrices."""
    x1, x2 = (plain(x) for x in promoted(x1, x2))
    if x2.dim() == 1:
        return _linalg.solve(x1, x2[:, None].expand(*x1.shape[:-1], 1))[..., 0]
    batch = _C.broadcast_tensors(x1[..., 0, 0], x2[..., 0, 0])[0].shape if x1.numel() and x2.numel() else None
    if batch is None:
        return _linalg.solve(x1, x2)
    return _linalg.solve(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]))


@standard
def svd(x, /, *, full_matrices=True):
    """x = U diag(S) Vh with orthonormal U and Vh and descending S."""
    return svd_result(*_linalg.svd(plain(x), full_matrices))


@standard
def svdvals(x, /):
    """The singular values, descending."""
    return _linalg.svdvals(plain(x))


@standard
def trace(x, /, *, offset=0, dtype=None):
    """Sums of the diagonals of the matrices."""
    return _C.sum(_C.diagonal(x, offset, -2, -1), -1, dtype=dtype)


@standard
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """Norms over axes, all where None."""
    x = plain(x)
    if axis is None:
        axis = tuple(range(x.dim()))
    elif not isinstance(axis, tuple):
        axis = (axis,)
    if not axis:
        return x.abs() if ord != 0 else (x != 0).to(x.real.dtype)
    return _C.linalg_vector_norm(x, ord, axis, keepdims)
