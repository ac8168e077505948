"""A training script with a registry, meters, checkpoints that it resumes from, and a process group of one."""

import os
import tempfile

import torch
import torch.distributed as dist
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class Meter:
    def __init__(self, name, fmt=":.3f"):
        self.name, self.fmt, self.sum, self.count = name, fmt, 0.0, 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n

    def __str__(self):
        return ("{name} ({avg" + self.fmt + "})").format(name=self.name, avg=self.sum / self.count)


class Samples(Dataset):
    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        y = int(torch.randint(0, 10, (1,), generator=g))
        return torch.randn(3, 4, 4, generator=g) + y / 5, y

    def __len__(self):
        return 64


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        _, pred = output.topk(max(topk), 1, True, True)
        correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0)) for k in topk]


def train(epochs, path, distributed=False):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))
    sampler = None
    if distributed:
        dist.init_process_group(backend="gloo", init_method="tcp://127.0.0.1:29617", world_size=1, rank=0)
        model = nn.parallel.DistributedDataParallel(model)
        sampler = DistributedSampler(Samples())
    else:
        model = nn.DataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = StepLR(optimizer, step_size=2, gamma=0.1)
    start = 0
    if os.path.isfile(path):
        saved = torch.load(path, map_location=lambda storage, loc: storage)
        start = saved["epoch"]
        print(model.load_state_dict(saved["model"]), "from epoch", start, "best", saved["best"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
    loader = DataLoader(Samples(), batch_size=16, shuffle=sampler is None, sampler=sampler)
    for epoch in range(start, epochs):
        if sampler is not None:
            sampler.set_epoch(epoch)
        losses, top1, top5 = Meter("loss"), Meter("acc@1", ":6.2f"), Meter("acc@5", ":6.2f")
        for images, target in loader:
            output = model(images)
            loss = nn.functional.cross_entropy(output, target, label_smoothing=0.1)
            acc1, acc5 = accuracy(output, target, topk=(1, 5))
            losses.update(loss.item(), len(images))
            top1.update(acc1.item(), len(images))
            top5.update(acc5.item(), len(images))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"[{epoch}] {losses} {top1} {top5} lr {scheduler.get_last_lr()}")
        torch.save(
            {
                "epoch": epoch + 1,
                "model": model.state_dict(),
                "best": torch.tensor(top1.sum / top1.count),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
            },
            path,
        )
    if distributed:
        total = torch.tensor([losses.sum, losses.count])
        dist.all_reduce(total, dist.ReduceOp.SUM)
        print(dist.get_rank(), dist.get_world_size(), total)
        dist.destroy_process_group()


with tempfile.TemporaryDirectory() as folder:
    train(2, os.path.join(folder, "checkpoint.pth.tar"))
    train(3, os.path.join(folder, "checkpoint.pth.tar"))  # resumes
    train(1, os.path.join(folder, "other.pth.tar"), distributed=True)
