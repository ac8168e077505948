"""The table: every row is one line of code for each family of libraries, its operands, its goals and its work."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import programs


def array(*shape, dtype="f4"):
    """Operand: numbers in [-1, 1), or small integers; always the same ones."""

    def make():
        rng = np.random.default_rng(len(shape) + sum(shape))
        kind = np.dtype(dtype)
        if kind.kind in "iu":
            return rng.integers(-8 if kind.kind == "i" else 0, 8, shape).astype(kind)
        x = rng.random(shape, "f4") * 2 - 1
        return (x + 1j * x[..., ::-1]).astype(kind) if kind.kind == "c" else x.astype(kind)

    return make


@dataclass
class Row:
    """`goal` may hold: a peer's name, "best" (of the peers) or "mean": at least so many times as fast; "ns": at most;
    "fma", "copy", "read": at least that part of the machine's limit. `work` is in operations, `moved` in bytes."""

    name: str
    group: str
    code: dict[str, str]
    arrays: dict[str, Callable] = field(default_factory=dict)
    goal: dict[str, float] = field(default_factory=dict)
    setup: str = ""  # for torch and ours: run once, with T the library
    work: float = 0
    moved: float = 0
    x: float = 0  # place on the axis of the group's plot
    without: tuple = ()
    threads: tuple = (1, "all")
    check: float = 1e-4  # results agree to this part of the largest; 0: not compared
    real: str = "f32"  # which multiply-add limit


ROWS: list[Row] = []


def row(name, group, torch, numpy=None, goal=None, setup="", x=0.0, **more):
    arrays = {k: more.pop(k) for k in [k for k, v in more.items() if callable(v)]}
    code = {"torch": torch} | ({"numpy": numpy} if numpy else {})
    code |= {k: more.pop(k) for k in ("jax", "mlx", "numexpr") if k in more}
    ROWS.append(Row(name, group, code, arrays, goal or {}, setup, x=x, **more))


# ---- overhead: four elements, so that all that is measured is the call

tiny = {"a": array(4), "b": array(4)}
square = {"a": array(4, 4), "b": array(4, 4)}
lone = {"threads": (1,)}
grad = "a.requires_grad_()"

row("a * b", "overhead", "a * b", "a * b", {"torch": 12, "numpy": 3, "ns": 100}, **tiny, **lone)
row("a * b, recorded", "overhead", "a * b", goal={"torch": 12, "ns": 150}, setup=grad, **tiny, **lone)
row(
    "(a*b).sum().backward()",
    "overhead",
    "(a * b).sum().backward()",
    goal={"torch": 40, "ns": 700},
    setup=grad,
    check=0,
    **tiny,
    **lone,
)
row("a.sum()", "overhead", "a.sum()", "a.sum()", {"torch": 12, "numpy": 10, "ns": 100}, a=array(4), **lone)
row(
    "dot",
    "overhead",
    "T.dot(a, b)",
    "np.dot(a, b)",
    {"torch": 7, "numpy": 3.7, "ns": 150},
    mlx="np.inner(a, b)",
    **tiny,
    **lone,
)
row("4x4 @", "overhead", "a @ b", "a @ b", {"torch": 8, "numpy": 6, "ns": 150}, **square, **lone)
row("4x4 @, recorded", "overhead", "a @ b", goal={"torch": 8}, setup=grad, **square, **lone)
row("a + 1", "overhead", "a + 1", "a + 1", {"torch": 8, "numpy": 2}, a=array(4), **lone)
row(
    "a.mul_(b)",
    "overhead",
    "a.mul_(b)",
    "np.multiply(a, b, out=a)",
    {"torch": 8, "numpy": 2},
    without=("jax", "mlx"),
    check=0,
    **tiny,
    **lone,
)
row("exp", "overhead", "a.exp()", "np.exp(a)", {"torch": 8, "numpy": 2}, a=array(4), **lone)
row("a[1]", "overhead", "a[1]", "a[1]", {"torch": 8}, without=("jax", "mlx"), a=array(4), **lone)
row("a[1:3]", "overhead", "a[1:3]", "a[1:3]", {"torch": 8}, without=("jax", "mlx"), a=array(4), **lone)
row(
    "reshape", "overhead", "a.reshape(-1)", "a.reshape(-1)", {"torch": 8}, without=("jax", "mlx"), a=array(4, 4), **lone
)
row("t", "overhead", "a.t()", "a.T", {"torch": 8}, without=("jax", "mlx"), a=array(4, 4), **lone)
row("item", "overhead", "a.item()", "a.item()", {"torch": 5}, without=("jax",), a=array(1), **lone)
row("zeros", "overhead", "T.zeros(4)", "np.zeros(4, 'f4')", {"torch": 8, "numpy": 1}, without=("jax", "mlx"), **lone)
row(
    "tensor([...])",
    "overhead",
    "T.tensor([1.0, 2.0, 3.0, 4.0])",
    "np.array([1.0, 2.0, 3.0, 4.0], 'f4')",
    {"torch": 8, "numpy": 1},
    without=("jax", "mlx"),
    **lone,
)

