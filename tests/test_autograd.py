"""The engine: backward and grad, modes, hooks, Functions, versions, errors, and very long graphs."""

import gc
import weakref

import pytest
from harness import OURS, H


def leaf(*values, dtype="float32"):
    return H.tensor(values if len(values) != 1 else values[0], dtype=getattr(H, dtype), requires_grad=True)


# backward and grad ------------------------------------------------------------------------------------------------
def test_backward_accumulates():
    w, x = leaf(0.5, -0.2, 1.3), H.tensor([2.0, 3.5, 1.0])
    y = H.dot(w, x)
    assert w.grad is None and y.grad_fn.name() == "DotBackward0" and not y.is_leaf and w.is_leaf
    y.backward()
    assert w.grad.tolist() == x.tolist()
    H.dot(w, x).backward()
    assert w.grad.tolist() == (2 * x).tolist()
    first = w.grad
    (w * 2).sum().backward()
    assert w.grad is first, "accumulated into the same tensor"
    w.grad.zero_()
    assert first.tolist() == [0, 0, 0]
    w.grad = None
    w.sum().backward()
    assert w.grad.tolist() == [1, 1, 1]


def test_backward_with_a_gradient():
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(RuntimeError, match="^grad can be implicitly created only for scalar outputs"):
        y.backward()
    y.backward(H.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 40]
    with pytest.raises(
        RuntimeError,
        match=r"Mismatch in shape: grad_output\[0\] has a shape of torch.Size\(\[3\]\) "
        r"and output\[0\] has a shape of torch.Size\(\[2\]\).",
    ):
        (x * 2).backward(H.ones(3))
    H.autograd.backward([x.sum(), (x * 3).sum()], [H.tensor(1.0), H.tensor(2.0)])
    assert x.grad.tolist() == [9, 47]
    a, b = leaf(1.0), leaf(2.0)
    (a * b).backward(inputs=[a])
    assert a.grad.item() == 2 and b.grad is None


def test_grad_returns_without_accumulating():
    x, y = leaf(2.0), leaf(3.0)
    gx, gy = H.autograd.grad(x * x * y, (x, y))
    assert (gx.item(), gy.item()) == (12, 4) and x.grad is None and not gx.requires_grad
    assert isinstance(H.autograd.grad(x * x, x), tuple)
    with pytest.raises(
        RuntimeError,
        match="The differentiated Tensor at index 1 appears to not have been used in the graph. "
        "Set allow_unused=True if this is the desired behavior.",
    ):
        H.autograd.grad(x * x, (x, y))
    assert H.autograd.grad(x * x, (x, y), allow_unused=True)[1] is None
    assert H.autograd.grad(x * x, (x, y), materialize_grads=True)[1].item() == 0
    with pytest.raises(RuntimeError, match="One of the differentiated Tensors does not require grad"):
        H.autograd.grad(x * x, H.ones(1))
    middle = x * x
    assert H.autograd.grad(middle * 3, middle)[0].item() == 3
    out = H.stack([x, x * x])
    assert H.autograd.grad(out, x, H.tensor([1.0, 10.0]))[0].item() == 41
    assert H.autograd.grad([x * 2, x * 3], x)[0].item() == 5


def test_what_cuts_a_graph():
    x = leaf(1.0, 2.0)
    message = "^element 0 of tensors does not require grad and does not have a grad_fn"
    with H.no_grad():
        frozen = (x * 2).sum()
    for cut in (
        frozen,
        x.detach().sum(),
        x.argmax().float(),
        (x > 1).float().sum(),
        x.long().float().sum(),
        H.tensor(x.sum().item()),
        H.ones(2).sum(),
    ):
        assert not cut.requires_grad
        with pytest.raises(RuntimeError, match=message):
            cut.backward()
    with pytest.raises(RuntimeError, match=message):
        H.autograd.grad(H.ones(2).sum(), x)


