"""Relatives of Adam: Adamax, NAdam and RAdam."""

import hadamard as H

from .optimizer import (
    _check_at_least_zero,
    _check_betas,
    _check_lr,
    _count,
    _counter,
    _number,
    _real,
    _Stepper,
)

__all__ = ["Adamax", "NAdam", "RAdam"]


def _check(lr, betas, eps, weight_decay):
    _check_lr(lr)
    if not 0.0 <= eps:
        raise ValueError(f"Invalid epsilon value: {eps}")
    _check_betas(betas)
    _check_at_least_zero(weight_decay=weight_decay)


def _decayed(param, grad, group):
    # The gradient after maximize and weight decay.
    if group["maximize"]:
        grad = -grad
    if group["weight_decay"] != 0:
        if group.get("decoupled_weight_decay"):
            param.mul_(1 - _number(group["lr"]) * group["weight_decay"])
        else:
            grad = grad.add(param, alpha=group["weight_decay"])
    return grad


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
        _check(lr, betas, eps, weight_decay)
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
        _check(lr, betas, eps, weight_decay)
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
        _check(lr, betas, eps, weight_decay)
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
