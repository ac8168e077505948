"""Scaled dot-product attention, and the multi-head form around it."""

import math
import warnings

import hadamard as H
from hadamard import _C

from ._resize import pad


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query @ keyᵀ · scale + mask) @ value: (…, L, E), (…, S, E), (…, S, V) to (…, L, V).

    A boolean mask says where to look, any other is added; `is_causal` lets position i see only 0 … i; `scale` is by
    default 1 / sqrt(E); with `enable_gqa` the heads (dimension -3) of key and value are repeated to the query's.

    >>> import hadamard as H
    >>> F.scaled_dot_product_attention(H.ones(2, 3, 4), H.ones(2, 5, 4), H.ones(2, 5, 6)).shape
    torch.Size([2, 3, 6])
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        repeats = query.size(-3) // key.size(-3)
        key = key.repeat_interleave(repeats, -3)
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    length, source = query.size(-2), key.size(-2)
    if scale is None:
        scale = 1 / math.sqrt(query.size(-1))
    if not dropout_p:
        y = _C._attention(query, key, value, attn_mask, scale, is_causal)
        if y is not None:
            return y
    if is_causal:
        attn_mask = H.ones(length, source, dtype=H.bool, device=query.device).tril()
    scores = (query * scale) @ key.transpose(-2, -1)
    if attn_mask is not None:
        if attn_mask.dtype == H.bool:
            attn_mask = H.zeros(attn_mask.shape, dtype=query.dtype, device=query.device).masked_fill(
                ~attn_mask, -math.inf
            )
        scores = scores + attn_mask
        # A row that may look nowhere gives zeros, not NaN.
        hidden = (attn_mask == -math.inf).all(-1, keepdim=True)
        weights = scores.softmax(-1).masked_fill(hidden, 0.0)
    else:
        weights = scores.softmax(-1)
    if dropout_p:
        weights = _C.dropout(weights, dropout_p, True)
    return weights @ value


def _additive(mask, name, dtype, other=None):
    # A boolean mask marks what may not be seen; -inf is added there.
    if mask is None:
        return None
    if mask.dtype != H.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype != other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and attn_mask is deprecated. Use same type for both instead.", stacklevel=4
        )
    if mask.dtype == H.bool:
        return H.zeros_like(mask, dtype=dtype).masked_fill(mask, -math.inf)
    return mask


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads):
    if query.dim() not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor"
        )
    batched = query.dim() == 3
    kind, dims = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    if key.dim() != dims or value.dim() != dims:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {dims}-D but found {key.dim()}-D and "
            f"{value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != dims - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {dims - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.dim() not in (2, 3):
            raise AssertionError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D "
                "tensor instead"
            )
        if not batched and attn_mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            if attn_mask.shape != expected:
                raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return batched


def _project(query, key, value, weights, bias):
    """The projected query, key and value; `weights` is one packed matrix or three."""
    if isinstance(weights, tuple):
        biases = (None, None, None) if bias is None else bias.chunk(3)
        names = ("query", "key", "value")
        for name, x, w in zip(names, (query, key, value), weights, strict=True):
            expected = (query.size(-1), x.size(-1))
            if w.shape != expected:
                raise AssertionError(f"expecting {name} weights shape of {expected}, but got {w.shape}")
    elif query is key and key is value:
        return _C.linear(query, weights, bias).chunk(3, -1)
    else:
        biases = (None, None, None) if bias is None else bias.chunk(3)
        weights = weights.chunk(3)
    return tuple(_C.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))


def _check_mask_size(attn_mask, length, source, heads_times_batch):
    expected = (length, source) if attn_mask.dim() == 2 else (heads_times_batch, length, source)
    if attn_mask.shape != expected:
        raise RuntimeError(
            f"The shape of the {attn_mask.dim()}D attn_mask is {attn_mask.shape}, but should be {expected}."
        )


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Attention in `num_heads` heads: query (L, N, E), key and value (S, N, …), or without N, to (L, N, E) and, with
    `need_weights`, the weights (N, L, S), or (N, heads, L, S) if not averaged.

    In `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N · heads, L, S) True marks what may not be seen.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if not batched:
        same_key, same_value = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_key else key.unsqueeze(1)
        value = key if same_value else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed_dim = query.shape
    key_padding_mask = _additive(key_padding_mask, "key_padding_mask", query.dtype, attn_mask)
    attn_mask = _additive(attn_mask, "attn_mask", query.dtype)
    if embed_dim != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}")
    head_dim = embed_dim // num_heads
    if head_dim * num_heads != embed_dim:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        weights = in_proj_weight
    q, k, v = _project(query, key, value, weights, in_proj_bias)
    if attn_mask is not None:
        _check_mask_size(attn_mask, length, key.shape[0], batch * num_heads)

    def heads(x):
        return x.reshape(x.shape[0], batch * num_heads, head_dim).transpose(0, 1)

    extra = 0
    if bias_k is not None and bias_v is not None:
        k = H.cat([k, bias_k.expand(1, batch, embed_dim)])
        v = H.cat([v, bias_v.expand(1, batch, embed_dim)])
        extra += 1
    # Without weights to return, heads are read where they lie, (batch, heads, positions, head_dim).
    apart = not need_weights and not add_zero_attn and static_k is None and static_v is None
    if apart:
        q, k, v = (x.view(x.shape[0], batch, num_heads, head_dim).permute(1, 2, 0, 3) for x in (q, k, v))
    else:
        q = heads(q)
        k = heads(k) if static_k is None else static_k
        v = heads(v) if static_v is None else static_v
    if add_zero_attn:
        k = H.cat([k, k.new_zeros(k.shape[0], 1, head_dim)], 1)
        v = H.cat([v, v.new_zeros(v.shape[0], 1, head_dim)], 1)
        extra += 1
    source = k.size(-2)
    mask = None
    if attn_mask is not None:
        mask = pad(attn_mask, (0, extra)) if extra else attn_mask
        mask = mask.unsqueeze(0) if mask.dim() == 2 else mask
    if key_padding_mask is not None:
        padding = pad(key_padding_mask, (0, extra)) if extra else key_padding_mask
        for i, expected in enumerate((batch, source)):
            if padding.shape[i] != expected:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{i}] to be {expected}, but got {padding.shape[i]}"
                )
        padding = padding.view(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
        padding = padding.reshape(batch * num_heads, 1, source)
        mask = padding if mask is None else mask + padding
    if not training:
        dropout_p = 0.0
    if need_weights:
        scores = (q * math.sqrt(1.0 / head_dim)) @ k.transpose(-2, -1)
        scores = scores.softmax(-1) if mask is None else (scores + mask).softmax(-1)
        if dropout_p > 0.0:
            scores = _C.dropout(scores, dropout_p, True)
        y = scores @ v
    else:
        if mask is not None:
            mask = mask.unsqueeze(0) if mask.shape[0] == 1 else mask.view(batch, num_heads, -1, source)
        split = (q, k, v) if apart else [x.view(batch, num_heads, x.size(1), head_dim) for x in (q, k, v)]
        y = scaled_dot_product_attention(*split, mask, dropout_p)
    y = (y.transpose(0, 1) if need_weights else y.permute(2, 0, 1, 3)).reshape(length, batch, embed_dim)
    y = _C.linear(y, out_proj_weight, out_proj_bias)
    if not batched:
        y = y.squeeze(1)
    if not need_weights:
        return y, None
    scores = scores.view(batch, num_heads, length, source)
    if average_attn_weights:
        scores = scores.mean(1)
    return y, scores if batched else scores.squeeze(0)
