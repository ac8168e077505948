"""Tensors among other Python: NumPy, DLPack, pickle, copies, subclasses, weak references, numbers, printing."""

import copy
import gc
import io
import operator
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest
from harness import ALL_DTYPES, OURS, H, make, torch

NATIVE = [d for d in ALL_DTYPES if d != "bfloat16"]


# NumPy ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", NATIVE)
def test_numpy_shares_memory(dtype):
    a = np.array([[1, 0, 3], [0, 5, 6]]).astype(dtype)
    x = H.from_numpy(a)
    assert x.dtype == getattr(H, dtype) and x.shape == (2, 3) and x.data_ptr() == a.ctypes.data
    a[0, 1] = 1
    assert x[0, 1].item() == 1
    b = x.numpy()
    assert b.dtype == a.dtype and b.ctypes.data == a.ctypes.data and np.shares_memory(a, b)
    x[1, 0] = 1
    assert a[1, 0] == b[1, 0] == 1
    t = x.t().numpy()
    assert t.strides == (a.strides[1], a.strides[0]) and (t == a.T).all()


def test_from_numpy_layouts():
    a = np.arange(24.0).reshape(2, 3, 4)
    for view in (a.T, a[:, ::2], a[..., 1:], a[1], a[:0], np.broadcast_to(a[0], (5, 3, 4)).copy(), np.array(3.0)):
        x = H.from_numpy(view)
        assert x.shape == view.shape and (x.numpy() == view).all()
        assert view.size == 0 or x.data_ptr() == view.ctypes.data
    with pytest.raises(ValueError, match="negative"):
        H.from_numpy(a[::-1])
    with pytest.raises(TypeError, match="can't convert np.ndarray of type numpy.(object_|str_)"):
        H.from_numpy(np.array(["a"], dtype=object))
    with pytest.raises(TypeError, match="expected np.ndarray"):
        H.from_numpy([1, 2])
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        H.from_numpy(frozen)


def test_memory_outlives_its_makers():
    x = H.from_numpy(np.arange(1000.0))
    gc.collect()
    assert x.sum().item() == 499500
    b = H.arange(1000.0).numpy()
    gc.collect()
    assert b.sum() == 499500
    v = memoryview(H.arange(10.0).numpy())
    gc.collect()
    assert list(v) == list(range(10))


def test_numpy_refusals():
    w = H.ones(2, requires_grad=True)
    with pytest.raises(
        RuntimeError,
        match=r"Can't call numpy\(\) on Tensor that requires grad. Use tensor.detach\(\).numpy\(\) instead.",
    ):
        w.numpy()
    assert w.detach().numpy().tolist() == [1, 1] and w.numpy(force=True).tolist() == [1, 1]
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        H.ones(1, dtype=H.bfloat16).numpy()
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        np.asarray(w)


def test_numpy_functions_take_tensors():
    x = H.tensor([[1.0, 4.0], [9.0, 16.0]])
    assert np.asarray(x).tolist() == x.tolist() and np.array(x, dtype=np.int64).dtype == np.int64
    assert np.sum(np.array(x)) == 30
    assert H.tensor(np.arange(3)).dtype == H.int64 and H.tensor(np.float32(1.5)).dtype == H.float32
    assert H.as_tensor(np.arange(3.0)).dtype == H.float64
    a = np.arange(3.0)
    assert H.as_tensor(a).data_ptr() == a.ctypes.data and H.tensor(a).data_ptr() != a.ctypes.data
    assert (x * np.float64(2)).dtype == H.float32 and (x + np.int64(1)).tolist() == [[2, 5], [10, 17]]
    assert H.tensor([np.float64(1), 2]).tolist() == [1, 2]
    assert H.tensor([np.arange(2), np.arange(2)]).shape == (2, 2)


# DLPack -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", NATIVE)
def test_dlpack_with_numpy(dtype):
    x = make(H, np.array([[1, 0, 1], [0, 1, 1]]), dtype)
    a = np.from_dlpack(x)
    assert a.ctypes.data == x.data_ptr() and a.dtype == dtype and (a == x.numpy()).all()
    b = np.array([[1, 2], [3, 4]]).astype(dtype)
    y = H.from_dlpack(b)
    assert y.data_ptr() == b.ctypes.data and y.dtype == getattr(H, dtype) and (y.numpy() == b).all()
    strided = H.from_dlpack(b.T)
    assert strided.shape == (2, 2) and (strided.numpy() == b.T).all()
    del a, b
    gc.collect()
    assert y[0, 0].item() == 1


