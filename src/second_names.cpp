// torch's names of second derivatives that are ops of their own there.
#include "engine.h"

#include <algorithm>
#include <map>
#include <string>

namespace hadamard {
namespace {
// nullptr for what torch composes.
const char *second_name(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> names = [] {
    std::map<std::string, std::string, std::less<>> r{
        {"ReluBackward0", "ThresholdBackwardBackward0"},
        {"EmbeddingBackward0", "EmbeddingDenseBackwardBackward0"},
        {"SoftmaxBackward0", "SoftmaxBackwardDataBackward0"},
        {"LogSoftmaxBackward0", "LogSoftmaxBackwardDataBackward0"},
    };
    for (const char *op : {"AdaptiveAvgPool2D",
                           "AdaptiveMaxPool2D",
                           "AvgPool2D",
                           "Cdist",
                           "Convolution",
                           "Diagonal",
                           "Elu",
                           "Gelu",
                           "Hardshrink",
                           "Hardswish",
                           "Hardtanh",
                           "HuberLoss",
                           "LeakyRelu",
                           "LogSigmoid",
                           "MaxPool2DWithIndices",
                           "MseLoss",
                           "NativeBatchNorm",
                           "NativeLayerNorm",
                           "NllLoss",
                           "RreluWithNoise",
                           "Select",
                           "Sigmoid",
                           "Slice",
                           "SmoothL1Loss",
                           "Softplus",
                           "Softshrink",
                           "Tanh",
                           "Threshold",
                           "Unfold"})
      r[std::string(op) + "Backward0"] = std::string(op) + "BackwardBackward0";
    return r;
  }();
  auto found = names.find(name);
  return found == names.end() ? nullptr : found->second.c_str();
}
} // namespace

void name_second(const Node &node, const TensorList &grads, uint64_t first) {
  const char *name = second_name(node.name());
  if (!name) return;
  // Of the normalisations only the input's gradient is an op's.
  size_t n = std::string_view(name).starts_with("Native") ? std::min<size_t>(1, grads.size()) : grads.size();
  for (size_t i = 0; i < n; ++i)
    if (grads[i] && grads[i]->fn && grads[i]->fn->sequence >= first)
      if (!grads[i]->fn->as_accumulate()) grads[i]->fn->label = name;
}

} // namespace hadamard
