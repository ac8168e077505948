"""torch.autograd: backward and grad, Function, switches, and checks of gradients."""

from .. import _C
from .._C import Tensor
from .._modes import enable_grad, inference_mode, no_grad, set_grad_enabled  # noqa: F401
from .function import Function  # noqa: F401

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def _tuple(x):
    return (x,) if x is None or isinstance(x, Tensor) or hasattr(x, "output_nr") else tuple(x)


def _tensors(places, grads=()):
    """Tensors, and edges of the graph as tensors that stand there."""
    if all(isinstance(x, Tensor) for x in places):
        return places
    grads = (*grads, *[None] * len(places))
    return tuple(
        _C._tensor_at(x.node, x.output_nr, g) if hasattr(x, "output_nr") else x
        for x, g in zip(places, grads, strict=False)
    )


def _given(outputs, grads):
    grads = () if grads is None else _tuple(grads)
    if grads and len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    return grads


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Adds the gradients of `tensors` to .grad of the leaves they came from, or of `inputs` alone.

    >>> import hadamard as H
    >>> x = H.tensor(3.0, requires_grad=True)
    >>> H.autograd.backward([x * x, 2 * x])
    >>> x.grad
    tensor(8.)
    """
    tensors = _tuple(tensors)
    if inputs is not None and len(_tuple(inputs)) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    keep = create_graph if retain_graph is None else retain_graph
    given = _given(tensors, grad_variables if grad_tensors is None else grad_tensors)
    tensors, targets = _tensors(tensors, given), () if inputs is None else _tensors(_tuple(inputs))
    _C._run_backward(tensors, given, targets, bool(keep), bool(create_graph), True, True)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of the sum of `outputs` by each of `inputs`, as a tuple; .grad stays as it is.

    allow_unused gives None for an input that no output depends on, materialize_grads zeros; otherwise that is a
    RuntimeError. create_graph records the gradients, so that they can be differentiated again.

    >>> import hadamard as H
    >>> x = H.tensor(2.0, requires_grad=True)
    >>> (g,) = H.autograd.grad(x**3, x, create_graph=True)
    >>> H.autograd.grad(g, x)
    (tensor(12.),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    given = _given(outputs, grad_outputs)
    outputs, inputs = _tensors(outputs, given), _tensors(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    unused = materialize_grads if allow_unused is None else allow_unused
    if is_grads_batched:
        from .functional import _stack_rows

        return _stack_rows(outputs, inputs, given, create_graph, unused)
    result = _C._run_backward(outputs, given, inputs, bool(keep), bool(create_graph), bool(unused), False)
    if materialize_grads:
        result = tuple(_C.zeros_like(x) if g is None else g for g, x in zip(result, inputs, strict=False))
    return result


class _EveryTensor(type):
    def __instancecheck__(cls, other):
        return isinstance(other, Tensor)


class Variable(metaclass=_EveryTensor):
    """The tensor itself: torch's old name for a tensor that takes part in a graph. Every tensor is an instance."""

    def __new__(cls, data, requires_grad=False, volatile=None):
        t = data.detach() if requires_grad and not data.is_leaf else data
        return t.requires_grad_() if requires_grad else t


class _DetectAnomaly:
    def __init__(self, mode=True, check_nan=True):
        self._before = _C.is_anomaly_enabled()
        _C._set_anomaly_enabled(bool(mode))

    def __enter__(self):
        pass

    def __exit__(self, *_):
        _C._set_anomaly_enabled(self._before)


class set_detect_anomaly(_DetectAnomaly):
    """Switches the search for NaN in gradients on or off; as a context manager, until the end of the block."""

    def __init__(self, mode, check_nan=True):
        super().__init__(mode, check_nan)


class detect_anomaly(_DetectAnomaly):
    """Within the block, a gradient that is NaN raises RuntimeError and names the op that made it."""

    def __init__(self, check_nan=True):
        import warnings

        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )
        super().__init__(True, check_nan)


def __getattr__(name):
    from importlib import import_module

    if name in ("gradcheck", "gradgradcheck", "GradcheckError"):
        return getattr(import_module(".check", __name__), name)
    if name in ("functional", "function", "graph", "check", "grad_mode", "variable"):
        try:
            return import_module("." + name, __name__)
        except ModuleNotFoundError:
            pass
    raise AttributeError(f"module 'torch.autograd' has no attribute '{name}'")
