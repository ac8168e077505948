"""Eigenvalues and singular values, and what is made of them: pseudo-inverse, rank, least squares, determinants."""

import hadamard as H
from hadamard import _C
from hadamard._common import into, named, scalar_name
from hadamard.autograd.function import Function

from ._solve import inv, solve
from ._support import (
    SMALL,
    LinAlgError,
    array_of,
    check_float,
    check_kernel,
    check_matrix,
    check_square,
    conj_transposed,
    differences,
    foreign,
    lapack,
    numpy,
    off_diagonal,
    real_part,
    tensor_of,
    widened,
)

_Slogdet = named("linalg_slogdet", ["sign", "logabsdet"])
_SVD = named("linalg_svd", ["U", "S", "Vh"])
_Eigh = named("linalg_eigh", ["eigenvalues", "eigenvectors"])
_Eig = named("linalg_eig", ["eigenvalues", "eigenvectors"])
_Lstsq = named("linalg_lstsq", ["solution", "residuals", "rank", "singular_values"])


def _skew(x):
    return x - conj_transposed(x)


class LinalgDet(Function):
    @staticmethod
    def forward(ctx, A):
        if A.shape[-1] <= SMALL:
            y = _C._det_small(A)
        else:
            np = numpy()
            y = tensor_of(np.asarray(lapack("det", array_of(A)), dtype=array_of(A).dtype))
        ctx.save_for_backward(A, y)
        return y

    @staticmethod
    def backward(ctx, g):
        A, y = ctx.saved_tensors
        g = g[..., None, None]
        if bool((y != 0).all()):
            return g * y[..., None, None].conj() * conj_transposed(inv(A))
        return g * _cofactors(A).conj()


class LinalgSlogdet(Function):
    @staticmethod
    def forward(ctx, A):
        np = numpy()
        a = array_of(A)
        sign, log = lapack("slogdet", a)
        sign, log = tensor_of(np.asarray(sign, dtype=a.dtype)), tensor_of(np.asarray(log, dtype=a.real.dtype))
        ctx.save_for_backward(A, sign)
        return sign, log

    @staticmethod
    def backward(ctx, g_sign, g_log):
        A, sign = ctx.saved_tensors
        g = H.zeros_like(sign) if g_log is None else g_log
        if A.is_complex() and g_sign is not None:
            g = g - 1j * (g_sign.conj() * sign).imag
        return g[..., None, None] * conj_transposed(inv(A))


class LinalgEigh(Function):
    @staticmethod
    def forward(ctx, A, uplo):
        np = numpy()
        try:
            w, v = lapack("eigh", array_of(A), UPLO=uplo)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has "
                "too many repeated eigenvalues (error code: 1)."
            ) from None
        w, v = tensor_of(w), tensor_of(v)
        ctx.save_for_backward(w, v)
        return w, v

    @staticmethod
    def backward(ctx, gw, gv):
        w, v = ctx.saved_tensors
        vh = conj_transposed(v)
        if gv is None:
            return (v * gw.unsqueeze(-2)) @ vh, None
        x = off_diagonal(vh @ gv) / differences(w)
        if gw is not None:
            x = x + H.diag_embed(gw)
        return v @ x @ vh, None


class LinalgEig(Function):
    @staticmethod
    def forward(ctx, A):
        np = numpy()
        a = array_of(A)
        kind = np.result_type(a.dtype, np.complex64)
        try:
            w, v = lapack("eig", a)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.eig: The algorithm failed to converge because the input matrix contained non-finite values."
            ) from None
        w, v = tensor_of(w.astype(kind)), tensor_of(v.astype(kind))
        ctx.save_for_backward(w, v)
        ctx.real = not A.is_complex()
        return w, v

    @staticmethod
    def backward(ctx, gw, gv):
        w, v = ctx.saved_tensors
        vh = conj_transposed(v)
        if gv is None:
            x = gw.unsqueeze(-1) * vh
        else:
            x = vh @ gv
            x = x - (vh @ v) * x.diagonal(0, -2, -1).real.unsqueeze(-2)
            x = off_diagonal(x / differences(w).conj())
            if gw is not None:
                x = x + H.diag_embed(gw)
            x = x @ vh
        g = solve(vh, x)
        return g.real if ctx.real else g


