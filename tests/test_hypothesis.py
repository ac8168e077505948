"""Generated shapes, strides, dtypes and indices, against NumPy; round trips that must lose nothing."""

import math

import numpy as np
import pytest
from harness import ALL_DTYPES, EPS, H, differences, dtype_name, kind, make, quantise, torch, values_of, wide
from hypothesis import assume, given
from hypothesis import strategies as st
from samples import conv, softmax

pytestmark = pytest.mark.filterwarnings("ignore")
NUMERIC = [d for d in ALL_DTYPES if d != "bool"]
REAL_NUMERIC = [d for d in NUMERIC if kind(d) != "c"]


class View:
    """A tensor that is a strided window into a larger storage, with the same window in NumPy beside it."""

    def __init__(self, dtype, shape, strides, offset, storage):
        self.dtype, self.shape, self.strides, self.offset, self.storage = dtype, shape, strides, offset, storage

    @property
    def array(self):
        step = self.storage.itemsize
        return np.lib.stride_tricks.as_strided(
            self.storage[self.offset :], self.shape, [s * step for s in self.strides]
        )

    def tensor(self, module=H):
        return make(module, self.storage, self.dtype).as_strided(self.shape, self.strides, self.offset)

    def __repr__(self):
        return f"View({self.dtype}, {self.shape}, strides {self.strides}, offset {self.offset})"


def numbers(dtype, count, seed):
    rng = np.random.default_rng(seed)
    if kind(dtype) == "b":
        return rng.integers(0, 2, count).astype(bool)
    if kind(dtype) in "ui":
        return rng.integers(0 if kind(dtype) == "u" else -9, 10, count).astype(np.int64)
    values = rng.uniform(-4, 4, count) + (1j * rng.uniform(-4, 4, count) if kind(dtype) == "c" else 0)
    return quantise(values, dtype)


@st.composite
def shapes(draw, max_dims=4, max_side=6, min_side=0, min_dims=0):
    return tuple(draw(st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims)))


