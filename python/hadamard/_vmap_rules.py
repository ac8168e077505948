"""How each op runs on a batch of samples: the rules of vmap.

A rule gets the op, the level whose batch comes first in the values, and the arguments. It runs outside that level.
"""

import ast
from functools import cache

from . import _C
from ._C import Tensor
from ._vmap import Batched, below, deepest, in_batch, inside, is_at, wrap

RULES = {}


def _rule(names):
    def enter(f):
        for name in names.split():
            RULES[name] = f
        return f

    return enter


def _wrapped(y, level):
    if isinstance(y, Tensor):
        return wrap(y, level)
    if isinstance(y, (tuple, list)):
        return type(y)([_wrapped(v, level) for v in y])
    return y


# Arguments by name ---------------------------------------------------------------------------------------------------
_REQUIRED = object()


@cache
def _parameters(op):
    """For each overload of an op: (name, kind, default, keyword only) of its parameters."""
    overloads = []
    for text, kinds in op._signatures:
        params, only = [], False
        depth, parts = 0, [""]
        for c in text.partition("->")[0]:
            depth += (c in "([") - (c in ")]")
            if c == "," and not depth:
                parts.append("")
            else:
                parts[-1] += c
        for part in map(str.strip, parts):
            if part == "*":
                only = True
            elif part:
                name, _, default = part.partition("=")
                value = ast.literal_eval(default) if default else _REQUIRED
                params.append((name, kinds[len(params)][0], value, only))
        overloads.append(params)
    return overloads


def _suits(kind, value, numbers):
    if value is None:
        return True
    if kind == "Tensor":
        return isinstance(value, Tensor) or hasattr(value, "__array_interface__") or (numbers and not _listed(value))
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "tuple of ints":
        return isinstance(value, int) or (
            isinstance(value, (tuple, list)) and all(hasattr(i, "__index__") for i in value)
        )
    if kind == "tuple of Tensors":
        return isinstance(value, (tuple, list))
    return not isinstance(value, Tensor) if kind in ("str", "float", "Number") else True


def _listed(value):
    return isinstance(value, (tuple, list, str))


class _Call:
    """A call with its arguments by name; `self[name]` is what was given, or the default."""

    def __init__(self, op, args, kwargs):
        self.op = op
        for numbers in False, True:  # as tensors only where no overload takes a number
            for params in _parameters(op):
                given = self._bound(params, args, kwargs, numbers)
                if given is not None:
                    self.params, self.given = params, given
                    return
        op(*args, **kwargs)  # says what is wrong with them
        raise TypeError(f"vmap: the arguments of {op.__name__} are not understood")

    @staticmethod
    def _bound(params, args, kwargs, numbers):
        places = [p for p in params if not p[3]]
        if places and places[0][1] == "tuple of Tensors" and args and isinstance(args[0], Tensor):
            args = (list(args),)
        last = len(places) - 1
        if last >= 0 and places[last][1] == "tuple of ints" and len(args) > last and isinstance(args[last], int):
            args = (*args[:last], tuple(args[last:]))
        if len(args) > len(places):
            return None
        given = {p[0]: value for p, value in zip(places, args, strict=False)}
        for word, value in kwargs.items():
            word = {"axis": "dim", "keepdims": "keepdim", "self": "input"}.get(word, word)
            if word in given or all(p[0] != word for p in params):
                return None
            given[word] = value
        for name, kind, default, _ in params:
            if name not in given:
                if default is _REQUIRED:
                    return None
            elif not _suits(kind, given[name], numbers):
                return None
        return given

    def __contains__(self, name):
        return any(p[0] == name for p in self.params)

    def __getitem__(self, name):
        if name in self.given:
            return self.given[name]
        return next(p[2] for p in self.params if p[0] == name)

    def __call__(self, **changed):
        """Runs the op with some arguments changed."""
        given = {**self.given, **changed}
        first = self.params[0][0]
        return self.op(given.pop(first), **given)


def _at(d, n, extra=0):
    """Dimension d of n of a sample, as one of the value."""
    n += extra
    if not -max(n, 1) <= d < max(n, 1):
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(n, 1)}, {max(n, 1) - 1}], but got {d})"
        )
    return d % max(n, 1) + 1


