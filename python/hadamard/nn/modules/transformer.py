"""The transformer of Vaswani et al., 2017: encoder and decoder, and the layers they stack."""

import copy
import math

import hadamard as H
from hadamard.errors import warn

from .. import functional as F
from ..init import xavier_uniform_
from .activation import GELU, MultiheadAttention, ReLU
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _activation(name):
    if name == "relu":
        return F.relu
    if name == "gelu":
        return F.gelu
    raise RuntimeError(f"activation should be relu/gelu, not {name}")


def _copies(module, count):
    return ModuleList([copy.deepcopy(module) for _ in range(count)])


def _additive(mask, dtype):
    if mask is not None and mask.dtype == H.bool:
        return H.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)
    return mask


def _is_causal(mask, hint, length):
    # The hint saves a look at the mask; without one the mask is compared.
    if hint is not None:
        return hint
    if mask is None or length is None or mask.shape[-2:] != (length, length):
        return False
    causal = Transformer.generate_square_subsequent_mask(length, mask.device, mask.dtype)
    return bool((mask == causal).all())


class _Layer(Module):
    # The attentions by name; behind them come as many residuals with norms, and one of the feed-forward network.
    _attentions: tuple = ("self_attn",)

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        kwargs = {"device": device, "dtype": dtype}
        super().__init__()
        for name in self._attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **kwargs
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **kwargs)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **kwargs)
        self.norm_first = norm_first
        residuals = range(1, len(self._attentions) + 2)
        for n in residuals:
            setattr(self, f"norm{n}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kwargs))
        for n in residuals:
            setattr(self, f"dropout{n}", Dropout(dropout))
        self._last_dropout = f"dropout{residuals[-1]}"
        self.activation = _activation(activation) if isinstance(activation, str) else activation

    @staticmethod
    def _attend(attention, x, memory, mask, padding_mask, is_causal):
        return attention(
            x,
            memory,
            memory,
            attn_mask=mask,
            key_padding_mask=padding_mask,
            need_weights=False,
            is_causal=is_causal,
        )[0]

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout1(self._attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x):
        x = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return getattr(self, self._last_dropout)(x)


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network of two layers, each with a residual and a LayerNorm.

    (L, N, d_model), with `batch_first` (N, L, d_model), or without N, to the same. With `norm_first` the norms come
    before attention and network.

    >>> import hadamard as H
    >>> H.nn.TransformerEncoderLayer(8, 2, batch_first=True)(H.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        src_key_padding_mask = _additive(src_key_padding_mask, src.dtype)
        src_mask = _additive(src_mask, src.dtype)
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self._ff_block(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output and a feed-forward network, each with a residual and a
    LayerNorm: `forward(tgt, memory)`, shapes as in TransformerEncoderLayer.

    >>> import hadamard as H
    >>> layer = H.nn.TransformerDecoderLayer(8, 2, batch_first=True)
    >>> layer(H.randn(3, 4, 8), H.randn(3, 5, 8)).shape
    torch.Size([3, 4, 8])
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), memory, *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, memory, *other))
        return self.norm3(x + self._ff_block(x))

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout2(self._attend(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))


def _not_nested(layer):
    # Why torch would not compute with samples of their own lengths, in its words.
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer was not TransformerEncoderLayer"
    attention = layer.self_attn
    for fits, reason in (
        (not layer.norm_first, "norm_first was True"),
        (
            attention.batch_first,
            "self_attn.batch_first was not True(use batch_first for better inference performance)",
        ),
        (attention.in_proj_bias is not None, "self_attn was passed bias=False"),
        (
            layer.activation in (F.relu, F.gelu) or isinstance(layer.activation, (ReLU, GELU)),
            "activation_relu_or_gelu was not True",
        ),
        (layer.norm1.eps == layer.norm2.eps, "norm1.eps was not equal to encoder_layer.norm2.eps"),
        (attention.num_heads % 2 == 0, "self_attn.num_heads is odd"),
    ):
        if not fits:
            return f"encoder_layer.{reason}"
    return None


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer, then `norm` if given.

    >>> import hadamard as H
    >>> layer = H.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> H.nn.TransformerEncoder(layer, 2)(H.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = _not_nested(encoder_layer)
        if enable_nested_tensor and reason:
            warn(f"enable_nested_tensor is True, but self.use_nested_tensor is False because {reason}")
        self.use_nested_tensor = enable_nested_tensor and not reason

    def _drops_padding(self, src, mask, padding):
        """Whether torch computes with the samples at their own lengths, and so gives zeros behind them."""
        if not self.use_nested_tensor or self.layers[0].training or src.dim() != 3 or padding is None:
            return False
        if mask is not None or H.is_autocast_enabled() or padding.dtype != H.bool:
            return False
        if H.is_grad_enabled() and (src.requires_grad or any(p.requires_grad for p in self.layers[0].parameters())):
            return False
        return not self.mask_check or bool((padding[:, 1:] >= padding[:, :-1]).all())

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        drops = self._drops_padding(src, mask, src_key_padding_mask)
        behind = src_key_padding_mask
        mask = _additive(mask, src.dtype)
        src_key_padding_mask = _additive(src_key_padding_mask, src.dtype)
        first = self.layers[0].self_attn if self.num_layers else None
        length = src.size(1 if src.dim() == 3 and first is not None and first.batch_first else 0)
        causal = _is_causal(mask, is_causal, length)
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        if drops:
            x = x.masked_fill(behind.unsqueeze(-1), 0.0)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """`num_layers` copies of a decoder layer, then `norm` if given."""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        first = self.layers[0].self_attn if self.num_layers else None
        length = tgt.size(1 if tgt.dim() == 3 and first is not None and first.batch_first else 0)
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, length)
        x = tgt
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """Encoder and decoder: `forward(src, tgt)` with (S, N, d_model) and (T, N, d_model) gives (T, N, d_model).

    >>> import hadamard as H
    >>> model = H.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(H.randn(3, 5, 8), H.randn(3, 4, 8)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        kwargs = {"device": device, "dtype": dtype}
        super().__init__()
        common = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
        )
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer = TransformerEncoderLayer(*common, **kwargs)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kwargs)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            layer = TransformerDecoderLayer(*common, **kwargs)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kwargs)
            self.decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and tgt.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """The mask (sz, sz) that lets each position see itself and what came before: 0 there, -inf elsewhere."""
        return H.triu(H.full((sz, sz), -math.inf, dtype=dtype, device=device), diagonal=1)

    def _reset_parameters(self):
        for p in self.parameters():
            if p.dim() > 1:
                xavier_uniform_(p)
