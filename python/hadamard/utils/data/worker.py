"""Worker processes that make batches."""

import sys

import hadamard as H

__all__ = ["Pool", "WorkerInfo", "get_worker_info"]

_worker_info = None


class WorkerInfo:
    """What a worker process knows about itself: `id`, `num_workers`, `seed` and its copy of the `dataset`."""

    def __init__(self, **kwargs):
        self.__dict__.update(kwargs)

    def __repr__(self):
        return "WorkerInfo(" + ", ".join(f"{k}={v}" for k, v in self.__dict__.items()) + ")"


def get_worker_info():
    """The `WorkerInfo` of this process, None where it is not a worker.

    >>> get_worker_info() is None
    True
    """
    return _worker_info


class _Failure:
    """An exception on its way from a worker to the loader."""

    def __init__(self, worker):
        import traceback

        kind, error, trace = sys.exc_info()
        self.kind = kind
        self.text = "".join(traceback.format_exception(kind, error, trace))
        self.where = f"in DataLoader worker process {worker}"

    def reraise(self):
        """Raise it here, with the worker's traceback as its message."""
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:
            # KeyError shows the repr of its message.
            message = _Unquoted(message)
        try:
            error = self.kind(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error


class _Unquoted(str):
    def __repr__(self):
        return self


class _Ended:
    """A worker's iterable dataset has no more samples."""


def _seed_numpy(seed, worker):
    # Only where NumPy is in use; the same stream as under torch.
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        sequence = numpy.random.SeedSequence([worker, seed & 0xFFFFFFFF, seed >> 32, 0])
        numpy.random.seed(sequence.generate_state(4))


def _next_task(tasks):
    """The next task; None where the process that started this one is gone."""
    import multiprocessing
    import queue

    parent = multiprocessing.parent_process()
    while True:
        try:
            return tasks.get(timeout=5.0)
        except queue.Empty:
            if parent is not None and not parent.is_alive():
                return None


def _run(settings, worker, tasks, results):
    try:
        _work(settings, worker, tasks, results)
    except KeyboardInterrupt:  # the loader's process raises it
        results.cancel_join_thread()


def _work(settings, worker, tasks, results):
    import random

    from .dataloader import Fetcher

    global _worker_info
    dataset, iterable, batched, collate_fn, drop_last, init_fn, num_workers, base_seed = settings
    failure = fetch = None
    if (sharing := sys.modules.get("hadamard._sharing")) is not None:
        sharing.by_value = True
    try:
        H.set_num_threads(1)
        seed = base_seed + worker
        random.seed(seed)
        H.manual_seed(seed)
        _seed_numpy(base_seed, worker)
        _worker_info = WorkerInfo(id=worker, num_workers=num_workers, seed=seed, dataset=dataset)
        if init_fn is not None:
            init_fn(worker)
        fetch = Fetcher(dataset, iterable, batched, collate_fn, drop_last)
    except Exception:
        failure = _Failure(worker)
    ended = False
    while (task := _next_task(tasks)) is not None:
        number, index = task
        if number is None:
            # A new pass over the data.
            ended = False
            if failure is None:
                fetch = Fetcher(dataset, iterable, batched, collate_fn, drop_last)
            continue
        if failure is not None:
            results.put((number, worker, failure))
            continue
        try:
            batch = _Ended() if ended else fetch(index)
        except Exception as error:
            if iterable and isinstance(error, StopIteration):
                ended, batch = True, _Ended()
            else:
                batch = _Failure(worker)
        results.put((number, worker, batch))
    # Batches that nobody fetched must not keep the process.
    results.cancel_join_thread()


class Pool:
    """Worker processes, the tasks they were given and the batches that came back too early.

    Tasks go round the workers in turn; every task has a number, and batches leave in the order of the numbers.
    """

    ENDED = _Ended

    def __init__(self, loader, base_seed):
        import multiprocessing
        import os

        self.owner = os.getpid()
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self.timeout = loader.timeout or None
        self.in_order = loader.in_order
        self.results = context.Queue()
        self.tasks = []
        self.processes = []
        settings = (
            loader.dataset,
            loader._iterable,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            loader.worker_init_fn,
            loader.num_workers,
            base_seed,
        )
        for worker in range(loader.num_workers):
            tasks = context.Queue()
            tasks.cancel_join_thread()
            process = context.Process(target=_run, args=(settings, worker, tasks, self.results), daemon=True)
            process.start()
            self.tasks.append(tasks)
            self.processes.append(process)
        self.finished: set = set()
        self._clear()

    def _clear(self):
        self.next_worker = 0
        self.sent = 0
        self.wanted = 0
        self.early: dict = {}
        self.finished.clear()

    def has_workers(self):
        """Whether any worker has samples left."""
        return len(self.finished) < len(self.tasks)

    def put(self, index):
        """Give the next task to the next worker that has samples left."""
        while self.next_worker in self.finished:
            self.next_worker = (self.next_worker + 1) % len(self.tasks)
        self.tasks[self.next_worker].put((self.sent, index))
        self.next_worker = (self.next_worker + 1) % len(self.tasks)
        self.sent += 1

    def get(self):
        """(True, batch) with the next batch, (False, None) when every task is done."""
        if self.wanted >= self.sent:
            return False, None
        while self.wanted not in self.early:
            number, worker, batch = self._receive()
            if isinstance(batch, _Ended):
                self.finished.add(worker)
                batch = _Ended
            if not self.in_order:
                self.wanted += 1
                return True, batch
            self.early[number] = batch
        batch = self.early.pop(self.wanted)
        self.wanted += 1
        return True, batch

    def _receive(self):
        import queue
        import time

        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        while True:
            try:
                return self.results.get(timeout=1.0 if deadline is None else min(1.0, self.timeout))
            except queue.Empty:
                dead = [p.pid for p in self.processes if not p.is_alive()]
                if dead:
                    pids = ", ".join(str(pid) for pid in dead)
                    raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from None
                if deadline is not None and time.monotonic() >= deadline:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None

    def drain(self):
        """Wait for the tasks still out and forget their batches."""
        while self.wanted + len(self.early) < self.sent:
            self._receive()
            self.wanted += 1

    def begin_again(self):
        """Tell the workers that a new pass over the data begins."""
        self._clear()
        for tasks in self.tasks:
            tasks.put((None, None))

    def close(self):
        """End the workers."""
        for tasks in self.tasks:
            tasks.put(None)
        for process in self.processes:
            process.join(timeout=5.0)
            if process.is_alive():
                process.terminate()
        self.processes = []

    def __del__(self):
        # A loader left in the middle of a pass: the workers must not outlive it.
        import os

        for process in getattr(self, "processes", ()):
            # A forked worker holds a copy of this object, but the processes are its siblings.
            if self.owner == os.getpid() and process.is_alive():
                process.terminate()