# Slice by slice ------------------------------------------------------------------------------------------------------
def _slice(x, level, b):
    if is_at(x, level):
        return x._value[b]
    if isinstance(x, (list, tuple)):
        return type(x)(_slice(v, level, b) for v in x) if not hasattr(x, "_fields") else x
    return x


def _joined(rows, level, name):
    first = rows[0]
    if isinstance(first, Tensor):
        if len({tuple(y.shape) for y in rows}) > 1:
            raise RuntimeError(
                f"vmap: the result of {name} has another shape for every sample: operators with data-dependent shapes "
                "cannot be batched"
            )
        return wrap(_C.stack(list(rows), 0), level)
    if isinstance(first, (tuple, list)):
        if len({len(y) for y in rows}) > 1:
            raise RuntimeError(f"vmap: {name} gives another number of results for every sample")
        return type(first)([_joined(column, level, name) for column in zip(*rows, strict=True)])
    if any(y != first for y in rows[1:]):
        raise RuntimeError(f"vmap: {name} gives another answer for every sample, and its answer is no tensor")
    return first


def each(op, level, args, kwargs, before=None):
    """An op without a rule: once for every sample, its results stacked. In place it writes into the slices."""
    if level.size == 0:
        raise RuntimeError(f"vmap: {op.__name__} has no rule and there is no sample to run it on")
    name, rows = op.__name__, []
    for b in range(level.size):
        if before is not None:
            before()
        rows.append(op(*_slice(args, level, b), **{k: _slice(v, level, b) for k, v in kwargs.items()}))
    if name == "__setitem__":
        return None
    if name.endswith("_") and not name.startswith("_"):
        return args[0]
    return _joined(rows, level, name)


@_rule("as_strided")
def _strided(op, level, args, kwargs):
    x, *rest = args
    if not is_at(x, level):
        return each(op, level, args, kwargs)
    rows = [op(x._value[b].clone(), *rest, **kwargs) for b in range(level.size)]  # offsets count from a sample's start
    return _joined(rows, level, op.__name__)


# Element by element --------------------------------------------------------------------------------------------------
def _aligned(value, n, rank):
    """The value of a sample of n dimensions, as one of `rank` dimensions."""
    return value if n == rank else value.reshape(value.shape[:1] + (1,) * (rank - n) + value.shape[1:])


def _weak(tensors):
    """The dtype that samples without dimensions give way to, if there is one."""
    if len({x.dtype for x in tensors}) < 2:
        return None
    full = [x for x in tensors if x.dim()]
    if not full or all(x.dim() for x in tensors):
        return None
    shells = [x if type(x) is Batched else _C.empty((0,) * x.dim(), dtype=x.dtype) for x in tensors]
    t = shells[0].dtype if len(shells) == 1 else None
    for x in shells[1:]:
        t = _C._unwatched(_C.result_type, shells[0], x) if t is None else t
    return t


_ELEMENTWISE = (
    "abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin "
    "asinh atan atan2 atanh bfloat16 bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
    "bitwise_xor bool byte cdouble ceil celu cfloat char clamp clamp_max clamp_min clip clone complex conj "
    "conj_physical contiguous copy_ copysign cos cosh deg2rad detach digamma div divide double elu empty_like eq erf "
    "erfc erfinv exp exp2 expm1 fill_ fix float float_power floor floor_divide fmax fmin fmod frac full_like gcd ge "
    "gelu greater greater_equal gt half hardshrink hardsigmoid hardswish hardtanh heaviside hypot imag int isclose "
    "isfinite isinf isnan isneginf isposinf isreal lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 "
    "log1p log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit long lt "
    "masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative nextafter not_equal ones_like polar "
    "positive pow rad2deg real reciprocal relu relu6 remainder resolve_conj resolve_neg round rsqrt rsub selu sgn "
    "short sigmoid sign signbit silu sin sinc sinh softplus softshrink softsign sqrt square sub subtract tan tanh "
    "tanhshrink threshold true_divide trunc type_as where xlogy zero_ zeros_like"
)


