"""autograd.Function: an op whose forward and backward are Python functions."""

from .. import _C
from .._C import Tensor
from .._modes import no_grad

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward: saved tensors, flags, and any attribute."""

    def __init__(self):
        self._to_save = ()
        self._node = None
        self._dirty = ()
        self._not_differentiable = ()
        self._materialize = True
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps inputs and outputs for backward, where they come back as ctx.saved_tensors, checked for writes."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {tensors.index(t)} is of "
                    f"type {type(t).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors):
        """Accepted for torch's sake: forward-mode derivatives are not computed here."""

    def mark_dirty(self, *args):
        """Names the inputs that forward wrote to in place."""
        self._dirty = args

    def mark_non_differentiable(self, *args):
        """Names the outputs that no gradient flows through."""
        self._not_differentiable = args

    def set_materialize_grads(self, value):
        """False: an output without a gradient gives None instead of zeros."""
        self._materialize = value

    @property
    def saved_tensors(self):
        """The tensors of save_for_backward. RuntimeError where they were written to or freed since."""
        return self._node._saved() if self._node is not None else self._to_save

    saved_variables = saved_tensors


def _is(t, group):
    return any(t is other for other in group)


class Function:
    """Base of ops with their own backward.

    >>> import hadamard as H
    >>> class Cube(H.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x**2
    >>> x = H.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __init__(self, *args, **kwargs):
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch."
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the outputs: forward(ctx, …), or forward(…) together with setup_context."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Fills ctx where forward does not take it."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """One gradient, or None, per input of forward."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward and records this function for backward()."""
        if any(hasattr(type(a), "_get_at") for a in args):  # samples of a vmap
            from .. import _vmap_rules

            return _vmap_rules.apply(cls, args, kwargs)
        ctx = FunctionCtx()
        tensors = [a if isinstance(a, Tensor) else None for a in args]
        recording = _C.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        ctx.needs_input_grad = tuple(t is not None and t.requires_grad for t in tensors)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        single = not isinstance(result, tuple)
        outputs = [result] if single else list(result)
        if recording:
            for i, y in enumerate(outputs):
                if isinstance(y, Tensor) and _is(y, tensors) and not _is(y, ctx._dirty):
                    kept = y
                    outputs[i] = y.view_as(y).detach()
                    ctx._to_save = tuple(outputs[i] if t is kept else t for t in ctx._to_save)
            shapes = [(y.shape, y.dtype, y.device) if isinstance(y, Tensor) else None for y in outputs]
            recorded = [
                y
                if isinstance(y, Tensor)
                and not _is(y, ctx._not_differentiable)
                and (y.is_floating_point() or y.is_complex())
                else None
                for y in outputs
            ]

            def run(node, grads):
                if ctx._materialize:
                    grads = tuple(
                        _C.zeros(s[0], dtype=s[1], device=s[2]) if g is None and s is not None else g
                        for g, s in zip(grads, shapes, strict=False)
                    )
                ctx._node = node
                try:
                    back = cls.backward(ctx, *grads)
                finally:
                    ctx._node = None
                back = back if isinstance(back, tuple) else (back,)
                if len(back) < len(tensors) or any(g is not None for g in back[len(tensors) :]):
                    raise RuntimeError(
                        f"function {cls.__name__}Backward returned an incorrect number of gradients "
                        f"(expected {len(tensors)}, got {len(back)})"
                    )
                fitted = []
                for i, (g, t) in enumerate(zip(back, tensors, strict=False)):
                    if g is not None and not isinstance(g, Tensor):
                        raise TypeError(f"expected Variable or None (got {type(g).__name__})")
                    if g is not None and t is None:
                        raise RuntimeError(
                            f"function {cls.__name__}Backward returned a gradient different from None at position "
                            f"{i + 1}, but the corresponding forward input was not a Variable"
                        )
                    fitted.append(_fit(g, t, cls.__name__, i) if g is not None else None)
                return tuple(fitted)

            saved, ctx._to_save = ctx._to_save, ()
            # torch numbers the nodes of its own operators.
            number = "0" if cls.__module__.startswith(("hadamard.linalg.", "torch.linalg.")) else ""
            _C._record(f"{cls.__name__}Backward{number}", run, tensors, recorded, saved)
        return outputs[0] if single else tuple(outputs)


def _fit(g, t, name, i):
    """The gradient in its input's shape and dtype, as the engine would bring any gradient."""
    if g.shape != t.shape:
        try:
            g = g.expand(t.shape) if g.dim() == 0 else g.sum_to_size(*t.shape)
        except RuntimeError:
            raise RuntimeError(
                f"Function {name}Backward returned an invalid gradient at index {i} - got {list(g.shape)} but expected "
                f"shape compatible with {list(t.shape)}"
            ) from None
    return g if g.dtype is t.dtype else g.to(t.dtype)


def once_differentiable(fn):
    """Decorates backward: its result cannot be differentiated again, and an attempt says so."""
    from functools import wraps

    @wraps(fn)
    def once(ctx, *grads):
        with no_grad():
            result = fn(ctx, *grads)
        if not _C.is_grad_enabled() or not any(g is not None and g.requires_grad for g in grads):
            return result
        outputs = result if isinstance(result, tuple) else (result,)

        def refuse(node, grads):
            raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

        fresh = [None if g is None else g.detach() for g in outputs]
        _C._record("error_callback", refuse, [g for g in grads if g is not None], fresh, ())
        return tuple(fresh) if isinstance(result, tuple) else fresh[0]

    return once
