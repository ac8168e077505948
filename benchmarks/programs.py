"""Whole programs, written once in PyTorch's words: each builder takes the library and returns one step of it."""

import numpy as np


def data(T, *shape, classes=0):
    """Numbers from NumPy, so that every library sees the same."""
    rng = np.random.default_rng(sum(shape))
    if classes:
        return T.from_numpy(rng.integers(0, classes, shape))
    return T.from_numpy(rng.standard_normal(shape, "f4"))


def trained(T, model, loss, x, t, make_optimizer):
    optimizer = make_optimizer(model.parameters())

    def step():
        optimizer.zero_grad()
        loss(model(x), t).backward()
        optimizer.step()

    return step


def perceptron(*sizes, batch, optimizer, regression=False):
    def build(T):
        nn = T.nn
        T.manual_seed(0)
        layers = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        x = data(T, batch, sizes[0])
        t = data(T, batch, sizes[-1]) if regression else data(T, batch, classes=sizes[-1])
        loss = nn.MSELoss() if regression else nn.CrossEntropyLoss()
        make = getattr(T.optim, optimizer)
        return trained(T, nn.Sequential(*layers[:-1]), loss, x, t, lambda p: make(p, lr=1e-3))

    return build


def convolutions(T):
    nn = T.nn
    T.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip
    x, t = data(T, 32, 1, 28, 28), data(T, 32, classes=10)
    return trained(T, model, nn.CrossEntropyLoss(), x, t, lambda p: T.optim.SGD(p, lr=1e-3, momentum=0.9))


def recurrent(kind):
    """The rows of an image one after another, the last state to ten classes."""

    def build(T):
        nn = T.nn

        class Rows(nn.Module):
            def __init__(self):
                super().__init__()
                self.rows, self.out = getattr(nn, kind)(28, 128, batch_first=True), nn.Linear(128, 10)

            def forward(self, x):
                return self.out(self.rows(x)[0][:, -1])

        T.manual_seed(0)
        x, t = data(T, 64, 28, 28), data(T, 64, classes=10)
        return trained(T, Rows(), nn.CrossEntropyLoss(), x, t, lambda p: T.optim.SGD(p, lr=1e-3))

    return build


def sigmoid_network(T):
    """Nielsen's network, one sample at a time: forward and backward by the library."""
    w1, b1 = data(T, 200, 784) * 0.05, data(T, 200) * 0.05
    w2, b2 = data(T, 10, 200) * 0.05, data(T, 10) * 0.05
    parameters = [p.requires_grad_() for p in (w1, b1, w2, b2)]
    x, t = data(T, 784), data(T, 10)

    def step():
        y = T.sigmoid(w2 @ T.sigmoid(w1 @ x + b1) + b2)
        ((y - t) ** 2).sum().backward()
        with T.no_grad():
            for p in parameters:
                p -= 1e-4 * p.grad
                p.grad = None

    return step


def sigmoid_network_by_hand(np):
    """The same step in plain NumPy, its derivatives written out."""
    rng = np.random.default_rng(0)
    w1, b1 = rng.standard_normal((200, 784), "f4") * 0.05, rng.standard_normal(200, "f4") * 0.05
    w2, b2 = rng.standard_normal((10, 200), "f4") * 0.05, rng.standard_normal(10, "f4") * 0.05
    x, t = rng.standard_normal(784, "f4"), rng.standard_normal(10, "f4")

    def step():
        nonlocal w1, b1, w2, b2
        h = 1 / (1 + np.exp(-(w1 @ x + b1)))
        y = 1 / (1 + np.exp(-(w2 @ h + b2)))
        d2 = 2 * (y - t) * y * (1 - y)
        d1 = (w2.T @ d2) * h * (1 - h)
        w2 -= 1e-4 * np.outer(d2, h)
        b2 -= 1e-4 * d2
        w1 -= 1e-4 * np.outer(d1, x)
        b1 -= 1e-4 * d1

    return step


def encoder(T, width, heads, inner, layers):
    nn, F = T.nn, T.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

        def forward(self, x):
            b, n, _ = x.shape
            q, k, v = self.qkv(x).view(b, n, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
            x = self.norm1(x + self.out(y))
            return self.norm2(x + self.down(F.gelu(self.up(x))))

    T.manual_seed(0)
    return nn.Sequential(*[Block() for _ in range(layers)])


def transformer(T):
    model = encoder(T, 128, 4, 512, 2)
    x, g = data(T, 8, 64, 128), data(T, 8, 64, 128)

    def step():
        for p in model.parameters():
            p.grad = None
        model(x).backward(g)

    return step


def sentences(batch, length=64):
    """MiniLM-L6's shape with random weights: embeddings and six blocks, averaged to one vector a sentence."""

    def build(T):
        model, table = encoder(T, 384, 12, 1536, 6), data(T, 30522, 384)
        tokens = data(T, batch, length, classes=30522)

        def step():
            with T.no_grad():
                return T.nn.functional.normalize(model(table[tokens]).mean(1), dim=-1)

        return step

    return build


IN_TORCH = {
    "SGD step, 3-20-1, batch 32": perceptron(3, 20, 1, batch=32, optimizer="SGD", regression=True),
    "Adam step, 64-128-10, batch 64": perceptron(64, 128, 10, batch=64, optimizer="Adam"),
    "MLP 784-512-10, batch 128, SGD": perceptron(784, 512, 10, batch=128, optimizer="SGD"),
    "MLP 784-512-10, batch 128, Adam": perceptron(784, 512, 10, batch=128, optimizer="Adam"),
    "sigmoid network 784-200-10, one sample": sigmoid_network,
    "conv net on 28x28, batch 32": convolutions,
    "LSTM over 28 rows, batch 64, SGD": recurrent("LSTM"),
    "GRU over 28 rows, batch 64, SGD": recurrent("GRU"),
    "transformer, forward and backward": transformer,
    "MiniLM-L6 shape, batch 1": sentences(1),
    "MiniLM-L6 shape, batch 32": sentences(32),
}
IN_NUMPY = {"sigmoid network 784-200-10, one sample": sigmoid_network_by_hand}
