"""A decoder with rotary positions as complex numbers, grouped keys and values, a cache, and nucleus sampling."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
DIM, HEADS, GROUPS, VOCAB, LENGTH = 32, 4, 2, 40, 32


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


def rotations(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: dim // 2].float() / dim))
    angles = torch.outer(torch.arange(end), freqs).float()
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x, freqs):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * freqs[None, :, None]).flatten(3).type_as(x)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = DIM // HEADS
        self.wq = nn.Linear(DIM, DIM, bias=False)
        self.wkv = nn.Linear(DIM, 2 * GROUPS * self.head, bias=False)
        self.wo = nn.Linear(DIM, DIM, bias=False)
        self.register_buffer("cache", torch.zeros(2, 2, LENGTH, GROUPS, self.head), persistent=False)

    def forward(self, x, start, freqs, mask, cached):
        b, s, _ = x.shape
        q = rotate(self.wq(x).view(b, s, HEADS, self.head), freqs)
        k, v = self.wkv(x).view(b, s, 2 * GROUPS, self.head).chunk(2, 2)
        k = rotate(k, freqs)
        if cached:
            self.cache[0, :b, start : start + s] = k
            self.cache[1, :b, start : start + s] = v
            k, v = self.cache[:, :b, : start + s]
        k, v = (t[:, :, :, None].expand(-1, -1, -1, HEADS // GROUPS, -1).flatten(2, 3).transpose(1, 2) for t in (k, v))
        scores = q.transpose(1, 2) @ k.transpose(2, 3) / math.sqrt(self.head)
        scores = scores if mask is None else scores + mask
        return self.wo((scores.softmax(-1) @ v).transpose(1, 2).contiguous().view(b, s, -1))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(), RMSNorm(DIM), RMSNorm(DIM)
        self.w1, self.w2, self.w3 = nn.Linear(DIM, 64), nn.Linear(64, DIM), nn.Linear(DIM, 64)

    def forward(self, x, *rest):
        x = x + self.attention(self.norm1(x), *rest)
        h = self.norm2(x)
        return x + self.w2(F.silu(self.w1(h)) * self.w3(h))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = RMSNorm(DIM)
        self.freqs = rotations(DIM // HEADS, LENGTH)

    def forward(self, tokens, start=0, cached=False):
        s = tokens.shape[1]
        mask = None
        if s > 1:
            mask = torch.triu(torch.full((s, s), float("-inf")), diagonal=1)
            mask = torch.hstack([torch.zeros((s, start)), mask])
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, start, self.freqs[start : start + s], mask, cached)
        return F.linear(self.norm(x), self.embed.weight)


@torch.inference_mode()
def generate(model, prompt, new, top_p=0.9):
    tokens, at = prompt, 0
    for _ in range(new):
        probs = torch.softmax(model(tokens[:, at:], at, cached=True)[:, -1] / 0.6, dim=-1)
        at = tokens.shape[1]
        p, index = torch.sort(probs, dim=-1, descending=True)
        p[torch.cumsum(p, dim=-1) - p > top_p] = 0.0
        p.div_(p.sum(dim=-1, keepdim=True))
        tokens = torch.cat([tokens, torch.gather(index, -1, torch.multinomial(p, num_samples=1))], 1)
    return tokens


model = Decoder()
print(model)
tokens = torch.randint(0, VOCAB, (8, 17))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
for step in range(12):
    loss = F.cross_entropy(model(tokens[:, :-1]).reshape(-1, VOCAB), tokens[:, 1:].reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"step {step} loss {loss.item():.3f} norm {norm:.2f}")
model.eval()
print(generate(model, tokens[:2, :4], 8).shape)
with torch.no_grad():
    whole = model(tokens[:1, :6])
    parts = torch.cat([model(tokens[:1, :5], 0, True), model(tokens[:1, 5:6], 5, True)], 1)
    print(torch.allclose(whole, parts, atol=1e-4), list(model.state_dict())[-3:])
