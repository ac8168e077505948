"""Modules that programs import in passing: they are there, do what they can, and say what they cannot."""

import os
import signal
from contextlib import nullcontext as nothing

import pytest
from harness import OURS, H

if OURS:
    from hadamard import _tensor

pytestmark = pytest.mark.skipif(not OURS, reason="what is not there in torch's place")


def test_backends_can_be_imported_and_set():
    import hadamard.backends.cudnn as cudnn

    cudnn.benchmark = True
    H.backends.cuda.matmul.allow_tf32 = True
    assert H.backends.cudnn is cudnn and not cudnn.is_available() and not H.backends.mps.is_available()
    assert H.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    with H.backends.cudnn.flags(benchmark=False):
        assert not cudnn.benchmark
    assert cudnn.benchmark
    H.set_float32_matmul_precision("high")
    assert H.get_float32_matmul_precision() == "high"
    H.set_float32_matmul_precision("highest")


def test_there_is_no_gpu_and_every_answer_says_so():
    cuda = H.cuda
    assert not cuda.is_bf16_supported() and cuda.memory_allocated() == 0 and cuda.get_rng_state_all() == []
    for ask in (cuda.current_device, H.ones(1).cuda, lambda: H.ones(1).to("cuda"), lambda: H.ones(1, device="cuda")):
        with pytest.raises(AssertionError, match="^Torch not compiled with CUDA enabled\\n"):
            ask()
    with pytest.raises(RuntimeError, match="torch.cuda.Stream requires CUDA support"):
        cuda.Stream()
    with cuda.device(-1), cuda.stream(None):
        pass
    with pytest.warns(FutureWarning, match=r"`torch.cuda.amp.GradScaler\(args...\)` is deprecated"):
        cuda.amp.GradScaler(enabled=False)


def test_a_process_group_of_one(monkeypatch):
    dist = H.distributed
    with pytest.raises(ValueError, match="^Default process group has not been initialized"):
        dist.get_rank()
    for name, value in dict(MASTER_ADDR="localhost", MASTER_PORT="1", RANK="0", WORLD_SIZE="2").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotImplementedError, match="rank 0 of 2"):
        dist.init_process_group("gloo")
    monkeypatch.setenv("WORLD_SIZE", "1")
    dist.init_process_group("gloo")
    try:
        assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
        x, gathered, objects = H.ones(2), [H.zeros(2)], [None]
        assert dist.all_reduce(x, async_op=True).wait() and dist.barrier() is None
        dist.all_gather(gathered, x)
        dist.all_gather_object(objects, {"a": 1})
        assert H.equal(gathered[0], x) and objects == [{"a": 1}]
        model = H.nn.parallel.DistributedDataParallel(H.nn.Linear(2, 2))
        with model.no_sync():
            model(H.ones(1, 2)).sum().backward()
        assert list(model.state_dict()) == ["module.weight", "module.bias"] and model.module.bias.grad.tolist() == [
            1,
            1,
        ]
        assert list(H.utils.data.distributed.DistributedSampler(range(3), shuffle=False)) == [0, 1, 2]
    finally:
        dist.destroy_process_group()
    assert not dist.is_initialized()


def test_storage():
    x = H.arange(6.0).view(2, 3)
    with pytest.warns(UserWarning, match="^TypedStorage is deprecated") if not _tensor._told_of_storage else nothing():
        storage = x.t()[1:].storage()
    assert len(storage) == 6 and list(storage) == [0, 1, 2, 3, 4, 5] and storage.data_ptr() == x.data_ptr()
    storage[4] = 9
    assert x[1, 1] == 9 and H.is_storage(storage)
    assert (
        str(H.tensor([1, 2]).storage())
        == " 1\n 2\n[torch.storage.TypedStorage(dtype=torch.int64, device=cpu) of size 2]"
    )
    assert (
        str(H.tensor([7], dtype=H.uint8).untyped_storage())
        == " 7\n[torch.storage.UntypedStorage(device=cpu) of size 1]"
    )
    with pytest.raises(IndexError, match="index 6 out of range for storage of size 6"):
        storage[6]


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

    assert (
        H.jit.annotate(list, [1]) == [1] and H.jit.isinstance([1], list[int]) and H.jit.wait(H.jit.fork(twice, 2)) == 4
    )
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
