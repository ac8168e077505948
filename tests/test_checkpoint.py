"""Checkpoints that compute again, and hooks on what is kept for backward; against plain backward and PyTorch."""

import warnings

import pytest
from harness import H, torch

graph, checkpoints = H.autograd.graph, __import__("hadamard.utils.checkpoint").utils.checkpoint
checkpoint, checkpoint_sequential = checkpoints.checkpoint, checkpoints.checkpoint_sequential
hooks = graph.saved_tensors_hooks


def net(lib, dropout=0.0):
    lib.manual_seed(0)
    layers = [lib.nn.Linear(6, 8), lib.nn.Tanh(), lib.nn.Dropout(dropout), lib.nn.Linear(8, 8), lib.nn.GELU()]
    return lib.nn.Sequential(*layers, lib.nn.Linear(8, 2))


def gradients(lib, model, run):
    x = (lib.arange(18.0).view(3, 6) / 10).requires_grad_()
    lib.manual_seed(1)
    run(model, x).square().sum().backward()
    after = lib.rand(1).item()
    return [p.grad.tolist() for p in (x, *model.parameters())], after


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("how", ["one", "sequential", "nested"])
def test_the_same_gradients_and_random_numbers(reentrant, how, dropout):
    def nested(model, x):
        return checkpoint(
            lambda x: model[3:](checkpoint(model[:3], x, use_reentrant=reentrant)), x, use_reentrant=reentrant
        )

    runs = {
        "one": lambda model, x: checkpoint(model, x, use_reentrant=reentrant),
        "sequential": lambda model, x: checkpoint_sequential(model, 3, x, use_reentrant=reentrant),
        "nested": nested,
    }
    want, rest = gradients(H, net(H, dropout), lambda model, x: model(x))
    got, rest_again = gradients(H, net(H, dropout), runs[how])
    assert got == want and rest == rest_again


@pytest.mark.parametrize("reentrant", [False, True])
def test_it_runs_twice_and_draws_anew_where_asked(reentrant):
    calls = []

    def f(x):
        calls.append(H.is_grad_enabled())
        return H.nn.functional.dropout(x, 0.5)

    x = H.ones(64, requires_grad=True)
    y = checkpoint(f, x, use_reentrant=reentrant, preserve_rng_state=False)
    y.sum().backward()
    assert calls == [not reentrant, True]
    assert (x.grad != y).any()
    with H.no_grad():
        checkpoint(f, x, use_reentrant=reentrant)
    assert len(calls) == 3


def saved_bytes(run):
    """Of the storages that the graph of y keeps, by what its hooks are given."""
    kept = {}

    def pack(t):
        kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with hooks(pack, lambda t: t):
        y = run()
    assert y.requires_grad
    return sum(kept.values())


def test_it_saves_memory():
    model = H.nn.Sequential(*(layer for _ in range(8) for layer in (H.nn.Linear(32, 32), H.nn.Tanh())))
    x = H.ones(1000, 32, requires_grad=True)
    plain = saved_bytes(lambda: model(x))
    assert plain > 8 * x.nbytes
    for segments in (2, 4):
        spared = saved_bytes(lambda n=segments: checkpoint_sequential(model, n, x, use_reentrant=False))
        assert spared < 0.75 * plain


def test_nothing_of_a_checkpoint_stays_in_memory():
    import weakref

    alive = []

    def f(x):
        y = x.exp()
        alive.append(weakref.ref(y))
        return y.sin().cos()

    x = H.ones(10, requires_grad=True)
    y = checkpoint(f, x, use_reentrant=False)
    assert alive[0]() is None
    y.sum().backward()
    assert [a() for a in alive] == [None, None]


def test_grad_of_a_checkpoint_and_a_second_backward():
    x = H.ones(3, dtype=H.float64, requires_grad=True)

    def f(x):
        return (x.exp() * x).sin()

    y = checkpoint(f, x, use_reentrant=False)
    (once,) = H.autograd.grad(y.sum(), x, retain_graph=True)
    (twice,) = H.autograd.grad(y.sum(), x)
    assert (once == twice).all()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.sum().backward()
    assert H.autograd.gradcheck(lambda x: checkpoint(f, x, use_reentrant=False), x)
    assert H.autograd.gradgradcheck(lambda x: checkpoint(f, x, use_reentrant=False), x)


