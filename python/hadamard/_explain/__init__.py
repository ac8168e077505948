"""explain(): how a product of tensors lines up, what it costs, how it is computed, and what is odd about it."""

import sys

from .explanation import Explanation

__all__ = ["Explanation", "explain"]


def explain(*args, measure=False, **kwargs):
    """Explain a product or a broadcast without computing it: tensors, shapes or text.

    The forms: `explain(a, "*", b)` with any operator; `explain("bij,jk->bik", a, w)`, an einsum;
    `explain("(10,2,3) @ (3,4)")`, shapes as text, with dtypes as in `"(3,):uint8 * (3,):int8"`;
    `explain(torch.conv2d, x, w, stride=2)`, any function with its arguments; `explain(model, x)`, a table of layers;
    `explain(fused, x, y)`, the passes of a function that `fuse` made, which is run for it.
    Shapes may stand for tensors everywhere: `explain((2, 3), "@", (3, 4))`.

    Returns an Explanation: print it, show it in a notebook, ask it for `.svg()` or `.plot()`, or read its attributes.
    A product that does not fit gives the explanation of its error, with `.fits` False, instead of raising. With
    measure=True it is also run and timed. TypeError or ValueError where the question itself cannot be read.

    >>> import hadamard as H
    >>> e = H.explain("(2,2) * (2,)")
    >>> e.shape, e.dtype, e.equation
    ((2, 2), torch.float32, 'ij,j->ij')
    >>> print(*e.repeated)
    b, dim 0, 1 → 2
    >>> print(H.explain("(10,2,3) @ (3,4)").text(times=False))
    a (10, 2, 3) @ b (3, 4)  →  (10, 2, 4) float32
    <BLANKLINE>
                n   i   k   j
      a        10   2   3   ·
      b         ↻   ·   3   4
      result   10   2   Σ   4
                │   │   │   └ column: of b alone
                │   │   └ summed: 3 products added up
                │   └ row: of a alone
                └ batch: b is repeated 10 times
    ...
    """
    from hadamard._strict import aside

    from . import ask, explanation

    modules = sys.modules.get("hadamard.nn.modules.module")
    frame = sys._getframe(1)
    with aside():
        if args and modules is not None and isinstance(args[0], modules.Module):
            from .model import explain_model

            return explain_model(args[0], args[1:], kwargs, measure)
        if args and hasattr(args[0], "_fuses"):
            from .fused import explain_fused

            return explain_fused(args[0], args[1:], kwargs, measure)
        request = ask.request(args, kwargs)
        ask.take_names(request, frame)
        return explanation.build(request, measure)
