"""The first line of a TypeError: which of an op's signatures a call was meant for, and what is wrong with it.

The rules are PyTorch's. An op with one signature is judged by it; of several those count that take this number of
arguments, and if that is one alone, it is the one. Otherwise the call is shown beside all of them.
"""

from .._C import Generator, Tensor, device, dtype
from .overloads import OVERLOADS

# Where a number will do for a tensor.
_NUMBERS_TOO = frozenset("add div divide floor_divide mul multiply sub subtract true_divide".split())
# Sizes are never one number.
_LISTS = frozenset(("size", "pad", "normalized_shape", "split_sizes"))
_OTHER_WORDS = {"dim": ("axis",), "keepdim": ("keepdims",), "input": ("self",)}
_KINDS = sorted(
    ("Tensor", "Number", "int", "float", "bool", "str", "tuple of ints", "tuple of Tensors", "object", "torch.dtype")
    + ("torch.device", "torch.layout", "torch.memory_format", "torch.Generator", "Generator", "torch.Storage"),
    key=len,
    reverse=True,
)


class _Parameter:
    def __init__(self, text, keyword_only):
        head, _, default = text.partition(" = ")
        self.kind = next(kind for kind in _KINDS if head.startswith(kind + " "))
        self.name = head[len(self.kind) + 1 :]
        self.keyword_only = keyword_only
        self.optional = bool(default)
        self.may_be_none = default == "None"

    def given_by(self, words):
        return next((w for w in (self.name, *_OTHER_WORDS.get(self.name, ())) if w in words), None)


def line(name, is_method, ours, args, words):
    """The message for a call name(*args, **words) that fits none of the signatures; `ours` are Hadamard's own.

    >>> from hadamard import tensor
    >>> line("dot", False, ["(Tensor input, Tensor tensor)"], (tensor([1.0]), 2), {})
    "dot(): argument 'tensor' (position 2) must be Tensor, not int"
    >>> line("eye", False, [], (), {}).splitlines()[0]
    'eye() received an invalid combination of arguments - got (), but expected one of:'
    """
    known = OVERLOADS.get(name)
    if known is not None and is_method:
        known = [_of_method(text) for text in known if text.startswith("(Tensor input")]
    texts = known or list(dict.fromkeys(ours))
    signatures = [_parse(text) for text in texts]
    faults = [_fault(name, signature, args, words) for signature in signatures]
    for fault in faults:
        if fault and "failed to unpack" in fault:  # this signature took the call
            return fault
    if known is None and len(texts) == 1:
        return faults[0] or _shown(name, texts, signatures, args, words)
    count = len(args) + len(words)
    fitting = [
        fault for fault, s in zip(faults, signatures, strict=True) if sum(not p.optional for p in s) <= count <= len(s)
    ]
    return (len(fitting) == 1 and fitting[0]) or _shown(name, texts, signatures, args, words)


def _of_method(text):
    rest = text[len("(Tensor input") :].removeprefix(", ").removesuffix(")")
    parts = [part for part in rest.split(", ") if not part.endswith("out = None")]
    return "(" + ", ".join(parts[:-1] if parts[-1:] == ["*"] else parts) + ")"


def _parse(text):
    signature, keyword_only = [], False
    for part in text[1:-1].split(", "):
        if part == "*":
            keyword_only = True
        elif part:
            signature.append(_Parameter(part, keyword_only))
    return signature


