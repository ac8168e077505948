"""Calls with wrong arguments: PyTorch's type of error and its first line, for functions, methods and indexing."""

import pytest
from harness import H, torch

pytestmark = pytest.mark.filterwarnings("ignore")

# `T` is the library, `t` a (2, 3) tensor of float32.
CALLS = """
T.zeros('a')
T.zeros((2, 'a'))
T.zeros(('a', 2))
T.zeros(2, 'a')
T.zeros('a', 2)
T.zeros(2.5)
T.zeros(2, dtype='float32')
T.zeros(2, device=1.5)
T.ones([2, 1.5])
T.rand('a')
T.randn('a', 2)
T.full(3)
T.full((2,), 'x')
T.full_like(t, 'x')
T.full_like(t)
T.arange('a')
T.arange()
T.eye()
T.eye('a')
T.linspace(0)
T.randint(5)
T.randint('a', (2,))
T.randperm('a')
T.normal(1)
T.bernoulli(1)
T.tensor('a')
T.tensor(['a'])
T.tensor([['a', 1]])
T.tensor([1, 'a'])
T.tensor([None])
T.add(1, 'x')
T.add(t, 'x')
T.add(t)
T.add()
T.add(t, t, alpha='x')
T.sub(t, None)
T.sub('a', 'b')
T.mul(t)
T.mul('a', 1)
T.mul(t, [1, 2])
T.mul(t, t, t)
t.mul()
t.mul(t, t)
t.mul_('x')
t.add('x')
T.div(t, 'x')
T.div(t, t, rounding_mode=1)
T.pow('a', 2)
T.pow(2, 3)
t.pow('a')
t.pow()
T.fmod(t, 'a')
T.remainder('a', 1)
t.eq('x')
t.eq(None)
T.eq(1, 1)
T.bitwise_and(t, 'a')
T.clamp(t, 'a')
T.clamp('a')
t.clamp(min='a')
T.where(1)
T.where(1, 2)
T.where('a', t, t)
T.lerp(t, t, 'a')
T.masked_fill(t, 1, 2)
T.masked_fill(t, t > 0)
t.masked_fill([True], 0)
t.masked_fill_(t > 0, 'a')
t.fill_('a')
t.fill_([1, 2])
t.copy_('a')
t.copy_()
T.exp()
T.exp('a')
T.exp(t, out=1)
T.exp(t, foo=1)
T.sum('a')
T.sum(1)
T.sum(t, 'a')
T.sum(t, foo=1)
t.sum('a')
t.sum(1.5)
t.sum(foo=1)
t.sum(foo=1, bar=2)
t.sum(dim='a')
T.mean('a')
t.mean('x')
T.max(1)
T.max(t, 'a')
T.max(t, 0, 1, 2)
T.prod(t, 'a')
T.any(1)
T.all('a')
T.std(t, 'a')
T.argmax(t, 'a')
T.sort(1)
T.sort(t, 'a')
T.topk(t)
T.topk(t, 'a')
T.cumsum(t)
T.cumsum()
T.cumsum(t, 0, 1)
T.cumsum(t, 0, dim=1)
t.cumsum(0, foo=1)
T.softmax(t)
T.softmax(t, 0, None, 3)
t.view('a')
t.view(1.5)
t.view(2, 'a')
t.view()
t.reshape('a')
t.permute('a')
t.permute(0, 1.5)
t.transpose('a', 1)
t.transpose(0)
t.unsqueeze()
t.squeeze('a')
t.expand('a')
t.repeat('a')
t.flip('a')
t.flip(0, 'a')
T.roll(t, 'a')
T.movedim(t, 'a', 1)
T.diagonal(t, 1, 1, 1, 1)
T.tril(t, 'a')
T.tril(t, 1, 2)
T.cat(5)
T.cat(t)
T.cat()
T.cat([1, 2])
T.cat([t, 2])
T.cat([t, None])
T.cat([t], 'a')
T.stack([1])
T.stack([t, None])
T.hstack(1)
T.vstack([1])
T.meshgrid(1)
T.meshgrid(t, 1)
T.broadcast_tensors(1)
T.mm(t)
T.mm(t, 1)
T.mm(t, t, t)
T.dot(t)
T.dot(t, t, t)
T.dot(t, [1])
T.bmm(t, 1)
T.matmul(t, 'a')
T.addmm(t, 1, 2)
T.conv2d(t)
T.conv2d(t, t, t, 'a')
T.nn.functional.linear(t, 1)
T.nn.functional.layer_norm(t, 'a')
T.batch_norm(t)
T.embedding(1, 2)
T.index_select(t, 0, 1)
t.gather(0, [1])
t.scatter_(0, 1, 2)
T.polar(1, 2)
T.linalg.inv(1)
T.linalg.qr('a')
T.set_grad_enabled('a')
T.set_num_threads('a')
T.Size('a')
T.Size([1, 1.5])
T.Size(5)
T.device('foo')
T.device('cpu', 'a')
T.Generator('foo')
t.backward('a')
t['x']
t[0, 'x']
t[['a']]
t[1.5]
t[{}]
t[object]
t[[1.5]]
t.__setitem__(0, [1, 2])
t.__setitem__(0, (1, 2, 3))
t.__setitem__(0, 'a')
t.__setitem__(0, None)
t.long().__setitem__(0, [1])
t.bool().__setitem__(0, {})
t.bfloat16().__setitem__(0, [1.0])
t.no_such
T.no_such
""".strip().splitlines()


def outcome(library, call):
    t = library.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    try:
        value = eval(call, {"T": library, "t": t})
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0].strip()}"
    return value.tolist() if isinstance(value, library.Tensor) else type(value).__name__


@pytest.mark.skipif(torch is None, reason="torch says what is right")
@pytest.mark.parametrize("call", CALLS)
def test_first_line_is_torchs(call):
    assert outcome(H, call) == outcome(torch, call)


@pytest.mark.skipif(torch is None, reason="torch says what is right")
def test_what_may_be_assigned():
    np = pytest.importorskip("numpy")
    for value in (
        2,
        2.5,
        True,
        np.float64(2),
        np.int64(3),
        np.float32(2),
        np.bool_(1),
        np.ones(3),
        np.array(2.0),
        range(3),
    ):
        results = []
        for library in (H, torch):
            t = library.zeros(2, 3)
            try:
                t[0] = value
                results.append(t.tolist())
            except TypeError as error:
                results.append(str(error).partition("\n")[0])
        assert results[0] == results[1], value