# ---- memory

for log in (10, 12, 14, 16, 18, 20, 22, 24, 26):
    n = 2**log
    goal = {20: {"torch": 1.1, "numpy": 1.2}, 24: {"torch": 6, "numpy": 1.9}, 26: {"torch": 6, "numpy": 1.9}}
    row(
        f"a * b, fresh, 2^{log}",
        "a * b",
        "a * b",
        "a * b",
        goal.get(log, {"best": 1}),
        x=n,
        work=n,
        moved=12 * n,
        a=array(n),
        b=array(n),
    )
for log in (2, 6, 28):  # for the picture of cost per element
    n = 2**log
    row(f"a * b, fresh, 2^{log}", "a * b", "a * b", "a * b", x=n, work=n, moved=12 * n, a=array(n), b=array(n))
row(
    "a * b, out=, 2^24",
    "memory",
    "T.mul(a, b, out=c)",
    "np.multiply(a, b, out=c)",
    {"best": 1.25, "copy": 0.8},
    without=("jax", "mlx"),
    work=2**24,
    moved=12 * 2**24,
    a=array(2**24),
    b=array(2**24),
    c=array(2**24),
)
for log, goal in (10, {"torch": 15}), (20, {"best": 1}), (24, {"best": 1, "read": 0.8}):
    n = 2**log
    row(f"sum 2^{log}", "memory", "a.sum()", "a.sum()", goal, work=n, moved=4 * n, a=array(n), check=1e-2)
    row(
        f"dot 2^{log}",
        "memory",
        "T.dot(a, b)",
        "np.dot(a, b)",
        goal,
        mlx="np.inner(a, b)",
        work=2 * n,
        moved=8 * n,
        a=array(n),
        b=array(n),
        check=1e-2,
    )
for shape in (1024, 1024), (100000, 16), (64, 65536):
    for axis in 0, 1:
        row(
            f"sum({axis}) {shape[0]}x{shape[1]}",
            "memory",
            f"a.sum({axis})",
            f"a.sum({axis})",
            {"best": 1.05},
            work=shape[0] * shape[1],
            moved=4 * shape[0] * shape[1],
            a=array(*shape),
        )
row("argmax(0) 1024x1024", "memory", "a.argmax(0)", "np.argmax(a, 0)", {"best": 1}, moved=2**22, a=array(1024, 1024))
row("argmax(1) 1024x1024", "memory", "a.argmax(1)", "np.argmax(a, 1)", {"best": 1}, moved=2**22, a=array(1024, 1024))
for name, numpy, best in (
    ("exp", "np.exp(a)", 1.1),
    ("log", "np.log(abs(a))", 1),
    ("tanh", "np.tanh(a)", 1.3),
    ("sigmoid", "1 / (1 + np.exp(-a))", 1.3),
    ("erf", None, 1.1),
    ("F.gelu", None, 1.3),
    ("F.silu", "a / (1 + np.exp(-a))", 1.3),
):
    for log in 14, 20:
        line = f"T.nn.functional.{name[2:]}(a)" if "." in name else f"T.{name}(a)"
        line = "T.log(a.abs())" if name == "log" else line
        row(f"{name} 2^{log}", "functions", line, numpy, {"best": best}, moved=8 * 2**log, work=2**log, a=array(2**log))
