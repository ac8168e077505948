"""einops and opt_einsum know the libraries that they support by name; here they get to know this one.

Each looks its backends up in a table of its own: ours is entered when the library is imported, or now if it has been.
"""

import sys
from importlib.machinery import PathFinder


def _einops(module):
    class HadamardBackend(module.TorchBackend):
        framework_name = "hadamard"

        def __init__(self):
            self.torch = sys.modules["hadamard"]

    HadamardBackend.__module__ = __name__


def _opt_einsum(module):
    # Our tensors say that they are torch's, so this table sends them to torch: its entries get a look at the type.
    def chosen(name, ours):
        def function(*args, **kwargs):
            tensor = args[1] if isinstance(args[0], str) else args[0]
            f = ours if isinstance(tensor, sys.modules["hadamard"].Tensor) else getattr(module._torch, name)
            return f(*args, **kwargs)

        module._cached_funcs[name, "torch"] = function

    chosen("einsum", lambda equation, *operands, **_: sys.modules["hadamard"].einsum(equation, *operands))
    chosen("tensordot", lambda x, y, axes=2, **_: sys.modules["hadamard"].tensordot(x, y, axes))
    chosen("transpose", lambda x, axes: x.permute(*axes))


_AFTER = {"einops._backends": _einops, "opt_einsum.backends.dispatch": _opt_einsum}


class _Finder:
    """A meta path finder that lets the neighbours be found as ever and enters us once they are loaded."""

    def find_spec(self, name, path=None, target=None):
        enter = _AFTER.get(name)
        spec = PathFinder.find_spec(name, path) if enter else None
        if spec is not None:
            from ._run import _Then

            spec.loader = _Then(spec.loader, enter)
        return spec


def meet() -> None:
    """Enter this library into the tables of its neighbours, present or to come."""
    for name, enter in _AFTER.items():
        if name in sys.modules:
            enter(sys.modules[name])
    sys.meta_path.insert(0, _Finder())
