"""Handles that take a registered hook off again, and the node that brings gradients to a module's hooks."""

import functools
import warnings
import weakref
from collections import OrderedDict

__all__ = ["BackwardHook", "RemovableHandle"]


class RemovableHandle:
    """What every `register_*hook` returns: `remove()` takes the hook off; as a context manager it does so at the end.

    `hooks_dict` is the ordered dict that holds the hook under `handle.id`; `extra_dict` is another dict (or a list of
    them) with notes under the same id, removed with it.

    >>> from collections import OrderedDict
    >>> hooks = OrderedDict()
    >>> handle = RemovableHandle(hooks)
    >>> hooks[handle.id] = print
    >>> handle.remove()
    >>> len(hooks)
    0
    """

    next_id = 0

    def __init__(self, hooks_dict, *, extra_dict=None):
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        if extra_dict is None:
            extra = ()
        elif isinstance(extra_dict, (list, tuple)):
            extra = extra_dict
        else:
            extra = (extra_dict,)
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extra)

    def remove(self):
        """Take the hook off; harmless when it is gone already."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self):
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state):
        hooks, self.id, extra = state
        # A dict that died before pickling is replaced by an empty one, so that remove() stays harmless.
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks is None else hooks)
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if d is None else d) for d in extra)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.remove()


@functools.cache
def _identity_node():
    # Made on first use: importing nn must not pull in autograd's Python side.
    import hadamard as H

    class BackwardHookFunction(H.autograd.Function):
        """Passes tensors on unchanged and shows their gradients to `seen` on the way back."""

        @staticmethod
        def forward(ctx, seen, *tensors):
            ctx.seen = seen
            return tuple(t.view_as(t) for t in tensors)

        @staticmethod
        def backward(ctx, *grads):
            return (None, *ctx.seen(grads))

    return BackwardHookFunction.apply


class BackwardHook:
    """Brings the gradients at a module's inputs and outputs to its full backward hooks.

    The tensors among the inputs and outputs that take part in the graph pass through an identity node each; the hooks
    run when the gradient of the inputs is complete or, where no input requires a gradient, when that of the outputs is.
    """

    def __init__(self, module, hooks, pre_hooks):
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_output = None
        self.input_count = None
        self.input_index = ()

    def _through(self, args, seen):
        import hadamard as H

        at = [i for i, a in enumerate(args) if isinstance(a, H.Tensor)]
        if not at or not H.is_grad_enabled() or not any(args[i].requires_grad for i in at):
            return args, None
        passed = list(args)
        for i, t in zip(at, _identity_node()(seen, *(args[i] for i in at)), strict=True):
            passed[i] = t
        return tuple(passed), at

    @staticmethod
    def _spread(grads, at, count):
        full = [None] * count
        for i, g in zip(at, grads, strict=True):
            full[i] = g
        return tuple(full)

    def _run_hooks(self, grad_input, grad_output):
        for hook in self.hooks:
            result = hook(self.module, grad_input, grad_output)
            if result is None:
                continue
            if self.input_count is None:
                if not (isinstance(result, tuple) and all(r is None for r in result)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
                continue
            if not isinstance(result, tuple):
                result = (result,)
            if len(result) != len(grad_input):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(result)}, "
                    f"but expected {len(grad_input)}"
                )
            grad_input = result
        return grad_input

    def setup_input_hook(self, args):
        """Pass `args`, a tuple, through the node at the module's entrance; returns the tuple to call forward with."""
        count = len(args)

        def seen(grads):
            if self.grad_output is None:
                # The outputs had no part in this backward, so there is nothing to show.
                return grads
            result = self._run_hooks(self._spread(grads, at, count), self.grad_output)
            self.grad_output = None
            return tuple(result[i] for i in at)

        args, at = self._through(args, seen)
        if at is not None:
            self.input_count = count
            self.input_index = at
        return args

    def setup_output_hook(self, result):
        """Pass a tensor or a tuple of them through the node at the module's exit; returns the same kind of thing."""
        single = not isinstance(result, tuple)
        args = (result,) if single else result

        def seen(grads):
            grad_output = self._spread(grads, at, len(args))
            for pre in self.pre_hooks:
                changed = pre(self.module, grad_output)
                if changed is None:
                    continue
                if not isinstance(changed, tuple):
                    changed = (changed,)
                if len(changed) != len(grad_output):
                    raise RuntimeError(
                        "Backward pre hook returned an invalid number of grad_output, "
                        f"got {len(changed)}, but expected {len(grad_output)}"
                    )
                grad_output = changed
            if self.input_count is None:
                if self.hooks:
                    warnings.warn(
                        "Full backward hook is firing when gradients are computed with respect to module outputs since "
                        "no inputs require gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module"
                        ".html#torch.nn.Module.register_full_backward_hook for more details.",
                        stacklevel=5,
                    )
                self._run_hooks((), grad_output)
            else:
                self.grad_output = grad_output
            return tuple(grad_output[i] for i in at)

        passed, at = self._through(args, seen)
        return passed[0] if single else passed
