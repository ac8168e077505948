"""Random streams: the same numbers as torch for the same seed, states that can be exchanged, and torch's errors."""

import copy
import math
import pickle
import warnings
import zlib

import numpy as np
import pytest
from harness import DTYPES, OURS, H, torch
from hypothesis import given
from hypothesis import strategies as st

FLOATS = DTYPES["h"] + DTYPES["f"]
COMPLEX = DTYPES["c"]
INTEGERS = DTYPES["u"] + DTYPES["i"]
SEEDS = (0, 12345678901234, -3)

oracle = pytest.mark.skipif(torch is None or not OURS, reason="two modules are needed, of which one is torch")


def bits(x):
    """The bytes of a tensor's elements, in logical order."""
    x = x.detach().contiguous()
    return (x.float() if "bfloat16" in str(x.dtype) else x).numpy().tobytes()


def layouts(m, dtype):
    """Tensors of every length around the places where the streams change, and of every layout."""
    t = getattr(m, dtype)
    for n in (0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 257, 512, 623, 624, 625, 1024, 4099):
        yield m.zeros(n, dtype=t)
    yield m.zeros((), dtype=t)
    yield m.zeros(3, 7, dtype=t).t()
    yield m.zeros(40, 50, dtype=t).t()
    yield m.zeros(400, dtype=t)[::3]
    yield m.zeros(4, 6, 10, dtype=t).permute(1, 2, 0)
    yield m.zeros(4, 6, 10, dtype=t)[:, 1:5, ::2].transpose(0, 1)
    yield m.zeros(5, 1, 7, dtype=t).transpose(0, 2)


FILLS = {
    "uniform_": (FLOATS + COMPLEX, lambda x: x.uniform_()),
    "uniform_ of a range": (FLOATS + COMPLEX, lambda x: x.uniform_(-1.3, 2.7)),
    "uniform_ that rounds up to its end": (FLOATS, lambda x: x.uniform_(100, 100.5)),
    "normal_": (FLOATS + COMPLEX, lambda x: x.normal_()),
    "normal_ of a mean and std": (FLOATS + COMPLEX, lambda x: x.normal_(1.7, 0.3)),
    "exponential_": (FLOATS, lambda x: x.exponential_(1.7)),
    "log_normal_": (FLOATS, lambda x: x.log_normal_(0.3, 1.7)),
    "cauchy_": (FLOATS, lambda x: x.cauchy_(0.3, 1.7)),
    "geometric_": (FLOATS + INTEGERS, lambda x: x.geometric_(0.013)),
    "random_": (FLOATS + INTEGERS + ("bool",), lambda x: x.random_()),
    "random_ below": (FLOATS + INTEGERS, lambda x: x.random_(100)),
    "random_ of a range": (FLOATS + DTYPES["i"], lambda x: x.random_(-5, 97)),
    "random_ from": (INTEGERS, lambda x: x.random_(7, None)),
    "random_ of 28 bits less one": (("int32", "int64", "float64"), lambda x: x.random_(0, 2**28 - 1)),
    "random_ of 28 bits": (("int32", "int64", "float64"), lambda x: x.random_(0, 2**28)),
    "random_ of 32 bits": (("int64", "float64"), lambda x: x.random_(3, 2**32)),
    "random_ of 63 bits": (("int64",), lambda x: x.random_(-(2**40), 2**62)),
    "random_ of 64 bits": (("int64", "float64", "float32", "bfloat16"), lambda x: x.random_(-(2**63), None)),
    "random_ beyond what the dtype tells apart": (FLOATS, lambda x: x.random_(1001, 60001)),
    "bernoulli_": (FLOATS + INTEGERS + ("bool",), lambda x: x.bernoulli_(0.3)),
}


@oracle
@pytest.mark.parametrize("name", FILLS)
def test_fills_equal_torch(name):
    dtypes, fill = FILLS[name]
    for dtype in dtypes:
        for seed in SEEDS:
            H.manual_seed(seed)
            torch.manual_seed(seed)
            for ours, theirs in zip(layouts(H, dtype), layouts(torch, dtype), strict=True):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert fill(ours) is ours
                    fill(theirs)
                where = f"{name} {dtype} {tuple(ours.shape)} {ours.stride()}"
                assert bits(ours) == bits(theirs), where
                assert bits(H.get_rng_state()) == bits(torch.get_rng_state()), where


