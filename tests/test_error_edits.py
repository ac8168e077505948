"""Every edit that an error of errors.expected proposes is made, and then the program runs."""

import ast
import linecache
import re
from itertools import product
from pathlib import Path

import pytest
from harness import OURS, H
from test_errors import cases

pytestmark = [
    pytest.mark.skipif(not OURS, reason="the edits are Hadamard's"),
    pytest.mark.filterwarnings("ignore"),
]
EDITS = Path(__file__).with_name("error_edits.txt").read_text()


def written():
    """{program: {edit as the error says it: [ways to make it]}}, of error_edits.txt.

    A block is a case (its last line, and behind @ a part of it where that is not enough), and below each edit, marked
    by #, the whole program with that edit, or `old => new`; several lines are several ways.
    """
    programs = [code for code, _ in cases()]
    found: dict = {}
    for block in re.split(r"\n\n+", EDITS.strip("\n")):
        case, *lines = block.split("\n")
        last, _, part = case.partition(" @ ") if case not in programs else (case, "", "")
        (program,) = [p for p in programs if p == last or p.split("\n")[-1] == last and part.replace("\\n", "\n") in p]
        edits = found.setdefault(program, {})
        for line in lines:
            if line.startswith("# "):
                ways = edits[line[2:]] = []
            else:
                ways.append(line.replace("\\n", "\n"))
    return found


def made(program, way):
    if " =>" not in way:
        return way
    old, _, new = way.partition(" =>")
    assert old in program, f"{old!r} is not in {program!r}"
    return program.replace(old, new.removeprefix(" "))


def scope():
    products = {name: getattr(H, name) for name in ("einsum", "tensordot", "bmm", "matmul", "cat", "stack", "dot")}
    return {"torch": H, "F": H.nn.functional, "nn": H.nn, "r": H.rand, "__name__": "case", **products}


def run(program):
    H.manual_seed(0)
    linecache.cache["<case>"] = (len(program), None, program.splitlines(keepends=True), "<case>")
    exec(compile(program, "<case>", "exec"), scope())


def refused(program):
    """The exception of a case, with its facts."""
    H.manual_seed(0)
    linecache.cache.pop("<case>", None)
    if "\n" in program:
        linecache.cache["<case>"] = (len(program), None, program.splitlines(keepends=True), "<case>")
    try:
        exec(compile(program, "<case>", "exec"), scope())
    except Exception as error:
        str(error)
        return error
    raise AssertionError("no error")


def sources(program, arg):
    """The expressions of a program whose value is a tensor like an operand of the error."""
    _, shape, dtype, *_ = arg
    found = []
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.expr) and not isinstance(node, ast.Constant):
            text = ast.get_source_segment(program, node)
            try:
                value = eval(text, scope())
            except Exception:
                continue
            if isinstance(value, H.Tensor) and (tuple(value.shape), str(value.dtype)[6:]) == (tuple(shape), dtype):
                found.append(text)
    return found


LEFT = "a x mat mat1 batch1 input self tensor tensor1 value".split()


def edited(program, mend, args):
    """The ways to make an edit that is an expression of the operands' names, in a program of one line."""
    code, instead = mend["code"], mend.get("instead_of")
    if layer := re.match(r"nn\.(\w+)\(", code):
        if call := re.search(rf"torch\.nn\.{layer[1]}\([^()]*\)", program):
            yield program.replace(call[0], "torch." + code)
        else:  # a function with a weight
            yield f"torch.{code}({sources(program, args[0])[0]})"
        return
    names = [n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)]
    names = [n for n in dict.fromkeys([*names, *([instead] if instead else [])]) if n not in scope()]
    known = [arg[0] for arg in args]
    at = {n: known.index(n) if n in known else 0 if n in LEFT or len(args) == 1 else 1 for n in names}
    for texts in product(*(sources(program, args[at[n]]) for n in names)):
        given = "; ".join(f"{n} = {text}" for n, text in zip(names, texts, strict=True))
        if not instead:
            yield f"{given}; {code}"
            continue
        text = texts[names.index(instead)]
        for place in [m.start() for m in re.finditer(re.escape(text), program)]:
            yield f"{given}; {program[:place]}({code}){program[place + len(text) :]}"


@pytest.mark.parametrize("program", [code for code, _ in cases()])
def test_edits(program):
    error = refused(program)
    mends = getattr(error, "hadamard", {}).get("mends", ())
    lines = [line.strip() for line in str(error).splitlines()]
    shown = [line[4:] for line in lines if line.startswith(("try ", "or  "))]
    assert len(shown) == len(mends)
    by_hand = dict(written().get(program, {}))
    for text, mend in zip(shown, mends, strict=True):
        ways = next((by_hand.pop(edit) for edit in list(by_hand) if text.startswith(edit)), None)
        if ways is not None:
            for way in ways:
                run(made(program, way))
            continue
        failures = []
        for way in edited(program, mend, error.hadamard["args"]):
            try:
                run(way)
                break
            except Exception as failure:
                failures.append(f"{way}: {failure}")
        else:
            raise AssertionError(f"not made: {text!r}\n" + "\n".join(failures))
    assert not by_hand, "edits that the error no longer proposes"
