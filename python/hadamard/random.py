"""Random number generators: seeds and states, for the default generator and for generators of one's own.

The streams equal those of PyTorch 2.13 on the CPU: the same seed gives the same numbers, and a state taken from one can
be set in the other.
"""

import hadamard as H

from . import _C

Generator = _C.Generator
default_generator = _C.default_generator


def _tensor(state):
    return H.frombuffer(bytearray(state), dtype=H.uint8)


def _bytes(state):
    if not isinstance(state, H.Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
    if state.dtype != H.uint8 or state.device.type != "cpu":
        raise TypeError("RNG state must be a torch.ByteTensor")
    return bytes(state.tolist())


def _get_state(self):
    """The state as a uint8 tensor of shape (5056,), laid out as torch's."""
    return _tensor(self._state_bytes())


def _set_state(self, new_state):
    """Goes on from a state that get_state() returned. RuntimeError where it is none."""
    self._set_state_bytes(_bytes(new_state))
    return self


Generator.get_state = Generator.graphsafe_get_state = _get_state
Generator.set_state = Generator.graphsafe_set_state = _set_state
Generator.device = property(lambda self: H.device("cpu"), doc="Where it draws: always the cpu.")


def manual_seed(seed):
    """Seeds the default generator and returns it. 64 bits; negative seeds count from the top.

    >>> import hadamard as H
    >>> _ = H.manual_seed(0)
    >>> H.randn(3)
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    return default_generator.manual_seed(int(seed))


def seed():
    """Seeds the default generator from the system's randomness and returns that seed."""
    return default_generator.seed()


def initial_seed():
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the default generator: a uint8 tensor of shape (5056,), interchangeable with torch's."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Puts the default generator into a state that get_rng_state() returned."""
    default_generator.set_state(new_state)


class fork_rng:
    """Inside `with fork_rng():` numbers may be drawn; afterwards the default generator is where it was before.

    >>> import hadamard as H
    >>> with H.random.fork_rng():
    ...     _ = H.rand(10)
    """

    def __init__(self, devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
        self.enabled = enabled

    def __enter__(self):
        self.state = default_generator._state_bytes() if self.enabled else None

    def __exit__(self, *exc):
        if self.state is not None:
            default_generator._set_state_bytes(self.state)
