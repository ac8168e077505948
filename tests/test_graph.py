"""What the graph says of itself: tensors that nodes keep, names of second derivatives, anomaly mode, edges, hooks."""

import warnings

import pytest
from harness import H, torch

needs_torch = pytest.mark.skipif(torch is None, reason="torch says what is right")

# `x`, `y` are (2, 2), `v` is (2,), all require gradients; `img` is (1, 2, 6, 6), `w` (3, 2, 3, 3).
KEPT = """
x * y | x * 2 | x / y | x ** 2 | x ** y | 2 ** x | x @ y | x @ v | torch.dot(v, v) | torch.bmm(x[None], y[None])
torch.addmm(v, x, y) | x.exp() | x.log() | x.sqrt() | x.sigmoid() | x.tanh() | x.relu() | F.gelu(x)
F.silu(x) | x.softmax(0) | x.log_softmax(0) | x.logsumexp(0) | x.prod() | x.prod(0) | x.abs() | x.sin() | x.cos()
x.clamp(1, 2) | torch.where(x > 1, x, y) | x.masked_select(x > 1) | x.gather(0, i) | x.index_select(0, i[0])
F.embedding(i, x) | F.conv2d(img, w) | torch.atan2(x, y) | torch.maximum(x, y) | torch.addcmul(x, y, y) | x.rsqrt()
x.reciprocal() | F.softplus(x) | F.elu(x) | F.leaky_relu(x) | F.hardtanh(x) | x.erf() | x.log1p() | x.expm1()
torch.mm(x, y)
""".replace("\n", "|").split("|")
SECOND = """
x.sigmoid() | x.tanh() | x.relu() | F.gelu(x) | x.softmax(0) | x.log_softmax(0) | F.elu(x) | F.leaky_relu(x)
F.softplus(x) | F.hardtanh(x) | F.logsigmoid(x) | F.mse_loss(x, y) | F.smooth_l1_loss(x, y) | F.huber_loss(x, y)
F.nll_loss(x, i[0]) | F.embedding(i, x) | x[0] | x[1:] | x.diagonal() | F.layer_norm(x, (2,), v, v) | x @ y | x.exp()
torch.mm(x, y) | F.linear(x, y)
""".replace("\n", "|").split("|")


def made(library, code):
    space = {"torch": library, "F": library.nn.functional}
    rows = {"x": [[1.0, 2.0], [3.0, 4.0]], "y": [[0.5, 2.5], [1.5, 0.25]], "v": [1.0, -2.0]}
    space |= {name: library.tensor(values, requires_grad=True) for name, values in rows.items()}
    space["i"] = library.tensor([[0, 1], [1, 0]])
    for name, shape in (("img", (1, 2, 6, 6)), ("w", (3, 2, 3, 3))):
        library.manual_seed(0)
        space[name] = library.rand(*shape).requires_grad_()
    return eval(code, space), space


@needs_torch
@pytest.mark.parametrize("code", [code.strip() for code in KEPT if code.strip()])
def test_kept_tensors_have_torchs_names(code):
    (mine, _), (theirs, _) = made(H, code), made(torch, code)
    names = [name for name in dir(mine.grad_fn) if name.startswith("_saved_")]
    tensors = {}
    for name in dir(theirs.grad_fn):
        if name.startswith("_saved_") and isinstance(value := getattr(theirs.grad_fn, name), torch.Tensor):
            tensors[name] = value
    assert set(tensors) & set(names)
    for name in names:
        value = getattr(mine.grad_fn, name)
        if name in tensors:
            H.testing.assert_close(value.detach(), H.tensor(tensors[name].tolist(), dtype=value.dtype))
        else:
            assert value is None or hasattr(theirs.grad_fn, name)


