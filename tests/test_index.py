"""Indexing, scattering, sorting and searching: results, layouts, first error lines and gradients as torch has them."""

import math

import numpy as np
import pytest
from harness import ALL_DTYPES, OURS, H, kind, make, torch, values_of
from hypothesis import given
from hypothesis import strategies as st

ours = pytest.mark.skipif(not OURS, reason="more than torch promises")
needs_torch = pytest.mark.skipif(torch is None, reason="compares with torch")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def grid(*shape, dtype="float32", module=H):
    values = np.arange(math.prod(shape)).reshape(shape)
    return make(module, values % 2 == 0 if dtype == "bool" else values % 100, dtype)


def long(*values, module=H):
    return module.tensor(values, dtype=module.int64)


def line(call):
    """The type and first line of the error that `call` raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return type(caught.value).__name__, str(caught.value).split("\n")[0]


def layout(x):
    """The strides that can be observed."""
    return [step for step, size in zip(x.stride(), x.shape, strict=True) if size > 1 and x.numel()]


def same(got, want):
    """Ours equals torch's in shape, dtype, layout and numbers."""
    assert tuple(got.shape) == tuple(want.shape)
    assert str(got.dtype) == str(want.dtype)
    assert layout(got) == layout(want)
    np.testing.assert_allclose(values_of(got), want.detach().double().numpy(), rtol=1e-6, atol=1e-7)


# x[tensors] -----------------------------------------------------------------------------------------------------------


