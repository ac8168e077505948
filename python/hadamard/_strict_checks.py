"""The kinds of strict(): how each is found, and the page of its error."""

from math import prod

from . import _C
from ._watchers import STRICT, hand_on

KINDS = {
    "broadcast": "operands of different rank that expand against each other",
    "outer": "operands of equal rank that expand against each other",
    "size1": "a summed index of size 1 against one of size n",
    "promotion": "operands of different dtypes",
    "overflow": "integers that wrapped around",
    "nonfinite": "an infinity or NaN made of finite numbers",
}
_ALIKE = {"multiply": "mul", "subtract": "sub", "divide": "div", "true_divide": "div", "truediv": "div", "ger": "outer"}
_ALIKE |= {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "greater": "gt", "less": "lt"}
_ALIKE |= {"greater_equal": "ge", "less_equal": "le", "not_equal": "ne"}
LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy binary_cross_entropy_with_logits "
    "poisson_nll_loss gaussian_nll_loss soft_margin_loss hinge_embedding_loss".split()
)
_ARITHMETIC = frozenset(
    "add sub mul div floor_divide remainder fmod pow float_power maximum minimum fmax fmin atan2 arctan2 hypot "
    "copysign xlogy logaddexp logaddexp2 bitwise_and bitwise_or bitwise_xor lerp addcmul addcdiv where nextafter "
    "heaviside".split()
)
_COMPARISONS = frozenset("eq ne lt le gt ge isclose logical_and logical_or logical_xor".split())
BROADCASTING = LOSSES | _ARITHMETIC | _COMPARISONS
_PRODUCTS = frozenset(
    "dot vdot mm mv bmm matmul inner outer kron addmm addmv addr addbmm baddbmm linear einsum tensordot chain_matmul "
    "conv1d conv2d conv3d".split()
)
_WRAPS = _PRODUCTS | frozenset("add sub mul pow square prod cumprod sum cumsum addcmul".split())
_UNSET = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize", "resize_as", "set")
JOINS = frozenset("cat concat concatenate stack hstack vstack dstack column_stack".split())
_PROMOTING = (LOSSES | _ARITHMETIC | JOINS) - {"where"}
# Ops that modules call with their own arguments: checked there too.
OUTER = LOSSES | _PRODUCTS


def name_of(name) -> str:
    """mul of __rmul__, mul_ and multiply; einsum of _einsum."""
    if name.startswith("__"):
        name = name.strip("_")
        if name[0] in "ri":  # reflected, in place
            name = name[1:]
    else:
        name = name.strip("_")
    return _ALIKE.get(name, name)


def tensors_of(name, raw, args, kwargs) -> list:
    """The tensors (and arrays) of a call in the order in which a person reads them."""
    found = []
    for x in (*args, *kwargs.values()):
        for y in x if isinstance(x, (list, tuple)) else (x,):
            if isinstance(y, _C.Tensor) or (hasattr(y, "__array_interface__") and hasattr(y, "shape")):
                found.append(y)
    if raw.startswith("__r"):
        found.reverse()
    return found


def _dtype(x) -> str:
    return str(x.dtype).rpartition(".")[2]


def _facts(tensors) -> list:
    return [
        (letter, tuple(x.shape), _dtype(x), str(getattr(x, "device", "cpu")))
        for letter, x in zip("abcdefgh", tensors, strict=False)
    ]


def _show(shape):
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def _wide(shapes):
    """The broadcast shape, None where there is none."""
    rank = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes), strict=True):
        large = {n for n in sizes if n != 1}
        if len(large) > 1:
            return None
        result.append(large.pop() if large else 1)
    return tuple(result)


def _repeated(shape, result) -> list:
    """[(dim of the result, times)] along which a shape is repeated."""
    lead = len(result) - len(shape)
    return [(d, n) for d, n in enumerate(result) if n != 1 and (d < lead or shape[d - lead] == 1)]


