"""What the stack and the user's source say about a failing call: the line, how its arguments are written, the module.

Nothing here runs the user's code: names are looked up in frames and in the dictionaries of modules.
"""

import ast
import linecache
import os
import sys
import textwrap

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MOST_LINES = 400  # of a source file that are parsed


def is_ours(frame):
    return frame.f_code.co_filename.startswith(_OURS)


def is_our_class(kind):
    """Whether a class is Hadamard's, which under `hadamard run` says that it is torch's."""
    return kind.__module__.partition(".")[0] in ("hadamard", "torch")


def user_frame(start=None):
    """The innermost frame outside of the package, or None."""
    frame = start or sys._getframe(1)
    while frame is not None and (is_ours(frame) or frame.f_code.co_filename.startswith("<frozen")):
        frame = frame.f_back
    return frame


def look_up(node, frame):
    """The object that a name, or a chain of attributes of one, stands for now; None where that would run code."""
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals):
            if node.id in names:
                return names[node.id]
        return None
    if isinstance(node, ast.Attribute):
        return attribute(look_up(node.value, frame), node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        owner = look_up(node.value, frame)
        try:
            return owner[node.slice.value] if type(owner) in (list, tuple, dict) else None
        except (LookupError, TypeError):
            return None
    return None


def attribute(owner, name):
    own = getattr(owner, "__dict__", None)
    if not isinstance(own, dict) and not isinstance(owner, type(sys)):
        return None
    for store in (own, own.get("_parameters"), own.get("_buffers"), own.get("_modules")):
        if isinstance(store, dict) and name in store:
            return store[name]
    for kind in type(owner).__mro__:
        found = vars(kind).get(name)
        if callable(found):
            return found
    return None


# ---- how the arguments of the failing call are written


def _positions(frame):
    """(line, last line, column, last column) of what the frame runs; None where Python does not keep them (3.10)."""
    positions = getattr(frame.f_code, "co_positions", None)
    return positions and next(p for i, p in enumerate(positions()) if i == frame.f_lasti // 2)


def call_node(frame):
    """(node, segment) of the operation that the frame is in: a BinOp, Call, AugAssign, … with its source text."""
    try:
        positions = _positions(frame)
        if positions is None:
            return _call_on_line(frame)
        first, last, begin, end = positions
        if None in (first, last, begin, end) or last - first > 30:
            return None, ""
        lines = [
            linecache.getline(frame.f_code.co_filename, n, frame.f_globals).encode() for n in range(first, last + 1)
        ]
        lines[-1] = lines[-1][:end]
        lines[0] = lines[0][begin:]
        text = b"".join(lines).decode()
        return _first_node(text), text
    except Exception:
        return None, ""


def writes_in_place(frame):
    """Whether the frame is in x += y or the like."""
    import opcode

    code, at = frame.f_code.co_code, frame.f_lasti
    name = opcode.opname[code[at]] if 0 <= at < len(code) else ""
    return name.startswith("INPLACE") or (name == "BINARY_OP" and 13 <= code[at + 1] < 26)


def call_in(scope, frame):
    """The same as a node of the frame's Scope, whose lines and columns are the file's."""
    positions = _positions(frame)
    nodes = [n for s in scope.body for n in ast.walk(s) if isinstance(n, ast.Call)]
    if positions is not None:
        first, last, begin, end = positions
        wanted = (first - scope.offset, last - scope.offset, begin - scope.margin, end - scope.margin)
        return next((n for n in nodes if (n.lineno, n.end_lineno, n.col_offset, n.end_col_offset) == wanted), None)
    here = [n for n in nodes if n.lineno <= frame.f_lineno - scope.offset <= n.end_lineno]
    ends = [n for n in here if getattr(n.func, "attr", "") in ("backward", "grad")]
    return ends[0] if ends else here[0] if len(here) == 1 else None


def _first_node(text):
    try:
        return ast.parse(f"({text})", mode="eval").body
    except SyntaxError:
        return ast.parse(text.strip()).body[0]


def _call_on_line(frame):
    """Python 3.10 knows the line only: the one operation on it, if there is just one."""
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals).strip()
    kinds = (ast.BinOp, ast.AugAssign, ast.Call)
    found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, kinds)]
    return (found[0], text) if len(found) == 1 else (None, "")


