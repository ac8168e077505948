"""Products whose arguments take several forms: einsum, tensordot, chain_matmul (torch.functional)."""

from . import _C

__all__ = ["_int_mm", "chain_matmul", "einsum", "tensordot"]


def _int_mm(input, mat2, *, out=None):
    """The product of two matrices of int8 (n, k) and (k, m), summed in int32; `input` may be uint8.

    Sums are exact modulo 2³²: below 131,072 products they cannot overflow. Where the processor multiplies int8 in one
    step (VNNI) so does this; elsewhere in pairs of int16. `out` is contiguous, int32, and of the result's shape.

    Raises RuntimeError for other dimensions, sizes and dtypes.

    >>> import hadamard as H
    >>> a = H.full((2, 3), -128, dtype=H.int8)
    >>> H._int_mm(a, a.t())
    tensor([[49152, 49152],
            [49152, 49152]], dtype=torch.int32)
    """
    return _C._int_mm(input, mat2, out=out)


def einsum(*args):
    """The sum of products of `operands` that `equation` spells, one letter for each dimension.

    Letters missing after `->` are summed; letters repeated in one operand take its diagonal; `...` stands for the
    other dimensions, broadcast. Operands may also come with lists of integers:
    `einsum(x, [0, 1], y, [1, 2], [0, 2])`. With three or more operands the order comes from opt_einsum where it is
    installed, else from left to right.

    Raises RuntimeError where sizes or subscripts do not fit, ValueError without an equation or operands.

    >>> import hadamard as H
    >>> H.einsum("ij,jk->ik", H.ones(2, 3), H.ones(3, 4)).shape
    torch.Size([2, 4])
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, "
            "or at least one operand and its subscripts list"
        )
    if isinstance(args[0], str):
        equation, operands = args[0], args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = operands[0]
    else:
        operands = args[0 : len(args) - 1 : 2]
        equation = ",".join(map(_letters, args[1::2]))
        if len(args) % 2:
            equation += "->" + _letters(args[-1])
    return _C._einsum(equation, list(operands), _path(equation, operands) if len(operands) > 2 else ())


def _letters(subscripts):
    out = ""
    for s in subscripts:
        if s is Ellipsis:
            out += "..."
        elif 0 <= s < 52:
            out += chr(ord("A") + s if s < 26 else ord("a") + s - 26)
        else:
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return out


def _path(equation, operands):
    """Pairs of positions, flattened: both leave the list of operands and their product joins its end."""
    try:
        import opt_einsum
    except ImportError:
        return ()
    path, _ = opt_einsum.contract_path(equation, *[tuple(x.shape) for x in operands], shapes=True, optimize="auto")
    return [i for pair in path for i in pair] if all(len(pair) == 2 for pair in path) else ()


def tensordot(a, b, dims=2, out=None):
    """Sums over dimensions of `a` and `b`: the last `dims` of a with the first of b, or dims = (a list, a list).

    The result has the other dimensions of a, then those of b. Raises RuntimeError where summed sizes differ.

    >>> import hadamard as H
    >>> H.tensordot(H.ones(2, 3, 4), H.ones(4, 3, 5), dims=([1, 2], [1, 0])).shape
    torch.Size([2, 5])
    """
    if isinstance(dims, _C.Tensor):
        dims = dims.tolist()
        if isinstance(dims, list) and len(dims) == 1:
            dims = dims[0]
    if isinstance(dims, (tuple, list)):
        if len(dims) != 2:
            raise RuntimeError(f"tensordot expects dims to be int or two lists of dims, but got dims={dims}")
        dims_a, dims_b = ([d] if isinstance(d, int) else list(d) for d in dims)
    else:
        dims = int(dims)
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims_a, dims_b = list(range(-dims, 0)), list(range(dims))
    return _C._tensordot(a, b, dims_a, dims_b, out=out)


def chain_matmul(*matrices, out=None):
    """The product of a chain of matrices, in the order that needs the fewest multiplications.

    >>> import hadamard as H
    >>> H.chain_matmul(H.ones(2, 3), H.ones(3, 4), H.ones(4, 5)).shape
    torch.Size([2, 5])
    """
    return _C._chain_matmul(list(matrices), out=out)
