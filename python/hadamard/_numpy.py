"""NumPy's own functions on tensors: np.multiply(t, a), np.einsum, np.concatenate … give tensors, with gradients.

Imported when NumPy first asks. What has no counterpart here runs in NumPy, on the memory of the tensors: a ufunc gives
a tensor then too, any other function what NumPy makes; tensors that require grad are refused there.
"""

import inspect

import numpy as np

from . import _C, _creation, _products, linalg
from ._C import Tensor

# The ufunc's name and, where it differs, ours.
_UFUNCS = dict(
    (entry.split("=") * 2)[:2]
    for entry in (
        "absolute=abs add arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctan2=atan2 arctanh=atanh "
        "bitwise_and bitwise_or bitwise_xor ceil conjugate=conj copysign cos cosh deg2rad degrees=rad2deg divide=div "
        "equal=eq exp exp2 expm1 fabs=abs float_power floor floor_divide fmax fmin fmod gcd greater=gt "
        "greater_equal=ge heaviside hypot invert=bitwise_not isfinite isinf isnan lcm left_shift=bitwise_left_shift "
        "less=lt less_equal=le log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or "
        "logical_xor matmul maximum minimum multiply=mul negative=neg nextafter not_equal=ne positive power=pow "
        "rad2deg radians=deg2rad reciprocal remainder right_shift=bitwise_right_shift rint=round sign=sgn signbit "
        "sin sinh sqrt square subtract=sub tan tanh trunc"
    ).split()
)
_REDUCE = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
_ACCUMULATE = {"add": "cumsum", "multiply": "cumprod"}


def _find(name):
    return getattr(_C, name, None) or getattr(__import__("hadamard"), name)


