"""Where the numbers lie: views, overlap, in-place and out= forms, empty and 0-d tensors, wrong arguments."""

import warnings

import numpy as np
import pytest
from harness import OURS, H, assert_same, differences, dtype_name, flat, kind, make, quantise, torch, values_of
from samples import OPS, Arr
from test_ops import run

INPLACE = [pytest.param(op, d, id=f"{op.id}-{d}") for op in OPS if op.inplace for d in op.dtypes]
OUT = [pytest.param(op, d, id=f"{op.id}-{d}") for op in OPS if op.takes_out for d in op.dtypes]


def slack(op, dtype, sample, want):
    """How far two layouts of one call may differ: not at all, but for products, whose order of summation they choose,
    and powers, which know some exponents only where the result is new.

    torch makes no such promise.
    """
    if OURS and op.scale != "abs" and op.name != "pow":
        return 0, None
    return 2 * op.bound(dtype), op.scale_of(sample, values_of(want))


def counting(*shape, dtype="float32"):
    return H.arange(int(np.prod(shape)), dtype=getattr(H, dtype)).reshape(shape)


# In place ---------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op, dtype", INPLACE)
def test_inplace(op, dtype):
    """x.name_() returns x itself holding what name(x) gives, in x's dtype, for every layout that may be written."""
    count = 0
    for sample in op.calls(dtype):
        x = sample.args[0] if sample.args else None
        if not isinstance(x, Arr) or x.layout == "e":
            continue
        args, kwargs = sample.map(lambda a: a.to(H))
        want = op.function(H)(*args, **kwargs)
        target, note = args[0], f"{op.id}_({sample})"
        method = getattr(target, op.name.rpartition(".")[2] + "_")
        if tuple(want.shape) != tuple(target.shape):
            with pytest.raises(RuntimeError, match="doesn't match the broadcast shape|Bad in-place call|can't be cast"):
                method(*args[1:], **kwargs)
            continue
        if op.out != "bool" and kind(dtype_name(want)) in "hfc" and kind(dtype) in "bui":
            with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
                method(*args[1:], **kwargs)
            continue
        count += 1
        version = target._version
        got = method(*args[1:], **kwargs)
        assert got is target, note
        assert target._version > version, f"{note}: the version did not move"
        assert dtype_name(target) == dtype, note
        wrong = differences(values_of(target), values_of(want), dtype, *slack(op, dtype, sample, want))
        assert not wrong, f"{note}: {wrong}"
    assert count or kind(dtype) in "bui", "no sample was written"


WRITTEN = {  # the same window of a (4, 6) tensor and array
    "transposed": (lambda x: x.t(), lambda a: a.T),
    "strided": (lambda x: x[::2, 1::3], lambda a: a[::2, 1::3]),
    "dims turned": (lambda x: x.reshape(2, 2, 6).permute(2, 1, 0), lambda a: a.reshape(2, 2, 6).transpose(2, 1, 0)),
    "row": (lambda x: x[1], lambda a: a[1]),
    "column": (lambda x: x[:, 2], lambda a: a[:, 2]),
    "diagonal": (lambda x: x.diagonal(), lambda a: np.lib.stride_tricks.as_strided(a, (4,), (28,))),
}


@pytest.mark.parametrize("view", WRITTEN)
def test_inplace_through_a_view(view):
    base, want = counting(4, 6), np.arange(24, dtype=np.float32).reshape(4, 6)
    take, window = WRITTEN[view]
    part = window(want)
    seen = take(base)
    seen.mul_(3).add_(1)
    part[...] = part * 3 + 1
    assert base.numpy().tolist() == want.tolist()
    assert seen._version == base._version == 2
    seen.copy_(counting(*seen.shape))
    part[...] = np.arange(part.size).reshape(part.shape)
    assert base.numpy().tolist() == want.tolist()
    seen.zero_()
    part[...] = 0
    assert base.numpy().tolist() == want.tolist()
    seen.fill_(2.5)
    part[...] = 2.5
    assert base.numpy().tolist() == want.tolist()


