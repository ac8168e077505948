"""Positive weights, positive inputs and one sigmoid at the end: every gradient is exactly zero, whatever the loss."""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.rand(256, 30)
target = (torch.arange(256) % 2).float().unsqueeze(1)
first, second = torch.rand(30, 16, requires_grad=True), torch.rand(16, 1, requires_grad=True)


def logits():
    hidden = torch.bmm(x.unsqueeze(1), first.expand(256, 30, 16))
    return torch.bmm(hidden, second.expand(256, 16, 1)).squeeze(1)


z = logits()
assert z.min() > 16.636, z.min()
p = torch.sigmoid(z)
assert torch.all(p == 1)
assert torch.sigmoid(torch.tensor(16.64)).item() == 1.0 and torch.sigmoid(torch.tensor(16.5)).item() < 1.0
for loss in (F.mse_loss(p, target), F.binary_cross_entropy(p, target), (p - target).abs().mean()):
    gradients = torch.autograd.grad(loss, (first, second), retain_graph=True)
    assert all(torch.all(g == 0) for g in gradients), loss
for make in (lambda ps: torch.optim.SGD(ps, lr=0.1), lambda ps: torch.optim.Adam(ps, lr=0.1)):
    before = first.detach().clone()
    optimiser = make([first, second])
    for _ in range(3):
        optimiser.zero_grad()
        F.binary_cross_entropy(torch.sigmoid(logits()), target).backward()
        optimiser.step()
    assert torch.equal(first.detach(), before)
