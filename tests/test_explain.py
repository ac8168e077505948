"""explain(): every number it gives is counted, computed or measured again by something else."""

import importlib.util
import itertools
import math
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from harness import ALL_DTYPES, OURS, H, torch
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(not OURS, reason="PyTorch does not explain")

PRODUCTS = [
    ("@", (2, 3), (3, 4)),
    ("@", (3,), (3,)),
    ("@", (2, 3), (3,)),
    ("@", (3,), (3, 2)),
    ("@", (10, 2, 3), (3, 4)),
    ("@", (2, 3), (5, 3, 4)),
    ("@", (5, 1, 2, 3), (4, 3, 2)),
    ("@", (5, 2, 3), (5, 3, 1)),
    ("@", (3,), (2, 3, 4)),
    ("mm", (2, 3), (3, 4)),
    ("mv", (2, 3), (3,)),
    ("bmm", (4, 2, 3), (4, 3, 2)),
    ("dot", (5,), (5,)),
    ("outer", (2,), (3,)),
    ("inner", (2, 3), (4, 3)),
    ("inner", (2, 2, 3), (4, 3)),
    ("linear", (2, 3), (4, 3)),
    ("linear", (3,), (4, 3)),
    ("linear", (5, 2, 3), (4, 3)),
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("bij,jk->bik", (4, 2, 3), (3, 2)),
    ("ijk,jl->ilk", (2, 3, 4), (3, 5)),
    ("ijk,kl->ijl", (4, 3, 1), (3, 2)),
    ("ij,ij->i", (3, 2), (3, 2)),
    ("ij,kj->", (3, 2), (4, 2)),
    ("i,j->ji", (3,), (2,)),
    ("bhid,bhjd->bhij", (2, 3, 4, 2), (2, 3, 3, 2)),
    ("ij,k->ik", (3, 2), (4,)),
    ("...ij,jk->...ik", (2, 4, 2, 3), (3, 2)),
    ("ij,j", (2, 3), (3,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("bi,ij,bj->b", (3, 2), (2, 4), (3, 4)),
]
ELEMENTWISE = [
    ("*", (2, 2), (2,)),
    ("*", (2, 2), (1, 2)),
    ("*", (2, 2), (2, 1)),
    ("*", (3, 1), (3,)),
    ("+", (4, 1, 3), (2, 1)),
    ("-", (2, 3), (2, 3)),
    ("/", (2, 3), ()),
    ("**", (3,), (2, 1)),
    ("maximum", (2, 3), (3,)),
    ("==", (2, 1), (3,)),
]
CONVOLUTIONS = [
    ("conv1d", (2, 3, 8), (4, 3, 3), {}),
    ("conv1d", (2, 3, 9), (4, 3, 3), {"stride": 2, "padding": 1}),
    ("conv2d", (2, 3, 6, 7), (4, 3, 3, 2), {}),
    ("conv2d", (1, 2, 8, 8), (4, 2, 3, 3), {"stride": 2, "padding": 1}),
    ("conv2d", (2, 2, 9, 9), (4, 2, 3, 3), {"dilation": 2, "stride": (2, 1), "padding": (1, 0)}),
    ("conv2d", (2, 4, 6, 6), (6, 2, 3, 3), {"groups": 2, "padding": "same"}),
    ("conv3d", (1, 2, 4, 5, 4), (2, 2, 2, 2, 3), {"padding": 1}),
]
TRANSPOSED = [
    ("conv_transpose1d", (2, 3, 5), (3, 4, 3), {}),
    ("conv_transpose1d", (2, 3, 5), (3, 4, 3), {"padding": 1, "dilation": 2}),
    ("conv_transpose2d", (2, 3, 4, 3), (3, 2, 3, 2), {}),
    ("conv_transpose2d", (1, 3, 4, 4), (3, 2, 3, 3), {"stride": 2, "padding": 1}),
    ("conv_transpose2d", (2, 4, 4, 5), (4, 2, 3, 3), {"stride": (2, 3), "groups": 2, "output_padding": 1}),
    ("conv_transpose2d", (1, 2, 3, 3), (2, 1, 2, 3), {"stride": 2, "dilation": 3, "output_padding": 2}),
    ("conv_transpose3d", (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), {"stride": 2}),
]


def ident(value):
    return str(value).replace(" ", "") if not isinstance(value, str) else value


def tensors(shapes, dtype="float64", module=H):
    """Operands with positive numbers, so that powers and logarithms are defined."""
    rng = np.random.default_rng(3)
    return [module.from_numpy(np.asarray(rng.random(s) + 0.5, dtype=dtype)) for s in shapes]


def counted(e, shapes, kwargs=None):
    """Multiply-adds counted by walking every combination of indices, and the result that they add up to."""
    arrays = [np.asarray(x.numpy()) for x in tensors(shapes)]
    labels = [x.labels for x in e.operands]
    sizes = {i.letter: i.size for i in e.indices}
    result = np.zeros(e.shape)
    letters = list(sizes)
    count = 0
    for place in itertools.product(*(range(sizes[c]) for c in letters)):
        at = dict(zip(letters, place, strict=True))
        term = 1.0
        for x, spelled in zip(arrays, labels, strict=True):
            term *= x[tuple(at[c] if n != 1 else 0 for c, n in zip(spelled, x.shape, strict=True))]
        result[tuple(at[c] for c in e.alignment.result)] += term
        count += 1
    return count, result


@pytest.mark.parametrize("op, shapes", [(op, shapes) for op, *shapes in PRODUCTS], ids=ident)
def test_products_are_counted(op, shapes):
    e = H.explain(op, *tensors(shapes))
    count, result = counted(e, shapes)
    alone = [i.size for i in e.indices if not i.kept and i.states.count("absent") == len(shapes) - 1]
    if len(shapes) == 2:
        assert e.multiply_adds == count // math.prod(alone)  # what is summed in one operand alone is summed before
    real = call(op)(*tensors(shapes))
    np.testing.assert_allclose(result, real.numpy(), rtol=1e-12)
    assert e.shape == tuple(real.shape) and e.dtype == real.dtype
    assert e.bytes == sum(x.numpy().nbytes for x in tensors(shapes)) + real.numpy().nbytes


def call(op):
    """The op as the library computes it."""
    from hadamard._explain import ask

    if "," in op:
        return lambda *x: H.einsum(op, *x)
    name = ask.SYMBOLS.get(op, op)
    function = getattr(H, name, None) or getattr(H.nn.functional, name)
    return function


def test_pairs_of_a_path():
    """Three operands: the work is that of the pairs, in the order in which einsum takes them."""
    e = H.explain("ij,jk,kl->il", (2, 30), (30, 40), (40, 5))
    count = 0
    for step in e.steps:
        n = 1
        for i in step.indices:
            n *= i.size
        assert step.multiply_adds == n
        count += n
    assert e.multiply_adds == count
    plans = []
    H._C._record_plans(lambda: H.einsum("ij,jk,kl->il", H.ones(2, 30), H.ones(30, 40), H.ones(40, 5)), plans)
    assert count == sum(p["multiply_adds"] for p in plans)


@pytest.mark.parametrize("op, x, w, kwargs", CONVOLUTIONS, ids=ident)
def test_convolutions_are_counted(op, x, w, kwargs):
    e = H.explain(getattr(H.nn.functional, op), *tensors([x, w]), **kwargs)
    real = getattr(H.nn.functional, op)(*tensors([x, w]), **kwargs)
    assert e.shape == tuple(real.shape)
    # Every number of the result is a sum over the kernel of its group.
    assert e.multiply_adds == real.numel() * math.prod(w[1:])
    assert e.multiply_adds == math.prod(i.size for i in e.indices)


@pytest.mark.parametrize("op, a, b", ELEMENTWISE, ids=ident)
def test_what_is_repeated(op, a, b):
    """As NumPy's broadcasting sees it: strides of 0, and the bytes that a copy would take."""
    e = H.explain(a, op, b)
    wide = np.broadcast_arrays(np.zeros(a, "float32"), np.zeros(b, "float32"))
    assert e.shape == wide[0].shape
    expected = {
        (name, d)
        for name, x in zip("ab", wide, strict=True)
        for d in range(x.ndim)
        if x.strides[d] == 0 and x.shape[d] > 1
    }
    assert {(r.operand, r.dim) for r in e.repeated} == expected
    copies = [
        np.ascontiguousarray(x).nbytes
        for x in wide
        if any(s == 0 and n > 1 for s, n in zip(x.strides, x.shape, strict=True))
    ]
    assert e.expanded_bytes == sum(copies)


def test_e2_names_the_repeated_operand():
    e = H.explain(H.ones(2, 2), "*", H.ones(1, 2))
    assert [str(r) for r in e.repeated] == ["b, dim 0, 1 → 2"]
    (r,) = H.explain("(2,2) * (2,1)").repeated
    assert (r.operand, r.dim, r.old, r.new) == ("b", 1, 1, 2)


@pytest.mark.skipif(torch is None, reason="needs PyTorch")
@pytest.mark.parametrize("a", ALL_DTYPES)
def test_dtype_is_torchs(a):
    for b in ALL_DTYPES:
        for shapes in (((2,), (2,)), ((2,), ()), ((), ())):
            x, y = (torch.zeros(s, dtype=getattr(torch, d)) for s, d in zip(shapes, (a, b), strict=True))
            if torch.result_type(x, y) == torch.complex32:
                continue  # which we do not have
            e = H.explain(H.zeros(shapes[0], dtype=getattr(H, a)), "*", H.zeros(shapes[1], dtype=getattr(H, b)))
            assert str(e.dtype) == str(torch.result_type(x, y)), (a, b, shapes)
            assert e.why_dtype
            if a != b and str(e.dtype)[6:] in (a, b) and shapes == ((2,), (2,)):
                winner = "a" if str(e.dtype)[6:] == a else "b"
                assert e.why_dtype.startswith(f"that of {winner}, which "), e.why_dtype


@pytest.mark.parametrize(
    "op, shapes, kwargs",
    [(op, shapes, {}) for op, *shapes in PRODUCTS + ELEMENTWISE]
    + [(op, [x, w], kwargs) for op, x, w, kwargs in CONVOLUTIONS + TRANSPOSED]
    + [("linear", [(5, 2, 3), (4, 3), (4,)], {}), ("conv2d", [(2, 3, 6, 7), (4, 3, 3, 2), (4,)], {})]
    + [("conv_transpose2d", [(2, 3, 4, 3), (3, 4, 3, 2), (4,)], {"stride": 2})]
    + [("mse_loss", [(4, 2), (4, 2)], {})],
    ids=ident,
)
def test_gradients_are_what_backward_computes(op, shapes, kwargs):
    xs = [x.requires_grad_() for x in tensors(shapes)]
    e = H.explain(op, *xs, **kwargs)
    y = call(op)(*xs, **kwargs)
    if not y.requires_grad:
        assert not e.gradients
        return
    g = H.from_numpy(np.random.default_rng(4).random(tuple(y.shape)))
    y.backward(g)
    if op not in ("maximum",):
        assert len(e.gradients) == len(xs), "a gradient is missing"
    names = {x.name: t.detach() for x, t in zip(e.operands, xs, strict=True)}
    scope = {"torch": H, "F": H.nn.functional, "g": g, **names}
    for gradient in e.gradients:
        x = xs[[o.name for o in e.operands].index(gradient.name[1:])]
        got = eval(gradient.code, dict(scope))
        assert got.shape == x.grad.shape, gradient.code
        np.testing.assert_allclose(got.numpy(), x.grad.numpy(), rtol=1e-10, err_msg=gradient.code)


ADDED = [
    ("addmm", (2, 4), (4, 3), (2, 3), "ik,kj->ij"),
    ("addmm", (2, 4), (4, 3), (3,), "ik,kj->ij"),
    ("addmm", (2, 4), (4, 3), (2, 1), "ik,kj->ij"),
    ("addmm", (2, 4), (4, 1), (), "ik,kj->ij"),
    ("addmv", (2, 4), (4,), (1,), "ik,k->i"),
    ("baddbmm", (5, 2, 4), (5, 4, 3), (5, 1, 3), "nik,nkj->nij"),
    ("baddbmm", (5, 2, 4), (5, 4, 3), (3,), "nik,nkj->nij"),
]


@pytest.mark.parametrize("kwargs", [{}, {"alpha": 2, "beta": 0.5}], ids=str)
@pytest.mark.parametrize("op, left, right, added, equation", ADDED, ids=str)
def test_a_product_that_is_added(op, left, right, added, equation, kwargs):
    a, b, c = (x.requires_grad_() for x in tensors([left, right, added]))
    e = H.explain(getattr(H, op), c, a, b, **kwargs)
    assert e.equation == equation and e.fits and str(e).startswith(f"{op}(c {added}")
    y = getattr(H, op)(c, a, b, **kwargs)
    g = H.from_numpy(np.random.default_rng(4).random(tuple(y.shape)))
    y.backward(g)
    scope = {"torch": H, "g": g, "a": a.detach(), "b": b.detach(), "c": c.detach()}
    for gradient, x in zip(e.gradients, (a, b, c), strict=True):
        np.testing.assert_allclose(eval(gradient.code, dict(scope)).numpy(), x.grad.numpy(), rtol=1e-10)
    for code in (*e.spellings["torch"], *e.spellings["einsum"]):
        np.testing.assert_allclose(eval(code, dict(scope)).numpy(), y.detach().numpy(), rtol=1e-10)
    assert "result" in e.svg()
    text = f"{op}({added}, {left}, {right})"
    names = [x.name for x in H.explain(text).operands]
    assert names == [x.name for x in H.explain(getattr(H, op), added, left, right).operands] and names[2] == "input"


def test_what_cannot_be_added():
    e = H.explain(H.addmm, (2, 2), (2, 4), (4, 3))
    assert not e.fits and "must match" in str(e)
    with pytest.raises(ValueError, match="takes three operands"):
        H.explain("addmm", (2, 4), (4, 3))


def test_gradients_explain_themselves():
    for op, *shapes in [p for p in PRODUCTS + ELEMENTWISE[:4] if len(p) == 3]:
        e = H.explain(op, *tensors(shapes))
        for gradient in e.gradients:
            inner = gradient.explain()
            assert inner.fits and inner.operands[0].shape == e.shape
            if gradient.multiply_adds and not e.repeated:
                assert inner.multiply_adds == gradient.multiply_adds


def test_names_are_the_users():
    image, kernel = H.ones(1, 3, 8, 8), H.ones(4, 3, 3, 3)
    e = H.explain(H.nn.functional.conv2d, image, kernel)
    assert [x.name for x in e.operands] == ["image", "kernel"]
    assert e.spellings["torch"] == ["F.conv2d(image, kernel)"] and e.gradients[0].name == "dimage"
    k, weights = H.ones(2, 3), H.ones(3, 4)
    e = H.explain(k, "@", weights)  # k is an index here
    assert [x.name for x in e.operands] == ["a", "b"]
    e = H.explain("ab,bc->ac", (2, 3), (3, 4))
    assert [x.name for x in e.operands] == ["A", "B"]
    assert [x.name for x in H.explain("bi,ij,bj->b", (3, 2), (2, 4), (3, 4)).operands] == ["A", "B", "C"]
    e = H.explain(weights, "*", weights)
    assert [x.name for x in e.operands] == ["a", "b"]


def test_gradients_cost_what_they_cost():
    """A product's gradients have the same indices, hence the same multiply-adds."""
    e = H.explain("(10,2,3) @ (3,4)")
    assert [g.multiply_adds for g in e.gradients] == [240, 240]


@pytest.mark.parametrize(
    "op, shapes, kwargs",
    [(op, shapes, {}) for op, *shapes in PRODUCTS + ELEMENTWISE]
    + [(op, [x, w], kwargs) for op, x, w, kwargs in CONVOLUTIONS + TRANSPOSED]
    + [("linear", [(2, 3), (4, 3), (4,)], {}), ("mse_loss", [(4, 2), (4, 2)], {}), ("l1_loss", [(4,), (4,)], {})]
    + [("tensordot", [(2, 3, 4), (4, 3, 5)], {"dims": ([1, 2], [1, 0])}), ("tensordot", [(2, 3), (3, 5)], {"dims": 1})],
    ids=ident,
)
def test_spellings_are_equal(op, shapes, kwargs):
    e = H.explain(op, *tensors(shapes), **kwargs)
    want = call(op)(*tensors(shapes), **kwargs).numpy()
    arrays = {x.name: t.numpy() for x, t in zip(e.operands, tensors(shapes), strict=True)}
    assert e.spellings["torch"]
    modules = [H, torch] if torch is not None else [H]
    for code in [*e.spellings["torch"], *e.spellings.get("einsum", [])]:
        for module in modules:
            own = {name: module.from_numpy(x.copy()) for name, x in arrays.items()}
            got = eval(code, {"torch": module, "F": module.nn.functional, **own})
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, err_msg=code)
    for code in e.spellings.get("numpy", []):
        np.testing.assert_allclose(eval(code, {"np": np, **arrays}), want, rtol=1e-10, err_msg=code)


@pytest.mark.parametrize(
    "text",
    ["(2,3) * (2,)", "(10,2,3) @ (4,3)", "ij,jk->ik (2,3) (4,5)", "dot((3,), (4,))", "conv2d((1,3,8,8), (4,2,3,3))",
     "(2,) float32 @ (2,) float64", "bmm((4,2,3), (3,4))"],
)  # fmt: skip
def test_what_does_not_fit_says_what_raising_says(text):
    e = H.explain(text)
    assert not e.fits
    with pytest.raises(type(e.error)) as caught:
        call(e.request.equation or e.op)(*[x.meta() for x in e.operands])
    assert str(caught.value) == str(e.error)
    shown = str(e)
    assert "does not fit" in shown and str(e.error).splitlines()[0] in shown


def kinds(*args, **kwargs):
    return [w.kind for w in H.explain(*args, **kwargs).warnings]


def test_warnings():
    assert kinds("(3,1) - (3,)") == ["broadcast"]
    assert kinds("(3,1) * (1,4)") == ["outer"]
    assert kinds("mse_loss((8,1), (8,))") == ["broadcast"]
    assert kinds("ijk,kl->ijl", (200, 100, 1), (100, 200)) == ["size1"]
    assert kinds("(3,2) + (3,1)") == ["column"]
    assert kinds("(8,4) @ (4,4)") == ["square"]
    assert kinds("linear((8,4), (4,4))") == ["square"]
    assert kinds("(4,8) float16 @ (8,4) float16") == ["float16"]
    assert kinds("(8,) * (8,) float64") == ["promotion"]
    for plain in ("(2,3) @ (3,4)", "(2,2) * (2,)", "(5,) + (3,5)", "(4,1) * 2", "linear((8,3), (4,3))", "(3,) * (3,)"):
        assert kinds(plain) == [], plain


def test_mends_of_a_broadcast_fit():
    for a, b in [((3, 1), (3,)), ((3,), (3, 1)), ((5, 5, 1), (5, 5))]:
        (warning,) = [w for w in H.explain(a, "-", b).warnings if w.kind == "broadcast"]
        codes = [m.partition(": ")[2].partition(", on")[0] for m in warning.mends if m.startswith("number by number")]
        assert codes
        for code in codes:
            y = eval(code, {"a": H.ones(a), "b": H.ones(b)})
            assert y.numel() in (3, 25), code


def test_d6_small_integers():
    x, y = H.tensor([200, 200], dtype=H.uint8), H.tensor([2, 2], dtype=H.uint8)
    e = H.explain(x, "dot", y)
    assert e.sum_dtype == H.uint8 and "8 bits" in str(e)
    (warning,) = e.warnings
    assert warning.kind == "overflow" and "800 became 32" in warning.text
    assert kinds(H.tensor([100, 100], dtype=H.uint8), "dot", H.tensor([1, 1], dtype=H.uint8)) == []
    big = H.tensor([2**62, 4])
    assert kinds(big, "*", H.tensor([2, 4])) == ["overflow"]
    assert kinds(big, "*", H.tensor([1, 4])) == []
    # Sums that leave the range and come back are exact.
    assert kinds(H.tensor([100, -100], dtype=H.int8), "dot", H.tensor([2, 2], dtype=H.int8)) == []


def test_half_that_overflows():
    assert "nonfinite" in kinds(H.full((2,), 300.0, dtype=H.float16), "*", H.full((2,), 300.0, dtype=H.float16))


def test_forms_of_the_question():
    equal = [
        H.explain("(10,2,3) @ (3,4)"),
        H.explain("10x2x3 @ 3x4"),
        H.explain("[10, 2, 3] @ [3, 4]"),
        H.explain("a(10,2,3) @ b(3,4)"),
        H.explain((10, 2, 3), "@", [3, 4]),
        H.explain("@", (10, 2, 3), (3, 4)),
        H.explain(H.ones(10, 2, 3), "matmul", H.ones(3, 4)),
        H.explain(H.matmul, H.ones(10, 2, 3), H.ones(3, 4)),
        H.explain(np.ones((10, 2, 3), "float32"), "@", np.ones((3, 4), "float32")),
        H.explain("(10,2,3):float32 @ (3,4) f32"),
        H.explain("(10,2,3) @ (4,3).T"),
    ]
    if torch is not None:
        equal.append(H.explain(torch.matmul, torch.ones(10, 2, 3), torch.ones(3, 4)))
    for e in equal:
        assert (e.shape, e.multiply_adds, e.equation) == ((10, 2, 4), 240, "nik,kj->nij")
    assert H.explain("x(2,3) * w(3,)").operands[1].name == "w"
    assert H.explain("(3) * (3)").shape == (3,)
    assert H.explain("einsum('ij,jk->ik', (2,3), (3,4))").shape == (2, 4)
    assert H.explain("F.conv2d((1,3,8,8), (4,3,3,3), stride=2)").shape == (1, 4, 3, 3)
    assert H.explain("(2,3) float16 * (3,) float64").dtype == H.float64
    assert H.explain(2.5, "*", (2, 3)).shape == (2, 3)
    assert H.explain(2.5, "-", (2, 3)).shape == (2, 3)
    assert H.explain("ij,jk->ik (2,3) (3,4)").equation == "ij,jk->ik"


@pytest.mark.parametrize(
    "args",
    [
        ("hello",),
        ("(2,3)",),
        ((2, 3),),
        ("frobnicate", (2,), (3,)),
        ("__import__('os').system('x')",),
        (),
        ("(a,3) @ (3,4)",),
    ],
)
def test_questions_without_sense(args):
    with pytest.raises((ValueError, TypeError), match="explain"):
        H.explain(*args)


def test_nothing_is_computed():
    """A product of shapes takes no memory: this one would need 8 EiB."""
    e = H.explain("(1000000,1000000,1000) @ (1000,1000)")
    assert e.multiply_adds == 10**18
    assert e.text(times=False)
    # Nor do rows that have no one step: running would fill a table of 80 GB for them.
    e = H.explain("ijk,kl->jil", (100000, 100000, 8), (8, 4))
    assert e.multiply_adds == 10**10 * 32


def test_strides_are_the_tensors_own():
    e = H.explain(H.ones(3, 4).T, "@", H.ones(3, 5))
    assert e.operands[0].stride == (1, 4)
    e = H.explain(H.ones(1, 4).expand(3, 4), "*", H.ones(4))
    assert e.operands[0].bytes == 16


def test_any_call():
    q = H.ones(2, 4, 8, 16)
    e = H.explain(H.nn.functional.scaled_dot_product_attention, q, q, q)
    assert e.multiply_adds == 2 * (2 * 4 * 8 * 8 * 16)
    assert len(e.plans) == 2


def test_measured():
    e = H.explain(H.ones(64, 64), "@", H.ones(64, 64), measure=True)
    assert 0 < e.measured < 1 and 0 < e.expected < 1
    assert "measured" in str(e) and "expected" in str(e)
    assert H.explain("(64,64) @ (64,64)", measure=True).measured > 0


def test_expected_is_of_the_order_of_what_is_measured():
    for text in ("(256,256) @ (256,256)", "(512,512) * (512,512)", "conv2d((4,16,32,32), (16,16,3,3))"):
        e = H.explain(text, measure=True)
        assert 0.05 < e.expected / e.measured < 5, text


SHAPE = st.lists(st.integers(0, 4), max_size=4).map(tuple)
OPS = st.sampled_from(
    "* + - / // % ** @ == < & | dot mm mv bmm matmul linear inner outer maximum mse_loss "
    "ij,jk->ik bij,jk->bik ...i,i->... ij,ij-> i,j".split()
)


@given(SHAPE, SHAPE, OPS, st.sampled_from(ALL_DTYPES), st.sampled_from(ALL_DTYPES))
def test_whatever_is_asked(a, b, op, one, two):
    """It fits exactly if the op itself takes such tensors, and then with that shape and dtype; it never raises."""
    x, y = H.zeros(a, dtype=getattr(H, one)), H.zeros(b, dtype=getattr(H, two))
    e = H.explain(x, op, y) if "," not in op else H.explain(op, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            want = call_by_symbol(op)(x, y)
        except Exception as error:
            # The meta device has no numbers, so a kernel that a dtype lacks is not missed there.
            assert not e.fits or "not implemented" in str(error), error
            want = None
    if want is not None:
        assert e.fits, e.error
        assert (e.shape, e.dtype) == (tuple(want.shape), want.dtype)
        if e.alignment is not None and op != "mse_loss":
            sizes = {i.letter: i.size for i in e.indices}
            assert tuple(sizes[c] for c in e.alignment.result) == e.shape
        assert (
            e.bytes == x.numel() * x.element_size() + y.numel() * y.element_size() + want.numel() * want.element_size()
        )
    e.text(color=True, times=False)
    ElementTree.fromstring(e.svg())
    assert e._repr_html_()


def call_by_symbol(op):
    from hadamard._explain import ask

    if op in ask.SYMBOLS:
        return lambda x, y: eval(f"x {op} y", {"x": x, "y": y})
    return call(op)


def test_explaining_is_not_watched():
    with H.strict():
        assert kinds("mse_loss((8,1), (8,))") == ["broadcast"]
        assert kinds("ijk,kl->ijl", (4, 3, 1), (3, 2)) == ["size1"]
        assert H.explain(H.ones(3, 1), "-", H.ones(3)).shape == (3, 3)


def test_command_line(capsys, tmp_path):
    from hadamard.cli import main

    assert main(["explain", "(10,2,3) @ (3,4)"]) == 0
    assert "b is repeated 10 times" in capsys.readouterr().out
    assert main(["explain", "bij,jk->bik", "(2,3,4)", "(4,5)", "--plot", str(tmp_path / "x.svg"), "--measure"]) == 0
    assert "measured" in capsys.readouterr().out and (tmp_path / "x.svg").exists()
    assert main(["explain", "(2,3) @ (4,5)"]) == 1
    assert "does not fit" in capsys.readouterr().out
    assert main(["explain", "what"]) == 2
    assert "cannot read 'what'" in capsys.readouterr().err
    assert (
        main(["explain", "--error", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x400 and 120x400)"])
        == 0
    )
    assert "try mat1 @ mat2.T" in capsys.readouterr().out
    assert main(["explain", "--error", "ValueError: something of my own"]) == 1
    with pytest.raises(SystemExit):
        main(["explain"])


def test_text_is_plain_unless_asked():
    e = H.explain("(10,2,3) @ (3,4)")
    assert "\x1b" not in str(e) and "\x1b" in e.text(color=True)
    uncolored = re.sub("\x1b\\[[0-9;]*m", "", e.text(color=True, times=False))
    assert [line.rstrip() for line in uncolored.splitlines()] == e.text(times=False).splitlines()
    assert max(map(len, e.text().splitlines())) <= 110


def test_folded():
    """All but code fits a terminal of 80 columns, and what is cut elsewhere comes whole."""
    from hadamard._explain.text import render

    for text in ("conv2d((1,3,8,8), (4,3,3,3), stride=2, padding=1)", "conv_transpose3d((1,3,4,4,4), (3,2,3,3,3))"):
        e = H.explain(text)
        for color in (False, True):
            lines = re.sub("\x1b\\[[0-9;]*m", "", render(e, color, width=80)).splitlines()
            words = lines[: next(i for i, line in enumerate(lines) if line.strip().startswith("gradient"))]
            assert max(map(len, words)) <= 80
            assert re.sub("[│ \n]+", " ", " ".join(words)) in re.sub("[│ \n]+", " ", render(e, times=True))


def test_explaining_leaves_no_trace():
    a = H.ones(2, 3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        H.explain("mse_loss((8,1), (8,))")
        H.explain(a, "*", H.ones(3))
    assert a.grad is None and H.is_grad_enabled()


# ---- pictures

PICTURES = {
    "(2,3) @ (3,4)": (3, 0),
    "(2,2) * (2,)": (3, 2),
    "(3,1) - (3,)": (3, 12),
    "dot((3,), (3,))": (3, 0),
    "outer((4,), (3,))": (3, 0),
    "(2,) * 3": (3, 0),
    "(10,2,3) @ (3,4)": (3, 2),
    "conv2d((1,3,8,8), (4,3,3,3), padding=1)": (3, 0),
    "ij,jk,kl->il (2,3) (3,4) (4,2)": (4, 0),
    "linear((8,5), (3,5), (3,))": (3, 0),
    "addmm((3,), (8,5), (5,3))": (4, 0),
    "conv_transpose2d((1,3,4,4), (3,2,3,3), stride=2, padding=1)": (3, 0),
    "conv_transpose1d((2,3,5), (3,4,3), groups=3)": (3, 0),
    "conv_transpose3d((1,2,3,2,3), (2,2,2,3,2))": (3, 0),
}


@pytest.mark.parametrize("text, wanted", PICTURES.items(), ids=ident)
def test_pictures(text, wanted):
    """A grid for each operand and the result, every cell of it, and every hatched cell that is repeated."""
    e = H.explain(text)
    svg = ElementTree.fromstring(e.svg())
    assert svg.tag.endswith("svg")
    words = ["".join(t.itertext()) for t in svg.iter() if t.tag.endswith("}text")]
    names = [x.name if x.number is None else repr(x.number) for x in e.operands][: wanted[0] - 1]
    assert [w for w in words if w in (*names, "result")][-1] == "result" and set(names) <= set(words)
    rectangles = [r for r in svg.iter() if r.tag.endswith("}rect")]
    legend = 1 if e.repeated else 0
    hatched = [r for r in rectangles if r.get("fill") == "url(#hatch)"]
    assert len(hatched) - legend == wanted[1]
    right, bottom = float(svg.get("width")), float(svg.get("height"))
    for r in rectangles:
        assert 0 <= float(r.get("x", 0)) and float(r.get("x", 0)) + float(r.get("width")) <= right
        assert 0 <= float(r.get("y", 0)) and float(r.get("y", 0)) + float(r.get("height")) <= bottom
    for letter in {i.letter for i in e.indices if e.alignment.kind not in ("convolution", "transposed")}:
        size = next(i.size for i in e.indices if i.letter == letter)
        assert f"{letter} = {size}" in words


FORMULAS = [
    "conv2d((1,4,7,7), (6,2,3,3), groups=2, stride=2, padding=1)",
    "conv1d((2,3,8), (4,3,3), dilation=2)",
    "conv_transpose2d((1,4,4,3), (4,2,3,3), groups=2, stride=2, padding=1)",
    "conv_transpose1d((2,3,8), (3,4,3), dilation=2)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_of_convolutions(text):
    """The line below the picture, computed as it stands."""
    e = H.explain(text)
    words = ["".join(t.itertext()) for t in ElementTree.fromstring(e.svg()).iter() if t.tag.endswith("}text")]
    formula = next(w for w in words if w.startswith("result["))
    left, right = re.split(" = Σ over .* of | \\+= ", formula)
    x, w = tensors([o.shape for o in e.operands])
    result = np.zeros(e.shape)

    class Padded:
        """Zeros outside."""

        def __init__(self, array):
            self.array = array

        def __getitem__(self, key):
            return self.array[key] if all(0 <= k < n for k, n in zip(key, self.array.shape, strict=True)) else 0.0

    sizes = {i.letter: i.size for i in e.indices}
    term = compile(right.replace("·", "*"), "formula", "eval")
    target = compile(left[left.index("[") + 1 : -1].replace("·", "*"), "place", "eval")
    for place in itertools.product(*(range(n) for n in sizes.values())):
        at = {**dict(zip(sizes, place, strict=True)), "input": Padded(x.numpy()), "weight": Padded(w.numpy())}
        to = eval(target, at)
        if all(0 <= k < n for k, n in zip(to, e.shape, strict=True)):  # a transposed one is cut off by its padding
            result[to] += eval(term, at)
    np.testing.assert_allclose(result, call(e.op)(x, w, **e.request.kwargs).numpy(), rtol=1e-12)


def test_groups_are_in_the_picture():
    for text in ("conv2d((1,4,7,7), (6,2,3,3), groups=2)", "conv_transpose2d((1,4,4,3), (4,2,3,3), groups=2)"):
        words = ["".join(t.itertext()) for t in ElementTree.fromstring(H.explain(text).svg()).iter()]
        assert words.count("g = 2") == 3


def test_html_has_the_title_once():
    text = "conv_transpose2d((2,4,4,5), (4,2,3,3), groups=2, output_padding=1, stride=2)"
    for asked in ("(2,3) @ (3,4)", text):
        e = H.explain(asked)
        assert re.findall(r"→ +\(|→  \(", e._repr_html_().partition("</svg>")[2]) == []


def test_pictures_show_the_numbers():
    a, b = H.tensor([[1.0, 2.0], [3.0, 4.0]]), H.tensor([5.0, 6.0])
    svg = ElementTree.fromstring(H.explain(a, "*", b).svg())
    words = ["".join(t.itertext()) for t in svg.iter() if t.tag.endswith("}text")]
    numbers = [w for w in words if re.fullmatch("[0-9]+", w)]
    assert numbers == ["1", "2", "3", "4", "5", "6", "5", "6", "5", "12", "15", "24"]


def test_every_explanation_has_a_picture():
    for text in (
        "(2,3) * (2,)",
        "(0,3) @ (3,4)",
        "(200,100,1) * (100,30)",
        "() * ()",
        "bhij,bhjk->bhik (2,2,3,4) (2,2,4,5)",
    ):
        e = H.explain(text)
        for made in (e.svg(), e._repr_html_()):
            assert made
        ElementTree.fromstring(e.svg())


def test_plot(tmp_path):
    e = H.explain("(2,3) @ (3,4)")
    e.plot(tmp_path / "p.svg")
    e.plot(tmp_path / "p.html")
    assert (tmp_path / "p.svg").read_text() == e.svg()
    page = (tmp_path / "p.html").read_text()
    assert page.startswith("<!doctype html>") and e.svg() in page and "multiply-adds" in page
    with pytest.raises(ValueError, match="writes .html and"):
        e.plot(tmp_path / "p.png")
    H.explain(H.nn.Linear(2, 3), (4, 2)).plot(tmp_path / "m.html")
    assert "multiply-adds" in (tmp_path / "m.html").read_text()


def test_html_is_escaped():
    assert "<script>" not in H.explain((2, 3), "<", (3,))._repr_html_()
    assert "&lt;" in H.explain((2, 3), "<", (3,))._repr_html_()


def test_the_book_is_what_explain_says():
    """docs/products.md and its pictures, made again, are the same."""
    tool = Path(__file__).resolve().parent.parent / "tools" / "make_pictures.py"
    if not tool.exists():
        pytest.skip("needs the source tree")
    spec = importlib.util.spec_from_file_location("make_pictures", tool)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    page = (make.DOCS / "products.md").read_text()
    H.set_printoptions(profile="default")
    text, pictures = make.remake(page)
    assert text == page
    assert pictures.keys() == {f"pictures/{p.name}" for p in (make.DOCS / "pictures").glob("*.svg")}
    for name, svg in pictures.items():
        assert (make.DOCS / name).read_text() == svg, name


# ---- models


class Net(H.nn.Module if OURS else object):
    def __init__(self):
        super().__init__()
        nn = H.nn
        self.conv = nn.Conv2d(3, 6, 5)
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(96, 20))
        self.tied = nn.Linear(20, 20)
        self.register_buffer("scale", H.ones(20))

    def forward(self, x):
        x = self.conv(x)
        x = H.nn.functional.max_pool2d(x, 2).flatten(1)
        x = self.body(x)
        return self.tied(self.tied(x) * self.scale) @ H.ones(20, 2, device=x.device)


def test_model():
    model, x = Net(), H.randn(4, 3, 12, 12)
    e = H.explain(model, x)
    assert e.fits and e.shape == tuple(model(x).shape)
    assert e.parameters == sum(p.numel() for p in model.parameters())
    plans = []
    H._C._record_plans(lambda: model(x), plans)  # what really runs
    assert e.multiply_adds == sum(p["multiply_adds"] for p in plans)
    conv = 4 * 6 * 8 * 8 * 3 * 5 * 5
    assert e.multiply_adds == conv + 4 * 96 * 20 + 2 * 4 * 20 * 20 + 4 * 20 * 2
    rows = {layer.path: layer for layer in e.layers}
    assert rows["conv"].output == (4, 6, 8, 8) and rows["conv"].multiply_adds == conv
    assert rows["body.1"].parameters == 97 * 20 and rows["body.1"].depth == 2
    assert rows[""].multiply_adds == 4 * 20 * 2  # what forward does itself
    tied = [layer for layer in e.layers if layer.path == "tied"]
    assert [layer.shared for layer in tied] == [False, True]
    assert sum(layer.multiply_adds for layer in e.layers) == e.multiply_adds
    assert "again" in str(e)
    assert e._repr_html_().count("<tr>") == len(e.layers) + 1
    # Backward: twice the work, but for the gradient by x, which nobody wants.
    y, plans = model(x), []
    H._C._record_plans(lambda: y.sum().backward(), plans)
    assert e.backward_multiply_adds == sum(p["multiply_adds"] for p in plans)


def test_model_is_left_as_it_was():
    model = Net().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    H.explain(model, (4, 3, 12, 12))
    assert not model.training and all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(H.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(not p.is_meta for p in model.parameters())


def test_model_that_does_not_fit():
    e = H.explain(Net(), H.randn(4, 1, 12, 12))
    assert not e.fits and e.failed == "conv"
    assert "in conv it does not fit" in str(e) and "to have 3 channels" in str(e)
    e = H.explain(H.nn.Sequential(H.nn.Linear(4, 5), H.nn.Linear(6, 7)), (2, 4))
    assert e.failed == "1" and [layer.path for layer in e.layers] == ["", "0", "1"]
    assert e._repr_html_()


def test_large_models_take_no_memory():
    H.reset_peak_memory_stats()
    held = H.memory_stats()["allocated_bytes.peak"]
    model = H.nn.Linear(2000, 2000)
    grown = H.memory_stats()["allocated_bytes.peak"]
    H.explain(model, (100000, 2000))
    assert H.memory_stats()["allocated_bytes.peak"] - grown < (grown - held) / 2 + 1e6


def test_model_measured():
    e = H.explain(H.nn.Linear(8, 8), (2, 8), measure=True)
    assert 0 < e.measured < 1 and "measured" in str(e)


# ---- what it says of sums and threads


def test_sums_do_not_depend_on_threads():
    a, b = H.randn(300, 700), H.randn(700, 200)
    threads, results = H.get_num_threads(), []
    for n in (1, 2, 4):
        H.set_num_threads(n)
        results.append((a @ b).tolist())
    H.set_num_threads(threads)
    assert results[0] == results[1] == results[2]


def test_widths_of_sums():
    for dtype, kept in (("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64"),
                        ("uint8", "uint8"), ("int64", "int64"), ("complex64", "complex64")):  # fmt: skip
        e = H.explain(f"(2,3):{dtype} @ (3,4):{dtype}")
        assert str(e.sum_dtype) == f"torch.{kept}"
    # In float16 itself a sum of ones would end at 2048.
    x = H.ones(4096, dtype=H.float16)
    assert float(x @ x) == 4096.0
