"""Other libraries' functions on our tensors: NumPy's protocols, buffers, DLPack, einops, opt_einsum, scikit-learn …"""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest
from harness import OURS, H

pytestmark = pytest.mark.skipif(not OURS, reason="what other libraries do with Hadamard's tensors")


def pair(requires_grad=True):
    a = np.array([[1.5, 2.0, -0.5], [0.25, 4.0, 1.0]])
    return H.tensor(a, requires_grad=requires_grad), a


# NumPy's ufuncs and functions ---------------------------------------------------------------------------------------
UFUNCS = (
    "add subtract multiply divide floor_divide remainder fmod power float_power maximum minimum fmax fmin hypot "
    "arctan2 copysign logaddexp logaddexp2 heaviside nextafter greater less_equal equal not_equal "
    "logical_and logical_xor"
).split()
UNARY = (
    "negative positive absolute fabs rint sign exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal sin cos tan "
    "sinh cosh tanh arctan arcsinh deg2rad rad2deg radians degrees floor ceil trunc isfinite isinf isnan signbit "
    "logical_not conjugate cbrt spacing"
).split()


@pytest.mark.parametrize("name", UFUNCS)
def test_binary_ufuncs(name):
    t, a = pair(False)
    b = np.array([2.0, 0.5, 3.0])
    a, t = np.abs(a), t.abs()
    f = getattr(np, name)
    for got, want in ((f(t, b), f(a, b)), (f(b, t), f(b, a)), (f(t, 2.0), f(a, 2.0)), (f(2.0, t), f(2.0, a))):
        assert type(got) is H.Tensor
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-14)


@pytest.mark.parametrize("name", UNARY)
def test_unary_ufuncs(name):
    t, a = pair(False)
    f = getattr(np, name)
    with np.errstate(invalid="ignore"):
        got, want = f(t), f(a)
    assert type(got) is H.Tensor
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-13)


