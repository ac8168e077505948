"""Kullback-Leibler divergences, by pairs of classes."""

import math

import hadamard as H

from .bernoulli import Bernoulli
from .categorical import Categorical
from .continuous_bernoulli import ContinuousBernoulli
from .counts import Binomial, Geometric
from .dirichlet import Beta, Dirichlet
from .exponential import Exponential
from .gamma import Gamma
from .half import HalfNormal
from .heavy_tailed import Cauchy, Gumbel, Pareto
from .independent import Independent, sum_rightmost
from .laplace import Laplace
from .log_normal import LogNormal
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform

__all__ = ["kl_divergence", "register_kl"]

_EULER = 0.57721566490153286061
_formulas: dict = {}


def register_kl(type_p, type_q):
    """Decorator: the function gives the divergence for p of type_p and q of type_q, and of their subclasses."""

    def decorator(function):
        _formulas[type_p, type_q] = function
        return function

    return decorator


def kl_divergence(p, q):
    """KL(p ‖ q) = ∫ p log(p / q), of shape batch_shape; NotImplementedError for a pair without a formula.

    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    found = [(a, b) for a, b in _formulas if isinstance(p, a) and isinstance(q, b)]
    if not found:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
        )
    nearest = min(found, key=lambda pair: (type(p).__mro__.index(pair[0]), type(q).__mro__.index(pair[1])))
    return _formulas[nearest](p, q)


@register_kl(Normal, Normal)
def _(p, q):
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _(p, q):
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Bernoulli, Bernoulli)
def _(p, q):
    softplus = H.nn.functional.softplus
    t1 = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    t2 = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return t1 + t2


@register_kl(Categorical, Categorical)
def _(p, q):
    t = p.probs * (p.logits - q.logits)
    t = t.masked_fill((q.probs == 0).expand(t.shape), math.inf)
    return t.masked_fill((p.probs == 0).expand(t.shape), 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p, q):
    return kl_divergence(p._categorical, q._categorical)


@register_kl(Exponential, Exponential)
def _(p, q):
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Laplace, Laplace)
def _(p, q):
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Poisson, Poisson)
def _(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return result.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p, q):
    parts = [d._log_norm() + H.log1p(-d.probs) for d in (p, q)]
    return p.mean * (p.logits - q.logits) + parts[0] - parts[1]


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Low Rank Multivariate Normals with                          different event "
            "shapes cannot be computed"
        )
    (W, D), (_, E), A = p._given, q._given, q._whitened()

    def square(x):
        return x.pow(2).sum((-1, -2))

    trace = (D / E).sum(-1) + square(W / E.sqrt().unsqueeze(-1))
    trace = trace - square(A * D.sqrt().unsqueeze(-2)) - square(A @ W)
    return 0.5 * (q._log_det() - p._log_det() + trace + q._mahalanobis(q.loc - p.loc) - p.event_shape[0])


@register_kl(MultivariateNormal, MultivariateNormal)
def _(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be computed"
        )
    ratio = H.linalg.solve_triangular(
        q._factor, p._factor.expand(H.broadcast_shapes(p._factor.shape, q._factor.shape)), upper=False
    )
    trace = ratio.pow(2).flatten(-2).sum(-1)
    return q._half_log_det() - p._half_log_det() + 0.5 * (trace + q._mahalanobis(q.loc - p.loc) - p.event_shape[0])


@register_kl(Independent, Independent)
def _(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Gamma, Gamma)
def _(p, q):
    t1 = q.concentration * (p.rate / q.rate).log()
    t2 = H.lgamma(q.concentration) - H.lgamma(p.concentration)
    t3 = (p.concentration - q.concentration) * H.digamma(p.concentration)
    return t1 + t2 + t3 + (q.rate - p.rate) * (p.concentration / p.rate)


@register_kl(Exponential, Gamma)
def _(p, q):
    ratio = q.rate / p.rate
    t1 = -q.concentration * H.log(ratio)
    return t1 + ratio + H.lgamma(q.concentration) + q.concentration * _EULER - (1 + _EULER)


@register_kl(Gamma, Exponential)
def _(p, q):
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Dirichlet, Dirichlet)
def _(p, q):
    a, b = p.concentration, q.concentration
    t1 = a.sum(-1).lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return t1 + ((a - b) * (a.digamma() - a.sum(-1, keepdim=True).digamma())).sum(-1)


@register_kl(Beta, Beta)
def _(p, q):
    return kl_divergence(p._dirichlet, q._dirichlet)


@register_kl(Cauchy, Cauchy)
def _(p, q):
    near = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return near.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _(p, q):
    ratio, here, there = p.scale / q.scale, p.loc / q.scale, q.loc / q.scale
    t1 = -ratio.log() - there + here
    return t1 + ratio * _EULER + H.exp(there + (1 + ratio).lgamma() - here) - (1 + _EULER)


@register_kl(Pareto, Pareto)
def _(p, q):
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return result.masked_fill(p.scale < q.scale, math.inf)


@register_kl(HalfNormal, HalfNormal)
def _(p, q):
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Geometric, Geometric)
def _(p, q):
    return -p.entropy() - H.log1p(-q.probs) / p.probs - q.logits


@register_kl(Binomial, Binomial)
def _(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return kl.masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Normal, Laplace)
def _(p, q):
    away, ratio = p.loc - q.loc, p.scale / q.scale
    z = away / p.scale
    t1, t2 = H.log(ratio), math.sqrt(2 / math.pi) * p.scale * H.exp(-0.5 * z.pow(2))
    t3 = away * H.erf(math.sqrt(0.5) * z)
    return -t1 + (t2 + t3) / q.scale - (0.5 * (1 + math.log(0.5 * math.pi)))


@register_kl(Laplace, Normal)
def _(p, q):
    variance, ratio = q.scale.pow(2), (p.scale / q.scale).pow(2)
    t1 = 0.5 * H.log(2 * ratio / math.pi)
    t2, t3 = 0.5 * p.loc.pow(2), p.loc * q.loc
    return -t1 + ratio + (t2 - t3 + 0.5 * q.loc.pow(2)) / variance - 1


@register_kl(Uniform, Normal)
def _(p, q):
    width = p.high - p.low
    t1 = (math.sqrt(math.pi * 2) * q.scale / width).log()
    t2 = width.pow(2) / 12
    return t1 + 0.5 * (t2 + ((p.high + p.low - 2 * q.loc) / 2).pow(2)) / q.scale.pow(2)


@register_kl(Exponential, Normal)
def _(p, q):
    variance, square = q.scale.pow(2), p.rate.pow(2)
    t1 = 0.5 * H.log(square * variance * 2 * math.pi)
    return t1 - 1 + (square.reciprocal() - q.loc / p.rate + q.loc.pow(2) / 2) / variance


@register_kl(Gamma, Normal)
def _(p, q):
    variance, ratio = q.scale.pow(2), p.concentration / p.rate
    t1 = 0.5 * H.log(p.rate.pow(2) * variance * 2 * math.pi) - p.concentration
    t2 = 0.5 * (ratio.pow(2) + p.concentration / p.rate.pow(2)) - q.loc * ratio + 0.5 * q.loc.pow(2)
    return t1 + (p.concentration - 1) * p.concentration.digamma() - p.concentration.lgamma() + t2 / variance


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)
