"""Adagrad."""

import hadamard as H

from .optimizer import (
    _check_at_least_zero,
    _check_fused,
    _check_lr,
    _count,
    _counter,
    _number,
    _real,
    _Stepper,
)

__all__ = ["Adagrad", "adagrad"]


class Adagrad(_Stepper):
    """p ← p - lr / (1 + (step - 1) · lr_decay) · grad / (√sum + eps), with the sum of all squared gradients so far
    (Duchi et al., 2011).

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.Adagrad([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.5000])
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        _check_lr(lr)
        _check_at_least_zero(
            lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value
        )
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param].update(self._new_state(param, group))

    def _new_state(self, param, group):
        start = group["initial_accumulator_value"]
        if param.is_complex():
            start = complex(start, start)
        return {"step": _counter(), "sum": H.full_like(param, start)}

    def share_memory(self):
        """Move the sums into memory that other processes can share."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def _update(self, group, params, grads, states):
        adagrad(
            params,
            grads,
            [state["sum"] for state in states],
            _count(states),
            lr=_number(group["lr"]),
            weight_decay=group["weight_decay"],
            lr_decay=group["lr_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
        )


def adagrad(params, grads, state_sums, steps, *, lr, weight_decay, lr_decay, eps, maximize):
    """One step of Adagrad on lists of parameters, gradients and sums of squares; `steps` counts from 1."""
    lists = map(_real, (params, grads, state_sums))
    for param, grad, total, step in zip(*lists, steps, strict=True):
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        total.addcmul_(grad, grad, value=1)
        param.addcdiv_(grad, total.sqrt().add_(eps), value=-lr / (1 + (step - 1) * lr_decay))