B = np.linspace(-1, 2, 6).reshape(2, 3)
FUNCTIONS = {
    "multiply": lambda x: np.multiply(x, B),
    "array *": lambda x: B * x,
    "array @": lambda x: B.T @ x,
    "@ array": lambda x: x @ B.T,
    "scalar": lambda x: np.float64(0.1) * x - np.int64(2),
    "matmul": lambda x: np.matmul(x, B.T),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, B),
    "einsum lists": lambda x: np.einsum(x, [0, 1], B, [2, 1], [2, 0]),
    "exp": np.exp,
    "dot": lambda x: np.dot(x, B.T),
    "vdot": lambda x: np.vdot(x, B),
    "inner": lambda x: np.inner(x, B),
    "outer": lambda x: np.outer(x, B[0]),
    "multiply.outer": lambda x: np.multiply.outer(x, B[0]),
    "kron": lambda x: np.kron(x, B),
    "tensordot": lambda x: np.tensordot(x, B, axes=([0], [0])),
    "cross": lambda x: np.cross(x, B),
    "sum": lambda x: np.sum(x, axis=0, keepdims=True),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.accumulate": lambda x: np.add.accumulate(x, 1),
    "prod": lambda x: np.prod(x, axis=(0, 1)),
    "mean": lambda x: np.mean(x, axis=1),
    "std": lambda x: np.std(x, axis=1),
    "var": lambda x: np.var(x, ddof=1),
    "max": lambda x: np.max(x, axis=0),
    "min": np.min,
    "cumsum": np.cumsum,
    "concatenate": lambda x: np.concatenate([x, B], axis=1),
    "stack": lambda x: np.stack([x, B], axis=-1),
    "vstack": lambda x: np.vstack([x, B]),
    "hstack": lambda x: np.hstack([B, x]),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "flip": np.flip,
    "roll": lambda x: np.roll(x, 2, axis=1),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "where": lambda x: np.where(B > 0, x, B),
    "clip": lambda x: np.clip(x, 0.1, 1.7),
    "sort": lambda x: np.sort(x, axis=0),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "trace": np.trace,
    "tril": np.tril,
    "diagonal": np.diagonal,
    "norm": np.linalg.norm,
    "norm axis": lambda x: np.linalg.norm(x, ord=1, axis=1),
    "det": lambda x: np.linalg.det(x[:, :2]),
    "inv": lambda x: np.linalg.inv(x[:, :2]),
    "solve": lambda x: np.linalg.solve(x[:, :2], B),
    "svdvals": lambda x: np.linalg.svdvals(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_functions_and_gradients(name):
    """Values against NumPy's own, gradients against finite differences."""
    f = FUNCTIONS[name]
    t, a = pair()
    y = f(t)
    assert type(y) is H.Tensor and y.requires_grad, name
    np.testing.assert_allclose(y.detach().numpy(), f(a), rtol=1e-12, atol=1e-14)
    assert H.autograd.gradcheck(f, (t,))


def test_numpy_functions_that_answer_questions():
    t, a = pair(False)
    for f in (np.argmax, np.argsort, np.shape, np.ndim, np.size, np.count_nonzero, np.all, np.isfinite):
        np.testing.assert_array_equal(np.asarray(f(t)), f(a))
    assert np.allclose(t, a) and np.array_equal(t, a) and not np.allclose(t, a + 1)
    assert np.zeros_like(t).dtype == H.float64 and np.full_like(t, 3, dtype=np.int32).dtype == H.int32
    assert np.mean(H.arange(4)).item() == 1.5 and np.std(H.arange(4)).dtype == H.float64


def test_out_and_dtype():
    t, a = pair(False)
    out = np.empty_like(a)
    assert np.multiply(t, 2, out=out) is out and (out == a * 2).all()
    into = H.empty(2, 3, dtype=H.float64)
    assert np.add(a, 1, out=into) is into and into.tolist() == (a + 1).tolist()
    b = a.copy()
    b *= t
    assert type(b) is np.ndarray and (b == a * a).all()
    assert np.add(t, a, dtype=np.float32).dtype == H.float32
    w, _ = pair()
    with pytest.raises(RuntimeError, match="requires grad"):
        np.multiply(w, 2, out=out)


def test_what_only_numpy_has():
    t, a = pair(False)
    got = np.median(t, axis=1)
    assert type(got) is np.ndarray and (got == np.median(a, axis=1)).all()
    assert [x.tolist() for x in np.divmod(t, 0.5)] == [x.tolist() for x in np.divmod(a, 0.5)]
    assert (np.sum(t, where=a > 0) == np.sum(a, where=a > 0)).item()
    wide = np.add(H.tensor([1], dtype=H.uint8), np.array([1], np.uint16))
    assert type(wide) is np.ndarray and wide.dtype == np.uint16 and wide.item() == 2
    w, _ = pair()
    with pytest.raises(RuntimeError, match="requires grad"):
        np.median(w)
    np.testing.assert_allclose(t, a)
    assert np.array([H.tensor(1.0), H.tensor(2.0)]).tolist() == [1, 2]


# Buffers -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", "bool uint8 int8 int16 int32 int64 float32 float64".split())
def test_memoryview(dtype):
    x = H.tensor([[1, 0, 1], [0, 1, 1]], dtype=getattr(H, dtype))
    m = memoryview(x)
    assert m.shape == (2, 3) and m.itemsize == x.itemsize and m.nbytes == x.nbytes and not m.readonly
    assert m.tolist() == x.tolist() and np.asarray(m).dtype == dtype
    m[1, 0] = x[0, 0].item()
    assert x[1, 0].item() == 1
    t = memoryview(x.t())
    assert t.strides == (x.itemsize, 3 * x.itemsize) and t.tolist() == x.t().tolist() and not t.c_contiguous
    assert bytes(x) == x.numpy().tobytes() and bytearray(x) == bytes(x)
    view = memoryview(x[0])
    del x, m, t
    gc.collect()
    assert view.tolist() == [1, 0, 1]


def test_buffers_of_other_kinds():
    assert memoryview(H.tensor(3.5)).shape == () and memoryview(H.tensor(3.5))[()] == 3.5
    assert memoryview(H.zeros(0, 2)).nbytes == 0
    for x in H.tensor([1j]), H.tensor([0.5], dtype=H.float16):  # formats that memoryview itself cannot read
        assert np.asarray(memoryview(x)).tolist() == x.tolist() and np.asarray(x).dtype.name == repr(x.dtype)[6:]
    x = H.arange(6.0).view(2, 3)
    assert np.asarray(x).ctypes.data == x.data_ptr()
    with pytest.raises(BufferError, match="contiguous"):
        import hashlib

        hashlib.sha256(x.t())
    with pytest.raises(BufferError, match="grad"):
        memoryview(H.ones(1, requires_grad=True))
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(H.ones(1, dtype=H.bfloat16))
    with pytest.raises(BufferError, match="meta"):
        memoryview(H.ones(1, device="meta"))


# DLPack --------------------------------------------------------------------------------------------------------------
JAX = """
import hadamard as H, jax, numpy as np
jax.config.update("jax_enable_x64", True)
for dtype in "uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128 bool".split():
    x = H.tensor([[1, 0, 1], [0, 1, 1]], dtype=getattr(H, dtype))
    theirs = jax.dlpack.from_dlpack(x)
    assert theirs.dtype == dtype and theirs.tolist() == x.tolist()
    ours = H.from_dlpack(jax.numpy.asarray(np.array([[1, 0], [0, 1]]), dtype=dtype))
    assert ours.dtype is x.dtype and ours.tolist() == H.eye(2, dtype=x.dtype).tolist()
assert jax.numpy.sum(jax.numpy.asarray(np.asarray(H.ones(3)))).item() == 3
print("done")
"""


def test_dlpack_with_jax():
    pytest.importorskip("jax")
    script(JAX)


def test_dlpack_versions():
    x = H.arange(6.0).view(2, 3)
    names = {None: '"dltensor"', (0, 8): '"dltensor"', (1, 0): "dltensor_versioned", (2, 3): "dltensor_versioned"}
    for version, name in names.items():
        capsule = x.__dlpack__(max_version=version)
        assert name in repr(capsule)
        assert H.from_dlpack(capsule).data_ptr() == x.data_ptr()
        copied = x.__dlpack__(max_version=version, copy=True)
        assert H.from_dlpack(copied).data_ptr() != x.data_ptr()
    assert np.from_dlpack(x, copy=True).ctypes.data != x.data_ptr()
    assert H.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    a = np.arange(3.0)
    assert H.from_dlpack(a, copy=True).data_ptr() != a.ctypes.data == H.from_dlpack(a, copy=False).data_ptr()

    class Old:  # a producer from before versions, and before copies
        def __dlpack__(self, stream=None):
            return a.__dlpack__()

        def __dlpack_device__(self):
            return a.__dlpack_device__()

    assert H.from_dlpack(Old()).data_ptr() == a.ctypes.data != H.from_dlpack(Old(), copy=True).data_ptr()
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))
    capsule = x.__dlpack__()
    H.from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="once"):
        H.from_dlpack(capsule)