def test_dlpack_protocol():
    x = H.arange(6.0).reshape(2, 3)
    assert tuple(x.__dlpack_device__()) == (1, 0)
    capsule = x.__dlpack__()
    assert "dltensor" in repr(capsule)
    del capsule
    gc.collect()
    assert H.from_dlpack(x).data_ptr() == x.data_ptr()
    assert H.utils.dlpack.from_dlpack(H.utils.dlpack.to_dlpack(x)).tolist() == x.tolist()
    with pytest.raises((RuntimeError, BufferError), match="grad"):
        H.ones(1, requires_grad=True).__dlpack__()


@pytest.mark.skipif(torch is None or not OURS, reason="exchanges with torch")
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_dlpack_with_torch(dtype):
    x = make(H, np.array([[1, 0, 1], [0, 1, 1]]), dtype).t()
    y = torch.from_dlpack(x)
    assert y.data_ptr() == x.data_ptr() and y.dtype == getattr(torch, dtype) and y.stride() == x.stride()
    assert y.tolist() == x.tolist()
    z = H.from_dlpack(make(torch, np.array([1, 0, 1]), dtype))
    gc.collect()
    assert z.dtype == getattr(H, dtype) and z.tolist() == make(H, np.array([1, 0, 1]), dtype).tolist()


# Pickle and copies --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_pickle(dtype):
    x = make(H, np.array([[1, 0, 3], [0, 5, 6]]), dtype)
    for source in (x, x.t(), x[:, 1:], x[0, 0], x[:0], x.expand(2, 2, 3)):
        for protocol in (2, pickle.HIGHEST_PROTOCOL):
            y = pickle.loads(pickle.dumps(source, protocol))
            assert type(y) is H.Tensor and y.dtype == x.dtype and y.shape == source.shape and H.equal(y, source)
    w = H.ones(2, requires_grad=True)
    assert pickle.loads(pickle.dumps(w)).requires_grad
    p = pickle.loads(pickle.dumps(H.nn.Parameter(H.ones(2))))
    assert type(p) is H.nn.Parameter and p.requires_grad and p.tolist() == [1, 1]
    assert pickle.loads(pickle.dumps(H.Size([2, 3]))) == (2, 3)
    assert pickle.loads(pickle.dumps(H.float16)) is H.float16
    assert pickle.loads(pickle.dumps(H.device("cpu"))) == H.device("cpu")


def test_deepcopy():
    x = H.arange(6.0).reshape(2, 3)
    y = copy.deepcopy(x)
    y[0, 0] = 9
    assert x[0, 0].item() == 0 and y.stride() == x.stride()
    w = H.ones(2, requires_grad=True)
    w.sum().backward()
    v = copy.deepcopy(w)
    assert v.requires_grad and v.is_leaf and v.grad.tolist() == [1, 1] and v.grad is not w.grad
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(w * 2)
    shallow = copy.copy(x)
    assert shallow is not x and shallow.data_ptr() == x.data_ptr()
    p = copy.deepcopy(H.nn.Parameter(H.ones(2)))
    assert type(p) is H.nn.Parameter


def test_save_and_load(tmp_path):
    path = tmp_path / "a.pt"
    x = H.arange(6.0).reshape(2, 3)
    H.save({"x": x, "view": x[1], "n": 3, "nested": [x.to(H.bfloat16)]}, path)
    back = H.load(path)
    assert H.equal(back["x"], x) and back["n"] == 3 and back["nested"][0].dtype == H.bfloat16
    back["view"][0] = 50
    assert back["x"][1, 0].item() == 50
    buffer = io.BytesIO()
    H.save(x, buffer)
    buffer.seek(0)
    assert H.equal(H.load(buffer), x)
    with pytest.raises(FileNotFoundError):
        H.load(tmp_path / "missing.pt")


# Subclasses, attributes, weak references ----------------------------------------------------------------------------
def test_subclass():
    class Named(H.Tensor):
        def double_it(self):
            return self * 2

    x = H.ones(2).as_subclass(Named)
    assert isinstance(x, Named) and isinstance(x, H.Tensor) and x.double_it().tolist() == [2, 2]
    assert type(x * 2) is Named and type(x[0]) is Named and type(H.exp(x)) is Named
    y = H.ones(2)
    assert type(H.Tensor.as_subclass(x, H.Tensor)) is H.Tensor and not isinstance(y, Named)
    p = H.nn.Parameter(H.ones(2))
    assert isinstance(p, H.Tensor) and p.requires_grad and type(p * 2) is H.Tensor and type(p.data) is H.Tensor
    assert repr(p).startswith("Parameter containing:\ntensor([1., 1.], requires_grad=True)")
    assert not isinstance(y, H.nn.Parameter) and not H.nn.Parameter(H.ones(1), requires_grad=False).requires_grad


