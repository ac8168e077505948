"""Three-by-three patches with a bias row first, times a matrix: a double loop and three vectorised forms."""

import os
import time

import torch
import torch.nn.functional as F

torch.manual_seed(0)
image = torch.randn(32, 32, 3, dtype=torch.float64)
matrix = torch.randn(10, 16, dtype=torch.float64)


def by_loop():
    y = torch.zeros(30, 30, 3, 16, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    for i in range(30):
        for j in range(30):
            for c in range(3):
                y[i, j, c] = torch.cat([one, image[i : i + 3, j : j + 3, c].reshape(-1)]) @ matrix
    return y


def by_unfold():
    columns = F.unfold(image.permute(2, 0, 1).unsqueeze(1), 3)  # (3, 9, 900)
    return (columns.transpose(1, 2) @ matrix[1:] + matrix[0]).reshape(3, 30, 30, 16).permute(1, 2, 0, 3)


def by_windows():
    windows = image.unfold(0, 3, 1).unfold(1, 3, 1)  # (30, 30, 3, 3, 3)
    return torch.einsum("ijcab,abo->ijco", windows, matrix[1:].reshape(3, 3, 16)) + matrix[0]


def by_conv2d():
    filters = matrix[1:].t().reshape(16, 1, 3, 3)
    return F.conv2d(image.permute(2, 0, 1).unsqueeze(1), filters, matrix[0]).permute(2, 3, 0, 1)


def seconds(f, rounds):
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best


want = by_loop()
for way in (by_unfold, by_windows, by_conv2d):
    y = way()
    assert y.shape == (30, 30, 3, 16) and torch.allclose(y, want, rtol=1e-12, atol=1e-12), way.__name__
    if os.environ.get("HADAMARD_TEST_SPEED", "1") != "0":
        times = seconds(way, 30), seconds(by_loop, 3)
        assert times[0] * 30 < times[1], f"{way.__name__}: {times[0]} against {times[1]}"
