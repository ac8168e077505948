"""Probability distributions with sampling, densities and gradients, under torch.distributions' names."""

import sys as _sys

from . import constraints, transforms
from .bernoulli import Bernoulli
from .categorical import Categorical
from .constraint_registry import biject_to, transform_to
from .continuous_bernoulli import ContinuousBernoulli
from .counts import Binomial, Geometric, Multinomial, NegativeBinomial
from .dirichlet import Beta, Dirichlet, Kumaraswamy, LogisticNormal
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Chi2, FisherSnedecor, Gamma, InverseGamma
from .half import HalfCauchy, HalfNormal
from .heavy_tailed import Cauchy, Gumbel, Pareto, StudentT, Weibull
from .independent import Independent
from .kl import kl_divergence, register_kl
from .laplace import Laplace
from .lkj_cholesky import LKJCholesky
from .log_normal import LogNormal
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal
from .normal import Normal
from .one_hot_categorical import OneHotCategorical, OneHotCategoricalStraightThrough
from .poisson import Poisson
from .relaxed import MixtureSameFamily, RelaxedBernoulli, RelaxedOneHotCategorical
from .transformed_distribution import TransformedDistribution
from .transforms import *  # noqa: F403
from .uniform import Uniform
from .von_mises import VonMises
from .wishart import Wishart

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ContinuousBernoulli",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "FisherSnedecor",
    "Gamma",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "InverseGamma",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "LogNormal",
    "LowRankMultivariateNormal",
    "MixtureSameFamily",
    "LogisticNormal",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "StudentT",
    "TransformedDistribution",
    "Uniform",
    "VonMises",
    "Weibull",
    "Wishart",
    "biject_to",
    "constraints",
    "kl_divergence",
    "register_kl",
    "transform_to",
]
__all__ += transforms.__all__

# Programs import some of them from modules of torch that are one with others here.
_MODULES = {
    "counts": "binomial geometric multinomial negative_binomial",
    "dirichlet": "beta kumaraswamy logistic_normal",
    "gamma": "chi2 fishersnedecor inverse_gamma",
    "half": "half_cauchy half_normal",
    "heavy_tailed": "cauchy gumbel pareto studentT weibull",
    "relaxed": "mixture_same_family relaxed_bernoulli relaxed_categorical",
}
for _ours, _theirs in _MODULES.items():
    for _name in _theirs.split():
        globals()[_name] = _sys.modules[f"{__name__}.{_name}"] = _sys.modules[f"{__name__}.{_ours}"]
