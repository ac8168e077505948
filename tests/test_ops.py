"""Every op on every dtype: values against NumPy in float64 and against torch, dtypes, shapes, special numbers."""

import itertools

import numpy as np
import pytest
from harness import (
    ALL_DTYPES,
    OURS,
    REAL,
    H,
    assert_same,
    differences,
    dtype_name,
    flat,
    kind,
    make,
    quantise,
    torch,
    values_of,
)
from samples import OPS, Arr, Call, Op, unary

pytestmark = pytest.mark.filterwarnings("ignore")
CASES = [pytest.param(op, dtype, id=f"{op.id}-{dtype}") for op in OPS for dtype in op.dtypes]
TAKEN = {(op.name, dtype) for op in OPS for dtype in [*op.dtypes, *op.also]}
REFUSED = [pytest.param(op, d, id=f"{op.id}-{d}") for op in OPS for d in ALL_DTYPES if (op.name, d) not in TAKEN]


def expected_dtype(rule, dtype, sample):
    """The result's dtype by the op's rule."""
    scalars = [a for a in (*sample.args, *sample.kwargs.values()) if isinstance(a, float)]
    if rule == "same":
        return dtype
    if rule == "real":
        return REAL.get(dtype, dtype)
    if rule == "float":
        return "float32" if kind(dtype) in "bui" else dtype
    if rule == "complex":
        return {"float32": "complex64", "float64": "complex128"}[dtype]
    if rule == "sum":
        return "int64" if kind(dtype) in "bui" else dtype
    assert not scalars or rule in ("bool", "int64", "float64")
    return rule


def run(op, module, sample):
    args, kwargs = sample.map(lambda a: a.to(module))
    return op.function(module)(*args, **kwargs)


@pytest.mark.parametrize("op, dtype", CASES)
def test_values(op, dtype):
    count = 0
    for sample in op.calls(dtype):
        count += 1
        note = f"{op.id}({sample})"
        got = flat(run(op, H, sample))
        want = op.reference(sample)
        want = list(want) if isinstance(want, (tuple, list)) else [want]
        assert len(got) == len(want), note
        scales = op.scale_of(sample, want[0])
        scales = list(scales) if isinstance(scales, (tuple, list)) else [scales] * len(want)
        rules = op.out if isinstance(op.out, tuple) else (op.out,) * len(want)
        for g, w, scale, rule in zip(got, want, scales, rules, strict=True):
            assert dtype_name(g) == expected_dtype(rule, dtype, sample), f"{note}: dtype {g.dtype}"
            wrong = differences(values_of(g), w, dtype_name(g), op.bound(dtype), scale)
            assert not wrong, f"{note}: {wrong}"
        if torch is not None and OURS:
            peer = flat(run(op, torch, sample))
            assert len(got) == len(peer), note
            for g, p, scale in zip(got, peer, scales, strict=True):
                # Both are within the bound of the truth, so within twice the bound of each other.
                assert_same(g, p, 2 * op.bound(dtype), scale, f"{note} against torch")
    assert count, "no samples"


@pytest.mark.parametrize("op, dtype", REFUSED)
def test_refuses_dtype(op, dtype):
    """A dtype that torch does not take is an error here too, never a silent answer."""
    sample = next(iter(op.calls(dtype)))
    if not any(a.dtype == dtype for a in sample.arrays()):
        pytest.skip("the op's tensors have their own dtype")
    with pytest.raises((RuntimeError, TypeError, NotImplementedError, ValueError, IndexError)):
        run(op, H, sample)


# Promotion --------------------------------------------------------------------------------------------------------
def promoted(a, b):
    """torch's lattice: the higher category wins; within one, the wider; uint8 with a signed type is one step up."""
    order = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
    order += ("complex64", "complex128")
    a, b = sorted((a, b), key=order.index)
    if a == b or kind(a) == "b":
        return b
    if a == "uint8" and kind(b) == "i":
        return "int16" if b == "int8" else b
    if {a, b} == {"float16", "bfloat16"}:
        return "float32"
    if kind(b) == "c":
        return "complex128" if "float64" in (a, b) or "complex128" in (a, b) else "complex64"
    return b


