"""fuse(): the same bits, gradients and errors as op by op, whatever the function does."""

import random
import threading

import hadamard as H
import numpy as np
import pytest
from hadamard import _C
from hadamard.autograd import gradcheck, gradgradcheck
from hypothesis import given, settings
from hypothesis import strategies as st

N = 40001  # odd, and large enough to wait


def bits(t):
    t = t.detach()
    if t.is_floating_point():  # sums of chunks may meet NaNs of both signs in either order
        t = H.where(t != t, H.tensor(float("nan"), dtype=t.dtype), t)
    return (t.view(H.int16) if t.dtype == H.bfloat16 else t).numpy().tobytes()


def same(a, b):
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if not isinstance(a, H.Tensor):
        return a == b
    return a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride() and bits(a) == bits(b)


def passes(f, *args):
    """The result of f in fused form, and the passes that ran."""
    found = []
    y = _C._record_passes(lambda: H.fuse(f)(*args), found)
    return y, found


def names(one):
    return [step["op"] for step in one["steps"]]


# ---- what runs together


def chain(x, y):
    return H.sigmoid(x * y + x) * y


def test_a_chain_is_one_pass_that_writes_its_result_alone():
    x, y = H.randn(N), H.randn(N)
    z, (one,) = passes(chain, x, y)
    assert same(z, chain(x, y))
    assert names(one) == ["mul", "add", "sigmoid", "mul"]
    assert [bool(s["written"]) for s in one["steps"]] == [False, False, False, True]
    assert [s["of"] for s in one["steps"]] == [(-2, -3), (0, -2), (1,), (2, -3)]
    assert (one["bytes_read"], one["bytes_written"], one["alone"]) == (8 * N, 4 * N, 44 * N)
    assert one["slots"] == 1  # each step takes the place of the one before


def test_small_results_do_not_wait():
    assert passes(chain, H.randn(100), H.randn(100))[1] == []


def test_what_is_held_is_written_and_what_is_not_needed_is_not_computed():
    kept = []

    def f(x):
        y = x * 2
        kept.append(y)
        H.exp(x)  # nobody wants it
        return y + 1

    x = H.randn(N)
    z, (one,) = passes(f, x)
    assert names(one) == ["mul", "add"] and [bool(s["written"]) for s in one["steps"]] == [True, True]
    assert same(kept[0], x * 2) and same(z, x * 2 + 1)


def test_broadcasting_along_rows_and_columns():
    def f(x, row, column):
        return (x * row + column).relu() - row

    x, row, column = H.randn(397, 131), H.randn(131), H.randn(397, 1)
    z, (one,) = passes(f, x, row, column)
    assert same(z, f(x, row, column)) and len(one["steps"]) == 4
    assert [tuple(s) for s, _ in one["read"]] == [(397, 131), (1, 131), (397, 1)]


def test_a_smaller_result_is_a_pass_of_its_own_before():
    def f(x, row):
        return x + row.exp() * 2

    x, row = H.randn(3, N), H.randn(N)
    z, (first, second) = passes(f, x, row)
    assert same(z, f(x, row)) and names(first) == ["exp", "mul"] and names(second) == ["add"]


def test_dtypes_meet_and_casts_are_steps():
    def f(x, i, m):
        return H.where(m, x.double() + i, i / 3).float() * i

    x, i, m = H.randn(N), H.randint(-9, 9, (N,), dtype=H.int32), H.randn(N) > 0
    z, (one,) = passes(f, x, i, m)
    assert same(z, f(x, i, m)) and names(one).count("to") >= 4


def test_other_ops_end_a_pass_and_begin_another():
    def f(x, w):
        y = (x * 2 + 1) @ w
        return (y - y[0, 0]).exp()

    x, w = H.randn(600, 64), H.randn(64, 80)
    z, (first, second) = passes(f, x, w)
    assert same(z, f(x, w)) and names(first) == ["mul", "add"] and names(second) == ["sub", "exp"]


