"""repr of a tensor is PyTorch's, to the character."""

import random
from math import inf, nan, prod

import pytest
from harness import OURS, H, torch
from hypothesis import given
from hypothesis import strategies as st

if OURS:
    from hadamard import _tensor_str

DTYPES = [
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
]


@pytest.fixture(autouse=True)
def default_options():
    yield
    for module in {H, torch} - {None}:
        module.set_printoptions(profile="default")
        module.set_default_dtype(module.float32)


FIXED = [
    (lambda: H.tensor([[1.0, 2], [3, 4]]) * H.tensor([[5.0, 6], [7, 8]]), "tensor([[ 5., 12.],\n        [21., 32.]])"),
    (lambda: H.tensor([1, 2, 3]), "tensor([1, 2, 3])"),
    (lambda: H.tensor([1, -20]), "tensor([  1, -20])"),
    (lambda: H.tensor(110), "tensor(110)"),
    (lambda: H.tensor([True, False]), "tensor([ True, False])"),
    (lambda: H.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (lambda: H.tensor([nan, inf, -inf, 1]), "tensor([nan, inf, -inf, 1.])"),
    (lambda: H.tensor([1e-5, 1]), "tensor([1.0000e-05, 1.0000e+00])"),
    (lambda: H.tensor([1, 2.5], dtype=H.float64), "tensor([1.0000, 2.5000], dtype=torch.float64)"),
    (lambda: H.tensor([1 + 2j, 0.5 - 1j]), "tensor([1.0000+2.j, 0.5000-1.j])"),
    (lambda: H.zeros(0, 3), "tensor([], size=(0, 3))"),
    (lambda: H.zeros(0, dtype=H.int64), "tensor([], dtype=torch.int64)"),
    (lambda: H.empty(2, 3, device="meta"), "tensor(..., device='meta', size=(2, 3))"),
    (lambda: H.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: H.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (
        lambda: H.dot(H.tensor([0.5, -0.2, 1.3], requires_grad=True), H.tensor([2, 3.5, 1])),
        "tensor(1.6000, grad_fn=<DotBackward0>)",
    ),
    (lambda: H.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    (lambda: H.nn.Parameter(H.ones(1)), "Parameter containing:\ntensor([1.], requires_grad=True)"),
]


@pytest.mark.parametrize("make, text", FIXED, ids=[text for _, text in FIXED])
def test_fixed(make, text):
    assert repr(make()) == str(make()) == text


def numbers(dtype, count, style, draw):
    """Numbers of many kinds, mostly of one kind."""
    if dtype == "bool":
        return [bool(style) and draw.random() < 0.5 for _ in range(count)]
    if "int" in dtype:
        info = H.iinfo(getattr(H, dtype))
        low, high = [(0, 3), (info.min, info.max), (-50, 50), (-1000, 1000)][style % 4]
        return [draw.randint(max(low, info.min), min(high, info.max)) for _ in range(count)]

    def real():
        kind = style if draw.random() < 0.9 else draw.randint(0, 7)
        return [
            lambda: float(draw.randint(-5, 5)),
            lambda: draw.gauss(0, 1),
            lambda: draw.gauss(0, 1) * 10 ** draw.randint(-6, 6),
            lambda: draw.choice([0.0, -0.0, nan, inf, -inf, 1.0, -1.0, 0.5]),
            lambda: float(draw.randint(-(10**9), 10**9)),
            lambda: draw.uniform(999, 1001),
            lambda: draw.choice([1e-320, 5e-324, 1e308, 65504.0, 1e-4, 1e8, 1e-8, 1000.0, 1.0]),
            draw.random,
        ][kind]()

    return [complex(real(), real()) if "complex" in dtype else real() for _ in range(count)]


OPTIONS = [
    *({}, {}, {}, {"precision": 2}, {"precision": 0}, {"linewidth": 40}, {"linewidth": 10}),
    *({"edgeitems": 0}, {"edgeitems": 1, "threshold": 5}, {"threshold": 3, "edgeitems": 2}),
    *({"edgeitems": 0, "threshold": 3}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"}),
    {"profile": "full"},
]
SHAPES = st.one_of(
    st.lists(st.integers(0, 5), max_size=4),
    st.sampled_from(
        [[1001], [1000], [40, 40], [2, 3, 300], [7, 7, 7, 7], [600, 2], [6, 200], [2000, 1], [1, 1, 1, 1002]]
    ),
)


def build(module, dtype, shape, values, mode):
    wide = "float64" if "float" in dtype else "complex128" if "complex" in dtype else dtype
    t = module.tensor(values, dtype=getattr(module, wide)).to(getattr(module, dtype)).reshape(shape)
    can_learn = "float" in dtype or "complex" in dtype
    if mode == "transposed" and len(shape) > 1:
        return t.transpose(0, -1)
    if mode == "leaf" and can_learn:
        return t.requires_grad_()
    if mode == "result" and can_learn:
        return t.requires_grad_() * 1
    return t.to("meta") if mode == "meta" else t


@pytest.mark.skipif(torch is None, reason="compares with PyTorch (extra: oracle)")
@pytest.mark.parametrize("native", [True, False], ids=["tensor", "formatter"])
@given(
    dtype=st.sampled_from(DTYPES),
    shape=SHAPES,
    style=st.integers(0, 7),
    seed=st.integers(0, 2**32),
    options=st.sampled_from(OPTIONS),
    mode=st.sampled_from(["plain", "transposed", "leaf", "result", "meta"]),
    double=st.booleans(),
)
def test_same_as_torch(native, dtype, shape, style, seed, options, mode, double):
    """Our tensors (native), and our formatter on PyTorch's tensors, print what PyTorch prints."""
    if not native and not OURS:
        return
    values = numbers(dtype, prod(shape), style, random.Random(seed))
    for module in (H, torch):
        module.set_printoptions(profile="default")
        module.set_printoptions(**options)
        module.set_default_dtype(module.float64 if double else module.float32)
    theirs = build(torch, dtype, shape, values, mode)
    mine = repr(build(H, dtype, shape, values, mode)) if native else _tensor_str.tensor_repr(theirs)
    assert mine == repr(theirs)


def test_options_are_kept_and_restored():
    H.set_printoptions(precision=2)
    assert repr(H.tensor([1.12345])) == "tensor([1.12])"
    if OURS:
        with _tensor_str.printoptions(precision=6):
            assert repr(H.tensor([1.12345])) == "tensor([1.123450])"
    assert repr(H.tensor([1.12345])) == "tensor([1.12])"
    H.set_printoptions(profile="default")
    assert repr(H.tensor([1.12345])) == "tensor([1.1235])"


def test_format_and_str():
    assert f"{H.tensor(1.5):.3f}" == "1.500"
    assert f"{H.tensor([1.5])}" == "tensor([1.5000])"
