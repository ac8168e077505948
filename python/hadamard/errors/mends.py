"""Mends are tried before they are shown: each is code that runs on the meta device, which has shapes and no values."""

import re
import warnings
from contextlib import nullcontext

from .text import Arg, show


class Mend:
    """An edit: `code` is an expression of the arguments' names. With `of`, it takes the place of that argument and
    `then` is what runs; with `then` alone, that runs and `code` is what is shown. `also` is another way to write the
    same, `note` what it means. Plain text in place of a Mend is advice that no shape can refute."""

    def __init__(self, code, of="", then="", also="", note="", gives=True):
        self.code, self.of, self.then, self.also, self.note, self.gives = code, of, then, also, note, gives


def run(code, args, replace="", by=""):
    """The shape of `code` on meta tensors like `args`, None where it raises."""
    import hadamard

    names = {"torch": hadamard}
    if "F." in code + by or "nn." in code + by:
        names |= {"F": hadamard.nn.functional, "nn": hadamard.nn}
    for name in ("einsum", "tensordot", "bmm", "matmul", "cat", "stack", "dot", "broadcast_tensors"):
        names[name] = getattr(hadamard, name)
    try:
        # Entering catch_warnings makes Python forget what it has warned of: only for what may warn.
        warns = ".T" in code + by
        with hadamard.no_grad(), warnings.catch_warnings() if warns else nullcontext():
            if warns:
                warnings.simplefilter("ignore")
            for arg in args:
                dtype = getattr(hadamard, arg.dtype) if arg.dtype else hadamard.float32
                names[arg.name] = hadamard.empty(arg.shape, dtype=dtype, device="meta")
            if replace:
                names[replace] = eval(by, names)
            result = eval(code, names)
        if isinstance(result, (tuple, list)):
            result = result[0]
        return tuple(result.shape)
    except Exception:
        return None


def written(code, args):
    """The code with the names of the user's line in place of the op's own."""
    for arg in args:
        text = arg.written
        if text and text != arg.name:
            if not re.fullmatch(r"[\w.]+(\[[\w:, -]*\]|\([\w:., =-]*\))?", text):
                text = f"({text})"
            code = re.sub(rf"(?<![\w.'\"])\b{re.escape(arg.name)}\b(?!\s*=[^=])", lambda _, t=text: t, code)
    return code


def tries(args, *mends, limit=3, want=None):
    """(lines, facts) of the mends that run. `want` is the shape that the result must have, None for any."""
    lines: list = []
    facts: list = []
    for mend in mends:
        if len(lines) == limit:
            break
        if mend is None:
            continue
        if isinstance(mend, str):
            text, shape = str(mend), None
        else:
            shape = run(mend.then or mend.code, args, mend.of, mend.code)
            if shape is None or (want is not None and shape != want):
                continue
            text = written(mend.code, args)
            if mend.also:
                text += " or " + written(mend.also, args)
            if mend.of and (new := run(mend.code, args)) is not None and mend.also:
                text += f", which is {show(new)}"
            if mend.gives:
                text += f": the result is {show(shape) if shape else 'a number'}"
            if mend.note:
                text += f", {mend.note}"
        if any(text == line[4:] for line in lines):
            continue
        lines.append(("try " if not lines else "or  ") + text)
        fact = {"code": text, "result": shape}
        if shape is not None:
            fact["code"] = written(mend.code, args)
            if mend.of:
                fact["instead_of"] = written(mend.of, args)
        facts.append(fact)
    return lines, facts


def like(shape, name="x", dtype="float32"):
    """An argument for tries() that did not arrive by itself."""
    return Arg(name, shape, dtype)
