"""torch.nn.parallel's names, for scripts that wrap their model: there is one device, so nothing is split."""

from contextlib import contextmanager

from .modules.module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls `module` on the whole batch; its parameters are listed under "module." as torch's are.

    >>> import hadamard as H
    >>> [name for name, _ in DataParallel(H.nn.Linear(2, 3)).named_parameters()]
    ['module.weight', 'module.bias']
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.dim = dim
        self.module = module
        self.device_ids = []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """`module` on the whole of `inputs`, a tensor or a tuple."""
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """Calls `module`, whose gradients a group of one process need not average.

    ValueError where torch.distributed has no process group yet; RuntimeError for a module without parameters that
    require gradients.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=True, **kwargs):
        super().__init__()
        from ..distributed import _default

        self.process_group = _default()
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a "
                "gradient."
            )
        if device_ids:
            devices = {p.device for p in module.parameters()}
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                "single-device/multiple-device GPU modules or CPU modules, but got device_ids "
                f"{device_ids}, output_device {output_device}, and module parameters "
                f"{devices}."
            )
        self.module = module
        self.dim = dim
        self.device_ids = self.output_device = None
        self.require_backward_grad_sync = True

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self):
        """Within the block gradients stay with this process, as they do anyway."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before
