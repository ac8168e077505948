"""Functions that can be inverted, with the logarithm of their derivative: what turns one distribution into another."""

import math

import hadamard as H

from . import constraints
from .independent import sum_rightmost

__all__ = [
    "AffineTransform",
    "ComposeTransform",
    "ExpTransform",
    "PowerTransform",
    "SigmoidTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]


class Transform:
    """y = t(x), x = t.inv(y), and t.log_abs_det_jacobian(x, y) = log |dy/dx|."""

    bijective = True
    domain: constraints.Constraint = constraints.real
    codomain: constraints.Constraint = constraints.real
    sign = 1

    def __init__(self, cache_size=0):
        self._cache_size = cache_size
        self._last = None, None

    def __call__(self, x):
        if not self._cache_size:
            return self._call(x)
        # The inverse of what was just computed is what it was computed from: exact, where atanh(tanh(x)) is not.
        if x is not self._last[0]:
            self._last = x, self._call(x)
        return self._last[1]

    def _inv_call(self, y):
        if self._cache_size and y is self._last[1]:
            return self._last[0]
        x = self._inverse(y)
        if self._cache_size:
            self._last = x, y
        return x

    @property
    def inv(self):
        """The transform from y to x."""
        return _Inverse(self)

    def _call(self, x):
        raise NotImplementedError

    def _inverse(self, y):
        raise NotImplementedError

    def log_abs_det_jacobian(self, x, y):
        """log |dy/dx|, element by element, or summed over the dimensions of an event."""
        raise NotImplementedError

    def forward_shape(self, shape):
        return shape

    def inverse_shape(self, shape):
        return shape

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = object.__hash__

    def __repr__(self):
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, of):
        super().__init__()
        self._of, self.domain, self.codomain, self.sign = of, of.codomain, of.domain, of.sign

    @property
    def inv(self):
        return self._of

    def __call__(self, x):
        return self._of._inv_call(x)

    def _inv_call(self, y):
        return self._of(y)

    def log_abs_det_jacobian(self, x, y):
        return -self._of.log_abs_det_jacobian(y, x)

    def __repr__(self):
        return f"_InverseTransform({self._of!r})"


class ComposeTransform(Transform):
    """The parts one after the other; of none, the identity."""

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)

    @property
    def domain(self):  # type: ignore[override]
        return self.parts[0].domain if self.parts else constraints.real

    @property
    def codomain(self):  # type: ignore[override]
        return self.parts[-1].codomain if self.parts else constraints.real

    def _call(self, x):
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y):
        for part in reversed(self.parts):
            y = part._inv_call(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        if not self.parts:
            return H.zeros_like(x)
        total, dims = 0, max(max(part.domain.event_dim, part.codomain.event_dim) for part in self.parts)
        for i, part in enumerate(self.parts):
            following = y if i == len(self.parts) - 1 else part(x)
            one = part.log_abs_det_jacobian(x, following)
            total = total + sum_rightmost(one, dims - part.domain.event_dim)
            x = following
        return total

    def __eq__(self, other):
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__

    def __repr__(self):
        return "ComposeTransform(\n    " + ",\n    ".join(map(repr, self.parts)) + "\n)"


identity_transform = ComposeTransform([])


class ExpTransform(Transform):
    """y = exp(x)."""

    codomain = constraints.positive

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        return x


class PowerTransform(Transform):
    """y = x ** exponent, of positive x."""

    domain = codomain = constraints.positive

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        self.exponent = exponent if isinstance(exponent, H.Tensor) else H.tensor(float(exponent))

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x)), kept away from 0 and 1."""

    codomain = constraints.unit_interval

    def _call(self, x):
        about = H.finfo(x.dtype)
        return H.clamp(H.sigmoid(x), min=about.tiny, max=1.0 - about.eps)

    def _inverse(self, y):
        about = H.finfo(y.dtype)
        y = y.clamp(min=about.tiny, max=1.0 - about.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        return -H.nn.functional.softplus(-x) - H.nn.functional.softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + exp(x))."""

    codomain = constraints.positive

    def _call(self, x):
        return H.nn.functional.softplus(x)

    def _inverse(self, y):
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        return -H.nn.functional.softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x).

    >>> TanhTransform().inv(TanhTransform()(H.tensor(0.5)))
    tensor(0.5000)
    """

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        # log(1 - tanh(x)²) without cancellation
        return 2.0 * (math.log(2.0) - x - H.nn.functional.softplus(-2.0 * x))


class AffineTransform(Transform):
    """y = loc + scale · x; event_dim of the last dimensions belong together."""

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self):  # type: ignore[override]
        return self.scale.sign() if isinstance(self.scale, H.Tensor) else (self.scale > 0) - (self.scale < 0)

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        scale = self.scale
        if not isinstance(scale, H.Tensor):
            scale = H.full_like(x, abs(scale))
        return sum_rightmost(scale.abs().log().expand(x.shape), self.event_dim)

    def __eq__(self, other):
        return (
            isinstance(other, AffineTransform)
            and bool(H.as_tensor(self.loc == other.loc).all())
            and bool(H.as_tensor(self.scale == other.scale).all())
        )

    __hash__ = object.__hash__
