"""torch's database of operators, run on both libraries: how its samples become ours and how outcomes are compared."""

import functools
import os
import types
import warnings

import numpy as np
from harness import ALL_DTYPES, EPS, REAL, TINY, H, dtype_name, torch
from torch.testing._internal.common_methods_invocations import op_db

# HADAMARD_OPDB=all runs every sample; otherwise this many of each operator and dtype, evenly spread.
EVERYTHING = os.environ.get("HADAMARD_OPDB") == "all"
SAMPLES = 3
GRADIENTS = 2
WIDER = {
    "bool": "float64",
    "uint8": "float64",
    "int8": "float64",
    "int16": "float64",
    "int32": "float64",
    "int64": "float64",
    "float16": "float64",
    "bfloat16": "float64",
    "float32": "float64",
    "complex64": "complex128",
}
# The layout of what LAPACK returns is documented nowhere.
LAPACK = {"cholesky_inverse", "cholesky_solve", "lu_solve", "svd", "qr", "lu", "pinverse", "cholesky", "inverse"}
# What these hold is whatever was in memory.
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"}


class Unsupported(Exception):
    """A sample that cannot be said in our words: a dtype, layout or kind of object that Hadamard does not have."""


class Absent(Exception):
    """A function of torch that Hadamard lacks."""


# ---- from torch's objects to ours


def resolve(root, path):
    for part in path.split("."):
        root = getattr(root, part, None)
        if root is None:
            break
    return root


@functools.cache
def paths():
    """Where each public function of torch lives, by its identity."""
    found = {}
    places = ["", "Tensor", "nn.functional", "linalg", "special", "fft", "signal.windows", "nn.utils.rnn", "masked"]
    for place in places:
        module = resolve(torch, place) if place else torch
        for name in dir(module):
            value = getattr(module, name, None)
            if callable(value):
                found.setdefault(id(value), f"{place}.{name}".strip("."))
    return found


def seeded(op, *args, **kwargs):
    H.manual_seed(42)
    return op(*args, **kwargs)


def ours(value):
    """The counterpart of a torch function; of a wrapper in the database, the same code over Hadamard."""
    if value is torch:
        return H
    if getattr(value, "__name__", None) == "wrapper_set_seed":
        return seeded
    path = paths().get(id(value))
    if path is not None and not path.startswith("_"):
        found = resolve(H, path)
        if found is None:
            raise Absent(path)
        return found
    if isinstance(value, functools.partial):
        return functools.partial(
            ours(value.func), *map(ours, value.args), **{k: ours(v) for k, v in value.keywords.items()}
        )
    if isinstance(value, types.FunctionType) and value.__module__.startswith("torch."):
        return rebound(value)
    if isinstance(value, types.ModuleType) and value.__name__.startswith("torch."):
        return resolve(H, value.__name__[len("torch.") :])
    if type(value).__module__ == "torch" and isinstance(value, (torch.dtype, torch.Tensor)):
        return Convert()(value)
    return value


def names_in(code):
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


