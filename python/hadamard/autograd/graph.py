"""torch.autograd.graph: the type of grad_fn objects, and what becomes of tensors that are kept for backward."""

from collections import namedtuple
from threading import local

from .. import _C
from .._C import Node

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]

_thread = local()


class GradientEdge(namedtuple("GradientEdge", ("node", "output_nr", "ownership_token"), defaults=(None,))):
    """A place in the graph: the gradient number output_nr that `node` receives. grad() and backward() take it in a
    tensor's stead, so that the tensor itself need not be kept."""

    __slots__ = ()


def get_gradient_edge(tensor):
    """The edge that a tensor's gradient flows along; RuntimeError where it requires none.

    >>> import hadamard as H
    >>> x = H.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> H.autograd.grad(y, get_gradient_edge(x))
    (tensor(6.),)
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*_C._gradient_edge(tensor))


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls a function in a backward pass, with gradients of several tensors.

    mode "all": fn(gradients), once those of all tensors that the pass reaches are there; None stands for the others.
    mode "any": fn(gradient) with the first. Returns a handle whose remove() takes the hook off; ValueError for another
    mode.

    >>> import hadamard as H
    >>> a, b = (H.tensor(2.0, requires_grad=True) for _ in range(2))
    >>> handle = register_multi_grad_hook((a, b), lambda grads: print([g is not None for g in grads]))
    >>> (a * a).backward()
    [True, False]
    """
    from .._tensor import RemovableHandle

    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    nodes = [_C._gradient_edge(t)[0] for t in tensors]
    task = come = None  # the pass under way, and what has come in it
    awaited = 0

    def hook(i):
        def receive(grad):
            nonlocal task, come, awaited
            if task != _C._current_task():
                task, come, awaited = _C._current_task(), [None] * len(nodes), sum(map(_C._will_run, nodes))
                if mode == "any":
                    fn(grad)
            come[i] = grad
            awaited -= 1
            if mode == "all" and awaited == 0:
                fn(come)
                come = None

        return receive

    handles = [t.register_hook(hook(i)) for i, t in enumerate(tensors)]

    def remove():
        for handle in handles:
            handle.remove()

    return RemovableHandle(remove)


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