@pytest.mark.parametrize("b", ALL_DTYPES)
@pytest.mark.parametrize("a", ALL_DTYPES)
def test_promotion(a, b):
    """Two tensors with dimensions; a 0-d tensor or a number gives way unless its category is higher."""
    full, other, single = (make(H, np.ones(s), d) for s, d in (((3,), a), ((3,), b), ((), b)))
    want = promoted(a, b)
    assert dtype_name(full * other) == want
    assert dtype_name(full + other) == want
    assert str(H.promote_types(full.dtype, other.dtype)).endswith("." + want)
    assert str(H.result_type(full, other)).endswith("." + want)
    rank = {"b": 0, "u": 1, "i": 1, "h": 2, "f": 2, "c": 3}
    weak = a if rank[kind(b)] <= rank[kind(a)] else want
    if kind(b) == "c" and kind(a) in "hf":
        # The number of bits is the tensor's, not the 0-d operand's. torch has complex32, which we do not.
        weak = {"float64": "complex128", "float16": "complex64" if OURS else "complex32"}.get(a, "complex64")
    assert dtype_name(full * single) == weak
    assert dtype_name(single * full) == weak
    assert dtype_name(make(H, np.ones(()), a) * single) == want
    assert dtype_name(full == other) == "bool"
    assert dtype_name(H.where(make(H, np.ones(3), "bool"), full, other)) == want
    assert dtype_name(H.cat([full, other])) == want


NUMBERS = {True: ("b", "bool"), 2: ("i", "int64"), 2.5: ("f", "float32"), 2.5j: ("c", "complex64")}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_number_operands(dtype, number):
    """A Python number on either side; it changes the dtype only when its category is higher."""
    rank = "biufhc".index
    category, default = NUMBERS[number]
    own = {"u": "i", "h": "f"}.get(kind(dtype), kind(dtype))
    if rank({"f": "h"}.get(category, category)) <= rank({"f": "h", "i": "u"}.get(own, own)):
        want = dtype
    else:
        want = {"float16": "complex64", "bfloat16": "complex64", "float64": "complex128"}.get(dtype, default)
    if dtype == "float16" and category == "c" and not OURS:
        pytest.skip("complex32")
    x = make(H, np.array([1, 0, 3]), dtype)
    for result in (x * number, number * x, x + number, number + x):
        assert dtype_name(result) == want, f"{dtype} and {number!r}: {result.dtype}"
    values = np.array([1, 0, 3]).astype(bool if dtype == "bool" else np.int64)
    if (dtype, number) != ("bool", True):
        assert not differences(values_of(number * x), values * number, want)


# Special numbers --------------------------------------------------------------------------------------------------
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-3, -1e-3, 80.0, -80.0, 100.0]
SPECIAL += [-100.0, 1000.0, -1000.0, 1e-30, 1e30, -1e30, 1.17549435e-38, 1e-40, -1e-42, 3.4028235e38, 16777217.0]
UNARY = [o for o in OPS if o.samples is unary and o.name not in ("prod", "Tensor.contiguous")]


