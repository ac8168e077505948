"""Linear algebra: norms, decompositions, solutions of equations, for batches of matrices.

Decompositions are LAPACK's, by way of NumPy, which is imported when the first of them is called. All have gradients,
and gradients of gradients.
"""

import math

import hadamard as H
from hadamard import _C
from hadamard._common import into, scalar_name


class _LinAlgError(RuntimeError):
    """The numbers in a matrix do not allow what was asked: it is singular, not positive definite, not finite."""


LinAlgError = _LinAlgError


def _named(name, fields):
    # A tuple with named entries that prints as the results of max and sort do.
    def show(self):
        from hadamard._tensor_str import named_tuple_repr

        return named_tuple_repr(self)

    def entry(i):
        return property(lambda self: self[i])

    def new(cls, *values):
        return tuple.__new__(cls, values)

    body = {f: entry(i) for i, f in enumerate(fields)}
    body |= {"__slots__": (), "__match_args__": tuple(fields), "__module__": "torch.return_types"}
    body |= {"__new__": new, "__repr__": show, "__reduce__": lambda self: (tuple, (tuple(self),))}
    return type(name, (tuple,), body)


_InvEx = _named("linalg_inv_ex", ["inverse", "info"])
_CholeskyEx = _named("linalg_cholesky_ex", ["L", "info"])
_SolveEx = _named("linalg_solve_ex", ["result", "info"])
_Slogdet = _named("linalg_slogdet", ["sign", "logabsdet"])
_QR = _named("linalg_qr", ["Q", "R"])
_SVD = _named("linalg_svd", ["U", "S", "Vh"])
_Eigh = _named("linalg_eigh", ["eigenvalues", "eigenvectors"])
_Eig = _named("linalg_eig", ["eigenvalues", "eigenvectors"])
_Lstsq = _named("linalg_lstsq", ["solution", "residuals", "rank", "singular_values"])
_LU = _named("linalg_lu", ["P", "L", "U"])
_LUFactor = _named("linalg_lu_factor", ["LU", "pivots"])
_LUFactorEx = _named("linalg_lu_factor_ex", ["LU", "pivots", "info"])


# Helpers


def _np():
    try:
        import numpy
    except ImportError as e:
        raise ImportError("hadamard.linalg needs NumPy for its decompositions: pip install numpy") from e
    return numpy


def _array(x):
    return x.detach().numpy()


def _tensor(a):
    return H.from_numpy(_np().asarray(a, order="C"))


def _adjoint(x):
    return x.mT.conj() if x.is_complex() else x.mT


def _real(x):
    return x.real if x.is_complex() else x


def _write(out, y):
    # out= takes one tensor, or one for each result.
    if out is None:
        return y
    if isinstance(y, tuple):
        for o, v in zip(out, y, strict=True):
            _write(o, v)
        return type(y)(*out)
    if y.requires_grad and H.is_grad_enabled():
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    return into(out, y)


def _check_matrix(x, name, arg="A"):
    if x.dim() < 2:
        raise RuntimeError(f"{name}: The input tensor {arg} must have at least 2 dimensions.")


def _check_kind(x, name):
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(x.dtype)}")


def _check_float(x, name, kernel=None):
    # Where torch has got as far as a kernel, it is the kernel that refuses float16, and takes empty matrices.
    _check_kind(x, name)
    if kernel:
        _check_kernel(x, kernel)
    elif x.dtype in (H.float16, H.bfloat16):
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {scalar_name(x.dtype)}")


def _check_kernel(x, kernel, empty=True):
    if (x.numel() or not empty) and (
        not (x.is_floating_point() or x.is_complex()) or x.dtype in (H.float16, H.bfloat16)
    ):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(x.dtype)}'")


def _widened(function, *tensors):
    # Empty matrices of any dtype: the shapes, by way of a dtype that the decomposition knows.
    dtype = tensors[0].dtype
    y = function(*[t.float() if t.dtype == dtype else t for t in tensors])
    if isinstance(y, tuple):
        return type(y)(*[v.to(dtype) if v.dtype == H.float32 else v for v in y])
    return y.to(dtype)


def _foreign(x):
    return not x.is_complex() and x.dtype not in (H.float32, H.float64)


def _check_square(x, name, arg="A"):
    _check_matrix(x, name, arg)
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: {arg} must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )


def _eliminate(a):
    # Row-pivoted LU of one matrix in place; the permutation of rows, the swaps, and 1 + the first zero pivot (or 0).
    np = _np()
    m, n = a.shape
    rows, swaps, info = np.arange(m), [], 0
    with np.errstate(all="ignore"):
        for k in range(min(m, n)):
            column = a[k:, k]  # LAPACK measures complex numbers by |re| + |im|
            p = k + int(np.argmax(np.abs(column.real) + np.abs(column.imag)))
            swaps.append(p + 1)
            if a[p, k] == 0:
                info = info or k + 1
                continue
            if p != k:
                a[[k, p]], rows[[k, p]] = a[[p, k]], rows[[p, k]]
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return rows, swaps, info


def _batch(a):
    return a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])


def _zero_pivots(a):
    np = _np()
    info = [_eliminate(m.copy())[2] for m in _batch(a)]
    return np.array(info, dtype=np.int32).reshape(a.shape[:-2])


