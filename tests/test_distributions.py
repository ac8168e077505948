"""torch.distributions: samples, densities, gradients and divergences, against torch and against their definitions."""

import doctest
import importlib

import numpy as np
import pytest
from harness import OURS, H

D = H.distributions


def oracle():
    return pytest.importorskip("torch")


def t(lib, *numbers):
    return lib.tensor(numbers, dtype=lib.float64)


def matrix(lib):
    return lib.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=lib.float64)


# name: how it is made of p (parameters that require gradients), and a value in the support
MAKE = {
    "Normal": (lambda D, lib, p: D.Normal(p[:2], p[2:].exp()), [0.3, -1.0]),
    "Normal-number": (lambda D, lib, p: D.Normal(p, 2.0), [0.3, -1.0, 0.0, 2.0]),
    "LogNormal": (lambda D, lib, p: D.LogNormal(p[:2], p[2:].exp()), [0.3, 1.0]),
    "Uniform": (lambda D, lib, p: D.Uniform(p[:2] - 3, p[2:] + 3), [0.3, 0.5]),
    "Laplace": (lambda D, lib, p: D.Laplace(p[:2], p[2:].exp()), [0.3, -1.0]),
    "Exponential": (lambda D, lib, p: D.Exponential(p.exp()), [0.3, 0.1, 0.2, 1.0]),
    "Bernoulli": (lambda D, lib, p: D.Bernoulli(p.sigmoid()), [0.0, 1.0, 1.0, 0.0]),
    "Bernoulli-logits": (lambda D, lib, p: D.Bernoulli(logits=p), [0.0, 1.0, 1.0, 0.0]),
    "Categorical": (lambda D, lib, p: D.Categorical(p.view(2, 2).exp()), [0.0, 1.0]),
    "Categorical-logits": (lambda D, lib, p: D.Categorical(logits=p), 2.0),
    "OneHotCategorical": (lambda D, lib, p: D.OneHotCategorical(logits=p), [0.0, 0.0, 1.0, 0.0]),
    "StraightThrough": (lambda D, lib, p: D.OneHotCategoricalStraightThrough(logits=p), [0.0, 0.0, 1.0, 0.0]),
    "Poisson": (lambda D, lib, p: D.Poisson(p.exp()), [0.0, 1.0, 3.0, 2.0]),
    "MultivariateNormal": (lambda D, lib, p: D.MultivariateNormal(p[:2], matrix(lib) * p[2].exp()), [0.5, 0.2]),
    "MultivariateNormal-tril": (
        lambda D, lib, p: D.MultivariateNormal(p.view(2, 2), scale_tril=matrix(lib).tril()),
        [[0.5, 0.2], [1.0, -1.0]],
    ),
    "MultivariateNormal-precision": (
        lambda D, lib, p: D.MultivariateNormal(p[:2], precision_matrix=matrix(lib)),
        [0.5, 0.2],
    ),
    "Independent": (lambda D, lib, p: D.Independent(D.Normal(p.view(2, 2), 1.5), 1), [[0.1, 0.2], [0.3, 0.4]]),
    "Tanh": (
        lambda D, lib, p: D.TransformedDistribution(D.Normal(p, 1.0), [D.TanhTransform(cache_size=1)]),
        [0.1, -0.5, 0.3, 0.9],
    ),
    "Affine": (
        lambda D, lib, p: D.TransformedDistribution(
            D.Normal(p, 1.0), [D.AffineTransform(1.0, 2.0), D.SigmoidTransform()]
        ),
        [0.1, 0.5, 0.3, 0.9],
    ),
    "Affine-event": (
        lambda D, lib, p: D.TransformedDistribution(
            D.Independent(D.Normal(p, 1.0), 1), D.AffineTransform(1.0, t(lib, 1.0, 2.0, -3.0, 0.5), event_dim=1)
        ),
        [0.1, 0.5, 0.3, 0.9],
    ),
    "Power": (
        lambda D, lib, p: D.TransformedDistribution(
            D.Uniform(lib.ones_like(p) * 0.2, p.abs() + 2), [D.PowerTransform(2.0), D.SoftplusTransform()]
        ),
        [0.9, 1.5, 2.0, 0.8],
    ),
}


def same(a, b, what):
    if hasattr(a, "detach"):
        a, b = a.detach(), b.detach()
        assert tuple(a.shape) == tuple(b.shape), (what, a.shape, b.shape)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12, err_msg=what)
    else:
        assert a == b, what


