"""Why a tensor has no history: the expression in the user's source that cut it off, found after the fact.

Programs that do not fail pay nothing for this. The source of the function that called backward() is read backwards from
the tensor, through assignments and the forward() of the user's own modules, to the first operation that has something
requiring grad before it and nothing after it.
"""

import ast

from .source import attribute, call_in, is_ours, look_up, operands, scope_of, scope_of_code, switch

_METHODS = {
    "detach": "detach",
    "detach_": "detach",
    "item": "number",
    "tolist": "number",
    "numpy": "number",
    "argmax": "argmax",
    "argmin": "argmax",
    "argsort": "argmax",
    "nonzero": "argmax",
    "indices": "argmax",
    "data": "detach",
    "long": "integer",
    "int": "integer",
    "short": "integer",
    "byte": "integer",
    "bool": "integer",
    "eq": "comparison",
    "ne": "comparison",
    "lt": "comparison",
    "le": "comparison",
    "gt": "comparison",
    "ge": "comparison",
    "sign": "",
    "equal": "comparison",
    "isclose": "comparison",
    "allclose": "comparison",
}
_FUNCTIONS = {
    "tensor": "number",
    "as_tensor": "number",
    "from_numpy": "number",
    "array": "number",
    "asarray": "number",
    "float": "number",
    "int": "number",
    "FloatTensor": "number",
    "argmax": "argmax",
    "argmin": "argmax",
    "argsort": "argmax",
    "nonzero": "argmax",
    **{name: "comparison" for name in ("eq", "ne", "lt", "le", "gt", "ge", "equal", "isclose", "allclose")},
}
_INTEGERS = ("int64", "long", "int32", "int", "int16", "short", "int8", "uint8", "bool")


class Cut:
    """What cut the graph: its kind, and the place in the source."""

    def __init__(self, kind, scope, node, statement_line=0):
        self.kind = kind
        self.file = scope.filename
        self.line = statement_line or scope.line(node)
        self.text = scope.text(self.line)
        self.begin = self.end = None
        if node is not None and scope.line(node) == self.line and node.end_lineno == node.lineno:
            part = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
            if isinstance(node, ast.Attribute):
                part = node.value
            begin = node.col_offset if part is None or isinstance(part, ast.Name) else part.end_col_offset
            self.begin, self.end = (scope.column(self.text, c) for c in (begin, node.end_col_offset))


def find(frame, target=None):
    """The Cut before the tensor that `target` stands for (an expression; else what the frame's call is called on).

    ("leaves", names) where nothing that it was computed from requires grad; None where the source says nothing.
    """
    scope = scope_of(frame)
    if scope is None:
        return None
    if target is None:
        node = call_in(scope, frame)
        given = operands(node) if node is not None else []
        if not given:
            return None
        target = given[0][1]
        owner = look_up(target, frame)
        if owner is not None and not hasattr(owner, "requires_grad") and len(given) > 1:
            target = given[1][1]  # autograd.backward(loss), autograd.grad(loss, x)
    search = _Search()
    cut = search.cut(target, scope, frame.f_lineno, 0)
    if cut is not None:
        return cut
    if _Search().live(target, scope, frame.f_lineno, 0):
        return _switched_off(scope, frame.f_lineno)
    return ("leaves", search.leaves[:4]) if search.leaves else None


def _switched_off(scope, line):
    """The statement set_grad_enabled(False) above a line, as a Cut."""
    for statement in scope.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and scope.line(node) < line:
                if switch(node.value) == "no_grad":
                    return Cut("switched", scope, node.value)
    return None


