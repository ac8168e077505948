"""Parametrisations and pruning: the same names, values, gradients and files as torch's."""

import copy
import doctest
import importlib

import numpy as np
import pytest
from harness import OURS, H


def oracle():
    return pytest.importorskip("torch")


def part(lib, name):
    return importlib.import_module(f"{lib.__name__}.nn.utils.{name}")


def symmetric(lib):
    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def doubled(lib):
    class Doubled(lib.nn.Module):
        def forward(self, x):
            return 2 * x

    return Doubled()


def orthogonal(lib, **options):
    # The random columns aside, the start depends on a QR whose signs are free: assign a known one.
    layer = part(lib, "parametrizations").orthogonal(lib.nn.Linear(3, 3), **options)
    layer.weight = lib.eye(3).roll(1, 0)
    with lib.no_grad():
        layer.parametrizations.weight.original.add_(lib.arange(9.0).view(3, 3) / 10)
    return layer


def chained(lib):
    parametrize, layer = part(lib, "parametrize"), lib.nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", symmetric(lib))
    parametrize.register_parametrization(layer, "weight", doubled(lib))
    return parametrize.register_parametrization(layer, "bias", doubled(lib))


def assigned(lib):
    layer = part(lib, "parametrize").register_parametrization(lib.nn.Linear(3, 3), "weight", symmetric(lib))
    layer.weight = lib.arange(9.0).view(3, 3)
    return layer


def removed(lib):
    parametrize = part(lib, "parametrize")
    layer = chained(lib)
    parametrize.remove_parametrizations(layer, "weight")
    return parametrize.remove_parametrizations(layer, "bias", leave_parametrized=False)


def twice(lib):
    prune, layer = part(lib, "prune"), lib.nn.Linear(3, 4)
    prune.l1_unstructured(layer, "weight", 3)
    prune.ln_structured(layer, "weight", 1, n=2, dim=0)
    return prune.random_unstructured(layer, "weight", 0.25)


def everywhere(lib):
    prune, model = part(lib, "prune"), lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.ReLU(), lib.nn.Linear(4, 2))
    prune.global_unstructured([(model[0], "weight"), (model[2], "weight")], prune.L1Unstructured, amount=0.4)
    return model


def made_permanent(lib):
    prune = part(lib, "prune")
    return prune.remove(prune.l1_unstructured(lib.nn.Linear(3, 2), "weight", 2), "weight")


LAYERS = {
    "weight_norm": lambda lib: part(lib, "parametrizations").weight_norm(lib.nn.Linear(3, 2)),
    "weight_norm-dim": lambda lib: part(lib, "parametrizations").weight_norm(lib.nn.Linear(3, 2), dim=None),
    "spectral_norm": lambda lib: part(lib, "parametrizations").spectral_norm(lib.nn.Linear(3, 2)),
    "spectral_norm-eval": lambda lib: part(lib, "parametrizations").spectral_norm(lib.nn.Linear(3, 2)).eval(),
    "orthogonal": orthogonal,
    "orthogonal-cayley": lambda lib: orthogonal(lib, orthogonal_map="cayley"),
    "chained": chained,
    "assigned": assigned,
    "removed": removed,
    "identity": lambda lib: part(lib, "prune").identity(lib.nn.Linear(3, 2), "bias"),
    "l1": lambda lib: part(lib, "prune").l1_unstructured(lib.nn.Linear(3, 2), "weight", 0.4),
    "random": lambda lib: part(lib, "prune").random_unstructured(lib.nn.Linear(3, 2), "weight", 2),
    "random-channels": lambda lib: part(lib, "prune").random_structured(lib.nn.Linear(3, 5), "weight", 2, dim=0),
    "ln": lambda lib: part(lib, "prune").ln_structured(lib.nn.Linear(3, 5), "weight", 0.5, n=1, dim=0),
    "mask": lambda lib: part(lib, "prune").custom_from_mask(
        lib.nn.Linear(3, 2), "weight", lib.tensor([[1, 0, 1], [0, 1, 1]])
    ),
    "twice": twice,
    "everywhere": everywhere,
    "permanent": made_permanent,
}


