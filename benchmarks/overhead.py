"""What a call costs before any arithmetic: tiny operands, no threads, against torch and NumPy where installed.

python benchmarks/overhead.py [--rounds N]: every figure is a median over rounds in which the peers take turns.
"""

import argparse
import importlib
import statistics
import time

N = 4  # elements


def calls(module):
    """name -> a function of no arguments, for a module with torch's names."""
    a, b = module.ones(N), module.ones(N)
    square = module.ones(N, N)
    w, m = module.ones(N, requires_grad=True), module.ones(N, N, requires_grad=True)

    def backward():
        (w * b).sum().backward()

    return {
        "a * b": lambda: a * b,
        "a + 1": lambda: a + 1,
        "a.mul_(b)": lambda: a.mul_(b),
        "a * b, recorded": lambda: w * b,
        "(w * b).sum().backward()": backward,
        "a.sum()": lambda: a.sum(),
        "dot": lambda: module.dot(a, b),
        "4x4 @": lambda: square @ square,
        "4x4 @, recorded": lambda: m @ square,
        "exp": lambda: a.exp(),
        "a[1]": lambda: a[1],
        "a[1:3]": lambda: a[1:3],
        "reshape": lambda: square.reshape(-1),
        "t": lambda: square.t(),
        "item": lambda: a[0].item(),
        "zeros": lambda: module.zeros(N),
        "tensor([...])": lambda: module.tensor([1.0, 2.0, 3.0, 4.0]),
    }


def numpy_calls():
    import numpy as np

    a, b, square = np.ones(N, "f4"), np.ones(N, "f4"), np.ones((N, N), "f4")
    return {
        "a * b": lambda: a * b,
        "a + 1": lambda: a + 1,
        "a.mul_(b)": lambda: np.multiply(a, b, out=a),
        "a.sum()": lambda: a.sum(),
        "dot": lambda: np.dot(a, b),
        "4x4 @": lambda: square @ square,
        "exp": lambda: np.exp(a),
        "a[1]": lambda: a[1],
        "a[1:3]": lambda: a[1:3],
        "reshape": lambda: square.reshape(-1),
        "t": lambda: square.T,
        "item": lambda: a[0].item(),
        "zeros": lambda: np.zeros(N, "f4"),
        "tensor([...])": lambda: np.array([1.0, 2.0, 3.0, 4.0], "f4"),
    }


def nanoseconds(f, count):
    start = time.perf_counter_ns()
    for _ in range(count):
        f()
    return (time.perf_counter_ns() - start) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    peers = {}
    for name in ("hadamard", "torch"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        module.set_num_threads(1)
        peers[name] = calls(module)
    peers["numpy"] = numpy_calls()

    print("nanoseconds a call".ljust(26) + "".join(f"{name:>11}" for name in peers))
    for row in peers["hadamard"]:
        times = {name: [] for name in peers if row in peers[name]}
        for _ in range(given.rounds):
            for name, found in times.items():
                found.append(nanoseconds(peers[name][row], given.count))
        cells = [f"{statistics.median(times[name]):11.0f}" if name in times else " " * 10 + "-" for name in peers]
        print(row.ljust(26) + "".join(cells))


if __name__ == "__main__":
    main()