# Between the two worlds --------------------------------------------------------------------------------------------
def _tensor(x):
    """An argument as a tensor, on its memory where it is an array; Python and NumPy numbers stay numbers."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (Tensor, bool, int, float, complex)) or x is None:
        return x
    if not isinstance(x, np.ndarray):
        if isinstance(x, (list, tuple)) and any(isinstance(e, Tensor) for e in x):
            return _C.stack([_C._from_data(_tensor(e), None, None, True) for e in x], 0)
        x = np.asarray(x)
    if any(s < 0 for s in x.strides):
        x = np.ascontiguousarray(x)
    return _C._from_data(x, None, None, x.flags.writeable)


def _array(x):
    """Tensors in an argument as arrays on their memory. RuntimeError where one requires grad."""
    if isinstance(x, Tensor):
        return x.numpy()
    if isinstance(x, (list, tuple)) and type(x) in (list, tuple):
        return type(x)(map(_array, x))
    if isinstance(x, dict):
        return {key: _array(value) for key, value in x.items()}
    return x


def _back(result):
    # As a tensor, unless only NumPy has the dtype.
    result = np.asarray(result)
    return _C._from_data(result, None, None, True) if hasattr(_C, result.dtype.name) else result


def _dtype(dtype):
    if dtype is None or isinstance(dtype, _C.dtype):
        return dtype
    return getattr(_C, np.dtype(dtype).name)


def _give(result, out):
    """The result, written into `out` where there is one."""
    if out is None:
        return result
    if isinstance(out, Tensor):
        return out.copy_(result)
    np.copyto(out, result.numpy(), casting="same_kind")
    return out


# Ufuncs ------------------------------------------------------------------------------------------------------------
def ufunc(function, method, inputs, options):
    """What `Tensor.__array_ufunc__` answers."""
    out = options.pop("out", (None,))
    dtype = options.pop("dtype", None)
    try:
        compute = _ufunc(function, method)
        given = [_tensor(x) for x in inputs] if compute and not (options and method == "__call__") else None
    except TypeError:  # a dtype that only NumPy has
        given = None
    if given is None or function.nout > 1:
        if dtype is not None:
            options["dtype"] = np.dtype(repr(dtype)[6:]) if isinstance(dtype, _C.dtype) else dtype
        if out != (None,) * len(out):
            options["out"] = tuple(map(_array, out))
        results = getattr(function, method)(*map(_array, inputs), **options)
        results = results if isinstance(results, tuple) else (results,)
        given_out = out if len(out) == len(results) else (None,) * len(results)
        results = tuple(_back(r) if o is None else o for r, o in zip(results, given_out, strict=True))
        return results[0] if len(results) == 1 else results
    if dtype is not None and method == "__call__":
        given = [_C._from_data(x, _dtype(dtype), None, True) for x in given]
    elif dtype is not None:
        options["dtype"] = dtype
    some = next((x for x in given if isinstance(x, Tensor)), None)
    for i, x in enumerate(given):  # not all of our functions take numbers
        if not isinstance(x, Tensor):
            given[i] = _C._from_data(x, None if some is None else _C.result_type(some, x), None, True)
    return _give(compute(*given, **options), out[0])


def _ufunc(function, method):
    name = function.__name__
    if method == "__call__":
        return _find(_UFUNCS[name]) if name in _UFUNCS else None
    if method == "reduce" and name in _REDUCE:
        f = _FUNCTIONS[_REDUCE[name]]
        return lambda x, axis=0, keepdims=False, **rest: f(x, axis=axis, keepdims=keepdims, **rest)
    if method == "accumulate" and name in _ACCUMULATE:
        f = _FUNCTIONS[_ACCUMULATE[name]]
        return lambda x, axis=0, **rest: f(x, axis, **rest)
    if method == "outer" and name in _UFUNCS:
        f = _find(_UFUNCS[name])
        return lambda x, y: f(x.reshape(x.shape + (1,) * y.dim()), y)
    return None


# Other functions ---------------------------------------------------------------------------------------------------
def function(numpy_function, args, kwargs):
    """What `Tensor.__array_function__` answers."""
    name = numpy_function.__name__
    if numpy_function.__module__.endswith("linalg") and name in _LINALG:
        compute = _LINALG[name]
    elif numpy_function.__module__.startswith("numpy.") and "linalg" in numpy_function.__module__:
        compute = None
    else:
        compute = _FUNCTIONS.get(name)
    if compute is not None:
        options = dict(kwargs)
        out = options.pop("out", None)
        try:
            inspect.signature(compute).bind(*args, **options)
        except TypeError:
            compute = None  # an argument that only NumPy has
    if compute is None:
        kwargs = {key: _array(value) for key, value in kwargs.items()}
        return numpy_function(*map(_array, args), **kwargs)
    return _give(compute(*args, **options), out)


_FUNCTIONS, _LINALG = {}, {}


def _also(f):
    _FUNCTIONS[f.__name__.strip("_")] = f
    return f


def _inexact(x, dtype=None):
    # NumPy's means of integers are float64.
    x = _tensor(x)
    if dtype is not None:
        return x.to(_dtype(dtype))
    return x if x.is_floating_point() or x.is_complex() else x.double()


def _over(f, x, axis, keepdims, **options):
    # Of ops that take one dimension, or all, over any axes.
    if axis is None:
        y = f(x.reshape(-1), 0, **options)
        return y.reshape((1,) * x.dim()) if keepdims else y
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = sorted(d % x.dim() for d in axes)
    rest = [d for d in range(x.dim()) if d not in axes]
    n = 1
    for d in axes:
        n *= x.shape[d]
    y = f(x.permute(rest + axes).reshape([x.shape[d] for d in rest] + [n]), -1, **options)
    return y.reshape([1 if d in axes else m for d, m in enumerate(x.shape)]) if keepdims else y


@_also
def _sum(a, axis=None, dtype=None, keepdims=False):
    return _C.sum(_tensor(a), axis, keepdims, dtype=_dtype(dtype))


@_also
def _prod(a, axis=None, dtype=None, keepdims=False):
    return _over(_C.prod, _tensor(a), axis, keepdims, dtype=_dtype(dtype))


@_also
def _mean(a, axis=None, dtype=None, keepdims=False):
    return _C.mean(_inexact(a, dtype), axis, keepdims)


@_also
def _std(a, axis=None, dtype=None, ddof=0, keepdims=False):
    return _C.std(_inexact(a, dtype), axis, correction=ddof, keepdim=keepdims)


@_also
def _var(a, axis=None, dtype=None, ddof=0, keepdims=False):
    return _C.var(_inexact(a, dtype), axis, correction=ddof, keepdim=keepdims)


@_also
def _max(a, axis=None, keepdims=False):
    return _C.amax(_tensor(a), () if axis is None else axis, keepdims)


@_also
def _min(a, axis=None, keepdims=False):
    return _C.amin(_tensor(a), () if axis is None else axis, keepdims)


_FUNCTIONS["amax"], _FUNCTIONS["amin"] = _max, _min


@_also
def _all(a, axis=None, keepdims=False):
    return _C.all(_tensor(a).bool(), axis, keepdims)


@_also
def _any(a, axis=None, keepdims=False):
    return _C.any(_tensor(a).bool(), axis, keepdims)


@_also
def _argmax(a, axis=None, *, keepdims=False):
    return _C.argmax(_tensor(a), axis, keepdims)


@_also
def _argmin(a, axis=None, *, keepdims=False):
    return _C.argmin(_tensor(a), axis, keepdims)


@_also
def _count_nonzero(a, axis=None, *, keepdims=False):
    return _C.sum(_tensor(a) != 0, axis, keepdims)


@_also
def _cumsum(a, axis=None, dtype=None):
    a = _tensor(a)
    return _C.cumsum(a.reshape(-1) if axis is None else a, axis or 0, dtype=_dtype(dtype))


@_also
def _cumprod(a, axis=None, dtype=None):
    a = _tensor(a)
    return _C.cumprod(a.reshape(-1) if axis is None else a, axis or 0, dtype=_dtype(dtype))


# Products
@_also
def _einsum(*operands):
    return _products.einsum(*(x if isinstance(x, str) or _is_subscripts(x) else _tensor(x) for x in operands))


def _is_subscripts(x):
    return isinstance(x, (list, tuple)) and all(isinstance(i, int) or i is Ellipsis for i in x)


@_also
def _dot(a, b):
    a, b = _both(a, b)
    if not a.dim() or not b.dim():
        return a * b
    return _C.matmul(a, b) if b.dim() < 3 else _products.tensordot(a, b, ([-1], [-2]))


def _both(a, b):
    # Products do not promote in torch; in NumPy they do.
    a, b = (_C._from_data(_tensor(x), None, None, True) for x in (a, b))
    t = _C.result_type(a, b)
    return a.to(t), b.to(t)


@_also
def _vdot(a, b):
    a, b = _both(a, b)
    return _C.vdot(a.reshape(-1), b.reshape(-1))


@_also
def _inner(a, b):
    return _C.inner(*_both(a, b))


@_also
def _outer(a, b):
    a, b = _both(a, b)
    return _C.outer(a.reshape(-1), b.reshape(-1))


@_also
def _kron(a, b):
    return _C.kron(*_both(a, b))


@_also
def _tensordot(a, b, axes=2):
    if not isinstance(axes, int):
        axes = [[x] if isinstance(x, int) else list(x) for x in axes]
    return _products.tensordot(*_both(a, b), axes)


@_also
def _cross(a, b, *, axis=-1):
    return _C.linalg_cross(*_C.broadcast_tensors(*_both(a, b)), dim=axis)


@_also
def _trace(a, offset=0, axis1=0, axis2=1):
    return _C.sum(_C.diagonal(_tensor(a), offset, axis1, axis2), -1)


# Shapes
def _together(arrays):
    tensors = [_C._from_data(_tensor(x), None, None, True) for x in arrays]
    t = tensors[0].dtype
    for x in tensors[1:]:
        t = _C.promote_types(t, x.dtype)
    return [x.to(t) for x in tensors]


@_also
def _concatenate(arrays, axis=0):
    arrays = _together(arrays)
    return _C.cat([x.reshape(-1) for x in arrays] if axis is None else arrays, axis or 0)


@_also
def _stack(arrays, axis=0):
    return _C.stack(_together(arrays), axis)


def _stacking(name):
    def function(tup):
        return _find(name)(_together(tup))

    return function


for _name in "vstack", "hstack", "dstack", "column_stack":
    _FUNCTIONS[_name] = _stacking(_name)


@_also
def _split(ary, indices_or_sections, axis=0):
    n = ary.shape[axis]
    if isinstance(indices_or_sections, int) and n % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return list(_C.tensor_split(ary, indices_or_sections, axis))


@_also
def _array_split(ary, indices_or_sections, axis=0):
    return list(_C.tensor_split(ary, indices_or_sections, axis))


@_also
def _reshape(a, shape):
    return _C.reshape(a, shape if isinstance(shape, (tuple, list)) else (shape,))


@_also
def _ravel(a):
    return a.reshape(-1)


@_also
def _transpose(a, axes=None):
    return _C.permute(a, tuple(range(a.dim()))[::-1] if axes is None else axes)


_FUNCTIONS["permute_dims"] = _transpose


@_also
def _swapaxes(a, axis1, axis2):
    return _C.transpose(a, axis1, axis2)


@_also
def _moveaxis(a, source, destination):
    return _C.movedim(a, source, destination)


@_also
def _expand_dims(a, axis):
    for d in sorted(d % (a.dim() + 1) for d in (axis if isinstance(axis, tuple) else (axis,))):
        a = _C.unsqueeze(a, d)
    return a


@_also
def _squeeze(a, axis=None):
    return _C.squeeze(a) if axis is None else _C.squeeze(a, axis)


@_also
def _broadcast_to(array, shape):
    return _C.broadcast_to(array, shape if isinstance(shape, (tuple, list)) else (shape,))


@_also
def _flip(m, axis=None):
    axes = tuple(range(m.dim())) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return _C.flip(m, axes)


@_also
def _roll(a, shift, axis=None):
    return _C.roll(a, shift, () if axis is None else axis)


@_also
def _repeat(a, repeats, axis=None):
    return _C.repeat_interleave(a if axis is not None else a.reshape(-1), _tensor(repeats), axis or 0)


@_also
def _tile(A, reps):
    return _C.tile(A, reps if isinstance(reps, (tuple, list)) else (reps,))


@_also
def _diag(v, k=0):
    return _C.diag(v, k)


@_also
def _diagonal(a, offset=0, axis1=0, axis2=1):
    return _C.diagonal(a, offset, axis1, axis2)


@_also
def _tril(m, k=0):
    return _C.tril(m, k)


@_also
def _triu(m, k=0):
    return _C.triu(m, k)


@_also
def _shape(a):
    return tuple(a.shape)


@_also
def _ndim(a):
    return a.dim()


@_also
def _size(a, axis=None):
    return a.numel() if axis is None else a.shape[axis]


# Elements
@_also
def _where(condition, x, y):
    return _C.where(_tensor(condition).bool(), _tensor(x), _tensor(y))


@_also
def _clip(a, a_min=None, a_max=None, *, min=None, max=None):
    lo, hi = (_tensor(given if given is not None else other) for given, other in ((a_min, min), (a_max, max)))
    return _C.clamp(_tensor(a), lo, hi)


@_also
def _round(a, decimals=0):
    return _C.round(a, decimals=decimals)


_FUNCTIONS["around"] = _round


@_also
def _sort(a, axis=-1, *, stable=None):
    return _C.sort(a.reshape(-1) if axis is None else a, stable=True, dim=-1 if axis is None else axis)[0]


@_also
def _argsort(a, axis=-1, *, stable=None):
    return _C.argsort(a.reshape(-1) if axis is None else a, stable=True, dim=-1 if axis is None else axis)


@_also
def _take(a, indices, axis=None):
    a, indices = _tensor(a), _tensor(indices)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return a[(slice(None),) * (axis % a.dim()) + (indices,)]


@_also
def _nan_to_num(x, *, nan=0.0, posinf=None, neginf=None):
    return _C.nan_to_num(x, nan, posinf, neginf)


@_also
def _real(val):
    return val.real


@_also
def _imag(val):
    return val.imag if val.is_complex() else _C.zeros_like(val)


@_also
def _isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return _C.isclose(*_both(a, b), rtol, atol, equal_nan)


@_also
def _allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return bool(_isclose(a, b, rtol, atol, equal_nan).all())


@_also
def _array_equal(a1, a2):
    a, b = _both(a1, a2)
    return a.shape == b.shape and bool((a == b).all())


@_also
def _copy(a):
    return a.clone()


def _like(name):
    make = getattr(_C, name)

    def function(a, dtype=None):
        return make(a, dtype=_dtype(dtype))

    return function


for _name in "zeros_like", "ones_like", "empty_like":
    _FUNCTIONS[_name] = _like(_name)


@_also
def _full_like(a, fill_value, dtype=None):
    return _C.full_like(a, _tensor(fill_value), dtype=_dtype(dtype))


@_also
def _meshgrid(*xi, indexing="xy"):
    return tuple(_creation.meshgrid(*map(_tensor, xi), indexing=indexing))


# np.linalg
def _linear(name):
    f = getattr(linalg, name)

    def function(a):
        return f(_inexact(a))

    return function


for _name in "det inv pinv slogdet cholesky eig eigvals eigh eigvalsh svdvals".split():
    _LINALG[_name] = _linear(_name)
_LINALG["solve"] = lambda a, b: linalg.solve(*_both(_inexact(a), _inexact(b)))
_LINALG["qr"] = lambda a, mode="reduced": linalg.qr(_inexact(a), mode)
_LINALG["svd"] = lambda a, full_matrices=True: linalg.svd(_inexact(a), full_matrices)
_LINALG["matrix_power"] = lambda a, n: linalg.matrix_power(_tensor(a), n)
_LINALG["matrix_rank"] = lambda A: linalg.matrix_rank(_inexact(A))
_LINALG["multi_dot"] = lambda arrays: linalg.multi_dot(_together(arrays))


def _norm(x, ord=None, axis=None, keepdims=False):
    return linalg.norm(_inexact(x), ord, axis, keepdims)


_LINALG["norm"] = _norm