def values(tensors):
    return {name: t.detach().numpy() for name, t in tensors.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_torchs(name):
    sides = []
    for lib in (H, oracle()):
        lib.manual_seed(3)
        layer = LAYERS[name](lib)
        out = layer(lib.arange(6.0).view(2, 3) - 2)
        (out * lib.arange(float(out.numel())).view(out.shape)).sum().backward()
        grads = {key: p.grad for key, p in layer.named_parameters() if p.grad is not None}
        sides.append((repr(layer), values(layer.state_dict()), out.detach().numpy(), values(grads), lib.rand(1).item()))
    mine, theirs = sides
    assert mine[0] == theirs[0]
    for i in (1, 3):
        assert list(mine[i]) == list(theirs[i])
        for key in mine[i]:
            np.testing.assert_allclose(mine[i][key], theirs[i][key], rtol=2e-5, atol=2e-5, err_msg=key)
    np.testing.assert_allclose(mine[2], theirs[2], rtol=1e-5, atol=1e-5)
    if "orthogonal" not in name:
        assert mine[4] == theirs[4]


def test_an_orthogonal_weight_stays_so():
    for shape in ((4, 4), (5, 3), (3, 5)):
        layer = H.nn.utils.parametrizations.orthogonal(H.nn.Linear(*shape).double())
        optimizer = H.optim.SGD(layer.parameters(), lr=0.5)
        for _ in range(5):
            optimizer.zero_grad()
            (layer(H.ones(1, shape[0], dtype=H.float64)) ** 2).sum().backward()
            optimizer.step()
        w = layer.weight.detach()
        small = w @ w.mT if w.size(0) < w.size(1) else w.mT @ w
        np.testing.assert_allclose(small.numpy(), np.eye(min(shape)), atol=1e-10)


def test_a_parametrised_tensor_is_computed_once_while_cached():
    calls = []

    class Counted(H.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 1

    parametrize = H.nn.utils.parametrize
    layer = parametrize.register_parametrization(H.nn.Linear(2, 2), "weight", Counted())
    calls.clear()
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert len(calls) == 1
    assert layer.weight is not layer.weight and len(calls) == 3


def test_parametrised_modules_are_copied_and_saved_by_their_state():
    layer = chained(H)
    other = copy.deepcopy(layer)
    assert H.equal(other.weight, layer.weight)
    with H.no_grad():
        other.parametrizations.weight.original.zero_()
    assert not H.equal(other.weight, layer.weight)
    again = chained(H)
    again.load_state_dict(layer.state_dict())
    assert H.equal(again.weight, layer.weight)
    with pytest.raises(RuntimeError, match="Serialization of parametrized modules"):
        import pickle

        pickle.dumps(layer)
    plain = H.nn.Linear(3, 3)
    H.nn.utils.parametrize.transfer_parametrizations_and_params(layer, plain)
    assert H.equal(plain.weight, layer.weight) and H.nn.utils.parametrize.is_parametrized(plain, "bias")


ERRORS = {
    "no-tensor": lambda lib: part(lib, "parametrize").register_parametrization(lib.nn.Linear(2, 2), "x", doubled(lib)),
    "amount": lambda lib: part(lib, "prune").l1_unstructured(lib.nn.Linear(2, 2), "weight", 1.5),
    "amount-type": lambda lib: part(lib, "prune").l1_unstructured(lib.nn.Linear(2, 2), "weight", "1"),
    "amount-size": lambda lib: part(lib, "prune").l1_unstructured(lib.nn.Linear(2, 2), "weight", 9),
    "dims": lambda lib: part(lib, "prune").ln_structured(lib.nn.Linear(2, 2), "bias", 1, 2, 0),
    "remove": lambda lib: part(lib, "prune").remove(lib.nn.Linear(2, 2), "weight"),
    "not-parametrised": lambda lib: part(lib, "parametrize").remove_parametrizations(lib.nn.Linear(2, 2), "weight"),
    "map": lambda lib: part(lib, "parametrizations").orthogonal(lib.nn.Linear(2, 2), orthogonal_map="x"),
    "vector": lambda lib: part(lib, "parametrizations").orthogonal(lib.nn.Linear(2, 2), "bias"),
    "list": lambda lib: part(lib, "parametrize").ParametrizationList([], lib.ones(2)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    said = []
    for lib in (H, oracle()):
        with pytest.raises(Exception) as info:
            ERRORS[name](lib)
        said.append((type(info.value), str(info.value)))
    assert said[0] == said[1]


@pytest.mark.skipif(not OURS, reason="our examples")
@pytest.mark.parametrize("name", ["parametrize", "parametrizations", "prune"])
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"hadamard.nn.utils.{name}"))
    assert found.attempted and not found.failed