class _Search:
    def __init__(self):
        self.leaves = []  # names of what was made without requires_grad
        self.steps = 0

    def live(self, node, scope, line, depth):
        """Whether anything in an expression requires grad."""
        self.steps += 1
        if self.steps > 400 or depth > 12:
            return False
        for part in ast.walk(node):
            if isinstance(part, ast.Lambda):
                continue
            if isinstance(part, (ast.Name, ast.Attribute)):
                value = self.value(part, scope)
                if value is not None and _requires_grad(value):
                    return True
                name = ast.unparse(part)
                known = scope.before(name, line)
                if known and known[0] != line and self.live(known[2], scope, known[0], depth + 1):
                    return True
                if known is None and scope.frame is None and name in scope.arguments:
                    return True  # an argument of a module's forward: it was called with something live
        return False

    def value(self, node, scope):
        if scope.frame is not None:
            return look_up(node, scope.frame)
        owner = getattr(scope, "owner", None)
        if owner is not None:
            names = []
            while isinstance(node, ast.Attribute):
                names.append(node.attr)
                node = node.value
            if isinstance(node, ast.Name) and node.id in scope.arguments[:1]:
                for name in reversed(names):
                    owner = attribute(owner, name)
                return owner if names else None
        return None

    def cut(self, node, scope, line, depth):
        """The cut nearest to the result of an expression that has something live before it."""
        self.steps += 1
        if depth > 12 or self.steps > 400:
            return None
        kind = _kind(node)
        if kind and self.live(_inside(node), scope, line, depth):
            return Cut(kind, scope, node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.cut_of_name(node, scope, line, depth)
        if isinstance(node, ast.Call):
            inner = self.cut_of_call(node, scope, line, depth)
            if inner is not None:
                return inner
            parts = [n for _, n in operands(node)]
        else:
            parts = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
        for part in parts:
            found = self.cut(part, scope, line, depth + 1)
            if found is not None:
                return found
        return None

    def cut_of_name(self, node, scope, line, depth):
        value = self.value(node, scope)
        if isinstance(value, type(ast)):
            return None
        name = ast.unparse(node)
        known = scope.before(name, line)
        if known is None and name.startswith("self.") and scope.frame is not None:
            found = self.cut_of_member(name, scope, depth)
            if found is not None:
                return found
        if known is None:
            if isinstance(node, ast.Attribute):
                return self.cut(node.value, scope, line, depth + 1)
            if value is not None and hasattr(value, "requires_grad") and not value.requires_grad:
                self.leaves.append(name)  # the data, more often than what is learned
            return self.cut_of_argument(name, scope, depth)
        made, _, expression, cut, _ = known
        if cut and self.live(expression, scope, made, depth + 1):
            return Cut(cut, scope, None, made)
        found = self.cut(expression, scope, made, depth + 1)
        if found is None and value is not None and hasattr(value, "requires_grad") and not value.requires_grad:
            if not any(
                isinstance(n, (ast.Name, ast.Attribute)) and scope.before(ast.unparse(n), made)
                for n in ast.walk(expression)
            ):
                self.leaves.insert(0, name)
        return found

    def cut_of_member(self, name, scope, depth):
        """self.loss that another method has set."""
        owner = scope.frame.f_locals.get("self")
        for function in vars(type(owner)).values():
            function = getattr(function, "__wrapped__", function)
            code = getattr(function, "__code__", None)
            if code is None or code is scope.frame.f_code:
                continue
            other = scope_of_code(code, getattr(function, "__globals__", None))
            if other is None:
                continue
            other.owner = owner
            for made, target, expression, cut, _ in reversed(other.defs):
                if target != name:
                    continue
                if cut and self.live(expression, other, made, depth + 1):
                    return Cut(cut, other, None, made)
                found = self.cut(expression, other, made, depth + 1)
                if found is not None:
                    return found
        return None

    def cut_of_argument(self, name, scope, depth):
        """The argument of a function: look where it was called."""
        frame = scope.frame
        if frame is None or name not in scope.arguments or frame.f_back is None or is_ours(frame.f_back):
            return None
        outer = scope_of(frame.f_back)
        node = call_in(outer, frame.f_back) if outer is not None else None
        if node is None:
            return None
        place = scope.arguments.index(name)
        if scope.arguments[:1] == ["self"]:
            place -= 1
        given = next((k.value for k in node.keywords if k.arg == name), None)
        if given is None and 0 <= place < len(node.args):
            given = node.args[place]
        return self.cut(given, outer, frame.f_back.f_lineno, depth + 1) if given is not None else None

    def cut_of_call(self, node, scope, line, depth):
        """Into the user's own functions and the forward() of the user's own modules."""
        target = self.value(node.func, scope)
        owner = None
        if hasattr(target, "_modules") and hasattr(type(target), "forward"):
            owner, target = target, type(target).forward
            if not any(p.requires_grad for p in owner.parameters()):
                self.leaves.append(f"the parameters of {ast.unparse(node.func)}")
                return None
            for child in owner._modules.values() if owner.__class__.__name__ == "Sequential" else ():
                inner = self.cut_in(type(child).forward, child, depth)
                if inner is not None:
                    return inner
        return self.cut_in(target, owner, depth)

    def cut_in(self, function, owner, depth):
        function = getattr(function, "__func__", function)
        wrapped = getattr(function, "__wrapped__", None)
        code = getattr(function, "__code__", None)
        if code is None or "hadamard" in (getattr(function, "__module__", "") or "").split(".")[:1]:
            if wrapped is None or not hasattr(wrapped, "__code__"):
                return None
        if wrapped is not None and hasattr(wrapped, "__code__"):
            function, code = wrapped, wrapped.__code__
        try:
            scope = scope_of_code(code, getattr(function, "__globals__", None))
        except Exception:
            return None
        if scope is None:
            return None
        scope.owner = owner
        for line, value, cut in reversed(scope.returns):
            if cut:
                return Cut(cut, scope, None, line)
            found = self.cut(value, scope, line + 1, depth + 1)
            if found is not None:
                return found
        return None


def _requires_grad(value):
    if hasattr(value, "_modules") and hasattr(value, "parameters"):
        try:
            return any(p.requires_grad for p in value.parameters())
        except Exception:
            return False
    return getattr(value, "requires_grad", False) is True


def _kind(node):
    """Which cut an expression is by itself, "" for none."""
    if isinstance(node, ast.Compare):
        return "comparison"
    if isinstance(node, ast.Attribute):
        return _METHODS.get(node.attr, "") if node.attr in ("data", "indices") else ""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
        # max(dim)[1], sort()[1], topk()[1]: the indices
        name = getattr(node.value.func, "attr", "")
        if name in ("max", "min", "sort", "topk", "median", "mode") and getattr(node.slice, "value", 0) == 1:
            return "argmax"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if name in ("to", "type") and any(ast.unparse(a).rpartition(".")[2] in _INTEGERS for a in node.args):
                return "integer"
            if isinstance(node.func.value, ast.Name) and node.func.value.id in (
                "torch",
                "np",
                "numpy",
                "H",
                "hadamard",
            ):
                return _FUNCTIONS.get(name, "detach" if name == "detach" else "")
            return _METHODS.get(name, "") if name not in ("data", "indices") else ""
        if isinstance(node.func, ast.Name):
            return _FUNCTIONS.get(node.func.id, "")
    return ""


def _inside(node):
    """What a cut cut off: the expression without the cut itself."""
    if isinstance(node, ast.Attribute):
        return node.value
    if isinstance(node, ast.Call):
        parts = [n for _, n in operands(node)] or [node]
        return ast.Tuple(parts, ast.Load())
    return node


def _joins(node):
    """tensor([a, b[0]])"""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
    name = name or getattr(function, "id", "")
    if (
        name not in ("tensor", "as_tensor")
        or len(node.args) != 1
        or not isinstance(node.args[0], (ast.List, ast.Tuple))
    ):
        return False
    return bool(node.args[0].elts) and all(isinstance(x, (ast.Name, ast.Subscript)) for x in node.args[0].elts)


def without(text, cut):
    """The user's line with the cut taken out, where that is an edit of the line; "" otherwise."""
    try:
        tree = ast.parse(text.strip())
    except SyntaxError:
        return ""
    done = []

    class Take(ast.NodeTransformer):
        def visit_Call(self, node):
            self.generic_visit(node)
            if cut.kind == "detach" and isinstance(node.func, ast.Attribute) and node.func.attr == "detach":
                done.append(1)
                return node.func.value
            if cut.kind == "number" and _joins(node):  # numbers of tensors, one by one
                done.append(1)
                name = node.func.value.id if isinstance(node.func, ast.Attribute) else "torch"
                return ast.Call(ast.Attribute(ast.Name(name, ast.Load()), "stack", ast.Load()), node.args[:1], [])
            return node

        def visit_Attribute(self, node):
            self.generic_visit(node)
            if cut.kind == "detach" and node.attr == "data" and isinstance(node.ctx, ast.Load):
                done.append(1)
                return node.value
            return node

    tree = Take().visit(tree)
    return ast.unparse(ast.fix_missing_locations(tree)) if done else ""