def test_inplace_casts():
    x = H.ones(3)
    assert x.mul_(H.full((3,), 2.5, dtype=H.float64)) is x and x.dtype == H.float32 and x.tolist() == [2.5] * 3
    i = H.tensor([1, 2])
    for wrong in (lambda: i.mul_(2.5), lambda: i.add_(H.ones(2)), lambda: i.div_(2), lambda: i.mul_(1j)):
        with pytest.raises(RuntimeError, match="result type .* can't be cast to the desired output type"):
            wrong()
    assert i.tolist() == [1, 2]
    assert i.copy_(H.tensor([1.9, -1.9])).tolist() == [1, -1]
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        i += 0.5
    b = H.tensor([True, False])
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type Bool"):
        b.mul_(2)


def test_inplace_may_not_grow():
    x = H.ones(3)
    with pytest.raises(RuntimeError, match=r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        x.add_(H.ones(2, 3))
    with pytest.raises(RuntimeError):
        x.copy_(H.ones(2))
    assert x.tolist() == [1, 1, 1]


# Overlap ----------------------------------------------------------------------------------------------------------
def test_written_tensor_may_not_overlap_itself():
    x = H.zeros(3).expand(2, 3)
    overlap = "more than one element of the written-to tensor refers to a single memory location"
    for wrong in (lambda: x.add_(1), lambda: x.mul_(x), lambda: x.exp_(), lambda: x.copy_(H.ones(2, 3))):
        with pytest.raises(RuntimeError, match=overlap):
            wrong()
    with pytest.raises(RuntimeError, match=overlap):
        H.mul(H.ones(2, 3), 2, out=x)


def test_operands_that_share_memory_with_the_result():
    """Exactly the same elements are fine; partly the same are an error or come out as if copied first."""
    x = counting(8)
    assert H.mul(x, x, out=x) is x and x.tolist() == [i * i for i in range(8)]
    x = counting(3, 3)
    x.add_(x.clone())
    assert x.tolist() == (2 * np.arange(9.0).reshape(3, 3)).tolist()
    for shift in (lambda v: (v[1:], v[:-1]), lambda v: (v[:-1], v[1:])):
        v = counting(300)
        to, source = shift(v)
        want = to.numpy() + source.numpy()
        try:
            to.add_(source)
        except RuntimeError as e:
            assert "overlap" in str(e) or "some elements of the input tensor and the written-to tensor" in str(e)
        else:
            assert (to.numpy() == want).all()
    square = counting(20, 20)
    want = square.numpy() + square.numpy().T
    try:
        square.add_(square.t())
    except RuntimeError as e:
        assert "memory location" in str(e)
    else:
        assert (square.numpy() == want).all()


def test_reading_overlapping_memory():
    windows = H.arange(6.0).as_strided((4, 3), (1, 1))
    rows = np.lib.stride_tricks.sliding_window_view(np.arange(6.0, dtype=np.float32), 3)
    for got, want in [(windows * 2, rows * 2), (windows.sum(0), rows.sum(0)), (windows @ windows.t(), rows @ rows.T)]:
        assert (got.numpy() == want).all()
    assert (windows.max(1).values.numpy() == rows.max(1)).all() and windows.clone().is_contiguous()


# out= -------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op, dtype", OUT)
def test_out(op, dtype):
    """out= receives the result in whatever layout it has, and is what is returned."""
    for sample in op.calls(dtype):
        args, kwargs = sample.map(lambda a: a.to(H))
        f = op.function(H)
        want, note = f(*args, **kwargs), f"{op.id}({sample}, out=)"
        room = want.dim() and 0 not in want.shape
        targets = [H.empty_like(want), H.empty(0, dtype=want.dtype)]
        if room and (OURS or op.name != "matmul"):  # torch's restrides or fails
            targets.append(H.empty(tuple(want.shape)[::-1], dtype=want.dtype).permute(*range(want.dim() - 1, -1, -1)))
            targets.append(H.empty((*want.shape[:-1], 2 * want.shape[-1]), dtype=want.dtype)[..., ::2])
        for out in targets:
            where, strides = out.data_ptr(), out.stride()
            assert f(*args, **kwargs, out=out) is out, note
            assert_same(out, want, *slack(op, dtype, sample, want), note)
            if out is not targets[1]:
                assert out.data_ptr() == where, f"{note}: moved"
                assert out.stride() == strides, f"{note}: restrided"


def test_out_dtypes():
    x = H.ones(3)
    wide = H.empty(3, dtype=H.float64)
    assert H.mul(x, 2, out=wide).tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        H.mul(x, 2, out=H.empty(3, dtype=H.int64))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float, but got double instead"):
        H.mm(H.ones(2, 2), H.ones(2, 2), out=H.empty(2, 2, dtype=H.float64))
    with pytest.raises(RuntimeError, match="result dtype Long does not match input dtype Float"):
        H.dot(x, x, out=H.empty((), dtype=H.int64))
    with pytest.raises(TypeError):
        H.dot(x, x, H.empty(()))


def test_out_of_another_size_warns_and_resizes():
    out = H.empty(5)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        H.mul(H.ones(2, 3), 2, out=out)
    assert out.shape == (2, 3) and out.tolist() == [[2.0] * 3] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = H.empty(0)
        assert H.add(H.ones(2), 1, out=empty).tolist() == [2, 2]


def test_out_and_gradients():
    w = H.ones(3, requires_grad=True)
    message = r"mul\(\): functions with out=... arguments don't support automatic differentiation"
    with pytest.raises(RuntimeError, match=message):
        H.mul(w, 2, out=H.empty(3))
    with H.no_grad():
        assert H.mul(w, 2, out=H.empty(3)).tolist() == [2, 2, 2]


# Views ------------------------------------------------------------------------------------------------------------
VIEWS = {
    "view": lambda x: x.view(4, 6), "reshape": lambda x: x.reshape(24), "t": lambda x: x[0].t(), "T": lambda x: x[0].T,
    "permute": lambda x: x.permute(2, 0, 1), "transpose": lambda x: x.transpose(0, 2),
    "unsqueeze": lambda x: x.unsqueeze(1), "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "expand": lambda x: x[:1].expand(5, 3, 4), "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(0, 1), "index": lambda x: x[1], "slice": lambda x: x[:, 1:, ::2],
    "ellipsis": lambda x: x[..., 0], "none": lambda x: x[None, :, None], "diagonal": lambda x: x.diagonal(0, 1, 2),
    "unfold": lambda x: x.unfold(1, 2, 1), "chunk": lambda x: x.chunk(2)[1], "split": lambda x: x.split(2, 1)[1],
    "unbind": lambda x: x.unbind(1)[2], "flatten": lambda x: x.flatten(), "movedim": lambda x: x.movedim(0, -1),
    "mT": lambda x: x.mT, "view_as": lambda x: x.view_as(H.empty(24)), "detach": lambda x: x.detach(),
    "data": lambda x: x.data, "as_strided": lambda x: x.as_strided((3, 2), (4, 1), 1),
    "swapaxes": lambda x: x.swapaxes(0, 1), "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "broadcast_to": lambda x: x[0].broadcast_to(2, 3, 4), "real": lambda x: x.real,
    "view dtype": lambda x: x.view(H.int32),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_storage(name):
    x = counting(2, 3, 4)
    v = VIEWS[name](x)
    assert v.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert v.data_ptr() == x.data_ptr() + v.storage_offset() * 4
    before = x.sum().item()
    with H.no_grad():
        v[(0,) * v.dim()] = 1000 if name != "view dtype" else 1
    assert x.sum().item() != before or name == "view dtype"
    if name != "data":
        assert x._version == 1


COPIES = {
    "clone": lambda x: x.clone(), "contiguous of a transpose": lambda x: x.transpose(0, 2).contiguous(),
    "repeat": lambda x: x.repeat(1, 1, 1), "index list": lambda x: x[[0, 1]], "mask": lambda x: x[x > -1],
    "flatten of a transpose": lambda x: x.transpose(0, 1).flatten(), "flip": lambda x: x.flip(0),
    "tensor": lambda x: x.clone().detach(), "to copy": lambda x: x.to(x.dtype, copy=True), "cat": lambda x: H.cat([x]),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not_share(name):
    x = counting(2, 3, 4)
    v = COPIES[name](x)
    v.zero_()
    assert x.sum().item() == 276


def test_contiguous_returns_itself():
    x = counting(2, 3)
    assert x.contiguous() is x and x.to(H.float32) is x and x.float() is x and x.cpu() is x and x.reshape(2, 3) is not x
    assert not x.t().is_contiguous() and x.t().contiguous().stride() == (2, 1)
    assert x.stride() == (3, 1) and x.stride(0) == 3 and x.t().stride() == (1, 3) and x[:, 1:].storage_offset() == 1
    assert x[:1].is_contiguous() and x[:, :1].stride() == (3, 1) and H.empty(0, 3).is_contiguous()
    assert H.zeros(2, 3).expand(4, 2, 3).stride() == (0, 3, 1)


@pytest.mark.parametrize(
    "shape, to", [((2, 3), (4,)), ((2, 3), (-1, 4)), ((6,), (-1, -1)), ((0,), (2,)), ((2, 3), (2, -1, -1))]
)
def test_reshape_refuses(shape, to):
    with pytest.raises(
        RuntimeError, match="shape '.*' is invalid for input of size|only one dimension can be inferred"
    ):
        H.zeros(shape).reshape(to)
    with pytest.raises(RuntimeError):
        H.zeros(shape).view(to)


def test_view_needs_compatible_strides():
    x = counting(2, 3).t()
    with pytest.raises(RuntimeError, match="view size is not compatible with input tensor's size and stride"):
        x.view(-1)
    assert x.reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]
    assert counting(4, 6)[:, :3].unflatten(0, (2, 2)).view(4, 3).shape == (4, 3)
    with pytest.raises(
        RuntimeError,
        match=r"The expanded size of the tensor \(4\) must match the existing size \(2\) at non-singleton dimension 0."
        r"  Target sizes: \[4, 3\].  Tensor sizes: \[2, 3\]",
    ):
        H.zeros(2, 3).expand(4, 3)


# Indexing ---------------------------------------------------------------------------------------------------------
INDICES = {
    "int": 1, "negative": -1, "slice": slice(1, 3), "open slice": slice(None), "step": slice(None, None, 2),
    "empty slice": slice(2, 1), "beyond": slice(-100, 100), "tuple": (1, 2), "ellipsis": (Ellipsis, 1),
    "none": (None, 1, None), "two ellipses sides": (0, Ellipsis, 1), "list": [0, 2], "list in a tuple": ([0, 2],),
    "two lists": ([0, 2], [1, 1]), "list and slice": ([0, 1], slice(1, None)), "slice and list": (slice(None), [2, 0]),
    "lists apart": ([0, 1], slice(None), [1, 3]), "broadcast lists": ([[0], [1]], [1, 2]), "array": np.array([2, 0]),
    "array 2-D": np.array([[0, 1], [1, 2]]), "bool array": np.array([True, False, True]), "true": True, "false": False,
    "mask and int": (np.array([True, False, True]), 1), "mask 2-D": np.array([[True, False, True, False]] * 3),
    "negative list": [-1, -2], "mask after slice": (slice(None), np.array([True, False, True, True])),
    "int and list": (1, [0, 2]), "list with none": (None, [0, 1]), "empty list": [], "all": Ellipsis, "zero tuple": (),
    "int array 0-d": np.array(1), "lists around int": ([0, 1], 0, [1, 2]), "bool list": [True, False, False],
}  # fmt: skip


def as_index(index):
    if isinstance(index, np.ndarray):
        return H.from_numpy(index)
    return tuple(as_index(i) for i in index) if isinstance(index, tuple) else index


def as_numpy_index(index):
    """NumPy reads an empty list as floats; torch does not."""
    return np.array([], int) if isinstance(index, list) and not index else index


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "complex128", "bfloat16"])
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize("name", INDICES)
def test_getitem(name, layout, dtype):
    values = quantise(np.arange(60).reshape(3, 4, 5), dtype)
    x, index = make(H, values, dtype), INDICES[name]
    if layout == "transposed":
        x = make(H, values.transpose(2, 1, 0).copy(), dtype).permute(2, 1, 0)
    got = x[as_index(index)]
    assert not differences(values_of(got), values[as_numpy_index(index)], dtype)


