"""Rectified Adam."""

import hadamard as H

from .optimizer import _check_adam, _count, _counter, _decayed, _number, _real, _Stepper

__all__ = ["RAdam"]


class RAdam(_Stepper):
    """Adam whose step is rectified while its second moment is uncertain (Liu et al., 2019).

    >>> import hadamard as H
    >>> opt = H.optim.RAdam([H.nn.Parameter(H.ones(1))])
    >>> opt.defaults["lr"]
    0.001
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        _check_adam(lr, betas, eps, weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, param, group):
        return {"step": _counter(), "exp_avg": H.zeros_like(param), "exp_avg_sq": H.zeros_like(param)}

    def _update(self, group, params, grads, states):
        beta1, beta2 = group["betas"]
        lr, eps = _number(group["lr"]), group["eps"]
        lists = map(_real, (params, grads, [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]))
        for param, grad, mean, square, step in zip(*lists, _count(states), strict=True):
            grad = _decayed(param, grad, group)
            mean.lerp_(grad, 1 - beta1)
            square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            correction1, correction2 = 1 - beta1**step, 1 - beta2**step
            corrected = mean / correction1
            limit = 2 / (1 - beta2) - 1
            rho = limit - 2 * step * (beta2**step) / correction2
            # Below five samples the variance of the second moment does not exist.
            if rho > 5.0:
                rectified = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
                adaptive = (correction2**0.5) / square.sqrt().add_(eps)
                param.add_(corrected * lr * adaptive * rectified, alpha=-1.0)
            else:
                param.add_(corrected * lr, alpha=-1.0)