def test_tensors_of_others_as_data():
    """tensor() and as_tensor() of what has __dlpack__: a copy of it, or its memory."""

    class Theirs:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    a = np.arange(6.0).reshape(2, 3)
    assert H.as_tensor(Theirs(a)).data_ptr() == a.ctypes.data != H.tensor(Theirs(a)).data_ptr()
    assert H.tensor(Theirs(a), dtype=H.float32).dtype == H.float32 and H.tensor(Theirs(a)).tolist() == a.tolist()
    assert H.as_tensor(Theirs(np.array(2.5))).item() == 2.5
    torch = pytest.importorskip("torch")
    x = torch.arange(3.0)
    assert H.as_tensor(x).data_ptr() == x.data_ptr() and H.tensor(x, dtype=H.int64).tolist() == [0, 1, 2]
    assert torch.as_tensor(H.as_tensor(x)).data_ptr() == x.data_ptr()
    with pytest.raises(BufferError, match="detach"):
        H.tensor(torch.ones(2, requires_grad=True))


# einops, opt_einsum, safetensors, scikit-learn -----------------------------------------------------------------------
def test_einops():
    einops = pytest.importorskip("einops")
    x = H.arange(24.0, requires_grad=True).view(2, 3, 4)
    a = x.detach().numpy()
    for f in (
        lambda x: einops.rearrange(x, "b (h k) c -> b k h c", h=3),
        lambda x: einops.reduce(x, "b h (c two) -> b c", "mean", two=2),
        lambda x: einops.reduce(x, "b h c -> h", "max"),
        lambda x: einops.repeat(x, "b h c -> b (h 2) c"),
        lambda x: einops.einsum(x, x, "b h c, b k c -> b h k"),
        lambda x: einops.pack([x, x], "* c")[0],
    ):
        y = f(x)
        assert type(y) is H.Tensor and y.requires_grad
        np.testing.assert_allclose(y.detach().numpy(), f(a))
    from einops.array_api import rearrange

    assert rearrange(x, "b h c -> c (b h)").tolist() == einops.rearrange(x, "b h c -> c (b h)").tolist()