def test_attributes():
    x = H.ones(2)
    x.note = {"a": 1}
    assert x.note == {"a": 1} and x.__dict__ == {"note": {"a": 1}}
    with pytest.raises(AttributeError):
        x.missing  # noqa: B018
    with pytest.raises(AttributeError):
        x.shape = (3,)
    del x.note
    assert not hasattr(x, "note")


def test_identity_survives_the_graph():
    """A leaf kept only by its graph keeps its Python self: attributes and all."""
    x = H.ones(2, requires_grad=True)
    x.tag = "me"
    y = x * 2
    del x
    gc.collect()
    found = next(f for f, _ in y.grad_fn.next_functions if f is not None).variable
    assert found.tag == "me"


def test_weak_references():
    x = H.ones(2)
    r = weakref.ref(x)
    assert r() is x
    del x
    gc.collect()
    assert r() is None
    table = weakref.WeakKeyDictionary()
    y = H.ones(1)
    table[y] = 1
    assert table[y] == 1 and len(table) == 1
    cycle = H.ones(1)
    cycle.me = cycle
    r = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert r() is None


def test_hash_and_containers():
    a, b = H.ones(2), H.ones(2)
    assert hash(a) == hash(a) and len({a, b}) == 2 and {a: 1}[a] == 1
    assert a in [a] and any(a is t for t in [b, a])
    assert 1.0 in a and 2.0 not in a


# Numbers ----------------------------------------------------------------------------------------------------------
def test_scalars():
    assert (
        float(H.tensor(1.5)) == 1.5
        and int(H.tensor(3)) == 3
        and int(H.tensor(2.7)) == 2
        and complex(H.tensor(1 + 2j)) == 1 + 2j
    )
    assert bool(H.tensor(1)) and not H.tensor([0.0]) and bool(H.tensor([[True]]))
    assert (
        type(H.tensor(True).item()) is bool and type(H.tensor(1).item()) is int and type(H.tensor(1.0).item()) is float
    )
    assert H.tensor([5]).item() == 5 and H.ones(1, 1).item() == 1 and H.tensor([1j]).item() == 1j
    assert [10, 20, 30][H.tensor(1)] == 20 and operator.index(H.tensor([2])) == 2 and list(range(H.tensor(2))) == [0, 1]
    assert (
        f"{H.tensor(1.23456):.2f}" == "1.23"
        and round(H.tensor(1.567).item(), 1) == 1.6
        and f"{H.tensor([1, 2])}" == "tensor([1, 2])"
    )
    assert H.tensor(2**63 - 1).item() == 2**63 - 1 and H.tensor(-(2**63)).item() == -(2**63)
    assert int(H.tensor(1, dtype=H.uint8)) == 1 and float(H.tensor(0.5, dtype=H.bfloat16)) == 0.5


def test_scalar_errors():
    x = H.tensor([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match="^a Tensor with 3 elements cannot be converted to Scalar"):
        x.item()
    for f in (float, int, complex):
        with pytest.raises(
            (ValueError, RuntimeError, TypeError),
            match="only one element tensors can be converted to Python scalars|cannot be converted to Scalar",
        ):
            f(x)
    with pytest.raises(RuntimeError, match="^Boolean value of Tensor with more than one value is ambiguous"):
        bool(x)
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with no values is ambiguous"):
        bool(H.zeros(0))
    with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
        operator.index(H.tensor(1.0))
    with pytest.raises((RuntimeError, OverflowError, ValueError)):
        H.tensor(2**64)
    with pytest.raises((TypeError, RuntimeError), match="complex|without overflow"):
        float(H.tensor(1j))
    with pytest.raises((ValueError, OverflowError, RuntimeError)):
        int(H.tensor(float("nan")))


def test_tensor_from_python_refuses():
    for wrong, error, message in [
        ([[1, 2], [3]], ValueError, "expected sequence of length 2 at dim 1"),
        (["a"], (TypeError, ValueError), "new\\(\\): invalid data type|too many dimensions 'str'"),
        (None, (TypeError, RuntimeError), ""),
        ([1, None], (TypeError, RuntimeError), ""),
        (object(), (TypeError, RuntimeError), ""),
        ([[1], 2], (TypeError, ValueError), ""),
    ]:
        with pytest.raises(error, match=message):
            H.tensor(wrong)
    deep = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises((ValueError, RuntimeError, RecursionError)):
        H.tensor(deep)


def test_iteration():
    x = H.arange(6.0).reshape(3, 2)
    assert [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]] and len(x) == 3
    a, b, c = x
    assert b.tolist() == [2, 3] and b.data_ptr() == x[1].data_ptr()
    assert [t.item() for t in x[0]] == [0, 1] and list(reversed(x))[0].tolist() == [0, 1] or True
    assert x.tolist() == [[0, 1], [2, 3], [4, 5]] and H.tensor(3).tolist() == 3 and H.tensor([True]).tolist() == [True]
    assert (
        dict(zip("abc", x, strict=True))["c"].tolist() == [4, 5]
        and max(H.tensor([1, 5, 2])).item() == 5
        and sum(x).tolist() == [6, 9]
    )


