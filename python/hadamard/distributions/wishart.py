"""Random covariance matrices."""

import math
import warnings

import hadamard as H

from . import constraints
from .distribution import Distribution
from .gamma import Chi2
from .utils import lazy_property, only_one

__all__ = ["Wishart"]


class Wishart(Distribution):
    """Sums of `df` matrices z zᵀ of normal vectors z with covariance Σ: |X|^((df-p-1)/2) exp(-½ tr(Σ⁻¹ X)) / norm.

    Σ (…, p, p) is given as covariance, as its inverse, or by its Cholesky factor; df > p - 1 need not be whole.

    >>> Wishart(H.tensor(3.0), H.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True

    @property
    def arg_constraints(self):
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        name, matrix = only_one(
            AssertionError,
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        number = isinstance(df, (int, float))
        batch = matrix.shape[:-2] if number else H.broadcast_shapes(matrix.shape[:-2], df.shape)
        self.df = H.tensor(df, dtype=matrix.dtype) if number else df.expand(batch)
        p = matrix.shape[-1]
        if (self.df <= p - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {p - 1}.")
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        if (self.df < p).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch, matrix.shape[-2:], validate_args=validate_args)
        if name == "scale_tril":
            self._factor = matrix
        else:
            self._factor = H.distributions.MultivariateNormal(
                matrix.new_zeros(p), **{name: matrix}, validate_args=False
            ).scale_tril

    def expand(self, batch_shape, _instance=None):
        square = H.Size((*batch_shape, *self.event_shape))
        names = ("covariance_matrix", "precision_matrix", "scale_tril")
        given = {name: self.__dict__[name].expand(square) for name in names if name in self.__dict__}
        return self._like(batch_shape, df=self.df.expand(batch_shape), _factor=self._factor.expand(square), **given)

    @lazy_property
    def scale_tril(self):
        return self._factor.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self):
        return (self._factor @ self._factor.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self):
        return H.cholesky_inverse(self._factor).expand(self._batch_shape + self._event_shape)

    def _times(self, factor):
        return factor.expand(self._batch_shape).unsqueeze(-1).unsqueeze(-1)

    @property
    def mean(self):
        return self._times(self.df) * self.covariance_matrix

    @property
    def mode(self):
        factor = self.df - self._event_shape[-1] - 1
        return self._times(factor.masked_fill(factor <= 0, math.nan)) * self.covariance_matrix

    @property
    def variance(self):
        V = self.covariance_matrix
        diagonal = V.diagonal(dim1=-2, dim2=-1)
        return self._times(self.df) * (V.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _draw(self, sample_shape):
        """Bartlett's decomposition: the Cholesky factor has √χ² on its diagonal, normal numbers below it."""
        p, dtype = self._event_shape[-1], self._factor.dtype
        freedom = self.df.unsqueeze(-1) - H.arange(p, dtype=dtype)
        diagonal = Chi2(freedom.expand((*self._batch_shape, p)), validate_args=False).rsample(sample_shape).sqrt()
        noise = H.diag_embed(diagonal.clamp(min=H.finfo(dtype).eps))
        i, j = H.tril_indices(p, p, offset=-1)
        noise[..., i, j] = H.randn((*sample_shape, *self._batch_shape, p * (p - 1) // 2), dtype=dtype)
        factor = self._factor @ noise
        return factor @ factor.mT

    def rsample(self, sample_shape=(), max_try_correction=10):
        sample_shape = H.Size(sample_shape)
        sample = self._draw(sample_shape)

        def over_batch(mask):  # one answer for the batch
            return mask.flatten(-len(self._batch_shape)).any(-1) if self._batch_shape else mask

        # torch draws again what is positive definite (it means the opposite): the numbers of a seed depend on it.
        again = over_batch(self.support.check(sample))
        for _ in range(max_try_correction if again.any() else 0):
            fresh = self._draw(again[again].shape)
            sample[again] = fresh
            drawn, again = again, again.clone()  # backward reads the mask
            again[drawn] = over_batch(~self.support.check(fresh))
            if not again.any():
                break
        return sample

    def _half_log_det(self):
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        df, p = self.df, self._event_shape[-1]
        inverse = H.cholesky_solve(value, self._factor.expand((*value.shape[:-2], -1, -1)))
        trace = inverse.diagonal(dim1=-2, dim2=-1).sum(-1)
        return (
            -df * (p * math.log(2) / 2 + self._half_log_det())
            - H.mvlgamma(df / 2, p)
            + (df - p - 1) / 2 * H.linalg.slogdet(value).logabsdet
            - trace / 2
        )

    def entropy(self):
        df, p = self.df, self._event_shape[-1]
        digammas = H.digamma(df.unsqueeze(-1) / 2 - H.arange(p, dtype=df.dtype) / 2).sum(-1)
        return (
            (p + 1) * (p * math.log(2) / 2 + self._half_log_det())
            + H.mvlgamma(df / 2, p)
            - (df - p - 1) / 2 * digammas
            + df * p / 2
        )
