"""The network of l1 learns with any one of: smaller weights, batch norm, the loss on logits, standardised inputs."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.rand(256, 30) * 3
target = (x[:, :15].sum(1) > x[:, 15:].sum(1)).float().unsqueeze(1)


def learns(first, second, middle, loss, inputs=x, extra=()):
    first, second = first.requires_grad_(), second.requires_grad_()
    optimiser = torch.optim.Adam([first, second, *extra], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        value = loss(middle(inputs @ first @ second), target)
        value.backward()
        optimiser.step()
    guess = (middle(inputs @ first @ second) > (0 if loss is F.binary_cross_entropy_with_logits else 0.5)).float()
    accuracy = (guess == target).float().mean().item()
    assert accuracy > 0.9, accuracy


def uniform():
    return torch.rand(30, 16), torch.rand(16, 1)


learns(
    nn.init.xavier_uniform_(torch.empty(30, 16)),
    nn.init.xavier_uniform_(torch.empty(16, 1)),
    torch.sigmoid,
    F.binary_cross_entropy,
)
norm = nn.BatchNorm1d(1)
learns(*uniform(), lambda z: torch.sigmoid(norm(z)), F.binary_cross_entropy, extra=norm.parameters())
learns(*uniform(), lambda z: z, F.binary_cross_entropy_with_logits)
learns(*uniform(), torch.sigmoid, F.binary_cross_entropy, inputs=(x - x.mean(0)) / x.std(0))
