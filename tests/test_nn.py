"""Layers, losses and initialisers: against torch where it is installed, against their definitions always."""

import copy
import doctest
import importlib
import inspect
import io
import math
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest
from harness import OURS, H, torch

nn = H.nn
F = H.nn.functional
RNG = np.random.default_rng(0)


def oracle():
    return pytest.importorskip("torch")


class Fixed:
    """An input that gets no gradient."""

    def __init__(self, array):
        self.array = array


def ours(a, grad=False):
    if isinstance(a, Fixed):
        a, grad = a.array, False
    t = H.from_numpy(np.array(a))
    return t.requires_grad_() if grad and t.is_floating_point() else t


def theirs(torch, a, grad=False):
    if isinstance(a, Fixed):
        a, grad = a.array, False
    t = torch.from_numpy(np.array(a))
    return t.requires_grad_() if grad and t.is_floating_point() else t


def values(t):
    return t.detach().numpy() if hasattr(t, "detach") else np.asarray(t)


def tensors(out):
    """All tensors in nested tuples, in order."""
    if out is None:
        return []
    if isinstance(out, (tuple, list)):
        return [t for part in out for t in tensors(part)]
    return [out]


def close(a, b, tol=1e-9, what=""):
    a, b = values(a), values(b)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    assert a.dtype == b.dtype, (what, a.dtype, b.dtype)
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=what, equal_nan=True)


def randn(*shape):
    return RNG.standard_normal(shape)


def rand(*shape):
    return RNG.random(shape) * 0.8 + 0.1


def ints(high, *shape):
    return RNG.integers(0, high, shape)


def signs(*shape):
    return RNG.choice([-1.0, 1.0], shape)


def backward(outs):
    """Backward with a different weight for every element, so that no gradient is hidden by a sum."""
    total = None
    for out in tensors(outs):
        if out.requires_grad:
            weight = np.cos(np.arange(out.numel(), dtype=np.float64)).reshape(tuple(out.shape))
            part = (out * type(out).new_tensor(out.detach(), weight)).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()


X34, X345, X3456 = randn(3, 4), randn(3, 4, 5), randn(3, 4, 6, 5)
SEQ = randn(5, 2, 4)

MODULES = {
    "Linear": (lambda nn: nn.Linear(4, 3), [X34]),
    "Linear-3d": (lambda nn: nn.Linear(5, 3, bias=False), [X345]),
    "Linear-1d": (lambda nn: nn.Linear(4, 3), [X34[0]]),
    "Bilinear": (lambda nn: nn.Bilinear(4, 5, 3), [X34, randn(3, 5)]),
    "Identity": (lambda nn: nn.Identity(1, a=2), [X34]),
    "LazyLinear": (lambda nn: nn.LazyLinear(3), [X34]),
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), [X345]),
    "Conv1d-same": (lambda nn: nn.Conv1d(4, 2, 4, padding="same", dilation=1), [X345]),
    "Conv1d-2d": (lambda nn: nn.Conv1d(4, 6, 3), [X345[0]]),
    "Conv2d": (lambda nn: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), [X3456]),
    "Conv2d-valid": (lambda nn: nn.Conv2d(4, 2, 3, padding="valid", bias=False), [X3456]),
    "Conv2d-reflect": (lambda nn: nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), [X3456]),
    "Conv2d-circular": (lambda nn: nn.Conv2d(4, 2, 3, padding="same", padding_mode="circular"), [X3456]),
    "Conv3d": (lambda nn: nn.Conv3d(2, 3, 2, padding=1, stride=2), [randn(2, 2, 4, 5, 3)]),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), [X345]),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(4, 6, 3, (2, 3), 1, 1, 2, dilation=2), [X3456]),
    "LazyConv2d": (lambda nn: nn.LazyConv2d(2, 3), [X3456]),
    "LazyConvTranspose1d": (lambda nn: nn.LazyConvTranspose1d(2, 3), [X345]),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(4), [X34]),
    "BatchNorm1d-3d": (lambda nn: nn.BatchNorm1d(4, momentum=None), [X345]),
    "BatchNorm1d-plain": (lambda nn: nn.BatchNorm1d(4, affine=False, track_running_stats=False), [X345]),
    "BatchNorm1d-eval": (lambda nn: nn.BatchNorm1d(4).eval(), [X34]),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(4, bias=False), [X3456]),
    "LazyBatchNorm1d": (lambda nn: nn.LazyBatchNorm1d(), [X345]),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(4), [X345]),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), [X3456]),
    "InstanceNorm2d-eval": (lambda nn: nn.InstanceNorm2d(4, track_running_stats=True).eval(), [X3456]),
    "InstanceNorm1d-2d": (lambda nn: nn.InstanceNorm1d(4), [X345[0]]),
    "LayerNorm": (lambda nn: nn.LayerNorm(5), [X345]),
    "LayerNorm-2": (lambda nn: nn.LayerNorm([4, 5], bias=False, eps=0.1), [X345]),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), [X3456]),
    "RMSNorm": (lambda nn: nn.RMSNorm([4, 5]), [X345]),
    "LocalResponseNorm": (lambda nn: nn.LocalResponseNorm(2, 0.5, 0.6, 0.9), [X345]),
    "Embedding": (lambda nn: nn.Embedding(7, 3, padding_idx=2), [ints(7, 4, 3)]),
    "Embedding-max": (lambda nn: nn.Embedding(7, 3, max_norm=0.7), [ints(7, 4, 3)]),
    "EmbeddingBag": (lambda nn: nn.EmbeddingBag(7, 3), [ints(7, 4, 3)]),
    "EmbeddingBag-max": (lambda nn: nn.EmbeddingBag(7, 3, mode="max", padding_idx=1), [ints(7, 4, 3)]),
    "EmbeddingBag-offsets": (lambda nn: nn.EmbeddingBag(7, 3, mode="sum"), [ints(7, 9), np.array([0, 2, 2, 6])]),
    "Flatten": (lambda nn: nn.Flatten(), [X345]),
    "Unflatten": (lambda nn: nn.Unflatten(1, (2, 2)), [X345]),
    "MaxPool1d": (lambda nn: nn.MaxPool1d(2, return_indices=True), [X345]),
    "MaxPool2d": (lambda nn: nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True), [X3456]),
    "MaxPool2d-dilated": (lambda nn: nn.MaxPool2d(2, 1, dilation=2, return_indices=True), [X3456]),
    "MaxPool2d-ties": (lambda nn: nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1, 1)), [X3456]),
    "MaxPool3d": (lambda nn: nn.MaxPool3d(2), [randn(1, 2, 4, 5, 3)]),
    "AvgPool1d": (lambda nn: nn.AvgPool1d(3, 2, 1), [X345]),
    "AvgPool2d": (lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), [X3456]),
    "AvgPool2d-divisor": (lambda nn: nn.AvgPool2d((2, 3), divisor_override=5), [X3456]),
    "AvgPool3d": (lambda nn: nn.AvgPool3d(2), [randn(1, 2, 4, 5, 3)]),
    "AdaptiveAvgPool1d": (lambda nn: nn.AdaptiveAvgPool1d(3), [X345]),
    "AdaptiveAvgPool2d": (lambda nn: nn.AdaptiveAvgPool2d((4, None)), [X3456]),
    "AdaptiveAvgPool3d": (lambda nn: nn.AdaptiveAvgPool3d((2, None, 2)), [randn(1, 2, 4, 5, 3)]),
    "AdaptiveMaxPool1d": (lambda nn: nn.AdaptiveMaxPool1d(3), [X345]),
    "AdaptiveMaxPool2d": (lambda nn: nn.AdaptiveMaxPool2d((4, 3), return_indices=True), [X3456]),
    "LPPool1d": (lambda nn: nn.LPPool1d(3, 2), [rand(3, 4, 5)]),
    "LPPool2d": (lambda nn: nn.LPPool2d(2, 3, 2, ceil_mode=True), [X3456]),
    "CosineSimilarity": (lambda nn: nn.CosineSimilarity(), [X345, randn(3, 4, 5)]),
    "PairwiseDistance": (lambda nn: nn.PairwiseDistance(3.0, keepdim=True), [X34, randn(3, 4)]),
    "ZeroPad2d": (lambda nn: nn.ZeroPad2d((1, 2, -1, 3)), [X3456]),
    "ConstantPad1d": (lambda nn: nn.ConstantPad1d((1, 2), 0.5), [X345]),
    "ReflectionPad2d": (lambda nn: nn.ReflectionPad2d((1, 2, 3, 0)), [X3456]),
    "ReplicationPad1d": (lambda nn: nn.ReplicationPad1d((3, -1)), [X345]),
    "CircularPad2d": (lambda nn: nn.CircularPad2d((1, 2, 3, 0)), [X3456]),
    "Upsample": (lambda nn: nn.Upsample(scale_factor=2), [X345]),
    "Upsample-bilinear": (lambda nn: nn.Upsample(size=(7, 9), mode="bilinear"), [X3456]),
    "Upsample-corners": (lambda nn: nn.UpsamplingBilinear2d(scale_factor=3), [X3456]),
    "Upsample-bicubic": (lambda nn: nn.Upsample(scale_factor=1.7, mode="bicubic"), [X3456]),
    "Upsample-linear": (lambda nn: nn.Upsample(size=3, mode="linear", align_corners=True), [X345]),
    "PixelShuffle": (lambda nn: nn.PixelShuffle(2), [X3456]),
    "PixelUnshuffle": (lambda nn: nn.PixelUnshuffle(2), [randn(2, 3, 4, 6)]),
    "ChannelShuffle": (lambda nn: nn.ChannelShuffle(2), [X3456]),
    "Unfold": (lambda nn: nn.Unfold((3, 2), padding=1, stride=2), [X3456]),
    "Fold": (lambda nn: nn.Fold((4, 5), (2, 3), padding=1), [randn(2, 12, 25)]),
    "MultiheadAttention": (lambda nn: nn.MultiheadAttention(4, 2), [SEQ, SEQ, SEQ]),
    "MultiheadAttention-kv": (
        lambda nn: nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True, batch_first=True),
        [randn(2, 5, 4), randn(2, 6, 3), randn(2, 6, 5)],
    ),
    "MultiheadAttention-unbatched": (lambda nn: nn.MultiheadAttention(4, 4, bias=False), [SEQ[:, 0]] * 3),
    "TransformerEncoderLayer": (lambda nn: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), [SEQ]),
    "TransformerEncoderLayer-first": (
        lambda nn: nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True, norm_first=True),
        [randn(2, 5, 4)],
    ),
    "TransformerEncoder": (
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2, nn.LayerNorm(4)),
        [SEQ],
    ),
    "Transformer": (lambda nn: nn.Transformer(4, 2, 1, 2, 8, 0.0), [SEQ, randn(3, 2, 4)]),
    "RNN": (lambda nn: nn.RNN(4, 3, 2, nonlinearity="relu"), [SEQ]),
    "LSTM": (lambda nn: nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True), [SEQ]),
    "LSTM-proj": (lambda nn: nn.LSTM(4, 3, proj_size=2), [SEQ]),
    "LSTM-unbatched": (lambda nn: nn.LSTM(4, 3), [SEQ[:, 0]]),
    "GRU": (lambda nn: nn.GRU(4, 3, 2, bias=False), [SEQ]),
    "GRU-state": (lambda nn: nn.GRU(4, 3), [SEQ, randn(1, 2, 3)]),
    "LSTMCell": (lambda nn: nn.LSTMCell(4, 3), [X34]),
    "GRUCell": (lambda nn: nn.GRUCell(4, 3), [X34, randn(3, 3)]),
    "RNNCell": (lambda nn: nn.RNNCell(4, 3, nonlinearity="relu"), [X34]),
    "Sequential": (lambda nn: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), [X34]),
}
for _name, _args in {
    "ReLU": (),
    "ReLU6": (),
    "Hardtanh": (-0.3, 0.7),
    "ELU": (0.7,),
    "CELU": (0.5,),
    "SELU": (),
    "LeakyReLU": (0.2,),
    "PReLU": (4,),
    "GELU": (),
    "SiLU": (),
    "Mish": (),
    "Softplus": (2.0, 1.0),
    "Softshrink": (0.3,),
    "Hardshrink": (0.3,),
    "Softsign": (),
    "Tanh": (),
    "Sigmoid": (),
    "LogSigmoid": (),
    "Tanhshrink": (),
    "Threshold": (0.2, -3.0),
    "Hardsigmoid": (),
    "Hardswish": (),
    "Softmax": (1,),
    "Softmin": (1,),
    "LogSoftmax": (-1,),
    "GLU": (1,),
}.items():
    MODULES[_name] = (lambda nn, n=_name, a=_args: getattr(nn, n)(*a), [X345 * 3])
