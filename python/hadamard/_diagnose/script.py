"""hadamard run --diagnose: the models that a script trains, looked at when they take their first step and last."""

import functools
import sys

import hadamard as H
from hadamard import Tensor

from ..errors.text import coloured, in_colour
from .findings import Finding
from .record import Record, StandIn

_LOSSES = (
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
)
_FORGOTTEN_AFTER = 5  # steps without a zero_grad
_MODELS = 8  # whose last call is kept
_FIRST = "at its first step"
_UNPAIRED = "but no model was called whose output has a gradient: only the steps were watched"
_STANDS_IN = ", by the gradients that its loss gave"


class _Training:
    """What one optimiser was seen to do."""

    def __init__(self):
        self.steps = self.backwards = 0
        self.batch = None  # (model, arguments, arguments by name, loss, target, what is done to the output)
        self.mode = True
        self.seen: dict = {}  # verdicts: when → Diagnosis
        self.wanted: list = []  # (parameter, whether it wanted a gradient)
        self.added = 0  # steps whose gradients were added to those of the step before


class Watch:
    """Notes the batches, losses and steps of a script from its making on; `report` says what is wrong."""

    def __init__(self):
        from hadamard.nn.modules import module
        from hadamard.optim import optimizer

        self.trainings: dict = {}
        self.depth = 0
        self.calls: dict = {}  # the last (model, arguments, output, by name, gradients) of each that is no part
        self.loss = None  # the last (function, output, target)
        self.zeroed = False
        self.looking = False
        module.register_module_forward_pre_hook(self._enter)
        module.register_module_forward_hook(self._leave, with_kwargs=True, always_call=True)
        optimizer.register_optimizer_step_pre_hook(self._step)
        for name in _LOSSES:
            setattr(H.nn.functional, name, self._noting_loss(getattr(H.nn.functional, name)))
        for owner, name in ((optimizer.Optimizer, "zero_grad"), (module.Module, "zero_grad")):
            setattr(owner, name, self._noting_zero(getattr(owner, name)))

    def _enter(self, module, args):
        if not self.looking:
            self.depth += 1

    def _leave(self, module, args, kwargs, output):
        if self.looking:
            return
        self.depth = max(self.depth - 1, 0)
        if self.depth or output is None:
            return
        if type(module).__module__.endswith("nn.modules.loss"):
            if len(args) > 1:
                self.loss = (module, args[0], args[1])
        elif H.is_grad_enabled() and any(True for _ in module.parameters()):
            self.calls.pop(id(module), None)
            self.calls[id(module)] = (module, args, output, kwargs, _gradients(output))
            if len(self.calls) > _MODELS:
                del self.calls[next(iter(self.calls))]

    def _noting_loss(self, function):
        @functools.wraps(function)
        def loss(input, target, *args, **kwargs):
            if not self.looking and self.depth == 0 and H.is_grad_enabled():
                self.loss = (lambda a, b: function(a, b, *args, **kwargs), input, target)
            return function(input, target, *args, **kwargs)

        return loss

    def _noting_zero(self, function):
        @functools.wraps(function)
        def zero_grad(*args, **kwargs):
            self.zeroed = self.zeroed or not self.looking
            return function(*args, **kwargs)

        return zero_grad

    def _step(self, optimizer, args, kwargs):
        if self.looking:
            return
        training = self.trainings.setdefault(id(optimizer), _Training())
        training.steps += 1
        training.optimizer = optimizer
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for model, inputs, output, named, gradients in reversed(self.calls.values()):
            if any(id(p) in held for p in model.parameters()):
                pick = _picked(output, self.loss[1]) if self.loss is not None else None
                if pick is not None:
                    training.batch = (model, inputs, named, self.loss[0], self.loss[2], pick)
                elif gradients:  # a loss of another kind: that of this step, as far as its gradients tell
                    training.batch = (model, inputs, named, StandIn(dict(gradients)), None, None)
                training.wanted = [(p, p.requires_grad) for p in model.parameters()]
                break
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if training.steps > 1 and not self.zeroed and grads and max(g._version for g in grads) >= training.steps - 1:
            training.added += 1
        self.zeroed = False
        if training.batch is not None:
            training.mode = training.batch[0].training
        if training.steps == 1:
            self._look(training, _FIRST)

    def _look(self, training, when):
        if training.batch is None:
            return
        from . import _verdict

        model, inputs, named, loss, target, pick = training.batch
        self.looking = True
        modes = {part: part.training for part in model.modules()}
        now = [(p, p.requires_grad) for p, _ in training.wanted]
        try:
            # As it was when it was trained, not as the script left it.
            if model.training is not training.mode:
                model.train(training.mode)
            for p, wanted in training.wanted:
                p.requires_grad_(wanted)
            found = _verdict(Record(model, tuple(inputs), target, loss, training.optimizer, named, pick))
            # What other optimisers hold, and gradients that another loss has left, are no faults of this one.
            found.findings = [f for f in found.findings if f.kind not in ("zero_grad", "not in the optimiser")]
            found.findings += self._nobodys(model) if when != _FIRST else []
            training.seen[when] = found
        except Exception as error:  # a model that cannot be copied, say: the script goes on
            training.seen[when] = f"cannot be looked at: {type(error).__name__}: {str(error).splitlines()[0]}"
        finally:
            for part, mode in modes.items():
                part.training = mode
            for p, wanted in now:
                p.requires_grad_(wanted)
            self.looking = False

    def _nobodys(self, model):
        """Parameters that no optimiser of the script holds."""
        groups = [group for training in self.trainings.values() for group in training.optimizer.param_groups]
        held = {id(p) for group in groups for p in group["params"]}
        names = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
        if not names:
            return []
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        mends = ["Optimizer(model.parameters(), …), made after the last layer was added"]
        return [Finding("not in the optimiser", "fault", listed, "requires grad, but no step changes it", (), mends)]

    def report(self, file=None):
        """Print the verdicts."""
        file = file or sys.stderr
        colour = coloured if in_colour(file) else str
        for training in self.trainings.values():
            if training.steps > 1:
                self._look(training, f"after {training.steps} steps")
            counted = []
            if training.added >= _FORGOTTEN_AFTER:
                says = "gradients of many steps are added up"
                evidence = [
                    f"{training.added} of {training.steps} steps used gradients added to those of the step before"
                ]
                mends = ["optimizer.zero_grad() before each backward()"]
                counted.append(Finding("zero_grad", "fault", "", says, evidence, mends))
            known: set = set()
            for when, found in training.seen.items():
                if isinstance(found, str):
                    print(f"\ndiagnosis {when}: {found}", file=file)
                    continue
                found.findings = counted + found.findings
                new = [f for f in found.findings if (f.kind, f.where) not in known]
                if found.record.stands_in:
                    when += _STANDS_IN
                if known and not new and found.findings:
                    print(f"\ndiagnosis {when}\n{found.name}: as before", file=file)
                    continue
                known |= {(f.kind, f.where) for f in found.findings}
                found.findings = new
                print(f"\ndiagnosis {when}\n{colour(str(found))}", file=file)
            if not training.seen:
                name = type(training.optimizer).__name__
                print(f"\ndiagnosis: {training.steps} steps of {name}, {_UNPAIRED}", file=file)
                for finding in counted:
                    print("\n".join(finding.lines()), file=file)
        if not self.trainings:
            print("\ndiagnosis: the script made no step of an optimiser", file=file)