def test_arguments_of_all_kinds():
    def f(x, power, *, other, scale):
        return x**power * other * scale, "text", x + other

    x, other = H.full((2,), 3.0, requires_grad=True), H.ones(2, requires_grad=True)
    y, word, z = checkpoint(f, x, 2, other=other, scale=5.0, use_reentrant=False)
    (y + z).sum().backward()
    assert word == "text" and x.grad.tolist() == [31.0, 31.0] and other.grad.tolist() == [46.0, 46.0]
    x.grad = None
    y, word, _ = checkpoint(lambda x, n, o: f(x, n, other=o, scale=5.0), x, 2, other, use_reentrant=True)
    y.sum().backward()
    assert x.grad.tolist() == [30.0, 30.0]


def test_autocast_is_as_it_was():
    seen = []

    def f(x):
        seen.append((x @ x).dtype)
        return x @ x

    x = H.ones(2, 2, requires_grad=True)
    for reentrant in (False, True):
        with H.autocast("cpu"):
            y = checkpoint(f, x, use_reentrant=reentrant)
        y.float().sum().backward()
    assert seen == [H.bfloat16] * 4
    assert (H.ones(2, 2) @ H.ones(2, 2)).dtype == H.float32


ERRORS = {
    "written": lambda lib, c, x: written(lib, c, x),
    "keyword": lambda lib, c, x: c(lambda x: x, x, use_reentrant=True, a=1, b=2),
    "context": lambda lib, c, x: c(lambda x: x, x, use_reentrant=True, debug=True),
    "no-gradient": lambda lib, c, x: c(lambda x: x.detach() * 1, x, use_reentrant=True).sum().backward(),
    "check": lambda lib, c, x: c(lambda x: x * x, x, use_reentrant=False, determinism_check="often"),
    "fewer": lambda lib, c, x: changing(c, x, [lambda x: x.exp().sin().cos(), lambda x: x.exp()]),
    "more": lambda lib, c, x: changing(c, x, [lambda x: x.exp(), lambda x: x.exp().sin()], early_stop=False),
    "other": lambda lib, c, x: changing(c, x, [lambda x: x.exp(), lambda x: lib.cat([x, x]).exp()]),
}


def written(lib, c, x):
    z = x * 2
    y = c(lambda z: z.exp(), z, use_reentrant=False)
    z += 1
    y.sum().backward()


def changing(c, x, functions, **options):
    rest = iter(functions)
    c(lambda x: next(rest)(x), x, use_reentrant=False, **options).sum().backward()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_torchs(name):
    def told(lib, c):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(Exception) as e:  # noqa: PT011
                ERRORS[name](lib, c, lib.ones(3, requires_grad=True))
        return type(e.value).__name__, str(e.value).split("\n")[0]

    ours = told(H, checkpoint)
    assert ours[0] in ("RuntimeError", "CheckpointError", "ValueError")
    if torch is not None:
        from torch.utils.checkpoint import checkpoint as theirs

        assert ours == told(torch, theirs)


def test_warnings():
    x = H.ones(2)
    with pytest.warns(UserWarning, match="the use_reentrant parameter should be passed explicitly"):
        checkpoint(lambda x: x, H.ones(2, requires_grad=True))
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        checkpoint(lambda x: x, x, use_reentrant=True)


# Hooks


def quantised(lib):
    return lambda t: (t * 4).round().to(lib.int8), lambda p: p.float() / 4


def test_what_is_unpacked_is_what_backward_uses():
    def run(lib, hooks):
        x = lib.tensor([0.3, 0.6], requires_grad=True)
        w = lib.tensor([[1.1, 2.2], [0.1, 0.4]], requires_grad=True)
        with hooks(*quantised(lib)):
            y = (x @ w).exp() * x
        y.sum().backward()
        return x.grad.tolist(), w.grad.tolist()

    ours = run(H, hooks)
    assert ours != run(H, lambda *_: __import__("contextlib").nullcontext())
    if torch is not None:
        for a, b in zip(ours, run(torch, torch.autograd.graph.saved_tensors_hooks), strict=True):
            H.testing.assert_close(H.tensor(a), H.tensor(b))