def made(m):
    """One call of everything that makes a random tensor."""
    half, p = m.full((5, 7), 0.5), m.arange(12.0).reshape(3, 4)
    strided = m.zeros(6, 5).t()
    return [
        m.rand(3, 4),
        m.rand((2, 3), dtype=m.float64),
        m.rand(size=(2,)),
        m.rand(4, out=m.empty(0, dtype=m.float64)),
        m.randn(3),
        m.randn(4, 5, dtype=m.complex64),
        m.randn(()),
        m.randint(10, (4,)),
        m.randint(-5, 5, (2, 2), dtype=m.int8),
        m.randint(low=0, high=3, size=(2,)),
        m.randint(3, (5,), dtype=m.float16),
        m.randperm(100),
        m.randperm(9, dtype=m.int16),
        m.randperm(0),
        m.rand_like(strided),
        m.randn_like(strided, dtype=m.float64),
        m.randint_like(half, 7),
        m.randint_like(half, 3, 5, dtype=m.int64),
        m.normal(m.arange(20.0), m.arange(20.0) + 1),
        m.normal(m.zeros(2, 1), m.ones(3)),
        m.normal(m.arange(20.0)),
        m.normal(m.arange(20.0), 2.0),
        m.normal(3.0, m.arange(20.0)),
        m.normal(2, 3, (4, 5)),
        m.normal(0.0, 1.0, size=(20,), dtype=m.float64),
        m.bernoulli(half),
        m.bernoulli(half.double()),
        m.bernoulli(half, 0.9),
        m.zeros(3, 4).bernoulli_(p / 12),
        m.zeros(4, 3).t().bernoulli_((p / 12).double()),
        m.poisson(p * 4),
        m.multinomial(p, 2),
        m.multinomial(p, 4),
        m.multinomial(p, 1),
        m.multinomial(p, 9, replacement=True),
        m.multinomial(p[1], 2, True),
        m.multinomial(p.t().contiguous().t().double(), 3),
        m.multinomial(m.arange(1000.0), 5),
        m.dropout(half, 0.3, True),
        m.dropout(strided + 1, 0.3, True),
        m.dropout(half.double(), 0.3, True),
        m.dropout(half.half(), 0.3, True),
        m.dropout_(half.clone(), 0.3, True),
        m.feature_dropout(half, 0.3, True),
        m.alpha_dropout(half, 0.3, True),
        m.feature_alpha_dropout(half, 0.3, True),
        m.nn.functional.dropout(half, 0.2),
    ]


@oracle
def test_everything_equals_torch():
    H.manual_seed(5)
    torch.manual_seed(5)
    for i, (ours, theirs) in enumerate(zip(made(H), made(torch), strict=True)):
        assert (tuple(ours.shape), ours.stride()) == (tuple(theirs.shape), theirs.stride()), i
        assert str(ours.dtype) == str(theirs.dtype), i
        assert bits(ours) == bits(theirs), f"call {i}"
    assert bits(H.get_rng_state()) == bits(torch.get_rng_state())


