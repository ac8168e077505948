"""Muon."""

import math

import hadamard as H
from hadamard import Tensor

from .optimizer import _number, _Stepper

__all__ = ["Muon"]


class Muon(_Stepper):
    """Momentum whose steps are made nearly orthogonal matrices, for the weights of hidden layers (Jordan, 2024).

    The orthogonal factor comes from `ns_steps` Newton-Schulz iterations in bfloat16 with `ns_coefficients`.
    adjust_lr_fn: "original" (√max(1, rows / columns), the default) or "match_rms_adamw" (0.2 √max(rows, columns)).
    ValueError for a parameter that is no matrix.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.zeros(2, 2))
    >>> opt = H.optim.Muon([p], lr=0.1)
    >>> (p * H.tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
    >>> opt.step()
    >>> H.linalg.svdvals(p.detach()).max() < 0.15
    tensor(True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.7750, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _new_state(self, param, group):
        if param.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": H.zeros_like(param)}

    def _update(self, group, params, grads, states):
        lr, momentum = _number(group["lr"]), group["momentum"]
        for param, grad, state in zip(params, grads, states, strict=True):
            mean = state["momentum_buffer"]
            mean.lerp_(grad, 1 - momentum)
            update = grad.lerp(mean, momentum) if group["nesterov"] else mean
            update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
            rows, columns = param.shape
            if group["adjust_lr_fn"] == "match_rms_adamw":
                ratio = 0.2 * math.sqrt(max(rows, columns))
            else:
                ratio = math.sqrt(max(1, rows / columns))
            param.mul_(1 - lr * group["weight_decay"])
            param.add_(update, alpha=-lr * ratio)


def _orthogonal(matrix, coefficients, steps, eps):
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = H.addmm(x, H.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