MODULES["GELU-tanh"] = (lambda nn: nn.GELU("tanh"), [X345])
MODULES["Softmax2d"] = (lambda nn: nn.Softmax2d(), [X3456])
MODULES["RReLU-eval"] = (lambda nn: nn.RReLU().eval(), [X345])

MODULES.update(
    {
        "SyncBatchNorm": (lambda nn: nn.SyncBatchNorm(4, momentum=0.3), [X3456]),
        "FractionalMaxPool2d": (lambda nn: nn.FractionalMaxPool2d((3, 2), output_size=(2, 4)), [X3456]),
        "FractionalMaxPool2d-ratio": (lambda nn: nn.FractionalMaxPool2d(2, output_ratio=(0.7, 0.5)), [X3456[0]]),
        "FractionalMaxPool2d-one": (lambda nn: nn.FractionalMaxPool2d(2, 1, return_indices=True), [X3456]),
        "FractionalMaxPool3d": (
            lambda nn: nn.FractionalMaxPool3d((2, 3, 2), output_ratio=0.5, return_indices=True),
            [randn(2, 2, 6, 7, 5)],
        ),
        "AdaptiveLogSoftmaxWithLoss": (
            lambda nn: nn.AdaptiveLogSoftmaxWithLoss(6, 20, [5, 10], div_value=2.0, head_bias=True),
            [randn(7, 6), np.array([0, 4, 5, 9, 10, 19, 3])],
        ),
        "AdaptiveLogSoftmaxWithLoss-1d": (
            lambda nn: nn.AdaptiveLogSoftmaxWithLoss(6, 20, [5], div_value=2.0),
            [randn(6), np.array(12)],
        ),
    }
)
LOG_PROBS = np.log(np.exp(X := randn(9, 4, 5)) / np.exp(X).sum(2, keepdims=True))
LABELS = np.array([[1, 2, 2], [1, 4, 0], [3, 3, 3], [2, 0, 0]])
SHORT, LONG = np.array([3, 2, 3, 0]), np.array([9, 5, 7, 8])
for _how in ("mean", "sum", "none"):
    MODULES[f"CTCLoss-{_how}"] = (
        lambda nn, h=_how: nn.CTCLoss(reduction=h),
        [LOG_PROBS, LABELS, LONG, SHORT],
    )
MODULES.update(
    {
        "CTCLoss-joined": (
            lambda nn: nn.CTCLoss(blank=4),
            [LOG_PROBS, np.array([1, 2, 2, 1, 3, 3, 3, 0]), LONG, SHORT],
        ),
        "CTCLoss-too-short": (lambda nn: nn.CTCLoss(), [LOG_PROBS, LABELS, np.array([9, 1, 3, 0]), SHORT]),
        "CTCLoss-zero": (
            lambda nn: nn.CTCLoss(zero_infinity=True),
            [LOG_PROBS, LABELS, np.array([9, 1, 3, 0]), SHORT],
        ),
        "CTCLoss-single": (lambda nn: nn.CTCLoss(), [LOG_PROBS[:, 0], LABELS[0], np.array(9), np.array(3)]),
    }
)

LOSSES = {
    "MSELoss": [X34, randn(3, 4)],
    "L1Loss": [X34, randn(3, 4)],
    "SmoothL1Loss": [X34, randn(3, 4)],
    "HuberLoss": [X34, randn(3, 4)],
    "BCELoss": [rand(3, 4), rand(3, 4)],
    "BCEWithLogitsLoss": [X34 * 9, rand(3, 4)],
    "CrossEntropyLoss": [X34, ints(4, 3)],
    "NLLLoss": [X34, ints(4, 3)],
    "KLDivLoss": [X34, rand(3, 4)],
    "PoissonNLLLoss": [X34, rand(3, 4) * 4],
    "GaussianNLLLoss": [X34, randn(3, 4), rand(3, 4)],
    "MarginRankingLoss": [randn(5), randn(5), signs(5)],
    "HingeEmbeddingLoss": [X34, signs(3, 4)],
    "CosineEmbeddingLoss": [X34, randn(3, 4), signs(3)],
    "SoftMarginLoss": [X34, Fixed(signs(3, 4))],
    "MultiLabelSoftMarginLoss": [X34, (signs(3, 4) + 1) / 2],
    "MultiLabelMarginLoss": [X34, np.array([[1, 2, -1, 0], [3, -1, 1, 1], [-1, 0, 0, 0]])],
    "MultiMarginLoss": [X34, ints(4, 3)],
    "TripletMarginLoss": [X34, randn(3, 4), randn(3, 4)],
    "TripletMarginWithDistanceLoss": [X34, randn(3, 4), randn(3, 4)],
}
for _name, _inputs in LOSSES.items():
    for _how in ("mean", "sum", "none"):
        MODULES[f"{_name}-{_how}"] = (lambda nn, n=_name, h=_how: getattr(nn, n)(reduction=h), _inputs)
MODULES.update(
    {
        "CrossEntropyLoss-2d": (lambda nn: nn.CrossEntropyLoss(ignore_index=1), [X345, ints(4, 3, 5)]),
        "CrossEntropyLoss-smooth": (lambda nn: nn.CrossEntropyLoss(label_smoothing=0.2), [X34, ints(4, 3)]),
        "CrossEntropyLoss-prob": (lambda nn: nn.CrossEntropyLoss(), [X34, rand(3, 4)]),
        "CrossEntropyLoss-1d": (lambda nn: nn.CrossEntropyLoss(), [X34[0], np.array(2)]),
        "NLLLoss-2d": (lambda nn: nn.NLLLoss(reduction="none", ignore_index=2), [X345, ints(4, 3, 5)]),
        "KLDivLoss-batchmean": (lambda nn: nn.KLDivLoss(reduction="batchmean", log_target=True), [X34, randn(3, 4)]),
        "HuberLoss-delta": (lambda nn: nn.HuberLoss(delta=0.4), [X34, randn(3, 4)]),
        "SmoothL1Loss-0": (lambda nn: nn.SmoothL1Loss(beta=0), [X34, randn(3, 4)]),
        "PoissonNLLLoss-full": (
            lambda nn: nn.PoissonNLLLoss(log_input=False, full=True),
            [rand(3, 4), rand(3, 4) * 4],
        ),
        "GaussianNLLLoss-full": (lambda nn: nn.GaussianNLLLoss(full=True), [X34, randn(3, 4), rand(3)]),
        "MultiMarginLoss-2": (lambda nn: nn.MultiMarginLoss(2, 0.5), [X34, ints(4, 3)]),
        "MultiMarginLoss-1d": (lambda nn: nn.MultiMarginLoss(), [X34[0], np.array(2)]),
        "TripletMarginLoss-swap": (lambda nn: nn.TripletMarginLoss(swap=True, p=1), LOSSES["TripletMarginLoss"]),
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_module_is_torchs(name):
    """Initial parameters, printed form, state, outputs, gradients and running statistics."""
    torch = oracle()
    make, inputs = MODULES[name]
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a, grad: theirs(torch, a, grad))):
        lib.manual_seed(7)
        module = make(lib.nn)
        lazy = hasattr(module, "cls_to_become")
        start = {} if lazy else {k: values(v).copy() for k, v in module.state_dict().items()}
        text = repr(module)
        draw = lib.rand(1).item()
        module = module.double()
        args = [tensor(a, True) for a in inputs]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = module(*args)
        backward(out)
        sides.append((start, text, draw, module, args, out))
    (start, text, draw, module, args, out), (start2, text2, draw2, module2, args2, out2) = sides
    assert text == text2
    assert list(start) == list(start2)
    for key in start:
        # Random values agree to the bit except where a library function rounds otherwise.
        np.testing.assert_allclose(start[key], start2[key], rtol=1e-6, atol=1e-7, err_msg=key)
    assert draw == draw2
    # Random float32 parameters that differ in the last bit would show in float64: go on from the same ones.
    if start and any((start[k] != start2[k]).any() for k in start):
        pytest.fail("initial parameters differ in the last bits")
    assert len(tensors(out)) == len(tensors(out2))
    for a, b in zip(tensors(out), tensors(out2), strict=True):
        close(a, b, what="output")
    for i, (a, b) in enumerate(zip(args, args2, strict=True)):
        if b.requires_grad and b.grad is not None:
            assert a.grad is not None, f"input {i} got no gradient"
            close(a.grad, b.grad, what=f"gradient of input {i}")
    for (key, a), (_, b) in zip(module.named_parameters(), module2.named_parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), key
        if b.grad is not None:
            close(a.grad, b.grad, what=f"gradient of {key}")
    for (key, a), (_, b) in zip(module.named_buffers(), module2.named_buffers(), strict=True):
        close(a, b, what=key)
    assert repr(module) == repr(module2)


