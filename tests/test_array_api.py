"""The array API standard's namespace: where it differs from torch, against NumPy, and gradients through it.

data-apis/array-api-tests is the whole check; CONTRIBUTING.md says how to run it.
"""

import copy
import math
import pickle

import numpy as np
import pytest
from harness import OURS, H

pytestmark = pytest.mark.skipif(not OURS, reason="Hadamard's own namespace")
xp = H.zeros(1).__array_namespace__() if OURS else None


def same(x, y):
    y = np.asarray(y)
    assert isinstance(x, xp.Array), type(x)
    assert tuple(x.shape) == y.shape and repr(x.dtype)[6:] == y.dtype.name, (x, y)
    np.testing.assert_allclose(np.asarray(x), y, rtol=1e-6, atol=1e-13)


def test_which_namespace():
    x = H.zeros(2)
    assert x.__array_namespace__() is x.__array_namespace__(api_version="2025.12") is H.array_api
    assert xp.__array_api_version__ == "2025.12"
    with pytest.raises(ValueError, match="2019.01"):
        x.__array_namespace__(api_version="2019.01")
    missing = [name for name in xp.__all__ if not hasattr(xp, name)]
    assert not missing
    assert not hasattr(xp, "uint16") and "uint16" not in xp.__array_namespace_info__().dtypes()
    assert set(xp.__array_namespace_info__().dtypes(kind="integral")) == {"int8", "int16", "int32", "int64", "uint8"}


def test_promotion_ignores_dimensions():
    """NumPy's arrays, 0-d ones among them, promote by dtype alone; a tensor of torch's with dimensions wins."""
    for a, b in (("float32", "float64"), ("int8", "int64"), ("float32", "complex128"), ("uint8", "int8")):
        for f in ("add", "multiply", "subtract"):
            x, y = np.ones((2, 3), a), np.array(3, b)
            mine = xp.asarray(x), xp.asarray(y)
            same(getattr(xp, f)(*mine), getattr(np, f)(x, y))
        same(mine[0] + mine[1], x + y)
        same(mine[1] * mine[0], x * y)
    assert (H.ones(2) + H.tensor(1.0, dtype=H.float64)).dtype == H.float32
    assert (xp.asarray([200, 100], dtype=xp.uint8) == xp.asarray(456)).tolist() == [False, False]


def test_numbers_take_the_dtype_of_the_array():
    for dtype in (xp.float32, xp.float64, xp.complex64, xp.int8):
        x = xp.asarray([1, 2, 3], dtype=dtype)
        assert (x + 1).dtype == xp.add(x, 1).dtype == xp.multiply(2, x).dtype == (2**x).dtype == dtype
        assert xp.where(x == 2, x, 0).dtype == dtype


@pytest.mark.parametrize(
    "key", [np.s_[::-1], np.s_[:, ::-2], np.s_[3:0:-1, None, 1], np.s_[..., ::-1], np.s_[-1, 4::-3], np.s_[0:2:-1]]
)
def test_negative_steps(key):
    a = np.arange(20.0).reshape(4, 5)
    x = xp.asarray(a, copy=True)
    same(x[key], a[key])
    x[key], a[key] = -1, -1
    same(x, a)
    values = np.arange(a[key].size, dtype=a.dtype).reshape(a[key].shape)
    x[key], a[key] = xp.asarray(values), values
    same(x, a)
    with pytest.raises(ValueError):
        H.arange(3)[::-1]


def test_size_is_a_number_and_still_a_method():
    x = xp.zeros((2, 3))
    assert x.size == 6 and x.size() == (2, 3) and x.size(-1) == 3
    assert math.prod(x.shape) == x.size