# Functions that keep the sign of a zero.
ODD = set("neg sqrt sin tan asin atan sinh tanh asinh atanh erf expm1 log1p floor ceil trunc round deg2rad".split())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("op", UNARY, ids=repr)
def test_special_numbers(op, dtype):
    """Zeros with their signs, infinities, NaN, denormals and the largest numbers."""
    if dtype not in op.dtypes:
        pytest.skip("not an op of this dtype")
    # The sign of a NaN is not part of its value.
    values = quantise([1.0 if v != v and op.name == "signbit" else v for v in SPECIAL], dtype)
    sample = Call([Arr(values, dtype, values.shape)], {})
    got = run(op, H, sample)
    if torch is None:
        pytest.skip("torch says what the special values are")
    want = run(op, torch, sample)
    assert dtype_name(got) == dtype_name(want)
    ulp = max(2 * op.bound(dtype), 4) if op.bound(dtype) else 0
    try:
        truth = quantise(op.reference(sample), dtype_name(got))
    except ValueError:  # math.lgamma at a pole
        truth = values_of(want)
    for x, g, t, n in zip(values, values_of(got), values_of(want), truth, strict=True):
        # Where torch overflows early or flushes denormals, the true value is right too.
        wrong = differences(g, t, dtype_name(got), ulp) and differences(g, n, dtype_name(got), ulp, op.scale and 1.0)
        assert not wrong, f"{op.id}({x}): {wrong}"
    if op.name in ODD:
        zero = (values_of(got) == 0) & (values_of(want) == 0)
        signs = [np.signbit(values_of(t)[zero]) for t in (got, want)]
        assert (signs[0] == signs[1]).all(), f"{op.id}: sign of zero"


BINARY = "add sub mul div pow atan2 maximum minimum fmax fmin fmod remainder floor_divide eq ne lt le gt ge".split()


@pytest.mark.skipif(torch is None, reason="torch says what the special values are")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name, dtype):
    values = quantise([0.0, -0.0, 1.0, -1.0, 2.0, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-30, 1e30, 0.5], dtype)
    a, b = np.repeat(values, len(values)), np.tile(values, len(values))
    if name in ("fmod", "remainder"):  # torch's float32 quotient overflows where the remainder is small
        b = np.where((np.abs(a) > 1e20) & (np.abs(b) < 1e20), np.nan, b)
        a = np.where((np.abs(a) < 1e20) & (np.abs(b) > 1e20), np.nan, a)
    got, want = (getattr(m, name)(make(m, a, dtype), make(m, b, dtype)) for m in (H, torch))
    assert_same(got, want, {"pow": 8, "atan2": 8, "fmod": 2, "remainder": 2}.get(name, 0), note=name)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers_wrap(dtype):
    info = np.iinfo(dtype)
    a = np.array([info.max, info.min, info.max, 100, 7], dtype=dtype)
    b = np.array([1, 1, info.max, 100, 3], dtype=dtype)
    x, y = H.from_numpy(a), H.from_numpy(b)
    with np.errstate(all="ignore"):
        for got, want in [
            (x + y, a + b),
            (x - y, a - b),
            (x * y, a * b),
            (-x, -a),
            (x * 300 if dtype == "uint8" else x, a),
        ]:
            if want is not a:
                assert (got.numpy() == want).all()
    assert dtype_name(x * y) == dtype


def test_integer_division_by_zero():
    zero = H.tensor([0, 0])
    with pytest.raises(RuntimeError, match="^ZeroDivisionError"):
        H.tensor([1, -1]) // zero
    with pytest.raises(RuntimeError, match="^ZeroDivisionError"):
        H.tensor([1, -1]) % zero
    assert H.isinf(H.tensor([1, -1]) / zero).all()