@st.composite
def advanced(draw):
    """A shape, and per dimension a whole slice, an index array that broadcasts, or a mask over one or two of them."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    common = draw(st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]))
    parts, d, masks = [], 0, 0
    while d < len(shape):
        what = draw(st.sampled_from(["all", "index", "index", "mask"]))
        if what == "index":
            own = draw(st.sampled_from([common[i:] for i in range(len(common) + 1)]))
            array = draw(
                st.lists(st.integers(-shape[d], shape[d] - 1), min_size=math.prod(own), max_size=math.prod(own))
            )
            parts.append(np.array(array, np.int64).reshape(own))
        elif what == "mask" and not masks and not any(isinstance(p, np.ndarray) for p in parts):
            masks = draw(st.integers(1, min(2, len(shape) - d)))
            extent = shape[d : d + masks]
            bits = draw(st.lists(st.booleans(), min_size=math.prod(extent), max_size=math.prod(extent)))
            parts.append(np.array(bits).reshape(extent))
            parts.extend([slice(None)] * (len(shape) - d - masks))
            break
        else:
            parts.append(slice(None))
        d += 1
    return shape, parts, draw(st.permutations(range(len(shape))))


def tensors(parts, module):
    return tuple(module.from_numpy(p.copy()) if isinstance(p, np.ndarray) else p for p in parts)


def in_order(shape, order, dtype, module=H):
    """A tensor of `shape` whose dimensions lie in memory in another order."""
    back = [order.index(i) for i in range(len(order))]
    return grid(*[shape[i] for i in order], dtype=dtype, module=module).permute(*back)


@given(advanced(), st.sampled_from(["float32", "int64", "bool", "float16", "complex128"]))
def test_index(case, dtype):
    shape, parts, order = case
    x = in_order(shape, order, dtype)
    a = values_of(x)
    got = x[tensors(parts, H)]
    np.testing.assert_array_equal(values_of(got), a[tuple(parts)])
    if torch is not None:
        assert layout(got) == layout(in_order(shape, order, dtype, torch)[tensors(parts, torch)])


@ours
@given(advanced(), st.booleans(), st.sampled_from(["float64", "int32", "bfloat16"]))
def test_index_put(case, accumulate, dtype):
    shape, parts, order = case
    if not any(isinstance(p, np.ndarray) for p in parts):
        return
    x = in_order(shape, order, dtype)
    a = values_of(x).copy()
    places = np.arange(a.size).reshape(shape)[tuple(parts)]
    value = grid(*places.shape[places.ndim // 2 :], dtype=dtype)  # broadcasts over the leading half
    flat = a.reshape(-1)
    for place, v in zip(places.ravel(), np.broadcast_to(values_of(value), places.shape).ravel(), strict=True):
        flat[place] = flat[place] + v if accumulate else v  # in index order: the last one stays
    if accumulate:
        x.index_put_(tuple(None if isinstance(p, slice) else H.from_numpy(p) for p in parts), value, accumulate=True)
    else:
        x[tensors(parts, H)] = value
    np.testing.assert_array_equal(values_of(x), flat.reshape(shape))


def test_placement_of_separated_indices():
    x = H.zeros(2, 3, 4, 5)
    i, j = long(0, 1), long(0, 1)
    assert x[:, i, j].shape == (2, 2, 5)
    assert x[:, i, :, j].shape == (2, 2, 4)
    assert x[i, :, j].shape == (2, 3, 5)
    assert x[i.reshape(2, 1), :, j].shape == (2, 2, 3, 5)


def test_mask_over_two_dimensions():
    x = grid(2, 3, 4)
    mask = grid(2, 3) > 2
    np.testing.assert_array_equal(values_of(x[mask]), values_of(x)[values_of(mask)])
    np.testing.assert_array_equal(values_of(x[:, mask[0].new_ones(3).bool()]), values_of(x))


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "source",
    [
        "x[m.tensor([3])]",
        "x[:, m.tensor([-5])]",
        "x[m.tensor([-(2**63)])]",
        "x[m.tensor([2**63 - 1])]",
        "x[m.tensor([0, 1]), m.tensor([0, 1, 2])]",
        "x[m.tensor([0.0])]",
        "x[m.tensor([0], dtype=m.int16)]",
        "x[m.tensor([True, False])]",
        "x[m.ones(3, 5, dtype=m.bool)]",
        "x[m.tensor([0]), m.tensor([0]), m.tensor([0])]",
        "m.zeros(0, 3)[m.tensor([0])]",
        "x.index_put((m.tensor([0, 1]),), m.ones(2, 3))",
        "x.index_put((m.tensor([0, 1]),), m.ones(2, 4).long())",
        "x.index_put((m.tensor([9]),), m.ones(4))",
        "x.index_select(0, m.tensor([3]))",
        "x.index_select(0, m.tensor([-1]))",
        "x.index_select(0, m.tensor([[1]]))",
        "x.index_select(0, m.tensor([1.0]))",
        "x.index_select(2, m.tensor([1]))",
        "m.tensor(1.0).index_select(0, m.tensor([0, 0]))",
        "x.gather(0, m.tensor([[3]]))",
        "x.gather(0, m.tensor([[-1]]))",
        "x.gather(0, m.tensor([1]))",
        "x.gather(0, m.zeros(3, 5, dtype=m.int64))",
        "x.gather(0, m.zeros(3, 2))",
        "x.scatter(0, i, m.ones(1, 2))",
        "x.scatter(0, i + 9, m.ones(2, 2))",
        "x.scatter(0, i - 1, m.ones(2, 2))",
        "x.scatter(0, i, m.ones(2, 2).long())",
        "x.scatter(0, i, m.ones(2, 2), reduce='foo')",
        "x.scatter(0, m.zeros(2, 9, dtype=m.int64), 2.0)",
        "x.scatter_add(0, i + -(2**63), m.ones(2, 2))",
        "x.scatter_reduce(0, i, m.ones(2, 2), 'foo')",
        "m.ones(3).cfloat().scatter_reduce(0, m.tensor([0]), m.ones(1).cfloat(), 'amax')",
        "x.index_add(0, m.tensor([0, 1]), m.ones(2, 3))",
        "x.index_add(0, m.tensor([0, 1]), m.ones(3, 4))",
        "x.index_add(0, m.tensor([9, 1]), m.ones(2, 4))",
        "x.index_add(0, m.tensor([0, 1]), m.ones(2, 4).long())",
        "x.index_copy(0, m.tensor([0, 1]), m.ones(2, 3))",
        "x.index_copy(0, m.tensor([-1, 1]), m.ones(2, 4))",
        "x.index_copy(0, m.tensor([0, 1]).int(), m.ones(2, 4))",
        "x.index_fill(0, m.tensor([-9]), 1.0)",
        "x.index_fill(0, m.tensor([0]), m.tensor([1.0]))",
        "x.index_fill(0, m.tensor([0]), 1j)",
        "x.take(m.tensor([12]))",
        "x.take(m.tensor([-13]))",
        "m.zeros(0).take(m.tensor([0]))",
        "x.put(m.tensor([1, 2]), m.tensor([1.0]))",
        "m.take_along_dim(x, m.tensor([1]), 1)",
        "m.take_along_dim(x, m.zeros(2, 1, dtype=m.int64), 1)",
        "x.masked_fill(x > 1, m.tensor([1.0]))",
        "x.masked_fill(x, 1.0)",
        "x.masked_fill(m.ones(5, dtype=m.bool), 1.0)",
        "x.to(m.int8).masked_fill(x > 1, 300)",
        "x.half().masked_fill(x > 1, 1e9)",
        "x.clone().masked_fill_(m.ones(2, 3, 4, dtype=m.bool), 1.0)",
        "x.masked_select(m.ones(5, dtype=m.bool))",
        "x.masked_scatter(x > 3, m.arange(2.0))",
        "m.embedding(x, m.tensor([3]))",
        "m.embedding(x, m.tensor([-1]))",
        "m.embedding(x[0], m.tensor([1]))",
        "x.cumsum(2)",
        "x.cfloat().cummax(0)",
        "x.int().logcumsumexp(0)",
        "x.cfloat().sort()",
        "x.topk(5)",
        "x.kthvalue(0)",
        "m.zeros(0, 3).median(0)",
        "m.searchsorted(m.ones(2, 3), m.ones(3, 3))",
        "m.searchsorted(x[0], x[0], side='foo')",
        "m.searchsorted(x[0], x[0], sorter=m.tensor([1, 2, 3, 7]))",
        "m.tensor([-1]).bincount()",
        "m.tensor([1.0]).bincount()",
        "x.histc(0)",
        "x.histc(4, 5, 2)",
        "x[0].tril()",
        "m.tril_indices(-1, 3)",
        "m.ones(2, 2, 2).diag()",
        "m.diagonal_scatter(x, m.ones(2))",
        "x.roll((1, 2), 0)",
        "x.rot90(1, (0, 0))",
        "x[0].fliplr()",
        "x.repeat_interleave(m.tensor([1, 2]), 0)",
        "x.repeat_interleave(m.tensor([-1, 2, 3]), 0)",
        "x.diff(-1)",
        "m.combinations(x)",
        "m.unique(m.zeros(3, 0), dim=0)",
    ],
)
def test_first_line_of_errors(source):
    def call(m):
        x = m.arange(12.0).reshape(3, 4)
        return eval(source, {"m": m, "x": x, "i": m.zeros(2, 2, dtype=m.int64)})  # noqa: S307

    assert line(lambda: call(H)) == line(lambda: call(torch))


@ours
@pytest.mark.parametrize("bad", [3, -4, INT64_MIN, INT64_MAX, 2**62])
def test_hostile_indices_never_reach_memory(bad):
    x, at, one = grid(3), long(0, bad), H.ones(2)
    before = values_of(x).copy()
    for call in (
        lambda: x[at],
        lambda: x.index_put_((at,), one),
        lambda: x.index_put_((at,), one, accumulate=True),
        lambda: x.index_select(0, at),
        lambda: x.index_add_(0, at, one),
        lambda: x.index_copy_(0, at, one),
        lambda: x.index_fill_(0, at, 1.0),
        lambda: x.gather(0, at),
        lambda: x.scatter_(0, at, one),
        lambda: x.scatter_add_(0, at, one),
        lambda: x.scatter_reduce_(0, at, one, "prod"),
        lambda: x.put_(at, one),
        lambda: x.take(at),
        lambda: H.embedding(x.reshape(3, 1), at),
    ):
        assert line(call)[0] in ("IndexError", "RuntimeError")
    np.testing.assert_array_equal(values_of(x), before)


@pytest.mark.parametrize(
    "source",
    [
        "x[i]", "x[:, i]", "x.index_put_((i,), x)", "x.index_put((None, i), x[:, :1])", "x.index_select(0, i)",
        "x.index_add_(0, i, x[:1])", "x.index_copy(0, i, x[:1])", "x.index_fill_(0, i, 1.0)", "x.gather(0, i[None])",
        "x.scatter_(0, i[None], 1.0)", "x.scatter_add(0, i[None], x)", "x.scatter_reduce(0, i[None], x, 'amax')",
        "x.scatter(0, H.tensor([[0]]), x.to('meta'))", "x.take(i)",
        "x.put_(i, x[0, :1])", "H.embedding(x, i)", "x.masked_fill(m, 1.0)", "x.masked_fill_(m, 1.0)", "x[m]",
        "x.masked_select(m)", "x.masked_scatter_(m, x)", "x.masked_scatter(x > 0, x.to('meta'))",
        "x.index_fill(0, H.tensor([0]), H.tensor(1.0, device='meta'))", "H.searchsorted(x[0].to('meta'), x[0])",
        "H.searchsorted(x[0], x[0], sorter=H.tensor([0, 1], device='meta'))", "H.isin(x, x.to('meta'))",
        "H.bincount(i)", "H.bincount(H.tensor([1]), H.ones(1, device='meta'))", "H.histc(x.to('meta'))",
        "H.unique(i)", "H.nonzero(m)", "H.repeat_interleave(i)", "x.repeat_interleave(i, 0)", "H.one_hot(i)",
        "H.select_scatter(x, x[0].to('meta'), 0, 0)", "H.take_along_dim(x, i[None], 0)",
    ],
)  # fmt: skip
@ours
def test_tensors_without_data_are_refused(source):
    names = {"H": H, "x": H.ones(2, 2), "i": H.tensor([0], device="meta"), "m": H.ones(2, 2, device="meta").bool()}
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        eval(source, names)  # noqa: S307


def test_shapes_without_data():
    x, i = H.ones(3, 4, device="meta"), H.tensor([0, 2], device="meta")
    assert x[i].shape == (2, 4) and x[:, i, None].shape == (3, 2, 1) and x[H.tensor([1])].shape == (1, 4)
    assert x.sort().indices.shape == x.cumsum(0).shape == x.tril().shape == x.index_add(0, i, x[:2]).shape == (3, 4)
    assert x.topk(2).values.shape == (3, 2)
    assert x.median(1).values.shape == (3,)
    for y in (x[i], x.sort()[0], x.scatter_add(0, i[None], x), x.masked_fill(x > 0, 1.0), H.embedding(x, i)):
        assert y.device.type == "meta"


# Writing --------------------------------------------------------------------------------------------------------------


@ours
def test_accumulate_is_in_index_order_for_any_number_of_threads():
    n = 100_000
    rng = np.random.default_rng(0)
    at, values = H.from_numpy(rng.integers(0, 50, n)), H.from_numpy(rng.standard_normal((n, 3)).astype(np.float32))
    results, threads = [], H.get_num_threads()
    try:
        for k in (1, 2, 4):
            H.set_num_threads(k)
            results.append(values_of(H.zeros(50, 3).index_put_((at,), values, accumulate=True)))
            results.append(values_of(H.zeros(50, 3).index_add_(0, at, values)))
            wide = at.reshape(-1, 1).expand(n, 3)
            results.append(values_of(H.zeros(50, 3).scatter_add_(0, wide, values)))
    finally:
        H.set_num_threads(threads)
    for r in results[1:]:
        np.testing.assert_array_equal(r, results[0])
    want = np.zeros((50, 3))
    np.add.at(want, values_of(at), values_of(values))
    np.testing.assert_allclose(results[0], want, rtol=1e-3, atol=1e-2)


def test_last_of_duplicates_stays():
    x = H.zeros(2)
    x[long(0, 0, 1, 0)] = H.tensor([1.0, 2.0, 3.0, 4.0])
    assert x.tolist() == [4.0, 3.0]


@ours
def test_values_that_share_memory_with_the_destination():
    x = grid(5)
    x.index_copy_(0, long(4, 3, 2, 1, 0), x)
    assert x.tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]
    x = grid(4, dtype="int64")
    x.scatter_(0, x, x.flip(0))
    assert x.tolist() == [3, 2, 1, 0]


def test_write_through_a_view_records_history():
    x = H.ones(3, 4, requires_grad=True)
    y = x * 2
    v = H.tensor([5.0, 7.0], requires_grad=True)
    y[1].index_put_((long(0, 2),), v)
    assert type(y.grad_fn).__name__ == "CopySlices"
    (y * grid(3, 4)).sum().backward()
    want = 2 * values_of(grid(3, 4))
    want[1, [0, 2]] = 0
    np.testing.assert_array_equal(values_of(x.grad), want)
    assert v.grad.tolist() == [4.0, 6.0]


def test_leaf_and_expanded_refuse():
    x = H.ones(3, requires_grad=True)
    for call in (lambda: x.index_put_((long(0),), H.ones(1)), lambda: x.masked_fill_(x > 0, 1.0)):
        assert line(call)[1] == "a leaf Variable that requires grad is being used in an in-place operation."
    assert line(lambda: H.ones(1).expand(3).scatter_(0, long(0), 1.0))[1].startswith(
        "unsupported operation: more than one"
    )


def test_index_put_on_an_expanded_tensor_warns():
    x = H.zeros(3).expand(2, 3)
    with pytest.warns(UserWarning, match="Use of index_put_ on expanded tensors is deprecated"):
        x.index_put_((long(0), long(1)), H.tensor([5.0]))
    assert x.tolist() == [[0.0, 5.0, 0.0]] * 2


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_scatter_add_in_every_dtype(dtype):
    x, at = make(H, np.zeros(2), dtype), long(0, 0, 1)
    got = x.scatter_add(0, at, make(H, np.ones(3), dtype))
    assert got.tolist() == ([True, True] if kind(dtype) == "b" else [2, 1])


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce_has_the_gradient_of_finite_differences(reduce, include_self):
    rng = np.random.default_rng(1)
    x = H.from_numpy(rng.standard_normal((4, 3))).requires_grad_()
    src = H.from_numpy(rng.standard_normal((5, 3))).requires_grad_()
    at = H.from_numpy(rng.integers(0, 3, (5, 3)))
    weight = H.from_numpy(rng.standard_normal((4, 3)))
    f = lambda x, s: (x.scatter_reduce(0, at, s, reduce, include_self=include_self) * weight).sum()
    f(x, src).backward()
    eps = 1e-6
    for leaf in (x, src):
        for place in np.ndindex(*leaf.shape):
            up, down = (values_of(leaf).copy() for _ in range(2))
            up[place] += eps
            down[place] -= eps
            pair = [
                f(H.from_numpy(a), src.detach()) if leaf is x else f(x.detach(), H.from_numpy(a)) for a in (up, down)
            ]
            assert abs((pair[0] - pair[1]).item() / (2 * eps) - leaf.grad[place].item()) < 1e-5


def test_scatter_reduce_prod_gradient_with_zeros():
    src = H.tensor([0.0, 2.0, 0.0, 0.0, 3.0], requires_grad=True)
    y = H.ones(2).scatter_reduce(0, long(0, 0, 1, 1, 1), src, "prod")
    y.sum().backward()
    assert src.grad.tolist() == [2.0, 0.0, 0.0, 0.0, 0.0]


# Masks ----------------------------------------------------------------------------------------------------------------


def test_masked_ops_round_trip():
    x, mask = grid(3, 4), grid(3, 4) % 2 == 0
    picked = x.masked_select(mask)
    np.testing.assert_array_equal(values_of(picked), values_of(x)[values_of(mask)])
    back = H.zeros(3, 4).masked_scatter(mask, picked)
    np.testing.assert_array_equal(values_of(back), np.where(values_of(mask), values_of(x), 0))
    np.testing.assert_array_equal(values_of(x.masked_fill(mask, -1)), np.where(values_of(mask), -1, values_of(x)))


def test_nonzero_forms():
    x = H.tensor([[0.0, 1.0], [math.nan, 0.0]])
    assert H.nonzero(x).tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in H.nonzero(x, as_tuple=True)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in H.where(x)] == [[0, 1], [1, 0]]
    assert H.nonzero(H.tensor(1.0)).shape == (1, 0)
    assert H.nonzero(H.tensor(0.0)).shape == (0, 0)
    assert [i.tolist() for i in H.nonzero(H.tensor(1.0), as_tuple=True)] == [[0]]
    assert H.count_nonzero(x).item() == 2


# Embedding ------------------------------------------------------------------------------------------------------------


def test_embedding_options():
    w = grid(5, 2).requires_grad_()
    at = long(1, 1, 3, 0)
    H.embedding(w, at).sum().backward()
    assert w.grad[:, 0].tolist() == [1, 2, 0, 1, 0]
    w.grad = None
    H.embedding(w, at, 1).sum().backward()
    assert w.grad[:, 0].tolist() == [1, 0, 0, 1, 0]
    w.grad = None
    H.embedding(w, at, -1, True).sum().backward()
    assert w.grad[:, 0].tolist() == [1, 1, 0, 1, 0]
    assert H.embedding(w, H.zeros(2, 0, dtype=H.int64)).shape == (2, 0, 2)


# Order ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in ALL_DTYPES if kind(d) != "c"])
@pytest.mark.parametrize("n", [0, 1, 7, 1000])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(dtype, n, descending):
    values = np.random.default_rng(n).integers(0, 20, n) - (0 if kind(dtype) in "bu" else 10)
    x = make(H, values % 2 == 0 if kind(dtype) == "b" else values, dtype)
    got, at = x.sort(stable=True, descending=descending)
    a = values_of(x)
    want = np.argsort(-a.astype(float) if descending else a, kind="stable")
    np.testing.assert_array_equal(values_of(at), want)
    np.testing.assert_array_equal(values_of(got), a[want])


@pytest.mark.parametrize("n", [5, 600])
def test_sort_of_special_numbers(n):
    special = np.resize(np.array([math.nan, 1.0, -math.inf, -0.0, 0.0, math.inf, -1.0, 5e-324]), n)
    x = H.from_numpy(special)
    np.testing.assert_array_equal(values_of(x.sort()[0]), np.sort(special))
    down, at = x.sort(descending=True, stable=True)
    np.testing.assert_array_equal(values_of(down), np.sort(special)[::-1])
    for zero in (np.flatnonzero(values_of(down) == 0),):  # -0 equals 0: they keep their order
        assert np.all(np.diff(values_of(at)[zero]) > 0)


@given(st.lists(st.floats(width=32), min_size=1, max_size=40), st.data())
def test_order_statistics(values, data):
    a = np.array(values, np.float32)
    k = data.draw(st.integers(1, len(values)))
    x = H.from_numpy(a)
    ordered = np.sort(a)
    for largest in (False, True):
        got, at = x.topk(k, largest=largest)
        np.testing.assert_array_equal(values_of(got), (ordered[::-1] if largest else ordered)[:k])
        np.testing.assert_array_equal(a[values_of(at)], values_of(got).astype(np.float32))
        assert len(set(at.tolist())) == k
    got, at = x.kthvalue(k)
    np.testing.assert_array_equal(got.item(), ordered[k - 1])
    median = math.nan if np.isnan(a).any() else ordered[(len(a) - 1) // 2]
    np.testing.assert_array_equal(x.median().item(), median)
    clean = np.sort(a[~np.isnan(a)])
    np.testing.assert_array_equal(x.nanmedian().item(), clean[(len(clean) - 1) // 2] if len(clean) else math.nan)


@pytest.mark.parametrize("dim", [None, 0, 1, 2])
def test_unique(dim):
    a = np.random.default_rng(0).integers(0, 2, (4, 2, 3))
    got, inverse, counts = H.unique(H.from_numpy(a), return_inverse=True, return_counts=True, dim=dim)
    want, want_inverse, want_counts = np.unique(a, return_inverse=True, return_counts=True, axis=dim)
    np.testing.assert_array_equal(values_of(got), want)
    np.testing.assert_array_equal(values_of(inverse).ravel(), want_inverse.ravel())
    np.testing.assert_array_equal(values_of(counts), want_counts)
    if torch is not None:
        same(got, torch.unique(torch.from_numpy(a), dim=dim))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("n", [0, 5, 3000])
def test_unique_integers(dtype, n):
    bounds = np.iinfo(dtype)
    a = np.random.default_rng(n).integers(bounds.min, bounds.max, n, dtype, endpoint=True)
    a[::3] = bounds.min
    got, counts = H.unique(H.from_numpy(a), return_counts=True)
    want, want_counts = np.unique(a, return_counts=True)
    np.testing.assert_array_equal(values_of(got), want)
    np.testing.assert_array_equal(values_of(counts), want_counts)


def test_unique_forms():
    x = long(3, 3, 1, 3)
    assert isinstance(H.unique(x), H.Tensor)
    assert len(H.unique(x, return_counts=True)) == 2
    assert H.unique_consecutive(x).tolist() == [3, 1, 3]
    values, inverse, counts = H.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([3, 1, 3], [0, 0, 1, 2], [2, 1, 1])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.lists(st.floats(-6, 6), max_size=10), st.booleans())
def test_searchsorted(values, wanted, right):
    edges, v = np.sort(np.array(values)), np.array(wanted)
    want = np.searchsorted(edges, v, side="right" if right else "left")
    np.testing.assert_array_equal(values_of(H.searchsorted(H.from_numpy(edges), H.from_numpy(v), right=right)), want)
    np.testing.assert_array_equal(values_of(H.bucketize(H.from_numpy(v), H.from_numpy(edges), right=right)), want)
    shuffled = H.from_numpy(edges[::-1].copy())
    sorter = H.argsort(shuffled)
    np.testing.assert_array_equal(
        values_of(H.searchsorted(shuffled, H.from_numpy(v), right=right, sorter=sorter)), want
    )
    np.testing.assert_array_equal(values_of(H.isin(H.from_numpy(v), H.from_numpy(edges))), np.isin(v, edges))


def test_counts():
    assert long(1, 2, 2).bincount(minlength=5).tolist() == [0, 1, 2, 0, 0]
    assert long(1, 2, 2).bincount(H.tensor([0.5, 1.0, 2.0])).tolist() == [0.0, 0.5, 3.0]
    np.testing.assert_array_equal(
        values_of(grid(50).histc(7, 3, 31)), np.histogram(np.arange(50), bins=7, range=(3, 31))[0]
    )
    assert H.tensor([3, 1, 3, 1, 2]).mode().values.item() == 1
    assert H.tensor([3, 1, 3, 1, 2]).mode().indices.item() == 3


# Scans ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [(), (0,), (2,), (1, 3), (4,)])
def test_cumprod_gradient_with_zeros(zeros):
    a = np.array([1.5, -2.0, 0.5, 3.0, 2.0])
    a[list(zeros)] = 0
    x = H.from_numpy(a).requires_grad_()
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    (g,) = H.autograd.grad((x.cumprod(0) * H.from_numpy(weight)).sum(), x, create_graph=True)
    want = [sum(weight[k] * np.prod(np.delete(a[: k + 1], i)) for k in range(i, 5)) for i in range(5)]
    np.testing.assert_allclose(values_of(g), want)
    (second,) = H.autograd.grad(g.sum(), x)
    pairs = [
        sum(weight[k] * np.prod(np.delete(a[: k + 1], [i, j])) for j in range(5) for k in range(max(i, j), 5) if i != j)
        for i in range(5)
    ]
    np.testing.assert_allclose(values_of(second), pairs, atol=1e-12)


def test_cumprod_in_place_keeps_its_factors():
    x = H.tensor([2.0, 3.0, 5.0], requires_grad=True)
    y = (x * 1).cumprod_(0)
    y.sum().backward()
    assert y.tolist() == [2.0, 6.0, 30.0]
    assert x.grad.tolist() == [1 + 3 + 15, 2 + 10, 6]


@ours
def test_logcumsumexp_is_stable():
    x = H.tensor([-math.inf, 1000.0, 1000.0, -1000.0], dtype=H.float64, requires_grad=True)
    y = x.logcumsumexp(0)
    np.testing.assert_allclose(values_of(y), [-math.inf, 1000, 1000 + math.log(2), 1000 + math.log(2)])
    y[1:].sum().backward()
    np.testing.assert_allclose(values_of(x.grad), [0, 2, 1, 0], atol=1e-12)


def test_cummax_takes_the_last_of_equals():
    values, at = H.tensor([1.0, 3.0, 3.0, 2.0, math.nan, 5.0]).cummax(0)
    np.testing.assert_array_equal(values_of(values), [1, 3, 3, 3, math.nan, math.nan])
    assert at.tolist() == [0, 1, 2, 2, 4, 4]


# Everything small against torch ---------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "source",
    [
        "x.tril()", "x.triu(1)", "x.tril(-9)", "x.t().tril()", "m.tril_indices(3, 4, 1)", "m.triu_indices(4, 3, -1)",
        "x.diag()", "x.diag(-1)", "x[0].diag(2)", "x.diag_embed()", "x.diag_embed(-1, 0, 2)", "x.diagflat(1)",
        "m.diagonal_scatter(x, m.ones(3))", "m.select_scatter(x, m.ones(3), 1, -1)",
        "m.slice_scatter(x.t(), m.ones(2, 3), 0, 0, 4, 2)", "x.roll(5)", "x.roll((1, -6), (0, 1))",
        "x.t().roll(-(2**62), 0)", "x.rot90()", "x.rot90(3)", "x.rot90(-2)", "x.fliplr()", "x.flipud()",
        "x.repeat_interleave(2)", "x.repeat_interleave(3, 1)", "x.repeat_interleave(m.tensor([0, 2, 1]), 0)",
        "m.repeat_interleave(m.tensor([1, 2, 0]))", "m.tensor(1.0).repeat_interleave(3)", "x.diff()", "x.diff(2, 0)",
        "x.diff(9)", "(x > 2).diff()", "x.diff(prepend=m.zeros(3, 2), append=x)", "m.combinations(x[0])",
        "m.combinations(x[0], 3, True)", "m.combinations(x[0], 9)", "m.cartesian_prod(x[0], x[1])",
        "m.cartesian_prod(x[0])", "m.trapz(x)", "m.trapezoid(x, x.flip(0) * 2, dim=0)", "m.trapezoid(x, dx=3)",
        "x.cumsum(1)", "x.t().cumsum(0)", "x.cumsum(0, dtype=m.int32)", "x.bool().cumsum(0)", "x.cumprod(0)",
        "x.sort(0, True)[0]", "x.t().sort(0)[1]", "x.argsort(1, True)", "x.msort()", "x.topk(2, 0)[0]",
        "x.kthvalue(2, 0, True)[0]", "x.median(1)[0]", "x.median()", "x.nanmedian(0)[1]", "x.mode(0)[0]",
        "x.take(m.tensor([[0, -1]]))", "m.take_along_dim(x, m.tensor([[1], [0], [2]]), 1)",
        "x.t().take(m.tensor([1, 5]))",
        "x.put(m.tensor([1, -1]), m.tensor([5.0, 6.0]))", "x.index_reduce(0, m.tensor([0, 2, 0]), x, 'mean')",
        "x.index_add(1, m.tensor([0, 0]), x[:, :2], alpha=3)",
        "x.long().index_add(0, m.tensor([1]), x[:1].long(), alpha=2.5)",
        "x.scatter(1, m.tensor([[0, 1], [2, 3]]), 7.0)",
        "x.scatter(1, m.tensor([[0, 1], [0, 3]]), x, reduce='multiply')",
        "x.scatter_reduce(0, m.tensor([[0, 0, 1, 2]]), x, 'mean', include_self=False)",
        "x.long().scatter_reduce(0, m.zeros(3, 4, dtype=m.int64), x.long() * -3, 'mean')",
        "x.t().index_select(0, m.tensor([1, 2]))", "x.gather(1, m.zeros(3, 0, dtype=m.int64))",
        "m.nonzero(x)", "m.argwhere(x > 20)", "x.count_nonzero(0)", "x.masked_fill(x[0] > 1, m.tensor(2))",
        "m.isin(x, 3)", "m.isin(x, m.tensor([]), invert=True)", "m.histc(x)", "x.expand(2, 3, 4)[m.tensor([1, 0, 1])]",
    ],
)  # fmt: skip
def test_as_torch(source):
    def call(m):
        return eval(source, {"m": m, "x": m.arange(12.0).reshape(3, 4)})  # noqa: S307

    same(call(H), call(torch))


@needs_torch
@pytest.mark.parametrize(
    "source",
    [
        "x[m.tensor([0])]", "x.index_put((m.tensor([0]),), m.ones(4))", "x.index_select(0, m.tensor([0]))",
        "x.index_add(0, m.tensor([0]), m.ones(1, 4))", "x.index_copy(0, m.tensor([0]), m.ones(1, 4))",
        "x.index_fill(0, m.tensor([0]), 1.0)", "x.index_fill(0, m.tensor([0]), m.tensor(1.0))", "x.take(m.tensor([0]))",
        "x.put(m.tensor([0]), m.tensor([1.0]))", "x.gather(0, m.tensor([[0]]))",
        "x.scatter(0, m.tensor([[0]]), m.ones(1, 1))", "x.scatter(0, m.tensor([[0]]), 1.0)",
        "x.scatter_add(0, m.tensor([[0]]), m.ones(1, 1))", "x.scatter_reduce(0, m.tensor([[0]]), m.ones(1, 1), 'amax')",
        "x.masked_fill(x > 1, 1.0)", "x.masked_fill(x > 1, m.tensor(1.0))", "x.masked_select(x > 1)",
        "x.masked_scatter(x > 1, m.ones(12))", "x.topk(2)[0]", "x.sort()[0]", "x.sort(stable=True)[0]",
        "x.kthvalue(1)[0]", "x.median()", "x.median(0)[0]", "x.nanmedian()", "x.mode()[0]", "x.tril()", "x.triu()",
        "x.cumsum(0)", "x.cumprod(0)", "x.logcumsumexp(0)", "x.cummax(0)[0]", "x.cummin(0)[0]", "x.roll(1, 0)",
        "x.rot90()", "x.diag_embed()", "m.diagonal_scatter(x, m.ones(3))", "m.select_scatter(x, m.ones(4), 0, 0)",
        "m.slice_scatter(x, m.ones(1, 4), 0, 0, 1)", "m.embedding(x, m.tensor([0]))",
    ],
)  # fmt: skip
def test_names_in_the_graph(source):
    def name(m):
        return type(eval(source, {"m": m, "x": m.ones(3, 4).requires_grad_()}).grad_fn).__name__  # noqa: S307

    assert name(H) == name(torch)


@pytest.mark.parametrize(
    "key", ["[[0, 1], [1, 2]]", "[t, t]", "[0, t]", "[(0, 1), 2]", "[[True, False]]", "[slice(0, 1), 2]", "[[]]"]
)
def test_a_list_of_indices_is_a_tuple(key):
    """As in torch, which warns of it; a list of numbers alone is one index."""
    x = H.arange(24).view(2, 3, 4)
    key = eval(key, {"t": H.tensor([0, 1])})
    with pytest.warns(UserWarning, match="^Using a non-tuple sequence for multidimensional indexing is deprecated"):
        y = x[key]
    assert y.tolist() == x[tuple(key)].tolist()
    z, w = x.clone(), x.clone()
    z[tuple(key)] = -1
    with pytest.warns(UserWarning, match="non-tuple"):
        w[key] = -1
    assert w.tolist() == z.tolist()
    assert x[[0, 1]].shape == (2, 3, 4) and x[[[0, 1]] * 40].shape == (40, 2, 3, 4)


@pytest.mark.parametrize("dtype", [H.int64, H.int32])
def test_expanded_index_is_looked_at_once(dtype):
    at, source = H.tensor([2, 0, 2], dtype=dtype), H.arange(12.0).reshape(3, 4)
    wide = at[:, None].expand(-1, 4)
    y = H.zeros(3, 4).scatter_add(0, wide, source)
    assert y.tolist() == [[4, 5, 6, 7], [0, 0, 0, 0], [8, 10, 12, 14]]
    assert source.gather(0, wide).tolist() == source[at].tolist()
    for bad in (3, -1):
        wrong = H.tensor([0, bad, 1], dtype=dtype)[:, None].expand(-1, 4)
        with pytest.raises(RuntimeError, match=f"index {bad} is out of bounds for dimension 0 with size 3"):
            H.zeros(3, 4).scatter_add(0, wrong, source)
    assert H.zeros(3, 0).scatter_add(0, at[:, None].expand(-1, 0), source[:, :0]).shape == (3, 0)