def programs(lib):
    F = lib.nn.functional
    x = (lib.arange(48.0, dtype=lib.float64).view(1, 3, 4, 4) / 50).requires_grad_()
    w = (lib.arange(54.0, dtype=lib.float64).view(2, 3, 3, 3) / 90 - 0.3).requires_grad_()
    return (x, w), [
        lambda x, w: F.conv2d(x, w).tanh(),
        lambda x, w: F.softmax(x, -1) * w.sum(),
        lambda x, w: F.max_pool2d(x, 2) * w.prod(),
        lambda x, w: (x @ x)[..., 1:].sin() + w.std(),
        lambda x, w: F.layer_norm(x, (4,)).cumsum(0) * w.mean(),
        lambda x, w: x.sort(-1, descending=True)[0].index_select(1, lib.tensor([0, 2])) ** 2 / w.norm(),
        lambda x, w: F.cross_entropy(x.view(3, 16), lib.tensor([0, 1, 2])) + w.clone().mul_(w).sum(),
    ]


@pytest.mark.parametrize("i", range(7))
def test_hooks_that_change_nothing_change_nothing(i):
    (x, w), fs = programs(H)
    f = fs[i]
    counts = [0, 0]

    def pack(t):
        counts[0] += 1
        return t.detach().clone()

    def unpack(t):
        counts[1] += 1
        return t

    with hooks(pack, unpack):
        y = f(x, w)
    got = H.autograd.grad(y.square().sum(), (x, w), create_graph=True)
    want = H.autograd.grad(f(x, w).square().sum(), (x, w), create_graph=True)
    assert counts[0] > 0 and counts[1] > 0
    for a, b in zip(got, want, strict=True):
        H.testing.assert_close(a, b)
    again = H.autograd.grad([g.sin().sum() for g in got], (x, w))
    expected = H.autograd.grad([g.sin().sum() for g in want], (x, w))
    for a, b in zip(again, expected, strict=True):
        H.testing.assert_close(a, b)


def test_hooks_of_functions_and_nesting():
    class Square(H.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    x = H.ones(2, requires_grad=True)
    with hooks(lambda t: "outer", lambda p: H.zeros(2)):
        with hooks(lambda t: t, lambda t: t * 10):
            y = Square.apply(x)
        z = Square.apply(x)
    H.manual_seed(0)
    assert H.autograd.grad(y.sum(), x)[0].tolist() == [20.0, 20.0]
    assert H.autograd.grad(z.sum(), x)[0].tolist() == [0.0, 0.0]
    assert H.autograd.grad(Square.apply(x).sum(), x)[0].tolist() == [2.0, 2.0]


def test_packed_objects_go_with_the_graph():
    import weakref

    class Packed:
        def __init__(self, t):
            self.t = t

    alive = []

    def pack(t):
        p = Packed(t.detach())
        alive.append(weakref.ref(p))
        return p

    x = H.ones(2, requires_grad=True)
    with hooks(pack, lambda p: p.t):
        y = x.exp().exp()
    assert all(a() is not None for a in alive) and len(alive) == 2
    y.sum().backward()
    assert [a() for a in alive] == [None, None]
    with hooks(pack, lambda p: p.t):
        y = x.exp()
    del y
    assert alive[2]() is None


def failing(lib):
    g, x = lib.autograd.graph, lib.ones(2, requires_grad=True)
    h = g.saved_tensors_hooks

    def use(pack, unpack):
        with h(pack, unpack):
            y = (x * 2).exp()
        y.sum().backward()

    def refuse(t):
        raise KeyError("mine")

    def disabled():
        with g.disable_saved_tensors_hooks("not here"), h(id, id):
            pass

    return [
        lambda: use(lambda t: 3, lambda p: p),
        lambda: use(lambda t: t.add_(1), lambda p: p),
        lambda: use(refuse, lambda p: p),
        lambda: use(lambda t: t, refuse),
        disabled,
    ]


@pytest.mark.parametrize("i", range(5))
def test_faults_of_hooks(i):
    with pytest.raises((TypeError, RuntimeError, KeyError)) as ours:
        failing(H)[i]()
    y = H.ones(2, requires_grad=True).exp()
    y.sum().backward()  # nothing of the hooks is left
    if torch is not None:
        with pytest.raises((TypeError, RuntimeError, KeyError)) as theirs:
            failing(torch)[i]()
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value).split("\n")[0] == str(theirs.value)


def test_save_on_cpu_and_threads():
    import threading

    x = H.ones(3, requires_grad=True)
    with graph.save_on_cpu(pin_memory=True):
        y = x.exp()
    y.sum().backward()
    assert (x.grad == y).all()
    seen = []
    with hooks(lambda t: seen.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: H.ones(1, requires_grad=True).exp())
        thread.start()
        thread.join()
    assert not seen
    with pytest.raises(TypeError):
        hooks(3, 4)
