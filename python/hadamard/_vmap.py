"""vmap: a function of one sample run once for a batch of them, each op by its rule, an op without one slice by slice.

Inside the function a sample is a `Batched`: a tensor without data that has the sample's shape, beside the value with
the batch as its first dimension. The core hands every op to `_hook` while a vmap runs; operators and methods written in
Python come by the class. Nested vmaps nest these: the value of an inner Batched may be one of an outer level.
"""

import threading
from contextlib import contextmanager

from . import _C
from ._C import Tensor
from ._watchers import VMAP, watch
from .utils._pytree import tree_flatten, tree_unflatten


class Level:
    """One running vmap: the size of its batch and what it does about random numbers."""

    __slots__ = ("size", "randomness", "depth")

    def __init__(self, size, randomness, depth):
        self.size, self.randomness, self.depth = size, randomness, depth


class _State(threading.local):
    levels: tuple = ()


_state = _State()
_lock = threading.Lock()
_running = 0


def _raw(op, *args, **kwargs):
    return _C._unwatched(op, *args, **kwargs)


class Batched(Tensor):
    """One sample as the function of a vmap sees it."""

    def __repr__(self):
        return f"BatchedTensor(lvl={self._level.depth}, bdim=0, value=\n    {self._value!r}\n)"

    @staticmethod
    def _get_at(x, key):
        return dispatch(Tensor.__getitem__, (x, key), {})

    @staticmethod
    def _set_at(x, key, value):
        dispatch(Tensor.__setitem__, (x, key, value), {})

    def __getitem__(self, key):
        return dispatch(Tensor.__getitem__, (self, key), {})

    def __setitem__(self, key, value):
        dispatch(Tensor.__setitem__, (self, key, value), {})

    def requires_grad_(self, requires_grad=True):
        self._value.requires_grad_(requires_grad)
        return self

    def to(self, *args, **kwargs):
        if args and isinstance(args[0], Tensor):
            args = (args[0].dtype, *args[1:])
        return wrap(self._value.to(*args, **kwargs), self._level)

    def type(self, dtype=None, non_blocking=False):
        if dtype is None:
            return self._value.type()
        return wrap(self._value.type(dtype), self._level)

    def cpu(self, memory_format=None):
        return self

    def backward(self, *args, **kwargs):
        raise RuntimeError(
            "backward() called inside a functorch transform. Use torch.func.grad inside of vmap instead."
        )

    device = property(lambda self: self._value.device)
    is_meta = property(lambda self: self._value.is_meta)
    is_cpu = property(lambda self: self._value.is_cpu)
    requires_grad = property(lambda self: self._value.requires_grad, lambda self, on: self.requires_grad_(on))
    grad_fn = property(lambda self: self._value.grad_fn)
    is_leaf = property(lambda self: self._value.is_leaf)
    grad = property(lambda self: None)
    data = property(lambda self: self.detach())
    T = property(lambda self: self.permute(tuple(range(self.dim()))[::-1]))
    mT = property(lambda self: self.transpose(-2, -1))
    H = property(lambda self: self.mH if self.dim() else self.conj())
    mH = property(lambda self: self.transpose(-2, -1).conj())
    real = property(lambda self: _C.real(self) if self.is_complex() else self)
    imag = property(lambda self: _C.imag(self))


def _refusing(name, said):
    def method(self, *args, **kwargs):
        raise RuntimeError(f"vmap: {said}")

    method.__name__ = name
    return method


_FLOW = (
    "It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that yet, "
    "please shout over at https://github.com/pytorch/functorch/issues/257 ."
)
_ITEM = (
    "It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, please "
    "try to rewrite what you're doing with other operations. If error is occurring somewhere inside PyTorch internals, "
    "please file a bug report."
)
_MEMORY = "a sample has no memory of its own: {}() is not possible inside of vmap"
for _name in "__bool__ is_nonzero equal allclose __contains__".split():
    setattr(Batched, _name, _refusing(_name, _FLOW))
for _name in "item __int__ __float__ __index__ __complex__".split():
    setattr(Batched, _name, _refusing(_name, _ITEM))
