"""Which values parameters and samples may have: each constraint's check() tells it element by element."""

import hadamard as H

__all__ = [
    "Constraint",
    "positive_semidefinite",
    "symmetric",
    "square",
    "is_dependent",
    "dependent_property",
    "dependent",
    "MixtureSameFamilyConstraint",
    "boolean",
    "corr_cholesky",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "less_than",
    "lower_cholesky",
    "lower_triangular",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_integer",
    "real",
    "real_vector",
    "simplex",
    "unit_interval",
]


class Constraint:
    """A set of values; event_dim of the last dimensions are checked together."""

    is_discrete = False
    event_dim = 0
    _bounds: tuple = ()

    def check(self, value):
        """A bool tensor: which of the values (or events) fit."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__.lstrip('_')}({', '.join(f'{n}={getattr(self, n)}' for n in self._bounds)})"


class _Real(Constraint):
    def check(self, value):
        return value == value


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _GreaterThan(Constraint):
    _bounds = ("lower_bound",)

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound < value


class _GreaterThanEq(_GreaterThan):
    def check(self, value):
        return self.lower_bound <= value


class _IntegerGreaterThan(_GreaterThan):
    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & (value >= self.lower_bound)


class _LessThan(Constraint):
    _bounds = ("upper_bound",)

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return value < self.upper_bound


class _Interval(Constraint):
    _bounds = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Interval):
    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _IntegerInterval(_Interval):
    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value):
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class _LowerCholesky(Constraint):
    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1)


class _CorrCholesky(_LowerCholesky):
    def check(self, value):
        tolerance = H.finfo(value.dtype).eps * value.shape[-1] * 10
        unit = ((H.linalg.vector_norm(value, dim=-1) - 1).abs() <= tolerance).all(-1)
        return super().check(value) & unit


class _Square(Constraint):
    event_dim = 2

    def check(self, value):
        return H.full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=H.bool)


class _Symmetric(_Square):
    def check(self, value):
        square = super().check(value)
        return H.isclose(value, value.mT, atol=1e-6).all(-2).all(-1) if bool(square.all()) else square


class _PositiveSemidefinite(_Symmetric):
    def check(self, value):
        symmetric = super().check(value)
        return (H.linalg.eigvalsh(value) >= 0).all(-1) if bool(symmetric.all()) else symmetric


class _PositiveDefinite(_Symmetric):
    def check(self, value):
        symmetric = super().check(value)
        return H.linalg.cholesky_ex(value).info == 0 if bool(symmetric.all()) else symmetric


class _Dependent(Constraint):
    """A constraint that only an instance can tell, since it depends on other parameters."""

    def __init__(self, *, is_discrete=None, event_dim=None):
        self._known = {"is_discrete": is_discrete, "event_dim": event_dim}

    def _ask(self, name):
        if self._known[name] is None:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return self._known[name]

    @property
    def is_discrete(self):  # type: ignore[override]
        return self._ask("is_discrete")

    @property
    def event_dim(self):  # type: ignore[override]
        return self._ask("event_dim")

    def __call__(self, *, is_discrete=None, event_dim=None):
        given = {"is_discrete": is_discrete, "event_dim": event_dim}
        return _Dependent(**{name: self._known[name] if value is None else value for name, value in given.items()})

    def check(self, value):
        raise ValueError("Cannot determine validity of dependent constraint")


class _DependentProperty(property, _Dependent):
    """A property that gives a constraint; of the class, it is a dependent one. Also made with is_discrete, event_dim.

    >>> class Above:
    ...     low = 2.0
    ...
    ...     @dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return greater_than(self.low)
    >>> is_dependent(Above.support), Above().support
    (True, GreaterThan(lower_bound=2.0))
    """

    def __init__(self, fn=None, *, is_discrete=None, event_dim=None):
        super().__init__(fn)
        self._known = {"is_discrete": is_discrete, "event_dim": event_dim}

    def __call__(self, fn):  # type: ignore[override]
        return _DependentProperty(fn, **self._known)


def is_dependent(constraint):
    """Whether only an instance can tell what the constraint is.

    >>> is_dependent(dependent), is_dependent(real)
    (True, False)
    """
    return isinstance(constraint, _Dependent)


class _IndependentConstraint(Constraint):
    """`base_constraint`, with so many more dimensions checked together."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value):
        good = self.base_constraint.check(value)
        n = self.reinterpreted_batch_ndims
        return good.reshape(good.shape[: good.dim() - n] + (-1,)).all(-1)

    def __repr__(self):
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """What all components of a mixture can give."""

    def __init__(self, base_constraint):
        self.base_constraint, self.is_discrete = base_constraint, base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim

    def check(self, value):
        good = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return good.reshape(good.shape[: value.dim() - self.event_dim] + (-1,)).all(-1)

    def __repr__(self):
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


dependent = _Dependent()
dependent_property = _DependentProperty
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
real = _Real()
boolean = _Boolean()
one_hot = _OneHot()
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
unit_interval = _Interval(0.0, 1.0)
simplex = _Simplex()
lower_cholesky = _LowerCholesky()
lower_triangular = _LowerTriangular()
corr_cholesky = _CorrCholesky()
positive_definite = _PositiveDefinite()
independent = _IndependentConstraint
real_vector = independent(real, 1)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
interval = _Interval
half_open_interval = _HalfOpenInterval
integer_interval = _IntegerInterval
multinomial = _Multinomial
