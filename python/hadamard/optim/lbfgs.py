"""L-BFGS, with or without a search along the line that meets the strong Wolfe conditions."""

import hadamard as H

from .optimizer import Optimizer, _check_lr, _number

__all__ = ["LBFGS"]


def _cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None):
    """Where the cubic through two points with these values and slopes is least, within bounds."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        at = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(at, low), high)


def _strong_wolfe(evaluate, t, direction, f, g, slope, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_steps=25):
    """A step length that lowers the value enough and flattens the slope (Nocedal and Wright, algorithms 3.5 and 3.6).

    `evaluate(t)` gives value and gradient at step t; returns value, gradient, step and the number of evaluations.
    """
    biggest = direction.abs().max().item()
    g = g.clone()
    f_new, g_new = evaluate(t)
    evaluations = 1
    slope_new = g_new.dot(direction).item()
    before, f_before, g_before, slope_before = 0.0, f, g, slope
    done = False
    steps = 0
    # First find two steps with the one sought between them.
    while steps < max_steps:
        passed = f_new > f + c1 * t * slope or (steps > 1 and f_new >= f_before)
        if not passed and abs(slope_new) <= -c2 * slope:
            bracket = [(t, f_new, g_new, slope_new)]
            done = True
            break
        if passed or slope_new >= 0:
            bracket = [(before, f_before, g_before, slope_before), (t, f_new, g_new.clone(), slope_new)]
            break
        shortest = t + 0.01 * (t - before)
        longest = t * 10
        last = t
        t = _cubic_minimum(before, f_before, slope_before, t, f_new, slope_new, (shortest, longest))
        before, f_before, g_before, slope_before = last, f_new, g_new.clone(), slope_new
        f_new, g_new = evaluate(t)
        evaluations += 1
        slope_new = g_new.dot(direction).item()
        steps += 1
    else:
        bracket = [(0.0, f, g, slope), (t, f_new, g_new, slope_new)]
    # Then narrow the bracket.
    slow = False
    low, high = (0, 1) if len(bracket) == 1 or bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and steps < max_steps:
        (ta, fa, _, sa), (tb, fb, _, sb) = bracket
        if abs(tb - ta) * biggest < tolerance_change:
            break
        t = _cubic_minimum(ta, fa, sa, tb, fb, sb)
        left, right = min(ta, tb), max(ta, tb)
        margin = 0.1 * (right - left)
        # A step close to an end twice running, or on it, is moved inwards.
        if min(right - t, t - left) < margin:
            if slow or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                slow = False
            else:
                slow = True
        else:
            slow = False
        f_new, g_new = evaluate(t)
        evaluations += 1
        slope_new = g_new.dot(direction).item()
        steps += 1
        if f_new > f + c1 * t * slope or f_new >= bracket[low][1]:
            bracket[high] = (t, f_new, g_new.clone(), slope_new)
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(slope_new) <= -c2 * slope:
                done = True
            elif slope_new * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = (t, f_new, g_new.clone(), slope_new)
    t, f_new, g_new, _ = bracket[0] if len(bracket) == 1 else bracket[low]
    return f_new, g_new, t, evaluations


class LBFGS(Optimizer):
    """Limited-memory BFGS: `step(closure)` makes up to `max_iter` moves; the closure computes loss and gradients.

    `line_search_fn` is None, then each move is of length `lr`, or "strong_wolfe". All parameters are one group.

    >>> import hadamard as H
    >>> p = H.nn.Parameter(H.tensor([5.0, -3.0]))
    >>> opt = H.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = ((p - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = opt.step(closure)
    >>> H.allclose(p, H.ones(2), atol=1e-4)
    True
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        _check_lr(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _flat_grad(self):
        parts = []
        for p in self._params:
            flat = p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1)
            parts.append(H.view_as_real(flat).reshape(-1) if flat.is_complex() else flat)
        return H.cat(parts)

    def _move(self, t, direction):
        start = 0
        for p in self._params:
            real = H.view_as_real(p) if p.is_complex() else p
            stop = start + real.numel()
            real.add_(direction[start:stop].view_as(real), alpha=t)
            start = stop

    def step(self, closure):
        """Up to `max_iter` moves; returns the loss before the first."""
        group = self.param_groups[0]
        lr, max_iter, max_eval = _number(group["lr"]), group["max_iter"], group["max_eval"]
        tolerance_change, search = group["tolerance_change"], group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")

        def compute():
            with H.enable_grad():
                return closure()

        with H.no_grad():
            state = self.state[self._params[0]]
            state.setdefault("func_evals", 0)
            state.setdefault("n_iter", 0)
            first_loss = compute()
            loss = first_loss.item()
            evaluations = 1
            state["func_evals"] += 1
            grad = self._flat_grad()
            if grad.abs().max() <= group["tolerance_grad"]:
                return first_loss
            d, t = state.get("d"), state.get("t")
            old_dirs, old_stps, ro = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
            H_diag = state.get("H_diag")
            prev_grad, prev_loss = state.get("prev_flat_grad"), state.get("prev_loss")
            moves = 0
            while moves < max_iter:
                moves += 1
                state["n_iter"] += 1
                if state["n_iter"] == 1:
                    d = grad.neg()
                    old_dirs, old_stps, ro = [], [], []
                    H_diag = 1
                else:
                    y, s = grad.sub(prev_grad), d.mul(t)
                    ys = y.dot(s)
                    # A pair of negative curvature would spoil the approximation.
                    if ys > 1e-10:
                        if len(old_dirs) == group["history_size"]:
                            for history in (old_dirs, old_stps, ro):
                                history.pop(0)
                        old_dirs.append(y)
                        old_stps.append(s)
                        ro.append(1.0 / ys)
                        H_diag = ys / y.dot(y)
                    d = self._direction(grad, old_dirs, old_stps, ro, H_diag)
                prev_grad = grad.clone()
                prev_loss = loss
                t = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
                slope = grad.dot(d)
                if slope > -tolerance_change:
                    break
                inner = 0
                if search is not None:
                    start = [p.clone() for p in self._params]

                    def evaluate(t, start=start, d=d):
                        self._move(t, d)
                        value = compute().item()
                        flat = self._flat_grad()
                        for p, saved in zip(self._params, start, strict=True):
                            p.copy_(saved)
                        return value, flat

                    loss, grad, t, inner = _strong_wolfe(evaluate, float(t), d, loss, grad, float(slope))
                    self._move(t, d)
                    flat_enough = grad.abs().max() <= group["tolerance_grad"]
                else:
                    self._move(_number(t), d)
                    flat_enough = False
                    # After the last move nobody would use the gradient.
                    if moves != max_iter:
                        loss = compute().item()
                        grad = self._flat_grad()
                        flat_enough = grad.abs().max() <= group["tolerance_grad"]
                        inner = 1
                evaluations += inner
                state["func_evals"] += inner
                if (
                    moves == max_iter
                    or evaluations >= max_eval
                    or flat_enough
                    or d.mul(t).abs().max() <= tolerance_change
                    or abs(loss - prev_loss) < tolerance_change
                ):
                    break
            state.update(
                d=d,
                t=t,
                old_dirs=old_dirs,
                old_stps=old_stps,
                ro=ro,
                H_diag=H_diag,
                prev_flat_grad=prev_grad,
                prev_loss=prev_loss,
            )
            return first_loss

    @staticmethod
    def _direction(grad, old_dirs, old_stps, ro, H_diag):
        # The two-loop recursion: the inverse Hessian is never formed.
        q = grad.neg()
        shares = [0.0] * len(old_dirs)
        for i in range(len(old_dirs) - 1, -1, -1):
            shares[i] = old_stps[i].dot(q) * ro[i]
            q = q - old_dirs[i] * shares[i]
        r = q * H_diag
        for i in range(len(old_dirs)):
            r = r + old_stps[i] * (shares[i] - old_dirs[i].dot(r) * ro[i])
        return r