FUNCTIONS = {
    "attention": lambda F, H, q, k, v: F.scaled_dot_product_attention(q, k, v),
    "attention-causal": lambda F, H, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    "attention-mask": lambda F, H, q, k, v: F.scaled_dot_product_attention(
        q, k, v, H.ones(5, 6, dtype=H.bool).tril(), scale=0.3
    ),
    "normalize": lambda F, H, q, k, v: F.normalize(q, p=3.0, dim=2),
    "pdist": lambda F, H, q, k, v: F.pdist(q[0]),
    "unfold": lambda F, H, q, k, v: F.unfold(q.unsqueeze(1), 2, dilation=2),
    "interpolate-nearest": lambda F, H, q, k, v: F.interpolate(q, size=7),
    "interpolate-smooth": lambda F, H, q, k, v: F.interpolate(q[None], size=(2, 9), mode="bilinear", antialias=True),
    "interpolate-smooth-cubic": lambda F, H, q, k, v: F.interpolate(
        q[None], scale_factor=0.6, mode="bicubic", align_corners=True, antialias=True
    ),
    "interpolate-exact": lambda F, H, q, k, v: F.interpolate(q, scale_factor=0.6, mode="nearest-exact"),
    "interpolate-area": lambda F, H, q, k, v: F.interpolate(q.unsqueeze(0), size=(4, 2), mode="area"),
    "interpolate-trilinear": lambda F, H, q, k, v: F.interpolate(q[None, None], scale_factor=2.0, mode="trilinear"),
    "interpolate-recompute": lambda F, H, q, k, v: F.interpolate(
        q, scale_factor=1.3, mode="linear", recompute_scale_factor=True
    ),
    "pad": lambda F, H, q, k, v: F.pad(q, (1, 2, 0, 3), value=2.5),
    "pad-crop": lambda F, H, q, k, v: F.pad(q, (-1, 2, 3, -2)),
    "pad-all-dims": lambda F, H, q, k, v: F.pad(q, (1, 1, 1, 1, 1, 1)),
    "cosine": lambda F, H, q, k, v: F.cosine_similarity(q, q.detach() * 2 + 1, dim=2),
    "cross_entropy-weight": lambda F, H, q, k, v: F.cross_entropy(
        q[0], H.tensor([0, 3, 1, 1, 2]), weight=H.tensor([0.1, 0.2, 0.3, 0.4], dtype=H.float64)
    ),
    "bce-logits-pos_weight": lambda F, H, q, k, v: F.binary_cross_entropy_with_logits(
        q, q.detach().sigmoid(), weight=q.detach() ** 2, pos_weight=H.tensor([1.0, 2, 3, 4], dtype=H.float64)
    ),
    "bce-weight": lambda F, H, q, k, v: F.binary_cross_entropy(q.sigmoid(), q.detach().sigmoid(), weight=q.detach()),
    "mse-weight": lambda F, H, q, k, v: F.mse_loss(q, q.detach() * 2, weight=q.detach() ** 2),
    "l1-weight": lambda F, H, q, k, v: F.l1_loss(q, q.detach() * 2, weight=q.detach() ** 2, reduction="sum"),
    "max_unpool": lambda F, H, q, k, v: F.max_unpool1d(*F.max_pool1d(q, 2, return_indices=True), 2),
    "rrelu": lambda F, H, q, k, v: F.rrelu(q, 0.2, 0.4),
    "relu-inplace": lambda F, H, q, k, v: F.relu(q * 2, inplace=True),
    "elu-inplace": lambda F, H, q, k, v: F.elu(q * 2, inplace=True),
    "hardtanh_": lambda F, H, q, k, v: F.hardtanh_(q * 2, -0.5, 0.5),
    "leaky_relu_": lambda F, H, q, k, v: F.leaky_relu_(q * 2, 0.3),
    "silu-inplace": lambda F, H, q, k, v: F.silu(q * 2, inplace=True),
    "softmax-dtype": lambda F, H, q, k, v: F.softmax(q.float(), 1, dtype=H.float64),
    "glu": lambda F, H, q, k, v: F.glu(q),
    "linear": lambda F, H, q, k, v: F.linear(q, v[0, :, :4], v[0, :, 0]),
    "bilinear": lambda F, H, q, k, v: F.bilinear(q, q * 2, k[:, :4]),
    "layer_norm": lambda F, H, q, k, v: F.layer_norm(q, (5, 4)),
    "group_norm": lambda F, H, q, k, v: F.group_norm(q.transpose(1, 2), 2),
    "one_hot": lambda F, H, q, k, v: F.one_hot((q.detach() * 2).abs().long()),
    "dropout-p0": lambda F, H, q, k, v: F.dropout(q, 0.0),
    "dropout-p1": lambda F, H, q, k, v: F.dropout(q, 1.0),
    "dropout2d-p1": lambda F, H, q, k, v: F.dropout2d(q.unsqueeze(0), 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_torchs(name):
    torch = oracle()
    inputs = [RNG.standard_normal(s) for s in ((2, 5, 4), (2, 6, 4), (2, 6, 7))]
    mine = [ours(a, True) for a in inputs]
    others = [theirs(torch, a, True) for a in inputs]
    a = FUNCTIONS[name](F, H, *mine)
    b = FUNCTIONS[name](torch.nn.functional, torch, *others)
    close(a, b)
    backward(a)
    backward(b)
    for x, y in zip(mine, others, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            close(x.grad, y.grad, what="gradient")


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [True, False])
def test_grid_sample_is_torchs(mode, padding, corners):
    torch = oracle()
    image, theta = randn(2, 3, 5, 4), randn(2, 2, 3) * 1.3
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a, g: theirs(torch, a, g))):
        x, t = tensor(image, True), tensor(theta, True)
        grid = lib.nn.functional.affine_grid(t, (2, 3, 6, 7), align_corners=corners)
        out = lib.nn.functional.grid_sample(x, grid, mode, padding, align_corners=corners)
        backward(out)
        sides.append((grid, out, x.grad, t.grad))
    for a, b, what in zip(*sides, ("grid", "values", "image", "theta"), strict=True):
        close(a, b, 1e-8, what)


def test_grid_sample_in_3d():
    torch = oracle()
    image, theta = randn(1, 2, 3, 4, 5), randn(1, 3, 4)
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a, g: theirs(torch, a, g))):
        grid = lib.nn.functional.affine_grid(tensor(theta, False), (1, 2, 3, 2, 4), align_corners=False)
        sides.append(lib.nn.functional.grid_sample(tensor(image, False), grid, align_corners=False))
    close(*sides)


