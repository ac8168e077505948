"""fuse(): the element-wise ops of a function in passes that go over memory once."""

from functools import WRAPPER_ASSIGNMENTS, update_wrapper

from . import _C

_run = _C._fused


def fuse(function):
    """A function that does what `function` does, its element-wise ops run together: also as a decorator.

    Memory is slower than arithmetic, and op by op each result of `sigmoid(x * y + x) * y` goes to memory and back.
    In a fused function an op checks its arguments, decides on shape and dtype and raises its errors as ever, but its
    result waits, and so do sums and other reductions over the last dimensions or over all. When the function returns,
    or something needs the numbers (a product, `item()`, `print`, `if`), all that waits is run for a tile of a few
    hundred elements, which stays in the first-level cache, then for the next tile. Only what somebody still holds is
    written. The kernels are those of the single ops, in the same order of summation: results have the same bits.
    Nothing is compiled, the first call is as fast as any, and since the function itself runs each time it may do
    whatever a function may: branch on values, write in place, keep state, raise.

    Gradients of what was recorded inside are fused in the same way when `backward()` comes to them, and so are theirs.
    Results of fewer than 32768 elements do not wait. `function` may be anything that can be called, a module too.
    `explain(fused, *args)` shows the passes, what they move and what ended each.

    Memory that a tensor shares with NumPy or another library must not be written to by that library during the call,
    unless it was shared during the call. TypeError where `function` cannot be called.

    >>> import hadamard as H
    >>> @H.fuse
    ... def gate(x, y):
    ...     return H.sigmoid(x * y + x) * y
    >>> x, y = H.randn(200, 200, requires_grad=True), H.randn(200, 200)
    >>> z = gate(x, y)
    >>> H.equal(z, H.sigmoid(x * y + x) * y)
    True
    >>> z.sum().backward()
    >>> x.grad.shape
    torch.Size([200, 200])
    """
    if not callable(function):
        raise TypeError(f"fuse(): expected something that can be called, not {type(function).__name__}")

    def fused(*args, **kwargs):
        return _run(function, args, kwargs)

    present = [name for name in WRAPPER_ASSIGNMENTS if hasattr(function, name)]
    update_wrapper(fused, function, assigned=present, updated=())
    fused._fuses = function  # type: ignore[attr-defined]  # for explain()
    return fused