class LinalgSvd(Function):
    @staticmethod
    def forward(ctx, A, full):
        np = numpy()
        a = array_of(A)
        try:
            u, s, vh = lapack("svd", a, full_matrices=full)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
            ) from None
        U, S, Vh = tensor_of(u), tensor_of(s), tensor_of(vh)
        ctx.save_for_backward(U, S, Vh)
        return U, S, Vh

    @staticmethod
    def backward(ctx, gU, gS, gVh):
        U, S, Vh = ctx.saved_tensors
        m, n, k = U.shape[-2], Vh.shape[-1], S.shape[-1]
        if U.shape[-1] > k or Vh.shape[-2] > k:  # only the first k of each are determined, up to their phase
            U, Vh = U[..., :k], Vh[..., :k, :]
            gU = None if gU is None else gU[..., :k]
            gVh = None if gVh is None else gVh[..., :k, :]
        if gU is None and gVh is None:
            return (U * gS.unsqueeze(-2)) @ Vh, None
        V, Uh = conj_transposed(Vh), conj_transposed(U)
        squares = S * S
        E = differences(squares)
        row, col = S.unsqueeze(-2), S.unsqueeze(-1)
        x = 0
        if gU is not None:
            UhgU = Uh @ gU
            s = _skew(UhgU)
            x = s / E * row
            if U.is_complex():
                x = x + H.diag_embed(s.diagonal(0, -2, -1) / (2 * S)) - H.diag_embed((s / E * row).diagonal(0, -2, -1))
        if gVh is not None:
            gV = conj_transposed(gVh)
            s = _skew(Vh @ gV)
            x = x + col * off_diagonal(s / E)
        if gS is not None:
            x = x + H.diag_embed(gS)
        left = U @ x
        if gU is not None and m > k:
            left = left + (gU - U @ UhgU) / row
        g = left @ Vh
        if gVh is not None and n > k:
            g = g + U @ ((gVh - (gVh @ V) @ Vh) / col)
        return g, None


class LinalgPinv(Function):
    @staticmethod
    def forward(ctx, A, X):
        ctx.save_for_backward(A, X)
        return X.clone()

    @staticmethod
    def backward(ctx, g):
        A, X = ctx.saved_tensors
        if H.is_grad_enabled():
            X = pinv(A)
        Xh, gh = conj_transposed(X), conj_transposed(g)
        if A.shape[-2] <= A.shape[-1]:
            K = gh @ X
            KXh = K @ Xh
            r = -conj_transposed(X @ K) + KXh - (A @ X) @ KXh + (Xh @ X) @ (gh - K @ A)
        else:
            K = X @ gh
            XhK = Xh @ K
            r = -conj_transposed(K @ X) + (gh - A @ K) @ X @ Xh + XhK - (XhK @ X) @ A
        return r, None


def _cofactors(A):
    # d det / d A also where A is singular: det(U) det(Vh) U diag(product of the other singular values) Vh.
    U, S, Vh = svd(A)
    others = H.ones_like(S)
    k = S.shape[-1]
    columns = []
    for i in range(k):
        rest = [S[..., j] for j in range(k) if j != i]
        p = others[..., i]
        for r in rest:
            p = p * r
        columns.append(p)
    products = H.stack(columns, -1)
    phase = (det(U) * det(Vh))[..., None, None]
    # det is linear in each element, so that the derivative is not conjugated here.
    return phase * ((U.conj() * products.unsqueeze(-2)) @ Vh.conj())


