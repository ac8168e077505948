"""torch.utils.dlpack: tensors handed to and taken from other libraries without a copy."""

from .. import _C

__all__ = ["from_dlpack", "to_dlpack"]

_CPU = (1, 0)


def to_dlpack(tensor, *, max_version=None, dl_device=None, copy=None):
    """A DLPack capsule on the tensor's memory; of version 1.0 where the consumer takes it.

    BufferError where the tensor requires grad or is on the meta device, or another device is asked for.
    """
    if tensor.is_meta:
        raise BufferError("a meta tensor has no data to export")
    if tensor.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if dl_device is not None and tuple(dl_device)[0] != 1:
        raise BufferError(f"cannot export to device {tuple(dl_device)}: only the CPU {_CPU}")
    if copy:
        tensor = tensor.clone()
    return _C._to_dlpack(tensor, max_version is not None and max_version[0] >= 1, bool(copy))


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of `ext_tensor`: an object with __dlpack__, or a capsule.

    >>> import hadamard as H, numpy as np
    >>> a = np.zeros(2)
    >>> H.from_dlpack(a)[0] = 7
    >>> a
    array([7., 0.])
    """
    if hasattr(ext_tensor, "__dlpack__"):
        kind = ext_tensor.__dlpack_device__()[0]
        if int(kind) != 1:
            raise RuntimeError(f"from_dlpack: device type {int(kind)} is not the CPU")
        options = {} if copy is None else {"copy": copy}
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 0), **options)
            copy = None
        except TypeError:  # a producer from before version 1.0, which never copies
            capsule = ext_tensor.__dlpack__()
    else:
        capsule = ext_tensor
    tensor, read_only = _C._from_dlpack(capsule)
    if copy:
        return tensor.clone() if device is None else tensor.to(device, copy=True)
    if read_only:
        import warnings

        warnings.warn("The given array is not writable: writing to this tensor is undefined behaviour.", stacklevel=3)
    return tensor if device is None else tensor.to(device)