# Sizes at which threads, streaming stores and blocked loops take over -----------------------------------------------
@pytest.mark.parametrize("size", [4095, 4097, 65537, 300_001, 3_000_017])
def test_large(size):
    rng = np.random.default_rng(size)
    a, b = (rng.uniform(-1, 1, size).astype(np.float32) for _ in "ab")
    x, y = H.from_numpy(a), H.from_numpy(b)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    for got, want in [
        (x * y, a * b),
        (x + y, a + b),
        (x * 2.5, a * np.float32(2.5)),
        (x[::2] * y[1::2][: len(x[::2])] if size % 2 == 0 else x.neg(), -a),
    ]:
        assert (got.numpy() == want).all()
    assert not differences(values_of(H.exp(x)), np.exp(wide_a), "float32", 4)
    assert not differences(values_of(x.sum()), wide_a.sum(), "float32", 64, np.abs(wide_a).sum())
    assert not differences(values_of(H.dot(x, y)), wide_a @ wide_b, "float32", 256, np.abs(wide_a) @ np.abs(wide_b))
    assert not differences(values_of(x.max()), wide_a.max(), "float32")
    assert x.argmax().item() == a.argmax()
    assert not differences(values_of(x.cumsum(0)), wide_a.cumsum(), "float32", 512, np.abs(wide_a).cumsum())
    assert (x.to(H.float64).numpy() == wide_a).all()
    assert ((x > y).numpy() == (a > b)).all()
    square = int(size**0.5)
    m = x[: square * square].reshape(square, square)
    n = wide_a[: square * square].reshape(square, square)
    for dim in (0, 1):
        assert not differences(values_of(m.sum(dim)), n.sum(dim), "float32", 32, np.abs(n).sum(dim))
        assert (m.max(dim).values.numpy() == n.max(dim)).all()
    assert (m.t().contiguous().numpy() == n.T.astype(np.float32)).all()
    assert ((m * m.t()).numpy() == (n.astype(np.float32) * n.T.astype(np.float32))).all()


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "complex64", "complex128"]
)
@pytest.mark.parametrize(
    "m, k, n",
    [(1, 300, 5), (65, 64, 63), (5, 1, 300), (130, 257, 129), (2, 1000, 2), (300, 3, 300), (1, 1, 1), (7, 5, 600)],
)
def test_matrix_routes(m, k, n, dtype):
    """Every shape class of a product, both operands as they are and transposed."""
    rng = np.random.default_rng(m * k * n)
    draw = lambda *s: rng.integers(-9, 9, s) if kind(dtype) in "i" else rng.uniform(-1, 1, s)
    a, b = (quantise(draw(*s) + (1j * draw(*s) if kind(dtype) == "c" else 0), dtype) for s in ((m, k), (k, n)))
    want, scale = a @ b, np.abs(a) @ np.abs(b)
    ulp = 1.05 if kind(dtype) == "h" else 2 + np.sqrt(k)
    for left in (make(H, a, dtype), make(H, a.T.copy(), dtype).t()):
        for right in (make(H, b, dtype), make(H, b.T.copy(), dtype).t(), make(H, np.repeat(b, 2, 1), dtype)[:, ::2]):
            wrong = differences(values_of(left @ right), want, dtype, ulp, scale)
            assert not wrong, wrong


@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (3, 0, 4), (0, 3, 2), (17, 33, 9), (64, 1700, 70), (130, 77, 16)])
@pytest.mark.parametrize("left", ["int8", "uint8"])
def test_int_mm(m, k, n, left):
    """Sums of products of int8 in int32, of the largest numbers too, in any layout."""
    rng = np.random.default_rng(m * k * n)
    low, high = (-128, 128) if left == "int8" else (0, 256)
    draws = rng.integers(low, high, (m, k)), rng.choice([low, high - 1], (m, k))
    for a, b in zip(draws, (rng.integers(-128, 128, (k, n)), np.full((k, n), -128)), strict=True):
        want = a @ b
        for x in (make(H, a, left), make(H, a.T.copy(), left).t()):
            for y in (make(H, b, "int8"), make(H, b.T.copy(), "int8").t(), make(H, np.repeat(b, 2, 1), "int8")[:, ::2]):
                out = H._int_mm(x, y)
                assert out.dtype == H.int32 and (out.numpy() == want).all()
                into = H.empty(m, n, dtype=H.int32)
                assert H._int_mm(x, y, out=into) is into and (into.numpy() == want).all()
        if torch:
            assert (torch._int_mm(make(torch, a, left), make(torch, b, "int8")).numpy() == want).all()