def repetitions(name, tensors) -> list:
    """(operand, shape, [(dim, times)], result shape) of what an op repeats without being asked."""
    if name in BROADCASTING:
        shapes = [tuple(x.shape) for x in tensors]
    elif name == "matmul" and len(tensors) == 2:
        shapes = [tuple(x.shape)[:-2] for x in tensors]  # of the batches
    else:
        return []
    result = _wide(shapes) if shapes else None
    if result is None:
        return []
    found = []
    for letter, x, shape in zip("abcdefgh", tensors, shapes, strict=False):
        dims = _repeated(shape, result)
        if dims and prod(x.shape) != 1:
            found.append((letter, tuple(x.shape), dims, (*result, *tuple(x.shape)[len(shape) :])))
    return found


# ---- before the op


def before(call) -> list:
    """[(kind, first line, args, facts)] of what the operands alone show."""
    if call.internal:
        return []
    found = []
    if call.name in BROADCASTING:
        found += _expand(call)
    if call.name in _PROMOTING:
        found += _promote(call)
    if call.name in ("einsum", "tensordot"):
        found += _size1(call)
    name = call.op.__name__
    if name.startswith("__i") or name.endswith("_") and not name.startswith("__"):  # in place
        call.memory["finite"] = all(_finite(x) for x in call.tensors)
        if any(_is_integer(x) for x in call.tensors) and call.name in _WRAPS:
            call.memory["before"] = [x.clone() if isinstance(x, _C.Tensor) else x for x in call.args]
    return found


def _expand(call):
    if len(call.tensors) < 2 or all(x.shape == call.tensors[0].shape for x in call.tensors):
        return []
    tensors = [x for x in call.tensors[:3] if prod(x.shape) > 1]
    for i, x in enumerate(tensors):
        for y in tensors[i + 1 :]:
            a, b = tuple(x.shape), tuple(y.shape)
            wide = _wide([a, b])
            if wide and _repeated(a, wide) and _repeated(b, wide):
                kind = "broadcast" if len(a) != len(b) else "outer"
                line = f"{call.name}: {_show(a)} and {_show(b)} expand against each other, to {_show(wide)}"
                return [(kind, line, _facts([x, y]), {"wide": wide})]
    return []


def _promote(call):
    if len({str(x.dtype) for x in call.tensors}) < 2:
        return []
    whole = [x for x in call.tensors if len(x.shape) and _dtype(x) != "bool"]
    names = list(dict.fromkeys(_dtype(x) for x in whole))
    if len(names) < 2:
        return []
    line = f"{call.name}: operands of {' and '.join(names)}, one of which is converted without a word"
    return [("promotion", line, _facts(call.tensors), {})]


def _size1(call):
    tensors = call.tensors
    if call.name == "einsum":
        left, arrow, right = call.args[0].replace(" ", "").partition("->")
        terms = left.split(",")
        if len(terms) != len(tensors):
            return []
        kept = set(right) if arrow else {c for c in left if left.count(c) == 1}
        summed = [c for c in dict.fromkeys(left) if c.isalpha() and c not in kept]
        places = [(c, [(n, _dim_of(c, t)) for n, t in enumerate(terms) if c in t]) for c in summed]
    else:
        a, b = tensors[:2]
        places = [
            (f"dim {x} of a, dim {y} of b", [(0, x), (1, y)]) for x, y in zip(call.args[2], call.args[3], strict=False)
        ]
    for name, where in places:
        sizes = [tensors[n].shape[d] for n, d in where]
        if len(set(sizes)) > 1 and 1 in sizes:
            one = where[sizes.index(1)]
            many = where[sizes.index(max(sizes))]
            line = (
                f"{call.name}: the summed index {name} has size 1 in {'abcdefgh'[one[0]]} and {max(sizes)} in "
                f"{'abcdefgh'[many[0]]}"
            )
            facts = {"one": one, "many": many, "equation": call.args[0] if call.name == "einsum" else ""}
            return [("size1", line, _facts(tensors), facts)]
    return []


def _dim_of(letter, term):
    """Its dimension; behind an ellipsis it is counted from the end."""
    at, dots = term.index(letter), term.find("...")
    return at if dots < 0 or at < dots else at - len(term)


# ---- after the op


def after(call, result) -> list:
    """[(kind, first line, args, facts)] of what the numbers of the result show."""
    results = [_whole(x) for x in (result if isinstance(result, (tuple, list)) else (result,))]
    results = [x for x in results if isinstance(x, _C.Tensor)]
    if not results or results[0].is_meta:
        return []
    if call.internal:
        return []
    if call.name in _WRAPS and _is_integer(results[0]):
        return _wrapped(call, results[0])
    return _infinite(call, results) if call.tensors and call.name not in _UNSET else []


