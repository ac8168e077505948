"""From one seed to the same losses, step by step, as on torch: weights, shuffles, dropout, gradients, updates."""

import math
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from harness import H

EXAMPLES = Path(__file__).parent.parent / "examples"


def digits(lib, steps):
    """The digits example: convolutions, batch norm, Adam, shuffled batches."""
    source = (EXAMPLES / "digits.py").read_text()
    source = source.replace("import torch\n", "").replace("import torch.nn as nn\n", "")
    source = source.replace("import torch.nn.functional as F\n", "")
    source = source.replace("from torch.optim import Adam\n", "")
    source = source.replace("from torch.utils.data import DataLoader, TensorDataset\n", "")
    words = {
        "torch": lib,
        "nn": lib.nn,
        "F": lib.nn.functional,
        "Adam": lib.optim.Adam,
        "DataLoader": lib.utils.data.DataLoader,
        "TensorDataset": lib.utils.data.TensorDataset,
        "__file__": str(EXAMPLES / "digits.py"),
        "__name__": "digits",
    }
    exec(source, words)
    lib.manual_seed(0)
    train_set, _ = words["load_digits"]()
    loader = lib.utils.data.DataLoader(train_set, batch_size=64, shuffle=True)
    model = words["Reader"]()
    optimizer = lib.optim.Adam(model.parameters(), lr=2e-3)
    batches = (batch for _ in cycle([0]) for batch in loader)
    for _ in range(steps):
        images, wanted = next(batches)
        optimizer.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(images), wanted)
        loss.backward()
        optimizer.step()
        yield loss.item()


def transformer(lib, steps):
    """A small language model: embeddings, causal attention, dropout, AdamW, warm-up, clipping."""
    nn = lib.nn
    lib.manual_seed(1)
    text = (EXAMPLES / "data" / "sonnets.txt").read_bytes()[:4000]
    letters = sorted(set(text))
    data = lib.tensor([letters.index(byte) for byte in text])

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.letters, self.places = nn.Embedding(len(letters), 32), nn.Embedding(24, 32)
            layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
            self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(32), enable_nested_tensor=False)
            self.scores = nn.Linear(32, len(letters))

        def forward(self, x):
            mask = nn.Transformer.generate_square_subsequent_mask(x.size(1))
            h = self.letters(x) + self.places(lib.arange(x.size(1)))
            return self.scores(self.layers(h, mask=mask, is_causal=True))

    model = Model()
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    plan = lib.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 10) * 0.5 * (1 + math.cos(step / steps))
    )
    for _ in range(steps):
        starts = lib.randint(0, len(data) - 25, (8,))
        x = lib.stack([data[i : i + 24] for i in starts])
        y = lib.stack([data[i + 1 : i + 25] for i in starts])
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x).transpose(1, 2), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        plan.step()
        yield loss.item()


@pytest.mark.parametrize("program", [digits, transformer])
def test_losses_of_100_steps(program):
    torch = pytest.importorskip("torch")
    mine, theirs = list(program(H, 100)), list(program(torch, 100))
    assert mine[-1] < 0.8 * mine[0]
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linspace_has_torchs_bits(dtype):
    """Its middle between -a and a is a rounding error, not 0, and prints as one."""
    torch = pytest.importorskip("torch")
    for start, end in ((3, -3), (-1.2, 1.2), (0, 1), (-math.pi, math.pi), (0.1, 7)):
        for steps in (1, 2, 5, 11, 16, 25, 100, 2001):
            ours, theirs = (lib.linspace(start, end, steps, dtype=getattr(lib, dtype)) for lib in (H, torch))
            assert ours.tolist() == theirs.tolist()
