"""Every op in one table: how it is called, on what, what NumPy says, and what may be asked of it.

An entry is `op(name, samples, reference, dtypes, ...)`. `samples(g)` yields calls whose tensors are `Arr`s drawn by `g`
for one dtype, in every layout that matters; `reference` gets the same arguments as NumPy arrays in float64, complex128
or int64. Tests and benchmarks read the table and nothing else.
"""

import itertools
import math
import zlib

import numpy as np
from harness import DTYPES, kind, make, quantise, wide

LAYOUTS = {  # name -> (shape of what is stored, its view); the view is the same expression in NumPy and in torch
    "c": (lambda s: s, lambda x: x),
    "t": (lambda s: s[::-1], lambda x: x.permute(*range(x.ndim - 1, -1, -1)) if hasattr(x, "permute") else x.T),
    "s": (lambda s: (*s[:-1], 2 * s[-1]), lambda x: x[..., ::2]),
    "e": (lambda s: (1, *s[1:]), None),
    "o": (lambda s: (s[0] + 1, *s[1:]), lambda x: x[1:]),
}


class Arr:
    """A tensor to be: the numbers stored, their dtype, and the layout in which they are seen."""

    __slots__ = ("base", "dtype", "layout", "shape", "grad")

    def __init__(self, base, dtype, shape, layout="c", grad=True):
        self.base, self.dtype, self.layout, self.shape = base, dtype, layout, tuple(shape)
        self.grad = grad and kind(dtype) in "hfc"

    def view(self, base):
        if self.layout == "e":
            return base.expand(*self.shape) if hasattr(base, "expand") else np.broadcast_to(base, self.shape)
        return LAYOUTS[self.layout][1](base)

    @property
    def data(self):
        return self.view(self.base)

    def to(self, module):
        return self.view(make(module, self.base, self.dtype))

    def __repr__(self):
        return f"{self.dtype}{list(self.shape)}{'' if self.layout == 'c' else '/' + self.layout}"


class Call:
    """One call: positional and keyword arguments, and the result's dtype rule where the op's own does not hold."""

    __slots__ = ("args", "kwargs", "out")

    def __init__(self, args, kwargs, out=None):
        self.args, self.kwargs, self.out = args, kwargs, out

    def map(self, f):
        """The arguments with every `Arr` replaced by f(arr)."""

        def go(v):
            if isinstance(v, Arr):
                return f(v)
            return type(v)(go(x) for x in v) if isinstance(v, (list, tuple)) else v

        return [go(v) for v in self.args], {k: go(v) for k, v in self.kwargs.items()}

    def arrays(self):
        found = []
        self.map(lambda a: found.append(a) or a)
        return found

    def __repr__(self):
        return ", ".join([*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())])


def call(*args, out_=None, **kwargs):
    return Call(args, kwargs, out_)


class Gen:
    """Draws arrays of one dtype within the op's domain; the same op and dtype always draw the same numbers."""

    def __init__(self, dtype, domain, seed):
        self.dtype, self.domain, self.kind = dtype, domain, kind(dtype)
        self.rng = np.random.default_rng(zlib.crc32(seed.encode()))

    def numbers(self, shape, lo, hi, dtype):
        letter, rng = kind(dtype), self.rng
        if letter == "b":
            return rng.integers(0, 2, shape).astype(bool)
        if letter in "ui":
            lo, hi = math.ceil(max(lo, 0) if letter == "u" else lo), math.floor(hi)
            return rng.integers(lo, max(hi, lo) + 1, shape).astype(np.int64)
        values = rng.uniform(lo, hi, shape)
        return quantise(values + 1j * rng.uniform(lo, hi, shape) if letter == "c" else values, dtype)

    def __call__(self, *shape, layout="c", lo=None, hi=None, dtype=None, grad=True):
        lo, hi = self.domain[0] if lo is None else lo, self.domain[1] if hi is None else hi
        dtype = dtype or self.dtype
        stored = LAYOUTS[layout][0](shape)
        return Arr(self.numbers(stored, lo, hi, dtype), dtype, shape, layout, grad)

    def index(self, high, *shape, low=0):
        return Arr(self.rng.integers(low, high, shape), "int64", shape)

    def bools(self, *shape):
        return Arr(self.rng.integers(0, 2, shape).astype(bool), "bool", shape)

    def distinct(self, *shape, layout="c"):
        """Numbers without ties, so that every argmax, sort and topk has one answer."""
        stored = LAYOUTS[layout][0](shape)
        values = self.rng.permutation(math.prod(stored)).reshape(stored)
        if self.kind in "hfc":
            values = values / 4 - 3
        elif self.kind == "i":
            values = values - 128
        return Arr(values.astype(wide(self.dtype)), self.dtype, shape, layout)

    def exact(self, values, dtype=None, grad=True):
        dtype = dtype or self.dtype
        values = quantise(np.asarray(values), dtype)
        return Arr(values, dtype, values.shape, grad=grad)


class Op:
    def __init__(self, name, samples, ref, dtypes, out="same", ulp=0, **more):
        self.name, _, self.label = name.partition(":")
        self.id, self.samples, self.ref, self.out, self.ulp = name, samples, ref, out, ulp
        self.dtypes = [d for letter in dtypes for d in DTYPES.get(letter, ())]
        self.domain = more.pop("domain", (-9, 9))
        self.scale = more.pop("scale", None)  # "abs": reference of absolute values; else f(*args, **kwargs) or a number
        self.grad = more.pop("grad", "hfc")  # the kinds of dtype in which it is differentiable, or False
        self.grad = self.grad and "".join(d for d in self.grad if d in dtypes)
        self.inplace = more.pop("inplace", False)  # has a method name_
        self.takes_out = more.pop("takes_out", False)  # has out=
        self.method = more.pop("method", "." not in name)  # is a Tensor method too
        self.without = more.pop("without", ())  # single dtypes that torch lacks
        self.dtypes = [d for d in self.dtypes if d not in self.without]
        self.half_ulp = more.pop("half_ulp", None)  # wider for float16 and bfloat16: composed of rounded steps
        self.complex_ulp = more.pop("complex_ulp", None)
        self.also = [
            d for letter in more.pop("also", "") for d in DTYPES[letter]
        ]  # taken by torch, without a reference
        assert not more, more

    def function(self, module):
        """The callable in `module`."""
        where, _, last = self.name.rpartition(".")
        if where == "Tensor":
            return lambda x, *args, **kwargs: getattr(x, last)(*args, **kwargs)
        for part in {"F": "nn.functional"}.get(where, where).split("."):
            module = getattr(module, part) if part else module
        return getattr(module, last)

    def calls(self, dtype):
        for made in self.samples(Gen(dtype, self.domain, self.id + dtype)):
            yield made if isinstance(made, Call) else Call(made if isinstance(made, tuple) else (made,), {})

    def reference(self, sample):
        # NumPy computes functions of bool in float16.
        args, kwargs = sample.map(
            lambda a: a.data.astype(float) if self.out == "float" and a.dtype == "bool" else a.data
        )
        with np.errstate(all="ignore"):
            return self.ref(*args, **kwargs)

    def scale_of(self, sample, want):
        """The magnitude at which the op's ulp counts, one per result, or None."""
        if self.scale is None:
            return None
        with np.errstate(all="ignore"):
            if self.scale == "abs":
                args, kwargs = sample.map(lambda a: np.abs(a.data) if a.grad else a.data)
                return self.ref(*args, **kwargs)
            if callable(self.scale):
                args, kwargs = sample.map(lambda a: a.data)
                return self.scale(*args, **kwargs)
        return np.full(np.shape(want), float(self.scale))

    def bound(self, dtype):
        wider = {"h": self.half_ulp, "c": self.complex_ulp}.get(kind(dtype))
        return self.ulp if wider is None else wider

    def __repr__(self):
        return self.id


OPS = []


def op(*args, **kwargs):
    OPS.append(Op(*args, **kwargs))


def ops(names, *args, **kwargs):
    for name, ref in names.items():
        op(name, args[0], ref, *args[1:], **kwargs)


def function(path):
    """A NumPy function by name, for tables that only list names."""
    return {name: getattr(np, name) for name in path.split()}


# The table is set by hand: a formatter would give every argument its own line.
# fmt: off
# Shapes -----------------------------------------------------------------------------------------------------------
SHAPES = [((), "c"), ((0,), "c"), ((2, 0, 3), "c"), ((5,), "c"), ((131,), "c"), ((3, 4), "c"), ((3, 4), "t"),
    ((3, 7), "s")]
SHAPES += [((4, 3), "e"), ((2, 3, 5), "t"), ((67,), "o"), ((2, 1, 3, 2), "s")]
FULL = [(s, layout) for s, layout in SHAPES if 0 not in s]
PAIRS = [(((), "c"), ((), "c")), (((3,), "c"), ((), "c")), (((), "c"), ((0,), "c")), (((2, 1, 4), "c"), ((3, 1), "c"))]
PAIRS += [(((131,), "c"), ((131,), "c")), (((3, 4), "t"), ((3, 4), "c")), (((3, 4), "s"), ((4,), "c"))]
PAIRS += [(((3, 4), "e"), ((3, 1), "o")), (((0, 3), "c"), ((1, 3), "c")), (((67,), "o"), ((67,), "s"))]
PAIRS += [(((2, 3, 4), "t"), ((1, 3, 4), "e")), (((5, 1), "s"), ((1, 7), "t"))]


def unary(g):
    for shape, layout in SHAPES:
        yield g(*shape, layout=layout)


def binary(second=None, scalars=(2, 2.5)):
    """Pairs that broadcast; `second` is the second operand's own domain; then the scalars on the right."""

    def samples(g):
        more = {} if second is None else dict(zip(("lo", "hi"), second, strict=True))
        for (s, sl), (t, tl) in PAIRS:
            yield g(*s, layout=sl), g(*t, layout=tl, **more)
        for scalar in scalars:
            if isinstance(scalar, int) or g.kind in "hfc":
                yield g(3, 4), (bool(scalar) if g.kind == "b" else scalar)

    return samples


def ternary(*domains):
    def samples(g):
        own = [dict(zip(("lo", "hi"), d, strict=True)) if d else {} for d in domains] or [{}, {}, {}]
        for shapes in [((), (), ()), ((131,),) * 3, ((2, 3), (3,), (2, 1)), ((0, 2), (2,), (1, 2))]:
            yield tuple(g(*s, **d) for s, d in zip(shapes, own, strict=True))
        yield tuple(g(3, 4, layout=layout, **d) for layout, d in zip("tse", own, strict=True))

    return samples


DIMS = [((5,), "c", 0), ((3, 4), "c", 0), ((3, 4), "c", 1), ((3, 4), "t", -1), ((3, 7), "s", 0), ((4, 3), "e", 0)]
DIMS += [((2, 3, 5), "t", 1), ((2, 127), "c", 1), ((127, 2), "c", 0), ((67, 3), "o", -2)]


def whole(g):
    for shape, layout in FULL:
        yield g(*shape, layout=layout)


def along(g, keep=True, distinct=False, empty=True):
    draw = g.distinct if distinct else g
    for shape, layout, dim in DIMS:
        yield call(draw(*shape, layout=layout), dim)
        if keep:
            yield call(draw(*shape, layout=layout), dim, keepdim=True)
    if empty:
        yield call(g(3, 0), 0)
        yield call(g(2, 0, 3), -1)


def several(g):
    """Reductions over no, one or several dimensions."""
    yield from unary(g)
    yield from along(g)
    for dim in [(0, 1), (0, 2), (-1, 0), (2, 1, 0)]:
        yield call(g(2, 3, 5, layout="t"), dim)
        yield call(g(2, 3, 5), dim=dim, keepdim=True)
    yield call(g(3, 0, 2), dim=(0, 1))
    yield call(g(), 0)


def axis(f):
    """A NumPy reduction with torch's argument names."""
    return lambda x, dim=None, keepdim=False: f(x, axis=dim if np.ndim(x) else None, keepdims=keepdim)


def at_dim(f):
    return lambda x, dim: f(x, axis=dim) if np.ndim(x) else np.reshape(f(np.reshape(x, 1), axis=0), ())


# Element-wise -----------------------------------------------------------------------------------------------------
def sgn(x):
    """torch's sgn: the sign of reals, the unit of complex numbers, a bool itself."""
    if x.dtype == bool:
        return x
    return np.where(x == 0, 0, x / np.where(x == 0, 1, np.abs(x))) if np.iscomplexobj(x) else np.sign(x)


