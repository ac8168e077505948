"""What this machine can do at most, probed once where it is asked for, and how long a product takes against that."""

from functools import lru_cache
from math import log2
from time import perf_counter

import hadamard as H


def _best(call, seconds=0.02) -> float:
    """The shortest of several runs: what disturbs a measurement only makes it longer."""
    call()
    start = perf_counter()
    call()
    once = max(perf_counter() - start, 1e-7)
    loops = max(1, int(2e-4 / once))
    best, end = once, perf_counter() + seconds
    while True:
        start = perf_counter()
        for _ in range(loops):
            call()
        now = perf_counter()
        best = min(best, (now - start) / loops)
        if now > end:
            return best


@lru_cache(None)
def overhead() -> float:
    """Seconds of a call on a handful of numbers."""
    from operator import mul

    return measure(mul, [H.ones(2), H.ones(2)], 0.005)


@lru_cache(None)
def arithmetic(dtype) -> float:
    """Multiply-adds a second in a product of matrices that fits the caches."""
    n = 384 if dtype in (H.float32, H.float64) else 192
    with H.no_grad():
        a = H.ones(n, n).to(dtype)
        return n**3 / _best(lambda: a @ a)


@lru_cache(None)
def bandwidth(size) -> float:
    """Bytes a second of an element-wise product whose operands and result take `size` bytes."""
    with H.no_grad():
        a, b, y = H.ones(size // 12), H.ones(size // 12), H.ones(size // 12)
        return size / _best(lambda: H.mul(a, b, out=y))


def _memory(bytes) -> float:
    """Seconds that these bytes take, at the speed of the cache that holds them."""
    size = 1 << min(max(round(log2(max(bytes, 1))), 16), 26)
    return bytes / bandwidth(size)


def _parts(e) -> dict:
    work = 0.0
    if e.plans:
        dtype = e.operands[0].dtype
        work = e.multiply_adds / arithmetic(H.int64 if dtype == H.bool else dtype)
    return {"the call": overhead(), "arithmetic": work, "memory": _memory(e.bytes)}


def expected(e) -> float:
    """Seconds at the limits: the longer of arithmetic and memory, and the call."""
    parts = _parts(e)
    return parts["the call"] + max(parts["arithmetic"], parts["memory"])


def bound(e) -> str:
    """Which of the limits it is that holds the product up."""
    parts = _parts(e)
    return max(parts, key=lambda k: parts[k])


def measure(call, operands, seconds=0.05) -> float:
    """Seconds of the call, the best of several."""
    with H.no_grad():
        return _best(lambda: call(*operands), seconds)
