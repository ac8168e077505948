"""Averaged stochastic gradient descent."""

import hadamard as H

from .optimizer import _check_at_least_zero, _check_lr, _count, _counter, _number, _real, _Stepper

__all__ = ["ASGD"]


class ASGD(_Stepper):
    """p ← p · (1 - lambd · eta) - eta · grad with eta = lr / (1 + lambd · lr · t) ** alpha; from step `t0` on the
    state's "ax" is the average of p (Polyak and Juditsky, 1992).

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.ASGD([p], lr=0.5, lambd=0.0)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.])
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        _check_lr(lr)
        _check_at_least_zero(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _new_state(self, param, group):
        return {
            "step": _counter(),
            "eta": H.tensor(float(_number(group["lr"])), dtype=H.float32),
            "mu": H.ones((), dtype=H.float32),
            "ax": H.zeros_like(param),
        }

    def _update(self, group, params, grads, states):
        lr, lambd = _number(group["lr"]), group["lambd"]
        lists = map(_real, (params, grads, [state["ax"] for state in states]))
        for param, grad, average, state, step in zip(*lists, states, _count(states), strict=True):
            if group["maximize"]:
                grad = -grad
            if group["weight_decay"] != 0:
                grad = grad.add(param, alpha=group["weight_decay"])
            eta, mu = state["eta"].item(), state["mu"].item()
            param.mul_(1 - lambd * eta)
            param.add_(grad, alpha=-eta)
            if mu == 1:
                average.copy_(param)
            else:
                average.add_(param.sub(average).mul_(mu))
            state["eta"] = H.tensor(lr / (1 + lambd * lr * step) ** group["alpha"], dtype=H.float32)
            state["mu"] = H.tensor(1 / max(1, step - group["t0"]), dtype=H.float32)