@st.composite
def views(draw, dtypes=ALL_DTYPES, shape=None, overlap=True, **limits):
    """Any layout: permuted, with gaps, repeated (stride 0), overlapping, at any offset."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(shapes(**limits)) if shape is None else shape
    order = draw(st.permutations(range(len(shape))))
    strides, step = [0] * len(shape), 1
    for dim in order:
        gap = draw(st.sampled_from([1, 1, 1, 2, 3]))
        repeated = overlap and draw(st.integers(0, 9)) == 0
        strides[dim] = 0 if repeated else step * gap
        step = step * gap * max(shape[dim], 1) if not repeated else step
    if overlap and shape and draw(st.integers(0, 19)) == 0:
        strides = [draw(st.integers(0, 3)) for _ in shape]
    offset = draw(st.sampled_from([0, 0, 1, 5]))
    extent = offset + 1 + sum(s * max(n - 1, 0) for s, n in zip(strides, shape, strict=True))
    return View(dtype, shape, tuple(strides), offset, numbers(dtype, extent, draw(st.integers(0, 2**32 - 1))))


@st.composite
def broadcastable(draw, count, dtypes):
    """Views whose shapes broadcast together."""
    full = draw(shapes(max_dims=3, max_side=5))
    found = []
    for _ in range(count):
        kept = full[draw(st.integers(0, len(full))) :]
        shape = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in kept)
        found.append(draw(views(dtypes, shape)))
    return found


def assert_values(got, want, ulp=0, scale=None):
    wrong = differences(values_of(got), want, dtype_name(got), ulp, scale)
    assert not wrong, wrong


# Element-wise -----------------------------------------------------------------------------------------------------
UNARY = {"neg": np.negative, "abs": np.abs, "square": lambda x: x * x, "clone": lambda x: x}
UNARY |= {"exp": np.exp, "tanh": np.tanh}


@given(views(NUMERIC), st.sampled_from(sorted(UNARY)))
def test_unary(view, name):
    x, before = view.tensor(), view.storage.copy()
    got = getattr(H, name)(x)
    assert got.shape == view.shape
    with np.errstate(all="ignore"):
        want = UNARY[name](view.array)
    exact = name in ("neg", "clone") or kind(view.dtype) not in "hfc" and name in ("abs", "square")
    assert_values(got, want, 0 if exact else 4)
    assert (values_of(make(H, view.storage, view.dtype)) == before).all()


BINARY = {"eq": np.equal, "lt": np.less, "mul": np.multiply, "sub": np.subtract, "add": np.add}
BINARY |= {"maximum": np.maximum, "where": None}


@given(broadcastable(2, ALL_DTYPES), st.sampled_from(sorted(BINARY)))
def test_binary(pair, name):
    a, b = pair
    complexes = "c" in (kind(a.dtype), kind(b.dtype))
    assume(not (complexes and name in ("maximum", "lt")))
    assume(not (name == "sub" and "b" in (kind(a.dtype), kind(b.dtype))))
    x, y = a.tensor(), b.tensor()
    if name == "where":
        got = H.where(x != 0, x, y)
        want = np.where(a.array != 0, a.array, b.array)
    else:
        got = getattr(H, name)(x, y)
        # Operands are rounded to the result's dtype first, as torch rounds them.
        common = str(H.result_type(x, y)).rpartition(".")[2]
        want = BINARY[name](quantise(a.array, common), quantise(b.array, common))
    assert tuple(got.shape) == np.broadcast_shapes(a.shape, b.shape)
    size = np.abs(a.array.astype(complex)) * np.abs(b.array.astype(complex)) if name == "mul" else None
    assert_values(got, want, 2 if complexes and name == "mul" else 0, size)


@given(broadcastable(2, NUMERIC), st.booleans())
def test_inplace(pair, swap):
    a, b = pair
    full = np.broadcast_shapes(a.shape, b.shape)
    assume(full == a.shape and len(set(a.strides)) == len(a.strides) and 0 not in a.strides and a.dtype == b.dtype)
    flat = [i for i in np.ndindex(*a.shape)]
    places = {sum(s * i for s, i in zip(a.strides, at, strict=True)) for at in flat}
    assume(len(places) == len(flat))
    x = a.tensor()
    x.add_(b.tensor())
    want = quantise(a.array + b.array, a.dtype)
    assert_values(x, want)
    a.array[...] = want
    whole = x.as_strided((a.storage.size,), (1,), 0)
    assert_values(whole, a.storage)  # nothing outside the window moved


@given(views(), st.sampled_from(ALL_DTYPES))
def test_casts(view, to):
    assume(not (kind(to) == "u" and kind(view.dtype) in "hfc"))
    got = view.tensor().to(getattr(H, to))
    source = view.array
    if kind(to) not in "cb" and kind(view.dtype) == "c":
        source = source.real
    assert_values(got, source != 0 if to == "bool" else source)


# Reductions -------------------------------------------------------------------------------------------------------
@given(
    views(NUMERIC, min_dims=1),
    st.data(),
    st.sampled_from(["sum", "amax", "mean", "prod", "any", "all", "argmax", "var"]),
)
def test_reductions(view, data, name):
    letter, x = kind(view.dtype), view.array
    dims = tuple(data.draw(st.sets(st.integers(0, x.ndim - 1), min_size=1)))
    keep = data.draw(st.booleans())
    count = math.prod(x.shape[d] for d in dims)
    if name in ("amax", "argmax"):
        assume(letter != "c" and count)
    if name == "mean":
        assume(letter in "hfc" and count)
    if name == "var":
        assume(letter in "hf" and count > 1)
    with np.errstate(all="ignore"):
        if name == "argmax":
            got = view.tensor().argmax(dims[0], keepdim=keep)
            picked = np.take_along_axis(x, values_of(got) if keep else np.expand_dims(values_of(got), dims[0]), dims[0])
            assert (picked == x.max(axis=dims[0], keepdims=True)).all()
            return
        if name == "prod":
            dims = dims[:1]
            got = view.tensor().prod(dims[0], keepdim=keep)
        else:
            got = getattr(view.tensor(), name)(dims, keepdim=keep)
        if name == "var":
            want = np.var(x, axis=dims, keepdims=keep, ddof=1)
        else:
            want = getattr(np, name)(x, axis=dims, keepdims=keep)
        scale = np.sum(np.abs(x), axis=dims, keepdims=keep) if name in ("sum", "mean") else None
        scale = np.full(np.shape(want), 16.0) if name == "var" else scale
        scale = np.prod(np.abs(x), axis=dims, keepdims=keep) if name == "prod" else scale
    if name == "prod" and letter == "h":
        limit = {"float16": 6e4, "bfloat16": 3e38}[view.dtype]
        assume(np.all(np.abs(want) < limit))
    assert_values(got, want, 0 if letter in "ui" else 32, scale)


@given(views(REAL_NUMERIC, min_dims=1, min_side=1), st.data())
def test_scans_and_sorts(view, data):
    x, dim = view.array, data.draw(st.integers(0, len(view.shape) - 1))
    t = view.tensor()
    assert_values(t.cumsum(dim), np.cumsum(x, dim), 32, np.cumsum(np.abs(x), dim))
    values, where = t.sort(dim)
    assert_values(values, np.sort(x, dim))
    assert_values(t.gather(dim, where), np.sort(x, dim))
    stable = t.sort(dim=dim, stable=True).indices
    assert_values(stable, np.argsort(x, dim, kind="stable"))
    assert_values(t.flip(dim), np.flip(x, dim))
    assert_values(t.cummax(dim).values, np.maximum.accumulate(x, dim))
    if kind(view.dtype) in "hf":
        assert_values(t.softmax(dim), softmax(x, dim), 16)


# Products ---------------------------------------------------------------------------------------------------------
@given(st.data(), st.sampled_from(NUMERIC), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_matmul(data, dtype, m, k, n):
    batch = data.draw(shapes(max_dims=2, max_side=3))
    left = tuple(1 if data.draw(st.integers(0, 3)) == 0 else s for s in batch[data.draw(st.integers(0, len(batch))) :])
    right = tuple(1 if data.draw(st.integers(0, 3)) == 0 else s for s in batch[data.draw(st.integers(0, len(batch))) :])
    a_shape, b_shape = (*left, m, k), (*right, k, n)
    if not left and data.draw(st.integers(0, 4)) == 0:
        a_shape = (k,)
    if not right and data.draw(st.integers(0, 4)) == 0:
        b_shape = (k,)
    a, b = data.draw(views((dtype,), a_shape)), data.draw(views((dtype,), b_shape))
    want = np.matmul(a.array, b.array)
    scale = np.matmul(np.abs(a.array), np.abs(b.array))
    assert_values(a.tensor() @ b.tensor(), want, 1.05 if kind(dtype) == "h" else 8, scale)


@given(st.data(), st.sampled_from(["float32", "float64", "int64", "complex128"]))
def test_einsum(data, dtype):
    """Random equations: every letter has a size; each operand draws letters, with repeats; the output a subset."""
    size = {c: data.draw(st.integers(1, 4)) for c in "abcde"}
    operands = [data.draw(st.text("abcde", min_size=1, max_size=4)) for _ in range(data.draw(st.integers(1, 3)))]
    used = sorted(set("".join(operands)))
    out = "".join(c for c in data.draw(st.permutations(used)) if data.draw(st.booleans()))
    arrays = [data.draw(views((dtype,), tuple(size[c] for c in term), overlap=False)) for term in operands]
    equation = ",".join(operands) + "->" + out
    want = np.einsum(equation, *(v.array for v in arrays))
    scale = np.einsum(equation, *(np.abs(v.array) for v in arrays))
    assert_values(H.einsum(equation, *(v.tensor() for v in arrays)), want, 32, scale)


# Views and indexing ---------------------------------------------------------------------------------------------------
@given(views(), st.data())
def test_view_round_trips(view, data):
    x = view.tensor()
    order = data.draw(st.permutations(range(x.dim())))
    back = [order.index(i) for i in range(len(order))]
    assert H.equal(x.permute(order).permute(back), x)
    assert_values(x.permute(order), view.array.transpose(order))
    assert_values(x.contiguous(), view.array)
    assert H.equal(x.reshape(-1).reshape(x.shape), x)
    assert_values(x.reshape(-1), view.array.reshape(-1))
    assert H.equal(x.unsqueeze(0).squeeze(0), x)
    if x.dim():
        dim = data.draw(st.integers(0, x.dim() - 1))
        assert not x.shape[dim] or H.equal(H.stack(x.unbind(dim), dim), x)
        assert H.equal(x.flip(dim).flip(dim), x)
        assert H.equal(H.cat(x.split(2, dim), dim), x)
        assert H.equal(x.movedim(dim, 0).movedim(0, dim), x)
        shift = data.draw(st.integers(-7, 7))
        assert H.equal(x.roll(shift, dim).roll(-shift, dim), x)
        assert_values(x.roll(shift, dim), np.roll(view.array, shift, dim))


@given(views(dtypes=("float32",), min_side=1), st.data())
def test_reshape(view, data):
    count = math.prod(view.shape)
    sides = []
    while count > 1 and len(sides) < 4:
        sides.append(data.draw(st.sampled_from([d for d in range(1, count + 1) if count % d == 0])))
        count //= sides[-1]
    shape = (*sides, count)
    x = view.tensor()
    assert_values(x.reshape(shape), view.array.reshape(shape))
    try:
        seen = x.view(shape)
    except RuntimeError as e:
        assert "view size is not compatible" in str(e)
        if torch is not None:
            with pytest.raises(RuntimeError):
                view.tensor(torch).view(shape)
    else:
        assert seen.data_ptr() == x.data_ptr()
        assert_values(seen, view.array.reshape(shape))


@st.composite
def basic_indices(draw, shape):
    index = []
    for n in shape:
        choice = draw(st.integers(0, 3))
        if choice == 0 and n:
            index.append(draw(st.integers(-n, n - 1)))
        else:
            bounds = st.none() | st.integers(-n - 2, n + 2)
            index.append(slice(draw(bounds), draw(bounds), draw(st.none() | st.integers(1, 3))))
        if draw(st.integers(0, 7)) == 0:
            index.append(None)
    if index and draw(st.booleans()):
        cut = draw(st.integers(0, len(index)))
        index[cut:] = [Ellipsis] if draw(st.booleans()) else []
    return tuple(index)


@given(views(min_dims=1), st.data())
def test_basic_indexing(view, data):
    index = data.draw(basic_indices(view.shape))
    x = view.tensor()
    got = x[index]
    assert_values(got, view.array[index])
    assert got.numel() == 0 or got.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


@st.composite
def advanced_indices(draw, shape):
    """One index per leading dimension: integers, slices, index arrays that broadcast, at most one mask."""
    index, used = [], 0
    rank = draw(st.integers(0, 2))
    common = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    while used < len(shape):
        n, choice = shape[used], draw(st.integers(0, 4))
        if choice == 0 and n:
            count = math.prod(common)
            array = draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
            index.append(np.array(array, int).reshape(common))
        elif choice == 1 and n:
            index.append(draw(st.integers(-n, n - 1)))
        elif choice == 2 and rank == 0 and not any(isinstance(i, np.ndarray) for i in index):
            index.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool))
            rank = 3
        elif choice == 4 and draw(st.booleans()):
            break
        else:
            index.append(slice(None, None, draw(st.integers(1, 2))))
        used += 1
    return tuple(index)


@given(views(min_dims=1), st.data())
def test_advanced_indexing(view, data):
    index = data.draw(advanced_indices(view.shape))
    as_tensors = lambda m: tuple(m.from_numpy(np.array(i)) if isinstance(i, np.ndarray) else i for i in index)
    assume(not any(isinstance(i, np.ndarray) and i.ndim == 0 for i in index))
    x, a = view.tensor(), view.array
    try:
        want = a[index]
    except IndexError:
        assume(False)
    if any(isinstance(i, np.ndarray) for i in index) and any(isinstance(i, int) for i in index):
        # NumPy lets an integer beside arrays decide where the result's dimensions go; torch takes it away first.
        if torch is None:
            return
        want = values_of(view.tensor(torch)[as_tensors(torch)])
    assert_values(x[as_tensors(H)], want)


@given(views(min_dims=1, min_side=1, overlap=False), st.data())
def test_assignment(view, data):
    index = data.draw(basic_indices(view.shape))
    region = view.array[index]
    new = data.draw(views((view.dtype,), region.shape))
    x = view.tensor()
    x[index] = new.tensor()
    view.array[index] = new.array
    assert_values(x.as_strided((view.storage.size,), (1,), 0), view.storage)


@given(views(dtypes=REAL_NUMERIC, min_dims=1, min_side=1, max_dims=3, overlap=False), st.data())
def test_gather_undoes_scatter(view, data):
    dim = data.draw(st.integers(0, len(view.shape) - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    order = H.from_numpy(np.argsort(rng.random(view.shape), axis=dim))
    x = view.tensor()
    scattered = H.zeros(view.shape, dtype=x.dtype).scatter(dim, order, x)
    assert H.equal(scattered.gather(dim, order), x)
    back = H.zeros(view.shape, dtype=x.dtype).scatter_add(dim, order, x)
    assert H.equal(back, scattered)


@given(views(dtypes=["bool", "int64", "float32"], min_dims=1), st.integers(0, 2**31))
def test_masks(view, seed):
    mask = np.random.default_rng(seed).integers(0, 2, view.shape).astype(bool)
    x, m = view.tensor(), H.from_numpy(mask)
    assert_values(x[m], view.array[mask])
    assert_values(x.masked_select(m), view.array[mask])
    assert_values(m.nonzero(), np.argwhere(mask))
    refilled = H.zeros_like(x, memory_format=H.contiguous_format)
    refilled[m] = x[m]
    assert_values(refilled, np.where(mask, view.array, 0))
    assert_values(x.masked_fill(m, 1), np.where(mask, np.ones((), wide(view.dtype)), view.array))


# Convolution is correlation ------------------------------------------------------------------------------------------
@given(st.data(), st.sampled_from(["float32", "float64"]))
def test_conv2d(data, dtype):
    draw = lambda lo, hi: data.draw(st.integers(lo, hi))
    groups = draw(1, 2)
    n, c, o = draw(1, 2), groups * draw(1, 2), groups * draw(1, 2)
    kernel = (draw(1, 3), draw(1, 3))
    stride, padding, dilation = ((draw(1, 2), draw(1, 2)), (draw(0, 2), draw(0, 2)), (draw(1, 2), draw(1, 2)))
    need = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    side = [max(need[i], 1) + draw(0, 3) for i in (0, 1)]
    x = data.draw(views((dtype,), (n, c, *side)))
    w = data.draw(views((dtype,), (o, c // groups, *kernel)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    got = H.nn.functional.conv2d(x.tensor(), w.tensor(), **options)
    assert_values(got, conv(x.array, w.array, **options), 32, conv(np.abs(x.array), np.abs(w.array), **options))


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(sorted(EPS)))
def test_scalar_round_trip(value, dtype):
    x = H.tensor(value, dtype=getattr(H, dtype))
    want = quantise(np.float64(value), dtype)
    assert_values(x, want)
    assert (x.item() == float(want)) or math.isnan(value)
    assert math.copysign(1, x.item()) == math.copysign(1, value) or math.isnan(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integer_round_trip(value):
    assert H.tensor(value).item() == value and int(H.tensor([value])) == value