def operands(node):
    """The expressions that are a call's arguments in their order, the tensor of a method first: [(keyword, node), …]"""
    if isinstance(node, ast.BinOp):
        return [("", node.left), ("", node.right)]
    if isinstance(node, ast.AugAssign):
        return [("", node.target), ("", node.value)]
    if isinstance(node, ast.Compare) and len(node.comparators) == 1:
        return [("", node.left), ("", node.comparators[0])]
    if isinstance(node, ast.Subscript):
        return [("", node.value)]
    if isinstance(node, ast.Call):
        given = [("", a) for a in node.args] + [(k.arg, k.value) for k in node.keywords if k.arg]
        if isinstance(node.func, ast.Attribute):
            given.insert(0, ("", node.func.value))
        flat = []
        for keyword, arg in given:
            if isinstance(arg, (ast.List, ast.Tuple)):
                flat += [("", item) for item in arg.elts]
            else:
                flat.append((keyword, arg))
        return flat
    return []


def name_arguments(args, frame, direct=True):
    """Fill in `written` of each argument whose expression in the user's line is certain.

    Where the call went through Python code of ours (`direct` is false) only tensors with that shape and dtype count.
    """
    node, text = call_node(frame)
    if node is None:
        return
    from hadamard import Tensor

    # The owner of a method call may be a module or a namespace; those are no operands.
    known = [(keyword, expression, look_up(expression, frame)) for keyword, expression in operands(node)]
    tensors = [
        (keyword, expression, value)
        for keyword, expression, value in known
        if isinstance(value, Tensor) or (value is None and not isinstance(expression, ast.Constant))
    ]

    def fits(arg, value):
        return isinstance(value, Tensor) and (tuple(value.shape), str(value.dtype)[6:]) == (arg.shape, arg.dtype)

    for i, arg in enumerate(args):
        chosen = [t for t in tensors if t[0] == arg.name]
        if not chosen and len(tensors) == len(args):
            chosen = tensors[i : i + 1]
        elif not chosen:
            chosen = [t for t in tensors if fits(arg, t[2])]
        if len(chosen) != 1:
            continue
        _, expression, value = chosen[0]
        if fits(arg, value) or (value is None and direct):
            shown = ast.unparse(expression)
            if len(shown) <= 28 and isinstance(expression, (ast.Name, ast.Attribute, ast.Subscript)):
                arg.written = shown


# ---- modules


def module_path():
    """Where in a model the call is, "encoder.fc1 (Linear 400→120) of Net", and the module; "" outside of one."""
    modules = sys.modules.get("hadamard.nn.modules.module")
    if modules is None:
        return "", None
    chain = []
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "forward":
            owner = frame.f_locals.get("self")
            # A forward that calls its base class's is one call.
            if isinstance(owner, modules.Module) and not (chain and chain[-1] is owner):
                chain.append(owner)
        frame = frame.f_back
    if not chain:
        return "", None
    chain.reverse()
    path = []
    for parent, child in zip(chain, chain[1:], strict=False):
        path.append(_path_inside(parent, child))
    root, leaf = chain[0], chain[-1]
    path = ".".join(part for part in path if part)
    if path:
        return f"{path} ({describe(leaf)}) of {type(root).__name__}", leaf
    told = describe(leaf)
    # A loss or an activation on its own says nothing that the line of the call does not.
    plain = is_our_class(type(leaf)) and "→" not in told
    return "" if plain else told, leaf


def _path_inside(parent, child):
    for name, module in parent.named_modules():
        if module is child:
            return name
    return ""


def describe(module):
    """Linear 400→120, Conv2d 3→8, or the name of the class."""
    kind = type(module).__name__
    for one, two in (("in_features", "out_features"), ("in_channels", "out_channels"), ("input_size", "hidden_size")):
        own = getattr(module, "__dict__", {})
        if one in own and two in own:
            return f"{kind} {own[one]}→{own[two]}"
    return kind


# ---- the function that a frame is in


