"""`python -m benchmarks.memory`: the most memory that each whole program takes, beside PyTorch (Linux).

Each program runs three steps in a process of its own with one thread. What is counted is its peak of resident memory
above that of the process which has imported the library and done one small step of training.
"""

import argparse
import importlib
import subprocess
import sys

from . import peers, programs

LIBRARIES = {"ours": "hadamard", "torch": "torch"}


def _status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1024


def taken(library, program):
    """MiB that the program takes in this process."""
    T = importlib.import_module(library)
    T.set_num_threads(1)
    warm = programs.perceptron(4, 4, batch=4, optimizer="SGD")(T)
    warm()
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # forgets the peak so far
    before = _status("VmRSS")
    step = programs.IN_TORCH[program](T)
    for _ in range(3):
        step()
    return _status("VmHWM") - before


def in_child(library, program):
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", library, program]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=peers.environment(1)).stdout)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return print(taken(*given.child))
    print(f"{'program':<44}" + "".join(f"{name + ', MiB':>12}" for name in LIBRARIES) + f"{'ratio':>8}")
    for program in programs.IN_TORCH:
        ours, torch = (in_child(module, program) for module in LIBRARIES.values())
        print(f"{program:<44}{ours:12.1f}{torch:12.1f}{ours / torch:8.2f}", flush=True)


if __name__ == "__main__":
    main()