def test_int_mm_refuses():
    make_all = lambda T: {
        "a": T.ones(2, 3, dtype=T.int8),
        "b": T.ones(3, 4, dtype=T.int8),
        **{f"out{i}": T.empty(s, dtype=T.int32) for i, s in enumerate([(3, 4), (2, 5), (8,), (0,), (4, 2)])},
        "floats": T.empty(2, 4),
    }
    ours, theirs = make_all(H), torch and make_all(torch)
    for call, words in {
        "_int_mm(a[0], b)": "Expected self to be of dimension 2 but got 1",
        "_int_mm(a, b[0])": "Dimension out of range (expected to be in range of [-1, 0], but got 1)",
        "_int_mm(a, a)": "self.size(1) needs to match mat2.size(0) but got 3 and 2",
        "_int_mm(a.int(), b)": "Expected self dtype to be int8 or uint8 but got int",
        "_int_mm(a.float(), b)": "Expected self dtype to be int8 or uint8 but got float",
        "_int_mm(a, b.long())": "Expected mat2 dtype to be of type int8 but got long int",
        "_int_mm(a.byte(), b.byte())": "Expected mat2 dtype to be of type int8 but got unsigned char",
        "_int_mm(a, b, out=floats)": "Expected result dtype to be of type kInt but got float",
        "_int_mm(a, b, out=out0)": "Expected result.size(0) to be 2 but got 3",
        "_int_mm(a, b, out=out1)": "Expected result.size(1) to be 4 but got 5",
        "_int_mm(a, b, out=out2)": "Expected result.size(0) to be 2 but got 8",
        "_int_mm(a, b, out=out3)": "Expected result.size(0) to be 2 but got 0",
        "_int_mm(a, b, out=out4.t())": "Expected result to be contiguous.",
    }.items():
        for T, names in ((H, ours), (torch, theirs)):
            if T:
                with pytest.raises((RuntimeError, IndexError)) as caught:
                    eval(f"T.{call}", {"T": T, **names})
                first = str(caught.value).split("\n")[0]
                assert first == words or first == "int_mm_out_cpu: " + words


# Factories, casts and arguments shared by many ops ------------------------------------------------------------------
@pytest.mark.parametrize("to", ALL_DTYPES)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_casts(dtype, to):
    values = [0, 1, 2, 3, 100, 0.5, 1.5, 2.25] if kind(dtype) in "hfc" else [0, 1, 2, 3, 100]
    values = values + [-1, -2.5] if kind(dtype) in "hfc" and kind(to) not in "bu" else values
    stored = quantise(np.array(values, dtype=complex if kind(dtype) == "c" else float), dtype)
    x = make(H, stored, dtype)
    got = x.to(getattr(H, to))
    assert dtype_name(got) == to
    source = stored.real if kind(to) != "c" and kind(to) != "b" else stored
    assert not differences(values_of(got), source.astype(bool) if to == "bool" else source, to)
    assert (got is x) == (dtype == to)
    assert x.to(getattr(H, to), copy=True) is not x


def test_dtype_argument():
    x = H.tensor([[1, 2], [3, 4]], dtype=H.int32)
    assert x.sum(dtype=H.float64).dtype == H.float64
    assert x.mean(dtype=H.float32).item() == 2.5
    assert x.prod(dtype=H.float32).dtype == H.float32
    assert x.cumsum(0, dtype=H.float64).dtype == H.float64
    assert H.softmax(x, 0, dtype=H.float64).dtype == H.float64
    assert x.sum(0, dtype=H.int8).tolist() == [4, 6]
    assert H.zeros(2, dtype=H.int8).dtype == H.int8
    with pytest.raises(RuntimeError, match="mean"):
        x.mean()