elementwise = {"inplace": True, "takes_out": True}
flags = {"out": "bool", "grad": False}
ops({"neg": np.negative, "negative": np.negative}, unary, "uihfc", **elementwise)
ops({"abs": np.abs, "absolute": np.abs}, unary, "uihfc", "real", 2, takes_out=True)
ops({"sign": sgn}, unary, "buihf", **elementwise)
ops({"sgn": sgn}, unary, "buihfc", ulp=2, **elementwise)
ops(function("floor ceil trunc round"), unary, "uihf", **elementwise)
ops({"frac": lambda x: x - np.trunc(x)}, unary, "hf", **elementwise)
ops({"square": lambda x: x * x}, unary, "uihfc", ulp=1, also="b", **elementwise)
ops({"positive": np.positive}, unary, "uihfc")
ops({"reciprocal": lambda x: 1 / x}, unary, "buihfc", "float", 2, domain=(1, 9), **elementwise)
op("sqrt", unary, np.sqrt, "buihfc", "float", 2, domain=(0, 9), **elementwise)
op("rsqrt", unary, lambda x: 1 / np.sqrt(x), "buihfc", "float", 3, domain=(1, 9), **elementwise)
ops(function("exp expm1 sin cos tanh sinh cosh tan"), unary, "buihfc", "float", 4, domain=(-4, 4), **elementwise)
ops(function("exp2"), unary, "buihfc", "float", 4, domain=(-4, 4), **elementwise)
ops(function("log log2 log10 log1p"), unary, "buihfc", "float", 4, domain=(1.05, 9), **elementwise)
ops({"asin": np.arcsin, "acos": np.arccos, "atanh": np.arctanh,
    "arcsin": np.arcsin, "arccos": np.arccos, "arctanh": np.arctanh}, unary,
    "buihfc", "float", 8, domain=(-0.9, 0.9),
    **elementwise)
ops({"atan": np.arctan, "asinh": np.arcsinh,
    "arctan": np.arctan, "arcsinh": np.arcsinh}, unary, "buihfc", "float", 8, domain=(-0.9, 0.9), **elementwise)
ops({"acosh": np.arccosh, "arccosh": np.arccosh}, unary, "buihfc", "float", 8, domain=(1.1, 9), **elementwise)
vectorised = lambda f: lambda x: np.vectorize(f, otypes=[np.float64])(np.asarray(x, np.float64))
sigmoid = lambda x: 1 / (1 + np.exp(-x))
ops({"sigmoid": sigmoid}, unary, "buihfc", "float", 4, **elementwise)
ops({"erf": vectorised(math.erf)}, unary, "buihf", "float", 2, domain=(-3, 3), **elementwise)
ops({"erfc": vectorised(math.erfc)}, unary, "buihf", "float", 4, domain=(-3, 3), **elementwise)
ops({"lgamma": vectorised(math.lgamma)}, unary, "uihf", "float", 8, domain=(2.5, 9), grad=False, also="b",
    **elementwise)
ops({"deg2rad": np.deg2rad, "rad2deg": np.rad2deg}, unary, "buihf", "float", 2, half_ulp=2, **elementwise)
ops({"logit": lambda x: np.log(x / (1 - x))}, unary, "hf", "float", 8, domain=(0.1, 0.9), scale=1, also="bui",
    **elementwise)
ops({"nan_to_num": np.nan_to_num}, unary, "buihfc", grad="hf", **elementwise)
ops({"bitwise_not": np.bitwise_not}, unary, "bui", **elementwise)
ops({"logical_not": np.logical_not}, unary, "buihfc", takes_out=True, **flags)
ops(function("isnan isfinite isinf"), unary, "buihfc", **flags)
ops({"isposinf": lambda x: x == np.inf, "isneginf": lambda x: x == -np.inf}, unary, "buihf", takes_out=True, **flags)
ops({"signbit": lambda x: x < 0}, unary, "buihf", takes_out=True, **flags)
ops({"real": np.real}, unary, "buihfc", "real")
ops({"imag": np.imag}, unary, "c", "real")
ops({"conj": np.conj, "conj_physical": np.conj}, unary, "buihfc")
ops({"angle": np.angle}, unary, "fc", "real", 4, domain=(0.5, 9), also="buih")

ops({"mul": np.multiply, "multiply": np.multiply}, binary(), "buihfc", complex_ulp=2, **elementwise)
ops({"add": np.add}, binary(), "buihfc", **elementwise)
ops({"sub": np.subtract, "subtract": np.subtract}, binary(), "uihfc", **elementwise)
ops({"add:alpha": lambda a, b, alpha: a + alpha * b}, lambda g: (call(*p, alpha=3) for p in binary(scalars=())(g)),
    "uihfc", ulp=1, scale=30, also="b", **elementwise)
ops({"sub:alpha": lambda a, b, alpha: a - alpha * b}, lambda g: (call(*p, alpha=3) for p in binary(scalars=())(g)),
    "uihfc", ulp=1, scale=30, **elementwise)
ops({"rsub": lambda a, b: b - a}, binary(), "uihfc")
ops({"div": np.divide, "true_divide": np.divide, "divide": np.divide}, binary((1, 9)), "buihfc", "float", complex_ulp=4,
    **elementwise)
rounded = {"floor": np.floor_divide, "trunc": lambda a, b: np.trunc(np.divide(a, b)), None: np.divide}
ops({"div:rounded": lambda a, b, rounding_mode: rounded[rounding_mode](a, b)},
    lambda g: (call(*p, rounding_mode=m) for m in ("floor", "trunc") for p in binary((1, 9))(g)), "uihf", **elementwise)
ops({"floor_divide": np.floor_divide}, binary((1, 9)), "uihf", grad=False, **elementwise)
ops({"remainder": np.remainder, "fmod": np.fmod}, binary((1, 9)), "uihf", ulp=1, scale=9, **elementwise)
ops({"pow": np.power}, binary((0, 3), (2, 3, 0)), "uihfc", ulp=4, complex_ulp=32, domain=(0.5, 3), **elementwise)
ops({"pow:real": np.power}, binary((-3, 3), (0.5, -1.5, -2, -1)), "hfc", ulp=4, complex_ulp=32, domain=(0.5, 3),
    **elementwise)
ops({"pow:scalar base": np.power}, lambda g: ((2 if g.kind in "ui" else 2.5, g(*s, layout=la)) for s, la in SHAPES),
    "uihfc", ulp=4, complex_ulp=32, domain=(0, 4), method=False, also="b")
ops({"atan2": np.arctan2, "arctan2": np.arctan2}, binary(scalars=()), "buihf", "float", 4, **elementwise)
ops({"hypot": np.hypot}, binary((1, 9), ()), "hf", ulp=2, **elementwise)
ops({"maximum": np.maximum, "minimum": np.minimum}, binary(scalars=()), "buihf", takes_out=True)
ops({"fmax": np.fmax, "fmin": np.fmin}, binary(scalars=()), "buihf", takes_out=True)
ops({"copysign": np.copysign}, binary((1, 9)), "hf", also="bui", **elementwise)
ops({"logaddexp": np.logaddexp}, binary(scalars=()), "hf", ulp=4, scale=1, takes_out=True, also="c")
ops({"xlogy": lambda a, b: np.where(a == 0, 0, a * np.log(b))}, binary((1.1, 9)), "hf", ulp=4, also="bui",
    **elementwise)
