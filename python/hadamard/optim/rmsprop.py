"""RMSprop."""

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

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(_Stepper):
    """p ← p - lr · grad / (√v + eps), where v is a running mean of the gradient's square (Hinton's lecture 6).

    With `centered` the variance takes the place of v; `momentum` is applied to the quotient.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.RMSprop([p], lr=0.05)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.5000])
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        _check_lr(lr)
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_at_least_zero(momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, param, group):
        state = {"step": _counter(), "square_avg": H.zeros_like(param)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = H.zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = H.zeros_like(param)
        return state

    def _update(self, group, params, grads, states):
        _count(states)
        rmsprop(
            params,
            grads,
            [state["square_avg"] for state in states],
            [state.get("grad_avg") for state in states],
            [state.get("momentum_buffer") for state in states],
            lr=_number(group["lr"]),
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            centered=group["centered"],
            maximize=group["maximize"],
        )


def rmsprop(
    params,
    grads,
    square_avgs,
    grad_avgs,
    momentum_buffers,
    *,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    centered,
    maximize,
):
    """One step of RMSprop on lists of parameters, gradients and their running means."""
    lists = map(_real, (params, grads, square_avgs, grad_avgs, momentum_buffers))
    for param, grad, square, mean, buffer in zip(*lists, strict=True):
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if centered:
            mean.lerp_(grad, 1 - alpha)
            root = square.addcmul(mean, mean, value=-1).sqrt_()
        else:
            root = square.sqrt()
        root = root.add_(eps)
        if momentum > 0:
            buffer.mul_(momentum).addcdiv_(grad, root)
            param.add_(buffer, alpha=-lr)
        else:
            param.addcdiv_(grad, root, value=-lr)
