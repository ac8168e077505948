"""torch.autograd.graph: the type of grad_fn objects, and what becomes of tensors that are kept for backward."""

from threading import local

from .. import _C
from .._C import Node

__all__ = [
    "Node",
    "disable_saved_tensors_hooks",
    "save_on_cpu",
    "saved_tensors_hooks",
]

_thread = local()


class saved_tensors_hooks:
    """Within the block, what an op keeps for backward is pack_hook(tensor); backward reads unpack_hook of that.

    unpack_hook must return a tensor of the same numbers; pack_hook must not write to its argument. Blocks nest: the
    innermost counts. TypeError where a hook is not callable.

    >>> import hadamard as H
    >>> x = H.tensor([1.0, 2.0], requires_grad=True)
    >>> with saved_tensors_hooks(lambda t: t.tolist(), lambda numbers: H.tensor(numbers)):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook, unpack_hook):
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks: a hook must be callable, not {type(hook).__name__}")
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._before = []

    def __enter__(self):
        message = getattr(_thread, "disabled", None)
        if message is not None:
            raise RuntimeError(message)
        self._before.append(_C._set_saved_hooks((self.pack_hook, self.unpack_hook)))

    def __exit__(self, *_):
        _C._set_saved_hooks(self._before.pop())


class save_on_cpu(saved_tensors_hooks):
    """Within the block, what is kept for backward lies in the CPU's memory; it goes back to its device for backward.

    >>> import hadamard as H
    >>> x = H.tensor(3.0, requires_grad=True)
    >>> with save_on_cpu():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda kept: kept[1].to(kept[0]))


class disable_saved_tensors_hooks:
    """Within the block, or the function it decorates, entering `saved_tensors_hooks` is a RuntimeError that says this.

    >>> with disable_saved_tensors_hooks("not here"), saved_tensors_hooks(id, id):
    ...     pass
    Traceback (most recent call last):
    RuntimeError: not here
    """

    def __init__(self, error_message):
        self.error_message = error_message

    def __enter__(self):
        self._before = getattr(_thread, "disabled", None)
        if _C._set_saved_hooks(None) is not None:
            raise RuntimeError(self.error_message)
        _thread.disabled = self.error_message

    def __exit__(self, *_):
        _thread.disabled = self._before

    def __call__(self, function):
        from functools import wraps

        @wraps(function)
        def guarded(*args, **kwargs):
            with disable_saved_tensors_hooks(self.error_message):
                return function(*args, **kwargs)

        return guarded
