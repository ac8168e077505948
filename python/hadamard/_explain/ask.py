"""What explain() is asked: text, tensors, shapes or a call become one Request."""

import ast
import re
from dataclasses import dataclass, field
from typing import Any

import hadamard as H

SYMBOLS = {
    "*": "mul",
    "+": "add",
    "-": "sub",
    "/": "div",
    "//": "floor_divide",
    "%": "remainder",
    "**": "pow",
    "@": "matmul",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
    "&": "bitwise_and",
    "|": "bitwise_or",
    "^": "bitwise_xor",
}
SYMBOL_OF = {name: symbol for symbol, name in SYMBOLS.items()}
SAME = {
    "multiply": "mul",
    "subtract": "sub",
    "divide": "div",
    "true_divide": "div",
    "not_equal": "ne",
    "greater": "gt",
    "less": "lt",
    "greater_equal": "ge",
    "less_equal": "le",
    "ger": "outer",
    "__matmul__": "matmul",
    "__mul__": "mul",
}
LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
ELEMENTWISE = (
    *(name for name in SYMBOLS.values() if name != "matmul"),
    *"maximum minimum fmax fmin atan2 hypot copysign fmod xlogy logical_and logical_or logical_xor logaddexp".split(),
    *LOSSES,
)
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
ADDED = ("addmv", "addmm", "baddbmm")  # a product that is added to their first argument
PRODUCTS = ("dot", "vdot", "inner", "outer", "mv", "mm", "bmm", "matmul", "linear", "einsum", "tensordot", *ADDED)
NAMES = {
    "linear": ("input", "weight", "bias"),
    "addmv": ("mat", "vec", "input"),
    "addmm": ("mat1", "mat2", "input"),
    "baddbmm": ("batch1", "batch2", "input"),
    **dict.fromkeys(CONVOLUTIONS + TRANSPOSED, ("input", "weight", "bias")),
    **dict.fromkeys(LOSSES, ("input", "target")),
}
DTYPES = {
    **{
        name: name
        for name in "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()
    },
    **{"half": "float16", "float": "float32", "double": "float64", "int": "int32", "long": "int64"},
    **{"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "i8": "int8", "u8": "uint8"},
    **{"i16": "int16", "i32": "int32", "i64": "int64", "c64": "complex64", "c128": "complex128"},
}


@dataclass
class Operand:
    """One factor: a shape with a dtype, and the tensor itself where there is one; or a number."""

    name: str
    shape: tuple
    dtype: Any
    stride: tuple | None = None
    tensor: Any = None
    number: Any = None
    labels: str = ""
    wants_grad: bool = False
    written: str = ""  # the user's name for it

    @property
    def bytes(self) -> int:
        """Memory of its elements, each once."""
        count = 1
        for size, step in zip(self.shape, self.stride or (1,) * len(self.shape), strict=True):
            count *= size if step else 1
        return 0 if self.number is not None else count * itemsize(self.dtype)

    def meta(self):
        """It without its data."""
        if self.number is not None:
            return self.number
        if self.stride is None:
            return H.empty(self.shape, dtype=self.dtype, device="meta")
        return H.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


@dataclass
class Request:
    """An op by name, with its operands, the rest of its arguments, and how it was written."""

    op: str
    operands: list
    kwargs: dict = field(default_factory=dict)
    equation: str = ""
    function: Any = None  # called instead of the op of that name
    positions: list = field(default_factory=list)  # where the operands are among `args`
    args: tuple = ()


def itemsize(dtype) -> int:
    """Bytes of one element."""
    return H.empty(0, dtype=dtype).element_size()


def operand(x, name) -> Operand:
    """A tensor, an array, a shape or a number as an operand; TypeError for anything else."""
    if isinstance(x, Operand):
        return x
    if isinstance(x, H.Tensor):
        return Operand(name, tuple(x.shape), x.dtype, tuple(x.stride()), x, wants_grad=x.requires_grad)
    if isinstance(x, (bool, int, float, complex)):
        return Operand(name, (), H.tensor(x).dtype, number=x)
    if isinstance(x, str):
        return _shape_text(x, name)
    if hasattr(x, "shape") and hasattr(x, "dtype"):  # of NumPy, PyTorch and their like
        dtype = getattr(H, DTYPES.get(str(x.dtype).rpartition(".")[2], ""), None)
        if dtype is not None:
            if hasattr(x, "__array_interface__"):
                return operand(H.as_tensor(x), name)
            return Operand(name, tuple(x.shape), dtype)
    if isinstance(x, (tuple, list)) and all(isinstance(n, int) and n >= 0 for n in x):
        return Operand(name, tuple(x), H.get_default_dtype())
    raise TypeError(
        f"explain() takes tensors, shapes as (2, 3) and numbers, not {type(x).__name__}"
        + (" with other things than sizes in it" if isinstance(x, (tuple, list)) else "")
    )


def request(args, kwargs) -> Request:
    """What the arguments of explain() ask for. TypeError or ValueError, with examples, where they make no sense."""
    first = args[0] if args else None
    if isinstance(first, str) and len(args) == 1:
        return _text(first)
    if isinstance(first, str):
        name = SYMBOLS.get(first, first)
        if re.fullmatch(r"[\sA-Za-z.]*(,|->)[\sA-Za-z.,]*(->[\sA-Za-z.]*)?", first):
            return _named("einsum", args[1:], kwargs, first.replace(" ", ""))
        return _named(name, args[1:], kwargs)
    if len(args) == 3 and isinstance(args[1], str):
        return _named(SYMBOLS.get(args[1], args[1]), (args[0], args[2]), kwargs)
    if callable(first) and not isinstance(first, H.Tensor):
        name = getattr(first, "__name__", type(first).__name__)
        name = SAME.get(name, name)
        if name == "einsum" and len(args) > 1 and isinstance(args[1], str):
            return _named("einsum", args[2:], kwargs, args[1].replace(" ", ""))
        if _known(name) and not any(callable(x) and not isinstance(x, H.Tensor) for x in args[1:]):
            return _named(name, args[1:], kwargs)
        return _call(first, name, args[1:], kwargs)
    raise TypeError(_USAGE)


_USAGE = """explain() is asked as
  explain(a, "*", b), explain("bij,jk->bik", a, w), explain("(10,2,3) @ (3,4)")
  explain(torch.conv2d, x, w, stride=2), explain(model, x)"""


def _known(name) -> bool:
    name = SAME.get(name, name)
    return name in (*ELEMENTWISE, *PRODUCTS, *CONVOLUTIONS, *TRANSPOSED)


def _named(name, args, kwargs, equation="") -> Request:
    name = SAME.get(name, name)
    if not _known(name):
        raise ValueError(
            f"explain() knows no product {name!r}: try *, @, {', '.join((*PRODUCTS, *CONVOLUTIONS, *TRANSPOSED))}"
        )
    if name == "einsum" and not equation:
        if args and isinstance(args[0], str):
            return _named(name, args[1:], kwargs, args[0].replace(" ", ""))
        raise ValueError('einsum wants its equation first: explain("ij,jk->ik", a, b)')
    kwargs = dict(kwargs)
    if name == "tensordot" and len(args) > 2:
        args, kwargs["dims"] = args[:2], args[2]
    if name in CONVOLUTIONS + TRANSPOSED:
        order: tuple = ("stride", "padding", "dilation", "groups")
        if name in TRANSPOSED:
            order = ("stride", "padding", "output_padding", "groups", "dilation")
        for key, value in zip(order, args[3:], strict=False):
            kwargs[key] = value
        args = [x for x in (*args[:3], kwargs.pop("bias", None)) if x is not None]
    if name == "linear":
        args = [x for x in (*args[:3], kwargs.pop("bias", None)) if x is not None]
    names = NAMES.get(name, "abcdefgh")
    if len(args) > len(names) or (len(args) < 2 and name != "einsum"):
        raise ValueError(f'{name} of {len(args)} operands: explain() takes two, as in explain(a, "*", b)')
    if name in ADDED:  # the factors first, then what is added, as of linear
        if len(args) != 3:
            raise ValueError(f"{name} takes three operands: what is added, and the two factors")
        args = [*args[1:], args[0]]
    operands = [operand(x, letter) for x, letter in zip(args, names, strict=False)]
    if name in ADDED:
        function = getattr(H, name)
        return Request(name, operands, kwargs, function=function, positions=[1, 2, 0], args=(None,) * 3)
    return Request(name, operands, kwargs, equation)


def has_addend(request) -> bool:
    """Whether the last of three operands is added to the product of the others."""
    return len(request.operands) == 3 and (request.op == "linear" or request.op in ADDED)


def _call(function, name, args, kwargs) -> Request:
    """A call that is not one product: whatever products it makes inside."""
    operands: list = []
    positions: list = []
    for i, x in enumerate(args):
        if isinstance(x, H.Tensor) or (isinstance(x, tuple) and x and all(isinstance(n, int) for n in x)):
            operands.append(operand(x, "abcdefgh"[len(operands)]))
            positions.append(i)
    return Request(name, operands, dict(kwargs), function=function, positions=positions, args=tuple(args))


def take_names(request, frame) -> None:
    """Notes what the line that called explain() calls its tensors."""
    from hadamard.errors import source

    node, _ = source.call_node(frame)
    for argument in getattr(node, "args", ()):
        if isinstance(argument, ast.Name):
            value = source.look_up(argument, frame)
            for x in request.operands:
                if value is not None and value is x.tensor:
                    x.written = argument.id


def rename(request, letters) -> None:
    """The operands get the user's names where all have one and none is taken: by another, by an index, by the code."""
    written = [x.written for x in request.operands if x.number is None]
    taken = {*letters, "g", "torch", "np", "F"}
    fine = all(n and n not in taken and len(n) <= 16 for n in written) and len(set(written)) == len(written)
    clash = any(x.name in letters for x in request.operands)
    for n, x in enumerate(request.operands):
        if x.number is not None:
            continue
        if fine:
            x.name = x.written
        elif clash:
            x.name = "ABCDEFGH"[n]


# ---- text


def _text(text) -> Request:
    """ "(10,2,3) @ (3,4)", "bij,jk->bik (10,2,3) (3,4)", "conv2d((1,3,8,8), (4,3,3,3), stride=2)"."""
    source = text.strip()
    equation = re.match(r"([A-Za-z., ]+->[A-Za-z. ]*?)\s*[,:;]?\s*(?=[(\[\d])", source)
    if equation:
        shapes = re.findall(_SHAPE, source[equation.end() :])
        return _named(
            "einsum",
            [_shape_text(s, letter) for s, letter in zip(shapes, "abcdefgh", strict=False)],
            {},
            equation[1].replace(" ", ""),
        )
    source = re.sub(r"\b\d+(?:x\d+)+\b", lambda m: "(" + m[0].replace("x", ", ") + ")", source)
    source = re.sub(r"\[([\d,\s]*)\]", r"(\1)", source)
    source = re.sub(r"\(\s*(\d+)\s*\)", r"(\1,)", source)  # (3) is a shape of one dimension
    source = re.sub(rf"(\w*\([\d,\s]*\))\s*:?\s*\b({'|'.join(DTYPES)})\b(?!\s*\()", r"\2[\1]", source)
    try:
        tree = ast.parse(source, mode="eval").body
        return _tree(tree)
    except (SyntaxError, _NotAProduct):
        raise ValueError(
            f"explain() cannot read {text!r}: it takes shapes and an op, as in\n"
            '  "(10,2,3) @ (3,4)", "(2,2) * (2,)", "(3,):uint8 * (3,):int8", "bij,jk->bik (10,2,3) (3,4)",\n'
            '  "conv2d((1,3,8,8), (4,3,3,3), stride=2)"'
        ) from None


_SHAPE = r"(?:[\[(][\d,\s]*[\])])(?:\s*:?\s*\b(?:" + "|".join(DTYPES) + r")\b)?"


class _NotAProduct(Exception):
    pass


_OPS = {
    ast.Mult: "*",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def _tree(node) -> Request:
    if isinstance(node, ast.BinOp):
        symbol, left, right = _OPS.get(type(node.op)), node.left, node.right
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        symbol, left, right = _OPS.get(type(node.ops[0])), node.left, node.comparators[0]
    elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if not _known(name):
            raise _NotAProduct
        try:
            kwargs = {k.arg or "": ast.literal_eval(k.value) for k in node.keywords}
        except ValueError:
            raise _NotAProduct from None
        args = [_leaf(x, letter) for x, letter in zip(node.args, "abcdefgh", strict=False)]
        names = NAMES.get(name, ())
        if name in ADDED:  # what is added comes first
            names = (*names[2:], *names[:2])
        for x, wanted in zip(args, names, strict=False):
            if isinstance(x, Operand) and len(x.name) == 1:
                x.name = wanted
        if name == "einsum" and args and isinstance(args[0], str):
            for x, letter in zip(args[1:], "abcdefgh", strict=False):
                x.name = letter
        return _named(name, args, kwargs)
    else:
        raise _NotAProduct
    if symbol is None:
        raise _NotAProduct
    return _named(SYMBOLS[symbol], (_leaf(left, "a"), _leaf(right, "b")), {})


def _leaf(node, name):
    """A shape, a number or (an equation's) text."""
    if isinstance(node, ast.Subscript):  # float16[(2, 3)], made above from (2, 3) float16
        inner = _leaf(node.slice, name)
        if isinstance(inner, Operand) and isinstance(node.value, ast.Name) and node.value.id in DTYPES:
            inner.dtype = getattr(H, DTYPES[node.value.id])
            return inner
        raise _NotAProduct
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        shape = tuple(_integer(x) for x in node.args)
        if node.func.id in DTYPES:
            return Operand(name, shape, getattr(H, DTYPES[node.func.id]))
        return Operand(node.func.id, shape, H.get_default_dtype())
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        inner = _leaf(node.value, name)
        if isinstance(inner, Operand) and len(inner.shape) >= 2:
            rows = inner.shape[-1]
            steps = list(inner.meta().stride())
            inner.shape = (*inner.shape[:-2], rows, inner.shape[-2])
            inner.stride = (*steps[:-2], steps[-1], steps[-2])
            return inner
        raise _NotAProduct
    if isinstance(node, ast.Tuple):
        try:
            return operand(tuple(_integer(x) for x in node.elts), name)
        except _NotAProduct:
            if all(isinstance(x, (ast.Tuple, ast.List)) for x in node.elts):  # the dims of a tensordot
                return tuple([_integer(n) for n in x.elts] for x in node.elts)  # type: ignore[attr-defined]
            raise
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, complex)):
        return operand(node.value, name)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise _NotAProduct


def _integer(node) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise _NotAProduct


def _shape_text(text, name) -> Operand:
    match = re.fullmatch(r"\s*[\[(]([\d,\s]*)[\])]\s*:?\s*(\w*)\s*", text)
    if not match or (match[2] and match[2] not in DTYPES):
        raise ValueError(f'explain() cannot read the shape {text!r}: "(2, 3)" or "(2, 3) float16"')
    dtype = getattr(H, DTYPES[match[2]]) if match[2] else H.get_default_dtype()
    return Operand(name, tuple(int(n) for n in match[1].replace(",", " ").split()), dtype)
