"""Adam with the largest recent gradient."""

import hadamard as H

from .optimizer import _check_adam, _count, _counter, _decayed, _number, _real, _Stepper

__all__ = ["Adamax"]


class Adamax(_Stepper):
    """Adam with the largest recent gradient in place of the mean square (Kingma and Ba, 2014, section 7).

    >>> import hadamard as H
    >>> opt = H.optim.Adamax([H.nn.Parameter(H.ones(1))])
    >>> opt.defaults["lr"]
    0.002
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        _check_adam(lr, betas, eps, weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _new_state(self, param, group):
        return {"step": _counter(), "exp_avg": H.zeros_like(param), "exp_inf": H.zeros_like(param)}

    def _update(self, group, params, grads, states):
        beta1, beta2 = group["betas"]
        lists = map(_real, (params, grads, [s["exp_avg"] for s in states], [s["exp_inf"] for s in states]))
        for param, grad, mean, largest, step in zip(*lists, _count(states), strict=True):
            grad = _decayed(param, grad, group)
            mean.lerp_(grad, 1 - beta1)
            largest.copy_(H.maximum(largest * beta2, grad.abs() + group["eps"]))
            param.addcdiv_(mean, largest, value=-_number(group["lr"]) / (1 - beta1**step))
