"""The tensor tutorial and what scripts do between the layers: making, indexing, joining, printing, NumPy."""

import math

import numpy as np
import torch

torch.set_printoptions(precision=4, sci_mode=False)
data = [[1, 2], [3, 4]]
x_data = torch.tensor(data)
np_array = np.array(data)
x_np = torch.from_numpy(np_array)
x_ones = torch.ones_like(x_data)
torch.manual_seed(2)
x_rand = torch.rand_like(x_data, dtype=torch.float)
print(f"Ones Tensor: \n {x_ones} \n\nRandom Tensor: \n {x_rand} \n")
tensor = torch.ones(4, 4)
tensor[:, 1] = 0
print(tensor, tensor[0], tensor[:, 0], tensor[..., -1], tensor.shape, tensor.dtype, tensor.device)
print(torch.cat([tensor, tensor, tensor], dim=1))
y1, y2, y3 = tensor @ tensor.T, tensor.matmul(tensor.T), torch.rand_like(tensor)
torch.matmul(tensor, tensor.T, out=y3)
print(torch.equal(y1, y2), torch.equal(y2, y3), tensor.sum().item(), type(tensor.sum().item()))
tensor.add_(5)
n = tensor.numpy()
np.add(n, 1, out=n)
print(tensor, n.dtype)
a = torch.arange(24).reshape(2, 3, 4)
print(a[0, 1:, ::2], a[a > 20], a[:, [0, 2]], a[[0, 1], [1, 2]], a[..., None].shape, a[None, :, 1].shape)
b = a.float()
b[b > 10] = -1
b[0, 0] = torch.tensor([9.0, 8.0, 7.0, 6.0])
b[:, 1, :2] *= 2
print(b, b.max(dim=-1), b.min(), b.argmax(), b.std(dim=(0, 2)), b.mean(-1, keepdim=True))
values, indices = torch.sort(b.flatten(), descending=True)
print(values[2:5], indices[:0], torch.topk(b[0], 2), torch.unique(b, return_counts=True))
print(
    a.permute(2, 0, 1).shape,
    a.transpose(0, 1).is_contiguous(),
    a.view(-1, 6).stride(),
    a.T.shape if a.dim() == 2 else a.mT.shape,
)
print(
    torch.stack([a[0], a[1]]).shape,
    torch.chunk(a, 2, 2)[1].shape,
    [t.shape for t in a.split([1, 2], 1)],
    a.unbind(1)[0],
)
print(torch.where(a % 2 == 0, a, -a), torch.nonzero(a > 21), torch.nonzero(a > 21, as_tuple=True))
print(torch.einsum("bij,bkj->bik", b, b), torch.einsum("...i,i->...", b, torch.ones(4)))
print(torch.full((2, 2), math.pi), torch.eye(2), torch.linspace(0, 1, 5), torch.logspace(0, 2, 3), torch.zeros(2, 0))
print(torch.tensor(3.5).item(), torch.tensor([1, 2.5]), torch.tensor([True, False]), torch.tensor([1 + 2j, 3j]))
print(torch.randn(2, 3), torch.randint(0, 10, (5,)), torch.randperm(6), torch.bernoulli(torch.full((4,), 0.5)))
print(torch.normal(0.0, 1.0, (3,)), torch.normal(torch.arange(3.0), 0.1), torch.empty(3).uniform_(-1, 1))
print(torch.zeros(3).scatter_(0, torch.tensor([2, 0]), 1.0), a.float().gather(2, torch.tensor([[[0, 1]], [[2, 3]]])))
print(torch.zeros(3).index_add_(0, torch.tensor([0, 0, 2]), torch.ones(3)), torch.bincount(torch.tensor([0, 1, 1, 5])))
print(torch.tril(torch.ones(3, 3)), torch.triu(torch.ones(3, 3), 1).bool(), torch.diag(torch.arange(3)))
print(torch.float16, torch.tensor([1e-5, 1e5]), torch.tensor([1e10, 1.0]), torch.tensor([float("nan"), float("inf")]))
print(torch.ones(2, dtype=torch.bfloat16) / 3, torch.ones(2).half() * 1e5, (torch.ones(2, dtype=torch.int8) * 200))
print(a.dtype, a.float().double().dtype, a.to(torch.int32).dtype, a.type(torch.FloatTensor).dtype, a.type())
print(torch.isnan(torch.tensor([1.0, float("nan")])).any(), torch.allclose(torch.ones(2), torch.ones(2) + 1e-9))
print(torch.linalg.norm(b), torch.linalg.inv(torch.tensor([[2.0, 1.0], [1.0, 3.0]])), torch.det(torch.eye(3) * 2))
print(
    torch.cumsum(a[0], 0), torch.cumprod(b[0, 0], 0), torch.diff(b[0, 0]), b.clamp(min=0).sum(), b.abs().log1p()[0, 0]
)
print(
    b.numpy().shape, b.tolist()[0][0], np.asarray(b).dtype, torch.as_tensor(np.float32(3)), len(b), 3 in torch.arange(5)
)
print(
    torch.arange(10)[torch.randperm(10)[:3]].shape,
    torch.cdist(b[0], b[1]),
    torch.outer(torch.arange(3), torch.arange(2)),
)
print(
    torch.repeat_interleave(torch.arange(3), 2),
    torch.arange(3).repeat(2, 2),
    torch.arange(3).expand(2, 3),
    torch.flip(a, (0,))[0],
)
print(
    repr(torch.nn.Parameter(torch.ones(2))),
    torch.ones(2, requires_grad=True) * 2,
    torch.Size([1, 2]),
    torch.device("cpu"),
)
print(
    torch.FloatTensor([1, 2]),
    torch.LongTensor(2).shape,
    torch.Tensor(2, 3).shape,
    torch.Tensor([1, 2]),
    torch.is_tensor(a),
)
print(torch.logsumexp(b, 1), torch.softmax(b[0], -1), torch.sigmoid(torch.tensor([-100.0, 0.0, 100.0])))
print(torch.arange(1000), torch.rand(100, 100).shape, torch.linspace(0, 1, 2000).view(40, 50))
torch.set_printoptions(profile="default")
