"""Datasets, samplers, collation and the loader: sample for sample as torch's, and by their definitions."""

import doctest
import importlib
import inspect
import os
import random
import subprocess
import sys
import time
import warnings
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from harness import OURS, H

data = H.utils.data
Point = namedtuple("Point", "a b")


def oracle():
    return pytest.importorskip("torch")


def plain(x):
    """Tensors as arrays with their dtype, at any depth."""
    if hasattr(x, "detach"):
        return x.dtype.is_floating_point, x.tolist()
    if isinstance(x, dict):
        return type(x).__name__, {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [plain(v) for v in x]
    return x


def pairs(lib):
    return lib.utils.data.TensorDataset(lib.arange(20.0).view(10, 2), lib.arange(10))


def stream(lib, n=7):
    class Stream(lib.utils.data.IterableDataset):
        def __iter__(self):
            info = lib.utils.data.get_worker_info()
            start, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(start, n, step))

    return Stream()


def loader(lib, dataset, *args, **kwargs):
    return lib.utils.data.DataLoader(dataset, *args, **kwargs)


CASES = {
    "order": lambda lib: list(loader(lib, pairs(lib), 3)),
    "shuffle": lambda lib: list(loader(lib, pairs(lib), 3, shuffle=True)),
    "epochs": lambda lib: [list(d) for d in [loader(lib, pairs(lib), 4, True, drop_last=True)] for _ in range(3)],
    "generator": lambda lib: list(loader(lib, pairs(lib), 4, shuffle=True, generator=lib.Generator().manual_seed(5))),
    "one-by-one": lambda lib: list(loader(lib, pairs(lib), None)),
    "sampler": lambda lib: list(loader(lib, pairs(lib), 2, sampler=[3, 2, 1])),
    "batch_sampler": lambda lib: list(loader(lib, pairs(lib), batch_sampler=[[0, 1], [5]])),
    "collate_fn": lambda lib: list(loader(lib, range(5), 2, collate_fn=sum)),
    "stream": lambda lib: list(loader(lib, stream(lib), 3)),
    "stream-drop": lambda lib: list(loader(lib, stream(lib), 3, drop_last=True)),
    "stream-one": lambda lib: list(loader(lib, stream(lib), None)),
    "empty": lambda lib: list(loader(lib, [], 3)),
    "split": lambda lib: [p.indices for p in lib.utils.data.random_split(range(10), [3, 7])],
    "split-fractions": lambda lib: [
        p.indices for p in lib.utils.data.random_split(range(11), [0.3, 0.3, 0.4], lib.Generator().manual_seed(1))
    ],
    "random": lambda lib: list(lib.utils.data.RandomSampler(range(5))),
    "random-more": lambda lib: list(lib.utils.data.RandomSampler(range(5), num_samples=12)),
    "random-replacement": lambda lib: list(lib.utils.data.RandomSampler(range(5), True, num_samples=40)),
    "random-64": lambda lib: list(lib.utils.data.RandomSampler(range(5), True, num_samples=64)),
    "subset": lambda lib: list(lib.utils.data.SubsetRandomSampler([5, 6, 7])),
    "weighted": lambda lib: list(lib.utils.data.WeightedRandomSampler([0.1, 0.9, 0.3], 9)),
    "weighted-once": lambda lib: list(lib.utils.data.WeightedRandomSampler([0.1, 0.9, 0.3], 2, False)),
    "stack": lambda lib: list(loader(lib, lib.utils.data.StackDataset(pairs(lib), range(10)), 4)),
    "stack-named": lambda lib: list(loader(lib, lib.utils.data.StackDataset(a=pairs(lib), b=range(10)), 4)),
    "subset-loader": lambda lib: list(loader(lib, lib.utils.data.Subset(pairs(lib), [1, 3, 5]), 2)),
    "concat": lambda lib: (pairs(lib) + pairs(lib))[12],
    "chain": lambda lib: list(lib.utils.data.ChainDataset([stream(lib), stream(lib)])),
    "workers": lambda lib: list(loader(lib, pairs(lib), 3, shuffle=True, num_workers=2)),
    "workers-stream": lambda lib: list(loader(lib, stream(lib), 3, num_workers=2)),
    "workers-epochs": lambda lib: [
        list(d) for d in [loader(lib, pairs(lib), 3, True, num_workers=2, persistent_workers=True)] for _ in range(3)
    ],
    "workers-seeds": lambda lib: list(loader(lib, range(4), 1, num_workers=2, collate_fn=lambda b: lib.rand(2))),
    "lengths": lambda lib: [
        len(loader(lib, range(10), 3)),
        len(loader(lib, range(10), 3, drop_last=True)),
        len(loader(lib, range(10), None)),
        len(pairs(lib) + pairs(lib)),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_samples_are_torchs(name):
    """The same samples in the same batches, and the random stream left at the same place."""
    torch = oracle()
    got = []
    for lib in (H, torch):
        lib.manual_seed(3)
        got.append((plain(CASES[name](lib)), lib.rand(2).tolist()))
    assert got[0] == got[1]


BATCHES = {
    "ints": lambda lib: [1, 2],
    "floats": lambda lib: [1.5, 2.0],
    "mixed": lambda lib: [1, 2.5],
    "bools": lambda lib: [True, False],
    "strings": lambda lib: ["a", "b"],
    "bytes": lambda lib: [b"a", b"b"],
    "tensors": lambda lib: [lib.ones(2), lib.zeros(2)],
    "tuples": lambda lib: [(1, 2.0), (3, 4.0)],
    "lists": lambda lib: [[1, "x"], [3, "y"]],
    "dicts": lambda lib: [{"a": 1, "b": (1, 2)}, {"a": 2, "b": (3, 4)}],
    "ordered": lambda lib: [OrderedDict(a=1), OrderedDict(a=3)],
    "named": lambda lib: [Point(1, 2.0), Point(3, 4.0)],
    "ranges": lambda lib: [range(2), range(2)],
    "arrays": lambda lib: [np.ones(2), np.zeros(2)],
    "float32": lambda lib: [np.float32(1), np.float32(2)],
    "float64": lambda lib: [np.float64(1), np.float64(2)],
    "int64": lambda lib: [np.int64(1), np.int64(2)],
    "bool_": lambda lib: [np.bool_(True), np.bool_(False)],
}


@pytest.mark.parametrize("name", BATCHES)
def test_collate_is_torchs(name):
    torch = oracle()
    made = [lib.utils.data.default_collate(BATCHES[name](lib)) for lib in (H, torch)]
    assert plain(made[0]) == plain(made[1])
    if hasattr(made[0], "dtype"):
        assert str(made[0].dtype) == str(made[1].dtype)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_process_gets_its_part(shuffle, drop_last):
    torch = oracle()
    parts = []
    for lib in (H, torch):
        for rank in range(3):
            sampler = lib.utils.data.DistributedSampler(range(11), 3, rank, shuffle, seed=5, drop_last=drop_last)
            sampler.set_epoch(2)
            parts.append((list(sampler), len(sampler)))
    assert parts[:3] == parts[3:]
    with pytest.raises(ValueError, match="process group has not been initialized"):
        data.DistributedSampler(range(3))


def test_convert():
    made = data.default_convert([np.ones(2), {"a": np.float32(3)}, (1, "a")])
    assert isinstance(made[0], H.Tensor) and made[1]["a"].dtype == H.float32 and made[2] == [1, "a"]


ERRORS = {
    "collate-object": lambda lib: lib.utils.data.default_collate([object()]),
    "collate-none": lambda lib: lib.utils.data.default_collate([None]),
    "collate-text-array": lambda lib: lib.utils.data.default_collate([np.array("a")]),
    "collate-lengths": lambda lib: lib.utils.data.default_collate([[1, 2], [3]]),
    "collate-shapes": lambda lib: lib.utils.data.default_collate([lib.ones(2), lib.ones(3)]),
    "collate-keys": lambda lib: lib.utils.data.default_collate([{"a": 1}, {"b": 1}]),
    "batch_size": lambda lib: loader(lib, [1], 0),
    "batch_size-float": lambda lib: loader(lib, [1], 2.5),
    "empty-shuffle": lambda lib: loader(lib, [], shuffle=True),
    "workers": lambda lib: loader(lib, [1], num_workers=-1),
    "timeout": lambda lib: loader(lib, [1], timeout=-1),
    "prefetch": lambda lib: loader(lib, [1], prefetch_factor=2),
    "persistent": lambda lib: loader(lib, [1], persistent_workers=True),
    "shuffle-sampler": lambda lib: loader(lib, [1], shuffle=True, sampler=[1]),
    "batch_sampler": lambda lib: loader(lib, [1], batch_sampler=[[1]], batch_size=2),
    "drop": lambda lib: loader(lib, [1], None, drop_last=True),
    "stream-shuffle": lambda lib: loader(lib, stream(lib), shuffle=True),
    "stream-sampler": lambda lib: loader(lib, stream(lib), sampler=[1]),
    "stream-len": lambda lib: len(loader(lib, stream(lib))),
    "set": lambda lib: setattr(loader(lib, [1]), "batch_size", 3),
    "context": lambda lib: loader(lib, [1], multiprocessing_context="fork"),
    "context-name": lambda lib: loader(lib, [1], num_workers=1, multiprocessing_context="foo"),
    "context-type": lambda lib: loader(lib, [1], num_workers=1, multiprocessing_context=3),
    "concat-empty": lambda lib: lib.utils.data.ConcatDataset([]),
    "concat-index": lambda lib: lib.utils.data.ConcatDataset([[1], [2, 3]])[-4],
    "stack-sizes": lambda lib: lib.utils.data.StackDataset([1], [1, 2]),
    "stack-both": lambda lib: lib.utils.data.StackDataset([1], a=[1]),
    "tensors": lambda lib: lib.utils.data.TensorDataset(lib.ones(2), lib.ones(3)),
    "dataset": lambda lib: lib.utils.data.Dataset()[0],
    "split": lambda lib: lib.utils.data.random_split(range(10), [3, 8]),
    "replacement": lambda lib: lib.utils.data.RandomSampler([1], replacement=1),
    "num_samples": lambda lib: lib.utils.data.RandomSampler([1], num_samples=0),
    "weights": lambda lib: lib.utils.data.WeightedRandomSampler([[1.0]], 1),
    "drop_last": lambda lib: lib.utils.data.BatchSampler([1], 1, 3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    torch = oracle()
    said = []
    for lib in (H, torch):
        with pytest.raises(Exception) as caught:
            ERRORS[name](lib)
        said.append((caught.type, str(caught.value.args[0]).split("\n")[0]))
    assert said[0] == said[1]


def test_signatures_are_torchs():
    torch = oracle()
    if not OURS:
        pytest.skip("compares Hadamard with torch")
    for name in data.__all__:
        mine, theirs = getattr(data, name), getattr(torch.utils.data, name)
        got = [(p.name, p.kind) for p in inspect.signature(mine).parameters.values()]
        want = [(p.name, p.kind) for p in inspect.signature(theirs).parameters.values()]
        assert got == want, name


# By definition, torch or not


def test_every_sample_once():
    seen = [int(y) for _, batch in loader(H, pairs(H), 3, shuffle=True) for y in batch]
    assert sorted(seen) == list(range(10)) and seen != list(range(10))


def test_rows_are_the_samples():
    """The short way through a TensorDataset gives what the long one does."""
    whole = pairs(H)
    part = data.Subset(data.Subset(whole, [9, 8, 3, 1, 0]), [4, 0, 2])
    for dataset in (whole, part):
        short = list(loader(H, dataset, 2))
        long = list(loader(H, dataset, 2, collate_fn=lambda batch: data.default_collate(batch)))
        assert plain(short) == plain(long)
    with pytest.raises(IndexError):
        list(loader(H, whole, 2, sampler=[3, 10]))


def test_same_seed_same_order():
    orders = []
    for _ in range(2):
        H.manual_seed(4)
        orders.append([y.tolist() for _, y in loader(H, pairs(H), 3, shuffle=True)])
    assert orders[0] == orders[1]


def test_split_has_no_overlap():
    parts = data.random_split(range(100), [0.8, 0.2])
    assert [len(p) for p in parts] == [80, 20] and sorted(x for p in parts for x in p) == list(range(100))


class Slow(data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        if i == 5:
            raise KeyError("sample five")
        return H.full((2,), i)


def test_worker_exception_arrives():
    with pytest.raises(KeyError) as caught:
        list(loader(H, Slow(), 2, num_workers=2))
    text = str(caught.value)
    assert text.startswith("Caught KeyError in DataLoader worker process") and "sample five" in text
    assert "Original Traceback" in text


def fail(worker):
    raise ValueError(f"worker {worker} does not start")


def test_worker_init_failure_arrives():
    with pytest.raises(ValueError, match="does not start"):
        list(loader(H, range(3), num_workers=1, worker_init_fn=fail))


def test_loader_left_in_the_middle():
    """Workers end with their loader, and the next one works."""
    batches = iter(loader(H, range(100), 1, num_workers=2))
    assert next(batches).tolist() == [0]
    processes = batches._pool.processes if OURS else []
    del batches
    for process in processes:
        process.join(5)
        assert not process.is_alive()
    assert len(list(loader(H, range(3), 1, num_workers=1))) == 3


def dies(worker):
    import os

    os._exit(3)


class Draws(data.Dataset):
    """What each random generator of a worker says first."""

    def __init__(self, lib):
        self.lib = lib.__name__

    def __len__(self):
        return 3

    def __getitem__(self, i):
        lib = importlib.import_module(self.lib)
        return float(np.random.rand()), random.random(), lib.initial_seed(), lib.rand(1).item(), i


def test_seeds_of_workers_are_torchs():
    torch = oracle()
    both = []
    for lib in (H, torch):
        lib.manual_seed(4)
        batches = list(lib.utils.data.DataLoader(Draws(lib), num_workers=3))
        both.append([[x.item() for x in batch] for batch in batches])
    assert both[0] == both[1]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_workers_do_not_outlive_a_killed_process():
    program = """
import os, signal, time
import hadamard as H
loader = H.utils.data.DataLoader(range(100), num_workers=2, persistent_workers=True)
rows = iter(loader)
next(rows)
print(*[process.pid for process in rows._pool.processes], flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    workers = [int(pid) for pid in child.stdout.readline().split()]
    assert len(workers) == 2
    child.kill()
    child.wait()
    until = time.time() + 30
    while any(os.path.exists(f"/proc/{pid}") and not zombie(pid) for pid in workers):
        assert time.time() < until, "workers outlive their process"
        time.sleep(0.2)


def zombie(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_dead_worker_is_reported():
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly"):
        list(loader(H, range(3), num_workers=1, worker_init_fn=dies))


def test_worker_info():
    assert data.get_worker_info() is None
    seeds = [info for info in loader(H, range(4), 1, num_workers=2, collate_fn=describe)]
    assert [i for i, _, _ in seeds] == [0, 1, 0, 1] and seeds[1][2] == seeds[0][2] + 1 and seeds[0][1] == 2


def describe(batch):
    info = data.get_worker_info()
    return info.id, info.num_workers, info.seed


class Short(data.IterableDataset):
    def __len__(self):
        return 2

    def __iter__(self):
        return iter(range(4))


def test_wrong_length_of_a_stream_warns():
    with pytest.warns(UserWarning, match="was reported to be 2"):
        assert len(list(loader(H, Short(), 1))) == 4


@pytest.mark.parametrize("kwargs", [{"pin_memory": True}, {"num_workers": 500}])
def test_loader_warns_as_torch(kwargs):
    torch = oracle()
    said = []
    for lib in (H, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = loader(lib, range(2), 1, **kwargs)
            if "pin_memory" in kwargs:
                next(iter(made))
        said.append([(w.category, str(w.message)) for w in caught])
    assert said[0] == said[1] and said[0]


def test_empty_split_warns():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split(range(2), [0.9, 0.1])


def test_subset_of_own_kind_needs_both():
    class Half(data.Subset):
        def __getitem__(self, i):
            return 0

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Half([1], [0])


def test_generic_bases():
    class Numbers(data.Dataset[int]):
        def __getitem__(self, i):
            return i

    assert Numbers()[3] == 3
    assert data.DataLoader[int] is not None


@pytest.mark.parametrize("name", ["dataset", "sampler", "collate", "dataloader", "worker"])
def test_examples(name):
    if not OURS:
        pytest.skip("Hadamard's own examples")
    module = importlib.import_module(f"{H.__name__}.utils.data.{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert doctest.testmod(module)[0] == 0
