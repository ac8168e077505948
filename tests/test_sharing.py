"""Memory that several processes see: share_memory_() before fork, and tensors sent through queues and pipes."""

import gc
import multiprocessing
import os
import pickle

import numpy as np
import pytest
from harness import OURS, H

pytestmark = [
    pytest.mark.skipif(not OURS, reason="our memory"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by fork"),
]
fork = multiprocessing.get_context("fork")


def run(target, *args, context=fork):
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def fill(x, value):
    x.fill_(value)


def test_a_childs_writes_are_seen_after_fork():
    x, y = H.zeros(5), H.zeros(5)
    x.share_memory_()
    assert x.is_shared() and not y.is_shared()
    run(fill, x, 3)
    run(fill, y, 3)
    assert x.tolist() == [3.0] * 5 and y.tolist() == [0.0] * 5


@pytest.mark.parametrize("n", [1, 7, 300, 100_000])
def test_values_views_and_arrays_stay(n):
    x = H.arange(n)
    view, array = x[n // 2 :], x.numpy()
    assert x.share_memory_() is x and view.is_shared() and x.share_memory_().is_shared()
    assert (x == H.arange(n)).all()
    view[0] = -1
    assert x[n // 2] == -1
    assert array[n // 2] == n // 2  # the array looks at what was there before
    assert (array == np.arange(n)).all()
    del x, view
    gc.collect()
    assert (array == np.arange(n)).all()
    del array
    gc.collect()


def test_borrowed_memory_can_move():
    array = np.arange(6.0)
    x = H.from_numpy(array).share_memory_()
    x[0] = 9
    assert array[0] == 0 and x.tolist() == [9, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
        x.resize_(100)


def test_nothing_to_share():
    assert H.empty(0).share_memory_().shape == (0,)
    assert not H.ones(2, device="meta").share_memory_().is_shared()


def test_no_descriptor_stays_open():
    def count():
        gc.collect()
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    H.ones(3).share_memory_()
    before = count()
    for _ in range(50):
        H.ones(1000).share_memory_()
    assert count() <= before + 1


def train(model, steps):
    optimizer = H.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(H.ones(1, 2)).square().sum().backward()
        optimizer.step()


def test_a_model_is_trained_in_another_process():
    H.manual_seed(0)
    model = H.nn.Linear(2, 1)
    model.share_memory()
    assert all(p.is_shared() and p.requires_grad for p in model.parameters())
    before = model(H.ones(1, 2)).item()
    run(train, model, 5)
    assert abs(model(H.ones(1, 2)).item()) < abs(before) * 0.5


def serve(inbox, outbox):
    for x in iter(inbox.get, None):
        outbox.put((x.shape, x.stride(), x.requires_grad, type(x).__name__, x.is_shared()))
        x.detach().mul_(2)
        outbox.put("done")
    outbox.put(H.full((3,), 7.0))
    inbox.get()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_queues(method):
    context = H.multiprocessing.get_context(method)
    inbox, outbox = context.Queue(), context.Queue()
    process = context.Process(target=serve, args=(inbox, outbox), daemon=True)
    process.start()
    base = H.arange(12.0).view(3, 4)
    sent = [base.t()[1:, ::2], H.nn.Parameter(H.ones(2, 2)), H.ones(3, dtype=H.bfloat16), H.zeros(0, 2)]
    for x in sent:
        want = x.detach().clone() * 2
        inbox.put(x)
        told = outbox.get(timeout=60)
        assert told == (x.shape, x.stride(), x.requires_grad, type(x).__name__, x.numel() > 0)
        assert outbox.get(timeout=60) == "done"
        assert (x.detach() == want).all()
    assert base.is_shared() and base[0, 1] == 2  # all of its storage went
    inbox.put(None)
    got = outbox.get(timeout=60)
    assert got.tolist() == [7.0] * 3 and got.is_shared()
    inbox.put("done")
    process.join(60)
    assert process.exitcode == 0


def test_a_result_cannot_be_sent():
    from multiprocessing.reduction import ForkingPickler

    H.ones(1).share_memory_()
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"):
        ForkingPickler.dumps(H.ones(2, requires_grad=True) * 2)
    assert pickle.loads(pickle.dumps(H.ones(2).share_memory_())).is_shared() is False  # by value, as ever


class Samples(H.utils.data.Dataset):
    def __init__(self):
        self.data = H.arange(10.0).share_memory_()

    def __len__(self):
        return 10

    def __getitem__(self, i):
        self.data[i] += 100
        return self.data[i].clone()


def test_workers_of_a_loader_write_to_shared_data():
    samples = Samples()
    got = H.cat(list(H.utils.data.DataLoader(samples, 2, num_workers=2)))
    assert got.tolist() == [100.0 + i for i in range(10)]
    assert samples.data.tolist() == got.tolist()
