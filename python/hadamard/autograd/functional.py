"""torch.autograd.functional: Jacobians, Hessians and products with them."""

from .. import _C
from .._C import Tensor
from .._modes import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(x):
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _grad(outputs, inputs, seeds, create_graph, strict=False):
    if not any(y.requires_grad for y in outputs):
        grads = (None,) * len(inputs)
    else:
        pairs = [(y, s) for y, s in zip(outputs, seeds, strict=False) if y.requires_grad]
        grads = _C._run_backward([y for y, _ in pairs], [s for _, s in pairs], inputs, True, create_graph, True, False)
    if strict and any(g is None for g in grads):
        raise RuntimeError(
            "Output of the user-provided function is independent of an input. This is not allowed in strict mode."
        )
    return tuple(_C.zeros_like(x) if g is None else g for g, x in zip(grads, inputs, strict=False))


def _fresh(inputs, create_graph):
    # A view of an input that requires grad keeps its history; the others become leaves of their own.
    return tuple(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs)


def _clean(x, create_graph):
    return x if create_graph else x.detach()


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian of func: for an output of shape (o…) and an input of shape (i…), a tensor of shape (o…, i…).

    >>> import hadamard as H
    >>> H.autograd.functional.jacobian(lambda x: x**2, H.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    single_in = isinstance(inputs, Tensor)
    with enable_grad():
        given = _fresh(_tuple(inputs), create_graph)
        result = func(*given)
        single_out = isinstance(result, Tensor)
        rows = []
        for y in _tuple(result):
            parts = [[] for _ in given]
            for i in range(y.numel()):
                seed = _C.zeros(y.numel(), dtype=y.dtype)
                seed[i] = 1
                for part, g in zip(
                    parts, _grad((y,), given, (seed.view(y.shape),), create_graph, strict), strict=False
                ):
                    part.append(g)
            rows.append(
                tuple(
                    _clean(
                        _C.stack(part).view(*y.shape, *x.shape)
                        if part
                        else _C.zeros((*y.shape, *x.shape), dtype=y.dtype),
                        create_graph,
                    )
                    for part, x in zip(parts, given, strict=False)
                )
            )
    if single_in:
        rows = [row[0] for row in rows]
    return rows[0] if single_out else tuple(rows)


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The matrix of second derivatives of a func with a single element as its result."""
    single = isinstance(inputs, Tensor)

    def gradient(*given):
        y = func(*given)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        return _grad((y,), given, (_C.ones_like(y),), True, strict)

    result = jacobian(gradient, inputs, create_graph=create_graph, strict=strict)
    if single:
        return result[0] if isinstance(result, tuple) else result
    return result


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v · Jacobian)."""
    single = isinstance(inputs, Tensor)
    with enable_grad():
        given = _fresh(_tuple(inputs), create_graph)
        result = func(*given)
        outputs = _tuple(result)
        if v is None and (len(outputs) != 1 or outputs[0].numel() != 1):
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor "
                "with a single element."
            )
        seeds = tuple(_C.ones_like(y) for y in outputs) if v is None else _tuple(v)
        grads = tuple(_clean(g, create_graph) for g in _grad(outputs, given, seeds, create_graph, strict))
    result = (
        result
        if create_graph
        else (result.detach() if isinstance(result, Tensor) else tuple(y.detach() for y in result))
    )
    return result, grads[0] if single else grads


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), Jacobian · v), by differentiating a vjp twice."""
    with enable_grad():
        given = _fresh(_tuple(inputs), create_graph)
        result = func(*given)
        outputs = _tuple(result)
        if v is None and (len(given) != 1 or given[0].numel() != 1):
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a single Tensor with "
                "a single element."
            )
        directions = tuple(_C.ones_like(x) for x in given) if v is None else _tuple(v)
        seeds = tuple(_C.zeros_like(y).requires_grad_() for y in outputs)
        inner = _grad(outputs, given, seeds, True, strict)
        grads = tuple(_clean(g, create_graph) for g in _grad(inner, seeds, directions, create_graph, False))
    result = (
        result
        if create_graph
        else (result.detach() if isinstance(result, Tensor) else tuple(y.detach() for y in result))
    )
    return result, grads[0] if isinstance(result, Tensor) else grads


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), Hessian · v) of a func with a single element as its result."""
    single = isinstance(inputs, Tensor)
    with enable_grad():
        given = _fresh(_tuple(inputs), create_graph)
        y = func(*given)
        directions = tuple(_C.ones_like(x) for x in given) if v is None else _tuple(v)
        first = _grad((y,), given, (_C.ones_like(y),), True, strict)
        grads = tuple(_clean(g, create_graph) for g in _grad(first, given, directions, create_graph, strict))
    return _clean(y, create_graph), grads[0] if single else grads


vhp = hvp  # the Hessian is symmetric


def _stack_rows(outputs, inputs, given, create_graph, unused):
    """autograd.grad(is_grads_batched=True): one run per row of the seeds."""
    rows = [
        _C._run_backward(outputs, tuple(g[i] for g in given), inputs, True, create_graph, unused, False)
        for i in range(given[0].size(0))
    ]
    return tuple(None if column[0] is None else _C.stack(column) for column in zip(*rows, strict=False))