FACTORIES = [
    ("zeros", (2, 3)), ("ones", (2, 3)), ("zeros", ((2, 0),)), ("full", ((2, 2), 7)), ("full", ((2,), 1.5)),
    ("full", ((2,), True)), ("arange", (5,)), ("arange", (1, 2.5, 0.5)), ("arange", (5, 0, -2)),
    ("arange", (0.1, 1.0, 0.1)),
    ("linspace", (0, 1, 5)), ("linspace", (3, -3, 7)), ("linspace", (1, 2, 1)), ("eye", (3,)), ("eye", (2, 4)),
    ("logspace", (0, 2, 3)), ("tensor", ([[1, 2], [3, 4]],)), ("tensor", ([1.5, 2],)), ("tensor", ([True, False],)),
    ("tensor", (3,)), ("tensor", ([],)), ("tensor", ([1, 2.5, True],)), ("tensor", ([1j, 2],)),
    ("tril_indices", (3, 3)),
    ("triu_indices", (3, 3)), ("empty", ((0, 3),)), ("zeros", ([2, 2],)), ("scalar_tensor", (2.5,)),
]  # fmt: skip


@pytest.mark.skipif(torch is None, reason="compares with torch")
@pytest.mark.parametrize("name, args", FACTORIES, ids=lambda v: v if isinstance(v, str) else str(v))
def test_factories(name, args):
    # linspace and logspace may round their steps differently.
    assert_same(getattr(H, name)(*args), getattr(torch, name)(*args), 4 if "space" in name else 0, note=name)


def test_factories_take_options():
    x = H.zeros(2, 3, dtype=H.float64, requires_grad=True)
    assert x.requires_grad and x.is_leaf and x.dtype == H.float64
    for name in ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like"):
        y = getattr(H, name)(x)
        assert y.shape == (2, 3) and y.dtype == H.float64 and not y.requires_grad
        assert getattr(H, name)(x, dtype=H.float32).dtype == H.float32
    assert H.full_like(x, 3).tolist() == [[3.0] * 3] * 2
    assert x.new_zeros(2).dtype == H.float64 and x.new_ones((2, 2)).shape == (2, 2)
    assert x.new_full((2,), 3.0).tolist() == [3, 3] and x.new_tensor([1, 2]).dtype == H.float64
    assert x.new_empty(0).numel() == 0
    assert H.zeros((2, 3), device="meta").device.type == "meta"
    assert H.as_tensor(x) is x and H.tensor(np.float64(2)).dtype == H.float64
    assert H.tensor(np.arange(3, dtype=np.int32)).dtype == H.int32
    assert H.tensor([H.tensor(1), H.tensor(2)]).tolist() == [1, 2]


def test_comparisons_of_whole_tensors():
    x = H.tensor([1.0, 2.0])
    assert H.equal(x, x.clone()) is True and H.equal(x, x + 1) is False and H.equal(x, H.ones(3)) is False
    assert H.allclose(x, x + 1e-9) is True and H.allclose(x, x + 1) is False
    nan = H.tensor([float("nan")])
    assert not H.allclose(nan, nan) and H.allclose(nan, nan, equal_nan=True)
    assert H.is_tensor(x) and not H.is_tensor([1]) and H.is_floating_point(x) and not H.is_complex(x)
    assert H.numel(x) == 2 and x.nelement() == 2 and x.element_size() == 4 and x.nbytes == 8


