"""What a forward pass does, op by op: the op, where in the model and in the user's source, what it read and gave.

For the time of a pass the ops of the package are replaced by functions that call them and take notes.
"""

import sys

from hadamard import _C, Tensor
from hadamard._watchers import settle

from ..errors import source

# The operators of Tensor, by the op that each of them is.
_OPERATORS = {
    "__add__": "add",
    "__radd__": "add",
    "__iadd__": "add_",
    "__sub__": "sub",
    "__rsub__": "sub",
    "__isub__": "sub_",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__imul__": "mul_",
    "__truediv__": "div",
    "__rtruediv__": "div",
    "__itruediv__": "div_",
    "__pow__": "pow",
    "__rpow__": "pow",
    "__matmul__": "matmul",
    "__rmatmul__": "matmul",
    "__neg__": "neg",
    "__getitem__": "getitem",
    **{f"__{name}__": name for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}


class Op:
    """One call: `name`, `inputs` and `outputs` (tensors), `path` and `module` in which, `at` (file, line)."""

    def __init__(self, name, inputs, outputs, path, module, at, phase):
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self.path, self.module, self.at, self.phase = path, module, at, phase

    @property
    def label(self):
        """sigmoid in act (Sigmoid), tanh at model.py:12."""
        told = self.name.rstrip("_") + "()"
        if self.path:
            return f"{told} in {self.path} ({source.describe(self.module)})"
        return told

    @property
    def line(self):
        """The user's line, "" where it cannot be read."""
        import linecache

        file, number = self.at
        text = linecache.getline(file, number).strip() if file else ""
        return f"{file.rpartition('/')[2]}, line {number}: {text}" if text else ""


class Trace:
    """Takes notes of every op within `with`; `made` says which op made a tensor."""

    def __init__(self, model):
        self.ops: list = []
        self.made: dict = {}  # id of a tensor → Op; the tensors are kept, so ids stay theirs
        self.phase = "model"
        self._names = {id(module): name for name, module in model.named_modules()}
        self._model = model
        self._stack: list = []
        self._inside = False
        self._caller = source.user_frame(sys._getframe())  # who asked: not a line of the model

    def __enter__(self):
        self._undo = []
        settle()
        kind = type(_C.relu)
        homes = {type(module).__module__ for module in self._model.modules()} | {"__main__"}
        for home, owner in list(sys.modules.items()):
            if owner is None or not (home in homes or home.partition(".")[0] == "hadamard"):
                continue
            for name, value in list(vars(owner).items()):
                if type(value) is kind:
                    self._replace(owner, name, self._noting(value, value.__name__))
        for name in _C._methods:
            value = vars(Tensor).get(name)
            if value is not None:
                self._replace(Tensor, name, self._noting(value, name))
        for name, op in _OPERATORS.items():
            value = vars(Tensor).get(name)
            if value is not None:
                self._replace(Tensor, name, self._noting(value, op))
        self._hooks = []
        for module in self._model.modules():
            self._hooks.append(module.register_forward_pre_hook(self._enter))
            self._hooks.append(module.register_forward_hook(self._leave, always_call=True))
        return self

    def __exit__(self, *_):
        for owner, name, value in reversed(self._undo):
            setattr(owner, name, value)
        settle()
        for hook in self._hooks:
            hook.remove()

    def _replace(self, owner, name, value):
        self._undo.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def _enter(self, module, _):
        self._stack.append(module)

    def _leave(self, module, *_):
        if self._stack and self._stack[-1] is module:
            self._stack.pop()

    def _noting(self, function, name):
        def call(*args, **kwargs):
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            try:
                result = function(*args, **kwargs)
                self._note(name, args, kwargs, result)
            finally:
                self._inside = False
            return result

        call.__name__ = name
        return call

    def _note(self, name, args, kwargs, result):
        inputs = _tensors([*args, *kwargs.values()])
        outputs = _tensors([result])
        if not outputs:
            outputs = ()
        module = self._stack[-1] if self._stack else None
        frame = source.user_frame(sys._getframe(2))
        at = (frame.f_code.co_filename, frame.f_lineno) if frame not in (None, self._caller) else ("", 0)
        path = self._names.get(id(module), "") if module is not None else ""
        op = Op(name, inputs, outputs, path, module, at, self.phase)
        self.ops.append(op)
        for tensor in outputs:
            self.made.setdefault(id(tensor), op)

    def maker(self, tensor):
        """The Op that gave a tensor, through views and reshapes; None for what came from outside."""
        for _ in range(20):
            op = self.made.get(id(tensor))
            if op is None or op.name not in _SHAPES or not op.inputs:
                return op
            tensor = op.inputs[0]
        return None


_SHAPES = {
    "view",
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "transpose",
    "permute",
    "contiguous",
    "getitem",
    "expand",
    "float",
    "to",
    "t",
    "select",
}


def _tensors(values):
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [v for v in value if isinstance(v, Tensor)]
    return tuple(found)