def test_a_long_loop_stays_bounded():
    def f(x):
        for _ in range(500):
            x = x * 1.01 - 0.001
        return x

    x = H.randn(N)
    z, found = passes(f, x)
    assert same(z, f(x)) and len(found) > 10 and sum(bool(s["written"]) for p in found for s in p["steps"]) < 30


@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.int32])
@pytest.mark.parametrize(
    "shape", [(32768,), (40961,), (100_000,), (128, 256), (5, 8192), (3, 20000), (533, 77), (4, 70, 130)]
)
def test_reductions_end_a_chain_in_the_same_pass(shape, dtype):
    def f(x, y):
        z = x * y
        return (z + 1).sum(), z.sum(-1), (z * z).amax(-1, keepdim=True), (z > 0).all(), (z > 0).sum()

    H.manual_seed(0)
    x, y = (H.randn(shape) * 9).to(dtype), (H.randn(shape) * 9).to(dtype)
    for threads in (1, 2):
        before = H.get_num_threads()
        H.set_num_threads(threads)
        try:
            assert same(H.fuse(f)(x, y), f(x, y))
        finally:
            H.set_num_threads(before)


def test_a_loss_reads_its_operands_once_and_writes_one_number():
    def f(x, y):
        return ((x - y) ** 2).mean()

    x, y = H.randn(N), H.randn(N)
    z, (first, second) = passes(f, x, y)
    assert same(z, f(x, y))
    assert names(first) == ["sub", "mul", "sum"] and names(second) == ["div"]
    assert (first["bytes_read"], first["bytes_written"]) == (8 * N, 4)


def test_rows_are_normalised_in_three_passes():
    def f(x):
        d = x - x.mean(-1, keepdim=True)
        return d / (d * d).mean(-1, keepdim=True).sqrt()

    x = H.randn(300, 130)
    z, found = passes(f, x)
    assert same(z, f(x))
    assert [names(p) for p in found if p["shape"][-1] == 130] == [["sum"], ["sub", "mul", "sum"], ["div"]]


def test_in_place_on_what_waits_stays_in_the_tile():
    def f(x):
        y = x * 2
        y += x
        y.clamp_(0).mul_(y)
        return y

    x = H.randn(N)
    z, (one,) = passes(f, x)
    assert same(z, f(x)) and names(one) == ["mul", "add", "clamp_min", "mul"]
    assert [bool(s["written"]) for s in one["steps"]] == [False, False, False, True]


# Three or more of these in a row leave their results in registers (src/cpu/chain.h).
in_registers = {
    "add, mul, sub": lambda x, y: (x * y + x) * y - x,
    "second operands": lambda x, y: y - x * (y - (x - y) * y),
    "div": lambda x, y: y / (x / (2.5 / (x / y))),
    "maximum, minimum": lambda x, y: H.maximum(y, H.minimum(H.maximum(x * y, x), y)),
    "unary": lambda x, y: -(abs(H.relu(x - y).square()).sqrt().reciprocal()),
    "numbers": lambda x, y: (x * 3 - 0.1) / 7 + y,
    "itself": lambda x, y: (lambda t: t * t + y)(x - y) * x,
    "kept": lambda x, y: (lambda t: (lambda u: [t, u, (u + t) * x - t])(t * y + x))(x * y),
    "twice": lambda x, y: (lambda t: t - (t * y + x) * t)(x - y),
    "around a function": lambda x, y: (H.exp(x * y + x - y) * y + 1) * x,
    "dtypes": lambda x, y: ((x * y + x) * y).float() * 3 + 1 - x.float(),
    "rows": lambda x, y: ((x * y + x) * y - x).view(-1, 11) * y[:11] + x[0],
    "slopes": lambda x, y: of_loss(H.sigmoid(x), y) + of_loss(H.tanh(y), x) * y,
}


def of_loss(y, g):
    z = y.detach().requires_grad_()
    (H.sigmoid(z * g + z) * g - H.tanh(z * 2 - g) * z).backward(g)
    return z.grad


