"""Resilient backpropagation."""

import hadamard as H

from .optimizer import _check_lr, _count, _counter, _number, _real, _Stepper

__all__ = ["Rprop"]


class Rprop(_Stepper):
    """Every element moves by its own step against the sign of its gradient; the step shrinks by `etas[0]` where the
    sign changed, grows by `etas[1]` where not, within `step_sizes` (Riedmiller and Braun, 1993).

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.Rprop([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.5000])
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        _check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _new_state(self, param, group):
        lr = _number(group["lr"])
        return {
            "step": _counter(),
            "prev": H.zeros_like(param),
            "step_size": H.full_like(param, complex(lr, lr) if param.is_complex() else lr),
        }

    def _update(self, group, params, grads, states):
        (shrink, grow), (low, high) = group["etas"], group["step_sizes"]
        _count(states)
        lists = map(_real, (params, grads, [s["prev"] for s in states], [s["step_size"] for s in states]))
        for param, grad, before, size in zip(*lists, strict=True):
            if group["maximize"]:
                grad = -grad
            sign = grad * before
            factor = H.ones_like(size).masked_fill_(sign > 0, grow).masked_fill_(sign < 0, shrink)
            size.mul_(factor).clamp_(low, high)
            # Where the sign changed the element waits one step.
            grad = grad.masked_fill(sign < 0, 0)
            param.sub_(grad.sign() * size)
            before.copy_(grad)
