"""An autoencoder on images: pooling with indices and unpooling, upsampling, residual blocks."""

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
images = torch.rand(24, 3, 16, 16)
images = F.avg_pool2d(images, 5, 1, 2)


class Residual(nn.Module):
    expansion: int = 1

    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, groups=2, bias=False)
        self.gn = nn.GroupNorm(2, planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.gn(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(OrderedDict([("a", Residual(3, 8)), ("b", Residual(8, 8, 2))]))
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.squeeze = nn.AdaptiveAvgPool2d((1, 1))
        self.excite = nn.Sequential(nn.Linear(8, 2), nn.SiLU(), nn.Linear(2, 8), nn.Hardsigmoid())
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.out = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(8, 12, 3), nn.PixelShuffle(2), nn.AvgPool2d(2))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        h = self.layer1(x)
        p, indices = self.pool(h)
        scale = self.excite(self.squeeze(h).flatten(1))[:, :, None, None]
        h = self.unpool(p, indices) * scale
        return torch.sigmoid(self.out(self.up(h)))


model = AutoEncoder()
print(model)
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
for epoch in range(4):
    for batch in images.split(8):
        optimizer.zero_grad()
        recon = model(batch)
        loss = F.mse_loss(recon, batch) + 1e-4 * sum(p.abs().sum() for p in model.parameters())
        loss.backward()
        optimizer.step()
    print(epoch, f"{loss.item():.4f}")
state = model.state_dict()
print(list(state)[:6], state["layer1.a.bn1.num_batches_tracked"])
renamed = OrderedDict((k.replace("layer1.", "body."), v) for k, v in state.items() if not k.startswith("excite"))
missing = model.load_state_dict(renamed, strict=False)
print(missing.missing_keys[:2], missing.unexpected_keys[:2])
try:
    model.load_state_dict({**state, "excite.0.weight": torch.zeros(3, 8), "extra": torch.zeros(1)})
except RuntimeError as error:
    print(*str(error).splitlines()[:3], sep="\n")  # what follows there is Hadamard's own
for p in model.layer1.parameters():
    p.requires_grad = False
print(sum(p.requires_grad for p in model.parameters()))
model.excite = nn.Identity()
print([name for name, child in model.named_children()], len(list(model.modules())))
features = {}
model.squeeze.register_forward_hook(lambda m, i, o: features.update(pooled=o.detach()))
model.eval()
with torch.no_grad():
    noisy = images + 0.1 * torch.randn_like(images)
    model.layer1(noisy)
    model.squeeze(noisy)
print({k: v.shape for k, v in features.items()})
resized = F.interpolate(images, size=(9, 7), mode="bicubic", align_corners=True).clamp_(0, 1)
grid = F.affine_grid(torch.eye(2, 3).repeat(24, 1, 1), [24, 3, 8, 8], align_corners=False)
print(resized.mean(), F.grid_sample(images, grid, align_corners=False).mean())