@pytest.mark.parametrize("dtype", [H.float32, H.float64])
@pytest.mark.parametrize("name", in_registers)
def test_cheap_steps_in_registers(name, dtype):
    f = in_registers[name]
    x, y = (H.randn(40007, dtype=dtype) for _ in range(2))
    special = H.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-40, 3e38])
    x[:49], y[:49] = special.repeat(7), special.repeat_interleave(7)
    assert same(H.fuse(f)(x, y), f(x, y))
    huge = x.repeat(40), y.repeat(40)  # past the caches the tiles are smaller
    if name != "rows":
        assert same(H.fuse(f)(*huge), f(*huge))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_a_bit(threads):
    before = H.get_num_threads()
    x, y = H.randn(700, 1001), H.randn(1001)
    expected = chain(x, y)
    try:
        H.set_num_threads(threads)
        assert same(H.fuse(chain)(x, y), expected)
    finally:
        H.set_num_threads(before)


# ---- random programs

ONE = [
    H.exp,
    H.sigmoid,
    H.tanh,
    H.neg,
    H.abs,
    H.sqrt,
    lambda x: x * 2,
    lambda x: 1 - x,
    lambda x: x > 0.3,
    lambda x: x.float(),
    lambda x: x.double(),
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: x.mT if x.dim() > 1 else x.flip(0),
    lambda x: x.detach(),
    lambda x: x.clone(),
    lambda x: x[..., 1:],
    lambda x: x.mul_(0.5),
    lambda x: x.add_(x.mean()),
    lambda x: x.sum(-1, keepdim=True),
    lambda x: x.double().mean() + x,
    lambda x: x.float().var(-1, keepdim=True) - x,
    lambda x: x.amax(tuple(range(1, x.dim())), keepdim=True) if x.dim() > 1 else x.any(),
    lambda x: x.argmax(-1, keepdim=True),
    lambda x: x.sum(),
    lambda x: x.softmax(-1),
]
TWO = [
    H.add,
    H.mul,
    H.sub,
    H.div,
    H.maximum,
    lambda a, b: H.where(a > b, a, b),
    lambda a, b: H.add(a, b, alpha=3),
    lambda a, b: a == b,
    lambda a, b: a.sub_(b),
    lambda a, b: a if bool((a > b).any()) else b,
]
SHAPES = [
    (N,),
    (397, 131),
    (31, 1, 1201),
    (128, 256),
    (5, 7, 47, 29),
    (2, 19000),
    (19000, 2),
    (3, 17000),
    (32768,),
    (16, 64, 64),
]


def operand(rng, shape):
    """A tensor that goes with `shape`: broadcast, sliced, transposed, of any dtype."""
    size = [n if rng.random() < 0.9 else 1 for n in shape][int(rng.random() < 0.1) :]
    step = 2 if rng.random() < 0.3 else 1
    x = H.randn([step * n + 1 for n in size])[tuple(slice(1, step * n + 1, step) for n in size)]
    if len(size) > 1 and rng.random() < 0.3:
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    dtype = rng.choice([H.float32] * 4 + [H.float64, H.int32, H.bfloat16, H.bool])
    return x.to(dtype) if dtype != H.bool else x > 0