for _name in "tolist numpy __array__ __dlpack__ data_ptr untyped_storage __array_namespace__ apply_ map_".split():
    setattr(Batched, _name, _refusing(_name, _MEMORY.format(_name)))

_OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _operand(x, beside):
    # In front of a Batched a number becomes a 0-d tensor, of the dtype it has beside it.
    return x if isinstance(x, Tensor) else _C._from_data(x, _C.result_type(beside, x), None, False)


def _give_operators():
    def forward(op):
        return lambda self, other: op(self, other) if _fits(other) else NotImplemented

    def reflected(op):
        return lambda self, other: op(_operand(other, self), self) if _fits(other) else NotImplemented

    for name, ours in _OPERATORS.items():
        op = getattr(_C, ours)
        setattr(Batched, f"__{name}__", forward(op))
        setattr(Batched, f"__r{name}__", reflected(op))
        in_place = getattr(Tensor, ours + "_", None)
        if in_place is not None:
            setattr(Batched, f"__i{name}__", forward(in_place))
    for name in _COMPARISONS:
        setattr(Batched, f"__{name}__", forward(getattr(_C, name)))
    Batched.__hash__ = Tensor.__hash__  # type: ignore[method-assign]
    for name, op in {"neg": _C.neg, "pos": _C.clone, "abs": _C.abs}.items():
        setattr(Batched, f"__{name}__", lambda self, op=op: op(self))
    Batched.__invert__ = lambda self: (_C.logical_not if self.dtype is _C.bool else _C.bitwise_not)(self)  # type: ignore


def _fits(other):
    return isinstance(other, (Tensor, bool, int, float, complex)) or hasattr(other, "__array_interface__")


_give_operators()


def wrap(value, level):
    """value, with the batch of `level` as its first dimension, as the function sees it."""
    shell = _raw(_C.empty, value.shape[1:], dtype=value.dtype, device="meta")
    sample = Tensor._make_subclass(Batched, shell)
    sample._value, sample._level = value, level
    return sample


def in_batch(x, level):
    """x with the batch of `level` in front: its value, or x repeated where it is the same for all samples."""
    if type(x) is Batched and x._level is level:
        return x._value
    return x.expand(level.size, *x.shape)


def is_at(x, level):
    """Whether x is a sample of the batch of `level`."""
    return type(x) is Batched and x._level is level


# Dispatch -----------------------------------------------------------------------------------------------------------
def deepest(args, kwargs):
    """The innermost level that any argument is a sample of, or None. RuntimeError where that vmap is not running."""
    found = None
    for x in (*args, *kwargs.values()):
        if type(x) is Batched:
            level = x._level
            if level not in _state.levels:
                raise RuntimeError("a tensor of a vmap was used outside of it, or after that vmap had ended")
        elif type(x) in (list, tuple) and x and not isinstance(x[0], (int, float, str)):
            level = deepest(x, {})
        else:
            continue
        if level is not None and (found is None or level.depth > found.depth):
            found = level
    return found


@contextmanager
def _at_levels(levels):
    kept, _state.levels = _state.levels, levels
    try:
        yield
    finally:
        _state.levels = kept


def below(level):
    """Outside of `level`, where its samples are tensors with a batch in front."""
    return _at_levels(_state.levels[: level.depth - 1])


def inside(level):
    """Inside of `level` again."""
    return _at_levels((*_state.levels[: level.depth - 1], level))


def _hook(op, *args, **kwargs):
    if not _state.levels:
        return _raw(op, *args, **kwargs)
    return dispatch(op, args, kwargs)


_IN_PLACE = frozenset(f"__i{name}__" for name in _OPERATORS)


