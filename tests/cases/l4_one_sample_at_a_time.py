"""A 784-200-10 sigmoid network trained sample by sample learns the same in NumPy and in tensors."""

import numpy as np
import torch

rng = np.random.default_rng(0)
w1, w2 = rng.normal(0, 784**-0.5, (200, 784)).astype(np.float32), rng.normal(0, 200**-0.5, (10, 200)).astype(np.float32)
samples = rng.random((40, 784)).astype(np.float32)
labels = np.full((40, 10), 0.01, np.float32)
labels[np.arange(40), np.arange(40) % 10] = 0.99


def train_in_numpy(a, b):
    for x, t in zip(samples, labels):
        hidden = 1 / (1 + np.exp(-(a @ x)))
        y = 1 / (1 + np.exp(-(b @ hidden)))
        error = (t - y) * y * (1 - y)
        back = (b.T @ error) * hidden * (1 - hidden)
        b += 0.1 * np.outer(error, hidden)
        a += 0.1 * np.outer(back, x)
    return a, b


def train_in_tensors(a, b):
    for x, t in zip(torch.from_numpy(samples), torch.from_numpy(labels)):
        hidden = torch.sigmoid(a @ x)
        y = torch.sigmoid(b @ hidden)
        error = (t - y) * y * (1 - y)
        back = (b.t() @ error) * hidden * (1 - hidden)
        b += 0.1 * torch.outer(error, hidden)
        a += 0.1 * torch.outer(back, x)
    return a, b


for n, t in zip(train_in_numpy(w1.copy(), w2.copy()), train_in_tensors(torch.tensor(w1), torch.tensor(w2))):
    assert np.abs(n - t.numpy()).max() < 1e-5