@oracle
@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.tuples(st.sampled_from(sorted(FILLS)), st.integers(0, 40), st.integers(0, 3)), max_size=8),
)
def test_any_row_of_calls_equals_torch(seed, calls):
    """The words, the place in them and the kept half of a pair of normals go from call to call as in torch."""
    H.manual_seed(seed)
    torch.manual_seed(seed)
    for name, n, which in calls:
        dtypes, fill = FILLS[name]
        dtype = dtypes[which % len(dtypes)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, theirs = (fill(m.zeros(n, dtype=getattr(m, dtype))) for m in (H, torch))
        assert bits(ours) == bits(theirs)
    assert bits(H.get_rng_state()) == bits(torch.get_rng_state())


@oracle
@given(
    st.sampled_from(("bool", *INTEGERS, *FLOATS)),
    st.integers(-(2**60), 2**60) | st.integers(-70000, 70000),
    st.integers(-1, 2**60) | st.integers(-1, 70000),
)
def test_any_range_of_integers_equals_torch(dtype, start, length):
    """The same numbers, or the same error: the ends move to what a floating dtype holds."""
    results = []
    for m in (H, torch):
        m.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                results.append(m.zeros(4, dtype=getattr(m, dtype)).random_(start, start + length).tolist())
            except RuntimeError as e:
                results.append(str(e).partition("\n")[0])
    assert results[0] == results[1]


@oracle
def test_states_can_be_exchanged_with_torch():
    torch.manual_seed(4)
    torch.randn(5)  # leaves a normal behind
    H.set_rng_state(H.from_numpy(torch.get_rng_state().numpy()))
    assert bits(H.randn(3)) == bits(torch.randn(3))
    H.randn(7)
    torch.set_rng_state(torch.from_numpy(H.get_rng_state().numpy()))
    assert bits(H.rand(700)) == bits(torch.rand(700))


LAYERS = """Linear(5, 7)
Linear(5, 7, bias=False)
Bilinear(3, 4, 5)
Conv1d(3, 4, 3)
Conv2d(4, 4, 3, groups=2)
Embedding(10, 6, padding_idx=2)
BatchNorm2d(4)
LayerNorm(4)
Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))""".split("\n")


@oracle
@pytest.mark.parametrize("code", LAYERS)
def test_layers_begin_with_torchs_weights(code):
    states = []
    for m in (H, torch):
        m.manual_seed(3)
        states.append({key: bits(x) for key, x in eval(f"nn.{code}", {"nn": m.nn}).state_dict().items()})
    assert states[0] == states[1]


@oracle
@pytest.mark.parametrize("generator", [False, True])
def test_loaders_shuffle_as_torchs(generator):
    orders = []
    for m in (H, torch):
        m.manual_seed(5)
        options = {"generator": m.Generator().manual_seed(6)} if generator else {}
        loader = m.utils.data.DataLoader(m.utils.data.TensorDataset(m.arange(50)), 8, shuffle=True, **options)
        a, b = m.utils.data.random_split(range(20), [15, 5])
        orders.append([[x.tolist() for (x,) in loader] for _ in range(2)] + [list(a), list(b)])
    assert orders[0] == orders[1]


# Without torch: sums of what torch 2.13 drew, of the streams that need no functions of the system's libm.
GOLDEN = {
    "rand": (0xC4BBD310, lambda: H.rand(1000)),
    "rand float64": (0x8C28E739, lambda: H.rand(1000, dtype=H.float64)),
    "rand bfloat16": (0xEF4E0E50, lambda: H.rand(1000, dtype=H.bfloat16)),
    "randn": (0x9EE1E56C, lambda: H.randn(1000)),
    "randn float16": (0xACAC7A22, lambda: H.randn(1000, dtype=H.float16)),
    "randint": (0xE928692E, lambda: H.randint(0, 1000, (1000,))),
    "randint of 40 bits": (0x71D124BA, lambda: H.randint(-(2**40), 2**40, (1000,))),
    "random_": (0x0250558E, lambda: H.zeros(1000, dtype=H.int32).random_()),
    "randperm": (0x89018204, lambda: H.randperm(1000)),
    "bernoulli": (0x5B39FE59, lambda: H.zeros(1000).bernoulli_(0.3)),
    "dropout": (0xB31F6C95, lambda: H.dropout(H.ones(1000), 0.1, True)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    H.manual_seed(2026)
    want, draw = GOLDEN[name]
    assert zlib.crc32(bits(draw())) == want


def test_the_numbers_everybody_knows():
    H.manual_seed(0)
    assert [round(x, 4) for x in H.randn(3).tolist()] == [1.5410, -0.2934, -2.1788]
    H.manual_seed(42)
    assert [round(x, 4) for x in H.rand(3).tolist()] == [0.8823, 0.9150, 0.3829]
    H.manual_seed(0)
    assert H.randperm(8).tolist() == [4, 0, 7, 3, 2, 5, 1, 6]


def test_large_permutation_is_one():
    assert sorted(H.randperm(10000).tolist()) == list(range(10000))


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_never_reaches_its_end(dtype):
    x = H.empty(200000, dtype=getattr(H, dtype)).uniform_(1, 1.5)
    assert float(x.min()) >= 1 and float(x.max()) < 1.5


def test_moments():
    """An error of the streams that no oracle is there to see would be seen here."""
    n = 200000
    draws = {
        "normal": (H.empty(n, dtype=H.float64).normal_(3, 2), 3, 2),
        "uniform": (H.rand(n, dtype=H.float64), 0.5, math.sqrt(1 / 12)),
        "exponential": (H.empty(n, dtype=H.float64).exponential_(2), 0.5, 0.5),
        "geometric": (H.empty(n, dtype=H.float64).geometric_(0.25), 4, math.sqrt(0.75) / 0.25),
        "bernoulli": (H.empty(n, dtype=H.float64).bernoulli_(0.3), 0.3, math.sqrt(0.21)),
        "log_normal": (H.empty(n, dtype=H.float64).log_normal_(0, 0.5).log(), 0, 0.5),
        "poisson": (H.poisson(H.full((n,), 20.0, dtype=H.float64)), 20, math.sqrt(20)),
    }
    for name, (x, mean, std) in draws.items():
        assert abs(float(x.mean()) - mean) < 5 * std / math.sqrt(n), name
        assert abs(float(x.std()) - std) < 0.03 * std, name


# ---------------------------------------------------------------------------------------------------- generators


def test_generator():
    g = H.Generator()
    assert g.initial_seed() == 67280421310721
    assert g.manual_seed(7) is g and g.initial_seed() == 7
    assert g.device == H.device("cpu")
    a = H.rand(5, generator=g)
    H.manual_seed(7)
    assert bits(a) == bits(H.rand(5))
    assert g.manual_seed(-1).initial_seed() == 2**64 - 1
    assert g.seed() == g.initial_seed()
    assert isinstance(H.default_generator, H.Generator)
    assert H.Generator("cpu").initial_seed() == H.Generator(device=H.device("cpu")).initial_seed()


def test_generators_are_independent():
    H.manual_seed(1)
    before = H.get_rng_state()
    g = H.Generator().manual_seed(2)
    H.randn(20, generator=g)
    H.zeros(3).uniform_(generator=g)
    H.randperm(4, generator=g)
    assert bits(before) == bits(H.get_rng_state())


def test_every_function_takes_a_generator():
    x, p = H.full((4, 5), 0.5), H.ones(4, 6)
    calls = [
        lambda g: H.rand(3, generator=g),
        lambda g: H.randn(3, generator=g),
        lambda g: H.randint(5, (3,), generator=g),
        lambda g: H.randint(2, 5, (3,), generator=g),
        lambda g: H.randperm(30, generator=g),
        lambda g: H.rand_like(x, generator=g),
        lambda g: H.normal(x, 1.0, generator=g),
        lambda g: H.normal(x, x, generator=g),
        lambda g: H.normal(0.0, x, generator=g),
        lambda g: H.normal(0.0, 1.0, (3,), generator=g),
        lambda g: H.bernoulli(x, generator=g),
        lambda g: H.poisson(x * 50, generator=g),
        lambda g: H.multinomial(p, 3, generator=g),
        lambda g: H.multinomial(p, 30, True, generator=g),
        lambda g: H.empty(9).uniform_(generator=g),
        lambda g: H.empty(9).normal_(generator=g),
        lambda g: H.empty(9).random_(generator=g),
        lambda g: H.empty(9).random_(1000, generator=g),
        lambda g: H.empty(9).random_(5, 1000, generator=g),
        lambda g: H.empty(9).exponential_(generator=g),
        lambda g: H.empty(9).log_normal_(generator=g),
        lambda g: H.empty(9).cauchy_(generator=g),
        lambda g: H.empty(99).geometric_(0.1, generator=g),
        lambda g: H.empty(99).bernoulli_(generator=g),
        lambda g: H.empty(4, 5).bernoulli_(x, generator=g),
    ]
    for i, call in enumerate(calls):
        first = bits(call(H.Generator().manual_seed(3)))
        assert first == bits(call(H.Generator().manual_seed(3))), i
        assert first != bits(call(H.Generator().manual_seed(4))), i


def test_states():
    g = H.Generator().manual_seed(9)
    H.randn(3, generator=g)
    state = g.get_state()
    assert state.dtype == H.uint8 and tuple(state.shape) == (5056,)
    a = H.randn(40, generator=g)
    g.set_state(state)
    assert bits(a) == bits(H.randn(40, generator=g))
    g.set_state(state)
    for other in (copy.deepcopy(g), pickle.loads(pickle.dumps(g)), g.clone_state()):
        assert bits(a) == bits(H.randn(40, generator=other))
    assert bits(g.get_state()) == bits(state)


def test_fork_rng():
    H.manual_seed(3)
    with H.random.fork_rng():
        inside = H.rand(3)
    assert bits(inside) == bits(H.rand(3))
    with H.random.fork_rng(enabled=False):
        H.rand(3)
    assert bits(inside) != bits(H.rand(3))


def test_seed_functions():
    assert H.manual_seed(11) is not None and H.initial_seed() == 11
    assert H.seed() == H.initial_seed()
    H.random.manual_seed(12)
    assert H.random.initial_seed() == 12


# ---------------------------------------------------------------------------------------------------- semantics


def test_requires_grad_and_out():
    assert H.rand(3, requires_grad=True).requires_grad
    assert H.randn_like(H.ones(2), requires_grad=True).requires_grad
    out = H.empty(7)
    assert H.randn(2, 3, out=out) is out and tuple(out.shape) == (2, 3)
    at = H.empty(0, dtype=H.int64)
    assert H.multinomial(H.ones(4), 2, out=at) is at and tuple(at.shape) == (2,)


def test_meta():
    assert H.rand(2, 3, device="meta").device.type == "meta"
    assert tuple(H.multinomial(H.ones(3, device="meta"), 2).shape) == (2,)
    assert H.empty(2, device="meta").normal_().device.type == "meta"


def test_in_place_draws_cut_the_graph():
    x = H.ones(20, requires_grad=True)
    y = x * 2
    y.uniform_()
    assert y.requires_grad and type(y.grad_fn).__name__ == "UniformBackward0"
    y.sum().backward()
    assert x.grad.abs().sum() == 0


def test_draws_are_constant_in_their_parameters():
    p = H.full((3,), 0.5, requires_grad=True)
    for y in (H.bernoulli(p), H.normal(p, 1.0), H.normal(0.0, p), H.normal(p, p), H.poisson(p)):
        (g,) = H.autograd.grad(y.sum(), p)
        assert g.tolist() == [0, 0, 0]


def test_dropout():
    x = H.arange(1.0, 1001.0, requires_grad=True)
    y = H.dropout(x, 0.25, True)
    kept = y != 0
    assert 650 < int(kept.sum()) < 850
    assert np.allclose(y.detach()[kept].numpy(), x.detach()[kept].numpy() / 0.75)
    y.sum().backward()
    assert H.equal(x.grad, kept.float() / 0.75 * H.ones(1000))
    assert type(y.grad_fn).__name__ == "MulBackward0"
    assert H.dropout(x, 0.25, False) is x and H.dropout(x, 0.0, True) is x
    assert H.dropout(x, 1.0, True).abs().sum() == 0
    z = H.ones(100)
    assert H.dropout_(z, 0.5, True) is z and set(z.tolist()) == {0.0, 2.0}
    assert set(H.feature_dropout(H.ones(1, 50, 3), 0.5, True).sum(2).flatten().tolist()) == {0.0, 6.0}


def test_versions_are_raised():
    x = H.ones(3)
    before = x._version
    x.normal_()
    assert x._version == before + 1


NEVER = "random_ expects 'from' to be less than 'to', but got from=%s >= to=%s"
ONE_PLACE = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
ERRORS = [
    ("torch.empty(2).normal_(0, -1)", RuntimeError, "normal expects std >= 0.0, but found std -1"),
    ("torch.normal(0.0, -1.0, (3,))", RuntimeError, "normal expects std >= 0.0, but found std -1"),
    ("torch.normal(torch.zeros(2), -1.0)", RuntimeError, "normal expects std >= 0.0, but found std -1"),
    (
        "torch.normal(torch.zeros(2), torch.tensor([1.0, -1.0]))",
        RuntimeError,
        "normal expects all elements of std >= 0.0",
    ),
    ("torch.normal(0.0, torch.tensor([float('nan')]))", RuntimeError, "normal expects all elements of std >= 0.0"),
    (
        "torch.normal(torch.zeros(2), torch.ones(3))",
        RuntimeError,
        "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0",
    ),
    (
        "torch.normal(0.0, torch.ones(2, dtype=torch.complex64))",
        RuntimeError,
        "normal expects standard deviation to be non-complex",
    ),
    (
        "torch.normal(torch.zeros(2, dtype=torch.int64), 1.0)",
        NotImplementedError,
        "\"normal_kernel_cpu\" not implemented for 'Long'",
    ),
    ("torch.randn(2, dtype=torch.int64)", NotImplementedError, "\"normal_kernel_cpu\" not implemented for 'Long'"),
    (
        "torch.empty(2).uniform_(1, 0)",
        RuntimeError,
        "uniform_ expects to return a [from, to) range, but found from=1 > to=0",
    ),
    ("torch.empty(2, dtype=torch.float16).uniform_(0, 1e6)", RuntimeError, "to is out of bounds for c10::Half"),
    (
        "torch.empty(2, dtype=torch.float16).uniform_(-6e4, 6e4)",
        RuntimeError,
        "uniform_ expects to-from <= std::numeric_limits<Half>::max(), but found to=60000 and from=-60000 which "
        "result in to-from to exceed the limit",
    ),
    ("torch.rand(2, dtype=torch.int64)", NotImplementedError, "\"check_uniform_bounds\" not implemented for 'Long'"),
    (
        "torch.rand_like(torch.ones(2, dtype=torch.bool))",
        NotImplementedError,
        "\"check_uniform_bounds\" not implemented for 'Bool'",
    ),
    ("torch.randint(5, 5, (2,))", RuntimeError, NEVER % (5, 5)),
    ("torch.randint(-1, (2,))", RuntimeError, NEVER % (0, -1)),
    ("torch.empty(2).random_(0)", RuntimeError, NEVER % (0, 0)),
    ("torch.randint(0, 300, (2,), dtype=torch.uint8)", RuntimeError, "to - 1 is out of bounds for unsigned char"),
    ("torch.empty(2, dtype=torch.int8).random_(-200, 3)", RuntimeError, "from is out of bounds for signed char"),
    ("torch.empty(2, dtype=torch.int16).random_(0, 2**33)", RuntimeError, "to - 1 is out of bounds for short int"),
    ("torch.empty(2, dtype=torch.bool).random_(0, 3)", RuntimeError, "to - 1 is out of bounds for bool"),
    ("torch.empty(2, dtype=torch.float16).random_(0, 70000)", RuntimeError, "to - 1 is out of bounds for c10::Half"),
    (
        "torch.empty(2).random_(2**40, None)",
        RuntimeError,
        "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got "
        "from=1099511627776 > to_inc=16777216",
    ),
    (
        "torch.randint(0, 2, (2,), dtype=torch.complex64)",
        RuntimeError,
        "check_random_bounds handles only integral, floating-point and boolean types",
    ),
    (
        "torch.empty(2, dtype=torch.int32).random_(-2**63, None)",
        RuntimeError,
        "random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16",
    ),
    (
        "torch.empty(2, dtype=torch.float16).random_(-2**63, None)",
        NotImplementedError,
        "\"random_full_64_bits_range_kernel_cpu\" not implemented for 'Half'",
    ),
    (
        "torch.empty(2, dtype=torch.complex64).random_()",
        NotImplementedError,
        "\"random_kernel_cpu\" not implemented for 'ComplexFloat'",
    ),
    ("torch.randperm(-1)", RuntimeError, "Trying to create tensor with negative dimension -1: [-1]"),
    ("torch.rand(-1)", RuntimeError, "Trying to create tensor with negative dimension -1: [-1]"),
    (
        "torch.randperm(300, dtype=torch.uint8)",
        RuntimeError,
        "value cannot be converted to type uint8_t without overflow",
    ),
    ("torch.randperm(3000, dtype=torch.float16)", RuntimeError, "n cannot be greater than 2049 for Half type."),
    ("torch.randperm(2, dtype=torch.bool)", NotImplementedError, "\"randperm\" not implemented for 'Bool'"),
    (
        "torch.randperm(3, requires_grad=True)",
        RuntimeError,
        "Only Tensors of floating point and complex dtype can require gradients",
    ),
    ("torch.empty(2).bernoulli_(1.5)", RuntimeError, "bernoulli_ expects p to be in [0, 1], but got p=1.5"),
    (
        "torch.bernoulli(torch.tensor([2.0]))",
        RuntimeError,
        "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be improved?  If so, "
        "please report an enhancement request to PyTorch.)",
    ),
    (
        "torch.bernoulli(torch.tensor([1]))",
        NotImplementedError,
        "\"bernoulli_tensor_cpu_p_\" not implemented for 'Long'",
    ),
    (
        "torch.empty(2, dtype=torch.complex64).bernoulli_(0.5)",
        NotImplementedError,
        "\"bernoulli_scalar_cpu_\" not implemented for 'ComplexFloat'",
    ),
    ("torch.empty(2).exponential_(0)", RuntimeError, "exponential_ expects lambda > 0.0, but found lambda=0"),
    (
        "torch.empty(2, dtype=torch.int32).exponential_()",
        RuntimeError,
        "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
        "specified Int",
    ),
    ("torch.empty(2).geometric_(1.0)", RuntimeError, "geometric_ expects p to be in (0, 1), but got p=1"),
    (
        "torch.empty(2, dtype=torch.bool).geometric_(0.5)",
        NotImplementedError,
        "\"geometric_cpu\" not implemented for 'Bool'",
    ),
    ("torch.empty(2).log_normal_(1, 0)", RuntimeError, "log_normal_ expects std > 0.0, but found std=0"),
    (
        "torch.empty(2, dtype=torch.int32).log_normal_()",
        NotImplementedError,
        "\"log_normal_cpu\" not implemented for 'Int'",
    ),
    ("torch.empty(2).cauchy_(0, 0)", RuntimeError, "cauchy_ expects sigma > 0.0, but found sigma=0"),
    ("torch.poisson(torch.tensor([-1.0]))", RuntimeError, "invalid Poisson rate, expected rate to be non-negative"),
    ("torch.poisson(torch.tensor([1]))", NotImplementedError, "\"poisson_cpu\" not implemented for 'Long'"),
    (
        "torch.multinomial(torch.zeros(3), 1)",
        RuntimeError,
        "invalid multinomial distribution (sum of probabilities <= 0)",
    ),
    (
        "torch.multinomial(torch.zeros(3), 2, True)",
        RuntimeError,
        "invalid multinomial distribution (sum of probabilities <= 0)",
    ),
    (
        "torch.multinomial(torch.tensor([-1.0, 1]), 1)",
        RuntimeError,
        "probability tensor contains either `inf`, `nan` or element < 0",
    ),
    (
        "torch.multinomial(torch.tensor([-1.0, 1]), 2, True)",
        RuntimeError,
        "invalid multinomial distribution (encountering probability entry < 0)",
    ),
    (
        "torch.multinomial(torch.tensor([float('inf'), 1]), 2, True)",
        RuntimeError,
        "invalid multinomial distribution (encountering probability entry = infinity or NaN)",
    ),
    (
        "torch.multinomial(torch.ones(3), 4)",
        RuntimeError,
        "cannot sample n_sample > prob_dist.size(-1) samples without replacement",
    ),
    ("torch.multinomial(torch.ones(3), 0)", RuntimeError, "cannot sample n_sample <= 0 samples"),
    (
        "torch.multinomial(torch.ones(3, dtype=torch.int64), 1)",
        RuntimeError,
        "multinomial only supports floating-point dtypes for input, got: Long",
    ),
    ("torch.multinomial(torch.ones(3, 2, 2), 1)", RuntimeError, "prob_dist must be 1 or 2 dim"),
    ("torch.multinomial(torch.tensor(1.0), 1)", RuntimeError, "prob_dist must be 1 or 2 dim"),
    (
        "torch.multinomial(torch.ones(3), 2, out=torch.empty(0))",
        RuntimeError,
        "multinomial expects Long tensor out, got: Float",
    ),
    (
        "torch.dropout(torch.ones(2), 1.5, True)",
        RuntimeError,
        "dropout probability has to be between 0 and 1, but got 1.5",
    ),
    (
        "torch.dropout(torch.ones(3, dtype=torch.int64), 0.5, True)",
        RuntimeError,
        "result type Float can't be cast to the desired output type Long",
    ),
    (
        "torch.feature_dropout(torch.ones(3), 0.5, True)",
        RuntimeError,
        "Feature dropout requires at least 2 dimensions in the input",
    ),
    (
        "torch.zeros(2, requires_grad=True).normal_()",
        RuntimeError,
        "a leaf Variable that requires grad is being used in an in-place operation.",
    ),
    ("torch.empty(1).expand(3).normal_()", RuntimeError, ONE_PLACE),
    ("torch.empty(1).expand(3).bernoulli_(0.5)", RuntimeError, ONE_PLACE),
    (
        "torch.rand(3, out=torch.empty(0, dtype=torch.float64), dtype=torch.float32)",
        RuntimeError,
        "dtype Float does not match dtype of out parameter (Double)",
    ),
    ("torch.manual_seed('a')", ValueError, "invalid literal for int() with base 10: 'a'"),
    ("torch.manual_seed(2**64)", ValueError, "Overflow when unpacking long long"),
    ("torch.Generator().manual_seed(2.5)", RuntimeError, "manual_seed expected a long, but got float"),
    (
        "torch.set_rng_state(torch.zeros(10, dtype=torch.uint8))",
        RuntimeError,
        "Expected a CPUGeneratorImplState of size 5056 but found the input RNG state size to be 10",
    ),
    ("torch.set_rng_state(torch.zeros(5056, dtype=torch.uint8))", RuntimeError, "Invalid mt19937 state"),
    ("torch.set_rng_state(torch.zeros(5056))", TypeError, "RNG state must be a torch.ByteTensor"),
    ("torch.set_rng_state(5)", TypeError, "expected a torch.ByteTensor, but got int"),
    ("torch.Generator().get_offset()", RuntimeError, "CPU Generator does not use offset"),
]


@pytest.mark.parametrize("code, kind, line", ERRORS, ids=[code for code, *_ in ERRORS])
def test_errors(code, kind, line):
    for module in (H, torch):
        if module is not None:
            with pytest.raises(kind) as raised:
                eval(code, {"torch": module})
            assert str(raised.value).partition("\n")[0] == line, module.__name__
            assert type(raised.value) is kind


def test_a_state_that_would_read_past_the_words_is_refused():
    state = H.Generator().get_state()
    place = state.clone()
    place[8:12] = H.tensor([112, 2, 0, 0], dtype=H.uint8)  # left = 624
    place[16:18] = H.tensor([112, 2], dtype=H.uint8)  # next = 624
    if OURS:
        with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
            H.set_rng_state(place)


def test_threads_share_a_generator():
    """Each call draws its numbers in one piece: together the threads draw the stream, in some order."""
    from concurrent.futures import ThreadPoolExecutor

    g = H.Generator().manual_seed(1)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: bits(H.randint(0, 2**40, (5000,), generator=g)), range(40)))
    g.manual_seed(1)
    assert sorted(parts) == sorted(bits(H.randint(0, 2**40, (5000,), generator=g)) for _ in range(40))
