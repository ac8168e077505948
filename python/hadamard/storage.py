"""torch.storage: the memory that views share, as numbers of one dtype (Tensor.storage) or as bytes."""

from . import _C
from .serialization.storages import _Storage as UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]


class TypedStorage:
    """All numbers of a tensor's memory in their order there, whatever views of it look like.

    >>> import hadamard as H
    >>> x = H.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x.t()[1:].storage()[0]
    1.0
    """

    __module__ = "torch.storage"
    is_cuda = False

    def __init__(self, tensor):
        storage = tensor.untyped_storage()
        size = storage.nbytes() // tensor.element_size()
        self._untyped = storage
        self._numbers = _C._tensor_over(storage._bytes, tensor.dtype, [size], [1], 0) if size else tensor.detach()

    @property
    def dtype(self):
        """The dtype of the numbers."""
        return self._numbers.dtype

    @property
    def device(self):
        """Where the memory is."""
        return self._numbers.device

    def __len__(self):
        return self._numbers.numel()

    size = __len__

    def _check(self, index):
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range for storage of size {len(self)}")
        return index

    def __getitem__(self, index):
        if isinstance(index, slice):
            raise RuntimeError(
                "slices are only supported in UntypedStorage.__getitem__, or for a view in Tensor.__getitem__"
            )
        return self._numbers[self._check(index)].item()

    def __setitem__(self, index, value):
        self._numbers[self._check(index)] = value

    def __iter__(self):
        return iter(self.tolist())

    def fill_(self, value):
        """Writes `value` everywhere."""
        self._numbers.fill_(value)
        return self

    def copy_(self, source, non_blocking=None):
        """Writes the numbers of another storage here."""
        self._numbers.copy_(source._numbers)
        return self

    def clone(self):
        """A storage of its own with these numbers."""
        return TypedStorage(self._numbers.clone())

    cpu = clone

    def tolist(self):
        """The numbers in a list."""
        return self._numbers.tolist()

    def untyped(self):
        """The bytes."""
        return self._untyped

    def nbytes(self):
        """How many bytes there are."""
        return self._untyped.nbytes()

    def element_size(self):
        """Bytes of one number."""
        return self._numbers.element_size()

    def data_ptr(self):
        """The address of the first number."""
        return self._untyped.data_ptr()

    def is_shared(self):
        """False: shared memory between processes is not used."""
        return False

    def __repr__(self):
        lines = "\n ".join(str(value) for value in self)
        return f" {lines}\n[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {len(self)}]"
