"""Layers joined for inference: a batch norm becomes part of the convolution or linear map before it."""

import copy

import hadamard as H

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Weight and bias of the convolution that does what `conv` and then the batch norm do."""
    bias = H.zeros_like(bn_rm) if conv_b is None else conv_b
    scale = (bn_rv + bn_eps).rsqrt()
    if bn_w is not None:
        scale = scale * bn_w
    shift = (bias - bn_rm) * scale + (0 if bn_b is None else bn_b)
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    return Parameter((conv_w * scale.reshape(shape)).to(conv_w.dtype)), Parameter(shift.to(bias.dtype))


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Weight and bias of the linear map that does what `linear` and then the batch norm do."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(layer, bn, transpose):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    result = copy.deepcopy(layer)
    result.weight, result.bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return result


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of `conv` that does the work of `bn` too; both must be in evaluation mode."""
    return _fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear, bn):
    """A copy of `linear` that does the work of `bn` too; both must be in evaluation mode."""
    return _fused(linear, bn, False)