def test_second_backward():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match="^Trying to backward through the graph a second time"):
        y.backward()
    z = (x + 1).sum()
    z.backward()
    z.backward()  # nothing was saved, so nothing was freed
    assert x.grad.tolist() == [6, 10]
    shared = x.exp()
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="a second time"):
        (shared * 2).sum().backward()


def test_create_graph():
    x = leaf(2.0)
    y = x**4
    for want in (32, 48, 48, 24, 0):
        if not y.requires_grad:
            assert want == 0  # ours knows that the gradient of x to the first power is a constant
            break
        (y,) = H.autograd.grad(y, x, create_graph=True, allow_unused=True)
        assert y.item() == want
    x = leaf(1.0, 2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad and x.grad.tolist() == [3, 12]
    penalty = (x.grad**2).sum()
    x.grad = None
    penalty.backward()
    assert x.grad.tolist() == [36, 288]


def test_diamonds_and_reuse():
    x = leaf(3.0)
    y = x * x
    z = y * y + y + x
    z.backward()
    assert x.grad.item() == 4 * 27 + 6 + 1
    w = leaf(1.0, 2.0, 3.0)
    a, b, c = w.unbind()
    (a * b + b * c + a * a).backward()
    assert w.grad.tolist() == [4, 4, 2]
    v = leaf(5.0)
    (v * v * v).backward()
    assert v.grad.item() == 75


def test_only_what_needs_it():
    a, b = leaf(1.0), H.tensor(2.0)
    y = a * b
    y.backward()
    assert b.grad is None and y.requires_grad and not (b * 2).requires_grad
    b.requires_grad_()
    (a * b).backward()
    assert b.grad.item() == 1 and a.grad.item() == 4
    a.requires_grad_(False)
    assert not (a * 2).requires_grad and (a * b).requires_grad
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        (b * 2).requires_grad_(False)
    for dtype in ("int64", "bool", "uint8"):
        with pytest.raises(RuntimeError, match="nly Tensors of floating point and complex dtype can require gradients"):
            H.ones(2, dtype=getattr(H, dtype), requires_grad=True)
        with pytest.raises(RuntimeError, match="nly Tensors of floating point"):
            H.ones(2, dtype=getattr(H, dtype)).requires_grad_()


def test_gradients_have_the_leaf_s_dtype_and_shape():
    x = leaf([[1.0], [2.0]])
    (x * H.ones(3, dtype=H.float64)).sum().backward()
    assert x.grad.dtype == H.float32 and x.grad.shape == (2, 1) and x.grad.tolist() == [[3], [3]]
    h = H.ones(2, dtype=H.float16, requires_grad=True)
    (h * H.ones(2)).sum().backward()
    assert h.grad.dtype == H.float16
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = H.ones(3)
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = H.ones(2, 1, dtype=H.float64)
    with pytest.raises(TypeError):
        x.grad = 1.0


# Modes ------------------------------------------------------------------------------------------------------------
def test_no_grad():
    x = leaf(1.0)
    with H.no_grad():
        assert not H.is_grad_enabled()
        y = x * 2
        assert not y.requires_grad and y.is_leaf
        with H.enable_grad():
            assert (x * 2).requires_grad
        made = H.ones(1, requires_grad=True)
        assert made.requires_grad
        x += 1  # allowed here
    assert H.is_grad_enabled() and (x * 2).requires_grad and x.item() == 2
    assert (y * x).requires_grad


def test_modes_as_decorators():
    x = leaf(1.0)

    @H.no_grad()
    def a():
        return x * 2

    @H.no_grad
    def b():
        return x * 2

    @H.enable_grad()
    def c():
        return x * 2

    @H.inference_mode()
    def d(value, *, scale):
        "doc"
        return x * value * scale

    @H.set_grad_enabled(False)
    def e():
        return x * 2

    assert H.is_grad_enabled()
    assert not a().requires_grad and not b().requires_grad and not e().requires_grad
    with H.no_grad():
        assert c().requires_grad
    assert not d(3, scale=2).requires_grad and d.__name__ == "d" and d.__doc__ == "doc"

    @H.no_grad()
    def numbers():
        for i in range(2):
            assert not H.is_grad_enabled()
            yield i

    for _ in numbers():
        assert H.is_grad_enabled()


def test_modes_survive_exceptions():
    for mode in (H.no_grad, H.inference_mode, lambda: H.set_grad_enabled(False)):
        with pytest.raises(ZeroDivisionError), mode():
            raise ZeroDivisionError
        assert H.is_grad_enabled()


def test_set_grad_enabled():
    x = leaf(1.0)
    with H.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    H.set_grad_enabled(False)
    try:
        assert not H.is_grad_enabled() and not (x * 2).requires_grad
    finally:
        H.set_grad_enabled(True)
    assert (x * 2).requires_grad


def test_inference_mode():
    x = leaf(1.0, 2.0)
    with H.inference_mode():
        assert H.is_inference_mode_enabled()
        y = x * 2
        assert y.is_inference() and not y.requires_grad
    assert not x.is_inference() and not H.is_inference_mode_enabled()
    assert (y + 1).tolist() == [3, 5]
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        y * x
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode is not allowed"):
        y.add_(1)
    with H.inference_mode(False):
        assert (x * 2).requires_grad


def test_detach():
    x = leaf(1.0, 2.0)
    y = x * 2
    d = y.detach()
    assert not d.requires_grad and d.is_leaf and d.data_ptr() == y.data_ptr()
    d.requires_grad_()
    (d * 3).sum().backward()
    assert d.grad.tolist() == [3, 3] and x.grad is None
    y.detach_()
    assert not y.requires_grad and y.grad_fn is None
    x.data.mul_(10)
    assert x.tolist() == [10, 20]
    x.data = H.ones(2)
    assert x.tolist() == [1, 1] and x.requires_grad


# Hooks and retained gradients ---------------------------------------------------------------------------------------
def test_retain_grad():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * y).backward()
    assert y.grad.item() == 12 and x.grad.item() == 36
    with pytest.raises(RuntimeError, match="can't retain_grad on Tensor that has requires_grad=False"):
        H.ones(1).retain_grad()
    z = x * 1
    with pytest.warns(UserWarning, match="The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"):
        assert z.grad is None