def type_name(value):
    """The name that C gives a value's type: with its module where the type is none of Python's classes.

    >>> type_name(1.5)
    'float'
    """
    kind = type(value)
    if isinstance(value, Tensor):
        return "Tensor" if kind is Tensor else kind.__name__
    heap = kind.__flags__ >> 9 & 1
    return kind.__name__ if heap or kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _fault(name, signature, args, words):
    """What is wrong with a call by this signature; None where nothing is."""
    positional = [p for p in signature if not p.keyword_only]
    # view(2, 3) is view((2, 3))
    spread = len(positional) == 1 and positional[0].kind == "tuple of ints" and _fits("int", *args[:1])
    needed = sum(not p.optional for p in signature)
    too_many = (
        f"{name}() takes {f'from {needed} to ' if needed != len(positional) else ''}{len(positional)} positional "
        f"argument{'' if len(positional) == 1 else 's'} but {len(args)} {'was' if len(args) == 1 else 'were'} given"
    )
    if len(args) > len(positional) and not spread:
        return too_many
    at, used = 0, set()
    for i, p in enumerate(signature):
        word = None
        if at < len(args):
            if p.keyword_only:
                return too_many
            value, given = args[at], True
        else:
            word = p.given_by(words)
            value, given = words.get(word), word is not None
        if not given and not p.optional:
            missing = [f'"{q.name}"' for q in signature[i:] if not q.optional]
            return (
                f"{name}() missing {len(missing)} required positional argument{'s' if len(missing) == 1 else ''}: "
                + ", ".join(missing)
            )
        if given and not (value is None and p.may_be_none):
            several = spread and at == 0 and word is None and isinstance(value, int) and not isinstance(value, bool)
            if several:
                value, at = args, len(args)
            wrong = _wrong(name, p, value, "" if word is not None else f" (position {1 if several else at + 1})")
            if wrong:
                return wrong
            if several:
                continue
        if word is not None:
            used.add(word)
        elif given:
            at += 1
    for word in words:
        if word not in used:
            twice = any(word == p.name for p in positional)
            return f"{name}() got {'multiple values for' if twice else 'an unexpected keyword'} argument '{word}'"
    return None


def _wrong(name, p, value, place):
    if p.kind == "tuple of Tensors" and isinstance(value, (tuple, list)):
        for i, one in enumerate(value):
            if not isinstance(one, Tensor):
                return f"expected Tensor as element {i} in argument 0, but got {type_name(one)}"
        return None
    if p.kind == "tuple of ints" and isinstance(value, (tuple, list)):
        for i, one in enumerate(value):
            if not _fits("int", one):
                if i == 0 and place:
                    found = f"but found element of type {type_name(one)} at pos 0"
                    return f"{name}(): argument '{p.name}'{place} must be {p.kind}, {found}"
                return (
                    f"{name}(): argument '{p.name}' failed to unpack the object at pos {i + 1} with error "
                    f'"type must be {p.kind},but got {type_name(one)}"'
                )
        return None
    if _fits(p.kind, value) or (p.kind == "tuple of ints" and p.name not in _LISTS and _fits("int", value)):
        return None
    if p.kind == "Tensor" and name.rstrip("_") in _NUMBERS_TOO and _fits("Number", value):
        return None
    return f"{name}(): argument '{p.name}'{place} must be {p.kind}, not {type_name(value)}"


def _fits(kind, value=None):
    """Whether a value is of a kind, as far as an error needs to know."""
    if kind == "Tensor":
        return isinstance(value, Tensor)
    number = isinstance(value, Tensor) and value.dim() == 0
    foreign = not isinstance(value, (Tensor, str)) and hasattr(value, "dtype") and hasattr(value, "__index__")
    if kind == "int":
        return number or foreign or (isinstance(value, int) and not isinstance(value, bool))
    if kind == "bool":
        return number or isinstance(value, bool)
    if kind == "float":
        return number or isinstance(value, (int, float))
    if kind == "Number":
        return number or foreign or isinstance(value, (int, float, complex))
    if kind in ("tuple of ints", "tuple of Tensors"):
        return False
    classes = {"str": str, "torch.dtype": (dtype, type), "torch.device": (device, str, int)}
    return isinstance(value, classes.get(kind, Generator if kind.endswith("Generator") else object))


def _shown(name, texts, signatures, args, words):
    got = ", ".join(map(type_name, args))
    if words:
        named = ", ".join(f"{word}={type_name(value)}" for word, value in words.items())
        got = f"{got}, {named}" if args else f"{named}, "
    head = f"{name}() received an invalid combination of arguments - got ({got}), but expected "
    if len(texts) == 1:
        return head + texts[0]
    lines = [head + "one of:"]
    for text, signature in zip(texts, signatures, strict=True):
        lines.append(f" * {text}")
        if not words and len(signature) == len(args):
            each = [
                type_name(value) if _fits(p.kind, value) else f"!{type_name(value)}!"
                for p, value in zip(signature, args, strict=True)
            ]
            lines.append(f"      didn't match because some of the arguments have invalid types: ({', '.join(each)})")
    return "\n".join(lines) + "\n"
