"""Ready parametrisations: orthogonal matrices, weights of spectral norm 1, weights as length times direction."""

import hadamard as H

from ..functional import normalize
from ..modules.module import Module
from .parametrize import register_parametrization
from .weight_norm import _length

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _weight(module, name):
    weight = getattr(module, name, None)
    if not isinstance(weight, H.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / _length(weight_v, self.dim))

    def right_inverse(self, weight):
        return _length(weight, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """The weight as original0, its length for each index of `dim`, times the direction original1. Returns the module.

    >>> import hadamard as H
    >>> sorted(weight_norm(H.nn.Linear(2, 3)).state_dict())
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def older(module, state, prefix, *_):
        g, v = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if g in state and v in state:
            state[f"{prefix}parametrizations.{name}.original0"] = state.pop(g)
            state[f"{prefix}parametrizations.{name}.original1"] = state.pop(v)

    module.register_load_state_dict_pre_hook(older)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if not -weight.dim() <= dim < weight.dim():
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.dim()}, {weight.dim() - 1}] but got "
                f"{dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.dim()
        self.eps = eps
        if weight.dim() > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            rows, columns = matrix.size()
            self.register_buffer("_u", normalize(weight.new_empty(rows).normal_(0, 1), dim=0, eps=eps).detach())
            self.register_buffer("_v", normalize(weight.new_empty(columns).normal_(0, 1), dim=0, eps=eps).detach())
            self._improve(matrix, 15)

    def _matrix(self, weight):
        return (weight if self.dim == 0 else weight.movedim(self.dim, 0)).flatten(1)

    def _improve(self, matrix, times):
        with H.no_grad():
            for _ in range(times):
                self._u.copy_(normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.T.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.dim() == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._improve(matrix, self.n_power_iterations)
        # The next iteration writes into the buffers; the graph keeps these.
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """The weight divided by its largest singular value, found by power iteration in training. Returns the module.

    >>> import hadamard as H
    >>> layer = spectral_norm(H.nn.Linear(20, 40))
    >>> H.linalg.matrix_norm(layer.weight.detach(), 2).round(decimals=1)
    tensor(1.)
    """
    weight = _weight(module, name)
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


class _Orthogonal(Module):
    def __init__(self, weight, orthogonal_map, use_trivialization):
        super().__init__()
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        n, k = X.size(-2), X.size(-1)
        wide = n < k
        if wide:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            raise NotImplementedError('orthogonal_map="householder" is not there; "matrix_exp" and "cayley" are')
        X = X.tril()
        if n != k:
            X = H.cat([X, X.new_zeros(n, n - k).expand(*X.shape[:-2], -1, -1)], dim=-1)
        skew = X - X.mH
        if self.orthogonal_map == "matrix_exp":
            Q = H.linalg.matrix_exp(skew)
        else:
            unit = H.eye(n, dtype=X.dtype)
            Q = H.linalg.solve(H.add(unit, skew, alpha=-0.5), H.add(unit, skew, alpha=0.5))
        if n != k:
            Q = Q[..., :k]
        base = getattr(self, "base", None)
        if base is not None:
            Q = base @ Q
        return Q.mT if wide else Q

    def right_inverse(self, Q):
        if getattr(self, "base", False) is False:
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        Q = Q.detach()
        n, k = Q.size(-2), Q.size(-1)
        wide = n < k
        if wide:
            Q, n, k = Q.mT, k, n
        if n == k:
            near = Q.mT @ Q
            eps = 10 * n * H.finfo(Q.dtype).eps
            orthogonal = H.allclose(near, H.eye(n, dtype=Q.dtype), atol=eps)
            base = Q.clone() if orthogonal else _orthonormal(Q)
        else:
            # The columns that are missing are random ones, made orthogonal to those that are there.
            more = H.randn(*Q.shape[:-2], n, n - k, dtype=Q.dtype)
            base = _orthonormal(H.cat([Q, more], dim=-1))
        self.base = base
        # The original becomes minus the identity, at which the map gives the identity: Q is base.
        start = H.zeros_like(Q)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start.mT if wide else start


def _orthonormal(A):
    Q, R = H.linalg.qr(A)
    return Q * R.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """The weight as an orthogonal matrix (orthonormal rows where it is wide). Returns the module.

    orthogonal_map: "matrix_exp" (the default for square ones) or "cayley", of a skew matrix.

    >>> import hadamard as H
    >>> weight = orthogonal(H.nn.Linear(3, 3)).weight
    >>> H.allclose(weight @ weight.T, H.eye(3), atol=1e-6)
    True
    """
    weight = _weight(module, name)
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.size(-2) == weight.size(-1) else "cayley"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
