"""torch.utils.checkpoint: parts of a model whose intermediate results are computed again for backward, not kept."""

import warnings
from contextlib import contextmanager, nullcontext
from weakref import ref

from .. import _C
from .._C import Tensor
from .._modes import enable_grad
from ..autograd import backward as _backward
from ..autograd.function import Function
from ..autograd.graph import saved_tensors_hooks

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]


class CheckpointError(RuntimeError):
    """What was computed for backward is not what forward had computed."""


class _Enough(Exception):
    """All that backward needs has been computed again."""


def noop_context_fn():
    """Two contexts that do nothing: the default of `context_fn`."""
    return nullcontext(), nullcontext()


class _Setting:
    value = None

    def __init__(self, value):
        self._before, type(self).value = type(self).value, value

    def __enter__(self):
        pass

    def __exit__(self, *_):
        type(self).value = self._before


class set_checkpoint_early_stop(_Setting):
    """Whether recomputation ends as soon as it has all that was kept (it does by default); also a context manager."""


class set_checkpoint_debug_enabled(_Setting):
    """Accepted for torch's sake: errors of checkpoints here always say what differs."""


class _Conditions:
    """The random numbers to come and the autocast mode, as they were."""

    def __init__(self, random):
        self.random = _C.default_generator._state_bytes() if random else None
        self.autocast = _C._get_autocast()

    @contextmanager
    def again(self):
        autocast = _C._get_autocast()
        random = None if self.random is None else _C.default_generator._state_bytes()
        try:
            _C._set_autocast(*self.autocast)
            if random is not None:
                _C.default_generator._set_state_bytes(self.random)
            yield
        finally:
            _C._set_autocast(*autocast)
            if random is not None:
                _C.default_generator._set_state_bytes(random)


class CheckpointFunction(Function):
    """The reentrant form: forward keeps only its inputs, backward runs it again and differentiates that."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        ctx.function, ctx.conditions = run_function, _Conditions(preserve_rng_state)
        ctx.at = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        if not any(args[i].requires_grad for i in ctx.at):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        ctx.save_for_backward(*(args[i] for i in ctx.at))
        return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        args = list(ctx.others)
        for i, t in zip(ctx.at, ctx.saved_tensors, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad)
        with ctx.conditions.again(), enable_grad():
            outputs = ctx.function(*args)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [(y, g) for y, g in zip(outputs, grads, strict=True) if isinstance(y, Tensor) and y.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        _backward([y for y, _ in pairs], [g for _, g in pairs])
        return None, None, *(a.grad if isinstance(a, Tensor) else None for a in args)


class _Inputs(Function):
    """Keeps tensors as an op does, so that a write to them before backward is noticed."""

    @staticmethod
    def forward(ctx, anchor, *tensors):
        ctx.save_for_backward(*tensors)
        return anchor.new_empty(0)

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("the inputs of a checkpoint are not differentiated through this node")


class _Place:
    """What a saved tensor is replaced by: where to find it once it has been computed again."""

    __slots__ = ("value", "__weakref__")


def _metadata(t):
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


class _Frame:
    """One checkpointed call: what it saved, in order, and how to run it again."""

    def __init__(self, again, early_stop, described):
        self.again, self.early_stop, self.described = again, early_stop, described
        self.places, self.metadata = [], []

    def pack(self, t):
        place = _Place()
        self.places.append(ref(place))
        self.metadata.append(self.described(t))
        return place

    def unpack(self, place):
        if not hasattr(place, "value"):  # also when backward runs a second time
            self.recompute()
        value = place.value
        del place.value
        return value

    def recompute(self):
        found = 0

        def take(t):
            nonlocal found
            if found == len(self.places):
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    "forward pass.\n"
                )
            place, known, now = self.places[found](), self.metadata[found], self.described(t)
            if known != now:
                raise CheckpointError(
                    "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                    f"during the forward pass.\ntensor at position {found}:\nsaved metadata: {known}\nrecomputed "
                    f"metadata: {now}.\n"
                )
            if place is not None:
                place.value = t.detach()
            found += 1
            if found == len(self.places) and self.early_stop:
                raise _Enough
            return t

        def untouched(t):
            return t

        try:
            with saved_tensors_hooks(take, untouched), enable_grad():
                self.again()
        except _Enough:
            return
        if found != len(self.places):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.places)}\nNumber of tensors saved "
                f"during recomputation: {found}.\n"
            )


def _without_reentry(function, preserve, context_fn, determinism_check, early_stop, args, kwargs):
    checks = {"default": _metadata, "none": lambda t: None}
    if determinism_check not in checks:
        raise ValueError(f"determinism_check should be one of {list(checks)}, but got {determinism_check}")
    forward_context, again_context = context_fn()
    if not _C.is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)
    conditions = _Conditions(preserve)
    names = list(kwargs)
    values = [*args, *kwargs.values()]
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    kept = _Inputs.apply(_C.empty(0, requires_grad=True), *(values[i] for i in at)).grad_fn
    others = [None if isinstance(v, Tensor) else v for v in values]
    plain = len(args)

    def again():
        given = list(others)
        for i, t in zip(at, kept._saved(), strict=True):
            given[i] = t
        with conditions.again(), again_context:
            function(*given[:plain], **dict(zip(names, given[plain:], strict=True)))

    setting = set_checkpoint_early_stop.value
    frame = _Frame(again, early_stop if setting is None else setting, checks[determinism_check])
    with saved_tensors_hooks(frame.pack, frame.unpack), forward_context:
        return function(*args, **kwargs)


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=noop_context_fn,
    determinism_check="default",
    debug=False,
    early_stop=True,
    **kwargs,
):
    """`function(*args, **kwargs)`, of which only the inputs are kept: backward computes the rest a second time.

    use_reentrant=False is to be preferred: it works with autograd.grad, nested checkpoints and keyword arguments.
    use_reentrant=True runs forward without history, so that some tensor among `args` must require grad; it is the
    default, with a warning. preserve_rng_state=False lets the second run draw other random numbers than the first.
    CheckpointError where the second run does not save what the first did.

    >>> import hadamard as H
    >>> x = H.ones(3, requires_grad=True)
    >>> y = checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False)
    >>> y.sum().backward()
    >>> x.grad
    tensor([-2.4783, -2.4783, -2.4783])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, "
            "calling checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but "
            "if you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for "
            "more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        return _without_reentry(function, preserve, context_fn, determinism_check, early_stop, args, kwargs)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """The functions, or the modules of a Sequential, one after the other, in `segments` parts of which all but the
    last are checkpointed.

    >>> import hadamard as H
    >>> model = H.nn.Sequential(*(H.nn.Linear(2, 2) for _ in range(4)))
    >>> checkpoint_sequential(model, 2, H.ones(1, 2), use_reentrant=False).shape
    torch.Size([1, 2])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. In "
            "version 2.9 we will raise an exception if use_reentrant is not passed. use_reentrant=False is "
            "recommended, but if you need to preserve the current default behavior, you can pass use_reentrant=True. "
            "Refer to docs for more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(part):
        def forward(input):
            for function in part:
                input = function(input)
            return input

        return forward

    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size):
        part = run(functions[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(functions[size * (segments - 1) :])(input)