DRAWS = {
    "dropout": lambda lib: lib.nn.functional.dropout(lib.ones(50), 0.3),
    "dropout1d": lambda lib: lib.nn.functional.dropout1d(lib.ones(4, 6, 3), 0.3),
    "dropout2d": lambda lib: lib.nn.functional.dropout2d(lib.ones(4, 6, 3, 2), 0.3),
    "dropout3d": lambda lib: lib.nn.functional.dropout3d(lib.ones(6, 3, 2, 2), 0.3),
    "alpha_dropout": lambda lib: lib.nn.functional.alpha_dropout(lib.ones(50), 0.3, training=True),
    "feature_alpha_dropout": lambda lib: lib.nn.functional.feature_alpha_dropout(lib.ones(4, 5, 2), 0.3, training=True),
    "rrelu": lambda lib: lib.nn.functional.rrelu(-lib.ones(20), training=True),
    "gumbel_softmax": lambda lib: lib.nn.functional.gumbel_softmax(lib.zeros(3, 4)),
    "gumbel_softmax-hard": lambda lib: lib.nn.functional.gumbel_softmax(lib.zeros(3, 4), hard=True),
    "uniform_": lambda lib: lib.nn.init.uniform_(lib.empty(3, 20), -1, 2),
    "normal_": lambda lib: lib.nn.init.normal_(lib.empty(3, 20), 1, 2),
    "normal_-small": lambda lib: lib.nn.init.normal_(lib.empty(3, 2), 1, 2),
    "trunc_normal_": lambda lib: lib.nn.init.trunc_normal_(lib.empty(3, 20), 0.1, 1.0, -1.0, 1.0),
    "trunc_normal_-tail": lambda lib: lib.nn.init.trunc_normal_(lib.empty(30), 0.0, 1.0, 1.5, 2.0),
    "xavier_uniform_": lambda lib: lib.nn.init.xavier_uniform_(lib.empty(3, 4, 5), 2.0),
    "xavier_normal_": lambda lib: lib.nn.init.xavier_normal_(lib.empty(3, 4, 5), 2.0),
    "kaiming_uniform_": lambda lib: lib.nn.init.kaiming_uniform_(lib.empty(3, 4), 0.5, "fan_out"),
    "kaiming_normal_": lambda lib: lib.nn.init.kaiming_normal_(lib.empty(3, 4), nonlinearity="relu"),
    "sparse_": lambda lib: lib.nn.init.sparse_(lib.empty(6, 3), 0.4),
    "generator": lambda lib: lib.nn.init.uniform_(lib.empty(9), generator=lib.Generator().manual_seed(3)),
    "constant_": lambda lib: lib.nn.init.constant_(lib.empty(2, 3), 0.3),
    "eye_": lambda lib: lib.nn.init.eye_(lib.empty(2, 3)),
    "dirac_": lambda lib: lib.nn.init.dirac_(lib.empty(4, 3, 3), 2),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_values_are_torchs(name):
    """The same seed gives the same values and leaves the stream at the same place."""
    torch = oracle()
    got = []
    for lib in (H, torch):
        lib.manual_seed(11)
        got.append((DRAWS[name](lib), lib.rand(2)))
    close(got[0][0], got[1][0], 2e-6)
    assert values(got[0][1]).tolist() == values(got[1][1]).tolist()


def test_orthogonal():
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        w = nn.init.orthogonal_(H.empty(shape, dtype=H.float64), gain=2.0)
        flat = values(w).reshape(shape[0], -1)
        product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_initial_distributions():
    w = H.empty(200, 300)
    assert abs(values(nn.init.xavier_normal_(w)).std() - math.sqrt(2 / 500)) < 1e-3
    bound = math.sqrt(6 / 300) / math.sqrt(1 + 0.25)
    w = values(nn.init.kaiming_uniform_(w, 0.5))
    assert w.max() <= bound and w.min() >= -bound and w.max() > 0.99 * bound
    t = values(nn.init.trunc_normal_(H.empty(5000), 0.0, 1.0, -0.5, 1.0))
    assert t.min() >= -0.5 and t.max() <= 1.0
    layer = nn.Linear(100, 50)
    assert abs(values(layer.weight)).max() <= 0.1 and abs(values(layer.bias)).max() <= 0.1


# Errors and warnings


class Unfinished(nn.Module):
    pass


def same_class(lib):
    """A module of the same name on either side, for messages that say the name."""

    class Net(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = lib.nn.Linear(2, 3)
            self.register_buffer("b", lib.zeros(2))

        def forward(self, x):
            return self.a(x)

    return Net()


def before_init(lib, value):
    class Net(lib.nn.Module):
        def __init__(self):
            self.w = value

    return Net()


ERRORS = {
    "missing": lambda lib: same_class(lib).load_state_dict({"a.weight": lib.zeros(3, 2)}),
    "unexpected": lambda lib: same_class(lib).load_state_dict({**same_class(lib).state_dict(), "x": 1, "a.y": 2}),
    "size": lambda lib: same_class(lib).load_state_dict({**same_class(lib).state_dict(), "a.bias": lib.zeros(2)}),
    "all": lambda lib: same_class(lib).load_state_dict({"a.bias": lib.zeros(2), "q": 3}),
    "not-tensor": lambda lib: same_class(lib).load_state_dict({**same_class(lib).state_dict(), "a.bias": [1]}),
    "not-dict": lambda lib: same_class(lib).load_state_dict([1]),
    "assign-tensor": lambda lib: setattr(lib.nn.Linear(2, 2), "weight", lib.zeros(2)),
    "assign-str": lambda lib: setattr(lib.nn.Linear(2, 2), "weight", "x"),
    "assign-module": lambda lib: setattr(lib.nn.Linear(2, 2), "weight", lib.nn.ReLU()),
    "assign-child": lambda lib: setattr(same_class(lib), "a", 3),
    "assign-buffer": lambda lib: setattr(same_class(lib), "b", 3),
    "early-param": lambda lib: before_init(lib, lib.nn.Parameter(lib.zeros(1))),
    "early-module": lambda lib: before_init(lib, lib.nn.ReLU()),
    "no-init": lambda lib: type("Net", (lib.nn.Module,), {"__init__": lambda self: None})()(1),
    "no-attr": lambda lib: lib.nn.Linear(2, 2).nothing,
    "no-forward": lambda lib: lib.nn.Module()(1),
    "bad-init": lambda lib: lib.nn.Module(1),
    "bad-init-kw": lambda lib: lib.nn.Module(a=1),
    "register-dot": lambda lib: lib.nn.Module().register_buffer("a.b", None),
    "register-empty": lambda lib: lib.nn.Module().register_parameter("", None),
    "register-type": lambda lib: lib.nn.Module().register_buffer("a", 3),
    "register-param-type": lambda lib: lib.nn.Module().register_parameter("a", 3),
    "register-taken": lambda lib: lib.nn.Module().register_buffer("forward", None),
    "register-non-leaf": lambda lib: setattr(
        lib.nn.Module(), "w", lib.nn.Parameter(lib.zeros(1)).mul(2).as_subclass(lib.nn.Parameter)
    ),
    "add-module": lambda lib: lib.nn.Module().add_module("a", 3),
    "get-submodule": lambda lib: same_class(lib).get_submodule("a.c"),
    "get-not-module": lambda lib: same_class(lib).get_submodule("a.weight"),
    "get-parameter": lambda lib: same_class(lib).get_parameter("b"),
    "train": lambda lib: lib.nn.ReLU().train(1),
    "to-int": lambda lib: lib.nn.Linear(1, 1).to(lib.int64),
    "int-param": lambda lib: lib.nn.Parameter(lib.zeros(1, dtype=lib.int64)),
    "list-index": lambda lib: lib.nn.ModuleList([lib.nn.ReLU()])[1],
    "seq-index": lambda lib: lib.nn.Sequential(lib.nn.ReLU())[-2],
    "dict-key": lambda lib: lib.nn.ModuleDict()["a"],
    "list-extend": lambda lib: lib.nn.ModuleList(3),
    "dict-update": lambda lib: lib.nn.ModuleDict(3),
    "dict-update-pairs": lambda lib: lib.nn.ModuleDict([(1,)]),
    "plist-extend": lambda lib: lib.nn.ParameterList(lib.zeros(2)),
    "pdict-key": lambda lib: lib.nn.ParameterDict({1: lib.zeros(1)}),
    "conv-groups": lambda lib: lib.nn.Conv2d(3, 4, 1, groups=2),
    "conv-same-stride": lambda lib: lib.nn.Conv2d(3, 4, 1, stride=2, padding="same"),
    "conv-channels": lambda lib: lib.nn.Conv2d(2, 4, 3)(lib.zeros(1, 3, 8, 8)),
    "convt-mode": lambda lib: lib.nn.ConvTranspose2d(1, 1, 1, padding_mode="reflect"),
    "convt-size": lambda lib: lib.nn.ConvTranspose1d(1, 1, 3, 2)(lib.zeros(1, 1, 4), output_size=[20]),
    "linear-shape": lambda lib: lib.nn.Linear(5, 4)(lib.zeros(2, 3)),
    "bn-dim": lambda lib: lib.nn.BatchNorm1d(3)(lib.zeros(3)),
    "bn2-dim": lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(3, 3)),
    "bn-one": lambda lib: lib.nn.BatchNorm1d(3)(lib.zeros(1, 3)),
    "in-one": lambda lib: lib.nn.InstanceNorm1d(3)(lib.zeros(1, 3, 1)),
    "gn-groups": lambda lib: lib.nn.GroupNorm(2, 3),
    "gn-call": lambda lib: lib.nn.functional.group_norm(lib.zeros(2, 5), 2),
    "ln-shape": lambda lib: lib.nn.LayerNorm(4)(lib.zeros(2, 5)),
    "mha-heads": lambda lib: lib.nn.MultiheadAttention(4, 3),
    "mha-zero": lambda lib: lib.nn.MultiheadAttention(0, 3),
    "mha-embed": lambda lib: lib.nn.MultiheadAttention(4, 2)(*[lib.zeros(2, 3, 6)] * 3),
    "mha-dims": lambda lib: lib.nn.MultiheadAttention(4, 2)(lib.zeros(2, 3, 4), lib.zeros(3, 4), lib.zeros(3, 4)),
    "mha-mask": lambda lib: lib.nn.MultiheadAttention(4, 2)(*[lib.zeros(2, 3, 4)] * 3, attn_mask=lib.zeros(3, 3)),
    "mha-causal": lambda lib: lib.nn.MultiheadAttention(4, 2)(*[lib.zeros(2, 3, 4)] * 3, is_causal=True),
    "dropout-p": lambda lib: lib.nn.Dropout(2),
    "dropout-f": lambda lib: lib.nn.functional.dropout(lib.zeros(1), -0.5),
    "dropout1d-dim": lambda lib: lib.nn.functional.dropout1d(lib.zeros(1)),
    "embedding-pad": lambda lib: lib.nn.Embedding(3, 2, padding_idx=3),
    "embedding-shape": lambda lib: lib.nn.Embedding(3, 2, _weight=lib.zeros(2, 2)),
    "embedding-range": lambda lib: lib.nn.functional.embedding(lib.tensor([5]), lib.zeros(3, 2)),
    "bag-offsets": lambda lib: lib.nn.EmbeddingBag(3, 2)(lib.tensor([1])),
    "unflatten": lambda lib: lib.nn.Unflatten(1, 6),
    "unflatten-int": lambda lib: lib.nn.Unflatten(1, (2, "a")),
    "bce-size": lambda lib: lib.nn.functional.binary_cross_entropy(lib.zeros(8), lib.zeros(8, 1)),
    "bce-range": lambda lib: lib.nn.functional.binary_cross_entropy(lib.tensor([2.0]), lib.tensor([0.0])),
    "bce-target": lambda lib: lib.nn.functional.binary_cross_entropy(lib.tensor([0.5]), lib.tensor([2.0])),
    "bcel-size": lambda lib: lib.nn.functional.binary_cross_entropy_with_logits(lib.zeros(8), lib.zeros(8, 1)),
    "reduction": lambda lib: lib.nn.functional.mse_loss(lib.zeros(1), lib.zeros(1), reduction="foo"),
    "beta": lambda lib: lib.nn.functional.smooth_l1_loss(lib.zeros(1), lib.zeros(1), beta=-1),
    "delta": lambda lib: lib.nn.functional.huber_loss(lib.zeros(1), lib.zeros(1), delta=0),
    "huber-delta": lambda lib: lib.nn.HuberLoss(delta="a"),
    "ranking": lambda lib: lib.nn.functional.margin_ranking_loss(lib.zeros(1), lib.zeros(1), lib.zeros(1, 1)),
    "triplet": lambda lib: lib.nn.TripletMarginLoss(margin=0),
    "gauss-var": lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2), lib.zeros(2), -lib.ones(2)),
    "gauss-size": lambda lib: lib.nn.GaussianNLLLoss()(lib.zeros(2, 3), lib.zeros(2, 3), lib.ones(5)),
    "multi-margin": lambda lib: lib.nn.MultiMarginLoss(3),
    "poisson": lambda lib: lib.nn.functional.poisson_nll_loss(lib.zeros(1), lib.zeros(1), reduction="x"),
    "glu-odd": lambda lib: lib.nn.functional.glu(lib.zeros(3)),
    "glu-0d": lambda lib: lib.nn.functional.glu(lib.zeros(())),
    "hardtanh": lambda lib: lib.nn.Hardtanh(1, 0),
    "one_hot-neg": lambda lib: lib.nn.functional.one_hot(lib.tensor([-1])),
    "one_hot-big": lambda lib: lib.nn.functional.one_hot(lib.tensor([3]), 2),
    "one_hot-float": lambda lib: lib.nn.functional.one_hot(lib.tensor([3.0])),
    "pad-odd": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (1, 2, 3)),
    "pad-long": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (1,) * 6),
    "pad-mode": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (1, 2), mode="foo"),
    "pad-value": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (1, 2), mode="reflect", value=1.0),
    "pad-reflect": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (4, 2), mode="reflect"),
    "pad-circular": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (4, 2), mode="circular"),
    "pad-dims": lambda lib: lib.nn.functional.pad(lib.zeros(2, 3), (1,) * 4, mode="reflect"),
    "pool-pad": lambda lib: lib.nn.functional.max_pool2d(lib.zeros(1, 1, 4, 4), 2, padding=2),
    "pool-dim": lambda lib: lib.nn.functional.max_pool2d(lib.zeros(1, 4), 2),
    "pool-small": lambda lib: lib.nn.functional.max_pool2d(lib.zeros(1, 1, 4, 4), 5),
    "pixel_shuffle": lambda lib: lib.nn.functional.pixel_shuffle(lib.zeros(1, 3, 2, 2), 2),
    "interpolate-both": lambda lib: lib.nn.functional.interpolate(lib.zeros(1, 1, 2), 2, 2),
    "interpolate-dims": lambda lib: lib.nn.functional.interpolate(lib.zeros(1, 1, 2), 2, mode="bilinear"),
    "interpolate-corners": lambda lib: lib.nn.functional.interpolate(lib.zeros(1, 1, 2), 2, align_corners=True),
    "interpolate-size": lambda lib: lib.nn.functional.interpolate(lib.zeros(1, 1, 2), (2, 3)),
    "gain": lambda lib: lib.nn.init.calculate_gain("foo"),
    "gain-slope": lambda lib: lib.nn.init.calculate_gain("leaky_relu", "a"),
    "fan": lambda lib: lib.nn.init.xavier_uniform_(lib.zeros(2)),
    "mode": lambda lib: lib.nn.init.kaiming_uniform_(lib.zeros(2, 2), mode="x"),
    "eye": lambda lib: lib.nn.init.eye_(lib.zeros(2)),
    "dirac": lambda lib: lib.nn.init.dirac_(lib.zeros(2, 2)),
    "orthogonal": lambda lib: lib.nn.init.orthogonal_(lib.zeros(2)),
    "lstm-size": lambda lib: lib.nn.LSTM(3, 2)(lib.zeros(4, 2, 5)),
    "lstm-hidden": lambda lib: lib.nn.LSTM(3, 0),
    "gru-proj": lambda lib: lib.nn.GRU(3, 2, proj_size=1),
    "rnn-nonlinearity": lambda lib: lib.nn.RNN(3, 2, nonlinearity="x"),
    "cell-dim": lambda lib: lib.nn.GRUCell(3, 2)(lib.zeros(1, 1, 3)),
    "lazy-conv": lambda lib: lib.nn.LazyConv2d(3, 2)(lib.zeros(2)),
    "bilinear-zero": lambda lib: lib.nn.Bilinear(0, 1, 1),
    "clip-nonfinite": lambda lib: clip_nonfinite(lib),
    "vector": lambda lib: lib.nn.utils.vector_to_parameters(3, []),
    "transformer-batch": lambda lib: lib.nn.Transformer(4, 2, 1, 1, 4)(lib.zeros(2, 3, 4), lib.zeros(2, 2, 4)),
    "activation": lambda lib: lib.nn.TransformerEncoderLayer(4, 2, activation="x"),
}