compare = {"eq": np.equal, "ne": np.not_equal, "not_equal": np.not_equal}
ops(compare, binary(), "buihfc", **flags, **elementwise)
ops({"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    | function("less less_equal greater greater_equal"), binary(), "buihf", **flags,
    **elementwise)
ops(function("logical_and logical_or logical_xor"), binary(scalars=()), "buihfc", **flags, **elementwise)
ops(function("bitwise_and bitwise_or bitwise_xor"), binary(scalars=(2,)), "bui", **elementwise)
ops({"bitwise_left_shift": np.left_shift, "bitwise_right_shift": np.right_shift}, binary((0, 5), (2,)), "ui",
    **elementwise)
ops({"isclose": np.isclose}, binary(scalars=()), "uihfc", **flags, also="b")


def wheres(g):
    for (s, sl), (t, tl) in PAIRS:
        yield g.bools(*np.broadcast_shapes(s, t)), g(*s, layout=sl), g(*t, layout=tl)
    yield g.bools(3, 1), g(4), g(2, 1, 4)


def clamps(g):
    yield from (call(g(*s, layout=la), -2 if g.kind != "u" else 2, 3) for s, la in SHAPES)
    yield from (call(g(5), min=1), call(g(5), max=1), call(g(3, 4), min=g(4), max=g(3, 1)), call(g(3, 4), g(4)))


def clamp(x, min=None, max=None):
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def masks(g):
    for shape, layout in SHAPES:
        yield g(*shape, layout=layout), g.bools(*shape), 1 if g.kind == "b" else 3
    yield g(3, 4), g.bools(4), g()


op("where", wheres, np.where, "buihfc", method=False)
ops({"clamp": clamp, "clip": clamp}, clamps, "uihf", also="b", **elementwise)
op("masked_fill", masks, lambda x, m, v: np.where(m, v, x), "buihfc", inplace=True)
op("lerp", ternary(None, None, (0, 1)), lambda a, b, w: a + w * (b - a), "hfc", ulp=4, scale=9, **elementwise)
three = {"addcmul": lambda a, b, c, value=1: a + value * b * c, "addcdiv": lambda a, b, c, value=1: a + value * b / c}
op("addcmul", lambda g: (call(*p, value=v) for v in (1, 3) for p in ternary()(g)), three["addcmul"], "uihfc", ulp=2,
    scale=3 * 81, **elementwise)
op("addcdiv", lambda g: (call(*p, value=v) for v in (1, 3) for p in ternary(None, None, (1, 9))(g)), three["addcdiv"],
    "hfc", ulp=3, scale=27, **elementwise)

# Reductions -------------------------------------------------------------------------------------------------------
op("sum", several, axis(np.sum), "buihfc", "sum", 4, scale="abs")
full = lambda samples: lambda g: (c for c in samples(g) if 0 not in (c.args[0] if isinstance(c, Call) else c).shape)
op("mean", full(several), axis(np.mean), "hfc", ulp=4, scale="abs")
op("nansum", several, axis(np.nansum), "buihf", "sum", 4, scale="abs")
op("prod", unary, np.prod, "buihfc", "sum", 16, domain=(0.5, 1.5))
op("prod:dim", along, axis(np.prod), "buihfc", "sum", 16, domain=(0.5, 1.5))
op("any", several, axis(np.any), "bihfc", "bool", grad=False)
op("all", several, axis(np.all), "bihfc", "bool", grad=False)
# torch keeps uint8 here, for old code that used it as bool.
op("any:uint8", several, axis(np.any), "u", grad=False)
op("all:uint8", several, axis(np.all), "u", grad=False)
op("count_nonzero", lambda g: (*unary(g), *along(g, keep=False)), lambda x, dim=None: np.count_nonzero(x, axis=dim),
    "buihfc", "int64", grad=False)
pick = lambda best, arg: (lambda x, dim, keepdim=False: (best(x, axis=dim, keepdims=keepdim),
    arg(x, axis=dim, keepdims=keepdim)))
ops({"max": np.max, "min": np.min}, whole, "buihf")
best = lambda g: along(g, distinct=True, empty=False)
ops({"max:dim": pick(np.max, np.argmax), "min:dim": pick(np.min, np.argmin)}, best, "uihf", ("same", "int64"), also="b")
ops({"amax": axis(np.max), "amin": axis(np.min)}, full(several), "buihf")
ops({"argmax": axis(np.argmax), "argmin": axis(np.argmin)},
    lambda g: (*best(g), call(g.distinct(3, 4)), call(g.distinct(3, 4, layout="t"))), "uihf", "int64", grad=False)
op("aminmax", whole, lambda x: (np.min(x), np.max(x)), "buihf", ("same", "same"))


def spread(f):
    def ref(x, dim=None, unbiased=True, keepdim=False, correction=None):
        free = correction if correction is not None else int(unbiased)
        return f(x, axis=tuple(dim) if isinstance(dim, list) else dim, ddof=free, keepdims=keepdim)

    return ref


def spreads(g):
    yield from ((g(*s, layout=la),) for s, la in FULL if np.prod(s) > 1)
    for shape, layout, dim in DIMS:
        yield from (call(g(*shape, layout=layout), dim), call(g(*shape, layout=layout), dim, keepdim=True))
        yield from (call(g(*shape, layout=layout), dim, unbiased=False),
            call(g(*shape, layout=layout), dim=dim, correction=0))
    yield from (call(g(2, 3, 5), dim=(0, 2)), call(g(2, 3, 5), dim=(0, 2), correction=2), call(g(2, 3), unbiased=False))


distinct_spread = lambda g: (c for c in spreads(g) if (c.args[0] if isinstance(c, Call) else c[0]).layout != "e")
op("var", distinct_spread, spread(np.var), "hfc", "real", 8, scale=80)
op("std", distinct_spread, spread(np.std), "hfc", "real", 8, scale=9)
op("var_mean", distinct_spread, lambda *a, **k: (spread(np.var)(*a, **k),
    axis(np.mean)(a[0], *(a[1:2] or [k.get("dim")]), k.get("keepdim", False))), "hf", ("same", "same"), 8, also="c",
    scale=lambda *a, **k: (80.0, 9.0), method=False)
op("median", lambda g: (g.distinct(5), g.distinct(3, 5), g.distinct(4), g.distinct(2, 3, layout="t")),
    lambda x: np.sort(x, axis=None)[(x.size - 1) // 2], "uihf")


def norms(g):
    yield from (g(*s, layout=la) for s, la in FULL)
    yield from (call(g(3, 4), p) for p in (1, 2, 3, 0.5, math.inf, -math.inf))
    yield from (call(g(*s, layout=la), 2, dim) for s, la, dim in DIMS)
    yield from (call(g(2, 3, 5), 2, dim=(0, 2), keepdim=True), call(g(2, 3, 5), p=1, dim=1), call(g(3, 4), dim=0))


def vector_norm(x, p=2, dim=None, keepdim=False, ord=None):
    p = 2 if p == "fro" else p
    p, size = p if ord is None else ord, np.abs(x)
    if p == 0:
        return np.sum(size != 0, axis=dim, keepdims=keepdim)
    if math.isinf(p):
        return (np.max if p > 0 else np.min)(size, axis=dim, keepdims=keepdim)
    return np.sum(size**p, axis=dim, keepdims=keepdim) ** (1 / p)


op("norm", norms, vector_norm, "hfc", "real", 8)
op("linalg.vector_norm", lambda g: (Call([*c.args], {{"p": "ord"}.get(k, k): v for k,
    v in c.kwargs.items()}) if isinstance(c, Call) else c for c in norms(g)), vector_norm, "hfc", "real", 8)
op("linalg.norm", lambda g: (g(5), g(3, 4), g(3, 4, layout="t"), g(131), call(g(3, 4), dim=1), call(g(3, 4), 2, 0),
    call(g(5), 3), call(g(3, 4), "fro")), lambda x, ord=None, dim=None: vector_norm(x,
    2 if ord in (None, "fro") else ord, dim), "hfc", "real", 8)
op("linalg.matrix_norm", lambda g: (g(3, 4), g(2, 3, 4), call(g(3, 4), 1), call(g(2, 3, 4), math.inf, keepdim=True)),
    lambda x, ord="fro", keepdim=False: np.linalg.norm(x, ord, axis=(-2, -1), keepdims=keepdim), "hfc", "real", 8)


def logsumexp(x, dim, keepdim=False):
    top = np.max(x, axis=dim, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=dim, keepdims=True)) + top
    return total if keepdim else np.squeeze(total, axis=dim)


op("logsumexp", lambda g: (*along(g, empty=False), call(g(2, 3, 5), (0, 2)), call(g(2, 3, 5), (0, 1), keepdim=True)),
    logsumexp, "hf", ulp=8, scale=1, also="buic")
scan = lambda g: (c for c in (*along(g, keep=False), call(g(), 0), call(g(0), 0)))
op("cumsum", scan, at_dim(np.cumsum), "buihfc", "sum", 8, scale="abs")
op("cumprod", scan, at_dim(np.cumprod), "buihfc", "sum", 32, domain=(0.5, 1.5))
op("logcumsumexp", scan, at_dim(np.logaddexp.accumulate), "hf", ulp=8, scale=1, also="c")
op("cummax", lambda g: along(g, keep=False, distinct=True, empty=False),
    lambda x, dim: (np.maximum.accumulate(x, axis=dim), latest_best(x, dim, np.maximum)), "uihf", ("same", "int64"),
    also="b")
op("cummin", lambda g: along(g, keep=False, distinct=True, empty=False),
    lambda x, dim: (np.minimum.accumulate(x, axis=dim), latest_best(x, dim, np.minimum)), "uihf", ("same", "int64"),
    also="b")
op("diff", lambda g: (g(5), g(3, 4), call(g(3, 4), dim=0), call(g(2, 5), 2), g(2, 4, layout="t")),
    lambda x, n=1, dim=-1: np.diff(x, n, dim), "uihfc", ulp=2, scale=40, also="b")


def latest_best(x, dim, best):
    """The last position at or before each element where the running best was attained (torch keeps the latest)."""
    moved = np.moveaxis(x, dim, -1)
    running = best.accumulate(moved, axis=-1)
    found = np.zeros(moved.shape, np.int64)
    for at in np.ndindex(moved.shape[:-1]):
        last = 0
        for i in range(moved.shape[-1]):
            last = i if moved[at][i] == running[at][i] else last
            found[at][i] = last
    return np.moveaxis(found, -1, dim)


# Views and shapes -------------------------------------------------------------------------------------------------
def shaped(*cases, draw=lambda g, shape, layout: g(*shape, layout=layout)):
    """Calls on a tensor of a shape: (shape, layout, *args), kwargs in a trailing dict."""

    def samples(g):
        for shape, layout, *args in cases:
            kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
            yield call(draw(g, shape, layout), *args, **kwargs)

    return samples


EVERY = "buihfc"
op("reshape", shaped(((6,), "c", (2, 3)), ((2, 3), "t", (6,)), ((2, 3, 4), "t", (4, -1)), ((0, 3), "c", (3, 0)),
    ((), "c", (1, 1)), ((4, 3), "e", (12,)), ((1,), "c", ()), ((3, 4), "s", (2, -1))), np.reshape, EVERY)
op("Tensor.view", shaped(((6,), "c", 2, 3), ((2, 3), "c", -1), ((2, 3, 4), "c", (6, 4)), ((0, 3), "c", 3, 0),
    ((3, 4), "s", 3, 2, 2), ((4, 3), "e", 4, 3, 1)), lambda x, *s: np.reshape(x,
    s[0] if isinstance(s[0], tuple) else s), EVERY)
op("permute", shaped(((2, 3, 4), "c", (2, 0, 1)), ((2, 3), "t", (-1, 0)), ((), "c", ()), ((2, 0), "c", (1, 0))),
    np.transpose, EVERY)
swaps = shaped(((2, 3, 4), "c", 0, 2), ((2, 3), "s", -1, 0), ((), "c", 0, -1), ((2, 0), "c", 1, 0))
swap = lambda x, i, j: np.swapaxes(x, i, j) if np.ndim(x) else x
ops({"transpose": swap, "swapaxes": swap, "swapdims": swap}, swaps, EVERY)
op("t", shaped(((2, 3), "c"), ((3,), "c"), ((), "c"), ((2, 3), "s")), np.transpose, EVERY)
ops({"movedim": np.moveaxis, "moveaxis": np.moveaxis}, shaped(((2, 3, 4), "c", 0, -1), ((2, 3, 4), "t",
    (0, 1), (2, 0))), EVERY)
op("unsqueeze", shaped(((3,), "c", 0), ((3,), "c", -1), ((), "c", 0), ((2, 3), "t", 1), ((2, 0), "c", 2)),
    np.expand_dims, EVERY)


def squeeze(x, dim=None):
    if dim is None:
        return np.squeeze(x)
    dims = [d % max(x.ndim, 1) for d in (dim if isinstance(dim, tuple) else (dim,))]
    return x.reshape([n for d, n in enumerate(x.shape) if n != 1 or d not in dims])


op("squeeze", shaped(((2, 1, 3, 1), "c"), ((2, 1, 3), "c", 1), ((2, 1), "t", -1), ((2, 3), "c", 0),
    ((1, 2, 1), "c", (0, 2)), ((), "c")), squeeze, EVERY)
sizes = lambda x, s: [n if m == -1 else m for m, n in zip(s, (1,) * (len(s) - x.ndim) + x.shape, strict=True)]
op("Tensor.expand", shaped(((3, 1), "c", (3, 4)), ((3,), "c", (2, -1)), ((), "c", (2, 3)), ((1, 3), "t", (0, 3)),
    ((2, 1, 3), "s", (2, 4, -1))), lambda x, s: np.broadcast_to(x, sizes(x, s)), EVERY)
op("broadcast_to", shaped(((3, 1), "c", (3, 4)), ((3,), "c", (2, 3)), ((), "c", (2, 2))), np.broadcast_to, EVERY)
op("Tensor.expand_as", lambda g: ((g(3, 1), g(2, 3, 4, grad=False)), (g(), g(2, grad=False))),
    lambda x, y: np.broadcast_to(x, y.shape), EVERY)
op("flatten", shaped(((2, 3, 4), "c"), ((2, 3, 4), "t"), ((2, 3, 4), "c", 1), ((2, 3, 4), "c", 0, 1), ((), "c"),
    ((2, 0, 3), "c", 1, -1)), lambda x, i=0, j=-1: (x.reshape(1) if not x.ndim else x.reshape(*x.shape[:i],
    int(np.prod(x.shape[i : j % x.ndim + 1])), *x.shape[j % x.ndim + 1 :])), EVERY)
op("unflatten", shaped(((2, 12), "c", 1, (3, 4)), ((12, 2), "t", 0, (-1, 4))),
    lambda x, d, s: x.reshape(*x.shape[:d], *[x.shape[d] // 4 if n == -1 else n for n in s], *x.shape[d + 1 :]), EVERY)
op("ravel", shaped(((2, 3), "c"), ((2, 3), "t"), ((), "c")), np.ravel, EVERY)
op("narrow", shaped(((5, 3), "c", 0, 1, 3), ((5, 3), "t", -1, 0, 2), ((5,), "c", 0, 5, 0)),
    lambda x, d, i, n: np.take(x, range(i, i + n), axis=d), EVERY)
op("select", shaped(((5, 3), "c", 0, 1), ((5, 3), "t", -1, -1), ((5,), "c", 0, 4)),
    lambda x, d, i: np.take(x, i, axis=d), EVERY)
op("diagonal", shaped(((3, 4), "c"), ((3, 4), "t", 1), ((3, 4), "c", -2), ((2, 3, 4), "c", 0, 1, 2),
    ((2, 3, 4), "c", 1, 0, -1)), np.diagonal, EVERY)
op("diag", shaped(((3, 4), "c"), ((3,), "c"), ((3,), "c", 1), ((3, 4), "t", -1)), np.diag, EVERY)
op("Tensor.unfold", shaped(((7,), "c", 0, 3, 2), ((2, 6), "c", 1, 2, 1), ((6, 2), "t", 0, 3, 3)),
    lambda x, d, n, step: np.lib.stride_tricks.sliding_window_view(x, n, d).take(range(0, x.shape[d] - n + 1, step), d),
    EVERY)
ops({"tril": np.tril, "triu": np.triu}, shaped(((3, 4), "c"), ((4, 3), "t", 1), ((2, 3, 3), "c", -1), ((0, 3), "c")),
    EVERY, inplace=True)
op("flip", shaped(((5,), "c", (0,)), ((2, 3, 4), "t", (0, 2)), ((2, 3), "s", [-1]), ((2, 0), "c", (0,))), np.flip,
    EVERY)
op("roll", shaped(((5,), "c", 2), ((2, 3), "c", 1, 1), ((2, 3, 4), "t", (1, -2), (0, 2)), ((2, 3), "s", 4)), np.roll,
    EVERY)
op("rot90", shaped(((2, 3), "c"), ((2, 3), "t", 2), ((2, 3, 4), "c", -1, (1, 2))),
    lambda x, k=1, axes=(0, 1): np.rot90(x, k, axes), EVERY)
op("Tensor.repeat", shaped(((3,), "c", 2), ((2, 3), "t", 2, 1), ((2, 3), "c", 2, 2, 2), ((), "c", 3), ((2,), "c", 0)),
    lambda x, *n: np.tile(x, n), EVERY)
op("tile", shaped(((3,), "c", (2,)), ((2, 3), "t", (2, 1)), ((2, 3), "c", (2,))), np.tile, EVERY)
op("repeat_interleave", shaped(((3,), "c", 2), ((2, 3), "c", 2), ((2, 3), "t", 3, 1),
    ((2, 3), "c", {"repeats": 2, "dim": 0})), lambda x, repeats, dim=None: np.repeat(x, repeats, dim), EVERY)
op("repeat_interleave:tensor", lambda g: [(g(3, 2), g.exact([1, 0, 2], "int64"), 0)], np.repeat, EVERY)
op("clone", unary, np.copy, EVERY)
op("Tensor.contiguous", unary, np.copy, EVERY)
op("Tensor.as_strided", shaped(((12,), "c", (3, 2), (4, 1)), ((12,), "c", (3, 4), (2, 1)),
    ((6,), "c", (2, 2), (0, 1), 3)), lambda x, s, t, o=0: np.lib.stride_tricks.as_strided(x[o:], s,
    [n * x.itemsize for n in t]), EVERY)

pieces = lambda x, ends, dim: np.split(x, ends, axis=dim)
op("chunk", shaped(((7,), "c", 3), ((2, 6), "c", 4, 1), ((6, 2), "t", 2, -2), ((0,), "c", 2)),
    lambda x, n, dim=0: (pieces(x, range(-(-x.shape[dim] // n), x.shape[dim], max(-(-x.shape[dim] // n), 1)),
    dim) if x.size else [x, x]), EVERY)
op("split", shaped(((7,), "c", 3), ((2, 6), "c", 4, 1), ((6, 2), "t", [1, 5], 0), ((6, 2), "c", [2, 0, 4])),
    lambda x, n, dim=0: pieces(x, np.cumsum(n)[:-1] if isinstance(n, list) else range(n, x.shape[dim], n), dim), EVERY)
op("tensor_split", shaped(((7,), "c", 3), ((2, 6), "c", (1, 4), 1)), lambda x, n, dim=0: np.array_split(x, n, axis=dim),
    EVERY)
op("unbind", shaped(((3,), "c"), ((2, 3), "t", 1), ((2, 3), "c", -1)), lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
    EVERY)


def joins(g):
    yield call([g(2, 3), g(2, 3, layout="t"), g(2, 3, layout="s")])
    yield call([g(3), g(3)], 0)
    yield call([g(2, 3), g(2, 3, layout="e")], dim=-1)
    yield call((g(2, 3, 1), g(2, 3, 1)), 1)


def uneven(g):
    yield from joins(g)
    yield call([g(2, 3), g(0, 3), g(4, 3, layout="t")], 0)
    yield call([g(2, 3)], 1)


joined = lambda f: lambda parts, dim=0: f(parts, axis=dim)
ops({name: joined(np.concatenate) for name in ("cat", "concat", "concatenate")}, uneven, EVERY, method=False)
op("stack", joins, joined(np.stack), EVERY, method=False)
ops({"hstack": np.hstack, "vstack": np.vstack, "dstack": np.dstack, "column_stack": np.column_stack},
    lambda g: (call([g(2, 3), g(2, 3)]), call((g(3), g(3)))), EVERY, method=False)
op("meshgrid", lambda g: (call(g(2), g(3), indexing="ij"), call(g(2), g(3), g(2), indexing="xy")),
    lambda *x, indexing: list(np.meshgrid(*x, indexing=indexing)), EVERY, method=False)
op("broadcast_tensors", lambda g: ((g(2, 1), g(3)), (g(), g(2))), lambda *x: list(np.broadcast_arrays(*x)), EVERY,
    method=False)

# Gather, scatter, index -------------------------------------------------------------------------------------------


def gathers(g):
    yield from ((g(5), 0, g.index(5, 7)), (g(3, 4), 0, g.index(3, 2, 4)), (g(3, 4, layout="t"), 1, g.index(4, 3, 6)))
    yield from ((g(2, 3, 4), -1, g.index(4, 2, 3, 2)), (g(3, 4, layout="e"), 0, g.index(3, 3, 4)),
        (g(3, 4), 1, g.index(4, 3, 0)))
    yield from ((g(3, 4), 1, g.index(4, 2, 3)), (g(), 0, g.index(1)))


def gather(x, dim, index):
    out = np.zeros(index.shape, np.asarray(x).dtype)
    for at in np.ndindex(index.shape):
        out[at] = x[tuple(int(index[at]) if d == dim % x.ndim else i for d, i in enumerate(at))] if np.ndim(x) else x
    return out


def scatters(g, value=True):
    yield from ((g(5), 0, permuted(g, 5), g(5)), (g(3, 4), 1, permuted(g, 3, 4), g(3, 4)),
        (g(3, 4, layout="t"), 0, g.index(1, 1, 4), g(2, 4, grad=False)))
    yield g(3, 4), 1, g.index(4, 3, 0), g(3, 0)
    if value:
        yield from ((g(3, 4), 1, g.index(4, 3, 2), 2 if g.kind != "b" else True),
            (g(3, 4), 0, g.index(3, 1, 4), 1 if g.kind != "b" else True))


def permuted(g, *shape):
    """Indices along the last dimension without repeats."""
    return g.exact(np.argsort(g.rng.random(shape), axis=-1), "int64")


def scatter_with(f):
    def ref(x, dim, index, src):
        out = np.array(x)
        for at in np.ndindex(index.shape):
            to = tuple(int(index[at]) if d == dim % x.ndim else i for d, i in enumerate(at))
            out[to] = f(out[to], src[at] if np.ndim(src) else src)
        return out

    return ref


op("gather", gathers, gather, EVERY)
op("scatter", scatters, scatter_with(lambda old, new: new), EVERY, inplace=True)
op("scatter_add", lambda g: (*scatters(g, value=False), (g(3, 4), 1, g.index(4, 3, 5 - 1), g(3, 4)),
    (g(5), 0, g.index(5, 9), g(9))), scatter_with(lambda old, new: old + new), EVERY, ulp=2, scale=60, half_ulp=8,
    inplace=True)


def scatter_reduce(x, dim, index, src, reduce, include_self=True):
    f = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce]
    return scatter_with(f)(x, dim, index, src)


op("scatter_reduce", lambda g: (call(g(3, 4), 1, g.index(4, 3, 4), g(3, 4), r) for r in ("sum", "prod", "amax",
    "amin")), scatter_reduce, "uihf", ulp=4, scale=1e4, half_ulp=8, inplace=True, grad=False, also="bc")
op("index_select", lambda g: ((g(5), 0, g.index(5, 7)), (g(3, 4, layout="t"), 1, g.index(4, 2)),
    (g(3, 4), -2, g.index(3, 0)), (g(2, 3, 4), 1, g.index(3, 3)), (g(2, 3), 0, g.exact([1, 0], "int32"))),
    lambda x, d, i: np.take(x, i, axis=d), EVERY)


def index_add(x, dim, index, source, alpha=1):
    out = np.moveaxis(np.array(x), dim, 0)
    np.add.at(out, index, alpha * np.moveaxis(source, dim, 0)) if out.dtype != bool else np.logical_or.at(out, index,
        np.moveaxis(source, dim, 0))
    return np.moveaxis(out, 0, dim)


def index_set(x, dim, index, source):
    out = np.moveaxis(np.array(x), dim, 0)
    out[index] = source if np.ndim(source) == 0 else np.moveaxis(source, dim, 0)
    return np.moveaxis(out, 0, dim)


op("index_add", lambda g: (call(g(5), 0, g.index(5, 7), g(7)), call(g(3, 4, layout="t"), 1, g.index(4, 2), g(3, 2)),
    call(g(3, 4), 0, g.index(3, 5), g(5, 4))), index_add, "buihfc", ulp=2, scale=60, half_ulp=8, inplace=True)
op("index_copy", lambda g: ((g(5), 0, permuted(g, 5), g(5)),
    (g(3, 4, layout="t"), 1, g.exact([2, 0], "int64"), g(3, 2))), index_set, EVERY, inplace=True)
op("index_fill", lambda g: ((g(5), 0, g.index(5, 2), 1), (g(3, 4, layout="t"), 1, g.exact([2, 0], "int64"), 1),
    (g(3, 4), 0, g.index(3, 2), g())), index_set, EVERY, inplace=True)
op("masked_select", lambda g: ((g(5), g.bools(5)), (g(3, 4, layout="t"), g.bools(3, 4)), (g(3, 4), g.bools(4)),
    (g(3, 1), g.bools(3, 2)), (g(0), g.bools(0))), lambda x, m: np.broadcast_to(x,
    np.broadcast_shapes(x.shape, m.shape))[np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))], EVERY)
op("masked_scatter", lambda g: ((g(5), g.exact([True, False, True, True, False], "bool"), g(4)),
    (g(2, 3, layout="t"), g.bools(2, 3), g(6))), lambda x, m, s: placed(x, m, s), EVERY, inplace=True)


def placed(x, mask, source):
    out = np.array(x)
    out[mask] = source.reshape(-1)[: mask.sum()]
    return out


op("take", lambda g: ((g(5), g.index(5, 7)), (g(3, 4, layout="t"), g.index(12, 2, 3)),
    (g(3, 4), g.index(12, 4, low=-12))), np.take, EVERY)
op("take_along_dim", lambda g: ((g(3, 4), g.index(4, 3, 2), 1), (g(3, 4), g.index(12, 5))),
    lambda x, i, dim=None: np.take_along_axis(x, i, dim), EVERY)
op("index_put", lambda g: (call(g(5), (permuted(g, 5),), g(5)),
    call(g(3, 4), (g.exact([0, 2], "int64"), g.exact([1, 1], "int64")), g(2)),
    call(g(3, 4), (g.index(3, 5), g.index(4, 5)), g(5), accumulate=True)),
    lambda x, i, v, accumulate=False: put(x, i, v, accumulate), EVERY, ulp=2, scale=60, half_ulp=8, inplace=True)


def put(x, index, values, accumulate):
    out = np.array(x)
    if accumulate:
        (np.logical_or if out.dtype == bool else np.add).at(out, index, values)
    else:
        out[index] = values
    return out


op("nonzero", lambda g: (g(5), g(3, 4, layout="t"), g(2, 3, layout="s"), g(0), g()), lambda x: np.argwhere(x), EVERY,
    "int64", grad=False)
op("where:condition", lambda g: (g.bools(5), g.bools(2, 3), g.bools(0)), lambda c: list(np.nonzero(c)), "b", "int64",
    grad=False, method=False)
ordered = lambda x, dim=-1, descending=False: (np.flip(np.argsort(x, axis=dim), dim) if descending else np.argsort(x,
    axis=dim))
order = lambda g: (call(g.distinct(5)), call(g.distinct(3, 4), dim=0), call(g.distinct(3, 4, layout="t"), 1, True),
    call(g.distinct(2, 127)), call(g.distinct(0)))
op("sort", order, lambda x, dim=-1, descending=False: (np.take_along_axis(x, ordered(x, dim, descending), dim),
    ordered(x, dim, descending)), "uihf", ("same", "int64"), also="b")
op("argsort", order, ordered, "uihf", "int64", grad=False, also="b")


def topk(x, k, dim=-1, largest=True, sorted=True):
    where = np.take(ordered(x, dim, largest), range(k), axis=dim)
    return np.take_along_axis(x, where, dim), where


op("topk", lambda g: (call(g.distinct(7), 3), call(g.distinct(3, 5), 2, dim=0),
    call(g.distinct(3, 5, layout="t"), 4, largest=False), call(g.distinct(3, 5), 0)), topk, "uihf", ("same", "int64"))
op("kthvalue", lambda g: (call(g.distinct(7), 3), call(g.distinct(3, 5), 2, 0)),
    lambda x, k, dim=-1: (np.take(np.sort(x, dim), k - 1, dim), np.take(np.argsort(x, dim), k - 1, dim)), "uihf",
    ("same", "int64"))
op("unique", lambda g: (g(9, lo=0, hi=4), g(3, 4, layout="t", lo=0, hi=3), g(0)), np.unique, "buihf", grad=False)
op("bincount", lambda g: (g(9, lo=0, hi=6), call(g(4, lo=0, hi=3), minlength=7)), np.bincount, "ui", "int64",
    grad=False)
op("searchsorted", lambda g: (call(g.exact([1, 3, 5, 7]), g.exact([0, 3, 4, 9])),
    call(g.exact([1, 3, 5, 7]), g.exact([[0, 3], [5, 7]]), right=True)),
    lambda s, v, right=False: np.searchsorted(s, v, "right" if right else "left"), "uihf", "int64", grad=False,
    method=False)
op("F.embedding", lambda g: ((g.index(5, 3), g(5, 2)), (g.index(5, 2, 3), g(5, 4, layout="t")),
    (g.index(5, 0), g(5, 2))), lambda i, w: w[i], "hfc", also="bui", grad="hf")
op("F.one_hot", lambda g: (call(g.index(4, 3), 4), call(g.index(4, 2, 3), num_classes=5),
    call(g.exact([0, 2], "int64"))), lambda i, num_classes=None: np.eye(num_classes or i.max() + 1)[i], "i", "int64",
    without=("int8", "int16", "int32"))

# Activations and softmax ------------------------------------------------------------------------------------------


def softmax(x, dim):
    e = np.exp(x - np.max(x, axis=dim, keepdims=True))
    return e / np.sum(e, axis=dim, keepdims=True)


# Rounding x - max, up to 18 here, to float32 moves its exponential by 8 ulp.
soft = lambda g: (call(g(5), 0), call(g(3, 4), dim=-1), call(g(3, 4, layout="t"), 0), call(g(2, 131), 1),
    call(g(2, 3, 4), 1), call(g(3, 0), 0), call(g(2, 3, 2, layout="s"), -2))
logsoft = lambda x, dim: (x - np.max(x, axis=dim, keepdims=True) - np.log(np.sum(np.exp(x - np.max(x, axis=dim,
    keepdims=True)), axis=dim, keepdims=True)))
ops({"softmax": softmax, "F.softmax": softmax}, soft, "hf", ulp=16)
ops({"log_softmax": logsoft, "F.log_softmax": logsoft}, soft, "hf", ulp=8, scale=1)
op("F.softmin", soft, lambda x, dim: softmax(-x, dim), "hf", ulp=16)
ops({"relu": lambda x: np.maximum(x, 0), "F.relu": lambda x: np.maximum(x, 0)}, unary, "uihf")
normal_cdf = lambda x: 0.5 * vectorised(math.erfc)(-x / math.sqrt(2))
op(
    "F.gelu",
    lambda g: (*unary(g), call(g(5), approximate="none"), call(g(5), approximate="tanh")),
    lambda x, approximate="none": (
        x * normal_cdf(x)
        if approximate == "none"
        else 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "hf",
    ulp=8,
    scale=1,
)
softplus = lambda x, beta=1, threshold=20: np.where(x * beta > threshold, x,
    np.log1p(np.exp(np.minimum(beta * x, threshold))) / beta)
op("F.softplus", lambda g: (*unary(g), call(g(5), 2), call(g(5), beta=3, threshold=4)), softplus, "hf", ulp=8)
op("F.silu", unary, lambda x: x * sigmoid(x), "hf", ulp=6, also="c")
op("F.logsigmoid", unary, lambda x: -np.log1p(np.exp(-x)), "hf", ulp=8, scale=1)
op("F.leaky_relu", lambda g: (*unary(g), call(g(5), 0.2), call(g(5), negative_slope=0.5)),
    lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope), "hf", ulp=1)
op("F.elu", lambda g: (*unary(g), call(g(5), 2.0)), lambda x, alpha=1.0: np.where(x > 0, x,
    alpha * np.expm1(np.minimum(x, 0))), "hf", ulp=4, half_ulp=4)
op("F.selu", unary, lambda x: (1.0507009873554804934193349852946 * np.where(x > 0, x,
    1.6732632423543772848170429916717 * np.expm1(np.minimum(x, 0)))), "hf", ulp=6)
op("F.relu6", unary, lambda x: np.clip(x, 0, 6), "uihf")
op("F.hardtanh", lambda g: (*unary(g), call(g(5), -2, 3)), lambda x, lo=-1, hi=1: np.clip(x, lo, hi), "ihf")
op("F.mish", unary, lambda x: x * np.tanh(np.log1p(np.exp(x))), "hf", ulp=8)
op("F.glu", lambda g: (g(4), call(g(3, 4), 1), call(g(4, 3), dim=0)),
    lambda x, dim=-1: np.split(x, 2, dim)[0] * sigmoid(np.split(x, 2, dim)[1]), "hf", ulp=4)
ops({"F.sigmoid": sigmoid, "F.tanh": np.tanh}, unary, "buihf", "float", ulp=4, also="c")
norm_of = lambda x, p, dim: np.sum(np.abs(x) ** p, axis=dim, keepdims=True) ** (1 / p)
op("F.normalize", lambda g: (g(3, 4), call(g(3, 4, layout="t"), dim=0), call(g(3, 4), p=1.0)),
    lambda x, p=2.0, dim=1: x / norm_of(x, p, dim), "hfc", ulp=8)
op("F.cosine_similarity", lambda g: ((g(3, 4), g(3, 4)), (g(3, 4), g(1, 4)), call(g(2, 3), g(2, 3), dim=0),
    call(g(5), g(5), 0)), lambda a, b, dim=1: np.sum(a * b, dim) / np.sqrt(np.sum(a * a, dim) * np.sum(b * b, dim)),
    "hf", ulp=8, scale=1)

# Products ---------------------------------------------------------------------------------------------------------
# The ulp of a product counts at the product of absolute values: |A| @ |B|. Halves accumulate in float32 and round once.
PRODUCT = {"ulp": 6, "half_ulp": 1.05, "scale": "abs"}
vectors = lambda g: (*((g(n), g(n)) for n in (0, 1, 5, 131)), (g(7, layout="s"), g(7, layout="o")),
    (g(5, layout="e"), g(5)))
op("dot", vectors, np.dot, "uihfc", **PRODUCT, takes_out=True)
op("vdot", vectors, np.vdot, "uihfc", **PRODUCT, takes_out=True)
op("inner", lambda g: (*vectors(g), (g(2, 3), g(4, 3)), (g(2, 3, layout="t"), g(3)), (g(), g(2))), np.inner, "uihfc",
    **PRODUCT)
ops({"outer": np.outer, "ger": np.outer}, lambda g: ((g(3), g(4)), (g(3, layout="s"), g(1)), (g(0), g(2))), "uihfc",
    ulp=1, scale="abs", also="b")
MATRICES = [((3, 4), "c", (4, 5), "c"), ((3, 4), "t", (4, 5), "c"), ((3, 4), "c", (4, 5), "t"),
    ((3, 4), "s", (4, 2), "s")]
MATRICES += [((1, 4), "e", (4, 3), "e"), ((17, 33), "c", (33, 19), "t"), ((0, 4), "c", (4, 2), "c"),
    ((2, 0), "c", (0, 3), "c")]
MATRICES += [((1, 1), "c", (1, 1), "c"), ((4, 3), "o", (3, 4), "o"), ((3, 4), "e", (4, 3), "c")]
matrices = lambda g: ((g(*s, layout=sl), g(*t, layout=tl)) for s, sl, t, tl in MATRICES)
op("mm", matrices, np.matmul, "uihfc", **PRODUCT, takes_out=True)
op("mv", lambda g: ((g(3, 4), g(4)), (g(3, 4, layout="t"), g(4, layout="s")), (g(0, 3), g(3)), (g(2, 0), g(0)),
    (g(33, 67), g(67)), (g(3, 4, layout="e"), g(4))), np.matmul, "uihfc", **PRODUCT, takes_out=True)
BATCHES = [((2, 3, 4), "c", (2, 4, 5), "c"), ((2, 3, 4), "t", (2, 4, 5), "s"), ((0, 3, 4), "c", (0, 4, 2), "c")]
BATCHES += [((3, 2, 2), "e", (3, 2, 4), "c"), ((2, 3, 0), "c", (2, 0, 2), "c"), ((5, 9, 17), "c", (5, 17, 8), "t")]
batches = lambda g: ((g(*s, layout=sl), g(*t, layout=tl)) for s, sl, t, tl in BATCHES)
op("bmm", batches, np.matmul, "uihfc", **PRODUCT, takes_out=True)


def matmuls(g):
    yield from (*vectors(g), *matrices(g), *batches(g))
    yield from ((g(3, 4), g(4)), (g(4), g(4, 3)), (g(2, 3, 4), g(4)), (g(4), g(2, 4, 3)), (g(10, 2, 3), g(3, 4)))
    yield from ((g(2, 1, 3, 4), g(5, 4, 2)), (g(3, 4), g(2, 4, 3)), (g(2, 3, 4, layout="t"), g(4, 2, layout="t")),
        (g(0, 2, 3), g(3, 4)))


op("matmul", matmuls, np.matmul, "uihfc", **PRODUCT, takes_out=True)
op("linalg.vecdot", lambda g: ((g(5), g(5)), (g(3, 4), g(3, 4)), (g(2, 1, 4), g(3, 4)), call(g(3, 4), g(3, 4), dim=0)),
    lambda a, b, dim=-1: np.sum(np.conj(a) * b, dim), "hfc", **{**PRODUCT, "half_ulp": 4})


def adding(shapes):
    def samples(g):
        for c, a, b in shapes:
            for scales in ({}, {"beta": 2, "alpha": 3}):
                yield call(g(*c), g(*a, layout="t"), g(*b), **scales)
        yield call(g(*shapes[0][0]), g(*shapes[0][1]), g(*shapes[0][2], layout="s"), beta=0)

    return samples


plus = lambda f: lambda c, a, b, beta=1, alpha=1: beta * c + alpha * f(a, b)
op("addmm", adding([((3, 5), (3, 4), (4, 5)), ((5,), (3, 4), (4, 5)), ((3, 1), (3, 0), (0, 5))]), plus(np.matmul),
    "uihfc", **PRODUCT, inplace=True)
op("addmv", adding([((3,), (3, 4), (4,)), ((), (3, 4), (4,))]), plus(np.matmul), "uihfc", **PRODUCT)
op("addr", adding([((3, 4), (3,), (4,)), ((4,), (3,), (4,))]), plus(np.outer), "uihfc", ulp=3, scale="abs", also="b")
op("baddbmm", adding([((2, 3, 5), (2, 3, 4), (2, 4, 5)), ((5,), (2, 3, 4), (2, 4, 5))]), plus(np.matmul), "uihfc",
    **PRODUCT, inplace=True)
op("addbmm", adding([((3, 5), (2, 3, 4), (2, 4, 5))]), plus(lambda a, b: np.matmul(a, b).sum(0)), "uihfc", **PRODUCT)
op("kron", lambda g: ((g(2, 3), g(3, 2)), (g(2), g(3)), (g(2, 2), g(2, 1, 2)), (g(), g(3))), np.kron, "uihfc", ulp=1,
    scale="abs", also="b")
op("tensordot", lambda g: (call(g(3, 4), g(4, 5), 1), call(g(2, 3, 4), g(3, 4, 5), dims=2),
    call(g(2, 3, 4), g(4, 3, 2), dims=([1, 2], [1, 0])), call(g(3), g(4), 0),
    call(g(3, 4, layout="t"), g(3, 2), dims=([0], [0]))), lambda a, b, dims=2: np.tensordot(a, b, dims), "uihfc",
    **PRODUCT, method=False)
EQUATIONS = [("ij,jk->ik", (3, 4), (4, 5)), ("ij,ij->i", (3, 4), (3, 4)), ("ij,ij", (3, 4), (3, 4)),
    ("i,j->ij", (3,), (4,))]
EQUATIONS += [("ii->i", (3, 3)), ("ij->ji", (2, 3)), ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2))]
EQUATIONS += [("ijk,jl->ilk", (6, 4, 1), (4, 5)), ("bij,bjk,bkl->bil", (2, 3, 4), (2, 4, 2), (2, 2, 3)),
    ("a,ab,b->", (3,), (3, 4), (4,))]
EQUATIONS += [("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij,kj->ik", (3, 0), (2, 0))]
EQUATIONS += [("b i , b j -> b i j", (2, 3), (2, 4)), ("ij,jk,kl", (2, 3), (3, 4), (4, 2)),
    ("ab,cd->abcd", (2, 3), (2, 2))]
SUMS = [("ii", (3, 3)), ("ij->", (2, 3)), ("i...->...", (3, 4)), ("ijj->i", (2, 3, 3))]
equations = lambda rows: lambda g: ((eq, *(g(*s, layout="t") for s in shapes)) for eq, *shapes in rows)
einsum = lambda eq, *x: np.einsum(eq.replace(" ", ""), *x)
op("einsum", equations(EQUATIONS), einsum, "uihfc", **{**PRODUCT, "half_ulp": 4}, method=False)
op("einsum:sums", equations(SUMS), einsum, "uihfc", "sum", **PRODUCT, method=False, also="b")
chain = lambda g: ((g(2, 3), g(3, 4), g(4, 2)), (g(2, 3), g(3, 4)), (g(5, 1), g(1, 5), g(5, 2), g(2, 3)))
op("chain_matmul", chain, lambda *m: m[0] if len(m) == 1 else np.linalg.multi_dot(m), "uihfc",
    **{**PRODUCT, "half_ulp": 4}, method=False)
op("linalg.multi_dot", lambda g: (call(list(c)) for c in chain(g)), np.linalg.multi_dot, "uihfc",
    **{**PRODUCT, "half_ulp": 4})
op("F.linear", lambda g: ((g(3, 4), g(5, 4)), (g(3, 4, layout="t"), g(5, 4, layout="t"), g(5)), (g(4), g(5, 4), g(5)),
    (g(2, 3, 4), g(5, 4), g(5)), (g(0, 4), g(5, 4), g(5)), (g(4), g(4)), (g(2, 3, 4), g(4)),
    (g(33, 40), g(17, 40), g(17))), lambda x, w, b=0: np.matmul(x, w.T) + b, "uihfc", **PRODUCT)
op("F.bilinear", lambda g: ((g(3, 4), g(3, 2), g(5, 4, 2)), (g(2, 3, 4), g(2, 3, 2), g(5, 4, 2), g(5))),
    lambda a, b, w, bias=0: np.einsum("...i,oij,...j->...o", a, w, b) + bias, "uihfc", grad="hf",
    **{**PRODUCT, "half_ulp": 4, "scale": lambda a, b, w, bias=0: np.einsum("...i,oij,...j->...o", abs(a), abs(w),
    abs(b)) + abs(bias)})
op("cross", lambda g: (call(g(4, 3), g(4, 3), dim=1), call(g(3), g(3), 0)), lambda a, b, dim: np.cross(a, b, axis=dim),
    "uihfc", ulp=3, scale=180)
op("trace", lambda g: (g(3, 3), g(3, 4, layout="t")), np.trace, "uihfc", "sum", 4, scale="abs")

# Convolutions and patches -----------------------------------------------------------------------------------------


def as_tuple(v, n):
    return (v,) * n if isinstance(v, int) else tuple(v)


def pad_same(size, kernel, dilation):
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """The plainest convolution: for every output position, the window times the filters."""
    n = w.ndim - 2
    batched = x.ndim == n + 2
    x = x if batched else x[None]
    stride, dilation = as_tuple(stride, n), as_tuple(dilation, n)
    if padding == "valid":
        padding = 0
    pads = ([pad_same(0, k, d) for k, d in zip(w.shape[2:], dilation, strict=True)] if padding == "same" else [(p,
        p) for p in as_tuple(padding, n)])
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    spans = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    size = [(x.shape[2 + i] - spans[i]) // stride[i] + 1 for i in range(n)]
    y = np.zeros((x.shape[0], w.shape[0], *size), np.result_type(x, w))
    per, outs = x.shape[1] // groups, w.shape[0] // groups
    for at in np.ndindex(*size):
        window = tuple(slice(at[i] * stride[i], at[i] * stride[i] + spans[i], dilation[i]) for i in range(n))
        for k in range(groups):
            part, filters = x[(slice(None), slice(k * per, (k + 1) * per), *window)], w[k * outs : (k + 1) * outs]
            y[(slice(None), slice(k * outs, (k + 1) * outs), *at)] = (part.reshape(len(x),
                filters[0].size) @ filters.reshape(outs, -1).T)
    y = y if b is None else y + b.reshape(-1, *(1,) * n)
    return y if batched else y[0]


def conv_transpose(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv: every input number spreads its filter over the output."""
    n = w.ndim - 2
    stride, padding, extra, dilation = (as_tuple(v, n) for v in (stride, padding, output_padding, dilation))
    size = [(x.shape[2 + i] - 1) * stride[i] + dilation[i] * (w.shape[2 + i] - 1) + 1 + extra[i] for i in range(n)]
    outs, per = w.shape[1], x.shape[1] // groups
    y = np.zeros((x.shape[0], outs * groups, *size), np.result_type(x, w))
    for at in np.ndindex(*x.shape[2:]):
        for tap in np.ndindex(*w.shape[2:]):
            to = tuple(at[i] * stride[i] + tap[i] * dilation[i] for i in range(n))
            for k in range(groups):
                part = (x[(slice(None), slice(k * per, (k + 1) * per), *at)] @ w[(slice(k * per, (k + 1) * per),
                    slice(None), *tap)])
                y[(slice(None), slice(k * outs, (k + 1) * outs), *to)] += part
    y = y[(..., *(slice(p, s - p) for p, s in zip(padding, size, strict=True)))]
    return y if b is None else y + b.reshape(-1, *(1,) * n)


CONV = {"ulp": 16, "half_ulp": 1.05, "scale": "abs"}
conv1d = lambda g: (call(g(2, 3, 7), g(4, 3, 3)), call(g(2, 3, 7), g(4, 3, 3), g(4), stride=2, padding=1),
    call(g(3, 7), g(2, 3, 2)), call(g(2, 4, 9, layout="t"), g(4, 2, 3), g(4), 1, 2, 2, 2),
    call(g(1, 2, 6), g(2, 2, 3), padding="same"), call(g(2, 4, 5), g(4, 1, 3), groups=4), call(g(0, 3, 7), g(4, 3, 3)))
conv2d = lambda g: (call(g(2, 3, 5, 6), g(4, 3, 3, 3)),
    call(g(2, 3, 5, 6, layout="t"), g(4, 3, 3, 2, layout="t"), g(4), stride=(2, 1), padding=(1, 0)),
    call(g(3, 5, 5), g(2, 3, 1, 1), g(2)), call(g(2, 4, 7, 6), g(6, 2, 3, 2), g(6), 1, 2, (2, 1), 2),
    call(g(1, 2, 5, 4), g(3, 2, 3, 4), padding="same"), call(g(2, 4, 5, 5), g(4, 1, 3, 3), groups=4),
    call(g(1, 1, 3, 3), g(1, 1, 3, 3)), call(g(2, 3, 9, 9), g(8, 3, 3, 3), stride=3),
    call(g(1, 2, 4, 4, layout="s"), g(2, 2, 2, 2), padding="valid"))
ops({"F.conv1d": conv}, conv1d, "hfc", also="ui", **CONV)
ops({"F.conv2d": conv}, conv2d, "hfc", also="ui", **CONV)
op("conv2d", conv2d, conv, "f", **CONV, method=False, also="uihc")
op("F.conv_transpose1d", lambda g: (call(g(2, 3, 5), g(3, 2, 3)),
    call(g(2, 4, 5), g(4, 2, 3), g(4), stride=2, padding=1, output_padding=1, groups=2)), conv_transpose, "f",
    also="ihc", **CONV)
op("F.conv_transpose2d", lambda g: (call(g(2, 3, 4, 3), g(3, 2, 3, 3)),
    call(g(2, 4, 3, 4), g(4, 1, 3, 2), g(2), stride=2, padding=1, output_padding=1, groups=2, dilation=1),
    call(g(1, 2, 3, 3), g(2, 2, 2, 2), dilation=2, output_padding=1)), conv_transpose, "f", also="ihc", **CONV)


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    k, d, p, s = (as_tuple(v, 2) for v in (kernel_size, dilation, padding, stride))
    batched = x.ndim == 4
    x = np.pad(x if batched else x[None], [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])])
    size = [(x.shape[2 + i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in (0, 1)]
    columns = [x[:, :, i * s[0] : i * s[0] + d[0] * (k[0] - 1) + 1 : d[0],
        j * s[1] : j * s[1] + d[1] * (k[1] - 1) + 1 : d[1]].reshape(len(x),
        -1) for i in range(size[0]) for j in range(size[1])]
    y = np.stack(columns, -1)
    return y if batched else y[0]


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The adjoint of unfold, built from where unfold takes each number."""
    k = as_tuple(kernel_size, 2)
    out = as_tuple(output_size, 2)
    batched = x.ndim == 3
    x = x if batched else x[None]
    channels = x.shape[1] // (k[0] * k[1])
    count = channels * out[0] * out[1]
    source = unfold(np.arange(1, count + 1).reshape(1, channels, *out), kernel_size, dilation, padding, stride)[0]
    y = np.zeros((len(x), count + 1), x.dtype)
    for n in range(len(x)):
        np.add.at(y[n], source.reshape(-1), x[n].reshape(-1))
    y = y[:, 1:].reshape(len(x), channels, *out)
    return y if batched else y[0]


op("F.unfold", lambda g: (call(g(2, 3, 5, 6), 3), call(g(2, 3, 5, 6, layout="t"), (2, 3), padding=(1, 0),
    stride=(2, 1)), call(g(3, 5, 5), 2, dilation=2), call(g(1, 1, 4, 4), (2, 2), stride=2)), unfold, "bhfc")
op("F.fold", lambda g: (call(g(2, 12, 20), (5, 6), (2, 2)), call(g(2, 8, 16), (3, 3), 2, padding=1),
    call(g(12, 4), (4, 4), 2, stride=2)), fold, "hfc", ulp=2, scale="abs", half_ulp=8, also="b")


def pool(f, x, kernel, stride=None, padding=0, fill=0.0):
    n = 2
    k, s, p = as_tuple(kernel, n), as_tuple(stride or kernel, n), as_tuple(padding, n)
    x = np.pad(x, [(0, 0)] * (x.ndim - n) + [(q, q) for q in p], constant_values=fill)
    size = [(x.shape[-n + i] - k[i]) // s[i] + 1 for i in range(n)]
    y = np.zeros((*x.shape[:-n], *size))
    for i, j in np.ndindex(*size):
        y[..., i, j] = f(x[..., i * s[0] : i * s[0] + k[0], j * s[1] : j * s[1] + k[1]], axis=(-2, -1))
    return y


poolings = lambda draw: (call(draw(2, 3, 4, 6), 2), call(draw(2, 3, 5, 5, layout="t"), 3, 1, 1),
    call(draw(3, 4, 4), (2, 1), stride=(1, 2)))
op("F.max_pool2d", lambda g: poolings(g.distinct), lambda x, *a, **k: pool(np.max, x, *a, **k, fill=-np.inf), "hf",
    also="ui")
op("F.avg_pool2d", lambda g: poolings(g), lambda x, *a, **k: pool(np.mean, x, *a, **k), "hf", ulp=4, scale=9,
    half_ulp=2, also="i")


def adaptive(x, size):
    out = [n if m is None else m for m, n in zip(as_tuple(size, 2), x.shape[-2:], strict=True)]
    y = np.zeros((*x.shape[:-2], *out))
    for i, j in np.ndindex(*out):
        rows, columns = (slice(at * n // m, -(-(at + 1) * n // m)) for at, n,
            m in zip((i, j), x.shape[-2:], out, strict=True))
        y[..., i, j] = x[..., rows, columns].mean((-2, -1))
    return y


op("F.adaptive_avg_pool2d", lambda g: ((g(2, 3, 4, 6), 1), (g(2, 3, 5, 7), (2, 3)), (g(3, 4, 4), (2, 2))), adaptive,
    "hf", ulp=4, scale=9, half_ulp=2, also="c")
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x, amounts, mode="constant", value=0.0):
    widths = [(0, 0)] * x.ndim
    for i in range(0, len(amounts), 2):
        widths[-1 - i // 2] = amounts[i : i + 2]
    cropped = x[tuple(slice(-min(a, 0), n + min(b, 0)) for (a, b), n in zip(widths, x.shape, strict=True))]
    more = {"constant_values": value} if mode == "constant" else {}
    return np.pad(cropped, [(max(a, 0), max(b, 0)) for a, b in widths], mode=MODES[mode], **more)


op("F.pad", lambda g: (call(g(3), (1, 2)), call(g(2, 3, layout="t"), (1, 0, 2, 1), "constant", 1.0),
    call(g(2, 3), (-1, 1)), call(g(2, 3), (0, 0, 1, 1), value=2.0)), pad, "buihfc")
op("F.pad:modes", lambda g: (call(g(1, 2, 4, 5), (1, 2, 2, 1), mode) for mode in ("reflect", "replicate", "circular")),
    pad, "f", also="uihc")

# Normalisation and attention --------------------------------------------------------------------------------------


def standardise(x, dims, weight, bias, eps, view):
    y = (x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + eps)
    y = y if weight is None else y * weight.reshape(view)
    return y if bias is None else y + bias.reshape(view)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    return standardise(x, tuple(range(x.ndim - len(shape), x.ndim)), weight, bias, eps, shape)


def batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    view = (-1, *(1,) * (x.ndim - 2))
    if training:
        return standardise(x, (0, *range(2, x.ndim)), weight, bias, eps, view)
    y = (x - mean.reshape(view)) / np.sqrt(var.reshape(view) + eps)
    y = y if weight is None else y * weight.reshape(view)
    return y if bias is None else y + bias.reshape(view)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    y = standardise(x.reshape(len(x), groups, -1), 2, None, None, eps, None).reshape(x.shape)
    view = (-1, *(1,) * (x.ndim - 2))
    return y if weight is None else y * weight.reshape(view) + bias.reshape(view)


# The statistics of n numbers of size 9 are known to a few ulp of 9; dividing by their spread keeps that.
NORM = {"ulp": 16, "half_ulp": 2, "scale": 20}
op("F.layer_norm", lambda g: (call(g(3, 6), (6,)), call(g(3, 6, layout="t"), (6,), g(6), g(6)),
    call(g(2, 3, 4), (3, 4), g(3, 4), g(3, 4), 1e-3)), layer_norm, "hf", **NORM)
stats = lambda g, n: (g(n, lo=-1, hi=1, grad=False), g(n, lo=1, hi=4, grad=False))
op("F.batch_norm", lambda g: (call(g(6, 3), *stats(g, 3)), call(g(6, 3), *stats(g, 3), g(3), g(3), True),
    call(g(4, 3, 2, 2, layout="t"), *stats(g, 3), g(3), g(3), training=True),
    call(g(4, 3, 5), *stats(g, 3), g(3), g(3)), call(g(6, 3), None, None, training=True)), batch_norm, "hf", **NORM)
op("F.group_norm", lambda g: (call(g(2, 4, 3), 2), call(g(2, 6, 2, 2), 3, g(6), g(6))), group_norm, "hf", **NORM)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if is_causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    return softmax(scores, -1) @ v


heads = lambda g, n=3: (g(2, 2, n, 4, lo=-1, hi=1), g(2, 2, 3, 4, lo=-1, hi=1), g(2, 2, 3, 5, lo=-1, hi=1))
op("F.scaled_dot_product_attention", lambda g: (call(*heads(g)), call(*heads(g), is_causal=True),
    call(*heads(g, 2), attn_mask=g.exact(np.array([[True, False, True], [True, True, False]]), "bool")),
    call(*heads(g, 2), attn_mask=g(2, 3, lo=-1, hi=1, grad=False))), attention, "hf", ulp=16, scale=1)

# Losses -----------------------------------------------------------------------------------------------------------
REDUCE = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}


def loss(f):
    return lambda x, y, reduction="mean", **kw: REDUCE[reduction](f(x, y, **kw))


def paired(second=(-9, 9)):
    def samples(g):
        for how in ("mean", "sum", "none"):
            for shape, layout in [((5,), "c"), ((3, 4), "t"), ((2, 3), "s"), ((), "c")]:
                yield call(g(*shape, layout=layout), g(*shape, lo=second[0], hi=second[1]), reduction=how)
        yield call(g(4, 3), g(4, 3, lo=second[0], hi=second[1]))

    return samples


op("F.mse_loss", paired(), loss(lambda x, y: (x - y) ** 2), "hf", ulp=8, half_ulp=4)
op("F.l1_loss", paired(), loss(lambda x, y: np.abs(x - y)), "hf", ulp=8, half_ulp=4, also="c")
huber = lambda x, y, beta=1.0: np.where(np.abs(x - y) < beta, 0.5 * (x - y) ** 2 / beta, np.abs(x - y) - 0.5 * beta)
op("F.smooth_l1_loss", lambda g: (*paired()(g), call(g(5), g(5), beta=2.0)), loss(huber), "hf", ulp=8, half_ulp=4)
op("F.huber_loss", lambda g: (*paired()(g), call(g(5), g(5), delta=2.0)),
    loss(lambda x, y, delta=1.0: delta * huber(x, y, delta)), "hf", ulp=8, half_ulp=4)
bce = lambda x, y, weight=1.0: -weight * (y * np.log(x) + (1 - y) * np.log(1 - x))
op("F.binary_cross_entropy", lambda g: (*paired((0, 1))(g), call(g(5), g(5), weight=g(5, grad=False))), loss(bce), "hf",
    ulp=16, scale=1, domain=(0.1, 0.9))
with_logits = lambda x, y, weight=1.0, pos_weight=1.0: (
    weight * (pos_weight * y * np.log1p(np.exp(-x)) + (1 - y) * (x + np.log1p(np.exp(-x))))
)
op("F.binary_cross_entropy_with_logits", lambda g: (*paired((0, 1))(g),
    call(g(5), g(5, lo=0, hi=1), weight=g(5, lo=0, hi=1, grad=False)),
    call(g(2, 3), g(2, 3, lo=0, hi=1), pos_weight=g(3, lo=1, hi=2, grad=False))), loss(with_logits), "hf", ulp=16,
    scale=9, half_ulp=4)
kl = lambda x, y, log_target=False: np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)
op("F.kl_div", lambda g: (call(g(3, 4), g(3, 4), reduction=r) for r in ("sum", "none", "mean")), loss(kl), "hf", ulp=16,
    scale=4, domain=(0.1, 0.9))


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    rows = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    weight = np.ones(classes) if weight is None else weight
    safe = np.where(target == ignore_index, 0, target)
    w = np.where(target == ignore_index, 0, weight[safe])
    each = -np.take_along_axis(rows, np.asarray(safe)[..., None], -1)[..., 0] * w
    return each if reduction == "none" else each.sum() / (w.sum() if reduction == "mean" else 1)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dim = 1 if x.ndim > 1 else 0
    logp = logsoft(x, dim)
    classes = x.shape[dim]
    w = np.ones(classes) if weight is None else weight
    w = w.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else w
    if np.shape(target) == x.shape:
        soft_target = target * (1 - label_smoothing) + label_smoothing / classes
        each = -(soft_target * logp * w).sum(dim)
        return REDUCE[reduction](each) if reduction != "mean" else each.sum() / max(x.size // classes, 1)
    hard = nll_loss(logp, target, weight, ignore_index, "none")
    safe = np.where(target == ignore_index, 0, target)
    counted = np.where(target == ignore_index, 0, 1)
    smooth = -(logp * w).sum(dim) * counted
    each = (1 - label_smoothing) * hard + label_smoothing / classes * smooth
    total = (np.ones(classes) if weight is None else weight)[safe] * counted
    return each if reduction == "none" else each.sum() / (total.sum() if reduction == "mean" else 1)


def classes(g, soft=True):
    yield from (call(g(4, 5), g.index(5, 4), reduction=r) for r in ("mean", "sum", "none"))
    yield call(g(4, 5, layout="t"), g.index(5, 4), weight=g(5, lo=0.1, hi=1, grad=False))
    yield from (call(g(5), g.index(5)), call(g(2, 5, 3), g.index(5, 2, 3)),
        call(g(2, 5, 3, 2), g.index(5, 2, 3, 2), reduction="none"))
    yield call(g(4, 5), g.exact([1, -100, 2, 4], "int64"))
    yield call(g(4, 5), g.exact([1, 0, 2, 0], "int64"), ignore_index=0, weight=g(5, lo=0.1, hi=1, grad=False))
    if soft:
        yield call(g(4, 5), g.index(5, 4), label_smoothing=0.1)
        yield call(g(4, 5), g(4, 5, lo=0, hi=1))
        yield call(g(4, 5), g(4, 5, lo=0, hi=1), reduction="sum", label_smoothing=0.2)


op("F.nll_loss", lambda g: classes(g, soft=False), nll_loss, "hf", ulp=8, scale=9)
op("F.cross_entropy", classes, cross_entropy, "hf", ulp=16, scale=20, half_ulp=4)

# Linear algebra ---------------------------------------------------------------------------------------------------


def well_conditioned(g, *shape):
    a = g(*shape, lo=-1, hi=1)
    a.base[...] = quantise(a.base + 3 * np.eye(shape[-1]), g.dtype)
    return a


def positive_definite(g, n):
    a = g.rng.uniform(-1, 1, (n, n))
    return g.exact(a @ a.T + n * np.eye(n))


LINALG = {"ulp": 64, "scale": 4}
op("linalg.solve", lambda g: ((well_conditioned(g, 3, 3), g(3, 2, lo=-1, hi=1)),
    (well_conditioned(g, 3, 3), g(3, lo=-1, hi=1)), (well_conditioned(g, 2, 3, 3), g(2, 3, 2, lo=-1, hi=1))),
    np.linalg.solve, "fc", **LINALG)
op("linalg.inv", lambda g: (well_conditioned(g, 3, 3), well_conditioned(g, 2, 4, 4)), np.linalg.inv, "fc", **LINALG)
op("linalg.det", lambda g: (well_conditioned(g, 3, 3), well_conditioned(g, 2, 4, 4)), np.linalg.det, "fc", ulp=64,
    scale=300)
op("linalg.cholesky", lambda g: (positive_definite(g, 3), positive_definite(g, 5)), np.linalg.cholesky, "f", **LINALG,
    also="c", grad=False)
op("linalg.solve_triangular", lambda g: (call(well_conditioned(g, 3, 3), g(3, 2, lo=-1, hi=1),
    upper=up) for up in (True, False)), lambda a, b, upper: np.linalg.solve(np.triu(a) if upper else np.tril(a), b),
    "fc", **LINALG)

# Rarer ops --------------------------------------------------------------------------------------------------------


def digamma(x, order=0):
    """psi and psi' by recurrence to large x, then the asymptotic series."""
    x, shift = np.array(x, np.float64), 0.0
    for _ in range(30):
        shift = shift - 1 / x if order == 0 else shift + 1 / x**2
        x = x + 1
    if order == 0:
        return shift + np.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)
    return shift + 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)


def erfinv(y):
    x = np.zeros(np.shape(y))
    for _ in range(60):
        x = x - (vectorised(math.erf)(x) - y) * math.sqrt(math.pi) / 2 * np.exp(x * x)
    return x


op("digamma", unary, digamma, "uihf", "float", 16, scale=2, domain=(1.5, 9), also="b", grad=False, **elementwise)
op("erfinv", unary, erfinv, "hf", "float", 8, domain=(-0.9, 0.9), also="bui", **elementwise)
op("sinc", unary, np.sinc, "buihfc", "float", 16, scale=1, domain=(0.2, 3), **elementwise)
op("nextafter", binary((1, 9), ()), np.nextafter, "f", without=("float32",), also="hf", grad=False, **elementwise)
op("heaviside", binary((1, 9), ()), np.heaviside, "uihf", also="b", grad=False, **elementwise)
op("logaddexp2", binary((1, 9), ()), np.logaddexp2, "hf", ulp=4, scale=1, takes_out=True)
op("complex", binary(scalars=()), lambda a, b: a + 1j * b, "f", "complex", method=False, also="h")
bounds = lambda g: ((g(*s, layout=la), 3) for s, la in SHAPES)
ops({"clamp_min": np.maximum, "clamp_max": np.minimum}, bounds, "uihf", also="b", **elementwise)
op("F.hardsigmoid", unary, lambda x: np.clip(x + 3, 0, 6) / 6, "hf", ulp=4, scale=1)
op("F.hardswish", unary, lambda x: x * np.clip(x + 3, 0, 6) / 6, "hf", ulp=4, scale=1)
op("F.softsign", unary, lambda x: x / (1 + np.abs(x)), "uihfc", "float", ulp=4, also="b", grad="hf")
op("F.tanhshrink", unary, lambda x: x - np.tanh(x), "uihfc", "float", ulp=4, scale=1, half_ulp=4)
op("F.hardshrink", lambda g: (*unary(g), call(g(5), 2.0)), lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0), "hf")
op("F.softshrink", lambda g: (*unary(g), call(g(5), 2.0)),
    lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), "hf", ulp=1, scale=1)
op("F.threshold", lambda g: (call(g(*s, layout=la), 1.0, 3.0) for s, la in SHAPES),
    lambda x, t, v: np.where(x > t, x, v), "hf", also="ui")
op("nanmean", full(several), axis(np.nanmean), "hf", ulp=4, scale="abs")
op("std_mean", distinct_spread, lambda *a, **k: (spread(np.std)(*a, **k),
    axis(np.mean)(a[0], *(a[1:2] or [k.get("dim")]), k.get("keepdim", False))), "hf", ("same", "same"), 8, also="c",
    scale=lambda *a, **k: (9.0, 9.0), method=False)
quantiles = lambda f: lambda x, q, dim=None, keepdim=False, interpolation="linear": f(x, q, axis=dim, keepdims=keepdim,
    method=interpolation)
asked = lambda g: (call(g(5), 0.5), call(g(3, 4), 0.3, dim=1), call(g(3, 4), 0.9, dim=0, keepdim=True),
    call(g(2, 3, 5, layout="t"), g.exact([0.0, 0.25, 1.0], grad=False), dim=2), call(g(7), 0.4, interpolation="lower"))
ops({"quantile": quantiles(np.quantile), "nanquantile": quantiles(np.nanquantile)}, asked, "f", ulp=8, scale=9)
op("mode", lambda g: (g.exact([[1, 2, 2, 3], [5, 5, 1, 1]]), g.exact([4, 4, 2])), lambda x: (
    np.apply_along_axis(lambda r: np.unique(r)[np.argmax(np.unique(r, return_counts=True)[1])], -1, x),
    np.apply_along_axis(lambda r: r.size - 1 - np.argmax((r == np.unique(r)[np.argmax(np.unique(r,
    return_counts=True)[1])])[::-1]), -1, x)), "uihf", ("same", "int64"), also="b", grad=False)
op("msort", lambda g: (g.distinct(5), g.distinct(3, 4, layout="t")), lambda x: np.sort(x, 0), "uihf", also="b")
op("cov", lambda g: (g(3, 5), g(5), call(g(2, 4), correction=0)), lambda x, correction=1: np.cov(x, ddof=correction),
    "fc", ulp=16, scale=100, also="uih", grad="f")
op("corrcoef", lambda g: (g(3, 5), g(2, 6)), np.corrcoef, "f", ulp=32, scale=1, also="uihc")
op("dist", lambda g: ((g(5), g(5)), (g(2, 3), g(3)), call(g(5), g(5), p=1)), lambda a, b, p=2: vector_norm(a - b, p),
    "hfc", "real", 8)
op("F.pairwise_distance", lambda g: ((g(3, 4), g(3, 4)), call(g(3, 4), g(3, 4), p=1.0, keepdim=True)),
    lambda a, b, p=2.0, eps=1e-6, keepdim=False: vector_norm(a - b + eps, p, -1, keepdim), "hf", ulp=8, scale=9,
    also="uic")
op("cdist", lambda g: ((g(3, 4), g(5, 4)), call(g(2, 3, 4), g(2, 5, 4), p=1.0)),
    lambda a, b, p=2.0: vector_norm(a[..., :, None, :] - b[..., None, :, :], p, -1), "f", ulp=64, scale=9, method=False)
op("renorm", lambda g: (call(g(3, 4), 2, 0, 5.0), call(g(2, 3, 4), 1, 2, 8.0)), lambda x, p, dim, limit: x * np.minimum(
    1, limit / (vector_norm(x, p, tuple(d for d in range(x.ndim) if d != dim), True) + 1e-7)), "fc", ulp=16, also="h",
    inplace=True)
trapezoid = lambda y, dx=1.0, dim=-1: np.trapezoid(y, dx=dx, axis=dim)
ops({"trapezoid": trapezoid, "trapz": trapezoid}, lambda g: (g(5), call(g(3, 4), dx=0.5), call(g(3, 4), dim=0)),
    "fc", ulp=8, scale=40, method=False, also="uih")

op("fix", unary, np.trunc, "uihf", **elementwise)
op("isreal", unary, np.isreal, "buihfc", "bool", grad=False)
op("float_power", binary((-2, 2), (2, 0.5)), np.float_power, "f", "float64", 8, domain=(0.5, 3), also="buihc",
    grad=False)
op("adjoint", lambda g: (g(2, 3), g(2, 3, 4, layout="t")), lambda x: np.conj(np.swapaxes(x, -1, -2)), EVERY)
op("view_as_real", lambda g: (g(3), g(2, 2)), lambda x: np.stack([x.real, x.imag], -1), "c", "real", method=False)
op("view_as_complex", lambda g: (g(3, 2), g(2, 2, 2)), lambda x: x[..., 0] + 1j * x[..., 1], "f", "complex",
    method=False, also="h")
op("put", lambda g: (call(g(3, 4), g.exact([5, 0, 11], "int64"), g(3)),),
    lambda x, i, v: written(x.reshape(-1), v, i).reshape(x.shape), EVERY, inplace=True)
op("nanmedian", lambda g: (g.distinct(5), g.distinct(3, 4)), lambda x: np.sort(x, None)[(x.size - 1) // 2], "uihf")
op("F.prelu", lambda g: ((g(2, 3), g(3)), (g(5), g(1)), (g(2, 3, 4, layout="t"), g(3))),
    lambda x, w: np.where(x > 0, x, x * w.reshape(-1, *(1,) * (x.ndim - 2))), "hf")
op("F.instance_norm", lambda g: (g(2, 3, 8), call(g(2, 3, 4, 5), weight=g(3), bias=g(3))), lambda x, weight=None,
    bias=None: standardise(x, tuple(range(2, x.ndim)), weight, bias, 1e-5, (-1, *(1,) * (x.ndim - 2))), "f", also="h",
    **NORM)
op("F.adaptive_avg_pool3d", lambda g: ((g(1, 2, 4, 4, 6), 1),), lambda x, n: x.mean((-3, -2, -1), keepdims=True), "f",
    ulp=8, scale=9, also="hc")
op("F.adaptive_max_pool3d", lambda g: ((g.distinct(1, 2, 4, 4, 6), 1),),
    lambda x, n: x.max((-3, -2, -1), keepdims=True), "f", also="h")
op("index_reduce", lambda g: (call(g(3, 4), 0, g.index(3, 5), g(5, 4), r) for r in ("amax", "amin", "prod")),
    lambda x, d, i, s, r: index_reduced(x, i, s, {"amax": np.maximum, "amin": np.minimum, "prod": np.multiply}[r]),
    "uihf", ulp=8, scale=1e4, half_ulp=16, inplace=True, grad=False, also="b")
op("argwhere", lambda g: (g(5), g(3, 4, layout="t"), g(0)), np.argwhere, EVERY, "int64", grad=False)
grid = lambda g: (g.exact([1, 3, 5, 7]), g.exact([[0, 3], [5, 9]]))
op("bucketize", lambda g: (call(grid(g)[1], grid(g)[0]), call(grid(g)[1], grid(g)[0], right=True)),
    lambda v, s, right=False: np.searchsorted(s, v, "right" if right else "left"), "uihf", "int64", grad=False,
    method=False)
op("isin", lambda g: ((g.exact([1, 2, 3, 4]), g.exact([2, 4])), call(g.exact([1, 2]), g.exact([2]), invert=True)),
    np.isin, "uihf", "bool", grad=False, method=False)
op("histc", lambda g: (call(g(20), bins=5, min=-9, max=9), call(g(7), 3, 0, 3)),
    lambda x, bins, min, max: np.histogram(x, bins, (min, max))[0], "f", also="uih", grad=False)
op("unique_consecutive", lambda g: (g.exact([1, 1, 2, 2, 3, 1]), g.exact([])),
    lambda x: x[np.append(True, x[1:] != x[:-1])[: x.size]], "uihf", also="b", grad=False)
op("cartesian_prod", lambda g: ((g(2), g(3)), (g(2), g(2), g(2))),
    lambda *v: np.stack([m.reshape(-1) for m in np.meshgrid(*v, indexing="ij")], 1), EVERY, method=False)
op("combinations", lambda g: (g(4), call(g(4), r=3), call(g(3), with_replacement=True)), lambda x, r=2,
    with_replacement=False: np.array(list((itertools.combinations_with_replacement if with_replacement else
    itertools.combinations)(x, r))), EVERY)
ops({"fliplr": np.fliplr, "flipud": np.flipud}, lambda g: (g(2, 3), g(3, 2, layout="t")), EVERY)
op("diagflat", lambda g: (g(3), call(g(2, 2), 1), call(g(2), -1)), np.diagflat, EVERY)


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], n, n), x.dtype)
    for i in range(x.shape[-1]):
        y[..., i + max(-offset, 0), i + max(offset, 0)] = x[..., i]
    return np.moveaxis(y, (-2, -1), (dim1, dim2))


