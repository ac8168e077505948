"""Layers that learn their shapes from their first input."""

import hadamard as H

from ..parameter import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """Comes before a Module among the bases; the class says in `initialize_parameters(*args)` what shapes an input
    asks for, and in `cls_to_become` what it is from then on."""

    cls_to_become: type | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        # A parameter without a shape can be neither detached nor saved by value.
        for members, skipped in ((self._parameters, ()), (self._buffers, self._non_persistent_buffers_set)):
            for name, t in members.items():
                if t is not None and name not in skipped:
                    destination[prefix + name] = t if is_lazy(t) or keep_vars else t.detach()

    def _lazy_load_hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        for name, t in (*self._parameters.items(), *self._buffers.items()):
            given = state_dict.get(prefix + name)
            if t is not None and given is not None and is_lazy(t) and not is_lazy(given):
                with H.no_grad():
                    t.materialize(given.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Give the parameters the shapes that this input asks for."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self):
        """Whether anything still waits for its shape."""
        return any(
            isinstance(t, (UninitializedParameter, UninitializedBuffer))
            for t in (*self._parameters.values(), *self._buffers.values())
        )

    def _infer_parameters(self, module, args, kwargs=None):
        kwargs = {} if kwargs is None else kwargs
        module.initialize_parameters(*args, **kwargs)
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook
        del module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
