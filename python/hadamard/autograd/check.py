"""gradcheck and gradgradcheck: gradients against central differences, in float64."""

from .. import _C
from .._C import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient that differs from the difference quotient."""


def _outputs(result):
    result = (result,) if isinstance(result, Tensor) else tuple(result)
    return [y for y in result if isinstance(y, Tensor) and (y.is_floating_point() or y.is_complex())]


def _numeric(func, inputs, x, eps):
    """The Jacobians of all outputs by x: one list of columns per output."""
    flat = x.data  # writes to it do not count as changes of x
    columns = []
    steps = (eps, eps * 1j) if x.is_complex() else (eps,)
    for at in _places(flat.shape):
        entry = flat[at]
        old = entry.item()
        for step in steps:
            with _C_no_grad():
                entry.fill_(old + step)
                high = [y.clone() for y in _outputs(func(*inputs))]
                entry.fill_(old - step)
                low = [y.clone() for y in _outputs(func(*inputs))]
                entry.fill_(old)
            columns.append([(up - down).reshape(-1) / (2 * eps) for up, down in zip(high, low, strict=False)])
    return columns


def _C_no_grad():
    from .._modes import no_grad

    return no_grad()


def _places(shape):
    from itertools import product

    return product(*(range(n) for n in shape))


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Whether the gradients of func(*inputs) equal central differences, by every input that requires grad.

    Inputs should be float64 or complex128. GradcheckError (a RuntimeError) names the Jacobian that differs, or
    False is returned where raise_exception is off. Complex inputs are checked along both axes (Wirtinger).

    >>> import hadamard as H
    >>> H.autograd.gradcheck(H.sin, (H.linspace(0, 1, 4, dtype=H.float64, requires_grad=True),))
    True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have "
            "requires_grad=True."
        )

    def fail(message):
        if raise_exception:
            raise GradcheckError(message)
        return False

    outputs = _outputs(func(*inputs))
    for number, x in enumerate(wanted):
        columns = _numeric(func, inputs, x, eps)
        for k, y in enumerate(outputs):
            expected = [c[k] for c in columns]
            if not y.requires_grad:
                if any(bool((c != 0).any()) for c in expected):
                    return fail(f"Numerical gradient for function expected to be zero (output {k}, input {number})")
                continue
            rows = []
            for at in _places(y.shape):
                for seed in (1.0, 1j) if y.is_complex() else (1.0,):
                    start = _C.zeros_like(y)
                    start[at] = seed
                    (g,) = _C._run_backward((y,), (start,), (x,), True, False, True, False)
                    rows.append(_C.zeros_like(x) if g is None else g)
            for i, c in enumerate(expected):
                place = i // 2 if x.is_complex() else i
                part = i % 2 if x.is_complex() else 0
                for j in range(c.numel()):
                    quotient = c[j].item()
                    parts = [(quotient.real, 0), (quotient.imag, 1)] if y.is_complex() else [(quotient, 0)]
                    for value, which in parts:
                        row = rows[j * 2 + which if y.is_complex() else j].reshape(-1)
                        got = row[place].item() if row.numel() else 0.0
                        got = (got.imag if part else got.real) if x.is_complex() else got
                        if not abs(got - value) <= atol + rtol * abs(value):
                            return fail(
                                f"Jacobian mismatch for output {k} with respect to input {number},\n"
                                f"numerical:{value}\nanalytical:{got}\n"
                                f"(element {j} of the output, element {place} of the input)"
                            )
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """gradcheck of the gradients themselves: whether second gradients equal differences of the first.

    >>> import hadamard as H
    >>> H.autograd.gradgradcheck(H.sin, (H.linspace(0, 1, 4, dtype=H.float64, requires_grad=True),))
    True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs(func(*inputs))
    if grad_outputs is None:
        from .. import random  # noqa: F401  (streams are seeded there)

        seeds = [_C.randn(y.shape, dtype=y.dtype).requires_grad_() for y in outputs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(inputs)
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def first(*args):
        given, starts = args[:count], args[count:]
        with _enabled():
            ys = [y for y in _outputs(func(*given))]
            pairs = [(y, s) for y, s in zip(ys, starts, strict=False) if y.requires_grad]
            grads = _C._run_backward(
                [y for y, _ in pairs], [s for _, s in pairs], [given[i] for i in wanted], True, True, True, False
            )
        return tuple(_C.zeros_like(given[i]) if g is None else g for i, g in zip(wanted, grads, strict=False))

    return gradcheck(first, (*inputs, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def _enabled():
    from .._modes import enable_grad

    return enable_grad()
