"""hadamard run --diagnose: the models that a script trains, looked at when they take their first step and last."""

import functools
import sys

import hadamard as H
from hadamard import Tensor

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


class _Training:
    """What one optimiser was seen to do."""

    def __init__(self):
        self.steps = self.backwards = 0
        self.batch = None
        self.mode = True
        self.seen: dict = {}  # verdicts: when → Diagnosis
        self.added = 0  # steps whose gradients were added to those of the step before


class Watch:
    """Notes the batches, losses and steps of a script from its making on; `report` says what is wrong."""

    def __init__(self):
        from hadamard.nn.modules import module
        from hadamard.optim import optimizer

        self.trainings: dict = {}
        self.depth = 0
        self.call = None  # the last (model, arguments, output) of a model that is not part of another
        self.loss = None  # the last (function, output, target)
        self.zeroed = False
        self.looking = False
        module.register_module_forward_pre_hook(self._enter)
        module.register_module_forward_hook(self._leave, always_call=True)
        optimizer.register_optimizer_step_pre_hook(self._step)
        for name in _LOSSES:
            setattr(H.nn.functional, name, self._noting_loss(getattr(H.nn.functional, name)))
        for owner, name in ((optimizer.Optimizer, "zero_grad"), (module.Module, "zero_grad")):
            setattr(owner, name, self._noting_zero(getattr(owner, name)))

    def _enter(self, module, args):
        if not self.looking:
            self.depth += 1

    def _leave(self, module, args, output):
        if self.looking:
            return
        self.depth = max(self.depth - 1, 0)
        if self.depth or output is None:
            return
        if type(module).__module__.endswith("nn.modules.loss"):
            if len(args) > 1:
                self.loss = (module, args[0], args[1])
        elif H.is_grad_enabled() and any(True for _ in module.parameters()):
            self.call = (module, args, output)

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
        if self.call is not None:
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            if any(id(p) in held for p in self.call[0].parameters()) or training.batch is None:
                training.batch = (*self.call[:2], self.loss)
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if training.steps > 1 and not self.zeroed and grads and max(g._version for g in grads) >= training.steps - 1:
            training.added += 1
        self.zeroed = False
        if training.batch is not None:
            training.mode = training.batch[0].training
        if training.steps == 1:
            self._look(training, "at its first step")

    def _look(self, training, when):
        if training.batch is None:
            return
        from . import diagnose

        model, args, loss = training.batch
        self.looking = True
        modes = {part: part.training for part in model.modules()}
        try:
            if model.training is not training.mode:
                model.train(training.mode)  # as it was when it was trained, not as the script left it
            if loss is not None and isinstance(loss[2], Tensor):
                verdict = diagnose(model, tuple(args), loss[2], loss[0], training.optimizer)
            else:
                verdict = diagnose(model, tuple(args), None, None, training.optimizer)
            training.seen[when] = verdict
        except Exception as error:  # a model that cannot be copied, say: the script goes on
            training.seen[when] = f"cannot be looked at: {type(error).__name__}: {str(error).splitlines()[0]}"
        finally:
            for part, mode in modes.items():
                part.training = mode
            self.looking = False

    def report(self, file=None):
        """Print the verdicts."""
        from .findings import Finding

        file = file or sys.stderr
        for training in self.trainings.values():
            if training.steps > 1:
                self._look(training, f"after {training.steps} steps")
            known: set = set()
            for when, verdict in training.seen.items():
                if isinstance(verdict, str):
                    print(f"\ndiagnosis {when}: {verdict}", file=file)
                    continue
                verdict.findings = [f for f in verdict.findings if (f.kind, f.where) not in known]
                known |= {(f.kind, f.where) for f in verdict.findings}
                if training.added >= _FORGOTTEN_AFTER and ("zero_grad", "") not in known:
                    known.add(("zero_grad", ""))
                    verdict.findings = [f for f in verdict.findings if f.kind != "zero_grad"]
                    says = "gradients of many steps are added up"
                    evidence = [
                        f"{training.added} of {training.steps} steps used gradients added to those of the step before"
                    ]
                    mends = ["optimizer.zero_grad() before each backward()"]
                    verdict.findings.insert(0, Finding("zero_grad", "fault", "", says, evidence, mends))
                print(f"\ndiagnosis {when}\n{verdict}", file=file)
        if not self.trainings:
            print("\ndiagnosis: the script made no step of an optimiser", file=file)