def clip_nonfinite(lib):
    p = lib.nn.Parameter(lib.zeros(2))
    p.grad = lib.tensor([math.inf, 1.0])
    lib.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


def raised(function, lib):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(lib)
        except Exception as error:
            return type(error), str(error.args[0] if error.args else "")
    return None, ""


def first_line(text):
    # Some lines are put together of several sentences, but ours only adds lines below.
    return text.split("\n")[0]


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_torchs(name):
    torch = oracle()
    kind, text = raised(ERRORS[name], torch)
    assert kind is not None, "torch does not raise here"
    mine, said = raised(ERRORS[name], H)
    assert mine is kind, said
    if kind is RuntimeError and "loading state_dict" in text:
        assert f"{said}\n".startswith(f"{text}\n")
    else:
        assert first_line(said) == first_line(text)


WARNINGS = {
    "mse": lambda lib: lib.nn.functional.mse_loss(lib.zeros(8), lib.zeros(8, 1)),
    "l1": lambda lib: lib.nn.L1Loss()(lib.zeros(8), lib.zeros(8, 1)),
    "smooth_l1": lambda lib: lib.nn.functional.smooth_l1_loss(lib.zeros(8), lib.zeros(8, 1)),
    "huber": lambda lib: lib.nn.functional.huber_loss(lib.zeros(8), lib.zeros(8, 1)),
    "kl_div": lambda lib: lib.nn.functional.kl_div(lib.zeros(8), lib.zeros(8)),
    "softmax": lambda lib: lib.nn.functional.softmax(lib.zeros(8)),
    "log_softmax": lambda lib: lib.nn.LogSoftmax()(lib.zeros(2, 2)),
    "size_average": lambda lib: lib.nn.MSELoss(size_average=False),
    "reduce": lambda lib: lib.nn.functional.l1_loss(lib.zeros(2), lib.zeros(2), reduce=False),
    "dropout2d": lambda lib: lib.nn.functional.dropout2d(lib.zeros(1, 2, 3)),
    "dropout2d-dim": lambda lib: lib.nn.functional.dropout2d(lib.zeros(2, 3)),
    "init": lambda lib: lib.nn.init.xavier_uniform(lib.zeros(2, 2)),
    "init-empty": lambda lib: lib.nn.init.kaiming_uniform_(lib.zeros(2, 0)),
    "trunc": lambda lib: lib.nn.init.trunc_normal_(lib.zeros(2), 9.0),
    "lstm-dropout": lambda lib: lib.nn.LSTM(2, 2, dropout=0.5),
    "clip": lambda lib: lib.nn.utils.clip_grad_norm_((p for p in []), 1.0),
    "state_dict-positional": lambda lib: lib.nn.Linear(1, 1).state_dict(OrderedDict()),
    "upsample": lambda lib: lib.nn.functional.upsample(lib.zeros(1, 1, 2), 2),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warning_is_torchs(name):
    torch = oracle()
    said = []
    for lib in (H, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNINGS[name](lib)
        said.append([(w.category, str(w.message)) for w in caught])
    assert said[1], "torch does not warn here"
    assert said[0] == said[1]


def parameters_of(function):
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind, "function" if inspect.isfunction(p.default) else p.default) for p in found]


def test_signatures_are_torchs():
    """Every class and function that both have takes the same arguments with the same defaults."""
    torch = oracle()
    if not OURS:
        pytest.skip("compares Hadamard with torch")
    wrong = []
    for where in ("nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn"):
        mine, other = H, torch
        for part in where.split("."):
            mine, other = getattr(mine, part), getattr(other, part)
        for name in dir(other):
            a, b = getattr(mine, name, None), getattr(other, name)
            if name.startswith("_") or a is None or not callable(b):
                continue
            pairs = [(a, b)]
            if inspect.isclass(b) and issubclass(b, torch.nn.Module) and name != "RNNBase":
                pairs.append((a.forward, b.forward))
            for f, g in pairs:
                got, want = parameters_of(f), parameters_of(g)
                general = want is not None and any(kind is inspect.Parameter.VAR_KEYWORD for _, kind, _ in want)
                if want is not None and got is not None and got != want and not general:
                    wrong.append((where, name, got, want))
    for name in dir(torch.nn.Module):
        f, g = getattr(nn.Module, name, None), getattr(torch.nn.Module, name)
        if not name.startswith("_") and callable(g) and f is not None and parameters_of(f) != parameters_of(g):
            wrong.append(("Module", name, parameters_of(f), parameters_of(g)))
    assert not wrong, wrong[:3]


# Module


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
        self.register_buffer("seen", H.zeros(2))
        self.register_buffer("cache", H.ones(1), persistent=False)

    def forward(self, x, shift=0.0):
        return self.second(self.first(x)) + shift


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (2, 5, 3), (2, 5, 3, 4)])
@pytest.mark.parametrize("dtype", [H.float32, H.float64, H.float16])
def test_gradient_of_classes_is_the_same_with_and_without_a_graph(shape, dtype, reduction):
    """One loop, or ops that have gradients themselves; a hook may hand back what was saved in another form."""
    H.manual_seed(0)
    x = H.randn(shape).to(dtype).requires_grad_()
    t = H.randint(0, 5, shape[:1] * (len(shape) > 1) + shape[2:])
    weight = H.rand(5).to(dtype)
    for more in {}, {"weight": weight}, {"ignore_index": int(t.max())}:
        y = F.nll_loss(x, t, reduction=reduction, **more)
        g = H.randn(y.shape).to(dtype)
        composed = H.autograd.grad(y, x, g, create_graph=True)[0].detach()
        H.testing.assert_close(H.autograd.grad(y, x, g)[0], composed, rtol=0, atol=0, equal_nan=True)
        with H.autograd.graph.saved_tensors_hooks(lambda s: s, lambda s: s if s.dtype == H.int64 else s.double()):
            y = F.nll_loss(x, t, reduction=reduction, **more)
        H.testing.assert_close(H.autograd.grad(y, x, g)[0], composed, equal_nan=True)