_INTEGERS = frozenset([_C.uint8, _C.int8, _C.int16, _C.int32, _C.int64])
_isfinite, _all = _C.isfinite, _C.all


def _whole(x):
    """The numbers of all samples, of one inside of a vmap."""
    while hasattr(x, "_level"):
        x = x._value
    return x


def _is_integer(x) -> bool:
    return x.dtype in _INTEGERS


def _finite(x) -> bool:
    x = _whole(x)
    if not isinstance(x, _C.Tensor):
        return True
    if not (x.dtype.is_floating_point or x.dtype.is_complex) or x.is_meta:
        return True
    return bool(_C._unwatched(_all, _C._unwatched(_isfinite, x)))


def _infinite(call, results):
    bad = [x for x in results if not _finite(x)]
    if not bad or not call.memory.get("finite", True):
        return []
    if "finite" not in call.memory and not all(_finite(x) for x in call.tensors):
        return []
    if any(isinstance(x, float) and not abs(x) < float("inf") for x in (*call.args, *call.kwargs.values())):
        return []
    y = bad[0].detach()
    nan, count = int((y != y).sum()), y.numel()
    infinite = int((~_C.isfinite(y)).sum()) - nan
    what = " and ".join(words for n, words in ((nan, f"{nan} NaN"), (infinite, f"{infinite} infinite")) if n)
    line = f"{call.name}: finite operands gave a result with {what} of {count} number{'s' if count > 1 else ''}"
    return [("nonfinite", line, _facts(call.tensors), {"where": _first(~_C.isfinite(y)), "call": call})]


def _first(mask):
    """The index of the first True."""
    where = mask.nonzero()[0].tolist()
    return tuple(where)


def watch_gradients(tensors, found) -> list:
    """Handles of hooks on every node behind the tensors; `found` gets (line, facts) of what is not finite first."""
    handles, seen, waiting = [], set(), [t.grad_fn for t in tensors if t.grad_fn is not None]

    def check(name):
        def hook(made, given):
            if found or not all(_finite(g) for g in given if g is not None):
                return
            bad = [g for g in made if g is not None and not _finite(g)]
            if bad:
                nan = int((bad[0] != bad[0]).sum())
                what = f"{nan} NaN" if nan else f"{int((~_C.isfinite(bad[0])).sum())} infinite"
                numbers = f"{what} of {bad[0].numel()} number{'s' if bad[0].numel() > 1 else ''}"
                found.append((f"backward: {name} made a gradient with {numbers} of finite ones", _facts([bad[0]])))

        return hook

    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.name() != "AccumulateGrad":
            handles.append(node.register_hook(check(node.name())))
        waiting += [n for n, _ in node.next_functions if n is not None]
    return handles


def _wrapped(call, y):
    """The same op in float64: what wrapped is off by a multiple of 2^bits, which no rounding is."""
    args = call.memory.get("before", call.args)
    if "dtype" in call.kwargs or "out" in call.kwargs:
        return []

    def wide(x):
        if isinstance(x, _C.Tensor):
            return x.detach().to(_C.float64)
        if isinstance(x, (list, tuple)) and any(isinstance(v, _C.Tensor) for v in x):
            return [wide(v) for v in x]
        return x

    try:
        exact = hand_on(STRICT, call.op, *[wide(x) for x in args], **{k: wide(v) for k, v in call.kwargs.items()})
    except Exception:
        return []  # the op has no form in float64
    exact = _whole(exact)
    bits = 8 * y.element_size()
    bad = (exact - y.detach().to(_C.float64)).abs() > 2.0 ** (bits - 1)
    if not bad.any():
        return []
    at = _first(bad)
    was, became = exact[at].item(), y[at].item()
    count = int(bad.sum())
    share = f"{count} of {y.numel()} numbers wrapped around" if y.numel() > 1 else "the result wrapped around"
    shown = f"{was:.0f}" if abs(was) < 1e15 else f"{was:.4g}"
    line = f"{call.name}: {share}: {shown} became {became} in {_dtype(y)}"
    return [("overflow", line, _facts(call.tensors), {"dtype": _dtype(y), "bits": bits})]
