"""The version of PyTorch that is followed: what `torch.__version__` is under `hadamard run`."""

import operator
import re

__all__ = ["TorchVersion"]


class TorchVersion(str):
    """A version as text that compares as a version: with "1.10", with (1, 10), with packaging's Version.

    >>> TorchVersion("2.13.0") > "2.9", TorchVersion("2.13.0") >= (2, 13), TorchVersion("2.13.0rc1") < "2.13"
    (True, True, True)
    """

    def __eq__(self, other):
        return _compared(operator.eq, self, other)

    def __ne__(self, other):
        return _compared(operator.ne, self, other)

    def __lt__(self, other):
        return _compared(operator.lt, self, other)

    def __le__(self, other):
        return _compared(operator.le, self, other)

    def __gt__(self, other):
        return _compared(operator.gt, self, other)

    def __ge__(self, other):
        return _compared(operator.ge, self, other)

    __hash__ = str.__hash__


def _compared(how, version, other):
    try:
        return how(_key(version), _key(other))
    except ValueError:  # no version: compared as texts are
        return how(str(version), other)


def _key(version):
    """(numbers, 1 or 0 before the release): what follows a + does not count."""
    text = ".".join(map(str, version)) if isinstance(version, tuple) else str(version)
    match = re.match(r"v?(\d+(?:\.\d+)*)\.?(a|b|c|rc|dev|alpha|beta)?\.?(\d*)", text)
    if match is None:
        raise ValueError(f"Invalid version: {text!r}")
    numbers = [int(n) for n in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    order = ("dev", "a", "alpha", "b", "beta", "c", "rc")
    return numbers, (0, order.index(match[2]), int(match[3] or 0)) if match[2] else (1, 0, 0)


FOLLOWED = TorchVersion("2.13.0")
