"""Adam with Nesterov momentum."""

import hadamard as H

from .optimizer import _check_adam, _check_at_least_zero, _count, _counter, _decayed, _number, _real, _Stepper

__all__ = ["NAdam"]


class NAdam(_Stepper):
    """Adam with Nesterov momentum (Dozat, 2016).

    >>> import hadamard as H
    >>> opt = H.optim.NAdam([H.nn.Parameter(H.ones(1))])
    >>> opt.defaults["momentum_decay"]
    0.004
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        _check_adam(lr, betas, eps, weight_decay)
        _check_at_least_zero(momentum_decay=momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, param, group):
        return {
            "step": _counter(),
            "mu_product": H.ones((), dtype=H.float32),
            "exp_avg": H.zeros_like(param),
            "exp_avg_sq": H.zeros_like(param),
        }

    def _update(self, group, params, grads, states):
        beta1, beta2 = group["betas"]
        lr, eps, decay = _number(group["lr"]), group["eps"], group["momentum_decay"]
        lists = map(_real, (params, grads, [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]))
        for param, grad, mean, square, state, step in zip(*lists, states, _count(states), strict=True):
            grad = _decayed(param, grad, group)
            mu = beta1 * (1.0 - 0.5 * (0.96 ** (step * decay)))
            mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((step + 1) * decay)))
            state["mu_product"] *= mu
            product = state["mu_product"].item()
            mean.lerp_(grad, 1 - beta1)
            square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            root = square.div(1 - beta2**step).sqrt_().add_(eps)
            param.addcdiv_(grad, root, value=-lr * (1.0 - mu) / (1.0 - product))
            param.addcdiv_(mean, root, value=(-lr * mu_next) / (1.0 - product * mu_next))