@functools.cache
def rebound(function):
    space = dict(function.__globals__)
    for name in set(names_in(function.__code__)) & space.keys():
        if space[name] is not function:
            space[name] = ours(space[name])
    cells = tuple(types.CellType(ours(cell.cell_contents)) for cell in function.__closure__ or ())
    copy = types.FunctionType(function.__code__, space, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


class Convert:
    """torch's values as ours: the same numbers, strides, offsets, sharing and leaves that require gradients."""

    def __init__(self, change=None):
        self.change = change or (lambda t: t)
        self.storages, self.tensors, self.leaves = {}, {}, []

    def __call__(self, value):
        if isinstance(value, torch.Tensor):
            return self.tensor(value)[1]
        return self.other(value, 1)

    def torchs(self, value):
        """torch's own copy, made in the same way: samples are used more than once."""
        if isinstance(value, torch.Tensor):
            return self.tensor(value)[0]
        return self.other(value, 0)

    def other(self, value, side):
        again = self if side else self.torchs
        if isinstance(value, torch.Size):
            return H.Size(value) if side else value
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(again, value))
        if isinstance(value, (list, tuple)):
            return type(value)(map(again, value))
        if isinstance(value, dict):
            return {k: again(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(again(value.start), again(value.stop), again(value.step))
        if not side:
            return value
        if isinstance(value, torch.dtype):
            found = getattr(H, str(value).rpartition(".")[2], None)
            if found is None:
                raise Unsupported(str(value))
            return found
        if isinstance(value, torch.device):
            return H.device(value.type) if value.index is None else H.device(value.type, value.index)
        if isinstance(value, (torch.memory_format, torch.layout)):
            found = getattr(H, str(value).rpartition(".")[2], None)
            if found is None:
                raise Unsupported(str(value))
            return found
        if isinstance(value, (torch.Generator, torch.SymInt)):
            raise Unsupported(type(value).__name__)
        if isinstance(value, torch.nn.Module):
            raise Unsupported(type(value).__name__)
        return ours(value) if callable(value) else value

    def tensor(self, t):
        if id(t) not in self.tensors:
            self.tensors[id(t)] = self.made(t), t
        return self.tensors[id(t)][0]

    def made(self, source):
        if source.layout != torch.strided or source.is_quantized or source.is_nested:
            raise Unsupported(str(source.layout))
        t = self.change(source.detach())
        if dtype_name(t) not in ALL_DTYPES:
            raise Unsupported(str(t.dtype))
        if t.device.type == "meta":
            pair = t, H.empty(tuple(t.shape), dtype=self.other(t.dtype, 1), device="meta")
        else:
            if t.is_conj() or t.is_neg() or t._is_zerotensor():
                t = t.resolve_conj().resolve_neg().clone()
            key = t.untyped_storage().data_ptr(), t.dtype
            if key not in self.storages or not key[0]:
                base = torch.empty(0, dtype=t.dtype).set_(t.untyped_storage()).clone()
                self.storages[key] = base, H.from_dlpack(base).clone(), t
            base, mirror, _ = self.storages[key]
            place = tuple(t.shape), t.stride(), t.storage_offset()
            if t.dim() > 64:
                raise Unsupported("more than 64 dimensions")
            pair = base.as_strided(*place), mirror.as_strided(*place)
        if source.requires_grad:
            pair = tuple(x.detach().requires_grad_() for x in pair)
            self.leaves.append(pair)
        return pair


# ---- comparing


def leaves_of(value):
    if isinstance(value, (torch.Tensor, H.Tensor)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves_of(part)]
    return []


def numbers(x):
    """A tensor's numbers in the widest dtype of their kind."""
    if isinstance(x, torch.Tensor):
        x = x.detach().resolve_conj().resolve_neg()
        x = x.double() if dtype_name(x) in ("float16", "bfloat16") else x
        x = torch.zeros_like(x) if x._is_zerotensor() else x
    else:
        x = x.detach()
        x = x.double() if dtype_name(x) in ("float16", "bfloat16") else x
    x = np.array(x.numpy())
    return x.astype({"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype))


def gap(got, want):
    """The distances of two arrays; infinite where only one is finite, infinities differ or integers do."""
    if got.dtype.kind not in "fc":
        return np.where(got == want, 0, np.inf)
    with np.errstate(all="ignore"):
        same = (got == want) | ((got != got) & (want != want))
        distance = np.abs(np.where(same, 0, got - want))
    return np.where(np.isnan(distance), np.inf, distance)


def close(got, want, dtype, truth=None):
    """Whether numbers agree: exactly for integers, to a few units in the last place otherwise.

    Sums may cancel, and then no unit of the result says how much may be lost. So what is not within 4 units is
    compared with the same computation in float64 (`truth`): we may be off by twice as much as torch is.
    In float64 itself the bound is 1e-10 of the number, and 1e-12 of the largest in the tensor.
    """
    g, w = numbers(got), numbers(want)
    if g.size == 0:
        return True
    off = gap(g, w)
    real = REAL.get(dtype, dtype)
    if real not in EPS:
        return not off.any()
    with np.errstate(all="ignore"):
        size = np.abs(w)
        size = np.where(np.isfinite(size), size, 0)
        if real == "float64":
            return bool((off <= 1e-10 * size + 1e-12 * max(size.max(), 1)).all())
        if (off <= 4 * EPS[real] * size + 2 * TINY[real]).all():
            return True
        try:
            t = numbers(truth()) if truth is not None else w
        except Exception:  # the wider dtype takes another road: there is nothing to compare with
            return False
        if t.shape != w.shape:
            return False
        if real == "float16":
            t = t.astype(np.float64)
        limit = np.max(np.where(np.isfinite(t), np.abs(t), 0), initial=0)
        finite = np.isfinite(w)
        if not (off[~finite] == 0).all():
            return False
        theirs = gap(w[finite], t[finite]).max(initial=0)
        mine = gap(g[finite], t[finite]).max(initial=0)
        return bool(mine <= 2 * theirs + 4 * EPS[real] * limit + 2 * TINY[real])


def outcome(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(), None
        except Absent:
            raise
        except Exception as error:
            return None, error


def first_line(error):
    return str(error).partition("\n")[0].strip()


def compare_errors(mine, theirs):
    if mine is None:
        return "refuses", f"torch raises {type(theirs).__name__}: {first_line(theirs)}"
    if type(mine).__name__ != type(theirs).__name__ or first_line(mine) != first_line(theirs):
        return (
            "error",
            f"{type(mine).__name__}: {first_line(mine)}\n      torch: {type(theirs).__name__}: {first_line(theirs)}",
        )
    return None


def compare_results(got, want, name, truth=None, path=""):
    """The first difference (aspect, what) of two results, or None."""
    if isinstance(want, torch.Tensor):
        if not isinstance(got, H.Tensor):
            return "type", f"{path} {type(got).__name__} instead of a tensor"
        if dtype_name(got) != dtype_name(want):
            return "dtype", f"{path} {got.dtype} instead of {want.dtype}"
        if tuple(got.shape) != tuple(want.shape):
            return "shape", f"{path} {tuple(got.shape)} instead of {tuple(want.shape)}"
        if want.device.type == "meta":
            return None
        if name not in UNDEFINED and not close(got, want, dtype_name(got), truth):
            g, w = numbers(got), numbers(want)
            where = tuple(int(i) for i in np.unravel_index(gap(g, w).argmax(), g.shape))
            return "value", f"{path}{list(where)} {g[where]} instead of {w[where]}"
        if got.requires_grad != want.requires_grad:
            return "requires_grad", f"{path} {got.requires_grad} instead of {want.requires_grad}"
        if name in LAPACK or name.startswith("linalg."):
            return None
        strides = [
            (a, b) for a, b, n in zip(got.stride(), want.stride(), want.shape, strict=True) if n > 1 and want.numel()
        ]
        if any(a != b for a, b in strides):
            return "strides", f"{path} shape {tuple(want.shape)}: {got.stride()} instead of {want.stride()}"
        return None
    if isinstance(want, dict):
        want, got = list(want.items()), list(got.items())
    if isinstance(want, torch.Size) or not isinstance(want, (list, tuple)):
        if isinstance(want, torch.dtype):
            same = str(got).rpartition(".")[2] == str(want).rpartition(".")[2]
        elif isinstance(want, torch.Size):
            same = tuple(got) == tuple(want)
        elif isinstance(want, (float, complex)):
            same = type(got) is type(want) and (got != got if want != want else abs(got - want) <= 1e-6 * abs(want))
        else:
            same = type(got).__name__ == type(want).__name__ and (got == want or got is want)
        return None if same else ("type", f"{path} {got!r} instead of {want!r}")
    if not isinstance(got, (list, tuple)) or len(got) != len(want):
        return "type", f"{path} {type(got).__name__} instead of {len(want)} results"
    if hasattr(want, "_fields") or type(want).__module__ == "torch.return_types":
        if type(got).__name__ != type(want).__name__:
            return "type", f"{path} {type(got).__name__} instead of {type(want).__name__}"
    elif type(got) is not type(want):
        return "type", f"{path} {type(got).__name__} instead of {type(want).__name__}"
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        part = (lambda i=i: truth()[i]) if truth is not None else None
        found = compare_results(g, w, name, part, f"{path}[{i}]")
        if found:
            return found
    return None


def check(mine, theirs, name, truth=None):
    """Runs both; the difference, and both results where there are two."""
    want, their_error = outcome(theirs)
    got, my_error = outcome(mine)
    if their_error is not None:
        return compare_errors(my_error, their_error), None
    if my_error is not None:
        return ("raises", f"{type(my_error).__name__}: {first_line(my_error)}"), None
    return compare_results(got, want, name, truth), (got, want)


# ---- gradients


def weights(outputs):
    """What flows back into each result that can take it: numbers of no symmetry, the same on both sides."""
    rng = np.random.default_rng(7)
    pairs = []
    for _, want in outputs:
        values = rng.uniform(0.5, 1.5, tuple(want.shape))
        if want.is_complex():
            values = values + 1j * rng.uniform(0.5, 1.5, tuple(want.shape))
        theirs = torch.from_numpy(np.array(values)).to(want.dtype)
        pairs.append((H.from_dlpack(theirs).clone(), theirs))
    return pairs


def differentiable(results):
    got, want = (leaves_of(x) for x in results)
    return [(g, w) for g, w in zip(got, want, strict=False) if w.requires_grad and g.requires_grad]


def gradients(side, outputs, flows, leaves, again):
    grad = (H if side == 0 else torch).autograd.grad
    return grad(
        [pair[side] for pair in outputs],
        leaves,
        [pair[side] for pair in flows],
        allow_unused=True,
        create_graph=again,
    )


def compare_gradients(results, leaves, name, second, truth=None):
    outputs = differentiable(results)
    mine, theirs = [p[1] for p in leaves], [p[0] for p in leaves]
    if not outputs or not leaves:
        return None
    flows = weights(outputs)
    for pair in flows:
        if second:
            for x in pair:
                x.requires_grad_()
    found, grads = check(
        lambda: gradients(0, outputs, flows, mine, second),
        lambda: gradients(1, outputs, flows, theirs, second),
        name,
        truth and (lambda: truth(flows)),
    )
    if found:
        if found[0] not in ("strides", "requires_grad"):
            return "grad", f"{found[0]}: {found[1]}"
    if not second or grads is None:
        return None
    grads = [[x for x in side if x is not None] for side in grads]
    outputs = differentiable(grads)
    if not outputs:
        return None
    mine, theirs = mine + [p[0] for p in flows], theirs + [p[1] for p in flows]
    flows = weights(outputs)
    found, _ = check(
        lambda: gradients(0, outputs, flows, mine, False),
        lambda: gradients(1, outputs, flows, theirs, False),
        name,
    )
    if found and found[0] == "type" and "None" in found[1]:
        # A second derivative that is nowhere used may be None on one side and zeros on the other.
        found = None
    if found and found[0] not in ("strides", "requires_grad"):
        return "gradgrad", f"{found[0]}: {found[1]}"
    return None


# ---- an operator


def known_name(op):
    """The path below torch that the operator's function must have, or None for one that is only in the database."""
    for root in ("", "Tensor."):
        if resolve(torch, root + op.name) is not None:
            return root + op.name
    return None


def lacking(op):
    """Whether Hadamard does not have the operator."""
    if op.name.startswith(("torch.ops", "jiterator")) or op.name == "slice":
        return True
    if type(op.op).__name__ in ("OpOverload", "OpOverloadPacket"):
        return True
    if isinstance(op.op, types.FunctionType) and "ops" in names_in(op.op.__code__):  # an overload by way of torch.ops
        return True
    path = known_name(op)
    if path is not None and resolve(H, path) is None and not hasattr(H.Tensor, op.name):
        return True
    try:
        ours(op.op)
    except Absent:
        return True
    return False


def spread(items, count):
    if EVERYTHING or len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def samples_of(op, dtype, grad):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=grad))


def called(function, sample, convert):
    s = convert(sample.input), convert(sample.args), convert(sample.kwargs)

    def call():
        return function(s[0], *s[1], **s[2])

    return call


def seeded_pair(mine, theirs):
    def first():
        H.manual_seed(0)
        return mine()

    def second():
        torch.manual_seed(0)
        return theirs()

    return first, second


def widened(op, sample, dtype, in_gradients=False):
    """The operator over the sample in a wider dtype, leaf for leaf."""

    def change(t):
        return t.to(getattr(torch, WIDER[dtype])) if dtype_name(t) == dtype else t

    convert = Convert(change)
    kwargs = {k: getattr(torch, WIDER[dtype]) if v is getattr(torch, dtype) else v for k, v in sample.kwargs.items()}
    args = tuple(getattr(torch, WIDER[dtype]) if v is getattr(torch, dtype) else v for v in sample.args)
    s = convert.torchs(sample.input), convert.torchs(args), convert.torchs(kwargs)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if in_gradients:
            result = sample.output_process_fn_grad(op.gradcheck_wrapper(op.op, s[0], *s[1], **s[2]))
        else:
            result = op.op(s[0], *s[1], **s[2])
        return result, [p[0] for p in convert.leaves]


def run_sample(op, mine, sample, dtype, grad, second, variants):
    """Differences [(aspect, what)] of one sample."""
    found = []
    convert = Convert()
    first, other = seeded_pair(called(mine, sample, convert), called(op.op, sample, convert.torchs))
    truth = (lambda: widened(op, sample, dtype)[0]) if dtype in WIDER else None
    decided = sample.output_process_fn_grad

    def compared(mine, theirs):
        difference, results = check(mine, theirs, op.name, truth)
        if difference and difference[0] == "value" and results is not None:
            # Factorisations are determined up to signs: the database says which function of them is determined.
            again = compare_results(ours(decided)(results[0]), decided(results[1]), op.name)
            if again is None or again[0] == "strides":
                difference = None
        return difference, results

    difference, results = compared(first, other)
    if difference:
        found.append(difference)
    wide_gradients = None
    if results is not None and grad and (not difference or difference[0] in ("strides", "type")):

        def wide_gradients(flows):
            result, leaves = widened(op, sample, dtype, in_gradients=True)
            outputs = [x for x, taken in zip(leaves_of(result), which, strict=False) if taken]
            return torch.autograd.grad(
                outputs,
                leaves,
                [f.detach().to(o.dtype) for (_, f), o in zip(flows, outputs, strict=True)],
                allow_unused=True,
            )

        # As the database wants its gradients taken: of symmetric parts, of what is determined.
        convert = Convert()
        wrapper = op.gradcheck_wrapper
        mine_there, theirs_there = ours(wrapper), ours(decided)
        pair = seeded_pair(
            called(lambda *a, **k: theirs_there(mine_there(mine, *a, **k)), sample, convert),
            called(lambda *a, **k: decided(wrapper(op.op, *a, **k)), sample, convert.torchs),
        )
        difference, results = check(*pair, op.name, truth)
        if results is not None:
            which = [g.requires_grad and w.requires_grad for g, w in zip(*map(leaves_of, results), strict=False)]
            difference = compare_gradients(
                results, convert.leaves, op.name, second, wide_gradients if dtype in WIDER else None
            )
            if difference:
                found.append(difference)
    if not variants or found:
        return found
    for aspect, variant in (("method", op.method_variant), ("inplace", op.inplace_variant)):
        if variant is None:
            continue
        own = ours_variant(variant)
        if own is None:
            found.append((aspect, f"no Tensor.{variant.__name__}"))
            continue
        convert = Convert()
        if aspect == "inplace":
            if not isinstance(sample.input, torch.Tensor):
                continue
            copies = convert.torchs(sample.input).clone(), convert(sample.input).clone()
            arguments = (
                convert(sample.args),
                convert(sample.kwargs),
                convert.torchs(sample.args),
                convert.torchs(sample.kwargs),
            )
            mine_call = lambda: own(copies[1], *arguments[0], **arguments[1])
            their_call = lambda: variant(copies[0], *arguments[2], **arguments[3])
        else:
            mine_call, their_call = called(own, sample, convert), called(variant, sample, convert.torchs)
        difference, results = compared(*seeded_pair(mine_call, their_call))
        if not difference and aspect == "inplace" and results is not None:
            if (results[0] is copies[1]) != (results[1] is copies[0]):
                difference = "type", "does not return its argument"
            elif grad and convert.leaves:
                difference = compare_gradients(
                    results, convert.leaves, op.name, False, wide_gradients if dtype in WIDER else None
                )
        if difference:
            found.append((aspect, f"{difference[0]}: {difference[1]}"))
    return found


def ours_variant(variant):
    try:
        return ours(variant)
    except Absent:
        return None


def recast(sample, base, dtype):
    def change(t):
        return t.to(getattr(torch, dtype)) if dtype_name(t) == base else t

    return Convert(change)


def run(op):
    """Every sample of an operator: yields (dtype, label, differences)."""
    mine = ours(op.op)
    taken = {str(d).rpartition(".")[2] for d in op.dtypes}
    backward = {str(d).rpartition(".")[2] for d in op.supported_backward_dtypes("cpu")}
    for dtype in ALL_DTYPES:
        if dtype not in taken:
            continue
        grad = op.supports_autograd and dtype in backward
        all_samples = samples_of(op, dtype, grad)
        chosen = spread(all_samples, SAMPLES)
        for i, sample in enumerate(chosen):
            second = (
                grad and op.supports_gradgrad and dtype in ("float64", "complex128") and (i < GRADIENTS or EVERYTHING)
            )
            try:
                found = run_sample(op, mine, sample, dtype, grad, second, True)
            except Unsupported:
                continue
            yield dtype, sample, found
    # What torch refuses is refused.
    base = next((d for d in ("float32", "int64", "bool", "complex64") if d in taken), None)
    if base is not None:
        for sample in spread(samples_of(op, base, False), 2):
            for dtype in ALL_DTYPES:
                if dtype in taken:
                    continue
                convert = recast(sample, base, dtype)
                try:
                    pair = seeded_pair(called(mine, sample, convert), called(op.op, sample, convert.torchs))
                except Unsupported:
                    continue
                difference, _ = check(*pair, op.name)
                yield dtype, sample, [difference] if difference else []
    if op.error_inputs_func is not None:
        for error in op.error_inputs("cpu"):
            convert = Convert()
            sample = error.sample_input
            try:
                pair = seeded_pair(called(mine, sample, convert), called(op.op, sample, convert.torchs))
            except Unsupported:
                continue
            difference, _ = check(*pair, op.name)
            yield "errors", sample, [difference] if difference else []


def title(op):
    return op.name + (f":{op.variant_test_name}" if op.variant_test_name else "")


def operators():
    """Every operator of the database that Hadamard has, in its order."""
    return [op for op in op_db if not lacking(op)]
