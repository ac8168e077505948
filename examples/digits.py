"""Learn to read handwritten digits: an ordinary PyTorch script, a few seconds on one core.

hadamard run examples/digits.py [--plot digits.png] [--save weights.pt]
python examples/digits.py            (the same file on PyTorch)
"""

import argparse
import gzip
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import Adam
from torch.utils.data import DataLoader, TensorDataset

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

DATA = Path(__file__).parent / "data" / "digits.csv.gz"


def load_digits():
    """1,797 images of 8×8 as (training set, test set); every fifth image is for testing."""
    with gzip.open(DATA, "rt") as file:
        rows = torch.tensor([[float(number) for number in line.split(",")] for line in file])
    images, digits = rows[:, :64].reshape(-1, 1, 8, 8) / 16, rows[:, 64].long()
    for_test = torch.arange(len(rows)) % 5 == 0
    return TensorDataset(images[~for_test], digits[~for_test]), TensorDataset(images[for_test], digits[for_test])


class Reader(nn.Module):
    """Two convolutions with batch norm, then one linear layer: images (N, 1, 8, 8) to scores (N, 10)."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.classify = nn.Linear(32 * 4 * 4, 10)

    def forward(self, images):
        return self.classify(self.features(images).flatten(1))


def train_epoch(model, loader, optimizer):
    """One pass over the training set; the mean loss."""
    model.train()
    total = 0.0
    for images, digits in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), digits)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(digits)
    return total / len(loader.dataset)


@torch.no_grad()
def test(model, dataset):
    """(accuracy, mean loss, the digit read in each image)."""
    model.eval()
    images, digits = dataset.tensors
    scores = model(images)
    read = scores.argmax(1)
    return (read == digits).float().mean().item(), F.cross_entropy(scores, digits).item(), read


def plot(path, history, dataset, read):
    """Write the learning curves and up to ten misread digits to a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 6.5), layout="constrained")
    curves, misread = figure.subfigures(2, 1, height_ratios=[1.3, 1])
    loss, accuracy = curves.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    for column, label in enumerate(["training", "test"]):
        loss.plot(epochs, [values[column] for values in history], label=label)
    loss.set(title="cross entropy", xlabel="epoch", yscale="log")
    loss.legend()
    accuracy.plot(epochs, [100 * values[2] for values in history], color="C1")
    accuracy.set(title="test accuracy, %", xlabel="epoch")

    images, digits = dataset.tensors
    wrong = (read != digits).nonzero().flatten().tolist()
    misread.suptitle(f"misread: {len(wrong)} of {len(digits)}")
    for k, axes in enumerate(misread.subplots(1, 10)):
        axes.axis("off")
        if k < len(wrong):
            i = wrong[k]
            axes.imshow(images[i, 0].numpy(), cmap="gray_r")
            axes.set_title(f"{digits[i].item()} read as {read[i].item()}", fontsize=8)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main():
    parser = argparse.ArgumentParser(description="Learn to read handwritten digits.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE.png", help="write learning curves and misread digits")
    parser.add_argument("--save", metavar="FILE.pt", help="write the weights, for pretrained.py")
    args = parser.parse_args()
    if args.plot:  # what is missing is said before the training, not after it
        import matplotlib  # noqa: F401

        if not Path(args.plot).resolve().parent.is_dir():
            parser.error(f"--plot: there is no directory {Path(args.plot).parent}")

    start = time.perf_counter()
    torch.manual_seed(args.seed)
    train_set, test_set = load_digits()
    loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    model = Reader()
    optimizer = Adam(model.parameters(), lr=args.lr)

    history = []
    epochs = tqdm(range(args.epochs), unit="epoch") if tqdm else range(args.epochs)
    for epoch in epochs:
        train_loss = train_epoch(model, loader, optimizer)
        accuracy, test_loss, read = test(model, test_set)
        history.append((train_loss, test_loss, accuracy))
        line = f"loss {train_loss:.4f}, test accuracy {accuracy:.1%}"
        if tqdm:
            epochs.set_postfix_str(line)
        else:
            print(f"epoch {epoch + 1}/{args.epochs}: {line}")

    print(f"test accuracy {accuracy:.2%} ({int((read != test_set.tensors[1]).sum())} of {len(test_set)} misread)")
    print(f"time {time.perf_counter() - start:.1f} s")
    if args.save:
        torch.save(model.state_dict(), args.save)
        print(f"wrote {args.save}")
    if args.plot:
        plot(args.plot, history, test_set, read)


if __name__ == "__main__":
    main()