def test_a_retained_gradient_follows_writes_to_views():
    x = leaf(1.0, 1.0, 1.0)
    y = x * 2
    y.retain_grad()
    y[:2].mul_(3)
    (y * H.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert y.grad.tolist() == [1, 10, 100] and x.grad.tolist() == [6, 60, 200]
    y = x * 2
    y.retain_grad()
    y[:2].mul_(3)
    z = y.sum()
    del y  # takes itself off the node that keeps its gradient now
    z.backward()


def test_tensor_hooks():
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward(retain_graph=True)
    assert seen == [[1, 1], [20, 20]] and x.grad.tolist() == [20, 20]
    handle.remove()
    seen.clear()
    y.sum().backward()
    assert seen == [[20, 20]]
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        H.ones(1).register_hook(lambda g: g)


def test_leaf_hooks_see_the_whole_sum():
    x, seen = leaf(1.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 2 + x * 3).backward()
    assert seen in ([5, 5], [2, 3, 5], [3, 2, 5]) and seen[-1] == 5 and x.grad.item() == 5


def test_hooks_that_raise():
    x = leaf(1.0)
    y = x * 2

    def bad(g):
        raise KeyError("mine")

    y.register_hook(bad)
    with pytest.raises(KeyError, match="mine"):
        (y * y).backward()
    z = x * 2
    z.backward()
    assert x.grad.item() == 2


def test_node_attributes():
    x = leaf(2.0)
    y = (x * 3).exp()
    node = y.grad_fn
    assert node.name() == "ExpBackward0" and type(node).__name__ == "ExpBackward0"
    inner, index = node.next_functions[0]
    assert inner.name() == "MulBackward0" and index == 0
    accumulate = next(f for f, _ in inner.next_functions if f is not None)
    assert accumulate.name().endswith("AccumulateGrad") and accumulate.variable is x
    assert x.grad_fn is None and "ExpBackward0" in repr(node)


NAMES = {
    "MulBackward0": lambda x: x * x, "AddBackward0": lambda x: x + 1, "SubBackward0": lambda x: x - 1,
    "DivBackward0": lambda x: x / 2, "NegBackward0": lambda x: -x, "PowBackward0": lambda x: x**2,
    "SumBackward0": lambda x: x.sum(), "SumBackward1": lambda x: x.sum(0), "MeanBackward0": lambda x: x.mean(),
    "MmBackward0": lambda x: x @ x, "DotBackward0": lambda x: x[0].dot(x[0]), "MvBackward0": lambda x: x @ x[0],
    "BmmBackward0": lambda x: H.bmm(x[None], x[None]), "AddmmBackward0": lambda x: H.addmm(x, x, x),
    "ExpBackward0": lambda x: x.exp(), "LogBackward0": lambda x: x.log(), "SigmoidBackward0": lambda x: x.sigmoid(),
    "TanhBackward0": lambda x: x.tanh(), "ReluBackward0": lambda x: x.relu(), "TBackward0": lambda x: x.t(),
    "TransposeBackward0": lambda x: x.transpose(0, 1), "PermuteBackward0": lambda x: x.permute(1, 0),
    "ViewBackward0": lambda x: x.view(4), "UnsqueezeBackward0": lambda x: x.unsqueeze(0),
    "SqueezeBackward0": lambda x: x.squeeze(), "ExpandBackward0": lambda x: x.expand(2, 2, 2),
    "CatBackward0": lambda x: H.cat([x, x]), "StackBackward0": lambda x: H.stack([x, x]),
    "SelectBackward0": lambda x: x[0], "SliceBackward0": lambda x: x[:1], "IndexBackward0": lambda x: x[[0, 1]],
    "CloneBackward0": lambda x: x.clone(), "WhereBackward0": lambda x: H.where(x > 0, x, x),
    "MaxBackward0": lambda x: x.max(0).values, "MaxBackward1": lambda x: x.max(),
    "GatherBackward0": lambda x: x.gather(0, H.tensor([[0]])), "SoftmaxBackward0": lambda x: x.softmax(0),
    "LogSoftmaxBackward0": lambda x: x.log_softmax(0), "ToCopyBackward0": lambda x: x.double(),
    "MseLossBackward0": lambda x: H.nn.functional.mse_loss(x, x),
    "ConvolutionBackward0": lambda x: H.nn.functional.conv2d(x[None, None], x[None, None]),
    "CumsumBackward0": lambda x: x.cumsum(0), "MaskedFillBackward0": lambda x: x.masked_fill(x > 0, 0),
    "UnbindBackward0": lambda x: x.unbind()[0], "SplitBackward0": lambda x: x.split(1)[0],
    "RsubBackward1": lambda x: 1 - x, "PowBackward2": lambda x: 2**x, "RollBackward0": lambda x: x.roll(1),
    "ClampBackward1": lambda x: x.clamp(0, 1), "SqrtBackward0": lambda x: x.sqrt(), "AbsBackward0": lambda x: x.abs(),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_nodes(name):
    """Printed as grad_fn=<Name>; scripts and their readers know these."""
    assert NAMES[name](leaf([[1.0, 2.0], [3.0, 4.0]])).grad_fn.name() == name


def test_names_of_views_and_leaves():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert x.T.grad_fn.name() == "PermuteBackward0" and (1 / x).grad_fn.name() == "MulBackward0"
    assert x.exp().grad_fn.next_functions[0][0].name() == "torch::autograd::AccumulateGrad"


def test_a_variable_is_a_tensor():
    Variable = H.autograd.Variable
    x = Variable(H.ones(2), requires_grad=True)
    assert (
        x.requires_grad and isinstance(x, Variable) and isinstance(H.ones(1), Variable) and not isinstance(1, Variable)
    )


# Functions --------------------------------------------------------------------------------------------------------
class Cube(H.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


def test_function():
    x = leaf(2.0, dtype="float64")
    y = Cube.apply(x)
    assert y.item() == 8 and y.grad_fn.name() == "CubeBackward" and y.requires_grad
    y.backward()
    assert x.grad.item() == 12
    assert H.autograd.gradcheck(Cube.apply, (x,)) and H.autograd.gradgradcheck(Cube.apply, (x,))
    assert not Cube.apply(H.ones(1)).requires_grad
    with H.no_grad():
        assert not Cube.apply(x).requires_grad
    z = Cube.apply(x)
    z.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        z.backward()


def test_function_arguments():
    class Scale(H.autograd.Function):
        @staticmethod
        def forward(ctx, a, factor, b, *, extra=None):
            ctx.factor = factor
            assert ctx.needs_input_grad == (True, False, False)
            return a * factor, b + 1

        @staticmethod
        def backward(ctx, ga, gb):
            assert ctx.needs_input_grad == (True, False, False) and gb.tolist() == [0, 0]
            return ga * ctx.factor, None, None

    a, b = leaf(1.0, 2.0), H.ones(2)
    y, z = Scale.apply(a, 5, b)
    y.sum().backward()
    assert a.grad.tolist() == [5, 5] and z.tolist() == [2, 2]


def test_function_with_setup_context():
    class Square(H.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    x = leaf(3.0)
    Square.apply(x).backward()
    assert x.grad.item() == 6


def test_function_marks():
    class Sorted(H.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            values, where = x.sort()
            ctx.mark_non_differentiable(where)
            ctx.save_for_backward(where)
            ctx.set_materialize_grads(False)
            return values, where

        @staticmethod
        @H.autograd.function.once_differentiable
        def backward(ctx, g, unused):
            assert unused is None
            return H.zeros_like(g).scatter(0, ctx.saved_tensors[0], g)

    x = leaf(3.0, 1.0, 2.0)
    values, where = Sorted.apply(x)
    assert values.requires_grad and not where.requires_grad and where.tolist() == [1, 2, 0]
    (g,) = H.autograd.grad((values * H.tensor([1.0, 2.0, 3.0])).sum(), x, create_graph=True)
    assert g.tolist() == [3, 1, 2]
    if g.requires_grad:
        with pytest.raises(RuntimeError, match="once_differentiable"):
            g.sum().backward()

    class InPlace(H.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    w = leaf(1.0, 2.0)
    y = w * 1
    z = InPlace.apply(y)
    assert z is y
    z.sum().backward()
    assert w.grad.tolist() == [2, 2]


def test_functions_that_go_wrong():
    class Wrong(H.autograd.Function):
        @staticmethod
        def forward(ctx, x, what):
            ctx.what = what
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return (
                {"count": (g,), "shape": (H.ones(7), None), "type": ("no", None), "raise": None}[ctx.what]
                if ctx.what != "raise"
                else 1 / 0
            )

    x = leaf(1.0, 2.0)
    for what, error, message in [
        (
            "count",
            RuntimeError,
            r"function WrongBackward returned an incorrect number of gradients \(expected 2, got 1\)",
        ),
        (
            "shape",
            RuntimeError,
            r"Function WrongBackward returned an invalid gradient at index 0 - "
            r"got \[7\] but expected shape compatible with \[2\]",
        ),
        ("type", (RuntimeError, TypeError), "expected Variable or None"),
        ("raise", ZeroDivisionError, "division"),
    ]:
        with pytest.raises(error, match=message):
            Wrong.apply(x, what).sum().backward()
    with pytest.raises((RuntimeError, NotImplementedError)):
        H.autograd.Function.apply(x)
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]


# Versions and in-place operations -----------------------------------------------------------------------------------
def test_saved_tensors_may_not_change():
    x = leaf(1.0, 2.0, 3.0)
    y = x.exp()
    z = y * 2
    y.add_(1)
    message = (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        r"\[torch.FloatTensor \[3\]\], which is output 0 of Exp, is at version 1; expected version 0 instead."
    )
    with pytest.raises(RuntimeError, match=message):
        y.sum().backward()
    z.sum()  # z itself saved nothing
    w = leaf(1.0, 2.0, 3.0)
    product = (w * w).sum()
    with H.no_grad():
        w.mul_(2)
    with pytest.raises(
        RuntimeError,
        match=r"has been modified by an inplace operation: \[torch.FloatTensor \[3\]\] is at version 1; "
        "expected version 0 instead",
    ):
        product.backward()


def test_versions_count():
    x = H.zeros(4)
    assert x._version == 0
    x.add_(1)
    x[0] = 2
    x[1:].mul_(2)
    assert x._version == 3 and x[1:]._version == 3 and x.view(2, 2)._version == 3 and x.detach()._version == 3
    assert x.clone()._version == 0 and x.data._version in (0, 3)
    H.mul(H.ones(4), 2, out=x)
    assert x._version == 4


def test_leaves_may_not_be_written():
    w = leaf(1.0, 2.0)
    for wrong in (
        lambda: w.mul_(2),
        lambda: w.__setitem__(0, 1.0),
        lambda: w.copy_(H.ones(2)),
        lambda: w.zero_(),
        lambda: w.__imul__(2),
    ):
        with pytest.raises(
            RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation."
        ):
            wrong()
    for wrong in (lambda: w[0].mul_(2), lambda: w.view(2, 1).add_(1), lambda: w[:1].zero_()):
        with pytest.raises(
            RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place operation."
        ):
            wrong()
    assert w.tolist() == [1, 2]


def test_in_place_is_differentiated():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = x * 1
    z.mul_(y)
    z += x
    assert z.grad_fn.name() == "AddBackward0"
    z.sum().backward()
    assert x.grad.tolist() == [4, 5] and y.grad.tolist() == [1, 2]
    a = H.zeros(2)
    a.add_(x)
    assert a.requires_grad and not a.is_leaf
    a.sum().backward()
    assert x.grad.tolist() == [5, 6]


def test_in_place_on_views():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = x * 1
    view = base[1:3]
    view.mul_(10)
    assert base.tolist() == [1, 20, 30, 4]
    base.sum().backward()
    assert x.grad.tolist() == [1, 10, 10, 1]
    x.grad = None
    base = x * 1
    rows = base.view(2, 2)
    base.mul_(3)
    (rows * H.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad.tolist() == [3, 6, 9, 12]
    x.grad = None
    base = x * 1
    column = base.view(2, 2).t()[0]
    column.zero_()
    base.sum().backward()
    assert x.grad.tolist() == [0, 1, 0, 1]
    plain = H.zeros(2, 2)
    plain[0] = x[:2]
    plain.sum().backward()
    assert plain.requires_grad and x.grad.tolist() == [1, 2, 0, 1]


def test_views_under_no_grad():
    x = leaf(1.0, 2.0)
    with H.no_grad():
        v = x[0]
        v.mul_(5)
    assert x.tolist() == [5, 2]
    parts = (x * 1).unbind()
    with pytest.raises(RuntimeError, match="multiple views|modified inplace"):
        parts[0].mul_(2)


# Long graphs ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", [lambda y: y + 1, lambda y: y * 1.0, lambda y: y.view(1)], ids=["add", "mul", "view"])
def test_a_million_ops(step):
    x = leaf([1.0])
    y = x
    for _ in range(1_000_000 if OURS else 100_000):
        y = step(y)
    y.backward()
    assert x.grad.item() == 1
    del y
    gc.collect()


def test_a_million_ops_dropped_unused():
    """Freeing a graph must not use the stack either, from whichever end it goes."""
    x = leaf([1.0])
    y = x
    for _ in range(1_000_000 if OURS else 100_000):
        y = y * 2
    kept = y
    del y
    del kept
    gc.collect()
    z = x * 1
    for _ in range(200_000):
        z.mul_(1.0)
    z.backward()
    assert x.grad.item() == 1


def test_a_chain_of_functions():
    x = leaf(1.0)
    y = x
    for _ in range(2_000):
        y = Cube.apply(y)
    y.backward()
    assert x.grad.item() == float("inf") or x.grad.item() > 0


def test_wide_graphs():
    x = leaf(1.0, dtype="float64")
    total = sum(x * i for i in range(10_000))
    total.backward()
    assert x.grad.item() == sum(range(10_000))


# Memory -----------------------------------------------------------------------------------------------------------
def test_graphs_are_freed():
    x = leaf(1.0, 2.0)
    big = H.ones(2)
    alive = weakref.ref(big)
    y = (x * big).sum()
    del big
    gc.collect()
    y.backward()
    del y
    gc.collect()
    assert alive() is None

    class Box:
        pass

    class Keeps(H.autograd.Function):
        @staticmethod
        def forward(ctx, x, box):
            ctx.box = box
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2, None

    box = Box()
    gone = weakref.ref(box)
    y = Keeps.apply(x, box)
    del box
    gc.collect()
    assert gone() is not None
    del y
    gc.collect()
    assert gone() is None


def test_a_hook_that_holds_its_tensor_is_collected():
    gone = []
    for _ in range(3):
        x = leaf(1.0)
        y = x * 2
        y.register_hook(lambda g, y=y: None)
        gone.append(weakref.ref(y))
        del x, y
    gc.collect()
    assert OURS is False or sum(r() is not None for r in gone) <= 3


# Anomalies and helpers ----------------------------------------------------------------------------------------------
def test_detect_anomaly():
    x = leaf(0.0)
    with (
        pytest.warns(UserWarning),
        pytest.raises(RuntimeError, match="returned nan values in its 0th output"),
        H.autograd.detect_anomaly(),
    ):
        y = x.sqrt() * 0
        y.backward()
    with H.autograd.set_detect_anomaly(False):
        x.sqrt().backward()


def test_jacobian_and_variable():
    x = H.tensor([1.0, 2.0])
    j = H.autograd.functional.jacobian(lambda v: H.stack([v[0] * v[1], v[0] ** 2, v.sum()]), x)
    assert j.tolist() == [[2, 1], [2, 0], [1, 1]]
    v = H.autograd.Variable(H.ones(2), requires_grad=True)
    (v * 2).sum().backward()
    assert v.grad.tolist() == [2, 2]


def test_threads():
    """Graphs built and run in several threads at once do not disturb each other."""
    import threading

    wrong = []

    def work(seed):
        for i in range(200):
            x = leaf(float(seed), float(i))
            with H.no_grad():
                off = (x * x).requires_grad
            (x * x).sum().backward()
            if off or x.grad.tolist() != [2 * seed, 2 * i]:
                wrong.append((seed, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and H.is_grad_enabled()


def test_backward_inside_a_hook():
    x, inner = leaf(2.0), leaf(3.0)
    y = x * x

    def hook(g):
        with H.enable_grad():
            (inner * inner).backward()
        return g

    y.register_hook(hook)
    y.backward()
    assert x.grad.item() == 4 and inner.grad.item() == 6


@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_rounded_division_has_zero_gradients(mode):
    a = H.tensor([7.0, -7.0], requires_grad=True)
    b = H.tensor([[2.0], [3.0]], requires_grad=True)
    y = H.div(a, b, rounding_mode=mode)
    assert type(y.grad_fn).__name__ == "DivBackward2"
    y.sum().backward()
    assert a.grad.tolist() == [0, 0] and b.grad.tolist() == [[0], [0]]
    z = a.detach().clone().requires_grad_().clone()
    assert z.div_(2, rounding_mode=mode).requires_grad
