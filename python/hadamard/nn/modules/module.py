"""Module, the base of every layer and model: what it owns, how it is called, saved, moved and printed."""

import functools
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import hadamard as H
from hadamard import _C, Tensor, errors

from ...utils.hooks import BackwardHook, RemovableHandle
from ..parameter import Buffer, Parameter, is_lazy

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


# Hooks of all modules. `_global_calls` notes the ids of those that concern a call, so that a call asks one dict.
_global_calls: OrderedDict = OrderedDict()
_C._hooks_of_all_modules(_global_calls)
_global_forward_hooks: OrderedDict = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict = OrderedDict()
_global_forward_hooks_always_called: OrderedDict = OrderedDict()
_global_forward_pre_hooks: OrderedDict = OrderedDict()
_global_backward_hooks: OrderedDict = OrderedDict()
_global_backward_pre_hooks: OrderedDict = OrderedDict()
_global_buffer_registration_hooks: OrderedDict = OrderedDict()
_global_module_registration_hooks: OrderedDict = OrderedDict()
_global_parameter_registration_hooks: OrderedDict = OrderedDict()


def _register(hooks, hook, *, notes=(), prepend=False):
    handle = RemovableHandle(hooks, extra_dict=[note for note in notes if note is not None])
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    for note in notes:
        if note is not None:
            note[handle.id] = True
    return handle