def index_reduced(x, index, source, f):
    y = np.array(x)
    f.at(y, index, source)
    return y


def written(x, src, index):
    y = np.array(x)
    y[index] = src
    return y


op("diag_embed", lambda g: (g(3), call(g(2, 3), 1), call(g(2, 3), -1, 0, 2)), diag_embed, EVERY)
op("diagonal_scatter", lambda g: (call(g(3, 3), g(3)), call(g(3, 4), g(3), 1)),
    lambda x, s, o=0: written(x, s, (np.arange(len(s)), np.arange(len(s)) + o)), EVERY)
op("select_scatter", lambda g: (call(g(3, 4), g(4), 0, 1), call(g(3, 4, layout="t"), g(3), 1, -1)),
    lambda x, s, d, i: written(x, s, (slice(None),) * d + (i,)), EVERY, grad="hf")
op("slice_scatter", lambda g: (call(g(5, 2), g(2, 2), 0, 1, 3), call(g(2, 6), g(2, 3), dim=1, start=0, end=6, step=2)),
    lambda x, s, dim, start, end, step=1: written(x, s, (slice(None),) * dim + (slice(start, end, step),)), EVERY,
    grad="hf")
op("Tensor.sum_to_size", lambda g: (call(g(2, 3), (1, 3)), call(g(4, 2, 3), (2, 1)), call(g(2, 3), (2, 3))),
    lambda x, s: x.sum(tuple(range(x.ndim - len(s)))).sum(tuple(i for i, n in enumerate(s) if n == 1), keepdims=True)
    if x.shape != s else x, "hfc", ulp=4, scale="abs", also="bui")
