// The ops of ops/elementwise.h as this level's kernels see them.
#pragma once
#include "loops.h"

namespace hadamard::LEVEL {
namespace {
namespace ops {
#include "../ops/elementwise.h"
}
// Long chains of operations, each of which waits for the one before, and what takes no longer than the loop around it.
// clang-format off
#define X(op) template <> constexpr bool in_pairs<ops::op> = true;
X(exp) X(expm1) X(log) X(log2) X(log10) X(log1p) X(tanh) X(erf) X(erfc) X(sigmoid) X(logsigmoid) X(silu) X(silu_slope)
X(gelu) X(gelu_slope) X(gelu_tanh) X(gelu_tanh_slope) X(mish) X(tanhshrink)
X(add) X(sub) X(mul) X(div) X(neg) X(abs) X(square) X(sqrt) X(reciprocal) X(add_scaled) X(addcmul) X(addcdiv) X(lerp)
X(maximum) X(minimum) X(clamp_min) X(clamp_max) X(clamp) X(relu)
#undef X
// clang-format on
} // namespace
} // namespace hadamard::LEVEL
