"""Cholesky factors of random correlation matrices."""

import math

import hadamard as H

from . import constraints
from .dirichlet import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors L (dim, dim) of correlation matrices, whose density is |L Lᵀ|^(concentration - 1).

    At concentration 1 all correlation matrices are equally likely. Samples are made row by row on half spheres: the
    onion method of Lewandowski, Kurowicka and Joe, Generating random correlation matrices, 2009.

    >>> L = LKJCholesky(3, 0.5).sample()
    >>> H.testing.assert_close((L @ L.T).diagonal(), H.ones(3))
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # Of row i > 0, the squared length below the diagonal is Beta(i / 2, concentration + (dim - 1 - i) / 2).
        rows = H.arange(dim - 1, dtype=self.concentration.dtype)
        rows = H.cat([rows.new_zeros((1,)), rows])
        self._beta = Beta(rows + 0.5, (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * rows)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._like(
            batch_shape,
            dim=self.dim,
            concentration=self.concentration.expand(batch_shape),
            _beta=self._beta.expand((*batch_shape, self.dim)),
        )

    def sample(self, sample_shape=()):
        with H.no_grad():
            length = self._beta.sample(sample_shape).unsqueeze(-1).sqrt()
            below = H.randn(self._extended_shape(sample_shape), dtype=length.dtype).tril(-1)
            below = below / below.norm(dim=-1, keepdim=True)
            below[..., 0, :].fill_(0.0)  # 0 / 0
            below = length * below
            rest = (1 - below.pow(2).sum(-1)).clamp(min=H.finfo(below.dtype).tiny)
            return below + H.diag_embed(rest.sqrt())

    def log_prob(self, value):
        self._validate_sample(value)
        # |L Lᵀ| = Π Lᵢᵢ², and the volume of correlations over that of factors is Π Lᵢᵢ^(dim - i), i from 1.
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - H.arange(2, self.dim + 1)
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        norm = 0.5 * n * math.log(math.pi) + H.mvlgamma(alpha - 0.5, n) - H.lgamma(alpha) * n
        return (order * diagonal.log()).sum(-1) - norm