op("linalg.cross", lambda g: ((g(4, 3), g(4, 3)), call(g(3, 2), g(3, 2), dim=0)),
    lambda a, b, dim=-1: np.cross(a, b, axis=dim), "uihfc", ulp=3, scale=180)
op("F.rms_norm", lambda g: (call(g(3, 6), (6,)), call(g(3, 6, layout="t"), (6,), g(6), 1e-3)), lambda x, s, w=1.0,
    eps=None: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + (eps or 0)) * w, "hf", also="c", **NORM)


def pool_along(f):
    """The one- and three-dimensional poolings, by the plainest loop."""

    def ref(x, kernel, stride=None):
        k = as_tuple(kernel, 1)
        if len(k) == 1 and not isinstance(kernel, tuple):
            n = x.shape[-1] - kernel + 1
            return np.stack([f(x[..., i : i + kernel], axis=-1) for i in range(0, n, stride or kernel)], -1)
        size = [(x.shape[-3 + i] - k[i]) // k[i] + 1 for i in range(3)]
        y = np.zeros((*x.shape[:-3], *size))
        for at in np.ndindex(*size):
            window = tuple(slice(at[i] * k[i], at[i] * k[i] + k[i]) for i in range(3))
            y[(..., *at)] = f(x[(..., *window)], axis=(-3, -2, -1))
        return y

    return ref


lines = lambda draw: (call(draw(2, 3, 6), 2), call(draw(3, 7), 3, 1), call(draw(1, 2, 5, layout="t"), 2, stride=1))
boxes = lambda draw: (call(draw(1, 2, 4, 4, 6), (2, 2, 3)), call(draw(2, 3, 3, 3), (2, 1, 3)))
op("F.max_pool1d", lambda g: lines(g.distinct), pool_along(np.max), "hf")
op("F.avg_pool1d", lambda g: lines(g), pool_along(np.mean), "hf", ulp=4, scale=9, half_ulp=2, also="i")
op("F.max_pool3d", lambda g: boxes(g.distinct), pool_along(np.max), "f", also="uih")
op("F.avg_pool3d", lambda g: boxes(g), pool_along(np.mean), "f", ulp=4, scale=9, also="ih")
parts = lambda x, size, f: np.stack([f(x[..., i * x.shape[-1] // size : -(-(i + 1) * x.shape[-1] // size)], -1)
    for i in range(size)], -1)
op("F.adaptive_avg_pool1d", lambda g: ((g(2, 3, 7), 3), (g(2, 6), 2)), lambda x, s: parts(x, s, np.mean), "hf", ulp=4,
    scale=9, half_ulp=2)
op("F.adaptive_max_pool1d", lambda g: ((g.distinct(2, 3, 7), 3), (g.distinct(2, 6), 2)),
    lambda x, s: parts(x, s, np.max), "f", also="h")
op("F.adaptive_max_pool2d", lambda g: ((g.distinct(2, 3, 4, 6), 1), (g.distinct(1, 5, 7), (1, 1))),
    lambda x, s: x.max((-2, -1), keepdims=True), "f", also="h")
op("F.conv3d", lambda g: (call(g(2, 2, 4, 3, 5), g(3, 2, 2, 2, 3)), call(g(1, 2, 4, 4, 4), g(4, 1, 3, 2, 2), g(4),
    stride=(2, 1, 1), padding=1, groups=2)), conv, "f", also="uihc", **CONV)
op("F.conv_transpose3d", lambda g: (call(g(1, 2, 2, 3, 2), g(2, 3, 2, 2, 2)), call(g(1, 2, 2, 2, 2), g(2, 2, 2, 1, 2),
    g(2), stride=2, padding=(1, 0, 1))), conv_transpose, "f", also="uihc", **CONV)

BY_ID = {o.id: o for o in OPS}
