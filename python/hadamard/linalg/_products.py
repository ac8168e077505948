"""Norms, products and powers of matrices."""

import hadamard as H
from hadamard import _C
from hadamard._common import into, scalar_name

from ._solve import inv, solve
from ._spectra import svdvals
from ._support import (
    LinAlgError,
    array_of,
    check_float,
    check_kind,
    check_matrix,
    check_square,
    numpy,
    tensor_of,
    zero_pivots,
)

vector_norm = _C.linalg_vector_norm


cross = _C.linalg_cross


def matrix_norm(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norm of matrices: "fro", "nuc", inf, -inf, 1, -1, 2 or -2, over the two dimensions `dim`.

    >>> import hadamard as H
    >>> H.linalg.matrix_norm(H.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(5.)
    """
    name = "linalg.matrix_norm"
    check_matrix(input, name)
    if ord not in ("fro", "nuc", float("inf"), -float("inf"), 1, -1, 2, -2):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    dims = tuple(dim)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    check_kind(input, name)
    n = input.dim()
    for d in dims:
        if not -n <= d < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    rows, cols = (d % n for d in dims)
    if rows == cols:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if ord == "fro":
        return into(out, vector_norm(input, 2, dims, keepdim, dtype=dtype))
    x = input if dtype is None else input.to(dtype)
    if ord in ("nuc", 2, -2):
        s = svdvals(x.movedim((rows, cols), (-2, -1)))
        y = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        if keepdim:
            for d in sorted((rows, cols)):
                y = y.unsqueeze(d)
        return into(out, y)
    # The largest or smallest sum of a row (inf) or a column (1).
    summed, extreme = (cols, rows) if abs(ord) == float("inf") else (rows, cols)
    y = vector_norm(x, 1, summed, keepdim)
    if not keepdim and extreme > summed:
        extreme -= 1
    return into(out, y.amax(extreme, keepdim) if ord > 0 else y.amin(extreme, keepdim))


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
                    check_matrix(input, "linalg.matrix_norm")
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
    return into(out, vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype))


def cond(input, p=None, *, out=None):
    """The condition number: the norm `p` of A times that of its inverse; by default σ_max / σ_min."""
    check_matrix(input, "linalg.cond", "A")
    if p is None or p in (2, -2):
        s = svdvals(input)
        if s.shape[-1] == 0:
            return into(out, s.new_zeros(s.shape[:-1]))
        large, small = s[..., 0], s[..., -1]
        return into(out, small / large if p == -2 else large / small)
    if p not in ("fro", "nuc", 1, -1, float("inf"), -float("inf")):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square(input, f"linalg.cond(ord={p})")
    check_float(input, "linalg.cond")
    try:
        x = inv(input)
    except LinAlgError:
        with H.no_grad():
            singular = tensor_of(numpy().asarray(zero_pivots(array_of(input)) != 0))
        eye = H.eye(input.shape[-1], dtype=input.dtype)
        x = inv(H.where(singular[..., None, None], eye, input))
        x = H.where(singular[..., None, None], x.new_full((), float("inf")), x)
    return into(out, (matrix_norm(input, p) * matrix_norm(x, p)).nan_to_num(float("inf"), float("inf")))


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
    check_kind(x, "linalg.vecdot")
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {scalar_name(x.dtype)} and "
            f"y of type {scalar_name(y.dtype)} instead"
        )
    return into(out, ((x.conj() if x.is_complex() else x) * y).sum(dim))


def matrix_power(input, n, *, out=None):
    """A to the power of the integer n, by squaring; of the inverse where n is negative."""
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    check_square(input, "linalg.matrix_power")
    if n == 0:
        eye = H.eye(input.shape[-1], dtype=input.dtype, device=input.device)
        return into(out, input.clone().copy_(eye))
    x = inv(input) if n < 0 else input
    n, y = abs(n), None
    while n:
        if n & 1:
            y = x if y is None else y @ x
        n >>= 1
        if n:
            x = x @ x
    return into(out, y.clone() if y is input else y)


def matrix_exp(A):
    """Σ Aᵏ / k!, by a rational approximation of A / 2ˢ squared s times.

    >>> import hadamard as H
    >>> H.linalg.matrix_exp(H.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_square(A, "linalg.matrix_exp")
    check_kind(A, "linalg.matrix_exp")
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

    return into(out, product(0, n - 1).view(shape))


def vander(x, N=None):
    """The powers 0 … N - 1 of each element of x (…, n), along a new last dimension; N is n by default."""
    if x.dtype in (H.bool, H.float16, H.bfloat16):
        raise RuntimeError(
            f"linalg.vander supports floating point, complex, and integer tensors, but got {scalar_name(x.dtype)}"
        )
    x = x.unsqueeze(-1) if x.dim() == 0 else x
    x = x if x.is_floating_point() or x.is_complex() else x.long()
    n = x.shape[-1] if N is None else N
    if n < 2:
        raise RuntimeError("N must be greater than 1.")
    powers = [H.ones_like(x)]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    return H.stack(powers, -1)