chain = "1 / (1 + np.exp(-(a * b + a))) * b"
for log, goal in (20, {"torch": 1.4}), (24, {"torch": 3}):
    n = 2**log
    row(
        f"sigmoid(a*b+a)*b 2^{log}",
        "fusing",
        "T.sigmoid(a * b + a) * b",
        chain,
        goal,
        without=("jax",),
        numexpr="evaluate('1 / (1 + exp(-(a * b + a))) * b', local_dict={'a': a, 'b': b})",
        moved=12 * n,
        work=4 * n,
        a=array(n),
        b=array(n),
    )
    ROWS[-1].code["numexpr"] = "T." + ROWS[-1].code["numexpr"]
# One call that compiles nothing, beside torch op by op and jit.
fusing = "fused = getattr(T, 'fuse', lambda f: f)(lambda a, b: {})"
for log, goal in (20, {"torch": 2.2, "jax": 1.1}), (24, {"torch": 12, "jax": 3}):
    n = 2**log
    operands = {"a": array(n), "b": array(n)}
    both = {"group": "fusing", "without": ("numpy", "mlx"), **operands}
    row(
        f"sigmoid(a*b+a)*b fused, 2^{log}",
        torch="fused(a, b)",
        numpy=chain,
        goal=goal,
        setup=fusing.format("T.sigmoid(a * b + a) * b"),
        moved=12 * n,
        work=4 * n,
        **both,
    )
    row(
        f"mean((a-b)**2) fused, 2^{log}",
        torch="fused(a, b)",
        numpy="((a - b) ** 2).mean()",
        goal={"best": 1.1},
        setup=fusing.format("((a - b) ** 2).mean()"),
        moved=8 * n,
        work=3 * n,
        check=1e-2,
        **both,
    )
    row(
        f"sigmoid(a*b+a)*b fused, with backward, 2^{log}",
        "fusing",
        "fused(a, b).backward(g)",
        goal={"torch": 2},
        setup=fusing.format("T.sigmoid(a * b + a) * b") + "; a.requires_grad_(); g = T.ones_like(b)",
        moved=24 * n,
        check=0,
        **operands,
    )

# ---- softmax, normalisation, losses and the rest of a network's layers, forward and backward

functional = "F = T.nn.functional\n"
for shape in (32, 10), (128, 1000), (4096, 512):
    size = f"{shape[0]}x{shape[1]}"
    n = shape[0] * shape[1]
    both = {"goal": {"best": 1.2}, "a": array(*shape)}
    row(f"softmax {size}", "layers", "T.softmax(a, -1)", moved=8 * n, **both)
    row(f"log_softmax {size}", "layers", "T.log_softmax(a, -1)", moved=8 * n, **both)
    row(f"layer_norm {size}", "layers", f"F.layer_norm(a, ({shape[1]},))", setup=functional, moved=8 * n, **both)
    row(
        f"cross_entropy {size}, with backward",
        "layers",
        "F.cross_entropy(a, t).backward()",
        setup=functional + f"a.requires_grad_(); t = T.arange({shape[0]}) % {shape[1]}",
        moved=16 * n,
        check=0,
        **both,
    )
    row(
        f"layer_norm {size}, with backward",
        "layers",
        f"F.layer_norm(a, ({shape[1]},)).backward(g)",
        setup=functional + f"a.requires_grad_(); g = T.ones{shape}",
        moved=16 * n,
        check=0,
        **both,
    )
for log in 14, 20:
    row(
        f"gelu 2^{log}, with backward",
        "layers",
        "F.gelu(a).backward(g)",
        setup=functional + f"a.requires_grad_(); g = T.ones(2**{log})",
        goal={"best": 1},
        moved=20 * 2**log,
        a=array(2**log),
        check=0,
    )
for batch, channels, size in (32, 16, 28), (8, 64, 56):
    row(
        f"max_pool2d 2x2 {batch}x{channels}x{size}²",
        "layers",
        "F.max_pool2d(a, 2)",
        setup=functional,
        goal={"best": 1},
        moved=5 * batch * channels * size**2,
        a=array(batch, channels, size, size),
    )