def test_named_members():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["first.weight", "first.bias", "second.1.weight", "second.1.bias"]
    assert [n for n, _ in net.named_parameters(prefix="p", recurse=False)] == []
    assert [n for n, _ in net.named_buffers()] == ["seen", "cache"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [n for n, _ in net.named_children()] == ["first", "second"]
    assert list(net.state_dict()) == [
        "seen",
        "first.weight",
        "first.bias",
        "second.1.weight",
        "second.1.bias",
    ]
    assert "first" in dir(net) and "seen" in dir(net)


def test_shared_parameter_is_listed_once():
    net = Net()
    net.third = nn.Linear(3, 4)
    net.third.weight = net.first.weight
    names = [n for n, _ in net.named_parameters()]
    assert "third.weight" not in names and "third.bias" in names
    assert "third.weight" in [n for n, _ in net.named_parameters(remove_duplicate=False)]
    assert "third.weight" in net.state_dict()
    (net.first(H.ones(1, 3)) + net.third(H.ones(1, 3))).sum().backward()
    assert values(net.first.weight.grad).tolist() == [[2.0] * 3] * 4
    twin = copy.deepcopy(net)
    assert twin.third.weight is twin.first.weight


def test_setattr_moves_between_stores():
    m = nn.Module()
    m.x = H.ones(1)
    assert "x" in m.__dict__
    m.x = nn.Parameter(H.ones(1))
    assert "x" not in m.__dict__ and "x" in m._parameters
    m.x = None
    assert m.x is None and "x" in m._parameters
    del m.x
    m.x = nn.Buffer(H.ones(1), persistent=False)
    assert "x" in m._buffers and "x" not in m.state_dict()
    m.x = H.zeros(1)
    assert "x" in m._buffers and "x" not in m.state_dict()
    del m.x
    m.x = nn.ReLU()
    assert list(m.children()) == [m._modules["x"]]
    with pytest.raises(AttributeError):
        del m.y


def test_state_dict_round_trip():
    a, b = Net(), Net()
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert H.equal(p, q) and p is not q
    shared = a.state_dict(keep_vars=True)
    assert shared["first.weight"] is a.first.weight
    assert not a.state_dict()["first.weight"].requires_grad
    left_out = a.state_dict()
    del left_out["seen"]
    left_out["new"] = H.ones(1)
    keys = b.load_state_dict(left_out, strict=False)
    assert keys.missing_keys == ["seen"] and keys.unexpected_keys == ["new"]
    assert a.state_dict()._metadata["second.1"] == {"version": 1}


def test_load_with_assign():
    a, b = Net(), Net()
    state = a.state_dict()
    b.load_state_dict(state, assign=True)
    assert b.first.weight.data_ptr() == a.first.weight.data_ptr()
    assert isinstance(b.first.weight, nn.Parameter) and b.first.weight.requires_grad


def test_extra_state_and_hooks_of_state_dict():
    class Extra(nn.Module):
        def get_extra_state(self):
            return {"n": 3}

        def set_extra_state(self, state):
            self.loaded = state

    m = Extra()
    assert m.state_dict() == {"_extra_state": {"n": 3}}
    m.load_state_dict(m.state_dict())
    assert m.loaded == {"n": 3}
    net = Net()
    net.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update(added=1) and None)
    net.register_load_state_dict_pre_hook(lambda module, state, *rest: state.pop("added"))
    called = []
    net.register_load_state_dict_post_hook(lambda module, keys: called.append(keys.missing_keys))
    state = net.state_dict()
    assert state["added"] == 1
    net.load_state_dict(state)
    assert called == [[]]


def test_forward_hooks():
    net = nn.Linear(2, 2, bias=False)
    net.weight.data.fill_(1.0)
    x = H.ones(1, 2)
    order = []
    first = net.register_forward_hook(lambda m, args, out: order.append("a"))
    net.register_forward_hook(lambda m, args, out: order.append("b") or out * 2, prepend=True)
    net.register_forward_pre_hook(lambda m, args: (args[0] * 3,))
    assert values(net(x)).tolist() == [[12.0, 12.0]]
    assert order == ["b", "a"]
    first.remove()
    net(x)
    assert order == ["b", "a", "b"]
    with first:
        pass


def test_hooks_with_kwargs_and_always_call():
    net = Net()
    seen = []
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"shift": 1.0}), with_kwargs=True)
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    x = H.zeros(1, 3)
    a = net(x)
    assert seen == [{"shift": 1.0}]
    assert H.allclose(a - 1.0, net.forward(x))
    failing = nn.Linear(2, 2)
    failing.register_forward_hook(lambda m, args, out: seen.append("called"), always_call=True)
    with pytest.raises(RuntimeError):
        failing(H.ones(1, 3))
    assert seen[-1] == "called"


def test_global_hooks():
    from importlib import import_module

    module = import_module(H.__name__ + ".nn.modules.module")
    seen = []
    handle = module.register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
    nn.Sequential(nn.ReLU())(H.ones(1))
    handle.remove()
    nn.ReLU()(H.ones(1))
    assert seen == ["ReLU", "Sequential"]


def test_full_backward_hooks():
    net = nn.Linear(2, 3, bias=False)
    seen = []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    x = H.ones(1, 2, requires_grad=True)
    (net(x).sum() + x.sum()).backward()
    ((gi,), (go,)) = seen[0]
    assert values(go).tolist() == [[2.0] * 3]
    np.testing.assert_allclose(values(gi), values(net.weight.detach().sum(0, keepdim=True) * 2), rtol=1e-6)
    np.testing.assert_allclose(values(x.grad), values(gi) + 1, rtol=1e-6)
    assert values(net.weight.grad).tolist() == [[2.0, 2.0]] * 3


def test_full_backward_hook_replaces_gradient():
    net = nn.Linear(2, 2)
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 0 + 5,))
    x = H.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert values(x.grad).tolist() == [[5.0, 5.0]]


def test_full_backward_hook_without_input_gradient():
    net = nn.Linear(2, 2)
    seen = []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((len(gi), go[0])))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        net(H.ones(1, 2)).sum().backward()
    assert values(seen[0][1]).tolist() == [[1.0, 1.0]]


def test_train_eval_apply_to():
    net = Net()
    assert net.training and not net.eval().training and not net.second[1].training
    assert net.train() is net
    counted = []
    net.apply(lambda m: counted.append(type(m).__name__))
    assert counted == ["Linear", "ReLU", "Linear", "Sequential", "Net"]
    weight = net.first.weight
    net.first.weight.grad = H.ones(4, 3)
    net.double()
    assert net.first.weight is weight and weight.dtype == H.float64 and weight.grad.dtype == H.float64
    assert net.seen.dtype == H.float64
    net.half()
    assert weight.dtype == H.float16
    net.to(H.ones(1))
    assert weight.dtype == H.float32
    net.to("cpu", H.float64).float()
    net.register_buffer("count", H.tensor(3))
    net.double()
    assert net.count.dtype == H.int64
    net.type(H.float32)
    assert net.count.dtype == H.float32
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad():
    net = Net()
    net(H.ones(1, 3)).sum().backward()
    assert net.first.bias.grad is not None
    net.zero_grad(set_to_none=False)
    assert values(net.first.bias.grad).tolist() == [0.0] * 4
    net.zero_grad()
    assert net.first.bias.grad is None


def test_meta_module():
    net = nn.Linear(3, 2, device="meta")
    assert net.weight.device.type == "meta"
    with pytest.raises(NotImplementedError, match="to_empty"):
        net.to("cpu")
    net.to_empty(device="cpu")
    assert net.weight.device.type == "cpu" and net(H.ones(1, 3)).shape == (1, 2)


def test_pickle_and_deepcopy():
    net = Net()
    net.first.weight.grad = None
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert repr(twin) == repr(net)
        for p, q in zip(net.parameters(), twin.parameters(), strict=True):
            assert isinstance(q, nn.Parameter) and H.equal(p, q) and p is not q
            assert p.data_ptr() != q.data_ptr() and q.requires_grad
        assert H.equal(twin(H.ones(2, 3)), net(H.ones(2, 3)))
    shallow = copy.copy(net)
    assert shallow.first is net.first


