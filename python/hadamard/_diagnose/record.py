"""The passes of a diagnosis: forward, loss and backward on a copy, and steps of the optimiser on further copies."""

import copy
import warnings
from math import isfinite

import hadamard as H
from hadamard import Tensor

from .trace import Trace

MOST_ROWS = 1024  # of a batch that are looked at
STEPS = 5  # of the optimiser that are tried


class StandIn:
    """A loss with the gradients that another one gave to the parts of a model's output, where that one is not known."""

    def __init__(self, gradients):
        self.gradients = gradients  # {place in the output: gradient}

    def __call__(self, out):
        parts = out if isinstance(out, (tuple, list)) else (out,)
        rows = {i: min(len(parts[i]), len(g)) if g.dim() else None for i, g in self.gradients.items()}
        return sum((parts[i][: rows[i]] * g[: rows[i]]).sum() for i, g in self.gradients.items())


class Record:
    """What the passes showed. The model and the optimiser that were given are not changed, nor is the random state."""

    def __init__(self, model, x, y=None, loss=None, optimizer=None, named=None, pick=None):
        self.given, self.given_optimizer = model, optimizer
        self.args = tuple(x) if isinstance(x, (tuple, list)) else (x,)
        self.named = named or {}  # arguments by name
        self.pick = pick  # what is done to the output before the loss
        self.stands_in = isinstance(loss, StandIn)
        self.y, self.loss = y, loss
        self._cut_rows()
        self.error = self.failed_in = None
        self.out = self.value = None
        self.steps: list = []
        self.random = H.get_rng_state()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._pass()
                if self.error is None and optimizer is not None and isfinite(self.value) and not self.stands_in:
                    self.steps = self._try_steps(1.0)
        finally:
            H.set_rng_state(self.random)

    def _cut_rows(self):
        rows = self.rows = self.args[0].shape[0] if self.args and _is_batch(self.args[0]) else 0
        if rows > MOST_ROWS and (not _is_batch(self.y) or self.y.shape[0] == rows):
            cut = lambda a: a[:MOST_ROWS] if _is_batch(a) and a.shape[0] == rows else a  # noqa: E731
            self.args = tuple(map(cut, self.args))
            self.named = {name: cut(a) for name, a in self.named.items()}
            if _is_batch(self.y) and self.y.shape[0] == rows:
                self.y = self.y[:MOST_ROWS]
            self.rows = MOST_ROWS

    def copies(self):
        """(model, optimiser) that share nothing with the given ones but belong together."""
        with H.enable_grad():
            return copy.deepcopy((self.given, self.given_optimizer))

    def call(self, model, fresh=False):
        """The model's output for this batch."""
        args = (a.clone() if isinstance(a, Tensor) else a for a in self.args) if fresh else self.inputs
        out = model(*args, **self.named)
        return out if self.pick is None else self.pick(out)

    def loss_of(self, out):
        if self.loss is not None:
            return self.loss(out, self.y) if self.y is not None else self.loss(out)
        out = next((o for o in out if isinstance(o, Tensor)), None) if isinstance(out, (tuple, list)) else out
        if self.y is None:
            return (out.float() * out.float()).mean()
        if not self.y.is_floating_point() and out.dim() == self.y.dim() + 1:
            return H.nn.functional.cross_entropy(out, self.y)
        return H.nn.functional.mse_loss(out, self.y.to(out.dtype))

    def _pass(self):
        self.model, self.optimizer = self.copies()
        for p in self.model.parameters():
            p.grad = None
        self.names = {id(p): name for name, p in self.model.named_parameters()}
        self.trace = Trace(self.model)
        self.inputs = tuple(a.detach().clone() if isinstance(a, Tensor) else a for a in self.args)
        self.failed_in = "forward"
        try:
            with H.enable_grad(), self.trace:
                self.out = self.call(self.model)
                self.trace.phase = "loss"
                self.failed_in = "loss"
                value = self.loss_of(self.out)
            self.loss_tensor = value
            self.failed_in = "backward"
            self.value = float(value.detach()) if value.numel() == 1 else float("nan")
            if any(p.requires_grad for p in self.model.parameters()):
                value.backward()
            self.failed_in = None
        except Exception as error:
            self.error = error

    def _try_steps(self, factor):
        """The loss before and after each of a few steps on this batch, [] where a step fails."""
        H.set_rng_state(self.random)
        model, optimizer = self.copies()
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * factor
        values = []
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        try:
            with H.enable_grad():
                for step in range(STEPS + 1):
                    optimizer.zero_grad()
                    value = self.loss_of(self.call(model, fresh=True))
                    values.append(float(value.detach()))
                    if step == STEPS or not isfinite(values[-1]):
                        break
                    value.backward()
                    optimizer.step()
                    if step == 0 and factor == 1.0:
                        self.moved = {
                            name: _ratio(p.detach() - before[name], before[name])
                            for name, p in model.named_parameters()
                            if p.dim() > 1
                        }
        except Exception:
            return []
        return values

    def steps_with(self, factor):
        """The same with the learning rate times `factor`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._try_steps(factor)
        finally:
            H.set_rng_state(self.random)

    # ---- what the checks ask for

    def weights(self):
        """(name, parameter) of what multiplies, in the order in which the pass used it."""
        order: dict = {}
        for op in self.trace.ops:
            for tensor in op.inputs:
                name = self.names.get(id(tensor))
                if name is not None:
                    order.setdefault(name, tensor)
        return [(name, p) for name, p in order.items() if p.dim() > 1]

    def used(self):
        return {id(t) for op in self.trace.ops for t in op.inputs}


def _is_batch(x):
    return isinstance(x, Tensor) and x.dim() > 0


def rms(x):
    """Root of the mean square, as a number."""
    x = x.detach().double()
    return float((x * x).mean().sqrt()) if x.numel() else 0.0


def _ratio(change, weight):
    size = rms(weight)
    return rms(change) / size if size else 0.0