for heads, length in (12, 128), (8, 1024), (4, 4096):
    n = heads * length * 64
    work = 4 * heads * length * length * 64
    qkv = {k: array(1, heads, length, 64) for k in "qkv"}
    line = "F.scaled_dot_product_attention(q, k, v, is_causal={})"
    row(
        f"attention {heads}x{length}x64",
        "attention",
        line.format(False),
        goal={"best": 1},
        setup=functional,
        work=work,
        moved=16 * n,
        x=length,
        **qkv,
    )
    row(
        f"attention {heads}x{length}x64 causal",
        "attention",
        line.format(True),
        goal={"best": 1},
        setup=functional,
        work=work / 2,
        moved=16 * n,
        x=length,
        **qkv,
    )
    back = f"[t.requires_grad_() for t in (q, k, v)]; g = T.ones(1, {heads}, {length}, 64)"
    row(
        f"attention {heads}x{length}x64, with backward",
        "attention",
        line.format(False) + ".backward(g)",
        goal={"best": 1},
        work=3.5 * work,
        moved=32 * n,
        check=0,
        x=length,
        setup=functional + back,
        **qkv,
    )

# ---- products


def product(m, k, n, dtype="f4", goal=None, transposed=False, group="shapes", **more):
    kinds = {"f4": "f32", "f8": "f64", "c8": "c64", "c16": "c128", "f2": "f16", "i4": "int32", "i8": "int64"}
    b = array(n, k, dtype=dtype) if transposed else array(k, n, dtype=dtype)
    line = "a @ b.T" if transposed else "a @ b"
    name = f"{kinds[dtype]} {m}x{k}x{n}{'T' if transposed else ''}"
    size = np.dtype(dtype).itemsize
    work = 2.0 * m * n * k * (4 if dtype[0] == "c" else 1)
    row(
        name,
        group,
        line,
        line,
        goal or {"best": 1},
        x=m,
        work=work,
        moved=size * (m * k + k * n + m * n),
        a=array(m, k, dtype=dtype),
        b=b,
        real="f64" if dtype in ("f8", "c16") else "f32",
        **more,
    )


for n in (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096):
    goal = {"torch": 4} if n == 4 else {"torch": 1.5} if n <= 64 else {"best": 1, "fma": 0.9}
    product(n, n, n, "f4", goal, group="square f32")
    if n <= 2048:
        product(n, n, n, "f8", goal if n <= 64 else {"best": 1}, group="square f64", check=1e-8, without=("mlx",))
for n in 256, 512, 1024:
    product(n, n, n, "f2", {"torch": 20}, group="half", check=2e-3, without=("numpy", "jax", "mlx"))
for n in 256, 512, 1024, 2048:
    row(
        f"bf16 {n}x{n}x{n}",
        "half",
        "a @ b",
        goal={"torch": 0.9},
        check=2e-2,
        x=n,
        work=2.0 * n**3,
        moved=6 * n * n,
        setup="a, b = a.bfloat16(), b.bfloat16()",
        a=array(n, n),
        b=array(n, n),
    )
for n in 128, 256, 512:
    product(n, n, n, "i4", {"torch": 1.5, "numpy": 15}, group="integers", without=("mlx",))
    product(n, n, n, "i8", {"torch": 1.5, "numpy": 15}, group="integers", without=("mlx",))
for n in 256, 512, 1024:
    row(
        f"int8 {n}x{n}x{n}, in int32",
        "integers",
        "T._int_mm(a, b)",
        jax="np.matmul(a, b, preferred_element_type='int32')",
        goal={"best": 1, "fma": 0.5},
        x=n,
        work=2.0 * n**3,
        moved=6 * n * n,
        a=array(n, n, dtype="i1"),
        b=array(n, n, dtype="i1"),
        real="int8",
    )
for n in 64, 256, 512, 1024:
    product(n, n, n, "c8", group="complex")
    if n <= 512:
        product(n, n, n, "c16", group="complex", without=("mlx",), check=1e-8)
for shape in (128, 784, 512), (64, 768, 3072), (32, 512, 512):
    for t in False, True:
        product(*shape, goal={"torch": 1.1, "numpy": 1}, transposed=t)
for shape in (512, 512, 10), (100000, 16, 16), (8192, 512, 32), (4096, 64, 4096), (16, 65536, 16):
    for t in False, True:
        product(*shape, goal={"best": 1.2}, transposed=t)
for t in False, True:
    product(1, 4096, 4096, goal={"torch": 1.2, "read": 0.8}, transposed=t)
