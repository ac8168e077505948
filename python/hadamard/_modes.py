"""Switches around a block or a function: no_grad, enable_grad, set_grad_enabled, inference_mode."""

from . import _C


class _Switch:
    """A context manager that is a decorator too, of functions and of generator functions."""

    def __call__(self, func):
        if isinstance(func, type):  # torch decorates every method of a class by its constructor
            func.__init__ = self(func.__init__)
            return func
        from functools import wraps
        from inspect import isgeneratorfunction

        if isgeneratorfunction(func):

            @wraps(func)
            def steps(*args, **kwargs):
                with self._copy():
                    generator = func(*args, **kwargs)
                try:
                    with self._copy():
                        sent = generator.send(None)
                    while True:
                        try:
                            received = yield sent
                        except GeneratorExit:
                            with self._copy():
                                generator.close()
                            raise
                        except BaseException as error:
                            with self._copy():
                                sent = generator.throw(error)
                        else:
                            with self._copy():
                                sent = generator.send(received)
                except StopIteration as end:
                    return end.value

            return steps

        @wraps(func)
        def inside(*args, **kwargs):
            with self._copy():
                return func(*args, **kwargs)

        return inside

    def _copy(self):
        return type(self)()


class no_grad(_Switch):
    """Nothing inside is recorded for backward().

    >>> import hadamard as H
    >>> x = H.ones(2, requires_grad=True)
    >>> with H.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    _on = False

    def __new__(cls, func=None):
        switch = super().__new__(cls)
        return switch if func is None else switch(func)

    def __enter__(self):
        self._before = _C.is_grad_enabled()
        _C._set_grad_enabled(self._on)

    def __exit__(self, *_):
        _C._set_grad_enabled(self._before)


class enable_grad(no_grad):
    """Everything inside is recorded, also within no_grad()."""

    _on = True


class set_grad_enabled(_Switch):
    """Switches recording on or off at once; as a context manager, until the end of the block."""

    def __init__(self, mode):
        if not isinstance(mode, bool):
            kind = type(mode).__name__
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {kind}")
        self.mode = mode
        self.prev = _C.is_grad_enabled()
        _C._set_grad_enabled(self.mode)

    def __call__(self, func):
        _C._set_grad_enabled(self.prev)
        return super().__call__(func)

    def __enter__(self):
        _C._set_grad_enabled(self.mode)

    def __exit__(self, *_):
        _C._set_grad_enabled(self.prev)

    def _copy(self):
        return type(self)(self.mode)


class inference_mode(_Switch):
    """Like no_grad(), and tensors made inside can never take part in a graph."""

    def __new__(cls, mode=True):
        if not isinstance(mode, bool):  # @inference_mode without brackets
            switch = super().__new__(cls)
            switch.mode = True
            return switch(mode)
        return super().__new__(cls)

    def __init__(self, mode=True):
        self.mode = mode

    def __enter__(self):
        self._before = _C.is_grad_enabled(), _C.is_inference_mode_enabled()
        if self.mode:
            _C._set_grad_enabled(False)
        _C._set_inference_enabled(self.mode)

    def __exit__(self, *_):
        _C._set_grad_enabled(self._before[0])
        _C._set_inference_enabled(self._before[1])

    def _copy(self):
        return type(self)(self.mode)
