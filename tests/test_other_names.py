"""Modules that programs import in passing: they are there, do what they can, and say what they cannot."""

import os
import signal

import pytest
from harness import OURS, H

pytestmark = pytest.mark.skipif(not OURS, reason="what is not there in torch's place")


def test_backends_can_be_imported_and_set():
    import hadamard.backends.cudnn as cudnn

    cudnn.benchmark = True
    H.backends.cuda.matmul.allow_tf32 = True
    assert H.backends.cudnn is cudnn and not cudnn.is_available() and not H.backends.mps.is_available()


def test_functions_marked_for_a_compiler_run_as_they_are():
    @H.jit.script
    def twice(x):
        return 2 * x

    @H.jit.ignore
    def plain(x):
        return x

    @H.compiler.disable
    def other(x):
        return x

    assert twice(3) == 6 and plain(3) == other(3) == 3 and H.compile(twice) is twice
    layer = H.nn.Linear(2, 2)
    assert H.jit.trace(layer, H.ones(1, 2)) is layer and not H.jit.is_scripting() and not H.compiler.is_compiling()
    with pytest.raises(RuntimeError, match="TorchScript"):
        H.jit.load("x.pt")


def square(i, queue, base):
    queue.put((i, (H.tensor(base + i) ** 2).item()))


def fail(i):
    if i == 1:
        raise ValueError("in the second")
    signal.pause()


def killed(i):
    os.kill(os.getpid(), signal.SIGKILL)


def test_spawn():
    mp = H.multiprocessing
    queue = mp.get_context("fork").SimpleQueue()
    mp.spawn(square, (queue, 3), nprocs=2, start_method="fork")
    assert sorted(queue.get() for _ in range(2)) == [(0, 9), (1, 16)]


def test_a_process_that_fails_ends_the_others():
    mp = H.multiprocessing
    with pytest.raises(mp.ProcessRaisedException, match="(?s)Process 1 terminated.*ValueError: in the second"):
        mp.spawn(fail, nprocs=2, start_method="fork")
    with pytest.raises(mp.ProcessExitedException, match="process 0 terminated with signal SIGKILL"):
        mp.spawn(killed, start_method="fork")
