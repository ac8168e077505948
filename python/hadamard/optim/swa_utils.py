"""Averages of a model's parameters along its training."""

import math
import warnings
from copy import deepcopy

import hadamard as H

from ..nn.modules.module import Module
from ._scheduler import LRScheduler, _per_group

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_avg_fn(decay=0.999):
    """The exponential moving average, as `avg_fn` of AveragedModel."""
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """The plain average, as `avg_fn` of AveragedModel."""

    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay=0.999):
    """The exponential moving average of all parameters at once, in place: `multi_avg_fn` of AveragedModel."""
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    def ema_update(ema_param_list, current_param_list, _):
        with H.no_grad():
            for mean, current in zip(ema_param_list, current_param_list, strict=True):
                if mean.is_floating_point() or mean.is_complex():
                    mean.lerp_(current, 1 - decay)
                else:
                    mean.copy_(mean * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """The plain average of all parameters at once, in place: `multi_avg_fn` of AveragedModel."""

    def swa_update(averaged_param_list, current_param_list, num_averaged):
        with H.no_grad():
            for mean, current in zip(averaged_param_list, current_param_list, strict=True):
                if mean.is_floating_point() or mean.is_complex():
                    mean.lerp_(current, 1 / (float(num_averaged) + 1))
                else:
                    mean.copy_(mean + (current - mean) / (num_averaged + 1))

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters are the average of those it is shown by `update_parameters`.

    >>> import hadamard as H
    >>> layer = H.nn.Linear(1, 1, bias=False)
    >>> average = AveragedModel(layer)
    >>> for value in (1.0, 3.0):
    ...     layer.weight.data.fill_(value)
    ...     average.update_parameters(layer)
    tensor([[1.]])
    tensor([[3.]])
    >>> average.module.weight.item()
    2.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", H.tensor(0, dtype=H.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _averaged(self, module):
        tensors = list(module.parameters())
        return tensors + list(module.buffers()) if self.use_buffers else tensors

    def update_parameters(self, model):
        """Take the parameters of `model` into the average."""
        mine = [t.detach() for t in self._averaged(self.module)]
        theirs = [t.detach().to(m.device) for t, m in zip(self._averaged(model), mine, strict=True)]
        with H.no_grad():
            if self.n_averaged.item() == 0:
                for m, t in zip(mine, theirs, strict=True):
                    m.copy_(t)
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(mine, theirs, self.n_averaged)
            else:
                average = self.avg_fn or get_swa_avg_fn()
                for m, t in zip(mine, theirs, strict=True):
                    m.copy_(average(m, t, self.n_averaged.to(m.device)))
            if not self.use_buffers:
                for m, t in zip(self.module.buffers(), model.buffers(), strict=True):
                    m.detach().copy_(t.detach().to(m.device))
            self.n_averaged.add_(1)


def update_bn(loader, model, device=None):
    """Compute the running statistics of the batch norms of `model` anew, in one pass over `loader`."""
    from ..nn.modules.batchnorm import _BatchNorm

    momenta = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not momenta:
        return
    training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None
    with H.no_grad():
        for input in loader:
            if isinstance(input, (list, tuple)):
                input = input[0]
            model(input if device is None else input.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From each group's rate to `swa_lr` in `anneal_epochs` epochs, then constant."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for rate, group in zip(_per_group(optimizer, "swa_lr", swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", stacklevel=2
            )
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        now, before = self._share(step), self._share(max(0, step - 1))
        rates = []
        for group in self.optimizer.param_groups:
            swa = group["swa_lr"]
            # The rate that annealing began from, worked out of the last one.
            start = swa if before == 1 else (group["lr"] - before * swa) / (1 - before)
            rates.append(swa * now + start * (1 - now))
        return rates