def test_save_and_load_state():
    net, twin = Net(), Net()
    file = io.BytesIO()
    H.save(net.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(H.load(file))
    assert H.equal(net.first.weight, twin.first.weight)


def test_get_and_set_submodule():
    net = Net()
    assert net.get_submodule("") is net and net.get_submodule("second.1") is net.second[1]
    assert net.get_parameter("second.1.bias") is net.second[1].bias
    assert net.get_buffer("seen") is net.seen
    net.set_submodule("second.0", nn.Tanh())
    assert isinstance(net.second[0], nn.Tanh)


# Parameter and containers


def test_parameter():
    p = nn.Parameter(H.ones(2))
    assert isinstance(p, H.Tensor) and p.requires_grad and p.is_leaf
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert type(p * 2) is H.Tensor
    assert type(p.data) is H.Tensor and type(p.detach()) is H.Tensor
    shared = H.ones(2)
    q = nn.Parameter(shared, requires_grad=False)
    shared.add_(1)
    assert values(q).tolist() == [2.0, 2.0] and not q.requires_grad
    assert repr(nn.Parameter(H.ones(1, dtype=H.int64), False)) == "Parameter containing:\ntensor([1])"
    twin = copy.deepcopy({"a": p, "b": p})
    assert twin["a"] is twin["b"] and isinstance(twin["a"], nn.Parameter)
    p.note = "kept"
    assert pickle.loads(pickle.dumps(p)).note == "kept"
    assert nn.Parameter().shape == (0,)
    assert not isinstance(H.ones(1), nn.Parameter)


def test_parameter_times_tensor():
    p = nn.Parameter(H.tensor([1.0, 2.0]))
    x = H.tensor([3.0, 4.0])
    y = p * x
    assert y.grad_fn.name() == "MulBackward0"
    y.sum().backward()
    assert H.equal(p.grad, x)


def test_buffer():
    b = nn.Buffer(H.ones(2))
    assert isinstance(b, nn.Buffer) and isinstance(b, H.Tensor) and not isinstance(b, nn.Parameter)


def test_sequential():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3)
    seq = nn.Sequential(OrderedDict(a=a, b=b))
    assert seq.a is a and seq[0] is a and seq[-1] is b and len(seq) == 2
    seq.append(c)
    assert seq[2] is c and list(seq._modules) == ["a", "b", "2"]
    assert isinstance(seq[1:], nn.Sequential) and len(seq[1:]) == 2
    plain = nn.Sequential(a, b)
    plain.insert(1, c)
    assert list(plain) == [a, c, b]
    del plain[1]
    assert list(plain._modules) == ["0", "1"]
    assert list(plain + nn.Sequential(c)) == [a, b, c]
    assert len(plain * 2) == 4 and plain.pop(0) is a
    plain.extend([c, c])
    plain[0] = a
    assert list(plain) == [a, c, c]


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(2, 2)] * 2)
    layers.append(nn.ReLU())
    layers += [nn.Tanh()]
    layers.insert(0, nn.Tanh())
    assert len(layers) == 5 and isinstance(layers[1:3], nn.ModuleList) and isinstance(layers[-1], nn.Tanh)
    del layers[0]
    assert isinstance(layers.pop(2), nn.ReLU)
    layers[0] = nn.Identity()
    assert [type(m).__name__ for m in layers] == ["Identity", "Linear", "Tanh"]
    assert len(layers + [nn.ReLU()]) == 4
    table = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Tanh()})
    assert list(table) == ["b", "a"] and "a" in table and len(table) == 2
    table.update([("c", nn.Linear(1, 1))])
    assert isinstance(table.pop("a"), nn.Tanh) and [k for k, _ in table.items()] == ["b", "c"]
    table.clear()
    assert len(table) == 0


def test_parameter_list_and_dict():
    held = nn.ParameterList([H.ones(1), nn.Parameter(H.zeros(2)), "text"])
    assert isinstance(held[0], nn.Parameter) and len(list(held.parameters())) == 2 and held[-1] == "text"
    held.append(H.ones(3))
    held[0] = H.zeros(4)
    assert held[0].shape == (4,) and len(held) == 4 and len(held[1:]) == 3
    assert list(held.state_dict()) == ["0", "1", "3"]
    table = nn.ParameterDict({"x": H.ones(1), "y": H.ones(2)})
    assert isinstance(table["x"], nn.Parameter) and list(table.keys()) == ["x", "y"]
    assert table.get("z", 3) == 3 and table.setdefault("w", H.ones(1)) is table["w"]
    both = table | nn.ParameterDict({"q": H.ones(1)})
    assert "q" in both and "q" not in table
    assert table.pop("x").shape == (1,) and table.popitem()[0] == "w"
    with pytest.raises(RuntimeError, match="should not be called"):
        table(1)


# Layers by their definitions, torch or not


def test_linear_by_numpy():
    layer = nn.Linear(4, 3).double()
    x = randn(5, 4)
    want = x @ values(layer.weight).T + values(layer.bias)
    np.testing.assert_allclose(values(layer(ours(x))), want, rtol=1e-12)
    assert layer.weight.shape == (3, 4)


def test_conv_by_loop():
    conv = nn.Conv2d(2, 3, 3, padding=1, stride=2).double()
    x = randn(1, 2, 5, 6)
    w, b = values(conv.weight), values(conv.bias)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = values(conv(ours(x)))
    for o in range(3):
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                patch = padded[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                assert abs(y[0, o, i, j] - (patch * w[o]).sum() - b[o]) < 1e-12


def test_conv_transpose_is_the_gradient_of_conv():
    x, w = randn(2, 3, 5, 6), randn(3, 4, 3, 2)
    y = F.conv_transpose2d(ours(x), ours(w), stride=2, padding=1)
    z = H.zeros(y.shape, dtype=H.float64, requires_grad=True)
    F.conv2d(z, ours(w), stride=2, padding=1).backward(ours(x))
    np.testing.assert_allclose(values(y), values(z.grad), atol=1e-12)


def test_batch_norm_by_numpy():
    norm = nn.BatchNorm1d(4).double()
    x = randn(6, 4) * 3 + 1
    y = values(norm(ours(x)))
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), atol=1e-12)
    np.testing.assert_allclose(values(norm.running_mean), 0.1 * x.mean(0), atol=1e-12)
    np.testing.assert_allclose(values(norm.running_var), 0.9 + 0.1 * x.var(0, ddof=1), atol=1e-12)
    assert int(norm.num_batches_tracked) == 1
    y = values(norm.eval()(ours(x)))
    want = (x - values(norm.running_mean)) / np.sqrt(values(norm.running_var) + 1e-5)
    np.testing.assert_allclose(y, want, atol=1e-12)


def test_cross_entropy_by_numpy():
    x, t = randn(5, 7), ints(7, 5)
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    want = -np.log(p[np.arange(5), t]).mean()
    logits = ours(x, True)
    loss = nn.CrossEntropyLoss()(logits, ours(t))
    assert abs(loss.item() - want) < 1e-12
    loss.backward()
    np.testing.assert_allclose(values(logits.grad), (p - np.eye(7)[t]) / 5, atol=1e-12)


def test_bce_at_the_ends():
    """Exact 0 and 1 give a finite loss and torch's cut-off gradient."""
    x = H.tensor([0.0, 1.0, 1.0], dtype=H.float64, requires_grad=True)
    loss = F.binary_cross_entropy(x, H.tensor([1.0, 0.0, 1.0], dtype=H.float64), reduction="sum")
    assert loss.item() == 200.0
    loss.backward()
    np.testing.assert_allclose(values(x.grad), [-1e12, 1e12, 0.0], rtol=1e-6)


def test_dropout():
    y = nn.Dropout(0.25)(H.ones(10000))
    kept = values(y) != 0
    assert abs(kept.mean() - 0.75) < 0.02 and np.allclose(values(y)[kept], 1 / 0.75)
    x = H.ones(3)
    assert F.dropout(x, 0.5, training=False) is not None and values(nn.Dropout().eval()(x)).tolist() == [1.0] * 3
    y = values(nn.Dropout2d(0.5)(H.ones(50, 20, 2, 2)))
    assert all(len(set(channel.ravel())) == 1 for sample in y for channel in sample)
    z = H.ones(1000)
    assert nn.Dropout(0.5, inplace=True)(z) is z and (values(z) == 0).any()


def test_attention_masks():
    torch = oracle()
    H.manual_seed(3)
    a = nn.MultiheadAttention(8, 2, batch_first=True)
    torch.manual_seed(3)
    b = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    x = RNG.standard_normal((2, 5, 8)).astype(np.float32)
    hidden = np.zeros((2, 5), bool)
    hidden[0, 3:] = True
    causal = np.triu(np.ones((5, 5), bool), 1)
    for need in (True, False):
        for mask in (None, causal):
            for average in (True, False):
                got = a(
                    *[ours(x)] * 3,
                    key_padding_mask=ours(hidden),
                    attn_mask=None if mask is None else ours(mask),
                    need_weights=need,
                    average_attn_weights=average,
                )
                want = b(
                    *[theirs(torch, x)] * 3,
                    key_padding_mask=theirs(torch, hidden),
                    attn_mask=None if mask is None else theirs(torch, mask),
                    need_weights=need,
                    average_attn_weights=average,
                )
                for p, q in zip(tensors(got), tensors(want), strict=True):
                    close(p, q, 2e-5)


def test_attention_row_that_sees_nothing():
    q = ours(randn(1, 2, 3))
    mask = H.tensor([[True, True], [False, False]])
    y = values(F.scaled_dot_product_attention(q, q, q, mask))
    assert np.isfinite(y).all() and (y[0, 1] == 0).all()


def test_packed_sequences():
    torch = oracle()
    sequences = [randn(n, 3) for n in (2, 5, 4)]
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a: theirs(torch, a))):
        lib.manual_seed(1)
        layer = lib.nn.LSTM(3, 4, bidirectional=True).double()
        packed = lib.nn.utils.rnn.pack_sequence([tensor(s) for s in sequences], enforce_sorted=False)
        out, (h, c) = layer(packed)
        padded, lengths = lib.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, padding_value=7.0)
        sides.append((packed.data, packed.batch_sizes, padded, lengths, h, c))
    for a, b in zip(*sides, strict=True):
        close(a, b)
    back = nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence([ours(s) for s in sequences], False))
    for a, s in zip(back, sequences, strict=True):
        assert (values(a) == s).all()


def test_lazy_modules():
    layer = nn.LazyLinear(3)
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    with pytest.raises(RuntimeError, match="uninitialized"):
        layer.weight.shape  # noqa: B018
    full = nn.Linear(5, 3)
    layer.load_state_dict(full.state_dict())
    assert layer.weight.shape == (3, 5)
    layer(H.ones(1, 5))
    assert type(layer) is nn.Linear and type(layer.weight) is nn.Parameter
    norm = nn.LazyBatchNorm1d()
    norm(H.randn(4, 6))
    assert type(norm) is nn.BatchNorm1d and norm.running_mean.shape == (6,)


# Utilities


def test_clip_grad_norm():
    torch = oracle()
    for norm_type in (1.0, 2.0, 3.5, math.inf):
        grads = [RNG.standard_normal(s) for s in ((3,), (2, 2))]
        sides = []
        for lib, tensor in ((H, ours), (torch, lambda a: theirs(torch, a))):
            params = [lib.nn.Parameter(tensor(np.zeros_like(g))) for g in grads]
            for p, g in zip(params, grads, strict=True):
                p.grad = tensor(g.copy())
            params.append(lib.nn.Parameter(lib.zeros(1)))
            total = lib.nn.utils.clip_grad_norm_(params, 0.5, norm_type)
            sides.append([total, *(p.grad for p in params[:-1])])
        for a, b in zip(*sides, strict=True):
            close(a, b, 1e-7)


