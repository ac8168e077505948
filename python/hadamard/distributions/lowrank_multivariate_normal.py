"""The normal distribution of vectors whose covariance is a diagonal and a product of thin matrices."""

import math

import hadamard as H

from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """MultivariateNormal with covariance W Wᵀ + D: W = cov_factor (…, n, rank), D = cov_diag (…, n) on the diagonal.

    Determinant and inverse are those of C = I + Wᵀ D⁻¹ W, which is rank × rank: |W Wᵀ + D| = |C| |D|, and
    (W Wᵀ + D)⁻¹ = D⁻¹ - D⁻¹ W C⁻¹ Wᵀ D⁻¹ (Woodbury).

    >>> LowRankMultivariateNormal(H.zeros(2), H.tensor([[1.0], [0.0]]), H.ones(2)).covariance_matrix
    tensor([[2., 0.],
            [0., 1.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        try:
            batch = H.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc = loc.expand((*batch, -1))
        self.cov_factor = cov_factor.expand((*batch, -1, -1))
        self.cov_diag = cov_diag.expand((*batch, -1))
        self._given = cov_factor, cov_diag  # not broadcast: the factor of C is made once
        scaled = cov_factor.mT / cov_diag.unsqueeze(-2)
        unit = H.eye(cov_factor.shape[-1], dtype=cov_factor.dtype)
        self._factor = H.linalg.cholesky(unit + scaled @ cov_factor)
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        shape = (*batch_shape, *self.event_shape)
        return self._like(
            batch_shape,
            loc=self.loc.expand(shape),
            cov_factor=self.cov_factor.expand((*shape, -1)),
            cov_diag=self.cov_diag.expand(shape),
            _given=self._given,
            _factor=self._factor,
        )

    @property
    def mean(self):
        return self.loc

    mode = mean

    @lazy_property
    def variance(self):
        W, D = self._given
        return (W.pow(2).sum(-1) + D).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self):
        W, D = self._given
        return self._square(W @ W.mT + H.diag_embed(D))

    @lazy_property
    def scale_tril(self):
        # √D (I + D^-½ W Wᵀ D^-½) √D: the eigenvalues in the middle are at least 1.
        W, D = self._given
        scaled = W / D.sqrt().unsqueeze(-1)
        unit = H.eye(D.shape[-1], dtype=D.dtype)
        return self._square(D.sqrt().unsqueeze(-1) * H.linalg.cholesky(unit + scaled @ scaled.mT))

    @lazy_property
    def precision_matrix(self):
        _, D = self._given
        A = self._whitened()
        return self._square(H.diag_embed(1 / D) - A.mT @ A)

    def _square(self, matrix):
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    def _whitened(self):
        """A with Aᵀ A = D⁻¹ W C⁻¹ Wᵀ D⁻¹."""
        W, D = self._given
        return H.linalg.solve_triangular(self._factor, W.mT / D.unsqueeze(-2), upper=False)

    def rsample(self, sample_shape=()):
        W, D = self._given
        shape, dtype = self._extended_shape(sample_shape), self.loc.dtype
        thin = (*shape[:-1], W.shape[-1])
        along = H.normal(H.zeros(thin, dtype=dtype), H.ones(thin, dtype=dtype))
        alone = H.normal(H.zeros(shape, dtype=dtype), H.ones(shape, dtype=dtype))
        return self.loc + (W @ along.unsqueeze(-1)).squeeze(-1) + D.sqrt() * alone

    def _log_det(self):
        return 2 * self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self._given[1].log().sum(-1)

    def _mahalanobis(self, away):
        _, D = self._given
        inner = (self._whitened() @ away.unsqueeze(-1)).squeeze(-1)
        return (away.pow(2) / D).sum(-1) - inner.pow(2).sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        distance = self._mahalanobis(value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self):
        result = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return result.expand(self._batch_shape)
