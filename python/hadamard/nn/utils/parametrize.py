"""Parameters as functions of other tensors: a module computes its weight whenever it is asked for it."""

from contextlib import contextmanager

from hadamard import Tensor

from ..modules.container import ModuleDict, ModuleList
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_cache: dict = {}
_caching = 0


@contextmanager
def cached():
    """Within the block each parametrised tensor is computed once."""
    global _caching
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if not _caching:
            _cache.clear()


def _register(module, name, tensor):
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, in order, and its `original` (or original0, original1, … where
    right_inverse gives several)."""

    def __init__(self, modules, original, unsafe=False):
        modules = list(modules)
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        new = original
        for module in reversed(self):
            if hasattr(module, "right_inverse"):
                try:
                    new = module.right_inverse(new)
                except NotImplementedError:
                    pass
        if not isinstance(new, Tensor) and not isinstance(new, (tuple, list)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            # The parameter itself stays, so that an optimiser that holds it goes on with it.
            if new is not original:
                original.data = new.data if isinstance(new, Parameter) else new.detach()
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors "
                        f"(list, tuple...). Got element {i} of the sequence with type {type(part).__name__}."
                    )
                kept = Parameter(part.detach()) if isinstance(original, Parameter) else part
                _register(self, f"original{i}", kept.requires_grad_(original.requires_grad))
        if not unsafe:
            z = self()
            if not isinstance(z, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(z).__name__}.")
            if z.dtype != original.dtype:
                raise ValueError(
                    "Registering a parametrization may not change the dtype of the tensor, unless `unsafe` flag is "
                    f"enabled.\nunparametrized dtype: {original.dtype}\nparametrized dtype: {z.dtype}"
                )
            if z.shape != original.shape and self.is_tensor:
                raise ValueError(
                    "Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is "
                    f"enabled.\nunparametrized shape: {original.shape}\nparametrized shape: {z.shape}"
                )

    def _originals(self):
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value):
        """Gives the originals the values that make the parametrised tensor `value`."""
        for module in reversed(self):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
            value = module.right_inverse(value)
        for original, new in zip(self._originals(), [value] if self.is_tensor else value, strict=True):
            original.data = new.detach()

    def forward(self):
        x = self[0](*self._originals())
        for module in list(self)[1:]:
            x = module(x)
        return x


def _property(name):
    def get(self):
        if not _caching:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def set(self, value):
        self.parametrizations[name].right_inverse(value)

    return property(get, set)


def _own_class(module):
    """Gives the module a class of its own, whose attributes the parametrised tensors become."""
    import copy

    kind = type(module)

    def deepcopy(self, memo):
        new = self.__new__(type(self))
        memo[id(self)] = new
        new.__dict__ = copy.deepcopy({k: v for k, v in self.__dict__.items()}, memo)
        return new

    def refuse(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    members = {"__getstate__": refuse, "__module__": __name__}
    if not hasattr(kind, "__deepcopy__"):
        members["__deepcopy__"] = deepcopy
    module.__class__ = type("Parametrized" + kind.__name__, (kind,), members)


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """From now on module.tensor_name is parametrization(original). Returns the module.

    `original` is what the tensor was, put through parametrization.right_inverse where it has one; assigning to
    module.tensor_name goes the same way. Several parametrisations are applied one after the other. `unsafe` allows a
    change of shape or dtype.

    >>> import hadamard as H
    >>> class Symmetric(H.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(H.nn.Linear(3, 3), "weight", Symmetric())
    >>> H.equal(layer.weight, layer.weight.T), [name for name, _ in layer.named_parameters()]
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        found = module.parametrizations[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            after = parametrization(before)
            if not isinstance(after, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
            if after.dtype != before.dtype or after.shape != before.shape:
                raise ValueError(
                    "Registering a parametrization may not change the dtype or shape of the tensor, unless the "
                    f"`unsafe` flag is enabled.\nmodule.{tensor_name}: {before.dtype}, {before.shape}\n"
                    f"parametrization(module.{tensor_name}): {after.dtype}, {after.shape}"
                )
            if hasattr(parametrization, "right_inverse"):
                back = parametrization.right_inverse(after)
                if isinstance(back, Tensor) and back.shape == before.shape:
                    value = parametrization.right_inverse(before)
                    for module_ in reversed(found):
                        value = module_.right_inverse(value) if hasattr(module_, "right_inverse") else value
                    for original, new in zip(found._originals(), [value] if found.is_tensor else value, strict=True):
                        original.data = new.detach()
        found.append(parametrization)
        found.unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        original = getattr(module, tensor_name)
        parametrizations = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _own_class(module)
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _property(tensor_name))
        module.parametrizations[tensor_name] = parametrizations
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module, tensor_name=None):
    """Whether the module has parametrised tensors, or this one."""
    found = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Makes module.tensor_name an ordinary tensor again: the computed one, or the original. Returns the module."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    found = module.parametrizations[tensor_name]
    if found.is_tensor:
        original = found.original
        if leave_parametrized:
            value = getattr(module, tensor_name).detach()
            if type(original) is Tensor:
                original = value
            else:
                original.data = value
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module):
    """The class that the module had before its first parametrisation."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Moves the parametrisations of a module, or of one of its tensors, to another one. Returns that one."""
    if not is_parametrized(from_module):
        return to_module
    if tensor_name is not None and not is_parametrized(from_module, tensor_name):
        raise AssertionError(f"Module {from_module} has no parametrization on {tensor_name}")
    for name in [tensor_name] if tensor_name is not None else list(from_module.parametrizations):
        found = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for module in found:
            register_parametrization(to_module, name, module)
        for mine, theirs in zip(to_module.parametrizations[name]._originals(), found._originals(), strict=True):
            mine.data = theirs.detach().clone()
    return to_module