def _elementwise(op, level, args, kwargs):
    given = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
    if op.__name__ == "where" and len(args) + len(kwargs) == 1:
        return each(op, level, args, kwargs)
    rank = max(x.dim() for x in given)
    narrow = _weak(given) if len(given) > 1 else None

    def ready(x):
        if not is_at(x, level):
            return x
        value = _aligned(x._value, x.dim(), rank)
        return value if narrow is None or x.dim() else value.to(narrow)

    y = op(*map(ready, args), **{k: ready(v) for k, v in kwargs.items()})
    if op.__name__.endswith("_"):
        return args[0]
    return wrap(y, level)


for _name in _ELEMENTWISE.split():
    RULES[_name] = _elementwise
    if not _name.endswith("_"):
        RULES[_name + "_"] = _elementwise


# Over dimensions -----------------------------------------------------------------------------------------------------
@_rule("sum mean amax amin any all nansum nanmean var std var_mean std_mean linalg_vector_norm count_nonzero")
def _reduce(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    x = call["input"]
    if "unbiased" in call and "dim" not in call:
        return each(op, level, args, kwargs)
    value, n, dim = x._value, x.dim(), call["dim"]
    if n == 0:
        changed = {"dim": (1,), **({"keepdim": False} if "keepdim" in call else {})}
        return _wrapped(call(input=value.unsqueeze(1), **changed), level)
    if dim is None or dim == () or dim == []:
        dims = tuple(range(1, n + 1))
    else:
        dims = tuple(_at(d, n) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    return _wrapped(call(input=value, dim=dims), level)


@_rule("prod argmax argmin max min median nanmedian norm")
def _reduce_one(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    if "other" in call:
        return _elementwise(op, level, args, kwargs)
    x = call["input"]
    if "dim" in call and call["dim"] is not None:
        if x.dim() == 0:
            return each(op, level, args, kwargs)
        dim = call["dim"]
        dim = tuple(_at(d, x.dim()) for d in dim) if isinstance(dim, (tuple, list)) else _at(dim, x.dim())
        return _wrapped(call(input=x._value, dim=dim), level)
    if call.given.get("keepdim"):
        return each(op, level, args, kwargs)
    flat = x._value.reshape(level.size, -1)
    rest = {k: v for k, v in call.given.items() if k not in ("input", "dim", "keepdim")}
    y = op(flat, dim=1, **rest) if op.__name__ != "norm" else op(flat, call["p"], 1, False, call["dtype"])
    return wrap(y if isinstance(y, Tensor) else y[0], level)


@_rule(
    "softmax log_softmax softmin logsumexp cumsum cumprod cummax cummin logcumsumexp sort argsort topk kthvalue mode "
    "msort diff narrow select squeeze split split_with_sizes chunk tensor_split unbind unflatten flip renorm"
)
def _along(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    x = next(iter(call.given.values()))
    named = next((name for name in ("dim", "dims") if name in call), None)
    if not is_at(x, level) or any(is_at(v, level) for v in list(call.given.values())[1:]):
        return each(op, level, args, kwargs)
    first = next(iter(call.given))
    if op.__name__ == "squeeze" and "dim" not in call:
        ones = tuple(d for d in range(1, x.dim() + 1) if x._value.shape[d] == 1)
        return wrap(x._value.squeeze(ones) if ones else x._value, level)
    if x.dim() == 0 or named is None or op.__name__ == "renorm":
        return each(op, level, args, kwargs)
    dim = call[named]
    dim = tuple(_at(d, x.dim()) for d in dim) if isinstance(dim, (tuple, list)) else _at(dim, x.dim())
    return _wrapped(call(**{first: x._value, named: dim}), level)


@_rule(
    "unsqueeze transpose swapaxes swapdims permute movedim moveaxis flatten diagonal t adjoint unfold tril triu "
    "fliplr flipud _pad"
)
def _moved(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    x = call["input"]
    value, n = x._value, x.dim()
    match op.__name__:
        case "unsqueeze":
            changed = {"dim": _at(call["dim"], n, 1)}
        case "permute":
            changed = {"dims": (0, *(_at(d, n) for d in call["dims"]))}
        case "t":
            return wrap(value.transpose(1, 2) if n == 2 else value if n < 2 else op(x), level)
        case "adjoint":
            return wrap(op(value), level)
        case "tril" | "triu" | "_pad":
            changed = {}
        case "fliplr" | "flipud":
            return wrap(value.flip(2 if op.__name__ == "fliplr" else 1), level)
        case "flatten" if n == 0:
            return wrap(value.unsqueeze(1), level)
        case "transpose" | "swapaxes" | "swapdims" | "unfold" if n == 0:
            return each(op, level, args, kwargs)
        case name:
            of = {"flatten": ("start_dim", "end_dim"), "diagonal": ("dim1", "dim2"), "unfold": ("dimension",)}.get(
                name, ("source", "destination") if name.startswith("move") else tuple(p[0] for p in call.params[1:3])
            )
            changed = {}
            for key in of:
                d = call[key]
                changed[key] = tuple(_at(e, n) for e in d) if isinstance(d, (tuple, list)) else _at(d, n)
    return wrap(call(input=value, **changed), level)


@_rule(
    "view reshape view_as reshape_as expand expand_as broadcast_to repeat tile new_zeros new_ones new_empty new_full "
    "ravel"
)
def _shaped(op, level, args, kwargs):
    name = op.__name__
    call = _Call(op, args, kwargs)
    x = call["input"]
    if "other" in call:
        if not is_at(x, level):  # of the other only the shape counts
            return getattr(x, name.removesuffix("_as"))(call["other"].shape)
        return wrap(_resized(x, level, name.removesuffix("_as"), tuple(call["other"].shape)), level)
    if name == "ravel":
        return wrap(x._value.reshape(level.size, -1), level)
    if "dtype" in call and not name.startswith("new"):
        return wrap(call(input=x._value), level)
    size = next(p[0] for p in call.params if p[1] == "tuple of ints")
    sizes = call[size]
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if name.startswith("new"):
        return wrap(call(input=x._value, **{size: (level.size, *sizes)}), level)
    return wrap(_resized(x, level, name, sizes), level)


def _resized(x, level, name, sizes):
    value = x._value
    if name in ("view", "reshape"):
        if -1 in sizes and value.numel() == 0:
            sizes = tuple(_C.empty(x.shape, device="meta").reshape(sizes).shape)
        return getattr(value, name)(level.size, *sizes)
    if name == "broadcast_to":
        name = "expand"
    value = _aligned(value, x.dim(), max(x.dim(), len(sizes)))
    if name == "tile":
        sizes = (1,) * (x.dim() - len(sizes)) + sizes
        name = "repeat"
    return getattr(value, name)(-1 if name == "expand" else 1, *sizes)


@_rule("cat concat concatenate stack broadcast_tensors")
def _lists(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    tensors = call["tensors"]
    if op.__name__ == "broadcast_tensors":
        rank = max(x.dim() for x in tensors)
        aligned = [_aligned(in_batch(x, level), x.dim(), rank) for x in tensors]
        return _wrapped(_C.broadcast_tensors(aligned), level)
    n = max(x.dim() for x in tensors)
    dim = _at(call["dim"], n, op.__name__ == "stack")
    return wrap(call(tensors=[in_batch(x, level) for x in tensors], dim=dim), level)


# Indices -------------------------------------------------------------------------------------------------------------
@_rule("index_select")
def _index_select(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    x, index = call["input"], call["index"]
    if x.dim() == 0 or is_at(index, level):
        return each(op, level, args, kwargs)
    return wrap(call(input=x._value, dim=_at(call["dim"], x.dim())), level)


@_rule("gather scatter scatter_add scatter_reduce take_along_dim")
def _gather(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    x = call["input"]
    if call["dim"] is None or x.dim() == 0:
        return each(op, level, args, kwargs)
    changed = {k: in_batch(v, level) for k, v in call.given.items() if isinstance(v, Tensor) and v.dim()}
    return wrap(call(**{**changed, "dim": _at(call["dim"], x.dim())}), level)


def _simple(key):
    """Whether a batch in front of what is indexed stays in front: the index tensors, if any, follow each other."""
    parts = key if isinstance(key, tuple) else (key,)
    tensors = [i for i, p in enumerate(parts) if isinstance(p, (Tensor, list)) or hasattr(p, "__array_interface__")]
    if not tensors:
        return True
    span = [i for i, p in enumerate(parts) if i in tensors or (isinstance(p, int) and not isinstance(p, bool))]
    return span == list(range(span[0], span[-1] + 1)) and not any(isinstance(p, bool) for p in parts)


@_rule("__getitem__")
def _get(op, level, args, kwargs):
    x, key = args
    parts = key if isinstance(key, tuple) else (key,)
    by_sample = [p for p in parts if is_at(p, level)]
    if not by_sample and _simple(key):
        at = (slice(None), *parts)
        return wrap(x._value[at], level)
    if len(parts) == 1 and by_sample and key.dtype is not _C.bool and key.dtype is not _C.uint8:
        if not is_at(x, level):
            return wrap(x[key._value], level)
        rows = _C.arange(level.size).view((-1,) + (1,) * key.dim())
        return wrap(x._value[rows, key._value], level)
    return each(op, level, args, kwargs)


@_rule("__setitem__")
def _set(op, level, args, kwargs):
    x, key, value = args
    parts = key if isinstance(key, tuple) else (key,)
    if not is_at(x, level):
        raise RuntimeError(
            "vmap: x[…] = … is not possible where x is the same for every sample and what is written, or where, is not"
        )
    if any(is_at(p, level) for p in parts) or not _simple(key):
        return each(op, level, args, kwargs)
    at = (slice(None), *parts)
    if is_at(value, level):
        region = x._value[at].dim() - 1
        value = _aligned(value._value, value.dim(), max(region, value.dim()))
    x._value[at] = value
    return None


@_rule("embedding")
def _embedding(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    weight, indices = call["weight"], call["indices"]
    if not is_at(weight, level):
        return wrap(call(indices=indices._value), level)
    if call["padding_idx"] >= 0 or call["scale_grad_by_freq"]:
        return each(op, level, args, kwargs)
    table = weight._value
    first = _C.arange(level.size).view((-1,) + (1,) * indices.dim()) * weight.shape[0]
    return wrap(op(table.reshape(-1, table.shape[-1]), in_batch(indices, level) + first), level)


# Products ------------------------------------------------------------------------------------------------------------
# These and some below compute on the samples themselves, in other ops that have rules: hence inside the level.
def _composed(names):
    def enter(f):
        def rule(op, level, args, kwargs):
            with inside(level):
                y = f(_Call(op, args, kwargs), level)
            return each(op, level, args, kwargs) if y is NotImplemented else y

        return _rule(names)(rule)

    return enter


@_rule("matmul mm bmm mv dot")
def _matmul(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    a, b = (call[p[0]] for p in call.params[:2])
    if op.__name__ != "matmul" or not a.dim() or not b.dim() or a.dtype is not b.dtype:
        _says(op, a, b)
    column, row = b.dim() == 1, a.dim() == 1
    values, ranks = [], []
    for x, vector, side in ((a, row, 1), (b, column, 2)):
        value, n = (x._value, x.dim() + 1) if is_at(x, level) else (x, x.dim())
        if vector:
            value, n = value.unsqueeze(-2 if side == 1 else -1), n + 1
        values.append(value)
        ranks.append(n - is_at(x, level))
    rank = max(ranks)
    for i, x in enumerate((a, b)):
        if is_at(x, level):
            values[i] = _aligned(values[i], ranks[i], rank)
    try:
        y = _C.matmul(*values)
    except RuntimeError:
        _says(op, a, b)
        raise
    if column:
        y = y.squeeze(-1)
    if row:
        y = y.squeeze(-1 if column else -2)
    return wrap(y, level)


def _says(op, *tensors):
    """Raises what the op says of samples of these shapes and dtypes."""
    op(*(_C.empty(x.shape, dtype=x.dtype, device="meta") for x in tensors))


@_composed("vdot")
def _vdot(call, level):
    return _C.dot(call["input"].conj(), call["other"])


@_composed("outer ger")
def _outer(call, level):
    return call["input"].unsqueeze(-1) * call["vec2"]


@_composed("inner")
def _inner(call, level):
    a, b = call["input"], call["other"]
    if not a.dim() or not b.dim():
        return a * b
    return _C._tensordot(a, b, [a.dim() - 1], [b.dim() - 1])


@_composed("linear")
def _linear(call, level):
    x, weight, bias = call["input"], call["weight"], call["bias"]
    if not any(is_at(w, level) for w in (weight, bias)) and x.dim():
        return _inside(call, level, input=x._value)
    y = _C.matmul(x, weight.transpose(-2, -1) if weight.dim() > 1 else weight)
    return y if bias is None else y + bias


def _inside(call, level, **changed):
    with below(level):
        return _wrapped(call(**changed), level)


@_composed("addmm addmv addr addbmm baddbmm")
def _added(call, level):
    (_, a), (_, b) = ((p[0], call[p[0]]) for p in call.params[1:3])
    name = call.op.__name__
    y = _C.outer(a, b) if name == "addr" else _C.matmul(a, b)
    if name == "addbmm":
        y = y.sum(0)
    x, beta, alpha = call["input"], call["beta"], call["alpha"]
    y = y if alpha == 1 else y * alpha
    return y if beta == 0 else y + (x if beta == 1 else x * beta)


@_composed("_tensordot")
def _tensordot(call, level):
    a, b = call["a"], call["b"]
    over_a, over_b = ([d % x.dim() for d in call[key]] for x, key in ((a, "dims_a"), (b, "dims_b")))
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    of_a = [next(letters) for _ in range(a.dim())]
    of_b = [of_a[over_a[over_b.index(d)]] if d in over_b else next(letters) for d in range(b.dim())]
    kept = [c for d, c in enumerate(of_a) if d not in over_a] + [c for d, c in enumerate(of_b) if d not in over_b]
    return _C._einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(kept)}", [a, b], ())


@_rule("_einsum")
def _einsum(op, level, args, kwargs):
    call = _Call(op, args, kwargs)
    equation, operands = call["equation"].replace(" ", ""), call["operands"]
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        right = ("..." if "..." in left else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    new = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in equation)
    parts = [new + part if is_at(x, level) else part for part, x in zip(parts, operands, strict=True)]
    values = [x._value if is_at(x, level) else x for x in operands]
    return wrap(op(f"{','.join(parts)}->{new}{right}", values, call["path"]), level)


# Networks ------------------------------------------------------------------------------------------------------------
_SPATIAL = {
    f"{name}{d}d{rest}": d
    for d in (1, 2, 3)
    for name, rest in (
        ("conv", ""),
        ("conv_transpose", ""),
        ("max_pool", ""),
        ("max_pool", "_with_indices"),
        ("avg_pool", ""),
        ("adaptive_avg_pool", ""),
        ("adaptive_max_pool", ""),
    )
}


@_rule(" ".join(_SPATIAL))
def _spatial(op, level, args, kwargs):
    """The batch joins the samples' own; where weights differ by sample, it joins the channels, in groups."""
    call = _Call(op, args, kwargs)
    name = op.__name__
    x, d = call["input"], _SPATIAL[name]
    parameters = [call[key] for key in ("weight", "bias") if key in call]
    if any(is_at(p, level) for p in parameters):
        if name != f"conv{d}d":
            return each(op, level, args, kwargs)
        return _grouped(call, level, d)
    if x.dim() == d + 1:
        return _wrapped(call(input=x._value), level)
    joined = x._value.reshape(-1, *x.shape[1:])

    def parted(y):
        if isinstance(y, tuple):
            return type(y)([parted(v) for v in y])
        return wrap(y.reshape(level.size, x.shape[0], *y.shape[1:]), level)

    return parted(call(input=joined))


def _grouped(call, level, d):
    x, weight, bias, n = call["input"], call["weight"], call["bias"], level.size
    single = x.dim() == d + 1
    value = in_batch(x, level)
    value = value.unsqueeze(1) if single else value
    samples, channels = value.shape[1:3]
    value = value.transpose(0, 1).reshape(samples, n * channels, *value.shape[3:])
    w = in_batch(weight, level)
    w = w.reshape(-1, *w.shape[2:])
    b = None if bias is None else in_batch(bias, level).reshape(-1)
    y = call(input=value, weight=w, bias=b, groups=n * call["groups"])
    y = y.reshape(samples, n, y.shape[1] // n, *y.shape[2:]).transpose(0, 1)
    return wrap(y.squeeze(1) if single else y, level)


@_composed("layer_norm rms_norm")
def _normalised(call, level):
    x, weight = call["input"], call["weight"]
    bias = call["bias"] if "bias" in call else None
    if not any(is_at(p, level) for p in (weight, bias)):
        return _inside(call, level, input=x._value)
    y = (
        _inside(call, level, input=x._value, weight=None, **({"bias": None} if "bias" in call else {}))
        if is_at(x, level)
        else call(weight=None, **({"bias": None} if "bias" in call else {}))
    )
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@_composed("mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy binary_cross_entropy_with_logits")
def _loss(call, level):
    reduction, every = call["reduction"], {k: v for k, v in call.given.items() if k != "reduction"}
    with below(level):
        first = every.pop(call.params[0][0])
        y = _elementwise(call.op, level, (first,), {**every, "reduction": 0})
    return y if reduction == 0 else y.mean() if reduction == 1 else y.sum()


@_composed("cross_entropy_loss nll_loss nll_loss_nd")
def _class_loss(call, level):
    x, target = call["input"], call["target"]
    smoothing = call["label_smoothing"] if "label_smoothing" in call else 0
    if call["weight"] is not None or smoothing or target.is_floating_point() or x.dim() > 2:
        return NotImplemented
    scores = _C.log_softmax(x, -1) if call.op.__name__ == "cross_entropy_loss" else x
    ignored = target == call["ignore_index"]
    loss = -_C.gather(scores, -1, target.masked_fill(ignored, 0).unsqueeze(-1)).squeeze(-1)
    loss = loss.masked_fill(ignored, 0)
    if call["reduction"] == 0:
        return loss
    total = loss.sum()
    return total if call["reduction"] == 2 else total / (~ignored).sum()


# Random numbers ------------------------------------------------------------------------------------------------------
_MADE = frozenset("rand randn randint randperm normal".split())
_LIKE = frozenset(
    "rand_like randn_like randint_like bernoulli poisson dropout feature_dropout alpha_dropout feature_alpha_dropout "
    "multinomial normal".split()
)
RANDOM = (
    _MADE
    | _LIKE
    | {
        name
        for name in _C._methods
        if name in ("uniform_ normal_ random_ exponential_ log_normal_ cauchy_ geometric_ bernoulli_".split())
    }
    | {"dropout_", "feature_dropout_", "alpha_dropout_", "feature_alpha_dropout_"}
)


def random(op, level, args, kwargs):
    """An op that draws numbers: for each sample its own, or the same for all, as the vmap says."""
    name = op.__name__
    batched = any(is_at(x, level) for x in (*args, *kwargs.values()))
    with below(level):
        if "dropout" in name and not _Call(op, args, kwargs)["train"]:
            return _elementwise(op, level, args, kwargs) if batched else op(*args, **kwargs)
        if level.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                "'different' randomness flags on vmap or perform the randomness operation out of vmap"
            )
        if level.randomness == "same":
            if not batched:
                return op(*args, **kwargs)
            if name.endswith("_") and "dropout" not in name:
                drawn = op(_C.empty(args[0].shape, dtype=args[0].dtype), *args[1:], **kwargs)
                args[0]._value.copy_(drawn)
                return args[0]
            start = _C.default_generator.get_state()
            return each(op, level, args, kwargs, lambda: _C.default_generator.set_state(start))
        if not batched:
            if name.endswith("_"):
                raise RuntimeError(
                    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like "
                    "same randomness. If this is necessary for your usage, please file an issue with functorch."
                )
            call = _Call(op, args, kwargs)
            if "size" in call:
                size = call["size"]
                size = (size,) if isinstance(size, int) else tuple(size)
                first = call.params[0][0]
                given = {**call.given, "size": (level.size, *size)}
                return wrap(op(given.pop(first), **given), level)
            if name in ("rand_like", "randn_like", "randint_like", "dropout", "bernoulli", "poisson"):
                first = call.params[0][0]
                return wrap(call(**{first: call[first].expand(level.size, *call[first].shape)}), level)
            return wrap(_C.stack([op(*args, **kwargs) for _ in range(level.size)], 0), level)
        if name in ("multinomial", "feature_dropout", "feature_alpha_dropout", "feature_dropout_"):
            return each(op, level, args, kwargs)
        return _elementwise(op, level, args, kwargs)


def apply(cls, args, kwargs):
    """An autograd.Function on samples: once for every one of them."""
    level = deepest(args, kwargs)
    with below(level):
        rows = [
            cls.apply(*_slice(args, level, b), **{k: _slice(v, level, b) for k, v in kwargs.items()})
            for b in range(level.size)
        ]
        return _joined(rows, level, cls.__name__)
