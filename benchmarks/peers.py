"""The libraries that take turns, and how each is handed arrays and one line of code."""

import importlib
import os
from importlib import metadata
from itertools import repeat

import numpy as np

from . import programs

ORDER = ("hadamard", "torch", "numpy", "jax", "mlx", "numexpr")


def environment(threads):
    """Variables that give every library that many threads; they are read when the libraries are imported."""
    names = ("HADAMARD", "OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    flags = {f"{name}_NUM_THREADS": str(threads) for name in names}
    if threads == 1:
        flags["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**os.environ, **flags, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1", "NUMEXPR_MAX_THREADS": str(threads)}


class Peer:
    """A library whose code is the row's `spelling` line, run as it stands."""

    spelling = "numpy"

    def __init__(self, name, module):
        self.name, self.module = name, module
        self.version = getattr(module, "__version__", None) or metadata.version(name)

    def array(self, x):
        return x

    def numpy(self, y):
        return np.asarray(y)

    def prepare(self, row, arrays, clock):
        """A function that runs the row's line n times and returns the seconds, and one that returns its value."""
        scope = {"T": self.module, "np": self.module, **{k: self.array(v) for k, v in arrays.items()}}
        line = self.line(row, scope)
        names = ", ".join(scope)
        text = f"def timed(n, clock, repeat, {names}):\n"
        text += "  start = clock()\n  for _ in repeat(None, n):\n"
        text += f"    {line}\n  return clock() - start\n"
        text += f"def value({names}):\n  return {line}\n"
        made = {}
        exec(compile(text, row.name, "exec"), made)
        values = list(scope.values())
        return (lambda n: made["timed"](n, clock, repeat, *values)), (lambda: self.numpy(made["value"](*values)))

    def line(self, row, scope):
        if row.code[self.spelling] == "step()":
            scope["step"] = programs.IN_NUMPY[row.name](self.module)
        return row.code[self.spelling]


class TorchLike(Peer):
    spelling = "torch"

    def array(self, x):
        return self.module.from_numpy(x)

    def numpy(self, y):
        if not hasattr(y, "detach"):
            return np.asarray(y)
        y = y.detach()
        return (y.float() if y.dtype == self.module.bfloat16 else y).numpy()

    def line(self, row, scope):
        if row.setup:
            scope["programs"] = programs.IN_TORCH
            made = dict(scope)  # functions that the setup makes keep this, with its builtins
            exec(row.setup, made)
            scope.update({k: v for k, v in made.items() if k != "__builtins__"})
        return row.code["torch"]


class Jax(Peer):
    def __init__(self, name, module):
        super().__init__(name, importlib.import_module("jax.numpy"))
        self.jit = module.jit

    def array(self, x):
        return self.module.asarray(x)

    def line(self, row, scope):
        names = [k for k in scope if k not in ("T", "np")]
        code = row.code.get("jax") or row.code["numpy"]
        scope["f"] = self.jit(eval(f"lambda {', '.join(names)}: {code}", {"np": self.module}))
        return f"f({', '.join(names)}).block_until_ready()"


class Mlx(Peer):
    def __init__(self, name, module):
        super().__init__(name, importlib.import_module("mlx.core"))
        self.module.set_default_device(self.module.cpu)

    def array(self, x):
        return self.module.array(x)

    def line(self, row, scope):
        scope["run"] = lambda y, run=self.module.eval: run(y) or y
        return f"run({row.code.get('mlx') or row.code['numpy']})"


class Numexpr(Peer):
    spelling = "numexpr"


KINDS = {"hadamard": TorchLike, "torch": TorchLike, "jax": Jax, "mlx": Mlx, "numexpr": Numexpr}
# Where the line for one library is not written, its family's is used, unless the row names the libraries it is for.
FAMILY = {"hadamard": "torch", "torch": "torch", "numpy": "numpy", "jax": "numpy", "mlx": "numpy", "numexpr": "numexpr"}


def installed(threads, wanted=ORDER):
    """The peers that can be imported, ours first."""
    found = {}
    for name in wanted:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        found[name] = KINDS.get(name, Peer)(name, module)
        if hasattr(module, "set_num_threads") and name != "numexpr":
            module.set_num_threads(threads)
    return found


def applies(name, row):
    """Whether that library takes part in a row."""
    return (name in row.code or FAMILY[name] in row.code) and name not in row.without