def register_module_buffer_registration_hook(hook):
    """Call `hook(module, name, buffer)` whenever a buffer is registered; it may return another buffer."""
    return _register(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook):
    """Call `hook(module, name, submodule)` whenever a submodule is registered; it may return another one."""
    return _register(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook):
    """Call `hook(module, name, parameter)` whenever a parameter is registered; it may return another one."""
    return _register(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook):
    """Call `hook(module, args)` before the forward of every module; it may return other arguments."""
    return _register(_global_forward_pre_hooks, hook, notes=(_global_calls,))


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Call `hook(module, args, output)` after the forward of every module; it may return another output."""
    notes = (
        _global_calls,
        _global_forward_hooks_with_kwargs if with_kwargs else None,
        _global_forward_hooks_always_called if always_call else None,
    )
    return _register(_global_forward_hooks, hook, notes=notes)


def register_module_full_backward_pre_hook(hook):
    """Call `hook(module, grad_output)` before the backward of every module."""
    return _register(_global_backward_pre_hooks, hook, notes=(_global_calls,))


def register_module_full_backward_hook(hook):
    """Call `hook(module, grad_input, grad_output)` after the backward of every module."""
    return _register(_global_backward_hooks, hook, notes=(_global_calls,))


register_module_backward_hook = register_module_full_backward_hook


def _typename(o):
    if isinstance(o, Tensor):
        return o.type()
    module = getattr(o, "__module__", None)
    name = getattr(o, "__qualname__", None) or getattr(o, "__name__", None) or type(o).__name__
    if module in (None, "builtins"):
        return name
    # Messages use torch's words, so that code which greps them goes on working.
    if module == "hadamard" or module.startswith("hadamard."):
        module = "torch" + module[len("hadamard") :]
    return f"{module}.{name}"


def _addindent(text, spaces):
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line for line in rest)])


def _parse_to(args, kwargs):
    # to(device), to(device, dtype), to(dtype), to(tensor), each with non_blocking and memory_format.
    device = kwargs.pop("device", None)
    dtype = kwargs.pop("dtype", None)
    other = kwargs.pop("tensor", kwargs.pop("other", None))
    non_blocking = kwargs.pop("non_blocking", False)
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("copy", None)
    if kwargs:
        raise TypeError(f"to() received an invalid combination of arguments - got an unexpected {next(iter(kwargs))!r}")
    args = list(args)
    if args:
        first = args.pop(0)
        if isinstance(first, Tensor):
            other = first
        elif isinstance(first, H.dtype):
            dtype = first
        elif first is None or isinstance(first, (str, int, H.device)):
            device = first
            if args and (args[0] is None or isinstance(args[0], H.dtype)):
                dtype = args.pop(0)
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(first).__name__})")
    if args:
        non_blocking = args.pop(0)
    if other is not None:
        device, dtype = other.device, other.dtype
    return None if device is None else H.device(device), dtype, non_blocking, memory_format


class Module:
    """The base of all layers and models.

    Assign parameters, buffers (`nn.Buffer`, `register_buffer`) and other modules as attributes after calling
    `super().__init__()`, and write the computation in `forward`.

    >>> import hadamard as H
    >>> class Net(H.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = H.nn.Linear(4, 3)
    ...     def forward(self, x):
    ...         return self.hidden(x).relu()
    >>> Net()(H.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    dump_patches = False
    call_super_init = False
    _version = 1
    training: bool

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        # Straight into __dict__: none of these needs what __setattr__ looks for.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
            _is_full_backward_hook=None,
            _forward_hooks=OrderedDict(),
            _forward_hooks_with_kwargs=OrderedDict(),
            _forward_hooks_always_called=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _forward_pre_hooks_with_kwargs=OrderedDict(),
            _state_dict_hooks=OrderedDict(),
            _state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_post_hooks=OrderedDict(),
            _modules={},
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input):
        """The computation; every subclass writes its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # Calls. Without hooks straight to forward, else by way of _call_hooked.

    __call__ = _C._call_module

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _C._call_directly(cls)

    def _call_hooked(self, args, kwargs):
        if "_backward_hooks" not in self.__dict__:
            raise AttributeError(
                f"'{type(self).__name__}' object has no attribute '_backward_hooks'\n"
                f"  {type(self).__name__}.__init__ did not call super().__init__()"
            )
        done = set()
        result = None
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            backward = None
            full = [*_global_backward_hooks.values()]
            if self._is_full_backward_hook is not False:
                full += self._backward_hooks.values()
            pre = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
            if full or pre:
                backward = BackwardHook(self, full, pre)
                args = backward.setup_input_hook(args)
            result = self.forward(*args, **kwargs)
            for key, hook, with_kwargs, _ in self._all_forward_hooks():
                done.add(key)
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if changed is not None:
                    result = changed
            if backward is not None:
                if isinstance(result, (Tensor, tuple)):
                    result = backward.setup_output_hook(result)
                else:
                    warnings.warn(
                        "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                        f"received {type(result)}",
                        stacklevel=2,
                    )
            if self._is_full_backward_hook is False and self._backward_hooks:
                self._hook_last_node(result)
            return result
        except Exception:
            # Hooks registered with always_call see the call even when it fails; their own failures only warn.
            for key, hook, with_kwargs, always in self._all_forward_hooks():
                if always and key not in done:
                    try:
                        changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                        if changed is not None:
                            result = changed
                    except Exception as error:
                        warnings.warn(
                            f"module forward hook with ``always_call=True`` raised an exception that was silenced as "
                            f"another error was raised in forward: {error!s}",
                            stacklevel=2,
                        )
            raise

    def _run_pre_hooks(self, args, kwargs):
        hooks = [(hook, False) for hook in _global_forward_pre_hooks.values()]
        hooks += [(hook, key in self._forward_pre_hooks_with_kwargs) for key, hook in self._forward_pre_hooks.items()]
        for hook, with_kwargs in hooks:
            changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if changed is None:
                continue
            if not with_kwargs:
                args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                args, kwargs = changed
            else:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
        return args, kwargs

    def _all_forward_hooks(self):
        found = [
            (key, hook, key in _global_forward_hooks_with_kwargs, key in _global_forward_hooks_always_called)
            for key, hook in _global_forward_hooks.items()
        ]
        found += [
            (key, hook, key in self._forward_hooks_with_kwargs, key in self._forward_hooks_always_called)
            for key, hook in self._forward_hooks.items()
        ]
        return found

    def _hook_last_node(self, result):
        # The old kind of backward hook: it sees the gradients of the node that made the output, whatever that was.
        first = result
        while not isinstance(first, Tensor):
            first = next(v for v in first.values() if isinstance(v, Tensor)) if isinstance(first, dict) else first[0]
        if first.grad_fn is not None:
            for hook in self._backward_hooks.values():
                first.grad_fn.register_hook(functools.partial(hook, self))

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` before every forward; what it returns, if not None, replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)` and returns both. Returns a handle with `remove()`.
        """
        note = self._forward_pre_hooks_with_kwargs if with_kwargs else None
        return _register(self._forward_pre_hooks, hook, notes=(note,), prepend=prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args, output)` after every forward; what it returns, if not None, replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it also runs when the
        forward raises. Returns a handle with `remove()`.

        >>> import hadamard as H
        >>> layer = H.nn.ReLU()
        >>> handle = layer.register_forward_hook(lambda module, args, output: print(output))
        >>> y = layer(H.tensor([-1.0, 1.0]))
        tensor([0., 1.])
        >>> handle.remove()
        """
        notes = (
            self._forward_hooks_with_kwargs if with_kwargs else None,
            self._forward_hooks_always_called if always_call else None,
        )
        return _register(self._forward_hooks, hook, notes=notes, prepend=prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook(module, grad_output)` when the gradient of the output is known; it may return another one."""
        return _register(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` when the gradient of the inputs is known.

        What it returns, if not None, replaces `grad_input`. Both are tuples, with None where there is no gradient.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )
        self._is_full_backward_hook = True
        return _register(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook):
        """Deprecated: `register_full_backward_hook`, but for the gradients of the last node of the forward only."""
        if self._is_full_backward_hook is True:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )
        self._is_full_backward_hook = False
        return _register(self._backward_hooks, hook)

    # What a module owns

    def register_buffer(self, name, tensor, persistent=True):
        """Register a tensor, or None, that belongs to the module but is no parameter.

        A buffer moves and, if `persistent`, is saved with the module, and is read as an attribute.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"buffer name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError('buffer name can\'t contain "."')
        if name == "":
            raise KeyError('buffer name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        for hook in _global_buffer_registration_hooks.values():
            changed = hook(self, name, tensor)
            if changed is not None:
                tensor = changed
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name, param):
        """Register a `Parameter`, or None, under `name`; the same as assigning it as an attribute."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"parameter name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError('parameter name can\'t contain "."')
        if name == "":
            raise KeyError('parameter name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._parameters:
            raise KeyError(f"attribute '{name}' already exists")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in the "
                    "forward() method."
                )
            for hook in _global_parameter_registration_hooks.values():
                changed = hook(self, name, param)
                if changed is not None:
                    param = changed
        self._parameters[name] = param

    def add_module(self, name, module):
        """Register a module, or None, under `name`; the same as assigning it as an attribute."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {_typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = self._seen_by_registration_hooks(name, module)

    def register_module(self, name, module):
        """The same as `add_module`."""
        self.add_module(name, module)

    def _seen_by_registration_hooks(self, name, module):
        for hook in _global_module_registration_hooks.values():
            changed = hook(self, name, module)
            if changed is not None:
                module = changed
        return module

    def __setattr__(self, name, value):
        owned = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in owned:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            if "_modules" not in owned:
                raise AttributeError("cannot assign module before Module.__init__() call")
            if name in owned["_parameters"]:
                raise self._cannot_assign(value, "parameter", name, "torch.nn.Parameter")
            self._forget(name, "_parameters", "_buffers")
            owned["_modules"][name] = self._seen_by_registration_hooks(name, value)
            return
        parameters = owned.get("_parameters")
        if parameters and name in parameters:
            if value is not None:
                raise self._cannot_assign(value, "parameter", name, "torch.nn.Parameter")
            self.register_parameter(name, None)
            return
        modules = owned.get("_modules")
        if modules and name in modules:
            if value is not None:
                raise self._cannot_assign(value, "child module", name, "torch.nn.Module")
            modules[name] = self._seen_by_registration_hooks(name, None)
            return
        buffers = owned.get("_buffers")
        if buffers is not None and (name in buffers or isinstance(value, Buffer)):
            if value is not None and not isinstance(value, Tensor):
                raise self._cannot_assign(value, "buffer", name, "torch.nn.Buffer, torch.Tensor")
            self._set_buffer(name, value)
            return
        object.__setattr__(self, name, value)

    @staticmethod
    def _cannot_assign(value, kind, name, expected):
        return TypeError(f"cannot assign '{_typename(value)}' as {kind} '{name}' ({expected} or None expected)")

    def _set_buffer(self, name, value):
        if isinstance(value, Buffer):
            persistent = value.persistent
        else:
            persistent = name not in self._non_persistent_buffers_set
        if name not in self._buffers:
            self._forget(name, "_parameters", "_modules")
        if type(self).register_buffer is Module.register_buffer:
            self.register_buffer(name, value, persistent)
        elif persistent:
            # A subclass may have kept register_buffer's shorter, older signature.
            self.register_buffer(name, value)
        else:
            raise RuntimeError(
                "Registering a non-persistent buffer on a Module subclass that implements register_buffer() without "
                "the persistent argument is not allowed."
            )

    def _forget(self, name, *stores):
        owned = self.__dict__
        owned.pop(name, None)
        for store in stores:
            owned[store].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name):
        # Called only when the usual look-up found nothing.
        owned = self.__dict__
        if "_parameters" in owned:
            store = owned["_parameters"]
            if name in store:
                return store[name]
        if "_buffers" in owned:
            store = owned["_buffers"]
            if name in store:
                return store[name]
        if "_modules" in owned:
            store = owned["_modules"]
            if name in store:
                return store[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name):
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self):
        keys = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted(key for key in keys if not key[0].isdigit())

    def __setstate__(self, state):
        self.__dict__.update(state)
        # A module pickled by an older version lacks the hooks that came later.
        for name in (
            "_forward_pre_hooks",
            "_forward_pre_hooks_with_kwargs",
            "_forward_hooks",
            "_forward_hooks_with_kwargs",
            "_forward_hooks_always_called",
            "_backward_hooks",
            "_backward_pre_hooks",
            "_state_dict_hooks",
            "_state_dict_pre_hooks",
            "_load_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
        ):
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # Finding things by name

    def get_submodule(self, target):
        """The module at the dotted path `target`, such as `"encoder.layers.0"`; AttributeError if there is none."""
        found = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(f"{found._get_name()} has no attribute `{name}`")
            found = getattr(found, name)
            if not isinstance(found, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def set_submodule(self, target, module, strict=False):
        """Put `module` at the dotted path `target`; with `strict` something must be there already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """The parameter at the dotted path `target`; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        found = getattr(owner, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target):
        """The buffer at the dotted path `target`; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        if name not in owner._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(owner, name)

    # Going through what a module owns

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        else:
            modules = [(prefix, self)]
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield path + ("." if path else "") + name, member

    def parameters(self, recurse=True):
        """Each parameter once, in the order of registration, with those of the submodules if `recurse`."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted name and parameter.

        >>> import hadamard as H
        >>> [name for name, _ in H.nn.Sequential(H.nn.Linear(2, 3)).named_parameters()]
        ['0.weight', '0.bias']
        """
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix=prefix, recurse=recurse, remove_duplicate=remove_duplicate
        )

    def buffers(self, recurse=True):
        """Each buffer once, with those of the submodules if `recurse`."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted name and buffer."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix=prefix, recurse=recurse, remove_duplicate=remove_duplicate
        )

    def children(self):
        """The modules directly inside this one, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Pairs of name and module, directly inside this one."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate=True):
        """This module and all inside it, each once unless `remove_duplicate=False`, depth first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs of dotted name and module: this one (under `prefix`) and all inside it, depth first."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, prefix + ("." if prefix else "") + name, remove_duplicate)

    # Saving and loading

    def get_extra_state(self):
        """Anything besides parameters and buffers to put into the `state_dict`; a subclass may define it."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called. "
            "Please file an issue at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml "
            "to report this bug."
        )

    def set_extra_state(self, state):
        """Take back what `get_extra_state` returned."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called. "
            "Please file an issue at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml "
            "to report this bug."
        )

    def register_state_dict_post_hook(self, hook):
        """Call `hook(module, state_dict, prefix, local_metadata)` at the end of `state_dict`; it may edit in place."""
        hook._from_public_api = True
        return _register(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook):
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook):
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects."""
        return _register(self._state_dict_pre_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before loading."""
        return _register(self._load_state_dict_pre_hooks, functools.partial(hook, self))

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return _register(self._load_state_dict_pre_hooks, functools.partial(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook):
        """Call `hook(module, incompatible_keys)` after loading; it may edit the two lists in place."""
        return _register(self._load_state_dict_post_hooks, hook)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """An ordered dict from dotted name to the parameters and persistent buffers, which are shared, not copied.

        With `keep_vars` they are the very objects, otherwise detached from the graph.

        >>> import hadamard as H
        >>> {name: tuple(t.shape) for name, t in H.nn.Linear(2, 3).state_dict().items()}
        {'weight': (3, 2), 'bias': (3,)}
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to https://pytorch.org/docs/main/"
                "generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for pre in self._state_dict_pre_hooks.values():
            pre(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, metadata)
            if not getattr(hook, "_from_public_api", False):
                if changed is not None:
                    destination = changed
            elif changed is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = {k: v for k, v in self._parameters.items() if v is not None}
        own.update(
            (k, v) for k, v in self._buffers.items() if v is not None and k not in self._non_persistent_buffers_set
        )
        for name, mine in own.items():
            key = prefix + name
            if key in state_dict:
                self._load_one(key, name, mine, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    name, dot, _ = key[len(prefix) :].partition(".")
                    if name not in (self._modules if dot else own):
                        unexpected_keys.append(key)

    def _load_one(self, key, name, mine, theirs, assign, error_msgs):
        if not isinstance(theirs, Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(theirs)}"
            )
            return
        lazy = is_lazy(mine)
        if not lazy and mine.dim() == 0 and theirs.dim() == 1 and theirs.shape[0] == 1:
            # Scalars were saved with one dimension once.
            theirs = theirs[0]
        if not lazy and theirs.shape != mine.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {theirs.shape} from checkpoint, "
                f"the shape in current model is {mine.shape}."
            )
            return
        if mine.is_meta and not theirs.is_meta and not assign:
            warnings.warn(
                f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current "
                "model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary "
                "to their corresponding key in the module instead of copying them in place?)",
                stacklevel=2,
            )
        try:
            with H.no_grad():
                if not assign:
                    mine.copy_(theirs)
                    return
                if isinstance(mine, Parameter):
                    if not isinstance(theirs, Parameter):
                        theirs = Parameter(theirs, requires_grad=mine.requires_grad)
                    else:
                        theirs.requires_grad_(mine.requires_grad)
                setattr(self, name, theirs)
        except Exception as error:
            error_msgs.append(
                f'While copying the parameter named "{key}", whose dimensions in the model are {mine.size()} and '
                f"whose dimensions in the checkpoint are {theirs.size()}, an exception occurred : {error.args}."
            )

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy the tensors of `state_dict` into the parameters and buffers of the same names.

        With `strict` every name must match, else RuntimeError lists what is missing, unexpected or of another size.
        With `assign` the tensors of `state_dict` take the place of the module's. Returns the names that are
        `missing_keys` and `unexpected_keys`.

        >>> import hadamard as H
        >>> a, b = H.nn.Linear(2, 3), H.nn.Linear(2, 3)
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys: list = []
        unexpected_keys: list = []
        error_msgs: list = []
        metadata = getattr(state_dict, "_metadata", None)
        # Hooks may edit the dict, so they get one of their own.
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, local_state_dict, prefix=""):
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = assign
            module._load_from_state_dict(
                local_state_dict, prefix, local_metadata, True, missing_keys, unexpected_keys, error_msgs
            )
            for name, child in module._modules.items():
                if child is not None:
                    child_prefix = prefix + name + "."
                    inner = {k: v for k, v in local_state_dict.items() if k.startswith(child_prefix)}
                    load(child, inner, child_prefix)
            incompatible = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, incompatible) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                        "values, if incompatible_keys need to be modified, it should be done inplace."
                    )

        load(self, state_dict)
        if strict:
            for keys, kind in ((unexpected_keys, "Unexpected"), (missing_keys, "Missing")):
                if keys:
                    listed = ", ".join(f'"{key}"' for key in keys)
                    error_msgs.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
        if error_msgs:
            lines = "\n\t".join(error_msgs)
            raise errors.error(RuntimeError, f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return _IncompatibleKeys(missing_keys, unexpected_keys)

    # Changing everything inside

    def apply(self, fn):
        """Call `fn` on every module inside, then on this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True):
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is None:
                continue
            grad = param.grad
            with H.no_grad():
                changed = fn(param)
                grad = None if grad is None else fn(grad).requires_grad_(grad.requires_grad)
            if changed.is_meta == param.is_meta:
                # The object stays, so optimisers and other modules that hold it see the change.
                param.grad = None
                param.data = changed
            else:
                param = self._parameters[name] = Parameter(changed, param.requires_grad)
            if grad is not None:
                param.grad = grad
        for name, buffer in self._buffers.items():
            if buffer is None:
                continue
            if is_lazy(buffer):
                # What it is to become is known to the object, not to its data.
                buffer.data = fn(buffer.data)
            else:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args, **kwargs):
        """Move and convert parameters and buffers in place: `to(device)`, `to(dtype)`, `to(device, dtype)`,
        `to(tensor)`; only floating-point and complex ones change dtype. Returns self.

        >>> import hadamard as H
        >>> H.nn.Linear(2, 3).to(H.float64).weight.dtype
        torch.float64
        """
        device, dtype, non_blocking, memory_format = _parse_to(args, kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def convert(t):
            if memory_format is not None and t.dim() in (4, 5):
                t = t.contiguous(memory_format=memory_format)
            if t.is_meta and device is not None and device.type != "meta":
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                )
            wanted = dtype if t.is_floating_point() or t.is_complex() else None
            if device is None:
                return t if wanted is None else t.to(wanted)
            return t.to(device) if wanted is None else t.to(device, wanted)

        return self._apply(convert)

    def to_empty(self, *, device, recurse=True):
        """Move parameters and buffers to `device` without their values. Returns self."""
        return self._apply(lambda t: H.empty_like(t, device=device), recurse=recurse)

    def cpu(self):
        """Move parameters and buffers to the CPU. Returns self."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Move parameters and buffers to a CUDA device. Returns self."""
        return self._apply(lambda t: t.cuda(device))

    def type(self, dst_type):
        """Convert parameters and buffers, of whatever dtype, to `dst_type`. Returns self."""
        return self._apply(lambda t: t.type(dst_type))

    def _floating(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self):
        """Convert floating-point parameters and buffers to float32. Returns self."""
        return self._floating(H.float32)

    def double(self):
        """Convert floating-point parameters and buffers to float64. Returns self."""
        return self._floating(H.float64)

    def half(self):
        """Convert floating-point parameters and buffers to float16. Returns self."""
        return self._floating(H.float16)

    def bfloat16(self):
        """Convert floating-point parameters and buffers to bfloat16. Returns self."""
        return self._floating(H.bfloat16)

    def train(self, mode=True):
        """Put this module and all inside into training mode, or with `mode=False` into evaluation. Returns self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """The same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set whether the parameters collect gradients. Returns self."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all parameters, or fill them with zeros if not `set_to_none`."""
        for param in self.parameters():
            if param.grad is not None:
                if set_to_none:
                    param.grad = None
                else:
                    param.grad = H.zeros_like(param.grad)

    def share_memory(self):
        """Move parameters and buffers into memory that other processes can share. Returns self."""
        return self._apply(lambda t: t.share_memory_())

    def compile(self, *args, **kwargs):
        """Accepted so that scripts run unchanged; a module is never compiled and runs as written."""

    # Printing

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What to print between the parentheses of this module; a subclass may define it."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): " + _addindent(repr(module), 2) for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra})"
        lines = extra_lines + child_lines
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


_C._call_directly(Module)