def asked(lib, name):
    """Everything a distribution says, in order."""
    make, value = MAKE[name]
    p = t(lib, 0.5, -0.2, 0.1, 0.8).requires_grad_()
    d = make(lib.distributions, lib, p)
    value = lib.tensor(value, dtype=lib.float64)
    lib.manual_seed(3)
    yield "batch", tuple(d.batch_shape)
    yield "event", tuple(d.event_shape)
    yield "repr", repr(d)
    yield "has_rsample", d.has_rsample
    yield "support", repr(d.support).partition("(")[0]
    yield "sample", d.sample((3,))
    yield "draws", lib.rand(1)
    for method in ("mean", "mode", "variance", "stddev"):
        yield method, attempt(lambda method=method: getattr(d, method))
    yield "entropy", attempt(d.entropy)
    yield "cdf", attempt(lambda: d.cdf(value))
    yield "icdf", attempt(lambda: d.icdf(lib.full(tuple(d.batch_shape), 0.3, dtype=lib.float64)))
    density = d.log_prob(value)
    yield "log_prob", density
    yield "gradient", lib.autograd.grad(density.sum(), p, retain_graph=True)[0]
    if d.has_rsample:
        drawn = d.rsample((2,))
        yield "rsample", drawn
        if drawn.requires_grad:
            yield "through", lib.autograd.grad((drawn**2).sum(), p, retain_graph=True, allow_unused=True)[0]
    wide = d.expand((3, *d.batch_shape))
    yield "expanded", tuple(wide.batch_shape)
    yield "expanded log_prob", wide.log_prob(value.expand((3, *value.shape)))
    if d.has_enumerate_support:
        yield "values", d.enumerate_support()
    yield "outside", attempt(lambda: d.log_prob(value * float("nan")), True)
    yield "shape", attempt(lambda: d.log_prob(lib.zeros(5, 3)), True)


def attempt(f, text=False):
    try:
        return f()
    except (NotImplementedError, ValueError) as error:
        return (type(error), str(error).partition("grad_fn")[0].partition("\n")[0] if text else "")


@pytest.mark.parametrize("name", MAKE)
def test_distribution_is_torchs(name):
    torch = oracle()
    for (what, mine), (_, theirs) in zip(asked(H, name), asked(torch, name), strict=True):
        same(mine, theirs, what)


PAIRS = ["Normal", "LogNormal", "Laplace", "Exponential", "Bernoulli", "Categorical", "Poisson", "Uniform"]
PAIRS += ["MultivariateNormal", "Independent", "OneHotCategorical"]


def divergence(lib, name):
    p, q = (MAKE[name][0](lib.distributions, lib, x) for x in (t(lib, 0.5, -0.2, 0.1, 0.8), t(lib, 0.1, 0.3, 0.4, 2.0)))
    return lib.distributions.kl_divergence(p, q)


@pytest.mark.parametrize("name", PAIRS)
def test_divergence_is_torchs(name):
    same(divergence(H, name), divergence(oracle(), name), name)


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Exponential", "Uniform", "LogNormal", "Tanh"])
def test_density_is_the_derivative_of_the_distribution(name):
    d = MAKE[name][0](D, H, t(H, 0.5, -0.2, 0.1, 0.8))
    x = H.tensor(MAKE[name][1], dtype=H.float64).requires_grad_()
    (slope,) = H.autograd.grad(d.cdf(x).sum(), x)
    same(slope, d.log_prob(x).exp(), "density")


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Exponential", "Uniform", "LogNormal", "Bernoulli", "Poisson"])
def test_moments_of_samples(name):
    d = MAKE[name][0](D, H, t(H, 0.5, -0.2, 0.1, 0.3))
    drawn = d.sample((40000,))
    error = (drawn.mean(0) - d.mean).abs() / (d.stddev / 200)
    assert (error < 5).all()
    if name != "LogNormal":
        assert ((drawn.std(0) / d.stddev - 1).abs() < 0.05).all()


def test_divergence_by_sampling():
    p, q = D.Normal(t(H, 0.0), t(H, 1.0)), D.Normal(t(H, 0.5), t(H, 2.0))
    x = p.sample((200000,))
    assert abs((p.log_prob(x) - q.log_prob(x)).mean().item() - D.kl_divergence(p, q).item()) < 0.01


WRONG = {
    "scale": lambda D, lib: D.Normal(t(lib, 0.0), t(lib, -1.0)),
    "nan": lambda D, lib: D.Normal(t(lib, float("nan"), 0.0), 1.0),
    "probs": lambda D, lib: D.Bernoulli(1.5),
    "simplex": lambda D, lib: D.Categorical(t(lib, -1.0, 2.0)),
    "both": lambda D, lib: D.Categorical(t(lib, 1.0, 2.0), t(lib, 1.0, 2.0)),
    "scalar": lambda D, lib: D.Categorical(lib.tensor(1.0)),
    "interval": lambda D, lib: D.Uniform(1.0, 0.0),
    "list": lambda D, lib: D.Normal([1.0], 0.0),
    "no-tensor": lambda D, lib: D.Normal(0.0, 1.0).log_prob(1.0),
    "pair": lambda D, lib: D.kl_divergence(D.Uniform(0.0, 1.0), D.Bernoulli(0.5)),
    "dims": lambda D, lib: D.Independent(D.Normal(0.0, 1.0), 1),
    "matrix": lambda D, lib: D.MultivariateNormal(lib.zeros(2)),
}


@pytest.mark.parametrize("name", WRONG)
def test_error_is_torchs(name):
    said = []
    for lib in (H, oracle()):
        with pytest.raises(Exception) as info:
            WRONG[name](lib.distributions, lib)
        said.append((type(info.value), str(info.value)))
    assert said[0] == said[1]


def test_checks_can_be_left_out():
    assert D.Normal(0.0, -1.0, validate_args=False).scale == -1


@pytest.mark.skipif(not OURS, reason="our examples")
def test_examples():
    for name in D.__all__:
        module = importlib.import_module(getattr(getattr(D, name), "__module__", None) or D.__name__)
        assert not doctest.testmod(module, extraglobs={"H": H}).failed
