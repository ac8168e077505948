"""Tensors that several processes see: storages in shared memory, and how tensors are sent to other processes."""

import mmap
import os
import tempfile
from multiprocessing.reduction import DupFd, ForkingPickler
from weakref import WeakValueDictionary

import hadamard as H

from . import _C
from .serialization.storages import _dressed, _reduce_tensor, _storage_of, _tensor_over

by_value = False  # in workers of a DataLoader, whose batches outlive them


class _Segment(mmap.mmap):
    """Memory that every process with its file descriptor sees."""

    def __new__(cls, fd, length):
        self = super().__new__(cls, fd, length)
        self.fd = fd
        return self

    def __del__(self):
        os.close(self.fd)


_segments: "WeakValueDictionary[int, _Segment]" = WeakValueDictionary()  # by where they begin


def _segment(fd, length):
    """A uint8 tensor over the shared memory of a file descriptor, which becomes the segment's own."""
    segment = _Segment(fd, length)
    data = H.frombuffer(segment, dtype=H.uint8)
    _segments[data.data_ptr()] = segment
    return data


def _descriptor(length):
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("hadamard", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, length)
    return fd


def _segment_of(x):
    return _segments.get(_C._storage_bytes(x).data_ptr())


def is_shared(x):
    """Whether the tensor's storage lies in shared memory."""
    return not x.is_meta and _segment_of(x) is not None


def share(x):
    """Moves the tensor's storage, and with it all its views, into shared memory."""
    size = 0 if x.is_meta else _C._storage_bytes(x).numel()
    if size and not is_shared(x):
        _C._move_storage(x, _segment(_descriptor(size), size))


# How a tensor travels: the descriptor of its storage, and its place there.


def _reduce(x):
    if x.requires_grad and not x.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
            "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
            "serializing (e.g., putting it on the queue)."
        )
    if by_value or x.is_meta or not _C._storage_bytes(x).numel():
        return _reduce_tensor(x)
    share(x)
    place = x.dtype, x.storage_offset(), tuple(x.shape), tuple(x.stride())
    descriptor = DupFd(_segment_of(x).fd), _C._storage_bytes(x).numel()
    cls = None if type(x) is H.Tensor else type(x)
    return _rebuild, (*descriptor, cls, *place, x.requires_grad, x.__dict__ or None)


def _rebuild(descriptor, length, cls, dtype, offset, size, stride, requires_grad, state):
    data = _segment(descriptor.detach(), length)
    x = _tensor_over(_storage_of(data), dtype, offset, size, stride)
    return _dressed(x, cls, requires_grad, state)


for _cls in (H.Tensor, H.nn.Parameter, H.nn.Buffer):
    ForkingPickler.register(_cls, _reduce)