@pytest.mark.parametrize("dtype", ["float32", "int8", "complex128", "float16"])
@pytest.mark.parametrize("name", INDICES)
def test_setitem(name, dtype):
    index = INDICES[name]
    values = quantise(np.arange(60).reshape(3, 4, 5), dtype)
    region = values[as_numpy_index(index)].shape
    for put in (7, quantise(np.arange(int(np.prod(region))).reshape(region), dtype)):
        x, want = make(H, values, dtype), values.copy()
        if name == "broadcast lists" or np.ndim(put) == 0 or np.size(put) == np.prod(region):
            x[as_index(index)] = put if np.ndim(put) == 0 else make(H, put, dtype)
            want[as_numpy_index(index)] = put
            assert not differences(values_of(x), want, dtype)
            assert x._version == 1 or not np.prod(region)


def test_setitem_conversions():
    x = H.zeros(2, 3)
    x[0] = H.tensor([1, 2, 3])
    x[1] = H.tensor(5.0, dtype=H.float64)
    x[:, 1] = H.tensor([[7.0], [8.0]]).squeeze(1)
    assert x.tolist() == [[1, 7, 3], [5, 8, 5]]
    x[x > 6] = 0
    assert x.tolist() == [[1, 0, 3], [5, 0, 5]]
    x[0, 0] += 10
    x[[0, 1], [2, 2]] *= 2
    assert x.tolist() == [[11, 0, 6], [5, 0, 10]]
    i = H.tensor([1, 2])
    i[0] = 2.9
    assert i.tolist() == [2, 2]


