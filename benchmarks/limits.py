"""The machine's own limits, measured by a few lines of C compiled on the spot."""

import ctypes
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

SIZE = 256 << 20  # bytes copied and read: past every cache


def machine():
    """Name of the processor, cores and system, for the report."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = lines[0] if lines else name
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def load():
    """The compiled limits.c, or None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "limits.so")
        source = Path(__file__).with_name("limits.c")
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-w"]
        if subprocess.run([compiler, *flags, str(source), "-o", str(library)], capture_output=True).returncode:
            return None
        lib = ctypes.CDLL(str(library))
    pointer, long = ctypes.c_void_p, ctypes.c_long
    for name, types in {
        "fma_f32": [long],
        "fma_f64": [long],
        "dot_i8": [long],
        "copy_lines": [pointer, pointer, long],
        "read_lines": [pointer, long, pointer],
        "touch_pages": [long, ctypes.c_int],
    }.items():
        getattr(lib, name).argtypes = types
        getattr(lib, name).restype = ctypes.c_double
    return lib


def rate(calls, rounds):
    """What the calls, each on a thread of its own, return per second together: the best of some rounds."""
    best = 0.0
    for _ in range(rounds):
        done = [0.0] * len(calls)

        def work(i, done=done):
            done[i] = calls[i]()

        threads = [threading.Thread(target=work, args=(i,)) for i in range(1, len(calls))]
        start = time.perf_counter()
        for t in threads:
            t.start()
        work(0)
        for t in threads:
            t.join()
        best = max(best, sum(done) / (time.perf_counter() - start))
    return best


def probe(threads, clock):
    """A function that says how many multiply-adds of "f32", "f64" or "int8" a second the machine does just now, on that
    many threads: what it can do changes with its clock and with who shares it. None where there is no compiler."""
    lib = load()
    if lib is None:
        return None
    functions = {"f32": lib.fma_f32, "f64": lib.fma_f64, "int8": lib.dot_i8}

    def now(real):
        def call():
            return functions[real](1_000_000)

        if threads > 1:
            return rate([call] * threads, 1)
        begun = clock()
        done = call()
        return done / (clock() - begun)

    return now


def measure(threads=1, rounds=9):
    """{"fma f32": operations per second, "fma f64", "fma int8", "copy" and "read": bytes per second, "page" and
    "huge page": seconds per fresh 4 KiB}, on that many threads; {} where there is no compiler."""
    lib = load()
    if lib is None:
        return {}
    lines = SIZE // 64 // threads
    room = np.ones((2, SIZE // 4 + 16), "f4")
    at = [r.ctypes.data + (-r.ctypes.data) % 64 for r in room]
    sink = ctypes.c_float()

    def copy(i):
        return lambda: lib.copy_lines(at[1] + i * lines * 64, at[0] + i * lines * 64, lines)

    def read(i):
        return lambda: lib.read_lines(at[0] + i * lines * 64, lines, ctypes.byref(sink))

    def fresh(huge):
        found = []
        for _ in range(3):
            start = time.perf_counter()
            pages = lib.touch_pages(64 << 20, huge)
            found.append((time.perf_counter() - start) / pages)
        return statistics.median(found)

    int8 = rate([lambda: lib.dot_i8(2_000_000)] * threads, rounds)
    return ({"fma int8": int8} if int8 else {}) | {
        "fma f32": rate([lambda: lib.fma_f32(2_000_000)] * threads, rounds),
        "fma f64": rate([lambda: lib.fma_f64(2_000_000)] * threads, rounds),
        "copy": rate([copy(i) for i in range(threads)], rounds),
        "read": rate([read(i) for i in range(threads)], rounds),
        "page": fresh(0),
        "huge page": fresh(1),
    }