def test_opt_einsum():
    opt_einsum = pytest.importorskip("opt_einsum")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((3, 4), (4, 5), (5, 6))]
    tensors = [H.tensor(a, requires_grad=True) for a in arrays]
    y = opt_einsum.contract("ij,jk,kl->li", *tensors)
    np.testing.assert_allclose(y.detach().numpy(), np.linalg.multi_dot(arrays).T)
    y.sum().backward()
    np.testing.assert_allclose(tensors[0].grad.numpy(), np.tile((arrays[1] @ arrays[2]).sum(1), (3, 1)))
    expression = opt_einsum.contract_expression("ij,jk->ik", (3, 4), (4, 5))
    np.testing.assert_allclose(expression(*tensors[:2]).detach().numpy(), arrays[0] @ arrays[1])
    torch = sys.modules.get("torch")
    if torch is not None and torch is not H:  # and torch's own tensors go where they went
        theirs = [torch.tensor(a) for a in arrays]
        np.testing.assert_allclose(opt_einsum.contract("ij,jk,kl->li", *theirs).numpy(), y.detach().numpy())


def test_safetensors(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    state = {"w": H.arange(6.0).view(2, 3), "n": H.tensor([1, 2])}
    H.save(state, tmp_path / "x.safetensors")
    again = numpy_files.load_file(tmp_path / "x.safetensors")
    assert again["w"].tolist() == state["w"].tolist() and again["n"].dtype == np.int64
    numpy_files.save_file({"a": np.asarray(state["w"])}, tmp_path / "y.safetensors")
    assert H.equal(H.load(tmp_path / "y.safetensors")["a"], state["w"])


SKLEARN = """
import numpy as np
import hadamard as H
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler

rng = np.random.default_rng(0)
a = rng.normal(size=(60, 4)) * [1, 2, 3, 4]
b = (a @ [1.0, -2, 0.5, 0] > 0).astype(np.int64)
x, y = H.tensor(a), H.tensor(b)

def near(got, want):
    assert isinstance(got, H.Tensor), type(got)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6, atol=1e-9)

with config_context(array_api_dispatch=True):
    near(StandardScaler().fit_transform(x), StandardScaler().fit_transform(a))
    near(MinMaxScaler().fit_transform(x), MinMaxScaler().fit_transform(a))
    near(PCA(2, svd_solver="full").fit_transform(x), PCA(2, svd_solver="full").fit_transform(a))
    ridge = Ridge(solver="svd").fit(x, x[:, 0])
    near(ridge.predict(x), Ridge(solver="svd").fit(a, a[:, 0]).predict(a))
    lda = LinearDiscriminantAnalysis().fit(x, y)
    near(lda.predict(x), LinearDiscriminantAnalysis().fit(a, b).predict(a))
    assert accuracy_score(y, lda.predict(x)) > 0.8
    assert abs(mean_squared_error(x[:, 0], x[:, 1]) - mean_squared_error(a[:, 0], a[:, 1])) < 1e-9
    assert abs(r2_score(x[:, 0], x[:, 1]) - r2_score(a[:, 0], a[:, 1])) < 1e-9
print("done")
"""


def test_scikit_learn():
    pytest.importorskip("sklearn")
    script(SKLEARN, SCIPY_ARRAY_API="1")


def test_einops_layers_under_hadamard_run(tmp_path):
    """There `torch` is Hadamard, so einops' own support of torch, modules included, is what runs."""
    pytest.importorskip("einops")
    (tmp_path / "program.py").write_text(EINOPS)
    script("from hadamard.cli import main; import sys; sys.argv[1:] = ['run', 'program.py']; main()", cwd=tmp_path)


EINOPS = """
import torch
from torch import nn
from einops import rearrange
from einops.layers.torch import Rearrange, Reduce
net = nn.Sequential(Rearrange("b (c h) w -> b c h w", c=2), Reduce("b c h w -> b c", "mean"), nn.Linear(2, 3))
y = net(torch.randn(5, 4, 6))
assert y.shape == (5, 3) and type(rearrange(y, "a b -> b a")) is torch.Tensor
print("done")
"""


def script(source, cwd=None, **environment):
    """Run a program that prints "done", in a process of its own."""
    env = {**os.environ, **environment}
    env["PYTHONPATH"] = os.path.dirname(os.path.dirname(H.__file__))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=env, cwd=cwd, timeout=300)
    assert done.stdout == "done\n", done.stderr[-3000:]
