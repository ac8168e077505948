"""torch.jit, for programs that mark functions for it: they run as the Python that they are. Its files are not read."""

import builtins as _builtins

__all__ = [
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "unused",
    "wait",
]


def __getattr__(name):
    if name == "ScriptModule":  # so far a Module like any other
        from .nn import Module

        return Module
    raise AttributeError(f"module 'torch.jit' has no attribute '{name}'")


def script(obj, *args, **kwargs):
    """`obj`, a function, a class or a module, as it is."""
    return obj


export = freeze = optimize_for_inference = script_if_tracing = script_method = unused = script


def annotate(the_type, the_value):
    """`the_value`."""
    return the_value


def isinstance(obj, target_type):
    """Whether obj is of the type; of containers with parameters (list[int]) only the container is looked at."""
    return _builtins.isinstance(obj, getattr(target_type, "__origin__", None) or target_type)


def fork(func, *args, **kwargs):
    """A future whose wait() gives func(*args, **kwargs), which has run by then."""
    value = func(*args, **kwargs)
    return type("Future", (), {"wait": lambda self: value, "value": lambda self: value, "done": lambda self: True})()


def wait(future):
    """What the future of fork() holds."""
    return future.wait()


def ignore(drop=False, **kwargs):
    """Decorator that leaves the function as it is, with brackets or without."""
    return drop if callable(drop) else lambda fn: fn


def trace(func, example_inputs=None, *args, **kwargs):
    """`func` as it is, after one call with the example inputs, which may raise."""
    if example_inputs is not None:
        func(*example_inputs) if _builtins.isinstance(example_inputs, (tuple, list)) else func(example_inputs)
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
