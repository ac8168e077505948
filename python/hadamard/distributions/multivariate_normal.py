"""The normal distribution of vectors."""

import math

import hadamard as H

from . import constraints
from .distribution import Distribution
from .utils import lazy_property, only_one

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """exp(-½ (x - loc)ᵀ Σ⁻¹ (x - loc)) / √|2πΣ|, with Σ given as covariance, as its inverse, or by its Cholesky factor.

    >>> MultivariateNormal(H.zeros(2), H.eye(2)).log_prob(H.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = only_one(
            ValueError,
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch = H.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        matrix = matrix.expand((*batch, -1, -1))
        setattr(self, name, matrix)
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._factor = matrix
        elif name == "covariance_matrix":
            self._factor = H.linalg.cholesky(matrix)
        else:  # the factor of the inverse, from the factor of the reversed matrix
            reverse = H.linalg.cholesky(matrix.flip((-2, -1))).flip((-2, -1)).mT
            unit = H.eye(loc.shape[-1], dtype=loc.dtype)
            self._factor = H.linalg.solve_triangular(reverse, unit, upper=False)

    @lazy_property
    def scale_tril(self):
        return self._factor

    @lazy_property
    def covariance_matrix(self):
        return self._factor @ self._factor.mT

    @lazy_property
    def precision_matrix(self):
        return H.linalg.inv(self._factor @ self._factor.mT)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return self._factor.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def expand(self, batch_shape, _instance=None):
        n = self.event_shape[0]
        square = H.Size((*batch_shape, n, n))
        given = {
            name: self.__dict__[name].expand(square)
            for name in self.arg_constraints
            if name in self.__dict__ and name != "loc"
        }
        return self._like(
            batch_shape, loc=self.loc.expand((*batch_shape, n)), _factor=self._factor.expand(square), **given
        )

    def rsample(self, sample_shape=()):
        shape, dtype = self._extended_shape(sample_shape), self.loc.dtype
        noise = H.normal(H.zeros(shape, dtype=dtype), H.ones(shape, dtype=dtype))
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self):
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def _mahalanobis(self, away):
        factor = self._factor.expand((*H.broadcast_shapes(away.shape[:-1], self._factor.shape[:-2]), -1, -1))
        solved = H.linalg.solve_triangular(factor, away.expand(factor.shape[:-1]).unsqueeze(-1), upper=False)
        return solved.squeeze(-1).pow(2).sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        distance = self._mahalanobis(value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self):
        result = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
        return result.expand(self._batch_shape)
