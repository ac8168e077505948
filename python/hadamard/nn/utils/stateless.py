"""A module called with other parameters than its own."""

from contextlib import contextmanager

__all__ = ["functional_call"]


@contextmanager
def _swapped(module, given):
    # Both the registered tensors and those that the caller gives are put back in reverse order.
    saved = []
    try:
        for path, value in given.items():
            owner_path, _, name = path.rpartition(".")
            owner = module.get_submodule(owner_path)
            for store in (owner._parameters, owner._buffers):
                if name in store:
                    saved.append((store, name, store[name]))
                    store[name] = value
                    break
            else:
                raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        yield
    finally:
        for store, name, value in reversed(saved):
            store[name] = value


def _with_ties(module, given):
    # A tensor that has several names is replaced under all of them.
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    twins: dict = {}
    for name, t in named:
        twins.setdefault(id(t), []).append(name)
    full = dict(given)
    for names in twins.values():
        values = [given[name] for name in names if name in given]
        if values:
            for name in names:
                full.setdefault(name, values[0])
    return full


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """`module(*args, **kwargs)` with tensors from `parameters_and_buffers`, by dotted name, in place of its own.

    With `tie_weights` a shared parameter is replaced under all its names; with `strict` every name must be given.

    >>> import hadamard as H
    >>> layer = H.nn.Linear(2, 1, bias=False)
    >>> functional_call(layer, {"weight": H.ones(1, 2)}, H.tensor([[3.0, 4.0]]))
    tensor([[7.]])
    """
    given = parameters_and_buffers
    if isinstance(given, (list, tuple)):
        given = {name: t for part in given for name, t in part.items()}
    if tie_weights:
        given = _with_ties(module, given)
    if strict:
        own = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
        missing, unexpected = own - set(given), set(given) - own
        if missing or unexpected:
            text = "Error(s) in loading strict parameters:"
            if unexpected:
                text += "\n\tUnexpected key(s): " + ", ".join(sorted(unexpected)) + "."
            if missing:
                text += "\n\tMissing key(s): " + ", ".join(sorted(missing)) + "."
            raise RuntimeError(text)
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _swapped(module, given):
        return module(*args, **({} if kwargs is None else kwargs))