class Scope:
    """The statements of the function (or module) a frame runs, parsed: who is assigned where, and from what."""

    def __init__(self, tree, offset, filename, frame=None, arguments=()):
        self.offset = offset  # line of the file − line of the tree
        self.margin = 0  # columns that were taken off to parse it
        self.filename = filename
        self.frame = frame
        self.arguments = list(arguments)
        self.defs = []  # (line, names, value, cut, loop), in the order of the text
        self.calls = []  # (line, Call)
        self.returns = []
        self.body = tree
        self._walk(tree, "", ())

    def line(self, node):
        return node.lineno + self.offset

    def column(self, text, offset):
        """Where in the line of the file the byte `offset` of the parsed line is."""
        return len(text.encode()[: offset + self.margin].decode(errors="ignore"))

    def text(self, line):
        return linecache.getline(self.filename, line, self.frame.f_globals if self.frame else None)

    def _walk(self, statements, cut, loops):
        for s in statements:
            if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if isinstance(s, ast.Assign):
                for target in s.targets:
                    self._define(target, s.value, s, cut, loops)
            elif isinstance(s, ast.AnnAssign) and s.value:
                self._define(s.target, s.value, s, cut, loops)
            elif isinstance(s, ast.AugAssign):
                self._define(s.target, ast.BinOp(s.target, s.op, s.value), s, cut, loops)
            elif isinstance(s, (ast.For, ast.AsyncFor)):
                self._define(s.target, s.iter, s, cut, loops)
            elif isinstance(s, ast.Return) and s.value:
                self.returns.append((self.line(s), s.value, cut))
            inner = cut
            if isinstance(s, (ast.With, ast.AsyncWith)):
                for item in s.items:
                    inner = switch(item.context_expr) or inner
            looped = (*loops, s) if isinstance(s, (ast.For, ast.AsyncFor, ast.While)) else loops
            for field in ("body", "orelse", "finalbody"):
                self._walk(getattr(s, field, []), inner, looped)
            for handler in getattr(s, "handlers", []):
                self._walk(handler.body, inner, loops)
            for case in getattr(s, "cases", []):
                self._walk(case.body, inner, loops)

    def _define(self, target, value, statement, cut, loops):
        if isinstance(target, (ast.Tuple, ast.List)):
            for i, t in enumerate(target.elts):
                if isinstance(value, ast.Tuple) and i < len(value.elts):
                    v = value.elts[i]
                elif isinstance(value, ast.Call):  # values, indices = x.max(1)
                    v = ast.copy_location(ast.Subscript(value, ast.Constant(i), ast.Load()), value)
                else:
                    v = value
                self._define(t, v, statement, cut, loops)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            self.defs.append((self.line(statement), ast.unparse(target), value, cut, loops))

    def before(self, name, line):
        """The last assignment to a name above a line; in a loop, one below it counts too."""
        above = [d for d in self.defs if d[1] == name and d[0] < line]
        if above:
            return above[-1]
        below = [d for d in self.defs if d[1] == name and d[4] and d[0] > line]
        return below[-1] if below else None


def switch(expression):
    """ "no_grad" or "inference" for what switches recording off."""
    call = expression.func if isinstance(expression, ast.Call) else expression
    name = call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")
    if name == "no_grad":
        return "no_grad"
    if name == "inference_mode":
        return "inference"
    off = isinstance(expression, ast.Call) and expression.args and getattr(expression.args[0], "value", 1) is False
    return "no_grad" if name == "set_grad_enabled" and off else ""


def scope_of_code(code, names=None, frame=None):
    """The Scope of a code object, None where its source is not to be had."""
    first = code.co_firstlineno
    lines = linecache.getlines(code.co_filename, names)
    if code.co_name == "<module>":
        # From the start of a statement to the end of the one that runs, and no more than can be parsed quickly.
        now = frame.f_lineno if frame else len(lines)
        inner = ("else", "elif", "except", "finally")  # parts of the statement above them
        tops = [
            n
            for n, line in enumerate(lines, 1)
            if (line[:1].isalpha() or line[:1] == "@") and not line.startswith(inner)
        ]
        first = next((n for n in tops if n > now - _MOST_LINES), now)
        last = next((n - 1 for n in tops if n > now), len(lines))
    else:
        last = max((n for *_, n in code.co_lines() if n), default=first)
        margin = _indent(lines[first - 1]) if first <= len(lines) else 0
        while last < len(lines) and (_indent(lines[last]) > margin or lines[last].strip()[:1] in (")", "]", "}")):
            last += 1
    chunk = lines[first - 1 : min(last, first + 2 * _MOST_LINES)]
    if not chunk:
        return None
    text = ast.parse(textwrap.dedent("".join(chunk)))
    body, arguments, cut = text.body, (), ""
    if code.co_name != "<module>":
        function = next((n for n in ast.walk(text) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), None)
        if function is None:
            return None
        body = function.body
        arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        cut = next(filter(None, map(switch, function.decorator_list)), "")
    scope = Scope(body, first - 1, code.co_filename, frame, arguments)
    scope.margin = _indent(chunk[0])
    if cut:
        scope.defs = [(line, name, value, cut, loops) for line, name, value, _, loops in scope.defs]
        scope.returns = [(line, value, cut) for line, value, _ in scope.returns]
    return scope


def _indent(line):
    return len(line) - len(line.lstrip())


def scope_of(frame):
    try:
        return scope_of_code(frame.f_code, frame.f_globals, frame)
    except Exception:
        return None