def dispatch(op, args, kwargs):
    """Runs an op whose arguments may be samples."""
    from ._vmap_rules import RANDOM, RULES, each, random

    level = deepest(args, kwargs)
    name = op.__name__
    if level is None:
        if name in RANDOM and _state.levels:
            return random(op, _state.levels[-1], args, kwargs)
        return _raw(op, *args, **kwargs)
    if kwargs.get("out") is not None:
        raise RuntimeError(f"vmap: {name}(…, out=…) is not possible inside of vmap: use the result that it returns")
    writes = name in _IN_PLACE if name.startswith("_") else name.endswith("_")
    if writes and not is_at(args[0], level):
        raise RuntimeError(
            f"vmap: {name}(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args "
            "that has more elements than `self`. This happened due to `other` being vmapped over but `self` not being "
            f"vmapped over in a vmap. Please try to use out-of-place operators instead of {name}. If said operator is "
            "being called inside the PyTorch framework, please file a bug report instead."
        )
    if name in RANDOM:
        return random(op, level, args, kwargs)
    rule = RULES.get(name, each)
    with below(level):
        return rule(op, level, args, kwargs)


# The transform ------------------------------------------------------------------------------------------------------
@contextmanager
def _entered(size, randomness):
    global _running
    level = Level(size, randomness, len(_state.levels) + 1)
    with _lock:
        if _running == 0:
            watch(VMAP, _hook)
        _running += 1
    _state.levels += (level,)
    try:
        yield level
    finally:
        _state.levels = _state.levels[:-1]
        with _lock:
            _running -= 1
            if _running == 0:
                watch(VMAP, None)


def run(function, leaves, dims, spec, randomness, kwargs):
    """(results, their TreeSpec, size): function on samples; each result has the batch first, or is no tensor at all.

    A result that is the same for every sample comes as (tensor, False), others as (tensor, True).
    """
    size = next(x.shape[d] for x, d in zip(leaves, dims, strict=True) if d is not None)
    with _entered(size, randomness) as level:
        given = [x if d is None else wrap(x.movedim(d, 0), level) for x, d in zip(leaves, dims, strict=True)]
        out, out_spec = tree_flatten(function(*tree_unflatten(given, spec), **kwargs))
        results = [(y._value, True) if is_at(y, level) else (y, False) for y in out]
    return results, out_spec, size


# Gradients inside of a vmap -----------------------------------------------------------------------------------------
def active():
    """Whether this thread is inside the function of a vmap."""
    return bool(_state.levels)


def whole(x, levels):
    """The plain tensor behind x, with the batches of all `levels` in front, outermost first."""
    if not levels:
        return x
    *outer, level = levels
    if is_at(x, level):
        return whole(x._value, outer)
    x = whole(x, outer).unsqueeze(len(outer))
    return x.expand(*x.shape[: len(outer)], level.size, *x.shape[len(outer) + 1 :])


def samples(x, levels):
    """The inverse of whole."""
    for level in levels:
        x = wrap(x, level)
    return x


def levels_of(tensors):
    """The levels that any of the tensors is a sample of, outermost first."""
    found = {}
    for x in tensors:
        while type(x) is Batched:
            found[x._level.depth] = x._level
            x = x._value
    return tuple(found[depth] for depth in sorted(found))


def outside():
    """Plain tensors only: as if no vmap were running."""
    return _at_levels(())


def fresh(x):
    """A sample to differentiate by, at every level, so that each has a gradient of its own."""
    levels = _state.levels
    with outside():
        plain = whole(x, levels)
        leaf = plain.view_as(plain) if plain.requires_grad else plain.detach().requires_grad_()
        return samples(leaf, levels)


def gradients(compute, outputs, inputs, seeds):
    """compute(outputs, inputs, seeds) on the plain tensors behind samples, and its gradients as samples.

    A batch of seeds over a graph that has no such batch is run one after the other.
    """
    levels = levels_of([*outputs, *inputs])
    extra = [level for level in levels_of(seeds) if level not in levels]
    if extra:
        level = extra[-1]
        rows = []
        for b in range(level.size):
            row = [s._value[b] if is_at(s, level) else s for s in seeds]
            rows.append(gradients(compute, outputs, inputs, row))
        return [wrap(_C.stack(list(column), 0), level) for column in zip(*rows, strict=True)]
    with outside():
        plain = compute(*([whole(x, levels) for x in given] for given in (outputs, inputs, seeds)))
        return [None if g is None else samples(g, levels) for g in plain]
