"""torch.func: functions made of functions. grad, vjp, jvp, Jacobians and Hessians, vmap, functional_call.

Each runs on the ordinary engine: a gradient is taken with its history kept where something outside may differentiate it
again. vmap runs the function once, on samples that carry their batch (`_vmap.py`).
"""

from . import _C, _vmap
from ._C import Tensor
from ._modes import enable_grad
from .nn.utils import stateless
from .utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """`module(*args, **kwargs)` with tensors, by dotted name, in place of its own; from one dict or several.

    >>> import hadamard as H
    >>> functional_call(H.nn.Linear(2, 1), [{"weight": H.ones(1, 2)}, {"bias": H.zeros(1)}], H.ones(2))
    tensor([2.])
    """
    return stateless.functional_call(
        module, parameter_and_buffer_dicts, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _positions(argnums, n):
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in numbers:
        if not -n <= i < n:
            raise RuntimeError(f"Got argnum={i}, but only {n} positional inputs")
    return [i % n for i in numbers]


def _fresh(x):
    """A tensor to differentiate by: with the history of x where it has one, so that levels nest."""
    if not isinstance(x, Tensor):
        raise ValueError(f"Expected all inputs to be Tensors, got {type(x).__name__}")
    if _vmap.active():
        return _vmap.fresh(x)
    return x.view_as(x) if x.requires_grad else x.detach().requires_grad_()


def _leads_outside(outputs, inputs):
    """Whether gradients of `outputs` would depend on a tensor that requires grad and is none of `inputs`."""
    if _vmap.active():
        levels = _vmap.levels_of([*outputs, *inputs])
        with _vmap.outside():
            outputs, inputs = ([_vmap.whole(x, levels) for x in given] for given in (outputs, inputs))
    own = {id(x) for x in inputs if x.is_leaf}
    if len(own) < len(inputs):
        return True
    todo, seen = [y.grad_fn for y in outputs if y.grad_fn is not None], set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in own:
            return True
        todo.extend(following for following, _ in node.next_functions if following is not None)
    return False


def _gradients(outputs, inputs, seeds, outside, keep=False):
    pairs = [(y, s) for y, s in zip(outputs, seeds, strict=True) if y.requires_grad]
    if not pairs:
        return [_C.zeros_like(x) for x in inputs]

    def compute(outputs, inputs, seeds):
        return _C._run_backward(outputs, seeds, inputs, keep or outside, outside, True, False)

    given = [y for y, _ in pairs], inputs, [s for _, s in pairs]
    grads = _vmap.gradients(compute, *given) if _vmap.active() else compute(*given)
    return [_C.zeros_like(x) if g is None else g for g, x in zip(grads, inputs, strict=True)]


def _released(tree, outside):
    return tree if outside else tree_map(lambda y: y.detach() if isinstance(y, Tensor) else y, tree)


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns (gradient by argument `argnums`, value) of `func`, whose result is a 0-d tensor.

    With has_aux `func` returns (value, anything), and the result is (gradient, (value, anything)).

    >>> import hadamard as H
    >>> grad_and_value(lambda x: (x**2).sum())(H.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    def wrapper(*args, **kwargs):
        places = _positions(argnums, len(args))
        flat = [tree_flatten(args[i]) for i in places]
        with enable_grad():
            inputs = [[_fresh(x) for x in leaves] for leaves, _ in flat]
            call = list(args)
            for i, given, (_, spec) in zip(places, inputs, flat, strict=True):
                call[i] = tree_unflatten(given, spec)
            value, aux = func(*call, **kwargs) if has_aux else (func(*call, **kwargs), None)
            if not isinstance(value, Tensor):
                raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(value)}")
            if value.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{value.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            every = [x for leaves in inputs for x in leaves]
            outside = _leads_outside([value], every)
            found = iter(_gradients([value], every, [_C.ones_like(value)], outside))
        grads = [tree_unflatten([next(found) for _ in leaves], spec) for leaves, spec in flat]
        result = grads[0] if isinstance(argnums, int) else tuple(grads)
        value, aux = _released(value, outside), _released(aux, outside)
        return result, (value, aux) if has_aux else value

    return wrapper


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of `func` (with a 0-d result) by its argument `argnums`; see grad_and_value.

    >>> import hadamard as H
    >>> grad(grad(lambda x: x**3))(H.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    def wrapper(*args, **kwargs):
        result, value = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return wrapper


def vjp(func, *primals, has_aux=False):
    """(func(*primals), f) where f(cotangents) gives the products of cotangents and Jacobian, one for each primal.

    >>> import hadamard as H
    >>> out, pull = vjp(lambda x: x * 3, H.ones(2))
    >>> pull(H.tensor([1.0, 2.0]))
    (tensor([3., 6.]),)
    """
    flat, spec = tree_flatten(primals)
    with enable_grad():
        inputs = [_fresh(x) for x in flat]
        out = func(*tree_unflatten(inputs, spec))
        out, aux = out if has_aux else (out, None)
        outputs, out_spec = tree_flatten(out)
        outside = _leads_outside(outputs, inputs)

    def pull(*cotangents):
        given, given_spec = tree_flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if given_spec != out_spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {given_spec}, primal output: {out_spec}"
            )
        recorded = outside or any(s.requires_grad for s in given)
        with enable_grad():
            grads = _gradients(outputs, inputs, given, recorded, keep=True)
        return tree_unflatten(grads, spec)

    value = _released(out, outside)
    return (value, pull, _released(aux, outside)) if has_aux else (value, pull)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), the product of the Jacobian and `tangents`), by differentiating a vjp.

    >>> import hadamard as H
    >>> jvp(H.sin, (H.zeros(2),), (H.tensor([1.0, 2.0]),))
    (tensor([0., 0.]), tensor([1., 2.]))
    """
    if not isinstance(primals, tuple) or not primals:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to be a tuple of at least one Tensor")
    flat, spec = tree_flatten(primals)
    along, along_spec = tree_flatten(tangents)
    if along_spec != spec:
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. "
            f"For example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with structure "
            f"{spec} and tangents with structure {along_spec}"
        )
    with enable_grad():
        inputs = [_fresh(x) for x in flat]
        out = func(*tree_unflatten(inputs, spec))
        out, aux = out if has_aux else (out, None)
        outputs, out_spec = tree_flatten(out)
        outside = _leads_outside(outputs, inputs) or any(t.requires_grad for t in along)
        seeds = [_C.zeros_like(y).requires_grad_() for y in outputs]
        inner = _gradients(outputs, inputs, seeds, True)
        found = _gradients(inner, seeds, along, outside)
    value, tangent = _released(out, outside), tree_unflatten(found, out_spec)
    return (value, tangent, _released(aux, outside)) if has_aux else (value, tangent)


def replace_all_batch_norm_modules_(root):
    """In place: the batch norms in `root` forget their running statistics, which vmap could not write to.

    >>> import hadamard as H
    >>> net = H.nn.Sequential(H.nn.BatchNorm1d(3))
    >>> replace_all_batch_norm_modules_(net)[0].track_running_stats
    False
    """
    import hadamard

    for module in root.modules():
        if isinstance(module, hadamard.nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def linearize(func, *primals):
    """(func(*primals), f) where f(*tangents) gives the product of the Jacobian and the tangents."""
    return func(*primals), lambda *tangents: jvp(func, primals, tangents)[1]


def _jacobian(func, argnums, has_aux, rows):
    def wrapper(*args, **kwargs):
        places = _positions(argnums, len(args))
        chosen = tuple(args[i] for i in places)

        def f(*given):
            call = list(args)
            for i, x in zip(places, given, strict=True):
                call[i] = x
            return func(*call, **kwargs)

        parts, aux = rows(f, chosen, has_aux)  # of each output: of each chosen argument
        result = tree_map(lambda by: by[0] if isinstance(argnums, int) else tuple(by), parts)
        return (result, aux) if has_aux else result

    return wrapper


class _Row(list):
    """The Jacobians of one output, one for each argument: a leaf in a nest of outputs."""


def _units(x):
    """Every direction of x, one after the other."""
    for i in range(x.numel()):
        unit = _C.zeros(x.numel(), dtype=x.dtype)
        unit[i] = 1
        yield unit.view(x.shape)


def _by_rows(f, chosen, has_aux):
    out, pull, *aux = vjp(f, *chosen, has_aux=has_aux)
    outputs, out_spec = tree_flatten(out)
    _, in_spec = tree_flatten(chosen)
    result = []
    for k, y in enumerate(outputs):
        found = []
        for unit in _units(y):
            seeds = [unit if i == k else _C.zeros_like(z) for i, z in enumerate(outputs)]
            found.append(tree_flatten(pull(tree_unflatten(seeds, out_spec)))[0])
        blocks = [
            _C.stack([row[i] for row in found]).view(*y.shape, *x.shape)
            if found
            else _C.zeros((*y.shape, *x.shape), dtype=y.dtype)
            for i, x in enumerate(tree_flatten(chosen)[0])
        ]
        result.append(_Row(tree_unflatten(blocks, in_spec)))
    return tree_unflatten(result, out_spec), aux[0] if aux else None


def _by_columns(f, chosen, has_aux):
    flat, in_spec = tree_flatten(chosen)
    columns, outputs, out_spec, aux = [], None, None, None
    for k, x in enumerate(flat):
        found = []
        for unit in _units(x):
            along = [unit if i == k else _C.zeros_like(z) for i, z in enumerate(flat)]
            out, tangent, *rest = jvp(f, chosen, tree_unflatten(along, in_spec), has_aux=has_aux)
            aux = rest[0] if rest else None
            outputs, out_spec = tree_flatten(out)
            found.append(tree_flatten(tangent)[0])
        columns.append(found)
    if outputs is None or out_spec is None:
        raise RuntimeError("jacfwd: Expected at least one input with elements")
    result = []
    for k, y in enumerate(outputs):
        blocks = [
            _C.stack([column[k] for column in found], -1).view(*y.shape, *x.shape)
            if found
            else _C.zeros((*y.shape, *x.shape), dtype=y.dtype)
            for x, found in zip(flat, columns, strict=True)
        ]
        result.append(_Row(tree_unflatten(blocks, in_spec)))
    return tree_unflatten(result, out_spec), aux


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that returns the Jacobian of `func` by argument `argnums`, row by row, in reverse mode.

    >>> import hadamard as H
    >>> jacrev(lambda x: x**2)(H.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    return _jacobian(func, argnums, has_aux, _by_rows)


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """A function that returns the Jacobian of `func` by argument `argnums`, column by column.

    >>> import hadamard as H
    >>> jacfwd(H.sin)(H.zeros(1))
    tensor([[1.]])
    """
    return _jacobian(func, argnums, has_aux, _by_columns)


def hessian(func, argnums=0):
    """A function that returns the second derivatives of `func` by argument `argnums`."""
    return jacfwd(jacrev(func, argnums), argnums)


def functionalize(func, *, remove="mutations"):
    """`func` as it is: in-place operations need no rewriting here."""
    return func


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that maps `func` over dimension `in_dims` of its arguments and stacks the results at `out_dims`.

    in_dims may be None (the argument is the same for all) or a nest as the arguments are; chunk_size limits how many
    samples run together. The function runs once: each op takes the whole batch, and one without a rule for that runs on
    slice after slice; RuntimeError where a shape, or the way through the function, depends on a sample's values.
    With randomness="different" every call draws its own numbers, with "same" all the same ones; "error" refuses.

    >>> import hadamard as H
    >>> vmap(H.dot)(H.ones(2, 3), H.ones(2, 3))
    tensor([3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    def wrapped(*args, **kwargs):
        leaves, spec = tree_flatten(args)
        dims = _spread(in_dims, args)
        sizes = []
        for x, dim in zip(leaves, dims, strict=True):
            if dim is None:
                continue
            if not isinstance(dim, int):
                raise ValueError(
                    f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for an input"
                )
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for an input but the "
                    f"input is of type {type(x)}. We cannot vmap over non-Tensor arguments, please use None as the "
                    "respective in_dim"
                )
            if not -x.dim() <= dim < x.dim():
                raise ValueError(
                    f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for some input, but that "
                    f"input is a Tensor of dimensionality {x.dim()} so expected in_dim to satisfy "
                    f"-{x.dim()} <= in_dim < {x.dim()}."
                )
            sizes.append(x.shape[dim])
        if not sizes:
            raise ValueError(
                f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): Expected at least one Tensor to vmap over"
            )
        if len(set(sizes)) > 1:
            raise ValueError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
                "mapped dimension"
            )
        if sizes[0] == 0:
            raise RuntimeError("vmap over a dimension of size 0 has no result to take the shape of")
        step = sizes[0] if chunk_size is None else chunk_size
        parts = []
        for start in range(0, sizes[0], step):
            part = leaves
            if step < sizes[0]:
                part = [
                    x if d is None else x.narrow(d, start, min(step, sizes[0] - start))
                    for x, d in zip(leaves, dims, strict=True)
                ]
            parts.append(_vmap.run(func, part, dims, spec, randomness, kwargs))
        out_spec = parts[0][1]
        for y, _ in parts[0][0]:
            if not isinstance(y, Tensor):
                raise ValueError(
                    f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type {type(y)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
        places = _spread(out_dims, tree_unflatten([y for y, _ in parts[0][0]], out_spec))
        return tree_unflatten([_laid_out(func, parts, k, place) for k, place in enumerate(places)], out_spec)

    from functools import wraps

    return wraps(func)(wrapped) if hasattr(func, "__name__") else wrapped


def _laid_out(func, parts, k, place):
    """Result k of a vmap, from all its chunks, with the batch at dimension `place`."""
    if place is None:
        y, batched = parts[0][0][k]
        if batched:
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` can not return a BatchedTensor when out_dim is None"
            )
        return y
    whole = []
    for results, _, size in parts:
        y, batched = results[k]
        whole.append(y if batched else y.expand(size, *y.shape))
    y = whole[0] if len(whole) == 1 else _C.cat(whole, 0)
    return y.movedim(0, place)


def _name(func):
    return getattr(func, "__name__", repr(func))


def _spread(dims, tree):
    """One entry of `dims` for every leaf of `tree`; a number, or None, stands for a whole nest."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(tree_flatten(tree)[0])
    kind = type(tree)
    if isinstance(tree, dict) and isinstance(dims, dict):
        pairs = [(dims[key], child) for key, child in tree.items()]
    elif isinstance(tree, (tuple, list)) and len(dims) == len(tree):
        pairs = list(zip(dims, tree, strict=True))
    else:
        raise ValueError(f"vmap: in_dims or out_dims {dims} is not compatible with the structure of {kind.__name__}")
    return [dim for part, child in pairs for dim in _spread(part, child)]


def stack_module_state(models):
    """(parameters, buffers) of several modules of one kind, each stacked along a new first dimension: for vmap.

    >>> import hadamard as H
    >>> params, buffers = stack_module_state([H.nn.Linear(2, 3) for _ in range(4)])
    >>> params["weight"].shape
    torch.Size([4, 3, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")

    def stacked(named):
        columns = [dict(named(model)) for model in models]
        result = {}
        for name, first in columns[0].items():
            x = _C.stack([column[name].detach() for column in columns])
            result[name] = x.requires_grad_(first.requires_grad)
        return result

    return stacked(lambda m: m.named_parameters()), stacked(lambda m: m.named_buffers())