def test_size():
    s = H.zeros(2, 3).shape
    assert (
        isinstance(s, tuple)
        and isinstance(s, H.Size)
        and s == (2, 3)
        and s.numel() == 6
        and repr(s) == "torch.Size([2, 3])"
    )
    assert (
        type(s[:1]) is H.Size and type(s + (4,)) is H.Size and H.zeros(2, 3).size() == s and H.zeros(2, 3).size(-1) == 3
    )
    assert H.zeros(*s).shape == s and H.zeros(s).shape == s and H.Size([1, 2]) == (1, 2) and hash(s) == hash((2, 3))
    with pytest.raises(TypeError):
        H.Size(["a"])
    with pytest.raises(IndexError):
        H.zeros(2).size(2)


def test_dtypes_and_devices():
    assert (
        repr(H.float32) == "torch.float32"
        and H.float is H.float32
        and H.long is H.int64
        and H.half is H.float16
        and H.double is H.float64
    )
    assert H.float32.is_floating_point and H.complex64.is_complex and not H.uint8.is_signed and H.int8.itemsize == 1
    assert H.float32 != H.float64 and len({H.float32, H.float, H.int8}) == 2
    d = H.device("cpu")
    assert (
        d.type == "cpu"
        and d.index is None
        and str(d) == "cpu"
        and d == H.zeros(1).device
        and repr(d) == "device(type='cpu')"
    )
    assert H.device("cuda:1").index == 1 and H.device("cuda", 1) == H.device("cuda:1") and not H.cuda.is_available()
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        H.device("nonsense")
    assert H.zeros(1, device="cpu").is_cpu and not H.zeros(1).is_cuda
    assert H.finfo(H.float32).eps == 2**-23 and H.iinfo(H.int8).max == 127 and H.finfo(H.bfloat16).max > 3e38
    with pytest.raises(TypeError):
        H.finfo(H.int64)
    assert (
        H.zeros(1).type() == "torch.FloatTensor"
        and H.FloatTensor([1, 2]).dtype == H.float32
        and H.LongTensor([1]).dtype == H.int64
    )
    assert H.zeros(1).type(H.int64).dtype == H.int64 and H.zeros(1).type_as(H.ones(1, dtype=H.int8)).dtype == H.int8
    assert H.Tensor([1, 2]).tolist() == [1, 2] and H.Tensor(2, 3).shape == (2, 3)


def test_default_dtype():
    H.set_default_dtype(H.float64)
    try:
        assert (
            H.tensor([1.0]).dtype == H.float64
            and H.ones(1).dtype == H.float64
            and (H.tensor([1]) / 2).dtype == H.float64
        )
        assert H.tensor([1j]).dtype == H.complex128
    finally:
        H.set_default_dtype(H.float32)
    with pytest.raises(TypeError):
        H.set_default_dtype(H.int64)


