"""The loader: batches of a dataset, made here or by worker processes."""

import warnings
from itertools import islice

import hadamard as H

from .collate import default_collate, default_convert
from .dataset import IterableDataset, Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler
from .worker import Pool, get_worker_info

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]


class _Forever:
    """The sampler of a dataset that is only gone through: as many Nones as wanted."""

    def __iter__(self):
        while True:
            yield None


def _rows(dataset, index):
    """The batch of a TensorDataset, or of subsets of one, by one look-up for each tensor instead of one for each
    sample; None for anything else."""
    while type(dataset) is Subset:
        index = [dataset.indices[i] for i in index]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not all(type(i) is int for i in index):
        return None
    where = H.tensor(index)
    return [tensor[where] for tensor in dataset.tensors]


class Fetcher:
    """Makes a batch of the samples at the given indices, or of the next ones of an iterable dataset."""

    def __init__(self, dataset, iterable, batched, collate_fn, drop_last):
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.iterator = iter(dataset) if iterable else None
        self.ended = False

    def __call__(self, index):
        if self.iterator is not None:
            return self._next(index)
        if not self.batched:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is default_collate:
            batch = _rows(self.dataset, index)
            if batch is not None:
                return batch
        several = getattr(self.dataset, "__getitems__", None)
        return self.collate_fn(several(index) if several else [self.dataset[i] for i in index])

    def _next(self, index):
        if self.ended:
            raise StopIteration
        if not self.batched:
            return self.collate_fn(next(self.iterator))
        samples = list(islice(self.iterator, len(index)))
        self.ended = len(samples) < len(index)
        if not samples or (self.drop_last and self.ended):
            raise StopIteration
        return self.collate_fn(samples)


class DataLoader:
    """Goes through a dataset in batches.

    `shuffle` takes the samples in a new random order each time; a `sampler` or `batch_sampler` gives any other.
    `batch_size=None` gives the samples one by one. `collate_fn` makes a batch of a list of samples. With
    `num_workers` the batches are made in that many processes. `generator` is the source of the order.

    >>> import hadamard as H
    >>> from hadamard.utils.data import TensorDataset
    >>> data = TensorDataset(H.arange(5))
    >>> [batch.tolist() for (batch,) in DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __class_getitem__(cls, item):
        return cls

    __initialized = False
    _iterator = None

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
                "multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None and not (name == "shuffle" and value is False):
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                    )
            sampler = _Forever()
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or (sampler is not None and not self._iterable) or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
            drop_last = False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self.__initialized = True
        self._warn_of_many_workers()

    def _warn_of_many_workers(self):
        import os

        if not self.num_workers:
            return
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if cpus is not None and self.num_workers <= cpus:
            return
        if cpus is None:
            told = "DataLoader is not able to compute a suggested max number of worker in current system."
        else:
            told = (
                f"Our suggested max number of worker in current system is {cpus}"
                + ("" if hasattr(os, "sched_getaffinity") else " (`cpuset` is not taken into account)")
                + ", which is smaller than what this DataLoader is going to create."
            )
        warnings.warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. {told} Please be aware that "
            "excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to "
            "avoid potential slowness/freeze if necessary.",
            stacklevel=3,
        )

    def __setattr__(self, attr, value):
        if self.__initialized and attr in (
            "batch_size",
            "batch_sampler",
            "sampler",
            "drop_last",
            "dataset",
            "persistent_workers",
        ):
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, value)

    @property
    def multiprocessing_context(self):
        """How worker processes are started: a context of `multiprocessing` or the name of one."""
        return self.__context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            import multiprocessing

            if isinstance(context, str):
                valid = multiprocessing.get_all_start_methods()
                if context not in valid:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {valid!r}, but got "
                        f"multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self.__context = context

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self):
        if not self._iterable:
            return len(self._index_sampler)
        length = len(self.dataset)
        if self.batch_size is None:
            return length
        full, rest = divmod(length, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def __iter__(self):
        if self.num_workers == 0:
            return _HereIterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None:
            self._iterator = _WorkerIterator(self)
        else:
            self._iterator._reset(self)
        return self._iterator


class _LoaderIterator:
    """What both ways of loading share: the indices, the seed of the workers, the count."""

    def __init__(self, loader):
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.",
                stacklevel=4,
            )
        self._begin(loader)
        # Drawn even where no worker needs it, so that the stream goes on as torch's does.
        self._base_seed = int(H.empty((), dtype=H.int64).random_(generator=loader.generator).item())

    def _begin(self, loader):
        self._loader = loader
        self._indices = iter(loader._index_sampler)
        self._num_yielded = 0
        self._expected = None
        if loader._iterable and hasattr(loader.dataset, "__len__"):
            self._expected = len(loader)

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._loader._index_sampler)

    def __next__(self):
        batch = self._next_batch()
        self._num_yielded += 1
        if self._expected is not None and self._num_yielded > self._expected:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {self._expected}(when accessing "
                f"len(dataloader)), but {self._num_yielded} samples have been fetched. ",
                stacklevel=2,
            )
        return batch


class _HereIterator(_LoaderIterator):
    """Makes the batches in this process."""

    def __init__(self, loader):
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetch = Fetcher(
            loader.dataset, loader._iterable, loader._auto_collation, loader.collate_fn, loader.drop_last
        )

    def _next_batch(self):
        return self._fetch(next(self._indices))


class _WorkerIterator(_LoaderIterator):
    """Has the batches made by worker processes and hands them out in order."""

    def __init__(self, loader):
        super().__init__(loader)
        self._pool = Pool(loader, self._base_seed)
        self._start()

    def _reset(self, loader):
        self._begin(loader)
        self._pool.drain()
        self._pool.begin_again()
        self._start()

    def _start(self):
        for _ in range(self._loader.prefetch_factor * self._loader.num_workers):
            self._hand_out()

    def _hand_out(self):
        if self._pool.has_workers():
            try:
                index = next(self._indices)
            except StopIteration:
                return
            self._pool.put(index)

    def _next_batch(self):
        while True:
            found, batch = self._pool.get()
            if not found:
                if not self._loader.persistent_workers:
                    self._pool.close()
                raise StopIteration
            self._hand_out()
            if batch is not Pool.ENDED:
                return batch.reraise() if hasattr(batch, "reraise") else batch
