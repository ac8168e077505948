"""Adafactor."""

import hadamard as H
from hadamard import Tensor

from .optimizer import _count, _counter, _number, _Stepper

__all__ = ["Adafactor"]


class Adafactor(_Stepper):
    """Adam that keeps only row and column means of the squared gradients of a matrix, and scales its steps by the size
    of the parameters (Shazeer and Stern, 2018).

    eps: (smallest estimate of a square, smallest size of a parameter); d: the largest root mean square of an update;
    the means forget by 1 - step ** beta2_decay. `foreach` is accepted and changes nothing.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.ones(2, 3))
    >>> opt = H.optim.Adafactor([p], lr=0.1)
    >>> p.sum().backward()
    >>> opt.step()
    >>> [(name, tuple(s.shape)) for name, s in opt.state[p].items()]
    [('step', ()), ('row_var', (2, 1)), ('col_var', (1, 3))]
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        for i, value in enumerate(eps):
            if value is not None and not 0.0 <= value:
                raise ValueError(f"epsilon{i + 1} should be >= 0 but is: {value}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _new_state(self, param, group):
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        if param.dim() < 2:
            return {"step": _counter(), "variance": H.zeros_like(param)}
        *outer, rows, columns = param.shape
        return {
            "step": _counter(),
            "row_var": param.new_zeros((*outer, rows, 1)),
            "col_var": param.new_zeros((*outer, 1, columns)),
        }

    def _update(self, group, params, grads, states):
        lr, (least_square, least_size) = _number(group["lr"]), group["eps"]
        for param, grad, state, step in zip(params, grads, states, _count(states), strict=True):
            if group["maximize"]:
                grad = -grad
            tiny = H.finfo(param.dtype).eps if least_square is None else least_square
            fresh = step ** group["beta2_decay"]
            size = max(least_size, param.norm(2).item() / param.numel() ** 0.5)
            rate = size * min(lr, 1 / step**0.5)
            if group["weight_decay"] != 0:
                param.mul_(1 - lr * group["weight_decay"])
            if "variance" in state:
                state["variance"].lerp_(grad * grad, fresh)
                square = state["variance"].clone()
            else:
                rows, columns = state["row_var"], state["col_var"]
                rows.lerp_(grad.norm(dim=-1, keepdim=True).square_().div_(grad.size(-1)), fresh)
                columns.lerp_(grad.norm(dim=-2, keepdim=True).square_().div_(grad.size(-2)), fresh)
                square = (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=tiny))
            update = square.clamp_(min=tiny * tiny).rsqrt_().mul_(grad)
            too_large = max(1.0, update.norm(2).item() / (update.numel() ** 0.5 * group["d"]))
            param.add_(update, alpha=-rate / too_large)