def test_clip_grad_value_and_total_norm():
    p = nn.Parameter(H.zeros(3))
    p.grad = H.tensor([-3.0, 0.1, 4.0])
    assert abs(nn.utils.get_total_norm([p.grad]).item() - math.sqrt(25.01)) < 1e-5
    nn.utils.clip_grad_value_([p], 0.5)
    assert values(p.grad).tolist() == pytest.approx([-0.5, 0.1, 0.5])
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0


def test_parameters_to_vector():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    nn.utils.vector_to_parameters(H.arange(9.0), net.parameters())
    assert values(net.weight).tolist() == [[0, 1], [2, 3], [4, 5]] and values(net.bias).tolist() == [6, 7, 8]


def test_weight_norm():
    torch = oracle()
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a, g: theirs(torch, a, g))):
        lib.manual_seed(2)
        layer = lib.nn.Conv1d(4, 3, 2).double()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = lib.nn.utils.weight_norm(layer, dim=0)
        x = tensor(X345, True)
        out = layer(x)
        backward(out)
        sides.append((out, x.grad, layer.weight_g, layer.weight_g.grad, layer.weight_v.grad))
    for a, b in zip(*sides, strict=True):
        close(a, b)
    layer = nn.utils.weight_norm(nn.Linear(2, 3), dim=None)
    before = values(layer.weight).copy()
    nn.utils.remove_weight_norm(layer)
    np.testing.assert_allclose(values(layer.weight), before, rtol=1e-6)
    assert isinstance(layer.weight, nn.Parameter)
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found"):
        nn.utils.remove_weight_norm(layer)


def test_spectral_norm():
    torch = oracle()
    sides = []
    for lib, tensor in ((H, ours), (torch, lambda a, g: theirs(torch, a, g))):
        lib.manual_seed(2)
        layer = lib.nn.utils.spectral_norm(lib.nn.ConvTranspose1d(4, 3, 2).double(), n_power_iterations=2)
        x = tensor(X345, True)
        for _ in range(2):
            out = layer(x)
        backward(out)
        layer.eval()
        sides.append((out, x.grad, layer.weight_orig.grad, layer.weight_u, layer.weight_v, layer(x)))
    for a, b in zip(*sides, strict=True):
        close(a, b)
    layer = nn.utils.spectral_norm(nn.Linear(3, 3))
    for _ in range(50):
        layer(H.ones(1, 3))
    nn.utils.remove_spectral_norm(layer)
    assert abs(np.linalg.svd(values(layer.weight))[1][0] - 1) < 1e-3
    assert isinstance(layer.weight, nn.Parameter) and list(layer.state_dict()) == ["bias", "weight"]


def test_functional_call():
    net = Net()
    given = {name: H.zeros_like(p) for name, p in net.named_parameters()}
    call = nn.utils.stateless.functional_call
    before = net.first.weight
    assert values(call(net, given, (H.ones(1, 3),), {"shift": 2.0})).tolist() == [[2.0, 2.0]]
    assert net.first.weight is before
    leaf = H.ones(2, requires_grad=True)
    call(net, {**given, "second.1.bias": leaf}, H.ones(1, 3)).sum().backward()
    assert values(leaf.grad).tolist() == [1.0, 1.0]


def test_fusing_with_batch_norm():
    conv, norm = nn.Conv2d(2, 3, 3).double(), nn.BatchNorm2d(3).double()
    x = ours(randn(4, 2, 5, 5))
    norm(conv(x))
    conv.eval()
    norm.eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(values(fused(x)), values(norm(conv(x))), atol=1e-12)


def test_data_parallel_runs_as_the_module():
    wrapped = nn.DataParallel(Net())
    assert "module.first.weight" in wrapped.state_dict()
    assert H.equal(wrapped(H.ones(1, 3)), wrapped.module(H.ones(1, 3)))


def test_learns():
    """A small network fits a line and a circle's inside: everything above at work at once."""
    x = H.randn(200, 2)
    y = ((x * x).sum(1) < 1.0).long()
    net = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = H.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        optimizer.step()
    assert (net.eval()(x).argmax(1) == y).float().mean().item() > 0.95


def our_modules():
    """Every module of the package whose examples are to run."""
    if not OURS:
        return []
    names = ["nn.functional", "nn._grid", "nn.init", "nn.parameter", "nn._pool", "nn._resize", "nn._attention"]
    names += [f"nn.modules.{m}" for m in ("module", "container", "linear", "conv", "batchnorm", "normalization")]
    names += [f"nn.modules.{m}" for m in ("activation", "loss", "distance", "dropout", "flatten", "pooling")]
    names += [
        f"nn.modules.{m}"
        for m in ("sparse", "padding", "fold", "pixelshuffle", "upsampling", "instancenorm", "rnn", "transformer")
    ]
    names += [
        "nn.parallel",
        "nn.utils.weight_norm",
        "nn.utils.spectral_norm",
        "nn.utils.stateless",
        "nn.utils.init",
        "nn.utils.clip_grad",
        "nn.utils.rnn",
        "utils.hooks",
    ]
    return names


@pytest.mark.parametrize("name", our_modules())
def test_examples(name):
    module = importlib.import_module(f"{H.__name__}.{name}")
    failed, run = doctest.testmod(module, extraglobs={"F": F}, verbose=False)
    assert failed == 0


@pytest.mark.skipif(torch is None, reason="compared with torch")
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested tensors")
def test_encoder_drops_padding_as_torch_does(norm_first, ordered):
    """Without gradients, and padding behind the samples only, torch gives zeros there: it computes without them."""
    results = []
    for lib in (H, torch):
        lib.manual_seed(0)
        layer = lib.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
        encoder = lib.nn.TransformerEncoder(layer, 2).eval()
        padding = lib.tensor([[False, False, True, True], [False, not ordered, False, False]])
        with lib.no_grad():
            results.append(encoder(lib.randn(2, 4, 8), src_key_padding_mask=padding))
    np.testing.assert_allclose(results[0].numpy(), results[1].numpy(), atol=1e-5)
    assert bool((results[0][0, 2:] == 0).all()) == (ordered and not norm_first)


def test_encoder_says_why_it_computes_with_padding():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    with pytest.warns(UserWarning, match=r"because encoder_layer.self_attn.batch_first was not True\(use batch_first"):
        nn.TransformerEncoder(layer, 1)


def test_layers_name_their_nodes_as_torch_does():
    y, v = H.randn(2, 4, 4, 4, requires_grad=True), H.randn(3, 4, requires_grad=True)
    x = H.randn(5, 2, 4)
    names = {
        "MkldnnRnnLayerBackward0": nn.LSTM(4, 3)(x)[0],
        "CatBackward0": nn.GRU(4, 3, bidirectional=True)(x)[0],
        "TransposeBackward1": nn.RNN(4, 3, batch_first=True)(x)[0],
        "ConstantPadNdBackward0": F.pad(y, (1, 1)),
        "ReflectionPad2DBackward0": F.pad(y, (1, 1, 1, 1), "reflect"),
        "UpsampleBilinear2DBackward0": F.interpolate(y, scale_factor=2, mode="bilinear"),
        "PixelShuffleBackward0": F.pixel_shuffle(y, 2),
        "GluBackward0": F.glu(v),
        "PreluKernelBackward0": nn.PReLU()(v),
        "GeluBackward0": F.gelu(v, approximate="tanh"),
        "EluBackward0": F.selu(v),
        "DivBackward1": F.cross_entropy(v, v.detach().softmax(1)),
        "EmbeddingBagBackward0": nn.EmbeddingBag(4, 3)(H.tensor([[0, 1]])),
        "LinalgDetBackward0": H.linalg.det(v[:, :3]),
        "FftR2CBackward0": H.fft.rfft(v),
    }
    assert {name: t.grad_fn.name() for name, t in names.items()} == {name: name for name in names}


def every_way_to_be_called(nn):
    """What a module's call and its attributes do where a class, an instance or a patch has its own way."""
    said = []

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()
            self.register_buffer("kept", None)

        def forward(self, *args, **kwargs):
            return "forward", args, kwargs

    class Called(Plain):
        def __call__(self, x):
            return "own call", super().__call__(x)

    class Found(Plain):
        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name != "nothing":
                    raise
                return "found"

    class Asked(Plain):
        def __getattribute__(self, name):
            if name == "forward":
                return lambda *args: ("asked", args)
            return super().__getattribute__(name)

    class Refusing(Plain):
        @property
        def wrong(self):
            raise AttributeError("from the property")

        @property
        def worse(self):
            raise KeyError("from the property")

    class Other(Plain):
        def forward(self, *args):
            return "other", args

    plain = Plain()
    said += [plain(), plain(1), plain(1, a=2), plain(*range(9)), Called()(1), Asked()(1)]
    said += [type(plain.inner).__name__, plain.kept, Found().nothing, type(Found().inner).__name__]
    for name in ("nothing", "wrong", "worse"):
        try:
            getattr(Refusing(), name)
        except Exception as error:
            said.append((type(error).__name__, str(error)))
    said.append(hasattr(plain, "nothing"))
    late = Plain()
    late.forward = lambda x: ("instance", x)
    said.append(late(3))
    del late.forward
    said.append(late(3))
    late.__class__ = Other
    said.append(late(4))
    late.__class__ = type("Mixed", (type("Mixin", (), {"more": 1}), Plain), {})
    said += [late(4), late.more]
    Other.forward = lambda self, x: ("patched", x)
    said.append(Other()(5))
    Other.__call__ = lambda self, x: ("patched call", x)
    said.append(Other()(6))
    del Other.__call__
    said.append(Other()(7))
    other = Other()
    Other.__getattr__ = lambda self, name: "patched " + name
    said.append(other.nothing)
    plain.register_forward_hook(lambda module, args, y: ("hooked", args, y))
    said.append(plain(8))
    return said


def test_every_way_to_be_called():
    said = every_way_to_be_called(nn)
    assert said[0] == ("forward", (), {}) and said[5] == ("asked", (1,)) and said[-1][0] == "hooked"
    assert said == every_way_to_be_called(oracle().nn)
