"""Writes hadamard/_C.pyi from the tables of ops in the built module: python tools/make_stubs.py MODULE OUT.pyi"""

import importlib.machinery
import importlib.util
import keyword
import sys

TYPES = {
    "Tensor": "Tensor",
    "tuple of Tensors": "Sequence[Tensor]",
    "int": "builtins.int",
    "float": "builtins.float",
    "bool": "builtins.bool",
    "Number": "Number",
    "tuple of ints": "builtins.int | Sequence[builtins.int]",
    "torch.dtype": "dtype",
    "torch.device": "device | str",
    "str": "str",
    "torch.memory_format": "Any",
    "object": "Any",
}

HEAD = """# Made by tools/make_stubs.py from the tables of ops: do not edit.
# ruff: noqa
import builtins
from collections.abc import Sequence
from typing import Any, TypeAlias

Number: TypeAlias = builtins.int | builtins.float | builtins.complex

class dtype:
    itemsize: builtins.int
    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_signed: builtins.bool
    def to_real(self) -> dtype: ...
    def to_complex(self) -> dtype: ...

class device:
    type: str
    index: builtins.int | None
    def __init__(self, type: str | device, index: builtins.int | None = None) -> None: ...

class Node:
    next_functions: tuple[tuple[Node | None, builtins.int], ...]
    variable: Tensor
    register_hook: Any
    register_prehook: Any
    def name(self) -> str: ...
    def __getattr__(self, name: str) -> Any: ...

class Generator:
    device: Any
    def __init__(self, device: str | Any = "cpu") -> None: ...
    def manual_seed(self, seed: builtins.int) -> Generator: ...
    def seed(self) -> builtins.int: ...
    def initial_seed(self) -> builtins.int: ...
    def get_state(self) -> Tensor: ...
    def set_state(self, state: Tensor) -> Generator: ...
    def __getattr__(self, name: str) -> Any: ...

def _call_module(self: Any, *args: Any, **kwargs: Any) -> Any: ...

default_generator: Generator

def __getattr__(name: str) -> Any: ...

"""


def load(path):
    loader = importlib.machinery.ExtensionFileLoader("_C", path)
    spec = importlib.util.spec_from_loader("_C", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def split(text):
    """The parameters of a signature, at top-level commas, without what follows the arrow."""
    parts, depth, word = [], 0, ""
    for c in text.partition("->")[0]:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(word.strip())
            word = ""
        else:
            word += c
    return [p for p in (*parts, word.strip()) if p]


def definition(name, signature, kinds, self_first):
    params = split(signature)
    out, seen_star, at = [], False, 0
    last_positional = None
    for p in params:
        if p == "*":
            seen_star = True
            if not any(o.startswith("*") for o in out):
                out.append("*")
            continue
        word = p.partition("=")[0].strip()
        kind, optional, default = kinds[at]
        at += 1
        if self_first and at == 1:
            out.append("self")
            continue
        if keyword.iskeyword(word):
            continue
        if word == "out":
            hint = "Sequence[Tensor] | None" if kind == "tuple of Tensors" else "Tensor | None"
        else:
            hint = TYPES.get(kind, "Any") + (" | None" if optional else "")
            if kind == "Tensor":
                hint += " | Number"
        spread = (
            kind == "tuple of ints"
            and not seen_star
            and at == sum(1 for q in params[: params.index(p) + 1] if q != "*")
        )
        following = [q for q in params[params.index(p) + 1 :]]
        if spread and not default and (not following or following[0] == "*"):
            out.append(f"*{word}: Any")
            last_positional = word
            continue
        out.append(f"{word}: {hint}" + (" = ..." if default else ""))
    if last_positional and "*" in out:
        out.remove("*")
    if out and out[-1] == "*":
        out.pop()
    return f"def {name}({', '.join(out)}) -> Any: ..."


def block(name, op, self_first, indent):
    overloads = [definition(name, s, k, self_first) for s, k in op._signatures]
    if len(overloads) == 1:
        return [indent + overloads[0]]
    head = "(self, *args: Any, **kwargs: Any)" if self_first else "(*args: Any, **kwargs: Any)"
    lines = [f"{indent}def {name}{head} -> Any:"]
    lines.append(f'{indent}    """' + "\n".join(s for s, _ in op._signatures).replace("\n", f"\n{indent}    ") + '"""')
    return lines


def main(module_path, out_path):
    module = load(module_path)
    lines = [HEAD]
    for name in sorted(n for n in dir(module) if type(getattr(module, n)).__name__ == "dtype"):
        lines.append(f"{name}: dtype")
    lines += ["", "class Tensor:"]
    lines.append("    def __getattr__(self, name: str) -> Any: ...")
    lines += [f"    {name}: Any" for name in ("layout", "names", "is_sparse_csr", "volatile")]
    attributes = [n for n, v in sorted(vars(module.Tensor).items()) if type(v).__name__ == "getset_descriptor"]
    for name in attributes:
        lines.append(f"    {name}: Any")
    for word in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
        for prefix in ("", "r", "i"):
            lines.append(f"    def __{prefix}{word}__(self, other: Any) -> Tensor: ...")
    for word in "lt le gt ge".split():
        lines.append(f"    def __{word}__(self, other: Any) -> Tensor: ...")
    for word in "neg pos abs invert".split():
        lines.append(f"    def __{word}__(self) -> Tensor: ...")
    lines += [
        "    def __getitem__(self, key: Any) -> Tensor: ...",
        "    def __setitem__(self, key: Any, value: Any) -> None: ...",
        "    def __len__(self) -> builtins.int: ...",
        "    def __bool__(self) -> builtins.bool: ...",
        "    def __float__(self) -> builtins.float: ...",
        "    def __int__(self) -> builtins.int: ...",
        "    def __index__(self) -> builtins.int: ...",
    ]
    for name in module._methods:
        lines += block(name, vars(module.Tensor)[name], True, "    ")
    lines.append("")
    for name in module._functions:
        lines += block(name, getattr(module, name), False, "")
    with open(out_path, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
