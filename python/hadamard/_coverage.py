"""hadamard coverage: the torch names that a script uses, and which of them Hadamard lacks, without running it."""

import ast
import sys
from importlib import import_module
from pathlib import Path

_PACKAGE = __name__.rpartition(".")[0]

# Of torch's functions and methods, those that do not return one tensor: what they return is not followed further.
_NOT_A_TENSOR = frozenset(
    "allclose aminmax backward broadcast_tensors can_cast chunk compile cpu_count data_ptr dim dsplit element_size "
    "equal finfo frexp get_default_dtype get_num_threads hsplit iinfo is_complex is_contiguous is_floating_point "
    "is_grad_enabled is_nonzero is_pinned is_same_size is_signed is_storage is_tensor item kthvalue load "
    "manual_seed max median meshgrid min mode nanmedian ndimension nelement no_grad nonzero numel numpy promote_types "
    "register_hook result_type save seed set_default_dtype set_num_threads set_printoptions slogdet sort split "
    "split_with_sizes size std_mean storage storage_offset stride svd tensor_split tolist topk type typename unbind "
    "unique unique_consecutive untyped_storage var_mean vsplit where".split()
)
_MAKERS = frozenset("as_tensor einsum from_numpy tensor tensordot".split())
_TENSOR_ATTRIBUTES = frozenset("T mT H mH grad data real imag".split())
_SOME_MODULES = frozenset("LSTM GRU RNN MultiheadAttention Module".split())  # these return no single tensor
_BUILT_ON_TORCH = frozenset("torchvision torchaudio torchtext torchdata torchmetrics lightning accelerate".split())
_CATCHERS = frozenset("ImportError ModuleNotFoundError AttributeError Exception BaseException".split())


class Use:
    """A torch name in a script: its lines, and whether it is lacking, or lacking but guarded on every line."""

    def __init__(self, name):
        self.name, self.lines, self.lacking, self.guarded = name, [], False, True


def uses(source, file="<script>"):
    """The torch names that a program uses, {name: Use}, read off its syntax. SyntaxError where it has none.

    >>> found = uses("import torch as t\\nx = t.ones(3)\\nx.backwards()")
    >>> [(use.name, use.lines, use.lacking) for use in found.values()]
    [('torch.ones', [2], False), ('torch.Tensor.backwards', [3], True)]
    """
    reader = _Reader()
    reader.visit(ast.parse(source, file))
    return reader.found


def _lookup(path):
    """(what a torch path is here, None) or (None, the shortest part of it that does not exist)."""
    thing = import_module(_PACKAGE)
    parts = path.split(".")
    for i, part in enumerate(parts[1:], 2):
        try:
            thing = getattr(thing, part)
        except Exception:  # noqa: BLE001  (a module that fails to load has no names)
            try:
                thing = import_module(".".join([_PACKAGE, *parts[1:i]]))
            except ImportError:
                return None, ".".join(parts[:i])
    return thing, None