def pinv(input, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The pseudo-inverse (…, n, m) of matrices (…, m, n): singular values up to max(atol, rtol · σ_max) count as 0.

    `rtol` is by default max(m, n) times the smallest step of the dtype from 1, unless `atol` is given.
    """
    if input.dim() < 2 or foreign(input):
        raise RuntimeError(
            f"linalg.pinv({scalar_name(input.dtype)}{{{list(input.shape)}}}): expected a tensor with 2 or more "
            "dimensions of float, double, cfloat or cdouble types"
        )
    if hermitian:
        check_square(input, "linalg.pinv")
    if rtol is None:
        rtol = rcond
    with H.no_grad():
        if hermitian:
            s, u = eigh(input)
            v = u
        else:
            u, s, vh = svd(input, full_matrices=False)
            v = conj_transposed(vh)
        keep = _significant(s.abs(), input, atol, rtol)
        inverse = H.where(keep, 1 / H.where(keep, s, 1), 0)
        x = (v * inverse.unsqueeze(-2)) @ conj_transposed(u)
    if input.requires_grad and H.is_grad_enabled():
        x = LinalgPinv.apply(input, x)
    return into(out, x)


def _significant(s, A, atol, rtol):
    # Which singular values count, as a mask.
    if rtol is None:
        given = atol is not None and (isinstance(atol, H.Tensor) or atol > 0)
        rtol = 0.0 if given else max(A.shape[-2:]) * H.finfo(s.dtype).eps
    if atol is None:
        atol = 0.0
    if s.shape[-1] == 0:
        return s > 0
    rtol = rtol.unsqueeze(-1) if isinstance(rtol, H.Tensor) else rtol
    atol = atol.unsqueeze(-1) if isinstance(atol, H.Tensor) else atol
    bound = s.amax(-1, keepdim=True) * rtol
    bound = H.maximum(bound, atol) if isinstance(atol, H.Tensor) else bound.clamp_min(atol)
    return s > bound


def det(A, *, out=None):
    """The determinant of square matrices (…, n, n).

    >>> import hadamard as H
    >>> H.linalg.det(H.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    check_square(A, "linalg.det")
    check_float(A, "linalg.det", "lu_cpu")
    if foreign(A):
        return into(out, widened(det, A))
    return into(out, LinalgDet.apply(A))


def slogdet(A, *, out=None):
    """The sign of the determinant and the logarithm of its absolute value: (sign, logabsdet)."""
    check_square(A, "linalg.slogdet")
    check_float(A, "linalg.slogdet")
    return into(out, _Slogdet(*LinalgSlogdet.apply(A)))


def logdet(input):
    """The logarithm of the determinant, NaN where it is negative."""
    check_square(input, "logdet")
    check_float(input, "logdet")
    sign, log = slogdet(input)
    if input.is_complex():
        return sign.log() + log
    return H.where(sign == -1, log.new_full((), float("nan")), log)


def lstsq(input, b, rcond=None, *, driver=None):
    """(solution X, residuals, rank, singular_values) of least |A X - B|², for A (…, m, n) and B (…, m, k) or (…, m)."""
    name = "torch.linalg.lstsq"
    A, B = input, b
    if A.dim() < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    if A.dtype != B.dtype:
        raise RuntimeError(f"{name}: input and other must be of the same dtype")
    if foreign(A):
        raise RuntimeError("This function doesn't handle types other than float and double")
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    B2 = B.unsqueeze(-1) if vector else B
    if A.shape[-2] != B2.shape[-2]:
        text = "input.size(-2) should match other.size(-1)" if vector else "input.size(-2) should match other.size(-2)"
        raise RuntimeError(f"{name}: {text}")
    m, n = A.shape[-2:]
    driver = driver or "gelsy"
    x = pinv(A, rtol=rcond) @ B2
    with H.no_grad():
        s = svdvals(A)
        rank = _significant(s, A, None, rcond).sum(-1)
    residuals = real_part(x).reshape(-1)[:0]
    if m > n and driver != "gelsy" and bool((rank == n).all()):
        r = A @ x - B2
        residuals = (real_part(r) ** 2 + (r.imag**2 if r.is_complex() else 0)).sum(-2)
    return _Lstsq(
        x.squeeze(-1) if vector else x,
        residuals,
        rank if driver != "gels" else H.empty(0, dtype=H.int64),
        s if driver in ("gelsd", "gelss") else s.new_empty(0),
    )


def svd(A, full_matrices=True, *, driver=None, out=None):
    """U, S and Vh with U diag(S) Vh = A (…, m, n), S (…, min(m, n)) descending.

    Gradients by way of U and Vh are there only where no two singular values are equal.

    >>> import hadamard as H
    >>> H.linalg.svd(H.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    check_matrix(A, "linalg.svd")
    check_float(A, "linalg.svd", "linalg_svd_cpu")
    if foreign(A):
        return into(out, widened(lambda a: svd(a, full_matrices), A))
    return into(out, _SVD(*LinalgSvd.apply(A, full_matrices)))


def svdvals(A, *, driver=None, out=None):
    """The singular values of A (…, m, n), descending: (…, min(m, n))."""
    check_matrix(A, "linalg.svd")
    check_float(A, "linalg.svd", "linalg_svd_cpu")
    if foreign(A):
        return into(out, widened(svdvals, A))
    if not (A.requires_grad and H.is_grad_enabled()):
        np = numpy()
        try:
            return into(out, tensor_of(lapack("svd", array_of(A), compute_uv=False)))
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
            ) from None
    return into(out, LinalgSvd.apply(A, False)[1])


def eigh(A, UPLO="L", *, out=None):
    """Ascending eigenvalues and orthonormal eigenvectors (columns) of Hermitian matrices; one triangle is read.

    >>> import hadamard as H
    >>> H.linalg.eigh(H.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    check_square(A, "linalg.eigh")
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    check_kernel(A, "linalg_eigh_cpu")
    if foreign(A):
        return into(out, widened(eigh, A))
    return into(out, _Eigh(*LinalgEigh.apply(A, UPLO.upper())))


def eigvalsh(A, UPLO="L", *, out=None):
    """The eigenvalues of Hermitian matrices, ascending."""
    return into(out, eigh(A, UPLO).eigenvalues)


def eig(input, *, out=None):
    """Eigenvalues and eigenvectors (columns of length 1) of square matrices; complex, in no particular order."""
    check_square(input, "linalg.eig")
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"Unknown Complex ScalarType for {scalar_name(input.dtype)}")
    check_kernel(input, "linalg_eig_out_cpu", empty=False)
    return into(out, _Eig(*LinalgEig.apply(input)))


def eigvals(input, *, out=None):
    """The eigenvalues of square matrices; complex, in no particular order."""
    return into(out, eig(input).eigenvalues)


def matrix_rank(input, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """How many singular values exceed max(atol, rtol · σ_max); int64."""
    check_matrix(input, "torch.linalg.matrix_rank", "input")
    if foreign(input) and tol is None and rtol is None:  # the default needs the dtype's precision
        raise RuntimeError("This function doesn't handle types other than float and double")
    if not input.numel():
        return into(out, H.zeros(input.shape[:-2], dtype=H.int64))
    with H.no_grad():
        s = eigvalsh(input).abs() if hermitian else svdvals(input)
        if tol is not None:
            tol = tol.unsqueeze(-1) if isinstance(tol, H.Tensor) else tol
            return into(out, (s > tol).sum(-1))
        return into(out, _significant(s, input, atol, rtol).sum(-1))
