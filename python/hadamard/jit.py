"""torch.jit, for programs that mark functions for it: they run as the Python that they are. Its files are not read."""

__all__ = [
    "export",
    "ignore",
    "is_scripting",
    "is_tracing",
    "load",
    "save",
    "script",
    "script_if_tracing",
    "trace",
    "unused",
]


def script(obj, *args, **kwargs):
    """`obj`, a function, a class or a module, as it is."""
    return obj


export = script_if_tracing = unused = script


def ignore(drop=False, **kwargs):
    """Decorator that leaves the function as it is, with brackets or without."""
    return drop if callable(drop) else lambda fn: fn


def trace(func, example_inputs=None, *args, **kwargs):
    """`func` as it is, after one call with the example inputs, which may raise."""
    if example_inputs is not None:
        func(*example_inputs) if isinstance(example_inputs, (tuple, list)) else func(example_inputs)
    return func


def is_scripting():
    """False."""
    return False


def is_tracing():
    """False."""
    return False


def load(f, *args, **kwargs):
    """RuntimeError: TorchScript archives hold programs, which are not run here."""
    raise RuntimeError("Hadamard does not read TorchScript; save the module's state_dict and load that")


def save(m, f, *args, **kwargs):
    """RuntimeError: nothing was compiled that could be saved."""
    raise RuntimeError("Hadamard does not write TorchScript; save the module's state_dict")