class _Reader(ast.NodeVisitor):
    # What an expression is: ("path", "torch.nn"), ("tensor",), ("method", name), ("module", path), or None: unknown.
    def __init__(self):
        self.found = {}
        self.scopes = [{}]
        self.guards = 0

    # ---- names and what they stand for
    def get(self, name):
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def bind(self, target, kind):
        if isinstance(target, ast.Name):
            self.scopes[-1][target.id] = kind
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self.scopes[min(1, len(self.scopes) - 1)]["self." + target.attr] = kind
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.bind(part, None)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, None)

    def use(self, path, node, stored=False):
        if path == "torch":
            return
        _, missing = _lookup(path.rpartition(".")[0] if stored else path)
        name = missing or path
        use = self.found.setdefault(name, Use(name))
        if node.lineno not in use.lines:
            use.lines.append(node.lineno)
        use.lacking = missing is not None
        use.guarded = use.guarded and self.guards > 0

    # ---- statements
    def visit(self, node):
        if isinstance(node, ast.expr):
            return self.kind(node)
        return super().visit(node)

    def visit_Import(self, node):
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root in _BUILT_ON_TORCH:
                self.foreign(root, node)
            if root == "torch":
                self.use(alias.name, node)
                self.bind(ast.Name(alias.asname or "torch"), ("path", alias.name if alias.asname else "torch"))
            else:
                self.bind(ast.Name(alias.asname or root), None)

    def visit_ImportFrom(self, node):
        module = node.module or ""
        root = module.partition(".")[0]
        if root in _BUILT_ON_TORCH and not node.level:
            self.foreign(root, node)
        for alias in node.names:
            if root != "torch" or node.level:
                self.bind(ast.Name(alias.asname or alias.name), None)
            elif alias.name == "*":
                thing, _ = _lookup(module)
                for name in getattr(thing, "__all__", None) or dir(thing or object):
                    if not name.startswith("_"):
                        self.bind(ast.Name(name), ("path", f"{module}.{name}"))
                self.use(module, node)
            else:
                path = f"{module}.{alias.name}"
                self.use(path, node)
                self.bind(ast.Name(alias.asname or alias.name), ("path", path))

    def foreign(self, name, node):
        use = self.found.setdefault(name, Use(name))
        use.lines.append(node.lineno)
        use.lacking = True
        use.guarded = use.guarded and self.guards > 0

    def visit_Assign(self, node):
        values = [self.kind(node.value)]
        for target in node.targets:
            if isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, (ast.Tuple, ast.List)):
                if len(target.elts) == len(node.value.elts):
                    for part, value in zip(target.elts, node.value.elts, strict=True):
                        self.bind(part, self.quiet(value))
                    continue
            self.stored(target)
            self.bind(target, values[0])

    def stored(self, target):
        if isinstance(target, ast.Attribute):
            base = self.kind(target.value, record=False)
            if base and base[0] == "path":
                self.use(f"{base[1]}.{target.attr}", target, stored=True)
        elif isinstance(target, ast.Subscript):
            self.kind(target)

    def visit_AnnAssign(self, node):
        kind = self.kind(node.value) if node.value else None
        self.bind(node.target, kind or self.annotated(node.annotation))

    def annotated(self, annotation):
        if annotation is None:
            return None
        kind = self.kind(annotation)
        return ("tensor",) if kind in (("path", "torch.Tensor"), ("path", "torch.nn.Parameter")) else None

    def visit_For(self, node):
        over = self.kind(node.iter)
        self.bind(node.target, over if over == ("tensor",) else None)
        for part in node.body + node.orelse:
            self.visit(part)

    visit_AsyncFor = visit_For

    def visit_With(self, node):
        for item in node.items:
            self.kind(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, None)
        for part in node.body:
            self.visit(part)

    visit_AsyncWith = visit_With

    def visit_FunctionDef(self, node):
        for decorator in node.decorator_list:
            self.kind(decorator)
        self.bind(ast.Name(node.name), None)
        self.function(node.args, node.body)
        if node.returns is not None:
            self.kind(node.returns)

    visit_AsyncFunctionDef = visit_FunctionDef

    def function(self, args, body):
        for default in args.defaults + [d for d in args.kw_defaults if d is not None]:
            self.kind(default)
        scope = {}
        for arg in args.posonlyargs + args.args + args.kwonlyargs + [a for a in (args.vararg, args.kwarg) if a]:
            scope[arg.arg] = self.annotated(arg.annotation)
        self.scopes.append(scope)
        for part in body:
            self.visit(part)
        self.scopes.pop()

    def visit_ClassDef(self, node):
        for part in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(part)
        self.bind(ast.Name(node.name), None)
        self.scopes.append({})
        for part in node.body:
            self.visit(part)
        self.scopes.pop()

    def visit_Try(self, node):
        caught = [handler.type for handler in node.handlers]
        names = {n.id for t in caught if t for n in ast.walk(t) if isinstance(n, ast.Name)}
        guarded = any(t is None for t in caught) or bool(names & _CATCHERS)
        self.guards += guarded
        for part in node.body:
            self.visit(part)
        self.guards -= guarded
        for part in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(part)

    visit_TryStar = visit_Try

    def visit_If(self, node):
        self.kind(node.test)
        guarded = self.never(node.test)
        self.guards += guarded
        for part in node.body:
            self.visit(part)
        self.guards -= guarded
        for part in node.orelse:
            self.visit(part)

    def never(self, test):
        """Whether a condition asks for what is not there: torch.cuda.is_available(), hasattr(torch, "x")."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return any(map(self.never, test.values))
        if not isinstance(test, ast.Call):
            return False
        if isinstance(test.func, ast.Name) and test.func.id == "hasattr" and len(test.args) == 2:
            base = self.quiet(test.args[0])
            return base is not None and base[0] == "path"
        asked = self.quiet(test.func)
        if not asked or asked[0] != "path" or not asked[1].endswith(".is_available"):
            return False
        thing, _ = _lookup(asked[1])
        return thing is None or not thing()

    # ---- expressions
    def quiet(self, node):
        """What an expression is, where its names have been recorded already."""
        found, self.found = self.found, {}
        kind = self.kind(node)
        self.found = found
        return kind

    def kind(self, node, record=True):
        method = getattr(self, "kind_" + type(node).__name__, None)
        if method is not None:
            return method(node, record)
        for child in ast.iter_child_nodes(node):
            self.visit(child)
        return None

    def kind_Name(self, node, record):
        kind = self.get(node.id)
        if record and kind and kind[0] == "path":
            self.use(kind[1], node)
        return kind

    def kind_Attribute(self, node, record):
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return self.get("self." + node.attr)
        base = self.kind(node.value, record=False)
        if base is None or base[0] in ("module", "method"):
            return None
        if base[0] == "path":
            path = f"{base[1]}.{node.attr}"
            if record:
                self.use(path, node)
            return "path", path
        self.use(f"torch.Tensor.{node.attr}", node)
        return ("tensor",) if node.attr in _TENSOR_ATTRIBUTES else ("method", node.attr)

    def kind_Call(self, node, record):
        f = self.kind(node.func)
        for part in [*node.args, *node.keywords]:
            self.visit(part)
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) == 2:
            base, name = self.quiet(node.args[0]), node.args[1]
            if base and base[0] == "path" and isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.use(f"{base[1]}.{name.value}", node)
                return "path", f"{base[1]}.{name.value}"
        if f is None or f[0] == "tensor":
            return None
        if f[0] == "module":
            return ("tensor",) if f[1].rpartition(".")[2] not in _SOME_MODULES else None
        if f[0] == "method":
            return ("tensor",) if f[1] not in _NOT_A_TENSOR else None
        return self.called(f[1])

    def called(self, path):
        thing, missing = _lookup(path)
        home, _, name = path.rpartition(".")
        if missing or name in _NOT_A_TENSOR:
            return None
        hadamard = import_module(_PACKAGE)
        if isinstance(thing, type):
            if issubclass(thing, hadamard.Tensor):
                return ("tensor",)
            return ("module", path) if issubclass(thing, hadamard.nn.Module) else None
        if home == "torch" and not name.startswith(("get_", "set_", "is_", "use_")):
            known = name in hadamard._C._functions or name in (
                "tensor",
                "as_tensor",
                "from_numpy",
                "einsum",
                "tensordot",
            )
            return ("tensor",) if known else None
        return ("tensor",) if home == "torch.nn.functional" else None

    def kind_BinOp(self, node, record):
        kinds = self.kind(node.left), self.kind(node.right)
        return ("tensor",) if ("tensor",) in kinds else None

    def kind_UnaryOp(self, node, record):
        kind = self.kind(node.operand)
        return kind if kind == ("tensor",) and not isinstance(node.op, ast.Not) else None

    def kind_Compare(self, node, record):
        kinds = [self.kind(part) for part in [node.left, *node.comparators]]
        plain = all(isinstance(op, (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in node.ops)
        return ("tensor",) if ("tensor",) in kinds and plain and len(node.ops) == 1 else None

    def kind_Subscript(self, node, record):
        base = self.kind(node.value)
        self.visit(node.slice)
        return base if base == ("tensor",) else None

    def kind_IfExp(self, node, record):
        self.kind(node.test)
        guarded = self.never(node.test)
        self.guards += guarded
        one = self.kind(node.body)
        self.guards -= guarded
        return one if self.kind(node.orelse) == one else None

    def kind_NamedExpr(self, node, record):
        kind = self.kind(node.value)
        self.bind(node.target, kind)
        return kind

    def kind_Lambda(self, node, record):
        self.function(node.args, [node.body])

    def kind_ListComp(self, node, record):
        self.scopes.append({})
        for generator in node.generators:
            over = self.kind(generator.iter)
            self.bind(generator.target, over if over == ("tensor",) else None)
            for condition in generator.ifs:
                self.kind(condition)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.kind(part)
        self.scopes.pop()

    kind_SetComp = kind_GeneratorExp = kind_DictComp = kind_ListComp


# ---- the report
def _files(paths):
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def report(paths, only_lacking=False, out=None) -> int:
    """Print the torch names of each script; 1 if any is lacking, 2 if a script cannot be read, else 0."""
    out = out or sys.stdout
    status, total, lacking = 0, set(), set()
    for path in _files(paths):
        try:
            found = uses(path.read_bytes(), str(path))
        except (OSError, SyntaxError, ValueError) as error:
            where = f"{path}:{error.lineno}" if isinstance(error, SyntaxError) else path
            reason = error.msg if isinstance(error, SyntaxError) else getattr(error, "strerror", None) or error
            sys.stderr.write(f"hadamard coverage: {where}: {reason}\n")
            status = 2
            continue
        missing = {name for name, use in found.items() if use.lacking and not use.guarded}
        total |= found.keys()
        lacking |= missing
        shown = sorted(missing if only_lacking else found)
        if shown:
            print(path, file=out)
        width = max(map(len, shown), default=0)
        for name in shown:
            use = found[name]
            word = "" if not use.lacking else "guarded" if use.guarded else "lacking"
            lines = f"line{'s' if len(use.lines) > 1 else ''} {', '.join(map(str, sorted(use.lines)))}"
            print(f"  {name:<{width}}  {word:<7}  {lines}", file=out)
    of = f"{len(total)} torch name{'s' if len(total) != 1 else ''} used"
    print(f"{of}, {len(lacking)} lacking" if lacking else f"{of}, none lacking", file=out)
    return status or (1 if lacking else 0)
