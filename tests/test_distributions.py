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
    "LowRank": (
        lambda D, lib, p: D.LowRankMultivariateNormal(p[:2], p.view(2, 2)[:, 1:], p[2:].exp()),
        [0.5, 0.2],
    ),
    "LowRank-batch": (
        lambda D, lib, p: D.LowRankMultivariateNormal(p.view(2, 2), p.view(2, 2), p[:2].exp()),
        [[0.5, 0.2], [1.0, -1.0]],
    ),
    "ContinuousBernoulli": (lambda D, lib, p: D.ContinuousBernoulli(p.sigmoid()), [0.2, 0.7, 1.0, 0.0]),
    "ContinuousBernoulli-logits": (lambda D, lib, p: D.ContinuousBernoulli(logits=p * 1e-3), [0.2, 0.7, 0.5, 0.9]),
    "LKJCholesky": (
        lambda D, lib, p: D.LKJCholesky(3, p[:2].exp()),
        [[[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]] * 2,
    ),
    "Wishart": (lambda D, lib, p: D.Wishart(p[0].exp() + 2, matrix(lib) * p[2].exp()), [[2.0, 0.5], [0.5, 1.5]]),
    "Wishart-tril": (
        lambda D, lib, p: D.Wishart(p[:2].exp() + 3, scale_tril=matrix(lib).tril()),
        [[[2.0, 0.5], [0.5, 1.5]]] * 2,
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
    "Gamma": (lambda D, lib, p: D.Gamma(p[:2].exp(), p[2:].exp()), [0.3, 1.0]),
    "Chi2": (lambda D, lib, p: D.Chi2(p.exp()), [0.3, 1.0, 0.1, 4.0]),
    "InverseGamma": (lambda D, lib, p: D.InverseGamma(p[:2].exp() + 1, p[2:].exp()), [0.3, 1.0]),
    "FisherSnedecor": (lambda D, lib, p: D.FisherSnedecor(p[:2].exp() * 3, p[2:].exp() * 3), [0.3, 1.0]),
    "Beta": (lambda D, lib, p: D.Beta(p[:2].exp(), p[2:].exp()), [0.3, 0.9]),
    "Kumaraswamy": (lambda D, lib, p: D.Kumaraswamy(p[:2].exp(), p[2:].exp()), [0.3, 0.9]),
    "Dirichlet": (lambda D, lib, p: D.Dirichlet(p.exp().view(2, 2)), [[0.3, 0.7], [0.5, 0.5]]),
    "StudentT": (lambda D, lib, p: D.StudentT(p[0].exp() + 1, p[1:3], p[3].exp()), [0.3, -2.0]),
    "Cauchy": (lambda D, lib, p: D.Cauchy(p[:2], p[2:].exp()), [0.3, -2.0]),
    "Gumbel": (lambda D, lib, p: D.Gumbel(p[:2], p[2:].exp()), [0.3, -2.0]),
    "Weibull": (lambda D, lib, p: D.Weibull(p[:2].exp(), p[2:].exp()), [0.3, 2.0]),
    "Pareto": (lambda D, lib, p: D.Pareto(p[:2].exp(), p[2:].exp() * 2), [3.0, 2.0]),
    "HalfNormal": (lambda D, lib, p: D.HalfNormal(p.exp()), [0.3, 2.0, 0.0, 1.0]),
    "HalfCauchy": (lambda D, lib, p: D.HalfCauchy(p.exp()), [0.3, 2.0, 0.0, 1.0]),
    "Geometric": (lambda D, lib, p: D.Geometric(p.sigmoid()), [0.0, 1.0, 3.0, 2.0]),
    "Geometric-logits": (lambda D, lib, p: D.Geometric(logits=p), [0.0, 1.0, 3.0, 2.0]),
    "Binomial": (lambda D, lib, p: D.Binomial(5, p.sigmoid()), [0.0, 1.0, 5.0, 2.0]),
    "Binomial-logits": (lambda D, lib, p: D.Binomial(t(lib, 30.0, 30.0, 30.0, 30.0), logits=p), [0.0, 1.0, 5.0, 30.0]),
    "NegativeBinomial": (lambda D, lib, p: D.NegativeBinomial(3.0, logits=p), [0.0, 1.0, 5.0, 30.0]),
    "Multinomial": (lambda D, lib, p: D.Multinomial(6, logits=p), [1.0, 0.0, 3.0, 2.0]),
    "RelaxedBernoulli": (
        lambda D, lib, p: D.RelaxedBernoulli(lib.tensor(0.7, dtype=lib.float64), logits=p),
        [0.1, 0.5, 0.9, 0.3],
    ),
    "RelaxedOneHotCategorical": (
        lambda D, lib, p: D.RelaxedOneHotCategorical(lib.tensor(0.7, dtype=lib.float64), logits=p),
        [0.1, 0.5, 0.3, 0.1],
    ),
    "Mixture": (
        lambda D, lib, p: D.MixtureSameFamily(D.Categorical(logits=p[:2]), D.Normal(p[2:], 1.0)),
        0.4,
    ),
    "Mixture-events": (
        lambda D, lib, p: D.MixtureSameFamily(
            D.Categorical(logits=p[:2]), D.Independent(D.Normal(p.view(2, 2), 1.0), 1)
        ),
        [0.4, 0.1],
    ),
    "StickBreaking": (
        lambda D, lib, p: D.TransformedDistribution(D.Normal(p, 1.0), [D.StickBreakingTransform()]),
        [0.2, 0.3, 0.1, 0.1, 0.3],
    ),
    "LogisticNormal": (lambda D, lib, p: D.LogisticNormal(p[:2], p[2:].exp()), [0.2, 0.3, 0.5]),
    "Reshape": (
        lambda D, lib, p: D.TransformedDistribution(
            D.Independent(D.Normal(p, 1.0), 1), [D.ReshapeTransform((4,), (2, 2)), D.ExpTransform()]
        ),
        [[0.2, 0.3], [0.1, 0.1]],
    ),
    "IndependentTransform": (
        lambda D, lib, p: D.TransformedDistribution(
            D.Normal(p, 1.0), [D.IndependentTransform(D.ExpTransform(), 1), D.AffineTransform(1.0, 2.0)]
        ),
        [1.2, 1.3, 1.1, 1.4],
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
        if drawn.requires_grad and not name.startswith("Wishart"):  # torch writes to a mask that its backward reads
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


# torch's derivatives of gamma and beta samples are approximations, good to about a thousandth.
APPROXIMATE = ["Gamma", "Chi2", "InverseGamma", "FisherSnedecor", "Beta", "Dirichlet", "StudentT"]


@pytest.mark.parametrize("name", MAKE)
def test_distribution_is_torchs(name):
    torch = oracle()
    for (what, mine), (_, theirs) in zip(asked(H, name), asked(torch, name), strict=True):
        if what == "through" and name in APPROXIMATE:
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=5e-3, err_msg=what)
        elif (what, name) == ("entropy", "Multinomial"):  # torch takes the factorial in float32
            np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)
        else:
            same(mine, theirs, what)


PAIRS = ["Normal", "LogNormal", "Laplace", "Exponential", "Bernoulli", "Categorical", "Poisson", "Uniform"]
PAIRS += ["MultivariateNormal", "Independent", "OneHotCategorical", "Gamma", "Chi2", "Beta", "Dirichlet", "Cauchy"]
PAIRS += ["LowRank", "LowRank-batch", "ContinuousBernoulli", "Gumbel", "Pareto", "HalfNormal", "Geometric", "Binomial"]
MIXED = ["Normal Laplace", "Laplace Normal", "Gamma Normal", "Gamma Exponential", "Exponential Gamma", "Uniform Normal"]
MIXED += ["Exponential Normal"]


def divergence(lib, name):
    p, q = (MAKE[name][0](lib.distributions, lib, x) for x in (t(lib, 0.5, -0.2, 0.1, 0.8), t(lib, 0.1, 0.3, 0.4, 2.0)))
    return lib.distributions.kl_divergence(p, q)


@pytest.mark.parametrize("name", PAIRS)
def test_divergence_is_torchs(name):
    same(divergence(H, name), divergence(oracle(), name), name)


@pytest.mark.parametrize("names", MIXED)
def test_mixed_divergence_is_torchs(names):
    def between(lib):
        p, q = names.split()
        made = [MAKE[name][0](lib.distributions, lib, t(lib, 0.5, -0.2, 0.1, 0.8)) for name in (p, q)]
        if made[0].batch_shape != made[1].batch_shape:
            made = [d.expand((2, *d.batch_shape)) if len(d.batch_shape) < 2 else d for d in made]
            made = [MAKE[n][0](lib.distributions, lib, t(lib, 0.5, -0.2, 0.1, 0.8)[:2].repeat(2)) for n in (p, q)]
            made = [d if tuple(d.batch_shape) == (2,) else lib.distributions.Exponential(d.rate[:2]) for d in made]
        return lib.distributions.kl_divergence(*made)

    same(between(H), between(oracle()), names)


@pytest.mark.parametrize(
    "name",
    ["Normal", "Laplace", "Exponential", "Uniform", "LogNormal", "Tanh", "Gamma", "Cauchy", "Gumbel"]
    + ["Weibull", "Pareto", "HalfNormal", "HalfCauchy", "Kumaraswamy", "Mixture"],
)
def test_density_is_the_derivative_of_the_distribution(name):
    d = MAKE[name][0](D, H, t(H, 0.5, -0.2, 0.1, 0.8))
    x = H.tensor(MAKE[name][1], dtype=H.float64).requires_grad_()
    (slope,) = H.autograd.grad(d.cdf(x).sum(), x)
    same(slope, d.log_prob(x).exp(), "density")


@pytest.mark.parametrize(
    "name",
    ["Normal", "Laplace", "Exponential", "Uniform", "LogNormal", "Bernoulli", "Poisson", "Gamma", "Chi2", "Beta"]
    + ["Dirichlet", "Gumbel", "Weibull", "HalfNormal", "Geometric", "Binomial", "Binomial-logits", "NegativeBinomial"]
    + ["Multinomial", "Kumaraswamy", "Mixture", "Mixture-events"],
)
def test_moments_of_samples(name):
    d = MAKE[name][0](D, H, t(H, 0.5, -0.2, 0.1, 0.3))
    drawn = d.sample((40000,))
    error = (drawn.mean(0) - d.mean).abs() / (d.stddev / 200)
    assert (error < 5).all()
    if name not in ("LogNormal", "NegativeBinomial", "Geometric", "Chi2"):  # where four powers converge slowly
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
    "gamma": lambda D, lib: D.Gamma(t(lib, 0.0), 1.0),
    "concentration": lambda D, lib: D.Dirichlet(lib.tensor(1.0)),
    "count": lambda D, lib: D.Binomial(-1, t(lib, 0.5)),
    "support": lambda D, lib: D.Beta(1.0, 1.0).log_prob(lib.tensor(2.0)),
    "none": lambda D, lib: D.Geometric(),
    "certain": lambda D, lib: D.Geometric(t(lib, 0.0)),
    "mixture": lambda D, lib: D.MixtureSameFamily(D.Categorical(lib.ones(2)), D.Normal(lib.zeros(3), 1.0)),
    "registry": lambda D, lib: D.biject_to(D.constraints.boolean),
    "low rank": lambda D, lib: D.LowRankMultivariateNormal(lib.zeros(2), lib.ones(3, 1), lib.ones(2)),
    "low rank batch": lambda D, lib: D.LowRankMultivariateNormal(lib.zeros(2, 2), lib.ones(3, 2, 1), lib.ones(2)),
    "covariance": lambda D, lib: D.MultivariateNormal(lib.zeros(2), lib.tensor([[1.0, 2.0], [2.0, 1.0]])),
    "correlation": lambda D, lib: D.LKJCholesky(1),
    "freedom": lambda D, lib: D.Wishart(lib.tensor(0.5), lib.eye(2)),
    "no factor": lambda D, lib: D.Wishart(lib.tensor(3.0)),
    "angle": lambda D, lib: D.VonMises(lib.tensor(0.0), lib.tensor(-1.0)),
    "grey": lambda D, lib: D.ContinuousBernoulli(probs=1.5, validate_args=True),
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


def test_von_mises():
    """torch's logarithms of Bessel functions have seven digits; the draws are the same."""
    torch = oracle()
    said = []
    for lib in (H, torch):
        k = t(lib, 1e-6, 0.3, 2.0, 50.0).requires_grad_()
        d = lib.distributions.VonMises(t(lib, 0.5), k)
        lib.manual_seed(5)
        value = t(lib, 0.1, -3.0, 2.0, 0.7)
        density = d.log_prob(value)
        (slope,) = lib.autograd.grad(density.sum(), k)
        said.append([d.sample((5,)), density, slope, d.mean, d.variance, d.expand((3, 4)).log_prob(value)])
    for mine, theirs in zip(*said, strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-6, atol=2e-6)
    x = H.linspace(-H.pi, H.pi, 20001, dtype=H.float64)
    for k in (0.1, 3.0, 40.0):  # the density integrates to 1
        assert abs(H.trapezoid(D.VonMises(t(H, 1.0), t(H, k)).log_prob(x).exp(), x).item() - 1) < 1e-10


@pytest.mark.parametrize("name", ["Gamma", "Beta", "Dirichlet", "StudentT", "Chi2", "Wishart", "LowRank"])
def test_gradients_of_samples_are_those_of_their_quantiles(name):
    """Against central differences of the distribution function: its value at a sample stays when parameters move."""
    p = t(H, 0.9, 0.4, 1.1, 0.8).requires_grad_()
    d = MAKE[name][0](D, H, p)
    H.manual_seed(0)
    drawn = d.rsample((3000,))
    (slope,) = H.autograd.grad(drawn.sum() / 3000, p, retain_graph=True)
    (wanted,) = H.autograd.grad(d.mean.sum(), p, allow_unused=True)
    spread = max(float(d.stddev.detach().max()), 1.0) * 0.2
    assert (slope - wanted).abs().max() < spread


def test_slopes_of_gamma_and_beta():
    a = H.tensor([0.3, 1.0, 4.0, 40.0, 900.0], dtype=H.float64).repeat_interleave(5)
    x = a * H.tensor([0.05, 0.5, 1.0, 1.5, 2.5], dtype=H.float64).repeat(5)
    step = 1e-5 * a
    for f, sign in ((H.special.gammainc, -1), (H.special.gammaincc, 1)):
        moved = sign * (f(a + step, x) - f(a - step, x)) / (2 * step)
        density = ((a - 1) * x.log() - x - a.lgamma()).exp()
        wanted = moved / density
        got = H._C._gamma_slope(a, x)
        where = (f(a, x) < 0.9) & (density > 1e-200)
        H.testing.assert_close(got[where], wanted[where], rtol=2e-5, atol=1e-9)
    # x ~ Beta(a, 1): I = x^a, so that dx/da = -x log(x) / a.
    x = H.tensor([1e-4, 0.1, 0.5, 0.9, 0.999], dtype=H.float64).repeat(4)
    a = H.tensor([0.2, 1.0, 7.0, 300.0], dtype=H.float64).repeat_interleave(5)
    got = H._C._dirichlet_slope(x, a, a + 1) * (1 - x)
    H.testing.assert_close(got, -x * x.log() / a, rtol=1e-11, atol=0)
    # x ~ Beta(a, 2): I = (a + 1) x^a - a x^(a + 1).
    moved = x**a * (1 - x + (a + 1 - a * x) * x.log())
    got = H._C._dirichlet_slope(x, a, a + 2) * (1 - x)
    density = a * (a + 1) * x ** (a - 1) * (1 - x)
    seen = density > 1e-200
    H.testing.assert_close(got[seen], (-moved / density)[seen], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "kind", "positive unit_interval real simplex lower_cholesky positive_definite less_than interval".split()
)
def test_transforms_to_constraints(kind):
    constraint = getattr(D.constraints, kind)
    constraint = {"less_than": lambda: constraint(2.0), "interval": lambda: constraint(-1.0, 3.0)}.get(
        kind, lambda: constraint
    )()
    x = H.tensor(np.random.default_rng(0).standard_normal((3, 3)))
    for registry in (D.transform_to, D.biject_to):
        try:
            transform = registry(constraint)
        except NotImplementedError:
            assert registry is D.biject_to and kind in ("lower_cholesky", "positive_definite")
            continue
        y = transform(x)
        assert constraint.check(y).all()
        back = transform(transform.inv(y))
        H.testing.assert_close(back, y)
        if registry is D.biject_to and kind not in ("simplex",):
            H.testing.assert_close(transform.inv(y), x)
            slopes = H.autograd.functional.jacobian(lambda x: transform(x).reshape(-1), x.reshape(-1)).diagonal()
            total = transform.log_abs_det_jacobian(x, y).sum()
            H.testing.assert_close(total, slopes.abs().log().sum())


def test_modules_of_torch():
    for name, module in {"Beta": "beta", "Chi2": "chi2", "StudentT": "studentT", "Binomial": "binomial"}.items():
        assert getattr(importlib.import_module(f"{D.__name__}.{module}"), name) is getattr(D, name)


def test_checks_can_be_left_out():
    assert D.Normal(0.0, -1.0, validate_args=False).scale == -1


@pytest.mark.skipif(not OURS, reason="our examples")
def test_examples():
    for name in D.__all__:
        module = importlib.import_module(getattr(getattr(D, name), "__module__", None) or D.__name__)
        assert not doctest.testmod(module, extraglobs={"H": H}).failed


def test_dependent_constraints():
    def own(lib):
        D, C = lib.distributions, lib.distributions.constraints

        class Above(D.Distribution):
            arg_constraints = {"low": C.dependent, "x": C.real}

            def __init__(self, low, x):
                self.low, self.x = low, x
                super().__init__(low.shape)

            @C.dependent_property(is_discrete=False, event_dim=0)
            def support(self):
                return C.greater_than(self.low)

            @C.dependent_property
            def other(self):
                return C.real

            def log_prob(self, value):
                self._validate_sample(value)
                return value * 0

        d = Above(lib.zeros(2), lib.ones(2))
        said = [repr(d.support), repr(Above.support), C.is_dependent(Above.support), C.is_dependent(d.support)]
        said += [d.log_prob(lib.ones(2)).tolist(), repr(d.other), Above.support.event_dim, repr(C.dependent)]
        said += [attempt(lambda: Above.other.event_dim)[0]]
        said += [attempt(lambda: d.log_prob(lib.zeros(2)))[0], attempt(lambda: C.dependent.check(lib.ones(1)))[0]]
        matrix = lib.tensor([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]])
        for kind in (C.square, C.symmetric, C.positive_semidefinite, C.positive_definite):
            said += [kind.check(matrix).tolist(), kind.check(lib.ones(2, 3)).tolist(), repr(kind)]
        return said

    ours = own(H)
    assert ours[2:4] == [True, False] and ours[10] is ValueError and ours[-3] == [True, False, False]
    assert ours == own(oracle())