def _which(info):
    # The first that failed, and how messages begin.
    flat = info.reshape(-1)
    i = int((flat != 0).argmax())
    return int(flat[i]), "" if info.ndim == 0 else f"(Batch element {i}): "


def _raise_singular(name, info):
    pivot, where = _which(info)
    raise LinAlgError(
        f"{name}: {where}The diagonal element {pivot} is zero, the inversion could not be completed because the input "
        "matrix is singular."
    )


_functions: dict[str, type] = {}


def _function(name):
    # The autograd.Function classes are made when first used: their base is only there once the package is.
    if not _functions:
        _functions.update(_make_functions(H.autograd.Function))
    return _functions[name].apply


def _skew(x):
    return x - _adjoint(x)


def _differences(x):
    # x_j - x_i, with 1 on the diagonal, where it is divided by.
    d = x.unsqueeze(-2) - x.unsqueeze(-1)
    return d + H.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def _off_diagonal(x):
    return x - H.diag_embed(x.diagonal(0, -2, -1))


def _sum_to(x, shape):
    return x.sum_to_size(shape) if x.shape != shape else x


def _make_functions(Function):
    np = _np()

    class LinalgInvEx(Function):
        @staticmethod
        def forward(ctx, A):
            a = _array(A)
            try:
                x = np.linalg.inv(a)
            except np.linalg.LinAlgError:
                info = _zero_pivots(a)
                if not info.any():  # LAPACK found a zero that plain elimination did not
                    info = np.ones_like(info)
                _raise_singular("linalg.inv", info)
            X = _tensor(x)
            ctx.save_for_backward(X)
            return X

        @staticmethod
        def backward(ctx, g):
            (X,) = ctx.saved_tensors
            Xh = _adjoint(X)
            return -(Xh @ g @ Xh)

    class LinalgDet(Function):
        @staticmethod
        def forward(ctx, A):
            y = _tensor(np.asarray(np.linalg.det(_array(A)), dtype=_array(A).dtype))
            ctx.save_for_backward(A, y)
            return y

        @staticmethod
        def backward(ctx, g):
            A, y = ctx.saved_tensors
            g = g[..., None, None]
            if bool((y != 0).all()):
                return g * y[..., None, None].conj() * _adjoint(inv(A))
            return g * _cofactors(A).conj()

    class LinalgSlogdet(Function):
        @staticmethod
        def forward(ctx, A):
            a = _array(A)
            sign, log = np.linalg.slogdet(a)
            sign, log = _tensor(np.asarray(sign, dtype=a.dtype)), _tensor(np.asarray(log, dtype=a.real.dtype))
            ctx.save_for_backward(A, sign)
            return sign, log

        @staticmethod
        def backward(ctx, g_sign, g_log):
            A, sign = ctx.saved_tensors
            g = H.zeros_like(sign) if g_log is None else g_log
            if A.is_complex() and g_sign is not None:
                g = g - 1j * (g_sign.conj() * sign).imag
            return g[..., None, None] * _adjoint(inv(A))

    class LinalgSolveEx(Function):
        @staticmethod
        def forward(ctx, A, B):
            a = _array(A)
            try:
                x = np.linalg.solve(a, _array(B))
            except np.linalg.LinAlgError:
                info = _zero_pivots(a)
                where = _which(info)[1] if info.any() else ""
                raise LinAlgError(
                    f"torch.linalg.solve: {where}The solver failed because the input matrix is singular."
                ) from None
            X = _tensor(x)
            ctx.save_for_backward(A, X)
            ctx.shapes = A.shape, B.shape
            return X

        @staticmethod
        def backward(ctx, g):
            A, X = ctx.saved_tensors
            gB = solve(_adjoint(A), g)
            return _sum_to(-(gB @ _adjoint(X)), ctx.shapes[0]), _sum_to(gB, ctx.shapes[1])

    class LinalgSolveTriangular(Function):
        @staticmethod
        def forward(ctx, A, B, upper, unit):
            X = _tensor(_substitute(_array(A), _array(B), upper, unit))
            ctx.save_for_backward(A, X)
            ctx.upper, ctx.unit, ctx.shapes = upper, unit, (A.shape, B.shape)
            return X

        @staticmethod
        def backward(ctx, g):
            A, X = ctx.saved_tensors
            gB = solve_triangular(_adjoint(A), g, upper=not ctx.upper, unitriangular=ctx.unit)
            gA = -(gB @ _adjoint(X))
            gA = gA.triu(int(ctx.unit)) if ctx.upper else gA.tril(-int(ctx.unit))
            return _sum_to(gA, ctx.shapes[0]), _sum_to(gB, ctx.shapes[1]), None, None

    class LinalgCholeskyEx(Function):
        @staticmethod
        def forward(ctx, A):
            a = _array(A)
            try:
                low = np.linalg.cholesky(a)
            except np.linalg.LinAlgError:
                info = _first_minor(a)
                order, where = _which(info) if info.any() else (1, "")
                raise LinAlgError(
                    f"linalg.cholesky: {where}The factorization could not be completed because the input is not "
                    f"positive-definite (the leading minor of order {order} is not positive-definite)."
                ) from None
            L = _tensor(low)
            ctx.save_for_backward(L)
            return L

        @staticmethod
        def backward(ctx, g):
            (L,) = ctx.saved_tensors
            Lh = _adjoint(L)
            x = (Lh @ g).tril()
            x = solve_triangular(Lh, 0.5 * (x + _adjoint(x.tril(-1))), upper=True)
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
                X = _function("CholeskyInverse")(L, ctx.upper)
            x = X @ ((g + _adjoint(g)) @ X)
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
                X = _function("CholeskySolve")(B, L, ctx.upper)
            gB = _function("CholeskySolve")(g, L, ctx.upper)
            x = gB @ _adjoint(X)
            x = x + _adjoint(x)
            return _sum_to(gB, B.shape), _sum_to(-(L @ x) if ctx.upper else -(x @ L), L.shape), None

    class LinalgQr(Function):
        @staticmethod
        def forward(ctx, A, complete):
            q, r = np.linalg.qr(_array(A), mode="complete" if complete else "reduced")
            Q, R = _tensor(q), _tensor(r)
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
                x = gR @ _adjoint(R)
            if gQ is not None:
                x = x - _adjoint(Q) @ gQ
            x = x.triu()
            # Both triangles, the diagonal once and real.
            x = x + _adjoint(x) - H.diag_embed(_real(x.diagonal(0, -2, -1))).to(x.dtype)
            x = Q @ x
            if gQ is not None:
                x = x + gQ
            return solve_triangular(_adjoint(R), x, upper=False, left=False), None

    class LinalgEigh(Function):
        @staticmethod
        def forward(ctx, A, uplo):
            try:
                w, v = np.linalg.eigh(_array(A), UPLO=uplo)
            except np.linalg.LinAlgError:
                raise LinAlgError(
                    "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has "
                    "too many repeated eigenvalues (error code: 1)."
                ) from None
            w, v = _tensor(w), _tensor(v)
            ctx.save_for_backward(w, v)
            return w, v

        @staticmethod
        def backward(ctx, gw, gv):
            w, v = ctx.saved_tensors
            vh = _adjoint(v)
            if gv is None:
                return (v * gw.unsqueeze(-2)) @ vh, None
            x = _off_diagonal(vh @ gv) / _differences(w)
            if gw is not None:
                x = x + H.diag_embed(gw)
            return v @ x @ vh, None

    class LinalgEig(Function):
        @staticmethod
        def forward(ctx, A):
            a = _array(A)
            kind = np.result_type(a.dtype, np.complex64)
            try:
                w, v = np.linalg.eig(a)
            except np.linalg.LinAlgError:
                raise LinAlgError(
                    "linalg.eig: The algorithm failed to converge because the input matrix contained non-finite values."
                ) from None
            w, v = _tensor(w.astype(kind)), _tensor(v.astype(kind))
            ctx.save_for_backward(w, v)
            ctx.real = not A.is_complex()
            return w, v

        @staticmethod
        def backward(ctx, gw, gv):
            w, v = ctx.saved_tensors
            vh = _adjoint(v)
            if gv is None:
                x = gw.unsqueeze(-1) * vh
            else:
                x = vh @ gv
                x = x - (vh @ v) * x.diagonal(0, -2, -1).real.unsqueeze(-2)
                x = _off_diagonal(x / _differences(w).conj())
                if gw is not None:
                    x = x + H.diag_embed(gw)
                x = x @ vh
            g = solve(vh, x)
            return g.real if ctx.real else g

    class LinalgSvd(Function):
        @staticmethod
        def forward(ctx, A, full):
            a = _array(A)
            try:
                u, s, vh = np.linalg.svd(a, full_matrices=full)
            except np.linalg.LinAlgError:
                raise LinAlgError(
                    "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
                ) from None
            U, S, Vh = _tensor(u), _tensor(s), _tensor(vh)
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
            V, Uh = _adjoint(Vh), _adjoint(U)
            squares = S * S
            E = _differences(squares)
            row, col = S.unsqueeze(-2), S.unsqueeze(-1)
            x = 0
            if gU is not None:
                UhgU = Uh @ gU
                s = _skew(UhgU)
                x = s / E * row
                if U.is_complex():
                    x = (
                        x
                        + H.diag_embed(s.diagonal(0, -2, -1) / (2 * S))
                        - H.diag_embed((s / E * row).diagonal(0, -2, -1))
                    )
            if gVh is not None:
                gV = _adjoint(gVh)
                s = _skew(Vh @ gV)
                x = x + col * _off_diagonal(s / E)
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
            Xh, gh = _adjoint(X), _adjoint(g)
            if A.shape[-2] <= A.shape[-1]:
                K = gh @ X
                KXh = K @ Xh
                r = -_adjoint(X @ K) + KXh - (A @ X) @ KXh + (Xh @ X) @ (gh - K @ A)
            else:
                K = X @ gh
                XhK = Xh @ K
                r = -_adjoint(K @ X) + (gh - A @ K) @ X @ Xh + XhK - (XhK @ X) @ A
            return r, None

    class LinalgLu(Function):
        @staticmethod
        def forward(ctx, A):
            p, low, up, _, _ = _lu_arrays(_array(A))
            P, L, U = _tensor(p), _tensor(low), _tensor(up)
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
                x = (_adjoint(L1) @ gL[..., :k, :]).tril(-1)
                if L2.shape[-2]:
                    x = x - (_adjoint(L2) @ gL[..., k:, :]).triu()
                    below = solve_triangular(_adjoint(U1), gL[..., k:, :], upper=False, left=False)
            if gU is not None:
                x = x + (gU[..., :k] @ _adjoint(U1)).triu()
                if U2.shape[-1]:
                    x = x - (gU[..., k:] @ _adjoint(U2)).tril(-1)
                    right = solve_triangular(_adjoint(L1), gU[..., k:], upper=True, unitriangular=True)
            x = solve_triangular(_adjoint(U1), x, upper=False, left=False)
            x = solve_triangular(_adjoint(L1), x, upper=True, unitriangular=True)
            if L2.shape[-2]:
                x = H.cat([x, H.zeros_like(L2) if below is None else below], -2)
            if U2.shape[-1]:
                x = H.cat([x, H.zeros_like(U2) if right is None else right], -1)
            return P @ x

    classes = [LinalgInvEx, LinalgDet, LinalgSlogdet, LinalgSolveEx, LinalgSolveTriangular, LinalgCholeskyEx]
    classes += [LinalgQr, LinalgEigh, LinalgEig, LinalgSvd, LinalgPinv, LinalgLu, CholeskyInverse, CholeskySolve]
    return {c.__name__: c for c in classes}