def test_edges_of_division():
    inf = math.inf
    a, b = np.array([inf, -inf, 1.0, -1.0, 7.0]), np.array([2.0, 3.0, -inf, inf, -2.0])
    x, y = xp.asarray(a), xp.asarray(b)
    want = [inf, -inf, -0.0, -0.0, -4.0]  # the standard's table; NumPy has NaN and -1 here
    for got in (x // y, xp.floor_divide(x, y)):
        assert got.tolist() == want and xp.signbit(got).tolist() == [False, True, True, True, True]
    zero = xp.asarray([0.0, -0.0])
    assert xp.signbit(zero % xp.asarray([-1.0, 1.0])).tolist() == [True, False]
    x //= y
    assert x.tolist() == want
    assert math.isnan(xp.sign(xp.asarray(math.nan)))
    z = xp.expm1(xp.asarray([complex(-0.0, 0.0), complex(inf, 0.0), complex(-inf, math.nan)]))
    assert [str(v) for v in z.tolist()] == ["0j", "(inf+0j)", "(-1+0j)"]


def test_reductions_and_sets():
    a = np.array([[3.0, 1.0, np.nan], [1.0, np.nan, 3.0]])
    x = xp.asarray(a)
    found = xp.unique_all(x)
    assert found.values.tolist()[:2] == [1.0, 3.0] and found.counts.tolist() == [2, 2, 1, 1]
    assert xp.unique_values(xp.asarray([1 + 2j, 1j, 1 + 2j])).tolist() == [1j, 1 + 2j]
    b = np.arange(24.0).reshape(2, 3, 4)
    y = xp.asarray(b)
    for axis in (None, 0, (0, 2), (-1, 0), ()):
        for keepdims in (False, True):
            for f in ("sum", "prod", "mean", "max", "min", "std", "var", "all", "any", "count_nonzero"):
                same(getattr(xp, f)(y, axis=axis, keepdims=keepdims), getattr(np, f)(b, axis=axis, keepdims=keepdims))
    same(xp.sum(xp.asarray([True, True])), np.int64(2))
    same(xp.cumulative_sum(y, axis=1, include_initial=True), np.cumulative_sum(b, axis=1, include_initial=True))


def test_creation():
    same(xp.arange(5, 0), np.arange(5, 0))
    same(xp.linspace(0, 1, 4, endpoint=False, dtype=xp.float64), np.linspace(0, 1, 4, endpoint=False))
    same(xp.eye(2, 4, k=-1, dtype=xp.int32), np.eye(2, 4, k=-1, dtype=np.int32))
    same(xp.asarray([[1, 2], [3, 4]]), np.asarray([[1, 2], [3, 4]]))
    a = np.arange(3.0)
    assert xp.asarray(a).data_ptr() == a.ctypes.data != xp.asarray(a, copy=True).data_ptr()
    with pytest.raises(ValueError, match="copy"):
        xp.asarray(a, dtype=xp.float32, copy=False)
    with pytest.raises(ValueError, match="copy"):
        xp.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="copy"):
        xp.reshape(xp.asarray(np.ones((2, 3))).mT, (6,), copy=False)


def test_gradients_flow():
    x = H.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    y = xp.sum(xp.exp(xp.matmul(x, x)[:, ::-1]) / 1e9) + xp.linalg.det(x)
    y.backward()
    H.manual_seed(0)
    z = H.tensor(x.detach().tolist(), requires_grad=True)
    ((z @ z).exp() / 1e9).sum().add(H.linalg.det(z)).backward()
    assert x.grad.allclose(z.grad) and type(x.grad) is H.Tensor


def test_arrays_are_tensors():
    x = xp.ones((2, 3))
    layer = H.nn.Linear(3, 4)
    assert isinstance(x, H.Tensor) and layer(x).shape == (2, 4)
    assert H.nn.functional.softmax(x, -1).sum().item() == pytest.approx(2)
    assert x.to_device("cpu").shape == (2, 3) and type(x.to_device(x.device)) is xp.Array


def test_copies_and_files(tmp_path):
    x = xp.asarray([1.0, 2.0])
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(y) is xp.Array and y.tolist() == [1, 2]
    H.save({"x": x}, tmp_path / "x.pt")
    y = H.load(tmp_path / "x.pt")["x"]
    assert type(y) is H.Tensor and y.tolist() == [1, 2]


def test_against_the_strict_namespace():
    """A program for any namespace gives here what it gives in array-api-strict."""
    strict = pytest.importorskip("array_api_strict")

    def program(xp):
        x = xp.reshape(xp.linspace(-3, 4, 24, dtype=xp.float64), (2, 3, 4))
        y = xp.where(x > 0, x, xp.expm1(x))
        centred = y - xp.mean(y, axis=(0, 2), keepdims=True)
        q, r = xp.linalg.qr(xp.matmul(centred, xp.matrix_transpose(centred)))
        top = xp.take_along_axis(y, xp.argsort(y, axis=-1, descending=True), axis=-1)[..., ::-1]
        return xp.concat([xp.abs(xp.reshape(r, (-1,))), xp.reshape(top, (-1,)), xp.linalg.svdvals(centred)[0, :]])

    same(program(xp), np.asarray(program(strict)))
