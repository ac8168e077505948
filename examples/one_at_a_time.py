"""A network of sigmoids that learns handwritten digits from one image at a time, as first courses build it.

One learns: what nn.Linear and an optimiser do, written out; and why one trains on batches: products this small cost
hardly more than the call.
"""

import gzip
from pathlib import Path

import torch

DATA = Path(__file__).parent / "data" / "digits.csv.gz"
INPUTS, HIDDEN, OUTPUTS, RATE = 64, 100, 10, 0.2


def load_digits():
    """Images (1797, 64) with values from 0.01 to 1, and the digit in each."""
    with gzip.open(DATA, "rt") as file:
        rows = torch.tensor([[float(number) for number in line.split(",")] for line in file])
    return rows[:, :64] / 16 * 0.99 + 0.01, rows[:, 64].long()


class Network:
    """Two layers of weights without bias; both layers end in a sigmoid."""

    def __init__(self):
        self.hidden = (torch.randn(HIDDEN, INPUTS) * INPUTS**-0.5).requires_grad_()
        self.output = (torch.randn(OUTPUTS, HIDDEN) * HIDDEN**-0.5).requires_grad_()

    def __call__(self, image):
        return torch.sigmoid(self.output @ torch.sigmoid(self.hidden @ image))

    def learn(self, image, target):
        error = ((self(image) - target) ** 2).sum()
        error.backward()
        with torch.no_grad():
            for weights in (self.hidden, self.output):
                weights -= RATE * weights.grad
                weights.grad = None
        return error.item()


torch.manual_seed(0)
images, digits = load_digits()
for_test = torch.arange(len(digits)) % 5 == 0
targets = torch.full((10, 10), 0.01).fill_diagonal_(0.99)

network = Network()
for epoch in range(3):
    total = 0.0
    for image, digit in zip(images[~for_test], digits[~for_test].tolist(), strict=True):
        total += network.learn(image, targets[digit])
    with torch.no_grad():
        read = torch.stack([network(image) for image in images[for_test]]).argmax(1)
    accuracy = (read == digits[for_test]).float().mean().item()
    print(f"epoch {epoch + 1}: error {total / int((~for_test).sum()):.4f}, test accuracy {accuracy:.4f}")