def _gradients(output):
    """{place: gradient} of what a model gave out, filled by the backward pass."""
    found: dict = {}
    for i, part in enumerate(output if isinstance(output, (tuple, list)) else (output,)):
        if isinstance(part, Tensor) and part.grad_fn is not None:
            part.register_hook(lambda g, i=i: found.__setitem__(i, g.detach()))
    return found


# What scripts do to an output before they hand it to a loss.
_BETWEEN = (
    None,
    lambda x: H.sigmoid(x),
    lambda x: H.log_softmax(x, -1),
    lambda x: H.softmax(x, -1),
    lambda x: H.log_softmax(x, 1),
    lambda x: H.softmax(x, 1),
    lambda x: H.tanh(x),
)


def _picked(output, given):
    """How the loss's input follows from the model's output: a function, None where no simple one does."""
    parts = output if isinstance(output, (tuple, list)) else (output,)
    for i, part in enumerate(parts):
        if not isinstance(part, Tensor) or not isinstance(given, Tensor) or part.numel() != given.numel():
            continue
        for then in _BETWEEN[: None if part.is_floating_point() and part.dim() > 1 else 2]:
            with H.no_grad():
                made = part if then is None else then(part)
                same = part is given or H.equal(made.reshape(given.shape), given)
            if same:
                shape = None if given.shape == part.shape else (-1, *given.shape[1:])
                return _picking(i, then, shape)
    return None


def _picking(i, then, shape):
    def pick(out):
        one = out[i] if isinstance(out, (tuple, list)) else out
        one = one if then is None else then(one)
        return one if shape is None else one.reshape(shape)

    return pick
