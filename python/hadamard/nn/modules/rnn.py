"""Recurrent layers and cells: layers as one op where that can be, else composed of linear maps step by step."""

import math
import warnings

import hadamard as H
from hadamard import _C

from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _lstm_step(x, state, w_hh, b_hh):
    h, c = state
    i, f, g, o = (x + _C.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru_step(x, state, w_hh, b_hh):
    (h,) = state
    xr, xz, xn = x.chunk(3, -1)
    hr, hz, hn = _C.linear(h, w_hh, b_hh).chunk(3, -1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    n = (xn + r * hn).tanh()
    return (n + z * (h - n),)


def _tanh_step(x, state, w_hh, b_hh):
    return ((x + _C.linear(state[0], w_hh, b_hh)).tanh(),)


def _relu_step(x, state, w_hh, b_hh):
    return (_C.relu(x + _C.linear(state[0], w_hh, b_hh)),)


_STEPS = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN_TANH": _tanh_step, "RNN_RELU": _relu_step}
_CELLS = {name: i for i, name in enumerate(_STEPS)}  # as the core counts them


class RNNBase(Module):
    """What RNN, GRU and LSTM share; `mode` names the step."""

    def __init__(
        self,
        mode,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        kwargs = {"device": device, "dtype": dtype}
        directions = 2 if bidirectional else 1
        rows = _GATES[mode] * hidden_size
        out = proj_size or hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            for direction in range(directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                shapes = {
                    "weight_ih": (rows, input_size if layer == 0 else out * directions),
                    "weight_hh": (rows, out),
                }
                if bias:
                    shapes["bias_ih"] = shapes["bias_hh"] = (rows,)
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(H.empty(shape, **kwargs)))
                self._all_weights.append([name + suffix for name in shapes])
        self.reset_parameters()

    @property
    def all_weights(self):
        """The parameters as lists, one for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self):
        """Accepted so that scripts run unchanged; the parameters stay where they are."""

    def reset_parameters(self):
        """Draw all parameters anew from U(-b, b), b = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    def _states(self, hx, batch, batched, like):
        # The initial states as a list of (layers · directions, batch, size) tensors.
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size]
        if self.mode == "LSTM":
            sizes.append(self.hidden_size)
        if hx is None:
            return [like.new_zeros(count, batch, size) for size in sizes]
        given = list(hx) if self.mode == "LSTM" else [hx]
        for i, (state, size) in enumerate(zip(given, sizes, strict=True)):
            expected = (count, batch, size) if batched else (count, size)
            name = "hidden" if self.mode != "LSTM" else f"hidden[{i}]"
            if state.dim() != len(expected):
                kind = "batched 3-D" if batched else "unbatched 2-D"
                raise RuntimeError(
                    f"For {kind} input, hx should also be {len(expected)}-D but got {state.dim()}-D tensor"
                )
            if tuple(state.shape) != expected:
                raise RuntimeError(f"Expected {name} size {expected}, got {list(state.shape)}")
        return given if batched else [state.unsqueeze(1) for state in given]

    def _run(self, xs, lengths, state, weights):
        """One layer in one direction over the steps `xs`; a sample whose length is reached keeps its state."""
        w_ih, w_hh, *rest = weights
        b_ih, b_hh = (rest[0], rest[1]) if self.bias else (None, None)
        w_hr = rest[-1] if self.proj_size else None
        step = _STEPS[self.mode]
        outputs = []
        projected = [_C.linear(x, w_ih, b_ih) for x in xs]
        for x, active in zip(projected, lengths, strict=True):
            old = [s[:active] for s in state]
            new = list(step(x, old, w_hh, b_hh))
            if w_hr is not None:
                new[0] = _C.linear(new[0], w_hr, None)
            outputs.append(new[0])
            if active == state[0].size(0):
                state = new
            else:
                state = [H.cat([n, s[active:]]) for n, s in zip(new, state, strict=True)]
        return outputs, state

    def forward(self, input, hx=None):
        packed = isinstance(input, PackedSequence)
        if packed:
            lengths = input.batch_sizes.tolist()
            batched, batch = True, lengths[0]
            if hx is not None and input.sorted_indices is not None:
                order = input.sorted_indices
                hx = tuple(s.index_select(1, order) for s in hx) if self.mode == "LSTM" else hx.index_select(1, order)
            like = input.data
        else:
            if input.dim() not in (2, 3):
                raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
            batched = input.dim() == 3
            x = input if batched else input.unsqueeze(1)
            if batched and self.batch_first:
                x = x.transpose(0, 1)
            if x.size(-1) != self.input_size:
                raise RuntimeError(
                    f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.size(-1)}"
                )
            batch = x.size(1)
            lengths = [batch] * x.size(0)
            like = input
        states = self._states(hx, batch, batched, like)
        directions = 2 if self.bidirectional else 1
        weights = self.all_weights
        if not packed and not self.proj_size:
            whole = self._run_whole(x, states, weights)
            if whole is not None:
                return self._finish(*whole, batched)
        xs = list(input.data.split(lengths)) if packed else list(x.unbind(0))
        finals: list = [[] for _ in states]
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                joined = _C.dropout(H.cat(xs), self.dropout, True)
                xs = list(joined.split(lengths))
            sides = []
            for direction in range(directions):
                k = layer * directions + direction
                state = [s[k] for s in states]
                way = slice(None, None, -1) if direction else slice(None)
                outputs, state = self._run(xs[way], lengths[way], state, weights[k])
                sides.append(outputs[way])
                for final, s in zip(finals, state, strict=True):
                    final.append(s)
            xs = sides[0] if directions == 1 else [H.cat(pair, -1) for pair in zip(*sides, strict=True)]
        last = [H.stack(final) for final in finals]
        if packed:
            y = PackedSequence(H.cat(xs), input.batch_sizes, input.sorted_indices, input.unsorted_indices)
            if input.unsorted_indices is not None:
                last = [s.index_select(1, input.unsorted_indices) for s in last]
            return y, tuple(last) if self.mode == "LSTM" else last[0]
        return self._finish(H.stack(xs), last, batched)

    def _run_whole(self, x, states, weights):
        """All layers, each direction of them as one op: y and the last states, or None where the core has none."""
        directions = 2 if self.bidirectional else 1
        finals: list = [[] for _ in states]
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = _C.dropout(x, self.dropout, True)
            sides = []
            for direction in range(directions):
                k = layer * directions + direction
                ran = _C._recurrent(x, [s[k] for s in states], weights[k], _CELLS[self.mode], bool(direction))
                if not ran:
                    return None
                sides.append(ran[0])
                for final, s in zip(finals, ran[1:], strict=True):
                    final.append(s)
            x = sides[0] if directions == 1 else H.cat(sides, -1)
        return x, [H.stack(final) for final in finals]

    def _finish(self, y, last, batched):
        if self.bidirectional:
            _C._named(y, "CatBackward0")
        elif self.mode == "LSTM" and not self.proj_size:
            _C._named(y, "MkldnnRnnLayerBackward0")
        if not batched:
            y, last = y.squeeze(1), [s.squeeze(1) for s in last]
        elif self.batch_first:
            y = y.transpose(0, 1)
            if self.mode != "LSTM":
                _C._named(y, "TransposeBackward1")
        return y, tuple(last) if self.mode == "LSTM" else last[0]


class RNN(RNNBase):
    """h ← tanh(W_ih x + b_ih + W_hh h + b_hh) along the first dimension of (L, N, input_size).

    `RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
    bidirectional=False)`; returns all h of the last layer and the last h of all layers.

    >>> import hadamard as H
    >>> y, h = H.nn.RNN(3, 4)(H.randn(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if self.nonlinearity not in modes:
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        nonlinearity = self.nonlinearity
        super().__init__(modes[nonlinearity], *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory along the first dimension of (L, N, input_size).

    `LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
    proj_size=0)`; returns all h of the last layer and the last (h, c) of all layers.

    >>> import hadamard as H
    >>> y, (h, c) = H.nn.LSTM(3, 4, batch_first=True)(H.randn(2, 5, 3))
    >>> y.shape, c.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent units along the first dimension of (L, N, input_size).

    `GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)`;
    returns all h of the last layer and the last h of all layers.

    >>> import hadamard as H
    >>> y, h = H.nn.GRU(3, 4)(H.randn(5, 2, 3))
    >>> y.shape
    torch.Size([5, 2, 4])
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What the cells share."""

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        kwargs = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(H.empty((rows, input_size), **kwargs))
        self.weight_hh = Parameter(H.empty((rows, hidden_size), **kwargs))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(H.empty(rows, **kwargs)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters anew from U(-b, b), b = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, step, input, hx, count):
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        if hx is not None:
            for i, h in enumerate(hx):
                if h.dim() not in (1, 2):
                    which = f"hx[{i}]" if count == 2 else "hidden"
                    raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {h.dim()}D instead")
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if hx is None:
            hx = [x.new_zeros(x.size(0), self.hidden_size)] * count
        elif not batched:
            hx = [h.unsqueeze(0) for h in hx]
        new = step(_C.linear(x, self.weight_ih, self.bias_ih), hx, self.weight_hh, self.bias_hh)
        return tuple(new) if batched else tuple(h.squeeze(0) for h in new)


class RNNCell(RNNCellBase):
    """One step of RNN: (N, input_size) and h (N, hidden_size) to the next h."""

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        step = _tanh_step if self.nonlinearity == "tanh" else _relu_step
        return self._step(step, input, None if hx is None else [hx], 1)[0]


class LSTMCell(RNNCellBase):
    """One step of LSTM: (N, input_size) and (h, c) to the next (h, c)."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        return self._step(_lstm_step, input, hx, 2)


class GRUCell(RNNCellBase):
    """One step of GRU: (N, input_size) and h (N, hidden_size) to the next h."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._step(_gru_step, input, None if hx is None else [hx], 1)[0]