def test_kept_tensors_are_gone_after_backward():
    x = H.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    node = y.grad_fn
    assert node._saved_result is not None and node._saved_result.grad_fn is node
    with pytest.raises(AttributeError, match="'ExpBackward0' object has no attribute '_saved_self'"):
        node._saved_self  # noqa: B018
    y.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        node._saved_result  # noqa: B018
    z = x * 3
    assert z.grad_fn._saved_self is None and z.grad_fn._saved_other.item() == 3


@needs_torch
@pytest.mark.parametrize("code", [code.strip() for code in SECOND if code.strip()])
def test_second_derivatives_have_torchs_names(code):
    names = []
    for library in (H, torch):
        result, space = made(library, code)
        (grad,) = library.autograd.grad(
            result, space["x"], library.ones_like(result).requires_grad_(), create_graph=True
        )
        names.append(type(grad.grad_fn).__name__)
    assert names[0] == names[1]


@pytest.mark.parametrize("inside", [True, False])
def test_anomaly_mode_shows_the_forward_call(inside):
    said = []
    for library in (H, torch) if torch else (H,):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with library.autograd.detect_anomaly():
                y = library.sqrt(library.tensor([-1.0, 2.0], requires_grad=True)).sum()
            if not inside:
                y = library.sqrt(library.tensor([-1.0, 2.0], requires_grad=True)).sum()
            with library.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="returned nan values"):
                y.backward()
        text = [str(w.message) for w in caught if "Error detected" in str(w.message)]
        assert len(text) == 1
        said.append(text[0].partition(" (Triggered")[0])
    assert said[0].startswith("Error detected in SqrtBackward0. ")
    assert ("in test_anomaly_mode_shows_the_forward_call" in said[0]) == inside
    if torch:
        # torch shows pytest's frames as we do; the traceback ends with the call, at the same line.
        assert said[0].strip().splitlines()[-2:] == said[1].strip().splitlines()[-2:]


def test_edges_stand_for_tensors():
    for library in (H, torch) if torch else (H,):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x.exp()
        z = (y * y).sum()
        edge = library.autograd.graph.get_gradient_edge
        (at_y,) = library.autograd.grad(z, edge(y), retain_graph=True)
        assert at_y.tolist() == (2 * y).tolist()
        (at_x,) = library.autograd.grad(z, [edge(x)], retain_graph=True)
        assert at_x.tolist() == (2 * y * y).tolist()
        library.autograd.backward(edge(y), library.tensor([1.0, 3.0]))
        assert x.grad.tolist() == (y * library.tensor([1.0, 3.0])).tolist()
        assert edge(y).node is y.grad_fn and edge(y).output_nr == 0
        with pytest.raises(RuntimeError, match="not possible to get the gradient edge"):
            edge(x.detach())


def test_an_edge_that_is_not_there():
    node = (H.ones(2, requires_grad=True) * 2).grad_fn
    with pytest.raises(ValueError, match="there is no number 7"):
        H.autograd.grad(H.autograd.graph.GradientEdge(node, 7), H.ones(1, requires_grad=True), H.ones(2))


def test_hook_on_several_gradients():
    told = []
    for library in (H, torch) if torch else (H,):
        hook = library.autograd.graph.register_multi_grad_hook
        a, b = (library.tensor([1.0, 2.0 + k], requires_grad=True) for k in range(2))
        c, d = a * b, a + b
        seen = []
        handle = hook(
            (a, b, c, d), lambda grads, seen=seen: seen.append([g if g is None else g.tolist() for g in grads])
        )
        first = hook((c, d), lambda grad, seen=seen: seen.append(grad.tolist()), mode="any")
        c.sum().backward(retain_graph=True)
        c.sum().backward(inputs=(a,), retain_graph=True)
        (c + d).sum().backward(retain_graph=True)
        handle.remove()
        first.remove()
        c.sum().backward()
        told.append(seen)
        with pytest.raises(ValueError, match="Expects mode to be one of"):
            hook((a,), print, mode="some")
    assert len(told[0]) == 6 and told[0] == told[-1]
