"""Stochastic gradient descent with momentum."""

from hadamard import _C

from .optimizer import _check_at_least_zero, _check_fused, _check_lr, _number, _Stepper

__all__ = ["SGD", "sgd"]


class SGD(_Stepper):
    """p ← p - lr · v, where v ← momentum · v + (1 - dampening) · (grad + weight_decay · p).

    With `nesterov` p moves by grad + momentum · v. `foreach` and `fused` are accepted and change nothing.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([1.0]))
    >>> opt = H.optim.SGD([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.])
    """

    _native = staticmethod(_C._step_sgd)

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        _check_lr(lr)
        _check_at_least_zero(momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        _check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in (
                ("nesterov", False),
                ("maximize", False),
                ("foreach", None),
                ("differentiable", False),
                ("fused", None),
            ):
                group.setdefault(name, default)

    def _new_state(self, param, group):
        return {"momentum_buffer": None}

    def _states(self, group, params):
        return super()._states(group, params) if group["momentum"] != 0 else []

    def _update(self, group, params, grads, states):
        momentum = group["momentum"]
        buffers = [state.get("momentum_buffer") for state in states]
        sgd(
            params,
            grads,
            buffers,
            weight_decay=group["weight_decay"],
            momentum=momentum,
            lr=group["lr"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
        if momentum != 0:
            for state, buffer in zip(states, buffers, strict=True):
                state["momentum_buffer"] = buffer


def sgd(params, d_p_list, momentum_buffer_list, *, weight_decay, momentum, lr, dampening, nesterov, maximize):
    """One step of SGD on lists of parameters, gradients and momenta; a momentum that is None begins as the gradient."""
    lr, weight_decay = _number(lr), _number(weight_decay)
    for i, (param, grad) in enumerate(zip(params, d_p_list, strict=True)):
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        if momentum != 0:
            velocity = momentum_buffer_list[i]
            if velocity is None:
                velocity = momentum_buffer_list[i] = grad.detach().clone()
            else:
                velocity.mul_(momentum).add_(grad, alpha=1 - dampening)
            grad = grad.add(velocity, alpha=momentum) if nesterov else velocity
        param.add_(grad, alpha=-lr)
