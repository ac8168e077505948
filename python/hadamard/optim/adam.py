"""Adam."""

import hadamard as H
from hadamard import _C, Tensor

from .optimizer import (
    _check_at_least_zero,
    _check_betas,
    _check_fused,
    _check_lr,
    _count,
    _counter,
    _number,
    _real,
    _Stepper,
)

__all__ = ["Adam", "adam"]


class Adam(_Stepper):
    """p ← p - lr · m̂ / (√v̂ + eps), where m and v are running means of the gradient and its square (Kingma and Ba,
    2014), corrected for having begun at zero.

    `weight_decay` is added to the gradient, or with `decoupled_weight_decay` taken off the parameter (AdamW); with
    `amsgrad` the largest v so far is used. `foreach`, `fused` and `capturable` are accepted and change nothing.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.Adam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.5000])
    """

    _native = staticmethod(_C._step_adam)

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        _check_lr(lr)
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        _check_at_least_zero(weight_decay=weight_decay)
        if isinstance(betas[0], Tensor) != isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        _check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (
                ("amsgrad", False),
                ("maximize", False),
                ("foreach", None),
                ("capturable", False),
                ("differentiable", False),
                ("fused", None),
                ("decoupled_weight_decay", False),
            ):
                group.setdefault(name, default)
            for param in group["params"]:
                mine = self.state.get(param)
                if mine and not isinstance(mine["step"], Tensor):
                    mine["step"] = H.tensor(float(mine["step"]), dtype=H.float32)

    def _new_state(self, param, group):
        state = {"step": _counter(), "exp_avg": H.zeros_like(param), "exp_avg_sq": H.zeros_like(param)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = H.zeros_like(param)
        return state

    def _update(self, group, params, grads, states):
        beta1, beta2 = map(_number, group["betas"])
        adam(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else None,
            _count(states),
            beta1=beta1,
            beta2=beta2,
            lr=_number(group["lr"]),
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
        )


def adam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    steps,
    *,
    beta1,
    beta2,
    lr,
    weight_decay,
    eps,
    maximize,
    decoupled_weight_decay,
):
    """One step of Adam on lists of parameters, gradients, means and squares; `steps` counts from 1; the largest squares
    so far are kept in `max_exp_avg_sqs` unless that is None."""
    params, grads, exp_avgs, exp_avg_sqs = map(_real, (params, grads, exp_avgs, exp_avg_sqs))
    largest = [None] * len(params) if max_exp_avg_sqs is None else _real(max_exp_avg_sqs)
    for param, grad, mean, square, most, step in zip(params, grads, exp_avgs, exp_avg_sqs, largest, steps, strict=True):
        if maximize:
            grad = -grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if most is not None:
            H.maximum(most, square, out=most)
            square = most
        denominator = (square.sqrt() / (1 - beta2**step) ** 0.5).add_(eps)
        param.addcdiv_(mean, denominator, value=-lr / (1 - beta1**step))