for batch, n in (1024, 4), (1024, 8), (512, 16), (256, 32), (64, 64):
    row(
        f"bmm {batch} of {n}x{n}",
        "batched",
        "a @ b",
        "a @ b",
        {"best": 1} | ({"torch": 2} if n == 4 else {}),
        x=n,
        work=2.0 * batch * n**3,
        moved=12 * batch * n * n,
        a=array(batch, n, n),
        b=array(batch, n, n),
    )
for sa, sb in ((10, 2, 3), (3, 4)), ((64, 128, 768), (768, 768)), ((8, 1, 64, 64), (4, 64, 64)):
    row(
        f"{sa} @ {sb}",
        "batched",
        "a @ b",
        "a @ b",
        {"best": 1},
        a=array(*sa),
        b=array(*sb),
        work=2.0 * np.prod(sa) * sb[-1] * (4 if len(sa) == 4 else 1),
    )

for name, extra in ("linear", ""), ("linear relu", "F.relu"), ("linear gelu", "F.gelu"):
    row(
        f"{name} 128x784x512",
        "layers",
        f"{extra}(F.linear(a, w, c))",
        goal={"best": 1.1},
        setup=functional,
        a=array(128, 784),
        w=array(512, 784),
        c=array(512),
        work=2.0 * 128 * 784 * 512,
    )
for batch, channels, size, kernel, groups in (
    (1, 16, 32, 3, 1),
    (8, 16, 32, 3, 1),
    (32, 16, 28, 3, 1),
    (1, 64, 56, 3, 1),
    (8, 64, 56, 3, 1),
    (32, 64, 28, 3, 1),
    (1, 128, 28, 3, 1),
    (8, 128, 28, 3, 1),
    (32, 128, 14, 3, 1),
    (1, 256, 14, 3, 1),
    (8, 256, 14, 3, 1),
    (32, 256, 14, 3, 1),
    (32, 1, 28, 3, 1),
    (8, 64, 56, 1, 1),
    (8, 256, 14, 1, 1),
    (8, 128, 28, 3, 128),
    (1, 64, 56, 3, 64),
    (8, 96, 28, 7, 96),
    (8, 128, 28, 3, 4),
):
    out = channels if channels > 1 else 16
    kind = f"{kernel}x{kernel}"
    if groups > 1:
        kind = f"{'depthwise' if groups == channels else f'{groups} groups'} {kind}"
    line = f"F.conv2d(a, w, padding={kernel // 2}, groups={groups})"
    row(
        f"conv2d {kind} {batch}x{channels}x{size}²",
        "conv2d",
        line,
        goal={"best": 1},
        setup=functional,
        x=channels,
        a=array(batch, channels, size, size),
        w=array(out, channels // groups, kernel, kernel),
        work=2.0 * batch * size**2 * out * channels // groups * kernel**2,
    )
    if (batch, kernel) == (8, 3):
        row(
            f"conv2d {kind} {batch}x{channels}x{size}², with backward",
            "conv2d",
            line + ".backward(g)",
            goal={"best": 1},
            setup=functional + f"[t.requires_grad_() for t in (a, w)]; g = T.ones({batch}, {out}, {size}, {size})",
            x=channels,
            check=0,
            a=array(batch, channels, size, size),
            w=array(out, channels // groups, kernel, kernel),
            work=6.0 * batch * size**2 * out * channels // groups * kernel**2,
        )

# ---- whole programs

for name, goal in {
    "SGD step, 3-20-1, batch 32": {"torch": 27, "ns": 12000},
    "Adam step, 64-128-10, batch 64": {"torch": 7, "ns": 60000},
    "MLP 784-512-10, batch 128, SGD": {"torch": 1.5},
    "MLP 784-512-10, batch 128, Adam": {"torch": 1.5},
    "sigmoid network 784-200-10, one sample": {"torch": 2, "numpy": 1},
    "conv net on 28x28, batch 32": {"torch": 1.3},
    "LSTM over 28 rows, batch 64, SGD": {"torch": 1.0},
    "GRU over 28 rows, batch 64, SGD": {"torch": 1.0},
    "transformer, forward and backward": {"torch": 1.3},
    "MiniLM-L6 shape, batch 1": {"torch": 1.3},
    "MiniLM-L6 shape, batch 32": {"torch": 1.3},
}.items():
    numpy = "step()" if name in programs.IN_NUMPY else None
    row(name, "programs", "step()", numpy, goal, f"step = programs[{name!r}](T)", check=0, without=("jax", "mlx"))
