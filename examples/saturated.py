"""A model that does not learn, why, and four cures.

Two linear layers without bias, as batched products with weights drawn from U(0, 1), and a sigmoid at the end: the loss
stays where it is. One learns: to look at the logits. In float32 a sigmoid is exactly 1 from 16.64 on, and its gradient
is exactly 0 there; neither depth, loss nor optimiser is to blame.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

FEATURES, HIDDEN, BATCH, STEPS = 30, 20, 256, 200


class Model(nn.Module):
    """Inputs (N, 30) to one logit each, (N, 1): both layers by bmm, the weights expanded over the batch."""

    def __init__(self, xavier=False, norm=False):
        super().__init__()
        self.first = nn.Parameter(torch.rand(FEATURES, HIDDEN))
        self.second = nn.Parameter(torch.rand(HIDDEN, 1))
        if xavier:
            nn.init.xavier_uniform_(self.first)
            nn.init.xavier_uniform_(self.second)
        self.norm = nn.BatchNorm1d(1) if norm else nn.Identity()

    def forward(self, x):
        x = x.unsqueeze(1)
        x = torch.bmm(x, self.first.expand(len(x), -1, -1))
        x = torch.bmm(x, self.second.expand(len(x), -1, -1))
        return self.norm(x.squeeze(1))


def train(name, model, x, y, from_logits=False):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    with torch.no_grad():
        logits = model(x)
        saturated = int((torch.sigmoid(logits) == 1).sum())
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = model(x)
        if from_logits:
            loss = F.binary_cross_entropy_with_logits(logits, y)
        else:
            loss = F.binary_cross_entropy(torch.sigmoid(logits), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    gradient = model.first.grad.abs().max().item() if losses[0] == losses[-1] else float("nan")
    stuck = f", largest gradient {gradient}" if gradient == 0 else ""
    print(f"{name:<22} saturated at first {saturated:3}/{BATCH}, loss {losses[0]:8.4f} -> {losses[-1]:8.4f}{stuck}")


torch.manual_seed(0)
x = torch.rand(BATCH, FEATURES)
y = (x[:, :15].sum(1, keepdim=True) > x[:, 15:].sum(1, keepdim=True)).float()
train("as it came", Model(), x, y)
train("Xavier weights", Model(xavier=True), x, y)
train("batch norm", Model(norm=True), x, y)
train("loss from the logits", Model(), x, y, from_logits=True)
train("standardised inputs", Model(), (x - x.mean(0)) / x.std(0), y)