def _substituted_twice(L, B, upper):
    # (L Lᴴ)⁻¹ B, or (Lᴴ L)⁻¹ B of an upper L, without history.
    low = _adjoint(L) if upper else L
    x = _substitute(_array(low), _array(B), False, False)
    return _tensor(_substitute(_array(_adjoint(low)), x, True, False))


def _substitute(a, b, upper, unit):
    np = _np()
    n = a.shape[-1]
    a = np.triu(a) if upper else np.tril(a)
    if unit:
        i = np.arange(n)
        a[..., i, i] = 1
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)
    if (diagonal != 0).all():
        return np.linalg.solve(a, b)
    x = np.broadcast_to(b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])).copy()
    with np.errstate(all="ignore"):
        for k in reversed(range(n)) if upper else range(n):
            x[..., k, :] /= a[..., k, k, None]
            rest = slice(0, k) if upper else slice(k + 1, n)
            x[..., rest, :] -= a[..., rest, k, None] * x[..., k, None, :]
    return x


def _first_minor(a):
    # The order of the first leading minor that is not positive, 0 where there is none.
    np = _np()
    info = []
    for m in _batch(a):
        found = 0
        for k in range(1, m.shape[-1] + 1):
            try:
                if not np.isfinite(np.linalg.cholesky(m[:k, :k])).all():
                    raise np.linalg.LinAlgError
            except np.linalg.LinAlgError:
                found = k
                break
        info.append(found)
    return np.array(info, dtype=np.int32).reshape(a.shape[:-2])


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


