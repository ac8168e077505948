"""Training tricks: accumulation, clipping, schedulers, EMA by deepcopy, autocast and GradScaler."""

import copy
import io

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, OneCycleLR, ReduceLROnPlateau, SequentialLR
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
X = torch.randn(128, 10)
Y = (X[:, :3].sum(1, keepdim=True) > 0).float()
loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)


def build():
    return nn.Sequential(
        nn.Linear(10, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(32, 16),
        nn.GELU(),
        nn.Linear(16, 1),
    )


class EMA:
    def __init__(self, model, decay):
        self.module, self.decay = copy.deepcopy(model).eval(), decay
        for p in self.module.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for e, m in zip(self.module.state_dict().values(), model.state_dict().values()):
            if e.dtype.is_floating_point:
                e.lerp_(m, 1 - self.decay)
            else:
                e.copy_(m)


model = build()
ema = EMA(model, 0.9)
decay = [p for n, p in model.named_parameters() if p.dim() > 1]
rest = [p for n, p in model.named_parameters() if p.dim() <= 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=3e-3)
warm = LinearLR(optimizer, start_factor=0.1, total_iters=4)
scheduler = SequentialLR(optimizer, [warm, CosineAnnealingLR(optimizer, 20)], milestones=[4])
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.2]))
accumulation = 2
for epoch in range(3):
    optimizer.zero_grad()
    for i, (x, y) in enumerate(loader):
        loss = criterion(model(x), y) / accumulation
        loss.backward()
        if (i + 1) % accumulation == 0:
            total = nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5, error_if_nonfinite=True)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            ema.update(model)
    print(epoch, f"{loss.item():.4f} {total:.4f}", [f"{lr:.6f}" for lr in scheduler.get_last_lr()])
with torch.no_grad():
    print(f"{criterion(ema.module(X), Y):.4f}")

buffer = io.BytesIO()
torch.save(
    {
        "epoch": 3,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
    },
    buffer,
)


def go_on(model, optimizer, scheduler):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return sum(p.double().sum() for p in model.parameters()).item(), scheduler.get_last_lr()


first = go_on(model, optimizer, scheduler)
buffer.seek(0)
state = torch.load(buffer, weights_only=False)
again = build()
again.load_state_dict(state["model"])
optimizer = torch.optim.AdamW(
    [
        {"params": [p for p in again.parameters() if p.dim() > 1]},
        {"params": [p for p in again.parameters() if p.dim() <= 1]},
    ]
)
scheduler = SequentialLR(
    optimizer, [LinearLR(optimizer, 0.1, total_iters=4), CosineAnnealingLR(optimizer, 20)], milestones=[4]
)
optimizer.load_state_dict(state["optimizer"])
scheduler.load_state_dict(state["scheduler"])
torch.set_rng_state(state["rng"])
assert go_on(again, optimizer, scheduler) == first
print(first[1])

scaler = torch.amp.GradScaler("cuda", enabled=torch.cuda.is_available())
optimizer = torch.optim.SGD(again.parameters(), lr=0.1, momentum=0.9, nesterov=True)
plateau = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=0)
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=False):
            loss = criterion(again(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(again.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    plateau.step(loss)
    print(f"{loss.item():.4f}", optimizer.param_groups[0]["lr"], scaler.get_scale())
with torch.autocast("cpu", dtype=torch.bfloat16):
    half = nn.Linear(10, 4)(X)
    print(half.dtype, nn.functional.softmax(half, 1).dtype, (half + half).dtype, (X @ X.t()).dtype)

compiled = torch.compile(again, disable=True)
again.eval()
print(torch.allclose(compiled(X), again(X), atol=1e-5))
swa = AveragedModel(again)
swa_scheduler = SWALR(optimizer, swa_lr=0.05)
for _ in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(again.train()(x), y).backward()
        optimizer.step()
    swa.update_parameters(again)
    swa_scheduler.step()
update_bn(loader, swa)
print(f"{criterion(swa(X), Y).item():.4f}", swa.n_averaged)

block = nn.Sequential(nn.Linear(10, 10), nn.Tanh())
x = X.clone().requires_grad_()
kept = checkpoint(block, x, use_reentrant=False).sum() + checkpoint_sequential(block, 2, x, use_reentrant=False).sum()
kept.backward()
print(f"{x.grad.abs().sum():.4f}")
one = OneCycleLR(torch.optim.Adam(block.parameters()), max_lr=0.01, total_steps=5)
print([f"{one.step() or one.get_last_lr()[0]:.6f}" for _ in range(4)])
plan = LambdaLR(torch.optim.SGD(block.parameters(), lr=1.0), lr_lambda=lambda e: 0.95**e)
print([plan.step() or round(plan.get_last_lr()[0], 4) for _ in range(3)])
