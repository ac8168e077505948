"""torch.utils.checkpoint's names, for scripts that use them."""

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function, *args, use_reentrant=None, context_fn=None, determinism_check="default", debug=False, **kwargs
):
    """`function(*args, **kwargs)`: values and gradients are torch's, but nothing is computed twice to save memory."""
    kwargs.pop("preserve_rng_state", None)
    return function(*args, **kwargs)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """The functions, or the modules of a Sequential, one after the other; see `checkpoint`."""
    for function in functions:
        input = function(input)
    return input
