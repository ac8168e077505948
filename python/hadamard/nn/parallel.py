"""torch.nn.parallel's names, for scripts that wrap their model: there is one device, so nothing is split."""

from .modules.module import Module

__all__ = ["DataParallel"]


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
