"""A weight written as a length times a direction."""

import hadamard as H
from hadamard.errors import warn

from ..parameter import Parameter

__all__ = ["remove_weight_norm", "weight_norm"]


def _length(v, dim):
    # The norm over every dimension but `dim`, kept so that it broadcasts; of all of v where dim is -1.
    if dim == -1:
        return H.linalg.vector_norm(v)
    others = tuple(d for d in range(v.dim()) if d != dim)
    return H.linalg.vector_norm(v, 2, others, keepdim=True)


class WeightNorm:
    """The hook that computes weight = g · v / ‖v‖ before every forward."""

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """The weight of `module` as its g and v say."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / _length(v, self.dim))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def _find(module, kind, name):
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            return key, hook
    return None, None


def weight_norm(module, name="weight", dim=0):
    """Replace the parameter `name` by its length `name_g`, one for each index of `dim`, and direction `name_v`
    (Salimans and Kingma, 2016). Returns the module.

    >>> import hadamard as H
    >>> layer = weight_norm(H.nn.Linear(2, 3))
    >>> [n for n, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    if _find(module, WeightNorm, name)[1] is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
    )
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(_length(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.data))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module, name="weight"):
    """Make the weight one parameter again. Returns the module; ValueError if it was not split."""
    key, hook = _find(module, WeightNorm, name)
    if hook is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    weight = hook.compute_weight(module).detach()
    delattr(module, name)
    del module._parameters[name + "_g"]
    del module._parameters[name + "_v"]
    setattr(module, name, Parameter(weight))
    del module._forward_pre_hooks[key]
    return module