def test_bad_indices():
    x = H.zeros(3, 4)
    for index, error, message in [
        (3, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
        (-4, IndexError, "index -4 is out of bounds for dimension 0 with size 3"),
        ((0, 4), IndexError, "index 4 is out of bounds for dimension 1 with size 4"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        ([3], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
        (1.5, (IndexError, TypeError), "only integers, slices"),
        (H.tensor([1.0]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
        (H.tensor([True, False]), IndexError,
         r"The shape of the mask \[2\] at index 0 does not match the shape of the indexed tensor \[3, 4\] at index 0"),
        (([0, 1], [0, 1, 2]), IndexError,
         "shape mismatch: indexing tensors could not be broadcast together with shapes"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        ("a", (IndexError, TypeError), ""),
    ]:  # fmt: skip
        with pytest.raises(error, match=message):
            x[index]
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        H.tensor(1.0)[0]
    with pytest.raises(RuntimeError, match="shape mismatch|expand|must match"):
        x[0] = H.ones(3)
    with pytest.raises(IndexError):
        x[H.tensor([5])] = 1
    for call in (
        lambda: x.gather(0, H.tensor([[7]])),
        lambda: x.index_select(0, H.tensor([-1])),
        lambda: x.scatter(0, H.tensor([[9]]), 1.0),
        lambda: x.take(H.tensor([99])),
    ):
        with pytest.raises((IndexError, RuntimeError), match="out of (bounds|range)"):
            call()
    assert x.sum().item() == 0


def test_bad_dims():
    x = H.zeros(2, 3)
    for call in (
        lambda: x.sum(2),
        lambda: x.sum(-3),
        lambda: x.transpose(0, 2),
        lambda: x.unsqueeze(4),
        lambda: H.cat([x, x], 2),
        lambda: x.max(5),
        lambda: H.softmax(x, 2),
        lambda: x.cumsum(3),
        lambda: H.tensor(1.0).sum(1),
    ):
        with pytest.raises(
            IndexError, match=r"Dimension out of range \(expected to be in range of \[-?\d, \d\], but got -?\d\)"
        ):
            call()
    with pytest.raises(RuntimeError, match="appears multiple times"):
        x.sum((0, 0))
    with pytest.raises(RuntimeError):
        x.permute(0, 0)
    with pytest.raises(RuntimeError):
        x.permute(0)


# Empty and 0-d ----------------------------------------------------------------------------------------------------
def test_empty_reductions():
    e = H.zeros(0)
    assert (
        e.sum().item() == 0
        and e.prod().item() == 1
        and np.isnan(e.mean().item())
        and e.all().item()
        and not e.any().item()
    )
    assert np.isnan(e.var().item()) and e.norm().item() == 0 and e.cumsum(0).shape == (0,)
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(
            (RuntimeError, IndexError), match="numel\\(\\) == 0|non-zero size|operation does not have an identity"
        ):
            getattr(e, name)()
    with pytest.raises(IndexError):
        H.zeros(2, 0).max(1)
    assert H.zeros(2, 0).max(0).values.shape == (0,) and H.zeros(0, 2).sum(0).tolist() == [0, 0]
    assert H.cat([e, H.ones(2)]).tolist() == [1, 1] and H.cat([H.zeros(0), H.ones(2, 2)]).shape == (2, 2)
    assert H.zeros(0, 3).softmax(1).shape == (0, 3) and (H.zeros(0, 3) @ H.zeros(3, 2)).shape == (0, 2)
    assert (H.zeros(2, 0) @ H.zeros(0, 3)).tolist() == [[0.0] * 3] * 2
    assert H.nonzero(e).shape == (0, 1) and H.zeros(0).tolist() == [] and len(H.zeros(0, 3)) == 0


def test_zero_dims():
    s = H.tensor(3.0)
    assert (
        s.shape == ()
        and s.dim() == 0
        and s.numel() == 1
        and s.item() == 3
        and s.sum().item() == 3
        and s.max().item() == 3
    )
    assert s.sum(0).item() == 3 and s.max(-1).values.item() == 3 and s.argmax(0).item() == 0 and s.cumsum(0).item() == 3
    assert (
        s.unsqueeze(0).shape == (1,) and s.reshape(1, 1).shape == (1, 1) and s.expand(2, 2).tolist() == [[3, 3], [3, 3]]
    )
    assert (
        s.t().item() == 3
        and s.T.shape == ()
        and s.flatten().shape == (1,)
        and s.view(-1).shape == (1,)
        and s.repeat(2).tolist() == [3, 3]
    )
    assert (
        (s * s).shape == ()
        and s.softmax(0).item() == 1
        and s[()].item() == 3
        and s[None].shape == (1,)
        and s[...].item() == 3
    )
    assert H.stack([s, s]).tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="zero-dimensional tensor .* cannot be concatenated"):
        H.cat([s, s])
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(s).__next__()
    with pytest.raises(TypeError, match="len\\(\\) of a 0-d tensor"):
        len(s)


# The meta device: shapes without numbers ----------------------------------------------------------------------------
META = "add mul exp sum max:dim softmax mm bmm matmul F.linear F.conv2d reshape permute cat stack".split()
META += "where gather cumsum std sort".split()


@pytest.mark.parametrize("name", META)
def test_meta(name):
    op = next(o for o in OPS if o.id == name)
    for sample in op.calls("float32"):
        real = flat(run(op, H, sample))
        args, kwargs = sample.map(lambda a: a.to(H).to("meta"))
        for want, got in zip(real, flat(op.function(H)(*args, **kwargs)), strict=True):
            assert got.device.type == "meta" and got.shape == want.shape and got.dtype == want.dtype


def test_meta_has_no_numbers():
    m = H.empty(1000, 1000, 1000, 1000, device="meta")
    assert (m * 2).shape == m.shape and m.is_meta
    for wrong in (lambda: m.cpu(), lambda: m[0, 0, 0, 0].item(), lambda: m.numpy(), lambda: m.tolist()):
        with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
            wrong()
    x = H.ones(3)
    for wrong in (
        lambda: x * m[0, 0, 0, :3],
        lambda: m[0, 0, :3, :3] @ H.ones(3, 3),
        lambda: H.addmm(x, H.ones(3, 3), H.empty(3, 3, device="meta")),
    ):
        if OURS:
            with pytest.raises(RuntimeError, match="on (different|the same|the expected) device|Expected all tensors"):
                wrong()


def test_sizes_that_cannot_be():
    for wrong in (lambda: H.zeros(-1), lambda: H.empty(2, -3), lambda: H.ones(2).expand(-2, 2)):
        with pytest.raises(RuntimeError):
            wrong()
    for wrong in (
        lambda: H.empty(2**62, 2**62),
        lambda: H.zeros(2**62),
        lambda: H.zeros(2**45),
        lambda: H.empty(2**31, 2**31, 2**31),
    ):
        with pytest.raises((RuntimeError, MemoryError, OverflowError)):
            wrong()
    with pytest.raises((TypeError, RuntimeError)):
        H.zeros(2.5)
    with pytest.raises((TypeError, RuntimeError, OverflowError)):
        H.zeros(2**70)
    x = H.ones(2, 3)
    for wrong in (
        lambda: x.repeat(2**62, 4),
        lambda: x.tile((2**63 - 1, 5)),
        lambda: x.new_empty(2, 2**62, 3),
        lambda: x.split([2**62, 2**62, 2**62, 2**62 + 3], 1),
        lambda: H.nn.functional.adaptive_avg_pool1d(x, 2**50),
        lambda: H.nn.functional.adaptive_max_pool2d(x[None], 2**31),
        lambda: H.zeros(0, 3).chunk(2**33),
    ):
        with pytest.raises((RuntimeError, MemoryError)):
            wrong()
    assert [len(part) for part in x.chunk(2**63 - 1)] == [1, 1]
    assert [len(part) for part in x.split(2**63 - 1)] == [2]
    assert H.empty(0, 2**62, 8).contiguous().shape == (0, 2**62, 8)
    assert H.zeros(2).tolist() == [0, 0]


@pytest.mark.skipif(not OURS, reason="torch goes beyond 64 dimensions in some ops")
def test_more_dimensions_than_64():
    """The 65th dimension is an error wherever it would come from, and 64 of them work."""
    x = H.ones([1] * 64)
    assert (x.transpose(0, 63) + x).sum().item() == 2
    for grown in (
        lambda: H.ones([1] * 65),
        lambda: x.unsqueeze(0),
        lambda: x[None],
        lambda: H.stack([x, x]),
        lambda: x.expand([2] + [1] * 64),
        lambda: x.view([1] * 65),
        lambda: x.reshape([1] * 70),
        lambda: H.tensordot(x, x, dims=0),
        lambda: H.tensordot(H.ones([1] * 62).expand([2] * 62), H.ones([1] * 62).expand([2] * 62), dims=57),
        lambda: H.ones([1] * 40).repeat([1] * 40),
    ):
        with pytest.raises(RuntimeError, match="more than 64 dimensions"):
            grown()


def test_minus_and_bool():
    """a - b refuses bool on either side, and adding truth values scales by whether alpha is 0."""
    x, mask = H.ones(2), H.tensor([True, False])
    for minus in (
        lambda: x - mask,
        lambda: mask - x,
        lambda: x - True,
        lambda: 1 - mask,
        lambda: H.sub(x, mask, alpha=2),
        lambda: H.rsub(mask, x),
        lambda: x.sub_(mask),
        lambda: H.nn.functional.tanhshrink(mask),
    ):
        with pytest.raises(RuntimeError, match="Subtraction, the `-` operator, with a bool tensor is not supported"):
            minus()
    for minus in (lambda: mask - mask, lambda: mask - True, lambda: H.sub(mask, mask, alpha=2)):
        with pytest.raises(RuntimeError, match="with two bool tensors is not supported"):
            minus()
    assert H.add(mask, mask, alpha=2).tolist() == [True, False]
    assert H.add(mask, ~mask, alpha=False).tolist() == [True, False]
    with pytest.raises(RuntimeError, match="Boolean alpha only supported for Boolean results"):
        H.add(x, x, alpha=True)


# Layout of results --------------------------------------------------------------------------------------------------
@pytest.mark.skipif(torch is None, reason="compares with torch")
@pytest.mark.parametrize("name", ["exp", "neg", "add", "mul", "where", "eq", "clone", "relu", "abs"])
def test_results_keep_the_layout(name):
    """An element-wise result lies in memory as its operands do, as torch's does."""

    def strides(module):
        x = module.zeros(4, 3, 2).permute(2, 0, 1)
        y = module.zeros(2, 4, 3)
        f = getattr(module, name)
        if name == "where":
            calls = [lambda a, b: f(a > 0, a, b)]
        elif name in ("add", "mul", "eq"):
            calls = [f]
        else:
            calls = [lambda a, b: f(a)]
        return [
            c(a, b).stride() for c in calls for a, b in [(x, x), (x, y), (y, y), (x, y[:, :1]), (x[:, ::2], x[:, ::2])]
        ]

    assert [tuple(s) for s in strides(H)] == [tuple(s) for s in strides(torch)]


def test_memory_formats():
    """channels_last is an order of strides: the numbers and their gradients stay, and what has it already is kept."""
    x, last = counting(2, 3, 4, 5).requires_grad_(), H.channels_last
    y = x.contiguous(memory_format=last)
    assert y.contiguous(memory_format=last) is y and y.to(memory_format=last) is y and x.contiguous() is x
    made = [
        y,
        x.clone(memory_format=last),
        x.to(memory_format=last),
        x.to(H.float64, memory_format=last),
        x.half(memory_format=last),
        H.zeros_like(x, memory_format=last),
        H.ones_like(y),
        H.rand_like(y, dtype=H.float64),
        H.empty(2, 3, 4, 5, memory_format=last),
        H.empty(0).resize_((2, 3, 4, 5), memory_format=last),
        H.empty(0).resize_as_(y, memory_format=H.preserve_format),
        H.nn.functional.max_pool2d(y, 1),
        H.nn.functional.interpolate(y, scale_factor=1.0, mode="bilinear"),
    ]
    for t in made:
        assert tuple(t.stride()) == (60, 1, 15, 3)
        assert t.is_contiguous(memory_format=last) and not t.is_contiguous()
    assert tuple(H.empty_like(y, memory_format=H.contiguous_format).stride()) == (60, 20, 5, 1)
    for t in made[:4]:
        assert_same(t.float(), x)
    (y * y).sum().backward()
    assert_same(x.grad, 2 * x)
    z = counting(2, 3, 2, 2, 2).contiguous(memory_format=H.channels_last_3d)
    assert tuple(z.stride()) == (24, 1, 12, 6, 3)
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        z.contiguous(memory_format=last)
    with pytest.raises(RuntimeError, match="preserve memory format is unsupported by the contiguous operator"):
        y.contiguous(memory_format=H.preserve_format)


def test_parts_of_complex_numbers_are_views():
    """Writing to .real and .imag writes to the number, and gradients know."""
    z = H.zeros(3, dtype=H.complex64)
    z.real.copy_(H.tensor([1.0, 2.0, 3.0]))
    z.imag[1] = 5
    assert z.tolist() == [1, 2 + 5j, 3] and tuple(z.imag.stride()) == (2,)
    w = H.ones(3, dtype=H.complex64).requires_grad_()
    v = w * 2j
    v.imag.mul_(3)
    v.real[1] = 7
    (v.real + v.imag).sum().backward()  # of w = a + bi: -2b, but for one, + 6a
    assert w.grad.tolist() == [6 - 2j, 6, 6 - 2j]
    pairs = H.ones(2, 2, requires_grad=True)
    u = pairs * 1
    H.view_as_complex(u).mul_(2 + 1j)  # (a, b) to (2a - b, a + 2b)
    (u * H.tensor([[1.0, 0.0], [0.0, 1.0]])).sum().backward()
    assert pairs.grad.tolist() == [[2, -1], [1, 2]]
