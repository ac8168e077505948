"""What all optimisers share: groups of parameters with their options, the state of each, saving and loading."""

import functools
from collections import OrderedDict, defaultdict
from copy import deepcopy
from itertools import chain

import hadamard as H
from hadamard import _C, Tensor

from ..errors import error, warn
from ..nn.modules.module import _typename
from ..utils.hooks import RemovableHandle

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]


class _Required:
    """The default of an option that every group must give."""

    def __repr__(self):
        return "<required parameter>"


required = _Required()

_global_pre_hooks: OrderedDict = OrderedDict()
_global_post_hooks: OrderedDict = OrderedDict()


def _register(hooks, hook, prepend=False):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook):
    """Call `hook(optimizer, args, kwargs)` before every step of every optimiser."""
    return _register(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Call `hook(optimizer, args, kwargs)` after every step of every optimiser."""
    return _register(_global_post_hooks, hook)


def _with_hooks(step):
    @functools.wraps(step)
    def hooked(self, *args, **kwargs):
        # A subclass's step that calls super().step() is one step, not two.
        if type(self).step is not hooked:
            return step(self, *args, **kwargs)
        self._opt_called = True
        if self._optimizer_step_pre_hooks or _global_pre_hooks:
            for hook in (*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
                changed = hook(self, args, kwargs)
                if changed is None:
                    continue
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        loss = step(self, *args, **kwargs) if args or kwargs else step(self)
        if self._optimizer_step_post_hooks or _global_post_hooks:
            for hook in (*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values()):
                hook(self, args, kwargs)
        return loss

    return hooked


class Optimizer:
    """The base of optimisers.

    `params` is an iterable of tensors, of pairs (name, tensor), or of dicts with "params" and options of their own;
    `defaults` are the options that a group does not give. A subclass defines `step`.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._init_hooks()
        self._opt_called = False
        if isinstance(params, Tensor):
            raise error(
                TypeError,
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + _typename(params),
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise error(ValueError, "optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _init_hooks(self):
        for name in (
            "_optimizer_step_pre_hooks",
            "_optimizer_step_post_hooks",
            "_optimizer_state_dict_pre_hooks",
            "_optimizer_state_dict_post_hooks",
            "_optimizer_load_state_dict_pre_hooks",
            "_optimizer_load_state_dict_post_hooks",
        ):
            setattr(self, name, OrderedDict())

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._init_hooks()
        self.__dict__.setdefault("_opt_called", False)
        self.defaults.setdefault("differentiable", False)

    def __repr__(self):
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key != "params":
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before every step; it may return other (args, kwargs)."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after every step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` before `state_dict`."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` before loading; it may return another one."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` after loading."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def state_dict(self):
        """`{"state": …, "param_groups": …}` with parameters replaced by their numbers, in the order of the groups.

        >>> import hadamard as H
        >>> opt = H.optim.SGD([H.nn.Parameter(H.ones(2))], lr=0.1)
        >>> opt.state_dict()["param_groups"][0]["params"]
        [0]
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        number: dict = {}
        for param in chain.from_iterable(group["params"] for group in self.param_groups):
            number.setdefault(id(param), len(number))
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [number[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {(number[id(k)] if isinstance(k, Tensor) else k): v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    @staticmethod
    def _to_param(param, value, key, group):
        # State follows its parameter's dtype and device, except the count of steps.
        if isinstance(value, Tensor):
            if key == "step":
                return value
            if param.is_floating_point():
                return value.to(dtype=param.dtype, device=param.device)
            return value.to(device=param.device)
        if isinstance(value, dict):
            return {k: Optimizer._to_param(param, v, k, group) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(Optimizer._to_param(param, v, key, group) for v in value)
        return value

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` returned; ValueError when the groups differ in number or size."""
        state_dict = dict(state_dict)
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        groups = self.param_groups
        saved = deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise error(ValueError, "loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved, strict=True)):
            raise error(
                ValueError,
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
            )
        owner = {}
        for group, old in zip(groups, saved, strict=True):
            for number, param in zip(old["params"], group["params"], strict=True):
                owner[number] = (param, old)
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owner:
                param, old = owner[key]
                state[param] = self._to_param(param, value, None, old)
            else:
                state[key] = value
        for group, old in zip(groups, saved, strict=True):
            old["params"] = group["params"]
            if "param_names" in group and "param_names" not in old:
                old["param_names"] = group["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all parameters, or fill them with zeros if not `set_to_none`."""
        for group in self.param_groups:
            if set_to_none:
                _C._drop_gradients(group["params"])
                continue
            for grad in _C._gradients(group["params"])[1]:
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    def step(self, closure=None):
        """Change the parameters by their gradients; `closure`, if given, computes the loss anew and is called first."""
        raise NotImplementedError

    def add_param_group(self, param_group):
        """Add a dict with "params" (a tensor, or an iterable of them or of pairs of name and tensor) and options.

        Warns, naming them, of parameters that do not require a gradient, since they would never change.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        else:
            params = list(params)
        names = None
        if params and isinstance(params[0], tuple):
            names = [name for name, _ in params]
            params = [param for _, param in params]
        for param in params:
            if not isinstance(param, Tensor):
                raise error(
                    TypeError, "optimizer can only optimize Tensors, but one of the params is " + _typename(param)
                )
            if not self.defaults.get("differentiable") and not (param.is_leaf or param.retains_grad):
                raise error(ValueError, "can't optimize a non-leaf Tensor", param=param)
        param_group["params"] = params
        if names is not None:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len({id(param) for param in params}):
            warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
            )
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            current = "with names" if "param_names" in param_group else "without names"
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{current} to the optimizer"
            )
        known = {id(param) for group in self.param_groups for param in group["params"]}
        if any(id(param) in known for param in params):
            raise error(ValueError, "some parameters appear in more than one parameter group")
        self._warn_frozen(params, names)
        self.param_groups.append(param_group)

    def _warn_frozen(self, params, names):
        frozen = [i for i, param in enumerate(params) if not param.requires_grad]
        if not frozen:
            return
        told = [
            (names[i] if names else f"number {i} of group {len(self.param_groups)}") + f" {list(params[i].shape)}"
            for i in frozen[:5]
        ]
        if len(frozen) > 5:
            told.append(f"{len(frozen) - 5} more")
        warn(
            f"{type(self).__name__} got parameters that do not require gradients and will never change: "
            + ", ".join(told)
            + ". Call requires_grad_() on them, or leave them out.",
        )


class _Stepper(Optimizer):
    """An optimiser whose step treats each group by itself.

    A subclass gives `_new_state(param, group)` and `_update(group, params, grads, states)`. Where it has a `_native`
    step, that is called first, with the group and the state of all; it returns False where it can't, having changed
    nothing.
    """

    @staticmethod
    def _native(group, state):
        return False

    def _new_state(self, param, group):
        raise NotImplementedError

    def _states(self, group, params):
        states = []
        for param in params:
            state = self.state.get(param)
            if not state:
                state = self._new_state(param, group)
                # A parameter that needs no state gets no entry, as in torch's files.
                if state:
                    self.state[param] = state
            states.append(state)
        return states

    def _update(self, group, params, grads, states):
        raise NotImplementedError

    def _step_group(self, group):
        recording = _C.is_grad_enabled()
        _C._set_grad_enabled(bool(self.defaults.get("differentiable", False)))
        try:
            params, grads = _C._gradients(group["params"])
            if params:
                states = self._states(group, params)
                # It may have lacked no more than a state.
                if not self._native(group, self.state):
                    self._update(group, params, grads, states)
        finally:
            _C._set_grad_enabled(recording)

    def step(self, closure=None):
        """Change the parameters by their gradients. `closure`, if given, is called first, with gradients on, and its
        result returned."""
        loss = None
        if closure is not None:
            with H.enable_grad():
                loss = closure()
        native = self._native
        for group in self.param_groups:
            if not native(group, self.state):
                self._step_group(group)
        return loss


def _number(value):
    return value.item() if isinstance(value, Tensor) else value


def _counter():
    # A tensor, so that the state is the same as torch's; one element on the CPU.
    return H.tensor(0.0, dtype=H.float32)


def _count(states):
    """Add one to every state's step and return them as numbers."""
    steps = []
    for state in states:
        state["step"] += 1
        steps.append(state["step"].item())
    return steps


def _real(tensors):
    """Complex tensors as real ones with a last dimension of 2: the updates treat both parts alike."""
    return [H.view_as_real(t) if t is not None and t.is_complex() else t for t in tensors]


def _check_lr(lr):
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def _check_betas(betas):
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def _check_at_least_zero(**values):
    """Names and values of options that may not be negative, with the words of the complaint in the name."""
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name} value: {value}")


def _check_fused(fused, foreach, differentiable):
    # Accepted for torch's sake: there is one way to step.
    if fused:
        if differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def _check_adam(lr, betas, eps, weight_decay):
    _check_lr(lr)
    if not 0.0 <= eps:
        raise ValueError(f"Invalid epsilon value: {eps}")
    _check_betas(betas)
    _check_at_least_zero(weight_decay=weight_decay)


def _decayed(param, grad, group):
    # The gradient after maximize and weight decay.
    if group["maximize"]:
        grad = -grad
    if group["weight_decay"] != 0:
        if group.get("decoupled_weight_decay"):
            param.mul_(1 - _number(group["lr"]) * group["weight_decay"])
        else:
            grad = grad.add(param, alpha=group["weight_decay"])
    return grad
