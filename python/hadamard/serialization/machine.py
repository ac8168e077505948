"""The pickle machine: builds tensors, parameters, containers and what was permitted; it runs no code from the file."""

import contextlib
import functools
import pickle
import struct
from collections import Counter, OrderedDict
from pickle import UnpicklingError

import hadamard as H

from .safe import _blocked_modules, _permitted
from .storages import _STORAGE_NAMES, _out_of_bounds, _tensor_over


class _StorageType:
    """What a name such as FloatStorage in a pickle stands for: a dtype, or None for bytes without one."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype


class _Typed:
    """A storage as the pickle knows it: with the dtype it was saved under."""

    __slots__ = ("storage", "dtype")

    def __init__(self, storage, dtype):
        self.storage, self.dtype = storage, dtype


def _expect(condition, what):
    if not condition:
        raise UnpicklingError(what)


def _ints(values):
    return isinstance(values, (tuple, list)) and all(type(n) is int and -(1 << 63) <= n < 1 << 63 for n in values)


class _Builders:
    """Everything a file may ask for by name. Arguments come from the file and are checked here."""

    @staticmethod
    def tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
        _expect(type(storage) is _Typed, "a tensor without a storage")
        return _Builders.strided(storage, storage.dtype or H.uint8, offset, size, stride, requires_grad, metadata)

    @staticmethod
    def tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
        _expect(type(storage) is _Typed and type(dtype) is H.dtype, "a tensor without a storage or dtype")
        return _Builders.strided(storage, dtype, offset, size, stride, requires_grad, metadata)

    @staticmethod
    def strided(storage, dtype, offset, size, stride, requires_grad, metadata):
        _expect(_ints([offset]) and _ints(size) and _ints(stride), "a tensor whose shape is no list of integers")
        _expect(len(size) == len(stride) <= 64, "a tensor whose shape and strides do not go together")
        if error := _out_of_bounds(storage.storage, dtype, offset, size, stride):
            raise RuntimeError(error)
        x = _tensor_over(storage.storage, dtype, offset, size, stride)
        if isinstance(metadata, dict) and metadata.get("conj"):
            x = x.conj().resolve_conj() if hasattr(x, "resolve_conj") else x.conj()
        if isinstance(metadata, dict) and metadata.get("neg"):
            x = -x
        return x.requires_grad_() if requires_grad else x

    @staticmethod
    def meta_tensor(dtype, size, stride, requires_grad=False):
        _expect(type(dtype) is H.dtype and _ints(size) and _ints(stride), "a tensor whose shape is no list of integers")
        x = H.empty_strided(size, stride, dtype=dtype, device="meta")
        return x.requires_grad_() if requires_grad else x

    @staticmethod
    def parameter(data=None, requires_grad=True, hooks=None, state=None):
        _expect(isinstance(data, H.Tensor), "a parameter without a tensor")
        x = H.nn.Parameter(data, bool(requires_grad))
        return _Builders.with_state(x, state)

    @staticmethod
    def from_type(build, cls, args, state):
        _expect(
            isinstance(build, _Call) and build in (_Builders.CALLS["tensor"], _Builders.CALLS["meta"]),
            "a tensor made by an unknown function",
        )
        _expect(isinstance(args, tuple), "a tensor made of no arguments")
        x = build(*args)
        known = _class_behind(cls)
        _expect(isinstance(known, type) and issubclass(known, H.Tensor), "a tensor of an unknown class")
        return _Builders.with_state(x if known is H.Tensor else x.as_subclass(known), state)

    @staticmethod
    def with_state(x, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        for name, value in (state or {}).items():
            _expect(type(name) is str and not name.startswith("__"), "an attribute with a name that is none")
            setattr(x, name, value)
        return x

    @staticmethod
    def ordered(items=()):
        return OrderedDict(_pairs(items))

    @staticmethod
    def counter(items=()):
        return Counter(dict(_pairs(items)))

    @staticmethod
    def size(items=()):
        _expect(_ints(items), "a Size that is no list of integers")
        return H.Size(items)

    @staticmethod
    def device(kind="cpu", index=None):
        _expect(type(kind) is str and len(kind) < 100, "a device without a name")
        _expect(index is None or type(index) is int and 0 <= index < 128, "a device without a number")
        return H.device(kind if index is None else f"{kind}:{index}")

    @staticmethod
    def encode(text, encoding="latin1"):
        _expect(type(text) is str and encoding in ("latin1", "latin-1", "utf-8", "ascii"), "bytes in no known encoding")
        return text.encode(encoding)

    @staticmethod
    def bytearray(data=b"", encoding="latin1"):
        return bytearray(data) if type(data) is bytes else bytearray(_Builders.encode(data, encoding))

    @staticmethod
    def set(items=()):
        _expect(isinstance(items, (list, tuple, set)), "a set of no items")
        return {_key(x) for x in items}

    @staticmethod
    def frozenset(items=()):
        return frozenset(_Builders.set(items))

    @staticmethod
    def complex(re=0.0, im=0.0):
        _expect(type(re) in (int, float) and type(im) in (int, float), "a complex number of no numbers")
        return complex(re, im)

    @staticmethod
    def layout(name="torch.strided"):
        _expect(name == "torch.strided", f"layout {_shown(name)}, which Hadamard does not have")
        return H.strided


class _Call:
    """A builder as the machine holds it: it can be called, and nothing in the file can change it."""

    __slots__ = ("build", "behind")

    def __init__(self, build, behind=None):
        object.__setattr__(self, "build", build)
        object.__setattr__(self, "behind", behind)

    def __setattr__(self, name, value):
        raise UnpicklingError("Can only build Tensor, Parameter, OrderedDict")

    def __call__(self, *args):
        return self.build(*args)


def _class_behind(cls):
    return cls.behind if isinstance(cls, _Call) else cls if _is_permitted(cls) else None


def _pairs(items):
    items = list(items.items()) if isinstance(items, dict) else items
    _expect(isinstance(items, (list, tuple)), "a dict of no pairs")
    for pair in items:
        _expect(isinstance(pair, (list, tuple)) and len(pair) == 2, "a dict of no pairs")
    return [(_key(k), v) for k, v in items]


def _key(key):
    """A key of a dict or an element of a set. Hashing visits every part of a tuple as often as it occurs in it, and
    overflows the stack where tuples are nested without end: both are refused."""
    parts, seen = [(key, 0)], 0
    while parts:
        part, depth = parts.pop()
        if type(part) in (tuple, frozenset):
            seen += len(part)
            _expect(depth < 50 and seen < 100_000, "a key that is nested too deeply")
            parts += [(inner, depth + 1) for inner in part]
    return key


def _shown(x):
    """What messages call an object out of a file: a short name, since printing it all may take forever."""
    if isinstance(x, (type, str, _Call)):
        return f"{x.behind or x.build if isinstance(x, _Call) else x}"[:200]
    return f"an object of type {type(x).__name__}"


@functools.cache
def _globals():
    calls = _Builders.CALLS = {
        "tensor": _Call(_Builders.tensor),
        "meta": _Call(_Builders.meta_tensor),
        "parameter": _Call(_Builders.parameter, H.nn.Parameter),
        "ordered": _Call(_Builders.ordered),
    }
    table = {
        "collections.OrderedDict": calls["ordered"],
        "collections.Counter": _Call(_Builders.counter),
        "torch.Size": _Call(_Builders.size),
        "torch.device": _Call(_Builders.device),
        "torch.Tensor": _Call(_refuse_call("torch.Tensor"), H.Tensor),
        "torch._tensor.Tensor": _Call(_refuse_call("torch.Tensor"), H.Tensor),
        "torch.nn.parameter.Parameter": calls["parameter"],
        "torch.serialization._get_layout": _Call(_Builders.layout),
        "_codecs.encode": _Call(_Builders.encode),
        "builtins.bytearray": _Call(_Builders.bytearray),
        "builtins.set": _Call(_Builders.set),
        "builtins.frozenset": _Call(_Builders.frozenset),
        "builtins.complex": _Call(_Builders.complex),
        "torch._utils._rebuild_tensor": calls["tensor"],
        "torch._utils._rebuild_tensor_v2": calls["tensor"],
        "torch._utils._rebuild_tensor_v3": _Call(_Builders.tensor_v3),
        "torch._utils._rebuild_parameter": calls["parameter"],
        "torch._utils._rebuild_parameter_with_state": calls["parameter"],
        "torch._utils._rebuild_meta_tensor_no_storage": calls["meta"],
        "torch._tensor._rebuild_from_type_v2": _Call(_Builders.from_type),
        "torch.storage.UntypedStorage": _StorageType(None),
        "torch.UntypedStorage": _StorageType(None),
    }
    for name, storage in _STORAGE_NAMES.items():
        dtype = getattr(H, name)
        table[f"torch.{name}"] = dtype
        table[f"torch.{storage}"] = table[f"torch.storage.{storage}"] = _StorageType(dtype)
    return table


def _refuse_call(name):
    def refuse(*args):
        raise UnpicklingError(f"Trying to call reduce for unrecognized function {name}")

    return refuse


# Names of Python 2, which pickles of protocol 2 use.
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class _Machine:
    """Executes a pickle: containers, numbers and strings, and the builders of _globals()."""

    def __init__(self, read, persistent_load, encoding, weights_only):
        self.read_bytes, self.persistent_load = read, persistent_load
        self.encoding, self.weights_only = encoding, weights_only
        self.stack, self.marks, self.memo = [], [], {}

    def read(self, n):
        data = self.read_bytes(n)
        if len(data) < n:
            raise EOFError("Ran out of input")
        return data

    def line(self):
        line = bytearray()
        while (c := self.read(1)) != b"\n":
            line += c
            _expect(len(line) < 4096, "a name without end")
        return line.decode()

    def run(self):
        while (code := self.read(1)) != pickle.STOP:
            op = _OPS.get(code[0])
            if op is None:
                raise UnpicklingError(f"Unsupported operand {code[0]}")
            op(self)
        return self.pop()

    def number(self, format):
        return struct.unpack(format, self.read(struct.calcsize(format)))[0]

    def push(self, x):
        self.stack.append(x)

    def pop(self):
        if not self.stack:
            raise UnpicklingError("unexpected MARK found")
        return self.stack.pop()

    def top(self):
        if not self.stack:
            raise UnpicklingError("unexpected MARK found")
        return self.stack[-1]

    def pop_mark(self):
        if not self.marks:
            raise UnpicklingError("could not find MARK")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def text(self, data):
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    def find(self, module, name):
        module = _OLD_MODULES.get(module, module)
        full = f"{module}.{name}"
        if (found := _globals().get(full)) is not None:
            return found
        if module.partition(".")[0] in _blocked_modules and module != "builtins":
            raise UnpicklingError(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        if full in _permitted:
            return _permitted[full]
        ours = "hadamard" + full[5:] if full.startswith("torch.") else full
        if ours in _permitted:
            return _permitted[ours]
        if not self.weights_only and full.startswith("torch.nn."):
            if (module_class := _nn_class(module, name)) is not None:
                return module_class
        if full.startswith("torch.") and full.count(".") == 1 and name.startswith(("float", "int", "uint", "q", "b")):
            raise UnpicklingError(f"Hadamard has no dtype {full}")
        full = full.removeprefix("builtins.")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {full} was not an allowed global by default. "
            f"Please use `torch.serialization.add_safe_globals([{full}])` or the "
            f"`torch.serialization.safe_globals([{full}])` context manager to allowlist this global "
            "if you trust this class/function."
        )

    def call(self, function, args):
        _expect(type(args) is tuple, "a call without arguments")
        if isinstance(function, _Call) or _is_permitted(function):
            return function(*args)
        raise UnpicklingError(f"Trying to call reduce for unrecognized function {_shown(function)}")

    def new(self, cls, args, keywords=None):
        _expect(type(args) is tuple, "an object without arguments")
        if isinstance(cls, _Call):
            return cls(*args)
        if isinstance(cls, type) and (_is_permitted(cls) or _is_nn_class(cls)):
            return cls.__new__(cls, *args, **(keywords or {}))
        raise UnpicklingError(
            "Can only create new object for nn.Parameter or classes allowlisted via `add_safe_globals` but got "
            f"{_shown(cls)}"
        )

    def build(self, x, state):
        kind = type(x)
        if kind is OrderedDict and isinstance(state, dict):
            x.__dict__.update((k, v) for k, v in state.items() if type(k) is str)
        elif kind is H.nn.Parameter or kind is H.Tensor:
            _Builders.with_state(x, state)
        elif _is_permitted(kind) or _is_nn_class(kind):
            if hasattr(x, "__setstate__"):
                x.__setstate__(state)
            else:
                state, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                x.__dict__.update(state or {})
                for name, value in (slots or {}).items():
                    setattr(x, name, value)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted "
                f"via `add_safe_globals`, but got {kind}"
            )

    def set_items(self, items):
        target = self.top()
        kinds = dict, OrderedDict, Counter
        _expect(
            type(target) in kinds,
            f"Can only SETITEMS for dict, collections.OrderedDict, collections.Counter, but got {type(target)}",
        )
        _expect(len(items) % 2 == 0, "a key without a value")
        for i in range(0, len(items), 2):
            target[_key(items[i])] = items[i + 1]

    def extend(self, items):
        target = self.top()
        if type(target) is set:
            target.update(_key(x) for x in items)
            return
        _expect(type(target) is list, f"Can only extend lists, but got {type(target)}")
        target.extend(items)

    def persistent(self, reference):
        _expect(type(reference) is tuple, f"persistent_load id must be tuple or int, but got {type(reference)}")
        self.stack.append(self.persistent_load(reference))


def _is_permitted(x):
    return any(x is allowed for allowed in _permitted.values())


def _nn_class(module, name):
    """A class of hadamard.nn that is a Module, by the name torch has for it; building one runs no code of the file."""
    import importlib.util

    ours = "hadamard" + module[5:]
    with contextlib.suppress(ImportError, AttributeError, ValueError):
        found = getattr(importlib.import_module(ours), name)
        if _is_nn_class(found):
            return found
    return None


def _is_nn_class(cls):
    return (
        isinstance(cls, type)
        and issubclass(cls, H.nn.Module)
        and cls.__module__.startswith(("hadamard.nn.", "torch.nn."))
    )


def _operations():
    from pickle import decode_long

    def constant(make):
        return lambda m: m.push(make())

    def number(format):
        return lambda m: m.push(m.number(format))

    def sized(format, make):
        return lambda m: m.push(make(m, m.read(m.number(format))))

    def last(n):
        def op(m):
            _expect(len(m.stack) >= n, "unexpected MARK found")
            m.stack[-n:] = [tuple(m.stack[-n:])]

        return op

    def unicode(m, data):
        return str(data, "utf-8", "surrogatepass")

    def get(format):
        def op(m):
            i = m.number(format)
            _expect(i in m.memo, f"Memo value not found at index {i}")
            m.push(m.memo[i])

        return op

    def put(format):
        def op(m):
            m.memo[m.number(format)] = m.top()

        return op

    def memoize(m):
        m.memo[len(m.memo)] = m.top()

    def mark(m):
        m.marks.append(m.stack)
        m.stack = []

    def pop(m):
        m.stack.pop() if m.stack else m.pop_mark()

    def reduce(m):
        args = m.pop()
        m.push(m.call(m.pop(), args))

    def new(m):
        args = m.pop()
        m.push(m.new(m.pop(), args))

    def new_ex(m):
        keywords, args = m.pop(), m.pop()
        _expect(type(keywords) is dict, "an object without arguments")
        m.push(m.new(m.pop(), args, keywords))

    def build(m):
        state = m.pop()
        m.build(m.top(), state)

    def append(m):
        m.extend([m.pop()])

    def set_item(m):
        value, key = m.pop(), m.pop()
        m.set_items([key, value])

    def stack_global(m):
        name, module = m.pop(), m.pop()
        _expect(type(name) is str and type(module) is str, "STACK_GLOBAL requires str")
        m.push(m.find(module, name))

    def protocol(m):
        _expect(m.number("<B") <= 5, "unsupported pickle protocol")

    def frozen(m):
        m.push(frozenset(_key(x) for x in m.pop_mark()))

    ops = {
        "PROTO": protocol,
        "FRAME": lambda m: m.read(8),
        "MARK": mark,
        "POP": pop,
        "POP_MARK": lambda m: m.pop_mark(),
        "DUP": lambda m: m.push(m.top()),
        "NONE": constant(lambda: None),
        "NEWTRUE": constant(lambda: True),
        "NEWFALSE": constant(lambda: False),
        "EMPTY_TUPLE": constant(tuple),
        "EMPTY_LIST": constant(list),
        "EMPTY_DICT": constant(dict),
        "EMPTY_SET": constant(set),
        "BININT": number("<i"),
        "BININT1": number("<B"),
        "BININT2": number("<H"),
        "BINFLOAT": number(">d"),
        "LONG1": sized("<B", lambda m, data: decode_long(data)),
        "LONG4": sized("<I", lambda m, data: decode_long(data)),
        "BINUNICODE": sized("<I", unicode),
        "SHORT_BINUNICODE": sized("<B", unicode),
        "BINUNICODE8": sized("<Q", unicode),
        "BINSTRING": sized("<I", lambda m, data: m.text(data)),
        "SHORT_BINSTRING": sized("<B", lambda m, data: m.text(data)),
        "BINBYTES": sized("<I", lambda m, data: bytes(data)),
        "SHORT_BINBYTES": sized("<B", lambda m, data: bytes(data)),
        "BINBYTES8": sized("<Q", lambda m, data: bytes(data)),
        "BYTEARRAY8": sized("<Q", lambda m, data: bytearray(data)),
        "TUPLE": lambda m: m.push(tuple(m.pop_mark())),
        "TUPLE1": last(1),
        "TUPLE2": last(2),
        "TUPLE3": last(3),
        "LIST": lambda m: m.push(m.pop_mark()),
        "DICT": lambda m: m.push(dict(zip(*[iter([_key(x) for x in m.pop_mark()])] * 2, strict=True))),
        "FROZENSET": frozen,
        "APPEND": append,
        "APPENDS": lambda m: m.extend(m.pop_mark()),
        "ADDITEMS": lambda m: m.extend(m.pop_mark()),
        "SETITEM": set_item,
        "SETITEMS": lambda m: m.set_items(m.pop_mark()),
        "GLOBAL": lambda m: m.push(m.find(m.line(), m.line())),
        "STACK_GLOBAL": stack_global,
        "REDUCE": reduce,
        "NEWOBJ": new,
        "NEWOBJ_EX": new_ex,
        "BUILD": build,
        "BINPERSID": lambda m: m.persistent(m.pop()),
        "BINGET": get("<B"),
        "LONG_BINGET": get("<I"),
        "BINPUT": put("<B"),
        "LONG_BINPUT": put("<I"),
        "MEMOIZE": memoize,
    }
    return {getattr(pickle, name)[0]: op for name, op in ops.items()}


_OPS = _operations()


def _unpickle(read, persistent_load, encoding, weights_only):
    try:
        return _Machine(read, persistent_load, encoding, weights_only).run()
    except UnpicklingError as e:
        raise UnpicklingError(_refusal(str(e), weights_only)) from None
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error) as e:
        raise UnpicklingError(_refusal(f"{type(e).__name__}: {e}", weights_only)) from e


def _refusal(reason, weights_only):
    name = reason.partition("GLOBAL ")[2].partition(" ")[0] if "was not an allowed global" in reason else ""
    lines = ["Weights only load failed. " + (reason if name else f"WeightsUnpickler error: {reason}")]
    if name:
        lines.append(
            f"  The file asks for {name}. Hadamard never runs code from a file, with weights_only=False neither:"
        )
        lines.append("  it builds tensors, parameters and plain containers, and the classes you permit.")
        lines.append(f"  try torch.serialization.add_safe_globals([{name}]) before load, or save a state_dict instead")
    return "\n".join(lines)
