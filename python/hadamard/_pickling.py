"""Dtypes, devices, sizes and generators are pickled by Hadamard's names, though their classes carry torch's."""

import copyreg

import hadamard as H


def _named(name):
    return getattr(H, name)


def _device(name):
    return H.device(name)


def _sized(sizes):
    return H.Size(sizes)


def _generator(state):
    generator = H.Generator()
    generator._set_state_bytes(state)
    return generator


copyreg.pickle(H.dtype, lambda dtype: (_named, (str(dtype).rpartition(".")[2],)))
copyreg.pickle(H.device, lambda device: (_device, (str(device),)))
copyreg.pickle(H.Size, lambda size: (_sized, (tuple(size),)))
copyreg.pickle(H.Generator, lambda generator: (_generator, (generator._state_bytes(),)))