def program(rng):
    plan = [(rng.random(), rng.randrange(10**6), rng.random()) for _ in range(rng.randint(2, 14))]

    def f(*xs):
        values = list(xs)
        for kind, i, where in plan:
            a = values[-1] if where < 0.6 else values[i % len(values)]
            try:
                values.append(
                    ONE[i % len(ONE)](a) if kind < 0.5 else TWO[i % len(TWO)](a, values[i // 7 % len(values)])
                )
            except (RuntimeError, IndexError) as error:
                values.append(values[0])
                errors.append(str(error))
        return [values[-1], values[len(values) // 2], *xs]

    errors = f.errors = []
    return f


@pytest.mark.filterwarnings("ignore:var")
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_any_program_gives_the_same_bits(seed):
    rng = random.Random(seed)
    H.manual_seed(seed)
    shape = rng.choice(SHAPES)
    xs = [operand(rng, shape) for _ in range(3)]
    f = program(rng)
    plain = f(*[x.clone() for x in xs])
    said = f.errors[:]
    f.errors.clear()
    assert same(H.fuse(f)(*[x.clone() for x in xs]), plain)
    assert f.errors == said


# ---- gradients


def both(f, *args):
    """Results and gradients of f, and of its fused form."""
    found = []
    for g in (f, H.fuse(f)):
        leaves = [x.detach().clone().requires_grad_() for x in args]
        y = g(*leaves)
        y.backward(H.ones_like(y) * 0.7)
        found.append([y, *[x.grad for x in leaves]])
    return found


GRADIENTS = {
    "chain": chain,
    "broadcast": lambda x, y: (x * y[0] + y[:, :1]).tanh() * x,
    "twice": lambda x, y: x * x * y + x.exp() / (1 + y * y),
    "masked": lambda x, y: H.where(x > y, x * y, x.relu()),
    "reduced": lambda x, y: ((x - x.mean(-1, keepdim=True)) * y).sum(0),
    "product": lambda x, y: ((x * y) @ (x + y).mT).sigmoid(),
    "power": lambda x, y: (x**2 + y**3).sqrt().log1p().abs(),
    "in place": lambda x, y: (x * y).mul_(y).add_(x),
    "softmax": lambda x, y: H.softmax(x * 2, -1) * y,
    "views": lambda x, y: (x * 2).T.exp()[1:] * y.T[1:],
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_have_the_same_bits(name):
    H.manual_seed(1)
    plain, fused = both(GRADIENTS[name], H.rand(396, 101), H.rand(396, 101))
    for a, b in zip(plain, fused, strict=True):
        assert (a is None) == (b is None) and (a is None or bits(a) == bits(b))


def test_backward_is_fused_too():
    x, y = H.randn(N, requires_grad=True), H.randn(N, requires_grad=True)
    z = H.fuse(chain)(x, y)
    found = []
    _C._record_passes(lambda: z.backward(H.ones(N)), found)
    assert len(found) == 1 and len(found[0]["steps"]) > 6
    assert sum(bool(s["written"]) for s in found[0]["steps"]) == 2  # the two gradients


def test_gradients_against_finite_differences_and_of_gradients():
    x, y = H.rand(3, 5, dtype=H.float64, requires_grad=True), H.rand(5, dtype=H.float64, requires_grad=True)

    def f(x, y):  # large inside, small outside
        return H.fuse(chain)(x.expand(4000, 3, 5), y.expand(4000, 3, 5)).mean(0)

    assert gradcheck(f, (x, y)) and gradgradcheck(f, (x, y))


def test_create_graph_and_accumulation():
    def run(f):
        x = H.linspace(-1, 1, N, dtype=H.float64).requires_grad_()
        for _ in range(2):
            (g,) = H.autograd.grad(f(x).sum(), x, create_graph=True)
            (g * g).sum().backward()
        return x.grad

    def f(x):
        return x.sin() * x.exp()

    assert same(run(H.fuse(f)), run(f))


# ---- what a function may do


def test_branches_on_values():
    @H.fuse
    def f(x):
        y = x * 2
        if y.sum() > 0:
            return y + 1
        return y - 1

    x = H.ones(N)
    assert same(f(x), x * 2 + 1) and same(f(-x), x * -2 - 1)


def test_numbers_and_text_inside():
    seen = []

    def f(x):
        y = x + 1
        seen.append((y[3].item(), y.tolist()[:2], str(y), bool(y[0] > 0)))
        return y * 2

    x = H.arange(N)
    assert same(H.fuse(f)(x), f(x)) and seen[0] == seen[1]


def test_writing_to_an_argument_comes_after_what_read_it():
    def f(x):
        y = x * 2
        x.add_(1)
        z = x * 3
        x[:5] = 0
        H.neg(x, out=x)
        return y, z, x * 1

    a = H.randn(N)
    b = a.clone()
    assert same(H.fuse(f)(a), f(b)) and same(a, b)


def test_writing_in_place_to_what_waits():
    def f(x):
        y = x * 2
        view = y[:100]
        z = y + 1
        y.mul_(3)
        view.zero_()
        y += z
        return y, z, view

    x = H.randn(N)
    assert same(H.fuse(f)(x), f(x))


def test_a_tensor_that_changes_its_shape_or_storage():
    def f(x):
        y = x * 2
        z = y + 1
        y.t_()
        x.data = H.zeros(2, 2)
        return y, z, z.T * y

    x = H.randn(201, 201)
    assert same(H.fuse(f)(x.clone()), f(x.clone()))


def test_memory_shared_with_numpy_inside():
    def f(x):
        y = x * 2
        a = x.numpy()
        z = x + 1
        a[:] = 5
        w = H.from_numpy(a)
        v = w * 2
        a[:] = 7
        return y, z, v, x * 1

    x = H.randn(N)
    assert same(H.fuse(f)(x.clone()), f(x.clone()))


def test_two_tensors_on_one_array():
    def f(a):
        x, y = a
        z = x * 2
        y.add_(1)
        return z

    array = np.random.default_rng(0).random(N)
    expected = array * 2
    assert np.array_equal(H.fuse(f)((H.from_numpy(array), H.from_numpy(array))).numpy(), expected)


def test_errors_are_those_of_the_plain_function():
    def shapes(x):
        return x * 2 + H.ones(3)

    def dtypes(x):
        return (x * 2) & (x > 0)

    for f in (shapes, dtypes):
        with pytest.raises(RuntimeError) as plain:
            f(H.ones(N))
        with pytest.raises(RuntimeError) as fused:
            H.fuse(f)(H.ones(N))
        assert str(plain.value) == str(fused.value)


def test_an_exception_leaves_whole_tensors_behind():
    kept = []

    @H.fuse
    def f(x):
        kept.append(x * 2 + 1)
        raise KeyError("stop")

    x = H.randn(N)
    with pytest.raises(KeyError, match="stop"):
        f(x)
    assert same(kept[0], x * 2 + 1)


def test_what_was_saved_for_backward_and_then_written_is_an_error():
    @H.fuse
    def f(x):
        y = x.exp()
        y.add_(1)
        return y

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        f(H.randn(N, requires_grad=True)).sum().backward()


def test_state_and_random_numbers():
    count = [0]

    def f(x):
        count[0] += 1
        return H.dropout(x * count[0], 0.5, True) + H.rand(N)

    x = H.randn(N)
    H.manual_seed(3)
    a = f(x)
    count[0] = 0
    H.manual_seed(3)
    assert same(H.fuse(f)(x), a) and count[0] == 1


def test_a_module_and_a_method():
    model = H.nn.Sequential(H.nn.Linear(50, 200), H.nn.GELU(), H.nn.LayerNorm(200), H.nn.Tanh())
    x = H.randn(256, 50)
    assert same(H.fuse(model)(x), model(x))

    class Gate:
        @H.fuse
        def run(self, x, *, scale=1.0):
            """Text."""
            return (x * scale).sigmoid()

    assert same(Gate().run(x * 1, scale=2.0), (x * 2).sigmoid())
    assert Gate.run.__doc__ == "Text." and Gate.run.__name__ == "run"


def test_with_vmap_and_func():
    x = H.randn(200, 300)
    assert same(H.vmap(H.fuse(lambda r: r.exp() * 2 + 1))(x), x.exp() * 2 + 1)
    assert same(H.fuse(H.vmap(lambda r: r.exp() * 2 + 1))(x), x.exp() * 2 + 1)
    assert same(H.func.grad(lambda v: H.fuse(chain)(v, x).sum())(x), H.func.grad(lambda v: chain(v, x).sum())(x))


def test_fused_functions_call_each_other():
    inner = H.fuse(lambda x: x * 2 + 1)
    x = H.randn(N)
    _, found = passes(lambda x: inner(x).exp(), x)
    assert [names(p) for p in found] == [["mul", "add", "exp"]]


def test_meta_tensors_stay_meta():
    y = H.fuse(chain)(H.empty(N, device="meta"), H.empty(N, device="meta"))
    assert y.is_meta and y.shape == (N,)


def test_another_thread_reads_and_writes_what_waits():
    x = H.randn(N)
    before, results = x.clone(), []

    def other(y):
        results.append(y.sum().item())
        x.add_(1)

    @H.fuse
    def f(x):
        y = x * 2
        z = x * 3
        t = threading.Thread(target=other, args=(y,))
        t.start()
        t.join()
        return y, z, x * 1

    y, z, w = f(x)
    assert same(y, before * 2) and same(z, before * 3) and same(w, before + 1)
    assert results == [(before * 2).sum().item()]


def test_many_threads_share_a_weight():
    w = H.randn(N)
    expected = chain(w, w)
    wrong = []

    def work():
        for _ in range(30):
            if not same(H.fuse(chain)(w, w), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_nothing_is_left_waiting_in_memory():
    x = H.randn(1 << 16)
    f = H.fuse(lambda x: (x * 2 + 1).exp() * x)
    f(x)
    before = H.memory_stats()["allocated_bytes.current"]
    for _ in range(5):
        f(x)
    assert H.memory_stats()["allocated_bytes.current"] == before


def test_only_functions():
    with pytest.raises(TypeError, match="can be called, not int"):
        H.fuse(3)


# ---- explain


def test_the_page_of_a_fused_function():
    @H.fuse
    def gate(x, y):
        return H.sigmoid(x * y + 1.5) * y

    x, y = H.randn(400, 200, requires_grad=True), H.randn(400, 200)
    e = H.explain(gate, x, y)
    forward, gradients = e.passes
    assert [str(s) for s in forward.steps] == [
        "t1 = mul(x, y)",
        "t2 = add(t1, 1.5)",
        "t3 = sigmoid(t2)",
        "t4 = mul(t3, y)",
    ]
    assert forward.ended_by == "the end of the function" and not forward.backward and gradients.backward
    assert gradients.steps[0].of == ("gradient", "y") and x.grad is None
    size = 4 * 400 * 200
    assert (forward.bytes_read, forward.bytes_written, forward.bytes_alone) == (2 * size, 2 * size, 10 * size)
    assert "in all" in str(e) and "gate, fused: x (400, 200) float32" in str(e) and "<svg" in e._repr_html_()


def test_the_page_says_what_stayed_outside_and_what_ended_a_pass():
    @H.fuse
    def f(x, w, small):
        y = (x * 2) @ w
        y += 1
        z = (y - y.mean(0)).exp()
        return z if z.sum() > 0 else -z, small + 1, x.T

    e = H.explain(f, H.randn(400, 100), H.randn(100, 100), H.ones(3))
    assert [p.ended_by for p in e.passes][:2] == ["matmul", "a number that was asked for"]
    assert [name for name, _, _ in e.left_out] == ["matmul", "iadd", "mean", "add"]
    assert "writes in place" in e.left_out[1][2] and "3 elements: fewer" in e.left_out[3][2]
    assert e.passes[1].steps[0].of == ("matmul", "mean")


def test_the_page_of_a_fused_module(tmp_path):
    model = H.fuse(H.nn.Sequential(H.nn.Linear(100, 300), H.nn.SiLU()))
    e = H.explain(model, H.randn(500, 100), measure=True)
    assert [s.op for s in e.passes[0].steps] == ["silu"] and e.passes[0].steps[0].of == ("linear",)
    assert e.measured[0] > 0 and "measured" in e.text() and "measured" not in e.text(times=False)
    assert "one by one" in open(e.plot(tmp_path / "page.html"), encoding="utf-8").read()


def test_the_page_of_what_is_too_small():
    e = H.explain(H.fuse(chain), H.ones(3), H.ones(3))
    assert not e.passes and "nothing ran in passes" in str(e)
