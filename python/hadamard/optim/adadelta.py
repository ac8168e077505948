"""Adadelta."""

import hadamard as H

from .optimizer import (
    _check_at_least_zero,
    _check_lr,
    _count,
    _counter,
    _number,
    _real,
    _Stepper,
)

__all__ = ["Adadelta", "adadelta"]


class Adadelta(_Stepper):
    """p ← p - lr · d, d = grad · √(u + eps) / √(v + eps), with running means v of the gradient's square and u of d's
    (Zeiler, 2012).

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.Adadelta([p])
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.9968])
    """

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        _check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_at_least_zero(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, param, group):
        return {"step": _counter(), "square_avg": H.zeros_like(param), "acc_delta": H.zeros_like(param)}

    def _update(self, group, params, grads, states):
        _count(states)
        adadelta(
            params,
            grads,
            [state["square_avg"] for state in states],
            [state["acc_delta"] for state in states],
            lr=_number(group["lr"]),
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )


def adadelta(params, grads, square_avgs, acc_deltas, *, lr, rho, eps, weight_decay, maximize):
    """One step of Adadelta on lists of parameters, gradients and their running means."""
    lists = map(_real, (params, grads, square_avgs, acc_deltas))
    for param, grad, square, moved in zip(*lists, strict=True):
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        square.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = moved.add(eps).sqrt_().div_(square.add(eps).sqrt_()).mul_(grad)
        moved.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-lr)