def test_operators():
    a, b = np.array([[7.0, -3.0], [2.0, 5.0]]), np.array([2.0, -4.0])
    x, y = H.from_numpy(a), H.from_numpy(b)
    pairs = [(x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (x // y, a // b), (x % y, a % b)]
    pairs += [(x**2, a**2), (2**y, 2**b), (x @ y, a @ b), (y @ x, b @ a), (-x, -a), (abs(x), abs(a)), (+x, a)]
    pairs += [(x < y, a < b), (x <= 2, a <= 2), (x > y, a > b), (x >= y, a >= b), (x == y, a == b), (x != y, a != b)]
    pairs += [(1 + x, 1 + a), (1 - x, 1 - a), (2 * x, 2 * a), (1 / x, 1 / a), (9 // x, 9 // a), (9 % x, 9 % a)]
    pairs += [(2 > x, 2 > a), (2 == x, 2 == a)]
    i, j = np.array([6, 3]), np.array([1, 2])
    m, n = H.from_numpy(i), H.from_numpy(j)
    pairs += [
        (m & n, i & j),
        (m | n, i | j),
        (m ^ n, i ^ j),
        (~m, ~i),
        (m << n, i << j),
        (m >> n, i >> j),
        (m & 2, i & 2),
    ]
    pairs += [(m // n, i // j), (m % n, i % j), (m / n, i / j), (m**n, i**j), (5 & m, 5 & i), (1 << n, 1 << j)]
    for got, want in pairs:
        assert not differences(values_of(got), want, dtype_name(got), 4), (got, want)
    z = H.tensor([5.0])
    before = z
    z += 1
    z -= 2
    z *= 3
    z /= 4
    z //= 2
    z **= 2
    z %= 3
    assert before is z and z.item() == 1.0
    p = H.tensor([6])
    p &= 3
    p |= 8
    p ^= 1
    p <<= 2
    p >>= 1
    assert p.item() == 22


@pytest.mark.skipif(torch is None, reason="compares with torch")
def test_tensors_have_the_methods():
    """Every op of the table that is a method in torch is one here, and it is the same computation."""
    methods = [op for op in OPS if op.method and callable(getattr(torch.Tensor, op.name, None))]
    assert not [op.name for op in methods if not hasattr(H.Tensor, op.name)]
    for op in methods:
        sample = next(c for c in op.calls(op.dtypes[-1]) if isinstance(c.args[0], Arr))
        args, kwargs = sample.map(lambda a: a.to(H))
        calls = getattr(args[0], op.name)(*args[1:], **kwargs), op.function(H)(*args, **kwargs)
        for one, two in zip(*map(flat, calls), strict=True):
            assert_same(one, two, note=op.id)


# Tested in files of their own: what draws, what makes, and the halves of ops that are whole in the table.
ELSEWHERE = set(
    "bernoulli multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm dropout "
    "arange empty empty_like empty_strided eye full full_like linspace logspace ones ones_like scalar_tensor zeros "
    "zeros_like tril_indices triu_indices equal allclose numel is_nonzero alpha_dropout feature_dropout "
    "feature_alpha_dropout can_cast is_complex is_floating_point is_signed promote_types result_type range detach "
    "resolve_conj resolve_neg max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
    "native_batch_norm native_layer_norm nll_loss2d nll_loss_nd "
    "cross_entropy_loss col2im im2col linalg_cross linalg_vector_norm "
    "log_sigmoid split_with_sizes".split()
)


@pytest.mark.skipif(not OURS, reason="about our own list of ops")
def test_every_op_is_in_the_table():
    """Adding an op to the core is adding a row here."""
    known = {op.name.rpartition(".")[2] for op in OPS} | ELSEWHERE
    named = {name for name in H._C._functions if not name.startswith("_") and not name.endswith("_")}
    assert not sorted(named - known)


def test_table_is_whole():
    """No op is there twice and each draws samples for each of its dtypes."""
    assert len({op.id for op in OPS}) == len(OPS)
    assert all(isinstance(op, Op) and op.dtypes for op in OPS)
    assert all(next(itertools.islice(op.calls(d), 1), None) is not None for op in OPS for d in op.dtypes)


def test_kernels_leave_the_x87_unit_usable():
    """A kernel that used MMX registers would turn the next number that fmod sees, of NumPy's say, into NaN."""
    x = H.rand(300, 200)
    for made in (x, x.double(), (x * 100).int(), x.half(), x > 0.5):
        made.long().argmax(0) if made.dtype == H.bool else made.argmax(0)
        made.sum(0), made.cumsum(0), made.sort(0)
        assert (np.array([7.0, -3.0, 2.0, 5.0]) // 2.0).tolist() == [3.0, -2.0, 1.0, 2.0]