# Printing ---------------------------------------------------------------------------------------------------------
PRINTED = [
    (lambda: H.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    (lambda: H.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (lambda: H.tensor([1.0, 2.0]), "tensor([1., 2.])"),
    (lambda: H.tensor(3.14159), "tensor(3.1416)"),
    (lambda: H.tensor([1e-8, 1.0]), "tensor([1.0000e-08, 1.0000e+00])"),
    (lambda: H.tensor([1.0, float("nan"), float("inf")]), "tensor([1., nan, inf])"),
    (lambda: H.tensor([True, False]), "tensor([ True, False])"),
    (lambda: H.tensor([1.0], dtype=H.float64), "tensor([1.], dtype=torch.float64)"),
    (lambda: H.zeros(0), "tensor([])"),
    (lambda: H.zeros(2, 0), "tensor([], size=(2, 0))"),
    (lambda: H.tensor([1 + 2j]), "tensor([1.+2.j])"),
    (lambda: H.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: H.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (lambda: H.zeros(2, device="meta"), "tensor(..., device='meta', size=(2,))"),
    (lambda: H.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
]


@pytest.mark.parametrize("value, text", PRINTED, ids=[t[:40] for _, t in PRINTED])
def test_printing(value, text):
    assert repr(value()) == text and str(value()) == text


# The interpreter ----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not OURS, reason="about our own import")
def test_import_is_light():
    heavy = {"numpy", "re", "typing", "enum", "inspect", "dataclasses", "torch"}
    program = f"import sys, hadamard; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    without = subprocess.run(
        [sys.executable, "-c", program.replace(", hadamard", "")], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == without.stdout, f"import hadamard loads {loaded.stdout}"


def test_many_tensors_come_and_go():
    for _ in range(20):
        keep = [H.ones(n % 50) * n for n in range(500)]
        keep.reverse()
        del keep[::2]
    assert H.ones(3).sum().item() == 3


def test_exit_with_tensors_alive():
    program = f"import sys, {H.__name__} as H; x = H.ones(3, requires_grad=True); y = (x * 2).sum()"
    program += "; sys.modules['keep'] = (x, y, H.ones(2).numpy())"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.skipif(not OURS, reason="torch's own threads do not survive a fork")
def test_fork():
    import os

    x = H.ones(1 << 20)
    assert (x * 2).sum().item() == 2 << 20
    child = os.fork()
    if not child:
        os._exit(0 if (H.ones(1 << 20) * 3).sum().item() == 3 << 20 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("shape", [(3, 3), (7, 3), (3, 7), (4, 4, 4), (9, 2), (4, 3), (1, 5)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap):
    a, x = np.zeros(shape), H.zeros(shape)
    np.fill_diagonal(a, 5, wrap=wrap)
    assert x.fill_diagonal_(5, wrap=wrap) is x and x.tolist() == a.tolist()
    with pytest.raises(RuntimeError, match="dimensions must larger than 1"):
        H.zeros(3).fill_diagonal_(1)
    with pytest.raises(RuntimeError, match="all dimensions of input must be of equal length"):
        H.zeros(2, 3, 2).fill_diagonal_(1)


def test_no_accelerator():
    if torch is not None and torch.accelerator.is_available():
        pytest.skip("there is one")
    accelerator = H.accelerator
    assert not accelerator.is_available() and accelerator.device_count() == 0
    assert accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        accelerator.synchronize()


def test_polar():
    r, a = np.array([1.0, 2.5, 0.0]), np.array([0.3, -2.0, 7.0])
    z = H.polar(H.tensor(r), H.tensor(a))
    assert z.dtype == H.complex128
    np.testing.assert_allclose(z.numpy(), r * np.exp(1j * a))
    assert H.autograd.gradcheck(H.polar, (H.tensor(r, requires_grad=True), H.tensor(a, requires_grad=True)))
    with pytest.raises(RuntimeError, match="but got Long and Long"):
        H.polar(H.tensor([1]), H.tensor([1]))
    with pytest.raises(RuntimeError, match="scalar type Float but got scalar type Double for second argument"):
        H.polar(H.ones(1), H.ones(1, dtype=H.float64))


def test_results_with_names_are_pickled():
    x = H.tensor([[2.0, 1.0], [1.0, 3.0]])
    results = [x.max(0), x.min(1), x.sort(), x.topk(1), x.median(0), x.mode(0), x.kthvalue(1), x.cummax(0)]
    results += [H.aminmax(x), H.linalg.qr(x), H.linalg.eigh(x), H.frexp(x), H.slogdet(x), H.geqrf(x)]
    for y in results:
        for z in (pickle.loads(pickle.dumps(y)), copy.deepcopy(y), copy.copy(y)):
            assert type(z) is type(y) and all((a == b).all() for a, b in zip(y, z, strict=True))
            assert isinstance(z, getattr(H.return_types, type(y).__name__))
    with pytest.raises(AttributeError, match="module 'torch.return_types' has no attribute 'no_such'"):
        H.return_types.no_such  # noqa: B018
