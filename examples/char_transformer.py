"""A small transformer that learns to write sonnets letter by letter, and writes a few lines.

One learns: causal attention, positions, blocks with residuals; training with AdamW and a schedule; how to sample.
"""

import argparse
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = (Path(__file__).parent / "data" / "sonnets.txt").read_text()
LETTERS = sorted(set(TEXT))
CONTEXT, WIDTH, HEADS, LAYERS = 32, 64, 4, 2


class Block(nn.Module):
    """Attention to what came before, then two layers for each position; both added to what they read."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        n, length, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.mlp(self.norm2(x))


class Writer(nn.Module):
    """Letters (N, T) to scores of the next letter (N, T, letters)."""

    def __init__(self):
        super().__init__()
        self.letter = nn.Embedding(len(LETTERS), WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(LETTERS), bias=False)
        self.apply(self.start)

    @staticmethod
    def start(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.1)

    def forward(self, letters):
        x = self.letter(letters) + self.position(torch.arange(letters.shape[1]))
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def write(self, start, length, temperature=0.7):
        letters = torch.tensor([[LETTERS.index(c) for c in start]])
        for _ in range(length):
            scores = self(letters[:, -CONTEXT:])[:, -1] / temperature
            letters = torch.cat([letters, torch.multinomial(F.softmax(scores, -1), 1)], dim=1)
        return "".join(LETTERS[i] for i in letters[0].tolist())


def main():
    parser = argparse.ArgumentParser(description="Learn to write sonnets.")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()

    torch.manual_seed(0)
    data = torch.tensor([LETTERS.index(c) for c in TEXT])
    model = Writer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(TEXT)} letters of {len(LETTERS)} kinds")
    for step in range(1, args.steps + 1):
        starts = torch.randint(len(data) - CONTEXT, (args.batch_size,))
        window = torch.stack([data[i : i + CONTEXT + 1] for i in starts.tolist()])
        loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0 or step == 1:
            print(f"step {step:4}: loss {loss.item():.4f}")
    print()
    print(model.write("Shall I compare thee", 200))


if __name__ == "__main__":
    main()