# Norms

vector_norm = _C.linalg_vector_norm
cross = _C.linalg_cross


def matrix_norm(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norm of matrices: "fro", "nuc", inf, -inf, 1, -1, 2 or -2, over the two dimensions `dim`.

    >>> import hadamard as H
    >>> H.linalg.matrix_norm(H.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(5.)
    """
    name = "linalg.matrix_norm"
    _check_matrix(input, name)
    if ord not in ("fro", "nuc", float("inf"), -float("inf"), 1, -1, 2, -2):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    dims = tuple(dim)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    _check_kind(input, name)
    n = input.dim()
    for d in dims:
        if not -n <= d < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    rows, cols = (d % n for d in dims)
    if rows == cols:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if ord == "fro":
        return _write(out, vector_norm(input, 2, dims, keepdim, dtype=dtype))
    x = input if dtype is None else input.to(dtype)
    if ord in ("nuc", 2, -2):
        s = svdvals(x.movedim((rows, cols), (-2, -1)))
        y = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        if keepdim:
            for d in sorted((rows, cols)):
                y = y.unsqueeze(d)
        return _write(out, y)
    # The largest or smallest sum of a row (inf) or a column (1).
    summed, extreme = (cols, rows) if abs(ord) == float("inf") else (rows, cols)
    y = vector_norm(x, 1, summed, keepdim)
    if not keepdim and extreme > summed:
        extreme -= 1
    return _write(out, y.amax(extreme, keepdim) if ord > 0 else y.amin(extreme, keepdim))


def norm(input, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """`vector_norm` or `matrix_norm`, as `dim` (or, without it, the number of dimensions) says.

    >>> import hadamard as H
    >>> H.linalg.norm(H.tensor([3.0, 4.0]))
    tensor(5.)
    """
    dims = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if isinstance(ord, str):
        if dims is None:
            dims = (-2, -1)
            if input.dim() != 2:
                if input.dim() < 2:
                    _check_matrix(input, "linalg.matrix_norm")
                raise RuntimeError(
                    f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.dim()}D."
                )
        return matrix_norm(input, ord, dims, keepdim, dtype=dtype, out=out)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got [{', '.join(map(str, dims))}]"
        )
    if dims is None and ord is not None:
        if input.dim() not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.dim()}D."
            )
        if input.dim() == 2:
            dims = (0, 1)
    if ord is not None and dims is not None and len(dims) == 2:
        return matrix_norm(input, ord, dims, keepdim, dtype=dtype, out=out)
    return _write(out, vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype))


def cond(input, p=None, *, out=None):
    """The condition number: the norm `p` of A times that of its inverse; by default σ_max / σ_min."""
    _check_matrix(input, "linalg.cond", "A")
    if p is None or p in (2, -2):
        s = svdvals(input)
        if s.shape[-1] == 0:
            return _write(out, s.new_zeros(s.shape[:-1]))
        large, small = s[..., 0], s[..., -1]
        return _write(out, small / large if p == -2 else large / small)
    if p not in ("fro", "nuc", 1, -1, float("inf"), -float("inf")):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    _check_square(input, f"linalg.cond(ord={p})")
    _check_float(input, "linalg.cond")
    try:
        x = inv(input)
    except LinAlgError:
        with H.no_grad():
            singular = _tensor(_np().asarray(_zero_pivots(_array(input)) != 0))
        eye = H.eye(input.shape[-1], dtype=input.dtype)
        x = inv(H.where(singular[..., None, None], eye, input))
        x = H.where(singular[..., None, None], x.new_full((), float("inf")), x)
    return _write(out, (matrix_norm(input, p) * matrix_norm(x, p)).nan_to_num(float("inf"), float("inf")))


# Inverses and determinants


def inv(A, *, out=None):
    """The inverse of square matrices (…, n, n). LinAlgError where one is singular.

    >>> import hadamard as H
    >>> H.linalg.inv(H.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    _check_square(A, "linalg.inv")
    _check_float(A, "linalg.inv")
    return _write(out, _function("LinalgInvEx")(A))


def inv_ex(A, *, check_errors=False, out=None):
    """`inv` and, instead of an error, the number of the first zero pivot (int32; 0 where there is none)."""
    _check_square(A, "linalg.inv")
    _check_float(A, "linalg.inv")
    info = _zero_pivots(_array(A))
    if info.any():
        if check_errors:
            _raise_singular("linalg.inv_ex", info)
        bad = _tensor(info != 0)[..., None, None]
        eye = H.eye(A.shape[-1], dtype=A.dtype)
        x = H.where(bad, A.new_full((), float("nan")), inv(H.where(bad, eye, A)))
        return _write(out, _InvEx(x, _tensor(info)))
    return _write(out, _InvEx(inv(A), _tensor(info)))


def pinv(input, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The pseudo-inverse (…, n, m) of matrices (…, m, n): singular values up to max(atol, rtol · σ_max) count as 0.

    `rtol` is by default max(m, n) times the smallest step of the dtype from 1, unless `atol` is given.
    """
    if input.dim() < 2 or _foreign(input):
        raise RuntimeError(
            f"linalg.pinv({scalar_name(input.dtype)}{{{list(input.shape)}}}): expected a tensor with 2 or more "
            "dimensions of float, double, cfloat or cdouble types"
        )
    if hermitian:
        _check_square(input, "linalg.pinv")
    if rtol is None:
        rtol = rcond
    with H.no_grad():
        if hermitian:
            s, u = eigh(input)
            v = u
        else:
            u, s, vh = svd(input, full_matrices=False)
            v = _adjoint(vh)
        keep = _significant(s.abs(), input, atol, rtol)
        inverse = H.where(keep, 1 / H.where(keep, s, 1), 0)
        x = (v * inverse.unsqueeze(-2)) @ _adjoint(u)
    if input.requires_grad and H.is_grad_enabled():
        x = _function("LinalgPinv")(input, x)
    return _write(out, x)


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
    _check_square(A, "linalg.det")
    _check_float(A, "linalg.det", "lu_cpu")
    if _foreign(A):
        return _write(out, _widened(det, A))
    return _write(out, _function("LinalgDet")(A))


def slogdet(A, *, out=None):
    """The sign of the determinant and the logarithm of its absolute value: (sign, logabsdet)."""
    _check_square(A, "linalg.slogdet")
    _check_float(A, "linalg.slogdet")
    return _write(out, _Slogdet(*_function("LinalgSlogdet")(A)))


def logdet(input):
    """The logarithm of the determinant, NaN where it is negative."""
    _check_square(input, "logdet")
    _check_float(input, "logdet")
    sign, log = slogdet(input)
    if input.is_complex():
        return sign.log() + log
    return H.where(sign == -1, log.new_full((), float("nan")), log)


# Equations


def solve(A, B, *, left=True, out=None):
    """X with A X = B, or X A = B where `left` is false; A is (…, n, n), B (…, n, k) or vectors (…, n).

    >>> import hadamard as H
    >>> H.linalg.solve(H.tensor([[2.0, 0.0], [0.0, 4.0]]), H.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    name = "linalg.solve"
    _check_float(A, name, "lu_cpu")
    _check_square(A, name)
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
    _check_equation(name, A, b, left)
    if _foreign(A):
        return _write(out, _widened(lambda a, b: solve(a, b, left=left), A, B))
    if left:
        x = _function("LinalgSolveEx")(A, b)
    else:
        x = _function("LinalgSolveEx")(A.mT, b.mT).mT
    return _write(out, x.squeeze(-1) if vector else x)


def _check_equation(name, A, B, left):
    if A.shape[-2] != B.shape[-2 if left else -1]:
        kind = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {kind} ({A.shape[-2]}x{A.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """`solve` and, instead of an error, the number of the first zero pivot (int32; 0 where there is none)."""
    _check_square(A, "linalg.solve")
    _check_float(A, "linalg.solve", "lu_cpu")
    if _foreign(A):
        return _write(out, _widened(lambda a, b: solve_ex(a, b, left=left), A, B))
    info = _zero_pivots(_array(A))
    if not info.any() or check_errors:
        return _write(out, _SolveEx(solve(A, B, left=left), _tensor(info)))
    bad = _tensor(info != 0)
    x = solve(H.where(bad[..., None, None], H.eye(A.shape[-1], dtype=A.dtype), A), B, left=left)
    bad = bad.reshape(bad.shape + (1,) * (x.dim() - bad.dim()))
    return _write(out, _SolveEx(H.where(bad, x.new_full((), float("nan")), x), _tensor(info)))


def solve_triangular(input, B, *, upper, left=True, unitriangular=False, out=None):
    """`solve` for triangular A, of which only that triangle is read."""
    name = "linalg.solve_triangular"
    A = input
    _check_square(A, name)
    _check_matrix(B, name, "B")
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {scalar_name(A.dtype)} and B of "
            f"type {scalar_name(B.dtype)} instead"
        )
    _check_equation(name, A, B, left)
    _check_float(A, name)
    if left:
        return _write(out, _function("LinalgSolveTriangular")(A, B, upper, unitriangular))
    return _write(out, _function("LinalgSolveTriangular")(A.mT, B.mT, not upper, unitriangular).mT)


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
    if _foreign(A):
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
    residuals = A.new_empty(0)
    if m > n and driver != "gelsy" and bool((rank == n).all()):
        r = A @ x - B2
        residuals = (_real(r) ** 2 + (r.imag**2 if r.is_complex() else 0)).sum(-2)
    return _Lstsq(
        x.squeeze(-1) if vector else x,
        residuals,
        rank if driver != "gels" else H.empty(0, dtype=H.int64),
        s if driver in ("gelsd", "gelss") else s.new_empty(0),
    )


# Decompositions


def cholesky(input, *, upper=False, out=None):
    """The lower triangular L with L Lᴴ = A, of which only the lower triangle is read (`upper`: U with Uᴴ U = A).

    LinAlgError where A is not positive definite.

    >>> import hadamard as H
    >>> H.linalg.cholesky(H.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    _check_square(input, "linalg.cholesky")
    _check_float(input, "linalg.cholesky", "cholesky_cpu")
    if _foreign(input):
        return _write(out, _widened(cholesky, input))
    if upper:
        return _write(out, _adjoint(_function("LinalgCholeskyEx")(_adjoint(input))))
    return _write(out, _function("LinalgCholeskyEx")(input))


def cholesky_ex(input, *, upper=False, check_errors=False, out=None):
    """`cholesky` and, instead of an error, the order of the first minor that is not positive (int32; 0: none)."""
    _check_square(input, "linalg.cholesky")
    _check_float(input, "linalg.cholesky", "cholesky_cpu")
    if _foreign(input):
        return _write(out, _widened(cholesky_ex, input))
    info = _first_minor(_array(_adjoint(input) if upper else input))
    if not info.any() or check_errors:
        return _write(out, _CholeskyEx(cholesky(input, upper=upper), _tensor(info)))
    bad = _tensor(info != 0)[..., None, None]
    triangle = input.triu() if upper else input.tril()
    L = cholesky(H.where(bad, H.eye(input.shape[-1], dtype=input.dtype), input), upper=upper)
    return _write(out, _CholeskyEx(H.where(bad, triangle, L), _tensor(info)))


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
    _check_matrix(A, "linalg.qr")
    _check_float(A, "linalg.qr", "geqrf_cpu")
    if _foreign(A):
        return _write(out, _widened(lambda a: qr(a, mode), A))
    m, n = A.shape[-2:]
    if m < n:  # the first m columns are decomposed, the others seen in their basis
        Q, R = _function("LinalgQr")(A[..., :m], True)
        R = H.cat([R, _adjoint(Q) @ A[..., m:]], -1)
    else:
        Q, R = _function("LinalgQr")(A, mode == "complete")
    if mode == "r":
        Q = A.new_empty(0)
    return _write(out, _QR(Q, R))


def svd(A, full_matrices=True, *, driver=None, out=None):
    """U, S and Vh with U diag(S) Vh = A (…, m, n), S (…, min(m, n)) descending.

    Gradients by way of U and Vh are there only where no two singular values are equal.

    >>> import hadamard as H
    >>> H.linalg.svd(H.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    _check_matrix(A, "linalg.svd")
    _check_float(A, "linalg.svd", "linalg_svd_cpu")
    if _foreign(A):
        return _write(out, _widened(lambda a: svd(a, full_matrices), A))
    return _write(out, _SVD(*_function("LinalgSvd")(A, full_matrices)))


def svdvals(A, *, driver=None, out=None):
    """The singular values of A (…, m, n), descending: (…, min(m, n))."""
    _check_matrix(A, "linalg.svd")
    _check_float(A, "linalg.svd", "linalg_svd_cpu")
    if _foreign(A):
        return _write(out, _widened(svdvals, A))
    if not (A.requires_grad and H.is_grad_enabled()):
        np = _np()
        try:
            return _write(out, _tensor(np.linalg.svd(_array(A), compute_uv=False)))
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
            ) from None
    return _write(out, _function("LinalgSvd")(A, False)[1])


def eigh(A, UPLO="L", *, out=None):
    """Ascending eigenvalues and orthonormal eigenvectors (columns) of Hermitian matrices; one triangle is read.

    >>> import hadamard as H
    >>> H.linalg.eigh(H.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    _check_square(A, "linalg.eigh")
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    _check_kernel(A, "linalg_eigh_cpu")
    if _foreign(A):
        return _write(out, _widened(eigh, A))
    return _write(out, _Eigh(*_function("LinalgEigh")(A, UPLO.upper())))


def eigvalsh(A, UPLO="L", *, out=None):
    """The eigenvalues of Hermitian matrices, ascending."""
    return _write(out, eigh(A, UPLO).eigenvalues)


def eig(input, *, out=None):
    """Eigenvalues and eigenvectors (columns of length 1) of square matrices; complex, in no particular order."""
    _check_square(input, "linalg.eig")
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"Unknown Complex ScalarType for {scalar_name(input.dtype)}")
    _check_kernel(input, "linalg_eig_out_cpu", empty=False)
    return _write(out, _Eig(*_function("LinalgEig")(input)))


def eigvals(input, *, out=None):
    """The eigenvalues of square matrices; complex, in no particular order."""
    return _write(out, eig(input).eigenvalues)


def _lu_arrays(a):
    np = _np()
    m, n = a.shape[-2:]
    k = min(m, n)
    P, L, U, pivots, info = [], [], [], [], []
    for x in _batch(a):
        x = x.copy()
        rows, swaps, first = _eliminate(x)
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
    _check_matrix(A, "linalg.lu")
    _check_float(A, "linalg.lu")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return _write(out, _LU(*_function("LinalgLu")(A)))


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """L below and U from the diagonal in one matrix, the rows that were swapped (from 1), the first zero pivot."""
    _check_matrix(A, "torch.linalg.lu_factor_ex")
    _check_kernel(A, "lu_cpu")
    if _foreign(A):
        return _write(out, _widened(lu_factor_ex, A))
    _, L, U = lu(A, pivot=pivot)
    _, _, _, pivots, info = _lu_arrays(_array(A))
    if check_errors and info.any():
        number, where = _which(info)
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
    return _write(out, _LUFactorEx(low + U, _tensor(pivots), _tensor(info)))


def lu_factor(A, *, pivot=True, out=None):
    """`lu_factor_ex` that raises LinAlgError where a pivot is zero: (LU, pivots)."""
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    zeros = _array(info)
    if zeros.any():
        number, where = _which(zeros)
        raise LinAlgError(
            f"torch.linalg.lu_factor: {where}U[{number},{number}] is zero and using it on lu_solve would result in a "
            "division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) "
            "or linalg.lu_factor_ex(A, pivot)"
        )
    return _write(out, _LUFactor(LU, pivots))


def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """X with A X = B (X A = B where `left` is false; Aᴴ for A where `adjoint`), from the results of `lu_factor`."""
    name = "torch.linalg.lu_solve"
    _check_float(LU, name, "linalg.lu_solve_cpu")
    if _foreign(LU):
        return _write(out, _widened(lambda a, p, b: lu_solve(a, p, b, left=left, adjoint=adjoint), LU, pivots, B))
    name = "linalg.lu_solve"
    _check_square(LU, name, "LU")
    _check_matrix(B, name, "B")
    _check_equation(name, LU, B, left)
    if not left:
        return _write(out, _adjoint(lu_solve(LU, pivots, _adjoint(B), adjoint=not adjoint)))
    n = LU.shape[-1]
    swaps = _batch(_array(pivots)[..., None])[..., 0]
    np = _np()
    orders = np.tile(np.arange(n), (swaps.shape[0], 1))
    for order, swap in zip(orders, swaps, strict=True):
        for k, p in enumerate(swap):
            order[[k, p - 1]] = order[[p - 1, k]]
    P = np.zeros((len(orders), n, n), _array(LU).dtype)
    P[np.arange(len(orders))[:, None], orders, np.arange(n)] = 1
    P = _tensor(P.reshape(*LU.shape[:-2], n, n))
    if adjoint:
        x = solve_triangular(_adjoint(LU), B, upper=False)
        return _write(out, P @ solve_triangular(_adjoint(LU), x, upper=True, unitriangular=True))
    x = solve_triangular(LU, P.mT @ B, upper=False, unitriangular=True)
    return _write(out, solve_triangular(LU, x, upper=True))


# Products and powers

matmul = _C.matmul


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """A view of the diagonals of A, the last dimension of the result; of the last two dimensions by default."""
    return A.diagonal(offset, dim1, dim2)


def vecdot(x, y, *, dim=-1, out=None):
    """Σ conj(x) · y along `dim`.

    >>> import hadamard as H
    >>> H.linalg.vecdot(H.tensor([[1.0, 2.0], [3.0, 4.0]]), H.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    _check_kind(x, "linalg.vecdot")
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {scalar_name(x.dtype)} and "
            f"y of type {scalar_name(y.dtype)} instead"
        )
    return _write(out, ((x.conj() if x.is_complex() else x) * y).sum(dim))


def matrix_power(input, n, *, out=None):
    """A to the power of the integer n, by squaring; of the inverse where n is negative."""
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    _check_square(input, "linalg.matrix_power")
    if n == 0:
        eye = H.eye(input.shape[-1], dtype=input.dtype, device=input.device)
        return _write(out, input.clone().copy_(eye))
    x = inv(input) if n < 0 else input
    n, y = abs(n), None
    while n:
        if n & 1:
            y = x if y is None else y @ x
        n >>= 1
        if n:
            x = x @ x
    return _write(out, y.clone() if y is input else y)


def matrix_rank(input, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """How many singular values exceed max(atol, rtol · σ_max); int64."""
    _check_matrix(input, "torch.linalg.matrix_rank", "input")
    if _foreign(input):
        raise RuntimeError("This function doesn't handle types other than float and double")
    with H.no_grad():
        s = eigvalsh(input).abs() if hermitian else svdvals(input)
        if tol is not None:
            tol = tol.unsqueeze(-1) if isinstance(tol, H.Tensor) else tol
            return _write(out, (s > tol).sum(-1))
        return _write(out, _significant(s, input, atol, rtol).sum(-1))


def matrix_exp(A):
    """Σ Aᵏ / k!, by a rational approximation of A / 2ˢ squared s times.

    >>> import hadamard as H
    >>> H.linalg.matrix_exp(H.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check_square(A, "linalg.matrix_exp")
    _check_kind(A, "linalg.matrix_exp")
    if A.numel() == 0:
        return A.clone()
    if A.dtype in (H.float16, H.bfloat16):
        return matrix_exp(A.float()).to(A.dtype)
    with H.no_grad():
        size = float(matrix_norm(A, 1).max())
    if size != size or size == float("inf"):
        return A * float("nan")
    # Padé's approximant of degree 13 has full double precision up to a norm of 5.37.
    s = 0
    while size / 2**s > 5.37:
        s += 1
    x = A / 2**s if s else A
    eye = H.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    b = [64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600]
    b += [670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1]
    b = [c / b[0] for c in b]
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x2 @ x4
    odd = x @ (x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * eye)
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * eye
    y = solve(even - odd, even + odd)
    for _ in range(s):
        y = y @ y
    return y


def multi_dot(tensors, *, out=None):
    """The product of two or more matrices, multiplied in the order that needs the fewest operations.

    The first may be a row vector (n,), the last a column vector (n,).
    """
    name = "multi_dot()"
    xs = list(tensors)
    n = len(xs)
    if n < 2:
        raise RuntimeError(f"{name}: expected at least 2 tensors but got {n}")
    for i, x in enumerate(xs):
        ends = i in (0, n - 1)
        if x.dim() != 2 and not (ends and x.dim() == 1):
            place = "the first tensor to be 1D or 2D" if i == 0 else "the last tensor to be 1D or 2D" if ends else None
            if place:
                raise RuntimeError(f"{name}: {place} but got {x.dim()}D")
            raise RuntimeError(f"{name}: tensor {i} must be 2D but got {x.dim()}D")
        if x.dtype != xs[0].dtype:
            names = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}
            a, b = (str(t.dtype).rpartition(".")[2] for t in (xs[0], x))
            raise RuntimeError(
                f"{name}: all tensors must have be the same dtype but tensor 0 is {names.get(a, a)} and tensor {i} "
                f"{names.get(b, b)}"
            )
    shape = []
    if xs[0].dim() == 1:
        xs[0] = xs[0].unsqueeze(0)
    else:
        shape.append(xs[0].shape[0])
    if xs[-1].dim() == 1:
        xs[-1] = xs[-1].unsqueeze(-1)
    else:
        shape.append(xs[-1].shape[1])
    for i in range(n - 1):
        if xs[i].shape[1] != xs[i + 1].shape[0]:
            raise RuntimeError(
                f"{name}: tensors {i} and {i + 1} with shapes {list(xs[i].shape)} and {list(xs[i + 1].shape)} cannot "
                "be multiplied"
            )
    sizes = [x.shape[0] for x in xs] + [xs[-1].shape[1]]
    best, cost = {}, {(i, i): 0 for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], best[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        return xs[i] if i == j else product(i, best[i, j]) @ product(best[i, j] + 1, j)

    return _write(out, product(0, n - 1).view(shape))


def tensorinv(input, ind=2, *, out=None):
    """The inverse of A seen as a matrix from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    head, tail = input.shape[:ind], input.shape[ind:]
    rows, cols = _product(head), _product(tail)
    if rows != cols:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{cols} != {rows}"
        )
    return _write(out, inv(input.reshape(rows, cols)).reshape(*tail, *head))


def tensorsolve(input, other, dims=None, *, out=None):
    """X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first."""
    A = input
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(-len(dims), 0)))
    shape = A.shape[other.dim() :]
    size = _product(shape)
    if size != other.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {size} != {other.numel()}"
        )
    return _write(out, solve(A.reshape(size, size), other.reshape(-1)).reshape(shape))


def _product(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def vander(x, N=None):
    """The powers 0 … N - 1 of each element of x (…, n), along a new last dimension; N is n by default."""
    if x.dim() < 1:
        raise RuntimeError("linalg.vander: Expected at least 1D tensor")
    n = x.shape[-1] if N is None else N
    if n < 1:
        raise RuntimeError(f"N must be greater than 1. Got {N}")
    powers = [H.ones_like(x)]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    return H.stack(powers, -1)
